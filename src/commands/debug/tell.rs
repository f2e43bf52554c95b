//! What a debugging session prints.

use serde::Serialize;
use serde_json::Value;
use twinml_engine::record::Element;
use twinml_engine::run::{Done, Ended, Here, Walk, Watched};

use crate::ui::Ui;
use crate::ui::json::VERSION;
use crate::ui::numbers::short;

/// Where a session is.
#[derive(Serialize, Debug)]
struct Position<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    time: f64,
    step: u64,
    event: usize,
    at_event: bool,
    end: bool,
    ended: Option<&'static str>,
    reason: Option<String>,
    done: Vec<Deed<'a>>,
    breakpoint: Option<usize>,
}

/// One thing that an event did.
#[derive(Serialize, Debug)]
struct Deed<'a> {
    kind: &'a str,
    path: &'a str,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a str>,
    pre: Value,
    post: Value,
    unit: &'a str,
}

/// A value.
#[derive(Serialize, Debug)]
struct Shown<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    path: &'a str,
    value: Value,
    unit: &'a str,
    before: Value,
}

/// An event that was seen.
#[derive(Serialize, Debug)]
struct Seen {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    event: usize,
    time: f64,
}

/// A breakpoint.
#[derive(Serialize, Debug)]
struct Breakpoint<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    number: usize,
    text: &'a str,
}

/// Digits of values.
const DIGITS: usize = 7;

/// A cell as JSON, in its unit; `null` for no number.
fn value(cell: f64, element: &Element) -> Value {
    match element {
        _ if cell.is_nan() => Value::Null,
        Element::Real { scale, offset } => serde_json::json!((cell - offset) / scale),
        Element::Bool => Value::Bool(cell != 0.0),
        Element::Int => serde_json::json!(cell as i64),
        Element::Text(words) => words.get(cell as usize).map_or(Value::Null, |w| Value::String(w.clone())),
    }
}

/// A cell as people read it, with its unit.
fn text(cell: f64, element: &Element, unit: &str) -> String {
    match element {
        Element::Real { scale, offset } => {
            let number = short((cell - offset) / scale, DIGITS);
            if unit.is_empty() { number } else { format!("{number} {unit}") }
        }
        Element::Bool => (if cell != 0.0 { "true" } else { "false" }).to_owned(),
        Element::Int => format!("{cell}"),
        Element::Text(words) => words.get(cell as usize).cloned().unwrap_or_default(),
    }
}

/// What the values of a row of the log are, and their unit.
fn measure<'w>(done: &Done, watched: &'w [Watched]) -> (Element, &'w str) {
    if done.kind == "crossing" {
        return (Element::Bool, "");
    }
    let of = watched.iter().find(|w| w.path == done.path);
    of.map_or((Element::SI, ""), |w| (w.element.clone(), w.unit.as_str()))
}

/// The word for how a run ended, and why.
fn end_of(ended: &Ended) -> (&'static str, Option<String>) {
    match ended {
        Ended::Complete | Ended::Decided => ("complete", None),
        Ended::Stopped => ("stopped", None),
        Ended::Range => ("range", None),
        Ended::Halted(reason) => ("halted", reason.clone()),
        Ended::Failed(failure) => ("failed", Some(failure.to_string())),
    }
}

/// A time with all digits that tell it from its neighbours.
pub fn time(t: f64) -> String {
    format!("{t} s")
}

/// Where the walk is, what the event there did in short, and the breakpoint that said stop.
pub fn position(walk: &Walk<'_>, stopped: Option<usize>, ui: &Ui) {
    let here = walk.here();
    let (ended, reason) = walk.ended().map(end_of).unzip();
    ui.object(&Position {
        kind: "debug_position",
        version: VERSION,
        time: here.time,
        step: here.step,
        event: here.event,
        at_event: here.at_event,
        end: here.end,
        ended,
        reason: reason.clone().flatten(),
        done: deeds(walk),
        breakpoint: stopped.map(|k| k + 1),
    });
    if let Some(k) = stopped {
        ui.text(&format!("breakpoint {}\n", k + 1));
    }
    let at = time(here.time);
    let line = match (here.at_event, here.end, here.event) {
        (_, true, _) => {
            let why = reason.flatten().map_or(String::new(), |r| format!(": {r}"));
            format!("the end at {at} ({}{why})", ended.unwrap_or("complete"))
        }
        (true, _, 0) => "the start".to_owned(),
        (true, _, k) if here.step > 1 => format!("event {k} at {at} (micro-step {})", here.step),
        (true, _, k) => format!("event {k} at {at}"),
        (false, _, 0) => format!("{at}, after the start"),
        (false, _, k) => format!("{at}, after event {k}"),
    };
    ui.text(&format!("{line}\n"));
    // Enough to see what it was; `why` tells all.
    const SOME: usize = 4;
    let lines = lines(here, walk.watched());
    lines.iter().take(SOME).for_each(|l| ui.text(l));
    if lines.len() > SOME {
        ui.text(&format!("  … {} more: `why`\n", lines.len() - SOME));
    }
}

fn deeds<'a>(walk: &'a Walk<'_>) -> Vec<Deed<'a>> {
    let of = |d: &'a Done| {
        let (element, unit) = measure(d, walk.watched());
        let (pre, post) = (value(d.pre, &element), value(d.post, &element));
        let peer = matches!(&*d.kind, "sent" | "message" | "lost").then_some(&*d.peer);
        Deed { kind: &d.kind, path: &d.path, event: &d.event, peer, pre, post, unit }
    };
    walk.here().done.iter().map(of).collect()
}

/// What an event did, one thing a line; what a handler wrote stands below it.
fn lines(here: &Here, watched: &[Watched]) -> Vec<String> {
    let mut within = false;
    let mut out = Vec::with_capacity(here.done.len());
    for d in &here.done {
        let (element, unit) = measure(d, watched);
        let values = || format!("{} → {}", text(d.pre, &element, unit), text(d.post, &element, unit));
        let of = |path: &str| if path.is_empty() { String::new() } else { format!("{path}: ") };
        let line = match d.kind.as_str() {
            "handler" => {
                within = true;
                format!("  {}{}\n", of(&d.path), d.event)
            }
            "crossing" => {
                within = false;
                let becomes = if d.post != 0.0 { "becomes true" } else { "becomes false" };
                format!("  {}{} {becomes}\n", of(&d.path), d.event)
            }
            "event" => format!("    emits {}.{}\n", d.path, d.event),
            "sent" if d.path.is_empty() => format!("  sent {} to {}\n", d.event, whom(&d.peer)),
            "sent" => format!("    {} sends {} to {}\n", d.path, d.event, whom(&d.peer)),
            "message" | "lost" => {
                within = false;
                let lost = if d.kind == "lost" { " is lost" } else { "" };
                let from = if d.peer.is_empty() { String::new() } else { format!(" from {}", d.peer) };
                format!("  {}{}{from}{lost}\n", of(&d.path), d.event)
            }
            "action" => format!("  {}: {} {}\n", d.event, d.path, values()),
            _ if within => format!("    {} {}\n", d.path, values()),
            _ => format!("  {} {}\n", d.path, values()),
        };
        // One comparison that two handlers wait for is said once.
        if d.kind != "crossing" || out.last() != Some(&line) {
            out.push(line);
        }
    }
    out
}

/// A twin that a message is for.
fn whom(path: &str) -> &str {
    if path.is_empty() { "the model" } else { path }
}

/// All that the event did.
pub fn why(walk: &Walk<'_>, ui: &Ui) {
    let here = walk.here();
    if ui.is_json() {
        return position(walk, None, ui);
    }
    if !here.at_event {
        ui.text(&format!(
            "no event is here; the last one was event {} at {}\n",
            here.event,
            time(walk.seen().get(here.event).copied().unwrap_or(0.0))
        ));
        return;
    }
    let lines = lines(here, walk.watched());
    if lines.is_empty() {
        ui.text("nothing that the log of events tells of: no comparison, no handler, no action\n");
    }
    lines.iter().for_each(|l| ui.text(l));
}

/// Values here, of the quantities with these numbers.
pub fn values(walk: &Walk<'_>, slots: &[usize], ui: &Ui) {
    let here = walk.here();
    let watched = walk.watched();
    let wide = slots.iter().map(|k| watched[*k].path.chars().count()).max().unwrap_or(0);
    for &k in slots {
        let w = &watched[k];
        let cell = here.values.get(k).copied().unwrap_or(f64::NAN);
        let before = here.before.as_ref().and_then(|b| b.get(k)).copied();
        ui.object(&Shown {
            kind: "debug_value",
            version: VERSION,
            path: &w.path,
            value: value(cell, &w.element),
            unit: &w.unit,
            before: before.map_or(Value::Null, |b| value(b, &w.element)),
        });
        let was = match before {
            Some(b) if b.to_bits() != cell.to_bits() => {
                format!("  (before: {})", text(b, &w.element, &w.unit))
            }
            _ => String::new(),
        };
        ui.text(&format!("  {:wide$}  {}{was}\n", w.path, text(cell, &w.element, &w.unit)));
    }
}

/// The last `n` events seen.
pub fn events(walk: &Walk<'_>, n: usize, ui: &Ui) {
    let seen = walk.seen();
    let here = walk.here();
    for (k, t) in seen.iter().enumerate().skip(seen.len().saturating_sub(n)) {
        ui.object(&Seen { kind: "debug_event", version: VERSION, event: k, time: *t });
        let mark = if here.at_event && here.event == k { ">" } else { " " };
        ui.text(&format!("{mark} {k:>6}  {}\n", time(*t)));
    }
}

/// A breakpoint.
pub fn breakpoint(number: usize, text: &str, ui: &Ui) {
    ui.object(&Breakpoint { kind: "debug_break", version: VERSION, number, text });
    ui.text(&format!("  {number}  {text}\n"));
}
