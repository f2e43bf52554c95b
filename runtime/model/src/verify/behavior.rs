//! Invariants of behaviour. What passes here leads code to no slot, cell, code or state that is not there; what
//! registers hold is known only when code runs, and is checked there.
//!
//! 1. Families lie inside their spaces; owners have as many instances as their axes say, each with its place in the
//!    order; what belongs to instances (events' counters, watches, mirrors, machines) has a value for each.
//! 2. States of a machine stand in preorder; leaves are numbered in that order; a state that holds others names one of
//!    its own as the one to begin with.
//! 3. Handlers, watches, machines and codes that belong together are of one family; a transition leads to a state of
//!    its own machine; an event reaches an instance that exists.
//! 4. Routes are sorted and lead from instances to instances.
//! 5. A code ends with `Return`, jumps inside itself, names only registers of its frame and has a place for each
//!    instruction; all slots that it can address exist, for all instances and all indices in their range; it writes
//!    `Disc`, `Input`, `State` and `Param` alone.
//! 6. Names of messages differ, those that the run itself answers with come first; handlers that take messages hear an
//!    event of their own family; a twin that code names exists.

use super::error::{Problem, VerifyError};
use super::{origin, slots};
use crate::behavior::{
    Behavior, Code, Dispatch, Dist, FAILURE, Format, Handler, Heard, Hearer, Holds, Home, Instr, MESSAGE,
    Machine, NOT_UNDERSTOOD, Pattern, Period, Population, Reg, SlotRef, Trigger, TwinRef, Which,
};
use crate::ids::VarId;
use crate::ir::Space;
use crate::program::Program;
use crate::schema::Kind;

/// Most elements of all cells together.
const CELLS: u64 = 1 << 26;

type V = Result<(), Problem>;

fn wrong(what: &'static str) -> Problem {
    Problem::Behavior(what)
}

fn holds(condition: bool, what: &'static str) -> V {
    if condition { Ok(()) } else { Err(wrong(what)) }
}

struct Check<'p> {
    program: &'p Program,
    b: &'p Behavior,
}

/// Checks the behaviour of a program.
pub(super) fn behavior(program: &Program) -> Result<(), VerifyError> {
    let c = Check { program, b: &program.behavior };
    let b = c.b;
    let named = |kind: &str, k: usize, name: &str| format!("{kind} {k} `{name}`");
    for (k, h) in b.vars.iter().enumerate() {
        c.home(h).map_err(|p| VerifyError::new(named("family", k, &h.name), p))?;
    }
    for (k, o) in b.owners.iter().enumerate() {
        let count = o.path.iter().flat_map(|s| &s.axes).try_fold(1u32, |n, a| n.checked_mul(*a));
        let fits = count == Some(o.count) && o.order.len() == o.count as usize;
        holds(fits, "an owner with another number of instances")
            .map_err(|p| VerifyError::new(format!("owner {k}"), p))?;
    }
    let mut cells = 0u64;
    for (k, x) in b.cells.iter().enumerate() {
        let at = |p| VerifyError::new(named("cell", k, &x.name), p);
        let count = c.count(x.owner).map_err(at)?;
        cells = cells.saturating_add(u64::from(x.len).saturating_mul(count));
        holds(x.len > 0 && cells <= CELLS, "too many elements of cells, or none").map_err(at)?;
        x.start.map_or(Ok(()), |s| c.code_of(s, x.owner)).map_err(at)?;
        origin(program, x.origin).map_err(at)?;
    }
    for (k, e) in b.events.iter().enumerate() {
        let at = |p| VerifyError::new(named("event", k, &e.name), p);
        c.count(e.owner).map_err(at)?;
        e.counter.map_or(Ok(()), |v| c.each(v, e.owner)).map_err(at)?;
    }
    for (k, w) in b.watches.iter().enumerate() {
        let at = |p| VerifyError::new(format!("watch {k}"), p);
        c.each(w.var, w.owner).map_err(at)?;
        origin(program, w.origin).map_err(at)?;
    }
    for (k, m) in b.mirrors.iter().enumerate() {
        let at = |p| VerifyError::new(format!("mirror {k}"), p);
        c.each(m.var, m.owner).and_then(|()| c.code_of(m.code, m.owner)).map_err(at)?;
    }
    for (k, m) in b.machines.iter().enumerate() {
        c.machine(m).map_err(|p| VerifyError::new(named("machine", k, &m.name), p))?;
    }
    for (k, h) in b.handlers.iter().enumerate() {
        c.handler(h).map_err(|p| VerifyError::new(format!("handler {k}"), p))?;
    }
    for (k, r) in b.routes.iter().enumerate() {
        let at = |p| VerifyError::new(format!("route {k}"), p);
        let from = c.event(r.from).and_then(|o| c.count(o)).map_err(at)?;
        let to = c.event(r.to).and_then(|o| c.count(o)).map_err(at)?;
        let inside = u64::from(r.from_instance) < from && u64::from(r.to_instance) < to;
        holds(inside, "a route from or to an instance that is not there").map_err(at)?;
        let sorted =
            k == 0 || (b.routes[k - 1].from, b.routes[k - 1].from_instance) <= (r.from, r.from_instance);
        holds(sorted, "routes that are not sorted").map_err(at)?;
    }
    for (k, p) in b.populations.iter().enumerate() {
        c.places(p).map_err(|e| VerifyError::new(named("population", k, &p.name), e))?;
    }
    for (k, m) in b.messages.iter().enumerate() {
        let known = match u32::try_from(k) {
            Ok(NOT_UNDERSTOOD) => m.name == "not_understood",
            Ok(FAILURE) => m.name == "failure",
            _ => b.messages[..k].iter().all(|other| other.name != m.name),
        };
        holds(known && b.messages.len() > 1, "names of messages out of order")
            .map_err(|p| VerifyError::new(named("message", k, &m.name), p))?;
    }
    for (k, h) in b.hearers.iter().enumerate() {
        let at = |p| VerifyError::new(format!("hearer {k}"), p);
        let sorted = k == 0 || b.hearers[k - 1].handler < h.handler;
        holds(sorted, "handlers of messages that are not sorted").and_then(|()| c.hearer(h)).map_err(at)?;
    }
    for (k, code) in b.codes.iter().enumerate() {
        let at = |p| VerifyError::new(named("code", k, &code.name), p);
        c.code(code).map_err(at)?;
    }
    Ok(())
}

impl Check<'_> {
    fn home(&self, h: &Home) -> V {
        slots(self.program, h.space, h.base, h.len)?;
        if let Some(start) = h.start {
            slots(self.program, Space::Param, start, h.len)?;
        }
        if let Kind::Enum(id) = h.kind {
            let known = id.index() < self.program.schema.enums.len();
            return if known { Ok(()) } else { Err(Problem::NoSuchEnum(id)) };
        }
        Ok(())
    }

    fn var(&self, v: VarId) -> Result<&Home, Problem> {
        self.b.vars.get(v.index()).ok_or_else(|| wrong("a family that is not there"))
    }

    /// Instances of an owner.
    fn count(&self, owner: u32) -> Result<u64, Problem> {
        let o = self.b.owners.get(owner as usize).ok_or_else(|| wrong("an owner that is not there"))?;
        Ok(u64::from(o.count))
    }

    /// Whose an event is.
    fn event(&self, e: u32) -> Result<u32, Problem> {
        self.b.events.get(e as usize).map(|e| e.owner).ok_or_else(|| wrong("an event that is not there"))
    }

    /// A discrete value for each instance.
    fn each(&self, v: VarId, owner: u32) -> V {
        let (home, count) = (self.var(v)?, self.count(owner)?);
        holds(
            home.space == Space::Disc && u64::from(home.len) == count,
            "no discrete value for each instance",
        )
    }

    fn code_exists(&self, code: u32) -> Result<&Code, Problem> {
        self.b.codes.get(code as usize).ok_or_else(|| wrong("a code that is not there"))
    }

    fn code_of(&self, code: u32, owner: u32) -> V {
        holds(self.code_exists(code)?.owner == owner, "a code of another family")
    }

    fn watch(&self, w: u32, owner: u32) -> V {
        let w = self.b.watches.get(w as usize).ok_or_else(|| wrong("a watch that is not there"))?;
        holds(w.owner == owner, "a watch of another family")
    }

    fn heard(&self, h: Heard, owner: u32) -> V {
        let (from, to) = (self.count(self.event(h.event)?)?, self.count(owner)?);
        let fits = h.per > 0 && h.only.is_none_or(|o| o < h.per) && from <= to * u64::from(h.per);
        holds(fits, "an event that reaches an instance that is not there")
    }

    fn hearer(&self, h: &Hearer) -> V {
        let handler = self.b.handlers.get(h.handler as usize);
        let handler = handler.ok_or_else(|| wrong("a handler that is not there"))?;
        let own = match handler.trigger {
            Trigger::Event(Heard { event, per: 1, only: None }) => self.event(event)? == handler.owner,
            _ => false,
        };
        holds(own, "messages to a handler of something else than an event of its own")?;
        let Some(args) = &h.args else { return Ok(()) };
        let named = handler.params.iter().filter(|p| *p != MESSAGE).count();
        holds(args.len() == named, "messages with another number of arguments")?;
        args.iter().try_for_each(|a| match a.holds {
            Holds::Record(ty) => holds((ty as usize) < self.b.records.len(), "a record that is not there"),
            _ => Ok(()),
        })
    }

    /// Twins that code names: of all instances, and all indices in their range.
    fn twins(&self, c: &Code, t: &TwinRef, open: &[(u32, u32)]) -> V {
        t.at.iter().try_for_each(|(r, ..)| self.reg(c, *r))?;
        let reach = |n: u64, step: u32| n.saturating_sub(1).saturating_mul(u64::from(step));
        let count = self.count(c.owner)?;
        let mut last = u64::from(t.base).saturating_add(reach(count, t.stride));
        let axes = || t.at.iter().map(|(_, n, step)| (*n, *step)).chain(open.iter().copied());
        for (n, step) in axes() {
            last = last.saturating_add(reach(n.into(), step));
        }
        let none = count == 0 || axes().any(|(n, _)| n == 0);
        holds(none || last < self.count(t.owner)?, "a twin that is not there")?;
        let all = open.iter().try_fold(1u32, |all, (n, _)| all.checked_mul(*n));
        holds(all.is_some_and(|n| u64::from(n) <= CELLS), "too many twins at once")
    }

    fn dispatch(&self, c: &Code, d: &Dispatch) -> V {
        holds((d.message as usize) < self.b.messages.len(), "a message that is not there")?;
        holds(d.to.is_some() || d.answers.is_some(), "a message to nobody")?;
        for r in d.to.iter().chain(&d.answers).chain(&d.after).chain(&d.priority).chain(&d.ttl) {
            self.reg(c, *r)?;
        }
        d.args.iter().try_for_each(|(_, r)| self.reg(c, *r))
    }

    fn machine(&self, m: &Machine) -> V {
        self.each(m.var, m.owner)?;
        origin(self.program, m.origin)?;
        let state = |k: u32| m.states.get(k as usize).ok_or_else(|| wrong("a state that is not there"));
        holds(state(m.initial)?.parent.is_none(), "an outermost initial state inside another")?;
        let mut leaves = 0u32;
        for (k, s) in (0u32..).zip(&m.states) {
            holds(s.parent.is_none_or(|p| p < k), "states that do not stand in preorder")?;
            holds(
                s.first_leaf == leaves && s.first_leaf < s.end_leaf,
                "leaves that are not numbered in order",
            )?;
            match s.initial {
                None => {
                    holds(s.end_leaf == s.first_leaf + 1, "a state with leaves and no initial one")?;
                    leaves += 1;
                }
                Some(i) => {
                    holds(i > k && state(i)?.parent == Some(k), "an initial state that is not its own")?;
                }
            }
            if let Some(p) = s.parent {
                let p = state(p)?;
                let inside = p.initial.is_some() && p.first_leaf <= s.first_leaf && s.end_leaf <= p.end_leaf;
                holds(inside, "a state whose leaves are not its parent's")?;
            }
            for code in s.entry.into_iter().chain(s.exit) {
                self.code_of(code, m.owner)?;
            }
        }
        holds(m.states.iter().all(|s| s.end_leaf <= leaves), "leaves that are not there")
    }

    fn period(&self, p: Period, owner: u32) -> V {
        match p {
            Period::Exact(_) => Ok(()),
            Period::Code(c) => self.code_of(c, owner),
        }
    }

    fn handler(&self, h: &Handler) -> V {
        let o = h.owner;
        self.count(o)?;
        origin(self.program, h.origin)?;
        let mut states = 0;
        if let Some((m, s)) = h.scope {
            let m = self.b.machines.get(m as usize).ok_or_else(|| wrong("a machine that is not there"))?;
            holds(m.owner == o, "a machine of another family")?;
            states = m.states.len();
            holds(s.is_none_or(|s| (s as usize) < states), "a state that is not there")?;
        }
        holds(h.target.is_none_or(|t| (t as usize) < states), "a transition to a state that is not there")?;
        for code in h.guard.into_iter().chain(h.body) {
            self.code_of(code, o)?;
            let room = usize::from(self.code_exists(code)?.registers);
            holds(h.params.len() <= room, "more arguments than registers")?;
        }
        match &h.trigger {
            Trigger::Start | Trigger::Stop => Ok(()),
            Trigger::Rising(w) | Trigger::Falling(w) | Trigger::Change(w) | Trigger::When(w) => {
                self.watch(*w, o)
            }
            Trigger::Every { period, offset } => {
                self.period(*period, o).and_then(|()| self.period(*offset, o))
            }
            Trigger::At(p) => self.period(*p, o),
            Trigger::After(c) => self.code_of(*c, o),
            Trigger::Event(e) => self.heard(*e, o),
            Trigger::Pattern(p) => self.pattern(p, o),
        }
    }

    fn pattern(&self, p: &Pattern, o: u32) -> V {
        let (heard, codes): (Vec<Heard>, Vec<u32>) = match p {
            Pattern::Sequence(list) => {
                (list.iter().map(|x| x.0).collect(), list.iter().filter_map(|x| x.1).collect())
            }
            Pattern::All(list, d) => (list.clone(), d.iter().copied().collect()),
            Pattern::Any(list) => (list.clone(), Vec::new()),
            Pattern::Count(e, n, d) => {
                holds(*n > 0, "a pattern of no events")?;
                (vec![*e], d.iter().copied().collect())
            }
            Pattern::Absence(e, d) => (vec![*e], vec![*d]),
            Pattern::Causal(a, z, d) => (vec![*a, *z], vec![*d]),
        };
        holds(!heard.is_empty(), "a pattern of no events")?;
        heard.into_iter().try_for_each(|e| self.heard(e, o))?;
        codes.into_iter().try_for_each(|c| self.code_of(c, o))
    }

    /// Places of a population for each instance, and in all.
    fn population(&self, p: u32) -> Result<(u64, u64), Problem> {
        let p = self.b.populations.get(p as usize).ok_or_else(|| wrong("a population that is not there"))?;
        Ok((u64::from(p.len), u64::from(self.var(p.present)?.len)))
    }

    fn places(&self, p: &Population) -> V {
        let home = self.var(p.present)?;
        let places = u64::from(home.len);
        holds(home.space == Space::Disc && p.len > 0, "a population without places")?;
        for &(owner, each) in &p.owners {
            let fits = self.count(owner)? == places.saturating_mul(u64::from(each));
            holds(fits, "a population with another number of instances")?;
        }
        for &(v, each) in &p.anew {
            let fits = u64::from(self.var(v)?.len) == places.saturating_mul(u64::from(each));
            holds(fits, "values of a population for another number of places")?;
        }
        Ok(())
    }

    fn code(&self, c: &Code) -> V {
        self.count(c.owner)?;
        holds(c.params <= c.registers, "more arguments than registers")?;
        holds(c.origins.len() == c.instrs.len(), "an instruction without a place")?;
        c.origins.iter().try_for_each(|o| origin(self.program, *o))?;
        holds(matches!(c.instrs.last(), Some(Instr::Return(_))), "a code without an end")?;
        c.instrs.iter().try_for_each(|i| self.instr(c, i))
    }

    /// Slots from a reference on: `run` of them, `step` apart.
    fn reference(&self, c: &Code, s: &SlotRef, run: u32, step: u32, which: Which, written: bool) -> V {
        let home = self.var(s.var)?;
        s.at.iter().try_for_each(|(r, ..)| self.reg(c, *r))?;
        let reach = |n: u64, stride: u32| n.saturating_sub(1) * u64::from(stride);
        let mut last = u64::from(s.base)
            .saturating_add(reach(self.count(c.owner)?, s.stride))
            .saturating_add(reach(u64::from(run), step));
        for (_, len, step) in &s.at {
            last = last.saturating_add(reach(u64::from(*len), *step));
        }
        let none = self.count(c.owner)? == 0 || run == 0 || s.at.iter().any(|(_, len, _)| *len == 0);
        holds(none || last < u64::from(home.len), "an address outside of its family")?;
        let place = match which {
            Which::Value => true,
            Which::Der => home.space == Space::State,
            Which::Start => home.start.is_some(),
        };
        holds(place, "a derivative or a start value that is not there")?;
        let may = matches!(home.space, Space::Disc | Space::Input | Space::State | Space::Param);
        holds(!written || may, "a value that equations compute is written")
    }

    fn cell(&self, c: &Code, cell: u32, base: u32, stride: u32, at: Option<Reg>) -> V {
        let x = self.b.cells.get(cell as usize).ok_or_else(|| wrong("a cell that is not there"))?;
        let count = self.count(c.owner)?;
        let last = u64::from(base).saturating_add(count.saturating_sub(1) * u64::from(stride));
        holds(count == 0 || last < self.count(x.owner)?, "a cell of an instance that is not there")?;
        at.map_or(Ok(()), |r| self.reg(c, r))
    }

    fn reg(&self, c: &Code, r: Reg) -> V {
        holds(r < c.registers, "a register outside of its frame")
    }

    fn regs(&self, c: &Code, list: &[Reg]) -> V {
        list.iter().try_for_each(|r| self.reg(c, *r))
    }

    fn label(&self, c: &Code, to: u32) -> V {
        holds((to as usize) < c.instrs.len(), "a jump out of its code")
    }

    fn called(&self, callee: u32, args: usize) -> V {
        holds(args <= usize::from(self.code_exists(callee)?.registers), "more arguments than registers")
    }

    fn instr(&self, c: &Code, i: &Instr) -> V {
        match i {
            Instr::Const(r, _) | Instr::Time(r) | Instr::Instance(r) | Instr::Wait(r) => self.reg(c, *r),
            Instr::Log(r) | Instr::Fail(r) | Instr::NoMatch(r) => self.reg(c, *r),
            Instr::Move(a, b) | Instr::Not(a, b) | Instr::Un(a, _, b) => self.regs(c, &[*a, *b]),
            Instr::Load(r, s, which, _) => {
                self.reg(c, *r).and_then(|()| self.reference(c, s, 1, 0, *which, false))
            }
            Instr::LoadArray(r, s, len, step, _) => {
                self.reg(c, *r).and_then(|()| self.reference(c, s, *len, *step, Which::Value, false))
            }
            Instr::Store(s, r) => {
                self.reg(c, *r).and_then(|()| self.reference(c, s, 1, 0, Which::Value, true))
            }
            Instr::StoreArray(s, len, step, r) => {
                self.reg(c, *r).and_then(|()| self.reference(c, s, *len, *step, Which::Value, true))
            }
            Instr::LoadCell(r, cell, base, stride, at)
            | Instr::TakeCell(r, cell, base, stride, at)
            | Instr::StoreCell(cell, base, stride, at, r) => {
                self.reg(c, *r).and_then(|()| self.cell(c, *cell, *base, *stride, *at))
            }
            Instr::Bin(a, _, x, y) | Instr::Index(a, x, y) => self.regs(c, &[*a, *x, *y]),
            Instr::Math(r, f, args) => {
                holds(args.len() == f.arity(), "a function with another number of arguments")?;
                self.reg(c, *r).and_then(|()| self.regs(c, args))
            }
            Instr::Table(r, table, x) => {
                let known = table.index() < self.program.tables.len();
                holds(known, "a table that is not there").and_then(|()| self.regs(c, &[*r, *x]))
            }
            Instr::Jump(to) => self.label(c, *to),
            Instr::JumpUnless(r, to) => self.reg(c, *r).and_then(|()| self.label(c, *to)),
            Instr::Call(r, callee, args) | Instr::Closure(r, callee, args) => {
                self.called(*callee, args.len())?;
                self.reg(c, *r).and_then(|()| self.regs(c, args))
            }
            Instr::Return(r) | Instr::Stop(r) => r.map_or(Ok(()), |r| self.reg(c, r)),
            Instr::List(r, args) => self.reg(c, *r).and_then(|()| self.regs(c, args)),
            Instr::Record(r, ty, args) => {
                let fields = self.b.records.get(*ty as usize).map(|t| t.fields.len());
                holds(fields == Some(args.len()), "a record with other fields")?;
                self.reg(c, *r).and_then(|()| self.regs(c, args))
            }
            Instr::Field(a, b, _) => self.regs(c, &[*a, *b]),
            Instr::WithField(a, b, _, v) => self.regs(c, &[*a, *b, *v]),
            Instr::WithElement(a, b, at, v) => self.regs(c, &[*a, *b, *at, *v]),
            Instr::Method(r, _, on, args) => self.regs(c, &[*r, *on]).and_then(|()| self.regs(c, args)),
            Instr::Format(r, parts) => {
                self.reg(c, *r)?;
                parts.iter().try_for_each(|p| match p {
                    Format::Text(_) => Ok(()),
                    Format::Value(r, _) => self.reg(c, *r),
                })
            }
            Instr::Emit(e, args) => {
                let fits = self.count(c.owner)? <= self.count(self.event(*e)?)?;
                holds(fits, "an event of an instance that is not there")?;
                args.iter().try_for_each(|(_, r)| self.reg(c, *r))
            }
            Instr::Twin(r, t, open) => self.reg(c, *r).and_then(|()| self.twins(c, t, open)),
            Instr::Send(d) => self.dispatch(c, d),
            Instr::Collect(r, d, deadline) => {
                holds(d.to.is_some() && d.answers.is_none(), "a call for proposals to nobody")?;
                self.regs(c, &[*r, *deadline]).and_then(|()| self.dispatch(c, d))
            }
            Instr::WaitUntil(w) => self.watch(*w, c.owner),
            Instr::WaitFor(h) => self.heard(*h, c.owner),
            Instr::Draw(r, d) => self.reg(c, *r).and_then(|()| self.dist(c, d)),
            Instr::Create(r, p) | Instr::Retire(p, r) => {
                let (len, places) = self.population(*p)?;
                let fits = self.count(c.owner)?.saturating_mul(len) <= places;
                holds(fits, "a population of an instance that is not there").and_then(|()| self.reg(c, *r))
            }
            Instr::RetireSelf(p, per) => {
                let (_, places) = self.population(*p)?;
                let fits = *per > 0 && self.count(c.owner)? <= places.saturating_mul(u64::from(*per));
                holds(fits, "an instance without a place in a population")
            }
            Instr::Arm(r, code, args) => {
                self.called(*code, args.len())?;
                self.reg(c, *r).and_then(|()| self.regs(c, args))
            }
        }
    }

    fn dist(&self, c: &Code, d: &Dist) -> V {
        match d {
            Dist::Named(_, args) => self.regs(c, args),
            Dist::Discrete(values, weights) => {
                self.reg(c, *values).and_then(|()| weights.map_or(Ok(()), |w| self.reg(c, w)))
            }
            Dist::Truncated(of, lo, hi) => self.dist(c, of).and_then(|()| self.regs(c, &[*lo, *hi])),
            Dist::Mixture(list, weights) => {
                list.iter().try_for_each(|d| self.dist(c, d))?;
                weights.map_or(Ok(()), |w| self.reg(c, w))
            }
            Dist::Samples(_) => Ok(()),
        }
    }
}
