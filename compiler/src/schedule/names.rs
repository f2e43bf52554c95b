//! Paths of elements, for messages.

use crate::flat::Var;
use twinml_model::schema::Segment;

/// `tanks[2].h[0,1]`: the path of element `k` (row-major over all axes).
pub fn element(path: &[Segment], k: i64) -> String {
    let axes: Vec<i64> = path.iter().flat_map(|s| s.axes.iter().map(|&a| i64::from(a))).collect();
    let mut at = vec![0; axes.len()];
    let mut rest = k.max(0);
    for (slot, &len) in at.iter_mut().zip(&axes).rev() {
        *slot = rest % len.max(1);
        rest /= len.max(1);
    }
    let mut next = at.into_iter();
    let mut out = String::new();
    for (n, s) in path.iter().enumerate() {
        if n > 0 {
            out.push('.');
        }
        out.push_str(&s.name);
        let shown: Vec<String> = next.by_ref().take(s.axes.len()).map(|x| x.to_string()).collect();
        if !shown.is_empty() {
            out.push('[');
            out.push_str(&shown.join(","));
            out.push(']');
        }
    }
    out
}

/// The path with a star for each axis.
pub fn family(v: &Var) -> String {
    let mut out = String::new();
    for (n, s) in v.path.iter().enumerate() {
        if n > 0 {
            out.push('.');
        }
        out.push_str(&s.name);
        if !s.axes.is_empty() {
            out.push('[');
            out.push_str(&vec!["*"; s.axes.len()].join(","));
            out.push(']');
        }
    }
    out
}
