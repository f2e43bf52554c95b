//! What is known, while code is generated, about the contents of slots and about addresses.
//!
//! Knowledge gained in a region ends with the region. A store ends what was known of every slot that it
//! may have changed.

use cranelift_codegen::ir;
use rustc_hash::FxHashMap;
use twinml_model::ids::Index;
use twinml_model::ir::Space;

/// The strides of an address per loop index; constants are kept apart.
pub(crate) type Terms = Vec<(Index, i64)>;

/// Slots with the same strides: two of them are one slot exactly if their bases are equal.
type Group = FxHashMap<i64, ir::Value>;

/// See the module.
#[derive(Default)]
pub(crate) struct Known {
    slots: [FxHashMap<Terms, Group>; Space::ALL.len()],
    addresses: FxHashMap<Terms, ir::Value>,
    scopes: Vec<Scope>,
}

#[derive(Default)]
struct Scope {
    slots: Vec<(Space, Terms, i64)>,
    addresses: Vec<Terms>,
}

impl Known {
    /// Begins a region.
    pub fn enter(&mut self) {
        self.scopes.push(Scope::default());
    }

    /// Ends the region: forgets what was learnt in it.
    pub fn leave(&mut self) {
        let Some(scope) = self.scopes.pop() else { return };
        for (space, terms, base) in scope.slots {
            if let Some(group) = self.slots[space as usize].get_mut(&terms) {
                group.remove(&base);
            }
        }
        for terms in scope.addresses {
            self.addresses.remove(&terms);
        }
    }

    /// The content of a slot.
    pub fn slot(&self, space: Space, terms: &Terms, base: i64) -> Option<ir::Value> {
        self.slots[space as usize].get(terms)?.get(&base).copied()
    }

    /// A slot was read.
    pub fn read(&mut self, space: Space, terms: &Terms, base: i64, value: ir::Value) {
        self.slots[space as usize].entry(terms.clone()).or_default().insert(base, value);
        if let Some(scope) = self.scopes.last_mut() {
            scope.slots.push((space, terms.clone(), base));
        }
    }

    /// A slot was written; its content from now on, if it is to be remembered.
    pub fn write(&mut self, space: Space, terms: &Terms, base: i64, value: Option<ir::Value>) {
        let groups = &mut self.slots[space as usize];
        groups.retain(|t, _| t == terms);
        match (value, groups.get_mut(terms)) {
            (Some(value), _) => self.read(space, terms, base, value),
            (None, Some(group)) => {
                group.remove(&base);
            }
            (None, None) => {}
        }
    }

    /// The spaces of a mask (see [`super::effects`]) were written, somewhere.
    pub fn forget(&mut self, mask: u32) {
        for space in Space::ALL {
            if mask & (1 << space as u32) != 0 {
                self.slots[space as usize].clear();
            }
        }
    }

    /// The byte address of slot 0 plus strides, without the base of a space.
    pub fn address(&self, terms: &Terms) -> Option<ir::Value> {
        self.addresses.get(terms).copied()
    }

    /// An address was computed. An address known before stays in use.
    pub fn set_address(&mut self, terms: Terms, value: ir::Value) {
        if let std::collections::hash_map::Entry::Vacant(entry) = self.addresses.entry(terms.clone()) {
            entry.insert(value);
            if let Some(scope) = self.scopes.last_mut() {
                scope.addresses.push(terms);
            }
        }
    }
}
