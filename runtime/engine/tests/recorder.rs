//! One suite for every recorder: what goes in comes out, whole files or none, bounded memory.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch, RecordBatchReader};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::statistics::Statistics;
use twinml_engine::csvw;
use twinml_engine::data::Frame;
use twinml_engine::record::{
    self, Cells, ColumnSpec, Columns, Element, MemoryRecorder, Metadata, RecordError, Recorder, Strips,
};
use twinml_engine::thin::{Point, Slices, Thin};

fn columns() -> Columns {
    let words: Arc<[String]> = ["open", "closed, for good"].map(String::from).into();
    Columns::new(vec![
        ColumnSpec { unit: Some("s".into()), ..ColumnSpec::real("time") },
        ColumnSpec {
            unit: Some("degC".into()),
            quantity: Some("Temperature".into()),
            description: Some("what the probe shows".into()),
            ..ColumnSpec::of("T", Element::Real { scale: 1.0, offset: 273.15 })
        },
        ColumnSpec::of("on", Element::Bool),
        ColumnSpec::of("step", Element::Int),
        ColumnSpec::of("valve, \"main\"", Element::Text(words)),
        ColumnSpec { nullable: true, ..ColumnSpec::real("maybe") },
        ColumnSpec { list: Some(3), ..ColumnSpec::real("rod.T") },
    ])
    .unwrap()
}

/// Row `k`: awkward reals among them.
fn row(k: usize) -> Vec<f64> {
    let t = k as f64 * 0.1;
    let odd = [f64::NAN, f64::INFINITY, -0.0, 5e-324, 1.0 / 3.0, 1e300][k % 6];
    vec![t, 273.15, (k % 2) as f64, k as f64, (k / 2 % 2) as f64, (k % 3) as f64, odd, 1.0, t, -t]
}

fn metadata() -> Metadata {
    [("twinml.model_hash", "abc"), ("scenario", "cold_start"), ("seed", "42"), ("solver", "bdf")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .to_vec()
}

/// Drives any recorder in the same way; the suite that the fake and the real ones pass.
fn conform(mut recorder: Box<dyn Recorder>, rows: usize) -> u64 {
    let width = recorder.columns().cells();
    assert_eq!(width, 10);
    let wrong = recorder.row(&[0.0; 3]).unwrap_err();
    assert!(matches!(wrong, RecordError::RowLength { expected: 10, found: 3 }), "{wrong}");
    let mut bad = row(0);
    bad[4] = 2.0;
    let wrong = recorder.row(&bad).unwrap_err();
    assert!(matches!(wrong, RecordError::Word { words: 2, .. }), "{wrong}");
    for k in 0..rows {
        recorder.row(&row(k)).unwrap();
    }
    let recorded = recorder.finish().unwrap();
    assert_eq!(recorded.rows, rows as u64);
    recorded.bytes
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Only this file is in the folder, of CSV with the one that describes it: no temporary one was left.
fn alone(path: &Path) {
    let mut names: Vec<PathBuf> =
        fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    let wanted: Vec<PathBuf> = std::iter::once(path.to_owned()).chain(csvw::beside(path)).collect();
    assert_eq!(names, wanted);
}

fn check_batches(batches: &[RecordBatch], rows: usize) {
    let mut k = 0;
    for batch in batches {
        let schema = batch.schema();
        let field = schema.field_with_name("T").unwrap();
        assert_eq!(field.metadata()["unit"], "degC");
        assert_eq!(field.metadata()["quantity"], "Temperature");
        assert_eq!(field.metadata()["description"], "what the probe shows");
        let real = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Float64Type>().clone();
        let (time, temperature, maybe) = (real("time"), real("T"), real("maybe"));
        let on = batch.column_by_name("on").unwrap().as_boolean().clone();
        let step = batch.column_by_name("step").unwrap().as_primitive::<Int64Type>().clone();
        let valve = batch.column_by_name("valve, \"main\"").unwrap().as_string::<i32>().clone();
        let rod = batch.column_by_name("rod.T").unwrap().as_list::<i32>().clone();
        for i in 0..batch.num_rows() {
            let want = row(k);
            assert_eq!(time.value(i), want[0]);
            assert_eq!(temperature.value(i), 0.0);
            assert_eq!(on.value(i), k % 2 == 1);
            assert_eq!(step.value(i), k as i64);
            assert_eq!(valve.value(i), ["open", "closed, for good"][k / 2 % 2]);
            assert_eq!(maybe.is_null(i), k % 3 == 0);
            if maybe.is_valid(i) {
                assert_eq!(maybe.value(i).to_bits(), want[6].to_bits());
            }
            assert_eq!(rod.value(i).as_primitive::<Float64Type>().values(), &want[7..10]);
            k += 1;
        }
    }
    assert_eq!(k, rows);
}

#[test]
fn the_fake_conforms() {
    let (recorder, rows) = MemoryRecorder::new(columns());
    conform(Box::new(recorder), 7);
    assert_eq!(rows.rows()[5], row(5));
}

#[test]
fn parquet_conforms_and_reads_back_exactly() {
    let folder = folder();
    let path = folder.path().join("out.parquet");
    for rows in [0, 1, 60_000] {
        let bytes = conform(record::open(&path, columns(), &metadata()).unwrap(), rows);
        alone(&path);
        assert_eq!(fs::metadata(&path).unwrap().len(), bytes);
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let facts = builder.metadata().file_metadata().key_value_metadata().unwrap().clone();
        for (key, value) in metadata() {
            assert!(facts.iter().any(|kv| kv.key == key && kv.value.as_deref() == Some(value.as_str())));
        }
        let reader = builder.build().unwrap();
        assert_eq!(reader.schema().fields().len(), 7);
        check_batches(&reader.map(Result::unwrap).collect::<Vec<_>>(), rows);
    }
}

#[test]
fn arrow_conforms_and_reads_back_exactly() {
    let folder = folder();
    let path = folder.path().join("out.arrow");
    for rows in [0, 1, 60_000] {
        let bytes = conform(record::open(&path, columns(), &metadata()).unwrap(), rows);
        alone(&path);
        assert_eq!(fs::metadata(&path).unwrap().len(), bytes);
        let reader = arrow_ipc::reader::FileReader::try_new(File::open(&path).unwrap(), None).unwrap();
        assert_eq!(reader.schema().metadata()["seed"], "42");
        check_batches(&reader.map(Result::unwrap).collect::<Vec<_>>(), rows);
    }
}

#[test]
fn csv_conforms_and_reads_back_exactly() {
    let folder = folder();
    let path = folder.path().join("out.csv");
    conform(record::open(&path, columns(), &metadata()).unwrap(), 1000);
    alone(&path);
    let mut reader = csv::Reader::from_path(&path).unwrap();
    let header: Vec<String> = reader.headers().unwrap().iter().map(String::from).collect();
    assert_eq!(
        header,
        ["time", "T", "on", "step", "valve, \"main\"", "maybe", "rod.T[0]", "rod.T[1]", "rod.T[2]"]
    );
    let said = fs::read(csvw::beside(&path).unwrap()).unwrap();
    let frame = Frame::from_bytes("out.csv", fs::read(&path).unwrap()).unwrap();
    let frame = frame.described("out.csv-metadata.json", &said).unwrap();
    assert_eq!(frame.columns().iter().map(|c| &*c.name).collect::<Vec<_>>(), header);
    assert_eq!(frame.columns()[1].unit.as_deref(), Some("degC"));
    for (k, record) in reader.records().enumerate() {
        let record = record.unwrap();
        let want = row(k);
        assert_eq!(record[0].parse::<f64>().unwrap().to_bits(), want[0].to_bits());
        assert_eq!(&record[2], if k % 2 == 1 { "true" } else { "false" });
        assert_eq!(&record[4], ["open", "closed, for good"][k / 2 % 2]);
        if k % 3 == 0 {
            assert_eq!(&record[5], "");
        } else {
            assert_eq!(record[5].parse::<f64>().unwrap().to_bits(), want[6].to_bits());
        }
        assert_eq!(record[8].parse::<f64>().unwrap(), want[9]);
    }
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let folder = folder();
    for extension in ["parquet", "arrow", "csv"] {
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name).with_extension(extension));
        for path in [&a, &b] {
            conform(record::open(path, columns(), &metadata()).unwrap(), 1000);
        }
        assert_eq!(fs::read(a).unwrap(), fs::read(b).unwrap(), "{extension}");
    }
}

#[test]
fn what_is_dropped_unfinished_leaves_the_old_file() {
    let folder = folder();
    let path = folder.path().join("out.parquet");
    fs::write(&path, "old").unwrap();
    let mut recorder = record::open(&path, columns(), &metadata()).unwrap();
    for k in 0..100_000 {
        recorder.row(&row(k)).unwrap();
    }
    drop(recorder);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    alone(&path);
}

#[test]
fn refuses_what_it_cannot_do() {
    let folder = folder();
    let open = |name: &str| record::open(&folder.path().join(name), columns(), &metadata());
    assert!(matches!(open("out.xlsx"), Err(RecordError::UnknownFormat { .. })));
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(matches!(open("file/out.csv"), Err(RecordError::Io { action: "create the folder", .. })));
    let twice = Columns::new(vec![ColumnSpec::real("x"), ColumnSpec::real("x")]);
    assert!(matches!(twice, Err(RecordError::DuplicateColumn { .. })));
}

/// Hands rows over cell by cell, so many at once, with a single row now and then; one cell stands still.
fn cell_by_cell(
    mut recorder: Box<dyn Recorder>,
    (rows, at_once): (usize, usize),
    cell: &dyn Fn(usize, usize) -> f64,
    still: Option<usize>,
) {
    let cells = recorder.columns().cells();
    let mut done = 0;
    while done < rows {
        let n = at_once.min(rows - done);
        let apart = n + done % 3;
        let mut values = vec![-1.0; cells * apart];
        for (k, strip) in values.chunks_mut(apart).enumerate() {
            strip.iter_mut().take(n).enumerate().for_each(|(row, to)| *to = cell(done + row, k));
        }
        let of = |k: usize| match still {
            Some(still) if still == k => Cells::All(cell(done, k)),
            // They end somewhere behind: how many stand together is no promise of how many are taken.
            _ => Cells::Each(Strips {
                values: &values[k * apart..],
                apart,
                cells: (cells - k).min(1 + k % 11),
            }),
        };
        recorder.rows_of(n, &of).unwrap();
        done += n;
        if done < rows && n > 1 {
            let row: Vec<f64> = (0..cells).map(|k| cell(done, k)).collect();
            recorder.row(&row).unwrap();
            done += 1;
        }
    }
    assert_eq!(recorder.finish().unwrap().rows, rows as u64);
}

#[test]
fn rows_cell_by_cell_make_the_same_files() {
    let folder = folder();
    for extension in ["parquet", "arrow", "csv"] {
        let path = |name: &str| folder.path().join(format!("{name}.{extension}"));
        let open = |name: &str| record::open(&path(name), columns(), &metadata()).unwrap();
        let rows = 20_000;
        let mut recorder = open("rows");
        (0..rows).for_each(|k| recorder.row(&row(k)).unwrap());
        recorder.finish().unwrap();
        cell_by_cell(open("cells"), (rows, 128), &|row_number, k| row(row_number)[k], None);
        assert!(fs::read(path("rows")).unwrap() == fs::read(path("cells")).unwrap(), "{extension}");
    }
}

/// Columns of reals, as many as one tile has and more or fewer, over several row groups: values, extremes, and the same
/// bytes however many rows come at once.
#[test]
fn reals_of_any_width_come_back_with_their_bits_and_extremes() {
    let folder = folder();
    for (width, rows) in [(1, 300_000), (2, 17), (7, 100_000), (9, 60_000), (60, 9_001)] {
        let mut specs: Vec<ColumnSpec> = (0..width).map(|k| ColumnSpec::real(format!("x{k}"))).collect();
        // one that stands still between them, one in another unit
        specs.insert(width / 2, ColumnSpec::of("still", Element::Int));
        specs.push(ColumnSpec::of("T", Element::Real { scale: 0.5, offset: 273.15 }));
        let columns = Columns::new(specs).unwrap();
        let odd = f64::from_bits(0xfff8_0000_0000_0123);
        let cell = |row: usize, k: usize| match (k == width / 2, (row * 31 + k) % 1009) {
            (true, _) => 7.0,
            (_, 0) => odd,
            (_, 1) => f64::NEG_INFINITY,
            _ => (row as f64 * 0.37).sin() * (k + 1) as f64,
        };
        let cells = width + 2;
        let write = |name: &str, at_once: usize| {
            let path = folder.path().join(name);
            let mut recorder = record::open(&path, columns.clone(), &metadata()).unwrap();
            let mut done = 0;
            while done < rows {
                let n = at_once.min(rows - done);
                recorder
                    .rows_by(n, &mut |of, out| {
                        for row in of {
                            out.extend((0..cells).map(|k| cell(done + row, k)));
                        }
                    })
                    .unwrap();
                done += n;
            }
            assert_eq!(recorder.finish().unwrap().rows, rows as u64);
            path
        };
        let path = write("a.parquet", 1);
        assert!(fs::read(&path).unwrap() == fs::read(write("b.parquet", 37)).unwrap(), "{width}");
        for (k, at_once) in [1, 31, 128, 8_000].into_iter().enumerate() {
            let other = folder.path().join(format!("strips{k}.parquet"));
            let recorder = record::open(&other, columns.clone(), &metadata()).unwrap();
            cell_by_cell(recorder, (rows, at_once), &cell, Some(width / 2));
            assert!(fs::read(&path).unwrap() == fs::read(other).unwrap(), "{width}, {at_once} at once");
        }
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let groups = builder.metadata().row_groups().to_vec();
        let read: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
        let mut row = 0;
        for batch in &read {
            for k in 0..cells {
                let column = batch.column(k);
                for i in 0..batch.num_rows() {
                    let want = cell(row + i, k);
                    if k == width / 2 {
                        assert_eq!(column.as_primitive::<Int64Type>().value(i), 7);
                        continue;
                    }
                    let want = if k + 1 == cells { (want - 273.15) / 0.5 } else { want };
                    let want = if want.is_nan() { f64::NAN } else { want };
                    let found = column.as_primitive::<Float64Type>().value(i);
                    assert_eq!(found.to_bits(), want.to_bits(), "{width}: row {}, column {k}", row + i);
                }
            }
            row += batch.num_rows();
        }
        assert_eq!(row, rows);
        let mut from = 0;
        for group in &groups {
            let n = group.num_rows() as usize;
            let values = (from..from + n).map(|row| cell(row, 0)).filter(|v| !v.is_nan());
            let (least, most) =
                values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (v.min(a), v.max(b)));
            if width > 1 {
                match group.column(0).statistics().unwrap() {
                    Statistics::Double(s) => {
                        assert_eq!((s.min_opt(), s.max_opt()), (Some(&least), Some(&most)));
                    }
                    other => panic!("{other}"),
                }
            }
            from += n;
        }
        assert_eq!(from, rows);
        assert!(rows < 100 || groups.len() > 1, "{width}: {} row groups", groups.len());
    }
}

/// Few points of each column are at hand once a long file is complete: those that reading it gives.
#[test]
fn points_are_noted_while_recording() {
    let folder = folder();
    let n = 20_000;
    let swing = |k: usize| {
        let mut row = row(k);
        row[1] = 273.15 + (k as f64 * 0.01).sin() * 20.0;
        // Something that is no number, in the midst of what is.
        if k % 5000 > 4990 {
            row[1] = f64::NAN;
        }
        row[3] = (k / 700) as f64;
        row
    };
    let end = swing(n - 1)[0];
    let record = |name: &str, rows: usize, end: f64| {
        let path = folder.path().join(name);
        let (mut recorder, thinning) = record::open_thinned(&path, columns(), &metadata(), end).unwrap();
        (0..rows).for_each(|k| recorder.row(&swing(k)).unwrap());
        recorder.finish().unwrap();
        (path, thinning.take())
    };
    let (path, thinned) = record("long.parquet", n, end);
    let thinned = thinned.unwrap();
    assert_eq!((thinned.from, thinned.to), (0.0, end));
    let frame = Frame::from_parquet_file("long.parquet", File::open(&path).unwrap()).unwrap();
    let mut times = Vec::new();
    frame.scan("time", |_, _, t| times.push(t)).unwrap();
    let slices = Slices::new(0.0, end);
    let columns: Vec<usize> = thinned.curves.iter().map(|c| c.column).collect();
    assert_eq!(columns, [1, 3]);
    for (curve, whole) in thinned.curves.iter().zip([false, true]) {
        let mut thin = Thin::default();
        let name = &frame.columns()[curve.column].name;
        let point = |row: u64, _: usize, value| {
            let (row, time) = (row as usize, times[row as usize]);
            thin.push(slices.of(time), Point { row, time, value });
        };
        frame.scan(name, point).unwrap();
        let bits = |points: &[(f64, f64)]| -> Vec<_> {
            points.iter().map(|p| (p.0.to_bits(), p.1.to_bits())).collect()
        };
        assert_eq!(bits(&curve.points), bits(&thin.finish()), "{name}");
        assert!(curve.points.len() < n / 3 && curve.points.len() > 100);
        assert_eq!(curve.whole, whole);
    }
    // What ends elsewhere, is short or has another format is read.
    assert!(record("early.parquet", n, end + 1.0).1.is_none());
    assert!(record("short.parquet", 100, swing(99)[0]).1.is_none());
    assert!(record("long.csv", n, end).1.is_none());
}

#[test]
fn what_is_infinite_is_no_whole_number() {
    let folder = folder();
    let columns = Columns::new(vec![
        ColumnSpec::real("time"),
        ColumnSpec { gaps: true, ..ColumnSpec::of("most", Element::Int) },
    ])
    .unwrap();
    let values = [3.0, f64::NEG_INFINITY, f64::NAN, -4.0];
    for extension in ["parquet", "csv"] {
        let path = folder.path().join(format!("gaps.{extension}"));
        let mut recorder = record::open(&path, columns.clone(), &metadata()).unwrap();
        values.iter().enumerate().for_each(|(k, v)| recorder.row(&[k as f64, *v]).unwrap());
        recorder.finish().unwrap();
    }
    assert_eq!(
        fs::read_to_string(folder.path().join("gaps.csv")).unwrap(),
        "time,most\r\n0,3\r\n1,\r\n2,\r\n3,-4\r\n"
    );
    let file = File::open(folder.path().join("gaps.parquet")).unwrap();
    let batches: Vec<RecordBatch> = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let most = batches[0].column(1).as_primitive::<Int64Type>();
    let read: Vec<Option<i64>> = most.iter().collect();
    assert_eq!(read, [Some(3), None, None, Some(-4)]);
}
