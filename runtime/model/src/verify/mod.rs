//! Checks the invariants of a program. What passes here runs in every machine without a panic and without
//! leaving its memory.
//!
//! Kernels and functions:
//! 1. Every value, index, block, function, table and origin named exists.
//! 2. Every value is defined once: by its `Eval`, or as carry or result of one loop or branch; and is used
//!    only after that, in the same or an enclosed region.
//! 3. Operands and results have the types that the operation says; stored values are `F64` or `Bool`.
//! 4. A loop has `lo ≤ hi`, its index belongs to it alone; affine functions name only indices of enclosing
//!    loops, in rising order, without zero strides.
//! 5. Every address lies inside its space for all values of its indices (for `LoadAt`: for all elements).
//! 6. A kernel reads and writes only the spaces that its [`Role`] allows. A function touches no space, asks
//!    nothing of a block or the history, and calls only functions before it, so that there is no recursion;
//!    its `Arg`s lie in its parameters and have their types.
//! 7. Regions nest at most [`MAX_DEPTH`] deep, with at most [`MAX_INDICES`] indices; elementary functions get as many arguments as they have.
//!
//! Programs:
//! 8. Defaults lie in their spaces; blocks' unknowns number `n` and lie in their spaces; origins of
//!    residuals rise; a block solves itself neither directly nor through others.
//! 9. Entry families of a Jacobian stay inside its rows, columns and entries; `Sizes` has room for it.
//! 10. Relations, variables and slot runs lie inside their spaces; a variable's length is the product of its
//!     axes; enumerations exist.
//! 11. Tables have at least one sample, finite and strictly rising arguments, as many values.
//! 12. Behaviour leads to nothing that is not there: see `verify/behavior.rs`.
//! 13. Families of white noise lie in `Input`, apart, with as many paths as their axes say.
//! 14. Draws have slots, arguments and correlations that exist: see `verify/draws.rs`.
//!
//! The cost is linear in the program's text, not in the number of rounds of its loops (defaults and tables
//! are walked once).

mod behavior;
mod draws;
mod error;
mod kernel;

pub use error::{Problem, VerifyError};
pub use kernel::{Role, verify_function, verify_kernel};

use crate::ids::{BlockId, OriginId};
use crate::ir::{Affine, Region, Space, Stmt};
use crate::program::{Block, EntryFamily, Jacobian, Program, SlotRun, Watch};
use crate::schema::Kind;

/// Deepest nesting of regions.
pub const MAX_DEPTH: usize = 200;
/// Most loop indices of a kernel.
pub const MAX_INDICES: u32 = 1 << 20;

/// Checks all invariants; the first that is broken is the error.
pub fn verify(program: &Program) -> Result<(), VerifyError> {
    let at = |problem| Err(VerifyError::new("program", problem));
    for (space, fills) in program.defaults.spaces() {
        let size = program.sizes.of(space);
        if fills.0.iter().any(|f| f.step == 0 || f.end().is_none_or(|end| end > size)) {
            return at(Problem::Defaults { space, size });
        }
    }
    for origin in &program.origins {
        if origin.lo > origin.hi || (origin.file != u32::MAX && origin.file as usize >= program.files.len()) {
            return at(Problem::Origin);
        }
    }
    tables(program)?;
    schema(program)?;
    for (k, relation) in program.relations.iter().enumerate() {
        let name = || format!("relation {k}");
        slots(program, Space::Disc, relation.disc, relation.len).map_err(|p| VerifyError::new(name(), p))?;
        slots(program, Space::Root, relation.root, relation.len).map_err(|p| VerifyError::new(name(), p))?;
        origin(program, relation.origin).map_err(|p| VerifyError::new(name(), p))?;
    }
    for k in 0..program.functions.len() {
        verify_function(program, k)?;
    }
    for (role, kernel) in [
        (Role::Params, &program.params),
        (Role::Initial, &program.initial),
        (Role::Rhs, &program.rhs),
        (Role::Outputs, &program.outputs),
        (Role::Roots, &program.roots),
        (Role::Update, &program.update),
        (Role::History, &program.history),
        (Role::Outputs, &program.projection),
    ] {
        verify_kernel(program, kernel, role)?;
    }
    if let Some(kept) = &program.kept {
        let at = |p| VerifyError::new("projection".to_owned(), p);
        for &(state, var) in &kept.states {
            slots(program, Space::State, state, 1).map_err(at)?;
            slots(program, Space::Var, var, 1).map_err(at)?;
        }
        for &o in &kept.origins {
            origin(program, o).map_err(at)?;
        }
    }
    for r in &program.ranges {
        let at = |p| VerifyError::new("range".to_owned(), p);
        match r.watch {
            Watch::Root(slot) => slots(program, Space::Root, slot, r.len).map_err(at)?,
            Watch::Param(slot) => slots(program, Space::Param, slot, r.len).map_err(at)?,
        }
        let known = program.schema.vars.get(r.var.index()).map_or(0, |v| v.len);
        let rounds = r.nest.iter().try_fold(1u32, |n, (rounds, _)| n.checked_mul(*rounds));
        // The corners of the nest are its extremes.
        let (mut least, mut most) = (i128::from(r.first), i128::from(r.first));
        for &(rounds, stride) in &r.nest {
            let reach = i128::from(rounds.saturating_sub(1)) * i128::from(stride);
            if reach < 0 { least += reach } else { most += reach }
        }
        if rounds != Some(r.len) || r.len == 0 || least < 0 || most >= i128::from(known) {
            return Err(at(Problem::RangeElements { var: r.var, len: known }));
        }
        origin(program, r.origin).map_err(at)?;
    }
    for c in &program.clamps {
        let at = |p| VerifyError::new("clamp".to_owned(), p);
        let len = program.schema.vars.get(c.var.index()).map_or(0, |v| v.len);
        if len == 0 {
            return Err(at(Problem::RangeElements { var: c.var, len }));
        }
        for (space, slot) in
            [(Space::Param, c.lo), (Space::Param, c.hi), (Space::Disc, c.low), (Space::Disc, c.high)]
        {
            if let Some(slot) = slot {
                slots(program, space, slot, len).map_err(at)?;
            }
        }
        origin(program, c.origin).map_err(at)?;
    }
    noise(program)?;
    if let Some(jvp) = &program.jvp {
        verify_kernel(program, jvp, Role::Jvp)?;
    }
    if let Some(j) = &program.jacobian {
        if j.rows != program.sizes.state || j.cols != program.sizes.state {
            return Err(VerifyError::new("jacobian", Problem::JacobianShape { rows: j.rows, cols: j.cols }));
        }
        jacobian(program, j, "jacobian")?;
    }
    for (k, b) in program.blocks.iter().enumerate() {
        block(program, b, BlockId::new(k))?;
    }
    cycles(program)?;
    if let Some(k) = &program.draws.params {
        verify_kernel(program, k, Role::Params)?;
    }
    draws::draws(program)?;
    behavior::behavior(program)
}

fn origin(program: &Program, id: OriginId) -> Result<(), Problem> {
    if id.index() < program.origins.len() { Ok(()) } else { Err(Problem::NoSuchOrigin(id)) }
}

fn slots(program: &Program, space: Space, base: u32, len: u32) -> Result<(), Problem> {
    let end = u64::from(base) + u64::from(len);
    let size = program.sizes.of(space);
    if end <= u64::from(size) { Ok(()) } else { Err(Problem::Slots { space, base, len, size }) }
}

fn tables(program: &Program) -> Result<(), VerifyError> {
    for (k, t) in program.tables.iter().enumerate() {
        let bad = t.x.is_empty()
            || t.x.len() != t.y.len()
            || t.x.iter().any(|x| !x.is_finite())
            || t.x.windows(2).any(|w| w[0] >= w[1]);
        if bad {
            return Err(VerifyError::new(format!("table{k} `{}`", t.name), Problem::Table));
        }
    }
    Ok(())
}

fn schema(program: &Program) -> Result<(), VerifyError> {
    for v in &program.schema.vars {
        let at = |p| VerifyError::new(format!("variable `{}`", v.template()), p);
        slots(program, v.space, v.base, v.len).map_err(at)?;
        origin(program, v.origin).map_err(at)?;
        let axes = v.path.iter().flat_map(|s| s.axes.iter());
        let product = axes.fold(1u64, |p, &n| p.saturating_mul(u64::from(n)));
        if product != u64::from(v.len) || v.path.is_empty() {
            return Err(at(Problem::Shape { axes: product, len: v.len }));
        }
        if let Kind::Enum(e) = v.kind
            && e.index() >= program.schema.enums.len()
        {
            return Err(at(Problem::NoSuchEnum(e)));
        }
    }
    Ok(())
}

fn block(program: &Program, b: &Block, id: BlockId) -> Result<(), VerifyError> {
    let at = |p| VerifyError::new(id.to_string(), p);
    let mut n = 0u64;
    for &SlotRun { space, base, len } in &b.unknowns {
        let allowed = matches!(space, Space::Var | Space::Der)
            || (b.initial_only && matches!(space, Space::State | Space::Param | Space::Disc));
        if !allowed {
            return Err(at(Problem::Unknowns(space)));
        }
        slots(program, space, base, len).map_err(at)?;
        n += u64::from(len);
    }
    if n != u64::from(b.n) || b.n > program.sizes.res {
        return Err(at(Problem::BlockSize { n: b.n, unknowns: n, res: program.sizes.res }));
    }
    if b.origins.windows(2).any(|w| w[0].0 >= w[1].0) || b.origins.last().is_some_and(|o| o.0 >= b.n.max(1)) {
        return Err(at(Problem::ResidualOrigins));
    }
    for &(_, o) in &b.origins {
        origin(program, o).map_err(at)?;
    }
    verify_kernel(program, &b.residual, Role::Residual)?;
    if let Some(j) = &b.jacobian {
        if j.rows != b.n || j.cols != b.n {
            return Err(at(Problem::JacobianShape { rows: j.rows, cols: j.cols }));
        }
        jacobian(program, j, &id.to_string())?;
    }
    for kernel in [&b.tangent, &b.inner_tangent].into_iter().flatten() {
        verify_kernel(program, kernel, Role::Tangent)?;
    }
    Ok(())
}

fn jacobian(program: &Program, j: &Jacobian, name: &str) -> Result<(), VerifyError> {
    let at = |p| VerifyError::new(name, p);
    if j.entries > program.sizes.jac {
        return Err(at(Problem::JacobianEntries { entries: j.entries, room: program.sizes.jac }));
    }
    for EntryFamily { loops, row, col, slot } in &j.families {
        if loops.iter().any(|(lo, hi)| lo > hi) {
            return Err(at(Problem::Loop));
        }
        let range = |i: usize| loops.get(i).copied();
        for (affine, size) in [(row, j.rows), (col, j.cols), (slot, j.entries)] {
            kernel::affine_form(affine, range).map_err(at)?;
            if loops.iter().all(|(lo, hi)| lo < hi) {
                match extent(affine, range) {
                    Some((lo, hi)) if lo >= 0 && hi < i64::from(size) => {}
                    _ => return Err(at(Problem::Family { size })),
                }
            }
        }
    }
    verify_kernel(program, &j.kernel, Role::Jacobian)
}

/// Least and greatest value of an affine function where index `i` runs over `range(i)`, none of them empty;
/// `None` on overflow or an unknown index.
#[must_use]
pub fn extent(affine: &Affine, range: impl Fn(usize) -> Option<(i64, i64)>) -> Option<(i64, i64)> {
    let (mut least, mut most) = (affine.base, affine.base);
    for &(i, stride) in &affine.terms {
        let (lo, hi) = range(i.index())?;
        let a = stride.checked_mul(lo)?;
        let b = stride.checked_mul(hi.checked_sub(1)?)?;
        least = least.checked_add(a.min(b))?;
        most = most.checked_add(a.max(b))?;
    }
    Some((least, most))
}

/// Families of white noise lie in `Input`, apart from one another, and their paths have as many elements.
fn noise(program: &Program) -> Result<(), VerifyError> {
    let mut taken: Vec<(u32, u32)> = Vec::with_capacity(program.noise.len());
    for n in &program.noise {
        let at = |p| VerifyError::new("noise".to_owned(), p);
        slots(program, Space::Input, n.input, n.len).map_err(at)?;
        let axes = n.path.iter().flat_map(|s| s.axes.iter());
        let paths = axes.clone().try_fold(1u32, |all, a| all.checked_mul(*a));
        if n.len == 0 || paths != Some(n.len) || n.first.len() != axes.count() {
            return Err(at(Problem::NoisePaths { len: n.len }));
        }
        origin(program, n.origin).map_err(at)?;
        taken.push((n.input, n.len));
    }
    taken.sort_unstable();
    match taken.windows(2).find(|w| w[0].0 + w[0].1 > w[1].0) {
        Some(w) => Err(VerifyError::new("noise".to_owned(), Problem::NoisePaths { len: w[1].1 })),
        None => Ok(()),
    }
}

/// No block may ask for its own solution.
fn cycles(program: &Program) -> Result<(), VerifyError> {
    fn asked(region: &Region, out: &mut Vec<BlockId>) {
        for stmt in region {
            match stmt {
                Stmt::Solve(b) | Stmt::SolveTangent(b) => out.push(*b),
                Stmt::For(l) => asked(&l.body, out),
                Stmt::If(i) => {
                    asked(&i.then, out);
                    asked(&i.otherwise, out);
                }
                Stmt::Eval(_) | Stmt::Store { .. } => {}
            }
        }
    }
    let edges: Vec<Vec<BlockId>> = program
        .blocks
        .iter()
        .map(|b| {
            let mut out = Vec::new();
            let jacobian = b.jacobian.as_ref().map(|j| &j.kernel);
            for k in [Some(&b.residual), jacobian, b.tangent.as_ref(), b.inner_tangent.as_ref()]
                .into_iter()
                .flatten()
            {
                asked(&k.body, &mut out);
            }
            out
        })
        .collect();
    // 0 unseen, 1 on the path, 2 done; an explicit stack, as chains may be long
    let mut state = vec![0u8; edges.len()];
    for root in 0..edges.len() {
        let mut stack = vec![(root, 0usize)];
        while let Some(&mut (b, ref mut next)) = stack.last_mut() {
            if *next == 0 {
                if state[b] == 2 {
                    stack.pop();
                    continue;
                }
                state[b] = 1;
            }
            let Some(&to) = edges[b].get(*next) else {
                state[b] = 2;
                stack.pop();
                continue;
            };
            *next += 1;
            match state[to.index()] {
                0 => stack.push((to.index(), 0)),
                1 => return Err(VerifyError::new(to.to_string(), Problem::SolvesItself(to))),
                _ => {}
            }
        }
    }
    Ok(())
}
