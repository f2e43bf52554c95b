//! Event patterns: what a handler that listens to several events remembers, and when it fires.
//!
//! Times are the integer nanoseconds of instants; windows include both of their ends. Events of one instant come one
//! after the other, in the order in which they are delivered.
//!
//! - `sequence(a, b within d)`: an `a`, then a `b` no later than `d` after it. Of several `a` the last counts: what can
//!   be completed at all can be completed from it. So one time for each stage is all that is kept.
//! - `all(a, b within d)`: of each there is one, and all lie within `d`. The last of each counts.
//! - `count(a, n within d)`: `n` of them lie within `d`; at most `n` times are kept.
//! - `absence(a within d)`: no `a` for longer than `d`, counted from the last one, else from where listening began. It
//!   is decided when its instant is quiet otherwise, so that an `a` at the very end of the time counts as in time.
//! - `any(a, b)`: each of them.
//! - `causal(a -> b within d)`: a `b` that stems from an `a` no more than `d` before it: the handler that emitted it
//!   heard the `a`, or heard an event that stems from it, or went on after a wait or ran as a timer that such a handler
//!   began.
//!
//! After `sequence`, `all` and `count` have fired they begin anew: an event is part of one match only. A pattern in a
//! machine's state listens while the state is active, and begins anew with it.

use std::collections::VecDeque;

use twinml_model::behavior::{Behavior, Heard, Pattern, Trigger};

/// What a pattern of one instance remembers; plain data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matcher {
    /// Times of the stages of `sequence`, of the members of `all`; of the last events of `count`, oldest first.
    pub times: VecDeque<Option<i128>>,
    /// Events of a `count` without a time.
    pub seen: u32,
    /// When an absence is complete, while it is not.
    pub deadline: Option<i128>,
    /// Whether a timer is armed for the absence.
    pub armed: bool,
    /// How often the state in which it listens was left when it began.
    pub generation: u32,
}

/// Windows of a pattern's members in nanoseconds, as [`within`] numbers them; `None` for no limit.
pub type Windows<'w> = &'w [Option<i128>];

/// The codes of a pattern's windows: for `sequence` one for each member, else one.
pub fn within(p: &Pattern) -> Vec<Option<u32>> {
    match p {
        Pattern::Sequence(list) => list.iter().map(|(_, d)| *d).collect(),
        Pattern::All(_, d) | Pattern::Count(_, _, d) => vec![*d],
        Pattern::Absence(_, d) | Pattern::Causal(_, _, d) => vec![Some(*d)],
        Pattern::Any(_) => Vec::new(),
    }
}

/// The members of a pattern in order.
pub fn members(p: &Pattern) -> Vec<Heard> {
    match p {
        Pattern::Sequence(list) => list.iter().map(|(h, _)| *h).collect(),
        Pattern::All(list, _) | Pattern::Any(list) => list.clone(),
        Pattern::Count(h, ..) | Pattern::Absence(h, _) => vec![*h],
        Pattern::Causal(a, z, _) => vec![*a, *z],
    }
}

impl Matcher {
    /// Forgets everything.
    pub fn reset(&mut self, generation: u32) {
        *self = Matcher { generation, armed: self.armed, ..Matcher::default() };
    }

    /// Takes an event at `now` that is these members (ascending), and says whether the pattern is complete with it.
    /// `Absence` and `Causal` are not decided here.
    pub fn take(&mut self, p: &Pattern, windows: Windows<'_>, now: i128, parts: &[u32]) -> bool {
        let fits = |t: i128, k: usize| windows.get(k).copied().flatten().is_none_or(|d| now - t <= d);
        let done = match p {
            Pattern::Any(_) => return true,
            Pattern::Sequence(list) => {
                self.times.resize(list.len(), None);
                // From the last stage back, so that one event is one stage of a match.
                for &k in parts.iter().rev() {
                    let k = k as usize;
                    if k == 0 || self.times[k - 1].is_some_and(|t| fits(t, k)) {
                        self.times[k] = Some(now);
                    }
                }
                self.times.back().is_some_and(Option::is_some)
            }
            Pattern::All(list, _) => {
                self.times.resize(list.len(), None);
                for &k in parts {
                    self.times[k as usize] = Some(now);
                }
                self.times.iter().all(|t| t.is_some_and(|t| fits(t, 0)))
            }
            Pattern::Count(_, n, None) => {
                self.seen += 1;
                self.seen >= *n
            }
            Pattern::Count(_, n, Some(_)) => {
                self.times.push_back(Some(now));
                while self.times.front().is_some_and(|t| t.is_some_and(|t| !fits(t, 0))) {
                    self.times.pop_front();
                }
                self.times.len() >= *n as usize
            }
            Pattern::Absence(..) | Pattern::Causal(..) => false,
        };
        if done {
            self.times.clear();
            self.seen = 0;
        }
        done
    }

    /// Bytes that it holds beyond itself.
    pub fn bytes(&self) -> usize {
        self.times.len() * size_of::<Option<i128>>()
    }
}

/// A member of a pattern that hears an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The handler.
    pub handler: u32,
    /// The number of the member.
    pub part: u32,
    /// Instances of the event's family for each of the handler's.
    pub per: u32,
    /// One of them alone.
    pub only: Option<u32>,
}

/// By event, the members that hear it, in the order of handlers and members.
pub fn by_event(b: &Behavior) -> Vec<Vec<Member>> {
    let mut out: Vec<Vec<Member>> = vec![Vec::new(); b.events.len()];
    for (handler, h) in (0u32..).zip(&b.handlers) {
        let Trigger::Pattern(p) = &h.trigger else { continue };
        for (part, heard) in (0u32..).zip(members(p)) {
            let Heard { event, per, only } = heard;
            if let Some(list) = out.get_mut(event as usize) {
                list.push(Member { handler, part, per: per.max(1), only });
            }
        }
    }
    out
}

/// What an activity stems from: for each `causal` pattern (handler, instance), sorted, until when an effect of its last
/// cause counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Causes(Vec<((u32, u32), i128)>);

impl Causes {
    /// These, ascending.
    pub(super) fn of(all: Vec<((u32, u32), i128)>) -> Causes {
        Causes(all)
    }

    /// All of them.
    pub(super) fn all(&self) -> &[((u32, u32), i128)] {
        &self.0
    }

    /// Until when effects count for a pattern, if this stems from a cause of it.
    pub fn until(&self, key: (u32, u32)) -> Option<i128> {
        self.0.binary_search_by_key(&key, |c| c.0).ok().map(|k| self.0[k].1)
    }

    /// Adds a cause; those whose time is over go.
    pub fn add(&mut self, key: (u32, u32), until: i128, now: i128) {
        self.0.retain(|c| c.1 >= now);
        match self.0.binary_search_by_key(&key, |c| c.0) {
            Ok(k) => self.0[k].1 = self.0[k].1.max(until),
            Err(k) => self.0.insert(k, (key, until)),
        }
    }

    /// Adds all that another activity stems from.
    pub fn merge(&mut self, other: &Causes) {
        for &(key, until) in &other.0 {
            self.add(key, until, i128::MIN);
        }
    }
}
