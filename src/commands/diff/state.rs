//! Two states held against each other: values by the modeller's names, what behaviour remembers, the clock.
//!
//! What follows from others (outputs, variables) is not told: it differs because of these.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use twinml_compiler::flat;
use twinml_engine::run;
use twinml_engine::snapshot::{Snapshot, SnapshotError, Tag};
use twinml_model::program::Program;
use twinml_model::schema::{Kind, Role, Variable};

use super::{listed, plural, rest};
use crate::args::timeline::Diff;
use crate::commands::job::Flags;
use crate::commands::plot::matches;
use crate::commands::snapshot;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::VERSION;
use crate::ui::numbers::{instant, short};

/// Differences that people are shown.
const SHOWN: usize = 24;
/// Differences that `--format json` has.
const MOST: usize = 1000;

/// A state that is compared.
pub struct Of {
    /// As it is shown.
    pub shown: String,
    /// The state.
    pub snapshot: Snapshot,
    /// Whether it is a node of the store.
    pub is_node: bool,
}

/// A difference.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    what: &'static str,
    name: &'a str,
    unit: &'a str,
    a: &'a Value,
    b: &'a Value,
}

/// The end: everything at a glance.
#[derive(Serialize)]
struct Said<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    a: Facts<'a>,
    b: Facts<'a>,
    same: bool,
    same_model: bool,
    compared: usize,
    different: usize,
    only_a: &'a [String],
    only_b: &'a [String],
    /// What else is not the same, by section.
    sections: &'a [String],
    exit: u8,
}

/// What a state is of.
#[derive(Serialize)]
struct Facts<'a> {
    name: &'a str,
    id: String,
    scenario: &'a str,
    branch: Option<&'a str>,
    seed: u64,
    solver: &'a str,
    asked: f64,
    time: f64,
    steps: u64,
    events: u64,
}

/// A value with its name.
pub struct Entry {
    /// What it is: a state, a timer.
    pub what: &'static str,
    /// The modeller's name of it.
    pub name: String,
    /// The unit of the value; empty where there is none.
    pub unit: String,
    /// Its bits, of a number.
    pub bits: Option<u64>,
    /// As it is told.
    pub value: Value,
}

/// A value that differs.
pub struct Different {
    /// What the first has; `null` where that has nothing.
    pub of: Entry,
    /// What the other has.
    pub other: Value,
}

/// Two states held against each other.
pub struct Held {
    /// What differs.
    pub different: Vec<Different>,
    only_a: Vec<String>,
    only_b: Vec<String>,
    compared: usize,
}

impl Of {
    fn facts(&self) -> Facts<'_> {
        let (s, c) = (&self.snapshot.scenario, &self.snapshot.state.clock);
        Facts {
            name: &self.shown,
            id: twinml_engine::snapshot::hex(&self.snapshot.id()),
            scenario: &s.name,
            branch: Some(&*s.branch).filter(|b| !b.is_empty()),
            seed: s.seed,
            solver: &s.solver,
            asked: c.asked as f64 / 1e9,
            time: c.time,
            steps: c.steps,
            events: c.events,
        }
    }

    /// `start.twinsnap (day at 30 min)`
    fn text(&self) -> String {
        let (s, c) = (&self.snapshot.scenario, &self.snapshot.state.clock);
        let branch = if s.branch.is_empty() { String::new() } else { format!("/{}", s.branch) };
        format!("{} ({}{branch} at {})", self.shown, s.name, instant(c.asked as f64 / 1e9))
    }

    /// The program that its values are of.
    fn program(&self, ui: &Ui) -> Result<std::sync::Arc<Program>, Exit> {
        let request = snapshot::request(&self.snapshot, ui)?;
        let mut flags = Flags::read(&request.simulation, ui)?;
        let job = snapshot::load(&self.snapshot, &request, &mut flags, ui)?;
        Ok(job.ready.program.clone())
    }
}

/// All that decides what comes next and has a name.
fn entries(program: &Program, snapshot: &Snapshot) -> Result<Vec<Entry>, SnapshotError> {
    let (state, scenario) = (&snapshot.state, &snapshot.scenario);
    let memory = run::memory_of(program, state)?;
    let mut out = Vec::new();
    for v in &program.schema.vars {
        let what = match v.role {
            Role::Parameter => "parameter",
            Role::Input => "input",
            Role::State => "state",
            Role::Discrete => "discrete",
            Role::Output | Role::Variable => continue,
        };
        if v.path.first().is_some_and(|s| s.name.starts_with(flat::HIDDEN)) {
            continue;
        }
        for k in 0..v.len {
            let Some(&x) = memory.space(v.space).get((v.base + k) as usize) else { continue };
            let unit = if v.kind == Kind::Real { v.unit.symbol.clone() } else { String::new() };
            let (name, value) = (v.element_path(k), value(program, v, x));
            out.push(Entry { what, name, unit, bits: Some(x.to_bits()), value });
        }
    }
    let remembered = run::remembered(program, state, scenario.seed, scenario.run)?;
    for ((what, name), text) in remembered {
        out.push(Entry { what, name, unit: String::new(), bits: None, value: json!(text) });
    }
    Ok(out)
}

/// Holds two lists of values against each other.
fn held(of_a: Vec<Entry>, of_b: Vec<Entry>) -> Held {
    let mut of_b: BTreeMap<(bool, String), Entry> = of_b.into_iter().map(|e| (key(&e), e)).collect();
    let (mut different, mut only_a, mut compared) = (Vec::new(), Vec::new(), 0);
    for e in of_a {
        let Some(o) = of_b.remove(&key(&e)) else {
            // What is not remembered any more differs; a quantity that the other model does not have is none to compare.
            match e.bits {
                None => different.push(Different { of: e, other: Value::Null }),
                Some(_) => only_a.push(e.name),
            }
            continue;
        };
        compared += 1;
        if e.bits != o.bits || e.value != o.value || e.unit != o.unit {
            let other = if e.unit == o.unit { o.value } else { json!(format!("{} {}", o.value, o.unit)) };
            different.push(Different { of: e, other });
        }
    }
    let mut only_b = Vec::new();
    for (_, e) in of_b {
        match e.bits {
            None => {
                let other = e.value.clone();
                different.push(Different { of: Entry { value: Value::Null, ..e }, other });
            }
            Some(_) => only_b.push(e.name),
        }
    }
    Held { different, only_a, only_b, compared }
}

/// What of two states differs and has a name, each with its program.
///
/// # Errors
///
/// What of a state is none of its program.
pub fn different(
    (of_a, a): (&Program, &Snapshot),
    (of_b, b): (&Program, &Snapshot),
) -> Result<Vec<Different>, SnapshotError> {
    Ok(held(entries(of_a, a)?, entries(of_b, b)?).different)
}

/// A value in the unit that people see.
fn value(program: &Program, v: &Variable, x: f64) -> Value {
    match v.kind {
        Kind::Real => {
            let shown = (x - v.unit.offset) / v.unit.scale;
            if shown.is_finite() { json!(shown) } else { json!(shown.to_string()) }
        }
        Kind::Int => json!(x as i64),
        Kind::Bool => json!(x != 0.0),
        Kind::Enum(id) => {
            let words = program.schema.enums.get(id.index()).map(|e| e.values.as_slice());
            json!(words.and_then(|w| w.get(x as usize)))
        }
    }
}

/// Compares two states.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn compare(a: &Of, b: &Of, args: &Diff, ui: &Ui) -> Result<Exit, Exit> {
    if let Some(out) = &args.out {
        ui.error(
            &format!("`{}` cannot be drawn: two states have no course", crate::world::shown(out)),
            Some("`twinc diff` draws two runs"),
        );
        return Err(Exit::Usage);
    }
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|p| matches(p, name));
    let program = a.program(ui)?;
    let same_model = a.snapshot.model.program == b.snapshot.model.program;
    let other = if same_model { program.clone() } else { b.program(ui)? };
    let named = |of: &Of, program: &Program| {
        let all = entries(program, &of.snapshot).map_err(|e| {
            ui.error(&format!("`{}` cannot be used: {e}", of.shown), None);
            Exit::Mismatch
        })?;
        Ok(all.into_iter().filter(|e| wanted(&e.name)).collect::<Vec<Entry>>())
    };
    let Held { different, only_a, only_b, compared } = held(named(a, &program)?, named(b, &other)?);
    let sections = others(&a.snapshot, &b.snapshot, different.is_empty());
    let same = different.is_empty() && only_a.is_empty() && only_b.is_empty() && sections.is_empty();
    let exit = if same || !args.exit_code { Exit::Ok } else { Exit::Mismatch };

    let what = format!("{} with {}: {}", a.text(), b.text(), plural(compared as u64, "value", "values"));
    ui.result("Compared", &what, None);
    if !same_model {
        ui.warn("the states are of different models");
    }
    for (names, side) in [(&only_a, "A"), (&only_b, "B")] {
        if !names.is_empty() {
            ui.result("", &format!("only {side} has {}", listed(names)), None);
        }
    }
    if same {
        ui.result("Same", "every value and all that is remembered, to the last bit", None);
    }
    let mut before = "";
    for d in different.iter().take(SHOWN) {
        let title = if before == d.of.what { String::new() } else { capital(d.of.what) };
        before = d.of.what;
        ui.result(&title, &d.line(), None);
    }
    rest(ui, different.len(), SHOWN, "further difference", "further differences");
    if !sections.is_empty() {
        let title = if different.is_empty() { "Differ" } else { "Also" };
        ui.result(title, &format!("not the same: {}", sections.join(", ")), None);
    }
    for d in different.iter().take(MOST) {
        let (of, b) = (&d.of, &d.other);
        ui.object(&Told {
            kind: "diff_state",
            version: VERSION,
            what: of.what,
            name: &of.name,
            unit: &of.unit,
            a: &of.value,
            b,
        });
    }
    ui.object(&Said {
        kind: "diff_states",
        version: VERSION,
        a: a.facts(),
        b: b.facts(),
        same,
        same_model,
        compared,
        different: different.len(),
        only_a: &only_a,
        only_b: &only_b,
        sections: &sections,
        exit: exit.code(),
    });
    Ok(exit)
}

/// Quantities are told apart by their paths, what is remembered by what it is, too.
fn key(e: &Entry) -> (bool, String) {
    match e.bits {
        Some(_) => (true, e.name.clone()),
        None => (false, format!("{} {}", e.what, e.name)),
    }
}

/// What else is not the same, by section: of what has no names, and of the rest where `all` names are the same.
fn others(a: &Snapshot, b: &Snapshot, all: bool) -> Vec<String> {
    let told = |tag: Tag| tag == Tag::CLOCK || !all && (tag == Tag::MEMORY || tag == Tag::BEHAVIOR);
    let mut out = Vec::new();
    if (a.state.clock.time, a.state.clock.asked) != (b.state.clock.time, b.state.clock.asked) {
        out.push("the instant".to_owned());
    }
    let of_b = b.sections();
    for s in a.sections().iter().filter(|s| !told(s.tag)) {
        let other = of_b.iter().find(|o| o.tag == s.tag);
        if other.is_none_or(|o| o.sha256 != s.sha256) {
            out.push(s.tag.what().to_owned());
        }
    }
    out
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |c| c.to_uppercase().chain(letters).collect())
}

impl Different {
    /// `tanks[0].h  1.5 → 1.7 m`
    fn line(&self) -> String {
        let said = |v: &Value, digits: usize| match v {
            Value::Number(n) => n.as_f64().map_or_else(|| n.to_string(), |x| short(x, digits)),
            Value::String(s) => s.clone(),
            Value::Null => "nothing".to_owned(),
            v => v.to_string(),
        };
        let (a, b) = (&self.of.value, &self.other);
        // As many digits as tell them apart.
        let digits = (6..17).find(|n| said(a, *n) != said(b, *n)).unwrap_or(17);
        let unit = if self.of.unit.is_empty() { String::new() } else { format!(" {}", self.of.unit) };
        format!("{}  {} → {}{unit}", self.of.name, said(a, digits), said(b, digits))
    }
}
