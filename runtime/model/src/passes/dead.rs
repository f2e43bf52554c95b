//! Removal of what nothing uses, and renumbering of what is left.
//!
//! Stores and solves stay, and so does what may trap (dynamic indices, tables): the levels of optimisation
//! agree on errors, too.

use crate::ids::{Index, Value};
use crate::ir::{Affine, For, If, Kernel, Op, Region, Stmt, ValueData};
use crate::program::{Outside, Program};

/// Which calls and table look-ups may trap.
#[derive(Clone, Debug, Default)]
pub struct Traps {
    functions: Vec<bool>,
    tables: Vec<bool>,
}

impl Traps {
    /// Of a program.
    #[must_use]
    pub fn of(program: &Program) -> Self {
        let tables = program.tables.iter().map(|t| t.outside == Outside::Error).collect();
        let mut all = Self { functions: Vec::new(), tables };
        // functions call only earlier ones
        for f in &program.functions {
            let traps = effects(&f.code, &f.code.body, &all);
            all.functions.push(traps);
        }
        all
    }

    fn op(&self, op: &Op) -> bool {
        match op {
            Op::LoadAt { .. } => true,
            Op::Table { table, .. } => self.tables.get(table.index()).copied().unwrap_or(true),
            Op::Call(f, _) => self.functions.get(f.index()).copied().unwrap_or(true),
            _ => false,
        }
    }
}

/// Removes unused values, carries and results; `keep` are used from outside (a function's result). Gives the
/// new number of each value that is left.
pub fn remove_dead(kernel: &Kernel, keep: &[Value], traps: &Traps) -> (Kernel, Vec<Option<Value>>) {
    let live = live(kernel, keep, traps);
    let mut new = Kernel::new(kernel.name.clone());
    new.values.reserve_exact(live.iter().filter(|l| **l).count());
    let mut s = Sweep {
        old: kernel,
        traps,
        live,
        map: vec![None; kernel.values.len()],
        indices: vec![None; kernel.indices as usize],
        new,
    };
    s.new.body = s.region(&kernel.body);
    (s.new, s.map)
}

/// Which values something uses; `keep` are used from outside.
pub(super) fn live(kernel: &Kernel, keep: &[Value], traps: &Traps) -> Vec<bool> {
    let mut live = vec![false; kernel.values.len()];
    for v in keep {
        live[v.index()] = true;
    }
    // backwards once; loops until their carries settle
    mark(kernel, &kernel.body, &mut live, traps);
    live
}

/// Whether running the region matters apart from its values.
pub(super) fn effects(kernel: &Kernel, region: &Region, traps: &Traps) -> bool {
    region.iter().any(|s| match s {
        Stmt::Eval(v) => traps.op(&kernel.values[v.index()].op),
        Stmt::Store { .. } | Stmt::Solve(_) | Stmt::SolveTangent(_) => true,
        Stmt::For(l) => effects(kernel, &l.body, traps),
        Stmt::If(i) => effects(kernel, &i.then, traps) || effects(kernel, &i.otherwise, traps),
    })
}

fn mark(kernel: &Kernel, region: &Region, live: &mut Vec<bool>, traps: &Traps) {
    for stmt in region.iter().rev() {
        match stmt {
            Stmt::Eval(v) => {
                let op = &kernel.values[v.index()].op;
                if live[v.index()] || traps.op(op) {
                    live[v.index()] = true;
                    for o in op.operands() {
                        live[o.index()] = true;
                    }
                }
            }
            Stmt::Store { value, .. } => live[value.index()] = true,
            Stmt::Solve(_) | Stmt::SolveTangent(_) => {}
            Stmt::For(l) => {
                let mut needed = effects(kernel, &l.body, traps);
                for c in &l.carries {
                    if live[c.result.index()] {
                        live[c.next.index()] = true;
                        live[c.init.index()] = true;
                        live[c.var.index()] = true;
                        needed = true;
                    }
                }
                if !needed {
                    continue;
                }
                loop {
                    mark(kernel, &l.body, live, traps);
                    let mut grew = false;
                    for c in &l.carries {
                        if live[c.var.index()] && !(live[c.next.index()] && live[c.init.index()]) {
                            live[c.next.index()] = true;
                            live[c.init.index()] = true;
                            grew = true;
                        }
                    }
                    if !grew {
                        break;
                    }
                }
            }
            Stmt::If(i) => {
                let mut needed = effects(kernel, &i.then, traps) || effects(kernel, &i.otherwise, traps);
                for &(r, a, b) in &i.results {
                    if live[r.index()] {
                        live[a.index()] = true;
                        live[b.index()] = true;
                        needed = true;
                    }
                }
                if needed {
                    live[i.cond.index()] = true;
                    mark(kernel, &i.then, live, traps);
                    mark(kernel, &i.otherwise, live, traps);
                }
            }
        }
    }
}

struct Sweep<'a> {
    old: &'a Kernel,
    traps: &'a Traps,
    live: Vec<bool>,
    map: Vec<Option<Value>>,
    indices: Vec<Option<Index>>,
    new: Kernel,
}

impl Sweep<'_> {
    fn get(&self, v: Value) -> Value {
        self.map[v.index()].unwrap_or(v)
    }

    fn affine(&self, a: &Affine) -> Affine {
        if a.terms.is_empty() {
            return Affine::constant(a.base);
        }
        let mut out = Affine::constant(a.base);
        for &(i, s) in &a.terms {
            out = out.plus(self.indices[i.index()].unwrap_or(i), s);
        }
        out
    }

    fn define(&mut self, v: Value) -> Value {
        let ValueData { op, ty } = &self.old.values[v.index()];
        let mut op = op.clone();
        op.map_operands(|o| self.get(o));
        match &mut op {
            Op::Load(p) | Op::LoadAt { place: p, .. } | Op::Delay { place: p, .. } => {
                p.at = self.affine(&p.at);
            }
            Op::IndexI(a) | Op::IndexF(a) => *a = self.affine(a),
            _ => {}
        }
        let new = self.new.value(op, *ty);
        self.map[v.index()] = Some(new);
        new
    }

    fn region(&mut self, region: &Region) -> Region {
        let mut out = Region::with_capacity(region.len());
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => {
                    if self.live[v.index()] {
                        out.push(Stmt::Eval(self.define(*v)));
                    }
                }
                Stmt::Store { place, value, origin } => {
                    let mut place = place.clone();
                    place.at = self.affine(&place.at);
                    out.push(Stmt::Store { place, value: self.get(*value), origin: *origin });
                }
                Stmt::Solve(_) | Stmt::SolveTangent(_) => out.push(stmt.clone()),
                Stmt::For(l) => {
                    let used =
                        |c: &&crate::ir::Carry| self.live[c.var.index()] || self.live[c.result.index()];
                    let carries: Vec<_> = l.carries.iter().filter(used).cloned().collect();
                    if carries.is_empty() && !effects(self.old, &l.body, self.traps) {
                        continue;
                    }
                    let index = self.new.index();
                    self.indices[l.index.index()] = Some(index);
                    let mut new: Vec<_> = carries.clone();
                    for (n, c) in new.iter_mut().zip(&carries) {
                        n.init = self.get(c.init);
                        n.var = self.define(c.var);
                    }
                    let body = self.region(&l.body);
                    for (n, c) in new.iter_mut().zip(&carries) {
                        n.next = self.get(c.next);
                        n.result = self.define(c.result);
                    }
                    out.push(Stmt::For(Box::new(For {
                        index,
                        lo: l.lo,
                        hi: l.hi,
                        reverse: l.reverse,
                        carries: new,
                        body,
                    })));
                }
                Stmt::If(i) => {
                    let kept: Vec<_> = i.results.iter().filter(|r| self.live[r.0.index()]).copied().collect();
                    if kept.is_empty()
                        && !effects(self.old, &i.then, self.traps)
                        && !effects(self.old, &i.otherwise, self.traps)
                    {
                        continue;
                    }
                    let cond = self.get(i.cond);
                    let then = self.region(&i.then);
                    let otherwise = self.region(&i.otherwise);
                    let results = kept
                        .into_iter()
                        .map(|(r, a, b)| {
                            let (a, b) = (self.get(a), self.get(b));
                            (self.define(r), a, b)
                        })
                        .collect();
                    out.push(Stmt::If(Box::new(If { cond, then, otherwise, results })));
                }
            }
        }
        out
    }
}
