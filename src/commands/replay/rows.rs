//! Two tables, one recorded and one of the run that was done again, compared bit by bit.

use serde_json::{Value, json};
use twinml_engine::data::{ColumnInfo, DataError, Frame};

/// What differs first between two tables.
#[derive(Clone, Debug, PartialEq)]
pub struct First {
    /// What it is, for people: `` `tank.h` ``, `the number of rows`.
    pub what: String,
    /// The column's name, where it is one.
    pub quantity: Option<String>,
    /// The row, from 0.
    pub row: Option<u64>,
    /// The time of that row in seconds.
    pub at: Option<f64>,
    /// What was recorded: a number or a text; `null` for what is not there.
    pub recorded: Value,
    /// What the run that was done again has there.
    pub replayed: Value,
    /// The unit of both.
    pub unit: String,
    /// How many columns, or values of a state, differ in all.
    pub quantities: usize,
    /// What those are.
    pub counted: &'static str,
}

impl First {
    /// Something that is no value of a row.
    pub fn other(what: impl Into<String>, recorded: Value, replayed: Value) -> First {
        let (quantity, row, at, unit) = (None, None, None, String::new());
        let what = what.into();
        First { what, quantity, row, at, recorded, replayed, unit, quantities: 0, counted: "column" }
    }
}

/// A column as it can be compared: bits of numbers, or texts, with the row and the element of each.
#[derive(PartialEq)]
enum Cells {
    Numbers(Vec<(u64, usize, u64)>),
    Texts(Vec<(u64, usize, String)>),
}

impl Cells {
    fn of(frame: &Frame, column: &str) -> Result<Cells, DataError> {
        let mut numbers = Vec::new();
        match frame.scan(column, |row, element, x| numbers.push((row, element, x.to_bits()))) {
            Ok(()) => Ok(Cells::Numbers(numbers)),
            Err(_) => {
                let mut texts = Vec::new();
                frame.scan_texts(column, |row, element, text| texts.push((row, element, text.to_owned())))?;
                Ok(Cells::Texts(texts))
            }
        }
    }

    /// Row, element and value of a cell.
    fn cell(&self, k: usize) -> Option<(u64, usize, Value)> {
        match self {
            Cells::Numbers(all) => all.get(k).map(|&(row, element, bits)| {
                let x = f64::from_bits(bits);
                (row, element, if x.is_finite() { json!(x) } else { json!(x.to_string()) })
            }),
            Cells::Texts(all) => all.get(k).map(|(row, element, text)| (*row, *element, json!(text))),
        }
    }

    /// The first cell that differs; of a table that ends early none beyond its end.
    fn differs(&self, other: &Cells) -> Option<usize> {
        match (self, other) {
            (Cells::Numbers(a), Cells::Numbers(b)) => a.iter().zip(b).position(|(a, b)| a != b),
            (Cells::Texts(a), Cells::Texts(b)) => a.iter().zip(b).position(|(a, b)| a != b),
            _ => Some(0),
        }
    }

    /// Rows that it has.
    fn rows(&self) -> u64 {
        let last = match self {
            Cells::Numbers(all) => all.last().map(|c| c.0),
            Cells::Texts(all) => all.last().map(|c| c.0),
        };
        last.map_or(0, |row| row + 1)
    }
}

/// What two tables have in common, and what differs first.
pub struct Compared {
    /// Rows that were recorded.
    pub rows: u64,
    /// Columns that were recorded.
    pub columns: usize,
    /// What differs first in time; of one row the first column.
    pub first: Option<First>,
}

/// Compares a recorded table with one of the run that was done again. `cut`: the recorded one ends where somebody
/// stopped it, and what comes after is not compared.
///
/// # Errors
///
/// What is wrong with a file.
pub fn compare(recorded: &Frame, replayed: &Frame, cut: bool) -> Result<Compared, DataError> {
    let (a, b) = (recorded.columns(), replayed.columns());
    let names = |columns: &[ColumnInfo]| columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    let columns = a.len();
    let Some(time) = a.first() else { return Ok(Compared { rows: 0, columns, first: None }) };
    let of_time = Cells::of(recorded, &time.name)?;
    let rows = of_time.rows();
    if names(a) != names(b) {
        let k = a.iter().zip(b).position(|(a, b)| a.name != b.name).unwrap_or(a.len().min(b.len()));
        let name = |columns: &[ColumnInfo]| columns.get(k).map_or(Value::Null, |c| json!(c.name));
        let first = First::other("a column", name(a), name(b));
        return Ok(Compared { rows, columns, first: Some(first) });
    }
    let mut first: Option<(u64, First)> = None;
    let mut quantities = 0;
    for column in a {
        let (was, is) = (Cells::of(recorded, &column.name)?, Cells::of(replayed, &column.name)?);
        let Some(k) = was.differs(&is) else { continue };
        quantities += 1;
        let (x, y) = (was.cell(k), is.cell(k));
        let row = x.as_ref().or(y.as_ref()).map_or(0, |c| c.0);
        if first.as_ref().is_some_and(|(at, _)| *at <= row) {
            continue;
        }
        let element = x.as_ref().filter(|_| column.list).map_or(String::new(), |c| format!("[{}]", c.1));
        let at = match &of_time {
            Cells::Numbers(all) => all.get(row as usize).map(|c| f64::from_bits(c.2)),
            Cells::Texts(_) => None,
        };
        let value = |c: Option<(u64, usize, Value)>| c.map_or(Value::Null, |c| c.2);
        let name = format!("{}{element}", column.name);
        let found = First {
            what: format!("`{name}`"),
            quantity: Some(name),
            row: Some(row),
            at,
            recorded: value(x),
            replayed: value(y),
            unit: column.unit.clone().unwrap_or_default(),
            quantities: 0,
            counted: "column",
        };
        first = Some((row, found));
    }
    let mut first = first.map(|(_, first)| First { quantities, ..first });
    let again = Cells::of(replayed, &time.name)?.rows();
    if first.is_none() && (rows > again || rows < again && !cut) {
        first = Some(First::other("the number of rows", json!(rows), json!(again)));
    }
    Ok(Compared { rows, columns, first })
}

/// Where two values of JSON differ first: the path and both, members in the order of their names.
pub fn first_in(path: &str, a: &Value, b: &Value) -> Option<(String, Value, Value)> {
    let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let names: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            let of = |m: &serde_json::Map<String, Value>, n: &str| m.get(n).cloned().unwrap_or(Value::Null);
            names.into_iter().find_map(|n| first_in(&inner(n), &of(x, n), &of(y, n)))
        }
        (Value::Array(x), Value::Array(y)) => {
            let most = x.len().max(y.len());
            let of = |v: &[Value], k: usize| v.get(k).cloned().unwrap_or(Value::Null);
            (0..most).find_map(|k| first_in(&format!("{path}[{k}]"), &of(x, k), &of(y, k)))
        }
        _ => (a != b).then(|| (path.to_owned(), a.clone(), b.clone())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn frame(text: &str) -> Frame {
        Frame::from_bytes("a.csv", text.as_bytes().to_vec()).unwrap()
    }

    fn first(a: &str, b: &str) -> Option<First> {
        compare(&frame(a), &frame(b), false).unwrap().first
    }

    #[test]
    fn the_earliest_row_is_named_and_of_it_the_first_column() {
        let a = "time,x,y,on\n0,1,2,a\n1,3,4,a\n2,5,6,b\n";
        assert_eq!(first(a, a), None);
        let found = first(a, "time,x,y,on\n0,1,2,a\n1,3,4.5,a\n2,5.5,6,b\n").unwrap();
        assert_eq!((found.quantity.as_deref(), found.row, found.at), (Some("y"), Some(1), Some(1.0)));
        assert_eq!((found.recorded, found.replayed, found.quantities), (json!(4.0), json!(4.5), 2));
        let found = first(a, "time,x,y,on\n0,1,2,a\n1,3,4,c\n2,5,6,b\n").unwrap();
        assert_eq!((found.quantity.as_deref(), found.recorded), (Some("on"), json!("a")));
        // Zeros of both signs are two values.
        assert_eq!(first("time,x\n0,0\n", "time,x\n0,-0\n").unwrap().quantity.as_deref(), Some("x"));
    }

    #[test]
    fn other_columns_and_other_rows_are_named() {
        let a = "time,x\n0,1\n1,2\n";
        assert_eq!(first(a, "time,z\n0,1\n1,2\n").unwrap().what, "a column");
        let found = first(a, "time,x\n0,1\n").unwrap();
        assert_eq!((found.what.as_str(), found.recorded), ("the number of rows", json!(2)));
        // What somebody stopped is compared as far as it goes.
        let (short, long) = (frame("time,x\n0,1\n"), frame(a));
        assert_eq!(compare(&short, &long, true).unwrap().first, None);
        assert!(compare(&short, &long, false).unwrap().first.is_some());
        assert!(compare(&long, &short, true).unwrap().first.is_some());
    }

    #[test]
    fn values_of_json_are_named_by_their_path() {
        let a = json!({ "kpis": [{ "value": 1.0 }], "time": 3 });
        let b = json!({ "kpis": [{ "value": 2.0 }], "time": 4 });
        assert_eq!(first_in("", &a, &b), Some(("kpis[0].value".to_owned(), json!(1.0), json!(2.0))));
        assert_eq!(first_in("", &a, &a), None);
    }
}
