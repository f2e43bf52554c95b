//! Structural dependence: which columns each row of a Jacobian can depend on, for kernels of any form.
//!
//! The kernel is run over sets of columns instead of numbers: loops round by round, both sides of a branch,
//! all elements of a dynamic index; the unknowns of an algebraic block depend on all that its residuals
//! depend on. Linear in the number of operations run (sets are shared and unions remembered).

use super::derive::SEEDS;
use super::sparsity::{Csc, Scatter};
use crate::ids::{BlockId, Value};
use crate::ir::{Affine, For, If, Kernel, Op, Region, Space, Stmt, Ty, UnOp};
use crate::program::Program;
use rustc_hash::FxHashMap;

/// The pattern of ∂Der/∂State: that of the symbolic Jacobian if the program has one.
#[must_use]
pub fn state_pattern(program: &Program) -> Csc {
    match &program.jacobian {
        Some(j) => Scatter::new(j).pattern,
        None => structural_pattern(program),
    }
}

/// The pattern of ∂Der/∂State as the right-hand side's structure has it.
#[must_use]
pub fn structural_pattern(program: &Program) -> Csc {
    let n = program.sizes.state;
    let mut w = Walker {
        program,
        sets: Sets::new(),
        var: vec![EMPTY; program.sizes.var as usize],
        der: vec![EMPTY; n as usize],
        res: vec![EMPTY; program.sizes.res as usize],
        state: vec![EMPTY; n as usize],
    };
    for k in 0..n {
        w.state[k as usize] = w.sets.of(vec![k]);
    }
    w.kernel(&program.rhs);
    let Walker { der, sets, .. } = w;
    Csc::from_rows(n as usize, der.iter().map(|&s| &*sets.list[s as usize]))
}

type Set = u32;
const EMPTY: Set = 0;

/// Sets of columns, each stored once.
struct Sets {
    list: Vec<Box<[u32]>>,
    known: FxHashMap<Box<[u32]>, Set>,
    unions: FxHashMap<(Set, Set), Set>,
}

impl Sets {
    fn new() -> Self {
        let mut sets = Self { list: Vec::new(), known: FxHashMap::default(), unions: FxHashMap::default() };
        sets.of(Vec::new());
        sets
    }

    fn of(&mut self, set: Vec<u32>) -> Set {
        let set: Box<[u32]> = set.into();
        if let Some(&known) = self.known.get(&set) {
            return known;
        }
        let id = self.list.len() as Set;
        self.list.push(set.clone());
        self.known.insert(set, id);
        id
    }

    fn union(&mut self, a: Set, b: Set) -> Set {
        if a == b || b == EMPTY {
            return a;
        }
        if a == EMPTY {
            return b;
        }
        let key = (a.min(b), a.max(b));
        if let Some(&known) = self.unions.get(&key) {
            return known;
        }
        let (x, y) = (&self.list[a as usize], &self.list[b as usize]);
        let mut out = Vec::with_capacity(x.len() + y.len());
        let (mut i, mut j) = (0, 0);
        while i < x.len() && j < y.len() {
            let (p, q) = (x[i], y[j]);
            out.push(p.min(q));
            i += usize::from(p <= q);
            j += usize::from(q <= p);
        }
        out.extend_from_slice(&x[i..]);
        out.extend_from_slice(&y[j..]);
        let id = self.of(out);
        self.unions.insert(key, id);
        id
    }
}

struct Walker<'a> {
    program: &'a Program,
    sets: Sets,
    var: Vec<Set>,
    der: Vec<Set>,
    res: Vec<Set>,
    state: Vec<Set>,
}

/// One kernel being run.
struct Run<'a> {
    kernel: &'a Kernel,
    values: Vec<Set>,
    at: Vec<i64>,
}

impl Run<'_> {
    fn slot(&self, a: &Affine) -> usize {
        a.eval(|i| self.at[i.index()]) as usize
    }
}

impl Walker<'_> {
    fn kernel(&mut self, kernel: &Kernel) {
        let mut run =
            Run { kernel, values: vec![EMPTY; kernel.values.len()], at: vec![0; kernel.indices as usize] };
        self.region(&kernel.body, &mut run);
    }

    fn space(&mut self, space: Space) -> Option<&mut Vec<Set>> {
        match space {
            Space::State => Some(&mut self.state),
            Space::Var => Some(&mut self.var),
            Space::Der => Some(&mut self.der),
            Space::Res => Some(&mut self.res),
            _ => None,
        }
    }

    fn load(&mut self, space: Space, slot: usize) -> Set {
        self.space(space).and_then(|s| s.get(slot).copied()).unwrap_or(EMPTY)
    }

    fn region(&mut self, region: &Region, run: &mut Run<'_>) {
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => run.values[v.index()] = self.value(*v, run),
                Stmt::Store { place, value, .. } => {
                    let (slot, set) = (run.slot(&place.at), run.values[value.index()]);
                    if let Some(s) = self.space(place.space).and_then(|s| s.get_mut(slot)) {
                        *s = set;
                    }
                }
                Stmt::For(l) => self.rounds(l, run),
                Stmt::If(i) => self.branch(i, run),
                Stmt::Solve(b) => self.solve(*b),
                Stmt::SolveTangent(_) => {}
            }
        }
    }

    fn value(&mut self, v: Value, run: &Run<'_>) -> Set {
        let data = &run.kernel.values[v.index()];
        if data.ty != Ty::F64 {
            return EMPTY;
        }
        match &data.op {
            Op::Load(p) if SEEDS.contains(&p.space) => self.load(p.space, run.slot(&p.at)),
            Op::LoadAt { place, len, stride, .. } if SEEDS.contains(&place.space) => {
                let base = run.slot(&place.at) as i64;
                let mut set = EMPTY;
                for k in 0..i64::from(*len) {
                    let one = self.load(place.space, (base + k * stride) as usize);
                    set = self.sets.union(set, one);
                }
                set
            }
            Op::Un(UnOp::Neg | UnOp::Abs | UnOp::Sqrt, a) | Op::Table { x: a, .. } => run.values[a.index()],
            Op::Select(_, a, b) | Op::Bin(_, a, b) => {
                self.sets.union(run.values[a.index()], run.values[b.index()])
            }
            Op::Fma(..) | Op::Math(..) | Op::Call(..) => {
                data.op.operands().fold(EMPTY, |set, o| self.sets.union(set, run.values[o.index()]))
            }
            _ => EMPTY,
        }
    }

    fn rounds(&mut self, l: &For, run: &mut Run<'_>) {
        let mut carried: Vec<Set> = l.carries.iter().map(|c| run.values[c.init.index()]).collect();
        for k in 0..l.hi.saturating_sub(l.lo).max(0) {
            run.at[l.index.index()] = if l.reverse { l.hi - 1 - k } else { l.lo + k };
            for (c, &set) in l.carries.iter().zip(&carried) {
                run.values[c.var.index()] = set;
            }
            self.region(&l.body, run);
            for (set, c) in carried.iter_mut().zip(&l.carries) {
                *set = run.values[c.next.index()];
            }
        }
        for (c, &set) in l.carries.iter().zip(&carried) {
            run.values[c.result.index()] = set;
        }
    }

    fn branch(&mut self, i: &If, run: &mut Run<'_>) {
        // a slot written on one side may keep what it had, or have what the other side wrote
        let written = |region: &Region| super::stores(region, &|s| SEEDS.contains(&s));
        let before =
            (written(&i.then) || written(&i.otherwise)).then(|| (self.var.clone(), self.der.clone()));
        self.region(&i.then, run);
        if let Some((var, der)) = before {
            let after = (std::mem::replace(&mut self.var, var), std::mem::replace(&mut self.der, der));
            self.region(&i.otherwise, run);
            for (k, set) in after.0.into_iter().enumerate() {
                self.var[k] = self.sets.union(self.var[k], set);
            }
            for (k, set) in after.1.into_iter().enumerate() {
                self.der[k] = self.sets.union(self.der[k], set);
            }
        } else {
            self.region(&i.otherwise, run);
        }
        for &(r, a, b) in &i.results {
            run.values[r.index()] = self.sets.union(run.values[a.index()], run.values[b.index()]);
        }
    }

    fn solve(&mut self, b: BlockId) {
        let program = self.program;
        let Some(block) = program.blocks.get(b.index()) else { return };
        let set_unknowns = |w: &mut Self, set: Set| {
            for run in &block.unknowns {
                if let Some(space) = w.space(run.space) {
                    let end = (run.base + run.len) as usize;
                    if let Some(slots) = space.get_mut(run.base as usize..end) {
                        slots.fill(set);
                    }
                }
            }
        };
        set_unknowns(self, EMPTY);
        self.kernel(&block.residual);
        let mut all = EMPTY;
        for k in 0..block.n as usize {
            let set = self.load(Space::Res, k);
            all = self.sets.union(all, set);
        }
        set_unknowns(self, all);
        // torn inner variables, now with the unknowns'
        self.kernel(&block.residual);
    }
}
