//! The functions of the language, one element at a time.

use super::Flattener;
use super::expr::{bin, choose, truth, un};
use super::scope::{Local, R, Scope, Stop, add, sub};
use crate::diag::{Diagnostic, codes};
use crate::flat::{self, Affine, BinOp, CmpOp, Expr, Fold, MathFn, StepFn, UnOp};
use crate::hir::{self, Builtin};
use crate::source::Span;
use twinml_model::ids::VarId;
use twinml_model::schema::{DisplayUnit, Kind, Role as Declared, Segment};

/// The elementary function of a builtin, where it is one.
pub(super) fn math(f: Builtin) -> Option<MathFn> {
    Some(match f {
        Builtin::Sin => MathFn::Sin,
        Builtin::Cos => MathFn::Cos,
        Builtin::Tan => MathFn::Tan,
        Builtin::Asin => MathFn::Asin,
        Builtin::Acos => MathFn::Acos,
        Builtin::Atan => MathFn::Atan,
        Builtin::Atan2 => MathFn::Atan2,
        Builtin::Sinh => MathFn::Sinh,
        Builtin::Cosh => MathFn::Cosh,
        Builtin::Tanh => MathFn::Tanh,
        Builtin::Asinh => MathFn::Asinh,
        Builtin::Acosh => MathFn::Acosh,
        Builtin::Atanh => MathFn::Atanh,
        Builtin::Exp => MathFn::Exp,
        Builtin::Expm1 => MathFn::Expm1,
        Builtin::Log => MathFn::Log,
        Builtin::Log1p => MathFn::Log1p,
        Builtin::Log10 => MathFn::Log10,
        Builtin::Log2 => MathFn::Log2,
        Builtin::Cbrt => MathFn::Cbrt,
        Builtin::Hypot => MathFn::Hypot,
        Builtin::Erf => MathFn::Erf,
        Builtin::Gamma => MathFn::Gamma,
        _ => return None,
    })
}

impl<'a> Flattener<'a> {
    pub(super) fn call(
        &mut self,
        f: Builtin,
        args: &'a [hir::Expr],
        scope: &Scope<'a>,
        idx: &[Affine],
        e: &'a hir::Expr,
    ) -> R<Expr> {
        use Builtin as B;
        match f {
            B::Dot | B::Cross | B::Norm | B::Transpose | B::Inverse | B::Solve | B::Det => {
                return self.linear_algebra(f, args, scope, idx, e);
            }
            B::Identity | B::Zeros | B::Ones | B::Diag | B::Concat | B::Len => {
                return self.made_array(f, args, scope, idx, e);
            }
            B::Interpolate => return self.interpolate(args, scope, idx),
            B::Integral | B::Filter => return self.added_state(f, args, scope, idx, e),
            B::HourOfDay | B::Weekday => return self.calendar_call(f, args, scope, e.span),
            B::Now => return Err(self.refuse(codes::LATER_TYPE, e.span, "`now()` in an equation")),
            B::WhiteNoise => return self.white_noise(e),
            B::Inflow => return Err(self.refuse(codes::LATER_STREAM, e.span, "`inflow`")),
            B::Re | B::Im | B::Conj | B::Arg => {
                return Err(self.refuse(codes::LATER_TYPE, e.span, "a complex number"));
            }
            _ => {}
        }
        let mut x = Vec::with_capacity(args.len());
        for a in args {
            x.push(self.element(a, scope, self.fit(a, idx))?);
        }
        if let Some(f) = math(f) {
            return Ok(Expr::Math(f, x));
        }
        let of_whole = args.first().is_some_and(|a| matches!(a.ty, hir::Type::Int));
        let of_truth = args.first().is_some_and(|a| matches!(a.ty, hir::Type::Bool));
        let mut x = x.into_iter();
        let (Some(a), b, c) = (x.next(), x.next(), x.next()) else {
            return Err(self.internal(e.span, "a function without arguments"));
        };
        let span = e.span;
        let step = |f, a| Expr::Step(f, Box::new(a), span);
        Ok(match (f, b, c) {
            (B::Sqrt, ..) => un(UnOp::Sqrt, a),
            (B::Abs, ..) => un(UnOp::Abs, a),
            (B::Sign, ..) => un(UnOp::Sign, a),
            (B::Pow, Some(b), _) => {
                let known = self.exponent(&args[1], scope, self.fit(&args[1], idx))?;
                bin(BinOp::Pow, a, known.map_or(b, Expr::Num))
            }
            (B::Min | B::Max, Some(b), c) => {
                let op = if f == B::Min { BinOp::Min } else { BinOp::Max };
                c.into_iter().chain(x).fold(bin(op, a, b), |m, y| bin(op, m, y))
            }
            (B::Clamp, Some(lo), Some(hi)) => bin(BinOp::Min, bin(BinOp::Max, a, lo), hi),
            (B::Floor | B::Ceil | B::Round | B::Trunc, ..) if of_whole => a,
            (B::Floor, ..) => step(StepFn::Floor, a),
            (B::Ceil, ..) => step(StepFn::Ceil, a),
            (B::Round, ..) => step(StepFn::Round, a),
            (B::Trunc, ..) => step(StepFn::Trunc, a),
            // mod(x, y) = x − y·floor(x/y); its value lies between 0 and y.
            (B::Mod, Some(b), _) => {
                let quotient = step(StepFn::Floor, bin(BinOp::Div, a.clone(), b.clone()));
                bin(BinOp::Sub, a, bin(BinOp::Mul, b, quotient))
            }
            (B::Div, Some(b), _) => step(StepFn::Floor, bin(BinOp::Div, a, b)),
            (B::Factorial, ..) => Expr::Math(MathFn::Gamma, vec![bin(BinOp::Add, a, Expr::Num(1.0))]),
            (B::Xor, Some(b), _) => super::expr::logic(flat::BoolOp::Xor, a, b),
            (B::Finite, ..) => {
                let limit = Expr::Num(f64::MAX);
                let test = Expr::Cmp(CmpOp::Le, Box::new(un(UnOp::Abs, a)), Box::new(limit), span);
                Expr::NoEvent(Box::new(test))
            }
            (B::Delay, Some(tau), _) => Expr::Delay(Box::new(a), Box::new(tau)),
            (B::NoEvent, ..) => Expr::NoEvent(Box::new(a)),
            // A promise of continuity: the relations inside need no events.
            (B::Smooth, ..) => Expr::NoEvent(Box::new(a)),
            (B::ToReal, ..) if of_truth => truth(a),
            (B::ToReal, ..) => a,
            (B::ToInt, ..) if of_truth => truth(a),
            (B::ToInt, ..) if of_whole => a,
            (B::ToInt, ..) => step(StepFn::Trunc, a),
            _ => return Err(self.internal(e.span, "a function with other arguments than checked")),
        })
    }

    fn vector_len(&mut self, a: &'a hir::Expr, scope: &Scope<'a>) -> R<i64> {
        Ok(self.shape(a, scope)?.first().copied().unwrap_or(1).into())
    }

    fn linear_algebra(
        &mut self,
        f: Builtin,
        args: &'a [hir::Expr],
        scope: &Scope<'a>,
        idx: &[Affine],
        e: &'a hir::Expr,
    ) -> R<Expr> {
        let constant = Affine::constant;
        match f {
            Builtin::Dot => {
                let n = self.vector_len(&args[0], scope)?;
                if self.vector_len(&args[1], scope)? != n {
                    return Err(self.sizes(e.span, "the vectors of `dot` have unlike lengths"));
                }
                self.fold(Fold::Sum, (0, n), &mut |s, k| {
                    let k = [s.index_value(k)];
                    Ok(bin(BinOp::Mul, s.element(&args[0], scope, &k)?, s.element(&args[1], scope, &k)?))
                })
            }
            Builtin::Norm => {
                let shape = self.shape(&args[0], scope)?;
                let sum = self.fold_shape(Fold::Sum, &shape, &mut Vec::new(), &mut |s, at| {
                    let x = s.element(&args[0], scope, at)?;
                    Ok(bin(BinOp::Pow, x, Expr::Num(2.0)))
                })?;
                Ok(un(UnOp::Sqrt, sum))
            }
            Builtin::Cross => {
                if self.vector_len(&args[0], scope)? != 3 || self.vector_len(&args[1], scope)? != 3 {
                    return Err(self.sizes(e.span, "`cross` takes two vectors of length 3"));
                }
                let k = match idx.first() {
                    Some(i) => self.choice(i, e.span)? as i64,
                    None => return Err(self.internal(e.span, "a vector where a number is wanted")),
                };
                let (i, j) = ([constant((k + 1) % 3)], [constant((k + 2) % 3)]);
                let left =
                    bin(BinOp::Mul, self.element(&args[0], scope, &i)?, self.element(&args[1], scope, &j)?);
                let right =
                    bin(BinOp::Mul, self.element(&args[0], scope, &j)?, self.element(&args[1], scope, &i)?);
                Ok(bin(BinOp::Sub, left, right))
            }
            Builtin::Transpose => {
                let at: Vec<Affine> = idx.iter().rev().cloned().collect();
                self.element(&args[0], scope, &at)
            }
            _ => self.matrix(f, args, scope, idx, e),
        }
    }

    fn sizes(&mut self, span: Span, what: &str) -> Stop {
        let d = Diagnostic::new(codes::SHAPES_DIFFER, span, what);
        self.fail(d)
    }

    /// `det`, `inverse` and `solve`: written out up to 3×3, beyond that unknowns of their own.
    fn matrix(
        &mut self,
        f: Builtin,
        args: &'a [hir::Expr],
        scope: &Scope<'a>,
        idx: &[Affine],
        e: &'a hir::Expr,
    ) -> R<Expr> {
        let shape = self.shape(&args[0], scope)?;
        let [n, m] = shape[..] else { return Err(self.sizes(e.span, "a square matrix is wanted")) };
        if n != m || n == 0 {
            return Err(self.sizes(e.span, "a square matrix is wanted"));
        }
        let n = n as usize;
        if f == Builtin::Det && n > 5 {
            return Err(self.refuse(
                codes::LATER_DYNAMIC,
                e.span,
                "the determinant of a matrix larger than 5 by 5",
            ));
        }
        if f != Builtin::Det && n > 3 {
            return self.implicit(f, args, scope, idx, n as u32, e);
        }
        let mut a = Vec::with_capacity(n * n);
        for i in 0..n {
            for j in 0..n {
                a.push(self.element(
                    &args[0],
                    scope,
                    &[Affine::constant(i as i64), Affine::constant(j as i64)],
                )?);
            }
        }
        let all: Vec<usize> = (0..n).collect();
        let d = determinant(&a, n, &all, &all);
        if f == Builtin::Det {
            return Ok(d);
        }
        let Some(first) = idx.first() else {
            return Err(self.internal(e.span, "an array where a number is wanted"));
        };
        let i = self.choice(first, e.span)?;
        // Inverse[i, j] = (−1)^(i+j)·minor(j, i)/det.
        let entry = |j: usize| {
            let rows: Vec<usize> = (0..n).filter(|r| *r != j).collect();
            let cols: Vec<usize> = (0..n).filter(|c| *c != i).collect();
            let minor = determinant(&a, n, &rows, &cols);
            if (i + j) % 2 == 1 { un(UnOp::Neg, minor) } else { minor }
        };
        if f == Builtin::Inverse {
            let j = match idx.get(1) {
                Some(j) => self.choice(j, e.span)?,
                None => return Err(self.internal(e.span, "an array where a number is wanted")),
            };
            return Ok(bin(BinOp::Div, entry(j), d));
        }
        let mut sum = None;
        for j in 0..n {
            let mut at = vec![Affine::constant(j as i64)];
            at.extend_from_slice(&idx[1..]);
            let term = bin(BinOp::Mul, entry(j), self.element(&args[1], scope, &at)?);
            sum = Some(match sum {
                None => term,
                Some(s) => bin(BinOp::Add, s, term),
            });
        }
        match sum {
            Some(s) => Ok(bin(BinOp::Div, s, d)),
            None => Err(self.internal(e.span, "an empty matrix")),
        }
    }

    /// `x` with `A·x = b` as unknowns with equations of their own.
    fn implicit(
        &mut self,
        f: Builtin,
        args: &'a [hir::Expr],
        scope: &Scope<'a>,
        idx: &[Affine],
        n: u32,
        e: &'a hir::Expr,
    ) -> R<Expr> {
        let shape = if f == Builtin::Inverse { vec![n, n] } else { self.shape(&args[1], scope)? };
        let outer: Vec<(i64, i64)> = self.ranges.clone();
        // The subscripts' own loops choose an element of the one solution: it must not gain axes from them.
        let mut seen = Vec::new();
        indices_of(scope, &mut seen);
        for i in idx.iter().flat_map(|a| a.terms.iter().map(|t| t.0)).filter(|i| !seen.contains(i)) {
            let lo = self.ranges[i.index()].0;
            self.ranges[i.index()] = (lo, lo + 1);
        }
        let (var, base) = match self.add_unknown(e, &shape, flat::Role::Unknown) {
            Ok(v) => v,
            Err(stop) => {
                self.ranges = outer;
                return Err(stop);
            }
        };
        let mut strides = vec![1i64; shape.len()];
        for k in (0..shape.len().saturating_sub(1)).rev() {
            strides[k] = strides[k + 1] * i64::from(shape[k + 1]);
        }
        let place = |at: &[Affine]| {
            at.iter().zip(&strides).fold(base.clone(), |sum, (a, s)| {
                super::scope::scale(a, *s).and_then(|a| add(&sum, &a)).unwrap_or_default()
            })
        };
        let done = self.nest(&shape, &mut Vec::new(), &mut |s, at| {
            let left = s.fold(Fold::Sum, (0, i64::from(n)), &mut |s, k| {
                let k = s.index_value(k);
                let a = s.element(&args[0], scope, &[at[0].clone(), k.clone()])?;
                let mut there = vec![k];
                there.extend_from_slice(&at[1..]);
                Ok(bin(BinOp::Mul, a, Expr::Var(var, s.settle(&place(&there)))))
            })?;
            let right = match f {
                Builtin::Inverse => s.kronecker(&at[0], &at[1], e.span)?,
                _ => s.element(&args[1], scope, at)?,
            };
            s.emit(left, right, e.span);
            Ok(())
        });
        self.ranges = outer;
        done?;
        Ok(Expr::Var(var, self.settle(&place(idx))))
    }

    /// 1 where `i = j`, else 0.
    fn kronecker(&mut self, i: &Affine, j: &Affine, span: Span) -> R<Expr> {
        let difference = sub(i, j).unwrap_or_default();
        Ok(match self.sign(&difference, span)? {
            Some(o) => Expr::Num(f64::from(u8::from(o.is_eq()))),
            None => {
                let test = Expr::Cmp(
                    CmpOp::Eq,
                    Box::new(super::expr::whole(i.clone())),
                    Box::new(super::expr::whole(j.clone())),
                    span,
                );
                choose(test, Expr::Num(1.0), Expr::Num(0.0))
            }
        })
    }

    fn made_array(
        &mut self,
        f: Builtin,
        args: &'a [hir::Expr],
        scope: &Scope<'a>,
        idx: &[Affine],
        e: &'a hir::Expr,
    ) -> R<Expr> {
        match f {
            Builtin::Zeros => Ok(Expr::Num(0.0)),
            Builtin::Ones => Ok(Expr::Num(1.0)),
            Builtin::Len => Ok(Expr::Num(self.vector_len(&args[0], scope)? as f64)),
            Builtin::Identity if idx.len() == 2 => self.kronecker(&idx[0], &idx[1], e.span),
            Builtin::Diag if idx.len() == 2 => {
                let one = self.kronecker(&idx[0], &idx[1], e.span)?;
                match one {
                    Expr::Num(0.0) => Ok(Expr::Num(0.0)),
                    Expr::Num(_) => self.element(&args[0], scope, &idx[..1]),
                    Expr::If(test, ..) => {
                        Ok(choose(*test, self.element(&args[0], scope, &idx[..1])?, Expr::Num(0.0)))
                    }
                    _ => Err(self.internal(e.span, "a diagonal matrix")),
                }
            }
            Builtin::Concat if !idx.is_empty() => {
                let mut start = 0i64;
                for (k, a) in args.iter().enumerate() {
                    let shape = self.shape(a, scope)?;
                    let len = shape.first().copied().map_or(1, i64::from);
                    let here = sub(&idx[0], &Affine::constant(start)).unwrap_or_default();
                    let Some(inside) = self.decide(CmpOp::Lt, &here, &Affine::constant(len), e.span)? else {
                        return Err(self.expand(&here, "arrays put one behind another", e.span));
                    };
                    if inside || k + 1 == args.len() {
                        if shape.is_empty() {
                            return self.element(a, scope, &[]);
                        }
                        let mut at = vec![here];
                        at.extend_from_slice(&idx[1..]);
                        return self.element(a, scope, &at);
                    }
                    start += len;
                }
                Err(self.internal(e.span, "an empty concatenation"))
            }
            _ => Err(self.internal(e.span, "an array where a number is wanted")),
        }
    }

    /// Straight lines through the points, held outside: the sum of what each piece contributes.
    fn interpolate(&mut self, args: &'a [hir::Expr], scope: &Scope<'a>, idx: &[Affine]) -> R<Expr> {
        let n = self.vector_len(&args[0], scope)?;
        if self.vector_len(&args[1], scope)? != n || n == 0 {
            return Err(self.sizes(args[1].span, "`interpolate` takes as many arguments as values"));
        }
        let x = self.element(&args[2], scope, self.fit(&args[2], idx))?;
        let first = self.element(&args[1], scope, &[Affine::constant(0)])?;
        let rest = self.fold(Fold::Sum, (0, n - 1), &mut |s, k| {
            let k = s.index_value(k);
            let next = [add(&k, &Affine::constant(1)).unwrap_or_default()];
            let k = [k];
            let (x0, x1) = (s.element(&args[0], scope, &k)?, s.element(&args[0], scope, &next)?);
            let (y0, y1) = (s.element(&args[1], scope, &k)?, s.element(&args[1], scope, &next)?);
            let slope = bin(BinOp::Div, bin(BinOp::Sub, y1, y0), bin(BinOp::Sub, x1.clone(), x0.clone()));
            let inside = bin(BinOp::Min, bin(BinOp::Max, x.clone(), x0.clone()), x1);
            Ok(bin(BinOp::Mul, slope, bin(BinOp::Sub, inside, x0)))
        })?;
        Ok(if n == 1 { first } else { bin(BinOp::Add, first, rest) })
    }

    /// `integral(e)`: a state that starts at 0. `filter(e, tau)`: a first-order lag that starts at `e`.
    fn added_state(
        &mut self,
        f: Builtin,
        args: &'a [hir::Expr],
        scope: &Scope<'a>,
        idx: &[Affine],
        e: &'a hir::Expr,
    ) -> R<Expr> {
        let x = self.element(&args[0], scope, self.fit(&args[0], idx))?;
        let (var, at) = self.add_unknown(e, &[], flat::Role::State)?;
        let state = Expr::Var(var, at.clone());
        let rate = Expr::Der(var, at.clone());
        if f == Builtin::Integral {
            let loops = self.loops_in_force();
            self.system.vars[var.index()].fixed = true;
            self.system.vars[var.index()].value =
                vec![flat::Piece { loops, element: at, expr: Expr::Num(0.0), span: e.span }];
            self.emit(rate, x, e.span);
        } else {
            let tau = self.element(&args[1], scope, self.fit(&args[1], idx))?;
            self.emit_initial(state.clone(), x.clone(), e.span);
            self.emit(rate, bin(BinOp::Div, bin(BinOp::Sub, x, state.clone()), tau), e.span);
        }
        Ok(state)
    }

    /// A family that the compiler adds: an element for each point of the loops in force, with `shape` behind.
    /// Returns it with the element of the present point (and subscripts 0).
    fn add_unknown(&mut self, e: &'a hir::Expr, shape: &[u32], role: flat::Role) -> R<(VarId, Affine)> {
        if !self.may_add {
            return Err(self.refuse(
                codes::LATER_DYNAMIC,
                e.span,
                "this function in a formula of parameters or starts",
            ));
        }
        self.added += 1;
        let loops = self.loops_in_force();
        let mut axes: Vec<u32> = loops.iter().map(|l| (l.hi - l.lo) as u32).collect();
        axes.extend_from_slice(shape);
        let mut element = Affine::constant(0);
        let mut stride: i64 = shape.iter().map(|n| i64::from(*n)).product();
        for l in loops.iter().rev() {
            element = element.plus(l.index, stride);
            element.base -= stride * l.lo;
            stride = stride.saturating_mul(l.hi - l.lo);
        }
        let mut path: Vec<Segment> = self
            .inst(self.owner)
            .path
            .iter()
            .map(|s| Segment { name: s.name.clone(), axes: Vec::new() })
            .collect();
        let word = match &e.kind {
            hir::ExprKind::Call(Builtin::Integral, _) => "integral",
            hir::ExprKind::Call(Builtin::Filter, _) => "filter",
            hir::ExprKind::Call(Builtin::Inverse, _) => "inverse",
            _ => "solve",
        };
        path.push(Segment { name: format!("{word}#{}", self.added), axes });
        let dimension = match &e.ty {
            hir::Type::Real(d) => d.clone(),
            _ => None,
        };
        let si_unit = dimension.as_ref().map(|d| d.customary()).unwrap_or_default();
        let unit = DisplayUnit { symbol: si_unit.clone(), ..DisplayUnit::default() };
        let plain = flat::Var::plain(path, 0, role, Kind::Real, e.span);
        let declared = Declared::Variable;
        let var = self.push_family(flat::Var { declared, unit, si_unit, dimension, ..plain })?;
        self.homes.push(None);
        Ok((var, element))
    }
}

/// The loop indices that a scope's names and subscripts stand for.
fn indices_of(scope: &Scope<'_>, out: &mut Vec<twinml_model::ids::Index>) {
    out.extend(scope.at.iter().flat_map(|a| a.terms.iter().map(|t| t.0)));
    scope.locals.each(&mut |local| match local {
        Local::Index(a) => out.extend(a.terms.iter().map(|t| t.0)),
        Local::Lazy(_, inner) => indices_of(inner, out),
        Local::Elems(..) => {}
    });
}

/// The determinant of the part of a row-major n×n matrix, along its first row.
fn determinant(a: &[Expr], n: usize, rows: &[usize], cols: &[usize]) -> Expr {
    let Some((&r, rest)) = rows.split_first() else { return Expr::Num(1.0) };
    let mut sum: Option<Expr> = None;
    for (k, &c) in cols.iter().enumerate() {
        let left: Vec<usize> = cols.iter().copied().filter(|x| *x != c).collect();
        let x = a[r * n + c].clone();
        let term = if rest.is_empty() { x } else { bin(BinOp::Mul, x, determinant(a, n, rest, &left)) };
        sum = Some(match sum {
            None => term,
            Some(s) if k % 2 == 1 => bin(BinOp::Sub, s, term),
            Some(s) => bin(BinOp::Add, s, term),
        });
    }
    sum.unwrap_or(Expr::Num(1.0))
}
