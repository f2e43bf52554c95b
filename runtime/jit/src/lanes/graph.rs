//! A kernel as a graph of vector operations without control flow.
//!
//! Nodes are what one instruction (or a few) does to every lane; equal nodes are one node, operations on constants
//! are done here. What a node means for one lane, `meaning` says.

use super::meaning::value;
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use twinml_model::ir::CmpOp;

/// A node of a graph, by number; operands have lower numbers.
pub(super) type Id = u32;

/// The first node of every graph; no operand.
pub(super) const NOTHING: Id = 0;

pub(super) const SIGN: u64 = 1 << 63;

/// Arithmetic of two numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Arith2 {
    Add,
    Sub,
    Mul,
    Div,
    /// The lesser; the second operand where they are equal or unordered.
    Min,
    /// The greater; the second operand where they are equal or unordered.
    Max,
}

/// Operations on 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Bits2 {
    And,
    Or,
    Xor,
    Add,
    Sub,
    /// Low half of the product (AVX-512 only).
    Mul,
    /// Product of the low 32 bits of each.
    MulLow,
    /// Shifts by less than 64.
    Shl,
    Shr,
    /// AVX-512 only.
    Sar,
}

/// Shifts by a constant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Shift {
    Left,
    Right,
    /// With the sign (AVX-512 only).
    Signed,
}

/// Operations on truth values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Mask2 {
    And,
    Or,
    Xor,
}

/// One operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Node {
    /// 64 bits, the same in all lanes.
    Const(u64),
    /// A truth value, the same in all lanes; no operand of any node.
    ConstB(bool),
    /// What a slot holds before the kernel runs.
    Load(u32),
    /// An argument of a slow path.
    Input(u32),
    /// A value again, in a place of its own.
    Copy(Id),
    Arith(Arith2, Id, Id),
    /// `±a·b ± c`, rounded once: product and addend negated or not.
    Fma {
        a: Id,
        b: Id,
        c: Id,
        minus_product: bool,
        minus_c: bool,
    },
    Sqrt(Id),
    /// To an integral value: 0 nearest even, 1 down, 2 up, 3 towards zero.
    Round(u8, Id),
    Bits(Bits2, Id, Id),
    Shift(Shift, Id, u8),
    /// Comparison of numbers.
    Cmp(CmpOp, Id, Id),
    /// Comparison of integers (AVX2: equality and "greater" only).
    CmpI(CmpOp, Id, Id),
    /// Whether two share a set bit (AVX-512 only).
    Test(Id, Id),
    Mask(Mask2, Id, Id),
    Not(Id),
    /// `if c then a else b`.
    Select(Id, Id, Id),
    /// Number to integer, towards zero; −2⁶³ where there is none (AVX-512 only).
    ToInt(Id),
    /// Integer to number (AVX-512 only).
    ToFloat(Id),
    /// Entry of [`Graph::slow`].
    Slow(u32),
    /// Where the code without slow paths finds out whether it serves (see `guard`).
    Guard,
}

/// Where lanes leave the straight line: a piece of scalar code.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Slow {
    /// The lanes that do; none: all.
    pub cond: Option<Id>,
    /// The value of the others.
    pub usual: Option<Id>,
    /// The code, in [`Graph::subs`].
    pub sub: u32,
    /// What it reads.
    pub args: Vec<Id>,
}

/// Scalar code: the last node is the result.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Sub {
    pub nodes: Vec<Node>,
}

/// What the instruction set offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    Avx2,
    Avx512,
}

/// Where a node stands among those with the same last operand.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// The latest of its own users.
    user: Id,
    /// The one before it in its operand's list.
    next: Id,
}

const NOBODY: Id = Id::MAX;
const ALONE: Link = Link { user: NOBODY, next: NOBODY };
/// Most users in a list; more go into the table.
const CHAIN: usize = 6;

/// Nodes under construction.
#[derive(Debug)]
pub(super) struct Graph {
    pub target: Target,
    pub nodes: Vec<Node>,
    /// Of each node, as [`Node::triple`] gives them: passes read them without asking what the node is.
    pub operands: Vec<[Id; 3]>,
    pub slow: Vec<Slow>,
    pub subs: Vec<Sub>,
    /// Choices between values of which one is the usual: `(choice, lanes that take the other, the usual one)`, in order.
    pub seldom: Vec<(Id, Id, Id)>,
    /// For each node, who uses it as the last of its operands: found there, equal nodes need no hash, and what was
    /// made lately is at hand.
    links: Vec<Link>,
    constants: FxHashMap<u64, Id>,
    /// Where the next constant goes, and the first place that is none for constants: they stand together, in front, so that
    /// many uses of them find them near.
    shelf: (Id, Id),
    /// Other nodes without operands, and those that found their last operand with [`CHAIN`] users.
    known: FxHashMap<Node, Id>,
    known_subs: FxHashMap<Sub, u32>,
    known_slow: FxHashMap<Slow, Id>,
    /// Lanes in which what is being built matters; none: all.
    pub path: Option<Id>,
    /// First node of the slow path that is being built.
    inside: Option<Id>,
}

impl Node {
    /// The operands, filled up with [`NOTHING`]; none of slow paths.
    #[inline(always)]
    pub fn triple(self) -> [Id; 3] {
        match self {
            Node::Const(_)
            | Node::ConstB(_)
            | Node::Load(_)
            | Node::Input(_)
            | Node::Slow(_)
            | Node::Guard => [NOTHING; 3],
            Node::Copy(a)
            | Node::Sqrt(a)
            | Node::Round(_, a)
            | Node::Shift(_, a, _)
            | Node::Not(a)
            | Node::ToInt(a)
            | Node::ToFloat(a) => [a, NOTHING, NOTHING],
            Node::Arith(_, a, b)
            | Node::Bits(_, a, b)
            | Node::Cmp(_, a, b)
            | Node::CmpI(_, a, b)
            | Node::Test(a, b)
            | Node::Mask(_, a, b) => [a, b, NOTHING],
            Node::Fma { a, b, c, .. } | Node::Select(a, b, c) => [a, b, c],
        }
    }

    /// With other operands.
    pub fn map(mut self, mut f: impl FnMut(Id) -> Id) -> Node {
        match &mut self {
            Node::Const(_)
            | Node::ConstB(_)
            | Node::Load(_)
            | Node::Input(_)
            | Node::Slow(_)
            | Node::Guard => {}
            Node::Copy(a)
            | Node::Sqrt(a)
            | Node::Round(_, a)
            | Node::Shift(_, a, _)
            | Node::Not(a)
            | Node::ToInt(a)
            | Node::ToFloat(a) => *a = f(*a),
            Node::Arith(_, a, b)
            | Node::Bits(_, a, b)
            | Node::Cmp(_, a, b)
            | Node::CmpI(_, a, b)
            | Node::Test(a, b)
            | Node::Mask(_, a, b) => {
                *a = f(*a);
                *b = f(*b);
            }
            Node::Fma { a, b, c, .. } | Node::Select(a, b, c) => {
                *a = f(*a);
                *b = f(*b);
                *c = f(*c);
            }
        }
        self
    }

    /// Whether it is a truth value.
    pub fn is_mask(&self) -> bool {
        matches!(
            self,
            Node::ConstB(_) | Node::Cmp(..) | Node::CmpI(..) | Node::Test(..) | Node::Mask(..) | Node::Not(_)
        )
    }
}

#[inline(always)]
fn highest([a, b, c]: [Id; 3]) -> Id {
    a.max(b).max(c)
}

/// 1.0, as bits.
const ONE: u64 = 0x3ff0_0000_0000_0000;

/// The reciprocal of a power of two: multiplying by it gives the quotient, to the bit.
fn reciprocal(c: u64) -> Option<u64> {
    let exponent = c >> 52 & 0x7ff;
    (c << 12 == 0 && (2..=2044).contains(&exponent)).then(|| c & SIGN | (2046 - exponent) << 52)
}

impl Graph {
    /// An empty one, with room for so many nodes.
    pub fn new(target: Target, room: usize) -> Self {
        let shelf = room / 8 + 32;
        let mut nodes = Vec::with_capacity(room + shelf);
        nodes.resize(shelf, Node::ConstB(false));
        let mut operands = Vec::with_capacity(room + shelf);
        operands.resize(shelf, [NOTHING; 3]);
        Self {
            target,
            nodes,
            operands,
            slow: Vec::new(),
            subs: Vec::new(),
            seldom: Vec::new(),
            links: Vec::with_capacity(room + shelf),
            constants: FxHashMap::default(),
            shelf: (NOTHING + 1, shelf as Id),
            known: FxHashMap::default(),
            known_subs: FxHashMap::default(),
            known_slow: FxHashMap::default(),
            path: None,
            inside: None,
        }
    }

    /// Appends a node that nobody looks for.
    pub fn append(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        self.operands.push(node.triple());
        self.nodes.len() as Id - 1
    }

    /// All nodes with other operands.
    pub fn remap(&mut self, f: impl Fn(Id) -> Id) {
        for (node, operands) in self.nodes.iter_mut().zip(&mut self.operands) {
            *node = node.map(&f);
            *operands = node.triple();
        }
    }

    /// A node with these operands, as it stands.
    fn raw(&mut self, node: Node, operands: [Id; 3]) -> Id {
        // nodes that are never looked for have been added
        self.links.resize(self.nodes.len(), ALONE);
        let id = self.nodes.len() as Id;
        let mut link = ALONE;
        let mut listed = false;
        let last = highest(operands);
        if last != NOTHING {
            let mut at = self.links[last as usize].user;
            let mut steps = 0;
            while at != NOBODY {
                if self.operands[at as usize] == operands && self.nodes[at as usize] == node {
                    return at;
                }
                at = self.links[at as usize].next;
                steps += 1;
            }
            listed = steps < CHAIN;
            if listed {
                link.next = std::mem::replace(&mut self.links[last as usize].user, id);
            }
        }
        if !listed {
            match self.known.entry(node) {
                Entry::Occupied(known) => return *known.get(),
                Entry::Vacant(free) => free.insert(id),
            };
        }
        self.nodes.push(node);
        self.operands.push(operands);
        self.links.push(link);
        id
    }

    /// Forgets the nodes from `start` on.
    fn forget(&mut self, start: Id) {
        self.links.resize(self.nodes.len(), ALONE);
        while self.nodes.len() as Id > start {
            let (Some(node), Some(operands)) = (self.nodes.pop(), self.operands.pop()) else { break };
            let (id, link) = (self.nodes.len() as Id, self.links.pop().unwrap_or(ALONE));
            let last = highest(operands);
            if last != NOTHING && self.links[last as usize].user == id {
                self.links[last as usize].user = link.next;
            } else if self.known.get(&node) == Some(&id) {
                self.known.remove(&node);
            }
        }
    }

    /// No more nodes will be looked for: what served that is given back.
    pub fn settle(&mut self) {
        self.links = Vec::new();
        self.constants = FxHashMap::default();
        self.known = FxHashMap::default();
        self.known_subs = FxHashMap::default();
        self.known_slow = FxHashMap::default();
    }

    /// The nodes as they are, where none is looked for any more.
    pub fn frozen(&self) -> Graph {
        Graph {
            target: self.target,
            nodes: self.nodes.clone(),
            operands: self.operands.clone(),
            slow: self.slow.clone(),
            subs: Vec::new(),
            seldom: Vec::new(),
            links: Vec::new(),
            constants: FxHashMap::default(),
            shelf: (0, 0),
            known: FxHashMap::default(),
            known_subs: FxHashMap::default(),
            known_slow: FxHashMap::default(),
            path: None,
            inside: None,
        }
    }

    /// A node, computed now if its operands are constants.
    #[inline(always)]
    pub fn node(&mut self, node: Node) -> Id {
        let operands = node.triple();
        let is_constant = |a: Id| matches!(self.nodes[a as usize], Node::Const(_) | Node::ConstB(_));
        // nothing counts as a constant
        if operands[0] != NOTHING && is_constant(highest(operands)) && operands.into_iter().all(is_constant) {
            return self.folded(node);
        }
        self.raw(node, operands)
    }

    /// What a node with constant operands gives.
    fn folded(&mut self, node: Node) -> Id {
        let v = value(&node, |id| match self.nodes[id as usize] {
            Node::Const(c) => c,
            Node::ConstB(c) => u64::from(c),
            _ => 0,
        });
        if node.is_mask() { self.truth(v != 0) } else { self.bits(v) }
    }

    /// An entry of its own.
    pub fn copy(&mut self, a: Id) -> Id {
        self.raw(Node::Copy(a), [a, NOTHING, NOTHING])
    }

    pub fn bits(&mut self, c: u64) -> Id {
        if self.inside.is_some() {
            // a slow path has its own, so that equal ones are equal wherever they stand
            return self.append(Node::Const(c));
        }
        let (free, end) = self.shelf;
        let next = if free < end { free } else { self.nodes.len() as Id };
        let id = *self.constants.entry(c).or_insert(next);
        if id == next && free < end {
            self.nodes[id as usize] = Node::Const(c);
            self.shelf.0 += 1;
        } else if id == next {
            self.append(Node::Const(c));
        }
        id
    }

    pub fn number(&mut self, c: f64) -> Id {
        self.bits(c.to_bits())
    }

    pub fn truth(&mut self, c: bool) -> Id {
        if self.inside.is_some() {
            return self.append(Node::ConstB(c));
        }
        self.raw(Node::ConstB(c), [NOTHING; 3])
    }

    pub fn constant(&self, id: Id) -> Option<u64> {
        match self.nodes[id as usize] {
            Node::Const(c) => Some(c),
            _ => None,
        }
    }

    fn truth_of(&self, id: Id) -> Option<bool> {
        match self.nodes[id as usize] {
            Node::ConstB(c) => Some(c),
            _ => None,
        }
    }

    /// `x` if the node is `−x`.
    pub fn negated(&self, id: Id) -> Option<Id> {
        match self.nodes[id as usize] {
            Node::Bits(Bits2::Xor, a, s) if self.constant(s) == Some(SIGN) => Some(a),
            _ => None,
        }
    }

    pub fn neg(&mut self, a: Id) -> Id {
        let s = self.bits(SIGN);
        self.bits2(Bits2::Xor, a, s)
    }

    pub fn arith(&mut self, op: Arith2, a: Id, b: Id) -> Id {
        let (na, nb) = (self.negated(a), self.negated(b));
        match (op, na, nb) {
            (Arith2::Add, _, Some(b)) => self.node(Node::Arith(Arith2::Sub, a, b)),
            (Arith2::Add, Some(a), None) => self.node(Node::Arith(Arith2::Sub, b, a)),
            (Arith2::Sub, _, Some(b)) => self.arith(Arith2::Add, a, b),
            (Arith2::Mul | Arith2::Div, ..) if na.is_some() || nb.is_some() => {
                let r = self.arith(op, na.unwrap_or(a), nb.unwrap_or(b));
                if na.is_some() == nb.is_some() { r } else { self.neg(r) }
            }
            (Arith2::Mul, ..) if self.constant(a) == Some(ONE) => b,
            (Arith2::Mul | Arith2::Div, ..) if self.constant(b) == Some(ONE) => a,
            (Arith2::Div, ..) if self.constant(b).and_then(reciprocal).is_some() => {
                let r = self.constant(b).and_then(reciprocal).unwrap_or(ONE);
                let r = self.bits(r);
                self.arith(Arith2::Mul, a, r)
            }
            (Arith2::Add | Arith2::Mul, ..) if a > b => self.node(Node::Arith(op, b, a)),
            _ => self.node(Node::Arith(op, a, b)),
        }
    }

    pub fn fma(&mut self, a: Id, b: Id, c: Id) -> Id {
        let (na, nb, nc) = (self.negated(a), self.negated(b), self.negated(c));
        let minus_product = na.is_some() != nb.is_some();
        let (a, b, c) = (na.unwrap_or(a), nb.unwrap_or(b), nc.unwrap_or(c));
        if let Some(x) = [(a, b), (b, a)].into_iter().find(|p| self.constant(p.0) == Some(ONE)).map(|p| p.1) {
            // one rounding either way
            let x = if minus_product { self.neg(x) } else { x };
            return self.arith(if nc.is_some() { Arith2::Sub } else { Arith2::Add }, x, c);
        }
        self.node(Node::Fma { a: a.min(b), b: a.max(b), c, minus_product, minus_c: nc.is_some() })
    }

    pub fn bits2(&mut self, op: Bits2, a: Id, b: Id) -> Id {
        let (mut a, mut b) = (a, b);
        let commutes =
            matches!(op, Bits2::And | Bits2::Or | Bits2::Xor | Bits2::Add | Bits2::Mul | Bits2::MulLow);
        if commutes && self.constant(a).is_some() {
            std::mem::swap(&mut a, &mut b);
        }
        match (op, self.constant(b)) {
            (Bits2::Xor | Bits2::Or | Bits2::Add | Bits2::Sub, Some(0)) => return a,
            (Bits2::And, Some(u64::MAX)) => return a,
            (Bits2::Shl, Some(n)) => return self.shift(Shift::Left, a, n),
            (Bits2::Shr, Some(n)) => return self.shift(Shift::Right, a, n),
            (Bits2::Sar, Some(n)) if self.target == Target::Avx512 || self.inside.is_some() => {
                return self.shift(Shift::Signed, a, n);
            }
            (Bits2::Xor, Some(c)) => {
                if let Node::Bits(Bits2::Xor, x, d) = self.nodes[a as usize]
                    && let Some(d) = self.constant(d)
                {
                    let c = self.bits(c ^ d);
                    return self.bits2(Bits2::Xor, x, c);
                }
            }
            (Bits2::Xor, None) => {
                // (x & m) ^ (y & m) = (x ^ y) & m
                if let (Node::Bits(Bits2::And, x, m), Node::Bits(Bits2::And, y, n)) =
                    (self.nodes[a as usize], self.nodes[b as usize])
                    && m == n
                    && self.constant(m).is_some()
                {
                    let t = self.bits2(Bits2::Xor, x, y);
                    return self.bits2(Bits2::And, t, m);
                }
            }
            _ => {}
        }
        self.node(Node::Bits(op, a, b))
    }

    fn shift(&mut self, op: Shift, a: Id, n: u64) -> Id {
        let n = (n & 63) as u8;
        if n == 0 {
            return a;
        }
        // (x + c) << n = (x << n) + (c << n): what else shifts x so far shares that
        if op == Shift::Left
            && let Node::Bits(Bits2::Add, x, c) = self.nodes[a as usize]
            && let Some(c) = self.constant(c)
        {
            let x = self.shift(op, x, u64::from(n));
            let c = self.bits(c << n);
            return self.bits2(Bits2::Add, x, c);
        }
        self.node(Node::Shift(op, a, n))
    }

    pub fn not(&mut self, a: Id) -> Id {
        match self.nodes[a as usize] {
            Node::Not(x) => x,
            Node::ConstB(b) => self.truth(!b),
            _ => self.node(Node::Not(a)),
        }
    }

    pub fn mask2(&mut self, op: Mask2, a: Id, b: Id) -> Id {
        match (self.truth_of(a), self.truth_of(b)) {
            (Some(c), _) => self.mask_with(op, b, c),
            (_, Some(c)) => self.mask_with(op, a, c),
            _ if a == b => {
                if op == Mask2::Xor {
                    self.truth(false)
                } else {
                    a
                }
            }
            _ => self.node(Node::Mask(op, a.min(b), a.max(b))),
        }
    }

    fn mask_with(&mut self, op: Mask2, a: Id, c: bool) -> Id {
        match (op, c) {
            (Mask2::And, true) | (Mask2::Or | Mask2::Xor, false) => a,
            (Mask2::And, false) => self.truth(false),
            (Mask2::Or, true) => self.truth(true),
            (Mask2::Xor, true) => self.not(a),
        }
    }

    /// Of numbers or integers; of truth values see [`Graph::select_mask`].
    pub fn select(&mut self, c: Id, a: Id, b: Id) -> Id {
        if a == b {
            return a;
        }
        match self.nodes[c as usize] {
            Node::ConstB(true) => a,
            Node::ConstB(false) => b,
            Node::Not(c) => self.select(c, b, a),
            // what the processor's minimum and maximum do, to the treatment of equal and unordered operands
            Node::Cmp(CmpOp::Lt, x, y) if (x, y) == (a, b) => self.node(Node::Arith(Arith2::Min, a, b)),
            Node::Cmp(CmpOp::Gt, x, y) if (x, y) == (a, b) => self.node(Node::Arith(Arith2::Max, a, b)),
            Node::Cmp(CmpOp::Lt, x, y) if (x, y) == (b, a) => self.node(Node::Arith(Arith2::Max, a, b)),
            Node::Cmp(CmpOp::Gt, x, y) if (x, y) == (b, a) => self.node(Node::Arith(Arith2::Min, a, b)),
            _ => self.node(Node::Select(c, a, b)),
        }
    }

    pub fn select_mask(&mut self, c: Id, a: Id, b: Id) -> Id {
        // (c & a) | (!c & b)
        let x = self.mask2(Mask2::And, c, a);
        let n = self.not(c);
        let y = self.mask2(Mask2::And, n, b);
        self.mask2(Mask2::Or, x, y)
    }

    pub fn cmp(&mut self, op: CmpOp, a: Id, b: Id) -> Id {
        self.node(Node::Cmp(op, a, b))
    }

    pub fn cmp_i(&mut self, op: CmpOp, a: Id, b: Id) -> Id {
        if self.target == Target::Avx512 {
            // (x & bit) == bit
            if op == CmpOp::Eq
                && let Node::Bits(Bits2::And, x, m) = self.nodes[a as usize]
                && m == b
                && self.constant(m).is_some_and(u64::is_power_of_two)
            {
                return self.node(Node::Test(x, m));
            }
            return self.node(Node::CmpI(op, a, b));
        }
        let (op, a, b, not) = match op {
            CmpOp::Eq => (CmpOp::Eq, a, b, false),
            CmpOp::Ne => (CmpOp::Eq, a, b, true),
            CmpOp::Gt => (CmpOp::Gt, a, b, false),
            CmpOp::Le => (CmpOp::Gt, a, b, true),
            CmpOp::Lt => (CmpOp::Gt, b, a, false),
            CmpOp::Ge => (CmpOp::Gt, b, a, true),
        };
        let c = self.node(Node::CmpI(op, a, b));
        if not { self.not(c) } else { c }
    }

    /// `other` in the lanes where `cond` holds, by vector code that all go through unless [`super::guard`] knows that none does.
    pub fn seldom(&mut self, cond: Id, usual: Id, build: impl FnOnce(&mut Graph) -> Id) -> Id {
        if self.inside.is_some() || self.truth_of(cond).is_some() {
            let other = build(self);
            return self.select(cond, other, usual);
        }
        let outer = self.path;
        let cond = match outer {
            Some(path) => self.mask2(Mask2::And, cond, path),
            None => cond,
        };
        self.path = Some(cond);
        let other = build(self);
        self.path = outer;
        let id = self.select(cond, other, usual);
        if matches!(self.nodes[id as usize], Node::Select(..)) {
            self.seldom.push((id, cond, usual));
        }
        id
    }

    /// Scalar code for the lanes where `cond` holds; `build` makes it.
    pub fn slow(&mut self, cond: Option<Id>, usual: Option<Id>, build: impl FnOnce(&mut Graph) -> Id) -> Id {
        if self.inside.is_some() {
            // scalar code in scalar code: both are computed
            let slow = build(self);
            return match (cond, usual) {
                (Some(c), Some(u)) => self.select(c, slow, u),
                _ => slow,
            };
        }
        let cond = cond.map(|c| match self.path {
            Some(path) => self.mask2(Mask2::And, c, path),
            None => c,
        });
        let cond = match (cond.and_then(|c| self.truth_of(c)), usual) {
            (Some(false), Some(u)) => return u,
            (Some(true), _) => None,
            _ => cond,
        };
        let usual = usual.filter(|_| cond.is_some());
        let start = self.nodes.len() as Id;
        self.inside = Some(start);
        let result = build(self);
        self.inside = None;
        // what it reads from outside becomes its arguments
        let mut args = Vec::new();
        let mut sub = Sub::default();
        let mut place: FxHashMap<Id, Id> = FxHashMap::default();
        let outer =
            |id: Id, nodes: &[Node], sub: &mut Sub, args: &mut Vec<Id>, place: &mut FxHashMap<Id, Id>| {
                *place.entry(id).or_insert_with(|| {
                    let at = sub.nodes.len() as Id;
                    match nodes[id as usize] {
                        c @ (Node::Const(_) | Node::ConstB(_)) => sub.nodes.push(c),
                        _ => {
                            sub.nodes.push(Node::Input(args.len() as u32));
                            args.push(id);
                        }
                    }
                    at
                })
            };
        let nodes = std::mem::take(&mut self.nodes);
        for id in start..nodes.len() as Id {
            for a in nodes[id as usize].triple() {
                if a != NOTHING && a < start {
                    outer(a, &nodes, &mut sub, &mut args, &mut place);
                }
            }
            let node = nodes[id as usize].map(|a| place[&a]);
            place.insert(id, sub.nodes.len() as Id);
            sub.nodes.push(node);
        }
        let last = if result < start {
            outer(result, &nodes, &mut sub, &mut args, &mut place)
        } else {
            place[&result]
        };
        if last as usize + 1 != sub.nodes.len() {
            sub.nodes.push(Node::Copy(last));
        }
        self.nodes = nodes;
        self.forget(start);
        let number = self.subs.len() as u32;
        let number = *self.known_subs.entry(sub).or_insert_with_key(|sub| {
            self.subs.push(sub.clone());
            number
        });
        let entry = Slow { cond, usual, sub: number, args };
        if let Some(&id) = self.known_slow.get(&entry) {
            return id;
        }
        self.slow.push(entry.clone());
        let id = self.append(Node::Slow(self.slow.len() as u32 - 1));
        self.known_slow.insert(entry, id);
        id
    }
}
