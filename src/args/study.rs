//! The command line of studies: sweeps, sensitivities, calibration.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Compile, Simulation};

/// `twinc sweep`
#[derive(Args, Debug)]
pub struct Sweep {
    /// The model
    pub file: PathBuf,
    /// How it is compiled. A `--set` with several values is swept over: `k='1 m,2 m,5 m'`, or `k='1 m..2 m:11'` for 11
    /// values from end to end (`:11:log` for equal ratios).
    #[command(flatten)]
    pub compile: Compile,
    /// How it is simulated.
    #[command(flatten)]
    pub simulation: Simulation,
    /// Take the first values of all `--set` together, then the second ones, instead of every combination
    #[arg(long)]
    pub list: bool,
    /// Folder for the results, or the file (.parquet, .arrow, .csv)
    #[arg(short, long, value_name = "DIR_OR_FILE")]
    pub out: Option<PathBuf>,
    /// Record everything in SI units
    #[arg(long)]
    pub si: bool,
    /// Threads; the results do not depend on it [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

/// `twinc sensitivity`
#[derive(Args, Debug)]
pub struct Sensitivity {
    /// The model
    pub file: PathBuf,
    /// How it is compiled.
    #[command(flatten)]
    pub compile: Compile,
    /// How it is simulated.
    #[command(flatten)]
    pub simulation: Simulation,
    /// How to look: derivatives along the run, elementary effects, or parts of the variance
    #[arg(long, value_enum, default_value_t = Look::Local, value_name = "HOW")]
    pub method: Look,
    /// A parameter to vary, with its range: `tank.k=0.01..0.02`; for `local` the range may be left out (repeatable) [default: what
    /// has a distribution in the model, by its distribution]
    #[arg(long, value_name = "PATH[=LO..HI]")]
    pub vary: Vec<String>,
    /// Quantities to look at (`*` stands for anything; repeatable) [default: KPIs, outputs and states]
    #[arg(long = "of", value_name = "PATTERN")]
    pub of: Vec<String>,
    /// Points of `sobol` (each takes as many runs as there are parameters, and two), trajectories of `morris`
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    pub samples: Option<u32>,
    /// Confidence with which all intervals of a quantity hold together
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    pub confidence: f64,
    /// Folder for the results
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Threads; the results do not depend on it [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

/// How to look at sensitivities.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Derivatives at the given values, by forward sensitivities.
    Local,
    /// Morris's elementary effects.
    Morris,
    /// Sobol indices.
    Sobol,
}

/// `twinc calibrate`
#[derive(Args, Debug)]
pub struct Calibrate {
    /// The model
    pub file: PathBuf,
    /// How it is compiled.
    #[command(flatten)]
    pub compile: Compile,
    /// How it is simulated.
    #[command(flatten)]
    pub simulation: Simulation,
    /// Measured data: .csv, .parquet or .arrow, with a column `time` and columns named by paths
    #[arg(long, value_name = "DATA")]
    pub data: PathBuf,
    /// A parameter to fit, with bounds if it has any: `tank.k=0.01..0.02` (repeatable) [default: what has a distribution in
    /// the model]
    #[arg(long, value_name = "PATH[=LO..HI]")]
    pub fit: Vec<String>,
    /// The column that measures a quantity, where it has another name: `tank.h=level` (repeatable)
    #[arg(long, value_name = "PATH=COLUMN")]
    pub column: Vec<String>,
    /// Standard deviation of a measured quantity: `tank.h='2 cm'` (repeatable) [default: estimated from what is left over]
    #[arg(long, value_name = "PATH=SD")]
    pub sd: Vec<String>,
    /// Starting points within the bounds, the first one the model's own values
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub starts: u32,
    /// Confidence of the intervals
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    pub confidence: f64,
    /// Folder for the results
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Threads of runs that derivatives are differences of; the results do not depend on it [default: as many as there are
    /// processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}
