//! Text in XML and HTML.

/// Text for an attribute or an element. What XML 1.0 cannot hold (control characters, U+FFFE, U+FFFF) becomes `?`.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_would_be_markup_is_text() {
        assert_eq!(
            escape("a<b> & \"c\" 'd'\n\u{1}\u{ffff}°"),
            "a&lt;b&gt; &amp; &quot;c&quot; &apos;d&apos;&#10;??°"
        );
    }
}
