//! `twinc monitor FORMULA --trace DATA`: temporal logic over recorded data.
//!
//! The columns that the formula names become inputs of a twin, the formula its requirement: names, units and types
//! are checked as they are in a model.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use twinml_compiler::diag::Diagnostic;
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::lexer;
use twinml_compiler::source::{FileId, SourceMap, Span};
use twinml_compiler::units::{Units, heading};
use twinml_engine::data::{ColumnInfo, DataError, Frame, Place};
use twinml_engine::monitor::Verdict;
use twinml_engine::monitor::recorded::{Between, Column, judge_recorded};
use twinml_model::ir::Space;
use twinml_model::schema::Kind;

use super::plot;
use crate::args::{Interpolate, Monitor};
use crate::exit::Exit;
use crate::model::Data;
use crate::ui::Ui;
use crate::ui::json::VERSION;
use crate::ui::numbers::{counted, instant, short};
use crate::world;

/// What is said of a trace.
#[derive(Serialize)]
struct Monitored<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    formula: &'a str,
    trace: String,
    interpolate: &'static str,
    samples: usize,
    verdict: &'static str,
    robustness: Option<f64>,
    unit: &'a str,
    closest: Option<f64>,
    element: Option<u32>,
    exit: u8,
}

/// A column as the formula may name it.
struct Named {
    info: ColumnInfo,
    unit: Option<String>,
    /// Names with the subscripts behind each.
    path: Vec<(String, Vec<usize>)>,
}

/// Judges the formula.
pub fn run(args: &Monitor, ui: &Ui) -> Exit {
    match whole(args, ui) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn whole(args: &Monitor, ui: &Ui) -> Result<Exit, Exit> {
    let usage = |message: &str, help: Option<&str>| {
        ui.error(message, help);
        Exit::Usage
    };
    let outside = |e: &DataError| {
        ui.error(&e.to_string(), None);
        Exit::Outside
    };
    let frame = plot::open(&args.trace).map_err(|e| {
        ui.error(&e, None);
        Exit::Outside
    })?;
    let infos = frame.columns();
    let units = given_units(args, infos, ui)?;
    let columns: Vec<Named> = infos.iter().map(|i| named(i, &units)).collect();
    let Some(time) = columns.iter().find(|c| c.path.len() == 1 && c.path[0].0 == "time") else {
        return Err(usage(
            &format!("{}: there is no column `time`", frame.name()),
            Some("the instants of the samples, in seconds or in the unit that the header gives: `time [ms]`"),
        ));
    };
    // What the formula names, as far as words go.
    let words = words(&args.formula);
    let wanted: Vec<&Named> = columns
        .iter()
        .filter(|c| !std::ptr::eq(*c, time) && !c.info.list)
        .filter(|c| c.path.iter().all(|(name, _)| words.contains(name)))
        .collect();
    let truths: BTreeSet<&str> =
        wanted.iter().filter(|c| is_truth(&frame, &c.info)).map(|c| c.info.name.as_str()).collect();

    let text = model(&args.formula, &wanted, &truths);
    let mut session = Session::check("formula", &text, &NoFiles);
    let mut data = Data::of(&session);
    let compiled = session.compile(Choice::default(), &mut data);
    let (diags, sources) = of_formula(&session, &args.formula);
    let said = ui.diagnostics(&diags, &sources);
    let Some(compiled) = compiled.filter(|_| said.errors == 0) else {
        let bare: Vec<String> = wanted
            .iter()
            .filter(|c| c.unit.is_none() && !truths.contains(c.info.name.as_str()))
            .map(|c| format!("`{}`", c.info.name))
            .collect();
        let known: Vec<String> = columns.iter().take(24).map(|c| format!("`{}`", c.info.name)).collect();
        let help = if bare.is_empty() {
            format!("the columns are {}", known.join(", "))
        } else {
            format!(
                "the file says no unit of {}: head a column `h [m]`, or give `--unit h=m`; the columns are {}",
                bare.join(", "),
                known.join(", ")
            )
        };
        return Err(usage(
            &format!("{}: the formula cannot be judged on these data", frame.name()),
            Some(&help),
        ));
    };
    let requirement = compiled.experiment.requirements.first();
    if !compiled.experiment.aggregates.is_empty() {
        return Err(usage(
            "`twinc monitor` judges temporal logic; an aggregate is a number of a run",
            Some("write `always(x < limit)` instead of `max(x over run) < limit`"),
        ));
    }
    let Some(judged) = requirement.and_then(|r| r.judged.as_ref()) else {
        return Err(usage(
            "this formula cannot be judged over a trace",
            Some(
                "windows are numbers; where units are mixed, each comparison has a right side that is not 0",
            ),
        ));
    };

    let times = instants(&frame, time, &outside)?;
    let mut given = Vec::new();
    for v in compiled.program.schema.vars.iter().filter(|v| v.space == Space::Input) {
        for k in 0..v.len {
            let path = v.element_path(k);
            let Some(column) = wanted.iter().find(|c| text_of(&c.path) == path) else {
                return Err(usage(&format!("{}: there is no column `{path}`", frame.name()), None));
            };
            let name = &column.info.name;
            let values = if truths.contains(name.as_str()) {
                truth_values(&frame, name).map_err(|e| outside(&e))?
            } else {
                frame.numbers(name).map_err(|e| outside(&e))?.values
            };
            let values = values.into_iter().map(|x| x * v.unit.scale + v.unit.offset).collect();
            given.push(Column { slot: v.base + k, values, steps: v.kind != Kind::Real });
        }
    }
    let between = match args.interpolate {
        Interpolate::None => Between::Nothing,
        Interpolate::Linear => Between::Lines,
    };
    let found = judge_recorded(&compiled.program, judged, &times, &given, between).map_err(|_| {
        ui.error("the formula looks something up outside of its range in this trace", None);
        Exit::Simulation
    })?;

    let element = (judged.elements > 1).then_some(found.element);
    let exit = match found.verdict {
        Verdict::Holds => Exit::Ok,
        Verdict::Violated => Exit::Violated,
        Verdict::Inconclusive => Exit::Inconclusive,
    };
    let robustness = Some(found.robustness).filter(|r| r.is_finite());
    let mut line = found.verdict.as_str().to_owned();
    if let Some(r) = robustness {
        line.push_str(format!("   robustness {} {}", short(r, 6), judged.unit.0).trim_end());
    }
    if let Some(t) = found.closest {
        line.push_str(&format!("  (closest at {})", instant(t)));
    }
    if let Some(k) = element {
        line.push_str(&format!("  (element {k})"));
    }
    ui.doing("Monitoring", &format!("{} of {}", counted(times.len() as u64, "sample"), frame.name()));
    ui.result("Verdict", &line, None);
    ui.object(&Monitored {
        kind: "monitored",
        version: VERSION,
        formula: &args.formula,
        trace: world::shown(&args.trace),
        interpolate: match between {
            Between::Nothing => "none",
            Between::Lines => "linear",
        },
        samples: times.len(),
        verdict: found.verdict.as_str(),
        robustness,
        unit: &judged.unit.0,
        closest: found.closest,
        element,
        exit: exit.code(),
    });
    Ok(exit)
}

/// A formula uses nothing but the data.
struct NoFiles;

impl twinml_compiler::resolve::Loader for NoFiles {
    fn load(
        &self,
        _from: &str,
        _path: &str,
    ) -> Result<twinml_compiler::resolve::Loaded, twinml_compiler::resolve::LoadError> {
        Err(twinml_compiler::resolve::LoadError::NotFound)
    }
}

/// `--unit h=m`
fn given_units(args: &Monitor, infos: &[ColumnInfo], ui: &Ui) -> Result<BTreeMap<String, String>, Exit> {
    let mut all = BTreeMap::new();
    for text in &args.units {
        let Some((name, unit)) = text.split_once('=') else {
            ui.error(&format!("`--unit {text}`: it takes a column and its unit, `--unit h=m`"), None);
            return Err(Exit::Usage);
        };
        let Some(info) = infos.iter().find(|i| i.name == name || heading(&i.name).0 == name) else {
            let names: Vec<&str> = infos.iter().map(|i| i.name.as_str()).collect();
            let help = twinml_compiler::diag::did_you_mean(name, names);
            ui.error(&format!("`--unit {text}`: there is no column `{name}`"), help.as_deref());
            return Err(Exit::Usage);
        };
        let stated = info.unit.as_deref().or(heading(&info.name).1);
        if let Some(stated) = stated.filter(|u| *u != unit && Units::new().stated(u).is_some()) {
            ui.error(
                &format!("`--unit {text}`: the file says that `{name}` is in `{stated}`"),
                Some("leave `--unit` out, and the file's own unit counts"),
            );
            return Err(Exit::Usage);
        }
        all.insert(name.to_owned(), unit.to_owned());
    }
    Ok(all)
}

fn named(info: &ColumnInfo, units: &BTreeMap<String, String>) -> Named {
    let (name, headed) = heading(&info.name);
    let unit = units.get(name).or(units.get(&info.name)).cloned();
    let unit = unit.or_else(|| info.unit.clone()).or_else(|| headed.map(str::to_owned));
    let path = name.split('.').map(|part| {
        let (word, subs) = match part.strip_suffix(']').and_then(|p| p.split_once('[')) {
            Some((word, subs)) => (word, subs.split(',').map(|s| s.trim().parse().ok()).collect()),
            None => (part, Some(Vec::new())),
        };
        match subs {
            Some(subs) => (word.to_owned(), subs),
            None => (part.to_owned(), Vec::new()),
        }
    });
    Named { info: info.clone(), unit, path: path.collect() }
}

/// As results write it: `cells[3].soc`.
fn text_of(path: &[(String, Vec<usize>)]) -> String {
    let part = |(name, subs): &(String, Vec<usize>)| {
        let subs: Vec<String> = subs.iter().map(usize::to_string).collect();
        if subs.is_empty() { name.clone() } else { format!("{name}[{}]", subs.join(",")) }
    };
    path.iter().map(part).collect::<Vec<String>>().join(".")
}

/// The words of a formula.
fn words(formula: &str) -> BTreeSet<String> {
    let mut unheard = twinml_compiler::diag::Diagnostics::new();
    let tokens = lexer::lex(FileId(0), formula, &mut unheard).tokens;
    let text = |t: &lexer::Token| {
        let (lo, hi) = (t.lo as usize, t.hi as usize);
        formula.get(lo..hi).map(|w| w.trim_matches('`').to_owned())
    };
    tokens.iter().filter_map(text).collect()
}

fn is_truth(frame: &Frame, info: &ColumnInfo) -> bool {
    let mut first = None;
    // A text file does not say what its columns hold: the first value does.
    if !info.truth {
        let _ = frame.scan_texts(&info.name, |_, _, text| {
            if first.is_none() && !text.is_empty() {
                first = Some(matches!(text.trim(), "true" | "false"));
            }
        });
    }
    info.truth || first == Some(true)
}

fn truth_values(frame: &Frame, name: &str) -> Result<Vec<f64>, DataError> {
    if let Ok(numbers) = frame.numbers(name) {
        return Ok(numbers.values);
    }
    let (mut values, mut wrong) = (Vec::new(), None);
    frame.scan_texts(name, |row, _, text| {
        let value = match text.trim() {
            "true" | "1" => 1.0,
            "false" | "0" => 0.0,
            other => {
                wrong.get_or_insert((row, other.to_owned()));
                f64::NAN
            }
        };
        values.push(value);
    })?;
    match wrong {
        None => Ok(values),
        Some((row, text)) => Err(DataError::NotNumber {
            file: frame.name().to_owned(),
            column: name.to_owned(),
            place: Place::row(row + 1),
            text,
        }),
    }
}

/// The instants of the samples in seconds, in order.
fn instants(frame: &Frame, time: &Named, outside: &dyn Fn(&DataError) -> Exit) -> Result<Vec<f64>, Exit> {
    let found = frame.numbers(&time.info.name).map_err(|e| outside(&e))?;
    let unit = time.unit.as_deref().unwrap_or("s");
    let scale = Units::new().lookup(unit);
    let Some((_, scale)) = scale.filter(|(d, _)| *d == twinml_model::dimension::Dimension::TIME) else {
        return Err(outside(&DataError::Broken {
            file: frame.name().to_owned(),
            cause: format!("the unit `{unit}` of the column `time` is no unit of time"),
        }));
    };
    if found.values.is_empty() {
        return Err(outside(&DataError::Empty { file: frame.name().to_owned() }));
    }
    let at = |k: usize| found.places.get(k).copied().unwrap_or(Place::row(k as u64 + 1));
    if let Some(k) = (1..found.values.len()).find(|k| found.values[*k] < found.values[*k - 1]) {
        return Err(outside(&DataError::NotIncreasing {
            file: frame.name().to_owned(),
            column: time.info.name.clone(),
            place: at(k),
            before: found.values[k - 1],
            value: found.values[k],
        }));
    }
    Ok(found.values.into_iter().map(|t| scale.to_si(t)).collect())
}

/// A part of the twin that stands for the data.
#[derive(Default)]
struct Node {
    /// Lengths of the axes.
    axes: Vec<usize>,
    parts: BTreeMap<String, Node>,
    /// How its values are declared, where it is a column.
    ty: Option<String>,
}

/// What stands before the formula in the twin that judges it.
const BEFORE: &str = "twin `the data` { constraints { formula: ";

/// The messages about a formula, at their places in the formula alone.
fn of_formula(session: &Session, formula: &str) -> (Vec<Diagnostic>, SourceMap) {
    let formula = formula.replace(['\n', '\r'], " ");
    let (before, len) = (BEFORE.len() as u32, formula.len() as u32);
    let mut sources = SourceMap::new();
    let file = sources.add("formula", formula);
    let place = |span: Span| {
        let at = |x: u32| x.saturating_sub(before).min(len);
        Span::new(file, at(span.lo), at(span.hi))
    };
    let inside = |span: Span| {
        let first = session.sources.get(span.file).is_some_and(|f| &*f.name == "formula");
        first && (before..=before + len).contains(&span.lo)
    };
    let moved = |d: &Diagnostic| {
        let mut d = d.clone();
        d.labels.retain(|l| inside(l.span));
        d.labels.iter_mut().for_each(|l| l.span = place(l.span));
        d.primary.span = place(d.primary.span);
        d
    };
    (session.diags.iter().map(moved).collect(), sources)
}

/// The twin whose inputs are the columns and whose requirement is the formula, which stands in the first line.
fn model(formula: &str, wanted: &[&Named], truths: &BTreeSet<&str>) -> String {
    let mut root = Node::default();
    for c in wanted {
        let mut at = &mut root;
        for (name, subs) in &c.path {
            at = at.parts.entry(name.clone()).or_default();
            at.axes.resize(at.axes.len().max(subs.len()), 0);
            at.axes.iter_mut().zip(subs).for_each(|(n, s)| *n = (*n).max(s + 1));
        }
        let ty = if truths.contains(c.info.name.as_str()) {
            "Bool".to_owned()
        } else {
            match c.unit.as_deref() {
                None | Some("" | "1") => "Real[1]".to_owned(),
                Some(unit @ ("degC" | "degF")) => format!("Temperature in {unit}"),
                Some("%") => "Real[1] in %".to_owned(),
                Some(unit) => format!("Real[{unit}]"),
            }
        };
        at.ty = Some(ty);
    }
    let formula = formula.replace(['\n', '\r'], " ");
    let mut out = format!("{BEFORE}{formula}\n}}\n");
    let mut classes = String::new();
    let mut count = 0;
    members(&root, &mut out, &mut classes, &mut count);
    out.push_str("}\n");
    out + &classes + "scenario data for `the data` { duration: 1 s }\n"
}

fn members(node: &Node, out: &mut String, classes: &mut String, count: &mut usize) {
    for (name, part) in &node.parts {
        let axes: Vec<String> = part.axes.iter().map(usize::to_string).collect();
        let axes = if axes.is_empty() { String::new() } else { format!("[{}]", axes.join(", ")) };
        if let Some(ty) = &part.ty {
            let (ty, shown) = match ty.split_once(" in ") {
                Some((ty, unit)) => (ty, format!(" in {unit}")),
                None => (ty.as_str(), String::new()),
            };
            // It is never used: every column gives its input a value at each sample.
            let start = match (ty, shown.is_empty()) {
                ("Bool", _) => "false".to_owned(),
                (_, true) => "0".to_owned(),
                (_, false) => format!("20 {}", &shown[4..]),
            };
            out.push_str(&format!("  inputs {{ `{name}`: {ty}{axes}{shown} = {start} }}\n"));
        } else {
            *count += 1;
            let class = format!("Part{count}");
            out.push_str(&format!("  twins {{ `{name}`: {class}{axes} }}\n"));
            let mut own = format!("twin {class} {{\n");
            members(part, &mut own, classes, count);
            classes.push_str(&own);
            classes.push_str("}\n");
        }
    }
}
