//! Reading the items of a program around its kernels.

use super::lexer::Token;
use super::names::{CMP, METHODS, OUTSIDE, ROLES, TYPES, Words, thing};
use super::read::{Problem, ReadError, Reader};
use crate::ids::{EnumId, VarId};
use crate::ir::Space;
use crate::ir::{Function, Kernel};
use crate::program::{
    Block, Clamp, EntryFamily, Jacobian, Noise, Origin, Program, Projection, Range, RangeElse, Relation,
    RelationKind, Sizes, SlotRun, Table, Watch,
};
use crate::schema::{DisplayUnit, EnumType, Kind, Segment, Variable};

impl Reader {
    pub(super) fn program(&mut self) -> Result<Program, ReadError> {
        self.word("program")?;
        let mut p = Program { name: self.text()?, ..Program::default() };
        // what a program has once: a second one would take the place of the first without a word
        let mut seen = Vec::new();
        while *self.peek() != Token::End {
            let unknown = self.expected("an item of a program");
            let item = self.any_word("an item of a program")?;
            let once = match (item.as_str(), self.peek()) {
                ("sizes" | "behavior" | "kept" | "jacobian", _) => Some(item.clone()),
                ("default" | "kernel", Token::Word(which)) => Some(format!("{item} {which}")),
                _ => None,
            };
            if let Some(once) = once {
                if seen.contains(&once) {
                    return Err(ReadError { problem: Problem::Again(once), ..unknown });
                }
                seen.push(once);
            }
            match item.as_str() {
                "sizes" => p.sizes = self.sizes()?,
                "default" => {
                    let at = self.expected("param, input, disc, var or state");
                    let name = self.any_word("param, input, disc, var or state")?;
                    let space = Space::ALL.into_iter().find(|s| s.name() == name);
                    let Some(fills) = space.and_then(|s| p.defaults.of_mut(s)) else { return Err(at) };
                    *fills = self.fills()?;
                }
                "file" => p.files.push(self.text()?),
                "behavior" => p.behavior = self.behavior()?,
                "draw" => p.draws.families.push(self.draw()?),
                "correlate" => p.draws.correlations.push(self.correlate()?),
                "origin" => {
                    let file = self.u32()?;
                    let lo = self.u32()?;
                    self.token(&Token::Dots, "..")?;
                    let hi = self.u32()?;
                    self.word("line")?;
                    let line = self.u32()?;
                    p.origins.push(Origin { file, lo, hi, line, text: self.text()? });
                }
                "enum" => {
                    let name = self.text()?;
                    let mut values = Vec::new();
                    self.mark('[', "[")?;
                    while !self.is_mark(']') {
                        if !values.is_empty() {
                            self.mark(',', ", or ]")?;
                        }
                        values.push(self.text()?);
                    }
                    p.schema.enums.push(EnumType { name, values });
                }
                "var" => {
                    let v = self.variable()?;
                    p.schema.vars.push(v);
                }
                "relation" => {
                    let r = self.relation()?;
                    p.relations.push(r);
                }
                "table" => {
                    let t = self.table()?;
                    p.tables.push(t);
                }
                "function" => {
                    let f = self.function()?;
                    p.functions.push(f);
                }
                "range" => p.ranges.push(self.range()?),
                "clamp" => p.clamps.push(self.clamp()?),
                "noise" => p.noise.push(self.noise()?),
                "kept" => p.kept = Some(self.kept()?),
                "kernel" => self.named_kernel(&mut p)?,
                "jacobian" => p.jacobian = Some(self.jacobian()?),
                "block" => {
                    let b = self.block()?;
                    p.blocks.push(b);
                }
                _ => return Err(unknown),
            }
        }
        Ok(p)
    }

    /// `VAR FIRST root|param SLOT [for ROUNDS by STRIDE]… [stop] @ORIGIN`
    fn range(&mut self) -> Result<Range, ReadError> {
        let var = VarId(self.u32()?);
        let first = self.u32()?;
        let watch = if self.is_word("root") {
            Watch::Root(self.u32()?)
        } else {
            self.word("param")?;
            Watch::Param(self.u32()?)
        };
        let (mut nest, mut len) = (Vec::new(), 1u32);
        while self.is_word("for") {
            let rounds = self.u32()?;
            self.word("by")?;
            nest.push((rounds, self.i64()?));
            len = len.saturating_mul(rounds);
        }
        let otherwise = if self.is_word("stop") { RangeElse::Stop } else { RangeElse::Report };
        Ok(Range { var, first, nest, watch, len, otherwise, origin: self.origin()? })
    }

    /// `VAR [lo PARAM] [hi PARAM] [low DISC] [high DISC] @ORIGIN`
    fn clamp(&mut self) -> Result<Clamp, ReadError> {
        let var = VarId(self.u32()?);
        let mut slot = |word: &str| if self.is_word(word) { self.u32().map(Some) } else { Ok(None) };
        let (lo, hi, low, high) = (slot("lo")?, slot("hi")?, slot("low")?, slot("high")?);
        Ok(Clamp { var, lo, hi, low, high, origin: self.origin()? })
    }

    /// `STATE VAR … by @ORIGIN …`
    fn kept(&mut self) -> Result<Projection, ReadError> {
        let mut out = Projection::default();
        while !self.is_word("by") {
            out.states.push((self.u32()?, self.u32()?));
        }
        while *self.peek() == Token::Mark('@') {
            out.origins.push(self.origin()?);
        }
        Ok(out)
    }

    fn named_kernel(&mut self, p: &mut Program) -> Result<(), ReadError> {
        let unknown = self.expected("the name of a kernel");
        let name = self.any_word("the name of a kernel")?;
        let slot = match name.as_str() {
            "params" => &mut p.params,
            "initial" => &mut p.initial,
            "rhs" => &mut p.rhs,
            "outputs" => &mut p.outputs,
            "roots" => &mut p.roots,
            "update" => &mut p.update,
            "history" => &mut p.history,
            "projection" => &mut p.projection,
            "jvp" => p.jvp.insert(Kernel::default()),
            "drawn" => p.draws.params.insert(Kernel::default()),
            _ => return Err(unknown),
        };
        *slot = self.kernel()?;
        Ok(())
    }

    fn sizes(&mut self) -> Result<Sizes, ReadError> {
        let mut s = Sizes::default();
        for (name, slot) in [
            ("state", &mut s.state),
            ("param", &mut s.param),
            ("input", &mut s.input),
            ("var", &mut s.var),
            ("disc", &mut s.disc),
            ("root", &mut s.root),
            ("res", &mut s.res),
            ("jac", &mut s.jac),
            ("hist", &mut s.hist),
        ] {
            self.word(name)?;
            *slot = self.u32()?;
        }
        Ok(s)
    }

    fn one_of<T: Copy>(&mut self, list: &Words<T>, what: &'static str) -> Result<T, ReadError> {
        let at = self.expected(what);
        let word = self.any_word(what)?;
        thing(list, &word).ok_or(at)
    }

    fn path(&mut self) -> Result<Vec<Segment>, ReadError> {
        let mut path = Vec::new();
        while matches!(self.peek(), Token::Text(_)) {
            let name = self.text()?;
            let mut axes = Vec::new();
            while self.is_mark('[') {
                axes.push(self.u32()?);
                self.mark(']', "]")?;
            }
            path.push(Segment { name, axes });
        }
        Ok(path)
    }

    /// `INPUT path SEGMENT… first NUMBER… @ORIGIN`
    fn noise(&mut self) -> Result<Noise, ReadError> {
        let input = self.u32()?;
        self.word("path")?;
        let path = self.path()?;
        let axes = path.iter().flat_map(|s| s.axes.iter());
        let len = axes.fold(1u32, |n, a| n.saturating_mul(*a));
        self.word("first")?;
        let mut first = Vec::new();
        while matches!(self.peek(), Token::Number(_)) {
            first.push(self.u32()?);
        }
        Ok(Noise { input, len, path, first, origin: self.origin()? })
    }

    fn variable(&mut self) -> Result<Variable, ReadError> {
        let role = self.one_of(ROLES, "a role")?;
        let at = self.expected("real, int, bool or enum");
        let kind = match self.any_word("real, int, bool or enum")?.as_str() {
            "real" => Kind::Real,
            "int" => Kind::Int,
            "bool" => Kind::Bool,
            "enum" => Kind::Enum(EnumId(self.u32()?)),
            _ => return Err(at),
        };
        let space = self.space()?;
        let base = self.u32()?;
        self.word("len")?;
        let len = self.u32()?;
        self.word("path")?;
        let path = self.path()?;
        self.word("unit")?;
        let symbol = self.text()?;
        let unit = DisplayUnit { symbol, scale: self.number()?, offset: self.number()? };
        self.word("si")?;
        let si_unit = self.text()?;
        self.word("nominal")?;
        let nominal = self.number()?;
        let origin = self.origin()?;
        let quantity = if self.is_word("quantity") { Some(self.text()?) } else { None };
        let range = if self.is_word("range") { Some((self.number()?, self.number()?)) } else { None };
        let description = if self.is_word("description") { Some(self.text()?) } else { None };
        Ok(Variable {
            path,
            role,
            kind,
            space,
            base,
            len,
            unit,
            si_unit,
            quantity,
            description,
            nominal,
            origin,
            range,
        })
    }

    fn relation(&mut self) -> Result<Relation, ReadError> {
        let kind = if self.is_word("step") {
            RelationKind::Step
        } else {
            RelationKind::Compare(self.one_of(CMP, "a comparison or step")?)
        };
        self.word("disc")?;
        let disc = self.u32()?;
        self.word("root")?;
        let root = self.u32()?;
        self.word("len")?;
        let len = self.u32()?;
        Ok(Relation { kind, disc, root, len, origin: self.origin()? })
    }

    fn table(&mut self) -> Result<Table, ReadError> {
        let name = self.text()?;
        let method = self.one_of(METHODS, "a method")?;
        let outside = self.one_of(OUTSIDE, "a rule outside")?;
        let of_time = self.is_word("of_time");
        self.word("x")?;
        let x = self.numbers()?;
        self.word("y")?;
        let y = self.numbers()?;
        Ok(Table { name, x, y, method, outside, of_time })
    }

    fn function(&mut self) -> Result<Function, ReadError> {
        self.mark('(', "(")?;
        let mut params = Vec::new();
        while !self.is_mark(')') {
            if !params.is_empty() {
                self.mark(',', ", or )")?;
            }
            params.push(self.one_of(TYPES, "a type: f, i or b")?);
        }
        self.token(&Token::Arrow, "->")?;
        let result = self.value()?;
        self.word("kernel")?;
        Ok(Function { params, code: self.kernel()?, result })
    }

    fn jacobian(&mut self) -> Result<Jacobian, ReadError> {
        let rows = self.u32()?;
        self.word("x")?;
        let cols = self.u32()?;
        self.word("entries")?;
        let entries = self.u32()?;
        self.mark('{', "{")?;
        let mut families = Vec::new();
        while self.is_word("family") {
            let mut loops = Vec::new();
            while !self.is_word("row") {
                let lo = self.i64()?;
                self.token(&Token::Dots, "..")?;
                loops.push((lo, self.i64()?));
            }
            let row = self.affine()?;
            self.word("col")?;
            let col = self.affine()?;
            self.word("slot")?;
            families.push(EntryFamily { loops, row, col, slot: self.affine()? });
        }
        self.word("kernel")?;
        let kernel = self.kernel()?;
        self.mark('}', "}")?;
        Ok(Jacobian { rows, cols, entries, families, kernel })
    }

    fn block(&mut self) -> Result<Block, ReadError> {
        let n = self.u32()?;
        let linear = self.is_word("linear");
        let initial_only = self.is_word("initial");
        let careful = self.is_word("careful");
        self.mark('{', "{")?;
        let mut unknowns = Vec::new();
        while self.is_word("unknowns") {
            let space = self.space()?;
            let base = self.u32()?;
            self.word("len")?;
            unknowns.push(SlotRun { space, base, len: self.u32()? });
        }
        let mut origins = Vec::new();
        while self.is_word("residual_origin") {
            let k = self.u32()?;
            origins.push((k, self.origin()?));
        }
        self.word("kernel")?;
        self.word("residual")?;
        let residual = self.kernel()?;
        let jacobian = if self.is_word("jacobian") { Some(self.jacobian()?) } else { None };
        let (mut tangent, mut inner_tangent) = (None, None);
        while self.is_word("kernel") {
            if self.is_word("tangent") {
                tangent = Some(self.kernel()?);
            } else {
                self.word("inner")?;
                inner_tangent = Some(self.kernel()?);
            }
        }
        self.mark('}', "}")?;
        Ok(Block {
            unknowns,
            n,
            linear,
            residual,
            jacobian,
            tangent,
            inner_tangent,
            origins,
            initial_only,
            careful,
        })
    }
}
