//! What is asserted of any bytes as a snapshot, and a run with something of everything whose snapshots are damaged.

use std::sync::Arc;

use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_engine::record::MemoryRecorder;
use twinml_engine::run::{self, Flow, Keep, MachineKind, Onward, Outlet, Prepared};
use twinml_engine::snapshot::{
    Container, File, Model, Origin, Scenario, Section, Snapshot, State, program_hash,
};
use twinml_model::host::Machine;
use twinml_model::program::{Experiment, Program};

/// Something of everything: a loop, a delay, machines, waiting handlers, patterns, values of all kinds, requirements.
const TEXT: &str = "
record Job { id: Int, weight: Real }
twin Cell { units: off
  states { n: Int = 0 }
  behavior { on start { wait 100 ms; n = n + 1; wait 5 s; n = n + 1 } }
}
twin T { units: off
  states { h: Real = 1; w: Real = 0 where w < 1; n: Int = 0; on: Bool = true }
  variables { q: Real guess 1; d: Real }
  twins { cells: Cell[2] }
  memory { jobs: Queue<Job>; names: Map<String, Int>; seen: Set<Int> }
  equations {
    q + 0.1*q^3 = h
    d = delay(h, 0.3 s)
    der(h) = (if on then 1 else 0) - q*0.5 - 0.1*d
    der(w) = sin(2*time) - w
  }
  behavior {
    on rising(h > 1.2) { on = false; n = n + 1; jobs.push(Job(id: n, weight: h)); emit full(level: h) }
    on falling(h > 0.8) { on = true }
    every 700 ms { w = w + draw(uniform(0, 0.1)); names.insert(\"n\", n); seen.insert(n) }
    machine mode { initial idle
      state idle { after 1 s -> busy }
      state busy { entry { wait 200 ms; n = n + 1 } on full -> idle }
    }
    on count(full, 2 within 5 s) { log(\"twice\") }
    on absence(full within 4 s) { log(\"quiet\") }
  }
  constraints { below: always(h < 2); kpi area: integral(h over run) }
}
scenario s for T { duration: 10 s; solver: SOLVER; record all every 1 s }";

/// Smooth, and with noise: what the solvers for such models take, which take no loops, delays or noise of handlers.
const SMOOTH: &str = "
twin T { units: off
  states { h: Real = 1; w: Real = 0; n: Int = 0 }
  equations { der(h) = w; der(w) = -sin(h) - 0.1*wNOISE }
  behavior { every 700 ms { n = n + 1; w = w + 0.01; log(\"tick\") } }
  constraints { below: always(h < 2); kpi area: integral(h over run) }
}
scenario s for T { duration: 10 s; solver: SOLVER; record all every 1 s }";

/// Solvers whose runs are damaged, each with a state of its own, and what they run.
const SOLVERS: [(&str, &str); 13] = [
    ("bdf(rtol: 1e-4)", TEXT),
    ("tsit5(rtol: 1e-4)", TEXT),
    ("dopri5(rtol: 1e-4)", TEXT),
    ("adams(rtol: 1e-4)", TEXT),
    ("rosenbrock(rtol: 1e-4)", TEXT),
    ("implicit_euler(rtol: 1e-2)", TEXT),
    ("auto(rtol: 1e-4)", TEXT),
    ("rk4(step: 20 ms)", TEXT),
    ("esdirk(rtol: 1e-4)", TEXT),
    ("trbdf2(rtol: 1e-4)", TEXT),
    ("diffsol_bdf(rtol: 1e-4)", TEXT),
    ("taylor(rtol: 1e-4)", SMOOTH),
    ("milstein(step: 20 ms)", SMOOTH),
];

/// A program with a state of it.
pub struct Fixture {
    program: Program,
    experiment: Experiment,
    machine: Box<dyn Machine>,
    prepared: Prepared,
    state: Option<State>,
}

impl Fixture {
    /// One for each solver.
    pub fn all() -> Vec<Fixture> {
        SOLVERS.into_iter().map(|(solver, text)| Fixture::of(solver, text)).collect()
    }

    fn of(solver: &str, text: &str) -> Fixture {
        let noise = if solver.starts_with("milstein") { " + 0.1*white_noise()" } else { "" };
        let text = text.replace("SOLVER", solver).replace("NOISE", noise);
        let mut session = Session::check("fuzz.twinml", text.as_str(), &MemoryLoader::new());
        let compiled = session.compile(Choice::default(), &mut NoData);
        let said: Vec<&String> = session.diags.iter().map(|d| &d.message).collect();
        let compiled = compiled.unwrap_or_else(|| panic!("the fixture does not compile: {said:#?}"));
        let (program, experiment) = (compiled.program, compiled.experiment);
        let mut machine = run::machine(&program, MachineKind::Interpreter);
        let prepared = Prepared::new(&program, &mut *machine, &experiment).expect("it is prepared");
        let mut fixture = Fixture { program, experiment, machine, prepared, state: None };
        let mut state = None;
        let keep = Keep::at(4_300_000_000, |s| {
            state = Some(s);
            Ok(())
        });
        let Fixture { program, experiment, machine, prepared, .. } = &fixture;
        let report = prepared
            .run_kept(program, &**machine, experiment, None, fixture.outlets(), None, Some(keep), &mut |_| {
                Flow::Continue
            })
            .expect("it runs");
        assert!(report.said > 0 && report.events > 3 && state.is_some(), "{solver}: {report:?}");
        fixture.state = state;
        fixture
    }

    fn outlets(&self) -> Vec<Outlet> {
        let plans = run::plans(&self.program, &self.experiment, false).expect("it is recorded");
        let outlet = |plan: run::Plan| {
            let (recorder, _) = MemoryRecorder::new(plan.columns().clone());
            Outlet { plan, recorder: Box::new(recorder) }
        };
        plans.into_iter().map(outlet).collect()
    }

    fn state(&self) -> &State {
        self.state.as_ref().expect("a state was taken")
    }

    pub fn snapshot(&self) -> Snapshot {
        let file =
            File { path: "fuzz.twinml".into(), origin: Origin::Source, bytes: TEXT.as_bytes().to_vec() };
        let model = Model {
            compiler: "test".into(),
            hash: [1; 32],
            program: program_hash(&self.program),
            files: vec![file],
        };
        let scenario = Scenario {
            name: "s".into(),
            twin: "T".into(),
            branch: String::new(),
            request: "{}".into(),
            seed: 0,
            run: 0,
            solver: "bdf".into(),
            duration: 10.0,
            parameters: "{}".into(),
        };
        let (model, scenario) = (Arc::new(model), Arc::new(scenario));
        let envelope = b"envelope".to_vec();
        Snapshot { model, scenario, state: self.state().clone(), parent: Some([7; 32]), envelope }
    }

    /// Inputs that are as they should be: the number of a section, and its bytes.
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        let container = self.snapshot().container();
        let one = |(k, s): (u8, &Section)| [&[k][..], &s.bytes].concat();
        (0..).zip(container.sections()).map(one).collect()
    }

    /// Any bytes as a file, and as a section of a file whose hashes fit: refused, or read as what would be written the
    /// same; and a state that is read can be run. True if it was.
    pub fn try_on(&self, data: &[u8]) -> bool {
        if let Ok(read) = Snapshot::decode(data) {
            assert_eq!(read.encode(), data, "one encoding");
        }
        let Some((which, bytes)) = data.split_first() else { return false };
        let (mut sections, envelope) = self.snapshot().container().into_parts();
        let at = usize::from(*which) % sections.len();
        sections[at].bytes = bytes.into();
        let container = Container::new(sections, envelope);
        let file = container.encode();
        let again = Container::decode(&file).expect("hashes fit");
        assert_eq!(again, container);
        let Ok(snapshot) = Snapshot::of(again) else { return false };
        assert_eq!(snapshot.encode(), file, "one encoding");
        let mut steps = 0;
        let mut watch = |_| {
            steps += 1;
            if steps < 10 { Flow::Continue } else { Flow::Stop }
        };
        let Fixture { program, experiment, machine, prepared, .. } = self;
        let from = (&snapshot.state, Onward::default());
        prepared
            .resume(program, &**machine, experiment, 0, from, self.outlets(), None, None, &mut watch)
            .is_ok()
    }
}
