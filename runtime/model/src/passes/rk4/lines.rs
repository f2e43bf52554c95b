//! Values that follow a state along a line.
//!
//! Where a right-hand side knows a state `x` only by values `α + β·x` whose `α` and `β` no step changes (`r − z`, `b·z`, `h/8`), a
//! stage computes these from the first stage's, `(α + β·x) + (c·β)·k`: as many operations as `x + c·k` would take for each of
//! them, and neither that sum nor what leads from it to them is needed.

use super::{Evaluation, Inline};
use crate::ids::Value;
use crate::ir::{BinOp, CmpOp, Kernel, Op, Space, Stmt, Ty, UnOp};
use rustc_hash::FxHashMap;

/// The values of a right-hand side that follow states.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// By value of the right-hand side: the state that it follows, and whether others read it than those that do too.
    of: FxHashMap<Value, (usize, bool)>,
    /// In the first stage: what it became, and `β` (none: 1).
    first: FxHashMap<Value, (Value, Option<Value>)>,
    /// How far the states have moved at the stage at hand: `c` and `k`. Empty in the first stage.
    pub moved: Vec<(Value, Value)>,
}

/// Whether no step changes it, of right-hand sides as they stand.
fn fixed(op: &Op, known: &[bool]) -> bool {
    match op {
        Op::ConstF(_) => true,
        Op::Load(place) => matches!(place.space, Space::Param | Space::Input | Space::Disc),
        Op::Un(..) | Op::Bin(..) | Op::Fma(..) => op.operands().all(|v| known[v.index()]),
        _ => false,
    }
}

/// A divisor that has a reciprocal.
fn divisor(op: &Op) -> Option<f64> {
    match op {
        Op::ConstF(bits) => Some(f64::from_bits(*bits)).filter(|d| d.is_normal() && d.recip().is_normal()),
        _ => None,
    }
}

impl Lines {
    /// Those worth following. None where a right-hand side has loops or branches.
    pub fn of(rhs: &Kernel) -> Lines {
        let mut lines = Lines::default();
        let mut known = vec![false; rhs.values.len()];
        // by state: whether something else reads it, operations, values for others
        let mut states: FxHashMap<usize, (bool, usize, usize)> = FxHashMap::default();
        for stmt in &rhs.body {
            match stmt {
                Stmt::Eval(v) => {
                    let op = &rhs.values[v.index()].op;
                    known[v.index()] = fixed(op, &known);
                    if let Op::Load(place) = op
                        && place.space == Space::State
                    {
                        let Ok(slot) = usize::try_from(place.at.base) else { return Lines::default() };
                        if !place.at.terms.is_empty() {
                            return Lines::default();
                        }
                        lines.of.insert(*v, (slot, false));
                        continue;
                    }
                    match lines.followed(rhs, op, &known) {
                        Some(a) => {
                            let state = lines.of[&a].0;
                            lines.of.insert(*v, (state, false));
                            states.entry(state).or_default().1 += usize::from(!matches!(op, Op::Un(..)));
                        }
                        None => op.operands().for_each(|a| lines.read(rhs, a, &mut states)),
                    }
                }
                Stmt::Store { value, .. } => lines.read(rhs, *value, &mut states),
                _ => return Lines::default(),
            }
        }
        // as many operations as values: the state's own is saved; more than two values take registers for longer than it pays
        lines.of.retain(|_, (state, _)| {
            states.get(state).is_some_and(|s| !s.0 && (1..=2).contains(&s.2) && s.1 >= s.2)
        });
        lines
    }

    /// The operand that such a value follows its state by.
    fn followed(&self, rhs: &Kernel, op: &Op, known: &[bool]) -> Option<Value> {
        let line = |v: &Value| self.of.contains_key(v);
        let still = |v: &Value| known[v.index()];
        match op {
            Op::Un(UnOp::Neg, a) => Some(*a).filter(line),
            Op::Bin(BinOp::Add | BinOp::Sub | BinOp::Mul, a, b) if line(a) && still(b) => Some(*a),
            Op::Bin(BinOp::Add | BinOp::Sub | BinOp::Mul, a, b) if still(a) && line(b) => Some(*b),
            Op::Bin(BinOp::Div, a, b) if line(a) && divisor(&rhs.values[b.index()].op).is_some() => Some(*a),
            Op::Fma(a, b, c) if line(a) && still(b) && still(c) => Some(*a),
            Op::Fma(a, b, c) if still(a) && line(b) && still(c) => Some(*b),
            _ => None,
        }
    }

    /// Something else reads a value.
    fn read(&mut self, rhs: &Kernel, v: Value, states: &mut FxHashMap<usize, (bool, usize, usize)>) {
        let Some((state, read)) = self.of.get_mut(&v) else { return };
        let (else_, _, count) = states.entry(*state).or_default();
        *else_ |= matches!(rhs.values[v.index()].op, Op::Load(_));
        *count += usize::from(!std::mem::replace(read, true));
    }

    /// What a value that others read became in the first stage, its `β`, and the state that it follows.
    pub fn start(&self, v: Value) -> Option<(Value, Option<Value>, usize)> {
        let &(state, read) = self.of.get(&v)?;
        let &(first, factor) = self.first.get(&v)?;
        read.then_some((first, factor, state))
    }

    /// Whether nothing needs the state itself in later stages.
    pub fn instead_of(&self, state: usize) -> bool {
        self.of.values().any(|of| of.0 == state)
    }
}

impl Inline<'_> {
    /// A value of the right-hand side in a later stage, where it follows a state.
    pub(super) fn along(&mut self, v: Value, kernel: &Kernel) -> Option<Value> {
        let lines = &self.lines;
        if lines.moved.is_empty() || matches!(kernel.values[v.index()].op, Op::Load(_)) {
            return None;
        }
        let &(state, read) = lines.of.get(&v)?;
        let &(first, factor) = lines.first.get(&v)?;
        if !read {
            // only its like would read it
            return Some(first);
        }
        let (c, k) = lines.moved[state];
        let factor = factor.map(|f| self.finite(f));
        let c = self.scaled(c, factor);
        Some(self.push(Op::Fma(c, k, first)))
    }

    /// Remembers what such a value became in the first stage.
    pub(super) fn remember(&mut self, v: Value, became: Value, e: &Evaluation<'_>) -> Option<()> {
        if !self.lines.moved.is_empty() || !self.lines.of.contains_key(&v) {
            return Some(());
        }
        let kernel = e.kernel.clone();
        let factor_of = |c: &Self, a: Value| c.lines.first.get(&a).map(|f| f.1);
        let factor = match kernel.values[v.index()].op {
            Op::Un(_, a) => self.minus(factor_of(self, a)?),
            Op::Bin(op, a, b) => match (factor_of(self, a), op) {
                (Some(f), BinOp::Mul) => Some(self.times(f, e.get(b)?)),
                (Some(f), BinOp::Div) => {
                    let c = divisor(&kernel.values[b.index()].op)?.recip();
                    let c = self.constant(c);
                    Some(self.times(f, c))
                }
                (Some(f), _) => f,
                (None, BinOp::Mul) => {
                    let f = factor_of(self, b)?;
                    Some(self.times(f, e.get(a)?))
                }
                (None, BinOp::Sub) => {
                    let f = factor_of(self, b)?;
                    self.minus(f)
                }
                (None, _) => factor_of(self, b)?,
            },
            Op::Fma(a, b, _) => match factor_of(self, a) {
                Some(f) => Some(self.times(f, e.get(b)?)),
                None => {
                    let f = factor_of(self, b)?;
                    Some(self.times(f, e.get(a)?))
                }
            },
            _ => None,
        };
        self.lines.first.insert(v, (became, factor));
        Some(())
    }

    /// A factor, or 0 where it is infinite: what is infinite in the first stage stays so, and is no NaN.
    pub(super) fn finite(&mut self, f: Value) -> Value {
        if matches!(self.out.values[f.index()].op, Op::ConstF(_)) {
            return f;
        }
        let (zero, limit) = (self.constant(0.0), self.constant(f64::MAX));
        let size = self.once(Op::Un(UnOp::Abs, f));
        let usual = self.once_as(Op::Cmp(CmpOp::Le, size, limit), Ty::Bool);
        self.once(Op::Select(usual, f, zero))
    }

    fn times(&mut self, factor: Option<Value>, c: Value) -> Value {
        match factor {
            Some(f) => self.once(Op::Bin(BinOp::Mul, f, c)),
            None => c,
        }
    }

    fn minus(&mut self, factor: Option<Value>) -> Option<Value> {
        Some(match factor {
            Some(f) => self.once(Op::Un(UnOp::Neg, f)),
            None => self.constant(-1.0),
        })
    }
}
