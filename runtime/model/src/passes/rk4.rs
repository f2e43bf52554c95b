//! Many classic Runge–Kutta steps as one kernel, with the states in registers from step to step.
//!
//! For `dx/dt = f(t, x)` and a fixed step `h` (Kutta 1901, order 4):
//! `k1 = f(t, x)`, `k2 = f(t + h/2, x + h/2·k1)`, `k3 = f(t + h/2, x + h/2·k2)`, `k4 = f(t + h, x + h·k3)`,
//! `x ← x + h/6·((k1 + 2·(k2 + k3)) + k4)`, each product with its sum as one FMA, and with as few operations as
//! `combine` finds. Step `n` begins at
//! `t0 + n·h`, so that neither drift nor the number of steps in a call changes a bit.
//!
//! The kernel reads the number of steps done so far from `TTime` and leaves the new number there; it
//! reads and writes `State` and `Time`, and leaves `Var` and `Der` alone: run `outputs` where they are
//! wanted.

mod combine;
mod lines;
mod turns;

use crate::ids::{Index, Value};
use crate::ir::{
    Affine, BinOp, Carry, CmpOp, For, If, Kernel, Op, Place, Region, Space, Stmt, Ty, ValueData,
};
use crate::program::Program;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// Most states of a fused kernel; with more, memory serves as well as registers.
const STATES: usize = 64;
/// Most values of a right-hand side with its loops unrolled.
const VALUES: usize = 1_000;

/// Steps of size `h` on the grid `t0 + n·h`: kernels for any number of them, of which the step is made once.
#[derive(Debug)]
pub struct Steps {
    /// One step in a loop.
    kernel: Kernel,
    /// The states after a step, in the loop.
    next: Vec<Value>,
    /// How many steps there are.
    count: Value,
}

impl Steps {
    /// `None` where it would not pay or cannot be done: more than 64 states or about 1,000 operations, an
    /// algebraic block, a delay, an index that depends on the states, a variable that keeps its value from an
    /// earlier call.
    #[must_use]
    pub fn new(program: &Program, t0: f64, h: f64) -> Option<Steps> {
        let n = program.sizes.state as usize;
        if n == 0 || n > STATES {
            return None;
        }
        let mut out = Kernel::new(format!("rk4 of {}", program.rhs.name));
        let index = out.index();
        let mut copy = Inline::begin(program, out);
        let x0: Vec<Value> = (0..n).map(|k| copy.before_loop(load(Space::State, k))).collect();
        let done = copy.before_loop(load(Space::TTime, 0));
        let x: Vec<Value> = (0..n).map(|_| copy.out.value(Op::Carry, Ty::F64)).collect();

        let round = copy.push(Op::IndexF(Affine::constant(0).plus(index, 1)));
        let number = copy.push(Op::Bin(BinOp::Add, done, round));
        let next = copy.rk4(number, &x, t0, h)?;
        let [h_, t0_] = [h, t0].map(|c| copy.constant(c));

        let Inline { mut out, before, region: body, .. } = copy;
        let results: Vec<Value> = (0..n).map(|_| out.value(Op::Result, Ty::F64)).collect();
        let carries =
            (0..n).map(|i| Carry { var: x[i], init: x0[i], next: next[i], result: results[i] }).collect();
        let mut code = before;
        code.push(Stmt::For(Box::new(For { index, lo: 0, hi: 1, reverse: false, carries, body })));
        let mut eval = |code: &mut Region, op| {
            let v = out.value(op, Ty::F64);
            code.push(Stmt::Eval(v));
            v
        };
        code.extend(results.iter().enumerate().map(|(k, &v)| store(Space::State, k, v)));
        let count = eval(&mut code, Op::ConstF(1f64.to_bits()));
        let total = eval(&mut code, Op::Bin(BinOp::Add, done, count));
        let since = eval(&mut code, Op::Bin(BinOp::Mul, total, h_));
        let time = eval(&mut code, Op::Bin(BinOp::Add, t0_, since));
        code.push(store(Space::TTime, 0, total));
        code.push(store(Space::Time, 0, time));
        out.body = code;
        Some(Steps { kernel: out, next, count })
    }

    /// So many steps.
    #[must_use]
    pub fn many(&self, steps: u32) -> Kernel {
        self.with(steps, |_| {})
    }

    /// As [`Steps::many`], with the states after each step in `Jac`, state by state: one for each step, and the first of a
    /// state so many slots `apart` from the first of the state before.
    #[must_use]
    pub fn kept(&self, steps: u32, apart: u32) -> Kernel {
        self.with(steps, |each| {
            let index = each.index;
            each.body.extend(self.next.iter().enumerate().map(|(k, &value)| {
                let at = Affine::constant(k as i64 * i64::from(apart)).plus(index, 1);
                store_at(Place { space: Space::Jac, at }, value)
            }));
        })
    }

    fn with(&self, steps: u32, change: impl FnOnce(&mut For)) -> Kernel {
        let mut kernel = self.kernel.clone();
        kernel.values[self.count.index()].op = Op::ConstF(f64::from(steps).to_bits());
        let each = kernel.body.iter_mut().find_map(|stmt| match stmt {
            Stmt::For(each) => Some(each),
            _ => None,
        });
        if let Some(each) = each {
            each.hi = i64::from(steps);
            change(each);
        }
        kernel
    }
}

fn store_at(place: Place, value: Value) -> Stmt {
    Stmt::Store { place, value, origin: crate::ids::OriginId(0) }
}

fn store(space: Space, slot: usize, value: Value) -> Stmt {
    store_at(Place { space, at: Affine::constant(slot as i64) }, value)
}

/// A method whose step is a kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stepped {
    /// Explicit Euler: `x + (t' − t)·f(t, x)` with one rounding each.
    Euler,
    /// The classic method, as in [`Steps`].
    Rk4,
}

/// One step on the grid `t0 + n·h` as a kernel without a loop, to be run any number of times.
///
/// It reads and writes `State`. Where the right-hand side reads the time, and for Euler's method, it reads `n` from
/// `TTime` and leaves `n + 1` there; otherwise it does not know the time. `Time`, `Var` and `Der` are left alone.
/// `None` as for [`Steps::new`].
#[must_use]
pub fn step(program: &Program, method: Stepped, t0: f64, h: f64) -> Option<Kernel> {
    let n = program.sizes.state as usize;
    if n == 0 || n > STATES {
        return None;
    }
    let mut copy = Inline::begin(program, Kernel::new(format!("step of {}", program.rhs.name)));
    let x: Vec<Value> = (0..n).map(|k| copy.before_loop(load(Space::State, k))).collect();
    let number = copy.before_loop(load(Space::TTime, 0));
    let one = copy.constant(1.0);
    let after = copy.push(Op::Bin(BinOp::Add, number, one));
    let next = match method {
        Stepped::Rk4 => copy.rk4(number, &x, t0, h)?,
        Stepped::Euler => {
            let [h_, t0_] = [h, t0].map(|c| copy.constant(c));
            let [t, t1] = [number, after].map(|k| {
                let since = copy.push(Op::Bin(BinOp::Mul, k, h_));
                copy.push(Op::Bin(BinOp::Add, t0_, since))
            });
            copy.euler(t, t1, &x)?
        }
    };
    let timed = method == Stepped::Euler || reads_time(&program.rhs);
    Some(copy.finish(&next, timed.then_some(after)))
}

/// One step from `Time` to the instant in `TTime`, which need be no point of a grid: how a run ends between two of
/// them. The sums are those of the integrators' steps without fused code, not of [`Steps`]. It writes `State` only.
/// `None` as for [`Steps::new`].
#[must_use]
pub fn cut(program: &Program, method: Stepped) -> Option<Kernel> {
    let n = program.sizes.state as usize;
    if n == 0 || n > STATES {
        return None;
    }
    let mut copy = Inline::begin(program, Kernel::new(format!("last step of {}", program.rhs.name)));
    let x: Vec<Value> = (0..n).map(|k| copy.before_loop(load(Space::State, k))).collect();
    let t = copy.before_loop(load(Space::Time, 0));
    let t1 = copy.before_loop(load(Space::TTime, 0));
    let next = match method {
        Stepped::Euler => copy.euler(t, t1, &x)?,
        Stepped::Rk4 => copy.plain_rk4(t, t1, &x)?,
    };
    Some(copy.finish(&next, None))
}

/// Whether a kernel reads the time, or something that may.
fn reads_time(kernel: &Kernel) -> bool {
    kernel.values.iter().any(|v| match &v.op {
        Op::Load(place) | Op::LoadAt { place, .. } => place.space == Space::Time,
        Op::Delay { .. } => true,
        _ => false,
    })
}

fn load(space: Space, slot: usize) -> Op {
    Op::Load(Place { space, at: Affine::constant(slot as i64) })
}

/// Copies the right-hand side into a kernel, any number of times, with values in place of the slots it reads and writes.
#[derive(Debug)]
pub struct Inline<'a> {
    rhs: Arc<Kernel>,
    program: &'a Program,
    out: Kernel,
    /// Code before the loop over steps.
    before: Region,
    /// Code being written.
    region: Region,
    constants: FxHashMap<u64, Value>,
    /// Slots that no step changes, loaded before the loop.
    loaded: FxHashMap<(Space, i64), Value>,
    /// Values that no step changes.
    unchanged: FxHashSet<Value>,
    /// Operations on these, done before the loop.
    done_once: FxHashMap<Op, Value>,
    /// Whether roundings of the right-hand side are decided here.
    tight: bool,
    /// Its values that follow states.
    lines: lines::Lines,
    /// Angles of its sines and cosines.
    turns: turns::Turns,
    /// How many more values may be made.
    budget: usize,
    /// What evaluations of the right-hand side left in `Jac`.
    evaluations: Vec<Given>,
}

/// What stands in slots that a kernel reads.
pub type Given = FxHashMap<(Space, i64), Value>;

/// One evaluation of the right-hand side.
struct Evaluation<'x> {
    kernel: Arc<Kernel>,
    time: Value,
    x: &'x [Value],
    /// In place of what stands in memory.
    given: &'x Given,
    written: FxHashMap<(Space, i64), Value>,
    map: Vec<Option<Value>>,
    at: Vec<Option<i64>>,
}

impl<'a> Inline<'a> {
    /// An empty kernel of this name.
    #[must_use]
    pub fn of(program: &'a Program, name: String) -> Self {
        let mut copy = Self::begin(program, Kernel::new(name));
        copy.budget *= 2;
        copy
    }

    /// The same for a kernel that may become so many values longer than others.
    #[must_use]
    pub fn of_length(program: &'a Program, name: String, values: usize) -> Self {
        let mut copy = Self::of(program, name);
        copy.budget += values;
        copy
    }

    /// What comes after the code of a kernel that is there.
    #[must_use]
    pub fn after(program: &'a Program, mut kernel: Kernel) -> Self {
        let before = std::mem::take(&mut kernel.body);
        Self { before, ..Self::begin(program, kernel) }
    }

    /// Appends a statement.
    pub fn statement(&mut self, stmt: Stmt) {
        self.region.push(stmt);
    }

    /// The kernel.
    #[must_use]
    pub fn kernel(self) -> Kernel {
        self.finish(&[], None)
    }

    fn begin(program: &'a Program, out: Kernel) -> Self {
        Self {
            rhs: Arc::new(program.rhs.clone()),
            program,
            out,
            before: Region::new(),
            region: Region::new(),
            constants: FxHashMap::default(),
            loaded: FxHashMap::default(),
            unchanged: FxHashSet::default(),
            done_once: FxHashMap::default(),
            tight: false,
            lines: lines::Lines::default(),
            turns: turns::Turns::default(),
            budget: 4 * VALUES,
            evaluations: Vec::new(),
        }
    }

    /// The kernel that leaves `next` in the states, and perhaps the number of the next step in `TTime`.
    fn finish(self, next: &[Value], number: Option<Value>) -> Kernel {
        let Inline { mut out, before, region, .. } = self;
        out.body = before;
        out.body.extend(region);
        out.body.extend(next.iter().enumerate().map(|(k, &v)| store(Space::State, k, v)));
        out.body.extend(number.map(|v| store(Space::TTime, 0, v)));
        out
    }

    fn euler(&mut self, t: Value, t1: Value, x: &[Value]) -> Option<Vec<Value>> {
        let h = self.push(Op::Bin(BinOp::Sub, t1, t));
        let k = self.rhs(t, x)?;
        Some(
            (0..x.len())
                .map(|i| {
                    let d = self.push(Op::Bin(BinOp::Mul, h, k[i]));
                    self.push(Op::Bin(BinOp::Add, x[i], d))
                })
                .collect(),
        )
    }

    /// A step from `t` to `t1`, each operation rounded.
    fn plain_rk4(&mut self, t: Value, t1: Value, x: &[Value]) -> Option<Vec<Value>> {
        let n = x.len();
        let [half, six, two] = [0.5, 6.0, 2.0].map(|c| self.constant(c));
        let h = self.push(Op::Bin(BinOp::Sub, t1, t));
        let later = self.push(Op::Bin(BinOp::Mul, half, h));
        let middle = self.push(Op::Bin(BinOp::Add, t, later));
        let mut k = vec![self.rhs(t, x)?];
        for (c, at) in [(Some(half), middle), (Some(half), middle), (None, t1)] {
            let last = k.len() - 1;
            let xs: Vec<Value> = (0..n)
                .map(|i| {
                    let s = match c {
                        Some(c) => self.push(Op::Bin(BinOp::Mul, c, k[last][i])),
                        None => k[last][i],
                    };
                    let d = self.push(Op::Bin(BinOp::Mul, h, s));
                    self.push(Op::Bin(BinOp::Add, x[i], d))
                })
                .collect();
            let more = self.rhs(at, &xs)?;
            k.push(more);
        }
        let sixth = self.push(Op::Bin(BinOp::Div, h, six));
        let next = (0..n).map(|i| {
            let s = self.push(Op::Bin(BinOp::Add, k[1][i], k[2][i]));
            let s = self.push(Op::Bin(BinOp::Mul, two, s));
            let s = self.push(Op::Bin(BinOp::Add, k[0][i], s));
            let s = self.push(Op::Bin(BinOp::Add, s, k[3][i]));
            let d = self.push(Op::Bin(BinOp::Mul, sixth, s));
            self.push(Op::Bin(BinOp::Add, x[i], d))
        });
        Some(next.collect())
    }

    fn before_loop(&mut self, op: Op) -> Value {
        let v = self.out.value(op, Ty::F64);
        self.before.push(Stmt::Eval(v));
        v
    }

    /// A constant.
    pub fn constant(&mut self, c: f64) -> Value {
        if let Some(&v) = self.constants.get(&c.to_bits()) {
            return v;
        }
        let v = self.before_loop(Op::ConstF(c.to_bits()));
        self.constants.insert(c.to_bits(), v);
        self.unchanged.insert(v);
        v
    }

    /// Appends a value.
    pub fn push_as(&mut self, op: Op, ty: Ty) -> Value {
        let v = self.out.value(op, ty);
        self.region.push(Stmt::Eval(v));
        v
    }

    fn push(&mut self, op: Op) -> Value {
        self.push_as(op, Ty::F64)
    }

    /// `f(time, x)`: the right-hand side with its loops written out. `None` as for [`Steps::new`].
    pub fn rhs(&mut self, time: Value, x: &[Value]) -> Option<Vec<Value>> {
        self.rhs_given(time, x, &Given::default())
    }

    /// The same with values in place of inputs, by slot.
    pub fn rhs_given(&mut self, time: Value, x: &[Value], given: &Given) -> Option<Vec<Value>> {
        let held = self.held(x)?;
        let written = self.put(self.rhs.clone(), time, &held, given)?;
        if !self.program.blocks.is_empty() {
            let mut left = written.clone();
            left.retain(|k, _| k.0 == Space::Jac);
            self.evaluations.push(left);
        }
        (0..x.len()).map(|k| written.get(&(Space::Der, k as i64)).copied()).collect()
    }

    /// The states that are held at limits, and whether each is on one or beyond.
    pub fn on_limits(&mut self, x: &[Value]) -> Option<Vec<(usize, Value)>> {
        let program = self.program;
        let mut all = Vec::new();
        for c in &program.clamps {
            let Some(v) = program.schema.vars.get(c.var.index()).filter(|v| v.space == Space::State) else {
                continue;
            };
            for j in 0..v.len {
                let state = (v.base + j) as usize;
                let value = *x.get(state)?;
                for (slot, op) in [(c.lo, CmpOp::Le), (c.hi, CmpOp::Ge)] {
                    let Some(slot) = slot else { continue };
                    let limit = self.unchanging(Space::Param, i64::from(slot + j))?;
                    all.push((state, self.push_as(Op::Cmp(op, value, limit), Ty::Bool)));
                }
            }
        }
        Some(all)
    }

    /// An evaluation that others have written left this in `Jac`.
    pub(super) fn leaves(&mut self, left: Given) {
        self.evaluations.push(left);
    }

    /// What the last evaluation of the right-hand side left in a slot of `Jac` ([`super::straight`]).
    #[must_use]
    pub fn left(&self, slot: u32) -> Option<Value> {
        self.evaluations.last()?.get(&(Space::Jac, i64::from(slot))).copied()
    }

    /// The product of what all of them left in a slot.
    pub fn fine(&mut self, slot: u32) -> Option<Value> {
        let all: Option<Vec<Value>> =
            self.evaluations.iter().map(|e| e.get(&(Space::Jac, i64::from(slot))).copied()).collect();
        let mut product = self.constant(1.0);
        for v in all? {
            product = self.push(Op::Bin(BinOp::Mul, product, v));
        }
        Some(product)
    }

    /// States as the right-hand side sees them: on the limit that they are held at where they are beyond it.
    pub fn held(&mut self, x: &[Value]) -> Option<Vec<Value>> {
        let mut held = x.to_vec();
        let program = self.program;
        for c in &program.clamps {
            let Some(v) = program.schema.vars.get(c.var.index()).filter(|v| v.space == Space::State) else {
                continue;
            };
            for j in 0..v.len {
                let place = held.get_mut((v.base + j) as usize)?;
                let value = *place;
                let mut now = value;
                // Of both, the lower limit goes first.
                for (slot, op) in [(c.hi, CmpOp::Gt), (c.lo, CmpOp::Lt)] {
                    let Some(slot) = slot else { continue };
                    let limit = self.unchanging(Space::Param, i64::from(slot + j))?;
                    let beyond = self.push_as(Op::Cmp(op, value, limit), Ty::Bool);
                    now = self.push(Op::Select(beyond, limit, now));
                }
                *place = now;
            }
        }
        Some(held)
    }

    /// A kernel of the program that writes derivatives or variables, or their tangents, at a point, with values in place of
    /// inputs and tangents; what it wrote. `None` as for [`Steps::new`].
    pub fn put(
        &mut self,
        kernel: Arc<Kernel>,
        time: Value,
        x: &[Value],
        given: &Given,
    ) -> Option<FxHashMap<(Space, i64), Value>> {
        Some(self.evaluate(kernel, time, x, given)?.written)
    }

    /// A kernel that stores nothing, at a point: what each of its values has become.
    pub fn values(&mut self, kernel: Arc<Kernel>, time: Value, x: &[Value]) -> Option<Vec<Option<Value>>> {
        let given = Given::default();
        let values = self.evaluate(kernel, time, x, &given)?.map;
        Some(values)
    }

    fn evaluate<'e>(
        &mut self,
        kernel: Arc<Kernel>,
        time: Value,
        x: &'e [Value],
        given: &'e Given,
    ) -> Option<Evaluation<'e>> {
        let mut e = Evaluation {
            time,
            x,
            given,
            written: FxHashMap::default(),
            map: vec![None; kernel.values.len()],
            at: vec![None; kernel.indices as usize],
            kernel: kernel.clone(),
        };
        self.statements(&kernel.body, &mut e, true)?;
        Some(e)
    }

    fn statements(&mut self, region: &[Stmt], e: &mut Evaluation<'_>, may_store: bool) -> Option<()> {
        let kernel = e.kernel.clone();
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => {
                    let new = match self.along(*v, &kernel) {
                        Some(new) => new,
                        None => self.value(kernel.values.get(v.index())?, e)?,
                    };
                    self.remember(*v, new, e)?;
                    *e.map.get_mut(v.index())? = Some(new);
                }
                Stmt::Store { place, value, .. } => {
                    let kept = matches!(
                        place.space,
                        Space::Der | Space::Var | Space::TDer | Space::TVar | Space::Res | Space::Jac
                    );
                    if !may_store || !kept {
                        return None;
                    }
                    let mut value = e.get(*value)?;
                    if self.out.values[value.index()].ty == Ty::Bool {
                        value = self.push(Op::BoolToF(value));
                    }
                    e.written.insert((place.space, e.slot(&place.at)?), value);
                }
                Stmt::For(l) => self.unroll(l, e, may_store)?,
                Stmt::If(i) => self.branch(i, e)?,
                Stmt::Solve(_) | Stmt::SolveTangent(_) => return None,
            }
        }
        Some(())
    }

    fn unroll(&mut self, l: &For, e: &mut Evaluation<'_>, may_store: bool) -> Option<()> {
        let mut carried = l.carries.iter().map(|c| e.get(c.init)).collect::<Option<Vec<_>>>()?;
        let rounds = l.hi.checked_sub(l.lo)?.max(0);
        if usize::try_from(rounds).ok()? > VALUES {
            return None;
        }
        for k in 0..rounds {
            self.budget = self.budget.checked_sub(1)?;
            *e.at.get_mut(l.index.index())? = Some(if l.reverse { l.hi - 1 - k } else { l.lo + k });
            for (c, &value) in l.carries.iter().zip(&carried) {
                *e.map.get_mut(c.var.index())? = Some(value);
            }
            self.statements(&l.body, e, may_store)?;
            carried = l.carries.iter().map(|c| e.get(c.next)).collect::<Option<Vec<_>>>()?;
        }
        *e.at.get_mut(l.index.index())? = None;
        for (c, &value) in l.carries.iter().zip(&carried) {
            *e.map.get_mut(c.result.index())? = Some(value);
        }
        Some(())
    }

    fn branch(&mut self, i: &If, e: &mut Evaluation<'_>) -> Option<()> {
        let cond = e.get(i.cond)?;
        let outer = std::mem::take(&mut self.region);
        self.statements(&i.then, e, false)?;
        let then = std::mem::take(&mut self.region);
        self.statements(&i.otherwise, e, false)?;
        let otherwise = std::mem::replace(&mut self.region, outer);
        let mut results = Vec::with_capacity(i.results.len());
        for &(result, a, b) in &i.results {
            let ty = e.kernel.values.get(result.index())?.ty;
            let new = self.out.value(Op::Result, ty);
            results.push((new, e.get(a)?, e.get(b)?));
            *e.map.get_mut(result.index())? = Some(new);
        }
        self.region.push(Stmt::If(Box::new(If { cond, then, otherwise, results })));
        Some(())
    }

    /// A slot of a space that no step changes, as long as it lasts.
    fn unchanging(&mut self, space: Space, slot: i64) -> Option<Value> {
        if !matches!(space, Space::Param | Space::Input | Space::Disc | Space::Jac) {
            return None;
        }
        if let Some(&v) = self.loaded.get(&(space, slot)) {
            return Some(v);
        }
        let v = self.before_loop(Op::Load(Place { space, at: Affine::constant(slot) }));
        self.loaded.insert((space, slot), v);
        self.unchanged.insert(v);
        Some(v)
    }

    fn value(&mut self, data: &ValueData, e: &Evaluation<'_>) -> Option<Value> {
        self.budget = self.budget.checked_sub(1)?;
        let op = match &data.op {
            Op::ConstF(bits) => return Some(self.constant(f64::from_bits(*bits))),
            Op::Load(place) => {
                let slot = e.slot(&place.at)?;
                if let Some(&v) = e.given.get(&(place.space, slot)) {
                    return Some(v);
                }
                return match place.space {
                    Space::State => e.x.get(usize::try_from(slot).ok()?).copied(),
                    Space::Time => Some(e.time),
                    Space::Jac if !e.written.contains_key(&(Space::Jac, slot)) => {
                        self.unchanging(Space::Jac, slot)
                    }
                    Space::Var | Space::Der | Space::TVar | Space::TDer | Space::Res | Space::Jac => {
                        e.written.get(&(place.space, slot)).copied()
                    }
                    space => self.unchanging(space, slot),
                };
            }
            Op::LoadAt { place, at, len, stride, origin } => {
                let fixed = matches!(place.space, Space::Param | Space::Input | Space::Disc);
                if !fixed || e.given.keys().any(|k| k.0 == place.space) {
                    return None;
                }
                let place = Place { space: place.space, at: Affine::constant(e.slot(&place.at)?) };
                Op::LoadAt { place, at: e.get(*at)?, len: *len, stride: *stride, origin: *origin }
            }
            Op::IndexI(at) => Op::ConstI(e.slot(at)?),
            Op::IndexF(at) => Op::ConstF((e.slot(at)? as f64).to_bits()),
            Op::Un(op, a) => Op::Un(*op, e.get(*a)?),
            Op::Bin(op, a, b) => Op::Bin(*op, e.get(*a)?, e.get(*b)?),
            Op::Fma(a, b, c) => Op::Fma(e.get(*a)?, e.get(*b)?, e.get(*c)?),
            Op::Cmp(op, a, b) => Op::Cmp(*op, e.get(*a)?, e.get(*b)?),
            Op::CmpI(op, a, b) => Op::CmpI(*op, e.get(*a)?, e.get(*b)?),
            Op::BoolBin(op, a, b) => Op::BoolBin(*op, e.get(*a)?, e.get(*b)?),
            Op::Not(a) => Op::Not(e.get(*a)?),
            Op::Select(c, a, b) => Op::Select(e.get(*c)?, e.get(*a)?, e.get(*b)?),
            Op::Int(op, a, b) => Op::Int(*op, e.get(*a)?, e.get(*b)?),
            Op::BoolToF(a) => Op::BoolToF(e.get(*a)?),
            Op::FToBool(a) => Op::FToBool(e.get(*a)?),
            Op::FToI(a) => Op::FToI(e.get(*a)?),
            Op::IToF(a) => Op::IToF(e.get(*a)?),
            Op::BitsToF(a) => Op::BitsToF(e.get(*a)?),
            Op::FToBits(a) => Op::FToBits(e.get(*a)?),
            Op::Math(f, args) => match self.turned(*f, args, e)? {
                Some(new) => return Some(new),
                None => Op::Math(*f, e.all(args)?),
            },
            Op::Call(f, args) => Op::Call(*f, e.all(args)?),
            Op::Table { table, x, order } => Op::Table { table: *table, x: e.get(*x)?, order: *order },
            Op::ConstI(_) | Op::ConstB(_) => data.op.clone(),
            Op::Delay { .. } | Op::Arg(_) | Op::Carry | Op::Result => return None,
        };
        Some(match self.tightened(op) {
            Ok(v) => v,
            Err(op) => self.push_as(op, data.ty),
        })
    }
}

impl Evaluation<'_> {
    fn get(&self, v: Value) -> Option<Value> {
        self.map.get(v.index()).copied().flatten()
    }

    fn all(&self, args: &[Value]) -> Option<Vec<Value>> {
        args.iter().map(|&v| self.get(v)).collect()
    }

    /// An affine function where every index has a value.
    fn slot(&self, at: &Affine) -> Option<i64> {
        at.terms.iter().try_fold(at.base, |sum, &(i, stride): &(Index, i64)| {
            sum.checked_add(stride.checked_mul(self.at.get(i.index()).copied().flatten()?)?)
        })
    }
}
