//! Programs in text with what is done to them and what comes out, one case a file: `tests/filetests/ir/*.ir`
//! at the project's root. `BLESS=1` writes the outcomes anew.
//!
//! A case begins with comment lines, each a step, in order:
//! - `# contract`, `# derive`, `# expand`, `# O1` … `# O3`: passes;
//! - `# set SPACE NUMBERS…`: contents of a space;
//! - `# run KERNEL…`: the interpreter, with a host that solves nothing;
//! - `# show SPACE…`: contents of spaces;
//! - `# print`, `# verify`: the program as text; `ok` or the broken invariant.
//!
//! Then the program, a line `----`, and the expected output.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;
use std::path::Path;
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::interp::Interpreter;
use twinml_model::ir::Space;
use twinml_model::passes::{Level, contract, derive, expand, optimize};
use twinml_model::text::{program_text, read_program};
use twinml_model::verify::verify;

fn run(input: &str) -> String {
    let mut program = match read_program(input) {
        Ok(p) => p,
        Err(e) => return format!("{e}\n"),
    };
    let mut out = String::new();
    let mut memory = Memory::new(&program);
    for step in input.lines().map_while(|l| l.strip_prefix('#')) {
        let mut words = step.split_whitespace();
        match words.next().unwrap_or("") {
            "contract" => contract::contract(&mut program),
            "derive" => derive::complete(&mut program),
            "expand" => expand::expand(&mut program),
            "O1" => optimize(&mut program, Level::O1),
            "O2" => optimize(&mut program, Level::O2),
            "O3" => optimize(&mut program, Level::O3),
            "print" => out.push_str(&program_text(&program)),
            "verify" => match verify(&program) {
                Ok(()) => out.push_str("ok\n"),
                Err(e) => writeln!(out, "{e}").unwrap(),
            },
            "set" => {
                resize(&mut memory, &program);
                let space = space(words.next().unwrap());
                let values: Vec<f64> = words.map(|w| w.parse().unwrap()).collect();
                memory.space_mut(space).copy_from_slice(&values);
            }
            "run" => {
                verify(&program).unwrap();
                resize(&mut memory, &program);
                let machine = Interpreter::new(&program);
                for name in words {
                    let id = match name {
                        "params" => KernelId::Params,
                        "initial" => KernelId::Initial,
                        "rhs" => KernelId::Rhs,
                        "outputs" => KernelId::Outputs,
                        "roots" => KernelId::Roots,
                        "update" => KernelId::Update,
                        "history" => KernelId::History,
                        "jvp" => KernelId::Jvp,
                        "jacobian" => KernelId::Jacobian,
                        other => panic!("no kernel {other}"),
                    };
                    if let Err(trap) = machine.run(id, &mut memory, &mut NoHost) {
                        writeln!(out, "{name}: {trap:?}").unwrap();
                    }
                }
            }
            "show" => {
                for name in words {
                    writeln!(out, "{name} {:?}", memory.space(space(name))).unwrap();
                }
            }
            _ => {}
        }
    }
    out
}

/// Passes may ask for more room: values stay.
fn resize(memory: &mut Memory, program: &twinml_model::program::Program) {
    if *memory.sizes() != program.sizes {
        let mut new = Memory::new(program);
        for s in Space::ALL {
            let old = memory.space(s).to_vec();
            new.space_mut(s)[..old.len()].copy_from_slice(&old);
        }
        *memory = new;
    }
}

fn space(name: &str) -> Space {
    Space::ALL.into_iter().find(|s| s.name() == name).unwrap_or_else(|| panic!("no space {name}"))
}

#[test]
fn cases() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/filetests/ir");
    let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "ir"));
    files.sort();
    assert!(files.len() >= 10, "{} cases in {}", files.len(), dir.display());
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let (input, want) = text.split_once("\n----\n").unwrap_or((text.trim_end(), ""));
        let got = run(input);
        if got == want {
            continue;
        }
        if bless {
            std::fs::write(&file, format!("{input}\n----\n{got}")).unwrap();
        } else {
            wrong.push(format!("{}:\n--- expected\n{want}--- got\n{got}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
