//! Twins and their sections.

use super::Printer;
use super::expr::{args, expr, for_head, generic_args, generic_value, join, name, path, ty};
use crate::ast::*;

impl Printer {
    pub(super) fn twin(&mut self, t: &Twin) {
        self.doc(t.doc.as_ref());
        let partial = if t.is_partial.is_some() { "partial " } else { "" };
        let kind = t.kind.map_or(String::new(), |k| format!("{} ", k.as_str()));
        let one = |p: &GenericParam| {
            let d = p.default.as_ref().map_or(String::new(), |v| format!(" = {}", generic_value(v)));
            format!("{}: {}{d}", name(&p.name), ty(&p.bound))
        };
        let params = if t.params.is_empty() { String::new() } else { format!("<{}>", join(&t.params, one)) };
        self.block(&format!("{partial}{kind}twin {}{params}", name(&t.name)), |p| p.members(&t.members));
    }

    fn members(&mut self, list: &[Member]) {
        list.iter().for_each(|m| self.member(m));
    }

    fn member(&mut self, m: &Member) {
        match m {
            Member::Extends(e) => {
                let head = format!("extends {}{}", path(&e.base), generic_args(&e.args));
                self.with_overrides(&head, &e.overrides, "");
            }
            Member::Meta(s) => self.setting(s),
            Member::Decls(s) => self.block(s.kind.as_str(), |p| p.decl_entries(&s.entries)),
            Member::Equations(s) => {
                let head = if s.is_initial { "initial equations" } else { "equations" };
                self.block(head, |p| s.equations.iter().for_each(|e| p.equation(e)));
            }
            Member::Ports(list, _) => self.block("ports", |p| p.decl_entries(list)),
            Member::Twins(list, _) => self.block("twins", |p| list.iter().for_each(|e| p.part(e))),
            Member::Connections(list, _) => self.block("connections", |p| p.connections(list)),
            Member::Behavior(list, _) => {
                self.block("behavior", |p| list.iter().for_each(|i| p.behavior_item(i)));
            }
            Member::Memory(list, _) => self.block("memory", |p| list.iter().for_each(|e| p.memory(e))),
            Member::Capabilities(list, _) => {
                self.block("capabilities", |p| list.iter().for_each(|c| p.capability(c)));
            }
            Member::Constraints(list, _) => {
                self.block("constraints", |p| list.iter().for_each(|c| p.constraint(c)));
            }
            Member::Sync(list, _) => self.block("sync", |p| list.iter().for_each(|i| p.sync_item(i))),
            Member::Fidelity(f) => {
                self.doc(f.doc.as_ref());
                self.block(&format!("fidelity {}", name(&f.name)), |p| p.members(&f.members));
            }
            Member::Error(_) => self.error(),
        }
    }

    fn with_overrides(&mut self, head: &str, list: &[Override], tail: &str) {
        if list.is_empty() {
            self.line(&format!("{head}{tail}"));
            return;
        }
        self.line(&format!("{head} {{"));
        self.level += 1;
        self.overrides(list);
        self.level -= 1;
        self.line(&format!("}}{tail}"));
    }

    fn decl_entries(&mut self, list: &[DeclEntry]) {
        for e in list {
            match e {
                DeclEntry::Decl(d) => self.decl(d, ""),
                DeclEntry::Correlate(a, _) => self.line(&format!("correlate({})", args(a))),
                DeclEntry::Error(_) => self.error(),
            }
        }
    }

    fn part(&mut self, e: &PartEntry) {
        match e {
            PartEntry::Part(t) => {
                self.doc(t.doc.as_ref());
                let outer = if t.is_outer.is_some() { "outer " } else { "" };
                let cond = t.cond.as_ref().map_or(String::new(), |c| format!(" if {}", expr(c)));
                self.with_overrides(&format!("{outer}{}: {}", name(&t.name), ty(&t.ty)), &t.overrides, &cond);
            }
            PartEntry::Error(_) => self.error(),
        }
    }

    pub(super) fn equation(&mut self, e: &Equation) {
        self.doc(e.doc.as_ref());
        let label = e.label.as_ref().map_or(String::new(), |n| format!("{}: ", name(n)));
        match &e.kind {
            EquationKind::Equal { left, right } => {
                self.line(&format!("{label}{} = {}", expr(left), expr(right)));
            }
            EquationKind::For { vars, iter, cond, body } => {
                let head = format!("{label}{}", for_head(vars, iter, cond.as_ref()));
                self.block(&head, |p| body.iter().for_each(|e| p.equation(e)));
            }
            EquationKind::If { arms, otherwise } => {
                let mut head = format!("{label}if");
                for (c, list) in arms {
                    self.line(&format!("{head} {} {{", expr(c)));
                    self.level += 1;
                    list.iter().for_each(|e| self.equation(e));
                    self.level -= 1;
                    head = String::from("} else if");
                }
                if let Some(list) = otherwise {
                    self.line("} else {");
                    self.level += 1;
                    list.iter().for_each(|e| self.equation(e));
                    self.level -= 1;
                }
                self.line("}");
            }
            EquationKind::Error => self.error(),
        }
    }

    fn connections(&mut self, list: &[Connection]) {
        for c in list {
            match c {
                Connection::Link { doc, kind, from, to, attrs, .. } => {
                    self.doc(doc.as_ref());
                    let sign = match kind {
                        LinkKind::Causal => "->",
                        LinkKind::Acausal => "--",
                    };
                    let attrs = if attrs.is_empty() {
                        String::new()
                    } else {
                        format!(" with {}", super::attrs(attrs))
                    };
                    self.line(&format!("{} {sign} {}{attrs}", expr(from), expr(to)));
                }
                Connection::For { vars, iter, cond, body, .. } => {
                    self.block(&for_head(vars, iter, cond.as_ref()), |p| p.connections(body));
                }
                Connection::If { arms, otherwise, .. } => {
                    let mut head = String::from("if");
                    for (c, list) in arms {
                        self.line(&format!("{head} {} {{", expr(c)));
                        self.level += 1;
                        self.connections(list);
                        self.level -= 1;
                        head = String::from("} else if");
                    }
                    if let Some(list) = otherwise {
                        self.line("} else {");
                        self.level += 1;
                        self.connections(list);
                        self.level -= 1;
                    }
                    self.line("}");
                }
                Connection::Error(_) => self.error(),
            }
        }
    }

    fn memory(&mut self, m: &MemoryEntry) {
        self.doc(m.doc.as_ref());
        let call = |word: &str, a: &[Arg]| match a {
            [] => word.to_string(),
            a => format!("{word}({})", args(a)),
        };
        let kind = match &m.kind {
            MemoryKind::Run(t) => ty(t),
            MemoryKind::Session(a) => call("session_scoped", a),
            MemoryKind::Persistent(a) => call("persistent", a),
            MemoryKind::External(a) => call("external", a),
            MemoryKind::Other(n, a) => format!("{}({})", name(n), args(a)),
            MemoryKind::Error => return self.error(),
        };
        let value = m.value.as_ref().map_or(String::new(), |e| format!(" = {}", expr(e)));
        self.line(&format!("{}: {kind}{value}", name(&m.name)));
    }

    fn capability(&mut self, c: &Capability) {
        if c.is_error {
            return self.error();
        }
        self.doc(c.doc.as_ref());
        let tail = if c.attrs.is_empty() { String::new() } else { format!(", {}", super::attrs(&c.attrs)) };
        self.line(&format!("{}: {}({}){tail}", name(&c.name), name(&c.provider), args(&c.args)));
    }

    fn constraint(&mut self, c: &Constraint) {
        match c {
            Constraint::Requirement(r) => {
                self.doc(r.doc.as_ref());
                let mut s = format!("{}: {}", name(&r.name), expr(&r.formula));
                if let Some(c) = &r.claim {
                    s.push_str(&format!(" with probability {} {}", c.op.as_str(), expr(&c.probability)));
                    if let Some(c) = &c.confidence {
                        s.push_str(&format!(" confidence {}", expr(c)));
                    }
                }
                if !r.attrs.is_empty() {
                    s.push_str(&format!(", {}", super::attrs(&r.attrs)));
                }
                self.line(&s);
            }
            Constraint::Kpi(k) => {
                self.doc(k.doc.as_ref());
                let goal = match k.goal {
                    None => "",
                    Some(Goal::Minimize) => " minimize",
                    Some(Goal::Maximize) => " maximize",
                };
                let unit = super::in_unit(k.unit.as_ref());
                self.line(&format!("kpi {}{unit}: {}{goal}", name(&k.name), expr(&k.value)));
            }
            Constraint::Policy(s) => self.setting(s),
            Constraint::Error(_) => self.error(),
        }
    }

    fn sync_item(&mut self, i: &SyncItem) {
        match i {
            SyncItem::Link(l) => {
                let head = format!("{}({})", name(&l.protocol), args(&l.args));
                self.block(&head, |p| l.bindings.iter().for_each(|b| p.binding(b)));
            }
            SyncItem::Setting(s) => self.setting(s),
            SyncItem::Error(_) => self.error(),
        }
    }

    fn binding(&mut self, b: &Binding) {
        if b.is_error {
            return self.error();
        }
        self.doc(b.doc.as_ref());
        let sign = match b.direction {
            Direction::In => "<-",
            Direction::Out => "->",
        };
        let mut s =
            format!("{} {sign} {}{}", expr(&b.target), expr(&b.address), super::in_unit(b.unit.as_ref()));
        for (word, e) in
            [("noise", &b.noise), ("stale", &b.stale), ("every", &b.every), ("conflict", &b.conflict)]
        {
            if let Some(e) = e {
                s.push_str(&format!(" {word} {}", expr(e)));
            }
        }
        if b.on_change {
            s.push_str(" on change");
        }
        if !b.attrs.is_empty() {
            s.push_str(&format!(", {}", super::attrs(&b.attrs)));
        }
        self.line(&s);
    }
}
