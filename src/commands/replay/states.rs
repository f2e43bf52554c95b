//! A snapshot beside results, held against that of the run that was done again: what differs first, by the modeller's name.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use twinml_engine::run;
use twinml_engine::snapshot::Snapshot;
use twinml_model::program::Program;

use super::rows::First;
use crate::commands::diff::state::{Different, different};
use crate::commands::job::Flags;
use crate::commands::snapshot;
use crate::ui::Ui;

/// Programs that give the values of snapshots their names, by their hash; compiled where a first snapshot differs.
#[derive(Default)]
pub struct Names(RefCell<BTreeMap<[u8; 32], Option<Arc<Program>>>>);

impl Names {
    /// What differs first between a snapshot and that of the run that was done again.
    pub fn first(&self, was: &Snapshot, again: &Snapshot, ui: &Ui) -> Option<First> {
        let (a, b) = (&was.state, &again.state);
        if run::same(a, b) {
            return None;
        }
        let at = Some(a.clock.time);
        let differ = a.sections.iter().zip(&b.sections).find(|(a, b)| a != b);
        let section = || match differ {
            Some((a, _)) => {
                let what = format!("the snapshot's section `{}`", a.tag.what());
                First { at, ..First::other(what, Value::Null, Value::Null) }
            }
            None => {
                let (a, b) = (a.clock.steps, b.clock.steps);
                First { at, ..First::other("the number of steps", json!(a), json!(b)) }
            }
        };
        // Each by its own program: another one has other places for its values.
        let (Some(of_a), Some(of_b)) = (self.program(was, ui), self.program(again, ui)) else {
            return Some(section());
        };
        let Ok(named) = different((&of_a, was), (&of_b, again)) else { return Some(section()) };
        if let Some(d) = named.first() {
            return Some(First { at, ..quantity(d, named.len()) });
        }
        // Values that have no name: counts, the solver's history, what blocks keep.
        let same_program = was.model.program == again.model.program;
        let d = Some(&of_a).filter(|_| same_program).and_then(|program| run::difference(program, a, b));
        let Some(d) = d else { return Some(section()) };
        let number = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
        let what = match d.path {
            None => d.what,
            Some(path) => format!("what follows from others, `{path}`,"),
        };
        Some(First { at, unit: d.unit, ..First::other(what, number(d.recorded), number(d.replayed)) })
    }

    /// The program of a snapshot; `None` where it is of another version, or does not say enough.
    fn program(&self, of: &Snapshot, ui: &Ui) -> Option<Arc<Program>> {
        let compile = || {
            let quiet = ui.keeping();
            let request = snapshot::request(of, &quiet).ok()?;
            let mut flags = Flags::read(&request.simulation, &quiet).ok()?;
            let job = snapshot::load(of, &request, &mut flags, &quiet).ok()?;
            Some(job.ready.program.clone())
        };
        self.0.borrow_mut().entry(of.model.program).or_insert_with(compile).clone()
    }
}

/// A value that differs; `all`: how many do.
fn quantity(d: &Different, all: usize) -> First {
    let of = &d.of;
    let (what, path) = match of.bits {
        Some(_) => (format!("`{}`", of.name), Some(of.name.clone())),
        None => (format!("{} `{}`", of.what, of.name), None),
    };
    First {
        quantity: path,
        unit: of.unit.clone(),
        quantities: all,
        counted: "value",
        ..First::other(what, of.value.clone(), d.other.clone())
    }
}
