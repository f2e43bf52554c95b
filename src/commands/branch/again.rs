//! Branches that are run again, to be compared with their results.

use std::path::PathBuf;

use serde_json::Value;
use twinml_engine::snapshot::Snapshot;
use twinml_model::program::Experiment;

use super::call::{Branched, Made, Point};
use super::ensemble::{execute, refused};
use super::follow::finish;
use super::{until, usage};
use crate::commands::{asked::Asked, summary};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::world::Interrupt;

/// Branches of one call, compiled to be run again.
pub struct Again<'s> {
    made: Made,
    from: &'s Snapshot,
    asked: &'s Asked,
    until: Option<f64>,
    /// What is run, in the order of the names that were asked for.
    each: Vec<Experiment>,
}

impl<'s> Again<'s> {
    /// Compiles the branches that have these names; of no name is the run that goes on unchanged beside them.
    ///
    /// # Errors
    ///
    /// The exit code, after saying why.
    pub fn compile(
        of: &Branched,
        names: &[Option<&str>],
        asked: &'s Asked,
        from: &'s Snapshot,
        ui: &Ui,
    ) -> Result<Again<'s>, Exit> {
        let until = until(asked.until.as_deref(), ui)?;
        let mut points = of.call.changes.points(ui)?;
        // What is built into the program is there for all of a call's branches; else each is what it is alone.
        if !of.from_start {
            let named: Vec<Point> =
                points.iter().filter(|(name, _)| names.contains(&Some(name))).cloned().collect();
            // What goes on unchanged stops where the branches begin, so there has to be one.
            points = if named.is_empty() { points.into_iter().take(1).collect() } else { named };
        }
        let mut made = of.call.compile(&points, from, ui)?;
        let branches = std::mem::take(&mut made.branches);
        let each = names.iter().map(|name| match name {
            None => Ok(made.unchanged.clone()),
            Some(name) => {
                let found = points.iter().zip(&branches).find(|((own, _), _)| own == name);
                let why =
                    || usage(ui, &format!("no branch `{name}` is among those that were asked for"), None);
                found.map(|(_, experiment)| experiment.clone()).ok_or_else(why)
            }
        });
        let each = each.collect::<Result<_, _>>()?;
        Ok(Again { made, from, asked, until, each })
    }

    /// Runs some of them, each into a folder of its own.
    ///
    /// # Errors
    ///
    /// The exit code, after saying why; [`Exit::Interrupted`] where the user asked to stop.
    pub fn run(&mut self, which: &[(usize, PathBuf)], interrupt: &Interrupt, ui: &Ui) -> Result<(), Exit> {
        let own = |(k, place): &(usize, PathBuf)| Some((self.each.get(*k)?.clone(), place.clone()));
        let runs = which.iter().filter_map(own).collect();
        let tasks = self.made.tasks(runs, self.until, self.from, ui)?;
        let on = (&*self.made.job.ready.program, &*self.made.job.machine);
        let Some(done) = execute(&tasks, on, self.until, None, interrupt, ui)? else {
            return Err(Exit::Interrupted);
        };
        for (task, done) in tasks.iter().zip(done) {
            let done = done.map_err(|e| refused(&e, ui))?;
            let again = summary::Again { asked: self.asked, from: None, branched: Value::Null };
            finish(task, done, &self.made, again, ui)?;
        }
        Ok(())
    }
}
