//! Monte Carlo jobs of the model in a place, and what they leave in their folders.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;

use serde_json::Value;

use crate::place::{Place, Ran};

impl Place {
    #[track_caller]
    pub fn mc(&self, args: &[&str]) -> Ran {
        self.run(&[&["mc", "m.twinml"], args].concat())
    }

    /// The bytes of a job's results.
    pub fn bits(&self, folder: &str) -> (Vec<u8>, Vec<u8>) {
        let read = |name: &str| fs::read(self.path(folder).join(name)).unwrap();
        (read("runs.parquet"), read("summary.json"))
    }

    pub fn summary(&self, folder: &str) -> Value {
        self.json(&format!("{folder}/summary.json"))
    }
}

pub fn requirement<'v>(summary: &'v Value, name: &str) -> &'v Value {
    let all = summary["requirements"].as_array().unwrap();
    all.iter().find(|r| r["name"] == name).unwrap()
}
