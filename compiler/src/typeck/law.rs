//! Distributions whose numbers are no such distribution: known before the run where they are constants.

use super::constant::number;
use crate::hir::{Distribution, Expr, ExprKind};
use crate::source::Span;

/// What is wrong with the numbers of a distribution, and where. What only a run knows is left to it.
pub(super) fn fault(d: &Distribution) -> Option<(Span, &'static str)> {
    const SPREAD: &str = "a standard deviation is 0 or more";
    const ENDS: &str = "the upper end lies below the lower one";
    let at = |k: usize| d.args.get(k).and_then(number).map(|x| (x, d.args[k].span));
    let want = |k: usize, good: fn(f64) -> bool, text| {
        at(k).filter(|(x, _)| !good(*x)).map(|(_, span)| (span, text))
    };
    let ordered = |lo: usize, hi: usize, text| match (at(lo), at(hi)) {
        (Some((a, _)), Some((b, span))) if a > b => Some((span, text)),
        _ => None,
    };
    let no_less = |k, text| want(k, |x| x >= 0.0, text);
    let more = |k, text| want(k, |x| x > 0.0, text);
    match &*d.name {
        _ if d.relative => no_less(0, SPREAD),
        "normal" => no_less(1, SPREAD),
        "lognormal" => more(0, "the mean of a `lognormal` is greater than 0").or_else(|| no_less(1, SPREAD)),
        "uniform" => ordered(0, 1, ENDS),
        "triangular" => ordered(0, 1, "the mode lies below the lower end")
            .or_else(|| ordered(1, 2, "the upper end lies below the mode"))
            .or_else(|| ordered(0, 2, ENDS)),
        "exponential" => no_less(0, "the mean of an `exponential` is 0 or more"),
        "weibull" | "gamma" => {
            more(0, "a shape is greater than 0").or_else(|| no_less(1, "a scale is 0 or more"))
        }
        "beta" => more(0, "a shape is greater than 0")
            .or_else(|| more(1, "a shape is greater than 0"))
            .or_else(|| ordered(2, 3, ENDS)),
        "bernoulli" => want(0, |p| (0.0..=1.0).contains(&p), "a probability is between 0 and 1"),
        "truncated" => ordered(0, 1, ENDS),
        "discrete" => d.args.get(1).and_then(weights),
        "mixture" => d.args.first().and_then(weights),
        _ => None,
    }
}

fn weights(list: &Expr) -> Option<(Span, &'static str)> {
    let ExprKind::Array(items) = &list.kind else { return None };
    let known: Vec<f64> = items.iter().map(number).collect::<Option<_>>()?;
    if let Some(k) = known.iter().position(|w| *w < 0.0) {
        return Some((items[k].span, "a weight is 0 or more"));
    }
    (known.iter().sum::<f64>() <= 0.0).then_some((list.span, "one weight at least is greater than 0"))
}
