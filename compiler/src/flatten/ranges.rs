//! Conditions on quantities (`where`) that are watched while a run goes on.

use super::Flattener;
use super::equation::visit;
use super::scope::InstId;
use crate::diag::codes;
use crate::flat::{self, Expr};
use crate::hir;
use twinml_model::program::RangeElse;

impl<'a> Flattener<'a> {
    /// The conditions of all quantities, but for numbers that were judged while compiling.
    pub(super) fn watched(&mut self) {
        self.may_add = false;
        for id in (0..self.insts.len() as u32).map(InstId) {
            for (_, slot) in self.quantities(id) {
                let Some(&var) = slot.var.get() else { continue };
                let decl: &'a hir::VarDecl = slot.decl;
                let v = &self.system.vars[var.index()];
                let is_number = |p: &flat::Piece| matches!(p.expr, Expr::Num(_) | Expr::Bool(_));
                if v.role == flat::Role::Parameter && v.range.is_some() && v.value.iter().all(is_number) {
                    continue;
                }
                let shape = slot.shape.get().cloned().unwrap_or_default();
                for range in decl.ranges.iter().filter(|r| !r.implied) {
                    let otherwise = match range.otherwise {
                        hir::RangeElse::Report => RangeElse::Report,
                        hir::RangeElse::Stop => RangeElse::Stop,
                        hir::RangeElse::Clamp => {
                            self.clamp(id, &slot, var, &range.cond);
                            continue;
                        }
                    };
                    self.unit(id, &mut |s, scope| {
                        let mut at = scope.at.to_vec();
                        s.nest(&shape, &mut at, &mut |s, at| {
                            let element = s.slot_element(&slot, var, at)?;
                            let this = Expr::Var(var, element);
                            let before = s.this.replace(this.clone());
                            let cond = s.element(&range.cond, scope, &[]);
                            s.this = before;
                            let is = s.family_equation(this, cond?, range.cond.span);
                            if is.right != Expr::Bool(true) {
                                let mut delayed = false;
                                visit(&is.right, &mut |e| delayed |= matches!(e, Expr::Delay(..)));
                                if delayed {
                                    return Err(s.refuse(
                                        codes::LATER_DYNAMIC,
                                        range.cond.span,
                                        "`delay` in a range",
                                    ));
                                }
                                s.system.ranges.push(flat::Range { is, otherwise });
                            }
                            Ok(())
                        })
                    });
                }
            }
        }
    }
}
