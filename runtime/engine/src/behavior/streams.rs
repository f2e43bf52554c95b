//! What code runs for: a handler by its number, or, behind all handlers, `entry` and `exit` of a state. Random streams
//! are kept by it and by the instance; a stream's number follows from the twin's path and the place in its class, so
//! that adding a twin changes no other draw.

use twinml_model::behavior::{Behavior, MachineId, OwnerId, StateId};

use super::random;
use super::vm::path;

/// What is no handler's and no state's.
pub const NOBODY: u32 = u32::MAX;

/// The purpose of a state's `entry` (or `exit`).
pub(super) fn of_state(b: &Behavior, machine: MachineId, state: StateId, exit: bool) -> u32 {
    let before: usize = b.machines[..machine as usize].iter().map(|m| m.states.len()).sum();
    (b.handlers.len() + 2 * (before + state as usize) + usize::from(exit)) as u32
}

/// The machine and the state whose `entry` or `exit` it is.
pub(super) fn state(b: &Behavior, purpose: u32) -> Option<(MachineId, StateId, bool)> {
    let mut k = (purpose as usize).checked_sub(b.handlers.len())?;
    let exit = k % 2 == 1;
    k /= 2;
    for (id, m) in (0u32..).zip(&b.machines) {
        if k < m.states.len() {
            return Some((id, k as StateId, exit));
        }
        k -= m.states.len();
    }
    None
}

/// Whose it is.
pub(super) fn owner(b: &Behavior, purpose: u32) -> Option<OwnerId> {
    match b.handlers.get(purpose as usize) {
        Some(h) => Some(h.owner),
        None => state(b, purpose).map(|(m, ..)| b.machines[m as usize].owner),
    }
}

/// The number of a stream.
pub(super) fn stream(b: &Behavior, purpose: u32, instance: u32) -> u64 {
    let owner = owner(b, purpose);
    let mut h = random::HASH;
    if let Some(owner) = owner {
        h = random::hash(h, &path(b, owner, instance));
        h = random::hash(h, "\0");
    }
    match state(b, purpose) {
        Some((m, s, exit)) => {
            let m = &b.machines[m as usize];
            let word = if exit { "exit" } else { "entry" };
            random::hash(h, &format!("{word} {}.{}", m.name, m.states[s as usize].name))
        }
        // Twins of other numbers of handlers draw the same: the number counts within the owner.
        None => {
            let nth = b.handlers.iter().take(purpose as usize).filter(|h| Some(h.owner) == owner).count();
            random::hash(h, &nth.to_string())
        }
    }
}
