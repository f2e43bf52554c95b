//! Where in the unit interval a draw of a run stands.
//!
//! `random`: independent numbers. `lhs`: Latin hypercubes (M. D. McKay, R. J. Beckman, W. J. Conover, 1979): the runs of a
//! randomisation fall one each into equal parts of every quantity's range. `sobol`: a scrambled Sobol sequence for each
//! randomisation. Runs `k`, `k + 16`, `k + 32`, … make one randomisation, so that a job of any length has
//! [`RANDOMISATIONS`] of them, each independent of the others.
//!
//! Every number is a function of (seed, run, the quantity's stream), so no order of execution changes it. Sobol's
//! sequence also needs a number for each quantity: that is its place in the program, so that a quantity added at the end
//! changes no other's draws; with the other samplers no quantity added anywhere does.

use super::RANDOMISATIONS;
use super::sobol;
use crate::behavior::random::{self, philox};

/// How samples are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampler {
    /// Independent.
    Random,
    /// Latin hypercubes.
    Lhs,
    /// Scrambled Sobol sequences.
    Sobol,
}

impl Sampler {
    /// All of them.
    pub const ALL: [Sampler; 3] = [Sampler::Random, Sampler::Lhs, Sampler::Sobol];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Sampler::Random => "random",
            Sampler::Lhs => "lhs",
            Sampler::Sobol => "sobol",
        }
    }

    /// The sampler of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Sampler> {
        Sampler::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// A sampler with what its numbers depend on.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// How samples are spread.
    pub sampler: Sampler,
    /// The job's seed.
    pub seed: u64,
    /// How many runs the whole job has; a Latin hypercube depends on it.
    pub runs: u64,
}

/// A purpose of its own for what is no draw of a run.
const KEYS: u64 = 0x4b45_5953;

impl Source {
    /// The number of the quantity with this stream and this place in run `run`, strictly between 0 and 1. From the
    /// second attempt on, where the first draw was refused, numbers are independent for every sampler.
    #[must_use]
    pub fn unit(&self, stream: u64, place: usize, run: u32, attempt: u32) -> f64 {
        let free = random::uniforms(self.seed, run, stream, attempt)[0];
        if attempt > 0 {
            return free;
        }
        let set = u64::from(run) % RANDOMISATIONS;
        let at = u64::from(run) / RANDOMISATIONS;
        match self.sampler {
            Sampler::Random => free,
            Sampler::Lhs => self.stratum(stream, set, at, free),
            Sampler::Sobol => {
                let point = sobol::coordinate(place, at as u32, self.key(stream, set));
                // Beyond the known direction numbers coordinates are stratified one by one.
                point.unwrap_or_else(|| self.stratum(stream, set, at, free))
            }
        }
    }

    /// A number within the part of the unit interval that belongs to run `at` of a randomisation.
    fn stratum(&self, stream: u64, set: u64, at: u64, inside: f64) -> f64 {
        let parts = (self.runs.saturating_sub(set)).div_ceil(RANDOMISATIONS).max(at + 1);
        let part = permuted(at, parts, self.key(stream, set));
        let u = (part as f64 + inside) / parts as f64;
        // Rounding may reach the end of the last part.
        u.clamp(f64::EPSILON / 4.0, 1.0 - f64::EPSILON / 2.0)
    }

    /// The key of a quantity in a randomisation.
    fn key(&self, stream: u64, set: u64) -> u64 {
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        let out = philox(key, [set as u32, KEYS as u32, stream as u32, (stream >> 32) as u32]);
        u64::from(out[0]) | u64::from(out[1]) << 32
    }
}

/// Place `at` of a random permutation of `0..n`: a Feistel network over the next even power of two, walked until it
/// falls inside (J. Black and P. Rogaway, "Ciphers with arbitrary finite domains", 2002).
fn permuted(at: u64, n: u64, key: u64) -> u64 {
    if n <= 1 {
        return 0;
    }
    let bits = (64 - (n - 1).leading_zeros()).max(2).div_ceil(2);
    let mask = (1u64 << bits) - 1;
    let key = [key as u32, (key >> 32) as u32];
    let mut x = at;
    loop {
        let (mut left, mut right) = (x >> bits & mask, x & mask);
        for round in 0..4u32 {
            let out = philox(key, [right as u32, (right >> 32) as u32, round, n as u32]);
            let f = (u64::from(out[0]) | u64::from(out[1]) << 32) & mask;
            (left, right) = (right, left ^ f);
        }
        x = left << bits | right;
        if x < n {
            return x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutations_are_permutations() {
        for n in [1, 2, 3, 5, 16, 17, 100, 1000] {
            let mut seen: Vec<u64> = (0..n).map(|k| permuted(k, n, 42)).collect();
            let order = seen.clone();
            seen.sort_unstable();
            assert_eq!(seen, (0..n).collect::<Vec<_>>());
            assert!(n < 16 || order != seen, "{n} in order");
        }
    }

    #[test]
    fn a_latin_hypercube_has_one_run_in_each_part() {
        for runs in [160, 1003] {
            let source = Source { sampler: Sampler::Lhs, seed: 5, runs };
            for set in 0..RANDOMISATIONS {
                let own: Vec<u64> = (set..runs).step_by(16).collect();
                let mut parts: Vec<u64> = own
                    .iter()
                    .map(|k| (source.unit(77, 0, *k as u32, 0) * own.len() as f64) as u64)
                    .collect();
                parts.sort_unstable();
                assert_eq!(parts, (0..own.len() as u64).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn all_samplers_are_uniform_and_apart() {
        for sampler in Sampler::ALL {
            let source = Source { sampler, seed: 3, runs: 16_000 };
            let list = |stream, place| -> Vec<f64> {
                (0..16_000).map(|k| source.unit(stream, place, k, 0)).collect()
            };
            let (a, b) = (list(1, 0), list(2, 1));
            let n = a.len() as f64;
            let mean = a.iter().sum::<f64>() / n;
            let cross = a.iter().zip(&b).map(|(x, y)| (x - 0.5) * (y - 0.5)).sum::<f64>() / n * 12.0;
            assert!((mean - 0.5).abs() < 0.01 && cross.abs() < 0.03, "{}: {mean} {cross}", sampler.name());
            assert!(a.iter().all(|u| *u > 0.0 && *u < 1.0));
        }
    }
}
