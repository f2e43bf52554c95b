//! The sections that hosts read: model, scenario, clock.

use twinml_model::bytes::{Malformed, Persist, Reader, Writer};
use twinml_model::persist;

use super::Hash;

/// The model of a run: everything that it was compiled from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The compiler that made the program, with its version: `twinc 0.10.0`.
    pub compiler: String,
    /// The hash of the model as results have it (`twinml.model_hash`).
    pub hash: Hash,
    /// The hash of the program that was made of it ([`super::program_hash`]).
    pub program: Hash,
    /// All files, the model's own first.
    pub files: Vec<File>,
}

persist!(Model { compiler: String, hash: Hash, program: Hash, files: Vec<File> });

/// A file of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path as seen from the folder of the model's own file, with `/` between folders; of a module of the standard
    /// library its name.
    pub path: String,
    /// What it is.
    pub origin: Origin,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

persist!(File { path: String, origin: Origin, bytes: Vec<u8> });

/// What a file of a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Source text.
    Source,
    /// Data that the source names.
    Data,
    /// A module of the standard library that the compiler brings along: here to be read, not to be compiled.
    Library,
}

impl Origin {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Source => "source",
            Origin::Data => "data",
            Origin::Library => "library",
        }
    }
}

impl Persist for Origin {
    const LEAST: usize = 1;
    fn save(&self, to: &mut Writer) {
        to.put(&(*self as u8));
    }
    fn load(from: &mut Reader<'_>) -> Result<Origin, Malformed> {
        match from.get::<u8>()? {
            0 => Ok(Origin::Source),
            1 => Ok(Origin::Data),
            2 => Ok(Origin::Library),
            other => Err(from.malformed(format!("{other} is no kind of file"))),
        }
    }
}

/// What a run was asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The scenario's name.
    pub name: String,
    /// The twin that was run.
    pub twin: String,
    /// The branch of the scenario; empty for the trunk.
    pub branch: String,
    /// What the command line added, as the host's own text (JSON): with it the same model compiles to the same run.
    pub request: String,
    /// Seed of the random streams.
    pub seed: u64,
    /// The run's index in them: 0 for a single run.
    pub run: u32,
    /// The solver.
    pub solver: String,
    /// The end of the run in seconds.
    pub duration: f64,
    /// Parameters by path as a JSON object, for people.
    pub parameters: String,
}

persist!(Scenario {
    name: String,
    twin: String,
    branch: String,
    request: String,
    seed: u64,
    run: u32,
    solver: String,
    duration: f64,
    parameters: String,
});

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// The instant that was asked for, in nanoseconds.
    pub asked: i128,
    /// Time of the last accepted step, in seconds; not after `asked`.
    pub time: f64,
    /// Time of the last event in seconds, and its micro-step; NaN and 0 before the first.
    pub micro: (f64, u64),
    /// Where the solver's library hides its state, the sections hold the last restart at this time, and the run goes on
    /// from there to `time` first.
    pub restart: Option<f64>,
    /// Accepted steps so far.
    pub steps: u64,
    /// Instants with events so far.
    pub events: u64,
    /// Regular instants recorded so far.
    pub samples: u64,
    /// Actions of the scenario that are done.
    pub actions: u64,
    /// Changes of a branch that are done.
    pub changes: u64,
}

persist!(Clock {
    asked: i128,
    time: f64,
    micro: (f64, u64),
    restart: Option<f64>,
    steps: u64,
    events: u64,
    samples: u64,
    actions: u64,
    changes: u64,
});
