//! Arguments of the commands about timelines.

use std::path::PathBuf;

use clap::Args;

/// `twinc diff`
#[derive(Args, Debug)]
#[command(after_help = DIFF)]
pub struct Diff {
    /// The first: a result file, or the folder of a run
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
}

const DIFF: &str = "\
Exit codes: 0 both were read and compared, whether they differ or not; 6 they differ (with --exit-code);
2 they have nothing in common that could be compared; 5 a file cannot be read or written.";
