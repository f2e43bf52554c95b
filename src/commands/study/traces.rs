//! Quantities at instants as functions of parameters, with derivatives: by forward sensitivities, or, where events,
//! behaviour or actions stand in their way, by differences of whole runs.
//!
//! Differences are taken on both sides of a value, each parameter moved by [`STEP`] of its size. Where the two sides tell
//! different slopes the smaller one is taken: a value that an event changes at once, and whose event moves over the
//! instant of a measurement, would show a slope of nothing but the jump.

use std::sync::{Mutex, PoisonError};

use twinml_engine::run::{self, Ended, Forward, NotSmooth, Observed, Traced};
use twinml_model::ir::Space;

use super::{Model, Parameter, Recipe, Runner, spread, usage};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::world::Interrupt;

/// By how much of its size a parameter is moved.
const STEP: f64 = 1e-4;
/// Slopes of the two sides that differ by more than this part are those of a jump.
const ALIKE: f64 = 0.1;

/// Observed quantities at instants.
pub struct Traces {
    parameters: Vec<Parameter>,
    times: Vec<f64>,
    way: Way,
}

enum Way {
    Forward { forward: Box<Forward>, observed: Vec<Observed> },
    Runs(Box<Runs>),
}

/// Whole runs.
struct Runs {
    recipe: Recipe,
    /// Runners that nobody uses at the moment: their code is made once for each thread.
    idle: Mutex<Vec<Runner>>,
    jobs: Option<u16>,
    solver: &'static str,
}

/// A runner on loan.
struct Loan<'r> {
    runner: Option<Runner>,
    from: &'r Runs,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.from.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.runner.take());
    }
}

impl Traces {
    /// Of `observed` at `times` (from 0 on, never falling), as the experiment of `model` runs.
    ///
    /// # Errors
    ///
    /// The exit code, after saying why the model cannot be observed so.
    pub fn new(
        model: &Model,
        parameters: &[Parameter],
        observed: &[Observed],
        times: &[f64],
        jobs: Option<u16>,
        ui: &Ui,
    ) -> Result<Traces, Exit> {
        let way = match Forward::new(&model.program, &model.experiment, model.kind) {
            Ok(forward) => Way::Forward { forward: Box::new(forward), observed: observed.to_vec() },
            Err(why @ NotSmooth::Noise) => {
                return Err(usage(
                    ui,
                    &format!("this model has {}: its runs are no function of the parameters", why.what()),
                    Some("fit the model without its noise, or moments of many runs (`twinc mc`)"),
                ));
            }
            Err(why) => {
                ui.warn(&format!(
                    "this model has {}, through which no forward sensitivities lead: differences of runs instead",
                    why.what()
                ));
                Way::Runs(Box::new(Runs::new(model, observed, times, jobs, ui)?))
            }
        };
        Ok(Traces { parameters: parameters.to_vec(), times: times.to_vec(), way })
    }

    /// The name of the solver.
    pub fn solver(&self) -> &'static str {
        match &self.way {
            Way::Forward { forward, .. } => forward.method().name(),
            Way::Runs(runs) => runs.solver,
        }
    }

    /// How derivatives are found.
    pub fn how(&self) -> &'static str {
        match &self.way {
            Way::Forward { .. } => "forward sensitivities",
            Way::Runs(_) => "differences of runs",
        }
    }

    /// The same in one word of results.
    pub fn word(&self) -> &'static str {
        match &self.way {
            Way::Forward { .. } => "forward",
            Way::Runs(_) => "differences",
        }
    }

    /// The quantities, and with `slopes` their derivatives, where the parameters have these values; none where the model
    /// cannot be run there, or the user asked to stop.
    pub fn at(&mut self, values: &[f64], slopes: bool, interrupt: &Interrupt) -> Option<Traced> {
        match &mut self.way {
            Way::Forward { forward, observed } => {
                let slots: Vec<u32> = self.parameters.iter().map(|p| p.slot).collect();
                forward.trace(&slots, values, observed, &self.times, slopes).ok()
            }
            Way::Runs(runs) => runs.at(&self.parameters, values, &self.times, slopes, interrupt),
        }
    }
}

impl Runs {
    fn new(
        model: &Model,
        observed: &[Observed],
        times: &[f64],
        jobs: Option<u16>,
        ui: &Ui,
    ) -> Result<Runs, Exit> {
        let recipe = Recipe::new(model, false, ui)?;
        let mut instants = times.to_vec();
        instants.dedup();
        let slots: Vec<(Space, u32)> = observed.iter().map(|o| (o.space, o.slot)).collect();
        let plan = run::slots_at(&recipe.program, &instants, &slots);
        let plan = plan.map_err(|e| usage(ui, &e.to_string(), None))?;
        let solver =
            run::solver(&recipe.program, &recipe.experiment).map_or("auto", |(method, _)| method.name());
        let recipe = recipe.recording(plan, model.experiment.duration);
        Ok(Runs { recipe, idle: Mutex::new(Vec::new()), jobs, solver })
    }

    fn lend(&self) -> Loan<'_> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Loan { runner: Some(idle.unwrap_or_else(|| self.recipe.runner())), from: self }
    }

    fn at(
        &self,
        parameters: &[Parameter],
        values: &[f64],
        times: &[f64],
        slopes: bool,
        interrupt: &Interrupt,
    ) -> Option<Traced> {
        let moves = if slopes { 2 * parameters.len() } else { 0 };
        let size = |j: usize| STEP * if values[j] == 0.0 { 1.0 } else { values[j].abs() };
        let point = |k: usize| {
            let mut at = values.to_vec();
            if k > 0 {
                let (j, up) = ((k - 1) / 2, k.is_multiple_of(2));
                at[j] += if up { size(j) } else { -size(j) };
            }
            at
        };
        let work = |loan: &mut Loan<'_>, k: usize| {
            loan.runner.as_mut().and_then(|runner| trace(runner, parameters, &point(k), times))
        };
        let mut found = spread(self.jobs, moves + 1, interrupt, || self.lend(), work)?.into_iter();
        let base = found.next()??;
        let sides: Vec<Option<Vec<Vec<f64>>>> = found.collect();
        let slope = |j: usize, k: usize, q: usize| {
            let side = |up: usize| Some(sides[2 * j + up].as_ref()?[k][q]);
            let low = side(0).map(|y| (base[k][q] - y) / size(j));
            let high = side(1).map(|y| (y - base[k][q]) / size(j));
            match (low, high) {
                (Some(a), Some(b)) if (a - b).abs() <= ALIKE * a.abs().max(b.abs()) => 0.5 * (a + b),
                (Some(a), Some(b)) if a.abs() < b.abs() => a,
                // Beyond an end of what the model can do there is one side.
                (Some(a), None) => a,
                (_, Some(b)) => b,
                (None, None) => f64::NAN,
            }
        };
        let rows = 0..if slopes { base.len() } else { 0 };
        let slopes: Vec<Vec<Vec<f64>>> = rows
            .map(|k| {
                let of = |q: usize| (0..parameters.len()).map(|j| slope(j, k, q)).collect();
                (0..base[k].len()).map(of).collect()
            })
            .collect();
        let finite = slopes.iter().flatten().flatten().all(|s: &f64| s.is_finite());
        finite.then_some(Traced { values: base, slopes })
    }
}

/// What a run shows at `times`: by instant, by quantity, after the events of the instant. None where it does not reach the
/// last.
fn trace(
    runner: &mut Runner,
    parameters: &[Parameter],
    values: &[f64],
    times: &[f64],
) -> Option<Vec<Vec<f64>>> {
    let (report, rows) = runner.recorded(parameters, values).ok()?;
    if matches!(report.ended, Ended::Failed(_)) {
        return None;
    }
    let rows = rows.rows();
    let mut next = 0;
    let mut out = Vec::with_capacity(times.len());
    for t in times {
        while rows.get(next).is_some_and(|r| r[0] < *t) {
            next += 1;
        }
        // Of several rows the last one: what the events of the instant made of it.
        let here = rows[next..].iter().take_while(|r| r[0] == *t).count();
        out.push(rows.get((next + here).checked_sub(1)?).filter(|r| r[0] == *t)?[2..].to_vec());
    }
    Some(out)
}
