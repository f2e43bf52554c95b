//! Names that were not found: one message a name, however often it is used.
//!
//! A member that was misspelt where it is declared, or taken away, is missing wherever it is used. The first use is
//! the error; the next ones stand beside it.

use std::collections::{BTreeMap, BTreeSet};

use super::ClassId;
use crate::diag::{Code, Diagnostic, Diagnostics, codes};
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
}

impl Missing {
    /// Notes what will be said.
    pub(super) fn add(&mut self, of: Owner, name: &str, d: &Diagnostic) {
        self.by_place.insert((d.code, d.primary.span), (of, name.to_owned()));
    }

    /// Puts the messages about one name of one owner together, at its first use.
    ///
    /// What a twin lacks, the twins that extend it lack, too. A local that is never read is one of the uses where a member
    /// of its name is missing elsewhere.
    pub(super) fn together(&self, classes: &[hir::Class], diags: &mut Diagnostics) {
        if self.by_place.len() < 2 {
            return;
        }
        let lacking: BTreeSet<(Owner, &str)> =
            self.by_place.values().map(|(o, n)| (o.clone(), n.as_str())).collect();
        let mut groups: BTreeMap<(Owner, &str), Vec<(Span, Code)>> = BTreeMap::new();
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
        for mut uses in groups.into_values().filter(|u| u.len() > 1) {
            if uses.iter().all(|(_, c)| *c == codes::UNREAD_LOCAL) {
                continue;
            }
            uses.sort_by_key(|(s, c)| (*c == codes::UNREAD_LOCAL, s.file, s.lo));
            let (first, others) = (uses[0], &uses[1..]);
            rest.insert((first.1, first.0), others.iter().map(|(s, _)| *s).collect());
            gone.extend(others.iter().map(|(s, c)| (*c, *s)));
        }
        let all = std::mem::take(diags).into_vec();
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
                        .map(|s| crate::diag::Label { span: *s, text: String::from("used here, too") }),
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
}
