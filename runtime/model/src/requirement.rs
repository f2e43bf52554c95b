//! Requirements of one run as plain data: formulas of signal temporal logic over hidden quantities.
//!
//! A formula speaks of atoms. Each atom is a family of slots of `Var` that the kernel `outputs` writes: the signed
//! margin of a comparison (positive where it holds), or a truth value. What is required of an array of twins is one
//! requirement with several elements.

use crate::schema::DisplayUnit;

/// A formula over atoms, numbered as in [`Judged::atoms`]. Windows are in seconds, both ends belong to them.
#[derive(Clone, PartialEq, Debug)]
pub enum Formula {
    /// Holds, or does not.
    Const(bool),
    /// An atom.
    Atom(usize),
    /// `not f`
    Not(Box<Formula>),
    /// All of them.
    And(Vec<Formula>),
    /// One of them at least.
    Or(Vec<Formula>),
    /// `always`, `eventually`, `historically`, `once`.
    Windowed {
        /// Whether every instant of the window must satisfy the formula, or one.
        every: bool,
        /// Whether the window lies behind.
        past: bool,
        /// `[from, to]`; none: all of the run.
        window: Option<(f64, f64)>,
        /// What is said of these instants.
        formula: Box<Formula>,
    },
    /// `left until right`, `left since right`.
    Until {
        /// `since`.
        past: bool,
        /// When `right` must hold; none: some time.
        window: Option<(f64, f64)>,
        /// What holds all the while.
        left: Box<Formula>,
        /// What ends it.
        right: Box<Formula>,
    },
}

/// What the slots of an atom hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtomKind {
    /// A margin; `strict`: where it is 0 the comparison does not hold.
    Margin {
        /// `<`, `>`, `!=`
        strict: bool,
    },
    /// 0 or 1.
    Truth,
}

/// A signal that formulas speak of.
#[derive(Clone, PartialEq, Debug)]
pub struct Atom {
    /// First slot of `Var`.
    pub slot: u32,
    /// Slots.
    pub len: u32,
    /// What they hold.
    pub kind: AtomKind,
    /// The margin is divided by it.
    pub scale: f64,
    /// Whether it says something about the run as a whole: it is computed once, where the run has ended, and holds
    /// all the time.
    pub late: bool,
    /// Of a comparison: the quantity that is compared, where one of its sides is one.
    pub side: Option<Side>,
}

/// A side of a comparison that is a quantity of its own: with the margin it tells where the limit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Side {
    /// The variable's number in the schema.
    pub var: u32,
    /// Whether it is the side that must be the greater one, so that the limit is the quantity less the margin; else
    /// the limit is the quantity and the margin together.
    pub greater: bool,
}

impl Atom {
    /// Which of its slots belongs to element `k` of `n`.
    #[must_use]
    pub fn element(&self, k: u32, n: u32) -> usize {
        (u64::from(k) * u64::from(self.len) / u64::from(n.max(1))) as usize
    }
}

/// What an aggregate makes of a quantity or of a truth value over a window of the run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Measure {
    /// Mean over time; of a truth value: the share of time in which it holds.
    Mean,
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
    /// Standard deviation over time.
    Sd,
    /// Integral over time; of a truth value: how long it holds.
    Integral,
    /// Rising edges of a truth value.
    Count,
    /// The share of time in which a truth value holds.
    Fraction,
    /// Value where the window begins.
    First,
    /// Value where it ends.
    Last,
    /// The value below which the quantity is for this share of time.
    Quantile(f64),
    /// When a truth value held first, since the start of the run; infinite where it never did.
    FirstTime,
}

/// An aggregate: a measure of each element of a quantity, which the engine leaves in slots of `Input` where a run
/// has ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Aggregate {
    /// What is measured.
    pub measure: Measure,
    /// Of which part of the run, in seconds since its start; none: all of it.
    pub window: Option<(f64, f64)>,
    /// A truth value, over the atoms; none: the value of the only atom is a number.
    pub truth: Option<Formula>,
    /// What is looked at; element `k` of an atom of `size` slots is slot `k·size/len`.
    pub atoms: Vec<Atom>,
    /// First slot of `Input`.
    pub slot: u32,
    /// Elements.
    pub len: u32,
}

/// Which way an objective goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    /// The less the better.
    Minimize,
    /// The more the better.
    Maximize,
}

/// A figure that a run is reported with: slots of `Var`, computed where the run has ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Kpi {
    /// Its path: `tanks[*].energy`.
    pub path: String,
    /// First slot of `Var`.
    pub slot: u32,
    /// Elements.
    pub len: u32,
    /// Whether it is a number of things.
    pub whole: bool,
    /// The unit people see.
    pub unit: DisplayUnit,
    /// `minimize`, `maximize`
    pub goal: Option<Goal>,
}

/// `with probability >= 0.99 confidence 0.95`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Claim {
    /// `>=`; else `<=`.
    pub at_least: bool,
    /// The probability that a run satisfies the formula.
    pub probability: f64,
    /// The confidence asked for.
    pub confidence: f64,
}

/// The confidence of a claim that names none.
pub const CONFIDENCE: f64 = 0.95;

/// A requirement that can be judged on one run.
#[derive(Clone, PartialEq, Debug)]
pub struct Judged {
    /// The formula.
    pub formula: Formula,
    /// Its atoms.
    pub atoms: Vec<Atom>,
    /// Over how many elements of arrays it is said: element `k` of an atom of `len` slots is slot `k·len/elements`.
    pub elements: u32,
    /// Unit of the robustness as people see it: symbol, and SI value of one; no symbol where it has none.
    pub unit: (String, f64),
    /// A claim about many runs, of which one is no proof.
    pub claim: Option<Claim>,
    /// Whether the scenario expects it to be violated: `expect not safe`.
    pub refuted: bool,
}
