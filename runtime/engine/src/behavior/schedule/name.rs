//! Whose a handler or a piece of code is, and how it is called in messages.

use super::*;

impl<'a> Scheduler<'a> {
    /// Whose a handler, or the `entry` or `exit` of a state, is.
    pub(super) fn owner_of(&self, purpose: u32) -> u32 {
        streams::owner(self.b, purpose).unwrap_or(u32::MAX)
    }

    /// The handler behind an activation.
    pub(super) fn handler(&self, a: &Activation) -> u32 {
        match &a.what {
            What::Plain { handler, .. } => *handler,
            What::Machine { handlers, .. } => handlers.list()[0],
            What::Resume { slot } => self.slots[*slot].waiting.as_ref().map_or(NOBODY, |w| w.thread.purpose),
            What::Code { purpose, .. } => *purpose,
        }
    }

    /// An instant without end: says which handlers went on setting each other off.
    pub(super) fn zeno(&self, involved: &BTreeSet<(u32, u32)>) -> Box<Fault> {
        // One instance stands for all of a handler's.
        let mut handlers: Vec<(u32, u32)> = involved.iter().copied().collect();
        handlers.dedup_by_key(|(h, _)| *h);
        let alone = handlers.iter().all(|(h, i)| path(self.b, self.owner_of(*h), *i).is_empty());
        let name = |&(h, i): &(u32, u32)| {
            let f = self.named(h, i, FaultKind::Waits);
            let of = if f.twin.is_empty() || alone { String::new() } else { format!(" of `{}`", f.twin) };
            format!("`{}`{of}", f.code)
        };
        let mut names: Vec<String> = handlers.iter().take(MOST_NAMED).map(name).collect();
        if handlers.len() > MOST_NAMED {
            names.push(format!("{} more", handlers.len() - MOST_NAMED));
        }
        let kind = FaultKind::Zeno { steps: MICRO, handlers: names };
        match handlers.first() {
            Some(&(handler, i)) => {
                let mut fault = self.named(handler, i, kind);
                let others = handlers.iter().skip(1).take(MOST_NAMED - 1);
                fault.others =
                    others.filter_map(|(h, i)| self.named(*h, *i, FaultKind::Waits).origin).collect();
                fault
            }
            None => fault(self.b, u32::MAX, 0, kind),
        }
    }

    /// A fault at a handler's head.
    pub(super) fn named(&self, handler: u32, i: u32, kind: FaultKind) -> Box<Fault> {
        let Some(h) = self.b.handlers.get(handler as usize) else {
            let state = streams::state(self.b, handler).and_then(|(m, s, exit)| {
                let s = &self.b.machines[m as usize].states[s as usize];
                if exit { s.exit } else { s.entry }
            });
            let mut f = fault(self.b, state.unwrap_or(u32::MAX), 0, kind);
            f.twin = path(self.b, self.owner_of(handler), i);
            return f;
        };
        let code = h.body.or(h.guard).and_then(|c| self.b.codes.get(c as usize));
        let title = self.titles.get(handler as usize).filter(|t| !t.is_empty());
        let text = match (code, h.scope, h.target) {
            _ if title.is_some() => title.cloned().unwrap_or_default(),
            (Some(code), ..) => code.name.clone(),
            (None, Some((m, _)), Some(t)) => {
                let m = &self.b.machines[m as usize];
                format!("{} -> {}", m.name, m.states[t as usize].name)
            }
            _ => "handler".to_owned(),
        };
        Box::new(Fault {
            kind,
            code: text,
            twin: path(self.b, h.owner, i),
            origin: Some(h.origin),
            others: Vec::new(),
        })
    }

    pub(super) fn trap(&self, trap: Trap) -> Box<Fault> {
        fault(self.b, u32::MAX, 0, FaultKind::Trap(trap))
    }
}
