//! Reads draws and correlations (see `print/draws.rs`).

use super::super::{Affine, Correlation, Draw, Expr};
use super::{MAX_DEPTH, Problem, Read, Reader};
use std::sync::Arc;
use twinml_model::draws::Law;
use twinml_model::ids::VarId;

impl Reader {
    /// What stands behind `draw`.
    pub(super) fn draw(&mut self) -> Read<Draw> {
        let loops = self.loops()?;
        let (var, element) = self.drawn()?;
        let into = if self.take_word("into") { Some(self.drawn()?) } else { None };
        self.op("=")?;
        let law = self.law()?;
        Ok(Draw { loops, var, element, into, law, span: self.span()? })
    }

    /// What stands behind `correlate`.
    pub(super) fn correlation(&mut self) -> Read<Correlation> {
        let loops = self.loops()?;
        let (a, b) = (self.drawn()?, self.drawn()?);
        self.op("=")?;
        let value = self.real()?;
        Ok(Correlation { loops, a, b, value, span: self.span()? })
    }

    fn drawn(&mut self) -> Read<(VarId, Affine)> {
        let var = self.var_name()?;
        self.op("@")?;
        self.op("[")?;
        let at = self.affine()?;
        self.op("]")?;
        Ok((var, at))
    }

    fn law(&mut self) -> Read<Law<Expr>> {
        if self.depth >= MAX_DEPTH {
            return self.error(Problem::TooDeep);
        }
        self.depth += 1;
        let name = self.name()?;
        self.op("(")?;
        let law = match name.as_str() {
            "truncated" => {
                let of = Box::new(self.law()?);
                self.op(",")?;
                let lo = self.expr()?;
                self.op(",")?;
                Law::Truncated(of, lo, self.expr()?)
            }
            "mixture" => {
                let parts = self.listed(&mut |r| r.law())?;
                self.op(",")?;
                Law::Mixture(parts, self.listed(&mut |r| r.expr())?)
            }
            "discrete" => {
                let values = self.listed(&mut |r| r.expr())?;
                self.op(",")?;
                Law::Discrete(values, self.listed(&mut |r| r.expr())?)
            }
            "samples" => Law::Samples(self.listed(&mut |r| r.real())?.into()),
            _ => {
                let mut args = Vec::new();
                while !self.is_op(")") {
                    if !args.is_empty() {
                        self.op(",")?;
                    }
                    args.push(self.expr()?);
                }
                Law::Named(Arc::from(name), args)
            }
        };
        self.op(")")?;
        self.depth -= 1;
        Ok(law)
    }

    fn listed<T>(&mut self, one: &mut dyn FnMut(&mut Reader) -> Read<T>) -> Read<Vec<T>> {
        let mut out = Vec::new();
        self.op("[")?;
        while !self.is_op("]") {
            if !out.is_empty() {
                self.op(",")?;
            }
            out.push(one(self)?);
        }
        self.op("]")?;
        Ok(out)
    }
}
