//! Handlers, transitions and machines of an instance family.

use super::super::Flattener;
use super::super::scope::{InstId, R, Stop};
use super::body::Body;
use super::formula::has_locals;
use crate::hir::behavior::{EventRef, Handler, Item, Pattern, State, Trigger};
use crate::hir::{self, LocalId};
use crate::source::Span;
use twinml_model::behavior as model;

/// Where a handler stands: a machine, and a state in it.
type At = Option<(model::MachineId, Option<model::StateId>)>;

impl<'a> Flattener<'a> {
    /// All handlers of an instance family, in declaration order.
    pub(super) fn handlers(&mut self, inst: InstId) {
        let class = self.inst(inst).class;
        for item in &class.behavior.order {
            match *item {
                Item::Handler(k) => {
                    if let Some(h) = class.behavior.handlers.get(k as usize) {
                        self.handler(inst, h, None);
                    }
                }
                Item::Machine(k) => {
                    let Some(m) = class.behavior.machines.get(k as usize) else { continue };
                    let Some(&id) = self.behaving.machines.get(&(inst, m.name.clone())) else { continue };
                    for h in &m.handlers {
                        self.handler(inst, h, Some((id, None)));
                    }
                    let mut next = 0;
                    self.states(inst, &m.states, id, &mut next);
                }
            }
        }
    }

    fn states(&mut self, inst: InstId, list: &'a [State], machine: model::MachineId, next: &mut u32) {
        for s in list {
            let at = *next;
            *next += 1;
            for (body, entry) in [(&s.entry, true), (&s.exit, false)] {
                let Some(body) = body else { continue };
                let word = if entry { "entry" } else { "exit" };
                let mut b = Body::new(inst, format!("{word} of {}", s.name), s.span);
                let code = self.stmts(&mut b, body).and_then(|()| self.add_code(b));
                let code = self.or_report(code);
                let state = &mut self.behaving.out.machines[machine as usize].states[at as usize];
                if entry {
                    state.entry = code;
                } else {
                    state.exit = code;
                }
            }
            for h in &s.handlers {
                self.handler(inst, h, Some((machine, Some(at))));
            }
            self.states(inst, &s.states, machine, next);
        }
    }

    pub(super) fn or_report<T>(&mut self, done: R<T>) -> Option<T> {
        match done {
            Ok(x) => Some(x),
            Err(Stop::Fail) => None,
            Err(e) => {
                self.settle_stop(Err(e));
                None
            }
        }
    }

    fn handler(&mut self, inst: InstId, h: &'a Handler, at: At) {
        self.level = 0;
        self.operations = 0;
        let done = self.handler_code(inst, h, at);
        self.or_report(done);
    }

    fn handler_code(&mut self, inst: InstId, h: &'a Handler, mut at: At) -> R<()> {
        let owner = self.owner_of(inst);
        let name = head(h);
        let locals: Vec<LocalId> = h.params.iter().map(|p| p.local).collect();
        let triggers = self.triggers(inst, h, &mut at)?;
        let guard = match &h.guard {
            Some(g) => {
                let mut b = Body::new(inst, format!("guard of {name}"), g.span);
                for p in &locals {
                    b.param(*p);
                }
                self.bind_message(&mut b, h);
                self.bind_sender(&mut b, h);
                self.defaults(&mut b, &h.params)?;
                let x = self.value(&mut b, g)?;
                b.push(model::Instr::Return(Some(x)));
                Some(self.add_code(b)?)
            }
            None => None,
        };
        let body = match &h.body {
            Some(list) => {
                let mut b = Body::new(inst, name.clone(), h.span);
                for p in &locals {
                    b.param(*p);
                }
                self.bind_message(&mut b, h);
                self.bind_sender(&mut b, h);
                self.defaults(&mut b, &h.params)?;
                self.stmts(&mut b, list)?;
                Some(self.add_code(b)?)
            }
            None => None,
        };
        let target = match (&h.target, at) {
            (Some((name, span)), Some((m, _))) => {
                let states = &self.behaving.out.machines[m as usize].states;
                match states.iter().position(|s| *s.name == **name) {
                    Some(k) => Some(k as u32),
                    None => return Err(self.internal(*span, "a state that is not there")),
                }
            }
            _ => None,
        };
        let origin = self.origin_at(h.head, inst);
        let own = matches!(&h.trigger, Trigger::Event(e) if e.path.is_empty());
        let message = h.message.map(|_| model::MESSAGE.to_owned());
        for trigger in triggers {
            if own {
                self.takes(h);
            }
            self.behaving.out.handlers.push(model::Handler {
                owner,
                trigger,
                scope: at,
                guard,
                body,
                target,
                params: h.params.iter().map(|p| p.name.to_string()).chain(message.clone()).collect(),
                queued: h.queued,
                origin,
            });
        }
        Ok(())
    }

    fn triggers(&mut self, inst: InstId, h: &'a Handler, at: &mut At) -> R<Vec<model::Trigger>> {
        use model::Trigger as T;
        Ok(vec![match &h.trigger {
            Trigger::Start => T::Start,
            Trigger::Stop => T::Stop,
            Trigger::Rising(e) => T::Rising(self.watch(inst, e)?),
            Trigger::Falling(e) => T::Falling(self.watch(inst, e)?),
            Trigger::Change(e) => {
                let w = self.watch(inst, e)?;
                let var = self.behaving.out.watches[w as usize].var;
                self.system.behavior_changes.push((var, e.span));
                T::Change(w)
            }
            Trigger::When(e) => T::When(self.watch(inst, e)?),
            Trigger::Every { period, offset } => {
                let period = self.period(inst, period)?;
                let offset = match offset {
                    Some(o) => self.period(inst, o)?,
                    None => model::Period::Exact(0),
                };
                T::Every { period, offset }
            }
            Trigger::At(e) => T::At(self.period(inst, e)?),
            Trigger::After { delay, state } => {
                if let Some((machine, state)) = state {
                    let found = self.behaving.machines.get(&(inst, machine.clone())).copied();
                    let state = found.and_then(|m| {
                        let states = &self.behaving.out.machines[m as usize].states;
                        states.iter().position(|s| *s.name == **state).map(|k| (m, Some(k as u32)))
                    });
                    *at = match state {
                        Some(s) => Some(s),
                        None => return Err(self.internal(h.head, "a state that is not there")),
                    };
                }
                T::After(self.value_code(inst, format!("delay of {}", head(h)), &[], delay)?)
            }
            Trigger::Event(e) => {
                return Ok(self.heard(inst, e)?.into_iter().map(T::Event).collect());
            }
            Trigger::Pattern(p) => T::Pattern(self.pattern(inst, p, h.head)?),
            Trigger::Later(what) => return Err(self.later(h.head, what)),
        }])
    }

    fn one_heard(&mut self, inst: InstId, e: &'a EventRef) -> R<model::Heard> {
        match self.heard(inst, e)?[..] {
            [one] => Ok(one),
            _ => Err(self.later(e.span, "a pattern over twins that differ in structure")),
        }
    }

    fn pattern(&mut self, inst: InstId, p: &'a Pattern, head: Span) -> R<model::Pattern> {
        let within = |s: &mut Self, e: &'a Option<hir::Expr>| match e {
            Some(e) => s.value_code(inst, "within".to_owned(), &[], e).map(Some),
            None => Ok(None),
        };
        Ok(match p {
            Pattern::Sequence(list) => {
                let mut out = Vec::with_capacity(list.len());
                for (e, d) in list {
                    out.push((self.one_heard(inst, e)?, within(self, d)?));
                }
                model::Pattern::Sequence(out)
            }
            Pattern::All(list, d) => {
                let all = list.iter().map(|e| self.one_heard(inst, e)).collect::<R<Vec<_>>>()?;
                model::Pattern::All(all, within(self, d)?)
            }
            Pattern::Any(list) => {
                let mut all = Vec::new();
                for e in list {
                    all.extend(self.heard(inst, e)?);
                }
                model::Pattern::Any(all)
            }
            Pattern::Count(e, n, d) => {
                let scope = self.scope_in(inst);
                let times = self.integer(n, &scope)?;
                let Some(times) = u32::try_from(times).ok().filter(|n| *n > 0) else {
                    return Err(self.out_of_range(n.span, times, i64::from(u32::MAX)));
                };
                let d = within(self, d)?;
                model::Pattern::Count(self.one_heard(inst, e)?, times, d)
            }
            Pattern::Absence(e, d) => {
                let e = self.one_heard(inst, e)?;
                model::Pattern::Absence(e, self.value_code(inst, "within".to_owned(), &[], d)?)
            }
            Pattern::Causal(a, z, d) => {
                let (a, z) = (self.one_heard(inst, a)?, self.one_heard(inst, z)?);
                let Some(d) = within(self, d)? else {
                    return Err(self.later(head, "`causal` without a time"));
                };
                model::Pattern::Causal(a, z, d)
            }
        })
    }

    /// A time: exact where it is written as a number.
    pub(super) fn period(&mut self, inst: InstId, e: &'a hir::Expr) -> R<model::Period> {
        let number = match &e.kind {
            hir::ExprKind::Real(x) => Some(*x),
            hir::ExprKind::Int(i) => Some(*i as f64),
            _ => None,
        };
        match number {
            Some(x) => Ok(model::Period::Exact((x * 1e18).round() as i128)),
            None if has_locals(e) => Err(self.later(e.span, "a period of local values")),
            None => Ok(model::Period::Code(self.value_code(inst, "a period".to_owned(), &[], e)?)),
        }
    }

    /// The codes of what starts cells.
    pub(super) fn starts_of_cells(&mut self) {
        let mut keys: Vec<((InstId, hir::Name), u32)> =
            self.behaving.cells.iter().map(|(k, v)| (k.clone(), *v)).collect();
        keys.sort_by_key(|k| k.1);
        for ((inst, name), cell) in keys {
            let Some(super::super::scope::Slot::Var(slot)) = self.inst(inst).members.get(&name).cloned()
            else {
                continue;
            };
            let Some(binding) = slot.bindings.last() else { continue };
            // A value from further out is read there; constants are the same everywhere.
            let name = format!("start of {name}");
            let code = self.value_code(binding.scope, name, &[], binding.expr);
            if binding.scope != inst && self.own_axes(binding.scope) != self.own_axes(inst) {
                let mut constant = true;
                binding.expr.visit(&mut |x| {
                    constant &= !matches!(x.kind, hir::ExprKind::Member(_) | hir::ExprKind::Local(_));
                });
                if !constant {
                    let _ = self.later(binding.span, "a start of this kind, given from outside,");
                    continue;
                }
            }
            let code = self.or_report(code);
            self.behaving.out.cells[cell as usize].start = code;
        }
    }

    /// The codes of mirrors.
    pub(super) fn mirror_codes(&mut self) {
        let mut k = 0;
        // Code may need further mirrors.
        while let Some(&(inst, e, var)) = self.behaving.mirrored.get(k) {
            k += 1;
            let owner = self.owner_of(inst);
            let code = self.value_code(inst, "a value for formulas".to_owned(), &[], e);
            if let Some(code) = self.or_report(code) {
                self.behaving.out.mirrors.push(model::Mirror { owner, code, var });
            }
        }
    }
}

/// What sets a handler off, for messages.
fn head(h: &Handler) -> String {
    match &h.trigger {
        Trigger::Start => "on start",
        Trigger::Stop => "on stop",
        Trigger::Rising(_) => "on rising",
        Trigger::Falling(_) => "on falling",
        Trigger::Change(_) => "on change",
        Trigger::When(_) => "when",
        Trigger::Every { .. } => "every",
        Trigger::At(_) => "at",
        Trigger::After { .. } => "after",
        Trigger::Event(e) => return format!("on {}", e.name),
        Trigger::Pattern(_) => "on a pattern of events",
        Trigger::Later(what) => what,
    }
    .to_owned()
}
