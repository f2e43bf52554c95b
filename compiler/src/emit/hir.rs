//! Printer for `--emit hir`: the checked model with every type, dimension and SI number in sight.
//!
//! The text is for people and for tests; it is not read back.

use std::fmt::{self, Write};

use crate::hir::behavior::{Sending, StmtKind};
use crate::hir::{
    ActionStmt, BinOp, Class, ClassTarget, ClassUse, Comprehension, Connection, ConnectorRole, Distribution,
    Equation, Expr, ExprKind, Extent, ForRange, FuncStmt, Function, MemberKind, Model, Name, Override,
    RangeElse, Ref, Scenario, Section, Step, Subscript, Type, UnOp, VarDecl,
};
use twinml_model::schema::DisplayUnit;

/// The whole model.
pub fn model(m: &Model) -> String {
    let mut p = Printer { m, out: String::new(), indent: 0 };
    // Writing into a String cannot fail.
    let _ = p.all();
    p.out
}

/// One expression, with the model's names.
pub fn expr(m: &Model, e: &Expr) -> String {
    Printer { m, out: String::new(), indent: 0 }.expr(e)
}

struct Printer<'m> {
    m: &'m Model,
    out: String,
    indent: usize,
}

impl Printer<'_> {
    fn line(&mut self, text: fmt::Arguments<'_>) -> fmt::Result {
        for _ in 0..self.indent {
            self.out.push_str("  ");
        }
        self.out.write_fmt(text)?;
        self.out.push('\n');
        Ok(())
    }

    fn block(
        &mut self,
        head: fmt::Arguments<'_>,
        body: impl FnOnce(&mut Self) -> fmt::Result,
    ) -> fmt::Result {
        self.line(format_args!("{head} {{"))?;
        self.indent += 1;
        body(self)?;
        self.indent -= 1;
        self.line(format_args!("}}"))
    }

    fn all(&mut self) -> fmt::Result {
        for e in &self.m.enums {
            self.line(format_args!("enum {} {{ {} }}", e.name, join(&e.values, ", ")))?;
        }
        for r in &self.m.records {
            let fields: Vec<String> =
                r.fields.iter().map(|(n, (t, s))| format!("{n}: {}{}", self.ty(t), self.shape(s))).collect();
            self.line(format_args!("record {} {{ {} }}", r.name, fields.join(", ")))?;
        }
        for c in &self.m.connectors {
            self.block(format_args!("connector {}", c.name), |p| {
                for (n, m) in &c.members {
                    let role = match m.role {
                        ConnectorRole::Potential => "potential",
                        ConnectorRole::Flow => "flow",
                        ConnectorRole::Stream => "stream",
                    };
                    let ty = format!("{}{}", p.ty(&m.decl.ty), p.shape(&m.decl.shape));
                    p.line(format_args!("{role} {n}: {ty}"))?;
                }
                Ok(())
            })?;
        }
        for (n, f) in self.m.functions.iter().enumerate() {
            self.function(n, f)?;
        }
        for c in &self.m.classes {
            self.class(c)?;
        }
        for s in &self.m.scenarios {
            self.scenario(s)?;
        }
        if let Some(c) = self.m.main.and_then(|c| self.m.classes.get(c.0 as usize)) {
            self.line(format_args!("main {}", c.name))?;
        }
        Ok(())
    }

    fn ty(&self, t: &Type) -> String {
        match t {
            Type::Real(Some(d)) if d.is_one() => "Real".into(),
            Type::Real(Some(d)) => format!("Real[{}]", d.customary()),
            Type::Real(None) => "Real[?]".into(),
            Type::Complex(Some(d)) => format!("Complex[{}]", d.customary()),
            Type::Complex(None) => "Complex[?]".into(),
            Type::Int => "Int".into(),
            Type::Bool => "Bool".into(),
            Type::String => "String".into(),
            Type::Timestamp => "Timestamp".into(),
            Type::Enum(id) => name(self.m.enums.get(id.0 as usize).map(|e| &*e.name)),
            Type::Record(id) => name(self.m.records.get(id.0 as usize).map(|r| &*r.name)),
            Type::Twin(id) => name(self.m.classes.get(id.0 as usize).map(|c| &*c.name)),
            Type::Table(t) => {
                let (x, y) = &**t;
                let one = |d: &Option<_>| self.ty(&Type::Real(d.clone()));
                format!("Table<{}, {}>", one(x), one(y))
            }
            Type::List(t) => format!("List<{}>", self.ty(t)),
            Type::Map(k, v) => format!("Map<{}, {}>", self.ty(k), self.ty(v)),
            Type::Optional(t) => format!("{}?", self.ty(t)),
            Type::Any => "Any".into(),
        }
    }

    fn shape(&self, s: &[Extent]) -> String {
        if s.is_empty() {
            return String::new();
        }
        let one = |e: &Extent| match e {
            Extent::Const(n) => n.to_string(),
            Extent::Formula(f) => self.expr(f),
            Extent::Inferred => "_".into(),
        };
        format!("[{}]", s.iter().map(one).collect::<Vec<_>>().join(", "))
    }

    fn class_use(&self, u: &ClassUse, params: &[(Name, crate::hir::ClassId)]) -> String {
        let mut out = match u.target {
            ClassTarget::Class(c) => name(self.m.classes.get(c.0 as usize).map(|c| &*c.name)),
            ClassTarget::Param(n) => {
                params.get(n as usize).map_or_else(|| format!("${n}"), |(p, _)| format!("${p}"))
            }
        };
        let mut args: Vec<String> = u.types.iter().map(|t| self.class_use(t, params)).collect();
        args.extend(u.values.iter().map(|(n, e)| format!("{n}: {}", self.expr(e))));
        if !args.is_empty() {
            let _ = write!(out, "<{}>", args.join(", "));
        }
        out
    }

    fn function(&mut self, n: usize, f: &Function) -> fmt::Result {
        let params: Vec<String> = f
            .params
            .iter()
            .map(|(l, t, s)| format!("{}: {}{}", self.local(l.0), self.ty(t), self.shape(s)))
            .collect();
        self.block(format_args!("func {}#{n}({})", f.name, params.join(", ")), |p| p.func_stmts(&f.body))
    }

    fn func_stmts(&mut self, body: &[FuncStmt]) -> fmt::Result {
        for s in body {
            match s {
                FuncStmt::Assign(l, e) => {
                    let (l, e) = (self.local(l.0), self.expr(e));
                    self.line(format_args!("{l} := {e}"))?;
                }
                FuncStmt::If(c, a, b) => {
                    let c = self.expr(c);
                    self.block(format_args!("if {c}"), |p| p.func_stmts(a))?;
                    if !b.is_empty() {
                        self.block(format_args!("else"), |p| p.func_stmts(b))?;
                    }
                }
                FuncStmt::For(r, b) => {
                    let r = self.range(r);
                    self.block(format_args!("for {r}"), |p| p.func_stmts(b))?;
                }
                FuncStmt::While(c, b) => {
                    let c = self.expr(c);
                    self.block(format_args!("while {c}"), |p| p.func_stmts(b))?;
                }
                FuncStmt::Return(e) => {
                    let e = self.expr(e);
                    self.line(format_args!("return {e}"))?;
                }
            }
        }
        Ok(())
    }

    fn class(&mut self, c: &Class) -> fmt::Result {
        let mut head = String::new();
        if c.partial {
            head.push_str("partial ");
        }
        if let Some(k) = &c.kind {
            let _ = write!(head, "{k} ");
        }
        let _ = write!(head, "twin {}", c.name);
        if !c.type_params.is_empty() {
            let list: Vec<String> = c
                .type_params
                .iter()
                .map(|(n, b)| format!("{n}: {}", name(self.m.classes.get(b.0 as usize).map(|c| &*c.name))))
                .collect();
            let _ = write!(head, "<{}>", list.join(", "));
        }
        self.block(format_args!("{head}"), |p| {
            if c.units_off {
                p.line(format_args!("units: off"))?;
            }
            for (n, m) in &c.members {
                match &m.kind {
                    MemberKind::Var(d) => p.var(n, d)?,
                    MemberKind::Port(d) => {
                        let connector = name(p.m.connectors.get(d.connector.0 as usize).map(|c| &*c.name));
                        let cond =
                            d.condition.as_ref().map_or(String::new(), |e| format!(" if {}", p.expr(e)));
                        let shape = p.shape(&d.shape);
                        p.line(format_args!("port {n}: {connector}{shape}{cond}"))?;
                    }
                    MemberKind::Twin(d) => {
                        let class = p.class_use(&d.class, &c.type_params);
                        let cond =
                            d.condition.as_ref().map_or(String::new(), |e| format!(" if {}", p.expr(e)));
                        let shape = p.shape(&d.shape);
                        p.line(format_args!("part {n}: {class}{shape}{cond}"))?;
                        p.indent += 1;
                        p.overrides(&d.overrides)?;
                        p.indent -= 1;
                    }
                    MemberKind::Machine => p.line(format_args!("machine {n}"))?,
                    MemberKind::Memory(_) => p.line(format_args!("memory {n}"))?,
                    MemberKind::Other(k) => p.line(format_args!("other {n}: {k:?}"))?,
                }
            }
            p.overrides(&c.own_overrides)?;
            p.equations("equation", &c.equations)?;
            p.equations("initial", &c.initial_equations)?;
            p.connections(&c.connections)?;
            for (n, _) in &c.requirements {
                p.line(format_args!("requirement {n}"))?;
            }
            for l in &c.later {
                p.line(format_args!("later {:?}", l.what))?;
            }
            Ok(())
        })
    }

    fn var(&mut self, n: &str, d: &VarDecl) -> fmt::Result {
        let section = match d.section {
            Section::ValueParam => "value",
            Section::Parameters => "parameter",
            Section::Inputs => "input",
            Section::Outputs => "output",
            Section::States => "state",
            Section::Variables => "variable",
        };
        let mut text = String::new();
        for (word, set) in [("final ", d.is_final), ("outer ", d.outer)] {
            if set {
                text.push_str(word);
            }
        }
        let _ = write!(text, "{section} {n}: {}{}", self.ty(&d.ty), self.shape(&d.shape));
        if let Some(q) = &d.quantity {
            let _ = write!(text, " ({q})");
        }
        if d.unit.symbol != d.si_unit {
            let _ = write!(text, " in {}", if d.unit.symbol.is_empty() { "1" } else { &d.unit.symbol });
        }
        if let Some(v) = &d.value {
            let _ = write!(text, " = {}", self.expr(v));
        }
        if let Some(g) = &d.guess {
            let _ = write!(text, " guess {}", self.expr(g));
        }
        if let Some(x) = &d.distribution {
            let _ = write!(text, " ~ {}", self.distribution(x));
        }
        for r in &d.ranges {
            let otherwise = match r.otherwise {
                RangeElse::Report => "",
                RangeElse::Stop => " else stop",
                RangeElse::Clamp => " else clamp",
            };
            let _ = write!(text, " where {}{otherwise}", self.expr(&r.cond));
        }
        self.line(format_args!("{text}"))
    }

    fn distribution(&self, d: &Distribution) -> String {
        let mut args: Vec<String> = d.parts.iter().map(|p| self.distribution(p)).collect();
        if let Some(s) = &d.samples {
            args.extend([format!("{:?}", s.file), column(&s.column, s.unit.as_ref())]);
        }
        args.extend(d.args.iter().map(|a| self.expr(a)));
        format!("{}({}{})", d.name, if d.relative { "relative " } else { "" }, args.join(", "))
    }

    fn overrides(&mut self, list: &[Override]) -> fmt::Result {
        for o in list {
            let mut text = format!("set {}", self.steps(&o.path));
            if let Some(v) = &o.value {
                let _ = write!(text, " {} {}", if o.guess { "guess" } else { "=" }, self.expr(v));
            }
            if let Some(d) = &o.distribution {
                let _ = write!(text, " ~ {}", self.distribution(d));
            }
            if !o.indices.is_empty() {
                let names: Vec<String> = o.indices.iter().map(|i| self.local(i.0)).collect();
                let _ = write!(text, " for {}", names.join(", "));
            }
            self.line(format_args!("{text}"))?;
        }
        Ok(())
    }

    fn equations(&mut self, word: &str, list: &[Equation]) -> fmt::Result {
        for e in list {
            match e {
                Equation::Equal { label, left, right, .. } => {
                    let label = label.as_ref().map_or(String::new(), |l| format!("{l}: "));
                    let (a, b) = (self.expr(left), self.expr(right));
                    self.line(format_args!("{word} {label}{a} = {b}"))?;
                }
                Equation::For { range, body, .. } => {
                    let r = self.range(range);
                    self.block(format_args!("for {r}"), |p| p.equations(word, body))?;
                }
                Equation::If { cond, then, otherwise, .. } => {
                    let c = self.expr(cond);
                    self.block(format_args!("if {c}"), |p| p.equations(word, then))?;
                    if !otherwise.is_empty() {
                        self.block(format_args!("else"), |p| p.equations(word, otherwise))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn connections(&mut self, list: &[Connection]) -> fmt::Result {
        for c in list {
            match c {
                Connection::Causal { from, to, .. } => {
                    let (a, b) = (self.expr(from), self.reference(to));
                    self.line(format_args!("connect {a} -> {b}"))?;
                }
                Connection::Event { .. } => self.line(format_args!("connect event"))?,
                Connection::Acausal { a, b, .. } => {
                    let (a, b) = (self.reference(a), self.reference(b));
                    self.line(format_args!("connect {a} -- {b}"))?;
                }
                Connection::For { range, body } => {
                    let r = self.range(range);
                    self.block(format_args!("for {r}"), |p| p.connections(body))?;
                }
                Connection::If { cond, body } => {
                    let c = self.expr(cond);
                    self.block(format_args!("if {c}"), |p| p.connections(body))?;
                }
            }
        }
        Ok(())
    }

    fn scenario(&mut self, s: &Scenario) -> fmt::Result {
        let class = self.class_use(&s.class, &[]);
        self.block(format_args!("scenario {} for {class}", s.name), |p| {
            if let Some(d) = &s.duration {
                let d = p.expr(d);
                p.line(format_args!("duration {d}"))?;
            }
            if let Some(x) = &s.solver {
                let args: Vec<String> = x.args.iter().map(|(n, e)| format!("{n}: {}", p.expr(e))).collect();
                p.line(format_args!("solver {}({})", x.method, args.join(", ")))?;
            }
            for (word, n) in [("seed", s.seed), ("samples", s.samples)] {
                if let Some(n) = n {
                    p.line(format_args!("{word} {n}"))?;
                }
            }
            if let Some((ns, zone)) = s.calendar {
                p.line(format_args!("calendar {ns} ns zone {zone} s"))?;
            }
            p.overrides(&s.parameters)?;
            for o in &s.starts {
                p.line(format_args!("start"))?;
                p.overrides(std::slice::from_ref(o))?;
            }
            for d in &s.drives {
                let target = p.reference(&d.target);
                let of = column(&d.column, d.unit.as_ref());
                p.line(format_args!(
                    "drive {target} from {:?} column {of} {:?} outside {:?}",
                    d.file, d.method, d.outside
                ))?;
            }
            for a in &s.actions {
                let t = p.expr(&a.time);
                p.block(format_args!("at {t}"), |p| p.actions(&a.body))?;
            }
            for b in &s.branches {
                let t = p.expr(&b.time);
                p.block(format_args!("branch {} at {t}", b.name), |p| {
                    p.actions(&b.body)?;
                    for a in &b.actions {
                        let t = p.expr(&a.time);
                        p.block(format_args!("at {t}"), |p| p.actions(&a.body))?;
                    }
                    p.expects(&b.expects)
                })?;
            }
            for r in &s.records {
                let targets: Vec<String> = r.targets.iter().map(|t| p.reference(t)).collect();
                let targets = if targets.is_empty() { "all".into() } else { targets.join(", ") };
                let every = r.every.as_ref().map_or(String::new(), |e| format!(" every {}", p.expr(e)));
                p.line(format_args!("record {targets}{every}"))?;
            }
            p.expects(&s.expects)?;
            for (path, level, _) in &s.fidelities {
                p.line(format_args!("fidelity {path} = {level}"))?;
            }
            Ok(())
        })
    }

    fn actions(&mut self, list: &[ActionStmt]) -> fmt::Result {
        for a in list {
            match a {
                ActionStmt::Assign(r, e, _) => {
                    let (r, e) = (self.reference(r), self.expr(e));
                    self.line(format_args!("{r} := {e}"))?;
                }
                ActionStmt::Force(r, e, _) => {
                    let (r, e) = (self.reference(r), self.expr(e));
                    self.line(format_args!("force {r} := {e}"))?;
                }
                ActionStmt::Release(r, _) => {
                    let r = self.reference(r);
                    self.line(format_args!("release {r}"))?;
                }
                ActionStmt::Send(s) => {
                    let text = match &s.kind {
                        StmtKind::Send(m) => self.sending(m),
                        StmtKind::Fail(e) => format!("fail {}", self.expr(e)),
                        StmtKind::Log(e) => format!("log {}", self.expr(e)),
                        StmtKind::Stop(None) => "stop".to_owned(),
                        StmtKind::Stop(Some(e)) => format!("stop {}", self.expr(e)),
                        _ => "later".to_owned(),
                    };
                    self.line(format_args!("{text}"))?;
                }
                ActionStmt::Later(_) => self.line(format_args!("later"))?,
            }
        }
        Ok(())
    }

    fn sending(&self, m: &Sending) -> String {
        let mut out = if m.answers.is_some() { "reply ".to_owned() } else { "send ".to_owned() };
        let one = |(name, e): &(Option<Name>, Expr)| match name {
            Some(n) => format!("{n}: {}", self.expr(e)),
            None => self.expr(e),
        };
        let _ = write!(out, "{}({})", m.message, m.args.iter().map(one).collect::<Vec<_>>().join(", "));
        for (word, e) in [("to", &m.to), ("after", &m.after), ("priority", &m.priority), ("ttl", &m.ttl)] {
            if let Some(e) = e {
                let _ = write!(out, " {word} {}", self.expr(e));
            }
        }
        out
    }

    fn expects(&mut self, list: &[(String, bool, crate::source::Span)]) -> fmt::Result {
        for (text, negated, _) in list {
            self.line(format_args!("expect {}{text}", if *negated { "not " } else { "" }))?;
        }
        Ok(())
    }

    fn local(&self, id: u32) -> String {
        format!("%{}.{id}", name(self.m.locals.get(id as usize).map(|n| &**n)))
    }

    fn range(&self, r: &ForRange) -> String {
        format!("{} in {}..{}", self.local(r.local.0), self.expr(&r.lo), self.expr(&r.hi))
    }

    fn reference(&self, r: &Ref) -> String {
        self.steps(&r.steps)
    }

    fn steps(&self, steps: &[Step]) -> String {
        let one = |s: &Step| format!("{}{}", s.name, self.subscripts(&s.subscripts));
        steps.iter().map(one).collect::<Vec<_>>().join(".")
    }

    fn subscripts(&self, subs: &[Subscript]) -> String {
        if subs.is_empty() {
            return String::new();
        }
        let one = |s: &Subscript| match s {
            Subscript::Index(e) => self.expr(e),
            Subscript::Slice(a, b) => {
                let end = |e: &Option<Expr>| e.as_ref().map_or(String::new(), |e| self.expr(e));
                format!("{}..{}", end(a), end(b))
            }
        };
        format!("[{}]", subs.iter().map(one).collect::<Vec<_>>().join(", "))
    }

    fn list(&self, args: &[Expr]) -> String {
        args.iter().map(|a| self.expr(a)).collect::<Vec<_>>().join(", ")
    }

    fn comprehension(&self, c: &Comprehension) -> String {
        let mut out = self.expr(&c.body);
        for l in &c.loops {
            let _ = write!(out, " for {}", self.range(l));
        }
        if let Some(f) = &c.filter {
            let _ = write!(out, " if {}", self.expr(f));
        }
        out
    }

    fn expr(&self, e: &Expr) -> String {
        match &e.kind {
            ExprKind::Real(x) => match &e.ty {
                Type::Real(Some(d)) if !d.is_one() => format!("{x:?}[{}]", d.customary()),
                _ => format!("{x:?}"),
            },
            ExprKind::Int(n) => n.to_string(),
            ExprKind::Bool(b) => b.to_string(),
            ExprKind::Str(s) => format!("{s:?}"),
            ExprKind::EnumValue(id, n) => {
                let e = self.m.enums.get(id.0 as usize);
                let value = e.and_then(|e| e.values.get(*n as usize)).map(|v| &**v);
                format!("{}.{}", name(e.map(|e| &*e.name)), name(value))
            }
            ExprKind::Time => "time".into(),
            ExprKind::Behavior(op) => format!("{op:?}"),
            ExprKind::Member(r) => self.reference(r),
            ExprKind::Start(r) => format!("{}.start", self.reference(r)),
            ExprKind::Local(l) => self.local(l.0),
            ExprKind::SelfValue => "self".into(),
            ExprKind::Der(a) => format!("der({})", self.expr(a)),
            ExprKind::Unary(UnOp::Neg, a) => format!("(-{})", self.expr(a)),
            ExprKind::Unary(UnOp::Not, a) => format!("(not {})", self.expr(a)),
            ExprKind::Binary(op, ..) => {
                // Chains that lean left are printed without recursion on the left.
                let mut parts = Vec::new();
                let mut at = e;
                while let ExprKind::Binary(o, a, b) = &at.kind {
                    parts.push((*o, b));
                    at = a;
                }
                let _ = op;
                let mut out = "(".repeat(parts.len());
                out.push_str(&self.expr(at));
                for (o, b) in parts.into_iter().rev() {
                    let _ = write!(out, " {} {})", bin_op(o), self.expr(b));
                }
                out
            }
            ExprKind::If(c, a, b) => {
                format!("(if {} then {} else {})", self.expr(c), self.expr(a), self.expr(b))
            }
            ExprKind::Call(f, args) => format!("{}({})", snake(&format!("{f:?}")), self.list(args)),
            ExprKind::CallFunc(f, args) => {
                let n = name(self.m.functions.get(f.0 as usize).map(|f| &*f.name));
                format!("{n}#{}({})", f.0, self.list(args))
            }
            ExprKind::CallTable(r, a) => format!("{}({})", self.reference(r), self.expr(a)),
            ExprKind::TableFile(t) => {
                let (x, y) = (column(&t.x.0, t.x.1.as_ref()), column(&t.y.0, t.y.1.as_ref()));
                format!("table({:?}, x: {x}, y: {y}, {:?}, {:?})", t.file, t.method, t.outside)
            }
            ExprKind::Array(items) => format!("[{}]", self.list(items)),
            ExprKind::Comprehension(c) => format!("[{}]", self.comprehension(c)),
            ExprKind::Index(a, subs) => format!("{}{}", self.expr(a), self.subscripts(subs)),
            ExprKind::Reduce(r, a) => format!("{}({})", snake(&format!("{r:?}")), self.expr(a)),
            ExprKind::ReduceOver(r, c) => format!("{}({})", snake(&format!("{r:?}")), self.comprehension(c)),
            ExprKind::Temporal(t) => {
                let window = t.window.as_ref().map(|(a, b)| format!("[{}, {}]", self.expr(a), self.expr(b)));
                let op = snake(&format!("{:?}", t.op));
                format!("{op}{}({})", window.unwrap_or_default(), self.list(&t.args))
            }
            ExprKind::Aggregate(a) => {
                let window = a.window.as_ref().map(|(a, b)| format!("[{}, {}]", self.expr(a), self.expr(b)));
                let over = format!("{} over {}", self.expr(&a.arg), window.unwrap_or_else(|| "run".into()));
                match &a.of {
                    crate::hir::Whole::AtEnd => format!("({} at end)", self.expr(&a.arg)),
                    crate::hir::Whole::Measure(m) => format!("{}({over})", snake(&format!("{m:?}"))),
                    crate::hir::Whole::Quantile(p) => format!("quantile({over}, {})", self.expr(p)),
                }
            }
            ExprKind::BehaviorOnly => "behavior".into(),
        }
    }
}

fn bin_op(op: BinOp) -> String {
    match op {
        BinOp::Add => "+".into(),
        BinOp::Sub => "-".into(),
        BinOp::Mul => "*".into(),
        BinOp::MatMul => "**".into(),
        BinOp::Div => "/".into(),
        BinOp::Pow => "^".into(),
        BinOp::Cmp(c) => match c {
            crate::hir::CmpOp::Eq => "==".into(),
            crate::hir::CmpOp::Ne => "!=".into(),
            crate::hir::CmpOp::Lt => "<".into(),
            crate::hir::CmpOp::Le => "<=".into(),
            crate::hir::CmpOp::Gt => ">".into(),
            crate::hir::CmpOp::Ge => ">=".into(),
        },
        BinOp::And => "and".into(),
        BinOp::Or => "or".into(),
        BinOp::Xor => "xor".into(),
        BinOp::Implies => "implies".into(),
    }
}

/// `WhiteNoise` as `white_noise`.
fn snake(word: &str) -> String {
    let mut out = String::new();
    for c in word.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// A name by number; ids of a complete model always have one.
fn name(found: Option<&str>) -> String {
    found.map_or_else(|| "?".to_owned(), str::to_owned)
}

fn join(names: &[Name], by: &str) -> String {
    names.iter().map(|n| &**n).collect::<Vec<_>>().join(by)
}

/// A column of a data file as the model names it: `"h" in cm`.
fn column(name: &str, unit: Option<&DisplayUnit>) -> String {
    let unit = unit.map_or(String::new(), |u| format!(" in {}", u.symbol));
    format!("{name:?}{unit}")
}
