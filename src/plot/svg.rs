//! The picture as SVG text.

use crate::ui::digits::push_tenths;
use crate::ui::xml::escape;
use std::fmt::Write;

use super::Plot;
use super::axis::Axis;
use super::data::Series;
use super::panel::{Panel, shortened};

/// Width of the whole picture.
pub(super) const WIDTH: f64 = 1040.0;
/// Left edge of the drawing areas.
pub(super) const LEFT: f64 = 74.0;
/// Right edge of the drawing areas; the legends are beside it.
pub(super) const RIGHT: f64 = 830.0;
/// Top of the first panel.
const TOP: f64 = 92.0;
/// Height of a line of text.
const LINE: f64 = 18.0;
/// Characters of the line of constants.
const CONSTANTS: usize = 130;
/// Room between panels.
const GAP: f64 = 40.0;
/// Entries of a legend before the rest is summed up.
const ENTRIES: usize = 9;

/// Colours and fonts: light, and dark where the reader's system is.
pub(super) const STYLE: &str = include_str!("style.css");

/// The top edge of each panel's drawing area, and the height of the picture.
pub(super) fn layout(plot: &Plot) -> (Vec<f64>, f64) {
    let mut top = if plot.constants.is_empty() { TOP } else { TOP + LINE };
    let mut tops = Vec::new();
    for panel in &plot.panels {
        tops.push(top);
        top += panel.height + GAP;
    }
    (tops, top + 22.0)
}

/// A standalone document.
pub(super) fn document(plot: &Plot) -> String {
    let (_, height) = layout(plot);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" class=\"twinml\" role=\"img\">\n<style>\n{STYLE}</style>\n{}</svg>\n",
        body(plot)
    )
}

/// Everything inside of the `svg` element.
pub(super) fn body(plot: &Plot) -> String {
    let (tops, height) = layout(plot);
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "<rect class=\"page\" x=\"0\" y=\"0\" width=\"{WIDTH}\" height=\"{height}\"/>");
    let _ = writeln!(out, "<text class=\"title\" x=\"24\" y=\"36\">{}</text>", escape(&plot.caption.title));
    let _ = writeln!(out, "<text class=\"sub\" x=\"24\" y=\"56\">{}</text>", escape(&plot.caption.subtitle));
    if !plot.constants.is_empty() {
        let y = 56.0 + LINE;
        let _ = writeln!(out, "<text class=\"sub\" x=\"24\" y=\"{y}\">{}</text>", escape(&constants(plot)));
    }
    for (k, (panel, top)) in plot.panels.iter().zip(&tops).enumerate() {
        let last = k + 1 == plot.panels.len();
        one_panel(&mut out, plot, k, panel, *top, last);
    }
    if plot.panels.is_empty() {
        let _ = writeln!(out, "<text class=\"sub\" x=\"24\" y=\"90\">Nothing to draw.</text>");
    }
    out
}

/// The parameters that are not drawn, as many as fit a line.
fn constants(plot: &Plot) -> String {
    let mut line = String::from("constant: ");
    for (k, one) in plot.constants.iter().enumerate() {
        let left = plot.constants.len() - k;
        if k > 0 && line.chars().count() + one.chars().count() > CONSTANTS {
            let _ = write!(line, "  ·  … {left} more");
            break;
        }
        line.push_str(if k > 0 { "  ·  " } else { "" });
        line.push_str(one);
    }
    line
}

fn one_panel(out: &mut String, plot: &Plot, k: usize, panel: &Panel, top: f64, last: bool) {
    let bottom = top + panel.height;
    let width = RIGHT - LEFT;
    let x = |t: f64| LEFT + (t - plot.time.from) / (plot.time.to - plot.time.from) * width;
    let y = |v: f64| bottom - (v - panel.axis.lo) / (panel.axis.hi - panel.axis.lo) * panel.height;
    let _ = writeln!(out, "<g class=\"panel\" data-panel=\"{k}\">");
    let _ = writeln!(
        out,
        "<clipPath id=\"clip{k}\"><rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{width}\" height=\"{:.1}\"/></clipPath>",
        top - 2.0,
        panel.height + 4.0
    );
    let _ = writeln!(
        out,
        "<rect class=\"area\" x=\"{LEFT}\" y=\"{top}\" width=\"{width}\" height=\"{}\"/>",
        panel.height
    );
    let _ =
        writeln!(out, "<text class=\"label\" x=\"{LEFT}\" y=\"{:.1}\">{}</text>", top - 9.0, heading(panel));
    out.push_str("<g class=\"grid\">\n");
    for (tick, label) in plot.time.ticks.iter().zip(&plot.time.labels) {
        let x = x(*tick);
        let _ = writeln!(out, "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>");
        if last {
            let _ = writeln!(
                out,
                "<text class=\"tick mid\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                bottom + 17.0,
                escape(label)
            );
        }
    }
    for (tick, label) in panel.axis.ticks.iter().zip(&panel.axis.labels) {
        let y = y(*tick);
        let zero = if *tick == 0.0 { " class=\"zero\"" } else { "" };
        let _ = writeln!(out, "<line{zero} x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        let _ = writeln!(
            out,
            "<text class=\"tick end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            escape(label)
        );
    }
    if last {
        let _ = writeln!(
            out,
            "<text class=\"tick end unit\" x=\"{RIGHT}\" y=\"{:.1}\">time [{}]</text>",
            bottom + 36.0,
            plot.time.unit
        );
    }
    out.push_str("</g>\n");
    let _ = writeln!(
        out,
        "<g class=\"curves{}\" clip-path=\"url(#clip{k})\">",
        if panel.many { " many" } else { "" }
    );
    for (n, series) in panel.series.iter().enumerate() {
        let _ = writeln!(
            out,
            "<path class=\"curve{}\" data-series=\"{n}\" d=\"{}\"/>",
            color(panel, n),
            path(series, &x, &y)
        );
    }
    out.push_str("</g>\n");
    legend(out, panel, top);
    out.push_str("</g>\n");
}

/// The panel's label with the power of ten that its ticks leave out.
fn heading(panel: &Panel) -> String {
    let Axis { exponent, base, .. } = &panel.axis;
    let label = escape(&panel.label);
    if *exponent == 0 && base.is_empty() {
        return label;
    }
    let base = if base.is_empty() { String::new() } else { format!("{} ", escape(base)) };
    let power = match exponent {
        0 => String::new(),
        n => format!("\u{d7}10<tspan dy=\"-5\" font-size=\"9\">{n}</tspan>"),
    };
    format!("{label} <tspan class=\"power\">{base}{power}</tspan>")
}

/// The end of a class attribute that gives a curve its colour: a class of the style sheet, or (where there are many
/// curves) a place on the scale from the first to the last, from blue over green to red.
fn color(panel: &Panel, n: usize) -> String {
    if !panel.many {
        return format!(" c{}", n % 8);
    }
    let part = n as f64 / (panel.series.len() - 1).max(1) as f64;
    let at = part * (SCALE.len() - 1) as f64;
    let k = (at as usize).min(SCALE.len() - 2);
    let mix = |a: u8, b: u8| (f64::from(a) + (at - k as f64) * (f64::from(b) - f64::from(a))).round() as u8;
    let [r, g, b] = [0, 1, 2].map(|c| mix(SCALE[k][c], SCALE[k + 1][c]));
    format!("\" style=\"stroke:#{r:02x}{g:02x}{b:02x}")
}

/// Colours that tell an order, readable on light and on dark.
const SCALE: [[u8; 3]; 5] = [[74, 98, 201], [45, 145, 190], [46, 165, 121], [214, 158, 46], [214, 82, 62]];

/// The legend beside a panel.
fn legend(out: &mut String, panel: &Panel, top: f64) {
    let room = ((panel.height - 6.0) / 19.0).floor().max(2.0) as usize;
    let room = room.min(ENTRIES);
    let count = panel.series.len();
    // The first and the last where not all fit.
    let shown: Vec<Option<usize>> = if count <= room {
        (0..count).map(Some).collect()
    } else {
        let tail = usize::from(room > 2);
        (0..room - 1 - tail).map(Some).chain([None]).chain((count - tail..count).map(Some)).collect()
    };
    let _ = writeln!(out, "<g class=\"legend\">");
    for (row, entry) in shown.iter().enumerate() {
        let y = top + 11.0 + 19.0 * row as f64;
        let Some(n) = *entry else {
            let more = count + 1 - shown.len();
            let _ = writeln!(
                out,
                "<text class=\"more\" x=\"{}\" y=\"{:.1}\">… {more} more</text>",
                RIGHT + 36.0,
                y + 4.0
            );
            continue;
        };
        let name = &panel.series[n].name;
        let _ = writeln!(
            out,
            "<g class=\"entry\" data-series=\"{n}\" tabindex=\"0\"><title>{full}</title><rect class=\"hit\" x=\"{hx}\" \
             y=\"{hy:.1}\" width=\"{hw}\" height=\"19\"/><line class=\"key{color}\" x1=\"{x1}\" x2=\"{x2}\" \
             y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{tx}\" y=\"{ty:.1}\">{short}</text></g>",
            full = escape(name),
            hx = RIGHT + 8.0,
            hy = y - 9.5,
            hw = WIDTH - RIGHT - 12.0,
            color = color(panel, n),
            x1 = RIGHT + 12.0,
            x2 = RIGHT + 30.0,
            tx = RIGHT + 36.0,
            ty = y + 4.0,
            short = escape(&shortened(name, 25)),
        );
    }
    out.push_str("</g>\n");
}

/// A curve as path data; steps where values jump, a new start after each break.
fn path(series: &Series, x: &impl Fn(f64) -> f64, y: &impl Fn(f64) -> f64) -> String {
    let mut out = String::new();
    let mut pen: Option<(f64, f64)> = None;
    for (t, v) in &series.points {
        if !v.is_finite() {
            pen = None;
            continue;
        }
        let (px, py) = (x(*t), y(*v));
        match pen {
            None => {
                out.push('M');
                push_tenths(&mut out, px);
                out.push(' ');
            }
            Some((_, before)) if series.steps && before != py => {
                out.push('H');
                push_tenths(&mut out, px);
                out.push('V');
            }
            // Points that fall together on the picture are one.
            Some((bx, by)) if (px - bx).abs() < 0.05 && (py - by).abs() < 0.05 => continue,
            Some(_) => {
                out.push('L');
                push_tenths(&mut out, px);
                out.push(' ');
            }
        }
        push_tenths(&mut out, py);
        pen = Some((px, py));
    }
    out
}
