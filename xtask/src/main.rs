//! The project's chores: `cargo xtask ci` is exactly what CI runs.
//!
//! In: a checkout. Out: an exit code and the tools' own output. Never changes a source file, except
//! `bless`, which rewrites expectations.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a command-line tool for developers")]

use std::process::{Command, ExitCode};
use std::time::Instant;

const HELP: &str = "\
cargo xtask ci            everything that CI runs
cargo xtask ci --quick    formatting, lints and the unit tests of the core: under a minute
cargo xtask bless         run the tests and take what they print as the new expectations
cargo xtask fuzz [SECS] [TARGET…]
                          coverage-guided fuzzing of each target (default 60 s each)
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let ok = match words[..] {
        ["ci"] => ci(),
        ["ci", "--quick"] => quick(),
        ["bless"] => bless(),
        ["fuzz"] => fuzz("60", &[]),
        ["fuzz", seconds, ref targets @ ..] => fuzz(seconds, targets),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a command and says what it took.
fn step(name: &str, program: &str, args: &[&str], envs: &[(&str, &str)]) -> bool {
    eprintln!("── {name}");
    let begun = Instant::now();
    let status = Command::new(program).args(args).envs(envs.iter().copied()).status();
    let ok = match status {
        Ok(s) => s.success(),
        Err(e) => {
            eprintln!("   {program}: {e}");
            false
        }
    };
    eprintln!("   {} in {:.1} s", if ok { "ok" } else { "FAILED" }, begun.elapsed().as_secs_f64());
    ok
}

fn cargo(name: &str, args: &[&str]) -> bool {
    step(name, env!("CARGO"), args, &[])
}

const CLIPPY: &[&str] = &["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"];

/// What CI runs. One profile, one feature set: everything is built once.
fn ci() -> bool {
    cargo("formatting", &["fmt", "--all", "--check"])
        && cargo("lints", CLIPPY)
        && cargo("tests", &["test", "--workspace", "--locked", "--no-fail-fast"])
        && tss()
        && short_fuzz()
}

/// The two ways to a TPM, against each other: the feature's own test, where the system's TSS library is.
fn tss() -> bool {
    let found = Command::new("pkg-config").args(["--exists", "tss2-esys", "tss2-tctildr"]).status();
    if !found.is_ok_and(|found| found.success()) {
        eprintln!("── the TSS library: left out, it is not here (Debian: libtss2-dev, pkg-config)");
        return true;
    }
    let args =
        ["test", "--workspace", "--locked", "--features", "twinml-providers/tss-esapi", "--test", "tss"];
    cargo("the TSS library", &args)
}

/// Targets that build in a moment; `resume` has all of the engine under it, whose libraries take minutes.
const LIGHT: [&str; 6] = ["lexer", "parser", "checker", "ir_reader", "envelope", "signed_snapshot"];

/// A short coverage-guided search of each light target, the same one each time, where it can be built: libFuzzer is C++, and
/// no dependency of the workspace. The tests have replayed the targets already.
fn short_fuzz() -> bool {
    let found = |program: &str, args: &[&str]| {
        Command::new(program).args(args).output().is_ok_and(|out| out.status.success())
    };
    if !found("c++", &["--version"]) {
        eprintln!("── fuzzing: left out, there is no C++ compiler");
        return true;
    }
    if !found(env!("CARGO"), &["fetch", "--manifest-path", "tests/fuzz/Cargo.toml"]) {
        eprintln!("── fuzzing: left out, its packages cannot be fetched");
        return true;
    }
    let runs = [("TWINML_FUZZ_RUNS", "5000")];
    step("fuzzing", "bash", &[&["tests/fuzz/run", "60"], &LIGHT[..]].concat(), &runs)
}

fn quick() -> bool {
    cargo("formatting", &["fmt", "--all", "--check"])
        && cargo("lints", CLIPPY)
        && cargo("unit tests", &["test", "--workspace", "--locked", "--lib", "--quiet"])
}

fn bless() -> bool {
    step(
        "tests, blessing",
        env!("CARGO"),
        &["test", "--workspace", "--no-fail-fast"],
        &[("UPDATE_EXPECT", "1"), ("BLESS", "1"), ("TWINML_BLESS", "1")],
    )
}

fn fuzz(seconds: &str, targets: &[&str]) -> bool {
    step("fuzzing", "bash", &[&["tests/fuzz/run", seconds], targets].concat(), &[])
}
