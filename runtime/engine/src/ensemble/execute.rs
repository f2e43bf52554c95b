//! Runs over threads, handed on in the order of their indices.
//!
//! Batches of neighbouring indices are taken by whichever thread is free. A finished batch waits for those before it;
//! threads do not run ahead of what has been handed on by more than a few batches each, so memory does not depend on
//! the number of runs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::outcome::Outcome;

/// The stack of a thread that runs.
const STACK: usize = 64 << 20;
/// Batches that a thread may be ahead.
const AHEAD: u64 = 4;

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Hand nothing on any more.
    Stop,
}

/// Turns run indices into outcomes, in any order of its own; may be interrupted, and gives fewer then. One for each
/// thread.
pub type Evaluate<'e> = Box<dyn FnMut(Range<u32>) -> Vec<Outcome> + Send + 'e>;

struct State {
    /// The first index that nobody has taken.
    next: u32,
    /// The number of the next batch to take, and of the next to hand on.
    taken: u64,
    given: u64,
    done: BTreeMap<u64, (Range<u32>, Vec<Outcome>)>,
    stop: bool,
    /// Threads at work.
    busy: usize,
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Evaluates `runs` in batches of `batch`, with one thread for each of `workers`. `emit` gets every outcome in the order
/// of the indices, on the calling thread, and says whether to go on. A batch that comes back incomplete ends the job
/// after what precedes the gap. Returns the index up to which outcomes were handed on.
pub fn execute(
    runs: Range<u32>,
    batch: u32,
    workers: Vec<Evaluate<'_>>,
    emit: &mut dyn FnMut(Outcome) -> Flow,
) -> u32 {
    let batch = batch.max(1);
    let state = Mutex::new(State {
        next: runs.start,
        taken: 0,
        given: 0,
        done: BTreeMap::new(),
        stop: false,
        busy: workers.len(),
    });
    let (room, ready) = (Condvar::new(), Condvar::new());
    let limit = AHEAD * workers.len() as u64;
    let mut reached = runs.start;
    thread::scope(|scope| {
        let (state, room, ready) = (&state, &room, &ready);
        let end = runs.end;
        let mut left = Vec::new();
        for mut evaluate in workers {
            let work = move || {
                loop {
                    let mut s = lock(state);
                    while !s.stop && s.next < end && s.taken - s.given >= limit {
                        s = room.wait(s).unwrap_or_else(PoisonError::into_inner);
                    }
                    if s.stop || s.next >= end {
                        break;
                    }
                    let range = s.next..s.next.saturating_add(batch).min(end);
                    let number = s.taken;
                    s.next = range.end;
                    s.taken += 1;
                    drop(s);
                    let mut outcomes = evaluate(range.clone());
                    outcomes.sort_by_key(|o| o.run);
                    lock(state).done.insert(number, (range, outcomes));
                    ready.notify_one();
                }
                lock(state).busy -= 1;
                ready.notify_one();
            };
            match thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work) {
                Ok(_) => {}
                Err(_) => left.push(()),
            }
        }
        lock(state).busy -= left.len();
        loop {
            let mut s = lock(state);
            let batch = loop {
                let turn = s.given;
                if let Some(b) = s.done.remove(&turn) {
                    break Some(b);
                }
                if s.busy == 0 {
                    break None;
                }
                s = ready.wait(s).unwrap_or_else(PoisonError::into_inner);
            };
            let Some((range, outcomes)) = batch else { break };
            s.given += 1;
            drop(s);
            room.notify_all();
            let mut flow = Flow::Continue;
            for o in outcomes {
                if o.run != reached || flow == Flow::Stop {
                    flow = Flow::Stop;
                    break;
                }
                reached += 1;
                flow = emit(o);
            }
            if flow == Flow::Stop || reached != range.end {
                lock(state).stop = true;
                room.notify_all();
                break;
            }
        }
    });
    reached
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Status;
    use super::*;

    fn outcome(run: u32) -> Outcome {
        Outcome {
            run,
            status: Status::Complete,
            code: String::new(),
            message: String::new(),
            time: 0.0,
            repeated: 0,
            drawn: vec![],
            last: vec![],
            kpis: vec![],
            judged: vec![],
            trace: vec![],
        }
    }

    #[test]
    fn outcomes_come_in_order_from_any_number_of_threads() {
        for jobs in [1, 2, 7] {
            let worker = || -> Evaluate<'_> { Box::new(|r: Range<u32>| r.rev().map(outcome).collect()) };
            let mut seen = Vec::new();
            let reached = execute(5..1234, 10, (0..jobs).map(|_| worker()).collect(), &mut |o| {
                seen.push(o.run);
                Flow::Continue
            });
            assert_eq!(reached, 1234);
            assert_eq!(seen, (5..1234).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_gap_or_a_stop_ends_the_job() {
        let worker =
            || -> Evaluate<'_> { Box::new(|r: Range<u32>| r.filter(|k| *k < 57).map(outcome).collect()) };
        let mut seen = Vec::new();
        let reached = execute(0..100, 10, vec![worker(), worker()], &mut |o| {
            seen.push(o.run);
            Flow::Continue
        });
        assert_eq!((reached, seen.len()), (57, 57));
        let mut count = 0;
        let all = || -> Evaluate<'_> { Box::new(|r: Range<u32>| r.map(outcome).collect()) };
        let reached = execute(0..100_000, 10, vec![all(), all()], &mut |_| {
            count += 1;
            if count == 33 { Flow::Stop } else { Flow::Continue }
        });
        assert_eq!((reached, count), (33, 33));
    }
}
