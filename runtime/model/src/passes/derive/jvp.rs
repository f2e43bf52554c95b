//! Forward mode: a kernel (or function) with the change of every value computed beside it.

use super::Functions;
use super::local::{Local, activity, local};
use crate::ids::Value;
use crate::ir::{Carry, For, Function, If, Kernel, Op, Place, Region, Space, Stmt, Ty};
use crate::passes::emit::{Emit, Num};
use crate::program::SlotRun;

/// What a derivative kernel does with the statements of its original.
pub(super) struct Plan<'p> {
    /// Spaces whose loads change.
    pub seeds: &'p [Space],
    /// Slots whose tangents are set to zero first.
    pub zeroed: &'p [SlotRun],
    /// Spaces that are stored, themselves and their tangents.
    pub keep: &'p dyn Fn(Space) -> bool,
}

/// The directional derivative of `kernel`: computes what it computes, and for every store kept also the
/// store of the change, `Σ ∂/∂slot·tangent(slot)` over the seeded spaces.
pub(super) fn jvp(kernel: &Kernel, name: String, plan: &Plan<'_>, functions: &mut Functions<'_>) -> Kernel {
    let active = activity(kernel, &|op| match op {
        Op::Load(p) | Op::LoadAt { place: p, .. } => plan.seeds.contains(&p.space),
        _ => false,
    });
    let mut w = Walker::new(kernel, name, active, None, plan.keep, functions);
    for &SlotRun { space, base, len } in plan.zeroed {
        w.zero(space, base, len);
    }
    w.region(&kernel.body);
    w.finish().0
}

/// ∂result/∂argument `k` of a function; `None` where it is zero.
pub(super) fn partial(
    function: &Function,
    k: usize,
    name: String,
    functions: &mut Functions<'_>,
) -> Option<Function> {
    let active = activity(&function.code, &|op| matches!(op, Op::Arg(n) if *n as usize == k));
    if !active[function.result.index()] {
        return None;
    }
    let mut w = Walker::new(&function.code, name, active, Some(k), &|_| false, functions);
    w.region(&function.code.body);
    let d = w.tan[function.result.index()];
    let result = w.e.value(d);
    Some(Function { params: function.params.clone(), code: w.finish().0, result })
}

struct Walker<'a, 'f> {
    old: &'a Kernel,
    e: Emit,
    map: Vec<Option<Value>>,
    tan: Vec<Num>,
    active: Vec<bool>,
    arg: Option<usize>,
    keep: &'a dyn Fn(Space) -> bool,
    functions: &'a mut Functions<'f>,
}

impl<'a, 'f> Walker<'a, 'f> {
    fn new(
        old: &'a Kernel,
        name: String,
        active: Vec<bool>,
        arg: Option<usize>,
        keep: &'a dyn Fn(Space) -> bool,
        functions: &'a mut Functions<'f>,
    ) -> Self {
        let mut e = Emit::new(name);
        e.kernel.indices = old.indices;
        Self {
            old,
            e,
            map: vec![None; old.values.len()],
            tan: vec![Num::ZERO; old.values.len()],
            active,
            arg,
            keep,
            functions,
        }
    }

    fn finish(self) -> (Kernel, Vec<Num>) {
        let mut kernel = self.e.kernel;
        kernel.body = self.e.region;
        (kernel, self.tan)
    }

    fn zero(&mut self, space: Space, base: u32, len: u32) {
        let Some(space) = space.tangent() else { return };
        let origin = crate::ids::OriginId(0);
        let index = self.e.kernel.index();
        let (body, ()) = self.e.inside(|e| {
            let value = e.constant(0.0);
            let at = crate::ir::Affine::constant(i64::from(base)).plus(index, 1);
            e.region.push(Stmt::Store { place: Place { space, at }, value, origin });
        });
        let hi = i64::from(len);
        self.e.region.push(Stmt::For(Box::new(For {
            index,
            lo: 0,
            hi,
            reverse: false,
            carries: Vec::new(),
            body,
        })));
    }

    /// The copy of a value: verified code defines before it uses.
    fn new_of(&self, v: Value) -> Value {
        self.map[v.index()].unwrap_or(v)
    }

    fn region(&mut self, region: &Region) {
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => self.eval(*v),
                Stmt::Store { place, value, origin } => {
                    if !(self.keep)(place.space) {
                        continue;
                    }
                    let new = self.new_of(*value);
                    let store = |place, value| Stmt::Store { place, value, origin: *origin };
                    self.e.region.push(store(place.clone(), new));
                    if let Some(space) = place.space.tangent() {
                        let d = self.tan[value.index()];
                        let d = self.e.value(d);
                        self.e.region.push(store(Place { space, at: place.at.clone() }, d));
                    }
                }
                Stmt::Solve(b) => {
                    self.e.region.push(Stmt::Solve(*b));
                    self.e.region.push(Stmt::SolveTangent(*b));
                }
                Stmt::SolveTangent(_) => self.e.region.push(stmt.clone()),
                Stmt::For(l) => self.for_loop(l),
                Stmt::If(i) => self.branch(i),
            }
        }
    }

    fn eval(&mut self, v: Value) {
        let data = &self.old.values[v.index()];
        let mut op = data.op.clone();
        op.map_operands(|o| self.new_of(o));
        let y = self.e.push(op, data.ty);
        self.map[v.index()] = Some(y);
        if !self.active[v.index()] {
            return;
        }
        self.tan[v.index()] = match &data.op {
            Op::Arg(n) if self.arg == Some(*n as usize) => Num::ONE,
            Op::Load(p) => match p.space.tangent() {
                Some(space) => Num::Val(self.e.f(Op::Load(Place { space, at: p.at.clone() }))),
                None => Num::ZERO,
            },
            Op::LoadAt { place, at, len, stride, origin } => match place.space.tangent() {
                Some(space) => Num::Val(self.e.f(Op::LoadAt {
                    place: Place { space, at: place.at.clone() },
                    at: self.new_of(*at),
                    len: *len,
                    stride: *stride,
                    origin: *origin,
                })),
                None => Num::ZERO,
            },
            op => {
                let active = &self.active;
                let on = |o: Value| active[o.index()];
                match local(&mut self.e, op, y, &self.map, on, self.functions) {
                    Local::Linear(terms) => {
                        let mut sum = Num::ZERO;
                        for (o, d) in terms {
                            let t = self.e.mul(d, self.tan[o.index()]);
                            sum = self.e.add(sum, t);
                        }
                        sum
                    }
                    Local::Choose(c, a, b) => self.e.select(c, self.tan[a.index()], self.tan[b.index()]),
                }
            }
        };
    }

    fn for_loop(&mut self, l: &For) {
        let mut carries = Vec::new();
        for c in &l.carries {
            let ty = self.old.values[c.var.index()].ty;
            let var = self.e.kernel.value(Op::Carry, ty);
            let init = self.new_of(c.init);
            self.map[c.var.index()] = Some(var);
            let on = self.active[c.var.index()];
            let tangent = on.then(|| {
                let d = self.tan[c.init.index()];
                let init = self.e.value(d);
                let var = self.e.kernel.value(Op::Carry, Ty::F64);
                self.tan[c.var.index()] = Num::Val(var);
                (var, init)
            });
            carries.push((var, init, tangent));
        }
        let outer = std::mem::take(&mut self.e.region);
        self.region(&l.body);
        let mut out = Vec::new();
        for (c, (var, init, tangent)) in l.carries.iter().zip(carries) {
            let ty = self.old.values[c.var.index()].ty;
            let next = self.new_of(c.next);
            let result = self.e.kernel.value(Op::Result, ty);
            self.map[c.result.index()] = Some(result);
            out.push(Carry { var, init, next, result });
            if let Some((var, init)) = tangent {
                let d = self.tan[c.next.index()];
                let next = self.e.value(d);
                let result = self.e.kernel.value(Op::Result, Ty::F64);
                self.tan[c.result.index()] = Num::Val(result);
                out.push(Carry { var, init, next, result });
            }
        }
        let body = std::mem::replace(&mut self.e.region, outer);
        self.e.region.push(Stmt::For(Box::new(For { carries: out, body, ..l.clone() })));
    }

    fn branch(&mut self, i: &If) {
        let cond = self.new_of(i.cond);
        let outer = std::mem::take(&mut self.e.region);
        // the changes of the results of one side, computed inside it
        let changes = |w: &mut Self, pick: &dyn Fn(&(Value, Value, Value)) -> Value| -> Vec<Value> {
            let mut out = Vec::new();
            for r in &i.results {
                if w.active[r.0.index()] {
                    let d = w.tan[pick(r).index()];
                    out.push(w.e.value(d));
                }
            }
            out
        };
        self.region(&i.then);
        let a = changes(self, &|r| r.1);
        let then = std::mem::take(&mut self.e.region);
        self.region(&i.otherwise);
        let b = changes(self, &|r| r.2);
        let otherwise = std::mem::replace(&mut self.e.region, outer);
        let mut results = Vec::new();
        let mut sides = a.into_iter().zip(b);
        for &(r, p, q) in &i.results {
            let ty = self.old.values[r.index()].ty;
            let new = self.e.kernel.value(Op::Result, ty);
            results.push((new, self.new_of(p), self.new_of(q)));
            self.map[r.index()] = Some(new);
            if self.active[r.index()]
                && let Some((p, q)) = sides.next()
            {
                let d = self.e.kernel.value(Op::Result, Ty::F64);
                results.push((d, p, q));
                self.tan[r.index()] = Num::Val(d);
            }
        }
        self.e.region.push(Stmt::If(Box::new(If { cond, then, otherwise, results })));
    }
}
