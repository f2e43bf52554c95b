//! Outcomes taken together: figures with their intervals, verdicts with their confidence.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use twinml_engine::ensemble::RANDOMISATIONS;
use twinml_engine::ensemble::exact::Moments;
use twinml_engine::ensemble::interval::{self, Interval, Ranks};
use twinml_engine::ensemble::outcome::{Judged, Outcome, Status};
use twinml_engine::ensemble::sampler::Sampler;
use twinml_engine::ensemble::sequential::{Answer, Test};
use twinml_engine::ensemble::sketch::Sketch;
use twinml_engine::monitor::Verdict;

use super::job::PERIODS;
use super::layout::{Cell, Column, Demand, Layout};
use crate::exit::Exit;

/// Quantiles that are told.
pub const QUANTILES: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];
/// The confidence of intervals of means and quantiles.
pub const CONFIDENCE: f64 = 0.95;
/// Runs between two looks of a job that ends by what it finds.
pub const LOOK: u64 = 1000;
/// Failed runs that a summary names.
const MOST_FAILED: usize = 100;
/// Quantities whose link to each draw is told.
const MOST_TARGETS: usize = 24;
/// Draws whose link is told.
const MOST_DRAWS: usize = 400;

/// Numbers of one column.
#[derive(Clone, Debug)]
pub struct Tally {
    /// The column.
    pub column: Column,
    /// All of them.
    pub moments: Moments,
    /// Their quantiles.
    pub sketch: Sketch,
    /// Of each randomisation.
    sets: Vec<(Moments, Sketch)>,
    /// The least and the greatest.
    pub ends: (f64, f64),
    started: bool,
}

impl Tally {
    fn new(column: &Column, sampler: Sampler) -> Tally {
        let sets = if sampler == Sampler::Random { 0 } else { RANDOMISATIONS as usize };
        Tally {
            column: column.clone(),
            moments: Moments::default(),
            sketch: Sketch::default(),
            sets: vec![(Moments::default(), Sketch::with_cells(SET_CELLS)); sets],
            ends: (f64::INFINITY, f64::NEG_INFINITY),
            started: false,
        }
    }

    fn take(&mut self, run: u32, x: f64) {
        let x = self.column.cell.shown(x);
        self.sketch.add(x);
        if x.is_nan() {
            return;
        }
        // Outcomes come in the order of their indices, so the first is the same for any number of shards.
        if !std::mem::replace(&mut self.started, true) {
            self.moments = Moments::around(x);
            self.sets.iter_mut().for_each(|s| s.0 = Moments::around(x));
        }
        self.moments.add(x);
        self.ends = (self.ends.0.min(x), self.ends.1.max(x));
        let n = self.sets.len();
        if n > 0 {
            let set = &mut self.sets[run as usize % n];
            set.0.add(x);
            set.1.add(x);
        }
    }

    /// The mean with its interval.
    pub fn mean(&self) -> (f64, Interval) {
        let mean = self.moments.mean();
        let used: Vec<f64> = self.sets.iter().filter(|s| s.0.count() > 0).map(|s| s.0.mean()).collect();
        let interval = if used.is_empty() {
            interval::of_moments(mean, self.moments.sd(), self.moments.count(), CONFIDENCE)
        } else {
            interval::of_mean(&used, CONFIDENCE)
        };
        (mean, interval)
    }

    /// A quantile with its interval; infinite ends where there are too few values.
    fn quantile(&self, q: f64, ranks: &mut Ranks) -> Option<(f64, Interval)> {
        let value = self.sketch.quantile(q)?;
        let open = Interval { lo: f64::NEG_INFINITY, hi: f64::INFINITY };
        let interval = if self.sets.is_empty() {
            let ranks = ranks.of(q, self.sketch.count());
            let ends = ranks.and_then(|(l, u)| Some((self.sketch.at(l)?.0, self.sketch.at(u)?.1)));
            ends.map_or(open, |(lo, hi)| Interval { lo, hi })
        } else {
            self.spread_of_randomisations(q)
        };
        Some((value, interval))
    }

    /// The interval of a quantile from randomisations. The quantile of a small randomisation is biased by up to one of
    /// its runs; the share of its values below a threshold is not. So the quantile lies among the thresholds whose share
    /// may be `q`.
    fn spread_of_randomisations(&self, q: f64) -> Interval {
        let cells: Vec<(f64, f64)> = self.sketch.cells().map(|(lo, hi, _)| (lo, hi)).collect();
        let share = |inside: &dyn Fn(f64, f64) -> bool| {
            let one = |s: &(Moments, Sketch)| {
                let hits = s.1.cells().filter(|(lo, hi, _)| inside(*lo, *hi)).map(|(.., n)| n).sum();
                (hits, s.1.count())
            };
            interval::of_randomisations(&self.sets.iter().map(one).collect::<Vec<_>>(), CONFIDENCE)
        };
        // Fewer than `q` lie below `x`, so the quantile does not; at least `q` lie up to `x`, so the quantile does.
        let beyond = cells.partition_point(|(x, _)| share(&|lo, _| lo < *x).hi < q);
        let within = cells.partition_point(|(_, x)| share(&|_, hi| hi <= *x).lo < q);
        Interval {
            lo: beyond.checked_sub(1).map_or(f64::NEG_INFINITY, |k| cells[k].0),
            hi: cells.get(within).map_or(f64::INFINITY, |c| c.1),
        }
    }

    fn facts(&self, ranks: &mut Ranks) -> Value {
        let mut out = Map::new();
        out.insert("name".into(), json!(self.column.name));
        out.insert("unit".into(), json!(self.column.unit));
        out.insert("runs".into(), json!(self.sketch.count()));
        out.insert("missing".into(), json!(self.sketch.missing()));
        if self.sketch.count() == 0 {
            return Value::Object(out);
        }
        let (mean, i) = self.mean();
        out.insert("mean".into(), with_interval(mean, i));
        out.insert("sd".into(), number(self.moments.sd()));
        out.insert("min".into(), number(self.ends.0));
        out.insert("max".into(), number(self.ends.1));
        let mut one = |q: &f64| {
            let (value, i) = self.quantile(*q, ranks)?;
            let mut v = with_interval(value, i);
            v["q"] = json!(q);
            Some(v)
        };
        out.insert("quantiles".into(), QUANTILES.iter().filter_map(&mut one).collect());
        Value::Object(out)
    }
}

/// Cells of the sketch of one randomisation.
const SET_CELLS: usize = 512;

fn number(x: f64) -> Value {
    if x.is_finite() { json!(x) } else { Value::Null }
}

fn with_interval(value: f64, i: Interval) -> Value {
    json!({ "value": number(value), "lo": number(i.lo), "hi": number(i.hi) })
}

/// Counts of one requirement.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Runs in which it holds.
    pub holds: u64,
    /// In which it is violated.
    pub violated: u64,
    /// That ended inside a window that decides.
    pub inconclusive: u64,
    /// That failed before it was decided.
    pub failed: u64,
}

impl Counts {
    fn runs(self) -> u64 {
        self.holds + self.violated + self.inconclusive + self.failed
    }
}

/// A requirement over all runs.
#[derive(Clone, Debug)]
pub struct Verdicts {
    /// The requirement.
    pub demand: Demand,
    /// All runs.
    pub counts: Counts,
    sets: Vec<Counts>,
    /// Robustness.
    pub robustness: Tally,
    /// The run with the least robustness; the first that violates it where no robustness is asked for (NaN).
    pub worst: Option<(u32, f64)>,
    /// The sequential test of the claim, with its zone.
    test: Option<(Test, f64)>,
    /// What it has said, and after how many runs.
    pub decided: Option<(Answer, u64)>,
}

/// How the interval of a probability was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Clopper and Pearson.
    Exact,
    /// From randomisations.
    Randomisations,
    /// Valid while runs are still coming.
    AlwaysValid,
}

impl Means {
    /// Its name in a summary.
    pub fn name(self) -> &'static str {
        match self {
            Means::Exact => "clopper_pearson",
            Means::Randomisations => "randomisations",
            Means::AlwaysValid => "always_valid",
        }
    }
}

/// Whether a run is worse than the worst so far: its robustness is less. Where no robustness is asked for, the first that
/// violates the requirement is the worst.
pub fn worse(worst: Option<(u32, f64)>, j: &Judged) -> bool {
    match worst {
        None => !j.robustness.is_nan() || j.verdict == Some(Verdict::Violated),
        Some((_, r)) => j.robustness < r,
    }
}

impl Verdicts {
    fn new(demand: &Demand, sampler: Sampler) -> Verdicts {
        let sets = if sampler == Sampler::Random { 0 } else { RANDOMISATIONS as usize };
        let column = Column {
            name: demand.name.clone(),
            unit: demand.unit.clone(),
            quantity: None,
            description: None,
            cell: Cell::Real { scale: 1.0, offset: 0.0 },
            list: None,
        };
        Verdicts {
            demand: demand.clone(),
            counts: Counts::default(),
            sets: vec![Counts::default(); sets],
            robustness: Tally::new(&column, sampler),
            worst: None,
            test: None,
            decided: None,
        }
    }

    /// Looks at the sequential test: what it has said once, it has said.
    fn look(&mut self) {
        if let (Some((test, _)), None) = (&self.test, self.decided) {
            let (n, (least, most)) = (self.counts.runs(), self.hits(self.counts));
            self.decided = test.answer(least, most, n).map(|a| (a, n));
        }
    }

    fn take(&mut self, o: &Outcome, k: usize) {
        let Some(j) = o.judged.get(k) else { return };
        let n = self.sets.len();
        let mut each = vec![&mut self.counts];
        if n > 0 {
            each.push(&mut self.sets[o.run as usize % n]);
        }
        for c in each {
            *match (j.verdict, o.status) {
                (Some(Verdict::Holds), _) => &mut c.holds,
                (Some(Verdict::Violated), _) => &mut c.violated,
                (_, Status::Failed) => &mut c.failed,
                _ => &mut c.inconclusive,
            } += 1;
        }
        self.robustness.take(o.run, j.robustness);
        if worse(self.worst, j) {
            self.worst = Some((o.run, j.robustness));
        }
    }

    /// How many runs satisfy it at least and at most: a failed run counts against it, one whose window stayed open may
    /// have gone either way.
    fn hits(&self, c: Counts) -> (u64, u64) {
        let least = if self.against_is_hit() { c.holds + c.failed } else { c.holds };
        (least, least + c.inconclusive)
    }

    /// Whether satisfying it is what the claim limits.
    fn against_is_hit(&self) -> bool {
        self.demand.claim.is_some_and(|c| !c.at_least)
    }

    /// The share of runs that satisfy it.
    pub fn share(&self) -> f64 {
        self.hits(self.counts).0 as f64 / self.counts.runs() as f64
    }

    /// The confidence of its interval.
    pub fn confidence(&self) -> f64 {
        self.demand.claim.map_or(CONFIDENCE, |c| c.confidence)
    }

    /// The interval of the probability that a run satisfies it.
    pub fn interval(&self, means: Means) -> Interval {
        let confidence = self.confidence();
        let n = self.counts.runs();
        let (least, most) = self.hits(self.counts);
        let of = |hits: u64, side: fn((u64, u64)) -> u64| match means {
            Means::Exact => interval::clopper_pearson(hits, n, confidence),
            Means::AlwaysValid => interval::always_valid(hits, n, confidence),
            Means::Randomisations => {
                let sets: Vec<(u64, u64)> =
                    self.sets.iter().map(|c| (side(self.hits(*c)), c.runs())).collect();
                interval::of_randomisations(&sets, confidence)
            }
        };
        Interval { lo: of(least, |h| h.0).lo, hi: of(most, |h| h.1).hi }
    }

    /// What all runs together say; none: it is not judged.
    pub fn verdict(&self, means: Means) -> Option<Verdict> {
        if !self.demand.judged {
            return None;
        }
        let c = self.counts;
        if self.unjudged() {
            return Some(Verdict::Inconclusive);
        }
        let Some(claim) = self.demand.claim else {
            // Asked of every run; of one that is expected to be violated, that it is in every run.
            let (broken, wanted) =
                if self.demand.refuted { (c.holds, c.violated) } else { (c.violated, c.holds) };
            let bad = if self.demand.refuted { Verdict::Holds } else { Verdict::Violated };
            let good = if self.demand.refuted { Verdict::Violated } else { Verdict::Holds };
            return Some(match () {
                () if broken + c.failed > 0 => bad,
                () if c.inconclusive > 0 || wanted == 0 => Verdict::Inconclusive,
                () => good,
            });
        };
        if self.test.is_some() {
            return Some(match (self.decided, claim.at_least) {
                (None, _) => Verdict::Inconclusive,
                (Some((Answer::Above, _)), true) | (Some((Answer::Below, _)), false) => Verdict::Holds,
                (Some(_), _) => Verdict::Violated,
            });
        }
        let i = self.interval(means);
        let p = claim.probability;
        Some(match claim.at_least {
            true if i.lo >= p => Verdict::Holds,
            true if i.hi < p => Verdict::Violated,
            false if i.hi <= p => Verdict::Holds,
            false if i.lo > p => Verdict::Violated,
            _ => Verdict::Inconclusive,
        })
    }

    /// Whether all runs failed, so that nothing is known of it.
    pub fn unjudged(&self) -> bool {
        let c = self.counts;
        c.failed > 0 && c.holds + c.violated + c.inconclusive == 0
    }

    /// What the command ends with because of it.
    pub fn exit(&self, means: Means) -> Exit {
        match (self.verdict(means), self.demand.refuted) {
            (None, _) => Exit::Ok,
            (Some(Verdict::Holds), false) | (Some(Verdict::Violated), true) => Exit::Ok,
            (Some(Verdict::Inconclusive), _) => Exit::Inconclusive,
            (Some(Verdict::Violated), false) | (Some(Verdict::Holds), true) => Exit::Violated,
        }
    }

    /// As it stands in a summary.
    pub fn facts(&self, means: Means, ranks: &mut Ranks) -> Value {
        let d = &self.demand;
        let i = self.interval(means);
        let c = self.counts;
        json!({
            "name": d.name,
            "expected": d.expected,
            "refuted": d.refuted,
            "verdict": self.verdict(means).map_or("not evaluated", Verdict::as_str),
            "claim": d.claim.map(|c| json!({
                "op": if c.at_least { ">=" } else { "<=" }, "probability": c.probability, "confidence": c.confidence,
            })),
            "runs": c.runs(),
            "holds": c.holds,
            "violated": c.violated,
            "inconclusive": c.inconclusive,
            "failed": c.failed,
            "probability": with_interval(self.share(), i),
            "confidence": self.confidence(),
            "interval": means.name(),
            "sprt": self.test.as_ref().map(|(_, zone)| json!({
                "zone": zone, "decided_after": self.decided.map(|d| d.1),
            })),
            "robustness": self.robustness.facts(ranks),
            "worst": self.worst.map(|(run, r)| json!({ "run": run, "robustness": number(r) })),
        })
    }
}

/// Sums that tell how a target follows a draw.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Link {
    fn take(&mut self, x: f64, y: f64) {
        if !(x.is_finite() && y.is_finite()) {
            return;
        }
        // Welford's recurrences: outcomes come in one order, so these are the same bits for any number of shards.
        self.n += 1.0;
        let (dx, dy) = (x - self.x, y - self.y);
        self.x += dx / self.n;
        self.y += dy / self.n;
        self.xx += dx * (x - self.x);
        self.yy += dy * (y - self.y);
        self.xy += dx * (y - self.y);
    }

    fn correlation(&self) -> f64 {
        let size = (self.xx * self.yy).sqrt();
        if size > 0.0 { (self.xy / size).clamp(-1.0, 1.0) } else { 0.0 }
    }
}

/// A job's outcomes taken together, in the order of their indices.
#[derive(Clone, Debug)]
pub struct Fold {
    sampler: Sampler,
    /// How many runs.
    pub runs: u64,
    /// By status.
    pub statuses: [u64; Status::ALL.len()],
    /// Failures by code.
    pub codes: BTreeMap<String, u64>,
    /// The first failed runs: index, code, message.
    pub failed: Vec<(u32, String, String)>,
    repeated: u64,
    /// What was drawn.
    pub draws: Vec<Tally>,
    /// Last values and figures; the number tells which cell of [`Outcome::last`] or [`Outcome::kpis`].
    pub values: Vec<(usize, Tally)>,
    kpis: usize,
    /// Requirements.
    pub verdicts: Vec<Verdicts>,
    links: Vec<Link>,
    /// What is traced over time.
    pub fans: Vec<Fan>,
    width: usize,
    until: f64,
    /// Verdicts alone are asked for: what follows draws is whether requirements hold.
    verdicts_only: bool,
}

/// A quantity over time, over all runs.
#[derive(Clone, Debug)]
pub struct Fan {
    /// The quantity.
    pub column: Column,
    /// Its cell in a row.
    cell: usize,
    /// At each of the equal periods.
    pub at: Vec<Sketch>,
}

/// Cells of the sketch of one instant.
const FAN_CELLS: usize = 256;
/// Quantities that fans are drawn of.
const MOST_FANS: usize = 16;

impl Fold {
    /// Of nothing yet.
    pub fn new(layout: &Layout, sampler: Sampler, until: f64) -> Fold {
        let mut fans = Vec::new();
        let mut cell = 2;
        for c in &layout.trace {
            if c.list.is_none() && !matches!(c.cell, Cell::Text(_)) && fans.len() < MOST_FANS {
                let at = vec![Sketch::with_cells(FAN_CELLS); PERIODS as usize + 1];
                fans.push(Fan { column: c.clone(), cell, at });
            }
            cell += c.list.unwrap_or(1);
        }
        let mut values = Vec::new();
        let mut kpis = 0;
        for (k, list) in [&layout.kpis, &layout.last].into_iter().enumerate() {
            let mut cell = 0;
            for c in list {
                // Lists are too many to be told one by one.
                if c.list.is_none() && !matches!(c.cell, Cell::Text(_)) {
                    values.push((cell, Tally::new(c, sampler)));
                    kpis += usize::from(k == 0);
                }
                cell += c.list.unwrap_or(1);
            }
        }
        let verdicts: Vec<Verdicts> = layout.demands.iter().map(|d| Verdicts::new(d, sampler)).collect();
        let draws: Vec<Tally> = layout.draws.iter().map(|c| Tally::new(c, sampler)).collect();
        let targets = (verdicts.len() + values.len()).min(MOST_TARGETS);
        let links = vec![Link::default(); draws.len().min(MOST_DRAWS) * targets];
        Fold {
            sampler,
            runs: 0,
            statuses: [0; Status::ALL.len()],
            codes: BTreeMap::new(),
            failed: Vec::new(),
            repeated: 0,
            draws,
            values,
            kpis,
            verdicts,
            links,
            fans,
            width: layout.trace_width(),
            until,
            verdicts_only: layout.verdicts_only,
        }
    }

    /// Decides claims by Wald's test.
    pub fn test(&mut self, zone: f64) {
        for v in &mut self.verdicts {
            let claim = v.demand.claim.filter(|_| v.demand.judged);
            v.test = claim.and_then(|c| Some((Test::new(c.probability, zone, c.confidence)?, zone)));
        }
    }

    /// Whether the test has decided every claim.
    pub fn decided(&self) -> bool {
        self.verdicts.iter().all(|v| v.test.is_none() || v.decided.is_some())
    }

    /// Takes in the next outcome.
    pub fn take(&mut self, o: &Outcome) {
        self.runs += 1;
        self.statuses[o.status as usize] += 1;
        self.repeated += u64::from(o.repeated);
        if o.status == Status::Failed {
            *self.codes.entry(o.code.clone()).or_insert(0) += 1;
            if self.failed.len() < MOST_FAILED {
                self.failed.push((o.run, o.code.clone(), o.message.clone()));
            }
        }
        for (t, x) in self.draws.iter_mut().zip(&o.drawn) {
            t.take(o.run, *x);
        }
        for (k, (cell, t)) in self.values.iter_mut().enumerate() {
            let list = if k < self.kpis { &o.kpis } else { &o.last };
            t.take(o.run, list.get(*cell).copied().unwrap_or(f64::NAN));
        }
        for (k, v) in self.verdicts.iter_mut().enumerate() {
            v.take(o, k);
            if self.runs.is_multiple_of(LOOK) {
                v.look();
            }
        }
        self.trace(o);
        let targets = self.targets();
        if targets > 0 && !o.drawn.is_empty() {
            let ys: Vec<f64> = (0..targets).map(|t| self.target(o, t)).collect();
            for (d, x) in o.drawn.iter().take(MOST_DRAWS).enumerate() {
                for (t, y) in ys.iter().enumerate() {
                    self.links[d * targets + t].take(*x, *y);
                }
            }
        }
    }

    fn trace(&mut self, o: &Outcome) {
        if self.fans.is_empty() {
            return;
        }
        let rows: Vec<&[f64]> = o.trace.chunks_exact(self.width).collect();
        for (k, row) in rows.iter().enumerate() {
            // Rows of events stand between those of the periods; of several at one instant the last counts.
            let part = row[0] / self.until * PERIODS as f64;
            let at = part.round();
            let last = rows.get(k + 1).is_none_or(|next| next[0] != row[0]);
            if last && (part - at).abs() < 1e-9 * PERIODS as f64 && (0.0..=PERIODS as f64).contains(&at) {
                for f in &mut self.fans {
                    f.at[at as usize].add(f.column.cell.shown(row[f.cell]));
                }
            }
        }
    }

    fn targets(&self) -> usize {
        (self.verdicts.len() + self.values.len()).min(MOST_TARGETS)
    }

    fn target(&self, o: &Outcome, t: usize) -> f64 {
        match t.checked_sub(self.verdicts.len()) {
            None => match o.judged.get(t) {
                Some(j) if !self.verdicts_only => j.robustness,
                Some(Judged { verdict: Some(Verdict::Holds), .. }) => 1.0,
                Some(Judged { verdict: Some(Verdict::Violated), .. }) => 0.0,
                _ => f64::NAN,
            },
            Some(k) => {
                let list = if k < self.kpis { &o.kpis } else { &o.last };
                list.get(self.values[k].0).copied().unwrap_or(f64::NAN)
            }
        }
    }

    /// How targets follow draws: the name of each target with the draws that it follows most, by their correlation.
    pub fn tornado(&self, most: usize) -> Vec<(String, Vec<(String, f64)>)> {
        let targets = self.targets();
        let one = |t: usize| {
            let name = match t.checked_sub(self.verdicts.len()) {
                None => self.verdicts[t].demand.name.clone(),
                Some(k) => self.values[k].1.column.name.clone(),
            };
            let own = self.draws.iter().take(MOST_DRAWS).enumerate();
            let mut bars: Vec<(String, f64)> = own
                .map(|(d, draw)| (draw.column.name.clone(), self.links[d * targets + t].correlation()))
                .collect();
            // Equal bars keep the order of the program.
            bars.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
            bars.truncate(most);
            (name, bars)
        };
        (0..targets).map(one).filter(|(_, bars)| bars.first().is_some_and(|b| b.1 != 0.0)).collect()
    }

    /// How intervals of probabilities are found.
    pub fn means(&self, sequential: bool) -> Means {
        match (sequential, self.sampler) {
            (true, _) => Means::AlwaysValid,
            (false, Sampler::Random) => Means::Exact,
            (false, Sampler::Lhs | Sampler::Sobol) => Means::Randomisations,
        }
    }

    /// What the command ends with.
    pub fn exit(&self, means: Means) -> Exit {
        if self.runs > 0 && self.statuses[Status::Failed as usize] == self.runs {
            return Exit::Simulation;
        }
        let all = self.verdicts.iter().map(|v| v.exit(means));
        all.max_by_key(|e| e.weight()).unwrap_or(Exit::Ok)
    }

    /// The facts of a summary.
    pub fn facts(&self, means: Means, out: &mut Map<String, Value>) {
        out.insert("runs".into(), json!(self.runs));
        let statuses: Map<String, Value> =
            Status::ALL.iter().map(|s| (s.name().to_owned(), json!(self.statuses[*s as usize]))).collect();
        out.insert("status".into(), Value::Object(statuses));
        out.insert("repeated_draws".into(), json!(self.repeated));
        out.insert("errors".into(), json!(self.codes));
        let failed = |(run, code, message): &(u32, String, String)| json!({ "run": run, "code": code, "message": message });
        out.insert("failed".into(), self.failed.iter().map(failed).collect());
        let mut ranks = Ranks::new(CONFIDENCE);
        out.insert("requirements".into(), self.verdicts.iter().map(|v| v.facts(means, &mut ranks)).collect());
        let (kpis, last) = self.values.split_at(self.kpis);
        out.insert("kpis".into(), kpis.iter().map(|v| v.1.facts(&mut ranks)).collect());
        out.insert("values".into(), last.iter().map(|v| v.1.facts(&mut ranks)).collect());
        out.insert("draws".into(), self.draws.iter().map(|t| t.facts(&mut ranks)).collect());
        let bars = |(target, bars): (String, Vec<(String, f64)>)| {
            let bars: Vec<Value> =
                bars.into_iter().map(|(draw, r)| json!({ "draw": draw, "correlation": r })).collect();
            json!({ "target": target, "draws": bars })
        };
        out.insert("tornado".into(), self.tornado(10).into_iter().map(bars).collect());
    }
}
