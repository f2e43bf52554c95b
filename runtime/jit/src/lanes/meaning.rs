//! What operations mean for one lane: folding, the slow paths and the tests use it. The sign and payload of a NaN are not
//! part of the meaning.

use super::graph::{Arith2, Bits2, Id, Mask2, Node, SIGN, Shift, Sub};

/// What a node gives for one lane, from what its operands give. Not for `Load`, `Input` and `Slow`.
pub(super) fn value(node: &Node, of: impl Fn(Id) -> u64) -> u64 {
    let f = |id| f64::from_bits(of(id));
    let b = |id| of(id) != 0;
    match *node {
        Node::Const(c) => c,
        Node::ConstB(c) => u64::from(c),
        Node::Load(_) | Node::Input(_) | Node::Slow(_) | Node::Guard => 0,
        Node::Copy(a) => of(a),
        Node::Arith(op, x, y) => {
            let (x, y) = (f(x), f(y));
            match op {
                Arith2::Add => x + y,
                Arith2::Sub => x - y,
                Arith2::Mul => x * y,
                Arith2::Div => x / y,
                Arith2::Min => {
                    if x < y {
                        x
                    } else {
                        y
                    }
                }
                Arith2::Max => {
                    if x > y {
                        x
                    } else {
                        y
                    }
                }
            }
            .to_bits()
        }
        Node::Fma { a, b, c, minus_product, minus_c } => {
            let a = if minus_product { -f(a) } else { f(a) };
            let c = if minus_c { -f(c) } else { f(c) };
            a.mul_add(f(b), c).to_bits()
        }
        Node::Sqrt(a) => f(a).sqrt().to_bits(),
        Node::Round(mode, a) => match mode {
            0 => f(a).round_ties_even(),
            1 => f(a).floor(),
            2 => f(a).ceil(),
            _ => f(a).trunc(),
        }
        .to_bits(),
        Node::Bits(op, x, y) => {
            let (x, y) = (of(x), of(y));
            match op {
                Bits2::And => x & y,
                Bits2::Or => x | y,
                Bits2::Xor => x ^ y,
                Bits2::Add => x.wrapping_add(y),
                Bits2::Sub => x.wrapping_sub(y),
                Bits2::Mul => x.wrapping_mul(y),
                Bits2::MulLow => (x & 0xffff_ffff) * (y & 0xffff_ffff),
                Bits2::Shl => x << (y & 63),
                Bits2::Shr => x >> (y & 63),
                Bits2::Sar => ((x as i64) >> (y & 63)) as u64,
            }
        }
        Node::Shift(op, x, n) => match op {
            Shift::Left => of(x) << n,
            Shift::Right => of(x) >> n,
            Shift::Signed => ((of(x) as i64) >> n) as u64,
        },
        Node::Cmp(op, x, y) => u64::from(twinml_model::interp::scalar::cmp(op, f(x), f(y))),
        Node::CmpI(op, x, y) => {
            u64::from(twinml_model::interp::scalar::cmp_i(op, of(x) as i64, of(y) as i64))
        }
        Node::Test(x, y) => u64::from(of(x) & of(y) != 0),
        Node::Mask(op, x, y) => u64::from(match op {
            Mask2::And => b(x) & b(y),
            Mask2::Or => b(x) | b(y),
            Mask2::Xor => b(x) ^ b(y),
        }),
        Node::Not(x) => u64::from(!b(x)),
        Node::Select(c, x, y) => of(if b(c) { x } else { y }),
        Node::ToInt(x) => {
            let x = f(x);
            if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x) {
                (x as i64) as u64
            } else {
                SIGN
            }
        }
        Node::ToFloat(x) => (of(x) as i64 as f64).to_bits(),
    }
}

impl Sub {
    /// The result for one lane; `scratch` has room for all nodes.
    pub fn run(&self, args: impl Fn(u32) -> u64, scratch: &mut Vec<u64>) -> u64 {
        scratch.clear();
        for node in &self.nodes {
            let v = match node {
                Node::Input(n) => args(*n),
                node => value(node, |id| scratch[id as usize]),
            };
            scratch.push(v);
        }
        scratch.last().copied().unwrap_or(0)
    }
}
