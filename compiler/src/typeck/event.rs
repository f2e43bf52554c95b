//! Events by name: `overflow`, `pump.overflow`, `st[2].out`, `violated.safe`.

use std::rc::Rc;

use super::{Checker, Cx};
use crate::ast::{self, ExprKind as A};
use crate::hir::behavior::EventRef;
use crate::hir::{Step, Subscript};

/// Words that stand before the name of what an event is about.
pub(super) const ABOUT: [&str; 3] = ["violated", "stale", "failed"];

impl<'a> Checker<'a, '_> {
    /// The event that an expression names; indices are checked, names are not.
    pub(super) fn event_ref(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<EventRef> {
        let mut path = Vec::new();
        self.event_steps(cx, e, &mut path)?;
        let last = path.pop()?;
        if !last.subscripts.is_empty() {
            return None;
        }
        let mut name = last.name;
        if let Some(about) = path.last()
            && about.subscripts.is_empty()
            && ABOUT.contains(&&*about.name)
        {
            name = Rc::from(format!("{}.{name}", about.name));
            path.pop();
        }
        if path.first().is_some_and(|s| &*s.name == "self" && s.subscripts.is_empty()) {
            path.remove(0);
        }
        Some(EventRef { path, name, span: e.span })
    }

    fn event_steps(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr, out: &mut Vec<Step>) -> Option<()> {
        match &e.kind {
            A::Name(n) => out.push(Step { name: Rc::from(n.as_str()), subscripts: Vec::new() }),
            A::Field { base, name } => {
                self.event_steps(cx, base, out)?;
                out.push(Step { name: Rc::from(name.as_str()), subscripts: Vec::new() });
            }
            A::Index { base, indices } => {
                self.event_steps(cx, base, out)?;
                let mut subs = Vec::new();
                for i in indices {
                    subs.push(Subscript::Index(self.whole(cx, i)?.e));
                }
                out.last_mut()?.subscripts.extend(subs);
            }
            // `overflow(level: h)`: arguments are the statement's.
            A::Call { callee, .. } => self.event_steps(cx, callee, out)?,
            _ => return None,
        }
        Some(())
    }
}
