//! The bodies of twins: values, ranges, distributions, overrides; put together with what is inherited.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::args::generic_args;
use super::assign::Target;
use super::class::{Member, SigKind, section_word};
use super::items::State;
use super::ty::{Range, Ty};
use super::{Checker, Cx, Mode};
use crate::ast;
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::{
    self, BinOp, ClassId, ClassTarget, CmpOp, Expr, ExprKind, LaterKind, MemberKind, Name, RangeCheck,
    RangeElse, Section, Type,
};
use crate::source::Span;

impl<'a> Checker<'a, '_> {
    /// Checks every twin's body, bases first.
    pub(super) fn check_classes(&mut self) {
        for c in 0..self.declared() {
            self.check_class(ClassId(c as u32));
        }
    }

    fn check_class(&mut self, id: ClassId) {
        if !matches!(self.class(id).body, State::New) {
            return;
        }
        self.class_mut(id).body = State::Busy;
        let bases = self.class(id).bases.clone();
        for (b, _) in &bases {
            self.check_class(*b);
        }
        let twin = self.class(id).ast;
        let mut class = hir::Class {
            name: self.class(id).name.clone(),
            kind: twin.kind.map(|k| Rc::from(k.as_str())),
            partial: twin.is_partial.is_some(),
            units_off: self.class(id).units_off,
            doc: twin.doc.as_ref().map(ToString::to_string),
            metadata: Vec::new(),
            type_params: self.class(id).type_params.clone(),
            members: Default::default(),
            own_overrides: Vec::new(),
            equations: Vec::new(),
            initial_equations: Vec::new(),
            connections: Vec::new(),
            behavior: hir::behavior::Behavior::default(),
            later: Vec::new(),
            requirements: Vec::new(),
            formulas: Vec::new(),
            correlations: Vec::new(),
            kpis: Vec::new(),
            span: twin.name.span,
            ancestors: vec![id],
        };
        for (b, e) in bases {
            self.inherit(id, &mut class, b, e);
        }
        self.own_decls(id, &mut class);
        self.sections(id, &mut class, &twin.members);
        self.state_starts(id, &class);
        for (n, span) in &self.class(id).requirements {
            class.requirements.push((n.clone(), *span));
        }
        self.mark_later(&mut class);
        for (.., span) in std::mem::take(&mut self.chosen) {
            Self::later(&mut class, LaterKind::FidelityChosen, span);
        }
        let item = self.class_mut(id);
        item.hir = Some(class);
        item.body = State::Done(());
    }

    /// Takes over what a base has, with the arguments and overrides of `extends`.
    fn inherit(&mut self, id: ClassId, class: &mut hir::Class, base: ClassId, e: &'a ast::Extends) {
        let mut cx = self.class_cx(id, Mode::Formula);
        let args = self.class_args(&mut cx, base, &e.args, e.base.span);
        let used = self.used_class(&cx, base, &e.args);
        let overrides = self.overrides(&mut cx, Some(used), &[], &e.overrides);
        let Some(from) = &self.class(base).hir else { return };
        class.ancestors.extend(from.ancestors.iter().copied());
        let (values, types) = args.map_or_else(Default::default, |u| (u.values, u.types));
        let mut members = from.members.clone();
        for (n, v) in values {
            if let Some(hir::Member { kind: MemberKind::Var(d), .. }) = members.get_mut(&n) {
                d.value = Some(v);
                d.is_final = true;
            }
        }
        for m in members.values_mut() {
            if let MemberKind::Twin(t) = &mut m.kind {
                settle_params(&mut t.class, &types);
            }
        }
        let (eqs, initial) = (from.equations.clone(), from.initial_equations.clone());
        let (connections, later) = (from.connections.clone(), from.later.clone());
        let behavior = from.behavior.clone();
        let formulas = from.formulas.clone();
        let correlations = from.correlations.clone();
        let own = from.own_overrides.clone();
        let metadata = from.metadata.clone();
        class.members.extend(members);
        class.equations.extend(eqs);
        class.initial_equations.extend(initial);
        class.connections.extend(connections);
        class.later.extend(later);
        class.behavior.add(behavior);
        class.formulas.extend(formulas);
        class.correlations.extend(correlations);
        class.kpis.extend(from.kpis.clone());
        class.own_overrides.extend(own);
        class.own_overrides.extend(overrides);
        class.metadata.extend(metadata);
    }

    fn own_decls(&mut self, id: ClassId, class: &mut hir::Class) {
        let own: Vec<(Name, SigKind<'a>, Span)> = self
            .class(id)
            .members
            .iter()
            .filter(|(_, s)| s.owner == id)
            .map(|(n, s)| (n.clone(), s.kind, s.span))
            .collect();
        for (name, kind, span) in own {
            let Some(member) = self.member(id, &name) else { continue };
            let mut cx = self.class_cx(id, Mode::Formula);
            let (kind, doc) = match (kind, member) {
                (SigKind::ValueParam(p), Member::Var { ty, .. }) => {
                    let value = match &p.default {
                        Some(ast::GenericValue::Expr(e)) => {
                            self.value_for(&mut cx, e, &ty, Target { name: &name, span: Some(span) })
                        }
                        Some(ast::GenericValue::Type(t)) => self.type_as_value(&mut cx, t, &ty, &name),
                        None => None,
                    };
                    let mut decl = self.plain_decl(Section::ValueParam, &ty);
                    decl.value = value;
                    (MemberKind::Var(decl), None)
                }
                (SigKind::Var(section, d), Member::Var { ty, .. }) => {
                    let decl = self.var_decl(&mut cx, section, d, ty);
                    (MemberKind::Var(decl), d.doc.clone())
                }
                (SigKind::Port(d), Member::Port { connector, shape }) => {
                    let condition = d.cond.as_ref().and_then(|c| self.condition(&mut cx, c)).map(|v| v.e);
                    (MemberKind::Port(hir::PortDecl { connector, shape, condition }), d.doc.clone())
                }
                (SigKind::Part(p), Member::Part { target, class: c, shape, population, .. }) => {
                    if population && !matches!(target, ClassTarget::Class(_)) {
                        Self::later(class, LaterKind::Population, p.name.span);
                    }
                    let Some(mut part) = self.part(&mut cx, p, target, c, shape) else { continue };
                    if population {
                        part.population = self.first_of(&mut cx, &p.ty);
                    }
                    (MemberKind::Twin(part), p.doc.clone())
                }
                (SigKind::Machine(m), _) => {
                    Self::later(class, LaterKind::Machine, m.name.span);
                    (MemberKind::Machine, m.doc.clone())
                }
                (
                    SigKind::Memory(m @ ast::MemoryEntry { kind: ast::MemoryKind::Run(_), .. }),
                    Member::Memory(ty),
                ) => (MemberKind::Memory(ty.base), m.doc.clone()),
                (SigKind::Memory(m), _) => {
                    Self::later(class, LaterKind::Memory, m.name.span);
                    (MemberKind::Other(LaterKind::Memory), m.doc.clone())
                }
                (SigKind::Capability(c), _) => {
                    Self::later(class, LaterKind::Capability, c.name.span);
                    self.capability(&mut cx, c);
                    (MemberKind::Other(LaterKind::Capability), c.doc.clone())
                }
                _ => continue,
            };
            class.members.insert(name, hir::Member { kind, span, doc: doc.map(|d| d.to_string()) });
        }
    }

    fn plain_decl(&self, section: Section, ty: &Ty<'a>) -> hir::VarDecl {
        hir::VarDecl {
            section,
            ty: ty.base.clone(),
            shape: ty.shape.clone(),
            unit: ty.display(&self.units),
            si_unit: ty.si_text(&self.units),
            quantity: ty.quantity.clone(),
            value: None,
            distribution: None,
            ranges: Vec::new(),
            guess: None,
            is_final: false,
            outer: false,
            hidden: false,
        }
    }

    fn var_decl(
        &mut self,
        cx: &mut Cx<'a>,
        section: Section,
        d: &'a ast::Decl,
        declared: Ty<'a>,
    ) -> hir::VarDecl {
        let mut decl = self.plain_decl(section, &declared);
        decl.is_final = d.is_final.is_some();
        decl.outer = d.is_outer.is_some();
        let mut ty = declared;
        if cx.units_off {
            super::place::plain(&mut ty);
        }
        let behavior_only = matches!(ty.base, Type::List(_) | Type::Map(..) | Type::Twin(_) | Type::Any);
        if behavior_only {
            let what = match &ty.base {
                Type::List(_) => "list".to_owned(),
                _ => ty.describe(&self.units, &self.model),
            };
            let at = d.ty.as_ref().map_or(d.name.span, |t| t.span);
            let word = section_word(section);
            let message = format!(
                "{} {word} cannot be {} {what}",
                super::words::article(word),
                super::words::article(&what)
            );
            let diag = Diagnostic::new(codes::BEHAVIOR_ONLY_TYPE, at, message);
            self.say(diag.help("collections stand in `memory { … }`"));
            // its value would not fit either
            return decl;
        }
        if let Some(span) = d.is_final.filter(|_| section != Section::Parameters) {
            let message = format!(
                "`final` is for parameters, and this is {} {}",
                super::words::article(section_word(section)),
                section_word(section)
            );
            self.say(Diagnostic::new(codes::MISPLACED, span, message));
        }
        let target = Target { name: d.name.as_str(), span: Some(d.name.span) };
        if let Some(v) = &d.value {
            cx.mode = if section == Section::Outputs { Mode::Equation } else { Mode::Formula };
            decl.value = self.value_for(cx, v, &ty, target);
            if let Some(e) = &decl.value {
                self.check_dependencies(cx, section, d, e);
            }
            cx.mode = Mode::Formula;
        }
        if let Some(g) = &d.guess {
            decl.guess = self.value_for(cx, g, &ty, target);
            if section == Section::Parameters {
                let message = format!("a `guess` of the parameter `{}` changes nothing", d.name.as_str());
                let diag = Diagnostic::new(codes::IDLE, g.span, message);
                self.say(
                    diag.help("a guess helps to find an unknown; the value of a parameter stands behind `=`"),
                );
            }
        }
        if let Some(dist) = &d.dist {
            if section != Section::Parameters && section != Section::States && section != Section::Inputs {
                let message = format!(
                    "{} {} has no distribution",
                    super::words::article(section_word(section)),
                    section_word(section)
                );
                let diag = Diagnostic::new(codes::BAD_DISTRIBUTION, dist.span, message);
                self.say(diag.help("parameters and start values are drawn"));
            } else {
                decl.distribution = self.distribution(cx, dist, Some(&ty), d.value.is_some());
                let nominal = decl.value.as_ref().and_then(super::constant::number);
                if super::overrides::is_relative(dist) && nominal == Some(0.0) {
                    let message =
                        format!("`{}` is the same in every run: its nominal value is 0", d.name.as_str());
                    let diag = Diagnostic::new(codes::IDLE, dist.span, message)
                        .here("a part of 0 is 0")
                        .help("give the spread by itself: `~ normal(mean, sd)`");
                    self.say(diag);
                }
            }
        }
        let mut ranges = ty.ranges.clone();
        if let Some(w) = &d.range {
            ranges.push(Range::Own(w));
        }
        for r in ranges {
            if let Some(check) = self.range(cx, r, &ty, &d.name) {
                decl.ranges.push(check);
            }
        }
        self.check_constant(&decl, &d.name);
        decl
    }

    /// A parameter is fixed before the run: it cannot follow what changes during it.
    fn check_dependencies(&mut self, cx: &Cx<'a>, section: Section, d: &'a ast::Decl, value: &Expr) {
        // Textbook models (`units: off`) may fix a parameter by what the variables are at the start.
        if section != Section::Parameters || cx.units_off {
            return;
        }
        let Some((what, span)) = self.changing(cx, value) else { return };
        let message =
            format!("the parameter `{}` is fixed for a run and cannot follow {what}", d.name.as_str());
        let diag = Diagnostic::new(codes::MISPLACED, span, message);
        self.say(
            diag.here("this changes during the run")
                .help("make it a variable with an equation, or an output"),
        );
    }

    /// What of a formula changes during a run: in words, and where.
    pub(super) fn changing(&self, cx: &Cx<'a>, value: &Expr) -> Option<(String, Span)> {
        let c = cx.class?;
        let mut found: Option<(String, Span)> = None;
        value.visit(&mut |e| {
            let bad = match &e.kind {
                ExprKind::Time => Some("the time".to_owned()),
                ExprKind::Member(r) => match self.member_of(c, &r.steps) {
                    Some(s @ (Section::States | Section::Variables | Section::Outputs | Section::Inputs)) => {
                        Some(format!("the {} `{}`", section_word(s), path_text(&r.steps)))
                    }
                    _ => None,
                },
                _ => None,
            };
            if let (Some(b), None) = (bad, &found) {
                found = Some((b, e.span));
            }
        });
        found
    }

    /// The section of a path's last member, seen from a class.
    fn member_of(&self, class: ClassId, steps: &[hir::Step]) -> Option<Section> {
        let sig = self.class(class).members.get(&steps.first()?.name)?;
        match (&sig.ty, steps.len()) {
            (State::Done(Some(Member::Var { section, .. })), 1) => Some(*section),
            (State::Done(Some(Member::Part { class, .. })), n) if n > 1 => {
                self.member_of(*class, &steps[1..])
            }
            (State::Done(Some(Member::Port { .. })), n) if n > 1 => Some(Section::Variables),
            _ => None,
        }
    }

    /// A `where` condition, over one element.
    fn range(&mut self, cx: &mut Cx<'a>, r: Range<'a>, ty: &Ty<'a>, name: &ast::Name) -> Option<RangeCheck> {
        match r {
            Range::AbsoluteZero => {
                let at = name.span;
                let e = |kind, ty| Box::new(Expr { kind, ty, shape: Vec::new(), span: at });
                let value = e(ExprKind::SelfValue, ty.base.clone());
                let zero = e(ExprKind::Real(0.0), ty.base.clone());
                let kind = ExprKind::Binary(BinOp::Cmp(CmpOp::Ge), value, zero);
                let cond = Expr { kind, ty: Type::Bool, shape: Vec::new(), span: at };
                (!cx.units_off).then_some(RangeCheck { cond, otherwise: RangeElse::Report, implied: true })
            }
            Range::Type(w, module) => {
                // A type sees no members, only its module.
                let module = std::mem::replace(&mut cx.module, module);
                let class = cx.class.take();
                let check = self.range_where(cx, w, ty, name);
                cx.class = class;
                cx.module = module;
                check
            }
            Range::Own(w) => self.range_where(cx, w, ty, name),
        }
    }

    fn range_where(
        &mut self,
        cx: &mut Cx<'a>,
        w: &'a ast::Where,
        ty: &Ty<'a>,
        name: &ast::Name,
    ) -> Option<RangeCheck> {
        cx.self_ty = Some(ty.element());
        cx.self_name = Some(Rc::from(name.as_str()));
        let cond = self.condition(cx, &w.cond);
        cx.self_ty = None;
        cx.self_name = None;
        let otherwise = match w.action {
            ast::WhereAction::Event => RangeElse::Report,
            ast::WhereAction::Stop => RangeElse::Stop,
            ast::WhereAction::Clamp => RangeElse::Clamp,
        };
        Some(RangeCheck { cond: cond?.e, otherwise, implied: false })
    }

    /// A constant value is judged now.
    fn check_constant(&mut self, decl: &hir::VarDecl, name: &ast::Name) {
        let Some(v) = &decl.value else { return };
        let Some(x) = super::constant::number(v) else { return };
        for r in &decl.ranges {
            if super::constant::holds(&r.cond, x) == Some(false) {
                let shown = (x - decl.unit.offset) / decl.unit.scale;
                let unit = if decl.unit.symbol.is_empty() {
                    String::new()
                } else {
                    format!(" {}", decl.unit.symbol)
                };
                let message = format!("{shown}{unit} is outside of the range of `{}`", name.as_str());
                let d = Diagnostic::new(codes::OUT_OF_RANGE, v.span, message).here("this value");
                let d = if r.cond.span == name.span {
                    d.note("a temperature is not below absolute zero")
                } else {
                    d.label(r.cond.span, "the range")
                };
                self.say(d);
                return;
            }
        }
    }

    /// A part with its arguments and overrides.
    fn part(
        &mut self,
        cx: &mut Cx<'a>,
        p: &'a ast::Part,
        target: ClassTarget,
        class: ClassId,
        shape: Vec<hir::Extent>,
    ) -> Option<hir::TwinDecl> {
        let args = generic_args(&p.ty);
        let mut use_ = self.class_args(cx, class, args, p.ty.span)?;
        use_.target = target;
        if self.class(class).ast.is_partial.is_some() && matches!(target, ClassTarget::Class(_)) {
            let message = format!("`{}` is a partial twin and cannot be a part", self.class(class).name);
            let span = self.class(class).ast.name.span;
            let d = Diagnostic::new(codes::PARTIAL_TWIN, p.ty.span, message)
                .label(span, "declared `partial` here");
            self.say(d.help("use a twin that extends it"));
        }
        let overrides = self.overrides(cx, Some(class), &shape, &p.overrides);
        let condition = p.cond.as_ref().and_then(|c| self.condition(cx, c)).map(|v| v.e);
        Some(hir::TwinDecl { class: use_, shape, overrides, condition, population: None })
    }

    /// How many twins a population has at the start: the lower end of its range.
    fn first_of(&mut self, cx: &mut Cx<'a>, t: &'a ast::TypeExpr) -> Option<hir::Extent> {
        let ast::TypeKind::Array { dims, .. } = &t.kind else { return None };
        match dims.as_slice() {
            [ast::Expr { kind: ast::ExprKind::Range { lo: Some(lo), .. }, .. }] => self.extent(cx, lo),
            _ => Some(hir::Extent::Const(0)),
        }
    }

    /// Sections other than declarations, in the order of the text.
    fn sections(&mut self, id: ClassId, class: &mut hir::Class, members: &'a [ast::Member]) {
        let mut behavior = Vec::new();
        let mut fidelities = 0;
        for m in members {
            match m {
                ast::Member::Meta(s) => self.metadata(class, s),
                ast::Member::Equations(s) => self.equations(id, class, s),
                ast::Member::Connections(list, _) => self.connections(id, class, list),
                ast::Member::Decls(s) => self.correlations(id, s, class),
                ast::Member::Behavior(items, span) => {
                    // Machines are listed by themselves.
                    if items.iter().any(|i| !matches!(i, ast::BehaviorItem::Machine(_))) {
                        Self::later(class, LaterKind::Behavior, *span);
                    }
                    behavior.extend(items.iter());
                }
                ast::Member::Constraints(list, _) => self.constraints(id, list, class),
                ast::Member::Sync(items, span) => {
                    Self::later(class, LaterKind::Sync, *span);
                    self.sync(id, items);
                }
                ast::Member::Fidelity(f) => {
                    fidelities += 1;
                    if fidelities == 1 {
                        self.sections(id, class, &f.members);
                    } else {
                        Self::later(class, LaterKind::Fidelity, f.span);
                    }
                }
                ast::Member::Extends(_)
                | ast::Member::Ports(..)
                | ast::Member::Twins(..)
                | ast::Member::Memory(..)
                | ast::Member::Capabilities(..)
                | ast::Member::Error(_) => {}
            }
        }
        self.behavior(id, class, behavior);
    }

    fn metadata(&mut self, class: &mut hir::Class, s: &'a ast::Setting) {
        let mut texts = Vec::new();
        for v in &s.values {
            let text = match &v.kind {
                ast::ExprKind::Number(n) => Some(n.text.to_string()),
                ast::ExprKind::Bool(b) => Some(b.to_string()),
                _ => v.as_str().map(str::to_owned).or_else(|| v.as_path().map(|p| p.dotted())),
            };
            match text {
                Some(t) => texts.push(t),
                None if v.is_error() => {}
                None => {
                    // Lists of texts and the like are kept as they are for tools.
                    if let ast::ExprKind::Array(items) = &v.kind {
                        texts.extend(items.iter().filter_map(|i| i.as_str().map(str::to_owned)));
                    }
                }
            }
        }
        if s.name.as_str() == "units" && texts.iter().any(|t| t != "off" && t != "on") {
            let d = Diagnostic::new(codes::MISPLACED, s.span, "`units` is `on` or `off`");
            self.say(d);
        }
        class.metadata.push((Rc::from(s.name.as_str()), texts.join(", ")));
    }

    fn correlations(&mut self, id: ClassId, s: &'a ast::DeclSection, class: &mut hir::Class) {
        for e in &s.entries {
            if let ast::DeclEntry::Correlate(args, span) = e {
                if s.kind != ast::SectionKind::Parameters {
                    self.misplaced(*span, "`correlate`", "it stands in `parameters`");
                    continue;
                }
                self.correlation(id, args, *span, class);
            }
        }
    }

    /// `correlate(a, b: 0.7, c: 0.2)`: `a` with `b`, and `a` with `c`.
    fn correlation(&mut self, id: ClassId, args: &'a [ast::Arg], span: Span, class: &mut hir::Class) {
        const FORM: &str =
            "as in `correlate(a, b: 0.7)`: two drawn parameters and the correlation between them";
        let Some((first, others)) = args.split_first().filter(|(_, o)| !o.is_empty()) else {
            self.say(
                Diagnostic::new(codes::BAD_DISTRIBUTION, span, "`correlate` joins two parameters").help(FORM),
            );
            return;
        };
        let one = first.value.as_name().filter(|_| first.name.is_none());
        let Some(a) = one else {
            let d = Diagnostic::new(codes::BAD_DISTRIBUTION, first.span, "the first of them is named alone");
            self.say(d.help(FORM));
            return;
        };
        let a_known = self.drawn_parameter(id, class, a);
        let mut cx = self.class_cx(id, Mode::Formula);
        for other in others {
            let Some(b) = &other.name else {
                let d = Diagnostic::new(codes::BAD_DISTRIBUTION, other.span, "a correlation needs a number");
                self.say(d.help(FORM));
                continue;
            };
            let known = self.drawn_parameter(id, class, b) && a_known;
            let t = Target { name: "a correlation", span: None };
            let value =
                self.value_for(&mut cx, &other.value, &Ty::real(twinml_model::dimension::Dimension::ONE), t);
            let Some(value) = value.filter(|_| known) else { continue };
            if a.as_str() == b.as_str() {
                let message = format!("`{}` is correlated with itself", a.as_str());
                self.say(Diagnostic::new(codes::BAD_DISTRIBUTION, other.span, message).help(FORM));
                continue;
            }
            let (a, b) = (Name::from(a.as_str()), Name::from(b.as_str()));
            let same = |c: &&hir::Correlation| (c.a == a && c.b == b) || (c.a == b && c.b == a);
            if let Some(old) = class.correlations.iter().find(same).map(|c| c.span)
                && old != other.span
            {
                let message = format!("`{a}` and `{b}` are correlated twice");
                let d = Diagnostic::new(codes::BAD_CORRELATION, other.span, message);
                self.say(d.label(old, "first here").help("keep one of them"));
                continue;
            }
            class.correlations.push(hir::Correlation { a, b, value, span: other.span });
        }
    }

    /// Whether a parameter of this name is drawn; says so if not.
    fn drawn_parameter(&mut self, id: ClassId, class: &hir::Class, n: &ast::Name) -> bool {
        if !self.class(id).members.contains_key(n.as_str()) {
            let known = self.member_names(id);
            let message = format!("unknown parameter `{}`", n.as_str());
            let mut d = Diagnostic::new(codes::UNKNOWN_NAME, n.span, message);
            d.help = did_you_mean(n.as_str(), known.iter().map(String::as_str));
            self.say(d);
            return false;
        }
        let drawn = match class.members.get(n.as_str()).map(|m| &m.kind) {
            Some(MemberKind::Var(d)) => d.distribution.is_some(),
            _ => false,
        };
        if !drawn {
            let message = format!("`{}` has no distribution", n.as_str());
            let d = Diagnostic::new(codes::BAD_DISTRIBUTION, n.span, message);
            self.say(d.here("this is the same in every run").help("give it one: `… ~ normal(sd: 2 %)`"));
        }
        drawn
    }

    /// A state that nothing differentiates is discrete, and then it needs its start.
    fn state_starts(&mut self, id: ClassId, class: &hir::Class) {
        if class.partial {
            return;
        }
        let mut differentiated: BTreeSet<Name> = BTreeSet::new();
        let all = class.equations.iter().chain(&class.initial_equations);
        for e in all {
            e.visit_exprs(&mut |x| {
                if let ExprKind::Der(inner) = &x.kind {
                    inner.visit(&mut |y| {
                        if let ExprKind::Member(r) = &y.kind {
                            differentiated.insert(r.steps[0].name.clone());
                        }
                    });
                }
            });
        }
        self.machine_derivatives(id, &mut differentiated);
        let open: Vec<(Name, Span)> = class
            .members
            .iter()
            .filter_map(|(n, m)| match &m.kind {
                MemberKind::Var(d)
                    if d.section == Section::States
                        && d.value.is_none()
                        && !differentiated.contains(n)
                        && !d.outer
                        && !matches!(d.ty, Type::Optional(_))
                        && !class
                            .own_overrides
                            .iter()
                            .any(|o| o.path.first().is_some_and(|s| s.name == *n)) =>
                {
                    Some((n.clone(), m.span))
                }
                _ => None,
            })
            .collect();
        // Where an equation is wrong already, the derivative may stand in it.
        let open = if self.diags.has_errors() { Vec::new() } else { open };
        for (n, span) in open {
            let message = format!("the state `{n}` has neither a derivative nor a start value");
            let d = Diagnostic::new(codes::INCOMPLETE_DECLARATION, span, message)
                .here("nothing changes it and nothing starts it")
                .help(format!("give it `der({n}) = …` in the equations, or a start: `{n}: … = …`"));
            self.say_missing(&n, d);
        }
    }

    /// What the checked forms contain that only later versions run.
    fn mark_later(&mut self, class: &mut hir::Class) {
        let mut found: Vec<(LaterKind, Span)> = Vec::new();
        let mut look = |e: &Expr| match &e.kind {
            ExprKind::BehaviorOnly => found.push((LaterKind::Behavior, e.span)),
            ExprKind::Call(hir::Builtin::WhiteNoise, _) => found.push((LaterKind::WhiteNoise, e.span)),
            _ => {}
        };
        for e in class.equations.iter().chain(&class.initial_equations) {
            e.visit_exprs(&mut look);
        }
        for m in class.members.values() {
            if let MemberKind::Var(d) = &m.kind {
                for e in d.value.iter().chain(&d.guess) {
                    e.visit(&mut look);
                }
            }
        }
        for (what, span) in found {
            if !class.later.iter().any(|l| l.what == what && l.span == span) {
                class.later.push(hir::Later { what, span });
            }
        }
    }
}

/// `tanks.h`
pub(super) fn path_text(steps: &[hir::Step]) -> String {
    steps.iter().map(|s| &*s.name).collect::<Vec<_>>().join(".")
}

/// Puts the arguments of `extends` in the place of the base's type parameters.
fn settle_params(of: &mut hir::ClassUse, types: &[hir::ClassUse]) {
    match of.target {
        ClassTarget::Param(n) => {
            if let Some(u) = types.get(n as usize) {
                of.target = u.target;
                of.values.clone_from(&u.values);
                of.types.clone_from(&u.types);
            }
        }
        ClassTarget::Class(_) => of.types.iter_mut().for_each(|t| settle_params(t, types)),
    }
}
