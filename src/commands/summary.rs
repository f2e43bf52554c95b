//! What a run tells about itself: the metadata in its files, and `summary.json`.

use std::path::Path;

use serde_json::{Map, Value, json};
use twinml_engine::record::{Element, Metadata};
use twinml_engine::run::{Ended, Plan, Report};
use twinml_model::program::{Experiment, Program};
use twinml_model::schema::{Kind, Role};

use super::asked::Asked;
use super::job::Ready;
use super::run::{Ran, facts};
use super::{failure, sign};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::VERSION;
use crate::world;

/// Arrays of more elements are told by their range.
const LONG: usize = 256;

/// Messages of `log` that a summary holds.
const MOST_SAID: usize = 1000;

/// Facts about the whole result, for its file.
pub fn metadata(ready: &Ready, experiment: &Experiment) -> Metadata {
    let facts = [
        ("twinml.model_hash", ready.hash.clone()),
        ("twin", ready.program.name.clone()),
        ("scenario", experiment.name.clone()),
        ("seed", ready.experiment.seed.to_string()),
        ("solver", solver_text(ready)),
        ("compiler", compiler()),
        ("parameters", ready.parameters().to_string()),
    ];
    facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The compiler and its version.
pub fn compiler() -> String {
    format!("twinc {}", env!("CARGO_PKG_VERSION"))
}

/// The solver as a scenario would write it: `bdf(rtol: 1e-6, atol: 1e-9)`.
fn solver_text(ready: &Ready) -> String {
    let (name, o) = (ready.method.name(), &ready.options);
    if let Some(h) = o.h.filter(|_| ready.method.fixed_step()) {
        return format!("{name}(step: {h:e} s)");
    }
    let atol = match o.tolerances.atol.as_slice() {
        [] => String::new(),
        many if many.windows(2).all(|w| w[0] == w[1]) => format!(", atol: {:e}", many[0]),
        _ => ", atol: by nominal".to_owned(),
    };
    format!("{name}(rtol: {:e}{atol})", o.tolerances.rtol)
}

/// The solver with its options.
pub fn solver(ready: &Ready) -> Value {
    let o = &ready.options;
    let mut solver = json!({ "method": ready.method.name() });
    if ready.method.fixed_step() {
        solver["step"] = json!(o.h);
    } else {
        solver["rtol"] = json!(o.tolerances.rtol);
        solver["atol"] = match o.tolerances.atol.as_slice() {
            [one] => json!(one),
            many if many.windows(2).all(|w| w[0] == w[1]) => json!(many.first()),
            many if many.len() <= LONG => json!(many),
            many => json!({ "values": many.len() }),
        };
    }
    solver
}

/// The parameters' values in the units that people see, by path.
pub fn parameters(program: &Program) -> Value {
    let memory = twinml_engine::run::parameters(program);
    let mut all = Map::new();
    for v in program.schema.vars.iter().filter(|v| v.role == Role::Parameter) {
        let slots = memory.space(v.space);
        let Some(values) = slots.get(v.base as usize..v.base as usize + v.len as usize) else { continue };
        let shown = |x: f64| match v.kind {
            Kind::Real => json!((x - v.unit.offset) / v.unit.scale),
            Kind::Int => json!(x as i64),
            Kind::Bool => json!(x != 0.0),
            Kind::Enum(id) => {
                let words = program.schema.enums.get(id.index()).map(|e| e.values.as_slice());
                json!(words.and_then(|w| w.get(x as usize)))
            }
        };
        let value = match values {
            [one] => shown(*one),
            many if many.windows(2).all(|w| w[0] == w[1]) => many.first().map_or(Value::Null, |x| shown(*x)),
            many if many.len() <= LONG => Value::Array(many.iter().map(|x| shown(*x)).collect()),
            many => {
                let least = many.iter().copied().fold(f64::INFINITY, f64::min);
                let most = many.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                json!({ "values": many.len(), "min": shown(least), "max": shown(most) })
            }
        };
        let path = if v.len == 1 { v.element_path(0) } else { v.template() };
        all.insert(path, json!({ "value": value, "unit": v.unit.symbol }));
    }
    Value::Object(all)
}

/// With what a run can be done again.
pub struct Again<'a> {
    /// What the command line asked.
    pub asked: &'a Asked,
    /// The id of the snapshot that the run went on from.
    pub from: Option<&'a str>,
    /// Which branch of a timeline it is; `null` of `run`.
    pub branched: Value,
}

/// `summary.json`: no wall-clock value is in it, so that equal runs have equal summaries. The trunk's facts stand at
/// the top, each branch's in a list. With what `again` and the inputs say, `twinc replay` does the run again.
///
/// # Errors
///
/// `TWINC_ISA` names nothing: that was said.
pub fn document(
    ready: &Ready,
    runs: &[Ran<'_>],
    si: bool,
    again: Again<'_>,
    ui: &Ui,
) -> Result<String, Exit> {
    let file = ready.session.sources.get(ready.session.root).map_or("", |f| &*f.name);
    // Where on a machine the model lies is nobody's business.
    let file = Path::new(file);
    let file = if file.is_absolute() { file.file_name().map(Path::new).unwrap_or(file) } else { file };
    let inputs: Vec<Value> = ready
        .inputs
        .iter()
        .map(
            |i| json!({ "role": i.role, "name": i.name, "length": i.length, "sha256": i.sha256.to_string() }),
        )
        .collect();
    let mut summary = json!({
        "type": "summary",
        "version": VERSION,
        "twin": ready.program.name,
        "scenario": ready.experiment.name,
        "model_hash": ready.hash,
        "compiler": compiler(),
        "seed": ready.experiment.seed,
        "machine": sign::machine(ui)?,
        "file": world::shown(file),
        "inputs": inputs,
        "asked": again.asked,
        "from": again.from,
        "branched": again.branched,
        "si": si,
        "parameters": ready.parameters(),
        "solver": solver(ready),
        "until": ready.experiment.duration,
    });
    let mut branches = Vec::new();
    for ran in runs {
        let mut facts = outcome(ran, &ready.program);
        match ran.branch {
            None => summary.as_object_mut().into_iter().for_each(|s| s.append(&mut facts)),
            Some(b) => {
                facts.insert("name".to_owned(), json!(b.name));
                facts.insert("at".to_owned(), json!(b.time_ns as f64 / 1e9));
                branches.push(Value::Object(facts));
            }
        }
    }
    summary["branches"] = Value::Array(branches);
    // Maps with text keys always serialise.
    Ok(serde_json::to_string_pretty(&summary).unwrap_or_default() + "\n")
}

/// How one run went, and what it left.
fn outcome(ran: &Ran<'_>, program: &Program) -> Map<String, Value> {
    let Ran { plans, report, .. } = ran;
    let files: Vec<Value> = plans
        .iter()
        .zip(&ran.files)
        .zip(&report.files)
        .map(|((plan, path), recorded)| {
            json!({
                "path": path.file_name().map(|n| n.to_string_lossy()),
                "rows": recorded.rows,
                "bytes": recorded.bytes,
                "columns": plan.columns().specs().iter().map(facts).collect::<Vec<Value>>(),
            })
        })
        .collect();
    let s = &report.stats;
    let (ended, failure) = match &report.ended {
        Ended::Complete => ("complete", Value::Null),
        Ended::Decided => ("decided", Value::Null),
        Ended::Stopped if ran.over_time => ("time_limit", Value::Null),
        Ended::Stopped => ("interrupted", Value::Null),
        Ended::Range => ("range", Value::Null),
        Ended::Halted(_) => ("halted", Value::Null),
        Ended::Failed(f) => ("failed", json!({ "time": f.time, "message": f.to_string() })),
    };
    let requirements: Vec<Value> =
        super::verdict::of(ran.experiment, report).iter().map(super::verdict::Verdict::facts).collect();
    let ranges: Vec<Value> = report
        .broken
        .iter()
        .map(|b| {
            let (value, unit) = failure::shown(b, program);
            json!({
                "path": b.path, "condition": failure::condition(b, program), "time": b.time,
                "value": value, "unit": unit, "times": b.times, "stopped": b.stopped, "clamped": b.clamped,
            })
        })
        .collect();
    let facts = json!({
        "chosen": report.choice.method.name(),
        "ended": ended,
        "failure": failure,
        "reason": if let Ended::Halted(reason) = &report.ended { json!(reason) } else { Value::Null },
        "logged": report.said,
        "log": report.logs.iter().take(MOST_SAID).map(|l| json!({
            "time": l.time, "twin": l.twin, "text": l.text,
        })).collect::<Vec<Value>>(),
        "time": report.time,
        "samples": report.samples,
        "events": report.events,
        "work": {
            "steps": s.steps, "rejected": s.rejected, "rhs": s.rhs, "jacobians": s.jac,
            "factorizations": s.factorizations, "solves": s.solves, "newton_iterations": s.newton_iters,
            "restarts": s.restarts, "monitor_rows": report.held_rows,
        },
        "ranges": ranges,
        "ranges_left": report.broken_total,
        "requirements": requirements,
        "kpis": super::verdict::figures(ran.experiment, report)
            .iter().map(super::verdict::Figure::facts).collect::<Vec<Value>>(),
        "event_log": ran.events.as_ref().zip(report.log).map(|(path, log)| json!({
            "path": path.file_name().map(|n| n.to_string_lossy()), "rows": log.rows, "bytes": log.bytes,
        })),
        "files": files,
        "final": finals(plans, report),
    });
    match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    }
}

/// The last recorded values, in the units of their columns.
fn finals(plans: &[Plan], report: &Report) -> Value {
    let mut all = Map::new();
    for (plan, row) in plans.iter().zip(&report.last) {
        for (spec, first) in plan.columns().with_cells().skip(2) {
            let Some(cell) = row.get(first).filter(|_| spec.list.is_none()) else { continue };
            let value = match &spec.element {
                Element::Real { scale, offset } => json!((cell - offset) / scale),
                Element::Bool => json!(*cell != 0.0),
                Element::Int => json!(cell.is_finite().then_some(*cell as i64)),
                Element::Text(words) => json!(words.get(*cell as usize)),
            };
            all.insert(spec.name.clone(), json!({ "value": value, "unit": spec.unit }));
        }
    }
    Value::Object(all)
}
