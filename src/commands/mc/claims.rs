//! Samples for the claims of a scenario, as `twinc test` wants them: no files, no draws but random ones.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use twinml_engine::ensemble::execute::{self, Flow as Go};
use twinml_engine::ensemble::sampler::Sampler;
use twinml_engine::monitor::Verdict;
use twinml_engine::run::{self, Prepared, RunError};

use super::fold::{Fold, Means, Verdicts};
use super::job::{self, Samples};
use super::layout::Layout;
use super::{SAMPLES, compile, refuse, share};
use crate::args::Compile;
use crate::commands::job::{self as command, Flags, Job};
use crate::commands::verdict::Sampled;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::world::{Interrupt, Stopwatch};

/// Of each requirement that is a claim: what many runs say of it, the least robustness, and in numbers.
type Claims = Vec<Option<(Verdict, Option<f64>, Sampled)>>;

/// Runs the samples that a scenario names for its claims, without any files; `verdicts_only`: each ends once its verdicts
/// are decided. `None`: the user, or the clock, ended it.
///
/// # Errors
///
/// The exit code.
pub fn sampled(
    file: &Path,
    asks: &Compile,
    flags: &Flags,
    (threads, verdicts_only): (usize, bool),
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<Option<Claims>, Exit> {
    let session = compile::open(file, ui)?;
    let Some(job) = command::load_drawn(file, asks, flags, session, usize::MAX, ui)? else {
        return Ok(None);
    };
    let Job { ready, mut machine, .. } = job;
    let (program, experiment) = (&*ready.program, &ready.experiment);
    let n = experiment.samples.and_then(|n| u32::try_from(n).ok()).unwrap_or(SAMPLES).min(u32::MAX - 1);
    let prepared =
        Prepared::new(program, &mut *machine, experiment).map_err(|e| refuse(ui, &e.to_string(), None))?;
    let Some(plan) = job::draws(program, Sampler::Random, experiment.seed, n) else {
        return Err(Exit::Usage);
    };
    let layout = Layout::of(experiment, &program.schema, &[], None, &plan);
    let cells = (0, layout.kpis.iter().map(|c| c.list.unwrap_or(1)).sum());
    let samples = Samples {
        program,
        machine: &*machine,
        experiment,
        prepared,
        plan,
        plans: Vec::new(),
        traced: None,
        cells,
        verdicts_only,
    };
    let mut fold = Fold::new(&layout, Sampler::Random, experiment.duration);
    let complaint: Mutex<Option<RunError>> = Mutex::new(None);
    let say = |e: RunError| *complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
    let clock = Stopwatch::start();
    let watch = || {
        let interrupt = interrupt.clone();
        Box::new(move |_: run::Progress| {
            let late = flags.time_limit.is_some_and(|l| clock.elapsed().as_secs_f64() > l);
            if interrupt.requested() || late { run::Flow::Stop } else { run::Flow::Continue }
        })
    };
    let share = share(program, n, threads.max(1), ui)?;
    let workers = (0..threads.max(1)).map(|_| samples.worker(&share, watch(), &say)).collect();
    let reached = execute::execute(0..n, 8, workers, &mut |o| {
        fold.take(&o);
        Go::Continue
    });
    if let Some(e) = complaint.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(refuse(ui, &e.to_string(), None));
    }
    if reached < n {
        return Ok(None);
    }
    let one = |v: &Verdicts| {
        let c = v.demand.claim?;
        let i = v.interval(Means::Exact);
        let samples = Sampled {
            runs: fold.runs,
            probability: v.share(),
            lo: i.lo,
            hi: i.hi,
            confidence: c.confidence,
            op: if c.at_least { ">=" } else { "<=" },
            wanted: c.probability,
            failed: v.counts.failed,
        };
        Some((v.verdict(Means::Exact)?, v.worst.map(|w| w.1).filter(|r| r.is_finite()), samples))
    };
    Ok(Some(fold.verdicts.iter().map(one).collect()))
}
