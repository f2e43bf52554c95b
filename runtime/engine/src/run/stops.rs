//! The instants that no step may pass, and what is done there to tables of time.

use super::*;

impl Run<'_> {
    /// The next instant that no step may pass.
    pub(super) fn next_stop(&self) -> f64 {
        let action = self.actions.get(self.next_action).map_or(f64::INFINITY, |(t, _)| *t);
        let changed = self.next_changed().unwrap_or(f64::INFINITY);
        let branch = self.stops.get(self.stops.partition_point(|t| *t <= self.time));
        let branch = branch.copied().unwrap_or(f64::INFINITY);
        let stop = self.horizon().min(action).min(changed).min(branch);
        if stop > self.time { stop } else { self.end }
    }

    /// The same but for what the scenario does and where its branches begin: how a solver begins must not tell what is done
    /// later, or a run that is changed at an instant would differ from one that is not before that.
    pub(super) fn horizon(&self) -> f64 {
        let now = self.time;
        let mut stop = self.end;
        if let Some(t) = self.next_timer().filter(|t| *t > now) {
            stop = stop.min(t);
        }
        for &k in &self.tables_of_time {
            let table = &self.system.host.tables[k];
            if table.has_kinks() {
                stop = stop.min(table.next_kink(now));
            }
        }
        let history = &self.system.host.history;
        if !history.is_empty() {
            // Looking back into the step itself is avoided; delays that are next to nothing are not.
            let shortest = history.shortest();
            if shortest > 1e-6 * self.end {
                stop = stop.min(now + shortest);
            }
        }
        if stop > now { stop } else { self.end }
    }

    /// Whether the value of a table of time jumps at `t`.
    pub(super) fn jump_due(&self, t: f64) -> bool {
        let tables = &self.system.host.tables;
        self.tables_of_time.iter().any(|&k| tables[k].jumps() && tables[k].leaves_piece(t))
    }

    /// Moves tables of time to the piece that begins at `t`.
    pub(super) fn freeze_tables(&mut self, t: f64) {
        for &k in &self.tables_of_time {
            self.system.host.tables[k].freeze(t);
        }
    }
}
