//! The invariants of kernels and functions.

use super::{MAX_DEPTH, MAX_INDICES, Problem, VerifyError, extent};
use crate::ids::{FuncId, Index, OriginId, Value};
use crate::ir::{Affine, For, If, Kernel, Op, Place, Region, Space, Stmt, Ty};
use crate::program::Program;

/// What a kernel is for, and so which spaces it may touch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named after the kernels of a program")]
pub enum Role {
    Params,
    Initial,
    Rhs,
    Outputs,
    Roots,
    Update,
    History,
    Jvp,
    Jacobian,
    Residual,
    /// Tangent kernels of a block.
    Tangent,
    Action,
    /// Fused steps and whatever else a host adds: any space.
    Extra,
}

impl Role {
    /// Whether such a kernel may read the space. All may read what they may write.
    #[must_use]
    pub fn reads(self, space: Space) -> bool {
        let ordinary = matches!(
            space,
            Space::Time | Space::State | Space::Param | Space::Input | Space::Var | Space::Disc | Space::Der
        );
        self.writes(space)
            || match self {
                Role::Params => matches!(space, Space::Param),
                Role::Extra => true,
                Role::Jvp | Role::Tangent => ordinary || space.is_tangent(),
                _ => ordinary,
            }
    }

    /// Whether such a kernel may write the space.
    #[must_use]
    pub fn writes(self, space: Space) -> bool {
        match self {
            Role::Params => space == Space::Param,
            Role::Initial => {
                // Inputs: a default may be a formula of parameters.
                matches!(
                    space,
                    Space::State | Space::Var | Space::Disc | Space::Param | Space::Input | Space::Der
                )
            }
            Role::Rhs | Role::Outputs => matches!(space, Space::Der | Space::Var),
            Role::Roots => matches!(space, Space::Root | Space::Var | Space::Der),
            Role::Update => matches!(space, Space::Next | Space::Var | Space::Der),
            Role::History => matches!(space, Space::Hist | Space::Var | Space::Der),
            Role::Jvp => matches!(space, Space::TDer | Space::TVar | Space::Der | Space::Var),
            Role::Jacobian => {
                matches!(space, Space::Jac | Space::Var | Space::Der | Space::TVar | Space::TDer)
            }
            Role::Residual => {
                matches!(space, Space::Res | Space::Var | Space::Der | Space::State | Space::Param)
            }
            Role::Tangent => {
                matches!(
                    space,
                    Space::TRes | Space::TVar | Space::TDer | Space::Res | Space::Var | Space::Der
                )
            }
            Role::Action => {
                matches!(
                    space,
                    Space::Input | Space::Disc | Space::State | Space::Param | Space::Var | Space::Der
                )
            }
            Role::Extra => true,
        }
    }
}

/// Checks invariants 1–7 of one kernel.
pub fn verify_kernel(program: &Program, kernel: &Kernel, role: Role) -> Result<(), VerifyError> {
    Checker::new(program, kernel, Some(role), &[], program.functions.len())
        .and_then(|mut c| c.region(&kernel.body, 0))
        .map_err(|p| VerifyError::new(format!("kernel {}", kernel.name), p))
}

/// Checks invariants 1–7 of function `k` of the program.
pub fn verify_function(program: &Program, k: usize) -> Result<(), VerifyError> {
    let Some(function) = program.functions.get(k) else {
        return Err(VerifyError::new("program", Problem::NoSuchFunction(FuncId::new(k))));
    };
    Checker::new(program, &function.code, None, &function.params, k)
        .and_then(|mut c| {
            c.region(&function.code.body, 0)?;
            c.used(function.result).map(|_| ())
        })
        .map_err(|p| VerifyError::new(format!("function {}", function.code.name), p))
}

/// Terms rise strictly, name known indices, and have no zero strides.
pub(super) fn affine_form(
    affine: &Affine,
    range: impl Fn(usize) -> Option<(i64, i64)>,
) -> Result<(), Problem> {
    if affine.terms.windows(2).any(|w| w[0].0 >= w[1].0) || affine.terms.iter().any(|t| t.1 == 0) {
        return Err(Problem::AffineForm);
    }
    match affine.terms.iter().find(|t| range(t.0.index()).is_none()) {
        Some(t) => Err(Problem::IndexOutside(t.0)),
        None => Ok(()),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Loop {
    Unused,
    Open(i64, i64),
    Closed,
}

struct Checker<'a> {
    program: &'a Program,
    kernel: &'a Kernel,
    role: Option<Role>,
    params: &'a [Ty],
    /// Functions that may be called: those with a lower number.
    callable: usize,
    defined: Vec<bool>,
    visible: Vec<bool>,
    loops: Vec<Loop>,
    /// Whether an enclosing loop has no rounds: addresses in it are never computed.
    dead: usize,
    scope: Vec<Value>,
}

impl<'a> Checker<'a> {
    fn new(
        program: &'a Program,
        kernel: &'a Kernel,
        role: Option<Role>,
        params: &'a [Ty],
        callable: usize,
    ) -> Result<Self, Problem> {
        if kernel.indices > MAX_INDICES {
            return Err(Problem::TooManyIndices);
        }
        Ok(Self {
            program,
            kernel,
            role,
            params,
            callable,
            defined: vec![false; kernel.values.len()],
            visible: vec![false; kernel.values.len()],
            loops: vec![Loop::Unused; kernel.indices as usize],
            dead: 0,
            scope: Vec::new(),
        })
    }

    fn region(&mut self, region: &Region, depth: usize) -> Result<(), Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::TooDeep);
        }
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => {
                    self.op(*v)?;
                    self.define(*v)?;
                }
                Stmt::Store { place, value, origin } => {
                    self.origin(*origin)?;
                    let ty = self.used(*value)?;
                    if ty == Ty::I64 {
                        return Err(Problem::Stored(*value));
                    }
                    let Some(role) = self.role else { return Err(Problem::InFunction) };
                    if !role.writes(place.space) {
                        return Err(Problem::Written(place.space));
                    }
                    self.place(place, 1, 0)?;
                }
                Stmt::For(l) => self.for_loop(l, depth)?,
                Stmt::If(i) => self.branch(i, depth)?,
                Stmt::Solve(b) | Stmt::SolveTangent(b) => {
                    if self.role.is_none() {
                        return Err(Problem::InFunction);
                    }
                    if b.index() >= self.program.blocks.len() {
                        return Err(Problem::NoSuchBlock(*b));
                    }
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, mark: usize) {
        for v in self.scope.drain(mark..) {
            self.visible[v.index()] = false;
        }
    }

    fn for_loop(&mut self, l: &For, depth: usize) -> Result<(), Problem> {
        if l.lo > l.hi || l.hi.checked_sub(l.lo).is_none() {
            return Err(Problem::Loop);
        }
        match self.loops.get(l.index.index()) {
            None => return Err(Problem::NoSuchIndex(l.index)),
            Some(Loop::Unused) => {}
            Some(_) => return Err(Problem::IndexTaken(l.index)),
        }
        let mark = self.scope.len();
        for c in &l.carries {
            let ty = self.used(c.init)?;
            self.bound(c.var, ty, &Op::Carry)?;
        }
        for c in &l.carries {
            self.define(c.var)?;
        }
        self.loops[l.index.index()] = Loop::Open(l.lo, l.hi);
        self.dead += usize::from(l.lo == l.hi);
        self.region(&l.body, depth + 1)?;
        self.dead -= usize::from(l.lo == l.hi);
        self.loops[l.index.index()] = Loop::Closed;
        for c in &l.carries {
            let ty = self.ty(c.var)?;
            self.is(c.next, ty)?;
        }
        self.close(mark);
        for c in &l.carries {
            let ty = self.ty(c.var)?;
            self.bound(c.result, ty, &Op::Result)?;
            self.define(c.result)?;
        }
        Ok(())
    }

    fn branch(&mut self, i: &If, depth: usize) -> Result<(), Problem> {
        self.is(i.cond, Ty::Bool)?;
        let mark = self.scope.len();
        self.region(&i.then, depth + 1)?;
        for &(result, a, _) in &i.results {
            let ty = self.ty(result)?;
            self.is(a, ty)?;
        }
        self.close(mark);
        self.region(&i.otherwise, depth + 1)?;
        for &(result, _, b) in &i.results {
            let ty = self.ty(result)?;
            self.is(b, ty)?;
        }
        self.close(mark);
        for &(result, ..) in &i.results {
            let ty = self.ty(result)?;
            self.bound(result, ty, &Op::Result)?;
            self.define(result)?;
        }
        Ok(())
    }

    /// A carry or result of the right kind.
    fn bound(&self, v: Value, ty: Ty, op: &Op) -> Result<(), Problem> {
        let is = self.ty(v)?;
        if self.kernel.values[v.index()].op != *op {
            return Err(Problem::NotComputed(v));
        }
        if is == ty { Ok(()) } else { Err(Problem::Type { value: v, is, wanted: ty }) }
    }

    fn define(&mut self, v: Value) -> Result<(), Problem> {
        if self.defined[v.index()] {
            return Err(Problem::DefinedTwice(v));
        }
        self.defined[v.index()] = true;
        self.visible[v.index()] = true;
        self.scope.push(v);
        Ok(())
    }

    fn ty(&self, v: Value) -> Result<Ty, Problem> {
        self.kernel.values.get(v.index()).map(|d| d.ty).ok_or(Problem::NoSuchValue(v))
    }

    fn used(&self, v: Value) -> Result<Ty, Problem> {
        let ty = self.ty(v)?;
        if self.visible[v.index()] { Ok(ty) } else { Err(Problem::UsedBeforeDefinition(v)) }
    }

    fn is(&self, v: Value, wanted: Ty) -> Result<(), Problem> {
        let is = self.used(v)?;
        if is == wanted { Ok(()) } else { Err(Problem::Type { value: v, is, wanted }) }
    }

    fn origin(&self, o: OriginId) -> Result<(), Problem> {
        if o.index() < self.program.origins.len() { Ok(()) } else { Err(Problem::NoSuchOrigin(o)) }
    }

    fn range(&self, i: usize) -> Option<(i64, i64)> {
        match self.loops.get(i)? {
            Loop::Open(lo, hi) => Some((*lo, *hi)),
            _ => None,
        }
    }

    fn affine(&self, affine: &Affine) -> Result<(), Problem> {
        if let Some(t) = affine.terms.iter().find(|t| t.0.index() >= self.loops.len()) {
            return Err(Problem::NoSuchIndex(Index(t.0.0)));
        }
        affine_form(affine, |i| self.range(i))
    }

    /// An address of `len` elements `stride` apart.
    fn place(&self, place: &Place, len: u32, stride: i64) -> Result<(), Problem> {
        self.affine(&place.at)?;
        if self.dead > 0 || len == 0 {
            return Ok(());
        }
        let overflow = Problem::AddressOverflow(place.space);
        let (mut least, mut most) = extent(&place.at, |i| self.range(i)).ok_or(overflow.clone())?;
        let last = stride.checked_mul(i64::from(len) - 1).ok_or(overflow.clone())?;
        least = least.checked_add(last.min(0)).ok_or(overflow.clone())?;
        most = most.checked_add(last.max(0)).ok_or(overflow)?;
        let size = self.program.sizes.of(place.space);
        if least < 0 || most >= i64::from(size) {
            return Err(Problem::Address { space: place.space, least, most, size });
        }
        Ok(())
    }

    fn read(&self, place: &Place, len: u32, stride: i64) -> Result<(), Problem> {
        let Some(role) = self.role else { return Err(Problem::InFunction) };
        if !role.reads(place.space) {
            return Err(Problem::Read(place.space));
        }
        self.place(place, len, stride)
    }

    /// The operands and the result of the operation that defines `v`.
    fn op(&self, v: Value) -> Result<(), Problem> {
        let is = self.ty(v)?;
        let wanted = match &self.kernel.values[v.index()].op {
            Op::ConstF(_) => Ty::F64,
            Op::ConstI(_) => Ty::I64,
            Op::ConstB(_) => Ty::Bool,
            Op::Load(place) => {
                self.read(place, 1, 0)?;
                Ty::F64
            }
            Op::LoadAt { place, at, len, stride, origin } => {
                self.is(*at, Ty::I64)?;
                self.origin(*origin)?;
                self.read(place, *len, *stride)?;
                Ty::F64
            }
            Op::IndexI(a) => {
                self.affine(a)?;
                Ty::I64
            }
            Op::IndexF(a) => {
                self.affine(a)?;
                Ty::F64
            }
            Op::Un(_, a) => self.all(&[*a], Ty::F64, Ty::F64)?,
            Op::Bin(_, a, b) => self.all(&[*a, *b], Ty::F64, Ty::F64)?,
            Op::Fma(a, b, c) => self.all(&[*a, *b, *c], Ty::F64, Ty::F64)?,
            Op::Cmp(_, a, b) => self.all(&[*a, *b], Ty::F64, Ty::Bool)?,
            Op::CmpI(_, a, b) => self.all(&[*a, *b], Ty::I64, Ty::Bool)?,
            Op::BoolBin(_, a, b) => self.all(&[*a, *b], Ty::Bool, Ty::Bool)?,
            Op::Not(a) => self.all(&[*a], Ty::Bool, Ty::Bool)?,
            Op::Select(c, a, b) => {
                self.is(*c, Ty::Bool)?;
                self.all(&[*a, *b], is, is)?
            }
            Op::Int(_, a, b) => self.all(&[*a, *b], Ty::I64, Ty::I64)?,
            Op::BoolToF(a) => self.all(&[*a], Ty::Bool, Ty::F64)?,
            Op::FToBool(a) => self.all(&[*a], Ty::F64, Ty::Bool)?,
            Op::FToI(a) | Op::FToBits(a) => self.all(&[*a], Ty::F64, Ty::I64)?,
            Op::IToF(a) | Op::BitsToF(a) => self.all(&[*a], Ty::I64, Ty::F64)?,
            Op::Math(f, args) => {
                if args.len() != f.arity() {
                    return Err(Problem::ArgumentCount { given: args.len(), wanted: f.arity() });
                }
                self.all(args, Ty::F64, Ty::F64)?
            }
            Op::Call(f, args) => {
                let Some(function) = self.program.functions.get(f.index()) else {
                    return Err(Problem::NoSuchFunction(*f));
                };
                if f.index() >= self.callable {
                    return Err(Problem::CallOrder(*f));
                }
                if args.len() != function.params.len() {
                    return Err(Problem::ArgumentCount { given: args.len(), wanted: function.params.len() });
                }
                for (&a, &ty) in args.iter().zip(&function.params) {
                    self.is(a, ty)?;
                }
                match function.code.values.get(function.result.index()) {
                    Some(d) => d.ty,
                    None => return Err(Problem::NoSuchValue(function.result)),
                }
            }
            Op::Table { table, x, order } => {
                if table.index() >= self.program.tables.len() {
                    return Err(Problem::NoSuchTable(*table));
                }
                if *order > 2 {
                    return Err(Problem::Order(*order));
                }
                self.all(&[*x], Ty::F64, Ty::F64)?
            }
            Op::Delay { place, tau } => {
                if self.role.is_none() {
                    return Err(Problem::InFunction);
                }
                if place.space != Space::Hist {
                    return Err(Problem::Read(place.space));
                }
                self.place(place, 1, 0)?;
                self.all(&[*tau], Ty::F64, Ty::F64)?
            }
            Op::Arg(n) => match self.params.get(*n as usize) {
                Some(&ty) if ty == is => ty,
                _ => return Err(Problem::Argument(*n)),
            },
            Op::Carry | Op::Result => return Err(Problem::NotComputed(v)),
        };
        if is == wanted { Ok(()) } else { Err(Problem::Type { value: v, is, wanted }) }
    }

    fn all(&self, args: &[Value], wanted: Ty, result: Ty) -> Result<Ty, Problem> {
        for &a in args {
            self.is(a, wanted)?;
        }
        Ok(result)
    }
}
