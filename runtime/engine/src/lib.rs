//! Runs a `Program`: clock, events, recording.
//!
//! In: a verified `twinml_model::Program`, parameter values, drives and an integrator. Out: rows of recorded
//! quantities, handed to a [`record::Recorder`], and a summary of what the run cost.
//!
//! This crate never reads the wall clock (a host passes its deadline in as a question that it answers),
//! opens no socket, draws nothing at random, prints nothing and holds no global state. Files are touched in one
//! place only, the recorders under [`record`]; data files arrive as bytes.

pub mod behavior;
pub mod csvw;
pub mod data;
pub mod ensemble;
pub mod lanes;
pub mod monitor;
pub mod noise;
pub mod provenance;
pub mod record;
pub mod run;
pub mod snapshot;
pub mod study;
pub mod thin;
pub mod timeline;
