//! CVODE 7 as a program beside ours.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The program `cvode7` in the folder that `PEERS_DIR` names (default: `.peers` in the project's root), if it is there.
pub fn cvode() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|p| p.join("Cargo.lock").exists());
    let folder = std::env::var_os("PEERS_DIR").map(PathBuf::from).or_else(|| Some(root?.join(".peers")))?;
    let program = folder.join("cvode7");
    program.exists().then_some(program)
}

/// The peer's words, from a folder where it finds its references.
pub fn ask(program: &Path, folder: &Path, args: &[String]) -> String {
    let output = Command::new(program).args(args).current_dir(folder).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The number after a word.
pub fn number(text: &str, before: &str) -> f64 {
    let rest = &text[text.find(before).unwrap() + before.len()..];
    rest.split_whitespace().next().unwrap().parse().unwrap()
}
