//! Where white noise may stand in a model.
#![allow(clippy::unwrap_used, reason = "tests")]

use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_model::text::{program_text, read_program};
use twinml_model::verify::verify;

/// Codes of the errors, or the names of the paths.
fn outcome(text: &str) -> Vec<String> {
    let mut s = Session::check("m.twinml", text, &MemoryLoader::new());
    let made = s.compile(Choice::default(), &mut NoData);
    let codes: Vec<String> = s.diags.iter().map(|d| d.code.to_string()).collect();
    let Some(made) = made.filter(|_| codes.is_empty()) else { return codes };
    verify(&made.program).unwrap();
    assert_eq!(read_program(&program_text(&made.program)).unwrap(), made.program);
    let noise = made.program.noise.iter();
    noise.flat_map(|n| (0..n.len).map(|j| n.element_path(j))).collect()
}

/// A twin with these sections around states `x` and `y` and a variable `w` that holds noise.
fn twin(sections: &str) -> Vec<String> {
    outcome(&format!(
        "twin W {{ units: off
  states {{ x: Real = 0; y: Real = 1 }}
  variables {{ w: Real }}
  equations {{ w = white_noise() }}
  {sections}
}}
scenario run for W {{ duration: 1 s }}"
    ))
}

const REST: &str = "equations { der(x) = w; der(y) = -y }";

#[test]
fn affine_is_accepted() {
    for equations in [
        "der(x) = w; der(y) = 2*y*w - x + w/(1 + x^2)",
        "der(x) = if y > 0.5 then w else -2*w; der(y) = noevent(if x > 0 then 1 else 0)*w",
        "der(x) = -(w - x)*y; der(y) = der(x) + 1",
        "2*der(x) + der(y) = w; der(x) - der(y) = x",
        "der(x) = sum([1, 2, 3][i]*w for i in 0..3); der(y) = 0",
    ] {
        assert_eq!(twin(&format!("equations {{ {equations} }}")), ["noise#1"], "{equations}");
    }
}

#[test]
fn anything_else_is_refused() {
    for equations in [
        "der(x) = w^2; der(y) = 0",
        "der(x) = w*white_noise(); der(y) = 0",
        "der(x) = sin(w); der(y) = 0",
        "der(x) = 1/w; der(y) = 0",
        "der(x) = abs(w); der(y) = 0",
        "der(x) = max(w, 0); der(y) = 0",
        "der(x) = w; der(y) = der(x)*der(x)",
        // A loop in which the unknown meets the noise.
        "der(x)*(1 + w) = der(y); der(y) = x + 0.1*der(x)",
    ] {
        assert_eq!(twin(&format!("equations {{ {equations} }}")), ["E0736"], "{equations}");
    }
}

#[test]
fn nothing_that_needs_a_value_reads_it() {
    for sections in [
        "outputs { z: Real = x + w }",
        "outputs { z: Real = der(x) }",
        "constraints { low: always(w < 3) }",
        "constraints { kpi top: max(w over run) }",
        "behavior { on rising(w > 1) { y = 2 } }",
        "behavior { every 100 ms { y = w } }",
        "behavior { every 100 ms { y = der(x) } }",
        "initial equations { x = w }",
        "equations { z = if w > 0 then 1 else 0 } variables { z: Real }",
        "equations { z = delay(w, 0.1 s) } variables { z: Real }",
    ] {
        let codes = twin(&format!("{REST}\n{sections}"));
        assert!(
            !codes.is_empty() && codes.iter().all(|c| c == "E0753" || c == "E0736"),
            "{sections}: {codes:?}"
        );
    }
}

#[test]
fn records_leave_it_out_and_refuse_it_by_name() {
    let text = |what: &str| {
        format!(
            "twin W {{ states {{ x: Real = 0 }} variables {{ w: Real[s^-0.5] }}
  equations {{ w = white_noise(); der(x) = 1 [s^-0.5]*w }} }}
scenario run for W {{ duration: 1 s; record {what} every 100 ms }}"
        )
    };
    assert_eq!(outcome(&text("all")), ["noise#1"]);
    assert_eq!(outcome(&text("w")), ["E0753"]);
}

/// An algebraic constraint among states would have to be differentiated.
#[test]
fn a_system_of_higher_index_is_refused() {
    let codes = outcome(
        "twin P { units: off
  states { x: Real = 1; y: Real guess 0; u: Real = 0; v: Real guess 0 }
  variables { f: Real }
  equations { der(x) = u; der(y) = v; der(u) = -f*x + white_noise(); der(v) = -f*y - 9.81; x^2 + y^2 = 1 } }
scenario run for P { duration: 1 s }",
    );
    assert_eq!(codes, ["E0753"]);
}

#[test]
fn names_of_paths_are_those_of_twins() {
    let names = outcome(
        "twin Cell { units: off
  parameters { gain: Real = 1 }
  states { x: Real = 0; v: Real[1][2] = 0 }
  equations { der(x) = white_noise(); for i in 0..2 { der(v[i]) = gain*white_noise() } } }
system twin Rack { units: off; twins { cells: Cell[2] } }
system twin Hall { units: off; twins { racks: Rack[2]; spare: Cell } }
scenario run for Hall { duration: 1 s }",
    );
    for name in
        ["racks[1].cells[0].noise#1", "racks[1].cells[1].noise#2[1]", "spare.noise#1", "spare.noise#2[0]"]
    {
        assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
    }
    assert_eq!(names.len(), 15);
}
