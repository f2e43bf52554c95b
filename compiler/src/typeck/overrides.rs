//! Overrides in braces, and distributions.

use std::rc::Rc;

use twinml_model::dimension::Dimension;

use super::assign::Target;
use super::class::{Member, SigKind, section_word};
use super::place::{MemberPlace, Place};
use super::ty::{Lit, Temp, Ty, Val, display_unit, is_number, show_shape};
use super::words::article;
use super::{Checker, Cx, Mode};
use crate::ast::{self, Arg, ExprKind as A};
use crate::diag::{Diagnostic, Severity, codes, did_you_mean};
use crate::hir::behavior::Op;
use crate::hir::{self, ClassId, Distribution, Expr, ExprKind, Extent, Override, Samples, Section, Type};
use crate::source::Span;
use crate::units::Unit;

/// Distributions: name and arguments.
const DISTRIBUTIONS: &[(&str, &[&str])] = &[
    ("normal", &["mean", "sd"]),
    ("uniform", &["lo", "hi"]),
    ("lognormal", &["mean", "sd"]),
    ("triangular", &["lo", "mode", "hi"]),
    ("beta", &["alpha", "beta", "lo", "hi"]),
    ("gamma", &["shape", "scale"]),
    ("weibull", &["shape", "scale"]),
    ("exponential", &["mean"]),
    ("bernoulli", &["p"]),
    ("discrete", &["values", "weights"]),
    ("empirical", &["file", "column"]),
    ("truncated", &["distribution", "lo", "hi"]),
    ("mixture", &["distributions", "weights"]),
];

impl<'a> Checker<'a, '_> {
    /// The overrides of an instance of `class`, whose values see the scope of `cx`. `axes`: those of
    /// the instance. With `class` absent the paths start in the class of `cx`.
    pub(super) fn overrides(
        &mut self,
        cx: &mut Cx<'a>,
        class: Option<ClassId>,
        axes: &[Extent],
        list: &'a [ast::Override],
    ) -> Vec<Override> {
        list.iter().filter_map(|o| self.one_override(cx, class, axes, o)).collect()
    }

    fn one_override(
        &mut self,
        cx: &mut Cx<'a>,
        class: Option<ClassId>,
        axes: &[Extent],
        o: &'a ast::Override,
    ) -> Option<Override> {
        const NONE: &[ast::Name] = &[];
        let (target, value, dist, vars, span) = match o {
            ast::Override::Set { target, value, vars, span } => (target, Some(value), None, &**vars, *span),
            ast::Override::Draw { target, value, dist, vars, span } => {
                (target, value.as_ref(), Some(dist), &**vars, *span)
            }
            ast::Override::Guess { target, value, span } => (target, Some(value), None, NONE, *span),
            ast::Override::Meta(s) => {
                // `layout: …` is for tools; only what stands there as an expression is looked at.
                let _ = s;
                return None;
            }
            ast::Override::Error(_) => return None,
        };
        if let Some(value) = value.filter(|_| dist.is_none())
            && self.level_chosen(cx, class, target, value, span)
        {
            return None;
        }
        let m = self.override_target(cx, class, target)?;
        let (section, ty) = match &m.what {
            Member::Var { section, ty, is_final } => {
                if *is_final {
                    let name = super::body::path_text(&m.r.steps);
                    let message = format!("`{name}` is `final` and cannot be overridden");
                    self.say(Diagnostic::new(codes::FINAL_OVERRIDDEN, target.span, message));
                    return None;
                }
                (*section, ty.clone())
            }
            Member::Part { .. } => {
                let d = Diagnostic::new(codes::NOT_OVERRIDABLE, target.span, "a whole part cannot be set");
                self.say(d.help("name a member of it, or redeclare the part"));
                return None;
            }
            _ => {
                let d = Diagnostic::new(codes::NOT_OVERRIDABLE, target.span, "this cannot be overridden");
                self.say(d.help("parameters, inputs, start values and guesses can"));
                return None;
            }
        };
        let name = super::body::path_text(&m.r.steps);
        let guess = matches!(o, ast::Override::Guess { .. });
        match section {
            Section::ValueParam => {
                let message = format!("`{name}` chooses the structure and is set in `<…>`");
                self.say(Diagnostic::new(codes::NOT_OVERRIDABLE, target.span, message));
                return None;
            }
            Section::Outputs | Section::Variables if !guess && !self.is_discrete_output(&m) => {
                let word = section_word(section);
                let message =
                    format!("`{name}` is {} {word}: its value follows from equations", article(word));
                let d = Diagnostic::new(codes::NOT_OVERRIDABLE, target.span, message);
                self.say(d.help("parameters, inputs, start values and guesses can be overridden"));
                return None;
            }
            _ => {}
        }
        // The instance's own axes come before those of the path.
        let mut shape: Vec<Extent> = axes.to_vec();
        shape.extend(m.axes.iter().cloned());
        if vars.len() > shape.len() {
            let d = Diagnostic::new(
                codes::BAD_INDEX,
                vars.last().map_or(span, |v| v.span),
                format!("{} indices for an array of shape {}", vars.len(), show_shape(&shape)),
            );
            self.say(d);
            return None;
        }
        let depth = cx.locals.len();
        let mut indices = Vec::new();
        for v in vars {
            let mut local = self.local(v.as_str(), Ty::new(Type::Int), v.span);
            local.read = true;
            indices.push(local.id);
            cx.locals.push(local);
        }
        let inner: Vec<Extent> = shape[vars.len()..].to_vec();
        let member_rank = ty.shape.len();
        let target_ty = Ty { shape: inner.clone(), ..ty.clone() };
        let own_ty = Ty { shape: inner[inner.len() - member_rank.min(inner.len())..].to_vec(), ..ty };
        let t = Target { name: &name, span: None };
        // What `create` sets is computed by code.
        let inner = if cx.mode == Mode::Behavior { Mode::Behavior } else { Mode::Formula };
        let mode = std::mem::replace(&mut cx.mode, inner);
        let checked = value.map(|v| self.override_value(cx, v, &target_ty, &own_ty, t));
        let distribution = dist.map(|d| self.distribution(cx, d, Some(&own_ty), value.is_some()));
        cx.mode = mode;
        cx.locals.truncate(depth);
        let value = match checked {
            Some(v) => Some(v?),
            None => None,
        };
        let distribution = match distribution {
            Some(d) => Some(d?),
            None => None,
        };
        self.warn_dropped(&m, dist.is_none() && !guess, &name, span);
        Some(Override { path: m.r.steps, indices, value, distribution, guess, span })
    }

    /// An array goes to each instance, or, where it has the member's own shape, to all.
    fn override_value(
        &mut self,
        cx: &mut Cx<'a>,
        e: &'a ast::Expr,
        whole: &Ty<'a>,
        own: &Ty<'a>,
        t: Target<'_>,
    ) -> Option<Expr> {
        let rank = literal_rank(e);
        let ty = if rank == Some(own.shape.len()) && own.shape.len() < whole.shape.len() && rank != Some(0) {
            own
        } else {
            whole
        };
        if rank.is_some() || own.shape.len() == whole.shape.len() {
            return self.value_for(cx, e, ty, t);
        }
        // The rank shows only after checking: first as the member's own, then as one for each instance.
        let before = self.diags.len();
        let v = self.value_for(cx, e, own, t);
        if v.is_some() {
            return v;
        }
        let as_own: Vec<Diagnostic> = self.diags.iter().skip(before).cloned().collect();
        if !as_own.iter().any(|d| d.code == codes::SHAPE_MISMATCH) {
            return None;
        }
        self.diags.truncate(before);
        let v = self.value_for(cx, e, whole, t);
        // What is said of a place is said once: warnings of the first look count for the second.
        self.diags.truncate(before);
        let holds = |d: &Diagnostic| v.is_none() || d.severity != Severity::Error;
        as_own.into_iter().filter(holds).for_each(|d| self.diags.push(d));
        v
    }

    /// An output whose `=` is a constant is discrete and starts there.
    fn is_discrete_output(&self, m: &MemberPlace<'a>) -> bool {
        let _ = m;
        false
    }

    fn warn_dropped(&mut self, m: &MemberPlace<'a>, set: bool, name: &str, span: Span) {
        if !set {
            return;
        }
        let Some(d) = self.declaration(m) else { return };
        let Some(dist) = &d.dist else { return };
        if is_relative(dist) {
            return;
        }
        let diag = Diagnostic::new(
            codes::DISTRIBUTION_DROPPED,
            span,
            format!("setting `{name}` drops its distribution"),
        )
        .here("from here on it is this value in every run")
        .label(dist.span, "this distribution is absolute")
        .help("give one beside the value, `= … ~ …`, or declare it relative: `~ normal(sd: 2 %)`");
        self.say(diag);
    }

    /// The declaration of a path's last member.
    fn declaration(&self, m: &MemberPlace<'a>) -> Option<&'a ast::Decl> {
        let owner = m.owner?;
        match self.class(owner).members.get(&m.r.steps.last()?.name)?.kind {
            SigKind::Var(_, d) => Some(d),
            _ => None,
        }
    }

    /// The member that an override names, seen from the instance.
    pub(super) fn override_target(
        &mut self,
        cx: &mut Cx<'a>,
        class: Option<ClassId>,
        target: &'a ast::Expr,
    ) -> Option<MemberPlace<'a>> {
        // Indices are formulas of the writing scope; names are those of the instance.
        let mut links: Vec<(&'a ast::Name, Vec<&'a ast::Expr>)> = Vec::new();
        let mut at = target;
        let mut pending: Vec<&'a ast::Expr> = Vec::new();
        loop {
            match &at.kind {
                A::Name(n) => {
                    links.push((n, std::mem::take(&mut pending)));
                    break;
                }
                A::Field { base, name } => {
                    links.push((name, std::mem::take(&mut pending)));
                    at = base;
                }
                A::Index { base, indices } => {
                    pending = indices.iter().chain(pending).collect();
                    at = base;
                }
                A::Error => return None,
                _ => {
                    let d = Diagnostic::new(codes::NOT_OVERRIDABLE, at.span, "this is no path to a member");
                    self.say(d.help("as in `cells[7].Q = 44 A*h`"));
                    return None;
                }
            }
        }
        links.reverse();
        let mut class = class.or(cx.class)?;
        let root = class;
        let mut out: Option<MemberPlace<'a>> = None;
        let mut port: Option<hir::ConnectorId> = None;
        for (name, indices) in links {
            let what = match port {
                Some(c) => self.port_member(c, name)?,
                None => {
                    if !self.class(class).members.contains_key(name.as_str()) {
                        self.unknown_member(class, name);
                        return None;
                    }
                    self.member(class, name.as_str())?
                }
            };
            let owner = port.is_none().then_some(class);
            match &what {
                Member::Part { class: c, .. } => class = *c,
                Member::Port { connector, .. } => port = Some(*connector),
                _ => {}
            }
            let place = match out.take() {
                None => MemberPlace {
                    r: hir::Ref { steps: Vec::new(), span: target.span },
                    axes: Vec::new(),
                    own: 0,
                    foreign: false,
                    owner,
                    root,
                    what: what.clone(),
                },
                Some(p) => match p.what {
                    Member::Part { .. } | Member::Port { .. } => p,
                    _ => {
                        let d = Diagnostic::new(
                            codes::UNKNOWN_MEMBER,
                            name.span,
                            format!("`{}` is no member of this", name.as_str()),
                        );
                        self.say(d);
                        return None;
                    }
                },
            };
            let place = MemberPlace { owner, ..place };
            let Place::Member(mut place) = self.step_to(place, name, what, target.span) else { return None };
            if !indices.is_empty() {
                place = self.index_member(cx, place, &indices, target.span)?;
            }
            out = Some(place);
        }
        out
    }

    /// A distribution. `ty`: the declared quantity (its unit for bare numbers); `nominal`: whether a
    /// nominal value stands beside it.
    pub(super) fn distribution(
        &mut self,
        cx: &mut Cx<'a>,
        e: &'a ast::Expr,
        ty: Option<&Ty<'a>>,
        nominal: bool,
    ) -> Option<Distribution> {
        let A::Call { callee, args } = &e.kind else {
            if e.is_error() {
                return None;
            }
            let d = Diagnostic::new(codes::BAD_DISTRIBUTION, e.span, "a distribution is needed here");
            self.say(d.help("as in `~ normal(2 m, 5 cm)` or `~ normal(sd: 2 %)`"));
            return None;
        };
        let Some(name) = callee.as_name() else {
            self.say(Diagnostic::new(codes::BAD_DISTRIBUTION, callee.span, "this is no distribution"));
            return None;
        };
        let Some((known, params)) = DISTRIBUTIONS.iter().find(|(n, _)| *n == name.as_str()) else {
            let message = format!("unknown distribution `{}`", name.as_str());
            let mut d = Diagnostic::new(codes::BAD_DISTRIBUTION, name.span, message);
            d.help = did_you_mean(name.as_str(), DISTRIBUTIONS.iter().map(|(n, _)| *n));
            self.say(d);
            return None;
        };
        let relative = is_relative(e);
        if relative && !nominal {
            let d = Diagnostic::new(
                codes::BAD_DISTRIBUTION,
                e.span,
                format!("`{known}` without a mean takes the nominal value, and there is none"),
            );
            self.say(d.help("write `= value` before `~`, or give the mean"));
            return None;
        }
        let mut slots: Vec<Option<Given>> = params.iter().map(|_| None).collect();
        let mut ok = true;
        for (i, a) in args.iter().enumerate() {
            let at = match &a.name {
                Some(n) => params.iter().position(|p| *p == n.as_str()),
                None => (i < params.len()).then_some(i),
            };
            let Some(at) = at.filter(|&at| slots[at].is_none()) else {
                let shown = match (&a.name, at) {
                    (_, Some(at)) => format!("`{}` twice", params[at]),
                    (Some(n), None) => format!("`{}`", n.as_str()),
                    (None, None) => format!("{} arguments", args.len()),
                };
                let span = a.name.as_ref().map_or(a.span, |n| n.span);
                let mut d = Diagnostic::new(
                    codes::BAD_DISTRIBUTION,
                    span,
                    format!("`{known}` does not take {shown}"),
                );
                d.help = Some(format!("`{known}({})`", params.join(", ")));
                self.say(d);
                ok = false;
                continue;
            };
            let v = self.distribution_arg(cx, known, params[at], a, ty, relative);
            ok &= v.is_some();
            slots[at] = v;
        }
        if !ok {
            return None;
        }
        let given = |p: &str| params.iter().position(|q| *q == p).is_some_and(|k| slots[k].is_some());
        let missing: Vec<&str> = match *known {
            _ if relative => Vec::new(),
            // The ends of `beta` come together, and one end of `truncated` is enough.
            "beta" if given("lo") != given("hi") => params.iter().copied().filter(|p| !given(p)).collect(),
            "truncated" if !given("lo") && !given("hi") => {
                params.iter().copied().filter(|p| !given(p)).collect()
            }
            _ => {
                let optional =
                    |p: &str| p == "weights" || matches!((*known, p), ("beta" | "truncated", "lo" | "hi"));
                params.iter().copied().filter(|p| !given(p) && !optional(p)).collect()
            }
        };
        if !missing.is_empty() {
            let missing: Vec<String> = missing.iter().map(|p| format!("`{p}`")).collect();
            let message = format!("`{known}` needs {}", missing.join(" and "));
            let d = Diagnostic::new(codes::BAD_DISTRIBUTION, e.span, message);
            self.say(d.help(format!("`{known}({})`", params.join(", "))));
            return None;
        }
        let mut out = Distribution {
            name: Rc::from(*known),
            args: Vec::new(),
            parts: Vec::new(),
            samples: None,
            relative,
            span: e.span,
        };
        let mut texts = Vec::new();
        for (slot, param) in slots.into_iter().zip(*params) {
            match slot {
                Some(Given::Number(x)) => out.args.push(x),
                Some(Given::Parts(list)) => out.parts = list,
                Some(Given::Text(t, unit)) => texts.push((t, unit)),
                // A missing end of `truncated` is no end.
                None if *known == "truncated" => {
                    let end = if *param == "lo" { f64::NEG_INFINITY } else { f64::INFINITY };
                    out.args.push(Expr {
                        kind: ExprKind::Real(end),
                        ty: Type::Any,
                        shape: Vec::new(),
                        span: e.span,
                    });
                }
                None => {}
            }
        }
        if let [(file, _), (column, unit)] = &texts[..] {
            let (usual, of) = match (ty, unit) {
                (Some(ty), _) => (ty.display(&self.units), ty.base.clone()),
                (None, Some(u)) => (display_unit(u), Type::Real(Some(u.dimension.clone()))),
                (None, None) => (Default::default(), Type::Real(Some(Dimension::ONE))),
            };
            let (file, column, unit) = (file.clone(), column.clone(), unit.as_ref().map(display_unit));
            out.samples = Some(Samples { file, column, unit, usual, ty: of, declared: ty.is_some() });
        }
        if !self.weights_fit(args, known) {
            return None;
        }
        if let Some((span, what)) = super::law::fault(&out) {
            self.say(Diagnostic::new(codes::BAD_DISTRIBUTION, span, what));
            return None;
        }
        Some(out)
    }

    /// `fidelity = full`: whether an override chooses a level of detail and was dealt with.
    fn level_chosen(
        &mut self,
        cx: &mut Cx<'a>,
        class: Option<ClassId>,
        target: &'a ast::Expr,
        value: &'a ast::Expr,
        span: Span,
    ) -> bool {
        const WORD: &str = "fidelity";
        let mut path = String::from("self");
        let of = match &target.kind {
            A::Name(n) if n.as_str() == WORD => class.or(cx.class),
            A::Field { base, name } if name.as_str() == WORD => match self.override_target(cx, class, base) {
                Some(MemberPlace { what: Member::Part { class, .. }, r, .. }) => {
                    path = super::body::path_text(&r.steps);
                    Some(class)
                }
                Some(_) => None,
                // What is wrong with the path was said.
                None => return true,
            },
            _ => None,
        };
        let Some(of) = of.filter(|c| !self.class(*c).members.contains_key(WORD)) else { return false };
        if self.levels(of).is_empty() {
            return false;
        }
        match value.as_name() {
            Some(level) => {
                if self.is_other_level(of, level) == Some(true) {
                    self.chosen.push((path, level.as_str().into(), span));
                }
            }
            None => {
                let message = format!("a level of detail of `{}` is a name", self.class(of).name);
                let known = self.levels(of).join(", ");
                self.say(
                    Diagnostic::new(codes::NOT_OVERRIDABLE, value.span, message)
                        .help(format!("one of: {known}")),
                );
            }
        }
        true
    }

    /// The levels of detail of a twin, in order.
    fn levels(&self, class: ClassId) -> Vec<&'a str> {
        let level = |m: &'a ast::Member| match m {
            ast::Member::Fidelity(f) => Some(f.name.as_str()),
            _ => None,
        };
        self.class(class).ast.members.iter().filter_map(level).collect()
    }

    /// Whether a level is another one than the first, which every twin begins with; `None` where there is none of that
    /// name, which was said.
    pub(super) fn is_other_level(&mut self, class: ClassId, level: &ast::Name) -> Option<bool> {
        let levels = self.levels(class);
        let at = levels.iter().position(|l| *l == level.as_str());
        if at.is_none() {
            let message = format!("`{}` has no fidelity `{}`", self.class(class).name, level.as_str());
            let mut d = Diagnostic::new(codes::UNKNOWN_NAME, level.span, message);
            d.help = did_you_mean(level.as_str(), levels.iter().copied());
            self.say(d);
        }
        at.map(|k| k > 0)
    }

    /// As many weights as there are things to weigh, where both are written as lists.
    fn weights_fit(&mut self, args: &'a [Arg], name: &str) -> bool {
        let [first, second] = args else { return true };
        let (A::Array(things), A::Array(weights)) = (&first.value.kind, &second.value.kind) else {
            return true;
        };
        if things.len() == weights.len() {
            return true;
        }
        let message = format!("`{name}` has {} entries and {} weights", things.len(), weights.len());
        let d = Diagnostic::new(codes::BAD_DISTRIBUTION, second.value.span, message);
        self.say(d.label(first.value.span, "these are weighed").help("give each entry one weight"));
        false
    }

    /// One argument.
    fn distribution_arg(
        &mut self,
        cx: &mut Cx<'a>,
        dist: &str,
        param: &str,
        a: &'a Arg,
        ty: Option<&Ty<'a>>,
        relative: bool,
    ) -> Option<Given> {
        let pure = Ty::real(Dimension::ONE);
        let t = Target { name: param, span: None };
        let number = match (dist, param) {
            ("truncated", "distribution") => {
                return Some(Given::Parts(vec![self.distribution_part(cx, &a.value, ty)?]));
            }
            ("mixture", "distributions") => {
                let A::Array(items) = &a.value.kind else {
                    return Some(Given::Parts(vec![self.distribution_part(cx, &a.value, ty)?]));
                };
                if items.is_empty() {
                    let d = Diagnostic::new(codes::BAD_DISTRIBUTION, a.span, "a mixture of nothing");
                    self.say(d.help(
                        "as in `mixture([normal(2 s, 0.1 s), exponential(9 s)], weights: [0.9, 0.1])`",
                    ));
                    return None;
                }
                let mut parts = Vec::with_capacity(items.len());
                for i in items {
                    parts.push(self.distribution_part(cx, i, ty)?);
                }
                return Some(Given::Parts(parts));
            }
            ("empirical", _) => {
                let Some(text) = a.value.as_str() else {
                    let d = Diagnostic::new(
                        codes::BAD_DISTRIBUTION,
                        a.span,
                        "file and column of `empirical` are texts",
                    );
                    self.say(d);
                    return None;
                };
                let unit = match (&a.unit, ty) {
                    (None, _) => None,
                    (Some(u), None) => Some(self.unit(u)?),
                    (Some(u), Some(ty)) => {
                        let mut shown = ty.clone();
                        self.with_unit(&mut shown, u, cx.units_off)?;
                        shown.unit
                    }
                };
                return Some(Given::Text(Rc::from(text), unit));
            }
            ("discrete" | "mixture", "weights") => self.expr(cx, &a.value)?.e,
            ("discrete", _) => {
                let any = ty.cloned().map(|t| {
                    let n = match &a.value.kind {
                        A::Array(items) => Extent::Const(items.len() as u32),
                        _ => Extent::Inferred,
                    };
                    Ty { shape: vec![n], ..t }
                });
                match any {
                    Some(ty) => self.value_for(cx, &a.value, &ty, t)?,
                    None => self.expr(cx, &a.value)?.e,
                }
            }
            (_, "shape" | "alpha" | "beta" | "p") => self.value_for(cx, &a.value, &pure, t)?,
            (_, "sd") if relative => self.value_for(cx, &a.value, &pure, t)?,
            // The spread of a temperature is a difference, and a bare number beside `in` is refused there too.
            (_, "sd") => match ty {
                Some(ty) => {
                    let mut ty = ty.element();
                    if ty.temp == Temp::Point {
                        ty.temp = Temp::Difference;
                        ty.unit = None;
                        ty.shown = false;
                    }
                    self.value_for(cx, &a.value, &ty, t)?
                }
                None => self.expr(cx, &a.value)?.e,
            },
            _ => match ty {
                Some(ty) => self.value_for(cx, &a.value, &ty.element(), t)?,
                None => self.expr(cx, &a.value)?.e,
            },
        };
        Some(Given::Number(number))
    }

    /// A distribution in another one: of numbers.
    fn distribution_part(
        &mut self,
        cx: &mut Cx<'a>,
        e: &'a ast::Expr,
        ty: Option<&Ty<'a>>,
    ) -> Option<Distribution> {
        let d = self.distribution(cx, e, ty, false)?;
        if &*d.name == "bernoulli" {
            let d = Diagnostic::new(
                codes::BAD_DISTRIBUTION,
                e.span,
                "`bernoulli` gives truth values, no numbers",
            );
            self.say(d.help("`discrete([0, 1], weights: [0.3, 0.7])` gives numbers"));
            return None;
        }
        Some(d)
    }

    /// `draw(exponential(50 s))`
    pub(super) fn draw(&mut self, cx: &mut Cx<'a>, args: &'a [Arg], span: Span) -> Option<Val> {
        let [arg] = args else {
            let message = format!("`draw` takes one distribution, not {} arguments", args.len());
            self.say(Diagnostic::new(codes::ARGUMENT_COUNT, span, message));
            return None;
        };
        if !matches!(cx.mode, Mode::Behavior | Mode::Function) {
            self.misplaced(span, "`draw`", "parameters are drawn by `~ …`, behaviour draws by `draw(…)`");
            return None;
        }
        let d = self.distribution(cx, &arg.value, None, false)?;
        let ty = self.drawn(&d)?;
        Some(Val::behavior(Op::Draw(Box::new(d)), ty, span))
    }

    /// What a distribution gives: the unit is the first argument's, the others must agree.
    fn drawn(&mut self, d: &Distribution) -> Option<Type> {
        let real = Type::Real(Some(Dimension::ONE));
        let mut found: Option<(Type, Span)> = None;
        for p in &d.parts {
            let ty = self.drawn(p)?;
            self.agrees(&d.name, &mut found, ty, p.span)?;
        }
        match &*d.name {
            "bernoulli" => return Some(Type::Bool),
            "discrete" => return Some(d.args.first().map_or(real, |a| a.ty.clone())),
            "empirical" => return Some(d.samples.as_ref().map_or(real, |s| s.ty.clone())),
            "mixture" => {}
            // Parameters of the shape are plain numbers; those behind them have the unit.
            name => {
                let shapes = match name {
                    "beta" => 2,
                    "gamma" | "weibull" => 1,
                    _ => 0,
                };
                for a in d.args.iter().skip(shapes).filter(|a| is_number(&a.ty)) {
                    let ty = if a.ty == Type::Int { real.clone() } else { a.ty.clone() };
                    self.agrees(name, &mut found, ty, a.span)?;
                }
            }
        }
        Some(found.map_or(real, |f| f.0))
    }

    fn agrees(&mut self, name: &str, found: &mut Option<(Type, Span)>, ty: Type, span: Span) -> Option<()> {
        match found {
            None => *found = Some((ty, span)),
            Some((t, _)) if super::ty::dimension(t) == super::ty::dimension(&ty) => {}
            Some((t, at)) => {
                let sample = |t: &Type, at: Span| Val {
                    lit: Lit::No,
                    ..Val::new(ExprKind::BehaviorOnly, t.clone(), at)
                };
                let (x, y) = (self.describe_val(&sample(t, *at)), self.describe_val(&sample(&ty, span)));
                let message = format!("the arguments of `{name}` are {x} and {y}");
                let d = Diagnostic::new(codes::UNIT_MISMATCH, span, message).here(y.clone());
                let d = d.label(*at, x.clone());
                self.say(d.help("all of them are values of what is drawn: give them one unit"));
                return None;
            }
        }
        Some(())
    }
}

/// What an argument of a distribution is.
enum Given {
    Number(Expr),
    Parts(Vec<Distribution>),
    Text(Rc<str>, Option<Unit>),
}

/// `normal(sd: 2 %)`: given relative to the nominal.
pub(super) fn is_relative(e: &ast::Expr) -> bool {
    match &e.kind {
        A::Call { callee, args } => {
            let named = callee.as_name().is_some_and(|n| matches!(n.as_str(), "normal" | "lognormal"));
            named && matches!(args.as_slice(), [Arg { name: Some(n), .. }] if n.as_str() == "sd")
        }
        _ => false,
    }
}

/// The rank that a literal shows: 0 for a scalar literal, 1 for `[…]`, 2 for `[[…]]`.
fn literal_rank(e: &ast::Expr) -> Option<usize> {
    match &e.kind {
        A::Number(_) | A::Bool(_) | A::Str(_) => Some(0),
        A::Unary { expr, .. } => literal_rank(expr),
        A::Array(items) => Some(1 + items.first().and_then(literal_rank).unwrap_or(0)),
        _ => None,
    }
}
