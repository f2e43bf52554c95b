//! The worst run of each requirement as a picture: what it compares, the limit, and the instant that decides.

use std::fmt::Write as _;

use super::worst::{Curve, Worst};
use crate::plot::axis::{self, Axis, TimeAxis};
use crate::plot::grid::{self, TEXT};
use crate::ui::numbers::{instant, short};
use crate::ui::xml::escape;

/// Of a picture, and of its drawing area.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 548.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 200.0;

/// The section of the page; nothing where there is nothing to show. `until`: the end of a run in seconds.
pub fn worst(out: &mut String, list: &[Worst], until: f64) {
    if list.is_empty() {
        return;
    }
    out.push_str(
        "<h2>Worst runs</h2>\n<p>Of each requirement the run with the least robustness (with \
         <code>--verdicts-only</code> the first that violates it): what is compared (blue), its \
         limit (red, shaded where it is violated), and the instant that decides (dotted).</p>\n<div class=\"grid\">\n",
    );
    for w in list {
        for (k, c) in w.curves.iter().enumerate() {
            one(out, w, k, c, until);
        }
    }
    out.push_str("</div>\n");
}

fn one(out: &mut String, w: &Worst, k: usize, c: &Curve, until: f64) {
    let values = || c.points.iter().map(|p| p.1).chain(c.points.iter().map(|p| p.2));
    let ends = |list: &mut dyn Iterator<Item = f64>| {
        list.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)))
    };
    let (mut lo, mut hi) = ends(&mut values());
    if lo > hi {
        return;
    }
    // A limit far away would press the curve to a line: then the picture is of the curve alone.
    let (from, to) = ends(&mut c.points.iter().map(|p| p.1));
    if hi - lo > 50.0 * (to - from) && to > from {
        (lo, hi) = (from, to);
    }
    let axis = axis::value_axis(lo, hi, 5);
    let time = TimeAxis::of(0.0, until);
    let x = |t: f64| LEFT + (RIGHT - LEFT) * t / until.max(f64::MIN_POSITIVE);
    let y = |v: f64| {
        let part = (v - axis.lo) / (axis.hi - axis.lo);
        BOTTOM - (BOTTOM - TOP) * part.clamp(-0.05, 1.05)
    };
    let _ = write!(
        out,
        "<figure><svg width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">"
    );
    grid(out, &axis, &time, &x, &y);
    let id = format!("w{}c{k}", w.requirement);
    let _ = write!(
        out,
        "<clipPath id=\"{id}\"><rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"/></clipPath><g \
         clip-path=\"url(#{id})\">",
        RIGHT - LEFT,
        BOTTOM - TOP
    );
    let line = |value: &dyn Fn(&(f64, f64, f64)) -> f64| -> String {
        let one = |p: &(f64, f64, f64)| format!("{:.1},{:.1}", x(p.0), y(value(p)));
        c.points.iter().map(one).collect::<Vec<_>>().join(" ")
    };
    if let Some(above) = c.above {
        let limit = line(&|p| p.2);
        let edge = if above { BOTTOM } else { TOP };
        let (first, last) = (c.points.first().map_or(0.0, |p| p.0), c.points.last().map_or(0.0, |p| p.0));
        let _ = write!(
            out,
            "<polygon points=\"{:.1},{edge} {limit} {:.1},{edge}\" fill=\"#d1495b\" opacity=\"0.12\"/><polyline \
             points=\"{limit}\" fill=\"none\" stroke=\"#d1495b\" stroke-width=\"1.5\" stroke-dasharray=\"6,3\"/>",
            x(first),
            x(last)
        );
    }
    let _ = write!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#3b7dd8\" stroke-width=\"1.6\"/>",
        line(&|p| p.1)
    );
    if let Some(t) = w.closest {
        let at = x(t);
        let _ = write!(
            out,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\" stroke=\"currentColor\" \
             stroke-dasharray=\"1,3\"/>"
        );
    }
    out.push_str("</g></svg><figcaption>");
    caption(out, w, k, c);
    out.push_str("</figcaption></figure>\n");
}

fn grid(out: &mut String, axis: &Axis, time: &TimeAxis, x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) {
    grid::levels(out, axis, (LEFT, RIGHT), y);
    for (t, label) in time.ticks.iter().zip(&time.labels) {
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" {TEXT}>{}</text>",
            x(*t),
            BOTTOM + 16.0,
            escape(label)
        );
    }
    let _ = write!(
        out,
        "<text x=\"{RIGHT}\" y=\"{}\" text-anchor=\"end\" {TEXT}>{}</text>",
        BOTTOM + 32.0,
        time.unit
    );
    let factor = match axis.exponent {
        0 => axis.base.clone(),
        e => format!("{} \u{d7} 10^{e}", axis.base),
    };
    let _ = write!(out, "<text x=\"2\" y=\"{}\" {TEXT}>{}</text>", BOTTOM + 32.0, escape(factor.trim()));
}

fn caption(out: &mut String, w: &Worst, k: usize, c: &Curve) {
    let unit = if c.unit.is_empty() { String::new() } else { format!(" [{}]", escape(&c.unit)) };
    let what = match (c.name.is_empty(), c.above) {
        (false, _) => format!("<code>{}</code>{unit}", escape(&c.name)),
        (true, Some(_)) => format!("distance to the limit{unit}"),
        (true, None) => "1 where it is true".to_owned(),
    };
    let _ = write!(out, "<b>{}</b>: {what}, run {}", escape(&w.name), w.run);
    if let Some(t) = w.closest {
        let _ = write!(out, ", decided at {}", instant(t));
    }
    if k > 0 || w.drawn.is_empty() {
        return;
    }
    let drawn: Vec<String> = w
        .drawn
        .iter()
        .map(|(name, x, unit)| {
            let unit = if unit.is_empty() { String::new() } else { format!(" {}", escape(unit)) };
            format!("{} = {}{unit}", escape(name), short(*x, 4))
        })
        .collect();
    let _ = write!(out, "<br>{}", drawn.join(", "));
}
