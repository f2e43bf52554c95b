//! `twinc diff A B`: how two runs come apart, or in what two states differ.

mod outcome;
mod picture;
pub mod quantities;
pub mod side;
pub mod state;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};
use twinml_engine::snapshot::Snapshot;
use twinml_engine::timeline::Store as _;
use twinml_engine::timeline::decisions::{Decision, Event, decisions};
use twinml_engine::timeline::divergence::{Growth, growth};

use super::snapshot;
use super::timeline::{self, SNAPSHOT, plain};
use crate::args::timeline::Diff;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::VERSION;
use crate::ui::numbers::{counted, duration, instant, short};
use crate::world;

use quantities::{Compared, Different};
use side::Side;

/// Quantities, decisions and outcomes that people are shown of each.
const SHOWN: usize = 8;
/// Quantities and decisions that `--format json` has of each.
const MOST: usize = 1000;

/// Share of the variance that a line explains at least, to be told to people.
const TELLING: f64 = 0.5;

/// The end: everything at a glance.
#[derive(Serialize)]
struct Said<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    a: &'a str,
    b: &'a str,
    same: bool,
    same_model: Option<bool>,
    instants: usize,
    quantities: usize,
    different: usize,
    only_a: &'a [String],
    only_b: &'a [String],
    skipped: &'a [String],
    outcomes: usize,
    decisions: usize,
    first: Option<First<'a>>,
    growth: Option<Value>,
    largest: Option<f64>,
    exit: u8,
}

/// The first difference.
#[derive(Serialize)]
struct First<'a> {
    time: f64,
    /// `quantity` or `event`.
    by: &'static str,
    name: &'a str,
}

/// A quantity that differs.
#[derive(Serialize)]
struct Quantity<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    name: &'a str,
    unit: &'a str,
    first: Value,
    most: Value,
    last: Value,
    share: Option<f64>,
}

/// An event that is not the same in both.
#[derive(Serialize)]
struct Point<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    what: &'static str,
    event_kind: &'a str,
    path: &'a str,
    event: &'a str,
    time_a: Option<f64>,
    time_b: Option<f64>,
    post_a: Option<f64>,
    post_b: Option<f64>,
}

/// Compares.
pub fn run(args: &Diff, ui: &Ui) -> Exit {
    match whole(args, ui) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn whole(args: &Diff, ui: &Ui) -> Result<Exit, Exit> {
    let outside = |message: String| {
        ui.error(&message, None);
        Exit::Outside
    };
    let (a, b) = match (named(&args.a, args, ui)?, named(&args.b, args, ui)?) {
        (Named::State(a), Named::State(b)) => return state::compare(&a, &b, args, ui),
        (Named::Run(a), Named::Run(b)) => (a, b),
        (Named::State(a), Named::Run(b)) => (beside(&a, &b, ui)?, b),
        (Named::Run(a), Named::State(b)) => {
            let b = beside(&b, &a, ui)?;
            (a, b)
        }
    };
    let (a, b) = (Side::open(&a).map_err(outside)?, Side::open(&b).map_err(outside)?);
    let wanted = |name: &str| {
        args.only.is_empty() || args.only.iter().any(|pattern| super::plot::matches(pattern, name))
    };
    let compared = quantities::compare(&a, &b, wanted).map_err(|e| outside(e.to_string()))?;
    if compared.quantities == 0 || compared.times.is_empty() {
        let why = if compared.quantities == 0 { "no quantity is in both" } else { "no instant is in both" };
        ui.error(
            &format!("`{}` and `{}` cannot be compared: {why}", a.shown, b.shown),
            Some("record the same quantities at the same rate: `--every 1s`"),
        );
        return Err(Exit::Usage);
    }
    // A run that goes on from a snapshot has no events of the time before; of a result by itself none are known.
    let from = compared.times[0];
    let common =
        |side: &Side| -> Vec<Event> { side.events.iter().filter(|e| e.time >= from).cloned().collect() };
    let points: Vec<Decision> =
        decisions(&common(&a), &common(&b)).into_iter().filter(|d| wanted(&d.path)).collect();
    let outcomes = outcome::compare(&a, &b);
    let growth = growth(&compared.times, &compared.distance);
    let same = compared.different.is_empty() && points.is_empty() && outcomes.is_empty();
    let exit = if same || !args.exit_code { Exit::Ok } else { Exit::Mismatch };

    tell(ui, &a, &b, &compared, &points, &outcomes, growth.as_ref());
    for d in compared.different.iter().take(MOST) {
        ui.object(&Quantity {
            kind: "diff_quantity",
            version: VERSION,
            name: &d.name,
            unit: &d.unit,
            first: d.object(d.apart.first),
            most: d.object(d.apart.most),
            last: d.object(d.apart.last),
            share: d.share(),
        });
    }
    for d in points.iter().take(MOST) {
        let post = |side: Option<(f64, f64)>| side.map(|(_, post)| post).filter(|p| p.is_finite());
        ui.object(&Point {
            kind: "diff_event",
            version: VERSION,
            what: d.what.word(),
            event_kind: &d.kind,
            path: &d.path,
            event: &d.event,
            time_a: d.a.map(|(t, _)| t),
            time_b: d.b.map(|(t, _)| t),
            post_a: post(d.a),
            post_b: post(d.b),
        });
    }
    for o in &outcomes {
        ui.object(o);
    }
    let quantity = compared.different.first().and_then(|d| Some((d.apart.first?.time, d.name.as_str())));
    let event = points.first().map(|d| (d.time(), if d.path.is_empty() { &d.event } else { &d.path }));
    let first = match (quantity, event) {
        (q, Some((time, name))) if q.is_none_or(|(t, _)| time < t) => Some(First { time, by: "event", name }),
        (Some((time, name)), _) => Some(First { time, by: "quantity", name }),
        (None, _) => None,
    };
    ui.object(&Said {
        kind: "diff",
        version: VERSION,
        a: &a.shown,
        b: &b.shown,
        same,
        same_model: a.model.as_ref().zip(b.model.as_ref()).map(|(x, y)| x == y),
        instants: compared.times.len(),
        quantities: compared.quantities,
        different: compared.different.len(),
        only_a: &compared.only_a,
        only_b: &compared.only_b,
        skipped: &compared.skipped,
        outcomes: outcomes.len(),
        decisions: points.len(),
        first,
        growth: growth.as_ref().map(|g| {
            json!({ "rate": g.rate, "error": g.error, "r2": g.r2, "from": g.from, "to": g.to,
                    "instants": g.instants, "saturated": g.saturated })
        }),
        largest: compared.distance.iter().copied().reduce(f64::max),
        exit: exit.code(),
    });
    if let Some(out) = &args.out {
        picture::write(out, &a, &b, &compared, ui)?;
    }
    Ok(exit)
}

/// What is compared.
enum Named {
    /// A result, or the folder of a run.
    Run(PathBuf),
    /// A snapshot.
    State(Box<state::Of>),
}

/// The run that goes on unchanged beside branches of a node: what a branch is compared with where the node is named.
///
/// # Errors
///
/// The exit code, after saying that a state is no run.
fn beside(state: &state::Of, run: &Path, ui: &Ui) -> Result<PathBuf, Exit> {
    let folder = run.parent().unwrap_or(Path::new("")).join(plain(&state.shown));
    if state.is_node && folder.is_dir() {
        return Ok(folder);
    }
    let (run, state) = (world::shown(run), &state.shown);
    ui.error(
        &format!("`{state}` is a state at an instant and `{run}` a run: they cannot be compared"),
        Some("compare two snapshots, or two runs; `twinc run --from SNAPSHOT --out FOLDER` makes a run of a snapshot"),
    );
    Err(Exit::Usage)
}

/// What a file, a folder or a node of the store is.
fn named(path: &Path, args: &Diff, ui: &Ui) -> Result<Named, Exit> {
    let shown = world::shown(path);
    if path.extension().is_some_and(|e| e == "twinsnap") {
        let snapshot = snapshot::read(path, &args.store.encryption, &args.store.place, ui)?;
        return Ok(Named::State(Box::new(state::Of { shown, snapshot, is_node: false })));
    }
    // Where there is no such file, it may be a node's name.
    if path.exists() || !args.store.store.exists() {
        return Ok(Named::Run(path.to_owned()));
    }
    let store = timeline::open(&args.store, ui)?;
    let nodes = store.nodes().map_err(|e| timeline::refuse(&e, ui))?;
    let node = timeline::find(&nodes, &path.to_string_lossy(), "result, snapshot", ui)?;
    if node.parts.iter().any(|p| p.name == SNAPSHOT) {
        let bytes = store.part(&node.id, SNAPSHOT).map_err(|e| timeline::refuse(&e, ui))?;
        let snapshot = Snapshot::decode(&bytes).map_err(|e| {
            ui.error(&format!("the snapshot of `{}` cannot be used: {e}", node.name), None);
            Exit::Mismatch
        })?;
        return Ok(Named::State(Box::new(state::Of { shown: node.name.clone(), snapshot, is_node: true })));
    }
    match node.fact("results").map(PathBuf::from) {
        Some(folder) if folder.is_dir() => Ok(Named::Run(folder)),
        _ => {
            let of = node.parent.and_then(|p| nodes.iter().find(|n| n.id == p));
            let of = of.map_or("SNAPSHOT", |n| &n.name);
            ui.error(
                &format!("the branch `{}` has no results: it was not run, or they are gone", node.name),
                Some(&format!(
                    "`twinc branch {of} --at {} … --name {}` runs it, with what `twinc timeline` says that it changes",
                    snapshot::instant((node.time * 1e9).round() as i128),
                    node.name
                )),
            );
            Err(Exit::Usage)
        }
    }
}

/// What people are told.
fn tell(
    ui: &Ui,
    a: &Side,
    b: &Side,
    compared: &Compared,
    points: &[Decision],
    outcomes: &[outcome::Outcome],
    growth: Option<&Growth>,
) {
    let what = format!(
        "{} with {}: {} at {}",
        a.shown,
        b.shown,
        plural(compared.quantities as u64, "quantity", "quantities"),
        counted(compared.times.len() as u64, "instant")
    );
    ui.result("Compared", &what, None);
    if let (Some(x), Some(y)) = (&a.model, &b.model)
        && x != y
    {
        ui.warn("the results are of different models");
    }
    for (names, side) in [(&compared.only_a, "A"), (&compared.only_b, "B")] {
        if !names.is_empty() {
            ui.result("", &format!("only {side} has {}", listed(names)), None);
        }
    }
    if !compared.skipped.is_empty() {
        ui.warn(&format!("not compared, for their units or shapes differ: {}", listed(&compared.skipped)));
    }
    if compared.different.is_empty() && points.is_empty() && outcomes.is_empty() {
        ui.result("Same", "every value, event and outcome that is recorded, to the last bit", None);
        return;
    }
    if let Some(d) = compared.different.first() {
        ui.result("Diverge", &d.line(d.apart.first), None);
        let more = &compared.different[1..];
        for d in more.iter().take(SHOWN - 1) {
            ui.result("", &d.line(d.apart.first), None);
        }
        rest(ui, more.len(), SHOWN - 1, "further quantity", "further quantities");
        let mut by_share: Vec<&Different> = compared.different.iter().collect();
        by_share.sort_by(|x, y| y.share().unwrap_or(0.0).total_cmp(&x.share().unwrap_or(0.0)));
        for (k, d) in by_share.iter().take(3).enumerate() {
            ui.result(if k == 0 { "Largest" } else { "" }, &d.line(d.apart.most), None);
        }
    }
    for (k, d) in points.iter().take(SHOWN).enumerate() {
        ui.result(if k == 0 { "Decision" } else { "" }, &decision(d), None);
    }
    rest(ui, points.len(), SHOWN, "further decision", "further decisions");
    for (k, o) in outcomes.iter().take(SHOWN).enumerate() {
        ui.result(if k == 0 { "Outcome" } else { "" }, &o.line(), None);
    }
    rest(ui, outcomes.len(), SHOWN, "further outcome", "further outcomes");
    // A line that explains nothing is no growth; programs get it all the same.
    if let Some(g) = growth.filter(|g| g.r2 >= TELLING) {
        let unit = if g.rate > 0.0 { "doubles" } else { "halves" };
        let time = duration(std::f64::consts::LN_2 / g.rate.abs());
        let line = format!(
            "{} ± {} per s ({unit} in {time}), from {} to {}, R² {}",
            short(g.rate, 4),
            short(g.error, 2),
            instant(g.from),
            instant(g.to),
            short(g.r2, 3)
        );
        ui.result("Growth", &line, None);
    }
}

fn rest(ui: &Ui, all: usize, shown: usize, one: &str, many: &str) {
    if all > shown {
        ui.result("", &format!("and {}", plural((all - shown) as u64, one, many)), None);
    }
}

fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", crate::ui::numbers::count(n), if n == 1 { one } else { many })
}

fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = names.len() - shown.len();
    shown.join(", ") + &if more > 0 { format!(", and {more} more") } else { String::new() }
}

/// `12 min 3 s  pump: h > 2 m (crossing), in A only`.
fn decision(d: &Decision) -> String {
    let of = if d.path.is_empty() { String::new() } else { format!("{}: ", d.path) };
    let when = match (d.a, d.b) {
        (Some((x, _)), Some((y, _))) if x != y => {
            let (x, y) = apart(x, y, duration);
            format!("at {x} in A, {y} in B")
        }
        (Some((_, x)), Some((_, y))) => format!("{} in A, {} in B", short(x, 6), short(y, 6)),
        (Some(_), None) => "in A only".to_owned(),
        _ => "in B only".to_owned(),
    };
    format!("{}  {of}{} ({}), {when}", instant(d.time()), d.event, d.kind)
}

/// Two numbers as `plain` says them, or with all their digits where that is the same text.
fn apart(x: f64, y: f64, plain: impl Fn(f64) -> String) -> (String, String) {
    let said = (plain(x), plain(y));
    if said.0 == said.1 { (format!("{x:?} s"), format!("{y:?} s")) } else { said }
}
