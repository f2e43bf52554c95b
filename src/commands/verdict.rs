//! What is said of requirements: lines for people, objects, exit codes.

use serde::Serialize;
use serde_json::{Value, json};
use twinml_engine::monitor::{self, Judgement};
use twinml_engine::run::{Ended, Report};
use twinml_model::program::Experiment;
use twinml_model::requirement::{Formula, Goal};

use crate::exit::Exit;
use crate::ui::json::VERSION;
use crate::ui::numbers::{counted, instant, short};

/// A requirement's verdict.
#[derive(Serialize, Debug)]
pub struct Verdict {
    /// `verdict`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// The requirement's path.
    pub name: String,
    /// Whether the scenario expects it.
    pub expected: bool,
    /// `holds`, `violated`, `inconclusive`, `not evaluated`
    pub verdict: &'static str,
    /// Whether it is a claim about many runs, judged on this one.
    pub nominal: bool,
    /// Whether the scenario expects that it is violated: `expect not safe`.
    pub refuted: bool,
    /// Signed distance to violation; none where it is infinite.
    pub robustness: Option<f64>,
    /// Its unit; empty where it has none.
    pub unit: String,
    /// The instant that decides, in seconds.
    pub closest: Option<f64>,
    /// The worst element, where it is said of several.
    pub element: Option<u32>,
    /// What many runs say of a claim, where they were asked.
    pub samples: Option<Sampled>,
    /// Whether the outcome of `twinc test` hangs on it.
    #[serde(skip)]
    pub asked: bool,
    #[serde(skip)]
    judgement: Option<Judgement>,
    /// Why nothing could be decided, where that is the length of the run.
    #[serde(skip)]
    open: Option<String>,
}

/// How far behind the start a formula looks.
fn reach(f: &Formula) -> f64 {
    let end = |past: bool, window: &Option<(f64, f64)>| window.filter(|_| !past).map_or(0.0, |w| w.1);
    match f {
        Formula::Const(_) | Formula::Atom(_) => 0.0,
        Formula::Not(f) => reach(f),
        Formula::And(all) | Formula::Or(all) => all.iter().map(reach).fold(0.0, f64::max),
        Formula::Windowed { past, window, formula, .. } => end(*past, window) + reach(formula),
        Formula::Until { past, window, left, right } => end(*past, window) + reach(left).max(reach(right)),
    }
}

/// `its window ends at 30 s, after the run`, of windows that do.
fn beyond(ends: impl Iterator<Item = f64>, report: &Report) -> Option<String> {
    let late = |e: &f64| *e > report.time * (1.0 + 1e-12);
    let mut open: Vec<f64> =
        ends.filter(late).filter(|_| matches!(report.ended, Ended::Complete | Ended::Halted(_))).collect();
    open.sort_by(f64::total_cmp);
    open.dedup();
    match open[..] {
        [] => None,
        [end] if end.is_finite() => Some(format!("its window ends at {}, after the run", instant(end))),
        _ => Some("a window ends after the run".to_owned()),
    }
}

/// The ends of the windows of what is measured over a run.
fn measured(experiment: &Experiment) -> impl Iterator<Item = f64> + '_ {
    experiment.aggregates.iter().filter_map(|a| a.window.map(|w| w.1))
}

/// What many runs say of a claim.
#[derive(Serialize, Debug, Clone)]
pub struct Sampled {
    /// How many.
    pub runs: u64,
    /// The share that satisfies it.
    pub probability: f64,
    /// Its interval.
    pub lo: f64,
    /// The upper end.
    pub hi: f64,
    /// Confidence of the interval.
    pub confidence: f64,
    /// `>=`, `<=`
    pub op: &'static str,
    /// The probability that is claimed.
    pub wanted: f64,
    /// Samples that failed.
    pub failed: u64,
}

/// A figure of a run.
#[derive(Serialize, Debug)]
pub struct Figure {
    /// `kpi`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// Its path.
    pub name: String,
    /// Its elements in `unit`; none where it is not known. What is infinite or no number is `null`.
    pub values: Option<Vec<f64>>,
    /// Its unit; empty where it has none.
    pub unit: String,
    /// `minimize`, `maximize`
    pub goal: Option<&'static str>,
    /// Whether the run reached its end.
    pub complete: bool,
    #[serde(skip)]
    whole: bool,
    /// Why it is not known, where that is the length of the run.
    #[serde(skip)]
    open: Option<String>,
}

/// Of every KPI, in order.
pub fn figures(experiment: &Experiment, report: &Report) -> Vec<Figure> {
    let one = |(k, kpi): (usize, &twinml_model::requirement::Kpi)| Figure {
        kind: "kpi",
        version: VERSION,
        name: kpi.path.clone(),
        values: report
            .kpis
            .get(k)
            .cloned()
            .flatten()
            .filter(|v| !v.is_empty())
            .map(|values| values.iter().map(|v| (v - kpi.unit.offset) / kpi.unit.scale).collect()),
        unit: kpi.unit.symbol.clone(),
        goal: kpi.goal.map(|g| match g {
            Goal::Minimize => "minimize",
            Goal::Maximize => "maximize",
        }),
        complete: matches!(report.ended, Ended::Complete | Ended::Halted(_)),
        whole: kpi.whole,
        open: beyond(measured(experiment), report),
    };
    experiment.kpis.iter().enumerate().map(one).collect()
}

impl Figure {
    /// As it stands in a summary.
    pub fn facts(&self) -> Value {
        json!({
            "name": self.name, "values": self.values, "unit": self.unit, "goal": self.goal,
            "complete": self.complete,
        })
    }

    /// `energy  22.6 kWh`, the name in `width` characters.
    fn line(&self, width: usize) -> String {
        let number = |v: &f64| {
            if self.whole && v.is_finite() { format!("{v}") } else { short(*v, 4) }
        };
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        let said = match self.values.as_deref() {
            None => "not known".to_owned(),
            Some([one]) if one.is_nan() => match &self.open {
                Some(why) => format!("not known  ({why})"),
                None => "not known".to_owned(),
            },
            Some([one]) if *one == f64::INFINITY => "never".to_owned(),
            Some([one]) => format!("{}{unit}", number(one)),
            Some(many) => {
                let least = many.iter().copied().fold(f64::INFINITY, f64::min);
                let most = many.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                format!("{} to {}{unit}  ({} values)", number(&least), number(&most), many.len())
            }
        };
        let early = if self.complete || self.values.is_none() { "" } else { "  up to where the run ended" };
        format!("{:width$}  {said}{early}", self.name)
    }
}

/// Figures in columns.
pub fn figure_lines(all: &[Figure]) -> Vec<String> {
    let width = all.iter().map(|f| f.name.chars().count()).max().unwrap_or(0);
    all.iter().map(|f| f.line(width)).collect()
}

/// Of every requirement, in order.
pub fn of(experiment: &Experiment, report: &Report) -> Vec<Verdict> {
    // Where a scenario expects nothing by name, everything is to hold.
    let none_expected = experiment.requirements.iter().all(|r| !r.expected);
    let one = |(k, r): (usize, &twinml_model::program::Requirement)| {
        let found = report.verdicts.get(k).copied().flatten();
        let judged = r.judged.as_ref();
        Verdict {
            kind: "verdict",
            version: VERSION,
            name: r.path.clone(),
            expected: r.expected,
            verdict: found.map_or("not evaluated", |j| j.verdict.as_str()),
            refuted: judged.is_some_and(|j| j.refuted),
            nominal: judged.is_some_and(|j| j.claim.is_some()),
            robustness: found.map(|j| j.robustness).filter(|r| r.is_finite()),
            unit: judged.map_or_else(String::new, |j| j.unit.0.clone()),
            closest: found.and_then(|j| j.closest),
            element: found.filter(|_| judged.is_some_and(|j| j.elements > 1)).map(|j| j.element),
            samples: None,
            asked: r.expected || none_expected,
            judgement: found,
            open: judged
                .filter(|_| found.is_some_and(|j| j.verdict == monitor::Verdict::Inconclusive))
                .and_then(|j| {
                    let late = measured(experiment).filter(|_| j.atoms.iter().any(|a| a.late));
                    beyond(std::iter::once(reach(&j.formula)).chain(late), report)
                }),
        }
    };
    experiment.requirements.iter().enumerate().map(one).collect()
}

impl Verdict {
    /// As it stands in a summary.
    pub fn facts(&self) -> Value {
        json!({
            "name": self.name, "expected": self.expected, "verdict": self.verdict, "refuted": self.refuted,
            "nominal": self.nominal,
            "robustness": self.robustness, "unit": self.unit, "closest": self.closest, "element": self.element,
            "samples": self.samples,
        })
    }

    /// Many runs decide it, not this one.
    pub fn decided_by(&mut self, verdict: monitor::Verdict, robustness: Option<f64>, samples: Sampled) {
        self.verdict = verdict.as_str();
        self.nominal = false;
        self.robustness = robustness;
        self.open = None;
        self.closest = None;
        self.element = None;
        let robustness = robustness.unwrap_or(f64::NAN);
        self.judgement = Some(Judgement { verdict, robustness, closest: None, element: 0 });
        self.samples = Some(samples);
    }
}

impl Verdict {
    /// `robustness 0.41 m  (closest at 43 min 12 s)`; empty where there is none.
    pub fn margin(&self) -> String {
        let mut text = String::new();
        if let Some(s) = &self.samples {
            let (lo, hi) = (short(s.lo, 4), short(s.hi, 4));
            let (p, c) = (short(s.probability, 5), short(s.confidence * 100.0, 4));
            text =
                format!("probability {p} ({lo} to {hi} with {c} %), wanted {} {}", s.op, short(s.wanted, 6));
            text.push_str(&format!(", {}", counted(s.runs, "run")));
            if s.failed > 0 {
                text.push_str(&format!(", {} failed", s.failed));
            }
            return text;
        }
        if let Some(r) = self.robustness {
            text.push_str(&format!("robustness {}", short(r, 3)));
            if !self.unit.is_empty() {
                text.push_str(&format!(" {}", self.unit));
            }
        }
        if let Some(t) = self.closest {
            text.push_str(&format!("  (closest at {})", instant(t)));
        }
        if let Some(k) = self.element {
            text.push_str(&format!("  (element {k})"));
        }
        if let Some(why) = &self.open {
            text.push_str(&format!("  ({why})"));
        }
        text.trim_start().to_owned()
    }

    /// What it says of its run: a claim about many runs says nothing.
    pub fn exit(&self) -> Option<Exit> {
        let said = self.judgement.map(|j| j.verdict).filter(|_| !self.nominal)?;
        Some(match (said, self.refuted) {
            (monitor::Verdict::Holds, false) | (monitor::Verdict::Violated, true) => Exit::Ok,
            (monitor::Verdict::Inconclusive, _) => Exit::Inconclusive,
            (monitor::Verdict::Violated, false) | (monitor::Verdict::Holds, true) => Exit::Violated,
        })
    }
}

/// `no_overflow  holds   robustness 0.41 m  (closest at 43 min 12 s)`, in columns.
pub fn lines(all: &[Verdict]) -> Vec<String> {
    let wide = |of: &dyn Fn(&Verdict) -> usize| all.iter().map(of).max().unwrap_or(0);
    let (name, word) = (wide(&|v| v.name.chars().count()), wide(&|v| v.verdict.len()));
    let one = |v: &Verdict| {
        let mut line = format!("{:name$}  {:word$}   {}", v.name, v.verdict, v.margin());
        if v.refuted {
            line.truncate(line.trim_end().len());
            line.push_str("  expected not to hold");
        }
        if v.nominal && v.judgement.is_some() {
            line.truncate(line.trim_end().len());
            line.push_str("  nominal");
        }
        line.truncate(line.trim_end().len());
        line
    };
    all.iter().map(one).collect()
}

/// What a run with these verdicts ends with. A claim about many runs decides nothing here.
pub fn exit(all: &[Verdict]) -> Exit {
    all.iter().filter_map(Verdict::exit).max_by_key(|e| e.weight()).unwrap_or(Exit::Ok)
}
