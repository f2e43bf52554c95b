//! Canonical JSON: RFC 8785, restricted so far that one value has one text and one text has one meaning.
//!
//! There are objects, arrays, strings, `true` and `false`, and integers from 0 to 2⁵³ − 1 (what every reader of JSON
//! reads exactly); no `null`, no sign, no fraction, no exponent. Keys are of lower-case letters, digits and `_` (in
//! the envelope, which DSSE names, of all letters), strictly ascending, so that UTF-8's and UTF-16's order agree. No
//! blanks. In strings, what RFC 8785 escapes is escaped as it escapes it, and nothing else is.
//!
//! [`read`] accepts exactly what [`write`] makes: it refuses at the first byte that differs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use twinml_model::bytes::Malformed;

/// The largest integer: 2⁵³ − 1.
pub const MOST: u64 = (1 << 53) - 1;

/// How deep values may nest.
const DEEPEST: usize = 8;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `true`, `false`.
    Bool(bool),
    /// An integer up to [`MOST`].
    Int(u64),
    /// Text.
    Text(String),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// Text.
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    /// Values by name.
    pub fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
        Value::Map(entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
    }
}

/// The one text of a value. An integer above [`MOST`] would not read back: those go as text.
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    put(value, &mut out);
    out
}

fn put(value: &Value, out: &mut String) {
    match value {
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(n) => {
            let _ = write!(out, "{n}");
        }
        Value::Text(text) => put_text(text, out),
        Value::List(items) => {
            out.push('[');
            for (k, item) in items.iter().enumerate() {
                if k > 0 {
                    out.push(',');
                }
                put(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (k, (name, item)) in entries.iter().enumerate() {
                if k > 0 {
                    out.push(',');
                }
                put_text(name, out);
                out.push(':');
                put(item, out);
            }
            out.push('}');
        }
    }
}

fn put_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The value of a canonical text.
///
/// # Errors
///
/// [`Malformed`] at the first byte that [`write`] would not have written there.
pub fn read(bytes: &[u8]) -> Result<Value, Malformed> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Malformed { at: e.valid_up_to(), why: "this is no UTF-8".into() })?;
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    if reader.at < text.len() {
        return Err(reader.wrong("something follows the end"));
    }
    // What is above accepts nothing else; that this holds is what everything rests on, so it is looked at each time.
    if write(&value) != text {
        return Err(Malformed { at: 0, why: "it is not written in the canonical form".into() });
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self, why: impl Into<String>) -> Malformed {
        Malformed { at: self.at, why: why.into() }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        if found {
            self.at += word.len();
        }
        found
    }

    fn want(&mut self, word: &str) -> Result<(), Malformed> {
        if self.eat(word) { Ok(()) } else { Err(self.wrong(format!("`{word}` is wanted here"))) }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        if depth > DEEPEST {
            return Err(self.wrong("it nests too deep"));
        }
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'0'..=b'9') => self.integer(),
            Some(b't') => self.want("true").map(|()| Value::Bool(true)),
            Some(b'f') => self.want("false").map(|()| Value::Bool(false)),
            Some(b'[') => self.list(depth),
            Some(b'{') => self.map(depth),
            _ => Err(self.wrong("a value is wanted here")),
        }
    }

    fn integer(&mut self) -> Result<Value, Malformed> {
        let digits = self.text.as_bytes()[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let text = &self.text[self.at..self.at + digits];
        match text.parse::<u64>() {
            Ok(n) if n <= MOST && (text == "0" || !text.starts_with('0')) => {
                self.at += digits;
                Ok(Value::Int(n))
            }
            _ => {
                Err(self.wrong("an integer from 0 to 9007199254740991 without leading zeros is wanted here"))
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Malformed> {
        self.want("[")?;
        let mut items = Vec::new();
        if self.eat("]") {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.eat("]") {
                return Ok(Value::List(items));
            }
            self.want(",")?;
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Malformed> {
        self.want("{")?;
        let mut entries: BTreeMap<String, Value> = BTreeMap::new();
        if self.eat("}") {
            return Ok(Value::Map(entries));
        }
        loop {
            let at = self.at;
            let name = self.string()?;
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if name.is_empty() || !name.bytes().all(plain) {
                return Err(Malformed { at, why: "a key is of letters, digits and `_`".into() });
            }
            if entries.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(Malformed { at, why: "keys ascend, and stand once".into() });
            }
            self.want(":")?;
            let value = self.value(depth + 1)?;
            entries.insert(name, value);
            if self.eat("}") {
                return Ok(Value::Map(entries));
            }
            self.want(",")?;
        }
    }

    fn string(&mut self) -> Result<String, Malformed> {
        self.want("\"")?;
        let mut out = String::new();
        loop {
            let Some(c) = self.text[self.at..].chars().next() else {
                return Err(self.wrong("a text does not end"));
            };
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(out);
                }
                '\\' => out.push(self.escape()?),
                c if c < ' ' => return Err(self.wrong("a control character must be escaped")),
                c => {
                    out.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Malformed> {
        let at = self.at;
        self.at += 1;
        let plain = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'b') => '\u{8}',
            Some(b't') => '\t',
            Some(b'n') => '\n',
            Some(b'f') => '\u{c}',
            Some(b'r') => '\r',
            Some(b'u') => {
                let code = self.text.get(self.at + 1..self.at + 5);
                let code = code.filter(|c| c.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
                let c = code.and_then(|c| u32::from_str_radix(c, 16).ok()).and_then(char::from_u32);
                // Those with a short escape have no long one.
                let Some(c) = c.filter(|c| *c < ' ' && !matches!(c, '\u{8}' | '\t' | '\n' | '\u{c}' | '\r'))
                else {
                    return Err(Malformed {
                        at,
                        why: "only control characters are escaped like this".into(),
                    });
                };
                self.at += 5;
                return Ok(c);
            }
            _ => return Err(Malformed { at, why: "there is no such escape".into() }),
        };
        self.at += 1;
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let value = Value::map([
            ("b", Value::List(vec![Value::Int(0), Value::Int(MOST), Value::Bool(true)])),
            ("a", Value::text("ü \"\\\u{8}\t\n\u{c}\r\u{1}\u{1f}\u{7f} 𝄞/")),
            ("c", Value::map([])),
            ("d", Value::List(vec![])),
        ]);
        let text = write(&value);
        assert_eq!(
            text,
            "{\"a\":\"ü \\\"\\\\\\b\\t\\n\\f\\r\\u0001\\u001f\u{7f} 𝄞/\",\"b\":[0,9007199254740991,true],\"c\":{},\"d\":[]}"
        );
        assert_eq!(read(text.as_bytes()).unwrap(), value);
    }

    #[test]
    fn one_value_has_one_text() {
        for text in [
            "",
            " 1",
            "1 ",
            "01",
            "-1",
            "1.0",
            "1e3",
            "9007199254740992",
            "99999999999999999999999",
            "null",
            "tru",
            "[1,]",
            "[1 ,2]",
            "[",
            "{",
            "\"",
            "\"\\",
            "\"\\u00",
            "{\"b\":1,\"a\":2}",
            "{\"a\":1,\"a\":1}",
            "{\"a b\":1}",
            "{\"\":1}",
            "{\"a\":1",
            "\"\\u0041\"",
            "\"\\u000a\"",
            "\"\\u001F\"",
            "\"\\u00é\"",
            "\"\\/\"",
            "\"\n\"",
            "[[[[[[[[[[1]]]]]]]]]]",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(read(b"\"a\xff\"").unwrap_err().at, 2);
        assert_eq!(read(b"{\"b\":1,\"a\":2}").unwrap_err().at, 7);
    }

    #[test]
    fn deep_nesting_is_refused_without_following_it() {
        assert!(read(&vec![b'['; 1 << 20]).unwrap_err().why.contains("deep"));
    }
}
