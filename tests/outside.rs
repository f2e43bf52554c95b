//! What the outside does to commands: files that are missing or cannot be read, output that nobody takes.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::process::Stdio;

mod place;
use place::Place;

const MODEL: &str = "twin Tank {
  states { h: Length = 1 m }
  equations { der(h) = -h/10 [s] }
}
scenario drain for Tank { duration: 1 min; record h every 1 s }
";

/// A file named on the command line that is not there is the outside's failure, whatever the command.
#[test]
fn a_file_that_the_command_line_names_and_that_is_missing_is_a_failure_of_the_outside() {
    let place = Place::model(MODEL);
    let none = "none.twinml";
    for args in [
        &["check", none][..],
        &["check", "m.twinml", none],
        &["run", none],
        &["test", none],
        &["mc", none, "-n", "2"],
        &["sweep", none, "--set", "k=1,2"],
        &["sensitivity", none],
        &["calibrate", none, "--data", "d.csv"],
        &["debug", none],
        &["snapshot", "take", none, "--at", "1s"],
        &["snapshot", "show", "none.twinsnap"],
        &["run", "--from", "none.twinsnap"],
        &["monitor", "always(h > 1)", "--trace", "none.csv"],
        &["plot", "none.parquet"],
        &["replay", "none"],
        &["replay", "none#3"],
        &["diff", "none", "nobody"],
        &["verify", "none"],
    ] {
        let ran = place.run(args).expect(5);
        assert!(ran.err.contains("none"), "{args:?}: {}", ran.err);
    }
}

/// What a model's text names is part of the model.
#[test]
fn a_file_that_a_model_names_and_that_is_missing_is_an_error_of_the_model() {
    for (text, code) in [
        ("use gone\n", "E0306"),
        ("scenario s for A { duration: 1 s; drive u from \"gone.csv\" }\n", "E0722"),
        (
            "twin B { outputs { y: Real = t(time/1 [s]) }; parameters { t: Table = table(\"gone.csv\", x: \"x\", y: \"y\") } }\n",
            "E0722",
        ),
    ] {
        let twin = "twin A { inputs { u: Real = 1 } outputs { z: Real = u } }\n";
        let place = Place::model(&if text.starts_with("use") {
            format!("{text}{twin}")
        } else {
            format!("{twin}{text}")
        });
        for command in ["check", "run"] {
            let ran = place.run(&[command, "m.twinml"]).expect(2);
            assert!(ran.err.contains(code) && ran.err.contains("m.twinml:"), "{command} {text}: {}", ran.err);
        }
    }
}

#[test]
fn a_folder_is_no_model_and_what_is_in_it_is_named() {
    let place = Place::with(&[("plant/tank.twinml", MODEL)]);
    for command in ["check", "run"] {
        let ran = place.run(&[command, "plant"]).expect(5);
        assert_eq!(
            ran.err,
            "error: `plant` is a folder\n  help: name a model in it, such as `plant/tank.twinml`\n"
        );
    }
    fs::create_dir(place.path("empty")).unwrap();
    assert!(place.run(&["run", "empty"]).expect(5).err.contains("name the file of a model"));
}

/// A model may come from standard input; files that it names are looked for in the present folder.
#[test]
fn a_model_is_read_from_standard_input() {
    let place = Place::with(&[("lib.twinml", "twin Part { outputs { k: Real = 2 } }\n")]);
    let text = "use \"lib.twinml\"
twin M { twins { p: Part } states { x: Real = 1 } equations { der(x) = -p.k*x/1 s } }
scenario s for M { duration: 1 s }
";
    let feed = |args: &[&str], text: &str| {
        place.write("in", text);
        place::ran(place.command(args).stdin(fs::File::open(place.path("in")).unwrap()))
    };
    feed(&["check", "-"], text).expect(0);
    feed(&["run", "-", "--no-plot"], text).expect(0);
    assert!(place.path("out/stdin/s.parquet").exists());
    feed(&["run", "-", "--out", "r.csv"], text).expect(0);
    let ran = feed(&["check", "-"], &text.replace("p.k", "q")).expect(2);
    assert!(ran.err.contains("E0301") && ran.err.contains("-:2:"), "{}", ran.err);
    // What cannot be read again is named when it is to be.
    let ran = place.run(&["replay", "out/stdin"]).expect(2);
    assert!(ran.err.contains("`--model FILE` names it"), "{}", ran.err);
}

/// `/dev/full` refuses every write, as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn output_that_is_not_taken_is_a_failure_of_the_outside() {
    let place = Place::model(MODEL);
    for args in [
        &["run", "m.twinml"][..],
        &["run", "m.twinml", "--format", "json"],
        &["check", "m.twinml", "--emit", "hir"],
        &["check", "m.twinml", "--explain"],
        &["test", "m.twinml"],
        &["explain"],
        &["doctor"],
        &["completions", "bash"],
        &["--help"],
        &["--version"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let out = place.command(args).stdout(full).output().unwrap();
        let err = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(5), "{args:?}: {err}");
        assert!(err.contains("error: could not write to standard output: "), "{args:?}: {err}");
    }
    // The result is a file of its own, and is there.
    assert!(place.path("out/m/drain.parquet").exists());
}

/// Who has read enough closes the pipe: the command does its work and says nothing.
#[test]
fn a_closed_pipe_is_no_failure() {
    let place = Place::model(MODEL);
    for args in [&["run", "m.twinml"][..], &["explain"], &["check", "m.twinml", "--emit", "hir"], &["--help"]]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let out = place.command(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let err = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(0), "{args:?}: {err}");
        assert!(!err.contains("error") && !err.contains("panicked"), "{args:?}: {err}");
    }
    assert!(place.path("out/m/drain.parquet").exists());
}
