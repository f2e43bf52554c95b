//! Runs code of behaviour: frames of a program counter and registers, so that what waits can be kept.

use std::sync::Arc;

use twinml_model::behavior::{
    Behavior, Code, CodeId, EventId, Format, Heard, Home, Instr, MessageId, Op2, OwnerId, PopulationId, Reg,
    SlotRef, WatchId, Which,
};
use twinml_model::ids::{OriginId, TableId};
use twinml_model::interp::scalar;
use twinml_model::ir::{BinOp, CmpOp, Trap, UnOp};
use twinml_model::math;
use twinml_model::schema::{Kind, WHOLE};

use super::fault::{Fault, FaultKind};
pub use super::store::Store;
pub(super) use super::store::{bytes_armed, bytes_of, bytes_said};
use super::thread::Frame;
pub use super::thread::Thread;
use super::value::{Twin, Value};

/// Instructions between two waits, unless said otherwise.
pub const FUEL: u64 = 10_000_000;
/// Levels of calls.
pub const DEPTH: usize = 200;
/// Bytes of cells and waiting handlers, unless said otherwise.
pub const MEMORY: usize = 64 << 20;

/// The slots that code reads and writes: the engine's memory, with what follows from it.
pub trait Slots {
    /// Simulated time in seconds.
    fn time(&self) -> f64;
    /// An element of a family. What formulas compute is computed anew where code wrote something since.
    ///
    /// # Errors
    ///
    /// The trap of a kernel.
    fn load(&mut self, home: &Home, element: u32, which: Which) -> Result<f64, Trap>;
    /// Writes an element.
    fn store(&mut self, home: &Home, element: u32, value: f64);
    /// A table's value.
    ///
    /// # Errors
    ///
    /// [`Trap::TableRange`].
    fn table(&mut self, table: TableId, x: f64) -> Result<f64, Trap>;
    /// Work that reading cost since this was last asked, in instructions: formulas that were computed anew.
    fn spent(&mut self) -> u64 {
        0
    }
}

/// Arguments of an event by name.
pub type Args = Vec<(Arc<str>, Value)>;

/// What code did beyond slots and cells.
#[derive(Debug, Default)]
pub struct Effects {
    /// Events, the instance that emits, arguments.
    pub emits: Vec<(EventId, u32, Args)>,
    /// Messages.
    pub sends: Vec<Outgoing>,
    /// Timers: delay in seconds, code, instance, arguments; the stream of who armed it.
    pub arms: Vec<(f64, CodeId, u32, Vec<Value>, u32)>,
    /// Messages for the log, with the instance.
    pub logs: Vec<(u32, String)>,
    /// Instances whose cells changed.
    pub cells: Vec<(OwnerId, u32)>,
    /// Places of populations that were taken (`true`) or freed, in order.
    pub places: Vec<(PopulationId, u32, bool)>,
}

/// A message as code sends it.
#[derive(Debug)]
pub struct Outgoing {
    /// What it is called.
    pub message: MessageId,
    /// Who sends it.
    pub from: Twin,
    /// Whom it is for; several get one each.
    pub to: Vec<Twin>,
    /// Its arguments.
    pub args: Args,
    /// Seconds on the way.
    pub delay: f64,
    /// The highest of an instant come first.
    pub priority: f64,
    /// Seconds after which it is worth nothing any more.
    pub ttl: Option<f64>,
    /// Conversation and number of the message that it answers.
    pub answers: Option<(u64, u64)>,
}

/// How code came to a halt.
#[derive(Debug)]
pub enum Outcome {
    /// It ended with a value.
    Done(Value),
    /// It waits: seconds.
    Wait(f64),
    /// It waits for a condition.
    Until(WatchId),
    /// It waits for an event.
    For(Heard),
    /// It asks for proposals, and waits for them: the register that takes them, what is asked, seconds.
    Collect(Reg, Box<Outgoing>, f64),
    /// `stop`: the run ends.
    Stop(Option<String>),
}

/// What code runs on.
pub struct Vm<'a, 'b> {
    /// The program's behaviour.
    pub behavior: &'a Behavior,
    /// Slots.
    pub slots: &'b mut dyn Slots,
    /// Cells and streams.
    pub store: &'b mut Store,
    /// What code did.
    pub effects: &'b mut Effects,
    /// Purpose (see [`super::streams`]) and instance whose random stream is drawn from.
    pub stream: (u32, u32),
}

pub(super) type R<T> = Result<T, FaultKind>;

pub(super) fn wrong(wanted: &'static str, v: &Value) -> FaultKind {
    FaultKind::Type { wanted, found: v.kind() }
}

/// A number; truth values count as 0 and 1.
pub(super) fn number(v: &Value) -> R<f64> {
    match v {
        Value::Num(x) => Ok(*x),
        Value::Bool(b) => Ok(f64::from(u8::from(*b))),
        _ => Err(wrong("a number", v)),
    }
}

pub(super) fn truth(v: &Value) -> R<bool> {
    match v {
        Value::Bool(b) => Ok(*b),
        Value::Num(x) => Ok(*x != 0.0),
        _ => Err(wrong("a truth value", v)),
    }
}

/// An index below `len`.
pub(super) fn index(v: &Value, len: usize) -> R<usize> {
    let x = number(v)?;
    if x >= 0.0 && x < len as f64 && x.trunc() == x {
        Ok(x as usize)
    } else {
        Err(FaultKind::Index { index: x, len })
    }
}

/// A number as people read it: twelve digits at most.
pub(super) fn shown(x: f64) -> String {
    let rounded: f64 = format!("{x:.11e}").parse().unwrap_or(x);
    if rounded != 0.0 && (rounded.abs() >= 1e15 || rounded.abs() < 1e-5) {
        format!("{rounded:e}")
    } else {
        format!("{}", rounded + 0.0)
    }
}

/// A value as people read it.
#[must_use]
pub fn text(behavior: &Behavior, v: &Value) -> String {
    let join = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(", ");
    match v {
        Value::None => "none".to_owned(),
        Value::Num(x) => shown(*x),
        Value::Bool(b) => b.to_string(),
        Value::Str(s) => s.to_string(),
        Value::List(items) => format!("[{}]", join(&mut items.iter().map(|v| text(behavior, v)))),
        Value::Set(items) => format!("{{{}}}", join(&mut items.iter().map(|v| text(behavior, v)))),
        Value::Map(items) => {
            let entry = |(k, v): (&Value, &Value)| format!("{}: {}", text(behavior, k), text(behavior, v));
            format!("{{{}}}", join(&mut items.iter().map(entry)))
        }
        Value::Record(ty, fields) => {
            let Some(ty) = behavior.records.get(*ty as usize) else { return "record".to_owned() };
            let field = |(n, v): (&String, &Value)| format!("{n}: {}", text(behavior, v));
            format!("{} {{ {} }}", ty.name, join(&mut ty.fields.iter().zip(fields.iter()).map(field)))
        }
        Value::Closure(..) => "function".to_owned(),
        Value::Twin(t) => {
            let path = path(behavior, t.owner, t.instance);
            if path.is_empty() { "the model".to_owned() } else { path }
        }
    }
}

pub(super) fn fault(behavior: &Behavior, code: CodeId, pc: usize, kind: FaultKind) -> Box<Fault> {
    let code = behavior.codes.get(code as usize);
    Box::new(Fault {
        kind,
        code: code.map_or_else(String::new, |c| c.name.clone()),
        twin: String::new(),
        origin: code.and_then(|c| c.origins.get(pc).copied()),
        others: Vec::new(),
    })
}

impl<'a> Vm<'a, '_> {
    /// Runs until the thread ends or waits.
    ///
    /// # Errors
    ///
    /// The fault of the code, with its place.
    pub fn run(&mut self, thread: &mut Thread) -> Result<Outcome, Box<Fault>> {
        let mut fuel = self.store.fuel;
        self.exec(thread, &mut fuel, 0)
    }

    /// Runs code that may not wait: a guard, a formula.
    ///
    /// # Errors
    ///
    /// The fault of the code.
    pub fn value(&mut self, code: CodeId, instance: u32, args: Vec<Value>) -> Result<Value, Box<Fault>> {
        let mut fuel = self.store.fuel;
        self.call(code, instance, args, &mut fuel, 0)
    }

    pub(super) fn call(
        &mut self,
        code: CodeId,
        instance: u32,
        args: Vec<Value>,
        fuel: &mut u64,
        depth: usize,
    ) -> Result<Value, Box<Fault>> {
        let mut thread = Thread::new(self.behavior, self.store, code, instance, args, self.stream.0);
        match self.exec(&mut thread, fuel, depth)? {
            Outcome::Done(v) => {
                thread.end(self.store);
                Ok(v)
            }
            _ => Err(fault(self.behavior, code, 0, FaultKind::Waits)),
        }
    }

    fn exec(&mut self, thread: &mut Thread, fuel: &mut u64, depth: usize) -> Result<Outcome, Box<Fault>> {
        let behavior = self.behavior;
        let instance = thread.instance;
        // Where the last backward jump stood: the loop that an endless handler is in.
        let mut looped: Option<OriginId> = None;
        loop {
            let Some(at) = thread.frames.last_mut() else { return Ok(Outcome::Done(Value::None)) };
            let (id, pc) = (at.code, at.pc);
            let broken = |what| fault(behavior, id, pc, FaultKind::Broken(what));
            let Some(code): Option<&'a Code> = behavior.codes.get(id as usize) else {
                return Err(broken("no such code"));
            };
            let Some(instr) = code.instrs.get(pc) else { return Err(broken("a code without an end")) };
            if *fuel == 0 {
                let mut f = fault(behavior, id, pc, FaultKind::Fuel { limit: self.store.fuel });
                f.origin = looped.or(f.origin);
                return Err(f);
            }
            *fuel -= 1;
            at.pc += 1;
            match instr {
                Instr::Jump(to) => {
                    let to = *to as usize;
                    if to <= pc {
                        looped = code.origins.get(pc).copied();
                    }
                    at.pc = to;
                }
                Instr::JumpUnless(c, to) => {
                    let c = truth(reg(&at.regs, *c)).map_err(|k| fault(behavior, id, pc, k))?;
                    if !c {
                        at.pc = *to as usize;
                    }
                }
                Instr::Call(out, callee, args) => {
                    let mut regs = self.store.pool.registers();
                    regs.extend(args.iter().map(|r| reg(&at.regs, *r).clone()));
                    if thread.frames.len() + depth >= DEPTH {
                        return Err(fault(behavior, id, pc, FaultKind::Depth { limit: DEPTH }));
                    }
                    thread.frames.push(Frame::new(behavior, &mut self.store.pool, *callee, regs, *out));
                }
                Instr::Return(value) => {
                    let value = value.map_or(Value::None, |r| reg(&at.regs, r).clone());
                    let out = at.out;
                    if let Some(ended) = thread.frames.pop() {
                        self.store.pool.keep(ended.regs);
                    }
                    match thread.frames.last_mut() {
                        Some(caller) => set(&mut caller.regs, out, value),
                        None => return Ok(Outcome::Done(value)),
                    }
                }
                Instr::Wait(d) => {
                    let d = number(reg(&at.regs, *d)).map_err(|k| fault(behavior, id, pc, k))?;
                    if !(0.0..1e18).contains(&d) {
                        return Err(fault(behavior, id, pc, FaultKind::Time { seconds: d }));
                    }
                    return Ok(Outcome::Wait(d));
                }
                Instr::WaitUntil(w) => return Ok(Outcome::Until(*w)),
                Instr::WaitFor(h) => return Ok(Outcome::For(*h)),
                Instr::Stop(reason) => {
                    return Ok(Outcome::Stop(reason.map(|r| text(behavior, reg(&at.regs, r)))));
                }
                Instr::Method(out, method, on, args) => {
                    let level = thread.frames.len() + depth;
                    let Some(at) = thread.frames.last_mut() else { continue };
                    let args: Vec<Value> = args.iter().map(|r| reg(&at.regs, *r).clone()).collect();
                    let mut on_value = std::mem::take(&mut at.regs[*on as usize]);
                    if level >= DEPTH {
                        return Err(fault(behavior, id, pc, FaultKind::Depth { limit: DEPTH }));
                    }
                    // While functions run that were given to it, what this code holds stays.
                    let held = if args.iter().any(|a| matches!(a, Value::Closure(..))) {
                        let limit = self.store.memory;
                        thread.frames.iter().flat_map(|f| &f.regs).map(|v| v.bytes(limit)).sum()
                    } else {
                        0
                    };
                    self.store.take(held).map_err(|k| fault(behavior, id, pc, k))?;
                    let result =
                        super::method::apply(self, *method, &mut on_value, args, |vm, f, args| match f {
                            Value::Closure(code, captured) => {
                                let mut all = args;
                                all.extend(captured.iter().cloned());
                                vm.call(*code, instance, all, fuel, level)
                            }
                            other => Err(fault(behavior, id, pc, wrong("a function", other))),
                        });
                    let result = result.map_err(|e| {
                        let mut f = e.at(behavior, id, pc);
                        // The loop is here, whatever ran last in it.
                        if matches!(f.kind, FaultKind::Fuel { .. }) && looped.is_some() {
                            f.origin = looped;
                            f.code.clone_from(&code.name);
                        }
                        f
                    })?;
                    self.store.give(held);
                    let Some(at) = thread.frames.last_mut() else { continue };
                    at.regs[*on as usize] = on_value;
                    set(&mut at.regs, *out, result);
                    self.made(24).map_err(|k| fault(behavior, id, pc, k))?;
                }
                Instr::Collect(out, d, deadline) => {
                    let regs = &at.regs;
                    let deadline = number(reg(regs, *deadline)).map_err(|k| fault(behavior, id, pc, k))?;
                    if !(0.0..1e18).contains(&deadline) {
                        return Err(fault(behavior, id, pc, FaultKind::Time { seconds: deadline }));
                    }
                    let me = self.twin(code.owner, instance);
                    self.send(d, regs, me).map_err(|k| fault(behavior, id, pc, k))?;
                    if let Some(asked) = self.effects.sends.pop() {
                        return Ok(Outcome::Collect(*out, Box::new(asked), deadline));
                    }
                }
                Instr::Send(d) => {
                    let regs = &at.regs;
                    let me = self.twin(code.owner, instance);
                    self.send(d, regs, me).map_err(|k| fault(behavior, id, pc, k))?;
                }
                other => {
                    let regs = &mut at.regs;
                    self.simple(other, regs, instance).map_err(|k| fault(behavior, id, pc, k))?;
                }
            }
            let work = std::mem::take(&mut self.store.work);
            if work > *fuel {
                let mut f = fault(behavior, id, pc, FaultKind::Fuel { limit: self.store.fuel });
                f.origin = looped.or(f.origin);
                return Err(f);
            }
            *fuel -= work;
            if self.store.made > self.store.memory / 4 {
                self.store.made = 0;
                let limit = self.store.memory;
                let mut total = self.store.waiting + thread.bytes(limit);
                for v in self.store.cells.iter().flatten() {
                    if total > limit {
                        break;
                    }
                    total += v.bytes(limit);
                }
                if total > limit {
                    return Err(fault(behavior, id, pc, FaultKind::Memory { limit }));
                }
            }
        }
    }

    /// Writes an element; what is no number is no value of it.
    fn write(&mut self, home: &Home, at: u32, x: f64) -> R<()> {
        if x.is_nan() {
            return Err(FaultKind::NoNumber { name: home.name.clone() });
        }
        if home.kind == Kind::Int && x.abs() >= WHOLE {
            return Err(FaultKind::NotWhole { name: home.name.clone(), value: x });
        }
        self.slots.store(home, at, x);
        Ok(())
    }

    fn home(&self, slot: &SlotRef, regs: &[Value], instance: u32) -> R<(&'a Home, u32)> {
        let home = self.behavior.vars.get(slot.var.index()).ok_or(FaultKind::Broken("no such variable"))?;
        let mut at = u64::from(slot.base) + u64::from(slot.stride) * u64::from(instance);
        for (r, len, step) in &slot.at {
            at += index(reg(regs, *r), *len as usize)? as u64 * u64::from(*step);
        }
        let at = u32::try_from(at).map_err(|_| FaultKind::Broken("a slot far outside"))?;
        if at >= home.len {
            return Err(FaultKind::Index { index: f64::from(at), len: home.len as usize });
        }
        Ok((home, at))
    }

    fn cell(&self, cell: u32, base: u32, stride: u32, at: Option<&Value>, instance: u32) -> R<usize> {
        let info = self.behavior.cells.get(cell as usize).ok_or(FaultKind::Broken("no such cell"))?;
        let at = match at {
            Some(v) => index(v, info.len as usize)?,
            None => 0,
        };
        let k = (base as usize + stride as usize * instance as usize) * info.len as usize + at;
        let len = self.store.cells.get(cell as usize).map_or(0, Vec::len);
        if k < len { Ok(k) } else { Err(FaultKind::Index { index: k as f64, len }) }
    }

    /// Instructions that end within themselves.
    fn simple(&mut self, instr: &'a Instr, regs: &mut [Value], instance: u32) -> R<()> {
        let value = match instr {
            Instr::Const(out, c) => (*out, Value::from(c)),
            Instr::Move(out, from) => (*out, reg(regs, *from).clone()),
            Instr::Time(out) => (*out, Value::Num(self.slots.time())),
            Instr::Instance(out) => (*out, Value::Num(f64::from(instance))),
            Instr::Load(out, slot, which, as_truth) => {
                let (home, at) = self.home(slot, regs, instance)?;
                let x = self.slots.load(home, at, *which).map_err(FaultKind::Trap)?;
                self.store.work += self.slots.spent();
                (*out, if *as_truth { Value::Bool(x != 0.0) } else { Value::Num(x) })
            }
            Instr::LoadArray(out, slot, len, step, as_truth) => {
                let (home, at) = self.home(slot, regs, instance)?;
                let mut items = std::collections::VecDeque::with_capacity(*len as usize);
                for k in 0..*len {
                    let at = at + k * step;
                    if at >= home.len {
                        return Err(FaultKind::Index { index: f64::from(at), len: home.len as usize });
                    }
                    let x = self.slots.load(home, at, Which::Value).map_err(FaultKind::Trap)?;
                    items.push_back(if *as_truth { Value::Bool(x != 0.0) } else { Value::Num(x) });
                }
                self.store.work += self.slots.spent();
                self.made(items.len() * size_of::<Value>())?;
                (*out, Value::list(items))
            }
            Instr::Store(slot, from) => {
                let x = number(reg(regs, *from))?;
                let (home, at) = self.home(slot, regs, instance)?;
                self.write(home, at, x)?;
                return Ok(());
            }
            Instr::StoreArray(slot, len, step, from) => {
                let (home, at) = self.home(slot, regs, instance)?;
                let Value::List(items) = reg(regs, *from) else {
                    return Err(wrong("a list", reg(regs, *from)));
                };
                if items.len() != *len as usize {
                    return Err(FaultKind::Index { index: items.len() as f64, len: *len as usize });
                }
                self.store.work += (items.len() / 4) as u64;
                for (k, v) in (0u32..).zip(items.iter()) {
                    let at = at + k * step;
                    if at >= home.len {
                        return Err(FaultKind::Index { index: f64::from(at), len: home.len as usize });
                    }
                    self.write(home, at, number(v)?)?;
                }
                return Ok(());
            }
            Instr::LoadCell(out, cell, base, stride, at) => {
                let k = self.cell(*cell, *base, *stride, at.map(|r| reg(regs, r)), instance)?;
                (*out, self.store.cells[*cell as usize][k].clone())
            }
            Instr::TakeCell(out, cell, base, stride, at) => {
                let k = self.cell(*cell, *base, *stride, at.map(|r| reg(regs, r)), instance)?;
                (*out, std::mem::take(&mut self.store.cells[*cell as usize][k]))
            }
            Instr::StoreCell(cell, base, stride, at, from) => {
                let k = self.cell(*cell, *base, *stride, at.map(|r| reg(regs, r)), instance)?;
                let value = reg(regs, *from).clone();
                if let Value::Str(s) = &value {
                    self.made(s.len())?;
                }
                self.store.cells[*cell as usize][k] = value;
                let changed = (self.behavior.cells[*cell as usize].owner, base + stride * instance);
                if self.effects.cells.last() != Some(&changed) {
                    self.effects.cells.push(changed);
                }
                return Ok(());
            }
            Instr::Un(out, op, x) => {
                let v = unary(*op, reg(regs, *x))?;
                if !matches!(v, Value::Num(_)) {
                    self.made(v.bytes(self.store.memory))?;
                }
                (*out, v)
            }
            Instr::Not(out, x) => (*out, Value::Bool(!truth(reg(regs, *x))?)),
            Instr::Bin(out, op, x, y) => {
                self.walk(reg(regs, *x));
                self.walk(reg(regs, *y));
                let v = binary(*op, reg(regs, *x), reg(regs, *y))?;
                if !matches!(v, Value::Num(_) | Value::Bool(_)) {
                    self.made(v.bytes(self.store.memory))?;
                }
                (*out, v)
            }
            Instr::Math(out, f, args) => {
                let arg = |k: usize| args.get(k).map_or(Ok(0.0), |r| number(reg(regs, *r)));
                (*out, Value::Num(math::eval::apply(*f, arg(0)?, arg(1)?)))
            }
            Instr::Table(out, table, x) => {
                let x = number(reg(regs, *x))?;
                (*out, Value::Num(self.slots.table(*table, x).map_err(FaultKind::Trap)?))
            }
            Instr::List(out, items) => {
                self.made((items.len() + 1) * size_of::<Value>())?;
                (*out, Value::list(items.iter().map(|r| reg(regs, *r).clone())).bounded()?)
            }
            Instr::Record(out, ty, fields) => {
                self.made((fields.len() + 1) * size_of::<Value>())?;
                let fields = fields.iter().map(|r| reg(regs, *r).clone()).collect();
                (*out, Value::record(*ty, fields).bounded()?)
            }
            Instr::Field(out, from, n) => match reg(regs, *from) {
                Value::Record(_, fields) => {
                    let field = fields.get(*n as usize).ok_or(FaultKind::Broken("no such field"))?;
                    (*out, field.clone())
                }
                other => return Err(wrong("a record", other)),
            },
            Instr::WithField(out, from, n, value) => match reg(regs, *from) {
                Value::Record(ty, fields) => {
                    let mut fields = fields.to_vec();
                    let field = fields.get_mut(*n as usize).ok_or(FaultKind::Broken("no such field"))?;
                    *field = reg(regs, *value).clone();
                    self.made(fields.len() * size_of::<Value>())?;
                    (*out, Value::record(*ty, fields).bounded()?)
                }
                other => return Err(wrong("a record", other)),
            },
            Instr::Index(out, from, at) => match reg(regs, *from) {
                Value::List(items) => (*out, items[index(reg(regs, *at), items.len())?].clone()),
                Value::Map(items) => (*out, items.get(reg(regs, *at)).cloned().unwrap_or(Value::None)),
                other => return Err(wrong("a list", other)),
            },
            Instr::WithElement(out, from, at, value) => {
                let (at, value) = (reg(regs, *at).clone(), reg(regs, *value).clone());
                // Where the copy replaces its original nothing needs to be copied.
                let whole = if out == from {
                    std::mem::take(&mut regs[*from as usize])
                } else {
                    reg(regs, *from).clone()
                };
                match whole {
                    Value::List(mut items) => {
                        let k = index(&at, items.len())?;
                        if Arc::strong_count(&items) > 1 {
                            self.made(items.len() * size_of::<Value>())?;
                        }
                        let list = Arc::make_mut(&mut items);
                        list.admit(&value)?;
                        list[k] = value;
                        (*out, Value::List(items))
                    }
                    Value::Map(mut items) => {
                        self.made(4 * size_of::<Value>())?;
                        let map = Arc::make_mut(&mut items);
                        map.admit(&at)?;
                        map.admit(&value)?;
                        map.insert(at, value);
                        (*out, Value::Map(items))
                    }
                    other => return Err(wrong("a list", &other)),
                }
            }
            Instr::Closure(out, code, captured) => {
                self.made((captured.len() + 1) * size_of::<Value>())?;
                let captured = captured.iter().map(|r| reg(regs, *r).clone()).collect();
                (*out, Value::closure(*code, captured).bounded()?)
            }
            Instr::Format(out, parts) => {
                let mut s = String::new();
                for part in parts {
                    match part {
                        Format::Text(t) => s.push_str(t),
                        Format::Value(r, how) => match reg(regs, *r) {
                            Value::Num(x) => {
                                s.push_str(&shown((x - how.unit.offset) / how.unit.scale));
                                if !how.unit.symbol.is_empty() {
                                    s.push(' ');
                                    s.push_str(&how.unit.symbol);
                                }
                            }
                            other => s.push_str(&text(self.behavior, other)),
                        },
                    }
                }
                self.made(s.len() + size_of::<Value>())?;
                (*out, Value::text(&s))
            }
            Instr::Emit(event, args) => {
                let args: Args = args.iter().map(|(n, r)| (n.clone(), reg(regs, *r).clone())).collect();
                self.store.take(bytes_of(&args))?;
                self.effects.emits.push((*event, instance, args));
                return Ok(());
            }
            Instr::Twin(out, of, open) => (*out, self.twins(of, open, regs, instance)?),
            Instr::Draw(out, dist) => (*out, self.draw(dist, regs)?),
            Instr::Arm(delay, code, args) => {
                let d = number(reg(regs, *delay))?;
                if !(0.0..1e18).contains(&d) {
                    return Err(FaultKind::Time { seconds: d });
                }
                let args: Vec<Value> = args.iter().map(|r| reg(regs, *r).clone()).collect();
                self.store.take(bytes_armed(&args))?;
                self.effects.arms.push((d, *code, instance, args, self.stream.0));
                return Ok(());
            }
            Instr::Create(out, population) => (*out, self.create(*population, instance)?),
            Instr::Retire(population, at) => {
                let len = self.population(*population)?.len;
                let at = index(reg(regs, *at), len as usize)? as u32;
                return self.retire(*population, instance * len + at);
            }
            Instr::RetireSelf(population, per) => {
                return self.retire(*population, instance / (*per).max(1));
            }
            Instr::Log(x) => {
                let said = text(self.behavior, reg(regs, *x));
                self.made(said.len())?;
                self.store.take(bytes_said(&said))?;
                self.effects.logs.push((instance, said));
                return Ok(());
            }
            Instr::Fail(x) => return Err(FaultKind::Fail { reason: text(self.behavior, reg(regs, *x)) }),
            Instr::NoMatch(x) => {
                return Err(FaultKind::NoMatch { value: text(self.behavior, reg(regs, *x)) });
            }
            _ => return Err(FaultKind::Broken("an instruction in the wrong place")),
        };
        set(regs, value.0, value.1);
        Ok(())
    }
}

/// `yard.trucks[3]`: the path of an instance.
#[must_use]
pub fn path(behavior: &Behavior, owner: OwnerId, instance: u32) -> String {
    let Some(owner) = behavior.owners.get(owner as usize) else { return String::new() };
    let axes: Vec<u32> = owner.path.iter().flat_map(|s| s.axes.iter().copied()).collect();
    let mut at = vec![0; axes.len()];
    let mut rest = instance;
    for (a, len) in axes.iter().enumerate().rev() {
        at[a] = rest % len.max(&1);
        rest /= len.max(&1);
    }
    let mut at = at.iter();
    let part = |s: &twinml_model::schema::Segment| {
        let axes: Vec<String> = at.by_ref().take(s.axes.len()).map(u32::to_string).collect();
        if axes.is_empty() { s.name.clone() } else { format!("{}[{}]", s.name, axes.join(",")) }
    };
    owner.path.iter().map(part).collect::<Vec<_>>().join(".")
}

pub(super) fn reg(regs: &[Value], r: Reg) -> &Value {
    regs.get(r as usize).unwrap_or(&Value::None)
}

fn set(regs: &mut [Value], r: Reg, v: Value) {
    if let Some(slot) = regs.get_mut(r as usize) {
        *slot = v;
    }
}

fn unary(op: UnOp, v: &Value) -> R<Value> {
    if let Value::List(items) = v {
        return items.iter().map(|v| unary(op, v)).collect::<R<Vec<_>>>().map(Value::list);
    }
    Ok(Value::Num(scalar::un(op, number(v)?)))
}

/// Two values; lists element by element.
fn binary(op: Op2, a: &Value, b: &Value) -> R<Value> {
    if let Op2::Cmp(c) = op {
        return compare(c, a, b).map(Value::Bool);
    }
    match (a, b) {
        (Value::List(x), Value::List(y)) => {
            if x.len() != y.len() {
                return Err(FaultKind::Index { index: y.len() as f64, len: x.len() });
            }
            return x
                .iter()
                .zip(y.iter())
                .map(|(a, b)| binary(op, a, b))
                .collect::<R<Vec<_>>>()
                .map(Value::list);
        }
        (Value::List(x), _) => {
            return x.iter().map(|a| binary(op, a, b)).collect::<R<Vec<_>>>().map(Value::list);
        }
        (_, Value::List(y)) => {
            return y.iter().map(|b| binary(op, a, b)).collect::<R<Vec<_>>>().map(Value::list);
        }
        (Value::Str(x), Value::Str(y)) if op == Op2::Add => return Ok(Value::text(&format!("{x}{y}"))),
        _ => {}
    }
    let arithmetic = match op {
        Op2::And => return Ok(Value::Bool(truth(a)? && truth(b)?)),
        Op2::Or => return Ok(Value::Bool(truth(a)? || truth(b)?)),
        Op2::Xor => return Ok(Value::Bool(truth(a)? != truth(b)?)),
        Op2::Cmp(c) => return compare(c, a, b).map(Value::Bool),
        Op2::Pow => return Ok(Value::Num(math::eval::pow(number(a)?, number(b)?))),
        Op2::WholeAdd => return whole(Op2::Add, a, b),
        Op2::WholeSub => return whole(Op2::Sub, a, b),
        Op2::WholeMul => return whole(Op2::Mul, a, b),
        Op2::WholePow => return whole(Op2::Pow, a, b),
        Op2::Add => BinOp::Add,
        Op2::Sub => BinOp::Sub,
        Op2::Mul => BinOp::Mul,
        Op2::Div => BinOp::Div,
        Op2::Min => BinOp::Min,
        Op2::Max => BinOp::Max,
    };
    Ok(Value::Num(scalar::bin(arithmetic, number(a)?, number(b)?)))
}

/// Two numbers that are `Int`s: the result is one, too. The least and the most of nobody stay what they are.
fn whole(op: Op2, a: &Value, b: &Value) -> R<Value> {
    let x = number(&binary(op, a, b)?)?;
    if x.abs() < WHOLE || number(a)?.is_infinite() || number(b)?.is_infinite() {
        return Ok(Value::Num(x));
    }
    Err(FaultKind::Inexact { value: x })
}

fn compare(op: CmpOp, a: &Value, b: &Value) -> R<bool> {
    if let (Ok(x), Ok(y)) = (number(a), number(b)) {
        return Ok(scalar::cmp(op, x, y));
    }
    let order = a.cmp(b);
    Ok(match (op, a, b) {
        (CmpOp::Eq, ..) => order.is_eq(),
        (CmpOp::Ne, ..) => order.is_ne(),
        (CmpOp::Lt, Value::Str(_), Value::Str(_)) => order.is_lt(),
        (CmpOp::Le, Value::Str(_), Value::Str(_)) => order.is_le(),
        (CmpOp::Gt, Value::Str(_), Value::Str(_)) => order.is_gt(),
        (CmpOp::Ge, Value::Str(_), Value::Str(_)) => order.is_ge(),
        _ => return Err(wrong("a number", if number(a).is_err() { a } else { b })),
    })
}
