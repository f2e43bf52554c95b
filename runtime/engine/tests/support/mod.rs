//! Programs from the text of flat systems, run on the interpreter and on machine code.
#![allow(dead_code, reason = "each test file takes what it needs")]

use std::sync::Arc;

use twinml_compiler::diag::{Diagnostics, Style, render_all};
use twinml_compiler::schedule::schedule;
use twinml_compiler::source::SourceMap;
use twinml_engine::record::{MemoryRecorder, MemoryRows};
use twinml_engine::run::{self, Ended, Flow, Outlet, Report};
use twinml_jit::{Compiled, OptLevel};
use twinml_model::host::Machine;
use twinml_model::interp::Interpreter;
use twinml_model::program::{Experiment, Program, SolverSpec};

/// A compiled system and what to do with it.
pub struct Case {
    pub program: Arc<Program>,
    pub experiment: Experiment,
}

/// One run's rows (one list a file) and report.
#[derive(Clone, Debug)]
pub struct Ran {
    pub rows: Vec<Vec<Vec<f64>>>,
    pub report: Report,
}

/// Compiles a flat system.
pub fn case(text: &str, method: &str, duration: f64) -> Case {
    let system = twinml_compiler::flat::read::read(text).unwrap_or_else(|e| panic!("{e}"));
    let (sources, mut diags) = (SourceMap::new(), Diagnostics::new());
    let scheduled = schedule(system, &sources, &mut diags);
    let scheduled = scheduled.unwrap_or_else(|| panic!("{}", render_all(&diags, &sources, Style::default())));
    let program = scheduled.program;
    twinml_model::verify::verify(&program).unwrap_or_else(|e| panic!("{e:?}"));
    let solver = SolverSpec { method: method.to_owned(), ..SolverSpec::default() };
    let actions = scheduled.actions;
    let experiment = Experiment { name: "test".into(), duration, solver, actions, ..Experiment::default() };
    Case { program: Arc::new(program), experiment }
}

impl Case {
    /// Sets tolerances.
    pub fn tolerances(mut self, rtol: f64, atol: f64) -> Case {
        self.experiment.solver.rtol = Some(rtol);
        self.experiment.solver.atol = Some(atol);
        self
    }

    /// Runs on a machine.
    pub fn run_on(&self, machine: &mut dyn Machine) -> Ran {
        let plans = run::plans(&self.program, &self.experiment, false).unwrap();
        let (outlets, rows): (Vec<Outlet>, Vec<MemoryRows>) = plans
            .into_iter()
            .map(|plan| {
                let (recorder, rows) = MemoryRecorder::new(plan.columns().clone());
                (Outlet { plan, recorder: Box::new(recorder) }, rows)
            })
            .unzip();
        let mut watch = |_| Flow::Continue;
        let report = run::simulate(&self.program, machine, &self.experiment, outlets, &mut watch).unwrap();
        Ran { rows: rows.iter().map(MemoryRows::rows).collect(), report }
    }

    /// Runs on the interpreter and on machine code, which must agree in every bit.
    pub fn run(&self) -> Ran {
        let ran = self.run_on(&mut Interpreter::new(&self.program));
        let mut compiled = Compiled::compile(self.program.clone(), OptLevel::O2).unwrap();
        let again = self.run_on(&mut compiled);
        let bits =
            |ran: &Ran| -> Vec<u64> { ran.rows.iter().flatten().flatten().map(|v| v.to_bits()).collect() };
        assert_eq!(bits(&ran), bits(&again), "interpreter and machine code differ");
        ran
    }

    /// Runs to the end, which must be reached; the rows of the first file.
    pub fn rows(&self) -> Vec<Vec<f64>> {
        let mut ran = self.run();
        assert!(matches!(ran.report.ended, Ended::Complete), "{:?}", ran.report.ended);
        ran.rows.remove(0)
    }
}
