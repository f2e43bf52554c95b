//! The printer.

use super::names::{BIN, BOOL, CMP, INT, METHODS, OUTSIDE, ROLES, TYPES, UN, word};
use crate::defaults::Fills;
use crate::ids::Value;
use crate::ir::{Affine, Kernel, Op, Place, Region, Stmt, Ty};
use crate::program::{Block, Jacobian, Program, RangeElse, RelationKind, Watch};
use crate::schema::{Kind, Segment, Variable};
use std::fmt::Write;

/// A program as text.
#[must_use]
pub fn program_text(program: &Program) -> String {
    let mut p = Printer::default();
    p.program(program);
    p.out
}

/// A kernel as text.
#[must_use]
pub fn kernel_text(kernel: &Kernel) -> String {
    let mut p = Printer::default();
    p.kernel("kernel", kernel);
    p.out
}

#[derive(Default)]
struct Printer {
    out: String,
    depth: usize,
}

/// Appends formatted text; writing to a string never fails.
macro_rules! put {
    ($p:expr, $($arg:tt)*) => {{
        let _ = write!($p.out, $($arg)*);
    }};
}

/// A string with quotes and escapes.
pub(super) fn quoted(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A number that reads back to the same bits.
pub(super) fn number(bits: u64) -> String {
    let x = f64::from_bits(bits);
    if x.is_nan() { format!("0x{bits:016x}") } else { format!("{x:?}") }
}

impl Printer {
    fn line(&mut self) {
        for _ in 0..self.depth {
            self.out.push_str("  ");
        }
    }

    fn numbers(&mut self, values: &[f64]) {
        self.out.push('[');
        for (k, v) in values.iter().enumerate() {
            put!(self, "{}{}", if k > 0 { ", " } else { "" }, number(v.to_bits()));
        }
        self.out.push(']');
    }

    /// Each with its slot where that does not follow from the one before.
    fn fills(&mut self, fills: &Fills) {
        self.out.push('[');
        let mut next = Some(0);
        for (k, f) in fills.0.iter().enumerate() {
            put!(self, "{}{}", if k > 0 { ", " } else { "" }, number(f.value.to_bits()));
            if next != Some(f.first) {
                put!(self, " at {}", f.first);
            }
            if f.count != 1 {
                put!(self, " x {}", f.count);
            }
            if f.step != 1 {
                put!(self, " by {}", f.step);
            }
            next = f.end();
        }
        self.out.push_str("]\n");
    }

    fn program(&mut self, p: &Program) {
        put!(self, "program {}\n", quoted(&p.name));
        let s = &p.sizes;
        put!(
            self,
            "sizes state {} param {} input {} var {} disc {} root {} res {} jac {} hist {}\n",
            s.state,
            s.param,
            s.input,
            s.var,
            s.disc,
            s.root,
            s.res,
            s.jac,
            s.hist
        );
        for (space, fills) in p.defaults.spaces() {
            if !fills.0.is_empty() {
                put!(self, "default {} ", space.name());
                self.fills(fills);
            }
        }
        for f in &p.files {
            put!(self, "file {}\n", quoted(f));
        }
        for o in &p.origins {
            put!(self, "origin {} {}..{} line {} {}\n", o.file, o.lo, o.hi, o.line, quoted(&o.text));
        }
        for e in &p.schema.enums {
            put!(self, "enum {} [", quoted(&e.name));
            for (k, v) in e.values.iter().enumerate() {
                put!(self, "{}{}", if k > 0 { ", " } else { "" }, quoted(v));
            }
            self.out.push_str("]\n");
        }
        for v in &p.schema.vars {
            self.variable(v);
        }
        for r in &p.relations {
            let kind = match r.kind {
                RelationKind::Compare(op) => word(CMP, &op),
                RelationKind::Step => "step",
            };
            put!(self, "relation {kind} disc {} root {} len {} @{}\n", r.disc, r.root, r.len, r.origin.0);
        }
        for t in &p.tables {
            let (m, o) = (word(METHODS, &t.method), word(OUTSIDE, &t.outside));
            put!(self, "table {} {m} {o}{} x ", quoted(&t.name), if t.of_time { " of_time" } else { "" });
            self.numbers(&t.x);
            self.out.push_str(" y ");
            self.numbers(&t.y);
            self.out.push('\n');
        }
        for f in &p.functions {
            put!(self, "function (");
            for (k, ty) in f.params.iter().enumerate() {
                put!(self, "{}{}", if k > 0 { ", " } else { "" }, word(TYPES, ty));
            }
            put!(self, ") -> {} ", f.result);
            self.kernel("kernel", &f.code);
        }
        for (name, k) in [
            ("params", &p.params),
            ("initial", &p.initial),
            ("rhs", &p.rhs),
            ("outputs", &p.outputs),
            ("roots", &p.roots),
            ("update", &p.update),
            ("history", &p.history),
            ("projection", &p.projection),
        ] {
            if *k != Kernel::default() {
                self.kernel(&format!("kernel {name}"), k);
            }
        }
        if let Some(kept) = &p.kept {
            self.out.push_str("kept");
            for (state, var) in &kept.states {
                put!(self, " {state} {var}");
            }
            self.out.push_str(" by");
            for o in &kept.origins {
                put!(self, " @{}", o.0);
            }
            self.out.push('\n');
        }
        for r in &p.ranges {
            let (at, slot) = match r.watch {
                Watch::Root(slot) => ("root", slot),
                Watch::Param(slot) => ("param", slot),
            };
            let stop = if r.otherwise == RangeElse::Stop { " stop" } else { "" };
            put!(self, "range {} {} {at} {slot}", r.var.0, r.first);
            for (rounds, stride) in &r.nest {
                put!(self, " for {rounds} by {stride}");
            }
            put!(self, "{stop} @{}\n", r.origin.0);
        }
        for c in &p.clamps {
            put!(self, "clamp {}", c.var.0);
            for (word, slot) in [("lo", c.lo), ("hi", c.hi), ("low", c.low), ("high", c.high)] {
                if let Some(slot) = slot {
                    put!(self, " {word} {slot}");
                }
            }
            put!(self, " @{}\n", c.origin.0);
        }
        for n in &p.noise {
            put!(self, "noise {} path", n.input);
            self.path(&n.path);
            put!(self, " first");
            for k in &n.first {
                put!(self, " {k}");
            }
            put!(self, " @{}\n", n.origin.0);
        }
        if let Some(k) = &p.jvp {
            self.kernel("kernel jvp", k);
        }
        if let Some(j) = &p.jacobian {
            self.jacobian(j);
        }
        for b in &p.blocks {
            self.block(b);
        }
        self.out.push_str(&super::draws::draws_text(&p.draws));
        if let Some(k) = &p.draws.params {
            self.kernel("kernel drawn", k);
        }
        self.out.push_str(&super::behavior::behavior_text(&p.behavior));
    }

    fn path(&mut self, path: &[Segment]) {
        for s in path {
            put!(self, " {}", quoted(&s.name));
            for a in &s.axes {
                put!(self, "[{a}]");
            }
        }
    }

    fn variable(&mut self, v: &Variable) {
        put!(self, "var {} ", word(ROLES, &v.role));
        match v.kind {
            Kind::Real => self.out.push_str("real"),
            Kind::Int => self.out.push_str("int"),
            Kind::Bool => self.out.push_str("bool"),
            Kind::Enum(e) => put!(self, "enum {}", e.0),
        }
        put!(self, " {} {} len {} path", v.space.name(), v.base, v.len);
        self.path(&v.path);
        let u = &v.unit;
        put!(
            self,
            " unit {} {} {} si {} nominal {} @{}",
            quoted(&u.symbol),
            number(u.scale.to_bits()),
            number(u.offset.to_bits()),
            quoted(&v.si_unit),
            number(v.nominal.to_bits()),
            v.origin.0
        );
        if let Some(q) = &v.quantity {
            put!(self, " quantity {}", quoted(q));
        }
        if let Some((lo, hi)) = v.range {
            put!(self, " range {} {}", number(lo.to_bits()), number(hi.to_bits()));
        }
        if let Some(d) = &v.description {
            put!(self, " description {}", quoted(d));
        }
        self.out.push('\n');
    }

    fn jacobian(&mut self, j: &Jacobian) {
        self.line();
        put!(self, "jacobian {} x {} entries {} {{\n", j.rows, j.cols, j.entries);
        self.depth += 1;
        for f in &j.families {
            self.line();
            self.out.push_str("family");
            for (lo, hi) in &f.loops {
                put!(self, " {lo}..{hi}");
            }
            put!(self, " row [{}] col [{}] slot [{}]\n", affine(&f.row), affine(&f.col), affine(&f.slot));
        }
        self.line();
        self.kernel("kernel", &j.kernel);
        self.depth -= 1;
        self.line();
        self.out.push_str("}\n");
    }

    fn block(&mut self, b: &Block) {
        put!(self, "block {}", b.n);
        if b.linear {
            self.out.push_str(" linear");
        }
        if b.initial_only {
            self.out.push_str(" initial");
        }
        if b.careful {
            self.out.push_str(" careful");
        }
        self.out.push_str(" {\n");
        self.depth += 1;
        for u in &b.unknowns {
            self.line();
            put!(self, "unknowns {} {} len {}\n", u.space.name(), u.base, u.len);
        }
        for (k, o) in &b.origins {
            self.line();
            put!(self, "residual_origin {k} @{}\n", o.0);
        }
        self.line();
        self.kernel("kernel residual", &b.residual);
        if let Some(j) = &b.jacobian {
            self.jacobian(j);
        }
        for (name, k) in [("tangent", &b.tangent), ("inner", &b.inner_tangent)] {
            if let Some(k) = k {
                self.line();
                self.kernel(&format!("kernel {name}"), k);
            }
        }
        self.depth -= 1;
        self.out.push_str("}\n");
    }

    fn kernel(&mut self, head: &str, k: &Kernel) {
        put!(self, "{head} {} indices {} {{\n", quoted(&k.name), k.indices);
        self.depth += 1;
        let mut defined = vec![false; k.values.len()];
        self.region(k, &k.body, &mut defined);
        // values that no statement defines stay in the table
        for (n, _) in defined.iter().enumerate().filter(|(_, d)| !**d) {
            self.line();
            self.out.push_str("dead ");
            self.eval(k, Value::new(n));
        }
        self.depth -= 1;
        self.line();
        self.out.push_str("}\n");
    }

    fn region(&mut self, k: &Kernel, region: &Region, defined: &mut [bool]) {
        for stmt in region {
            self.line();
            match stmt {
                Stmt::Eval(v) => {
                    define(defined, *v);
                    self.eval(k, *v);
                }
                Stmt::Store { place: at, value, origin } => {
                    put!(self, "{} = {value} @{}\n", place(at), origin.0);
                }
                Stmt::Solve(b) => put!(self, "solve {b}\n"),
                Stmt::SolveTangent(b) => put!(self, "solve_tangent {b}\n"),
                Stmt::For(l) => {
                    let rev = if l.reverse { " reverse" } else { "" };
                    put!(self, "for {} in {}..{}{rev}", l.index, l.lo, l.hi);
                    for c in &l.carries {
                        define(defined, c.var);
                        define(defined, c.result);
                        put!(
                            self,
                            " carry {} = {} next {} result {}",
                            typed(k, c.var),
                            c.init,
                            c.next,
                            typed(k, c.result)
                        );
                    }
                    self.braces(k, &l.body, defined);
                    self.out.push('\n');
                }
                Stmt::If(i) => {
                    put!(self, "if {}", i.cond);
                    for (r, a, b) in &i.results {
                        define(defined, *r);
                        put!(self, " result {} = {a} | {b}", typed(k, *r));
                    }
                    self.braces(k, &i.then, defined);
                    self.out.push_str(" else");
                    self.braces(k, &i.otherwise, defined);
                    self.out.push('\n');
                }
            }
        }
    }

    fn braces(&mut self, k: &Kernel, region: &Region, defined: &mut [bool]) {
        self.out.push_str(" {\n");
        self.depth += 1;
        self.region(k, region, defined);
        self.depth -= 1;
        self.line();
        self.out.push('}');
    }

    fn eval(&mut self, k: &Kernel, v: Value) {
        match k.values.get(v.index()) {
            Some(d) => put!(self, "{} = {}\n", typed(k, v), op(&d.op)),
            None => put!(self, "{v} = ?\n"),
        }
    }
}

/// Marks a value as printed.
fn define(defined: &mut [bool], v: Value) {
    if let Some(d) = defined.get_mut(v.index()) {
        *d = true;
    }
}

fn typed(k: &Kernel, v: Value) -> String {
    match k.values.get(v.index()).map(|d| d.ty) {
        Some(ty @ (Ty::I64 | Ty::Bool)) => format!("{v}:{}", word(TYPES, &ty)),
        _ => v.to_string(),
    }
}

fn affine(a: &Affine) -> String {
    let mut out = a.base.to_string();
    for (i, s) in &a.terms {
        let _ = write!(out, "{}{s}*{i}", if *s < 0 { "" } else { "+" });
    }
    out
}

fn place(p: &Place) -> String {
    format!("{}[{}]", p.space.name(), affine(&p.at))
}

fn list(args: &[Value]) -> String {
    args.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

fn op(op: &Op) -> String {
    match op {
        Op::ConstF(bits) => format!("const {}", number(*bits)),
        Op::ConstI(i) => format!("const.i {i}"),
        Op::ConstB(b) => format!("const.b {b}"),
        Op::Load(p) => format!("load {}", place(p)),
        Op::LoadAt { place: p, at, len, stride, origin } => {
            format!("load_at {} at {at} len {len} stride {stride} @{}", place(p), origin.0)
        }
        Op::IndexI(a) => format!("index.i [{}]", affine(a)),
        Op::IndexF(a) => format!("index [{}]", affine(a)),
        Op::Un(u, a) => format!("{} {a}", word(UN, u)),
        Op::Bin(b, x, y) => format!("{} {x}, {y}", word(BIN, b)),
        Op::Fma(a, b, c) => format!("fma {a}, {b}, {c}"),
        Op::Cmp(c, a, b) => format!("{} {a}, {b}", word(CMP, c)),
        Op::CmpI(c, a, b) => format!("i.{} {a}, {b}", word(CMP, c)),
        Op::BoolBin(o, a, b) => format!("{} {a}, {b}", word(BOOL, o)),
        Op::Not(a) => format!("not {a}"),
        Op::Select(c, a, b) => format!("select {c}, {a}, {b}"),
        Op::Int(o, a, b) => format!("{} {a}, {b}", word(INT, o)),
        Op::BoolToF(a) => format!("bool_to_f {a}"),
        Op::FToBool(a) => format!("f_to_bool {a}"),
        Op::FToI(a) => format!("f_to_i {a}"),
        Op::IToF(a) => format!("i_to_f {a}"),
        Op::BitsToF(a) => format!("bits_to_f {a}"),
        Op::FToBits(a) => format!("f_to_bits {a}"),
        Op::Math(f, args) => format!("math.{} {}", f.name(), list(args)),
        Op::Call(f, args) => format!("call {f}({})", list(args)),
        Op::Table { table, x, order } => format!("{table} order {order} at {x}"),
        Op::Delay { place: p, tau } => format!("delay {} by {tau}", place(p)),
        Op::Arg(n) => format!("arg {n}"),
        Op::Carry => "carry".into(),
        Op::Result => "result".into(),
    }
}
