//! Methods of collections and texts to code.

use super::super::Flattener;
use super::super::scope::R;
use super::body::Body;
use crate::hir::behavior::Op;
use crate::hir::{self, ExprKind};
use crate::source::Span;
use twinml_model::behavior::{Instr, Method, Reg, Which};

/// The method of a name.
fn method(name: &str) -> Option<Method> {
    Some(match name {
        "len" | "size" | "count" => Method::Len,
        "is_empty" => Method::IsEmpty,
        "push" | "add" => Method::Push,
        "pop" => Method::Pop,
        "first" | "peek" => Method::First,
        "last" => Method::Last,
        "get" => Method::Get,
        "insert" | "set" => Method::Insert,
        "remove" => Method::Remove,
        "contains" | "has" => Method::Contains,
        "clear" => Method::Clear,
        "append" => Method::Append,
        "keys" => Method::Keys,
        "values" => Method::Values,
        "sort" => Method::Sort,
        "sort_by" => Method::SortBy,
        "min_by" => Method::MinBy,
        "max_by" => Method::MaxBy,
        "map" => Method::Map,
        "filter" => Method::Filter,
        "any" => Method::Any,
        "all" => Method::All,
        "sum" => Method::Sum,
        "lower" => Method::Lower,
        "upper" => Method::Upper,
        "split" => Method::Split,
        "trim" => Method::Trim,
        _ => return None,
    })
}

/// Whether a method changes its receiver.
fn changes(m: Method) -> bool {
    matches!(
        m,
        Method::Push
            | Method::Pop
            | Method::Insert
            | Method::Remove
            | Method::Clear
            | Method::Append
            | Method::Sort
    )
}

impl<'a> Flattener<'a> {
    /// A method's value; what changes its receiver stores it anew.
    pub(super) fn method_value(
        &mut self,
        b: &mut Body,
        on: &'a hir::Expr,
        name: &str,
        args: &'a [hir::Expr],
        span: Span,
    ) -> R<Reg> {
        let Some(m) = method(name) else {
            return Err(self.later(span, &format!("the method `{name}`")));
        };
        if !changes(m) {
            let on = self.value(b, on)?;
            let args = self.values(b, args)?;
            return Ok(b.method(m, on, args));
        }
        let args = self.values(b, args)?;
        let mut out = b.reg();
        self.change(b, on, &mut |_, b, place| {
            out = b.method(m, place, args.clone());
            Ok(())
        })?;
        Ok(out)
    }

    /// Changes a place in place: reads it, lets `f` change the register, and stores what it is a part of.
    fn change(
        &mut self,
        b: &mut Body,
        place: &'a hir::Expr,
        f: &mut dyn FnMut(&mut Self, &mut Body, Reg) -> R<()>,
    ) -> R<()> {
        match &place.kind {
            ExprKind::Local(id) => {
                let r = b.local(*id);
                f(self, b, r)
            }
            ExprKind::Behavior(op) => match &**op {
                Op::Heap(r) => {
                    let loc = self.locate(b, &r.steps, r.span)?;
                    let x = self.load(b, &loc, Which::Value, r.span)?;
                    f(self, b, x)?;
                    self.store(b, &loc, x, 0, r.span)
                }
                Op::Field(base, name) => {
                    let field = self.field_number(&base.ty, name, place.span)?;
                    self.change(b, base, &mut |s, b, whole| {
                        let x = b.reg();
                        b.push(Instr::Field(x, whole, field));
                        f(s, b, x)?;
                        b.push(Instr::WithField(whole, whole, field, x));
                        Ok(())
                    })
                }
                Op::Element(base, at) => {
                    let at = self.value(b, at)?;
                    self.change(b, base, &mut |s, b, whole| {
                        let x = b.index(whole, at);
                        f(s, b, x)?;
                        b.push(Instr::WithElement(whole, whole, at, x));
                        Ok(())
                    })
                }
                _ => {
                    let x = self.value(b, place)?;
                    f(self, b, x)
                }
            },
            _ => {
                let x = self.value(b, place)?;
                f(self, b, x)
            }
        }
    }
}
