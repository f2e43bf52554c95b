//! What equations give, taken over by a scenario: `force y = 3` replaces the equation that has `y` alone on a side.
//!
//! The equation `y = e` becomes `y = if y.forced then y.force else e`, where both are slots that actions write, and only
//! where some scenario's action forces `y`: otherwise nothing is added. Connections and definitions of outputs are
//! such equations too.

use super::Flattener;
use super::drive::{enumerate, zero_of};
use super::expr::choose;
use super::scope::R;
use crate::diag::{Diagnostic, codes};
use crate::flat::{self, Affine, Expr, Piece};
use crate::source::Span;
use rustc_hash::FxHashMap;
use twinml_model::ids::VarId;
use twinml_model::schema::Kind;

impl<'a> Flattener<'a> {
    /// Notes which elements an action forces, and where it says so.
    pub(super) fn note_forced(&mut self, var: VarId, element: Affine, span: Span) {
        let piece = self.piece(element, Expr::Bool(true), span);
        self.forced.push((var, piece));
    }

    /// Puts a choice into the equations of all members that are forced and are no inputs of their own.
    pub(super) fn force_defined(&mut self) {
        let forced = std::mem::take(&mut self.forced);
        let mut members: Vec<VarId> = Vec::new();
        for (var, _) in &forced {
            let open = self.taken.get(var).is_none_or(|t| t.forced.is_none());
            if open && self.system.vars[var.index()].role == flat::Role::Unknown && !members.contains(var) {
                members.push(*var);
            }
        }
        for var in members {
            let pieces: Vec<&Piece> = forced.iter().filter(|(v, _)| *v == var).map(|(_, p)| p).collect();
            let done = self.force_member(var, &pieces);
            self.settle_stop(done);
        }
    }

    fn force_member(&mut self, var: VarId, forced: &[&Piece]) -> R<()> {
        let alone = |e: &Expr| matches!(e, Expr::Var(v, _) if *v == var);
        let all = self.system.equations.iter().enumerate();
        let left: Vec<usize> = all.clone().filter(|(_, e)| alone(&e.left)).map(|(k, _)| k).collect();
        // `y = x` gives `y`, whatever `x` is.
        let gives_another = |e: &Expr| matches!(e, Expr::Var(..) | Expr::Der(..));
        let right = all.filter(|(_, e)| !gives_another(&e.left) && alone(&e.right));
        let right: Vec<usize> = right.map(|(k, _)| k).collect();
        // Of each element the equation that gives it: one with the member on the left goes before one with it on the right.
        let mut givers: FxHashMap<i64, usize> = FxHashMap::default();
        for list in [left, right] {
            let mut found: FxHashMap<i64, usize> = FxHashMap::default();
            for k in list {
                let e = &self.system.equations[k];
                let Expr::Var(_, at) = (if alone(&e.left) { &e.left } else { &e.right }) else { continue };
                let mut elements = Vec::new();
                if !enumerate(&e.loops, at, &mut elements) {
                    return Err(self.too_large(e.span, elements.len() as u64, "elements that are forced"));
                }
                for x in elements {
                    found.entry(x).or_insert(k);
                }
            }
            for (x, k) in found {
                givers.entry(x).or_insert(k);
            }
        }
        let mut chosen = Vec::new();
        for p in forced {
            let mut elements = Vec::new();
            if !enumerate(&p.loops, &p.element, &mut elements) {
                return Err(self.too_large(p.span, elements.len() as u64, "elements that are forced"));
            }
            for x in elements {
                match givers.get(&x) {
                    Some(k) => chosen.push(*k),
                    None => return Err(self.not_given(var, p.span)),
                }
            }
        }
        chosen.sort_unstable();
        chosen.dedup();
        let base = self.system.vars[var.index()].clone();
        let flag = self.companion(&base, "forced", Kind::Bool, flat::Role::Discrete, Expr::Bool(false))?;
        let value = self.companion(&base, "force", base.kind, flat::Role::Input, zero_of(base.kind))?;
        for new in [flag, value] {
            // People see the member alone.
            if let Some(first) = self.system.vars[new.index()].path.first_mut() {
                first.name.insert(0, flat::HIDDEN);
            }
        }
        for k in chosen {
            let e = &mut self.system.equations[k];
            if !alone(&e.left) {
                std::mem::swap(&mut e.left, &mut e.right);
            }
            let Expr::Var(_, at) = &e.left else { continue };
            let old = std::mem::replace(&mut e.right, Expr::Num(0.0));
            e.right = choose(Expr::Var(flag, at.clone()), Expr::Var(value, at.clone()), old);
        }
        self.taken.entry(var).or_default().forced = Some((flag, value));
        Ok(())
    }

    fn not_given(&mut self, var: VarId, span: Span) -> super::scope::Stop {
        let v = &self.system.vars[var.index()];
        let path: Vec<&str> = v.path.iter().map(|s| s.name.as_str()).collect();
        let what =
            format!("no equation gives `{}` by itself, so none can be replaced by `force`", path.join("."));
        let d = Diagnostic::new(codes::NOT_AN_INPUT, span, what)
            .label(v.span, "declared here")
            .note("it follows from several equations together")
            .help("force an input that they read, or write the equation with this member alone on its left side");
        self.fail(d)
    }
}
