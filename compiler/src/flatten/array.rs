//! Shapes of expressions, computed from the operands.

use super::Flattener;
use super::bind::show_shape;
use super::consts::Mode;
use super::scope::{Local, R, Scope};
use crate::diag::{Diagnostic, codes};
use crate::hir::{self, Builtin, ExprKind};
use crate::source::Span;

impl<'a> Flattener<'a> {
    /// The lengths of an expression's axes; empty for a scalar.
    pub(super) fn shape(&mut self, e: &'a hir::Expr, scope: &Scope<'a>) -> R<Vec<u32>> {
        if e.shape.is_empty() {
            return Ok(Vec::new());
        }
        match &e.kind {
            ExprKind::Member(r) | ExprKind::Start(r) => self.ref_shape(r, scope),
            ExprKind::Local(id) => match scope.locals.get(*id).cloned() {
                Some(Local::Index(_)) => Ok(Vec::new()),
                Some(Local::Lazy(e, s)) => self.shape(e, &s),
                Some(Local::Elems(shape, _)) => Ok(shape.to_vec()),
                None => Err(self.internal(e.span, "a local name without a value")),
            },
            ExprKind::Der(a) | ExprKind::Unary(_, a) => self.shape(a, scope),
            ExprKind::Binary(hir::BinOp::MatMul, a, b) => {
                let (a, b) = (self.shape(a, scope)?, self.shape(b, scope)?);
                self.product_shape(&a, &b, e.span)
            }
            ExprKind::Binary(_, a, b) => self.common(&[a, b], scope, e.span),
            ExprKind::If(_, a, b) => self.common(&[a, b], scope, e.span),
            ExprKind::Call(f, args) => self.call_shape(*f, args, scope, e.span),
            ExprKind::CallFunc(f, args) => self.function_shape(*f, args, scope, e.span),
            ExprKind::CallTable(_, a) => self.shape(a, scope),
            // The lengths of an array written out are known from its text, mostly.
            ExprKind::Array(_) if e.shape.iter().all(|x| matches!(x, hir::Extent::Const(_))) => {
                let known = |x: &hir::Extent| if let hir::Extent::Const(n) = x { *n } else { 0 };
                Ok(e.shape.iter().map(known).collect())
            }
            ExprKind::Array(items) => {
                let mut out = vec![items.len() as u32];
                if let Some(first) = items.first() {
                    let inner = self.shape(first, scope)?;
                    for item in &items[1..] {
                        let other = self.shape(item, scope)?;
                        if other != inner {
                            return Err(self.shapes_differ(item.span, &inner, &other));
                        }
                    }
                    out.extend(inner);
                }
                Ok(out)
            }
            ExprKind::Comprehension(c) => self.comprehension_shape(c, scope),
            ExprKind::Index(a, subs) => {
                let full = self.shape(a, scope)?;
                let mut out = Vec::new();
                self.open_axes(subs, &full, scope, e.span, &mut out)?;
                Ok(out)
            }
            ExprKind::Reduce(..) | ExprKind::ReduceOver(..) => Ok(Vec::new()),
            ExprKind::Aggregate(a) => self.shape(&a.arg, scope),
            _ => Err(self.internal(e.span, "an array of this form")),
        }
    }

    fn shapes_differ(&mut self, span: Span, a: &[u32], b: &[u32]) -> super::scope::Stop {
        let d = Diagnostic::new(
            codes::SHAPES_DIFFER,
            span,
            format!("shapes differ: {} and {}", show_shape(a), show_shape(b)),
        );
        self.fail(d)
    }

    /// The shape of operands taken element by element; scalars go with anything.
    pub(super) fn common(
        &mut self,
        operands: &[&'a hir::Expr],
        scope: &Scope<'a>,
        span: Span,
    ) -> R<Vec<u32>> {
        let mut out: Option<Vec<u32>> = None;
        for e in operands {
            if e.shape.is_empty() {
                continue;
            }
            let s = self.shape(e, scope)?;
            match &out {
                None => out = Some(s),
                Some(o) if *o == s => {}
                Some(o) => {
                    let o = o.clone();
                    return Err(self.shapes_differ(span, &o, &s));
                }
            }
        }
        Ok(out.unwrap_or_default())
    }

    pub(super) fn product_shape(&mut self, a: &[u32], b: &[u32], span: Span) -> R<Vec<u32>> {
        let (inner, other) = (a.last().copied(), b.first().copied());
        if inner != other || inner.is_none() {
            return Err(self.shapes_differ(span, a, b));
        }
        Ok(a[..a.len() - 1].iter().chain(&b[1..]).copied().collect())
    }

    fn call_shape(
        &mut self,
        f: Builtin,
        args: &'a [hir::Expr],
        scope: &Scope<'a>,
        span: Span,
    ) -> R<Vec<u32>> {
        use Builtin as B;
        let size = |s: &mut Self, e: &'a hir::Expr| -> R<u32> {
            let n = s.integer(e, scope)?;
            u32::try_from(n).map_err(|_| {
                let d = Diagnostic::new(codes::NEGATIVE_SIZE, e.span, format!("an array of {n} elements"));
                s.fail(d)
            })
        };
        match f {
            B::Transpose => {
                let mut s = self.shape(&args[0], scope)?;
                s.reverse();
                Ok(s)
            }
            B::Inverse | B::Cross => self.shape(&args[0], scope),
            B::Solve => self.shape(&args[1], scope),
            B::Identity => {
                let n = size(self, &args[0])?;
                Ok(vec![n, n])
            }
            B::Zeros | B::Ones => args.iter().map(|a| size(self, a)).collect(),
            B::Diag => {
                let s = self.shape(&args[0], scope)?;
                let n = s.first().copied().unwrap_or(1);
                Ok(vec![n, n])
            }
            B::Concat => {
                let mut total = 0u32;
                let mut tail: Option<Vec<u32>> = None;
                for a in args {
                    let s = self.shape(a, scope)?;
                    let (n, rest) = s.split_first().map_or((1, &[][..]), |(n, r)| (*n, r));
                    total = total.saturating_add(n);
                    match &tail {
                        Some(t) if t != rest => {
                            let t = t.clone();
                            return Err(self.shapes_differ(a.span, &t, rest));
                        }
                        _ => tail = Some(rest.to_vec()),
                    }
                }
                let mut out = vec![total];
                out.extend(tail.unwrap_or_default());
                Ok(out)
            }
            B::Interpolate => self.shape(&args[2], scope),
            _ => {
                let all: Vec<&'a hir::Expr> = args.iter().collect();
                self.common(&all, scope, span)
            }
        }
    }

    fn comprehension_shape(&mut self, c: &'a hir::Comprehension, scope: &Scope<'a>) -> R<Vec<u32>> {
        if c.filter.is_some() {
            let (rows, inner) = self.filtered(c, scope)?;
            let mut out = vec![rows.len() as u32];
            out.extend(inner);
            return Ok(out);
        }
        let mut out = Vec::new();
        let mut inner = scope.clone();
        for r in &c.loops {
            let lo = self.affine(&r.lo, &inner, Mode::Structural)?;
            let hi = self.affine(&r.hi, &inner, Mode::Structural)?;
            let n = super::scope::sub(&hi, &lo).unwrap_or_default();
            let n = self.constant(&n, "an array whose length depends on the index", r.hi.span)?;
            out.push(u32::try_from(n.max(0)).unwrap_or(u32::MAX));
            inner = inner.with(r.local, Local::Index(lo));
        }
        out.extend(self.shape(&c.body, &inner)?);
        Ok(out)
    }

    /// The index values that a comprehension's filter lets through, and the shape of its body.
    pub(super) fn filtered(
        &mut self,
        c: &'a hir::Comprehension,
        scope: &Scope<'a>,
    ) -> R<(Vec<Vec<i64>>, Vec<u32>)> {
        let mut rows = Vec::new();
        let mut at = Vec::new();
        self.filter_rows(c, 0, scope, &mut at, &mut rows)?;
        let mut inner = scope.clone();
        if let Some(first) = rows.first() {
            for (r, k) in c.loops.iter().zip(first) {
                inner = inner.with(r.local, Local::Index(crate::flat::Affine::constant(*k)));
            }
        }
        let body = if rows.is_empty() { Vec::new() } else { self.shape(&c.body, &inner)? };
        Ok((rows, body))
    }

    fn filter_rows(
        &mut self,
        c: &'a hir::Comprehension,
        depth: usize,
        scope: &Scope<'a>,
        at: &mut Vec<i64>,
        rows: &mut Vec<Vec<i64>>,
    ) -> R<()> {
        let Some(r) = c.loops.get(depth) else {
            let keep = match &c.filter {
                Some(f) => self.static_bool(f, scope)?,
                None => true,
            };
            if keep {
                rows.push(at.clone());
            }
            if rows.len() > 1_000_000 {
                return Err(self.too_large(c.body.span, rows.len() as u64, "elements written out"));
            }
            return Ok(());
        };
        let (lo, hi) = (self.integer(&r.lo, scope)?, self.integer(&r.hi, scope)?);
        for k in lo..hi {
            at.push(k);
            let inner = scope.with(r.local, Local::Index(crate::flat::Affine::constant(k)));
            self.filter_rows(c, depth + 1, &inner, at, rows)?;
            at.pop();
        }
        Ok(())
    }
}
