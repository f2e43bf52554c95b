//! Derivatives of unknowns: `der(u)` of an input that a connection drives, of a variable, of an output.
//!
//! A family whose derivative is used gets a hidden family beside it that holds the derivative, and for each equation
//! that gives the family explicitly one more, its derivative with respect to time. Loops stay loops, and a chain of
//! definitions grows by one equation each, however often a derivative is used. (Derivatives of states are unknowns of
//! their own; equations among states are the index reduction's.)

use super::Flattener;
use super::equation::visit;
use crate::diag::{Diagnostic, codes};
use crate::flat::{Equation, Expr, HIDDEN, Role, Var, diff};
use crate::source::Span;
use crate::structural::{expr, sets};
use rustc_hash::FxHashMap;
use twinml_model::ids::VarId;
use twinml_model::schema::{DisplayUnit, Kind, Segment};

/// Longest chain of definitions that is followed: their circles would go on for ever.
const MOST: usize = 10_000;
/// More progressions of elements than this are not looked at.
const LOOKED_AT: usize = 1 << 16;

/// Which family holds the derivative of an unknown.
type Rates = FxHashMap<VarId, VarId>;

impl Flattener<'_> {
    /// Gives every unknown whose derivative an equation uses a family for it. Roles are known.
    pub(super) fn rates(&mut self) {
        let mut wanted: Vec<(VarId, Span)> = Vec::new();
        let all = self.system.equations.iter().chain(&self.system.initial_equations);
        for e in all {
            self.unknown_rates(e, &mut wanted);
        }
        if wanted.is_empty() {
            return;
        }
        let potentials = self.joined_potentials();
        let mut rates = Rates::default();
        let mut k = 0;
        while let Some(&(var, span)) = wanted.get(k) {
            k += 1;
            if rates.contains_key(&var) {
                continue;
            }
            if rates.len() >= MOST {
                self.no_rate(var, span, "it leads through too many other variables");
                return;
            }
            rates.insert(var, self.rate_family(var));
            let new = match &potentials {
                Some(p) if p.has(var) => self.potential_rates(p, var),
                _ => self.rate_equations(var, &|_| true),
            };
            match new {
                Ok(new) => {
                    for e in &new {
                        self.unknown_rates(e, &mut wanted);
                    }
                    self.system.equations.extend(new);
                }
                Err(why) => self.no_rate(var, span, why),
            }
        }
        let by = |x: Expr| match x {
            Expr::Der(v, at) => match rates.get(&v) {
                Some(rate) => Expr::Var(*rate, at),
                None => Expr::Der(v, at),
            },
            other => other,
        };
        for e in self.system.equations.iter_mut().chain(&mut self.system.initial_equations) {
            for side in [&mut e.left, &mut e.right] {
                if has(side, &|v| rates.contains_key(&v)) {
                    *side = expr::rewrite(side, &mut |x| by(x));
                }
            }
        }
    }

    /// Unknowns whose derivatives an equation uses.
    fn unknown_rates(&self, e: &Equation, out: &mut Vec<(VarId, Span)>) {
        let mut see = |u: expr::Use| {
            if u.der && self.system.vars[u.var.index()].role == Role::Unknown {
                out.push((u.var, e.span));
            }
        };
        expr::uses(&e.left, &mut see);
        expr::uses(&e.right, &mut see);
    }

    /// A hidden family for the derivative of `var`.
    fn rate_family(&mut self, var: VarId) -> VarId {
        let id = VarId::new(self.system.vars.len());
        let of = &self.system.vars[var.index()];
        let mut path = of.path.clone();
        path.insert(0, Segment { name: format!("{HIDDEN}der"), axes: Vec::new() });
        let rate = Var {
            path,
            value: Vec::new(),
            guess: Vec::new(),
            range: None,
            fixed: false,
            structural: false,
            kind: Kind::Real,
            dimension: None,
            si_unit: String::new(),
            unit: DisplayUnit::default(),
            ..of.clone()
        };
        self.system.vars.push(rate);
        self.homes.push(None);
        id
    }

    /// The derivatives of the equations that give `var`; the left sides are derivatives of it still.
    pub(super) fn rate_equations(
        &self,
        var: VarId,
        among: &dyn Fn(&Equation) -> bool,
    ) -> Result<Vec<Equation>, &'static str> {
        let fixed = |v: VarId| !matches!(self.system.vars[v.index()].role, Role::State | Role::Unknown);
        let mut points = 0;
        let mut out = Vec::new();
        // What only holds a name on its right side (`p = q`) gives `q` as well as `p`.
        for turned in [false, true] {
            for e in self.system.equations.iter().filter(|e| among(e)) {
                let (this, other) = if turned { (&e.right, &e.left) } else { (&e.left, &e.right) };
                let Expr::Var(v, at) = this else { continue };
                if *v != var {
                    continue;
                }
                if sets::image(at, &e.loops, LOOKED_AT).is_none() {
                    continue;
                }
                points += sets::points(&e.loops);
                let right = diff::time_derivative(other, &fixed)
                    .map_err(|_| "what gives it has no derivative that is known here")?;
                let left = Expr::Der(var, at.clone());
                out.push(Equation { left, right, ..e.clone() });
            }
            if points > 0 {
                break;
            }
        }
        match points.cmp(&i64::from(self.system.vars[var.index()].len)) {
            std::cmp::Ordering::Equal => Ok(out),
            std::cmp::Ordering::Less => Err("no equation gives it as a formula of states"),
            std::cmp::Ordering::Greater => Err("more than one equation gives it"),
        }
    }

    fn no_rate(&mut self, var: VarId, span: Span, why: &str) {
        let v = &self.system.vars[var.index()];
        let path: Vec<&str> = v.path.iter().map(|s| s.name.as_str()).collect();
        let d = Diagnostic::new(
            codes::NO_DERIVATIVE,
            span,
            format!("the derivative of `{}` is not known here", path.join(".")),
        )
        .label(v.span, "declared here")
        .note(why)
        .help("give it by an equation of its own, or write the derivative as an equation");
        if self.refused.insert(span) {
            self.diags.push(d);
        }
    }
}

fn has(e: &Expr, of: &dyn Fn(VarId) -> bool) -> bool {
    let mut any = false;
    visit(e, &mut |x| any |= matches!(x, Expr::Der(v, _) if of(*v)));
    any
}
