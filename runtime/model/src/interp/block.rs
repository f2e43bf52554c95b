//! The block interpreter: a kernel over a block of lanes.
//!
//! Each value is a row, one element a lane, and each operation a loop over a row: deciding what to do costs once a
//! block instead of once a lane. Loops run as they stand (their bounds are the same for all lanes). Of a branch each
//! side runs that some lane takes, under a mask: values of lanes that do not take it are computed and dropped, stores
//! and traps happen in lanes that take it. What an operation means is said in [`super::scalar`] and nowhere else.

use super::scalar;
use crate::host::Host;
use crate::ids::{Index, Value};
use crate::ir::{Affine, CmpOp, Kernel, Op, Place, Region, Stmt, Trap, Ty};
use crate::lanes::{GRAIN, LaneKernel, LaneMemory, NotLanes, refuse};
use crate::math::eval;
use crate::program::{Program, Sizes};
use std::cell::RefCell;
use std::sync::Arc;

/// Lanes of a block.
const BLOCK: usize = 256;
/// Elements of all rows of a block, about: with more values a block has fewer lanes, so that caches hold it.
const ELEMENTS: usize = 1 << 17;

/// A kernel for the block interpreter.
#[derive(Clone, Debug)]
pub struct BlockKernel {
    program: Arc<Program>,
    kernel: Kernel,
    sizes: Sizes,
    block: usize,
    /// What the kernel needs, with its deepest calls.
    room: Room,
    /// What each function needs, with what it calls.
    need: Vec<Room>,
}

/// What a kernel or function and what it calls need.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    /// Rows: one a value, then one an argument, then those through which carries change.
    own: usize,
    /// With those of the deepest calls.
    rows: usize,
    /// Loop indices.
    indices: usize,
}

impl Room {
    fn of(kernel: &Kernel, params: usize, need: &[Room]) -> Room {
        fn carries(r: &Region) -> usize {
            r.iter()
                .map(|s| match s {
                    Stmt::For(l) => l.carries.len().max(carries(&l.body)),
                    Stmt::If(i) => carries(&i.then).max(carries(&i.otherwise)),
                    _ => 0,
                })
                .max()
                .unwrap_or(0)
        }
        let own = kernel.values.len() + params + carries(&kernel.body);
        let mut deepest = Room::default();
        for d in &kernel.values {
            if let Op::Call(f, _) = &d.op
                && let Some(room) = need.get(f.index())
            {
                deepest.rows = deepest.rows.max(room.rows);
                deepest.indices = deepest.indices.max(room.indices);
            }
        }
        Room { own, rows: own + deepest.rows, indices: kernel.indices as usize + deepest.indices }
    }
}

impl BlockKernel {
    /// Makes a verified kernel ready. Refused: algebraic blocks and delays.
    pub fn new(program: &Arc<Program>, kernel: &Kernel) -> Result<Self, NotLanes> {
        if let Some(why) = refuse(kernel) {
            return Err(why);
        }
        let mut need: Vec<Room> = Vec::with_capacity(program.functions.len());
        for f in &program.functions {
            if let Some(why) = refuse(&f.code) {
                return Err(why);
            }
            need.push(Room::of(&f.code, f.params.len(), &need));
        }
        let room = Room::of(kernel, 0, &need);
        let block = (ELEMENTS / room.rows.max(1)).clamp(2 * GRAIN, BLOCK) / GRAIN * GRAIN;
        Ok(Self { program: program.clone(), kernel: kernel.clone(), sizes: program.sizes, block, room, need })
    }
}

thread_local! {
    /// Rows and loop indices, kept between runs.
    static FILES: RefCell<(Vec<u64>, Vec<i64>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

impl LaneKernel for BlockKernel {
    fn run(&self, memory: &mut LaneMemory, times: u64, host: &mut dyn Host) {
        assert!(self.sizes.fit(memory.sizes()), "the memory belongs to another program");
        let (mut file, mut indices) = FILES.with(|f| std::mem::take(&mut *f.borrow_mut()));
        if file.len() < self.room.rows * self.block {
            file.resize(self.room.rows * self.block, 0);
        }
        if indices.len() < self.room.indices {
            indices.resize(self.room.indices, 0);
        }
        let mut first = 0;
        while first < memory.width() {
            let len = self.block.min(memory.width() - first);
            for _ in 0..times {
                let mut mask = [false; BLOCK];
                for (l, m) in mask[..len].iter_mut().enumerate() {
                    *m = memory.trap(first + l).is_none();
                }
                if !mask[..len].contains(&true) {
                    break;
                }
                let mut run = Run { program: &self.program, need: &self.need, memory, host, first, len };
                let mut frame = Frame { kernel: &self.kernel, indices: &mut indices, own: self.room.own };
                run.region(&mut frame, &mut file, &self.kernel.body, &mut mask);
            }
            first += len;
        }
        FILES.with(|f| *f.borrow_mut() = (file, indices));
    }

    fn level(&self) -> &'static str {
        "block"
    }
}

/// One block at work.
struct Run<'a> {
    program: &'a Program,
    need: &'a [Room],
    memory: &'a mut LaneMemory,
    host: &'a mut dyn Host,
    /// The block's first lane.
    first: usize,
    /// Its lanes.
    len: usize,
}

/// A kernel or function at work. Its rows are the first of the file that it is given, as [`Room`] says.
struct Frame<'a> {
    kernel: &'a Kernel,
    /// Its own, and then those of what it calls.
    indices: &'a mut [i64],
    /// Its own rows.
    own: usize,
}

type Row = [u64; BLOCK];

fn f(x: u64) -> f64 {
    f64::from_bits(x)
}

impl Run<'_> {
    fn region(&mut self, frame: &mut Frame<'_>, file: &mut [u64], region: &Region, mask: &mut [bool; BLOCK]) {
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => self.eval(frame, file, *v, mask),
                Stmt::Store { place, value, .. } => {
                    let at = self.address(place, frame.indices);
                    let (first, len) = (self.first, self.len);
                    let truth = frame.kernel.values[value.index()].ty == Ty::Bool;
                    let row = &file[value.index() * len..][..len];
                    let to = &mut self.memory.row_mut(at)[first..][..len];
                    for l in 0..len {
                        if mask[l] {
                            to[l] = if truth { f64::from(u8::from(row[l] != 0)) } else { f(row[l]) };
                        }
                    }
                }
                Stmt::For(l) => {
                    for c in &l.carries {
                        self.copy(file, c.init, c.var);
                    }
                    for k in 0..(l.hi - l.lo).max(0) {
                        frame.indices[l.index.index()] = if l.reverse { l.hi - 1 - k } else { l.lo + k };
                        self.region(frame, file, &l.body, mask);
                        // all carries change at once
                        let scratch = (frame.own - l.carries.len()) * self.len;
                        for (k, c) in l.carries.iter().enumerate() {
                            let at = c.next.index() * self.len;
                            file.copy_within(at..at + self.len, scratch + k * self.len);
                        }
                        for (k, c) in l.carries.iter().enumerate() {
                            let at = scratch + k * self.len;
                            file.copy_within(at..at + self.len, c.var.index() * self.len);
                        }
                    }
                    for c in &l.carries {
                        self.copy(file, c.var, c.result);
                    }
                }
                Stmt::If(i) => {
                    let (mut then, mut otherwise) = ([false; BLOCK], [false; BLOCK]);
                    let (mut some, mut others) = (false, false);
                    for l in 0..self.len {
                        let c = file[i.cond.index() * self.len + l] != 0;
                        then[l] = mask[l] & c;
                        otherwise[l] = mask[l] & !c;
                        some |= then[l];
                        others |= otherwise[l];
                    }
                    if some {
                        self.region(frame, file, &i.then, &mut then);
                    }
                    if others {
                        self.region(frame, file, &i.otherwise, &mut otherwise);
                    }
                    for &(r, a, b) in &i.results {
                        for l in 0..self.len {
                            let from = if then[l] { a } else { b };
                            file[r.index() * self.len + l] = file[from.index() * self.len + l];
                        }
                    }
                    // lanes that trapped inside rest from here on
                    for l in 0..self.len {
                        mask[l] = then[l] | otherwise[l];
                    }
                }
                // refused before
                Stmt::Solve(_) | Stmt::SolveTangent(_) => {}
            }
        }
    }

    fn copy(&self, file: &mut [u64], from: Value, to: Value) {
        let at = from.index() * self.len;
        file.copy_within(at..at + self.len, to.index() * self.len);
    }

    fn address(&self, place: &Place, indices: &[i64]) -> usize {
        let slot = self.affine(&place.at, indices) + self.program.sizes.offset(place.space) as i64;
        slot as usize
    }

    fn affine(&self, a: &Affine, indices: &[i64]) -> i64 {
        a.eval(|Index(i)| indices[i as usize])
    }

    fn trap(&mut self, mask: &mut [bool; BLOCK], l: usize, trap: Trap) {
        mask[l] = false;
        self.memory.set_trap(self.first + l, trap);
    }

    fn eval(&mut self, frame: &mut Frame<'_>, file: &mut [u64], v: Value, mask: &mut [bool; BLOCK]) {
        let (n, first) = (self.len, self.first);
        let mut out: Row = [0; BLOCK];
        let kernel = frame.kernel;
        {
            let row = |v: Value| &file[v.index() * n..][..n];
            let out = &mut out[..n];
            match &kernel.values[v.index()].op {
                Op::ConstF(bits) => out.fill(*bits),
                Op::ConstI(i) => out.fill(*i as u64),
                Op::ConstB(b) => out.fill(u64::from(*b)),
                Op::Load(place) => {
                    let at = self.address(place, frame.indices);
                    for (o, x) in out.iter_mut().zip(&self.memory.row(at)[first..]) {
                        *o = x.to_bits();
                    }
                }
                Op::LoadAt { place, at, len, stride, origin } => {
                    let base = self.address(place, frame.indices) as i64;
                    let at = row(*at);
                    for l in 0..n {
                        let index = at[l] as i64;
                        if (0..i64::from(*len)).contains(&index) {
                            out[l] = self.memory.row((base + stride * index) as usize)[first + l].to_bits();
                        } else if mask[l] {
                            self.trap(mask, l, Trap::IndexOutOfRange { origin: *origin, index, len: *len });
                        }
                    }
                }
                Op::IndexI(a) => out.fill(self.affine(a, frame.indices) as u64),
                Op::IndexF(a) => out.fill((self.affine(a, frame.indices) as f64).to_bits()),
                Op::Un(op, a) => map(out, row(*a), |a| scalar::un(*op, f(a)).to_bits()),
                Op::Bin(op, a, b) => {
                    zip(out, row(*a), row(*b), |a, b| scalar::bin(*op, f(a), f(b)).to_bits())
                }
                Op::Fma(a, b, c) => {
                    let (a, b, c) = (row(*a), row(*b), row(*c));
                    for l in 0..n {
                        out[l] = f(a[l]).mul_add(f(b[l]), f(c[l])).to_bits();
                    }
                }
                Op::Cmp(op, a, b) => compare(out, row(*a), row(*b), *op),
                Op::CmpI(op, a, b) => {
                    zip(out, row(*a), row(*b), |a, b| u64::from(scalar::cmp_i(*op, a as i64, b as i64)));
                }
                Op::BoolBin(op, a, b) => {
                    zip(out, row(*a), row(*b), |a, b| u64::from(scalar::boolean(*op, a != 0, b != 0)));
                }
                Op::Not(a) => map(out, row(*a), |a| u64::from(a == 0)),
                Op::Select(c, a, b) => {
                    let (c, a, b) = (row(*c), row(*a), row(*b));
                    for l in 0..n {
                        out[l] = if c[l] != 0 { a[l] } else { b[l] };
                    }
                }
                Op::Int(op, a, b) => {
                    zip(out, row(*a), row(*b), |a, b| scalar::int(*op, a as i64, b as i64) as u64);
                }
                Op::BoolToF(a) => map(out, row(*a), |a| f64::from(u8::from(a != 0)).to_bits()),
                Op::FToBool(a) => map(out, row(*a), |a| u64::from(f(a) != 0.0)),
                Op::FToI(a) => map(out, row(*a), |a| (f(a) as i64) as u64),
                Op::IToF(a) => map(out, row(*a), |a| (a as i64 as f64).to_bits()),
                Op::BitsToF(a) | Op::FToBits(a) => out.copy_from_slice(row(*a)),
                Op::Math(g, args) => {
                    let (a, b) = (row(args[0]), row(*args.get(1).unwrap_or(&args[0])));
                    for l in 0..n {
                        // lanes that rest may hold anything, also what is slow
                        if mask[l] {
                            out[l] = eval::apply(*g, f(a[l]), f(b[l])).to_bits();
                        }
                    }
                }
                Op::Table { table, x, order } => {
                    let x = row(*x);
                    for l in 0..n {
                        if mask[l] {
                            match self.host.table(*table, f(x[l]), *order) {
                                Ok(y) => out[l] = y.to_bits(),
                                Err(trap) => self.trap(mask, l, trap),
                            }
                        }
                    }
                }
                Op::Arg(k) => out.copy_from_slice(&file[(kernel.values.len() + *k as usize) * n..][..n]),
                Op::Call(g, args) => {
                    let function = &self.program.functions[g.index()];
                    let (mine, rest) = file.split_at_mut(frame.own * n);
                    let room = self.need[g.index()];
                    for (k, a) in args.iter().enumerate() {
                        let to = (function.code.values.len() + k) * n;
                        rest[to..][..n].copy_from_slice(&mine[a.index() * n..][..n]);
                    }
                    let indices = &mut frame.indices[kernel.indices as usize..];
                    let mut callee = Frame { kernel: &function.code, indices, own: room.own };
                    self.region(&mut callee, rest, &function.code.body, mask);
                    out.copy_from_slice(&rest[function.result.index() * n..][..n]);
                }
                // refused, or never the subject of an `Eval`
                Op::Delay { .. } | Op::Carry | Op::Result => return,
            }
        }
        file[v.index() * n..][..n].copy_from_slice(&out[..n]);
    }
}

fn map(out: &mut [u64], a: &[u64], f: impl Fn(u64) -> u64) {
    for (o, &a) in out.iter_mut().zip(a) {
        *o = f(a);
    }
}

fn zip(out: &mut [u64], a: &[u64], b: &[u64], f: impl Fn(u64, u64) -> u64) {
    for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *o = f(a, b);
    }
}

fn compare(out: &mut [u64], a: &[u64], b: &[u64], op: CmpOp) {
    zip(out, a, b, |a, b| u64::from(scalar::cmp(op, f(a), f(b))));
}
