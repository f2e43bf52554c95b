//! Copying a kernel statement by statement, with a rule that may replace operations on the way.

use super::emit::Emit;
use crate::ids::Value;
use crate::ir::{Carry, For, If, Kernel, Op, Region, Stmt};

/// What to put in place of a value: `None` copies its operation.
pub(super) type Rule<'r> = dyn FnMut(&mut Emit, &Kernel, Value, &[Option<Value>]) -> Option<Value> + 'r;

/// Copies a verified kernel.
pub(super) struct Copier<'a, 'r> {
    old: &'a Kernel,
    e: Emit,
    map: Vec<Option<Value>>,
    rule: &'r mut Rule<'r>,
}

impl<'a, 'r> Copier<'a, 'r> {
    pub fn new(old: &'a Kernel, rule: &'r mut Rule<'r>) -> Self {
        let mut e = Emit::new(old.name.clone());
        e.kernel.indices = old.indices;
        e.kernel.values.reserve(old.values.len());
        e.region.reserve(old.body.len());
        Self { old, e, map: vec![None; old.values.len()], rule }
    }

    pub fn run(&mut self) {
        let old = self.old;
        self.region(&old.body);
    }

    pub fn finish(self) -> (Kernel, Vec<Option<Value>>) {
        let mut kernel = self.e.kernel;
        kernel.body = self.e.region;
        (kernel, self.map)
    }

    fn get(&self, v: Value) -> Value {
        self.map[v.index()].unwrap_or(v)
    }

    fn bound(&mut self, v: Value, op: Op) -> Value {
        let new = self.e.kernel.value(op, self.old.values[v.index()].ty);
        self.map[v.index()] = Some(new);
        new
    }

    fn region(&mut self, region: &Region) {
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => {
                    let new = match (self.rule)(&mut self.e, self.old, *v, &self.map) {
                        Some(new) => new,
                        None => {
                            let d = &self.old.values[v.index()];
                            let mut op = d.op.clone();
                            op.map_operands(|o| self.get(o));
                            self.e.push(op, d.ty)
                        }
                    };
                    self.map[v.index()] = Some(new);
                }
                Stmt::Store { place, value, origin } => {
                    let value = self.get(*value);
                    self.e.region.push(Stmt::Store { place: place.clone(), value, origin: *origin });
                }
                Stmt::Solve(_) | Stmt::SolveTangent(_) => self.e.region.push(stmt.clone()),
                Stmt::For(l) => {
                    let inits: Vec<Value> = l.carries.iter().map(|c| self.get(c.init)).collect();
                    let vars: Vec<Value> = l.carries.iter().map(|c| self.bound(c.var, Op::Carry)).collect();
                    let body = self.inside(&l.body);
                    let mut carries = Vec::with_capacity(vars.len());
                    for (k, c) in l.carries.iter().enumerate() {
                        let next = self.get(c.next);
                        let result = self.bound(c.result, Op::Result);
                        carries.push(Carry { var: vars[k], init: inits[k], next, result });
                    }
                    let l = For { carries, body, index: l.index, lo: l.lo, hi: l.hi, reverse: l.reverse };
                    self.e.region.push(Stmt::For(Box::new(l)));
                }
                Stmt::If(i) => {
                    let cond = self.get(i.cond);
                    let then = self.inside(&i.then);
                    let otherwise = self.inside(&i.otherwise);
                    let mut results = Vec::with_capacity(i.results.len());
                    for &(r, a, b) in &i.results {
                        let (a, b) = (self.get(a), self.get(b));
                        results.push((self.bound(r, Op::Result), a, b));
                    }
                    self.e.region.push(Stmt::If(Box::new(If { cond, then, otherwise, results })));
                }
            }
        }
    }

    fn inside(&mut self, region: &Region) -> Region {
        let outer = std::mem::take(&mut self.e.region);
        self.region(region);
        std::mem::replace(&mut self.e.region, outer)
    }
}
