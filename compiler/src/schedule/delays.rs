//! `delay(e, tau)`: what is delayed becomes a family of its own, whose history the engine keeps.

use super::relations::HIDDEN;
use crate::flat::{Affine, Equation, Expr, Loop, Role, System, Var};
use crate::structural::{expr, sets};
use twinml_model::ids::VarId;
use twinml_model::schema::{Kind, Segment};

/// Replaces every delayed expression by a hidden family, and returns these families.
pub fn extract(system: &mut System) -> Vec<VarId> {
    let mut equations = std::mem::take(&mut system.equations);
    let mut out = Vec::new();
    let mut added = Vec::new();
    for e in &mut equations {
        if !has_delay(&e.left) && !has_delay(&e.right) {
            continue;
        }
        let mut c =
            Context { system, loops: e.loops.clone(), out: &mut out, added: &mut added, template: e.clone() };
        let (left, right) = (c.go(&e.left), c.go(&e.right));
        e.left = left;
        e.right = right;
    }
    equations.extend(added);
    system.equations = equations;
    out
}

struct Context<'a> {
    system: &'a mut System,
    loops: Vec<Loop>,
    out: &'a mut Vec<VarId>,
    added: &'a mut Vec<Equation>,
    template: Equation,
}

impl Context<'_> {
    fn go(&mut self, e: &Expr) -> Expr {
        if !has_delay(e) {
            return e.clone();
        }
        match e {
            Expr::Fold(op, l, body) => {
                self.loops.push(**l);
                let body = self.go(body);
                self.loops.pop();
                Expr::Fold(*op, l.clone(), Box::new(body))
            }
            Expr::Delay(x, tau) => {
                let (x, tau) = (self.go(x), self.go(tau));
                let mut stride = 1;
                let mut at = Affine::constant(0);
                for l in self.loops.iter().rev() {
                    at = at.plus(l.index, stride);
                    at.base -= stride * l.lo;
                    stride *= (l.hi - l.lo).max(1);
                }
                let len = sets::points(&self.loops).clamp(0, i64::from(u32::MAX)) as u32;
                let var = VarId::new(self.system.vars.len());
                let name = format!("{HIDDEN}delay{}", self.out.len());
                let axes = if len == 1 { Vec::new() } else { vec![len] };
                self.system.vars.push(Var::plain(
                    vec![Segment { name, axes }],
                    len,
                    Role::Unknown,
                    Kind::Real,
                    self.template.span,
                ));
                self.out.push(var);
                self.added.push(Equation {
                    loops: self.loops.clone(),
                    left: Expr::Var(var, at.clone()),
                    right: x,
                    ..self.template.clone()
                });
                Expr::Delay(Box::new(Expr::Var(var, at)), Box::new(tau))
            }
            _ => rebuild(e, &mut |c| self.go(c)),
        }
    }
}

fn has_delay(e: &Expr) -> bool {
    let mut any = matches!(e, Expr::Delay(..));
    expr::children(e, &mut |c| any |= has_delay(c));
    any
}

/// `e` with each direct subexpression replaced.
fn rebuild(e: &Expr, f: &mut impl FnMut(&Expr) -> Expr) -> Expr {
    let mut go = |x: &Expr| Box::new(f(x));
    match e {
        Expr::Un(op, a) => Expr::Un(*op, go(a)),
        Expr::Step(op, a, s) => Expr::Step(*op, go(a), *s),
        Expr::Not(a) => Expr::Not(go(a)),
        Expr::Table(t, a) => Expr::Table(*t, go(a)),
        Expr::NoEvent(a) => Expr::NoEvent(go(a)),
        Expr::BoolToNum(a) => Expr::BoolToNum(go(a)),
        Expr::Bin(op, a, b) => Expr::Bin(*op, go(a), go(b)),
        Expr::Cmp(op, a, b, s) => Expr::Cmp(*op, go(a), go(b), *s),
        Expr::BoolBin(op, a, b) => Expr::BoolBin(*op, go(a), go(b)),
        Expr::If(c, a, b) => Expr::If(go(c), go(a), go(b)),
        Expr::Math(m, args) => Expr::Math(*m, args.iter().map(f).collect()),
        Expr::VarAt { var, base, at, len, stride, span } => {
            Expr::VarAt { var: *var, base: base.clone(), at: go(at), len: *len, stride: *stride, span: *span }
        }
        other => other.clone(),
    }
}
