//! Texts that are meant to hurt, given to the binary: a clear error (or an answer) within a fixed amount of
//! processor time and of memory, which the system holds it to. Nothing here measures a clock.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// Seconds of processor time: a second's work of an optimised build, in the tests' one.
const SECONDS: u32 = 5;
/// Address space, in KiB: about twice what is used, since the allocator reserves it ahead.
const MEMORY: u32 = 2_500_000;

const SCENARIO: &str = "scenario s for A { duration: 1 s }\n";

/// What `twinc check` says of a file: the exit code, and the codes of its errors.
fn check_file(folder: &Path, name: &str) -> (i32, Vec<String>) {
    let out = Command::new("sh")
        .args(["-c", "ulimit -t $0; ulimit -v $1 2>/dev/null; shift; exec \"$@\""])
        .args([SECONDS.to_string(), MEMORY.to_string(), env!("CARGO_BIN_EXE_twinc").to_owned()])
        .args(["check", name])
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    let Some(code) = out.status.code() else {
        panic!("{name}: ended by a signal, out of time or memory: {:?}", out.status);
    };
    assert!(!text.contains("panicked") && out.stderr.len() < 2_000_000, "{name}: {:.2000}", text);
    let mut codes: Vec<String> = text
        .split('[')
        .filter_map(|part| part.split_once("] Error: ").map(|(code, _)| code.to_owned()))
        .filter(|code| code.len() == 5)
        .collect();
    codes.dedup();
    (code, codes)
}

/// The same of a text.
fn check(text: impl AsRef<[u8]>) -> (i32, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("m.twinml"), text).unwrap();
    check_file(folder.path(), "m.twinml")
}

#[track_caller]
fn fails(text: impl AsRef<[u8]>, code: &str) {
    assert_eq!(check(text), (2, vec![code.to_owned()]));
}

#[track_caller]
fn passes(text: impl AsRef<[u8]>) {
    assert_eq!(check(text), (0, Vec::new()));
}

/// `x = right`, in line 4.
fn equation(right: &str) -> String {
    format!("twin A {{\n  variables {{ x: Real }}\n  equations {{\n    x = {right}\n  }}\n}}\n{SCENARIO}")
}

#[test]
fn the_limits_hold_a_program_that_does_not_end() {
    // Without this, the other tests would prove nothing.
    let out = Command::new("sh").args(["-c", "ulimit -t 1; while :; do :; done"]).output().unwrap();
    assert_eq!(out.status.code(), None, "{:?}", out.status);
}

#[test]
fn brackets_and_chains() {
    fails(equation(&format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000))), "E0204");
    fails(equation(&format!("{}1{}", "sin(".repeat(10_000), ")".repeat(10_000))), "E0204");
    fails(equation(&("1 + ".repeat(20_000) + "1")), "E0204");
    fails(equation(&("if time > 1 s then 1 else ".repeat(10_000) + "1")), "E0708");
    passes(equation(&("1 + ".repeat(900) + "1")));
    passes(equation(&("time*1 s^-1 + ".repeat(900) + "1")));
    fails(equation(&("1 + ".repeat(1100) + "1")), "E0204");
}

#[test]
fn lines_and_texts_too_long() {
    fails(equation(&("1+".repeat(5_000_000) + "1")), "E0108");
    fails("\n".repeat(70 << 20), "E0108");
    fails(format!("{}é", " \n".repeat(35 << 20)), "E0108");
    fails("/*".repeat(1_000_000), "E0108");
    let many: String = (0..20_000).map(|k| format!("  a{k} = b{k}\n")).collect();
    fails(format!("twin A {{\n equations {{\n{many} }}\n}}\n"), "E0301");
}

#[test]
fn strange_bytes() {
    fails(equation("1").into_bytes().into_iter().chain([0, 0, 0]).collect::<Vec<u8>>(), "E0107");
    passes(format!("\u{feff}{}", equation("1")));
    fails(format!("{}\u{feff}", equation("1")), "E0107");
    passes(equation("1").replace('\n', "\r\n"));
    fails(equation("nothing").replace('\n', "\r\n"), "E0301");
    assert_eq!(check(b"twin A { }\xff\xfe").0, 2);
    passes("");
}

#[test]
fn what_uses_itself() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    at("a.twinml", "use \"b.twinml\"\ntwin A { }\n");
    at("b.twinml", "use \"c.twinml\"\ntwin B { }\n");
    at("c.twinml", "use \"a.twinml\"\ntwin C { }\n");
    at("self.twinml", "use \"self.twinml\"\ntwin A { }\n");
    for name in ["a.twinml", "b.twinml", "self.twinml"] {
        assert_eq!(check_file(folder.path(), name), (2, vec!["E0308".to_owned()]), "{name}");
    }
    for k in 0..100 {
        at(&format!("n{k}.twinml"), &format!("use \"n{}.twinml\"\ntwin N{k} {{ }}\n", k + 1));
    }
    at("n100.twinml", "twin N100 { }\n");
    assert_eq!(check_file(folder.path(), "n0.twinml").0, 2);
}

#[test]
fn what_extends_or_holds_itself() {
    fails("twin A { extends A }\n", "E0309");
    fails("twin A { extends B }\ntwin B { extends C }\ntwin C { extends A }\n", "E0309");
    fails("twin A { twins { b: B } }\ntwin B { twins { a: A } }\n", "E0312");
    fails("type T = U\ntype U = T\ntwin A { variables { x: T } }\n", "E0314");
    fails(
        format!(
            "twin A {{ parameters {{ p: Real = q; q: Real = p }} outputs {{ y: Real = p }} }}\n{SCENARIO}"
        ),
        "E0606",
    );
    let decay = "twin C0 { states { x: Real = 0 } equations { der(x) = -x/1 s } }\n";
    let chain: String = (0..5000).map(|k| format!("twin C{} {{ extends C{k} }}\n", k + 1)).collect();
    passes(format!("{decay}{chain}twin A {{ extends C5000 }}\n{SCENARIO}"));
    let nested: String = (0..5000).map(|k| format!("twin C{} {{ twins {{ a: C{k} }} }}\n", k + 1)).collect();
    fails(format!("{decay}{nested}system twin A {{ twins {{ a: C5000 }} }}\n{SCENARIO}"), "E0709");
}

#[test]
fn what_grows_without_measure() {
    let decay = "twin T { states { x: Real = 0 } equations { der(x) = -x/1 s } }\n";
    fails(format!("twin A {{ variables {{ x: Real[1][1000000000] }} }}\n{SCENARIO}"), "E0435");
    fails(format!("twin A {{ parameters {{ k: Length[1000000000] = 3 m }} }}\n{SCENARIO}"), "E0435");
    fails(format!("{decay}system twin A {{ twins {{ t: T[1000000000] }} }}\n{SCENARIO}"), "E0435");
    fails(
        format!(
            "twin A<n: Int = 100000> {{ variables {{ p: Length[n, n] }}\n equations {{ for i in 0..n {{ for j in 0..n {{ p[i,j] = 1 m }} }} }} }}\n{SCENARIO}"
        ),
        "E0708",
    );
    // 2^60 twins, each of its own.
    let doubled: String =
        (0..60).map(|k| format!("twin C{} {{ twins {{ a: C{k}; b: C{k} }} }}\n", k + 1)).collect();
    fails(
        format!(
            "{}{doubled}system twin A {{ twins {{ a: C60 }} }}\n{SCENARIO}",
            decay.replace("twin T", "twin C0")
        ),
        "E0708",
    );
    // 2^60 terms, once the functions are put in place.
    let functions: String =
        (0..60).map(|k| format!("func f{}(x: Real): Real = f{k}(x) + f{k}(x)\n", k + 1)).collect();
    let (code, codes) =
        check(format!("func f0(x: Real): Real = x\n{functions}{}", equation("f60(time/1 s)")));
    assert!(code == 2 && codes.len() == 1, "{code} {codes:?}");
    passes(equation("sum(i for i in 0..1000000000)"));
}

#[test]
fn numbers_and_units_out_of_range() {
    fails(equation(&"9".repeat(900_000)), "E0105");
    fails(equation("1e999999999"), "E0105");
    fails("twin A { variables { x: Real[m^999999999] } equations { x = 0 } }\n", "E0511");
}

#[test]
fn files_that_never_end() {
    if !Path::new("/dev/zero").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (code, codes) = check_file(folder.path(), "/dev/zero");
    assert_eq!((code, codes), (2, vec!["E0108".to_owned()]));
    let text = "twin A { inputs { u: Real } outputs { y: Real = u } }\nscenario s for A { duration: 1 s; drive u from \"/dev/zero\" column \"x\" linear }\n";
    fails(text, "E0722");
}
