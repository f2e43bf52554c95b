//! `twinc sweep`: a run for each point of a grid or a list, one row each.
//!
//! Every point is compiled with its own values, as `twinc run --set` does: whatever can be set can be swept over, sizes and
//! choices of structure too, and a point has the bits of that run.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use twinml_compiler::driver::{Choice, Session};
use twinml_engine::record::{self, ColumnSpec, Columns, Element, MemoryRecorder};
use twinml_engine::run::{self, Ended, Flow, MachineKind, Outlet};
use twinml_model::ir::Space;
use twinml_model::passes::{self, Level, later};
use twinml_model::schema::Kind;

use super::chart::Chart;
use super::{column, find, finite, spread, usage, write};
use crate::args::study::Sweep;
use crate::commands::job::Flags;
use crate::commands::{compile, summary, verdict};
use crate::exit::Exit;
use crate::model::{self, Data};
use crate::ui::Ui;
use crate::ui::json::{self, VERSION};
use crate::ui::numbers::{counted, short};
use crate::world::{self, Interrupt, Stopwatch};

/// Most points of one sweep.
const MOST: usize = 1_000_000;
/// Points that are printed one by one.
const SHOWN: usize = 20;

/// Sweeps.
pub fn run(args: &Sweep, ui: &Ui) -> Exit {
    match whole(args, ui) {
        Ok(exit) | Err(exit) => exit,
    }
}

/// What is swept over: a path and its values as they would be given to `--set`.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The path.
    pub path: String,
    /// Its values.
    pub values: Vec<String>,
}

/// How a point came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Complete,
    Stopped,
    Range,
    Failed,
    Error,
}

impl Status {
    const WORDS: [&'static str; 5] = ["complete", "stopped", "range", "failed", "error"];

    fn word(self) -> &'static str {
        Status::WORDS[self as usize]
    }
}

/// One point.
#[derive(Clone, Debug)]
struct Point {
    status: Status,
    message: String,
    /// By swept path: the value in its unit, where it is a number.
    set: Vec<Option<(f64, String)>>,
    /// Quantities at the end and figures: name, unit, value.
    values: Vec<(String, String, f64)>,
    /// Requirements: name, verdict, robustness and its unit.
    verdicts: Vec<(String, &'static str, f64, String)>,
    exit: Exit,
}

/// A line of `--format json`.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    point: usize,
    set: BTreeMap<&'a str, &'a str>,
    status: &'static str,
    message: &'a str,
    values: BTreeMap<&'a str, Option<f64>>,
    verdicts: BTreeMap<&'a str, &'static str>,
}

fn whole(args: &Sweep, ui: &Ui) -> Result<Exit, Exit> {
    let interrupt = Interrupt::listen();
    let flags = Flags::read(&args.simulation, ui)?;
    let (fixed, axes) = axes(&args.compile.sets, ui)?;
    if axes.is_empty() {
        return Err(usage(
            ui,
            "nothing to sweep over",
            Some(
                "give several values: `--set 'k=1 m,2 m,5 m'`, or a range with their number: `--set 'k=1 m..2 m:11'`",
            ),
        ));
    }
    let points = points(&axes, args.list, ui)?;
    // The first point says what is wrong with the model, if anything is.
    let watch = Stopwatch::start();
    let session = compile::open(&args.file, ui)?;
    let heard = ui.diagnostics(session.diags.iter(), &session.sources);
    if heard.errors > 0 || (args.compile.deny_warnings() && heard.warnings > 0) {
        ui.error_line(&format!("{}: {}", world::shown(&args.file), counted(heard.errors as u64, "error")));
        return Err(Exit::Usage);
    }
    let hash = model::hash(&session, &Data::of(&session));
    let scenario = args.compile.scenario.clone().or_else(|| session.scenarios().next().map(str::to_owned));
    let name = scenario.unwrap_or_else(|| "run".to_owned());
    drop(session);
    let over: Vec<String> = axes.iter().map(|a| format!("{} ({})", a.path, a.values.len())).collect();
    ui.doing(
        "Sweeping",
        &format!("{} of {name} over {}", counted(points.len() as u64, "point"), over.join(", ")),
    );
    let quiet = ui.keeping();
    let make = || compile::open(&args.file, &quiet).ok();
    let work = |session: &mut Option<Session>, k: usize| match session {
        Some(session) => one(session, args, &flags, &fixed, &axes, &points[k]),
        None => failed(&axes, "the file can no longer be read"),
    };
    let Some(done) = spread(args.jobs, points.len(), &interrupt, make, work) else {
        ui.error("interrupted; nothing was written", None);
        return Ok(Exit::Interrupted);
    };
    let bad = done.iter().filter(|p| matches!(p.status, Status::Failed | Status::Error)).count();
    let mut line = counted(done.len() as u64, "point");
    if bad > 0 {
        line.push_str(&format!(", {bad} of them failed"));
    }
    ui.result("Finished", &line, Some(watch.elapsed()));
    tell(&axes, &points, &done, ui);
    // Where no point compiles, the sweep itself is wrong.
    if let Some(first) = done.first().filter(|_| done.iter().all(|p| p.status == Status::Error)) {
        let others = done.iter().any(|p| p.message != first.message);
        return Err(usage(
            ui,
            &first.message,
            others.then_some("that is the first point; none of them compiles"),
        ));
    }
    let files = write_all(args, &name, &hash, &axes, &points, &done, ui)?;
    ui.result("Written", &files.join(", "), None);
    Ok(done.iter().map(|p| p.exit).max_by_key(|e| e.weight()).unwrap_or(Exit::Ok))
}

/// Splits what is set once from what is swept over.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn axes(sets: &[String], ui: &Ui) -> Result<(Vec<String>, Vec<Axis>), Exit> {
    let (mut fixed, mut axes): (Vec<String>, Vec<Axis>) = (Vec::new(), Vec::new());
    for text in sets {
        let Some((path, values)) = text.split_once('=') else {
            fixed.push(text.clone());
            continue;
        };
        let values = match range(values) {
            Some(Ok(values)) => values,
            Some(Err(why)) => return Err(usage(ui, &format!("`--set {text}`: {why}"), None)),
            None => commas(values),
        };
        if values.len() > 1 && values.iter().any(String::is_empty) {
            let why = "a value is missing before or behind a comma";
            return Err(usage(ui, &format!("`--set {text}`: {why}"), None));
        }
        match values.len() {
            0 | 1 => fixed.push(text.clone()),
            _ => axes.push(Axis { path: path.trim().to_owned(), values }),
        }
    }
    Ok((fixed, axes))
}

/// The parts between commas that stand in no brackets and no quotes.
fn commas(text: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut out, mut part) = (0i32, false, Vec::new(), String::new());
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                out.push(std::mem::take(&mut part).trim().to_owned());
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    out.push(part.trim().to_owned());
    out
}

/// A number and the unit behind it.
fn number(text: &str) -> Option<(f64, String)> {
    let text = text.trim();
    let end = (0..=text.len())
        .rev()
        .filter(|k| text.is_char_boundary(*k))
        .find(|k| text[..*k].trim_end().parse::<f64>().is_ok_and(f64::is_finite))?;
    Some((text[..end].trim().parse().ok()?, text[end..].trim().to_owned()))
}

/// `LO..HI:N` and `LO..HI:N:log`; none where it is no range.
fn range(text: &str) -> Option<Result<Vec<String>, String>> {
    let (lo, rest) = text.split_once("..")?;
    if lo.contains('"') {
        return None;
    }
    let mut parts = rest.split(':');
    let hi = parts.next()?;
    let Some(count) = parts.next().map(str::trim) else {
        let why = format!("a range ends in the number of its points: `{text}:11`");
        return number(lo).and(number(hi)).map(|_| Err(why));
    };
    let log = match parts.next().map(str::trim) {
        None => false,
        Some("log") => true,
        Some(other) => {
            return Some(Err(format!("`{other}`: a range ends in the number of its points, or in `:log`")));
        }
    };
    let (Some((lo, first)), Some((hi, unit))) = (number(lo), number(hi)) else {
        return Some(Err("both ends of a range are numbers, with a unit where there is one".to_owned()));
    };
    if !first.is_empty() && first != unit {
        return Some(Err("both ends of a range are in the same unit".to_owned()));
    }
    let Some(n) = count.parse::<usize>().ok().filter(|n| (2..=MOST).contains(n)) else {
        let why = format!("`{count}` is no number of points (from 2 to {MOST})");
        let misplaced = count.split_whitespace().next().is_some_and(|n| n.parse::<usize>().is_ok());
        let help = if misplaced { "; the unit stands with the ends: `1 m..2 m:11`" } else { "" };
        return Some(Err(why + help));
    };
    if log && !(lo > 0.0 && hi > 0.0) {
        return Some(Err("equal ratios need ends above zero".to_owned()));
    }
    let last = (n - 1) as f64;
    let value = |k: usize| match k {
        0 => lo,
        k if k == n - 1 => hi,
        k if log => {
            let part = twinml_model::math::eval::log(hi / lo) * (k as f64 / last);
            lo * twinml_model::math::eval::exp(part)
        }
        k => lo + (hi - lo) * k as f64 / last,
    };
    // What a decimal fraction is meant to be is what it is.
    let neat = |x: f64| format!("{:.12e}", x).parse::<f64>().unwrap_or(x);
    Some(Ok((0..n).map(|k| format!("{} {unit}", neat(value(k))).trim().to_owned()).collect()))
}

/// Which value of each axis each point takes; the last axis runs fastest.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn points(axes: &[Axis], list: bool, ui: &Ui) -> Result<Vec<Vec<usize>>, Exit> {
    if list {
        let n = axes.first().map_or(0, |a| a.values.len());
        if let Some(other) = axes.iter().find(|a| a.values.len() != n) {
            let counts =
                format!("{n} values of `{}`, {} of `{}`", axes[0].path, other.values.len(), other.path);
            return Err(usage(ui, &format!("`--list` takes values together, and there are {counts}"), None));
        }
        return Ok((0..n).map(|k| vec![k; axes.len()]).collect());
    }
    let total = axes.iter().try_fold(1usize, |n, a| n.checked_mul(a.values.len())).filter(|n| *n <= MOST);
    let Some(total) = total else {
        return Err(usage(ui, &format!("more than {MOST} points"), Some("`--list` takes values together")));
    };
    let point = |k: usize| {
        let mut rest = k;
        let mut at = vec![0; axes.len()];
        for (i, a) in axes.iter().enumerate().rev() {
            at[i] = rest % a.values.len();
            rest /= a.values.len();
        }
        at
    };
    Ok((0..total).map(point).collect())
}

fn failed(axes: &[Axis], message: &str) -> Point {
    Point {
        status: Status::Error,
        message: message.to_owned(),
        set: vec![None; axes.len()],
        values: Vec::new(),
        verdicts: Vec::new(),
        exit: Exit::Usage,
    }
}

/// Compiles and runs one point.
fn one(
    session: &mut Session,
    args: &Sweep,
    flags: &Flags,
    fixed: &[String],
    axes: &[Axis],
    at: &[usize],
) -> Point {
    let mut settings = fixed.to_vec();
    settings.extend(axes.iter().zip(at).map(|(a, k)| format!("{}={}", a.path, a.values[*k])));
    let heard = session.diags.iter().count();
    let mut data = Data::of(session);
    let choice =
        Choice { scenario: args.compile.scenario.as_deref(), settings: &settings, keep_system: false };
    let compiled = session.compile(choice, &mut data);
    let Some(compiled) = compiled else {
        let said = session.diags.iter().skip(heard).map(|d| format!("{}: {}", d.code, d.message)).next();
        session.diags = twinml_compiler::diag::Diagnostics::new();
        return failed(axes, &said.unwrap_or_else(|| "it does not compile".to_owned()));
    };
    let (mut program, mut experiment) = (compiled.program, compiled.experiment);
    flags.apply(&program, &mut experiment);
    if let Err(e) = run::solver(&program, &experiment) {
        return failed(axes, &e.to_string());
    }
    let level = match flags.machine() {
        MachineKind::Jit(n) => Level::from_number(n),
        MachineKind::Interpreter => Level::O2,
    };
    let derivatives = later::begin(&mut program, level);
    for action in &mut experiment.actions {
        action.kernel = passes::prepare_kernel(&program, &action.kernel, level);
    }
    experiment.records = vec![run::usual(&program, None)];
    let program = Arc::new(program);
    let mut machine = run::lazy_machine(&program, derivatives, flags.machine());
    let memory = run::parameters(&program);
    let number = |a: &Axis| {
        let (space, slot, unit, kind) = find(&program, &a.path)?;
        let of = matches!(kind, Kind::Real | Kind::Int) && matches!(space, Space::Param | Space::Input);
        let value = *memory.space(space).get(slot as usize).filter(|_| of)?;
        Some(((value - unit.offset) / unit.scale, unit.symbol))
    };
    let set = axes.iter().map(number).collect();
    let Some(plan) = run::plans(&program, &experiment, args.si).ok().and_then(|p| p.into_iter().next())
    else {
        return failed(axes, "nothing of this model can be recorded");
    };
    let (recorder, _) = MemoryRecorder::new(plan.columns().clone());
    let outlets = vec![Outlet { plan: plan.clone(), recorder: Box::new(recorder) }];
    let mut watch = |_| Flow::Continue;
    let report = match run::simulate(&program, &mut *machine, &experiment, outlets, &mut watch) {
        Ok(report) => report,
        Err(e) => return failed(axes, &e.to_string()),
    };
    let (status, message) = match &report.ended {
        Ended::Complete | Ended::Decided => (Status::Complete, String::new()),
        Ended::Halted(why) => (Status::Stopped, why.clone().unwrap_or_default()),
        Ended::Range | Ended::Stopped => (Status::Range, String::new()),
        Ended::Failed(f) => (Status::Failed, f.to_string()),
    };
    let mut values = Vec::new();
    let row = report.last.first().map_or(&[][..], Vec::as_slice);
    for (spec, cell) in plan.columns().with_cells().skip(2) {
        let (scale, offset) = match spec.element {
            Element::Real { scale, offset } => (scale, offset),
            Element::Bool | Element::Int => (1.0, 0.0),
            Element::Text(_) => continue,
        };
        for j in 0..spec.list.unwrap_or(1) {
            let name = if spec.list.is_some() { format!("{}[{j}]", spec.name) } else { spec.name.clone() };
            let value = row
                .get(cell + j)
                .filter(|_| status != Status::Failed)
                .map_or(f64::NAN, |v| (v - offset) / scale);
            values.push((name, spec.unit.clone().unwrap_or_default(), value));
        }
    }
    for f in verdict::figures(&experiment, &report) {
        let list = f.values.unwrap_or_else(|| vec![f64::NAN]);
        for (j, v) in list.iter().enumerate() {
            let name = if list.len() > 1 { format!("{}[{j}]", f.name) } else { f.name.clone() };
            values.push((name, f.unit.clone(), *v));
        }
    }
    let said = verdict::of(&experiment, &report);
    let exit = [crate::commands::job::outcome(&report, false), verdict::exit(&said)]
        .into_iter()
        .max_by_key(|e| e.weight())
        .unwrap_or(Exit::Ok);
    let verdicts =
        said.into_iter().map(|v| (v.name, v.verdict, v.robustness.unwrap_or(f64::NAN), v.unit)).collect();
    Point { status, message, set, values, verdicts, exit }
}

/// A line for each point; where none compiles, for readers of JSON only.
fn tell(axes: &[Axis], points: &[Vec<usize>], done: &[Point], ui: &Ui) {
    let shown = if done.iter().all(|p| p.status == Status::Error) { 0 } else { SHOWN };
    for (k, (p, at)) in done.iter().zip(points).enumerate() {
        let settings: Vec<String> =
            axes.iter().zip(at).map(|(a, k)| format!("{}={}", a.path, a.values[*k])).collect();
        if k < shown {
            let what: Vec<String> = if p.message.is_empty() {
                let values = p.values.iter().rev().take(3).rev();
                values.map(|(n, u, v)| format!("{n} {} {u}", short(*v, 5)).trim_end().to_owned()).collect()
            } else {
                vec![format!("{}: {}", p.status.word(), p.message)]
            };
            let verdicts = p.verdicts.iter().filter(|v| v.1 != "not evaluated");
            let verdicts: Vec<String> = verdicts.map(|(n, v, ..)| format!("{n} {v}")).collect();
            let line = format!(
                "{}   {}",
                settings.join("  "),
                what.into_iter().chain(verdicts).collect::<Vec<_>>().join("  ")
            );
            ui.result(if k == 0 { "Points" } else { "" }, line.trim_end(), None);
        }
        ui.object(&Told {
            kind: "point",
            version: VERSION,
            point: k,
            set: axes.iter().zip(at).map(|(a, k)| (a.path.as_str(), a.values[*k].as_str())).collect(),
            status: p.status.word(),
            message: &p.message,
            values: p.values.iter().map(|(n, _, v)| (n.as_str(), finite(*v))).collect(),
            verdicts: p.verdicts.iter().map(|(n, v, ..)| (n.as_str(), *v)).collect(),
        });
    }
    if shown > 0 && done.len() > shown {
        ui.result("", &format!("and {}", counted((done.len() - shown) as u64, "further point")), None);
    }
}

/// The words of a text column, and each row's number among them.
fn words(rows: impl Iterator<Item = String>) -> (Arc<[String]>, Vec<f64>) {
    let (mut known, mut numbers): (Vec<String>, Vec<f64>) = (Vec::new(), Vec::new());
    for word in rows {
        let k = known.iter().position(|w| *w == word).unwrap_or_else(|| {
            known.push(word);
            known.len() - 1
        });
        numbers.push(k as f64);
    }
    (Arc::from(known), numbers)
}

/// `points.parquet` (or the file that `--out` names) and `summary.json`.
fn write_all(
    args: &Sweep,
    name: &str,
    hash: &str,
    axes: &[Axis],
    points: &[Vec<usize>],
    done: &[Point],
    ui: &Ui,
) -> Result<Vec<String>, Exit> {
    let named = args.out.as_deref();
    let is_file = named.is_some_and(|p| p.extension().is_some() && !p.is_dir());
    let folder = match named {
        Some(path) if is_file => path.parent().map(std::path::Path::to_owned).unwrap_or_default(),
        Some(path) => path.to_owned(),
        None => world::default_out(&args.file).join(name).join("sweep"),
    };
    let file = if is_file { named.unwrap_or(&folder).to_owned() } else { folder.join("points.parquet") };
    let mut specs: Vec<ColumnSpec> = vec![ColumnSpec::of("point", Element::Int)];
    let mut cells: Vec<Vec<f64>> = vec![(0..done.len()).map(|k| k as f64).collect()];
    let nan = f64::NAN;
    for (i, a) in axes.iter().enumerate() {
        if done.iter().all(|p| p.set[i].is_some() || p.status == Status::Error) {
            let unit = done.iter().find_map(|p| p.set[i].clone()).map_or(String::new(), |(_, u)| u);
            specs.push(column(&a.path, &unit));
            cells.push(done.iter().map(|p| p.set[i].as_ref().map_or(nan, |(v, _)| *v)).collect());
        } else {
            let (known, numbers) = words(points.iter().map(|at| a.values[at[i]].clone()));
            specs.push(ColumnSpec::of(a.path.as_str(), Element::Text(known)));
            cells.push(numbers);
        }
    }
    let (known, numbers) = words(done.iter().map(|p| p.status.word().to_owned()));
    specs.push(ColumnSpec::of("status", Element::Text(known)));
    cells.push(numbers);
    // Points of other sizes may have other quantities.
    let mut values: Vec<(String, String)> = Vec::new();
    let mut verdicts: Vec<(String, String)> = Vec::new();
    for p in done {
        for (n, u, _) in &p.values {
            if !values.iter().any(|(known, _)| known == n) {
                values.push((n.clone(), u.clone()));
            }
        }
        for (n, _, _, u) in &p.verdicts {
            if !verdicts.iter().any(|(known, _)| known == n) {
                verdicts.push((n.clone(), u.clone()));
            }
        }
    }
    let taken: Vec<String> = specs.iter().map(|s| s.name.clone()).collect();
    let own = |n: &str| if taken.iter().any(|t| t == n) { format!("{n}.end") } else { n.to_owned() };
    for (n, u) in &values {
        specs.push(column(&own(n), u));
        let of = |p: &Point| p.values.iter().find(|(name, ..)| name == n).map_or(nan, |(_, _, v)| *v);
        cells.push(done.iter().map(of).collect());
    }
    for (n, u) in &verdicts {
        let found = |p: &Point| p.verdicts.iter().find(|v| v.0 == *n).cloned();
        let (known, numbers) = words(
            done.iter().map(|p| found(p).map_or_else(|| "not evaluated".to_owned(), |v| v.1.to_owned())),
        );
        specs.push(ColumnSpec::of(format!("{n}.verdict"), Element::Text(known)));
        cells.push(numbers);
        specs.push(column(&format!("{n}.robustness"), u));
        cells.push(done.iter().map(|p| found(p).map_or(nan, |v| v.2)).collect());
    }
    let outside = |e: record::RecordError| {
        ui.error(&e.to_string(), None);
        Exit::Outside
    };
    let columns = Columns::new(specs).map_err(outside)?;
    let metadata = vec![
        ("twinml.model_hash".to_owned(), hash.to_owned()),
        ("scenario".to_owned(), name.to_owned()),
        ("compiler".to_owned(), summary::compiler()),
    ];
    let mut recorder = record::open(&file, columns, &metadata).map_err(outside)?;
    for k in 0..done.len() {
        let row: Vec<f64> = cells.iter().map(|c| c[k]).collect();
        recorder.row(&row).map_err(outside)?;
    }
    recorder.finish().map_err(outside)?;
    let mut files = vec![world::shown(&file)];
    ui.object(&json::Written {
        kind: "written",
        version: VERSION,
        path: world::shown(&file),
        what: "points",
        rows: Some(done.len() as u64),
    });
    if !is_file {
        let path = folder.join("summary.json");
        let text =
            serde_json::to_string_pretty(&summary(name, hash, axes, &values, done)).unwrap_or_default();
        write(&path, &(text + "\n"), ui)?;
        ui.object(&json::Written::file(&path, "summary"));
        files.push("summary.json".to_owned());
        let path = folder.join("plot.html");
        write(&path, &chart(name, hash, axes, points, &values, done), ui)?;
        ui.object(&json::Written::file(&path, "plot"));
        files.push("plot.html".to_owned());
    }
    Ok(files)
}

/// Every quantity over the axis with the most values, as a page.
fn chart(
    name: &str,
    hash: &str,
    axes: &[Axis],
    points: &[Vec<usize>],
    values: &[(String, String)],
    done: &[Point],
) -> String {
    // Lists that are taken together are drawn over the first of them.
    let together = axes.len() > 1 && points.iter().all(|at| at.iter().all(|k| *k == at[0]));
    // The axis with the most values, of several the one that runs fastest.
    let most = (0..axes.len()).max_by_key(|i| axes[*i].values.len()).unwrap_or(0);
    let main = if together { 0 } else { most };
    let set = |p: &Point| p.set[main].clone();
    let numbers = done.iter().all(|p| set(p).is_some() || p.status == Status::Error);
    let place = |(p, at): (&Point, &Vec<usize>)| match set(p) {
        Some((v, _)) if numbers => v,
        _ if numbers => f64::NAN,
        _ => (at[main] + 1) as f64,
    };
    let unit = done.iter().find_map(set).filter(|_| numbers).map_or(String::new(), |(_, unit)| unit);
    let along = match numbers {
        true => axes[main].path.clone(),
        false => format!("{}: number of the value", axes[main].path),
    };
    let others = |at: &Vec<usize>| {
        let rest = axes.iter().zip(at).enumerate().filter(|(i, _)| *i != main && !together);
        rest.map(|(_, (a, k))| format!("{} = {}", a.path, a.values[*k])).collect::<Vec<_>>().join(", ")
    };
    let of = |p: &Point, n: &str| p.values.iter().find(|v| v.0 == n).map_or(f64::NAN, |v| v.2);
    Chart {
        title: &format!("Sweep of {name}"),
        hash,
        along: (&along, &unit, done.iter().zip(points).map(place).collect()),
        others: points.iter().map(others).collect(),
        bad: done.iter().map(|p| p.exit != Exit::Ok).collect(),
        quantities: values
            .iter()
            .map(|(n, u)| (n.clone(), u.clone(), done.iter().map(|p| of(p, n)).collect()))
            .collect(),
    }
    .page()
}

/// Least and most of every quantity, and where.
fn summary(name: &str, hash: &str, axes: &[Axis], values: &[(String, String)], done: &[Point]) -> Value {
    let of = |(n, u): &(String, String)| {
        let all = done.iter().enumerate().filter_map(|(k, p)| {
            p.values.iter().find(|(name, _, v)| name == n && v.is_finite()).map(|(_, _, v)| (k, *v))
        });
        let all: Vec<(usize, f64)> = all.collect();
        let least = all.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let most = all.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let at = |p: Option<&(usize, f64)>| p.map(|(k, v)| json!({ "point": k, "value": v }));
        json!({ "name": n, "unit": u, "least": at(least), "most": at(most) })
    };
    let count = |s: Status| done.iter().filter(|p| p.status == s).count();
    json!({
        "type": "sweep", "version": VERSION, "scenario": name, "model_hash": hash, "points": done.len(),
        "complete": count(Status::Complete), "failed": count(Status::Failed) + count(Status::Error),
        "axes": axes.iter().map(|a| json!({ "path": a.path, "values": a.values })).collect::<Vec<_>>(),
        "quantities": values.iter().map(of).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn values() {
        assert_eq!(commas("1 m, 2 m,5 m"), ["1 m", "2 m", "5 m"]);
        assert_eq!(commas("[1, 2],[3, 4]"), ["[1, 2]", "[3, 4]"]);
        assert_eq!(commas("\"a,b\",f(1,2)"), ["\"a,b\"", "f(1,2)"]);
        assert_eq!(range("0.01..0.02:3").unwrap().unwrap(), ["0.01", "0.015", "0.02"]);
        assert_eq!(range("1..2 kW*h:2").unwrap().unwrap(), ["1 kW*h", "2 kW*h"]);
        assert_eq!(range("0..0.3:4").unwrap().unwrap(), ["0", "0.1", "0.2", "0.3"]);
        assert_eq!(range("1..100 m:3:log").unwrap().unwrap(), ["1 m", "10 m", "100 m"]);
        assert_eq!(range("\"../a.csv:3\""), None);
        assert_eq!(range("f(1..2)"), None);
        for bad in [
            "1..2",
            "1 m..2 m",
            "1..2:3 m",
            "a..b:3",
            "1..2:x",
            "1 m..2 s:3",
            "1..2:1",
            "0..1:3:log",
            "1..2:3:lin",
        ] {
            assert!(range(bad).unwrap().is_err(), "{bad}");
        }
        let why = |text: &str| range(text).unwrap().unwrap_err();
        assert_eq!(why("1 m..2 m"), "a range ends in the number of its points: `1 m..2 m:11`");
        assert!(
            why("1..2:3 m").ends_with("the unit stands with the ends: `1 m..2 m:11`"),
            "{}",
            why("1..2:3 m")
        );
    }
}
