//! Populations: `trucks: Truck[0..200]`, `create`, `retire`, loops over twins, and what reductions count of them.
//!
//! Every place of a population has a hidden discrete state, [`PRESENT`], a member of the twin's class: reductions over
//! the population look at it, `create` and `retire` set it.

use std::rc::Rc;

use super::class::Member;
use super::expr::Opened;
use super::place::{MemberPlace, Place};
use super::ty::{Ty, Val};
use super::{Checker, Cx, ItemId};
use crate::ast::{self, ExprKind as A};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::behavior::{Op, StmtKind as Kind};
use crate::hir::{
    self, BinOp, Builtin, ClassTarget, CmpOp, Expr, ExprKind, Extent, ForRange, LocalId, MemberKind,
    Override, Reduction, Ref, Section, Step, Subscript, Type,
};
use crate::source::Span;

/// The member that says whether a place of a population is taken.
pub(crate) const PRESENT: &str = "present";

fn whole(n: i64, span: Span) -> Expr {
    Expr { kind: ExprKind::Int(n), ty: Type::Int, shape: Vec::new(), span }
}

/// Which of the population's places are taken.
fn taken(mut steps: Vec<Step>, shape: Vec<Extent>, span: Span) -> Expr {
    steps.push(Step { name: Rc::from(PRESENT), subscripts: Vec::new() });
    Expr { kind: ExprKind::Member(Ref { steps, span }), ty: Type::Bool, shape, span }
}

impl<'a> Checker<'a, '_> {
    /// The places that count where `e` goes over all of a population; `None` after a message.
    #[expect(clippy::option_option, reason = "wrong, no population, one")]
    pub(super) fn population_mask(&mut self, cx: &Cx<'a>, e: &Expr) -> Option<Option<Expr>> {
        let Some(root) = cx.class else { return Some(None) };
        let mut refs: Vec<Ref> = Vec::new();
        e.visit(&mut |x| match &x.kind {
            ExprKind::Member(r) | ExprKind::Start(r) => refs.push(r.clone()),
            ExprKind::Behavior(op) => {
                if let Op::Active(r, _) | Op::Machine(r) | Op::Heap(r) = &**op {
                    refs.push(r.clone());
                }
            }
            _ => {}
        });
        let mut found: Option<(Vec<Step>, Vec<Extent>)> = None;
        for r in refs {
            let mut class = root;
            for (k, step) in r.steps.iter().enumerate() {
                let Some(Member::Part { class: of, population, shape, .. }) = self.member(class, &step.name)
                else {
                    break;
                };
                class = of;
                if !population || !step.subscripts.is_empty() {
                    continue;
                }
                let steps = r.steps[..=k].to_vec();
                let other = found.as_ref().is_some_and(|(s, _)| *s != steps);
                if other || e.shape.len() != 1 {
                    let message = "this goes over a population and further axes at once";
                    let d = Diagnostic::new(codes::LATER_POPULATION, e.span, message);
                    self.say(d.help("reduce over the population alone: `sum(t.load for t in trucks)`"));
                    return None;
                }
                found = Some((steps, shape));
            }
        }
        Some(found.map(|(steps, shape)| taken(steps, shape, e.span)))
    }

    /// A reduction over the places that are taken.
    pub(super) fn masked(&self, r: Reduction, e: Expr, mask: Expr) -> ExprKind {
        let span = e.span;
        let other = match r {
            Reduction::Sum | Reduction::Mean => ExprKind::Real(0.0),
            Reduction::Product => ExprKind::Real(1.0),
            Reduction::Min => ExprKind::Real(f64::INFINITY),
            Reduction::Max => ExprKind::Real(f64::NEG_INFINITY),
            Reduction::All => ExprKind::Bool(true),
            Reduction::Any | Reduction::Count => ExprKind::Bool(false),
        };
        let other = Expr { kind: other, ty: e.ty.clone(), shape: Vec::new(), span };
        let (ty, shape) = (e.ty.clone(), e.shape.clone());
        let count = Expr {
            kind: ExprKind::Reduce(Reduction::Count, Box::new(mask.clone())),
            ty: Type::Int,
            shape: Vec::new(),
            span,
        };
        let kind = ExprKind::If(Box::new(mask), Box::new(e), Box::new(other));
        let whole_ty = ty.clone();
        let chosen = Box::new(Expr { kind, ty, shape, span });
        if r != Reduction::Mean {
            return ExprKind::Reduce(r, chosen);
        }
        // The mean of nobody is 0.
        let sum =
            Expr { kind: ExprKind::Reduce(Reduction::Sum, chosen), ty: whole_ty, shape: Vec::new(), span };
        let many = ExprKind::Call(Builtin::Max, vec![count, whole(1, span)]);
        let many = Expr { kind: many, ty: Type::Int, shape: Vec::new(), span };
        ExprKind::Binary(BinOp::Div, Box::new(sum), Box::new(many))
    }

    /// `count(trucks)`: how many there are.
    pub(super) fn head_count(&mut self, cx: &Cx<'a>, e: &'a ast::Expr) -> Option<Val> {
        let (place, _) = self.own_twins(cx, e)?;
        let Member::Part { population: true, shape, .. } = place.what else { return None };
        let mask = taken(place.r.steps, shape, e.span);
        let kind = ExprKind::Reduce(Reduction::Count, Box::new(mask));
        Some(Val::new(kind, Type::Int, e.span))
    }

    /// An array of twins of the class one stands in, by its name.
    fn own_twins(&mut self, cx: &Cx<'a>, e: &'a ast::Expr) -> Option<(MemberPlace<'a>, Extent)> {
        let (A::Name(n), Some(c)) = (&e.kind, cx.class) else { return None };
        if cx.locals.iter().any(|l| *l.name == *n.text) || !self.class(c).members.contains_key(n.as_str()) {
            return None;
        }
        let what = self.member(c, n.as_str())?;
        let Member::Part { shape, .. } = &what else { return None };
        let [len] = &shape[..] else { return None };
        let (axes, len) = (shape.clone(), len.clone());
        let step = Step { name: Rc::from(n.as_str()), subscripts: Vec::new() };
        let r = Ref { steps: vec![step], span: n.span };
        Some((MemberPlace { r, what, axes, own: 1, foreign: false, owner: Some(c), root: c }, len))
    }

    /// `for t in trucks`: an index that the text does not name, and `t` standing for `trucks[index]`; of a population
    /// only those that are there.
    pub(super) fn open_twins(
        &mut self,
        cx: &mut Cx<'a>,
        vars: &'a [ast::Name],
        iter: &'a ast::Expr,
    ) -> Option<Opened> {
        let (mut place, len) = self.own_twins(cx, iter)?;
        let (index_name, value_name) = match vars {
            [value] => (None, value),
            [index, value] => (Some(index), value),
            _ => return None,
        };
        let hi = match &len {
            Extent::Const(n) => whole(i64::from(*n), iter.span),
            Extent::Formula(f) => Expr { span: iter.span, ..(**f).clone() },
            Extent::Inferred => return None,
        };
        let shown = index_name.map_or_else(|| format!("{}#", value_name.as_str()), |n| n.as_str().to_owned());
        let mut index = self.local(&shown, Ty::new(Type::Int), value_name.span);
        index.read = true;
        let id = index.id;
        cx.locals.push(index);
        let at = Expr { kind: ExprKind::Local(id), ty: Type::Int, shape: Vec::new(), span: iter.span };
        place.r.steps[0].subscripts.push(Subscript::Index(at));
        (place.axes, place.own) = (Vec::new(), 0);
        let filter = match &place.what {
            Member::Part { population: true, .. } => {
                Some(taken(place.r.steps.clone(), Vec::new(), iter.span))
            }
            _ => None,
        };
        let ty = Ty::any();
        let mut local = self.local(value_name.as_str(), ty, value_name.span);
        local.twin = Some(Box::new(place));
        cx.locals.push(local);
        Some(Opened::Twins(ForRange { local: id, lo: whole(0, iter.span), hi }, len, filter))
    }

    /// `create Truck { load = 0 kg } in trucks`
    pub(super) fn create(
        &mut self,
        cx: &mut Cx<'a>,
        twin: &'a ast::Path,
        args: &'a [ast::GenericArg],
        overrides: &'a [ast::Override],
        into: Option<&'a ast::Expr>,
        span: Span,
    ) -> Option<Kind> {
        let Some(ItemId::Class(class)) = self.find_def(cx.module, twin).map(|d| self.item_of(d)) else {
            let known: Vec<String> = self.classes.iter().map(|c| c.name.to_string()).collect();
            let message = format!("unknown twin `{}`", twin.dotted());
            let mut d = Diagnostic::new(codes::UNKNOWN_TYPE, twin.span, message);
            d.help = did_you_mean(&twin.dotted(), known.iter().map(String::as_str));
            self.say(d);
            if let Some(e) = into {
                self.place(cx, e);
            }
            return None;
        };
        self.class_args(cx, class, args, twin.span);
        let before = self.diags.len();
        let sets = self.overrides(cx, Some(class), &[], overrides);
        let place = match into {
            Some(e) => match self.place(cx, e)? {
                Place::Member(m) if matches!(m.what, Member::Part { population: true, .. }) => m,
                _ => {
                    let d = Diagnostic::new(codes::WRONG_KIND_OF_NAME, e.span, "this is no population");
                    self.say(d.help("a population has a capacity: `trucks: Truck[0..200]`"));
                    return None;
                }
            },
            None => {
                let d = Diagnostic::new(
                    codes::INCOMPLETE_DECLARATION,
                    span,
                    "which population it joins is not said",
                );
                self.say(d.help(format!("write `create {} {{ … }} in …`", twin.dotted())));
                return None;
            }
        };
        let Member::Part { class: of, .. } = place.what else { return None };
        if self.real(of) != class {
            let (want, have) = (self.class(of).name.clone(), twin.dotted());
            let message = format!("this population is of `{want}`, not of `{have}`");
            let d = Diagnostic::new(codes::WRONG_KIND_OF_NAME, twin.span, message);
            self.say(d.label(place.r.span, "the population").help(format!("create a `{want}`")));
            return None;
        }
        if self.diags.len() > before && sets.len() < overrides.len() {
            return None;
        }
        if !args.is_empty() {
            return Some(Kind::Later("`create` with arguments in `<…>`"));
        }
        let [step] = &place.r.steps[..] else {
            return Some(Kind::Later("`create` in another twin's population"));
        };
        if !step.subscripts.is_empty() {
            return Some(Kind::Later("`create` at a chosen place"));
        }
        let mut out = Vec::with_capacity(sets.len());
        for o in sets {
            let plain = o.distribution.is_none() && !o.guess && o.indices.is_empty();
            let Some(value) = o.value.filter(|_| plain) else {
                return Some(Kind::Later("`create` with a distribution, a guess or an index"));
            };
            out.push((o.path, value, o.span));
        }
        Some(Kind::Create(step.name.clone(), out))
    }

    /// `retire t`
    pub(super) fn retire(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Kind> {
        if e.as_name().is_some_and(|n| n.as_str() == "self") {
            return Some(Kind::RetireSelf);
        }
        let wrong = |s: &mut Self| {
            let d = Diagnostic::new(codes::WRONG_KIND_OF_NAME, e.span, "this is no twin of a population");
            s.say(d.help("as in `retire trucks[2]`, `retire self`, or `for t in trucks { retire t }`"));
            None
        };
        match self.place(cx, e)? {
            Place::Member(m) if matches!(m.what, Member::Part { population: true, .. }) => {
                let [step] = &m.r.steps[..] else {
                    return Some(Kind::Later("`retire` in another twin's population"));
                };
                match &step.subscripts[..] {
                    [Subscript::Index(at)] => Some(Kind::Retire(step.name.clone(), at.clone())),
                    _ => wrong(self),
                }
            }
            _ => wrong(self),
        }
    }
}

/// Gives the classes of populations their hidden member, and each population the places that are taken at the start.
pub(super) fn mark(model: &mut hir::Model) -> Vec<Span> {
    let mut clashes = Vec::new();
    for c in 0..model.classes.len() {
        let parts: Vec<(usize, hir::ClassId, Extent, Span)> = model.classes[c]
            .members
            .values()
            .enumerate()
            .filter_map(|(k, m)| match &m.kind {
                MemberKind::Twin(t) => match (t.class.target, &t.population) {
                    (ClassTarget::Class(of), Some(first)) => Some((k, of, first.clone(), m.span)),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        for (k, of, first, span) in parts {
            let local = LocalId(model.locals.len() as u32);
            model.locals.push(Rc::from("i"));
            let start = match first {
                Extent::Const(0) => {
                    Expr { kind: ExprKind::Bool(false), ty: Type::Bool, shape: Vec::new(), span }
                }
                first => {
                    let lo = match first {
                        Extent::Const(n) => whole(i64::from(n), span),
                        Extent::Formula(f) => *f,
                        Extent::Inferred => continue,
                    };
                    let i = Expr { kind: ExprKind::Local(local), ty: Type::Int, shape: Vec::new(), span };
                    let kind = ExprKind::Binary(BinOp::Cmp(CmpOp::Lt), Box::new(i), Box::new(lo));
                    Expr { kind, ty: Type::Bool, shape: Vec::new(), span }
                }
            };
            let all = matches!(start.kind, ExprKind::Bool(_));
            let set = Override {
                path: vec![Step { name: Rc::from(PRESENT), subscripts: Vec::new() }],
                indices: if all { Vec::new() } else { vec![local] },
                value: Some(start),
                distribution: None,
                guess: false,
                span,
            };
            if let Some((_, m)) = model.classes[c].members.get_index_mut(k)
                && let MemberKind::Twin(t) = &mut m.kind
            {
                t.overrides.push(set);
            }
            let class = &mut model.classes[of.0 as usize];
            match class.members.get(PRESENT) {
                Some(m) if matches!(&m.kind, MemberKind::Var(d) if d.hidden) => {}
                Some(_) => clashes.push(span),
                None => {
                    let kind = ExprKind::Bool(true);
                    let value = Expr { kind, ty: Type::Bool, shape: Vec::new(), span: class.span };
                    let decl = hir::VarDecl {
                        section: Section::States,
                        ty: Type::Bool,
                        shape: Vec::new(),
                        unit: Default::default(),
                        si_unit: String::new(),
                        quantity: None,
                        value: Some(value),
                        distribution: None,
                        ranges: Vec::new(),
                        guess: None,
                        is_final: false,
                        outer: false,
                        hidden: true,
                    };
                    let member = hir::Member { kind: MemberKind::Var(decl), span: class.span, doc: None };
                    class.members.insert(Rc::from(PRESENT), member);
                }
            }
        }
    }
    clashes
}
