//! Addresses: checked to lie inside their spaces, formed with as little arithmetic as possible.

use super::{Lower, Running};
use crate::error::JitError;
use crate::scalar::known::Terms;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, InstBuilder};
use twinml_model::ids::Index;
use twinml_model::ir::{Affine, Place, Space};

impl<'a> Lower<'a, '_> {
    pub(super) fn set_index(&mut self, index: Index, running: Option<Running>) -> Result<(), JitError> {
        let bad = self.misplaced();
        *self.act.indices.get_mut(index.index()).ok_or(bad)? = running;
        Ok(())
    }

    /// Folds fixed indices into the constant part.
    pub(super) fn resolve(&self, at: &Affine) -> Option<(i64, Terms)> {
        let mut base = at.base;
        let mut terms = Terms::new();
        for &(i, stride) in &at.terms {
            match (*self.act.indices.get(i.index())?)? {
                Running::Fixed(x) => base = base.checked_add(x.checked_mul(stride)?)?,
                Running::Register { .. } => terms.push((i, stride)),
            }
        }
        Some((base, terms))
    }

    pub(super) fn range(&self, base: i64, terms: &Terms) -> (i128, i128) {
        terms.iter().fold((i128::from(base), i128::from(base)), |(lo, hi), &(i, stride)| {
            match self.act.indices.get(i.index()) {
                Some(&Some(Running::Register { lo: from, hi: to, .. })) => {
                    let (a, b) = (i128::from(stride) * i128::from(from), i128::from(stride) * i128::from(to));
                    (lo + a.min(b), hi + a.max(b))
                }
                // `resolve` leaves only indices in registers.
                _ => (lo, hi),
            }
        })
    }

    /// The constant part and strides of a place, all of whose slots are inside the space; `more` widens
    /// the range by `stride·k` for `k` in `0..len`.
    pub(super) fn place(&mut self, place: &Place, more: (i64, u32)) -> Result<(i64, Terms), JitError> {
        if self.data.is_none() || self.depth > 0 {
            return Err(self.misplaced());
        }
        let (base, terms) = self.resolve(&place.at).ok_or_else(|| self.misplaced())?;
        let (mut lo, mut hi) = self.range(base, &terms);
        let last = i128::from(more.0) * i128::from(more.1.max(1) - 1);
        lo += last.min(0);
        hi += last.max(0);
        let len = self.sizes.of(place.space);
        if lo < 0 || hi >= i128::from(len) {
            let code = self.act.kernel.name.clone();
            return Err(JitError::Address { code, space: place.space, lo, hi, len });
        }
        Ok((base, terms))
    }

    /// The address of a slot that [`Lower::place`] has checked.
    pub(super) fn address(&mut self, space: Space, base: i64, terms: &Terms) -> (ir::Value, i32) {
        let bytes = 8 * (self.sizes.offset(space) as i64 + base);
        let from = self.strided(terms);
        self.reach(from, bytes)
    }

    /// The memory's address plus the strides' part.
    pub(super) fn strided(&mut self, terms: &Terms) -> ir::Value {
        let data = self.data.unwrap_or_else(|| unreachable!("`place` refuses code without memory"));
        if terms.is_empty() {
            return data;
        }
        if let Some(address) = self.known.address(terms) {
            return address;
        }
        let sum = terms.iter().fold(data, |sum, &(i, stride)| {
            let part = self.scaled(i, 8 * stride);
            self.b.ins().iadd(sum, part)
        });
        if self.context.style.forward {
            self.known.set_address(terms.clone(), sum);
        }
        sum
    }

    pub(super) fn scaled(&mut self, i: Index, factor: i64) -> ir::Value {
        let value = match self.act.indices.get(i.index()) {
            Some(&Some(Running::Register { value, .. })) => value,
            Some(&Some(Running::Fixed(x))) => self.b.ins().iconst(I64, x),
            // `resolve` has found every index of the address running.
            _ => unreachable!("an index outside its loop"),
        };
        match factor {
            1 => value,
            f if f > 0 && (f as u64).is_power_of_two() => {
                self.b.ins().ishl_imm_u(value, i64::from(f.trailing_zeros()))
            }
            f => self.b.ins().imul_imm_s(value, f),
        }
    }

    /// An affine function of indices as an integer.
    pub(super) fn affine(&mut self, at: &Affine) -> Result<ir::Value, JitError> {
        let (base, terms) = self.resolve(at).ok_or_else(|| self.misplaced())?;
        let mut sum: Option<ir::Value> = None;
        for &(i, stride) in &terms {
            let part = self.scaled(i, stride);
            sum = Some(sum.map_or(part, |s| self.b.ins().iadd(s, part)));
        }
        Ok(match sum {
            None => self.b.ins().iconst(I64, base),
            Some(s) if base == 0 => s,
            Some(s) => self.b.ins().iadd_imm_s(s, base),
        })
    }
}
