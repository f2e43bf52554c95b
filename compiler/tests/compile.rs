//! Whole models to programs: the examples, the accuracy problems, and the reference models beside the project.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::path::{Path, PathBuf};
use twinml_compiler::diag::{Style, render_all};
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flat::print::{Options, print};
use twinml_compiler::flat::read::read;
use twinml_compiler::flatten::{Column, DataError, DataLoader, DataRequest};
use twinml_compiler::resolve::MemoryLoader;

/// CSV files of a folder.
struct Folder(PathBuf);

impl DataLoader for Folder {
    fn column(&mut self, r: DataRequest<'_>) -> Result<Column, DataError> {
        let text = std::fs::read_to_string(self.0.join(r.file)).map_err(|_| DataError::NotFound)?;
        let mut lines = text.lines();
        let head: Vec<String> =
            lines.next().unwrap_or("").split(',').map(|c| c.trim().trim_matches('"').to_owned()).collect();
        let Some(at) = head.iter().position(|h| h == r.column) else {
            return Err(DataError::NoColumn { available: head });
        };
        Ok(lines.map(|l| l.split(',').nth(at).unwrap().trim().parse().unwrap()).collect())
    }
}

/// What is said about each scenario: nothing where it compiles, else the codes.
fn outcomes(path: &Path) -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let mut session = Session::check(&name, &text, &MemoryLoader::new());
    if session.diags.has_errors() {
        let said = render_all(&session.diags, &session.sources, Style::default());
        panic!("{said}");
    }
    let scenarios: Vec<String> = session.scenarios().map(str::to_owned).collect();
    let choices: Vec<Option<String>> =
        if scenarios.is_empty() { vec![None] } else { scenarios.into_iter().map(Some).collect() };
    let mut out = Vec::new();
    for choice in choices {
        session.diags = twinml_compiler::diag::Diagnostics::new();
        let mut data = Folder(path.parent().unwrap().to_owned());
        let start = std::time::Instant::now();
        let done = session
            .compile(Choice { scenario: choice.as_deref(), settings: &[], keep_system: true }, &mut data);
        let label = format!("{name} {}", choice.as_deref().unwrap_or("-"));
        eprintln!("{label}: {:?}", start.elapsed());
        let errors = session.diags.has_errors();
        if std::env::var_os("TWINML_SHOW").is_some() && errors {
            eprintln!("{}", render_all(&session.diags, &session.sources, Style::default()));
        }
        assert_eq!(done.is_none(), errors, "{label}");
        if let Some(system) = done.and_then(|d| d.system) {
            let text = print(&system, Options { spans: true });
            let again = read(&text).unwrap_or_else(|e| panic!("{label}: {e}"));
            assert!(again == system, "{label} reads back as another system");
        }
        let mut codes: Vec<String> = session.diags.iter().map(|d| d.code.to_string()).collect();
        codes.retain(|c| c.starts_with('E'));
        codes.dedup();
        out.push((label, codes));
    }
    out
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn models_in(folder: &Path) -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = std::fs::read_dir(folder)
        .map(|d| {
            d.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|x| x == "twinml")).collect()
        })
        .unwrap_or_default();
    out.sort();
    out
}

#[test]
fn examples_and_accuracy_problems_compile() {
    let mut all = models_in(&root().join("tests/accuracy"));
    for d in std::fs::read_dir(root().join("twinml-examples")).unwrap() {
        all.extend(models_in(&d.unwrap().path()));
    }
    assert!(all.len() >= 8, "{all:?}");
    for path in all {
        for (label, codes) in outcomes(&path) {
            assert!(codes.is_empty(), "{label}: {codes:?}");
        }
    }
}

#[test]
fn reference_models() {
    let shared = std::env::var_os("TWINML_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let all = models_in(&shared.join("models"));
    if all.is_empty() {
        eprintln!("skipped: no reference models beside the project");
        return;
    }
    let mut said = String::new();
    for path in all {
        for (label, codes) in outcomes(&path) {
            said += &format!(
                "{label}: {}\n",
                if codes.is_empty() { "compiles".to_owned() } else { codes.join(" ") }
            );
        }
    }
    expect_test::expect![[r#"
        01_heating_skid.twinml day: compiles
        01_heating_skid.twinml stuck_relay: compiles
        02_dc_motor_pid.twinml step: compiles
        03_battery_pack.twinml charge: compiles
        03_battery_pack.twinml small: compiles
        04_pendulum_dae.twinml swing: compiles
        04_pendulum_dae.twinml looping: compiles
        04_pendulum_dae.twinml chaos: compiles
        06_water_network.twinml burst: compiles
        06_water_network.twinml isolation: compiles
        07_cstr_runaway.twinml coolant_loss: compiles
        07_cstr_runaway.twinml unprotected: compiles
        08_production_line.twinml three_shifts: compiles
        08_production_line.twinml heavy_wear: compiles
        09_truck_fleet.twinml shift: compiles
        09_truck_fleet.twinml small_yard: compiles
        11_stick_slip.twinml belt: compiles
        11_stick_slip.twinml smooth_belt: compiles
        12_epidemic_sde.twinml season: compiles
        12_epidemic_sde.twinml no_rules: compiles
        14_building_zone.twinml winter_week: compiles
        15_operator_agent.twinml drill: E0750
    "#]]
    .assert_eq(&said);
}
