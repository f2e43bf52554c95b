//! The functions of the language in code, and functions that the modeller wrote.

use super::super::Flattener;
use super::super::scope::R;
use super::body::Body;
use crate::hir::{self, Builtin, FuncStmt, Type};
use std::sync::Arc;
use twinml_model::behavior::{CodeId, Dist, Instr, Method, Op2, Reg};
use twinml_model::ir::{CmpOp, MathFn, UnOp};

impl<'a> Flattener<'a> {
    /// A distribution that code draws from.
    pub(super) fn dist(&mut self, b: &mut Body, d: &'a hir::Distribution) -> R<Dist> {
        if let Some(samples) = &d.samples {
            return Ok(Dist::Samples(self.samples(samples, d.span)?.into()));
        }
        let mut parts = d.parts.iter().map(|p| self.dist(b, p)).collect::<R<Vec<_>>>()?;
        let args = self.values(b, &d.args)?;
        Ok(match (&*d.name, &args[..]) {
            ("truncated", &[lo, hi]) => match parts.pop() {
                Some(of) => Dist::Truncated(Box::new(of), lo, hi),
                None => return Err(self.internal(d.span, "a distribution cut out of nothing")),
            },
            ("mixture", weights) => Dist::Mixture(parts, weights.first().copied()),
            ("discrete", &[values, ref weights @ ..]) => Dist::Discrete(values, weights.first().copied()),
            (name, _) => Dist::Named(Arc::from(name), args),
        })
    }

    /// A call of a function of the language.
    pub(super) fn builtin_code(
        &mut self,
        b: &mut Body,
        f: Builtin,
        args: &'a [hir::Expr],
        e: &'a hir::Expr,
    ) -> R<Reg> {
        use Builtin as B;
        match f {
            B::Delay
            | B::Interpolate
            | B::Integral
            | B::Filter
            | B::HourOfDay
            | B::Weekday
            | B::Cross
            | B::Transpose
            | B::Inverse
            | B::Solve
            | B::Det
            | B::Identity
            | B::Diag
            | B::WhiteNoise
            | B::Inflow
            | B::Re
            | B::Im
            | B::Conj
            | B::Arg => return self.formula(b, e),
            B::Now => return Err(self.later(e.span, "`now()`")),
            B::Len => {
                let x = self.value(b, &args[0])?;
                return Ok(b.method(Method::Len, x, Vec::new()));
            }
            B::NoEvent | B::Smooth => return self.value(b, &args[0]),
            B::Zeros | B::Ones => return self.filled(b, args, if f == B::Zeros { 0.0 } else { 1.0 }),
            B::Concat => {
                let out = b.reg();
                b.push(Instr::List(out, Vec::new()));
                let skip = b.reg();
                for a in args {
                    let x = self.value(b, a)?;
                    if a.shape.is_empty() {
                        b.push(Instr::Method(skip, Method::Push, out, vec![x]));
                    } else {
                        self.each_element(b, x, 1, &mut |_, b, x| {
                            b.push(Instr::Method(skip, Method::Push, out, vec![x]));
                            Ok(())
                        })?;
                    }
                }
                return Ok(out);
            }
            B::Dot | B::Norm => {
                let x = self.value(b, &args[0])?;
                let y = if f == B::Dot { self.value(b, &args[1])? } else { x };
                let total = b.num(0.0);
                let (zero, len) = (b.num(0.0), b.method(Method::Len, x, Vec::new()));
                if args[0].shape.len() > 1 {
                    return self.formula(b, e);
                }
                self.count_up(b, zero, len, &mut |_, b, i| {
                    let (p, q) = (b.index(x, i), b.index(y, i));
                    let pq = b.op(Op2::Mul, p, q);
                    b.push(Instr::Bin(total, Op2::Add, total, pq));
                    Ok(())
                })?;
                return Ok(if f == B::Norm { b.un(UnOp::Sqrt, total) } else { total });
            }
            _ => {}
        }
        if let (B::Pow, [x, n]) = (f, args)
            && x.shape.is_empty()
            && n.shape.is_empty()
        {
            let x = self.value(b, x)?;
            if let Some(r) = self.known_power(b, x, n, false)? {
                return Ok(r);
            }
            let n = self.value(b, n)?;
            return Ok(b.op(Op2::Pow, x, n));
        }
        let regs = self.values(b, args)?;
        let depths: Vec<usize> = args.iter().map(|a| a.shape.len()).collect();
        let first = args.first().map(|a| a.ty.clone());
        self.elementwise(b, f, &regs, &depths, first.as_ref(), e)
    }

    /// A scalar function, element by element where arguments are arrays.
    fn elementwise(
        &mut self,
        b: &mut Body,
        f: Builtin,
        args: &[Reg],
        depths: &[usize],
        first: Option<&Type>,
        e: &'a hir::Expr,
    ) -> R<Reg> {
        let Some(widest) = (0..args.len()).filter(|&k| depths[k] > 0).max_by_key(|&k| depths[k]) else {
            return self.scalar_call(b, f, args, first, e);
        };
        let out = b.reg();
        b.push(Instr::List(out, Vec::new()));
        let skip = b.reg();
        let (zero, len) = (b.num(0.0), b.method(Method::Len, args[widest], Vec::new()));
        self.count_up(b, zero, len, &mut |s, b, i| {
            let inner: Vec<Reg> =
                args.iter().zip(depths).map(|(&a, &d)| if d > 0 { b.index(a, i) } else { a }).collect();
            let below: Vec<usize> = depths.iter().map(|d| d.saturating_sub(1)).collect();
            let x = s.elementwise(b, f, &inner, &below, first, e)?;
            b.push(Instr::Method(skip, Method::Push, out, vec![x]));
            Ok(())
        })?;
        Ok(out)
    }

    fn scalar_call(
        &mut self,
        b: &mut Body,
        f: Builtin,
        x: &[Reg],
        first: Option<&Type>,
        e: &'a hir::Expr,
    ) -> R<Reg> {
        use Builtin as B;
        if let Some(m) = super::super::builtin::math(f) {
            let r = b.reg();
            b.push(Instr::Math(r, m, x.to_vec()));
            return Ok(r);
        }
        if let (B::Mod | B::Div, [_, n, ..]) = (f, x) {
            not_by_zero(b, if f == B::Mod { "mod" } else { "div" }, *n, e);
        }
        let whole = matches!(first, Some(Type::Int));
        let truth = matches!(first, Some(Type::Bool));
        Ok(match (f, x) {
            (B::Sqrt, [a, ..]) => b.un(UnOp::Sqrt, *a),
            (B::Abs, [a, ..]) => b.un(UnOp::Abs, *a),
            (B::Sign, [a, ..]) => b.un(UnOp::Sign, *a),
            (B::Pow, [a, n, ..]) => b.op(Op2::Pow, *a, *n),
            (B::Min | B::Max, [a, rest @ ..]) => {
                let op = if f == B::Min { Op2::Min } else { Op2::Max };
                rest.iter().fold(*a, |m, y| b.op(op, m, *y))
            }
            (B::Clamp, [a, lo, hi]) => {
                let m = b.op(Op2::Max, *a, *lo);
                b.op(Op2::Min, m, *hi)
            }
            (B::Floor | B::Ceil | B::Round | B::Trunc | B::ToInt, [a, ..]) if whole => *a,
            (B::Floor, [a, ..]) => b.un(UnOp::Floor, *a),
            (B::Ceil, [a, ..]) => b.un(UnOp::Ceil, *a),
            (B::Trunc, [a, ..]) => b.un(UnOp::Trunc, *a),
            (B::Round, [a, ..]) => {
                // To nearest, ties away from zero: the part behind the point decides.
                let a = *a;
                let trunc = b.un(UnOp::Trunc, a);
                let rest = b.op(Op2::Sub, a, trunc);
                let rest = b.un(UnOp::Abs, rest);
                let half = b.num(0.5);
                let away = b.cmp(CmpOp::Ge, rest, half);
                let sign = b.un(UnOp::Sign, a);
                let by = b.choose(away, |_| sign, |b| b.num(0.0));
                b.op(Op2::Add, trunc, by)
            }
            (B::Mod, [a, n, ..]) => {
                let q = b.op(Op2::Div, *a, *n);
                let q = b.un(UnOp::Floor, q);
                let nq = b.op(Op2::Mul, *n, q);
                b.op(Op2::Sub, *a, nq)
            }
            (B::Div, [a, n, ..]) => {
                let q = b.op(Op2::Div, *a, *n);
                b.un(UnOp::Floor, q)
            }
            (B::Factorial, [a, ..]) => {
                let one = b.num(1.0);
                let a = b.op(Op2::Add, *a, one);
                let r = b.reg();
                b.push(Instr::Math(r, MathFn::Gamma, vec![a]));
                r
            }
            (B::Xor, [a, c, ..]) => b.op(Op2::Xor, *a, *c),
            (B::Finite, [a, ..]) => {
                let size = b.un(UnOp::Abs, *a);
                let limit = b.num(f64::MAX);
                b.cmp(CmpOp::Le, size, limit)
            }
            (B::ToReal | B::ToInt, [a, ..]) if truth => b.choose(*a, |b| b.num(1.0), |b| b.num(0.0)),
            (B::ToReal, [a, ..]) => *a,
            (B::ToInt, [a, ..]) => b.un(UnOp::Trunc, *a),
            _ => return self.formula(b, e),
        })
    }

    fn filled(&mut self, b: &mut Body, sizes: &'a [hir::Expr], x: f64) -> R<Reg> {
        let Some((n, rest)) = sizes.split_first() else { return Ok(b.num(x)) };
        let n = self.value(b, n)?;
        let out = b.reg();
        b.push(Instr::List(out, Vec::new()));
        let skip = b.reg();
        let zero = b.num(0.0);
        self.count_up(b, zero, n, &mut |s, b, _| {
            let row = s.filled(b, rest, x)?;
            b.push(Instr::Method(skip, Method::Push, out, vec![row]));
            Ok(())
        })?;
        Ok(out)
    }

    /// The code of a function that equations may use too.
    pub(super) fn function_code(&mut self, id: hir::FuncId) -> R<CodeId> {
        if let Some(c) = self.behaving.globals.get(&id) {
            return Ok(*c);
        }
        let f = &self.model.functions[id.0 as usize];
        let code = self.reserve_code();
        self.behaving.globals.insert(id, code);
        let mut b = Body::new(super::super::scope::InstId(0), f.name.to_string(), f.span);
        for (local, ..) in &f.params {
            b.param(*local);
        }
        self.function_body(&mut b, &f.body)?;
        self.finish_code(code, b)?;
        Ok(code)
    }

    fn function_body(&mut self, b: &mut Body, body: &'a [FuncStmt]) -> R<()> {
        for s in body {
            match s {
                FuncStmt::Assign(id, e) => {
                    let to = b.local(*id);
                    let mark = b.mark();
                    let x = self.value(b, e)?;
                    b.push(Instr::Move(to, x));
                    b.free(mark);
                }
                FuncStmt::If(c, then, otherwise) => {
                    let c = self.value(b, c)?;
                    let other = b.jump_unless(c);
                    self.function_body(b, then)?;
                    let end = b.jump();
                    b.land(other);
                    self.function_body(b, otherwise)?;
                    b.land(end);
                }
                FuncStmt::For(range, body) => {
                    let (lo, hi) = (self.value(b, &range.lo)?, self.value(b, &range.hi)?);
                    self.count_up(b, lo, hi, &mut |s, b, i| {
                        let r = b.local(range.local);
                        b.push(Instr::Move(r, i));
                        s.function_body(b, body)
                    })?;
                }
                FuncStmt::While(c, body) => {
                    let top = b.here();
                    let c = self.value(b, c)?;
                    let end = b.jump_unless(c);
                    self.function_body(b, body)?;
                    b.push(Instr::Jump(top));
                    b.land(end);
                }
                FuncStmt::Return(e) => {
                    let x = self.value(b, e)?;
                    b.push(Instr::Return(Some(x)));
                }
            }
        }
        Ok(())
    }
}

/// Code that fails where the divisor of a whole division is 0; none where that is written as another number.
fn not_by_zero(b: &mut Body, name: &str, divisor: Reg, e: &hir::Expr) {
    let written = match &e.kind {
        hir::ExprKind::Call(_, args) => args.get(1),
        _ => None,
    };
    if written.is_some_and(|n| matches!(n.kind, hir::ExprKind::Int(k) if k != 0)) {
        return;
    }
    let zero = b.num(0.0);
    let vanishes = b.cmp(CmpOp::Eq, divisor, zero);
    let goes_on = b.jump_unless(vanishes);
    let reason = b.text(&format!("`{name}` divides by 0"));
    b.push(Instr::Fail(reason));
    b.land(goes_on);
}
