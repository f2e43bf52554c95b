//! The quantities that two runs recorded, compared.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use twinml_engine::data::{ColumnInfo, DataError, Frame};
use twinml_engine::timeline::divergence::{Apart, Common, Distance, Pair, common};

use super::side::Side;
use crate::ui::numbers::{instant, short};

/// Curves that a picture has at most.
const CURVES: usize = 12;

/// What comparing found.
pub struct Compared {
    /// The instants of both.
    pub times: Vec<f64>,
    /// The distance at each.
    pub distance: Vec<f64>,
    /// Quantities that were compared.
    pub quantities: usize,
    /// Those that differ: the first to differ first.
    pub different: Vec<Different>,
    /// Columns that only one has.
    pub only_a: Vec<String>,
    /// Columns that only one has.
    pub only_b: Vec<String>,
    /// Columns of both that cannot be compared.
    pub skipped: Vec<String>,
    /// The quantities that differ most, with their values at the common instants.
    pub curves: Vec<Curve>,
}

/// A quantity that differs.
pub struct Different {
    /// Its path.
    pub name: String,
    /// Its unit; empty where there is none.
    pub unit: String,
    /// How.
    pub apart: Apart,
    /// The texts that its numbers stand for, if it is one of texts.
    words: Vec<String>,
}

/// Values of both at the common instants.
pub struct Curve {
    /// The path.
    pub name: String,
    /// The unit.
    pub unit: String,
    /// The instants.
    pub times: Vec<f64>,
    /// Values of the first.
    pub a: Vec<f64>,
    /// Values of the second.
    pub b: Vec<f64>,
    share: f64,
}

impl Different {
    /// The largest difference as a share of the quantity's range; none for texts and for what one run does not have.
    pub fn share(&self) -> Option<f64> {
        let most = self.apart.most?;
        let share = (most.a - most.b).abs() / self.apart.range;
        (self.words.is_empty() && share.is_finite()).then_some(share)
    }

    fn value(&self, x: f64) -> Value {
        match self.words.get(x as usize) {
            Some(word) if x >= 0.0 => json!(word),
            _ => json!(x),
        }
    }

    /// An instant as an object.
    pub fn object(&self, pair: Option<Pair>) -> Value {
        pair.map_or(Value::Null, |p| json!({ "time": p.time, "a": self.value(p.a), "b": self.value(p.b) }))
    }

    /// `tanks[0].h  at 12 min: 1.5 → 1.7 m`.
    pub fn line(&self, pair: Option<Pair>) -> String {
        let Some(Pair { time, a, b }) = pair else { return self.name.clone() };
        let said = match (self.words.get(a as usize), self.words.get(b as usize)) {
            (Some(x), Some(y)) => format!("{x} → {y}"),
            _ => {
                // As many digits as tell them apart.
                let digits = (6..17).find(|n| short(a, *n) != short(b, *n)).unwrap_or(17);
                let said = |x: f64| if x.is_nan() { "nothing".to_owned() } else { short(x, digits) };
                format!("{} → {}", said(a), said(b))
            }
        };
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        format!("{}  at {}: {said}{unit}", self.name, instant(time))
    }
}

/// Compares what both recorded and `wanted` takes.
///
/// # Errors
///
/// What a file says of a column.
pub fn compare(a: &Side, b: &Side, wanted: impl Fn(&str) -> bool) -> Result<Compared, DataError> {
    let (columns_a, columns_b) = (columns(a), columns(b));
    let mut grids: BTreeMap<(usize, usize), Common> = BTreeMap::new();
    let mut out = Compared {
        times: Vec::new(),
        distance: Vec::new(),
        quantities: 0,
        different: Vec::new(),
        only_a: Vec::new(),
        only_b: Vec::new(),
        skipped: Vec::new(),
        curves: Vec::new(),
    };
    let only = |mine: &Columns<'_>, other: &Columns<'_>| {
        let names = mine.iter().map(|(_, c)| &c.name).filter(|n| wanted(n) && find(other, n).is_none());
        names.cloned().collect()
    };
    (out.only_a, out.only_b) = (only(&columns_a, &columns_b), only(&columns_b, &columns_a));
    let mut main: Option<(usize, usize)> = None;
    let mut distance = Distance::new(0);
    for (ka, column) in columns_a.iter().filter(|(_, c)| wanted(&c.name)) {
        let Some((kb, other)) = find(&columns_b, &column.name) else { continue };
        if column.unit != other.unit {
            out.skipped.push(column.name.clone());
            continue;
        }
        let (fa, fb) = (&a.frames[*ka], &b.frames[kb]);
        let key = (*ka, kb);
        if let std::collections::btree_map::Entry::Vacant(place) = grids.entry(key) {
            place.insert(common(&times(fa)?, &times(fb)?));
        }
        let grid = &grids[&key];
        if grid.times.is_empty() {
            continue;
        }
        if main.is_none() {
            main = Some(key);
            distance = Distance::new(grid.times.len());
            out.times.clone_from(&grid.times);
        }
        let mut words = Vec::new();
        let (va, vb) = (values(fa, column, &mut words)?, values(fb, other, &mut words)?);
        if va.width != vb.width {
            out.skipped.push(column.name.clone());
            continue;
        }
        for element in 0..va.width {
            let (x, y) = (va.at(&grid.a, element), vb.at(&grid.b, element));
            out.quantities += 1;
            let moves = !(constant(&x) && constant(&y));
            let counts = main == Some(key) && moves && words.is_empty() && !(whole(&x) && whole(&y));
            let apart = if main == Some(key) {
                distance.add(&grid.times, &x, &y, counts)
            } else {
                Distance::new(grid.times.len()).add(&grid.times, &x, &y, false)
            };
            if apart.first.is_none() {
                continue;
            }
            let name = if column.list { format!("{}[{element}]", column.name) } else { column.name.clone() };
            let unit = column.unit.clone().unwrap_or_default();
            let different = Different { name, unit, apart, words: words.clone() };
            if let Some(share) = different.share() {
                keep(&mut out.curves, &different, share, &grid.times, x, y);
            }
            out.different.push(different);
        }
    }
    out.distance = distance.finish();
    let first = |d: &Different| d.apart.first.map_or(f64::INFINITY, |p| p.time);
    // Of those that differ at one instant the largest first.
    out.different.sort_by(|x, y| {
        let share = |d: &Different| d.share().unwrap_or(1.0);
        first(x).total_cmp(&first(y)).then(share(y).total_cmp(&share(x)))
    });
    Ok(out)
}

/// Keeps the curves that differ most.
fn keep(curves: &mut Vec<Curve>, of: &Different, share: f64, times: &[f64], a: Vec<f64>, b: Vec<f64>) {
    if curves.len() == CURVES {
        let least = (0..CURVES).min_by(|x, y| curves[*x].share.total_cmp(&curves[*y].share));
        match least {
            Some(k) if curves[k].share < share => drop(curves.remove(k)),
            _ => return,
        }
    }
    curves.push(Curve { name: of.name.clone(), unit: of.unit.clone(), times: times.to_vec(), a, b, share });
}

fn constant(values: &[f64]) -> bool {
    values.windows(2).all(|w| w[0].to_bits() == w[1].to_bits())
}

fn whole(values: &[f64]) -> bool {
    values.iter().all(|v| v.is_nan() || v.trunc() == *v)
}

/// Columns by the file that has them.
type Columns<'f> = Vec<(usize, &'f ColumnInfo)>;

/// The columns of quantities, each name once.
fn columns(side: &Side) -> Columns<'_> {
    let mut out: Columns<'_> = Vec::new();
    for (k, frame) in side.frames.iter().enumerate() {
        let has = |name: &str| frame.columns().iter().any(|c| c.name == name);
        for column in frame.columns() {
            let own = match column.name.as_str() {
                "twinml.time" | "twinml.step" => true,
                "time" => !has("twinml.time"),
                "step" => !has("twinml.step"),
                _ => false,
            };
            if !own && find(&out, &column.name).is_none() {
                out.push((k, column));
            }
        }
    }
    out
}

fn find<'f>(columns: &Columns<'f>, name: &str) -> Option<(usize, &'f ColumnInfo)> {
    columns.iter().find(|(_, c)| c.name == name).copied()
}

fn times(frame: &Frame) -> Result<Vec<f64>, DataError> {
    let own = frame.columns().iter().any(|c| c.name == "twinml.time");
    let mut out = Vec::new();
    frame.scan(if own { "twinml.time" } else { "time" }, |_, _, t| out.push(t))?;
    Ok(out)
}

/// A column's numbers, row by row.
struct Values {
    width: usize,
    all: Vec<f64>,
}

impl Values {
    fn at(&self, rows: &[usize], element: usize) -> Vec<f64> {
        let value = |row: &usize| self.all.get(row * self.width + element).copied().unwrap_or(f64::NAN);
        rows.iter().map(value).collect()
    }
}

/// Reads a column; texts become the places of their words in `words`.
fn values(frame: &Frame, column: &ColumnInfo, words: &mut Vec<String>) -> Result<Values, DataError> {
    let mut out = Values { width: 1, all: Vec::new() };
    let numbers = frame.scan(&column.name, |_, element, value| {
        out.width = out.width.max(element + 1);
        out.all.push(value);
    });
    match numbers {
        Err(DataError::Type { .. } | DataError::NotNumber { .. }) => {}
        other => return other.map(|()| out),
    }
    let mut out = Values { width: 1, all: Vec::new() };
    let mut places: BTreeMap<String, usize> =
        words.iter().enumerate().map(|(k, word)| (word.clone(), k)).collect();
    frame.scan_texts(&column.name, |_, element, text| {
        out.width = out.width.max(element + 1);
        let next = places.len();
        let k = *places.entry(text.to_owned()).or_insert_with(|| {
            words.push(text.to_owned());
            next
        });
        out.all.push(k as f64);
    })?;
    Ok(out)
}
