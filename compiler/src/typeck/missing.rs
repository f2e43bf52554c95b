//! Names that were not found: one message a name, however often it is used.
//!
//! A member that was misspelt where it is declared, or taken away, is missing wherever it is used. The first use is
//! the error; the next ones stand beside it. Where a declaration has lost its name, one missing name is taken to be that one.

use std::collections::{BTreeMap, BTreeSet};

use super::ClassId;
use crate::diag::{Code, Diagnostic, Diagnostics, Label, codes};
use crate::hir;
use crate::source::{FileId, Span};

/// So many further uses are shown; of the others the number is told.
const SHOWN: usize = 3;

/// What lacks the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A file: types and functions.
    File(FileId),
    /// A twin.
    Class(ClassId),
    /// Something else, by what is said of it.
    Other(String),
}

/// What was said of names that were not found.
#[derive(Debug, Default)]
pub(super) struct Missing {
    by_place: BTreeMap<(Code, Span), (Owner, String)>,
    /// Those that are near to another name.
    slips: BTreeSet<Span>,
}

/// A text that was given up, and that may be a declaration without its name.
pub(super) struct Nameless {
    pub of: Owner,
    pub span: Span,
}

impl Nameless {
    /// The message that says so.
    fn find(&self, diags: &[Diagnostic]) -> Option<usize> {
        // An entry is refused at its first token then; a head, which begins with words of the language, further on.
        let hi = if matches!(self.of, Owner::File(_)) { self.span.hi } else { self.span.lo };
        diags.iter().position(|d| {
            let at = d.primary.span;
            d.code == codes::MISSING_PART && at.file == self.span.file && (self.span.lo..=hi).contains(&at.lo)
        })
    }
}

type Uses = Vec<(Span, Code)>;

impl Missing {
    /// Notes what will be said; `slip`: it is near to another name.
    pub(super) fn add(&mut self, of: Owner, name: &str, slip: bool, d: &Diagnostic) {
        if slip {
            self.slips.insert(d.primary.span);
        }
        self.by_place.insert((d.code, d.primary.span), (of, name.to_owned()));
    }

    /// Puts the messages about one name of one owner together, at its first use.
    ///
    /// What a twin lacks, the twins that extend it lack, too. A local that is never read is one of the uses where a member
    /// of its name is missing elsewhere.
    pub(super) fn together(&self, classes: &[hir::Class], nameless: &[Nameless], diags: &mut Diagnostics) {
        if self.by_place.len() + nameless.len() < 2 {
            return;
        }
        let lacking: BTreeSet<(Owner, &str)> =
            self.by_place.values().map(|(o, n)| (o.clone(), n.as_str())).collect();
        let mut groups: BTreeMap<(Owner, &str), Uses> = BTreeMap::new();
        for ((code, span), (owner, name)) in &self.by_place {
            // A type that is not found is not found as the head of `Mode.idle`, either.
            let file = Owner::File(span.file);
            let as_type = *code == codes::UNKNOWN_NAME && lacking.contains(&(file.clone(), name.as_str()));
            let owner = match owner {
                _ if as_type => file,
                Owner::Class(c) => {
                    let lacks = |a: &&ClassId| lacking.contains(&(Owner::Class(**a), name.as_str()));
                    let ancestors = classes.get(c.0 as usize).map_or(&[][..], |k| &k.ancestors[..]);
                    Owner::Class(ancestors.iter().rev().find(lacks).copied().unwrap_or(*c))
                }
                other => other.clone(),
            };
            groups.entry((owner, name)).or_default().push((*span, *code));
        }
        let mut rest: BTreeMap<(Code, Span), Vec<Span>> = BTreeMap::new();
        let mut gone: BTreeSet<(Code, Span)> = BTreeSet::new();
        let mut all = std::mem::take(diags).into_vec();
        for one in nameless {
            let Some(told) = one.find(&all) else { continue };
            let Some((name, uses)) = self.lost_name(classes, one, &mut groups) else { continue };
            if let Some((span, _)) = uses.iter().min_by_key(|(s, _)| (s.file, s.lo)) {
                let text = format!("`{name}` is used here and declared nowhere");
                all[told].labels.push(Label { span: *span, text });
            }
            gone.extend(uses.iter().map(|(s, c)| (*c, *s)));
        }
        for mut uses in groups.into_values().filter(|u| u.len() > 1) {
            if uses.iter().all(|(_, c)| *c == codes::UNREAD_LOCAL) {
                continue;
            }
            uses.sort_by_key(|(s, c)| (*c == codes::UNREAD_LOCAL, s.file, s.lo));
            let (first, others) = (uses[0], &uses[1..]);
            rest.insert((first.1, first.0), others.iter().map(|(s, _)| *s).collect());
            gone.extend(others.iter().map(|(s, c)| (*c, *s)));
        }
        for mut d in all {
            let key = (d.code, d.primary.span);
            if gone.contains(&key) {
                continue;
            }
            if let Some(others) = rest.get(&key) {
                d.labels.extend(
                    others
                        .iter()
                        .take(SHOWN)
                        .map(|s| Label { span: *s, text: String::from("used here, too") }),
                );
                match others.len().saturating_sub(SHOWN) {
                    0 => {}
                    1 => d.notes.push(String::from("it is used once more")),
                    n => d.notes.push(format!("it is used {n} times more")),
                }
            }
            diags.push(d);
        }
    }

    /// Takes the name that a declaration most likely had: the first that is missing, those last that are near to another.
    fn lost_name<'n>(
        &self,
        classes: &[hir::Class],
        one: &Nameless,
        groups: &mut BTreeMap<(Owner, &'n str), Uses>,
    ) -> Option<(&'n str, Uses)> {
        let of = |owner: &Owner| match (owner, &one.of) {
            (Owner::Class(c), Owner::Class(of)) => {
                c == of || classes.get(c.0 as usize).is_some_and(|k| k.ancestors.contains(of))
            }
            (a, b) => a == b,
        };
        // A local that is never read may be a slip of its own.
        let missing = |uses: &Uses| uses.iter().any(|(_, c)| *c != codes::UNREAD_LOCAL);
        let key = groups
            .iter()
            .filter(|((owner, _), uses)| of(owner) && missing(uses))
            .min_by_key(|(_, uses)| uses.iter().map(|(s, _)| (self.slips.contains(s), s.file, s.lo)).min())
            .map(|(key, _)| key.clone())?;
        groups.remove(&key).map(|uses| (key.1, uses))
    }
}
