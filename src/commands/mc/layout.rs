//! What a row of a job's results holds, so that shards can be put together without the model.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use twinml_compiler::diag::codes;
use twinml_engine::ensemble::outcome::{Outcome, Status};
use twinml_engine::ensemble::plan::{self, Plan};
use twinml_engine::monitor::Verdict;
use twinml_engine::record::{ColumnSpec, Columns, Element, RecordError};
use twinml_engine::run;
use twinml_model::program::Experiment;
use twinml_model::schema::{DisplayUnit, Kind, Schema};

/// Codes that a failed run may have, in the order of their numbers in the result.
pub const CODES: [&str; 12] = [
    codes::SOLVER_STOPPED.0,
    codes::LOOP_UNSOLVED.0,
    codes::TABLE_RANGE.0,
    codes::INDEX_RANGE.0,
    codes::START_NOT_FINITE.0,
    codes::UNSETTLED.0,
    codes::ZENO.0,
    codes::STEP_LIMIT.0,
    codes::START_CONTRADICTS.0,
    codes::HANDLER_FAILED.0,
    codes::DRAW_FAILED.0,
    "",
];

/// The column that says when a run ended.
const ENDED: &str = "ended";

/// A double that reads back to the same bits, infinities too.
mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(x: &f64, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&format!("{:016x}", x.to_bits()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        let text = String::deserialize(d)?;
        u64::from_str_radix(&text, 16).map(f64::from_bits).map_err(serde::de::Error::custom)
    }
}

/// How a cell is read.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub enum Cell {
    /// A number in SI, shown in a unit.
    Real {
        /// SI value of one of the unit.
        #[serde(with = "bits")]
        scale: f64,
        /// SI value of its zero.
        #[serde(with = "bits")]
        offset: f64,
    },
    /// A number of things.
    Int,
    /// A truth value.
    Bool,
    /// One of these.
    Text(Vec<String>),
}

impl Cell {
    fn of(kind: Kind, unit: &DisplayUnit, schema: &Schema) -> Cell {
        match kind {
            Kind::Real => Cell::Real { scale: unit.scale, offset: unit.offset },
            Kind::Int => Cell::Int,
            Kind::Bool => Cell::Bool,
            Kind::Enum(id) => {
                Cell::Text(schema.enums.get(id.0 as usize).map(|e| e.values.clone()).unwrap_or_default())
            }
        }
    }

    /// As people see it; a word's number.
    pub fn shown(&self, x: f64) -> f64 {
        match self {
            Cell::Real { scale, offset } => (x - offset) / scale,
            _ => x,
        }
    }

    fn element(&self) -> Element {
        match self {
            Cell::Real { scale, offset } => Element::Real { scale: *scale, offset: *offset },
            Cell::Int => Element::Int,
            Cell::Bool => Element::Bool,
            Cell::Text(words) => Element::Text(Arc::from(words.clone())),
        }
    }
}

/// A column, or a list of cells.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name in the result.
    pub name: String,
    /// Unit; empty where there is none.
    pub unit: String,
    /// Quantity.
    pub quantity: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// What a cell holds.
    pub cell: Cell,
    /// Cells of a list column.
    pub list: Option<usize>,
}

impl Column {
    fn spec(&self) -> ColumnSpec {
        let element = self.cell.element();
        ColumnSpec {
            name: self.name.clone(),
            // What is missing is no number; others need a hole.
            nullable: self.list.is_none() && !matches!(element, Element::Real { .. }),
            gaps: element == Element::Int,
            element,
            list: self.list,
            unit: Some(self.unit.clone()).filter(|u| !u.is_empty()),
            quantity: self.quantity.clone(),
            description: self.description.clone(),
        }
    }
}

/// A claim about many runs.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
pub struct Claim {
    /// `>=`, else `<=`.
    pub at_least: bool,
    /// The probability.
    #[serde(with = "bits")]
    pub probability: f64,
    /// The confidence.
    #[serde(with = "bits")]
    pub confidence: f64,
}

/// A requirement.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Demand {
    /// Its path.
    pub name: String,
    /// Its column.
    pub column: String,
    /// Whether the scenario expects it by name.
    pub expected: bool,
    /// Whether the outcome of `twinc test` hangs on it.
    pub asked: bool,
    /// `expect not safe`
    pub refuted: bool,
    /// Whether it is judged at all.
    pub judged: bool,
    /// Unit of the robustness.
    pub unit: String,
    /// A claim about many runs; none: it is asked of every run.
    pub claim: Option<Claim>,
}

/// A figure.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Layout {
    /// What is drawn.
    pub draws: Vec<Column>,
    /// Last values of what is recorded.
    pub last: Vec<Column>,
    /// KPIs, element by element.
    pub kpis: Vec<Column>,
    /// What is traced over time, behind time and step.
    pub trace: Vec<Column>,
    /// Requirements.
    pub demands: Vec<Demand>,
    /// Verdicts alone are wanted: there is when each run ended, and no robustness.
    #[serde(default)]
    pub verdicts_only: bool,
}

/// Names that are taken, each once.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn one(&mut self, name: &str, kind: &str) -> String {
        let mut name = name.to_owned();
        while !self.0.insert(name.clone()) {
            name = format!("{kind}.{name}");
        }
        name
    }
}

/// The path of element `k` of a figure: its stars are indices.
fn element_path(path: &str, k: u32, len: u32) -> String {
    match path.matches("[*]").count() {
        _ if len == 1 => path.replace("[*]", "[0]"),
        1 => path.replace("[*]", &format!("[{k}]")),
        _ => format!("{path}[{k}]"),
    }
}

impl Layout {
    /// Of an experiment with its recordings and draws.
    pub fn of(
        experiment: &Experiment,
        schema: &Schema,
        plans: &[run::Plan],
        traced: Option<&run::Plan>,
        drawn: &Plan,
    ) -> Layout {
        let mut names = Names::default();
        for own in ["index", "status", "error", "repeated", ENDED] {
            names.one(own, "twinml");
        }
        let draw = |names: &mut Names, d: &plan::Draw| Column {
            name: names.one(&d.name, "draw"),
            unit: if d.kind == Kind::Real { d.unit.symbol.clone() } else { String::new() },
            quantity: None,
            description: None,
            cell: Cell::of(d.kind, &d.unit, schema),
            list: None,
        };
        let draws: Vec<Column> = drawn.draws().iter().map(|d| draw(&mut names, d)).collect();
        let recorded = |name: String, spec: &ColumnSpec| Column {
            name,
            unit: spec.unit.clone().unwrap_or_default(),
            quantity: spec.quantity.clone(),
            description: spec.description.clone(),
            cell: match &spec.element {
                Element::Real { scale, offset } => Cell::Real { scale: *scale, offset: *offset },
                Element::Int => Cell::Int,
                Element::Bool => Cell::Bool,
                Element::Text(words) => Cell::Text(words.to_vec()),
            },
            list: spec.list,
        };
        let mut last = Vec::new();
        for spec in plans.iter().flat_map(|p| p.columns().specs().iter().skip(2)) {
            let name = names.one(&spec.name, "end");
            last.push(recorded(name, spec));
        }
        let specs = traced.iter().flat_map(|p| p.columns().specs().iter().skip(2));
        let trace = specs.map(|s| recorded(s.name.clone(), s)).collect();
        let mut kpis = Vec::new();
        for k in &experiment.kpis {
            for e in 0..k.len {
                kpis.push(Column {
                    name: names.one(&element_path(&k.path, e, k.len), "kpi"),
                    unit: k.unit.symbol.clone(),
                    quantity: None,
                    description: None,
                    cell: Cell::Real { scale: k.unit.scale, offset: k.unit.offset },
                    list: None,
                });
            }
        }
        let none_expected = experiment.requirements.iter().all(|r| !r.expected);
        let demand = |r: &twinml_model::program::Requirement| {
            let judged = r.judged.as_ref();
            let column = names.one(&r.path, "requirement");
            names.one(&format!("{column}.robustness"), "requirement");
            Demand {
                name: r.path.clone(),
                column,
                expected: r.expected,
                asked: r.expected || none_expected,
                refuted: judged.is_some_and(|j| j.refuted),
                judged: judged.is_some(),
                unit: judged.map_or_else(String::new, |j| j.unit.0.clone()),
                claim: judged.and_then(|j| j.claim).map(|c| Claim {
                    at_least: c.at_least,
                    probability: c.probability,
                    confidence: c.confidence,
                }),
            }
        };
        let demands = experiment.requirements.iter().map(demand).collect();
        Layout { draws, last, kpis, trace, demands, verdicts_only: false }
    }

    /// The same without what depends on how a run goes on once its verdicts are decided.
    pub fn verdicts_only(self) -> Layout {
        let none = Vec::new;
        Layout { last: none(), kpis: none(), trace: none(), verdicts_only: true, ..self }
    }

    /// The columns of the result.
    ///
    /// # Errors
    ///
    /// Where two have one name, which naming excludes.
    pub fn columns(&self) -> Result<Columns, RecordError> {
        let words = |list: &[&str]| Element::Text(list.iter().map(|w| (*w).to_owned()).collect());
        let mut specs = vec![
            ColumnSpec::of("index", Element::Int),
            ColumnSpec::of("status", words(&Status::ALL.map(Status::name))),
            ColumnSpec { nullable: true, ..ColumnSpec::of("error", words(&CODES)) },
            ColumnSpec {
                description: Some(
                    "draws that were repeated because they fell outside of their range".to_owned(),
                ),
                ..ColumnSpec::of("repeated", Element::Int)
            },
        ];
        if self.verdicts_only {
            specs.push(ColumnSpec {
                description: Some("simulated time at which the run ended".to_owned()),
                ..ColumnSpec::real(ENDED).in_unit("s")
            });
        }
        specs.extend(self.draws.iter().chain(&self.last).chain(&self.kpis).map(Column::spec));
        let verdicts = [Verdict::Holds, Verdict::Violated, Verdict::Inconclusive].map(Verdict::as_str);
        for d in &self.demands {
            specs.push(ColumnSpec { nullable: true, ..ColumnSpec::of(&d.column, words(&verdicts)) });
            if self.verdicts_only {
                continue;
            }
            let robustness = ColumnSpec::real(format!("{}.robustness", d.column));
            specs.push(if d.unit.is_empty() { robustness } else { robustness.in_unit(&d.unit) });
        }
        Columns::new(specs)
    }

    /// The columns of the traces.
    ///
    /// # Errors
    ///
    /// Where two have one name.
    pub fn trace_columns(&self) -> Result<Columns, RecordError> {
        let mut specs = vec![
            ColumnSpec::of("index", Element::Int),
            ColumnSpec::real("time").in_unit("s"),
            ColumnSpec::of("step", Element::Int),
        ];
        specs.extend(self.trace.iter().map(|c| ColumnSpec { nullable: false, ..c.spec() }));
        Columns::new(specs)
    }

    /// Cells of a row of a trace: time, step, and what is traced.
    pub fn trace_width(&self) -> usize {
        2 + self.trace.iter().map(|c| c.list.unwrap_or(1)).sum::<usize>()
    }

    /// A row's cells.
    pub fn row(&self, o: &Outcome, row: &mut Vec<f64>) {
        row.clear();
        row.push(f64::from(o.run));
        row.push(o.status as usize as f64);
        let code = CODES.iter().position(|c| *c == o.code).unwrap_or(CODES.len() - 1);
        row.push(f64::from(u8::from(o.status == Status::Failed)));
        row.push(code as f64);
        row.push(f64::from(o.repeated));
        if self.verdicts_only {
            row.push(o.time);
        }
        for (columns, values) in [(&self.draws, &o.drawn), (&self.last, &o.last), (&self.kpis, &o.kpis)] {
            let mut values = values.iter().copied();
            for c in columns {
                if let Some(n) = c.list {
                    let missing = if matches!(c.cell, Cell::Real { .. }) { f64::NAN } else { 0.0 };
                    let shown = |x: f64| if x.is_nan() { missing } else { x };
                    row.extend((0..n).map(|_| shown(values.next().unwrap_or(f64::NAN))));
                    continue;
                }
                let x = values.next().unwrap_or(f64::NAN);
                if matches!(c.cell, Cell::Real { .. }) {
                    row.push(x);
                } else {
                    row.push(f64::from(u8::from(!x.is_nan())));
                    row.push(if x.is_nan() { 0.0 } else { x });
                }
            }
        }
        for k in 0..self.demands.len() {
            let j = o.judged.get(k);
            let verdict = j.and_then(|j| j.verdict);
            row.push(f64::from(u8::from(verdict.is_some())));
            row.push(match verdict {
                Some(Verdict::Violated) => 1.0,
                Some(Verdict::Inconclusive) => 2.0,
                Some(Verdict::Holds) | None => 0.0,
            });
            if !self.verdicts_only {
                row.push(j.map_or(f64::NAN, |j| j.robustness));
            }
        }
    }
}
