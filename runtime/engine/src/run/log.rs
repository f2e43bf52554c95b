//! The log of events: one row for everything that an instant changed, written while the run goes on.
//!
//! Columns: `time` in seconds; `step`, the micro-step as in results; `path`, the quantity or the instance whose
//! comparison it is; `event`, the comparison or the action as the model writes it; `kind`, one of `crossing`,
//! `discrete`, `action`; `pre` and `post`, the values before and after in SI (truth values as 0 and 1). Nothing is
//! opened before the first event, so a run without events leaves no log.

use super::*;
use crate::record::{ColumnSpec, Columns, Element, Recorded};
use twinml_model::ir::{Region, Stmt};

/// Opens the recorder of a log when the first event is at hand.
pub type OpenLog<'l> = Box<dyn FnMut(Columns) -> Result<Box<dyn Recorder>, RecordError> + 'l>;

/// Slots of one action that are logged at most.
const TARGETS: usize = 4096;
/// The kinds of rows, in the order of their numbers.
const KINDS: [&str; 3] = ["crossing", "discrete", "action"];

/// What the rows of an action or of a slot say.
#[derive(Clone, Copy, Debug)]
struct Labels {
    path: usize,
    event: usize,
    kind: usize,
}

/// The log of one run.
pub(super) struct Log<'l> {
    open: OpenLog<'l>,
    recorder: Option<Box<dyn Recorder>>,
    paths: Vec<String>,
    events: Vec<String>,
    /// Labels of each discrete slot.
    slots: Vec<Labels>,
    /// What each action of the experiment writes: slots of memory with their labels.
    actions: Vec<Vec<(usize, Labels)>>,
    /// Values from before the actions at hand.
    before: Vec<f64>,
}

impl<'l> Log<'l> {
    pub(super) fn new(program: &Program, experiment: &Experiment, open: OpenLog<'l>) -> Log<'l> {
        let mut log = Log {
            open,
            recorder: None,
            paths: Vec::new(),
            events: vec![String::new()],
            slots: Vec::new(),
            actions: Vec::new(),
            before: Vec::new(),
        };
        for slot in 0..program.sizes.disc as usize {
            let path = log.paths.len();
            log.paths.push(path_of(program, Space::Disc, slot));
            log.slots.push(Labels { path, event: 0, kind: 1 });
        }
        for relation in &program.relations {
            let text = program.origins.get(relation.origin.index()).map_or("", |o| &o.text);
            let (path, text) = match text.split_once(": ") {
                Some((path, text)) if !path.contains(' ') => (path, text),
                _ => ("", text),
            };
            log.events.push(text.to_owned());
            for j in 0..relation.len as usize {
                let labels = &mut log.slots[relation.disc as usize + j];
                (labels.event, labels.kind) = (log.events.len() - 1, 0);
                let one = path.matches("[*]").count() == 1;
                log.paths[labels.path] =
                    if one { path.replace("[*]", &format!("[{j}]")) } else { path.to_owned() };
            }
        }
        for action in &experiment.actions {
            let text = program.origins.get(action.origin.index()).map_or("", |o| &o.text);
            log.events.push(text.to_owned());
            let mut written = Vec::new();
            targets(&action.kernel.body, &mut Vec::new(), &mut written);
            let event = log.events.len() - 1;
            let mut slots = Vec::with_capacity(written.len());
            for (space, slot) in written {
                let path = log.paths.len();
                log.paths.push(path_of(program, space, slot));
                slots.push((program.sizes.offset(space) + slot, Labels { path, event, kind: 2 }));
            }
            log.actions.push(slots);
        }
        log
    }

    /// One row.
    fn row(&mut self, time: f64, step: u64, labels: Labels, pre: f64, post: f64) -> Result<(), RecordError> {
        let recorder = match &mut self.recorder {
            Some(recorder) => recorder,
            none => {
                let words = |name: &str, words: &[String]| ColumnSpec::of(name, Element::Text(words.into()));
                let kinds = KINDS.map(str::to_owned);
                let columns = Columns::new(vec![
                    ColumnSpec::real("time").in_unit("s"),
                    ColumnSpec::of("step", Element::Int),
                    words("path", &self.paths),
                    words("event", &self.events),
                    words("kind", &kinds),
                    ColumnSpec::real("pre"),
                    ColumnSpec::real("post"),
                ])?;
                none.insert((self.open)(columns)?)
            }
        };
        let Labels { path, event, kind } = labels;
        recorder.row(&[time, step as f64, path as f64, event as f64, kind as f64, pre, post])
    }

    /// Keeps what action number `k` is about to overwrite.
    pub(super) fn before_action(&mut self, k: usize, data: &[f64]) {
        self.before.clear();
        self.before.extend(self.actions[k].iter().map(|(slot, _)| data[*slot]));
    }

    /// Writes what action number `k` did.
    pub(super) fn after_action(&mut self, k: usize, step: u64, data: &[f64]) -> Result<(), RecordError> {
        for n in 0..self.actions[k].len() {
            let (slot, labels) = self.actions[k][n];
            self.row(data[0], step, labels, self.before[n], data[slot])?;
        }
        Ok(())
    }

    /// Writes what relations and discrete values did, with the values that they had before.
    pub(super) fn changes(
        &mut self,
        time: f64,
        step: u64,
        changes: &[(usize, f64)],
        disc: &[f64],
    ) -> Result<(), RecordError> {
        for &(slot, before) in changes {
            if before != disc[slot] {
                self.row(time, step, self.slots[slot], before, disc[slot])?;
            }
        }
        Ok(())
    }

    /// Completes the log; `None` where there was no event.
    pub(super) fn finish(self) -> Result<Option<Recorded>, RecordError> {
        self.recorder.map(|recorder| recorder.finish()).transpose()
    }
}

/// The path of a slot; the place in memory for what the schema does not name.
fn path_of(program: &Program, space: Space, slot: usize) -> String {
    let holds = |base: u32, len: u32| (base as usize..(base + len) as usize).contains(&slot);
    match program.schema.vars.iter().find(|v| v.space == space && holds(v.base, v.len)) {
        Some(v) => v.element_path((slot - v.base as usize) as u32),
        None => format!("{}[{slot}]", space.name()),
    }
}

/// The slots that statements write, loops round by round, at most [`TARGETS`].
fn targets(region: &Region, at: &mut Vec<(u32, i64)>, out: &mut Vec<(Space, usize)>) {
    for stmt in region {
        match stmt {
            Stmt::Store { place, .. } => {
                let kept = matches!(place.space, Space::Input | Space::Param | Space::State | Space::Disc);
                let value = |index: u32| at.iter().rev().find(|(i, _)| *i == index).map_or(0, |(_, v)| *v);
                let slot = usize::try_from(place.at.eval(|i| value(i.0)));
                if let Ok(slot) = slot
                    && kept
                    && out.len() < TARGETS
                    && !out.contains(&(place.space, slot))
                {
                    out.push((place.space, slot));
                }
            }
            Stmt::For(f) => {
                for k in f.lo..f.hi {
                    if out.len() >= TARGETS {
                        return;
                    }
                    at.push((f.index.0, k));
                    targets(&f.body, at, out);
                    at.pop();
                }
            }
            Stmt::If(i) => {
                targets(&i.then, at, out);
                targets(&i.otherwise, at, out);
            }
            _ => {}
        }
    }
}
