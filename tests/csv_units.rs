//! CSV results and the file beside them that says their units: what is written is read back as what it was.
#![allow(clippy::unwrap_used, reason = "tests")]

mod rows;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use expect_test::{Expect, expect};
use rows::Rows;

const BOILER: &str = "
twin Boiler {
  states { p: Pressure in bar = 3 bar; T: Temperature in degC = 60 degC }
  outputs { hot: Bool = T > 40 degC; q: Pressure[2] in kPa = [p, 2*p] }
  equations { der(p) = -p/10 s; der(T) = (20 degC - T)/20 s }
}
scenario s for Boiler { duration: 10 s; record all every 1 s }
";

/// What it drives has other units than the boiler shows.
const PIPE: &str = "
twin Pipe {
  inputs { p: Pressure = 1 bar; T: Temperature = 300 K; q: Pressure = 0 Pa }
  parameters { f: Table = table(\"boiler.csv\", x: \"time\" in s, y: \"p\" in bar) }
  variables { late: Pressure = f(time) }
}
scenario s for Pipe {
  duration: 10 s
  drive p from \"boiler.csv\" linear
  drive T from \"boiler.csv\" linear
  drive q from \"boiler.csv\" column \"q[1]\" linear
  record all every 1 s
}
";

fn twinc(folder: &Path, words: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twinc")).args(words.split(' ')).current_dir(folder).output().unwrap()
}

#[track_caller]
fn run(folder: &Path, words: &str) -> Output {
    let out = twinc(folder, words);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out
}

/// A folder with both models and the boiler's results.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("boiler.twinml"), BOILER).unwrap();
    fs::write(place.path().join("pipe.twinml"), PIPE).unwrap();
    run(place.path(), "run boiler.twinml --out boiler.csv");
    place
}

fn rows(path: &Path) -> Rows {
    Rows::of_csv(&fs::read_to_string(path).unwrap())
}

/// Changes the file that says the units.
fn mend(folder: &Path, from: &str, to: &str) {
    let path = folder.join("boiler.csv-metadata.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn what_is_written_is_read_as_what_it_was() {
    let place = place();
    run(place.path(), "run pipe.twinml --si --out pipe.csv");
    let (boiler, pipe) = (rows(&place.path().join("boiler.csv")), rows(&place.path().join("pipe.csv")));
    let close = |of: &str, is: &str, scale: f64, offset: f64| {
        let (of, is) = (boiler.of(of), pipe.of(is));
        // the boiler has a row more where it stops to be hot
        for (t, x) in is {
            let shown = of.iter().rfind(|(s, _)| *s == t).unwrap().1;
            assert!((shown * scale + offset - x).abs() < 1e-9 * x.abs(), "{t}: {shown} and {x}");
        }
    };
    close("p", "p", 1e5, 0.0);
    close("p", "late", 1e5, 0.0);
    close("T", "T", 1.0, 273.15);
    close("q[1]", "q", 1e3, 0.0);
}

#[test]
fn the_file_is_told_of_and_goes_with_its_results() {
    let place = place();
    let out = run(place.path(), "run boiler.twinml --out boiler.csv --si --format json");
    let told = String::from_utf8(out.stdout).unwrap();
    assert!(told.contains(r#""path":"boiler.csv-metadata.json","what":"metadata""#), "{told}");
    let said = fs::read_to_string(place.path().join("boiler.csv-metadata.json")).unwrap();
    assert!(said.contains("\"Pa\"") && !said.contains("\"bar\""), "{said}");
    // a table says the unit that its file has
    fs::write(place.path().join("pipe.twinml"), PIPE.replace("in bar", "in Pa")).unwrap();
    run(place.path(), "run pipe.twinml --si --out pipe.csv");
    let first = rows(&place.path().join("pipe.csv")).of("p")[0].1;
    assert_eq!(first, 3e5);
    // its units are on the plot's axes
    run(place.path(), "plot boiler.csv --out boiler.svg");
    assert!(fs::read_to_string(place.path().join("boiler.svg")).unwrap().contains("Pa"));
    // other formats say their units themselves
    run(place.path(), "run boiler.twinml --out boiler.parquet");
    assert!(!place.path().join("boiler.parquet-metadata.json").exists());
}

/// A run, and what it is made of, says that these units counted.
#[test]
fn the_file_is_an_input_of_the_run() {
    let place = place();
    let inputs = || {
        run(place.path(), "run pipe.twinml --out out --no-plot");
        let text = fs::read_to_string(place.path().join("out/summary.json")).unwrap();
        let summary: serde_json::Value = serde_json::from_str(&text).unwrap();
        let names: Vec<String> = summary["inputs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["name"].as_str().unwrap().into())
            .collect();
        (names, summary["model_hash"].as_str().unwrap().to_owned())
    };
    let (names, hash) = inputs();
    assert_eq!(names, ["pipe.twinml", "boiler.csv", "boiler.csv-metadata.json"]);
    run(place.path(), "replay out");
    mend(place.path(), "\"kPa\"", "\"hPa\"");
    assert_ne!(inputs().1, hash);
}

#[track_caller]
fn refused(folder: &Path, words: &str, wanted: &Expect) {
    let out = twinc(folder, words);
    assert_eq!(out.status.code(), Some(2));
    wanted.assert_eq(&String::from_utf8_lossy(&out.stderr));
}

#[test]
fn units_that_do_not_fit_are_refused() {
    let place = place();
    mend(place.path(), "\"titles\": \"p\"", "\"titles\": \"P\"");
    let check = "run pipe.twinml --color never --out pipe.csv";
    refused(
        place.path(),
        check,
        &expect![[r#"
        [E0722] Error: `boiler.csv` cannot be read
            ╭─[ pipe.twinml:4:27 ]
            │
          4 │   parameters { f: Table = table("boiler.csv", x: "time" in s, y: "p" in bar) }
            │                           ─────────────────────────┬────────────────────────
            │                                                    ╰────────────────────────── here
            │
          9 │   drive p from "boiler.csv" linear
            │   ────────────────┬───────────────
            │                   ╰───────────────── read here, too
         10 │   drive T from "boiler.csv" linear
            │   ────────────────┬───────────────
            │                   ╰───────────────── read here, too
         11 │   drive q from "boiler.csv" column "q[1]" linear
            │   ───────────────────────┬──────────────────────
            │                          ╰──────────────────────── read here, too
            │
            │ Note: boiler.csv-metadata.json: column 3 of `boiler.csv` is `p`, and it describes `P`: write it anew with its file, or remove it
        ────╯
        error: pipe.twinml: 1 error
    "#]],
    );
    mend(place.path(), "\"titles\": \"P\"", "\"titles\": \"p\"");
    mend(place.path(), "\"degC\"", "\"degree\"");
    refused(
        place.path(),
        check,
        &expect![[r#"
            [E0722] Error: the column `T` of `boiler.csv` is in `degree`, which is no unit
                ╭─[ pipe.twinml:10:3 ]
                │
             10 │   drive T from "boiler.csv" linear
                │   ────────────────┬───────────────
                │                   ╰───────────────── here
                │
                │ Help: write the unit behind the column in the model: `in …`
            ────╯
            error: pipe.twinml: 1 error
        "#]],
    );
    mend(place.path(), "\"degree\"", "7");
    refused(
        place.path(),
        check,
        &expect![[r#"
            [E0722] Error: `boiler.csv` cannot be read
                ╭─[ pipe.twinml:4:27 ]
                │
              4 │   parameters { f: Table = table("boiler.csv", x: "time" in s, y: "p" in bar) }
                │                           ─────────────────────────┬────────────────────────
                │                                                    ╰────────────────────────── here
                │
              9 │   drive p from "boiler.csv" linear
                │   ────────────────┬───────────────
                │                   ╰───────────────── read here, too
             10 │   drive T from "boiler.csv" linear
                │   ────────────────┬───────────────
                │                   ╰───────────────── read here, too
             11 │   drive q from "boiler.csv" column "q[1]" linear
                │   ───────────────────────┬──────────────────────
                │                          ╰──────────────────────── read here, too
                │
                │ Note: boiler.csv-metadata.json:26:28: this does not describe columns of a CSV file: invalid type: integer `7`, expected a string
            ────╯
            error: pipe.twinml: 1 error
        "#]],
    );
    mend(place.path(), "7", "\"m\"");
    refused(
        place.path(),
        check,
        &expect![[r#"
        [E0722] Error: the column `T` of `boiler.csv` is in `m`, and what it drives in `K`
            ╭─[ pipe.twinml:10:3 ]
            │
         10 │   drive T from "boiler.csv" linear
            │   ────────────────┬───────────────
            │                   ╰───────────────── here
            │
            │ Help: drive what this column measures, or name another column
        ────╯
        error: pipe.twinml: 1 error
    "#]],
    );
    let out = twinc(place.path(), "plot boiler.csv --out boiler.svg");
    assert!(out.status.success(), "what the units are does not matter to a plot");
    fs::write(place.path().join("boiler.csv-metadata.json"), "{}\n}").unwrap();
    let out = twinc(place.path(), "plot boiler.csv --out boiler.svg");
    assert_eq!(out.status.code(), Some(5));
    expect![[r#"
        error: boiler.csv-metadata.json:2:1: this does not describe columns of a CSV file: trailing characters
    "#]]
    .assert_eq(&String::from_utf8_lossy(&out.stderr));
}
