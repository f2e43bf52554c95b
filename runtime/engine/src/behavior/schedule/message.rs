//! Messages: sent by code or by the scenario, delivered to the handlers that they fit, answered where there is none.

use super::super::post::{self, Call, Letter};
use super::super::value::Twin;
use super::super::vm::Outgoing;
use super::event::stem;
use super::*;
use twinml_model::behavior::{CodeId, FAILURE, MESSAGE, MessageId, NOT_UNDERSTOOD, Reg};

/// What becomes of a message, for the log of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mail {
    /// It was sent.
    Sent,
    /// It was delivered.
    Received,
    /// Nobody took it: it came too late, or its receiver was not there any more, or did not understand an answer that is
    /// not answered itself.
    Lost,
}

/// A message, as the log of events tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Its name.
    pub message: MessageId,
    /// Who sent it: a family and its instance; `None`: the scenario.
    pub from: Option<(OwnerId, u32)>,
    /// Whom it is for.
    pub to: (OwnerId, u32),
    /// The conversation that it belongs to.
    pub conversation: u64,
}

/// A message that was delivered in the step at hand.
#[derive(Debug)]
pub(super) struct Opened {
    letter: Letter,
    /// Some handler took it.
    taken: bool,
}

impl Scheduler<'_> {
    /// Puts what code sent on its way; `outside`: the scenario's code did.
    pub(super) fn post(&mut self, world: &mut dyn World, out: Outgoing, outside: bool) -> R<()> {
        let origin = |k: FaultKind| fault(self.b, u32::MAX, 0, k);
        let due = self.now + nanoseconds(out.delay).map_err(origin)?;
        let until = match out.ttl {
            Some(d) => Some(self.now + nanoseconds(d).map_err(origin)?),
            None => None,
        };
        let from = (!outside).then_some(out.from);
        let mut conversation = out.answers.map(|(c, _)| c);
        let answers = out.answers.map(|(_, n)| n);
        for to in out.to {
            let number = self.post.number();
            let letter = Letter {
                number,
                conversation: *conversation.get_or_insert(number),
                answers,
                message: out.message,
                from,
                to,
                args: out.args.clone(),
                until,
                stems: self.stems.clone(),
            };
            tell(world, Mail::Sent, &letter);
            self.post.add(due, out.priority, letter);
        }
        Ok(())
    }

    /// Takes code of the root twin that sends messages for the scenario: it runs when the instant begins.
    pub fn ask(&mut self, code: CodeId) {
        self.asked.push(code);
    }

    /// Runs what the scenario asks for; what the run is to know, where that is its end.
    pub(super) fn commands(&mut self, world: &mut dyn World, now: i128) -> R<Option<Verdict>> {
        self.now = now;
        for code in std::mem::take(&mut self.asked) {
            self.command(world, code)?;
            if let Some(stop) = self.stop.take() {
                return Ok(Some(Verdict { ran: true, stop: Some(stop) }));
            }
        }
        Ok(None)
    }

    fn command(&mut self, world: &mut dyn World, code: CodeId) -> R<()> {
        self.stems = None;
        let mut effects = std::mem::take(&mut self.effects);
        let stream = (NOBODY, 0);
        let mut vm = Vm {
            behavior: self.b,
            slots: world_slots(world),
            store: &mut self.store,
            effects: &mut effects,
            stream,
        };
        let mut thread = Thread::new(self.b, vm.store, code, 0, Vec::new(), NOBODY);
        match vm.run(&mut thread)? {
            Outcome::Done(_) => {}
            Outcome::Stop(reason) => self.stop = Some(reason),
            _ => return Err(fault(self.b, code, 0, FaultKind::Waits)),
        }
        thread.end(&mut self.store);
        for out in effects.sends.drain(..) {
            self.post(world, out, true)?;
        }
        self.apply(world, &mut effects, NOBODY)?;
        self.effects = effects;
        Ok(())
    }

    /// Delivers all messages that are due; true if there were any. What is answered at once comes in the next step.
    pub(super) fn delivers(&mut self, world: &mut dyn World, out: &mut Vec<Activation>) -> R<bool> {
        let due: Vec<Letter> = std::iter::from_fn(|| self.post.pop(self.now)).collect();
        let any = !due.is_empty();
        due.into_iter().try_for_each(|letter| self.open(world, letter, out))?;
        Ok(any)
    }

    fn open(&mut self, world: &mut dyn World, letter: Letter, out: &mut Vec<Activation>) -> R<()> {
        self.store.give(post::bytes(&letter.args));
        if letter.until.is_some_and(|t| t < self.now) {
            tell(world, Mail::Lost, &letter);
            return Ok(());
        }
        let Twin { owner, instance, life } = letter.to;
        if life != self.life(owner, instance) || !self.here(world, owner, instance)? {
            tell(world, Mail::Lost, &letter);
            let args = vec![(Arc::from("reason"), Value::text("its receiver is not there any more"))];
            return self.answer(world, &letter, FAILURE, args);
        }
        tell(world, Mail::Received, &letter);
        let b = self.b;
        if self.proposes(&letter, out)? {
            return Ok(());
        }
        let mut taken = false;
        if let Some(event) = self.index.addressed(letter.message, owner) {
            let mut args = letter.args.clone();
            args.push((Arc::from(MESSAGE), post::envelope(&letter)));
            let start = out.len();
            let stems = letter.stems.clone();
            if b.messages.get(letter.message as usize).is_some_and(|m| m.performs()) {
                taken = self.addressed(world, (event, instance), &letter, &args, out)?;
            } else {
                self.deliver(world, event, instance, &args, stems, out)?;
                taken = out.len() > start;
            }
            let mail = Some(self.opened.len());
            out[start..].iter_mut().for_each(|a| a.mail = mail);
        }
        self.opened.push(Opened { letter, taken });
        Ok(())
    }

    /// A message with a performative: the handlers of the receiver's own that its arguments fit. What waits for it goes on,
    /// patterns hear it; true if something waited.
    fn addressed(
        &mut self,
        world: &mut dyn World,
        (event, i): (EventId, u32),
        letter: &Letter,
        args: &Args,
        out: &mut Vec<Activation>,
    ) -> R<bool> {
        let b = self.b;
        let start = out.len();
        let hearers = self.index.hearers.get(event as usize).cloned().unwrap_or_default();
        // What is written without parentheses takes what no other takes.
        let named = |h: &u32| b.hearers[*h as usize].args.is_some();
        let fit = |h: &u32| post::fits(b, &b.hearers[*h as usize], &letter.args);
        let fitting: Vec<u32> = hearers.iter().copied().filter(fit).collect();
        let some = fitting.iter().any(named);
        let chosen: Vec<u32> =
            fitting.iter().filter(|h| named(h) == some).map(|h| b.hearers[*h as usize].handler).collect();
        let after = self.caused(world, &[(event, i)], &letter.stems)?;
        let woken = self.heard_by(world, event, i, args, &letter.stems, &|h| chosen.contains(&h), out)?;
        stem(after, &mut out[start..]);
        in_order(&mut out[start..]);
        Ok(woken)
    }

    /// A handler asks for proposals and waits for them.
    pub(super) fn collect(
        &mut self,
        world: &mut dyn World,
        (slot, generation): (usize, u32),
        reg: Reg,
        asked: Outgoing,
        deadline: f64,
    ) -> R<()> {
        let by = self.now + nanoseconds(deadline).map_err(|k| fault(self.b, u32::MAX, 0, k))?;
        let task = asked.args.first().map_or(Value::None, |(_, v)| v.clone());
        let conversation = self.post.sent + 1;
        self.post(world, asked, false)?;
        let open: Vec<u64> = (conversation..=self.post.sent).collect();
        // Where nobody is asked there is nothing to wait for.
        self.timers.arm(if open.is_empty() { self.now } else { by }, Due::Wake { slot, generation });
        let slots = &self.slots;
        self.post.calls.retain(|_, c| slots[c.slot].generation == c.generation);
        let call = Call { slot, generation, reg, open, bids: Vec::new(), bytes: 0, task };
        self.post.calls.insert(conversation, call);
        Ok(())
    }

    /// Whether a message is the answer to a call for proposals that is still open; with the last the handler goes on.
    fn proposes(&mut self, letter: &Letter, out: &mut Vec<Activation>) -> R<bool> {
        let Some(call) = self.post.calls.get_mut(&letter.conversation) else { return Ok(false) };
        let open = letter.answers.and_then(|n| call.open.binary_search(&n).ok());
        let (Some(at), true) = (open, self.slots[call.slot].generation == call.generation) else {
            return Ok(false);
        };
        match self.b.messages.get(letter.message as usize).map_or("", |m| m.name.as_str()) {
            "propose" => {
                let bid = post::proposal(letter, &call.task);
                let bytes = bid.bytes(self.store.memory);
                call.bids.push(bid);
                call.bytes += bytes;
                self.store.take(bytes).map_err(|kind| fault(self.b, u32::MAX, 0, kind))?;
            }
            "refuse" | "not_understood" | "failure" => {}
            _ => return Ok(false),
        }
        call.open.remove(at);
        if call.open.is_empty() {
            let (slot, generation) = (call.slot, call.generation);
            out.extend(self.wake(slot, generation));
        }
        Ok(true)
    }

    /// Gives a handler that goes on the proposals that it waited for.
    pub(super) fn collected(&mut self, slot: usize, thread: &mut Thread) {
        let generation = self.slots[slot].generation;
        let mine = |c: &Call| c.slot == slot && c.generation == generation;
        let found = self.post.calls.iter().find(|(_, c)| mine(c)).map(|(conversation, _)| *conversation);
        let Some(call) = found.and_then(|c| self.post.calls.remove(&c)) else { return };
        self.store.give(call.bytes);
        if let Some(place) = thread.frames.last_mut().and_then(|f| f.regs.get_mut(call.reg as usize)) {
            *place = Value::list(call.bids);
        }
    }

    /// A handler took the message that set it off.
    pub(super) fn takes(&mut self, mail: Option<usize>) {
        if let Some(opened) = mail.and_then(|m| self.opened.get_mut(m)) {
            opened.taken = true;
        }
    }

    /// Answers the messages of the step that nobody took.
    pub(super) fn untaken(&mut self, world: &mut dyn World) -> R<()> {
        let mut opened = std::mem::take(&mut self.opened);
        for Opened { letter, .. } in opened.extract_if(.., |o| !o.taken) {
            let name = self.b.messages.get(letter.message as usize).map_or("", |m| m.name.as_str());
            let args = vec![(Arc::from("message"), Value::text(name))];
            self.answer(world, &letter, NOT_UNDERSTOOD, args)?;
        }
        opened.clear();
        self.opened = opened;
        Ok(())
    }

    /// The run's own answer to a message; such an answer is not answered.
    fn answer(&mut self, world: &mut dyn World, letter: &Letter, message: MessageId, args: Args) -> R<()> {
        let Some(to) = letter.from.filter(|_| !matches!(letter.message, NOT_UNDERSTOOD | FAILURE)) else {
            if message == NOT_UNDERSTOOD {
                tell(world, Mail::Lost, letter);
            }
            return Ok(());
        };
        self.store.take(post::bytes(&args)).map_err(|kind| fault(self.b, u32::MAX, 0, kind))?;
        self.stems.clone_from(&letter.stems);
        let answers = Some((letter.conversation, letter.number));
        let (from, to, delay, priority) = (letter.to, vec![to], 0.0, 0.0);
        self.post(world, Outgoing { message, from, to, args, delay, priority, ttl: None, answers }, false)
    }

    /// Whether a call that waits in a handler's queue is a message that is worth nothing any more.
    pub(super) fn outlived(&self, args: &Args) -> bool {
        post::until(args).is_some_and(|t| self.now as f64 / 1e9 > t)
    }
}

fn tell(world: &mut dyn World, what: Mail, letter: &Letter) {
    let at = |t: Twin| (t.owner, t.instance);
    let &Letter { message, conversation, .. } = letter;
    world.mail(what, Carried { message, from: letter.from.map(at), to: at(letter.to), conversation });
}
