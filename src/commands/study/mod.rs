//! What sweeps, sensitivities and calibration share: a model as a function of its parameters, names of parameters and
//! quantities, work over threads.

pub mod calibrate;
mod chart;
pub mod sensitivity;
pub mod sweep;
mod traces;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use twinml_compiler::diag::did_you_mean;
use twinml_compiler::driver::{Choice, Session};
use twinml_engine::ensemble::plan;
use twinml_engine::ensemble::sampler::{Sampler, Source};
use twinml_engine::record::{ColumnSpec, Element, MemoryRecorder, MemoryRows, file};
use twinml_engine::run::{self, Ended, Flow, MachineKind, Outlet, Plan, Report};
use twinml_model::defaults::Fill;
use twinml_model::host::{Machine, Memory};
use twinml_model::ir::Space;
use twinml_model::passes::{self, Level};
use twinml_model::program::{Experiment, Program};
use twinml_model::schema::{DisplayUnit, Kind};

use super::job::{self, Flags};
use super::{compile, failure};
use crate::args::Compile;
use crate::exit::Exit;
use crate::model::{self, Data};
use crate::ui::Ui;
use crate::ui::json;
use crate::ui::numbers::counted;
use crate::world::{self, Interrupt, Stopwatch};

/// The stack of a thread that compiles and runs.
const STACK: usize = 64 << 20;

/// A compiled model, nothing of it decided or derived yet.
pub struct Model {
    /// The checked text.
    pub session: Session,
    /// The program.
    pub program: Program,
    /// The scenario with all flags applied.
    pub experiment: Experiment,
    /// What runs the kernels.
    pub kind: MachineKind,
    /// The model's hash.
    pub hash: String,
    /// The file.
    pub file: PathBuf,
    compile: Compile,
}

/// Compiles the scenario that `args` name and says so.
pub fn load(file: &Path, args: &Compile, flags: &Flags, ui: &Ui) -> Result<Model, Exit> {
    let watch = Stopwatch::start();
    let mut session = compile::open(file, ui)?;
    let mut data = Data::of(&session);
    let choice = Choice { scenario: args.scenario.as_deref(), settings: &args.sets, keep_system: false };
    let compiled = session.compile(choice, &mut data);
    let said = ui.diagnostics(session.diags.iter(), &session.sources);
    let Some(compiled) = compiled.filter(|_| said.errors == 0) else {
        ui.error_line(&format!("{}: {}", world::shown(file), counted(said.errors as u64, "error")));
        return Err(Exit::Usage);
    };
    if args.deny_warnings() && said.warnings > 0 {
        ui.error(&format!("{}, denied by `--deny warnings`", counted(said.warnings as u64, "warning")), None);
        return Err(Exit::Usage);
    }
    let facts = json::Compiled::of(&world::shown(file), &compiled);
    ui.step("Compiled", &facts.text(), Some(watch.elapsed()));
    ui.object(&facts);
    let mut experiment = compiled.experiment;
    flags.apply(&compiled.program, &mut experiment);
    if !compiled.has_duration && !flags.has_end() {
        job::usual_length(ui);
    }
    let hash = model::hash(&session, &data);
    let (program, kind) = (compiled.program, flags.machine());
    Ok(Model { session, program, experiment, kind, hash, file: file.to_owned(), compile: args.clone() })
}

/// Says what is wrong with the command line.
pub fn usage(ui: &Ui, message: &str, help: Option<&str>) -> Exit {
    ui.error(message, help);
    Exit::Usage
}

/// A parameter that is varied.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its path.
    pub path: String,
    /// Its slot of `Param`.
    pub slot: u32,
    /// The unit people see.
    pub unit: DisplayUnit,
    /// The model's own value, in SI.
    pub nominal: f64,
    /// Its range, in SI.
    pub range: Option<(f64, f64)>,
}

impl Parameter {
    /// A value in the unit that people see.
    pub fn shown(&self, si: f64) -> f64 {
        (si - self.unit.offset) / self.unit.scale
    }

    /// A difference in that unit.
    pub fn shown_difference(&self, si: f64) -> f64 {
        si / self.unit.scale
    }
}

/// Where a path leads.
pub fn find(program: &Program, path: &str) -> Option<(Space, u32, DisplayUnit, Kind)> {
    program.schema.vars.iter().find_map(|v| {
        let k = (0..v.len).find(|k| v.element_path(*k) == path)?;
        Some((v.space, v.base + k, v.unit.clone(), v.kind))
    })
}

/// A name that is not there.
pub fn unknown(program: &Program, flag: &str, path: &str, parameters: bool, ui: &Ui) -> Exit {
    let all = program.schema.vars.iter().filter(|v| !parameters || v.space == Space::Param);
    let names: Vec<String> = all.flat_map(|v| (0..v.len.min(64)).map(|k| v.element_path(k))).collect();
    let what = if parameters { "parameter" } else { "quantity" };
    let help = did_you_mean(path, names.iter().map(String::as_str)).or_else(|| {
        let some: Vec<&str> = names.iter().take(12).map(String::as_str).collect();
        let more = if names.len() > some.len() { ", …" } else { "" };
        (!some.is_empty()).then(|| format!("there are {}{more}", some.join(", ")))
    });
    usage(ui, &format!("`--{flag}`: there is no {what} `{path}`"), help.as_deref())
}

impl Model {
    /// The parameters that `--FLAG PATH[=LO..HI]` name.
    pub fn parameters(&mut self, flag: &str, given: &[String], ui: &Ui) -> Result<Vec<Parameter>, Exit> {
        let nominal = run::parameters(&self.program);
        let mut out: Vec<Parameter> = Vec::new();
        for text in given {
            let (path, range) = match text.split_once('=') {
                Some((path, range)) => (path.trim(), Some(range)),
                None => (text.trim(), None),
            };
            let Some((Space::Param, slot, unit, kind)) = find(&self.program, path) else {
                return Err(unknown(&self.program, flag, path, true, ui));
            };
            if kind != Kind::Real {
                return Err(usage(ui, &format!("`--{flag}`: `{path}` is no real number"), None));
            }
            if out.iter().any(|p| p.path == path) {
                return Err(usage(ui, &format!("`--{flag}`: `{path}` is named twice"), None));
            }
            let value = nominal.space(Space::Param)[slot as usize];
            // What a formula gives would be given again at the start of each run.
            let mut moved = self.program.clone();
            moved.defaults.param.0.push(Fill { first: slot, count: 1, step: 1, value: value + 1.0 });
            if run::parameters(&moved).space(Space::Param)[slot as usize] != value + 1.0 {
                return Err(usage(
                    ui,
                    &format!("`--{flag}`: `{path}` follows from other parameters by a formula"),
                    Some("name those that it follows from"),
                ));
            }
            let range = match range {
                None => None,
                Some(range) => Some(self.range(flag, path, slot, range, ui)?),
            };
            out.push(Parameter { path: path.to_owned(), slot, unit, nominal: value, range });
        }
        Ok(out)
    }

    /// Whether a path is a real parameter of its own.
    pub fn is_plain(&self, path: &str) -> bool {
        let Some((Space::Param, slot, _, Kind::Real)) = find(&self.program, path) else { return false };
        let mut moved = self.program.clone();
        moved.defaults.param.0.push(Fill { first: slot, count: 1, step: 1, value: 1.25e-7 });
        run::parameters(&moved).space(Space::Param).get(slot as usize) == Some(&1.25e-7)
    }

    /// What has a distribution in the model, and the draws. `flag` names parameters instead; `independent`: what is done
    /// with the distributions needs them to be so.
    pub fn uncertain(
        &self,
        flag: &str,
        independent: bool,
        ui: &Ui,
    ) -> Result<(Vec<Parameter>, plan::Plan), Exit> {
        let help = format!("name parameters with their ranges: `--{flag} tank.k=0.01..0.02`");
        let none = |why: &str| usage(ui, why, Some(&help));
        if independent && !self.program.draws.correlations.is_empty() {
            return Err(none(
                "the distributions of this model are correlated, and these methods need independent ones",
            ));
        }
        let source = Source { sampler: Sampler::Random, seed: self.experiment.seed, runs: 1 };
        let Ok(plan) = plan::Plan::new(&self.program, source) else {
            return Err(none("the correlations of this model cannot be"));
        };
        let nominal = run::parameters(&self.program);
        let of = |d: &plan::Draw| Parameter {
            path: d.name.clone(),
            slot: d.slot,
            unit: d.unit.clone(),
            nominal: nominal.space(Space::Param).get(d.slot as usize).copied().unwrap_or(f64::NAN),
            range: None,
        };
        let parameters: Vec<Parameter> = plan.draws().iter().map(of).collect();
        if parameters.is_empty() {
            return Err(none(&format!("nothing to {flag}: no parameter of this model has a distribution")));
        }
        Ok((parameters, plan))
    }

    /// `LO..HI`, each as it would be given to `--set`.
    fn range(&mut self, flag: &str, path: &str, slot: u32, text: &str, ui: &Ui) -> Result<(f64, f64), Exit> {
        let Some((lo, hi)) = text.split_once("..") else {
            return Err(usage(
                ui,
                &format!("`--{flag} {path}={text}`: a range has two ends"),
                Some("write them as `0.01..0.02`, with units where the parameter has one"),
            ));
        };
        // A unit that stands behind the upper end alone is that of both.
        let hi = hi.trim();
        let unit = hi.trim_start_matches(|c: char| c.is_ascii_digit() || "+-._eE".contains(c));
        let lo = lo.trim();
        let bare = lo.parse::<f64>().is_ok() && !unit.trim().is_empty();
        let lo = if bare { format!("{lo} {}", unit.trim()) } else { lo.to_owned() };
        let (lo, hi) = (self.value_of(path, slot, &lo, ui)?, self.value_of(path, slot, hi, ui)?);
        if lo < hi && lo.is_finite() && hi.is_finite() {
            return Ok((lo, hi));
        }
        Err(usage(ui, &format!("`--{flag} {path}={text}`: the lower end comes first"), None))
    }

    /// What `--set PATH=TEXT` gives a parameter, in SI.
    fn value_of(&mut self, path: &str, slot: u32, text: &str, ui: &Ui) -> Result<f64, Exit> {
        let heard = self.session.diags.iter().count();
        let mut settings = self.compile.sets.clone();
        settings.push(format!("{path}={text}"));
        let mut data = Data::of(&self.session);
        let scenario = self.compile.scenario.as_deref();
        let choice = Choice { scenario, settings: &settings, keep_system: false };
        let compiled = self.session.compile(choice, &mut data);
        let Some(compiled) = compiled else {
            ui.diagnostics(self.session.diags.iter().skip(heard), &self.session.sources);
            return Err(Exit::Usage);
        };
        let memory = run::parameters(&compiled.program);
        Ok(memory.space(Space::Param).get(slot as usize).copied().unwrap_or(f64::NAN))
    }

    /// The folder of a study's results: `out/MODEL/SCENARIO`.
    pub fn folder(&self, named: Option<&Path>) -> PathBuf {
        named.map_or_else(|| world::default_out(&self.file).join(&self.experiment.name), Path::to_owned)
    }
}

/// Writes a file in one piece.
pub fn write(path: &Path, text: &str, ui: &Ui) -> Result<(), Exit> {
    file::write_atomic(path, text.as_bytes()).map_err(|e| {
        ui.error(&e.to_string(), None);
        Exit::Outside
    })
}

/// A quantity at the end of a run.
#[derive(Clone, Debug)]
pub struct Quantity {
    /// Its path.
    pub name: String,
    /// Its unit; empty where it has none.
    pub unit: String,
    from: From,
}

#[derive(Clone, Copy, Debug)]
enum From {
    /// A cell of the last row.
    Row(usize, f64, f64),
    /// A figure's element.
    Figure(usize, usize, f64, f64),
}

/// What runners of a model are made from.
#[derive(Clone)]
pub struct Recipe {
    program: Program,
    experiment: Experiment,
    plan: Plan,
    kind: MachineKind,
}

/// Runs a model with other parameters. One for each thread.
pub struct Runner {
    recipe: Recipe,
    defaults: usize,
    machine: Box<dyn Machine>,
}

impl Recipe {
    /// For runs of `model`; `drawn` where parameters keep values drawn from their distributions.
    pub fn new(model: &Model, drawn: bool, ui: &Ui) -> Result<Recipe, Exit> {
        let mut program = model.program.clone();
        if drawn {
            plan::keep_drawn(&mut program);
        }
        let mut experiment = model.experiment.clone();
        if let Err(e) = run::solver(&program, &experiment) {
            match e {
                run::RunError::Stochastic { method } => {
                    ui.diagnostics([&failure::unfit(method, &program)], &model.session.sources);
                }
                e => ui.error(&e.to_string(), None),
            }
            return Err(Exit::Usage);
        }
        experiment.records = vec![run::usual(&program, None)];
        passes::prepare(&mut program, Level::O2, true);
        for action in &mut experiment.actions {
            action.kernel = passes::prepare_kernel(&program, &action.kernel, Level::O2);
        }
        let plan = run::plans(&program, &experiment, false).ok().and_then(|p| p.into_iter().next());
        let Some(plan) = plan else { return Err(usage(ui, "nothing of this model can be recorded", None)) };
        Ok(Recipe { program, experiment, plan, kind: model.kind })
    }

    /// The same runs, of which `plan` is recorded and nothing is judged.
    fn recording(mut self, plan: Plan, duration: f64) -> Recipe {
        let e = &mut self.experiment;
        e.duration = duration;
        e.requirements.clear();
        e.aggregates.clear();
        e.kpis.clear();
        Recipe { plan, ..self }
    }

    /// A runner.
    pub fn runner(&self) -> Runner {
        Runner {
            recipe: self.clone(),
            defaults: self.program.defaults.param.0.len(),
            machine: run::machine(&self.program, self.kind),
        }
    }

    /// What a run ends with: figures, then outputs and states.
    pub fn quantities(&self) -> Vec<Quantity> {
        let mut all = Vec::new();
        for (k, kpi) in self.experiment.kpis.iter().enumerate() {
            for j in 0..kpi.len.max(1) {
                let name = if kpi.len > 1 { format!("{}[{j}]", kpi.path) } else { kpi.path.clone() };
                let (scale, offset) = (kpi.unit.scale, kpi.unit.offset);
                let from = From::Figure(k, j as usize, scale, offset);
                all.push(Quantity { name, unit: kpi.unit.symbol.clone(), from });
            }
        }
        for (spec, cell) in self.plan.columns().with_cells().skip(2) {
            let (scale, offset) = match spec.element {
                Element::Real { scale, offset } => (scale, offset),
                Element::Bool | Element::Int => (1.0, 0.0),
                Element::Text(_) => continue,
            };
            for j in 0..spec.list.unwrap_or(1) {
                let name =
                    if spec.list.is_some() { format!("{}[{j}]", spec.name) } else { spec.name.clone() };
                let unit = spec.unit.clone().unwrap_or_default();
                all.push(Quantity { name, unit, from: From::Row(cell + j, scale, offset) });
            }
        }
        all
    }
}

impl Runner {
    /// The values that the distributions have at a point of the unit cube; none where one has no value.
    pub fn drawn(&self, plan: &plan::Plan, point: &[f64]) -> Option<Vec<f64>> {
        let mut memory = Memory::new(&self.recipe.program);
        let mut choose = |k: usize, u: f64| point.get(k).copied().unwrap_or(u);
        plan.draw_with(&*self.machine, &mut memory, 0, &mut choose).ok().map(|v| v.drawn)
    }

    /// One run.
    pub fn run(&mut self, parameters: &[Parameter], values: &[f64]) -> Result<Report, String> {
        self.recorded(parameters, values).map(|(report, _)| report)
    }

    /// One run with what was recorded of it.
    fn recorded(&mut self, parameters: &[Parameter], values: &[f64]) -> Result<(Report, MemoryRows), String> {
        let list = &mut self.recipe.program.defaults.param.0;
        list.truncate(self.defaults);
        list.extend(parameters.iter().zip(values).map(|(p, &value)| Fill {
            first: p.slot,
            count: 1,
            step: 1,
            value,
        }));
        let (recorder, rows) = MemoryRecorder::new(self.recipe.plan.columns().clone());
        let outlets = vec![Outlet { plan: self.recipe.plan.clone(), recorder: Box::new(recorder) }];
        let mut watch = |_| Flow::Continue;
        run::simulate(&self.recipe.program, &mut *self.machine, &self.recipe.experiment, outlets, &mut watch)
            .map(|report| (report, rows))
            .map_err(|e| e.to_string())
    }

    /// The quantities at the end of a run, in their units; NaN where it failed or a figure is not known.
    pub fn values(&self, quantities: &[Quantity], report: &Report) -> Vec<f64> {
        let failed = matches!(report.ended, Ended::Failed(_));
        let row = report.last.first().map_or(&[][..], Vec::as_slice);
        let of = |q: &Quantity| {
            let (value, scale, offset) = match q.from {
                From::Row(cell, scale, offset) => (row.get(cell).copied(), scale, offset),
                From::Figure(k, j, scale, offset) => {
                    let figure = report.kpis.get(k).and_then(Option::as_ref);
                    (figure.and_then(|v| v.get(j)).copied(), scale, offset)
                }
            };
            value.filter(|_| !failed).map_or(f64::NAN, |v| (v - offset) / scale)
        };
        quantities.iter().map(of).collect()
    }
}

/// Does `count` pieces of work in threads, each with a worker of its own; the results stand in the order of the pieces.
/// None where the user asked to stop.
pub fn spread<W, R: Send>(
    jobs: Option<u16>,
    count: usize,
    interrupt: &Interrupt,
    make: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, usize) -> R + Sync,
) -> Option<Vec<R>> {
    let jobs = jobs.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<R>>> = Mutex::new((0..count).map(|_| None).collect());
    let all = || {
        let mut worker = make();
        loop {
            let k = next.fetch_add(1, Ordering::Relaxed);
            if k >= count || interrupt.requested() {
                return;
            }
            let result = work(&mut worker, k);
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[k] = Some(result);
        }
    };
    thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..jobs.clamp(1, count.max(1)) {
            started += usize::from(thread::Builder::new().stack_size(STACK).spawn_scoped(scope, all).is_ok());
        }
        if started == 0 {
            all();
        }
    });
    done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).into_iter().collect()
}

/// A column of numbers in a unit.
pub fn column(name: &str, unit: &str) -> ColumnSpec {
    let spec = ColumnSpec::real(name);
    if unit.is_empty() { spec } else { spec.in_unit(unit) }
}

/// Whether a name is one that the user asks for.
pub fn wanted(name: &str, patterns: &[String]) -> bool {
    fn fits(name: &str, pattern: &str) -> bool {
        match pattern.split_once('*') {
            None => name == pattern,
            Some((head, rest)) => match name.strip_prefix(head) {
                None => false,
                Some(tail) => {
                    (0..=tail.len()).filter(|k| tail.is_char_boundary(*k)).any(|k| fits(&tail[k..], rest))
                }
            },
        }
    }
    patterns.is_empty() || patterns.iter().any(|p| fits(name, p))
}

/// A number for JSON: what is no number is null.
pub fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}
