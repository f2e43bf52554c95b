//! From a trap or a solver's error to a report with names and places.

use super::*;

impl Run<'_> {
    pub(super) fn failure(&self, time: f64, kind: FailureKind, origins: Vec<OriginId>) -> Stop {
        Stop::Failed(Box::new(Failure { time, kind, origins, values: Vec::new(), residuals: Vec::new() }))
    }

    /// The path, value and SI unit of a slot.
    pub(super) fn named(&self, space: Space, slot: usize) -> (String, f64, String) {
        let value = self.system.memory.space(space).get(slot).copied().unwrap_or(f64::NAN);
        let vars = &self.system.program.schema.vars;
        let holds = |base: u32, len: u32| (base as usize..base as usize + len as usize).contains(&slot);
        match vars.iter().find(|v| v.space == space && holds(v.base, v.len)) {
            Some(v) => (v.element_path((slot - v.base as usize) as u32), value, v.si_unit.clone()),
            None => (format!("{}[{slot}]", space.name()), value, String::new()),
        }
    }

    pub(super) fn not_finite(&self, space: Space, slot: usize) -> Stop {
        let values = vec![self.named(space, slot)];
        let declared = self.system.program.schema.vars.iter().find(|v| {
            v.space == space && (v.base as usize..v.base as usize + v.len as usize).contains(&slot)
        });
        let origins = declared.map(|v| v.origin).into_iter().collect();
        let kind = FailureKind::NotFinite;
        Stop::Failed(Box::new(Failure { time: 0.0, kind, origins, values, residuals: Vec::new() }))
    }

    pub(super) fn relations_of(&self, discs: &[usize]) -> Vec<OriginId> {
        let relations = &self.system.program.relations;
        let mut origins: Vec<OriginId> = discs
            .iter()
            .filter_map(|&disc| {
                let holds = |first: u32, len: u32| (first as usize..(first + len) as usize).contains(&disc);
                relations.iter().find(|r| holds(r.disc, r.len)).map(|r| r.origin)
            })
            .collect();
        origins.dedup();
        origins
    }

    pub(super) fn unsettled(&self, t: f64, changed: &[usize]) -> Stop {
        self.failure(t, FailureKind::Unsettled { rounds: ROUNDS }, self.relations_of(changed))
    }

    /// A kernel ended early where no smaller step can help.
    pub(super) fn trapped(&self, t: f64, trap: Trap, initial: bool) -> Stop {
        match trap {
            Trap::Block(block) => {
                let program = self.system.program;
                let failure = self.system.host.failure.clone().unwrap_or(BlockFailure {
                    block,
                    iterations: 0,
                    singular: false,
                    far: false,
                    residuals: Vec::new(),
                    unknowns: Vec::new(),
                });
                let mut ranked: Vec<(usize, f64)> = failure.residuals.iter().copied().enumerate().collect();
                // The largest first; what is no number is the largest of all.
                ranked.sort_by(|a, b| key(b.1).total_cmp(&key(a.1)).then(a.0.cmp(&b.0)));
                ranked.truncate(5);
                let Some(block) = program.blocks.get(failure.block.index()) else {
                    return self.failure(t, FailureKind::Block { failure, initial }, Vec::new());
                };
                let origin =
                    |k: usize| block.origins.iter().rev().find(|(f, _)| *f as usize <= k).map(|(_, o)| *o);
                let origins = ranked.iter().filter_map(|(k, _)| origin(*k)).collect();
                // What was found elsewhere is a solution.
                let residuals = ranked.iter().filter(|_| !failure.far).map(|(_, r)| *r).collect();
                let slots = block
                    .unknowns
                    .iter()
                    .flat_map(|r| (r.base..r.base + r.len).map(|s| (r.space, s as usize)));
                let values = slots
                    .zip(&failure.unknowns)
                    .take(12)
                    .map(|((space, slot), value)| {
                        let (path, _, unit) = self.named(space, slot);
                        (path, *value, unit)
                    })
                    .collect();
                let kind = FailureKind::Block { failure, initial };
                Stop::Failed(Box::new(Failure { time: t, kind, origins, values, residuals }))
            }
            Trap::TableRange { table, x } => {
                let name = self.system.program.tables.get(table.index()).map_or("?", |t| &t.name).to_owned();
                let origins = lookup::equations(self.system.program, table);
                self.failure(t, FailureKind::Table { table, name, x }, origins)
            }
            Trap::IndexOutOfRange { origin, index, len } => {
                self.failure(t, FailureKind::Index { index, len }, vec![origin])
            }
        }
    }

    /// The solver gave up: with the state that it names, its equation, and the trap behind it, if any.
    pub(super) fn solver_failure(&mut self, error: SolveError) -> Stop {
        let time = match error {
            SolveError::Eval { t, .. }
            | SolveError::NotFinite { t, .. }
            | SolveError::NoSeries { t, .. }
            | SolveError::StepTooSmall { t, .. }
            | SolveError::Newton { t, .. }
            | SolveError::Singular { t, .. }
            | SolveError::TooManySteps { t, .. }
            | SolveError::StopTime { t, .. }
            | SolveError::NotCommuting { t, .. }
            | SolveError::Library { t, .. } => t,
            _ => self.time,
        };
        if let SolveError::NotCommuting { first, second, .. } = error {
            let all = self.system.program.noise.iter();
            let paths: Vec<_> = all.flat_map(|n| (0..n.len).map(move |j| (n, j))).collect();
            let name = |k: usize| paths.get(k).map_or_else(String::new, |(n, j)| n.element_path(*j));
            let mut origins: Vec<OriginId> =
                [first, second].iter().filter_map(|k| paths.get(*k)).map(|(n, _)| n.origin).collect();
            origins.dedup();
            let kind = FailureKind::NotCommuting { pair: [name(first), name(second)] };
            return self.failure(time, kind, origins);
        }
        let state = match error {
            SolveError::NotFinite { state, .. }
            | SolveError::NoSeries { state, .. }
            | SolveError::Newton { state, .. }
            | SolveError::StepTooSmall { state, .. } => Some(state),
            SolveError::Singular { column, .. } => Some(column),
            _ => None,
        };
        // Where the model could not be evaluated, the reason is in the model and not in the step size.
        let evaluation = match error {
            SolveError::Eval { error: EvalError::Recoverable { .. }, .. } => true,
            SolveError::StepTooSmall { error, .. } => error.is_nan(),
            _ => false,
        };
        if evaluation && let Some(trap) = self.system.trap {
            return self.trapped(time, trap, false);
        }
        let (mut values, mut origins) = (Vec::new(), Vec::new());
        let mut kind = FailureKind::Solver(error);
        if (evaluation || matches!(error, SolveError::NotFinite { .. }))
            && let Some((slot, value, origin)) = self.unknown_without_value(time)
        {
            let (path, _, unit) = self.named(Space::Var, slot);
            kind = FailureKind::NoValue;
            values.push((path, value, unit));
            origins.push(origin);
        }
        if let Some(state) = state {
            let (path, _, unit) = self.named(Space::State, state);
            let value = if self.started { self.integrator.x().get(state) } else { self.x.get(state) };
            values.push((path, value.copied().unwrap_or(f64::NAN), unit));
            origins.extend(origin_of(self.system.program, Space::Der, state));
        }
        Stop::Failed(Box::new(Failure { time, kind, origins, values, residuals: Vec::new() }))
    }

    /// The unknown that is computed first of those that are no numbers, with its value and its equation, where the
    /// solver only sees the derivative that it spoils: a divisor that vanishes, also that of a loop solved in closed
    /// form, is found so. Memory is left as it was.
    fn unknown_without_value(&mut self, time: f64) -> Option<(usize, f64, OriginId)> {
        let before = self.system.memory.clone();
        let x = if self.started { self.integrator.x().to_vec() } else { self.x.clone() };
        // Where the solver looked last, and else where it arrived.
        let found = self.first_of(|_, v| !v.is_finite()).or_else(|| {
            self.system.set(time, &x);
            self.first_of(|_, v| !v.is_finite())
        });
        self.system.memory = before;
        found
    }

    /// The unknown that is computed first of those that are `bad` where memory stands.
    pub(super) fn first_of(&mut self, bad: impl Fn(usize, f64) -> bool) -> Option<(usize, f64, OriginId)> {
        if !self.system.memory.space(Space::State).iter().all(|x| x.is_finite()) {
            return None;
        }
        self.system.host.new_point();
        self.system.eval(KernelId::Outputs).ok()?;
        let vars = self.system.memory.space(Space::Var);
        let slots: Vec<usize> =
            vars.iter().enumerate().filter(|(k, v)| bad(*k, **v)).map(|(k, _)| k).collect();
        let (slot, origin) = first_stored(&self.system.program.outputs.body, Space::Var, &slots)?;
        Some((slot, vars[slot], origin))
    }
}

fn key(residual: f64) -> f64 {
    if residual.is_finite() { residual.abs() } else { f64::INFINITY }
}
