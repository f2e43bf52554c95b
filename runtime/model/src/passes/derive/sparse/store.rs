//! What a kernel stores: rows become entries of the Jacobian, and what is read in another round goes through scratch slots.

use super::super::overlap::{Nest, Unclear, Writer, substitute};
use super::gradient::{Gradient, Key};
use super::{FANNED, Handed, Outcome, SCRATCH, Walker, full};
use crate::ids::{Index, OriginId, Value};
use crate::ir::{Affine, For, Op, Place, Region, Space, Stmt};
use crate::passes::emit::Num;
use crate::program::{EntryFamily, Jacobian};

impl Walker<'_, '_> {
    pub(super) fn store(&mut self, place: &Place, value: Value, origin: OriginId) -> Outcome<()> {
        if self.in_branch > 0 {
            return Err(Unclear);
        }
        let gradient = self.gradient(value);
        if gradient.iter().any(|g| g.0.is_sum()) {
            return Err(Unclear);
        }
        let writer = Writer { space: place.space, at: place.at.clone(), nest: self.nest.clone() };
        if place.space == self.frame.rows {
            self.row(&writer, &gradient, origin)?;
        }
        if !matches!(place.space, Space::Var | Space::Der) {
            return Ok(());
        }
        let new = self.new_of(value);
        self.e.region.push(Stmt::Store { place: place.clone(), value: new, origin });
        if self.nest.is_empty() {
            for h in &self.handed {
                if h.writer.space == place.space && h.writer.may_meet(&place.at, &[], &[]) {
                    return Err(Unclear);
                }
            }
            self.scalars.insert((place.space, place.at.base), gradient);
            return Ok(());
        }
        let (least, most) = writer.extent().ok_or(Unclear)?;
        for (&(_, slot), _) in self.scalars.range((place.space, least)..=(place.space, most)) {
            apart(&Writer { space: place.space, at: Affine::constant(slot), nest: Nest::new() }, &writer)?;
        }
        for h in self.handed.iter().filter(|h| h.writer.space == place.space) {
            apart(&h.writer, &writer)?;
        }
        let outside = self.loads.iter().any(|r| {
            r.place.space == place.space
                && writer.shared(&r.nest) < self.nest.len()
                && writer.may_meet(&r.place.at, &r.nest, &full(&r.nest))
        });
        let mut handed = Vec::with_capacity(gradient.len());
        for (key, num) in gradient {
            let scratch = match num {
                Num::Val(v) if outside => {
                    let at = self.slots(SCRATCH + self.scratch)?;
                    self.scratch += self.rounds()?;
                    let place = Place { space: Space::Jac, at: at.clone() };
                    self.e.region.push(Stmt::Store { place, value: v, origin });
                    Some(at)
                }
                _ => None,
            };
            handed.push((key, num, scratch));
        }
        self.handed.push(Handed { writer, gradient: handed });
        Ok(())
    }

    /// Rounds of all open loops together.
    pub(super) fn rounds(&self) -> Outcome<i64> {
        let n = self.nest.iter().try_fold(1i64, |n, l| n.checked_mul(l.2 - l.1)).ok_or(Unclear)?;
        if n < 1 << 31 { Ok(n) } else { Err(Unclear) }
    }

    /// A slot for each round, from `base`, innermost fastest.
    pub(super) fn slots(&self, base: i64) -> Outcome<Affine> {
        let mut at = Affine::constant(base);
        let mut stride = 1i64;
        for &(i, lo, hi) in self.nest.iter().rev() {
            at.base -= stride * lo;
            at = at.plus(i, stride);
            stride = stride.checked_mul(hi - lo).ok_or(Unclear)?;
        }
        Ok(at)
    }

    fn row(&mut self, writer: &Writer, gradient: &Gradient, origin: OriginId) -> Outcome<()> {
        if self.nest.is_empty() {
            let again = self.row_scalars.insert(writer.at.base, ()).is_some();
            if again || self.row_writers.iter().any(|w| w.may_meet(&writer.at, &[], &[])) {
                return Err(Unclear);
            }
        } else {
            let (least, most) = writer.extent().ok_or(Unclear)?;
            for (&slot, ()) in self.row_scalars.range(least..=most) {
                apart(
                    &Writer { space: writer.space, at: Affine::constant(slot), nest: Nest::new() },
                    writer,
                )?;
            }
            for w in &self.row_writers {
                apart(w, writer)?;
            }
            self.row_writers.push(writer.clone());
        }
        for (key, num) in gradient {
            if num.is_zero() {
                continue;
            }
            let depth = self.nest.len();
            let fanned: &[(Index, i64, i64)] = key.fan.as_ref().map_or(&[], |f| &f.loops);
            self.nest.extend_from_slice(fanned);
            let at = self.slots(self.entries)?;
            self.entries += self.rounds()?;
            if !fanned.is_empty() && self.entries > FANNED {
                return Err(Unclear);
            }
            let place = Place { space: Space::Jac, at: at.clone() };
            self.spread(key, *num, place, origin)?;
            let renumber = |a: &Affine| -> Option<Affine> {
                let mut out = Affine::constant(a.base);
                for &(i, s) in &a.terms {
                    let k = self.nest.iter().position(|n| n.0 == i)?;
                    out = out.plus(Index::new(k), s);
                }
                Some(out)
            };
            let mut loops = key.bounds.clone();
            loops.extend(fanned.iter().map(|l| (l.1, l.2)));
            self.families.push(EntryFamily {
                loops,
                row: renumber(&writer.at).ok_or(Unclear)?,
                col: renumber(&key.col).ok_or(Unclear)?,
                slot: renumber(&at).ok_or(Unclear)?,
            });
            self.nest.truncate(depth);
        }
        Ok(())
    }

    /// Stores `num` times the partials of a key; those of a fan in loops of their own.
    pub(super) fn spread(&mut self, key: &Key, num: Num, place: Place, origin: OriginId) -> Outcome<()> {
        let Some(fan) = &key.fan else {
            let value = self.e.value(num);
            self.e.region.push(Stmt::Store { place, value, origin });
            return Ok(());
        };
        // each loop of a kernel has an index of its own
        let mut loops = Vec::with_capacity(fan.loops.len());
        let mut own = Vec::with_capacity(fan.loops.len());
        for &(index, lo, hi) in &fan.loops {
            let new = Index(self.e.kernel.indices);
            self.e.kernel.indices += 1;
            loops.push((new, lo, hi));
            own.push((index, Affine::constant(0).plus(new, 1)));
        }
        let renamed = |at: &Affine| substitute(at, &own).ok_or(Unclear);
        let place = Place { space: place.space, at: renamed(&place.at)? };
        let slot = fan.slot.as_ref().map(renamed).transpose()?;
        let (mut body, ()) = self.e.inside(|e| {
            let partial = slot.map(|at| Num::Val(e.f(Op::Load(Place { space: Space::Jac, at }))));
            let value = e.mul(num, partial.unwrap_or(Num::ONE));
            let value = e.value(value);
            e.region.push(Stmt::Store { place, value, origin });
        });
        for (index, lo, hi) in loops.into_iter().rev() {
            let l = For { carries: Vec::new(), body, index, lo, hi, reverse: false };
            body = vec![Stmt::For(Box::new(l))];
        }
        self.e.region.append(&mut body);
        Ok(())
    }

    /// Moves the scratch slots behind the entries, with room for reads in rounds that no entry uses.
    pub(super) fn finish(self) -> Option<(Jacobian, u32)> {
        let mut kernel = self.e.kernel;
        kernel.body = self.e.region;
        let (mut least, mut most) = (0i64, self.scratch - 1);
        let mut ranges = vec![(0, 1); kernel.indices as usize];
        loops(&kernel.body, &mut ranges);
        for d in &kernel.values {
            if let Op::Load(Place { space: Space::Jac, at }) = &d.op {
                let (a, b) = crate::verify::extent(at, |i| ranges.get(i).copied())?;
                least = least.min(a - SCRATCH);
                most = most.max(b - SCRATCH);
            }
        }
        let shift = self.entries.checked_sub(least)?.checked_sub(SCRATCH)?;
        for d in &mut kernel.values {
            if let Op::Load(Place { space: Space::Jac, at }) = &mut d.op {
                at.base += shift;
            }
        }
        shift_stores(&mut kernel.body, shift);
        let total = if self.scratch == 0 { self.entries } else { self.entries + most - least + 1 };
        let cols: u32 = self.frame.seeds.iter().map(|s| s.len).sum();
        Some((
            Jacobian {
                rows: self.frame.n_rows,
                cols,
                entries: u32::try_from(self.entries).ok()?,
                families: self.families,
                kernel,
            },
            u32::try_from(total).ok()?,
        ))
    }
}

/// Fails unless the two write different slots.
fn apart(a: &Writer, b: &Writer) -> Outcome<()> {
    match a.meet(&b.at, &b.nest, &full(&b.nest))? {
        None => Ok(()),
        Some(_) => Err(Unclear),
    }
}

fn loops(region: &Region, ranges: &mut [(i64, i64)]) {
    for s in region {
        match s {
            Stmt::For(l) => {
                if let Some(r) = ranges.get_mut(l.index.index()) {
                    *r = (l.lo, l.hi);
                }
                loops(&l.body, ranges);
            }
            Stmt::If(i) => {
                loops(&i.then, ranges);
                loops(&i.otherwise, ranges);
            }
            _ => {}
        }
    }
}

fn shift_stores(region: &mut Region, shift: i64) {
    for s in region {
        match s {
            Stmt::Store { place: Place { space: Space::Jac, at }, .. } if at.base >= SCRATCH / 2 => {
                at.base += shift;
            }
            Stmt::For(l) => shift_stores(&mut l.body, shift),
            Stmt::If(i) => {
                shift_stores(&mut i.then, shift);
                shift_stores(&mut i.otherwise, shift);
            }
            _ => {}
        }
    }
}
