//! The three models of the comparison, ready to run.

use std::sync::Arc;
use twinml_model::host::Memory;
use twinml_model::program::Program;

use crate::open::open;
use crate::smooth::{LORENZ, PENDULUM, QUAD6};

pub struct Model {
    pub name: &'static str,
    pub program: Arc<Program>,
    /// One run's memory at its start.
    pub start: Memory,
}

pub fn all() -> [Model; 3] {
    [("lorenz", LORENZ), ("pendulum", PENDULUM), ("quad6", QUAD6)].map(|(name, text)| {
        let (program, start) = open(text);
        Model { name, program, start }
    })
}
