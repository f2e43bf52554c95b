//! Both runs in one picture: the quantities that differ most, and the distance on a logarithmic scale.

use std::path::Path;

use twinml_engine::record::file::write_atomic;
use twinml_model::math::eval as m;

use super::quantities::Compared;
use super::side::Side;
use crate::exit::Exit;
use crate::plot::{Caption, Kind, Plot, Series};
use crate::ui::Ui;
use crate::ui::json::Written;
use crate::world;

/// Draws and writes.
pub fn write(out: &Path, a: &Side, b: &Side, compared: &Compared, ui: &Ui) -> Result<(), Exit> {
    let kind = Kind::of(out).map_err(|help| {
        ui.error(&format!("`{}` is no picture that can be written", world::shown(out)), Some(help));
        Exit::Usage
    })?;
    let mut panels = Vec::new();
    let logs: Vec<f64> = compared
        .distance
        .iter()
        .map(|d| if *d > 0.0 { m::log(*d) / std::f64::consts::LN_10 } else { f64::NAN })
        .collect();
    if logs.iter().any(|l| l.is_finite()) {
        let series = Series::of("A to B", "", &compared.times, &logs);
        panels.push(("log10 of the distance".to_owned(), vec![series]));
    }
    for curve in &compared.curves {
        let unit = if curve.unit.is_empty() { String::new() } else { format!(" [{}]", curve.unit) };
        let side = |name: &str, values: &[f64]| Series::of(name, &curve.unit, &curve.times, values);
        panels.push((format!("{}{unit}", curve.name), vec![side("A", &curve.a), side("B", &curve.b)]));
    }
    let caption =
        Caption { title: "Two runs".to_owned(), subtitle: format!("A: {}  ·  B: {}", a.shown, b.shown) };
    let (from, to) = (compared.times.first(), compared.times.last());
    let plot = Plot::of_panels(caption, panels, from.copied().unwrap_or(0.0), to.copied().unwrap_or(0.0));
    let bytes = plot.bytes(kind).map_err(|e| {
        ui.error(&format!("`{}`: {e}", world::shown(out)), Some("write .svg instead"));
        Exit::Outside
    })?;
    write_atomic(out, &bytes).map_err(|e| {
        ui.error(&e.to_string(), None);
        Exit::Outside
    })?;
    ui.result("Written", &world::shown(out), None);
    ui.object(&Written::file(out, "plot"));
    Ok(())
}
