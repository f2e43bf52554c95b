//! Elementary functions as functions of the program, for back ends that know none.

use crate::ids::FuncId;
use crate::ir::{Kernel, MathFn, Op};
use crate::math;
use crate::program::Program;

/// Replaces every [`Op::Math`] by a call of the expanded function, which is put before the program's own
/// functions (calls go backwards only). No bit of any result changes: the expansion is the definition.
pub fn expand(program: &mut Program) {
    let mut used = [false; MathFn::ALL.len()];
    let mut look = |k: &Kernel| {
        for d in &k.values {
            if let Op::Math(f, _) = d.op {
                used[f as usize] = true;
            }
        }
    };
    super::each_kernel(program, &mut |k| look(k));
    for f in &program.functions {
        look(&f.code);
    }
    let list: Vec<MathFn> = MathFn::ALL.into_iter().filter(|&f| used[f as usize]).collect();
    if list.is_empty() {
        return;
    }
    let shift = list.len() as u32;
    let replace = |k: &mut Kernel| {
        for d in &mut k.values {
            match &mut d.op {
                Op::Call(f, _) => f.0 += shift,
                Op::Math(f, args) => {
                    if let Some(n) = list.iter().position(|g| g == f) {
                        d.op = Op::Call(FuncId::new(n), std::mem::take(args));
                    }
                }
                _ => {}
            }
        }
    };
    super::each_kernel(program, &mut |k| replace(k));
    for f in &mut program.functions {
        replace(&mut f.code);
    }
    let mut functions: Vec<_> = list.iter().map(|&f| math::expand(f)).collect();
    functions.append(&mut program.functions);
    program.functions = functions;
}
