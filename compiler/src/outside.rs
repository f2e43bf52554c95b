//! What is asked for from outside of a model: settings of the command line and branches, as a scenario of their own that
//! extends the chosen one. What is said of them is said of what was given, not of the text that they are put into.

use crate::diag::{Diagnostic, Diagnostics};
use crate::hir;
use crate::source::{FileId, SourceMap, Span};

/// Name of the scenario that settings from outside make, and of the text that they are put into.
pub(crate) const SETTINGS: &str = "--set";

/// An assignment that is asked for from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// How it was given: `--inject`.
    pub given: String,
    /// The assignment as a scenario writes it: `pump.speed = 0 rpm`.
    pub text: String,
}

/// A branch that is asked for from outside, beside those of the scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Its name; any text without a line break or a backquote.
    pub name: String,
    /// The scenario's own branch that it leaves; `None`: it leaves the trunk.
    pub of: Option<String>,
    /// What it changes: instants in nanoseconds since the start, ascending, each with its assignments. What
    /// later actions of what it leaves assign, it takes over from there on.
    pub changes: Vec<(i128, Vec<Setting>)>,
}

impl Wish {
    /// Whether a branch of the program is this one.
    pub fn is(&self, name: &str) -> bool {
        one_line(&self.name) == name
    }

    /// Writes it as an entry of a scenario.
    fn write(&self, to: &mut Outside) {
        let at = |ns: i128| format!("{}.{:09} s", ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
        let first = self.changes.first().map_or(0, |(ns, _)| *ns);
        to.begin(&format!("branch `{}` at ", one_line(&self.name)), &at(first));
        for (k, (ns, sets)) in self.changes.iter().enumerate() {
            let own = k >= self.own();
            if own {
                to.begin("at ", &at(*ns));
            }
            sets.iter().for_each(|set| to.line(&set.given, &set.text));
            if own {
                to.text.push_str("}\n");
            }
        }
        to.text.push_str("}\n");
    }

    /// How many of its changes are made where the branch itself begins.
    fn own(&self) -> usize {
        usize::from(self.of.is_none())
    }

    /// Makes the branch that was read from [`Wish::write`] what is meant: a branch of a branch begins as that one does, and each
    /// later change leaves what was before it as it was.
    pub(crate) fn graft(&self, branches: &mut [hir::Branch]) {
        let parent = self.of.as_deref().and_then(|of| branches.iter().find(|b| *b.name == *of)).cloned();
        let Some(own) = branches.iter_mut().rfind(|b| self.is(&b.name)) else { return };
        own.later = self.changes.len().saturating_sub(self.own());
        if let Some(parent) = parent {
            own.time = parent.time;
            own.body = parent.body;
            own.expects = parent.expects;
            own.actions.splice(0..0, parent.actions);
        }
    }
}

/// A line break would begin another entry.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r', ';'], " ")
}

/// A part of the text that was given.
#[derive(Debug)]
struct Given {
    lo: usize,
    hi: usize,
    name: String,
}

/// The text.
#[derive(Debug)]
pub(crate) struct Outside {
    /// Where it stands among the sources.
    pub(crate) file: FileId,
    /// The scenario.
    pub(crate) text: String,
    given: Vec<Given>,
}

impl Outside {
    pub(crate) fn new(sources: &mut SourceMap, settings: &[String], wishes: &[Wish]) -> Outside {
        let text = format!("scenario `{SETTINGS}` for X {{ parameters {{\n");
        let mut new = Outside { file: FileId::default(), text, given: Vec::new() };
        settings.iter().for_each(|s| new.line(SETTINGS, s));
        new.text.push_str("}\n");
        wishes.iter().for_each(|wish| wish.write(&mut new));
        new.text.push_str("}\n");
        new.file = sources.add(SETTINGS, new.text.as_str());
        new
    }

    fn line(&mut self, given: &str, text: &str) {
        let lo = self.text.len();
        self.text.push_str(&one_line(text));
        // What is missing is missing behind it.
        self.given.push(Given { lo, hi: self.text.len(), name: given.to_owned() });
        self.text.push('\n');
    }

    /// `branch late at 1800.000000000 s {`
    fn begin(&mut self, words: &str, instant: &str) {
        self.text.push_str(words);
        let lo = self.text.len();
        self.text.push_str(instant);
        self.given.push(Given { lo, hi: self.text.len(), name: "--at".to_owned() });
        self.text.push_str(" {\n");
    }

    /// What was given around a place of the text; else what does not stand by itself, of all that was given, or what
    /// stands before.
    fn around(&self, span: Span) -> Option<&Given> {
        let inside = |g: &&Given| g.lo <= span.lo as usize && span.lo as usize <= g.hi;
        let broken = |g: &&Given| !closed(&self.text[g.lo..g.hi]);
        let before = |g: &&Given| g.lo <= span.lo as usize;
        let first = || self.given.iter().find(broken);
        self.given.iter().find(inside).or_else(first).or_else(|| self.given.iter().rfind(before))
    }

    /// Gives the places of what was said, from the `from`th on, the names of what was given.
    pub(crate) fn name(self, sources: &mut SourceMap, diags: &mut Diagnostics, from: usize) {
        let mut made: Vec<(usize, FileId)> = Vec::new();
        diags.change(from, |d: &mut Diagnostic| {
            for span in std::iter::once(&mut d.primary).chain(&mut d.labels).map(|l| &mut l.span) {
                if span.file != self.file {
                    continue;
                }
                let Some(g) = self.around(*span) else { continue };
                let file = match made.iter().find(|(lo, _)| *lo == g.lo) {
                    Some((_, file)) => *file,
                    None => {
                        let file = sources.add(g.name.as_str(), &self.text[g.lo..g.hi]);
                        made.push((g.lo, file));
                        file
                    }
                };
                let at = |offset: u32| (offset as usize).clamp(g.lo, g.hi).saturating_sub(g.lo) as u32;
                *span = Span::new(file, at(span.lo), at(span.hi));
            }
        });
    }
}

/// Whether what a text opens it closes, and nothing else.
fn closed(text: &str) -> bool {
    let mut open: Vec<char> = Vec::new();
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => open.push(c),
            ')' | ']' | '}' => {
                let own = open.pop();
                if !matches!((own, c), (Some('('), ')') | (Some('['), ']') | (Some('{'), '}')) {
                    return false;
                }
            }
            _ => {}
        }
    }
    open.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_close() {
        for (text, whole) in
            [("a[1] = f(2, [3])", true), ("a = 3}", false), ("a = (3", false), ("a = [3)", false)]
        {
            assert_eq!(closed(text), whole, "{text}");
        }
    }
}
