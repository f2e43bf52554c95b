//! Loops and branches: partials of carried values are carried too, and sums over columns that move become fans.

use super::super::overlap::{Bounds, Unclear, substitute};
use super::gradient::{Fan, Gradient, Key, SUM, sorted, union};
use super::{FANNED, Outcome, SCRATCH, Walker, full, writes};
use crate::ids::Index;
use crate::ir::{Affine, Carry, For, If, Op, Place, Space, Stmt, Ty};
use crate::passes::emit::Num;

/// How far the writing had got.
struct Mark {
    values: usize,
    region: usize,
    handed: usize,
    families: usize,
    row_writers: usize,
    entries: i64,
    scratch: i64,
}

impl Walker<'_, '_> {
    /// The key of what a sum over `l` depends on, from the key and the partial of a round, seen from behind the loop.
    /// Writes the round's partials down.
    fn fan(&mut self, l: &For, mut key: Key, num: Num) -> Outcome<(Key, Num)> {
        let depth = self.nest.len();
        let range = key.bounds.pop().ok_or(Unclear)?;
        let inner = key.fan.take().map(|f| *f);
        let (slot, outside) = match (&inner, num) {
            (None, Num::Const(_)) => (None, num),
            _ => {
                self.nest.extend(inner.iter().flat_map(|f| f.loops.iter().copied()));
                let at = self.slots(SCRATCH + self.scratch)?;
                self.scratch += self.rounds()?;
                self.nest.truncate(depth);
                if self.scratch > FANNED {
                    return Err(Unclear);
                }
                let part =
                    Key { col: Affine::default(), bounds: Bounds::new(), fan: inner.clone().map(Box::new) };
                self.spread(&part, num, Place { space: Space::Jac, at: at.clone() }, self.origin)?;
                (Some(at), Num::ONE)
            }
        };
        // behind the loop its index means nothing
        let index = Index(self.e.kernel.indices);
        self.e.kernel.indices += 1;
        let own = [(l.index, Affine::constant(0).plus(index, 1))];
        let mut loops = vec![(index, range.0, range.1)];
        loops.extend(inner.into_iter().flat_map(|f| f.loops));
        let slot = match slot {
            Some(at) => Some(substitute(&at, &own).ok_or(Unclear)?),
            None => None,
        };
        let col = substitute(&key.col, &own).ok_or(Unclear)?;
        Ok((Key { col, bounds: key.bounds, fan: Some(Box::new(Fan { loops, slot })) }, outside))
    }

    pub(super) fn for_loop(&mut self, l: &For) -> Outcome<()> {
        if l.lo >= l.hi {
            for c in &l.carries {
                self.map[c.result.index()] = self.map[c.init.index()];
                self.grad[c.result.index()] = self.gradient(c.init);
            }
            return Ok(());
        }
        // the columns that each carried value depends on: those of its start, and what rounds add
        let mut keys: Vec<Vec<Key>> =
            l.carries.iter().map(|c| self.gradient(c.init).into_iter().map(|g| g.0).collect()).collect();
        // which of them add up what moves with the rounds
        let mut sums = vec![false; l.carries.len()];
        for _ in 0..=2 * l.carries.len() {
            let mark = self.mark();
            let before = sums.clone();
            let found = self.rounds_of(l, &keys, &mut sums)?;
            if found == keys && sums == before {
                return Ok(());
            }
            self.rollback(mark);
            keys = found;
        }
        Err(Unclear)
    }

    fn mark(&mut self) -> Mark {
        Mark {
            values: self.e.kernel.values.len(),
            region: self.e.region.len(),
            handed: self.handed.len(),
            families: self.families.len(),
            row_writers: self.row_writers.len(),
            entries: self.entries,
            scratch: self.scratch,
        }
    }

    fn rollback(&mut self, m: Mark) {
        self.e.kernel.values.truncate(m.values);
        self.e.region.truncate(m.region);
        self.handed.truncate(m.handed);
        self.families.truncate(m.families);
        self.row_writers.truncate(m.row_writers);
        self.entries = m.entries;
        self.scratch = m.scratch;
    }

    /// Writes a loop whose carried values depend on the columns `keys`; gives the columns that they turn out to
    /// depend on.
    fn rounds_of(&mut self, l: &For, keys: &[Vec<Key>], sums: &mut [bool]) -> Outcome<Vec<Vec<Key>>> {
        let mut carries = Vec::new();
        let first_sum = SUM - self.sums - l.carries.len() as i64;
        self.sums += l.carries.len() as i64;
        for (n, (c, keys)) in l.carries.iter().zip(keys).enumerate() {
            let init = self.new_of(c.init);
            let start = self.gradient(c.init);
            let mut partials = Vec::with_capacity(keys.len());
            for key in keys {
                let d = start.iter().find(|g| g.0 == *key).map_or(Num::ZERO, |g| g.1);
                let init = self.e.value(d);
                partials.push((key.clone(), init, self.e.kernel.value(Op::Carry, Ty::F64)));
            }
            self.spend(keys.len())?;
            let var = self.e.kernel.value(Op::Carry, self.old.values[c.var.index()].ty);
            self.map[c.var.index()] = Some(var);
            let mut gradient: Gradient = partials.iter().map(|p| (p.0.clone(), Num::Val(p.2))).collect();
            if sums[n] {
                let bounds = full(&self.nest);
                gradient.push((Key::new(Affine::constant(first_sum + n as i64), bounds), Num::ONE));
            }
            self.grad[c.var.index()] = sorted(gradient);
            carries.push((var, init, partials));
        }
        self.nest.push((l.index, l.lo, l.hi));
        let mark = self.pending.len();
        let mut nest = self.nest.clone();
        let mut stores = Vec::new();
        writes(&l.body, &mut nest, &mut stores);
        self.pending.append(&mut stores);
        let outer = std::mem::take(&mut self.e.region);
        self.region(&l.body)?;
        let mut found = Vec::with_capacity(l.carries.len());
        let mut out = Vec::new();
        for (n, (c, (var, init, partials))) in l.carries.iter().zip(carries).enumerate() {
            let ends = self.gradient(c.next);
            let mut all: Vec<Key> = partials.iter().map(|p| p.0.clone()).collect();
            let mut fans = Gradient::new();
            // a sum hands itself on as it is
            let own = Affine::constant(first_sum + n as i64);
            if sums[n] && !ends.iter().any(|g| g.0.col == own && g.1.is_one()) {
                return Err(Unclear);
            }
            for (key, num) in &ends {
                let mut key = key.clone();
                if sums[n] && key.col == own {
                    continue;
                }
                if key.is_sum() && key.col.base >= first_sum {
                    return Err(Unclear);
                }
                // a column that moves with the rounds has no place in a single carried value
                if key.moves(l.index) {
                    if sums[n] {
                        fans.push(self.fan(l, key, *num)?);
                    }
                    sums[n] = true;
                    continue;
                }
                if key.bounds.pop() != Some((l.lo, l.hi)) {
                    return Err(Unclear);
                }
                if let Err(at) = all.binary_search(&key) {
                    all.insert(at, key);
                }
            }
            let next = self.new_of(c.next);
            let result = self.e.kernel.value(Op::Result, self.old.values[c.result.index()].ty);
            self.map[c.result.index()] = Some(result);
            out.push(Carry { var, init, next, result });
            let mut gradient = Gradient::new();
            for (key, init, var) in partials {
                let mut inner = key.clone();
                inner.bounds.push((l.lo, l.hi));
                let d = ends.iter().find(|g| g.0 == inner).map_or(Num::ZERO, |g| g.1);
                let next = self.e.value(d);
                let result = self.e.kernel.value(Op::Result, Ty::F64);
                out.push(Carry { var, init, next, result });
                gradient.push((key, Num::Val(result)));
            }
            gradient.append(&mut fans);
            self.grad[c.result.index()] = sorted(gradient);
            found.push(all);
        }
        let body = std::mem::replace(&mut self.e.region, outer);
        self.pending.truncate(mark);
        self.nest.pop();
        let l = For { carries: out, body, index: l.index, lo: l.lo, hi: l.hi, reverse: l.reverse };
        self.e.region.push(Stmt::For(Box::new(l)));
        Ok(found)
    }

    pub(super) fn branch(&mut self, i: &If) -> Outcome<()> {
        let cond = self.new_of(i.cond);
        let outer = std::mem::take(&mut self.e.region);
        self.in_branch += 1;
        self.region(&i.then)?;
        let mut then = std::mem::take(&mut self.e.region);
        self.region(&i.otherwise)?;
        let mut otherwise = std::mem::take(&mut self.e.region);
        self.in_branch -= 1;
        let mut results = Vec::new();
        for &(r, p, q) in &i.results {
            let new = self.e.kernel.value(Op::Result, self.old.values[r.index()].ty);
            results.push((new, self.new_of(p), self.new_of(q)));
            self.map[r.index()] = Some(new);
            let mut gradient = Gradient::new();
            for (key, a, b) in union(&self.gradient(p), &self.gradient(q)) {
                if let (Num::Const(x), Num::Const(y)) = (a, b)
                    && x == y
                {
                    gradient.push((key, a));
                    continue;
                }
                // constants are made inside their side
                self.e.region = std::mem::take(&mut then);
                let a = self.e.value(a);
                then = std::mem::take(&mut self.e.region);
                self.e.region = std::mem::take(&mut otherwise);
                let b = self.e.value(b);
                otherwise = std::mem::take(&mut self.e.region);
                let d = self.e.kernel.value(Op::Result, Ty::F64);
                results.push((d, a, b));
                gradient.push((key, Num::Val(d)));
            }
            self.spend(gradient.len())?;
            self.grad[r.index()] = gradient;
        }
        self.e.region = outer;
        self.e.region.push(Stmt::If(Box::new(If { cond, then, otherwise, results })));
        Ok(())
    }
}
