//! The help of the commands about keys, signatures, snapshots and timelines, as people read it: a flag that changes its name or
//! its words is seen here. `UPDATE_EXPECT=1` writes it anew.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use expect_test::expect_file;

#[test]
fn help_reads_as_it_did() {
    for words in [
        "run",
        "replay",
        "verify",
        "branch",
        "diff",
        "debug",
        "keys",
        "keys create",
        "keys list",
        "keys export",
        "keys attest",
        "keys rotate",
        "snapshot",
        "snapshot take",
        "snapshot show",
        "snapshot extract",
        "snapshot sign",
        "timeline",
        "timeline add",
        "timeline export",
        "timeline remove",
        "timeline gc",
        "timeline check",
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
        command.args(words.split(' ')).args(["--help", "--color", "never"]).env_remove("COLUMNS");
        let out = command.output().unwrap();
        assert!(out.status.success(), "{words}");
        let text = String::from_utf8(out.stdout).unwrap();
        let text: String = text.lines().map(|l| format!("{}\n", l.trim_end())).collect();
        let file = format!("{}/tests/help/{}.txt", env!("CARGO_MANIFEST_DIR"), words.replace(' ', "_"));
        expect_file![file].assert_eq(&text);
    }
}

/// A command line that is wrong is an object like any other error, where objects were asked for.
#[test]
fn a_wrong_command_line_is_an_object_where_objects_are_asked_for() {
    for (words, said, helped) in [
        (&["run", "a.twinml", "--format", "json", "--untill", "3s"][..], "'--untill'", "'--until'"),
        (&["run", "--format=json"], "required arguments", "Usage:"),
        (&["--format=json", "run", "a.twinml", "--max-steps", "few"], "'few'", "--help"),
    ] {
        let out = Command::new(env!("CARGO_BIN_EXE_twinc")).args(words).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{words:?}");
        assert!(out.stderr.is_empty(), "{words:?}");
        let object: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(object["type"], "error", "{words:?}");
        let (message, help) = (object["message"].as_str().unwrap(), object["help"].as_str().unwrap());
        assert!(message.contains(said) && !message.starts_with("error"), "{message}");
        assert!(help.contains(helped), "{help}");
    }
}
