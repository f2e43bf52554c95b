//! Many runs of one program: what each draws, running them over threads, and what they say together.
//!
//! A run is known by its index. What it draws follows from (seed, index, path of the quantity) alone ([`plan`],
//! [`sampler`]), so that threads, shards, the order of execution and a resumed job change nothing. [`execute`] turns
//! indices into outcomes over threads and hands them on in the order of the indices, in bounded memory; whoever
//! evaluates runs (one machine for each, or lanes) stands behind one function. [`exact`] and [`sketch`] hold figures
//! that do not depend on the order in which outcomes come; [`interval`] says how sure they are, [`sequential`] when enough is known.

pub mod exact;
pub mod execute;
pub mod interval;
pub mod law;
pub mod outcome;
pub mod plan;
pub mod sampler;
pub mod sequential;
pub mod sketch;
pub mod sobol;
pub mod store;

/// Independent randomisations of a Latin hypercube or a Sobol sequence: their spread tells how sure an estimate is.
/// Run `k` belongs to randomisation `k mod 16`.
pub const RANDOMISATIONS: u64 = 16;
