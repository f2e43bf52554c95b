//! Patterns of events against a matcher that looks for every match there is, written from the definitions alone.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::random::philox;
use super::tests::{code, small};
use super::*;
use twinml_model::behavior::{Behavior, Code, Const, Event, Handler, Heard, Instr, Owner, Pattern, Trigger};
use twinml_model::ids::OriginId;

/// Whole numbers from a seed.
struct Dice {
    seed: u64,
    n: u64,
}

impl Dice {
    fn roll(&mut self, below: u32) -> u32 {
        self.n += 1;
        let word = philox([self.seed as u32, 7], [self.n as u32, 1, 2, 3]);
        word[0] % below
    }
}

fn hears(event: u32) -> Heard {
    Heard { event, per: 1, only: None }
}

/// Durations are whole nanoseconds: code 0 is the body, code `k + 1` gives `k` nanoseconds.
const LONGEST: u32 = 30;

fn lasts(ns: u32) -> u32 {
    ns + 1
}

fn codes() -> Vec<Code> {
    let body = vec![Instr::Const(0, Const::Str("fires".into())), Instr::Log(0), Instr::Return(None)];
    let mut all = vec![code("fires", 0, 1, body)];
    for ns in 0..=LONGEST {
        let instrs = vec![Instr::Const(0, Const::Num(f64::from(ns) * 1e-9)), Instr::Return(Some(0))];
        all.push(code("within", 0, 1, instrs));
    }
    all
}

fn handler(trigger: Trigger, body: Option<u32>) -> Handler {
    Handler {
        owner: 0,
        trigger,
        scope: None,
        guard: None,
        body,
        target: None,
        params: Vec::new(),
        queued: false,
        origin: OriginId(0),
    }
}

fn behavior(events: u32, handlers: Vec<Handler>) -> Behavior {
    let event = |k| Event { owner: 0, name: format!("e{k}"), counter: None };
    Behavior {
        owners: vec![Owner { path: Vec::new(), count: 1, order: vec![0] }],
        events: (0..events).map(event).collect(),
        handlers,
        codes: codes(),
        ..Behavior::default()
    }
}

/// The instants at which the only pattern fires, when these events come: times ascending.
fn fired(b: &Behavior, trace: &[(i128, u32)], end: i128) -> Vec<i128> {
    let mut s = Scheduler::new(b, 1);
    let mut w = small(0);
    s.start(&mut w).unwrap();
    let mut trace = trace.iter().copied().peekable();
    loop {
        let due = s.next().filter(|t| *t <= end);
        let sent = trace.peek().map(|(t, _)| *t);
        let Some(now) = due.into_iter().chain(sent).min() else { break };
        w.flat.time = now as f64;
        while let Some((_, e)) = trace.next_if(|(t, _)| *t == now) {
            s.send(e, 0, Vec::new());
        }
        s.instant(&mut w, now, &[]).unwrap();
    }
    s.logs.iter().map(|l| l.time as i128).collect()
}

/// Whether stages `k..` can be found before the event number `end`, which is the last stage: tries every choice.
fn chain(
    list: &[(u32, Option<u32>)],
    k: usize,
    trace: &[(i128, u32)],
    from: usize,
    end: usize,
    before: i128,
) -> bool {
    (from..=end).any(|n| {
        let (t, e) = trace[n];
        let (wanted, limit) = list[k];
        let fits = e == wanted && (k == 0 || limit.is_none_or(|d| t - before <= i128::from(d)));
        let last = k + 1 == list.len();
        fits && if last { n == end } else { n < end && chain(list, k + 1, trace, n + 1, end, t) }
    })
}

/// Fires at every event that completes a match of events since the last time: `complete` looks at all of them.
fn each(trace: &[(i128, u32)], complete: impl Fn(&[(i128, u32)]) -> bool) -> Vec<i128> {
    let (mut out, mut first) = (Vec::new(), 0);
    for n in 0..trace.len() {
        if complete(&trace[first..=n]) {
            out.push(trace[n].0);
            first = n + 1;
        }
    }
    out
}

fn trace(dice: &mut Dice, events: u32) -> Vec<(i128, u32)> {
    let (n, pace) = (dice.roll(25), 1 + dice.roll(9));
    let mut t = 0;
    (0..n)
        .map(|_| {
            t += i128::from(dice.roll(pace));
            (t, dice.roll(events))
        })
        .collect()
}

const EVENTS: u32 = 4;
const END: i128 = 400;

#[track_caller]
fn same(kind: &str, seed: u64, b: &Behavior, trace: &[(i128, u32)], wanted: &[i128]) {
    assert_eq!(fired(b, trace, END), wanted, "{kind}, seed {seed}: {trace:?}\n{:?}", b.handlers[0].trigger);
}

#[test]
fn ten_thousand_traces_match_as_by_brute_force() {
    let mut fires = [0usize; 6];
    for seed in 0..10_000u64 {
        let mut dice = Dice { seed, n: 0 };
        let trace = trace(&mut dice, EVENTS);
        let kind = (seed % 6) as usize;
        let limit = |dice: &mut Dice| (dice.roll(4) > 0).then(|| dice.roll(LONGEST));
        let (pattern, wanted) = match kind {
            0 => {
                let n = 2 + dice.roll(3);
                let list: Vec<(u32, Option<u32>)> = (0..n)
                    .map(|k| (dice.roll(EVENTS), if k == 0 { None } else { limit(&mut dice) }))
                    .collect();
                let wanted = each(&trace, |since| chain(&list, 0, since, 0, since.len() - 1, 0));
                let parts = list.iter().map(|(e, d)| (hears(*e), d.map(lasts))).collect();
                (Pattern::Sequence(parts), wanted)
            }
            1 => {
                let n = 1 + dice.roll(3);
                let list: Vec<u32> = (0..n).map(|_| dice.roll(EVENTS)).collect();
                let d = limit(&mut dice);
                let wanted = each(&trace, |since| {
                    let now = since[since.len() - 1].0;
                    let last = since[since.len() - 1].1;
                    let recent = |e: u32| {
                        since.iter().any(|(t, x)| *x == e && d.is_none_or(|d| now - t <= i128::from(d)))
                    };
                    list.contains(&last) && list.iter().all(|e| recent(*e))
                });
                (Pattern::All(list.into_iter().map(hears).collect(), d.map(lasts)), wanted)
            }
            2 => {
                let list: Vec<u32> = (0..1 + dice.roll(3)).map(|_| dice.roll(EVENTS)).collect();
                let wanted = trace.iter().filter(|(_, e)| list.contains(e)).map(|(t, _)| *t).collect();
                (Pattern::Any(list.into_iter().map(hears).collect()), wanted)
            }
            3 => {
                let (e, n, d) = (dice.roll(EVENTS), 1 + dice.roll(4), limit(&mut dice));
                let wanted = each(&trace, |since| {
                    let (now, last) = since[since.len() - 1];
                    let near =
                        since.iter().filter(|(t, x)| *x == e && d.is_none_or(|d| now - t <= i128::from(d)));
                    last == e && near.count() >= n as usize
                });
                (Pattern::Count(hears(e), n, d.map(lasts)), wanted)
            }
            _ => {
                let (e, d) = (dice.roll(EVENTS), 1 + dice.roll(LONGEST - 1));
                let mine: Vec<i128> = trace.iter().filter(|(_, x)| *x == e).map(|(t, _)| *t).collect();
                let begins = std::iter::once(0).chain(mine.iter().copied());
                let silent = |from: i128| {
                    let until = from + i128::from(d);
                    // Events at `from` itself come before or end the silence at once; those up to `until` break it.
                    let broken = mine.iter().any(|t| *t > from && *t <= until);
                    (!broken && until <= END).then_some(until)
                };
                let mut wanted: Vec<i128> = begins.filter_map(silent).collect();
                wanted.dedup();
                (Pattern::Absence(hears(e), lasts(d)), wanted)
            }
        };
        fires[kind] += wanted.len();
        let b = behavior(EVENTS, vec![handler(Trigger::Pattern(pattern), Some(0))]);
        same("kind", seed, &b, &trace, &wanted);
    }
    // Nothing of this is empty talk.
    assert!(fires.iter().all(|n| *n > 1000), "{fires:?}");
}

/// What an event leads to: later events, each after a wait, a timer's time or at once, in the order of the numbers.
type Leads = Vec<Vec<(u32, u32, bool)>>;

/// Emits events after waits or by timers.
fn leading(leads: &Leads, b: &mut Behavior) {
    for (e, list) in (0u32..).zip(leads) {
        for &(to, ns, timer) in list {
            let emit = vec![Instr::Emit(to, Vec::new()), Instr::Return(None)];
            let wait = |i: Instr| {
                let d = f64::from(ns) * 1e-9;
                vec![Instr::Const(0, Const::Num(d)), i]
            };
            let body = match (ns, timer) {
                (0, _) => emit,
                (_, true) => {
                    b.codes.push(code("later", 0, 1, emit));
                    let later = b.codes.len() as u32 - 1;
                    [wait(Instr::Arm(0, later, Vec::new())), vec![Instr::Return(None)]].concat()
                }
                (_, false) => [wait(Instr::Wait(0)), emit].concat(),
            };
            b.codes.push(code("leads", 0, 1, body));
            let body = b.codes.len() as u32 - 1;
            b.handlers.push(handler(Trigger::Event(hears(e)), Some(body)));
        }
    }
}

/// All events that come of one: time and the chain of events before them.
fn stems(leads: &Leads, chain: &mut Vec<(i128, u32)>, out: &mut Vec<Vec<(i128, u32)>>) {
    out.push(chain.clone());
    let &(t, e) = chain.last().unwrap();
    for &(to, ns, _) in &leads[e as usize] {
        chain.push((t + i128::from(ns), to));
        stems(leads, chain, out);
        chain.pop();
    }
}

#[test]
fn causes_are_followed_through_events_waits_and_timers() {
    let mut fires = 0;
    for seed in 0..2_000u64 {
        let mut dice = Dice { seed: seed + 1_000_000, n: 0 };
        let n = 5;
        let leads: Leads = (0..n)
            .map(|e| {
                let list = (0..dice.roll(3)).filter_map(|_| {
                    let to = e + 1 + dice.roll(3);
                    let ns = if dice.roll(2) == 0 { 0 } else { 1 + dice.roll(10) };
                    let timer = dice.roll(2) == 0;
                    (to < n).then_some((to, ns, timer))
                });
                list.collect()
            })
            .collect();
        let (a, z, d) = (dice.roll(n - 1), 1 + dice.roll(n - 1), dice.roll(LONGEST));
        let mut b = behavior(
            n,
            vec![handler(Trigger::Pattern(Pattern::Causal(hears(a), hears(z), lasts(d))), Some(0))],
        );
        leading(&leads, &mut b);
        let trace = trace(&mut dice, n);
        let mut all = Vec::new();
        for one in &trace {
            stems(&leads, &mut vec![*one], &mut all);
        }
        let mut wanted: Vec<i128> = all
            .iter()
            .filter_map(|chain| {
                let (last, before) = chain.split_last().unwrap();
                let cause = |c: &(i128, u32)| c.1 == a && last.0 - c.0 <= i128::from(d);
                (last.1 == z && last.0 <= END && before.iter().any(cause)).then_some(last.0)
            })
            .collect();
        wanted.sort_unstable();
        fires += wanted.len();
        same("causal", seed, &b, &trace, &wanted);
    }
    assert!(fires > 1000, "{fires}");
}
