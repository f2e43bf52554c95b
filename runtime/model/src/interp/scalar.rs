//! What each scalar operation means. The interpreter and constant folding use these and nothing else.

use crate::ir::{BinOp, BoolOp, CmpOp, IntOp, UnOp};

/// A unary operation.
#[inline]
#[must_use]
pub fn un(op: UnOp, x: f64) -> f64 {
    match op {
        UnOp::Neg => -x,
        UnOp::Abs => x.abs(),
        UnOp::Sqrt => x.sqrt(),
        UnOp::Floor => x.floor(),
        UnOp::Ceil => x.ceil(),
        UnOp::Trunc => x.trunc(),
        UnOp::Rint => x.round_ties_even(),
        UnOp::Sign => sign(x),
    }
}

fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else if x.is_nan() {
        x
    } else {
        0.0
    }
}

/// A binary operation.
#[inline]
#[must_use]
pub fn bin(op: BinOp, a: f64, b: f64) -> f64 {
    match op {
        BinOp::Add => a + b,
        BinOp::Sub => a - b,
        BinOp::Mul => a * b,
        BinOp::Div => a / b,
        BinOp::Min => minimum(a, b),
        BinOp::Max => maximum(a, b),
        BinOp::CopySign => a.copysign(b),
    }
}

/// IEEE 754-2019 `minimum`: NaN if either is, −0 below +0.
#[inline]
#[must_use]
pub fn minimum(a: f64, b: f64) -> f64 {
    if a < b {
        a
    } else if b < a {
        b
    } else if a == b {
        f64::from_bits(a.to_bits() | b.to_bits())
    } else {
        a + b
    }
}

/// IEEE 754-2019 `maximum`: NaN if either is, −0 below +0.
#[inline]
#[must_use]
pub fn maximum(a: f64, b: f64) -> f64 {
    if a > b {
        a
    } else if b > a {
        b
    } else if a == b {
        f64::from_bits(a.to_bits() & b.to_bits())
    } else {
        a + b
    }
}

/// A comparison of `F64`.
#[inline]
#[must_use]
pub fn cmp(op: CmpOp, a: f64, b: f64) -> bool {
    match op {
        CmpOp::Eq => a == b,
        CmpOp::Ne => a != b,
        CmpOp::Lt => a < b,
        CmpOp::Le => a <= b,
        CmpOp::Gt => a > b,
        CmpOp::Ge => a >= b,
    }
}

/// A signed comparison of `I64`.
#[inline]
#[must_use]
pub fn cmp_i(op: CmpOp, a: i64, b: i64) -> bool {
    match op {
        CmpOp::Eq => a == b,
        CmpOp::Ne => a != b,
        CmpOp::Lt => a < b,
        CmpOp::Le => a <= b,
        CmpOp::Gt => a > b,
        CmpOp::Ge => a >= b,
    }
}

/// An operation on truth values.
#[inline]
#[must_use]
pub fn boolean(op: BoolOp, a: bool, b: bool) -> bool {
    match op {
        BoolOp::And => a & b,
        BoolOp::Or => a | b,
        BoolOp::Xor => a ^ b,
    }
}

/// An operation on 64-bit integers.
#[inline]
#[must_use]
pub fn int(op: IntOp, a: i64, b: i64) -> i64 {
    match op {
        IntOp::Add => a.wrapping_add(b),
        IntOp::Sub => a.wrapping_sub(b),
        IntOp::Mul => a.wrapping_mul(b),
        IntOp::MulHiU => ((u128::from(a as u64) * u128::from(b as u64)) >> 64) as i64,
        IntOp::And => a & b,
        IntOp::Or => a | b,
        IntOp::Xor => a ^ b,
        IntOp::Shl => a.wrapping_shl(b as u32 & 63),
        IntOp::ShrU => ((a as u64) >> (b as u32 & 63)) as i64,
        IntOp::ShrS => a >> (b as u32 & 63),
    }
}
