//! Who drives the inputs: connections, equations of enclosing twins, overrides, files, a scenario's force (of what
//! equations give, see `force`).

use super::Flattener;
use super::data::{Reader, Reading, TableOrder};
use super::equation::{first_element, without_single_loops};
use super::expr::choose;
use super::scope::{InstId, R, Slot, Stop};
use super::walk::Found;
use crate::diag::{Diagnostic, codes};
use crate::flat::{self, Affine, Expr, Loop, Piece};
use crate::hir;
use crate::source::Span;
use twinml_model::dimension::Dimension;
use twinml_model::ids::{Index, VarId};
use twinml_model::schema::{Kind, Segment};

/// By which means an input gets its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Means {
    Connection,
    Equation,
    Override,
    File,
}

impl Means {
    fn text(self) -> &'static str {
        match self {
            Means::Connection => "driven by this connection",
            Means::Equation => "driven by this equation",
            Means::Override => "set here",
            Means::File => "driven from this file",
        }
    }
}

/// What gives some elements of an input their value.
#[derive(Clone, Debug)]
pub(super) struct Driver {
    pub var: VarId,
    pub loops: Vec<Loop>,
    pub element: Affine,
    pub span: Span,
    pub means: Means,
    /// Its equation; none where it is a value that holds.
    pub equation: Option<usize>,
}

/// Families beside an input that a scenario takes over.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Taken {
    /// Whether a scenario assigns it.
    pub assigned: bool,
    /// Whether a scenario forces it.
    pub force: bool,
    /// Holds what assignments give, where the input itself is computed.
    pub held: Option<VarId>,
    /// Nothing else drives it: behaviour may set what it holds.
    pub open: bool,
    /// Whether it is forced, and to what.
    pub forced: Option<(VarId, VarId)>,
    /// Of a parameter with a formula: whether a branch has given it a value, and which.
    pub chosen: Option<(VarId, VarId)>,
}

/// What of an input is not driven.
struct Coverage {
    /// By nothing at all.
    open: Vec<Box_>,
    /// By no equation (a value that holds may be there).
    undriven: Vec<Box_>,
    /// Whether any driver is an equation.
    computed: bool,
}

/// Ranges `lo..hi` on each axis.
type Box_ = Vec<(i64, i64)>;

/// Axis, the index that runs along it, and how far the axis is ahead of the index.
type Run = (usize, Index, i64);

impl<'a> Flattener<'a> {
    /// Drives from files, checks that nothing has two drivers, and gives the rest its default.
    pub(super) fn drive_inputs(&mut self) {
        self.drive_files();
        self.taken_inputs();
        if self.diags.has_errors() {
            return;
        }
        let count = self.system.vars.len();
        let mut by_var: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (k, d) in self.drivers.iter().enumerate() {
            by_var[d.var.index()].push(k);
        }
        for (k, list) in by_var.into_iter().enumerate() {
            if self.system.vars[k].role == flat::Role::Input {
                let done = self.resolve(VarId::new(k), &list);
                self.settle_stop(done);
            }
        }
        self.force_defined();
    }

    fn drive_files(&mut self) {
        let Some(scenario) = self.scenario() else { return };
        for d in &scenario.drives {
            self.unit(InstId(0), &mut |s, scope| {
                let shape = s.ref_shape(&d.target, scope)?;
                let shown = match s.walk(&d.target, scope, &vec![Affine::constant(0); shape.len()])? {
                    Found::Var(slot, _) => slot.decl,
                    _ => return Err(s.internal(d.span, "a drive of something that is no input")),
                };
                let seconds = twinml_model::schema::DisplayUnit {
                    symbol: String::from("s"),
                    ..twinml_model::schema::DisplayUnit::default()
                };
                let time = d.time_column.clone().unwrap_or_else(|| "time".into());
                let dimension = if let hir::Type::Real(d) = &shown.ty { d.as_ref() } else { None };
                let reading = |column, dimension, said, usual| Reading {
                    by: Reader::Drive,
                    span: d.span,
                    file: &d.file,
                    column,
                    dimension,
                    said,
                    usual,
                };
                let unit = s.unit_of_column(&reading(&*d.column, dimension, d.unit.as_ref(), &shown.unit))?;
                let seconds = s.unit_of_column(&reading(&*time, Some(&Dimension::TIME), None, &seconds))?;
                let table = s.table(&TableOrder {
                    file: &d.file,
                    x: (&time, &seconds),
                    y: (&d.column, &unit),
                    method: d.method,
                    outside: d.outside,
                    of_time: true,
                    span: d.span,
                })?;
                s.nest(&shape, &mut Vec::new(), &mut |s, at| {
                    let (var, element) = s.target(&d.target, scope, at)?;
                    if s.system.vars[var.index()].role != flat::Role::Input {
                        let d = Diagnostic::new(
                            codes::NOT_AN_INPUT,
                            d.span,
                            "only inputs can be driven from a file",
                        );
                        return Err(s.fail(d));
                    }
                    let value = Expr::Table(table, Box::new(Expr::Time));
                    s.driven_by(var, element, value, d.span, Means::File);
                    Ok(())
                })
            });
        }
    }

    /// Which inputs the scenario's actions assign or force.
    fn taken_inputs(&mut self) {
        let Some(scenario) = self.scenario() else { return };
        let branches = scenario.branches.iter();
        let later = branches.flat_map(|b| b.actions.iter().map(|a| &a.body).chain([&b.body]));
        for body in scenario.actions.iter().map(|a| &a.body).chain(later) {
            for stmt in body {
                let (target, force) = match stmt {
                    hir::ActionStmt::Assign(r, ..) => (r, false),
                    hir::ActionStmt::Force(r, ..) | hir::ActionStmt::Release(r, _) => (r, true),
                    hir::ActionStmt::Send(_) | hir::ActionStmt::Later(_) => continue,
                };
                self.unit(InstId(0), &mut |s, scope| {
                    let shape = s.ref_shape(target, scope)?;
                    s.nest(&shape, &mut Vec::new(), &mut |s, at| {
                        let (var, element) = s.target(target, scope, at)?;
                        match s.system.vars[var.index()].role {
                            flat::Role::Input => {
                                let t = s.taken.entry(var).or_default();
                                t.assigned |= !force;
                                t.force |= force;
                                if force {
                                    s.note_forced(var, element, target.span);
                                }
                            }
                            flat::Role::Unknown if force => {
                                s.taken.entry(var).or_default().force = true;
                                s.note_forced(var, element, target.span);
                            }
                            _ if force => {
                                let what = "only inputs and what an equation gives can be forced";
                                let d = Diagnostic::new(codes::NOT_AN_INPUT, target.span, what);
                                let d = d.help(
                                    "what behaviour or a derivative changes is assigned: without `force`",
                                );
                                return Err(s.fail(d));
                            }
                            _ => {}
                        }
                        Ok(())
                    })
                });
            }
        }
    }

    fn resolve(&mut self, var: VarId, list: &[usize]) -> R<()> {
        let dims: Vec<i64> = self.system.vars[var.index()]
            .path
            .iter()
            .flat_map(|s| s.axes.iter().map(|a| i64::from(*a)))
            .collect();
        let Coverage { open, undriven, computed } = self.coverage(var, list, &dims)?;
        let taken = self.taken.get(&var).copied().unwrap_or_default();
        let (home, name) = match &self.homes[var.index()] {
            Some(h) => h.clone(),
            None => return Ok(()),
        };
        let Some(Slot::Var(slot)) = self.inst(home).members.get(&name).cloned() else { return Ok(()) };
        // Elements whose value holds (an override by a constant) need a default no more.
        if !open.is_empty() && slot.decl.value.is_none() {
            if !computed && self.mentioned.contains(&var) {
                self.system.vars[var.index()].role = flat::Role::Unknown;
                return Ok(());
            }
            let corner: Vec<i64> = open[0].iter().map(|r| r.0).collect();
            let path = self.element_path(var, &corner);
            let d = Diagnostic::new(
                codes::UNDRIVEN_INPUT,
                slot.span,
                format!("nothing drives the input `{path}`"),
            )
            .here("has no default")
            .help("connect it, or give it a default: `= …`");
            return Err(self.fail(d));
        }
        if !computed && !taken.force {
            return Ok(());
        }
        // The input becomes a computed family; what it holds where nothing drives it becomes equations.
        let base = self.system.vars[var.index()].clone();
        let mut held = None;
        if taken.force || (taken.assigned && !base.value.is_empty()) {
            let mut v = base.clone();
            v.path.push(Segment { name: String::from("held"), axes: Vec::new() });
            held = Some(self.push_family(v)?);
            self.homes.push(None);
        }
        if undriven.len() > 16 {
            self.system.expanded.push((slot.span, String::from("inputs that are driven in a pattern")));
        }
        let pieces = std::mem::take(&mut self.system.vars[var.index()].value);
        self.system.vars[var.index()].role = flat::Role::Unknown;
        let mut equations: Vec<usize> = list.iter().filter_map(|k| self.drivers[*k].equation).collect();
        for p in pieces {
            let right = match held {
                Some(h) => Expr::Var(h, p.element.clone()),
                None => p.expr.clone(),
            };
            self.equations_in(var, &p, right, &undriven, &dims, &mut equations)?;
        }
        if taken.force {
            let flag =
                self.companion(&base, "forced", Kind::Bool, flat::Role::Discrete, Expr::Bool(false))?;
            let value = self.companion(&base, "force", base.kind, flat::Role::Input, zero_of(base.kind))?;
            for k in equations {
                let e = &mut self.system.equations[k];
                let Expr::Var(_, at) = &e.left else { continue };
                let old = std::mem::replace(&mut e.right, Expr::Num(0.0));
                e.right = choose(Expr::Var(flag, at.clone()), Expr::Var(value, at.clone()), old);
            }
            self.taken.entry(var).or_default().forced = Some((flag, value));
        }
        let taken = self.taken.entry(var).or_default();
        (taken.held, taken.open) = (held, !computed);
        Ok(())
    }

    /// Emits `var = right` for the elements of a default's piece that no equation drives.
    fn equations_in(
        &mut self,
        var: VarId,
        p: &Piece,
        right: Expr,
        undriven: &[Box_],
        dims: &[i64],
        equations: &mut Vec<usize>,
    ) -> R<()> {
        let owner = self.homes[var.index()].as_ref().map_or(String::new(), |h| {
            if self.inst(h.0).path.is_empty() { String::new() } else { self.owner_text(h.0) }
        });
        let Some(whole) = box_of(&p.loops, &p.element, dims) else {
            return Err(self.internal(p.span, "a default for elements in a pattern"));
        };
        for u in undriven {
            let b: Box_ = whole.0.iter().zip(u).map(|(x, y)| (x.0.max(y.0), x.1.min(y.1))).collect();
            if b.iter().any(|(lo, hi)| lo >= hi) {
                continue;
            }
            // Narrow the piece's loops to the box.
            let mut loops = p.loops.clone();
            for (axis, index, offset) in &whole.1 {
                for l in loops.iter_mut().filter(|l| l.index == *index) {
                    (l.lo, l.hi) = (b[*axis].0 - offset, b[*axis].1 - offset);
                }
            }
            equations.push(self.system.equations.len());
            self.system.equations.push(without_single_loops(flat::Equation {
                loops,
                left: Expr::Var(var, p.element.clone()),
                right: right.clone(),
                span: p.span,
                owner: owner.clone(),
            }));
        }
        Ok(())
    }

    /// A family of the same axes beside an input.
    pub(super) fn companion(
        &mut self,
        base: &flat::Var,
        name: &str,
        kind: Kind,
        role: flat::Role,
        start: Expr,
    ) -> R<VarId> {
        let mut v = base.clone();
        v.path.push(Segment { name: name.to_owned(), axes: Vec::new() });
        v.kind = kind;
        v.role = role;
        v.range = None;
        v.guess = Vec::new();
        let loops = if base.len == 1 {
            Vec::new()
        } else {
            vec![Loop { index: Index(0), lo: 0, hi: i64::from(base.len) }]
        };
        let element = if base.len == 1 { Affine::constant(0) } else { Affine::constant(0).plus(Index(0), 1) };
        v.value = vec![Piece { loops, element, expr: start, span: base.span }];
        let id = self.push_family(v)?;
        self.homes.push(None);
        Ok(id)
    }

    /// Which elements of an input nothing drives, and which no equation does. Two drivers are an error.
    fn coverage(&mut self, var: VarId, list: &[usize], dims: &[i64]) -> R<Coverage> {
        let mut boxes: Vec<(Box_, usize)> = Vec::new();
        for &k in list {
            let d = self.drivers[k].clone();
            match box_of(&d.loops, &d.element, dims) {
                Some((b, _)) => boxes.push((b, k)),
                // A pattern that is no box (every second element): its elements one by one.
                None => {
                    let mut at = Vec::new();
                    if !enumerate(&d.loops, &d.element, &mut at) {
                        return Err(self.too_large(d.span, at.len() as u64, "elements driven in a pattern"));
                    }
                    boxes.extend(at.into_iter().map(|n| (point(n, dims), k)));
                }
            }
        }
        let computed = list.iter().any(|k| self.drivers[*k].equation.is_some());
        if boxes.len() > 64 {
            return self.marked(var, &boxes, dims, computed);
        }
        for (i, (a, x)) in boxes.iter().enumerate() {
            for (b, y) in &boxes[i + 1..] {
                if a.iter().zip(b).all(|(p, q)| p.0.max(q.0) < p.1.min(q.1)) {
                    let corner: Vec<i64> = a.iter().zip(b).map(|(p, q)| p.0.max(q.0)).collect();
                    return Err(self.two_drivers(var, &corner, *x, *y));
                }
            }
        }
        let whole: Box_ = dims.iter().map(|n| (0, *n)).collect();
        let left = |keep: &dyn Fn(usize) -> bool| {
            let mut open = vec![whole.clone()];
            for (b, _) in boxes.iter().filter(|(_, k)| keep(*k)) {
                open = open.iter().flat_map(|o| subtract(o, b)).collect();
            }
            open.retain(|b| b.iter().all(|(lo, hi)| lo < hi));
            open
        };
        let open = left(&|_| true);
        let undriven = left(&|k| self.drivers[k].equation.is_some());
        Ok(Coverage { open, undriven, computed })
    }

    /// The same for many small boxes: element by element.
    fn marked(&mut self, var: VarId, boxes: &[(Box_, usize)], dims: &[i64], computed: bool) -> R<Coverage> {
        let len = dims.iter().product::<i64>().max(1) as usize;
        let mut owner: Vec<u32> = vec![u32::MAX; len];
        for (b, k) in boxes {
            let mut clash = None;
            each_point(b, &mut |p| {
                let n = p.iter().zip(dims).fold(0i64, |n, (x, d)| n * d + x) as usize;
                match owner.get_mut(n) {
                    Some(o) if *o == u32::MAX => *o = *k as u32,
                    Some(o) if clash.is_none() => clash = Some((p.to_vec(), *o as usize)),
                    _ => {}
                }
            });
            if let Some((at, other)) = clash {
                return Err(self.two_drivers(var, &at, other, *k));
            }
        }
        let open = rows_where(&owner, dims, &|o| o == u32::MAX);
        let undriven =
            rows_where(&owner, dims, &|o| o == u32::MAX || self.drivers[o as usize].equation.is_none());
        Ok(Coverage { open, undriven, computed })
    }

    /// What drives any of these elements of an input, if something does.
    pub(super) fn driver_of(&self, var: VarId, piece: &Piece) -> Option<Span> {
        let dims: Vec<i64> = self.system.vars[var.index()]
            .path
            .iter()
            .flat_map(|s| s.axes.iter().map(|a| i64::from(*a)))
            .collect();
        let mine = box_of(&piece.loops, &piece.element, &dims);
        self.drivers.iter().filter(|d| d.var == var).find_map(|d| {
            let apart = match (&mine, box_of(&d.loops, &d.element, &dims)) {
                (Some((a, _)), Some((b, _))) => a.iter().zip(&b).any(|(p, q)| p.0.max(q.0) >= p.1.min(q.1)),
                _ => {
                    let (mut a, mut b) = (Vec::new(), Vec::new());
                    enumerate(&piece.loops, &piece.element, &mut a)
                        && enumerate(&d.loops, &d.element, &mut b)
                        && a.iter().all(|x| !b.contains(x))
                }
            };
            (!apart).then_some(d.span)
        })
    }

    /// `tanks[2].q` for an element by its subscripts.
    fn element_path(&self, var: VarId, at: &[i64]) -> String {
        let v = &self.system.vars[var.index()];
        let mut path = String::new();
        let mut n = 0;
        for s in &v.path {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&s.name);
            if !s.axes.is_empty() {
                let part: Vec<String> = at[n..n + s.axes.len()].iter().map(i64::to_string).collect();
                path.push_str(&format!("[{}]", part.join(", ")));
                n += s.axes.len();
            }
        }
        path
    }

    fn two_drivers(&mut self, var: VarId, at: &[i64], x: usize, y: usize) -> Stop {
        let path = self.element_path(var, at);
        let declared = self.system.vars[var.index()].span;
        let (x, y) = (self.drivers[x].clone(), self.drivers[y].clone());
        let d = Diagnostic::new(codes::TWO_DRIVERS, y.span, format!("the input `{path}` has two drivers"))
            .here(y.means.text())
            .label(x.span, x.means.text())
            .label(declared, "declared here")
            .help("a scenario may take an input over: `force`");
        self.fail(d)
    }
}

pub(super) fn zero_of(kind: Kind) -> Expr {
    if kind == Kind::Bool { Expr::Bool(false) } else { Expr::Num(0.0) }
}

/// The elements for which `is` holds, as runs along the last axis.
fn rows_where(owner: &[u32], dims: &[i64], is: &dyn Fn(u32) -> bool) -> Vec<Box_> {
    let row = dims.last().copied().unwrap_or(1).max(1);
    let mut out: Vec<Box_> = Vec::new();
    let mut last: Option<i64> = None;
    for (k, o) in owner.iter().enumerate() {
        let k = k as i64;
        if !is(*o) {
            continue;
        }
        match (last, out.last_mut().and_then(|b| b.last_mut())) {
            (Some(before), Some(run)) if before + 1 == k && k % row != 0 => run.1 += 1,
            _ => out.push(point(k, dims)),
        }
        last = Some(k);
    }
    out
}

fn point(n: i64, dims: &[i64]) -> Box_ {
    let mut rest = n;
    let mut out = vec![(0, 1); dims.len()];
    for (k, d) in dims.iter().enumerate().rev() {
        out[k] = (rest % d.max(&1), rest % d.max(&1) + 1);
        rest /= d.max(&1);
    }
    out
}

fn each_point(b: &Box_, f: &mut dyn FnMut(&[i64])) {
    fn go(b: &[(i64, i64)], at: &mut Vec<i64>, f: &mut dyn FnMut(&[i64])) {
        let Some((first, rest)) = b.split_first() else { return f(at) };
        for k in first.0..first.1 {
            at.push(k);
            go(rest, at, f);
            at.pop();
        }
    }
    go(b, &mut Vec::new(), f);
}

/// All elements of a pattern; `false` where they are too many.
pub(super) fn enumerate(loops: &[Loop], a: &Affine, out: &mut Vec<i64>) -> bool {
    let mut all = vec![Affine::constant(a.base)];
    for l in loops {
        let stride = a.terms.iter().find(|t| t.0 == l.index).map_or(0, |t| t.1);
        let mut next = Vec::new();
        for base in &all {
            for k in l.lo..l.hi {
                next.push(Affine::constant(base.base + stride * k));
            }
            if next.len() > 5_000_000 {
                return false;
            }
        }
        all = next;
    }
    out.extend(all.into_iter().map(|a| a.base));
    true
}

/// The elements of a pattern as a box over the axes, if they are one; with the index that runs along each
/// axis and how far the axis is ahead of it.
fn box_of(loops: &[Loop], a: &Affine, dims: &[i64]) -> Option<(Box_, Vec<Run>)> {
    let mut strides = vec![1i64; dims.len()];
    for k in (0..dims.len().saturating_sub(1)).rev() {
        strides[k] = strides[k + 1] * dims[k + 1];
    }
    let first = first_element(loops, a)?;
    let mut rest = first;
    let mut at = vec![(0i64, 1i64); dims.len()];
    for (k, s) in strides.iter().enumerate() {
        let x = rest.div_euclid(*s);
        if x < 0 || x >= dims[k] {
            return None;
        }
        at[k] = (x, x + 1);
        rest -= x * s;
    }
    let mut runs: Vec<Run> = Vec::new();
    for l in loops {
        let stride = a.terms.iter().find(|t| t.0 == l.index).map_or(0, |t| t.1);
        let axis = strides.iter().zip(dims).position(|(s, d)| *s == stride && *d > 1)?;
        if runs.iter().any(|(k, ..)| *k == axis) {
            return None;
        }
        let lo = at[axis].0;
        at[axis].1 = lo + (l.hi - l.lo);
        if at[axis].1 > dims[axis] {
            return None;
        }
        runs.push((axis, l.index, lo - l.lo));
    }
    Some((at, runs))
}

/// What is left of `a` without `b`, as disjoint boxes.
fn subtract(a: &Box_, b: &Box_) -> Vec<Box_> {
    if a.iter().zip(b).any(|(x, y)| x.0.max(y.0) >= x.1.min(y.1)) {
        return vec![a.clone()];
    }
    let mut out = Vec::new();
    let mut rest = a.clone();
    for k in 0..a.len() {
        if rest[k].0 < b[k].0 {
            let mut part = rest.clone();
            part[k].1 = b[k].0;
            out.push(part);
            rest[k].0 = b[k].0;
        }
        if rest[k].1 > b[k].1 {
            let mut part = rest.clone();
            part[k].0 = b[k].1;
            out.push(part);
            rest[k].1 = b[k].1;
        }
    }
    out
}
