//! Requirements, aggregates and KPIs while a run goes on: their quantities are followed over every accepted step,
//! folded into verdicts and measures as far as they are known, and concluded at the end.

use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::host::KernelId;
use twinml_model::ir::Space;
use twinml_model::program::{Experiment, Program};
use twinml_model::requirement::{Aggregate, Atom, AtomKind, Judged, Measure};

use super::decided::Decided;
use super::{Run, Stop};
use crate::monitor::aggregate::{Number, Truth};
use crate::monitor::follow::{Extreme, Follower, Item, inner};
use crate::monitor::online::{self, Online};
use crate::monitor::signal::Signal;
use crate::monitor::trace::Trace;
use crate::monitor::{Judgement, Verdict, level, worst};

/// Rows of an element's trace before what is known for good is folded and forgotten.
const FOLD: usize = 256;

/// What requirements and KPIs look at.
pub(super) struct Observer {
    /// Slots of all that is followed: the columns.
    slots: Vec<usize>,
    follower: Follower,
    /// By requirement, where it is judged at all.
    watched: Vec<Option<Watched>>,
    measured: Vec<Measured>,
    /// First slots of the KPIs, and how many.
    kpis: Vec<(usize, usize)>,
    /// First slot of `Var` in memory.
    var: usize,
    input: usize,
    /// Computes the slots while a step is followed.
    looks: KernelId,
    /// Most rows that were held for one requirement.
    peak: usize,
}

/// A requirement.
struct Watched {
    judged: Judged,
    /// How many columns are its own.
    width: usize,
    elements: Vec<Element>,
    /// By atom the extremum that is all that is wanted of it; empty where more is.
    wanted: Vec<Option<Extreme>>,
    /// Scratch.
    row: Vec<f64>,
    piece: Vec<[f64; 3]>,
}

/// One of the elements that a requirement is said of.
struct Element {
    /// Columns of its atoms, but for those that are late.
    columns: Vec<usize>,
    trace: Trace,
    online: Online,
    /// When so many rows are held, it is time to fold.
    due: usize,
    /// The extremum so far, as a least value, where only that of its one column is wanted.
    best: f64,
    /// The last row says only how far the run is.
    idle: bool,
    /// Whether it is decided, where somebody waits for that.
    decided: Decided,
}

impl Element {
    /// Takes in a row of a column of which only an extremum is wanted; `last`: the run has come so far.
    fn extremal(&mut self, extreme: Extreme, t: f64, v: f64, last: bool) {
        let key = if extreme == Extreme::Least { v } else { -v };
        let better_before = key > self.best;
        if !better_before {
            self.best = self.best.min(key);
            self.idle = false;
            self.trace.push(t, &[v]);
        } else if last && self.idle {
            self.trace.replace_last(t, &[v]);
        } else if last {
            self.idle = true;
            self.trace.push(t, &[v]);
        }
    }
}

/// An aggregate.
struct Measured {
    of: Aggregate,
    first: usize,
    numbers: Vec<Number>,
    truths: Vec<Truth>,
}

impl Watched {
    fn new(j: &Judged, (first, width): (usize, usize)) -> Watched {
        let element = |k: u32| {
            let mut at = first;
            let mut columns = Vec::new();
            for a in j.atoms.iter().filter(|a| !a.late) {
                columns.push(at + a.element(k, j.elements));
                at += a.len as usize;
            }
            let trace = Trace::new(columns.len());
            let online = Online::new(&j.formula, &j.atoms);
            Element {
                columns,
                trace,
                online,
                due: FOLD,
                best: f64::INFINITY,
                idle: false,
                decided: Decided::default(),
            }
        };
        let elements = (0..j.elements).map(element).collect();
        let mut wanted = vec![None; j.atoms.len()];
        if !online::extremes(&j.formula, &j.atoms, &mut wanted) {
            wanted.clear();
        }
        Watched { judged: j.clone(), width, elements, wanted, row: Vec::new(), piece: Vec::new() }
    }

    /// The extremum that is wanted of the only column of each element, where that is all.
    fn extreme(&self) -> Option<Extreme> {
        let mut here = self.judged.atoms.iter().zip(&self.wanted).filter(|(a, _)| !a.late);
        let (_, wanted) = here.next()?;
        if here.next().is_none() { *wanted } else { None }
    }

    /// Tells the follower of which columns, from `first` on, only an extremum over the run is wanted.
    fn extremes(&self, first: usize, follower: &mut Follower) {
        let atoms = &self.judged.atoms;
        let mut at = first;
        for (a, wanted) in atoms.iter().zip(&self.wanted).filter(|(a, _)| !a.late) {
            if let Some(extreme) = *wanted {
                (at..at + a.len as usize).for_each(|k| follower.only(k, extreme));
            }
            at += a.len as usize;
        }
    }

    /// The signals of an element's atoms. `late` gives slots of `Var` where the run has ended.
    fn signals(judged: &Judged, k: u32, e: &Element, late: Option<&[f64]>) -> Vec<Signal> {
        let mut column = 0;
        let (from, to) = (e.trace.first().unwrap_or(0.0), e.trace.last().unwrap_or(0.0));
        let one = |a: &Atom| {
            if a.late {
                let slot = a.slot as usize + a.element(k, judged.elements);
                let v = late.and_then(|values| values.get(slot)).map_or(f64::NAN, |v| level(a, *v));
                return Signal::constant(from, to, v);
            }
            column += 1;
            e.trace.signal(column - 1, a.kind == AtomKind::Truth, |v| level(a, v))
        };
        judged.atoms.iter().map(one).collect()
    }

    fn take(&mut self, item: Item<'_>, peak: &mut usize) {
        let extreme = self.extreme();
        let judged = &self.judged;
        for (k, e) in self.elements.iter_mut().enumerate() {
            match (item, extreme) {
                (Item::Row(t, row), Some(extreme)) => {
                    let v = e.columns.first().map_or(f64::NAN, |c| row[*c]);
                    e.extremal(extreme, t, v, true);
                }
                (Item::Piece(from, to, rows), Some(extreme)) => {
                    let v = e.columns.first().map_or([f64::NAN; 3], |c| rows.map(|r| r[*c]));
                    inner(from, to, &[v], &mut |t, row| e.extremal(extreme, t, row[0], false));
                }
                (Item::Row(t, row), None) => {
                    let (Element { columns, trace, .. }, own) = (&mut *e, &mut self.row);
                    own.clear();
                    own.extend(columns.iter().map(|c| row[*c]));
                    trace.push(t, own);
                }
                (Item::Piece(from, to, rows), None) => {
                    let (Element { columns, trace, .. }, own) = (&mut *e, &mut self.piece);
                    own.clear();
                    own.extend(columns.iter().map(|c| rows.map(|r| r[*c])));
                    inner(from, to, own, &mut |t, row| trace.push(t, row));
                }
            }
            *peak = (*peak).max(e.trace.len());
            if e.trace.len() >= e.due {
                let signals = Watched::signals(judged, k as u32, e, None);
                e.online.fold(&signals);
                // The last row stays: it says where the signals are.
                let needs = e.online.needs();
                e.trace.forget(needs.min(e.trace.last().unwrap_or(needs)));
                e.due = (2 * e.trace.len()).max(FOLD);
            }
        }
    }

    /// Whether its verdict stands, whatever may still come.
    fn decided(&mut self) -> bool {
        let extreme = self.extreme().is_some();
        let Watched { judged, elements, .. } = self;
        let mut all = true;
        for (k, e) in elements.iter_mut().enumerate() {
            // Where an extremum decides, only one of the other sign does.
            let may = !(extreme && e.best > 0.0) && (!e.trace.is_empty() || e.columns.is_empty());
            if may && e.decided.due(&e.trace, &e.online) {
                let found = e.online.judge(&Watched::signals(judged, k as u32, e, None), false);
                e.decided.looked(found.verdict);
            }
            match e.decided.verdict() {
                // One that is violated decides for all.
                Some(Verdict::Violated) => return true,
                Some(_) => {}
                None => all = false,
            }
        }
        all
    }

    fn judge(&self, late: Option<&[f64]>, complete: bool) -> Option<Judgement> {
        let of = |(k, e): (usize, &Element)| {
            e.online.judge(&Watched::signals(&self.judged, k as u32, e, late), complete)
        };
        let found = worst(self.elements.iter().enumerate().map(of))?;
        Some(Judgement { robustness: found.robustness / self.judged.unit.1, ..found })
    }
}

impl Measured {
    fn new(of: &Aggregate, first: usize) -> Measured {
        let (mut numbers, mut truths) = (Vec::new(), Vec::new());
        for _ in 0..of.len {
            match &of.truth {
                Some(f) => truths.push(Truth::new(of.measure, of.window, f.clone())),
                None => numbers.push(Number::new(of.measure, of.window)),
            }
        }
        Measured { of: of.clone(), first, numbers, truths }
    }

    fn take(&mut self, item: Item<'_>) {
        let Measured { of, first, numbers, truths } = self;
        let first = *first;
        for (k, n) in numbers.iter_mut().enumerate() {
            let Some(atom) = of.atoms.first() else { continue };
            let column = first + atom.element(k as u32, of.len);
            match item {
                Item::Row(t, row) => n.row(t, row[column]),
                Item::Piece(from, to, rows) => n.piece(from, to, rows.map(|r| r[column])),
            }
        }
        let steps: Vec<bool> = of.atoms.iter().map(|a| a.kind == AtomKind::Truth).collect();
        for (k, truth) in truths.iter_mut().enumerate() {
            let mut at = first;
            let column = |a: &Atom| {
                let own = at + a.element(k as u32, of.len);
                at += a.len as usize;
                own
            };
            let columns: Vec<usize> = of.atoms.iter().map(column).collect();
            let mut take = |t: f64, row: &[f64]| {
                let levels = of.atoms.iter().zip(row).map(|(a, v)| level(a, *v)).collect();
                truth.row(t, levels, &steps);
            };
            match item {
                Item::Row(t, row) => take(t, &columns.iter().map(|c| row[*c]).collect::<Vec<f64>>()),
                Item::Piece(from, to, rows) => {
                    let own: Vec<[f64; 3]> = columns.iter().map(|c| rows.map(|r| r[*c])).collect();
                    inner(from, to, &own, &mut take);
                }
            }
        }
    }

    fn value(&self, k: usize) -> f64 {
        match (self.numbers.get(k), self.truths.get(k)) {
            (Some(n), _) => n.value(),
            (None, Some(t)) => t.value(),
            (None, None) => f64::NAN,
        }
    }
}

/// The slots of `Var` that are followed.
pub(super) fn wanted(experiment: &Experiment) -> Vec<u32> {
    let judged = experiment.requirements.iter().filter_map(|r| r.judged.as_ref()).flat_map(|j| &j.atoms);
    let measured = experiment.aggregates.iter().flat_map(|a| &a.atoms);
    judged.chain(measured).filter(|a| !a.late).flat_map(|a| a.slot..a.slot + a.len).collect()
}

impl Observer {
    /// None where there is nothing to judge or to measure.
    pub(super) fn new(
        program: &Program,
        experiment: &Experiment,
        rtol: f64,
        looks: Option<KernelId>,
    ) -> Option<Observer> {
        let var = program.sizes.offset(Space::Var);
        let mut slots = Vec::new();
        let mut columns = |atoms: &[Atom]| {
            let first = slots.len();
            for a in atoms.iter().filter(|a| !a.late) {
                slots.extend((a.slot..a.slot + a.len).map(|s| var + s as usize));
            }
            (first, slots.len() - first)
        };
        let mut firsts = Vec::new();
        let watched: Vec<Option<Watched>> = experiment
            .requirements
            .iter()
            .map(|r| {
                let j = r.judged.as_ref()?;
                let own = columns(&j.atoms);
                firsts.push(own.0);
                Some(Watched::new(j, own))
            })
            .collect();
        let measured: Vec<Measured> =
            experiment.aggregates.iter().map(|a| Measured::new(a, columns(&a.atoms).0)).collect();
        let kpis: Vec<(usize, usize)> =
            experiment.kpis.iter().map(|k| (k.slot as usize, k.len as usize)).collect();
        if watched.iter().all(Option::is_none) && kpis.is_empty() {
            return None;
        }
        let edges = experiment.aggregates.iter().filter_map(|a| a.window).flat_map(|w| [w.0, w.1]);
        let mut follower = Follower::new(slots.len(), rtol, edges.filter(|e| e.is_finite()).collect());
        for (w, first) in watched.iter().flatten().zip(firsts) {
            w.extremes(first, &mut follower);
        }
        for m in &measured {
            let extreme = match m.of.measure {
                Measure::Min => Extreme::Least,
                Measure::Max => Extreme::Greatest,
                _ => continue,
            };
            if m.of.truth.is_none() && m.of.window.is_none() {
                let len = m.of.atoms.iter().map(|a| a.len as usize).sum::<usize>();
                (m.first..m.first + len).for_each(|k| follower.only(k, extreme));
            }
        }
        let input = program.sizes.offset(Space::Input);
        let looks = looks.unwrap_or(KernelId::Outputs);
        Some(Observer { slots, follower, watched, measured, kpis, var, input, looks, peak: 0 })
    }

    /// Whether every requirement is decided by what is certain, whatever may still come.
    pub(super) fn decided(&mut self) -> bool {
        let mut all = self.watched.iter_mut().flatten().peekable();
        all.peek().is_some() && all.all(Watched::decided)
    }

    /// What it has seen, as bytes.
    pub(super) fn save(&self, to: &mut Writer) {
        self.follower.save(to);
        for w in self.watched.iter().flatten() {
            to.put(&w.elements.len());
            for e in &w.elements {
                e.trace.save(to);
                e.online.save(to);
                to.put(&e.due).put(&e.best).put(&e.idle);
            }
        }
        for m in &self.measured {
            m.numbers.iter().for_each(|n| n.save(to));
            m.truths.iter().for_each(|t| t.save(to));
        }
        to.put(&self.peak);
    }

    /// Into an observer of the same experiment.
    pub(super) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        self.follower.load(from)?;
        for w in self.watched.iter_mut().flatten() {
            let at = from.at();
            if from.length(1)? != w.elements.len() {
                return Err(Malformed { at, why: "the requirement is of other elements".into() });
            }
            for e in &mut w.elements {
                e.trace.load(from)?;
                e.online.load(from)?;
                (e.due, e.best, e.idle) = from.get()?;
            }
        }
        for m in &mut self.measured {
            let atoms = m.of.atoms.len();
            m.numbers.iter_mut().try_for_each(|n| n.load(from))?;
            m.truths.iter_mut().try_for_each(|t| t.load(atoms, from))?;
        }
        self.peak = from.get()?;
        Ok(())
    }

    /// Slots of all that is followed.
    pub(super) fn slots(&self) -> &[usize] {
        &self.slots
    }

    /// Whether what it looks at is computed by less than all outputs.
    pub(super) fn is_slice(&self) -> bool {
        !matches!(self.looks, KernelId::Outputs)
    }

    /// Takes in what is certain: all up to `t`.
    fn take(&mut self, t: f64) {
        let Observer { follower, watched, measured, peak, .. } = self;
        follower.give(t, &mut |item| {
            measured.iter_mut().for_each(|m| m.take(item));
            for w in watched.iter_mut().flatten().filter(|w| w.width > 0) {
                w.take(item, peak);
            }
        });
    }
}

/// What a run says of its requirements and KPIs.
#[derive(Default)]
pub(super) struct Conclusion {
    /// By requirement.
    pub(super) verdicts: Vec<Option<Judgement>>,
    /// By KPI: its elements in SI; none where the run failed.
    pub(super) kpis: Vec<Option<Vec<f64>>>,
    /// Most rows that were held for one requirement.
    pub(super) peak: usize,
}

impl Run<'_> {
    /// Looks at memory as it stands, in which `Var` is up to date.
    pub(super) fn observe_now(&mut self, t: f64) {
        let Some(observer) = &mut self.observer else { return };
        let data = self.system.memory.data();
        let row: Vec<f64> = observer.slots.iter().map(|s| data[*s]).collect();
        observer.follower.row(t, &row);
    }

    /// Follows the last step up to `to`.
    pub(super) fn follow(&mut self, to: f64) -> Result<(), Stop> {
        let Some(mut observer) = self.observer.take() else { return Ok(()) };
        // A run may yet turn out to have ended within the last step, not before it.
        observer.take(self.integrator.t_prev());
        let Observer { slots, follower, looks, .. } = &mut observer;
        let looks = *looks;
        let outcome = follower.follow(to, &mut |t, row: &mut Vec<f64>| {
            if let Some(known) = self.system.glance.row(t) {
                row.extend_from_slice(known);
                return self.look_of_numbers(t, row);
            }
            self.point(t);
            self.kernel(looks, false)?;
            let data = self.system.memory.data();
            row.extend(slots.iter().map(|s| data[*s]));
            self.look_of_numbers(t, row)
        });
        self.observer = Some(observer);
        outcome
    }

    /// The run turned out to have ended at `t`, within the last step.
    pub(super) fn observe_back(&mut self, t: f64) -> Result<(), Stop> {
        if let Some(observer) = &mut self.observer {
            observer.follower.back(t);
        }
        self.follow(t)
    }

    /// What the run says. `complete`: it reached its end; `failed`: nothing is known of its last instant.
    pub(super) fn conclude(&mut self, complete: bool, failed: bool) -> Conclusion {
        let Some(mut observer) = self.observer.take() else { return Conclusion::default() };
        observer.take(f64::INFINITY);
        let end = self.time;
        let base = observer.input;
        self.system.set(end, &self.x);
        for m in &observer.measured {
            for k in 0..m.of.len as usize {
                let open = m.of.window.is_some_and(|w| w.1 > end * (1.0 + 1e-12));
                let value = if open { f64::NAN } else { m.value(k) };
                if let Some(slot) = self.system.memory.data_mut().get_mut(base + m.of.slot as usize + k) {
                    *slot = value;
                }
            }
        }
        self.system.host.new_point();
        let known = !failed && self.system.run(KernelId::Outputs).is_ok();
        let values = &self.system.memory.data()[observer.var..];
        let late = Some(values).filter(|_| known && complete);
        let verdicts = observer
            .watched
            .iter()
            .map(|w| {
                let w = w.as_ref()?;
                w.judge(late, complete)
            })
            .collect();
        let kpi = |&(slot, len): &(usize, usize)| {
            values.get(slot..slot + len).filter(|_| known).map(<[f64]>::to_vec)
        };
        let kpis = observer.kpis.iter().map(kpi).collect();
        Conclusion { verdicts, kpis, peak: observer.peak }
    }
}
