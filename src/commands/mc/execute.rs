//! The job itself: threads compute runs, and what they find is collected in the order of the runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use twinml_engine::ensemble::execute::{self, Flow as Go};
use twinml_engine::ensemble::outcome::{Outcome, Status};
use twinml_engine::ensemble::store::{PART, Parts};
use twinml_engine::record::RecordError;
use twinml_engine::run::{self, Prepared, RunError};

use super::finish::Writer;
use super::fold::{LOOK, Means, Verdicts, worse};
use super::job::{self, Samples, Shard};
use super::place::Place;
use super::tell::{say_lanes, tell};
use super::{Set, layout, outside, parts, refuse, share, traced, worst};
use crate::args::Mc;
use crate::commands::job::{Flags, Job};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::{self, VERSION};
use crate::ui::numbers::{count, counted, duration};
use crate::world::{self, Interrupt, Stopwatch};

/// Seconds after which finished runs are put on disk.
const FLUSH: f64 = 5.0;

/// What the collecting side does with outcomes.
struct Collector<'a> {
    parts: &'a Parts,
    /// Results, where this process has the whole job.
    writer: Option<Writer<'a>>,
    /// Those that are not on disk yet.
    open: Vec<Outcome>,
    flushed: f64,
    clock: Stopwatch,
    /// Failed so far.
    failed: u64,
    until_ci: Option<f64>,
    sprt: bool,
    /// Whether enough is known: all intervals are narrow, or all claims decided.
    narrow: bool,
    /// The run with the least robustness of each requirement.
    worst: Vec<Option<(u32, f64)>>,
    error: Option<RecordError>,
}

impl Collector<'_> {
    fn flush(&mut self) -> Result<(), RecordError> {
        self.parts.write(&self.open)?;
        self.open.clear();
        self.flushed = self.clock.elapsed().as_secs_f64();
        Ok(())
    }

    fn seen(&mut self, o: &Outcome) -> Result<(), RecordError> {
        self.failed += u64::from(o.status == Status::Failed);
        for (w, j) in self.worst.iter_mut().zip(&o.judged) {
            if worse(*w, j) {
                *w = Some((o.run, j.robustness));
            }
        }
        if let Some(w) = &mut self.writer {
            w.take(o)?;
            if w.fold.runs.is_multiple_of(LOOK) {
                let narrow = |v: &Verdicts, width: f64| {
                    v.demand.claim.is_none() || v.interval(Means::AlwaysValid).width() <= width
                };
                self.narrow = match self.until_ci {
                    Some(width) => w.fold.verdicts.iter().all(|v| narrow(v, width)),
                    None => self.sprt && w.fold.decided(),
                };
            }
        }
        Ok(())
    }

    fn take(&mut self, o: Outcome) -> Result<(), RecordError> {
        self.seen(&o)?;
        self.open.push(o);
        let due =
            self.open.len() >= PART as usize || self.clock.elapsed().as_secs_f64() - self.flushed > FLUSH;
        if due { self.flush() } else { Ok(()) }
    }
}

/// Does this process's part of the job.
pub(super) fn execute(
    args: &Mc,
    set: Set,
    shard: Option<Shard>,
    folder: &Place,
    interrupt: Interrupt,
    ui: &Ui,
) -> Result<Exit, Exit> {
    let Set { job, identity } = set;
    let Job { ready, mut machine, rest, .. } = job;
    let n = identity.samples;
    let runs = shard.map_or(0..n, |s| s.runs(n));
    let (program, experiment) = (&*ready.program, &ready.experiment);
    let prepared =
        Prepared::new(program, &mut *machine, experiment).map_err(|e| refuse(ui, &e.to_string(), None))?;
    let plans = if args.verdicts_only { Ok(Vec::new()) } else { job::last_rows(program, experiment) };
    let plans = plans.map_err(|e| outside(ui, &e))?;
    let Some(plan) = job::draws(program, identity.sampler(), identity.seed, n) else {
        return Err(refuse(ui, "no random numbers are correlated like this", None));
    };
    let traced = traced(args, program, experiment, ui)?;
    let cells = |list: &[layout::Column]| list.iter().map(|c| c.list.unwrap_or(1)).sum::<usize>();
    let samples = Samples {
        program,
        machine: &*machine,
        experiment,
        prepared,
        plan,
        plans,
        traced,
        cells: (cells(&identity.layout.last), cells(&identity.layout.kpis)),
        verdicts_only: args.verdicts_only,
    };
    let jobs = args.jobs.map_or_else(world::processors, usize::from).clamp(1, runs.len().max(1));
    let of = match shard {
        Some(s) => format!(" (shard {} of {})", s.index, s.of),
        None => String::new(),
    };
    ui.doing(
        "Running",
        &format!(
            "{}: {}{of} ({}) to {} with {}, {}",
            identity.scenario,
            counted(runs.len() as u64, "sample"),
            identity.sampler,
            duration(experiment.duration),
            ready.method.name(),
            counted(jobs as u64, "thread"),
        ),
    );
    ui.object(&Running {
        kind: "mc_running",
        version: VERSION,
        scenario: &identity.scenario,
        samples: n,
        first: runs.start,
        end: runs.end,
        sampler: &identity.sampler,
        seed: identity.seed,
    });

    let clock = Stopwatch::start();
    let parts = parts(folder, &identity);
    let writer = match shard {
        Some(_) => None,
        None => Some(Writer::open(&identity, folder).map_err(|e| outside(ui, &e))?),
    };
    let mut c = Collector {
        parts: &parts,
        writer,
        open: Vec::new(),
        flushed: 0.0,
        clock,
        failed: 0,
        until_ci: args.until_ci,
        sprt: args.sprt.is_some(),
        narrow: false,
        worst: vec![None; identity.layout.demands.len()],
        error: None,
    };
    // What was done before the job was interrupted.
    let mut start = runs.start;
    if args.resume {
        start = parts
            .replay(runs.clone(), &mut |part| {
                for o in &part {
                    if c.error.is_none() && !c.narrow {
                        c.error = c.seen(o).err();
                    }
                }
            })
            .map_err(|e| outside(ui, &format!("could not read the parts of `{}`: {e}", folder.shown())))?;
        if start > runs.start {
            ui.step("Resumed", &format!("{} are done", counted(u64::from(start - runs.start), "run")), None);
        }
    }
    let bar = ui.counter(runs.len() as u64);
    let limit = Flags::read(&args.simulation, ui)?.time_limit;
    let over = AtomicBool::new(false);
    let complaint: Mutex<Option<RunError>> = Mutex::new(None);
    let say = |e: RunError| *complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
    let watcher = || {
        let (interrupt, over) = (interrupt.clone(), &over);
        let mut calls = 0u32;
        Box::new(move |_: run::Progress| {
            calls = calls.wrapping_add(1);
            if interrupt.requested() || over.load(Ordering::Relaxed) {
                return run::Flow::Stop;
            }
            if calls.is_multiple_of(64) && limit.is_some_and(|l| clock.elapsed().as_secs_f64() > l) {
                over.store(true, Ordering::Relaxed);
                return run::Flow::Stop;
            }
            run::Flow::Continue
        })
    };
    // Small enough to share a short job out, large enough that taking one costs nothing.
    let batch = (runs.len() as u32 / (8 * jobs as u32)).clamp(1, 64);
    let share = share(program, runs.len() as u32, jobs, ui)?;
    let mut reached = start;
    if c.error.is_none() && !c.narrow {
        let workers = (0..jobs).map(|_| samples.worker(&share, watcher(), &say)).collect();
        reached = execute::execute(start..runs.end, batch, workers, &mut |o| {
            let done = c.take(o);
            bar.at(c.failed);
            match done {
                Ok(()) if !c.narrow && !interrupt.requested() => Go::Continue,
                Ok(()) => Go::Stop,
                Err(e) => {
                    c.error = Some(e);
                    Go::Stop
                }
            }
        });
    }
    bar.done();
    say_lanes(&share, ui);
    if c.error.is_none() {
        c.error = c.flush().err();
    }
    if let Some(e) = c.error.take() {
        return Err(outside(ui, &e));
    }
    if let Some(e) = complaint.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(refuse(ui, &e.to_string(), None));
    }
    let complete = reached == runs.end || c.narrow;
    let took = clock.elapsed();
    let done = u64::from(reached - runs.start);
    let verb = if complete { "Finished" } else { "Stopped" };
    let line = format!("{} of {}, {} failed", count(done), count(runs.len() as u64), count(c.failed));
    ui.result(verb, &line, Some(took));
    // What the report shows of the worst runs. Who has stopped the job waits for nothing more.
    let mut traces = Vec::new();
    if complete {
        let demands = identity.layout.demands.iter().zip(&c.worst).enumerate();
        let worst: Vec<(usize, u32)> =
            demands.filter(|(_, (d, _))| d.judged).filter_map(|(k, (_, w))| Some((k, (*w)?.0))).collect();
        let again = worst::replay(&samples, &identity.layout, &worst, &mut watcher());
        traces = again.map_err(|e| outside(ui, &e))?;
    }
    // The process ends soon: to take a large model's trees apart, node by node, would only delay that.
    std::mem::forget(rest);
    let exit = match c.writer.take() {
        Some(w) => {
            let (fold, written) = w.finish(complete, &traces).map_err(|e| outside(ui, &e))?;
            let exit = tell(&identity, &fold, &written, args.junit.as_deref(), folder, complete, ui)?;
            if complete {
                parts.remove().map_err(|e| outside(ui, &e))?;
            }
            exit
        }
        None => {
            worst::write(folder, &traces).map_err(|e| outside(ui, &e))?;
            ui.object(&json::Written::file(&folder.path(""), "shard"));
            ui.result("Written", &format!("{} (merge with `twinc mc merge`)", folder.shown()), None);
            Exit::Ok
        }
    };
    if !complete {
        let why =
            if over.load(Ordering::Relaxed) { "the wall-time limit ended the job" } else { "interrupted" };
        ui.error(why, Some("what was finished is written; `--resume` goes on from there"));
        return Ok(if over.load(Ordering::Relaxed) { Exit::Simulation } else { Exit::Interrupted });
    }
    Ok(exit)
}

/// A job begins.
#[derive(Serialize, Debug)]
struct Running<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    scenario: &'a str,
    samples: u32,
    first: u32,
    end: u32,
    sampler: &'a str,
    seed: u64,
}
