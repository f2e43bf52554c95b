//! `twinc doctor`: what was found on this machine, and what was chosen.

use twinml_compiler::diag::codes;
use twinml_jit::lanes::Isa;

use super::tpm;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::{Machine, VERSION};
use crate::world;

/// How runs side by side are computed: as `TWINC_ISA` says, else the widest way there is.
///
/// # Errors
///
/// The variable names nothing, or what this processor lacks: that was said, and the exit code is given.
pub fn isa(ui: &Ui) -> Result<Isa, Exit> {
    let Some(name) = world::isa() else { return Ok(Isa::best()) };
    let code = codes::NO_SUCH_ISA;
    let found = names(&found());
    match Isa::from_name(&name) {
        Some(isa) if isa.available() => Ok(isa),
        Some(_) => {
            let message = format!("{code}: `TWINC_ISA` asks for {name}, which this processor does not have");
            ui.error(&message, Some(&format!("it has {}", found.join(", "))));
            Err(Exit::Usage)
        }
        None => {
            let message = format!("{code}: `TWINC_ISA` is `{name}`, which names no instruction set");
            ui.error(&message, Some(&format!("write one of {}", found.join(", "))));
            Err(Exit::Usage)
        }
    }
}

fn found() -> Vec<Isa> {
    Isa::ALL.into_iter().rev().filter(|i| i.available()).collect()
}

fn names(all: &[Isa]) -> Vec<&'static str> {
    all.iter().map(|i| i.name()).collect()
}

/// What an instruction set is, for people.
fn about(isa: Isa) -> &'static str {
    match isa {
        Isa::Block => "no vector code, the block interpreter",
        Isa::V128 => "2 runs an instruction, by Cranelift",
        Isa::Avx2 => "4 runs an instruction",
        Isa::Avx512 => "8 runs an instruction",
    }
}

/// Prints what was found and chosen.
pub fn run(ui: &Ui) -> Exit {
    let isa = match isa(ui) {
        Ok(isa) => isa,
        Err(exit) => return exit,
    };
    let found = names(&found());
    let by = if world::isa().is_some() { "TWINC_ISA" } else { "widest" };
    let architecture = std::env::consts::ARCH;
    let processors = world::processors();
    let why = if by == "widest" { "the widest found" } else { "as TWINC_ISA says" };
    let (tpm, used) = tpm::found();
    ui.text(&format!(
        "processor  {architecture}, {processors} usable\n\
         lanes      found {}\n           taken {} ({}; {why})\n\
         TPM        {tpm}\n\
         others     this version uses no broker\n",
        found.join(", "),
        isa.name(),
        about(isa),
    ));
    ui.object(&Machine {
        kind: "machine",
        version: VERSION,
        architecture,
        processors,
        isa_found: &found,
        isa: isa.name(),
        isa_lanes: isa.lanes(),
        isa_by: by,
        tpm: used.and_then(|used| serde_json::to_value(used).ok()),
    });
    Exit::Ok
}
