//! The schema: what people see of the slots.

use super::layout::Layout;
use super::noise::Noisy;
use super::origins::Origins;
use super::relations::HIDDEN;
use crate::flat::System;
use twinml_model::ids::VarId;
use twinml_model::schema::{Role, Schema, Variable};

/// The schema of a system, and the number that each family has in it; hidden families are left out, and those that
/// hold white noise, which have no value.
pub fn schema(
    system: &System,
    layout: &Layout,
    noisy: &Noisy,
    origins: &mut Origins,
) -> (Schema, Vec<Option<VarId>>) {
    let mut out = Schema { vars: Vec::new(), enums: system.enums.clone() };
    let mut shown = vec![None; system.vars.len()];
    for (k, v) in system.vars.iter().enumerate() {
        let hidden = v.path.first().is_some_and(|s| s.name.starts_with(HIDDEN));
        if hidden || noisy.contains(&(VarId::new(k), false)) {
            continue;
        }
        shown[k] = Some(VarId::new(out.vars.len()));
        let (space, base) = layout.home(VarId::new(k));
        // A declared state is continuous or discrete by what its equations say.
        let role = match (v.declared, v.role) {
            (Role::State | Role::Discrete, crate::flat::Role::State) => Role::State,
            (Role::State, crate::flat::Role::Discrete) => Role::Discrete,
            (declared, _) => declared,
        };
        out.vars.push(Variable {
            path: v.path.clone(),
            role,
            kind: v.kind,
            space,
            base,
            len: v.len,
            unit: v.unit.clone(),
            si_unit: v.si_unit.clone(),
            quantity: v.quantity.clone(),
            description: v.description.clone(),
            nominal: 1.0,
            origin: origins.add(v.span, ""),
            range: v.range,
        });
    }
    (out, shown)
}
