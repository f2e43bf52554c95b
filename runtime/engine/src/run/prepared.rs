//! An experiment made ready once, for any number of runs of it.

use twinml_model::passes::slice;
use twinml_model::program::Record;

use super::*;
use crate::snapshot::State;

/// Rows that are no more than so many fixed steps apart are taken many at a time.
const OFTEN: f64 = 8.5;

/// What all runs of an experiment share: solver, options, kernels that were added to the machine.
#[derive(Clone, Debug)]
pub struct Prepared {
    method: Method,
    options: Options,
    actions: Vec<(f64, KernelId)>,
    fused: Option<Fused>,
    taylor: Option<system::Taylor>,
    rosenbrock: Option<whole::Rosenbrock>,
    projection: Option<KernelId>,
    /// Computes what requirements look at, where that takes less than all outputs.
    looks: Option<KernelId>,
    /// Heads of handlers that wait for a condition.
    titles: Vec<String>,
    /// Runs end once all their verdicts are decided.
    until_decided: bool,
    /// What is computed may be no number, and is looked at now and then.
    marked: bool,
}

/// One of many runs: its index in all random streams, and values of parameters.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The run's index.
    pub run: u32,
    /// All of `Param` before formulas are computed.
    pub param: &'a [f64],
}

impl Prepared {
    /// Adds what an experiment needs to a machine of the same program.
    ///
    /// # Errors
    ///
    /// [`RunError::Method`], [`RunError::Options`].
    pub fn new(
        program: &Program,
        machine: &mut dyn Machine,
        experiment: &Experiment,
    ) -> Result<Prepared, RunError> {
        let (method, mut options) = solver(program, experiment)?;
        if events_matter(program) {
            let asked = &mut options.tolerances;
            let sharp = sharpness(method, asked.rtol);
            asked.rtol *= sharp;
            asked.atol.iter_mut().for_each(|a| *a *= sharp);
        }
        let actions: Vec<(f64, KernelId)> = experiment
            .actions
            .iter()
            .map(|action| (plan::seconds(action.time_ns), machine.add(action.kernel.clone())))
            .collect();
        let fused = match (method, options.h) {
            // A loop beside the right-hand side is followed from step to step.
            (Method::Rk4, Some(h)) if program.kept.is_none() && !host::aside(program).contains(&true) => {
                let h = h.min(options.h_max);
                let often = |r: &Record| r.every_as.is_some_and(|p| (p as f64) * 1e-18 <= OFTEN * h);
                Fused::new(program, machine, (0.0, h), experiment.records.iter().any(often))
            }
            _ => None,
        };
        let order = match method {
            Method::Taylor => Some(twinml_solvers::taylor::order(options.tolerances.rtol)),
            Method::Auto => Some(twinml_solvers::auto::series_order(&options)),
            _ => None,
        };
        let taylor = order
            .filter(|_| program.sizes.state > 0)
            .map(|order| system::Taylor::new(machine, order, method == Method::Auto));
        if let (Method::Taylor, Some(taylor)) = (method, &taylor) {
            taylor.ready(program, machine).map_err(RunError::Taylor)?;
        }
        let rosenbrock = match method {
            Method::Rosenbrock => Some(whole::Rosenbrock::new(machine, &options.tolerances)),
            Method::Auto => {
                let tolerances = twinml_solvers::auto::rosenbrock_tolerances(&options);
                Some(whole::Rosenbrock::new(machine, &tolerances))
            }
            _ => None,
        };
        // What all steps will be done with is made before the first; `auto` may never come to need it.
        let rosenbrock = match (method, rosenbrock) {
            (Method::Rosenbrock, Some(r)) => r.kernel(program, machine).is_some().then_some(r),
            (_, r) => r,
        };
        let projection = program.kept.as_ref().map(|_| machine.add(program.projection.clone()));
        let looks = observe::wanted(experiment);
        let looks = match looks.is_empty() {
            true => None,
            false => slice::without_blocks(program, &looks).map(|k| machine.add(k)),
        };
        let handlers = 0..program.behavior.handlers.len() as u32;
        // Those that wait for a condition are told apart by it.
        let title = |h: u32| match program.behavior.handlers[h as usize].trigger {
            Trigger::Rising(_) | Trigger::Falling(_) | Trigger::Change(_) | Trigger::When(_) => {
                instant::heading(program, h)
            }
            _ => String::new(),
        };
        let titles = handlers.map(title).collect();
        let until_decided = false;
        Ok(Prepared {
            marked: numbers::may_be_none(program),
            method,
            options,
            actions,
            fused,
            taylor,
            rosenbrock,
            projection,
            looks,
            titles,
            until_decided,
        })
    }

    /// The same with runs that end as soon as every requirement is decided, whatever may still come: for those who want
    /// verdicts alone. They are what they would be at the end; all else is as far as the run went.
    #[must_use]
    pub fn until_decided(self) -> Prepared {
        Prepared { until_decided: true, ..self }
    }

    /// The same for another experiment that differs from `own` in its actions alone ([`super::shares`]): what is common is
    /// added to the machine once.
    #[must_use]
    pub fn with_actions(&self, machine: &mut dyn Machine, own: &Experiment, other: &Experiment) -> Prepared {
        let actions = other.actions.iter().map(|action| {
            let known = own.actions.iter().zip(&self.actions).find(|(a, _)| a.kernel == action.kernel);
            let kernel = known.map_or_else(|| machine.add(action.kernel.clone()), |(_, (_, kernel))| *kernel);
            (plan::seconds(action.time_ns), kernel)
        });
        Prepared { actions: actions.collect(), ..self.clone() }
    }

    /// The integrator of a run.
    fn integrator(
        &self,
        program: &Program,
        experiment: &Experiment,
    ) -> Result<Box<dyn Integrator>, RunError> {
        let (method, options) = (self.method, &self.options);
        // Without states there is nothing to integrate: time goes from instant to instant.
        if program.sizes.state == 0 && !method.fixed_step() {
            let sampled = program.sizes.root > 0;
            let longest = if sampled { experiment.duration / STILL_STEPS } else { f64::INFINITY };
            return Ok(Box::new(still::Still::new(longest.min(options.h_max))));
        }
        let made = match program.noise.is_empty() {
            true => integrator::make(method, options),
            false => integrator::make_stochastic(method, options),
        };
        made.map_err(RunError::Options)
    }

    /// Runs the experiment to its end, recording into `outlets`; `sample` tells which of many runs it is, none: the
    /// nominal one.
    ///
    /// # Errors
    ///
    /// As [`simulate_logged`].
    #[expect(clippy::too_many_arguments, reason = "what is run, on what, which of many, and who watches")]
    pub fn run(
        &self,
        program: &Program,
        machine: &dyn Machine,
        experiment: &Experiment,
        sample: Option<Sample<'_>>,
        outlets: Vec<Outlet>,
        log: Option<OpenLog<'_>>,
        watch: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<Report, RunError> {
        self.run_kept(program, machine, experiment, sample, outlets, log, None, watch)
    }

    /// [`Prepared::run`], which hands on states that the run can go on from. That changes no bit of it.
    ///
    /// # Errors
    ///
    /// As [`simulate_logged`]; [`RunError::Record`] also where who takes a state fails.
    #[expect(clippy::too_many_arguments, reason = "what is run, on what, which of many, and who watches")]
    pub fn run_kept(
        &self,
        program: &Program,
        machine: &dyn Machine,
        experiment: &Experiment,
        sample: Option<Sample<'_>>,
        outlets: Vec<Outlet>,
        log: Option<OpenLog<'_>>,
        keep: Option<Keep<'_>>,
        watch: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<Report, RunError> {
        let mut run = self.launch(program, machine, experiment, sample, outlets, log)?;
        let ended = run.whole(keep.map(|k| keep::Keeper::new(k, -1)), watch);
        self.land(run, ended)
    }

    /// Goes on from a state to the end, with the bits of the run that it was taken of: `outlets` get the rows that come
    /// after it, `log` the events. The program and the experiment are those of that run, the experiment but for actions
    /// that come after the state; `run` is the run's index in all random streams.
    ///
    /// # Errors
    ///
    /// [`ResumeError`].
    #[expect(clippy::too_many_arguments, reason = "what is run, on what, from where, and who watches")]
    pub fn resume(
        &self,
        program: &Program,
        machine: &dyn Machine,
        experiment: &Experiment,
        run: u32,
        (state, onward): (&State, Onward<'_>),
        outlets: Vec<Outlet>,
        log: Option<OpenLog<'_>>,
        keep: Option<Keep<'_>>,
        watch: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<Report, ResumeError> {
        let mut run = self.board(program, machine, experiment, run, (state, onward), outlets, log)?;
        if let Some(ended) = run.catch_up(state, watch)? {
            return Ok(self.land(run, ended)?);
        }
        let keeper = keep.map(|k| keep::Keeper::new(k, state.clock.asked));
        let ended = run.rest_of_it(keeper, watch);
        Ok(self.land(run, ended)?)
    }

    /// A run that goes on from a state, before its next step.
    #[expect(clippy::too_many_arguments, reason = "what is run, on what, from where")]
    pub(super) fn board<'a>(
        &self,
        program: &'a Program,
        machine: &'a dyn Machine,
        experiment: &'a Experiment,
        run: u32,
        (state, onward): (&State, Onward<'_>),
        outlets: Vec<Outlet>,
        log: Option<OpenLog<'a>>,
    ) -> Result<Run<'a>, ResumeError> {
        let param = Memory::new(program).space(Space::Param).to_vec();
        let sample = Some(Sample { run, param: &param });
        let mut run = self.launch(program, machine, experiment, sample, outlets, log)?;
        run.restore(state)?;
        run.go_on(state, &onward)?;
        Ok(run)
    }

    /// A run that has not begun.
    pub(super) fn launch<'a>(
        &self,
        program: &'a Program,
        machine: &'a dyn Machine,
        experiment: &'a Experiment,
        sample: Option<Sample<'_>>,
        outlets: Vec<Outlet>,
        log: Option<OpenLog<'a>>,
    ) -> Result<Run<'a>, RunError> {
        let integrator = self.integrator(program, experiment)?;
        let options = &self.options;
        let mut run = Run::new(program, machine, experiment, integrator, self.actions.clone(), outlets);
        run.marked = self.marked;
        run.of_job = sample.is_some();
        run.manifold = self.projection.and_then(|k| manifold::Manifold::with(program, k, options));
        if !program.noise.is_empty() {
            run.system.drive(experiment.seed, sample.map_or(0, |s| s.run));
        }
        run.ranges.tolerances = options.tolerances.clone();
        if program.behavior != Behavior::default() {
            let mut scheduler = Scheduler::new(&program.behavior, experiment.seed);
            scheduler.store.run = sample.map_or(0, |s| s.run);
            scheduler.titles.clone_from(&self.titles);
            run.behavior = Some(scheduler);
        }
        if let Some(s) = sample {
            run.system.memory.space_mut(Space::Param).copy_from_slice(s.param);
        }
        run.log = log.map(|open| log::Log::new(program, experiment, open));
        run.observer = observe::Observer::new(program, experiment, options.tolerances.rtol, self.looks);
        run.until_decided = self.until_decided;
        run.system.fused.clone_from(&self.fused);
        run.system.taylor.clone_from(&self.taylor);
        run.system.rosenbrock.clone_from(&self.rosenbrock);
        Ok(run)
    }

    /// The report of a run that has ended.
    pub(super) fn land(&self, mut run: Run<'_>, ended: Result<Ended, Stop>) -> Result<Report, RunError> {
        let ended = match ended {
            Ok(ended) => ended,
            Err(Stop::Failed(failure)) => Ended::Failed(failure),
            Err(Stop::Range) => {
                let at = run.time;
                let x = run.x.clone();
                let back = run.observe_back(at);
                run.system.set(at, &x);
                match back.and_then(|()| run.row_everywhere(at, run.step_now())) {
                    Ok(()) => Ended::Range,
                    Err(Stop::Record(error)) => return Err(RunError::Record(error)),
                    Err(Stop::Failed(failure)) => Ended::Failed(failure),
                    Err(Stop::Range) => Ended::Range,
                }
            }
            Err(Stop::Record(error)) => return Err(RunError::Record(error)),
        };
        let ended = match run.halted.take() {
            Some(reason) if matches!(ended, Ended::Complete) => Ended::Halted(reason),
            _ => ended,
        };
        let ended = if run.rest() && matches!(ended, Ended::Complete) { Ended::Range } else { ended };
        run.finish(self.method, ended)
    }
}
