//! Gradients: partials by column, where a column is an affine function of the loop indices and holds in a box of rounds.

use super::super::overlap::{Bounds, Nest};
use crate::ids::Index;
use crate::ir::Affine;
use crate::passes::emit::Num;

/// Columns up to here stand for the sums of loops that are open.
pub(super) const SUM: i64 = i64::MIN / 2;

/// A column over a box of rounds of the enclosing loops.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    pub col: Affine,
    pub bounds: Bounds,
    pub fan: Option<Box<Fan>>,
}

impl Key {
    pub fn new(col: Affine, bounds: Bounds) -> Key {
        Key { col, bounds, fan: None }
    }

    /// Whether it stands for a sum so far, not for a column.
    pub fn is_sum(&self) -> bool {
        self.col.base <= SUM && self.col.terms.is_empty()
    }

    /// Whether it is another one in each round of a loop.
    pub fn moves(&self, index: Index) -> bool {
        let with = |a: &Affine| a.terms.iter().any(|t| t.0 == index);
        with(&self.col) || self.fan.as_ref().and_then(|f| f.slot.as_ref()).is_some_and(with)
    }
}

/// Many columns at once: `col` for each round of `loops`, which are no loops of the kernel.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Fan {
    pub loops: Nest,
    /// Scratch slot of each round's partial; `None`: one.
    pub slot: Option<Affine>,
}

/// Keys rise strictly.
pub(super) type Gradient = Vec<(Key, Num)>;

pub(super) fn sorted(mut g: Gradient) -> Gradient {
    g.sort_by(|a, b| a.0.cmp(&b.0));
    g
}

/// Both gradients key by key, zeros where one has none.
pub(super) fn union(a: &Gradient, b: &Gradient) -> Vec<(Key, Num, Num)> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    loop {
        let (p, q) = (a.get(i), b.get(j));
        let (key, x, y) = match (p, q) {
            (None, None) => return out,
            (Some(p), None) => (&p.0, true, false),
            (None, Some(q)) => (&q.0, false, true),
            (Some(p), Some(q)) => match p.0.cmp(&q.0) {
                std::cmp::Ordering::Less => (&p.0, true, false),
                std::cmp::Ordering::Equal => (&p.0, true, true),
                std::cmp::Ordering::Greater => (&q.0, false, true),
            },
        };
        out.push((key.clone(), if x { a[i].1 } else { Num::ZERO }, if y { b[j].1 } else { Num::ZERO }));
        i += usize::from(x);
        j += usize::from(y);
    }
}
