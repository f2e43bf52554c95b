//! What was computed elsewhere at instants of the last step: root functions, and the quantities that requirements and
//! figures look at. Who asks for another instant computes it as ever.

/// Rows at instants.
#[derive(Clone, Debug, Default)]
struct Table {
    times: Vec<f64>,
    values: Vec<f64>,
    width: usize,
    /// Where the last question was answered.
    at: usize,
}

impl Table {
    fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.at = 0;
    }

    /// Questions come in the order in which rows were put, mostly.
    fn find(&mut self, t: f64) -> Option<&[f64]> {
        let n = self.times.len();
        let k = (self.at..n).chain(0..self.at).find(|k| self.times[*k] == t)?;
        self.at = if k + 1 < n { k + 1 } else { 0 };
        Some(&self.values[k * self.width..(k + 1) * self.width])
    }
}

/// What is known of the last step.
#[derive(Clone, Debug, Default)]
pub(super) struct Glance {
    roots: Table,
    rows: Table,
}

impl Glance {
    /// Nothing is known any more: something has changed.
    pub(super) fn clear(&mut self) {
        self.roots.clear();
        self.rows.clear();
    }

    /// Puts slots of `Root` at an instant.
    pub(super) fn put_roots(&mut self, t: f64, values: impl Iterator<Item = f64>) {
        put(&mut self.roots, t, values);
    }

    /// Puts what the observer looks at at an instant.
    pub(super) fn put_row(&mut self, t: f64, values: impl Iterator<Item = f64>) {
        put(&mut self.rows, t, values);
    }

    /// All of `Root` at an instant; `None`: not known.
    pub(super) fn roots(&mut self, t: f64) -> Option<&[f64]> {
        self.roots.find(t)
    }

    /// What the observer looks at, at an instant; `None`: not known.
    pub(super) fn row(&mut self, t: f64) -> Option<&[f64]> {
        self.rows.find(t)
    }
}

fn put(table: &mut Table, t: f64, values: impl Iterator<Item = f64>) {
    let before = table.values.len();
    table.values.extend(values);
    table.width = table.values.len() - before;
    table.times.push(t);
}
