//! What happens at instants: right limits, limits that hold states, noise, behaviour.

use super::{Printer, System, string};
use std::fmt::Write;
use twinml_model::ids::VarId;
use twinml_model::text::behavior_text;

impl Printer {
    pub(super) fn hybrid(&mut self, s: &System) {
        for e in &s.nexts {
            self.equation("next", e);
        }
        for c in &s.clamps {
            self.out.push_str("clamp ");
            self.family(c.var);
            for (word, families) in [("limits", &c.limits), ("held", &c.held)] {
                let _ = write!(self.out, " {word}");
                for family in families {
                    match family {
                        Some(var) => {
                            self.out.push(' ');
                            self.family(*var);
                        }
                        None => self.out.push_str(" -"),
                    }
                }
            }
            self.span(c.span);
            self.out.push('\n');
        }
        for n in &s.noises {
            self.out.push_str("noise ");
            self.family(n.var);
            let _ = write!(self.out, " first {:?}", n.first);
            self.span(n.span);
            self.out.push('\n');
        }
        for (var, span) in &s.behavior_changes {
            self.out.push_str("change ");
            self.family(*var);
            self.span(*span);
            self.out.push('\n');
        }
    }

    /// Behaviour, in the form that it has in programs; its families are numbered as the `var`s are. It stands last.
    pub(super) fn behavior(&mut self, s: &System) {
        for (span, path) in &s.behavior.places {
            let _ = write!(self.out, "place {}", string(path));
            self.span(*span);
            self.out.push('\n');
        }
        self.out.push_str(&behavior_text(&s.behavior.model));
    }

    fn family(&mut self, var: VarId) {
        self.out.push_str(self.names.get(var.index()).map_or("?", String::as_str));
    }
}
