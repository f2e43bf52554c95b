//! Where a state comes from, and who vouches for it.
//!
//! A [`Manifest`] names a snapshot or a run's results by the hashes of all their parts; it is signed in an
//! [`Envelope`]; [`verify`] says `good`, `unknown key` or `bad`. Keys are behind the seam [`Signer`]; what signs with a
//! file or a device is no part of this crate. Everything here is bytes in, bytes out: no file, no clock, no chance.
//!
//! `docs/signatures.md` has the forms, byte for byte.

pub mod canonical;
pub mod conformance;
mod digest;
mod envelope;
mod log;
mod manifest;
pub mod merkle;
mod public;
mod signer;
mod state;
mod verify;

pub use digest::Digest;
pub use envelope::{Envelope, LONGEST, pae};
pub use log::{Broken, Chain, Checked, Entry, TYPE as LOG_TYPE};
pub use manifest::{Counter, KeyFacts, Kind, Manifest, Part, Subject, TYPE, VERSION, Wrong};
pub use public::{NoKey, PublicKey, canonical as canonical_signature};
pub use signer::{Algorithm, Backing, SignError, Signer};
pub use state::{parts as snapshot_parts, sign_snapshot, subject as snapshot_subject, verify_snapshot};
pub use verify::{Findings, Look, Trust, Verdict, seal, verify};
