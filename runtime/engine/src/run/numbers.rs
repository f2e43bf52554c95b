//! Values that are no numbers and that no derivative reads: the solver never sees them, results would.
//!
//! A run fails where one is accepted. Everything that people see is looked at where the run stands at its start and at
//! its end, behind each event, at the middle of its length, and wherever requirements and figures look: the
//! model, its scenario and the steps say where that is. A row that holds one between them ends the run, too; but in a sample of a
//! job it is told, and the run goes on: a replay records more than the job did, and they are to agree which samples fail. Infinite values are values (the least of
//! nobody is one), and so is what the model itself gives as NaN among parameters; places of a population that are not
//! taken have none. An `Int` is a number below 2^53 in size, but for the least and the most of nobody.

use twinml_model::ids::Value;
use twinml_model::ir::{BinOp, MathFn, Op, UnOp, ValueData};
use twinml_model::schema::{Kind, Variable, WHOLE};

use super::*;

/// Parts of a run's length, with a look behind each. In the smallest of models a sample of 1000 steps on lanes takes 2 %
/// longer for each look.
const MARKS: f64 = 2.0;

/// Whether what the model computes may be no number where all that it reads are: else there is nothing to look for.
pub(super) fn may_be_none(program: &Program) -> bool {
    let kernel = &program.outputs;
    let known = |v: Value| match kernel.values.get(v.index()).map(|v| &v.op) {
        Some(Op::ConstF(bits)) => f64::from_bits(*bits) != 0.0,
        Some(Op::Load(place)) => place.space == Space::Param,
        _ => false,
    };
    kernel.values.iter().any(|v| match &v.op {
        Op::ConstF(bits) => !f64::from_bits(*bits).is_finite(),
        Op::Un(op, _) => *op == UnOp::Sqrt,
        Op::Bin(op, _, by) => *op == BinOp::Div && !known(*by),
        Op::Math(f, _) => !matches!(
            f,
            MathFn::Sin
                | MathFn::Cos
                | MathFn::Atan
                | MathFn::Sinh
                | MathFn::Cosh
                | MathFn::Tanh
                | MathFn::Exp
        ),
        Op::LoadAt { .. } | Op::Call(..) | Op::Table { .. } | Op::Delay { .. } => true,
        _ => false,
    })
}

/// Rows that hold what is no number, where the run was not looked at.
#[derive(Clone, Debug)]
pub struct Blank {
    /// The first: what a failure there would say.
    pub first: Failure,
    /// How many rows there are.
    pub rows: u64,
}

/// Whether any of these is not a number. Blocks without a way out in them are what processors do fast.
pub(super) fn any(values: &[f64]) -> bool {
    values.chunks(32).any(|block| block.iter().fold(false, |found, v| found | v.is_nan()))
}

/// Whether a value is none that the variable may have. What is given as a parameter may be NaN.
fn unfit(program: &Program, of: &Variable, value: f64) -> bool {
    let computed = matches!(of.space, Space::Var | Space::State | Space::Disc | Space::Input);
    computed && value.is_nan()
        || of.kind == Kind::Int && value.abs() >= WHOLE && !(value.is_infinite() && may_be_of_nobody(program))
}

/// Whether the equations have the least or the most of some that may be nobody: what it is then stands in them.
fn may_be_of_nobody(program: &Program) -> bool {
    let infinite = |v: &ValueData| matches!(v.op, Op::ConstF(bits) if f64::from_bits(bits).is_infinite());
    [&program.rhs, &program.outputs].into_iter().any(|kernel| kernel.values.iter().any(infinite))
}

impl Run<'_> {
    /// Fails where the row that a sink has just filled holds what is not a number; in a sample of a job that is noted.
    pub(super) fn row_of_numbers(&mut self, sink: usize, t: f64) -> Result<(), Stop> {
        let Sink { row, outlet, .. } = &self.sinks[sink];
        if !any(row) && !outlet.plan.whole().iter().any(|cell| row[*cell].abs() >= WHOLE) {
            return Ok(());
        }
        let Some(slot) = outlet.plan.slots().find(|&slot| self.is_unfit(slot)) else { return Ok(()) };
        match &mut self.blank {
            Some(blank) => blank.rows += 1,
            None => {
                let first = self.no_number(t, slot);
                if !self.of_job {
                    return Err(Stop::Failed(Box::new(first)));
                }
                self.blank = Some(Blank { first, rows: 1 });
            }
        }
        Ok(())
    }

    /// The instant at which, or at the end of the first step beyond, everything is looked at next.
    pub(super) fn next_mark(&self) -> f64 {
        let apart = self.span / MARKS;
        if self.marked && apart > 0.0 { ((self.looked / apart).floor() + 1.0) * apart } else { f64::INFINITY }
    }

    /// Looks at everything where the run has arrived, if it has passed a mark.
    pub(super) fn numbers_at_a_mark(&mut self) -> Result<(), Stop> {
        if self.time < self.next_mark() {
            return Ok(());
        }
        self.system.set(self.time, &self.x);
        self.all_numbers(self.time)
    }

    /// Fails where anything that people see is not a number, recorded or not. `Var` is computed here.
    pub(super) fn all_numbers(&mut self, t: f64) -> Result<(), Stop> {
        self.system.host.new_point();
        self.kernel(KernelId::Outputs, t == 0.0)?;
        self.looked = t;
        match self.first_unfit() {
            Some(slot) => Err(Stop::Failed(Box::new(self.no_number(t, slot)))),
            None => Ok(()),
        }
    }

    /// The first place of memory that people see and that holds what fails a run.
    fn first_unfit(&self) -> Option<usize> {
        let program = self.system.program;
        program.schema.vars.iter().find_map(|v| {
            let first = program.sizes.offset(v.space) + v.base as usize;
            let values = &self.system.memory.data()[first..first + v.len as usize];
            if v.kind != Kind::Int && !any(values) {
                return None;
            }
            let bad = (0..values.len()).find(|k| unfit(program, v, values[*k]) && !self.absent(v, *k));
            bad.map(|k| first + k)
        })
    }

    /// The same where the run has come to its end.
    pub(super) fn numbers_at_the_end(&mut self) -> Result<(), Stop> {
        self.system.set(self.time, &self.x);
        self.all_numbers(self.time)
    }

    /// Fails where what requirements and figures look at follows from something that is not a number; `row` was computed
    /// for `t`. Their own formulas may have no value outside of their windows: `n/time` at the start.
    pub(super) fn look_of_numbers(&mut self, t: f64, row: &[f64]) -> Result<(), Stop> {
        if !any(row) {
            return Ok(());
        }
        self.point(t);
        self.all_numbers(t)
    }

    /// Whether the value at this place of memory fails the run.
    fn is_unfit(&self, slot: usize) -> bool {
        let program = self.system.program;
        let found = program.schema.vars.iter().find_map(|v| {
            let first = program.sizes.offset(v.space) + v.base as usize;
            slot.checked_sub(first).filter(|k| *k < v.len as usize).map(|k| (v, k))
        });
        found.is_some_and(|(v, k)| unfit(program, v, self.system.memory.data()[slot]) && !self.absent(v, k))
    }

    /// Whether element `k` belongs to a place of a population that is not taken.
    fn absent(&self, v: &Variable, k: usize) -> bool {
        let program = self.system.program;
        let behavior = &program.behavior;
        behavior.populations.iter().any(|p| {
            let Some(home) = behavior.vars.get(p.present.index()) else { return false };
            // The twin of the population itself comes last, and all of its parts have its path before their own.
            let Some(owner) = p.owners.last().and_then(|(o, _)| behavior.owners.get(*o as usize)) else {
                return false;
            };
            let within = v.path.len() > owner.path.len() && v.path.starts_with(&owner.path);
            let apart = (v.len / owner.count.max(1)).max(1) as usize;
            let taken = self.system.memory.space(home.space).get(home.base as usize + k / apart);
            within && taken.is_some_and(|taken| *taken == 0.0)
        })
    }

    /// The failure: the unknown that is computed first of those that are no numbers where memory stands, else this slot.
    fn no_number(&mut self, t: f64, slot: usize) -> Failure {
        let whole = self.system.memory.data().get(slot).is_some_and(|v| !v.is_nan());
        let program = self.system.program;
        let mut shown = vec![false; program.sizes.var as usize];
        for v in program.schema.vars.iter().filter(|v| v.space == Space::Var) {
            (0..v.len as usize).for_each(|k| shown[v.base as usize + k] = !self.absent(v, k));
        }
        let first = if whole { None } else { self.first_of(|k, v| v.is_nan() && shown[k]) };
        let (path, value, unit, origin) = match first {
            Some((slot, value, origin)) => {
                let (path, _, unit) = self.named(Space::Var, slot);
                (path, value, unit, Some(origin))
            }
            None => {
                let spaces = [Space::Var, Space::State, Space::Disc, Space::Input, Space::Param];
                let home = spaces.into_iter().find_map(|s| {
                    let k = slot.checked_sub(program.sizes.offset(s))?;
                    (k < program.sizes.of(s) as usize).then_some((s, k))
                });
                let (space, k) = home.unwrap_or((Space::Var, slot));
                let (path, value, unit) = self.named(space, k);
                let holds = |v: &&Variable| {
                    v.space == space && (v.base as usize..(v.base + v.len) as usize).contains(&k)
                };
                let declared = || program.schema.vars.iter().find(holds).map(|v| v.origin);
                let stored = first_stored(&program.outputs.body, space, &[k]).map(|(_, origin)| origin);
                (path, value, unit, stored.or_else(declared))
            }
        };
        Failure {
            time: t,
            kind: if whole { FailureKind::NotWhole } else { FailureKind::NoValue },
            origins: origin.into_iter().collect(),
            values: vec![(path, value, unit)],
            residuals: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::any;

    #[test]
    fn one_is_found_wherever_it_stands() {
        for n in [1, 31, 32, 33, 100] {
            let mut values = vec![f64::INFINITY; n];
            assert!(!any(&values));
            for k in 0..n {
                values[k] = f64::NAN;
                assert!(any(&values), "{k} of {n}");
                values[k] = -0.0;
            }
        }
        assert!(!any(&[]));
    }
}
