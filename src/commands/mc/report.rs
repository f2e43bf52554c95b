//! `report.html`: what a job found, in one file without anything from elsewhere.

use std::fmt::Write as _;

use twinml_engine::ensemble::outcome::Status;
use twinml_engine::ensemble::sketch::Sketch;
use twinml_engine::monitor::Verdict;

use super::fold::{Fold, Means, QUANTILES, Tally, Verdicts};
use super::job::Identity;
use super::picture;
use super::worst::Worst;
use crate::ui::numbers::{count, duration, short};
use crate::ui::xml::escape;

/// Histograms that are drawn.
const MOST_HISTOGRAMS: usize = 40;
/// Bars of a histogram.
const BINS: usize = 40;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222;\
background:#fff}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse;margin:.6em 0}\
td,th{padding:.25em .8em;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}\
.holds{color:#116b2f}.violated{color:#b3261e}.inconclusive{color:#8a6100}.grid{display:flex;flex-wrap:wrap;gap:1.2em}\
figure{margin:0}figcaption{font-size:.9em}svg{background:#fafafa}code{background:#f3f3f3;padding:.1em .3em}\
@media(prefers-color-scheme:dark){body{background:#16181c;color:#ddd}svg{background:#1d2026}td,th{border-color:#333}\
code{background:#23262c}.holds{color:#7bd88f}.violated{color:#ff8a80}.inconclusive{color:#ffd479}}";

/// The page. Nothing in it depends on paths, clocks or the number of threads.
pub fn page(identity: &Identity, fold: &Fold, means: Means, worst: &[Worst]) -> String {
    let mut out = String::new();
    let title = format!("{}: {}", identity.twin, identity.scenario);
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{0}</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n",
        escape(&title)
    );
    let _ = writeln!(
        out,
        "<p>{} runs, sampler <code>{}</code>, seed {}, {} failed. Model <code>{}</code>.</p>",
        count(fold.runs),
        escape(&identity.sampler),
        identity.seed,
        count(fold.statuses[Status::Failed as usize]),
        escape(identity.model_hash.get(..12).unwrap_or(&identity.model_hash)),
    );
    if !identity.settings.is_empty() {
        let _ = writeln!(out, "<p>Settings: <code>{}</code></p>", escape(&identity.settings.join("; ")));
    }
    requirements(&mut out, fold, means);
    failed(&mut out, fold);
    fans(&mut out, fold, identity);
    picture::worst(&mut out, worst, identity.until.parse().unwrap_or(1.0));
    quantiles(&mut out, fold);
    histograms(&mut out, fold);
    tornado(&mut out, fold);
    out.push_str("</body></html>\n");
    out
}

fn requirements(out: &mut String, fold: &Fold, means: Means) {
    if fold.verdicts.is_empty() {
        return;
    }
    out.push_str(
        "<h2>Requirements</h2>\n<table><tr><th>requirement</th><th>verdict</th><th>wanted</th><th>probability</th>\
         <th>interval</th><th>holds</th><th>violated</th><th>open</th><th>failed</th><th>worst</th></tr>\n",
    );
    for v in &fold.verdicts {
        row(out, v, means);
    }
    out.push_str("</table>\n");
    let _ = writeln!(
        out,
        "<p>Probability is the share of runs that satisfy a requirement; a failed run counts against those that it \
         leaves undecided. Intervals: {}.</p>",
        match means {
            Means::Exact => "Clopper and Pearson",
            Means::Randomisations => "Student's over 16 independent randomisations",
            Means::AlwaysValid => "a confidence sequence, valid at every look",
        }
    );
}

fn row(out: &mut String, v: &Verdicts, means: Means) {
    let (word, class) = match v.verdict(means) {
        None => ("not evaluated", ""),
        Some(w) => {
            let as_hoped = match (w, v.demand.refuted) {
                (Verdict::Inconclusive, _) => "inconclusive",
                (Verdict::Holds, false) | (Verdict::Violated, true) => "holds",
                _ => "violated",
            };
            (w.as_str(), as_hoped)
        }
    };
    let wanted = match (v.demand.claim, v.demand.refuted) {
        (Some(c), _) => format!(
            "{} {} with {} %",
            if c.at_least { "&ge;" } else { "&le;" },
            short(c.probability, 6),
            short(c.confidence * 100.0, 4)
        ),
        (None, true) => "violated in every run".to_owned(),
        (None, false) => "in every run".to_owned(),
    };
    let (i, c) = (v.interval(means), v.counts);
    let worst = v.worst.map_or(String::new(), |(run, r)| match r.is_nan() {
        true => format!("run {run}"),
        false => format!("{} {} in run {run}", short(r, 3), escape(&v.demand.unit)),
    });
    let _ = writeln!(
        out,
        "<tr><td>{}</td><td class=\"{class}\">{word}</td><td>{wanted}</td><td>{}</td><td>{} to {}</td><td>{}</td>\
         <td>{}</td><td>{}</td><td>{}</td><td>{worst}</td></tr>",
        escape(&v.demand.name),
        short(v.share(), 5),
        short(i.lo, 4),
        short(i.hi, 4),
        count(c.holds),
        count(c.violated),
        count(c.inconclusive),
        count(c.failed),
    );
}

fn failed(out: &mut String, fold: &Fold) {
    if fold.failed.is_empty() {
        return;
    }
    out.push_str("<h2>Failed runs</h2>\n<table><tr><th>run</th><th>code</th><th>why</th></tr>\n");
    for (run, code, message) in &fold.failed {
        let _ = writeln!(out, "<tr><td>{run}</td><td>{}</td><td>{}</td></tr>", escape(code), escape(message));
    }
    out.push_str("</table>\n");
    let total = fold.statuses[Status::Failed as usize];
    if total > fold.failed.len() as u64 {
        let _ = writeln!(out, "<p>The first {} of {}.</p>", fold.failed.len(), count(total));
    }
    out.push_str("<p><code>twinc replay DIR#RUN</code> runs one of them alone, with its trace.</p>\n");
}

/// What is told of: figures, last values, draws.
fn tallies(fold: &Fold) -> impl Iterator<Item = &Tally> {
    let robustness = fold.verdicts.iter().map(|v| &v.robustness);
    let values = fold.values.iter().map(|v| &v.1);
    values.chain(robustness).chain(&fold.draws).filter(|t| t.moments.count() > 0).take(MOST_HISTOGRAMS)
}

fn quantiles(out: &mut String, fold: &Fold) {
    let list: Vec<&Tally> = tallies(fold).collect();
    if list.is_empty() {
        return;
    }
    out.push_str("<h2>Distributions</h2>\n<table><tr><th>quantity</th><th>unit</th><th>mean</th><th>sd</th>");
    for q in QUANTILES {
        let _ = write!(out, "<th>{} %</th>", short(q * 100.0, 3));
    }
    out.push_str("</tr>\n");
    for t in list {
        let (mean, i) = t.mean();
        let half = 0.5 * i.width();
        let plus = if half.is_finite() { format!(" &plusmn; {}", short(half, 2)) } else { String::new() };
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}{plus}</td><td>{}</td>",
            escape(&t.column.name),
            escape(&t.column.unit),
            short(mean, 5),
            short(t.moments.sd(), 3)
        );
        for q in QUANTILES {
            let _ = write!(out, "<td>{}</td>", t.sketch.quantile(q).map_or(String::new(), |v| short(v, 4)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
}

/// Counts over equal parts of the range.
fn bins(sketch: &Sketch, lo: f64, hi: f64) -> Vec<f64> {
    let mut bins = vec![0.0; BINS];
    for (from, to, n) in sketch.cells() {
        let mid = from + 0.5 * (to - from);
        let part = if hi > lo { (mid - lo) / (hi - lo) } else { 0.5 };
        if part.is_finite() {
            bins[((part * BINS as f64) as usize).min(BINS - 1)] += n as f64;
        }
    }
    bins
}

fn histograms(out: &mut String, fold: &Fold) {
    out.push_str("<div class=\"grid\">\n");
    for t in tallies(fold) {
        let (lo, hi) = t.ends;
        if !(lo.is_finite() && hi.is_finite() && hi > lo) {
            continue;
        }
        let bins = bins(&t.sketch, lo, hi);
        let most = bins.iter().copied().fold(1.0, f64::max);
        let unit = if t.column.unit.is_empty() { String::new() } else { format!(" [{}]", t.column.unit) };
        let _ =
            write!(out, "<figure><svg width=\"320\" height=\"140\" viewBox=\"0 0 320 140\" role=\"img\">");
        for (k, n) in bins.iter().enumerate() {
            let h = 110.0 * n / most;
            let _ = write!(
                out,
                "<rect x=\"{}\" y=\"{:.1}\" width=\"7\" height=\"{h:.1}\" fill=\"#3b7dd8\"/>",
                k * 8,
                116.0 - h
            );
        }
        for (q, dash) in [(0.05, "2,3"), (0.5, "none"), (0.95, "2,3")] {
            if let Some(x) = t.sketch.quantile(q) {
                let at = (x - lo) / (hi - lo) * 320.0;
                let _ = write!(
                    out,
                    "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"4\" y2=\"116\" stroke=\"#d1495b\" \
                     stroke-dasharray=\"{dash}\"/>"
                );
            }
        }
        let _ = writeln!(
            out,
            "<text x=\"2\" y=\"132\" font-size=\"11\" fill=\"currentColor\">{}</text><text x=\"318\" y=\"132\" \
             font-size=\"11\" text-anchor=\"end\" fill=\"currentColor\">{}</text></svg><figcaption>{}{}</figcaption>\
             </figure>",
            short(lo, 4),
            short(hi, 4),
            escape(&t.column.name),
            escape(&unit)
        );
    }
    out.push_str("</div>\n");
}

/// Bands of quantiles over time.
fn fans(out: &mut String, fold: &Fold, identity: &Identity) {
    if fold.fans.is_empty() {
        return;
    }
    out.push_str(
        "<h2>Over time</h2>\n<p>Median, and bands that hold half and nine tenths of the runs.</p>\n",
    );
    out.push_str("<div class=\"grid\">\n");
    for f in &fold.fans {
        let band = |q: f64| -> Vec<f64> { f.at.iter().map(|s| s.quantile(q).unwrap_or(f64::NAN)).collect() };
        let lines: Vec<Vec<f64>> = [0.05, 0.25, 0.5, 0.75, 0.95].map(band).into();
        let finite = || lines.iter().flatten().copied().filter(|x| x.is_finite());
        let (lo, hi) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        if lo > hi {
            continue;
        }
        let size = if hi > lo { hi - lo } else { 1.0 };
        let last = f.at.len().max(2) - 1;
        let point = |k: usize, x: f64| {
            let at = 480.0 * k as f64 / last as f64;
            format!("{at:.1},{:.1}", 150.0 - 140.0 * (x - lo) / size)
        };
        let run = |line: &[f64]| -> Vec<String> {
            line.iter().enumerate().filter(|(_, x)| x.is_finite()).map(|(k, x)| point(k, *x)).collect()
        };
        let area = |a: &[f64], b: &[f64]| {
            let back: Vec<String> = run(b).into_iter().rev().collect();
            [run(a), back].concat().join(" ")
        };
        let unit = if f.column.unit.is_empty() { String::new() } else { format!(" [{}]", f.column.unit) };
        let _ = writeln!(
            out,
            "<figure><svg width=\"480\" height=\"180\" viewBox=\"0 0 480 180\" role=\"img\"><polygon points=\"{}\" \
             fill=\"#3b7dd8\" opacity=\"0.25\"/><polygon points=\"{}\" fill=\"#3b7dd8\" opacity=\"0.4\"/><polyline \
             points=\"{}\" fill=\"none\" stroke=\"#d1495b\" stroke-width=\"1.5\"/><text x=\"2\" y=\"172\" \
             font-size=\"11\" fill=\"currentColor\">0</text><text x=\"478\" y=\"172\" font-size=\"11\" \
             text-anchor=\"end\" fill=\"currentColor\">{}</text><text x=\"2\" y=\"12\" font-size=\"11\" \
             fill=\"currentColor\">{}</text><text x=\"2\" y=\"150\" font-size=\"11\" \
             fill=\"currentColor\">{}</text></svg><figcaption>{}{}</figcaption></figure>",
            area(&lines[0], &lines[4]),
            area(&lines[1], &lines[3]),
            run(&lines[2]).join(" "),
            // A number of seconds, as `job.json` has it.
            identity.until.parse().map_or_else(|_| escape(&identity.until), duration),
            short(hi, 4),
            short(lo, 4),
            escape(&f.column.name),
            escape(&unit)
        );
    }
    out.push_str("</div>\n");
}

fn tornado(out: &mut String, fold: &Fold) {
    let all = fold.tornado(8);
    if all.is_empty() {
        return;
    }
    out.push_str(
        "<h2>What follows what</h2>\n<p>Correlation of each quantity (of a requirement: its robustness, or, with \
         <code>--verdicts-only</code>, whether it holds) with what is drawn.</p>\n<div class=\"grid\">\n",
    );
    for (target, bars) in all {
        let height = 18 * bars.len() + 6;
        let _ = write!(out, "<figure><figcaption>{}</figcaption>", escape(&target));
        let _ =
            write!(out, "<svg width=\"420\" height=\"{height}\" viewBox=\"0 0 420 {height}\" role=\"img\">");
        for (k, (draw, r)) in bars.iter().enumerate() {
            let y = 18 * k + 4;
            let width = 110.0 * r.abs();
            let x = if *r < 0.0 { 300.0 - width } else { 300.0 };
            let color = if *r < 0.0 { "#d1495b" } else { "#3b7dd8" };
            let _ = write!(
                out,
                "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"13\" fill=\"{color}\"/><text x=\"4\" \
                 y=\"{}\" font-size=\"11\" fill=\"currentColor\">{} {}</text>",
                y + 11,
                escape(draw),
                short(*r, 2)
            );
        }
        out.push_str("</svg></figure>\n");
    }
    out.push_str("</div>\n");
}
