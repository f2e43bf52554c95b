//! Loops written out.

use super::emit::Emit;
use crate::ids::{Index, Value};
use crate::ir::{Affine, For, If, Kernel, Op, Place, Region, Stmt};

/// The kernel without loops; `None` where that takes more than `budget` values or statements.
#[must_use]
pub fn unroll(kernel: &Kernel, budget: usize) -> Option<Kernel> {
    let mut u = Unroller {
        old: kernel,
        e: Emit::new(kernel.name.clone()),
        map: vec![None; kernel.values.len()],
        at: vec![0; kernel.indices as usize],
        budget,
    };
    u.region(&kernel.body)?;
    u.e.kernel.body = u.e.region;
    Some(u.e.kernel)
}

struct Unroller<'a> {
    old: &'a Kernel,
    e: Emit,
    map: Vec<Option<Value>>,
    at: Vec<i64>,
    budget: usize,
}

impl Unroller<'_> {
    fn get(&self, v: Value) -> Option<Value> {
        self.map.get(v.index()).copied().flatten()
    }

    fn slot(&self, a: &Affine) -> i64 {
        a.terms.iter().fold(a.base, |sum, &(Index(i), s)| {
            sum.wrapping_add(s.wrapping_mul(self.at.get(i as usize).copied().unwrap_or(0)))
        })
    }

    fn place(&self, p: &Place) -> Place {
        Place { space: p.space, at: Affine::constant(self.slot(&p.at)) }
    }

    fn region(&mut self, region: &Region) -> Option<()> {
        for stmt in region {
            self.budget = self.budget.checked_sub(1)?;
            match stmt {
                Stmt::Eval(v) => {
                    let data = self.old.values.get(v.index())?;
                    let op = match &data.op {
                        Op::Load(p) => Op::Load(self.place(p)),
                        Op::LoadAt { place, at, len, stride, origin } => Op::LoadAt {
                            place: self.place(place),
                            at: self.get(*at)?,
                            len: *len,
                            stride: *stride,
                            origin: *origin,
                        },
                        Op::IndexI(a) => Op::ConstI(self.slot(a)),
                        Op::IndexF(a) => Op::ConstF((self.slot(a) as f64).to_bits()),
                        Op::Delay { place, tau } => {
                            Op::Delay { place: self.place(place), tau: self.get(*tau)? }
                        }
                        op => {
                            if op.operands().any(|o| self.get(o).is_none()) {
                                return None;
                            }
                            let mut op = op.clone();
                            op.map_operands(|o| self.get(o).unwrap_or(o));
                            op
                        }
                    };
                    let new = self.e.push(op, data.ty);
                    self.map[v.index()] = Some(new);
                }
                Stmt::Store { place, value, origin } => {
                    let (place, value) = (self.place(place), self.get(*value)?);
                    self.e.region.push(Stmt::Store { place, value, origin: *origin });
                }
                Stmt::Solve(_) | Stmt::SolveTangent(_) => self.e.region.push(stmt.clone()),
                Stmt::For(l) => self.rounds(l)?,
                Stmt::If(i) => self.branch(i)?,
            }
        }
        Some(())
    }

    fn rounds(&mut self, l: &For) -> Option<()> {
        let n = l.hi.checked_sub(l.lo)?;
        let mut carried = l.carries.iter().map(|c| self.get(c.init)).collect::<Option<Vec<_>>>()?;
        for k in 0..n {
            self.budget = self.budget.checked_sub(1)?;
            *self.at.get_mut(l.index.index())? = if l.reverse { l.hi - 1 - k } else { l.lo + k };
            for (c, v) in l.carries.iter().zip(&carried) {
                self.map[c.var.index()] = Some(*v);
            }
            self.region(&l.body)?;
            carried = l.carries.iter().map(|c| self.get(c.next)).collect::<Option<Vec<_>>>()?;
        }
        for (c, v) in l.carries.iter().zip(&carried) {
            self.map[c.result.index()] = Some(*v);
        }
        Some(())
    }

    fn branch(&mut self, i: &If) -> Option<()> {
        let cond = self.get(i.cond)?;
        let outer = std::mem::take(&mut self.e.region);
        self.region(&i.then)?;
        let then = std::mem::take(&mut self.e.region);
        self.region(&i.otherwise)?;
        let otherwise = std::mem::replace(&mut self.e.region, outer);
        let mut results = Vec::with_capacity(i.results.len());
        for &(r, a, b) in &i.results {
            let new = self.e.kernel.value(Op::Result, self.old.values.get(r.index())?.ty);
            results.push((new, self.get(a)?, self.get(b)?));
            self.map[r.index()] = Some(new);
        }
        self.e.region.push(Stmt::If(Box::new(If { cond, then, otherwise, results })));
        Some(())
    }
}
