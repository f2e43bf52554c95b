//! Where a state comes from, and who vouches for it.
//!
//! What is signed is plain bytes here; keys are behind the seam [`Signer`].

mod signer;

pub use signer::{Algorithm, Backing, SignError, Signer};
