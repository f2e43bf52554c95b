//! Tokens, one line of the model a line.

use crate::ast::{Ratio, UnitExpr};
use crate::lexer::{Tok, Token};

/// All tokens, with a line break behind each separator and each opening brace.
pub fn tokens(list: &[Token]) -> String {
    let mut s = String::new();
    let mut fresh = true;
    for t in list {
        if !fresh {
            s.push(' ');
        }
        s.push_str(&token(&t.tok));
        fresh = matches!(t.tok, Tok::Sep | Tok::LBrace);
        if fresh {
            s.push('\n');
        }
    }
    if !fresh {
        s.push('\n');
    }
    s
}

/// A unit as a product of powers: `kJ*kg^-1*K^-1`; `1` for none.
pub fn unit(u: &UnitExpr) -> String {
    if u.factors.is_empty() {
        return String::from("1");
    }
    let part = |f: &crate::ast::UnitFactor| match f.exp {
        Ratio::ONE => f.name.text.to_string(),
        Ratio { num, den: 1 } => format!("{}^{num}", f.name.text),
        Ratio { num, den } => format!("{}^({num}/{den})", f.name.text),
    };
    u.factors.iter().map(part).collect::<Vec<_>>().join("*")
}

/// One token: keywords in capitals' stead stand with a mark, `'state`, so that names differ.
pub fn token(t: &Tok) -> String {
    match t {
        Tok::Ident(name) => name.to_string(),
        Tok::Word(w) => format!("'{}", w.text()),
        Tok::Number(n) => match &n.unit {
            None => n.text.to_string(),
            Some(u) => format!("{}[{}]", n.text, unit(u)),
        },
        Tok::Str(s) => format!("{s:?}"),
        Tok::StrBegin(s) => format!("{s:?}${{"),
        Tok::StrMid(s) => format!("}}{s:?}${{"),
        Tok::StrEnd(s) => format!("}}{s:?}"),
        Tok::Timestamp(s) => s.to_string(),
        Tok::Unit(u) => format!("unit[{}]", unit(u)),
        Tok::RealUnit(u) => format!("real[{}]", unit(u)),
        Tok::LParen => String::from("("),
        Tok::RParen => String::from(")"),
        Tok::LBracket => String::from("["),
        Tok::Window => String::from("window["),
        Tok::RBracket => String::from("]"),
        Tok::LBrace => String::from("{"),
        Tok::RBrace => String::from("}"),
        Tok::Comma => String::from(","),
        Tok::Colon => String::from(":"),
        Tok::Dot => String::from("."),
        Tok::DotDot => String::from(".."),
        Tok::Question => String::from("?"),
        Tok::Assign => String::from("="),
        Tok::Tilde => String::from("~"),
        Tok::Arrow => String::from("->"),
        Tok::BackArrow => String::from("<-"),
        Tok::Link => String::from("--"),
        Tok::Plus => String::from("+"),
        Tok::Minus => String::from("-"),
        Tok::Star => String::from("*"),
        Tok::Slash => String::from("/"),
        Tok::Caret => String::from("^"),
        Tok::EqEq => String::from("=="),
        Tok::NotEq => String::from("!="),
        Tok::Lt => String::from("<"),
        Tok::Le => String::from("<="),
        Tok::Gt => String::from(">"),
        Tok::Ge => String::from(">="),
        Tok::Sep => String::from(";"),
        Tok::Error => String::from("<error>"),
        Tok::BadEntry => String::from("<bad entry>"),
    }
}
