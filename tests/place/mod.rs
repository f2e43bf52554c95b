//! A folder of its own in which the built `twinc` is run.
#![allow(dead_code, reason = "each test that has this needs some of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder that goes with the test; keys are kept in it too, and nobody is asked for anything.
pub struct Place(tempfile::TempDir);

/// What a command came to.
pub struct Ran {
    args: String,
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// What of the surroundings would change an answer: colours, and which part of a job on a cluster this is.
const FOREIGN: [&str; 6] = [
    "NO_COLOR",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_ARRAY_TASK_COUNT",
    "SLURM_ARRAY_TASK_MIN",
    "JOB_COMPLETION_INDEX",
    "JOB_COMPLETIONS",
];

impl Place {
    /// With files in it, by name and text.
    #[track_caller]
    pub fn with(files: &[(&str, &str)]) -> Place {
        Place(tempfile::tempdir().unwrap()).filled(files)
    }

    /// With a model, `m.twinml`.
    #[track_caller]
    pub fn model(text: &str) -> Place {
        Place::with(&[("m.twinml", text)])
    }

    /// With files in it, in a folder that lies in memory where there is one: hundreds of jobs put their files on disk to
    /// stay, which is most of what they wait for.
    #[track_caller]
    pub fn in_memory(files: &[(&str, &str)]) -> Place {
        Place(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()).filled(files)
    }

    #[track_caller]
    fn filled(self, files: &[(&str, &str)]) -> Place {
        files.iter().for_each(|(name, text)| self.write(name, text));
        self
    }

    /// Puts a file there, and the folder that it is in.
    #[track_caller]
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What is in a file.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The same as JSON.
    #[track_caller]
    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    /// Where a file of that name is in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `twinc` with arguments, not yet run. `WORD` is a passphrase in the environment.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_in(self.0.path(), args)
    }

    /// The same in another folder.
    pub fn command_in(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
        command.current_dir(folder).args(args).stdin(Stdio::null());
        command.env("TWINML_KEYS", self.path("keys")).env("WORD", "correct horse");
        FOREIGN.iter().for_each(|name| _ = command.env_remove(name));
        command
    }

    /// `twinc` with arguments, and what it comes to.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ran {
        ran(&mut self.command(args))
    }

    /// Exit code, standard output, standard error; a panic is never an answer.
    #[track_caller]
    pub fn twinc(&self, args: &[&str]) -> (i32, String, String) {
        self.twinc_in(self.0.path(), args)
    }

    /// The same in another folder.
    #[track_caller]
    pub fn twinc_in(&self, folder: &Path, args: &[&str]) -> (i32, String, String) {
        let Ran { code, out, err, .. } = ran(&mut self.command_in(folder, args));
        (code, out, err)
    }

    /// What it prints where it exits with that code.
    #[track_caller]
    pub fn expect(&self, code: i32, args: &[&str]) -> (String, String) {
        let ran = self.run(args).expect(code);
        (ran.out, ran.err)
    }

    /// The same as it was put out.
    #[track_caller]
    pub fn output(&self, args: &[&str], code: i32) -> Output {
        let out = self.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
        out
    }

    /// The objects that it prints as JSON.
    #[track_caller]
    pub fn objects(&self, args: &[&str], code: i32) -> Vec<Value> {
        self.run(&[args, &["--format", "json"]].concat()).expect(code).objects()
    }

    /// Alters a file.
    #[track_caller]
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.text(name);
        assert!(text.contains(from), "{name} has no {from}");
        fs::write(self.path(name), text.replace(from, to)).unwrap();
    }
}

/// Runs a command to its end; a panic is never an answer.
#[track_caller]
pub fn ran(command: &mut Command) -> Ran {
    let out = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err, code) = (text(out.stdout), text(out.stderr), out.status.code().unwrap());
    let args = format!("{:?}", command.get_args().collect::<Vec<_>>());
    assert!(!err.contains("panicked"), "{args}\n{err}");
    Ran { args, code, out, err }
}

impl Ran {
    /// Where it exits with that code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{}\n{}", self.args, self.said());
        self
    }

    /// All that it printed.
    pub fn said(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// Every line of standard output as JSON.
    #[track_caller]
    pub fn objects(&self) -> Vec<Value> {
        let object = |l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"));
        self.out.lines().map(object).collect()
    }
}

/// The objects of a type.
pub fn of<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|o| o["type"] == kind).collect()
}
