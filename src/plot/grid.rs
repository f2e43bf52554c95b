//! The grid of the small figures in reports.

use std::fmt::Write as _;

use super::axis::Axis;
use crate::ui::xml::escape;

/// How the numbers at a grid are written.
pub const TEXT: &str = "font-size=\"11\" fill=\"currentColor\"";

/// A line across at each tick of the axis of values, from `left` to `right`, its number before it. `y`: where a value is.
pub fn levels(out: &mut String, axis: &Axis, (left, right): (f64, f64), y: &dyn Fn(f64) -> f64) {
    for (v, label) in axis.ticks.iter().zip(&axis.labels) {
        let at = y(*v);
        let _ = write!(
            out,
            "<line x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"currentColor\" \
             opacity=\"0.12\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" {TEXT}>{}</text>",
            left - 5.0,
            at + 4.0,
            escape(label)
        );
    }
}
