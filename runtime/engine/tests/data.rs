//! Data files: what is read, and what is said about what cannot be.
#![allow(clippy::unwrap_used, reason = "tests")]

use expect_test::{Expect, expect};
use twinml_engine::data::{Frame, Unit};
use twinml_engine::record::{self, ColumnSpec, Columns};

const KELVIN: Unit = Unit { scale: 1.0, offset: 273.15 };

/// Reads `y` over `time` of a CSV text and renders the samples or the error.
fn check(text: impl AsRef<[u8]>, expected: Expect) {
    let samples = Frame::from_bytes("f.csv", text.as_ref().to_vec())
        .and_then(|frame| frame.samples(("time", Unit { scale: 60.0, offset: 0.0 }), ("y", Unit::SI)));
    let shown = match samples {
        Ok(samples) => format!("{:?} {:?}", samples.x, samples.y),
        Err(e) => e.to_string(),
    };
    expected.assert_eq(&shown);
}

#[test]
fn reads_plain_and_awkward_csv() {
    check("time,y\n0,1\n1,2.5\n", expect!["[0.0, 60.0] [1.0, 2.5]"]);
    check("\u{feff}time, y \r\n0, 1e-3 \r\n\r\n1,-2\r\n\r\n", expect!["[0.0, 60.0] [0.001, -2.0]"]);
    check("\"time\",note,\"y\"\n0,\"a, \"\"b\"\"\nc\",1\n2,,\"3\"", expect!["[0.0, 120.0] [1.0, 3.0]"]);
}

#[test]
fn says_what_is_wrong_and_where() {
    check("", expect!["f.csv: the file has no rows"]);
    check("\n\n", expect!["f.csv: the file has no rows"]);
    check("time,y\n", expect!["f.csv: the file has no rows"]);
    check("time,z\n0,1\n", expect!["f.csv: there is no column `y`; it has `time`, `z`"]);
    check(
        "time;y\n0;1\n",
        expect!["f.csv:1:1: columns are separated by `;`; they must be separated by commas"],
    );
    check("time,y,y\n0,1,2\n", expect!["f.csv:1:8: a second column `y`"]);
    check("time,y\n0,1\n1\n", expect!["f.csv:3:1: this row has 1 fields, the header has 2"]);
    check("time,y\n0,1\n1,1,5 \n", expect!["f.csv:3:1: this row has 3 fields, the header has 2"]);
    check("time,y\n0,é1\n", expect!["f.csv:2:3: `é1` in column `y` is no number"]);
    check("é,time,y\né,0,x\n", expect!["f.csv:2:5: `x` in column `y` is no number"]);
    check("time,y\n0,\n", expect!["f.csv:2:3: column `y` has no value here"]);
    check("time,y\n0,NaN\n", expect!["f.csv:2:3: column `y` has no value here, a finite number is needed"]);
    check("time,y\n0,1\n0,2\n", expect!["f.csv:3:1: column `time` must rise from row to row: 0 follows 0"]);
    check("time,y\n0,\"1\n", expect!["f.csv:2:3: this quote is never closed"]);
    check(
        "time,y\n0,\"1\"2\n",
        expect!["f.csv:2:6: text after a closing quote; a quote inside a field is written twice"],
    );
    check(b"time,y\n0,\xff\n", expect!["f.csv:2:3: this byte is not UTF-8"]);
}

#[test]
fn lines_are_counted_through_quoted_breaks() {
    check("\"ti\nme\",time,y\n\"a\nb\",0,1\nc,1,q\n", expect!["f.csv:5:5: `q` in column `y` is no number"]);
}

#[test]
fn affine_units_are_applied() {
    let frame = Frame::from_bytes("f.csv", b"time,T\n0,20\n1,-273.15\n".to_vec()).unwrap();
    let samples = frame.samples(("time", Unit::SI), ("T", KELVIN)).unwrap();
    assert_eq!(samples.y, [293.15, 0.0]);
}

#[test]
fn reads_what_the_recorder_wrote() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["r.parquet", "r.arrow", "r.csv"] {
        let path = folder.path().join(name);
        let columns = vec![
            ColumnSpec::real("time").in_unit("s"),
            ColumnSpec::of("T", record::Element::Real { scale: 1.0, offset: 273.15 }).in_unit("degC"),
            ColumnSpec { list: Some(2), ..ColumnSpec::real("q") },
            ColumnSpec { nullable: true, ..ColumnSpec::real("m") },
        ];
        let facts = vec![("seed".to_owned(), "7".to_owned())];
        let mut recorder = record::open(&path, Columns::new(columns).unwrap(), &facts).unwrap();
        for k in 0..40_000 {
            let t = f64::from(k);
            recorder.row(&[t, 273.15 + t, t, -t, f64::from(k % 2), t]).unwrap();
        }
        recorder.finish().unwrap();
        let frame = Frame::from_bytes(name, std::fs::read(&path).unwrap()).unwrap();
        let samples = frame.samples(("time", Unit::SI), ("T", KELVIN)).unwrap();
        assert_eq!(samples.x.len(), 40_000);
        assert!(samples.y.iter().zip(&samples.x).all(|(y, x)| (y - 273.15 - x).abs() < 1e-9));
        let mut absent = 0;
        frame.scan("m", |_, _, value| absent += usize::from(value.is_nan())).unwrap();
        assert_eq!(absent, 20_000);
        if name != "r.csv" {
            assert_eq!(frame.columns()[1].unit.as_deref(), Some("degC"));
            assert!(frame.metadata().unwrap().contains(&("seed".to_owned(), "7".to_owned())));
            let mut sum = 0.0;
            frame.scan("q", |_, _, value| sum += value).unwrap();
            assert_eq!(sum, 0.0);
            assert!(frame.numbers("q").unwrap_err().to_string().contains("holds a list"));
        }
    }
    let frame = Frame::from_bytes("x.parquet", b"not parquet".to_vec());
    assert!(frame.unwrap_err().to_string().starts_with("x.parquet: the file cannot be read"));
}
