//! Branches of scenarios: they leave the trunk at an instant and hold assignments, parameters, timed actions and
//! expectations of their own; everything else is that of their scenario.

use std::rc::Rc;

use super::scenario::empty_like;
use super::{Checker, Cx};
use crate::ast::{self, ScenarioItem};
use crate::diag::{Diagnostic, codes};
use crate::hir::{self, ActionStmt, ClassId};
use crate::resolve::ModuleId;

impl<'a> Checker<'a, '_> {
    /// Two branches of one scenario have two names.
    pub(super) fn branch_names(&mut self, s: &'a ast::Scenario) {
        let mut seen: Vec<&ast::Name> = Vec::new();
        for item in &s.items {
            let ScenarioItem::Branch(b) = item else { continue };
            if let Some(old) = seen.iter().find(|o| o.text == b.name.text) {
                let message = format!("the branch `{}` is declared twice", b.name.as_str());
                let d =
                    Diagnostic::new(codes::DUPLICATE_NAME, b.name.span, message).here("declared again here");
                self.say(d.label(old.span, "first declared here"));
            }
            seen.push(&b.name);
        }
    }

    /// `branch no_repair at 45 min { … }`
    pub(super) fn branch(
        &mut self,
        m: ModuleId,
        class: ClassId,
        b: &'a ast::Branch,
        out: &mut hir::Scenario,
    ) {
        let mut cx = self.scenario_cx(m, class);
        let time = self.seconds(&mut cx, &b.at);
        let mut body = Vec::new();
        let mut inside = empty_like(out);
        for item in &b.items {
            let (what, span) = match item {
                ScenarioItem::Error(_) => continue,
                ScenarioItem::Action(s) => {
                    body.extend(self.action(&mut cx, class, s));
                    continue;
                }
                ScenarioItem::Parameters(list, _) => {
                    for o in list {
                        body.extend(self.branch_parameter(&mut cx, class, o));
                    }
                    continue;
                }
                ScenarioItem::Handler(_) | ScenarioItem::Expect(..) => {
                    self.scenario_item(m, class, item, &mut inside);
                    continue;
                }
                ScenarioItem::Setting(s) => ("a setting", s.name.span),
                ScenarioItem::Start(_, span) => ("`start`", *span),
                ScenarioItem::Drive(d) => ("`drive`", d.span),
                ScenarioItem::Branch(b) => ("a branch", b.name.span),
                ScenarioItem::Record(r) => ("`record`", r.span),
                ScenarioItem::Fidelity { span, .. } => ("`fidelity`", *span),
            };
            self.misplaced(
                span,
                &format!("{what} of a branch"),
                "a branch holds assignments, `parameters { … }`, `at` and `expect`; the rest is that of its scenario",
            );
        }
        let Some(time) = time else { return };
        // What a scenario inherits, it can replace.
        out.branches.retain(|o| *o.name != *b.name.as_str());
        out.branches.push(hir::Branch {
            name: Rc::from(b.name.as_str()),
            time,
            body,
            actions: inside.actions,
            later: 0,
            expects: inside.expects,
            checks: inside.checks,
            span: b.span,
        });
    }

    /// An entry of a branch's `parameters { … }`: an assignment at its instant.
    fn branch_parameter(
        &mut self,
        cx: &mut Cx<'a>,
        class: ClassId,
        o: &'a ast::Override,
    ) -> Option<ActionStmt> {
        match o {
            ast::Override::Set { target, value, vars, span } if vars.is_empty() => {
                let (r, e) = self.assignment(cx, class, target, value, false)?;
                Some(ActionStmt::Assign(r, e, *span))
            }
            ast::Override::Error(_) => None,
            ast::Override::Set { span, .. }
            | ast::Override::Draw { span, .. }
            | ast::Override::Guess { span, .. } => {
                let help = "from a branch's instant on a parameter has a new value: `area = 2 m^2`";
                self.misplaced(*span, "this form", help);
                None
            }
            ast::Override::Meta(s) => {
                self.misplaced(s.name.span, "this form", "a branch sets parameters: `area = 2 m^2`");
                None
            }
        }
    }
}
