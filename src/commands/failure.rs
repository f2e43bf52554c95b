//! A failed simulation as a diagnostic at the equations concerned.

use twinml_compiler::diag::{Diagnostic, codes};
use twinml_compiler::source::{FileId, Span};
use twinml_engine::behavior::FaultKind;
use twinml_engine::run::{Blank, Broken, Failure, FailureKind};
use twinml_model::ids::{BlockId, OriginId};
use twinml_model::ir::{Region, Space, Stmt};
use twinml_model::program::Program;
use twinml_model::schema::Variable;
use twinml_solvers::error::SolveError;
use twinml_solvers::integrator::Method;

use crate::ui::numbers::{instant, short};

/// Most unknowns that are named.
const SHOWN: usize = 6;
/// A state below this, in SI, at which steps become too small is taken for one that has come to 0.
const COME_TO_ZERO: f64 = 1e-15;

/// The failure with its places, values and a likely mend.
pub fn diagnostic(failure: &Failure, program: &Program) -> Diagnostic {
    let (code, help) = match &failure.kind {
        FailureKind::Solver(SolveError::TooManySteps { .. }) => {
            (codes::STEP_LIMIT, Some("raise `--max-steps`, or loosen the tolerances"))
        }
        FailureKind::Solver(SolveError::NotFinite { .. }) => (
            codes::SOLVER_STOPPED,
            Some("look for a division by zero, a root or logarithm of a negative value in this equation"),
        ),
        FailureKind::Solver(SolveError::NoSeries { .. }) => (
            codes::SOLVER_STOPPED,
            Some("a root or a power of something that has come to 0 has none; `tsit5` and `adams` need none"),
        ),
        FailureKind::Solver(SolveError::StepTooSmall { .. })
            if failure.values.first().is_some_and(|(_, value, _)| value.abs() < COME_TO_ZERO) =>
        {
            (
                codes::SOLVER_STOPPED,
                Some(
                    "at 0 a root has no slope, a logarithm and a quotient have no value: keep what is below 0 out of \
                      them, as in `sqrt(max(h, 0 m))`",
                ),
            )
        }
        FailureKind::Solver(_) => {
            (codes::SOLVER_STOPPED, Some("try another `--solver`, or look for what grows without bound"))
        }
        FailureKind::Block { initial: true, .. } => (
            codes::LOOP_UNSOLVED,
            Some("give the unknowns a `guess` near the solution, or check the start values"),
        ),
        FailureKind::Block { .. } => (
            codes::LOOP_UNSOLVED,
            Some(
                "check whether these equations have a solution behind this point: here two may meet and end, as where \
                      a mechanism locks",
            ),
        ),
        FailureKind::Table { .. } => {
            (codes::TABLE_RANGE, Some("write `outside: hold`, `extend` or `repeat`, or give more samples"))
        }
        FailureKind::Index { .. } => (codes::INDEX_RANGE, None),
        FailureKind::NoValue => (
            codes::SOLVER_STOPPED,
            Some(
                "look for a division by zero, a root or logarithm of a negative value, or a factor of the unknown \
                  that has become 0, here or in the equations that are solved together with this one",
            ),
        ),
        FailureKind::NotWhole => (
            codes::SOLVER_STOPPED,
            Some("look for a division by 0 in `div`, or count in a `Real`, or in larger steps"),
        ),
        FailureKind::NotFinite => (codes::START_NOT_FINITE, None),
        FailureKind::Inconsistent { .. } => (
            codes::START_CONTRADICTS,
            Some("write `guess` instead of `=` for a state that follows from the others"),
        ),
        FailureKind::Unsettled { .. } => {
            (codes::UNSETTLED, Some("the comparisons contradict each other at this instant"))
        }
        FailureKind::Behavior(fault) => match fault.kind {
            FaultKind::Zeno { .. } => (
                codes::ZENO,
                Some("let handlers of one instant come to an end, or let time pass between them"),
            ),
            FaultKind::Index { .. } => (codes::INDEX_RANGE, None),
            FaultKind::Fuel { .. } => (codes::HANDLER_FAILED, Some("let the loop end, or `wait` in it")),
            FaultKind::Memory { .. } => (
                codes::HANDLER_FAILED,
                Some("take out what is put in, or keep less; events, timers and waiting handlers count too"),
            ),
            FaultKind::Depth { .. } => {
                (codes::HANDLER_FAILED, Some("let the function end without calling itself, or write a loop"))
            }
            FaultKind::Nesting { .. } => {
                (codes::HANDLER_FAILED, Some("keep a list of values instead of values inside values"))
            }
            FaultKind::NoNumber { .. } => {
                (codes::HANDLER_FAILED, Some("look for `0/0`, or a root or logarithm of a negative value"))
            }
            FaultKind::NotWhole { .. } | FaultKind::Inexact { .. } => {
                (codes::HANDLER_FAILED, Some("count in a `Real`, or in larger steps"))
            }
            FaultKind::NoMatch { .. } => (codes::HANDLER_FAILED, Some("add an arm `_ -> …`")),
            FaultKind::Time { .. } => (codes::HANDLER_FAILED, Some("give a time of 0 s or more")),
            _ => (codes::HANDLER_FAILED, None),
        },
        FailureKind::NotCommuting { .. } => (
            codes::NOISE_COMMUTE,
            Some("take `solver: euler(step: …)`, or write noises that drive states of their own"),
        ),
        FailureKind::Zeno { handlers, .. } if !handlers.is_empty() => (
            codes::ZENO,
            Some(
                "let the handler end what repeats ever faster: below a small value hold it still, as in \
                  `if abs(v) < 1 mm/s { v = 0 m/s }` with a state of its own for rest",
            ),
        ),
        FailureKind::Zeno { .. } => (
            codes::ZENO,
            Some("give the comparison a hysteresis, or describe the sliding motion by an equation"),
        ),
    };
    let mut places = failure.origins.iter().filter_map(|o| place(program, *o));
    let first = places.next();
    let span = first.as_ref().map_or(Span::new(FileId(u32::MAX), 0, 0), |(span, _)| *span);
    let mut d = Diagnostic::new(code, span, failure.to_string());
    let words = match &failure.kind {
        FailureKind::Behavior(fault) => Some(match fault.kind {
            FaultKind::Fuel { .. } => ("this goes on without end", ""),
            FaultKind::Memory { .. } | FaultKind::Nesting { .. } => ("what this makes is too much", ""),
            FaultKind::Depth { .. } => ("this call is one too many", ""),
            FaultKind::Zeno { .. } => ("this runs again and again", "and this"),
            FaultKind::Fail { .. } => ("it fails here", ""),
            _ => ("here", ""),
        }),
        FailureKind::Zeno { .. } => Some(("this changes again and again", "and this")),
        FailureKind::Table { .. } => Some(("it is looked up here", "and here")),
        FailureKind::NotCommuting { .. } => Some(("one of the noises", "the other one")),
        FailureKind::NoValue | FailureKind::NotWhole => Some(("its equation", "the derivative")),
        _ => None,
    };
    if let Some((here, _)) = words {
        if first.is_some() {
            d = d.here(here);
        }
    } else if let Some((_, text)) = first {
        let residual = failure.residuals.first().map(|r| format!(" is off by {}", short(*r, 4)));
        d = d.here(format!("{text}{}", residual.unwrap_or_default()));
    }
    for (k, (span, text)) in places.enumerate() {
        if let Some((_, also)) = words {
            d = d.label(span, also);
            continue;
        }
        let residual = failure.residuals.get(k + 1).map(|r| format!(" is off by {}", short(*r, 4)));
        d = d.label(span, format!("{text}{}", residual.unwrap_or_default()));
    }
    if !failure.values.is_empty() {
        let values: Vec<String> = failure
            .values
            .iter()
            .map(|(path, value, unit)| format!("{path} = {} {unit}", short(*value, 6)).trim_end().to_owned())
            .collect();
        d = d.note(format!("at the values {}", values.join(", ")));
    }
    if let FailureKind::Block { failure, initial: true } = &failure.kind {
        let bare = unguessed(program, failure.block);
        if !bare.is_empty() {
            let more = bare.len().saturating_sub(SHOWN);
            let names: Vec<String> = bare.iter().take(SHOWN).map(|path| format!("`{path}`")).collect();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            d = d.note(format!("no `guess` is given for {}{more}: it was tried from 0", names.join(", ")));
        }
    }
    match help {
        Some(help) => d.help(help),
        None => d,
    }
}

/// The unknowns of a loop that the model gives no guess for.
fn unguessed(program: &Program, block: BlockId) -> Vec<String> {
    let Some(block) = program.blocks.get(block.index()) else { return Vec::new() };
    let spaces = program.defaults.spaces();
    let mut bare = Vec::new();
    for run in &block.unknowns {
        for slot in run.base..run.base + run.len {
            let filled =
                spaces.iter().any(|(s, fills)| *s == run.space && fills.0.iter().any(|f| f.holds(slot)));
            // A guess that is a formula is stored at the start.
            let stored = || stores(&program.initial.body, run.space, i64::from(slot));
            if filled || stored() {
                continue;
            }
            let holds = |v: &&Variable| v.space == run.space && (v.base..v.base + v.len).contains(&slot);
            if let Some(v) = program.schema.vars.iter().find(holds) {
                bare.push(v.element_path(slot - v.base));
            }
        }
    }
    bare
}

/// Whether a store before anything is solved may reach a slot.
fn stores(region: &Region, space: Space, slot: i64) -> bool {
    let before = region.iter().take_while(|s| !matches!(s, Stmt::Solve(_)));
    before.into_iter().any(|s| match s {
        Stmt::Store { place, .. } if place.space == space => {
            place.at.base == slot || !place.at.terms.is_empty() && place.at.base <= slot
        }
        Stmt::For(l) => stores(&l.body, space, slot),
        Stmt::If(i) => stores(&i.then, space, slot) || stores(&i.otherwise, space, slot),
        _ => false,
    })
}

/// A failed run's diagnostic, which names the first row that holds what is no number.
pub fn of_report(failure: &Failure, blank: Option<&Blank>, program: &Program) -> Diagnostic {
    let d = diagnostic(failure, program);
    match blank.filter(|b| b.first.time < failure.time) {
        Some(b) => d.note(format!("the first row that holds such a value: {}", b.first)),
        None => d,
    }
}

/// Rows that hold what is no number, as a warning at its equation.
pub fn blank_rows(blank: &Blank, program: &Program) -> Diagnostic {
    let d = diagnostic(&blank.first, program);
    let rows = if blank.rows == 1 { "1 row holds".to_owned() } else { format!("{} rows hold", blank.rows) };
    Diagnostic { code: codes::ROW_BLANK, severity: codes::ROW_BLANK.severity(), ..d }.note(format!(
        "{rows} such a value; the sample goes on, as in its job: it is judged at other instants than those of rows"
    ))
}

/// A range that was left, as a warning at its condition.
pub fn left_range(broken: &Broken, program: &Program) -> Diagnostic {
    let (value, unit) = shown(broken, program);
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    let nowhere = (Span::new(FileId(u32::MAX), 0, 0), String::new());
    let (span, _) = place(program, broken.origin).unwrap_or(nowhere);
    let (path, time) = (&broken.path, instant(broken.time));
    let d = Diagnostic::new(codes::RANGE_LEFT, span, format!("`{path}` leaves its range at {time}"))
        .here(format!("`{path}` is {}{unit}", short(value, 6)));
    let d = if broken.clamped { d.note("`else clamp` holds it at its limit") } else { d };
    match (broken.times, broken.stopped) {
        (_, true) => d.note("`else stop` ends the run here"),
        (1, false) => d,
        (n, false) => d.note(format!("it leaves this range {n} times; this is the first")),
    }
}

/// The value of a range that was left and its unit, as people see it.
pub fn shown(broken: &Broken, program: &Program) -> (f64, String) {
    match program.schema.vars.get(broken.var.index()) {
        Some(v) => ((broken.value - v.unit.offset) / v.unit.scale, v.unit.symbol.clone()),
        None => (broken.value, String::new()),
    }
}

/// The condition of a range as it was written, behind whose it is.
pub fn condition(broken: &Broken, program: &Program) -> String {
    program.origins.get(broken.origin.index()).map_or_else(String::new, |o| o.text.clone())
}

/// The place of an origin, and whose equation it is.
fn place(program: &Program, origin: OriginId) -> Option<(Span, String)> {
    let origin = program.origins.get(origin.index())?;
    if origin.file == u32::MAX {
        return None;
    }
    let owner = origin.text.split_once(": ").map_or("this equation", |(owner, _)| owner);
    let owner = if owner.contains([' ', '=']) { "this equation" } else { owner };
    Some((Span::new(FileId(origin.file), origin.lo, origin.hi), owner.to_owned()))
}

/// What is wrong with the solver of a stochastic model.
pub fn unfit(method: Method, program: &Program) -> Diagnostic {
    let at = program.noise.first().and_then(|n| place(program, n.origin));
    let span = at.map_or(Span::new(FileId(u32::MAX), 0, 0), |(span, _)| span);
    Diagnostic::new(
        codes::NOISE_SOLVER,
        span,
        format!("`{}` cannot solve a model with white noise", method.name()),
    )
    .here("this makes the model stochastic")
    .help("take `euler(step: …)` or `milstein(step: …)`")
}
