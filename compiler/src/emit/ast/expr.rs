//! Expressions, types and names, with every operation in parentheses.

use crate::ast::*;
use crate::lexer::words::is_keyword;

/// A name, in backquotes where it would not be one otherwise.
pub fn name(n: &Name) -> String {
    let t = n.as_str();
    let mut chars = t.chars();
    let plain = chars.next().is_some_and(|c| c == '_' || unicode_ident::is_xid_start(c))
        && chars.all(unicode_ident::is_xid_continue);
    if plain && !is_keyword(t) { t.to_string() } else { format!("`{t}`") }
}

/// Names between commas.
pub fn names(list: &[Name]) -> String {
    join(list, name)
}

/// Items between commas.
pub fn join<T>(list: &[T], f: impl Fn(&T) -> String) -> String {
    list.iter().map(f).collect::<Vec<_>>().join(", ")
}

/// A path with dots.
pub fn path(p: &Path) -> String {
    p.names.iter().map(name).collect::<Vec<_>>().join(".")
}

/// A string literal's text with its escapes.
pub fn escape(text: &str) -> String {
    let mut s = String::new();
    for c in text.chars() {
        match c {
            '\n' => s.push_str("\\n"),
            '\t' => s.push_str("\\t"),
            '\r' => s.push_str("\\r"),
            '"' => s.push_str("\\\""),
            '\\' => s.push_str("\\\\"),
            '$' => s.push_str("\\$"),
            c if c.is_control() => s.push_str(&format!("\\u{{{:X}}}", c as u32)),
            c => s.push(c),
        }
    }
    s
}

/// A number with its unit in brackets.
fn number(n: &Number) -> String {
    match &n.unit {
        None => n.text.to_string(),
        Some(u) => format!("{} [{}]", n.text, super::super::unit(u)),
    }
}

/// Arguments between commas.
pub fn args(list: &[Arg]) -> String {
    join(list, |a| {
        let head = a.name.as_ref().map_or(String::new(), |n| format!("{}: ", name(n)));
        let unit = a.unit.as_ref().map_or(String::new(), |u| format!(" in [{}]", super::super::unit(u)));
        format!("{head}{}{unit}", argument(&a.value))
    })
}

/// An argument: the forms that stand only there have no parentheses.
fn argument(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Generator(g) => generator(g),
        ExprKind::Closure { params, body } => match params.as_slice() {
            [one] => format!("{} -> {}", name(one), expr(body)),
            many => format!("({}) -> {}", names(many), expr(body)),
        },
        ExprKind::Over { expr: e, window } => match window {
            None => format!("{} over run", expr(e)),
            Some(w) => format!("{} over [{}, {}]", expr(e), expr(&w.0), expr(&w.1)),
        },
        ExprKind::Within { expr: e, limit } => format!("{} within {}", argument(e), expr(limit)),
        ExprKind::LeadsTo { cause, effect } => format!("{} -> {}", expr(cause), expr(effect)),
        _ => expr(e),
    }
}

fn generator(g: &Generator) -> String {
    let mut s = expr(&g.body);
    for c in &g.clauses {
        s.push(' ');
        s.push_str(&for_head(&c.vars, &c.iter, c.cond.as_ref()));
    }
    s
}

/// `for i in 0..n if c`
pub fn for_head(vars: &[Name], iter: &Expr, cond: Option<&Expr>) -> String {
    let cond = cond.map_or(String::new(), |c| format!(" if {}", expr(c)));
    format!("for {} in {}{cond}", names(vars), expr(iter))
}

fn window(w: Option<&(Expr, Expr)>) -> String {
    w.map_or(String::new(), |w| format!("[{}, {}]", expr(&w.0), expr(&w.1)))
}

/// An expression before `.`, `[`, `(`: atoms have no parentheses.
fn base(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Number(_) => format!("({})", expr(e)),
        _ => expr(e),
    }
}

/// An expression; every operation stands in parentheses.
pub fn expr(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Number(n) if n.text.starts_with('-') => format!("({})", number(n)),
        ExprKind::Number(n) => number(n),
        ExprKind::Bool(b) => b.to_string(),
        ExprKind::None => String::from("none"),
        ExprKind::Str(parts) => {
            let mut s = String::from("\"");
            for p in parts {
                match p {
                    StrPart::Text(t) => s.push_str(&escape(t)),
                    StrPart::Expr(e) => s.push_str(&format!("${{{}}}", expr(e))),
                }
            }
            s.push('"');
            s
        }
        ExprKind::Timestamp(t) => t.to_string(),
        ExprKind::Name(n) => name(n),
        ExprKind::Field { base: b, name: n } => format!("{}.{}", base(b), name(n)),
        ExprKind::Index { base: b, indices } => format!("{}[{}]", base(b), join(indices, expr)),
        ExprKind::Range { lo, hi } => {
            let (l, h) = (lo.as_deref().map(expr), hi.as_deref().map(expr));
            match (&l, &h) {
                (Some(l), Some(h)) => format!("({l}..{h})"),
                _ => format!("{}..{}", l.unwrap_or_default(), h.unwrap_or_default()),
            }
        }
        ExprKind::Call { callee, args: a } => format!("{}({})", base(callee), args(a)),
        ExprKind::Unary { op, expr: e } => match op {
            UnaryOp::Neg => format!("(- {})", expr(e)),
            UnaryOp::Plus => format!("(+ {})", expr(e)),
            UnaryOp::Not => format!("(not {})", expr(e)),
        },
        ExprKind::Binary { op, left, right } => format!("({} {} {})", expr(left), op.as_str(), expr(right)),
        ExprKind::Compare { first, rest } => {
            let rest: String = rest.iter().map(|(op, e)| format!(" {} {}", op.as_str(), expr(e))).collect();
            format!("({}{rest})", expr(first))
        }
        ExprKind::If { arms, otherwise } => {
            let arms: String =
                arms.iter().map(|(c, v)| format!("if {} then {} else ", expr(c), expr(v))).collect();
            format!("({arms}{})", expr(otherwise))
        }
        ExprKind::Array(items) => format!("[{}]", join(items, expr)),
        ExprKind::ArrayFor(g) => format!("[{}]", generator(g)),
        ExprKind::Generator(_)
        | ExprKind::Closure { .. }
        | ExprKind::Over { .. }
        | ExprKind::Within { .. }
        | ExprKind::LeadsTo { .. } => argument(e),
        ExprKind::Temporal { op, window: w, expr: e } => {
            format!("{}{}({})", op.as_str(), window(w.as_deref()), expr(e))
        }
        ExprKind::TemporalBinary { op, window: w, left, right } => {
            format!("({} {}{} {})", expr(left), op.as_str(), window(w.as_deref()), expr(right))
        }
        ExprKind::AtEnd(e) => format!("({} at end)", expr(e)),
        ExprKind::As { expr: e, ty: t } => format!("({} as {})", expr(e), ty(t)),
        ExprKind::OrElse { expr: e, fallback } => format!("({} else {})", expr(e), expr(fallback)),
        ExprKind::Error => String::from("<error>"),
    }
}

/// A right side: `as` and `else` need no parentheses there.
pub fn rhs(e: &Expr) -> String {
    expr(e)
}

/// What stands in `<…>`, with the angles; empty for nothing.
pub fn generic_args(list: &[GenericArg]) -> String {
    if list.is_empty() {
        return String::new();
    }
    let one = |a: &GenericArg| {
        let head = a.name.as_ref().map_or(String::new(), |n| format!("{}: ", name(n)));
        format!("{head}{}", generic_value(&a.value))
    };
    format!("<{}>", join(list, one))
}

/// A generic argument's value.
pub fn generic_value(v: &GenericValue) -> String {
    match v {
        GenericValue::Type(t) => ty(t),
        GenericValue::Expr(e) => match &e.kind {
            ExprKind::Number(_) | ExprKind::Name(_) | ExprKind::Bool(_) | ExprKind::Str(_) => expr(e),
            _ => format!("({})", expr(e)),
        },
    }
}

/// A type.
pub fn ty(t: &TypeExpr) -> String {
    match &t.kind {
        TypeKind::Named { path: p, args } => format!("{}{}", path(p), generic_args(args)),
        TypeKind::Real { name: n, unit } => format!("{}[{}]", n.text, super::super::unit(unit)),
        TypeKind::Array { elem, dims } => format!("{}[{}]", ty(elem), join(dims, expr)),
        TypeKind::Of { shape, elem } => format!("{} of {}", ty(shape), ty(elem)),
        TypeKind::Optional(t) => format!("{}?", ty(t)),
        TypeKind::Error => String::from("<error>"),
    }
}
