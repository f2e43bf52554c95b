//! Integrators as bytes and back: what [`Integrator::save`](crate::integrator::Integrator::save) and `load` share.
//!
//! What is written is what the next steps and the dense output of the last one depend on, and nothing that follows from the
//! options or from the system: no scratch, no tolerances, no coefficients. Of a factorised matrix that is kept over steps
//! it is the matrix and the pivots; the same eliminations then give the same factors. A value has one encoding only.
//!
//! What is read is trusted no more than the bytes are: vectors have the lengths that the system asks for, counters are so
//! small that they may go on counting, orders are orders, time is finite and not beyond the stop time.

use crate::integrator::Method;
use crate::stats::Stats;
use twinml_model::bytes::{Malformed, Persist, Reader, Writer};

/// Counters are smaller than this: sums of several, and what is still counted, fit into their words.
const MOST: u64 = 1 << 56;
/// The same for short counters.
const FEW: u32 = 1 << 30;

/// Begins the state of an integrator: its method, and whether anything follows.
pub(crate) fn begin(to: &mut Writer, method: Method, started: bool) {
    begin_layout(to, method, 1, started);
}

/// Reads what [`begin`] wrote: whether anything follows.
pub(crate) fn begun(from: &mut Reader<'_>, method: Method) -> Result<bool, Malformed> {
    Ok(begun_layout(from, method, 1)?.1)
}

/// [`begin`] for a method whose state has changed its layout since there are snapshots.
pub(crate) fn begin_layout(to: &mut Writer, method: Method, layout: u32, started: bool) {
    to.text(&named(method, layout)).put(&started);
}

/// Reads what [`begin_layout`] wrote, up to the layout `latest`: which it is, and whether anything follows.
pub(crate) fn begun_layout(
    from: &mut Reader<'_>,
    method: Method,
    latest: u32,
) -> Result<(u32, bool), Malformed> {
    let at = from.at();
    let text = from.text()?;
    let (name, layout) = match text.split_once('/') {
        Some((name, number)) => (name, number.parse().ok()),
        None => (text, Some(1)),
    };
    let own = layout.filter(|n| named(method, *n) == text);
    let why = match own {
        Some(n) if n <= latest => return Ok((n, from.get()?)),
        Some(n) => {
            format!("the state of '{}' has layout {n}, and {latest} is the latest known here", method.name())
        }
        None => {
            let shown = if name == method.name() { text } else { name };
            let shown: String = shown.chars().take(40).collect();
            format!("this is the state of the solver '{shown}', not of '{}'", method.name())
        }
    };
    Err(Malformed { at, why })
}

/// A method with the layout of its state, whose first has no number.
fn named(method: Method, layout: u32) -> String {
    if layout <= 1 { method.name().into() } else { format!("{}/{layout}", method.name()) }
}

/// A vector of `n` numbers with room for `padded`; the rest is zero.
pub(crate) fn vector_padded(
    from: &mut Reader<'_>,
    into: &mut Vec<f64>,
    n: usize,
    padded: usize,
) -> Result<(), Malformed> {
    into.clear();
    into.resize(padded, 0.0);
    from.fill(&mut into[..n])
}

/// A vector of `n` numbers.
pub(crate) fn vector(from: &mut Reader<'_>, into: &mut Vec<f64>, n: usize) -> Result<(), Malformed> {
    vector_padded(from, into, n, n)
}

/// A step size: not negative, and a number.
pub(crate) fn length(from: &mut Reader<'_>) -> Result<f64, Malformed> {
    let at = from.at();
    let h: f64 = from.get()?;
    if h >= 0.0 && h.is_sign_positive() {
        Ok(h)
    } else {
        Err(Malformed { at, why: format!("a step of {h} s is none") })
    }
}

/// A count that may go on.
pub(crate) fn count(from: &mut Reader<'_>) -> Result<u64, Malformed> {
    let at = from.at();
    match from.get()? {
        n if n < MOST => Ok(n),
        n => Err(Malformed { at, why: format!("a count of {n} cannot be") }),
    }
}

/// A short count that may go on.
pub(crate) fn few(from: &mut Reader<'_>) -> Result<u32, Malformed> {
    let at = from.at();
    match from.get()? {
        n if n < FEW => Ok(n),
        n => Err(Malformed { at, why: format!("a count of {n} cannot be") }),
    }
}

/// A number from `least` to `most`, said to be `what`.
pub(crate) fn within(
    from: &mut Reader<'_>,
    (least, most): (usize, usize),
    what: &str,
) -> Result<usize, Malformed> {
    let at = from.at();
    match from.get()? {
        n if (least..=most).contains(&n) => Ok(n),
        n => Err(Malformed { at, why: format!("{n} is no {what}: they go from {least} to {most}") }),
    }
}

impl Stats {
    fn counters(&mut self) -> [&mut u64; 10] {
        [
            &mut self.steps,
            &mut self.rejected,
            &mut self.error_test_failures,
            &mut self.rhs,
            &mut self.jac,
            &mut self.factorizations,
            &mut self.solves,
            &mut self.newton_iters,
            &mut self.newton_failures,
            &mut self.restarts,
        ]
    }
}

impl Persist for Stats {
    const LEAST: usize = 80;

    fn save(&self, to: &mut Writer) {
        let mut copy = *self;
        copy.counters().into_iter().for_each(|n| n.save(to));
    }

    fn load(from: &mut Reader<'_>) -> Result<Stats, Malformed> {
        let mut stats = Stats::default();
        for n in stats.counters() {
            *n = count(from)?;
        }
        Ok(stats)
    }
}
