//! State machines.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::class::SigKind;
use super::{Checker, Cx, Mode};
use crate::ast::{self, Machine, MachineItem};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::{self, ClassId, Name};

/// What stands in a machine or in a state, checked.
#[derive(Default)]
struct Inside {
    initial: Option<Name>,
    entry: Option<Vec<hir::behavior::Stmt>>,
    exit: Option<Vec<hir::behavior::Stmt>>,
    handlers: Vec<hir::behavior::Handler>,
    equations: Vec<hir::Equation>,
    states: Vec<hir::behavior::State>,
}

/// All states of a machine, nested ones too.
pub(super) fn state_names(m: &Machine) -> Vec<Name> {
    fn walk(items: &[MachineItem], out: &mut Vec<Name>) {
        for i in items {
            if let MachineItem::State(s) = i {
                out.push(Rc::from(s.name.as_str()));
                walk(&s.items, out);
            }
        }
    }
    let mut out = Vec::new();
    walk(&m.items, &mut out);
    out
}

impl<'a> Checker<'a, '_> {
    pub(super) fn machine(&mut self, cx: &mut Cx<'a>, m: &'a Machine) -> Option<hir::behavior::Machine> {
        let mut seen: Vec<&ast::Name> = Vec::new();
        self.duplicate_states(&m.items, &mut seen);
        let initial = m.items.iter().find_map(|i| match i {
            MachineItem::Initial(n) => Some(n),
            _ => None,
        });
        let states: Vec<&'a ast::StateDecl> = m
            .items
            .iter()
            .filter_map(|i| match i {
                MachineItem::State(s) => Some(s),
                _ => None,
            })
            .collect();
        let broken = m.items.iter().any(|i| matches!(i, MachineItem::Error(_)));
        match initial {
            Some(n) if !states.iter().any(|s| s.name.text == n.text) => {
                let message = format!("the machine `{}` has no state `{}`", m.name.as_str(), n.as_str());
                let mut d = Diagnostic::new(codes::BAD_MACHINE, n.span, message);
                d.help = did_you_mean(n.as_str(), states.iter().map(|s| s.name.as_str()));
                self.say_missing(n.as_str(), d);
            }
            None if !broken => {
                let message = format!("the machine `{}` has no initial state", m.name.as_str());
                let mut d = Diagnostic::new(codes::BAD_MACHINE, m.name.span, message);
                if let Some(s) = states.first() {
                    d = d.help(format!("write `initial {}`", s.name.as_str()));
                }
                self.say(d);
            }
            _ => {}
        }
        let names = state_names(m);
        let inside = self.machine_items(cx, &m.items, &names, m);
        let initial = initial.filter(|n| states.iter().any(|s| s.name.text == n.text))?;
        Some(hir::behavior::Machine {
            name: Rc::from(m.name.as_str()),
            initial: Rc::from(initial.as_str()),
            handlers: inside.handlers,
            equations: inside.equations,
            states: inside.states,
            span: m.name.span,
        })
    }

    fn duplicate_states(&mut self, items: &'a [MachineItem], seen: &mut Vec<&'a ast::Name>) {
        for i in items {
            if let MachineItem::State(s) = i {
                if let Some(old) = seen.iter().find(|o| o.text == s.name.text) {
                    let message = format!("the state `{}` is declared twice", s.name.as_str());
                    let d = Diagnostic::new(codes::DUPLICATE_NAME, s.name.span, message);
                    self.say(d.label(old.span, "first declared here"));
                }
                seen.push(&s.name);
                self.duplicate_states(&s.items, seen);
            }
        }
    }

    /// What stands in a machine or in one of its states.
    fn machine_items(
        &mut self,
        cx: &mut Cx<'a>,
        items: &'a [MachineItem],
        states: &[Name],
        m: &'a Machine,
    ) -> Inside {
        let mut out = Inside::default();
        for i in items {
            match i {
                MachineItem::Error(_) => {}
                MachineItem::Initial(n) => {
                    let earlier = items.iter().find_map(|i| match i {
                        MachineItem::Initial(o) => Some(o),
                        _ => None,
                    });
                    if let Some(old) = earlier.filter(|o| o.span != n.span) {
                        let d = Diagnostic::new(codes::BAD_MACHINE, n.span, "a second initial state");
                        self.say(d.label(old.span, "the first one").help("keep one of them"));
                    }
                    out.initial = Some(Rc::from(n.as_str()));
                }
                MachineItem::State(s) => {
                    let inner: Vec<&ast::Name> = s
                        .items
                        .iter()
                        .filter_map(|i| match i {
                            MachineItem::State(s) => Some(&s.name),
                            _ => None,
                        })
                        .collect();
                    for i in &s.items {
                        if let MachineItem::Initial(n) = i
                            && !inner.iter().any(|s| s.text == n.text)
                        {
                            let message = format!(
                                "the state `{}` has no state `{}` in it",
                                s.name.as_str(),
                                n.as_str()
                            );
                            self.say(Diagnostic::new(codes::BAD_MACHINE, n.span, message));
                        }
                    }
                    let inside = self.machine_items(cx, &s.items, states, m);
                    let first = inside.states.first().map(|s| s.name.clone());
                    out.states.push(hir::behavior::State {
                        name: Rc::from(s.name.as_str()),
                        // Without a word the first is entered.
                        initial: inside.initial.or(first),
                        entry: inside.entry,
                        exit: inside.exit,
                        handlers: inside.handlers,
                        equations: inside.equations,
                        states: inside.states,
                        span: s.name.span,
                    });
                }
                MachineItem::Entry(b) => {
                    let body = self.handler_body(cx, b);
                    out.entry.get_or_insert_default().extend(body);
                }
                MachineItem::Exit(b) => {
                    let body = self.handler_body(cx, b);
                    out.exit.get_or_insert_default().extend(body);
                }
                MachineItem::Handler(h) => {
                    let handler = self.handler(cx, h);
                    out.handlers.extend(handler);
                    if let Some(t) = &h.target {
                        self.state_target(t, states, m);
                    }
                }
                MachineItem::Equation(e) => {
                    let mode = std::mem::replace(&mut cx.mode, Mode::Equation);
                    let equation = self.equation(cx, e);
                    out.equations.extend(equation);
                    cx.mode = mode;
                }
            }
        }
        out
    }

    fn state_target(&mut self, t: &ast::Path, states: &[Name], m: &Machine) {
        let Some(last) = t.names.last() else { return };
        if states.iter().any(|s| **s == *last.text) {
            return;
        }
        let message = format!("the machine `{}` has no state `{}`", m.name.as_str(), t.dotted());
        let mut d = Diagnostic::new(codes::BAD_MACHINE, t.span, message);
        d.help = did_you_mean(last.as_str(), states.iter().map(|s| &**s));
        self.say_missing(last.as_str(), d);
    }

    /// Which states the machines of a class differentiate: `der(v) = a` in a state.
    pub(super) fn machine_derivatives(&self, id: ClassId, out: &mut BTreeSet<Name>) {
        fn names(e: &ast::Expr, inside: bool, out: &mut BTreeSet<Name>) {
            let der = matches!(&e.kind, ast::ExprKind::Call { callee, .. } if callee.as_name().is_some_and(|n| n.as_str() == "der"));
            if let (true, ast::ExprKind::Name(n)) = (inside, &e.kind) {
                out.insert(Rc::from(n.as_str()));
            }
            e.kind.for_each_child(&mut |c| names(c, inside || der, out));
        }
        fn walk(items: &[MachineItem], out: &mut BTreeSet<Name>) {
            for i in items {
                match i {
                    MachineItem::State(s) => walk(&s.items, out),
                    MachineItem::Equation(ast::Equation {
                        kind: ast::EquationKind::Equal { left, right },
                        ..
                    }) => {
                        names(left, false, out);
                        names(right, false, out);
                    }
                    _ => {}
                }
            }
        }
        for sig in self.class(id).members.values() {
            if let SigKind::Machine(m) = sig.kind {
                walk(&m.items, out);
            }
        }
    }
}
