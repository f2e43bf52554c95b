//! Forms of models that ask more of a step than its right-hand side: noise with Milstein's term, Taylor series, states held
//! at limits, states on a manifold. On lanes each run is what it is alone, to the bit.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/fleet.rs"]
mod support;

use support::Model;
use twinml_engine::run::{Apart, Steps};
use twinml_jit::lanes::Isa;
use twinml_model::lanes::NotLanes;

/// Paths whose intensities no state of another one changes; an event now and then.
const APART: &str = "twin Trap {
  parameters { k: Real[1/s] = 2.5 [1/s]; d: Real[1/s^0.5] = 0.7 [1/s^0.5] }
  states { x: Real = 0.3; y: Real[1][2] = 0.5; n: Int = 0 }
  equations {
    der(x) = -k * x + d * sqrt(1 + x^2) * white_noise()
    for i in 0..2 { der(y[i]) = (0.2 - y[i])*1 [1/s] + 0.2 [1/s^0.5] * y[i] * white_noise() }
  }
  behavior { on rising(x > 0.9) { n = n + 1; x = 0.1 } }
  constraints { small: always(x < 1.5); kpi top: max(x over run) }
}
scenario main for Trap { duration: 3 s; record all every 100 ms; expect small }";

/// Two paths that act on one state, and commute.
const PAIR: &str = "twin Pair {
  units: off
  parameters { a: Real = 0.5; b: Real = 0.4 }
  states { x: Real = 1; y: Real = 1; z: Real = 1 }
  variables { u: Real; v: Real }
  equations {
    u = white_noise()
    v = white_noise()
    der(x) = a*x*u
    der(y) = 0.3*y*u + b*y*v
    der(z) = 0.1*(x - z) + 0.6*z*v
  }
  constraints { kpi top: max(y over run) }
}
scenario main for Pair { duration: 1 s }";

#[test]
fn milstein() {
    for h in [0.01, 0.013] {
        Model::text("apart", APART, None).step("milstein", h).check(6, None);
        Model::text("pair", PAIR, None).step("milstein", h).check(6, None);
    }
    let one = "twin Walk { parameters { m: Real[1/s] = 0.1 [1/s]; s: Real[1/s^0.5] = 0.4 [1/s^0.5] } states { x: Real = 1 }
      equations { der(x) = m*x + s*x*white_noise() } }
    scenario main for Walk { duration: 2 s }";
    Model::text("one path", one, None).step("milstein", 0.01).check(20, None);
    let steps = |text: &str| Model::text("steps", text, None).step("milstein", 0.01).steps(10);
    assert_eq!(steps(one), Steps { all: 2000, alone: 0, why: None });
    let held = one.replace("x: Real = 1", "x: Real = 1 where self <= 1.2 else clamp");
    Model::text("held", &held, None).step("milstein", 0.01).check(20, None);
    let Steps { all, alone, why } = steps(&held);
    assert!(
        all == 2000 && 0 < alone && alone < 1500 && why == Some(Apart::Method),
        "{alone} of {all}: {why:?}"
    );
    let noisy = CLAMPED
        .replace("der(s) = h/1 s", "der(s) = h/1 s + 0.02 [m/s^0.5]*sqrt(1 + s^2/1 m^2)*white_noise()");
    let noisy = noisy.replace("- k*sqrt(h)*0.5", "- k*sqrt(h)*0.5 + 0.1 [1/s^0.5]*h*white_noise()");
    assert!(!Model::text("clamped", &noisy, None).step("milstein", 0.01).nominal().broken.is_empty());
    Model::text("clamped", &noisy, None).step("milstein", 0.01).check(6, None);
    Model::text("held", &held, None).step("euler", 0.01).check(6, None);
}

const LORENZ: &str = "twin Lorenz {
  parameters { s: Real[1/s] = 10 [1/s]; r: Real = 28; b: Real[1/s] = 2.5 [1/s] }
  states { x: Real = 1; y: Real = 1; z: Real = 20; w: Int = 0 }
  equations { der(x) = s*(y - x); der(y) = (x*(r - z) - y)*1 [1/s]; der(z) = x*y*1 [1/s] - b*z }
  behavior { on rising(x > 5) { w = w + 1; y = y + 0.1 } }
  constraints { bounded: always(z < 44); kpi top: max(z over run); kpi mean: mean(x over run) }
}
scenario main for Lorenz { duration: 3 s; record all every 200 ms; expect bounded }";

/// The same without anybody who looks.
fn plain() -> String {
    let mut text = LORENZ.replace(" record all every 200 ms; expect bounded ", "");
    for part in ["constraints", "behavior"] {
        let at = text.find(part).unwrap();
        let end = at + text[at..].find('\n').unwrap();
        text.replace_range(at..end, "");
    }
    text
}

#[test]
fn taylor() {
    for (rtol, atol) in [(1e-4, 1e-7), (1e-9, 1e-12)] {
        Model::text("lorenz", LORENZ, None).solver("taylor", rtol, atol).check(10, None);
        Model::text("lorenz, plain", &plain(), None).solver("taylor", rtol, atol).check(10, None);
    }
    // Its first steps are too long: trials are refused.
    let pendulum = "twin P { states { a: Real = 3; w: Real = 0 } parameters { k: Real = 1 }
      equations { der(a) = w*1 [1/s]; der(w) = (-k*sin(a) - 0.1*w*abs(w))*1 [1/s] } constraints { kpi top: max(w over run) } }
    scenario main for P { duration: 20 s; solver: taylor(rtol: 1e-6, atol: 1e-9) }";
    let model = || Model::text("pendulum", pendulum, None);
    assert!(model().nominal().stats.rejected > 0);
    model().check(10, None);
}

/// A level that fills, rests at its rim, drains and rests at the bottom; beyond it the equations have no value.
const CLAMPED: &str = "twin Tank {
  parameters { rim: Length = 0.9 m; fill: Velocity = 0.31 m/s; k: Real[m^0.5/s] = 0.35 }
  states { h: Length = 0.2 m where 0 m <= self <= rim else clamp; q: Real[1][3] = 0.5 where self <= 0.8 else clamp; s: Length = 0 m }
  equations {
    der(h) = (if sin(time*1.3/1 s) > 0 then fill else -0.3*fill) - k*sqrt(h)*0.5
    for i in 0..3 { der(q[i]) = cos((1 + i)*time/1 s)*0.6 [1/s] }
    der(s) = h/1 s
  }
  constraints { over: always(h <= rim); kpi top: max(h over run) }
}
scenario main for Tank { duration: 12 s; record all every 300 ms; expect over }";

#[test]
fn states_held_at_limits() {
    let model = || Model::text("clamped", CLAMPED, None);
    assert!(model().solver("tsit5", 1e-6, 1e-9).nominal().events > 5);
    model().solver("tsit5", 1e-6, 1e-9).check(8, None);
    model().solver("dopri5", 1e-6, 1e-9).check(4, None);
    model().step("rk4", 0.02).check(6, None);
    model().step("euler", 0.01).check(6, None);
    model().solver("rosenbrock", 1e-6, 1e-9).check(6, None);
}

/// Equations that follow from derivatives of others: states stay on a circle.
const CIRCLE: &str = "twin Pendulum {
  parameters { L: Length = 1 m; g: Acceleration = 9.81 m/s^2 }
  states { x: Length = 0.5*L; y: Length guess -L; vx: Velocity = 0 m/s; vy: Velocity = 0 m/s }
  variables { T: Real[1/s^2] }
  equations { der(x) = vx; der(y) = vy; der(vx) = -T*x; der(vy) = -T*y - g; x^2 + y^2 = L^2 }
  constraints { taut: always(T > 0 [1/s^2]); kpi far: max(x over run) }
}
scenario main for Pendulum { duration: 3 s; record all every 100 ms; expect taut }";

#[test]
fn states_on_a_manifold() {
    let model = || Model::text("pendulum", CIRCLE, None);
    assert!(model().program.kept.is_some());
    // The tension follows from equations that hold accelerations together: a block of three.
    assert!(model().program.blocks.iter().any(|b| b.n == 3 && b.linear && !b.initial_only));
    model().solver("tsit5", 1e-6, 1e-9).check(6, None);
    model().solver("dopri5", 1e-6, 1e-9).check(4, None);
    model().step("rk4", 0.01).check(4, None);
    model().step("euler", 0.002).check(4, None);
    model().solver("rosenbrock", 1e-6, 1e-9).check(6, None);
    model().solver("rosenbrock", 1e-4, 1e-7).check(6, None);
}

/// Pressures between a tank and two pipes that meet: a loop of two that is not linear, and one that is linear beside it.
const LOOPS: &str = "twin Pipes {
  units: off
  parameters { a: Real = 1.3; b: Real = 0.7; c: Real = 0.9; top: Real = 2.1 }
  states { h: Real = 2; k: Real = 0.5; n: Int = 0 }
  variables { p: Real guess 1; q: Real guess 0.5; u: Real; v: Real; w: Real }
  equations {
    q = a*(h - p) / sqrt(1 + abs(h - p))
    q = b*p*sqrt(1 + p^2) + c*(p - k)
    u + 2*v = h + w
    3*u - c*v = k
    w = 0.3*u
    der(h) = sin(time) - q + 0.4
    der(k) = 0.2*(p - k) + 0.1*(v - k)
  }
  behavior { on rising(h > top) { n = n + 1; h = h - 0.4 } }
  constraints { low: always(p < 2.5); kpi most: max(q over run); kpi mean: mean(u over run) }
}
scenario main for Pipes { duration: 20 s; record all every 500 ms; expect low }";

#[test]
fn loops_of_equations() {
    let model = || Model::text("pipes", LOOPS, None);
    let blocks = model().program.blocks;
    assert!(blocks.iter().any(|b| b.linear) && blocks.iter().any(|b| !b.linear && !b.initial_only));
    assert!(model().nominal().events > 0);
    model().solver("tsit5", 1e-6, 1e-9).check(8, None);
    model().solver("dopri5", 1e-4, 1e-7).check(8, None);
    model().step("rk4", 0.05).check(6, None);
    model().step("euler", 0.02).check(6, None);
    model().solver("rosenbrock", 1e-6, 1e-9).check(8, None);
    model().solver("rosenbrock", 1e-4, 1e-7).check(8, None);
    // Nobody looks: runs stay in their lanes for many steps.
    let text = LOOPS.replace(" record all every 500 ms; expect low ", "");
    let text: String = text
        .lines()
        .filter(|l| !l.contains("behavior") && !l.contains("constraints"))
        .map(|l| l.to_owned() + "\n")
        .collect();
    Model::text("quiet", &text, None).solver("tsit5", 1e-6, 1e-9).check(12, None);
    Model::text("quiet", &text, None).step("euler", 0.02).check(12, None);
    Model::text("quiet", &text, None).solver("rosenbrock", 1e-6, 1e-9).check(12, None);
    let noisy = text.replace("0.1*(v - k)", "0.1*(v - k) + 0.05*k*white_noise()");
    Model::text("noisy", &noisy, None).step("euler", 0.02).check(8, None);
}

/// A loop that Newton does not solve in a few full corrections: such steps are done alone.
#[test]
fn loops_that_take_many_corrections() {
    let text = "twin Hard {
  units: off
  parameters { a: Real = 1 }
  states { x: Real = 0.01 }
  variables { y: Real guess 3 }
  equations { exp(6*y) + y^3 = 1 + x*(1 + 40*sin(9*time)^2); der(x) = a*(1 - y) - 0.1*x }
  constraints { kpi most: max(y over run) }
}
scenario main for Hard { duration: 4 s; record all every 100 ms }";
    for h in [0.2, 0.01] {
        Model::text("hard", text, None).step("rk4", h).check(4, None);
    }
    Model::text("hard", text, None).solver("tsit5", 1e-3, 1e-6).check(4, None);
    for (rtol, atol) in [(1e-3, 1e-6), (1e-6, 1e-9)] {
        Model::text("hard", text, None).solver("rosenbrock", rtol, atol).check(4, None);
    }
    let tight = Model::text("hard", text, None).solver("rosenbrock", 1e-9, 1e-12);
    for model in [tight, Model::text("hard", text, None).step("rk4", 0.01)] {
        let Steps { all, alone, why } = model.steps(6);
        assert!(0 < alone && alone < all && why == Some(Apart::Loop), "{alone} of {all}: {why:?}");
    }
}

/// Loops with several solutions are followed: what lanes do not take for the next point of a branch is done alone, and the
/// slopes by which they say so go from lanes to runs and back.
#[test]
fn loops_that_are_followed() {
    let model = |equations: &str| {
        format!(
            "twin Crank {{
  units: off
  parameters {{ c: Real = 1 }}
  states {{ a: Real = 0.2; w: Real = 0 }}
  variables {{ s: Real guess 2.4; q: Real guess 1 }}
  equations {{
    der(a) = w; {equations}
    (s - 1.4*cos(a))^2 + (1.4*sin(a))^2 = 2.25; q^3 - q = 0.3*cos(c*a)
  }}
  constraints {{ kpi most: max(s*q over run) }}
}}
scenario main for Crank {{ duration: 6 s; record all every 500 ms }}"
        )
    };
    let text = model("der(w) = c*2 - 0.1*w - 1e-3*s*q");
    for h in [0.2, 0.01] {
        Model::text("crank", &text, None).step("rk4", h).check(4, None);
        Model::text("crank", &text, None).step("euler", h).check(2, None);
    }
    for (rtol, atol) in [(1e-3, 1e-6), (1e-6, 1e-9)] {
        for method in ["tsit5", "dopri5", "rosenbrock"] {
            Model::text("crank", &text, None).solver(method, rtol, atol).check(4, None);
        }
    }
    // Events put them elsewhere.
    let text = model("der(w) = c*(if sin(a) > 0 then 2 else 1) - 0.1*w - 1e-3*s*q");
    Model::text("crank with events", &text, None).solver("tsit5", 1e-6, 1e-9).check(4, None);
    Model::text("crank with events", &text, None).step("rk4", 0.05).check(4, None);
    // Nothing integrated reads them.
    let text = model("der(w) = c*2 - 0.1*w");
    Model::text("crank beside", &text, None).solver("tsit5", 1e-6, 1e-9).check(2, Some(NotLanes::Aside));
}

/// What goes alone says why.
#[test]
fn what_goes_alone_says_why() {
    let ring = |n: u32| {
        format!(
            "twin Ring {{
  units: off
  parameters {{ a: Real = 1.5 }}
  states {{ x: Real = 0.4 }}
  variables {{ y: Real[1][{n}] guess 1 }}
  equations {{
    for i in 0..{n} {{ a*y[i] + y[i]^3 = x + 0.1*sum(y) }}
    der(x) = -y[0]
  }} }}
scenario main for Ring {{ duration: 1 s }}"
        )
    };
    Model::text("ring of four", &ring(4), None).solver("tsit5", 1e-6, 1e-9).check(3, None);
    for method in ["tsit5", "rosenbrock"] {
        let why = NotLanes::Loop { unknowns: 7, limit: 6 };
        Model::text("ring of seven", &ring(7), None).solver(method, 1e-6, 1e-9).check(2, Some(why));
    }
    let many =
        "twin Many { states { x: Real[1][65] = 1 } equations { for i in 0..65 { der(x[i]) = -x[i]/1 s } } }
scenario main for Many { duration: 1 s }";
    let why = NotLanes::States { limit: 64 };
    Model::text("many", many, None).solver("rosenbrock", 1e-6, 1e-9).check(2, Some(why));
}

/// Functions of time given by samples: before, between and after them.
#[test]
fn tables_of_time() {
    let folder = std::env::temp_dir().join(format!("fleet-forms-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let rows = "t,y\n0.5,1\n1,3\n1.7,-0.5\n2.5,-0.0\n4,2\n";
    std::fs::write(folder.join("f.csv"), rows).unwrap();
    let text = |method: &str, outside: &str, arg: &str| {
        format!(
            "twin Driven {{
  parameters {{ f: Table = table(\"f.csv\", x: \"t\" in s, y: \"y\", method: {method}, outside: {outside}); k: Real[1/s] = 0.7 [1/s] }}
  states {{ x: Real = 0.2; n: Int = 0 }}
  outputs {{ drive: Real = f({arg}) }}
  equations {{ der(x) = f({arg})*1 [1/s] - k*x }}
  behavior {{ on rising(x > 0.9) {{ n = n + 1; x = 0.1 }} }}
  constraints {{ small: always(x < 2); kpi top: max(drive over run) }}
}}
scenario main for Driven {{ duration: 9 s; record all every 200 ms; expect small }}"
        )
    };
    for method in ["linear", "step", "pchip"] {
        for outside in ["hold", "extend", "repeat"] {
            let path = folder.join(format!("{method}-{outside}.twinml"));
            std::fs::write(&path, text(method, outside, "time")).unwrap();
            let model = || Model::whole(&path, None).unwrap();
            assert!(model().program.tables.iter().all(|t| t.of_time));
            for m in [
                model().solver("tsit5", 1e-6, 1e-9),
                model().solver("rosenbrock", 1e-6, 1e-9),
                model().solver("rosenbrock", 1e-4, 1e-7),
                model().step("rk4", 0.03),
                model().step("euler", 0.01),
            ] {
                assert_eq!(m.compare(4, &Isa::ALL), None, "{method}, {outside}");
            }
        }
    }
    // Noise beside a table: its derivative is taken.
    let noisy = text("linear", "hold", "time").replace("- k*x", "- k*x + 0.1 [1/s^0.5]*x*white_noise()");
    let path = folder.join("noisy.twinml");
    std::fs::write(&path, noisy).unwrap();
    for method in ["euler", "milstein"] {
        assert_eq!(Model::whole(&path, None).unwrap().step(method, 0.01).compare(4, &Isa::ALL), None);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Functions of states given by samples, which are left on both sides.
#[test]
fn tables_of_states() {
    let folder = std::env::temp_dir().join(format!("fleet-states-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("f.csv"), "x,y\n-0.4,0.9\n-0.1,1.1\n0.3,0.2\n0.5,-0.4\n0.8,-1.5\n").unwrap();
    let text = |method: &str, outside: &str| {
        format!(
            "twin Driven {{
  units: off
  parameters {{ f: Table = table(\"f.csv\", x: \"x\", y: \"y\", method: {method}, outside: {outside}); k: Real = 0.7 }}
  states {{ x: Real = 0.2; v: Real = 1.4; n: Int = 0 }}
  outputs {{ force: Real = f(x) }}
  equations {{ der(x) = v; der(v) = f(x) - k*v + sin(2*time) }}
  behavior {{ on rising(v > 0.7) {{ n = n + 1; v = 0.5 }} }}
  constraints {{ small: always(x < 2); kpi top: max(force over run) }}
}}
scenario main for Driven {{ duration: 6 s; record all every 200 ms; expect small }}"
        )
    };
    for method in ["linear", "step", "pchip", "cubic"] {
        for outside in ["hold", "extend", "repeat"] {
            let path = folder.join(format!("{method}-{outside}.twinml"));
            std::fs::write(&path, text(method, outside)).unwrap();
            let model = || Model::whole(&path, None).unwrap();
            for m in [
                model().solver("tsit5", 1e-5, 1e-8),
                model().solver("rosenbrock", 1e-4, 1e-7),
                model().step("rk4", 0.03),
                model().step("euler", 0.01),
            ] {
                assert_eq!(m.compare(4, &Isa::ALL), None, "{method}, {outside}");
            }
        }
    }
    // One that ends a run is looked up run by run, and only on lanes where somebody asks for the block interpreter.
    let path = folder.join("ends.twinml");
    std::fs::write(&path, text("linear", "error")).unwrap();
    let model = || Model::whole(&path, None).unwrap().solver("tsit5", 1e-5, 1e-8);
    assert_eq!(
        model().compare(3, &[Isa::best()]),
        Some(NotLanes::Table).filter(|_| Isa::best() != Isa::Block)
    );
    assert_eq!(model().compare(3, &[Isa::Block]), None);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A step is as exact as its Jacobian lets it be, through a loop, its inner variables, a table of time and one of a state.
#[test]
fn rosenbrock_keeps_its_order() {
    let folder = std::env::temp_dir().join(format!("fleet-order-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("f.csv"), "t,y\n0,1\n0.7,2\n2,0.5\n").unwrap();
    std::fs::write(folder.join("g.csv"), "x,y\n-9,7\n-2,3\n5,-1\n9,-4\n").unwrap();
    let text = "twin Forms {
  parameters {
    f: Table = table(\"f.csv\", x: \"t\" in s, y: \"y\", method: linear, outside: hold)
    g: Table = table(\"g.csv\", x: \"x\", y: \"y\", method: pchip, outside: hold)
    k: Real = 1.4
  }
  states { x: Real = 1; y: Real = 0.3 }
  variables { p: Real guess 1; q: Real guess 0.5; r: Real; u: Real; v: Real }
  equations {
    q = k*(x - p) / sqrt(1 + (x - p)^2)
    r = q*p
    r = 0.6*p*sqrt(1 + p^2) + 0.4*(p - y) - 0.2*f(time)
    u + 2*v = x + p
    3*u - 0.5*v = y*y
    der(x) = (sin(3*time/1 s) - 2*q*x + 0.1*g(y) + 0.3*u)/1 s
    der(y) = (0.5*p - y*v - 0.2*f(time)*x)/1 s
  }
}
scenario main for Forms { duration: 1.5 s }";
    // Derivatives that stand in a loop themselves.
    let within = "twin Within {
  units: off
  parameters { k: Real = 0.2 }
  states { x: Real = 1; y: Real = 0.3 }
  equations {
    der(x) + k*der(x)^3 + 0.1*der(y) = y - 3*x
    der(y) + 0.3*der(x) = sin(3*time) - x*y
  }
}
scenario main for Within { duration: 1.5 s }";
    for (name, text, blocks) in [("forms", text, 2), ("within", within, 1)] {
        let path = folder.join(format!("{name}.twinml"));
        std::fs::write(&path, text).unwrap();
        let model = || Model::whole(&path, None).unwrap();
        assert_eq!(model().program.blocks.iter().filter(|b| !b.initial_only).count(), blocks);
        let end = |m: Model| m.nominal().last[0].clone();
        let exact = end(model().solver("tsit5", 1e-13, 1e-14));
        for (rtol, order) in [(1e-3, 4.0), (1e-6, 5.0)] {
            let error = |h: f64| {
                let mut m = model().solver("rosenbrock", rtol, 1e9);
                (m.experiment.solver.step, m.experiment.solver.max_step) = (Some(h), Some(h));
                let end = end(m);
                exact.iter().zip(&end).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
            };
            let observed = (error(0.05) / error(0.025)).log2();
            assert!(
                (observed - order).abs() < 0.4,
                "{name}: order {observed} for {order}: {:e}",
                error(0.025)
            );
        }
        model().solver("rosenbrock", 1e-7, 1e-9).check(6, None);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
