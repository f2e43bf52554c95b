//! A sweep as a page: each quantity over one axis, a curve for each combination of the others.

use std::fmt::Write as _;

use crate::plot::axis::{self, Axis};
use crate::plot::grid::{self, TEXT};
use crate::ui::numbers::{counted, short};
use crate::ui::xml::escape;

/// Quantities that are drawn, and curves of each, at most.
const PICTURES: usize = 60;
const CURVES: usize = 8;

/// Of a picture, and of its drawing area.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 548.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 205.0;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:78em;padding:0 1em;color:#222;\
background:#fff}h1{font-size:1.5em}.grid{display:flex;flex-wrap:wrap;gap:1.2em}figure{margin:0}figcaption{font-size:.9em}\
svg{background:#fafafa}code{background:#f3f3f3;padding:.1em .3em}.c0{color:#0b6bb8}.c1{color:#d9541e}.c2{color:#11875d}\
.c3{color:#b0418f}.c4{color:#c58a00}.c5{color:#3aa0d8}.c6{color:#7a5fc0}.c7{color:#6e7781}.bad{color:#c1272d}\
@media(prefers-color-scheme:dark){body{background:#16181c;color:#ddd}svg{background:#1d2026}code{background:#23262c}\
.c0{color:#58a6ff}.c1{color:#ff8a5c}.c2{color:#4cc38a}.c3{color:#e07bc0}.c4{color:#e3b341}.c5{color:#76d0f2}\
.c6{color:#b09cf5}.c7{color:#9aa7b4}.bad{color:#ff6b6b}}";

/// What is drawn.
pub struct Chart<'a> {
    pub title: &'a str,
    pub hash: &'a str,
    /// The axis: its name, its unit, and where each point lies on it.
    pub along: (&'a str, &'a str, Vec<f64>),
    /// By point: the settings of the other axes; empty where there is one axis.
    pub others: Vec<String>,
    /// By point: whether a requirement is violated, or the run failed.
    pub bad: Vec<bool>,
    /// Name, unit, and by point the value.
    pub quantities: Vec<(String, String, Vec<f64>)>,
}

impl Chart<'_> {
    /// The page. Nothing in it depends on paths, clocks or the number of threads.
    pub fn page(&self) -> String {
        let mut out = String::new();
        let _ = write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>{0}</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n",
            escape(self.title)
        );
        let mut curves: Vec<&str> = Vec::new();
        for name in &self.others {
            if !curves.contains(&name.as_str()) {
                curves.push(name);
            }
        }
        let points = counted(self.bad.len() as u64, "point");
        let _ = write!(out, "<p>{points}. Model <code>{}</code>.", escape(self.hash.get(..12).unwrap_or("")));
        if self.bad.contains(&true) {
            out.push_str(
                " <span class=\"bad\">\u{25cb}</span> a requirement is violated, or the run failed.",
            );
        }
        let more = curves.len().saturating_sub(CURVES);
        if more > 0 {
            let _ = write!(out, " {CURVES} of {} curves are drawn, spread over all.", curves.len());
            // The first and the last, and evenly between.
            let last = curves.len() - 1;
            curves = (0..CURVES).map(|k| curves[k * last / (CURVES - 1)]).collect();
        }
        out.push_str("</p>\n");
        if curves.len() > 1 {
            out.push_str("<p>");
            for (k, name) in curves.iter().enumerate() {
                let _ = write!(out, "<span class=\"c{k}\">\u{2014}\u{2014}</span> {} &nbsp; ", escape(name));
            }
            out.push_str("</p>\n");
        }
        out.push_str("<div class=\"grid\">\n");
        let drawn = |q: &&(String, String, Vec<f64>)| q.2.iter().any(|v| v.is_finite());
        for q in self.quantities.iter().filter(drawn).take(PICTURES) {
            self.picture(&mut out, q, &curves);
        }
        out.push_str("</div>\n");
        let all = self.quantities.iter().filter(drawn).count();
        if all > PICTURES {
            let rest =
                counted((all - PICTURES) as u64, "further quantity").replace("quantitys", "quantities");
            let _ = writeln!(out, "<p>{rest} in <code>points.parquet</code>.</p>");
        }
        out.push_str("</body></html>\n");
        out
    }

    fn picture(&self, out: &mut String, (name, unit, values): &(String, String, Vec<f64>), curves: &[&str]) {
        let ends = |list: &[f64]| {
            let finite = list.iter().copied().filter(|v| v.is_finite());
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)))
        };
        let (along, along_unit, places) = &self.along;
        let ((lo, hi), (from, to)) = (ends(values), ends(places));
        if lo > hi || from > to {
            return;
        }
        let (across, up) = (axis::value_axis(from, to, 6), axis::value_axis(lo, hi, 5));
        let place = |v: f64, a: &Axis, first: f64, last: f64| {
            let part = if a.hi > a.lo { (v - a.lo) / (a.hi - a.lo) } else { 0.5 };
            first + (last - first) * part
        };
        let (x, y) = (|v: f64| place(v, &across, LEFT, RIGHT), |v: f64| place(v, &up, BOTTOM, TOP));
        let _ = write!(
            out,
            "<figure><svg width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">"
        );
        grid::levels(out, &up, (LEFT, RIGHT), &y);
        for (v, label) in across.ticks.iter().zip(&across.labels) {
            let at = x(*v);
            let _ = write!(
                out,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\" stroke=\"currentColor\" \
                 opacity=\"0.06\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\" {TEXT}>{}</text>",
                BOTTOM + 16.0,
                escape(label)
            );
        }
        let below = |a: &Axis, unit: &str| -> String {
            let power = match a.exponent {
                0 => a.base.clone(),
                e => format!("{} \u{d7} 10^{e}", a.base),
            };
            match (power.trim(), unit) {
                ("", "") => String::new(),
                ("", unit) => format!(" [{unit}]"),
                (power, "") => format!(" ({power})"),
                (power, unit) => format!(" [{unit}] ({power})"),
            }
        };
        let _ = write!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" {TEXT}>{}{}</text>",
            0.5 * (LEFT + RIGHT),
            BOTTOM + 36.0,
            escape(along),
            escape(&below(&across, along_unit))
        );
        for (k, curve) in curves.iter().enumerate() {
            let own = (0..values.len()).filter(|i| self.others[*i] == **curve && values[*i].is_finite());
            let mut points: Vec<usize> = own.collect();
            points.sort_by(|a, b| places[*a].total_cmp(&places[*b]));
            let line: Vec<String> =
                points.iter().map(|i| format!("{:.1},{:.1}", x(places[*i]), y(values[*i]))).collect();
            let _ = write!(
                out,
                "<g class=\"c{k}\"><polyline points=\"{}\" fill=\"none\" stroke=\"currentColor\" \
                 stroke-width=\"1.6\"/>",
                line.join(" ")
            );
            for i in points {
                let (px, py) = (x(places[i]), y(values[i]));
                let title =
                    format!("{along} = {}: {name} = {} {unit}", short(places[i], 6), short(values[i], 6));
                let (class, fill) =
                    if self.bad[i] { (" class=\"bad\"", "none") } else { ("", "currentColor") };
                let _ = write!(
                    out,
                    "<circle{class} cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3\" stroke=\"currentColor\" fill=\"{fill}\">\
                     <title>{}</title></circle>",
                    escape(title.trim_end())
                );
            }
            out.push_str("</g>");
        }
        let _ = writeln!(
            out,
            "</svg><figcaption><b>{}</b>{}</figcaption></figure>",
            escape(name),
            escape(&below(&up, unit))
        );
    }
}
