//! What an evaluation of the right-hand side costs, guessed from its code: `auto` weighs methods by it. Counts of the
//! program alone, never a clock, so that the same model gives the same bits.

use twinml_model::ids::FuncId;
use twinml_model::ir::{BinOp, Kernel, Op, Region, Stmt, UnOp};
use twinml_model::program::Program;

/// Newton iterations of a nonlinear block at an evaluation, from the last point's solution.
const ITERATIONS: f64 = 2.5;
/// Fixed work of an iteration: gathering, scattering, tests of convergence.
const ITERATION: f64 = 60.0;

/// Floating-point operations of one evaluation, about.
pub(super) fn of_rhs(program: &Program) -> f64 {
    let mut functions = Vec::with_capacity(program.functions.len());
    for f in &program.functions {
        let cost = kernel(program, &f.code, &functions);
        functions.push(cost);
    }
    kernel(program, &program.rhs, &functions)
}

/// The same of a kernel that calls nothing.
pub(super) fn of_kernel(program: &Program, k: &Kernel) -> f64 {
    kernel(program, k, &[])
}

fn kernel(program: &Program, k: &Kernel, functions: &[f64]) -> f64 {
    region(program, k, &k.body, functions)
}

fn region(program: &Program, k: &Kernel, body: &Region, functions: &[f64]) -> f64 {
    body.iter()
        .map(|s| match s {
            Stmt::Eval(v) => k.values.get(v.index()).map_or(0.0, |v| op(&v.op, functions)),
            Stmt::Store { .. } => 1.0,
            Stmt::For(f) => (f.hi - f.lo).max(0) as f64 * (1.0 + region(program, k, &f.body, functions)),
            Stmt::If(i) => {
                1.0 + region(program, k, &i.then, functions).max(region(program, k, &i.otherwise, functions))
            }
            Stmt::Solve(b) | Stmt::SolveTangent(b) => {
                let Some(block) = program.blocks.get(b.index()) else { return 0.0 };
                let n = f64::from(block.n);
                let residual = kernel(program, &block.residual, functions);
                let (entries, jacobian) = match &block.jacobian {
                    Some(j) => (f64::from(j.entries), kernel(program, &j.kernel, functions)),
                    None => (n * n, n * residual),
                };
                let iterations = if block.linear { 1.0 } else { ITERATIONS };
                let factors = entries * (entries / n.max(1.0)).max(1.0);
                residual + iterations * (residual + jacobian + factors + 4.0 * entries + ITERATION)
            }
        })
        .sum()
}

fn op(op: &Op, functions: &[f64]) -> f64 {
    match op {
        Op::ConstF(_) | Op::ConstI(_) | Op::ConstB(_) | Op::IndexI(_) | Op::IndexF(_) => 0.0,
        Op::Bin(BinOp::Div, ..) | Op::Un(UnOp::Sqrt, _) => 5.0,
        Op::Math(..) => 30.0,
        Op::Table { .. } | Op::Delay { .. } => 40.0,
        Op::Call(f, _) => call(*f, functions),
        _ => 1.0,
    }
}

fn call(f: FuncId, functions: &[f64]) -> f64 {
    5.0 + functions.get(f.index()).copied().unwrap_or(0.0)
}
