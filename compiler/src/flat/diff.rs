//! The derivative of a flat expression with respect to time, by the chain rule.

use super::{BinOp, Expr, Fold, MathFn, UnOp};
use twinml_model::ids::VarId;

fn b(e: Expr) -> Box<Expr> {
    Box::new(e)
}

fn is(e: &Expr, x: f64) -> bool {
    matches!(e, Expr::Num(y) if *y == x)
}

fn add(x: Expr, y: Expr) -> Expr {
    if is(&x, 0.0) {
        y
    } else if is(&y, 0.0) {
        x
    } else {
        Expr::Bin(BinOp::Add, b(x), b(y))
    }
}

fn neg(x: Expr) -> Expr {
    if is(&x, 0.0) { x } else { Expr::Un(UnOp::Neg, b(x)) }
}

fn sub(x: Expr, y: Expr) -> Expr {
    if is(&y, 0.0) {
        x
    } else if is(&x, 0.0) {
        neg(y)
    } else {
        Expr::Bin(BinOp::Sub, b(x), b(y))
    }
}

fn mul(x: Expr, y: Expr) -> Expr {
    if is(&x, 0.0) || is(&y, 0.0) {
        Expr::Num(0.0)
    } else if is(&x, 1.0) {
        y
    } else if is(&y, 1.0) {
        x
    } else {
        Expr::Bin(BinOp::Mul, b(x), b(y))
    }
}

fn div(x: Expr, y: Expr) -> Expr {
    if is(&x, 0.0) || is(&y, 1.0) { x } else { Expr::Bin(BinOp::Div, b(x), b(y)) }
}

fn sqr(x: Expr) -> Expr {
    Expr::Bin(BinOp::Pow, b(x), b(Expr::Num(2.0)))
}

fn call(f: MathFn, x: Expr) -> Expr {
    Expr::Math(f, vec![x])
}

fn one_minus(x: Expr) -> Expr {
    sub(Expr::Num(1.0), x)
}

fn one_plus(x: Expr) -> Expr {
    add(Expr::Num(1.0), x)
}

/// d`e`/dt. `fixed` says which families do not change during a run; of the others `Der` is taken.
///
/// # Errors
///
/// Names what has no derivative known here.
pub fn time_derivative(e: &Expr, fixed: &dyn Fn(VarId) -> bool) -> Result<Expr, &'static str> {
    derivative(e, &|x| match x {
        Expr::Var(v, _) | Expr::VarAt { var: v, .. } if fixed(*v) => Ok(Expr::Num(0.0)),
        Expr::Var(v, a) => Ok(Expr::Der(*v, a.clone())),
        Expr::VarAt { .. } => Err("an element chosen during the run"),
        _ => Err("a derivative"),
    })
}

/// What `Var`, `VarAt` and `Der` become.
pub type Leaf<'a> = &'a dyn Fn(&Expr) -> Result<Expr, &'static str>;

/// d`e`/dt, where `of` gives the derivatives of values and of derivatives.
///
/// # Errors
///
/// Names what has no derivative known here.
pub fn derivative(e: &Expr, of: Leaf<'_>) -> Result<Expr, &'static str> {
    let d = |e: &Expr| derivative(e, of);
    Ok(match e {
        Expr::Num(_) | Expr::Index(_) | Expr::Start(..) => Expr::Num(0.0),
        Expr::Time => Expr::Num(1.0),
        Expr::Bool(_) | Expr::Not(_) | Expr::Cmp(..) | Expr::BoolBin(..) => return Err("a truth value"),
        Expr::BoolToNum(_) | Expr::Step(..) => Expr::Num(0.0),
        Expr::Var(..) | Expr::VarAt { .. } | Expr::Der(..) => return of(e),
        Expr::Table(_, x) => {
            if is(&d(x)?, 0.0) {
                Expr::Num(0.0)
            } else {
                return Err("a table");
            }
        }
        Expr::Delay(x, tau) => {
            let (dx, dtau) = (d(x)?, d(tau)?);
            if !is(&dtau, 0.0) {
                return Err("a delay whose time changes");
            }
            if is(&dx, 0.0) { dx } else { Expr::Delay(b(dx), tau.clone()) }
        }
        Expr::NoEvent(x) => Expr::NoEvent(b(d(x)?)),
        Expr::If(c, x, y) => {
            let (dx, dy) = (d(x)?, d(y)?);
            if dx == dy { dx } else { Expr::If(c.clone(), b(dx), b(dy)) }
        }
        Expr::Un(op, x) => {
            let dx = d(x)?;
            match op {
                _ if is(&dx, 0.0) => dx,
                UnOp::Neg => neg(dx),
                UnOp::Abs => mul(Expr::Un(UnOp::Sign, x.clone()), dx),
                UnOp::Sqrt => div(dx, mul(Expr::Num(2.0), e.clone())),
                UnOp::Sign => Expr::Num(0.0),
            }
        }
        Expr::Bin(op, x, y) => {
            let (dx, dy) = (d(x)?, d(y)?);
            match op {
                BinOp::Add => add(dx, dy),
                BinOp::Sub => sub(dx, dy),
                BinOp::Mul => add(mul(dx, (**y).clone()), mul((**x).clone(), dy)),
                BinOp::Div if is(&dy, 0.0) => div(dx, (**y).clone()),
                BinOp::Div => div(sub(dx, mul(e.clone(), dy)), (**y).clone()),
                BinOp::Pow => power(e, x, y, dx, dy),
                BinOp::Min | BinOp::Max if dx == dy => dx,
                BinOp::Min | BinOp::Max => {
                    let op = if *op == BinOp::Min { super::CmpOp::Le } else { super::CmpOp::Ge };
                    let test = Expr::Cmp(op, x.clone(), y.clone(), crate::source::Span::default());
                    Expr::If(b(Expr::NoEvent(b(test))), b(dx), b(dy))
                }
            }
        }
        Expr::Fold(Fold::Sum, l, x) => {
            let dx = d(x)?;
            if is(&dx, 0.0) { dx } else { Expr::Fold(Fold::Sum, l.clone(), b(dx)) }
        }
        Expr::Fold(_, _, x) => {
            if d(x).is_ok_and(|dx| is(&dx, 0.0)) {
                Expr::Num(0.0)
            } else {
                return Err("a product, a smallest or a largest of many");
            }
        }
        Expr::Math(f, args) => return math(e, *f, args, of),
    })
}

/// d(x^y) = y·x^(y−1)·dx + x^y·log(x)·dy
fn power(e: &Expr, x: &Expr, y: &Expr, dx: Expr, dy: Expr) -> Expr {
    let lower = match y {
        Expr::Num(n) if *n == 2.0 => x.clone(),
        Expr::Num(n) => Expr::Bin(BinOp::Pow, b(x.clone()), b(Expr::Num(n - 1.0))),
        _ => Expr::Bin(BinOp::Pow, b(x.clone()), b(sub(y.clone(), Expr::Num(1.0)))),
    };
    let base = if is(&dx, 0.0) { dx } else { mul(mul(y.clone(), lower), dx) };
    if is(&dy, 0.0) { base } else { add(base, mul(mul(e.clone(), call(MathFn::Log, x.clone())), dy)) }
}

fn math(e: &Expr, f: MathFn, args: &[Expr], of: Leaf<'_>) -> Result<Expr, &'static str> {
    let mut ds = Vec::new();
    for a in args {
        ds.push(derivative(a, of)?);
    }
    if ds.iter().all(|d| is(d, 0.0)) {
        return Ok(Expr::Num(0.0));
    }
    let (Some(x), Some(dx)) = (args.first().cloned(), ds.first().cloned()) else {
        return Err("a function without arguments");
    };
    if let (Some(y), Some(dy)) = (args.get(1).cloned(), ds.get(1).cloned()) {
        return Ok(match f {
            // atan2(x, y) with x the ordinate: (y·dx − x·dy)/(x² + y²)
            MathFn::Atan2 => {
                let top = sub(mul(y.clone(), dx), mul(x.clone(), dy));
                div(top, add(sqr(x), sqr(y)))
            }
            MathFn::Hypot => div(add(mul(x, dx), mul(y, dy)), e.clone()),
            MathFn::Pow => power(e, &x, &y, dx, dy),
            MathFn::SinMoved | MathFn::SinBesideMoved => mul(call(MathFn::Cos, add(x, y)), add(dx, dy)),
            MathFn::CosMoved => neg(mul(call(MathFn::Sin, add(x, y)), add(dx, dy))),
            _ => return Err("this function"),
        });
    }
    let num = Expr::Num;
    let sqrt = |x: Expr| Expr::Un(UnOp::Sqrt, b(x));
    Ok(match f {
        MathFn::Exp => mul(e.clone(), dx),
        MathFn::Expm1 => mul(one_plus(e.clone()), dx),
        MathFn::Log => div(dx, x),
        MathFn::Log1p => div(dx, one_plus(x)),
        MathFn::Log10 => div(dx, mul(x, num(std::f64::consts::LN_10))),
        MathFn::Log2 => div(dx, mul(x, num(std::f64::consts::LN_2))),
        MathFn::Sin | MathFn::SinBeside => mul(call(MathFn::Cos, x), dx),
        MathFn::Cos => neg(mul(call(MathFn::Sin, x), dx)),
        MathFn::Tan => mul(one_plus(sqr(e.clone())), dx),
        MathFn::Asin => div(dx, sqrt(one_minus(sqr(x)))),
        MathFn::Acos => neg(div(dx, sqrt(one_minus(sqr(x))))),
        MathFn::Atan => div(dx, one_plus(sqr(x))),
        MathFn::Sinh => mul(call(MathFn::Cosh, x), dx),
        MathFn::Cosh => mul(call(MathFn::Sinh, x), dx),
        MathFn::Tanh => mul(one_minus(sqr(e.clone())), dx),
        MathFn::Asinh => div(dx, sqrt(one_plus(sqr(x)))),
        MathFn::Acosh => div(dx, sqrt(sub(sqr(x), num(1.0)))),
        MathFn::Atanh => div(dx, one_minus(sqr(x))),
        MathFn::Cbrt => div(dx, mul(num(3.0), sqr(e.clone()))),
        MathFn::Erf => {
            // 2/√π
            let factor = num(std::f64::consts::FRAC_2_SQRT_PI);
            mul(mul(factor, call(MathFn::Exp, neg(sqr(x)))), dx)
        }
        MathFn::Gamma => mul(mul(e.clone(), call(MathFn::Digamma, x)), dx),
        MathFn::Digamma => mul(call(MathFn::Trigamma, x), dx),
        MathFn::Trigamma => return Err("the trigamma function"),
        MathFn::Atan2
        | MathFn::Hypot
        | MathFn::Pow
        | MathFn::SinMoved
        | MathFn::CosMoved
        | MathFn::SinBesideMoved => return Err("a function with one argument missing"),
    })
}
