//! Which slots written by a store in loops does an address in other loops read, and in which rounds.

use crate::ids::Index;
use crate::ir::{Affine, Space};

/// A loop: its index, `lo..hi`.
pub(crate) type Nest = Vec<(Index, i64, i64)>;
/// A box of rounds: a range for each loop of a nest.
pub(crate) type Bounds = Vec<(i64, i64)>;

/// This form of addresses is not understood.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unclear;

/// All slots that an address takes over a nest: least, greatest.
pub(crate) fn extent(at: &Affine, nest: &[(Index, i64, i64)], bounds: &[(i64, i64)]) -> Option<(i64, i64)> {
    let range = |i: Index| nest.iter().position(|n| n.0 == i).and_then(|k| bounds.get(k).copied());
    let (mut least, mut most) = (at.base, at.base);
    for &(i, s) in &at.terms {
        let (lo, hi) = range(i)?;
        let (a, b) = (s.checked_mul(lo)?, s.checked_mul(hi.checked_sub(1)?)?);
        least = least.checked_add(a.min(b))?;
        most = most.checked_add(a.max(b))?;
    }
    Some((least, most))
}

/// The rounds of a box in which `lo <= at < hi`; `None` where there are none.
pub(crate) fn restrict(
    at: &Affine,
    nest: &[(Index, i64, i64)],
    mut bounds: Bounds,
    lo: i64,
    hi: i64,
) -> Result<Option<Bounds>, Unclear> {
    let (least, most) = extent(at, nest, &bounds).ok_or(Unclear)?;
    if least >= lo && most < hi {
        return Ok(Some(bounds));
    }
    if most < lo || least >= hi {
        return Ok(None);
    }
    // along one index, all rounds of the others are inside or all are outside
    for &(i, s) in &at.terms {
        let k = nest.iter().position(|n| n.0 == i).ok_or(Unclear)?;
        let mut others = at.clone();
        others.terms.retain(|t| t.0 != i);
        let (r0, r1) = extent(&others, nest, &bounds).ok_or(Unclear)?;
        let whole = along(s, lo.checked_sub(r0).ok_or(Unclear)?, hi.checked_sub(r1).ok_or(Unclear)?);
        let touched = along(s, lo.checked_sub(r1).ok_or(Unclear)?, hi.checked_sub(r0).ok_or(Unclear)?);
        let cut = |r: (i64, i64)| {
            let r = (bounds[k].0.max(r.0), bounds[k].1.min(r.1));
            (r.0 < r.1).then_some(r)
        };
        if cut(whole) == cut(touched) {
            let inside = cut(whole);
            return Ok(inside.map(|r| {
                bounds[k] = r;
                bounds
            }));
        }
    }
    Err(Unclear)
}

/// The range of i with a <= s·i < b.
fn along(s: i64, a: i64, b: i64) -> (i64, i64) {
    if s > 0 {
        (ceil_div(a, s), ceil_div(b, s))
    } else {
        // −s·i in (−b, −a]
        (floor_div(-b, -s) + 1, floor_div(-a, -s) + 1)
    }
}

/// The rounds in which `d` is zero.
pub(crate) fn restrict_exact(
    d: &Affine,
    nest: &[(Index, i64, i64)],
    bounds: &Bounds,
) -> Result<Option<Bounds>, Unclear> {
    if let [(_, s)] = d.terms[..]
        && d.base % s != 0
    {
        return Ok(None);
    }
    restrict(d, nest, bounds.clone(), 0, 1)
}

fn floor_div(a: i64, b: i64) -> i64 {
    a.div_euclid(b)
}

fn ceil_div(a: i64, b: i64) -> i64 {
    -((-a).div_euclid(b))
}

/// A store, as far as addresses are concerned.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub space: Space,
    pub at: Affine,
    pub nest: Nest,
}

impl Writer {
    fn bounds(&self) -> Bounds {
        self.nest.iter().map(|n| (n.1, n.2)).collect()
    }

    /// The slots it writes: least, greatest.
    pub fn extent(&self) -> Option<(i64, i64)> {
        extent(&self.at, &self.nest, &self.bounds())
    }

    /// Whether it may write a slot that `at` reads; exact for equal strides.
    pub fn may_meet(&self, at: &Affine, nest: &[(Index, i64, i64)], bounds: &[(i64, i64)]) -> bool {
        let (Some((a, b)), Some((c, d))) = (self.extent(), extent(at, nest, bounds)) else { return true };
        if b < c || d < a {
            return false;
        }
        let gcd = self.at.terms.iter().chain(&at.terms).fold(0u64, |g, t| gcd(g, t.1.unsigned_abs()));
        gcd == 0 || (i128::from(self.at.base) - i128::from(at.base)) % i128::from(gcd) == 0
    }

    /// Whether `Σ stride·(q − j) + rest = 0` has only the solution j = q, rest = 0, for all rounds j of this
    /// writer: each stride is longer than all that the smaller ones can reach.
    fn unique(
        &self,
        rest: &Affine,
        own: &[(Index, Affine)],
        shared: usize,
        nest: &[(Index, i64, i64)],
        bounds: &Bounds,
    ) -> Result<bool, Unclear> {
        let (least, most) = extent(rest, nest, bounds).ok_or(Unclear)?;
        let mut reach = least.unsigned_abs().max(most.unsigned_abs());
        let mut terms: Vec<(u64, u64)> = Vec::new();
        for (n, &(i, lo, hi)) in self.nest.iter().enumerate() {
            let Some(&(_, s)) = self.at.terms.iter().find(|t| t.0 == i) else { continue };
            let span = if n < shared {
                hi - 1 - lo
            } else {
                let q = own.iter().find(|o| o.0 == i).map(|o| &o.1).ok_or(Unclear)?;
                let (a, b) = extent(q, nest, bounds).ok_or(Unclear)?;
                let up = b.checked_sub(lo).ok_or(Unclear)?;
                up.max((hi - 1).checked_sub(a).ok_or(Unclear)?)
            };
            terms.push((s.unsigned_abs(), span.max(0) as u64));
        }
        terms.sort_unstable();
        for (s, span) in terms {
            if s <= reach {
                return Ok(false);
            }
            reach = s.checked_mul(span).and_then(|r| reach.checked_add(r)).ok_or(Unclear)?;
        }
        Ok(true)
    }

    /// Loops that the writer shares with a nest, both being inside them.
    pub fn shared(&self, nest: &[(Index, i64, i64)]) -> usize {
        self.nest.iter().zip(nest).take_while(|(a, b)| a.0 == b.0).count()
    }

    /// The rounds of `bounds` in which `at` reads what this writer wrote, and the writer's own indices there
    /// (loops that it shares keep theirs). `None` where it reads nothing of it.
    #[expect(clippy::type_complexity, reason = "a box and a substitution")]
    pub fn meet(
        &self,
        at: &Affine,
        nest: &[(Index, i64, i64)],
        bounds: &Bounds,
    ) -> Result<Option<(Bounds, Vec<(Index, Affine)>)>, Unclear> {
        if !self.may_meet(at, nest, bounds) {
            return Ok(None);
        }
        let shared = self.shared(nest);
        let is_shared = |i: Index| self.nest[..shared].iter().any(|n| n.0 == i);
        let mut d = at.clone();
        d.base = d.base.checked_sub(self.at.base).ok_or(Unclear)?;
        let mut closed: Vec<(Index, i64)> = Vec::new();
        for &(i, s) in &self.at.terms {
            if is_shared(i) {
                d = d.plus(i, s.checked_neg().ok_or(Unclear)?);
            } else {
                closed.push((i, s));
            }
        }
        let missing = |n: &&(Index, i64, i64)| n.2 - n.1 > 1 && !closed.iter().any(|c| c.0 == n.0);
        if self.nest[shared..].iter().find(missing).is_some() {
            return Err(Unclear);
        }
        closed.sort_by_key(|c| std::cmp::Reverse(c.1.unsigned_abs()));
        // d = Σ stride·q + rest, the rest small
        let mut own = Vec::new();
        for (n, &(i, s)) in closed.iter().enumerate() {
            let mut q = Affine::constant(0);
            for &(j, t) in &d.terms {
                if t % s == 0 {
                    q = q.plus(j, t / s);
                } else if t.unsigned_abs() > s.unsigned_abs() {
                    return Err(Unclear);
                }
            }
            for &(j, t) in &q.terms {
                d = d.plus(j, -(t * s));
            }
            let (least, most) = extent(&d, nest, bounds).ok_or(Unclear)?;
            // what is left should lie where the writer's smaller strides reach
            let mut middle = least.checked_add(most).ok_or(Unclear)?;
            for &(j, t) in &closed[n + 1..] {
                let Some(&(_, lo, hi)) = self.nest.iter().find(|n| n.0 == j) else { return Err(Unclear) };
                let twice = t.checked_mul(lo + (hi - 1)).ok_or(Unclear)?;
                middle = middle.checked_sub(twice).ok_or(Unclear)?;
            }
            let middle = middle.div_euclid(2);
            let half = (s.unsigned_abs() / 2) as i64;
            q.base = middle.checked_add(half).ok_or(Unclear)?.div_euclid(s.abs()) * s.signum();
            d.base = d.base.checked_sub(s.checked_mul(q.base).ok_or(Unclear)?).ok_or(Unclear)?;
            own.push((i, q));
        }
        if !self.unique(&d, &own, shared, nest, bounds)? {
            return Err(Unclear);
        }
        let Some(mut inside) = restrict_exact(&d, nest, bounds)? else { return Ok(None) };
        for (i, q) in &own {
            let Some(&(_, lo, hi)) = self.nest.iter().find(|n| n.0 == *i) else { return Err(Unclear) };
            match restrict(q, nest, inside, lo, hi)? {
                Some(b) => inside = b,
                None => return Ok(None),
            }
        }
        // loops of a single round that the address does not name
        for &(i, lo, _) in &self.nest[shared..] {
            if !own.iter().any(|o| o.0 == i) {
                own.push((i, Affine::constant(lo)));
            }
        }
        Ok(Some((inside, own)))
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// `at` with indices replaced.
pub(crate) fn substitute(at: &Affine, own: &[(Index, Affine)]) -> Option<Affine> {
    let mut out = Affine::constant(at.base);
    for &(i, s) in &at.terms {
        match own.iter().find(|o| o.0 == i) {
            Some((_, q)) => {
                out.base = out.base.checked_add(s.checked_mul(q.base)?)?;
                for &(j, t) in &q.terms {
                    out = out.plus(j, s.checked_mul(t)?);
                }
            }
            None => out = out.plus(i, s),
        }
    }
    Some(out)
}
