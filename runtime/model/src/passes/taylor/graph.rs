//! The right-hand side as a graph: loops written out, functions in place, both sides of a branch computed.

use super::Unfit;
use crate::ids::Value;
use crate::ir::{Affine, BinOp, BoolOp, CmpOp, For, Function, If, Kernel, MathFn, Op, Space, Stmt, Ty, UnOp};
use crate::program::Program;
use rustc_hash::FxHashMap;

/// The number of a node.
pub(super) type Id = u32;

/// Most nodes of a graph.
const NODES: usize = 4_000;
/// Deepest calls of functions.
const CALLS: u32 = 20;

/// What a node is. Nodes come after those that they use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Node {
    /// A number, by its bits.
    Const(u64),
    /// A truth value.
    Truth(bool),
    /// A slot that no step changes.
    Fixed(Space, i64),
    Time,
    State(u32),
    Un(UnOp, Id),
    Bin(BinOp, Id, Id),
    Fma(Id, Id, Id),
    /// A function of one argument (given twice) or of two.
    Math(MathFn, Id, Id),
    Cmp(CmpOp, Id, Id),
    Logic(BoolOp, Id, Id),
    Not(Id),
    Select(Id, Id, Id),
    BoolToF(Id),
    FToBool(Id),
}

/// The right-hand side of a program.
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    /// Whether a node depends on time or states.
    pub varies: Vec<bool>,
    /// The derivative of each state.
    pub der: Vec<Id>,
    known: FxHashMap<Node, Id>,
}

impl Graph {
    pub fn of(program: &Program) -> Result<Graph, Unfit> {
        let mut graph =
            Graph { nodes: Vec::new(), varies: Vec::new(), der: Vec::new(), known: FxHashMap::default() };
        let mut walk =
            Walk { graph: &mut graph, functions: &program.functions, written: FxHashMap::default() };
        let mut frame = Frame::new(&program.rhs, Vec::new());
        walk.statements(&program.rhs.body, &mut frame, 0, true)?;
        let der = |k| walk.written.get(&(Space::Der, k)).copied().ok_or(Unfit::Form);
        let der = (0..i64::from(program.sizes.state)).map(der).collect::<Result<_, _>>()?;
        graph.der = der;
        Ok(graph)
    }

    pub fn node(&mut self, node: Node) -> Result<Id, Unfit> {
        if let Some(&id) = self.known.get(&node) {
            return Ok(id);
        }
        if self.nodes.len() >= NODES {
            return Err(Unfit::Large);
        }
        let varies = |id: Id| self.varies[id as usize];
        let varies = match node {
            Node::Const(_) | Node::Truth(_) | Node::Fixed(..) => false,
            Node::Time | Node::State(_) => true,
            Node::Un(_, a) | Node::Not(a) | Node::BoolToF(a) | Node::FToBool(a) => varies(a),
            Node::Bin(_, a, b) | Node::Math(_, a, b) | Node::Cmp(_, a, b) | Node::Logic(_, a, b) => {
                varies(a) || varies(b)
            }
            Node::Fma(a, b, c) | Node::Select(a, b, c) => varies(a) || varies(b) || varies(c),
        };
        let id = self.nodes.len() as Id;
        self.nodes.push(node);
        self.varies.push(varies);
        self.known.insert(node, id);
        Ok(id)
    }

    /// Whether anything in it has a kink or a jump that time or states may come to.
    pub fn has_kinks(&self) -> bool {
        let varies = |id: Id| self.varies[id as usize];
        self.nodes.iter().any(|&node| match node {
            Node::Un(UnOp::Abs | UnOp::Floor | UnOp::Ceil | UnOp::Trunc | UnOp::Rint | UnOp::Sign, a)
            | Node::BoolToF(a)
            | Node::Select(a, ..) => varies(a),
            Node::Bin(BinOp::Min | BinOp::Max | BinOp::CopySign, a, b) => varies(a) || varies(b),
            _ => false,
        })
    }

    pub fn number(&mut self, c: f64) -> Result<Id, Unfit> {
        self.node(Node::Const(c.to_bits()))
    }

    pub fn bin(&mut self, op: BinOp, a: Id, b: Id) -> Result<Id, Unfit> {
        self.node(Node::Bin(op, a, b))
    }
}

/// Values of the kernel or function that is being walked over.
struct Frame<'a> {
    kernel: &'a Kernel,
    args: Vec<Id>,
    map: Vec<Option<Id>>,
    at: Vec<Option<i64>>,
}

impl<'a> Frame<'a> {
    fn new(kernel: &'a Kernel, args: Vec<Id>) -> Frame<'a> {
        let (map, at) = (vec![None; kernel.values.len()], vec![None; kernel.indices as usize]);
        Frame { kernel, args, map, at }
    }

    fn get(&self, v: Value) -> Result<Id, Unfit> {
        self.map.get(v.index()).copied().flatten().ok_or(Unfit::Form)
    }

    fn set(&mut self, v: Value, id: Id) -> Result<(), Unfit> {
        *self.map.get_mut(v.index()).ok_or(Unfit::Form)? = Some(id);
        Ok(())
    }

    fn slot(&self, at: &Affine) -> Result<i64, Unfit> {
        at.terms
            .iter()
            .try_fold(at.base, |sum, &(i, stride)| {
                sum.checked_add(stride.checked_mul(self.at.get(i.index()).copied().flatten()?)?)
            })
            .ok_or(Unfit::Form)
    }
}

struct Walk<'a, 'g> {
    graph: &'g mut Graph,
    functions: &'a [Function],
    written: FxHashMap<(Space, i64), Id>,
}

impl<'a> Walk<'a, '_> {
    fn statements(
        &mut self,
        region: &[Stmt],
        f: &mut Frame<'a>,
        depth: u32,
        may_store: bool,
    ) -> Result<(), Unfit> {
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => {
                    let id = self.value(*v, f, depth)?;
                    f.set(*v, id)?;
                }
                Stmt::Store { place, value, .. } => {
                    if !may_store || !matches!(place.space, Space::Der | Space::Var) {
                        return Err(Unfit::Form);
                    }
                    let mut id = f.get(*value)?;
                    if f.kernel.values.get(value.index()).is_some_and(|d| d.ty == Ty::Bool) {
                        id = self.graph.node(Node::BoolToF(id))?;
                    }
                    self.written.insert((place.space, f.slot(&place.at)?), id);
                }
                Stmt::For(l) => self.unroll(l, f, depth, may_store)?,
                Stmt::If(i) => self.branch(i, f, depth)?,
                Stmt::Solve(_) | Stmt::SolveTangent(_) => return Err(Unfit::Block),
            }
        }
        Ok(())
    }

    fn unroll(&mut self, l: &For, f: &mut Frame<'a>, depth: u32, may_store: bool) -> Result<(), Unfit> {
        let rounds = l.hi.checked_sub(l.lo).ok_or(Unfit::Large)?.max(0);
        if usize::try_from(rounds).map_or(true, |n| n > NODES) {
            return Err(Unfit::Large);
        }
        let mut carried = l.carries.iter().map(|c| f.get(c.init)).collect::<Result<Vec<_>, _>>()?;
        for k in 0..rounds {
            *f.at.get_mut(l.index.index()).ok_or(Unfit::Form)? =
                Some(if l.reverse { l.hi - 1 - k } else { l.lo + k });
            for (c, &id) in l.carries.iter().zip(&carried) {
                f.set(c.var, id)?;
            }
            self.statements(&l.body, f, depth, may_store)?;
            carried = l.carries.iter().map(|c| f.get(c.next)).collect::<Result<Vec<_>, _>>()?;
        }
        *f.at.get_mut(l.index.index()).ok_or(Unfit::Form)? = None;
        for (c, &id) in l.carries.iter().zip(&carried) {
            f.set(c.result, id)?;
        }
        Ok(())
    }

    fn branch(&mut self, i: &If, f: &mut Frame<'a>, depth: u32) -> Result<(), Unfit> {
        let cond = f.get(i.cond)?;
        self.statements(&i.then, f, depth, false)?;
        self.statements(&i.otherwise, f, depth, false)?;
        for &(result, a, b) in &i.results {
            let (a, b) = (f.get(a)?, f.get(b)?);
            let id = self.graph.node(Node::Select(cond, a, b))?;
            f.set(result, id)?;
        }
        Ok(())
    }

    fn value(&mut self, v: Value, f: &Frame<'a>, depth: u32) -> Result<Id, Unfit> {
        let kernel = f.kernel;
        let data = kernel.values.get(v.index()).ok_or(Unfit::Form)?;
        let node = match &data.op {
            Op::ConstF(bits) => Node::Const(*bits),
            Op::ConstB(b) => Node::Truth(*b),
            Op::IndexF(at) => Node::Const((f.slot(at)? as f64).to_bits()),
            Op::Load(place) => {
                let slot = f.slot(&place.at)?;
                match place.space {
                    Space::State => Node::State(u32::try_from(slot).map_err(|_| Unfit::Form)?),
                    Space::Time => Node::Time,
                    Space::Param | Space::Input | Space::Disc => Node::Fixed(place.space, slot),
                    space => return self.written.get(&(space, slot)).copied().ok_or(Unfit::Form),
                }
            }
            Op::Un(op, a) => Node::Un(*op, f.get(*a)?),
            Op::Bin(op, a, b) => Node::Bin(*op, f.get(*a)?, f.get(*b)?),
            Op::Fma(a, b, c) => Node::Fma(f.get(*a)?, f.get(*b)?, f.get(*c)?),
            Op::Cmp(op, a, b) => Node::Cmp(*op, f.get(*a)?, f.get(*b)?),
            Op::BoolBin(op, a, b) => Node::Logic(*op, f.get(*a)?, f.get(*b)?),
            Op::Not(a) => Node::Not(f.get(*a)?),
            Op::Select(c, a, b) => Node::Select(f.get(*c)?, f.get(*a)?, f.get(*b)?),
            Op::BoolToF(a) => Node::BoolToF(f.get(*a)?),
            Op::FToBool(a) => Node::FToBool(f.get(*a)?),
            Op::Math(g, args) => {
                let [a, .., b] = args.as_slice() else {
                    let [a] = args.as_slice() else { return Err(Unfit::Form) };
                    let a = f.get(*a)?;
                    // the series choose the way of a sine themselves
                    let g = if *g == MathFn::SinBeside { MathFn::Sin } else { *g };
                    return self.graph.node(Node::Math(g, a, a));
                };
                let (a, b) = (f.get(*a)?, f.get(*b)?);
                let of_sum = match g {
                    MathFn::SinMoved | MathFn::SinBesideMoved => Some(MathFn::Sin),
                    MathFn::CosMoved => Some(MathFn::Cos),
                    _ => None,
                };
                if let Some(g) = of_sum {
                    let sum = self.graph.node(Node::Bin(BinOp::Add, a, b))?;
                    return self.graph.node(Node::Math(g, sum, sum));
                }
                Node::Math(*g, a, b)
            }
            Op::Call(g, args) => {
                let function = self.functions.get(g.index()).ok_or(Unfit::Form)?;
                if depth >= CALLS {
                    return Err(Unfit::Large);
                }
                let args = args.iter().map(|&a| f.get(a)).collect::<Result<_, _>>()?;
                let mut frame = Frame::new(&function.code, args);
                self.statements(&function.code.body, &mut frame, depth + 1, false)?;
                return frame.get(function.result);
            }
            Op::Arg(n) => return f.args.get(*n as usize).copied().ok_or(Unfit::Form),
            Op::Table { .. } => return Err(Unfit::Table),
            Op::Delay { .. } => return Err(Unfit::Delay),
            Op::LoadAt { .. }
            | Op::ConstI(_)
            | Op::IndexI(_)
            | Op::CmpI(..)
            | Op::Int(..)
            | Op::FToI(_)
            | Op::IToF(_)
            | Op::BitsToF(_)
            | Op::FToBits(_) => return Err(Unfit::Index),
            Op::Carry | Op::Result => return Err(Unfit::Form),
        };
        self.graph.node(node)
    }
}
