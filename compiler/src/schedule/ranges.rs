//! Watched conditions: those over parameters alone become hidden parameters, the others event functions that
//! are positive where the condition is broken. Neither changes what is computed of the model.

use crate::flat::{
    Affine, BinOp, BoolOp, CmpOp, Equation, Expr, HIDDEN, Loop, Piece, Role, System, UnOp, Var,
};
use crate::structural::{expr, isolate::sub, sets};
use twinml_model::ids::VarId;
use twinml_model::program::RangeElse;
use twinml_model::schema::{Kind, Segment};

/// A watched condition with its place.
#[derive(Clone, Debug)]
pub struct Range {
    /// The element that is watched, and in its right side the event function or the truth value.
    pub is: Equation,
    /// The instance's number, affine in the loops.
    pub instance: Affine,
    /// What happens where it is broken.
    pub otherwise: RangeElse,
    /// Number of instances.
    pub len: u32,
    /// The hidden parameter that says whether it holds; `None`: an event function.
    pub param: Option<VarId>,
}

/// A family, the element at the start of a nest, and rounds and stride of each loop.
pub type Elements = (VarId, i64, Vec<(u32, i64)>);

impl Range {
    /// The element watched, its family, and rounds and stride of each loop.
    pub fn element(&self) -> Option<Elements> {
        let Expr::Var(var, at) = &self.is.left else { return None };
        let mut first = at.base;
        let mut nest = Vec::with_capacity(self.is.loops.len());
        for l in &self.is.loops {
            let stride: i64 = at.terms.iter().filter(|(i, _)| *i == l.index).map(|(_, k)| *k).sum();
            first += stride * l.lo;
            nest.push((u32::try_from(l.hi - l.lo).ok()?, stride));
        }
        Some((*var, first, nest))
    }
}

/// Takes the conditions out of the system.
pub fn extract(system: &mut System) -> Vec<Range> {
    let mut out = Vec::new();
    for range in std::mem::take(&mut system.ranges) {
        let len = sets::points(&range.is.loops).clamp(0, i64::from(u32::MAX)) as u32;
        if len == 0 {
            continue;
        }
        let mut parts = Vec::new();
        conjuncts(range.is.right.clone(), range.is.span, &mut parts);
        for (cond, span) in parts {
            let fixed = fixed(system, &cond);
            let mut is = Equation { right: cond, span, ..range.is.clone() };
            let instance = numbered(&is.loops);
            let param = if fixed {
                is.right = Expr::NoEvent(Box::new(Expr::BoolToNum(Box::new(is.right))));
                let piece = Piece {
                    loops: is.loops.clone(),
                    element: instance.clone(),
                    expr: is.right.clone(),
                    span,
                };
                let name = format!("{HIDDEN}range{}", out.len());
                let axes = if len == 1 { vec![] } else { vec![len] };
                let plain =
                    Var::plain(vec![Segment { name, axes }], len, Role::Parameter, Kind::Real, piece.span);
                system.vars.push(Var { value: vec![piece], ..plain });
                Some(VarId::new(system.vars.len() - 1))
            } else {
                is.right = Expr::NoEvent(Box::new(broken(&is.right)));
                None
            };
            out.push(Range { is, instance, otherwise: range.otherwise, len, param });
        }
    }
    out
}

/// The conditions that must all hold, each with its place.
fn conjuncts(e: Expr, whole: crate::source::Span, out: &mut Vec<(Expr, crate::source::Span)>) {
    match e {
        Expr::BoolBin(BoolOp::And, a, b) => {
            conjuncts(*a, whole, out);
            conjuncts(*b, whole, out);
        }
        Expr::Bool(true) => {}
        Expr::Cmp(_, _, _, span) => out.push((e, span)),
        e => out.push((e, whole)),
    }
}

/// Whether a condition cannot change between events.
fn fixed(system: &System, e: &Expr) -> bool {
    let mut all = !super::nominal::depends_on_time(e);
    expr::uses(e, &mut |u| all &= system.vars[u.var.index()].role == Role::Parameter);
    all
}

/// A function that is positive exactly where the condition does not hold, and continuous where that is possible.
fn broken(e: &Expr) -> Expr {
    let bin = |op, a, b| Expr::Bin(op, Box::new(a), Box::new(b));
    match e {
        Expr::Cmp(CmpOp::Ge, a, b, _) => sub((**b).clone(), (**a).clone()),
        Expr::Cmp(CmpOp::Le, a, b, _) => sub((**a).clone(), (**b).clone()),
        Expr::Cmp(CmpOp::Gt, a, b, span) => strict(a, b, *span),
        Expr::Cmp(CmpOp::Lt, a, b, span) => strict(b, a, *span),
        Expr::Cmp(CmpOp::Eq, a, b, _) => Expr::Un(UnOp::Abs, Box::new(sub((**a).clone(), (**b).clone()))),
        Expr::BoolBin(BoolOp::And, a, b) => bin(BinOp::Max, broken(a), broken(b)),
        Expr::BoolBin(BoolOp::Or, a, b) => bin(BinOp::Min, broken(a), broken(b)),
        other => Expr::BoolToNum(Box::new(Expr::Not(Box::new(other.clone())))),
    }
}

/// `a > b` is broken where the two are equal, too.
fn strict(a: &Expr, b: &Expr, span: crate::source::Span) -> Expr {
    let holds = Expr::Cmp(CmpOp::Gt, Box::new(a.clone()), Box::new(b.clone()), span);
    let distance = sub(b.clone(), a.clone());
    let least = Expr::Bin(BinOp::Max, Box::new(distance.clone()), Box::new(Expr::Num(f64::MIN_POSITIVE)));
    Expr::If(Box::new(holds), Box::new(distance), Box::new(least))
}

/// The number of a point of a nest, row-major from 0.
pub fn numbered(loops: &[Loop]) -> Affine {
    let mut stride = 1;
    let mut at = Affine::constant(0);
    for l in loops.iter().rev() {
        at = at.plus(l.index, stride);
        at.base -= stride * l.lo;
        stride *= (l.hi - l.lo).max(1);
    }
    at
}
