//! The words of the text form, for both directions.

use crate::ir::{BinOp, BoolOp, CmpOp, IntOp, Space, Ty, UnOp};
use crate::program::{Outside, TableMethod};
use crate::schema::Role;

/// Pairs of a thing and its word.
pub(super) type Words<T> = [(T, &'static str)];

/// The word of a thing. Every list below is complete, which a test checks.
pub(super) fn word<T: PartialEq>(list: &Words<T>, thing: &T) -> &'static str {
    list.iter().find(|(t, _)| t == thing).map_or("?", |(_, w)| w)
}

/// The thing of a word.
pub(super) fn thing<T: Copy>(list: &Words<T>, word: &str) -> Option<T> {
    list.iter().find(|(_, w)| *w == word).map(|(t, _)| *t)
}

pub(super) const TYPES: &Words<Ty> = &[(Ty::F64, "f"), (Ty::I64, "i"), (Ty::Bool, "b")];

pub(super) const UN: &Words<UnOp> = &[
    (UnOp::Neg, "neg"),
    (UnOp::Abs, "abs"),
    (UnOp::Sqrt, "sqrt"),
    (UnOp::Floor, "floor"),
    (UnOp::Ceil, "ceil"),
    (UnOp::Trunc, "trunc"),
    (UnOp::Rint, "rint"),
    (UnOp::Sign, "sign"),
];

pub(super) const BIN: &Words<BinOp> = &[
    (BinOp::Add, "add"),
    (BinOp::Sub, "sub"),
    (BinOp::Mul, "mul"),
    (BinOp::Div, "div"),
    (BinOp::Min, "min"),
    (BinOp::Max, "max"),
    (BinOp::CopySign, "copysign"),
];

pub(super) const CMP: &Words<CmpOp> = &[
    (CmpOp::Eq, "eq"),
    (CmpOp::Ne, "ne"),
    (CmpOp::Lt, "lt"),
    (CmpOp::Le, "le"),
    (CmpOp::Gt, "gt"),
    (CmpOp::Ge, "ge"),
];

pub(super) const INT: &Words<IntOp> = &[
    (IntOp::Add, "i.add"),
    (IntOp::Sub, "i.sub"),
    (IntOp::Mul, "i.mul"),
    (IntOp::MulHiU, "i.mulhu"),
    (IntOp::And, "i.and"),
    (IntOp::Or, "i.or"),
    (IntOp::Xor, "i.xor"),
    (IntOp::Shl, "i.shl"),
    (IntOp::ShrU, "i.shru"),
    (IntOp::ShrS, "i.shrs"),
];

pub(super) const BOOL: &Words<BoolOp> =
    &[(BoolOp::And, "b.and"), (BoolOp::Or, "b.or"), (BoolOp::Xor, "b.xor")];

pub(super) const METHODS: &Words<TableMethod> = &[
    (TableMethod::Linear, "linear"),
    (TableMethod::Step, "step"),
    (TableMethod::Pchip, "pchip"),
    (TableMethod::Cubic, "cubic"),
];

pub(super) const OUTSIDE: &Words<Outside> = &[
    (Outside::Hold, "hold"),
    (Outside::Error, "error"),
    (Outside::Extend, "extend"),
    (Outside::Repeat, "repeat"),
];

pub(super) const ROLES: &Words<Role> = &[
    (Role::Parameter, "parameter"),
    (Role::Input, "input"),
    (Role::Output, "output"),
    (Role::State, "state"),
    (Role::Discrete, "discrete"),
    (Role::Variable, "variable"),
];

/// The space of a printed name.
pub(super) fn space(word: &str) -> Option<Space> {
    Space::ALL.into_iter().find(|s| s.name() == word)
}
