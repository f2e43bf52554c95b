//! Top-level declarations other than twins and scenarios, and the declaration of a quantity.

use super::{Expr, Name, Path, Text, TypeExpr, UnitExpr};
use crate::source::Span;

/// `use std.thermal { HeatCapacitor }`, `use "parts/pump.twinml"`
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    /// Where from.
    pub source: UseSource,
    /// `as th`
    pub alias: Option<Name>,
    /// What stands in braces; `None` takes everything.
    pub names: Option<Vec<UseName>>,
    /// All of it.
    pub span: Span,
}

/// Where a `use` takes from.
#[derive(Debug, Clone, PartialEq)]
pub enum UseSource {
    /// `std.thermal`
    Path(Path),
    /// `"parts/pump.twinml"`, relative to the file it stands in
    File(Text, Span),
}

/// `HeatCapacitor as C`
#[derive(Debug, Clone, PartialEq)]
pub struct UseName {
    /// The name there.
    pub name: Name,
    /// The name here.
    pub alias: Option<Name>,
}

/// `type T = Real[K] in degC where self >= 0 K`
#[derive(Debug, Clone, PartialEq)]
pub struct TypeDecl {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The new name.
    pub name: Name,
    /// What it stands for.
    pub ty: TypeExpr,
    /// `in degC`
    pub unit: Option<UnitExpr>,
    /// `where …`
    pub range: Option<Where>,
    /// All of it.
    pub span: Span,
}

/// `enum Valve { open, closed, stuck }`
#[derive(Debug, Clone, PartialEq)]
pub struct EnumDecl {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The new name.
    pub name: Name,
    /// The values.
    pub variants: Vec<Name>,
    /// All of it.
    pub span: Span,
}

/// `record Job { id: Int, weight: Mass }`
#[derive(Debug, Clone, PartialEq)]
pub struct RecordDecl {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The new name.
    pub name: Name,
    /// The fields: type, and where given unit, default and range.
    pub fields: Vec<Decl>,
    /// All of it.
    pub span: Span,
}

/// `connector Pin { potential v: Voltage; flow i: Current }`
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectorDecl {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The new name.
    pub name: Name,
    /// The quantities.
    pub fields: Vec<ConnectorField>,
    /// All of it.
    pub span: Span,
}

/// One quantity of a connector.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectorField {
    /// `potential`, `flow`, `stream`; `None` where no such word stands.
    pub kind: Option<ConnectorKind>,
    /// The quantity.
    pub decl: Decl,
}

/// What a connector's quantity does at a joint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectorKind {
    /// Equal at all ports.
    Potential,
    /// Positive into the twin, sums to zero.
    Flow,
    /// What would leave with the flow.
    Stream,
}

/// `dimension Money`, `dimension Wage = Money/Time`
#[derive(Debug, Clone, PartialEq)]
pub struct DimensionDecl {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The new name.
    pub name: Name,
    /// The product of dimensions it stands for; `None` is a new base dimension.
    pub value: Option<Expr>,
    /// All of it.
    pub span: Span,
}

/// `unit EUR: Money`, `unit cent = 0.01 EUR`, `unit ppm = 1e-6`
#[derive(Debug, Clone, PartialEq)]
pub struct UnitDecl {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The new name.
    pub name: Name,
    /// `Money` of `unit EUR: Money`: the coherent unit of that dimension.
    pub dimension: Option<Path>,
    /// The quantity it stands for: a constant expression, mostly one literal.
    pub value: Option<Expr>,
    /// All of it.
    pub span: Span,
}

/// The declaration of a quantity:
/// `final name: Type in unit = value ~ distribution where condition guess value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Decl {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The new name.
    pub name: Name,
    /// Where `final` stands.
    pub is_final: Option<Span>,
    /// Where `outer` stands.
    pub is_outer: Option<Span>,
    /// The type; `None` where it is left to be inferred (`k = 2 m`).
    pub ty: Option<TypeExpr>,
    /// `in degC`
    pub unit: Option<UnitExpr>,
    /// `= value`
    pub value: Option<Expr>,
    /// `~ distribution`
    pub dist: Option<Expr>,
    /// `where condition else clamp`
    pub range: Option<Where>,
    /// `guess value`
    pub guess: Option<Expr>,
    /// `if condition`: a port or an element that may be absent
    pub cond: Option<Expr>,
    /// All of it.
    pub span: Span,
}

/// `where condition else clamp`
#[derive(Debug, Clone, PartialEq)]
pub struct Where {
    /// The condition; `self` is the value.
    pub cond: Expr,
    /// What a broken one does at run time.
    pub action: WhereAction,
    /// All of it, with `where`.
    pub span: Span,
}

/// What happens at run time where a range is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhereAction {
    /// An event and a mark on the run, which goes on.
    Event,
    /// `else stop`
    Stop,
    /// `else clamp`
    Clamp,
}

/// A parameter of a function, an event or a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// The name.
    pub name: Name,
    /// The type; may be missing in handlers.
    pub ty: Option<TypeExpr>,
    /// `= default`
    pub default: Option<Expr>,
    /// All of it.
    pub span: Span,
}

/// `func f(x: Real): Real { … }`, `func f(x: Real): Real = x^2`
#[derive(Debug, Clone, PartialEq)]
pub struct Func {
    /// Doc comment.
    pub doc: Option<Text>,
    /// Whether `private` stands before it.
    pub is_private: bool,
    /// The name.
    pub name: Name,
    /// The parameters.
    pub params: Vec<Param>,
    /// The type of the result.
    pub result: Option<TypeExpr>,
    /// What it does.
    pub body: FuncBody,
    /// All of it.
    pub span: Span,
    /// `func … : Real`, without the body.
    pub head: Span,
}

/// What a function does.
#[derive(Debug, Clone, PartialEq)]
pub enum FuncBody {
    /// `{ … }`
    Block(super::Block),
    /// `= expression`
    Expr(Expr),
}

/// `name: value` or `name = value` settings, and attributes such as `timeout: 2 s`.
#[derive(Debug, Clone, PartialEq)]
pub struct Attr {
    /// The name.
    pub name: Name,
    /// The value.
    pub value: Expr,
    /// All of it.
    pub span: Span,
}
