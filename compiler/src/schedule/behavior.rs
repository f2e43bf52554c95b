//! Behaviour into the program: families become homes, places become origins.

use super::layout::Layout;
use super::names;
use super::origins::Origins;
use super::relations::HIDDEN;
use crate::diag::{Diagnostic, Diagnostics, codes};
use crate::flat::{Affine, Expr, System};
use rustc_hash::{FxHashMap, FxHashSet};
use twinml_model::behavior::{Behavior, Home, Instr, Which};
use twinml_model::ids::{OriginId, VarId};
use twinml_model::schema::Kind;

/// Families whose start values code reads.
pub fn started(system: &System) -> impl Iterator<Item = VarId> + '_ {
    system.behavior.model.codes.iter().flat_map(|c| &c.instrs).filter_map(|i| match i {
        Instr::Load(_, slot, Which::Start, _) => Some(slot.var),
        _ => None,
    })
}

/// The discrete families that formulas define.
pub fn defined(system: &System) -> FxHashSet<VarId> {
    system.nexts.iter().filter_map(|e| if let Expr::Var(v, _) = e.left { Some(v) } else { None }).collect()
}

/// A discrete definition's value as a number.
pub fn next_value(system: &System, var: VarId, right: &Expr) -> Expr {
    if system.vars[var.index()].kind == Kind::Bool {
        Expr::BoolToNum(Box::new(right.clone()))
    } else {
        right.clone()
    }
}

/// A change between events cannot be seen as one: reports `on change(e)` of such values.
pub fn changes(system: &System, varies: &dyn Fn(&Expr) -> bool, diags: &mut Diagnostics) {
    for (var, span) in &system.behavior_changes {
        let continuous =
            system.nexts.iter().any(|e| matches!(e.left, Expr::Var(v, _) if v == *var) && varies(&e.right));
        if continuous {
            diags.push(
                Diagnostic::new(codes::CHANGE_OF_CONTINUOUS, *span, "this changes all the time")
                    .here("a continuous quantity")
                    .note("`on change` sees discrete values: truth values, states, inputs, whole numbers")
                    .help("wait for a crossing, `on rising(x > limit)`, or for steps, `on change(floor(x/step))`"),
            );
        }
    }
}

/// The behaviour of the program.
pub fn behavior(system: &System, layout: &Layout, origins: &mut Origins) -> Behavior {
    let mut out = system.behavior.model.clone();
    let places: Vec<OriginId> =
        system.behavior.places.iter().map(|(span, owner)| origins.add(*span, owner)).collect();
    let place = |o: &mut OriginId| *o = places.get(o.index()).copied().unwrap_or(*o);
    let mut homes: Vec<Home> = Vec::new();
    let mut known: FxHashMap<VarId, VarId> = FxHashMap::default();
    let mut home = |v: &mut VarId| {
        *v = *known.entry(*v).or_insert_with(|| {
            let family = &system.vars[v.index()];
            let (space, base) = layout.home(*v);
            let start = layout.start(*v, &Affine::constant(0)).and_then(|p| u32::try_from(p.at.base).ok());
            let name = if family.path.first().is_some_and(|s| s.name.starts_with(HIDDEN)) {
                family.path[0].name.clone()
            } else {
                names::family(family)
            };
            let id = VarId::new(homes.len());
            homes.push(Home { name, space, base, len: family.len, start, kind: family.kind });
            id
        });
    };
    for w in &mut out.watches {
        home(&mut w.var);
        place(&mut w.origin);
    }
    for p in &mut out.populations {
        home(&mut p.present);
        p.anew.iter_mut().for_each(|(v, _)| home(v));
    }
    out.events.iter_mut().filter_map(|e| e.counter.as_mut()).for_each(&mut home);
    out.mirrors.iter_mut().for_each(|m| home(&mut m.var));
    for m in &mut out.machines {
        home(&mut m.var);
        place(&mut m.origin);
    }
    out.cells.iter_mut().for_each(|c| place(&mut c.origin));
    out.handlers.iter_mut().for_each(|h| place(&mut h.origin));
    for c in &mut out.codes {
        c.origins.iter_mut().for_each(place);
        for i in &mut c.instrs {
            match i {
                Instr::Load(_, slot, ..)
                | Instr::LoadArray(_, slot, ..)
                | Instr::Store(slot, _)
                | Instr::StoreArray(slot, ..) => home(&mut slot.var),
                _ => {}
            }
        }
    }
    out.vars = homes;
    out
}
