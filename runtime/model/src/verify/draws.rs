//! Invariants of draws. What passes here draws for slots and from arguments that exist.
//!
//! 1. The instances of a family number the product of its rounds, at least one; its elements are the quantity's.
//! 2. Slots have a stride for each loop; what is drawn and every argument that is a parameter lie inside `Param`.
//! 3. Named distributions have as many arguments as the language gives them; lists of weights are empty or as long as
//!    what is weighed; measured values rise.
//! 4. No draw has two values: families write no slot twice.
//! 5. Correlations join draws that exist, and are those of random numbers.

use super::error::{Problem, VerifyError};
use super::{origin, slots};
use crate::draws::{Arg, Family, Law, Slot, groups};
use crate::ir::Space;
use crate::program::Program;

/// Deepest nesting of distributions in distributions.
const NESTING: u32 = 64;

type V = Result<(), Problem>;

fn holds(condition: bool, what: &'static str) -> V {
    if condition { Ok(()) } else { Err(Problem::Draws(what)) }
}

/// Checks what a program draws, but for its kernel.
pub(super) fn draws(program: &Program) -> Result<(), VerifyError> {
    let d = &program.draws;
    let mut taken = vec![false; program.sizes.param as usize];
    for (k, f) in d.families.iter().enumerate() {
        let at = |p| VerifyError::new(format!("draw {k}"), p);
        family(program, f).map_err(at)?;
        for j in 0..f.len {
            let slot = f.slot_of(&f.slot, j).and_then(|s| taken.get_mut(s as usize));
            let free = slot.is_some_and(|s| !std::mem::replace(s, true));
            holds(free, "a slot that is drawn twice").map_err(at)?;
        }
    }
    let count = d.len() as u64;
    for (k, c) in d.correlations.iter().enumerate() {
        let at = |p| VerifyError::new(format!("correlation {k}"), p);
        let fits = u64::from(c.a) < count && u64::from(c.b) < count && c.a != c.b;
        holds(fits, "it joins no two draws").map_err(at)?;
    }
    groups(&d.correlations).map_err(|e| {
        let what = "no random numbers are correlated like this";
        VerifyError::new(format!("correlation {}", e.correlation), Problem::Draws(what))
    })?;
    Ok(())
}

fn family(program: &Program, f: &Family) -> V {
    let known = program.schema.vars.get(f.var.index()).map_or(0, |v| v.len);
    let rounds = f.nest.iter().try_fold(1u32, |n, (rounds, _)| n.checked_mul(*rounds));
    let (least, most) = corners(i64::from(f.first), f.nest.iter().copied());
    if rounds != Some(f.len) || f.len == 0 || least < 0 || most >= i128::from(known) {
        return Err(Problem::RangeElements { var: f.var, len: known });
    }
    origin(program, f.origin)?;
    slot(program, f, &f.slot)?;
    law(program, f, &f.law, 0)
}

/// The least and the greatest of `first + Σ round·stride`.
fn corners(first: i64, nest: impl Iterator<Item = (u32, i64)>) -> (i128, i128) {
    let (mut least, mut most) = (i128::from(first), i128::from(first));
    for (rounds, stride) in nest {
        let reach = i128::from(rounds.saturating_sub(1)) * i128::from(stride);
        if reach < 0 { least += reach } else { most += reach }
    }
    (least, most)
}

fn slot(program: &Program, f: &Family, s: &Slot) -> V {
    holds(s.strides.len() == f.nest.len(), "a slot without a stride for each loop")?;
    let (least, most) = corners(i64::from(s.base), f.nest.iter().map(|n| n.0).zip(s.strides.iter().copied()));
    let (Ok(least), Ok(most)) = (u32::try_from(least), u32::try_from(most)) else {
        return Err(Problem::AddressOverflow(Space::Param));
    };
    slots(program, Space::Param, least, 1)?;
    slots(program, Space::Param, most, 1)
}

fn law(program: &Program, f: &Family, l: &Law, depth: u32) -> V {
    holds(depth < NESTING, "distributions nest too deep")?;
    let args = |list: &[Arg]| {
        list.iter().try_for_each(|a| match a {
            Arg::Number(_) => Ok(()),
            Arg::Param(s) => slot(program, f, s),
        })
    };
    match l {
        Law::Named(name, list) => {
            let fits = match (&**name, list.len()) {
                ("exponential" | "bernoulli", n) => n == 1,
                ("normal" | "uniform" | "lognormal" | "gamma" | "weibull", n) => n == 2,
                ("triangular", n) => n == 3,
                ("beta", n) => n == 2 || n == 4,
                _ => false,
            };
            holds(fits, "a distribution of another name or number of arguments")?;
            args(list)
        }
        Law::Discrete(values, weights) => {
            let fits = !values.is_empty() && (weights.is_empty() || weights.len() == values.len());
            holds(fits, "weights of another number than the values")?;
            args(values)?;
            args(weights)
        }
        Law::Samples(list) => {
            let rise = list.windows(2).all(|w| w[0] <= w[1]) && list.iter().all(|x| x.is_finite());
            holds(rise && !list.is_empty(), "measured values that do not rise, or none")
        }
        Law::Truncated(of, lo, hi) => {
            args(&[lo.clone(), hi.clone()])?;
            law(program, f, of, depth + 1)
        }
        Law::Mixture(parts, weights) => {
            let fits = !parts.is_empty() && (weights.is_empty() || weights.len() == parts.len());
            holds(fits, "weights of another number than the distributions")?;
            args(weights)?;
            parts.iter().try_for_each(|p| law(program, f, p, depth + 1))
        }
    }
}
