//! Sets of elements of one family, as arithmetic progressions.
//!
//! A reference `v[base + Σ stride·i]` over a nest of loops touches a lattice of elements. Progressions keep
//! the work for an array of instances independent of its length: one loop is one progression, and nested
//! loops that cover consecutive elements collapse into one.

use crate::flat::{Affine, Loop};

/// `lo, lo + step, …`: `count` elements, `step ≥ 1` (1 where `count` is 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progression {
    /// First (smallest) element.
    pub lo: i64,
    /// Distance between elements.
    pub step: i64,
    /// Number of elements, ≥ 1.
    pub count: i64,
}

impl Progression {
    /// One element.
    pub fn one(at: i64) -> Self {
        Self { lo: at, step: 1, count: 1 }
    }

    /// The largest element.
    pub fn last(&self) -> i64 {
        self.lo + self.step * (self.count - 1)
    }

    /// Whether `x` is an element.
    pub fn contains(&self, x: i64) -> bool {
        x >= self.lo && x <= self.last() && (x - self.lo) % self.step == 0
    }

    /// Whether the two have an element in common.
    pub fn meets(&self, other: &Progression) -> bool {
        let lo = self.lo.max(other.lo);
        let hi = self.last().min(other.last());
        if lo > hi {
            return false;
        }
        if self.step == 1 && other.step == 1 {
            return true;
        }
        // Solve self.lo + a·step = other.lo + b·step' within [lo, hi].
        let (g, p, _) = extended_gcd(self.step, other.step);
        let diff = other.lo - self.lo;
        if diff % g != 0 {
            return false;
        }
        let lcm = self.step / g * other.step;
        let modulus = i128::from(other.step / g);
        let a = (i128::from(diff / g) * i128::from(p)).rem_euclid(modulus);
        let first = i128::from(self.lo) + a * i128::from(self.step);
        let (lo, lcm) = (i128::from(lo), i128::from(lcm));
        let first = if first >= lo {
            lo + (first - lo).rem_euclid(lcm)
        } else {
            first + (lo - first + lcm - 1) / lcm * lcm
        };
        first <= i128::from(hi)
    }

    /// The elements in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        let (lo, step) = (self.lo, self.step);
        (0..self.count).map(move |k| lo + k * step)
    }
}

fn extended_gcd(a: i64, b: i64) -> (i64, i64, i64) {
    if b == 0 {
        return (a, 1, 0);
    }
    let (g, x, y) = extended_gcd(b, a % b);
    (g, y, x - a / b * y)
}

/// Number of points of a nest of loops.
pub fn points(loops: &[Loop]) -> i64 {
    loops.iter().map(|l| (l.hi - l.lo).max(0)).product()
}

/// The elements that `at` touches over the loops, or `None` where two points touch the same element
/// (the reference is not injective) or the set would fall into more than `limit` progressions.
pub fn image(at: &Affine, loops: &[Loop], limit: usize) -> Option<Vec<Progression>> {
    if points(loops) == 0 {
        return Some(Vec::new());
    }
    // Normalise every stride to a positive one; a loop without a stride must have one point.
    let mut base = at.base;
    let mut axes: Vec<(i64, i64)> = Vec::new(); // (stride, count)
    for l in loops {
        let count = l.hi - l.lo;
        let stride = at.terms.iter().find(|t| t.0 == l.index).map_or(0, |t| t.1);
        if stride == 0 {
            if count > 1 {
                return None;
            }
            continue;
        }
        base += if stride > 0 { stride * l.lo } else { stride * (l.hi - 1) };
        if count > 1 {
            axes.push((stride.abs(), count));
        }
    }
    axes.sort_unstable();
    // Innermost (smallest stride) first; each next stride must step over what lies below it.
    let mut inner = Progression { lo: base, step: axes.first().map_or(1, |a| a.0), count: 1 };
    let mut outer: Vec<(i64, i64)> = Vec::new();
    let mut span = 0;
    for &(stride, count) in &axes {
        if stride <= span {
            return None;
        }
        if outer.is_empty() && stride == inner.step * inner.count {
            inner.count *= count;
        } else {
            outer.push((stride, count));
        }
        span += stride * (count - 1);
    }
    let mut sets = vec![inner];
    for (stride, count) in outer {
        let copies = usize::try_from(count).ok()?;
        if sets.len().checked_mul(copies)? > limit {
            return None;
        }
        sets = (0..count)
            .flat_map(|k| sets.iter().map(move |s| Progression { lo: s.lo + k * stride, ..*s }))
            .collect();
    }
    Some(sets)
}

/// Who owns which elements of one family.
#[derive(Clone, Debug)]
pub enum Owners {
    /// Few owners: progressions.
    Sparse(Vec<(Progression, u32)>),
    /// Many: one entry an element, `u32::MAX` for nobody.
    Dense(Vec<u32>),
}

/// Above this many progressions a family is tracked element by element.
const SPARSE_LIMIT: usize = 24;

impl Default for Owners {
    fn default() -> Self {
        Self::new()
    }
}

impl Owners {
    /// Nobody owns anything.
    pub fn new() -> Self {
        Owners::Sparse(Vec::new())
    }

    /// The owners of elements of `set`, each once, in ascending order.
    pub fn within(&self, set: &[Progression]) -> Vec<u32> {
        let mut found: Vec<u32> = match self {
            Owners::Sparse(list) => {
                list.iter().filter(|(p, _)| set.iter().any(|s| s.meets(p))).map(|&(_, o)| o).collect()
            }
            Owners::Dense(marks) => {
                let mut found = Vec::new();
                let mut last = u32::MAX;
                for x in set.iter().flat_map(Progression::iter) {
                    let owner =
                        usize::try_from(x).ok().and_then(|x| marks.get(x)).copied().unwrap_or(u32::MAX);
                    if owner != last && owner != u32::MAX {
                        found.push(owner);
                    }
                    last = owner;
                }
                found
            }
        };
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Gives the elements of `set` to `owner`; they must be free. `len` is the family's length.
    pub fn give(&mut self, set: &[Progression], owner: u32, len: u32) {
        if let Owners::Sparse(list) = self {
            if list.len() + set.len() <= SPARSE_LIMIT {
                list.extend(set.iter().map(|&p| (p, owner)));
                return;
            }
            let mut marks = vec![u32::MAX; len as usize];
            for (p, o) in list.iter() {
                mark(&mut marks, p, *o);
            }
            *self = Owners::Dense(marks);
        }
        if let Owners::Dense(marks) = self {
            for p in set {
                mark(marks, p, owner);
            }
        }
    }

    /// Takes everything from `owner`.
    pub fn take(&mut self, set: &[Progression], owner: u32) {
        match self {
            Owners::Sparse(list) => list.retain(|&(_, o)| o != owner),
            Owners::Dense(marks) => set.iter().for_each(|p| mark(marks, p, u32::MAX)),
        }
    }

    /// The first free element below `len`.
    pub fn first_free(&self, len: u32) -> Option<i64> {
        match self {
            Owners::Dense(marks) => {
                marks.iter().position(|&o| o == u32::MAX).and_then(|x| i64::try_from(x).ok())
            }
            Owners::Sparse(list) => {
                let owned: i64 = list.iter().map(|(p, _)| p.count).sum();
                if owned == i64::from(len) {
                    return None;
                }
                (0..i64::from(len)).find(|&x| !list.iter().any(|(p, _)| p.contains(x)))
            }
        }
    }
}

fn mark(marks: &mut [u32], set: &Progression, owner: u32) {
    for x in set.iter() {
        if let Some(slot) = usize::try_from(x).ok().and_then(|x| marks.get_mut(x)) {
            *slot = owner;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinml_model::ids::Index;

    fn l(index: u32, lo: i64, hi: i64) -> Loop {
        Loop { index: Index(index), lo, hi }
    }

    #[test]
    fn nested_loops_over_consecutive_elements_collapse() {
        let at = Affine::constant(0).plus(Index(0), 4).plus(Index(1), 1);
        let whole = image(&at, &[l(0, 0, 3), l(1, 0, 4)], 8);
        assert_eq!(whole, Some(vec![Progression { lo: 0, step: 1, count: 12 }]));
        let interior = image(&at, &[l(0, 1, 3), l(1, 1, 3)], 8);
        assert_eq!(
            interior,
            Some(vec![Progression { lo: 5, step: 1, count: 2 }, Progression { lo: 9, step: 1, count: 2 }])
        );
    }

    #[test]
    fn a_reference_that_forgets_an_index_is_no_bijection() {
        assert_eq!(image(&Affine::constant(0).plus(Index(0), 1), &[l(0, 0, 3), l(1, 0, 2)], 8), None);
        assert_eq!(
            image(&Affine::constant(0).plus(Index(0), 1).plus(Index(1), 1), &[l(0, 0, 3), l(1, 0, 2)], 8),
            None
        );
    }

    #[test]
    fn progressions_meet_exactly_where_they_share_an_element() {
        for (a, b) in
            [((0, 3, 5), (1, 2, 6)), ((0, 4, 3), (2, 4, 3)), ((5, 7, 2), (12, 1, 1)), ((1, 6, 4), (4, 9, 2))]
        {
            let p = Progression { lo: a.0, step: a.1, count: a.2 };
            let q = Progression { lo: b.0, step: b.1, count: b.2 };
            let brute = p.iter().any(|x| q.contains(x));
            assert_eq!(p.meets(&q), brute, "{p:?} {q:?}");
            assert_eq!(q.meets(&p), brute, "{q:?} {p:?}");
        }
    }
}
