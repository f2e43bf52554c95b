//! `white_noise()`: each occurrence becomes a hidden family of inputs, an element for each instance and each round of
//! the loops around it. Only solvers for stochastic equations set them; what an equation may do with them is checked
//! when the order of computation is known (`schedule/noise`).
//!
//! A Brownian path belongs to the twin's path and to the occurrence's place in its class, so that another twin or
//! another number of steps changes no other path.

use super::Flattener;
use super::scope::R;
use crate::diag::{Diagnostic, codes};
use crate::flat::{self, Affine, Expr};
use crate::hir::{self, LaterKind};
use twinml_model::dimension::{Dimension, Ratio};
use twinml_model::ids::Index;
use twinml_model::schema::{DisplayUnit, Kind, Role as Declared, Segment};

impl<'a> Flattener<'a> {
    /// The noise of one occurrence under the loops in force.
    pub(super) fn white_noise(&mut self, e: &'a hir::Expr) -> R<Expr> {
        let inst = self.inst(self.owner);
        let mut spans: Vec<_> =
            inst.class.later.iter().filter(|l| l.what == LaterKind::WhiteNoise).map(|l| l.span).collect();
        spans.sort_unstable();
        let occurrence = spans.iter().position(|s| *s == e.span);
        let Some(occurrence) = occurrence.filter(|_| self.may_add) else {
            let d = Diagnostic::new(codes::NOISE_PLACE, e.span, "white noise cannot stand here")
                .here("no equation of a twin")
                .note("it has no value at an instant: it only drives derivatives")
                .help("write it in an equation, or name it there: `w = white_noise()`");
            return Err(self.fail(d));
        };
        // The loops of the instance come first; those of pinned axes are part of the names.
        let own = inst.axes.len();
        let pinned: Vec<bool> = inst.axes.iter().map(|a| a.pin.is_some()).collect();
        let mut path = vec![Segment { name: flat::NOISE.to_owned(), axes: Vec::new() }];
        let mut first = Vec::new();
        let mut axes = pinned
            .iter()
            .enumerate()
            .filter(|(_, pinned)| !**pinned)
            .map(|(k, _)| self.ranges.get(k).copied().unwrap_or((0, 1)));
        for s in &inst.path {
            let mut segment = Segment { name: s.name.clone(), axes: Vec::new() };
            for (lo, hi) in axes.by_ref().take(s.axes.len()) {
                segment.axes.push((hi - lo) as u32);
                first.push(lo as u32);
            }
            path.push(segment);
        }
        let mut last = Segment { name: format!("noise#{}", occurrence + 1), axes: Vec::new() };
        for &(lo, hi) in self.ranges.iter().skip(own) {
            last.axes.push((hi - lo) as u32);
            first.push(lo.max(0) as u32);
        }
        path.push(last);
        let mut element = Affine::constant(0);
        let mut stride = 1i64;
        for (k, &(lo, hi)) in self.ranges.iter().enumerate().rev() {
            if pinned.get(k).copied().unwrap_or(false) {
                continue;
            }
            if hi - lo > 1 {
                element = element.plus(Index::new(k), stride);
                element.base -= stride * lo;
            }
            stride = stride.saturating_mul(hi - lo);
        }
        let dimension = match &e.ty {
            hir::Type::Real(Some(_)) => Ratio::new(-1, 2).and_then(|r| Dimension::TIME.pow(r)),
            _ => None,
        };
        let si_unit = dimension.as_ref().map(|d| d.customary()).unwrap_or_default();
        let var = self.push_family(flat::Var {
            path,
            len: 0,
            role: flat::Role::Input,
            declared: Declared::Input,
            kind: Kind::Real,
            value: Vec::new(),
            guess: Vec::new(),
            fixed: false,
            unit: DisplayUnit { symbol: si_unit.clone(), ..DisplayUnit::default() },
            si_unit,
            dimension,
            quantity: None,
            description: None,
            range: None,
            structural: false,
            span: e.span,
        })?;
        self.homes.push(None);
        self.system.noises.push(flat::Noise { var, first, span: e.span });
        Ok(Expr::Var(var, element))
    }
}
