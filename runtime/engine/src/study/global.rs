//! Global sensitivity: Sobol indices and Morris's elementary effects of a function of numbers in the unit cube.
//!
//! Sobol: with two independent matrices `A`, `B` of points and `ABᵢ` (that is `A` with column `i` of `B`), the first-order
//! index is estimated by `mean f_B(f_ABᵢ − f_A)` and the total one by `½ mean (f_A − f_ABᵢ)²`, over the variance of all of `f_A`
//! and `f_B` (A. Saltelli et al., Comput. Phys. Commun. 181 (2010) 259; M. J. W. Jansen, ibid. 117 (1999) 35). Intervals: the points come in
//! independent groups; the jackknife over groups gives a standard error and takes away the bias of a ratio to first
//! order, and Student's t the width. All intervals of one quantity hold together with the stated confidence (Bonferroni).
//!
//! Morris: trajectories on a grid of four levels, one parameter moved at a time by two thirds (M. D. Morris, Technometrics
//! 33 (1991) 161), with the mean of magnitudes of F. Campolongo et al. (Environ. Modell. Softw. 22 (2007) 1509).

use super::student;
use crate::behavior::random;

/// Independent groups of points.
pub const GROUPS: usize = 20;
/// Levels of Morris's grid.
const LEVELS: u32 = 4;

/// An estimate with its interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The interval's ends.
    pub low: f64,
    /// The upper one.
    pub high: f64,
}

/// Sobol indices of one quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct Indices {
    /// The mean.
    pub mean: f64,
    /// The variance; the indices are parts of it. Where it is 0, they are 0.
    pub variance: f64,
    /// By parameter: the part that it explains alone.
    pub first: Vec<Estimate>,
    /// By parameter: the part that goes where it is known, interactions included.
    pub total: Vec<Estimate>,
}

/// Uniform numbers of a stream of their own for each purpose.
fn uniform(seed: u64, point: u32, number: usize, purpose: &str) -> f64 {
    let stream = random::hash(random::HASH, purpose);
    random::uniforms(seed, point, stream, (number / 2) as u32)[number % 2]
}

/// The points at which a study of Sobol indices evaluates: `(parameters + 2)·points`, in blocks `A`, `B`, `AB₀`, …
/// for each row.
#[must_use]
pub fn sobol_points(parameters: usize, points: usize, seed: u64) -> Vec<Vec<f64>> {
    let row = |k: usize, which: &str| -> Vec<f64> {
        (0..parameters).map(|i| uniform(seed, k as u32, i, which)).collect()
    };
    let mut all = Vec::with_capacity(points * (parameters + 2));
    for k in 0..points {
        let (a, b) = (row(k, "sobol A"), row(k, "sobol B"));
        let mixed = (0..parameters).map(|i| {
            let mut ab = a.clone();
            ab[i] = b[i];
            ab
        });
        let mixed: Vec<Vec<f64>> = mixed.collect();
        all.push(a);
        all.push(b);
        all.extend(mixed);
    }
    all
}

/// Sums over one group of rows.
#[derive(Clone, Default)]
struct Sums {
    n: f64,
    f: f64,
    ff: f64,
    first: Vec<f64>,
    total: Vec<f64>,
}

impl Sums {
    fn indices(&self, which: usize, total: bool) -> f64 {
        let m = self.f / (2.0 * self.n);
        let variance = self.ff / (2.0 * self.n) - m * m;
        let part = if total { 0.5 * self.total[which] } else { self.first[which] } / self.n;
        if variance > 0.0 { part / variance } else { 0.0 }
    }

    fn add(&mut self, other: &Sums, sign: f64) {
        self.n += sign * other.n;
        self.f += sign * other.f;
        self.ff += sign * other.ff;
        for (a, b) in self.first.iter_mut().zip(&other.first) {
            *a += sign * b;
        }
        for (a, b) in self.total.iter_mut().zip(&other.total) {
            *a += sign * b;
        }
    }
}

/// The indices from the values at [`sobol_points`], in that order. Rows with a value that is no number are left out;
/// `None` where fewer than two rows a group remain.
#[must_use]
pub fn sobol(values: &[f64], parameters: usize, confidence: f64) -> Option<Indices> {
    let rows: Vec<&[f64]> =
        values.chunks_exact(parameters + 2).filter(|r| r.iter().all(|v| v.is_finite())).collect();
    if rows.len() < 2 * GROUPS {
        return None;
    }
    // Products of deviations: what is constant would only add to the error.
    let mean = rows.iter().map(|r| r[0] + r[1]).sum::<f64>() / (2.0 * rows.len() as f64);
    let empty = Sums { first: vec![0.0; parameters], total: vec![0.0; parameters], ..Sums::default() };
    let mut groups = vec![empty.clone(); GROUPS];
    for (k, row) in rows.iter().enumerate() {
        let g = &mut groups[k * GROUPS / rows.len()];
        let (a, b) = (row[0] - mean, row[1] - mean);
        g.n += 1.0;
        g.f += a + b;
        g.ff += a * a + b * b;
        for (i, ab) in row[2..].iter().enumerate() {
            let ab = ab - mean;
            g.first[i] += b * (ab - a);
            g.total[i] += (a - ab) * (a - ab);
        }
    }
    let mut all = empty;
    groups.iter().for_each(|g| all.add(g, 1.0));
    // All intervals of a quantity together.
    let each = 1.0 - (1.0 - confidence) / (2 * parameters) as f64;
    let t = student::quantile(each, (GROUPS - 1) as f64);
    let estimate = |i: usize, total: bool| {
        let whole = all.indices(i, total);
        let pseudo: Vec<f64> = groups
            .iter()
            .map(|g| {
                let mut rest = all.clone();
                rest.add(g, -1.0);
                GROUPS as f64 * whole - (GROUPS - 1) as f64 * rest.indices(i, total)
            })
            .collect();
        let value = pseudo.iter().sum::<f64>() / GROUPS as f64;
        let square: f64 = pseudo.iter().map(|p| (p - value).powi(2)).sum();
        let half = t * (square / (GROUPS * (GROUPS - 1)) as f64).sqrt();
        Estimate { value, low: value - half, high: value + half }
    };
    let m = all.f / (2.0 * all.n);
    Some(Indices {
        mean: mean + m,
        variance: all.ff / (2.0 * all.n) - m * m,
        first: (0..parameters).map(|i| estimate(i, false)).collect(),
        total: (0..parameters).map(|i| estimate(i, true)).collect(),
    })
}

/// Elementary effects of one parameter on one quantity, for the whole range of the parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Effects {
    /// Their mean.
    pub mean: f64,
    /// The mean of their magnitudes, with its interval.
    pub magnitude: Estimate,
    /// Their standard deviation: large where the parameter interacts or acts nonlinearly.
    pub spread: f64,
}

/// The points of Morris's design: `parameters + 1` for each trajectory; and the parameter that each step moves.
#[must_use]
pub fn morris_points(parameters: usize, trajectories: usize, seed: u64) -> (Vec<Vec<f64>>, Vec<usize>) {
    let delta = 0.5 * f64::from(LEVELS) / f64::from(LEVELS - 1);
    let (mut points, mut moved) = (Vec::new(), Vec::new());
    for r in 0..trajectories {
        let u = |k: usize| uniform(seed, r as u32, k, "morris");
        // Levels from which the step stays inside of the cube.
        let low = LEVELS / 2;
        let mut at: Vec<f64> = (0..parameters)
            .map(|i| (u(i) * f64::from(low)).floor().min(f64::from(low - 1)) / f64::from(LEVELS - 1))
            .collect();
        // Half of them begin above and go down.
        let down: Vec<bool> = (0..parameters).map(|i| u(parameters + i) < 0.5).collect();
        for (x, down) in at.iter_mut().zip(&down) {
            if *down {
                *x += delta;
            }
        }
        let mut order: Vec<usize> = (0..parameters).collect();
        order.sort_by(|&i, &j| u(2 * parameters + i).total_cmp(&u(2 * parameters + j)).then(i.cmp(&j)));
        points.push(at.clone());
        for &i in &order {
            at[i] += if down[i] { -delta } else { delta };
            points.push(at.clone());
            moved.push(i);
        }
    }
    (points, moved)
}

/// The effects from the values at [`morris_points`]. Steps from or to a value that is no number are left out; `None` where
/// a parameter has fewer than two.
#[must_use]
pub fn morris(
    values: &[f64],
    points: &[Vec<f64>],
    moved: &[usize],
    parameters: usize,
    confidence: f64,
) -> Option<Vec<Effects>> {
    let mut effects: Vec<Vec<f64>> = vec![Vec::new(); parameters];
    for (r, (v, p)) in
        values.chunks_exact(parameters + 1).zip(points.chunks_exact(parameters + 1)).enumerate()
    {
        for k in 0..parameters {
            let i = moved[r * parameters + k];
            let effect = (v[k + 1] - v[k]) / (p[k + 1][i] - p[k][i]);
            if effect.is_finite() {
                effects[i].push(effect);
            }
        }
    }
    let of = |e: &Vec<f64>| {
        let n = e.len() as f64;
        if e.len() < 2 {
            return None;
        }
        let mean = e.iter().sum::<f64>() / n;
        let spread = (e.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        let size = e.iter().map(|x| x.abs()).sum::<f64>() / n;
        let deviation = (e.iter().map(|x| (x.abs() - size).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        let half = student::quantile(confidence, n - 1.0) * deviation / n.sqrt();
        let magnitude = Estimate { value: size, low: (size - half).max(0.0), high: size + half };
        Some(Effects { mean, magnitude, spread })
    };
    effects.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    #![allow(
        clippy::disallowed_methods,
        reason = "test functions are computed with the host's own functions"
    )]
    use super::*;
    use std::f64::consts::PI;

    /// How often each index lies in its interval, of 100 seeds.
    fn coverage(f: &dyn Fn(&[f64]) -> f64, first: &[f64], total: &[f64], points: usize) -> Vec<u32> {
        let n = first.len();
        let mut hits = vec![0; 2 * n];
        for seed in 0..100 {
            let values: Vec<f64> = sobol_points(n, points, seed).iter().map(|u| f(u)).collect();
            let found = sobol(&values, n, 0.95).unwrap();
            let within = |e: &Estimate, x: f64| u32::from(e.low <= x && x <= e.high);
            for i in 0..n {
                hits[i] += within(&found.first[i], first[i]);
                hits[n + i] += within(&found.total[i], total[i]);
            }
        }
        hits
    }

    /// Ishigami and Homma (1990) with a = 7, b = 0.1; indices in closed form.
    #[test]
    fn indices_of_the_ishigami_function() {
        let f = |u: &[f64]| {
            let x: Vec<f64> = u.iter().map(|u| PI * (2.0 * u - 1.0)).collect();
            x[0].sin() + 7.0 * x[1].sin().powi(2) + 0.1 * x[2].powi(4) * x[0].sin()
        };
        let (a, b) = (7.0, 0.1);
        let v1 = 0.5 * (1.0 + b * PI.powi(4) / 5.0).powi(2);
        let v2 = a * a / 8.0;
        let v13 = b * b * PI.powi(8) * (1.0 / 18.0 - 1.0 / 50.0);
        let v = v1 + v2 + v13;
        let hits = coverage(&f, &[v1 / v, v2 / v, 0.0], &[(v1 + v13) / v, v2 / v, v13 / v], 1000);
        assert!(hits.iter().all(|h| *h >= 95), "{hits:?}");
    }

    /// Sobol's g function with a = (0, 1, 4.5, 9, 99, 99).
    #[test]
    fn indices_of_the_g_function() {
        let a = [0.0, 1.0, 4.5, 9.0, 99.0, 99.0];
        let f = |u: &[f64]| u.iter().zip(a).map(|(u, a)| ((4.0 * u - 2.0).abs() + a) / (1.0 + a)).product();
        let part = a.map(|a: f64| 1.0 / (3.0 * (1.0 + a) * (1.0 + a)));
        let v: f64 = part.iter().map(|p| 1.0 + p).product::<f64>() - 1.0;
        let first: Vec<f64> = part.iter().map(|p| p / v).collect();
        let total: Vec<f64> =
            part.iter().map(|p| p * part.iter().map(|q| 1.0 + q).product::<f64>() / (1.0 + p) / v).collect();
        let hits = coverage(&f, &first, &total, 1000);
        assert!(hits.iter().all(|h| *h >= 95), "{hits:?}");
    }

    #[test]
    fn effects_of_a_simple_function() {
        // Linear in the first, an interaction of the second and third, nothing of the fourth.
        let f = |u: &[f64]| 3.0 * u[0] + 2.0 * u[1] * u[2];
        let (points, moved) = morris_points(4, 50, 1);
        assert_eq!(points.len(), 250);
        assert!(points.iter().flatten().all(|x| (-1e-12..=1.0 + 1e-12).contains(x)));
        let values: Vec<f64> = points.iter().map(|u| f(u)).collect();
        let e = morris(&values, &points, &moved, 4, 0.95).unwrap();
        assert!((e[0].mean - 3.0).abs() < 1e-9 && e[0].spread < 1e-9);
        assert!((e[1].mean - 1.0).abs() < 0.3 && e[1].spread > 0.3);
        assert!(e[1].magnitude.low < 1.0 && e[1].magnitude.high > 1.0);
        assert_eq!((e[3].mean, e[3].spread), (0.0, 0.0));
    }
}
