//! What the engine's seams bind to: signers (key files, a TPM) and stores.
//!
//! In: the seams of `twinml-engine` and settings given by the host. Out: things that stand behind them. Everything that
//! touches a device, a key or a database is here, so that the engine stays deterministic.
//!
//! This crate never reads the environment or a configuration by itself, never prints, and lets no secret out: none
//! stands in an error or in a `Debug`.

pub mod crypt;
pub mod keyfile;
pub mod operations;
pub mod store;
pub mod tpm;
