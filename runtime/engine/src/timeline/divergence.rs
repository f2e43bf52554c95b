//! How two recorded runs come apart: when first, in which quantity, how fast.
//!
//! Both recordings are compared at the instants that stand in both, at the last row of each (the right limit of an
//! instant with events). The distance at an instant is the root mean square, over all numbers that change at all, of the
//! difference in units of the number's own range in both runs: 1 is as far apart as they ever can be on average.
//!
//! The growth rate is the slope of the least-squares line through the logarithm of the distance over time, from the first
//! difference until the runs are apart by [`APART`]: a finite-time Lyapunov exponent where the runs differ by a small
//! perturbation (Wolf et al., Physica D 16, 1985; the window before saturation after Rosenstein et al., Physica D 65,
//! 1993). It says nothing about runs that differ by more than that from the beginning.

use twinml_model::math::eval as m;

/// Distance at which growth is no longer that of a small difference.
pub const APART: f64 = 0.05;
/// Instants that a line is fitted through at least.
const FEWEST: usize = 8;

/// The rows of two recordings that are compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Common {
    /// The instants.
    pub times: Vec<f64>,
    /// The row of each in the first recording.
    pub a: Vec<usize>,
    /// The row of each in the second.
    pub b: Vec<usize>,
}

/// The instants that stand in both recordings, whose times do not fall.
pub fn common(a: &[f64], b: &[f64]) -> Common {
    let mut out = Common::default();
    let (mut i, mut j) = (0, 0);
    let last = |rows: &[f64], from: usize| {
        from + rows[from..].iter().take_while(|t| **t == rows[from]).count().max(1) - 1
    };
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            let (ka, kb) = (last(a, i), last(b, j));
            out.times.push(a[i]);
            out.a.push(ka);
            out.b.push(kb);
            (i, j) = (ka + 1, kb + 1);
        } else if a[i] < b[j] {
            i += 1;
        } else {
            j += 1;
        }
    }
    out
}

/// An instant with the two values there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The instant in seconds.
    pub time: f64,
    /// The value of the first run.
    pub a: f64,
    /// The value of the second.
    pub b: f64,
}

/// How one number comes apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Apart {
    /// Where it first differs by a bit; an absent value equals an absent one.
    pub first: Option<Pair>,
    /// Where it differs most.
    pub most: Option<Pair>,
    /// The last instant of both.
    pub last: Option<Pair>,
    /// Its range in both runs.
    pub range: f64,
}

/// Adds up the distance of many numbers.
#[derive(Clone, Debug)]
pub struct Distance {
    sums: Vec<f64>,
    numbers: usize,
}

impl Distance {
    /// Of runs with so many common instants.
    pub fn new(instants: usize) -> Distance {
        Distance { sums: vec![0.0; instants], numbers: 0 }
    }

    /// Takes one number's values at the common instants. `counts` says whether it is part of the distance.
    pub fn add(&mut self, times: &[f64], a: &[f64], b: &[f64], counts: bool) -> Apart {
        let values = || a.iter().chain(b).copied().filter(|v| v.is_finite());
        let (lo, hi) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let range = if hi > lo { hi - lo } else { 0.0 };
        let mut apart = Apart { first: None, most: None, last: None, range };
        let mut most = 0.0;
        let counts = counts && range > 0.0;
        self.numbers += usize::from(counts);
        for (k, (&time, (&a, &b))) in times.iter().zip(a.iter().zip(b)).enumerate() {
            let pair = Pair { time, a, b };
            apart.last = Some(pair);
            if a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || (a == 0.0 && b == 0.0) {
                continue;
            }
            apart.first.get_or_insert(pair);
            // A value that only one run has is as far as can be.
            let far = if (a - b).is_finite() { (a - b).abs() } else { f64::INFINITY };
            if far > most {
                most = far;
                apart.most = Some(pair);
            }
            if counts {
                let share = (far / range).min(1.0);
                self.sums[k] += share * share;
            }
        }
        apart
    }

    /// The distance at each instant.
    pub fn finish(self) -> Vec<f64> {
        let numbers = self.numbers.max(1) as f64;
        self.sums.into_iter().map(|sum| (sum / numbers).sqrt()).collect()
    }
}

/// How fast a distance grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// The exponent in 1/s; negative where the runs come together.
    pub rate: f64,
    /// Its standard error, of independent deviations from the line.
    pub error: f64,
    /// The share of the logarithm's variance that the line explains.
    pub r2: f64,
    /// The first instant of the fit.
    pub from: f64,
    /// The last.
    pub to: f64,
    /// Instants in it.
    pub instants: usize,
    /// Whether the runs were apart by [`APART`] at the end of it.
    pub saturated: bool,
}

/// The growth of a distance, where there is enough to fit a line through.
pub fn growth(times: &[f64], distance: &[f64]) -> Option<Growth> {
    let first = distance.iter().position(|d| *d > 0.0)?;
    let far = distance[first..].iter().position(|d| *d >= APART).map(|k| first + k);
    let end = far.unwrap_or(distance.len());
    let points: Vec<(f64, f64)> = times[first..end]
        .iter()
        .zip(&distance[first..end])
        .filter(|(_, d)| **d > 0.0)
        .map(|(t, d)| (*t, m::log(*d)))
        .collect();
    if points.len() < FEWEST {
        return None;
    }
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (mt, ml) = (mean(|p| p.0), mean(|p| p.1));
    let (mut stt, mut stl, mut sll) = (0.0, 0.0, 0.0);
    for (t, l) in &points {
        stt += (t - mt) * (t - mt);
        stl += (t - mt) * (l - ml);
        sll += (l - ml) * (l - ml);
    }
    if stt <= 0.0 {
        return None;
    }
    let rate = stl / stt;
    let rest = (sll - rate * stl).max(0.0);
    let r2 = if sll > 0.0 { 1.0 - rest / sll } else { 1.0 };
    let error = (rest / (n - 2.0) / stt).sqrt();
    let (from, to) = (points[0].0, points[points.len() - 1].0);
    Some(Growth { rate, error, r2, from, to, instants: points.len(), saturated: far.is_some() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn instants_of_both_at_their_right_limits() {
        let c = common(&[0.0, 1.0, 1.5, 1.5, 2.0], &[0.0, 0.5, 1.0, 1.0, 2.0, 3.0]);
        assert_eq!(c, Common { times: vec![0.0, 1.0, 2.0], a: vec![0, 1, 4], b: vec![0, 3, 4] });
        assert_eq!(common(&[], &[1.0]), Common::default());
    }

    #[test]
    fn a_bit_is_a_difference_and_an_absent_value_is_none() {
        let mut d = Distance::new(4);
        let one = 1.0f64;
        let next = one.next_up();
        let t = [0.0, 1.0, 2.0, 3.0];
        let apart = d.add(&t, &[0.0, one, f64::NAN, 4.0], &[-0.0, next, f64::NAN, 4.0], true);
        assert_eq!(apart.first, Some(Pair { time: 1.0, a: one, b: next }));
        assert_eq!((apart.most, apart.range), (apart.first, 4.0));
        let still = d.add(&t, &[7.0; 4], &[7.0; 4], true);
        assert_eq!((still.first, still.range), (None, 0.0));
        let gone = d.add(&t, &[0.0, 1.0, 0.0, 0.0], &[0.0, 1.0, f64::NAN, 0.0], true);
        assert!(gone.most.unwrap().b.is_nan());
        let distance = d.finish();
        let wanted = f64::EPSILON / 4.0 / 2.0f64.sqrt();
        assert!((distance[1] - wanted).abs() < 1e-12 * wanted);
        assert_eq!(distance[2], (0.5f64).sqrt());
        assert_eq!((distance[0], distance[3]), (0.0, 0.0));
    }

    #[test]
    fn an_exponential_has_its_rate() {
        let times: Vec<f64> = (0..100).map(f64::from).collect();
        let d: Vec<f64> =
            times.iter().map(|t| if *t < 10.0 { 0.0 } else { 1e-9 * m::exp(0.2 * (t - 10.0)) }).collect();
        let g = growth(&times, &d).unwrap();
        assert!((g.rate - 0.2).abs() < 1e-12 && g.error < 1e-12 && g.r2 > 1.0 - 1e-12, "{g:?}");
        assert_eq!((g.from, g.saturated), (10.0, true));
        assert!(d[g.to as usize] < APART && d[g.to as usize + 1] >= APART);
        assert_eq!(growth(&times, &[0.0; 100]), None);
        assert_eq!(growth(&times[..7], &[1e-9; 7]), None);
    }

    /// Lorenz's system with σ = 10, ρ = 28, β = 8/3 by RK4: the largest exponent is 0.9056 (Viswanath, 1998; Sprott, 2003:
    /// 0.90563).
    #[test]
    fn the_lorenz_system_has_its_published_exponent() {
        let f =
            |s: [f64; 3]| [10.0 * (s[1] - s[0]), s[0] * (28.0 - s[2]) - s[1], s[0] * s[1] - 8.0 / 3.0 * s[2]];
        let along = |s: [f64; 3], k: [f64; 3], h: f64| [s[0] + h * k[0], s[1] + h * k[1], s[2] + h * k[2]];
        let step = |s: [f64; 3], h: f64| {
            let k1 = f(s);
            let k2 = f(along(s, k1, h / 2.0));
            let k3 = f(along(s, k2, h / 2.0));
            let k4 = f(along(s, k3, h));
            let sum: [f64; 3] = std::array::from_fn(|i| k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]);
            along(s, sum, h / 6.0)
        };
        let run = |mut s: [f64; 3], rows: usize| {
            let mut out = [vec![s[0]], vec![s[1]], vec![s[2]]];
            for _ in 0..rows {
                (0..10).for_each(|_| s = step(s, 0.005));
                (0..3).for_each(|i| out[i].push(s[i]));
            }
            (out, s)
        };
        let mut start = run([1.0, 1.0, 20.0], 600).1;
        let mut rates = Vec::new();
        let times: Vec<f64> = (0..=1000).map(|k| f64::from(k) * 0.05).collect();
        for _ in 0..40 {
            let (a, next) = run(start, 1000);
            let (b, _) = run([start[0] + 1e-11, start[1], start[2]], 1000);
            let mut distance = Distance::new(times.len());
            for i in 0..3 {
                distance.add(&times, &a[i], &b[i], true);
            }
            let g = growth(&times, &distance.finish()).unwrap();
            assert!(g.saturated && g.to - g.from > 15.0, "{g:?}");
            rates.push(g.rate);
            start = next;
        }
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        let spread = (rates.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / 39.0).sqrt();
        // Measured: mean 0.904, spread 0.08 of one window.
        assert!((mean - 0.9056).abs() < 0.03, "{mean} ± {spread}");
    }
}
