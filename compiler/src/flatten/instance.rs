//! Instances: classes with their arguments, overrides handed down, one family an array of instances.

use super::bind::{Pending, show_shape};
use super::consts::Mode;
use super::scope::{Axis, Inst, InstId, Locals, R, Scope, Slot, Stop, TypeArg, VarSlot};
use super::{Flattener, MAX_INSTANCES, MAX_SLOTS, Target};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::flat::{self, Affine};
use crate::hir::{self, LaterKind, MemberKind, Name, Section};
use crate::map::IndexMap;
use crate::source::Span;
use rustc_hash::FxBuildHasher;
use std::cell::OnceCell;
use std::rc::Rc;
use twinml_model::ids::{EnumId, Index, VarId};
use twinml_model::schema::{self, Kind, Segment};

/// Deepest nesting of twins in twins.
const MAX_NESTING: usize = 64;

impl<'a> Flattener<'a> {
    /// Instantiates what is asked for.
    pub(super) fn root(&mut self) -> R<()> {
        let root = InstId(0);
        let (class, types, mut pendings) = match self.request.target {
            Target::Class(c) => (c, Vec::new(), Vec::new()),
            Target::Scenario(s) => {
                let hir::ClassTarget::Class(c) = s.class.target else {
                    return Err(self.internal(s.span, "a scenario for a type parameter"));
                };
                let types = self.type_args(&s.class.types, root, &[]);
                let values = s.class.values.iter().map(|(n, e)| Pending::argument(n, e, root)).collect();
                (c, types, values)
            }
        };
        let mut outside = Vec::new();
        if let Some(s) = self.scenario() {
            outside.extend(s.parameters.iter().chain(&s.starts).map(|o| Pending::new(o, root)));
        }
        outside.extend(self.request.settings.iter().map(|o| Pending::new(o, root)));
        pendings.extend(outside.iter().cloned());
        self.system.name = self.model.classes[class.0 as usize].name.to_string();
        let done = self.instantiate(class, types, None, &Name::from(""), &[], None, pendings, 0);
        self.ranges.clear();
        let root = match done {
            Ok(id) => id,
            Err(Stop::Fail) => return Err(Stop::Fail),
            Err(Stop::NotConst { span, .. } | Stop::Split { span, .. }) => {
                return Err(self.not_constant(span));
            }
        };
        self.report_unused(&outside, root);
        Ok(())
    }

    pub(super) fn not_constant(&mut self, span: Span) -> Stop {
        let d = Diagnostic::new(codes::NOT_CONSTANT, span, "a value that is known before the run is needed here")
            .here("not a constant, a parameter or an index")
            .note("sizes, subscripts of twins, loop bounds and the conditions of `if` around equations choose the structure of the system");
        self.fail(d)
    }

    pub(super) fn internal(&mut self, span: Span, what: &str) -> Stop {
        let d = Diagnostic::new(codes::INTERNAL, span, format!("internal error: {what}"))
            .note("this is a fault of the compiler, not of the model; please report it");
        self.fail(d)
    }

    pub(super) fn too_large(&mut self, span: Span, count: u64, what: &str) -> Stop {
        let d = Diagnostic::new(codes::SYSTEM_TOO_LARGE, span, format!("{count} {what} are too many")).note(
            format!(
                "at most {MAX_SLOTS} elements and {} equation families are compiled",
                super::MAX_EQUATIONS
            ),
        );
        self.fail(d)
    }

    fn type_args(&self, uses: &'a [hir::ClassUse], scope: InstId, outer: &[TypeArg<'a>]) -> Vec<TypeArg<'a>> {
        uses.iter().map(|u| self.type_arg(u, scope, outer)).collect()
    }

    fn type_arg(&self, u: &'a hir::ClassUse, scope: InstId, outer: &[TypeArg<'a>]) -> TypeArg<'a> {
        match u.target {
            hir::ClassTarget::Param(n) if (n as usize) < outer.len() => outer[n as usize].clone(),
            hir::ClassTarget::Param(n) => TypeArg {
                // A type parameter without an argument stands for its bound.
                class: self.inst(scope).class.type_params[n as usize].1,
                types: Vec::new(),
                values: &[],
                scope,
            },
            hir::ClassTarget::Class(class) => {
                TypeArg { class, types: self.type_args(&u.types, scope, outer), values: &u.values, scope }
            }
        }
    }

    /// The scope of an instance's own formulas, with the loops in force being its axes.
    pub(super) fn own_scope(&self, id: InstId) -> Scope<'a> {
        let at =
            (0..self.inst(id).axes.len())
                .map(|k| {
                    if k < self.ranges.len() { self.index_value(Index::new(k)) } else { Affine::constant(0) }
                })
                .collect();
        Scope { inst: id, at, locals: Locals::default() }
    }

    /// Puts the axes of an instance family in force as loops `i0, i1, …`.
    pub(super) fn enter(&mut self, axes: &[Axis]) {
        self.ranges.clear();
        for a in axes {
            self.ranges.push(a.pin.map_or((0, i64::from(a.len)), |p| (p, p + 1)));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call site for the root and one for children")]
    fn instantiate(
        &mut self,
        class_id: hir::ClassId,
        types: Vec<TypeArg<'a>>,
        parent: Option<InstId>,
        name: &Name,
        shape: &[u32],
        pin: Option<&[i64]>,
        pendings: Vec<Pending<'a>>,
        depth: usize,
    ) -> R<InstId> {
        let class = &self.model.classes[class_id.0 as usize];
        if depth > MAX_NESTING {
            let d = Diagnostic::new(
                codes::TWIN_NESTING,
                class.span,
                format!("`{}` is nested more than {MAX_NESTING} deep", class.name),
            )
            .note("a twin that holds itself has no end");
            return Err(self.fail(d));
        }
        if self.insts.len() >= MAX_INSTANCES {
            return Err(self.too_large(class.span, self.insts.len() as u64, "twins that are not alike"));
        }
        self.refuse_later(class);
        let id = InstId(self.insts.len() as u32);
        let (mut axes, mut path) = match parent {
            Some(p) => (self.inst(p).axes.clone(), self.inst(p).path.clone()),
            None => (Vec::new(), Vec::new()),
        };
        axes.extend(shape.iter().enumerate().map(|(k, &len)| Axis { len, pin: pin.map(|p| p[k]) }));
        if parent.is_some() {
            path.push(match pin {
                None => Segment { name: name.to_string(), axes: shape.to_vec() },
                Some(p) => {
                    let at: Vec<String> = p.iter().map(i64::to_string).collect();
                    Segment { name: format!("{name}[{}]", at.join(",")), axes: Vec::new() }
                }
            });
        }
        self.enter(&axes);
        let members = IndexMap::with_capacity_and_hasher(class.members.len(), FxBuildHasher);
        self.insts.push(Inst { class, parent, path, axes, types, members });

        let mut all: Vec<Pending<'a>> = class.own_overrides.iter().map(|o| Pending::new(o, id)).collect();
        let own = all.len();
        all.extend(pendings);
        self.declare_quantities(id, class, &all)?;
        self.declare_parts(id, class, &all, depth)?;
        let mine: Vec<Pending<'a>> = all.drain(..own).collect();
        self.report_unused(&mine, id);
        Ok(id)
    }

    fn refuse_later(&mut self, class: &'a hir::Class) {
        for l in &class.later {
            let (code, what) = match l.what {
                // What is wrong with a place is said there.
                LaterKind::WhiteNoise => continue,
                LaterKind::FidelityChosen => {
                    (codes::LATER_FIDELITY, "a level of detail that is not the first")
                }
                LaterKind::Population => (codes::LATER_POPULATION, "a population of twins"),
                // Handlers and machines are lowered; what of them is not has a message of its own.
                LaterKind::Behavior | LaterKind::Machine => continue,
                LaterKind::Sync | LaterKind::Memory | LaterKind::Capability | LaterKind::Fidelity => continue,
            };
            let _ = self.refuse(code, l.span, what);
        }
    }

    /// First the quantities' bindings, so that sizes may be computed from parameters.
    fn declare_quantities(&mut self, id: InstId, class: &'a hir::Class, pendings: &[Pending<'a>]) -> R<()> {
        for (name, member) in &class.members {
            let MemberKind::Var(decl) = &member.kind else { continue };
            let slot = if decl.outer {
                self.outer(id, name, member.span, pendings)?
            } else {
                let bindings = self.bindings(id, name, decl, member.span, pendings, false);
                let guesses = self.bindings(id, name, decl, member.span, pendings, true);
                let laws = self.laws(id, name, decl, pendings);
                Slot::Var(Rc::new(VarSlot {
                    inst: id,
                    decl,
                    span: member.span,
                    doc: member.doc.as_ref(),
                    shape: OnceCell::new(),
                    var: OnceCell::new(),
                    bindings,
                    guesses,
                    laws,
                }))
            };
            self.insts[id.0 as usize].members.insert(name.clone(), slot);
        }
        for name in class.members.keys() {
            let Some(Slot::Var(slot)) = self.inst(id).members.get(name) else { continue };
            let slot = slot.clone();
            self.member_shape(&slot, name)?;
            self.add_family(id, name, &slot)?;
        }
        Ok(())
    }

    fn outer(&mut self, id: InstId, name: &Name, span: Span, pendings: &[Pending<'a>]) -> R<Slot<'a>> {
        if let Some(p) = pendings.iter().find(|p| p.name() == name && p.steps.len() == p.at + 1) {
            p.used.set(true);
            self.diags.push(
                Diagnostic::new(
                    codes::FINAL_OVERRIDE,
                    p.span,
                    format!("`{name}` is taken from the enclosing twin"),
                )
                .label(span, "declared `outer` here"),
            );
        }
        let mut at = self.inst(id).parent;
        while let Some(p) = at {
            match self.inst(p).members.get(name) {
                Some(Slot::Outer(further)) => return Ok(Slot::Outer(*further)),
                Some(Slot::Var(_)) => return Ok(Slot::Outer(p)),
                _ => at = self.inst(p).parent,
            }
        }
        let owner = self.owner_text(id);
        let d = Diagnostic::new(codes::NO_OUTER, span, format!("no enclosing twin has a member `{name}`"))
            .note(format!("wanted by the instance `{owner}`"));
        Err(self.fail(d))
    }

    /// `tanks[*].pump`; the class's name for the root.
    pub(super) fn owner_text(&self, id: InstId) -> String {
        let mut out = String::new();
        for s in &self.inst(id).path {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(&s.name);
            if !s.axes.is_empty() {
                out.push_str(&format!("[{}]", vec!["*"; s.axes.len()].join(",")));
            }
        }
        if out.is_empty() { self.system.name.clone() } else { out }
    }

    /// Then ports and twins.
    fn declare_parts(
        &mut self,
        id: InstId,
        class: &'a hir::Class,
        pendings: &[Pending<'a>],
        depth: usize,
    ) -> R<()> {
        for (name, member) in &class.members {
            let slot = match &member.kind {
                MemberKind::Var(_) => continue,
                MemberKind::Machine | MemberKind::Memory(_) | MemberKind::Other(_) => Slot::Other,
                MemberKind::Port(p) => {
                    let scope = self.own_scope(id);
                    if self.condition_holds(p.condition.as_ref(), &scope)? {
                        self.port(id, name, p, member)?
                    } else {
                        Slot::Absent(member.span)
                    }
                }
                MemberKind::Twin(t) => {
                    let scope = self.own_scope(id);
                    if self.condition_holds(t.condition.as_ref(), &scope)? {
                        let axes = self.inst(id).axes.clone();
                        let slot = self.child(id, name, t, pendings, depth, member.span);
                        self.enter(&axes);
                        slot?
                    } else {
                        for p in pendings.iter().filter(|p| p.name() == name) {
                            p.used.set(true);
                        }
                        Slot::Absent(member.span)
                    }
                }
            };
            self.insts[id.0 as usize].members.insert(name.clone(), slot);
        }
        Ok(())
    }

    fn condition_holds(&mut self, cond: Option<&'a hir::Expr>, scope: &Scope<'a>) -> R<bool> {
        cond.map_or(Ok(true), |c| self.static_bool(c, scope))
    }

    fn child(
        &mut self,
        id: InstId,
        name: &Name,
        t: &'a hir::TwinDecl,
        pendings: &[Pending<'a>],
        depth: usize,
        span: Span,
    ) -> R<Slot<'a>> {
        let scope = self.own_scope(id);
        let shape = self.extents(&t.shape, None, &scope, span, name)?;
        let outer_types = self.inst(id).types.clone();
        let arg = self.type_arg(&t.class, id, &outer_types);
        let mut list: Vec<Pending<'a>> =
            arg.values.iter().map(|(n, e)| Pending::argument(n, e, arg.scope)).collect();
        // Arguments that a type argument brings are written further out; their axes are the first ones.
        for p in &mut list {
            let have = self.inst(arg.scope).axes.len();
            let here = self.inst(id).axes.len() + shape.len();
            p.select = vec![super::scope::Select::All; here - have];
        }
        let all_axes = shape.len();
        let mine: Vec<Pending<'a>> = t.overrides.iter().map(|o| Pending::new(o, id)).collect();
        for p in &mine {
            let mut p = p.clone();
            p.select = vec![super::scope::Select::All; all_axes];
            list.push(p);
        }
        list.extend(self.descend(pendings, name, &shape)?);
        let count = shape.iter().map(|n| u64::from(*n)).product::<u64>();
        let (insts, slots) = (self.insts.len(), self.mark());
        let axes_before = self.inst(id).axes.len();
        let first = self.instantiate(
            arg.class,
            arg.types.clone(),
            Some(id),
            name,
            &shape,
            None,
            list.clone(),
            depth + 1,
        );
        let parts = match first {
            Ok(child) => vec![child],
            // The structure of the elements differs: each is a family of its own.
            Err(Stop::Split { index, why, span: at, .. }) if index.index() >= axes_before => {
                self.insts.truncate(insts);
                self.rollback(slots);
                if count > MAX_INSTANCES as u64 {
                    return Err(self.too_large(at, count, "twins that are not alike"));
                }
                let why = if why.is_empty() { "the elements differ in structure" } else { why };
                self.system.expanded.push((span, why.to_owned()));
                let mut parts = Vec::with_capacity(count as usize);
                let mut pin = vec![0i64; shape.len()];
                for _ in 0..count {
                    let axes = self.inst(id).axes.clone();
                    self.enter(&axes);
                    parts.push(self.instantiate(
                        arg.class,
                        arg.types.clone(),
                        Some(id),
                        name,
                        &shape,
                        Some(&pin),
                        list.clone(),
                        depth + 1,
                    )?);
                    for k in (0..pin.len()).rev() {
                        pin[k] += 1;
                        if pin[k] < i64::from(shape[k]) {
                            break;
                        }
                        pin[k] = 0;
                    }
                }
                parts
            }
            Err(e) => return Err(e),
        };
        if let Some(&child) = parts.first() {
            self.report_unused(&mine, child);
        }
        Ok(Slot::Twin { shape, parts })
    }

    /// The lengths of declared axes.
    pub(super) fn extents(
        &mut self,
        extents: &'a [hir::Extent],
        value: Option<&'a hir::Expr>,
        scope: &Scope<'a>,
        span: Span,
        name: &str,
    ) -> R<Vec<u32>> {
        let mut out = Vec::with_capacity(extents.len());
        for (k, e) in extents.iter().enumerate() {
            let len = match e {
                hir::Extent::Const(n) => i64::from(*n),
                hir::Extent::Formula(f) => self.integer(f, scope)?,
                hir::Extent::Inferred => match value {
                    Some(v) => {
                        let shape = self.shape(v, scope)?;
                        i64::from(shape.get(k).copied().unwrap_or(0))
                    }
                    None => return Err(self.internal(span, "an axis without a length")),
                },
            };
            match u32::try_from(len) {
                Ok(n) => out.push(n),
                Err(_) => {
                    let d = Diagnostic::new(
                        codes::NEGATIVE_SIZE,
                        span,
                        format!("`{name}` would have {len} elements"),
                    );
                    return Err(self.fail(d));
                }
            }
        }
        Ok(out)
    }

    /// The shape of a quantity, computed once.
    pub(super) fn member_shape(&mut self, slot: &Rc<VarSlot<'a>>, name: &str) -> R<Vec<u32>> {
        if let Some(s) = slot.shape.get() {
            return Ok(s.clone());
        }
        let scope = self.own_scope(slot.inst);
        let value = slot.bindings.last().map(|b| b.expr).or(slot.decl.value.as_ref());
        let shape = self.extents(&slot.decl.shape, value, &scope, slot.span, name)?;
        Ok(slot.shape.get_or_init(|| shape).clone())
    }

    fn port(
        &mut self,
        id: InstId,
        name: &Name,
        p: &'a hir::PortDecl,
        member: &'a hir::Member,
    ) -> R<Slot<'a>> {
        let scope = self.own_scope(id);
        let shape = self.extents(&p.shape, None, &scope, member.span, name)?;
        let connector = &self.model.connectors[p.connector.0 as usize];
        let (mut vars, mut shapes) = (Vec::new(), Vec::new());
        for (member_name, m) in &connector.members {
            let own = self.extents(&m.decl.shape, None, &scope, m.span, member_name)?;
            let port = Segment { name: name.to_string(), axes: shape.clone() };
            let last = Segment { name: member_name.to_string(), axes: own.clone() };
            let var =
                self.family(id, vec![port, last], &m.decl, m.span, member.doc.as_ref(), flat::Role::Unknown)?;
            self.homes.push(None);
            vars.push(var);
            shapes.push(own);
        }
        Ok(Slot::Port { shape, connector, vars, shapes })
    }

    /// Adds the family of a declared quantity, where it has numbers.
    fn add_family(&mut self, id: InstId, name: &Name, slot: &Rc<VarSlot<'a>>) -> R<()> {
        use hir::Type as T;
        let role = match slot.decl.section {
            Section::ValueParam | Section::Parameters => flat::Role::Parameter,
            Section::Inputs => flat::Role::Input,
            Section::States => flat::Role::Discrete,
            Section::Outputs | Section::Variables => flat::Role::Unknown,
        };
        match &slot.decl.ty {
            T::Real(_) | T::Int | T::Bool | T::Enum(_) => {}
            // Known to the compiler alone.
            T::String | T::Table(..) if role == flat::Role::Parameter => return Ok(()),
            // On the heap: see `declare_behavior`.
            ty if role != flat::Role::Parameter && super::behavior::on_heap(ty) => return Ok(()),
            _ => {
                let what = "a quantity of this type";
                return Err(self.refuse(codes::LATER_TYPE, slot.span, what));
            }
        }
        let shape = slot.shape.get().cloned().unwrap_or_default();
        let segment = Segment { name: name.to_string(), axes: shape };
        let var = self.family(id, vec![segment], slot.decl, slot.span, slot.doc, role)?;
        self.homes.push(Some((id, name.clone())));
        let _ = slot.var.set(var);
        Ok(())
    }

    fn family(
        &mut self,
        id: InstId,
        segments: Vec<Segment>,
        decl: &'a hir::VarDecl,
        span: Span,
        doc: Option<&'a String>,
        role: flat::Role,
    ) -> R<VarId> {
        let mut path = self.inst(id).path.clone();
        path.extend(segments);
        let kind = match &decl.ty {
            hir::Type::Int => Kind::Int,
            hir::Type::Bool => Kind::Bool,
            hir::Type::Enum(e) => Kind::Enum(EnumId(e.0)),
            _ => Kind::Real,
        };
        let declared = match decl.section {
            Section::ValueParam | Section::Parameters => schema::Role::Parameter,
            Section::Inputs => schema::Role::Input,
            Section::Outputs => schema::Role::Output,
            Section::States => schema::Role::State,
            Section::Variables => schema::Role::Variable,
        };
        let dimension = match &decl.ty {
            hir::Type::Real(d) => d.clone(),
            _ => None,
        };
        let var = flat::Var {
            path,
            len: 0,
            role,
            declared,
            kind,
            value: Vec::new(),
            guess: Vec::new(),
            fixed: false,
            unit: decl.unit.clone(),
            si_unit: decl.si_unit.clone(),
            dimension,
            quantity: decl.quantity.as_ref().map(ToString::to_string),
            description: doc.cloned(),
            range: range_of(decl),
            structural: decl.is_final || decl.section == Section::ValueParam,
            span,
        };
        self.push_family(var)
    }

    /// Adds a family; its length is the product of the axes in its path.
    pub(super) fn push_family(&mut self, mut var: flat::Var) -> R<VarId> {
        let axes: Vec<u32> = var.path.iter().flat_map(|s| s.axes.iter().copied()).collect();
        let len = axes.iter().fold(1u64, |n, a| n.saturating_mul(u64::from(*a)));
        self.slots = self.slots.saturating_add(len);
        if self.slots > MAX_SLOTS {
            let path: Vec<&str> = var.path.iter().map(|s| s.name.as_str()).collect();
            let d = Diagnostic::new(
                codes::SYSTEM_TOO_LARGE,
                var.span,
                format!("the system is too large: `{}` has {len} elements", path.join(".")),
            )
            .here(format!("shape {}", show_shape(&axes)))
            .note(format!("at most {MAX_SLOTS} elements are compiled"));
            return Err(self.fail(d));
        }
        var.len = len as u32;
        let id = VarId::new(self.system.vars.len());
        self.system.vars.push(var);
        Ok(id)
    }

    /// A condition that must be known now.
    pub(super) fn static_bool(&mut self, e: &'a hir::Expr, scope: &Scope<'a>) -> R<bool> {
        match self.constant_of(e, scope, &[], Mode::Structural) {
            Ok(super::consts::Const::Bool(b)) => Ok(b),
            Ok(_) => Err(self.internal(e.span, "a condition that is no truth value")),
            Err(Stop::NotConst { index: Some(index), span }) => Err(Stop::Split {
                index,
                cuts: Vec::new(),
                why: "a condition that depends on the index",
                span,
            }),
            Err(e) => Err(e),
        }
    }

    /// The place of a member under `id`, for messages about a name that is not there.
    pub(super) fn no_member(&mut self, id: InstId, name: &str, span: Span) -> Stop {
        let names: Vec<String> = self.inst(id).members.keys().map(ToString::to_string).collect();
        let mut d = Diagnostic::new(
            codes::NO_SUCH_MEMBER,
            span,
            format!("`{}` has no member `{name}`", self.inst(id).class.name),
        );
        if let Some(help) = did_you_mean(name, names.iter().map(String::as_str)) {
            d = d.help(help);
        }
        self.fail(d)
    }
}

/// The constant limits of `where lo <= self <= hi`.
fn range_of(decl: &hir::VarDecl) -> Option<(f64, f64)> {
    fn number(e: &hir::Expr) -> Option<f64> {
        match &e.kind {
            hir::ExprKind::Real(x) => Some(*x),
            hir::ExprKind::Int(i) => Some(*i as f64),
            hir::ExprKind::Unary(hir::UnOp::Neg, a) => number(a).map(|x| -x),
            _ => None,
        }
    }
    fn limits(e: &hir::Expr, range: &mut (f64, f64)) -> bool {
        use flat::CmpOp::{Ge, Gt, Le, Lt};
        let hir::ExprKind::Binary(op, a, b) = &e.kind else { return false };
        match op {
            hir::BinOp::And => limits(a, range) & limits(b, range),
            hir::BinOp::Cmp(op) => {
                let is_self = |e: &hir::Expr| matches!(e.kind, hir::ExprKind::SelfValue);
                let (below, limit) = match (is_self(a), is_self(b)) {
                    (true, false) => (matches!(op, Lt | Le), number(b)),
                    (false, true) => (matches!(op, Gt | Ge), number(a)),
                    _ => return false,
                };
                if !matches!(op, Lt | Le | Gt | Ge) {
                    return false;
                }
                match limit {
                    Some(x) if below => range.1 = range.1.min(x),
                    Some(x) => range.0 = range.0.max(x),
                    None => return false,
                }
                true
            }
            _ => false,
        }
    }
    let mut range = (f64::NEG_INFINITY, f64::INFINITY);
    let mut any = false;
    for r in &decl.ranges {
        any |= limits(&r.cond, &mut range);
    }
    (any && (range.0 > f64::NEG_INFINITY || range.1 < f64::INFINITY)).then_some(range)
}
