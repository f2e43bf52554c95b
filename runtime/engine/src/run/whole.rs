//! Whole trial steps of a Rosenbrock method by a kernel, and programs without what each run does in its own time.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use twinml_model::host::{KernelId, Machine};
use twinml_model::ir::Space;
use twinml_model::passes::straight::{Guesses, Straight, by_piece, in_line, straight};
use twinml_model::program::Program;
use twinml_solvers::integrator::Tolerances;
use twinml_solvers::rosenbrock::{fused, tableau_for};
use twinml_solvers::system::EvalError;

use super::block::LIMITS;
use super::host::nominals;
use super::system::KernelSystem;

/// Whole trial steps of a Rosenbrock method by a kernel of their own, made when a solver first asks for one.
#[derive(Clone, Debug)]
pub(super) struct Rosenbrock {
    asked: Arc<Tolerances>,
    kernel: KernelId,
    /// `None` inside: there is none (`solvers::rosenbrock::fused`).
    made: Arc<OnceLock<Option<Whole>>>,
}

/// What stands in slots of `Jac` for a kernel of whole steps.
#[derive(Debug)]
pub(super) struct Whole {
    /// As many as it uses.
    room: u32,
    /// Tables and the first slots of their pieces.
    tables: Vec<(usize, u32)>,
    guesses: Option<Guesses>,
}

impl Rosenbrock {
    /// Keeps a place for the kernel on the machine.
    pub(super) fn new(machine: &mut dyn Machine, asked: &Tolerances) -> Rosenbrock {
        Rosenbrock { asked: Arc::new(asked.clone()), kernel: machine.reserve(), made: Arc::default() }
    }

    /// The kernel and what it needs, made by whoever comes first.
    pub(super) fn kernel(&self, program: &Program, machine: &dyn Machine) -> Option<(KernelId, &Whole)> {
        let made = self.made.get_or_init(|| {
            let (asked, states) = (&*self.asked, program.sizes.state as usize);
            let (atol, tableau) = (asked.expand(states).ok()?, tableau_for(asked.rtol));
            let first = u32::try_from(fused::room(tableau, states)).ok()?;
            let lines = written_out(program, first);
            let (program, tables, guesses) = match lines {
                Some(made) => {
                    let Straight { program, tables, guesses, .. } = made?;
                    (Cow::Owned(program), tables, guesses)
                }
                None => (Cow::Borrowed(program), Vec::new(), None),
            };
            let code = fused::Code::new(&program, tableau, asked.rtol, &atol, guesses.as_ref())?;
            machine.fill(self.kernel, code.kernel(&program)?);
            let room = if tables.is_empty() && guesses.is_none() { first } else { program.sizes.jac };
            Some(Whole { room, tables, guesses })
        });
        Some((self.kernel, made.as_ref()?))
    }
}

/// The program without what each run does in its own time (`passes::straight`), from slot `first` of `Jac` on; `None`: it does
/// nothing of the kind; `None` inside: that cannot be written out.
pub(super) fn written_out(program: &Program, first: u32) -> Option<Option<Straight>> {
    let tables = program.tables.iter().any(|t| by_piece(t) || in_line(t));
    if !tables && program.blocks.iter().all(|b| b.initial_only) {
        return None;
    }
    let nominal = nominals(program);
    let weight = |space: Space, slot: usize| {
        let values = nominal.iter().find(|(s, _)| *s == space);
        values.and_then(|(_, v)| v.get(slot)).copied().unwrap_or(1.0)
    };
    Some(straight(program, first.max(program.sizes.jac), LIMITS, &weight))
}

impl KernelSystem<'_> {
    /// A trial step by code of its own: see `System::rosenbrock`.
    pub(super) fn rosenbrock_by(
        &mut self,
        rosenbrock: &Rosenbrock,
        (t, h, t1): (f64, f64, f64),
        x: &[f64],
        out: &mut [f64],
    ) -> Option<Result<bool, EvalError>> {
        let (kernel, whole) = rosenbrock.kernel(self.program, self.machine)?;
        self.memory.make_room(whole.room);
        self.set(t, x);
        let slots = self.memory.space_mut(Space::Jac);
        slots[fused::Slot::H as usize] = h;
        slots[fused::Slot::End as usize] = t1;
        if !self.host.stand_in(&whole.tables, whole.guesses.as_ref(), &mut |slot, v| slots[slot as usize] = v)
        {
            return Some(Ok(false));
        }
        if let Err(error) = self.eval(kernel) {
            return Some(Err(error));
        }
        let left = self.memory.space(Space::Jac);
        if let Some(g) = &whole.guesses {
            if left[g.fine as usize] != 1.0 {
                return Some(Ok(false));
            }
            self.host.note_found(g, &|slot| left[slot as usize]);
        }
        for (o, &v) in out.iter_mut().zip(left.iter().skip(fused::Slot::Error as usize)) {
            *o = v;
        }
        Some(Ok(true))
    }
}
