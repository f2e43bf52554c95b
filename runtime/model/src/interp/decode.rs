//! Kernels to a flat list of instructions over numbered registers: regions become jumps, addresses become
//! positions in the memory, constants are set once before the code runs.

use crate::ids::{BlockId, FuncId, Index, OriginId, TableId, Value};
use crate::ir::{
    Affine, BinOp, BoolOp, CmpOp, For, If, IntOp, Kernel, MathFn, Op, Place, Region, Stmt, Ty, UnOp,
};
use crate::program::Sizes;

/// A register: one per value, then one per loop index, then scratch.
pub(super) type Reg = u32;

/// An instruction. `d` is written; jumps are absolute.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instr {
    Load {
        d: Reg,
        at: u32,
    },
    Load1 {
        d: Reg,
        at: i64,
        ix: Reg,
        stride: i32,
    },
    LoadN {
        d: Reg,
        at: u32,
    },
    LoadAt {
        d: Reg,
        i: Reg,
        info: u32,
    },
    Affine {
        d: Reg,
        at: u32,
        float: bool,
    },
    Un {
        op: UnOp,
        d: Reg,
        a: Reg,
    },
    Add {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Sub {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Mul {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Bin {
        op: BinOp,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Fma {
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    Cmp {
        op: CmpOp,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    CmpI {
        op: CmpOp,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Bool {
        op: BoolOp,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Not {
        d: Reg,
        a: Reg,
    },
    Select {
        d: Reg,
        c: Reg,
        a: Reg,
        b: Reg,
    },
    Int {
        op: IntOp,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    BoolToF {
        d: Reg,
        a: Reg,
    },
    FToBool {
        d: Reg,
        a: Reg,
    },
    FToI {
        d: Reg,
        a: Reg,
    },
    IToF {
        d: Reg,
        a: Reg,
    },
    Copy {
        d: Reg,
        a: Reg,
    },
    Math {
        f: MathFn,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Call {
        d: Reg,
        f: FuncId,
        args: u32,
        n: u32,
    },
    Table {
        d: Reg,
        x: Reg,
        table: TableId,
        order: u8,
    },
    Delay {
        d: Reg,
        at: u32,
        tau: Reg,
    },
    Store {
        at: u32,
        a: Reg,
        truth: bool,
    },
    Store1 {
        at: i64,
        ix: Reg,
        stride: i32,
        a: Reg,
        truth: bool,
    },
    StoreN {
        at: u32,
        a: Reg,
        truth: bool,
    },
    /// An index gets its first value.
    Set {
        ix: Reg,
        to: i64,
    },
    /// Unless the index has its last value, steps it and jumps.
    Next {
        ix: Reg,
        info: u32,
        to: u32,
    },
    Jump {
        to: u32,
    },
    JumpUnless {
        c: Reg,
        to: u32,
    },
    Solve {
        block: BlockId,
    },
    SolveTangent {
        block: BlockId,
    },
}

/// A dynamic address.
#[derive(Clone, Debug)]
pub(super) struct Dynamic {
    pub at: Addr,
    pub len: u32,
    pub stride: i64,
    pub origin: OriginId,
}

/// `base + Σ stride·register`.
#[derive(Clone, Debug)]
pub(super) struct Addr {
    pub base: i64,
    pub terms: Vec<(Reg, i64)>,
}

/// A decoded kernel or function.
#[derive(Clone, Debug, Default)]
pub(super) struct Code {
    pub instrs: Vec<Instr>,
    pub consts: Vec<(Reg, u64)>,
    pub addrs: Vec<Addr>,
    pub dynamic: Vec<Dynamic>,
    /// `(last value, step)` of loops.
    pub loops: Vec<(i64, i64)>,
    pub args: Vec<Reg>,
    /// Where the arguments of a function go: `(argument, register)`.
    pub params: Vec<(u32, Reg)>,
    pub result: Reg,
    /// Registers of its own.
    pub regs: usize,
    /// Registers with those of the deepest calls.
    pub need: usize,
}

/// Decodes a verified kernel. `functions` are those decoded before.
pub(super) fn decode(kernel: &Kernel, sizes: &Sizes, functions: &[Code]) -> Code {
    let mut d = Decoder {
        kernel,
        sizes,
        code: Code::default(),
        next: (kernel.values.len() + kernel.indices as usize) as u32,
        callees: 0,
        functions,
    };
    d.region(&kernel.body);
    let mut code = d.code;
    code.regs = d.next as usize;
    code.need = code.regs + d.callees;
    code
}

struct Decoder<'a> {
    kernel: &'a Kernel,
    sizes: &'a Sizes,
    code: Code,
    next: Reg,
    callees: usize,
    functions: &'a [Code],
}

impl Decoder<'_> {
    fn ix(&self, i: Index) -> Reg {
        (self.kernel.values.len() + i.index()) as Reg
    }

    fn push(&mut self, i: Instr) {
        self.code.instrs.push(i);
    }

    fn here(&self) -> u32 {
        self.code.instrs.len() as u32
    }

    fn scratch(&mut self) -> Reg {
        self.next += 1;
        self.next - 1
    }

    fn affine(&self, a: &Affine, offset: i64) -> Addr {
        Addr { base: a.base + offset, terms: a.terms.iter().map(|&(i, s)| (self.ix(i), s)).collect() }
    }

    fn place(&self, p: &Place) -> Addr {
        self.affine(&p.at, self.sizes.offset(p.space) as i64)
    }

    fn addr(&mut self, a: Addr) -> u32 {
        self.code.addrs.push(a);
        self.code.addrs.len() as u32 - 1
    }

    fn region(&mut self, region: &Region) {
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => self.eval(*v),
                Stmt::Store { place, value, .. } => {
                    let truth = self.kernel.values[value.index()].ty == Ty::Bool;
                    let a = value.0;
                    let addr = self.place(place);
                    let instr = match addr.terms[..] {
                        [] => Instr::Store { at: addr.base as u32, a, truth },
                        [(ix, s)] if i32::try_from(s).is_ok() => {
                            Instr::Store1 { at: addr.base, ix, stride: s as i32, a, truth }
                        }
                        _ => Instr::StoreN { at: self.addr(addr), a, truth },
                    };
                    self.push(instr);
                }
                Stmt::For(l) => self.for_loop(l),
                Stmt::If(i) => self.branch(i),
                Stmt::Solve(b) => self.push(Instr::Solve { block: *b }),
                Stmt::SolveTangent(b) => self.push(Instr::SolveTangent { block: *b }),
            }
        }
    }

    fn for_loop(&mut self, l: &For) {
        for c in &l.carries {
            self.push(Instr::Copy { d: c.var.0, a: c.init.0 });
        }
        if l.lo < l.hi {
            let ix = self.ix(l.index);
            let (first, last, step) = if l.reverse { (l.hi - 1, l.lo, -1) } else { (l.lo, l.hi - 1, 1) };
            self.push(Instr::Set { ix, to: first });
            let top = self.here();
            self.region(&l.body);
            // all carries change at once
            let crossed = l.carries.iter().any(|c| l.carries.iter().any(|o| o.var == c.next));
            let mut from: Vec<Reg> = l.carries.iter().map(|c| c.next.0).collect();
            if crossed && l.carries.len() > 1 {
                for r in &mut from {
                    let t = self.scratch();
                    self.push(Instr::Copy { d: t, a: *r });
                    *r = t;
                }
            }
            for (c, a) in l.carries.iter().zip(from) {
                self.push(Instr::Copy { d: c.var.0, a });
            }
            self.code.loops.push((last, step));
            let info = self.code.loops.len() as u32 - 1;
            self.push(Instr::Next { ix, info, to: top });
        }
        for c in &l.carries {
            self.push(Instr::Copy { d: c.result.0, a: c.var.0 });
        }
    }

    fn branch(&mut self, i: &If) {
        let fork = self.here() as usize;
        self.push(Instr::JumpUnless { c: i.cond.0, to: 0 });
        self.region(&i.then);
        for &(r, a, _) in &i.results {
            self.push(Instr::Copy { d: r.0, a: a.0 });
        }
        let leave = self.here() as usize;
        self.push(Instr::Jump { to: 0 });
        self.code.instrs[fork] = Instr::JumpUnless { c: i.cond.0, to: self.here() };
        self.region(&i.otherwise);
        for &(r, _, b) in &i.results {
            self.push(Instr::Copy { d: r.0, a: b.0 });
        }
        self.code.instrs[leave] = Instr::Jump { to: self.here() };
    }

    fn eval(&mut self, v: Value) {
        let d = v.0;
        let instr = match &self.kernel.values[v.index()].op {
            Op::ConstF(bits) => return self.code.consts.push((d, *bits)),
            Op::ConstI(i) => return self.code.consts.push((d, *i as u64)),
            Op::ConstB(b) => return self.code.consts.push((d, u64::from(*b))),
            Op::Load(p) => {
                let addr = self.place(p);
                match addr.terms[..] {
                    [] => Instr::Load { d, at: addr.base as u32 },
                    [(ix, s)] if i32::try_from(s).is_ok() => {
                        Instr::Load1 { d, at: addr.base, ix, stride: s as i32 }
                    }
                    _ => Instr::LoadN { d, at: self.addr(addr) },
                }
            }
            Op::LoadAt { place, at, len, stride, origin } => {
                let addr = self.place(place);
                self.code.dynamic.push(Dynamic { at: addr, len: *len, stride: *stride, origin: *origin });
                Instr::LoadAt { d, i: at.0, info: self.code.dynamic.len() as u32 - 1 }
            }
            Op::IndexI(a) => {
                let addr = self.affine(a, 0);
                Instr::Affine { d, at: self.addr(addr), float: false }
            }
            Op::IndexF(a) => {
                let addr = self.affine(a, 0);
                Instr::Affine { d, at: self.addr(addr), float: true }
            }
            Op::Un(op, a) => Instr::Un { op: *op, d, a: a.0 },
            Op::Bin(BinOp::Add, a, b) => Instr::Add { d, a: a.0, b: b.0 },
            Op::Bin(BinOp::Sub, a, b) => Instr::Sub { d, a: a.0, b: b.0 },
            Op::Bin(BinOp::Mul, a, b) => Instr::Mul { d, a: a.0, b: b.0 },
            Op::Bin(op, a, b) => Instr::Bin { op: *op, d, a: a.0, b: b.0 },
            Op::Fma(a, b, c) => Instr::Fma { d, a: a.0, b: b.0, c: c.0 },
            Op::Cmp(op, a, b) => Instr::Cmp { op: *op, d, a: a.0, b: b.0 },
            Op::CmpI(op, a, b) => Instr::CmpI { op: *op, d, a: a.0, b: b.0 },
            Op::BoolBin(op, a, b) => Instr::Bool { op: *op, d, a: a.0, b: b.0 },
            Op::Not(a) => Instr::Not { d, a: a.0 },
            Op::Select(c, a, b) => Instr::Select { d, c: c.0, a: a.0, b: b.0 },
            Op::Int(op, a, b) => Instr::Int { op: *op, d, a: a.0, b: b.0 },
            Op::BoolToF(a) => Instr::BoolToF { d, a: a.0 },
            Op::FToBool(a) => Instr::FToBool { d, a: a.0 },
            Op::FToI(a) => Instr::FToI { d, a: a.0 },
            Op::IToF(a) => Instr::IToF { d, a: a.0 },
            Op::BitsToF(a) | Op::FToBits(a) => Instr::Copy { d, a: a.0 },
            Op::Math(f, args) => {
                // verified: one or two arguments
                let a = args[0].0;
                Instr::Math { f: *f, d, a, b: args.get(1).map_or(a, |b| b.0) }
            }
            Op::Call(f, args) => {
                let start = self.code.args.len() as u32;
                self.code.args.extend(args.iter().map(|a| a.0));
                self.callees = self.callees.max(self.functions[f.index()].need);
                Instr::Call { d, f: *f, args: start, n: args.len() as u32 }
            }
            Op::Table { table, x, order } => Instr::Table { d, x: x.0, table: *table, order: *order },
            Op::Delay { place, tau } => {
                let addr = self.affine(&place.at, 0);
                Instr::Delay { d, at: self.addr(addr), tau: tau.0 }
            }
            Op::Arg(n) => return self.code.params.push((*n, d)),
            // verified: never the subject of an `Eval`
            Op::Carry | Op::Result => return,
        };
        self.push(instr);
    }
}
