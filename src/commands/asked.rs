//! What a command line added to a scenario, as `summary.json` keeps it: with it, and the model, the run can be done again.
//!
//! Only what decides the results is kept: how they are computed (`--engine`, `--opt`, `--jobs`) and how long anybody wanted
//! to wait is not. Numbers and times stand as they are written on the command line, so that they read back to the bit.

use serde::{Deserialize, Serialize};

use super::snapshot::Request;
use crate::args::{Compile, Engine, Simulation};

/// What was asked for. A member that was not given is `null`.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// `--scenario`
    pub scenario: Option<String>,
    /// Each `--set`.
    pub set: Vec<String>,
    /// `--seed`
    pub seed: Option<u64>,
    /// `--solver`
    pub solver: Option<String>,
    /// `--rtol`
    pub rtol: Option<String>,
    /// `--atol`
    pub atol: Option<String>,
    /// `--step`
    pub step: Option<String>,
    /// `--max-step`
    pub max_step: Option<String>,
    /// `--max-steps`
    pub max_steps: Option<u64>,
    /// `--until`; of a run that goes on from a snapshot its own.
    pub until: Option<String>,
    /// `--every`
    pub every: Option<String>,
    /// `--si`
    pub si: bool,
    /// `--snapshot-every`
    pub snapshot_every: Option<String>,
}

impl Asked {
    /// Of a run from its start.
    pub fn of(request: &Request, snapshot_every: Option<&str>) -> Asked {
        let (c, s) = (&request.compile, &request.simulation);
        Asked {
            scenario: c.scenario.clone(),
            set: c.sets.clone(),
            seed: s.seed,
            solver: s.solver.clone(),
            rtol: s.rtol.map(|x| x.to_string()),
            atol: s.atol.map(|x| x.to_string()),
            step: s.step.clone(),
            max_step: s.max_step.clone(),
            max_steps: s.max_steps,
            until: s.until.clone(),
            every: s.every.clone(),
            si: request.si,
            snapshot_every: snapshot_every.map(str::to_owned),
        }
    }

    /// Of a run that goes on from a snapshot, which holds what it was asked with.
    pub fn onward(until: Option<&str>, si: bool, snapshot_every: Option<&str>) -> Asked {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Asked { until: own(until), si, snapshot_every: own(snapshot_every), ..Asked::default() }
    }

    /// The same for whoever compiles and simulates.
    ///
    /// # Errors
    ///
    /// What is no number, in a sentence.
    pub fn request(&self) -> Result<Request, String> {
        let number = |name: &str, text: &Option<String>| match text {
            Some(text) => text.parse().map(Some).map_err(|_| format!("`{name}` is no number: `{text}`")),
            None => Ok(None),
        };
        let simulation = Simulation {
            seed: self.seed,
            solver: self.solver.clone(),
            rtol: number("rtol", &self.rtol)?,
            atol: number("atol", &self.atol)?,
            step: self.step.clone(),
            max_step: self.max_step.clone(),
            max_steps: self.max_steps,
            time_limit: None,
            until: self.until.clone(),
            every: self.every.clone(),
            allow: Vec::new(),
            engine: Engine::Jit,
            opt: None,
        };
        let compile =
            Compile { scenario: self.scenario.clone(), sets: self.set.clone(), deny: Vec::new(), emit: None };
        Ok(Request { compile, simulation, si: self.si })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_was_asked_reads_back_to_the_bit() {
        for x in [1e-7, 1.0000000000000002e-7, 0.1 + 0.2, f64::MIN_POSITIVE, 3.0] {
            let asked = Asked { rtol: Some(x.to_string()), ..Asked::default() };
            let text = serde_json::to_string(&asked).unwrap();
            let back: Asked = serde_json::from_str(&text).unwrap();
            let request = back.request().unwrap();
            assert_eq!(request.simulation.rtol.map(f64::to_bits), Some(x.to_bits()));
            assert_eq!(Asked::of(&request, None), asked);
        }
        let wrong = Asked { atol: Some("much".to_owned()), ..Asked::default() };
        assert!(wrong.request().unwrap_err().contains("`atol`"));
    }
}
