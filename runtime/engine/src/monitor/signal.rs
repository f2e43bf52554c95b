//! Piecewise linear signals with jumps, and what temporal logic does with them: pointwise and sliding extrema, until.
//!
//! A signal is a list of points in order of time. Between points of different instants it is linear; several points
//! at one instant are its values there, one after the other: the left limit first, the right limit last.

use std::collections::VecDeque;

/// An instant and a value.
pub type Point = (f64, f64);

/// A signal: at least one point, instants never decrease.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal(pub Vec<Point>);

/// How a signal goes on where nothing is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beyond {
    /// Before its first instant.
    pub before: f64,
    /// After its last instant.
    pub after: f64,
}

/// The value at `t` of the line through two points of different instants.
fn line(a: Point, b: Point, t: f64) -> f64 {
    if a.1 == b.1 || t <= a.0 {
        return a.1;
    }
    if t >= b.0 {
        return b.1;
    }
    // Infinite values do not blend: the value holds up to the next point.
    if !(a.1.is_finite() && b.1.is_finite()) {
        return a.1;
    }
    a.1 + (b.1 - a.1) * ((t - a.0) / (b.0 - a.0))
}

impl Signal {
    /// The same value all the time.
    #[must_use]
    pub fn constant(from: f64, to: f64, value: f64) -> Signal {
        Signal(vec![(from, value), (to, value)])
    }

    /// Values at instants that never decrease; with `steps` each holds up to the next.
    #[must_use]
    pub fn of_rows(rows: impl IntoIterator<Item = Point>, steps: bool) -> Signal {
        let rows = rows.into_iter();
        let mut points: Vec<Point> = Vec::with_capacity(rows.size_hint().0);
        for (t, v) in rows {
            if steps
                && let Some(&(before, old)) = points.last()
                && before < t
                && old != v
            {
                points.push((t, old));
            }
            points.push((t, v));
        }
        Signal(points)
    }

    /// First and last instant.
    #[must_use]
    pub fn span(&self) -> (f64, f64) {
        (self.0.first().map_or(0.0, |p| p.0), self.0.last().map_or(0.0, |p| p.0))
    }

    /// The signal with another value at each point; `f` must be monotone.
    #[must_use]
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Signal {
        Signal(self.0.iter().map(|(t, v)| (*t, f(*v))).collect())
    }

    /// The signal with time running backwards.
    #[must_use]
    pub fn reversed(&self) -> Signal {
        Signal(self.0.iter().rev().map(|(t, v)| (-*t, *v)).collect())
    }

    /// Values at `t`: left limit and right limit; none outside.
    #[must_use]
    pub fn at(&self, t: f64) -> Option<(f64, f64)> {
        let hi = self.0.partition_point(|p| p.0 <= t);
        let lo = self.0.partition_point(|p| p.0 < t);
        if lo < hi {
            return Some((self.0[lo].1, self.0[hi - 1].1));
        }
        if lo == 0 || hi == self.0.len() {
            return None;
        }
        let v = line(self.0[lo - 1], self.0[hi], t);
        Some((v, v))
    }

    fn push(&mut self, t: f64, v: f64) {
        let n = self.0.len();
        if n > 0 && self.0[n - 1] == (t, v) {
            return;
        }
        // The middle of three equal values, or of three values at one instant in a row up or down, says nothing.
        if n > 1 {
            let (a, b) = (self.0[n - 2], self.0[n - 1]);
            let flat = a.1 == b.1 && b.1 == v;
            let between = a.0 == t && b.0 == t && (a.1 - b.1).signum() == (b.1 - v).signum();
            if flat || between {
                self.0[n - 1] = (t, v);
                return;
            }
        }
        self.0.push((t, v));
    }

    /// Adds the piece of `a → b` (values at the ends of `from..to`) that is the larger or the smaller of two lines.
    fn push_extreme(&mut self, from: f64, to: f64, a: (f64, f64), b: (f64, f64), smaller: bool) {
        let pick = |x: f64, y: f64| if smaller { x.min(y) } else { x.max(y) };
        self.push(from, pick(a.0, b.0));
        let (d0, d1) = (a.0 - b.0, a.1 - b.1);
        if d0 * d1 < 0.0 && d0.is_finite() && d1.is_finite() {
            let part = d0 / (d0 - d1);
            let t = from + (to - from) * part;
            if t > from && t < to {
                let v = a.0 + (a.1 - a.0) * part;
                self.push(t, v);
            }
        }
        self.push(to, pick(a.1, b.1));
    }
}

/// Instants of both signals, each once.
fn instants(a: &Signal, b: &Signal) -> Vec<f64> {
    let mut all: Vec<f64> = a.0.iter().chain(&b.0).map(|p| p.0).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

/// The values of a signal at instants in rising order, with a cursor that only goes on.
struct Cursor<'a> {
    points: &'a [Point],
    next: usize,
}

impl<'a> Cursor<'a> {
    fn new(s: &'a Signal) -> Self {
        Cursor { points: &s.0, next: 0 }
    }

    /// All values at `t`, in order; one where the signal is between points.
    fn values(&mut self, t: f64, out: &mut Vec<f64>) {
        out.clear();
        while self.points.get(self.next).is_some_and(|p| p.0 < t) {
            self.next += 1;
        }
        let mut k = self.next;
        while let Some(p) = self.points.get(k).filter(|p| p.0 == t) {
            out.push(p.1);
            k += 1;
        }
        if !out.is_empty() {
            return;
        }
        match (k.checked_sub(1).map(|j| self.points[j]), self.points.get(k)) {
            (Some(a), Some(b)) => out.push(line(a, *b, t)),
            (Some(a), None) => out.push(a.1),
            (None, Some(b)) => out.push(b.1),
            (None, None) => {}
        }
    }
}

/// The smaller or the larger of two signals over the same span.
#[must_use]
pub fn extreme(a: &Signal, b: &Signal, smaller: bool) -> Signal {
    let pick = |x: f64, y: f64| if smaller { x.min(y) } else { x.max(y) };
    let mut out = Signal(Vec::with_capacity(a.0.len() + b.0.len()));
    let (mut ca, mut cb) = (Cursor::new(a), Cursor::new(b));
    let (mut va, mut vb) = (Vec::new(), Vec::new());
    let mut last: Option<(f64, f64, f64)> = None;
    for t in instants(a, b) {
        ca.values(t, &mut va);
        cb.values(t, &mut vb);
        let n = va.len().max(vb.len());
        for k in 0..n {
            let (x, y) = (va[k.min(va.len() - 1)], vb[k.min(vb.len() - 1)]);
            if k == 0
                && let Some((from, x0, y0)) = last
            {
                out.push_extreme(from, t, (x0, x), (y0, y), smaller);
            }
            out.push(t, pick(x, y));
            last = Some((t, x, y));
        }
    }
    out
}

/// `t ↦` the smallest (or largest) value of `s` over `[t + a, t + b]`, for `t` over the span of `s`.
#[must_use]
pub fn sliding(s: &Signal, a: f64, b: f64, smaller: bool, beyond: Beyond) -> Signal {
    let (t0, t1) = s.span();
    // The signal goes on beyond its span, a few roundings later: a window that ends with the run ends in it.
    let slack = 1e-12 * (t1 - t0).abs().max(t0.abs().max(t1.abs())) + f64::MIN_POSITIVE;
    let far = 1.0 + (t1 - t0) + b.abs().max(a.abs());
    let (first, end) = (s.0.first().map_or(0.0, |p| p.1), s.0.last().map_or(0.0, |p| p.1));
    let mut p: Vec<Point> = Vec::with_capacity(s.0.len() + 6);
    p.extend([(t0 - far, beyond.before), (t0 - slack, beyond.before), (t0 - slack, first)]);
    p.extend_from_slice(&s.0);
    p.extend([(t1 + slack, end), (t1 + slack, beyond.after), (t1 + far, beyond.after)]);

    let mut marks: Vec<f64> = Vec::with_capacity(2 * p.len() + 2);
    marks.push(t0);
    for (t, _) in &p {
        marks.extend([t - a, t - b].into_iter().filter(|m| *m > t0 && *m < t1));
    }
    marks.push(t1);
    marks.sort_by(f64::total_cmp);
    marks.dedup();
    let better = |x: f64, y: f64| if smaller { x <= y } else { x >= y };
    let pick = |x: f64, y: f64| if smaller { x.min(y) } else { x.max(y) };
    let none = if smaller { f64::INFINITY } else { f64::NEG_INFINITY };
    // Inner points of the window, the best first, each better than all after it.
    let mut inner: VecDeque<usize> = VecDeque::new();
    let (mut entered, mut lo, mut hi) = (0usize, 0usize, 0usize);
    let mut out = Signal(Vec::with_capacity(marks.len()));
    let mut piece = |out: &mut Signal, u: f64, v: f64| {
        // The middle decides on which pieces the ends run: rounding cannot put it on the wrong side of a point.
        let mid = u + (v - u) / 2.0;
        while entered < p.len() && p[entered].0 <= mid + b {
            while inner.back().is_some_and(|k| better(p[entered].1, p[*k].1)) {
                inner.pop_back();
            }
            inner.push_back(entered);
            entered += 1;
        }
        while inner.front().is_some_and(|k| p[*k].0 < mid + a) {
            inner.pop_front();
        }
        let best = inner.front().map_or(none, |k| p[*k].1);
        let ends = |k: &mut usize, shift: f64| {
            while *k + 1 < p.len() && p[*k + 1].0 <= mid + shift {
                *k += 1;
            }
            let (x, y) = (p[*k], p[(*k + 1).min(p.len() - 1)]);
            (line(x, y, u + shift), line(x, y, v + shift))
        };
        let (from, to) = (ends(&mut lo, a), ends(&mut hi, b));
        // The best of two lines and a constant.
        let mut two = Signal(Vec::with_capacity(4));
        two.push_extreme(u, v, from, to, smaller);
        for w in two.0.windows(2) {
            out.push_extreme(w[0].0, w[1].0, (w[0].1, w[1].1), (best, best), smaller);
        }
        if let [only] = two.0[..] {
            out.push(only.0, pick(only.1, best));
        }
    };
    // The very first instant has no left limit; its window is closed at both ends.
    let closed = {
        let ext = Signal(p.clone());
        let ends = [t0 + a, t0 + b].into_iter().filter_map(|t| ext.at(t)).flat_map(|(x, y)| [x, y]);
        let inside = p.iter().filter(|q| t0 + a <= q.0 && q.0 <= t0 + b).map(|q| q.1);
        ends.chain(inside).fold(none, pick)
    };
    out.push(t0, closed);
    if t1 > t0 {
        for w in marks.windows(2) {
            piece(&mut out, w[0], w[1]);
        }
    }
    out
}

/// `t ↦ sup over s ≥ t of min(q(s), inf over [t, s) of p)`; after the span both are what `after` says.
#[must_use]
pub fn until(p: &Signal, q: &Signal, after: f64) -> Signal {
    // Points of both, with the instants where they cross.
    let mut both: Vec<(f64, f64, f64)> = Vec::new();
    let (mut cp, mut cq) = (Cursor::new(p), Cursor::new(q));
    let (mut vp, mut vq) = (Vec::new(), Vec::new());
    for t in instants(p, q) {
        cp.values(t, &mut vp);
        cq.values(t, &mut vq);
        for k in 0..vp.len().max(vq.len()) {
            let (x, y) = (vp[k.min(vp.len() - 1)], vq[k.min(vq.len() - 1)]);
            if k == 0
                && let Some(&(t0, x0, y0)) = both.last()
            {
                let (d0, d1) = (x0 - y0, x - y);
                if d0 * d1 < 0.0 && d0.is_finite() && d1.is_finite() {
                    let part = d0 / (d0 - d1);
                    let at = t0 + (t - t0) * part;
                    if at > t0 && at < t {
                        let v = x0 + (x - x0) * part;
                        both.push((at, v, v));
                    }
                }
            }
            both.push((t, x, y));
        }
    }
    let Some(&(end, x, y)) = both.last() else { return Signal(Vec::new()) };
    let mut z = y.max(x.min(after));
    // Built from the end: times are negated while pieces are pushed.
    let mut out = Signal(vec![(-end, z)]);
    for w in both.windows(2).rev() {
        let ((t0, x0, y0), (t1, x1, y1)) = (w[0], w[1]);
        if t0 == t1 {
            z = y0.max(x0.min(z));
            out.push(-t0, z);
            continue;
        }
        // Infinite values hold up to the next point.
        let x1 = if x0.is_finite() && x1.is_finite() { x1 } else { x0 };
        let y1 = if y0.is_finite() && y1.is_finite() { y1 } else { y0 };
        let z1 = y1.max(x1.min(z));
        let (a0, a1) = if x1 > x0 { (x0, x1) } else { (x1, x1) };
        let mut low = Signal(Vec::with_capacity(3));
        low.push_extreme(-t1, -t0, (a1, a0), (z1, z1), true);
        for v in low.0.windows(2) {
            let at = |t: f64| line((-t1, y1), (-t0, y0), t);
            out.push_extreme(v[0].0, v[1].0, (v[0].1, v[1].1), (at(v[0].0), at(v[1].0)), false);
        }
        z = out.0.last().map_or(z, |p| p.1);
    }
    out.reversed()
}
