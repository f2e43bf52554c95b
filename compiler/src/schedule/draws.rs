//! Draws: arguments that are formulas become hidden parameters, levels follow from who depends on whom, and each
//! element gets its slots.

use super::layout::Layout;
use super::literal;
use super::names;
use super::origins::Origins;
use super::ranges::numbered;
use crate::diag::{Diagnostic, Diagnostics, codes};
use crate::flat::{self, Affine, Expr, HIDDEN, Loop, Piece, Role, System, Var};
use crate::structural::{expr, sets};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use twinml_model::draws::{self, Arg, Correlation, Draws, Family, Law};
use twinml_model::ids::{Index, VarId};
use twinml_model::ir::Space;
use twinml_model::schema::{Kind, Segment};

/// A family of draws whose arguments are numbers or elements of parameters.
#[derive(Clone, Debug)]
pub struct Draw {
    of: flat::Draw,
    law: Law<At>,
    level: u32,
}

/// An argument.
#[derive(Clone, Debug)]
enum At {
    Number(f64),
    Element(VarId, Affine),
}

impl Draw {
    /// Where the value goes.
    fn target(&self) -> (VarId, &Affine) {
        match &self.of.into {
            Some((v, at)) => (*v, at),
            None => (self.of.var, &self.of.element),
        }
    }
}

/// Takes the draws out of the system. `None` where the diagnostics say why not.
pub fn extract(system: &mut System, diags: &mut Diagnostics) -> Option<Vec<Draw>> {
    let mut out = Vec::new();
    for d in std::mem::take(&mut system.draws) {
        let law = d.law.map(&mut |e| Some(argument(system, &d, e)));
        out.extend(law.map(|law| Draw { of: d, law, level: 0 }));
    }
    levels(system, &mut out, diags)?;
    Some(out)
}

/// A number, an element of a parameter, or a hidden parameter with the formula.
fn argument(system: &mut System, d: &flat::Draw, e: &Expr) -> At {
    if let Some(x) = literal(e) {
        return At::Number(x);
    }
    if let Expr::Var(v, at) = e
        && system.vars[v.index()].role == Role::Parameter
    {
        return At::Element(*v, at.clone());
    }
    // One value for all instances where none of the loops' indices is used.
    let loops: Vec<Loop> = if expr::index_bound(e, 0) > 0 { d.loops.clone() } else { Vec::new() };
    let len = sets::points(&loops).clamp(1, i64::from(u32::MAX)) as u32;
    let at = numbered(&loops);
    let piece = Piece { loops, element: at.clone(), expr: Expr::NoEvent(Box::new(e.clone())), span: d.span };
    let name = format!("{HIDDEN}argument{}", system.vars.len());
    let axes = if len == 1 { Vec::new() } else { vec![len] };
    let plain = Var::plain(vec![Segment { name, axes }], len, Role::Parameter, Kind::Real, d.span);
    system.vars.push(Var { value: vec![piece], ..plain });
    At::Element(VarId::new(system.vars.len() - 1), at)
}

/// How far down each parameter is in the chain of draws that depend on draws.
struct Depths<'s> {
    system: &'s System,
    /// Draws by the family that they write.
    by_target: FxHashMap<VarId, Vec<usize>>,
    known: FxHashMap<VarId, u32>,
    busy: Vec<VarId>,
}

impl Depths<'_> {
    /// The level that a draw with this parameter among its arguments has at least; `Err` holds a cycle.
    fn of(&mut self, v: VarId, draws: &[Draw]) -> Result<u32, Vec<VarId>> {
        if let Some(&level) = self.known.get(&v) {
            return Ok(level);
        }
        if let Some(from) = self.busy.iter().position(|b| *b == v) {
            return Err(self.busy[from..].to_vec());
        }
        self.busy.push(v);
        let mut level = 0;
        for k in self.by_target.get(&v).cloned().unwrap_or_default() {
            level = level.max(self.law(&draws[k].law, draws)? + 1);
        }
        let mut read = Vec::new();
        // What is drawn has no formula, or a nominal one that a job leaves out.
        if !self.by_target.contains_key(&v) {
            for p in &self.system.vars[v.index()].value {
                expr::uses(&p.expr, &mut |u| read.push(u.var));
            }
        }
        read.sort_unstable();
        read.dedup();
        for u in read {
            if self.system.vars[u.index()].role == Role::Parameter {
                level = level.max(self.of(u, draws)?);
            }
        }
        self.busy.pop();
        self.known.insert(v, level);
        Ok(level)
    }

    fn law(&mut self, law: &Law<At>, draws: &[Draw]) -> Result<u32, Vec<VarId>> {
        let mut families = Vec::new();
        law.each_arg(&mut |a| {
            if let At::Element(v, _) = a {
                families.push(*v);
            }
        });
        families.into_iter().try_fold(0, |most: u32, v| Ok(most.max(self.of(v, draws)?)))
    }
}

fn levels(system: &System, draws: &mut [Draw], diags: &mut Diagnostics) -> Option<()> {
    let mut by_target: FxHashMap<VarId, Vec<usize>> = FxHashMap::default();
    for (k, d) in draws.iter().enumerate() {
        by_target.entry(d.target().0).or_default().push(k);
    }
    let mut depths = Depths { system, by_target, known: FxHashMap::default(), busy: Vec::new() };
    let mut found = Vec::with_capacity(draws.len());
    for d in draws.iter() {
        match depths.law(&d.law, draws) {
            Ok(level) => found.push(level),
            Err(cycle) => {
                let mut shown: Vec<String> = cycle
                    .iter()
                    .filter(|v| !system.vars[v.index()].path[0].name.starts_with(HIDDEN))
                    .map(|v| format!("`{}`", names::family(&system.vars[v.index()])))
                    .collect();
                shown.dedup();
                let d = Diagnostic::new(
                    codes::PARAMETER_CYCLE,
                    d.of.span,
                    format!("these parameters are drawn from one another: {}", shown.join(", ")),
                )
                .here("part of the cycle")
                .help("correlate them instead: `correlate(a, b: 0.7)`");
                diags.push(d);
                return None;
            }
        }
    }
    for (d, level) in draws.iter_mut().zip(found) {
        d.level = level;
    }
    Some(())
}

/// The hidden families whose formulas give nominal values of what is drawn.
pub fn nominals(draws: &[Draw]) -> FxHashSet<VarId> {
    draws.iter().filter_map(|d| d.of.into.as_ref().map(|i| i.0)).collect()
}

/// A slot as its first place and a stride for each loop.
fn slot(base: u32, at: &Affine, loops: &[Loop]) -> Option<draws::Slot> {
    let mut first = i64::from(base) + at.base;
    let mut strides = Vec::with_capacity(loops.len());
    for l in loops {
        let stride: i64 = at.terms.iter().filter(|(i, _)| *i == l.index).map(|(_, k)| *k).sum();
        first += stride * l.lo;
        strides.push(stride);
    }
    Some(draws::Slot { base: u32::try_from(first).ok()?, strides })
}

/// The draws with their slots, and the correlations between them, without their kernel.
pub fn finish(
    list: &[Draw],
    correlations: &[flat::Correlation],
    shown: &[Option<VarId>],
    layout: &Layout,
    origins: &mut Origins,
    diags: &mut Diagnostics,
) -> Draws {
    let mut out = Draws::default();
    let mut numbers: BTreeMap<(VarId, i64), u32> = BTreeMap::new();
    let mut count = 0u32;
    for d in list {
        let family = family(d, shown, layout, origins);
        let Some(family) = family else {
            let what = "what is drawn here depends on what only the start of a run determines";
            diags.push(
                Diagnostic::new(codes::BAD_DISTRIBUTION, d.of.span, what)
                    .note("samples are drawn before a run begins, when only parameters are known"),
            );
            continue;
        };
        for j in 0..family.len {
            let element = family.element(j).unwrap_or_default();
            numbers.insert((d.of.var, i64::from(element)), count + j);
        }
        count += family.len;
        out.families.push(family);
    }
    let mut places = Vec::new();
    for c in correlations {
        for point in 0..sets::points(&c.loops) {
            let at = |i| coordinate(&c.loops, point, i);
            let of = |(v, e): &(VarId, Affine)| numbers.get(&(*v, e.eval(at))).copied();
            // What an override fixed is no longer drawn.
            if let (Some(a), Some(b)) = (of(&c.a), of(&c.b)) {
                out.correlations.push(Correlation { a, b, value: c.value });
                places.push(c.span);
            }
        }
    }
    if let Err(e) = draws::groups(&out.correlations) {
        let span = places.get(e.correlation).copied().unwrap_or_default();
        diags.push(
            Diagnostic::new(codes::BAD_CORRELATION, span, "no random numbers are correlated like this")
                .here("together with the others of this group")
                .note("their matrix of correlations is not positive definite")
                .help("make the correlations smaller, or leave one of them out"),
        );
    }
    out
}

/// The value of an index at a point of a nest, counted row-major.
fn coordinate(loops: &[Loop], point: i64, index: Index) -> i64 {
    let mut rest = point;
    for l in loops.iter().rev() {
        let n = (l.hi - l.lo).max(1);
        if l.index == index {
            return l.lo + rest % n;
        }
        rest /= n;
    }
    0
}

fn family(d: &Draw, shown: &[Option<VarId>], layout: &Layout, origins: &mut Origins) -> Option<Family> {
    let loops = &d.of.loops;
    let param = |v: VarId, at: &Affine| match layout.home(v) {
        (Space::Param, base) => slot(base, at, loops),
        _ => None,
    };
    let law = d.law.map(&mut |a| {
        Some(match a {
            At::Number(x) => Arg::Number(*x),
            At::Element(v, at) => Arg::Param(param(*v, at)?),
        })
    })?;
    let (target, at) = d.target();
    let seen = slot(0, &d.of.element, loops)?;
    let rounds = loops.iter().map(|l| u32::try_from(l.hi - l.lo).ok()).collect::<Option<Vec<_>>>()?;
    Some(Family {
        var: shown[d.of.var.index()]?,
        first: seen.base,
        len: rounds.iter().product(),
        nest: rounds.into_iter().zip(seen.strides).collect(),
        slot: param(target, at)?,
        law,
        level: d.level,
        origin: origins.add(d.of.span, ""),
    })
}
