//! From the graph of a right-hand side to the code of its recurrences.

use super::graph::{Graph, Id, Node};
use super::{Expansion, Unfit};
use crate::ids::{OriginId, Value};
use crate::ir::{Affine, BinOp, CmpOp, Kernel, MathFn, Op, Place, Space, Stmt, Ty, UnOp};
use crate::passes::dead::{Traps, remove_dead};
use crate::passes::emit::{Emit, Num};
use rustc_hash::FxHashMap;
use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LN_10};

/// Most values of a kernel.
const VALUES: usize = 100_000;

/// How the coefficients of a node of order 1 and above follow. `a`, `b` are arguments, `c` is the node itself, and a
/// prime is a derivative.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// It does not change.
    Still,
    Time,
    State(u32),
    Neg(Id),
    /// `a` or `−a`, by the sign of `a`.
    Abs(Id),
    Add(Id, Id),
    Sub(Id, Id),
    Mul(Id, Id),
    Fma(Id, Id, Id),
    Div(Id, Id),
    /// `c² = a`
    Root(Id),
    /// One of two, by a truth value.
    Select(Choice, Id, Id),
    /// `c' = s·a'·g`
    Chain(f64, Id, Id),
    /// `c' = a'·(c + 1)`
    Expm1(Id),
    /// `w·c' = s·a'`
    Inverse(f64, Id, Id),
    /// `a·c' = p·a'·c`, where `p` does not change
    Power(Id, Power),
    /// `w·c' = y'·x − y·x'`
    Angle {
        y: Id,
        x: Id,
        w: Id,
    },
}

impl Rule {
    /// The nodes whose coefficients of the same order it needs.
    fn same_order(self) -> [Option<Id>; 3] {
        match self {
            Rule::Still | Rule::Time | Rule::State(_) => [None; 3],
            Rule::Neg(a)
            | Rule::Abs(a)
            | Rule::Root(a)
            | Rule::Chain(_, a, _)
            | Rule::Expm1(a)
            | Rule::Inverse(_, a, _)
            | Rule::Power(a, _) => [Some(a), None, None],
            Rule::Add(a, b) | Rule::Sub(a, b) | Rule::Mul(a, b) | Rule::Div(a, b) | Rule::Select(_, a, b) => {
                [Some(a), Some(b), None]
            }
            Rule::Angle { y, x, .. } => [Some(y), Some(x), None],
            Rule::Fma(a, b, c) => [Some(a), Some(b), Some(c)],
        }
    }
}

/// What decides between two.
#[derive(Clone, Copy, Debug)]
enum Choice {
    /// A truth value.
    Node(Id),
    /// A comparison of two numbers.
    Cmp(CmpOp, Id, Id),
}

/// An exponent.
#[derive(Clone, Copy, Debug)]
enum Power {
    Node(Id),
    Number(f64),
}

pub(super) fn kernel(graph: Graph, order: u32) -> Result<Kernel, Unfit> {
    let Expansion { mut kernel, c } = expansion(graph, order)?;
    let n = c.first().map_or(0, Vec::len);
    for (at, &value) in c.iter().flatten().enumerate() {
        debug_assert!(at < n * order as usize);
        let place = Place { space: Space::Jac, at: Affine::constant(at as i64) };
        kernel.body.push(Stmt::Store { place, value, origin: OriginId(0) });
    }
    // No operation of the recurrences can trap.
    Ok(remove_dead(&kernel, &[], &Traps::default()).0)
}

pub(super) fn expansion(graph: Graph, order: u32) -> Result<Expansion, Unfit> {
    orders(graph, order).map(|(expansion, _)| expansion)
}

/// The same; and where in the code every order ends, that of the values themselves first.
pub(super) fn orders(mut graph: Graph, order: u32) -> Result<(Expansion, Vec<usize>), Unfit> {
    let rules = rules(&mut graph)?;
    let sequence = sequence(&rules);
    let mut s = Series {
        e: Emit::new("taylor"),
        c: vec![Vec::new(); graph.nodes.len()],
        d: vec![Vec::new(); graph.nodes.len()],
        truth: vec![None; graph.nodes.len()],
        rules,
        graph,
        once: FxHashMap::default(),
        constants: FxHashMap::default(),
    };
    let n = s.graph.der.len();
    for id in 0..s.graph.nodes.len() {
        s.first(id as Id)?;
    }
    let mut x: Vec<Vec<Num>> = vec![Vec::new(); n];
    let mut ends = vec![s.e.region.len()];
    for k in 1..=order {
        for (state, x) in x.iter_mut().enumerate() {
            let slope = s.c[s.graph.der[state] as usize].get(k as usize - 1).copied().unwrap_or(Num::ZERO);
            let next = s.times(slope, 1.0 / f64::from(k));
            x.push(next);
        }
        if k == order {
            break;
        }
        for &id in &sequence {
            s.next(id, k as usize, &x);
            if s.e.kernel.values.len() > VALUES {
                return Err(Unfit::Large);
            }
        }
        ends.push(s.e.region.len());
    }
    let mut c = Vec::with_capacity(order as usize);
    for k in 0..order as usize {
        c.push(x.iter().map(|x| s.value(x[k])).collect());
    }
    let mut kernel = s.e.kernel;
    kernel.body = s.e.region;
    Ok((Expansion { kernel, c }, ends))
}

/// The rule of every node; nodes that rules need besides are added.
fn rules(g: &mut Graph) -> Result<Vec<Rule>, Unfit> {
    let mut rules = Vec::new();
    let one = g.number(1.0)?;
    // Nodes may be added on the way.
    while rules.len() < g.nodes.len() {
        let id = rules.len() as Id;
        let rule = if g.varies[id as usize] { rule(g, id, one)? } else { Rule::Still };
        rules.push(rule);
    }
    Ok(rules)
}

/// Nodes so that each comes after those whose coefficients of the same order it needs.
fn sequence(rules: &[Rule]) -> Vec<Id> {
    fn visit(rules: &[Rule], id: Id, done: &mut [bool], out: &mut Vec<Id>) {
        if std::mem::replace(&mut done[id as usize], true) {
            return;
        }
        // Only nodes that rules have added stand after those that need them: this does not go deep.
        for needed in rules[id as usize].same_order().into_iter().flatten() {
            visit(rules, needed, done, out);
        }
        out.push(id);
    }
    let (mut done, mut out) = (vec![false; rules.len()], Vec::with_capacity(rules.len()));
    (0..rules.len()).for_each(|id| visit(rules, id as Id, &mut done, &mut out));
    out
}

fn rule(g: &mut Graph, id: Id, one: Id) -> Result<Rule, Unfit> {
    let square = |g: &mut Graph, a| g.bin(BinOp::Mul, a, a);
    Ok(match g.nodes[id as usize] {
        Node::Time => Rule::Time,
        Node::State(k) => Rule::State(k),
        Node::Un(op, a) => match op {
            UnOp::Neg => Rule::Neg(a),
            UnOp::Abs => Rule::Abs(a),
            UnOp::Sqrt => Rule::Root(a),
            UnOp::Floor | UnOp::Ceil | UnOp::Trunc | UnOp::Rint | UnOp::Sign => Rule::Still,
        },
        Node::Bin(op, a, b) => match op {
            BinOp::Add => Rule::Add(a, b),
            BinOp::Sub => Rule::Sub(a, b),
            BinOp::Mul => Rule::Mul(a, b),
            BinOp::Div => Rule::Div(a, b),
            BinOp::Min => Rule::Select(Choice::Cmp(CmpOp::Le, a, b), a, b),
            BinOp::Max => Rule::Select(Choice::Cmp(CmpOp::Ge, a, b), a, b),
            BinOp::CopySign if !g.varies[a as usize] => Rule::Still,
            BinOp::CopySign => return Err(Unfit::Form),
        },
        Node::Fma(a, b, c) => Rule::Fma(a, b, c),
        Node::Select(c, a, b) => Rule::Select(Choice::Node(c), a, b),
        Node::Math(f, a, b) => function(g, f, id, (a, b), one, square)?,
        Node::Const(_) | Node::Truth(_) | Node::Fixed(..) => Rule::Still,
        Node::Cmp(..) | Node::Logic(..) | Node::Not(_) | Node::BoolToF(_) | Node::FToBool(_) => Rule::Still,
    })
}

fn function(
    g: &mut Graph,
    f: MathFn,
    id: Id,
    (a, b): (Id, Id),
    one: Id,
    square: impl Fn(&mut Graph, Id) -> Result<Id, Unfit>,
) -> Result<Rule, Unfit> {
    let of = |g: &mut Graph, f| g.node(Node::Math(f, a, a));
    Ok(match f {
        MathFn::Exp => Rule::Chain(1.0, a, id),
        MathFn::Expm1 => Rule::Expm1(a),
        MathFn::Log => Rule::Inverse(1.0, a, a),
        MathFn::Log10 => Rule::Inverse(1.0 / LN_10, a, a),
        MathFn::Log2 => Rule::Inverse(1.0 / LN_2, a, a),
        MathFn::Log1p => Rule::Inverse(1.0, a, g.bin(BinOp::Add, one, a)?),
        MathFn::Sin | MathFn::SinBeside => Rule::Chain(1.0, a, of(g, MathFn::Cos)?),
        MathFn::Cos => Rule::Chain(-1.0, a, of(g, MathFn::Sin)?),
        MathFn::Sinh => Rule::Chain(1.0, a, of(g, MathFn::Cosh)?),
        MathFn::Cosh => Rule::Chain(1.0, a, of(g, MathFn::Sinh)?),
        MathFn::Tan | MathFn::Tanh => {
            let square = square(g, id)?;
            let op = if f == MathFn::Tan { BinOp::Add } else { BinOp::Sub };
            Rule::Chain(1.0, a, g.bin(op, one, square)?)
        }
        MathFn::Asin | MathFn::Acos => {
            let square = square(g, a)?;
            let rest = g.bin(BinOp::Sub, one, square)?;
            let root = g.node(Node::Un(UnOp::Sqrt, rest))?;
            Rule::Inverse(if f == MathFn::Asin { 1.0 } else { -1.0 }, a, root)
        }
        MathFn::Asinh | MathFn::Acosh => {
            let square = square(g, a)?;
            let op = if f == MathFn::Asinh { BinOp::Add } else { BinOp::Sub };
            let under = g.bin(op, square, one)?;
            Rule::Inverse(1.0, a, g.node(Node::Un(UnOp::Sqrt, under))?)
        }
        MathFn::Atan | MathFn::Atanh => {
            let square = square(g, a)?;
            let op = if f == MathFn::Atan { BinOp::Add } else { BinOp::Sub };
            Rule::Inverse(1.0, a, g.bin(op, one, square)?)
        }
        MathFn::Atan2 => {
            let (yy, xx) = (square(g, a)?, square(g, b)?);
            Rule::Angle { y: a, x: b, w: g.bin(BinOp::Add, xx, yy)? }
        }
        MathFn::Pow if !g.varies[b as usize] => Rule::Power(a, Power::Node(b)),
        MathFn::Pow => {
            let log = g.node(Node::Math(MathFn::Log, a, a))?;
            Rule::Chain(1.0, g.bin(BinOp::Mul, b, log)?, id)
        }
        MathFn::Cbrt => Rule::Power(a, Power::Number(1.0 / 3.0)),
        MathFn::Hypot => {
            let (aa, bb) = (square(g, a)?, square(g, b)?);
            Rule::Root(g.bin(BinOp::Add, aa, bb)?)
        }
        MathFn::Erf => {
            let square = square(g, a)?;
            let minus = g.node(Node::Un(UnOp::Neg, square))?;
            Rule::Chain(FRAC_2_SQRT_PI, a, g.node(Node::Math(MathFn::Exp, minus, minus))?)
        }
        MathFn::Gamma | MathFn::Digamma | MathFn::Trigamma => return Err(Unfit::Function("gamma")),
        // the graph has them as functions of sums
        MathFn::SinMoved | MathFn::CosMoved | MathFn::SinBesideMoved => return Err(Unfit::Form),
    })
}

/// Something that is computed once for a node and used at every order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Once {
    /// `1/x` of the first coefficient.
    Inverse(Id),
    /// `1/(2x)`
    Half(Id),
    /// `x < 0`
    Negative(Id),
    Cmp(CmpOp, Id, Id),
    /// `1 + x`
    Above(Id),
}

/// `from..=to`, those near `k/2` first: the later of the coefficients `j` and `k − j` is the one that a sum has to wait
/// for, and those that came last are to be waited for at the end.
fn outwards(from: usize, to: usize, k: usize) -> impl Iterator<Item = usize> {
    let mut all: Vec<usize> = (from..=to).collect();
    all.sort_by_key(|&j| (j.max(k - j), j));
    all.into_iter()
}

struct Series {
    e: Emit,
    graph: Graph,
    rules: Vec<Rule>,
    /// Coefficients of each node so far.
    c: Vec<Vec<Num>>,
    /// `k` times the coefficient of order `k`, where it was asked for.
    d: Vec<Vec<Option<Num>>>,
    truth: Vec<Option<Value>>,
    once: FxHashMap<Once, Value>,
    constants: FxHashMap<u64, Value>,
}

impl Series {
    fn value(&mut self, n: Num) -> Value {
        match n {
            Num::Val(v) => v,
            Num::Const(c) => {
                if let Some(&v) = self.constants.get(&c.to_bits()) {
                    return v;
                }
                let v = self.e.constant(c);
                self.constants.insert(c.to_bits(), v);
                v
            }
        }
    }

    fn at(&self, id: Id, k: usize) -> Num {
        self.c[id as usize].get(k).copied().unwrap_or(Num::ZERO)
    }

    /// `x·c`
    fn times(&mut self, x: Num, c: f64) -> Num {
        if let Num::Val(v) = x
            && c != 1.0
            && c != -1.0
        {
            let c = self.value(Num::Const(c));
            return Num::Val(self.e.bin(BinOp::Mul, v, c));
        }
        self.e.mul(Num::Const(c), x)
    }

    /// `k·x[k]`
    fn d(&mut self, id: Id, k: usize) -> Num {
        if let Some(Some(n)) = self.d[id as usize].get(k) {
            return *n;
        }
        let n = match self.rules[id as usize] {
            // the derivative is there already
            Rule::State(s) if k > 0 => self.at(self.graph.der[s as usize], k - 1),
            _ => {
                let x = self.at(id, k);
                self.times(x, k as f64)
            }
        };
        let list = &mut self.d[id as usize];
        if list.len() <= k {
            list.resize(k + 1, None);
        }
        list[k] = Some(n);
        n
    }

    /// `sum + a·b`
    fn fma(&mut self, a: Num, b: Num, sum: Num) -> Num {
        if a.is_zero() || b.is_zero() {
            return sum;
        }
        if sum.is_zero() {
            let (a, b) = if let (Num::Const(_), Num::Val(_)) = (a, b) { (b, a) } else { (a, b) };
            return match (a, b) {
                (a, Num::Const(c)) => self.times(a, c),
                (a, b) => self.e.mul(a, b),
            };
        }
        if a.is_one() {
            return self.e.add(b, sum);
        }
        if b.is_one() {
            return self.e.add(a, sum);
        }
        let (a, b, sum) = (self.value(a), self.value(b), self.value(sum));
        Num::Val(self.e.f(Op::Fma(a, b, sum)))
    }

    /// The coefficient of order `k` of `a·b`.
    fn product(&mut self, a: Id, b: Id, k: usize) -> Num {
        if a == b {
            // Each product of two different ones counts twice.
            let mut sum = Num::ZERO;
            for j in (0..k.div_ceil(2)).rev() {
                let (p, q) = (self.at(a, j), self.at(a, k - j));
                sum = self.fma(p, q, sum);
            }
            let twice = self.e.add(sum, sum);
            if !k.is_multiple_of(2) {
                return twice;
            }
            let middle = self.at(a, k / 2);
            return self.fma(middle, middle, twice);
        }
        let mut sum = Num::ZERO;
        for j in outwards(0, k, k) {
            let (p, q) = (self.at(a, j), self.at(b, k - j));
            sum = self.fma(p, q, sum);
        }
        sum
    }

    /// `Σ j·a[j]·g[k−j]` over `from..=to`.
    fn slope(&mut self, a: Id, g: Id, k: usize, to: usize) -> Num {
        let mut sum = Num::ZERO;
        for j in outwards(1, to, k) {
            let (p, q) = (self.d(a, j), self.at(g, k - j));
            sum = self.fma(p, q, sum);
        }
        sum
    }

    fn once(&mut self, what: Once) -> Value {
        if let Some(&v) = self.once.get(&what) {
            return v;
        }
        let v = match what {
            Once::Inverse(id) => {
                let (one, x) = (self.value(Num::ONE), self.at(id, 0));
                let x = self.value(x);
                self.e.bin(BinOp::Div, one, x)
            }
            Once::Half(id) => {
                let (half, x) = (self.value(Num::Const(0.5)), self.at(id, 0));
                let x = self.value(x);
                self.e.bin(BinOp::Div, half, x)
            }
            Once::Negative(id) => {
                let (zero, x) = (self.value(Num::ZERO), self.at(id, 0));
                let x = self.value(x);
                self.e.push(Op::Cmp(CmpOp::Lt, x, zero), Ty::Bool)
            }
            Once::Cmp(op, a, b) => {
                let (a, b) = (self.at(a, 0), self.at(b, 0));
                let (a, b) = (self.value(a), self.value(b));
                self.e.push(Op::Cmp(op, a, b), Ty::Bool)
            }
            Once::Above(id) => {
                let x = self.at(id, 0);
                let sum = self.e.add(Num::ONE, x);
                self.value(sum)
            }
        };
        self.once.insert(what, v);
        v
    }

    fn truth(&self, id: Id) -> Result<Value, Unfit> {
        self.truth[id as usize].ok_or(Unfit::Form)
    }

    /// The coefficient of order 0: the value itself, by the operation of the right-hand side.
    fn first(&mut self, id: Id) -> Result<(), Unfit> {
        let load = |space, slot: i64| Op::Load(Place { space, at: Affine::constant(slot) });
        let node = self.graph.nodes[id as usize];
        // of a sine that changes the cosine is wanted besides
        let beside = matches!(node, Node::Math(MathFn::Sin, ..)) && self.graph.varies[id as usize];
        let mut arg = |a: Id| {
            let n = self.c[a as usize].first().copied().ok_or(Unfit::Form)?;
            Ok(self.value(n))
        };
        let op = match node {
            Node::Const(bits) => {
                self.c[id as usize].push(Num::Const(f64::from_bits(bits)));
                return Ok(());
            }
            Node::Truth(b) => Op::ConstB(b),
            Node::Fixed(space, slot) => load(space, slot),
            Node::Time => load(Space::Time, 0),
            Node::State(k) => load(Space::State, i64::from(k)),
            Node::Un(op, a) => Op::Un(op, arg(a)?),
            Node::Bin(op, a, b) => Op::Bin(op, arg(a)?, arg(b)?),
            Node::Fma(a, b, c) => Op::Fma(arg(a)?, arg(b)?, arg(c)?),
            Node::Math(f, a, b) => {
                let f = if beside { MathFn::SinBeside } else { f };
                let two = matches!(f, MathFn::Atan2 | MathFn::Pow | MathFn::Hypot);
                Op::Math(f, if two { vec![arg(a)?, arg(b)?] } else { vec![arg(a)?] })
            }
            Node::Cmp(op, a, b) => Op::Cmp(op, arg(a)?, arg(b)?),
            Node::FToBool(a) => Op::FToBool(arg(a)?),
            Node::Logic(op, a, b) => Op::BoolBin(op, self.truth(a)?, self.truth(b)?),
            Node::Not(a) => Op::Not(self.truth(a)?),
            Node::BoolToF(a) => Op::BoolToF(self.truth(a)?),
            Node::Select(c, a, b) => {
                let c = self.truth(c)?;
                if let (Some(a), Some(b)) = (self.truth[a as usize], self.truth[b as usize]) {
                    Op::Select(c, a, b)
                } else {
                    let mut arg = |a: Id| {
                        let n = self.c[a as usize].first().copied().ok_or(Unfit::Form)?;
                        Ok(self.value(n))
                    };
                    Op::Select(c, arg(a)?, arg(b)?)
                }
            }
        };
        let ty = match (&op, node) {
            (Op::Select(_, a, _), _) => self.e.kernel.values[a.index()].ty,
            (_, Node::Truth(_) | Node::Cmp(..) | Node::FToBool(_) | Node::Logic(..) | Node::Not(_)) => {
                Ty::Bool
            }
            _ => Ty::F64,
        };
        let v = self.e.push(op, ty);
        if ty == Ty::Bool {
            self.truth[id as usize] = Some(v);
        } else {
            self.c[id as usize].push(Num::Val(v));
        }
        Ok(())
    }

    /// The coefficient of order `k >= 1`; those below are there, and of nodes before it that of order `k` too. `x`: the
    /// states' coefficients from order 1 on.
    fn next(&mut self, id: Id, k: usize, x: &[Vec<Num>]) {
        let order = k as f64;
        let c = match self.rules[id as usize] {
            Rule::Still => return,
            Rule::Time => {
                if k == 1 {
                    Num::ONE
                } else {
                    Num::ZERO
                }
            }
            Rule::State(s) => x.get(s as usize).and_then(|x| x.get(k - 1)).copied().unwrap_or(Num::ZERO),
            Rule::Neg(a) => {
                let a = self.at(a, k);
                self.e.neg(a)
            }
            Rule::Abs(a) => {
                let (p, negative) = (self.at(a, k), self.once(Once::Negative(a)));
                let n = self.e.neg(p);
                self.e.select(negative, n, p)
            }
            Rule::Add(a, b) => {
                let (a, b) = (self.at(a, k), self.at(b, k));
                self.e.add(a, b)
            }
            Rule::Sub(a, b) => {
                let (a, b) = (self.at(a, k), self.at(b, k));
                self.e.sub(a, b)
            }
            Rule::Mul(a, b) => self.product(a, b, k),
            Rule::Fma(a, b, c) => {
                let (p, c) = (self.product(a, b, k), self.at(c, k));
                self.e.add(p, c)
            }
            // b·c = a
            Rule::Div(a, b) => {
                let mut rest = self.at(a, k);
                for j in outwards(1, k, k) {
                    let (p, q) = (self.at(b, j), self.at(id, k - j));
                    let p = self.e.neg(p);
                    rest = self.fma(p, q, rest);
                }
                self.over(rest, Once::Inverse(b))
            }
            // c·c = a
            Rule::Root(a) => {
                let mut sum = Num::ZERO;
                for j in (1..k.div_ceil(2)).rev() {
                    let (p, q) = (self.at(id, j), self.at(id, k - j));
                    sum = self.fma(p, q, sum);
                }
                let mut twice = self.e.add(sum, sum);
                if k.is_multiple_of(2) {
                    let middle = self.at(id, k / 2);
                    twice = self.fma(middle, middle, twice);
                }
                let a = self.at(a, k);
                let rest = self.e.sub(a, twice);
                self.over(rest, Once::Half(id))
            }
            Rule::Select(choice, a, b) => {
                let c = match choice {
                    Choice::Node(c) => self.truth[c as usize],
                    Choice::Cmp(op, a, b) => Some(self.once(Once::Cmp(op, a, b))),
                };
                let (a, b) = (self.at(a, k), self.at(b, k));
                match c {
                    Some(c) => self.e.select(c, a, b),
                    None => a,
                }
            }
            Rule::Chain(s, a, g) => {
                let sum = self.slope(a, g, k, k);
                self.times(sum, s / order)
            }
            Rule::Expm1(a) => {
                let sum = self.slope(a, id, k, k - 1);
                let (last, above) = (self.d(a, k), self.once(Once::Above(id)));
                let sum = self.fma(last, Num::Val(above), sum);
                self.times(sum, 1.0 / order)
            }
            Rule::Inverse(s, a, w) => {
                let sum = self.slope(id, w, k, k - 1);
                let known = self.at(a, k);
                let (known, sum) = (self.times(known, s), self.times(sum, 1.0 / order));
                let rest = self.e.sub(known, sum);
                self.over(rest, Once::Inverse(w))
            }
            // k·a[0]·c[k] = p·Σ j·a[j]·c[k−j] − Σ a[j]·(k−j)·c[k−j], j from 1
            Rule::Power(a, p) => {
                let grown = self.slope(a, id, k, k);
                let mut own = Num::ZERO;
                for j in outwards(1, k - 1, k) {
                    let (q, r) = (self.at(a, j), self.d(id, k - j));
                    own = self.fma(q, r, own);
                }
                let p = match p {
                    Power::Node(p) => self.at(p, 0),
                    Power::Number(p) => Num::Const(p),
                };
                let own = self.e.neg(own);
                let sum = self.fma(p, grown, own);
                let rest = self.times(sum, 1.0 / order);
                self.over(rest, Once::Inverse(a))
            }
            Rule::Angle { y, x: of, w } => {
                let (turn, back) = (self.slope(y, of, k, k), self.slope(of, y, k, k));
                let sum = self.slope(id, w, k, k - 1);
                let rest = self.e.sub(turn, back);
                let rest = self.e.sub(rest, sum);
                let rest = self.times(rest, 1.0 / order);
                self.over(rest, Once::Inverse(w))
            }
        };
        let list = &mut self.c[id as usize];
        list.resize(k, Num::ZERO);
        list.push(c);
    }

    /// `rest` times something that is computed once.
    fn over(&mut self, rest: Num, once: Once) -> Num {
        if rest.is_zero() {
            return rest;
        }
        let (rest, factor) = (self.value(rest), self.once(once));
        Num::Val(self.e.bin(BinOp::Mul, rest, factor))
    }
}
