//! What became of two runs: how they ended, verdicts, figures.

use serde::Serialize;
use serde_json::Value;

use super::side::Side;
use crate::ui::json::VERSION;
use crate::ui::numbers::short;

/// Something that became of one run and not of the other.
#[derive(Serialize)]
pub struct Outcome {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    /// `verdict`, `kpi` or `ended`
    what: &'static str,
    /// The requirement or the figure.
    name: String,
    a: Value,
    b: Value,
    /// The robustness of a verdict.
    robustness_a: Option<f64>,
    robustness_b: Option<f64>,
    unit: String,
}

impl Outcome {
    /// `drains: holds → violated (robustness 0.4 → -0.1 m)`.
    pub fn line(&self) -> String {
        let said = |v: &Value| match v {
            Value::String(text) => text.clone(),
            Value::Null => "nothing".to_owned(),
            Value::Array(all) => {
                let one = |v: &Value| v.as_f64().map_or_else(|| v.to_string(), |x| short(x, 6));
                all.iter().take(4).map(one).collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        };
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        let what = if self.name.is_empty() { self.what } else { &self.name };
        match (self.robustness_a, self.robustness_b) {
            (Some(x), Some(y)) if self.what == "verdict" => {
                let digits = (3..17).find(|n| short(x, *n) != short(y, *n)).unwrap_or(17);
                let (x, y) = (short(x, digits), short(y, digits));
                let verdicts = if self.a == self.b {
                    said(&self.a)
                } else {
                    format!("{} → {}", said(&self.a), said(&self.b))
                };
                format!("{what}: {verdicts} (robustness {x} → {y}{unit})")
            }
            _ => format!(
                "{what}: {} → {}{}",
                said(&self.a),
                said(&self.b),
                if self.what == "kpi" { &unit } else { "" }
            ),
        }
    }
}

/// What differs of the outcomes, where both have a summary.
pub fn compare(a: &Side, b: &Side) -> Vec<Outcome> {
    let (Some(x), Some(y)) = (&a.section, &b.section) else { return Vec::new() };
    let mut out = Vec::new();
    let outcome = |what, name: &str, a: &Value, b: &Value| Outcome {
        kind: "diff_outcome",
        version: VERSION,
        what,
        name: name.to_owned(),
        a: a.clone(),
        b: b.clone(),
        robustness_a: None,
        robustness_b: None,
        unit: String::new(),
    };
    if x["ended"] != y["ended"] {
        out.push(outcome("ended", "", &x["ended"], &y["ended"]));
    }
    for (p, q) in pairs(a, b, "requirements") {
        let (name, of) = (a.bare(p["name"].as_str().unwrap_or_default()), q);
        if p["verdict"] != of["verdict"] || p["robustness"] != of["robustness"] {
            let mut one = outcome("verdict", name, &p["verdict"], &of["verdict"]);
            (one.robustness_a, one.robustness_b) = (p["robustness"].as_f64(), of["robustness"].as_f64());
            one.unit = p["unit"].as_str().unwrap_or_default().to_owned();
            out.push(one);
        }
    }
    for (p, q) in pairs(a, b, "kpis") {
        if p["values"] != q["values"] {
            let mut one =
                outcome("kpi", a.bare(p["name"].as_str().unwrap_or_default()), &p["values"], &q["values"]);
            one.unit = p["unit"].as_str().unwrap_or_default().to_owned();
            out.push(one);
        }
    }
    out
}

/// Entries of both summaries that have one name.
fn pairs<'s>(a: &'s Side, b: &'s Side, list: &str) -> Vec<(&'s Value, &'s Value)> {
    let entries = |side: &'s Side| {
        let all = side.section.as_ref().and_then(|s| s[list].as_array());
        all.map_or(&[][..], Vec::as_slice)
    };
    let name = |side: &'s Side, v: &'s Value| side.bare(v["name"].as_str().unwrap_or_default());
    let partner = |p: &'s Value| entries(b).iter().find(|q| name(b, q) == name(a, p)).map(|q| (p, q));
    entries(a).iter().filter_map(partner).collect()
}
