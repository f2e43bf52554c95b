//! The tree of a store, for a terminal and as a page.

use std::collections::BTreeMap;
use std::fmt::Write;

use twinml_engine::timeline::{Id, Node};

use super::{changes, short};
use crate::plot::axis::TimeAxis;
use crate::ui::xml::escape;

/// Branches of one node that a terminal shows before the rest is summed up.
const SHOWN: usize = 40;

/// A node's place in the drawing.
struct Row<'n> {
    node: &'n Node,
    depth: usize,
    /// Whether each of the nodes that lead here has more below it; the last is the node's own.
    more: Vec<bool>,
    parent: Option<usize>,
}

/// The nodes in the order of the drawing.
fn rows(nodes: &[Node]) -> Vec<Row<'_>> {
    let mut below: BTreeMap<Option<Id>, Vec<&Node>> = BTreeMap::new();
    nodes.iter().for_each(|n| below.entry(n.parent).or_default().push(n));
    let mut out: Vec<Row<'_>> = Vec::new();
    // A stack, not a call each: a timeline may be as deep as it likes.
    let mut stack: Vec<Row<'_>> = Vec::new();
    let first = below.get(&None).map_or(&[][..], Vec::as_slice);
    for node in first.iter().rev().copied() {
        stack.push(Row { node, depth: 0, more: vec![false], parent: None });
    }
    while let Some(row) = stack.pop() {
        let (id, at) = (row.node.id, out.len());
        let list = below.get(&Some(id)).map_or(&[][..], Vec::as_slice);
        for (k, node) in list.iter().copied().enumerate().rev() {
            let mut more = row.more.clone();
            more.push(k + 1 < list.len());
            stack.push(Row { node, depth: row.depth + 1, more, parent: Some(at) });
        }
        out.push(row);
    }
    out
}

/// The tree as lines.
pub fn lines(nodes: &[Node]) -> Vec<String> {
    let rows = rows(nodes);
    let mut out = Vec::new();
    let mut seen: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    let mut left_out = 0usize;
    for row in &rows {
        let k = seen.entry(row.parent).or_default();
        *k += 1;
        if row.depth > 0 && *k > SHOWN {
            left_out += 1;
            continue;
        }
        let mut line = String::new();
        for (k, more) in row.more.iter().enumerate().skip(1) {
            let own = k + 1 == row.more.len();
            line.push_str(match (own, more) {
                (true, true) => "├─ ",
                (true, false) => "└─ ",
                (false, true) => "│  ",
                (false, false) => "   ",
            });
        }
        let said = changes(row.node);
        let _ = write!(line, "{}  {said}  ({})", clean(&row.node.name), short(&row.node.id));
        out.push(line);
    }
    if left_out > 0 {
        out.push(format!("… and {left_out} more branches"));
    }
    out
}

/// What somebody called a node is text, not commands to a terminal.
fn clean(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Width of the drawing, its margins, and the height of a row.
const WIDTH: f64 = 1040.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 560.0;
const ROW: f64 = 26.0;
const TOP: f64 = 84.0;

/// The tree as a page that stands alone: instants from left to right, a branch begins where it leaves its line.
pub fn page(nodes: &[Node]) -> String {
    let rows = rows(nodes);
    let to = rows.iter().map(|r| r.node.time).filter(|t| t.is_finite()).fold(0.0, f64::max);
    let axis = TimeAxis::of(0.0, if to > 0.0 { to } else { 1.0 });
    let x = |t: f64| LEFT + (t - axis.from) / (axis.to - axis.from) * (RIGHT - LEFT);
    let y = |k: usize| TOP + ROW * k as f64;
    let height = y(rows.len()) + 30.0;
    let mut out = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>Timelines</title>\n<style>\n",
    );
    out.push_str(STYLE);
    let _ = write!(
        out,
        "</style>\n</head>\n<body>\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-label=\"Timelines\">\n<text class=\"title\" x=\"24\" y=\"36\">Timelines</text>\n"
    );
    for (t, label) in axis.ticks.iter().zip(&axis.labels) {
        let at = x(*t);
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/><text class=\"tick\" \
             x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
            TOP - 18.0,
            height - 20.0,
            TOP - 22.0,
            escape(label)
        );
    }
    let _ = writeln!(
        out,
        "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        RIGHT + 26.0,
        TOP - 22.0,
        axis.unit
    );
    for (k, row) in rows.iter().enumerate() {
        let time = if row.node.time.is_finite() { row.node.time } else { 0.0 };
        let (px, py) = (x(time), y(k));
        // From what it grew from down, then on to the end.
        match row.parent {
            Some(p) => {
                let _ =
                    writeln!(out, "<path class=\"line\" d=\"M{px:.1} {:.1}V{py:.1}H{:.1}\"/>", y(p), RIGHT);
            }
            None => {
                let _ = writeln!(out, "<path class=\"line\" d=\"M{:.1} {py:.1}H{:.1}\"/>", x(0.0), RIGHT);
            }
        }
        let _ = writeln!(
            out,
            "<circle class=\"dot\" cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"4\"><title>{}</title></circle>\n\
             <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{} <tspan class=\"sub\">{}</tspan></text>",
            row.node.id,
            RIGHT + 12.0,
            py + 4.0,
            escape(&row.node.name),
            escape(&changes(row.node))
        );
    }
    out.push_str("</svg>\n</body>\n</html>\n");
    out
}

const STYLE: &str = "\
body{margin:0;background:#fff;color:#1b1f24;font:13px system-ui,sans-serif}svg{display:block;max-width:1040px;margin:auto}
.title{font-size:20px;font-weight:600}.tick{font-size:11px;fill:#666;text-anchor:middle}.grid{stroke:#e4e7eb}
.line{fill:none;stroke:#2f6fb0;stroke-width:1.6}.dot{fill:#2f6fb0}.name{font-size:12px}.sub{fill:#666}
@media(prefers-color-scheme:dark){body{background:#14171a;color:#e6e8ea}.title,.name{fill:#e6e8ea}.grid{stroke:#2a2f34}
.tick,.sub{fill:#9aa0a6}.line{stroke:#6fa8dc}.dot{fill:#6fa8dc}}
";
