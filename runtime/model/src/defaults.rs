//! What slots hold before any kernel runs, as runs of slots: a hundred thousand instances take no more room than one.

use crate::ir::Space;

/// `count` slots, `step` apart, that hold the same value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Fill {
    /// The first slot.
    pub first: u32,
    /// How many; at least 1.
    pub count: u32,
    /// The distance from one to the next; at least 1, and 1 where there is only one.
    pub step: u32,
    /// What they hold.
    pub value: f64,
}

impl Fill {
    /// One after the last slot; `None` where numbers of slots do not reach as far.
    #[must_use]
    pub fn end(&self) -> Option<u32> {
        self.count.checked_sub(1)?.checked_mul(self.step)?.checked_add(self.first)?.checked_add(1)
    }

    /// Writes the value. Slots beyond the end are left out.
    pub fn apply(&self, slots: &mut [f64]) {
        let slots = slots.get_mut(self.first as usize..).unwrap_or_default();
        if self.step == 1 {
            let count = slots.len().min(self.count as usize);
            slots[..count].fill(self.value);
        } else {
            slots
                .iter_mut()
                .step_by(self.step as usize)
                .take(self.count as usize)
                .for_each(|s| *s = self.value);
        }
    }

    /// Whether it fills a slot.
    #[must_use]
    pub fn holds(&self, slot: u32) -> bool {
        slot.checked_sub(self.first).is_some_and(|k| k % self.step == 0 && k / self.step < self.count)
    }
}

/// Fills, applied in order: of two for one slot the later one counts. What none names is 0.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Fills(pub Vec<Fill>);

impl Fills {
    /// One value a slot, from slot 0 on.
    #[must_use]
    pub fn dense(values: &[f64]) -> Fills {
        let mut out = Fills::default();
        for (first, &value) in (0..).zip(values) {
            out.push(Fill { first, count: 1, step: 1, value });
        }
        out
    }

    /// Adds a fill, as part of the last one where it continues it.
    pub fn push(&mut self, fill: Fill) {
        if let Some(last) = self.0.last_mut()
            && last.value.to_bits() == fill.value.to_bits()
            && (last.step, fill.step) == (1, 1)
            && last.end() == Some(fill.first)
            && let Some(count) = last.count.checked_add(fill.count)
        {
            last.count = count;
        } else {
            self.0.push(fill);
        }
    }

    /// What a slot holds.
    #[must_use]
    pub fn value(&self, slot: u32) -> f64 {
        self.0.iter().rev().find(|f| f.holds(slot)).map_or(0.0, |f| f.value)
    }

    /// Writes all values.
    pub fn apply(&self, slots: &mut [f64]) {
        self.0.iter().for_each(|f| f.apply(slots));
    }
}

/// Values before the first kernel runs.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Defaults {
    /// Parameters that are plain numbers (formulas are overwritten by `params`).
    pub param: Fills,
    /// Inputs.
    pub input: Fills,
    /// Discrete values.
    pub disc: Fills,
    /// First guesses for `Var` (unknowns of algebraic blocks: from `guess`, or a type's nominal).
    pub var: Fills,
    /// First guesses for `State` (states found by initial equations).
    pub state: Fills,
}

impl Defaults {
    /// The spaces that have defaults, each with them.
    #[must_use]
    pub fn spaces(&self) -> [(Space, &Fills); 5] {
        [
            (Space::Param, &self.param),
            (Space::Input, &self.input),
            (Space::Disc, &self.disc),
            (Space::Var, &self.var),
            (Space::State, &self.state),
        ]
    }

    /// Those of a space; `None` where it has none.
    pub fn of_mut(&mut self, space: Space) -> Option<&mut Fills> {
        Some(match space {
            Space::Param => &mut self.param,
            Space::Input => &mut self.input,
            Space::Disc => &mut self.disc,
            Space::Var => &mut self.var,
            Space::State => &mut self.state,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Fill, Fills};

    #[test]
    fn later_fills_count_and_what_none_names_is_zero() {
        let mut fills = Fills::dense(&[1.0, 1.0, 2.0]);
        assert_eq!(fills.0.len(), 2);
        fills.push(Fill { first: 1, count: 3, step: 2, value: 7.0 });
        let mut slots = [0.0; 5];
        fills.apply(&mut slots);
        assert_eq!(slots, [1.0, 7.0, 2.0, 7.0, 0.0], "the last one lies beyond the slots");
        let values: Vec<f64> = (0..7).map(|k| fills.value(k)).collect();
        assert_eq!(values, [1.0, 7.0, 2.0, 7.0, 0.0, 7.0, 0.0]);
        assert_eq!(fills.0[2].end(), Some(6));
        assert_eq!(Fill { first: 9, count: u32::MAX, step: 2, value: 0.0 }.end(), None);
    }
}
