//! How much of `Jac` a kernel uses: kernels that are added to a program (Taylor coefficients, whole steps of a Rosenbrock
//! method, steps that are kept) work in more of it than the program itself has, in a memory that was made longer
//! (`Memory::make_room`).

use twinml_model::ids::Index;
use twinml_model::ir::{Kernel, Op, Place, Region, Space, Stmt};

/// Slots of `Jac` up to the last that the kernel names; what is beyond all counting is left to the check of every place.
pub(crate) fn of_jac(kernel: &Kernel) -> u32 {
    let mut loops = Vec::new();
    let most = region(kernel, &kernel.body, &mut loops);
    u32::try_from(most).unwrap_or(0)
}

fn region(kernel: &Kernel, statements: &Region, loops: &mut Vec<(Index, i64, i64)>) -> i128 {
    let mut most = 0;
    for stmt in statements {
        most = most.max(match stmt {
            Stmt::Eval(v) => match kernel.values.get(v.index()).map(|d| &d.op) {
                Some(Op::Load(place)) => end(place, (0, 1), loops),
                Some(Op::LoadAt { place, len, stride, .. }) => end(place, (*stride, *len), loops),
                _ => 0,
            },
            Stmt::Store { place, .. } => end(place, (0, 1), loops),
            Stmt::For(l) if l.lo < l.hi => {
                loops.push((l.index, l.lo, l.hi - 1));
                let most = region(kernel, &l.body, loops);
                loops.pop();
                most
            }
            Stmt::If(i) => region(kernel, &i.then, loops).max(region(kernel, &i.otherwise, loops)),
            Stmt::For(_) | Stmt::Solve(_) | Stmt::SolveTangent(_) => 0,
        });
    }
    most
}

/// One past the last slot of `Jac` that a place may be, `len` elements `stride` apart.
fn end(place: &Place, (stride, len): (i64, u32), loops: &[(Index, i64, i64)]) -> i128 {
    if place.space != Space::Jac {
        return 0;
    }
    let last = i128::from(stride) * i128::from(len.saturating_sub(1));
    place.at.terms.iter().fold(i128::from(place.at.base) + last.max(0) + 1, |sum, &(index, stride)| {
        let range = loops.iter().rev().find(|l| l.0 == index);
        sum + range.map_or(0, |&(_, lo, hi)| {
            (i128::from(stride) * i128::from(lo)).max(i128::from(stride) * i128::from(hi))
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::scalar::{Compiled, OptLevel, Tier};
    use std::sync::Arc;
    use twinml_model::host::{KernelId, Machine, Memory, NoHost};
    use twinml_model::ids::OriginId;
    use twinml_model::interp::Interpreter;
    use twinml_model::ir::{Affine, For, Ty};
    use twinml_model::program::{Program, Sizes};

    /// `Jac[3 + 2·i] = x + i` for `i` from 1 to 4, then `x` becomes the last of these.
    fn kernel() -> Kernel {
        let mut kernel = Kernel::new("beyond".to_owned());
        let origin = OriginId(0);
        let index = kernel.index();
        let at = |base: i64| Place { space: Space::Jac, at: Affine::constant(base) };
        let x = kernel.value(Op::Load(Place { space: Space::State, at: Affine::constant(0) }), Ty::F64);
        let i = kernel.value(Op::IndexF(Affine::constant(0).plus(index, 1)), Ty::F64);
        let sum = kernel.value(Op::Bin(twinml_model::ir::BinOp::Add, x, i), Ty::F64);
        let place = Place { space: Space::Jac, at: Affine::constant(3).plus(index, 2) };
        let body = vec![Stmt::Eval(i), Stmt::Eval(sum), Stmt::Store { place, value: sum, origin }];
        let last = kernel.value(Op::Load(at(11)), Ty::F64);
        kernel.body = vec![
            Stmt::Eval(x),
            Stmt::For(Box::new(For { index, lo: 1, hi: 5, reverse: false, carries: Vec::new(), body })),
            Stmt::Eval(last),
            Stmt::Store {
                place: Place { space: Space::State, at: Affine::constant(0) },
                value: last,
                origin,
            },
        ];
        kernel
    }

    #[test]
    fn kernels_that_need_more_of_jac_than_the_program_has_are_compiled() {
        assert_eq!(of_jac(&kernel()), 12);
        let sizes = Sizes { state: 1, ..Sizes::default() };
        let program = Program { sizes, ..Program::default() };
        let mut interpreter = Interpreter::new(&program);
        let mut wanted = Memory::new(&program);
        wanted.make_room(12);
        wanted.space_mut(Space::State)[0] = 0.25;
        let id = interpreter.add(kernel());
        interpreter.run(id, &mut wanted, &mut NoHost).unwrap();
        assert_eq!(wanted.space(Space::State), [4.25]);
        let mut compiled = Compiled::compile(Arc::new(program.clone()), OptLevel::O2).unwrap();
        let id = compiled.add(kernel());
        assert!(matches!(id, KernelId::Extra(0)));
        for tier in [Tier::Quick, Tier::Full] {
            compiled.prepare(id, tier).unwrap();
            let mut memory = Memory::new(&program);
            memory.make_room(12);
            memory.space_mut(Space::State)[0] = 0.25;
            compiled.run(id, &mut memory, &mut NoHost).unwrap();
            assert_eq!(memory, wanted, "{tier:?}");
        }
    }

    #[test]
    #[should_panic(expected = "room")]
    fn a_memory_that_is_too_short_is_refused() {
        let program = Program { sizes: Sizes { state: 1, ..Sizes::default() }, ..Program::default() };
        let mut compiled = Compiled::compile(Arc::new(program.clone()), OptLevel::O3).unwrap();
        let id = compiled.add(kernel());
        let mut memory = Memory::new(&program);
        memory.make_room(11);
        let _ = compiled.run(id, &mut memory, &mut NoHost);
    }
}
