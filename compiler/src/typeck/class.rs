//! Twins: what they extend, which members they have, and their checked form.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::map::IndexMap;

use super::args::generic_args;
use super::items::State;
use super::special::{Special, TypeUse};
use super::ty::{Thing, Ty, shapes_fit};
use super::{Checker, Cx, ItemId, Mode};
use crate::ast;
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::{self, ClassId, ClassTarget, ConnectorId, Extent, LaterKind, Name, Section, Type};
use crate::resolve::ModuleId;
use crate::source::Span;

/// A twin declaration and what is known of it.
#[derive(Debug)]
pub(super) struct ClassItem<'a> {
    pub(super) ast: &'a ast::Twin,
    pub(super) module: ModuleId,
    pub(super) name: Name,
    pub(super) units_off: bool,
    pub(super) type_params: Vec<(Name, ClassId)>,
    /// Defaults of type parameters.
    pub(super) type_defaults: Vec<Option<ClassId>>,
    pub(super) bases: Vec<(ClassId, &'a ast::Extends)>,
    /// All members, inherited first.
    pub(super) members: IndexMap<Name, Sig<'a>>,
    /// Events that behaviour emits or answers to, inherited included.
    pub(super) events: BTreeSet<Name>,
    /// Private and public functions of its behaviour.
    pub(super) funcs: IndexMap<Name, u32>,
    /// Requirements, inherited included.
    pub(super) requirements: IndexMap<Name, Span>,
    pub(super) header: State<()>,
    pub(super) body: State<()>,
    pub(super) hir: Option<hir::Class>,
    /// With type arguments: what it is made of.
    pub(super) special: Option<Special>,
}

/// A member's declaration.
#[derive(Clone, Debug)]
pub(super) struct Sig<'a> {
    pub(super) kind: SigKind<'a>,
    /// The class whose text declares it.
    pub(super) owner: ClassId,
    pub(super) span: Span,
    pub(super) ty: State<Option<Member<'a>>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum SigKind<'a> {
    ValueParam(&'a ast::GenericParam),
    Var(Section, &'a ast::Decl),
    Port(&'a ast::Decl),
    Part(&'a ast::Part),
    Machine(&'a ast::Machine),
    Memory(&'a ast::MemoryEntry),
    Capability(&'a ast::Capability),
}

/// A member as it may be used.
#[derive(Clone, Debug)]
pub(super) enum Member<'a> {
    Var {
        section: Section,
        ty: Ty<'a>,
        is_final: bool,
    },
    Port {
        connector: ConnectorId,
        shape: Vec<Extent>,
    },
    /// A child: its class with type arguments, and as the declaration has it.
    Part {
        target: ClassTarget,
        class: ClassId,
        args: Rc<[TypeUse]>,
        shape: Vec<Extent>,
        population: bool,
    },
    Machine(&'a ast::Machine),
    Memory(Ty<'a>),
    Capability,
}

impl<'a> ClassItem<'a> {
    pub(super) fn new(ast: &'a ast::Twin, module: ModuleId) -> ClassItem<'a> {
        ClassItem {
            ast,
            module,
            name: Rc::from(ast.name.as_str()),
            units_off: false,
            type_params: Vec::new(),
            type_defaults: Vec::new(),
            bases: Vec::new(),
            members: IndexMap::default(),
            events: BTreeSet::new(),
            funcs: IndexMap::default(),
            requirements: IndexMap::default(),
            header: State::New,
            body: State::New,
            hir: None,
            special: None,
        }
    }

    /// A class made of a declared one, whose members are looked up anew.
    pub(super) fn special(of: &ClassItem<'a>, special: Special) -> ClassItem<'a> {
        let anew = |(n, s): (&Name, &Sig<'a>)| (n.clone(), Sig { ty: State::New, ..s.clone() });
        ClassItem {
            units_off: of.units_off,
            type_params: of.type_params.clone(),
            type_defaults: of.type_defaults.clone(),
            bases: of.bases.clone(),
            members: of.members.iter().map(anew).collect(),
            events: of.events.clone(),
            funcs: of.funcs.clone(),
            requirements: of.requirements.clone(),
            header: State::Done(()),
            body: State::Done(()),
            special: Some(special),
            ..ClassItem::new(of.ast, of.module)
        }
    }
}

pub(super) fn section_of(kind: ast::SectionKind) -> Section {
    match kind {
        ast::SectionKind::Parameters => Section::Parameters,
        ast::SectionKind::Inputs => Section::Inputs,
        ast::SectionKind::Outputs => Section::Outputs,
        ast::SectionKind::States => Section::States,
        ast::SectionKind::Variables => Section::Variables,
    }
}

pub(super) fn section_word(s: Section) -> &'static str {
    match s {
        Section::ValueParam => "value parameter",
        Section::Parameters => "parameter",
        Section::Inputs => "input",
        Section::Outputs => "output",
        Section::States => "state",
        Section::Variables => "variable",
    }
}

impl<'a> Checker<'a, '_> {
    /// Registers every twin's members; types follow when they are asked for.
    pub(super) fn declare_classes(&mut self) {
        for item in &self.modules.list {
            for twin in item.ast.items.iter().filter_map(|i| match i {
                ast::Item::Twin(t) => Some(t),
                _ => None,
            }) {
                for m in &twin.members {
                    if let ast::Member::Twins(parts, _) = m {
                        let names = parts.iter().filter_map(|p| match p {
                            ast::PartEntry::Part(p) => Some(Rc::from(p.name.as_str())),
                            ast::PartEntry::Error(_) => None,
                        });
                        self.part_names.extend(names);
                    }
                }
            }
        }
        for c in 0..self.declared() {
            self.header(ClassId(c as u32));
        }
        for c in 0..self.declared() {
            let id = ClassId(c as u32);
            let names: Vec<Name> = self.class(id).members.keys().cloned().collect();
            for n in names {
                self.member(id, &n);
            }
        }
        self.check_containment();
    }

    /// A context for expressions of a class.
    pub(super) fn class_cx(&self, id: ClassId, mode: Mode) -> Cx<'a> {
        let class = self.class(id);
        let mut cx = Cx::new(class.module, Some(id), mode);
        cx.units_off = class.units_off;
        cx
    }

    /// Registers the members of a class; `false` where it stands in a circle of `extends`.
    fn header(&mut self, id: ClassId) -> bool {
        match self.class(id).header {
            State::Done(()) => return true,
            State::Busy => return false,
            State::New => self.class_mut(id).header = State::Busy,
        }
        let twin = self.class(id).ast;
        self.class_mut(id).units_off = twin.members.iter().any(|m| match m {
            ast::Member::Meta(s) => {
                s.name.as_str() == "units"
                    && s.values.iter().any(|v| v.as_name().is_some_and(|n| n.as_str() == "off"))
            }
            _ => false,
        });
        self.params(id, twin);
        let mut section = false;
        for m in &twin.members {
            match m {
                ast::Member::Extends(e) => {
                    if section {
                        let d = Diagnostic::new(codes::UNEXPECTED, e.span, "`extends` comes first in a twin");
                        self.say(d.here("a section stands before it").help("move it to the top of the twin"));
                    }
                    self.extend(id, e);
                }
                ast::Member::Meta(_) | ast::Member::Error(_) => {}
                _ => section = true,
            }
        }
        let mut own: IndexMap<Name, Span> = IndexMap::default();
        self.own_members(id, &twin.members, &mut own);
        self.class_mut(id).header = State::Done(());
        true
    }

    fn params(&mut self, id: ClassId, twin: &'a ast::Twin) {
        for p in &twin.params {
            let name: Name = Rc::from(p.name.as_str());
            let class = self.class(id);
            if class.members.contains_key(&name) || class.type_params.iter().any(|(n, _)| *n == name) {
                let message = format!("`{name}` is a parameter of `{}` twice", class.name);
                self.say(Diagnostic::new(codes::DUPLICATE_NAME, p.name.span, message));
                continue;
            }
            let bound = match &p.bound.kind {
                ast::TypeKind::Named { path, .. } => {
                    let module = self.class(id).module;
                    self.find_def(module, path).map(|d| self.item_of(d))
                }
                _ => None,
            };
            if let Some(ItemId::Class(bound)) = bound {
                let default = match &p.default {
                    Some(ast::GenericValue::Type(t)) => self.class_named(id, t),
                    Some(ast::GenericValue::Expr(e)) => {
                        let message = format!("`{name}` stands for a twin, and this is a value");
                        self.say(Diagnostic::new(codes::BAD_TWIN_ARGUMENT, e.span, message));
                        None
                    }
                    None => None,
                };
                let class = self.class_mut(id);
                class.type_params.push((name, bound));
                class.type_defaults.push(default);
            } else {
                let sig = Sig { kind: SigKind::ValueParam(p), owner: id, span: p.name.span, ty: State::New };
                self.class_mut(id).members.insert(name, sig);
            }
        }
    }

    fn class_named(&mut self, id: ClassId, t: &'a ast::TypeExpr) -> Option<ClassId> {
        let mut cx = self.class_cx(id, Mode::Formula);
        match self.thing(&mut cx, t)? {
            Thing::Class(c) | Thing::TypeParam(_, c) => Some(c),
            Thing::Value(_) | Thing::Connector(_) => {
                self.say(Diagnostic::new(codes::WRONG_KIND_OF_NAME, t.span, "this is no twin"));
                None
            }
        }
    }

    fn extend(&mut self, id: ClassId, e: &'a ast::Extends) {
        let module = self.class(id).module;
        let name = e.base.dotted();
        let base = match self.find_def(module, &e.base).map(|d| self.item_of(d)) {
            Some(ItemId::Class(base)) => base,
            Some(_) => {
                let d =
                    Diagnostic::new(codes::WRONG_KIND_OF_NAME, e.base.span, format!("`{name}` is no twin"));
                self.say(d.here("only a twin can be extended"));
                return;
            }
            None => {
                let known: Vec<String> = self.classes.iter().map(|c| c.name.to_string()).collect();
                let mut d =
                    Diagnostic::new(codes::UNKNOWN_TYPE, e.base.span, format!("unknown twin `{name}`"));
                d.help = did_you_mean(&name, known.iter().map(String::as_str));
                self.say_missing(&name, d);
                return;
            }
        };
        if !self.header(base) || base == id {
            let message = format!("`{}` extends itself", self.class(id).name);
            let d = Diagnostic::new(codes::CYCLIC_EXTENDS, e.base.span, message);
            self.say(d.here("this closes the circle"));
            return;
        }
        let from = self.class(base);
        let (members, events) = (from.members.clone(), from.events.clone());
        let (requirements, funcs) = (from.requirements.clone(), from.funcs.clone());
        let class = self.class_mut(id);
        class.bases.push((base, e));
        class.events.extend(events);
        class.requirements.extend(requirements);
        class.funcs.extend(funcs);
        let mut clashes = Vec::new();
        for (n, mut sig) in members {
            // Its type is looked up again, in its owner.
            sig.ty = State::New;
            if let Some(old) = class.members.get(&n).filter(|o| o.owner != sig.owner) {
                clashes.push((n, old.span, sig.span));
            } else {
                class.members.insert(n, sig);
            }
        }
        for (n, a, b) in clashes {
            let message = format!("both twins that are extended have a member `{n}`");
            let d = Diagnostic::new(codes::DUPLICATE_NAME, e.base.span, message);
            self.say(d.label(a, "one").label(b, "the other"));
        }
    }

    fn own_members(&mut self, id: ClassId, members: &'a [ast::Member], own: &mut IndexMap<Name, Span>) {
        for m in members {
            match m {
                ast::Member::Decls(s) => {
                    for e in &s.entries {
                        if let ast::DeclEntry::Decl(d) = e {
                            self.declare(id, own, &d.name, SigKind::Var(section_of(s.kind), d));
                        }
                    }
                }
                ast::Member::Ports(entries, _) => {
                    for e in entries {
                        if let ast::DeclEntry::Decl(d) = e {
                            self.declare(id, own, &d.name, SigKind::Port(d));
                        }
                    }
                }
                ast::Member::Twins(parts, _) => {
                    for p in parts {
                        if let ast::PartEntry::Part(p) = p {
                            self.declare(id, own, &p.name, SigKind::Part(p));
                        }
                    }
                }
                ast::Member::Memory(entries, _) => {
                    for e in entries {
                        self.declare(id, own, &e.name, SigKind::Memory(e));
                    }
                }
                ast::Member::Capabilities(entries, _) => {
                    for e in entries.iter().filter(|e| !e.is_error) {
                        self.declare(id, own, &e.name, SigKind::Capability(e));
                    }
                }
                ast::Member::Behavior(items, _) => {
                    self.own_behavior(id, items, own);
                }
                ast::Member::Constraints(list, _) => {
                    for c in list {
                        let (name, span) = match c {
                            ast::Constraint::Requirement(r) => (&r.name, r.name.span),
                            ast::Constraint::Kpi(k) => (&k.name, k.name.span),
                            ast::Constraint::Policy(_) | ast::Constraint::Error(_) => continue,
                        };
                        self.class_mut(id).requirements.insert(Rc::from(name.as_str()), span);
                    }
                }
                ast::Member::Fidelity(f) => {
                    // The first level is the default; the others may declare the same names.
                    let first = members.iter().find_map(|m| match m {
                        ast::Member::Fidelity(f) => Some(f.name.span),
                        _ => None,
                    });
                    if first == Some(f.name.span) {
                        self.own_members(id, &f.members, own);
                    }
                }
                ast::Member::Extends(_)
                | ast::Member::Meta(_)
                | ast::Member::Equations(_)
                | ast::Member::Connections(..)
                | ast::Member::Sync(..)
                | ast::Member::Error(_) => {}
            }
        }
    }

    fn own_behavior(&mut self, id: ClassId, items: &'a [ast::BehaviorItem], own: &mut IndexMap<Name, Span>) {
        let mut events = BTreeSet::new();
        super::behavior::collect_events(items, &mut events);
        self.class_mut(id).events.extend(events);
        for item in items {
            match item {
                ast::BehaviorItem::Machine(m) => {
                    self.declare(id, own, &m.name, SigKind::Machine(m));
                }
                ast::BehaviorItem::Func(f) => {
                    let module = self.class(id).module;
                    self.funcs.push(super::func::FuncItem::new(f, module, Some(id)));
                    let n = self.funcs.len() as u32 - 1;
                    let old = self.class_mut(id).funcs.insert(Rc::from(f.name.as_str()), n);
                    let old =
                        old.map(|o| (self.funcs[o as usize].class, self.funcs[o as usize].ast.name.span));
                    if let Some((owner, span)) = old
                        && owner == Some(id)
                    {
                        let message = format!("the function `{}` is declared twice", f.name.as_str());
                        let d = Diagnostic::new(codes::DUPLICATE_NAME, f.name.span, message);
                        self.say(d.label(span, "first declared here"));
                    }
                }
                ast::BehaviorItem::Handler(_) | ast::BehaviorItem::Error(_) => {}
            }
        }
    }

    fn declare(&mut self, id: ClassId, own: &mut IndexMap<Name, Span>, name: &ast::Name, kind: SigKind<'a>) {
        let text: Name = Rc::from(name.as_str());
        if let Some(first) = own.get(&text) {
            let d = Diagnostic::new(codes::DUPLICATE_NAME, name.span, format!("`{text}` is declared twice"));
            let d = d.here("declared again here").label(*first, "first declared here");
            self.say(d);
            return;
        }
        own.insert(text.clone(), name.span);
        let old = self.class(id).members.get(&text).map(|s| (s.kind, s.span));
        if let Some((old, span)) = old {
            let (was, is) = (kind_word(&old), kind_word(&kind));
            if was != is {
                let message =
                    format!("`{text}` is {} here and {} in the twin that is extended", an(is), an(was));
                let d = Diagnostic::new(codes::BAD_REDECLARATION, name.span, message);
                self.say(d.label(span, format!("declared as {} here", an(was))));
                return;
            }
        }
        let sig = Sig { kind, owner: id, span: name.span, ty: State::New };
        self.class_mut(id).members.insert(text, sig);
    }

    /// A member of a class with its type; `None` where there is none or it is broken.
    pub(super) fn member(&mut self, id: ClassId, name: &str) -> Option<Member<'a>> {
        let sig = self.class(id).members.get(name)?;
        let (kind, owner, span) = (sig.kind, sig.owner, sig.span);
        if let State::Done(m) = &sig.ty {
            return m.clone();
        }
        if matches!(sig.ty, State::Busy) {
            let message = format!("`{name}` is defined by itself");
            self.say(Diagnostic::new(codes::CYCLIC_DEFINITION, span, message));
            return None;
        }
        if owner != id {
            let found = self.member(owner, name).map(|m| self.seen_in(id, owner, m));
            return self.settle(id, name, found);
        }
        if let Some(sig) = self.class_mut(id).members.get_mut(name) {
            sig.ty = State::Busy;
        }
        let found = self.member_type(id, kind);
        if let Some(m) = &found {
            self.check_redeclaration(id, name, m, span);
        }
        self.settle(id, name, found)
    }

    fn settle(&mut self, id: ClassId, name: &str, found: Option<Member<'a>>) -> Option<Member<'a>> {
        if let Some(sig) = self.class_mut(id).members.get_mut(name) {
            sig.ty = State::Done(found.clone());
        }
        found
    }

    fn check_redeclaration(&mut self, id: ClassId, name: &str, new: &Member<'a>, span: Span) {
        let bases: Vec<ClassId> = self.class(id).bases.iter().map(|(b, _)| *b).collect();
        for b in bases {
            let Some(old_span) = self.class(b).members.get(name).map(|s| s.span) else { continue };
            let Some(old) = self.member(b, name) else { continue };
            let ok = match (&old, new) {
                (
                    Member::Var { section: a, ty: s, is_final: false },
                    Member::Var { section: b, ty: t, .. },
                ) => a == b && s.base == t.base && shapes_fit(&s.shape, &t.shape),
                (Member::Var { is_final: true, .. }, Member::Var { .. }) => {
                    let message = format!("`{name}` is `final` in the twin that is extended");
                    let d = Diagnostic::new(codes::FINAL_OVERRIDDEN, span, message);
                    self.say(d.label(old_span, "`final` here"));
                    continue;
                }
                (Member::Port { connector: a, .. }, Member::Port { connector: b, .. }) => a == b,
                (Member::Part { class: a, .. }, Member::Part { class: b, .. }) => self.is_a(*b, *a),
                _ => true,
            };
            if !ok {
                let message = format!(
                    "`{name}` is declared with another section or type than in the twin that is extended"
                );
                let d = Diagnostic::new(codes::BAD_REDECLARATION, span, message);
                self.say(
                    d.label(old_span, "declared here")
                        .help("a redeclared member keeps its section and its type"),
                );
            }
        }
    }

    /// Whether `class` is `base` or extends it.
    pub(super) fn is_a(&self, class: ClassId, base: ClassId) -> bool {
        let (class, base) = (self.real(class), self.real(base));
        class == base || self.class(class).bases.iter().any(|(b, _)| self.is_a(*b, base))
    }

    fn member_type(&mut self, id: ClassId, kind: SigKind<'a>) -> Option<Member<'a>> {
        let mut cx = self.class_cx(id, Mode::Formula);
        match kind {
            SigKind::ValueParam(p) => {
                let ty = self.ty(&mut cx, &p.bound)?;
                Some(Member::Var { section: Section::ValueParam, ty, is_final: false })
            }
            SigKind::Var(section, d) => {
                let ty = self.decl_type(&mut cx, section, d)?;
                Some(Member::Var { section, ty, is_final: d.is_final.is_some() })
            }
            SigKind::Port(d) => {
                let Some(t) = &d.ty else {
                    let message = format!("the port `{}` has no connector", d.name.as_str());
                    self.say(Diagnostic::new(codes::INCOMPLETE_DECLARATION, d.name.span, message));
                    return None;
                };
                let (thing, shape, _) = self.part_type(&mut cx, t)?;
                match thing {
                    Thing::Connector(connector) => Some(Member::Port { connector, shape }),
                    _ => {
                        let d =
                            Diagnostic::new(codes::WRONG_KIND_OF_NAME, t.span, "a port is of a connector");
                        self.say(d.here("this is no connector"));
                        None
                    }
                }
            }
            SigKind::Part(p) => {
                let (thing, shape, population) = self.part_type(&mut cx, &p.ty)?;
                match thing {
                    Thing::Class(declared) => {
                        let target = ClassTarget::Class(declared);
                        let args = self.type_uses(Some(id), cx.module, declared, generic_args(&p.ty));
                        let given = self.given(id);
                        let class = self.special_of(declared, &args, &given);
                        Some(Member::Part { target, class, args, shape, population })
                    }
                    Thing::TypeParam(n, class) => {
                        let target = ClassTarget::Param(n);
                        Some(Member::Part { target, class, args: Rc::new([]), shape, population })
                    }
                    Thing::Value(_) | Thing::Connector(_) => {
                        let d = Diagnostic::new(codes::WRONG_KIND_OF_NAME, p.ty.span, "a part is a twin");
                        self.say(d.here("this is no twin"));
                        None
                    }
                }
            }
            SigKind::Machine(m) => Some(Member::Machine(m)),
            SigKind::Memory(m) => self.memory_type(&mut cx, m).map(Member::Memory),
            SigKind::Capability(_) => Some(Member::Capability),
        }
    }

    /// The twin or connector of a part or a port with its axes, and whether it is a population.
    fn part_type(&mut self, cx: &mut Cx<'a>, t: &'a ast::TypeExpr) -> Option<(Thing<'a>, Vec<Extent>, bool)> {
        match &t.kind {
            ast::TypeKind::Array { elem, dims } => {
                let (thing, inner, population) = self.part_type(cx, elem)?;
                if let [ast::Expr { kind: ast::ExprKind::Range { hi: Some(hi), .. }, .. }] = dims.as_slice() {
                    let n = self.extent(cx, hi)?;
                    return Some((thing, vec![n], true));
                }
                let mut shape = Vec::new();
                for d in dims {
                    shape.push(self.extent(cx, d)?);
                }
                shape.extend(inner);
                Some((thing, shape, population))
            }
            _ => Some((self.thing(cx, t)?, Vec::new(), false)),
        }
    }

    /// The type of a declared quantity; inferred from its value where none is written.
    fn decl_type(&mut self, cx: &mut Cx<'a>, section: Section, d: &'a ast::Decl) -> Option<Ty<'a>> {
        let mut ty = match (&d.ty, &d.value) {
            (Some(t), value) => {
                let ty = self.ty(cx, t)?;
                // What a table takes and gives is told by its columns.
                match value {
                    Some(v)
                        if matches!(&ty.base, Type::Table(t) if **t == (None, None))
                            && ty.shape.is_empty() =>
                    {
                        let found = self.expr(cx, v).map(|v| v.e.ty);
                        Ty {
                            base: found.filter(|t| matches!(t, Type::Table(..))).unwrap_or(ty.base.clone()),
                            ..ty
                        }
                    }
                    _ => ty,
                }
            }
            (None, Some(v)) => {
                cx.mode = if section == Section::Outputs { Mode::Equation } else { Mode::Formula };
                let v = self.expr(cx, v)?;
                let mut ty = v.to_ty();
                // A parameter `n = 3` may be set to 2.5 unless it says otherwise.
                if ty.base == Type::Int && section != Section::ValueParam {
                    ty.base = Type::Real(Some(twinml_model::dimension::Dimension::ONE));
                }
                ty
            }
            // The parser has said that something is missing.
            (None, None) => return None,
        };
        if let Some(other) = self.instead.as_ref().filter(|o| o.declared == d.name.span) {
            ty = other.apply(ty);
        }
        if let Some(u) = &d.unit {
            self.with_unit(&mut ty, u, cx.units_off);
        }
        Some(ty)
    }

    /// Names of members that an offer may contain.
    pub(super) fn member_names(&self, id: ClassId) -> Vec<String> {
        self.class(id).members.keys().map(ToString::to_string).collect()
    }

    /// A twin that has itself as a part, without a condition that could end it, has no end.
    fn check_containment(&mut self) {
        let edges: Vec<Vec<(ClassId, Span)>> = (0..self.declared())
            .map(|c| {
                let mut out = Vec::new();
                for sig in self.classes[c].members.values() {
                    if let (SigKind::Part(p), State::Done(Some(Member::Part { target, .. }))) =
                        (&sig.kind, &sig.ty)
                        && p.cond.is_none()
                        && let ClassTarget::Class(class) = target
                    {
                        out.push((*class, p.name.span));
                    }
                }
                out
            })
            .collect();
        // 0 new, 1 on the path, 2 done; iterative, since chains of twins can be long.
        let mut mark = vec![0u8; edges.len()];
        let mut found = Vec::new();
        for start in 0..edges.len() {
            let mut stack = vec![(start, 0usize)];
            while let Some((node, next)) = stack.pop() {
                if next == 0 {
                    if mark[node] != 0 {
                        continue;
                    }
                    mark[node] = 1;
                }
                match edges[node].get(next) {
                    Some((to, span)) => {
                        stack.push((node, next + 1));
                        let to = to.0 as usize;
                        if mark[to] == 1 {
                            found.push((to, *span));
                        } else if mark[to] == 0 {
                            stack.push((to, 0));
                        }
                    }
                    None => mark[node] = 2,
                }
            }
        }
        for (c, span) in found {
            let message = format!("`{}` would contain itself without end", self.classes[c].name);
            let d = Diagnostic::new(codes::CYCLIC_CONTAINMENT, span, message);
            self.say(
                d.here("this part leads back to it")
                    .help("a part with a condition, `… if depth > 0`, can end it"),
            );
        }
    }

    /// What a class that later stages see has beyond its members.
    pub(super) fn later(class: &mut hir::Class, what: LaterKind, span: Span) {
        class.later.push(hir::Later { what, span });
    }
}

fn kind_word(kind: &SigKind<'_>) -> &'static str {
    match kind {
        SigKind::ValueParam(_) => "value parameter",
        SigKind::Var(s, _) => section_word(*s),
        SigKind::Port(_) => "port",
        SigKind::Part(_) => "part",
        SigKind::Machine(_) => "machine",
        SigKind::Memory(_) => "memory",
        SigKind::Capability(_) => "capability",
    }
}

fn an(word: &str) -> String {
    format!("{} {word}", super::words::article(word))
}
