//! Trees to the checked model: names resolved, every expression with a type, a shape and a
//! dimension, every number in coherent SI.
//!
//! In: the modules of a compilation. Out: a [`hir::Model`] and diagnostics; the model is complete
//! only where no error was pushed. All errors of all files are found in one pass: what could not be
//! checked has no value (`None`), and nothing is said twice about it.
//!
//! Never: no instantiation (sizes may stay formulas), no solving, no I/O.

mod aggregate;
mod args;
mod assign;
mod behavior;
mod body;
mod branch;
mod builtins;
mod call;
mod class;
mod connect;
mod constant;
mod constraint;
mod equation;
mod event;
mod expectation;
mod expr;
mod finish;
mod func;
mod heard;
mod index;
mod items;
mod law;
mod machine;
mod message;
mod missing;
mod nearby;
mod opinion;
mod ops;
mod overrides;
mod place;
pub(crate) mod population;
mod protocol;
mod rule;
mod scenario;
mod special;
mod stmt;
mod sync;
mod ty;
mod unheeded;
mod words;

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::map::IndexMap;

use crate::ast;
use crate::diag::{Code, Diagnostic, Diagnostics, Label, codes, edit_distance};
use crate::hir::{self, ClassId, LocalId, Name};
use crate::resolve::{self, Loader, ModuleId, Modules, Scope};
use crate::source::{FileId, SourceMap, Span};
use crate::units::Units;

use class::ClassItem;
use func::FuncItem;
use items::TypeItem;
use missing::{Missing, Owner};
use opinion::Doubt;
use ty::Ty;

/// A checked compilation.
#[derive(Debug)]
pub struct Checked {
    /// The model; complete only where there are no errors.
    pub model: hir::Model,
    /// The units of the model, its own included, for messages of later stages.
    pub units: Units,
}

/// Parses the root file and what it uses, and checks all of it.
pub fn check(root: FileId, map: &mut SourceMap, loader: &dyn Loader, diags: &mut Diagnostics) -> Checked {
    let modules = resolve::load(root, map, loader, diags);
    lower(&modules, diags)
}

/// Checks parsed modules.
pub fn lower(modules: &Modules, diags: &mut Diagnostics) -> Checked {
    let before = diags.len();
    let (checked, doubts) = once(modules, None, diags);
    opinion::second(modules, doubts, before, diags);
    checked
}

/// One pass, with another type for one declaration where that is to be tried.
fn once(modules: &Modules, instead: Option<Doubt>, diags: &mut Diagnostics) -> (Checked, Vec<Doubt>) {
    let scopes = resolve::scopes(modules, diags);
    let mut c = Checker {
        modules,
        scopes,
        diags,
        units: Units::new(),
        said: BTreeSet::new(),
        missing: Missing::default(),
        doubts: Vec::new(),
        instead,
        literal_units: Vec::new(),
        share: None,
        chosen: Vec::new(),
        copied: None,
        item_ids: Vec::new(),
        dimensions: IndexMap::default(),
        types: Vec::new(),
        classes: Vec::new(),
        specials: IndexMap::default(),
        funcs: Vec::new(),
        record_fields: Vec::new(),
        connector_fields: Vec::new(),
        part_names: BTreeSet::new(),
        model: hir::Model::default(),
    };
    c.declare_items();
    c.declare_classes();
    c.check_classes();
    c.check_functions();
    c.check_scenarios();
    c.finish()
}

/// What an item of a module became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ItemId {
    Type(u32),
    Enum(hir::EnumId),
    Record(hir::RecordId),
    Connector(hir::ConnectorId),
    Dimension,
    Func(u32),
    Class(ClassId),
    Other,
}

struct Checker<'a, 'd> {
    modules: &'a Modules,
    scopes: Vec<Scope>,
    diags: &'d mut Diagnostics,
    units: Units,
    /// What was said already: one message a place and code.
    said: BTreeSet<(Code, Span)>,
    /// What was said of names that were not found.
    missing: Missing,
    /// Declarations whose type and value do not fit.
    doubts: Vec<Doubt>,
    /// The type to be tried for one of them.
    instead: Option<Doubt>,
    /// Units in which the numbers of the present requirement are written, by place.
    literal_units: Vec<(Span, twinml_model::dimension::Dimension, twinml_model::schema::DisplayUnit)>,
    /// Where something begins that was meant as a unit, and what helps if it is no name: `3/min`.
    share: Option<(u32, String)>,
    /// Levels of detail that overrides have chosen since the present class or scenario began.
    chosen: Vec<(String, Name, Span)>,
    /// The last name that was declared twice: its file, how far apart the two are, and where its message stands.
    copied: Option<(FileId, u32, usize)>,
    /// By module and item.
    item_ids: Vec<Vec<ItemId>>,
    dimensions: IndexMap<ast::Text, Option<twinml_model::dimension::Dimension>>,
    types: Vec<TypeItem<'a>>,
    /// Declared ones, and behind them those with type arguments.
    classes: Vec<ClassItem<'a>>,
    /// By class and type arguments.
    specials: IndexMap<(ClassId, Vec<ClassId>), ClassId>,
    funcs: Vec<FuncItem<'a>>,
    /// Field types by [`hir::RecordId`].
    record_fields: Vec<IndexMap<Name, Ty<'a>>>,
    /// Field types by [`hir::ConnectorId`].
    connector_fields: Vec<IndexMap<Name, Ty<'a>>>,
    /// Names of all parts of all twins: message addresses search outward.
    part_names: BTreeSet<Rc<str>>,
    model: hir::Model,
}

/// What an expression may see and use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// Values of declarations, sizes, overrides, distributions.
    Formula,
    /// Equations and definitions of outputs.
    Equation,
    /// Requirements, and formulas of scenarios: any member of a child may be read.
    Constraint,
    /// Handlers, machines and functions called from them.
    Behavior,
    /// Functions.
    Function,
}

/// A local name.
#[derive(Clone, Debug)]
struct Local<'a> {
    name: Rc<str>,
    id: LocalId,
    ty: Ty<'a>,
    /// Stands for another expression (`r` in `f(r) for r in rules`).
    alias: Option<Box<ty::Val>>,
    /// Stands for a twin (`t` in `for t in trucks`).
    twin: Option<Box<place::MemberPlace<'a>>>,
    span: Span,
    /// Assigned by a statement: must be read somewhere.
    assigned: bool,
    read: bool,
}

/// Where an expression stands.
struct Cx<'a> {
    module: ModuleId,
    class: Option<ClassId>,
    mode: Mode,
    units_off: bool,
    locals: Vec<Local<'a>>,
    /// What `self` is in a `where` condition.
    self_ty: Option<Ty<'a>>,
    /// Nesting of the expression being checked.
    depth: u32,
    /// Inside `noevent(…)`: comparisons make no events, and `==` of reals may stand.
    exact: bool,
    /// The declared name that stands for `self` in a `where` condition.
    self_name: Option<Rc<str>>,
    /// Arguments of the event being handled and the result type, for statements.
    result: Option<func::Result_<'a>>,
    /// The message that the handler at hand may answer, and whether it does.
    message: Option<LocalId>,
    answered: bool,
    /// A scenario's action: what it sends may well be what nobody understands.
    drill: bool,
    /// Calls of functions that are not defined: name and place.
    undefined: Vec<(Rc<str>, Span)>,
}

impl<'a> Cx<'a> {
    fn new(module: ModuleId, class: Option<ClassId>, mode: Mode) -> Cx<'a> {
        Cx {
            module,
            class,
            mode,
            units_off: false,
            locals: Vec::new(),
            self_ty: None,
            depth: 0,
            exact: false,
            self_name: None,
            result: None,
            message: None,
            answered: false,
            drill: false,
            undefined: Vec::new(),
        }
    }
}

impl<'a> Checker<'a, '_> {
    /// Adds a message, once per code and place.
    fn say(&mut self, d: Diagnostic) {
        // Where a bracket is missing names run into one another, and the lexer has said what is wrong.
        let at = d.primary.span;
        let module = self.modules.list.iter().find(|m| m.ast.file == at.file);
        let tainted = |at| module.is_some_and(|m| m.ast.is_tainted(at));
        // A head that is never closed, and once more, is one mistake.
        let again = d.code == codes::DUPLICATE_NAME && d.labels.iter().any(|l| tainted(l.span));
        if !tainted(at) && !again && self.said.insert((d.code, d.primary.span)) && !self.is_of_a_copy(&d) {
            self.diags.push(d);
        }
    }

    /// Whether a name is declared again in text that stands there twice, of which another name was told already: it is shown
    /// beside that one.
    fn is_of_a_copy(&mut self, d: &Diagnostic) -> bool {
        let (at, Some(first)) = (d.primary.span, d.labels.first()) else { return false };
        if d.code != codes::DUPLICATE_NAME || first.span.file != at.file || first.span.lo > at.lo {
            return false;
        }
        let apart = at.lo - first.span.lo;
        match self.copied {
            Some((file, distance, told)) if (file, distance) == (at.file, apart) => {
                let mut label = Some(d.message.clone());
                self.diags.change(told, |told| {
                    if let Some(text) = label.take() {
                        told.labels.push(Label { span: at, text });
                    }
                });
                true
            }
            _ => {
                self.copied = Some((at.file, apart, self.diags.len()));
                false
            }
        }
    }

    /// As [`Checker::say`], of something called `name` that was not found: nothing where the parser gave
    /// up a text that mentions it, or a `use` that failed was to bring it.
    fn say_missing(&mut self, name: &str, d: Diagnostic) {
        let of = match d.code {
            codes::UNKNOWN_TYPE | codes::UNKNOWN_FUNCTION => Owner::File(d.primary.span.file),
            _ => Owner::Other(d.message.clone()),
        };
        self.say_missing_of(of, name, d);
    }

    /// As [`Checker::say_missing`], of a member that a twin does not have.
    fn say_missing_member(&mut self, class: ClassId, name: &str, d: Diagnostic) {
        self.say_missing_of(Owner::Class(class), name, d);
    }

    fn say_missing_of(&mut self, of: Owner, name: &str, d: Diagnostic) {
        let head = name.split('.').next().unwrap_or(name);
        if [name, head].iter().any(|n| self.modules.lost.contains(*n)) {
            return;
        }
        // What a `use` without a list would have brought is not known: types, functions and units of names. One letter
        // beside the name of something that is here is a slip all the same.
        let brought = matches!(d.code, codes::UNKNOWN_TYPE | codes::UNKNOWN_FUNCTION)
            || (d.code == codes::UNKNOWN_NAME && name.starts_with(char::is_uppercase));
        let meant = d.help.as_deref().and_then(|h| h.strip_prefix("did you mean `")?.split('`').next());
        let slip = meant.is_some_and(|m| edit_distance(name, m) == 1);
        if brought && !slip && self.modules.blind.contains(&d.primary.span.file) {
            return;
        }
        self.missing.add(of, name, slip, &d);
        self.say(d);
    }

    fn local(&mut self, name: &str, ty: Ty<'a>, span: Span) -> Local<'a> {
        let id = LocalId(self.model.locals.len() as u32);
        let name: Rc<str> = Rc::from(name);
        self.model.locals.push(name.clone());
        Local { name, id, ty, alias: None, twin: None, span, assigned: false, read: false }
    }

    fn class(&self, id: ClassId) -> &ClassItem<'a> {
        // Ids are made by `declare_items`, one for each entry.
        &self.classes[id.0 as usize]
    }

    fn class_mut(&mut self, id: ClassId) -> &mut ClassItem<'a> {
        // As above.
        &mut self.classes[id.0 as usize]
    }
}
