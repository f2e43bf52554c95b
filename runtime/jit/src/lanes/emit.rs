//! From a plan to machine code: registers, spills, instructions.
//!
//! Code is one straight line (but for slow paths), so the next use of every value is known: a register is taken from
//! the value whose next use is furthest away, and one that stands in memory anyway costs nothing. `groups` groups of
//! lanes go through the line side by side, instruction by instruction, so that the processor never waits for a
//! result; each a few entries behind the one before, so that they do not need most registers at the same time. One operand of an instruction may stand in memory: constants (broadcast), slots, spilled values.

mod instruct;
mod leave;

use super::GROUPS;
use super::encode::{Code, Label, Map, Masked, Mem, Opcode, RCX, RDI, RSI, Rm, op};
use super::graph::{Graph, Id, NOTHING, Node, Target};
use super::guard::{Fast, Guard};
use super::plan::{NEVER, Plan, Segment};
use rustc_hash::FxHashMap;
use std::ops::Range;

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
    /// The position of its next use.
    next: u32,
    /// Where it stands in memory, from `base` on.
    disp: i32,
    /// A general register, or [`NONE`] where it stands in no memory.
    base: u8,
    /// Its register: a vector below [`MASKS`], else a mask; [`NONE`] where it has none.
    reg: u8,
    /// The register where it should end, of what is carried on.
    home: u8,
    /// Of the bits below.
    flags: u8,
}

/// A truth value that goes into mask registers.
const MASK: u8 = 1;
/// Its memory is free where it dies.
const SPILLED: u8 = 2;
/// What a carried slot held: its memory is the slot's.
const CARRIED: u8 = 4;

/// The first mask register, of all registers; the eighth is the last of all.
const MASKS: u8 = 32;
/// No register, no memory. Among the registers this one has a place, where what is known of none may be written.
const NONE: u8 = 40;
/// How well a register that holds nothing can be given up; one that is not there, or is promised.
const OPEN: i32 = i32::MAX & !31;
/// The same of one that is promised, or that the processor does not have.
const SHUT: i32 = -1;
const NOBODY: u32 = u32::MAX;
const NOWHERE: Place = Place { next: NEVER, disp: 0, base: NONE, reg: NONE, home: NONE, flags: 0 };

/// A next use further away than any.
const FAR: u32 = 1 << 25;

/// Entries from one group to the next with 32 registers, and with 16. Found by timings of three models: with all groups in
/// step a Lorenz step of four groups puts 40 values aside, with these 24. The processor looks far enough ahead to begin the
/// first group's next repetition while the last one ends this one.
const LAG: u32 = 8;
const NARROW_LAG: u32 = 16;

/// How the groups go through a repetition.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Entries from one group to the next.
    lag: u32,
    groups: u32,
    /// The position of the guard: what is behind it waits for the last group.
    guard: u32,
}

impl Pace {
    /// All groups do an entry before any does the next.
    const EVEN: Pace = Pace { lag: 0, groups: 1, guard: NEVER };

    /// A position in the line of all groups, from that in a group's own.
    #[inline(always)]
    fn at(self, next: u32, group: usize) -> u32 {
        if self.lag == 0 || next == NEVER {
            return next;
        }
        let waited = if next > self.guard { self.groups - 1 } else { 0 };
        next + 2 * (waited + group as u32) * self.lag
    }
}

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
        held: [NOBODY; 41],
        taken: 0,
        keys: [SHUT; 41],
        now: [(NOBODY, NEVER); 3],
        more: &[],
        spills: vec![0; 64],
        free: (0, 0),
        next_spill: (rows + 63) & !63,
        stubs: Vec::new(),
        bails: Vec::new(),
        guard: None,
        pace: Pace::EVEN,
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
    /// What is in which register.
    held: [u32; 41],
    /// Which are in use, as bits.
    taken: u64,
    /// How well what each holds can be given up. The lowest five bits are the register's number, backwards.
    keys: [i32; 41],
    /// Operands of the entry at hand, and where each is used next.
    now: [(u32, u32); 3],
    /// The same for slow paths and guards.
    more: &'a [(Id, u32)],
    /// Places for spilled values that are free: the first `free.0` of these, of which the last `free.1` only from the next
    /// entry on, for the instruction at hand may still read them.
    spills: Vec<i32>,
    free: (usize, usize),
    next_spill: i32,
    stubs: Vec<Stub>,
    bails: Vec<Bail>,
    guard: Option<&'a Guard>,
    pace: Pace,
}

const M0F: Map = Map::M0f;
const M38: Map = Map::M0f38;
const M3A: Map = Map::M0f3a;

impl<'a> Emitter<'a> {
    // ---- values, places, uses

    fn v(&self, id: Id, group: usize) -> u32 {
        id * self.shape.groups as u32 + group as u32
    }

    fn id(&self, v: u32) -> Id {
        // long code has one group, and needs no division for each look
        if self.shape.groups == 1 { v } else { v / self.shape.groups as u32 }
    }

    /// Where constants and slots stand.
    fn settle(&mut self, plan: &Plan) {
        for &id in &plan.leaves {
            let (base, disp, step) = match self.g.nodes[id as usize] {
                Node::Const(c) => {
                    let scale = if self.wide { 8 } else { 32 };
                    (RCX, self.pool.at(c) as i32 * scale, 0)
                }
                Node::Load(slot) => (RDI, slot as i32 * self.shape.stride, self.vector),
                _ => continue,
            };
            for group in 0..self.shape.groups {
                let v = self.v(id, group) as usize;
                let disp = disp + group as i32 * step;
                self.places[v] = Place { base, disp, ..self.places[v] };
            }
        }
    }

    /// The next uses as they are before a segment.
    fn begin(&mut self, s: &Segment) {
        if self.shape.groups == 1 {
            self.places.iter_mut().zip(&s.first).for_each(|(place, &next)| place.next = next);
            return;
        }
        let pace = self.pace;
        for (places, &next) in self.places.chunks_exact_mut(self.shape.groups).zip(&s.first) {
            places.iter_mut().enumerate().for_each(|(group, place)| place.next = pace.at(next, group));
        }
    }

    /// Looks at the operands of entry `p`.
    fn look(&mut self, s: &'a Segment, p: usize, group: usize) {
        let (operands, links) = (self.plan.operands(self.g, s.order[p]), s.links[p]);
        self.more = &[];
        if operands[0] == NOTHING {
            self.now = [(NOBODY, NEVER); 3];
            self.more = &s.more[links[0] as usize..links[1] as usize];
            return;
        }
        let pace = self.pace;
        self.now = [0, 1, 2].map(|k| (self.v(operands[k], group), pace.at(links[k], group)));
    }

    /// Where an operand of the entry at hand is used next.
    fn after(&self, v: u32) -> u32 {
        if !self.more.is_empty() {
            let id = self.id(v);
            let next = self.more.iter().find(|m| m.0 == id).map_or(NEVER, |m| m.1);
            return self.pace.at(next, v as usize % self.shape.groups);
        }
        // of one that stands there twice the last says it; which one it is nobody foretells
        let [a, b, c] = self.now;
        let next = if b.0 == v { b.1 } else { a.1 };
        if c.0 == v { c.1 } else { next }
    }

    /// Whether the use at hand is the last one.
    fn dies(&self, v: u32) -> bool {
        self.after(v) == NEVER
    }

    /// Where a value stands in memory, if it does.
    fn mem(&self, v: u32) -> Option<Mem> {
        let place = &self.places[v as usize];
        let broadcast = self.wide && place.base == RCX;
        (place.base != NONE).then_some(Mem { base: place.base, disp: place.disp, broadcast })
    }

    fn spill_place(&mut self) -> i32 {
        let (free, late) = self.free;
        if free == late {
            self.next_spill += 64;
            return self.next_spill - 64;
        }
        self.free.0 -= 1;
        let last = self.spills[free - 1];
        std::mem::replace(&mut self.spills[free - late - 1], last)
    }

    /// Puts a value that stands in a register into memory too.
    fn keep(&mut self, v: u32) {
        let place = self.places[v as usize];
        if place.base != NONE {
            return;
        }
        let (base, disp) =
            if place.flags & CARRIED != 0 { (RDI, place.disp) } else { (RSI, self.spill_place()) };
        let spilled = if base == RSI { SPILLED } else { 0 };
        self.places[v as usize] = Place { base, disp, flags: place.flags | spilled, ..place };
        self.note(v);
        let mem = Mem { base, disp, broadcast: false };
        if place.reg >= MASKS { self.mask_store(place.reg, mem) } else { self.store(place.reg, mem) }
    }

    /// A register for what comes; what it held is put into memory where it has to be. Pinned ones are left alone. It is
    /// promised from now on, until something is put into it.
    fn free(&mut self, mask: bool, pins: u64, wish: u8) -> u8 {
        if wish != NONE && (self.taken | pins) >> wish & 1 == 0 && self.keys[wish as usize] != SHUT {
            self.keys[wish as usize] = SHUT;
            return wish;
        }
        let mut best = if mask { farthest(&self.keys[32..40]) | MASKS } else { farthest(&self.keys[..32]) };
        if pins >> best & 1 == 1 {
            best = self.unpinned(mask, pins);
        }
        if self.taken >> best & 1 == 1 {
            // what is held is used again, else the register were open
            let v = self.held[best as usize];
            self.keep(v);
            self.release(v);
        }
        self.keys[best as usize] = SHUT;
        best
    }

    /// The best one that is not pinned.
    fn unpinned(&self, mask: bool, pins: u64) -> u8 {
        let all = if mask { MASKS..NONE } else { 0..MASKS };
        all.filter(|r| pins >> r & 1 == 0).max_by_key(|&r| self.keys[r as usize]).unwrap_or(0)
    }

    /// A promised register is open again.
    fn open(&mut self, reg: u8) {
        self.keys[reg as usize] = OPEN | (31 - i32::from(reg & 31));
    }

    /// All registers hold nothing.
    fn clear(&mut self) {
        self.held = [NOBODY; 41];
        self.taken = 0;
        self.keys = [SHUT; 41];
        (0..if self.wide { 32 } else { 16 }).for_each(|r| self.open(r));
        if self.wide {
            (MASKS + 1..NONE).for_each(|r| self.open(r));
        }
    }

    fn release(&mut self, v: u32) {
        let reg = std::mem::replace(&mut self.places[v as usize].reg, NONE);
        self.taken &= !(1 << reg);
        self.open(reg);
    }

    fn put(&mut self, v: u32, reg: u8) {
        let place = &mut self.places[v as usize];
        place.reg = reg;
        place.flags |= u8::from(reg >= MASKS) * MASK;
        self.held[reg as usize] = v;
        self.taken |= 1 << reg;
        self.note(v);
    }

    /// What is known of the value of a register changed.
    #[inline(always)]
    fn note(&mut self, v: u32) {
        let place = self.places[v as usize];
        self.keys[place.reg as usize] = key(&place);
    }

    /// The value in a register, which is pinned.
    fn reg(&mut self, v: u32, pins: &mut u64) -> u8 {
        let mut reg = self.places[v as usize].reg;
        if reg == NONE {
            let mask = self.places[v as usize].flags & MASK != 0;
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
    fn rm(&mut self, v: u32, pins: &mut u64) -> Rm {
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

    /// The use of `v` by the entry at hand is over: where it was the last one, the register is free.
    fn used(&mut self, v: u32) {
        let next = self.after(v);
        self.used_until(v, next);
    }

    /// A use of `v` is over; `next`: the next one.
    fn used_until(&mut self, v: u32, next: u32) {
        let place = &mut self.places[v as usize];
        place.next = next;
        let reg = place.reg;
        let dead = next == NEVER;
        // Which is the last use nobody foretells: all of this goes without a branch.
        let (open, kept) = (OPEN | (31 - i32::from(reg & 31)), i32::from(dead) - 1);
        self.keys[reg as usize] = open ^ ((open ^ key(place)) & kept);
        self.taken &= !(u64::from(dead) << reg);
        place.reg = NONE ^ ((NONE ^ reg) & kept as u8);
        let freed = place.flags & SPILLED & !(kept as u8);
        place.flags ^= freed;
        place.base = if freed == 0 { place.base } else { NONE };
        let freed = usize::from(freed / SPILLED);
        self.spills[self.free.0] = place.disp;
        self.free = (self.free.0 + freed, self.free.1 + freed);
        if self.free.0 == self.spills.len() {
            self.spills.resize(2 * self.free.0, 0);
        }
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
        self.code.vex(op(M0F, false, 0x90), false, k & 7, 0, Rm::Mem(mem));
    }

    fn mask_store(&mut self, k: u8, mem: Mem) {
        self.code.vex(op(M0F, false, 0x91), false, k & 7, 0, Rm::Mem(mem));
    }

    // ---- the whole

    fn all(&mut self, fast: Option<(&'a Fast, &'a Plan)>) {
        let groups = self.shape.groups;
        let plan = self.plan;
        self.settle(plan);
        if let Some((_, second)) = fast {
            self.settle(second);
        }
        self.clear();
        if !plan.before.order.is_empty() {
            self.begin(&plan.before);
            for (p, &id) in plan.before.order.iter().enumerate() {
                for group in 0..groups {
                    let v = self.v(id, group);
                    self.look(&plan.before, p, group);
                    self.entry(v, id, group);
                    // what the repetitions read is read from memory
                    self.keep(v);
                    self.places[v as usize].flags &= !SPILLED;
                    self.used_at_definition(v);
                }
            }
            for p in &mut self.places {
                p.reg = NONE;
            }
        }
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
        self.clear();
        self.free = (0, 0);
        self.pace = Pace {
            lag: match groups {
                1 => 0,
                _ if self.wide => LAG,
                _ => NARROW_LAG,
            },
            groups: groups as u32,
            guard: plan.guard.map_or(NEVER, |p| 2 * p),
        };
        self.begin(&plan.body);
        let mut ends = Vec::new();
        for (k, &(_, load, next)) in plan.carried.iter().enumerate() {
            for group in 0..groups {
                let reg = (k * groups + group) as u8;
                let from = self.v(load, group);
                let place = &mut self.places[from as usize];
                (place.base, place.flags) = (NONE, CARRIED);
                self.put(from, reg);
                let v = self.v(next, group);
                ends.push((reg, v));
                self.places[v as usize].home = reg;
            }
        }
        self.line();
        let moves = self.moves(&ends);
        self.shuffle(moves);
    }

    /// The entries of a repetition, in the order in which the groups go through them.
    fn line(&mut self) {
        let (groups, plan) = (self.shape.groups, self.plan);
        let end = plan.body.order.len();
        let mut stored = [0; GROUPS];
        // up to the guard one group after another may begin again
        let split = plan.guard.map_or(end, |p| p as usize + 1);
        self.stretch(0..split, plan.guard.is_none(), &mut stored);
        if let Some(guard) = plan.guard {
            for (&(_, load, _), &next) in plan.carried.iter().zip(&plan.carried_links) {
                for group in 0..groups {
                    self.used_until(self.v(load, group), self.pace.at(next, group));
                }
            }
            for (group, stored) in stored.iter_mut().enumerate().take(groups) {
                *stored = self.stores(*stored, guard, group);
            }
            self.stretch(split..end, true, &mut stored);
        }
        // a body without operations only moves slots
        for (group, stored) in stored.into_iter().enumerate().take(groups) {
            self.stores(stored, NEVER, group);
        }
    }

    /// These entries for all groups, each behind the one before. `writes`: with the stores that follow them; `stored`: how many
    /// each group has done.
    fn stretch(&mut self, entries: Range<usize>, writes: bool, stored: &mut [usize; GROUPS]) {
        let (groups, lag) = (self.shape.groups, self.pace.lag as usize);
        for at in entries.start..entries.end + lag * (groups - 1) {
            for (group, stored) in stored.iter_mut().enumerate().take(groups) {
                let Some(p) = at.checked_sub(lag * group).filter(|p| entries.contains(p)) else { continue };
                self.one(p, group);
                if writes {
                    *stored = self.stores(*stored, p as u32, group);
                }
            }
        }
    }

    /// Entry `p` for one group.
    fn one(&mut self, p: usize, group: usize) {
        let plan = self.plan;
        let id = plan.body.order[p];
        let v = self.v(id, group);
        self.look(&plan.body, p, group);
        self.entry(v, id, group);
        self.used_at_definition(v);
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
        if self.places[v as usize].next == NEVER {
            self.release(v);
        }
    }

    /// The stores of a group up to a position; gives the next store.
    #[inline(always)]
    fn stores(&mut self, from: usize, p: u32, group: usize) -> usize {
        let plan = self.plan;
        let mut end = from;
        while plan.body.stores.get(end).is_some_and(|s| s.0 <= p) {
            end += 1;
        }
        // all of a position are read before any is written, as far as they are leaves
        for &(_, slot, id) in &plan.body.stores[from..end] {
            let v = self.v(id, group);
            let reg = self.reg(v, &mut 0);
            let disp = slot as i32 * self.shape.stride + group as i32 * self.vector;
            self.store(reg, Mem { base: RDI, disp, broadcast: false });
        }
        // where two of them have one value, the last says where it is used next
        for k in from..end {
            let next = self.pace.at(plan.body.store_links[k], group);
            self.used_until(self.v(plan.body.stores[k].2, group), next);
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

/// How well a register with this value can be given up.
#[inline(always)]
fn key(place: &Place) -> i32 {
    // what need not be stored is a little cheaper
    let cheap = u32::from(place.base != NONE) * 24;
    ((place.next.min(FAR) + cheap) << 5 | (31 - u32::from(place.reg & 31))) as i32
}

/// The register with the highest key.
#[inline(always)]
fn farthest(keys: &[i32]) -> u8 {
    // rows of four, which vectors of any processor compare at once
    let mut best = [SHUT; 4];
    for row in keys.chunks_exact(4) {
        for (best, &key) in best.iter_mut().zip(row) {
            *best = if key > *best { key } else { *best };
        }
    }
    31 - (best.into_iter().fold(SHUT, i32::max) & 31) as u8
}

fn distinct(values: [u32; 3]) -> impl Iterator<Item = u32> {
    let [a, b, c] = values;
    [Some(a), (b != a).then_some(b), (c != a && c != b).then_some(c)].into_iter().flatten()
}
