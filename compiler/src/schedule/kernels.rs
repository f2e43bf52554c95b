//! Plans to kernels: which assignments a purpose needs, and the blocks on the way.

use super::emit::{Emitted, Emitter};
use super::layout::Layout;
use super::origins::Origins;
use crate::flat::{Affine, Expr, Loop, System};
use crate::structural::order::{Assignment, Block, Plan, Step};
use crate::structural::problem::Problem;
use crate::structural::sets::points;
use crate::structural::{expr, isolate};
use rustc_hash::{FxHashMap, FxHashSet};
use twinml_model::ids::{BlockId, VarId};
use twinml_model::ir::{Place, Region, Space, Stmt};
use twinml_model::program;

/// A family's values or derivatives.
pub type Family = (VarId, bool);

/// What a purpose needs of a plan: per step, per assignment.
pub struct Slice {
    keep: Vec<Vec<bool>>,
}

impl Slice {
    /// Everything that `wanted` depends on.
    pub fn of(plan: &Plan, problem: &Problem, wanted: impl IntoIterator<Item = Family>) -> Slice {
        let mut live: FxHashSet<Family> = wanted.into_iter().collect();
        let mut keep: Vec<Vec<bool>> = Vec::with_capacity(plan.steps.len());
        for step in plan.steps.iter().rev() {
            keep.push(match step {
                Step::Nest { body, chained, .. } => {
                    let mut kept = vec![false; body.len()];
                    loop {
                        let before = live.len();
                        for (k, a) in body.iter().enumerate().rev() {
                            if !kept[k] && live.contains(&(a.target.var, a.target.der)) {
                                kept[k] = true;
                                add_uses(&a.value, &mut live);
                            }
                        }
                        if !chained || live.len() == before {
                            break kept;
                        }
                    }
                }
                Step::Block(b) => {
                    let wanted =
                        b.unknowns.iter().any(|(atom, _)| {
                            let a = problem.atoms[atom.0 as usize];
                            live.contains(&(a.var, a.der))
                        }) || b.inner.iter().any(|(_, a)| live.contains(&(a.target.var, a.target.der)));
                    if wanted {
                        for (_, a) in &b.inner {
                            add_uses(&a.value, &mut live);
                        }
                        for (_, e) in &b.residuals {
                            add_uses(&e.left, &mut live);
                            add_uses(&e.right, &mut live);
                        }
                    }
                    vec![wanted]
                }
            });
        }
        keep.reverse();
        Slice { keep }
    }
}

fn add_uses(e: &Expr, live: &mut FxHashSet<Family>) {
    expr::uses(e, &mut |u| {
        live.insert((u.var, u.der));
    });
}

/// Blocks of a plan, compiled once and shared by all kernels that need them.
pub struct Blocks<'a> {
    /// The blocks so far.
    pub list: Vec<program::Block>,
    ids: FxHashMap<(u8, usize), BlockId>,
    loaded: Vec<FxHashSet<VarId>>,
    system: &'a System,
    layout: &'a Layout,
}

impl<'a> Blocks<'a> {
    /// None yet.
    pub fn new(system: &'a System, layout: &'a Layout) -> Blocks<'a> {
        Blocks { list: Vec::new(), ids: FxHashMap::default(), loaded: Vec::new(), system, layout }
    }

    /// The compiled form of the block at `step` of plan number `plan` (0: simulation, 1: initialization, 2: projection).
    fn get(
        &mut self,
        plan: u8,
        step: usize,
        b: &Block,
        p: &Problem,
        origins: &mut Origins,
    ) -> (BlockId, &FxHashSet<VarId>) {
        let id = match self.ids.get(&(plan, step)) {
            Some(id) => *id,
            None => {
                let (block, loaded) = self.compile(plan, b, p, origins);
                let id = BlockId::new(self.list.len());
                self.list.push(block);
                self.loaded.push(loaded);
                self.ids.insert((plan, step), id);
                id
            }
        };
        (id, &self.loaded[id.index()])
    }

    fn compile(
        &self,
        plan: u8,
        b: &Block,
        p: &Problem,
        origins: &mut Origins,
    ) -> (program::Block, FxHashSet<VarId>) {
        let name = format!("block{}_residual", self.list.len());
        let mut places = Vec::new();
        let (mut row, mut rows) = (0i64, Vec::new());
        for (eq, e) in &b.residuals {
            rows.push((*eq, row));
            row += points(&e.loops);
        }
        for (eq, first) in &rows {
            let e = &p.equations[*eq];
            places.push((*first as u32, origins.add(e.span, &e.owner)));
        }
        let mut emitter = Emitter::new(&name, self.system, self.layout, origins);
        for (loops, a) in &b.inner {
            let e = &p.equations[a.equation];
            let origin = emitter.origin(e.span, &e.owner);
            emitter.nest(loops, false, &mut |em| em.assign(a, origin));
        }
        for ((_, e), (_, first)) in b.residuals.iter().zip(&rows) {
            let origin = emitter.origin(e.span, &e.owner);
            let residual = isolate::sub(e.left.clone(), e.right.clone());
            let at = row_major(&e.loops, *first);
            emitter.nest(&e.loops, false, &mut |em| {
                let value = em.number(&residual);
                em.store(Place { space: Space::Res, at: at.clone() }, value, origin);
            });
        }
        let Emitted { kernel, loaded, .. } = emitter.finish();
        let mut unknowns = Vec::new();
        let mut n = 0u32;
        for (atom, set) in &b.unknowns {
            let a = p.atoms[atom.0 as usize];
            let (home, base) = self.layout.home(a.var);
            let space = if a.der { Space::Der } else { home };
            if set.step == 1 {
                unknowns.push(program::SlotRun { space, base: base + set.lo as u32, len: set.count as u32 });
            } else {
                unknowns.extend(set.iter().map(|x| program::SlotRun {
                    space,
                    base: base + x as u32,
                    len: 1,
                }));
            }
            n += set.count as u32;
        }
        let block = program::Block {
            unknowns,
            n,
            linear: b.linear,
            residual: kernel,
            jacobian: None,
            tangent: None,
            inner_tangent: None,
            origins: places,
            initial_only: plan != 0,
            careful: p.network && !b.linear,
        };
        (block, loaded)
    }
}

/// The number of a point of the loops, counted from `first`, last loop fastest.
pub fn row_major(loops: &[Loop], first: i64) -> Affine {
    let mut at = Affine::constant(first);
    let mut stride = 1;
    for l in loops.iter().rev() {
        at = at.plus(l.index, stride);
        at.base -= stride * l.lo;
        stride *= (l.hi - l.lo).max(0);
    }
    at
}

/// Emits the kept steps of a plan.
pub fn steps(
    em: &mut Emitter<'_>,
    blocks: &mut Blocks<'_>,
    number: u8,
    plan: &Plan,
    p: &Problem,
    slice: &Slice,
) {
    for (k, step) in plan.steps.iter().enumerate() {
        match step {
            Step::Nest { loops, reverse, body, .. } => {
                let kept: Vec<&Assignment> =
                    body.iter().zip(&slice.keep[k]).filter(|(_, keep)| **keep).map(|(a, _)| a).collect();
                if kept.is_empty() {
                    continue;
                }
                em.nest(loops, *reverse, &mut |em| {
                    for a in &kept {
                        let e = &p.equations[a.equation];
                        let origin = em.origin(e.span, &e.owner);
                        em.assign(a, origin);
                    }
                });
            }
            Step::Block(b) => {
                if slice.keep[k][0] {
                    let (id, loaded) = em.with_origins(|origins| {
                        let (id, loaded) = blocks.get(number, k, b, p, origins);
                        (id, loaded.clone())
                    });
                    em.note_loaded(loaded);
                    em.solve(id);
                }
            }
        }
    }
}

/// Removes stores to families of `Var` that nothing reads from memory.
pub fn drop_unread(emitted: Emitted, also_read: &FxHashSet<VarId>) -> twinml_model::ir::Kernel {
    let Emitted { mut kernel, loaded, stored } = emitted;
    prune(&mut kernel.body, &|place: &Place| {
        stored.get(place).is_none_or(|v| loaded.contains(v) || also_read.contains(v))
    });
    kernel
}

fn prune(region: &mut Region, keep: &dyn Fn(&Place) -> bool) {
    region.retain_mut(|s| match s {
        Stmt::Store { place, .. } => keep(place),
        Stmt::For(f) => {
            prune(&mut f.body, keep);
            true
        }
        Stmt::If(i) => {
            prune(&mut i.then, keep);
            prune(&mut i.otherwise, keep);
            true
        }
        _ => true,
    });
}
