//! Every program of `tests/filetests/ir` at the project's root: all its kernels, as they stand and after the
//! passes, on the interpreter and as machine code.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]
#[path = "support/compare.rs"]
mod compare;
#[path = "support/generate.rs"]
mod generate;
#[path = "support/host.rs"]
mod host;

use std::path::Path;
use std::sync::Arc;
use twinml_model::host::KernelId;
use twinml_model::ids::BlockId;
use twinml_model::passes::{Level, prepare};
use twinml_model::program::Program;
use twinml_model::text::read_program;
use twinml_model::verify::verify;

fn kernels(program: &Program) -> Vec<KernelId> {
    let mut all = vec![
        KernelId::Params,
        KernelId::Initial,
        KernelId::Rhs,
        KernelId::Outputs,
        KernelId::Roots,
        KernelId::Update,
        KernelId::History,
        KernelId::Jvp,
        KernelId::Jacobian,
    ];
    for k in 0..program.blocks.len() {
        let b = BlockId::new(k);
        all.extend([
            KernelId::BlockResidual(b),
            KernelId::BlockJacobian(b),
            KernelId::BlockTangent(b),
            KernelId::BlockInnerTangent(b),
        ]);
    }
    all
}

#[test]
fn cases() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/filetests/ir");
    let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let mut compared = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let input = text.split_once("\n----\n").map_or(text.as_str(), |t| t.0);
        // Cases of what the reader or the verifier refuses have nothing to run.
        let Ok(program) = read_program(input) else { continue };
        if verify(&program).is_err() {
            continue;
        }
        let mut prepared = program.clone();
        prepare(&mut prepared, Level::O2, true);
        for program in [program, prepared] {
            let program = Arc::new(program);
            for id in kernels(&program) {
                let Some(kernel) = program.kernel(id) else { continue };
                if let Err(difference) = compare::compare(&program, kernel, 1) {
                    panic!("{}, {id:?}: {difference}", file.display());
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 20, "{compared} kernels");
}
