//! Types as the checker knows them: a [`hir::Type`] and a shape, with what a dimension alone does
//! not tell (points on a temperature scale, angular velocities, the unit that a person sees).

use std::rc::Rc;
use std::sync::Arc;

use twinml_model::dimension::Dimension;
use twinml_model::schema::DisplayUnit;

use super::class::SigKind;
use super::words::describe;
use super::{Checker, Cx, ItemId, Mode};
use crate::ast::{self, TypeKind};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::behavior::Op;
use crate::hir::{self, ClassId, Expr, ExprKind, Extent, Section, Type};
use crate::resolve::{Def, ModuleId};
use crate::source::Span;
use crate::units::{Nature, Unit, Units, quantity};

/// What a kelvin value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Temp {
    /// Kelvin of either kind: fits both.
    #[default]
    Plain,
    /// A point on the scale.
    Point,
    /// A difference of points.
    Difference,
}

/// Whether a value is a bare number, which takes the unit of its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Lit {
    /// No bare number.
    #[default]
    No,
    /// A literal zero: fits every dimension.
    Zero,
    /// A bare number literal.
    Number,
    /// A literal on a temperature scale (`20 degC`).
    Scale,
}

/// A condition that values of a type keep.
#[derive(Clone, Copy, Debug)]
pub(super) enum Range<'a> {
    /// `where …` of a `type` declaration and the module it stands in.
    Type(&'a ast::Where, ModuleId),
    /// `where …` of the member itself.
    Own(&'a ast::Where),
    /// `self >= 0 K` of the prelude's `Temperature`.
    AbsoluteZero,
}

/// A declared type.
#[derive(Clone, Debug)]
pub(super) struct Ty<'a> {
    pub(super) base: Type,
    pub(super) shape: Vec<Extent>,
    pub(super) temp: Temp,
    pub(super) nature: Nature,
    /// The unit in the bracket or behind `in`.
    pub(super) unit: Option<Unit>,
    /// Whether that unit stands behind `in`: then a bare number could mean two things.
    pub(super) shown: bool,
    /// Named quantity or refined type.
    pub(super) quantity: Option<Rc<str>>,
    pub(super) ranges: Vec<Range<'a>>,
}

impl<'a> Ty<'a> {
    pub(super) fn new(base: Type) -> Ty<'a> {
        Ty {
            base,
            shape: Vec::new(),
            temp: Temp::Plain,
            nature: Nature::Plain,
            unit: None,
            shown: false,
            quantity: None,
            ranges: Vec::new(),
        }
    }

    pub(super) fn real(d: Dimension) -> Ty<'a> {
        Ty::new(Type::Real(Some(d)))
    }

    pub(super) fn any() -> Ty<'a> {
        Ty::new(Type::Any)
    }

    pub(super) fn shaped(mut self, shape: Vec<Extent>) -> Ty<'a> {
        self.shape = shape;
        self
    }

    /// The type of one element.
    pub(super) fn element(&self) -> Ty<'a> {
        Ty { shape: Vec::new(), ..self.clone() }
    }

    pub(super) fn dimension(&self) -> Option<&Dimension> {
        dimension(&self.base)
    }

    /// The unit that people see.
    pub(super) fn display(&self, units: &Units) -> DisplayUnit {
        match (&self.unit, self.dimension()) {
            (Some(u), _) => display_unit(u),
            (None, Some(d)) => {
                let symbol = self.coherent_text(units, d);
                DisplayUnit { symbol, scale: 1.0, offset: 0.0 }
            }
            (None, None) => DisplayUnit::default(),
        }
    }

    /// The coherent unit as text; empty for plain numbers.
    pub(super) fn si_text(&self, units: &Units) -> String {
        self.dimension().map_or(String::new(), |d| self.coherent_text(units, d))
    }

    fn coherent_text(&self, units: &Units, d: &Dimension) -> String {
        if let Some(q) = self.quantity.as_deref().and_then(quantity) {
            return if q.unit == "1" { String::new() } else { q.unit.to_owned() };
        }
        if self.nature == Nature::Torque {
            return "N*m".to_owned();
        }
        let text = units.show(d);
        if text == "1" { String::new() } else { text }
    }

    /// `force [N]`, `truth value`.
    pub(super) fn describe(&self, units: &Units, model: &hir::Model) -> String {
        let unit = self.unit.as_ref().map(|u| &*u.text);
        let one = describe_type(units, model, &self.base, self.nature, self.quantity.as_deref(), unit);
        if self.shape.is_empty() { one } else { format!("array {} of {one}", show_shape(&self.shape)) }
    }
}

/// A checked value.
#[derive(Clone, Debug)]
pub(super) struct Val {
    pub(super) e: Expr,
    pub(super) temp: Temp,
    pub(super) nature: Nature,
    pub(super) lit: Lit,
    /// The named quantity of the variable it is.
    pub(super) quantity: Option<Rc<str>>,
    /// The unit it was written or declared in.
    pub(super) unit: Option<Arc<str>>,
    /// Whether `pi` occurs: a conversion between cycles and radians may be meant.
    pub(super) has_pi: bool,
}

impl Val {
    pub(super) fn new(kind: ExprKind, ty: Type, span: Span) -> Val {
        Val::of(Expr { kind, ty, shape: Vec::new(), span })
    }

    pub(super) fn of(e: Expr) -> Val {
        Val {
            e,
            temp: Temp::Plain,
            nature: Nature::Plain,
            lit: Lit::No,
            quantity: None,
            unit: None,
            has_pi: false,
        }
    }

    /// A value that behaviour alone computes.
    pub(super) fn opaque(ty: Type, span: Span) -> Val {
        Val::new(ExprKind::BehaviorOnly, ty, span)
    }

    /// A value that behaviour computes.
    pub(super) fn behavior(op: Op, ty: Type, span: Span) -> Val {
        Val::new(ExprKind::Behavior(Rc::new(op)), ty, span)
    }

    /// A value of a declared type.
    pub(super) fn typed(kind: ExprKind, ty: &Ty<'_>, span: Span) -> Val {
        Val {
            e: Expr { kind, ty: ty.base.clone(), shape: ty.shape.clone(), span },
            temp: ty.temp,
            nature: ty.nature,
            lit: Lit::No,
            quantity: ty.quantity.clone(),
            unit: ty.unit.as_ref().map(|u| u.text.clone()),
            has_pi: false,
        }
    }

    pub(super) fn shaped(mut self, shape: Vec<Extent>) -> Val {
        self.e.shape = shape;
        self
    }

    pub(super) fn dimension(&self) -> Option<&Dimension> {
        dimension(&self.e.ty)
    }

    pub(super) fn is_any(&self) -> bool {
        self.e.ty == Type::Any
    }

    pub(super) fn span(&self) -> Span {
        self.e.span
    }

    /// The same as a declared type, for inference.
    pub(super) fn to_ty<'a>(&self) -> Ty<'a> {
        Ty {
            base: self.e.ty.clone(),
            shape: self.e.shape.clone(),
            temp: self.temp,
            nature: self.nature,
            unit: None,
            shown: false,
            quantity: self.quantity.clone(),
            ranges: Vec::new(),
        }
    }
}

/// The dimension of a numeric type; whole numbers are dimensionless.
pub(super) fn dimension(ty: &Type) -> Option<&Dimension> {
    const ONE: &Dimension = &Dimension::ONE;
    match ty {
        Type::Real(d) | Type::Complex(d) => d.as_ref(),
        Type::Int => Some(ONE),
        _ => None,
    }
}

/// Whether values of the type are numbers.
pub(super) fn is_number(ty: &Type) -> bool {
    matches!(ty, Type::Real(_) | Type::Int | Type::Complex(_))
}

pub(super) fn display_unit(u: &Unit) -> DisplayUnit {
    DisplayUnit {
        symbol: if &*u.text == "1" { String::new() } else { u.text.to_string() },
        scale: u.scale.factor(),
        offset: u.scale.offset(),
    }
}

pub(super) fn describe_type(
    units: &Units,
    model: &hir::Model,
    ty: &Type,
    nature: Nature,
    quantity: Option<&str>,
    unit: Option<&str>,
) -> String {
    match ty {
        Type::Real(Some(d)) => describe(units, d, nature, quantity, unit),
        Type::Real(None) => "number".into(),
        Type::Complex(_) => "complex number".into(),
        Type::Int => "whole number".into(),
        Type::Bool => "truth value".into(),
        Type::String => "text".into(),
        Type::Enum(id) => model.enums.get(id.0 as usize).map_or("enum".into(), |e| format!("`{}`", e.name)),
        Type::Record(id) => {
            model.records.get(id.0 as usize).map_or("record".into(), |r| format!("`{}`", r.name))
        }
        Type::Table(..) => "table".into(),
        Type::Timestamp => "timestamp".into(),
        Type::List(t) => format!("list of {}", describe_type(units, model, t, Nature::Plain, None, None)),
        Type::Map(..) => "map".into(),
        Type::Optional(t) => {
            format!("optional {}", describe_type(units, model, t, Nature::Plain, None, None))
        }
        Type::Twin(_) => "twin".into(),
        Type::Any => "value of any type".into(),
    }
}

/// `[3, n]`
pub(super) fn show_shape(shape: &[Extent]) -> String {
    let one = |e: &Extent| match e {
        Extent::Const(n) => n.to_string(),
        Extent::Formula(f) => show_formula(f),
        Extent::Inferred => "?".into(),
    };
    format!("[{}]", shape.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn show_formula(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Member(r) => r.steps.iter().map(|s| &*s.name).collect::<Vec<_>>().join("."),
        ExprKind::Int(n) => n.to_string(),
        ExprKind::Binary(op, a, b) => {
            let op = match op {
                hir::BinOp::Add => "+",
                hir::BinOp::Sub => "-",
                hir::BinOp::Mul => "*",
                _ => return "?".into(),
            };
            format!("{}{op}{}", show_formula(a), show_formula(b))
        }
        _ => "?".into(),
    }
}

/// Whether two axes may be of one length.
pub(super) fn may_equal(a: &Extent, b: &Extent) -> bool {
    match (a, b) {
        (Extent::Const(a), Extent::Const(b)) => a == b,
        _ => true,
    }
}

/// Whether two shapes may be equal.
pub(super) fn shapes_fit(a: &[Extent], b: &[Extent]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| may_equal(a, b))
}

/// The value of a whole-number formula that needs no parameter.
pub(super) fn const_int(e: &Expr) -> Option<i64> {
    match &e.kind {
        ExprKind::Int(n) => Some(*n),
        ExprKind::Unary(hir::UnOp::Neg, a) => const_int(a)?.checked_neg(),
        ExprKind::Binary(op, a, b) => {
            let (a, b) = (const_int(a)?, const_int(b)?);
            match op {
                hir::BinOp::Add => a.checked_add(b),
                hir::BinOp::Sub => a.checked_sub(b),
                hir::BinOp::Mul => a.checked_mul(b),
                hir::BinOp::Pow => a.checked_pow(u32::try_from(b).ok()?),
                _ => None,
            }
        }
        ExprKind::Call(hir::Builtin::Div, args) => match args.as_slice() {
            [a, b] => const_int(a)?.checked_div(const_int(b)?),
            _ => None,
        },
        _ => None,
    }
}

/// What a type's name stands for.
#[derive(Clone, Debug)]
pub(super) enum Thing<'a> {
    Value(Ty<'a>),
    Class(ClassId),
    /// Type parameter number `n` of the enclosing class, with its bound.
    TypeParam(u32, ClassId),
    Connector(hir::ConnectorId),
}

/// Types of values that behaviour gets from capabilities and messages; their fields are known when
/// the model runs.
const RUNTIME_TYPES: &[&str] =
    &["Any", "any", "Intent", "Context", "Message", "Response", "Document", "Embedding", "Row", "Json"];

/// Aliases and built-in names for offers.
const BUILTIN_TYPES: &[&str] = &[
    "Real",
    "Int",
    "Bool",
    "String",
    "Complex",
    "Timestamp",
    "Duration",
    "Any",
    "Table",
    "Vector",
    "Matrix",
    "List",
    "Map",
    "Set",
    "Queue",
];

/// The prelude's type of a name.
fn builtin_type<'a>(units: &Units, name: &str) -> Option<Ty<'a>> {
    Some(match name {
        "Real" | "Float" | "float" | "real" | "Double" | "double" | "Number" | "number" => {
            Ty::real(Dimension::ONE)
        }
        "Int" | "int" | "Integer" | "integer" => Ty::new(Type::Int),
        "Bool" | "bool" | "Boolean" | "boolean" => Ty::new(Type::Bool),
        "String" | "string" | "str" | "Text" | "text" => Ty::new(Type::String),
        "Complex" | "complex" => Ty::new(Type::Complex(Some(Dimension::ONE))),
        "Timestamp" | "timestamp" => Ty::new(Type::Timestamp),
        "Table" => Ty::new(Type::Table(Box::new((None, None)))),
        _ if RUNTIME_TYPES.contains(&name) => Ty::any(),
        _ => {
            let q = quantity(name)?;
            let mut ty = Ty::real(q.dimension());
            ty.nature = q.nature;
            ty.quantity = Some(Rc::from(q.name));
            match q.name {
                "Temperature" => {
                    let (dimension, scale) = units.lookup("degC")?;
                    ty.temp = Temp::Point;
                    ty.unit = Some(Unit { dimension, scale, nature: Nature::Plain, text: Arc::from("degC") });
                    ty.shown = true;
                    ty.ranges.push(Range::AbsoluteZero);
                }
                "TemperatureDifference" => ty.temp = Temp::Difference,
                _ => {}
            }
            ty
        }
    })
}

impl<'a> Checker<'a, '_> {
    /// The meaning of a unit; messages once.
    pub(super) fn unit(&mut self, u: &ast::UnitExpr) -> Option<Unit> {
        let mut found = crate::diag::Diagnostics::new();
        let unit = self.units.resolve(u, &mut found);
        for d in found.into_vec() {
            self.say(d);
        }
        unit
    }

    /// A type as written.
    pub(super) fn ty(&mut self, cx: &mut Cx<'a>, t: &'a ast::TypeExpr) -> Option<Ty<'a>> {
        match self.thing(cx, t)? {
            Thing::Value(ty) => Some(ty),
            Thing::Class(id) | Thing::TypeParam(_, id) if cx.mode == Mode::Behavior => {
                Some(Ty::new(Type::Twin(id)))
            }
            Thing::Class(_) | Thing::TypeParam(..) => {
                self.say(
                    Diagnostic::new(codes::WRONG_KIND_OF_NAME, t.span, "a twin is no type of a quantity")
                        .here("this is a twin")
                        .help("parts stand in `twins { … }`"),
                );
                None
            }
            Thing::Connector(_) => {
                self.say(
                    Diagnostic::new(
                        codes::WRONG_KIND_OF_NAME,
                        t.span,
                        "a connector is no type of a quantity",
                    )
                    .here("this is a connector")
                    .help("ports stand in `ports { … }`"),
                );
                None
            }
        }
    }

    /// A type, a twin or a connector, without array sizes for the latter two.
    pub(super) fn thing(&mut self, cx: &mut Cx<'a>, t: &'a ast::TypeExpr) -> Option<Thing<'a>> {
        match &t.kind {
            TypeKind::Error => None,
            TypeKind::Real { unit, .. } => {
                self.size_for_unit(cx, unit)?;
                let u = self.unit(unit)?;
                let mut ty = Ty::real(u.dimension.clone());
                ty.nature = u.nature;
                ty.temp = if u.scale.is_affine() { Temp::Point } else { Temp::Plain };
                ty.unit = Some(u);
                Some(Thing::Value(ty))
            }
            TypeKind::Named { path, args } => self.named_type(cx, path, args),
            TypeKind::Array { elem, dims } => {
                let alias = match &elem.kind {
                    TypeKind::Named { path, .. } => path.dotted(),
                    _ => String::new(),
                };
                let base = match (alias.as_str(), dims.len()) {
                    ("Vector", 1) | ("Matrix", 2) => Thing::Value(Ty::real(Dimension::ONE)),
                    ("Vector" | "Matrix", n) => {
                        let want = if alias == "Vector" { "one size" } else { "two sizes" };
                        let message = format!("`{alias}` has {want}, not {n}");
                        self.say(Diagnostic::new(codes::BAD_SIZE, t.span, message));
                        return None;
                    }
                    _ => self.thing(cx, elem)?,
                };
                let Thing::Value(mut ty) = base else { return Some(base) };
                let mut shape = Vec::new();
                for d in dims {
                    shape.push(self.extent(cx, d)?);
                }
                // `Length[3][2]` is an array of two: the sizes read from the left.
                shape.append(&mut ty.shape);
                std::mem::swap(&mut ty.shape, &mut shape);
                self.check_total(&ty.shape, t.span)?;
                Some(Thing::Value(ty))
            }
            TypeKind::Of { shape, elem } => {
                let Thing::Value(outer) = self.thing(cx, shape)? else { return None };
                let mut ty = self.ty(cx, elem)?;
                let mut axes = outer.shape;
                axes.append(&mut ty.shape);
                ty.shape = axes;
                Some(Thing::Value(ty))
            }
            TypeKind::Optional(inner) => {
                let ty = self.ty(cx, inner)?;
                Some(Thing::Value(Ty { base: Type::Optional(Box::new(ty.base.clone())), ..ty }))
            }
        }
    }

    /// `Real[n]`: behind `Real` stands a unit, and this is a size. Where there is such a unit too (`N`, newton), it is what is
    /// meant unless `n` counts something.
    fn size_for_unit(&mut self, cx: &Cx<'a>, unit: &ast::UnitExpr) -> Option<()> {
        // The lexer has said that this is no unit.
        if unit.factors.is_empty() && unit.span.lo == unit.span.hi {
            return None;
        }
        let [f] = unit.factors.as_slice() else { return Some(()) };
        let name = f.name.as_str();
        let also = self.units.lookup(name).is_some();
        let member = cx.class.and_then(|c| self.class(c).members.get(name)).map(|m| m.kind);
        let count = match member {
            Some(SigKind::ValueParam(p)) => whole(&p.bound),
            Some(SigKind::Var(Section::Parameters, d)) => d.ty.as_ref().is_some_and(whole),
            _ => false,
        };
        let plain = f.exp.num == 1 && f.exp.den == 1;
        if if also { !(count && plain) } else { !self.own_name(cx, name) } {
            return Some(());
        }
        let message = if also {
            format!("behind `Real` stands a unit, and `{name}` is a parameter too")
        } else {
            format!("behind `Real` stands a unit, and `{name}` is a member")
        };
        let other = if also { "; where the unit is meant, the parameter needs another name" } else { "" };
        let help = format!("an array of plain numbers is `Real[1][{name}]`{other}");
        let d = Diagnostic::new(codes::SIZE_IN_UNIT_PLACE, unit.span, message);
        self.say(d.here("this is a size").help(help));
        None
    }

    fn named_type(
        &mut self,
        cx: &mut Cx<'a>,
        path: &'a ast::Path,
        args: &'a [ast::GenericArg],
    ) -> Option<Thing<'a>> {
        let name = path.dotted();
        if let Some(thing) = self.type_param(cx, &name) {
            return Some(thing);
        }
        if let Some(def) = self.find_def(cx.module, path)
            && let Some(thing) = self.thing_of(def)
        {
            return thing;
        }
        if matches!(name.as_str(), "List" | "Queue" | "Set" | "Map") {
            let mut types = Vec::new();
            for a in args {
                match &a.value {
                    ast::GenericValue::Type(t) => types.push(self.collection_element(cx, t)?),
                    ast::GenericValue::Expr(e) => {
                        self.say(Diagnostic::new(codes::UNKNOWN_TYPE, e.span, "a type is needed here"));
                        return None;
                    }
                }
            }
            let want = if name == "Map" { 2 } else { 1 };
            if types.is_empty() {
                types.resize(want, Type::Any);
            }
            if types.len() != want {
                let message = format!(
                    "`{name}` takes {want} type{}, not {}",
                    if want == 1 { "" } else { "s" },
                    types.len()
                );
                self.say(Diagnostic::new(codes::BAD_TWIN_ARGUMENT, path.span, message));
                return None;
            }
            let last = types.pop()?;
            let base = match types.pop() {
                Some(key) => Type::Map(Box::new(key), Box::new(last)),
                None => Type::List(Box::new(last)),
            };
            return Some(Thing::Value(Ty::new(base)));
        }
        if let Some(ty) = builtin_type(&self.units, &name) {
            return Some(Thing::Value(ty));
        }
        let known = crate::units::QUANTITIES.iter().map(|q| q.name).chain(BUILTIN_TYPES.iter().copied());
        let own: Vec<String> = self.scopes[cx.module.0 as usize].keys().map(ToString::to_string).collect();
        let offer = did_you_mean(&name, own.iter().map(String::as_str).chain(known));
        let mut d = Diagnostic::new(codes::UNKNOWN_TYPE, path.span, format!("unknown type `{name}`"));
        d = d.here("nothing of this name is a type");
        d.help = offer.or_else(|| {
            self.units.lookup(&name).map(|_| format!("`{name}` is a unit: write `Real[{name}]`"))
        });
        self.say_missing(&name, d);
        None
    }

    fn collection_element(&mut self, cx: &mut Cx<'a>, t: &'a ast::TypeExpr) -> Option<Type> {
        Some(match self.thing(cx, t)? {
            Thing::Value(ty) => ty.base,
            Thing::Class(id) | Thing::TypeParam(_, id) => Type::Twin(id),
            Thing::Connector(_) => return None,
        })
    }

    fn type_param(&self, cx: &Cx<'a>, name: &str) -> Option<Thing<'a>> {
        let class = self.class(cx.class?);
        let n = class.type_params.iter().position(|(p, _)| &**p == name)?;
        Some(Thing::TypeParam(n as u32, class.type_params[n].1))
    }

    /// What a name of a module stands for.
    pub(super) fn find_def(&self, module: ModuleId, path: &ast::Path) -> Option<Def> {
        let scope = &self.scopes[module.0 as usize];
        match path.names.as_slice() {
            [one] => scope.get(&one.text).map(|b| b.def),
            [first, second] => match scope.get(&first.text)?.def {
                Def::Module(m) => match self.scopes[m.0 as usize].get(&second.text)?.def {
                    d @ Def::Item(..) => Some(d),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// The item of a definition.
    pub(super) fn item_of(&self, def: Def) -> ItemId {
        match def {
            Def::Item(m, i) => self.item_ids[m.0 as usize][i as usize],
            _ => ItemId::Other,
        }
    }

    /// `None`: the definition is no type at all. `Some(None)`: it is one with an error.
    #[expect(clippy::option_option, reason = "three answers: no type, a broken one, one")]
    fn thing_of(&mut self, def: Def) -> Option<Option<Thing<'a>>> {
        Some(match self.item_of(def) {
            ItemId::Type(t) => self.type_item(t).map(Thing::Value),
            ItemId::Enum(e) => Some(Thing::Value(Ty::new(Type::Enum(e)))),
            ItemId::Record(r) => Some(Thing::Value(Ty::new(Type::Record(r)))),
            ItemId::Connector(c) => Some(Thing::Connector(c)),
            ItemId::Class(c) => Some(Thing::Class(c)),
            ItemId::Dimension => self.dimension_item(def).map(|d| Thing::Value(Ty::real(d))),
            ItemId::Func(_) | ItemId::Other => return None,
        })
    }

    /// The size of an axis.
    pub(super) fn extent(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Extent> {
        if matches!(e.kind, ast::ExprKind::Range { .. }) {
            let d = Diagnostic::new(codes::BAD_SIZE, e.span, "a range is no size");
            self.say(
                d.help("a population of twins has a range, `trucks: Truck[0..200]`; an array one number"),
            );
            return None;
        }
        let mode = std::mem::replace(&mut cx.mode, Mode::Formula);
        let v = self.expr(cx, e);
        cx.mode = mode;
        let v = v?;
        if v.e.ty != Type::Int || !v.e.shape.is_empty() {
            let what = self.describe_val(&v);
            let d = Diagnostic::new(codes::BAD_SIZE, e.span, "the size of an array is a whole number");
            self.say(d.here(format!("this is {} {what}", super::words::article(&what))));
            return None;
        }
        match const_int(&v.e) {
            Some(n) if n < 0 => {
                self.say(Diagnostic::new(codes::BAD_SIZE, e.span, format!("{n} is no size of an array")));
                None
            }
            Some(n) => match u32::try_from(n).ok().filter(|n| u64::from(*n) <= MAX_ELEMENTS) {
                Some(n) => Some(Extent::Const(n)),
                None => {
                    self.too_large(e.span);
                    None
                }
            },
            None => Some(Extent::Formula(Box::new(v.e))),
        }
    }

    fn too_large(&mut self, span: Span) {
        let message = format!("an array of more than {MAX_ELEMENTS} elements");
        self.say(Diagnostic::new(codes::TOO_LARGE, span, message));
    }

    fn check_total(&mut self, shape: &[Extent], span: Span) -> Option<()> {
        let mut total: u64 = 1;
        for e in shape {
            if let Extent::Const(n) = e {
                total = total.saturating_mul(u64::from((*n).max(1)));
            }
        }
        if total > MAX_ELEMENTS {
            self.too_large(span);
            return None;
        }
        Some(())
    }

    /// `force [N]` of a value, in the unit that it was declared or written in.
    pub(super) fn describe_val(&self, v: &Val) -> String {
        let one = describe_type(
            &self.units,
            &self.model,
            &v.e.ty,
            v.nature,
            v.quantity.as_deref(),
            v.unit.as_deref(),
        );
        if v.e.shape.is_empty() { one } else { format!("array {} of {one}", show_shape(&v.e.shape)) }
    }

    /// Adds `in unit` to a type.
    pub(super) fn with_unit(&mut self, ty: &mut Ty<'a>, unit: &ast::UnitExpr, units_off: bool) -> Option<()> {
        let u = self.unit(unit)?;
        match ty.dimension() {
            Some(d) if *d != u.dimension => {
                let what = ty.describe(&self.units, &self.model);
                self.say(
                    Diagnostic::new(
                        codes::BAD_DISPLAY_UNIT,
                        unit.span,
                        format!("{what} cannot be shown in `{}`", u.text),
                    )
                    .here(format!("`{}` measures {}", u.text, self.unit_word(&u)))
                    .help(format!("the coherent unit is `{}`", self.units.show(d))),
                );
                return None;
            }
            None if !units_off || !is_number(&ty.base) => {
                let what = ty.describe(&self.units, &self.model);
                let message = format!("{what} has no unit to be shown in");
                self.say(Diagnostic::new(codes::BAD_DISPLAY_UNIT, unit.span, message));
                return None;
            }
            _ => {}
        }
        if u.scale.is_affine() {
            if ty.temp == Temp::Difference {
                self.say(
                    Diagnostic::new(
                        codes::DIFFERENCE_IN_SCALE,
                        unit.span,
                        format!("a temperature difference cannot be shown in `{}`", u.text),
                    )
                    .here("this is a point on a scale")
                    .help("for a difference write `K`"),
                );
                return None;
            }
            ty.temp = Temp::Point;
        }
        ty.unit = Some(u);
        ty.shown = true;
        Some(())
    }

    pub(super) fn unit_word(&self, u: &Unit) -> String {
        describe(&self.units, &u.dimension, u.nature, None, Some(&u.text))
    }
}

/// Most elements of one array: more would not fit the state vector of any run.
pub(super) const MAX_ELEMENTS: u64 = 1 << 27;

/// Whether a type is `Int` as written.
fn whole(t: &ast::TypeExpr) -> bool {
    matches!(&t.kind, TypeKind::Named { path, .. } if path.dotted() == "Int")
}
