//! The order of computation: dependencies between matched equations, strongly connected components
//! (Tarjan 1972), loops that run in the direction of their own dependencies, and algebraic blocks.

use super::closed;
use super::expr;
use super::isolate::{self, Target};
use super::matching::Matching;
use super::problem::{AtomId, Problem, Ref};
use super::sets::Progression;
use super::tearing;
use crate::flat::{Affine, Equation, Expr, Loop};
use std::collections::{BTreeMap, BTreeSet};
use twinml_model::ids::Index;

/// `target := value`, inside the loops of its nest.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// What is computed.
    pub target: Target,
    /// From what.
    pub value: Expr,
    /// The equation.
    pub equation: usize,
}

/// An algebraic block: residuals that are to vanish.
#[derive(Clone, Debug)]
pub struct Block {
    /// The unknowns that Newton's method moves, in the order of the columns.
    pub unknowns: Vec<(AtomId, Progression)>,
    /// Computed from the unknowns before the residuals (tearing), each in its own loops.
    pub inner: Vec<(Vec<Loop>, Assignment)>,
    /// `left − right` of each equation family is a family of residuals.
    pub residuals: Vec<(usize, Equation)>,
    /// Whether all residuals are affine in the unknowns.
    pub linear: bool,
    /// All equations of the block.
    pub equations: Vec<usize>,
}

/// One step of the computation.
#[derive(Clone, Debug)]
pub enum Step {
    /// Assignments in one nest of loops, in order within each round. Scalars: no loops.
    Nest {
        /// The loops; assignments use their indices.
        loops: Vec<Loop>,
        /// Run from the last to the first point.
        reverse: bool,
        /// Whether a round depends on earlier rounds.
        chained: bool,
        /// What each round computes.
        body: Vec<Assignment>,
    },
    /// An algebraic block.
    Block(Box<Block>),
}

/// Steps in order, and which steps each one needs.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// By step: the earlier steps whose results it reads.
    pub needs: Vec<Vec<usize>>,
}

/// Outside a block an equation has one unknown: where its coefficient vanishes there is no solution, so
/// anything but a literal zero may be divided by.
fn nonzero(e: &Expr) -> bool {
    !matches!(e, Expr::Num(x) if *x == 0.0)
}

/// Whether an expression is safe to divide by inside an algebraic block, where it might pass through zero.
pub type Divisor<'a> = &'a dyn Fn(&Expr) -> bool;

/// What comes before fusing: one component, solved.
struct Unit {
    step: Step,
    equations: Vec<usize>,
}

/// Orders a perfectly matched problem.
pub fn order(p: &Problem, m: &Matching, divisor: Divisor<'_>) -> Plan {
    let edges = dependencies(p, m);
    let components = components(&edges);
    let mut units: Vec<Unit> = Vec::new();
    for c in components {
        units.extend(solve_component(p, m, &c, divisor));
    }
    arrange(p, m, units, &edges)
}

/// By equation: the equations that compute what it reads (itself included where it reads what it computes).
fn dependencies(p: &Problem, m: &Matching) -> Vec<Vec<u32>> {
    (0..p.equations.len())
        .map(|eq| {
            let mut on: Vec<u32> = Vec::new();
            for (k, r) in p.refs[eq].iter().enumerate() {
                if m.chosen[eq] != Some(k) {
                    on.extend(m.owners[r.atom.0 as usize].within(&r.cover));
                }
            }
            on.sort_unstable();
            on.dedup();
            on
        })
        .collect()
}

/// Strongly connected components, dependencies first; members in ascending order.
pub(super) fn components(edges: &[Vec<u32>]) -> Vec<Vec<usize>> {
    let n = edges.len();
    let (mut number, mut low, mut on_stack) = (vec![u32::MAX; n], vec![0u32; n], vec![false; n]);
    let (mut stack, mut out, mut next) = (Vec::new(), Vec::new(), 0u32);
    for root in 0..n {
        if number[root] != u32::MAX {
            continue;
        }
        let mut work = vec![(root, 0usize)];
        while let Some(&mut (v, ref mut k)) = work.last_mut() {
            if *k == 0 {
                number[v] = next;
                low[v] = next;
                next += 1;
                stack.push(v);
                on_stack[v] = true;
            }
            if let Some(&w) = edges[v].get(*k) {
                *k += 1;
                let w = w as usize;
                if number[w] == u32::MAX {
                    work.push((w, 0));
                } else if on_stack[w] {
                    low[v] = low[v].min(number[w]);
                }
                continue;
            }
            work.pop();
            if let Some(&(parent, _)) = work.last() {
                low[parent] = low[parent].min(low[v]);
            }
            if low[v] == number[v] {
                let mut c = Vec::new();
                while let Some(w) = stack.pop() {
                    on_stack[w] = false;
                    c.push(w);
                    if w == v {
                        break;
                    }
                }
                c.sort_unstable();
                out.push(c);
            }
        }
    }
    out
}

/// The use that an equation is solved for.
fn matched<'a>(p: &'a Problem, m: &Matching, eq: usize) -> Option<&'a Ref> {
    m.chosen[eq].map(|k| &p.refs[eq][k])
}

fn target(p: &Problem, r: &Ref) -> Target {
    let atom = p.atoms[r.atom.0 as usize];
    Target { var: atom.var, der: atom.der, at: r.at.clone() }
}

fn solve_component(p: &Problem, m: &Matching, c: &[usize], divisor: Divisor<'_>) -> Vec<Unit> {
    if let [eq] = c
        && let Some(unit) = solve_single(p, m, *eq)
    {
        return vec![unit];
    }
    if c.len() > 1
        && let Some(units) = solve_chain(p, m, c)
    {
        return units;
    }
    if p.network
        && let Some((loops, body)) = closed::solve(p, m, c, divisor)
    {
        let step = Step::Nest { loops, reverse: false, chained: false, body };
        return vec![Unit { step, equations: c.to_vec() }];
    }
    vec![Unit { step: Step::Block(Box::new(tearing::block(p, m, c, divisor))), equations: c.to_vec() }]
}

/// One equation family: solved for its unknown, in a loop that follows its own dependencies.
fn solve_single(p: &Problem, m: &Matching, eq: usize) -> Option<Unit> {
    let e = &p.equations[eq];
    let own = matched(p, m, eq)?;
    let (mut forward, mut backward) = (true, true);
    let mut chained = false;
    for (k, r) in p.refs[eq].iter().enumerate() {
        if m.chosen[eq] == Some(k) || r.atom != own.atom {
            continue;
        }
        if !r.cover.iter().any(|s| own.cover.iter().any(|q| q.meets(s))) {
            continue;
        }
        if !r.matchable || r.at.terms != own.at.terms {
            return None;
        }
        let d = distance(&own.at, &e.loops, r.at.base - own.at.base)?;
        let sign = d.iter().copied().find(|&x| x != 0)?;
        chained = true;
        forward &= sign < 0;
        // Reversing runs every loop backwards.
        backward &= sign > 0;
    }
    if !forward && !backward {
        return None;
    }
    let t = target(p, own);
    let value = isolate::isolate(&e.left, &e.right, &t, &nonzero)?;
    let body = vec![Assignment { target: t, value, equation: eq }];
    Some(Unit {
        step: Step::Nest { loops: e.loops.clone(), reverse: chained && !forward, chained, body },
        equations: vec![eq],
    })
}

/// Rounds of each loop between two elements `diff` apart, for an injective affine place.
fn distance(at: &Affine, loops: &[Loop], diff: i64) -> Option<Vec<i64>> {
    let mut order: Vec<(usize, i64)> = loops
        .iter()
        .enumerate()
        .map(|(k, l)| (k, at.terms.iter().find(|t| t.0 == l.index).map_or(0, |t| t.1)))
        .collect();
    order.sort_by_key(|&(k, s)| (std::cmp::Reverse(s.abs()), k));
    let mut d = vec![0; loops.len()];
    let mut rest = diff;
    for (n, &(k, s)) in order.iter().enumerate() {
        if s == 0 {
            continue;
        }
        // What the smaller strides can make up for.
        let slack: i64 = order[n + 1..].iter().map(|&(j, t)| t.abs() * (loops[j].hi - loops[j].lo - 1)).sum();
        let mut q = rest / s;
        if (rest - q * s).abs() > slack {
            q += (rest - q * s).signum() * s.signum();
        }
        d[k] = q;
        rest -= q * s;
    }
    (rest == 0).then_some(d)
}

/// Several families over one loop each: computed together, round by round, where every dependency looks
/// the same way. Ranges are split where families begin and end.
fn solve_chain(p: &Problem, m: &Matching, c: &[usize]) -> Option<Vec<Unit>> {
    struct Member {
        eq: usize,
        lo: i64,
        hi: i64,
        stride: i64,
        phase: i64,
        assignment: Assignment,
    }
    let mut members: Vec<Member> = Vec::new();
    for &eq in c {
        let e = &p.equations[eq];
        let [l] = e.loops[..] else { return None };
        let own = matched(p, m, eq)?;
        let [(_, stride)] = own.at.terms[..] else { return None };
        if stride <= 0 {
            return None;
        }
        // New index k with element = stride·k + phase, 0 ≤ phase < stride.
        let (phase, shift) = (own.at.base.rem_euclid(stride), own.at.base.div_euclid(stride));
        let by = Affine::constant(-shift).plus(Index(0), 1);
        let renumber = |x: &Expr| {
            // Move the equation's own loops out of the way of index 0 first.
            let bound = expr::index_bound(x, l.index.0 + 1);
            let away = Index(bound);
            let moved = expr::substitute_index(x, l.index, &Affine::constant(0).plus(away, 1));
            let moved = shift_folds(&moved, 1);
            expr::substitute_index(&moved, away.shifted(1), &by)
        };
        let (left, right) = (renumber(&e.left), renumber(&e.right));
        let atom = p.atoms[own.atom.0 as usize];
        let t = Target { var: atom.var, der: atom.der, at: Affine::constant(phase).plus(Index(0), stride) };
        let value = isolate::isolate(&left, &right, &t, &nonzero)?;
        let assignment = Assignment { target: t, value, equation: eq };
        members.push(Member { eq, lo: l.lo + shift, hi: l.hi + shift, stride, phase, assignment });
    }
    // Distances between members; 0-distance edges order the round.
    let (mut any_before, mut any_after) = (false, false);
    let mut same: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); members.len()];
    for (i, a) in members.iter().enumerate() {
        let mut fail = false;
        expr::uses(&a.assignment.value, &mut |u| {
            for (j, b) in members.iter().enumerate() {
                let t = &b.assignment.target;
                if u.var != t.var || u.der != t.der || fail {
                    continue;
                }
                let offset = u.at.base - b.phase;
                match u.at.terms[..] {
                    [(Index(0), s)] if s == b.stride && u.inner.is_empty() && u.dynamic.is_none() => {
                        if offset.rem_euclid(b.stride) != 0 {
                            continue; // never the same element
                        }
                        let d = offset / b.stride;
                        if a.hi + d <= b.lo || a.lo + d >= b.hi {
                            continue; // reads what somebody else computes
                        }
                        match d {
                            0 => {
                                if i == j {
                                    fail = true;
                                }
                                same[i].insert(j);
                            }
                            _ if d < 0 => any_before = true,
                            _ => any_after = true,
                        }
                    }
                    _ => {
                        // Some other place: harmless only where it cannot be an element of this member.
                        let owned = Progression {
                            lo: b.phase + b.stride * b.lo,
                            step: b.stride,
                            count: (b.hi - b.lo).max(1),
                        };
                        fail |= touches(&u, a.lo, a.hi, &owned);
                    }
                }
            }
        });
        if fail {
            return None;
        }
    }
    if any_before && any_after {
        return None;
    }
    // Topological order of a round (indices ascending among the free ones).
    let mut sequence = Vec::new();
    let mut done = vec![false; members.len()];
    while sequence.len() < members.len() {
        let next = (0..members.len()).find(|&i| !done[i] && same[i].iter().all(|&j| done[j]))?;
        done[next] = true;
        sequence.push(next);
    }
    let mut cuts: BTreeSet<i64> = BTreeSet::new();
    for a in &members {
        cuts.extend([a.lo, a.hi]);
    }
    let cuts: Vec<i64> = cuts.into_iter().collect();
    let reverse = any_after;
    let mut units: Vec<Unit> = Vec::new();
    for w in cuts.windows(2) {
        let active: Vec<&Member> =
            sequence.iter().map(|&i| &members[i]).filter(|a| a.lo <= w[0] && a.hi >= w[1]).collect();
        if active.is_empty() {
            continue;
        }
        units.push(Unit {
            step: Step::Nest {
                loops: vec![Loop { index: Index(0), lo: w[0], hi: w[1] }],
                reverse,
                chained: true,
                body: active.iter().map(|a| a.assignment.clone()).collect(),
            },
            equations: active.iter().map(|a| a.eq).collect(),
        });
    }
    if reverse {
        units.reverse();
    }
    Some(units)
}

fn touches(u: &expr::Use, lo: i64, hi: i64, owned: &Progression) -> bool {
    let (mut a, mut b) = (u.at.base, u.at.base);
    for &(index, s) in &u.at.terms {
        let (l, h) = if index == Index(0) {
            (lo, hi - 1)
        } else {
            u.inner.iter().find(|l| l.index == index).map_or((0, 0), |l| (l.lo, l.hi - 1))
        };
        a += (s * l).min(s * h);
        b += (s * l).max(s * h);
    }
    if let Some((len, stride)) = u.dynamic {
        let reach = stride * (i64::from(len) - 1);
        a += reach.min(0);
        b += reach.max(0);
    }
    a <= owned.last() && b >= owned.lo
}

/// Renumbers every loop index by `by`, those of reductions included.
pub fn shift_folds(e: &Expr, by: u32) -> Expr {
    let aff = |at: Affine| Affine {
        base: at.base,
        terms: at.terms.into_iter().map(|(i, s)| (i.shifted(by), s)).collect(),
    };
    expr::rewrite(e, &mut |x| match x {
        Expr::Var(v, at) => Expr::Var(v, aff(at)),
        Expr::Der(v, at) => Expr::Der(v, aff(at)),
        Expr::Start(v, at) => Expr::Start(v, aff(at)),
        Expr::Index(at) => Expr::Index(aff(at)),
        Expr::VarAt { var, base, at, len, stride, span } => {
            Expr::VarAt { var, base: aff(base), at, len, stride, span }
        }
        Expr::Fold(op, l, body) => Expr::Fold(op, Box::new(Loop { index: l.index.shifted(by), ..*l }), body),
        other => other,
    })
}

/// An index renumbered.
trait Shifted {
    fn shifted(self, by: u32) -> Self;
}

impl Shifted for Index {
    fn shifted(self, by: u32) -> Index {
        Index(self.0 + by)
    }
}

/// Puts units in dependency order, loops of equal ranges next to one another, and fuses neighbours that
/// only look at their own round.
fn arrange(p: &Problem, m: &Matching, units: Vec<Unit>, edges: &[Vec<u32>]) -> Plan {
    let n = units.len();
    let mut units_of: Vec<Vec<usize>> = vec![Vec::new(); p.equations.len()];
    for (k, u) in units.iter().enumerate() {
        for &eq in &u.equations {
            units_of[eq].push(k);
        }
    }
    // Unit-level dependencies. Units of one chain keep their order.
    let mut needs: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); n];
    for (k, u) in units.iter().enumerate() {
        for &eq in &u.equations {
            for &on in &edges[eq] {
                needs[k].extend(units_of[on as usize].iter().copied().filter(|&j| j < k));
            }
        }
    }
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); n];
    let mut waiting: Vec<usize> = vec![0; n];
    for (k, on) in needs.iter().enumerate() {
        waiting[k] = on.len();
        for &j in on {
            users[j].push(k);
        }
    }
    type Shape = Vec<(i64, i64)>;
    let shape = |u: &Unit| -> Option<(Shape, bool)> {
        match &u.step {
            Step::Nest { loops, reverse, .. } => {
                Some((loops.iter().map(|l| (l.lo, l.hi)).collect(), *reverse))
            }
            Step::Block(_) => None,
        }
    };
    let mut ready: BTreeMap<Option<(Shape, bool)>, BTreeSet<usize>> = BTreeMap::new();
    let mut total = 0usize;
    for k in 0..n {
        if waiting[k] == 0 {
            ready.entry(shape(&units[k])).or_default().insert(k);
            total += 1;
        }
    }
    let mut sequence = Vec::with_capacity(n);
    let mut last: Option<(Shape, bool)> = None;
    while total > 0 {
        if ready.get(&last).is_none_or(BTreeSet::is_empty) {
            // The shape of the earliest ready unit.
            let earliest =
                ready.iter().filter_map(|(s, set)| set.first().map(|&k| (k, s))).min_by_key(|x| x.0);
            let Some((_, s)) = earliest else { break };
            last = s.clone();
        }
        let Some(k) = ready.get_mut(&last).and_then(BTreeSet::pop_first) else { break };
        total -= 1;
        sequence.push(k);
        for &j in &users[k] {
            waiting[j] -= 1;
            if waiting[j] == 0 {
                ready.entry(shape(&units[j])).or_default().insert(j);
                total += 1;
            }
        }
    }
    // Fuse.
    let mut plan = Plan::default();
    let mut step_of: Vec<usize> = vec![usize::MAX; n];
    let mut slots: Vec<Option<Unit>> = units.into_iter().map(Some).collect();
    for k in sequence {
        let Some(unit) = slots[k].take() else { continue };
        let on: BTreeSet<usize> = needs[k].iter().map(|&j| step_of[j]).collect();
        if let (
            Some(Step::Nest { loops: have, reverse: r1, chained: c1, body }),
            Step::Nest { loops, reverse, chained, body: more },
        ) = (plan.steps.last_mut(), &unit.step)
            && shapes_equal(have, loops)
            && !(*c1 && *chained && r1 != reverse)
            && fusable(p, m, have, body, loops, more)
        {
            let direction = if *c1 { *r1 } else { *reverse };
            let renamed: Vec<Assignment> = more.iter().map(|a| rename(a, loops, have)).collect();
            body.extend(renamed);
            *r1 = direction;
            *c1 |= *chained;
            let at = plan.steps.len() - 1;
            step_of[k] = at;
            let all: BTreeSet<usize> =
                plan.needs[at].iter().copied().chain(on).filter(|&s| s != at).collect();
            plan.needs[at] = all.into_iter().collect();
            continue;
        }
        step_of[k] = plan.steps.len();
        plan.steps.push(unit.step);
        plan.needs.push(on.into_iter().collect());
    }
    plan
}

fn shapes_equal(a: &[Loop], b: &[Loop]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.lo == y.lo && x.hi == y.hi)
}

fn rename_affine(at: &Affine, from: &[Loop], to: &[Loop]) -> Affine {
    let mut out = Affine::constant(at.base);
    for &(i, s) in &at.terms {
        let new = from.iter().position(|l| l.index == i).map_or(i, |k| to[k].index);
        out = out.plus(new, s);
    }
    out
}

/// The assignment over the loops `to` instead of `from`; reductions keep their own indices, moved away.
fn rename(a: &Assignment, from: &[Loop], to: &[Loop]) -> Assignment {
    if from.iter().zip(to).all(|(x, y)| x.index == y.index) {
        return a.clone();
    }
    // Away first, so that names never meet.
    let bound = to.iter().map(|l| l.index.0 + 1).max().unwrap_or(0);
    let moved = shift_folds(&a.value, bound);
    let mut value = moved;
    for (x, y) in from.iter().zip(to) {
        value = expr::substitute_index(&value, x.index.shifted(bound), &Affine::constant(0).plus(y.index, 1));
    }
    let at = rename_affine(&a.target.at, from, to);
    Assignment { target: Target { at, ..a.target.clone() }, value, equation: a.equation }
}

/// Whether `more` may run in the rounds of `body`: what it reads of the body's results must be of the
/// same round.
fn fusable(
    p: &Problem,
    m: &Matching,
    have: &[Loop],
    body: &[Assignment],
    loops: &[Loop],
    more: &[Assignment],
) -> bool {
    if loops.is_empty() {
        return true;
    }
    let _ = (p, m);
    more.iter().all(|a| {
        let mut ok = true;
        expr::uses(&a.value, &mut |u| {
            for b in body {
                if b.target.var == u.var && b.target.der == u.der {
                    let same_round = u.dynamic.is_none()
                        && u.inner.is_empty()
                        && rename_affine(&u.at, loops, have) == b.target.at;
                    ok &= same_round || {
                        // Elements that the body does not compute are fine.
                        let computed = super::sets::image(&b.target.at, have, 1 << 12);
                        let all: Vec<Loop> = loops.iter().chain(&u.inner).copied().collect();
                        match (computed, super::sets::image(&u.at, &all, 1 << 12), u.dynamic) {
                            (Some(c), Some(r), None) => !r.iter().any(|x| c.iter().any(|y| y.meets(x))),
                            _ => false,
                        }
                    };
                }
            }
        });
        ok
    })
}
