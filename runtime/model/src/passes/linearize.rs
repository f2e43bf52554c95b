//! The right-hand side and its Jacobian as straight lines, to be put into kernels that do a whole implicit step.
//!
//! In: a program. Out: a [`Linearized`] with `f(t, x)` and, beside it, `∂f/∂x` and `∂f/∂t` entry by entry. Loops are
//! written out, functions stand in place of their calls, of branches both sides are computed. Both straight lines are
//! made of the simplified right-hand side, so that the level at which a program was optimised before changes no bit.
//!
//! Algebraic blocks and tables have to be written out before ([`super::straight`]). What blocks find follows from their
//! residuals being zero: with the right-hand side `f(t, x, u)` and residuals `r(t, x, u)`, the derivative is that of `f` plus
//! `∂f/∂u·∂u/∂x`, where `∂r/∂u·∂u/∂x = −∂r/∂x` is solved block by block ([`implicit`]).
//!
//! Refused are delays, blocks and tables that are not written out, variables that keep a value from an earlier call, indices
//! known only while it runs within a branch, and what is longer than [`VALUES`].

mod implicit;

use super::contract::contract_kernel;
use super::dead::Traps;
use super::derive::with_time;
use super::rk4::Inline;
use super::straight::Guesses;
use super::{Level, simplified};
use crate::ids::{Index, OriginId, Value};
use crate::ir::{Affine, For, Function, If, Kernel, Op, Place, Region, Space, Stmt, Ty};
use crate::program::Program;
use implicit::Implicit;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Most states.
pub const STATES: usize = 64;
/// Most values of a right-hand side that is written out.
pub const VALUES: usize = 2_000;
/// Most values of a Jacobian that is written out.
const JACOBIAN: usize = 8 * VALUES;

/// `f`, `∂f/∂x` and `∂f/∂t` of a program as straight lines.
#[derive(Clone, Debug)]
pub struct Linearized {
    states: usize,
    rhs: Line,
    derivatives: Line,
    /// By slot of `Jac`: the row and the column that it adds to; time is the column after the last state. Behind the rows of
    /// `f` are those of residuals, behind the columns of states those of the blocks' unknowns.
    entries: Vec<(u32, u32, i64)>,
    implicit: Implicit,
    guesses: Option<Guesses>,
}

/// `f` and its derivatives at one point, as values of a kernel.
#[derive(Clone, Debug)]
pub struct Point {
    /// `f`, by state.
    pub f: Vec<Value>,
    /// `∂f/∂x` by (row, column); what is not there is zero.
    pub jacobian: BTreeMap<(usize, usize), Value>,
    /// `∂f/∂t` by row; what is not there is zero.
    pub time: BTreeMap<usize, Value>,
}

impl Linearized {
    /// `guesses`: of the blocks that are written out. `None` where that cannot be done: see the module.
    #[must_use]
    pub fn of(program: &Program, guesses: Option<&Guesses>) -> Option<Self> {
        let n = program.sizes.state;
        if n == 0 || n as usize > STATES {
            return None;
        }
        let traps = Traps::of(program);
        let name = &program.rhs.name;
        let aside = i64::from(program.sizes.input);
        let flat = Line::of(&program.rhs, &program.functions, VALUES)?.aside(aside);
        // Of what blocks leave, what they found and whether they did.
        let left = guesses.map_or(0..0, |g| i64::from(g.found())..i64::from(g.before()));
        let fine = guesses.map(|g| i64::from(g.fine));
        let kept = |space, slot: i64| {
            space == Space::Der || space == Space::Jac && (left.contains(&slot) || fine == Some(slot))
        };
        let rhs = simplified(&flat.kernel(name, &kept), Level::O2, &traps);
        let only = |space, _| space == Space::Der;
        let (explicit, unknowns) = match guesses {
            None => (rhs.clone(), 0),
            Some(g) => {
                let flat = Line::of(&g.given, &program.functions, VALUES)?.aside(aside);
                (simplified(&flat.kernel(name, &only), Level::O2, &traps), g.len)
            }
        };
        let jacobian = with_time(&explicit, n + unknowns)?;
        let kernel = simplified(&contract_kernel(&jacobian.kernel), Level::O2, &traps);
        let derivatives = Line::of(&kernel, &[], JACOBIAN)?.back(aside);
        let mut entries = Vec::new();
        for family in &jacobian.families {
            // the right-hand side has no loops
            if !family.loops.is_empty() {
                return None;
            }
            let (row, col) = (u32::try_from(family.row.base).ok()?, u32::try_from(family.col.base).ok()?);
            entries.push((row, col, family.slot.base));
        }
        entries.sort_unstable();
        let sizes: Vec<usize> = match guesses {
            None => Vec::new(),
            Some(g) => {
                let solved = g.blocks.iter().zip(&program.blocks).filter(|(first, _)| first.is_some());
                solved.map(|(_, b)| b.n as usize).collect()
            }
        };
        let implicit = Implicit::of(n as usize, &sizes, &entries)?;
        let rhs = Line::of(&rhs, &[], VALUES)?.back(aside);
        Some(Self { states: n as usize, rhs, derivatives, entries, implicit, guesses: guesses.cloned() })
    }

    /// Number of states.
    #[must_use]
    pub fn states(&self) -> usize {
        self.states
    }

    /// The (row, column) pairs of `∂f/∂x` that are there, sorted.
    #[must_use]
    pub fn pattern(&self) -> Vec<(usize, usize)> {
        self.implicit.pattern()
    }

    /// Values of one evaluation of `f`.
    #[must_use]
    pub fn work(&self) -> usize {
        self.rhs.values.len()
    }

    /// Values that the derivatives of blocks take at a point, about.
    #[must_use]
    pub fn solving(&self) -> usize {
        self.implicit.work()
    }

    /// Appends `f(t, x)`.
    pub fn rhs(&self, k: &mut Inline<'_>, t: Value, x: &[Value]) -> Option<Vec<Value>> {
        Some(self.evaluate(k, t, x)?.0)
    }

    /// The same, and what blocks found.
    fn evaluate(&self, k: &mut Inline<'_>, t: Value, x: &[Value]) -> Option<(Vec<Value>, Vec<Value>)> {
        let held = k.held(x)?;
        let written = self.rhs.put(k, t, &held)?;
        let at = |space, slot: i64| written.get(&(space, slot)).copied();
        let f = (0..self.states).map(|s| at(Space::Der, s as i64)).collect::<Option<_>>()?;
        let Some(g) = &self.guesses else { return Some((f, Vec::new())) };
        let found = (0..g.len).map(|u| at(Space::Jac, i64::from(g.found() + u))).collect::<Option<_>>()?;
        k.leaves(written.into_iter().filter(|(place, _)| place.0 == Space::Jac).collect());
        Some((f, found))
    }

    /// Appends `f(t, x)` and its derivatives. Beyond a limit that a state is held at nothing depends on it any more; on it
    /// the derivative may be infinite, and is not taken either.
    pub fn point(&self, k: &mut Inline<'_>, t: Value, x: &[Value]) -> Option<Point> {
        let (f, found) = self.evaluate(k, t, x)?;
        let mut held = k.held(x)?;
        held.extend(found);
        let written = self.derivatives.put(k, t, &held)?;
        let mut all = BTreeMap::new();
        for &(row, col, slot) in &self.entries {
            let mut value = *written.get(&(Space::Jac, slot))?;
            let place = (row as usize, col as usize);
            if let Some(&sum) = all.get(&place) {
                value = k.push_as(Op::Bin(crate::ir::BinOp::Add, sum, value), Ty::F64);
            }
            all.insert(place, value);
        }
        let all = self.implicit.explicit(k, all);
        let mut point = Point { f, jacobian: BTreeMap::new(), time: BTreeMap::new() };
        for ((row, col), value) in all {
            match col == self.states {
                true => point.time.insert(row, value),
                false => point.jacobian.insert((row, col), value),
            };
        }
        for (state, on) in k.on_limits(x)? {
            let zero = k.constant(0.0);
            for (_, value) in point.jacobian.iter_mut().filter(|(place, _)| place.1 == state) {
                *value = k.push_as(Op::Select(on, zero, *value), Ty::F64);
            }
        }
        Some(point)
    }
}

/// A kernel without control flow: its values in order, and what it leaves in which slots.
#[derive(Clone, Debug, Default)]
struct Line {
    values: Vec<(Op, Ty)>,
    stores: BTreeMap<(Space, i64), Value>,
}

impl Line {
    fn of(kernel: &Kernel, functions: &[Function], budget: usize) -> Option<Self> {
        let mut w =
            Writer { line: Line::default(), functions, constants: FxHashMap::default(), budget, depth: 0 };
        let mut e = Frame::of(kernel, Vec::new());
        w.region(&kernel.body, &mut e)?;
        Some(w.line)
    }

    /// With inputs from number `first` on in place of what it reads from `Jac`, where derivatives will be written.
    fn aside(mut self, first: i64) -> Self {
        for (op, _) in &mut self.values {
            if let Op::Load(p) = op
                && p.space == Space::Jac
            {
                *p = Place { space: Space::Input, at: Affine::constant(p.at.base + first) };
            }
        }
        self
    }

    /// The reverse.
    fn back(mut self, first: i64) -> Self {
        for (op, _) in &mut self.values {
            if let Op::Load(p) = op
                && p.space == Space::Input
                && p.at.base >= first
            {
                *p = Place { space: Space::Jac, at: Affine::constant(p.at.base - first) };
            }
        }
        self
    }

    /// As a kernel that writes some slots only.
    fn kernel(&self, name: &str, kept: &dyn Fn(Space, i64) -> bool) -> Kernel {
        let mut out = Kernel::new(name);
        for (op, ty) in &self.values {
            let v = out.value(op.clone(), *ty);
            out.body.push(Stmt::Eval(v));
        }
        for (&(at, slot), &value) in self.stores.iter().filter(|(at, _)| kept(at.0, at.1)) {
            let place = Place { space: at, at: Affine::constant(slot) };
            out.body.push(Stmt::Store { place, value, origin: OriginId(0) });
        }
        out
    }

    /// Appends it to a kernel; gives what its slots hold.
    fn put(&self, k: &mut Inline<'_>, t: Value, x: &[Value]) -> Option<BTreeMap<(Space, i64), Value>> {
        let mut map = Vec::with_capacity(self.values.len());
        for (op, ty) in &self.values {
            let new = match op {
                Op::ConstF(bits) => k.constant(f64::from_bits(*bits)),
                Op::Load(Place { space: Space::Time, .. }) => t,
                Op::Load(Place { space: Space::State, at }) => *x.get(usize::try_from(at.base).ok()?)?,
                op => {
                    let mut op = op.clone();
                    op.map_operands(|o| map.get(o.index()).copied().unwrap_or(o));
                    k.push_as(op, *ty)
                }
            };
            map.push(new);
        }
        self.stores.iter().map(|(&place, v)| Some((place, *map.get(v.index())?))).collect()
    }
}

struct Writer<'a> {
    line: Line,
    functions: &'a [Function],
    constants: FxHashMap<(u64, Ty), Value>,
    budget: usize,
    /// Branches that are open.
    depth: u32,
}

/// A kernel or function that is written out.
struct Frame<'a> {
    kernel: &'a Kernel,
    map: Vec<Option<Value>>,
    at: Vec<i64>,
    args: Vec<Value>,
}

impl<'a> Frame<'a> {
    fn of(kernel: &'a Kernel, args: Vec<Value>) -> Self {
        Frame { kernel, map: vec![None; kernel.values.len()], at: vec![0; kernel.indices as usize], args }
    }

    fn get(&self, v: Value) -> Option<Value> {
        self.map.get(v.index()).copied().flatten()
    }

    fn slot(&self, a: &Affine) -> Option<i64> {
        a.terms.iter().try_fold(a.base, |sum, &(i, stride): &(Index, i64)| {
            sum.checked_add(stride.checked_mul(*self.at.get(i.index())?)?)
        })
    }
}

impl Writer<'_> {
    fn push(&mut self, op: Op, ty: Ty) -> Option<Value> {
        let constant = match &op {
            Op::ConstF(bits) => Some((*bits, ty)),
            Op::ConstI(i) => Some((*i as u64, ty)),
            Op::ConstB(b) => Some((u64::from(*b), ty)),
            _ => None,
        };
        if let Some(&known) = constant.and_then(|c| self.constants.get(&c)) {
            return Some(known);
        }
        self.budget = self.budget.checked_sub(1)?;
        let v = Value::new(self.line.values.len());
        self.line.values.push((op, ty));
        if let Some(c) = constant {
            self.constants.insert(c, v);
        }
        Some(v)
    }

    fn region(&mut self, region: &Region, e: &mut Frame<'_>) -> Option<()> {
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => {
                    let new = self.eval(*v, e)?;
                    *e.map.get_mut(v.index())? = Some(new);
                }
                Stmt::Store { place, value, .. } => {
                    if self.depth > 0
                        || !matches!(place.space, Space::Der | Space::Var | Space::Res | Space::Jac)
                    {
                        return None;
                    }
                    let mut value = e.get(*value)?;
                    if self.line.values.get(value.index())?.1 == Ty::Bool {
                        value = self.push(Op::BoolToF(value), Ty::F64)?;
                    }
                    let slot = e.slot(&place.at)?;
                    self.line.stores.insert((place.space, slot), value);
                }
                Stmt::For(l) => self.rounds(l, e)?,
                Stmt::If(i) => self.branch(i, e)?,
                Stmt::Solve(_) | Stmt::SolveTangent(_) => return None,
            }
        }
        Some(())
    }

    fn rounds(&mut self, l: &For, e: &mut Frame<'_>) -> Option<()> {
        let mut carried = l.carries.iter().map(|c| e.get(c.init)).collect::<Option<Vec<_>>>()?;
        for k in 0..l.hi.checked_sub(l.lo)? {
            self.budget = self.budget.checked_sub(1)?;
            *e.at.get_mut(l.index.index())? = if l.reverse { l.hi - 1 - k } else { l.lo + k };
            for (c, &v) in l.carries.iter().zip(&carried) {
                *e.map.get_mut(c.var.index())? = Some(v);
            }
            self.region(&l.body, e)?;
            carried = l.carries.iter().map(|c| e.get(c.next)).collect::<Option<Vec<_>>>()?;
        }
        for (c, &v) in l.carries.iter().zip(&carried) {
            *e.map.get_mut(c.result.index())? = Some(v);
        }
        Some(())
    }

    /// Both sides, and a choice.
    fn branch(&mut self, i: &If, e: &mut Frame<'_>) -> Option<()> {
        let cond = e.get(i.cond)?;
        self.depth += 1;
        self.region(&i.then, e)?;
        self.region(&i.otherwise, e)?;
        self.depth -= 1;
        for &(result, a, b) in &i.results {
            let ty = e.kernel.values.get(result.index())?.ty;
            let chosen = self.push(Op::Select(cond, e.get(a)?, e.get(b)?), ty)?;
            *e.map.get_mut(result.index())? = Some(chosen);
        }
        Some(())
    }

    fn eval(&mut self, v: Value, e: &mut Frame<'_>) -> Option<Value> {
        let data = e.kernel.values.get(v.index())?;
        let op = match &data.op {
            Op::Load(place) => {
                let slot = e.slot(&place.at)?;
                if let Some(&known) = self.line.stores.get(&(place.space, slot)) {
                    return Some(known);
                }
                // `Jac`: where blocks begin, and pieces of tables.
                use Space::{Disc, Input, Jac, Param, State, Time};
                if !matches!(place.space, Time | State | Param | Input | Disc | Jac) {
                    return None;
                }
                Op::Load(Place { space: place.space, at: Affine::constant(slot) })
            }
            Op::LoadAt { place, at, len, stride, origin } => {
                if self.depth > 0 || !matches!(place.space, Space::Param | Space::Input | Space::Disc) {
                    return None;
                }
                let place = Place { space: place.space, at: Affine::constant(e.slot(&place.at)?) };
                Op::LoadAt { place, at: e.get(*at)?, len: *len, stride: *stride, origin: *origin }
            }
            Op::IndexI(at) => Op::ConstI(e.slot(at)?),
            Op::IndexF(at) => Op::ConstF((e.slot(at)? as f64).to_bits()),
            Op::Arg(k) => return e.args.get(*k as usize).copied(),
            Op::Call(f, args) => {
                // functions call only earlier ones, so this recursion ends
                let function: &Function = self.functions.get(f.index())?;
                let args = args.iter().map(|&a| e.get(a)).collect::<Option<Vec<_>>>()?;
                let mut inner = Frame::of(&function.code, args);
                self.region(&function.code.body, &mut inner)?;
                return inner.get(function.result);
            }
            Op::Delay { .. } | Op::Table { .. } | Op::Carry | Op::Result => return None,
            op => {
                let mut op = op.clone();
                if op.operands().any(|o| e.get(o).is_none()) {
                    return None;
                }
                op.map_operands(|o| e.get(o).unwrap_or(o));
                op
            }
        };
        self.push(op, data.ty)
    }
}
