//! Behaviour of a class, checked: handlers, machines, functions and their statements.
//!
//! Expressions are those of the model ([`Expr`]); what only behaviour computes is an [`Op`] in
//! [`super::ExprKind::Behavior`]. Values whose type is [`super::Type::Any`] are judged at run time.

use std::rc::Rc;

use super::{CmpOp, Expr, ForRange, LocalId, Name, RecordId, Reduction, Ref, Step, Type, UnOp};
use crate::source::Span;
use twinml_model::schema::DisplayUnit;

/// All behaviour of a class, inherited included (inherited first).
#[derive(Clone, Debug, Default)]
pub struct Behavior {
    /// Names of events that it emits or answers to itself, sorted.
    pub events: Vec<Name>,
    /// Handlers outside machines, in declaration order.
    pub handlers: Vec<Handler>,
    /// Machines, in declaration order.
    pub machines: Vec<Machine>,
    /// Functions, in declaration order.
    pub functions: Vec<Func>,
    /// Handlers and machines in declaration order.
    pub order: Vec<Item>,
}

/// Handlers and machines in declaration order, by their numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item {
    /// One of [`Behavior::handlers`].
    Handler(u32),
    /// One of [`Behavior::machines`].
    Machine(u32),
}

impl Behavior {
    /// Takes over what another base has.
    pub fn add(&mut self, other: Behavior) {
        let (handlers, machines) = (self.handlers.len() as u32, self.machines.len() as u32);
        self.order.extend(other.order.into_iter().map(|i| match i {
            Item::Handler(n) => Item::Handler(n + handlers),
            Item::Machine(n) => Item::Machine(n + machines),
        }));
        self.events.extend(other.events);
        self.events.sort();
        self.events.dedup();
        self.handlers.extend(other.handlers);
        self.machines.extend(other.machines);
        self.functions.extend(other.functions);
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.handlers.is_empty() && self.machines.is_empty() && self.functions.is_empty()
    }
}

/// A handler, or in a machine a transition (with `target`).
#[derive(Clone, Debug)]
pub struct Handler {
    /// What sets it off.
    pub trigger: Trigger,
    /// Arguments of the event by name: locals of guard and body.
    pub params: Vec<Param>,
    /// Written without parentheses: it takes messages with any arguments.
    pub bare: bool,
    /// The message that it handles, where it answers it or asks who sent it.
    pub message: Option<LocalId>,
    /// `from sender`
    pub from: Option<LocalId>,
    /// `queued`
    pub queued: bool,
    /// `-> state`
    pub target: Option<(Name, Span)>,
    /// `when …`
    pub guard: Option<Expr>,
    /// What it does.
    pub body: Option<Vec<Stmt>>,
    /// Its head, for messages.
    pub head: Span,
    /// All of it.
    pub span: Span,
}

/// An argument of an event, a message or a function.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name.
    pub name: Name,
    /// The local it becomes.
    pub local: LocalId,
    /// Its type; [`Type::Any`] where none is written.
    pub ty: Type,
    /// Whether it is an array of that type.
    pub array: bool,
    /// Used where an event or a call does not give it.
    pub default: Option<Expr>,
}

/// What sets a handler off.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// `on start`
    Start,
    /// `on stop`
    Stop,
    /// `on rising(c)`
    Rising(Expr),
    /// `on falling(c)`
    Falling(Expr),
    /// `on change(e)`; a machine as a whole is [`Op::Machine`].
    Change(Expr),
    /// `when c`
    When(Expr),
    /// `every d offset o`, seconds
    Every {
        /// Period.
        period: Expr,
        /// First tick; 0 where not written.
        offset: Option<Expr>,
    },
    /// `at t`, seconds
    At(Expr),
    /// `after d`, `after d in state`: inside a machine's state it counts from the entry to that one.
    After {
        /// How long.
        delay: Expr,
        /// `in state`: the machine and the state.
        state: Option<(Name, Name)>,
    },
    /// An event.
    Event(EventRef),
    /// `sequence(…)` and its kin.
    Pattern(Pattern),
    /// A construct that this version does not run (`near`, messages with performatives …).
    Later(&'static str),
}

/// An event by the path to who emits it: `overflow`, `pump.overflow`, `st[2].out`, `violated.safe`.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRef {
    /// The child, with indices; empty: the twin itself. An index left out of an array means any element.
    pub path: Vec<Step>,
    /// Its name; `violated.safe`, `stale.h`, `failed.plan` as they are.
    pub name: Name,
    /// Where it stands.
    pub span: Span,
}

/// Event patterns (TWINML §6).
#[derive(Clone, Debug)]
pub enum Pattern {
    /// One after another; each with the time within which it follows the one before.
    Sequence(Vec<(EventRef, Option<Expr>)>),
    /// All, in any order, within a time.
    All(Vec<EventRef>, Option<Expr>),
    /// Any of them.
    Any(Vec<EventRef>),
    /// `count(alarm, 3 within 1 min)`
    Count(EventRef, Expr, Option<Expr>),
    /// `absence(beat within 5 s)`
    Absence(EventRef, Expr),
    /// `causal(a -> b within d)`
    Causal(EventRef, EventRef, Option<Expr>),
}

/// A machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its name.
    pub name: Name,
    /// The outermost state to begin in.
    pub initial: Name,
    /// Handlers and transitions written outside the states.
    pub handlers: Vec<Handler>,
    /// Equations that stand outside of the states: hold always.
    pub equations: Vec<super::Equation>,
    /// Outermost states.
    pub states: Vec<State>,
    /// The declaration's name.
    pub span: Span,
}

/// A state of a machine.
#[derive(Clone, Debug)]
pub struct State {
    /// Its name, unique in the machine.
    pub name: Name,
    /// The state in it that is entered with it (the first, where none is named); `None`: it has none.
    pub initial: Option<Name>,
    /// `entry { … }`
    pub entry: Option<Vec<Stmt>>,
    /// `exit { … }`
    pub exit: Option<Vec<Stmt>>,
    /// Handlers and transitions, in declaration order.
    pub handlers: Vec<Handler>,
    /// Equations that hold while it is active.
    pub equations: Vec<super::Equation>,
    /// States in it.
    pub states: Vec<State>,
    /// Its name's place.
    pub span: Span,
}

/// A function of behaviour.
#[derive(Clone, Debug)]
pub struct Func {
    /// Its name.
    pub name: Name,
    /// Arguments.
    pub params: Vec<Param>,
    /// What it does; a lone expression is a `return`.
    pub body: Vec<Stmt>,
    /// Its name's place.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// What it does.
    pub kind: StmtKind,
    /// All of it.
    pub span: Span,
}

/// What a statement does.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// `x = e`
    Assign(Target, Expr),
    /// A call for its effect.
    Expr(Expr),
    /// `if c { … } else if d { … } else { … }`
    If(Vec<(Expr, Vec<Stmt>)>, Vec<Stmt>),
    /// `match e { … }`
    Match(Expr, Vec<Arm>),
    /// `for i in lo..hi if c { … }`
    ForRange(ForRange, Option<Expr>, Vec<Stmt>),
    /// `for x in xs if c { … }`: elements of a list, an array, a set, a queue; pairs of a map (two names)
    ForEach(Vec<LocalId>, Expr, Option<Expr>, Vec<Stmt>),
    /// `while c { … }`
    While(Expr, Vec<Stmt>),
    /// `return e`
    Return(Option<Expr>),
    /// `emit e(a: x, y)`: arguments by name; without a name by the order of the handler's
    Emit(EventRef, Vec<(Option<Name>, Expr)>),
    /// `send inform(level: h) to ctl`, `reply agree`
    Send(Box<Sending>),
    /// `log e`
    Log(Expr),
    /// `after d { … }`
    After(Expr, Vec<Stmt>),
    /// `wait d`
    Wait(Expr),
    /// `wait until(c)`
    WaitUntil(Expr),
    /// `wait for e`
    WaitFor(EventRef),
    /// `create Truck { load = 0 kg } in trucks`: the population, and what is set by path
    Create(Name, Vec<(Vec<Step>, Expr, Span)>),
    /// `retire trucks[i]`
    Retire(Name, Expr),
    /// `retire self`
    RetireSelf,
    /// `fail "reason"`
    Fail(Expr),
    /// `stop "reason"`
    Stop(Option<Expr>),
    /// Something that this version does not run: `publish`, `broadcast`, …
    Later(&'static str),
}

/// A call for proposals.
#[derive(Clone, PartialEq, Debug)]
pub struct Proposals {
    /// Who is asked.
    pub to: Expr,
    /// What for.
    pub task: Expr,
    /// How long is waited, in seconds.
    pub deadline: Expr,
}

/// A message as a statement sends it.
#[derive(Clone, Debug)]
pub struct Sending {
    /// A performative, or an event of the receiver.
    pub message: Name,
    /// Arguments by name; without a name by place.
    pub args: Vec<(Option<Name>, Expr)>,
    /// A twin, or several; `None`: whoever sent the message that it answers.
    pub to: Option<Expr>,
    /// The message that it answers.
    pub answers: Option<LocalId>,
    /// Seconds on the way.
    pub after: Option<Expr>,
    /// The highest of an instant come first.
    pub priority: Option<Expr>,
    /// Seconds after which it is worth nothing any more.
    pub ttl: Option<Expr>,
}

impl Sending {
    /// Calls `f` for every expression directly in it.
    pub fn each_expr<'e>(&'e self, f: &mut dyn FnMut(&'e Expr)) {
        self.args.iter().for_each(|(_, e)| f(e));
        self.to.iter().chain(&self.after).chain(&self.priority).chain(&self.ttl).for_each(f);
    }
}

/// What an assignment sets.
#[derive(Clone, Debug)]
pub enum Target {
    /// A slot: discrete state, undriven input, output with a constant start, continuous state.
    Member(Ref),
    /// A member kept on the heap (text, list, record, optional, memory), or a part of it.
    Heap(Ref, Vec<Part>),
    /// A local, or a part of it.
    Local(LocalId, Vec<Part>),
}

impl Target {
    /// One step further in; `None` where a slot has no parts.
    pub fn push(&mut self, part: Part) -> Option<()> {
        match self {
            Target::Member(_) => return None,
            Target::Heap(_, parts) | Target::Local(_, parts) => parts.push(part),
        }
        Some(())
    }
}

/// A step into a value.
#[derive(Clone, Debug)]
pub enum Part {
    /// `.name`
    Field(Name),
    /// `[e]`
    Index(Expr),
}

/// An arm of a `match`.
#[derive(Clone, Debug)]
pub struct Arm {
    /// What it takes.
    pub pattern: PatternForm,
    /// `when …`
    pub guard: Option<Expr>,
    /// What follows.
    pub body: Vec<Stmt>,
}

/// What an arm takes.
#[derive(Clone, Debug)]
pub enum PatternForm {
    /// `_`
    Any,
    /// Anything, under a name.
    Bind(LocalId),
    /// Equal to a value.
    Equal(Expr),
    /// `lo..hi`, half-open
    Range(Expr, Expr),
    /// `Job { id, weight: 2 kg, .. }`
    Record(RecordId, Vec<(Name, PatternForm)>),
}

/// What only behaviour computes.
#[derive(Clone, PartialEq, Debug)]
pub enum Op {
    /// `none`
    None,
    /// A text with values in it.
    Text(Vec<TextPart>),
    /// A comparison whose operands are judged at run time or are no numbers (texts, enums, optionals, records).
    Compare(CmpOp, Expr, Expr),
    /// Arithmetic or logic on values judged at run time; `+` of texts joins them.
    Binary(super::BinOp, Expr, Expr),
    /// The same with one operand.
    Unary(UnOp, Expr),
    /// A record, fields in the order of the declaration.
    Record(RecordId, Vec<Expr>),
    /// `e.field` of a record, of an optional one, or of a value judged at run time
    Field(Expr, Name),
    /// `[a, b]` of values that are no numbers
    List(Vec<Expr>),
    /// `e[i]` of a list, of a map, or of a value judged at run time
    Element(Expr, Expr),
    /// `receiver.method(args)`; the receiver may be a place that the method changes (memory, local).
    Method(Expr, Name, Vec<Expr>),
    /// `(a, b) -> e`
    Closure(Vec<LocalId>, Expr),
    /// `[body for x in xs if c]`, or its reduction: over a collection
    Each(Rc<Each>),
    /// A member on the heap: memory, or a quantity whose type is no number, truth value or enumeration.
    Heap(Ref),
    /// `mode.filling`: the machine and the state
    Active(Ref, Name),
    /// The name of a machine's active state.
    Machine(Ref),
    /// `count(e)`: how often an event has occurred
    Count(EventRef),
    /// A twin of one's own, or several: `trucks[2]`, `trucks`, `self` (no steps).
    Twin(Ref),
    /// A part of the nearest twin around that has one of this name, or that twin itself, by its class: where a message
    /// goes.
    Address(Ref),
    /// `contract_net(to: trucks, task: job, deadline: 10 s)`: the proposals that came in time
    Proposals(Rc<Proposals>),
    /// `accept(best)`; `false`: `reject(other)`
    Settle(Expr, bool),
    /// `draw(exponential(50 s))`
    Draw(Box<super::Distribution>),
    /// A function of the class's own behaviour.
    Call(Name, Vec<Expr>),
    /// A function that nobody defines: reaching it fails.
    Undefined(Rc<str>),
}

/// A part of a text.
#[derive(Clone, PartialEq, Debug)]
pub enum TextPart {
    /// As it stands.
    Text(Rc<str>),
    /// A value, in the unit people see.
    Value(Expr, DisplayUnit),
}

/// A loop over a collection in an expression.
#[derive(Clone, PartialEq, Debug)]
pub struct Each {
    /// What it gives for one element.
    pub body: Expr,
    /// Names of the element (two for the pairs of a map).
    pub vars: Vec<LocalId>,
    /// The collection.
    pub over: Expr,
    /// Only where this holds.
    pub filter: Option<Expr>,
    /// What is made of all; `None`: a list.
    pub reduction: Option<Reduction>,
}

impl Op {
    /// Calls `f` for every expression directly in it.
    pub fn each_child<'e>(&'e self, f: &mut dyn FnMut(&'e Expr)) {
        match self {
            Op::None | Op::Count(_) | Op::Undefined(_) => {}
            Op::Text(parts) => parts.iter().for_each(|p| {
                if let TextPart::Value(e, _) = p {
                    f(e);
                }
            }),
            Op::Compare(_, a, b) | Op::Binary(_, a, b) | Op::Element(a, b) => {
                f(a);
                f(b);
            }
            Op::Unary(_, e) | Op::Field(e, _) | Op::Closure(_, e) | Op::Settle(e, _) => f(e),
            Op::Proposals(p) => {
                f(&p.to);
                f(&p.task);
                f(&p.deadline);
            }
            Op::Record(_, args) | Op::List(args) | Op::Call(_, args) => args.iter().for_each(f),
            Op::Draw(d) => d.each_arg(f),
            Op::Method(e, _, args) => {
                f(e);
                args.iter().for_each(f);
            }
            Op::Each(each) => {
                f(&each.over);
                each.filter.iter().for_each(&mut *f);
                f(&each.body);
            }
            Op::Heap(r) | Op::Active(r, _) | Op::Machine(r) | Op::Twin(r) | Op::Address(r) => {
                for s in r.steps.iter().flat_map(|s| &s.subscripts) {
                    match s {
                        super::Subscript::Index(e) => f(e),
                        super::Subscript::Slice(lo, hi) => lo.iter().chain(hi).for_each(&mut *f),
                    }
                }
            }
        }
    }
}
