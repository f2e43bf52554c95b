//! Many runs of one experiment whose steps are computed side by side.
//!
//! Every run is what it is alone: a [`Run`] with its own memory, behaviour, observer and integrator. Only the trial steps
//! of all of them are computed at once, by one kernel on lanes: what a run's next step begins with is put into its lane,
//! an accepted step is taken back (`twinml_solvers::lanes::seat`), and what follows from it (rows, requirements, events,
//! handlers) is the code of a single run. So a run ends with the bits that it has alone, whoever its neighbours are. A
//! step that lanes cannot do is done alone, and the run is back in its lane for the next. A lane whose run is over gets
//! the next run at once.
//!
//! Where nobody looks at the steps of a run, it stays in its lane up to the next instant of any interest.

mod code;
mod count;

use twinml_jit::lanes::Isa;
use twinml_model::lanes::{LaneKernel, LaneMemory, NotLanes};
use twinml_model::passes::straight::{Guesses, PIECES};
use twinml_solvers::lanes::seat::Landing;

use super::*;
use crate::record::Columns;
use crate::snapshot::State;
pub use code::LaneShare;
use code::{Code, Tables};
use count::Count;
pub use count::{Apart, Steps};

/// What a fleet is to do next.
pub enum Next {
    /// This run.
    Run {
        /// Its index.
        run: u32,
        /// All of `Param` before formulas are computed.
        param: Vec<f64>,
        /// Where its rows go.
        outlets: Vec<Outlet>,
    },
    /// A fork ([`Fleet::forks`]).
    Fork {
        /// Its index among them.
        fork: u32,
        /// Where its rows go.
        outlets: Vec<Outlet>,
    },
    /// Go on with what is under way.
    Later,
    /// There is none left.
    Over,
    /// Come back at once: what is under way is lost.
    Stop,
}

/// Where runs come from, and where they go to.
pub trait Port {
    /// The next run. `idle`: none is under way here, so the answer is not [`Next::Later`]; it may take its time.
    fn next(&mut self, idle: bool) -> Next;

    /// A run is over.
    fn done(&mut self, run: u32, report: Result<Report, RunError>);

    /// Whether any step of a run that is over was one of a lane; told before [`Port::done`].
    fn by_lanes(&mut self, _run: u32, _any: bool) {}

    /// A fork's state is none of its program.
    fn refused(&mut self, fork: u32, error: ResumeError) {
        if let ResumeError::Run(error) = error {
            self.done(fork, Err(error));
        }
    }
}

/// Opens the log of events of a fork.
pub type ForkLog<'a> = dyn Fn(Columns) -> Result<Box<dyn Recorder>, RecordError> + Sync + 'a;

/// One of runs of a program that are each an experiment of their own, with the same solver, requirements and recordings: what
/// grows from a state.
pub struct Fork<'a> {
    /// What it does.
    pub experiment: &'a Experiment,
    /// Made ready on the fleet's machine.
    pub prepared: &'a Prepared,
    /// What it goes on from; none: from its start.
    pub from: Option<(&'a State, Onward<'a>)>,
    /// Opens its log of events.
    pub log: Option<Box<ForkLog<'a>>>,
}

/// A run in its lane.
struct Boat<'a> {
    run: Run<'a>,
    index: u32,
    /// How often the step's kernel is to run in its lane before anybody looks; 0: its next step is computed alone.
    left: u64,
    /// How often it ran.
    done: u64,
    /// It goes alone from here on, for this reason.
    alone: Option<Apart>,
    /// Steps that end before this are of no interest.
    quiet: f64,
    /// Instants with events when its lane was last filled; `None`: its lane is not its own yet.
    events: Option<u64>,
    count: Count,
}

/// What runs the samples of one thread.
pub struct Fleet<'a> {
    program: &'a Program,
    machine: &'a dyn Machine,
    experiment: &'a Experiment,
    prepared: &'a Prepared,
    share: &'a LaneShare,
    forks: &'a [Fork<'a>],
}

/// Why a fleet came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// All runs are done.
    Done,
    /// The watcher stopped it: runs under way are lost.
    Stopped,
}

impl<'a> Fleet<'a> {
    /// For runs of an experiment that was made ready; `share` belongs to all threads of the job.
    pub fn new(
        program: &'a Program,
        machine: &'a dyn Machine,
        experiment: &'a Experiment,
        prepared: &'a Prepared,
        share: &'a LaneShare,
    ) -> Fleet<'a> {
        Fleet { program, machine, experiment, prepared, share, forks: &[] }
    }

    /// With runs that are each an experiment of their own.
    #[must_use]
    pub fn forks(self, forks: &'a [Fork<'a>]) -> Fleet<'a> {
        Fleet { forks, ..self }
    }

    /// Does all runs that `port` gives.
    pub fn run(&self, port: &mut dyn Port, watch: &mut dyn FnMut(Progress) -> Flow) -> Back {
        let mut boats: Vec<Option<Boat<'a>>> = (0..self.share.lanes()).map(|_| None).collect();
        let mut lanes: Option<Lanes<'a>> = None;
        let mut over = false;
        loop {
            let mut afloat = boats.iter().filter(|b| b.is_some()).count();
            for (lane, place) in boats.iter_mut().enumerate() {
                while !over && place.is_none() {
                    match port.next(afloat == 0) {
                        Next::Over => over = true,
                        Next::Stop => return Back::Stopped,
                        Next::Later => break,
                        next @ (Next::Run { .. } | Next::Fork { .. }) => {
                            *place = match next {
                                Next::Run { run, param, outlets } => self.embark(run, &param, outlets, port),
                                Next::Fork { fork, outlets } => self.rejoin(fork, outlets, port, watch),
                                _ => None,
                            };
                            if let Some(boat) = place {
                                if lanes.is_none() {
                                    lanes = Lanes::new(self.share, self.program, &mut boat.run);
                                }
                                ready(boat, lanes.as_mut(), lane);
                                afloat += 1;
                            }
                        }
                    }
                }
                if place.is_none() && !over {
                    // Nothing to be had just now.
                    break;
                }
            }
            if afloat == 0 {
                if over {
                    return Back::Done;
                }
                continue;
            }
            if watch(Progress { time: 0.0, steps: 0 }) == Flow::Stop {
                return Back::Stopped;
            }
            // All that fly go on by as many steps as the first of them to be looked at.
            let flying = boats.iter().flatten().filter(|b| b.left > 0);
            let times = flying.map(|b| b.left - b.done).min().unwrap_or(0);
            if let Some(l) = lanes.as_mut().filter(|_| times > 0) {
                l.code.step.run(&mut l.memory, times, &mut l.host);
                l.look(&mut boats);
            }
            for (lane, place) in boats.iter_mut().enumerate() {
                let Some(boat) = place else { continue };
                let ended = match lanes.as_mut().filter(|_| boat.left > 0) {
                    Some(l) => match l.land(boat, lane, times) {
                        Landed::Flying => continue,
                        Landed::Taken => boat.run.landed(watch),
                        Landed::Alone => boat.run.advance(watch),
                    },
                    None => boat.run.advance(watch),
                };
                match ended {
                    Ok(None) => ready(boat, lanes.as_mut(), lane),
                    Ok(Some(Ended::Stopped)) => return Back::Stopped,
                    ended => {
                        if let Some(boat) = place.take() {
                            // A run that has not ended is not here.
                            let ended = ended.map(|e| e.unwrap_or(Ended::Complete));
                            self.share.counts.add(&boat.count, boat.run.integrator.stats().steps);
                            port.by_lanes(boat.index, boat.count.taken > 0);
                            port.done(boat.index, self.prepared.land(boat.run, ended));
                        }
                    }
                }
            }
        }
    }

    /// Begins a run; `None` where that was all of it.
    fn embark(
        &self,
        index: u32,
        param: &[f64],
        outlets: Vec<Outlet>,
        port: &mut dyn Port,
    ) -> Option<Boat<'a>> {
        let sample = Some(Sample { run: index, param });
        let launched =
            self.prepared.launch(self.program, self.machine, self.experiment, sample, outlets, None);
        let mut run = match launched {
            Ok(run) => run,
            Err(error) => {
                port.done(index, Err(error));
                return None;
            }
        };
        let begun = run.begin();
        self.under_way(index, run, begun, port)
    }

    /// Puts a fork where it goes on from; `None` where that was all of it.
    fn rejoin(
        &self,
        index: u32,
        outlets: Vec<Outlet>,
        port: &mut dyn Port,
        watch: &mut dyn FnMut(Progress) -> Flow,
    ) -> Option<Boat<'a>> {
        let fork = self.forks.get(index as usize)?;
        let (program, machine, experiment) = (self.program, self.machine, fork.experiment);
        let log = fork.log.as_deref().map(|open| Box::new(open) as OpenLog<'a>);
        let (prepared, from) = (fork.prepared, fork.from.clone());
        let begun = match from {
            Some((state, onward)) => {
                let boarded = prepared.board(program, machine, experiment, 0, (state, onward), outlets, log);
                boarded.and_then(|mut run| {
                    let ended = run.catch_up(state, watch)?;
                    Ok((run, ended.map_or(Ok(None), |e| e.map(Some))))
                })
            }
            None => {
                let launched = prepared.launch(program, machine, experiment, None, outlets, log);
                launched.map_err(ResumeError::from).map(|mut run| {
                    let begun = run.begin();
                    (run, begun)
                })
            }
        };
        match begun {
            Ok((run, begun)) => self.under_way(index, run, begun, port),
            Err(error) => {
                port.refused(index, error);
                None
            }
        }
    }

    /// A run that has begun, in a boat; `None` where it is over.
    fn under_way(
        &self,
        index: u32,
        run: Run<'a>,
        begun: Result<Option<Ended>, Stop>,
        port: &mut dyn Port,
    ) -> Option<Boat<'a>> {
        let ended = match begun {
            Ok(None) => {
                let quiet = f64::NEG_INFINITY;
                let (left, done, events) = (0, 0, None);
                let count = Count::from(run.integrator.stats().steps);
                return Some(Boat { run, index, left, done, alone: None, quiet, events, count });
            }
            Ok(Some(ended)) => Ok(ended),
            Err(stop) => Err(stop),
        };
        port.by_lanes(index, false);
        port.done(index, self.prepared.land(run, ended));
        None
    }
}

impl Boat<'_> {
    /// Whether the run is to hear of the step that its lane has done.
    fn attends(&self, memory: &LaneMemory, lane: usize) -> bool {
        let t = memory.slot(Space::Time, 0)[lane];
        t + ROUNDING * t.abs() >= self.quiet
    }
}

/// Puts the state from which a run's next step begins into its lane, where that step is one for lanes.
fn ready(boat: &mut Boat<'_>, lanes: Option<&mut Lanes<'_>>, lane: usize) {
    (boat.left, boat.done) = (0, 0);
    if let Some(why) = boat.alone {
        return boat.count.apart(why);
    }
    let Some(lanes) = lanes else { return };
    if boat.events != Some(boat.run.events) {
        lanes.memory.set(lane, &boat.run.system.memory);
        if let Some(view) = &mut lanes.view {
            view.set(lane, &boat.run.system.memory);
        }
        boat.events = Some(boat.run.events);
    }
    boat.quiet = boat.run.quiet();
    lanes.put(boat, lane);
    if boat.left == 0 {
        boat.count.apart(Apart::Method);
    }
    lanes.memory.clear_trap(lane);
}

/// What is done with the values at one instant within a lane's step: the run, the instant, what stands in a slot.
type Keep<'k> = dyn FnMut(&mut Run<'_>, f64, &dyn Fn(usize) -> f64) + 'k;

/// The lanes of one thread.
struct Lanes<'a> {
    code: &'a Code,
    memory: LaneMemory,
    /// Where steps are looked into.
    view: Option<LaneMemory>,
    /// Lanes that are looked into, with where their last steps began and ended.
    looked: Vec<(usize, f64, f64)>,
    /// Scratch: the instants within their steps.
    instants: Vec<f64>,
    host: Tables,
}

impl<'a> Lanes<'a> {
    /// `None` where there are none.
    fn new(share: &'a LaneShare, program: &Program, run: &mut Run<'a>) -> Option<Self> {
        let code = share.code(run)?;
        let mut memory = LaneMemory::zeroed(code.program.sizes, share.lanes());
        for lane in 0..memory.width() {
            memory.set(lane, &run.system.memory);
        }
        let view = code.look.as_ref().map(|_| memory.clone());
        let looked = Vec::with_capacity(memory.width());
        Some(Lanes { code, memory, view, looked, instants: Vec::new(), host: Tables::of(program) })
    }

    /// Computes what will be asked about the steps that were accepted just now, for all lanes at once.
    fn look(&mut self, boats: &mut [Option<Boat<'_>>]) {
        let (Some(look), Some(view)) = (&self.code.look, &mut self.view) else { return };
        let seat = &self.code.seat;
        self.looked.clear();
        for (lane, place) in boats.iter_mut().enumerate() {
            let Some(boat) = place.as_mut().filter(|b| b.left > 0) else { continue };
            if matches!(seat.landing(&self.memory, lane), Landing::Accepted | Landing::Arrived) {
                let (from, to) = seat.span(&self.memory, lane);
                self.looked.push((lane, from, to));
                boat.run.system.glance.clear();
                view.clear_trap(lane);
            }
        }
        if self.looked.is_empty() {
            return;
        }
        seat.ready(&self.memory, view);
        for &(_, first) in &self.code.tables {
            for slot in first as usize..(first + PIECES) as usize {
                view.slot_mut(Space::Jac, slot).copy_from_slice(self.memory.slot(Space::Jac, slot));
            }
        }
        if let Some(kernel) = &look.roots {
            let root = view.sizes().offset(Space::Root);
            let roots = root..root + view.sizes().root as usize;
            let instants = twinml_solvers::roots::usual_samples;
            self.within(boats, &**kernel, &instants, &mut |run, t, value| {
                // What is no number may be one at a limit that states are held at: that is looked at alone.
                if roots.clone().all(|slot| !value(slot).is_nan()) {
                    run.system.glance.put_roots(t, roots.clone().map(value));
                }
            });
        }
        if let Some(kernel) = &look.outputs {
            let instants = crate::monitor::follow::usual_samples;
            self.within(boats, &**kernel, &instants, &mut |run, t, value| {
                if let Some(observer) = &run.observer {
                    run.system.glance.put_row(t, observer.slots().iter().map(|slot| value(*slot)));
                }
            });
        }
    }

    /// Runs `kernel` at the instants of each lane's last step and hands on, lane by lane, the run, the instant, and what
    /// stands in a slot.
    fn within<const N: usize>(
        &mut self,
        boats: &mut [Option<Boat<'_>>],
        kernel: &dyn LaneKernel,
        instants: &dyn Fn(f64, f64) -> [f64; N],
        keep: &mut Keep<'_>,
    ) {
        let (Some(look), Some(view)) = (&self.code.look, &mut self.view) else { return };
        self.instants.clear();
        self.instants.extend(self.looked.iter().flat_map(|(_, from, to)| instants(*from, *to)));
        for k in 0..N {
            let at = |nth: usize| self.instants[nth * N + k];
            for (nth, lane) in self.looked.iter().map(|l| l.0).enumerate() {
                view.slot_mut(Space::TTime, 0)[lane] = at(nth);
            }
            let fine = self.code.seat.guesses().map(|g| g.fine as usize);
            if let Some(fine) = fine {
                view.slot_mut(Space::Jac, fine).fill(1.0);
            }
            look.interpolate.run(view, 1, &mut self.host);
            kernel.run(view, 1, &mut self.host);
            for (nth, lane) in self.looked.iter().map(|l| l.0).enumerate() {
                // What a block has no solution for is looked at alone.
                let solved = fine.is_none_or(|slot| view.slot(Space::Jac, slot)[lane] == 1.0);
                let known = solved && view.trap(lane).is_none();
                let Some(boat) = boats[lane].as_mut().filter(|_| known) else { continue };
                keep(&mut boat.run, at(nth), &|slot| view.row(slot)[lane]);
            }
        }
    }

    fn put(&mut self, boat: &mut Boat<'_>, lane: usize) {
        let Run { integrator, system, .. } = &mut boat.run;
        let Some(seat) = integrator.seat() else { return };
        let mut left = seat.put(system, &self.code.seat, &mut self.memory, lane, boat.quiet);
        let memory = &mut self.memory;
        let mut set = |slot: u32, value: f64| memory.slot_mut(Space::Jac, slot as usize)[lane] = value;
        if !system.host.stand_in(&self.code.tables, self.code.seat.guesses(), &mut set) {
            left = None;
        }
        (boat.left, boat.done) = (left.unwrap_or(0), 0);
    }

    /// What follows from `times` runs of the step for one lane.
    fn land(&mut self, boat: &mut Boat<'_>, lane: usize, times: u64) -> Landed {
        let seat = &self.code.seat;
        boat.done += times;
        let landing = seat.landing(&self.memory, lane);
        match landing {
            Landing::Again => {
                boat.done = 0;
                return Landed::Flying;
            }
            Landing::Alone => {
                // Steps of which nobody heard are done again, and the one that is none for lanes among them.
                let solved = |g: &Guesses| self.memory.slot(Space::Jac, g.fine as usize)[lane] == 1.0;
                let why = if seat.guesses().is_none_or(solved) { Apart::Other } else { Apart::Loop };
                boat.count.apart(why);
                boat.alone = (!seat.whole).then_some(why);
                return Landed::Alone;
            }
            Landing::Accepted if boat.done < boat.left => return Landed::Flying,
            Landing::Accepted | Landing::Arrived => {}
        }
        let attends = landing == Landing::Arrived || seat.counted() || boat.attends(&self.memory, lane);
        if !attends && !seat.by_step() {
            boat.done = 0;
            return Landed::Flying;
        }
        let Run { integrator, system, .. } = &mut boat.run;
        let before = integrator.stats().steps;
        if let Some(own) = integrator.seat() {
            own.take(system, seat, &self.memory, lane, boat.done);
        }
        boat.count.taken += integrator.stats().steps - before;
        if let Some(g) = seat.guesses() {
            system.host.note_found(g, &|slot| self.memory.slot(Space::Jac, slot as usize)[lane]);
        }
        if attends {
            return Landed::Taken;
        }
        self.put(boat, lane);
        Landed::Flying
    }
}

/// What became of a lane.
enum Landed {
    /// It goes on by itself.
    Flying,
    /// The run's integrator has its steps.
    Taken,
    /// The run is to take its next step alone.
    Alone,
}

impl Run<'_> {
    /// Steps that end before this are of no interest to anybody.
    fn quiet(&mut self) -> f64 {
        let each = self.integrator.seat().is_none_or(|s| s.each());
        if each || self.looks_within() { f64::NEG_INFINITY } else { self.next_sample().min(self.next_mark()) }
    }

    /// Whether every step is looked at, or rows are asked for within steps.
    fn looks_within(&self) -> bool {
        let corrected = self.manifold.is_some() || self.system.held();
        let looked = self.observer.is_some() || !self.roots.sides().is_empty();
        looked || corrected || !self.system.host.history.is_empty()
    }

    /// Whether dense output is asked for.
    fn looks_inside(&self) -> bool {
        let ends = |s: &Sink| matches!(s.outlet.plan.rate, Rate::Parts(0 | 1));
        self.looks_within() || !self.sinks.iter().all(ends)
    }
}
