//! Angles that follow a state.
//!
//! A step's later stages ask for the sine or cosine of a state `x` at `x + c·k`, which is near: how `x` was reduced in the
//! first stage serves them too ([`MathFn::SinMoved`]).

use super::{Evaluation, Inline};
use crate::ids::Value;
use crate::ir::{BinOp, MathFn, Op, Space};

/// The states at the beginning of a step; empty where their sines are to be taken as they stand.
#[derive(Debug, Default)]
pub(super) struct Turns {
    first: Vec<Value>,
}

impl Turns {
    pub fn of(x: &[Value]) -> Turns {
        Turns { first: x.to_vec() }
    }
}

impl Inline<'_> {
    /// The sine or cosine of a state, or of what follows one, in a later stage; outer `None`: invalid.
    pub(super) fn turned(&mut self, f: MathFn, args: &[Value], e: &Evaluation<'_>) -> Option<Option<Value>> {
        let moved = match f {
            MathFn::Sin => MathFn::SinMoved,
            MathFn::Cos => MathFn::CosMoved,
            MathFn::SinBeside => MathFn::SinBesideMoved,
            _ => return Some(None),
        };
        let &[arg] = args else { return Some(None) };
        if self.turns.first.is_empty() || self.lines.moved.is_empty() {
            return Some(None);
        }
        let (x, factor, state) = match &e.kernel.values.get(arg.index())?.op {
            Op::Load(place) if place.space == Space::State => {
                let state = usize::try_from(e.slot(&place.at)?).ok()?;
                (*self.turns.first.get(state)?, None, state)
            }
            _ => match self.lines.start(arg) {
                Some(start) => start,
                None => return Some(None),
            },
        };
        let &(c, k) = self.lines.moved.get(state)?;
        let factor = factor.map(|f| self.finite(f));
        let c = self.scaled(c, factor);
        let d = self.push(Op::Bin(BinOp::Mul, c, k));
        Some(Some(self.push(Op::Math(moved, vec![x, d]))))
    }
}
