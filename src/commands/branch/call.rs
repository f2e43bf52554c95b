//! What the branches of a call are: what they leave, when, what each changes. Compiled, they are runs; kept in `summary.json`,
//! they can be run again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use twinml_compiler::driver::{Branch, Setting, Wish};
use twinml_engine::run::{self, Prepared};
use twinml_engine::snapshot::Snapshot;
use twinml_model::program::{Experiment, Program};

use super::ensemble::{Task, refused};
use super::{shown, usage};
use crate::commands::job::{self, Flags, Job};
use crate::commands::snapshot::{self, Request};
use crate::commands::study::sweep;
use crate::commands::timeline::plain;
use crate::commands::{compile, summary};
use crate::exit::Exit;
use crate::model::Place;
use crate::ui::Ui;

/// Branches of one call.
const MOST: usize = 100_000;

/// What the branches of a call change, as the command line says it.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Each `--set`.
    pub set: Vec<String>,
    /// Each `--inject`.
    pub inject: Vec<String>,
    /// `--list`
    pub list: bool,
    /// `--name`
    pub name: Option<String>,
}

/// What a branch that is left changes itself.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// Its name.
    pub node: String,
    /// From when on.
    pub at: Instant,
    /// Its assignments.
    pub set: Vec<String>,
}

/// An instant in nanoseconds; in JSON a text that has every one of them: `1800s`, `0.25s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub i128);

/// All that decides the results of a call's branches, beside the snapshot and until when they run.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Name of the node that they leave.
    pub of: String,
    /// Its id.
    pub parent: String,
    /// The id of the snapshot's node.
    pub root: String,
    /// What the branches on the way from the snapshot to that node change; none where that is the snapshot's own.
    pub before: Vec<Before>,
    /// When they leave it.
    pub at: Instant,
    /// What they change.
    pub changes: Changes,
}

/// What a summary tells of a branch: which of a call's it is.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Branched {
    /// Its name; none of the run that goes on unchanged beside them.
    pub name: Option<String>,
    /// Its id in the store.
    pub node: Option<String>,
    /// Whether it was run from the start, because what some branch of the call changes is built into the program.
    pub from_start: bool,
    /// The call.
    pub call: Call,
}

/// A branch's name and its assignments.
pub type Point = (String, Vec<String>);

impl Instant {
    fn text(self) -> String {
        snapshot::instant(self.0)
    }

    fn read(text: &str) -> Option<Instant> {
        let (whole, rest) = text.strip_suffix('s')?.split_once('.').unwrap_or((text.strip_suffix('s')?, ""));
        if rest.len() > 9 || !rest.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let whole: i128 = whole.parse().ok().filter(|whole| *whole >= 0)?;
        let rest: i128 = format!("{rest:0<9}").parse().ok()?;
        Some(Instant(whole.checked_mul(1_000_000_000)?.checked_add(rest)?))
    }
}

impl Serialize for Instant {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Instant, D::Error> {
        let text = String::deserialize(from)?;
        let wrong = || serde::de::Error::custom(format!("`{text}` is no instant"));
        Instant::read(&text).ok_or_else(wrong)
    }
}

impl Changes {
    /// Names and assignments of all branches.
    ///
    /// # Errors
    ///
    /// The exit code, after saying why.
    pub fn points(&self, ui: &Ui) -> Result<Vec<Point>, Exit> {
        let sets: Vec<String> = self.set.iter().chain(&self.inject).cloned().collect();
        if let Some(bad) = sets.iter().find(|s| !s.contains('=')) {
            return Err(usage(
                ui,
                &format!("`{bad}` sets nothing"),
                Some("write `path=value`, with a unit where there is one"),
            ));
        }
        let (fixed, axes) = sweep::axes(&sets, ui)?;
        if fixed.is_empty() && axes.is_empty() {
            return Err(usage(
                ui,
                "a branch changes something",
                Some("give `--set path=value` or `--inject path=value`"),
            ));
        }
        let assign = |text: &str| match text.split_once('=') {
            Some((path, value)) => format!("{} = {}", path.trim(), value.trim()),
            None => text.to_owned(),
        };
        let all = sweep::points(&axes, self.list, ui)?;
        if all.len() > MOST {
            return Err(usage(ui, &format!("more than {MOST} branches"), None));
        }
        let name = |own: &[String], k: usize| match (&self.name, all.len()) {
            (Some(name), 1) => name.clone(),
            (Some(name), _) => format!("{name}-{k}"),
            (None, _) => {
                own.iter().map(|s| s.replace(" = ", "=").replace(' ', "")).collect::<Vec<_>>().join(",")
            }
        };
        let point = |(k, at): (usize, &Vec<usize>)| {
            let moving: Vec<String> =
                axes.iter().zip(at).map(|(a, v)| format!("{} = {}", a.path, a.values[*v])).collect();
            let mut sets: Vec<String> = fixed.iter().map(|s| assign(s)).collect();
            sets.extend(moving.iter().cloned());
            let own = if moving.is_empty() { &sets } else { &moving };
            let name: String =
                name(own, k).chars().filter(|c| !c.is_control() && *c != '`').take(200).collect();
            (name, sets)
        };
        let points: Vec<Point> = all.iter().enumerate().map(point).collect();
        if points.iter().any(|(name, _)| name.trim().is_empty()) {
            return Err(usage(ui, "a branch has a name", Some("give `--name`")));
        }
        // Values that are given twice, and names that are alike as far as a folder's name goes.
        let mut folders = BTreeSet::new();
        if let Some((name, _)) = points.iter().find(|(name, _)| !folders.insert(plain(name))) {
            let message =
                format!("the results of several branches would be in one folder, `{}`", plain(name));
            return Err(usage(ui, &message, Some("give `--name`: then they are numbered")));
        }
        Ok(points)
    }

    /// An assignment with the flag that it was given by.
    fn given(&self, set: &str) -> Setting {
        let path = |text: &str| text.split('=').next().unwrap_or_default().trim().to_owned();
        let injected = self.inject.iter().any(|i| path(i) == path(set));
        let given = if injected { "--inject" } else { "--set" };
        Setting { given: given.to_owned(), text: set.to_owned() }
    }
}

/// The branches of a call, compiled.
pub struct Made {
    /// The model and what runs it.
    pub job: Job,
    /// The branches that were asked for, in their order.
    pub branches: Vec<Experiment>,
    /// What they leave, as it goes on unchanged beside them.
    pub unchanged: Experiment,
    /// Whether they have to begin at the start, because with them it is another program.
    pub from_start: bool,
    request: Request,
}

impl Call {
    /// Whether what is left is a branch itself, kept as what it changes.
    pub fn leaves_branch(&self) -> bool {
        !self.before.is_empty()
    }

    /// Whether the branches begin when they can: after all that is left changes, and not before the snapshot.
    ///
    /// # Errors
    ///
    /// The exit code, after saying why.
    pub fn check(&self, of: &Snapshot, ui: &Ui) -> Result<(), Exit> {
        let clock = &of.state.clock;
        let instants: Vec<Instant> = self.before.iter().map(|b| b.at).chain([self.at]).collect();
        if let Some(pair) = instants.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(usage(
                ui,
                &format!("`{}` changes something at {} already", self.of, shown(pair[0].0)),
                Some("a branch of a branch begins later: `--at`"),
            ));
        }
        let at = instants.first().map_or(0, |first| first.0);
        if at < clock.asked || (at as f64 / 1e9) <= clock.time {
            return Err(usage(
                ui,
                &format!("the snapshot is of {}, {} is past", shown(clock.asked), shown(at)),
                Some("a branch begins at the snapshot's instant or later"),
            ));
        }
        Ok(())
    }

    /// Compiles branches of the call off a snapshot.
    ///
    /// # Errors
    ///
    /// The exit code, after saying why.
    pub fn compile(&self, points: &[Point], of: &Snapshot, ui: &Ui) -> Result<Made, Exit> {
        self.check(of, ui)?;
        let own_branch = Some(&*of.scenario.branch).filter(|b| !b.is_empty());
        let given = |b: &Before| {
            let given = format!("node `{}`", b.node);
            b.set.iter().map(|text| Setting { given: given.clone(), text: text.clone() }).collect::<Vec<_>>()
        };
        let before: Vec<(i128, Vec<Setting>)> = self.before.iter().map(|b| (b.at.0, given(b))).collect();
        let wish = |name: &String, own: Option<(i128, Vec<Setting>)>| {
            let changes = before.iter().cloned().chain(own).collect();
            Wish { name: name.clone(), of: own_branch.map(str::to_owned), changes }
        };
        let each = points.iter().map(|(name, sets)| {
            wish(name, Some((self.at.0, sets.iter().map(|s| self.changes.given(s)).collect())))
        });
        // What is branched off goes on unchanged beside the branches.
        let wishes: Vec<Wish> = each.chain(self.leaves_branch().then(|| wish(&self.of, None))).collect();
        let request = snapshot::request(of, ui)?;
        let mut flags = Flags::read(&request.simulation, ui)?;
        flags.wishes = wishes.clone();
        let (job, from_start) = load(of, &request, &mut flags, ui)?;
        let all = &job.branches;
        let found = |w: &Wish| all.iter().rev().find(|b| w.is(&b.name));
        let branches: Vec<Experiment> =
            wishes[..points.len()].iter().filter_map(found).map(|b| b.experiment.clone()).collect();
        let unchanged: Option<&Branch> = match wishes.get(points.len()).and_then(found) {
            None => snapshot::branch(of, all, ui)?,
            parent => parent,
        };
        let unchanged = match unchanged {
            Some(parent) => {
                let mut unchanged = parent.experiment.clone();
                unchanged.stops.push(self.at.0);
                unchanged
            }
            None => job.ready.experiment.clone(),
        };
        Ok(Made { job, branches, unchanged, from_start, request })
    }
}

impl Made {
    /// Whether results are in SI units.
    pub fn si(&self) -> bool {
        self.request.si
    }

    /// Makes runs ready that go on from a snapshot, each with its folder.
    ///
    /// # Errors
    ///
    /// The exit code, after saying why.
    pub fn tasks<'t>(
        &mut self,
        runs: Vec<(Experiment, PathBuf)>,
        until: Option<f64>,
        from: &'t Snapshot,
        ui: &Ui,
    ) -> Result<Vec<Task<'t>>, Exit> {
        let (ready, machine) = (&self.job.ready, &mut *self.job.machine);
        let mut tasks: Vec<Task<'_>> = Vec::with_capacity(runs.len());
        for (mut experiment, place) in runs {
            if let Some(end) = until.filter(|_| self.from_start) {
                experiment.duration = end;
            }
            let prepared = match tasks.first() {
                Some(first) if run::shares(&first.experiment, &experiment) => {
                    Ok(first.prepared.with_actions(machine, &first.experiment, &experiment))
                }
                _ => Prepared::new(&ready.program, machine, &experiment),
            };
            let prepared = prepared.map_err(|e| refused(&e.into(), ui))?;
            let plans = run::plans(&ready.program, &experiment, self.request.si).map_err(|e| {
                ui.error(&e.to_string(), None);
                Exit::Usage
            })?;
            let metadata = summary::metadata(ready, &experiment);
            let from = (!self.from_start).then_some(&from.state);
            tasks.push(Task { experiment, prepared, plans, metadata, place, from });
        }
        Ok(tasks)
    }
}

impl Branched {
    /// As a summary has it.
    pub fn value(&self) -> Value {
        // Texts, lists of them and truth values always serialise.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Compiles the model of a snapshot with the branches; whether they have to begin at the start, because with them it is
/// another program.
fn load(of: &Snapshot, request: &Request, flags: &mut Flags, ui: &Ui) -> Result<(Job, bool), Exit> {
    let Some(root) = of.model.files.first() else {
        ui.error("the snapshot holds no model", None);
        return Err(Exit::Mismatch);
    };
    let file = PathBuf::from(&root.path);
    flags.place = Place::Snapshot(of.model.clone());
    flags.keeps = true;
    let session = compile::open_in(&flags.place, &file, ui)?;
    let how = crate::args::Compile { emit: None, ..request.compile.clone() };
    let Some(job) = job::load(&file, &how, flags, session, 0, ui)? else { return Err(Exit::Usage) };
    let mut same = job.ready.bundle.as_ref().is_some_and(|m| m.program == of.model.program);
    if !same {
        // Without the branches it has to be the snapshot's program; with them more places in the source are told of.
        let wishes = std::mem::take(&mut flags.wishes);
        let plain = snapshot::load(of, request, flags, ui)?;
        flags.wishes = wishes;
        same = layout(&plain.ready.program) == layout(&job.ready.program);
    }
    if !same {
        ui.warn("what the branch changes is built into the program: the run is done again from its start");
    }
    Ok((job, !same))
}

/// A program's text without the places in the source that it tells of.
fn layout(program: &Program) -> String {
    let text = twinml_model::text::program_text(program);
    let mut out = String::with_capacity(text.len());
    for line in text.lines().filter(|l| !l.starts_with("origin ") && !l.starts_with("file ")) {
        // Places are numbered behind `@` and, in behaviour, behind `origin: `.
        let line = line.replace("origin: ", "@");
        let mut rest = line.as_str();
        while let Some((before, after)) = rest.split_once('@') {
            out.push_str(before);
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        out.push_str(rest);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn instants_read_back_to_the_nanosecond() {
        for ns in [0, 1, 250_000_000, 1_800_000_000_000, 12_345_678_901_234_567_890_123_456_789] {
            assert_eq!(Instant::read(&Instant(ns).text()), Some(Instant(ns)));
        }
        let too_long = format!("{}s", i128::MAX);
        for wrong in
            ["", "s", "1", "-1s", "1.5", ".5s", "1.0000000001s", "1.-5s", "1.+5s", "never", &too_long]
        {
            assert_eq!(Instant::read(wrong), None, "{wrong}");
        }
    }
}
