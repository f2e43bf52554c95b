//! Everything at the top of a file that is no twin, function or scenario: dimensions, units, types,
//! enumerations, records, connectors.

use std::rc::Rc;

use crate::map::IndexMap;
use twinml_model::dimension::{Dimension, Ratio};

use super::class::ClassItem;
use super::func::FuncItem;
use super::ty::{Range, Ty};
use super::{Checker, Cx, ItemId, Mode};
use crate::ast::{self, ExprKind, Item};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::{self, ClassId, ConnectorId, EnumId, RecordId, Type};
use crate::resolve::{Def, ModuleId};
use crate::source::Span;
use crate::units::{Nature, Scale, Unit, quantity};

/// A `type` declaration, resolved when first used.
#[derive(Debug)]
pub(super) struct TypeItem<'a> {
    ast: &'a ast::TypeDecl,
    module: ModuleId,
    state: State<Option<Ty<'a>>>,
}

/// Work that may turn out to need itself.
#[derive(Debug, Clone)]
pub(super) enum State<T> {
    New,
    Busy,
    Done(T),
}

impl<'a> Checker<'a, '_> {
    /// Numbers every item and resolves all but twins, functions and scenarios.
    pub(super) fn declare_items(&mut self) {
        let modules = self.modules;
        for (m, module) in modules.list.iter().enumerate() {
            let m = ModuleId(m as u32);
            let ids = module.ast.items.iter().map(|item| self.number_item(m, item)).collect();
            self.item_ids.push(ids);
        }
        self.declare_dimensions();
        self.declare_units();
        for t in 0..self.types.len() {
            self.type_item(t as u32);
        }
        let mut parts = vec![Vec::new(); self.model.records.len()];
        for (m, module) in modules.list.iter().enumerate() {
            let m = ModuleId(m as u32);
            for (i, item) in module.ast.items.iter().enumerate() {
                let id = self.item_ids[m.0 as usize][i];
                match (item, id) {
                    (Item::Record(r), ItemId::Record(id)) => parts[id.0 as usize] = self.record(m, r, id),
                    (Item::Connector(c), ItemId::Connector(id)) => self.connector(m, c, id),
                    _ => {}
                }
            }
        }
        self.circles_of_records(&parts);
    }

    /// Refuses records that hold themselves directly or through others, and takes the field that closes a circle out,
    /// so that nothing later goes round.
    fn circles_of_records(&mut self, parts: &[Vec<RecordPart>]) {
        // 0 new, 1 on the path, 2 done; iterative, since chains of records can be long.
        let mut mark = vec![0u8; parts.len()];
        for start in 0..parts.len() {
            let mut path = vec![(start, 0usize)];
            while let Some((record, next)) = path.pop() {
                mark[record] = mark[record].max(1);
                let Some(part) = parts[record].get(next) else {
                    mark[record] = 2;
                    continue;
                };
                path.push((record, next + 1));
                let to = part.of.0 as usize;
                match mark[to] {
                    0 => path.push((to, 0)),
                    1 => {
                        let begin = path.iter().position(|p| p.0 == to).unwrap_or_default();
                        let circle: Vec<usize> = path[begin..].iter().map(|p| p.0).collect();
                        self.circle_of_records(&circle, part);
                        self.model.records[record].fields.shift_remove(&part.field);
                        self.record_fields[record].shift_remove(&part.field);
                    }
                    _ => {}
                }
            }
        }
    }

    /// `closing` is the field of the last record of the circle that holds the first one.
    fn circle_of_records(&mut self, circle: &[usize], closing: &RecordPart) {
        let name = |r: usize| self.model.records[r].name.clone();
        let first = name(closing.of.0 as usize);
        let mut d = Diagnostic::new(
            codes::CYCLIC_DEFINITION,
            closing.span,
            format!("`{first}` would contain itself"),
        );
        if circle.len() > 1 {
            let mut way: Vec<String> = circle.iter().map(|&r| format!("`{}`", name(r))).collect();
            way.push(format!("`{first}`"));
            d = d.note(format!("each holds the next: {}", way.join(", ")));
        }
        self.say(d.help("a list or an optional field ends the circle"));
    }

    fn number_item(&mut self, m: ModuleId, item: &'a Item) -> ItemId {
        let next = |n: usize| n as u32;
        match item {
            Item::Type(t) => {
                self.types.push(TypeItem { ast: t, module: m, state: State::New });
                ItemId::Type(next(self.types.len() - 1))
            }
            Item::Enum(e) => {
                let mut values: Vec<hir::Name> = Vec::new();
                for v in &e.variants {
                    if values.iter().any(|o| **o == *v.text) {
                        let message = format!("`{}` is a value of `{}` twice", v.as_str(), e.name.as_str());
                        self.say(Diagnostic::new(codes::DUPLICATE_NAME, v.span, message));
                    } else {
                        values.push(Rc::from(v.as_str()));
                    }
                }
                let name = Rc::from(e.name.as_str());
                self.model.enums.push(hir::Enum { name, values, span: e.name.span });
                ItemId::Enum(EnumId(next(self.model.enums.len() - 1)))
            }
            Item::Record(r) => {
                let name = Rc::from(r.name.as_str());
                self.model.records.push(hir::Record { name, fields: IndexMap::default(), span: r.name.span });
                self.record_fields.push(IndexMap::default());
                ItemId::Record(RecordId(next(self.model.records.len() - 1)))
            }
            Item::Connector(c) => {
                let name = Rc::from(c.name.as_str());
                let span = c.name.span;
                self.model.connectors.push(hir::Connector { name, members: IndexMap::default(), span });
                self.connector_fields.push(IndexMap::default());
                ItemId::Connector(ConnectorId(next(self.model.connectors.len() - 1)))
            }
            Item::Dimension(_) => ItemId::Dimension,
            Item::Func(f) => {
                self.funcs.push(FuncItem::new(f, m, None));
                ItemId::Func(next(self.funcs.len() - 1))
            }
            Item::Twin(t) => {
                self.classes.push(ClassItem::new(t, m));
                ItemId::Class(ClassId(next(self.classes.len() - 1)))
            }
            Item::Use(_) | Item::Unit(_) | Item::Scenario(_) | Item::Error(_) => ItemId::Other,
        }
    }

    fn declare_dimensions(&mut self) {
        let modules = self.modules;
        let all: Vec<&'a ast::DimensionDecl> = modules
            .list
            .iter()
            .flat_map(|m| &m.ast.items)
            .filter_map(|i| match i {
                Item::Dimension(d) => Some(d),
                _ => None,
            })
            .collect();
        for d in &all {
            if d.value.is_none() {
                let base = Dimension::user(d.name.as_str());
                self.dimensions.entry(d.name.text.clone()).or_insert(Some(base));
            }
        }
        // Definitions may come in any order; each round settles at least one or says what is wrong.
        let mut open: Vec<&ast::DimensionDecl> = all.into_iter().filter(|d| d.value.is_some()).collect();
        while !open.is_empty() {
            let names: Vec<ast::Text> = open.iter().map(|d| d.name.text.clone()).collect();
            let before = open.len();
            open.retain(|d| {
                let Some(value) = &d.value else { return false };
                let waits = names.iter().any(|n| *n != d.name.text && mentions(value, n));
                if waits {
                    return true;
                }
                let found = self.dimension_formula(value);
                self.dimensions.insert(d.name.text.clone(), found);
                false
            });
            if open.len() == before {
                for d in open.drain(..) {
                    let message = format!("the dimension `{}` is defined by itself", d.name.as_str());
                    self.say(Diagnostic::new(codes::CYCLIC_DEFINITION, d.name.span, message));
                    self.dimensions.insert(d.name.text.clone(), None);
                }
            }
        }
    }

    /// `Money/Time`
    fn dimension_formula(&mut self, e: &ast::Expr) -> Option<Dimension> {
        use ast::BinaryOp::{Div, Mul, Pow};
        match &e.kind {
            ExprKind::Name(n) => self.dimension_named(n),
            ExprKind::Number(n) if n.value == 1.0 && n.unit.is_none() => Some(Dimension::ONE),
            ExprKind::Binary { op: op @ (Mul | Div), left, right } => {
                let (a, b) = (self.dimension_formula(left), self.dimension_formula(right));
                let (a, b) = (a?, b?);
                if *op == Mul { a.checked_mul(&b) } else { a.checked_div(&b) }
            }
            ExprKind::Binary { op: Pow, left, right } => {
                let base = self.dimension_formula(left)?;
                base.pow(Ratio::from_f64(bare_constant(right)?)?)
            }
            ExprKind::Error => None,
            _ => {
                let d =
                    Diagnostic::new(codes::BAD_UNIT_DEFINITION, e.span, "this is no product of dimensions");
                self.say(d.help("combine the names of quantities with `*`, `/` and `^`"));
                None
            }
        }
    }

    fn dimension_named(&mut self, n: &ast::Name) -> Option<Dimension> {
        if let Some(d) = self.dimensions.get(&n.text) {
            return d.clone();
        }
        if let Some(q) = quantity(n.as_str()) {
            return Some(q.dimension());
        }
        let known = self.dimensions.keys().map(|k| &**k);
        let offer = did_you_mean(n.as_str(), known.chain(crate::units::QUANTITIES.iter().map(|q| q.name)));
        let mut d = Diagnostic::new(
            codes::BAD_UNIT_DEFINITION,
            n.span,
            format!("there is no dimension `{}`", n.as_str()),
        );
        d.help = offer.or_else(|| Some(format!("declare it first: `dimension {}`", n.as_str())));
        self.say(d);
        None
    }

    /// The dimension that an item declares.
    pub(super) fn dimension_item(&self, def: Def) -> Option<Dimension> {
        let Def::Item(m, i) = def else { return None };
        let name = self.modules.get(m).ast.items.get(i as usize)?.name()?;
        self.dimensions.get(&name.text)?.clone()
    }

    fn declare_units(&mut self) {
        let modules = self.modules;
        let all = modules.list.iter().flat_map(|m| &m.ast.items).filter_map(|i| match i {
            Item::Unit(u) => Some(u),
            _ => None,
        });
        let mut open: Vec<&'a ast::UnitDecl> = all.collect();
        while !open.is_empty() {
            let names: Vec<ast::Text> = open.iter().map(|u| u.name.text.clone()).collect();
            let before = open.len();
            open.retain(|u| {
                let waits = |v: &ast::Expr| names.iter().any(|n| *n != u.name.text && mentions(v, n));
                if u.value.as_ref().is_some_and(waits) {
                    return true;
                }
                self.declare_unit(u);
                false
            });
            if open.len() == before {
                for u in open.drain(..) {
                    let message = format!("the unit `{}` is defined by itself", u.name.as_str());
                    self.say(Diagnostic::new(codes::CYCLIC_DEFINITION, u.name.span, message));
                }
            }
        }
    }

    fn declare_unit(&mut self, u: &ast::UnitDecl) {
        let wanted = u.dimension.as_ref().and_then(|p| {
            let last = p.names.last()?;
            Some((self.dimension_named(last)?, last))
        });
        if u.dimension.is_some() && wanted.is_none() {
            return;
        }
        let meaning = match (&u.value, &wanted) {
            (Some(v), _) => self.unit_value(v),
            (None, Some((d, name))) => {
                let is_base = d.user_bases().any(|(n, r)| n == name.as_str() && r == Ratio::ONE);
                if is_base {
                    if let Some(first) = self.units.base_unit(name.as_str()).map(str::to_owned) {
                        let message =
                            format!("`{first}` is already the coherent unit of `{}`", name.as_str());
                        let d = Diagnostic::new(codes::BAD_UNIT_DEFINITION, u.name.span, message);
                        self.say(d.help(format!(
                            "define this one by it: `unit {} = 0.01 {first}`",
                            u.name.as_str()
                        )));
                        return;
                    }
                    self.units.name_base(name.as_str(), u.name.as_str());
                }
                Some((d.clone(), Scale::ONE))
            }
            // The parser has said that something is missing.
            (None, None) => return,
        };
        let Some((dimension, scale)) = meaning else { return };
        if let Some((d, name)) = &wanted
            && *d != dimension
        {
            let message = format!("the unit `{}` is no unit of `{}`", u.name.as_str(), name.as_str());
            let d = Diagnostic::new(codes::BAD_UNIT_DEFINITION, u.name.span, message);
            self.say(d.here(format!("its value is in `{}`", self.units.show(&dimension))));
            return;
        }
        if !scale.is_sane() {
            let message = "the size of a unit is a positive number";
            self.say(Diagnostic::new(codes::BAD_UNIT_DEFINITION, u.span, message));
            return;
        }
        if let Some((d, s)) = self.units.lookup(u.name.as_str()) {
            if d == dimension && s.factor() == scale.factor() {
                return; // Declared again with the meaning that it has: harmless.
            }
            let message = format!("`{}` is a unit already", u.name.as_str());
            let d = Diagnostic::new(codes::BAD_UNIT_DEFINITION, u.name.span, message);
            self.say(d.here(format!("it is {} of {}", s.factor(), self.units.show(&dimension))));
            return;
        }
        self.units.declare(u.name.as_str(), dimension, scale);
    }

    /// `0.01 EUR`, `1e-6`, `3 * 25.4 mm`
    fn unit_value(&mut self, e: &ast::Expr) -> Option<(Dimension, Scale)> {
        use ast::BinaryOp::{Div, Mul};
        match &e.kind {
            ExprKind::Number(n) => match &n.unit {
                Some(u) => {
                    let u: Unit = self.unit(u)?;
                    Some((u.dimension, u.scale.linear().scaled_by(n.value)))
                }
                None => Some((Dimension::ONE, Scale::ONE.scaled_by(n.value))),
            },
            ExprKind::Binary { op: op @ (Mul | Div), left, right } => {
                let (a, b) = (self.unit_value(left), self.unit_value(right));
                let ((da, sa), (db, sb)) = (a?, b?);
                if *op == Mul {
                    Some((da.checked_mul(&db)?, sa.times(sb)))
                } else {
                    Some((da.checked_div(&db)?, sa.times(sb.recip())))
                }
            }
            ExprKind::Name(n) if n.as_str() == "pi" => {
                Some((Dimension::ONE, Scale::irrational(1.0, 1.0, std::f64::consts::PI)))
            }
            ExprKind::Name(n) => match self.units.lookup(n.as_str()) {
                Some((d, s)) => Some((d, s)),
                None => {
                    let message = format!("unknown unit `{}`", n.as_str());
                    let mut d = Diagnostic::new(codes::UNKNOWN_UNIT, n.span, message);
                    d.help =
                        self.units.suggestions(n.as_str()).first().map(|s| format!("did you mean `{s}`?"));
                    self.say(d);
                    None
                }
            },
            ExprKind::Error => None,
            _ => {
                let d = Diagnostic::new(
                    codes::BAD_UNIT_DEFINITION,
                    e.span,
                    "a unit is defined by a constant quantity",
                );
                self.say(d.help("as in `unit cent = 0.01 EUR`"));
                None
            }
        }
    }

    /// The type that a `type` declaration stands for.
    pub(super) fn type_item(&mut self, t: u32) -> Option<Ty<'a>> {
        let item = &mut self.types[t as usize];
        let (ast, module) = (item.ast, item.module);
        match std::mem::replace(&mut item.state, State::Busy) {
            State::Done(ty) => {
                item.state = State::Done(ty.clone());
                return ty;
            }
            State::Busy => {
                let message = format!("the type `{}` is defined by itself", ast.name.as_str());
                self.say(Diagnostic::new(codes::CYCLIC_DEFINITION, ast.name.span, message));
                return None;
            }
            State::New => {}
        }
        let mut cx = Cx::new(module, None, Mode::Formula);
        let ty = self.ty(&mut cx, &ast.ty).and_then(|mut ty| {
            if let Some(u) = &ast.unit {
                self.with_unit(&mut ty, u, false)?;
            }
            if ty.nature == Nature::Plain || ty.quantity.is_none() {
                ty.quantity = Some(Rc::from(ast.name.as_str()));
            }
            if let Some(w) = &ast.range {
                ty.ranges.push(Range::Type(w, module));
            }
            Some(ty)
        });
        self.types[t as usize].state = State::Done(ty.clone());
        ty
    }

    /// The fields of a record; gives those that hold records directly.
    fn record(&mut self, m: ModuleId, r: &'a ast::RecordDecl, id: RecordId) -> Vec<RecordPart> {
        let mut parts = Vec::new();
        let mut fields = IndexMap::default();
        let mut cx = Cx::new(m, None, Mode::Behavior);
        for f in &r.fields {
            let name: Rc<str> = Rc::from(f.name.as_str());
            if fields.contains_key(&name) {
                let message = format!("`{}` has the field `{name}` twice", r.name.as_str());
                self.say(Diagnostic::new(codes::DUPLICATE_NAME, f.name.span, message));
                continue;
            }
            let ty = match &f.ty {
                Some(t) => self.ty(&mut cx, t),
                None => {
                    let message = format!("the field `{name}` has no type");
                    self.say(Diagnostic::new(codes::INCOMPLETE_DECLARATION, f.name.span, message));
                    None
                }
            };
            let mut ty = ty.unwrap_or_else(Ty::any);
            if let Some(u) = &f.unit {
                self.with_unit(&mut ty, u, false);
            }
            if let Type::Record(of) = ty.base {
                parts.push(RecordPart { of, field: name.clone(), span: f.name.span });
            }
            fields.insert(name, ty);
        }
        let hir_fields =
            fields.iter().map(|(n, t): (&Rc<str>, &Ty)| (n.clone(), (t.base.clone(), t.shape.clone())));
        self.model.records[id.0 as usize].fields = hir_fields.collect();
        self.record_fields[id.0 as usize] = fields;
        parts
    }

    fn connector(&mut self, m: ModuleId, c: &'a ast::ConnectorDecl, id: ConnectorId) {
        let mut cx = Cx::new(m, None, Mode::Formula);
        let mut members: IndexMap<Rc<str>, hir::ConnectorMember> = IndexMap::default();
        let mut types = IndexMap::default();
        let (mut potentials, mut flows) = (0u32, 0u32);
        let mut broken = false;
        for f in &c.fields {
            let name: Rc<str> = Rc::from(f.decl.name.as_str());
            let span = f.decl.name.span;
            if let Some(old) = members.get(&name) {
                let d = Diagnostic::new(codes::DUPLICATE_NAME, span, format!("`{name}` is declared twice"));
                self.say(d.label(old.span, "first declared here"));
                continue;
            }
            let role = match f.kind {
                Some(ast::ConnectorKind::Potential) => hir::ConnectorRole::Potential,
                Some(ast::ConnectorKind::Flow) => hir::ConnectorRole::Flow,
                Some(ast::ConnectorKind::Stream) => hir::ConnectorRole::Stream,
                None => {
                    let message = format!("`{name}` is neither a potential, a flow nor a stream");
                    let d = Diagnostic::new(codes::INCOMPLETE_DECLARATION, span, message);
                    self.say(d.help(format!("write `potential {name}`, `flow {name}` or `stream {name}`")));
                    broken = true;
                    continue;
                }
            };
            match role {
                hir::ConnectorRole::Potential => potentials += 1,
                hir::ConnectorRole::Flow => flows += 1,
                hir::ConnectorRole::Stream => {}
            }
            let Some(t) = &f.decl.ty else {
                let message = format!("`{name}` has no type");
                self.say(Diagnostic::new(codes::INCOMPLETE_DECLARATION, span, message));
                broken = true;
                continue;
            };
            let Some(mut ty) = self.ty(&mut cx, t) else {
                broken = true;
                continue;
            };
            if let Some(u) = &f.decl.unit {
                self.with_unit(&mut ty, u, false);
            }
            if !matches!(ty.base, Type::Real(_)) {
                let what = ty.describe(&self.units, &self.model);
                let message =
                    format!("a connector carries quantities, not {} {what}", super::words::article(&what));
                self.say(Diagnostic::new(codes::TYPE_MISMATCH, t.span, message));
                broken = true;
                continue;
            }
            let decl = hir::VarDecl {
                hidden: false,
                section: hir::Section::Variables,
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
            };
            members.insert(name.clone(), hir::ConnectorMember { role, decl, span });
            types.insert(name, ty);
        }
        if potentials != flows && !broken {
            let message = format!(
                "`{}` has {potentials} potential{} and {flows} flow{}",
                c.name.as_str(),
                if potentials == 1 { "" } else { "s" },
                if flows == 1 { "" } else { "s" }
            );
            let d = Diagnostic::new(codes::UNBALANCED_CONNECTOR, c.name.span, message);
            self.say(d.help("each potential needs the flow that balances it"));
        }
        self.model.connectors[id.0 as usize].members = members;
        self.connector_fields[id.0 as usize] = types;
    }
}

/// A field that holds a record directly, not in a list and not optional.
#[derive(Clone, Debug)]
struct RecordPart {
    of: RecordId,
    field: Rc<str>,
    span: Span,
}

/// Whether a name, as a name or as a unit, occurs.
fn mentions(e: &ast::Expr, name: &str) -> bool {
    let here = match &e.kind {
        ExprKind::Name(n) => n.as_str() == name,
        ExprKind::Number(n) => {
            n.unit.as_ref().is_some_and(|u| u.factors.iter().any(|f| f.name.as_str() == name))
        }
        _ => false,
    };
    let mut found = here;
    e.kind.for_each_child(&mut |c| found |= mentions(c, name));
    found
}

/// The value of a constant made of bare numbers only; `None` for anything else. Powers are whole.
pub(super) fn bare_constant(e: &ast::Expr) -> Option<f64> {
    use ast::{BinaryOp as B, UnaryOp as U};
    match &e.kind {
        ExprKind::Number(n) if n.unit.is_none() => Some(n.value),
        ExprKind::Unary { op: U::Neg, expr } => Some(-bare_constant(expr)?),
        ExprKind::Unary { op: U::Plus, expr } => bare_constant(expr),
        ExprKind::Binary { op, left, right } => {
            let (a, b) = (bare_constant(left)?, bare_constant(right)?);
            match op {
                B::Add => Some(a + b),
                B::Sub => Some(a - b),
                B::Mul => Some(a * b),
                B::Div => Some(a / b),
                B::Pow if b == b.trunc() && b.abs() <= 64.0 => {
                    let mut p = 1.0;
                    for _ in 0..b.abs() as u32 {
                        p *= a;
                    }
                    Some(if b < 0.0 { 1.0 / p } else { p })
                }
                _ => None,
            }
        }
        _ => None,
    }
}
