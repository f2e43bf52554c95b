//! A folder with files, and `twinc` in it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// A folder of its own with files in it.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new(files: &[(&str, &str)]) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, text)| fs::write(place.path(name), text).unwrap());
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn twinc(&self, args: &[&str], code: i32) -> Output {
        let out =
            Command::new(env!("CARGO_BIN_EXE_twinc")).args(args).current_dir(self.0.path()).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
        out
    }

    pub fn objects(&self, args: &[&str], code: i32) -> Vec<Value> {
        let out = self.twinc(&[args, &["--format", "json"]].concat(), code);
        String::from_utf8(out.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }
}

/// The objects of a type.
pub fn of<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|o| o["type"] == kind).collect()
}
