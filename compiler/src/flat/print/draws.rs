//! Draws and correlations:
//!
//! ```text
//! draw for i0 in 0..3 tanks.area @[i0] = normal(2.0, 0.05)
//! draw x @[0] into `$drawn1` @[0] = truncated(mixture([normal(0.0, 1.0), uniform(2.0, 3.0)], [0.9, 0.1]), -1.0, inf)
//! draw y @[0] = discrete([1.0, 2.0], [])
//! draw z @[0] = samples([0.5, 0.75])
//! correlate for i0 in 0..3 tanks.area @[i0] tanks.k @[i0] = 0.7
//! ```

use super::super::{Affine, Correlation, Draw, Expr};
use super::{Level, Printer, affine, number};
use std::fmt::Write;
use twinml_model::draws::Law;
use twinml_model::ids::VarId;

impl Printer {
    pub(super) fn draw(&mut self, d: &Draw) {
        self.out.push_str("draw");
        self.loops(&d.loops);
        self.drawn(d.var, &d.element);
        if let Some((v, at)) = &d.into {
            self.out.push_str(" into");
            self.drawn(*v, at);
        }
        self.out.push_str(" = ");
        self.law(&d.law);
        self.span(d.span);
        self.out.push('\n');
    }

    pub(super) fn correlation(&mut self, c: &Correlation) {
        self.out.push_str("correlate");
        self.loops(&c.loops);
        self.drawn(c.a.0, &c.a.1);
        self.drawn(c.b.0, &c.b.1);
        let _ = write!(self.out, " = {}", number(c.value));
        self.span(c.span);
        self.out.push('\n');
    }

    fn drawn(&mut self, var: VarId, at: &Affine) {
        let name = self.names.get(var.index()).map_or("?", String::as_str);
        let _ = write!(self.out, " {name} @[{}]", affine(at));
    }

    fn law(&mut self, law: &Law<Expr>) {
        match law {
            Law::Named(name, args) => {
                self.out.push_str(name);
                self.out.push('(');
                self.list(args, &mut |p, e| p.expr(e, Level::If));
                self.out.push(')');
            }
            Law::Discrete(values, weights) => {
                self.out.push_str("discrete([");
                self.list(values, &mut |p, e| p.expr(e, Level::If));
                self.weights(weights);
            }
            Law::Samples(list) => {
                self.out.push_str("samples([");
                self.list(list, &mut |p, x| p.out.push_str(&number(*x)));
                self.out.push_str("])");
            }
            Law::Truncated(of, lo, hi) => {
                self.out.push_str("truncated(");
                self.law(of);
                for e in [lo, hi] {
                    self.out.push_str(", ");
                    self.expr(e, Level::If);
                }
                self.out.push(')');
            }
            Law::Mixture(parts, weights) => {
                self.out.push_str("mixture([");
                self.list(parts, &mut |p, l| p.law(l));
                self.weights(weights);
            }
        }
    }

    fn weights(&mut self, weights: &[Expr]) {
        self.out.push_str("], [");
        self.list(weights, &mut |p, e| p.expr(e, Level::If));
        self.out.push_str("])");
    }

    fn list<T>(&mut self, items: &[T], one: &mut dyn FnMut(&mut Printer, &T)) {
        for (k, x) in items.iter().enumerate() {
            if k > 0 {
                self.out.push_str(", ");
            }
            one(self, x);
        }
    }
}
