//! After Cranelift's optimiser, before instruction selection: floating-point constants become memory operands.
//!
//! As a last operand a constant is one already. Elsewhere it would cost a move into an integer register and
//! another into a vector register: factors of sums and products change places (which changes no bit), the
//! rest become loads from a table, one for each use. That comes after the optimiser, which would otherwise
//! move these loads out of loops and fill the registers. Magnitudes become a mask, for the same reason.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::types::{F64, I64};
use cranelift_codegen::ir::{Function, Inst, InstBuilder, InstructionData, MemFlagsData, Opcode, Value};
use rustc_hash::FxHashMap;

/// All bits but the sign.
const MAGNITUDE: u64 = !(1 << 63);

/// Rewrites a function. The words returned must stay where they are for as long as its code.
pub(crate) fn to_memory(func: &mut Function) -> Option<Box<[u64]>> {
    let mut slots = FxHashMap::default();
    // The first word is the table's own address: the code generator cannot look through it, and so keeps
    // it in a register.
    let mut words = vec![0u64];
    let mut slot = |bits: u64| {
        *slots.entry(bits).or_insert_with(|| {
            words.push(bits);
            words.len() - 1
        })
    };
    let mut loads: Vec<(Inst, usize, usize)> = Vec::new();
    let mut swaps: Vec<Inst> = Vec::new();
    let mut magnitudes: Vec<Inst> = Vec::new();
    for block in func.layout.blocks() {
        for inst in func.layout.block_insts(block) {
            let opcode = func.dfg.insts[inst].opcode();
            let args = func.dfg.inst_args(inst);
            let is_constant = |k: usize| args.get(k).and_then(|&v| constant(func, v));
            let needed: &[usize] = match opcode {
                Opcode::Fabs if func.dfg.ctrl_typevar(inst) == F64 => {
                    magnitudes.push(inst);
                    continue;
                }
                Opcode::Fadd | Opcode::Fmul => {
                    if is_constant(0).is_some() {
                        swaps.push(inst);
                    }
                    continue;
                }
                Opcode::Fma if is_constant(0).is_some() || is_constant(1).is_some() => &[0, 1, 2],
                Opcode::Fcmp => &[0, 1],
                Opcode::Fsub | Opcode::Fdiv => &[0],
                _ => continue,
            };
            for &k in needed {
                if let Some(bits) = is_constant(k)
                    && bits != 0
                {
                    loads.push((inst, k, slot(bits)));
                }
            }
        }
    }
    for inst in swaps {
        func.dfg.inst_args_mut(inst).swap(0, 1);
    }
    let mask_slot = if magnitudes.is_empty() { 0 } else { slot(MAGNITUDE) };
    if loads.is_empty() && magnitudes.is_empty() {
        return None;
    }
    let mut words: Box<[u64]> = words.into();
    let address = words.as_ptr().addr();
    words[0] = address as u64;
    let entry = func.layout.entry_block()?;
    let flags = MemFlagsData::trusted().with_readonly();
    let mut cursor = FuncCursor::new(func).at_first_insertion_point(entry);
    let base = cursor.ins().iconst(I64, address as i64);
    let base = cursor.ins().load(I64, flags, base, 0);
    for (inst, k, slot) in loads {
        cursor.goto_inst(inst);
        let value = cursor.ins().load(F64, flags, base, 8 * slot as i32);
        cursor.func.dfg.inst_args_mut(inst)[k] = value;
    }
    for inst in magnitudes {
        cursor.goto_inst(inst);
        let arg = cursor.func.dfg.inst_args(inst)[0];
        let mask = cursor.ins().load(F64, flags, base, 8 * mask_slot as i32);
        cursor.func.replace(inst).band(arg, mask);
    }
    Some(words)
}

fn constant(func: &Function, value: Value) -> Option<u64> {
    match func.dfg.insts[func.dfg.value_def(value).inst()?] {
        InstructionData::UnaryIeee64 { opcode: Opcode::F64const, imm } => Some(imm.bits()),
        _ => None,
    }
}
