//! Which curves share a panel.

use super::axis::{Axis, value_axis};
use super::data::Series;

/// Curves over one value axis.
#[derive(Debug)]
pub(super) struct Panel {
    /// What the axis is: `Temperature [degC]`.
    pub label: String,
    /// The curves.
    pub series: Vec<Series>,
    /// The value axis.
    pub axis: Axis,
    /// Height of the drawing area.
    pub height: f64,
    /// What the whole values of the axis stand for; empty for an axis of numbers.
    pub names: Vec<String>,
    /// Whether there are so many curves that colours run from first to last instead of telling them apart.
    pub many: bool,
}

/// Characters of a name that fit beside a panel.
const NAME: usize = 11;
/// Curves that colours can tell apart.
const COLORS: usize = 8;
/// Curves of one kind whose sizes differ by more than this get panels of their own.
const APART: f64 = 30.0;

/// Groups curves: same unit and quantity, similar size. Panels come in the order of their first curves.
pub(super) fn arrange(series: Vec<Series>) -> Vec<Panel> {
    let mut groups: Vec<Vec<(f64, Series)>> = Vec::new();
    for one in series {
        let values = one.points.iter().map(|p| p.1).filter(|v| v.is_finite());
        let size = values.fold(0.0_f64, |m, v| m.max(v.abs()));
        let alike = |group: &[(f64, Series)]| {
            let first = &group[0].1;
            first.unit == one.unit
                && first.quantity == one.quantity
                && first.steps == one.steps
                && first.names == one.names
        };
        let similar = |group: &[(f64, Series)]| {
            let other = group.iter().fold(0.0_f64, |m, (size, _)| m.max(*size));
            size == 0.0 || other == 0.0 || (size / other).max(other / size) <= APART
        };
        // The elements of one array stay together whatever their sizes.
        let family = without_indices(&one.name);
        let sibling = |group: &[(f64, Series)]| group.iter().any(|(_, s)| without_indices(&s.name) == family);
        let place = groups
            .iter()
            .position(|g| alike(g) && sibling(g) && family != one.name)
            .or_else(|| groups.iter().position(|g| alike(g) && similar(g)));
        match place {
            Some(k) => groups[k].push((size, one)),
            None => groups.push(vec![(size, one)]),
        }
    }
    groups.into_iter().map(|group| panel(group.into_iter().map(|(_, s)| s).collect())).collect()
}

/// Curves, at least one, that belong together under a label.
pub(super) fn labelled(label: String, series: Vec<Series>) -> Panel {
    Panel { label, ..panel(series) }
}

fn panel(series: Vec<Series>) -> Panel {
    let values = || series.iter().flat_map(|s| s.points.iter().map(|p| p.1)).filter(|v| v.is_finite());
    let lo = values().fold(f64::INFINITY, f64::min);
    let hi = values().fold(f64::NEG_INFINITY, f64::max);
    let first = &series[0];
    let named = first.names.len();
    let flags = named == 0 && series.iter().all(|s| s.steps) && lo >= 0.0 && hi <= 1.0;
    let (height, axis) = match named {
        0 if flags => (56.0, named_axis(&["0", "1"], 0.15)),
        0 => (190.0, value_axis(lo, hi, 5)),
        _ => (34.0 + 22.0 * (named - 1) as f64, named_axis(&first.names, 0.3)),
    };
    let same_name = |s: &Series| leaf(&s.name) == leaf(&first.name);
    let what = if !first.quantity.is_empty() {
        spaced(&first.quantity)
    } else if series.iter().all(same_name) {
        leaf(&first.name).to_owned()
    } else {
        String::new()
    };
    let label = match (what.is_empty(), first.unit.is_empty()) {
        (_, true) => what,
        (true, false) => format!("[{}]", first.unit),
        (false, false) => format!("{what} [{}]", first.unit),
    };
    let names = if flags { ["0", "1"].map(String::from).to_vec() } else { first.names.clone() };
    Panel { label, axis, height, names, many: series.len() > COLORS, series }
}

/// The axis of truth values, or of texts that are numbered.
fn named_axis(names: &[impl AsRef<str>], room: f64) -> Axis {
    let labels = names.iter().map(|n| shortened(n.as_ref(), NAME)).collect();
    let ticks: Vec<f64> = (0..names.len()).map(|k| k as f64).collect();
    let hi = ticks.last().copied().unwrap_or(0.0) + room;
    Axis { lo: -room, hi, ticks, labels, exponent: 0, base: String::new() }
}

/// The middle of a long name left out.
pub(super) fn shortened(name: &str, most: usize) -> String {
    let count = name.chars().count();
    if count <= most {
        return name.to_owned();
    }
    let tail = most * 2 / 3;
    let head: String = name.chars().take(most - tail - 1).collect();
    let tail: String = name.chars().skip(count - tail).collect();
    format!("{head}…{tail}")
}

/// A path without what stands in brackets: what the elements of an array have in common.
fn without_indices(path: &str) -> String {
    let mut depth = 0;
    let keep = |c: &char| {
        depth += i32::from(*c == '[');
        let outside = depth == 0;
        depth -= i32::from(*c == ']');
        outside
    };
    path.chars().filter(keep).collect()
}

/// The last name of a path, without its index.
fn leaf(path: &str) -> &str {
    let last = path.rsplit('.').next().unwrap_or(path);
    last.split('[').next().unwrap_or(last)
}

/// `VolumeFlow` as `Volume flow`.
fn spaced(name: &str) -> String {
    let mut out = String::new();
    for (k, c) in name.chars().enumerate() {
        if k > 0 && c.is_uppercase() {
            out.push(' ');
            out.extend(c.to_lowercase());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, unit: &str, size: f64) -> Series {
        let (name, unit) = (name.to_owned(), unit.to_owned());
        Series {
            name,
            unit,
            quantity: String::new(),
            steps: false,
            names: Vec::new(),
            points: vec![(0.0, 0.0), (1.0, size)],
        }
    }

    #[test]
    fn one_kind_and_size_is_one_panel() {
        let panels = arrange(vec![
            series("a.T", "K", 300.0),
            series("h", "m", 1.0),
            series("b.T", "K", 350.0),
            series("y", "", 1.0),
            series("z", "", 1e-5),
        ]);
        let shape: Vec<(&str, usize)> = panels.iter().map(|p| (p.label.as_str(), p.series.len())).collect();
        assert_eq!(shape, [("T [K]", 2), ("h [m]", 1), ("y", 1), ("z", 1)]);
        assert_eq!(spaced("VolumeFlow"), "Volume flow");
        assert_eq!(leaf("tanks[3].q[0,1]"), "q");
    }
}
