//! What runs the kernels: the reference interpreter or machine code. Both give the same bits.

use std::sync::{Arc, OnceLock};

use twinml_jit::lanes::{Isa, LaneCode};
use twinml_jit::{Compiled, OptLevel};
use twinml_model::host::{Host, KernelId, Machine, Memory, NoHost};
use twinml_model::interp::{Interpreter, Prepared};
use twinml_model::ir::{Kernel, Stmt, Trap};
use twinml_model::passes::later::{Derived, Later, Which};
use twinml_model::passes::{self, Level};
use twinml_model::program::Program;

use crate::lanes::LANES;

/// What is to run the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineKind {
    /// The reference interpreter.
    Interpreter,
    /// Machine code, optimised at a level from 0 to 3.
    Jit(u8),
}

fn level(n: u8) -> OptLevel {
    match n {
        0 => OptLevel::O0,
        1 => OptLevel::O1,
        2 => OptLevel::O2,
        _ => OptLevel::O3,
    }
}

/// A machine for a program. On a processor that there is no code generator for, the interpreter serves.
pub fn machine(program: &Program, kind: MachineKind) -> Box<dyn Machine> {
    if let MachineKind::Jit(n) = kind
        && let Ok(compiled) = Compiled::compile(Arc::new(program.clone()), level(n))
    {
        return Box::new(compiled);
    }
    Box::new(Interpreter::new(program))
}

/// A machine for a program that [`passes::later::begin`] has made ready. Kernels are simplified and compiled when they have
/// run for a while, the right-hand side's derivatives made when they are first asked for.
pub fn lazy_machine(program: &Arc<Program>, later: Later, kind: MachineKind) -> Box<dyn Machine> {
    let base = begun(program.clone(), kind);
    let (program, derived) = (program.clone(), OnceLock::new());
    Box::new(Lazy { base, program, later, kind, derived, machines: Default::default() })
}

/// A machine for kernels that are not simplified yet.
fn begun(program: Arc<Program>, kind: MachineKind) -> Box<dyn Machine> {
    if let MachineKind::Jit(n) = kind
        && let Ok(compiled) = Compiled::simplifying(program.clone(), level(n))
    {
        return Box::new(compiled);
    }
    let mut program = Arc::unwrap_or_clone(program);
    passes::optimize(&mut program, Level::O2);
    Box::new(Interpreter::new(&program))
}

/// A machine that makes derivatives when they are needed.
struct Lazy {
    base: Box<dyn Machine>,
    program: Arc<Program>,
    later: Later,
    kind: MachineKind,
    derived: OnceLock<Derived>,
    /// For `Jvp` and for `Jacobian`.
    machines: [OnceLock<Box<dyn Machine>>; 2],
}

impl Lazy {
    fn of_derivatives(&self) -> &Derived {
        self.derived.get_or_init(|| self.later.derive(&self.program))
    }
}

impl Machine for Lazy {
    fn run(&self, kernel: KernelId, memory: &mut Memory, host: &mut dyn Host) -> Result<(), Trap> {
        let which = match kernel {
            KernelId::Jvp => Which::Directional,
            KernelId::Jacobian => Which::Jacobian,
            _ => return self.base.run(kernel, memory, host),
        };
        let derived = self.of_derivatives();
        let machine =
            self.machines[which as usize].get_or_init(|| begun(Arc::new(derived.finish(which)), self.kind));
        memory.make_room(derived.program.sizes.jac);
        machine.run(kernel, memory, host)
    }

    fn add(&mut self, kernel: Kernel) -> KernelId {
        self.base.add(kernel)
    }

    fn reserve(&mut self) -> KernelId {
        self.base.reserve()
    }

    fn fill(&self, place: KernelId, kernel: Kernel) {
        self.base.fill(place, kernel);
    }

    fn expect(&self, kernel: KernelId, runs: u64) {
        self.base.expect(kernel, runs);
    }

    fn derived(&self) -> Option<&Program> {
        Some(&self.of_derivatives().program)
    }

    fn directional(&self) -> Option<Program> {
        Some(self.of_derivatives().finish(Which::Directional))
    }
}

/// The kernels of a program as text: Cranelift's form (`clif`) or machine code, then also the right-hand side on lanes. `None` where there is no code
/// generator for this processor.
pub fn machine_text(program: Program, opt: u8, clif: bool, isa: Isa) -> Option<String> {
    let compiled = Compiled::compile(Arc::new(program), level(opt)).ok()?;
    let mut kernels = vec![
        ("params", KernelId::Params),
        ("initial", KernelId::Initial),
        ("rhs", KernelId::Rhs),
        ("outputs", KernelId::Outputs),
        ("roots", KernelId::Roots),
        ("update", KernelId::Update),
        ("history", KernelId::History),
        ("jvp", KernelId::Jvp),
        ("jacobian", KernelId::Jacobian),
    ];
    let blocks = compiled.program().blocks.len();
    for k in 0..blocks {
        let block = twinml_model::ids::BlockId::new(k);
        kernels.push(("block residual", KernelId::BlockResidual(block)));
        kernels.push(("block jacobian", KernelId::BlockJacobian(block)));
    }
    let mut out = String::new();
    for (name, id) in kernels {
        let text = if clif { compiled.clif(id) } else { compiled.assembly(id) };
        match text {
            Ok(text) => out.push_str(&format!("; {name}\n{text}\n")),
            Err(e) => out.push_str(&format!("; {name}: runs in the interpreter ({e})\n")),
        }
    }
    if !clif {
        let program = compiled.program();
        let operations = written_out(&program.rhs.body);
        if operations > LISTED {
            out.push_str(&format!(
                "; rhs on lanes: {operations} operations with its loops written out, listed up to {LISTED}\n"
            ));
            return Some(out);
        }
        let code = LaneCode::new(program, &program.rhs, isa, LANES, 1);
        match code.and_then(|code| Ok((code.operations(), code.assembly()?))) {
            Ok((n, text)) => {
                out.push_str(&format!("; rhs on lanes, {}: {n} vector operations\n{text}\n", isa.name()));
            }
            Err(e) => out.push_str(&format!("; rhs on lanes: no machine code ({e})\n")),
        }
    }
    Some(out)
}

/// Operations on lanes that are shown; more of them nobody reads, and making them takes time for each round of a loop.
const LISTED: u64 = 20_000;

/// The operations of a region with its loops written out.
fn written_out(region: &[Stmt]) -> u64 {
    let each = |stmt: &Stmt| match stmt {
        Stmt::For(l) => {
            let rounds = u64::try_from(l.hi.saturating_sub(l.lo)).unwrap_or(0);
            rounds.saturating_mul(written_out(&l.body))
        }
        Stmt::If(i) => written_out(&i.then).saturating_add(written_out(&i.otherwise)),
        _ => 1,
    };
    region.iter().map(each).fold(0, u64::saturating_add)
}

/// A memory in which parameters have their values for a nominal run.
pub fn parameters(program: &Program) -> Memory {
    let mut memory = Memory::new(program);
    // Formulas of parameters solve nothing and look nothing up but tables; where they do fail, the run says so.
    let _ = Prepared::new(program, &program.params).run(&mut memory, &mut NoHost);
    memory
}
