//! Names in text that the parser had to give up. A name that cannot be found, and that such a text
//! mentions, is most likely declared there: the mistake was reported, and nothing more is said.

use std::collections::BTreeSet;

use super::{Module, Used};
use crate::ast::{
    BehaviorItem, Block, Connection, Constraint, DeclEntry, Equation, EquationKind, FuncBody, Handler, Item,
    MachineItem, Member, MemoryKind, PartEntry, ScenarioItem, Stmt, StmtKind, SyncItem,
};
use crate::diag::nearest;
use crate::source::{FileId, SourceMap, Span};

/// The words of everything that could not be read.
pub(super) fn lost_names(modules: &[Module], map: &SourceMap) -> BTreeSet<String> {
    let mut spans = Vec::new();
    for m in modules {
        spans.extend(&m.ast.given_up);
        m.ast.items.iter().for_each(|i| item(i, &mut spans));
    }
    let mut out = BTreeSet::new();
    for s in spans {
        let words = map.slice(s).split(|c: char| !(c.is_alphanumeric() || c == '_'));
        out.extend(
            words.filter(|w| w.starts_with(|c: char| c.is_alphabetic() || c == '_')).map(str::to_owned),
        );
    }
    out
}

/// Adds the names that failed `use` declarations were to bring. Returns the files of which one was to bring everything, and those
/// with a twin whose head is missing.
pub(super) fn not_brought(modules: &[Module], lost: &mut BTreeSet<String>) -> BTreeSet<FileId> {
    let mut blind = BTreeSet::new();
    for m in modules {
        if m.ast.headless {
            blind.insert(m.ast.file);
        }
        let uses = m.ast.items.iter().filter_map(|i| match i {
            Item::Use(u) => Some(u),
            _ => None,
        });
        for (u, used) in uses.zip(&m.uses) {
            let names = u.names.iter().flatten();
            match used {
                None => {
                    lost.extend(u.alias.iter().map(|a| a.as_str().to_owned()));
                    lost.extend(names.map(|n| n.alias.as_ref().unwrap_or(&n.name).as_str().to_owned()));
                    if u.names.is_none() && u.alias.is_none() {
                        blind.insert(m.ast.file);
                    }
                }
                Some(Used::Native) => {}
                Some(Used::Module(id)) => {
                    let items = &modules[id.0 as usize].ast.items;
                    let known = || items.iter().filter_map(Item::name).map(|n| n.as_str());
                    for n in names.filter(|n| !known().any(|k| k == n.name.as_str())) {
                        lost.insert(n.alias.as_ref().unwrap_or(&n.name).as_str().to_owned());
                        // The slip may stand in the `use` only.
                        if let (None, Some(meant)) = (&n.alias, nearest(n.name.as_str(), known())) {
                            lost.insert(meant.to_owned());
                        }
                    }
                }
            }
        }
    }
    blind
}

type Spans = Vec<Span>;

fn item(i: &Item, out: &mut Spans) {
    match i {
        Item::Error(s) => out.push(*s),
        Item::Func(f) => func(&f.body, out),
        Item::Twin(t) => t.members.iter().for_each(|m| member(m, out)),
        Item::Scenario(s) => s.items.iter().for_each(|i| scenario(i, out)),
        _ => {}
    }
}

fn func(body: &FuncBody, out: &mut Spans) {
    if let FuncBody::Block(b) = body {
        block(b, out);
    }
}

fn member(m: &Member, out: &mut Spans) {
    match m {
        Member::Error(s) => out.push(*s),
        Member::Decls(s) => s.entries.iter().for_each(|e| entry(e, out)),
        Member::Ports(list, _) => list.iter().for_each(|e| entry(e, out)),
        Member::Twins(list, _) => list.iter().for_each(|p| {
            if let PartEntry::Error(s) = p {
                out.push(*s);
            }
        }),
        Member::Equations(s) => s.equations.iter().for_each(|e| equation(e, out)),
        Member::Connections(list, _) => list.iter().for_each(|c| connection(c, out)),
        Member::Behavior(list, _) => list.iter().for_each(|b| behavior(b, out)),
        Member::Memory(list, _) => {
            out.extend(list.iter().filter(|m| matches!(m.kind, MemoryKind::Error)).map(|m| m.span));
        }
        Member::Capabilities(list, _) => out.extend(list.iter().filter(|c| c.is_error).map(|c| c.span)),
        Member::Constraints(list, _) => list.iter().for_each(|c| {
            if let Constraint::Error(s) = c {
                out.push(*s);
            }
        }),
        Member::Sync(list, _) => list.iter().for_each(|i| {
            if let SyncItem::Error(s) = i {
                out.push(*s);
            }
        }),
        Member::Fidelity(f) => f.members.iter().for_each(|m| member(m, out)),
        Member::Extends(_) | Member::Meta(_) => {}
    }
}

fn entry(e: &DeclEntry, out: &mut Spans) {
    if let DeclEntry::Error(s) = e {
        out.push(*s);
    }
}

fn equation(e: &Equation, out: &mut Spans) {
    match &e.kind {
        EquationKind::Error => out.push(e.span),
        EquationKind::Equal { left, right } => {
            if left.is_error() || right.is_error() {
                out.push(e.span);
            }
        }
        EquationKind::For { body, .. } => body.iter().for_each(|e| equation(e, out)),
        EquationKind::If { arms, otherwise } => {
            arms.iter().flat_map(|(_, b)| b).for_each(|e| equation(e, out));
            otherwise.iter().flatten().for_each(|e| equation(e, out));
        }
    }
}

fn connection(c: &Connection, out: &mut Spans) {
    match c {
        Connection::Error(s) => out.push(*s),
        Connection::For { body, .. } => body.iter().for_each(|c| connection(c, out)),
        Connection::If { arms, otherwise, .. } => {
            arms.iter().flat_map(|(_, b)| b).for_each(|c| connection(c, out));
            otherwise.iter().flatten().for_each(|c| connection(c, out));
        }
        Connection::Link { .. } => {}
    }
}

fn behavior(b: &BehaviorItem, out: &mut Spans) {
    match b {
        BehaviorItem::Error(s) => out.push(*s),
        BehaviorItem::Handler(h) => handler(h, out),
        BehaviorItem::Func(f) => func(&f.body, out),
        BehaviorItem::Machine(m) => m.items.iter().for_each(|i| machine(i, out)),
    }
}

fn machine(i: &MachineItem, out: &mut Spans) {
    match i {
        MachineItem::Error(s) => out.push(*s),
        MachineItem::State(s) => s.items.iter().for_each(|i| machine(i, out)),
        MachineItem::Entry(b) | MachineItem::Exit(b) => block(b, out),
        MachineItem::Handler(h) => handler(h, out),
        MachineItem::Equation(e) => equation(e, out),
        MachineItem::Initial(_) => {}
    }
}

fn handler(h: &Handler, out: &mut Spans) {
    if let Some(b) = &h.body {
        block(b, out);
    }
}

fn block(b: &Block, out: &mut Spans) {
    b.stmts.iter().for_each(|s| stmt(s, out));
}

fn stmt(s: &Stmt, out: &mut Spans) {
    match &s.kind {
        StmtKind::Error => out.push(s.span),
        StmtKind::If { arms, otherwise } => {
            arms.iter().for_each(|(_, b)| block(b, out));
            otherwise.iter().for_each(|b| block(b, out));
        }
        StmtKind::Match { arms, .. } => arms.iter().for_each(|a| block(&a.body, out)),
        StmtKind::For { body, .. } | StmtKind::While { body, .. } | StmtKind::After { body, .. } => {
            block(body, out);
        }
        _ => {}
    }
}

fn scenario(i: &ScenarioItem, out: &mut Spans) {
    match i {
        ScenarioItem::Error(s) => out.push(*s),
        ScenarioItem::Handler(h) => handler(h, out),
        ScenarioItem::Branch(b) => b.items.iter().for_each(|i| scenario(i, out)),
        ScenarioItem::Action(s) => stmt(s, out),
        _ => {}
    }
}
