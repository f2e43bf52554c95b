//! Constant values, as far as they are known before the run: for ranges of declarations.

use crate::hir::{BinOp, CmpOp, Expr, ExprKind, UnOp};

/// The number that an expression of literals is.
pub(super) fn number(e: &Expr) -> Option<f64> {
    value(e, None)
}

fn value(e: &Expr, this: Option<f64>) -> Option<f64> {
    if !e.shape.is_empty() {
        return None;
    }
    match &e.kind {
        ExprKind::Real(x) => Some(*x),
        ExprKind::Int(n) => Some(*n as f64),
        ExprKind::SelfValue => this,
        ExprKind::Unary(UnOp::Neg, a) => Some(-value(a, this)?),
        ExprKind::Binary(op, a, b) => {
            let (a, b) = (value(a, this)?, value(b, this)?);
            match op {
                BinOp::Add => Some(a + b),
                BinOp::Sub => Some(a - b),
                BinOp::Mul => Some(a * b),
                BinOp::Div => Some(a / b),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether a condition over `self` holds for a value; `None` where it needs more than constants.
pub(super) fn holds(cond: &Expr, this: f64) -> Option<bool> {
    match &cond.kind {
        ExprKind::Bool(b) => Some(*b),
        ExprKind::Unary(UnOp::Not, a) => Some(!holds(a, this)?),
        ExprKind::Binary(BinOp::And, a, b) => match (holds(a, this), holds(b, this)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        ExprKind::Binary(BinOp::Or, a, b) => match (holds(a, this), holds(b, this)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        ExprKind::Binary(BinOp::Cmp(op), a, b) => {
            let (a, b) = (value(a, Some(this))?, value(b, Some(this))?);
            Some(match op {
                CmpOp::Eq => a == b,
                CmpOp::Ne => a != b,
                CmpOp::Lt => a < b,
                CmpOp::Le => a <= b,
                CmpOp::Gt => a > b,
                CmpOp::Ge => a >= b,
            })
        }
        _ => None,
    }
}
