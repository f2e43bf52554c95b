//! Timelines: snapshots and the branches that grow from them, as a tree of nodes.
//!
//! A node is a state of a run at an instant (its parts are bytes, such as a `*.twinsnap`) with what is known of it, and
//! it stands on the node that it grew from. Nodes are kept behind the seam [`Store`]; [`Memory`] is the one without a
//! disk, and [`conformance`] holds every store to the same behaviour. [`chunk`] and [`patch`] are how nodes share what
//! they have in common. [`divergence`] and [`decisions`] say how two recorded runs come apart.
//!
//! Nothing here opens a file.

pub mod chunk;
pub mod conformance;
pub mod decisions;
pub mod divergence;
mod memory;
pub mod patch;
mod store;

pub use memory::Memory;
pub use store::{Cipher, Draft, Id, Node, Part, PartInfo, Store, StoreError, Swept, Usage, digest, kept};
