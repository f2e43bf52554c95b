//! From a plan to machine code: registers, spills, instructions.
//!
//! Code is one straight line (but for slow paths), so the next use of every value is known: a register is taken from
//! the value whose next use is furthest away, and one that stands in memory anyway costs nothing. `groups` groups of
//! lanes go through the line side by side, instruction by instruction, so that the processor never waits for a
//! result. One operand of an instruction may stand in memory: constants (broadcast), slots, spilled values.

mod instruct;
mod leave;

use super::encode::{Code, Label, Map, Masked, Mem, Opcode, RCX, RDI, RSI, Rm, op};
use super::graph::{Graph, Id, Node, Target};
use super::guard::{Fast, Guard};
use super::plan::{Plan, Segment};
use rustc_hash::FxHashMap;

/// Layout of the scratch space, in bytes. At its start: the slow paths and the function that runs them.
pub(super) mod scratch {
    /// Pointer to the slow paths.
    pub const CONTEXT: i32 = 0;
    /// Pointer to the function.
    pub const FUNCTION: i32 = 8;
    /// Vector registers kept over a call.
    pub const VECTORS: i32 = 64;
    /// Mask registers kept over a call.
    pub const MASKS: i32 = VECTORS + 32 * 64;
    /// A call's result, then its arguments.
    pub const ROWS: i32 = MASKS + 64;
    /// Bytes of a row.
    pub const ROW: i32 = 64;
}

/// Constants of a kernel, each once.
#[derive(Debug, Default)]
pub(super) struct Pool {
    pub values: Vec<u64>,
    place: FxHashMap<u64, u32>,
}

impl Pool {
    pub fn at(&mut self, c: u64) -> u32 {
        *self.place.entry(c).or_insert_with(|| {
            self.values.push(c);
            self.values.len() as u32 - 1
        })
    }
}

/// Where a group's value is.
#[derive(Clone, Copy, Debug)]
struct Place {
    reg: u8,
    /// Offset in the scratch space, or none; of a constant its number.
    spill: i32,
    /// Its slot holds it (carried slots whose register was taken).
    in_slot: bool,
    /// The load of a carried slot.
    carried: bool,
    /// The register where it should end, of what is carried on.
    home: u8,
    /// Uses passed.
    used: u32,
}

const NONE: u8 = u8::MAX;
const NOWHERE: Place = Place { reg: NONE, spill: -1, in_slot: false, carried: false, home: NONE, used: 0 };

/// What to write code for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Groups of lanes side by side.
    pub groups: usize,
    /// Bytes from a slot to the next.
    pub stride: i32,
}

/// Code for a plan, appended; the offset of its entry and the scratch space that it needs, in bytes. `fast`: the same
/// without slow paths.
pub(super) fn emit(
    code: &mut Code,
    pool: &mut Pool,
    g: &Graph,
    plan: &Plan,
    fast: Option<(&Fast, &Plan)>,
    shape: Shape,
) -> (usize, usize) {
    let nodes = fast.map_or(g.nodes.len(), |f| f.0.graph.nodes.len());
    let wide = g.target == Target::Avx512;
    let rows = scratch::ROWS + scratch::ROW * (plan.args as i32 + 1);
    let mut e = Emitter {
        code,
        pool,
        g,
        plan,
        shape,
        wide,
        vector: if wide { 64 } else { 32 },
        places: vec![NOWHERE; nodes * shape.groups],
        vectors: [None; 32],
        masks: [None; 8],
        taken: (0, 0),
        next: [(NEVER, false); 40],
        uses: Vec::new(),
        first_use: Vec::new(),
        in_body: false,
        position: 0,
        free_spills: Vec::new(),
        late_spills: Vec::new(),
        next_spill: (rows + 63) & !63,
        stubs: Vec::new(),
        bails: Vec::new(),
        guard: None,
    };
    let entry = e.code.bytes.len();
    e.all(fast);
    (entry, e.next_spill as usize)
}

/// A slow path to be written behind the line.
struct Stub {
    label: Label,
    back: Label,
    call: Call,
}

/// Where a guard fails: what is carried goes back to where a repetition expects it.
struct Bail {
    label: Label,
    moves: Vec<(u8, Rm)>,
}

/// What a slow path needs to know of the registers.
struct Call {
    saved: Vec<(bool, u8)>,
    /// What goes into the rows, and whether it is a mask register.
    args: Vec<(Rm, bool)>,
    /// Register with the usual values, which gets the result.
    dst: u8,
    usual: bool,
    /// Register of the condition, and whether it is the negation; none: all lanes.
    cond: Option<(u8, bool)>,
    sub: u32,
}

struct Emitter<'a> {
    code: &'a mut Code,
    pool: &'a mut Pool,
    g: &'a Graph,
    plan: &'a Plan,
    shape: Shape,
    wide: bool,
    /// Bytes of a vector.
    vector: i32,
    places: Vec<Place>,
    vectors: [Option<u32>; 32],
    masks: [Option<u32>; 8],
    /// Which of both are in use, as bits.
    taken: (u32, u32),
    /// For each register, vectors first, the next use of what it holds, and whether that stands in memory too.
    next: [(u32, bool); 40],
    /// Positions of all uses, by node from `first_use` on.
    uses: Vec<u32>,
    first_use: Vec<u32>,
    in_body: bool,
    position: u32,
    free_spills: Vec<i32>,
    /// Free from the next entry on.
    late_spills: Vec<i32>,
    next_spill: i32,
    stubs: Vec<Stub>,
    bails: Vec<Bail>,
    guard: Option<&'a Guard>,
}

const M0F: Map = Map::M0f;
const M38: Map = Map::M0f38;
const M3A: Map = Map::M0f3a;
const NEVER: u32 = u32::MAX;

impl<'a> Emitter<'a> {
    // ---- values, places, uses

    fn v(&self, id: Id, group: usize) -> u32 {
        id * self.shape.groups as u32 + group as u32
    }

    fn id(&self, v: u32) -> Id {
        // long code has one group, and needs no division for each look
        if self.shape.groups == 1 { v } else { v / self.shape.groups as u32 }
    }

    fn group(&self, v: u32) -> i32 {
        if self.shape.groups == 1 { 0 } else { (v % self.shape.groups as u32) as i32 }
    }

    fn is_mask(&self, id: Id) -> bool {
        self.wide && self.g.nodes[id as usize].is_mask()
    }

    fn next_use(&self, v: u32) -> u32 {
        let id = self.id(v) as usize;
        let at = self.first_use[id] + self.places[v as usize].used;
        if at < self.first_use[id + 1] { self.uses[at as usize] } else { NEVER }
    }

    /// Collects the uses of a segment: entry `p` uses at `2p`, the stores after it at `2p + 1`.
    fn count(&mut self, s: &Segment) {
        let n = self.g.nodes.len();
        let (plan, g) = (self.plan, self.g);
        // all but operands, in the order of positions, each value once at a position
        let mut others: Vec<(u32, Id)> = Vec::with_capacity(s.stores.len() + s.out.len());
        let mut latest: FxHashMap<Id, u32> = FxHashMap::default();
        let mut other = |p: u32, id: Id| {
            if latest.insert(id, p) != Some(p) {
                others.push((p, id));
            }
        };
        let guard = plan.guard.filter(|_| self.in_body).unwrap_or(NEVER);
        let (sooner, later) = s.stores.split_at(s.stores.partition_point(|s| s.0 < guard));
        sooner.iter().for_each(|&(at, _, id)| other(2 * at + 1, id));
        if guard != NEVER {
            // where the guard fails, all begins again
            plan.carried.iter().for_each(|c| other(2 * guard + 1, c.1));
        }
        later.iter().for_each(|&(at, _, id)| other(2 * at + 1, id));
        s.out.iter().for_each(|&id| other(2 * s.order.len() as u32, id));
        // room for as many as there may be, filled in order; what stays free is never
        self.first_use.clear();
        self.first_use.reserve(n + 1);
        let mut total = 0;
        self.first_use.push(total);
        self.first_use.extend(plan.uses.iter().map(|n| {
            total += n;
            total
        }));
        self.uses.clear();
        self.uses.resize(total as usize, NEVER);
        let mut free = self.first_use.clone();
        let mut add = |id: Id, p: u32| {
            let at = &mut free[id as usize];
            self.uses[*at as usize] = p;
            *at += 1;
        };
        let mut rest = others.iter().peekable();
        let mut list = Vec::new();
        for (p, &id) in s.order.iter().enumerate() {
            let p = 2 * p as u32;
            plan.operands(g, id, &mut list);
            list.iter().for_each(|&a| add(a, p));
            while let Some(&(at, id)) = rest.next_if(|o| o.0 <= p + 1) {
                add(id, at);
            }
        }
        rest.for_each(|&(at, id)| add(id, at));
        for p in &mut self.places {
            p.used = 0;
        }
    }

    /// Where a value stands in memory, if it does.
    fn mem(&mut self, v: u32) -> Option<Mem> {
        let id = self.id(v);
        let place = self.places[v as usize];
        let at = self.group(v) * self.vector;
        match self.g.nodes[id as usize] {
            Node::Const(c) => {
                // found once: a constant is spilled nowhere
                let k = if place.spill >= 0 { place.spill } else { self.pool.at(c) as i32 };
                self.places[v as usize].spill = k;
                let scale = if self.wide { 8 } else { 32 };
                return Some(Mem { base: RCX, disp: k * scale, broadcast: self.wide });
            }
            Node::Load(slot) if place.in_slot || !(self.in_body && place.carried) => {
                let disp = slot as i32 * self.shape.stride + at;
                return Some(Mem { base: RDI, disp, broadcast: false });
            }
            _ => {}
        }
        (place.spill >= 0).then_some(Mem { base: RSI, disp: place.spill, broadcast: false })
    }

    fn spill_place(&mut self) -> i32 {
        self.free_spills.pop().unwrap_or_else(|| {
            self.next_spill += 64;
            self.next_spill - 64
        })
    }

    /// Puts a value that stands in a register into memory too.
    fn keep(&mut self, v: u32) {
        if self.mem(v).is_some() {
            return;
        }
        let (id, reg) = (self.id(v), self.places[v as usize].reg);
        if let Node::Load(slot) = self.g.nodes[id as usize] {
            let disp = slot as i32 * self.shape.stride + self.group(v) * self.vector;
            self.store(reg, Mem { base: RDI, disp, broadcast: false });
            self.places[v as usize].in_slot = true;
            self.note(v);
            return;
        }
        let disp = self.spill_place();
        self.places[v as usize].spill = disp;
        self.note(v);
        let mem = Mem { base: RSI, disp, broadcast: false };
        if self.is_mask(id) { self.mask_store(reg, mem) } else { self.store(reg, mem) }
    }

    /// A free register; one is freed where there is none. Pinned ones are left alone.
    fn free(&mut self, mask: bool, pins: u32, wish: u8) -> u8 {
        let (lo, hi) = if mask { (1, 8) } else { (0, if self.wide { 32 } else { 16 }) };
        let taken = if mask { self.taken.1 } else { self.taken.0 };
        let open = !taken & !pins & (u32::MAX >> (32 - hi)) & (u32::MAX << lo);
        if wish != NONE && open >> wish & 1 == 1 {
            return wish;
        }
        if open != 0 {
            return open.trailing_zeros() as u8;
        }
        let first = if mask { 32 } else { 0 };
        let (mut best, mut far) = (NONE, 0u64);
        for r in lo as u8..hi as u8 {
            if pins >> r & 1 == 1 {
                continue;
            }
            let (next, kept) = self.next[first + r as usize];
            // what need not be stored is a little cheaper to give up
            let cheap = u64::from(kept) * 24;
            let score = u64::from(next - self.position.min(next)) + cheap + 1;
            if score > far {
                (best, far) = (r, score);
            }
        }
        let held = if mask { self.masks[best as usize & 7] } else { self.vectors[best as usize & 31] };
        if let Some(v) = held {
            if self.next_use(v) != NEVER {
                self.keep(v);
            }
            self.release(v);
        }
        best
    }

    fn release(&mut self, v: u32) {
        let reg = std::mem::replace(&mut self.places[v as usize].reg, NONE);
        if reg != NONE {
            if self.is_mask(self.id(v)) {
                self.masks[reg as usize] = None;
                self.taken.1 &= !(1 << reg);
            } else {
                self.vectors[reg as usize] = None;
                self.taken.0 &= !(1 << reg);
            }
        }
    }

    fn put(&mut self, v: u32, reg: u8) {
        self.places[v as usize].reg = reg;
        if self.is_mask(self.id(v)) {
            self.masks[reg as usize] = Some(v);
            self.taken.1 |= 1 << reg;
        } else {
            self.vectors[reg as usize] = Some(v);
            self.taken.0 |= 1 << reg;
        }
        self.note(v);
    }

    /// Whether a value stands in memory.
    fn kept(&self, v: u32) -> bool {
        let (id, place) = (self.id(v), self.places[v as usize]);
        match self.g.nodes[id as usize] {
            Node::Const(_) => true,
            Node::Load(_) => place.in_slot || !(self.in_body && place.carried),
            _ => place.spill >= 0,
        }
    }

    /// What is known of the value of a register changed.
    fn note(&mut self, v: u32) {
        let reg = self.places[v as usize].reg;
        if reg != NONE {
            let first = if self.is_mask(self.id(v)) { 32 } else { 0 };
            self.next[first + reg as usize] = (self.next_use(v), self.kept(v));
        }
    }

    /// The value in a register, which is pinned.
    fn reg(&mut self, v: u32, pins: &mut u32) -> u8 {
        let mut reg = self.places[v as usize].reg;
        if reg == NONE {
            let mask = self.is_mask(self.id(v));
            reg = self.free(mask, *pins, NONE);
            if let Some(mem) = self.mem(v) {
                if mask { self.mask_load(reg, mem) } else { self.load(reg, mem) }
            }
            self.put(v, reg);
        }
        *pins |= 1 << reg;
        reg
    }

    /// The value in a register that has it, or in memory.
    fn rm(&mut self, v: u32, pins: &mut u32) -> Rm {
        let reg = self.places[v as usize].reg;
        if reg != NONE {
            *pins |= 1 << reg;
            return Rm::Reg(reg);
        }
        match self.mem(v) {
            Some(mem) => Rm::Mem(mem),
            None => Rm::Reg(self.reg(v, pins)),
        }
    }

    /// A use of `v` at the current position is over: where it was the last one, the register is free.
    fn used(&mut self, v: u32) {
        let id = self.id(v) as usize;
        let place = &mut self.places[v as usize];
        let at = self.first_use[id] + place.used;
        if at < self.first_use[id + 1] && self.uses[at as usize] == self.position {
            place.used += 1;
        }
        if self.next_use(v) != NEVER {
            self.note(v);
            return;
        }
        self.release(v);
        let spill = self.places[v as usize].spill;
        if spill >= 0 && !self.plan.invariant[id] {
            // the instruction at hand may still read it
            self.late_spills.push(spill);
            self.places[v as usize].spill = -1;
        }
    }

    fn dies(&self, v: u32) -> bool {
        let id = self.id(v) as usize;
        let at = self.first_use[id] + self.places[v as usize].used + 1;
        at >= self.first_use[id + 1] || self.uses[at as usize] == NEVER
    }

    // ---- instructions

    fn vec(&mut self, o: Opcode, reg: u8, second: u8, rm: Rm) {
        if self.wide {
            let o = Opcode { w: true, ..o };
            self.code.evex(o, reg, second, rm, Masked::default(), false);
        } else {
            self.code.vex(o, true, reg, second, rm);
        }
    }

    fn load(&mut self, reg: u8, mem: Mem) {
        if mem.broadcast {
            let mem = Mem { broadcast: false, ..mem };
            self.code.evex(op(M38, true, 0x19), reg, 0, Rm::Mem(mem), Masked::default(), true);
        } else {
            self.vec(op(M0F, false, 0x10), reg, 0, Rm::Mem(mem));
        }
    }

    fn store(&mut self, reg: u8, mem: Mem) {
        self.vec(op(M0F, false, 0x11), reg, 0, Rm::Mem(mem));
    }

    fn copy(&mut self, to: u8, from: Rm) {
        match from {
            Rm::Reg(from) if from == to => {}
            Rm::Reg(_) => self.vec(op(M0F, false, 0x28), to, 0, from),
            Rm::Mem(mem) => self.load(to, mem),
        }
    }

    fn mask_load(&mut self, k: u8, mem: Mem) {
        self.code.vex(op(M0F, false, 0x90), false, k, 0, Rm::Mem(mem));
    }

    fn mask_store(&mut self, k: u8, mem: Mem) {
        self.code.vex(op(M0F, false, 0x91), false, k, 0, Rm::Mem(mem));
    }

    // ---- the whole

    fn all(&mut self, fast: Option<(&'a Fast, &'a Plan)>) {
        let groups = self.shape.groups;
        let plan = self.plan;
        if !plan.before.order.is_empty() {
            self.count(&plan.before);
            for p in 0..plan.before.order.len() {
                self.position = 2 * p as u32;
                for group in 0..groups {
                    let v = self.v(plan.before.order[p], group);
                    self.entry(v);
                    // what the repetitions read is read from memory
                    self.keep(v);
                    self.used_at_definition(v);
                }
            }
            for p in &mut self.places {
                p.reg = NONE;
            }
        }
        self.in_body = true;
        let homes: Vec<(u8, Mem)> = (0..plan.carried.len() * groups)
            .map(|k| {
                let disp =
                    plan.carried[k / groups].0 as i32 * self.shape.stride + (k % groups) as i32 * self.vector;
                (k as u8, Mem { base: RDI, disp, broadcast: false })
            })
            .collect();
        for &(reg, mem) in &homes {
            self.load(reg, mem);
        }
        let (top, next) = (self.code.label(), self.code.label());
        self.code.place(top);
        let after = if fast.is_some() { self.places.clone() } else { Vec::new() };
        let g = self.g;
        if let Some((fast, second)) = fast {
            (self.g, self.plan, self.guard) = (&fast.graph, second, Some(&fast.guard));
        }
        self.body();
        self.code.place(next);
        self.code.dec_rdx();
        self.code.jcc(5, top);
        for &(reg, mem) in &homes {
            self.store(reg, mem);
        }
        self.code.vzeroupper();
        self.code.ret();
        self.stubs();
        if fast.is_some() {
            let careful = self.code.label();
            for bail in std::mem::take(&mut self.bails) {
                self.code.place(bail.label);
                self.shuffle(bail.moves);
                self.code.jmp(careful);
            }
            self.code.place(careful);
            (self.g, self.plan, self.guard) = (g, plan, None);
            self.places = after;
            self.body();
            self.code.jmp(next);
            self.stubs();
        }
    }

    fn stubs(&mut self) {
        for stub in std::mem::take(&mut self.stubs) {
            self.code.place(stub.label);
            self.call(&stub.call);
            self.code.jmp(stub.back);
        }
    }

    /// One repetition, from and to the registers of what is carried.
    fn body(&mut self) {
        let (groups, plan) = (self.shape.groups, self.plan);
        self.vectors = [None; 32];
        self.masks = [None; 8];
        self.taken = (0, 0);
        self.free_spills.clear();
        self.late_spills.clear();
        self.count(&plan.body);
        let mut ends = Vec::new();
        for (k, &(_, load, next)) in plan.carried.iter().enumerate() {
            for group in 0..groups {
                let reg = (k * groups + group) as u8;
                let from = self.v(load, group);
                self.places[from as usize].carried = true;
                self.put(from, reg);
                let v = self.v(next, group);
                ends.push((reg, v));
                self.places[v as usize].home = reg;
            }
        }
        let mut store = 0;
        for p in 0..plan.body.order.len() {
            self.position = 2 * p as u32;
            for group in 0..groups {
                let v = self.v(plan.body.order[p], group);
                self.entry(v);
                self.used_at_definition(v);
            }
            if plan.guard == Some(p as u32) {
                self.position += 1;
                for &(_, load, _) in &plan.carried {
                    (0..groups).for_each(|group| self.used(self.v(load, group)));
                }
            }
            store = self.stores(store, p as u32);
        }
        // a body without operations only moves slots
        self.stores(store, NEVER);
        self.position = 2 * plan.body.order.len() as u32;
        let moves = self.moves(&ends);
        self.shuffle(moves);
    }

    /// Where values stand that are to go to registers.
    fn moves(&mut self, ends: &[(u8, u32)]) -> Vec<(u8, Rm)> {
        let mut moves = Vec::new();
        for &(to, v) in ends {
            let from = self.places[v as usize].reg;
            if from == to {
                continue;
            }
            if from != NONE {
                moves.push((to, Rm::Reg(from)));
            } else if let Some(mem) = self.mem(v) {
                moves.push((to, Rm::Mem(mem)));
            }
        }
        moves
    }

    /// A value that nobody uses needs no register (slow paths and stores count as uses).
    fn used_at_definition(&mut self, v: u32) {
        if self.next_use(v) == NEVER {
            self.release(v);
        }
    }

    /// The stores at a position; gives the next store.
    fn stores(&mut self, from: usize, p: u32) -> usize {
        let plan = self.plan;
        let mut end = from;
        while plan.body.stores.get(end).is_some_and(|s| s.0 <= p) {
            end += 1;
        }
        for group in 0..self.shape.groups {
            // all of a position are read before any is written, as far as they are leaves
            for &(at, slot, id) in &plan.body.stores[from..end] {
                self.position = 2 * at + 1;
                let v = self.v(id, group);
                let mut pins = 0;
                let reg = self.reg(v, &mut pins);
                let disp = slot as i32 * self.shape.stride + group as i32 * self.vector;
                self.store(reg, Mem { base: RDI, disp, broadcast: false });
            }
            for k in from..end {
                let v = self.v(plan.body.stores[k].2, group);
                if (from..k).all(|j| plan.body.stores[j].2 != plan.body.stores[k].2) {
                    self.used(v);
                }
            }
        }
        end
    }

    /// All moves at once.
    fn shuffle(&mut self, all: Vec<(u8, Rm)>) {
        let (mut moves, loads): (Vec<_>, Vec<_>) = all.into_iter().partition(|m| matches!(m.1, Rm::Reg(_)));
        while !moves.is_empty() {
            let ready = moves.iter().position(|&(to, _)| moves.iter().all(|&(_, from)| from != Rm::Reg(to)));
            if let Some(k) = ready {
                let (to, from) = moves.swap_remove(k);
                self.copy(to, from);
                continue;
            }
            // a ring is opened through memory
            let to = moves[0].0;
            let mem = Mem { base: RSI, disp: self.spill_place(), broadcast: false };
            self.store(to, mem);
            for m in &mut moves {
                if m.1 == Rm::Reg(to) {
                    m.1 = Rm::Mem(mem);
                }
            }
        }
        for (to, from) in loads {
            self.copy(to, from);
        }
    }
}

fn distinct(values: [u32; 3]) -> impl Iterator<Item = u32> {
    let [a, b, c] = values;
    [Some(a), (b != a).then_some(b), (c != a && c != b).then_some(c)].into_iter().flatten()
}
