//! Draws: a distribution with its numbers becomes a weighted list of simple laws, one of which is drawn from by
//! inversion. Truncation narrows the laws of the list and weighs them anew, so that no draw is ever thrown away.

use twinml_model::behavior::{Behavior, Dist, Reg};

use super::fault::FaultKind;
use super::random::{self, Side};
use super::streams;
use super::value::Value;
use super::vm::{R, Vm, number, reg, shown, text, wrong};

/// A law with its weight.
struct Part<'d> {
    weight: f64,
    law: Law<'d>,
}

enum Law<'d> {
    /// A named law between two ends.
    Named { name: &'d str, args: Vec<f64>, lo: f64, hi: f64 },
    /// Values with their weights.
    Values(Vec<(Value, f64)>),
}

impl<'d> Law<'d> {
    /// Narrows the law; the share of its probability that is left.
    fn cut(&mut self, from: f64, to: f64) -> Option<f64> {
        match self {
            Law::Named { name, args, lo, hi } => {
                let before = between(name, args, *lo, *hi)?;
                (*lo, *hi) = (lo.max(from), hi.min(to));
                let left = if *lo <= *hi { between(name, args, *lo, *hi)? } else { 0.0 };
                Some(left / before)
            }
            Law::Values(list) => {
                let total: f64 = list.iter().map(|v| v.1).sum();
                list.retain(|(v, _)| number(v).is_ok_and(|x| from <= x && x <= to));
                Some(list.iter().map(|v| v.1).sum::<f64>() / total)
            }
        }
    }

    /// The law's value for `u`, strictly between 0 and 1.
    fn at(&self, u: f64) -> Option<Value> {
        match self {
            Law::Named { name, args, lo, hi } => {
                let whole = *lo == f64::NEG_INFINITY && *hi == f64::INFINITY;
                if whole || random::only(name, args).is_some() {
                    return random::quantile(name, args, u, Side::Below).map(Value::Num);
                }
                // Counted from the end that is nearer, so that far tails keep their digits.
                let below = random::probability(name, args, *lo, Side::Below)?;
                let (side, near, far) = if below < 0.5 {
                    (Side::Below, below, random::probability(name, args, *hi, Side::Below)?)
                } else {
                    let [hi, lo] = [*hi, *lo].map(|x| random::probability(name, args, x, Side::Above));
                    (Side::Above, hi?, lo?)
                };
                let p = near + u * (far - near);
                let x = if p <= 0.0 {
                    if side == Side::Below { *lo } else { *hi }
                } else if p >= 1.0 {
                    if side == Side::Below { *hi } else { *lo }
                } else {
                    random::quantile(name, args, p, side)?
                };
                Some(Value::Num(x.clamp(*lo, *hi)))
            }
            Law::Values(list) => {
                let total: f64 = list.iter().map(|v| v.1).sum();
                let mut left = u * total;
                for (v, w) in list {
                    if left < *w {
                        return Some(v.clone());
                    }
                    left -= w;
                }
                list.iter().rev().find(|v| v.1 > 0.0).map(|v| v.0.clone())
            }
        }
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

/// As the modeller wrote it, with its numbers.
fn written(behavior: &Behavior, d: &Dist, regs: &[Value]) -> String {
    let show = |r: &Reg| match reg(regs, *r) {
        Value::Num(x) => shown(*x),
        v => text(behavior, v),
    };
    let inner = |d: &Dist| written(behavior, d, regs);
    match d {
        Dist::Named(name, args) => {
            format!("{name}({})", args.iter().map(show).collect::<Vec<_>>().join(", "))
        }
        Dist::Discrete(values, weights) => {
            let weights = weights.as_ref().map(|w| format!(", weights: {}", show(w))).unwrap_or_default();
            format!("discrete({}{weights})", show(values))
        }
        Dist::Truncated(of, lo, hi) => format!("truncated({}, {}, {})", inner(of), show(lo), show(hi)),
        Dist::Mixture(parts, weights) => {
            let parts = parts.iter().map(inner).collect::<Vec<_>>().join(", ");
            let weights = weights.as_ref().map(|w| format!(", weights: {}", show(w))).unwrap_or_default();
            format!("mixture([{parts}]{weights})")
        }
        Dist::Samples(list) => format!("empirical({} values)", list.len()),
    }
}

/// Weights from a register: as many as wanted, none negative, not all 0.
fn weights(r: Option<Reg>, wanted: usize, regs: &[Value]) -> R<Option<Vec<f64>>> {
    let Some(r) = r else { return Ok(Some(vec![1.0; wanted])) };
    let Value::List(items) = reg(regs, r) else { return Err(wrong("a list", reg(regs, r))) };
    let list: Vec<f64> = items.iter().map(number).collect::<R<_>>()?;
    let total: f64 = list.iter().sum();
    let good = list.len() == wanted && total > 0.0 && total.is_finite() && list.iter().all(|w| *w >= 0.0);
    Ok(good.then_some(list))
}

/// The laws that a distribution consists of; `None`: it is none.
fn parts<'d>(d: &'d Dist, regs: &[Value]) -> R<Option<Vec<Part<'d>>>> {
    Ok(match d {
        Dist::Named(name, args) => {
            let args: Vec<f64> = args.iter().map(|r| number(reg(regs, *r))).collect::<R<_>>()?;
            let (lo, hi) = (f64::NEG_INFINITY, f64::INFINITY);
            random::quantile(name, &args, 0.5, Side::Below)
                .map(|_| vec![Part { weight: 1.0, law: Law::Named { name, args, lo, hi } }])
        }
        Dist::Discrete(values, w) => {
            let Value::List(values) = reg(regs, *values) else {
                return Err(wrong("a list", reg(regs, *values)));
            };
            let w = weights(*w, values.len(), regs)?.filter(|_| !values.is_empty());
            w.map(|w| {
                let list = values.iter().cloned().zip(w).collect();
                vec![Part { weight: 1.0, law: Law::Values(list) }]
            })
        }
        Dist::Samples(list) => {
            let list = list.iter().map(|x| (Value::Num(*x), 1.0)).collect();
            Some(vec![Part { weight: 1.0, law: Law::Values(list) }])
        }
        Dist::Mixture(list, w) => {
            let Some(w) = weights(*w, list.len(), regs)? else { return Ok(None) };
            let total: f64 = w.iter().sum();
            let mut out = Vec::with_capacity(list.len());
            for (d, w) in list.iter().zip(w) {
                let Some(inner) = parts(d, regs)? else { return Ok(None) };
                out.extend(inner.into_iter().map(|p| Part { weight: p.weight * w / total, ..p }));
            }
            Some(out)
        }
        Dist::Truncated(of, lo, hi) => {
            let (lo, hi) = (number(reg(regs, *lo))?, number(reg(regs, *hi))?);
            let Some(mut list) = parts(of, regs)?.filter(|_| lo <= hi) else { return Ok(None) };
            for p in &mut list {
                let Some(left) = p.law.cut(lo, hi) else { return Ok(None) };
                p.weight *= left;
            }
            list.retain(|p| p.weight > 0.0);
            let total: f64 = list.iter().map(|p| p.weight).sum();
            if list.is_empty() {
                return Ok(None);
            }
            list.iter_mut().for_each(|p| p.weight /= total);
            Some(list)
        }
    })
}

impl Vm<'_, '_> {
    /// `draw(…)`: the next number of the stream of this handler of this twin.
    pub(super) fn draw(&mut self, d: &Dist, regs: &[Value]) -> R<Value> {
        let [u, v] = self.uniforms();
        let bad = || FaultKind::Distribution { text: written(self.behavior, d, regs) };
        match d {
            Dist::Named(name, args) => {
                let args: Vec<f64> = args.iter().map(|r| number(reg(regs, *r))).collect::<R<_>>()?;
                if let ("bernoulli", &[p]) = (&**name, &args[..]) {
                    return if (0.0..=1.0).contains(&p) { Ok(Value::Bool(u < p)) } else { Err(bad()) };
                }
                random::quantile(name, &args, u, Side::Below).map(Value::Num).ok_or_else(bad)
            }
            Dist::Samples(list) => {
                let at = (u * list.len() as f64) as usize;
                list.get(at).or(list.last()).map(|x| Value::Num(*x)).ok_or_else(bad)
            }
            d => {
                let list = parts(d, regs)?.ok_or_else(bad)?;
                let [one] = &list[..] else {
                    let mut left = u;
                    for p in &list {
                        if left < p.weight {
                            return p.law.at(v).ok_or_else(bad);
                        }
                        left -= p.weight;
                    }
                    return list.last().and_then(|p| p.law.at(v)).ok_or_else(bad);
                };
                one.law.at(u).ok_or_else(bad)
            }
        }
    }

    /// Two numbers of the stream.
    fn uniforms(&mut self) -> [f64; 2] {
        let (behavior, (purpose, instance)) = (self.behavior, self.stream);
        let fresh = || (streams::stream(behavior, purpose, instance), 0);
        let entry = self.store.draws.entry((purpose, instance)).or_insert_with(fresh);
        let n = entry.1;
        entry.1 = n.wrapping_add(1);
        random::uniforms(self.store.seed, self.store.run, entry.0, n)
    }
}
