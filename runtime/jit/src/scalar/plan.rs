//! Cuts a large kernel into pieces, each compiled as a function of its own, so that the time to compile
//! is linear in the kernel's size.
//!
//! A piece is a run of statements of one region. What stays behind, the loops and branches around pieces
//! and the calls of them, is the root. A value made in one piece and used in another crosses in a word of
//! scratch space; constants are made anew where they are used.

use std::ops::Range;
use twinml_model::ids::{Index, Value};
use twinml_model::ir::{Kernel, Op, Region, Stmt};

/// Number of a piece; 0 is the root.
pub(crate) type PieceId = u32;

/// How one region is cut; empty where it is not.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    /// In order, covering the region.
    pub segments: Vec<Segment>,
}

/// A part of a region.
#[derive(Debug)]
pub(crate) enum Segment {
    /// Statements that the root calls as a function.
    Piece(PieceId, Range<usize>),
    /// A loop or branch that the root runs; the cuts of its regions.
    Inside(usize, Vec<Cuts>),
}

/// The cuts of a kernel.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Those of its body.
    pub cuts: Cuts,
    /// Number of pieces, numbered from 1.
    pub pieces: u32,
    /// The scratch word of each value that crosses pieces.
    pub value_word: Vec<Option<u32>>,
    /// The scratch word of each loop index that pieces see from outside.
    pub index_word: Vec<Option<u32>>,
    /// Scratch words in all.
    pub words: usize,
}

/// Cost of a value's code, in operations.
pub(crate) fn weight(op: &Op) -> usize {
    match op {
        Op::ConstF(_) | Op::ConstI(_) | Op::ConstB(_) | Op::Carry | Op::Result | Op::Arg(_) => 0,
        Op::LoadAt { .. } | Op::Math(..) | Op::Call(..) | Op::Table { .. } | Op::Delay { .. } => 4,
        _ => 1,
    }
}

/// Cost of a statement's code, in operations.
pub(crate) fn stmt_weight(kernel: &Kernel, stmt: &Stmt) -> usize {
    match stmt {
        Stmt::Eval(v) => kernel.values.get(v.index()).map_or(0, |d| weight(&d.op)),
        Stmt::Store { .. } => 1,
        Stmt::For(l) => 4 + 2 * l.carries.len() + region_weight(kernel, &l.body),
        Stmt::If(i) => 2 + region_weight(kernel, &i.then) + region_weight(kernel, &i.otherwise),
        Stmt::Solve(_) | Stmt::SolveTangent(_) => 4,
    }
}

/// Cost of a region's code, in operations.
pub(crate) fn region_weight(kernel: &Kernel, region: &Region) -> usize {
    region.iter().map(|s| stmt_weight(kernel, s)).sum()
}

/// Cuts a kernel into pieces of about `limit` operations; `None` where it is no larger than that.
pub(crate) fn plan(kernel: &Kernel, limit: usize) -> Option<Plan> {
    if region_weight(kernel, &kernel.body) <= limit {
        return None;
    }
    let mut pieces = 0;
    let cuts = cut(kernel, &kernel.body, limit, &mut pieces);
    let mut walk = Walk {
        kernel,
        home: vec![u32::MAX; kernel.values.len()],
        index_home: vec![u32::MAX; kernel.indices as usize],
        plan: Plan {
            cuts: Cuts::default(),
            pieces,
            value_word: vec![None; kernel.values.len()],
            index_word: vec![None; kernel.indices as usize],
            words: 0,
        },
    };
    walk.cut_region(&kernel.body, &cuts);
    let mut plan = walk.plan;
    plan.cuts = cuts;
    Some(plan)
}

fn cut(kernel: &Kernel, region: &Region, limit: usize, pieces: &mut u32) -> Cuts {
    let mut segments = Vec::new();
    let (mut from, mut sum) = (0, 0);
    let close = |segments: &mut Vec<Segment>, from: usize, to: usize, pieces: &mut u32| {
        if from < to {
            *pieces += 1;
            segments.push(Segment::Piece(*pieces, from..to));
        }
    };
    for (k, stmt) in region.iter().enumerate() {
        let w = stmt_weight(kernel, stmt);
        if w > limit {
            close(&mut segments, from, k, pieces);
            let inner = match stmt {
                Stmt::For(l) => vec![cut(kernel, &l.body, limit, pieces)],
                Stmt::If(i) => {
                    vec![cut(kernel, &i.then, limit, pieces), cut(kernel, &i.otherwise, limit, pieces)]
                }
                // No other statement weighs more than a few operations.
                _ => Vec::new(),
            };
            segments.push(Segment::Inside(k, inner));
            (from, sum) = (k + 1, 0);
            continue;
        }
        if sum + w > limit {
            close(&mut segments, from, k, pieces);
            (from, sum) = (k, 0);
        }
        sum += w;
    }
    close(&mut segments, from, region.len(), pieces);
    Cuts { segments }
}

struct Walk<'a> {
    kernel: &'a Kernel,
    home: Vec<PieceId>,
    index_home: Vec<PieceId>,
    plan: Plan,
}

impl Walk<'_> {
    fn define(&mut self, v: Value, piece: PieceId) {
        if let Some(home) = self.home.get_mut(v.index()) {
            *home = piece;
        }
    }

    fn use_value(&mut self, v: Value, piece: PieceId) {
        let Some(data) = self.kernel.values.get(v.index()) else { return };
        if matches!(data.op, Op::ConstF(_) | Op::ConstI(_) | Op::ConstB(_)) {
            return;
        }
        if self.home[v.index()] != piece && self.plan.value_word[v.index()].is_none() {
            self.plan.value_word[v.index()] = Some(self.plan.words as u32);
            self.plan.words += 1;
        }
    }

    fn use_index(&mut self, i: Index, piece: PieceId) {
        let Some(&home) = self.index_home.get(i.index()) else { return };
        if home != piece && self.plan.index_word[i.index()].is_none() {
            self.plan.index_word[i.index()] = Some(self.plan.words as u32);
            self.plan.words += 1;
        }
    }

    fn cut_region(&mut self, region: &Region, cuts: &Cuts) {
        for segment in &cuts.segments {
            match segment {
                Segment::Piece(id, range) => self.region(&region[range.clone()], *id),
                Segment::Inside(k, inner) => match &region[*k] {
                    Stmt::For(l) => {
                        for c in &l.carries {
                            self.use_value(c.init, 0);
                            self.define(c.var, 0);
                        }
                        if let Some(home) = self.index_home.get_mut(l.index.index()) {
                            *home = 0;
                        }
                        self.cut_region(&l.body, &inner[0]);
                        for c in &l.carries {
                            self.use_value(c.next, 0);
                            self.define(c.result, 0);
                        }
                    }
                    Stmt::If(i) => {
                        self.use_value(i.cond, 0);
                        self.cut_region(&i.then, &inner[0]);
                        self.cut_region(&i.otherwise, &inner[1]);
                        for &(result, a, b) in &i.results {
                            self.use_value(a, 0);
                            self.use_value(b, 0);
                            self.define(result, 0);
                        }
                    }
                    other => self.region(std::slice::from_ref(other), 0),
                },
            }
        }
    }

    fn region(&mut self, region: &[Stmt], piece: PieceId) {
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => {
                    if let Some(data) = self.kernel.values.get(v.index()) {
                        each_operand(&data.op, |w| self.use_value(w, piece));
                        each_index(&data.op, |i| self.use_index(i, piece));
                    }
                    self.define(*v, piece);
                }
                Stmt::Store { place, value, .. } => {
                    self.use_value(*value, piece);
                    for &(i, _) in &place.at.terms {
                        self.use_index(i, piece);
                    }
                }
                Stmt::For(l) => {
                    for c in &l.carries {
                        self.use_value(c.init, piece);
                        self.define(c.var, piece);
                    }
                    if let Some(home) = self.index_home.get_mut(l.index.index()) {
                        *home = piece;
                    }
                    self.region(&l.body, piece);
                    for c in &l.carries {
                        self.use_value(c.next, piece);
                        self.define(c.result, piece);
                    }
                }
                Stmt::If(i) => {
                    self.use_value(i.cond, piece);
                    self.region(&i.then, piece);
                    self.region(&i.otherwise, piece);
                    for &(result, a, b) in &i.results {
                        self.use_value(a, piece);
                        self.use_value(b, piece);
                        self.define(result, piece);
                    }
                }
                Stmt::Solve(_) | Stmt::SolveTangent(_) => {}
            }
        }
    }
}

/// Calls `f` with each value that an operation reads.
pub(crate) fn each_operand(op: &Op, mut f: impl FnMut(Value)) {
    match op {
        Op::ConstF(_)
        | Op::ConstI(_)
        | Op::ConstB(_)
        | Op::Load(_)
        | Op::IndexI(_)
        | Op::IndexF(_)
        | Op::Arg(_)
        | Op::Carry
        | Op::Result => {}
        Op::LoadAt { at, .. } => f(*at),
        Op::Un(_, a)
        | Op::Not(a)
        | Op::BoolToF(a)
        | Op::FToBool(a)
        | Op::FToI(a)
        | Op::IToF(a)
        | Op::BitsToF(a)
        | Op::FToBits(a) => f(*a),
        Op::Bin(_, a, b) | Op::Cmp(_, a, b) | Op::CmpI(_, a, b) | Op::BoolBin(_, a, b) | Op::Int(_, a, b) => {
            f(*a);
            f(*b);
        }
        Op::Fma(a, b, c) | Op::Select(a, b, c) => {
            f(*a);
            f(*b);
            f(*c);
        }
        Op::Math(_, args) | Op::Call(_, args) => args.iter().copied().for_each(f),
        Op::Table { x, .. } => f(*x),
        Op::Delay { tau, .. } => f(*tau),
    }
}

/// Calls `f` with each loop index that an operation reads.
pub(crate) fn each_index(op: &Op, mut f: impl FnMut(Index)) {
    let at = match op {
        Op::Load(place) | Op::LoadAt { place, .. } | Op::Delay { place, .. } => &place.at,
        Op::IndexI(at) | Op::IndexF(at) => at,
        _ => return,
    };
    at.terms.iter().for_each(|&(i, _)| f(i));
}
