//! Handlers, machines, functions and statements.

use super::Printer;
use super::expr::{args, expr, for_head, generic_args, join, name, path, rhs, ty};
use crate::ast::*;

impl Printer {
    pub(super) fn func(&mut self, f: &Func) {
        self.doc(f.doc.as_ref());
        let private = if f.is_private { "private " } else { "" };
        let result = f.result.as_ref().map_or(String::new(), |t| format!(": {}", ty(t)));
        let head = format!("{private}func {}({}){result}", name(&f.name), params(&f.params));
        match &f.body {
            FuncBody::Block(b) => self.stmts(&head, b),
            FuncBody::Expr(e) => self.line(&format!("{head} = {}", expr(e))),
        }
    }

    fn stmts(&mut self, head: &str, b: &Block) {
        self.block(head, |p| b.stmts.iter().for_each(|s| p.stmt(s)));
    }

    pub(super) fn behavior_item(&mut self, i: &BehaviorItem) {
        match i {
            BehaviorItem::Handler(h) => self.handler(h),
            BehaviorItem::Func(f) => self.func(f),
            BehaviorItem::Machine(m) => {
                self.doc(m.doc.as_ref());
                self.block(&format!("machine {}", name(&m.name)), |p| p.machine_items(&m.items));
            }
            BehaviorItem::Error(_) => self.error(),
        }
    }

    fn machine_items(&mut self, items: &[MachineItem]) {
        for i in items {
            match i {
                MachineItem::Initial(n) => self.line(&format!("initial {}", name(n))),
                MachineItem::State(s) => {
                    self.doc(s.doc.as_ref());
                    self.block(&format!("state {}", name(&s.name)), |p| p.machine_items(&s.items));
                }
                MachineItem::Entry(b) => self.stmts("entry", b),
                MachineItem::Exit(b) => self.stmts("exit", b),
                MachineItem::Handler(h) => self.handler(h),
                MachineItem::Equation(e) => self.equation(e),
                MachineItem::Error(_) => self.error(),
            }
        }
    }

    pub(super) fn handler(&mut self, h: &Handler) {
        self.doc(h.doc.as_ref());
        let mut s = trigger(&h.trigger);
        if let Some(n) = &h.from {
            s.push_str(&format!(" from {}", name(n)));
        }
        if h.is_queued {
            s.push_str(" queued");
        }
        if let Some(t) = &h.target {
            s.push_str(&format!(" -> {}", path(t)));
        }
        if let Some(g) = &h.guard {
            s.push_str(&format!(" when {}", expr(g)));
        }
        match &h.body {
            Some(b) => self.stmts(&s, b),
            None => self.line(&s),
        }
    }

    pub(super) fn stmt(&mut self, s: &Stmt) {
        match &s.kind {
            StmtKind::Assign { target, value } => self.line(&format!("{} = {}", expr(target), rhs(value))),
            StmtKind::Local { name: n, ty: t, value } => {
                self.line(&format!("{}: {} = {}", name(n), ty(t), rhs(value)));
            }
            StmtKind::Expr(e) => self.line(&expr(e)),
            StmtKind::If { arms, otherwise } => {
                let mut head = String::from("if");
                for (c, b) in arms {
                    self.line(&format!("{head} {} {{", expr(c)));
                    self.body(b);
                    head = String::from("} else if");
                }
                if let Some(b) = otherwise {
                    self.line("} else {");
                    self.body(b);
                }
                self.line("}");
            }
            StmtKind::Match { subject, arms } => {
                self.block(&format!("match {}", expr(subject)), |p| {
                    for a in arms {
                        let guard = a.guard.as_ref().map_or(String::new(), |g| format!(" when {}", expr(g)));
                        p.stmts(&format!("{}{guard} ->", pattern(&a.pattern)), &a.body);
                    }
                });
            }
            StmtKind::For { vars, iter, cond, body } => {
                self.stmts(&for_head(vars, iter, cond.as_ref()), body);
            }
            StmtKind::While { cond, body } => self.stmts(&format!("while {}", expr(cond)), body),
            StmtKind::Return(None) => self.line("return"),
            StmtKind::Return(Some(e)) => self.line(&format!("return {}", rhs(e))),
            StmtKind::Emit(e) => self.line(&format!("emit {}", expr(e))),
            StmtKind::Send(m) => self.send(m),
            StmtKind::Publish { topic, message } => {
                let message = message.as_ref().map_or(String::new(), |m| format!(", {}", expr(m)));
                self.line(&format!("publish {}{message}", expr(topic)));
            }
            StmtKind::Subscribe(e) => self.line(&format!("subscribe {}", expr(e))),
            StmtKind::Log(e) if matches!(e.kind, ExprKind::Str(_)) => self.line(&format!("log {}", expr(e))),
            StmtKind::Log(e) => self.line(&format!("log \"${{{}}}\"", expr(e))),
            StmtKind::After { delay, body } => self.stmts(&format!("after {}", expr(delay)), body),
            StmtKind::Wait(Wait::Time(e)) => self.line(&format!("wait {}", expr(e))),
            StmtKind::Wait(Wait::Until(e)) => self.line(&format!("wait until {}", expr(e))),
            StmtKind::Wait(Wait::Event(e)) => self.line(&format!("wait for {}", expr(e))),
            StmtKind::Create { twin, args, overrides, into } => {
                let head = format!("create {}{}", path(twin), generic_args(args));
                self.line(&format!("{head} {{"));
                self.level += 1;
                self.overrides(overrides);
                self.level -= 1;
                let into = into.as_ref().map_or(String::new(), |e| format!(" in {}", expr(e)));
                self.line(&format!("}}{into}"));
            }
            StmtKind::Retire(e) => self.line(&format!("retire {}", expr(e))),
            StmtKind::Fail(e) => self.line(&format!("fail {}", expr(e))),
            StmtKind::Stop(None) => self.line("stop"),
            StmtKind::Stop(Some(e)) => self.line(&format!("stop {}", expr(e))),
            StmtKind::Force { target, value } => {
                self.line(&format!("force {} = {}", expr(target), expr(value)));
            }
            StmtKind::Release(e) => self.line(&format!("release {}", expr(e))),
            StmtKind::Error => self.error(),
        }
    }

    fn body(&mut self, b: &Block) {
        self.level += 1;
        b.stmts.iter().for_each(|s| self.stmt(s));
        self.level -= 1;
    }

    fn send(&mut self, m: &Send) {
        let mut s = String::from(match m.kind {
            SendKind::Send => "send ",
            SendKind::Broadcast => "broadcast ",
            SendKind::Reply => "reply ",
        });
        s.push_str(&expr(&m.message));
        for (word, e) in [("to", &m.to), ("after", &m.after), ("priority", &m.priority)] {
            if let Some(e) = e {
                s.push_str(&format!(" {word} {}", expr(e)));
            }
        }
        if !m.attrs.is_empty() {
            s.push_str(&format!(", {}", super::attrs(&m.attrs)));
        }
        self.line(&s);
    }
}

fn params(list: &[Param]) -> String {
    join(list, |p| {
        let t = p.ty.as_ref().map_or(String::new(), |t| format!(": {}", ty(t)));
        let d = p.default.as_ref().map_or(String::new(), |e| format!(" = {}", expr(e)));
        format!("{}{t}{d}", name(&p.name))
    })
}

fn trigger(t: &Trigger) -> String {
    match t {
        Trigger::Start => String::from("on start"),
        Trigger::Stop => String::from("on stop"),
        Trigger::Edge { kind, expr: e } => {
            let word = match kind {
                EdgeKind::Rising => "rising",
                EdgeKind::Falling => "falling",
                EdgeKind::Change => "change",
            };
            format!("on {word}({})", expr(e))
        }
        Trigger::Every { period, offset } => {
            let offset = offset.as_ref().map_or(String::new(), |o| format!(" offset {}", expr(o)));
            format!("every {}{offset}", expr(period))
        }
        Trigger::At(e) => format!("at {}", expr(e)),
        Trigger::After { delay, state } => {
            let state = state.as_ref().map_or(String::new(), |p| format!(" in {}", path(p)));
            format!("after {}{state}", expr(delay))
        }
        Trigger::When(e) => format!("when {}", expr(e)),
        Trigger::Event { event, params: None } => format!("on {}", expr(event)),
        Trigger::Event { event, params: Some(p) } => format!("on {}({})", expr(event), params(p)),
        Trigger::Pattern { kind, args: list } => {
            let list: Vec<Arg> =
                list.iter().map(|e| Arg { name: None, value: e.clone(), unit: None, span: e.span }).collect();
            format!("on {}({})", kind.as_str(), args(&list))
        }
        Trigger::Error => String::from("on <error>"),
    }
}

fn pattern(p: &Pattern) -> String {
    match &p.kind {
        PatternKind::Any => String::from("_"),
        PatternKind::Literal(e) => literal(e),
        PatternKind::Range { lo, hi } => format!("{}..{}", literal(lo), literal(hi)),
        PatternKind::Path(p) => path(p),
        PatternKind::Record { path: p, fields, rest } => {
            let mut parts: Vec<String> = fields
                .iter()
                .map(|f| match &f.pattern {
                    None => name(&f.name),
                    Some(p) => format!("{}: {}", name(&f.name), pattern(p)),
                })
                .collect();
            if *rest {
                parts.push(String::from(".."));
            }
            format!("{} {{ {} }}", path(p), parts.join(", "))
        }
        PatternKind::Error => String::from("<error>"),
    }
}

/// A literal of a pattern: a minus has no parentheses there.
fn literal(e: &Expr) -> String {
    let text = match &e.kind {
        ExprKind::Unary { op: UnaryOp::Neg, expr: e } => format!("-{}", expr(e)),
        _ => expr(e),
    };
    match text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
        Some(inner) if inner.starts_with('-') => inner.to_string(),
        _ => text,
    }
}
