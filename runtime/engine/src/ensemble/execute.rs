//! Runs over threads, handed on in the order of their indices.
//!
//! Batches of neighbouring indices are taken by whichever thread is free, which may have many runs under way. An outcome
//! waits for those before it; threads do not run ahead of what has been handed on by more than some batches each, so
//! memory does not depend on the number of runs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::outcome::Outcome;

/// The stack of a thread that runs.
const STACK: usize = 64 << 20;
/// Batches that a thread may be ahead.
const AHEAD: u32 = 16;

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Hand nothing on any more.
    Stop,
}

/// What a thread is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The run of this index.
    Run(u32),
    /// Go on with what is under way: too far ahead of the others.
    Later,
    /// There is none left.
    Over,
    /// The job is to end: what is under way is of no use any more.
    Stop,
}

/// Where a thread gets runs from, and puts outcomes to.
pub trait Feed {
    /// The next run. `idle`: none is under way on this thread; the answer is then not [`Turn::Later`], and may take its
    /// time.
    fn next(&mut self, idle: bool) -> Turn;

    /// The outcome of a run that was taken, in any order.
    fn done(&mut self, o: Outcome);
}

/// Takes runs and gives outcomes, as many at a time as it likes, until there are none left; may be interrupted, and gives
/// fewer then. One for each thread.
pub type Evaluate<'e> = Box<dyn FnMut(&mut dyn Feed) + Send + 'e>;

struct State {
    /// The first index that nobody has taken.
    next: u32,
    /// The next index to hand on.
    given: u32,
    done: BTreeMap<u32, Outcome>,
    stop: bool,
    /// Threads at work.
    busy: usize,
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One thread's side.
struct Line<'s> {
    state: &'s Mutex<State>,
    room: &'s Condvar,
    ready: &'s Condvar,
    end: u32,
    batch: u32,
    /// Indices that may be taken ahead of what was handed on.
    ahead: u32,
    mine: Range<u32>,
    out: Vec<Outcome>,
    over: bool,
}

impl Line<'_> {
    fn flush(&mut self) {
        if self.out.is_empty() {
            return;
        }
        lock(self.state).done.extend(self.out.drain(..).map(|o| (o.run, o)));
        self.ready.notify_one();
    }
}

impl Feed for Line<'_> {
    fn next(&mut self, idle: bool) -> Turn {
        if self.mine.is_empty() {
            self.flush();
            let mut s = lock(self.state);
            let far = |s: &State| s.next - s.given >= self.ahead;
            while idle && !s.stop && s.next < self.end && far(&s) {
                s = self.room.wait(s).unwrap_or_else(PoisonError::into_inner);
            }
            if s.stop {
                return Turn::Stop;
            }
            if s.next >= self.end {
                self.over = true;
                return Turn::Over;
            }
            if far(&s) {
                return Turn::Later;
            }
            self.mine = s.next..s.next.saturating_add(self.batch).min(self.end);
            s.next = self.mine.end;
        }
        self.mine.next().map_or(Turn::Over, Turn::Run)
    }

    fn done(&mut self, o: Outcome) {
        self.out.push(o);
        if self.over || self.out.len() >= self.batch as usize {
            self.flush();
        }
    }
}

/// Evaluates `runs`, with one thread for each of `workers`, which take `batch` neighbouring ones at a time. `emit` gets every
/// outcome in the order of the indices, on the calling thread, and says whether to go on. A run that nobody gives an
/// outcome for ends the job before it. Returns the index up to which outcomes were handed on.
pub fn execute(
    runs: Range<u32>,
    batch: u32,
    workers: Vec<Evaluate<'_>>,
    emit: &mut dyn FnMut(Outcome) -> Flow,
) -> u32 {
    let batch = batch.max(1);
    let ahead = batch.saturating_mul(AHEAD).saturating_mul(workers.len() as u32);
    let state = Mutex::new(State {
        next: runs.start,
        given: runs.start,
        done: BTreeMap::new(),
        stop: false,
        busy: workers.len(),
    });
    let (room, ready) = (Condvar::new(), Condvar::new());
    let mut reached = runs.start;
    thread::scope(|scope| {
        let (state, room, ready) = (&state, &room, &ready);
        let end = runs.end;
        let mut left = 0;
        for mut evaluate in workers {
            let work = move || {
                let mut line = Line {
                    state,
                    room,
                    ready,
                    end,
                    batch,
                    ahead,
                    mine: 0..0,
                    out: Vec::with_capacity(batch as usize),
                    over: false,
                };
                evaluate(&mut line);
                line.flush();
                lock(state).busy -= 1;
                ready.notify_one();
                // Whoever waits for room that this thread will not make is to look again.
                room.notify_all();
            };
            if thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).is_err() {
                left += 1;
            }
        }
        lock(state).busy -= left;
        'collect: loop {
            let mut s = lock(state);
            let list = loop {
                let mut list = Vec::new();
                let mut at = s.given;
                while let Some(o) = s.done.remove(&at) {
                    at += 1;
                    list.push(o);
                }
                s.given = at;
                if !list.is_empty() {
                    break list;
                }
                if s.busy == 0 {
                    break 'collect;
                }
                s = ready.wait(s).unwrap_or_else(PoisonError::into_inner);
            };
            drop(s);
            room.notify_all();
            for o in list {
                reached += 1;
                if emit(o) == Flow::Stop {
                    lock(state).stop = true;
                    room.notify_all();
                    break 'collect;
                }
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
            // Three runs under way, the last first.
            let worker = || -> Evaluate<'_> {
                Box::new(|feed: &mut dyn Feed| {
                    let mut open = Vec::new();
                    loop {
                        match feed.next(open.is_empty()) {
                            Turn::Run(k) => open.push(k),
                            Turn::Later => open.pop().into_iter().for_each(|k| feed.done(outcome(k))),
                            Turn::Over | Turn::Stop => break,
                        }
                        if open.len() == 3 {
                            open.drain(..).rev().for_each(|k| feed.done(outcome(k)));
                        }
                    }
                    open.into_iter().rev().for_each(|k| feed.done(outcome(k)));
                })
            };
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
        let all = |limit: u32| -> Evaluate<'_> {
            Box::new(move |feed: &mut dyn Feed| {
                while let Turn::Run(k) = feed.next(true) {
                    if k >= limit {
                        return;
                    }
                    feed.done(outcome(k));
                }
            })
        };
        let mut seen = Vec::new();
        let reached = execute(0..100, 10, vec![all(57), all(57)], &mut |o| {
            seen.push(o.run);
            Flow::Continue
        });
        assert_eq!((reached, seen.len()), (57, 57));
        let mut count = 0;
        let reached = execute(0..100_000, 10, vec![all(u32::MAX), all(u32::MAX)], &mut |_| {
            count += 1;
            if count == 33 { Flow::Stop } else { Flow::Continue }
        });
        assert_eq!((reached, count), (33, 33));
    }
}
