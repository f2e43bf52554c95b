//! What formulas of parameters are where these are what the model gives: a matrix has zeros, and nothing is solved by
//! dividing by them.

use crate::flat::{Affine, BinOp, BoolOp, Expr, Loop, MathFn, Role, StepFn, System, UnOp};
use crate::structural::expr;
use twinml_model::ids::{Index, VarId};
use twinml_model::interp::scalar;
use twinml_model::ir;
use twinml_model::math::eval;

/// Formulas of formulas are followed so far.
const DEPTH: u32 = 32;
/// Most rounds of a piece's loops in which an element is looked for.
const ROUNDS: i64 = 4096;
/// What sines and cosines of angles that are not exact may be beside 0.
const ROUNDING: f64 = 1e-14;

/// Whether an expression is the same all through a run, and not zero as far as can be seen.
pub fn constant(system: &System, e: &Expr) -> bool {
    let mut fixed = !matches!(e, Expr::Num(x) if *x == 0.0);
    expr::uses(e, &mut |u| fixed &= system.vars[u.var.index()].role == Role::Parameter);
    let nominal = Nominal { system, at: &[], depth: DEPTH };
    fixed && !depends_on_time(e) && nominal.of(e) != Some(0.0)
}

/// Whether an expression is another one at another time by itself.
pub fn depends_on_time(e: &Expr) -> bool {
    let mut any = matches!(e, Expr::Time | Expr::Delay(..));
    expr::children(e, &mut |c| any |= depends_on_time(c));
    any
}

/// Where a formula stands: the values of the loops' indices around it.
struct Nominal<'s> {
    system: &'s System,
    at: &'s [(Index, i64)],
    depth: u32,
}

impl Nominal<'_> {
    /// The number that a formula is, truth values 0 and 1; `None` where that is not seen.
    fn of(&self, e: &Expr) -> Option<f64> {
        let truth = |e: &Expr| self.of(e).map(|x| x != 0.0);
        Some(match e {
            Expr::Num(x) => *x,
            Expr::Bool(b) => f64::from(u8::from(*b)),
            Expr::Index(at) => self.place(at)? as f64,
            Expr::Var(v, at) => self.element(*v, self.place(at)?)?,
            Expr::Un(op, a) => {
                let op = match op {
                    UnOp::Neg => ir::UnOp::Neg,
                    UnOp::Abs => ir::UnOp::Abs,
                    UnOp::Sqrt => ir::UnOp::Sqrt,
                    UnOp::Sign => ir::UnOp::Sign,
                };
                scalar::un(op, self.of(a)?)
            }
            Expr::Bin(op, a, b) => {
                let (a, b) = (self.of(a)?, self.of(b)?);
                let op = match op {
                    BinOp::Add => ir::BinOp::Add,
                    BinOp::Sub => ir::BinOp::Sub,
                    BinOp::Mul => ir::BinOp::Mul,
                    BinOp::Div => ir::BinOp::Div,
                    BinOp::Min => ir::BinOp::Min,
                    BinOp::Max => ir::BinOp::Max,
                    BinOp::Pow => return Some(eval::pow(a, b)),
                };
                scalar::bin(op, a, b)
            }
            Expr::Math(f, args) => {
                let arg = |k: usize| args.get(k).map_or(Some(0.0), |a| self.of(a));
                let x = eval::apply(*f, arg(0)?, arg(1)?);
                // The cosine of a right angle is 0 but for rounding.
                let turns = matches!(f, MathFn::Sin | MathFn::Cos | MathFn::Tan);
                if turns && x.abs() < ROUNDING { 0.0 } else { x }
            }
            Expr::Step(f, a, _) => {
                let x = self.of(a)?;
                match f {
                    StepFn::Floor => x.floor(),
                    StepFn::Ceil => x.ceil(),
                    StepFn::Round => x.round(),
                    StepFn::Trunc => x.trunc(),
                }
            }
            Expr::Cmp(op, a, b, _) => f64::from(u8::from(scalar::cmp(*op, self.of(a)?, self.of(b)?))),
            Expr::BoolBin(op, a, b) => {
                let (a, b) = (truth(a)?, truth(b)?);
                f64::from(u8::from(match op {
                    BoolOp::And => a && b,
                    BoolOp::Or => a || b,
                    BoolOp::Xor => a != b,
                }))
            }
            Expr::Not(a) => f64::from(u8::from(!truth(a)?)),
            Expr::If(c, a, b) => self.of(if truth(c)? { a } else { b })?,
            Expr::NoEvent(a) | Expr::BoolToNum(a) => self.of(a)?,
            _ => return None,
        })
    }

    fn place(&self, at: &Affine) -> Option<i64> {
        let known = |i: Index| self.at.iter().find(|(index, _)| *index == i).map(|(_, x)| *x);
        at.terms.iter().try_fold(at.base, |sum, &(i, stride)| Some(sum + stride * known(i)?))
    }

    /// The element of a family as the last piece that gives it says.
    fn element(&self, var: VarId, element: i64) -> Option<f64> {
        let depth = self.depth.checked_sub(1)?;
        let pieces = self.system.vars[var.index()].value.iter();
        pieces.rev().find_map(|p| {
            let at = round_of(&p.loops, &p.element, element)?;
            Some(Nominal { system: self.system, at: &at, depth }.of(&p.expr))
        })?
    }
}

/// The round of the loops that gives this element, if one does.
fn round_of(loops: &[Loop], place: &Affine, element: i64) -> Option<Vec<(Index, i64)>> {
    let rounds = loops.iter().try_fold(1i64, |n, l| n.checked_mul(l.hi - l.lo)).filter(|n| *n <= ROUNDS)?;
    (0..rounds).find_map(|mut k| {
        let mut at = Vec::with_capacity(loops.len());
        for l in loops.iter().rev() {
            at.push((l.index, l.lo + k % (l.hi - l.lo)));
            k /= l.hi - l.lo;
        }
        let here = place.eval(|i| at.iter().find(|(index, _)| *index == i).map_or(0, |(_, x)| *x));
        (here == element).then_some(at)
    })
}
