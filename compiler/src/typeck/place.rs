//! Paths: `h`, `tanks[i].pump.q[0]`, `Valve.open`, `mode.filling`, `x.start`.

use std::rc::Rc;

use twinml_model::dimension::Dimension;

use super::class::{Member, SigKind, section_word};
use super::ty::{Ty, Val};
use super::{Checker, Cx, ItemId, Mode};
use crate::ast::{self, ExprKind as A};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::behavior::Op;
use crate::hir::{ClassId, ConnectorId, EnumId, ExprKind, Extent, Name, Ref, Section, Step, Type};
use crate::source::Span;

/// What a path leads to.
#[derive(Clone, Debug)]
pub(super) enum Place<'a> {
    /// A member, maybe of a child.
    Member(MemberPlace<'a>),
    /// Something computed.
    Value(Val),
    /// An enumeration, before its value is named.
    Enum(EnumId),
    /// Something that has no value: a twin's or record's name, a name space of the run time.
    Name,
}

/// A path to a member with what is known of it.
#[derive(Clone, Debug)]
pub(super) struct MemberPlace<'a> {
    pub(super) r: Ref,
    pub(super) what: Member<'a>,
    /// The axes that remain: those of all steps, less the indexed ones.
    pub(super) axes: Vec<Extent>,
    /// How many of them, at the end, are the last step's own.
    pub(super) own: usize,
    /// Whether a child's member (not one's own) is reached.
    pub(super) foreign: bool,
    /// The class whose member it is; none for members of ports.
    pub(super) owner: Option<ClassId>,
    /// The class that the path starts in.
    pub(super) root: ClassId,
}

/// Name spaces of built-in calls of behaviour: `memory.store(…)`.
pub(super) const NAMESPACES: &[&str] =
    &["memory", "http", "database", "file", "llm", "embedding", "similarity", "classification"];

impl<'a> Checker<'a, '_> {
    /// The value of a path.
    #[inline(never)]
    pub(super) fn path_value(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Val> {
        let place = self.place(cx, e)?;
        self.place_value(cx, place, e.span)
    }

    pub(super) fn place_value(&mut self, cx: &mut Cx<'a>, place: Place<'a>, span: Span) -> Option<Val> {
        match place {
            Place::Value(v) => Some(v),
            Place::Member(m) => self.member_value(cx, m, span),
            Place::Enum(id) => {
                let e = &self.model.enums[id.0 as usize];
                let first = e.values.first().cloned().unwrap_or_else(|| Rc::from("…"));
                let message = format!("`{}` is an enumeration, not a value of it", e.name);
                let help = format!("name one: `{}.{first}`", e.name);
                self.say(Diagnostic::new(codes::WRONG_KIND_OF_NAME, span, message).help(help));
                None
            }
            Place::Name => {
                self.say(Diagnostic::new(codes::WRONG_KIND_OF_NAME, span, "this name has no value"));
                None
            }
        }
    }

    /// A memory's value: one that lives with the run is on the heap, others are an agent's.
    fn memory_value(&self, m: &MemberPlace<'a>, ty: Type, span: Span) -> Val {
        let sig = m.r.steps.last().and_then(|last| self.class(m.owner?).members.get(&last.name));
        match sig.map(|s| s.kind) {
            Some(SigKind::Memory(ast::MemoryEntry { kind: ast::MemoryKind::Run(_), .. })) => {
                Val::behavior(Op::Heap(m.r.clone()), ty, span)
            }
            _ => Val::opaque(ty, span),
        }
    }

    fn member_value(&mut self, cx: &mut Cx<'a>, m: MemberPlace<'a>, span: Span) -> Option<Val> {
        let last = m.r.steps.last()?.name.clone();
        match m.what.clone() {
            Member::Var { ty, section, .. } => {
                let ty = ty.shaped(m.axes);
                Some(Val::typed(member_kind(section, &ty.base, m.r), &ty, span))
            }
            Member::Memory(ty) => Some(self.memory_value(&m, ty.base, span)),
            Member::Part { class, .. } if cx.mode == Mode::Behavior => {
                let class = Type::Twin(self.real(class));
                Some(Val::behavior(Op::Twin(m.r), class, span).shaped(m.axes))
            }
            Member::Capability if cx.mode == Mode::Behavior => Some(Val::opaque(Type::Any, span)),
            what => {
                let kind = match what {
                    Member::Port { .. } => "port",
                    Member::Part { .. } => "part",
                    Member::Machine(_) => "machine",
                    _ => "capability",
                };
                let mut d = Diagnostic::new(
                    codes::WRONG_KIND_OF_NAME,
                    span,
                    format!("`{last}` is a {kind} and has no value of its own"),
                );
                if kind == "machine" {
                    d = d.help(format!("`{last}.NAME` tells whether the state NAME is active"));
                } else if kind != "capability" {
                    d = d.help(format!("name one of its members: `{last}.…`"));
                }
                self.say(d);
                None
            }
        }
    }

    /// What a path leads to; `None` after a message.
    pub(super) fn place(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Place<'a>> {
        match &e.kind {
            A::Name(n) => self.name(cx, n),
            A::Field { base, name }
                if cx.mode == Mode::Behavior
                    && cx.self_ty.is_none()
                    && base.as_name().is_some_and(|n| n.as_str() == "self")
                    && cx.class.is_some_and(|c| self.class(c).members.contains_key(name.as_str())) =>
            {
                // `self.h` is the twin's own, whatever locals are called.
                let locals = std::mem::take(&mut cx.locals);
                let place = self.name(cx, name);
                cx.locals = locals;
                place
            }
            A::Field { base, name } => {
                if let Some(p) = self.qualified(cx, e) {
                    return Some(p);
                }
                let base_place = self.place(cx, base)?;
                self.field(cx, base_place, base.span, name, e.span)
            }
            A::Index { base, indices } => {
                let base_place = self.place(cx, base)?;
                self.index(cx, base_place, indices, e.span)
            }
            _ => self.expr(cx, e).map(Place::Value),
        }
    }

    /// `th.Valve` of a module used under a name of its own.
    fn qualified(&self, cx: &Cx<'a>, e: &ast::Expr) -> Option<Place<'a>> {
        let path = e.as_path().filter(|p| p.names.len() == 2)?;
        if self.own_name(cx, path.names[0].as_str()) {
            return None;
        }
        let def = self.find_def(cx.module, &path)?;
        self.item_place(self.item_of(def))
    }

    fn item_place(&self, item: ItemId) -> Option<Place<'a>> {
        match item {
            ItemId::Enum(id) => Some(Place::Enum(id)),
            ItemId::Other => None,
            _ => Some(Place::Name),
        }
    }

    /// Whether a name is a local or a member here.
    pub(super) fn own_name(&self, cx: &Cx<'a>, name: &str) -> bool {
        cx.locals.iter().any(|l| &*l.name == name)
            || cx.class.is_some_and(|c| self.class(c).members.contains_key(name))
    }

    /// A lone name, as a place.
    pub(super) fn name(&mut self, cx: &mut Cx<'a>, n: &ast::Name) -> Option<Place<'a>> {
        let name = n.as_str();
        if let Some(l) = cx.locals.iter_mut().rev().find(|l| &*l.name == name) {
            l.read = true;
            if let Some(twin) = &l.twin {
                let mut m = (**twin).clone();
                m.r.span = n.span;
                return Some(Place::Member(m));
            }
            let mut v = match &l.alias {
                Some(v) => (**v).clone(),
                None => Val::typed(ExprKind::Local(l.id), &l.ty, n.span),
            };
            v.e.span = n.span;
            return Some(Place::Value(v));
        }
        if name == "self" {
            if let Some(ty) = &cx.self_ty {
                return Some(Place::Value(Val::typed(ExprKind::SelfValue, ty, n.span)));
            }
            return match (cx.mode, cx.class) {
                (Mode::Behavior, Some(c)) => {
                    let own = Op::Twin(Ref { steps: Vec::new(), span: n.span });
                    Some(Place::Value(Val::behavior(own, Type::Twin(self.real(c)), n.span)))
                }
                _ => {
                    self.misplaced(n.span, "`self`", "it is the value that a `where` condition is about");
                    None
                }
            };
        }
        if cx.self_name.as_deref() == Some(name)
            && let Some(ty) = &cx.self_ty
        {
            return Some(Place::Value(Val::typed(ExprKind::SelfValue, ty, n.span)));
        }
        if let Some(c) = cx.class
            && self.class(c).members.contains_key(name)
        {
            let what = self.own_member(cx, c, name)?;
            let axes = member_axes(&what);
            let own = axes.len();
            let step = Step { name: Rc::from(name), subscripts: Vec::new() };
            let r = Ref { steps: vec![step], span: n.span };
            return Some(Place::Member(MemberPlace {
                r,
                what,
                axes,
                own,
                foreign: false,
                owner: Some(c),
                root: c,
            }));
        }
        if let Some(b) = self.scopes[cx.module.0 as usize].get(name)
            && let Some(p) = self.item_place(self.item_of(b.def))
        {
            return Some(p);
        }
        match name {
            "time" => {
                let d = if cx.units_off { None } else { Some(Dimension::TIME) };
                let mut v = Val::new(ExprKind::Time, Type::Real(d), n.span);
                v.quantity = Some(Rc::from("Time"));
                return Some(Place::Value(v));
            }
            "pi" => {
                let mut v =
                    Val::new(ExprKind::Real(std::f64::consts::PI), Type::Real(Some(Dimension::ONE)), n.span);
                v.has_pi = true;
                return Some(Place::Value(v));
            }
            // Textbook equations may start from what is not known.
            "nan" if cx.units_off => {
                let one = Type::Real(Some(Dimension::ONE));
                return Some(Place::Value(Val::new(ExprKind::Real(f64::NAN), one, n.span)));
            }
            "inf" | "infinity" => {
                let one = Type::Real(Some(Dimension::ONE));
                return Some(Place::Value(Val::new(ExprKind::Real(f64::INFINITY), one, n.span)));
            }
            _ => {}
        }
        if cx.mode == Mode::Behavior && (NAMESPACES.contains(&name) || self.part_names.contains(name)) {
            // An address of a message searches outward; it is found when the model runs.
            return Some(Place::Value(Val::opaque(Type::Any, n.span)));
        }
        self.unknown_name(cx, n);
        None
    }

    /// A member of the class one stands in; where units are off it is a plain number.
    fn own_member(&mut self, cx: &Cx<'a>, c: ClassId, name: &str) -> Option<Member<'a>> {
        let mut m = self.member(c, name)?;
        if cx.units_off
            && let Member::Var { ty, .. } = &mut m
        {
            plain(ty);
        }
        Some(m)
    }

    fn unknown_name(&mut self, cx: &Cx<'a>, n: &ast::Name) {
        let name = n.as_str();
        let mut known: Vec<String> = cx.locals.iter().map(|l| l.name.to_string()).collect();
        if let Some(c) = cx.class {
            known.extend(self.member_names(c));
        }
        let mut d = Diagnostic::new(codes::UNKNOWN_NAME, n.span, format!("unknown name `{name}`"));
        d.help = did_you_mean(name, known.iter().map(String::as_str));
        if d.help.is_none() {
            let mut of_enum = None;
            for e in &self.model.enums {
                if e.values.iter().any(|v| **v == *name) {
                    of_enum = Some(format!("did you mean `{}.{name}`?", e.name));
                }
            }
            d.help = of_enum.or_else(|| {
                let mut known: Vec<String> =
                    self.scopes[cx.module.0 as usize].keys().map(ToString::to_string).collect();
                known.extend(super::builtins::names().map(str::to_owned));
                did_you_mean(name, known.iter().map(String::as_str))
            });
        }
        if let Some((_, help)) = self.share.as_ref().filter(|(at, _)| *at == n.span.lo)
            && self.units.lookup(name).is_some()
        {
            d.help = Some(help.clone());
        }
        if d.help.is_none() && cx.class.is_some() && self.part_names.contains(name) {
            d.help = Some("only message addresses search outward; hand the value in by an input".into());
        }
        let d = match cx.class {
            Some(c) => d.here(format!("`{}` has no such member", self.class(c).name)),
            None => d.here("nothing here has this name"),
        };
        match cx.class {
            Some(c) => self.say_missing_member(c, name, d),
            // A function's names are its own.
            None if self.modules.lost.contains(name) => {}
            None => self.say(d),
        }
    }

    /// A field of a place.
    pub(super) fn field(
        &mut self,
        cx: &mut Cx<'a>,
        base: Place<'a>,
        base_span: Span,
        name: &ast::Name,
        span: Span,
    ) -> Option<Place<'a>> {
        match base {
            Place::Member(m) => self.member_field(cx, m, name, span),
            Place::Value(v) => self.value_field(v, name, span).map(Place::Value),
            Place::Enum(id) => self.enum_value(id, name, span).map(Place::Value),
            Place::Name => {
                let message = format!("`{}` is no member of this", name.as_str());
                self.say(
                    Diagnostic::new(codes::UNKNOWN_MEMBER, name.span, message).label(base_span, "a type"),
                );
                None
            }
        }
    }

    fn enum_value(&mut self, id: EnumId, name: &ast::Name, span: Span) -> Option<Val> {
        let e = &self.model.enums[id.0 as usize];
        if let Some(n) = e.values.iter().position(|v| **v == *name.text) {
            return Some(Val::new(ExprKind::EnumValue(id, n as u32), Type::Enum(id), span));
        }
        let message = format!("`{}` has no value `{}`", e.name, name.as_str());
        let mut d = Diagnostic::new(codes::UNKNOWN_MEMBER, name.span, message);
        d.help = did_you_mean(name.as_str(), e.values.iter().map(|v| &**v))
            .or_else(|| Some(format!("its values are {}", list(&e.values))));
        self.say_missing(name.as_str(), d);
        None
    }

    /// A field of a value: records, optional records, behaviour's values.
    pub(super) fn value_field(&mut self, v: Val, name: &ast::Name, span: Span) -> Option<Val> {
        let ty = match &v.e.ty {
            Type::Optional(t) => (**t).clone(),
            t => t.clone(),
        };
        match ty {
            Type::Any if v.e.kind == ExprKind::BehaviorOnly => Some(Val::opaque(Type::Any, span)),
            Type::Any => Some(Val::behavior(Op::Field(v.e, Rc::from(name.as_str())), Type::Any, span)),
            Type::Record(id) => {
                if let Some(ty) = self.record_fields[id.0 as usize].get(name.as_str()) {
                    let ty = ty.clone();
                    let op = Op::Field(v.e, Rc::from(name.as_str()));
                    return Some(Val::typed(ExprKind::Behavior(Rc::new(op)), &ty, span));
                }
                let known: Vec<String> =
                    self.record_fields[id.0 as usize].keys().map(ToString::to_string).collect();
                let message =
                    format!("`{}` has no field `{}`", self.model.records[id.0 as usize].name, name.as_str());
                let mut d = Diagnostic::new(codes::UNKNOWN_MEMBER, name.span, message);
                d.help = did_you_mean(name.as_str(), known.iter().map(String::as_str))
                    .or_else(|| Some(format!("its fields are `{}`", known.join("`, `"))));
                self.say_missing(name.as_str(), d);
                None
            }
            ty if ty == super::protocol::proposal() => {
                let at = Val::new(ExprKind::Str(Rc::from(name.as_str())), Type::String, name.span);
                Some(Val::behavior(Op::Element(v.e, at.e), Type::Any, span))
            }
            Type::Twin(c) => {
                let known = self.class(c).members.contains_key(name.as_str());
                if !known {
                    self.unknown_member(c, name);
                    return None;
                }
                match self.member(c, name.as_str())? {
                    Member::Var { ty, .. } => Some(Val::typed(ExprKind::BehaviorOnly, &ty, span)),
                    Member::Part { class, shape, .. } => {
                        Some(Val::opaque(Type::Twin(self.real(class)), span).shaped(shape))
                    }
                    _ => Some(Val::opaque(Type::Any, span)),
                }
            }
            _ => {
                let what = self.describe_val(&v);
                let message = format!("{} {what} has no members", super::words::article(&what));
                self.say(Diagnostic::new(codes::UNKNOWN_MEMBER, name.span, message));
                None
            }
        }
    }

    pub(super) fn unknown_member(&mut self, c: ClassId, name: &ast::Name) {
        let c = self.real(c);
        let known = self.member_names(c);
        let message = format!("`{}` has no member `{}`", self.class(c).name, name.as_str());
        let mut d = Diagnostic::new(codes::UNKNOWN_MEMBER, name.span, message);
        d.help =
            did_you_mean(name.as_str(), known.iter().map(String::as_str)).or_else(|| match known.len() {
                0 => Some("it has no members".to_owned()),
                1..=12 => Some(format!("its members are `{}`", known.join("`, `"))),
                _ => None,
            });
        let span = self.class(c).ast.name.span;
        self.say_missing_member(c, name.as_str(), d.label(span, "the twin is declared here"));
    }

    fn member_field(
        &mut self,
        cx: &mut Cx<'a>,
        m: MemberPlace<'a>,
        name: &ast::Name,
        span: Span,
    ) -> Option<Place<'a>> {
        match m.what.clone() {
            Member::Part { class, .. } => {
                if !self.class(class).members.contains_key(name.as_str()) {
                    self.unknown_member(class, name);
                    return None;
                }
                let what = self.member(class, name.as_str())?;
                self.visible(cx, class, &what, name)?;
                let m = MemberPlace { owner: Some(class), ..m };
                Some(self.step(m, name, what, true, span))
            }
            Member::Port { connector, .. } => {
                let what = self.port_member(connector, name)?;
                let what = if cx.units_off && !m.foreign { plain_member(what) } else { what };
                let foreign = m.foreign;
                let m = MemberPlace { owner: None, ..m };
                Some(self.step(m, name, what, foreign, span))
            }
            Member::Var { ty, .. } if name.as_str() == "start" => {
                let ty = ty.shaped(m.axes);
                Some(Place::Value(Val::typed(ExprKind::Start(m.r), &ty, span)))
            }
            Member::Var { ty, section, .. } => match ty.base {
                Type::Record(_) | Type::Any | Type::Optional(_) | Type::Twin(_) => {
                    let ty = ty.shaped(m.axes);
                    let v = Val::typed(member_kind(section, &ty.base, m.r), &ty, span);
                    self.value_field(v, name, span).map(Place::Value)
                }
                _ => {
                    let last = m.r.steps.last()?.name.clone();
                    let message =
                        format!("the {} `{last}` has no member `{}`", section_word(section), name.as_str());
                    let d = Diagnostic::new(codes::UNKNOWN_MEMBER, name.span, message);
                    self.say(d.help(format!("`{last}.start` is its start value")));
                    None
                }
            },
            Member::Machine(machine) => {
                let states = super::machine::state_names(machine);
                if states.iter().any(|s| **s == *name.text) {
                    let op = Op::Active(m.r, Rc::from(name.as_str()));
                    return Some(Place::Value(Val::behavior(op, Type::Bool, span)));
                }
                let message =
                    format!("the machine `{}` has no state `{}`", machine.name.as_str(), name.as_str());
                let mut d = Diagnostic::new(codes::UNKNOWN_MEMBER, name.span, message);
                d.help = did_you_mean(name.as_str(), states.iter().map(|s| &**s));
                self.say_missing(name.as_str(), d);
                None
            }
            Member::Memory(ty) => {
                let v = self.memory_value(&m, ty.base, span);
                self.value_field(v, name, span).map(Place::Value)
            }
            Member::Capability => Some(Place::Value(Val::opaque(Type::Any, span))),
        }
    }

    fn step(
        &self,
        mut m: MemberPlace<'a>,
        name: &ast::Name,
        what: Member<'a>,
        foreign: bool,
        span: Span,
    ) -> Place<'a> {
        let own: Vec<Extent> = member_axes(&what)
            .into_iter()
            // A child's size is a formula in the child's own names.
            .map(|e| if foreign && matches!(e, Extent::Formula(_)) { Extent::Inferred } else { e })
            .collect();
        m.own = own.len();
        m.axes.extend(own);
        m.r.steps.push(Step { name: Rc::from(name.as_str()), subscripts: Vec::new() });
        m.r.span = span;
        Place::Member(MemberPlace { what, foreign: m.foreign || foreign, ..m })
    }

    pub(super) fn port_member(&mut self, connector: ConnectorId, name: &ast::Name) -> Option<Member<'a>> {
        if let Some(ty) = self.connector_fields[connector.0 as usize].get(name.as_str()) {
            return Some(Member::Var { section: Section::Variables, ty: ty.clone(), is_final: false });
        }
        let known: Vec<String> =
            self.connector_fields[connector.0 as usize].keys().map(ToString::to_string).collect();
        let message = format!(
            "the connector `{}` has no member `{}`",
            self.model.connectors[connector.0 as usize].name,
            name.as_str()
        );
        let mut d = Diagnostic::new(codes::UNKNOWN_MEMBER, name.span, message);
        d.help = did_you_mean(name.as_str(), known.iter().map(String::as_str))
            .or_else(|| Some(format!("its members are `{}`", known.join("`, `"))));
        self.say_missing(name.as_str(), d);
        None
    }

    /// A twin sees its children's inputs, outputs, states, ports and parts; requirements and
    /// scenarios see everything.
    fn visible(&mut self, cx: &Cx<'a>, class: ClassId, what: &Member<'a>, name: &ast::Name) -> Option<()> {
        let section = match what {
            Member::Var {
                section: s @ (Section::Parameters | Section::Variables | Section::ValueParam),
                ..
            } => *s,
            _ => return Some(()),
        };
        if cx.mode == Mode::Constraint {
            return Some(());
        }
        let message = format!(
            "the {} `{}` of a `{}` is not seen from outside",
            section_word(section),
            name.as_str(),
            self.class(class).name
        );
        let d = Diagnostic::new(codes::NOT_VISIBLE, name.span, message)
            .here("a parent sees outputs, states, inputs and ports");
        let help = if section == Section::Variables {
            format!("make it an output: `outputs {{ … = {} }}`", name.as_str())
        } else {
            "declare the parameter here and hand it down by an override".to_owned()
        };
        let span = self.class(class).members.get(name.as_str()).map(|s| s.span);
        let d = d.help(help);
        self.say(match span {
            Some(s) => d.label(s, "declared here"),
            None => d,
        });
        None
    }

    /// One step further along a path.
    pub(super) fn step_to(
        &self,
        m: MemberPlace<'a>,
        name: &ast::Name,
        what: Member<'a>,
        span: Span,
    ) -> Place<'a> {
        let foreign = !m.r.steps.is_empty();
        self.step(m, name, what, foreign, span)
    }
}

/// How a member's value is read: numbers, truth values and enumerations have slots, all else is on the heap.
/// A parameter's text stays a constant.
pub(super) fn member_kind(section: Section, ty: &Type, r: Ref) -> ExprKind {
    let heap = matches!(
        ty,
        Type::String | Type::Record(_) | Type::List(_) | Type::Map(..) | Type::Optional(_) | Type::Any
    );
    if heap && !matches!(section, Section::Parameters | Section::ValueParam) {
        ExprKind::Behavior(Rc::new(Op::Heap(r)))
    } else {
        ExprKind::Member(r)
    }
}

/// The axes of a member itself.
pub(super) fn member_axes(m: &Member<'_>) -> Vec<Extent> {
    match m {
        Member::Var { ty, .. } => ty.shape.clone(),
        Member::Port { shape, .. } | Member::Part { shape, .. } => shape.clone(),
        Member::Machine(_) | Member::Memory(_) | Member::Capability => Vec::new(),
    }
}

/// A type without its unit, for twins with `units: off`.
pub(super) fn plain(ty: &mut Ty<'_>) {
    if let Type::Real(d) | Type::Complex(d) = &mut ty.base {
        *d = None;
        ty.temp = super::ty::Temp::Plain;
        ty.nature = crate::units::Nature::Plain;
    }
}

fn plain_member(mut m: Member<'_>) -> Member<'_> {
    if let Member::Var { ty, .. } = &mut m {
        plain(ty);
    }
    m
}

fn list(names: &[Name]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    quoted.join(", ")
}
