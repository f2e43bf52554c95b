//! Kernels without what each run does in its own time: algebraic loops and pieces of tables.
//!
//! In: a program and a first free slot of `Jac`. Out: a program whose right-hand side, root functions and outputs are
//! straight lines for many runs at once, and what has to stand in slots of `Jac` for them ([`Straight`]).
//!
//! - An algebraic block becomes Newton's iteration written out, operation by operation that of a host that solves it run by
//!   run (partial pivoting and the natural monotonicity test included), as far as every correction is taken in full and so
//!   many of them do. Where they do not, a slot says so, and the run goes on alone.
//! - A table of time whose value or slope jumps at its samples is looked up on one piece from event to event. That piece
//!   is a few numbers in slots. A small table of anything else is written out with all its pieces ([`tables`]).
//!
//! Refused: blocks of more than [`UNKNOWNS`] unknowns, without a symbolic Jacobian, within loops or branches, or within
//! other blocks.

#![allow(clippy::needless_range_loop, reason = "rows and columns of a matrix")]

mod tables;

use super::sparsity::each;
use crate::ids::{BlockId, Index, OriginId, Value};
use crate::ir::{
    Affine, BinOp, BoolOp, Carry, CmpOp, For, If, Kernel, Op, Place, Region, Space, Stmt, Ty, UnOp,
};
use crate::program::{Block, Jacobian, Program};
use rustc_hash::FxHashMap;
use std::sync::Arc;
pub use tables::{PIECES, Piece, SAMPLES, by_piece, in_line};

/// Most unknowns of a block.
pub const UNKNOWNS: usize = 6;
/// Corrections that are written out for a block that is not linear.
const CORRECTIONS: usize = 6;
/// Most values of a kernel.
const VALUES: usize = 50_000;

/// What a host solves blocks by, and what it takes for the next point of the same branch.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limits {
    /// Corrections below this part of an unknown's weight end the iteration.
    pub close: f64,
    /// Corrections that no longer shrink are rounding when they are below this part.
    pub rounding: f64,
    /// What a first correction may leave of itself.
    pub contraction: f64,
    /// How far beside the place ahead a solution may lie, as part of what it moves or has lately moved.
    pub beside: f64,
    /// The same where the sign of the determinant speaks for it.
    pub aside: f64,
    /// By how much longer than the last movement it leads anywhere.
    pub reach: f64,
    /// How much farther than lately it may move.
    pub growth: f64,
    /// The same as part of an unknown's size: so little is no other branch.
    pub speck: f64,
}

/// What becomes of trust in an unknown that was not seen coming well, and not at all: by so many steps it is won back.
pub const DOUBT: f64 = -3.0;
/// See [`DOUBT`].
pub const DISTRUST: f64 = -8.0;

/// What is remembered of an unknown's movements from step to step.
pub const FADING: f64 = 0.875;

/// Slots of `Jac` for algebraic blocks.
#[derive(Clone, PartialEq, Debug)]
pub struct Guesses {
    /// 1 where all went well, 0 where a run has to go on alone.
    pub fine: u32,
    /// By block: the unknowns as they were last accepted, one slot each, one block after the other; `None`: it is not solved
    /// here. Behind those of all blocks stand when that was and how long the movement there took, and by unknown the slope of
    /// it, how that has changed, how far it has lately moved from step to step, whether that was seen coming, and the
    /// sign of the determinant: Newton begins where that leads.
    pub blocks: Vec<Option<u32>>,
    /// First slot of all unknowns.
    pub first: u32,
    /// Number of unknowns.
    pub len: u32,
    /// What a host takes for the next point of a branch.
    pub limits: Limits,
    /// The smallest sizes that unknowns are measured by.
    pub least: Vec<f64>,
    /// The right-hand side with the unknowns given, for what differentiates it: they stand in slots of `State` behind the
    /// states, their residuals go to slots of `Der` behind the derivatives, both in the order of the guesses.
    pub given: Arc<Kernel>,
}

impl Guesses {
    /// Slots from the first on that say where Newton begins.
    #[must_use]
    pub fn kept(&self) -> u32 {
        7 * self.len + 2
    }

    /// When the unknowns were accepted, of those that begin at `first`.
    #[must_use]
    pub fn since(&self, first: u32) -> u32 {
        first + self.len
    }

    /// How long the last movement took.
    #[must_use]
    pub fn lapse(&self, first: u32) -> u32 {
        first + self.len + 1
    }

    /// Its slopes.
    #[must_use]
    pub fn slopes(&self, first: u32) -> u32 {
        first + self.len + 2
    }

    /// How they have changed.
    #[must_use]
    pub fn bends(&self, first: u32) -> u32 {
        first + 2 * self.len + 2
    }

    /// How far they have lately moved.
    #[must_use]
    pub fn moves(&self, first: u32) -> u32 {
        first + 3 * self.len + 2
    }

    /// Whether they were seen coming well: negative where not.
    #[must_use]
    pub fn trust(&self, first: u32) -> u32 {
        first + 4 * self.len + 2
    }

    /// The same, at all.
    #[must_use]
    pub fn faith(&self, first: u32) -> u32 {
        first + 5 * self.len + 2
    }

    /// The sign of the determinant of their block's Jacobian.
    #[must_use]
    pub fn signs(&self, first: u32) -> u32 {
        first + 6 * self.len + 2
    }

    /// Where the solution of the last evaluation stands, in the order of the guesses, and behind it the time of it.
    #[must_use]
    pub fn found(&self) -> u32 {
        self.first + self.kept()
    }

    /// Where the last step's guesses stand, once it is done: as many slots as from the first on.
    #[must_use]
    pub fn before(&self) -> u32 {
        self.found() + self.len + 1
    }
}

/// The kernels, and what has to stand in slots of `Jac` for them.
#[derive(Clone, Debug)]
pub struct Straight {
    /// With other `rhs`, `roots` and `outputs`, another `jvp` where that solves no blocks, and a longer `Jac`.
    pub program: Program,
    /// Whether `roots` and `outputs` could be written out; those that could not must not be run.
    pub whole: [bool; 2],
    /// Tables and the first slots of their pieces.
    pub tables: Vec<(usize, u32)>,
    /// Of blocks.
    pub guesses: Option<Guesses>,
}

/// The kernels. `room` is the first free slot of `Jac`; `weight` the typical magnitude of what stands in a slot.
/// `None` where the right-hand side is refused.
#[must_use]
pub fn straight(
    program: &Program,
    room: u32,
    limits: Limits,
    weight: &dyn Fn(Space, usize) -> f64,
) -> Option<Straight> {
    let mut next = room;
    let mut take = |len: u32| {
        let first = next;
        next = next.checked_add(len)?;
        Some(first)
    };
    let mut tables = Vec::new();
    for (k, _) in program.tables.iter().enumerate().filter(|(_, t)| by_piece(t)) {
        tables.push((k, take(PIECES)?));
    }
    let mut guesses = None;
    let mut scratch = 0;
    if program.blocks.iter().any(|b| !b.initial_only) {
        let fine = take(1)?;
        let len = program.blocks.iter().filter(|b| !b.initial_only).map(|b| b.n).sum();
        let first = take(7 * len + 2)?;
        let mut at = first;
        let blocks = program.blocks.iter().map(|b| {
            (!b.initial_only).then(|| {
                at += b.n;
                at - b.n
            })
        });
        let unknowns = program.blocks.iter().filter(|b| !b.initial_only).flat_map(|b| &b.unknowns);
        let places = unknowns.flat_map(|run| (run.base..run.base + run.len).map(|s| (run.space, s as usize)));
        let least = places.map(|(space, slot)| least(weight(space, slot))).collect();
        guesses = Some(Guesses {
            fine,
            blocks: blocks.collect(),
            first,
            len,
            limits,
            least,
            given: Arc::default(),
        });
        // the solution, and the guesses before
        take(8 * len + 3)?;
        // Jacobians leave their entries there, and what they add them up from.
        scratch = take(program.sizes.jac)?;
    }
    let ways = Ways { program, limits, weight, tables: &tables, guesses: guesses.as_ref(), scratch };
    let rhs = ways.kernel(&program.rhs, false)?;
    let [roots, outputs] = [&program.roots, &program.outputs].map(|k| ways.kernel(k, false));
    let whole = [roots.is_some(), outputs.is_some()];
    let jvp = program.jvp.as_ref().map(|k| ways.kernel(k, false).unwrap_or_else(|| k.clone()));
    let given = guesses.as_ref().map(|_| ways.kernel(&program.rhs, true));
    if let (Some(g), Some(given)) = (&mut guesses, given) {
        g.given = Arc::new(given?);
    }
    let mut sizes = program.sizes;
    sizes.jac = sizes.jac.max(next);
    let program = Program {
        rhs,
        roots: roots.unwrap_or_default(),
        outputs: outputs.unwrap_or_default(),
        jvp,
        sizes,
        ..program.clone()
    };
    Some(Straight { program, whole, tables, guesses })
}

/// How kernels are written out.
struct Ways<'p> {
    program: &'p Program,
    limits: Limits,
    weight: &'p dyn Fn(Space, usize) -> f64,
    tables: &'p [(usize, u32)],
    guesses: Option<&'p Guesses>,
    /// Where the values of Jacobians go.
    scratch: u32,
}

/// Of a kernel that is copied: what its values have become, and by how much its loop indices are moved.
struct Map {
    values: Vec<Option<Value>>,
    indices: u32,
    /// Where its residuals go, as slots of `Der`.
    residuals: Option<i64>,
}

/// A kernel being written.
struct Line<'w, 'p> {
    ways: &'w Ways<'p>,
    out: Kernel,
    region: Region,
    /// Whether all blocks so far were solved.
    fine: Option<Value>,
    /// Whether the unknowns of blocks are given.
    given: bool,
}

impl Ways<'_> {
    fn kernel(&self, from: &Kernel, given: bool) -> Option<Kernel> {
        let out = Kernel { indices: from.indices, ..Kernel::new(from.name.clone()) };
        let mut line = Line { ways: self, out, region: Region::new(), fine: None, given };
        let mut map = Map { values: vec![None; from.values.len()], indices: 0, residuals: None };
        line.statements(from, &from.body, &mut map, true)?;
        if let (Some(fine), Some(g)) = (line.fine, self.guesses) {
            line.store(Space::Jac, g.fine, fine);
        }
        line.out.body = line.region;
        (line.out.values.len() <= VALUES).then_some(line.out)
    }
}

impl Line<'_, '_> {
    fn push(&mut self, op: Op, ty: Ty) -> Value {
        let v = self.out.value(op, ty);
        self.region.push(Stmt::Eval(v));
        v
    }

    fn f(&mut self, op: Op) -> Value {
        self.push(op, Ty::F64)
    }

    fn c(&mut self, x: f64) -> Value {
        self.f(Op::ConstF(x.to_bits()))
    }

    fn bin(&mut self, op: BinOp, a: Value, b: Value) -> Value {
        self.f(Op::Bin(op, a, b))
    }

    fn cmp(&mut self, op: CmpOp, a: Value, b: Value) -> Value {
        self.push(Op::Cmp(op, a, b), Ty::Bool)
    }

    fn bool(&mut self, op: BoolOp, a: Value, b: Value) -> Value {
        self.push(Op::BoolBin(op, a, b), Ty::Bool)
    }

    fn select(&mut self, c: Value, a: Value, b: Value) -> Value {
        self.f(Op::Select(c, a, b))
    }

    fn load(&mut self, space: Space, slot: u32) -> Value {
        self.f(Op::Load(Place { space, at: Affine::constant(i64::from(slot)) }))
    }

    fn store(&mut self, space: Space, slot: u32, value: Value) {
        let place = Place { space, at: Affine::constant(i64::from(slot)) };
        self.region.push(Stmt::Store { place, value, origin: OriginId(0) });
    }

    fn abs(&mut self, a: Value) -> Value {
        self.f(Op::Un(UnOp::Abs, a))
    }

    /// Whether it is less than infinity; the sign of it is known.
    fn bounded(&mut self, size: Value) -> Value {
        let inf = self.c(f64::INFINITY);
        self.cmp(CmpOp::Lt, size, inf)
    }

    fn all(&mut self, of: Vec<Value>) -> Value {
        let mut all = None;
        for v in of {
            all = Some(match all {
                None => v,
                Some(a) => self.bool(BoolOp::And, a, v),
            });
        }
        match all {
            Some(all) => all,
            None => self.push(Op::ConstB(true), Ty::Bool),
        }
    }

    fn statements(&mut self, from: &Kernel, body: &[Stmt], map: &mut Map, top: bool) -> Option<()> {
        for stmt in body {
            if self.out.values.len() > VALUES {
                return None;
            }
            match stmt {
                Stmt::Eval(v) => {
                    let data = from.values.get(v.index())?;
                    let op = map.op(&data.op, i64::from(self.ways.scratch))?;
                    let new = match op {
                        Op::Table { table, x, order } => self.table(table, x, order)?,
                        op => self.push(op, data.ty),
                    };
                    *map.values.get_mut(v.index())? = Some(new);
                }
                Stmt::Store { place, value, origin } => {
                    let (mut place, value) = (map.place(place), map.get(*value)?);
                    match (place.space, map.residuals) {
                        (Space::Jac, _) => place.at.base += i64::from(self.ways.scratch),
                        (Space::Res, Some(first)) => {
                            (place.space, place.at.base) = (Space::Der, place.at.base + first);
                        }
                        _ => {}
                    }
                    self.region.push(Stmt::Store { place, value, origin: *origin });
                }
                Stmt::For(l) => {
                    let inits: Vec<Value> =
                        l.carries.iter().map(|c| map.get(c.init)).collect::<Option<_>>()?;
                    let ty = |v: Value| from.values.get(v.index()).map(|d| d.ty);
                    let mut vars = Vec::with_capacity(inits.len());
                    for c in &l.carries {
                        let var = self.out.value(Op::Carry, ty(c.var)?);
                        *map.values.get_mut(c.var.index())? = Some(var);
                        vars.push(var);
                    }
                    let body = self.inside(from, &l.body, map)?;
                    let mut carries = Vec::with_capacity(inits.len());
                    for ((c, init), var) in l.carries.iter().zip(inits).zip(vars) {
                        let next = map.get(c.next)?;
                        let result = self.out.value(Op::Result, ty(c.result)?);
                        *map.values.get_mut(c.result.index())? = Some(result);
                        carries.push(Carry { var, init, next, result });
                    }
                    let (lo, hi, reverse) = (l.lo, l.hi, l.reverse);
                    let index = map.index(l.index);
                    self.region.push(Stmt::For(Box::new(For { index, lo, hi, reverse, carries, body })));
                }
                Stmt::If(i) => {
                    let cond = map.get(i.cond)?;
                    let then = self.inside(from, &i.then, map)?;
                    let otherwise = self.inside(from, &i.otherwise, map)?;
                    let mut results = Vec::with_capacity(i.results.len());
                    for &(result, a, b) in &i.results {
                        let new = self.out.value(Op::Result, from.values.get(result.index())?.ty);
                        results.push((new, map.get(a)?, map.get(b)?));
                        *map.values.get_mut(result.index())? = Some(new);
                    }
                    self.region.push(Stmt::If(Box::new(If { cond, then, otherwise, results })));
                }
                Stmt::Solve(b) if top => self.solve(*b)?,
                Stmt::Solve(_) | Stmt::SolveTangent(_) => return None,
            }
        }
        Some(())
    }

    fn inside(&mut self, from: &Kernel, body: &[Stmt], map: &mut Map) -> Option<Region> {
        let outer = std::mem::take(&mut self.region);
        let done = self.statements(from, body, map, false);
        let inner = std::mem::replace(&mut self.region, outer);
        done.map(|()| inner)
    }

    /// Copies a kernel, with loop indices of its own.
    fn copy(&mut self, from: &Kernel, residuals: Option<i64>) -> Option<()> {
        let mut map = Map { values: vec![None; from.values.len()], indices: self.out.indices, residuals };
        self.out.indices += from.indices;
        self.statements(from, &from.body, &mut map, false)
    }

    /// A block, by Newton's iteration.
    fn solve(&mut self, id: BlockId) -> Option<()> {
        let program = self.ways.program;
        let block = program.blocks.get(id.index())?;
        let jacobian = block.jacobian.as_ref()?;
        let g = self.ways.guesses?;
        let first = (*g.blocks.get(id.index())?)?;
        let n = block.n as usize;
        if n == 0 || n > UNKNOWNS {
            return None;
        }
        let places: Vec<(Space, u32)> = block
            .unknowns
            .iter()
            .flat_map(|run| (run.base..run.base + run.len).map(|s| (run.space, s)))
            .collect();
        if places.len() != n {
            return None;
        }
        if self.given {
            let behind = program.sizes.state + (first - g.first);
            for (slot, &(space, at)) in (behind..).zip(&places) {
                let u = self.load(Space::State, slot);
                self.store(space, at, u);
            }
            return self.copy(&block.residual, Some(i64::from(behind)));
        }
        let newton = Newton { block, jacobian, places };
        let guess: Vec<Value> = (0..n as u32).map(|k| self.load(Space::Jac, first + k)).collect();
        let now = self.load(Space::Time, 0);
        let (u, fine) = if block.linear {
            self.linear(&newton, guess)?
        } else {
            let nth = first - g.first;
            let [since, lapse] = [g.since(g.first), g.lapse(g.first)].map(|s| self.load(Space::Jac, s));
            let ahead = self.bin(BinOp::Sub, now, since);
            let both = self.bin(BinOp::Add, ahead, lapse);
            let square = self.bin(BinOp::Mul, ahead, both);
            let way: Vec<Value> = (0..n as u32)
                .map(|k| {
                    let [slope, bend] =
                        [g.slopes(g.first), g.bends(g.first)].map(|s| self.load(Space::Jac, s + nth + k));
                    let straight = self.bin(BinOp::Mul, ahead, slope);
                    let bent = self.bin(BinOp::Mul, square, bend);
                    self.bin(BinOp::Add, straight, bent)
                })
                .collect();
            let begin = self.sums(&guess, &way);
            let sign = self.load(Space::Jac, g.signs(g.first) + nth);
            let (u, solved, came) = self.iteration(&newton, begin.clone(), sign)?;
            let [moves, trust, faith] = [g.moves(g.first), g.trust(g.first), g.faith(g.first)]
                .map(|s| (0..n as u32).map(|k| self.load(Space::Jac, s + nth + k)).collect());
            let near = self.near(&newton, &u, &Ahead { guess, begin, moves, trust, faith, sign }, came);
            let reach = self.c(self.ways.limits.reach);
            let reach = self.bin(BinOp::Mul, reach, lapse);
            let within = self.cmp(CmpOp::Le, ahead, reach);
            let near = self.bool(BoolOp::And, near, within);
            (u, self.bool(BoolOp::And, solved, near))
        };
        for (&(space, slot), &u) in newton.places.iter().zip(&u) {
            self.store(space, slot, u);
        }
        if writes_more(&block.residual) {
            self.copy(&block.residual, None)?;
        }
        for (k, &u) in u.iter().enumerate() {
            self.store(Space::Jac, g.found() + (first - g.first) + k as u32, u);
        }
        self.store(Space::Jac, g.found() + g.len, now);
        let fine = match self.fine {
            Some(before) => self.bool(BoolOp::And, before, fine),
            None => fine,
        };
        self.fine = Some(fine);
        Some(())
    }

    /// One correction from the guess, and one of refinement.
    fn linear(&mut self, b: &Newton<'_>, guess: Vec<Value>) -> Option<(Vec<Value>, Value)> {
        let (r, mut fine) = self.residual(b, &guess)?;
        let lu = self.factor(b)?;
        fine.push(lu.fine);
        let step = self.correction(&lu, &r);
        let (size, known) = self.size(b, &step, &guess);
        fine.push(known);
        let u: Vec<Value> = self.sums(&guess, &step);
        let (r, known) = self.residual(b, &u)?;
        fine.extend(known);
        let again = self.correction(&lu, &r);
        let (less, known) = self.size(b, &again, &u);
        // no number is not less
        let smaller = self.cmp(CmpOp::Le, less, size);
        let smaller = self.bool(BoolOp::And, smaller, known);
        let close = self.c(self.ways.limits.close);
        let far = self.cmp(CmpOp::Gt, size, close);
        let refine = self.bool(BoolOp::And, far, smaller);
        let refined = self.sums(&u, &again);
        let (_, known) = self.residual(b, &refined)?;
        let known = self.all(known);
        let as_is = self.push(Op::Not(refine), Ty::Bool);
        fine.push(self.bool(BoolOp::Or, known, as_is));
        let u = u.iter().zip(&refined).map(|(&u, &v)| self.select(refine, v, u)).collect();
        Some((u, self.all(fine)))
    }

    /// Whether a solution is the next point of the branch that the unknowns are on; `came` says that the first correction
    /// contracted, and that the sign of the determinant was the same all the way.
    fn near(&mut self, b: &Newton<'_>, u: &[Value], from: &Ahead, came: [Value; 2]) -> Value {
        let limits = self.ways.limits;
        let [growth, speck] = [limits.growth, limits.speck].map(|c| self.c(c));
        let [contracts, same] = came;
        let zero = self.c(0.0);
        let unknown = self.cmp(CmpOp::Eq, from.sign, zero);
        let own = self.bool(BoolOp::Or, unknown, same);
        let strict = self.bool(BoolOp::And, contracts, own);
        let mut all = [vec![strict], vec![same]];
        for (k, &u) in u.iter().enumerate() {
            let least = self.least(b, k);
            let size = self.abs(u);
            let size = self.most(size, least);
            let floor = self.bin(BinOp::Mul, speck, size);
            let step = self.bin(BinOp::Sub, u, from.guess[k]);
            let step = self.abs(step);
            let off = self.bin(BinOp::Sub, u, from.begin[k]);
            let off = self.abs(off);
            let moved = self.most(step, from.moves[k]);
            let most = self.bin(BinOp::Mul, growth, from.moves[k]);
            let most = self.most(most, floor);
            let come = self.cmp(CmpOp::Le, step, most);
            for (all, (beside, trust)) in
                all.iter_mut().zip([(limits.beside, from.trust[k]), (limits.aside, from.faith[k])])
            {
                let beside = self.c(beside);
                let wide = self.bin(BinOp::Mul, beside, moved);
                let wide = self.most(wide, floor);
                all.push(come);
                all.push(self.cmp(CmpOp::Ge, trust, zero));
                all.push(self.cmp(CmpOp::Le, off, wide));
            }
        }
        let [strict, lenient] = all.map(|all| self.all(all));
        self.bool(BoolOp::Or, strict, lenient)
    }

    /// The larger one; the second where one is no number.
    fn most(&mut self, a: Value, b: Value) -> Value {
        let more = self.cmp(CmpOp::Gt, a, b);
        self.select(more, a, b)
    }

    /// The smallest size that an unknown's corrections are measured by.
    fn least(&mut self, b: &Newton<'_>, k: usize) -> Value {
        let (space, slot) = b.places[k];
        self.c(least((self.ways.weight)(space, slot as usize)))
    }

    /// Corrections until they are small; whether they became so, and how: see [`Line::near`].
    fn iteration(
        &mut self,
        b: &Newton<'_>,
        guess: Vec<Value>,
        sign: Value,
    ) -> Option<(Vec<Value>, Value, [Value; 2])> {
        let (mut r, known) = self.residual(b, &guess)?;
        let mut fine = self.all(known);
        let mut u = guess;
        let mut done: Option<Value> = None;
        let mut came: Option<[Value; 2]> = None;
        let mut before = self.c(f64::INFINITY);
        for k in 0..CORRECTIONS {
            if k > 0 {
                // the point whose derivatives are asked for
                self.put(b, &u);
            }
            let lu = self.factor(b)?;
            let step = self.correction(&lu, &r);
            let (size, known) = self.size(b, &step, &u);
            let limits = self.ways.limits;
            let [close, rounding, half, part] = [limits.close, limits.rounding, 0.5, 0.75].map(|c| self.c(c));
            let small = self.cmp(CmpOp::Le, size, close);
            let near = self.cmp(CmpOp::Le, size, rounding);
            let least = self.bin(BinOp::Mul, half, before);
            let still = self.cmp(CmpOp::Ge, size, least);
            let near = self.bool(BoolOp::And, near, still);
            let last = self.bool(BoolOp::Or, small, near);
            let v = self.sums(&u, &step);
            let (s, there) = self.residual(b, &v)?;
            let simplified = self.correction(&lu, &s);
            // what is left is measured as the correction was
            let (next, number) = self.size(b, &simplified, &u);
            let limit = self.bin(BinOp::Mul, part, size);
            let less = self.cmp(CmpOp::Le, next, limit);
            let tiny = self.cmp(CmpOp::Le, next, close);
            let good = self.bool(BoolOp::Or, less, tiny);
            let good = self.bool(BoolOp::And, good, number);
            let good = self.bool(BoolOp::Or, last, good);
            let equal = self.cmp(CmpOp::Eq, lu.sign, sign);
            came = Some(match (came, done) {
                (Some([contracts, same]), Some(done)) => {
                    let equal = self.bool(BoolOp::Or, done, equal);
                    [contracts, self.bool(BoolOp::And, same, equal)]
                }
                _ => {
                    let contraction = self.c(limits.contraction);
                    let limit = self.bin(BinOp::Mul, contraction, size);
                    let less = self.cmp(CmpOp::Le, next, limit);
                    let contracts = self.bool(BoolOp::Or, less, tiny);
                    [self.bool(BoolOp::Or, last, contracts), equal]
                }
            });
            let there = self.all(there);
            let mut all = self.all(vec![lu.fine, known, there, good]);
            if let Some(done) = done {
                all = self.bool(BoolOp::Or, done, all);
                u = u.iter().zip(&v).map(|(&u, &v)| self.select(done, u, v)).collect();
                r = r.iter().zip(&s).map(|(&r, &s)| self.select(done, r, s)).collect();
            } else {
                (u, r) = (v, s);
            }
            fine = self.bool(BoolOp::And, fine, all);
            done = Some(match done {
                Some(done) => self.bool(BoolOp::Or, done, last),
                None => last,
            });
            before = size;
        }
        let fine = match done {
            Some(done) => self.bool(BoolOp::And, fine, done),
            None => fine,
        };
        Some((u, fine, came?))
    }

    fn sums(&mut self, a: &[Value], b: &[Value]) -> Vec<Value> {
        a.iter().zip(b).map(|(&a, &b)| self.bin(BinOp::Add, a, b)).collect()
    }

    /// Puts unknowns into their slots.
    fn put(&mut self, b: &Newton<'_>, u: &[Value]) {
        for (&(space, slot), &u) in b.places.iter().zip(u) {
            self.store(space, slot, u);
        }
    }

    /// The residuals at a point, and whether each is finite.
    fn residual(&mut self, b: &Newton<'_>, u: &[Value]) -> Option<(Vec<Value>, Vec<Value>)> {
        self.put(b, u);
        self.copy(&b.block.residual, None)?;
        let r: Vec<Value> = (0..b.block.n).map(|k| self.load(Space::Res, k)).collect();
        let finite = r.iter().map(|&r| {
            let size = self.abs(r);
            self.bounded(size)
        });
        let finite = finite.collect();
        Some((r, finite))
    }

    /// `−J⁻¹r`
    fn correction(&mut self, lu: &Factors, r: &[Value]) -> Vec<Value> {
        let b = r.iter().map(|&r| self.f(Op::Un(UnOp::Neg, r))).collect();
        self.back(lu, b)
    }

    /// The largest component in units of its unknown's weight, and whether all are numbers.
    fn size(&mut self, b: &Newton<'_>, step: &[Value], u: &[Value]) -> (Value, Value) {
        let mut size = self.c(0.0);
        let mut known = Vec::with_capacity(step.len());
        for (k, (&s, &u)) in step.iter().zip(u).enumerate() {
            let least = self.least(b, k);
            let m = self.abs(u);
            let m = self.most(m, least);
            let s = self.abs(s);
            let part = self.bin(BinOp::Div, s, m);
            known.push(self.bounded(part));
            let more = self.cmp(CmpOp::Gt, part, size);
            size = self.select(more, part, size);
        }
        let known = self.all(known);
        (size, known)
    }

    /// The Jacobian at the unknowns in their slots, factorised as a dense matrix with partial pivoting.
    fn factor(&mut self, b: &Newton<'_>) -> Option<Factors> {
        let n = b.block.n as usize;
        self.copy(&b.jacobian.kernel, None)?;
        let zero = self.c(0.0);
        // a[column][row]
        let mut a = vec![vec![zero; n]; n];
        let mut finite = Vec::new();
        for (slot, (row, col)) in places(b.jacobian)? {
            let v = self.load(Space::Jac, self.ways.scratch + slot);
            let place = a.get_mut(col)?.get_mut(row)?;
            *place = self.bin(BinOp::Add, *place, v);
        }
        for j in 0..n {
            for i in 0..n {
                if a[j][i] != zero {
                    let size = self.abs(a[j][i]);
                    finite.push(self.bounded(size));
                }
            }
        }
        let mut swaps = Vec::new();
        let [mut sign, minus] = [1.0, -1.0].map(|c| self.c(c));
        let plus = sign;
        let mut inv = Vec::with_capacity(n);
        for k in 0..n {
            let mut max = self.abs(a[k][k]);
            let mut better = Vec::new();
            for i in k + 1..n {
                let size = self.abs(a[k][i]);
                let more = self.cmp(CmpOp::Gt, size, max);
                max = self.select(more, size, max);
                better.push(more);
            }
            let some = self.cmp(CmpOp::Gt, max, zero);
            let bounded = self.bounded(max);
            finite.extend([some, bounded]);
            // the last that was better than all before it
            let mut later: Option<Value> = None;
            let mut chosen = Vec::new();
            for (i, &more) in better.iter().enumerate().rev() {
                let this = match later {
                    None => more,
                    Some(l) => {
                        let not = self.push(Op::Not(l), Ty::Bool);
                        self.bool(BoolOp::And, more, not)
                    }
                };
                later = Some(match later {
                    None => more,
                    Some(l) => self.bool(BoolOp::Or, l, more),
                });
                chosen.push((k, k + 1 + i, this));
            }
            for &(k, i, this) in &chosen {
                for column in &mut a {
                    let (x, y) = (column[k], column[i]);
                    column[k] = self.select(this, y, x);
                    column[i] = self.select(this, x, y);
                }
            }
            for &(.., this) in &chosen {
                let turn = self.select(this, minus, plus);
                sign = self.bin(BinOp::Mul, sign, turn);
            }
            let negative = self.cmp(CmpOp::Lt, a[k][k], zero);
            let turn = self.select(negative, minus, plus);
            sign = self.bin(BinOp::Mul, sign, turn);
            swaps.extend(chosen);
            let one = self.c(1.0);
            let r = self.bin(BinOp::Div, one, a[k][k]);
            inv.push(r);
            for i in k + 1..n {
                a[k][i] = self.bin(BinOp::Mul, a[k][i], r);
            }
            for j in k + 1..n {
                let u = a[j][k];
                for i in k + 1..n {
                    let d = self.bin(BinOp::Mul, a[k][i], u);
                    a[j][i] = self.bin(BinOp::Sub, a[j][i], d);
                }
            }
        }
        for j in 1..n {
            for i in 0..j {
                a[j][i] = self.bin(BinOp::Mul, a[j][i], inv[i]);
            }
        }
        let fine = self.all(finite);
        Some(Factors { a, inv, swaps, sign, fine })
    }

    fn back(&mut self, lu: &Factors, mut x: Vec<Value>) -> Vec<Value> {
        let n = x.len();
        for &(k, i, this) in &lu.swaps {
            let (a, b) = (x[k], x[i]);
            x[k] = self.select(this, b, a);
            x[i] = self.select(this, a, b);
        }
        for k in 0..n {
            for i in k + 1..n {
                let d = self.bin(BinOp::Mul, lu.a[k][i], x[k]);
                x[i] = self.bin(BinOp::Sub, x[i], d);
            }
        }
        for k in 0..n {
            x[k] = self.bin(BinOp::Mul, x[k], lu.inv[k]);
        }
        for k in (0..n).rev() {
            for i in 0..k {
                let d = self.bin(BinOp::Mul, lu.a[k][i], x[k]);
                x[i] = self.bin(BinOp::Sub, x[i], d);
            }
        }
        x
    }
}

/// The smallest size that corrections of an unknown of this weight are measured by.
fn least(weight: f64) -> f64 {
    (1e-3 * weight.abs()).max(f64::MIN_POSITIVE)
}

/// Where a block's unknowns come from, one value each.
struct Ahead {
    /// As they were last accepted.
    guess: Vec<Value>,
    /// Where their movement leads: where Newton begins.
    begin: Vec<Value>,
    /// How far they have lately moved.
    moves: Vec<Value>,
    /// Whether they were seen coming well, and at all.
    trust: Vec<Value>,
    faith: Vec<Value>,
    /// The sign of the determinant.
    sign: Value,
}

/// A block, and where its unknowns stand.
struct Newton<'b> {
    block: &'b Block,
    jacobian: &'b Jacobian,
    places: Vec<(Space, u32)>,
}

/// `L` below the diagonal, `U` above it with its rows divided by the pivots; what was exchanged.
struct Factors {
    a: Vec<Vec<Value>>,
    inv: Vec<Value>,
    /// Rows that are exchanged, one after the other, where the truth value says so.
    swaps: Vec<(usize, usize, Value)>,
    /// The sign of the determinant.
    sign: Value,
    fine: Value,
}

/// Whether a residual kernel leaves more than residuals.
fn writes_more(kernel: &Kernel) -> bool {
    fn any(region: &[Stmt]) -> bool {
        region.iter().any(|s| match s {
            Stmt::Store { place, .. } => place.space != Space::Res,
            Stmt::For(l) => any(&l.body),
            Stmt::If(i) => any(&i.then) || any(&i.otherwise),
            _ => false,
        })
    }
    any(&kernel.body)
}

/// The row and column of each slot that a Jacobian's kernel writes, in the order of the slots.
fn places(jacobian: &Jacobian) -> Option<Vec<(u32, (usize, usize))>> {
    let mut all = FxHashMap::default();
    let mut sound = true;
    for family in &jacobian.families {
        each(family, |row, col, slot| {
            let place = (u32::try_from(slot), usize::try_from(row), usize::try_from(col));
            match place {
                (Ok(slot), Ok(row), Ok(col)) => _ = all.insert(slot, (row, col)),
                _ => sound = false,
            }
        });
    }
    if !sound {
        return None;
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_unstable();
    Some(all)
}

impl Map {
    fn get(&self, v: Value) -> Option<Value> {
        self.values.get(v.index()).copied().flatten()
    }

    fn index(&self, i: Index) -> Index {
        Index(i.0 + self.indices)
    }

    fn affine(&self, at: &Affine) -> Affine {
        Affine { base: at.base, terms: at.terms.iter().map(|&(i, s)| (self.index(i), s)).collect() }
    }

    fn place(&self, p: &Place) -> Place {
        Place { space: p.space, at: self.affine(&p.at) }
    }

    fn op(&self, op: &Op, scratch: i64) -> Option<Op> {
        let mut known = true;
        let mut new = op.clone();
        new.map_operands(|v| {
            let found = self.get(v);
            known &= found.is_some();
            found.unwrap_or(v)
        });
        match &mut new {
            // A Jacobian that adds up its entries reads what it has left itself.
            Op::Load(p) if p.space == Space::Jac => {
                *p = self.place(p);
                p.at.base += scratch;
            }
            Op::LoadAt { place: p, .. } if p.space == Space::Jac => return None,
            Op::Load(p) | Op::LoadAt { place: p, .. } | Op::Delay { place: p, .. } => *p = self.place(p),
            Op::IndexI(at) | Op::IndexF(at) => *at = self.affine(at),
            _ => {}
        }
        known.then_some(new)
    }
}
