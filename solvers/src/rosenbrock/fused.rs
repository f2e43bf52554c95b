//! A whole trial step of a Rosenbrock method as one straight line: evaluations, Jacobian, factorisation, the solves of
//! all stages, the error.
//!
//! The matrix `M = J − I/(γh)` is factorised symbolically once: pivots are taken from the diagonal in an order that fills
//! little (Markowitz 1957), and what is computed for each pivot is written out. The sum of the squares of the multipliers
//! tells whether the diagonal serves: [`GROWTH`]. One kernel does this for a single run, and the same lines go into the
//! kernel of lanes: a run has the same bits in both. Algebraic blocks and tables are written out before
//! (`twinml_model::passes::straight`), for both alike.

use super::tableau::Tableau;
use crate::lanes::writer::Writer;
use std::collections::BTreeMap;
use twinml_model::ids::Value;
use twinml_model::ir::{Kernel, Op, Space, Ty, UnOp};
use twinml_model::passes::dead::Traps;
use twinml_model::passes::linearize::Linearized;
use twinml_model::passes::rk4::Inline;
use twinml_model::passes::straight::Guesses;
use twinml_model::passes::{Level, simplified};
use twinml_model::program::Program;

/// Most operations of a step that is written out, about.
pub const OPERATIONS: usize = 20_000;
/// Where the sum of squared multipliers is above this, the diagonal does not serve: what is eliminated would drown in
/// the rounding of what it is eliminated with.
pub const GROWTH: f64 = 1e12;

/// Sums of squares side by side: each waits for itself only.
const SUMS: usize = 4;

/// What the kernel of a single run and its caller tell each other: slots of `Jac`.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Slot {
    /// The length of the step, in seconds.
    H,
    /// Its end.
    End,
    /// The mean square of the weighted errors.
    Error,
    /// The sum of the squares of all multipliers.
    Growth,
}

/// Number of [`Slot`]s; the new states follow them, then the stages' `k` one after the other.
pub const SLOTS: usize = 4;

/// Slots of `Jac` that the kernel of a single run needs for itself, with so many states.
#[must_use]
pub fn room(tableau: &Tableau, states: usize) -> usize {
    SLOTS + (1 + tableau.stages) * states
}

/// A step that can be written out.
#[derive(Clone, Debug)]
pub struct Code {
    linear: Linearized,
    tableau: &'static Tableau,
    elimination: Elimination,
    rtol: f64,
    atol: Vec<f64>,
    guesses: Option<Guesses>,
}

/// What a trial gives.
pub(crate) struct Attempt {
    pub k: Vec<Vec<Value>>,
    pub x1: Vec<Value>,
    /// Mean square.
    pub error: Value,
    pub growth: Value,
}

impl Code {
    /// `None` where the right-hand side cannot be written out (`twinml_model::passes::linearize`) or the step would have
    /// more than about [`OPERATIONS`] operations. `atol` has one value for each state; `guesses`: where blocks begin, of a
    /// program from `twinml_model::passes::straight` with at least [`room`].
    #[must_use]
    pub fn new(
        program: &Program,
        tableau: &'static Tableau,
        rtol: f64,
        atol: &[f64],
        guesses: Option<&Guesses>,
    ) -> Option<Self> {
        let linear = Linearized::of(program, guesses)?;
        if atol.len() != linear.states() {
            return None;
        }
        let elimination = Elimination::of(linear.states(), &linear.pattern());
        let stages = tableau.stages;
        let sums = stages * (stages + 2) * linear.states();
        let solves = stages * (elimination.entries + linear.states());
        let operations = stages * linear.work() + linear.solving() + elimination.updates + solves + sums;
        let (atol, guesses) = (atol.to_vec(), guesses.cloned());
        (operations <= OPERATIONS).then_some(Code { linear, tableau, elimination, rtol, atol, guesses })
    }

    /// A trial of a single run: reads `State`, `Time`, [`Slot::H`] and [`Slot::End`], writes the slots that follow, and those of
    /// the guesses.
    #[must_use]
    pub fn kernel(&self, program: &Program) -> Option<Kernel> {
        let n = self.linear.states();
        let mut w = Writer { k: Inline::of(program, format!("rosenbrock of {}", program.rhs.name)) };
        let x = w.states(n);
        let t = w.load(Space::Time, 0);
        let (h, t1) = (w.load(Space::Jac, Slot::H as usize), w.load(Space::Jac, Slot::End as usize));
        let a = self.attempt(&mut w, t, h, t1, &x)?;
        w.store(Space::Jac, Slot::Error as usize, a.error);
        w.store(Space::Jac, Slot::Growth as usize, a.growth);
        for (i, &v) in a.x1.iter().chain(a.k.iter().flatten()).enumerate() {
            w.store(Space::Jac, SLOTS + i, v);
        }
        w.settle(self.guesses.as_ref(), None)?;
        Some(simplified(&w.k.kernel(), Level::O2, &Traps::of(program)))
    }

    /// Appends a trial step of length `h` from `(t, x)` to `t1`.
    pub(crate) fn attempt(
        &self,
        w: &mut Writer<'_>,
        t: Value,
        h: Value,
        t1: Value,
        x: &[Value],
    ) -> Option<Attempt> {
        let (n, tab) = (x.len(), self.tableau);
        let point = self.linear.point(&mut w.k, t, x)?;
        let one = w.c(1.0);
        let inv_h = w.div(one, h);
        let c = w.c(1.0 / tab.gamma);
        let diagonal = w.mul(inv_h, c);
        let mut m = point.jacobian;
        for i in 0..n {
            let d = match m.get(&(i, i)) {
                Some(&j) => w.sub(j, diagonal),
                None => neg(w, diagonal),
            };
            m.insert((i, i), d);
        }
        let lu = self.elimination.factor(w, m);
        let minus_inv_h = neg(w, inv_h);
        let mut k: Vec<Vec<Value>> = Vec::with_capacity(tab.stages);
        let mut at = x.to_vec();
        for s in 0..tab.stages {
            let f = if s == 0 {
                point.f.clone()
            } else {
                // from the last three stages on the argument is the one before plus its `k`
                let follows = tab.a[s][s - 1] == 1.0 && tab.a[s][..s - 1] == tab.a[s - 1][..s - 1];
                for i in 0..n {
                    at[i] = if follows {
                        w.add(at[i], k[s - 1][i])
                    } else {
                        sum(w, &tab.a[s][..s], &k, i).map_or(x[i], |d| w.add(x[i], d))
                    };
                }
                let node = tab.node[s];
                let time = if node == 1.0 {
                    t1
                } else {
                    let c = w.c(node);
                    w.k.push_as(Op::Fma(c, h, t), Ty::F64)
                };
                self.linear.rhs(&mut w.k, time, &at)?
            };
            // the right side with its sign changed, as that of the matrix
            let mut b = Vec::with_capacity(n);
            for i in 0..n {
                let mut f = f[i];
                if let Some(&ft) = point.time.get(&i).filter(|_| tab.d[s] != 0.0) {
                    let d = w.c(tab.d[s]);
                    let d = w.mul(d, h);
                    f = w.k.push_as(Op::Fma(d, ft, f), Ty::F64);
                }
                let minus = neg(w, f);
                b.push(match sum(w, &tab.c[s][..s], &k, i) {
                    Some(c) => w.k.push_as(Op::Fma(minus_inv_h, c, minus), Ty::F64),
                    None => minus,
                });
            }
            self.elimination.solve(w, &lu, &mut b);
            k.push(b);
        }
        let e = k.last()?;
        let mut squares: Vec<Option<Value>> = vec![None; SUMS.min(n)];
        let mut x1 = Vec::with_capacity(n);
        for i in 0..n {
            let v = w.add(at[i], e[i]);
            let weight = w.weight(self.atol[i], self.rtol, x[i], v);
            let q = w.div(e[i], weight);
            let part = &mut squares[i % SUMS];
            *part = Some(match *part {
                Some(sum) => w.k.push_as(Op::Fma(q, q, sum), Ty::F64),
                None => w.mul(q, q),
            });
            x1.push(v);
        }
        let total = squares.into_iter().flatten().reduce(|a, b| w.add(a, b))?;
        let c = w.c(tab.estimate * tab.estimate / n as f64);
        let error = w.mul(total, c);
        Some(Attempt { x1, error, growth: lu.growth, k })
    }
}

fn neg(w: &mut Writer<'_>, v: Value) -> Value {
    w.un(UnOp::Neg, v)
}

/// `Σ c·k` of one state; none: all coefficients are 0.
fn sum(w: &mut Writer<'_>, c: &[f64], k: &[Vec<Value>], i: usize) -> Option<Value> {
    let mut sum = None;
    for (&c, k) in c.iter().zip(k).filter(|p| *p.0 != 0.0) {
        let c = w.c(c);
        sum = Some(match sum {
            Some(s) => w.k.push_as(Op::Fma(c, k[i], s), Ty::F64),
            None => w.mul(c, k[i]),
        });
    }
    sum
}

/// In which order states are eliminated, and what that takes.
#[derive(Clone, Debug)]
struct Elimination {
    /// The states in the order of their pivots.
    order: Vec<usize>,
    /// Entries of the factors.
    entries: usize,
    /// Multiplications of a factorisation.
    updates: usize,
}

/// The factors: unit lower triangle and upper triangle with its rows divided by their pivots, both with their signs
/// changed, and the reciprocals of the pivots.
struct Factors {
    /// By pivot: rows below it and their multipliers.
    lower: Vec<Vec<(usize, Value)>>,
    /// By pivot: columns right of it.
    upper: Vec<Vec<(usize, Value)>>,
    inverse: Vec<Value>,
    growth: Value,
}

impl Elimination {
    /// Diagonal pivots, at each step the one whose row and column have the fewest entries to combine.
    fn of(n: usize, pattern: &[(usize, usize)]) -> Self {
        let mut there = vec![false; n * n];
        for &(i, j) in pattern {
            there[i * n + j] = true;
        }
        for i in 0..n {
            there[i * n + i] = true;
        }
        let mut left: Vec<usize> = (0..n).collect();
        let mut out = Elimination { order: Vec::with_capacity(n), entries: 0, updates: 0 };
        while !left.is_empty() {
            let cost = |p: usize| {
                let rows = left.iter().filter(|&&i| i != p && there[i * n + p]).count();
                let columns = left.iter().filter(|&&j| j != p && there[p * n + j]).count();
                (rows, columns)
            };
            let Some(&p) = left.iter().min_by_key(|&&p| {
                let (rows, columns) = cost(p);
                (rows * columns, rows + columns, p)
            }) else {
                break;
            };
            let (rows, columns) = cost(p);
            out.entries += rows + columns;
            out.updates += rows * columns + rows;
            left.retain(|&i| i != p);
            for &i in &left {
                for &j in &left {
                    if there[i * n + p] && there[p * n + j] {
                        there[i * n + j] = true;
                    }
                }
            }
            out.order.push(p);
        }
        out
    }

    fn factor(&self, w: &mut Writer<'_>, mut m: BTreeMap<(usize, usize), Value>) -> Factors {
        let one = w.c(1.0);
        let zero = w.c(0.0);
        let mut out = Factors { lower: Vec::new(), upper: Vec::new(), inverse: Vec::new(), growth: zero };
        for (p, &pivot) in self.order.iter().enumerate() {
            let rest = &self.order[p + 1..];
            // every diagonal entry is there: `attempt` put it
            let inverse = m.get(&(pivot, pivot)).map_or(zero, |&d| w.div(one, d));
            let upper: Vec<(usize, Value)> =
                rest.iter().filter_map(|&j| Some((j, *m.get(&(pivot, j))?))).collect();
            let mut lower = Vec::new();
            for &i in rest {
                let Some(&a) = m.get(&(i, pivot)) else { continue };
                let l = w.mul(a, inverse);
                out.growth = w.k.push_as(Op::Fma(l, l, out.growth), Ty::F64);
                let minus = neg(w, l);
                for &(j, u) in &upper {
                    let v = match m.get(&(i, j)) {
                        Some(&old) => w.k.push_as(Op::Fma(minus, u, old), Ty::F64),
                        None => w.mul(minus, u),
                    };
                    m.insert((i, j), v);
                }
                lower.push((i, minus));
            }
            // so the solves have the shortest chain of operations that wait for each other
            let scaled = upper.into_iter().map(|(j, u)| {
                let u = w.mul(u, inverse);
                (j, neg(w, u))
            });
            let upper = scaled.collect();
            out.lower.push(lower);
            out.upper.push(upper);
            out.inverse.push(inverse);
        }
        out
    }

    fn solve(&self, w: &mut Writer<'_>, lu: &Factors, b: &mut [Value]) {
        for (p, &pivot) in self.order.iter().enumerate() {
            for &(i, minus) in &lu.lower[p] {
                b[i] = w.k.push_as(Op::Fma(minus, b[pivot], b[i]), Ty::F64);
            }
        }
        for (p, &pivot) in self.order.iter().enumerate().rev() {
            let mut v = w.mul(b[pivot], lu.inverse[p]);
            // the last to be known is the last to be used
            for &(j, minus) in lu.upper[p].iter().rev() {
                v = w.k.push_as(Op::Fma(minus, b[j], v), Ty::F64);
            }
            b[pivot] = v;
        }
    }
}
