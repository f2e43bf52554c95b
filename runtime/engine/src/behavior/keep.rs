//! Behaviour as bytes: all that a [`Scheduler`] is beyond the program and its seed.
//!
//! What is read is trusted no more than any other input: every number that names something is held against the program
//! before it is used, times and counts are kept where adding to them cannot overflow.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use twinml_model::behavior::{Behavior, Period, Trigger};
use twinml_model::bytes::{Malformed, Persist, Reader, Writer};
use twinml_model::persist;

use super::pattern::{Causes, Matcher};
use super::post::{Call, Letter, Place, Post};
use super::schedule::{Said, Scheduler, Slot, Waiting};
use super::store::Store;
use super::streams::{self, NOBODY};
use super::thread::{Frame, Thread};
use super::timers::{Due, Timers, tick};
use super::value::{NESTING, Twin, Value};
use super::vm::Args;

/// Counts and times are below this, so that they can go on.
const MOST: u64 = 1 << 60;
const LONGEST: i128 = 1 << 100;

impl Persist for Value {
    const LEAST: usize = 1;

    fn save(&self, to: &mut Writer) {
        let depth = self.depth().saturating_sub(1);
        match self {
            Value::None => to.put(&0_u8),
            Value::Num(x) => to.put(&1_u8).put(x),
            Value::Bool(b) => to.put(&2_u8).put(b),
            Value::Str(s) => to.put(&3_u8).text(s),
            Value::List(items) => {
                to.put(&4_u8).put(&depth).put(&items.len());
                items.iter().for_each(|v| v.save(to));
                to
            }
            Value::Record(ty, items) => to.put(&5_u8).put(&depth).put(ty).slice(items),
            Value::Map(items) => {
                to.put(&6_u8).put(&depth).put(&items.len());
                items.iter().for_each(|(k, v)| {
                    to.put(k).put(v);
                });
                to
            }
            Value::Set(items) => {
                to.put(&7_u8).put(&depth).put(&items.len());
                items.iter().for_each(|v| v.save(to));
                to
            }
            Value::Closure(code, items) => to.put(&8_u8).put(&depth).put(code).slice(items),
            Value::Twin(t) => to.put(&9_u8).put(t),
        };
    }

    fn load(from: &mut Reader<'_>) -> Result<Value, Malformed> {
        value(from, 0)
    }
}

/// A value that stands `level` levels deep in another.
fn value(from: &mut Reader<'_>, level: u32) -> Result<Value, Malformed> {
    let at = from.at();
    let wrong = |why: String| Malformed { at, why };
    let kind: u8 = from.get()?;
    let nested = (4..=8).contains(&kind);
    if nested && level >= NESTING {
        return Err(wrong(format!("values are nested more than {NESTING} levels deep")));
    }
    let depth: u32 = if nested { from.get()? } else { 0 };
    if depth >= NESTING {
        return Err(wrong(format!("a value says that it is {depth} levels deep")));
    }
    let many = |from: &mut Reader<'_>| -> Result<Vec<Value>, Malformed> {
        let len = from.length(1)?;
        (0..len).map(|_| value(from, level + 1)).collect()
    };
    let ascends = |items: &[Value]| items.windows(2).all(|w| w[0] < w[1]);
    let disorder = || wrong("keys do not ascend".to_owned());
    let made = match kind {
        0 => Value::None,
        1 => Value::Num(from.get()?),
        2 => Value::Bool(from.get()?),
        3 => Value::text(from.text()?),
        4 => Value::list(many(from)?),
        5 => {
            let ty = from.get()?;
            Value::record(ty, many(from)?)
        }
        6 => {
            let len = from.length(2)?;
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            for _ in 0..len {
                keys.push(value(from, level + 1)?);
                values.push(value(from, level + 1)?);
            }
            if !ascends(&keys) {
                return Err(disorder());
            }
            Value::map(keys.into_iter().zip(values).collect())
        }
        7 => {
            let items = many(from)?;
            if !ascends(&items) {
                return Err(disorder());
            }
            Value::set(items.into_iter().collect::<BTreeSet<Value>>())
        }
        8 => {
            let code = from.get()?;
            Value::closure(code, many(from)?)
        }
        9 => return from.get().map(Value::Twin),
        other => return Err(wrong(format!("{other} is no kind of value"))),
    };
    made.deepened(depth).ok_or_else(|| wrong("a value is nested deeper than it says".to_owned()))
}

persist!(Call {
    slot: usize,
    generation: u32,
    reg: u16,
    open: Vec<u64>,
    bids: Vec<Value>,
    bytes: usize,
    task: Value
});
persist!(Twin { owner: u32, instance: u32, life: u32 });
persist!(Frame { code: u32, pc: usize, regs: Vec<Value>, out: u16 });
persist!(Thread { frames: Vec<Frame>, instance: u32, purpose: u32 });
persist!(Said { time: f64, twin: String, text: String });

type Stemmed = Option<Arc<Causes>>;

impl Persist for Causes {
    const LEAST: usize = 8;
    fn save(&self, to: &mut Writer) {
        to.slice(self.all());
    }
    fn load(from: &mut Reader<'_>) -> Result<Causes, Malformed> {
        let at = from.at();
        let all: Vec<((u32, u32), i128)> = from.get()?;
        let ordered = all.windows(2).all(|w| w[0].0 < w[1].0);
        if !ordered || all.iter().any(|c| !soon(c.1)) {
            return Err(Malformed { at, why: "causes do not ascend, or last too long".into() });
        }
        Ok(Causes::of(all))
    }
}

/// Shared by many; each has its own again where it is read.
struct Shared<T>(Arc<T>);

impl<T: Persist> Persist for Shared<T> {
    const LEAST: usize = T::LEAST;
    fn save(&self, to: &mut Writer) {
        self.0.save(to);
    }
    fn load(from: &mut Reader<'_>) -> Result<Shared<T>, Malformed> {
        Ok(Shared(Arc::new(from.get()?)))
    }
}

fn soon(ns: i128) -> bool {
    (-LONGEST..LONGEST).contains(&ns)
}

impl Persist for Matcher {
    const LEAST: usize = 8 + 4 + 1 + 1 + 4;
    fn save(&self, to: &mut Writer) {
        to.put(&self.times.len());
        self.times.iter().for_each(|t| t.save(to));
        to.put(&self.seen).put(&self.deadline).put(&self.armed).put(&self.generation);
    }
    fn load(from: &mut Reader<'_>) -> Result<Matcher, Malformed> {
        let at = from.at();
        let times: Vec<Option<i128>> = from.get()?;
        let m = Matcher {
            times: times.into(),
            seen: from.get()?,
            deadline: from.get()?,
            armed: from.get()?,
            generation: from.get()?,
        };
        if m.times.iter().flatten().chain(&m.deadline).any(|t| !soon(*t)) || m.seen >= 1 << 31 {
            return Err(Malformed { at, why: "a pattern's time is out of range".into() });
        }
        Ok(m)
    }
}

impl Persist for Due {
    const LEAST: usize = 1;
    fn save(&self, to: &mut Writer) {
        match self {
            Due::Tick { handler, instance, k } => to.put(&0_u8).put(handler).put(instance).put(k),
            Due::At { handler, instance } => to.put(&1_u8).put(handler).put(instance),
            Due::After { handler, instance, generation, stems } => {
                to.put(&2_u8).put(handler).put(instance).put(generation);
                put_stems(to, stems)
            }
            Due::Code { code, instance, args, purpose, stems, life } => {
                to.put(&3_u8).put(code).put(instance).slice(args).put(purpose);
                put_stems(to, stems).put(life)
            }
            Due::Silence { handler, instance } => to.put(&4_u8).put(handler).put(instance),
            Due::Wake { slot, generation } => to.put(&5_u8).put(slot).put(generation),
        };
    }
    fn load(from: &mut Reader<'_>) -> Result<Due, Malformed> {
        Ok(match from.get::<u8>()? {
            0 => Due::Tick { handler: from.get()?, instance: from.get()?, k: from.get()? },
            1 => Due::At { handler: from.get()?, instance: from.get()? },
            2 => Due::After {
                handler: from.get()?,
                instance: from.get()?,
                generation: from.get()?,
                stems: get_stems(from)?,
            },
            3 => Due::Code {
                code: from.get()?,
                instance: from.get()?,
                args: from.get()?,
                purpose: from.get()?,
                stems: get_stems(from)?,
                life: from.get()?,
            },
            4 => Due::Silence { handler: from.get()?, instance: from.get()? },
            5 => Due::Wake { slot: from.get()?, generation: from.get()? },
            other => return Err(from.malformed(format!("{other} is no kind of timer"))),
        })
    }
}

fn put_stems<'w>(to: &'w mut Writer, stems: &Stemmed) -> &'w mut Writer {
    to.put(&stems.is_some());
    if let Some(causes) = stems {
        to.put(&**causes);
    }
    to
}

fn get_stems(from: &mut Reader<'_>) -> Result<Stemmed, Malformed> {
    Ok(from.get::<Option<Shared<Causes>>>()?.map(|s| s.0))
}

fn put_args(to: &mut Writer, args: &Args) {
    to.put(&args.len());
    for (name, v) in args {
        to.text(name).put(v);
    }
}

fn get_args(from: &mut Reader<'_>) -> Result<Args, Malformed> {
    let len = from.length(9)?;
    (0..len).map(|_| Ok((Arc::from(from.text()?), from.get()?))).collect()
}

/// A sorted map of plain data.
fn put_map<K: Persist, V: Persist>(to: &mut Writer, map: &BTreeMap<K, V>) {
    to.put(&map.len());
    for (k, v) in map {
        to.put(k).put(v);
    }
}

fn get_map<K: Persist + Ord, V: Persist>(from: &mut Reader<'_>) -> Result<BTreeMap<K, V>, Malformed> {
    let len = from.length(K::LEAST + V::LEAST)?;
    let mut map = BTreeMap::new();
    for _ in 0..len {
        let at = from.at();
        let key = from.get()?;
        if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err(Malformed { at, why: "keys do not ascend".into() });
        }
        map.insert(key, from.get()?);
    }
    Ok(map)
}

impl Timers {
    fn save(&self, to: &mut Writer) {
        let all = self.sorted();
        to.put(&all.len());
        for (ns, sequence, due) in all {
            to.put(&ns).put(&sequence).put(due);
        }
        to.put(&self.counts());
    }

    fn load(from: &mut Reader<'_>) -> Result<Timers, Malformed> {
        let len = from.length(16 + 8 + 1)?;
        let mut all: Vec<(i128, u64, Due)> = Vec::new();
        for _ in 0..len {
            let at = from.at();
            let (ns, sequence) = (from.get()?, from.get()?);
            if !soon(ns) || sequence >= MOST || all.last().is_some_and(|l| (l.0, l.1) >= (ns, sequence)) {
                return Err(Malformed { at, why: "timers are not in order, or out of range".into() });
            }
            all.push((ns, sequence, from.get()?));
        }
        let at = from.at();
        let (sequence, stale): (u64, usize) = from.get()?;
        if sequence >= MOST || stale as u64 >= MOST || all.iter().any(|t| t.1 > sequence) {
            return Err(Malformed { at, why: "the number of timers is out of range".into() });
        }
        Ok(Timers::of(all, sequence, stale))
    }
}

impl Post {
    fn save(&self, to: &mut Writer) {
        to.put(&self.sent).put(&self.way.len());
        for ((due, late, number), l) in &self.way {
            to.put(due).put(late).put(number).put(&l.conversation).put(&l.answers).put(&l.message);
            to.put(&l.from).put(&l.to).put(&l.until);
            put_args(to, &l.args);
            put_stems(to, &l.stems);
        }
        put_map(to, &self.calls);
    }

    fn load(from: &mut Reader<'_>) -> Result<Post, Malformed> {
        let at = from.at();
        let wrong = |why: &str| Malformed { at, why: why.to_owned() };
        let sent: u64 = from.get()?;
        let len = from.length(16 + 8 + 8 + 8 + 1 + 4 + 1 + 12 + 1 + 8 + 1)?;
        let mut way: BTreeMap<Place, Letter> = BTreeMap::new();
        for _ in 0..len {
            let place: Place = from.get()?;
            let (due, _, number) = place;
            let letter = Letter {
                number,
                conversation: from.get()?,
                answers: from.get()?,
                message: from.get()?,
                from: from.get()?,
                to: from.get()?,
                until: from.get()?,
                args: get_args(from)?,
                stems: get_stems(from)?,
            };
            let earlier = |n: u64| (1..=number).contains(&n);
            let numbered =
                earlier(letter.conversation) && letter.answers.is_none_or(earlier) && number <= sent;
            if !numbered || !soon(due) || !letter.until.is_none_or(soon) {
                return Err(wrong("a message is out of range"));
            }
            if way.last_key_value().is_some_and(|(last, _)| *last >= place) {
                return Err(wrong("messages are not in order"));
            }
            way.insert(place, letter);
        }
        if sent >= MOST {
            return Err(wrong("the number of messages is out of range"));
        }
        let calls: BTreeMap<u64, Call> = get_map(from)?;
        let asked = |(conversation, c): (&u64, &Call)| {
            let ascends = c.open.windows(2).all(|w| w[0] < w[1]);
            let begun = c.open.first().is_none_or(|n| conversation <= n);
            ascends && begun && c.open.last().is_none_or(|n| *n <= sent)
        };
        if !calls.iter().all(asked) || calls.values().any(|c| c.bytes as u64 >= MOST) {
            return Err(from.malformed("a call for proposals is out of range"));
        }
        Ok(Post { calls, way, sent })
    }
}

impl Store {
    fn save(&self, to: &mut Writer) {
        to.put(&self.cells);
        put_map(to, &self.draws);
        to.put(&self.seed).put(&self.run);
        to.put(&self.waiting).put(&self.made).put(&self.work).put(&self.anew);
    }

    /// Into a store of the same behaviour.
    fn load(&mut self, b: &Behavior, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let at = from.at();
        let wrong = |why: &str| Malformed { at, why: why.to_owned() };
        let cells: Vec<Vec<Value>> = from.get()?;
        if !cells.iter().map(Vec::len).eq(self.cells.iter().map(Vec::len)) {
            return Err(wrong("cells are of another shape"));
        }
        self.cells = cells;
        self.draws = get_map(from)?;
        let asked: (u64, u32) = from.get()?;
        if asked != (self.seed, self.run) {
            return Err(wrong("seed or run are others"));
        }
        (self.waiting, self.made, self.work) = from.get()?;
        if [self.waiting as u64, self.made as u64, self.work].into_iter().any(|n| n >= MOST) {
            return Err(wrong("an account is out of range"));
        }
        self.anew = from.get()?;
        let fits = |(families, p): (&Vec<Vec<f64>>, &twinml_model::behavior::Population)| {
            let lens = p.anew.iter().map(|(v, _)| b.vars.get(v.index()).map_or(0, |h| h.len as usize));
            families.iter().map(Vec::len).eq(lens)
        };
        if self.anew.len() != b.populations.len() || !self.anew.iter().zip(&b.populations).all(fits) {
            return Err(wrong("populations are of another shape"));
        }
        Ok(())
    }
}

/// What names things of a program.
struct Names<'b> {
    b: &'b Behavior,
    slots: usize,
}

impl Names<'_> {
    fn owner(&self, owner: u32, instance: u32) -> bool {
        self.b.owners.get(owner as usize).is_some_and(|o| instance < o.count)
    }

    /// A handler with an instance.
    fn handler(&self, handler: u32, instance: u32) -> bool {
        self.b.handlers.get(handler as usize).is_some_and(|h| self.owner(h.owner, instance))
    }

    /// What code runs for, with an instance.
    fn purpose(&self, purpose: u32, instance: u32) -> bool {
        match streams::owner(self.b, purpose) {
            Some(owner) => self.owner(owner, instance),
            None => purpose == NOBODY && self.b.owners.iter().any(|o| instance < o.count),
        }
    }

    fn event(&self, event: u32, instance: u32) -> bool {
        self.b.events.get(event as usize).is_some_and(|e| self.owner(e.owner, instance))
    }

    fn value(&self, v: &Value) -> bool {
        match v {
            Value::None | Value::Num(_) | Value::Bool(_) | Value::Str(_) => true,
            Value::Twin(t) => self.owner(t.owner, t.instance),
            Value::List(items) => items.iter().all(|v| self.value(v)),
            Value::Set(items) => items.iter().all(|v| self.value(v)),
            Value::Map(items) => items.iter().all(|(k, v)| self.value(k) && self.value(v)),
            Value::Record(ty, items) => {
                let fields = self.b.records.get(*ty as usize).map(|r| r.fields.len());
                fields == Some(items.len()) && items.iter().all(|v| self.value(v))
            }
            Value::Closure(code, items) => {
                (*code as usize) < self.b.codes.len() && items.iter().all(|v| self.value(v))
            }
        }
    }

    fn args(&self, args: &Args) -> bool {
        args.iter().all(|(_, v)| self.value(v))
    }

    fn thread(&self, t: &Thread) -> bool {
        let frame = |f: &Frame| {
            self.b.codes.get(f.code as usize).is_some_and(|c| {
                f.pc <= c.instrs.len()
                    && f.regs.len() == c.registers as usize
                    && f.regs.iter().all(|v| self.value(v))
            })
        };
        let deep = t.frames.len() <= super::vm::DEPTH;
        deep && !t.frames.is_empty() && self.purpose(t.purpose, t.instance) && t.frames.iter().all(frame)
    }

    fn stems(&self, stems: &Stemmed) -> bool {
        stems.iter().flat_map(|s| s.all()).all(|((h, i), _)| self.handler(*h, *i))
    }

    fn due(&self, due: &Due) -> bool {
        match due {
            Due::Tick { handler, instance, k } => self.handler(*handler, *instance) && *k < MOST,
            Due::At { handler, instance } => self.handler(*handler, *instance),
            Due::After { handler, instance, stems, .. } => {
                self.handler(*handler, *instance) && self.stems(stems)
            }
            Due::Code { code, instance, args, purpose, stems, .. } => {
                (*code as usize) < self.b.codes.len()
                    && self.purpose(*purpose, *instance)
                    && args.iter().all(|v| self.value(v))
                    && self.stems(stems)
            }
            Due::Silence { handler, instance } => self.pattern(*handler, *instance),
            Due::Wake { slot, .. } => *slot < self.slots,
        }
    }

    fn pattern(&self, handler: u32, instance: u32) -> bool {
        self.handler(handler, instance)
            && matches!(self.b.handlers[handler as usize].trigger, Trigger::Pattern(_))
    }

    fn machine(&self, machine: u32, instance: u32) -> bool {
        self.b.machines.get(machine as usize).is_some_and(|m| self.owner(m.owner, instance))
    }
}

impl Scheduler<'_> {
    /// All of its state, between two instants.
    pub(crate) fn save(&self, to: &mut Writer) {
        self.store.save(to);
        self.timers.save(to);
        to.put(&self.slots.len());
        for s in &self.slots {
            to.put(&s.generation).put(&s.waiting.is_some());
            if let Some(w) = &s.waiting {
                to.put(&w.thread).put(&w.handler).put(&w.bytes);
                put_stems(to, &w.stems);
            }
        }
        to.put(&self.free);
        put_map(to, &self.until);
        to.put(&self.fresh);
        put_map(to, &self.hearing);
        put_map(to, &self.held);
        to.put(&self.generations);
        to.put(&self.queues.len());
        for (key, queue) in &self.queues {
            to.put(key).put(&queue.len());
            for (args, stems) in queue {
                put_args(to, args);
                put_stems(to, stems);
            }
        }
        to.put(&self.births);
        put_map(to, &self.store.lives);
        to.put(&self.events.len());
        for (event, instance, args, stems) in &self.events {
            to.put(event).put(instance);
            put_args(to, args);
            put_stems(to, stems);
        }
        put_map(to, &self.patterns);
        to.put(&self.silent);
        put_stems(to, &self.stems);
        to.put(&self.whens);
        put_map(to, &self.periods);
        to.put(&self.now).put(&self.logs).put(&self.said).put(&self.said_bytes);
        // Where nothing is ever sent, there is nothing of it: so it was before there were messages.
        if !self.b.messages.is_empty() {
            self.post.save(to);
        }
    }

    /// Into a scheduler of the same program and seed that has not begun.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where the bytes are no state of this behaviour.
    pub(crate) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let b = self.b;
        self.store.load(b, from)?;
        self.timers = Timers::load(from)?;
        let len = from.length(5)?;
        self.slots = Vec::new();
        for _ in 0..len {
            let generation = from.get()?;
            let waiting = if from.get()? {
                let (thread, handler, bytes) = from.get()?;
                Some(Waiting { thread, handler, bytes, stems: get_stems(from)? })
            } else {
                None
            };
            self.slots.push(Slot { generation, waiting });
        }
        self.free = from.get()?;
        self.until = get_map(from)?;
        self.fresh = from.get()?;
        self.hearing = get_map(from)?;
        self.held = get_map(from)?;
        let at = from.at();
        let generations: Vec<Vec<u32>> = from.get()?;
        if !generations.iter().map(Vec::len).eq(self.generations.iter().map(Vec::len)) {
            return Err(Malformed { at, why: "machines are of another shape".into() });
        }
        self.generations = generations;
        let len = from.length(16)?;
        self.queues = BTreeMap::new();
        for _ in 0..len {
            let at = from.at();
            let key = from.get()?;
            if self.queues.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(Malformed { at, why: "keys do not ascend".into() });
            }
            let waiting = from.length(9)?;
            let mut queue = VecDeque::new();
            for _ in 0..waiting {
                queue.push_back((get_args(from)?, get_stems(from)?));
            }
            self.queues.insert(key, queue);
        }
        self.births = from.get()?;
        self.store.lives = get_map(from)?;
        let len = from.length(17)?;
        self.events = VecDeque::new();
        for _ in 0..len {
            self.events.push_back((from.get()?, from.get()?, get_args(from)?, get_stems(from)?));
        }
        self.patterns = get_map(from)?;
        self.silent = from.get()?;
        self.stems = get_stems(from)?;
        self.whens = from.get()?;
        self.periods = get_map(from)?;
        self.now = from.get()?;
        self.logs = from.get()?;
        self.said = from.get()?;
        self.said_bytes = from.get()?;
        if !b.messages.is_empty() {
            self.post = Post::load(from)?;
        }
        self.names_things().map_err(|why| from.malformed(why))
    }

    /// Whether all that numbers name is there.
    fn names_things(&self) -> Result<(), &'static str> {
        let b = self.b;
        let names = Names { b, slots: self.slots.len() };
        let check = |ok: bool, why: &'static str| if ok { Ok(()) } else { Err(why) };
        let waits = |w: &Waiting| {
            let known = w.handler == NOBODY || names.handler(w.handler, w.thread.instance);
            let scoped = known || streams::state(b, w.handler).is_some();
            names.thread(&w.thread) && scoped && (w.bytes as u64) < MOST && names.stems(&w.stems)
        };
        let populated =
            |(p, element): &(u32, u32)| b.populations.get(*p as usize).is_some_and(|p| *element < p.len);
        let watched = |w: u32, i: u32| b.watches.get(w as usize).is_some_and(|w| names.owner(w.owner, i));
        check(self.store.cells.iter().flatten().all(|v| names.value(v)), "a cell names what is not there")?;
        check(self.timers.all().all(|d| names.due(d)), "a timer names what is not there")?;
        // Else a tick would come again and again at one instant.
        check(self.periods.values().all(|(_, p)| *p > 0), "a period is not positive")?;
        let onward = |d: &Due| match *d {
            Due::Tick { handler, instance, k } => {
                self.periods.get(&(handler, instance)).is_some_and(|&(offset, period)| {
                    let next = k.checked_add(1).and_then(|k| tick(offset, period, k));
                    next.is_none_or(|ns| ns >= self.now)
                })
            }
            _ => true,
        };
        check(soon(self.now) && self.timers.all().all(onward), "a tick lies in the past")?;
        check(
            self.slots.iter().filter_map(|s| s.waiting.as_ref()).all(waits),
            "what waits names what is not there",
        )?;
        let mut free = self.free.clone();
        free.sort_unstable();
        free.dedup();
        let vacant = |s: &usize| self.slots.get(*s).is_some_and(|s| s.waiting.is_none());
        check(free.len() == self.free.len() && free.iter().all(vacant), "a free place is taken")?;
        let there = |slot: usize| slot < self.slots.len();
        check(
            self.until.iter().all(|((w, i), list)| watched(*w, *i) && list.iter().all(|l| there(l.0))),
            "a condition that is waited for is not there",
        )?;
        check(
            self.fresh.iter().all(|(w, i, slot, _)| watched(*w, *i) && there(*slot)),
            "a condition that is waited for is not there",
        )?;
        check(
            self.hearing.values().flatten().all(|h| there(h.0)),
            "an event that is waited for is not there",
        )?;
        check(
            self.held.iter().all(|((m, i), list)| names.machine(*m, *i) && list.iter().all(|h| there(h.1))),
            "a state that holds what waits is not there",
        )?;
        check(
            self.queues.iter().all(|((h, i), q)| {
                names.handler(*h, *i) && q.iter().all(|(a, s)| names.args(a) && names.stems(s))
            }),
            "a queue names what is not there",
        )?;
        check(self.births.iter().all(populated), "a population's place is not there")?;
        check(
            self.events.iter().all(|(e, i, a, s)| names.event(*e, *i) && names.args(a) && names.stems(s)),
            "an event names what is not there",
        )?;
        let twin = |t: &Twin| names.owner(t.owner, t.instance);
        let letter = |l: &Letter| {
            (l.message as usize) < b.messages.len()
                && twin(&l.to)
                && l.from.as_ref().is_none_or(twin)
                && names.args(&l.args)
                && names.stems(&l.stems)
        };
        let call = |c: &Call| {
            self.slots.get(c.slot).is_some_and(|s| {
                let frame = s.waiting.as_ref().filter(|_| s.generation == c.generation);
                let frame = frame.and_then(|w| w.thread.frames.last());
                frame.is_none_or(|f| (c.reg as usize) < f.regs.len())
            }) && names.value(&c.task)
                && c.bids.iter().all(|v| names.value(v))
        };
        check(self.post.calls.values().all(call), "a call for proposals names what is not there")?;
        check(self.post.way.values().all(letter), "a message names what is not there")?;
        let late = |(due, ..): &Place| *due >= self.now;
        check(self.post.way.keys().all(late), "a message was due in the past")?;
        check(self.patterns.keys().all(|(h, i)| names.pattern(*h, *i)), "a pattern is not there")?;
        check(self.silent.iter().all(|(h, i)| names.pattern(*h, *i)), "a pattern is not there")?;
        check(names.stems(&self.stems), "a cause is not there")?;
        check(self.whens.iter().all(|(m, i)| names.machine(*m, *i)), "a machine is not there")?;
        // Periods that are formulas are whole nanoseconds.
        let exact = |h: u32, p: i128| match b.handlers.get(h as usize).map(|h| &h.trigger) {
            Some(Trigger::Every { period: Period::Exact(own), .. }) => p == *own,
            Some(Trigger::Every { .. }) => p > 0 && p % 1_000_000_000 == 0,
            _ => false,
        };
        check(
            self.periods.iter().all(|((h, i), (_, p))| names.handler(*h, *i) && exact(*h, *p)),
            "a period is out of range",
        )?;
        check(
            soon(self.now) && self.said < MOST && (self.said_bytes as u64) < MOST,
            "a count is out of range",
        )
    }
}
