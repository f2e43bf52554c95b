//! User functions, put in place of their calls.

use super::Flattener;
use super::consts::{Const, Mode};
use super::expr::choose;
use super::scope::{InstId, Local, Locals, R, Scope, Stop};
use crate::diag::{Diagnostic, codes};
use crate::flat::{Affine, Expr};
use crate::hir::{self, FuncStmt};
use crate::source::Span;
use std::rc::Rc;

/// Most rounds of a loop in a function.
const MAX_ROUNDS: i64 = 100_000;

/// Deepest nesting of calls in calls.
const MAX_CALLS: usize = 300;

/// How a list of statements ended.
enum Outcome<'a> {
    /// With a value: shape and elements, row-major.
    Returned(Rc<[u32]>, Vec<Expr>),
    /// At its end, with these locals.
    Fell(Locals<'a>),
}

impl<'a> Flattener<'a> {
    pub(super) fn inline(
        &mut self,
        id: hir::FuncId,
        args: &'a [hir::Expr],
        scope: &Scope<'a>,
        idx: &[Affine],
        span: Span,
    ) -> R<Expr> {
        let f = &self.model.functions[id.0 as usize];
        // The common case: `return e` with what stands in its place.
        if let [FuncStmt::Return(e)] = &f.body[..] {
            return self.in_call(id, args, scope, span, |s, inner| s.element(e, inner, s.fit(e, idx)));
        }
        let (shape, elems) = self.evaluate(id, args, scope, span)?;
        if shape.is_empty() {
            return match elems.into_iter().next() {
                Some(x) => Ok(x),
                None => Err(self.internal(span, "a function without a value")),
            };
        }
        let mut n = 0usize;
        for (a, &len) in idx.iter().zip(shape.iter()) {
            n = n * len as usize + self.choice(a, span)?;
        }
        match elems.into_iter().nth(n) {
            Some(x) => Ok(x),
            None => Err(self.out_of_range(span, n as i64, shape.first().copied().unwrap_or(0).into())),
        }
    }

    pub(super) fn function_shape(
        &mut self,
        id: hir::FuncId,
        args: &'a [hir::Expr],
        scope: &Scope<'a>,
        span: Span,
    ) -> R<Vec<u32>> {
        let f = &self.model.functions[id.0 as usize];
        if let [FuncStmt::Return(e)] = &f.body[..] {
            return self.in_call(id, args, scope, span, |s, inner| s.shape(e, inner));
        }
        Ok(self.evaluate(id, args, scope, span)?.0.to_vec())
    }

    fn in_call<T>(
        &mut self,
        id: hir::FuncId,
        args: &'a [hir::Expr],
        scope: &Scope<'a>,
        span: Span,
        body: impl FnOnce(&mut Self, &Scope<'a>) -> R<T>,
    ) -> R<T> {
        let f = &self.model.functions[id.0 as usize];
        // Checking has refused recursion; a call inside an argument of the same function is none.
        if self.calls.len() > MAX_CALLS {
            let d = Diagnostic::new(codes::CALL_NESTING, span, format!("`{}` calls itself", f.name))
                .label(f.span, "declared here")
                .note(
                    "functions in equations are put in place of their calls; write the recursion as a loop",
                );
            return Err(self.fail(d));
        }
        let outer = Rc::new(scope.clone());
        let mut locals = Locals::default();
        for ((local, ..), a) in f.params.iter().zip(args) {
            locals = locals.with(*local, Local::Lazy(a, outer.clone()));
        }
        let inner = Scope { inst: InstId(0), at: Rc::new([]), locals };
        self.calls.push(id);
        let out = body(self, &inner);
        self.calls.pop();
        out
    }

    fn evaluate(
        &mut self,
        id: hir::FuncId,
        args: &'a [hir::Expr],
        scope: &Scope<'a>,
        span: Span,
    ) -> R<(Rc<[u32]>, Vec<Expr>)> {
        let f = &self.model.functions[id.0 as usize];
        let done = self.in_call(id, args, scope, span, |s, inner| s.run_body(&f.body, inner))?;
        match done {
            Outcome::Returned(shape, elems) => Ok((shape, elems)),
            Outcome::Fell(_) => {
                let d = Diagnostic::new(
                    codes::NO_RETURN,
                    f.span,
                    format!("`{}` can end without `return`", f.name),
                )
                .label(span, "called here");
                Err(self.fail(d))
            }
        }
    }

    /// All elements of an expression, row-major.
    fn elements(&mut self, e: &'a hir::Expr, scope: &Scope<'a>) -> R<(Rc<[u32]>, Vec<Expr>)> {
        let shape: Rc<[u32]> = self.shape(e, scope)?.into();
        let count = shape.iter().map(|n| u64::from(*n)).product::<u64>();
        if count > 1_000_000 {
            return Err(self.too_large(e.span, count, "elements in a function"));
        }
        let mut out = Vec::with_capacity(count as usize);
        for k in 0..count as i64 {
            let mut rest = k;
            let mut at = vec![Affine::constant(0); shape.len()];
            for a in (0..shape.len()).rev() {
                at[a].base = rest % i64::from(shape[a]);
                rest /= i64::from(shape[a]);
            }
            out.push(self.element(e, scope, &at)?);
        }
        Ok((shape, out))
    }

    fn run_body(&mut self, body: &'a [FuncStmt], scope: &Scope<'a>) -> R<Outcome<'a>> {
        let mut scope = scope.clone();
        for (k, stmt) in body.iter().enumerate() {
            match stmt {
                FuncStmt::Return(e) => {
                    let (shape, elems) = self.elements(e, &scope)?;
                    return Ok(Outcome::Returned(shape, elems));
                }
                FuncStmt::Assign(local, e) => {
                    let (shape, elems) = self.elements(e, &scope)?;
                    scope = scope.with(*local, Local::Elems(shape, elems.into()));
                }
                FuncStmt::For(range, inner) => {
                    let (lo, hi) = (self.integer(&range.lo, &scope)?, self.integer(&range.hi, &scope)?);
                    if hi - lo > MAX_ROUNDS {
                        return Err(self.too_large(
                            range.hi.span,
                            (hi - lo) as u64,
                            "rounds of a loop in a function",
                        ));
                    }
                    for i in lo..hi {
                        let round = scope.with(range.local, Local::Index(Affine::constant(i)));
                        match self.run_body(inner, &round)? {
                            Outcome::Fell(locals) => scope.locals = locals,
                            returned => return Ok(returned),
                        }
                    }
                }
                FuncStmt::While(c, _) => {
                    let d = Diagnostic::new(codes::WHILE_IN_EQUATION, c.span, "a `while` in a function that equations use cannot be run by this version")
                        .note("its number of rounds may change during the run; a `for` with constant bounds can be used");
                    return Err(self.fail(d));
                }
                FuncStmt::If(c, a, b) => {
                    let known = match self.constant_of(c, &scope, &[], Mode::Indices) {
                        Ok(Const::Bool(x)) => Some(x),
                        Ok(_) => return Err(self.internal(c.span, "a condition that is no truth value")),
                        Err(Stop::NotConst { .. }) => None,
                        Err(e) => return Err(e),
                    };
                    if let Some(x) = known {
                        match self.run_body(if x { a } else { b }, &scope)? {
                            Outcome::Fell(locals) => scope.locals = locals,
                            returned => return Ok(returned),
                        }
                        continue;
                    }
                    let cond = self.element(c, &scope, &[])?;
                    self.guarded += 1;
                    let both = self.run_branches(a, b, &body[k + 1..], &cond, &scope);
                    self.guarded -= 1;
                    match both? {
                        Outcome::Fell(locals) => scope.locals = locals,
                        returned => return Ok(returned),
                    }
                }
            }
        }
        Ok(Outcome::Fell(scope.locals))
    }

    /// Both branches of an `if` judged at run time. Where only one returns, the other goes on with `rest`.
    fn run_branches(
        &mut self,
        a: &'a [FuncStmt],
        b: &'a [FuncStmt],
        rest: &'a [FuncStmt],
        cond: &Expr,
        scope: &Scope<'a>,
    ) -> R<Outcome<'a>> {
        let mut x = self.run_body(a, scope)?;
        let mut y = self.run_body(b, scope)?;
        if let (Outcome::Returned(..), Outcome::Fell(l)) = (&x, &y) {
            let go_on = Scope { locals: l.clone(), ..scope.clone() };
            y = self.run_body(rest, &go_on)?;
        } else if let (Outcome::Fell(l), Outcome::Returned(..)) = (&x, &y) {
            let go_on = Scope { locals: l.clone(), ..scope.clone() };
            x = self.run_body(rest, &go_on)?;
        }
        match (x, y) {
            (Outcome::Returned(s, xs), Outcome::Returned(t, ys)) if s == t => {
                let merged = xs.into_iter().zip(ys).map(|(x, y)| merge(cond, x, y)).collect();
                Ok(Outcome::Returned(s, merged))
            }
            (Outcome::Fell(l), Outcome::Fell(m)) => {
                let mut locals = scope.locals.clone();
                for local in assigned(a, b) {
                    match (l.get(local), m.get(local)) {
                        (Some(Local::Elems(s, xs)), Some(Local::Elems(t, ys))) if s == t => {
                            let merged: Vec<Expr> = xs
                                .iter()
                                .zip(ys.iter())
                                .map(|(x, y)| merge(cond, x.clone(), y.clone()))
                                .collect();
                            locals = locals.with(local, Local::Elems(s.clone(), merged.into()));
                        }
                        // Given a value in one branch only: of no use behind the `if`.
                        (Some(v), None) | (None, Some(v)) => locals = locals.with(local, v.clone()),
                        // An argument given a new value in one branch.
                        (Some(v), Some(w)) => {
                            let (v, w) = (v.clone(), w.clone());
                            let (s, xs) = self.local_elements(&v)?;
                            let (_, ys) = self.local_elements(&w)?;
                            let merged: Vec<Expr> =
                                xs.into_iter().zip(ys).map(|(x, y)| merge(cond, x, y)).collect();
                            locals = locals.with(local, Local::Elems(s, merged.into()));
                        }
                        (None, None) => {}
                    }
                }
                Ok(Outcome::Fell(locals))
            }
            _ => {
                let span =
                    self.calls.last().map_or(Span::default(), |f| self.model.functions[f.0 as usize].span);
                let d = Diagnostic::new(
                    codes::NO_RETURN,
                    span,
                    "this function can end without `return`, or returns arrays of unlike shapes",
                );
                Err(self.fail(d))
            }
        }
    }

    fn local_elements(&mut self, v: &Local<'a>) -> R<(Rc<[u32]>, Vec<Expr>)> {
        match v {
            Local::Elems(s, xs) => Ok((s.clone(), xs.to_vec())),
            Local::Index(a) => Ok((Rc::new([]), vec![super::expr::whole(self.settle(a))])),
            Local::Lazy(e, s) => self.elements(e, s),
        }
    }
}

fn merge(cond: &Expr, x: Expr, y: Expr) -> Expr {
    if x == y { x } else { choose(cond.clone(), x, y) }
}

/// Locals that a statement list may give a value, in order.
fn assigned(a: &[FuncStmt], b: &[FuncStmt]) -> Vec<hir::LocalId> {
    fn walk(list: &[FuncStmt], out: &mut Vec<hir::LocalId>) {
        for s in list {
            match s {
                FuncStmt::Assign(l, _) if !out.contains(l) => out.push(*l),
                FuncStmt::If(_, a, b) => {
                    walk(a, out);
                    walk(b, out);
                }
                FuncStmt::For(_, body) | FuncStmt::While(_, body) => walk(body, out),
                _ => {}
            }
        }
    }
    let mut out = Vec::new();
    walk(a, &mut out);
    walk(b, &mut out);
    out
}
