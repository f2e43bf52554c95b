//! Messages on their way, by instant, priority and the order in which they were sent; and how code sends them.

use std::collections::BTreeMap;
use std::sync::Arc;

use twinml_model::behavior::{
    Behavior, Dispatch, Hearer, Holds, MESSAGE, MessageId, OwnerId, Reg, TASK, TwinRef,
};

use super::fault::FaultKind;
use super::pattern::Causes;
use super::value::{Twin, Value};
use super::vm::{Args, Outgoing, R, Vm, index, number, reg, wrong};

/// A message on its way to one twin.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// Counts from 1 in the order in which messages are sent.
    pub(super) number: u64,
    /// The number of the message with which the conversation began.
    pub(super) conversation: u64,
    /// The message that it answers.
    pub(super) answers: Option<u64>,
    /// What it is called.
    pub(super) message: MessageId,
    /// Who sent it; `None`: the scenario.
    pub(super) from: Option<Twin>,
    /// Whom it is for.
    pub(super) to: Twin,
    pub(super) args: Args,
    /// The last instant at which it is worth anything, in nanoseconds.
    pub(super) until: Option<i128>,
    /// What it stems from, as far as `causal` patterns ask.
    pub(super) stems: Option<Arc<Causes>>,
}

/// When it is due in nanoseconds, how late among those of an instant, its number.
pub(super) type Place = (i128, i64, u64);

/// A call for proposals whose handler waits.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Where the handler waits, and its generation.
    pub(super) slot: usize,
    pub(super) generation: u32,
    /// The register that takes the proposals.
    pub(super) reg: Reg,
    /// Numbers of the calls that are not answered; ascending.
    pub(super) open: Vec<u64>,
    /// What came so far, and its bytes.
    pub(super) bids: Vec<Value>,
    pub(super) bytes: usize,
    /// What was asked for.
    pub(super) task: Value,
}

/// All messages of a run that are on their way.
#[derive(Clone, Debug, Default)]
pub(super) struct Post {
    /// Calls for proposals by conversation.
    pub(super) calls: BTreeMap<u64, Call>,
    pub(super) way: BTreeMap<Place, Letter>,
    /// How many were ever sent.
    pub(super) sent: u64,
}

impl Post {
    /// The next instant at which one arrives.
    pub(super) fn next(&self) -> Option<i128> {
        self.way.first_key_value().map(|(k, _)| k.0)
    }

    /// The number of the next one.
    pub(super) fn number(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    pub(super) fn add(&mut self, due: i128, priority: f64, letter: Letter) {
        self.way.insert((due, lateness(priority), letter.number), letter);
    }

    /// Takes the next one that is due by `now`.
    pub(super) fn pop(&mut self, now: i128) -> Option<Letter> {
        let first = self.way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// A place in the order of priorities: those that are higher come first.
fn lateness(priority: f64) -> i64 {
    let bits = (priority + 0.0).to_bits() as i64;
    let ascending = bits ^ (((bits >> 63) as u64) >> 1) as i64;
    !ascending
}

/// What a handler finds in the parameter [`MESSAGE`]: sender, conversation, number and, where it has one, the last second
/// at which it is worth anything.
pub(super) fn envelope(letter: &Letter) -> Value {
    let from = letter.from.map_or(Value::None, Value::Twin);
    let numbers = [letter.conversation, letter.number].map(|n| Value::Num(n as f64));
    let until = letter.until.map(|ns| Value::Num(ns as f64 / 1e9));
    Value::list([from].into_iter().chain(numbers).chain(until))
}

/// Sender, conversation and number of the message whose envelope this is; `None` where there is none.
pub(super) fn opened(v: &Value) -> Option<(Option<Twin>, u64, u64)> {
    let Value::List(items) = v else { return None };
    let from = match items.front()? {
        Value::Twin(t) => Some(*t),
        _ => None,
    };
    match (items.get(1)?, items.get(2)?) {
        (Value::Num(conversation), Value::Num(number)) => Some((from, *conversation as u64, *number as u64)),
        _ => None,
    }
}

/// The last second at which the message among arguments is worth anything.
pub(super) fn until(args: &Args) -> Option<f64> {
    let (_, v) = args.iter().find(|(name, _)| **name == *MESSAGE)?;
    match v {
        Value::List(items) => match items.get(3)? {
            Value::Num(seconds) => Some(*seconds),
            _ => None,
        },
        _ => None,
    }
}

/// A proposal: its arguments by name, those without one by place; and what it takes to answer it.
pub(super) fn proposal(letter: &Letter, task: &Value) -> Value {
    let named = |(k, (name, v)): (usize, &(Arc<str>, Value))| {
        let key = if name.is_empty() { Value::Num(k as f64) } else { Value::Str(name.clone()) };
        (key, v.clone())
    };
    let own = [(MESSAGE, envelope(letter)), (TASK, task.clone())].map(|(k, v)| (Value::text(k), v));
    Value::map(letter.args.iter().enumerate().map(named).chain(own).collect())
}

/// Whether the arguments of a message are those of a handler: each is one of its parameters and of its kind, and none is
/// missing but what may be left out.
pub(super) fn fits(b: &Behavior, hearer: &Hearer, args: &Args) -> bool {
    let Some(wanted) = &hearer.args else { return true };
    let Some(h) = b.handlers.get(hearer.handler as usize) else { return false };
    let params: Vec<&String> = h.params.iter().filter(|p| *p != MESSAGE).collect();
    let mut given = vec![None; params.len()];
    for (k, (name, v)) in args.iter().enumerate() {
        let at = if name.is_empty() { Some(k) } else { params.iter().position(|p| ***p == **name) };
        match at.and_then(|at| given.get_mut(at)) {
            Some(place @ None) => *place = Some(v),
            _ => return false,
        }
    }
    given.iter().zip(wanted).all(|(v, a)| match v {
        None | Some(Value::None) => a.optional || a.holds == Holds::Any && v.is_some(),
        Some(v) => match a.holds {
            Holds::Any => true,
            Holds::Number => matches!(v, Value::Num(_)),
            Holds::Truth => matches!(v, Value::Bool(_)),
            Holds::Text => matches!(v, Value::Str(_)),
            Holds::List => matches!(v, Value::List(_) | Value::Set(_)),
            Holds::Map => matches!(v, Value::Map(_)),
            Holds::Twin => matches!(v, Value::Twin(_)),
            Holds::Record(ty) => matches!(v, Value::Record(t, _) if *t == ty),
        },
    })
}

/// The twins that a receiver is: one, or those of a list. `Err`: what is none.
pub(super) fn receivers(to: &Value) -> Result<Vec<Twin>, &Value> {
    match to {
        Value::Twin(t) => Ok(vec![*t]),
        Value::List(items) => items.iter().map(receivers).collect::<Result<Vec<_>, _>>().map(|l| l.concat()),
        Value::Set(items) => items.iter().map(receivers).collect::<Result<Vec<_>, _>>().map(|l| l.concat()),
        other => Err(other),
    }
}

/// Bytes of a message on its way.
pub(super) fn bytes(args: &Args) -> usize {
    size_of::<Letter>() + super::vm::bytes_of(args)
}

impl Vm<'_, '_> {
    /// A twin as it is now, with what this code itself did to the place.
    pub(super) fn twin(&self, owner: OwnerId, instance: u32) -> Twin {
        let mut life = self.store.lives.get(&(owner, instance)).copied().unwrap_or_default();
        for (population, element, _) in &self.effects.places {
            let Some(p) = self.behavior.populations.get(*population as usize) else { continue };
            if p.owners.iter().any(|(o, per)| *o == owner && instance / (*per).max(1) == *element) {
                life = life.wrapping_add(1);
            }
        }
        Twin { owner, instance, life }
    }

    /// One twin, or those of the axes left open that are there.
    pub(super) fn twins(
        &mut self,
        of: &TwinRef,
        open: &[(u32, u32)],
        regs: &[Value],
        instance: u32,
    ) -> R<Value> {
        let count = self.behavior.owners.get(of.owner as usize).map_or(0, |o| o.count);
        let mut first = u64::from(of.base) + u64::from(of.stride) * u64::from(instance);
        for (r, len, step) in &of.at {
            first += index(reg(regs, *r), *len as usize)? as u64 * u64::from(*step);
        }
        let one = |at: u64| match u32::try_from(at) {
            Ok(i) if i < count => Ok(i),
            _ => Err(FaultKind::Broken("a twin far outside")),
        };
        if open.is_empty() {
            return Ok(Value::Twin(self.twin(of.owner, one(first)?)));
        }
        let mut numbers = vec![first];
        for (n, step) in open {
            let along = |at: &u64| (0..*n).map(|k| at + u64::from(k) * u64::from(*step)).collect::<Vec<_>>();
            numbers = numbers.iter().flat_map(along).collect();
        }
        self.made((numbers.len() + 1) * size_of::<Value>())?;
        let mut list = Vec::with_capacity(numbers.len());
        for at in numbers {
            let i = one(at)?;
            if self.present(of.owner, i)? {
                list.push(Value::Twin(self.twin(of.owner, i)));
            }
        }
        Ok(Value::list(list))
    }

    /// `send`, `reply`
    pub(super) fn send(&mut self, d: &Dispatch, regs: &[Value], from: Twin) -> R<()> {
        let answered = d.answers.and_then(|r| opened(reg(regs, r)));
        let to = match d.to {
            Some(r) => match receivers(reg(regs, r)) {
                Ok(to) => to,
                Err(other) => return Err(wrong("a twin", other)),
            },
            // Nobody waits for what answers an event, or the scenario.
            None => answered.and_then(|(from, ..)| from).into_iter().collect(),
        };
        let time = |r: Option<Reg>| match r {
            None => Ok(None),
            Some(r) => match number(reg(regs, r))? {
                d if (0.0..1e18).contains(&d) => Ok(Some(d)),
                d => Err(FaultKind::Time { seconds: d }),
            },
        };
        let (delay, ttl) = (time(d.after)?.unwrap_or(0.0), time(d.ttl)?);
        let priority = d.priority.map_or(Ok(0.0), |r| number(reg(regs, r)))?;
        if !priority.is_finite() {
            return Err(FaultKind::Priority { given: priority });
        }
        let args: Args = d.args.iter().map(|(n, r)| (n.clone(), reg(regs, *r).clone())).collect();
        self.store.take(bytes(&args) * to.len())?;
        self.store.work += to.len() as u64;
        let answers = answered.map(|(_, conversation, number)| (conversation, number));
        let message = d.message;
        self.effects.sends.push(Outgoing { message, from, to, args, delay, priority, ttl, answers });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_priorities_come_first() {
        let order = [f64::MAX, 2.0, 1.0, 0.5, 0.0, -0.5, -1.0, -1e300];
        assert!(order.windows(2).all(|w| lateness(w[0]) < lateness(w[1])));
        assert_eq!(lateness(0.0), lateness(-0.0));
    }
}
