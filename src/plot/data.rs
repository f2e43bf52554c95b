//! Series out of a result file, thinned so that no extreme is lost.

use twinml_engine::data::{ColumnInfo, DataError, Frame};
use twinml_engine::record::{Curve, Thinned};
use twinml_engine::thin::{Point, SLICES, Slices, Thin};

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
        let mut thin = Thin::default();
        values.iter().take(times.len()).enumerate().for_each(|(row, v)| rows.push(&mut thin, row, *v));
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

/// Reads the columns that `wanted` accepts, but for those that are `known` in few points.
pub(super) fn load(
    frame: &Frame,
    mut known: Option<Thinned>,
    wanted: impl Fn(&str) -> bool,
) -> Result<Loaded, DataError> {
    let columns = frame.columns();
    let own = ["twinml.time", "time"].into_iter().find(|name| columns.iter().any(|c| c.name == *name));
    let time_name = own.unwrap_or("time");
    let drawn = |column: &ColumnInfo| {
        let internal = [time_name, "step", "twinml.step"].contains(&column.name.as_str());
        let own_step = column.name == "step" && columns.iter().any(|c| c.name == "twinml.step");
        (!internal || own_step) && wanted(&column.name)
    };
    let is_known =
        |column: usize| known.as_ref().is_some_and(|k| k.curves.iter().any(|c| c.column == column));
    let mut times = Vec::new();
    let (from, to) = match &known {
        // A long file is not read where nothing in it is asked for.
        Some(k) if columns.iter().enumerate().all(|(at, c)| !drawn(c) || is_known(at)) => (k.from, k.to),
        _ => {
            frame.scan(time_name, |_, _, t| times.push(t))?;
            let finite = |t: &&f64| t.is_finite();
            let from = times.iter().filter(finite).copied().fold(f64::INFINITY, f64::min);
            (from, times.iter().filter(finite).copied().fold(f64::NEG_INFINITY, f64::max))
        }
    };
    if from > to {
        return Err(DataError::Empty { file: frame.name().to_owned() });
    }
    let rows = Rows::new(&times, from, to);
    let mut loaded = Loaded { series: Vec::new(), from, to, left_out: Vec::new() };
    for (at, column) in columns.iter().enumerate().filter(|(_, c)| drawn(c)) {
        if loaded.series.len() >= SERIES {
            loaded.left_out.push(column.name.clone());
            continue;
        }
        let curve = known.as_mut().and_then(|k| k.curves.iter_mut().find(|c| c.column == at));
        if let Some(curve) = curve {
            loaded.series.push(known_series(column, curve));
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

/// The series of a column that is known in few points, which are taken.
fn known_series(column: &ColumnInfo, curve: &mut Curve) -> Series {
    Series {
        name: column.name.clone(),
        unit: column.unit.clone().unwrap_or_default(),
        quantity: column.quantity.clone().unwrap_or_default(),
        steps: curve.whole && column.unit.is_none() && column.quantity.is_none(),
        names: Vec::new(),
        points: std::mem::take(&mut curve.points),
    }
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
    let mut thinned: Vec<Thin> = vec![Thin::default(); chosen.len()];
    let mut whole = true;
    match &mut thinned[..] {
        // Most columns, of which there may be many long ones.
        [thin] if !column.list => frame.scan(&column.name, |row, _, value| {
            whole = whole && (value.is_nan() || value.trunc() == value);
            rows.push(thin, row as usize, value);
        })?,
        thinned => frame.scan(&column.name, |row, element, value| {
            if let Ok(k) = chosen.binary_search(&element) {
                whole = whole && (value.is_nan() || value.trunc() == value);
                rows.push(&mut thinned[k], row as usize, value);
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
    let mut thinned: Vec<Thin> = vec![Thin::default(); shown];
    frame.scan_texts(&column.name, |row, element, text| {
        if let Some(thin) = thinned.get_mut(element) {
            let value = names.iter().position(|n| n == text).map_or(f64::NAN, |k| k as f64);
            rows.push(thin, row as usize, value);
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
        let (all, slices) = (times.len() <= 4 * SLICES, Slices::new(from, to));
        let slices = if all { Vec::new() } else { times.iter().map(|t| slices.of(*t)).collect() };
        Rows { times, slices, all }
    }

    #[inline]
    fn push(&self, thin: &mut Thin, row: usize, value: f64) {
        let time = self.times.get(row).copied().unwrap_or(f64::NAN);
        if self.all {
            return thin.push_alone(time, value);
        }
        thin.push(self.slices.get(row).copied().unwrap_or(0), Point { row, time, value });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_not_thinned_and_absent_values_break_the_curve() {
        let rows = Rows::new(&[0.0, 1.0, 2.0, 3.0, 4.0], 0.0, 4.0);
        let mut thin = Thin::default();
        for (row, v) in [1.0, f64::NAN, f64::NAN, 2.0, f64::INFINITY].into_iter().enumerate() {
            rows.push(&mut thin, row, v);
        }
        let points = thin.finish();
        assert_eq!(points.len(), 4);
        assert!(points[1].1.is_nan() && points[3].1.is_nan());
    }

    #[test]
    fn parameters_that_keep_their_values_are_said_and_texts_are_numbered() {
        let csv = "time,C,x,mode\n0,2.5,1,idle\n1,2.5,2,busy\n2,2.5,3,idle\n";
        let frame = Frame::from_bytes("a.csv", csv.as_bytes().to_vec()).unwrap();
        let mut series = load(&frame, None, |_| true).unwrap().series;
        let facts = vec![("parameters".to_owned(), r#"{"C":{"value":2.5},"x":{"value":1}}"#.to_owned())];
        // `x` is driven away from its value, so it is drawn.
        assert_eq!(constants(&mut series, &facts), ["C 2.5"]);
        assert_eq!(series.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["x", "mode"]);
        assert_eq!(series[1].names, ["idle", "busy"]);
        assert_eq!(series[1].points, [(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)]);
        // Where nothing else is there, the parameters are what one asked for.
        let mut only = load(&frame, None, |name| name == "C").unwrap().series;
        assert!(constants(&mut only, &facts).is_empty() && only.len() == 1);
    }
}
