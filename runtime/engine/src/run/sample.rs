//! Rows of the result files, from the dense output and of events.

use super::*;
use crate::record::Strips;

/// Instants that are asked for at once at least.
pub(super) const FEWEST: u64 = KEPT[KEPT.len() - 1];

impl Run<'_> {
    /// Whoever follows the signals continuously is shown `from..to` of the last step here, once and in order: the
    /// dense output is at hand, discrete values are those that hold between the two ends.
    pub(super) fn observe(&mut self, from: f64, to: f64) -> Result<(), Stop> {
        self.remember(from, to)?;
        self.follow(to)
    }

    /// Keeps the signals of `from..to` of the last step for `delay`.
    fn remember(&mut self, from: f64, to: f64) -> Result<(), Stop> {
        if self.system.host.history.is_empty() || to <= from {
            return Ok(());
        }
        let mut values = std::mem::take(&mut self.signals);
        values.clear();
        for part in history::POINTS {
            let t = if part == 1.0 { to } else { from + part * (to - from) };
            self.point(t);
            self.kernel(KernelId::History, false)?;
            values.extend_from_slice(self.system.memory.space(Space::Hist));
        }
        self.system.host.history.push(from, to, &values);
        self.signals = values;
        Ok(())
    }

    /// Puts the dense output at `t` into memory.
    pub(super) fn point(&mut self, t: f64) {
        self.system.memory.set_time(t);
        self.integrator.interpolate(t, self.system.memory.space_mut(Space::State));
        self.system.host.new_point();
    }

    /// Tells the integrator which instants rows come from next.
    pub(super) fn ask(&mut self) {
        self.asked.clear();
        let (next, mark) = (self.next_sample(), self.next_mark());
        let (sinks, span) = (&self.sinks, self.span);
        if self.system.keeps_steps()
            && let [sink] = &sinks[..]
            && sink.outlet.plan.instant(sink.next, span) == next
        {
            let stop = self.next_stop().min(mark);
            let instants = (sink.next..=sink.next + self.at_once).map(|k| sink.outlet.plan.instant(k, span));
            self.asked.extend(instants.take_while(|&t| t <= stop));
        }
        match &self.asked[..] {
            [] | [_] => self.integrator.skip_to(next.min(mark)),
            asked => self.integrator.ask(asked),
        }
    }

    /// Records the instants that the last step has passed and whose states the system has kept.
    fn kept_rows(&mut self) -> Result<(), Stop> {
        let asked = std::mem::take(&mut self.asked);
        let times = &asked[..self.integrator.passed().len()];
        // They were asked for by the one sink there is.
        if let Some(&last) = times.last() {
            if self.sinks[0].outlet.plan.needs_outputs() {
                self.kept_rows_with_outputs(times)?;
            } else {
                self.kept_rows_of_states(times)?;
                self.go_to_kept(times.len() - 1, last);
                self.sinks[0].written(self.system.memory.data(), last);
                // What is no number stays one: the last row speaks for those before it.
                self.row_of_numbers(0, last)?;
            }
            let sink = &mut self.sinks[0];
            self.samples += times.len() as u64;
            sink.next += times.len() as u64;
            sink.next_time = sink.outlet.plan.instant(sink.next, self.span);
        }
        // Where steps do not end at the instants it is in vain to ask for many.
        self.at_once = if times.is_empty() { FEWEST } else { (4 * self.at_once).min(self.at_once_most) };
        self.asked = asked;
        self.asked.clear();
        Ok(())
    }

    /// Puts the states at the `k`-th instant that the last step has passed into memory.
    fn go_to_kept(&mut self, k: usize, t: f64) {
        self.system.go_to_kept(self.integrator.passed()[k], t);
        self.system.host.new_point();
    }

    fn kept_rows_with_outputs(&mut self, times: &[f64]) -> Result<(), Stop> {
        for (k, &t) in times.iter().enumerate() {
            self.go_to_kept(k, t);
            self.kernel(KernelId::Outputs, false)?;
            self.write(0, t, 0)?;
        }
        Ok(())
    }

    fn kept_rows_of_states(&mut self, times: &[f64]) -> Result<(), Stop> {
        let (passed, (kept, apart)) = (self.integrator.passed(), self.system.kept());
        let (memory, cells) = (&self.system.memory, self.system.dim());
        let (data, at) = (memory.data(), memory.sizes().offset(Space::State));
        let first = passed[0];
        let strips = if passed.iter().zip(first..).all(|(&step, k)| step == k) {
            Strips { values: &kept[first as usize..], apart, cells }
        } else {
            let some = &mut self.signals;
            some.clear();
            for values in kept.chunks(apart).take(cells) {
                some.extend(passed.iter().map(|&step| values[step as usize]));
            }
            Strips { values: some, apart: passed.len(), cells }
        };
        Ok(self.sinks[0].write_kept(data, times, (at, strips))?)
    }

    /// Records the regular instants up to and at `limit`, the last of them as it is at `left`, in the limit from before.
    pub(super) fn samples_up_to(&mut self, limit: f64, left: f64) -> Result<(), Stop> {
        if !self.asked.is_empty() {
            self.kept_rows()?;
        }
        loop {
            let next = self.sinks.iter().map(|s| s.next_time).fold(f64::INFINITY, f64::min);
            if !(next <= limit && next <= self.end) {
                return Ok(());
            }
            if self.started {
                self.point(if next == limit { left } else { next });
                self.system.memory.set_time(next);
            }
            if self.sinks.iter().any(|s| s.next_time <= next && s.outlet.plan.needs_outputs()) {
                self.kernel(KernelId::Outputs, false)?;
            }
            for k in 0..self.sinks.len() {
                if self.sinks[k].next_time > next {
                    continue;
                }
                // An instant whose events were just recorded has its rows already.
                if self.sinks[k].last.is_none_or(|(t, _)| t != next) {
                    self.write(k, next, 0)?;
                }
                self.samples += 1;
                let sink = &mut self.sinks[k];
                sink.next += 1;
                sink.next_time = match sink.outlet.plan.rate {
                    Rate::Parts(n) if sink.next > n && self.end <= self.span => f64::INFINITY,
                    _ => sink.outlet.plan.instant(sink.next, self.span),
                };
            }
        }
    }

    /// A row in every file, of memory as it stands.
    pub(super) fn row_everywhere(&mut self, t: f64, step: u64) -> Result<(), Stop> {
        if self.observer.is_some() || self.sinks.iter().any(|s| s.outlet.plan.needs_outputs()) {
            self.system.host.new_point();
            self.kernel(KernelId::Outputs, false)?;
        }
        self.observe_now(t);
        for k in 0..self.sinks.len() {
            if self.sinks[k].last != Some((t, step)) {
                self.write(k, t, step)?;
            }
        }
        Ok(())
    }

    /// A row of memory as it stands, in one file.
    fn write(&mut self, sink: usize, t: f64, step: u64) -> Result<(), Stop> {
        self.sinks[sink].take(self.system.memory.data(), t, step);
        self.row_of_numbers(sink, t)?;
        Ok(self.sinks[sink].put()?)
    }
}

impl Sink {
    /// As [`Sink::put`], a row for each of these instants, of states that stand elsewhere than in memory, where they begin at
    /// `at`. The last of them is to be [`Sink::written`].
    fn write_kept(
        &mut self,
        data: &[f64],
        times: &[f64],
        (at, states): (usize, Strips<'_>),
    ) -> Result<(), RecordError> {
        let mute = self.mute.saturating_sub(self.rows).min(times.len() as u64) as usize;
        self.rows += times.len() as u64;
        let (plan, times) = (&self.outlet.plan, &times[mute..]);
        let states = Strips { values: &states.values[mute..], ..states };
        let cell = |cell| plan.cell(cell, times, data, (at, states));
        self.outlet.recorder.rows_of(times.len(), &cell)
    }

    /// Takes note of the last row, which stands in memory.
    fn written(&mut self, data: &[f64], t: f64) {
        self.outlet.plan.fill(data, 0, &mut self.row);
        self.last = Some((t, 0));
    }

    /// Fills the row from memory.
    fn take(&mut self, data: &[f64], t: f64, step: u64) {
        self.outlet.plan.fill(data, step, &mut self.row);
        self.last = Some((t, step));
    }

    /// Hands the row on.
    fn put(&mut self) -> Result<(), RecordError> {
        self.rows += 1;
        if self.rows <= self.mute {
            return Ok(());
        }
        self.outlet.recorder.row(&self.row)
    }
}
