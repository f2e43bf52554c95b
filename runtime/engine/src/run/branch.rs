//! The branch that an algebraic loop is on: where its unknowns were last accepted, and what is near enough to be the next
//! point of the same branch.
//!
//! A loop that is not linear may have several solutions; the model means the one that goes on from where it began. Nothing
//! keeps a solver's step short enough for that where the loop feeds little back. So a solution counts only near the place
//! to which the last movements lead, reached from there by a Newton iteration that contracts at once (P. Deuflhard, "Newton
//! Methods for Nonlinear Problems" (2004), §5.1: the contraction of the first correction says how far one may go), or
//! not quite as near with the determinant of the Jacobian on the same side of zero all the way: neighbouring branches differ
//! in it. Where movements were not seen coming, as steps are too long for them, nothing counts for some steps. What
//! is not near is followed from the last accepted point in parts ([`super::follow`]).
//!
//! Written out for lanes by `twinml_model::passes::straight`, operation by operation.

use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::passes::straight::{DISTRUST, DOUBT, FADING, Guesses, Limits};

/// Part of what an unknown has lately moved from step to step that it may lie beside itself where the last evaluation of a
/// step was not quite at its end.
const SETTLED: f64 = 0.05;
/// How far beside the place ahead a solution may lie within a part of the way, as part of what it moves: at all, and where the
/// sign of the determinant speaks for it.
const NEAR_PART: f64 = 0.05;
const WIDE_PART: f64 = 0.25;
/// What is too far, moved too far, is not trusted or was not come to at once.
const NOT_NEAR: f64 = 64.0;

/// The unknowns of a loop where they were last accepted, and how they moved to that point.
#[derive(Clone, Debug, Default)]
pub(super) struct Branch {
    /// The unknowns.
    pub guess: Vec<f64>,
    /// When that was.
    pub since: f64,
    /// How long the movement there took.
    lapse: f64,
    /// By unknown, a second (or a part of the way, where one is followed): the slope of that movement.
    slope: Vec<f64>,
    /// How the slopes changed from the movement before: divided differences of second order.
    bend: Vec<f64>,
    /// How far each has lately moved from step to step.
    moves: Vec<f64>,
    /// Negative where an unknown was not seen coming well: by so many steps that are it is trusted again.
    trust: Vec<f64>,
    /// The same where it was not seen coming at all.
    faith: Vec<f64>,
    /// The sign of the determinant of the Jacobian, which cannot change along a branch but where solutions meet; 0 where it is not
    /// known.
    pub sign: f64,
    /// What is no other branch, however it was come to: nothing but where the last accepted point is evaluated.
    slack: Vec<f64>,
    /// The smallest sizes that unknowns are measured by.
    least: Vec<f64>,
}

/// How a solution was come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Came {
    /// Already the first correction left little of itself.
    pub contracts: bool,
    /// The sign of the determinant was that of the branch all the way.
    pub same: bool,
}

/// How far the point that is asked for lies ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    /// In units of [`Branch::slope`].
    pub by: f64,
    /// The part of a step that it is.
    pub part: f64,
}

impl Branch {
    pub(super) fn at(guess: Vec<f64>, least: Vec<f64>) -> Branch {
        let nothing = vec![0.0; guess.len()];
        Branch {
            guess,
            since: 0.0,
            lapse: 0.0,
            slope: nothing.clone(),
            bend: nothing.clone(),
            moves: nothing.clone(),
            trust: nothing.clone(),
            faith: nothing.clone(),
            sign: 0.0,
            slack: nothing,
            least,
        }
    }

    /// The same, without allocating.
    pub(super) fn copy_from(&mut self, other: &Branch) {
        self.guess.clone_from(&other.guess);
        self.slope.clone_from(&other.slope);
        self.bend.clone_from(&other.bend);
        self.moves.clone_from(&other.moves);
        self.trust.clone_from(&other.trust);
        self.faith.clone_from(&other.faith);
        self.slack.clone_from(&other.slack);
        (self.since, self.lapse, self.sign) = (other.since, other.lapse, other.sign);
    }

    /// Begins anew at the guess.
    pub(super) fn begin(&mut self, since: f64) {
        self.since = since;
        self.head_nowhere();
        self.moves.fill(0.0);
        self.trust.fill(0.0);
        self.faith.fill(0.0);
    }

    /// Forgets where the unknowns head to.
    pub(super) fn head_nowhere(&mut self) {
        self.lapse = 0.0;
        self.slope.fill(0.0);
        self.bend.fill(0.0);
    }

    /// They head to what was found so little later.
    pub(super) fn head_to(&mut self, found: &[f64], later: f64) {
        self.head_nowhere();
        self.lapse = later;
        for (k, found) in found.iter().enumerate() {
            self.slope[k] = (found - self.guess[k]) / later;
        }
    }

    /// Whether they are heading anywhere.
    pub(super) fn heads(&self) -> bool {
        self.slope.iter().chain(&self.bend).any(|s| *s != 0.0)
    }

    /// How far unknown `k` moves until then, as far as can be said: on the parabola through the last three points.
    fn way(&self, k: usize, ahead: f64) -> f64 {
        ahead * self.slope[k] + ahead * (ahead + self.lapse) * self.bend[k]
    }

    /// Where the unknowns are heading to.
    pub(super) fn begin_at(&self, ahead: f64, u: &mut [f64]) {
        for (k, u) in u.iter_mut().enumerate() {
            *u = self.guess[k] + self.way(k, ahead);
        }
    }

    /// Goes on to the solution that was found at `now`.
    pub(super) fn go_on(&mut self, found: &[f64], now: f64, limits: &Limits) {
        let span = now - self.since;
        let (later, both) = (span > 0.0, span + self.lapse);
        for (k, &found) in found.iter().enumerate() {
            let step = found - self.guess[k];
            if later {
                let way = self.way(k, span);
                let off = (found - (self.guess[k] + way)).abs();
                let slope = step / span;
                self.bend[k] = (slope - self.slope[k]) / both;
                self.slope[k] = slope;
                let step = step.abs();
                let (moved, speck) = (larger(step, self.moves[k]), self.speck(k, found, limits));
                self.trust[k] = won(self.trust[k], off <= larger(limits.beside * moved, speck), DOUBT);
                self.faith[k] = won(self.faith[k], off <= larger(limits.aside * moved, speck), DISTRUST);
                self.moves[k] = larger(step, FADING * self.moves[k]);
            }
            self.guess[k] = found;
        }
        if later {
            self.lapse = span;
        }
        self.since = now;
    }

    /// The accepted point itself is evaluated, which the last evaluation of a step was only near to.
    pub(super) fn settle(&mut self) {
        for (slack, moves) in self.slack.iter_mut().zip(&self.moves) {
            *slack = SETTLED * moves;
        }
    }

    /// The way from here to a point `span` later is followed in parts: 0 is here, 1 is there. False where nothing is known of
    /// where it leads.
    pub(super) fn part(&mut self, span: f64) -> bool {
        self.since = 0.0;
        self.slack.fill(0.0);
        let known = span > 0.0 && self.trust.iter().chain(&self.faith).all(|t| *t >= 0.0);
        self.trust.fill(0.0);
        self.faith.fill(0.0);
        if known {
            self.lapse /= span;
            self.slope.iter_mut().for_each(|slope| *slope *= span);
            self.bend.iter_mut().for_each(|bend| *bend *= span * span);
        } else {
            self.head_nowhere();
        }
        known
    }

    /// Goes on to the solution that was found at this part of the way; the first only says where it leads.
    pub(super) fn go_on_by_part(&mut self, found: &[f64], now: f64, first: bool) {
        let part = now - self.since;
        if first {
            self.head_to(found, part);
        } else {
            for (k, &found) in found.iter().enumerate() {
                let slope = (found - self.guess[k]) / part;
                self.bend[k] = (slope - self.slope[k]) / (part + self.lapse);
                self.slope[k] = slope;
                // How fast: the length of parts says how far.
                self.moves[k] = larger(slope.abs(), FADING * self.moves[k]);
            }
            self.lapse = part;
        }
        self.guess.copy_from_slice(found);
        self.since = now;
    }

    /// How far beside the place ahead `u` lies, as a part of how far it may, where it is the next point of the branch at most 1.
    pub(super) fn beside(&self, u: &[f64], ahead: Ahead, limits: &Limits, came: Came) -> f64 {
        let whole = ahead.part == 1.0;
        let (near, wide) = if whole { (limits.beside, limits.aside) } else { (NEAR_PART, WIDE_PART) };
        let other = self.sign != 0.0 && !came.same;
        // The first part of a way is to say where it leads.
        let leads = whole || self.lapse > 0.0;
        let within = ahead.by <= limits.reach * self.lapse || !leads;
        let (mut strict, mut lenient, mut small): (f64, f64, bool) = (0.0, 0.0, true);
        for (k, &u) in u.iter().enumerate() {
            let (way, moves) = (self.way(k, ahead.by), ahead.part * self.moves[k]);
            let (step, off) = ((u - self.guess[k]).abs(), (u - (self.guess[k] + way)).abs());
            let (moved, speck) = (larger(step, moves), self.speck(k, u, limits));
            small &= step <= larger(self.slack[k], speck);
            let come = within && (!leads || step <= larger(limits.growth * moves, speck));
            for (most, beside, sound) in [
                (&mut strict, near, self.trust[k] >= 0.0 && came.contracts && !other),
                (&mut lenient, wide, self.faith[k] >= 0.0 && came.same && (leads || came.contracts)),
            ] {
                let beside = if leads { larger(beside * moved, speck) } else { f64::INFINITY };
                *most = larger(off / beside, *most);
                if !(come && sound && off <= beside) {
                    // Not near, however well it was seen.
                    *most = larger(*most, NOT_NEAR);
                }
            }
        }
        let most = strict.min(lenient);
        if small { most.min(1.0) } else { most }
    }

    fn speck(&self, k: usize, u: f64, limits: &Limits) -> f64 {
        limits.speck * larger(u.abs(), self.least[k])
    }

    pub(super) fn save(&self, to: &mut Writer) {
        to.slice(&self.guess);
        to.put(&self.since).put(&self.lapse);
        to.slice(&self.slope);
        to.slice(&self.bend);
        to.slice(&self.moves);
        to.slice(&self.trust);
        to.slice(&self.faith);
        to.put(&self.sign);
    }

    /// Of a loop with as many unknowns.
    pub(super) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        from.fill(&mut self.guess)?;
        (self.since, self.lapse) = (from.get()?, from.get()?);
        from.fill(&mut self.slope)?;
        from.fill(&mut self.bend)?;
        from.fill(&mut self.moves)?;
        from.fill(&mut self.trust)?;
        from.fill(&mut self.faith)?;
        self.sign = from.get()?;
        Ok(())
    }

    /// Puts what stands in slots for kernels in which the loop is written out (`Guesses`), whose first unknown is the `nth` of
    /// all loops. When they were accepted those that `bends` say, which are accepted together.
    pub(super) fn stand_in(&self, g: &Guesses, nth: u32, bends: bool, set: &mut dyn FnMut(u32, f64)) {
        if bends {
            set(g.since(g.first), self.since);
            set(g.lapse(g.first), self.lapse);
        }
        for (k, guess) in (nth..).zip(&self.guess) {
            set(g.first + k, *guess);
        }
        for (first, values) in [
            (g.slopes(g.first), &self.slope),
            (g.bends(g.first), &self.bend),
            (g.moves(g.first), &self.moves),
            (g.trust(g.first), &self.trust),
            (g.faith(g.first), &self.faith),
        ] {
            (first + nth..).zip(values).for_each(|(slot, v)| set(slot, *v));
        }
        (g.signs(g.first) + nth..).zip(&self.guess).for_each(|(slot, _)| set(slot, self.sign));
    }

    /// Takes it from slots that begin at `first`.
    pub(super) fn take(&mut self, g: &Guesses, first: u32, nth: u32, at: &dyn Fn(u32) -> f64) {
        (self.since, self.lapse) = (at(g.since(first)), at(g.lapse(first)));
        for (slots, values) in [
            (first, &mut self.guess),
            (g.slopes(first), &mut self.slope),
            (g.bends(first), &mut self.bend),
            (g.moves(first), &mut self.moves),
            (g.trust(first), &mut self.trust),
            (g.faith(first), &mut self.faith),
        ] {
            (slots + nth..).zip(values).for_each(|(slot, v)| *v = at(slot));
        }
    }
}

/// Trust after one more step.
fn won(trust: f64, seen: bool, lost: f64) -> f64 {
    let more = trust + 1.0;
    match seen {
        true if more > 0.0 => 0.0,
        true => more,
        false => lost,
    }
}

/// The larger one; the second where one is no number.
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}
