//! A second opinion on a declaration whose type and value do not fit: one of the two is wrong. Where all else that is said
//! of the model is less with the value's dimension, the type is, and what follows from it is not said.

use std::collections::BTreeSet;

use super::once;
use super::ty::{Temp, Ty, Val};
use crate::diag::{Code, Diagnostic, Diagnostics, Severity, codes};
use crate::hir::Type;
use crate::resolve::Modules;
use crate::source::Span;
use crate::units::Nature;
use twinml_model::dimension::Dimension;

/// So many declarations of a model are tried: each costs a pass.
const MOST: usize = 4;

/// A declaration whose type and value do not fit.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    /// Its name.
    pub(super) declared: Span,
    dimension: Dimension,
    temp: Temp,
    nature: Nature,
}

impl Doubt {
    /// A declaration that was given `value`.
    pub(super) fn new(declared: Span, value: &Val, dimension: Dimension) -> Doubt {
        Doubt { declared, dimension, temp: value.temp, nature: value.nature }
    }

    /// The type with the value's dimension.
    pub(super) fn apply<'a>(&self, ty: Ty<'a>) -> Ty<'a> {
        let base = Type::Real(Some(self.dimension.clone()));
        Ty { shape: ty.shape, temp: self.temp, nature: self.nature, ..Ty::new(base) }
    }
}

/// Takes back what follows from wrong types, among the messages from the `before`th on.
pub(super) fn second(modules: &Modules, doubts: Vec<Doubt>, before: usize, diags: &mut Diagnostics) {
    let mut tried: BTreeSet<Span> = BTreeSet::new();
    for doubt in doubts {
        if tried.len() >= MOST || !tried.insert(doubt.declared) {
            continue;
        }
        let declared = doubt.declared;
        let is_its_own = |d: &Diagnostic| {
            d.code == codes::WRONG_UNIT
                && d.labels.iter().any(|l| l.span == declared)
                && d.primary.span.file == declared.file
                && d.primary.span.lo > declared.lo
        };
        // What its own value says; an override of it stands further down.
        let own =
            diags.iter().skip(before).filter(|d| is_its_own(d)).map(|d| d.primary.span).min_by_key(|s| s.lo);
        let errors = |d: &Diagnostics| {
            let of = d.iter().skip(before).filter(|d| d.severity == Severity::Error);
            of.map(|d| (d.code, d.primary.span)).collect::<BTreeSet<(Code, Span)>>()
        };
        let (Some(own), said) = (own, errors(diags)) else { continue };
        let mut other = diags.clone();
        other.truncate(before);
        once(modules, Some(doubt), &mut other);
        let left = errors(&other);
        if left.len() + 1 >= said.len() {
            continue;
        }
        let all = std::mem::take(diags).into_vec();
        for (k, mut d) in all.into_iter().enumerate() {
            let at = (d.code, d.primary.span);
            let its = at == (codes::WRONG_UNIT, own);
            if its {
                d.help = Some(String::from("where it is used, the value fits and the type does not"));
            }
            if k < before || its || d.severity != Severity::Error || left.contains(&at) {
                diags.push(d);
            }
        }
    }
}
