//! The right-hand side beyond limits at which states are held (`else clamp`).
//!
//! A solver's trial steps go a little beyond a limit before the event that holds the state there is found, and the
//! equations may have no value there: `sqrt(h)` of a level below zero. So the right-hand side goes on beyond a limit as
//! it is on it; what it does there is seen by no result. The state itself, and with it the root function of the limit,
//! is left as it is.

use twinml_model::host::Memory;
use twinml_model::ir::Space;
use twinml_model::program::Program;

/// The limits of one state.
#[derive(Clone, Copy, Debug)]
struct Limit {
    state: usize,
    /// Slots of `Param`.
    lo: Option<usize>,
    hi: Option<usize>,
}

/// The limits of all states that are held at them.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits(Vec<Limit>);

impl Limits {
    pub(super) fn of(program: &Program) -> Limits {
        let mut all = Vec::new();
        for c in &program.clamps {
            let Some(v) = program.schema.vars.get(c.var.index()).filter(|v| v.space == Space::State) else {
                continue;
            };
            all.extend((0..v.len as usize).map(|j| {
                let slot = |s: Option<u32>| s.map(|s| s as usize + j);
                Limit { state: v.base as usize + j, lo: slot(c.lo), hi: slot(c.hi) }
            }));
        }
        Limits(all)
    }

    /// Whether no state is held anywhere.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a state would go that is beyond its limit, or on it.
    fn on(&self, memory: &Memory, x: &[f64]) -> impl Iterator<Item = (usize, f64)> {
        let limits = memory.space(Space::Param);
        let at = |slot: Option<usize>| slot.and_then(|s| limits.get(s)).copied();
        self.0.iter().filter_map(move |l| {
            let value = *x.get(l.state)?;
            let lo = at(l.lo).filter(|lo| value <= *lo);
            lo.or_else(|| at(l.hi).filter(|hi| value >= *hi)).map(|limit| (l.state, limit))
        })
    }

    /// Whether any state is on a limit or beyond.
    pub(super) fn any(&self, memory: &Memory, x: &[f64]) -> bool {
        !self.0.is_empty() && self.on(memory, x).next().is_some()
    }

    /// The states on a limit or beyond.
    pub(super) fn states(&self, memory: &Memory, x: &[f64]) -> Vec<usize> {
        self.on(memory, x).map(|(state, _)| state).collect()
    }

    /// Puts the states in memory, which are `x`, on the limits that they are beyond.
    pub(super) fn put(&self, memory: &mut Memory, x: &[f64]) {
        for l in &self.0 {
            let limits = memory.space(Space::Param);
            let at = |slot: Option<usize>| slot.and_then(|s| limits.get(s)).copied();
            let (lo, hi) = (at(l.lo), at(l.hi));
            let Some(&value) = x.get(l.state) else { continue };
            let limit = lo.filter(|lo| value < *lo).or_else(|| hi.filter(|hi| value > *hi));
            if let Some(limit) = limit
                && let Some(place) = memory.space_mut(Space::State).get_mut(l.state)
            {
                *place = limit;
            }
        }
    }
}
