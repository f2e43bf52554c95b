//! Random valid programs with one kernel that uses all of the IR.
#![allow(dead_code, reason = "each user takes what it needs")]
//!
//! The sign and payload of a NaN are not part of a program's meaning: where they could turn into numbers
//! (`FToBits`, the sign operand of `CopySign`), the generator puts a number in place of a NaN.

use twinml_model::ids::{BlockId, FuncId, Index, OriginId, TableId, Value};
use twinml_model::ir::{
    Affine, BinOp, BoolOp, Carry, CmpOp, For, Function, If, IntOp, Kernel, MathFn, Op, Place, Region, Space,
    Stmt, Ty, UnOp,
};
use twinml_model::program::{Block, Origin, Outside, Program, Sizes, SlotRun, Table, TableMethod};

/// SplitMix64.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
    /// Numbers of every kind, ordinary ones most often.
    pub fn number(&mut self) -> f64 {
        match self.below(12) {
            0 => self.pick(&[0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0]),
            1 => self.pick(&[
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::NAN,
                f64::MAX,
                f64::MIN_POSITIVE,
                5e-324,
                -1e-310,
            ]),
            2 => f64::from_bits(self.next()),
            3 => self.below(20) as f64 - 5.0,
            4 => (self.below(2001) as f64 - 1000.0) * std::f64::consts::FRAC_PI_4,
            _ => {
                let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
                let scale = self.pick(&[1.0, 10.0, 700.0, 1e5, 1e-3]);
                (2.0 * unit - 1.0) * scale
            }
        }
    }
}

/// Spaces that the kernel may read and write.
const SPACES: [Space; 9] = [
    Space::Time,
    Space::State,
    Space::Param,
    Space::Input,
    Space::Var,
    Space::Disc,
    Space::Der,
    Space::TState,
    Space::Jac,
];

/// A program, and the kernel to add to it.
pub fn program(seed: u64) -> (Program, Kernel) {
    let mut rng = Rng(seed.wrapping_mul(0x5851_f42d_4c95_7f2d) ^ 0x1405_7b7e_f767_814f);
    let mut some = |most: u64| 1 + rng.below(most) as u32;
    let sizes = Sizes {
        state: some(8),
        param: some(12),
        input: some(4),
        var: some(12),
        disc: some(6),
        root: some(4),
        res: 8,
        jac: 40,
        hist: some(4),
    };
    let mut program = Program { name: format!("seed {seed}"), sizes, ..Program::default() };
    program.origins = (0..3)
        .map(|k| Origin { file: u32::MAX, lo: 0, hi: 0, line: k, text: format!("equation {k}") })
        .collect();
    program.tables = (0..2)
        .map(|k| Table {
            name: format!("table {k}"),
            x: vec![0.0, 1.0],
            y: vec![0.0, 1.0],
            method: TableMethod::Linear,
            outside: Outside::Error,
            of_time: false,
        })
        .collect();
    for _ in 0..2 {
        let len = 1 + rng.below(u64::from(sizes.var.min(3))) as u32;
        let base = rng.below(u64::from(sizes.var - len + 1)) as u32;
        program.blocks.push(Block {
            unknowns: vec![SlotRun { space: Space::Var, base, len }],
            n: len,
            linear: false,
            residual: Kernel::new("residual"),
            jacobian: None,
            tangent: None,
            inner_tangent: None,
            origins: Vec::new(),
            initial_only: false,
            careful: false,
        });
    }
    let functions = rng.below(4) as usize;
    for k in 0..functions {
        let function = function(&mut rng, &program, k);
        program.functions.push(function);
    }
    // Time stands still in a kernel that looks back.
    let mut written: Vec<Space> = SPACES[1..].iter().copied().filter(|_| rng.chance(40)).collect();
    written.push(Space::Var);
    let size = rng.pick(&[10, 40, 120, 300]);
    let mut g = Generator {
        rng: &mut rng,
        program: &program,
        kernel: Kernel::new("kernel"),
        values: Vec::new(),
        loops: Vec::new(),
        budget: size,
        in_function: false,
        written,
        recent: Vec::new(),
    };
    let body = g.region(0, 1);
    let mut kernel = g.kernel;
    kernel.body = body;
    (program, kernel)
}

fn function(rng: &mut Rng, program: &Program, k: usize) -> Function {
    let params: Vec<Ty> =
        (0..rng.below(4)).map(|_| rng.pick(&[Ty::F64, Ty::F64, Ty::I64, Ty::Bool])).collect();
    let size = 3 + rng.below(20);
    let mut g = Generator {
        rng,
        program,
        kernel: Kernel::new(format!("function {k}")),
        values: Vec::new(),
        loops: Vec::new(),
        budget: size,
        in_function: true,
        written: Vec::new(),
        recent: Vec::new(),
    };
    let mut body = Region::new();
    for (n, &ty) in params.iter().enumerate() {
        g.eval(&mut body, Op::Arg(n as u32), ty);
    }
    g.statements(&mut body, 0);
    let ty = g.rng.pick(&[Ty::F64, Ty::F64, Ty::F64, Ty::I64, Ty::Bool]);
    let result = g.any(&mut body, ty);
    let mut code = g.kernel;
    code.body = body;
    Function { params, code, result }
}

struct Generator<'a> {
    rng: &'a mut Rng,
    program: &'a Program,
    kernel: Kernel,
    /// Values in scope.
    values: Vec<(Value, Ty)>,
    /// Loops around, with `lo..hi`.
    loops: Vec<(Index, i64, i64)>,
    budget: u64,
    in_function: bool,
    written: Vec<Space>,
    /// Places used of late: code that meets a slot again is what goes wrong.
    recent: Vec<Place>,
}

impl Generator<'_> {
    fn region(&mut self, depth: u32, least: u64) -> Region {
        let scope = self.values.len();
        let mut region = Region::new();
        for _ in 0..least {
            let ty = self.ty();
            self.any(&mut region, ty);
        }
        self.statements(&mut region, depth);
        self.values.truncate(scope);
        region
    }

    fn ty(&mut self) -> Ty {
        self.rng.pick(&[Ty::F64, Ty::F64, Ty::F64, Ty::I64, Ty::Bool])
    }

    fn statements(&mut self, region: &mut Region, depth: u32) {
        let mut here = if depth == 0 { u64::MAX } else { 1 + self.rng.below(12) };
        while self.budget > 0 && here > 0 {
            self.budget -= 1;
            here -= 1;
            match self.rng.below(100) {
                0..=8 if depth < 4 => self.loop_(region, depth),
                9..=15 if depth < 4 => self.branch(region, depth),
                16..=40 if !self.in_function => self.store(region),
                41..=49 if !self.in_function => self.probe(region),
                _ => self.compute(region),
            }
        }
        if depth == 0 && !self.in_function {
            // Whatever was computed shows.
            let last: Vec<Value> = self.values.iter().rev().filter(|v| v.1 == Ty::F64).map(|v| v.0).collect();
            for (k, &value) in last.iter().take(40).enumerate() {
                let place = Place { space: Space::Jac, at: Affine::constant(k as i64) };
                region.push(Stmt::Store { place, value, origin: OriginId(0) });
            }
        }
    }

    fn eval(&mut self, region: &mut Region, op: Op, ty: Ty) -> Value {
        let v = self.kernel.value(op, ty);
        region.push(Stmt::Eval(v));
        self.values.push((v, ty));
        v
    }

    /// A value of a type: one in scope, recent ones most often, or a constant.
    fn any(&mut self, region: &mut Region, ty: Ty) -> Value {
        let all: Vec<Value> = self.values.iter().filter(|v| v.1 == ty).map(|v| v.0).collect();
        if all.is_empty() || self.rng.chance(15) {
            return match ty {
                Ty::F64 => {
                    let x = self.rng.number();
                    self.eval(region, Op::ConstF(x.to_bits()), ty)
                }
                Ty::I64 => {
                    let wide = self.rng.next() as i64;
                    let small = self.rng.below(12) as i64 - 2;
                    let x = if self.rng.chance(20) { wide } else { small };
                    self.eval(region, Op::ConstI(x), ty)
                }
                Ty::Bool => {
                    let x = self.rng.chance(50);
                    self.eval(region, Op::ConstB(x), ty)
                }
            };
        }
        let back = if self.rng.chance(60) { 6 } else { all.len() as u64 };
        all[all.len() - 1 - self.rng.below(back.min(all.len() as u64)) as usize]
    }

    /// `x`, or 1 where it is a NaN.
    fn numeric(&mut self, region: &mut Region, x: Value) -> Value {
        let one = self.eval(region, Op::ConstF(1f64.to_bits()), Ty::F64);
        let ok = self.eval(region, Op::Cmp(CmpOp::Eq, x, x), Ty::Bool);
        self.eval(region, Op::Select(ok, x, one), Ty::F64)
    }

    /// An affine function of the loops around, with values in `0..len`.
    fn inside(&mut self, len: i64) -> Affine {
        let mut at = Affine::constant(0);
        let (mut lo, mut hi) = (0i64, 0i64);
        let loops = self.loops.clone();
        for (index, from, to) in loops {
            if from >= to || !self.rng.chance(70) {
                continue;
            }
            let stride = self.rng.pick(&[1, 1, 1, -1, 2, 3, -2, 5]);
            let (a, b) = (stride * from, stride * (to - 1));
            if hi + a.max(b) - (lo + a.min(b)) < len {
                (lo, hi) = (lo + a.min(b), hi + a.max(b));
                at = at.plus(index, stride);
            }
        }
        at.base = -lo + self.rng.below((len - (hi - lo)) as u64) as i64;
        at
    }

    /// A place whose slots, and those `stride·k` further for `k < elements`, are inside the space.
    fn place(&mut self, space: Space, elements: i64, stride: i64) -> Place {
        let len = i64::from(self.program.sizes.of(space));
        let reach = (elements - 1) * stride.abs();
        let mut at = self.inside(len - reach);
        if stride < 0 {
            at.base += reach;
        }
        Place { space, at }
    }

    fn store(&mut self, region: &mut Region) {
        if self.written.is_empty() {
            return;
        }
        let written = self.written.clone();
        let space = self.rng.pick(&written);
        let place = match self.again() {
            Some(place) if written.contains(&place.space) => place,
            _ => self.place(space, 1, 1),
        };
        self.recent.push(place.clone());
        let ty = if self.rng.chance(15) { Ty::Bool } else { Ty::F64 };
        let value = self.any(region, ty);
        let origin = OriginId(self.rng.below(3) as u32);
        region.push(Stmt::Store { place, value, origin });
    }

    /// Reads a slot, changes it or another one, reads it again, keeps both.
    fn probe(&mut self, region: &mut Region) {
        let solve = self.rng.chance(30);
        let block = BlockId(self.rng.below(2) as u32);
        let written = self.written.clone();
        let space = self.rng.pick(&written);
        let place = if solve {
            let run = self.program.block(block).unknowns[0];
            Place { space: run.space, at: Affine::constant(i64::from(run.base)) }
        } else {
            self.place(space, 1, 1)
        };
        let before = self.eval(region, Op::Load(place.clone()), Ty::F64);
        if solve {
            let tangent = self.rng.chance(50);
            region.push(if tangent { Stmt::SolveTangent(block) } else { Stmt::Solve(block) });
        } else {
            let other = if self.rng.chance(20) { place.clone() } else { self.place(space, 1, 1) };
            let value = self.any(region, Ty::F64);
            region.push(Stmt::Store { place: other, value, origin: OriginId(0) });
        }
        let after = self.eval(region, Op::Load(place), Ty::F64);
        for value in [before, after] {
            let place = self.place(Space::Jac, 1, 1);
            region.push(Stmt::Store { place, value, origin: OriginId(0) });
        }
    }

    /// A place used before, if all its loops still run; at times its neighbour.
    fn again(&mut self) -> Option<Place> {
        if self.rng.chance(40) {
            return None;
        }
        let back = self.rng.below(5) as usize;
        let mut place = self.recent.iter().rev().nth(back)?.clone();
        let len = i64::from(self.program.sizes.of(place.space));
        if !place.at.terms.iter().all(|t| self.loops.iter().any(|l| l.0 == t.0)) {
            return None;
        }
        if self.rng.chance(20) {
            place.at.base += self.rng.pick(&[-1, 1]);
        }
        let (mut lo, mut hi) = (place.at.base, place.at.base);
        for &(i, stride) in &place.at.terms {
            let &(_, from, to) = self.loops.iter().find(|l| l.0 == i)?;
            let (a, b) = (stride * from, stride * (to - 1));
            (lo, hi) = (lo + a.min(b), hi + a.max(b));
        }
        (lo >= 0 && hi < len).then_some(place)
    }

    fn loop_(&mut self, region: &mut Region, depth: u32) {
        let lo = self.rng.below(9) as i64 - 4;
        let rounds = self.rng.pick(&[0, 1, 2, 3, 3, 4, 7, 20, 40]);
        let rounds = if depth > 1 { rounds.min(4) } else { rounds };
        let hi = lo + rounds;
        let index = self.kernel.index();
        let mut carries = Vec::new();
        let mut types = Vec::new();
        for _ in 0..self.rng.below(4) {
            let ty = self.ty();
            let init = self.any(region, ty);
            types.push(ty);
            let var = self.kernel.value(Op::Carry, ty);
            carries.push((init, var));
        }
        let scope = self.values.len();
        for (&(_, var), &ty) in carries.iter().zip(&types) {
            self.values.push((var, ty));
        }
        self.loops.push((index, lo, hi));
        let mut body = Region::new();
        self.statements(&mut body, depth + 1);
        let nexts: Vec<Value> = types.iter().map(|&ty| self.any(&mut body, ty)).collect();
        self.loops.pop();
        self.values.truncate(scope);
        let mut out = Vec::new();
        for ((&(init, var), &next), &ty) in carries.iter().zip(&nexts).zip(&types) {
            let result = self.kernel.value(Op::Result, ty);
            self.values.push((result, ty));
            out.push(Carry { var, init, next, result });
        }
        let reverse = self.rng.chance(30);
        region.push(Stmt::For(Box::new(For { index, lo, hi, reverse, carries: out, body })));
    }

    fn branch(&mut self, region: &mut Region, depth: u32) {
        let cond = self.any(region, Ty::Bool);
        let types: Vec<Ty> = (0..self.rng.below(3)).map(|_| self.ty()).collect();
        let mut sides = Vec::new();
        for _ in 0..2 {
            let scope = self.values.len();
            let mut body = Region::new();
            if self.rng.chance(75) {
                self.statements(&mut body, depth + 1);
            }
            let outer = self.values[..scope].to_vec();
            let results: Vec<Value> = types
                .iter()
                .map(|&ty| match outer.iter().rev().find(|v| v.1 == ty) {
                    Some(v) if body.is_empty() => v.0,
                    _ => self.any(&mut body, ty),
                })
                .collect();
            self.values.truncate(scope);
            sides.push((body, results));
        }
        let (otherwise, b) = sides.pop().unwrap();
        let (then, a) = sides.pop().unwrap();
        let results = types
            .iter()
            .zip(a.iter().zip(&b))
            .map(|(&ty, (&a, &b))| {
                let result = self.kernel.value(Op::Result, ty);
                self.values.push((result, ty));
                (result, a, b)
            })
            .collect();
        region.push(Stmt::If(Box::new(If { cond, then, otherwise, results })));
    }

    fn compute(&mut self, region: &mut Region) {
        let cmp = [CmpOp::Eq, CmpOp::Ne, CmpOp::Lt, CmpOp::Le, CmpOp::Gt, CmpOp::Ge];
        macro_rules! f {
            () => {
                self.any(region, Ty::F64)
            };
        }
        macro_rules! i {
            () => {
                self.any(region, Ty::I64)
            };
        }
        macro_rules! t {
            () => {
                self.any(region, Ty::Bool)
            };
        }
        let (op, ty) = match self.rng.below(40) {
            0..=5 if !self.in_function => {
                let space = self.rng.pick(&SPACES);
                let place = self.again().unwrap_or_else(|| self.place(space, 1, 1));
                self.recent.push(place.clone());
                (Op::Load(place), Ty::F64)
            }
            6..=7 if !self.in_function => {
                let space = self.rng.pick(&SPACES);
                let size = i64::from(self.program.sizes.of(space));
                let len = 1 + self.rng.below(size.min(5) as u64) as i64;
                let mut stride = self.rng.pick(&[1, 1, 2, -1, -2]);
                if (len - 1) * i64::abs(stride) >= size {
                    stride = stride.signum();
                }
                let place = self.place(space, len, stride);
                // Mostly inside.
                let mut at = i!();
                if self.rng.chance(85) {
                    let mask = self.eval(region, Op::ConstI(mask(len)), Ty::I64);
                    at = self.eval(region, Op::Int(IntOp::And, at, mask), Ty::I64);
                }
                let origin = OriginId(self.rng.below(3) as u32);
                (Op::LoadAt { place, at, len: len as u32, stride, origin }, Ty::F64)
            }
            8 => (Op::IndexI(self.inside(1 << 40)), Ty::I64),
            9 => (Op::IndexF(self.inside(1 << 40)), Ty::F64),
            10..=12 => {
                let op = self.rng.pick(&[
                    UnOp::Neg,
                    UnOp::Abs,
                    UnOp::Sqrt,
                    UnOp::Floor,
                    UnOp::Ceil,
                    UnOp::Trunc,
                    UnOp::Rint,
                    UnOp::Sign,
                ]);
                (Op::Un(op, f!()), Ty::F64)
            }
            13..=18 => {
                let op = self.rng.pick(&[
                    BinOp::Add,
                    BinOp::Sub,
                    BinOp::Mul,
                    BinOp::Div,
                    BinOp::Min,
                    BinOp::Max,
                    BinOp::CopySign,
                ]);
                let (a, mut b) = (f!(), f!());
                if op == BinOp::CopySign {
                    b = self.numeric(region, b);
                }
                (Op::Bin(op, a, b), Ty::F64)
            }
            19 | 20 => (Op::Fma(f!(), f!(), f!()), Ty::F64),
            21 | 22 => (Op::Cmp(self.rng.pick(&cmp), f!(), f!()), Ty::Bool),
            23 => (Op::CmpI(self.rng.pick(&cmp), i!(), i!()), Ty::Bool),
            24 => (Op::BoolBin(self.rng.pick(&[BoolOp::And, BoolOp::Or, BoolOp::Xor]), t!(), t!()), Ty::Bool),
            25 => (Op::Not(t!()), Ty::Bool),
            26 | 27 => {
                let ty = self.ty();
                (Op::Select(t!(), self.any(region, ty), self.any(region, ty)), ty)
            }
            28 | 29 => {
                let op = self.rng.pick(&[
                    IntOp::Add,
                    IntOp::Sub,
                    IntOp::Mul,
                    IntOp::MulHiU,
                    IntOp::And,
                    IntOp::Or,
                    IntOp::Xor,
                    IntOp::Shl,
                    IntOp::ShrU,
                    IntOp::ShrS,
                ]);
                (Op::Int(op, i!(), i!()), Ty::I64)
            }
            30 => (Op::BoolToF(t!()), Ty::F64),
            31 => (Op::FToBool(f!()), Ty::Bool),
            32 => (Op::FToI(f!()), Ty::I64),
            33 => (Op::IToF(i!()), Ty::F64),
            34 => {
                // Bits of numbers, changed a little: what elementary functions do.
                let x = f!();
                let x = self.numeric(region, x);
                let bits = self.eval(region, Op::FToBits(x), Ty::I64);
                if self.rng.chance(50) {
                    let op = self.rng.pick(&[IntOp::Xor, IntOp::Add, IntOp::And, IntOp::Sub]);
                    let other = i!();
                    let bits = if self.rng.chance(50) { (bits, other) } else { (other, bits) };
                    let bits = self.eval(region, Op::Int(op, bits.0, bits.1), Ty::I64);
                    (Op::BitsToF(bits), Ty::F64)
                } else {
                    (Op::BitsToF(bits), Ty::F64)
                }
            }
            35 | 36 => {
                let f = self.rng.pick(&MathFn::ALL);
                let args = (0..f.arity()).map(|_| f!()).collect();
                (Op::Math(f, args), Ty::F64)
            }
            37 | 38 if !self.program.functions.is_empty() => {
                let k = self.rng.below(self.program.functions.len() as u64) as usize;
                let function = &self.program.functions[k];
                let ty = function.code.values[function.result.index()].ty;
                let args = function.params.iter().map(|&ty| self.any(region, ty)).collect();
                (Op::Call(FuncId::new(k), args), ty)
            }
            39 if self.rng.chance(40) => {
                let table = TableId(self.rng.below(2) as u32);
                (Op::Table { table, x: f!(), order: self.rng.below(3) as u8 }, Ty::F64)
            }
            39 if !self.in_function => {
                let place = self.place(Space::Hist, 1, 1);
                (Op::Delay { place, tau: f!() }, Ty::F64)
            }
            _ => (Op::Bin(BinOp::Mul, f!(), f!()), Ty::F64),
        };
        self.eval(region, op, ty);
    }
}

/// All ones, less than `len`.
fn mask(len: i64) -> i64 {
    match len {
        1 => 0,
        2 | 3 => 1,
        _ => 3,
    }
}
