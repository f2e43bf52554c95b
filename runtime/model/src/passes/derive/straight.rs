//! Sparse Jacobians of code without loops: every value carries its gradient as a short list of (column,
//! partial), slots that the kernel itself writes hand theirs on.

use super::Functions;
use super::local::{Local, activity, local};
use crate::ids::{OriginId, Value};
use crate::ir::{Affine, If, Kernel, Op, Place, Region, Space, Stmt, Ty};
use crate::passes::emit::{Emit, Num};
use crate::program::{EntryFamily, Jacobian};
use rustc_hash::FxHashMap;

/// Rows and columns of a Jacobian.
pub(super) struct Frame<'p> {
    /// The space whose stores are rows.
    pub rows: Space,
    /// Number of rows.
    pub n_rows: u32,
    /// Column of a slot, if it is a seed.
    pub column: &'p dyn Fn(Space, i64) -> Option<u32>,
    /// Number of columns.
    pub n_cols: u32,
    /// Spaces that may hold seeds.
    pub seeds: &'p [Space],
}

type Gradient = Vec<(u32, Num)>;

/// The Jacobian of a kernel without loops; `None` where it solves blocks, writes a slot in a branch, or needs more than
/// `budget` partials.
pub(super) fn jacobian(
    kernel: &Kernel,
    name: String,
    frame: &Frame<'_>,
    budget: usize,
    functions: &mut Functions<'_>,
) -> Option<Jacobian> {
    let active = activity(kernel, &|op| match op {
        Op::Load(p) | Op::LoadAt { place: p, .. } => {
            frame.seeds.contains(&p.space) || matches!(p.space, Space::Var | Space::Der)
        }
        _ => false,
    });
    let mut w = Walker {
        old: kernel,
        e: Emit::new(name),
        map: vec![None; kernel.values.len()],
        grad: vec![Gradient::new(); kernel.values.len()],
        active,
        slots: FxHashMap::default(),
        rows: vec![None; frame.n_rows as usize],
        frame,
        functions,
        budget,
    };
    w.region(&kernel.body, true)?;
    let mut families = Vec::new();
    let rows = std::mem::take(&mut w.rows);
    for (row, stored) in rows.into_iter().enumerate() {
        // a row that is never written has no entries
        let Some((gradient, origin)) = stored else { continue };
        for (col, d) in gradient {
            if d.is_zero() {
                continue;
            }
            let slot = families.len() as i64;
            let value = w.e.value(d);
            let place = Place { space: Space::Jac, at: Affine::constant(slot) };
            w.e.region.push(Stmt::Store { place, value, origin });
            families.push(EntryFamily {
                loops: Vec::new(),
                row: Affine::constant(row as i64),
                col: Affine::constant(i64::from(col)),
                slot: Affine::constant(slot),
            });
        }
    }
    let mut kernel = w.e.kernel;
    kernel.body = w.e.region;
    Some(Jacobian {
        rows: frame.n_rows,
        cols: frame.n_cols,
        entries: u32::try_from(families.len()).ok()?,
        families,
        kernel,
    })
}

struct Walker<'a, 'f> {
    old: &'a Kernel,
    e: Emit,
    map: Vec<Option<Value>>,
    grad: Vec<Gradient>,
    active: Vec<bool>,
    slots: FxHashMap<(Space, i64), Gradient>,
    rows: Vec<Option<(Gradient, OriginId)>>,
    frame: &'a Frame<'a>,
    functions: &'a mut Functions<'f>,
    budget: usize,
}

impl Walker<'_, '_> {
    fn new_of(&self, v: Value) -> Value {
        self.map[v.index()].unwrap_or(v)
    }

    fn region(&mut self, region: &Region, outermost: bool) -> Option<()> {
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => self.eval(*v)?,
                Stmt::Store { place, value, origin } => {
                    if !outermost || !place.at.terms.is_empty() {
                        return None;
                    }
                    let gradient = self.grad[value.index()].clone();
                    let slot = place.at.base;
                    if place.space == self.frame.rows {
                        let row = self.rows.get_mut(usize::try_from(slot).ok()?)?;
                        *row = Some((gradient.clone(), *origin));
                    }
                    if matches!(place.space, Space::Var | Space::Der) {
                        // the value itself, for loads that follow
                        let new = self.new_of(*value);
                        let place = place.clone();
                        self.e.region.push(Stmt::Store { place, value: new, origin: *origin });
                        self.slots.insert((stmt_space(stmt)?, slot), gradient);
                    }
                }
                Stmt::Solve(_) | Stmt::SolveTangent(_) | Stmt::For(_) => return None,
                Stmt::If(i) => self.branch(i)?,
            }
        }
        Some(())
    }

    fn load(&self, space: Space, slot: i64) -> Gradient {
        if let Some(g) = self.slots.get(&(space, slot)) {
            return g.clone();
        }
        match (self.frame.column)(space, slot) {
            Some(col) => vec![(col, Num::ONE)],
            None => Gradient::new(),
        }
    }

    fn eval(&mut self, v: Value) -> Option<()> {
        let data = &self.old.values[v.index()];
        let mut op = data.op.clone();
        op.map_operands(|o| self.new_of(o));
        let y = self.e.push(op, data.ty);
        self.map[v.index()] = Some(y);
        if !self.active[v.index()] {
            return Some(());
        }
        let gradient = match &data.op {
            Op::Load(p) => self.load(p.space, p.at.base),
            Op::LoadAt { place, at, len, stride, .. } => {
                // each element with a factor that is 1 where it is the one asked for
                let mut out = Gradient::new();
                let at = self.new_of(*at);
                for k in 0..i64::from(*len) {
                    let g = self.load(place.space, place.at.base + k * stride);
                    if g.is_empty() {
                        continue;
                    }
                    self.budget = self.budget.checked_sub(1)?;
                    let kv = self.e.push(Op::ConstI(k), Ty::I64);
                    let hit = self.e.push(Op::CmpI(crate::ir::CmpOp::Eq, at, kv), Ty::Bool);
                    out = self.choose(hit, &g, &out);
                }
                out
            }
            op => {
                let grad = &self.grad;
                let on = |o: Value| !grad[o.index()].is_empty();
                match local(&mut self.e, op, y, &self.map, on, self.functions) {
                    Local::Linear(terms) => {
                        let mut sum = Gradient::new();
                        for (o, d) in terms {
                            let g = std::mem::take(&mut self.grad[o.index()]);
                            sum = self.axpy(d, &g, sum);
                            self.grad[o.index()] = g;
                        }
                        sum
                    }
                    Local::Choose(c, a, b) => {
                        let (p, q) = (self.grad[a.index()].clone(), self.grad[b.index()].clone());
                        self.choose(c, &p, &q)
                    }
                }
            }
        };
        self.budget = self.budget.checked_sub(gradient.len())?;
        self.grad[v.index()] = gradient;
        Some(())
    }

    /// `d·g + sum`, columns in rising order.
    fn axpy(&mut self, d: Num, g: &Gradient, sum: Gradient) -> Gradient {
        let mut out = Gradient::with_capacity(g.len() + sum.len());
        let mut rest = sum.into_iter().peekable();
        for &(col, p) in g {
            while let Some(s) = rest.next_if(|s| s.0 < col) {
                out.push(s);
            }
            let t = self.e.mul(d, p);
            let t = match rest.next_if(|s| s.0 == col) {
                Some((_, s)) => self.e.add(s, t),
                None => t,
            };
            out.push((col, t));
        }
        out.extend(rest);
        out
    }

    fn choose(&mut self, c: Value, a: &Gradient, b: &Gradient) -> Gradient {
        let mut out = Gradient::with_capacity(a.len() + b.len());
        for (col, p, q) in union(a, b) {
            out.push((col, self.e.select(c, p, q)));
        }
        out
    }

    fn branch(&mut self, i: &If) -> Option<()> {
        let cond = self.new_of(i.cond);
        let outer = std::mem::take(&mut self.e.region);
        self.region(&i.then, false)?;
        let then_end = std::mem::take(&mut self.e.region);
        self.region(&i.otherwise, false)?;
        let other_end = std::mem::take(&mut self.e.region);
        let (mut then, mut otherwise) = (then_end, other_end);
        let mut results = Vec::new();
        for &(r, p, q) in &i.results {
            let new = self.e.kernel.value(Op::Result, self.old.values[r.index()].ty);
            results.push((new, self.new_of(p), self.new_of(q)));
            self.map[r.index()] = Some(new);
            let mut gradient = Gradient::new();
            for (col, a, b) in union(&self.grad[p.index()].clone(), &self.grad[q.index()].clone()) {
                if let (Num::Const(x), Num::Const(y)) = (a, b)
                    && x == y
                {
                    gradient.push((col, a));
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
                gradient.push((col, Num::Val(d)));
            }
            self.budget = self.budget.checked_sub(gradient.len())?;
            self.grad[r.index()] = gradient;
        }
        self.e.region = outer;
        self.e.region.push(Stmt::If(Box::new(If { cond, then, otherwise, results })));
        Some(())
    }
}

fn stmt_space(stmt: &Stmt) -> Option<Space> {
    match stmt {
        Stmt::Store { place, .. } => Some(place.space),
        _ => None,
    }
}

/// Both gradients column by column, zeros where one has none.
fn union(a: &Gradient, b: &Gradient) -> Vec<(u32, Num, Num)> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let ca = a.get(i).map_or(u32::MAX, |x| x.0);
        let cb = b.get(j).map_or(u32::MAX, |x| x.0);
        let col = ca.min(cb);
        let p = if ca == col { a[i].1 } else { Num::ZERO };
        let q = if cb == col { b[j].1 } else { Num::ZERO };
        i += usize::from(ca == col);
        j += usize::from(cb == col);
        out.push((col, p, q));
    }
    out
}
