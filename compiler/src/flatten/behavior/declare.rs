//! Machines, cells and what code sets, before any formula is translated.

use super::super::Flattener;
use super::super::scope::{InstId, R, Slot};
use crate::diag::codes;
use crate::flat;
use crate::hir::behavior::{Handler, State, Stmt, StmtKind, Target};
use crate::hir::{self, MemberKind, Name, Section, Type};
use crate::source::Span;
use twinml_model::behavior as model;
use twinml_model::ids::EnumId;
use twinml_model::schema::{EnumType, Kind, Segment};

/// Whether a type's values live on the heap.
pub(in super::super) fn on_heap(ty: &Type) -> bool {
    matches!(
        ty,
        Type::String | Type::Record(_) | Type::List(_) | Type::Map(..) | Type::Optional(_) | Type::Any
    )
}

/// Calls `f` for every statement, nested ones too.
pub(super) fn each_stmt<'e>(list: &'e [Stmt], f: &mut dyn FnMut(&'e Stmt)) {
    for s in list {
        f(s);
        match &s.kind {
            StmtKind::If(arms, otherwise) => {
                arms.iter().for_each(|(_, b)| each_stmt(b, f));
                each_stmt(otherwise, f);
            }
            StmtKind::Match(_, arms) => arms.iter().for_each(|a| each_stmt(&a.body, f)),
            StmtKind::ForRange(_, _, b)
            | StmtKind::ForEach(_, _, _, b)
            | StmtKind::While(_, b)
            | StmtKind::After(_, b) => each_stmt(b, f),
            _ => {}
        }
    }
}

/// Calls `f` for every list of statements in a class's behaviour.
fn each_body<'e>(class: &'e hir::Class, f: &mut dyn FnMut(&'e [Stmt])) {
    fn handlers<'e>(list: &'e [Handler], f: &mut dyn FnMut(&'e [Stmt])) {
        list.iter().filter_map(|h| h.body.as_deref()).for_each(f);
    }
    fn states<'e>(list: &'e [State], f: &mut dyn FnMut(&'e [Stmt])) {
        for s in list {
            s.entry.iter().chain(&s.exit).for_each(|b| f(b));
            handlers(&s.handlers, f);
            states(&s.states, f);
        }
    }
    let b = &class.behavior;
    handlers(&b.handlers, f);
    b.functions.iter().for_each(|x| f(&x.body));
    for m in &b.machines {
        handlers(&m.handlers, f);
        states(&m.states, f);
    }
}

impl<'a> Flattener<'a> {
    /// Gives machines their slots and heap values their cells; finds what code sets.
    pub(in super::super) fn declare_behavior(&mut self) -> R<()> {
        self.behaving.out.records = self
            .model
            .records
            .iter()
            .map(|r| model::RecordType {
                name: r.name.to_string(),
                fields: r.fields.keys().map(ToString::to_string).collect(),
            })
            .collect();
        for k in 0..self.insts.len() as u32 {
            let inst = InstId(k);
            let class = self.inst(inst).class;
            if !class.behavior.is_empty() {
                self.owner_of(inst);
            }
            let mut targets: Vec<&'a hir::Ref> = Vec::new();
            each_body(class, &mut |body| {
                each_stmt(body, &mut |s| {
                    if let StmtKind::Assign(Target::Member(r) | Target::Heap(r, _), _) = &s.kind {
                        targets.push(r);
                    }
                });
            });
            for r in targets {
                self.note_assigned(&r.steps, inst);
            }
            for m in &class.behavior.machines {
                self.declare_machine(inst, m)?;
            }
        }
        for k in 0..self.insts.len() as u32 {
            self.declare_cells(InstId(k))?;
        }
        self.declare_populations();
        Ok(())
    }

    fn note_assigned(&mut self, steps: &[hir::Step], inst: InstId) {
        let Some((step, rest)) = steps.split_first() else { return };
        match self.inst(inst).members.get(&*step.name).cloned() {
            Some(Slot::Outer(further)) => self.note_assigned(steps, further),
            Some(Slot::Twin { parts, .. }) => parts.iter().for_each(|p| self.note_assigned(rest, *p)),
            Some(Slot::Var(_)) => {
                self.behaving.assigned.insert((inst, step.name.clone()));
            }
            _ => {}
        }
    }

    /// Whether code sets a member.
    pub(in super::super) fn is_assigned(&self, inst: InstId, name: &Name) -> bool {
        self.behaving.assigned.contains(&(inst, name.clone()))
    }

    fn declare_cells(&mut self, inst: InstId) -> R<()> {
        let class = self.inst(inst).class;
        for (name, member) in &class.members {
            let (ty, span) = match &member.kind {
                MemberKind::Memory(ty) => (ty, member.span),
                MemberKind::Var(d) if on_heap(&d.ty) && !d.outer => {
                    match d.section {
                        Section::Parameters | Section::ValueParam => continue,
                        Section::States => {}
                        Section::Outputs if self.is_assigned(inst, name) => {}
                        _ => {
                            let _ = self.refuse(codes::LATER_TYPE, member.span, "a quantity of this type");
                            continue;
                        }
                    }
                    (&d.ty, member.span)
                }
                _ => continue,
            };
            let len = match self.inst(inst).members.get(name) {
                Some(Slot::Var(s)) => s.shape.get().map_or(1, |s| s.iter().product()),
                _ => 1,
            };
            self.declare_cell(inst, name, ty, len, span);
        }
        Ok(())
    }

    fn declare_cell(&mut self, inst: InstId, name: &Name, ty: &Type, len: u32, span: Span) {
        let owner = self.owner_of(inst);
        let empty = match ty {
            Type::List(_) => model::Empty::List,
            Type::Map(..) => model::Empty::Map,
            _ => model::Empty::None,
        };
        let origin = self.origin_at(span, inst);
        let id = self.behaving.out.cells.len() as model::CellId;
        self.behaving.out.cells.push(model::Cell {
            owner,
            name: name.to_string(),
            len,
            start: None,
            empty,
            origin,
        });
        self.behaving.cells.insert((inst, name.clone()), id);
    }

    fn declare_machine(&mut self, inst: InstId, m: &'a hir::behavior::Machine) -> R<()> {
        fn number(
            list: &[State],
            parent: Option<u32>,
            leaves: &mut Vec<String>,
            out: &mut Vec<model::State>,
        ) {
            for s in list {
                let at = out.len();
                let first_leaf = leaves.len() as u32;
                out.push(model::State {
                    name: s.name.to_string(),
                    parent,
                    initial: None,
                    first_leaf,
                    end_leaf: first_leaf,
                    entry: None,
                    exit: None,
                });
                if s.states.is_empty() {
                    leaves.push(s.name.to_string());
                } else {
                    number(&s.states, Some(at as u32), leaves, out);
                    let initial = s.initial.as_deref();
                    out[at].initial = (at + 1..out.len())
                        .find(|&k| out[k].parent == Some(at as u32) && Some(&*out[k].name) == initial)
                        .map(|k| k as u32)
                        .or(Some(at as u32 + 1));
                }
                out[at].end_leaf = leaves.len() as u32;
            }
        }
        let owner = self.owner_of(inst);
        let (mut leaves, mut states) = (Vec::new(), Vec::new());
        number(&m.states, None, &mut leaves, &mut states);
        let kind = Kind::Enum(EnumId::new(self.system.enums.len()));
        self.system
            .enums
            .push(EnumType { name: format!("{}.{}", self.inst(inst).class.name, m.name), values: leaves });
        let mut path = self.inst(inst).path.clone();
        path.push(Segment { name: m.name.to_string(), axes: Vec::new() });
        let var = self.discrete_family(path, kind, m.span)?;
        let initial = states.iter().position(|s| s.parent.is_none() && *s.name == *m.initial).unwrap_or(0);
        let mut leaf = initial;
        while let Some(inner) = states.get(leaf).and_then(|s| s.initial) {
            leaf = inner as usize;
        }
        let start = states.get(leaf).map_or(0, |s| s.first_leaf);
        self.start_all(var, flat::Expr::Num(f64::from(start)), m.span);
        let origin = self.origin_at(m.span, inst);
        let id = self.behaving.out.machines.len() as model::MachineId;
        self.behaving.out.machines.push(model::Machine {
            owner,
            name: m.name.to_string(),
            var,
            states,
            initial: initial as u32,
            origin,
        });
        self.behaving.machines.insert((inst, m.name.clone()), id);
        Ok(())
    }

    /// One start value for a whole family.
    fn start_all(&mut self, var: twinml_model::ids::VarId, expr: flat::Expr, span: Span) {
        use twinml_model::ids::Index;
        let len = self.system.vars[var.index()].len;
        let l = flat::Loop { index: Index(0), lo: 0, hi: i64::from(len) };
        let element = flat::Affine::constant(0).plus(Index(0), 1);
        self.system.vars[var.index()].value = vec![flat::Piece { loops: vec![l], element, expr, span }];
    }
}
