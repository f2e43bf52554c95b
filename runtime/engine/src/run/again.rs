//! A run once more, held against the snapshots that were taken of it.
//!
//! The run begins at its start and takes its own steps; at the step of a snapshot everything that decides the rest of it is
//! compared bit by bit. Where something differs, what is named first is what people know: a state, a discrete value, an
//! input, a parameter, in this order; after them the counts of steps and events, then the solver's history, behaviour,
//! monitors and recorders. Where the run took other steps, it is the state that is farthest from what it was.

use super::log::schema_path;
use super::*;
use crate::snapshot::{Section, State, Tag};

/// What differs first between a snapshot and the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The time of the step, in seconds.
    pub time: f64,
    /// What it is, for people: `` `tank.h` ``, `the number of steps`.
    pub what: String,
    /// The quantity's path, where it is one.
    pub path: Option<String>,
    /// Its unit in SI.
    pub unit: String,
    /// The value in the snapshot and in the run; NaN where it is no value.
    pub recorded: f64,
    /// See `recorded`.
    pub replayed: f64,
    /// How many quantities differ in all.
    pub quantities: usize,
    /// The part of the state that it is in.
    pub section: Tag,
}

impl Difference {
    fn of(time: f64, what: &str, section: Tag, recorded: f64, replayed: f64) -> Difference {
        let (what, path, unit) = (what.to_owned(), None, String::new());
        Difference { time, what, path, unit, recorded, replayed, quantities: 0, section }
    }
}

/// What a run that was done again was.
#[derive(Clone, Debug)]
pub struct Again {
    /// By snapshot, in the order given: what differs first, or nothing. Fewer where the host asked to stop.
    pub found: Vec<Option<Difference>>,
    /// Steps and events of the run up to the last snapshot.
    pub steps: u64,
    /// See `steps`.
    pub events: u64,
}

/// Values people know, the most telling first.
const TOLD: [Space; 6] = [Space::State, Space::Disc, Space::Input, Space::Param, Space::Var, Space::Der];

impl Prepared {
    /// Runs the experiment from its start and compares it with states that were taken of it, in the order of their time.
    /// `outlets` and `log` are as they were then: their positions are a part of a state.
    ///
    /// # Errors
    ///
    /// [`RunError`] where the run cannot be begun.
    #[expect(
        clippy::too_many_arguments,
        reason = "what is run, on what, what it is held against, and who watches"
    )]
    pub fn again(
        &self,
        program: &Program,
        machine: &dyn Machine,
        experiment: &Experiment,
        states: &[&State],
        outlets: Vec<Outlet>,
        log: Option<OpenLog<'_>>,
        watch: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<Again, RunError> {
        let mut run = self.launch(program, machine, experiment, None, outlets, log)?;
        let mut stopped = run.begin();
        let mut base = run.restarted();
        let mut found = Vec::with_capacity(states.len());
        'states: for want in states {
            let time = want.clock.time;
            while matches!(stopped, Ok(None)) && run.integrator.t() < time {
                stopped = run.advance(watch);
                if matches!(stopped, Ok(None)) {
                    base = run.restarted().or(base);
                }
            }
            let reached = run.integrator.t();
            found.push(match &stopped {
                Ok(Some(Ended::Stopped)) => break 'states,
                _ if !run.started => {
                    let what = "whether the run begins at all";
                    Some(Difference::of(0.0, what, Tag::CLOCK, f64::NAN, f64::NAN))
                }
                _ if reached < time => {
                    let what = "how far the run comes";
                    Some(Difference::of(reached, what, Tag::CLOCK, time, reached))
                }
                _ if reached.to_bits() != time.to_bits() => Some(run.elsewhere(want)),
                _ => {
                    let mut state = match &base {
                        Some(base) if want.clock.restart.is_some() => run.since(base),
                        _ => run.capture(),
                    };
                    state.clock.asked = want.clock.asked;
                    difference(program, want, &state)
                }
            });
        }
        let (steps, events) = (run.integrator.stats().steps, run.events);
        Ok(Again { found, steps, events })
    }
}

impl Run<'_> {
    /// What differs where the run took other steps: the state that is farthest from what it was, by the dense output at
    /// the time of the snapshot's step.
    fn elsewhere(&mut self, want: &State) -> Difference {
        let program = self.system.program;
        let time = want.clock.time;
        let mut x = vec![0.0; self.x.len()];
        self.integrator.interpolate(time, &mut x);
        let recorded = memory_of(program, want);
        let recorded = recorded.as_ref().map_or(&[][..], |m| m.space(Space::State));
        let off = |(a, b): (&f64, &f64)| (a - b).abs() / a.abs().max(b.abs()).max(f64::MIN_POSITIVE);
        let all = recorded.iter().zip(&x);
        let quantities = all.clone().filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        let worst = all.enumerate().max_by(|(_, a), (_, b)| off(*a).total_cmp(&off(*b)));
        match worst {
            Some((slot, (a, b))) if quantities > 0 => {
                Difference { quantities, ..named(program, time, (Space::State, slot), *a, *b) }
            }
            _ => Difference::of(time, "the end of the step", Tag::CLOCK, time, self.integrator.t()),
        }
    }

    /// The state, where the solver begins anew here and its library hides what comes after.
    fn restarted(&self) -> Option<State> {
        let hidden = keep::hides(self.integrator.method());
        (self.started && hidden && self.integrator.t_prev() == self.integrator.t()).then(|| self.capture())
    }
}

/// A slot that differs, by its name.
fn named(
    program: &Program,
    time: f64,
    (space, slot): (Space, usize),
    recorded: f64,
    replayed: f64,
) -> Difference {
    let path = schema_path(program, space, slot);
    let holds = |v: &&twinml_model::schema::Variable| {
        v.space == space && (v.base as usize..(v.base + v.len) as usize).contains(&slot)
    };
    let unit = program.schema.vars.iter().find(holds).map_or("", |v| &v.si_unit).to_owned();
    let what = match &path {
        Some(path) => format!("`{path}`"),
        None => format!("{}[{slot}]", space.name()),
    };
    Difference { path, unit, ..Difference::of(time, &what, Tag::MEMORY, recorded, replayed) }
}

/// What differs first between a state that was recorded and one of a run that was done again.
pub fn difference(program: &Program, want: &State, got: &State) -> Option<Difference> {
    if want == got || same(want, got) {
        return None;
    }
    let time = want.clock.time;
    let memories = (memory_of(program, want), memory_of(program, got));
    let (Ok(recorded), Ok(replayed)) = memories else {
        return Some(Difference::of(time, "the layout of memory", Tag::MEMORY, f64::NAN, f64::NAN));
    };
    let mut first: Option<Difference> = None;
    let mut quantities = 0;
    for space in TOLD {
        let pairs = recorded.space(space).iter().zip(replayed.space(space)).enumerate();
        for (slot, (a, b)) in pairs.filter(|(_, (a, b))| a.to_bits() != b.to_bits()) {
            quantities += 1;
            if first.is_none() {
                first = Some(named(program, time, (space, slot), *a, *b));
            }
        }
    }
    if let Some(first) = first {
        return Some(Difference { quantities, ..first });
    }
    let (a, b) = (&want.clock, &got.clock);
    let counts = [
        ("the number of steps", a.steps, b.steps),
        ("the number of events", a.events, b.events),
        ("the number of samples", a.samples, b.samples),
        ("the number of actions that are done", a.actions, b.actions),
        ("the number of changes that are done", a.changes, b.changes),
        ("the micro-step of the last event", a.micro.1, b.micro.1),
    ];
    for (what, a, b) in counts {
        if a != b {
            return Some(Difference::of(time, what, Tag::CLOCK, a as f64, b as f64));
        }
    }
    let times = [
        ("the time of the last event", a.micro.0, b.micro.0),
        ("the solver's last restart", a.restart.unwrap_or(f64::NAN), b.restart.unwrap_or(f64::NAN)),
    ];
    for (what, a, b) in times {
        if a.to_bits() != b.to_bits() {
            return Some(Difference::of(time, what, Tag::CLOCK, a, b));
        }
    }
    let differs = |tag: &Tag| want.section(*tag).map(bytes) != got.section(*tag).map(bytes);
    let order = [Tag::INTEGRATOR, Tag::BEHAVIOR, Tag::MONITOR, Tag::RECORDER, Tag::MEMORY];
    let tag = order.into_iter().find(differs)?;
    let what = match tag {
        Tag::INTEGRATOR => "the solver's history",
        Tag::BEHAVIOR => "the state of handlers, timers or machines",
        Tag::MONITOR => "what requirements have seen",
        Tag::RECORDER => "how far the recording is, or what it recorded last",
        _ => "what blocks, tables or delays keep",
    };
    Some(Difference::of(time, what, tag, f64::NAN, f64::NAN))
}

fn bytes(section: &Section) -> &[u8] {
    &section.bytes
}

/// Whether all bits are the same; a clock may hold what is no number.
pub fn same(a: &State, b: &State) -> bool {
    let clock = |s: &State| {
        let mut to = twinml_model::bytes::Writer::new();
        to.put(&s.clock);
        to.finish()
    };
    let sections = |s: &State| Tag::STATE.map(|tag| s.section(tag).map(|s| s.bytes.clone()));
    clock(a) == clock(b) && sections(a) == sections(b)
}

/// Whether the run that a state was taken of kept a log of events, as far as its rows tell.
pub fn was_logged(state: &State) -> bool {
    let rows = state.section(Tag::RECORDER).and_then(|s| s.bytes.last_chunk::<8>());
    rows.is_some_and(|rows| u64::from_le_bytes(*rows) > 0)
}
