//! Scenarios and branches.

use super::Printer;
use super::expr::{expr, generic_args, join, name, path};
use crate::ast::*;

impl Printer {
    pub(super) fn scenario(&mut self, s: &Scenario) {
        self.doc(s.doc.as_ref());
        let base = s.base.as_ref().map_or(String::new(), |b| format!(" extends {}", name(b)));
        let head =
            format!("scenario {} for {}{}{base}", name(&s.name), path(&s.target), generic_args(&s.args));
        self.block(&head, |p| s.items.iter().for_each(|i| p.scenario_item(i)));
    }

    fn scenario_item(&mut self, i: &ScenarioItem) {
        match i {
            ScenarioItem::Setting(s) => self.setting(s),
            ScenarioItem::Parameters(o, _) => self.block("parameters", |p| p.overrides(o)),
            ScenarioItem::Start(o, _) => self.block("start", |p| p.overrides(o)),
            ScenarioItem::Drive(d) => {
                let mut s = format!("drive {} from {}", expr(&d.target), expr(&d.source));
                if let Some(c) = &d.column {
                    s.push_str(&format!(" column {}", expr(c)));
                }
                s.push_str(&super::in_unit(d.unit.as_ref()));
                if let Some(m) = &d.method {
                    s.push_str(&format!(" {}", name(m)));
                }
                if let Some(o) = &d.outside {
                    s.push_str(&format!(" outside {}", name(o)));
                }
                self.line(&s);
            }
            ScenarioItem::Handler(h) => self.handler(h),
            ScenarioItem::Branch(b) => {
                self.doc(b.doc.as_ref());
                let head = format!("branch {} at {}", name(&b.name), expr(&b.at));
                self.block(&head, |p| b.items.iter().for_each(|i| p.scenario_item(i)));
            }
            ScenarioItem::Record(r) => {
                let every = r.every.as_ref().map_or(String::new(), |e| format!(" every {}", expr(e)));
                self.line(&format!("record {}{every}", join(&r.targets, expr)));
            }
            ScenarioItem::Expect(list, _) => {
                let one = |e: &Expectation| {
                    let not = if e.negated { "not " } else { "" };
                    let equals = e.equals.as_ref().map_or(String::new(), |(v, w)| {
                        let within = w.as_ref().map_or(String::new(), |w| format!(" within {}", expr(w)));
                        format!(" = {}{within}", expr(v))
                    });
                    format!("{not}{}{equals}", expr(&e.expr))
                };
                self.line(&format!("expect {}", join(list, one)));
            }
            ScenarioItem::Fidelity { target, level, .. } => {
                self.line(&format!("fidelity {} = {}", expr(target), name(level)));
            }
            ScenarioItem::Action(s) => self.stmt(s),
            ScenarioItem::Error(_) => self.error(),
        }
    }
}
