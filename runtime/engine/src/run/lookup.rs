//! Where a table is looked up: what a failure there points at.

use twinml_model::behavior::{Code, Instr};
use twinml_model::ids::{OriginId, TableId, Value};
use twinml_model::ir::{Kernel, Op, Region, Stmt};
use twinml_model::program::Program;

/// Most look-ups of a kernel that are told of.
const MOST: usize = 8;

/// The equations that look the table up, each once, in the order of the kernels.
pub(super) fn equations(program: &Program, table: TableId) -> Vec<OriginId> {
    let p = program;
    let blocks = p.blocks.iter().map(|b| &b.residual);
    let kernels = [&p.params, &p.initial].into_iter().chain(blocks);
    let kernels = kernels.chain([&p.rhs, &p.outputs, &p.roots, &p.update, &p.history, &p.projection]);
    let mut found = Vec::new();
    for kernel in kernels {
        let looks = |op: &Op| matches!(op, Op::Table { table: t, .. } if *t == table);
        let values = kernel.values.iter().enumerate().filter(|(_, v)| looks(&v.op));
        for (at, _) in values.take(MOST) {
            let mut search = Search { kernel, reached: vec![false; kernel.values.len()], found: None };
            search.reached[at] = true;
            search.region(&kernel.body, false);
            found.extend(search.found.filter(|o| !found.contains(o)));
        }
    }
    found
}

/// Whether code looks the table up at this place.
pub(super) fn in_code(codes: &[Code], place: OriginId, table: TableId) -> bool {
    let looks = |i: &Instr| matches!(i, Instr::Table(_, t, _) if *t == table);
    codes.iter().any(|c| c.instrs.iter().zip(&c.origins).any(|(i, o)| *o == place && looks(i)))
}

/// Follows a value to the first store that depends on it: to the equation that it is a part of.
struct Search<'k> {
    kernel: &'k Kernel,
    reached: Vec<bool>,
    found: Option<OriginId>,
}

impl Search<'_> {
    /// `inside`: whether what leads here depends on the value.
    fn region(&mut self, region: &Region, inside: bool) {
        for stmt in region {
            match stmt {
                _ if self.found.is_some() => return,
                Stmt::Eval(v) => {
                    let on = self.kernel.values[v.index()].op.operands().any(|o| self.has(o));
                    self.reached[v.index()] |= on;
                }
                Stmt::Store { value, origin, .. } => {
                    if inside || self.has(*value) {
                        self.found = Some(*origin);
                    }
                }
                Stmt::For(l) => {
                    // What one round hands to the next.
                    for _ in 0..2 {
                        for c in &l.carries {
                            self.reached[c.var.index()] |= self.has(c.init) || self.has(c.next);
                        }
                        self.region(&l.body, inside);
                    }
                    for c in &l.carries {
                        self.reached[c.result.index()] |= self.has(c.var) || self.has(c.next);
                    }
                }
                Stmt::If(i) => {
                    let on = inside || self.has(i.cond);
                    self.region(&i.then, on);
                    self.region(&i.otherwise, on);
                    for (result, a, b) in &i.results {
                        self.reached[result.index()] |= on || self.has(*a) || self.has(*b);
                    }
                }
                Stmt::Solve(_) | Stmt::SolveTangent(_) => {}
            }
        }
    }

    fn has(&self, v: Value) -> bool {
        self.reached[v.index()]
    }
}
