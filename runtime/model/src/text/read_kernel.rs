//! Reading kernels.

use super::lexer::Token;
use super::names::{BIN, BOOL, CMP, INT, TYPES, UN, thing};
use super::read::{Problem, ReadError, Reader};
use crate::ids::Value;
use crate::ir::{Carry, For, If, Kernel, MathFn, Op, Region, Stmt, Ty, ValueData};
use crate::verify::{MAX_DEPTH, MAX_INDICES};
use rustc_hash::FxHashMap;

/// The values of a kernel being read: defined in any order, numbered without gaps in the end.
#[derive(Default)]
struct Values {
    found: FxHashMap<u32, ValueData>,
}

impl Reader {
    /// `"name" indices n { … }`
    pub(super) fn kernel(&mut self) -> Result<Kernel, ReadError> {
        let name = self.text()?;
        self.word("indices")?;
        let indices = self.u32()?;
        if indices > MAX_INDICES {
            return Err(self.error(Problem::TooMany));
        }
        let mut values = Values::default();
        let body = self.region(&mut values)?;
        let mut table = Vec::with_capacity(values.found.len());
        for k in 0..values.found.len() {
            match values.found.remove(&(k as u32)) {
                Some(d) => table.push(d),
                None => return Err(self.error(Problem::Missing(Value::new(k)))),
            }
        }
        Ok(Kernel { name, values: table, indices, body })
    }

    fn define(&self, values: &mut Values, v: Value, data: ValueData) -> Result<(), ReadError> {
        if values.found.insert(v.0, data).is_some() {
            return Err(self.error(Problem::DefinedTwice(v)));
        }
        Ok(())
    }

    /// `v3` or `v3:b`.
    fn typed(&mut self) -> Result<(Value, Ty), ReadError> {
        let v = self.value()?;
        if !self.is_mark(':') {
            return Ok((v, Ty::F64));
        }
        let at = self.error(Problem::Expected("a type: f, i or b"));
        let word = self.any_word("a type: f, i or b")?;
        thing(TYPES, &word).map(|ty| (v, ty)).ok_or(at)
    }

    fn region(&mut self, values: &mut Values) -> Result<Region, ReadError> {
        self.mark('{', "{")?;
        self.depth += 1;
        if self.depth > MAX_DEPTH + 1 {
            return Err(self.error(Problem::TooDeep));
        }
        let mut out = Region::new();
        while !self.is_mark('}') {
            match self.peek() {
                Token::Word(w) => match w.as_str() {
                    "for" => out.push(self.for_loop(values)?),
                    "if" => out.push(self.branch(values)?),
                    "solve" => {
                        self.next();
                        out.push(Stmt::Solve(self.block_id()?));
                    }
                    "solve_tangent" => {
                        self.next();
                        out.push(Stmt::SolveTangent(self.block_id()?));
                    }
                    "dead" => {
                        self.next();
                        self.eval(values)?;
                    }
                    w if super::names::space(w).is_some() => {
                        let place = self.place()?;
                        self.mark('=', "=")?;
                        let value = self.value()?;
                        let origin = self.origin()?;
                        out.push(Stmt::Store { place, value, origin });
                    }
                    _ => {
                        let v = self.eval(values)?;
                        out.push(Stmt::Eval(v));
                    }
                },
                _ => return Err(self.expected("a statement or }")),
            }
        }
        self.depth -= 1;
        Ok(out)
    }

    fn for_loop(&mut self, values: &mut Values) -> Result<Stmt, ReadError> {
        self.word("for")?;
        let index = self.index()?;
        self.word("in")?;
        let lo = self.i64()?;
        self.token(&Token::Dots, "..")?;
        let hi = self.i64()?;
        let reverse = self.is_word("reverse");
        let mut carries = Vec::new();
        while self.is_word("carry") {
            let (var, ty) = self.typed()?;
            self.define(values, var, ValueData { op: Op::Carry, ty })?;
            self.mark('=', "=")?;
            let init = self.value()?;
            self.word("next")?;
            let next = self.value()?;
            self.word("result")?;
            let (result, ty) = self.typed()?;
            self.define(values, result, ValueData { op: Op::Result, ty })?;
            carries.push(Carry { var, init, next, result });
        }
        let body = self.region(values)?;
        Ok(Stmt::For(Box::new(For { index, lo, hi, reverse, carries, body })))
    }

    fn branch(&mut self, values: &mut Values) -> Result<Stmt, ReadError> {
        self.word("if")?;
        let cond = self.value()?;
        let mut results = Vec::new();
        while self.is_word("result") {
            let (r, ty) = self.typed()?;
            self.define(values, r, ValueData { op: Op::Result, ty })?;
            self.mark('=', "=")?;
            let a = self.value()?;
            self.mark('|', "|")?;
            results.push((r, a, self.value()?));
        }
        let then = self.region(values)?;
        self.word("else")?;
        let otherwise = self.region(values)?;
        Ok(Stmt::If(Box::new(If { cond, then, otherwise, results })))
    }

    fn eval(&mut self, values: &mut Values) -> Result<Value, ReadError> {
        let (v, ty) = self.typed()?;
        self.mark('=', "=")?;
        let op = self.op()?;
        self.define(values, v, ValueData { op, ty })?;
        Ok(v)
    }

    fn two(&mut self) -> Result<(Value, Value), ReadError> {
        let a = self.value()?;
        self.mark(',', ",")?;
        Ok((a, self.value()?))
    }

    fn three(&mut self) -> Result<(Value, Value, Value), ReadError> {
        let (a, b) = self.two()?;
        self.mark(',', ",")?;
        Ok((a, b, self.value()?))
    }

    fn op(&mut self) -> Result<Op, ReadError> {
        let unknown = self.expected("an operation");
        let word = self.any_word("an operation")?;
        let word = word.as_str();
        Ok(match word {
            "const" => Op::ConstF(self.f64()?),
            "const.i" => Op::ConstI(self.i64()?),
            "const.b" => match self.any_word("true or false")?.as_str() {
                "true" => Op::ConstB(true),
                "false" => Op::ConstB(false),
                _ => return Err(unknown),
            },
            "load" => Op::Load(self.place()?),
            "load_at" => {
                let place = self.place()?;
                self.word("at")?;
                let at = self.value()?;
                self.word("len")?;
                let len = self.u32()?;
                self.word("stride")?;
                let stride = self.i64()?;
                Op::LoadAt { place, at, len, stride, origin: self.origin()? }
            }
            "index" => Op::IndexF(self.affine()?),
            "index.i" => Op::IndexI(self.affine()?),
            "fma" => {
                let (a, b, c) = self.three()?;
                Op::Fma(a, b, c)
            }
            "not" => Op::Not(self.value()?),
            "select" => {
                let (a, b, c) = self.three()?;
                Op::Select(a, b, c)
            }
            "bool_to_f" => Op::BoolToF(self.value()?),
            "f_to_bool" => Op::FToBool(self.value()?),
            "f_to_i" => Op::FToI(self.value()?),
            "i_to_f" => Op::IToF(self.value()?),
            "bits_to_f" => Op::BitsToF(self.value()?),
            "f_to_bits" => Op::FToBits(self.value()?),
            "call" => {
                let f = self.func()?;
                self.mark('(', "(")?;
                let mut args = Vec::new();
                while !self.is_mark(')') {
                    if !args.is_empty() {
                        self.mark(',', ", or )")?;
                    }
                    args.push(self.value()?);
                }
                Op::Call(f, args)
            }
            "delay" => {
                let place = self.place()?;
                self.word("by")?;
                Op::Delay { place, tau: self.value()? }
            }
            "arg" => Op::Arg(self.u32()?),
            "carry" => Op::Carry,
            "result" => Op::Result,
            _ => return self.other_op(word, unknown),
        })
    }

    fn other_op(&mut self, word: &str, unknown: ReadError) -> Result<Op, ReadError> {
        if let Some(f) = word.strip_prefix("math.").and_then(MathFn::from_name) {
            let mut args = vec![self.value()?];
            while self.is_mark(',') {
                args.push(self.value()?);
            }
            return Ok(Op::Math(f, args));
        }
        if let Some(table) = Self::table_of(word) {
            self.word("order")?;
            let order = u8::try_from(self.u32()?).map_err(|_| self.error(Problem::Number))?;
            self.word("at")?;
            return Ok(Op::Table { table, x: self.value()?, order });
        }
        if let Some(u) = thing(UN, word) {
            return Ok(Op::Un(u, self.value()?));
        }
        let (a, b) = match () {
            () if thing(BIN, word).is_some()
                || thing(CMP, word).is_some()
                || thing(BOOL, word).is_some()
                || thing(INT, word).is_some()
                || word.strip_prefix("i.").is_some_and(|w| thing(CMP, w).is_some()) =>
            {
                self.two()?
            }
            () => return Err(unknown),
        };
        Ok(if let Some(o) = thing(BIN, word) {
            Op::Bin(o, a, b)
        } else if let Some(o) = thing(CMP, word) {
            Op::Cmp(o, a, b)
        } else if let Some(o) = thing(BOOL, word) {
            Op::BoolBin(o, a, b)
        } else if let Some(o) = thing(INT, word) {
            Op::Int(o, a, b)
        } else if let Some(o) = word.strip_prefix("i.").and_then(|w| thing(CMP, w)) {
            Op::CmpI(o, a, b)
        } else {
            return Err(unknown);
        })
    }
}
