//! Functions of the model: each is checked once for every combination of argument types that it is
//! called with, so a function without types serves every dimension.

use std::rc::Rc;

use crate::map::IndexMap;
use twinml_model::dimension::Dimension;

use super::assign::Target;
use super::expr::Opened;
use super::ty::{Ty, Val, is_number};
use super::words::article;
use super::{Checker, Cx, Local, Mode};
use crate::ast::{self, Arg, FuncBody, StmtKind};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::behavior::Op;
use crate::hir::{self, ClassId, Expr, ExprKind, Extent, FuncId, FuncStmt, Type};
use crate::resolve::ModuleId;
use crate::source::Span;

/// A function declaration and its checked instances.
#[derive(Debug)]
pub(super) struct FuncItem<'a> {
    pub(super) ast: &'a ast::Func,
    pub(super) module: ModuleId,
    /// The twin whose behaviour declares it.
    pub(super) class: Option<ClassId>,
    /// By the types of the arguments: `None` while its body is being checked.
    instances: IndexMap<String, Option<Instance<'a>>>,
}

#[derive(Clone, Debug)]
struct Instance<'a> {
    id: FuncId,
    /// `None` where the body has an error.
    result: Option<Ty<'a>>,
}

/// What a body's `return` must give.
#[derive(Clone, Debug)]
pub(super) struct Result_<'a> {
    pub(super) name: Rc<str>,
    pub(super) declared: Option<Ty<'a>>,
    pub(super) found: Option<Ty<'a>>,
}

impl<'a> FuncItem<'a> {
    pub(super) fn new(ast: &'a ast::Func, module: ModuleId, class: Option<ClassId>) -> FuncItem<'a> {
        FuncItem { ast, module, class, instances: IndexMap::default() }
    }
}

impl<'a> Checker<'a, '_> {
    /// Checks functions that nothing calls, with the types that they declare.
    pub(super) fn check_functions(&mut self) {
        for f in 0..self.funcs.len() as u32 {
            let item = &self.funcs[f as usize];
            if item.class.is_some() || !item.instances.is_empty() {
                continue;
            }
            let (ast, module) = (item.ast, item.module);
            let mut cx = Cx::new(module, None, Mode::Function);
            let mut types = Vec::new();
            for p in &ast.params {
                let ty = match &p.ty {
                    Some(t) => self.ty(&mut cx, t),
                    None => Some(Ty::any()),
                };
                types.push(ty);
            }
            if let Some(types) = types.into_iter().collect::<Option<Vec<Ty<'a>>>>() {
                self.instance(f, types, ast.name.span);
            }
        }
    }

    /// A call of a function that the model defines.
    pub(super) fn call_user(
        &mut self,
        cx: &mut Cx<'a>,
        f: u32,
        name: &ast::Name,
        args: &'a [Arg],
        span: Span,
    ) -> Option<Val> {
        let item = &self.funcs[f as usize];
        let (func, module, class) = (item.ast, item.module, item.class);
        let mut slots: Vec<Option<&'a ast::Expr>> = vec![None; func.params.len()];
        let mut ok = true;
        for (i, a) in args.iter().enumerate() {
            let at = match &a.name {
                Some(n) => func.params.iter().position(|p| p.name.text == n.text),
                None => (i < slots.len()).then_some(i),
            };
            let Some(at) = at else {
                let d = match &a.name {
                    Some(n) => {
                        let message = format!("`{}` has no argument `{}`", name.as_str(), n.as_str());
                        let mut d = Diagnostic::new(codes::UNKNOWN_ARGUMENT, n.span, message);
                        d.help = did_you_mean(n.as_str(), func.params.iter().map(|p| p.name.as_str()));
                        d
                    }
                    None => self.wrong_count(name.as_str(), func, args.len(), span),
                };
                self.say(d.label(func.head, "declared here"));
                self.args_any(cx, args);
                return None;
            };
            if slots[at].is_some() {
                let message = format!("the argument `{}` is given twice", func.params[at].name.as_str());
                self.say(Diagnostic::new(codes::UNKNOWN_ARGUMENT, a.span, message));
                ok = false;
            }
            slots[at] = Some(&a.value);
        }
        let mut types: Vec<Option<Ty<'a>>> = Vec::new();
        let mut exprs: Vec<Option<Expr>> = Vec::new();
        let mut callee_cx = Cx::new(module, class, Mode::Behavior);
        for (p, given) in func.params.iter().zip(&slots) {
            let declared = match &p.ty {
                Some(t) => match self.ty(&mut callee_cx, t) {
                    Some(ty) => Some(ty),
                    None => {
                        ok = false;
                        None
                    }
                },
                None => None,
            };
            let v = match (given, &p.default) {
                (Some(e), _) => self.expr(cx, e),
                (None, Some(d)) => {
                    let mut own = Cx::new(module, None, Mode::Function);
                    match &declared {
                        Some(ty) => {
                            let t = Target { name: p.name.as_str(), span: Some(p.name.span) };
                            self.value_for(&mut own, d, ty, t).map(Val::of)
                        }
                        None => self.expr(&mut own, d),
                    }
                }
                (None, None) => {
                    let d = self.wrong_count(name.as_str(), func, args.len(), span);
                    self.say(d.label(func.head, "declared here"));
                    ok = false;
                    None
                }
            };
            let fitted = match (v, declared) {
                (Some(v), Some(ty)) if p.ty.is_some() => {
                    let t = Target { name: p.name.as_str(), span: Some(p.name.span) };
                    let v = self.argument_fits(v, &ty, t);
                    // A vector of any length: `Real[1][n]` where the function does not know `n`.
                    v.map(|v| {
                        let shape = if v.e.shape.is_empty() { ty.shape.clone() } else { v.e.shape.clone() };
                        (v.e, ty.shaped(shape))
                    })
                }
                (Some(v), None) if p.ty.is_none() => {
                    let mut ty = v.to_ty();
                    if ty.base == Type::Int && v.lit != super::ty::Lit::No {
                        // `f(2)` of a function without types is meant for numbers.
                        ty.base = Type::Real(Some(Dimension::ONE));
                    }
                    Some((v.e, ty))
                }
                _ => None,
            };
            ok &= fitted.is_some();
            let (e, ty) = fitted.map_or((None, None), |(e, t)| (Some(e), Some(t)));
            exprs.push(e);
            types.push(ty);
        }
        if !ok {
            return None;
        }
        if class.is_some() && cx.mode == Mode::Behavior {
            // Behaviour's functions are checked where they stand.
            let result = match &func.result {
                Some(t) => self.ty(&mut callee_cx, t)?,
                None => Ty::any(),
            };
            let exprs: Vec<Expr> = exprs.into_iter().collect::<Option<_>>()?;
            let op = Op::Call(Rc::from(func.name.as_str()), exprs);
            return Some(Val::typed(ExprKind::Behavior(Rc::new(op)), &result, span));
        }
        let types: Vec<Ty<'a>> = types.into_iter().collect::<Option<_>>()?;
        let exprs: Vec<Expr> = exprs.into_iter().collect::<Option<_>>()?;
        let inst = self.instance(f, types, span)?;
        let ty = inst.result?;
        Some(Val::typed(ExprKind::CallFunc(inst.id, exprs), &ty, span))
    }

    /// An argument for a declared parameter: shapes may be those of the caller where sizes are formulas.
    fn argument_fits(&mut self, v: Val, ty: &Ty<'a>, t: Target<'_>) -> Option<Val> {
        if ty.shape.is_empty() && !v.e.shape.is_empty() && is_number(&ty.base) {
            // A scalar function works elementwise: the call does, too; kept as one call of arrays.
            return self.fits_type(v, ty, t);
        }
        self.fits(v, ty, t)
    }

    fn wrong_count(&self, name: &str, func: &ast::Func, n: usize, span: Span) -> Diagnostic {
        let most = func.params.len();
        let least = func.params.iter().filter(|p| p.default.is_none()).count();
        let want = if least == most { most.to_string() } else { format!("{least} to {most}") };
        let message =
            format!("`{name}` takes {want} argument{}, not {n}", if want == "1" { "" } else { "s" });
        Diagnostic::new(codes::ARGUMENT_COUNT, span, message)
    }

    /// The function checked for these argument types.
    fn instance(&mut self, f: u32, types: Vec<Ty<'a>>, span: Span) -> Option<Instance<'a>> {
        let key: String = types
            .iter()
            .map(|t| format!("{:?}{:?}{:?}{:?};", t.base, t.temp, t.nature, shape_key(&t.shape)))
            .collect();
        let item = &self.funcs[f as usize];
        let (func, module) = (item.ast, item.module);
        match item.instances.get(&key) {
            Some(Some(i)) => return Some(i.clone()),
            Some(None) => {
                let message = format!("`{}` calls itself", func.name.as_str());
                let d = Diagnostic::new(codes::RECURSIVE_FUNCTION, span, message);
                self.say(
                    d.here("this call").label(func.head, "declared here").help(
                        "write a loop: equations need functions that end after a known number of steps",
                    ),
                );
                return None;
            }
            None => {}
        }
        self.funcs[f as usize].instances.insert(key.clone(), None);
        let id = FuncId(self.model.functions.len() as u32);
        let name: Rc<str> = Rc::from(func.name.as_str());
        let empty =
            hir::Function { name: name.clone(), params: Vec::new(), body: Vec::new(), span: func.name.span };
        self.model.functions.push(empty);
        let mut cx = Cx::new(module, None, Mode::Function);
        let mut params = Vec::new();
        for (p, ty) in func.params.iter().zip(types) {
            let mut local = self.local(p.name.as_str(), ty.clone(), p.name.span);
            local.read = true;
            params.push((local.id, ty.base, ty.shape));
            cx.locals.push(local);
        }
        let mut broken = false;
        let declared = match &func.result {
            Some(t) => {
                let ty = self.ty(&mut cx, t);
                broken = ty.is_none();
                ty
            }
            None => None,
        };
        let before = self.diags.error_count();
        cx.result = Some(Result_ { name, declared: declared.clone(), found: None });
        let body = match &func.body {
            FuncBody::Expr(e) => self.return_value(&mut cx, e).map(|e| vec![FuncStmt::Return(e)]),
            FuncBody::Block(b) => {
                let body = self.block(&mut cx, b);
                if !always_returns(b) && self.diags.error_count() == before {
                    let message = format!("`{}` may end without a result", func.name.as_str());
                    let d = Diagnostic::new(codes::BAD_RETURN, func.head, message);
                    self.say(d.help("end every way through it with `return …`"));
                    None
                } else {
                    body
                }
            }
        };
        self.unread_locals(&cx, 0, &[]);
        let found = cx.result.and_then(|r| r.found);
        let result = if broken || body.is_none() { None } else { declared.or(found) };
        self.model.functions[id.0 as usize].params = params;
        self.model.functions[id.0 as usize].body = body.unwrap_or_default();
        let inst = Instance { id, result };
        self.funcs[f as usize].instances.insert(key, Some(inst.clone()));
        Some(inst)
    }

    /// The checked value of `return e`.
    fn return_value(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Expr> {
        let result = cx.result.clone()?;
        if let Some(ty) = &result.declared {
            let v = self.value_for(cx, e, ty, Target { name: "the result", span: None })?;
            return Some(v);
        }
        let v = self.expr(cx, e)?;
        let ty = v.to_ty();
        let clash = match &result.found {
            Some(old) if old.base != ty.base || old.shape.len() != ty.shape.len() => {
                let numbers =
                    is_number(&old.base) && is_number(&ty.base) && old.dimension() == ty.dimension();
                !numbers || old.shape.len() != ty.shape.len()
            }
            _ => false,
        };
        if clash {
            let (x, y) =
                (result.found.as_ref().map(|t| t.describe(&self.units, &self.model)), self.describe_val(&v));
            let x = x.unwrap_or_default();
            let message = format!(
                "`{}` returns {} {x} in one place and {} {y} here",
                result.name,
                article(&x),
                article(&y)
            );
            self.say(Diagnostic::new(codes::BAD_RETURN, e.span, message));
            return None;
        }
        if let Some(r) = &mut cx.result {
            let real = matches!(ty.base, Type::Real(_));
            if r.found.is_none() || real {
                r.found = Some(ty);
            }
        }
        Some(v.e)
    }

    fn block(&mut self, cx: &mut Cx<'a>, b: &'a ast::Block) -> Option<Vec<FuncStmt>> {
        let all: Vec<Option<FuncStmt>> = b.stmts.iter().map(|s| self.func_stmt(cx, s)).collect();
        all.into_iter().collect()
    }

    /// A statement of a function that equations may call.
    fn func_stmt(&mut self, cx: &mut Cx<'a>, s: &'a ast::Stmt) -> Option<FuncStmt> {
        match &s.kind {
            StmtKind::Error => None,
            StmtKind::Return(Some(e)) => self.return_value(cx, e).map(FuncStmt::Return),
            StmtKind::Return(None) => {
                let d = Diagnostic::new(
                    codes::BAD_RETURN,
                    s.span,
                    "a function that equations call returns a value",
                );
                self.say(d);
                None
            }
            StmtKind::Local { name, ty, value } => {
                let ty = self.ty(cx, ty)?;
                let e =
                    self.value_for(cx, value, &ty, Target { name: name.as_str(), span: Some(name.span) })?;
                let mut local = self.local(name.as_str(), ty, name.span);
                local.assigned = true;
                let id = local.id;
                cx.locals.push(local);
                Some(FuncStmt::Assign(id, e))
            }
            StmtKind::Assign { target, value } => {
                let Some(n) = target.as_name() else {
                    let d = Diagnostic::new(
                        codes::NOT_ASSIGNABLE,
                        target.span,
                        "a function sets its own locals only",
                    );
                    self.say(d);
                    return None;
                };
                let known = cx
                    .locals
                    .iter()
                    .rev()
                    .find(|l| *l.name == *n.text)
                    .map(|l| (l.id, l.ty.clone(), l.alias.is_some()));
                match known {
                    Some((_, _, true)) => {
                        let d =
                            Diagnostic::new(codes::NOT_ASSIGNABLE, n.span, "a loop's value cannot be set");
                        self.say(d);
                        None
                    }
                    Some((id, ty, false)) => {
                        let e = self.value_for(cx, value, &ty, Target { name: n.as_str(), span: None })?;
                        Some(FuncStmt::Assign(id, e))
                    }
                    None => {
                        let v = self.expr(cx, value)?;
                        let mut ty = v.to_ty();
                        // `acc = 0` is the start of a sum of anything; its first use decides.
                        if v.lit != super::ty::Lit::No && ty.base == Type::Int {
                            ty.base = Type::Real(Some(Dimension::ONE));
                        }
                        let mut local: Local<'a> = self.local(n.as_str(), ty, n.span);
                        local.assigned = true;
                        let id = local.id;
                        cx.locals.push(local);
                        Some(FuncStmt::Assign(id, v.e))
                    }
                }
            }
            StmtKind::If { arms, otherwise } => {
                let mut checked = Vec::new();
                for (c, b) in arms {
                    let c = self.condition(cx, c);
                    let b = self.block(cx, b);
                    checked.push((c, b));
                }
                let mut rest = match otherwise {
                    Some(b) => self.block(cx, b)?,
                    None => Vec::new(),
                };
                while let Some((c, b)) = checked.pop() {
                    rest = vec![FuncStmt::If(c?.e, b?, rest)];
                }
                rest.pop()
            }
            StmtKind::For { vars, iter, cond, body } => {
                let depth = cx.locals.len();
                let opened = self.open_loop(cx, vars, iter);
                let filter = match (&opened, cond) {
                    (Some(_), Some(c)) => Some(self.condition(cx, c)),
                    _ => None,
                };
                let inner = self.block(cx, body);
                // Names of the loop end with it; locals that the body made stay known after it.
                let loop_names = match &opened {
                    Some(Opened::Range(..)) => {
                        cx.locals[depth..].iter().filter(|l| !l.assigned).map(|l| l.id).collect::<Vec<_>>()
                    }
                    _ => Vec::new(),
                };
                cx.locals.retain(|l| !loop_names.contains(&l.id));
                match opened? {
                    Opened::Range(range, _) => {
                        let mut inner = inner?;
                        if let Some(c) = filter {
                            inner = vec![FuncStmt::If(c?.e, inner, Vec::new())];
                        }
                        Some(FuncStmt::For(range, inner))
                    }
                    Opened::Each(..) | Opened::Twins(..) => {
                        self.misplaced(
                            iter.span,
                            "a loop over a collection",
                            "functions of equations loop over ranges and arrays",
                        );
                        None
                    }
                }
            }
            StmtKind::While { cond, body } => {
                let c = self.condition(cx, cond);
                let b = self.block(cx, body);
                Some(FuncStmt::While(c?.e, b?))
            }
            _ => {
                self.misplaced(
                    s.span,
                    "this statement",
                    "a function that equations call computes a value and does nothing else",
                );
                None
            }
        }
    }
}

fn shape_key(shape: &[Extent]) -> Vec<Option<u32>> {
    shape
        .iter()
        .map(|e| match e {
            Extent::Const(n) => Some(*n),
            _ => None,
        })
        .collect()
}

/// Whether every way through a block ends with `return`, or ends the run.
pub(super) fn always_returns(b: &ast::Block) -> bool {
    b.stmts.iter().any(|s| match &s.kind {
        StmtKind::Return(_) | StmtKind::Fail(_) | StmtKind::Stop(_) | StmtKind::Error => true,
        // What fits no arm fails there.
        StmtKind::Match { arms, .. } => arms.iter().all(|a| always_returns(&a.body)),
        StmtKind::If { arms, otherwise: Some(o) } => {
            arms.iter().all(|(_, b)| always_returns(b)) && always_returns(o)
        }
        // `while true { … return … }` has no other way out.
        StmtKind::While { cond, .. } => matches!(cond.kind, ast::ExprKind::Bool(true)),
        _ => false,
    })
}
