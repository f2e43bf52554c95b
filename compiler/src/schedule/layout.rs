//! Slots: where each family lives.

use crate::flat::{Affine, Role, System};
use twinml_model::ids::VarId;
use twinml_model::ir::{Place, Space};
use twinml_model::program::Sizes;

/// Where each family lives, and how long each space is.
#[derive(Debug, Clone)]
pub struct Layout {
    homes: Vec<(Space, u32)>,
    starts: Vec<Option<u32>>,
    /// Lengths of the spaces.
    pub sizes: Sizes,
}

impl Layout {
    /// Gives every family of the system its slots; `with_start` lists families whose start values are read.
    pub fn new(system: &System, with_start: &[VarId]) -> Layout {
        let mut sizes = Sizes::default();
        let mut homes = Vec::with_capacity(system.vars.len());
        for v in &system.vars {
            let (space, size) = match v.role {
                Role::Parameter => (Space::Param, &mut sizes.param),
                Role::Input => (Space::Input, &mut sizes.input),
                Role::State => (Space::State, &mut sizes.state),
                Role::Discrete => (Space::Disc, &mut sizes.disc),
                Role::Unknown => (Space::Var, &mut sizes.var),
            };
            homes.push((space, *size));
            *size += v.len;
        }
        let mut starts = vec![None; system.vars.len()];
        for v in with_start {
            starts[v.index()] = Some(sizes.param);
            sizes.param += system.vars[v.index()].len;
        }
        Layout { homes, starts, sizes }
    }

    /// Space and first slot of a family.
    pub fn home(&self, var: VarId) -> (Space, u32) {
        self.homes[var.index()]
    }

    /// The slot of an element.
    pub fn value(&self, var: VarId, at: &Affine) -> Place {
        let (space, base) = self.home(var);
        Place { space, at: moved(at, base) }
    }

    /// The slot of an element's derivative.
    pub fn der(&self, var: VarId, at: &Affine) -> Place {
        Place { space: Space::Der, at: moved(at, self.home(var).1) }
    }

    /// The slot that keeps an element's start value; parameters are their own start.
    pub fn start(&self, var: VarId, at: &Affine) -> Option<Place> {
        if self.home(var).0 == Space::Param {
            return Some(self.value(var, at));
        }
        self.starts[var.index()].map(|base| Place { space: Space::Param, at: moved(at, base) })
    }

    /// Families whose start values have slots.
    pub fn with_start(&self) -> impl Iterator<Item = (VarId, u32)> {
        self.starts.iter().enumerate().filter_map(|(k, s)| s.map(|s| (VarId::new(k), s)))
    }
}

fn moved(at: &Affine, base: u32) -> Affine {
    Affine { base: at.base + i64::from(base), terms: at.terms.clone() }
}
