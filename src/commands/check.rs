//! `twinc check FILE…`

use std::path::Path;

use twinml_compiler::diag::{Diagnostic, Severity};
use twinml_compiler::driver::{Choice, Compiled, Session};
use twinml_compiler::source::SourceMap;
use twinml_model::program::RelationKind;

use super::compile;
use crate::args::{Check, Emit};
use crate::exit::Exit;
use crate::model::Data;
use crate::ui::json::{self, VERSION};
use crate::ui::numbers::{counted, duration};
use crate::ui::{Ui, numbers};
use crate::world::{self, Stopwatch};

/// Checks every file; the worst outcome is the command's.
pub fn run(args: &Check, ui: &Ui) -> Exit {
    let mut worst = Exit::Ok;
    for file in &args.files {
        let exit = one(file, args, ui);
        if exit.code() > worst.code() {
            worst = exit;
        }
    }
    worst
}

fn one(file: &Path, args: &Check, ui: &Ui) -> Exit {
    let watch = Stopwatch::start();
    let mut session = match compile::open(file, ui) {
        Ok(session) => session,
        Err(exit) => return exit,
    };
    let early = matches!(args.compile.emit, Some(Emit::Tokens | Emit::Ast));
    if (early || !session.diags.has_errors()) && compile::emit_early(&session, &args.compile, ui) {
        return finish(file, &session, args, ui, &[], watch);
    }
    let mut done = Vec::new();
    if !session.diags.has_errors() {
        let mut data = Data::of(&session);
        let all: Vec<String> = session.scenarios().map(str::to_owned).collect();
        let chosen: Vec<Option<String>> = match &args.compile.scenario {
            Some(name) => vec![Some(name.clone())],
            None if all.is_empty() => vec![None],
            None => all.into_iter().map(Some).collect(),
        };
        for scenario in chosen {
            let before = session.diags.len();
            let choice = Choice {
                scenario: scenario.as_deref(),
                settings: &args.compile.sets,
                keep_system: args.compile.emit == Some(Emit::Flat),
            };
            let compiled = session.compile(choice, &mut data);
            if let Some(compiled) = compiled {
                if compile::emit_late(&compiled, &args.compile, ui) {
                    return finish(file, &session, args, ui, &[], watch);
                }
                done.push(compiled);
            }
            // What is wrong with one scenario must not hide what is wrong with the next.
            soften(&mut session, before);
        }
    }
    finish(file, &session, args, ui, &done, watch)
}

/// A partial library has nothing to run, and what this version does not run yet is no fault of the model: both are
/// worth a note, not an error.
fn soften(session: &mut Session, from: usize) {
    let list = std::mem::take(&mut session.diags).into_vec();
    for (k, mut d) in list.into_iter().enumerate() {
        if k >= from && (is_later(&d) || d.code == twinml_compiler::diag::codes::NOTHING_TO_RUN) {
            d.severity = Severity::Note;
        }
        session.diags.push(d);
    }
}

/// Whether a diagnostic says that this version checks something but does not run it.
fn is_later(d: &Diagnostic) -> bool {
    ("E0750".."E0760").contains(&d.code.0)
}

fn finish(
    file: &Path,
    session: &Session,
    args: &Check,
    ui: &Ui,
    done: &[Compiled],
    watch: Stopwatch,
) -> Exit {
    let later = session.diags.iter().any(is_later);
    let said = ui.diagnostics(session.diags.iter(), &session.sources);
    let name = world::shown(file);
    if said.errors > 0 {
        ui.error_line(&format!("{name}: {}", counted(said.errors as u64, "error")));
        return Exit::Usage;
    }
    if args.compile.deny_warnings() && said.warnings > 0 {
        ui.error(
            &format!("{name}: {}, denied by `--deny warnings`", counted(said.warnings as u64, "warning")),
            None,
        );
        return Exit::Usage;
    }
    if args.compile.emit.is_some() {
        return Exit::Ok;
    }
    let warnings = match said.warnings {
        0 => String::new(),
        n => format!(" ({})", counted(n as u64, "warning")),
    };
    ui.step("Checked", &format!("{name}{warnings}"), Some(watch.elapsed()));
    for compiled in done {
        ui.object(&json::Compiled::of(&name, compiled));
        if args.explain {
            explain(compiled, &session.sources, ui);
        }
    }
    ui.object(&json::Checked {
        kind: "checked",
        version: VERSION,
        file: &name,
        errors: said.errors,
        warnings: said.warnings,
        not_run_yet: later,
    });
    Exit::Ok
}

/// What `--explain` tells of one program.
fn explain(compiled: &Compiled, sources: &SourceMap, ui: &Ui) {
    use std::fmt::Write;
    let (program, structure) = (&compiled.program, &compiled.structure);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "\n{} · {} ({})",
        program.name,
        compiled.experiment.name,
        duration(compiled.experiment.duration)
    );
    let states: Vec<String> = program
        .schema
        .vars
        .iter()
        .filter(|v| v.space == twinml_model::ir::Space::State)
        .map(|v| if v.len == 1 { v.element_path(0) } else { format!("{} ({})", v.template(), v.len) })
        .collect();
    let _ =
        writeln!(text, "  states      {}{}", numbers::count(u64::from(structure.states)), listed(&states));
    let _ = writeln!(text, "  algebraic   {}", numbers::count(u64::from(structure.algebraic)));
    for l in &structure.loops {
        let kind = if l.linear { "linear" } else { "nonlinear" };
        let _ = writeln!(
            text,
            "  loop        {} equations, {} unknowns after tearing, {kind}{}",
            l.equations,
            l.unknowns,
            listed(&l.names)
        );
    }
    let _ = writeln!(text, "  events      {}", numbers::count(u64::from(structure.events)));
    for relation in &program.relations {
        let Some(origin) = program.origins.get(relation.origin.index()) else { continue };
        let kind = if relation.kind == RelationKind::Step { "steps" } else { "switches" };
        let many = if relation.len > 1 { format!(" ({} of them)", relation.len) } else { String::new() };
        let _ = writeln!(text, "    {kind} at   line {}: {}{many}", origin.line, origin.text);
    }
    if structure.handlers + structure.machines > 0 {
        let n = |count, what| counted(count, what);
        let machines = match structure.machines {
            0 => String::new(),
            m => format!(", {} ({})", n(m, "machine"), n(structure.transitions, "transition")),
        };
        let _ = writeln!(text, "  behavior    {}{machines}", n(structure.handlers, "handler"));
    }
    if structure.invariants > 0 {
        let (n, kept) = (structure.invariants, structure.projected);
        let by = match n - kept {
            0 => "kept by projection".to_owned(),
            loose => format!("{kept} kept by projection, {loose} to the solver's tolerance"),
        };
        let free = structure.states.saturating_sub(n);
        let _ = writeln!(
            text,
            "  demoted     {n} of {} states follow from the others ({free} free); their constraints are {by}",
            structure.states
        );
    }
    for (span, times) in &structure.differentiated {
        let times = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
        let (place, source) = (sources.locate(*span), sources.slice(*span).replace('\n', " "));
        let _ = writeln!(text, "    differentiated {times}   {place}: {source}");
    }
    if structure.expanded.is_empty() {
        let _ = writeln!(text, "  expanded    nothing: arrays of instances stay loops");
    }
    for reason in &structure.expanded {
        let _ = writeln!(text, "  expanded    {reason}");
    }
    ui.text(&text);
}

/// A few names behind a count.
fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let more = if names.len() > 8 { ", …" } else { "" };
    format!(": {}{more}", names[..names.len().min(8)].join(", "))
}
