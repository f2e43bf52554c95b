//! Statements to code.

use super::super::Flattener;
use super::super::scope::{InstId, R};
use super::body::Body;
use super::declare::each_stmt;
use super::place::Loc;
use crate::diag::{Diagnostic, codes};
use crate::hir::behavior::{Arm, Part, PatternForm, Stmt, StmtKind, Target};
use crate::hir::{self, ExprKind, LocalId};
use crate::source::Span;
use std::sync::Arc;
use twinml_model::behavior::{CodeId, Const, Instr, Op2, Reg, Which};
use twinml_model::ir::CmpOp;

impl<'a> Flattener<'a> {
    /// Statements in order.
    pub(super) fn stmts(&mut self, b: &mut Body, list: &'a [Stmt]) -> R<()> {
        for s in list {
            b.span = s.span;
            self.stmt(b, s)?;
        }
        Ok(())
    }

    fn stmt(&mut self, b: &mut Body, s: &'a Stmt) -> R<()> {
        match &s.kind {
            StmtKind::Assign(target, e) => self.assign_code(b, target, e, s.span)?,
            StmtKind::Expr(e) => {
                let mark = b.mark();
                self.value(b, e)?;
                b.free(mark);
            }
            StmtKind::If(arms, otherwise) => {
                let mut ends = Vec::with_capacity(arms.len());
                for (c, body) in arms {
                    let c = self.value(b, c)?;
                    let next = b.jump_unless(c);
                    self.stmts(b, body)?;
                    ends.push(b.jump());
                    b.land(next);
                }
                self.stmts(b, otherwise)?;
                ends.into_iter().for_each(|j| b.land(j));
            }
            StmtKind::Match(e, arms) => self.match_code(b, e, arms)?,
            StmtKind::ForRange(range, filter, body) => {
                let (lo, hi) = (self.value(b, &range.lo)?, self.value(b, &range.hi)?);
                self.count_up(b, lo, hi, &mut |s, b, i| {
                    let r = b.local(range.local);
                    b.push(Instr::Move(r, i));
                    s.filtered_body(b, filter.as_ref(), body)
                })?;
            }
            StmtKind::ForEach(vars, over, filter, body) => {
                let x = self.value(b, over)?;
                let over_ty = &over.ty;
                self.over_value(b, vars, x, over_ty, &mut |s, b| s.filtered_body(b, filter.as_ref(), body))?;
            }
            StmtKind::While(c, body) => {
                let top = b.here();
                let c = self.value(b, c)?;
                let end = b.jump_unless(c);
                self.stmts(b, body)?;
                b.span = s.span;
                b.push(Instr::Jump(top));
                b.land(end);
            }
            StmtKind::Return(e) => {
                let x = match e {
                    Some(e) => Some(self.value(b, e)?),
                    None => None,
                };
                b.push(Instr::Return(x));
            }
            StmtKind::Emit(event, args) => {
                if !event.path.is_empty() {
                    return Err(self.later(event.span, "an event emitted for another twin"));
                }
                let mut given = Vec::with_capacity(args.len());
                for (name, e) in args {
                    let r = self.value(b, e)?;
                    given.push((Arc::from(name.as_deref().unwrap_or("")), r));
                }
                let event = self.event_of(b.inst, &event.name);
                b.push(Instr::Emit(event, given));
            }
            StmtKind::Send(m) => self.send_code(b, m, s.span)?,
            StmtKind::Log(e) => {
                let x = self.value(b, e)?;
                b.push(Instr::Log(x));
            }
            StmtKind::After(delay, body) => {
                let delay = self.value(b, delay)?;
                let captured = captured(body, b);
                let mut inner = Body::new(b.inst, "after".to_owned(), s.span);
                for v in &captured {
                    inner.param(*v);
                }
                self.stmts(&mut inner, body)?;
                let code = self.add_code(inner)?;
                let given = captured.iter().map(|v| b.local(*v)).collect();
                b.push(Instr::Arm(delay, code, given));
            }
            StmtKind::Wait(e) => {
                let d = self.value(b, e)?;
                b.push(Instr::Wait(d));
            }
            StmtKind::WaitUntil(e) => {
                let w = self.watch(b.inst, e)?;
                b.push(Instr::WaitUntil(w));
            }
            StmtKind::WaitFor(event) => {
                let heard = self.heard(b.inst, event)?;
                let [one] = heard[..] else {
                    return Err(
                        self.later(event.span, "waiting for events of twins that differ in structure")
                    );
                };
                b.push(Instr::WaitFor(one));
            }
            StmtKind::Create(name, sets) => self.create_code(b, name, sets, s.span)?,
            StmtKind::Retire(name, at) => {
                let (population, _) = self.population_of(b.inst, name, s.span)?;
                let at = self.value(b, at)?;
                b.push(Instr::Retire(population, at));
            }
            StmtKind::RetireSelf => self.retire_self(b, s.span)?,
            StmtKind::Fail(e) => {
                let x = self.value(b, e)?;
                b.push(Instr::Fail(x));
            }
            StmtKind::Stop(e) => {
                let x = match e {
                    Some(e) => Some(self.value(b, e)?),
                    None => None,
                };
                b.push(Instr::Stop(x));
            }
            StmtKind::Later(what) => return Err(self.later(s.span, what)),
        }
        Ok(())
    }

    fn filtered_body(&mut self, b: &mut Body, filter: Option<&'a hir::Expr>, body: &'a [Stmt]) -> R<()> {
        let end = match filter {
            Some(f) => {
                let keep = self.value(b, f)?;
                Some(b.jump_unless(keep))
            }
            None => None,
        };
        self.stmts(b, body)?;
        if let Some(end) = end {
            b.land(end);
        }
        Ok(())
    }

    fn assign_code(&mut self, b: &mut Body, target: &'a Target, e: &'a hir::Expr, span: Span) -> R<()> {
        match target {
            Target::Local(id, parts) => {
                let to = b.local(*id);
                let mark = b.mark();
                let x = self.value(b, e)?;
                self.put(b, to, parts, x, span)?;
                b.free(mark);
            }
            Target::Member(r) => {
                let mark = b.mark();
                // What is stored is looked at there.
                b.stored = matches!(e.kind, ExprKind::Binary(..));
                let x = self.value(b, e)?;
                b.stored = false;
                let loc = self.locate(b, &r.steps, r.span)?;
                b.span = span;
                self.store(b, &loc, x, e.shape.len(), r.span)?;
                b.free(mark);
            }
            Target::Heap(r, parts) => {
                let mark = b.mark();
                let x = self.value(b, e)?;
                let loc = self.locate(b, &r.steps, r.span)?;
                b.span = span;
                if let Loc::Many(_) = loc {
                    return Err(self.later(span, "setting what several twins keep at once"));
                }
                if parts.is_empty() {
                    self.store(b, &loc, x, 0, r.span)?;
                } else {
                    let whole = self.load(b, &loc, Which::Value, r.span)?;
                    self.put(b, whole, parts, x, span)?;
                    self.store(b, &loc, whole, 0, r.span)?;
                }
                b.free(mark);
            }
        }
        Ok(())
    }

    /// Puts a value into a part of what a register holds.
    fn put(&mut self, b: &mut Body, whole: Reg, parts: &'a [Part], x: Reg, span: Span) -> R<()> {
        let Some((first, rest)) = parts.split_first() else {
            b.push(Instr::Move(whole, x));
            return Ok(());
        };
        match first {
            Part::Field(name) => {
                // Which record it is: the one that all records of this field agree on.
                let field = self.any_field(name, span)?;
                if rest.is_empty() {
                    b.push(Instr::WithField(whole, whole, field, x));
                } else {
                    let inner = b.reg();
                    b.push(Instr::Field(inner, whole, field));
                    self.put(b, inner, rest, x, span)?;
                    b.push(Instr::WithField(whole, whole, field, inner));
                }
            }
            Part::Index(e) => {
                let at = self.value(b, e)?;
                if rest.is_empty() {
                    b.push(Instr::WithElement(whole, whole, at, x));
                } else {
                    let inner = b.index(whole, at);
                    self.put(b, inner, rest, x, span)?;
                    b.push(Instr::WithElement(whole, whole, at, inner));
                }
            }
        }
        Ok(())
    }

    /// The number that every record with this field gives it.
    fn any_field(&mut self, name: &str, span: Span) -> R<u32> {
        let mut places: Vec<u32> =
            self.model.records.iter().filter_map(|r| r.fields.get_index_of(name).map(|k| k as u32)).collect();
        places.sort_unstable();
        places.dedup();
        if let [one] = places[..] {
            return Ok(one);
        }
        let d = Diagnostic::new(
            codes::LATER_BEHAVIOR,
            span,
            format!("which record has the field `{name}` here is not known"),
        )
        .help("set the whole record: `x = Job(…)`");
        Err(self.fail(d))
    }

    fn match_code(&mut self, b: &mut Body, e: &'a hir::Expr, arms: &'a [Arm]) -> R<()> {
        let value = self.value(b, e)?;
        // The value stays the same while arms change what it was read from.
        let subject = b.reg();
        b.push(Instr::Move(subject, value));
        let mut ends = Vec::with_capacity(arms.len());
        let mut closed = false;
        for a in arms {
            let mut fails = Vec::new();
            self.pattern_code(b, &a.pattern, subject, &mut fails)?;
            if let Some(g) = &a.guard {
                let c = self.value(b, g)?;
                fails.push(b.jump_unless(c));
            }
            closed |= fails.is_empty();
            self.stmts(b, &a.body)?;
            ends.push(b.jump());
            fails.into_iter().for_each(|j| b.land(j));
        }
        if !closed {
            b.span = e.span;
            b.push(Instr::NoMatch(subject));
        }
        ends.into_iter().for_each(|j| b.land(j));
        Ok(())
    }

    fn pattern_code(&mut self, b: &mut Body, p: &'a PatternForm, x: Reg, fails: &mut Vec<usize>) -> R<()> {
        match p {
            PatternForm::Any => {}
            PatternForm::Bind(id) => {
                let r = b.local(*id);
                b.push(Instr::Move(r, x));
            }
            PatternForm::Equal(e) => {
                let y = self.value(b, e)?;
                let c = b.cmp(CmpOp::Eq, x, y);
                fails.push(b.jump_unless(c));
            }
            PatternForm::Range(lo, hi) => {
                let (lo, hi) = (self.value(b, lo)?, self.value(b, hi)?);
                let from = b.cmp(CmpOp::Ge, x, lo);
                let to = b.cmp(CmpOp::Lt, x, hi);
                let c = b.op(Op2::And, from, to);
                fails.push(b.jump_unless(c));
            }
            PatternForm::Record(id, fields) => {
                let none = b.constant(Const::None);
                let c = b.cmp(CmpOp::Ne, x, none);
                fails.push(b.jump_unless(c));
                for (name, form) in fields {
                    let at = self.model.records[id.0 as usize].fields.get_index_of(name).unwrap_or(0);
                    let y = b.reg();
                    b.push(Instr::Field(y, x, at as u32));
                    self.pattern_code(b, form, y, fails)?;
                }
            }
        }
        Ok(())
    }

    /// A function of the class's own behaviour.
    pub(super) fn own_function(&mut self, inst: InstId, name: &hir::Name, span: Span) -> R<CodeId> {
        let key = (inst, name.clone());
        if let Some(c) = self.behaving.functions.get(&key) {
            return Ok(*c);
        }
        let class = self.inst(inst).class;
        let Some(f) = class.behavior.functions.iter().find(|f| f.name == *name) else {
            return Err(self.later(span, &format!("a call of `{name}`, which nothing defines,")));
        };
        let code = self.reserve_code();
        self.behaving.functions.insert(key, code);
        let mut b = Body::new(inst, format!("{}.{}", class.name, f.name), f.span);
        for p in &f.params {
            b.param(p.local);
        }
        self.defaults(&mut b, &f.params)?;
        self.stmts(&mut b, &f.body)?;
        self.finish_code(code, b)?;
        Ok(code)
    }

    /// Arguments that nothing gave take their defaults.
    pub(super) fn defaults(&mut self, b: &mut Body, params: &'a [hir::behavior::Param]) -> R<()> {
        for p in params {
            let Some(d) = &p.default else { continue };
            let r = b.local(p.local);
            let none = b.constant(Const::None);
            let missing = b.cmp(CmpOp::Eq, r, none);
            let given = b.jump_unless(missing);
            let x = self.value(b, d)?;
            b.push(Instr::Move(r, x));
            b.land(given);
        }
        Ok(())
    }
}

/// Locals of the surrounding code that statements read, in order of their first use.
fn captured(list: &[Stmt], b: &Body) -> Vec<LocalId> {
    let mut out: Vec<LocalId> = Vec::new();
    let mut see = |e: &hir::Expr| {
        e.visit(&mut |x| {
            if let ExprKind::Local(id) = x.kind
                && b.locals.contains_key(&id)
                && !out.contains(&id)
            {
                out.push(id);
            }
        });
    };
    each_stmt(list, &mut |s| match &s.kind {
        StmtKind::Assign(t, e) => {
            see(e);
            let parts = match t {
                Target::Local(_, p) | Target::Heap(_, p) => &p[..],
                Target::Member(r) => {
                    for s in r.steps.iter().flat_map(|s| &s.subscripts) {
                        if let hir::Subscript::Index(e) = s {
                            see(e);
                        }
                    }
                    &[]
                }
            };
            for p in parts {
                if let Part::Index(e) = p {
                    see(e);
                }
            }
        }
        StmtKind::Expr(e)
        | StmtKind::Log(e)
        | StmtKind::Wait(e)
        | StmtKind::WaitUntil(e)
        | StmtKind::Fail(e)
        | StmtKind::While(e, _)
        | StmtKind::After(e, _)
        | StmtKind::Return(Some(e))
        | StmtKind::Stop(Some(e)) => see(e),
        StmtKind::If(arms, _) => arms.iter().for_each(|(c, _)| see(c)),
        StmtKind::Match(e, arms) => {
            see(e);
            arms.iter().filter_map(|a| a.guard.as_ref()).for_each(&mut see);
        }
        StmtKind::ForRange(r, f, _) => {
            see(&r.lo);
            see(&r.hi);
            f.iter().for_each(&mut see);
        }
        StmtKind::ForEach(_, e, f, _) => {
            see(e);
            f.iter().for_each(&mut see);
        }
        StmtKind::Create(_, sets) => sets.iter().for_each(|(_, e, _)| see(e)),
        StmtKind::Retire(_, at) => see(at),
        StmtKind::Emit(_, args) => args.iter().for_each(|(_, e)| see(e)),
        StmtKind::RetireSelf
        | StmtKind::Send(_)
        | StmtKind::Return(None)
        | StmtKind::Stop(None)
        | StmtKind::WaitFor(_)
        | StmtKind::Later(_) => {}
    });
    // Who is answered is kept like any other value.
    each_stmt(list, &mut |s| {
        if let StmtKind::Send(m) = &s.kind {
            super::message::locals(m, &mut |id| {
                if b.locals.contains_key(&id) && !out.contains(&id) {
                    out.push(id);
                }
            });
        }
    });
    // A local's own part may be set: `xs[i] = …` reads `xs`.
    each_stmt(list, &mut |s| {
        if let StmtKind::Assign(Target::Local(id, parts), _) = &s.kind
            && !parts.is_empty()
            && b.locals.contains_key(id)
            && !out.contains(id)
        {
            out.push(*id);
        }
    });
    out
}
