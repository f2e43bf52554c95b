//! Where lanes leave the straight line: slow paths, and the guard that makes way for the careful code.

use super::super::encode::{Label, Mem, Opcode, RAX, RCX, RDI, RDX, RSI, Rm, op};
use super::super::plan::condition;
use super::{Bail, Call, Emitter, M0F, M38, MASK, MASKS, Masked, NONE, Stub, scratch};

impl Emitter<'_> {
    /// Leaves for the careful code where a lane needs a slow path.
    pub(super) fn guard(&mut self, group: usize) {
        let Some(guard) = self.guard else { return };
        let mut bad = Vec::new();
        for &(value, limit) in &guard.below {
            let v = self.v(value, group);
            let x = self.reg(v, &mut 0);
            let at = self.pool.at(limit) as i32;
            let scale = if self.wide { 8 } else { 32 };
            let limit = Rm::Mem(Mem { base: RCX, disp: at * scale, broadcast: self.wide });
            let to = self.free(self.wide, if self.wide { 0 } else { 1 << x }, NONE);
            // not less, or unordered
            self.vec(op(M0F, false, 0xc2), if self.wide { to & 7 } else { to }, x, limit);
            self.code.byte(0x15);
            if self.wide {
                bad.push(to);
                // masks are few
                if bad.len() == 4 {
                    self.leave_where(&bad);
                    bad.clear();
                }
            } else {
                let label = self.bail();
                self.jump_if_any(to, false, label);
                self.open(to);
            }
        }
        self.leave_where(&bad);
        for &(value, unwanted) in &guard.masks {
            let v = self.v(value, group);
            let c = self.reg(v, &mut 0);
            let label = self.bail();
            self.jump_if_any(c, !unwanted, label);
        }
        for &value in &self.plan.guarded {
            self.used(self.v(value, group));
        }
    }

    /// Leaves where any of these masks holds anywhere.
    fn leave_where(&mut self, masks: &[u8]) {
        for pair in masks.chunks(2) {
            let last = pair[pair.len() - 1];
            self.code.vex(op(M0F, false, 0x98), false, pair[0] & 7, 0, Rm::Reg(last & 7));
            let label = self.bail();
            self.code.jcc(5, label);
            pair.iter().for_each(|&k| self.open(k));
        }
    }

    /// The way from here to the careful code: what is carried stands elsewhere at another place.
    fn bail(&mut self) -> Label {
        let label = self.code.label();
        let groups = self.shape.groups;
        let loads: Vec<(u8, u32)> = (0..self.plan.carried.len() * groups)
            .map(|k| (k as u8, self.v(self.plan.carried[k / groups].1, k % groups)))
            .collect();
        let moves = self.moves(&loads);
        self.bails.push(Bail { label, moves });
        label
    }

    /// Jumps if the truth value holds in any lane (or, `inverted`, fails in any).
    fn jump_if_any(&mut self, c: u8, inverted: bool, label: Label) {
        if self.wide {
            self.code.vex(op(M0F, false, 0x98), false, c & 7, 0, Rm::Reg(c & 7));
            self.code.jcc(if inverted { 3 } else { 5 }, label);
            return;
        }
        self.code.vex(op(M0F, false, 0x50), true, RAX, 0, Rm::Reg(c));
        if inverted {
            self.code.cmp_eax(15)
        } else {
            self.code.test_eax()
        }
        self.code.jcc(5, label);
    }

    pub(super) fn slow(&mut self, v: u32, k: u32, group: usize) {
        let slow = &self.g.slow[k as usize];
        let cond = slow.cond.map(|c| condition(self.g, c));
        let mut pins = 0;
        let test = cond.map(|(c, inverted)| {
            let c = self.v(c, group);
            (self.reg(c, &mut pins), inverted)
        });
        let usual = slow.usual.map(|u| self.v(u, group));
        let mut dst = NONE;
        if let Some(u) = usual {
            let from = self.reg(u, &mut pins);
            let argument = slow.args.iter().any(|&a| self.v(a, group) == u)
                || (!self.wide && cond.is_some_and(|(c, _)| self.v(c, group) == u));
            if self.dies(u) && !argument {
                dst = from;
            } else {
                dst = self.free(false, pins, self.places[v as usize].home);
                self.copy(dst, Rm::Reg(from));
            }
        }
        if dst == NONE {
            dst = self.free(false, pins, NONE);
        }
        pins |= 1 << dst;
        let mut args = Vec::with_capacity(slow.args.len());
        for &a in &slow.args {
            let a = self.v(a, group);
            args.push(if self.places[a as usize].flags & MASK != 0 {
                (Rm::Reg(self.reg(a, &mut pins)), true)
            } else {
                (self.rm(a, &mut pins), false)
            });
        }
        let mut saved: Vec<(bool, u8)> = Vec::new();
        for r in (0..NONE).filter(|&r| self.taken >> r & 1 == 1 && r != dst) {
            saved.push((r >= MASKS, r));
        }
        let call = Call { saved, args, dst, usual: usual.is_some(), cond: test, sub: slow.sub };
        if let Some((c, inverted)) = test {
            let (label, back) = (self.code.label(), self.code.label());
            self.jump_if_any(c, inverted, label);
            self.code.place(back);
            self.stubs.push(Stub { label, back, call });
        } else {
            self.call(&call);
        }
        let mut all: Vec<u32> = slow.args.iter().map(|&a| self.v(a, group)).collect();
        all.extend(usual);
        all.extend(cond.map(|(c, _)| self.v(c, group)));
        all.sort_unstable();
        all.dedup();
        for w in all {
            self.used(w);
        }
        let other = self.held[dst as usize];
        if self.taken >> dst & 1 == 1 && other != v {
            // the usual value's register became the result's
            self.release(other);
        }
        self.put(v, dst);
    }

    /// Calls scalar code, with every register in use kept.
    pub(super) fn call(&mut self, call: &Call) {
        let at = |disp| Mem { base: RSI, disp, broadcast: false };
        for &(mask, r) in &call.saved {
            if mask {
                self.mask_store(r, at(scratch::MASKS + 8 * i32::from(r & 7)));
            } else {
                self.store(r, at(scratch::VECTORS + 64 * i32::from(r)));
            }
        }
        if call.usual {
            self.store(call.dst, at(scratch::ROWS));
        }
        match call.cond {
            Some((c, inverted)) => {
                if self.wide {
                    self.code.vex(op(M0F, false, 0x93), false, RAX, 0, Rm::Reg(c & 7));
                } else {
                    self.code.vex(op(M0F, false, 0x50), true, RAX, 0, Rm::Reg(c));
                }
                if inverted {
                    // beyond the lanes nobody looks
                    self.code.xor_eax(0xff);
                }
            }
            None => self.code.set32(RAX, 0xff),
        }
        for (k, &arg) in call.args.iter().enumerate() {
            let row = at(scratch::ROWS + scratch::ROW * (k as i32 + 1));
            match arg {
                (Rm::Reg(k), true) => {
                    let k = k & 7;
                    let spread = Opcode { map: M38, pp: 2, w: true, byte: 0x38 };
                    self.code.evex(spread, call.dst, 0, Rm::Reg(k), Masked::default(), false);
                    self.store(call.dst, row);
                }
                (Rm::Reg(r), false) => self.store(r, row),
                (Rm::Mem(mem), _) => {
                    // the result's register is free until the result is there
                    self.load(call.dst, mem);
                    self.store(call.dst, row);
                }
            }
        }
        for r in [RDI, RSI, RDX, RCX] {
            self.code.push64(r);
        }
        self.code.move_stack(true, 8);
        self.code.edx_from_eax();
        self.code.lea(RCX, RSI, scratch::ROWS);
        self.code.load64(RDI, RSI, scratch::CONTEXT);
        self.code.load64(RAX, RSI, scratch::FUNCTION);
        self.code.set32(RSI, call.sub);
        self.code.vzeroupper();
        self.code.call_rax();
        self.code.move_stack(false, 8);
        for r in [RCX, RDX, RSI, RDI] {
            self.code.pop64(r);
        }
        for &(mask, r) in &call.saved {
            if mask {
                self.mask_load(r, at(scratch::MASKS + 8 * i32::from(r & 7)));
            } else {
                self.load(r, at(scratch::VECTORS + 64 * i32::from(r)));
            }
        }
        self.load(call.dst, at(scratch::ROWS));
    }
}
