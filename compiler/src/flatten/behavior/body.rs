//! A code under construction: registers, jumps, places.

use super::super::Flattener;
use super::super::scope::{InstId, R};
use crate::diag::{Diagnostic, codes};
use crate::hir::LocalId;
use crate::source::Span;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use twinml_model::behavior::{Code, CodeId, Const, Instr, Method, Op2, Reg};
use twinml_model::ids::OriginId;
use twinml_model::ir::{CmpOp, UnOp};

/// A code under construction.
pub(super) struct Body {
    pub inst: InstId,
    pub span: Span,
    name: String,
    params: Reg,
    next: Reg,
    most: Reg,
    full: bool,
    instrs: Vec<Instr>,
    spans: Vec<Span>,
    pub locals: FxHashMap<LocalId, Reg>,
    /// The operation that comes next gives what is stored at once: whether an `Int` is exact is looked at there.
    pub stored: bool,
}

impl Body {
    pub fn new(inst: InstId, name: String, span: Span) -> Body {
        Body {
            inst,
            span,
            name,
            params: 0,
            next: 0,
            most: 0,
            full: false,
            instrs: Vec::new(),
            spans: Vec::new(),
            locals: FxHashMap::default(),
            stored: false,
        }
    }

    /// An argument; all arguments come before anything else.
    pub fn param(&mut self, local: LocalId) -> Reg {
        let r = self.reg();
        self.params = self.next;
        self.locals.insert(local, r);
        r
    }

    /// A new register.
    pub fn reg(&mut self) -> Reg {
        let r = self.next;
        match self.next.checked_add(1) {
            Some(n) => self.next = n,
            None => self.full = true,
        }
        self.most = self.most.max(self.next);
        r
    }

    /// How far registers are taken; give it to [`Body::free`] when values of a statement are done with.
    pub fn mark(&self) -> Reg {
        self.next
    }

    pub fn free(&mut self, mark: Reg) {
        self.next = mark;
    }

    /// The register of a local.
    pub fn local(&mut self, id: LocalId) -> Reg {
        if let Some(r) = self.locals.get(&id) {
            return *r;
        }
        let r = self.reg();
        self.locals.insert(id, r);
        r
    }

    pub fn push(&mut self, i: Instr) {
        self.instrs.push(i);
        self.spans.push(self.span);
    }

    /// The number of the next instruction.
    pub fn here(&self) -> u32 {
        self.instrs.len() as u32
    }

    /// A jump whose goal is set later.
    pub fn jump(&mut self) -> usize {
        self.push(Instr::Jump(0));
        self.instrs.len() - 1
    }

    /// A jump where `c` is false; its goal is set later.
    pub fn jump_unless(&mut self, c: Reg) -> usize {
        self.push(Instr::JumpUnless(c, 0));
        self.instrs.len() - 1
    }

    /// Lets a jump lead here.
    pub fn land(&mut self, jump: usize) {
        let here = self.here();
        match &mut self.instrs[jump] {
            Instr::Jump(l) | Instr::JumpUnless(_, l) => *l = here,
            _ => {}
        }
    }

    pub fn constant(&mut self, c: Const) -> Reg {
        let r = self.reg();
        self.push(Instr::Const(r, c));
        r
    }

    pub fn num(&mut self, x: f64) -> Reg {
        self.constant(Const::Num(x))
    }

    pub fn text(&mut self, s: &str) -> Reg {
        self.constant(Const::Str(Arc::from(s)))
    }

    pub fn op(&mut self, op: Op2, a: Reg, b: Reg) -> Reg {
        let r = self.reg();
        self.push(Instr::Bin(r, op, a, b));
        r
    }

    pub fn cmp(&mut self, op: CmpOp, a: Reg, b: Reg) -> Reg {
        self.op(Op2::Cmp(op), a, b)
    }

    pub fn un(&mut self, op: UnOp, a: Reg) -> Reg {
        let r = self.reg();
        self.push(Instr::Un(r, op, a));
        r
    }

    pub fn not(&mut self, a: Reg) -> Reg {
        let r = self.reg();
        self.push(Instr::Not(r, a));
        r
    }

    pub fn method(&mut self, m: Method, on: Reg, args: Vec<Reg>) -> Reg {
        let r = self.reg();
        self.push(Instr::Method(r, m, on, args));
        r
    }

    pub fn index(&mut self, of: Reg, at: Reg) -> Reg {
        let r = self.reg();
        self.push(Instr::Index(r, of, at));
        r
    }

    /// `if c { a } else { b }` as a value.
    pub fn choose(
        &mut self,
        c: Reg,
        a: impl FnOnce(&mut Body) -> Reg,
        b: impl FnOnce(&mut Body) -> Reg,
    ) -> Reg {
        let out = self.reg();
        let other = self.jump_unless(c);
        let x = a(self);
        self.push(Instr::Move(out, x));
        let end = self.jump();
        self.land(other);
        let y = b(self);
        self.push(Instr::Move(out, y));
        self.land(end);
        out
    }
}

impl<'a> Flattener<'a> {
    /// Room for a code that others may already call.
    pub(super) fn reserve_code(&mut self) -> CodeId {
        let id = self.behaving.out.codes.len() as CodeId;
        self.behaving.out.codes.push(Code {
            name: String::new(),
            owner: 0,
            params: 0,
            registers: 0,
            instrs: Vec::new(),
            origins: Vec::new(),
        });
        id
    }

    /// Ends a code.
    pub(super) fn finish_code(&mut self, id: CodeId, mut b: Body) -> R<()> {
        b.push(Instr::Return(None));
        if b.full {
            let d =
                Diagnostic::new(codes::SYSTEM_TOO_LARGE, b.span, "this code holds too many values at once")
                    .help("split it into functions");
            return Err(self.fail(d));
        }
        take_cells(&mut b.instrs);
        let inst = b.inst;
        let owner = self.owner_of(inst);
        let origins: Vec<OriginId> = b.spans.iter().map(|s| self.origin_at(*s, inst)).collect();
        self.behaving.out.codes[id as usize] =
            Code { name: b.name, owner, params: b.params, registers: b.most, instrs: b.instrs, origins };
        Ok(())
    }

    pub(super) fn add_code(&mut self, b: Body) -> R<CodeId> {
        let id = self.reserve_code();
        self.finish_code(id, b)?;
        Ok(id)
    }

    /// A loop over `0..len` (a register): `body` gets the index.
    pub(super) fn count_up(
        &mut self,
        b: &mut Body,
        lo: Reg,
        hi: Reg,
        body: &mut dyn FnMut(&mut Self, &mut Body, Reg) -> R<()>,
    ) -> R<()> {
        let (i, span) = (b.reg(), b.span);
        b.push(Instr::Move(i, lo));
        let top = b.here();
        let go_on = b.cmp(CmpOp::Lt, i, hi);
        let end = b.jump_unless(go_on);
        body(self, b, i)?;
        // The jump back stands for the loop, in messages too.
        b.span = span;
        let one = b.num(1.0);
        b.push(Instr::Bin(i, Op2::Add, i, one));
        b.push(Instr::Jump(top));
        b.land(end);
        Ok(())
    }
}

/// Where a cell is read, changed and stored with nothing in between that could look at it, its value is taken instead
/// of copied: `jobs.push(j)` costs the same however many jobs there are.
fn take_cells(instrs: &mut [Instr]) {
    let targets: Vec<usize> = instrs
        .iter()
        .filter_map(|i| match i {
            Instr::Jump(l) | Instr::JumpUnless(_, l) => Some(*l as usize),
            _ => None,
        })
        .collect();
    for k in 0..instrs.len() {
        let Instr::LoadCell(r, cell, base, stride, at) = instrs[k] else { continue };
        let found = instrs[k + 1..].iter().position(|i| !beside(i, cell, at));
        let Some(end) = found.map(|n| k + 1 + n) else { continue };
        let stored = instrs[end] == Instr::StoreCell(cell, base, stride, at, r);
        if stored && !targets.iter().any(|t| (k + 1..=end).contains(t)) {
            instrs[k] = Instr::TakeCell(r, cell, base, stride, at);
        }
    }
}

/// Whether an instruction neither looks at a cell, nor leads elsewhere, nor changes the register of its index.
fn beside(i: &Instr, cell: u32, at: Option<Reg>) -> bool {
    let out = match i {
        Instr::Const(r, _)
        | Instr::Move(r, _)
        | Instr::Time(r)
        | Instr::Instance(r)
        | Instr::Load(r, ..)
        | Instr::LoadArray(r, ..)
        | Instr::Un(r, ..)
        | Instr::Not(r, _)
        | Instr::Bin(r, ..)
        | Instr::Math(r, ..)
        | Instr::Table(r, ..)
        | Instr::List(r, _)
        | Instr::Record(r, ..)
        | Instr::Field(r, ..)
        | Instr::WithField(r, ..)
        | Instr::Index(r, ..)
        | Instr::WithElement(r, ..)
        | Instr::Closure(r, ..)
        | Instr::Draw(r, ..)
        | Instr::Format(r, _) => *r,
        Instr::LoadCell(r, c, ..) if *c != cell => *r,
        // Functions that are given to a method may look at anything.
        Instr::Method(
            r,
            Method::Len
            | Method::IsEmpty
            | Method::Push
            | Method::Pop
            | Method::First
            | Method::Last
            | Method::Get
            | Method::Insert
            | Method::Remove
            | Method::Contains
            | Method::Clear
            | Method::Append
            | Method::Sort,
            on,
            _,
        ) if at != Some(*on) => *r,
        _ => return false,
    };
    at != Some(out)
}
