//! Expressions to code.

use super::super::Flattener;
use super::super::consts::{Const as Known, Mode};
use super::super::scope::{R, Stop};
use super::body::Body;
use super::formula::may_be_known;
use super::place::{Goal, Loc};
use crate::diag::{Diagnostic, codes};
use crate::hir::behavior::{Each, Op, TextPart};
use crate::hir::{self, BinOp, ExprKind, LocalId, Reduction, Subscript, Type};
use crate::source::Span;
use std::sync::Arc;
use twinml_model::behavior::{Const, Format, Instr, Method, Op2, Reg, Shown, Which};
use twinml_model::ir::{CmpOp, UnOp};
use twinml_model::math::power::{Power, by_squaring, power};
use twinml_model::schema::DisplayUnit;

impl<'a> Flattener<'a> {
    /// The value of an expression.
    pub(super) fn value(&mut self, b: &mut Body, e: &'a hir::Expr) -> R<Reg> {
        if self.level >= super::super::MAX_LEVELS {
            return Err(self.too_large(e.span, u64::from(self.level), "levels of nesting"));
        }
        // What becomes an equation counts its own levels.
        let level = self.level;
        self.level += 1;
        let before = std::mem::replace(&mut b.span, e.span);
        let out = self.value_inner(b, e);
        b.span = before;
        self.level = level;
        out
    }

    fn value_inner(&mut self, b: &mut Body, e: &'a hir::Expr) -> R<Reg> {
        Ok(match &e.kind {
            ExprKind::Real(x) => b.num(*x),
            ExprKind::Int(i) => b.num(*i as f64),
            ExprKind::Bool(x) => b.constant(Const::Bool(*x)),
            ExprKind::Str(s) => b.text(s),
            ExprKind::EnumValue(_, k) => b.num(f64::from(*k)),
            ExprKind::Time => {
                let r = b.reg();
                b.push(Instr::Time(r));
                r
            }
            ExprKind::Member(_) if matches!(e.ty, Type::String) => {
                let scope = self.scope_in(b.inst);
                match self.constant_of(e, &scope, &[], Mode::Indices) {
                    Ok(Known::Str(s)) => b.text(&s),
                    Err(Stop::Fail) => return Err(Stop::Fail),
                    _ => return Err(self.refuse(codes::LATER_TYPE, e.span, "a text that differs by twin")),
                }
            }
            ExprKind::Member(r) => {
                let loc = self.locate(b, &r.steps, r.span)?;
                self.load(b, &loc, Which::Value, r.span)?
            }
            ExprKind::Start(r) => {
                let loc = self.locate(b, &r.steps, r.span)?;
                self.load(b, &loc, Which::Start, r.span)?
            }
            ExprKind::Local(id) => b.local(*id),
            ExprKind::Temporal(_) | ExprKind::Aggregate(_) => {
                return Err(self.internal(e.span, "temporal logic outside a requirement"));
            }
            ExprKind::SelfValue => return Err(self.internal(e.span, "`self` outside a condition")),
            ExprKind::Der(a) => self.rate(b, a, e)?,
            ExprKind::Unary(op, a) => {
                let x = self.value(b, a)?;
                match op {
                    hir::UnOp::Neg => b.un(UnOp::Neg, x),
                    hir::UnOp::Not => b.not(x),
                }
            }
            ExprKind::Binary(BinOp::MatMul, ..) => self.formula(b, e)?,
            ExprKind::Binary(op, x, y) => self.two(b, *op, x, y)?,
            ExprKind::If(c, x, y) if !c.shape.is_empty() => self.choose_each(b, c, x, y)?,
            ExprKind::If(c, x, y) => {
                let c = self.value(b, c)?;
                let out = b.reg();
                let other = b.jump_unless(c);
                let x = self.value(b, x)?;
                b.push(Instr::Move(out, x));
                let end = b.jump();
                b.land(other);
                let y = self.value(b, y)?;
                b.push(Instr::Move(out, y));
                b.land(end);
                out
            }
            ExprKind::Call(f, args) => self.builtin_code(b, *f, args, e)?,
            ExprKind::CallFunc(f, args) => {
                let args = self.values(b, args)?;
                let code = self.function_code(*f)?;
                let r = b.reg();
                b.push(Instr::Call(r, code, args));
                r
            }
            ExprKind::CallTable(r, a) => {
                let at = self.value(b, a)?;
                let scope = self.scope_in(b.inst);
                let table = match self.table_member(r, &scope, matches!(a.kind, ExprKind::Time)) {
                    Ok(t) => t,
                    Err(Stop::Fail) => return Err(Stop::Fail),
                    Err(_) => {
                        return Err(self.refuse(
                            codes::LATER_DYNAMIC,
                            r.span,
                            "a table that differs by twin",
                        ));
                    }
                };
                let out = b.reg();
                b.push(Instr::Table(out, table, at));
                out
            }
            ExprKind::Array(items) => {
                let items = self.values(b, items)?;
                let r = b.reg();
                b.push(Instr::List(r, items));
                r
            }
            ExprKind::Comprehension(c) => self.comprehension_code(b, c)?,
            ExprKind::Index(a, subs) => {
                let mut x = self.value(b, a)?;
                for (depth, s) in subs.iter().enumerate() {
                    match s {
                        Subscript::Index(i) if depth == 0 || subs[..depth].iter().all(is_index) => {
                            let i = self.value(b, i)?;
                            x = b.index(x, i);
                        }
                        Subscript::Slice(lo, hi) if depth == 0 && subs.len() == 1 => {
                            x = self.slice(b, x, lo.as_ref(), hi.as_ref())?;
                        }
                        _ => return Err(self.later(e.span, "this slice in code")),
                    }
                }
                x
            }
            ExprKind::Reduce(r, a) => {
                let x = self.value(b, a)?;
                self.reduce_value(b, *r, x, a.shape.len().max(1), a.ty == Type::Int)?
            }
            ExprKind::ReduceOver(r, c) => {
                let list = self.comprehension_code(b, c)?;
                let depth = if c.filter.is_some() { 1 } else { c.loops.len() };
                self.reduce_value(b, *r, list, depth, e.ty == Type::Int)?
            }
            ExprKind::TableFile(_) => return Err(self.internal(e.span, "a table where a number is wanted")),
            ExprKind::BehaviorOnly => {
                return Err(self.later(e.span, "this call, or what another twin holds by reference,"));
            }
            ExprKind::Behavior(op) => self.op_value(b, op, e)?,
        })
    }

    pub(super) fn values(&mut self, b: &mut Body, list: &'a [hir::Expr]) -> R<Vec<Reg>> {
        list.iter().map(|e| self.value(b, e)).collect()
    }

    /// A formula that only equations compute, as an unknown of its own.
    pub(super) fn formula(&mut self, b: &mut Body, e: &'a hir::Expr) -> R<Reg> {
        let var = self.computed(b.inst, e)?;
        let lens = self.own_axes(b.inst);
        let spot = super::place::Spot {
            goal: Goal::Slots(var),
            inst: b.inst,
            dims: vec![super::place::Dim::Own; lens.len()],
            lens,
        };
        self.load(b, &Loc::One(spot), Which::Value, e.span)
    }

    fn rate(&mut self, b: &mut Body, a: &'a hir::Expr, e: &'a hir::Expr) -> R<Reg> {
        if let ExprKind::Member(r) = &a.kind {
            let loc = self.locate(b, &r.steps, r.span)?;
            if let Loc::One(spot) = &loc
                && let Goal::Slots(var) = spot.goal
                && self.system.vars[var.index()].role == crate::flat::Role::State
            {
                return self.load(b, &loc, Which::Der, r.span);
            }
        }
        self.formula(b, e)
    }

    fn two(&mut self, b: &mut Body, op: BinOp, x: &'a hir::Expr, y: &'a hir::Expr) -> R<Reg> {
        let scalar = x.shape.is_empty() && y.shape.is_empty();
        let short = match op {
            BinOp::And if scalar => Some(false),
            BinOp::Or if scalar => Some(true),
            _ => None,
        };
        let stored = std::mem::take(&mut b.stored);
        let left = self.value(b, x)?;
        if op == BinOp::Pow
            && scalar
            && let Some(r) = self.known_power(b, left, y, x.ty == Type::Int && !stored)?
        {
            return Ok(r);
        }
        if let Some(known) = short {
            // The right side is looked at only where it matters.
            let out = b.reg();
            b.push(Instr::Move(out, left));
            let test = if known { b.not(left) } else { left };
            let end = b.jump_unless(test);
            let right = self.value(b, y)?;
            b.push(Instr::Move(out, right));
            b.land(end);
            return Ok(out);
        }
        let right = self.value(b, y)?;
        let whole = x.ty == Type::Int && y.ty == Type::Int && !stored;
        let op = match op {
            BinOp::Add if whole => Op2::WholeAdd,
            BinOp::Add => Op2::Add,
            BinOp::Sub if whole => Op2::WholeSub,
            BinOp::Sub => Op2::Sub,
            BinOp::Mul if whole => Op2::WholeMul,
            BinOp::Mul | BinOp::MatMul => Op2::Mul,
            BinOp::Div => Op2::Div,
            BinOp::Pow if whole => Op2::WholePow,
            BinOp::Pow => Op2::Pow,
            BinOp::Cmp(c) => Op2::Cmp(c),
            BinOp::And => Op2::And,
            BinOp::Or => Op2::Or,
            BinOp::Xor => Op2::Xor,
            BinOp::Implies => {
                let not = b.not(left);
                return Ok(b.op(Op2::Or, not, right));
            }
        };
        Ok(b.op(op, left, right))
    }

    /// `left^y` where `y` is known now, computed as in an equation. `whole`: of an `Int`.
    pub(super) fn known_power(
        &mut self,
        b: &mut Body,
        left: Reg,
        y: &'a hir::Expr,
        whole: bool,
    ) -> R<Option<Reg>> {
        if !may_be_known(y) {
            return Ok(None);
        }
        let scope = self.scope_in(b.inst);
        let Some(n) = self.exponent(y, &scope, &[])? else { return Ok(None) };
        let times = if whole { Op2::WholeMul } else { Op2::Mul };
        let products =
            |b: &mut Body, n| by_squaring(n, left, |x, y| b.op(times, x, y)).unwrap_or_else(|| b.num(1.0));
        Ok(Some(match power(n) {
            Power::Whole(n) => products(b, n),
            Power::Inverse(n) => {
                let (one, x) = (b.num(1.0), products(b, n));
                b.op(Op2::Div, one, x)
            }
            Power::Root => b.un(UnOp::Sqrt, left),
            Power::Function => {
                let n = b.num(n);
                b.op(Op2::Pow, left, n)
            }
        }))
    }

    fn slice(
        &mut self,
        b: &mut Body,
        of: Reg,
        lo: Option<&'a hir::Expr>,
        hi: Option<&'a hir::Expr>,
    ) -> R<Reg> {
        let lo = match lo {
            Some(e) => self.value(b, e)?,
            None => b.num(0.0),
        };
        let hi = match hi {
            Some(e) => self.value(b, e)?,
            None => b.method(Method::Len, of, Vec::new()),
        };
        let out = b.reg();
        b.push(Instr::List(out, Vec::new()));
        let skip = b.reg();
        self.count_up(b, lo, hi, &mut |_, b, i| {
            let x = b.index(of, i);
            b.push(Instr::Method(skip, Method::Push, out, vec![x]));
            Ok(())
        })?;
        Ok(out)
    }

    /// `[body for i in lo..hi, …]`: a list of lists; with a filter one list.
    fn comprehension_code(&mut self, b: &mut Body, c: &'a hir::Comprehension) -> R<Reg> {
        let out = b.reg();
        b.push(Instr::List(out, Vec::new()));
        self.comprehension_level(b, c, 0, out)?;
        Ok(out)
    }

    fn comprehension_level(
        &mut self,
        b: &mut Body,
        c: &'a hir::Comprehension,
        depth: usize,
        out: Reg,
    ) -> R<()> {
        let skip = b.reg();
        let Some(l) = c.loops.get(depth) else {
            let end = match &c.filter {
                Some(f) => {
                    let keep = self.value(b, f)?;
                    Some(b.jump_unless(keep))
                }
                None => None,
            };
            let x = self.value(b, &c.body)?;
            b.push(Instr::Method(skip, Method::Push, out, vec![x]));
            if let Some(end) = end {
                b.land(end);
            }
            return Ok(());
        };
        let (lo, hi) = (self.value(b, &l.lo)?, self.value(b, &l.hi)?);
        let local = l.local;
        let nested = c.filter.is_none() && depth + 1 < c.loops.len();
        self.count_up(b, lo, hi, &mut |s, b, i| {
            let r = b.local(local);
            b.push(Instr::Move(r, i));
            if nested {
                let row = b.reg();
                b.push(Instr::List(row, Vec::new()));
                s.comprehension_level(b, c, depth + 1, row)?;
                b.push(Instr::Method(skip, Method::Push, out, vec![row]));
                Ok(())
            } else {
                s.comprehension_level(b, c, depth + 1, out)
            }
        })
    }

    /// A reduction of a list with `depth` axes. `whole`: of `Int`s.
    fn reduce_value(&mut self, b: &mut Body, r: Reduction, list: Reg, depth: usize, whole: bool) -> R<Reg> {
        let (add, multiply) = if whole { (Op2::WholeAdd, Op2::WholeMul) } else { (Op2::Add, Op2::Mul) };
        let total = match r {
            Reduction::Sum | Reduction::Mean | Reduction::Count => b.num(0.0),
            Reduction::Product => b.num(1.0),
            Reduction::Min => b.num(f64::INFINITY),
            Reduction::Max => b.num(f64::NEG_INFINITY),
            Reduction::All => b.constant(Const::Bool(true)),
            Reduction::Any => b.constant(Const::Bool(false)),
        };
        let count = b.num(0.0);
        self.each_element(b, list, depth, &mut |_, b, x| {
            let one = b.num(1.0);
            match r {
                Reduction::Sum | Reduction::Mean => b.push(Instr::Bin(total, add, total, x)),
                Reduction::Product => b.push(Instr::Bin(total, multiply, total, x)),
                Reduction::Min => b.push(Instr::Bin(total, Op2::Min, total, x)),
                Reduction::Max => b.push(Instr::Bin(total, Op2::Max, total, x)),
                Reduction::All => b.push(Instr::Bin(total, Op2::And, total, x)),
                Reduction::Any => b.push(Instr::Bin(total, Op2::Or, total, x)),
                Reduction::Count => {
                    let end = b.jump_unless(x);
                    b.push(Instr::Bin(total, Op2::Add, total, one));
                    b.land(end);
                }
            }
            b.push(Instr::Bin(count, Op2::Add, count, one));
            Ok(())
        })?;
        Ok(if r == Reduction::Mean { b.op(Op2::Div, total, count) } else { total })
    }

    /// Runs `body` for every element of a list with `depth` axes.
    pub(super) fn each_element(
        &mut self,
        b: &mut Body,
        list: Reg,
        depth: usize,
        body: &mut dyn FnMut(&mut Self, &mut Body, Reg) -> R<()>,
    ) -> R<()> {
        let zero = b.num(0.0);
        let len = b.method(Method::Len, list, Vec::new());
        self.count_up(b, zero, len, &mut |s, b, i| {
            let x = b.index(list, i);
            if depth > 1 { s.each_element(b, x, depth - 1, body) } else { body(s, b, x) }
        })
    }

    fn op_value(&mut self, b: &mut Body, op: &'a Op, e: &'a hir::Expr) -> R<Reg> {
        Ok(match op {
            Op::None => b.constant(Const::None),
            Op::Text(parts) => self.text_value(b, parts)?,
            Op::Compare(op, x, y) => {
                let (x, y) = (self.value(b, x)?, self.value(b, y)?);
                b.cmp(*op, x, y)
            }
            Op::Binary(op, x, y) => self.two(b, *op, x, y)?,
            Op::Unary(op, x) => {
                let x = self.value(b, x)?;
                match op {
                    hir::UnOp::Neg => b.un(UnOp::Neg, x),
                    hir::UnOp::Not => b.not(x),
                }
            }
            Op::Record(id, args) => {
                let args = self.values(b, args)?;
                let r = b.reg();
                b.push(Instr::Record(r, id.0, args));
                r
            }
            Op::Field(x, name) => {
                let field = self.field_number(&x.ty, name, e.span)?;
                let x = self.value(b, x)?;
                let r = b.reg();
                b.push(Instr::Field(r, x, field));
                r
            }
            Op::List(items) => {
                let items = self.values(b, items)?;
                let r = b.reg();
                b.push(Instr::List(r, items));
                r
            }
            Op::Element(x, at) => {
                let (x, at) = (self.value(b, x)?, self.value(b, at)?);
                b.index(x, at)
            }
            Op::Method(on, name, args) => self.method_value(b, on, name, args, e.span)?,
            Op::Closure(vars, body) => self.closure(b, vars, body)?,
            Op::Each(each) => self.each_value(b, each)?,
            Op::Heap(r) => {
                let loc = self.locate(b, &r.steps, r.span)?;
                self.load(b, &loc, Which::Value, r.span)?
            }
            Op::Active(r, state) => {
                let loc = self.locate(b, &r.steps, r.span)?;
                let Loc::One(super::place::Spot { goal: Goal::Machine(m), .. }) = &loc else {
                    return Err(self.later(r.span, "the machines of several twins at once"));
                };
                let states = &self.behaving.out.machines[*m as usize].states;
                let Some((lo, hi)) =
                    states.iter().find(|s| *s.name == **state).map(|s| (s.first_leaf, s.end_leaf))
                else {
                    return Err(self.internal(e.span, "a state that is not there"));
                };
                let leaf = self.load(b, &loc, Which::Value, r.span)?;
                let first = b.num(lo.into());
                if hi == lo + 1 {
                    b.cmp(CmpOp::Eq, leaf, first)
                } else {
                    let from = b.cmp(CmpOp::Ge, leaf, first);
                    let end = b.num(hi.into());
                    let to = b.cmp(CmpOp::Lt, leaf, end);
                    b.op(Op2::And, from, to)
                }
            }
            Op::Undefined(name) => {
                let reason = b.text(&format!("`{name}` is called, and nothing defines it"));
                b.push(Instr::Fail(reason));
                b.constant(Const::None)
            }
            Op::Machine(r) => {
                let loc = self.locate(b, &r.steps, r.span)?;
                let Loc::One(super::place::Spot { goal: Goal::Machine(m), .. }) = &loc else {
                    return Err(self.later(r.span, "the machines of several twins at once"));
                };
                let m = &self.behaving.out.machines[*m as usize];
                let names: Vec<String> =
                    m.states.iter().filter(|s| s.initial.is_none()).map(|s| s.name.clone()).collect();
                let leaf = self.load(b, &loc, Which::Value, r.span)?;
                name_of(b, leaf, &names)
            }
            Op::Count(event) => {
                let mut total: Option<Reg> = None;
                for h in self.heard(b.inst, event)? {
                    let var = self.counter(h.event, event.span)?;
                    for k in h.only.map_or(0..h.per, |k| k..k + 1) {
                        let slot =
                            twinml_model::behavior::SlotRef { var, base: k, stride: h.per, at: Vec::new() };
                        let r = b.reg();
                        b.push(Instr::Load(r, slot, Which::Value, false));
                        total = Some(match total {
                            None => r,
                            Some(t) => b.op(Op2::Add, t, r),
                        });
                    }
                }
                match total {
                    Some(t) => t,
                    None => b.num(0.0),
                }
            }
            Op::Twin(r) => self.twin_code(b, r)?,
            Op::Address(r) => self.address_code(b, r)?,
            Op::Proposals(p) => self.proposals_code(b, p)?,
            Op::Settle(bid, accept) => self.settle_code(b, bid, *accept)?,
            Op::Draw(d) => {
                let d = self.dist(b, d)?;
                let r = b.reg();
                b.push(Instr::Draw(r, Box::new(d)));
                r
            }
            Op::Call(name, args) => {
                let args = self.values(b, args)?;
                let code = self.own_function(b.inst, name, e.span)?;
                let r = b.reg();
                b.push(Instr::Call(r, code, args));
                r
            }
        })
    }

    /// The number of a field, where the type says which record it is.
    pub(super) fn field_number(&mut self, ty: &Type, name: &str, span: Span) -> R<u32> {
        let of = |id: hir::RecordId, m: &hir::Model| {
            m.records[id.0 as usize].fields.get_index_of(name).map(|k| k as u32)
        };
        let found = match ty {
            Type::Record(id) => of(*id, self.model),
            Type::Optional(t) => match **t {
                Type::Record(id) => of(id, self.model),
                _ => None,
            },
            // Judged at run time: the one place that all records give a field of this name.
            Type::Any => {
                let mut places: Vec<u32> = (0..self.model.records.len() as u32)
                    .filter_map(|k| of(hir::RecordId(k), self.model))
                    .collect();
                places.dedup();
                if let [one] = places[..] { Some(one) } else { None }
            }
            _ => None,
        };
        match found {
            Some(k) => Ok(k),
            None => {
                let d = Diagnostic::new(
                    codes::LATER_BEHAVIOR,
                    span,
                    format!("which record has the field `{name}` here is not known"),
                )
                .help("write the argument's type: `job: Job`");
                Err(self.fail(d))
            }
        }
    }

    fn text_value(&mut self, b: &mut Body, parts: &'a [TextPart]) -> R<Reg> {
        let mut out = Vec::with_capacity(parts.len());
        for p in parts {
            out.push(match p {
                TextPart::Text(s) => Format::Text(Arc::from(&**s)),
                TextPart::Value(e, unit) => {
                    let mut r = self.value(b, e)?;
                    if let (Type::Enum(id), true) = (&e.ty, e.shape.is_empty()) {
                        let names: Vec<String> =
                            self.model.enums[id.0 as usize].values.iter().map(ToString::to_string).collect();
                        r = name_of(b, r, &names);
                    }
                    let dimension = match &e.ty {
                        Type::Real(d) => d.clone(),
                        _ => None,
                    };
                    let unit: DisplayUnit = unit.clone();
                    Format::Value(r, Arc::new(Shown { unit, dimension }))
                }
            });
        }
        let r = b.reg();
        b.push(Instr::Format(r, out));
        Ok(r)
    }

    /// A closure: its arguments, then what it captures.
    fn closure(&mut self, b: &mut Body, vars: &'a [LocalId], body: &'a hir::Expr) -> R<Reg> {
        let captured = captured_in_expr(body, b, vars);
        let mut inner = Body::new(b.inst, "a closure".to_owned(), body.span);
        for v in vars.iter().chain(&captured) {
            inner.param(*v);
        }
        let value = self.value(&mut inner, body)?;
        inner.push(Instr::Return(Some(value)));
        let code = self.add_code(inner)?;
        let given = captured.iter().map(|v| b.local(*v)).collect();
        let r = b.reg();
        b.push(Instr::Closure(r, code, given));
        Ok(r)
    }

    fn each_value(&mut self, b: &mut Body, each: &'a Each) -> R<Reg> {
        let over = self.value(b, &each.over)?;
        let out = b.reg();
        b.push(Instr::List(out, Vec::new()));
        let skip = b.reg();
        self.over_value(b, &each.vars, over, &each.over.ty, &mut |s, b| {
            let end = match &each.filter {
                Some(f) => {
                    let keep = s.value(b, f)?;
                    Some(b.jump_unless(keep))
                }
                None => None,
            };
            let x = s.value(b, &each.body)?;
            b.push(Instr::Method(skip, Method::Push, out, vec![x]));
            if let Some(end) = end {
                b.land(end);
            }
            Ok(())
        })?;
        match each.reduction {
            None => Ok(out),
            Some(r) => self.reduce_value(b, r, out, 1, false),
        }
    }

    /// Elements of a collection under names; pairs of a map under two.
    pub(super) fn over_value(
        &mut self,
        b: &mut Body,
        vars: &'a [LocalId],
        over: Reg,
        ty: &Type,
        body: &mut dyn FnMut(&mut Self, &mut Body) -> R<()>,
    ) -> R<()> {
        let map = matches!(ty, Type::Map(..)) || vars.len() == 2;
        // The loop goes over what is there at its begin.
        let list = if map {
            b.method(Method::Keys, over, Vec::new())
        } else {
            let r = b.reg();
            b.push(Instr::Move(r, over));
            r
        };
        let values = (map && vars.len() == 2).then(|| b.method(Method::Values, over, Vec::new()));
        let zero = b.num(0.0);
        let len = b.method(Method::Len, list, Vec::new());
        self.count_up(b, zero, len, &mut |s, b, i| {
            let x = b.index(list, i);
            if let Some(v) = vars.first() {
                let r = b.local(*v);
                b.push(Instr::Move(r, x));
            }
            if let (Some(v), Some(values)) = (vars.get(1), values) {
                let y = b.index(values, i);
                let r = b.local(*v);
                b.push(Instr::Move(r, y));
            }
            body(s, b)
        })
    }

    /// A code that gives one value: a guard, a delay, a start.
    pub(super) fn value_code(
        &mut self,
        inst: super::super::scope::InstId,
        name: String,
        params: &[LocalId],
        e: &'a hir::Expr,
    ) -> R<u32> {
        let mut b = Body::new(inst, name, e.span);
        for p in params {
            b.param(*p);
        }
        let x = self.value(&mut b, e)?;
        b.push(Instr::Return(Some(x)));
        self.add_code(b)
    }
}

fn is_index(s: &Subscript) -> bool {
    matches!(s, Subscript::Index(_))
}

/// The name that a number stands for.
fn name_of(b: &mut Body, number: Reg, names: &[String]) -> Reg {
    let texts: Vec<Reg> = names.iter().map(|n| b.text(n)).collect();
    let list = b.reg();
    b.push(Instr::List(list, texts));
    b.index(list, number)
}

/// Locals of the surrounding code that an expression reads, in order of their first use.
fn captured_in_expr(e: &hir::Expr, b: &Body, own: &[LocalId]) -> Vec<LocalId> {
    let mut out: Vec<LocalId> = Vec::new();
    e.visit(&mut |x| {
        if let ExprKind::Local(id) = x.kind
            && !own.contains(&id)
            && b.locals.contains_key(&id)
            && !out.contains(&id)
        {
            out.push(id);
        }
    });
    out
}
