//! Instructions of single operations: which operand stands where, which register the result gets.

use super::super::encode::{Mem, Opcode, RCX, Rm, op};
use super::super::graph::{Arith2, Bits2, Id, Mask2, Node, SIGN, Shift};
use super::super::plan::Step;
use super::{Emitter, M0F, M3A, M38, Masked, NONE, distinct};
use twinml_model::ir::CmpOp;

impl Emitter<'_> {
    /// The instructions of one entry for one group.
    pub(super) fn entry(&mut self, v: u32, id: Id, group: usize) {
        self.free.1 = 0;
        let of = |e: &Self, a: Id| e.v(a, group);
        match self.plan.steps.of(id) {
            Step::Ternary { table, a, b, c } => {
                return self.ternary(v, table, [of(self, a), of(self, b), of(self, c)]);
            }
            Step::Negated { c, a, b } => return self.negated(v, [of(self, c), of(self, a), of(self, b)]),
            Step::Node => {}
        }
        match self.g.nodes[id as usize] {
            Node::Const(_) | Node::ConstB(_) | Node::Load(_) | Node::Input(_) => {}
            Node::Copy(a) => {
                let a = of(self, a);
                let mut pins = 0;
                let from = self.rm(a, &mut pins);
                self.used(a);
                let reg = self.free(false, 0, NONE);
                self.copy(reg, from);
                self.put(v, reg);
            }
            Node::Arith(o, a, b) => {
                let byte = match o {
                    Arith2::Add => 0x58,
                    Arith2::Sub => 0x5c,
                    Arith2::Mul => 0x59,
                    Arith2::Div => 0x5e,
                    Arith2::Min => 0x5d,
                    Arith2::Max => 0x5f,
                };
                let commutes = matches!(o, Arith2::Add | Arith2::Mul);
                self.binary(v, op(M0F, false, byte), of(self, a), of(self, b), commutes);
            }
            Node::Bits(o, a, b) => {
                let (o, commutes) = match o {
                    Bits2::And => (op(M0F, false, 0xdb), true),
                    Bits2::Or => (op(M0F, false, 0xeb), true),
                    Bits2::Xor => (op(M0F, false, 0xef), true),
                    Bits2::Add => (op(M0F, false, 0xd4), true),
                    Bits2::Sub => (op(M0F, false, 0xfb), false),
                    Bits2::Mul => (op(M38, true, 0x40), true),
                    Bits2::MulLow => (op(M0F, false, 0xf4), true),
                    Bits2::Shl => (op(M38, true, 0x47), false),
                    Bits2::Shr => (op(M38, true, 0x45), false),
                    Bits2::Sar => (op(M38, true, 0x46), false),
                };
                self.binary(v, o, of(self, a), of(self, b), commutes);
            }
            Node::Shift(o, a, n) => {
                let (byte, digit) = match o {
                    Shift::Left => (0x73, 6),
                    Shift::Right => (0x73, 2),
                    Shift::Signed => (0x72, 4),
                };
                let a = of(self, a);
                let mut pins = 0;
                let from = Rm::Reg(self.reg(a, &mut pins));
                self.used(a);
                let reg = self.free(false, 0, NONE);
                // the destination stands where the second operand would
                self.vec(op(M0F, false, byte), digit, reg, from);
                self.code.byte(n);
                self.put(v, reg);
            }
            Node::Sqrt(a) => self.unary(v, op(M0F, false, 0x51), of(self, a), None),
            Node::Round(mode, a) => self.unary(v, op(M3A, false, 0x09), of(self, a), Some(mode | 8)),
            Node::ToInt(a) => self.unary(v, op(M0F, true, 0x7a), of(self, a), None),
            Node::ToFloat(a) => {
                self.unary(v, Opcode { map: M0F, pp: 2, w: true, byte: 0xe6 }, of(self, a), None);
            }
            Node::Cmp(o, a, b) => {
                let predicate = |o| match o {
                    CmpOp::Eq => 0x00,
                    CmpOp::Ne => 0x04,
                    CmpOp::Lt => 0x11,
                    CmpOp::Le => 0x12,
                    CmpOp::Gt => 0x1e,
                    CmpOp::Ge => 0x1d,
                };
                let (a, b) = (of(self, a), of(self, b));
                let (a, b, o) = if self.leads(a, b) { (a, b, o) } else { (b, a, mirrored(o)) };
                self.compare(v, op(M0F, false, 0xc2), a, b, Some(predicate(o)));
            }
            Node::CmpI(o, a, b) if self.wide => {
                let predicate = |o| match o {
                    CmpOp::Eq => 0,
                    CmpOp::Lt => 1,
                    CmpOp::Le => 2,
                    CmpOp::Ne => 4,
                    CmpOp::Ge => 5,
                    CmpOp::Gt => 6,
                };
                let (a, b) = (of(self, a), of(self, b));
                let (a, b, o) = if self.leads(a, b) { (a, b, o) } else { (b, a, mirrored(o)) };
                self.compare(v, op(M3A, true, 0x1f), a, b, Some(predicate(o)));
            }
            Node::CmpI(o, a, b) => {
                let byte = if o == CmpOp::Eq { 0x29 } else { 0x37 };
                self.compare(v, op(M38, false, byte), of(self, a), of(self, b), None);
            }
            Node::Test(a, b) => self.compare(v, op(M38, true, 0x27), of(self, a), of(self, b), None),
            Node::Mask(o, a, b) => {
                let (narrow, byte) = match o {
                    Mask2::And => (0x54, 0x41),
                    Mask2::Or => (0x56, 0x45),
                    Mask2::Xor => (0x57, 0x47),
                };
                let (a, b) = (of(self, a), of(self, b));
                if !self.wide {
                    return self.binary(v, op(M0F, false, narrow), a, b, true);
                }
                let mut pins = 0;
                let (x, y) = (self.reg(a, &mut pins), self.reg(b, &mut pins));
                self.used(a);
                if a != b {
                    self.used(b);
                }
                let k = self.free(true, 0, NONE);
                self.code.vex(op(M0F, false, byte), true, k & 7, x & 7, Rm::Reg(y & 7));
                self.put(v, k);
            }
            Node::Not(a) => {
                let a = of(self, a);
                let mut pins = 0;
                let x = self.reg(a, &mut pins);
                self.used(a);
                if self.wide {
                    let k = self.free(true, 0, NONE);
                    self.code.vex(op(M0F, false, 0x44), false, k & 7, 0, Rm::Reg(x & 7));
                    self.put(v, k);
                } else {
                    let ones = self.pool.at(u64::MAX) as i32;
                    let reg = self.free(false, 0, NONE);
                    let mem = Mem { base: RCX, disp: ones * 32, broadcast: false };
                    self.vec(op(M0F, false, 0x57), reg, x, Rm::Mem(mem));
                    self.put(v, reg);
                }
            }
            Node::Select(c, a, b) => {
                let (c, a, b) = (of(self, c), of(self, a), of(self, b));
                let mut pins = 0;
                let mask = self.reg(c, &mut pins);
                let y = self.reg(b, &mut pins);
                let x = self.rm(a, &mut pins);
                for w in distinct([c, a, b]) {
                    self.used(w);
                }
                let reg = self.free(false, 0, self.places[v as usize].home);
                if self.wide {
                    let masked = Masked { k: mask & 7, zero: false };
                    self.code.evex(op(M38, true, 0x65), reg, y, x, masked, false);
                } else {
                    self.vec(op(M3A, false, 0x4b), reg, y, x);
                    self.code.byte(mask << 4);
                }
                self.put(v, reg);
            }
            Node::Fma { a, b, c, minus_product, minus_c } => {
                let kind = u8::from(minus_c) * 2 + u8::from(minus_product) * 4;
                self.fma(v, kind, [of(self, a), of(self, b), of(self, c)]);
            }
            Node::Slow(k) => self.slow(v, k, group),
            Node::Guard => self.guard(group),
        }
    }

    /// Whether the first of two operands should be the one in a register.
    fn leads(&self, a: u32, b: u32) -> bool {
        let (ra, rb) = (self.places[a as usize].reg != NONE, self.places[b as usize].reg != NONE);
        ra || !rb
    }

    fn binary(&mut self, v: u32, o: Opcode, a: u32, b: u32, commutes: bool) {
        let (a, b) = if commutes && !self.leads(a, b) { (b, a) } else { (a, b) };
        let mut pins = 0;
        let x = self.reg(a, &mut pins);
        let y = self.rm(b, &mut pins);
        self.used(a);
        if a != b {
            self.used(b);
        }
        let reg = self.free(false, 0, self.places[v as usize].home);
        self.vec(o, reg, x, y);
        self.put(v, reg);
    }

    fn unary(&mut self, v: u32, o: Opcode, a: u32, immediate: Option<u8>) {
        let mut pins = 0;
        let x = self.rm(a, &mut pins);
        self.used(a);
        let reg = self.free(false, 0, self.places[v as usize].home);
        self.vec(o, reg, 0, x);
        if let Some(i) = immediate {
            self.code.byte(i);
        }
        self.put(v, reg);
    }

    fn compare(&mut self, v: u32, o: Opcode, a: u32, b: u32, immediate: Option<u8>) {
        let mut pins = 0;
        let x = self.reg(a, &mut pins);
        let y = self.rm(b, &mut pins);
        self.used(a);
        if a != b {
            self.used(b);
        }
        let reg = self.free(self.wide, 0, NONE);
        self.vec(o, if self.wide { reg & 7 } else { reg }, x, y);
        if let Some(i) = immediate {
            self.code.byte(i);
        }
        self.put(v, reg);
    }

    /// Which of three operands gives its register to the result: one that is not needed any more, else a copy.
    fn destructive(&mut self, values: [u32; 3], order: [usize; 3]) -> (usize, u8, u64) {
        let mut pins = 0;
        for v in values {
            let reg = self.places[v as usize].reg;
            if reg != NONE {
                pins |= 1 << reg;
            }
        }
        for k in order {
            let reg = self.places[values[k] as usize].reg;
            if reg != NONE && self.dies(values[k]) {
                return (k, reg, pins);
            }
        }
        // a load costs less than a copy, and one operand in memory is allowed besides
        let in_memory = order.into_iter().find(|&k| self.places[values[k] as usize].reg == NONE);
        let k = in_memory.unwrap_or(order[0]);
        let from = self.rm(values[k], &mut pins);
        let reg = self.free(false, pins, NONE);
        self.copy(reg, from);
        pins |= 1 << reg;
        (k, reg, pins)
    }

    fn fma(&mut self, v: u32, kind: u8, values: [u32; 3]) {
        let (k, dst, mut pins) = self.destructive(values, [2, 0, 1]);
        let [a, b, c] = values;
        // the register operand, the one that may be in memory, and the form
        let (second, third, form) = match k {
            2 if self.leads(a, b) => (a, b, 0xb8),
            2 => (b, a, 0xb8),
            _ => {
                let other = if k == 0 { b } else { a };
                // dst·other + c
                if self.leads(other, c) { (other, c, 0xa8) } else { (c, other, 0x98) }
            }
        };
        let x = self.operand(second, values[k], dst, &mut pins);
        let y = match self.places[third as usize].reg {
            NONE if third == values[k] => Rm::Reg(dst),
            _ => self.rm(third, &mut pins),
        };
        for w in distinct(values) {
            self.used(w);
        }
        self.vec(op(M38, true, form + kind), dst, x, y);
        self.put(v, dst);
    }

    /// A register operand beside a destination that may hold the same value already.
    fn operand(&mut self, v: u32, same: u32, dst: u8, pins: &mut u64) -> u8 {
        if v == same && self.places[v as usize].reg == NONE { dst } else { self.reg(v, pins) }
    }

    /// `if c then −a else b`: the sign is changed where the mask says so, the other lanes stay what they were.
    fn negated(&mut self, v: u32, values: [u32; 3]) {
        let (_, dst, mut pins) = self.destructive(values, [2; 3]);
        let [c, a, b] = values;
        let mask = self.reg(c, &mut pins);
        let x = self.operand(a, b, dst, &mut pins);
        for w in distinct(values) {
            self.used(w);
        }
        let sign = self.pool.at(SIGN) as i32;
        let sign = Rm::Mem(Mem { base: RCX, disp: sign * 8, broadcast: true });
        let masked = Masked { k: mask & 7, zero: false };
        self.code.evex(op(M0F, true, 0x57), dst, x, sign, masked, false);
        self.put(v, dst);
    }

    fn ternary(&mut self, v: u32, table: u8, values: [u32; 3]) {
        let (k, dst, mut pins) = self.destructive(values, [0, 1, 2]);
        let (mut s, mut t) = match k {
            0 => (1, 2),
            1 => (0, 2),
            _ => (0, 1),
        };
        if !self.leads(values[s], values[t]) {
            std::mem::swap(&mut s, &mut t);
        }
        let x = self.operand(values[s], values[k], dst, &mut pins);
        let y = match self.places[values[t] as usize].reg {
            NONE if values[t] == values[k] => Rm::Reg(dst),
            _ => self.rm(values[t], &mut pins),
        };
        for w in distinct(values) {
            self.used(w);
        }
        // the table in the order of the operands as they stand
        let mut permuted = 0u8;
        for row in 0..8u8 {
            let bit = |place: usize| {
                let at = if place == k {
                    2
                } else if place == s {
                    1
                } else {
                    0
                };
                row >> at & 1
            };
            let index = bit(0) << 2 | bit(1) << 1 | bit(2);
            permuted |= (table >> index & 1) << row;
        }
        self.vec(op(M3A, true, 0x25), dst, x, y);
        self.code.byte(permuted);
        self.put(v, dst);
    }
}

fn mirrored(o: CmpOp) -> CmpOp {
    match o {
        CmpOp::Lt => CmpOp::Gt,
        CmpOp::Le => CmpOp::Ge,
        CmpOp::Gt => CmpOp::Lt,
        CmpOp::Ge => CmpOp::Le,
        same => same,
    }
}
