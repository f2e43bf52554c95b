//! Behaviour: owners, machines, cells and events of every instance family, the formulas that read them, and
//! the code of handlers.
//!
//! In: the [`hir::behavior`] of each class. Out: [`flat::Behavior`], hidden discrete families for watches,
//! mirrors and counters, and the equations of machines' states.
//!
//! How it works: before any formula is translated, [`declare`](self) gives machines their discrete slot and
//! values on the heap their cell. Formulas then read those as any discrete quantity; what only code can
//! compute of a cell becomes a [`mirror`](model::Mirror). When all equations stand, handlers become code.

mod body;
mod builtin;
mod declare;
mod event;
mod expr;
mod formula;
mod handler;
mod machine;
mod message;
mod method;
mod place;
mod population;
mod rate;
mod stmt;
mod violated;

pub(super) use declare::on_heap;

use super::Flattener;
use super::scope::{InstId, R, Scope};
use crate::diag::{Diagnostic, codes};
use crate::flat;
use crate::hir::{self, Name};
use crate::source::Span;
use rustc_hash::{FxHashMap, FxHashSet};
use twinml_model::behavior as model;
use twinml_model::ids::{OriginId, VarId};
use twinml_model::schema::{Kind, Segment};

/// What is known of behaviour so far.
#[derive(Default)]
pub(super) struct Behaving<'a> {
    out: model::Behavior,
    /// Places in the source; the origins of `out` are numbers in this list.
    places: Vec<(Span, String)>,
    place_ids: FxHashMap<(Span, InstId), OriginId>,
    owners: FxHashMap<InstId, model::OwnerId>,
    /// By owner.
    insts: Vec<InstId>,
    events: FxHashMap<(model::OwnerId, String), model::EventId>,
    machines: FxHashMap<(InstId, Name), model::MachineId>,
    cells: FxHashMap<(InstId, Name), model::CellId>,
    /// Mirrors by the expression that they stand for.
    mirrors: FxHashMap<(InstId, *const hir::Expr), usize>,
    mirrored: Vec<(InstId, &'a hir::Expr, VarId)>,
    /// Outputs and undriven inputs that code sets, by declaration.
    assigned: FxHashSet<(InstId, Name)>,
    functions: FxHashMap<(InstId, Name), model::CodeId>,
    globals: FxHashMap<hir::FuncId, model::CodeId>,
    /// What handlers take, if messages set them off.
    takers: Vec<model::Hearer>,
    /// Codes of what the scenario sends, by statement.
    sends: FxHashMap<*const hir::behavior::Stmt, model::CodeId>,
    /// Stores that the roles decide about later.
    stores: Vec<(VarId, Span)>,
    hidden: u32,
    /// Who hears of violations.
    listeners: Vec<violated::Listener>,
    populations: FxHashMap<InstId, model::PopulationId>,
}

impl<'a> Flattener<'a> {
    /// Forgets what was added for families that are dropped.
    pub(super) fn rollback_behavior(&mut self, vars: usize) {
        let b = &mut self.behaving;
        while b.mirrored.last().is_some_and(|m| m.2.index() >= vars) {
            b.mirrored.pop();
        }
        let left = b.mirrored.len();
        b.mirrors.retain(|_, k| *k < left);
        for e in &mut b.out.events {
            if e.counter.is_some_and(|v| v.index() >= vars) {
                e.counter = None;
            }
        }
    }

    /// The owner number of an instance family.
    fn owner_of(&mut self, inst: InstId) -> model::OwnerId {
        if let Some(o) = self.behaving.owners.get(&inst) {
            return *o;
        }
        let id = self.behaving.out.owners.len() as model::OwnerId;
        let path = self.inst(inst).path.clone();
        let count = self.own_axes(inst).iter().product();
        self.behaving.out.owners.push(model::Owner { path, count, order: Vec::new() });
        self.behaving.owners.insert(inst, id);
        self.behaving.insts.push(inst);
        id
    }

    /// Lengths of the axes of an instance family that are stored.
    fn own_axes(&self, inst: InstId) -> Vec<u32> {
        self.inst(inst).axes.iter().filter(|a| a.pin.is_none()).map(|a| a.len).collect()
    }

    fn origin_at(&mut self, span: Span, inst: InstId) -> OriginId {
        if let Some(id) = self.behaving.place_ids.get(&(span, inst)) {
            return *id;
        }
        let owner = if self.inst(inst).path.is_empty() { String::new() } else { self.owner_text(inst) };
        let id = OriginId::new(self.behaving.places.len());
        self.behaving.places.push((span, owner));
        self.behaving.place_ids.insert((span, inst), id);
        id
    }

    fn event_of(&mut self, inst: InstId, name: &str) -> model::EventId {
        let owner = self.owner_of(inst);
        if let Some(e) = self.behaving.events.get(&(owner, name.to_owned())) {
            return *e;
        }
        let id = self.behaving.out.events.len() as model::EventId;
        self.behaving.out.events.push(model::Event { owner, name: name.to_owned(), counter: None });
        self.behaving.events.insert((owner, name.to_owned()), id);
        id
    }

    /// A discrete family that nobody sees, one element an instance.
    fn hidden_family(&mut self, inst: InstId, word: &str, kind: Kind, span: Span) -> R<VarId> {
        self.behaving.hidden += 1;
        let axes = self.own_axes(inst);
        let name = format!("${word}{}", self.behaving.hidden);
        self.discrete_family(vec![Segment { name, axes }], kind, span)
    }

    fn discrete_family(&mut self, path: Vec<Segment>, kind: Kind, span: Span) -> R<VarId> {
        let var = self.push_family(flat::Var::plain(path, 0, flat::Role::Discrete, kind, span))?;
        while self.homes.len() < self.system.vars.len() {
            self.homes.push(None);
        }
        Ok(var)
    }

    /// The instance's own scope with its axes in force.
    fn scope_in(&mut self, inst: InstId) -> Scope<'a> {
        let axes = self.inst(inst).axes.clone();
        self.enter(&axes);
        self.own_scope(inst)
    }

    fn later(&mut self, span: Span, what: &str) -> super::scope::Stop {
        self.refuse(codes::LATER_BEHAVIOR, span, what)
    }

    /// Handlers to code, once all equations stand and roles are known.
    pub(super) fn behavior(&mut self) {
        self.may_add = true;
        for k in 0..self.insts.len() as u32 {
            self.handlers(InstId(k));
        }
        self.scenario_sends();
        self.violations();
        self.starts_of_cells();
        self.mirror_codes();
        self.fill_populations();
        self.ranges.clear();
        self.settle_rates();
        self.check_stores();
        self.behaving.out.routes.sort_unstable();
        self.hearers();
        self.orders();
        self.system.behavior = flat::Behavior {
            model: std::mem::take(&mut self.behaving.out),
            places: std::mem::take(&mut self.behaving.places),
        };
    }

    /// What code may set is known when all equations and connections are.
    fn check_stores(&mut self) {
        let stores = std::mem::take(&mut self.behaving.stores);
        for (var, span) in stores {
            let v = &self.system.vars[var.index()];
            let why = match v.role {
                flat::Role::Unknown => "follows from the equations",
                flat::Role::Parameter => "is a parameter, fixed for a run",
                _ => continue,
            };
            let path: Vec<&str> = v.path.iter().map(|s| s.name.as_str()).collect();
            let d = Diagnostic::new(
                codes::CANNOT_ASSIGN,
                span,
                format!("`{}` {why} and cannot be assigned", path.join(".")),
            )
            .label(v.span, "declared here")
            .help("behaviour sets discrete states, undriven inputs, outputs with a constant start and continuous states");
            self.diags.push(d);
        }
    }

    /// Places in the order in which handlers of one instant run: children first, then in declaration order.
    fn orders(&mut self) {
        if self.behaving.owners.is_empty() {
            return;
        }
        let mut ranks: Vec<Vec<u32>> =
            self.behaving.out.owners.iter().map(|o| vec![0; o.count as usize]).collect();
        let mut next = 0;
        let mut behaves = vec![false; self.insts.len()];
        self.behaves(InstId(0), &mut behaves);
        self.rank(InstId(0), 0, &mut next, &mut ranks, &behaves);
        for (o, r) in self.behaving.out.owners.iter_mut().zip(ranks) {
            o.order = r;
        }
    }

    /// Which instances have behaviour, or parts that do: the elements of others need not be walked over.
    fn behaves(&self, inst: InstId, out: &mut [bool]) -> bool {
        let mut any = self.behaving.owners.contains_key(&inst);
        for slot in self.inst(inst).members.values() {
            if let super::scope::Slot::Twin { parts, .. } = slot {
                for part in parts.iter() {
                    any |= self.behaves(*part, out);
                }
            }
        }
        out[inst.0 as usize] = any;
        any
    }

    fn rank(&self, inst: InstId, at: usize, next: &mut u32, ranks: &mut [Vec<u32>], behaves: &[bool]) {
        if !behaves[inst.0 as usize] {
            return;
        }
        for slot in self.inst(inst).members.values() {
            let super::scope::Slot::Twin { shape, parts } = slot else { continue };
            match parts[..] {
                [one] => {
                    // One part stands for all elements, or for the only one.
                    let axes = self.inst(inst).axes.len();
                    let kept = self.inst(one).axes[axes..].iter().all(|a| a.pin.is_none());
                    let n = if kept { shape.iter().product::<u32>() as usize } else { 1 };
                    for k in (0..n).take_while(|_| behaves[one.0 as usize]) {
                        self.rank(one, at * n + k, next, ranks, behaves);
                    }
                }
                _ => parts.iter().for_each(|p| self.rank(*p, at, next, ranks, behaves)),
            }
        }
        if let Some(o) = self.behaving.owners.get(&inst)
            && let Some(r) = ranks[*o as usize].get_mut(at)
        {
            *r = *next;
            *next += 1;
        }
    }
}
