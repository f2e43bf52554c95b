//! The inside of string literals.

/// How a piece of a string ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With its closing quote.
    Quote,
    /// With `${`.
    Interpolation,
    /// It does not: a line or the text ended first.
    Missing,
}

/// A piece of a string: up to its quote or to the next `${`.
#[derive(Debug)]
pub struct Part {
    /// The text with escapes resolved.
    pub text: String,
    /// One past the last byte, quote or `${` included.
    pub hi: usize,
    /// How it ends.
    pub end: End,
    /// Escapes that are none.
    pub bad_escapes: Vec<(usize, usize)>,
    /// The first bytes of the lines that begin inside.
    pub newlines: Vec<usize>,
}

/// Reads from byte `from` of `text`, behind the opening quote or behind the `}` of an interpolation.
pub fn scan(text: &str, from: usize, triple: bool) -> Part {
    let mut part = Part {
        text: String::new(),
        hi: from,
        end: End::Missing,
        bad_escapes: Vec::new(),
        newlines: Vec::new(),
    };
    let bytes = text.as_bytes();
    let mut i = from;
    let mut run = from; // first byte that is not yet copied
    while i < bytes.len() {
        match bytes[i] {
            b'"' if !triple => {
                part.text.push_str(&text[run..i]);
                part.hi = i + 1;
                part.end = End::Quote;
                return part;
            }
            b'"' if text[i..].starts_with("\"\"\"") => {
                part.text.push_str(&text[run..i]);
                part.hi = i + 3;
                part.end = End::Quote;
                return part;
            }
            b'$' if bytes.get(i + 1) == Some(&b'{') => {
                part.text.push_str(&text[run..i]);
                part.hi = i + 2;
                part.end = End::Interpolation;
                return part;
            }
            b'\n' | b'\r' if !triple => break,
            b'\n' => {
                i += 1;
                part.newlines.push(i);
            }
            b'\\' => {
                part.text.push_str(&text[run..i]);
                let (c, len) = escape(&text[i..]);
                match c {
                    Some(c) => part.text.push(c),
                    None => part.bad_escapes.push((i, i + len)),
                }
                i += len;
                run = i;
            }
            _ => i += 1,
        }
    }
    part.text.push_str(&text[run..i]);
    part.hi = i;
    part
}

/// The character of an escape at the start of `text` and its length in bytes.
fn escape(text: &str) -> (Option<char>, usize) {
    let mut chars = text.chars();
    chars.next();
    match chars.next() {
        Some('n') => (Some('\n'), 2),
        Some('t') => (Some('\t'), 2),
        Some('r') => (Some('\r'), 2),
        Some('"') => (Some('"'), 2),
        Some('\\') => (Some('\\'), 2),
        Some('$') => (Some('$'), 2),
        Some('u') if text[2..].starts_with('{') => {
            let digits: String = text[3..].chars().take(9).take_while(char::is_ascii_hexdigit).collect();
            let closed = text[3 + digits.len()..].starts_with('}');
            let c = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
            (c.filter(|_| closed), 3 + digits.len() + usize::from(closed))
        }
        Some('\n' | '\r') | None => (None, 1),
        Some(c) => (None, 1 + c.len_utf8()),
    }
}
