//! `twinc replay DIR#711`: one sample of a job alone, with its trace.

use std::path::{Path, PathBuf};

use twinml_engine::csvw;
use twinml_engine::record;
use twinml_engine::run::{self, Ended, Outlet, Prepared, Sample};
use twinml_model::host::Memory;

use super::job::{self, Samples};
use super::place::Place;
use super::{identity, outside, place, refuse};
use crate::args::Mc;
use crate::commands::job::Flags;
use crate::commands::{compile, failure, summary, verdict};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::{self, VERSION};
use crate::ui::numbers::{counted, duration, short};
use crate::world::{self, Stopwatch};

/// Does what the command line asks.
pub fn run(target: &str, out: Option<&Path>, ui: &Ui) -> Exit {
    match whole(target, out, ui) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn whole(target: &str, out: Option<&Path>, ui: &Ui) -> Result<Exit, Exit> {
    let parsed =
        target.rsplit_once('#').and_then(|(dir, k)| Some((PathBuf::from(dir), k.parse::<u32>().ok()?)));
    let Some((folder, k)) = parsed else {
        let help = "as in `twinc replay out/tank_farm/cold_start/mc#711`: the folder of a job, and the index of a sample";
        return Err(refuse(ui, &format!("`{target}` names no sample"), Some(help)));
    };
    let place = place(&folder, ui)?;
    let file = read(&place, ui)?;
    if k >= file.identity.samples {
        let message = format!("the job has samples 0 to {}", file.identity.samples.saturating_sub(1));
        return Err(refuse(ui, &message, None));
    }
    let watch = Stopwatch::start();
    let flags = Flags::read(&file.simulation, ui)?;
    let session = compile::open(&file.model, ui)?;
    let job = crate::commands::job::load_drawn(&file.model, &file.compile, &flags, session, 0, ui)?;
    let Some(mut job) = job else { return Ok(Exit::Ok) };
    let was = &file.identity;
    let mc = Mc::again(
        &file.compile,
        &file.simulation,
        &was.sampler,
        was.until_ci.as_deref(),
        was.sprt.as_deref(),
        &was.record,
        was.layout.verdicts_only,
    );
    let now = identity(&mc, &job.ready, file.identity.samples, ui)?;
    if now != file.identity {
        let changed = if now.model_hash == file.identity.model_hash { "this compiler" } else { "the model" };
        ui.error(
            &format!("{changed} is not the one that the job was run with: the sample would be another one"),
            Some("run the job anew"),
        );
        return Err(Exit::Mismatch);
    }
    ui.step("Compiled", &job.facts.text(), Some(watch.elapsed()));
    let (program, experiment) = (job.ready.program.clone(), job.ready.experiment.clone());
    let prepared = Prepared::new(&program, &mut *job.machine, &experiment)
        .map_err(|e| refuse(ui, &e.to_string(), None))?;
    let plans = run::plans(&program, &experiment, false).map_err(|e| outside(ui, &e))?;
    let Some(plan) = job::draws(&program, now.sampler(), now.seed, now.samples) else {
        return Err(refuse(ui, "no random numbers are correlated like this", None));
    };
    let samples = Samples {
        program: &program,
        machine: &*job.machine,
        experiment: &experiment,
        prepared,
        plan,
        plans: plans.clone(),
        traced: None,
        cells: (0, 0),
        verdicts_only: false,
    };
    let mut memory = Memory::new(&program);
    let drawn = match samples.draw(&mut memory, k) {
        Ok(d) => d,
        Err(o) => {
            ui.error(&format!("[{}] {}", o.code, o.message), None);
            return Ok(Exit::Simulation);
        }
    };
    // Of a job in an object store the trace comes here.
    let beside = match &place {
        Place::Folder(folder) => folder.join(format!("replay-{k}")),
        Place::Objects(..) => PathBuf::from(format!("replay-{k}")),
    };
    let out = out.map_or(beside, Path::to_owned);
    for (n, (column, x)) in now.layout.draws.iter().zip(&drawn.values).enumerate() {
        let unit = if column.unit.is_empty() { String::new() } else { format!(" {}", column.unit) };
        let line = format!("{} = {}{unit}", column.name, short(column.cell.shown(*x), 8));
        ui.result(if n == 0 { "Drawn" } else { "" }, &line, None);
        ui.object(&Draw {
            kind: "mc_draw",
            version: VERSION,
            name: &column.name,
            value: column.cell.shown(*x),
            unit: &column.unit,
        });
    }
    let metadata = summary::metadata(&job.ready, &experiment);
    let several = plans.len() > 1;
    let mut outlets = Vec::new();
    let mut files = Vec::new();
    for (n, plan) in plans.iter().enumerate() {
        let name = if several { format!("trace-{n}.parquet") } else { "trace.parquet".to_owned() };
        let path = out.join(name);
        let recorder = record::open(&path, plan.columns().clone(), &metadata).map_err(|e| outside(ui, &e))?;
        outlets.push(Outlet { plan: plan.clone(), recorder });
        files.push(path);
    }
    let events = out.join("events.parquet");
    let open: run::OpenLog<'_> = {
        let (events, metadata) = (&events, &metadata);
        Box::new(move |columns| record::open(events, columns, metadata))
    };
    let clock = Stopwatch::start();
    let sample = Some(Sample { run: k, param: &drawn.param });
    let report = samples
        .prepared
        .run(&program, samples.machine, &experiment, sample, outlets, Some(open), &mut |_| {
            run::Flow::Continue
        })
        .map_err(|e| outside(ui, &e))?;
    tell(&report, &experiment, k, clock, ui);
    let mut exit = Exit::Ok;
    if let Ended::Failed(failed) = &report.ended {
        let said = failure::of_report(failed, report.blank.as_ref(), &program);
        ui.diagnostics([&said], &job.ready.session.sources);
        exit = Exit::Simulation;
    } else if let Some(blank) = &report.blank {
        ui.diagnostics([&failure::blank_rows(blank, &program)], &job.ready.session.sources);
    }
    let said = verdict::of(&experiment, &report);
    for (n, line) in verdict::lines(&said).iter().enumerate() {
        ui.result(if n == 0 { "Verdict" } else { "" }, line, None);
    }
    said.iter().for_each(|v| ui.object(v));
    let figures = verdict::figures(&experiment, &report);
    for (n, line) in verdict::figure_lines(&figures).iter().enumerate() {
        ui.result(if n == 0 { "KPI" } else { "" }, line, None);
    }
    figures.iter().for_each(|f| ui.object(f));
    let mut written: Vec<String> = files.iter().map(|p| world::shown(p)).collect();
    if report.log.is_some() {
        written.push(world::shown(&events));
    }
    for f in &files {
        ui.object(&json::Written::file(f, "result"));
        if let Some(beside) = csvw::beside(f) {
            ui.object(&json::Written::file(&beside, "metadata"));
        }
    }
    ui.result("Written", &written.join(", "), None);
    std::mem::forget(job);
    Ok([exit, verdict::exit(&said)].into_iter().max_by_key(|e| e.weight()).unwrap_or(exit))
}

fn tell(
    report: &run::Report,
    experiment: &twinml_model::program::Experiment,
    k: u32,
    clock: Stopwatch,
    ui: &Ui,
) {
    let line = format!(
        "sample {k} of {} to {}, {}, {}",
        experiment.name,
        duration(report.time),
        counted(report.stats.steps, "step"),
        counted(report.events, "event")
    );
    let verb = match report.ended {
        Ended::Failed(_) => "Failed",
        _ => "Finished",
    };
    ui.result(verb, &line, Some(clock.elapsed()));
}

/// The facts of the job in this folder.
fn read(folder: &Place, ui: &Ui) -> Result<job::File, Exit> {
    let path = world::shown(&folder.path(job::FILE));
    let bytes = folder.read(job::FILE).map_err(|e| {
        let message = format!("could not read `{path}`: {e}");
        ui.error(&message, Some("name the folder that a Monte Carlo job has written"));
        Exit::Outside
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|e| refuse(ui, &format!("`{path}` is no job of this version: {e}"), None))
}

/// What was drawn for the sample.
#[derive(serde::Serialize, Debug)]
struct Draw<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    name: &'a str,
    value: f64,
    unit: &'a str,
}
