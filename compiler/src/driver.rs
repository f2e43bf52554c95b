//! The whole way: a text and its surroundings to a checked model, and on to a program and an experiment.
//!
//! Files, clocks and terminals stay with the caller: sources come through [`Loader`], columns of data files
//! through [`DataLoader`].

use crate::ast;
use crate::diag::{Diagnostic, Diagnostics, codes};
use crate::flat::{self, System};
use crate::flatten::{self, DataLoader, Request, Target};
use crate::hir;
use crate::outside::{Outside, SETTINGS};
pub use crate::outside::{Setting, Wish};
use crate::parser;
use crate::resolve::{self, Loader, Modules};
use crate::schedule::{self, Structure};
use crate::source::{FileId, SourceMap, Span};
use crate::typeck::{self, Checked};
use twinml_model::ids::VarId;
use twinml_model::program::{self, Program};
use twinml_model::requirement::Side;

/// A file and what it uses, parsed and checked.
#[derive(Debug)]
pub struct Session {
    /// All texts.
    pub sources: SourceMap,
    /// Everything said so far, in order.
    pub diags: Diagnostics,
    /// The root file.
    pub root: FileId,
    modules: Modules,
    checked: Checked,
    /// What was asked for from outside, as a text.
    outside: Option<Outside>,
}

/// What is to be compiled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// The scenario; `None`: the file's first one, or its last runnable twin where it has none.
    pub scenario: Option<&'a str>,
    /// Settings from outside, as `path=value` with a unit; they win over everything in the text.
    pub settings: &'a [String],
    /// Whether the flat system is wanted, too.
    pub keep_system: bool,
}

/// A program with everything that a run needs.
#[derive(Debug)]
pub struct Compiled {
    /// The program, without the derivatives that only some solvers need
    /// ([`twinml_model::passes::derive::complete`] adds them).
    pub program: Program,
    /// What to run and what to record.
    pub experiment: program::Experiment,
    /// The scenario's branches, in the source's order.
    pub branches: Vec<Branch>,
    /// Whether anything said how long to run.
    pub has_duration: bool,
    /// What `--explain` tells.
    pub structure: Structure,
    /// The flat system that the program was made of, where it was to be kept.
    pub system: Option<System>,
}

/// A branch of a scenario as a run of its own: the trunk up to its instant, its own actions from there on.
#[derive(Clone, Debug)]
pub struct Branch {
    /// Its name.
    pub name: String,
    /// Its instant, nanoseconds since the start.
    pub time_ns: i128,
    /// What to run; requirements are `name/path`.
    pub experiment: program::Experiment,
}

impl Session {
    /// Parses and checks a file with all that it uses. Errors are in `diags`.
    pub fn check(name: &str, text: &str, loader: &dyn Loader) -> Session {
        let (mut sources, mut diags) = (SourceMap::new(), Diagnostics::new());
        let root = sources.add(name, text);
        let modules = resolve::load(root, &mut sources, loader, &mut diags);
        let checked = typeck::lower(&modules, &mut diags);
        Session { sources, diags, root, modules, checked, outside: None }
    }

    /// The checked model; complete only where `diags` has no errors.
    pub fn model(&self) -> &hir::Model {
        &self.checked.model
    }

    /// The syntax tree of the root file.
    pub fn tree(&self) -> Option<&ast::Module> {
        self.modules.list.first().map(|m| &m.ast)
    }

    /// Names of the root file's scenarios, in order.
    pub fn scenarios(&self) -> impl Iterator<Item = &str> {
        self.checked.model.scenarios.iter().map(|s| &*s.name)
    }

    /// Instantiates and compiles what `choice` names. `None` where `diags` now says why not.
    pub fn compile(&mut self, choice: Choice<'_>, data: &mut dyn DataLoader) -> Option<Compiled> {
        self.compile_branched(choice, &[], data)
    }

    /// [`Session::compile`], with branches that the scenario does not have; they follow its own.
    pub fn compile_branched(
        &mut self,
        choice: Choice<'_>,
        wishes: &[Wish],
        data: &mut dyn DataLoader,
    ) -> Option<Compiled> {
        let before = self.diags.len();
        let compiled = self.compile_whole(choice, wishes, data);
        // What is said of a setting is said of what was given, not of the text that it was put into.
        if let Some(outside) = self.outside.take() {
            outside.name(&mut self.sources, &mut self.diags, before);
        }
        compiled
    }

    fn compile_whole(
        &mut self,
        choice: Choice<'_>,
        wishes: &[Wish],
        data: &mut dyn DataLoader,
    ) -> Option<Compiled> {
        if self.diags.has_errors() {
            return None;
        }
        let (mut system, experiment) = if choice.settings.is_empty() && wishes.is_empty() {
            self.flatten(choice.scenario, data)?
        } else {
            self.with_settings(choice, wishes, data)?
        };
        // What a scenario expects in words of its own is called by them.
        for (k, _) in &experiment.checks {
            let Some((path, span, _)) = system.requirements.get_mut(*k) else { continue };
            let file = self.sources.get(span.file);
            let text = file.and_then(|f| f.text.get(span.lo as usize..span.hi as usize)).unwrap_or_default();
            let words: Vec<&str> = text.split_whitespace().collect();
            *path = words.strip_prefix(&["not"]).unwrap_or(&words).join(" ");
        }
        let kept = choice.keep_system.then(|| system.clone());
        let beginnings = system.branches.clone();
        let scheduled = schedule::schedule(system, &self.sources, &mut self.diags)?;
        let (program, actions) = (scheduled.program, scheduled.actions);
        for r in &experiment.records {
            let shown = |v: &VarId| scheduled.shown.get(v.index()).copied().flatten().is_some();
            if !r.vars.iter().any(|(v, _)| shown(v))
                && r.vars.iter().any(|(v, _)| scheduled.noisy.contains(v))
            {
                self.diags.push(
                    Diagnostic::new(codes::NOISE_PLACE, r.span, "white noise cannot be recorded")
                        .note("it has no value at an instant: it only drives derivatives")
                        .help("record the states that it drives"),
                );
                return None;
            }
        }
        let records = experiment
            .records
            .iter()
            .map(|r| program::Record {
                vars: r
                    .vars
                    .iter()
                    .filter_map(|(v, elements)| {
                        Some((scheduled.shown.get(v.index()).copied()??, elements.clone()))
                    })
                    .collect(),
                every_as: r.every_as,
            })
            .collect();
        let mut requirements = scheduled.requirements;
        for (k, mut judged) in experiment.judged {
            for atom in &mut judged.atoms {
                atom.slot = scheduled.bases.get(atom.slot as usize).copied().unwrap_or_default();
                atom.side = atom.side.and_then(|side| {
                    let var = scheduled.shown.get(side.var as usize).copied().flatten()?;
                    Some(Side { var: var.0, ..side })
                });
            }
            if let Some(r) = requirements.get_mut(k) {
                r.judged = Some(judged);
            }
        }
        let base = |slot: u32| scheduled.bases.get(slot as usize).copied().unwrap_or_default();
        let (mut aggregates, mut kpis) = (experiment.aggregates, experiment.kpis);
        for a in &mut aggregates {
            a.slot = base(a.slot);
            a.atoms.iter_mut().for_each(|atom| atom.slot = base(atom.slot));
        }
        kpis.iter_mut().filter(|k| k.len > 0).for_each(|k| k.slot = base(k.slot));
        let checks = experiment.checks;
        let has_duration = experiment.duration.is_some();
        let experiment = program::Experiment {
            name: experiment.name,
            duration: experiment.duration.unwrap_or(DEFAULT_DURATION),
            solver: experiment.solver,
            seed: experiment.seed,
            samples: experiment.samples,
            actions,
            records,
            stops: stops(&beginnings, i128::MAX),
            requirements,
            aggregates,
            kpis,
        };
        let branches = beginnings.iter().zip(scheduled.branches);
        let mut branches: Vec<Branch> =
            branches.map(|(b, actions)| branch(&beginnings, b, actions, &experiment)).collect();
        let mut experiment = experiment;
        without_foreign(&mut experiment, None, &checks);
        for b in &mut branches {
            // A branch of a branch expects what that one does.
            let of = wishes.iter().find(|w| w.is(&b.name)).and_then(|w| w.of.as_deref());
            without_foreign(&mut b.experiment, Some(of.unwrap_or(&b.name)), &checks);
        }
        let structure = scheduled.structure;
        Some(Compiled { program, experiment, branches, has_duration, structure, system: kept })
    }

    fn flatten(&mut self, scenario: Option<&str>, data: &mut dyn DataLoader) -> Option<Flat> {
        let target = target(&self.checked.model, scenario, self.root, &mut self.diags)?;
        run_flatten(&self.checked.model, target, data, &mut self.diags)
    }

    /// Settings and branches are a scenario of their own, which extends the chosen one.
    fn with_settings(
        &mut self,
        choice: Choice<'_>,
        wishes: &[Wish],
        data: &mut dyn DataLoader,
    ) -> Option<Flat> {
        let chosen = target(&self.checked.model, choice.scenario, self.root, &mut self.diags)?;
        let outside = Outside::new(&mut self.sources, choice.settings, wishes);
        let (file, text) = (outside.file, outside.text.clone());
        let before = self.diags.error_count();
        let parsed = parser::parse(file, &text, &mut self.diags);
        self.outside = Some(outside);
        if self.diags.error_count() > before {
            return None;
        }
        let Some(ast::Item::Scenario(mut extra)) = parsed.items.into_iter().next() else { return None };
        let root = self.modules.list.first_mut()?;
        match chosen {
            Target::Scenario(s) => {
                let base = root.ast.items.iter().find_map(|i| match i {
                    ast::Item::Scenario(a) if *a.name.as_str() == *s.name => Some(a),
                    _ => None,
                })?;
                extra.target = base.target.clone();
                extra.args = base.args.clone();
                extra.base = Some(base.name.clone());
            }
            Target::Class(id) => {
                let name = self.checked.model.classes[id.0 as usize].name.clone();
                let class = root.ast.items.iter().find_map(|i| match i {
                    ast::Item::Twin(t) if *t.name.as_str() == *name => Some(t),
                    _ => None,
                })?;
                extra.target = ast::Path { names: vec![class.name.clone()], span: class.name.span };
                extra.args = Vec::new();
                extra.base = None;
            }
        }
        root.ast.items.push(ast::Item::Scenario(extra));
        let mut said = Diagnostics::new();
        let mut checked = typeck::lower(&self.modules, &mut said);
        if let Some(s) = checked.model.scenarios.iter_mut().find(|s| &*s.name == SETTINGS) {
            wishes.iter().for_each(|wish| wish.graft(&mut s.branches));
        }
        // What the file itself has to say was said before.
        let mut refused = false;
        for d in said
            .iter()
            .filter(|d| d.primary.span.file == file || d.labels.iter().any(|l| l.span.file == file))
        {
            refused |= d.severity == crate::diag::Severity::Error;
            self.diags.push(d.clone());
        }
        if let Some(root) = self.modules.list.first_mut() {
            root.ast.items.pop();
        }
        if refused || said.has_errors() {
            return None;
        }
        let target = target(&checked.model, Some(SETTINGS), self.root, &mut self.diags)?;
        let name = choice.scenario.map(str::to_owned).or_else(|| self.scenarios().next().map(str::to_owned));
        let mut flat = run_flatten(&checked.model, target, data, &mut self.diags)?;
        flat.1.name = name.unwrap_or_else(|| flat.0.name.clone());
        Some(flat)
    }
}

/// Takes away what another branch alone expects.
fn without_foreign(of: &mut program::Experiment, own: Option<&str>, checks: &[(usize, Option<String>)]) {
    let mut k = 0;
    of.requirements.retain(|_| {
        let foreign = checks.iter().any(|(at, b)| *at == k && b.is_some() && b.as_deref() != own);
        k += 1;
        !foreign
    });
}

/// Where branches begin before `end`, in order.
fn stops(branches: &[flat::Branch], end: i128) -> Vec<i128> {
    let mut all: Vec<i128> = branches.iter().map(|b| b.time_ns).filter(|t| *t < end).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The run of a branch; `trunk` is the scenario itself.
fn branch(
    all: &[flat::Branch],
    b: &flat::Branch,
    own: Vec<program::Action>,
    trunk: &program::Experiment,
) -> Branch {
    let mut experiment = trunk.clone();
    experiment.name = format!("{}/{}", trunk.name, b.name);
    experiment.actions.retain(|a| a.time_ns < b.time_ns);
    experiment.actions.extend(own);
    // The trunk's own stops up to here: the same steps. From here on nothing else begins.
    experiment.stops = stops(all, b.time_ns);
    for r in &mut experiment.requirements {
        if b.expects.contains(&r.path) {
            // What the branch itself says of it counts there.
            r.expected = true;
            if let Some(judged) = &mut r.judged {
                judged.refuted = b.refutes.contains(&r.path);
            }
        }
        r.path = format!("{}/{}", b.name, r.path);
    }
    for k in &mut experiment.kpis {
        k.path = format!("{}/{}", b.name, k.path);
    }
    Branch { name: b.name.clone(), time_ns: b.time_ns, experiment }
}

/// How long a run without a scenario lasts, in seconds.
pub const DEFAULT_DURATION: f64 = 10.0;

type Flat = (System, flat::Experiment);

fn run_flatten(
    model: &hir::Model,
    target: Target<'_>,
    data: &mut dyn DataLoader,
    diags: &mut Diagnostics,
) -> Option<Flat> {
    let out = flatten::flatten(model, Request { target, settings: &[] }, data);
    for d in out.diagnostics.iter() {
        diags.push(d.clone());
    }
    let system = out.system?;
    Some((system, out.experiment))
}

/// The scenario of that name, the first one, or the main twin.
fn target<'a>(
    model: &'a hir::Model,
    scenario: Option<&str>,
    root: FileId,
    diags: &mut Diagnostics,
) -> Option<Target<'a>> {
    let start = Span::new(root, 0, 0);
    if let Some(name) = scenario {
        if let Some(s) = model.scenarios.iter().find(|s| &*s.name == name) {
            return Some(Target::Scenario(s));
        }
        let names: Vec<&str> = model.scenarios.iter().map(|s| &*s.name).collect();
        let mut d = Diagnostic::new(codes::NO_SUCH_SCENARIO, start, format!("there is no scenario `{name}`"));
        d = match crate::diag::did_you_mean(name, names.iter().copied()) {
            Some(help) => d.help(help),
            None if names.is_empty() => d.help("the file has no scenario at all"),
            None => d.help(format!("the scenarios are {}", names.join(", "))),
        };
        diags.push(d);
        return None;
    }
    if let Some(s) = model.scenarios.first() {
        return Some(Target::Scenario(s));
    }
    if let Some(main) = model.main {
        return Some(Target::Class(main));
    }
    diags.push(
        Diagnostic::new(codes::NOTHING_TO_RUN, start, "there is nothing to run in this file")
            .help("write a twin that is not `partial` and whose parameters have defaults, or a scenario"),
    );
    None
}
