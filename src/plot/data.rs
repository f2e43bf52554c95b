//! Series out of a result file, thinned so that no extreme is lost.

use twinml_engine::data::{ColumnInfo, DataError, Frame};

/// Slices of time in each of which a series keeps up to four points.
const SLICES: usize = 1500;
/// Elements of a list column that are shown.
const ELEMENTS: usize = 24;
/// Series that are shown at all.
const SERIES: usize = 240;
/// Different texts that a column may hold to be drawn.
const NAMES: usize = 12;

/// A curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The quantity's path.
    pub name: String,
    /// Its unit; empty for a plain number.
    pub unit: String,
    /// Its quantity; empty where the file does not say.
    pub quantity: String,
    /// Whether the values are whole and jump: drawn as steps.
    pub steps: bool,
    /// What the values stand for, where they number texts (the states of a machine, the values of an enum).
    pub names: Vec<String>,
    /// Time in seconds and value; absent values are NaN, which break the curve.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// Values at instants in order, thinned.
    pub fn of(name: &str, unit: &str, times: &[f64], values: &[f64]) -> Series {
        let (from, to) = (times.first().copied().unwrap_or(0.0), times.last().copied().unwrap_or(0.0));
        let rows = Rows::new(times, from, to);
        let mut thin = Thin::new(&rows);
        values.iter().take(times.len()).enumerate().for_each(|(row, v)| thin.push(row, *v));
        Series {
            name: name.to_owned(),
            unit: unit.to_owned(),
            quantity: String::new(),
            steps: false,
            names: Vec::new(),
            points: thin.finish(),
        }
    }
}

/// What a file holds.
pub(super) struct Loaded {
    pub series: Vec<Series>,
    pub from: f64,
    pub to: f64,
    pub left_out: Vec<String>,
}

/// Reads the columns that `wanted` accepts.
pub(super) fn load(frame: &Frame, wanted: impl Fn(&str) -> bool) -> Result<Loaded, DataError> {
    let columns = frame.columns();
    let own = ["twinml.time", "time"].into_iter().find(|name| columns.iter().any(|c| c.name == *name));
    let time_name = own.unwrap_or("time");
    let mut times = Vec::new();
    frame.scan(time_name, |_, _, t| times.push(t))?;
    let finite = |t: &&f64| t.is_finite();
    let from = times.iter().filter(finite).copied().fold(f64::INFINITY, f64::min);
    let to = times.iter().filter(finite).copied().fold(f64::NEG_INFINITY, f64::max);
    if from > to {
        return Err(DataError::Empty { file: frame.name().to_owned() });
    }
    let rows = Rows::new(&times, from, to);
    let mut loaded = Loaded { series: Vec::new(), from, to, left_out: Vec::new() };
    for column in columns {
        let internal = [time_name, "step", "twinml.step"].contains(&column.name.as_str());
        if internal && (column.name != "step" || !columns.iter().any(|c| c.name == "twinml.step")) {
            continue;
        }
        if !wanted(&column.name) {
            continue;
        }
        if loaded.series.len() >= SERIES {
            loaded.left_out.push(column.name.clone());
            continue;
        }
        match series(frame, column, &rows) {
            Ok(list) => loaded.series.extend(list),
            Err(DataError::Type { .. } | DataError::NotNumber { .. }) => match words(frame, column, &rows) {
                Ok(list) if !list.is_empty() => loaded.series.extend(list),
                Ok(_) | Err(DataError::Type { .. }) => loaded.left_out.push(column.name.clone()),
                Err(e) => return Err(e),
            },
            Err(e) => return Err(e),
        }
    }
    Ok(loaded)
}

/// Takes out the parameters that keep their values, unless nothing else is there, and says them in words. `facts` is
/// the file's metadata, whose `parameters` is an object of all parameters by path.
pub(super) fn constants(series: &mut Vec<Series>, facts: &[(String, String)]) -> Vec<String> {
    let parameters = facts.iter().find(|(key, _)| key == "parameters").map_or("", |(_, text)| text.as_str());
    let Ok(serde_json::Value::Object(parameters)) = serde_json::from_str(parameters) else {
        return Vec::new();
    };
    let constant = |s: &Series| {
        let first = s.points.first().map(|p| p.1);
        parameters.contains_key(&s.name) && s.points.iter().all(|p| Some(p.1) == first)
    };
    if series.iter().all(constant) {
        return Vec::new();
    }
    let kept = series.extract_if(.., |s| constant(s)).collect::<Vec<_>>();
    let said = |s: Series| {
        let value = s.points.first().map_or(f64::NAN, |p| p.1);
        let value = match s.names.get(value as usize) {
            Some(name) => name.clone(),
            None => crate::ui::numbers::short(value, 6),
        };
        format!("{} {value} {}", s.name, s.unit).trim_end().to_owned()
    };
    kept.into_iter().map(said).collect()
}

/// The series of a column: one, or some elements of a list.
fn series(frame: &Frame, column: &ColumnInfo, rows: &Rows<'_>) -> Result<Vec<Series>, DataError> {
    let mut length = 1;
    if column.list {
        frame.scan(&column.name, |_, element, _| length = length.max(element + 1))?;
    }
    // Evenly spread elements with the first and the last.
    let shown = length.min(ELEMENTS);
    let chosen: Vec<usize> =
        (0..shown).map(|k| if shown < 2 { k } else { k * (length - 1) / (shown - 1) }).collect();
    let mut thinned: Vec<Thin> = chosen.iter().map(|_| Thin::new(rows)).collect();
    let mut whole = true;
    match &mut thinned[..] {
        // Most columns, of which there may be many long ones.
        [thin] if !column.list => frame.scan(&column.name, |row, _, value| {
            whole = whole && (value.is_nan() || value.trunc() == value);
            thin.push(row as usize, value);
        })?,
        thinned => frame.scan(&column.name, |row, element, value| {
            if let Ok(k) = chosen.binary_search(&element) {
                whole = whole && (value.is_nan() || value.trunc() == value);
                thinned[k].push(row as usize, value);
            }
        })?,
    }
    let steps = whole && column.unit.is_none() && column.quantity.is_none();
    Ok(chosen
        .into_iter()
        .zip(thinned)
        .map(|(k, thin)| Series {
            name: if column.list { format!("{}[{k}]", column.name) } else { column.name.clone() },
            unit: column.unit.clone().unwrap_or_default(),
            quantity: column.quantity.clone().unwrap_or_default(),
            steps,
            names: Vec::new(),
            points: thin.finish(),
        })
        .collect())
}

/// The series of a column of texts, numbered in the order in which they first appear; none where there are too many
/// different ones for an axis.
fn words(frame: &Frame, column: &ColumnInfo, rows: &Rows<'_>) -> Result<Vec<Series>, DataError> {
    let mut names: Vec<String> = Vec::new();
    let mut length = 0;
    frame.scan_texts(&column.name, |_, element, text| {
        length = length.max(element + 1);
        if names.len() <= NAMES && !text.is_empty() && !names.iter().any(|n| n == text) {
            names.push(text.to_owned());
        }
    })?;
    if names.is_empty() || names.len() > NAMES {
        return Ok(Vec::new());
    }
    let shown = length.min(ELEMENTS);
    let mut thinned: Vec<Thin> = (0..shown).map(|_| Thin::new(rows)).collect();
    frame.scan_texts(&column.name, |row, element, text| {
        if let Some(thin) = thinned.get_mut(element) {
            let value = names.iter().position(|n| n == text).map_or(f64::NAN, |k| k as f64);
            thin.push(row as usize, value);
        }
    })?;
    let one = |(k, thin): (usize, Thin)| Series {
        name: if column.list { format!("{}[{k}]", column.name) } else { column.name.clone() },
        unit: String::new(),
        quantity: String::new(),
        steps: true,
        names: names.clone(),
        points: thin.finish(),
    };
    Ok(thinned.into_iter().enumerate().map(one).collect())
}

/// Instants of rows, and the slice of time that each is in: found once for all columns.
struct Rows<'a> {
    times: &'a [f64],
    slices: Vec<u16>,
    /// No thinning where everything fits.
    all: bool,
}

impl Rows<'_> {
    fn new(times: &[f64], from: f64, to: f64) -> Rows<'_> {
        let (all, width) = (times.len() <= 4 * SLICES, (to - from) / SLICES as f64);
        let slice = |t: &f64| if width > 0.0 { ((t - from) / width) as u16 } else { 0 };
        let slices = if all { Vec::new() } else { times.iter().map(slice).collect() };
        Rows { times, slices, all }
    }

    fn time(&self, row: usize) -> f64 {
        self.times.get(row).copied().unwrap_or(f64::NAN)
    }
}

/// Keeps the first, lowest, highest and last point of every slice.
struct Thin<'a> {
    rows: &'a Rows<'a>,
    slice: u16,
    /// Their rows and values.
    first: (usize, f64),
    lowest: (usize, f64),
    highest: (usize, f64),
    last: (usize, f64),
    some: bool,
    points: Vec<(f64, f64)>,
}

impl Thin<'_> {
    fn new<'a>(rows: &'a Rows<'a>) -> Thin<'a> {
        let none = (0, f64::NAN);
        let [first, lowest, highest, last] = [none; 4];
        Thin { rows, slice: 0, first, lowest, highest, last, some: false, points: Vec::new() }
    }

    #[inline]
    fn push(&mut self, row: usize, value: f64) {
        if self.rows.all || !value.is_finite() {
            return self.push_alone(row, value);
        }
        let slice = self.rows.slices.get(row).copied().unwrap_or(0);
        if slice != self.slice || !self.some {
            self.flush();
            self.slice = slice;
            self.some = true;
            let point = (row, value);
            (self.first, self.lowest, self.highest) = (point, point, point);
        } else if value < self.lowest.1 {
            self.lowest = (row, value);
        } else if value > self.highest.1 {
            self.highest = (row, value);
        }
        self.last = (row, value);
    }

    fn push_alone(&mut self, row: usize, value: f64) {
        self.flush();
        // Absent and infinite values break the curve; one break is as good as many.
        if value.is_finite() || self.points.last().is_none_or(|(_, v)| v.is_finite()) {
            self.points.push((self.rows.time(row), if value.is_finite() { value } else { f64::NAN }));
        }
    }

    fn flush(&mut self) {
        if !std::mem::take(&mut self.some) {
            return;
        }
        let mut kept = [self.first, self.lowest, self.highest, self.last];
        kept.sort_by_key(|p| p.0);
        for (k, (row, value)) in kept.into_iter().enumerate() {
            if k == 0 || kept[k - 1].0 != row {
                self.points.push((self.rows.time(row), value));
            }
        }
    }

    fn finish(mut self) -> Vec<(f64, f64)> {
        self.flush();
        self.points
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_every_peak() {
        let n = 1_000_000;
        let times: Vec<f64> = (0..n).map(|k| k as f64 / (n - 1) as f64).collect();
        let rows = Rows::new(&times, 0.0, 1.0);
        let mut thin = Thin::new(&rows);
        let peaks = [1234_usize, 500_001, 999_998];
        for k in 0..n {
            let value = if peaks.contains(&k) { 100.0 } else { (k % 7) as f64 };
            thin.push(k, value);
        }
        let points = thin.finish();
        assert!(points.len() <= 4 * (SLICES + 1), "{}", points.len());
        assert_eq!(points.iter().filter(|p| p.1 == 100.0).count(), 3);
        assert!(points.windows(2).all(|w| w[0].0 <= w[1].0));
        assert_eq!((points[0].0, points[points.len() - 1].0), (0.0, 1.0));
    }

    #[test]
    fn what_fits_is_not_thinned_and_absent_values_break_the_curve() {
        let rows = Rows::new(&[0.0, 1.0, 2.0, 3.0, 4.0], 0.0, 4.0);
        let mut thin = Thin::new(&rows);
        for (row, v) in [1.0, f64::NAN, f64::NAN, 2.0, f64::INFINITY].into_iter().enumerate() {
            thin.push(row, v);
        }
        let points = thin.finish();
        assert_eq!(points.len(), 4);
        assert!(points[1].1.is_nan() && points[3].1.is_nan());
    }

    #[test]
    fn parameters_that_keep_their_values_are_said_and_texts_are_numbered() {
        let csv = "time,C,x,mode\n0,2.5,1,idle\n1,2.5,2,busy\n2,2.5,3,idle\n";
        let frame = Frame::from_bytes("a.csv", csv.as_bytes().to_vec()).unwrap();
        let mut series = load(&frame, |_| true).unwrap().series;
        let facts = vec![("parameters".to_owned(), r#"{"C":{"value":2.5},"x":{"value":1}}"#.to_owned())];
        // `x` is driven away from its value, so it is drawn.
        assert_eq!(constants(&mut series, &facts), ["C 2.5"]);
        assert_eq!(series.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["x", "mode"]);
        assert_eq!(series[1].names, ["idle", "busy"]);
        assert_eq!(series[1].points, [(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)]);
        // Where nothing else is there, the parameters are what one asked for.
        let mut only = load(&frame, |name| name == "C").unwrap().series;
        assert!(constants(&mut only, &facts).is_empty() && only.len() == 1);
    }
}
