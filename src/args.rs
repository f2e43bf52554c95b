//! The command line: every command and flag, by name as PRODUCT.md fixes them.

pub mod keys;
pub mod study;
pub mod timeline;

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

/// Compile, check, run and plot digital twins written in TwinML.
#[derive(Parser, Debug)]
#[command(name = "twinc", version, propagate_version = true, after_help = AFTER, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// The command line `args`; `no_color` is what the environment says. What is wrong with it, and the help, obey
/// `--color` too.
///
/// # Errors
///
/// What to print instead of doing anything: help, the version, or what is wrong; and how, as far as that could be read.
pub fn parse(args: Vec<OsString>, no_color: bool) -> Result<Cli, (clap::Error, Output)> {
    let color = match asked(&args, "--color").unwrap_or_default() {
        When::Always => ColorChoice::Always,
        When::Never => ColorChoice::Never,
        When::Auto if no_color => ColorChoice::Never,
        When::Auto => ColorChoice::Auto,
    };
    let matches = Cli::command().color(color).try_get_matches_from(&args);
    matches.and_then(|m| Cli::from_arg_matches(&m)).map_err(|e| {
        let format = asked(&args, "--format").unwrap_or_default();
        (e, Output { format, ..Output::default() })
    })
}

/// What `flag` asks for, of a command line that need not be right.
fn asked<T: ValueEnum>(args: &[OsString], flag: &str) -> Option<T> {
    args.iter().enumerate().skip(1).find_map(|(k, arg)| {
        let word = match arg.to_str()?.strip_prefix(flag)? {
            "" => args.get(k + 1)?.to_str()?,
            word => word.strip_prefix('=')?,
        };
        T::from_str(word, false).ok()
    })
}

const AFTER: &str = "\
Exit codes: 0 all good, 1 a requirement is violated, 2 usage or compile error, 3 the simulation failed,
4 inconclusive, 5 the outside failed, 6 a signature, hash or replay does not match, 130 interrupted.";

/// The commands of this version.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a small project that already runs
    New(New),
    /// Check models: everything short of running
    Check(Check),
    /// Run one simulation or scenario
    Run(Run),
    /// Run a Monte Carlo job: many samples of a scenario, with verdicts
    Mc(Box<Mc>),
    /// Do a run again and compare it, bit by bit, with its results or its snapshots; or one sample of a Monte Carlo job with its trace: `replay DIR#711`
    Replay(Replay),
    /// Run every scenario and say what became of what it expects
    Test(Test),
    /// Run a model over a grid or a list of values
    Sweep(study::Sweep),
    /// Say which parameters matter: local, elementary effects, Sobol indices
    Sensitivity(study::Sensitivity),
    /// Fit parameters to measured data
    Calibrate(study::Calibrate),
    /// Walk through a run event by event, forward and backward, with values and the handlers that ran
    Debug(Debug),
    /// Take, show and unpack snapshots: a run's whole state at an instant
    Snapshot(Snapshot),
    /// Judge a formula of temporal logic over recorded data
    Monitor(Monitor),
    /// Branch off a snapshot: what if, from an instant on, something were otherwise
    Branch(timeline::Branch),
    /// Show the snapshots and branches that are kept, as a tree
    Timeline(timeline::Timeline),
    /// Say how two runs come apart: when first, where they decided otherwise, what became of them, how fast
    Diff(timeline::Diff),
    /// Draw a result file as SVG, PNG or HTML
    Plot(Plot),
    /// Make, list and export keys that sign
    Keys(keys::Keys),
    /// Say whether a signed snapshot, result or log is what it was: good, unknown key or bad
    Verify(keys::Verify),
    /// Explain a diagnostic code
    Explain(Explain),
    /// Show what was found on this machine, and what was chosen
    Doctor,
    /// Print a completion script for a shell
    Completions(Completions),
    /// Commands that are not (yet) there; they get an answer of their own.
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// How to print; the same for every command.
#[derive(Args, Debug, Clone, Default)]
pub struct Output {
    /// For people, or one JSON object a line
    #[arg(long, value_enum, global = true, default_value_t = Format::Human, value_name = "FORMAT")]
    pub format: Format,
    /// When to use colours
    #[arg(long, value_enum, global = true, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
    /// Print errors and results only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// The form of all output.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// When to use colours.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum When {
    /// On a terminal that has them, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `twinc new`
#[derive(Args, Debug)]
pub struct New {
    /// Name of the project and of its folder
    pub name: PathBuf,
}

/// What models are compiled with.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct Compile {
    /// Scenario to take
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,
    /// Set a parameter, start value or input, with its unit: `tank.area='2 m^2'` (repeatable)
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = setting)]
    pub sets: Vec<String>,
    /// Treat warnings as errors
    #[arg(long, value_name = "WHAT", value_parser = ["warnings"])]
    pub deny: Vec<String>,
    /// Print an intermediate form instead of going on
    #[arg(long, value_enum, value_name = "STAGE")]
    #[serde(skip)]
    pub emit: Option<Emit>,
}

impl Compile {
    /// Whether warnings are errors.
    pub fn deny_warnings(&self) -> bool {
        self.deny.iter().any(|what| what == "warnings")
    }
}

/// The stages that can be printed.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// What the lexer sees.
    Tokens,
    /// The tree of the text.
    Ast,
    /// The checked model.
    Hir,
    /// Flat equations, arrays still loops.
    Flat,
    /// The scheduled program.
    Ir,
    /// Cranelift's form of the kernels.
    Clif,
    /// Machine code.
    Asm,
}

/// `twinc check`
#[derive(Args, Debug)]
pub struct Check {
    /// Models to check; `-` is standard input
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// How they are compiled.
    #[command(flatten)]
    pub compile: Compile,
    /// Tell states, loops, demoted states, event indicators and what had to be expanded
    #[arg(long)]
    pub explain: bool,
}

/// `twinc run`
#[derive(Args, Debug)]
pub struct Run {
    /// The model; `-` is standard input
    #[arg(required_unless_present = "from")]
    pub file: Option<PathBuf>,
    /// How it is compiled.
    #[command(flatten)]
    pub compile: Compile,
    /// How it is simulated.
    #[command(flatten)]
    pub simulation: Simulation,
    /// Folder for the results, or the file (.parquet, .arrow, .csv)
    #[arg(short, long, value_name = "DIR_OR_FILE")]
    pub out: Option<PathBuf>,
    /// Record everything in SI units
    #[arg(long)]
    pub si: bool,
    /// Write no plot
    #[arg(long)]
    pub no_plot: bool,
    /// Write a snapshot this often: `10min`
    #[arg(long, value_name = "DURATION")]
    pub snapshot_every: Option<String>,
    /// Go on from a snapshot, which holds the model and all that was asked for
    #[arg(long, value_name = "SNAPSHOT", conflicts_with = "file")]
    pub from: Option<PathBuf>,
    /// Threads for jobs of many runs; a single run does not depend on it
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Whether results and snapshots are signed.
    #[command(flatten)]
    pub signing: keys::Signing,
    /// Whether snapshots are encrypted.
    #[command(flatten)]
    pub encryption: keys::Encryption,
}

impl Run {
    /// The arguments of a run that is done again into a folder.
    pub fn again(compile: &Compile, simulation: &Simulation, si: bool, out: PathBuf) -> Run {
        Run {
            file: None,
            compile: compile.clone(),
            simulation: simulation.clone(),
            out: Some(out),
            si,
            no_plot: true,
            snapshot_every: None,
            from: None,
            jobs: None,
            signing: keys::Signing::default(),
            encryption: keys::Encryption::default(),
        }
    }
}

/// `twinc snapshot`
#[derive(Args, Debug)]
pub struct Snapshot {
    /// What to do.
    #[command(subcommand)]
    pub command: SnapshotCommand,
}

/// What can be done with snapshots.
#[derive(Subcommand, Debug)]
pub enum SnapshotCommand {
    /// Run a scenario up to an instant and write its state there
    Take(Box<SnapshotTake>),
    /// Say what a snapshot is of, and what is in it
    Show(SnapshotShow),
    /// Unpack a snapshot: the model's files, the parameters, the state as CSV
    Extract(SnapshotExtract),
    /// Sign a snapshot that is there, in place of whoever signed it
    Sign(SnapshotSign),
}

/// `twinc snapshot take`
#[derive(Args, Debug)]
pub struct SnapshotTake {
    /// The model
    pub file: PathBuf,
    /// The instant: `30min`
    #[arg(long, value_name = "DURATION")]
    pub at: String,
    /// How it is compiled.
    #[command(flatten)]
    pub compile: Compile,
    /// How it is simulated.
    #[command(flatten)]
    pub simulation: Simulation,
    /// Record everything in SI units when the run goes on
    #[arg(long)]
    pub si: bool,
    /// The file; default: in the folder of the model's results, by scenario and time
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Whether it is signed.
    #[command(flatten)]
    pub signing: keys::Signing,
    /// Whether it is encrypted.
    #[command(flatten)]
    pub encryption: keys::Encryption,
}

/// `twinc snapshot show`
#[derive(Args, Debug)]
pub struct SnapshotShow {
    /// The snapshot
    pub snapshot: PathBuf,
    /// What opens an encrypted one.
    #[command(flatten)]
    pub encryption: keys::Encryption,
    /// Where keys are kept.
    #[command(flatten)]
    pub place: keys::Place,
}

/// `twinc snapshot extract`
#[derive(Args, Debug)]
pub struct SnapshotExtract {
    /// The snapshot
    pub snapshot: PathBuf,
    /// The folder
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// What opens an encrypted one.
    #[command(flatten)]
    pub encryption: keys::Encryption,
    /// Where keys are kept.
    #[command(flatten)]
    pub place: keys::Place,
}

/// `twinc snapshot sign`
#[derive(Args, Debug)]
pub struct SnapshotSign {
    /// The snapshot
    pub snapshot: PathBuf,
    /// The file; default: in place of the snapshot
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// With which key.
    #[command(flatten)]
    pub signing: keys::Signing,
    /// What opens an encrypted one, and encrypts the signed one.
    #[command(flatten)]
    pub encryption: keys::Encryption,
}

/// `twinc mc`
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Mc {
    /// What else can be done with a job.
    #[command(subcommand)]
    pub command: Option<McCommand>,
    /// The model
    pub file: Option<PathBuf>,
    /// How it is compiled.
    #[command(flatten)]
    pub compile: Compile,
    /// How it is simulated.
    #[command(flatten)]
    pub simulation: Simulation,
    /// Samples; default: what the scenario says, or 1000
    #[arg(short = 'n', long, value_name = "N")]
    pub samples: Option<u64>,
    /// How samples are spread
    #[arg(long, value_enum, default_value_t = SamplerName::Random, value_name = "HOW")]
    pub sampler: SamplerName,
    /// Stop when the interval of every probability is this narrow
    #[arg(long, value_name = "WIDTH")]
    pub until_ci: Option<f64>,
    /// Stop when Wald's sequential test has decided every claim; within this much of the claimed probability either
    /// answer will do
    #[arg(long, value_name = "ZONE", conflicts_with = "until_ci")]
    pub sprt: Option<f64>,
    /// Want verdicts and nothing else: each sample ends once all of its are decided
    #[arg(long, conflicts_with = "record")]
    pub verdicts_only: bool,
    /// Do one part of the job: the third of sixteen; also read from SLURM_ARRAY_TASK_ID and JOB_COMPLETION_INDEX
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Go on with a job that was interrupted
    #[arg(long)]
    pub resume: bool,
    /// Trace these quantities of every sample over time: `tanks.h,pump.power` (`*` stands for anything)
    #[arg(long, value_name = "PATHS", value_delimiter = ',')]
    pub record: Vec<String>,
    /// Write a JUnit report
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Folder for the results
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Threads; the results do not depend on it [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

impl Mc {
    /// The arguments of a job that was run before.
    pub fn again(
        compile: &Compile,
        simulation: &Simulation,
        sampler: &str,
        until_ci: Option<&str>,
        sprt: Option<&str>,
        record: &[String],
        verdicts_only: bool,
    ) -> Mc {
        Mc {
            command: None,
            file: None,
            compile: compile.clone(),
            simulation: simulation.clone(),
            samples: None,
            sampler: SamplerName::from_str(sampler, false).unwrap_or(SamplerName::Random),
            until_ci: until_ci.and_then(|w| w.parse().ok()),
            sprt: sprt.and_then(|w| w.parse().ok()),
            verdicts_only,
            shard: None,
            resume: false,
            record: record.to_vec(),
            junit: None,
            out: None,
            jobs: None,
        }
    }
}

/// How samples are spread.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum SamplerName {
    /// Independent samples.
    Random,
    /// Latin hypercubes.
    Lhs,
    /// Scrambled Sobol sequences.
    Sobol,
}

/// What else can be done with a job.
#[derive(Subcommand, Debug)]
pub enum McCommand {
    /// Put the shards in a folder together
    Merge(Merge),
}

/// `twinc mc merge`
#[derive(Args, Debug)]
pub struct Merge {
    /// The folder with the shards
    pub dir: PathBuf,
    /// Write a JUnit report
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// `twinc replay`
#[derive(Args, Debug)]
pub struct Replay {
    /// Snapshots of one run; the results of a run or of a branch: their folder, or one of its files; a folder of such folders,
    /// as `branch` writes it; or a job's folder and the index of a sample: `out/tank_farm/cold_start/mc#711`
    #[arg(value_name = "SNAPSHOT|DIR|DIR#SAMPLE", required = true)]
    pub targets: Vec<String>,
    /// Of results: the model that they are of, where it is neither among them nor where it was
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Of results of `branch`: the store of timelines with the snapshot that they grew from, where it is not beside them
    #[arg(long, value_name = "FILE", default_value = twinml_providers::store::FILE)]
    pub store: PathBuf,
    /// Folder for the trace of a sample
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Under which key snapshots are encrypted.
    #[command(flatten)]
    pub encryption: keys::Encryption,
    /// Where keys are kept.
    #[command(flatten)]
    pub place: keys::Place,
}

/// `twinc test`
#[derive(Args, Debug)]
pub struct Test {
    /// Models, or folders that are searched for them; default: the current folder
    pub paths: Vec<PathBuf>,
    /// Scenarios to run (`*` stands for anything; repeatable); default: all
    #[arg(long, value_name = "NAME")]
    pub scenario: Vec<String>,
    /// Set a parameter, start value or input, with its unit: `tank.area='2 m^2'` (repeatable)
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = setting)]
    pub sets: Vec<String>,
    /// Treat warnings as errors
    #[arg(long, value_name = "WHAT", value_parser = ["warnings"])]
    pub deny: Vec<String>,
    /// How scenarios are simulated.
    #[command(flatten)]
    pub simulation: Simulation,
    /// End each sample of a claim once all its verdicts are decided; the least robustness is then not known
    #[arg(long)]
    pub verdicts_only: bool,
    /// Write a JUnit report
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// List the scenarios instead of running them
    #[arg(long)]
    pub list: bool,
    /// Threads; what is printed does not depend on it [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

/// `twinc debug`
#[derive(Args, Debug)]
pub struct Debug {
    /// The model
    pub file: PathBuf,
    /// How it is compiled.
    #[command(flatten)]
    pub compile: Compile,
    /// How it is simulated.
    #[command(flatten)]
    pub simulation: Simulation,
    /// What to do instead of asking: `next`, `goto 2min`, `print tank.h`, `why`; several with `;` between (repeatable)
    #[arg(long = "command", value_name = "COMMAND")]
    pub commands: Vec<String>,
}

/// `twinc monitor`
#[derive(Args, Debug)]
pub struct Monitor {
    /// The formula: `always(h < 3 m)`
    pub formula: String,
    /// The data: .csv, .parquet or .arrow, with a column `time`
    #[arg(long, value_name = "DATA")]
    pub trace: PathBuf,
    /// What lies between samples: nothing that counts, or straight lines
    #[arg(long, value_enum, default_value_t = Interpolate::None, value_name = "HOW")]
    pub interpolate: Interpolate,
    /// The unit of a column where the file does not say it: `h=cm` (repeatable)
    #[arg(long = "unit", value_name = "COLUMN=UNIT")]
    pub units: Vec<String>,
}

/// What lies between samples.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolate {
    /// Only samples count.
    None,
    /// Straight lines.
    Linear,
}

/// How scenarios are simulated.
#[derive(Args, Debug, Clone, Serialize, Deserialize)]
pub struct Simulation {
    /// Seed of the random streams
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Solver: auto, euler, rk4, tsit5, dopri5, adams, taylor, implicit_euler, rosenbrock, bdf, esdirk, trbdf2, diffsol_bdf, milstein
    #[arg(long, value_name = "S")]
    pub solver: Option<String>,
    /// Relative tolerance
    #[arg(long, value_name = "TOL", allow_negative_numbers = true)]
    pub rtol: Option<f64>,
    /// Absolute tolerance, in each state's SI unit
    #[arg(long, value_name = "TOL", allow_negative_numbers = true)]
    pub atol: Option<f64>,
    /// Step of a fixed-step solver: `1ms`
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub step: Option<String>,
    /// Longest step
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub max_step: Option<String>,
    /// Most steps before the run is given up
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub max_steps: Option<u64>,
    /// Longest wall-clock time before the run is given up
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub time_limit: Option<String>,
    /// End of the run instead of the scenario's: `2h`
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// Record this often instead of the scenario's rates: `1s`
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub every: Option<String>,
    /// Grant a capability
    #[arg(long, value_name = "CAPABILITY[=SCOPE]")]
    pub allow: Vec<String>,
    /// Run kernels with the interpreter or with machine code; the results have the same bits
    #[arg(long, value_enum, default_value_t = Engine::Jit, value_name = "ENGINE", hide_short_help = true)]
    pub engine: Engine,
    /// How much machine code is optimised; the results have the same bits
    #[arg(short = 'O', long = "opt", value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=3), hide_short_help = true)]
    pub opt: Option<u8>,
}

/// What runs the kernels.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Engine {
    /// Machine code.
    Jit,
    /// The reference interpreter.
    Interpreter,
}

/// `twinc plot`
#[derive(Args, Debug)]
pub struct Plot {
    /// The result: .parquet, .arrow or .csv
    pub result: PathBuf,
    /// Picture to write: .html, .svg or .png; default: beside the result, as HTML
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Only the columns whose path matches (`*` stands for anything; repeatable)
    #[arg(long = "only", value_name = "PATTERN")]
    pub only: Vec<String>,
    /// Title; default: what the result says about itself
    #[arg(long)]
    pub title: Option<String>,
}

/// `twinc explain`
#[derive(Args, Debug)]
pub struct Explain {
    /// The code: `E0203`; without it, all codes are listed
    pub code: Option<String>,
}

/// `twinc completions`
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `path=value`, or `path~distribution`, with something on either side; the compiler reads the rest.
fn setting(text: &str) -> Result<String, String> {
    let sides = text.split_once(['=', '~']);
    match sides {
        Some((path, value)) if !path.trim().is_empty() && !value.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("write a path, `=` and a value, as in `tank.area='2 m^2'`".to_owned()),
    }
}
