//! Populations: which places are taken, and the code of `create` and `retire`.

use super::super::Flattener;
use super::super::scope::{InstId, R, Slot};
use super::body::Body;
use super::place::{Dim, Goal, Loc};
use crate::diag::{Diagnostic, codes};
use crate::flat::{Affine, Equation, Expr, Loop, Role};
use crate::flatten::expr::choose;
use crate::hir::{self, MemberKind};
use crate::source::Span;
use crate::typeck::population::PRESENT;
use twinml_model::behavior::{self as model, Instr, Method};
use twinml_model::ids::{Index, VarId};

impl<'a> Flattener<'a> {
    /// The populations of all instances; forms that do not run are refused.
    pub(super) fn declare_populations(&mut self) {
        for k in 0..self.insts.len() as u32 {
            let inst = InstId(k);
            let class = self.inst(inst).class;
            for (name, member) in &class.members {
                let MemberKind::Twin(t) = &member.kind else { continue };
                if t.population.is_none() {
                    continue;
                }
                let Some(Slot::Twin { shape, parts }) = self.inst(inst).members.get(name).cloned() else {
                    continue;
                };
                let refuse = |s: &mut Self, what: &str, help: &str| {
                    let d = Diagnostic::new(codes::LATER_POPULATION, member.span, what.to_owned());
                    s.diags.push(d.help(help.to_owned()));
                };
                let ([child], [len]) = (&parts[..], &shape[..]) else {
                    refuse(
                        self,
                        "a population of twins that differ in structure",
                        "let its twins be alike: what differs may stand in states that `create` sets",
                    );
                    continue;
                };
                let (child, len) = (*child, *len);
                if self.inst(child).axes.last().is_some_and(|a| a.pin.is_some()) {
                    refuse(
                        self,
                        "a population of one place",
                        "write it as a part, or give the population more places",
                    );
                    continue;
                }
                if self.enclosing_population(inst).is_some() {
                    refuse(
                        self,
                        "a population within a population",
                        "let the outer twin hold both populations",
                    );
                    continue;
                }
                let id = self.behaving.out.populations.len() as model::PopulationId;
                let Some(Slot::Var(slot)) = self.inst(child).members.get(PRESENT).cloned() else { continue };
                let Some(&present) = slot.var.get() else { continue };
                let name = self.owner_text(child);
                let population =
                    model::Population { name, present, len, owners: Vec::new(), anew: Vec::new() };
                self.behaving.out.populations.push(population);
                self.behaving.populations.insert(child, id);
            }
        }
    }

    /// The population that an instance belongs to, itself or as a part of its twins.
    pub(in super::super) fn enclosing_population(
        &self,
        inst: InstId,
    ) -> Option<(InstId, model::PopulationId)> {
        let mut at = Some(inst);
        while let Some(i) = at {
            if let Some(p) = self.behaving.populations.get(&i) {
                return Some((i, *p));
            }
            at = self.inst(i).parent;
        }
        None
    }

    /// What begins anew with a twin, when the roles of all quantities are known.
    pub(super) fn fill_populations(&mut self) {
        let mut tops: Vec<(InstId, model::PopulationId)> =
            self.behaving.populations.iter().map(|(i, p)| (*i, *p)).collect();
        tops.sort_by_key(|t| t.1);
        for (top, id) in tops {
            let places: u32 = self.own_axes(top).iter().product();
            for k in (0..self.insts.len() as u32).rev() {
                let inst = InstId(k);
                if self.enclosing_population(inst).is_none_or(|(t, _)| t != top) {
                    continue;
                }
                let count: u32 = self.own_axes(inst).iter().product();
                let owner = self.owner_of(inst);
                let per = count / places.max(1);
                self.behaving.out.populations[id as usize].owners.push((owner, per));
                let class = self.inst(inst).class;
                if let Some(r) = class.formulas.first() {
                    let d = Diagnostic::new(
                        codes::LATER_POPULATION,
                        r.formula.span,
                        "a requirement on each twin of a population",
                    )
                    .help(
                        "state it of the population, in the twin that holds it: `all(t.ok for t in trucks)`",
                    );
                    self.diags.push(d);
                }
                let slots: Vec<_> = self.inst(inst).members.values().cloned().collect();
                for slot in slots {
                    let Slot::Var(slot) = slot else { continue };
                    let Some(&var) = slot.var.get() else { continue };
                    let v = &self.system.vars[var.index()];
                    match v.role {
                        Role::State | Role::Discrete | Role::Input => {
                            let (per, role) = (v.len / places.max(1), v.role);
                            self.behaving.out.populations[id as usize].anew.push((var, per));
                            if role == Role::State {
                                let present = self.behaving.out.populations[id as usize].present;
                                let done = self.rest_while_absent(var, present, per, slot.span);
                                self.settle_stop(done);
                            }
                        }
                        Role::Parameter | Role::Unknown => {}
                    }
                }
            }
        }
    }

    /// A continuous state of a place that nobody has taken stands still: `der(x) = if present then rate else 0`, where
    /// `rate` is what its equations ask for.
    fn rest_while_absent(&mut self, state: VarId, present: VarId, per: u32, span: Span) -> R<()> {
        let len = self.system.vars[state.index()].len;
        let rate = self.asked_rate(state, "living")?;
        let (place, part) = (Index(0), Index(1));
        let mut loops = vec![Loop { index: place, lo: 0, hi: i64::from(len / per.max(1)) }];
        let mut element = Affine::constant(0).plus(place, i64::from(per));
        if per > 1 {
            loops.push(Loop { index: part, lo: 0, hi: i64::from(per) });
            element = element.plus(part, 1);
        }
        let here = Expr::Var(present, Affine::constant(0).plus(place, 1));
        let right = choose(here, Expr::Var(rate, element.clone()), Expr::Num(0.0));
        let left = Expr::Der(state, element);
        self.system.equations.push(Equation { loops, left, right, span, owner: String::new() });
        Ok(())
    }

    /// A population of an instance's own, and the family of its twins.
    pub(super) fn population_of(
        &mut self,
        inst: InstId,
        name: &str,
        span: Span,
    ) -> R<(model::PopulationId, InstId)> {
        if let Some(Slot::Twin { parts, .. }) = self.inst(inst).members.get(name)
            && let [child] = parts[..]
            && let Some(id) = self.behaving.populations.get(&child)
        {
            return Ok((*id, child));
        }
        // Why it is none has been said where it is declared.
        Err(self.refuse(codes::LATER_POPULATION, span, "this population"))
    }

    pub(super) fn create_code(
        &mut self,
        b: &mut Body,
        name: &str,
        sets: &'a [(Vec<hir::Step>, hir::Expr, Span)],
        span: Span,
    ) -> R<()> {
        let (population, child) = self.population_of(b.inst, name, span)?;
        let mark = b.mark();
        let mut values = Vec::with_capacity(sets.len());
        for (_, e, _) in sets {
            values.push((self.value(b, e)?, e.shape.len()));
        }
        let place = b.reg();
        b.push(Instr::Create(place, population));
        for ((path, _, at), (value, depth)) in sets.iter().zip(values) {
            let own = self.own_axes(b.inst);
            let mut dims = vec![Dim::Own; own.len()];
            let mut lens = own;
            dims.push(Dim::At(place));
            lens.push(self.behaving.out.populations[population as usize].len);
            let loc = self.locate_from(b, child, dims, lens, path, *at)?;
            if let Loc::One(spot) = &loc
                && let Goal::Slots(var) = spot.goal
                && self.system.vars[var.index()].role == Role::Parameter
            {
                let d = Diagnostic::new(codes::LATER_POPULATION, *at, "`create` that sets a parameter")
                    .label(self.system.vars[var.index()].span, "fixed for a run")
                    .help("make it a state: `states { load: Mass = 0 kg }`");
                return Err(self.fail(d));
            }
            self.store(b, &loc, value, depth, *at)?;
        }
        b.free(mark);
        Ok(())
    }

    pub(super) fn retire_self(&mut self, b: &mut Body, span: Span) -> R<()> {
        let Some((top, population)) = self.enclosing_population(b.inst) else {
            let d = Diagnostic::new(
                codes::LATER_POPULATION,
                span,
                format!("`{}` is of no population and cannot retire", self.owner_text(b.inst)),
            )
            .help("a population has a capacity: `trucks: Truck[0..200]`");
            return Err(self.fail(d));
        };
        let count = |s: &Self, i: InstId| s.own_axes(i).iter().product::<u32>();
        let per = count(self, b.inst) / count(self, top).max(1);
        b.push(Instr::RetireSelf(population, per));
        Ok(())
    }

    /// `if c then x else y`, element by element.
    pub(super) fn choose_each(
        &mut self,
        b: &mut Body,
        c: &'a hir::Expr,
        x: &'a hir::Expr,
        y: &'a hir::Expr,
    ) -> R<model::Reg> {
        let (cs, xs, ys) = (self.value(b, c)?, self.value(b, x)?, self.value(b, y)?);
        let out = b.reg();
        b.push(Instr::List(out, Vec::new()));
        let skip = b.reg();
        let (zero, len) = (b.num(0.0), b.method(Method::Len, cs, Vec::new()));
        let (many_x, many_y) = (!x.shape.is_empty(), !y.shape.is_empty());
        self.count_up(b, zero, len, &mut |_, b, i| {
            let c = b.index(cs, i);
            let chosen = b.choose(
                c,
                |b| if many_x { b.index(xs, i) } else { xs },
                |b| if many_y { b.index(ys, i) } else { ys },
            );
            b.push(Instr::Method(skip, Method::Push, out, vec![chosen]));
            Ok(())
        })?;
        Ok(out)
    }
}
