//! What a run draws: every draw of a program with its stream, and the values of a run.

use std::collections::BTreeMap;

use twinml_model::draws::{Arg, Draws, Family, Group, Law, NotPositive, groups};
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::ids::VarId;
use twinml_model::ir::Space;
use twinml_model::program::{Program, Watch};
use twinml_model::schema::{DisplayUnit, Kind, Role};

use super::law::{Made, Probability};
use super::sampler::Source;
use crate::behavior::random;

/// How often a value outside of its range is drawn again before the run is given up.
const ATTEMPTS: u32 = 1000;

/// Something that is drawn.
#[derive(Clone, Debug)]
pub struct Draw {
    /// Its path: `tanks[0].area`, `tanks[0].h.start`.
    pub name: String,
    /// The unit people see.
    pub unit: DisplayUnit,
    /// How to read it.
    pub kind: Kind,
    /// Its number in the random streams: follows from the path.
    pub stream: u64,
    /// The slot of `Param` that it writes.
    pub slot: u32,
    /// The range that it must lie in.
    pub range: Option<(f64, f64)>,
    family: usize,
    instance: u32,
    /// Parameters that are 0 where the value is outside of a range that is more than two limits.
    watched: Vec<u32>,
    /// The group of correlated draws that it belongs to, and its place there.
    group: Option<(usize, usize)>,
}

/// All that a job draws.
#[derive(Clone, Debug)]
pub struct Plan {
    draws: Vec<Draw>,
    families: Vec<Family>,
    groups: Vec<Group>,
    /// Draws of each level, the lowest first.
    levels: Vec<Vec<usize>>,
    /// Where the numbers come from.
    pub source: Source,
}

/// Why a run has no values.
#[derive(Clone, Debug, PartialEq)]
pub enum DrawFault {
    /// The distribution's arguments are none.
    Law {
        /// What is drawn.
        name: String,
        /// The distribution with its numbers.
        text: String,
    },
    /// Draw after draw fell outside of the range.
    Range {
        /// What is drawn.
        name: String,
        /// How many draws.
        attempts: u32,
    },
    /// A formula of parameters failed.
    Formula,
}

impl std::fmt::Display for DrawFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DrawFault::Law { name, text } => write!(f, "`{name}` cannot be drawn from {text}"),
            DrawFault::Range { name, attempts } => {
                write!(f, "`{name}` was drawn {attempts} times and never inside of its range")
            }
            DrawFault::Formula => {
                write!(f, "a formula of parameters cannot be computed for the values drawn")
            }
        }
    }
}

impl std::error::Error for DrawFault {}

/// The values of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    /// In SI, in the order of [`Plan::draws`].
    pub drawn: Vec<f64>,
    /// How many draws were repeated because they fell outside of their range.
    pub repeated: u32,
}

/// Makes a program one whose runs keep drawn values: formulas that give nominal values of what is drawn are left out.
/// To be called before a machine is made for it.
pub fn keep_drawn(program: &mut Program) {
    if let Some(kernel) = program.draws.params.take() {
        program.params = kernel;
    }
}

impl Plan {
    /// The draws of a program.
    ///
    /// # Errors
    ///
    /// [`NotPositive`] where correlations cannot be, which the compiler excludes.
    pub fn new(program: &Program, source: Source) -> Result<Plan, NotPositive> {
        let Draws { families, correlations, .. } = &program.draws;
        let mut draws = Vec::with_capacity(program.draws.len());
        let mut watched: BTreeMap<(VarId, u32), Vec<u32>> = BTreeMap::new();
        for r in &program.ranges {
            if let Watch::Param(slot) = r.watch {
                for j in 0..r.len {
                    watched.entry((r.var, r.element(j).unwrap_or_default())).or_default().push(slot + j);
                }
            }
        }
        for (k, f) in families.iter().enumerate() {
            let variable = &program.schema.vars[f.var.index()];
            for j in 0..f.len {
                // The verifier has seen that elements and slots exist.
                let (element, slot) =
                    (f.element(j).unwrap_or_default(), f.slot_of(&f.slot, j).unwrap_or_default());
                let start = matches!(variable.role, Role::State | Role::Discrete);
                let name = format!("{}{}", variable.element_path(element), if start { ".start" } else { "" });
                draws.push(Draw {
                    stream: random::hash(random::hash(random::HASH, "~"), &name),
                    name,
                    unit: variable.unit.clone(),
                    kind: variable.kind,
                    slot,
                    range: variable.range,
                    family: k,
                    instance: j,
                    watched: watched.get(&(f.var, element)).cloned().unwrap_or_default(),
                    group: None,
                });
            }
        }
        let groups = groups(correlations)?;
        for (g, group) in groups.iter().enumerate() {
            for (at, member) in group.members.iter().enumerate() {
                if let Some(d) = draws.get_mut(*member as usize) {
                    d.group = Some((g, at));
                }
            }
        }
        let mut levels: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (k, d) in draws.iter().enumerate() {
            levels.entry(families[d.family].level).or_default().push(k);
        }
        Ok(Plan { draws, families: families.clone(), groups, levels: levels.into_values().collect(), source })
    }

    /// What is drawn, in order.
    #[must_use]
    pub fn draws(&self) -> &[Draw] {
        &self.draws
    }

    /// Draws the values of run `run` into `Param` of a memory that holds the program's defaults, and computes all
    /// formulas of parameters. The machine is of a program that [`keep_drawn`] has seen.
    ///
    /// # Errors
    ///
    /// [`DrawFault`].
    pub fn draw(&self, machine: &dyn Machine, memory: &mut Memory, run: u32) -> Result<Values, DrawFault> {
        self.draw_with(machine, memory, run, &mut |_, u| u)
    }

    /// As [`Plan::draw`], with a say in where each draw stands: `choose(draw, u)` gets its number and its place in the
    /// unit interval and answers with the place to take. Designs of sensitivity analysis are made this way.
    ///
    /// # Errors
    ///
    /// [`DrawFault`].
    pub fn draw_with(
        &self,
        machine: &dyn Machine,
        memory: &mut Memory,
        run: u32,
        choose: &mut dyn FnMut(usize, f64) -> f64,
    ) -> Result<Values, DrawFault> {
        let mut attempts = vec![0u32; self.draws.len()];
        let mut out = Values { drawn: vec![0.0; self.draws.len()], repeated: 0 };
        // A value that is refused is drawn again before anything is drawn from it.
        while let Err(outside) = self.once(machine, memory, run, &attempts, choose, &mut out.drawn)? {
            for k in outside {
                // Correlated draws are drawn again together.
                let one = [k as u32];
                let members = match self.draws[k].group {
                    Some((g, _)) => &self.groups[g].members[..],
                    None => &one,
                };
                for &m in members {
                    attempts[m as usize] += 1;
                }
                out.repeated += 1;
                if attempts[k] >= ATTEMPTS {
                    return Err(DrawFault::Range { name: self.draws[k].name.clone(), attempts: ATTEMPTS });
                }
            }
        }
        Ok(out)
    }

    /// Draws everything once, or tells the draws of the lowest level that are outside of their ranges.
    fn once(
        &self,
        machine: &dyn Machine,
        memory: &mut Memory,
        run: u32,
        attempts: &[u32],
        choose: &mut dyn FnMut(usize, f64) -> f64,
        drawn: &mut [f64],
    ) -> Result<Result<(), Vec<usize>>, DrawFault> {
        let formulas = |memory: &mut Memory| {
            machine.run(KernelId::Params, memory, &mut NoHost).map_err(|_| DrawFault::Formula)
        };
        let places = self.places(run, attempts, choose);
        // Whether formulas are up to date.
        let mut known = false;
        for level in &self.levels {
            let mut laws = level.iter().map(|&k| &self.families[self.draws[k].family].law);
            if !known && laws.any(has_parameters) {
                formulas(memory)?;
            }
            for &k in level {
                drawn[k] = self.value(k, places[k], memory)?;
            }
            let param = memory.space_mut(Space::Param);
            for &k in level {
                param[self.draws[k].slot as usize] = drawn[k];
            }
            known = level.iter().any(|&k| !self.draws[k].watched.is_empty());
            if known {
                formulas(memory)?;
            }
            let outside = self.outside(level, drawn, memory.space(Space::Param));
            if !outside.is_empty() {
                return Ok(Err(outside));
            }
        }
        if !known {
            formulas(memory)?;
        }
        Ok(Ok(()))
    }

    /// Where each draw stands, with correlations.
    fn places(
        &self,
        run: u32,
        attempts: &[u32],
        choose: &mut dyn FnMut(usize, f64) -> f64,
    ) -> Vec<Probability> {
        let one = |(k, d): (usize, &Draw)| {
            let u = self.source.unit(d.stream, k, run, attempts[k]);
            Probability::of(if attempts[k] == 0 { choose(k, u) } else { u })
        };
        let mut places: Vec<Probability> = self.draws.iter().enumerate().map(one).collect();
        for g in &self.groups {
            let normal: Vec<f64> = g.members.iter().map(|m| places[*m as usize].normal()).collect();
            let mut row = &g.factor[..];
            for (k, m) in g.members.iter().enumerate() {
                let (own, rest) = row.split_at(k + 1);
                row = rest;
                let z = own.iter().zip(&normal).map(|(l, z)| l * z).sum();
                // The first of a group is as it was, to the last bit.
                if k > 0 {
                    places[*m as usize] = Probability::of_normal(z);
                }
            }
        }
        places
    }

    fn value(&self, k: usize, place: Probability, memory: &Memory) -> Result<f64, DrawFault> {
        let d = &self.draws[k];
        let f = &self.families[d.family];
        let param = memory.space(Space::Param);
        let number = |a: &Arg| match a {
            Arg::Number(x) => Some(*x),
            Arg::Param(slot) => f.slot_of(slot, d.instance).and_then(|s| param.get(s as usize)).copied(),
        };
        let fault = |law: Option<&Law<f64>>| DrawFault::Law {
            name: d.name.clone(),
            text: law.map_or_else(|| "arguments that are not there".to_owned(), written),
        };
        let law = f.law.map(&mut |a| number(a)).ok_or_else(|| fault(None))?;
        let x = Made::new(&law)
            .and_then(|m| m.at(place))
            .filter(|x| x.is_finite())
            .ok_or_else(|| fault(Some(&law)))?;
        // What counts things is whole, whatever it is drawn from.
        Ok(if d.kind == Kind::Int { x.round_ties_even() } else { x })
    }

    /// The draws of a level that are outside of their ranges.
    fn outside(&self, level: &[usize], drawn: &[f64], param: &[f64]) -> Vec<usize> {
        let bad = |k: &usize| {
            let d = &self.draws[*k];
            let limits = d.range.is_some_and(|(lo, hi)| !(lo..=hi).contains(&drawn[*k]));
            limits || d.watched.iter().any(|s| param[*s as usize] == 0.0)
        };
        level.iter().copied().filter(|k| bad(k)).collect()
    }
}

fn has_parameters(law: &Law) -> bool {
    let mut found = false;
    law.each_arg(&mut |a| found |= matches!(a, Arg::Param(_)));
    found
}

/// As the modeller writes it, with its numbers in SI.
fn written(law: &Law<f64>) -> String {
    let list = |l: &[f64]| l.iter().map(|x| format!("{x:?}")).collect::<Vec<_>>().join(", ");
    match law {
        Law::Named(name, args) => format!("{name}({})", list(args)),
        Law::Discrete(values, weights) if weights.is_empty() => format!("discrete([{}])", list(values)),
        Law::Discrete(values, weights) => {
            format!("discrete([{}], weights: [{}])", list(values), list(weights))
        }
        Law::Samples(all) => format!("empirical({} values)", all.len()),
        Law::Truncated(of, lo, hi) => format!("truncated({}, {lo:?}, {hi:?})", written(of)),
        Law::Mixture(parts, weights) => {
            let parts = parts.iter().map(written).collect::<Vec<_>>().join(", ");
            format!("mixture([{parts}], weights: [{}])", list(weights))
        }
    }
}
