//! `twinc debug`: a run event by event, forward and backward, told what to do as a script tells it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("twinml-examples").join(name)
}

fn ball() -> PathBuf {
    example("bouncing_ball/ball.twinml")
}

fn command(file: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
    command.arg("debug").arg(file).args(args);
    command
}

fn text(out: &[u8]) -> String {
    String::from_utf8_lossy(out).into_owned()
}

/// The objects that a script gets, those of the compilation left out.
fn script(file: &Path, args: &[&str], commands: &str) -> Vec<Value> {
    let out = command(file, args).args(["--format", "json", "--command", commands]).output().unwrap();
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    let objects = text(&out.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect::<Vec<Value>>();
    objects.into_iter().filter(|o| o["type"].as_str().unwrap().starts_with("debug_")).collect()
}

/// The values that a script prints, to the last bit: by the standard library's reader of numbers.
fn printed(file: &Path, commands: &str) -> Vec<f64> {
    let out = command(file, &["--format", "json", "--command", commands]).output().unwrap();
    let lines = text(&out.stdout);
    let values =
        lines.lines().filter_map(|l| l.split_once("\"type\":\"debug_value\"")?.1.split_once("\"value\":"));
    values.map(|(_, v)| v.split(',').next().unwrap().parse().unwrap()).collect()
}

/// Where the session was after each command that moves.
fn positions(objects: &[Value]) -> Vec<&Value> {
    objects.iter().filter(|o| o["type"] == "debug_position").collect()
}

fn piped(file: &Path, args: &[&str], input: &str) -> Output {
    let mut child = command(file, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A session that ends early leaves the rest unread.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn a_ball_is_followed_forward_and_backward_with_the_same_bits() {
    let said = script(
        &ball(),
        &[],
        "next; print h v bounces; next; print h v; next; prev; print h v; prev; print h v",
    );
    let at = positions(&said);
    let times: Vec<f64> = at.iter().map(|p| p["time"].as_f64().unwrap()).collect();
    // √(2·1 m/9.81 m/s²), then 2·0.8 of it each time less
    let first = f64::sqrt(2.0 / 9.81);
    assert!((times[1] - first).abs() < 1e-8 && (times[2] - first * 2.6).abs() < 1e-8, "{times:?}");
    assert_eq!((times[4], times[5]), (times[2], times[1]), "back to the same instants");
    let events: Vec<u64> = at.iter().map(|p| p["event"].as_u64().unwrap()).collect();
    assert_eq!(events, [0, 1, 2, 3, 2, 1]);
    let done: Vec<(&str, &str)> = at[1]["done"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["kind"].as_str().unwrap(), d["path"].as_str().unwrap()))
        .collect();
    assert!(done.contains(&("state", "v")) && done.contains(&("discrete", "bounces")), "{done:?}");
    assert!(done.iter().any(|(kind, _)| *kind == "handler"), "{done:?}");
    let values: Vec<&Value> = said.iter().filter(|o| o["type"] == "debug_value").collect();
    assert_eq!(values[2]["value"], 1);
    // The two visits of events 2 and 1.
    assert_eq!(values[3..5], values[5..7]);
    assert_eq!(values[0..2], values[7..9]);
    let (before, after) = (values[1]["before"].as_f64().unwrap(), values[1]["value"].as_f64().unwrap());
    assert!((before + 9.81 * first).abs() < 1e-7 && (after + 0.8 * before).abs() < 1e-7, "{before} {after}");
}

/// Every event visited in any order has the bits that it has when it is come to in order.
#[test]
fn the_way_to_an_event_does_not_matter() {
    for (file, args) in [
        (ball(), &[][..]),
        (ball(), &["--solver", "trbdf2", "--rtol", "1e-5"][..]),
        (ball(), &["--solver", "bdf"][..]),
        (example("thermostat/thermostat.twinml"), &["--scenario", "welded"][..]),
        (example("production_line/line.twinml"), &["--until", "12h"][..]),
        (example("sampled_controller/sampled.twinml"), &["--until", "2s"][..]),
    ] {
        let whole = script(&file, args, &"next; print *; ".repeat(40));
        let mut states: Vec<Vec<&Value>> = Vec::new();
        for o in &whole {
            match o["type"].as_str() {
                Some("debug_position") => states.push(vec![o]),
                _ => states.last_mut().unwrap().push(o),
            }
        }
        let reached = states.len() - 1;
        assert!(reached > 10, "{}: {reached} events", file.display());
        for order in [[9, 3, 30, 2, 31, 30, 1], [25, 24, 23, 1, 40, 0, 12]] {
            let commands: Vec<String> = order.iter().map(|k| format!("event {k}; print *")).collect();
            let said = script(&file, args, &commands.join("; "));
            let mut visited: Vec<Vec<&Value>> = Vec::new();
            for o in &said {
                match o["type"].as_str() {
                    Some("debug_position") => visited.push(vec![o]),
                    _ => visited.last_mut().unwrap().push(o),
                }
            }
            for (k, got) in order.iter().zip(&visited[1..]) {
                if *k > 0 && *k <= reached {
                    assert_eq!(got, &states[*k], "{} {args:?}: event {k}", file.display());
                }
            }
        }
    }
}

#[test]
fn places_between_events_are_those_of_a_recording() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("ball.csv");
    let ran = Command::new(env!("CARGO_BIN_EXE_twinc"))
        .args(["run", "--si", "--every", "250ms", "--out"])
        .arg(&out)
        .arg(ball())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let table = std::fs::read_to_string(&out).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|l| l.split(',').collect()).collect();
    let column = |name: &str| rows[0].iter().position(|c| c.starts_with(name)).unwrap();
    let (h, v) = (column("h"), column("v"));
    // There and back, across events.
    for t in ["250ms", "2", "500ms", "4.5", "4.25", "1", "3.75"] {
        let seconds: f64 =
            t.strip_suffix("ms").map_or_else(|| t.parse().unwrap(), |m| m.parse::<f64>().unwrap() / 1e3);
        let row = rows[1..].iter().find(|r| r[0].parse::<f64>().unwrap() == seconds).unwrap();
        let commands = format!("goto 3.1; goto {t}; print h v; prev; goto {t}; print h v");
        let (said, values) = (script(&ball(), &[], &commands), printed(&ball(), &commands));
        let want = [row[h].parse::<f64>().unwrap(), row[v].parse::<f64>().unwrap()];
        assert_eq!(values[..2], want, "{t}");
        assert_eq!(values[2..], want, "{t}, again");
        let at = positions(&said);
        assert_eq!((&at[2]["time"], &at[2]["at_event"]), (&seconds.into(), &false.into()), "{t}");
        assert_eq!(at[2], at[4], "{t}");
    }
}

#[test]
fn breakpoints_stop_in_both_directions() {
    let said = script(
        &ball(),
        &[],
        "break bounces >= 5; continue; print bounces; continue; reverse; print bounces; breaks; delete 1; break on rest; continue",
    );
    let at = positions(&said);
    assert_eq!((&at[1]["breakpoint"], &at[1]["event"]), (&1.into(), &5.into()));
    // From then on it holds, so nothing stops before the end.
    assert_eq!((&at[2]["end"], &at[2]["ended"]), (&true.into(), &"complete".into()));
    let values: Vec<&Value> =
        said.iter().filter(|o| o["type"] == "debug_value").map(|o| &o["value"]).collect();
    assert_eq!(values[0], &Value::from(5));
    // Backward it has held all the way: the start.
    assert_eq!(at[3]["event"], 0);
    assert_eq!(values[1], &Value::from(0));
    assert_eq!(said.iter().filter(|o| o["type"] == "debug_break").count(), 3);
    let changed = script(&ball(), &[], "break resting; c; print resting; r");
    let at = positions(&changed);
    assert_eq!(at[1]["breakpoint"], 1);
    assert_eq!((&at[2]["event"], &at[2]["breakpoint"]), (&0.into(), &Value::Null));
}

#[test]
fn a_model_without_events_has_a_start_an_end_and_all_between() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("decay.twinml");
    std::fs::write(&file, "twin Decay { states { x: Real = 1 }\nequations { der(x) = -x / 1 s } }\n")
        .unwrap();
    let said =
        script(&file, &["--until", "3s"], "goto 1; print x; next; print x; goto 1; print x; prev; prev; end");
    let at = positions(&said);
    let events: Vec<&Value> = at.iter().map(|p| &p["event"]).collect();
    assert_eq!(events, [0, 0, 1, 0, 0, 0, 1]);
    assert_eq!((&at[2]["end"], &at[2]["time"]), (&true.into(), &3.0.into()));
    assert_eq!((&at[1]["time"], &at[1]["at_event"]), (&1.0.into(), &false.into()));
    let values: Vec<f64> =
        said.iter().filter(|o| o["type"] == "debug_value").map(|o| o["value"].as_f64().unwrap()).collect();
    assert!((values[0] - f64::exp(-1.0)).abs() < 1e-6 && (values[1] - f64::exp(-3.0)).abs() < 1e-6);
    assert_eq!(values[0], values[2]);
}

#[test]
fn what_people_see_is_text() {
    let out =
        piped(&ball(), &["-q"], "next\nwhy\nprint v bounces\nchanges\nevents\n\n# a remark\nquit\nnext\n");
    assert!(out.status.success(), "{}", text(&out.stderr));
    let seen = text(&out.stdout);
    for part in [
        "the start\n",
        "event 1 at 0.4515",
        "falling(h > 0 m)",
        "bounces 0 → 1",
        "(before: -4.42",
        "     0  0 s",
    ] {
        assert!(seen.contains(part), "{part}:\n{seen}");
    }
    assert!(!seen.contains("event 2"), "what follows `quit` is not done:\n{seen}");
}

#[test]
fn a_command_that_cannot_be_done_ends_a_script() {
    for (line, part) in [
        ("nxt", "did you mean `next`?"),
        ("print nothing", "no quantity `nothing`"),
        ("goto never", "`never`"),
        ("delete 3", "no breakpoint 3"),
        ("break h > 3 kg", "say it in the unit of `h`: m"),
    ] {
        let out = piped(&ball(), &["-q"], &format!("{line}\nnext\n"));
        assert_eq!(out.status.code(), Some(2), "{line}");
        let said = text(&out.stderr);
        assert!(said.contains(part), "{line}: {said}");
        assert!(!text(&out.stdout).contains("event 1"), "{line}");
    }
}

#[test]
fn a_failure_is_a_place_to_look_at() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pole.twinml");
    std::fs::write(&file, "twin Pole { states { x: Real = 1 }; outputs { big: Bool = x > 5 }\nequations { der(x) = x^2 / 1 s } }\n")
        .unwrap();
    let said = script(&file, &["--until", "2s"], "end; print x; prev; print x");
    let at = positions(&said);
    assert_eq!((&at[1]["ended"], &at[1]["end"]), (&"failed".into(), &true.into()));
    assert!((at[1]["time"].as_f64().unwrap() - 1.0).abs() < 1e-3, "{}", at[1]);
    assert!(at[1]["reason"].as_str().unwrap().contains('x'), "{}", at[1]);
    assert_eq!(at[2]["event"], 1, "where it became big");
}
