//! The picture as one HTML file.

use crate::ui::digits::push_short;
use crate::ui::xml::escape;
use std::fmt::Write;

use super::Plot;
use super::svg;

/// The page's own styles.
const STYLE: &str = include_str!("page.css");
/// Zoom, pan, values under the pointer, curves on and off. Written by hand, fetches nothing.
const SCRIPT: &str = include_str!("page.js");

/// A standalone page: the SVG as it is, and a script that makes it live.
pub(super) fn document(plot: &Plot) -> String {
    let (tops, height) = svg::layout(plot);
    let title = escape(&plot.caption.title);
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>\n{}{STYLE}</style>\n</head>\n\
         <body class=\"twinml\">\n<main>\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {height}\" \
         class=\"twinml\" role=\"img\" aria-label=\"{title}\">\n{}</svg>\n<p class=\"hint\">Drag to zoom, \
         double-click to go back, click a name to hide its curve.</p>\n",
        svg::STYLE,
        svg::body(plot),
        w = svg::WIDTH,
    );
    if !plot.left_out.is_empty() {
        let names: Vec<String> = plot.left_out.iter().take(20).map(|n| escape(n)).collect();
        let more = if plot.left_out.len() > 20 { ", …" } else { "" };
        let _ = writeln!(out, "<p class=\"hint\">Not drawn: {}{more}</p>", names.join(", "));
    }
    out.push_str("</main>\n<script type=\"application/json\" id=\"data\">");
    data(&mut out, plot, &tops);
    let _ = write!(out, "</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    out
}

/// The curves as JSON. Seven digits are finer than any screen.
fn data(out: &mut String, plot: &Plot, tops: &[f64]) {
    let _ = write!(
        out,
        "{{\"left\":{},\"right\":{},\"from\":{:e},\"to\":{:e},\"panels\":[",
        svg::LEFT,
        svg::RIGHT,
        plot.time.from,
        plot.time.to
    );
    for (k, (panel, top)) in plot.panels.iter().zip(tops).enumerate() {
        let comma = if k > 0 { "," } else { "" };
        let _ = write!(
            out,
            "{comma}\n{{\"top\":{top},\"height\":{},\"lo\":{:e},\"hi\":{:e},\"names\":[{}],\"series\":[",
            panel.height,
            panel.axis.lo,
            panel.axis.hi,
            panel.names.iter().map(|n| quoted(n)).collect::<Vec<_>>().join(",")
        );
        for (n, series) in panel.series.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            let _ = write!(
                out,
                "{comma}{{\"name\":{},\"unit\":{},\"steps\":{},\"t\":[",
                quoted(&series.name),
                quoted(&series.unit),
                series.steps
            );
            list(out, series.points.iter().map(|p| p.0), 9);
            out.push_str("],\"v\":[");
            list(out, series.points.iter().map(|p| p.1), 7);
            out.push_str("]}");
        }
        out.push_str("]}");
    }
    out.push_str("]}");
}

fn list(out: &mut String, values: impl Iterator<Item = f64>, digits: usize) {
    for (k, value) in values.enumerate() {
        if k > 0 {
            out.push(',');
        }
        if value.is_finite() {
            push_short(out, value, digits);
        } else {
            out.push_str("null");
        }
    }
}

/// A JSON string that cannot end the script element that it stands in.
fn quoted(text: &str) -> String {
    // A string always serialises.
    serde_json::to_string(text).unwrap_or_default().replace('<', "\\u003c")
}
