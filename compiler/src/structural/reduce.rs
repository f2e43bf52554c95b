//! Index reduction: which equations must be differentiated so that every derivative can be found.
//!
//! Method: C. C. Pantelides, "The consistent initialization of differential-algebraic systems", SIAM J. Sci. Stat.
//! Comput. 9 (1988), on single equations. Each time that no unknown is left for an equation, the equations on the
//! alternating paths from it are differentiated with respect to time (E. Hairer and G. Wanner, "Solving Ordinary
//! Differential Equations II", ch. VII.2). The one that found no unknown becomes an *invariant*: it says something
//! about states alone, follows from its derivatives if it holds at the start, and is kept by projection
//! ([`directions`]) instead of choosing among the states. So nothing breaks where a choice of states would become
//! singular (a pendulum that goes over the top). The other equations still give the unknowns that they gave before
//! where the unknown's coefficient never vanishes; where it may, the unknown becomes a state of its own, whose
//! derivative the differentiated equations give, and the equation one more invariant (a crank at its dead centre).
//!
//! In: the expanded problem of a system that does not balance. Out: single equations that do, the derivatives that
//! are new unknowns, and the invariants. Works in time linear in the equations times the paths' lengths.

use super::expr;
use super::isolate::{self, Target};
use super::problem::Problem;
use crate::flat::{Affine, BinOp, Equation, Expr, diff};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use twinml_model::ids::VarId;

/// More single equations than this are not reduced.
pub const MOST: usize = 50_000;
/// No equation of a real system is differentiated more often.
const DEEPEST: u32 = 8;
/// Operations of one invariant with everything put in; more is left to the solver's tolerance.
const LONGEST: usize = 4_000;

/// An unknown of the reduced system: a value or a derivative of one element.
pub type Key = (VarId, bool, i64);

/// What index reduction gives.
#[derive(Debug)]
pub struct Reduced {
    /// All equations, one a point, that determine all unknowns and all of `derivatives`.
    pub equations: Vec<Equation>,
    /// New unknowns: of what each is the derivative.
    pub derivatives: Vec<(Key, VarId)>,
    /// New states: the unknown that each is, the family of its derivative, its own family.
    pub states: Vec<(Key, VarId, VarId)>,
    /// What states must satisfy; the lowest derivatives first.
    pub invariants: Vec<Invariant>,
    /// Equations of the problem that were differentiated, and how often.
    pub differentiated: Vec<(usize, u32)>,
}

/// A condition on states.
#[derive(Debug)]
pub struct Invariant {
    /// As it came about: it may use unknowns that other equations give.
    pub equation: Equation,
    /// How often it was differentiated to come about.
    pub order: u32,
    /// The equation of the problem that it comes from.
    pub root: usize,
    /// `residual` with all unknowns put in: a function of states and what is fixed; `None` where that cannot be
    /// written down.
    pub residual: Option<Expr>,
}

/// Why there is no reduction.
#[derive(Debug)]
pub enum Failure {
    /// The system lacks equations or has too many, whatever is differentiated; or it is too large.
    Singular,
    /// An equation would have to be differentiated and cannot be: its number, and what stands in the way.
    NoDerivative(usize, &'static str),
}

struct Eq {
    equation: Equation,
    /// The unknowns in it; `true`: it may be solved for this one.
    refs: Vec<(usize, bool)>,
    chosen: Option<usize>,
    next: Option<usize>,
    root: usize,
    order: u32,
}

#[derive(Clone, Copy)]
struct Atom {
    key: Key,
    owner: Option<usize>,
    next: Option<usize>,
}

struct Work<'a> {
    eqs: Vec<Eq>,
    atoms: Vec<Atom>,
    number: FxHashMap<Key, usize>,
    fixed: &'a dyn Fn(VarId) -> bool,
    /// Makes the family for the derivative of an unknown (`false`), or for an unknown as a state (`true`).
    family: &'a mut dyn FnMut(Key, bool) -> VarId,
    derivatives: Vec<(Key, VarId)>,
    invariants: Vec<usize>,
}

/// Reduces `p`, whose loops are written out. `fixed`: families that do not change between events.
///
/// # Errors
///
/// [`Failure`].
pub fn reduce(
    p: &Problem,
    fixed: &dyn Fn(VarId) -> bool,
    family: &mut dyn FnMut(Key, bool) -> VarId,
) -> Result<Reduced, Failure> {
    if p.equations.len() > MOST || !regular(p) {
        return Err(Failure::Singular);
    }
    let mut w = Work {
        eqs: Vec::new(),
        atoms: Vec::new(),
        number: FxHashMap::default(),
        fixed,
        family,
        derivatives: Vec::new(),
        invariants: Vec::new(),
    };
    for a in &p.atoms {
        for x in 0..i64::from(a.len) {
            w.atom((a.var, a.der, x));
        }
    }
    for (root, e) in p.equations.iter().enumerate() {
        w.equation(e.clone(), root, 0);
    }
    for root in 0..p.equations.len() {
        let mut eq = root;
        while let Some((seen_eqs, seen_atoms)) = w.augment(eq) {
            if w.eqs[eq].order >= DEEPEST || w.eqs.len() > 4 * MOST {
                return Err(Failure::Singular);
            }
            eq = w.differentiate(eq, &seen_eqs, &seen_atoms)?;
        }
    }
    Ok(w.finish())
}

/// Whether equations and variables can be paired at all, values and derivatives of a state being one variable.
fn regular(p: &Problem) -> bool {
    let mut number: FxHashMap<(VarId, i64), usize> = FxHashMap::default();
    for a in &p.atoms {
        for x in 0..i64::from(a.len) {
            let n = number.len();
            number.insert((a.var, x), n);
        }
    }
    if number.len() != p.equations.len() {
        return false;
    }
    let uses: Vec<Vec<usize>> = p
        .equations
        .iter()
        .map(|e| {
            let mut list: Vec<usize> = Vec::new();
            each_use(e, &mut |(var, _, at), _| list.extend(number.get(&(var, at))));
            list.sort_unstable();
            list.dedup();
            list
        })
        .collect();
    pair(&uses, number.len()).iter().all(Option::is_some)
}

/// A largest pairing, found in the order of `uses`: what an earlier one got, it keeps getting something.
pub fn pair(uses: &[Vec<usize>], n: usize) -> Vec<Option<usize>> {
    let mut chosen: Vec<Option<usize>> = vec![None; uses.len()];
    let mut owner: Vec<Option<usize>> = vec![None; n];
    let mut seen = vec![usize::MAX; n];
    for start in 0..uses.len() {
        let mut from: FxHashMap<usize, usize> = FxHashMap::default(); // variable -> equation that reached it
        let mut queue = VecDeque::from([start]);
        let mut end = None;
        'search: while let Some(eq) = queue.pop_front() {
            for &v in &uses[eq] {
                if std::mem::replace(&mut seen[v], start) == start {
                    continue;
                }
                from.insert(v, eq);
                match owner[v] {
                    None => {
                        end = Some(v);
                        break 'search;
                    }
                    Some(o) => queue.push_back(o),
                }
            }
        }
        while let Some(v) = end {
            let eq = from[&v];
            end = chosen[eq].replace(v);
            owner[v] = Some(eq);
        }
    }
    chosen
}

/// Every element that a single equation uses; `true` where it may be solved for it.
fn each_use(e: &Equation, f: &mut dyn FnMut(Key, bool)) {
    let mut see = |u: expr::Use| {
        if u.inner.is_empty() && u.at.terms.is_empty() && u.dynamic.is_none() {
            f((u.var, u.der, u.at.base), true);
            return;
        }
        let mut places = vec![u.at.base];
        for l in &u.inner {
            let stride = u.at.terms.iter().find(|t| t.0 == l.index).map_or(0, |t| t.1);
            if stride != 0 {
                places = places.iter().flat_map(|b| (l.lo..l.hi).map(move |k| b + stride * k)).collect();
            }
        }
        let (count, stride) = u.dynamic.unwrap_or((1, 0));
        for b in places {
            for k in 0..i64::from(count) {
                f((u.var, u.der, b + stride * k), u.dynamic.is_none());
            }
        }
    };
    expr::uses(&e.left, &mut see);
    expr::uses(&e.right, &mut see);
}

impl Work<'_> {
    fn atom(&mut self, key: Key) -> usize {
        let n = self.atoms.len();
        self.number.insert(key, n);
        self.atoms.push(Atom { key, owner: None, next: None });
        n
    }

    fn equation(&mut self, equation: Equation, root: usize, order: u32) -> usize {
        let mut refs: Vec<(usize, bool)> = Vec::new();
        each_use(&equation, &mut |key, matchable| {
            if let Some(&a) = self.number.get(&key)
                && !refs.iter().any(|r| r.0 == a)
            {
                refs.push((a, matchable));
            }
        });
        self.eqs.push(Eq { equation, refs, chosen: None, next: None, root, order });
        self.eqs.len() - 1
    }

    /// Finds an unknown for an equation among those that have no derivative yet. Where there is none: the equations
    /// and the unknowns that were reached.
    fn augment(&mut self, start: usize) -> Option<(Vec<usize>, Vec<usize>)> {
        let mut from: FxHashMap<usize, usize> = FxHashMap::default();
        let mut eqs = vec![start];
        let mut atoms = Vec::new();
        let mut queue = VecDeque::from([start]);
        while let Some(eq) = queue.pop_front() {
            for &(a, matchable) in &self.eqs[eq].refs {
                if self.atoms[a].next.is_some() || from.contains_key(&a) || !matchable {
                    continue;
                }
                from.insert(a, eq);
                match self.atoms[a].owner {
                    None => {
                        let mut end = Some(a);
                        while let Some(a) = end {
                            let eq = from[&a];
                            end = self.eqs[eq].chosen.replace(a);
                            self.atoms[a].owner = Some(eq);
                        }
                        return None;
                    }
                    Some(owner) => {
                        atoms.push(a);
                        eqs.push(owner);
                        queue.push_back(owner);
                    }
                }
            }
        }
        Some((eqs, atoms))
    }

    /// Differentiates what an equation without an unknown leads to; the number of its own derivative.
    fn differentiate(&mut self, start: usize, eqs: &[usize], atoms: &[usize]) -> Result<usize, Failure> {
        let mut all: Vec<usize> = atoms.to_vec();
        // Unknowns that no equation here may be solved for take part in the derivatives all the same.
        for &eq in eqs {
            all.extend(self.eqs[eq].refs.iter().map(|r| r.0).filter(|&a| self.atoms[a].next.is_none()));
        }
        all.sort_unstable();
        all.dedup();
        for a in all {
            let key = self.atoms[a].key;
            let family = (self.family)(key, false);
            self.derivatives.push((key, family));
            let next = self.atom((family, false, 0));
            self.atoms[a].next = Some(next);
        }
        let mut sorted = eqs.to_vec();
        sorted.sort_unstable();
        for eq in sorted {
            let e = self.eqs[eq].equation.clone();
            let (left, right) = (self.derivative(&e.left), self.derivative(&e.right));
            let why = |why| Failure::NoDerivative(self.eqs[eq].root, why);
            let (left, right) = (left.map_err(why)?, right.map_err(why)?);
            let (root, order) = (self.eqs[eq].root, self.eqs[eq].order + 1);
            let next = self.equation(Equation { left, right, ..e }, root, order);
            self.eqs[eq].next = Some(next);
        }
        for &a in atoms {
            if let (Some(owner), Some(next)) = (self.atoms[a].owner, self.atoms[a].next)
                && let Some(eq) = self.eqs[owner].next
            {
                self.atoms[next].owner = Some(eq);
                self.eqs[eq].chosen = Some(next);
            }
        }
        self.invariants.push(start);
        // Set above: `start` is the first of `eqs`.
        self.eqs[start].next.ok_or(Failure::Singular)
    }

    fn derivative(&self, e: &Expr) -> Result<Expr, &'static str> {
        diff::derivative(e, &|x| {
            let key = match x {
                Expr::Var(v, at) if at.terms.is_empty() => (*v, false, at.base),
                Expr::Der(v, at) if at.terms.is_empty() => (*v, true, at.base),
                Expr::Var(v, _) if (self.fixed)(*v) => return Ok(Expr::Num(0.0)),
                Expr::VarAt { var, .. } if (self.fixed)(*var) => return Ok(Expr::Num(0.0)),
                Expr::VarAt { .. } => return Err("an element chosen during the run"),
                _ => return Err("a sum over an array"),
            };
            if let Some(&a) = self.number.get(&key) {
                // Everything in an equation that is differentiated has a derivative by now.
                let next = self.atoms[a].next.ok_or("an unknown")?;
                let (var, _, at) = self.atoms[next].key;
                return Ok(Expr::Var(var, Affine::constant(at)));
            }
            match key {
                (v, false, _) if (self.fixed)(v) => Ok(Expr::Num(0.0)),
                (v, false, at) => Ok(Expr::Der(v, Affine::constant(at))),
                _ => Err("a derivative"),
            }
        })
    }

    /// Unknowns that have a derivative and no equation that gives them at every point become states.
    fn states(&mut self) -> Vec<(Key, VarId, VarId)> {
        let mut out = Vec::new();
        for a in 0..self.atoms.len() {
            let Atom { key, owner: Some(owner), next: Some(next) } = self.atoms[a] else { continue };
            let e = &self.eqs[owner].equation;
            let target = Target { var: key.0, der: key.1, at: Affine::constant(key.2) };
            let difference = isolate::sub(e.left.clone(), e.right.clone());
            let steady = isolate::linear(&difference, &target).is_some_and(|(coefficient, _)| {
                let mut fixed = !matches!(coefficient, Expr::Num(x) if x == 0.0);
                expr::uses(&coefficient, &mut |u| fixed &= (self.fixed)(u.var));
                fixed && !has_time(&coefficient)
            });
            if steady {
                continue;
            }
            let state = (self.family)(key, true);
            let zero = Affine::constant(0);
            let (span, by) = (e.span, e.owner.clone());
            let unknown = if key.1 { Expr::Der(key.0, target.at) } else { Expr::Var(key.0, target.at) };
            let single = |left, right| Equation { loops: Vec::new(), left, right, span, owner: by.clone() };
            let is = single(unknown, Expr::Var(state, zero.clone()));
            let moves = single(Expr::Der(state, zero.clone()), Expr::Var(self.atoms[next].key.0, zero));
            self.invariants.push(owner);
            let root = self.eqs[owner].root;
            let is = self.equation(is, root, 0);
            self.equation(moves, root, 0);
            self.atoms[a].owner = Some(is);
            out.push((key, self.atoms[next].key.0, state));
        }
        out
    }

    fn finish(mut self) -> Reduced {
        let states = self.states();
        let invariants: FxHashSet<usize> = self.invariants.iter().copied().collect();
        let mut list: Vec<Invariant> = self
            .invariants
            .iter()
            .map(|&k| {
                let e = &self.eqs[k];
                let difference = isolate::sub(e.equation.left.clone(), e.equation.right.clone());
                let residual = self.put_in(difference, &mut Vec::new(), &mut 0);
                Invariant { equation: e.equation.clone(), order: e.order, root: e.root, residual }
            })
            .collect();
        list.sort_by_key(|i| i.order);
        let mut times: FxHashMap<usize, u32> = FxHashMap::default();
        for e in self.eqs.iter().filter(|e| e.order > 0) {
            let n = times.entry(e.root).or_default();
            *n = (*n).max(e.order);
        }
        let mut differentiated: Vec<(usize, u32)> = times.into_iter().collect();
        differentiated.sort_unstable();
        let equations = self
            .eqs
            .into_iter()
            .enumerate()
            .filter(|(k, _)| !invariants.contains(k))
            .map(|(_, e)| e.equation);
        Reduced {
            equations: equations.collect(),
            derivatives: self.derivatives,
            states,
            invariants: list,
            differentiated,
        }
    }

    /// `e` with every unknown replaced by what its equation gives; `None` where that is not explicit.
    fn put_in(&self, e: Expr, open: &mut Vec<usize>, size: &mut usize) -> Option<Expr> {
        let mut fine = true;
        let out = expr::rewrite(&e, &mut |x| {
            *size += 1;
            if !fine || *size > LONGEST {
                fine = false;
                return x;
            }
            let key = match &x {
                Expr::Var(v, at) if at.terms.is_empty() => (*v, false, at.base),
                Expr::Der(v, at) if at.terms.is_empty() => (*v, true, at.base),
                Expr::Var(..) | Expr::Der(..) | Expr::VarAt { .. } => {
                    fine = false;
                    return x;
                }
                _ => return x,
            };
            let Some(&a) = self.number.get(&key) else { return x };
            match self.given(a, open, size) {
                Some(value) => value,
                None => {
                    fine = false;
                    x
                }
            }
        });
        fine.then_some(out)
    }

    /// What the equation of an unknown says that it is.
    fn given(&self, atom: usize, open: &mut Vec<usize>, size: &mut usize) -> Option<Expr> {
        if open.contains(&atom) {
            return None;
        }
        let owner = self.atoms[atom].owner?;
        let (var, der, at) = self.atoms[atom].key;
        let target = Target { var, der, at: Affine::constant(at) };
        let e = &self.eqs[owner].equation;
        let value =
            isolate::isolate(&e.left, &e.right, &target, &|d| !matches!(d, Expr::Num(x) if *x == 0.0))?;
        open.push(atom);
        let value = self.put_in(value, open, size);
        open.pop();
        value
    }
}

fn has_time(e: &Expr) -> bool {
    let mut any = matches!(e, Expr::Time | Expr::Delay(..));
    expr::children(e, &mut |c| any |= has_time(c));
    any
}

/// An element of a state, and the partial derivative of something by it.
pub type Direction = ((VarId, i64), Expr);

/// The elements of states that an expression depends on, in reading order, and the partial derivative by each.
///
/// # Errors
///
/// What has no derivative.
pub fn directions(e: &Expr, fixed: &dyn Fn(VarId) -> bool) -> Result<Vec<Direction>, &'static str> {
    let mut found: Vec<(VarId, i64)> = Vec::new();
    let single = Equation {
        loops: Vec::new(),
        left: e.clone(),
        right: Expr::Num(0.0),
        span: crate::source::Span::default(),
        owner: String::new(),
    };
    each_use(&single, &mut |(var, _, at), _| {
        if !fixed(var) && !found.contains(&(var, at)) {
            found.push((var, at));
        }
    });
    found
        .into_iter()
        .map(|(var, at)| {
            let partial = diff::derivative(e, &|x| match x {
                Expr::Var(v, a) if a.terms.is_empty() => {
                    Ok(Expr::Num(f64::from(u8::from(*v == var && a.base == at))))
                }
                Expr::Var(v, _) | Expr::VarAt { var: v, .. } if fixed(*v) => Ok(Expr::Num(0.0)),
                _ => Err("an element chosen during the run"),
            })?;
            Ok(((var, at), partial))
        })
        .filter(|d| !matches!(d, Ok((_, Expr::Num(x))) if *x == 0.0))
        .collect()
}

/// `e` with the elements of states replaced.
pub fn replaced(e: &Expr, by: &FxHashMap<(VarId, i64), VarId>) -> Expr {
    expr::rewrite(e, &mut |x| match &x {
        Expr::Var(v, at) if at.terms.is_empty() => match by.get(&(*v, at.base)) {
            Some(new) => Expr::Var(*new, Affine::constant(0)),
            None => x,
        },
        _ => x,
    })
}

/// `a + b·c`
pub fn plus_product(a: Expr, b: Expr, c: Expr) -> Expr {
    let product = Expr::Bin(BinOp::Mul, Box::new(b), Box::new(c));
    Expr::Bin(BinOp::Add, Box::new(a), Box::new(product))
}
