//! A folder of its own in which the built `twinc` is run.
#![allow(dead_code, reason = "each test that has this needs some of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder that goes with the test; keys are kept in it too, and nobody is asked for anything.
pub struct Place(tempfile::TempDir);

impl Place {
    /// With files in it, by name and text.
    #[track_caller]
    pub fn with(files: &[(&str, &str)]) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        for (name, text) in files {
            fs::write(place.path(name), text).unwrap();
        }
        place
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
        command
    }

    /// Exit code, standard output, standard error; a panic is never an answer.
    #[track_caller]
    pub fn twinc(&self, args: &[&str]) -> (i32, String, String) {
        self.twinc_in(self.0.path(), args)
    }

    /// The same in another folder.
    #[track_caller]
    pub fn twinc_in(&self, folder: &Path, args: &[&str]) -> (i32, String, String) {
        let out = self.command_in(folder, args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (out, err, code) = (text(out.stdout), text(out.stderr), out.status.code().unwrap());
        assert!(!err.contains("panicked"), "{args:?}\n{err}");
        (code, out, err)
    }

    /// What it prints where it exits with that code.
    #[track_caller]
    pub fn expect(&self, code: i32, args: &[&str]) -> (String, String) {
        let (got, out, err) = self.twinc(args);
        assert_eq!(got, code, "{args:?}\n{out}{err}");
        (out, err)
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
        let (out, _) = self.expect(code, &[args, &["--format", "json"]].concat());
        out.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// Alters a file.
    #[track_caller]
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        fs::write(self.path(name), text.replace(from, to)).unwrap();
    }
}

/// The objects of a type.
pub fn of<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|o| o["type"] == kind).collect()
}
