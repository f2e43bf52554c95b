//! Comparisons and integer-valued functions over continuous quantities: each becomes a frozen discrete
//! family, which equations read, and an event function, whose sign change ends a step.

use super::guards;
use crate::flat::{Affine, BinOp, CmpOp, Equation, Expr, Loop, Role, StepFn, System, UnOp, Var};
use crate::source::Span;
use crate::structural::expr;
use crate::structural::isolate::sub;
use twinml_model::ids::VarId;
use twinml_model::program::RelationKind;
use twinml_model::schema::{Kind, Segment};

/// A frozen family and what it stands for.
#[derive(Clone, Debug)]
pub struct Relation {
    /// The discrete family (one element an instance).
    pub var: VarId,
    /// Loops over the instances, outermost first.
    pub loops: Vec<Loop>,
    /// The element, affine in the loops.
    pub element: Affine,
    /// The event function.
    pub root: Expr,
    /// The right-limit value (a number: 0/1 for comparisons).
    pub fresh: Expr,
    /// What it is.
    pub kind: RelationKind,
    /// Number of instances.
    pub len: u32,
    /// The comparison in the source.
    pub span: Span,
    /// Path of the instance whose equation this is.
    pub owner: String,
}

/// Which families vary between events.
pub fn continuous(system: &System) -> Vec<bool> {
    let mut varies: Vec<bool> = system
        .vars
        .iter()
        .map(|v| match v.role {
            Role::State => true,
            Role::Unknown => v.kind == Kind::Real,
            Role::Input => v.path.first().is_some_and(|s| s.name == crate::flat::NOISE),
            _ => false,
        })
        .collect();
    let mut definitions: Vec<Vec<&Equation>> = vec![Vec::new(); system.vars.len()];
    for e in &system.equations {
        if let Expr::Var(v, _) = e.left {
            definitions[v.index()].push(e);
        }
    }
    // Definitions by discrete formulas are discrete, as often as needed.
    loop {
        let mut changed = false;
        for e in &system.equations {
            let Expr::Var(v, _) = e.left else { continue };
            let i = v.index();
            if system.vars[i].role == Role::Unknown && varies[i] && !varies_in(&e.right, &varies) {
                let only = definitions[i].iter().all(|f| !varies_in(&f.right, &varies));
                let total: i64 =
                    definitions[i].iter().map(|f| crate::structural::sets::points(&f.loops)).sum();
                if only && total == i64::from(system.vars[i].len) {
                    varies[i] = false;
                    changed = true;
                }
            }
        }
        if !changed {
            return varies;
        }
    }
}

/// Whether an expression varies between events.
pub fn varies_in(e: &Expr, varies: &[bool]) -> bool {
    match e {
        // Families added since are frozen.
        Expr::Var(v, _) if v.index() >= varies.len() => false,
        Expr::Time | Expr::Der(..) | Expr::Delay(..) => true,
        Expr::Var(v, _) => varies[v.index()],
        Expr::VarAt { var, at, .. } => varies[var.index()] || varies_in(at, varies),
        // What is frozen is discrete.
        Expr::Cmp(..) | Expr::Step(..) => false,
        _ => {
            let mut any = false;
            expr::children(e, &mut |c| any = any || varies_in(c, varies));
            any
        }
    }
}

/// Takes the relations out of the system's equations, adding a discrete family for each.
pub fn extract(system: &mut System, varies: &[bool]) -> Vec<Relation> {
    let mut out = Vec::new();
    let mut equations = std::mem::take(&mut system.equations);
    for e in &mut equations {
        extract_in(e, system, varies, &mut out);
    }
    system.equations = equations;
    out
}

/// The same for further equations (initial ones).
pub fn extract_in(e: &mut Equation, system: &mut System, varies: &[bool], out: &mut Vec<Relation>) {
    let mut context = Context { system, varies, out, loops: e.loops.clone(), owner: e.owner.clone() };
    for side in [&mut e.left, &mut e.right] {
        if has_relation(side) {
            *side = context.freeze(side);
        }
    }
}

/// Whether there is anything that makes events.
fn has_relation(e: &Expr) -> bool {
    match e {
        Expr::NoEvent(_) => false,
        Expr::Cmp(..) | Expr::Step(..) => true,
        _ => {
            let mut any = false;
            expr::children(e, &mut |c| any = any || has_relation(c));
            any
        }
    }
}

struct Context<'a> {
    system: &'a mut System,
    varies: &'a [bool],
    out: &'a mut Vec<Relation>,
    loops: Vec<Loop>,
    owner: String,
}

impl Context<'_> {
    fn freeze(&mut self, e: &Expr) -> Expr {
        let go = |c: &mut Self, x: &Expr| Box::new(c.freeze(x));
        match e {
            Expr::NoEvent(_) => e.clone(),
            Expr::Cmp(op, a, b, span) => {
                let (a, b) = (self.freeze(a), self.freeze(b));
                if !self.varies(&a) && !self.varies(&b) {
                    return Expr::Cmp(*op, Box::new(a), Box::new(b), *span);
                }
                let root = sub(a.clone(), b.clone());
                let fresh = Expr::BoolToNum(Box::new(Expr::Cmp(*op, Box::new(a), Box::new(b), *span)));
                let (var, at) = self.family(RelationKind::Compare(*op), root, fresh, *span);
                Expr::Var(var, at)
            }
            Expr::Step(f, x, span) => {
                let x = self.freeze(x);
                if !self.varies(&x) {
                    return Expr::Step(*f, Box::new(x), *span);
                }
                let (var, at) = self.step(*f, x, *span);
                Expr::Var(var, at)
            }
            Expr::Fold(op, l, body) => {
                self.loops.push(**l);
                let body = go(self, body);
                self.loops.pop();
                Expr::Fold(*op, l.clone(), body)
            }
            Expr::VarAt { var, base, at, len, stride, span } => Expr::VarAt {
                var: *var,
                base: base.clone(),
                at: go(self, at),
                len: *len,
                stride: *stride,
                span: *span,
            },
            Expr::Un(op, a) => Expr::Un(*op, go(self, a)),
            Expr::Not(a) => Expr::Not(go(self, a)),
            Expr::Table(t, a) => Expr::Table(*t, go(self, a)),
            Expr::BoolToNum(a) => Expr::BoolToNum(go(self, a)),
            Expr::Bin(op, a, b) => Expr::Bin(*op, go(self, a), go(self, b)),
            Expr::BoolBin(op, a, b) => Expr::BoolBin(*op, go(self, a), go(self, b)),
            Expr::Delay(a, b) => Expr::Delay(go(self, a), go(self, b)),
            Expr::If(c, a, b) => {
                let (frozen, a, b) = (self.freeze(c), self.freeze(a), self.freeze(b));
                let guarded = (frozen != **c)
                    .then(|| {
                        let known = |v: VarId| {
                            let role = self.system.vars[v.index()].role;
                            role != Role::Unknown
                        };
                        guards::condition(&frozen, c, [&a, &b], &|e| self.varies(e), &known)
                    })
                    .flatten();
                Expr::If(Box::new(guarded.unwrap_or(frozen)), Box::new(a), Box::new(b))
            }
            Expr::Math(m, args) => Expr::Math(*m, args.iter().map(|a| self.freeze(a)).collect()),
            Expr::Num(_)
            | Expr::Bool(_)
            | Expr::Time
            | Expr::Index(_)
            | Expr::Var(..)
            | Expr::Der(..)
            | Expr::Start(..) => e.clone(),
        }
    }

    fn varies(&self, e: &Expr) -> bool {
        match e {
            Expr::Var(v, _) if v.index() >= self.varies.len() => false, // frozen families
            Expr::Time | Expr::Der(..) | Expr::Delay(..) => true,
            Expr::Var(v, _) => self.varies[v.index()],
            Expr::VarAt { var, at, .. } => {
                self.varies.get(var.index()).copied().unwrap_or(false) || self.varies(at)
            }
            _ => {
                let mut any = false;
                expr::children(e, &mut |c| any = any || self.varies(c));
                any
            }
        }
    }

    /// The frozen integer of `f(x)`: it holds while `x` stays in its cell, `½ − |x − middle| ≥ 0`.
    fn step(&mut self, f: StepFn, x: Expr, span: Span) -> (VarId, Affine) {
        let fresh = Expr::NoEvent(Box::new(Expr::Step(f, Box::new(x.clone()), span)));
        let var = VarId::new(self.system.vars.len());
        let at = self.element();
        let k = Expr::Var(var, at);
        let num = |v: f64| Box::new(Expr::Num(v));
        let half = |k: Expr, h: f64| Expr::Bin(BinOp::Add, Box::new(k), num(h));
        let inside = |middle: Expr, width: f64| {
            Expr::Bin(BinOp::Sub, num(width), Box::new(Expr::Un(UnOp::Abs, Box::new(sub(x.clone(), middle)))))
        };
        let root = match f {
            StepFn::Floor => inside(half(k, 0.5), 0.5),
            StepFn::Ceil => inside(half(k, -0.5), 0.5),
            StepFn::Round => inside(k, 0.5),
            // Towards zero: the cell of 0 is (−1, 1), the others are half-open on the far side.
            StepFn::Trunc => {
                let toward =
                    Expr::Bin(BinOp::Mul, num(0.5), Box::new(Expr::Un(UnOp::Sign, Box::new(k.clone()))));
                let is_zero = Expr::Cmp(CmpOp::Eq, Box::new(k.clone()), num(0.0), span);
                let width = Expr::If(Box::new(is_zero), num(1.0), num(0.5));
                let middle = Expr::Bin(BinOp::Add, Box::new(k), Box::new(toward));
                Expr::Bin(
                    BinOp::Sub,
                    Box::new(width),
                    Box::new(Expr::Un(UnOp::Abs, Box::new(sub(x, middle)))),
                )
            }
        };
        self.family(RelationKind::Step, root, fresh, span)
    }

    fn element(&self) -> Affine {
        let mut stride = 1;
        let mut at = Affine::constant(0);
        for l in self.loops.iter().rev() {
            at = at.plus(l.index, stride);
            at.base -= stride * l.lo;
            stride *= (l.hi - l.lo).max(1);
        }
        at
    }

    fn family(&mut self, kind: RelationKind, root: Expr, fresh: Expr, span: Span) -> (VarId, Affine) {
        let element = self.element();
        let len = crate::structural::sets::points(&self.loops).clamp(0, i64::from(u32::MAX)) as u32;
        let var = VarId::new(self.system.vars.len());
        let boolean = matches!(kind, RelationKind::Compare(_));
        self.system.vars.push(Var::plain(
            vec![Segment {
                name: format!("$event{}", self.out.len()),
                axes: if len == 1 { vec![] } else { vec![len] },
            }],
            len,
            Role::Discrete,
            if boolean { Kind::Bool } else { Kind::Int },
            span,
        ));
        self.out.push(Relation {
            var,
            loops: self.loops.clone(),
            element: element.clone(),
            root,
            fresh,
            kind,
            len,
            span,
            owner: self.owner.clone(),
        });
        (var, element)
    }
}

pub use crate::flat::HIDDEN;
