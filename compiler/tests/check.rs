//! What the checker says. Each file of `tests/check/` holds cases: a text, and below it, on lines that
//! begin with `>`, the codes, places, headlines and help lines that it gives (nothing: all is well).
//! `@frame NAME` at the top puts the texts into a frame. `TWINML_BLESS=1` rewrites the expectations.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::path::PathBuf;

use twinml_compiler::diag::Diagnostics;
use twinml_compiler::resolve::MemoryLoader;
use twinml_compiler::source::SourceMap;
use twinml_compiler::{emit, typeck};

/// Equations of a twin with a member of every kind.
const EQUATIONS: (&str, &str) = (
    "twin A {
  parameters { m: Mass = 1 kg; k: Real = 2; p0: Pressure = 1 bar; n: Int = 3; pressure: Pressure = 1 bar }
  inputs { on: Bool = false; xs: Real[1][3] = 0; vs: Velocity[3] = 0 m/s; F: Force = 0 N }
  states { x: Length = 0 m; T: Temperature = 20 degC; w: AngularVelocity = 0 rad/s; phi: Angle = 0 rad }
  variables { tau: Torque; E: Energy; P: Power; f: Frequency; dT: TemperatureDifference; v: Velocity
    A: Real[1][3, 3]; q: Real; b: Bool }
  equations {
",
    "
  }
}
",
);

fn frame(name: &str) -> (&'static str, &'static str) {
    match name {
        "equations" => EQUATIONS,
        "parameters" => ("twin A {\n  parameters {\n", "\n  }\n}\n"),
        "constraints" => (
            "twin A {
  parameters { h_max: Length = 3 m }
  states { h: Length = 1 m; T: Temperature = 20 degC; on: Bool = false; n: Int = 0 }
  outputs { P: Power = 1 W }
  memory { kept: persistent(7 days); forever: persistent }
  equations { der(h) = 0 m/s; der(T) = 0 K/s }
  behavior { on rising(h > 2 m) { emit full } }
  constraints {
",
            "\n  }\n}\n",
        ),
        "behavior" => (
            "enum Mode { idle, busy, down }
record Job { id: Int, weight: Mass, due: Time }
twin B { inputs { u: Real = 0 } states { y: Real = 0 } behavior { every 1 s { y = y + 1; emit tick } } }
twin A {
  parameters { gap: Time = 5 s }
  inputs { p: Pressure = 1 bar }
  outputs { level: Int = 0; power: Power = 2*P }
  variables { P: Power }
  states { h: Length = 1 m; valve: Bool = false; mode: Mode = Mode.idle; last: Job? = none; n: Int = 0 }
  twins { b: B }
  memory { jobs: Queue<Job>; seen: Map<Int, Job>; kept: session_scoped }
  capabilities { plan: llm_model(\"planner\") }
  equations { der(h) = 0 m/s; P = 1 W }
  behavior {
",
            "\n  }\n}\n",
        ),
        "messages" => (
            "use std.agents { contract_net }
record Job { id: Int, weight: Mass }
agent twin Worker {
  states { load: Mass = 0 kg; busy: Bool = false }
  behavior {
    on inform(job: Job, urgent: Bool = false) from boss { load = load + job.weight; reply agree(eta: 3 min) }
    on inform(level: Length, at_time: Time) { load = 0 kg }
    on cancel from whoever { busy = false }
    on cfp(task: Job) from initiator { reply propose(cost: load) }
    on repaired(by: String) { busy = true }
    machine mode { initial free
      state free { on request(job: Job) from sender -> taken }
      state taken { on falling(busy) -> free }
    }
  }
}
twin Gauge { outputs { p: Pressure = 1 bar } }
twin Yard { twins { desk: A; gauge: Gauge; spare: Worker } }
agent twin A {
  parameters { gap: Time = 5 s }
  states { h: Length = 1 m; n: Int = 0 }
  twins { workers: Worker[3]; first: Worker }
  memory { owners: Map<Int, Worker>; jobs: Queue<Job>; last: Worker? }
  behavior {
",
            "\n  }\n}\n",
        ),
        "scenario" => (
            "twin B { parameters { k: Real = 2; final c: Real = 3 } inputs { u: Real = 0 } states { y: Real = 0 }
  equations { der(y) = (u - k*y)/1 s } constraints { small: always(y < 3) } }
twin A {
  parameters { a: Length = 1 m ~ uniform(1 m, 2 m); r: Mass = 1 kg ~ normal(sd: 2 %) }
  inputs { p: Pressure in bar = 1 bar }
  outputs { twice: Length = 2*h }
  states { h: Length = 1 m; on: Bool = false }
  twins { bs: B[3]; one: B }
  equations { der(h) = 0 m/s }
  constraints { low: always(h < 3 m) }
}
scenario base for A { duration: 1 h }
scenario s for A {
",
            "\n}\n",
        ),
        _ => ("", ""),
    }
}

fn run(text: &str) -> (String, String) {
    let mut map = SourceMap::new();
    let root = map.add("m.twinml", text);
    let mut diags = Diagnostics::new();
    let files = MemoryLoader::new()
        .with("m.twinml", text)
        .with(
            "parts.twinml",
            "twin Pump { parameters { k: Real = 2 } }\nfunc twice(x) = 2*x\ntype Level = Length in cm",
        )
        .with("circle.twinml", "use \"m.twinml\"\ntwin C { }")
        .with("self.twinml", "use \"self.twinml\"");
    let checked = typeck::check(root, &mut map, &files, &mut diags);
    diags.sort();
    let mut out = String::new();
    for d in &diags {
        let file = map.get(d.primary.span.file).unwrap();
        let at = file.line_col(d.primary.span.lo);
        let other = if &*file.name == "m.twinml" { String::new() } else { format!("{}:", file.name) };
        let marked: String = map.slice(d.primary.span).chars().take(40).collect();
        let marked = marked.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(out, "> {} {other}{} `{marked}`: {}", d.code, at.line, d.message);
        if let Some(h) = &d.help {
            let _ = writeln!(out, ">   help: {h}");
        }
    }
    let hir = if diags.has_errors() { String::new() } else { emit::hir::model(&checked.model) };
    (out, hir)
}

#[test]
fn cases() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    let bless = std::env::var_os("TWINML_BLESS").is_some();
    let mut paths: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let mut failed = String::new();
    let mut count = 0;
    for path in paths.iter().filter(|p| p.extension().is_some_and(|e| e == "cases")) {
        let old = std::fs::read_to_string(path).unwrap();
        let (head, body) = old.split_once("---\n").unwrap();
        let name = head.trim().strip_prefix("@frame ").unwrap_or("none");
        let (before, after) = frame(name);
        let lines_before = before.lines().count() as u32;
        let mut new = head.to_owned();
        for case in body.split("---\n") {
            count += 1;
            let text: Vec<&str> = case.lines().filter(|l| !l.starts_with('>')).collect();
            let text = text.join("\n");
            let (said, hir) = run(&format!("{before}{text}{after}"));
            let said = shift(&said, lines_before);
            let _ = write!(new, "---\n{text}\n{said}");
            if name == "lowered" {
                hir.lines().for_each(|l| {
                    let _ = writeln!(new, "> | {l}");
                });
            }
        }
        if new != old {
            if bless {
                std::fs::write(path, &new).unwrap();
            } else {
                for (a, b) in old.lines().zip(new.lines()).filter(|(a, b)| a != b).take(3) {
                    let _ = writeln!(failed, "{}:\n  want {a}\n  have {b}", path.display());
                }
                let _ = writeln!(failed, "{}: differs", path.display());
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
    assert!(count > 150, "{count} cases");
}

/// Line numbers of the case instead of the framed text; `frame` for places in the frame.
fn shift(said: &str, by: u32) -> String {
    let mut out = String::new();
    for l in said.lines() {
        let mut words = l.splitn(4, ' ');
        let parts =
            (words.next(), words.next(), words.next().and_then(|n| n.parse::<u32>().ok()), words.next());
        match parts {
            (Some(mark), Some(code), Some(line), Some(rest)) if by > 0 => {
                if line > by {
                    let _ = writeln!(out, "{mark} {code} {} {rest}", line - by);
                } else {
                    let _ = writeln!(out, "{mark} {code} frame {rest}");
                }
            }
            _ => {
                let _ = writeln!(out, "{l}");
            }
        }
    }
    out
}
