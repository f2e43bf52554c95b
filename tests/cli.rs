//! The command line as people and scripts meet it: exit codes, streams, files, JSON lines.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

mod place;
use place::Place;

/// A first-order system with an event, an input, units and a requirement.
const MODEL: &str = r#"
/// A tank that drains.
twin Tank {
  parameters { area: Area = 2 m^2; k: Real[m^2.5/s] = 0.01 }
  inputs { q_in: VolumeFlow in L/s = 5 L/s }
  outputs { level: Length in cm = h; low: Bool = h < 0.6 m }
  states { h: Length = 1 m }
  equations { der(h) = (q_in - k * sqrt(max(h, 0 m))) / area }
  constraints { never_empty: always(h > -0.01 m) }
}
scenario drain for Tank {
  duration: 20 min
  solver: tsit5(rtol: 1e-8)
  at 10 min { q_in = 0 L/s }
  record level, low every 10 s
  expect never_empty
}
scenario long for Tank { duration: 1e9 s; solver: rk4(step: 1 ms) }
"#;

fn tank() -> Place {
    Place::with(&[("tank.twinml", MODEL)])
}

fn csv_rows(path: &Path) -> (Vec<String>, Vec<Vec<f64>>) {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let head = lines.next().unwrap().split(',').map(str::to_owned).collect();
    let number = |c: &str| match c {
        "true" => 1.0,
        "false" => 0.0,
        c => c.parse().unwrap(),
    };
    (head, lines.map(|l| l.split(',').map(number).collect()).collect())
}

#[test]
fn a_run_writes_result_summary_and_plot_and_says_so() {
    let place = tank();
    let ran = place.run(&["run", "tank.twinml"]).expect(0);
    let (out, err) = (ran.out, ran.err);
    assert!(err.contains("   Compiled Tank: 1 state, "), "{err}");
    assert!(err.contains("    Running drain to 20 min with tsit5 (rtol 1e-8)\n"), "{err}");
    assert!(out.starts_with("   Finished 121 samples, "), "{out}");
    assert!(out.contains("    Verdict never_empty  holds   robustness "), "{out}");
    assert!(
        out.contains(
            "    Written out/tank/drain.parquet, out/tank/events.parquet, summary.json, plot.html\n"
        ),
        "{out}"
    );
    assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'), "no colours into a pipe");
    let names: BTreeSet<String> = fs::read_dir(place.path("out/tank"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        names,
        ["drain.parquet", "events.parquet", "plot.html", "summary.json"].map(String::from).into()
    );
    let summary = place.json("out/tank/summary.json");
    assert_eq!(summary["ended"], "complete");
    assert_eq!(summary["event_log"]["path"], "events.parquet");
    assert_eq!(summary["parameters"]["area"]["value"], 2.0);
    assert_eq!(summary["final"]["level"]["unit"], "cm");
    assert_eq!(summary["files"][0]["columns"][0]["unit"], "s");
}

#[test]
fn csv_results_are_in_the_units_that_people_see_with_rows_on_both_sides_of_events() {
    let place = tank();
    place.run(&["run", "tank.twinml", "--out", "r.csv"]).expect(0);
    let (head, rows) = csv_rows(&place.path("r.csv"));
    assert_eq!(head, ["time", "step", "level", "low"]);
    assert_eq!(rows[0], [0.0, 0.0, 100.0, 0.0]);
    let at_action: Vec<&Vec<f64>> = rows.iter().filter(|r| r[0] == 600.0).collect();
    assert_eq!(at_action.len(), 2, "before and after the action");
    assert_eq!((at_action[0][1], at_action[1][1]), (0.0, 1.0));
    assert_eq!(at_action[0][2], at_action[1][2]);
    let falls = rows.iter().position(|r| r[3] == 1.0).unwrap();
    assert_eq!(rows[falls][1], 1.0, "the level that switches is an event");
    assert!((rows[falls][2] - 60.0).abs() < 1e-6, "{:?}", rows[falls]);
    assert!(!place.path("summary.json").exists(), "a file alone is a file alone");
    // The same in SI.
    place.run(&["run", "tank.twinml", "--si", "--out", "si.csv"]).expect(0);
    assert_eq!(csv_rows(&place.path("si.csv")).1[0], [0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn equal_runs_have_equal_bytes_on_machine_code_and_interpreter() {
    let place = tank();
    for (dir, engine) in [("a", "jit"), ("b", "jit"), ("c", "interpreter")] {
        place.run(&["run", "tank.twinml", "--out", dir, "--engine", engine]).expect(0);
    }
    for name in ["drain.parquet", "summary.json", "plot.html"] {
        let [a, b, c] = ["a", "b", "c"].map(|d| fs::read(place.path(d).join(name)).unwrap());
        assert!(a == b && b == c, "{name}");
    }
}

#[test]
fn flags_win_over_the_scenario() {
    let place = tank();
    let args = ["run", "tank.twinml", "--set", "area=4 m^2", "--until", "1 min", "--solver", "rk4", "--step"];
    let mut args = args.to_vec();
    args.extend(["500ms", "--every", "30s", "--out", "r.csv"]);
    let ran = place.run(&args).expect(0);
    assert!(ran.err.contains("Running drain to 1 min with rk4 (step 500 ms)"), "{}", ran.err);
    let (_, rows) = csv_rows(&place.path("r.csv"));
    assert_eq!(rows.iter().map(|r| r[0]).collect::<Vec<_>>(), [0.0, 30.0, 60.0]);
    // By an independent integration of (5 L/s − 0.01·√h)/4 m².
    assert!((rows[2][2] - 92.7777).abs() < 1e-3, "{rows:?}");
    let ran = place.run(&["run", "tank.twinml", "--set", "aera=4 m^2"]).expect(2);
    assert!(ran.err.contains("area"), "offers the name: {}", ran.err);
    for set in ["area", "area=", "=4 m^2"] {
        let ran = place.run(&["run", "tank.twinml", "--set", set]).expect(2);
        assert!(ran.err.contains("write a path, `=` and a value"), "{}", ran.err);
    }
}

#[test]
fn errors_have_their_exit_codes_and_places() {
    let place = tank();
    place.write("bad.twinml", "twin Bad {\n  states { x: Length = 1 m }\n  equations { der(x) = 1 kg }\n}\n");
    let ran = place.run(&["check", "bad.twinml"]).expect(2);
    assert!(ran.err.contains("bad.twinml:3:"), "{}", ran.err);
    assert_eq!(ran.out, "");
    place.run(&["run", "bad.twinml"]).expect(2);
    place.run(&["run", "tank.twinml", "--solver", "magic"]).expect(2);
    place.run(&["run", "tank.twinml", "--until", "2 m"]).expect(2);
    for rtol in ["3", "1", "0", "-1", "nan", "inf"] {
        let ran = place.run(&["run", "tank.twinml", "--rtol", rtol]).expect(2);
        assert!(ran.err.contains("`--rtol`: a "), "{rtol}: {}", ran.err);
    }
    place.run(&["run", "tank.twinml", "--scenario", "drian"]).expect(2);
    place.run(&["run", "tank.twinml", "--out", "r.xlsx"]).expect(2);
    place.run(&["frobnicate"]).expect(2);
    place.run(&["run"]).expect(2);
    place.run(&["--help"]).expect(0);
    place.run(&["--version"]).expect(0);
    place.write("file", "");
    place.run(&["run", "tank.twinml", "--out", "file/r.csv"]).expect(5);
    place.run(&["plot", "none.parquet"]).expect(5);
    place.run(&["plot", "none.parquet", "-o", "p.gif"]).expect(2);
    let ran = place.run(&["live", "tank.twinml", "-n", "100"]).expect(2);
    assert!(ran.err.contains("not in this version yet"), "{}", ran.err);
}

#[test]
fn a_failed_simulation_says_when_which_and_where_and_keeps_what_it_has() {
    let place = tank();
    place.write(
        "blow.twinml",
        "twin Blow {\n  states { x: Real = 1 }\n  equations {\n    der(x) = x^2 * 1 [1/s]\n  }\n}\n\
         scenario s for Blow { duration: 2 s; solver: tsit5(rtol: 1e-6) }\n",
    );
    let ran = place.run(&["run", "blow.twinml", "--out", "r.csv"]).expect(3);
    assert!(ran.out.starts_with("     Failed at "), "{}", ran.out);
    assert!(ran.err.contains("`x`") && ran.err.contains("blow.twinml:4:"), "{}", ran.err);
    let (_, rows) = csv_rows(&place.path("r.csv"));
    assert!(rows.len() > 400 && rows.len() < 502, "{}", rows.len());
    let ran =
        place.run(&["run", "tank.twinml", "--scenario", "long", "--max-steps", "1000", "--out", "s.csv"]);
    assert!(ran.expect(3).err.contains("1000 steps"));
    let ran =
        place.run(&["run", "tank.twinml", "--scenario", "long", "--time-limit", "200ms", "--out", "t.csv"]);
    assert!(ran.expect(3).err.contains("time limit"));
}

#[cfg(unix)]
#[test]
fn interrupted_runs_leave_a_readable_result() {
    let place = tank();
    let mut command =
        place.command(&["run", "tank.twinml", "--scenario", "long", "--every", "1s", "--out", "r.csv"]);
    let mut child =
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // It runs once it has said so.
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Running") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut said, &mut line).unwrap() > 0);
    }
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(!place.path("r.csv").exists(), "nothing stands under the name before it is whole");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let (head, rows) = csv_rows(&place.path("r.csv"));
    assert_eq!(head[0], "time");
    assert!(rows.len() > 1);
}

#[test]
fn a_new_project_runs() {
    let place = tank();
    place.run(&["new", "my-twin"]).expect(0);
    place.run(&["check", "--deny", "warnings", "my-twin/my-twin.twinml"]).expect(0);
    let ran = place.run(&["run", "my-twin/my-twin.twinml"]).expect(0);
    assert!(ran.out.contains("warms_up"), "{}", ran.out);
    place.run(&["new", "my-twin"]).expect(2);
    place.run(&["new", "7"]).expect(2);
    let ran = place.run(&["new", "tank.twinml/x"]).expect(5);
    assert!(ran.err.contains("could not write `tank.twinml/x/"), "{}", ran.err);
}

#[test]
fn intermediate_forms_are_printed() {
    let place = tank();
    for (stage, word) in [
        ("tokens", "twin"),
        ("ast", "Tank"),
        ("hir", "Tank"),
        ("flat", "flat Tank"),
        ("ir", "rhs"),
        ("clif", "function"),
        ("asm", "rhs"),
    ] {
        let ran = place.run(&["check", "tank.twinml", "--emit", stage]).expect(0);
        assert!(ran.out.contains(word), "{stage}: {}", ran.out);
    }
    let ran = place.run(&["check", "tank.twinml", "--explain"]).expect(0);
    assert!(ran.out.contains("states      1: h"), "{}", ran.out);
    place.write(
        "lamps.twinml",
        "twin Lamp {
  states { on: Bool = false }
  behavior {
    every 2 s { emit tick }
    machine light {
      initial off
      state off { on tick -> lit }
      state lit { entry { on = true }; on tick -> off }
    }
  }
}
twin Row { twins { l: Lamp[3] } states { x: Real = 1 } equations { der(x) = -x/1 s } }
",
    );
    let ran = place.run(&["check", "lamps.twinml", "--explain"]).expect(0);
    assert!(ran.out.contains("behavior    3 handlers, 3 machines (6 transitions)"), "{}", ran.out);
}

#[test]
fn results_become_pictures() {
    let place = tank();
    place.run(&["run", "tank.twinml", "--out", "r.parquet"]).expect(0);
    place.run(&["plot", "r.parquet", "-o", "p.svg"]).expect(0);
    let svg = place.text("p.svg");
    assert!(
        svg.contains("Length [cm]") && svg.contains("time [min]") && svg.contains("Tank · drain"),
        "{svg}"
    );
    place.run(&["plot", "r.parquet", "--only", "level"]).expect(0);
    let html = place.text("r.html");
    assert!(html.contains("level") && !html.contains("http://") || html.matches("http").count() <= 3);
    assert!(!html.contains("src="), "nothing is fetched");
}

/// Long results are drawn from what was noted while they were recorded, others from the file: nobody sees which.
#[test]
fn a_picture_is_that_of_the_file() {
    let place = Place::with(&[(
        "m.twinml",
        "enum Mode { up, down }
twin Swing {
  parameters { n0: Int = 3; k: Real[1/s^2] = 40 }
  states { x: Length in cm = 1 m; v: Velocity = 0 m/s; n: Int = 0; late: Bool = false; mode: Mode = Mode.up }
  variables { F: Acceleration; nothing: Real }
  equations { F = -k*x; der(x) = v; der(v) = F; nothing = if late then log(-1) else x/1 m }
  behavior {
    every 70 ms { n = n + 1; mode = if v > 0 m/s then Mode.up else Mode.down }
    on rising(v > 5 m/s) { if time > 7 s { stop \"enough\" } }
  }
}
scenario whole for Swing { duration: 7 s; solver: rk4(step: 1 ms); record all every 1 ms }
scenario ended for Swing { duration: 20 s; solver: rk4(step: 1 ms); record all every 1 ms }
scenario few for Swing { duration: 2 s; solver: rk4(step: 1 ms); record x, n every 1 ms }
scenario states for Swing { duration: 7.5 s; solver: tsit5; record x, v, F every 1 ms }
",
    )]);
    for name in ["whole", "ended", "few", "states"] {
        let file = format!("{name}/{name}.parquet");
        place.run(&["run", "m.twinml", "--scenario", name, "--out", name]).expect(0);
        place.run(&["plot", &file, "-o", "p.html"]).expect(0);
        let (drawn, read) = (place.text(&format!("{name}/plot.html")), place.text("p.html"));
        assert!(drawn == read, "{name}");
        assert!(drawn.contains("Length [cm]"), "{name}");
    }
}

/// Field names by type, as `docs/json.md` lists them.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md")).unwrap();
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("## `") {
            current = name.trim_end_matches('`').to_owned();
            all.insert(current.clone(), ["type", "version"].map(String::from).into());
        } else if let Some(row) = line.strip_prefix("| `") {
            let cell = format!("`{}", row.split('|').next().unwrap());
            let names = cell.split('`').skip(1).step_by(2).map(str::to_owned);
            all.get_mut(&current).unwrap().extend(names);
        }
    }
    all
}

#[test]
fn json_lines_are_as_documented() {
    let place = tank();
    place.write("warn.twinml", "twin W { states { x: Real = 1 } equations { der(x) = y } }\n");
    place.write("says.twinml", "twin S { behavior { on start { log \"here\" } } }\n");
    let drawn = "twin D { parameters { k: Real[1/s] = 1 ~ uniform(1, 2) }; states { x: Real = 1 }\n\
                 equations { der(x) = -k*x }; constraints { ok: always(x > 0.1) with probability >= 0.5 } }\n\
                 scenario s for D { duration: 1 s }\n";
    place.write("drawn.twinml", drawn);
    let mut objects = Vec::new();
    for args in [
        vec!["run", "tank.twinml"],
        vec!["snapshot", "take", "tank.twinml", "--at", "1 s", "--out", "one.twinsnap"],
        vec!["snapshot", "show", "one.twinsnap"],
        vec!["run", "says.twinml", "--until", "1 s"],
        vec!["test", "tank.twinml", "--scenario", "drain"],
        vec!["test", "tank.twinml", "--list"],
        vec!["monitor", "always(level < 2 m)", "--trace", "out/tank/drain.parquet"],
        vec!["check", "tank.twinml", "warn.twinml"],
        vec!["check", "tank.twinml", "--emit", "flat"],
        vec!["replay", "out/tank"],
        vec!["plot", "out/tank/drain.parquet"],
        vec!["run", "tank.twinml", "--set", "h=1.5 m", "--out", "other"],
        vec!["diff", "out/tank", "other"],
        vec!["sweep", "tank.twinml", "--set", "h=1 m,2 m"],
        vec!["sensitivity", "drawn.twinml"],
        vec!["sensitivity", "drawn.twinml", "--method", "sobol", "-n", "64"],
        vec!["sensitivity", "drawn.twinml", "--vary", "k=1..2", "--method", "morris", "-n", "5"],
        vec!["run", "drawn.twinml", "--out", "drawn.csv"],
        vec!["calibrate", "drawn.twinml", "--data", "drawn.csv", "--fit", "k"],
        vec!["new", "x"],
        vec!["explain"],
        vec!["explain", "E9999"],
        vec!["mc"],
        vec!["mc", "tank.twinml", "-n", "20"],
        vec!["mc", "drawn.twinml", "-n", "20", "--out", "mc"],
        vec!["replay", "mc#3"],
        vec!["debug", "tank.twinml", "--command", "break low; next; print level; events; quit"],
    ] {
        let ran = place.run(&[vec!["--format", "json"], args].concat());
        assert_eq!(ran.err, "", "everything is on standard output");
        objects.extend(ran.objects());
    }
    let documented = documented();
    let mut seen = BTreeSet::new();
    for object in &objects {
        let object = object.as_object().unwrap();
        let kind = object["type"].as_str().unwrap();
        assert_eq!(object["version"], 1);
        let fields: BTreeSet<String> = object.keys().cloned().collect();
        assert_eq!(Some(&fields), documented.get(kind), "{kind}");
        seen.insert(kind.to_owned());
    }
    for kind in [
        "diagnostic",
        "checked",
        "compiled",
        "running",
        "finished",
        "log",
        "verdict",
        "mc_running",
        "mc_lanes",
        "mc_verdict",
        "mc_finished",
        "mc_draw",
        "debug_position",
        "debug_value",
        "debug_event",
        "debug_break",
        "written",
        "diff",
        "diff_quantity",
        "form",
        "error",
        "case",
        "listed",
        "tested",
        "monitored",
        "point",
        "slope",
        "sobol",
        "morris",
        "fitted",
        "snapshot",
    ] {
        assert!(seen.contains(kind), "{kind} was not printed");
    }
    let summary = place.json("out/tank/summary.json");
    let fields: BTreeSet<String> = summary.as_object().unwrap().keys().cloned().collect();
    let mut listed = documented["summary.json"].clone();
    for inner in ["value", "unit", "auto", "complete", "interrupted", "time_limit", "failed"] {
        listed.remove(inner);
    }
    assert!(fields.is_subset(&documented["summary.json"]), "{fields:?}");
    assert!(listed.is_superset(&fields));
}

#[test]
fn colours_are_a_choice() {
    let place = tank();
    let ran = place.run(&["run", "tank.twinml", "--color", "always", "--out", "r.csv"]).expect(0);
    assert!(ran.out.contains("\u{1b}[1;32mFinished\u{1b}[0m"));
    // A note, a warning and an error of a model; a wrong flag and the help, which the argument parser prints.
    place.write(
        "said.twinml",
        "twin P { parameters { d: Length = 0.1 m ~ normal(0.1 m, 1 mm) } outputs { y: Length = 2*d } }\n\
         twin A { twins { p: P { d = 0.2 m } } parameters { s: Length = 1 m } outputs { z: Length = 2 m*s + q } }\n",
    );
    let commands: &[&[&str]] = &[&["check", "said.twinml"], &["run", "--nonsense"], &["run", "--help"]];
    for command in commands {
        let with = |how: &[&str]| place.run(&[command, how].concat()).said();
        assert!(with(&["--color", "always"]).contains('\u{1b}'), "{command:?}");
        for how in [&["--color", "never"][..], &["--color=never"], &[]] {
            let plain = with(how);
            assert!(!plain.contains('\u{1b}') && !plain.is_empty(), "{command:?} {how:?}: {plain:?}");
        }
    }
    let said = place.run(&["check", "said.twinml", "--color", "never"]).err;
    for code in ["[N0401] Note", "[W0302] Warning", "[E0301] Error"] {
        assert!(said.contains(code), "{code}: {said}");
    }
    let ran = place.run(&["run", "tank.twinml", "-q", "--out", "r.csv"]).expect(0);
    assert_eq!(ran.err, "");
    assert!(ran.out.contains("Finished"));
}

/// What is wrong with a command line is said in words of the command line.
#[test]
fn what_is_wrong_with_flags_is_said() {
    let place = tank();
    fs::create_dir(place.path("empty")).unwrap();
    place.run(&["run", "tank.twinml", "--out", "r", "--no-plot"]).expect(0);
    for (args, code, words) in [
        (&["run", "tank.twinml", "--until", "-3s"][..], 2, "`-3s` is not a positive duration"),
        (&["run", "tank.twinml", "--until", "1h30min"], 2, "one number and one unit, as in `1.5h`"),
        (&["run", "tank.twinml", "--seed", "-1"], 2, "invalid value '-1'"),
        (&["run", "tank.twinml", "--set", "area=3 m2"], 2, "did you mean `m^2`?"),
        (&["run", "tank.twinml", "--set", "area=3 s"], 2, "time [s] given to `area`"),
        (&["run", "r/drain.parquet"], 2, "`twinc plot r/drain.parquet` draws"),
        (&["plot", "r"], 2, "name a file in it, such as `r/drain.parquet`"),
        (&["plot", "empty"], 2, "name a file that `twinc run` has written"),
        (&["plot", "tank.twinml"], 2, "`twinc run tank.twinml` makes results of it"),
        (&["plot", "r/drain.parquet", "--only", "lewel"], 2, "did you mean `level`?"),
        (&["plot", "r/drain.parquet", "--only", "xyz*"], 2, "the columns are"),
    ] {
        let ran = place.run(args).expect(code);
        assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
    }
}

/// What nothing says how long to run goes for ten seconds, and says so.
#[test]
fn a_run_without_a_scenario_lasts_ten_seconds() {
    let twin =
        "twin A { parameters { k: Real = 1 } states { x: Real = 1 } equations { der(x) = -k*x/1 s } }\n";
    for text in [twin.to_owned(), format!("{twin}scenario s for A {{ seed: 3 }}\n")] {
        let place = Place::model(&text);
        let ran = place.run(&["run", "m.twinml", "--out", "r.csv"]).expect(0);
        assert!(ran.err.contains("nothing says how long to run: 10 s; `--until`"), "{}", ran.err);
        assert_eq!(csv_rows(&place.path("r.csv")).1.last().unwrap()[0], 10.0);
        let ran = place.run(&["run", "m.twinml", "--until", "2s", "--out", "r.csv"]).expect(0);
        assert!(!ran.err.contains("nothing says"), "{}", ran.err);
        assert_eq!(csv_rows(&place.path("r.csv")).1.last().unwrap()[0], 2.0);
        place.run(&["sweep", "m.twinml", "--set", "k=1,2", "--out", "w"]).expect(0);
    }
}

/// Every code of a run with its example from the error index. `E0806` needs comparisons that no check refuses.
#[test]
fn examples_of_run_time_codes_fail_with_their_codes() {
    use twinml_compiler::diag::index::ENTRIES;
    let mut seen = 0;
    for entry in ENTRIES.iter().filter(|e| e.code.0.starts_with("E08")) {
        let place = tank();
        let code = entry.code.0;
        for example in entry.examples() {
            place.write(example.file.unwrap_or("example.twinml"), example.text);
        }
        seen += 1;
        if code == "E0813" {
            // Of a sample: the job goes on.
            let ran = place.run(&["mc", "example.twinml", "--out", "mc"]);
            assert!(ran.out.contains(" E0813"), "{}", ran.said());
            continue;
        }
        let ran = place.run(&["run", "example.twinml", "--out", "r.csv"]);
        let said = ran.said();
        // A solver that cannot be used for the model is a matter of what was asked for.
        let wanted = if matches!(code, "E0811" | "E0812") { 2 } else { 3 };
        assert!(ran.code == wanted && said.contains(&format!("[{code}]")), "{code}: {said}");
        assert!(wanted == 2 || place.path("r.csv").exists(), "{code}: what was recorded is written");
    }
    assert_eq!(seen, 13);
}

/// A table that does not reach far enough points at the equation, or the handler, that looks it up.
#[test]
fn a_table_that_ends_too_early_says_who_looks_it_up() {
    let model = |start: &str, tick: &str| {
        format!(
            r#"twin Fan {{
  parameters {{ curve: Table = table("fan.csv", x: "n", y: "q", method: linear, outside: error) }}
  states {{ n: Real = 0; k: Real = {start} }}
  outputs {{ q: Real = if k > 0 then curve(2*n) + 1 else 0 }}
  equations {{ der(n) = 1/1 s }}
  behavior {{ every 1 s {{ {tick} }} }}
}}
scenario run for Fan {{ duration: 5 s }}
"#
        )
    };
    for (start, tick, place) in
        [("1", "k = 2", "m.twinml:4:"), ("0", "k = -curve(2*time/1 s)", "m.twinml:6:")]
    {
        let at = Place::with(&[("m.twinml", &model(start, tick)), ("fan.csv", "n,q\n0,0\n3,2\n")]);
        let ran = at.run(&["run", "m.twinml", "--format", "json"]).expect(3);
        let objects = ran.objects();
        let d = objects.iter().find(|o| o["type"] == "diagnostic").unwrap();
        let found = format!("{}:{}:", d["primary"]["file"].as_str().unwrap(), d["primary"]["line"]);
        assert!(d["code"] == "E0803" && found == place, "{d}");
        assert_eq!(d["labels"].as_array().unwrap().len(), 0, "{d}");
        assert_eq!(d["primary"]["text"], "it is looked up here");
    }
}

#[test]
fn the_example_of_a_range_that_is_left_says_so() {
    use twinml_compiler::diag::index::lookup;
    let place = tank();
    for example in lookup("W0801").unwrap().examples() {
        place.write("example.twinml", example.text);
    }
    let ran = place.run(&["run", "example.twinml", "--out", "r.csv"]).expect(0);
    assert!(ran.err.contains("[W0801]"), "{}", ran.err);
}

/// `doctor` says what it found; `TWINC_ISA` chooses, and a wrong one is an error with a code.
#[test]
fn doctor_finds_instruction_sets() {
    let place = tank();
    let doctor = |isa: Option<&str>, json: bool| {
        let mut command = place.command(if json { &["doctor", "--format", "json"] } else { &["doctor"] });
        command.env_remove("TWINC_ISA");
        if let Some(isa) = isa {
            command.env("TWINC_ISA", isa);
        }
        command.output().unwrap()
    };
    let found = doctor(None, true);
    assert_eq!(found.status.code(), Some(0));
    let machine: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(machine["type"], "machine");
    assert_eq!(machine["isa_by"], "widest");
    let levels: Vec<&str> =
        machine["isa_found"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert_eq!(levels.last(), Some(&"block"));
    assert_eq!(levels.first().copied(), machine["isa"].as_str());
    let block = doctor(Some("block"), false);
    let text = String::from_utf8(block.stdout).unwrap();
    assert!(text.contains("taken block") && text.contains("as TWINC_ISA says"), "{text}");
    for level in ["v128", "avx2", "avx512"] {
        let asked = doctor(Some(level), false);
        assert_eq!(asked.status.code(), Some(if levels.contains(&level) { 0 } else { 2 }));
    }
    let wrong = doctor(Some("neon9"), false);
    assert_eq!(wrong.status.code(), Some(2));
    let text = String::from_utf8(wrong.stderr).unwrap();
    assert!(text.contains("E0792") && text.contains("write one of"), "{text}");
    let wrong: Value = serde_json::from_slice(&doctor(Some("neon9"), true).stdout).unwrap();
    assert_eq!(wrong["type"], "error");
}
