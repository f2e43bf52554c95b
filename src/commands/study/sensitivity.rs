//! `twinc sensitivity`: derivatives along a run, elementary effects, Sobol indices.

use serde::Serialize;
use serde_json::{Value, json};
use twinml_engine::ensemble::plan::Plan;
use twinml_engine::record;
use twinml_engine::run::{Forward, NotSmooth, Observed};
use twinml_engine::study::global::{self, Effects, Estimate, Indices};
use twinml_model::ir::Space;
use twinml_model::schema::{Kind, Role};

use super::{Model, Parameter, Recipe, Runner, column, finite, load, spread, usage, wanted, write};
use crate::args::study::{Look, Sensitivity};
use crate::commands::job::Flags;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::{self, VERSION};
use crate::ui::numbers::{counted, duration, short};
use crate::world::{self, Interrupt, Stopwatch};

/// Instants at which derivatives are told.
const INSTANTS: usize = 101;
/// Points of `sobol` and trajectories of `morris` where nothing is said.
const POINTS: u32 = 1000;
const TRAJECTORIES: u32 = 20;
/// The part of a distribution at each end that elementary effects leave out.
const TAIL: f64 = 0.005;
/// Relative step of differences.
const STEP: f64 = 1e-4;

/// Looks and tells.
pub fn run(args: &Sensitivity, ui: &Ui) -> Exit {
    match whole(args, ui) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn whole(args: &Sensitivity, ui: &Ui) -> Result<Exit, Exit> {
    let interrupt = Interrupt::listen();
    let flags = Flags::read(&args.simulation, ui)?;
    if !(args.confidence > 0.0 && args.confidence < 1.0) {
        return Err(usage(ui, "`--confidence` lies between 0 and 1", None));
    }
    let mut model = load(&args.file, &args.compile, &flags, ui)?;
    let mut laws = None;
    let parameters = if !args.vary.is_empty() {
        model.parameters("vary", &args.vary, ui)?
    } else if args.method == Look::Local {
        let names: Vec<String> =
            model.uncertain("vary", args.method != Look::Local, ui)?.0.into_iter().map(|p| p.path).collect();
        let names: Vec<String> = names.into_iter().filter(|n| model.is_plain(n)).collect();
        if names.is_empty() {
            return Err(usage(ui, "nothing to vary: name parameters by `--vary`", None));
        }
        model.parameters("vary", &names, ui)?
    } else {
        let (parameters, plan) = model.uncertain("vary", args.method != Look::Local, ui)?;
        laws = Some(plan);
        parameters
    };
    if args.method != Look::Local
        && laws.is_none()
        && let Some(p) = parameters.iter().find(|p| p.range.is_none())
    {
        return Err(usage(
            ui,
            &format!("`--vary {}`: this method needs a range", p.path),
            Some("write `--vary PATH=LO..HI`"),
        ));
    }
    match args.method {
        Look::Local => local(args, &model, &parameters, &interrupt, ui),
        Look::Morris | Look::Sobol => by_runs(args, &model, &parameters, laws.as_ref(), &interrupt, ui),
    }
}

/// A derivative at the end of the run.
#[derive(Serialize)]
struct Slope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    of: &'a str,
    unit: &'a str,
    parameter: &'a str,
    parameter_unit: &'a str,
    /// In `unit` per `parameter_unit`.
    slope: Option<f64>,
    /// Relative change of the quantity for a relative change of the parameter.
    elasticity: Option<f64>,
}

fn local(
    args: &Sensitivity,
    model: &Model,
    parameters: &[Parameter],
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<Exit, Exit> {
    // Derivatives deserve more than what a curve needs.
    let mut experiment = model.experiment.clone();
    let rtol = experiment.solver.rtol.unwrap_or(1e-6).min(1e-8);
    experiment.solver.rtol = Some(rtol);
    let mut forward = match Forward::new(&model.program, &experiment, model.kind) {
        Ok(forward) => forward,
        Err(why) => return by_differences(args, model, parameters, interrupt, why, ui),
    };
    let schema = &model.program.schema.vars;
    let mut names = Vec::new();
    let mut observed = Vec::new();
    for v in schema.iter().filter(|v| v.kind == Kind::Real && matches!(v.role, Role::Output | Role::State)) {
        for k in 0..v.len {
            let name = v.element_path(k);
            if wanted(&name, &args.of) {
                names.push((name, v.unit.clone()));
                observed.push(Observed { space: v.space, slot: v.base + k });
            }
        }
    }
    if observed.is_empty() {
        return Err(usage(ui, "`--of` names no output and no state of this model", None));
    }
    let end = experiment.duration;
    ui.doing(
        "Running",
        &format!(
            "{} to {} with {} (rtol {rtol:e}) and {}",
            experiment.name,
            duration(end),
            forward.method().name(),
            counted(parameters.len() as u64, "variational equation")
        ),
    );
    let watch = Stopwatch::start();
    let times: Vec<f64> = (0..INSTANTS).map(|k| end * k as f64 / (INSTANTS - 1) as f64).collect();
    let slots: Vec<u32> = parameters.iter().map(|p| p.slot).collect();
    let values: Vec<f64> = parameters.iter().map(|p| p.nominal).collect();
    let traced = forward.trace(&slots, &values, &observed, &times, true).map_err(|e| {
        ui.error(&e.to_string(), Some("does `twinc run` go through?"));
        Exit::Simulation
    })?;
    ui.result(
        "Finished",
        &format!("{} instants by forward sensitivities", times.len()),
        Some(watch.elapsed()),
    );
    let folder = model.folder(args.out.as_deref());
    let file = folder.join("sensitivity.parquet");
    let mut specs = vec![column("time", "s")];
    for (name, unit) in &names {
        for p in parameters {
            specs.push(column(&format!("d({name})/d({})", p.path), &per(&unit.symbol, &p.unit.symbol)));
        }
    }
    let outside = |e: record::RecordError| {
        ui.error(&e.to_string(), None);
        Exit::Outside
    };
    let columns = record::Columns::new(specs).map_err(outside)?;
    let metadata = vec![
        ("twinml.model_hash".to_owned(), model.hash.clone()),
        ("twin".to_owned(), model.program.name.clone()),
        ("scenario".to_owned(), experiment.name.clone()),
    ];
    let mut recorder = record::open(&file, columns, &metadata).map_err(outside)?;
    for (t, slopes) in times.iter().zip(&traced.slopes) {
        let mut row = vec![*t];
        for ((_, unit), slopes) in names.iter().zip(slopes) {
            row.extend(slopes.iter().zip(parameters).map(|(s, p)| s / unit.scale * p.unit.scale));
        }
        recorder.row(&row).map_err(outside)?;
    }
    recorder.finish().map_err(outside)?;
    let (last, values) = match (traced.slopes.last(), traced.values.last()) {
        (Some(s), Some(v)) => (s, v),
        _ => return Err(Exit::Simulation),
    };
    let rows: Vec<Row> = names
        .iter()
        .zip(last)
        .zip(values)
        .map(|(((name, unit), slopes), value)| Row {
            name: name.clone(),
            unit: unit.symbol.clone(),
            slopes: slopes.iter().zip(parameters).map(|(s, p)| s / unit.scale * p.unit.scale).collect(),
            elasticities: slopes.iter().zip(parameters).map(|(s, p)| s * p.nominal / value).collect(),
        })
        .collect();
    tell(parameters, &rows, "forward", ui);
    let files = vec![world::shown(&file)];
    finish(args, model, parameters, "local", &rows_json(parameters, &rows, "forward"), files, ui)
}

/// What is told of one quantity.
struct Row {
    name: String,
    unit: String,
    slopes: Vec<f64>,
    elasticities: Vec<f64>,
}

/// `m/s per 1/s`
fn per(unit: &str, of: &str) -> String {
    match (unit, of) {
        (u, "") => u.to_owned(),
        ("", o) => format!("1/({o})"),
        (u, o) => format!("{u}/({o})"),
    }
}

fn tell(parameters: &[Parameter], rows: &[Row], how: &str, ui: &Ui) {
    let wide = parameters.iter().map(|p| p.path.chars().count()).max().unwrap_or(0);
    for row in rows {
        ui.result("At end", &format!("{}  ({how})", row.name), None);
        for ((p, slope), elasticity) in parameters.iter().zip(&row.slopes).zip(&row.elasticities) {
            let unit = per(&row.unit, &p.unit.symbol);
            let percent = if elasticity.is_finite() {
                format!("   {} % for 1 %", short(*elasticity, 3))
            } else {
                String::new()
            };
            ui.result("", &format!("{:wide$}  {} {unit}{percent}", p.path, short(*slope, 5)), None);
            ui.object(&Slope {
                kind: "slope",
                version: VERSION,
                of: &row.name,
                unit: &row.unit,
                parameter: &p.path,
                parameter_unit: &p.unit.symbol,
                slope: finite(*slope),
                elasticity: finite(*elasticity),
            });
        }
    }
}

fn rows_json(parameters: &[Parameter], rows: &[Row], how: &str) -> Value {
    let of = |row: &Row| {
        let each = parameters.iter().enumerate().map(|(j, p)| {
            json!({
                "parameter": p.path, "slope": finite(row.slopes[j]), "unit": per(&row.unit, &p.unit.symbol),
                "elasticity": finite(row.elasticities[j]),
            })
        });
        json!({ "name": row.name, "unit": row.unit, "by": how, "slopes": each.collect::<Vec<_>>() })
    };
    rows.iter().map(of).collect()
}

/// Runs around the model's own values: where there are no forward sensitivities.
fn by_differences(
    args: &Sensitivity,
    model: &Model,
    parameters: &[Parameter],
    interrupt: &Interrupt,
    why: NotSmooth,
    ui: &Ui,
) -> Result<Exit, Exit> {
    ui.warn(&format!(
        "this model has {}, through which no forward sensitivities lead: differences of runs at the end instead",
        why.what()
    ));
    let recipe = Recipe::new(model, false, ui)?;
    let mut first = recipe.runner();
    let quantities: Vec<_> = recipe.quantities().into_iter().filter(|q| wanted(&q.name, &args.of)).collect();
    if quantities.is_empty() {
        return Err(usage(ui, "`--of` names nothing that a run of this model ends with", None));
    }
    let nominal: Vec<f64> = parameters.iter().map(|p| p.nominal).collect();
    let step = |p: &Parameter| STEP * if p.nominal == 0.0 { 1.0 } else { p.nominal.abs() };
    let base = first.run(parameters, &nominal).map_err(|e| usage(ui, &e, None))?;
    let at = first.values(&quantities, &base);
    let watch = Stopwatch::start();
    let work = |runner: &mut Runner, k: usize| -> Vec<f64> {
        let mut values = nominal.clone();
        let sign = if k.is_multiple_of(2) { -1.0 } else { 1.0 };
        values[k / 2] += sign * step(&parameters[k / 2]);
        match runner.run(parameters, &values) {
            Ok(report) => runner.values(&quantities, &report),
            Err(_) => vec![f64::NAN; quantities.len()],
        }
    };
    let make = || recipe.runner();
    let Some(found) = spread(args.jobs, 2 * parameters.len(), interrupt, make, work) else {
        return Ok(Exit::Interrupted);
    };
    ui.result("Finished", &counted(found.len() as u64 + 1, "run"), Some(watch.elapsed()));
    let rows: Vec<Row> = quantities
        .iter()
        .enumerate()
        .map(|(q, quantity)| {
            let slope = |(j, p): (usize, &Parameter)| {
                (found[2 * j + 1][q] - found[2 * j][q]) / (2.0 * step(p)) * p.unit.scale
            };
            let slopes: Vec<f64> = parameters.iter().enumerate().map(slope).collect();
            let relative = |(s, p): (&f64, &Parameter)| s * (p.nominal / p.unit.scale) / at[q];
            Row {
                name: quantity.name.clone(),
                unit: quantity.unit.clone(),
                elasticities: slopes.iter().zip(parameters).map(relative).collect(),
                slopes,
            }
        })
        .collect();
    tell(parameters, &rows, "differences", ui);
    finish(args, model, parameters, "local", &rows_json(parameters, &rows, "differences"), Vec::new(), ui)
}

/// Indices of one quantity.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    of: &'a str,
    unit: &'a str,
    result: &'a Value,
}

fn by_runs(
    args: &Sensitivity,
    model: &Model,
    parameters: &[Parameter],
    laws: Option<&Plan>,
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<Exit, Exit> {
    let recipe = Recipe::new(model, laws.is_some(), ui)?;
    let quantities: Vec<_> = recipe.quantities().into_iter().filter(|q| wanted(&q.name, &args.of)).collect();
    if quantities.is_empty() {
        return Err(usage(ui, "`--of` names nothing that a run of this model ends with", None));
    }
    let (n, seed) = (parameters.len(), model.experiment.seed);
    let sobol = args.method == Look::Sobol;
    let samples = args.samples.unwrap_or(if sobol { POINTS } else { TRAJECTORIES }) as usize;
    if sobol && samples < 2 * global::GROUPS {
        return Err(usage(ui, &format!("`sobol` needs {} points at least", 2 * global::GROUPS), None));
    }
    let (points, moved) = if sobol {
        (global::sobol_points(n, samples, seed), Vec::new())
    } else {
        global::morris_points(n, samples, seed)
    };
    let word = if sobol { "sobol" } else { "morris" };
    ui.doing(
        "Running",
        &format!(
            "{word} over {}: {} of {}",
            counted(n as u64, "parameter"),
            counted(points.len() as u64, "run"),
            model.experiment.name
        ),
    );
    let watch = Stopwatch::start();
    let make = || recipe.runner();
    let work = |runner: &mut Runner, k: usize| -> Vec<f64> {
        let place = |(u, p): (&f64, &Parameter)| {
            let (lo, hi) = p.range.unwrap_or((p.nominal, p.nominal));
            lo + u * (hi - lo)
        };
        let values: Vec<f64> = match laws {
            None => points[k].iter().zip(parameters).map(place).collect(),
            Some(plan) => {
                // Elementary effects reach to the ends of the cube, where distributions may have none.
                let inside = |u: &f64| if sobol { *u } else { TAIL + (1.0 - 2.0 * TAIL) * u };
                let point: Vec<f64> = points[k].iter().map(inside).collect();
                match runner.drawn(plan, &point) {
                    Some(values) => values,
                    None => return vec![f64::NAN; quantities.len()],
                }
            }
        };
        match runner.run(parameters, &values) {
            Ok(report) => runner.values(&quantities, &report),
            Err(_) => vec![f64::NAN; quantities.len()],
        }
    };
    let Some(found) = spread(args.jobs, points.len(), interrupt, make, work) else {
        ui.error("interrupted; a part of the runs gives no indices", None);
        return Ok(Exit::Interrupted);
    };
    let failed = found.iter().filter(|v| v.iter().all(|x| x.is_nan())).count();
    let mut line = counted(found.len() as u64, "run");
    if failed > 0 {
        line.push_str(&format!(", {failed} of them failed and left out"));
    }
    ui.result("Finished", &line, Some(watch.elapsed()));
    let mut results = Vec::new();
    for (q, quantity) in quantities.iter().enumerate() {
        let values: Vec<f64> = found.iter().map(|v| v[q]).collect();
        let told = if sobol {
            let indices = global::sobol(&values, n, args.confidence);
            tell_sobol(&quantity.name, &quantity.unit, parameters, indices.as_ref(), ui)
        } else {
            let effects = global::morris(&values, &points, &moved, n, args.confidence);
            tell_morris(&quantity.name, &quantity.unit, parameters, effects.as_deref(), ui)
        };
        ui.object(&Told {
            kind: word,
            version: VERSION,
            of: &quantity.name,
            unit: &quantity.unit,
            result: &told,
        });
        results.push(json!({ "name": quantity.name, "unit": quantity.unit, word: told }));
    }
    let exit = finish(args, model, parameters, word, &Value::from(results), Vec::new(), ui)?;
    Ok(if failed == found.len() { Exit::Simulation } else { exit })
}

fn estimate(e: &Estimate) -> Value {
    json!({ "value": finite(e.value), "low": finite(e.low), "high": finite(e.high) })
}

fn said(e: &Estimate) -> String {
    format!("{} ({} to {})", short(e.value, 3), short(e.low, 3), short(e.high, 3))
}

fn tell_sobol(name: &str, unit: &str, parameters: &[Parameter], found: Option<&Indices>, ui: &Ui) -> Value {
    let Some(found) = found else {
        ui.result("Sobol", &format!("{name}  too few runs went through"), None);
        return Value::Null;
    };
    let sd = found.variance.max(0.0).sqrt();
    let of = format!("{name}  mean {} sd {} {unit}", short(found.mean, 4), short(sd, 4));
    ui.result("Sobol", of.trim_end(), None);
    let wide = parameters.iter().map(|p| p.path.chars().count()).max().unwrap_or(0);
    let list: Vec<Value> = parameters
        .iter()
        .zip(found.first.iter().zip(&found.total))
        .map(|(p, (first, total))| {
            let line = format!("{:wide$}  first {:24}  total {}", p.path, said(first), said(total));
            ui.result("", &line, None);
            json!({ "parameter": p.path, "first": estimate(first), "total": estimate(total) })
        })
        .collect();
    json!({ "mean": finite(found.mean), "variance": finite(found.variance), "indices": list })
}

fn tell_morris(
    name: &str,
    unit: &str,
    parameters: &[Parameter],
    found: Option<&[Effects]>,
    ui: &Ui,
) -> Value {
    let Some(found) = found else {
        ui.result("Morris", &format!("{name}  too few runs went through"), None);
        return Value::Null;
    };
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    ui.result("Morris", &format!("{name}  over the whole range of each"), None);
    let wide = parameters.iter().map(|p| p.path.chars().count()).max().unwrap_or(0);
    let list: Vec<Value> = parameters
        .iter()
        .zip(found)
        .map(|(p, e)| {
            let line = format!(
                "{:wide$}  size {}{unit}   mean {}   spread {}",
                p.path,
                said(&e.magnitude),
                short(e.mean, 3),
                short(e.spread, 3)
            );
            ui.result("", &line, None);
            json!({
                "parameter": p.path, "size": estimate(&e.magnitude), "mean": finite(e.mean),
                "spread": finite(e.spread),
            })
        })
        .collect();
    json!({ "effects": list })
}

/// `sensitivity.json`, and the last line.
fn finish(
    args: &Sensitivity,
    model: &Model,
    parameters: &[Parameter],
    method: &str,
    results: &Value,
    mut files: Vec<String>,
    ui: &Ui,
) -> Result<Exit, Exit> {
    let list: Vec<Value> = parameters
        .iter()
        .map(|p| {
            let range = p.range.map(|(lo, hi)| [p.shown(lo), p.shown(hi)]);
            json!({ "path": p.path, "unit": p.unit.symbol, "value": finite(p.shown(p.nominal)), "range": range })
        })
        .collect();
    let document = json!({
        "type": "sensitivity", "version": VERSION, "twin": model.program.name, "scenario": model.experiment.name,
        "model_hash": model.hash, "seed": model.experiment.seed, "method": method, "confidence": args.confidence,
        "parameters": list, "quantities": results,
    });
    let path = model.folder(args.out.as_deref()).join("sensitivity.json");
    let text = serde_json::to_string_pretty(&document).unwrap_or_default() + "\n";
    write(&path, &text, ui)?;
    files.push(if files.is_empty() { world::shown(&path) } else { "sensitivity.json".to_owned() });
    ui.result("Written", &files.join(", "), None);
    ui.object(&json::Written::file(&path, "sensitivity"));
    let _ = Space::Param;
    Ok(Exit::Ok)
}
