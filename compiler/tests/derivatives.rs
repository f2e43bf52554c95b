//! `der(e)` by the chain rule against differences of `e`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;
use twinml_compiler::diag::{Style, render_all};
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::interp::Interpreter;
use twinml_model::ir::Space;

/// Functions of the states x (rate 1), y (rate −2) and of time, over the parameter k.
const FORMULAS: &[&str] = &[
    "exp(x)",
    "expm1(x*y)",
    "log(2 + x)",
    "log1p(x^2)",
    "log10(3 + y)",
    "log2(4 + x*y)",
    "sin(x) + cos(y) - tan(x/2)",
    "asin(x/3)*acos(y/4)",
    "atan(x*y)",
    "atan2(x + 1, y - 2)",
    "sinh(x) - cosh(y)",
    "tanh(x*k)",
    "asinh(x) + acosh(2 + x) + atanh(x/3)",
    "cbrt(2 + x)",
    "hypot(x + 1, y)",
    "pow(2 + x, y)",
    "erf(x - y)",
    "gamma(2.5 + x)",
    "factorial(1 + x)",
    "sqrt(1 + x^2)",
    "x^3 - y^-2 + (x + 2)^0.3",
    "(x + 2)^(y - x)",
    "abs(y - 5) + sign(x)*x",
    "min(x, 7 + y) + max(x*y, -50) + clamp(x, -9, 9)",
    "x/(1 + y^2)",
    "k*x/(y - 3)/k",
    "if x > -10 then x^2 else y",
    "noevent(if x > 10 then x^2 else x*y)",
    "sum((i + 1)*x^i for i in 0..5)",
    "sin(time/1 s)*x",
    "-(x - y)*3",
    "dot([x, y], [y, x^2])",
    "inner(x) + inner(inner(y))",
];

#[test]
fn derivatives_agree_with_differences() {
    let mut text = String::from(
        "func inner(a: Real): Real { b = a*a; if a > 0.2 { b = b + a }; return b/(3 + b) }\ntwin M {\n  parameters { k: Real = 1.5 }\n  states { x: Real = 0; y: Real = 0 }\n  equations { der(x) = 1 [1/s]; der(y) = -2 [1/s] }\n  outputs {\n",
    );
    for (n, f) in FORMULAS.iter().enumerate() {
        let _ = writeln!(text, "    f{n}: Real = {f}\n    d{n}: Real[1/s] = der({f})");
    }
    text += "  }\n}\n";
    let mut session = Session::check("m.twinml", &text, &MemoryLoader::new());
    let Some(c) = session.compile(Choice::default(), &mut NoData) else {
        panic!("{}", render_all(&session.diags, &session.sources, Style::default()))
    };
    let machine = Interpreter::new(&c.program);
    let mut memory = Memory::new(&c.program);
    machine.run(KernelId::Params, &mut memory, &mut NoHost).unwrap();
    let slot = |name: &str| {
        let v = c.program.schema.vars.iter().find(|v| v.element_path(0) == name).unwrap();
        (v.space, v.base as usize)
    };
    let (x, y) = (slot("x").1, slot("y").1);
    let mut at = |t: f64| {
        memory.set_time(t);
        memory.space_mut(Space::State)[x] = 0.4 + t;
        memory.space_mut(Space::State)[y] = 1.1 - 2.0 * t;
        for _ in 0..2 {
            machine.run(KernelId::Update, &mut memory, &mut NoHost).unwrap();
            let next = memory.space(Space::Next).to_vec();
            memory.space_mut(Space::Disc).copy_from_slice(&next);
        }
        machine.run(KernelId::Rhs, &mut memory, &mut NoHost).unwrap();
        machine.run(KernelId::Outputs, &mut memory, &mut NoHost).unwrap();
        let read = |name: String| {
            let (space, k) = slot(&name);
            memory.space(space)[k]
        };
        let f: Vec<f64> = (0..FORMULAS.len()).map(|n| read(format!("f{n}"))).collect();
        let d: Vec<f64> = (0..FORMULAS.len()).map(|n| read(format!("d{n}"))).collect();
        (f, d)
    };
    let h = 1e-3;
    for t in [0.0, 0.05] {
        let near: Vec<_> = [-2.0, -1.0, 1.0, 2.0].iter().map(|m| at(t + m * h).0).collect();
        let (_, d) = at(t);
        for (n, f) in FORMULAS.iter().enumerate() {
            // Differences of fourth order.
            let want = (near[0][n] - 8.0 * near[1][n] + 8.0 * near[2][n] - near[3][n]) / (12.0 * h);
            assert!(
                want.is_finite() && (d[n] - want).abs() < 1e-8 * want.abs().max(1.0),
                "der({f}): {} and {want}",
                d[n]
            );
        }
    }
}
