//! Stochastic models by the binary: what is said of solvers and noises, exit codes, the same bits again, and the regions
//! of a reference model without its agent.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn twinc(place: &Path, args: &[&str]) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_twinc")).current_dir(place).args(args).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
    (out.status.code(), text)
}

const WALK: &str = "twin Walk {
  states { x: Length = 0 m }
  equations { der(x) = -x/10 s + 0.1 [m*s^-0.5]*white_noise() }
}
scenario run for Walk { duration: 10 s }
";

#[test]
fn without_a_solver_it_is_euler_and_this_is_said() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("m.twinml"), WALK).unwrap();
    let run = |args: &[&str]| {
        let mut all = vec!["run", "m.twinml", "--no-plot"];
        all.extend(args);
        twinc(place.path(), &all)
    };
    let (code, text) = run(&["--out", "a.csv"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("with euler (step 10 ms)"), "{text}");
    let (code, text) =
        run(&["--out", "b.csv", "--solver", "milstein", "--step", "10ms", "--engine", "interpreter"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("with milstein (step 10 ms)"), "{text}");
    // An intensity without states leaves Milstein nothing to correct.
    let file = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    assert_eq!(file("a.csv"), file("b.csv"));
    let (_, text) = run(&["--out", "c.csv", "--seed", "1"]);
    assert!(text.contains("Finished"), "{text}");
    assert_ne!(file("a.csv"), file("c.csv"));
    let (code, text) = run(&["--solver", "bdf"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("[E0812] Error: `bdf` cannot solve a model with white noise"), "{text}");
}

#[test]
fn noises_that_do_not_commute_are_named() {
    let place = tempfile::tempdir().unwrap();
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("compiler/src/diag/index/E0811.md"))
            .unwrap();
    let text = page.split("```twinml\n").nth(1).unwrap().split("```").next().unwrap();
    fs::write(place.path().join("m.twinml"), text).unwrap();
    let (code, said) = twinc(place.path(), &["run", "m.twinml", "--no-plot"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains(
            "[E0811] Error: `milstein` needs noises that commute, which `noise#1` and `noise#2` do not"
        ),
        "{said}"
    );
    assert!(said.contains("u = white_noise()") && said.contains("v = white_noise()"), "{said}");
    let (code, said) =
        twinc(place.path(), &["run", "m.twinml", "--no-plot", "--solver", "euler", "--step", "10ms"]);
    assert_eq!(code, Some(0), "{said}");
}

/// The reference model of an epidemic, without the agent that this version does not run.
#[test]
fn an_epidemic_in_five_regions() {
    let shared = std::env::var_os("TWINML_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let Ok(text) = fs::read_to_string(shared.join("models/12_epidemic_sde.twinml")) else {
        eprintln!("skipped: no reference models beside the project");
        return;
    };
    let (regions, rest) = text.split_once("agent twin Authority").unwrap();
    let country = &rest[rest.find("system twin Country").unwrap()..];
    let text = format!("{regions}{}", country.split_once("scenario no_rules").unwrap().0);
    let drop = |line: &&str| {
        let gone = ["send inform", "authority: Authority", "authority.rule[i] ->", "kpi locked"];
        !gone.iter().any(|g| line.contains(g))
    };
    let lines: Vec<&str> = text.lines().filter(drop).collect();
    let text = lines.join("\n").replace("regions.I, authority.rule", "regions.I, regions.R");
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("m.twinml"), text).unwrap();
    let end = |step: &str| -> Vec<f64> {
        let (code, said) =
            twinc(place.path(), &["run", "m.twinml", "--no-plot", "--out", "a.csv", "--step", step]);
        // The hospitals' limit is a claim: the nominal run does not set the exit code.
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("mass      holds"), "{said}");
        let rows = fs::read_to_string(place.path().join("a.csv")).unwrap();
        rows.lines().last().unwrap().split(',').map(|x| x.parse().unwrap()).collect()
    };
    let (hour, half, fine) = (end("1h"), end("30min"), end("5min"));
    let off = |a: &[f64]| a[2..].iter().zip(&fine[2..]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(off(&hour) < 2e-3 && off(&half) < off(&hour), "{} {}", off(&hour), off(&half));
}
