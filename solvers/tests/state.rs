//! The state of every integrator as bytes: what is loaded goes on with the same bits, to save changes nothing, a state has
//! one encoding, and bytes that are wrong are refused or are another state, and never more than that.
#![allow(clippy::unwrap_used, reason = "tests")]

mod problems;

use problems::recurrences::{Model, Two};
use problems::scalar::Scalar;
use problems::{Fixture, Ode, classic, stiff};
use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_solvers::integrator::{Integrator, Method, Options, Tolerances, make, make_stochastic};
use twinml_solvers::roots::RootFinder;
use twinml_solvers::rosenbrock::Rosenbrock;
use twinml_solvers::system::{EvalError, Pattern, Rk4Grid, System};

/// A problem: its system anew each time, where it starts, and until when it is followed.
struct Case {
    name: &'static str,
    system: fn() -> Box<dyn System>,
    x0: Vec<f64>,
    end: f64,
}

/// A pendulum with a forced pivot: not autonomous, smooth, not stiff.
struct Pendulum;
impl Ode for Pendulum {
    fn dim(&self) -> usize {
        3
    }
    fn f<S: Scalar>(&self, t: S, x: &[S], d: &mut [S]) {
        d[0] = x[1];
        d[1] = -x[0].sin() + t.cos() * 0.3;
        d[2] = x[0] * x[1] - x[2];
    }
    fn autonomous(&self) -> bool {
        false
    }
    fn n_roots(&self) -> usize {
        3
    }
    fn roots(&self, t: f64, x: &[f64], g: &mut [f64]) {
        g[0] = x[0];
        g[1] = x[1] - 0.2;
        g[2] = (7.0 * t).sin() - 0.5;
    }
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "pendulum",
            system: || Box::new(Fixture::new(Pendulum)),
            x0: vec![1.0, 0.0, 0.5],
            end: 12.0,
        },
        Case { name: "hires", system: || classic::hires().sys, x0: classic::hires().x0, end: 20.0 },
        Case {
            name: "pollution",
            system: || classic::pollution().sys,
            x0: classic::pollution().x0,
            end: 60.0,
        },
        Case { name: "pleiades", system: || classic::pleiades().sys, x0: classic::pleiades().x0, end: 1.5 },
        Case {
            name: "brusselator",
            system: || stiff::brusselator(20).sys,
            x0: stiff::brusselator(20).x0,
            end: 3.0,
        },
    ]
}

fn options(method: Method, h: Option<f64>) -> Options {
    let h = h.or_else(|| method.fixed_step().then_some(0.003));
    Options { tolerances: Tolerances::uniform(1e-6, 1e-9), h, ..Options::default() }
}

fn bytes(i: &dyn Integrator) -> Vec<u8> {
    let mut to = Writer::new();
    i.save(&mut to);
    to.finish()
}

fn load(into: &mut dyn Integrator, sys: &mut dyn System, bytes: &[u8]) -> Result<(), Malformed> {
    let mut from = Reader::new(bytes);
    into.load(sys, &mut from)?;
    from.end()
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|v| v.to_bits()).collect()
}

/// What can be seen of an integrator, dense output included.
fn seen(i: &dyn Integrator, n: usize) -> (Vec<u64>, String) {
    let mut all = bits(&[i.t(), i.t_prev(), i.h()]);
    all.extend(bits(i.x()));
    let mut out = vec![0.0; n];
    for s in [0.0, 0.13, 0.5, 0.92, 1.0] {
        i.interpolate(i.t_prev() + s * (i.t() - i.t_prev()), &mut out);
        all.extend(bits(&out));
    }
    (all, format!("{:?} {:?} {:?}", i.stats(), i.choice().method, i.choice().switches))
}

/// What happens to an integrator beside its steps, by their number: the stop moves, it is restarted within the last step,
/// it is nudged.
fn disturb(i: &mut dyn Integrator, sys: &mut dyn System, k: usize, end: f64) {
    let stop = i.t() + 0.3 * (end - i.t());
    match k % 23 {
        7 => i.set_stop(stop).unwrap(),
        8 => i.set_stop(end).unwrap(),
        13 => {
            let x: Vec<f64> = i.x().iter().map(|v| v * (1.0 + 1e-12)).collect();
            i.nudge(sys, &x, end).unwrap();
        }
        18 => {
            let t = i.t_prev() + 0.4 * (i.t() - i.t_prev());
            let mut x = vec![0.0; sys.dim()];
            i.interpolate(t, &mut x);
            i.restart(sys, t, &x, end).unwrap();
        }
        _ => {}
    }
}

/// After how many steps it was saved, what goes on from there, and its system.
type Loaded = (usize, Box<dyn Integrator>, Box<dyn System>);

/// Runs to the end, or for `most` steps, with the state taken at each of `at` and gone on from.
fn conform(name: &str, make: &dyn Fn() -> Box<dyn Integrator>, case: &Case, at: &[usize], most: usize) {
    let mut sys = (case.system)();
    let n = sys.dim();
    let mut main = make();
    assert!(bytes(&*main).len() < 64, "{name}: nothing is known before the start");
    main.start(&mut *sys, 0.0, &case.x0, case.end).unwrap();
    let mut loaded: Vec<Loaded> = Vec::new();
    let mut k = 0;
    while main.t() < case.end && k < most {
        if at.contains(&k) {
            let saved = bytes(&*main);
            let (mut other, mut its) = (make(), (case.system)());
            load(&mut *other, &mut *its, &saved).unwrap_or_else(|e| panic!("{name} {} {k}: {e}", case.name));
            assert_eq!(bytes(&*other), saved, "{name} {} {k}: one encoding", case.name);
            assert_eq!(seen(&*other, n), seen(&*main, n), "{name} {} {k}: as it was", case.name);
            loaded.push((k, other, its));
        }
        let all = std::iter::once((&mut main, &mut sys)).chain(loaded.iter_mut().map(|(_, i, s)| (i, s)));
        for (i, s) in all {
            disturb(&mut **i, &mut **s, k, case.end);
            if i.t() < case.end {
                i.step(&mut **s).unwrap();
            }
        }
        k += 1;
        let want = seen(&*main, n);
        for (from, other, _) in &loaded {
            assert_eq!(seen(&**other, n), want, "{name} {}: saved after {from}, step {k}", case.name);
        }
        if main.t() >= case.end {
            break;
        }
    }
    assert!(loaded.len() > 5, "{name} {}: {k} steps", case.name);
    let end = bytes(&*main);
    for (_, other, _) in &loaded {
        assert_eq!(bytes(&**other), end, "{name} {}: all of the state", case.name);
    }
}

const AT: [usize; 14] = [0, 1, 2, 3, 5, 8, 14, 18, 19, 20, 22, 30, 41, 77];

#[test]
fn every_method_goes_on_with_the_same_bits() {
    for method in Method::ALL.into_iter().filter(|m| *m != Method::Taylor) {
        for case in cases() {
            // The brusselator is too stiff for a given step, and what is stiff takes explicit methods too long.
            let slow = matches!(case.name, "pollution" | "brusselator");
            if slow && (method.fixed_step() || !method.implicit()) {
                continue;
            }
            let h = (method.fixed_step()).then_some(case.end / 2000.0);
            conform(method.name(), &|| make(method, &options(method, h)).unwrap(), &case, &AT, 150);
        }
    }
}

#[test]
fn implicit_euler_with_a_given_step_does_too() {
    // pollution's first instants want steps far shorter than these
    for case in cases().into_iter().filter(|c| c.name != "pollution") {
        let options = options(Method::ImplicitEuler, Some(case.end / 500.0));
        conform("implicit_euler, fixed", &|| make(Method::ImplicitEuler, &options).unwrap(), &case, &AT, 120);
    }
}

#[test]
fn tight_and_loose_tolerances_choose_other_parts() {
    // Adams as the explicit part, Rodas4, BDF as the stiff part.
    for rtol in [1e-3, 1e-9] {
        for case in cases() {
            let options =
                Options { tolerances: Tolerances::uniform(rtol, 1e-3 * rtol), ..Options::default() };
            for method in [Method::Auto, Method::Rosenbrock] {
                conform(method.name(), &|| make(method, &options).unwrap(), &case, &AT, 150);
            }
        }
    }
}

#[test]
fn auto_is_saved_on_both_sides_of_a_change() {
    for (case, least) in [(1, 1), (4, 1)] {
        let case = &cases()[case];
        let options = options(Method::Auto, None);
        let mut i = make(Method::Auto, &options).unwrap();
        let mut sys = (case.system)();
        i.start(&mut *sys, 0.0, &case.x0, f64::INFINITY).unwrap();
        let mut changes = 0;
        for _ in 0..400 {
            let before = i.choice().method;
            i.step(&mut *sys).unwrap();
            let changed = before != i.choice().method;
            changes += u32::from(changed);
            let (mut other, mut its) = (make(Method::Auto, &options).unwrap(), (case.system)());
            load(&mut *other, &mut *its, &bytes(&*i)).unwrap();
            let mut copy = i.clone_box();
            for _ in 0..3 {
                copy.step(&mut *sys).unwrap();
                other.step(&mut *its).unwrap();
                assert_eq!(seen(&*copy, case.x0.len()), seen(&*other, case.x0.len()));
            }
        }
        assert!(changes >= least, "{}: {changes}", case.name);
    }
}

/// A state that an earlier program wrote, on its way.
struct Kept {
    name: String,
    method: Method,
    options: Options,
    case: Case,
    bytes: Vec<u8>,
}

/// Of each method one, and of `auto` one with each of its parts at work; all from before the layouts had numbers, and of the second,
/// third, fourth, fifth and sixth layout of `auto` with each of its parts at work and with the stiff one on trial. Where a layout changes, states of the one
/// before join them.
fn kept() -> Vec<Kept> {
    let oscillator = || Case {
        name: "oscillator",
        system: || Box::new(Two::new(Model::Oscillator)),
        x0: vec![1.0, 0.0],
        end: 80.0,
    };
    let heat = || Case { name: "heat", system: || stiff::heat(40).sys, x0: stiff::heat(40).x0, end: 2.0 };
    let mut all: Vec<(Method, &str, &str, i32)> = Method::ALL.map(|m| (m, "", "pendulum", 6)).into();
    all.retain(|(m, ..)| *m != Method::Taylor);
    all.push((Method::Taylor, "", "oscillator", 8));
    let auto = |layout, (case, digits)| (Method::Auto, layout, case, digits);
    all.extend([("pendulum", 9), ("hires", 6), ("pollution", 6), ("heat", 6)].map(|c| auto("", c)));
    all.extend([("pendulum", 9), ("hires", 6), ("hires", 8), ("heat", 6)].map(|c| auto(".2", c)));
    all.extend([("pendulum", 9), ("hires", 8), ("heat", 6), ("brusselator", 8)].map(|c| auto(".3", c)));
    all.extend([("pendulum", 9), ("hires", 8), ("heat", 6), ("brusselator", 8)].map(|c| auto(".4", c)));
    all.extend([("pendulum", 9), ("hires", 8), ("heat", 6), ("brusselator", 8)].map(|c| auto(".5", c)));
    all.extend([("pendulum", 9), ("hires", 8), ("heat", 6), ("brusselator", 8)].map(|c| auto(".6", c)));
    all.into_iter()
        .map(|(method, layout, case, digits)| {
            let name = format!("{}{layout}-{case}-{digits}", method.name());
            let path = format!("{}/tests/states/{name}", env!("CARGO_MANIFEST_DIR"));
            let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
            let case = cases().into_iter().chain([oscillator(), heat()]).find(|c| c.name == case).unwrap();
            let rtol = 10f64.powi(-digits);
            let options = match method {
                Method::Taylor => {
                    Options { tolerances: Tolerances::uniform(rtol, rtol), h_max: 0.7, ..Options::default() }
                }
                _ => Options { tolerances: Tolerances::uniform(rtol, 1e-3 * rtol), ..options(method, None) },
            };
            Kept { name, method, options, case, bytes }
        })
        .collect()
}

#[test]
fn states_of_earlier_programs_go_on() {
    let mut parts = Vec::new();
    for Kept { name, method, options, case, bytes: saved } in kept() {
        let made = || (make(method, &options).unwrap(), (case.system)());
        let (mut i, mut sys) = made();
        load(&mut *i, &mut *sys, &saved).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(i.t() > 0.0 && i.t() < case.end, "{name}");
        if method == Method::Auto {
            parts.push(i.choice().method.name());
        }
        // What is saved now has the layout of now, and goes on alike.
        let (mut other, mut its) = made();
        load(&mut *other, &mut *its, &bytes(&*i)).unwrap();
        // Not to the bit: a method may be a better one by now.
        let (mut whole, mut all) = made();
        whole.start(&mut *all, 0.0, &case.x0, case.end).unwrap();
        while whole.t() < case.end {
            whole.step(&mut *all).unwrap();
        }
        while i.t() < case.end {
            i.step(&mut *sys).unwrap();
            other.step(&mut *its).unwrap();
            assert_eq!(seen(&*i, case.x0.len()), seen(&*other, case.x0.len()), "{name}");
        }
        let apart = |(x, y): (&f64, &f64)| (x - y).abs() / y.abs().max(1e-3);
        let worst = i.x().iter().zip(whole.x()).map(apart).fold(0.0, f64::max);
        assert!(worst < 100.0 * options.tolerances.rtol, "{name}: {worst:e}");
    }
    let first = ["tsit5", "adams", "rosenbrock", "rosenbrock", "bdf"];
    let second = ["adams", "rosenbrock", "rosenbrock", "tsit5"];
    let third = ["adams", "rosenbrock", "rosenbrock", "adams"];
    let sixth = ["adams", "adams", "rosenbrock", "adams"];
    assert_eq!(parts, [&first[..], &second, &third, &third, &third, &sixth].concat());
}

#[test]
fn wrong_states_of_earlier_programs_do_no_harm() {
    for Kept { name, method, options, case, bytes: good } in kept() {
        let mut sys = (case.system)();
        for at in 0..good.len() {
            let mut wrong = good.clone();
            wrong[at] ^= 1 << (at % 8);
            endure(&name, &|| make(method, &options).unwrap(), &mut *sys, &wrong);
        }
    }
}

#[test]
fn a_layout_from_a_later_program_is_refused() {
    let mut i = make(Method::Auto, &options(Method::Auto, None)).unwrap();
    let mut sys = Fixture::new(Pendulum);
    for (name, why) in [
        ("auto/8", "at byte 0: the state of 'auto' has layout 8, and 7 is the latest known here"),
        ("auto/1", "at byte 0: this is the state of the solver 'auto/1', not of 'auto'"),
        ("auto/02", "at byte 0: this is the state of the solver 'auto/02', not of 'auto'"),
        ("auto/", "at byte 0: this is the state of the solver 'auto/', not of 'auto'"),
        ("bdf/2", "at byte 0: this is the state of the solver 'bdf', not of 'auto'"),
    ] {
        let mut to = Writer::new();
        to.text(name).put(&false);
        assert_eq!(load(&mut *i, &mut sys, &to.finish()).unwrap_err().to_string(), why);
    }
}

#[test]
fn taylor_goes_on_with_the_same_bits() {
    let case = Case {
        name: "oscillator",
        system: || Box::new(Two::new(Model::Oscillator)),
        x0: vec![1.0, 0.0],
        end: 80.0,
    };
    let tolerances = Tolerances::uniform(1e-8, 1e-8);
    let options = Options { tolerances, h_max: 0.7, ..Options::default() };
    conform("taylor", &|| make(Method::Taylor, &options).unwrap(), &case, &AT, 150);
}

/// `x' = −x + noise, y' = x·noise₂`, over paths that are sums of sines: functions of time alone, as paths must be.
struct Noisy(Pattern);

impl Noisy {
    fn new() -> Self {
        Noisy(Pattern::dense(2))
    }
}

impl System for Noisy {
    fn dim(&self) -> usize {
        2
    }
    fn rhs(&mut self, t: f64, x: &[f64], dx: &mut [f64]) -> Result<(), EvalError> {
        self.rhs_driven(t, x, &[0.0; 2], dx)
    }
    fn pattern(&self) -> &Pattern {
        &self.0
    }
    fn jacobian(&mut self, _: f64, _: &[f64], _: &mut [f64]) -> Result<(), EvalError> {
        unreachable!("an explicit method")
    }
    fn jvp(&mut self, t: f64, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        self.jvp_driven(t, x, &[0.0; 2], v, out)
    }
    fn dfdt(&mut self, _: f64, _: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        out.fill(0.0);
        Ok(())
    }
    fn n_noise(&self) -> usize {
        2
    }
    fn brownian(&mut self, t: f64, w: &mut [f64]) {
        for (k, w) in w.iter_mut().enumerate() {
            *w = (1..40).map(|j| ((j as f64 + 0.3 * k as f64) * 3.7 * t).sin() / j as f64).sum();
        }
    }
    fn rhs_driven(&mut self, _: f64, x: &[f64], noise: &[f64], dx: &mut [f64]) -> Result<(), EvalError> {
        dx[0] = -x[0] + 0.3 * x[0] * noise[0];
        dx[1] = x[0] - 0.5 * x[1] + 0.2 * x[1] * noise[1];
        Ok(())
    }
    fn jvp_driven(
        &mut self,
        _: f64,
        _: &[f64],
        noise: &[f64],
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), EvalError> {
        out[0] = -v[0] + 0.3 * v[0] * noise[0];
        out[1] = v[0] - 0.5 * v[1] + 0.2 * v[1] * noise[1];
        Ok(())
    }
}

#[test]
fn paths_of_noise_go_on_with_the_same_bits() {
    let case = Case { name: "noisy", system: || Box::new(Noisy::new()), x0: vec![1.0, 0.5], end: 2.0 };
    for method in [Method::Euler, Method::Milstein] {
        let options = options(method, Some(0.01));
        conform(method.name(), &|| make_stochastic(method, &options).unwrap(), &case, &AT, 190);
    }
}

/// A decay with code of its own for fused Runge–Kutta steps and for trial steps of a Rosenbrock method; the latter by
/// another integrator's step.
struct Compiled {
    inner: Fixture<Decay>,
    growth: f64,
}
struct Decay;
impl Ode for Decay {
    fn dim(&self) -> usize {
        1
    }
    fn f<S: Scalar>(&self, _: S, x: &[S], d: &mut [S]) {
        d[0] = -x[0] * x[0];
    }
}

impl Compiled {
    fn new(growth: f64) -> Self {
        Compiled { inner: Fixture::new(Decay), growth }
    }
}

impl System for Compiled {
    fn dim(&self) -> usize {
        1
    }
    fn rhs(&mut self, t: f64, x: &[f64], dx: &mut [f64]) -> Result<(), EvalError> {
        self.inner.rhs(t, x, dx)
    }
    fn pattern(&self) -> &Pattern {
        self.inner.pattern()
    }
    fn jacobian(&mut self, t: f64, x: &[f64], values: &mut [f64]) -> Result<(), EvalError> {
        self.inner.jacobian(t, x, values)
    }
    fn jvp(&mut self, t: f64, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        self.inner.jvp(t, x, v, out)
    }
    fn dfdt(&mut self, t: f64, x: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        self.inner.dfdt(t, x, out)
    }
    fn autonomous(&self) -> bool {
        true
    }
    fn rk4(&mut self, grid: Rk4Grid, steps: u64, x: &mut [f64]) -> Option<Result<(), EvalError>> {
        for _ in 0..steps {
            let f = |x: f64| -x * x;
            let (h, x0) = (grid.h, x[0]);
            let k1 = f(x0);
            let k2 = f(x0 + 0.5 * h * k1);
            let k3 = f(x0 + 0.5 * h * k2);
            let k4 = f(x0 + h * k3);
            x[0] = x0 + h / 6.0 * (k1 + 2.0 * (k2 + k3) + k4);
        }
        Some(Ok(()))
    }
    fn rosenbrock(
        &mut self,
        (t, h, t1): (f64, f64, f64),
        x: &[f64],
        out: &mut [f64],
    ) -> Option<Result<bool, EvalError>> {
        let stages = out.len() - 3;
        let options = Options {
            h: Some(h),
            tolerances: Tolerances::uniform(0.0, 1e6),
            ..options(Method::Rosenbrock, None)
        };
        let mut one = Rosenbrock::with_tableau(&options, twinml_solvers::rosenbrock::tableau_for(1e-6));
        one.start(&mut self.inner, t, x, t1).unwrap();
        one.step(&mut self.inner).unwrap();
        out[0] = 0.3;
        // the diagonal stops serving at some time
        out[1] = if t1 > 2.0 { self.growth } else { 0.0 };
        out[2] = one.x()[0];
        for (k, o) in out[3..].iter_mut().enumerate() {
            *o = 0.01 * h * (k as f64 + 1.0) / stages as f64;
        }
        Some(Ok(true))
    }
}

#[test]
fn steps_by_compiled_code_go_on_with_the_same_bits() {
    let case = |system: fn() -> Box<dyn System>| Case { name: "decay", system, x0: vec![1.0], end: 6.0 };
    let plain = case(|| Box::new(Compiled::new(0.0)));
    let rk4 = options(Method::Rk4, Some(0.02));
    conform("rk4, fused", &|| make(Method::Rk4, &rk4).unwrap(), &plain, &AT, 150);
    let ros = Options { h_max: 0.05, ..options(Method::Rosenbrock, None) };
    conform("rosenbrock by kernel", &|| make(Method::Rosenbrock, &ros).unwrap(), &plain, &AT, 150);
    // from t = 2 s on it is BDF's
    let left = case(|| Box::new(Compiled::new(1e13)));
    conform("rosenbrock left to bdf", &|| make(Method::Rosenbrock, &ros).unwrap(), &left, &AT, 150);
}

#[test]
fn fused_steps_in_a_row_are_saved_between() {
    let options = options(Method::Rk4, Some(0.02));
    let (mut sys, mut its) = (Compiled::new(0.0), Compiled::new(0.0));
    let mut i = make(Method::Rk4, &options).unwrap();
    i.start(&mut sys, 0.0, &[1.0], 4.0).unwrap();
    for _ in 0..6 {
        i.skip_to(i.t() + 0.31);
        i.step(&mut sys).unwrap();
        let mut other = make(Method::Rk4, &options).unwrap();
        load(&mut *other, &mut its, &bytes(&*i)).unwrap();
        let mut copy = i.clone_box();
        for _ in 0..3 {
            copy.step(&mut sys).unwrap();
            other.step(&mut its).unwrap();
            assert_eq!(seen(&*copy, 1), seen(&*other, 1));
        }
    }
    assert!(i.stats().steps > 60, "{:?}", i.stats());
}

#[test]
fn a_band_that_became_sparse_and_pivots_that_were_chosen_stay() {
    // The heat equation is a band; a method that keeps its matrix over many steps shows what is kept.
    for n in [40, 80] {
        let p = stiff::heat(n);
        let system: fn() -> Box<dyn System> =
            if n == 40 { || stiff::heat(40).sys } else { || stiff::heat(80).sys };
        let case = Case { name: "heat", system, x0: p.x0, end: 0.2 };
        for method in [Method::Bdf, Method::Rosenbrock, Method::ImplicitEuler] {
            let options = options(method, None);
            conform(method.name(), &|| make(method, &options).unwrap(), &case, &AT, 80);
        }
    }
}

/// Finds events, saving the finder (and the step) before each look at a step and after each crossing.
#[test]
fn crossings_are_found_by_a_finder_that_was_saved() {
    for method in [Method::Tsit5, Method::Bdf, Method::Rk4, Method::Auto] {
        let options = options(method, method.fixed_step().then_some(0.05));
        let (mut sys, mut its) = (Fixture::new(Pendulum), Fixture::new(Pendulum));
        let mut i = make(method, &options).unwrap();
        i.start(&mut sys, 0.0, &[1.0, 0.0, 0.5], 12.0).unwrap();
        let mut finder = RootFinder::new(3, 3);
        finder.arm(&mut sys, 0.0, &[1.0, 0.0, 0.5], None).unwrap();
        let (mut found, mut within) = (0, 0);
        while i.t() < 12.0 {
            i.step(&mut sys).unwrap();
            let mut crossings = 0;
            loop {
                let mut to = Writer::new();
                finder.save(&mut to);
                i.save(&mut to);
                let saved = to.finish();
                let mut from = Reader::new(&saved);
                let (mut other, mut step) = (RootFinder::new(3, 3), make(method, &options).unwrap());
                other.load(&mut from).unwrap();
                step.load(&mut its, &mut from).unwrap();
                from.end().unwrap();
                assert_eq!(other.crossings(), finder.crossings());
                let (a, b) = (finder.next(&mut sys, &*i).unwrap(), other.next(&mut its, &*step).unwrap());
                assert_eq!(a.map(f64::to_bits), b.map(f64::to_bits));
                assert_eq!((finder.crossings(), finder.sides()), (other.crossings(), other.sides()));
                assert_eq!(
                    (finder.before().to_bits(), finder.evaluations()),
                    (other.before().to_bits(), other.evaluations())
                );
                if a.is_none() {
                    break;
                }
                crossings += 1;
            }
            found += crossings;
            within += u32::from(crossings > 1);
        }
        assert!(found > 20, "{method:?}: {found}");
        assert!(within > 0 || method != Method::Tsit5, "{method:?}: two in one step");
    }
}

/// Loads what may be no state; where it is one, goes on for some steps.
fn endure(what: &str, made: &dyn Fn() -> Box<dyn Integrator>, sys: &mut dyn System, bytes: &[u8]) -> bool {
    let mut i = made();
    if load(&mut *i, sys, bytes).is_err() {
        return false;
    }
    let mut out = vec![0.0; sys.dim()];
    for _ in 0..3 {
        if i.x().len() != sys.dim() || i.step(sys).is_err() {
            break;
        }
        i.interpolate(0.5 * (i.t() + i.t_prev()), &mut out);
        assert!(i.t_prev() <= i.t(), "{what}");
    }
    let (t, x) = (i.t(), i.x().to_vec());
    let _ = i.restart(sys, t, &x, t + 1.0).and_then(|()| i.step(sys));
    true
}

#[test]
fn wrong_bytes_do_no_harm() {
    for method in Method::ALL.into_iter().filter(|m| *m != Method::Taylor) {
        let options = options(method, None);
        let made: &dyn Fn() -> Box<dyn Integrator> = &|| make(method, &options).unwrap();
        let mut sys = Fixture::new(Pendulum);
        for steps in [1, 9] {
            let mut i = made();
            i.start(&mut sys, 0.0, &[1.0, 0.0, 0.5], 12.0).unwrap();
            for k in 0..steps {
                i.step(&mut sys).unwrap();
                if k == 5 {
                    let (t, x) = (i.t(), i.x().to_vec());
                    i.restart(&mut sys, t, &x, 12.0).unwrap();
                }
            }
            let good = bytes(&*i);
            for end in 0..good.len() {
                assert!(load(&mut *made(), &mut sys, &good[..end]).is_err(), "{method:?}: {end} bytes");
            }
            let mut refused = 0;
            for at in 0..good.len() {
                for mask in [1 << (at % 8), 0x80, 0xff] {
                    let mut wrong = good.clone();
                    wrong[at] ^= mask;
                    let what = format!("{}: byte {at} of {} by {mask}", method.name(), good.len());
                    refused += usize::from(!endure(&what, made, &mut sys, &wrong));
                }
            }
            assert!(refused > 0, "{method:?}");
        }
        // another method's state, and another system's
        let other = if method == Method::Tsit5 { Method::Adams } else { Method::Tsit5 };
        let mut i = made();
        i.start(&mut sys, 0.0, &[1.0, 0.0, 0.5], 12.0).unwrap();
        i.step(&mut sys).unwrap();
        let error = load(&mut *make(other, &options).unwrap(), &mut sys, &bytes(&*i)).unwrap_err();
        let want = format!(
            "at byte 0: this is the state of the solver '{}', not of '{}'",
            method.name(),
            other.name()
        );
        assert_eq!(error.to_string(), want);
        let mut larger = classic::hires().sys;
        assert!(load(&mut *made(), &mut *larger, &bytes(&*i)).is_err(), "{method:?}");
    }
}

#[test]
fn wrong_bytes_do_no_harm_to_sparse_matrices_nor_to_finders() {
    let method = Method::Bdf;
    let options = options(method, None);
    let p = stiff::brusselator(8);
    let mut sys = stiff::brusselator(8).sys;
    let mut i = make(method, &options).unwrap();
    i.start(&mut *sys, 0.0, &p.x0, 3.0).unwrap();
    for _ in 0..12 {
        i.step(&mut *sys).unwrap();
    }
    let good = bytes(&*i);
    for at in 0..good.len() {
        let mut wrong = good.clone();
        wrong[at] ^= 1 << (at % 8);
        endure("bdf", &|| make(method, &options).unwrap(), &mut *sys, &wrong);
    }

    let mut sys = Fixture::new(Pendulum);
    let mut i = make(Method::Tsit5, &options).unwrap();
    i.start(&mut sys, 0.0, &[1.0, 0.0, 0.5], 12.0).unwrap();
    let mut finder = RootFinder::new(3, 3);
    finder.arm(&mut sys, 0.0, &[1.0, 0.0, 0.5], None).unwrap();
    while finder.next(&mut sys, &*i).unwrap().is_none() {
        i.step(&mut sys).unwrap();
    }
    let mut to = Writer::new();
    finder.save(&mut to);
    let good = to.finish();
    let mut refused = 0;
    for at in 0..good.len() {
        assert!(RootFinder::new(3, 3).load(&mut Reader::new(&good[..at])).is_err());
        let mut wrong = good.clone();
        wrong[at] ^= 1 << (at % 8);
        let mut other = RootFinder::new(3, 3);
        match other.load(&mut Reader::new(&wrong)) {
            Ok(()) => {
                let _ = other.next(&mut sys, &*i);
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 50, "{refused} of {}", good.len());
    assert!(RootFinder::new(3, 2).load(&mut Reader::new(&good)).is_err());
}
