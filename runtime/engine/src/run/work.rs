//! What an evaluation of the right-hand side costs, guessed from its code: `auto` weighs methods by it. Counts of the
//! program alone, never a clock, so that the same model gives the same bits.

use twinml_model::ids::FuncId;
use twinml_model::ir::{BinOp, Kernel, MathFn, Op, Stmt, UnOp};
use twinml_model::passes::taylor::Sketch;
use twinml_model::program::Program;

/// Newton iterations of a nonlinear block at an evaluation, from the last point's solution.
const ITERATIONS: f64 = 2.5;

/// What the parts of a kernel cost.
struct Prices {
    /// A sum, a product, a load, a store, a round of a loop.
    simple: f64,
    /// A quotient or a square root.
    quotient: f64,
    /// An elementary function, and a power.
    math: [f64; 2],
    /// A table or a delay.
    table: f64,
    /// A call beside what is called.
    call: f64,
    /// Fixed work of an iteration of Newton's method: gathering, scattering, tests of convergence.
    iteration: f64,
}

/// Floating-point operations.
const OPERATIONS: Prices =
    Prices { simple: 1.0, quotient: 5.0, math: [30.0, 30.0], table: 40.0, call: 5.0, iteration: 60.0 };

/// Nanoseconds of one machine, where neighbouring operations mostly run side by side: cells of a loop, and states.
const NANOSECONDS: Prices =
    Prices { simple: 0.1, quotient: 0.5, math: [7.0, 33.0], table: 10.0, call: 1.0, iteration: 60.0 };

/// Entering a kernel and leaving it, the states put in place and the derivatives taken.
const AROUND: f64 = 24.0;

/// Floating-point operations of one evaluation, about.
pub(super) fn of_rhs(program: &Program) -> f64 {
    OPERATIONS.rhs(program)
}

/// What one evaluation takes by machine code, in about nanoseconds.
pub(super) fn nanoseconds_of_rhs(program: &Program) -> f64 {
    AROUND + NANOSECONDS.rhs(program)
}

/// The operations of a kernel that calls nothing.
pub(super) fn of_kernel(program: &Program, k: &Kernel) -> f64 {
    OPERATIONS.kernel(program, k, &[])
}

/// The operations of the whole code of recurrences up to this order, about, whose lowest orders these are: from the last few of
/// them on each order takes as many more than the one before.
pub(super) fn of_recurrences(program: &Program, sketch: &Sketch, order: u32) -> f64 {
    let price = |range: std::ops::Range<usize>| {
        let part = sketch.kernel.body.get(range).unwrap_or_default();
        OPERATIONS.region(program, &sketch.kernel, part, &[])
    };
    let known = sketch.ends.last().map_or(0.0, |&end| price(0..end));
    let each: Vec<f64> = sketch.ends.windows(2).map(|w| price(w[0]..w[1])).collect();
    let &[.., a, b, c, d] = &each[..] else { return known };
    // of two neighbours, for a square has a product more at every second
    let more = f64::max(0.25 * (c + d - a - b), 0.0);
    let left = f64::max(f64::from(order) - 1.0 - each.len() as f64, 0.0);
    let mean = 0.5 * (c + d) + more * (1.0 + 0.5 * left);
    known + left * mean + f64::from(program.sizes.state) * f64::from(order + 1)
}

impl Prices {
    fn rhs(&self, program: &Program) -> f64 {
        let mut functions = Vec::with_capacity(program.functions.len());
        for f in &program.functions {
            let cost = self.kernel(program, &f.code, &functions);
            functions.push(cost);
        }
        self.kernel(program, &program.rhs, &functions)
    }

    fn kernel(&self, program: &Program, k: &Kernel, functions: &[f64]) -> f64 {
        self.region(program, k, &k.body, functions)
    }

    fn region(&self, program: &Program, k: &Kernel, body: &[Stmt], functions: &[f64]) -> f64 {
        let region = |body: &[Stmt]| self.region(program, k, body, functions);
        body.iter()
            .map(|s| match s {
                Stmt::Eval(v) => k.values.get(v.index()).map_or(0.0, |v| self.op(&v.op, functions)),
                Stmt::Store { .. } => self.simple,
                Stmt::For(f) => (f.hi - f.lo).max(0) as f64 * (self.simple + region(&f.body)),
                Stmt::If(i) => self.simple + region(&i.then).max(region(&i.otherwise)),
                Stmt::Solve(b) | Stmt::SolveTangent(b) => {
                    let Some(block) = program.blocks.get(b.index()) else { return 0.0 };
                    let n = f64::from(block.n);
                    let residual = self.kernel(program, &block.residual, functions);
                    let (entries, jacobian) = match &block.jacobian {
                        Some(j) => (f64::from(j.entries), self.kernel(program, &j.kernel, functions)),
                        None => (n * n, n * residual),
                    };
                    let iterations = if block.linear { 1.0 } else { ITERATIONS };
                    let factors = entries * (entries / n.max(1.0)).max(1.0);
                    let matrix = self.simple * (factors + 4.0 * entries);
                    residual + iterations * (residual + jacobian + matrix + self.iteration)
                }
            })
            .sum()
    }

    fn op(&self, op: &Op, functions: &[f64]) -> f64 {
        match op {
            Op::ConstF(_) | Op::ConstI(_) | Op::ConstB(_) | Op::IndexI(_) | Op::IndexF(_) => 0.0,
            Op::Bin(BinOp::Div, ..) | Op::Un(UnOp::Sqrt, _) => self.quotient,
            Op::Math(MathFn::Pow, _) => self.math[1],
            Op::Math(..) => self.math[0],
            Op::Table { .. } | Op::Delay { .. } => self.table,
            Op::Call(f, _) => self.call(*f, functions),
            _ => self.simple,
        }
    }

    fn call(&self, f: FuncId, functions: &[f64]) -> f64 {
        self.call + functions.get(f.index()).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::{of_kernel, of_recurrences};
    use twinml_model::passes::taylor;
    use twinml_model::text::read_program;

    const LORENZ: &str = "
        v0 = load state[0]
        v1 = load state[1]
        v2 = load state[2]
        v3 = const 10.0
        v4 = sub v1, v0
        v5 = mul v3, v4
        der[0] = v5 @0
        v6 = const 28.0
        v7 = sub v6, v2
        v8 = mul v0, v7
        v9 = sub v8, v1
        der[1] = v9 @0
        v10 = mul v0, v1
        v11 = const 2.5
        v12 = mul v11, v2
        v13 = sub v10, v12
        der[2] = v13 @0";
    const KEPLER: &str = "
        v0 = load state[0]
        v1 = load state[1]
        v2 = mul v1, v1
        v3 = fma v0, v0, v2
        v4 = const 1.5
        v5 = math.pow v3, v4
        v6 = load state[2]
        der[0] = v6 @0
        v7 = load state[3]
        der[1] = v7 @0
        v8 = neg v0
        v9 = div v8, v5
        der[2] = v9 @0
        v10 = neg v1
        v11 = div v10, v5
        der[3] = v11 @0";
    const FORCED: &str = "
        v0 = load time[0]
        v1 = math.sin v0
        v2 = load state[0]
        v3 = math.exp v2
        v4 = sub v1, v3
        der[0] = v4 @0";
    const LINEAR: &str = "
        v0 = load state[1]
        der[0] = v0 @0
        v1 = load state[0]
        v2 = neg v1
        der[1] = v2 @0";

    /// What the lowest six orders tell of all of them is within a quarter of what they are.
    #[test]
    fn the_beginning_of_a_series_tells_its_length() {
        for (name, states, body) in
            [("Lorenz", 3, LORENZ), ("Kepler", 4, KEPLER), ("forced", 1, FORCED), ("linear", 2, LINEAR)]
        {
            let text = format!(
                "program \"{name}\"\nsizes state {states} param 0 input 0 var 0 disc 0 root 0 res 0 jac 0 hist 0\n\
                 origin 4294967295 0..0 line 0 \"\"\nkernel rhs \"rhs\" indices 0 {{{body}\n}}\n"
            );
            let program = read_program(&text).unwrap();
            let sketch = taylor::sketch(&program, 6).unwrap();
            assert_eq!(sketch.ends.len(), 6, "{name}: the values, and five orders that the sixth is made of");
            for order in [12, 18, 24] {
                let whole = of_kernel(&program, &taylor::coefficients(&program, order).unwrap());
                let told = of_recurrences(&program, &sketch, order);
                assert!((told / whole - 1.0).abs() < 0.03, "{name} of order {order}: {told} for {whole}");
            }
        }
    }
}
