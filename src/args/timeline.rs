//! Arguments of the commands about timelines.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::keys::{Encryption, Place, Vouching};

/// `twinc diff`
#[derive(Args, Debug)]
#[command(after_help = DIFF)]
pub struct Diff {
    /// The first: a result file, the folder of a run, a snapshot, or a node of the store by its name or id
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// The second
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// Only the quantities whose path matches (`*` stands for anything; repeatable)
    #[arg(long = "only", value_name = "PATTERN")]
    pub only: Vec<String>,
    /// Picture of both to write: .html, .svg or .png
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with 6 where they differ, as `git diff --exit-code` does with 1
    #[arg(long)]
    pub exit_code: bool,
    /// Where timelines are kept.
    #[command(flatten)]
    pub store: Store,
}

const DIFF: &str = "\
Two runs are compared from instant to instant, two snapshots by what they hold; a branch of the store is the run that is
in its folder.

Exit codes: 0 both were read and compared, whether they differ or not; 6 they differ (with --exit-code), or a snapshot is
not what was written; 2 they have nothing in common that could be compared, or one is a run and the other a state;
5 a file cannot be read or written.";

/// Where timelines are kept.
#[derive(Args, Debug, Clone)]
pub struct Store {
    /// The store of timelines
    #[arg(long, value_name = "FILE", default_value = twinml_providers::store::FILE, global = true)]
    pub store: PathBuf,
    /// Under which key it is encrypted.
    #[command(flatten)]
    pub encryption: Encryption,
    /// Where keys are kept.
    #[command(flatten)]
    pub place: Place,
}

/// `twinc branch`
#[derive(Args, Debug)]
#[command(after_help = BRANCH)]
pub struct Branch {
    /// What it grows from: a snapshot, or the name or the first letters of the id of a node in the store
    #[arg(value_name = "SNAPSHOT")]
    pub from: String,
    /// The instant of the change; default: that of the snapshot
    #[arg(long, value_name = "DURATION")]
    pub at: Option<String>,
    /// Set a parameter from then on: `tank.area='2 m^2'`; several values or a range make a branch each, as in `sweep`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub sets: Vec<String>,
    /// Set an input, a state or a discrete value at that instant, in the same way
    #[arg(long = "inject", value_name = "PATH=VALUE")]
    pub injects: Vec<String>,
    /// Take several values together instead of all combinations
    #[arg(long)]
    pub list: bool,
    /// What it is called; default: what it sets
    #[arg(long)]
    pub name: Option<String>,
    /// End of the run instead of the snapshot's
    #[arg(long, value_name = "DURATION")]
    pub until: Option<String>,
    /// Make the branches and do not run them
    #[arg(long)]
    pub no_run: bool,
    /// Folder for the results; each branch has one in it
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Where it is kept.
    #[command(flatten)]
    pub store: Store,
    /// Sign the results of each branch, and the record of this in the log of operations, with a key of that name or file;
    /// without one, with `default` or the only one there is
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "")]
    pub sign: Option<String>,
    /// What unlocks the key: env:NAME, file:PATH or prompt
    #[arg(long, value_name = "SOURCE", requires = "sign")]
    pub passphrase: Option<String>,
    /// Threads; the results do not depend on it [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

const BRANCH: &str = "\
Exit codes: as of `run`, the heaviest of all branches; 2 also for a change that the model does not allow, 5 where the
store cannot be used, 6 for a snapshot that is not what was written.";

/// `twinc timeline`
#[derive(Args, Debug)]
pub struct Timeline {
    /// What to do instead of showing the tree.
    #[command(subcommand)]
    pub command: Option<TimelineCommand>,
    /// Where it is kept.
    #[command(flatten)]
    pub store: Store,
    /// Who vouches for what is changed.
    #[command(flatten)]
    pub vouching: Vouching,
    /// Draw the tree as a page
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What can be done with a store.
#[derive(Subcommand, Debug)]
pub enum TimelineCommand {
    /// Keep a snapshot in the store
    Add {
        /// The snapshots
        #[arg(required = true)]
        snapshots: Vec<PathBuf>,
    },
    /// Write a node's snapshot to a file
    Export {
        /// Its name, or the first letters of its id
        node: String,
        /// The file; default: the name with `.twinsnap`
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Remove nodes with all that grew from them; `gc` gives their room back
    Remove {
        /// Names, or the first letters of ids
        #[arg(required = true)]
        nodes: Vec<String>,
    },
    /// Give back the room of what no node needs
    Gc,
    /// Read everything and say whether it is what was kept
    Check,
}
