//! The sums of a classic Runge–Kutta step, in as few operations as there are.
//!
//! With `kᵢ = c·eᵢ`, where no step changes `c` (a parameter, a formula of parameters), the product is not computed: `c`
//! goes into the factors `h/2`, `h` and `h/6`, once before all steps. `k1 + 2·k2 + 2·k3 + k4` is
//! `k1 + 2·(k2 + k3) + k4`, and where `k4` is itself a sum of products, these are added to it one by one.
//!
//! A state whose derivative is another state `v` (or a constant times it) needs no sum of its own: with
//! `v`'s `a = k1 + k2 + k3`, `x ← x + h·(v + h/6·a)`, as in Nyström's methods, which is the same in exact arithmetic.

use super::Inline;
use super::lines::Lines;
use super::turns::Turns;
use crate::ids::Value;
use crate::ir::{BinOp, Kernel, Op, Stmt, Ty, UnOp};
use crate::passes::dead::Traps;
use crate::passes::{Level, simplified};
use crate::program::Program;
use std::sync::Arc;

/// The derivative of one state in the four stages: `factor·values`.
#[derive(Clone, Debug)]
struct Slope {
    factor: Option<Value>,
    values: [Value; 4],
    /// The state whose values these are.
    state: Option<usize>,
}

/// The right-hand side in the form that decisions here are made on, the same whatever level of optimisation it has been
/// through.
fn plain_form(program: &Program) -> Kernel {
    let traps = Traps::of(program);
    let mut rhs = simplified(&program.rhs, Level::O2, &traps);
    for _ in 0..3 {
        let simple = simplified(&rhs, Level::O2, &traps);
        if std::mem::replace(&mut rhs, simple) == rhs {
            break;
        }
    }
    rhs
}

impl Inline<'_> {
    /// A step from grid point `number` on, each product fused with its sum, as in [`super::Steps`]. `None` as there.
    pub fn rk4(&mut self, number: Value, x: &[Value], t0: f64, h: f64) -> Option<Vec<Value>> {
        let rhs = std::mem::replace(&mut self.rhs, Arc::new(plain_form(self.program)));
        self.tight = true;
        if self.program.clamps.is_empty() {
            self.lines = Lines::of(&self.rhs);
            self.turns = Turns::of(x);
        }
        let next = self.tight_rk4(number, x, t0, h);
        self.lines = Lines::default();
        self.turns = Turns::default();
        self.tight = false;
        self.rhs = rhs;
        next
    }

    fn tight_rk4(&mut self, number: Value, x: &[Value], t0: f64, h: f64) -> Option<Vec<Value>> {
        let n = x.len();
        let [h_, half, sixth, two, t0_] = [h, 0.5 * h, h / 6.0, 2.0, t0].map(|c| self.constant(c));
        let mut times = [number; 3];
        for (k, time) in times.iter_mut().enumerate() {
            let later = self.constant(0.5 * k as f64);
            let at = if k == 0 { number } else { self.push(Op::Bin(BinOp::Add, number, later)) };
            let since = self.push(Op::Bin(BinOp::Mul, at, h_));
            *time = self.push(Op::Bin(BinOp::Add, t0_, since));
        }
        let mut at = vec![x.to_vec()];
        let mut factors: Vec<Option<Value>> = Vec::new();
        let mut stages: Vec<Vec<Value>> = Vec::new();
        for stage in 0..4usize {
            let k = self.rhs(times[stage.div_ceil(2)], &at[stage])?;
            let split: Vec<(Option<Value>, Value)> = k.iter().map(|&k| self.split(k)).collect();
            if stage == 0 {
                factors = split.iter().map(|s| s.0).collect();
            }
            // all stages of a state have the same factor, or none is taken out
            stages.push((0..n).map(|i| if split[i].0 == factors[i] { split[i].1 } else { k[i] }).collect());
            if stage < 3 {
                let c = if stage < 2 { half } else { h_ };
                self.lines.moved.clear();
                let mut next = x.to_vec();
                for i in 0..n {
                    let same = split[i].0 == factors[i];
                    let c = self.scaled(c, if same { factors[i] } else { None });
                    let k = stages[stage][i];
                    self.lines.moved.push((c, k));
                    if !self.lines.instead_of(i) {
                        next[i] = self.push(Op::Fma(c, k, x[i]));
                    }
                }
                at.push(next);
            }
            for i in 0..n {
                if split[i].0 != factors[i] {
                    // the earlier ones get theirs back
                    if let Some(c) = factors[i].take() {
                        for earlier in &mut stages[..stage] {
                            earlier[i] = self.push(Op::Bin(BinOp::Mul, c, earlier[i]));
                        }
                    }
                    stages[stage][i] = k[i];
                }
            }
        }
        let slopes: Vec<Slope> = (0..n)
            .map(|i| {
                let values = [0, 1, 2, 3].map(|s: usize| stages[s][i]);
                let state = (0..n).find(|&m| m != i && (0..4).all(|s| values[s] == at[s][m]));
                Slope { factor: factors[i], values, state }
            })
            .collect();
        let uses = self.uses();
        // k2 + k3 of each state, and k1 + k2 + k3 where another state needs it
        let mut middle = vec![None; n];
        let mut three = vec![None; n];
        let mut next = vec![x[0]; n];
        for i in 0..n {
            let Some(m) = slopes[i].state else { continue };
            let [k1, k2, k3, _] = slopes[m].values;
            let sum = match three[m] {
                Some(sum) => sum,
                None => {
                    let s = *middle[m].get_or_insert_with(|| self.push(Op::Bin(BinOp::Add, k2, k3)));
                    let sum = self.push(Op::Bin(BinOp::Add, k1, s));
                    three[m] = Some(sum);
                    sum
                }
            };
            let c = self.scaled(sixth, slopes[m].factor);
            let mean = self.push(Op::Fma(c, sum, x[m]));
            let c = self.scaled(h_, slopes[i].factor);
            next[i] = self.push(Op::Fma(c, mean, x[i]));
        }
        for i in (0..n).filter(|&i| slopes[i].state.is_none()) {
            let [k1, k2, k3, k4] = slopes[i].values;
            let s = *middle[i].get_or_insert_with(|| self.push(Op::Bin(BinOp::Add, k2, k3)));
            let sum = self.push(Op::Fma(two, s, k1));
            let sum = self.plus(sum, k4, false, &uses, 0);
            let c = self.scaled(sixth, slopes[i].factor);
            next[i] = self.push(Op::Fma(c, sum, x[i]));
        }
        Some(next)
    }

    /// `c·factor`, before all steps.
    pub(super) fn scaled(&mut self, c: Value, factor: Option<Value>) -> Value {
        match factor {
            Some(f) => self.once(Op::Bin(BinOp::Mul, c, f)),
            None => c,
        }
    }

    /// `(c, e)` where the value is `c·e` and no step changes `c`.
    fn split(&mut self, v: Value) -> (Option<Value>, Value) {
        match self.out.values[v.index()].op {
            Op::Bin(BinOp::Mul, a, b) => {
                let (c, e) = match (self.unchanged.contains(&a), self.unchanged.contains(&b)) {
                    (true, false) => (a, b),
                    (false, true) => (b, a),
                    _ => return (None, v),
                };
                match self.split(e) {
                    (Some(d), e) => (Some(self.once(Op::Bin(BinOp::Mul, c, d))), e),
                    (None, e) => (Some(c), e),
                }
            }
            Op::Un(UnOp::Neg, a) => match self.split(a) {
                (Some(c), e) => (Some(self.once(Op::Un(UnOp::Neg, c))), e),
                (None, _) => (None, v),
            },
            _ => (None, v),
        }
    }

    /// How often each value is an operand.
    fn uses(&self) -> Vec<u32> {
        let mut uses = vec![0; self.out.values.len()];
        for data in &self.out.values {
            for v in data.op.operands() {
                uses[v.index()] += 1;
            }
        }
        uses
    }

    /// Whether a value is a sum that begins with a product of its own, which can begin with another sum instead. `depth`
    /// values above it lead to it; they and it have no other reader.
    fn pays(&self, v: Value, uses: &[u32], depth: u32) -> bool {
        if uses.get(v.index()).is_none_or(|&u| u > u32::from(depth > 0)) {
            return false;
        }
        match self.out.values[v.index()].op {
            Op::Bin(BinOp::Mul, ..) => true,
            Op::Fma(_, _, c) => self.pays(c, uses, depth + 1),
            Op::Un(UnOp::Neg, a) => self.pays(a, uses, depth + 1),
            Op::Bin(BinOp::Add | BinOp::Sub, a, b) => {
                self.pays(a, uses, depth + 1) || self.pays(b, uses, depth + 1)
            }
            _ => false,
        }
    }

    /// `sum + v`, or `sum − v` where `minus`.
    fn plus(&mut self, sum: Value, v: Value, minus: bool, uses: &[u32], depth: u32) -> Value {
        if !self.pays(v, uses, depth) {
            let op = if minus { BinOp::Sub } else { BinOp::Add };
            return self.push(Op::Bin(op, sum, v));
        }
        let depth = depth + 1;
        let (a, b, rest) = match self.out.values[v.index()].op {
            Op::Bin(BinOp::Mul, a, b) => (a, b, sum),
            Op::Fma(a, b, c) => (a, b, self.plus(sum, c, minus, uses, depth)),
            Op::Un(UnOp::Neg, a) => return self.plus(sum, a, !minus, uses, depth),
            Op::Bin(op, a, b) => {
                let sum = self.plus(sum, a, minus, uses, depth);
                return self.plus(sum, b, minus != (op == BinOp::Sub), uses, depth);
            }
            _ => return sum,
        };
        let a = if minus { self.push(Op::Un(UnOp::Neg, a)) } else { a };
        self.push(Op::Fma(a, b, rest))
    }

    /// An operation on values that no step changes, done once before all steps.
    pub(super) fn once(&mut self, op: Op) -> Value {
        self.once_as(op, Ty::F64)
    }

    pub(super) fn once_as(&mut self, op: Op, ty: Ty) -> Value {
        if let Some(&v) = self.done_once.get(&op) {
            return v;
        }
        let v = self.out.value(op.clone(), ty);
        self.before.push(Stmt::Eval(v));
        self.done_once.insert(op, v);
        self.unchanged.insert(v);
        v
    }

    /// An operation of the right-hand side, where roundings are this method's: what no step changes is computed once,
    /// a difference of two products is fused.
    pub(super) fn tightened(&mut self, op: Op) -> Result<Value, Op> {
        if !self.tight || !matches!(op, Op::Un(..) | Op::Bin(..) | Op::Fma(..)) {
            return Err(op);
        }
        if op.operands().all(|v| self.unchanged.contains(&v)) {
            return Ok(self.once(op));
        }
        let Op::Bin(BinOp::Sub, a, b) = op else { return Err(op) };
        match self.out.values[a.index()].op {
            Op::Bin(BinOp::Mul, p, q) if a != b => {
                let minus = self.push(Op::Un(UnOp::Neg, b));
                Ok(self.push(Op::Fma(p, q, minus)))
            }
            _ => Err(op),
        }
    }
}
