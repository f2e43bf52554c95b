//! The error index: for each code a title, a long explanation and an example that triggers it.
//!
//! To add a code: a constant in `codes.rs`, a file `E0000.md` here, and a row in [`ENTRIES`]. The
//! file begins with `# title`; then prose; then one fenced block marked `twinml` that holds a whole
//! model which triggers exactly this code (other files of the example: further blocks marked
//! `twinml file=name.twinml`, before it). A test demands all of this.

use super::Code;

/// One code's long form.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The code.
    pub code: Code,
    /// The file's text (Markdown).
    pub text: &'static str,
}

/// A part of an example: a file of it and its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example<'a> {
    /// Name of the file, `None` for the model that is compiled.
    pub file: Option<&'a str>,
    /// The text.
    pub text: &'a str,
}

impl Entry {
    /// What is wrong, in a line.
    pub fn title(&self) -> &'static str {
        self.text.lines().next().and_then(|l| l.strip_prefix("# ")).unwrap_or("")
    }

    /// The long form without the title.
    pub fn explanation(&self) -> &'static str {
        self.text.split_once('\n').map_or("", |(_, rest)| rest.trim())
    }

    /// The blocks marked `twinml`, in order.
    pub fn examples(&self) -> Vec<Example<'static>> {
        let mut out = Vec::new();
        let mut rest = self.text;
        while let Some(start) = rest.find("```twinml") {
            let after = &rest[start + "```twinml".len()..];
            let Some((info, body)) = after.split_once('\n') else { break };
            let Some(end) = body.find("\n```") else { break };
            let file = info.trim().strip_prefix("file=");
            out.push(Example { file, text: &body[..=end] });
            rest = &body[end + 4..];
        }
        out
    }
}

macro_rules! entries {
    ($($code:ident)*) => {
        /// Every code's long form, in order.
        pub const ENTRIES: &[Entry] = &[
            $(Entry { code: Code(stringify!($code)), text: include_str!(concat!(stringify!($code), ".md")) }),*
        ];
    };
}

entries! {
    E0101 E0102 E0103 E0104 E0105 E0106 E0107 E0108 E0109 E0110 E0111 E0201 E0202 E0203
    E0204 E0205 E0206 E0207 E0208 E0209 E0210 E0211 E0212 E0213 E0215 E0216 E0217 E0218
    E0219 E0301 E0302 E0303 E0304 E0305 E0306 E0307 E0308 E0309 E0310 E0311 E0312 E0313
    E0314 E0315 E0316 E0317 E0318 E0319 E0320 E0321 E0401 E0402 E0403 E0404 E0405 E0406
    E0407 E0408 E0409 E0410 E0411 E0412 E0413 E0414 E0415 E0416 E0417 E0418 E0419 E0420
    E0421 E0422 E0423 E0424 E0425 E0426 E0427 E0428 E0429 E0430 E0431 E0432 E0433 E0434
    E0435 E0436 E0437 E0501 E0502 E0503 E0504 E0505 E0506 E0507 E0508 E0509 E0510 E0511 E0601 E0602
    E0603 E0604 E0605 E0606 E0607 E0608 E0609 E0701 E0702 E0703 E0704 E0705 E0706 E0707
    E0708 E0709 E0710 E0711 E0712 E0713 E0714 E0715 E0716 E0717 E0718 E0719 E0720 E0721
    E0722 E0723 E0724 E0725 E0726 E0727 E0728 E0729 E0730 E0731 E0732 E0733 E0734 E0735 E0736 E0740 E0741 E0742 E0750 E0751 E0752
    E0753 E0754 E0755 E0756 E0757 E0790 E0791 E0792 E0799 E0801 E0802 E0803 E0804 E0805 E0806
    E0807 E0808 E0809 E0810 E0811 E0812 E0813 N0401 W0301 W0302 W0303 W0304 W0305 W0306 W0501 W0502 W0801 W0802
}

/// The entry of a code, written in either case.
pub fn lookup(code: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|e| e.code.0.eq_ignore_ascii_case(code))
}

/// What `twinc explain CODE` prints; `None` for a code that there is not.
pub fn explain(code: &str) -> Option<String> {
    lookup(code).map(|e| format!("{}: {}\n\n{}\n", e.code, e.title(), e.explanation()))
}
