//! What is recorded, when, and from where.

use std::collections::BTreeMap;
use std::sync::Arc;

use twinml_model::ids::VarId;
use twinml_model::ir::Space;
use twinml_model::program::{Experiment, Program, Record};
use twinml_model::schema::{Kind, Role, Variable};

use crate::record::{Cells, ColumnSpec, Columns, Element, RecordError, Strips};

/// Arrays of more elements than this are list columns.
const LIST: usize = 256;
/// Periods of a recording that names no rate.
pub const DEFAULT_PERIODS: u64 = 1000;

/// The instants of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// `k · period`, rounded to nanoseconds.
    Every {
        /// Attoseconds.
        period: i128,
    },
    /// This many equal parts of the run.
    Parts(u64),
    /// Instants that the recording itself lists ([`slots_at`]).
    Listed,
}

impl Rate {
    /// Instant `k` in seconds of a run of `duration` seconds.
    pub(super) fn instant(self, k: u64, duration: f64) -> f64 {
        match self {
            Rate::Every { period } => {
                // Most periods are whole nanoseconds, and rows may be asked for at every step.
                if let Ok(period) = u64::try_from(period)
                    && period.is_multiple_of(PER_NANOSECOND as u64)
                    && let Some(ns) = (period / PER_NANOSECOND as u64).checked_mul(k)
                {
                    return ns as f64 / 1e9;
                }
                let half = PER_NANOSECOND / 2;
                seconds(
                    (period.saturating_mul(i128::from(k)).saturating_add(half)).div_euclid(PER_NANOSECOND),
                )
            }
            Rate::Parts(n) if k == n => duration,
            Rate::Parts(n) => duration * k as f64 / n as f64,
            Rate::Listed => f64::INFINITY,
        }
    }
}

/// Attoseconds in a nanosecond.
const PER_NANOSECOND: i128 = 1_000_000_000;

/// Elements of a variable; none stand for all.
type Elements = (VarId, Vec<u32>);

/// Nanoseconds as seconds, correctly rounded where the count fits a double.
pub(super) fn seconds(ns: i128) -> f64 {
    ns as f64 / 1e9
}

/// One result file: its columns, its instants, and the slots that it takes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// When.
    pub rate: Rate,
    columns: Columns,
    /// Copies of slots: (first cell, first slot of memory, how many).
    copies: Vec<(usize, usize, usize)>,
    needs_outputs: bool,
    /// Cells of whole numbers.
    whole: Vec<usize>,
    /// What [`Rate::Listed`] stands for: seconds, rising.
    instants: Arc<[f64]>,
}

impl Plan {
    /// Instant `k` in seconds of a run of `duration` seconds; infinite behind the last of a list.
    pub(super) fn instant(&self, k: u64, duration: f64) -> f64 {
        match self.rate {
            Rate::Listed => {
                usize::try_from(k).ok().and_then(|k| self.instants.get(k)).copied().unwrap_or(f64::INFINITY)
            }
            rate => rate.instant(k, duration),
        }
    }

    /// The columns.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Whether quantities are taken that only the outputs kernel computes.
    pub(super) fn needs_outputs(&self) -> bool {
        self.needs_outputs
    }

    /// The places in memory of what is taken, in the order of the cells.
    pub(super) fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        self.copies.iter().flat_map(|&(_, slot, len)| slot..slot + len)
    }

    /// The cells of whole numbers.
    pub(super) fn whole(&self) -> &[usize] {
        &self.whole
    }

    /// Fills a row from memory. `row` has the length of the columns' cells.
    pub(super) fn fill(&self, data: &[f64], step: u64, row: &mut [f64]) {
        row[0] = data[0];
        row[1] = step as f64;
        for &(cell, slot, len) in &self.copies {
            if len == 1 {
                row[cell] = data[slot];
            } else {
                row[cell..cell + len].copy_from_slice(&data[slot..slot + len]);
            }
        }
    }

    /// What a cell holds in rows without events at these times, of states that stand elsewhere than in memory, where they
    /// begin at `first`. Everything else is taken from memory.
    pub(super) fn cell<'d>(
        &self,
        cell: usize,
        times: &'d [f64],
        data: &[f64],
        (first, states): (usize, Strips<'d>),
    ) -> Cells<'d> {
        let (slot, many) = match cell {
            0 => return Cells::Each(Strips { values: times, apart: times.len(), cells: 1 }),
            1 => return Cells::All(0.0),
            _ => {
                let copy = self.copies.partition_point(|&(begin, ..)| begin <= cell) - 1;
                let (begin, slot, many) = self.copies[copy];
                (slot + (cell - begin), many - (cell - begin))
            }
        };
        match slot.checked_sub(first).filter(|&state| state < states.cells) {
            Some(state) => Cells::Each(Strips {
                values: &states.values[state * states.apart..],
                cells: many.min(states.cells - state),
                ..states
            }),
            None => Cells::All(data[slot]),
        }
    }
}

/// The result files of an experiment, one for each rate, in the order in which the rates first occur.
///
/// `si` takes everything in SI units instead of the units that people see.
///
/// # Errors
///
/// [`RecordError::DuplicateColumn`] where two members share a path, which the compiler excludes.
pub fn plans(program: &Program, experiment: &Experiment, si: bool) -> Result<Vec<Plan>, RecordError> {
    let mut groups: Vec<(Rate, Vec<Elements>)> = Vec::new();
    for Record { vars, every_as } in &experiment.records {
        let rate = match every_as {
            Some(period) if *period > 0 => Rate::Every { period: *period },
            _ => Rate::Parts(DEFAULT_PERIODS),
        };
        let group = match groups.iter().position(|(r, _)| *r == rate) {
            Some(at) => at,
            None => {
                groups.push((rate, Vec::new()));
                groups.len() - 1
            }
        };
        groups[group].1.extend(vars.iter().cloned());
    }
    if groups.is_empty() {
        groups.push((Rate::Parts(DEFAULT_PERIODS), defaults(program)));
    }
    groups.into_iter().map(|(rate, vars)| plan(program, rate, &vars, si)).collect()
}

/// A recording of slots in SI, whatever they are called: first slot of a space, and how many of it. Their columns have
/// no names worth reading.
///
/// # Errors
///
/// None is known.
pub fn slots(program: &Program, rate: Rate, of: &[(Space, u32)]) -> Result<Plan, RecordError> {
    let mut specs = vec![ColumnSpec::real("time"), ColumnSpec::of("step", Element::Int)];
    let mut copies = Vec::new();
    for (k, (space, slot)) in of.iter().enumerate() {
        specs.push(ColumnSpec::real(format!("slot{k}")));
        copies.push((2 + k, program.sizes.offset(*space) + *slot as usize, 1));
    }
    let needs_outputs = of.iter().any(|(space, _)| *space == Space::Var);
    let (columns, whole) = (Columns::new(specs)?, Vec::new());
    Ok(Plan { rate, columns, copies, needs_outputs, whole, instants: Arc::new([]) })
}

/// As [`slots`], at these instants in seconds from the start, each later than the one before.
///
/// # Errors
///
/// None is known.
pub fn slots_at(program: &Program, instants: &[f64], of: &[(Space, u32)]) -> Result<Plan, RecordError> {
    let plan = slots(program, Rate::Listed, of)?;
    Ok(Plan { instants: instants.into(), ..plan })
}

/// A recording of what is recorded where nothing is said, at another rate.
pub fn usual(program: &Program, every_as: Option<i128>) -> Record {
    Record { vars: defaults(program), every_as }
}

/// Outputs and states; where a twin has neither, its variables.
fn defaults(program: &Program) -> Vec<Elements> {
    let of = |wanted: &[Role]| -> Vec<Elements> {
        let vars = program.schema.vars.iter().enumerate();
        vars.filter(|(_, v)| wanted.contains(&v.role)).map(|(k, _)| (VarId::new(k), Vec::new())).collect()
    };
    let some = of(&[Role::Output, Role::State, Role::Discrete]);
    if some.is_empty() { of(&[Role::Variable]) } else { some }
}

fn plan(program: &Program, rate: Rate, vars: &[Elements], si: bool) -> Result<Plan, RecordError> {
    // All elements of a variable once, in the order in which variables are first named.
    let mut chosen: Vec<Elements> = Vec::new();
    let mut place: BTreeMap<VarId, usize> = BTreeMap::new();
    for (id, elements) in vars {
        let Some(variable) = program.schema.vars.get(id.index()) else { continue };
        let all = || (0..variable.len).collect();
        let elements: Vec<u32> = if elements.is_empty() { all() } else { elements.clone() };
        match place.get(id) {
            Some(&at) => chosen[at].1.extend(elements),
            None => {
                place.insert(*id, chosen.len());
                chosen.push((*id, elements));
            }
        }
    }
    for (_, elements) in &mut chosen {
        elements.sort_unstable();
        elements.dedup();
    }
    let taken = |name: &str| {
        let is = |v: &Variable| v.len == 1 && v.element_path(0) == name;
        chosen.iter().any(|(id, _)| is(&program.schema.vars[id.index()]))
    };
    // A member called `time` or `step` keeps its name.
    let own = |name: &str| if taken(name) { format!("twinml.{name}") } else { name.to_owned() };
    let mut specs = vec![
        ColumnSpec { quantity: Some("Time".to_owned()), ..ColumnSpec::real(own("time")).in_unit("s") },
        ColumnSpec {
            description: Some("0 before the events of an instant, then counting".to_owned()),
            ..ColumnSpec::of(own("step"), Element::Int)
        },
    ];
    let mut copies: Vec<(usize, usize, usize)> = Vec::new();
    let mut cell = 2;
    let mut needs_outputs = false;
    let mut whole = Vec::new();
    for (id, elements) in &chosen {
        let variable = &program.schema.vars[id.index()];
        needs_outputs |= variable.space == Space::Var;
        let base = program.sizes.offset(variable.space) + variable.base as usize;
        if variable.kind == Kind::Int {
            whole.extend(cell..cell + elements.len());
        }
        for element in elements {
            let slot = base + *element as usize;
            match copies.last_mut() {
                Some((_, first, len)) if *first + *len == slot => *len += 1,
                _ => copies.push((cell, slot, 1)),
            }
            cell += 1;
        }
        let column = |name: String, list: Option<usize>| ColumnSpec {
            name,
            element: element_of(program, variable, si),
            list,
            nullable: false,
            // The least of nobody is infinite.
            gaps: variable.kind == Kind::Int && variable.space == Space::Var,
            unit: unit_of(variable, si),
            quantity: variable.quantity.clone(),
            description: variable.description.clone(),
        };
        if elements.len() > LIST {
            let names: Vec<&str> = variable.path.iter().map(|s| s.name.as_str()).collect();
            specs.push(column(names.join("."), Some(elements.len())));
        } else {
            specs.extend(elements.iter().map(|k| column(variable.element_path(*k), None)));
        }
    }
    let columns = Columns::new(specs)?;
    Ok(Plan { rate, columns, copies, needs_outputs, whole, instants: Arc::new([]) })
}

pub(super) fn element_of(program: &Program, variable: &Variable, si: bool) -> Element {
    match variable.kind {
        Kind::Real if si => Element::SI,
        Kind::Real => Element::Real { scale: variable.unit.scale, offset: variable.unit.offset },
        Kind::Int => Element::Int,
        Kind::Bool => Element::Bool,
        Kind::Enum(id) => {
            let words = program.schema.enums.get(id.index()).map(|e| e.values.clone());
            Element::Text(Arc::from(words.unwrap_or_default()))
        }
    }
}

pub(super) fn unit_of(variable: &Variable, si: bool) -> Option<String> {
    let unit = if si { &variable.si_unit } else { &variable.unit.symbol };
    (variable.kind == Kind::Real && !unit.is_empty()).then(|| unit.clone())
}
