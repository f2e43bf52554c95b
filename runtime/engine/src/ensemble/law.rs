//! Distributions with their numbers, inverted: where a probability stands.
//!
//! A law is a weighted list of simple ones, each narrowed by what truncates it, so no draw is thrown away. Probabilities
//! are counted from the side where they are small, so that far tails keep their digits.

use std::sync::Arc;

use crate::behavior::random::{self, Side};
use twinml_model::draws::Law;

/// A law that can be drawn from.
#[derive(Clone, Debug)]
pub struct Made(Vec<Part>);

#[derive(Clone, Debug)]
struct Part {
    weight: f64,
    simple: Simple,
}

#[derive(Clone, Debug)]
enum Simple {
    /// A named law between two ends, with the probability between them.
    Named { name: Arc<str>, args: Vec<f64>, lo: f64, hi: f64, between: f64 },
    /// Values in rising order with the probability of each; together 1.
    Values(Vec<(f64, f64)>),
}

/// A probability, counted from one side.
#[derive(Clone, Copy, Debug)]
pub struct Probability {
    /// From which side.
    pub side: Side,
    /// The probability, strictly between 0 and 1.
    pub p: f64,
}

impl Probability {
    /// `u` counted from below, from whichever side it is small.
    #[must_use]
    pub fn of(u: f64) -> Probability {
        if u <= 0.5 {
            Probability { side: Side::Below, p: u }
        } else {
            Probability { side: Side::Above, p: 1.0 - u }
        }
    }

    /// The probability that lies below.
    #[must_use]
    pub fn below(self) -> f64 {
        if self.side == Side::Below { self.p } else { 1.0 - self.p }
    }

    /// The standard normal number that leaves it.
    #[must_use]
    pub fn normal(self) -> f64 {
        let z = random::normal(self.p);
        if self.side == Side::Below { z } else { -z }
    }

    /// The probability that a standard normal number is below `z`.
    #[must_use]
    pub fn of_normal(z: f64) -> Probability {
        let side = if z <= 0.0 { Side::Below } else { Side::Above };
        let p = random::probability("normal", &[0.0, 1.0], z, side).unwrap_or(0.5);
        // Beyond the range of doubles nothing is left; a draw stays a draw.
        Probability { side, p: p.max(f64::MIN_POSITIVE) }
    }
}

/// Probability between two ends, both included.
fn between(name: &str, args: &[f64], lo: f64, hi: f64) -> Option<f64> {
    if lo == f64::NEG_INFINITY && hi == f64::INFINITY {
        return Some(1.0);
    }
    if let Some(at) = random::only(name, args) {
        return Some(f64::from(u8::from(lo <= at && at <= hi)));
    }
    let p = |x: f64, side| match x {
        f64::NEG_INFINITY => Some(if side == Side::Below { 0.0 } else { 1.0 }),
        f64::INFINITY => Some(if side == Side::Below { 1.0 } else { 0.0 }),
        x => random::probability(name, args, x, side),
    };
    let below = p(lo, Side::Below)?;
    Some(if below < 0.5 { p(hi, Side::Below)? - below } else { p(lo, Side::Above)? - p(hi, Side::Above)? })
}

/// Weights that sum to 1; none: all alike. `None` where they are no weights.
fn shares(weights: &[f64], wanted: usize) -> Option<Vec<f64>> {
    if weights.is_empty() {
        return Some(vec![1.0 / wanted as f64; wanted]);
    }
    let total: f64 = weights.iter().sum();
    let good =
        weights.len() == wanted && total > 0.0 && total.is_finite() && weights.iter().all(|w| *w >= 0.0);
    good.then(|| weights.iter().map(|w| w / total).collect())
}

fn values(list: &[f64], weights: &[f64]) -> Option<Simple> {
    if list.is_empty() || list.iter().any(|x| !x.is_finite()) {
        return None;
    }
    let mut pairs: Vec<(f64, f64)> = list.iter().copied().zip(shares(weights, list.len())?).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    Some(Simple::Values(pairs))
}

impl Made {
    /// A law from its numbers; `None` where they are outside of what the law allows.
    #[must_use]
    pub fn new(law: &Law<f64>) -> Option<Made> {
        let one = |simple| Some(Made(vec![Part { weight: 1.0, simple }]));
        match law {
            Law::Named(name, args) if &**name == "bernoulli" => match args[..] {
                [p] if (0.0..=1.0).contains(&p) => one(values(&[0.0, 1.0], &[1.0 - p, p])?),
                _ => None,
            },
            Law::Named(name, args) => {
                random::quantile(name, args, 0.5, Side::Below)?;
                let (lo, hi) = (f64::NEG_INFINITY, f64::INFINITY);
                one(Simple::Named { name: name.clone(), args: args.clone(), lo, hi, between: 1.0 })
            }
            Law::Discrete(list, weights) => one(values(list, weights)?),
            Law::Samples(list) => one(values(list, &[])?),
            Law::Mixture(parts, weights) => {
                let mut out = Vec::new();
                for (law, share) in parts.iter().zip(shares(weights, parts.len())?) {
                    let inner = Made::new(law)?;
                    out.extend(inner.0.into_iter().map(|p| Part { weight: p.weight * share, ..p }));
                }
                out.retain(|p| p.weight > 0.0);
                (!out.is_empty()).then_some(Made(out))
            }
            Law::Truncated(of, lo, hi) => Made::new(of).filter(|_| lo <= hi)?.cut(*lo, *hi),
        }
    }

    fn cut(mut self, from: f64, to: f64) -> Option<Made> {
        for p in &mut self.0 {
            let left = match &mut p.simple {
                Simple::Named { name, args, lo, hi, between: share } => {
                    (*lo, *hi) = (lo.max(from), hi.min(to));
                    let left = if *lo <= *hi { between(name, args, *lo, *hi)? } else { 0.0 };
                    let part = left / *share;
                    *share = left;
                    part
                }
                Simple::Values(list) => {
                    list.retain(|(x, _)| from <= *x && *x <= to);
                    let left: f64 = list.iter().map(|v| v.1).sum();
                    list.iter_mut().for_each(|v| v.1 /= left);
                    left
                }
            };
            p.weight *= left;
        }
        self.0.retain(|p| p.weight > 0.0);
        let total: f64 = self.0.iter().map(|p| p.weight).sum();
        self.0.iter_mut().for_each(|p| p.weight /= total);
        (!self.0.is_empty()).then_some(self)
    }

    /// The value that leaves the probability on its side.
    #[must_use]
    pub fn at(&self, u: Probability) -> Option<f64> {
        if let [one] = &self.0[..] {
            return one.simple.at(u);
        }
        // The values of the parts enclose that of the whole, whose probability rises.
        let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
        for p in &self.0 {
            let x = p.simple.at(u)?;
            (lo, hi) = (lo.min(x), hi.max(x));
        }
        let reached = |x: f64| {
            let mut sum = 0.0;
            for p in &self.0 {
                sum += p.weight * p.simple.probability(x, u.side)?;
            }
            Some(if u.side == Side::Below { sum >= u.p } else { sum <= u.p })
        };
        if reached(lo)? {
            return Some(lo);
        }
        // `lo` is not reached, `hi` is: down to neighbouring doubles, or nearly.
        for _ in 0..200 {
            let mid = lo + 0.5 * (hi - lo);
            if mid <= lo || mid >= hi {
                break;
            }
            if reached(mid)? { hi = mid } else { lo = mid }
        }
        Some(hi)
    }
}

impl Simple {
    fn at(&self, u: Probability) -> Option<f64> {
        match self {
            Simple::Named { name, args, lo, hi, between } => {
                let whole = *lo == f64::NEG_INFINITY && *hi == f64::INFINITY;
                if whole || random::only(name, args).is_some() {
                    return random::quantile(name, args, u.p, u.side);
                }
                // Counted from the end that is nearer to where the law has little.
                let below = random::probability(name, args, *lo, Side::Below)?;
                let part = |side: Side| if u.side == side { u.p * between } else { (1.0 - u.p) * between };
                let (p, side) = if below < 0.5 {
                    (below + part(Side::Below), Side::Below)
                } else {
                    (random::probability(name, args, *hi, Side::Above)? + part(Side::Above), Side::Above)
                };
                let x = if p <= 0.0 {
                    if side == Side::Below { *lo } else { *hi }
                } else if p >= 1.0 {
                    if side == Side::Below { *hi } else { *lo }
                } else {
                    random::quantile(name, args, p, side)?
                };
                Some(x.clamp(*lo, *hi))
            }
            Simple::Values(list) => {
                let below = u.below();
                let mut sum = 0.0;
                for (x, w) in list {
                    sum += w;
                    if below <= sum && *w > 0.0 {
                        return Some(*x);
                    }
                }
                list.iter().rev().find(|v| v.1 > 0.0).map(|v| v.0)
            }
        }
    }

    /// Probability of a value at most `x` (or, from above, of a greater one).
    fn probability(&self, x: f64, side: Side) -> Option<f64> {
        match self {
            Simple::Named { name, args, lo, hi, between: share } => {
                let part = match side {
                    Side::Below if x < *lo => 0.0,
                    Side::Below => between(name, args, *lo, x.min(*hi))?,
                    Side::Above if x >= *hi => 0.0,
                    Side::Above => between(name, args, x.max(*lo), *hi)?,
                };
                Some(part / share)
            }
            Simple::Values(list) => {
                let on = |v: &&(f64, f64)| if side == Side::Below { v.0 <= x } else { v.0 > x };
                Some(list.iter().filter(on).map(|v| v.1).sum())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, args: &[f64]) -> Law<f64> {
        Law::Named(Arc::from(name), args.to_vec())
    }

    fn at(law: &Law<f64>, u: f64) -> f64 {
        Made::new(law).expect("a law").at(Probability::of(u)).expect("a value")
    }

    #[test]
    fn truncation_keeps_the_shape() {
        let law = Law::Truncated(Box::new(named("normal", &[0.0, 1.0])), 8.0, 9.0);
        // Far in the tail the law between 8 and 9 is nearly exponential; its median follows from the tails
        // Q(8) = 6.220960574271786e-16 and Q(9) = 1.1285884059538405e-19 (Abramowitz & Stegun 26.2).
        let median = at(&law, 0.5);
        let tail = random::probability("normal", &[0.0, 1.0], median, Side::Above).expect("known");
        let want = 0.5 * (6.220_960_574_271_786e-16 + 1.128_588_405_953_840_5e-19);
        assert!((tail / want - 1.0).abs() < 1e-9, "{median}: {tail}");
        let law = Law::Truncated(Box::new(named("uniform", &[0.0, 10.0])), 2.0, f64::INFINITY);
        assert!((at(&law, 0.25) - 4.0).abs() < 1e-12);
        assert!(Made::new(&Law::Truncated(Box::new(named("uniform", &[0.0, 1.0])), 2.0, 3.0)).is_none());
    }

    #[test]
    fn a_mixture_is_inverted_as_a_whole() {
        let law = Law::Mixture(
            vec![named("normal", &[0.0, 1.0]), named("exponential", &[2.0]), named("normal", &[50.0, 1.0])],
            vec![3.0, 2.0, 5.0],
        );
        let made = Made::new(&law).expect("a law");
        let mut before = f64::NEG_INFINITY;
        for k in 1..200 {
            let u = f64::from(k) / 200.0;
            let x = made.at(Probability::of(u)).expect("a value");
            let f: f64 =
                made.0.iter().map(|p| p.weight * p.simple.probability(x, Side::Below).expect("known")).sum();
            assert!((f - u).abs() < 1e-12, "{u}: {x} {f}");
            assert!(x > before);
            before = x;
        }
        // A point in the middle of something smooth.
        let law = Law::Mixture(vec![named("uniform", &[0.0, 1.0]), Law::Discrete(vec![0.5], vec![])], vec![]);
        assert_eq!(at(&law, 0.5), 0.5);
        assert_eq!(at(&law, 0.74), 0.5);
        assert!((at(&law, 0.875) - 0.75).abs() < 1e-12);
    }

    #[test]
    fn values_are_drawn_by_weight_in_their_order() {
        let law = Law::Discrete(vec![3.0, 1.0, 2.0], vec![0.5, 0.25, 0.25]);
        assert_eq!([0.2, 0.3, 0.49, 0.51, 0.99].map(|u| at(&law, u)), [1.0, 2.0, 2.0, 3.0, 3.0]);
        assert_eq!([0.2, 0.8].map(|u| at(&named("bernoulli", &[0.3]), u)), [0.0, 1.0]);
        assert!(Made::new(&named("bernoulli", &[1.3])).is_none());
        assert!(Made::new(&Law::Discrete(vec![1.0], vec![-1.0])).is_none());
        let law = Law::Samples(Arc::from([1.0, 2.0, 4.0, 8.0]));
        assert_eq!([0.1, 0.3, 0.6, 0.9].map(|u| at(&law, u)), [1.0, 2.0, 4.0, 8.0]);
    }
}
