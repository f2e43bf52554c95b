//! The run that comes closest to breaking a requirement, or breaks it by most: run again, with the quantities that the
//! requirement compares and their limits over time.

use serde::{Deserialize, Serialize};
use twinml_engine::record::MemoryRecorder;
use twinml_engine::run::{self, Ended, Flow, Outlet, Rate, RunError, Sample};
use twinml_model::host::Memory;
use twinml_model::ir::Space;
use twinml_model::program::Program;
use twinml_model::requirement::{Atom, AtomKind, Judged};

use super::fold::Verdicts;
use super::job::Samples;
use super::layout::Layout;
use super::place::Place;

/// Requirements that are shown.
pub const MOST: usize = 12;
/// Comparisons that are shown of a requirement.
const MOST_CURVES: usize = 4;
/// Equal periods between rows; events have rows of their own.
const ROWS: u64 = 400;

/// The worst run of a requirement.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Worst {
    /// The requirement's name, with the element where it is said of several.
    pub name: String,
    /// Its number.
    pub requirement: usize,
    /// The run.
    pub run: u32,
    /// The instant that decides, in seconds.
    pub closest: Option<f64>,
    /// What was drawn: name, value, unit.
    pub drawn: Vec<(String, f64, String)>,
    /// What it compares, in the order in which it is written.
    pub curves: Vec<Curve>,
}

/// A comparison over time.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Curve {
    /// The quantity; empty: what is compared has no name, and its distance to the limit is shown.
    pub name: String,
    /// Unit.
    pub unit: String,
    /// Whether the quantity must be above the limit; none: it is a truth value.
    pub above: Option<bool>,
    /// Seconds, value, limit.
    pub points: Vec<(f64, f64, f64)>,
}

/// Where a shard keeps its own.
const FILE: &str = "worst.json";

/// Draws of a run that are told.
const MOST_DRAWN: usize = 12;

/// What is read of one comparison.
struct Reads {
    atom: Atom,
    /// Its element.
    at: u32,
    /// The cell of its margin, and of the quantity.
    margin: usize,
    value: Option<usize>,
}

/// Runs the worst run of each requirement again: `(requirement, run)`. What cannot be run again is left out: the report is
/// about the job, and the job is done.
///
/// # Errors
///
/// As [`run::Prepared::run`].
pub fn replay(
    samples: &Samples<'_>,
    layout: &Layout,
    worst: &[(usize, u32)],
    watch: &mut dyn FnMut(run::Progress) -> Flow,
) -> Result<Vec<Worst>, RunError> {
    let (program, experiment) = (samples.program, samples.experiment);
    let mut memory = Memory::new(program);
    let mut out = Vec::new();
    for &(requirement, k) in worst.iter().take(MOST) {
        let Some(judged) = experiment.requirements.get(requirement).and_then(|r| r.judged.as_ref()) else {
            continue;
        };
        let Ok(drawn) = samples.draw(&mut memory, k) else { continue };
        let sample = Some(Sample { run: k, param: &drawn.param });
        let mut run = |outlets: Vec<Outlet>| {
            samples.prepared.run(program, samples.machine, experiment, sample, outlets, None, watch)
        };
        // Of several twins the run itself says which is the worst.
        let mut element = 0;
        if judged.elements > 1 {
            let report = run(Vec::new())?;
            let Some(Some(j)) = report.verdicts.get(requirement) else { continue };
            element = j.element;
        }
        let (slots, reads) = wanted(program, judged, element);
        let plan = run::slots(program, Rate::Parts(ROWS), &slots).map_err(RunError::Record)?;
        let (recorder, rows) = MemoryRecorder::new(plan.columns().clone());
        let report = run(vec![Outlet { plan, recorder: Box::new(recorder) }])?;
        if matches!(report.ended, Ended::Stopped) {
            break;
        }
        let Some(Some(j)) = report.verdicts.get(requirement) else { continue };
        let rows = rows.rows();
        let curves: Vec<Curve> =
            reads.iter().take(MOST_CURVES).map(|r| curve(program, judged, r, &rows)).collect();
        if curves.iter().all(|c| c.points.len() < 2) {
            continue;
        }
        let told = layout.draws.iter().zip(&drawn.values).take(MOST_DRAWN);
        out.push(Worst {
            name: layout.demands.get(requirement).map_or_else(String::new, |d| d.name.clone()),
            requirement,
            run: k,
            closest: j.closest,
            drawn: told.map(|(c, x)| (c.name.clone(), c.cell.shown(*x), c.unit.clone())).collect(),
            curves,
        });
    }
    Ok(out)
}

/// The slots to record for an element, and how each comparison is read from their cells.
fn wanted(program: &Program, judged: &Judged, element: u32) -> (Vec<(Space, u32)>, Vec<Reads>) {
    let mut slots = Vec::new();
    let mut reads = Vec::new();
    for atom in judged.atoms.iter().filter(|a| !a.late) {
        let at = atom.element(element, judged.elements) as u32;
        let margin = 2 + slots.len();
        slots.push((Space::Var, atom.slot + at));
        let side = atom.side.and_then(|s| program.schema.vars.get(s.var as usize));
        // The quantity has an element for each of the comparison's, or one for all.
        let slot = side.and_then(|v| match v.len {
            1 => Some((v.space, v.base)),
            n if n == atom.len => Some((v.space, v.base + at)),
            _ => None,
        });
        let value = slot.map(|slot| {
            slots.push(slot);
            1 + slots.len()
        });
        reads.push(Reads { atom: atom.clone(), at, margin, value });
    }
    (slots, reads)
}

fn curve(program: &Program, judged: &Judged, r: &Reads, rows: &[Vec<f64>]) -> Curve {
    let side = r.atom.side.filter(|_| r.value.is_some());
    let variable = side.and_then(|s| program.schema.vars.get(s.var as usize));
    let finite = |p: &(f64, f64, f64)| p.0.is_finite() && p.1.is_finite() && p.2.is_finite();
    let truth = r.atom.kind == AtomKind::Truth;
    if let (Some(side), Some(v), Some(cell)) = (side, variable, r.value) {
        let one = |row: &Vec<f64>| {
            let (x, margin) = (row[cell], row[r.margin]);
            let limit = if side.greater { x - margin } else { x + margin };
            let shown = |x: f64| (x - v.unit.offset) / v.unit.scale;
            (row[0], shown(x), shown(limit))
        };
        let path = v.element_path(if v.len == 1 { 0 } else { r.at });
        let points = rows.iter().map(one).filter(finite).collect();
        return Curve { name: path, unit: v.unit.symbol.clone(), above: Some(side.greater), points };
    }
    let scale = if truth { 1.0 } else { r.atom.scale * judged.unit.1 };
    let points = rows.iter().map(|row| (row[0], row[r.margin] / scale, 0.0)).filter(finite).collect();
    let unit = if truth { String::new() } else { judged.unit.0.clone() };
    Curve { name: String::new(), unit, above: (!truth).then_some(true), points }
}

/// The worst runs of those that are told of, where there are any.
pub fn found(verdicts: &[Verdicts]) -> Vec<(usize, u32)> {
    let all = verdicts.iter().enumerate();
    all.filter(|(_, v)| v.demand.judged).filter_map(|(k, v)| Some((k, v.worst?.0))).collect()
}

/// Writes those of a shard.
///
/// # Errors
///
/// Where the file cannot be written.
pub fn write(folder: &Place, list: &[Worst]) -> Result<(), twinml_engine::record::RecordError> {
    // Finite numbers and strings always serialise.
    let text = serde_json::to_string(list).unwrap_or_default();
    folder.write(FILE, text.as_bytes())
}

/// Of what shards have found, what is the worst of the whole job; a shard without any has none that is.
pub fn merged(folders: &[Place], verdicts: &[Verdicts]) -> Vec<Worst> {
    let wanted = found(verdicts);
    let all = folders.iter().filter_map(|f| f.read(FILE).ok());
    let mut out: Vec<Worst> = all
        .filter_map(|bytes| serde_json::from_slice::<Vec<Worst>>(&bytes).ok())
        .flatten()
        .filter(|w| wanted.contains(&(w.requirement, w.run)))
        .collect();
    out.sort_by_key(|w| w.requirement);
    out.dedup_by_key(|w| w.requirement);
    out.truncate(MOST);
    out
}
