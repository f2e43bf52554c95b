//! Unit expressions, read from the text: units are lexed, they never reach the grammar.

use crate::ast::{Name, Ratio, UnitExpr, UnitFactor};
use crate::source::{FileId, Span};

/// Where a unit stands, which decides what may be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Behind a number: a run without inner spaces that begins with a name.
    Run,
    /// Behind `in`: the same, and `1/h` is one.
    In,
    /// In brackets: any unit expression, spaces allowed.
    Bracket,
}

const MAX_PARENS: u32 = 16;

/// Reads a unit at the start of `text`, which lies at byte `base` of `file`. Gives the unit and how
/// many bytes it took; `None` where no unit stands. Stops before what could not be part of one.
pub fn scan(text: &str, base: u32, file: FileId, mode: Mode) -> Option<(UnitExpr, usize)> {
    let mut s = Scanner { text, pos: 0, base, file, mode, parens: 0 };
    let factors = s.product()?;
    let span = Span::new(file, base, base + s.pos as u32);
    Some((UnitExpr { factors, span }, s.pos))
}

/// Reads `[unit]` at the start of `text`, which begins with `[`. `None` where what stands in the
/// bracket is no unit.
pub fn scan_bracket(text: &str, base: u32, file: FileId) -> Option<(UnitExpr, usize)> {
    let inner = text.strip_prefix('[')?;
    let lead = inner.len() - inner.trim_start_matches([' ', '\t']).len();
    let (unit, len) = scan(&inner[lead..], base + 1 + lead as u32, file, Mode::Bracket)?;
    let rest = inner[lead + len..].trim_start_matches([' ', '\t']);
    rest.starts_with(']').then(|| (unit, text.len() - rest.len() + 1))
}

struct Scanner<'a> {
    text: &'a str,
    pos: usize,
    base: u32,
    file: FileId,
    mode: Mode,
    parens: u32,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.pos..]
    }

    fn spaces(&mut self) {
        if self.mode == Mode::Bracket {
            let rest = self.rest();
            self.pos += rest.len() - rest.trim_start_matches([' ', '\t']).len();
        }
    }

    fn product(&mut self) -> Option<Vec<UnitFactor>> {
        let mut factors = Vec::new();
        self.first(&mut factors)?;
        loop {
            let mark = self.pos;
            self.spaces();
            let sign = match self.rest().as_bytes().first() {
                Some(b'*') => 1,
                Some(b'/') => -1,
                _ if self.rest().starts_with('·') => 1,
                _ => {
                    self.pos = mark;
                    return Some(factors);
                }
            };
            self.pos += self.rest().chars().next().map_or(0, char::len_utf8);
            self.spaces();
            if self.factor(sign, &mut factors).is_none() {
                self.pos = mark;
                return Some(factors);
            }
        }
    }

    fn first(&mut self, factors: &mut Vec<UnitFactor>) -> Option<()> {
        let one =
            self.rest().starts_with('1') && !self.rest()[1..].starts_with(|c: char| c.is_alphanumeric());
        if one && (self.mode != Mode::Run || self.parens > 0) {
            // `1/h`; a lone `1` is the unit one, but not behind `in`
            let rest = self.rest()[1..].trim_start_matches([' ', '\t']);
            if rest.starts_with('/') || self.mode == Mode::Bracket {
                self.pos += 1;
                return Some(());
            }
            return None;
        }
        if self.mode == Mode::Run && self.parens == 0 && self.rest().starts_with('(') {
            return None;
        }
        self.factor(1, factors)
    }

    fn factor(&mut self, sign: i64, out: &mut Vec<UnitFactor>) -> Option<()> {
        let mark = self.pos;
        let start = out.len();
        if self.rest().starts_with('(') {
            if self.parens == MAX_PARENS {
                return None;
            }
            self.parens += 1;
            self.pos += 1;
            self.spaces();
            let inner = self.product();
            self.parens -= 1;
            self.spaces();
            match inner {
                Some(f) if self.rest().starts_with(')') => {
                    self.pos += 1;
                    out.extend(f);
                }
                _ => {
                    self.pos = mark;
                    return None;
                }
            }
        } else {
            let name = self.name()?;
            out.push(UnitFactor { name, exp: Ratio::ONE });
        }
        let exp = self.exponent().unwrap_or(Ratio::ONE);
        for f in &mut out[start..] {
            let num = i64::from(f.exp.num) * i64::from(exp.num) * sign;
            let den = i64::from(f.exp.den) * i64::from(exp.den);
            match Ratio::new(num, den) {
                Some(r) => f.exp = r,
                None => {
                    out.truncate(start);
                    self.pos = mark;
                    return None;
                }
            }
        }
        Some(())
    }

    fn name(&mut self) -> Option<Name> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        let mut len = first.len_utf8();
        if first == '°' || unicode_ident::is_xid_start(first) || first == '_' {
            let more = rest[len..].find(|c: char| !unicode_ident::is_xid_continue(c));
            len += more.unwrap_or(rest.len() - len);
        } else if first != '%' && first != '‰' {
            return None;
        }
        // a call, an element or a member is no unit: `2 m*sin(x)`, `2 m*a[0]`, `2 m*p.v`
        let mut after = rest[len..].chars();
        match after.next() {
            Some('(' | '[') if self.mode == Mode::Run && self.pos > 0 => return None,
            Some('.') if self.mode != Mode::Bracket => {
                let next = after.next();
                if next.is_some_and(|c| unicode_ident::is_xid_start(c) || c == '_') {
                    return None;
                }
            }
            _ => {}
        }
        let lo = self.base + self.pos as u32;
        let span = Span::new(self.file, lo, lo + len as u32);
        let name = Name::new(&rest[..len], span);
        self.pos += len;
        Some(name)
    }

    /// `^2`, `^-1`, `^2.5`, `^(1/2)`; the position is left alone where none stands.
    fn exponent(&mut self) -> Option<Ratio> {
        let mark = self.pos;
        self.spaces();
        let found = self.exponent_here();
        if found.is_none() {
            self.pos = mark;
        }
        found
    }

    fn exponent_here(&mut self) -> Option<Ratio> {
        let rest = self.rest().strip_prefix('^')?;
        self.pos += 1;
        if rest.starts_with('(') {
            self.pos += 1;
            let top = self.decimal()?;
            let bottom = if self.rest().starts_with('/') {
                self.pos += 1;
                self.decimal()?
            } else {
                Ratio::ONE
            };
            let r = Ratio::new(
                i64::from(top.num) * i64::from(bottom.den),
                i64::from(top.den) * i64::from(bottom.num),
            )?;
            self.rest().starts_with(')').then(|| self.pos += 1)?;
            Some(r)
        } else {
            self.decimal()
        }
    }

    /// `-2`, `2.5`
    fn decimal(&mut self) -> Option<Ratio> {
        let rest = self.rest();
        let (sign, digits) = match rest.strip_prefix('-') {
            Some(r) => (-1, r),
            None => (1, rest),
        };
        let whole = digits.bytes().take_while(u8::is_ascii_digit).count();
        if whole == 0 || whole > 9 {
            return None;
        }
        let mut used = whole;
        let mut num: i64 = digits[..whole].parse().ok()?;
        let mut den: i64 = 1;
        if let Some(frac) = digits[whole..].strip_prefix('.') {
            let n = frac.bytes().take_while(u8::is_ascii_digit).count();
            if n > 6 {
                return None;
            }
            if n > 0 {
                den = 10i64.pow(n as u32);
                num = num * den + frac[..n].parse::<i64>().ok()?;
                used += 1 + n;
            }
        }
        let r = Ratio::new(sign * num, den)?;
        self.pos += (rest.len() - digits.len()) + used;
        Some(r)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn show(text: &str, mode: Mode) -> String {
        match scan(text, 0, FileId(0), mode) {
            None => String::from("-"),
            Some((u, n)) => {
                let parts: Vec<String> = u
                    .factors
                    .iter()
                    .map(|f| match f.exp {
                        Ratio::ONE => f.name.text.to_string(),
                        Ratio { num, den: 1 } => format!("{}^{num}", f.name.text),
                        Ratio { num, den } => format!("{}^({num}/{den})", f.name.text),
                    })
                    .collect();
                format!("{} | {}", parts.join(" "), &text[n..])
            }
        }
    }

    #[test]
    fn runs() {
        assert_eq!(show("m/s^2 + x", Mode::Run), "m s^-2 |  + x");
        assert_eq!(show("kJ/(kg*K),", Mode::Run), "kJ kg^-1 K^-1 | ,");
        assert_eq!(show("J/min/K", Mode::Run), "J min^-1 K^-1 | ");
        assert_eq!(show("m^2.5/s", Mode::Run), "m^(5/2) s^-1 | ");
        assert_eq!(show("day^-0.5]", Mode::Run), "day^(-1/2) | ]");
        assert_eq!(show("m^(1/2)", Mode::Run), "m^(1/2) | ");
        assert_eq!(show("m/2", Mode::Run), "m | /2");
        assert_eq!(show("m / s", Mode::Run), "m |  / s");
        assert_eq!(show("m*sin(x)", Mode::Run), "m | *sin(x)");
        assert_eq!(show("m/(a+b)", Mode::Run), "m | /(a+b)");
        assert_eq!(show("m*a.b", Mode::Run), "m | *a.b");
        assert_eq!(show("m*a[0]", Mode::Run), "m | *a[0]");
        assert_eq!(show("m^n", Mode::Run), "m | ^n");
        assert_eq!(show("%", Mode::Run), "% | ");
        assert_eq!(show("°C ", Mode::Run), "°C |  ");
        assert_eq!(show("1/h", Mode::Run), "-");
        assert_eq!(show("(m)", Mode::Run), "-");
    }

    #[test]
    fn behind_in_and_in_brackets() {
        assert_eq!(show("1/h: x", Mode::In), "h^-1 | : x");
        assert_eq!(show("1", Mode::In), "-");
        assert_eq!(show("1", Mode::Bracket), " | ");
        assert_eq!(show("MJ / (m^3 * K)]", Mode::Bracket), "MJ m^-3 K^-1 | ]");
        let (u, n) = scan_bracket("[ 1/h ] * x", 0, FileId(0)).unwrap();
        assert_eq!((u.factors.len(), n), (1, 7));
        assert!(scan_bracket("[3]", 0, FileId(0)).is_none());
        assert!(scan_bracket("[n, m]", 0, FileId(0)).is_none());
    }
}
