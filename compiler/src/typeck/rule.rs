//! Functions of the language: arguments in order, and how dimensions and shapes combine.

use twinml_model::dimension::{Dimension, Ratio};

use super::assign::Target;
use super::builtins::{Entry, Rule};
use super::expr::join_temp;
use super::ty::{Lit, Temp, Ty, Val, const_int, is_number, may_equal, show_shape};
use super::words::article;
use super::{Checker, Cx};
use crate::ast::Arg;
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::{Builtin, Expr, ExprKind, Extent, Type};
use crate::source::Span;

impl<'a> Checker<'a, '_> {
    /// A call of a function that the language has.
    pub(super) fn builtin(
        &mut self,
        cx: &mut Cx<'a>,
        f: &'static Entry,
        args: &'a [Arg],
        span: Span,
    ) -> Option<Val> {
        let exact = cx.exact;
        cx.exact |= f.builtin == Builtin::NoEvent;
        let vals = self.builtin_args(cx, f, args, span);
        cx.exact = exact;
        let vals = vals?;
        if vals.iter().any(Val::is_any) {
            let ty = vals.iter().find(|v| !v.is_any()).map_or(Type::Any, |v| v.e.ty.clone());
            let ty = if f.rule == Rule::AllSame { ty } else { Type::Any };
            let args = vals.into_iter().map(|v| v.e).collect();
            return Some(Val::new(ExprKind::Call(f.builtin, args), ty, span));
        }
        self.apply_rule(cx, f, vals, args, span)
    }

    /// The arguments in the order of the definition.
    fn builtin_args(
        &mut self,
        cx: &mut Cx<'a>,
        f: &'static Entry,
        args: &'a [Arg],
        span: Span,
    ) -> Option<Vec<Val>> {
        let (lo, hi) = f.arity;
        if args.len() < lo || args.len() > hi {
            let want = if lo == hi { lo.to_string() } else { format!("{lo} to {hi}") };
            let message = format!(
                "`{}` takes {want} argument{}, not {}",
                f.name,
                if want == "1" { "" } else { "s" },
                args.len()
            );
            let d = Diagnostic::new(codes::ARGUMENT_COUNT, span, message);
            self.say(d.help(format!("`{}({})`", f.name, f.args.join(", "))));
            return None;
        }
        let mut slots: Vec<Option<Val>> = vec![None; args.len()];
        let mut ok = true;
        for (i, a) in args.iter().enumerate() {
            let at = match &a.name {
                None => i,
                Some(n) => match f.args.iter().position(|p| *p == n.as_str()) {
                    Some(p) if p < slots.len() => p,
                    _ => {
                        let message = format!("`{}` has no argument `{}`", f.name, n.as_str());
                        let mut d = Diagnostic::new(codes::UNKNOWN_ARGUMENT, n.span, message);
                        d.help = did_you_mean(n.as_str(), f.args.iter().copied());
                        self.say(d);
                        ok = false;
                        continue;
                    }
                },
            };
            let v = self.expr(cx, &a.value);
            ok &= v.is_some();
            if slots[at].is_some() {
                let message = format!("this argument of `{}` is given twice", f.name);
                self.say(Diagnostic::new(codes::UNKNOWN_ARGUMENT, a.span, message));
                ok = false;
            }
            slots[at] = v;
        }
        if !ok {
            return None;
        }
        slots.into_iter().collect()
    }

    fn pure(&mut self, f: &Entry, v: &Val) -> Option<()> {
        if !is_number(&v.e.ty) {
            return self.wants_number(f, v);
        }
        match v.dimension() {
            Some(d) if !d.is_one() => {
                let what = self.describe_val(v);
                let message = format!("`{}` of {} {what}", f.name, article(&what));
                let d = Diagnostic::new(codes::NOT_DIMENSIONLESS, v.span(), message)
                    .here("a plain number is needed here")
                    .help("divide by a reference of the same unit");
                self.say(d);
                None
            }
            _ => Some(()),
        }
    }

    fn wants_number(&mut self, f: &Entry, v: &Val) -> Option<()> {
        let what = self.describe_val(v);
        let d = Diagnostic::new(codes::BAD_OPERANDS, v.span(), format!("`{}` needs a number", f.name));
        self.say(d.here(format!("this is {} {what}", article(&what))));
        None
    }

    fn rank(&mut self, f: &Entry, v: &Val, want: usize) -> Option<()> {
        if v.e.shape.len() == want {
            return Some(());
        }
        let (have, kind) = (show_shape(&v.e.shape), if want == 1 { "a vector" } else { "a matrix" });
        let have = if v.e.shape.is_empty() { "a scalar".to_owned() } else { format!("of shape {have}") };
        let message = format!("`{}` needs {kind}", f.name);
        self.say(Diagnostic::new(codes::SHAPE_MISMATCH, v.span(), message).here(format!("this is {have}")));
        None
    }

    fn square(&mut self, f: &Entry, v: &Val) -> Option<()> {
        self.rank(f, v, 2)?;
        if may_equal(&v.e.shape[0], &v.e.shape[1]) {
            return Some(());
        }
        let message = format!("`{}` needs a square matrix", f.name);
        let d = Diagnostic::new(codes::SHAPE_MISMATCH, v.span(), message);
        let shape = show_shape(&v.e.shape);
        self.say(d.here(format!("this is of shape {shape}")));
        None
    }

    /// Puts arguments together by the function's rule.
    #[expect(clippy::too_many_lines, reason = "one arm a rule")]
    fn apply_rule(
        &mut self,
        cx: &mut Cx<'a>,
        f: &'static Entry,
        mut vals: Vec<Val>,
        args: &'a [Arg],
        span: Span,
    ) -> Option<Val> {
        let one = Type::Real(Some(Dimension::ONE));
        let done = |vals: Vec<Val>, ty: Type, shape: Vec<Extent>| {
            let has_pi = vals.iter().any(|v| v.has_pi);
            let kind = ExprKind::Call(f.builtin, vals.into_iter().map(|v| v.e).collect());
            let mut v = Val::of(Expr { kind, ty, shape, span });
            v.has_pi = has_pi;
            v
        };
        let off = cx.units_off;
        match f.rule {
            Rule::Pure => {
                self.pure(f, &vals[0])?;
                let shape = vals[0].e.shape.clone();
                let ty = if let Type::Complex(_) = vals[0].e.ty { vals[0].e.ty.clone() } else { one };
                let mut v = done(vals, ty, shape);
                if matches!(f.builtin, Builtin::Asin | Builtin::Acos | Builtin::Atan) {
                    v.nature = crate::units::Nature::Angular;
                }
                Some(v)
            }
            Rule::Root(n) => {
                let v = &vals[0];
                if !is_number(&v.e.ty) {
                    self.wants_number(f, v)?;
                }
                let d = match v.dimension() {
                    Some(d) => match d.root(n) {
                        Some(d) => Some(d),
                        None => return None,
                    },
                    None => None,
                };
                let shape = v.e.shape.clone();
                Some(done(vals, Type::Real(d), shape))
            }
            Rule::Same | Rule::Identical => {
                let v = vals[0].clone();
                if f.rule == Rule::Same && !is_number(&v.e.ty) {
                    self.wants_number(f, &v)?;
                }
                let mut out = done(vals, v.e.ty.clone(), v.e.shape.clone());
                out.temp = if f.rule == Rule::Same && v.temp == Temp::Point { Temp::Plain } else { v.temp };
                (out.nature, out.quantity) = (v.nature, v.quantity);
                Some(out)
            }
            Rule::AllSame => {
                for v in &vals {
                    if !is_number(&v.e.ty) {
                        self.wants_number(f, v)?;
                    }
                }
                let mut acc = vals.remove(0);
                let mut out: Vec<Val> = Vec::new();
                for v in vals {
                    let (a, b) = self.unify_numbers(&format!("arguments of `{}`", f.name), acc, v, span)?;
                    // Every earlier literal zero takes the dimension found now.
                    for o in &mut out {
                        if o.lit == Lit::Zero {
                            o.e.ty = b.e.ty.clone();
                        }
                    }
                    let shape = self.broadcast(&a, &b, f.name, span)?;
                    let temp = join_temp(a.temp, b.temp);
                    let mut b = b;
                    b.e.shape = if b.e.shape.is_empty() { b.e.shape } else { shape };
                    b.temp = temp;
                    out.push(a);
                    acc = b;
                }
                out.push(acc);
                let ty = out.iter().fold(out[0].e.ty.clone(), |t, v| super::ops::wider(&t, &v.e.ty));
                let shape =
                    out.iter().map(|v| &v.e.shape).max_by_key(|s| s.len()).cloned().unwrap_or_default();
                let temp = out.last().map_or(Temp::Plain, |v| v.temp);
                let nature = out[0].nature;
                let nature = if out.iter().all(|v| v.nature == nature || v.lit == Lit::Zero) {
                    nature
                } else {
                    crate::units::Nature::Plain
                };
                let temp =
                    if f.builtin == Builtin::Hypot && temp == Temp::Point { Temp::Plain } else { temp };
                let mut v = done(out, ty, shape);
                (v.temp, v.nature) = (temp, nature);
                Some(v)
            }
            Rule::Quotient => {
                let (b, a) = (vals.pop()?, vals.pop()?);
                for v in [&a, &b] {
                    if !is_number(&v.e.ty) {
                        self.wants_number(f, v)?;
                    }
                }
                let (a, b) = self.unify_numbers(&format!("arguments of `{}`", f.name), a, b, span)?;
                let shape = self.broadcast(&a, &b, f.name, span)?;
                let mut v = done(vec![a, b], one, shape);
                v.nature = crate::units::Nature::Angular;
                Some(v)
            }
            Rule::Sign => {
                if !is_number(&vals[0].e.ty) {
                    self.wants_number(f, &vals[0])?;
                }
                let shape = vals[0].e.shape.clone();
                let ty = if vals[0].e.ty == Type::Int { Type::Int } else { one };
                Some(done(vals, ty, shape))
            }
            Rule::Whole => {
                self.pure(f, &vals[0])?;
                let shape = vals[0].e.shape.clone();
                Some(done(vals, Type::Int, shape))
            }
            Rule::IntDiv => {
                for v in &vals {
                    if v.e.ty != Type::Int && !(off && is_number(&v.e.ty)) {
                        let what = self.describe_val(v);
                        let d = Diagnostic::new(codes::BAD_OPERANDS, v.span(), "`div` divides whole numbers");
                        self.say(
                            d.here(format!("this is {} {what}", article(&what)))
                                .help("`/` divides real numbers"),
                        );
                        return None;
                    }
                }
                let shape = self.broadcast(&vals[0].clone(), &vals[1].clone(), f.name, span)?;
                Some(done(vals, Type::Int, shape))
            }
            Rule::Power => {
                let (b, a) = (vals.pop()?, vals.pop()?);
                if !is_number(&a.e.ty) || !is_number(&b.e.ty) {
                    self.bad_operands("pow", &a, &b, span);
                    return None;
                }
                let right = args.iter().find(|x| x.name.as_ref().is_some_and(|n| n.as_str() == "exponent"));
                let right = right.or(args.get(1)).map(|a| &a.value);
                self.power(cx, a, b, right, span)
            }
            Rule::BoolBool => {
                for v in &vals {
                    if v.e.ty != Type::Bool {
                        let what = self.describe_val(v);
                        let d = Diagnostic::new(codes::BAD_OPERANDS, v.span(), "`xor` needs truth values");
                        self.say(d.here(format!("this is {} {what}", article(&what))));
                        return None;
                    }
                }
                let shape = self.broadcast(&vals[0].clone(), &vals[1].clone(), f.name, span)?;
                Some(done(vals, Type::Bool, shape))
            }
            Rule::Test => {
                let shape = vals[0].e.shape.clone();
                Some(done(vals, Type::Bool, shape))
            }
            Rule::Dot | Rule::Cross => {
                let want = 1;
                self.rank(f, &vals[0].clone(), want)?;
                self.rank(f, &vals[1].clone(), want)?;
                let shape = self.broadcast(&vals[0].clone(), &vals[1].clone(), f.name, span)?;
                if f.rule == Rule::Cross && !may_equal(&shape[0], &Extent::Const(3)) {
                    let d = Diagnostic::new(codes::SHAPE_MISMATCH, span, "`cross` needs vectors of length 3");
                    self.say(d);
                    return None;
                }
                let d = match (vals[0].dimension(), vals[1].dimension()) {
                    (Some(a), Some(b)) => a.checked_mul(b),
                    _ => None,
                };
                let shape = if f.rule == Rule::Dot { Vec::new() } else { shape };
                Some(done(vals, Type::Real(d), shape))
            }
            Rule::Norm => {
                if !is_number(&vals[0].e.ty) {
                    self.wants_number(f, &vals[0])?;
                }
                if vals[0].e.shape.is_empty() {
                    self.rank(f, &vals[0].clone(), 1)?;
                }
                let d = vals[0].dimension().cloned();
                Some(done(vals, Type::Real(d), Vec::new()))
            }
            Rule::Transpose => {
                self.rank(f, &vals[0].clone(), 2)?;
                let mut shape = vals[0].e.shape.clone();
                shape.reverse();
                let ty = vals[0].e.ty.clone();
                Some(done(vals, ty, shape))
            }
            Rule::Inverse => {
                self.square(f, &vals[0].clone())?;
                let d = vals[0].dimension().map(Dimension::recip);
                let shape = vals[0].e.shape.clone();
                Some(done(vals, Type::Real(d), shape))
            }
            Rule::Solve => {
                self.square(f, &vals[0].clone())?;
                let (a, b) = (&vals[0], &vals[1]);
                if b.e.shape.is_empty() || !may_equal(&a.e.shape[0], &b.e.shape[0]) {
                    let (x, y) = (show_shape(&a.e.shape), show_shape(&b.e.shape));
                    let message = format!("`solve` of a matrix {x} and a right side {y}");
                    self.say(Diagnostic::new(codes::SHAPE_MISMATCH, span, message));
                    return None;
                }
                let d = match (a.dimension(), b.dimension()) {
                    (Some(a), Some(b)) => b.checked_div(a),
                    _ => None,
                };
                let shape = b.e.shape.clone();
                Some(done(vals, Type::Real(d), shape))
            }
            Rule::Det => {
                self.square(f, &vals[0].clone())?;
                let n = match vals[0].e.shape[0] {
                    Extent::Const(n) => Some(n),
                    _ => None,
                };
                let d = match (vals[0].dimension(), n) {
                    (Some(d), _) if d.is_one() => Some(Dimension::ONE),
                    (Some(d), Some(n)) => Ratio::int(i64::from(n)).and_then(|n| d.pow(n)),
                    (Some(_), None) => {
                        let message = "the unit of this determinant depends on the size of the matrix";
                        self.say(Diagnostic::new(codes::NOT_DIMENSIONLESS, span, message));
                        return None;
                    }
                    (None, _) => None,
                };
                Some(done(vals, Type::Real(d), Vec::new()))
            }
            Rule::Identity | Rule::Filled => {
                let mut shape = Vec::new();
                for v in &vals {
                    if v.e.ty != Type::Int || !v.e.shape.is_empty() {
                        let message = format!("`{}` takes whole numbers", f.name);
                        self.say(Diagnostic::new(codes::BAD_SIZE, v.span(), message));
                        return None;
                    }
                    shape.push(match const_int(&v.e) {
                        Some(n) => match u32::try_from(n) {
                            Ok(n) if u64::from(n) <= super::ty::MAX_ELEMENTS => Extent::Const(n),
                            _ => {
                                let message = format!("{n} is no size of an array");
                                self.say(Diagnostic::new(codes::BAD_SIZE, v.span(), message));
                                return None;
                            }
                        },
                        None => Extent::Formula(Box::new(v.e.clone())),
                    });
                }
                if f.rule == Rule::Identity {
                    shape.push(shape[0].clone());
                }
                let mut v = done(vals, one, shape);
                // Zeros fit every dimension, as the literal does.
                if f.builtin == Builtin::Zeros {
                    v.lit = Lit::Zero;
                    v.e.ty = Type::Real(None);
                }
                Some(v)
            }
            Rule::Diag => {
                self.rank(f, &vals[0].clone(), 1)?;
                let n = vals[0].e.shape[0].clone();
                let ty = vals[0].e.ty.clone();
                Some(done(vals, ty, vec![n.clone(), n]))
            }
            Rule::Concat => {
                let mut total = Some(0u32);
                let mut acc: Option<Val> = None;
                let mut out = Vec::new();
                for v in vals {
                    let len = match v.e.shape.as_slice() {
                        [] => Some(1),
                        [Extent::Const(n)] => Some(*n),
                        [_] => None,
                        _ => {
                            self.rank(f, &v, 1)?;
                            None
                        }
                    };
                    total = total.zip(len).and_then(|(a, b)| a.checked_add(b));
                    let v = match acc.take() {
                        None => v,
                        Some(a) => {
                            let (a, b) = self.unify_numbers("parts of one array", a, v, span)?;
                            out.push(a);
                            b
                        }
                    };
                    acc = Some(v);
                }
                out.extend(acc);
                let ty = out.first().map_or(one, |v| v.e.ty.clone());
                Some(done(out, ty, vec![total.map_or(Extent::Inferred, Extent::Const)]))
            }
            Rule::Len => {
                if vals[0].e.shape.is_empty()
                    && !matches!(vals[0].e.ty, Type::List(_) | Type::Map(..) | Type::String)
                {
                    let d = Diagnostic::new(codes::NOT_AN_ARRAY, vals[0].span(), "`len` needs an array");
                    self.say(d);
                    return None;
                }
                if let Some(Extent::Const(n)) = vals[0].e.shape.first() {
                    return Some(Val::new(ExprKind::Int(i64::from(*n)), Type::Int, span));
                }
                Some(done(vals, Type::Int, Vec::new()))
            }
            Rule::Delayed => {
                let tau = vals.pop()?;
                let ty = Ty::real(Dimension::TIME);
                let tau =
                    if off { tau } else { self.fits(tau, &ty, Target { name: "the time", span: None })? };
                let v = vals[0].clone();
                let mut out = done(vec![v.clone(), tau], v.e.ty.clone(), v.e.shape.clone());
                (out.temp, out.nature, out.quantity) = (v.temp, v.nature, v.quantity);
                Some(out)
            }
            Rule::Interpolate => {
                let (x, ys, xs) = (vals.pop()?, vals.pop()?, vals.pop()?);
                self.rank(f, &xs, 1)?;
                self.rank(f, &ys, 1)?;
                self.broadcast(&xs, &ys, f.name, span)?;
                let (xs, x) =
                    self.unify_numbers("the argument and the points of `interpolate`", xs, x, span)?;
                let (ty, shape, temp) = (ys.e.ty.clone(), x.e.shape.clone(), ys.temp);
                let ty = if ty == Type::Int { one } else { ty };
                let mut v = done(vec![xs, ys, x], ty, shape);
                v.temp = temp;
                Some(v)
            }
            Rule::Integral => {
                let d = match vals[0].dimension() {
                    Some(d) if !off => d.checked_mul(&Dimension::TIME),
                    _ => None,
                };
                let shape = vals[0].e.shape.clone();
                Some(done(vals, Type::Real(d), shape))
            }
            Rule::Noise => {
                let d = if off { None } else { Dimension::TIME.pow(Ratio::new(-1, 2)?) };
                Some(done(vals, Type::Real(d), Vec::new()))
            }
            Rule::Inflow => {
                let v = vals[0].clone();
                let mut out = done(vals, v.e.ty.clone(), v.e.shape.clone());
                (out.temp, out.nature, out.quantity) = (v.temp, v.nature, v.quantity);
                Some(out)
            }
            Rule::HourOfDay => Some(done(vals, Type::Real((!off).then_some(Dimension::TIME)), Vec::new())),
            Rule::Weekday => Some(done(vals, Type::Int, Vec::new())),
            Rule::Now => Some(done(vals, Type::Timestamp, Vec::new())),
            Rule::ToReal => {
                if vals[0].e.ty == Type::Bool {
                    let shape = vals[0].e.shape.clone();
                    return Some(done(vals, one, shape));
                }
                self.pure(f, &vals[0].clone())?;
                let shape = vals[0].e.shape.clone();
                Some(done(vals, one, shape))
            }
            Rule::ToInt => {
                if vals[0].e.ty != Type::Bool {
                    self.pure(f, &vals[0].clone())?;
                }
                let shape = vals[0].e.shape.clone();
                Some(done(vals, Type::Int, shape))
            }
            Rule::Part => {
                let d = vals[0].dimension().cloned();
                let shape = vals[0].e.shape.clone();
                Some(done(vals, Type::Real(d), shape))
            }
        }
    }
}
