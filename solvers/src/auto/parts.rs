//! The methods that `auto` changes between, and what their steps cost.

use crate::adams::Adams;
use crate::bdf::Bdf;
use crate::control::power;
use crate::integrator::{Integrator, Options, Tolerances};
use crate::linalg::IterationMatrix;
use crate::rk::tsit5::Tsit5;
use crate::rosenbrock::Rosenbrock;
use crate::taylor::{self, Taylor};
use twinml_model::bytes::{Malformed, Persist, Reader, Writer};

/// The limit of stability of Tsit5.
pub(super) const LIMIT: f64 = 3.3;
/// `h·ρ` at which Adams counts as limited by stability.
const ADAMS_LIMIT: f64 = 1.0;
/// The same for a Taylor method, for each order: where its polynomial of a decaying exponential grows beyond 1.
pub(super) const SERIES_LIMIT: f64 = 0.38;

impl Persist for Kind {
    const LEAST: usize = 1;

    fn save(&self, to: &mut Writer) {
        to.put(&(*self as u8));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let at = from.at();
        match from.get::<u8>()? {
            0 => Ok(Kind::OneStep),
            1 => Ok(Kind::Multistep),
            2 => Ok(Kind::Series),
            n => Err(Malformed { at, why: format!("there is no explicit method {n}") }),
        }
    }
}

/// The explicit method.
#[derive(Clone, Debug)]
pub(super) enum Explicit {
    OneStep(Box<Tsit5>),
    Multistep(Box<Adams>),
    /// Its method, and operations of its code.
    Series {
        taylor: Box<Taylor>,
        work: f64,
    },
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    OneStep,
    Multistep,
    Series,
}

impl Explicit {
    pub fn one_step(options: &Options) -> Self {
        Explicit::OneStep(Box::new(Tsit5::new(&careful(options, 0.75, 0.03))))
    }

    /// Tsit5 in the place of Adams: stability keeps its steps short, so there is less to be careful about.
    pub fn limited(options: &Options) -> Self {
        Explicit::OneStep(Box::new(Tsit5::new(&careful(options, 0.5, 0.1))))
    }

    pub fn multistep(options: &Options) -> Self {
        Explicit::Multistep(Box::new(Adams::new(&careful(options, 1.25, 0.003))))
    }

    /// With the system's code of so many operations.
    pub fn series(options: &Options, work: f64) -> Self {
        Explicit::Series { taylor: unstarted_series(options), work }
    }

    pub fn new(kind: Kind, options: &Options) -> Self {
        match kind {
            Kind::OneStep => Self::one_step(options),
            Kind::Multistep => Self::multistep(options),
            Kind::Series => Self::series(options, 0.0),
        }
    }

    /// Operations of the code of its steps, where there is such code.
    pub fn code(&self) -> f64 {
        if let Explicit::Series { work, .. } = self { *work } else { 0.0 }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Explicit::OneStep(_) => Kind::OneStep,
            Explicit::Multistep(_) => Kind::Multistep,
            Explicit::Series { .. } => Kind::Series,
        }
    }

    /// The size of `h·λ` up to which it is stable.
    pub fn limit(&self, options: &Options) -> f64 {
        match self {
            Explicit::OneStep(_) => LIMIT,
            Explicit::Multistep(_) => ADAMS_LIMIT,
            Explicit::Series { .. } => SERIES_LIMIT * f64::from(series_order(options)),
        }
    }

    pub fn get(&self) -> &dyn Integrator {
        match self {
            Explicit::OneStep(e) => &**e,
            Explicit::Multistep(e) => &**e,
            Explicit::Series { taylor, .. } => &**taylor,
        }
    }

    pub fn get_mut(&mut self) -> &mut dyn Integrator {
        match self {
            Explicit::OneStep(e) => &mut **e,
            Explicit::Multistep(e) => &mut **e,
            Explicit::Series { taylor, .. } => &mut **taylor,
        }
    }
}

/// Tolerances of a part. Orbits and other systems without damping multiply local errors over a run, and a
/// multistep method lets them add up: who asks for many digits gets steps with less error, by the factor
/// `(rtol/1e-6)^exponent`, at least `least`.
pub(super) fn careful(options: &Options, exponent: f64, least: f64) -> Options {
    let mut o = options.clone();
    let factor = care(options, exponent, least);
    o.tolerances.rtol *= factor;
    for a in &mut o.tolerances.atol {
        *a *= factor;
    }
    o
}

/// The factor of [`careful`].
fn care(options: &Options, exponent: f64, least: f64) -> f64 {
    power(options.tolerances.rtol / 1e-6, exponent).clamp(least, 1.0)
}

/// Which stiff method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stiff {
    Rosenbrock,
    Multistep,
    /// The multistep method in the place of the Rosenbrock method, where there are many steps, whose errors add up.
    Instead,
}

/// The stiff method.
pub(super) fn stiff(options: &Options, which: Stiff, matrix: Option<IterationMatrix>) -> Box<dyn Integrator> {
    let (exponent, least) = match which {
        Stiff::Rosenbrock => ROSENBROCK,
        Stiff::Multistep => BDF,
        Stiff::Instead => INSTEAD,
    };
    let options = careful(options, exponent, least);
    if which == Stiff::Rosenbrock {
        let rosenbrock = Rosenbrock::new(&options).by_kernel_later();
        Box::new(if let Some(matrix) = matrix { rosenbrock.with_matrix(matrix) } else { rosenbrock })
    } else {
        let bdf = Bdf::new(&options);
        Box::new(if let Some(matrix) = matrix { bdf.with_matrix(matrix) } else { bdf })
    }
}

/// How careful backward differentiation is within `auto`: what [`careful`] asks for.
const BDF: (f64, f64) = (0.65, 0.05);
/// The same in the place of the Rosenbrock method.
const INSTEAD: (f64, f64) = (1.0, 0.01);
/// How careful the Rosenbrock method is within `auto`: what [`careful`] asks for.
const ROSENBROCK: (f64, f64) = (0.2, 0.1);

/// The tolerances of the Rosenbrock method that `auto` with these options may change to: those that its code is made for.
#[must_use]
pub fn rosenbrock_tolerances(options: &Options) -> Tolerances {
    careful(options, ROSENBROCK.0, ROSENBROCK.1).tolerances
}

/// How careful the Taylor method is within `auto`: what [`careful`] asks for.
const SERIES: (f64, f64) = (0.5, 0.03);

/// The Taylor method within `auto`, not started.
pub(super) fn unstarted_series(options: &Options) -> Box<Taylor> {
    // its first step is what the series allows
    Box::new(Taylor::new(&Options { h: None, ..careful(options, SERIES.0, SERIES.1) }))
}

/// The order of the Taylor method that `auto` with these options may change to: that of the code that the system is asked for.
#[must_use]
pub fn series_order(options: &Options) -> u32 {
    taylor::order(options.tolerances.rtol * care(options, SERIES.0, SERIES.1))
}
