//! The standard library: every module checks without a word, and every block that has inputs and outputs
//! does what its formula says.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "the known answers are computed with the host's own functions")]

use twinml_compiler::diag::{Style, render_all};
use twinml_compiler::driver::{Choice, Compiled, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::interp::Interpreter;
use twinml_model::ir::Space;

#[test]
fn modules_check_without_a_word() {
    let mut count = 0;
    for name in twinml_stdlib::modules() {
        let text = twinml_stdlib::module(name).unwrap();
        let session = Session::check(name, text, &MemoryLoader::new());
        let said = render_all(&session.diags, &session.sources, Style::default());
        assert!(session.diags.is_empty(), "{said}");
        for class in &session.model().classes {
            assert!(class.doc.is_some(), "{name}: `{}` has no doc comment", class.name);
            count += 1;
        }
    }
    assert!(count >= 50, "{count} components");
}

struct Run {
    compiled: Compiled,
    machine: Interpreter,
    memory: Memory,
}

impl Run {
    /// A twin `T` with these parts, of a library module.
    fn new(module: &str, names: &str, body: &str) -> Run {
        let text = format!("use std.{module} {{ {names} }}\ntwin T {{\n{body}\n}}\n");
        let mut session = Session::check("t.twinml", &text, &MemoryLoader::new());
        let compiled = session.compile(Choice::default(), &mut NoData);
        let Some(compiled) = compiled else {
            panic!("{}", render_all(&session.diags, &session.sources, Style::default()))
        };
        twinml_model::verify::verify(&compiled.program).unwrap();
        let machine = Interpreter::new(&compiled.program);
        let memory = Memory::new(&compiled.program);
        let mut run = Run { compiled, machine, memory };
        run.kernel(KernelId::Params);
        run.kernel(KernelId::Initial);
        run.relations();
        run
    }

    fn kernel(&mut self, k: KernelId) {
        self.machine.run(k, &mut self.memory, &mut NoHost).unwrap();
    }

    fn relations(&mut self) {
        for _ in 0..3 {
            self.kernel(KernelId::Update);
            let next = self.memory.space(Space::Next).to_vec();
            self.memory.space_mut(Space::Disc).copy_from_slice(&next);
        }
    }

    /// Classical Runge-Kutta to `end` in `steps`.
    fn to(&mut self, end: f64, steps: u32) {
        let h = end / f64::from(steps);
        for n in 0..steps {
            let t = h * f64::from(n);
            let x0 = self.memory.space(Space::State).to_vec();
            let mut sum = vec![0.0; x0.len()];
            for (a, w) in [(0.0, 1.0), (0.5, 2.0), (0.5, 2.0), (1.0, 1.0)] {
                let der = self.memory.space(Space::Der).to_vec();
                self.memory.set_time(t + a * h);
                for (k, x) in self.memory.space_mut(Space::State).iter_mut().enumerate() {
                    *x = x0[k] + a * h * der[k];
                }
                self.kernel(KernelId::Rhs);
                for (s, d) in sum.iter_mut().zip(self.memory.space(Space::Der)) {
                    *s += w * d;
                }
            }
            for (k, x) in self.memory.space_mut(Space::State).iter_mut().enumerate() {
                *x = x0[k] + h / 6.0 * sum[k];
            }
            self.memory.set_time(t + h);
            self.relations();
        }
    }

    fn get(&mut self, path: &str) -> f64 {
        self.kernel(KernelId::Rhs);
        self.kernel(KernelId::Outputs);
        let v = self.compiled.program.schema.vars.iter().find(|v| v.element_path(0) == path);
        let v = v.unwrap_or_else(|| panic!("no {path}"));
        self.memory.space(v.space)[v.base as usize]
    }

    #[track_caller]
    fn near(&mut self, path: &str, want: f64) {
        let got = self.get(path);
        assert!((got - want).abs() <= 1e-7 * want.abs().max(1.0), "{path}: {got}, want {want}");
    }
}

#[test]
fn sources() {
    let mut r = Run::new(
        "signals",
        "Constant, Step, Ramp, Sine, Pulse, Sawtooth",
        "twins { c: Constant { k = 3 }; s: Step { start = 1 s; height = 2 }; r: Ramp { duration = 4 s; height = 8 }
           n: Sine { f = 0.25 Hz; amplitude = 5 }; p: Pulse { period = 2 s; duty = 0.25; high = 7 }
           w: Sawtooth { period = 2 s; high = 10 } }",
    );
    for (t, s, ramp, pulse, saw) in [
        (0.3, 0.0, 0.6, 7.0, 1.5),
        (0.9, 0.0, 1.8, 0.0, 4.5),
        (2.3, 2.0, 4.6, 7.0, 1.5),
        (5.0, 2.0, 8.0, 0.0, 5.0),
    ] {
        r.memory.set_time(t);
        r.relations();
        r.near("c.y", 3.0);
        r.near("s.y", s);
        r.near("r.y", ramp);
        r.near("n.y", 5.0 * (std::f64::consts::TAU * 0.25 * t).sin());
        r.near("p.y", pulse);
        r.near("w.y", saw);
    }
}

#[test]
fn static_blocks() {
    let mut r = Run::new(
        "signals",
        "Gain, Sum, Limiter, DeadZone",
        "twins { g: Gain { k = 4; u = 2 }; s: Sum { k2 = -1; u1 = 5; u2 = 3 }; l: Limiter { u = 7 }
           d: DeadZone { u = 3; width = 2 }; e: DeadZone { u = 0.4 } }",
    );
    r.near("g.y", 8.0);
    r.near("s.y", 2.0);
    r.near("l.y", 1.0);
    r.near("d.y", 2.0);
    r.near("e.y", 0.0);
}

#[test]
fn dynamic_blocks() {
    let mut r = Run::new(
        "signals",
        "Integrator, FirstOrder, SecondOrder, Derivative",
        "twins { i: Integrator { u = 2; y0 = 1 }; f: FirstOrder { k = 3; T = 2 s; u = 1 }
           s: SecondOrder { w0 = 2 rad/s; zeta = 0.5; u = 1 }; d: Derivative { T = 0.1 s; k = 2 s } }
         equations { d.u = 3*time/1 s }",
    );
    r.to(2.0, 2000);
    r.near("i.y", 5.0);
    r.near("f.y", 3.0 * (1.0 - (-1.0f64).exp()));
    let (w0, zeta) = (2.0f64, 0.5f64);
    let wd = w0 * (1.0 - zeta * zeta).sqrt();
    let ring = (wd * 2.0).cos() + zeta * w0 / wd * (wd * 2.0).sin();
    r.near("s.y", 1.0 - (-zeta * w0 * 2.0).exp() * ring);
    r.near("d.y", 6.0 * (1.0 - (-20.0f64).exp()));
}

#[test]
fn a_controller_reaches_its_setpoint_and_respects_its_limits() {
    let mut r = Run::new(
        "signals",
        "Pid, FirstOrder",
        "twins { c: Pid { Kp = 2; Ti = 1 s; Td = 0.1 s; y_max = 1.5; y_min = 0; Tt = 0.2 s; setpoint = 1 }; p: FirstOrder { T = 1 s } }
         connections { c.y -> p.u; p.y -> c.measured }",
    );
    let first = r.get("c.y");
    assert_eq!(first, 1.5);
    r.to(40.0, 40_000);
    r.near("p.y", 1.0);
    r.near("c.y", 1.0);
}

#[test]
fn heat() {
    let mut r = Run::new(
        "thermal",
        "ThermalMass, Conductance, SurfaceConvection, GreyRadiation",
        "twins { m: ThermalMass { C = 500 J/K; T0 = 80 degC }; g: Conductance { G = 2 W/K; T_b = 20 degC }
           c: SurfaceConvection { h = 5; A = 2 m^2; T_wall = 310 K; T_fluid = 300 K }
           g2: GreyRadiation { eps = 0.5; A = 3 m^2; T = 400 K; T_env = 300 K } }
         connections { m.T -> g.T_a } equations { m.heat = -g.q }",
    );
    r.near("c.q", 100.0);
    r.near("g2.q", 0.5 * 5.670374419e-8 * 3.0 * (400.0f64.powi(4) - 300.0f64.powi(4)));
    r.to(250.0, 1000);
    r.near("m.T", 293.15 + 60.0 * (-1.0f64).exp());
}

#[test]
fn circuits() {
    let mut r = Run::new(
        "electrical",
        "RcCircuit, RlCircuit, RlcCircuit, DcMachine",
        "twins { rc: RcCircuit { R = 1 kohm; C = 1 mF; u = 10 V }; rl: RlCircuit { R = 2 ohm; L = 2 H; u = 10 V }
           rlc: RlcCircuit { R = 0 ohm; L = 1 H; C = 1 F; u = 1 V }
           m: DcMachine { R = 1 ohm; L = 0.1 H; k = 0.5; J = 0.1; d = 0; u = 10 V } }",
    );
    r.to(1.0, 4000);
    let e = (-1.0f64).exp();
    r.near("rc.v", 10.0 * (1.0 - e));
    r.near("rl.i", 5.0 * (1.0 - e));
    r.near("rlc.v", 1.0 - 1.0f64.cos());
    r.near("rlc.i", 1.0f64.sin());
    r.to(40.0, 40_000);
    // Without load and friction the machine runs at u/k.
    r.near("m.w", 20.0);
}

#[test]
fn liquids() {
    let mut r = Run::new(
        "fluid",
        "OpenTank, DrainingTank, Orifice, CentrifugalPump",
        "twins { t: OpenTank { area = 2 m^2; q_in = 0.1 m^3/s; h_max = 1.2 m }
           d: DrainingTank { area = 1 m^2; hole = 0.01 m^2; Cd = 0.6; h0 = 2 m }
           o: Orifice { A = 1 cm^2; Cd = 0.6; rho = 1000 kg/m^3; p_a = 3 bar; p_b = 1 bar }
           p: CentrifugalPump { h_shut = 30 m; q_max = 50 L/s; speed = 50 %; q = 5 L/s } }",
    );
    r.near("o.q", 0.6 * 1e-4 * (2.0 * 2e5 / 1000.0f64).sqrt());
    r.near("p.head", 30.0 * (0.25 - 0.01));
    r.near("t.full", 0.0);
    r.to(10.0, 1000);
    r.near("t.level", 1.5);
    r.near("t.full", 1.0);
    // Torricelli: the root of the level falls in a straight line.
    let root = 2.0f64.sqrt() - 0.6 * 0.01 * (2.0 * 9.80665f64).sqrt() / 2.0 * 10.0;
    r.near("d.h", root * root);
}

#[test]
fn motion() {
    let mut r = Run::new(
        "mechanics",
        "PointMass, SpringDamper, Oscillator, Rotor, Friction, Pendulum",
        "twins { m: PointMass { m = 2 kg; x0 = 1 m }; s: SpringDamper { k = 8 }
           o: Oscillator { m = 1 kg; k = 4; x0 = 3 m }; r: Rotor { J = 2; tau = 6 N*m; d = 2 }
           f: Friction { mu = 0.5; v = 1 m/s }; p: Pendulum { L = 9.80665 m; phi0 = 0.001 rad } }
         connections { s.force -> m.force } equations { s.x = m.x; s.v = m.v }",
    );
    r.near("f.force", -5.0);
    r.to(1.0, 1000);
    r.near("m.x", 2.0f64.cos());
    r.near("o.x", 3.0 * 2.0f64.cos());
    r.near("o.energy", 18.0);
    r.near("r.w", 3.0 * (1.0 - (-1.0f64).exp()));
    let small = 0.001 * 1.0f64.cos();
    assert!((r.get("p.phi") - small).abs() < 1e-9);
}
