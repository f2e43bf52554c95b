//! `twinc calibrate`: parameters that fit measured data, with intervals, and what the data say nothing about.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Value, json};
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_compiler::units::heading;
use twinml_engine::data::{DataError, Frame, Unit};
use twinml_engine::run::{self, Observed};
use twinml_engine::study::fit::{self, Certainty, Fit, Limits};
use twinml_engine::study::global;
use twinml_model::ir::Space;
use twinml_model::schema::DisplayUnit;

use super::traces::Traces;
use super::{Model, Parameter, find, finite, load, unknown, usage, write};
use crate::args::study::Calibrate;
use crate::commands::job::Flags;
use crate::commands::plot;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::{self, VERSION};
use crate::ui::numbers::{counted, short};
use crate::world::{self, Interrupt, Stopwatch};

/// Rounds in which the measured quantities' own standard deviations are estimated.
const ROUNDS: usize = 3;

/// Fits and tells.
pub fn run(args: &Calibrate, ui: &Ui) -> Exit {
    match whole(args, ui) {
        Ok(exit) | Err(exit) => exit,
    }
}

/// A measured quantity.
struct Measured {
    path: String,
    unit: DisplayUnit,
    slot: Observed,
    /// By row: the value in SI; NaN where nothing was measured.
    values: Vec<f64>,
    /// The standard deviation in SI, where it is given.
    sd: Option<f64>,
}

fn whole(args: &Calibrate, ui: &Ui) -> Result<Exit, Exit> {
    let interrupt = Interrupt::listen();
    let flags = Flags::read(&args.simulation, ui)?;
    if !(args.confidence > 0.0 && args.confidence < 1.0) {
        return Err(usage(ui, "`--confidence` lies between 0 and 1", None));
    }
    let mut model = load(&args.file, &args.compile, &flags, ui)?;
    let parameters = match args.fit.is_empty() {
        true => model.uncertain("fit", false, ui)?.0,
        false => model.parameters("fit", &args.fit, ui)?,
    };
    if args.starts > 1
        && let Some(p) = parameters.iter().find(|p| p.range.is_none())
    {
        return Err(usage(
            ui,
            &format!("`--starts` draws starting points within bounds, and `{}` has none", p.path),
            Some("write `--fit PATH=LO..HI`"),
        ));
    }
    let frame = plot::open(&args.data).map_err(|e| {
        ui.error(&e, None);
        Exit::Outside
    })?;
    let (times, measured) = data(args, &model, &frame, ui)?;
    let count = measured.iter().flat_map(|m| &m.values).filter(|v| v.is_finite()).count();
    if count <= parameters.len() {
        return Err(usage(
            ui,
            &format!(
                "{} do not determine {}",
                counted(count as u64, "measurement"),
                counted(parameters.len() as u64, "parameter")
            ),
            None,
        ));
    }
    let mut experiment = model.experiment.clone();
    experiment.duration = times.last().copied().unwrap_or(experiment.duration).max(f64::MIN_POSITIVE);
    experiment.solver.rtol = Some(experiment.solver.rtol.unwrap_or(1e-6).min(1e-8));
    model.experiment = experiment;
    let observed: Vec<Observed> = measured.iter().map(|m| m.slot).collect();
    let mut traces = Traces::new(&model, &parameters, &observed, &times, args.jobs, ui)?;
    ui.doing(
        "Fitting",
        &format!(
            "{} to {} of {} at {} with {}, by {}",
            counted(parameters.len() as u64, "parameter"),
            counted(count as u64, "measurement"),
            counted(measured.len() as u64, "quantity").replace("quantitys", "quantities"),
            counted(times.len() as u64, "instant"),
            traces.solver(),
            traces.how()
        ),
    );
    let watch = Stopwatch::start();
    let Some((best, scales, tried)) = fitted(args, &model, &parameters, &measured, &mut traces, &interrupt)
    else {
        if interrupt.requested() {
            return Ok(Exit::Interrupted);
        }
        ui.error(
            "the model cannot be run from any starting point",
            Some("does `twinc run` go through? Bounds keep parameters where the model makes sense"),
        );
        return Err(Exit::Simulation);
    };
    if interrupt.requested() {
        ui.error("interrupted; nothing was written", None);
        return Ok(Exit::Interrupted);
    }
    let known = measured.iter().all(|m| m.sd.is_some());
    let certain = fit::certainty(&best, &bounds(&parameters), args.confidence, known);
    let how = if best.converged { "converged" } else { "not converged" };
    let mut line = format!(
        "{how} after {}, {}",
        counted(u64::from(best.iterations), "iteration"),
        counted(u64::from(best.evaluations), "evaluation")
    );
    if args.starts > 1 {
        line.push_str(&format!(
            ", the best of {} ({} came to it)",
            counted(u64::from(args.starts), "start"),
            tried
        ));
    }
    ui.result("Finished", &line, Some(watch.elapsed()));
    tell(args, &model, &parameters, &measured, &best, &certain, &scales, traces.word(), ui)?;
    Ok(if best.converged { Exit::Ok } else { Exit::Simulation })
}

/// Instants and measured quantities.
fn data(args: &Calibrate, model: &Model, frame: &Frame, ui: &Ui) -> Result<(Vec<f64>, Vec<Measured>), Exit> {
    let outside = |e: DataError| {
        ui.error(&e.to_string(), None);
        Exit::Outside
    };
    let infos = frame.columns();
    let pairs = |flag: &str, given: &[String]| -> Result<BTreeMap<String, String>, Exit> {
        let pair = |text: &String| match text.split_once('=') {
            Some((path, value)) => Ok((path.trim().to_owned(), value.trim().to_owned())),
            None => Err(usage(ui, &format!("`--{flag} {text}`: it takes `PATH=…`"), None)),
        };
        given.iter().map(pair).collect()
    };
    let (renamed, mut sds) = (pairs("column", &args.column)?, pairs("sd", &args.sd)?);
    let mut times = None;
    let mut measured: Vec<Measured> = Vec::new();
    let mut left = Vec::new();
    for info in infos.iter().filter(|i| !i.list) {
        let (name, headed) = heading(&info.name);
        let (name, unit) = (name.to_owned(), info.unit.clone().or_else(|| headed.map(str::to_owned)));
        if name == "time" {
            let to_si = si(&name, unit.as_deref().unwrap_or("s"), "s", ui)?;
            let values = frame.numbers(&info.name).map_err(outside)?.values;
            times = Some(values.into_iter().map(|t| to_si.to_si(t)).collect::<Vec<f64>>());
            continue;
        }
        let path = renamed.iter().find(|(_, c)| **c == name || **c == info.name).map(|(p, _)| p.clone());
        let path = path.unwrap_or_else(|| name.clone());
        let Some((space, slot, shown, _)) = find(&model.program, &path) else {
            // Results of runs count their steps.
            if name != "step" && name != "twinml.step" {
                left.push(name);
            }
            continue;
        };
        if !matches!(space, Space::State | Space::Var) {
            left.push(name);
            continue;
        }
        let symbol = si_symbol(model, &path);
        let to_si = match unit.as_deref() {
            // Results say the unit that the model shows.
            Some(u) if u == shown.symbol => Unit { scale: shown.scale, offset: shown.offset },
            Some(u) => si(&path, u, &symbol, ui)?,
            None if symbol.is_empty() => Unit::SI,
            None => Unit { scale: shown.scale, offset: shown.offset },
        };
        let mut values = Vec::new();
        frame.scan(&info.name, |_, _, v| values.push(to_si.to_si(v))).map_err(outside)?;
        let sd = match sds.remove(&path) {
            None => None,
            Some(text) => Some(size(&text, &symbol, &shown, ui)?),
        };
        measured.push(Measured { path, unit: shown, slot: Observed { space, slot }, values, sd });
    }
    if let Some((path, _)) = sds.into_iter().next() {
        return Err(usage(ui, &format!("`--sd`: the data do not measure `{path}`"), None));
    }
    for (path, name) in &renamed {
        if !measured.iter().any(|m| m.path == *path) {
            if find(&model.program, path).is_none() {
                return Err(unknown(&model.program, "column", path, false, ui));
            }
            return Err(usage(ui, &format!("{}: there is no column `{name}`", frame.name()), None));
        }
    }
    let Some(times) = times else {
        return Err(usage(ui, &format!("{}: there is no column `time`", frame.name()), None));
    };
    if measured.is_empty() {
        let names: Vec<String> = infos.iter().map(|i| format!("`{}`", i.name)).collect();
        return Err(usage(
            ui,
            &format!("{}: no column is an output or a state of `{}`", frame.name(), model.program.name),
            Some(&format!("the columns are {}; give `--column PATH=COLUMN`", names.join(", "))),
        ));
    }
    if !left.is_empty() {
        ui.warn(&format!("columns that the model does not have are left out: {}", left.join(", ")));
    }
    let mut before = 0.0;
    for (k, t) in times.iter().enumerate() {
        // A time that is no number is not later either.
        if !t.is_finite() || *t < before {
            return Err(usage(
                ui,
                &format!("{}: row {}: `time` goes back, or is no number", frame.name(), k + 1),
                Some("it counts from the start of the run, 0 s, and rises"),
            ));
        }
        before = *t;
    }
    let jumps = jumps(frame, &times).map_err(outside)?;
    if !jumps.is_empty() {
        for m in &mut measured {
            jumps.iter().for_each(|rows| m.values[rows.clone()].fill(f64::NAN));
        }
        ui.doing(
            "Leaving",
            &format!(
                "out what stands at the {} of the data: a run with other parameters has them elsewhere",
                counted(jumps.len() as u64, "event")
            ),
        );
    }
    Ok((times, measured))
}

/// The rows of each instant at which results tell an event: what was before it, and what came after.
fn jumps(frame: &Frame, times: &[f64]) -> Result<Vec<Range<usize>>, DataError> {
    let infos = frame.columns();
    let Some(step) =
        ["twinml.step", "step"].into_iter().find(|n| infos.iter().any(|i| i.name == *n && !i.list))
    else {
        return Ok(Vec::new());
    };
    let mut steps = Vec::new();
    frame.scan(step, |_, _, v| steps.push(v))?;
    let mut all = Vec::new();
    let mut from = 0;
    for instant in times.chunk_by(|a, b| a == b) {
        let rows = from..from + instant.len();
        from = rows.end;
        // A lone row tells no event, whatever its column `step` counts.
        if rows.len() > 1 && steps.get(rows.clone()).is_some_and(|s| s.iter().any(|&s| s > 0.0)) {
            all.push(rows);
        }
    }
    Ok(all)
}

fn si_symbol(model: &Model, path: &str) -> String {
    let mut all = model.program.schema.vars.iter();
    let of = all.find(|v| (0..v.len).any(|k| v.element_path(k) == path));
    of.map(|v| v.si_unit.clone()).unwrap_or_default()
}

/// What a text means as a quantity, by the language itself.
fn meaning(text: &str, si: &str) -> Option<f64> {
    let ty = if si.is_empty() { "Real".to_owned() } else { format!("Real[{si}]") };
    let source = format!(
        "twin Unit {{ parameters {{ value: {ty} = {text} }} states {{ x: Real = 0 }} equations {{ der(x) = 0 [1/s] }} }}\n"
    );
    let mut session = Session::check("unit", &source, &MemoryLoader::new());
    let compiled = session.compile(Choice::default(), &mut NoData)?;
    let (_, slot, ..) = find(&compiled.program, "value")?;
    run::parameters(&compiled.program).space(Space::Param).get(slot as usize).copied()
}

/// How a column's unit becomes SI.
fn si(what: &str, unit: &str, si: &str, ui: &Ui) -> Result<Unit, Exit> {
    let at = |x: &str| meaning(&format!("{x} [{unit}]"), si);
    match (at("0"), at("1")) {
        (Some(offset), Some(one)) if one != offset => Ok(Unit { scale: one - offset, offset }),
        _ => {
            let of = if si.is_empty() { "a plain number".to_owned() } else { format!("a quantity in {si}") };
            Err(usage(ui, &format!("`{what}` is in `{unit}` in the data, which is no unit of {of}"), None))
        }
    }
}

/// A standard deviation: a difference, in SI.
fn size(text: &str, si: &str, shown: &DisplayUnit, ui: &Ui) -> Result<f64, Exit> {
    let value = match text.parse::<f64>() {
        Ok(x) => Some(x * shown.scale),
        Err(_) => meaning(text, si),
    };
    match value {
        Some(x) if x > 0.0 && x.is_finite() => Ok(x),
        _ => Err(usage(ui, &format!("`--sd`: `{text}` is no positive size of such a quantity"), None)),
    }
}

fn bounds(parameters: &[Parameter]) -> Vec<(f64, f64)> {
    parameters.iter().map(|p| p.range.unwrap_or((f64::NEG_INFINITY, f64::INFINITY))).collect()
}

type Found = (Fit, Vec<f64>, u32);

/// The best fit of all starting points, the standard deviations that it was weighted with, and how many came to it.
fn fitted(
    args: &Calibrate,
    model: &Model,
    parameters: &[Parameter],
    measured: &[Measured],
    traces: &mut Traces,
    interrupt: &Interrupt,
) -> Option<Found> {
    let bounds = bounds(parameters);
    // Each quantity weighs as much as it varies, until what is left over says better.
    let spread = |m: &Measured| {
        let v: Vec<f64> = m.values.iter().copied().filter(|v| v.is_finite()).collect();
        let mean = v.iter().sum::<f64>() / v.len().max(1) as f64;
        let sd = (v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len().max(1) as f64).sqrt();
        if sd > 0.0 { sd } else { mean.abs().max(1e-12) }
    };
    let mut scales: Vec<f64> = measured.iter().map(|m| m.sd.unwrap_or_else(|| spread(m))).collect();
    let mut run = |start: &[f64], scales: &[f64]| {
        let mut residuals = |v: &[f64], slopes: bool| {
            if interrupt.requested() {
                return None;
            }
            let t = traces.at(v, slopes, interrupt)?;
            let (mut r, mut jac) = (Vec::new(), Vec::new());
            for (k, row) in t.values.iter().enumerate() {
                for (q, m) in measured.iter().enumerate() {
                    let Some(value) = m.values.get(k).filter(|v| v.is_finite()) else { continue };
                    r.push((row[q] - value) / scales[q]);
                    if slopes {
                        jac.push(t.slopes[k][q].iter().map(|s| s / scales[q]).collect());
                    }
                }
            }
            Some((r, jac))
        };
        fit::fit(start, &bounds, Limits::default(), &mut residuals)
    };
    let mut starts: Vec<Vec<f64>> = vec![parameters.iter().map(|p| p.nominal).collect()];
    if args.starts > 1 {
        let points = global::sobol_points(parameters.len(), args.starts as usize - 1, model.experiment.seed);
        for row in points.chunks_exact(parameters.len() + 2) {
            let place = |(u, (lo, hi)): (&f64, &(f64, f64))| lo + u * (hi - lo);
            starts.push(row[0].iter().zip(&bounds).map(place).collect());
        }
    }
    let fits: Vec<Fit> = starts.iter().filter_map(|s| run(s, &scales)).collect();
    let mut best = fits.iter().min_by(|a, b| a.cost.total_cmp(&b.cost))?.clone();
    let tried = fits.iter().filter(|f| f.cost <= best.cost * (1.0 + 1e-6)).count() as u32;
    let estimated = measured.iter().filter(|m| m.sd.is_none()).count();
    let instants = measured.first().map_or(0, |m| m.values.len());
    if estimated > 0 && (measured.len() > 1) {
        for _ in 0..ROUNDS {
            let mut sums = vec![(0.0, 0.0); measured.len()];
            let mut next = best.residuals.iter();
            for k in 0..instants {
                for (q, m) in measured.iter().enumerate() {
                    if m.values.get(k).is_some_and(|v| v.is_finite())
                        && let Some(r) = next.next()
                    {
                        sums[q].0 += (r * scales[q]).powi(2);
                        sums[q].1 += 1.0;
                    }
                }
            }
            // Each quantity gives up its share of the degrees of freedom.
            let share = 1.0 - parameters.len() as f64 / best.residuals.len() as f64;
            for (q, m) in measured.iter().enumerate() {
                let sd = (sums[q].0 / (sums[q].1 * share)).sqrt();
                if m.sd.is_none() && sd > 0.0 && sd.is_finite() {
                    scales[q] = sd;
                }
            }
            best = run(&best.values, &scales)?;
        }
    }
    Some((best, scales, tried))
}

#[expect(clippy::too_many_arguments, reason = "all that a fit is told by")]
fn tell(
    args: &Calibrate,
    model: &Model,
    parameters: &[Parameter],
    measured: &[Measured],
    best: &Fit,
    certain: &Certainty,
    scales: &[f64],
    by: &str,
    ui: &Ui,
) -> Result<(), Exit> {
    let wide = parameters.iter().map(|p| p.path.chars().count()).max().unwrap_or(0);
    let percent = short(100.0 * args.confidence, 4);
    let mut list = Vec::new();
    ui.result("Fitted", &format!("with {percent} % intervals"), None);
    for (k, p) in parameters.iter().enumerate() {
        let (value, half) = (p.shown(best.values[k]), p.shown_difference(certain.half[k]));
        let unit = &p.unit.symbol;
        let at = match p.range {
            Some((lo, _)) if best.values[k] <= lo => "at its lower bound, held there",
            Some((_, hi)) if best.values[k] >= hi => "at its upper bound, held there",
            _ => "",
        };
        let line = if certain.held[k] {
            format!("{:wide$}  {} {unit}  {at}", p.path, short(value, 6))
        } else if certain.unidentifiable[k] {
            format!("{:wide$}  {} {unit}  not determined by these data", p.path, short(value, 6))
        } else {
            let (lo, hi) = (short(value - half, 6), short(value + half, 6));
            format!("{:wide$}  {} {unit}  ({lo} to {hi})", p.path, short(value, 6))
        };
        ui.result("", line.replace("  (", " (").trim_end(), None);
        let object = json!({
            "type": "fitted", "version": VERSION, "path": p.path, "unit": unit, "value": finite(value),
            "standard_error": finite(p.shown_difference(certain.errors[k])),
            "low": finite(value - half), "high": finite(value + half), "confidence": args.confidence,
            "identifiable": !certain.unidentifiable[k], "at_bound": certain.held[k],
            "start": finite(p.shown(p.nominal)),
        });
        ui.object(&object);
        list.push(object);
    }
    if certain.unidentifiable.iter().any(|u| *u) {
        let names: Vec<String> = parameters
            .iter()
            .zip(&certain.unidentifiable)
            .filter(|(_, u)| **u)
            .map(|(p, _)| format!("`{}`", p.path))
            .collect();
        let which = if names.len() == 1 { "this parameter" } else { "these parameters, alone or together" };
        ui.warn(&format!("the data do not determine {which}: {}", names.join(", ")));
    }
    let mut quantities = Vec::new();
    for (m, scale) in measured.iter().zip(scales) {
        let sd = scale / m.unit.scale * if m.sd.is_some() { 1.0 } else { certain.variance.max(0.0).sqrt() };
        let n = m.values.iter().filter(|v| v.is_finite()).count();
        let word = if m.sd.is_some() { "given" } else { "left over" };
        let line = format!(
            "{}  {}, sd {} {} {word}",
            m.path,
            counted(n as u64, "measurement"),
            short(sd, 3),
            m.unit.symbol
        );
        ui.result(if quantities.is_empty() { "Data" } else { "" }, &line.replace("  given", " given"), None);
        quantities.push(json!({
            "path": m.path, "unit": m.unit.symbol, "measurements": n, "sd": finite(sd), "given": m.sd.is_some(),
        }));
    }
    let matrix = |rows: &[Vec<f64>], scaled: bool| -> Value {
        let of = |i: usize, j: usize, x: f64| {
            let scale = if scaled { parameters[i].unit.scale * parameters[j].unit.scale } else { 1.0 };
            finite(x / scale)
        };
        rows.iter()
            .enumerate()
            .map(|(i, row)| row.iter().enumerate().map(|(j, x)| json!(of(i, j, *x))).collect::<Vec<_>>())
            .collect()
    };
    let document = json!({
        "type": "calibration", "version": VERSION, "twin": model.program.name, "scenario": model.experiment.name,
        "model_hash": model.hash, "data": world::shown(&args.data), "by": by, "converged": best.converged,
        "iterations": best.iterations, "evaluations": best.evaluations, "sum_of_squares": finite(best.cost),
        "degrees_of_freedom": certain.degrees, "confidence": args.confidence, "parameters": list,
        "quantities": quantities, "covariance": matrix(&certain.covariance, true),
        "correlation": matrix(&certain.correlation, false), "condition": finite(certain.condition),
    });
    let folder = model.folder(args.out.as_deref());
    let path = folder.join("calibration.json");
    let text = serde_json::to_string_pretty(&document).unwrap_or_default() + "\n";
    write(&path, &text, ui)?;
    ui.result("Written", &world::shown(&path), None);
    ui.object(&json::Written::file(&path, "calibration"));
    Ok(())
}
