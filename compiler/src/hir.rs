//! The checked model: every name resolved, every expression with a type, a shape and a dimension, every
//! number in coherent SI. No error nodes: where checking found errors, compilation ends before this form
//! is used.
//!
//! Classes are complete: `extends` is already applied, so a class lists inherited members, equations and
//! connections as its own (in the order: inherited first), with the `extends` overrides as entries of
//! [`Class::own_overrides`]. Classes stay generic in their value parameters (`n: Int`), which are ordinary
//! `Int` members of role [`Section::ValueParam`], and in their type parameters.
//!
//! A class is not yet instantiated: references walk from the class's own members by name. The flatten
//! stage instantiates.

pub mod behavior;
mod class;
mod expr;
mod scenario;

use crate::map::IndexMap;
use crate::source::Span;
pub use class::*;
pub use expr::*;
pub use scenario::*;
use std::rc::Rc;
use twinml_model::dimension::Dimension;
pub use twinml_model::ir::CmpOp;

/// Number of a class in [`Model::classes`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ClassId(pub u32);
/// Number of a connector in [`Model::connectors`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ConnectorId(pub u32);
/// Number of an enumeration in [`Model::enums`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct EnumId(pub u32);
/// Number of a record type in [`Model::records`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct RecordId(pub u32);
/// Number of a function in [`Model::functions`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct FuncId(pub u32);
/// A local name (loop index, comprehension variable, function argument or local), unique in the model.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct LocalId(pub u32);

/// A member or step name, cheap to clone.
pub type Name = Rc<str>;

/// All files of a compilation, checked.
#[derive(Debug, Default)]
pub struct Model {
    /// Twin classes; inherited members included.
    pub classes: Vec<Class>,
    /// Connectors.
    pub connectors: Vec<Connector>,
    /// Enumerations.
    pub enums: Vec<Enum>,
    /// Records.
    pub records: Vec<Record>,
    /// Functions usable in equations (behaviour's private functions are kept with the behaviour).
    pub functions: Vec<Function>,
    /// Scenarios of the root file, in order.
    pub scenarios: Vec<Scenario>,
    /// The last twin of the root file that is neither partial nor generic without defaults: what runs
    /// when no scenario is named.
    pub main: Option<ClassId>,
    /// Names of locals, indexed by [`LocalId`], for messages.
    pub locals: Vec<Name>,
    /// Classes by name as the root file sees them.
    pub class_names: IndexMap<Name, ClassId>,
}

/// The kind of thing an expression is. Shape is separate.
#[derive(Clone, PartialEq, Debug)]
pub enum Type {
    /// A quantity with a dimension; `None` inside `units: off` and for literals `0` that fit any.
    Real(Option<Dimension>),
    /// An integer.
    Int,
    /// A truth value.
    Bool,
    /// Text.
    String,
    /// A value of an enumeration.
    Enum(EnumId),
    /// A record.
    Record(RecordId),
    /// A function given by samples: argument and value dimension.
    Table(Box<(Option<Dimension>, Option<Dimension>)>),
    /// Complex number with a dimension.
    Complex(Option<Dimension>),
    /// A moment of the calendar.
    Timestamp,
    /// `List`, `Set`, `Queue` of something (behaviour only).
    List(Box<Type>),
    /// `Map<K, V>` (behaviour only).
    Map(Box<Type>, Box<Type>),
    /// `T?`.
    Optional(Box<Type>),
    /// A reference to a twin (behaviour only).
    Twin(ClassId),
    /// Behaviour only: checked at run time.
    Any,
}

/// Length of one axis.
#[derive(Clone, PartialEq, Debug)]
pub enum Extent {
    /// Known now.
    Const(u32),
    /// A formula of value parameters and `final` parameters, evaluated at instantiation.
    Formula(Box<Expr>),
    /// Known only at instantiation, from the operands' own shapes.
    Inferred,
}

/// A connector.
#[derive(Debug)]
pub struct Connector {
    /// Its name.
    pub name: Name,
    /// Members in order.
    pub members: IndexMap<Name, ConnectorMember>,
    /// The declaration's name.
    pub span: Span,
}

/// A member of a connector.
#[derive(Clone, Debug)]
pub struct ConnectorMember {
    /// `potential`, `flow`, `stream`.
    pub role: ConnectorRole,
    /// Its declaration (no value, no range).
    pub decl: VarDecl,
    /// Its name.
    pub span: Span,
}

/// Roles in a connector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectorRole {
    /// Equal at a node.
    Potential,
    /// Sums to zero at a node; positive into the twin.
    Flow,
    /// Carried by the flow; what would leave.
    Stream,
}

/// An enumeration.
#[derive(Clone, Debug)]
pub struct Enum {
    /// Its name.
    pub name: Name,
    /// Values in order.
    pub values: Vec<Name>,
    /// The declaration's name.
    pub span: Span,
}

/// A record type.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its name.
    pub name: Name,
    /// Fields: type, shape.
    pub fields: IndexMap<Name, (Type, Vec<Extent>)>,
    /// The declaration's name.
    pub span: Span,
}

/// A function usable in equations.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: Name,
    /// Arguments: local, element type as declared (dimension `None`: generic), shape.
    pub params: Vec<(LocalId, Type, Vec<Extent>)>,
    /// Body.
    pub body: Vec<FuncStmt>,
    /// The declaration's name.
    pub span: Span,
}

/// Statements of functions used in equations.
#[derive(Clone, Debug)]
pub enum FuncStmt {
    /// `x = e`: a new local or a new value of one.
    Assign(LocalId, Expr),
    /// `if c { … } else { … }`
    If(Expr, Vec<FuncStmt>, Vec<FuncStmt>),
    /// `for i in lo..hi { … }`
    For(ForRange, Vec<FuncStmt>),
    /// `while c { … }`
    While(Expr, Vec<FuncStmt>),
    /// `return e`
    Return(Expr),
}
