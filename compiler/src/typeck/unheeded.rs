//! What of a scenario would be passed over: said twice, after its end, or for another solver.

use std::rc::Rc;

use super::Checker;
use super::constant::number;
use crate::ast::{self, ScenarioItem};
use crate::diag::{Diagnostic, codes};
use crate::hir;

impl Checker<'_, '_> {
    /// A setting or an expectation that the scenario has already: one of the two would be passed over.
    pub(super) fn said_before(&mut self, before: &[ScenarioItem], item: &ScenarioItem) {
        let d = |span, message: String, old| {
            Diagnostic::new(codes::BAD_CLAUSE, span, message)
                .label(old, "first here")
                .help("keep one of them")
        };
        match item {
            ScenarioItem::Setting(s) => {
                let same =
                    |i: &&ScenarioItem| matches!(i, ScenarioItem::Setting(o) if o.name.text == s.name.text);
                if let Some(ScenarioItem::Setting(old)) = before.iter().find(same) {
                    let message = format!("this scenario has two settings `{}`", s.name.as_str());
                    self.say(d(s.name.span, message, old.name.span));
                }
            }
            ScenarioItem::Expect(list, _) => {
                let earlier = before.iter().filter_map(|i| match i {
                    ScenarioItem::Expect(list, _) => Some(list),
                    _ => None,
                });
                let all: Vec<&ast::Expectation> = earlier.flatten().chain(list).collect();
                let first = all.len() - list.len();
                for (k, e) in all.iter().enumerate().skip(first) {
                    let Some(path) = e.expr.as_path().filter(|_| e.equals.is_none()) else { continue };
                    let same = |o: &&&ast::Expectation| {
                        o.equals.is_none() && o.expr.as_path().is_some_and(|p| p.dotted() == path.dotted())
                    };
                    if let Some(old) = all[..k].iter().find(same)
                        && old.negated != e.negated
                    {
                        let message = format!("`{0}` is expected, and `not {0}` too", path.dotted());
                        self.say(d(e.span, message, old.span));
                    }
                }
            }
            _ => {}
        }
    }

    /// An action of the scenario's own that its own end comes before: it never happens.
    pub(super) fn after_the_end(&mut self, s: &hir::Scenario, inherited: usize) {
        let Some(end) = s.duration.as_ref().and_then(number) else { return };
        for a in &s.actions[inherited..] {
            if number(&a.time).is_some_and(|t| t > end) {
                let d = Diagnostic::new(
                    codes::NEVER_HAPPENS,
                    a.time.span,
                    "this comes after the end of the run and never happens",
                );
                let end = s.duration.as_ref().map_or(a.span, |d| d.span);
                self.say(
                    d.label(end, "the run ends here").help("make the run longer, or the instant earlier"),
                );
            }
        }
    }

    /// Settings of a solver whose step is fixed that are for those that choose theirs.
    pub(super) fn not_for_fixed_steps(
        &mut self,
        solver: &ast::Name,
        args: &[ast::Arg],
        given: &[(Rc<str>, hir::Expr)],
    ) {
        let value = |name: &str| given.iter().find(|(n, _)| **n == *name).and_then(|(_, e)| number(e));
        let (longest, step) = (value("max_step"), value("step"));
        for a in args {
            let Some(n) = &a.name else { continue };
            let name = solver.as_str();
            let message = match n.as_str() {
                "max_step" if longest.zip(step).is_some_and(|(most, h)| most < h) => {
                    format!("`{name}` takes `max_step` for its step, which is shorter than `step`")
                }
                "max_step" if step.is_none() => continue,
                "rtol" | "atol" | "initial_step" | "min_step" | "max_step" | "order" | "max_order" => {
                    format!("the step of `{name}` is fixed: `{}` does not change it", n.as_str())
                }
                _ => continue,
            };
            let d = Diagnostic::new(codes::IDLE, a.span, message);
            self.say(
                d.help("leave it out, or take a solver that chooses its steps, as `dopri5(rtol: 1e-6)`"),
            );
        }
    }
}
