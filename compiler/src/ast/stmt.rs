//! Behaviour: handlers, machines and statements.

use super::{Equation, Expr, Func, GenericArg, Name, Override, Param, Path, Text, TypeExpr};
use crate::source::Span;

/// Statements in braces.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// The statements.
    pub stmts: Vec<Stmt>,
    /// With the braces.
    pub span: Span,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Stmt {
    /// What it does.
    pub kind: StmtKind,
    /// All of it.
    pub span: Span,
}

/// The forms of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum StmtKind {
    /// `x = e`; the target is a path with indices.
    Assign {
        /// The left side.
        target: Expr,
        /// The right side.
        value: Expr,
    },
    /// `x: Length = 3 m`: a local with its type
    Local {
        /// The name.
        name: Name,
        /// The type.
        ty: TypeExpr,
        /// The value.
        value: Expr,
    },
    /// A call for its effect.
    Expr(Expr),
    /// `if c { … } else if d { … } else { … }`
    If {
        /// Conditions and what follows from them, at least one.
        arms: Vec<(Expr, Block)>,
        /// After the last `else`.
        otherwise: Option<Block>,
    },
    /// `match e { "a" -> …; _ -> … }`
    Match {
        /// What is looked at.
        subject: Expr,
        /// The arms.
        arms: Vec<MatchArm>,
    },
    /// `for x in xs { … }`
    For {
        /// The loop's name, more for pairs.
        vars: Vec<Name>,
        /// A range, an array or a collection.
        iter: Expr,
        /// `if …` behind it.
        cond: Option<Expr>,
        /// What is repeated.
        body: Block,
    },
    /// `while c { … }`
    While {
        /// The condition.
        cond: Expr,
        /// What is repeated.
        body: Block,
    },
    /// `return e`
    Return(Option<Expr>),
    /// `emit overflow(level: h)`: a path, or a call of one
    Emit(Expr),
    /// `send`, `broadcast`, `reply`
    Send(Send),
    /// `publish "topic" message`
    Publish {
        /// The topic.
        topic: Expr,
        /// What is published.
        message: Option<Expr>,
    },
    /// `subscribe "topic"`
    Subscribe(Expr),
    /// `log "text"`, also `log("text")`
    Log(Expr),
    /// `after d { … }`
    After {
        /// How long from now.
        delay: Expr,
        /// What happens then.
        body: Block,
    },
    /// `wait 5 s`, `wait until(c)`, `wait for repaired`
    Wait(Wait),
    /// `create Truck { … } in trucks`
    Create {
        /// The twin.
        twin: Path,
        /// What stands in `<…>`.
        args: Vec<GenericArg>,
        /// The overrides.
        overrides: Vec<Override>,
        /// The population.
        into: Option<Expr>,
    },
    /// `retire t`
    Retire(Expr),
    /// `fail "reason"`; in a scenario also `fail op.plan`
    Fail(Expr),
    /// `stop "reason"`
    Stop(Option<Expr>),
    /// `force pump.speed = 0 rpm`: scenarios
    Force {
        /// What is taken over.
        target: Expr,
        /// Its value.
        value: Expr,
    },
    /// `release pump.speed`: scenarios
    Release(Expr),
    /// Something that could not be read.
    Error,
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Send {
    /// How it goes.
    pub kind: SendKind,
    /// `inform(level: h)`: a performative or an event, with or without arguments.
    pub message: Expr,
    /// `to …`
    pub to: Option<Expr>,
    /// `after 20 ms`
    pub after: Option<Expr>,
    /// `priority high`: a name or a number
    pub priority: Option<Expr>,
    /// Further attributes: `conversation: c, ttl: 5 s`
    pub attrs: Vec<super::Attr>,
}

/// How a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendKind {
    /// `send`
    Send,
    /// `broadcast`
    Broadcast,
    /// `reply`
    Reply,
}

/// What a handler waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum Wait {
    /// `wait 5 s`
    Time(Expr),
    /// `wait until(c)`
    Until(Expr),
    /// `wait for repaired`: an event by name
    Event(Expr),
}

/// `Job { id, .. } when id > 3 -> …`
#[derive(Debug, Clone, PartialEq)]
pub struct MatchArm {
    /// The pattern.
    pub pattern: Pattern,
    /// `when …`
    pub guard: Option<Expr>,
    /// What follows; a lone statement is a block of one.
    pub body: Block,
    /// All of it.
    pub span: Span,
}

/// A pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// What it is.
    pub kind: PatternKind,
    /// All of it.
    pub span: Span,
}

/// The forms of a pattern.
#[derive(Debug, Clone, PartialEq)]
pub enum PatternKind {
    /// `_`
    Any,
    /// `"a"`, `3`, `-2 m`, `true`, `none`
    Literal(Expr),
    /// `1..5`, half-open
    Range {
        /// First value, included.
        lo: Expr,
        /// Last value, excluded.
        hi: Expr,
    },
    /// `Rule.free`, or a lone name: an enum's value where there is one, else it binds the value
    Path(Path),
    /// `Job { id, action: "x", .. }`
    Record {
        /// The record.
        path: Path,
        /// The fields that matter.
        fields: Vec<FieldPattern>,
        /// Whether `..` stands at the end.
        rest: bool,
    },
    /// Something that could not be read.
    Error,
}

/// `id`, `action: "x"`
#[derive(Debug, Clone, PartialEq)]
pub struct FieldPattern {
    /// The field.
    pub name: Name,
    /// What it must match; `None` binds the field's name.
    pub pattern: Option<Pattern>,
}

/// An entry of `behavior`.
#[derive(Debug, Clone, PartialEq)]
pub enum BehaviorItem {
    /// `on …`, `every …`, `at …`, `after …`, `when …`
    Handler(Handler),
    /// `func f(…) { … }`
    Func(Func),
    /// `machine mode { … }`
    Machine(Machine),
    /// Something that could not be read.
    Error(Span),
}

/// A handler, or inside a machine a transition (with `target`).
#[derive(Debug, Clone, PartialEq)]
pub struct Handler {
    /// Doc comment.
    pub doc: Option<Text>,
    /// What it answers to.
    pub trigger: Trigger,
    /// `from sender`: binds the sender's name
    pub from: Option<Name>,
    /// Whether `queued` stands there.
    pub is_queued: bool,
    /// `-> idle`: the state to go to
    pub target: Option<Path>,
    /// `when pump.ok`
    pub guard: Option<Expr>,
    /// What it does; always there without a target.
    pub body: Option<Block>,
    /// All of it.
    pub span: Span,
    /// All but the body.
    pub head: Span,
}

/// What a handler answers to.
#[derive(Debug, Clone, PartialEq)]
pub enum Trigger {
    /// `on start`
    Start,
    /// `on stop`
    Stop,
    /// `on rising(c)`, `on falling(c)`, `on change(x)`
    Edge {
        /// Which one.
        kind: EdgeKind,
        /// The condition or, for `change`, any value.
        expr: Expr,
    },
    /// `every 100 ms offset 5 ms`
    Every {
        /// The period.
        period: Expr,
        /// The shift.
        offset: Option<Expr>,
    },
    /// `at 30 min`
    At(Expr),
    /// `after 5 s in filling`
    After {
        /// The time since.
        delay: Expr,
        /// The machine state it counts in; inside a state it counts in that one.
        state: Option<Path>,
    },
    /// `when c -> s`
    When(Expr),
    /// `on request(job: Job)`, `on pump.overflow(level: Length)`, `on hired`
    Event {
        /// The event, with the path to who emits it.
        event: Expr,
        /// Its arguments by name; `None` without parentheses.
        params: Option<Vec<Param>>,
    },
    /// `on sequence(overheat, shutdown within 5 s)` and its kin
    Pattern {
        /// Which one.
        kind: EventPatternKind,
        /// Events, numbers and places; `Within` and `LeadsTo` occur here.
        args: Vec<Expr>,
    },
    /// Something that could not be read.
    Error,
}

/// Which way a condition goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EdgeKind {
    /// From false to true.
    Rising,
    /// From true to false.
    Falling,
    /// Any change of the value.
    Change,
}

/// Event patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventPatternKind {
    /// `sequence`
    Sequence,
    /// `all`
    All,
    /// `any`
    Any,
    /// `count`
    Count,
    /// `absence`
    Absence,
    /// `causal`
    Causal,
    /// `near`
    Near,
    /// `inside`
    Inside,
}

impl EventPatternKind {
    /// The kind of a word.
    pub fn from_word(word: &str) -> Option<EventPatternKind> {
        Some(match word {
            "sequence" => EventPatternKind::Sequence,
            "all" => EventPatternKind::All,
            "any" => EventPatternKind::Any,
            "count" => EventPatternKind::Count,
            "absence" => EventPatternKind::Absence,
            "causal" => EventPatternKind::Causal,
            "near" => EventPatternKind::Near,
            "inside" => EventPatternKind::Inside,
            _ => return None,
        })
    }

    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            EventPatternKind::Sequence => "sequence",
            EventPatternKind::All => "all",
            EventPatternKind::Any => "any",
            EventPatternKind::Count => "count",
            EventPatternKind::Absence => "absence",
            EventPatternKind::Causal => "causal",
            EventPatternKind::Near => "near",
            EventPatternKind::Inside => "inside",
        }
    }
}

/// `machine mode { … }`
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The name, which is also the path to its states: `mode.filling`.
    pub name: Name,
    /// States, transitions from every state, and the initial state.
    pub items: Vec<MachineItem>,
    /// All of it.
    pub span: Span,
}

/// What stands in a machine or in one of its states.
#[derive(Debug, Clone, PartialEq)]
pub enum MachineItem {
    /// `initial idle`
    Initial(Name),
    /// `state filling { … }`
    State(StateDecl),
    /// `entry { … }`
    Entry(Block),
    /// `exit { … }`
    Exit(Block),
    /// `on …`, `after …`, `when …`, `every …`: a transition, or a handler of that state
    Handler(Handler),
    /// `u = 1`: holds while the state is active
    Equation(Equation),
    /// Something that could not be read.
    Error(Span),
}

/// `state filling { … }`
#[derive(Debug, Clone, PartialEq)]
pub struct StateDecl {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The name.
    pub name: Name,
    /// What stands in it; states nest.
    pub items: Vec<MachineItem>,
    /// All of it.
    pub span: Span,
}
