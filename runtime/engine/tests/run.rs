//! Whole runs of small systems whose answers are known.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;
use support::{Case, case};
use twinml_engine::run::{Ended, FailureKind};
use twinml_model::passes::{self, Level};
use twinml_solvers::integrator::Method;

#[test]
fn a_decay_is_followed_and_sampled_at_a_thousand_and_one_instants() {
    let rows = case(
        "flat Decay
         var x : state fixed
           value @[0] = 2.0
         var y : unknown declared outputs
         eq : der(x) = -0.5 * x
         eq : y = 3.0 * x",
        "tsit5",
        4.0,
    )
    .tolerances(1e-10, 1e-12)
    .rows();
    assert_eq!(rows.len(), 1001);
    for (k, row) in rows.iter().enumerate() {
        let t = 4.0 * k as f64 / 1000.0;
        assert_eq!(row[0], t);
        let exact = 2.0 * (-0.5 * t).exp();
        assert!((row[2] - exact).abs() < 1e-9, "{t} {} {exact}", row[2]);
        assert!((row[3] - 3.0 * row[2]).abs() < 1e-12);
    }
}

/// A mass on a spring that only pushes: the comparison is an event at each touch and each leave.
const BOUNCE: &str = "flat Bounce
 var x : state fixed
   value @[0] = 1.0
 var v : state fixed
   value @[0] = 0.0
 eq : der(x) = v
 eq : der(v) = (if x < 0.0 then -400.0 * x else 0.0) - 10.0";

#[test]
fn comparisons_are_events_and_energy_is_kept_through_them() {
    let case = case(BOUNCE, "tsit5", 10.0).tolerances(1e-9, 1e-9);
    let ran = case.run();
    let energy = |row: &[f64]| {
        let (x, v) = (row[2], row[3]);
        0.5 * v * v + 10.0 * x + if x < 0.0 { 200.0 * x * x } else { 0.0 }
    };
    for row in &ran.rows[0] {
        assert!((energy(row) - 10.0).abs() < 1e-5, "{row:?}");
    }
    // Falls sqrt(2/10) s, then touches and leaves alternate; each has a row before and one after.
    let events: Vec<&Vec<f64>> = ran.rows[0].iter().filter(|r| r[1] > 0.0).collect();
    assert_eq!(ran.report.events, events.len() as u64);
    assert!((events[0][0] - 0.2_f64.sqrt()).abs() < 1e-8, "{}", events[0][0]);
    assert!(events.len() >= 18, "{}", events.len());
    for pair in ran.rows[0].windows(2) {
        if pair[1][1] > 0.0 {
            assert_eq!((pair[0][0], pair[0][1]), (pair[1][0], 0.0), "a row of the left limit comes before");
            // The left limit is that of the last instant found on the old side, a rounding earlier.
            let jumps = pair[0][2..].iter().zip(&pair[1][2..]).any(|(a, b)| (a - b).abs() > 1e-13);
            assert!(!jumps, "states do not jump: {pair:?}");
        }
        assert!(pair[0][0] <= pair[1][0]);
    }
}

#[test]
fn comparisons_of_time_switch_exactly() {
    for method in ["tsit5", "dopri5", "rosenbrock", "rk4"] {
        let rows = case(
            "flat Ramp
             var x : state fixed
               value @[0] = 0.0
             eq : der(x) = if time >= 1.0 and time < 2.5 then 2.0 else 0.0",
            method,
            4.0,
        )
        .rows();
        for row in &rows {
            let exact = 2.0 * (row[0].clamp(1.0, 2.5) - 1.0);
            assert!((row[2] - exact).abs() < 1e-12, "{method} {row:?}");
        }
        assert_eq!(rows.len(), 1001 + 2, "{method}: two events at regular instants add a row each");
    }
}

#[test]
fn floor_steps_up_and_down() {
    let rows = case(
        "flat Stairs
         var x : state fixed
           value @[0] = 0.0
         var n : unknown declared outputs
         var m : unknown declared outputs
         eq : der(x) = if time < 2.0 then 1.0 else -1.0
         eq : n = floor(2.0 * x)
         eq : m = floor(-x)",
        "tsit5",
        4.0,
    )
    .rows();
    let mut steps = 0;
    for row in &rows {
        let x = row[0].min(4.0 - row[0]);
        let exact = (2.0 * x).floor();
        // At the edges themselves a row of each limit stands.
        let edge = (2.0 * x - (2.0 * x).round()).abs() < 1e-9;
        assert!(edge || row[3] == exact, "{row:?}");
        assert!(edge || row[4] == (-x).floor(), "on the edge at the start, and leaving the cell: {row:?}");
        steps += usize::from(row[1] > 0.0);
    }
    assert!(steps >= 7, "{steps}");
}

#[test]
fn a_loop_of_two_equations_is_solved_inside_the_kernels() {
    // a and b: the intersection of a circle and a line that move with x.
    let rows = case(
        "flat Loop
         var x : state fixed
           value @[0] = 0.0
         var a : unknown
           guess @[0] = 1.0
         var b : unknown
           guess @[0] = 1.0
         var c : unknown declared outputs
         eq : der(x) = 1.0 + 0.0 * a
         eq : a*a + b*b = 4.0 + x
         eq : a - 2.0*b*b*b = x - 1.0
         eq : c = a + b",
        "dopri5",
        2.0,
    )
    .rows();
    for row in &rows {
        let (x, c) = (row[2], row[3]);
        // From a + b and the circle: b = (c ± sqrt(2(4 + x) − c²))/2.
        let root = (2.0 * (4.0 + x) - c * c).sqrt();
        let residual = |b: f64| (c - b) - 2.0 * b * b * b - x + 1.0;
        let best = residual(0.5 * (c + root)).abs().min(residual(0.5 * (c - root)).abs());
        assert!(best < 1e-11, "{row:?} {best}");
    }
}

#[test]
fn actions_change_inputs_at_their_instant() {
    let case = case(
        "flat Filling
         var h : state fixed
           value @[0] = 0.0
         var q : input declared inputs
           value @[0] = 1.0
         var twice : unknown declared outputs
         eq : der(h) = q
         eq : twice = 2.0 * q
         action 1500000000 ns
           set q @[0] = 3.0
         action 2000000000 ns
           set q @[0] = h",
        "rk4",
        4.0,
    );
    let rows = case.rows();
    let at = |t: f64, step: f64| rows.iter().find(|r| r[0] == t && r[1] == step).unwrap().clone();
    for (step, twice) in [(0.0, 2.0), (1.0, 6.0)] {
        let row = at(1.5, step);
        assert!((row[2] - 1.5).abs() < 1e-12 && row[3] == twice, "{row:?}");
    }
    assert!((at(2.0, 1.0)[3] - 6.0).abs() < 1e-12);
    assert!((at(4.0, 0.0)[2] - 9.0).abs() < 1e-12);
    assert_eq!(rows.len(), 1003);
}

/// An action, a jump of a table and a crossing at one instant are one event: none waits for the next step.
#[test]
fn what_coincides_with_a_crossing_is_not_late() {
    for method in ["tsit5", "dopri5", "rosenbrock", "bdf", "rk4", "diffsol_bdf"] {
        let rows = case(
            "flat Coincidence
             table table0 \"s\" step hold of_time { (0.0, 0.0) (2.0, 1.0) }
             var u : input declared inputs
               value @[0] = 0.0
             var x : state fixed
               value @[0] = 0.0
             var y : state fixed
               value @[0] = 0.0
             var z : state fixed
               value @[0] = 0.0
             eq : der(x) = u
             eq : der(y) = table0(time)
             eq : der(z) = (if time >= 1.0 then 1.0 else 0.0) + (if time >= 2.0 then 1.0 else 0.0)
             action 1000000000 ns
               set u @[0] = 1.0",
            method,
            4.0,
        )
        .rows();
        for row in &rows {
            let (from_1, from_2) = ((row[0] - 1.0).max(0.0), (row[0] - 2.0).max(0.0));
            for (got, exact) in [(row[2], from_1), (row[3], from_2), (row[4], from_1 + from_2)] {
                assert!((got - exact).abs() < 1e-11, "{method} {row:?}");
            }
        }
        assert_eq!(rows.len(), 1001 + 2, "{method}: two instants have a row before and one after");
    }
}

#[test]
fn tables_of_time_are_followed_piece_by_piece() {
    for method in ["tsit5", "rosenbrock"] {
        let rows = case(
            "flat Driven
             table table0 \"s\" step hold of_time { (0.0, 1.0) (1.25, -1.0) (3.0, 2.0) }
             table table1 \"l\" linear hold of_time { (0.0, 0.0) (1.0, 1.0) (2.0, 0.0) }
             var x : state fixed
               value @[0] = 0.0
             var y : state fixed
               value @[0] = 0.0
             eq : der(x) = table0(time)
             eq : der(y) = table1(time)",
            method,
            4.0,
        )
        .rows();
        let x = |t: f64| t.min(1.25) - (t.clamp(1.25, 3.0) - 1.25) + 2.0 * (t.max(3.0) - 3.0);
        let y = |t: f64| if t < 1.0 { 0.5 * t * t } else { 1.0 - 0.5 * (2.0 - t.min(2.0)).powi(2) };
        for row in &rows {
            assert!((row[2] - x(row[0])).abs() < 1e-9, "{method} {row:?}");
            // Derivatives by differences limit the Rosenbrock method here.
            assert!((row[3] - y(row[0])).abs() < 1e-9, "{method} {row:?}");
        }
        assert_eq!(
            rows.len(),
            1004,
            "{method}: the two jumps have a row on either side, one of which is regular"
        );
    }
}

/// The top of the table is where its piece ends: what follows is on the next one at once.
#[test]
fn a_table_that_touches_an_edge_at_a_kink_goes_on_with_its_next_piece() {
    for method in ["tsit5", "rk4", "auto", "bdf"] {
        let rows = case(
            "flat Driven
             table table0 \"l\" linear hold of_time { (0.0, 0.5) (1.0, 1.0) (3.0, -1.0) (5.0, 1.0) }
             var x : state fixed
               value @[0] = 0.0
             eq : der(x) = floor(table0(time))",
            method,
            4.0,
        )
        .rows();
        let last = rows.last().map_or(f64::NAN, |row| row[2]);
        assert!((last + 2.0).abs() < 1e-9, "{method} {last}");
    }
}

#[test]
fn delays_look_back() {
    // y' = -y(t - 1), y = 1 before the start: 1 - t, then 1 - t + (t - 1)²/2, …
    let rows = case(
        "flat Delayed
         var y : state fixed
           value @[0] = 1.0
         eq : der(y) = -delay(y, 1.0)",
        "tsit5",
        3.0,
    )
    .tolerances(1e-9, 1e-9)
    .rows();
    for row in &rows {
        let t = row[0];
        let exact = 1.0 - t + (t - 1.0).max(0.0).powi(2) / 2.0 - (t - 2.0).max(0.0).powi(3) / 6.0;
        assert!((row[2] - exact).abs() < 1e-7, "{row:?} {exact}");
    }
}

#[test]
fn what_looks_back_goes_by_a_one_step_method() {
    // A jump in the past comes back in ever higher derivatives, and costs a multistep method its order each time.
    let choice = |equation: &str| {
        let case = case(
            &format!("flat Delayed\n var y : state fixed\n value @[0] = 1.0\n eq : der(y) = -{equation}"),
            "auto",
            3.0,
        );
        let ran = case.tolerances(1e-9, 1e-9).run();
        assert!(matches!(ran.report.ended, Ended::Complete), "{:?}", ran.report.ended);
        let last = ran.rows[0].last().map_or(f64::NAN, |row| row[2]);
        (ran.report.choice.method, last)
    };
    let (method, last) = choice("delay(y, 1.0)");
    assert_eq!(method, Method::Tsit5);
    assert!((last - (1.0 - 3.0 + 2.0 - 1.0 / 6.0)).abs() < 1e-9, "{last}");
    assert_eq!(choice("y").0, Method::Adams);
}

#[test]
fn parameters_and_start_values_follow_their_formulas() {
    let rows = case(
        "flat Start
         var k : parameter
           value @[0] = 2.0
         var double : parameter
           value @[0] = 2.0 * k
         var x : state fixed
           value @[0] = double + 1.0
         var y : state
           guess @[0] = 0.3
         initial : y * y = double
         eq : der(x) = 0.0
         eq : der(y) = 0.0",
        "euler",
        1.0,
    )
    .rows();
    assert_eq!(rows[1000][2], 5.0);
    assert!((rows[1000][3] - 2.0).abs() < 1e-12);
}

#[test]
fn failures_say_when_which_and_where() {
    let blow = case(
        "flat Blow
         var x : state fixed si \"m\"
           value @[0] = 1.0
         eq : der(x) = x * x",
        "tsit5",
        2.0,
    );
    let ran = blow.run();
    let Ended::Failed(failure) = &ran.report.ended else { panic!("{:?}", ran.report.ended) };
    assert!((failure.time - 1.0).abs() < 1e-3, "{failure}");
    assert_eq!(failure.values[0].0, "x");
    assert_eq!(failure.origins.len(), 1);
    assert!(ran.rows[0].len() >= 999 / 2, "what was recorded before stays: {}", ran.rows[0].len());
}

#[test]
fn a_loop_that_loses_its_solution_is_a_failure() {
    let none = case(
        "flat None
         var x : state fixed
           value @[0] = 2.0
         var y : state fixed
           value @[0] = 0.0
         var a : unknown
           guess @[0] = 1.0
         eq : der(x) = -1.0
         eq : der(y) = a
         eq : a * a + 0.0 * y + 1.0 = x",
        "dopri5",
        5.0,
    );
    let ran = none.run();
    let Ended::Failed(failure) = &ran.report.ended else { panic!() };
    assert!((failure.time - 1.0).abs() < 1e-6, "{failure}");
    assert!(matches!(failure.kind, FailureKind::Block { initial: false, .. }), "{failure}");
    assert_eq!(failure.values[0].0, "a");
    assert!(ran.rows[0].len() > 195);
}

#[test]
fn a_loop_without_a_solution_fails_at_the_start() {
    let never = case(
        "flat Never
         var x : state fixed
           value @[0] = 2.0
         var a : unknown
           guess @[0] = 1.0
         eq : der(x) = a
         eq : a * a + 1.0 = 0.0 * x",
        "dopri5",
        5.0,
    );
    let Ended::Failed(failure) = never.run().report.ended else { panic!() };
    assert!(matches!(failure.kind, FailureKind::Block { initial: true, .. }), "{failure}");
    assert_eq!(failure.values[0].0, "a");
    assert!(failure.residuals[0] >= 1.0);
}

#[test]
fn events_without_end_are_a_zeno_error() {
    let chatter = case(
        "flat Chatter
         var x : state fixed
           value @[0] = 0.5
         eq : der(x) = if x > 0.0 then -1.0 else 1.0",
        "tsit5",
        2.0,
    );
    let Ended::Failed(failure) = chatter.run().report.ended else { panic!() };
    assert!(matches!(failure.kind, FailureKind::Zeno { .. }), "{failure}");
    assert!((failure.time - 0.5).abs() < 1e-6, "{failure}");
}

#[test]
fn arrays_over_256_are_list_columns_and_units_are_shown() {
    let mut case = case(
        "flat Rod
         var T[300] : state fixed unit \"degC\" offset 273.15 si \"K\" quantity \"Temperature\"
           value for i0 in 0..300 @[i0] = 300.0
         var q[2] : unknown declared outputs unit \"kW\" scale 1000.0 si \"W\"
         eq for i0 in 0..300 : der(T[i0]) = 1.0
         eq for i0 in 0..2 : q[i0] = 5000.0 + #(i0)",
        "euler",
        1.0,
    );
    let every = |vars: Vec<u32>, ns| twinml_model::program::Record {
        vars: vars.into_iter().map(|v| (twinml_model::ids::VarId(v), Vec::new())).collect(),
        every_as: ns,
    };
    case.experiment.records =
        vec![every(vec![0], Some(250_000_000_000_000_000)), every(vec![1], Some(500_000_000_000_000_000))];
    let plans = twinml_engine::run::plans(&case.program, &case.experiment, false).unwrap();
    let specs = plans[0].columns().specs();
    assert_eq!(specs.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["time", "step", "T"]);
    assert_eq!(specs[2].list, Some(300));
    assert_eq!(specs[2].unit.as_deref(), Some("degC"));
    let names: Vec<_> = plans[1].columns().specs().iter().map(|s| s.name.clone()).collect();
    assert_eq!(names, ["time", "step", "q[0]", "q[1]"]);
    let ran = case.run();
    assert_eq!((ran.rows[0].len(), ran.rows[1].len()), (5, 3));
    assert_eq!(ran.rows[0][2][0], 0.5);
    assert!((ran.rows[0][4][301] - 301.0).abs() < 1e-9);
    assert_eq!(ran.rows[1][0][2..], [5000.0, 5001.0]);
}

#[test]
fn a_twin_without_states_runs_with_every_solver() {
    for method in ["tsit5", "bdf", "rosenbrock", "esdirk", "trbdf2", "diffsol_bdf", "adams", "auto", "rk4"] {
        let rows = case(
            "flat Signal
             var y : unknown declared outputs
             eq : y = if time > 2.0 then 1.0 else 3.0 * time",
            method,
            5.0,
        )
        .rows();
        assert_eq!(rows[400][2], 6.0, "{method}");
        assert_eq!(rows.last().unwrap()[2], 1.0, "{method}");
    }
}

/// With its derivatives, as models are run.
fn whole(text: &str, method: &str, duration: f64) -> Case {
    let Case { program, experiment } = case(text, method, duration);
    let mut program = (*program).clone();
    passes::prepare(&mut program, Level::O2, true);
    Case { program: Arc::new(program), experiment }
}

/// `x' = -1000·(x - cos(y(t - 0.5)))`, `y' = x - y/2`: what is looked back at moves on within a step, and a method that is told of
/// derivatives only has to be told of that. Reference: the method of steps, SciPy's DOP853 at 1e-11.
#[test]
fn a_stiff_equation_follows_what_it_looks_back_at() {
    const LAG: [f64; 2] = [0.5073069047752488, 1.0344563369406776];
    const TEXT: &str = "flat Lag
         var x : state fixed
           value @[0] = 1.0
         var y : state fixed
           value @[0] = 0.0
         eq : der(x) = -1000.0 * (x - cos(delay(y, 0.5)))
         eq : der(y) = x - 0.5 * y";
    for (method, digits, at_most) in [("rosenbrock", 8, 400), ("auto", 8, 600), ("rosenbrock", 10, 800)] {
        let rtol = 10f64.powi(-digits);
        let ran = whole(TEXT, method, 3.0).tolerances(rtol, 1e-2 * rtol).run();
        let end = ran.rows[0].last().unwrap();
        let error = f64::max((end[2] / LAG[0] - 1.0).abs(), (end[3] / LAG[1] - 1.0).abs());
        assert!(error < 10.0 * rtol, "{method} at {rtol:e}: {error:e}");
        let steps = ran.report.stats.steps;
        assert!(steps < at_most, "{method} at {rtol:e}: {steps} steps");
    }
}

/// A mass on a spring that is at rest for 800 s, and then shaken: how few steps the rest took says nothing of what comes. Reference:
/// SciPy's DOP853 at 3e-14, in two parts.
#[test]
fn a_quiet_time_does_not_hide_what_comes_after_it() {
    const SHAKEN: [f64; 2] = [0.30221587849561204, 0.3452626045403142];
    let ran = whole(
        "flat Shaken
         var x : state fixed
           value @[0] = 0.0
         var v : state fixed
           value @[0] = 0.0
         eq : der(x) = v
         eq : der(v) = (if time > 800.0 then sin(2.0 * (time - 800.0)) else 0.0) - x - 0.05 * v - x * x * x",
        "auto",
        1000.0,
    )
    .tolerances(1e-8, 1e-10)
    .run();
    let end = ran.rows[0].last().unwrap();
    let error = f64::max((end[2] / SHAKEN[0] - 1.0).abs(), (end[3] / SHAKEN[1] - 1.0).abs());
    assert!(error < 1e-8, "{error:e}");
    assert_eq!(ran.report.choice.method, Method::Taylor);
    assert!(ran.report.stats.steps < 2000, "{} steps", ran.report.stats.steps);
}

/// Three oscillators of van der Pol, one mild and two stiff, each a part of the others: now and then all of them jump, and explicit
/// steps are the better ones for a moment. A stiff method that had won before is back soon. Reference: SciPy's Radau at 1e-12.
#[test]
fn a_stiff_method_that_was_worth_it_comes_back_soon() {
    // x0, v0, x1, …
    const THREE: [f64; 6] = [
        1.465391725851573,
        -0.7539338956273465,
        -1.732110124099042,
        0.047418791901295776,
        1.9369432336740529,
        -0.0016079839166104623,
    ];
    let mut text = String::from("flat Three\n");
    for (k, (x, mu)) in [(2.0, 1.0), (1.0, 20.0), (-1.5, 400.0)].into_iter().enumerate() {
        let pace = 1.0 + 2.0 * k as f64;
        text += &format!(
            "var x{k} : state fixed\nvalue @[0] = {x:?}\nvar v{k} : state fixed\nvalue @[0] = 0.0\n"
        );
        text += &format!("eq : der(x{k}) = v{k} * {pace:?}\n");
        text += &format!(
            "eq : der(v{k}) = {pace:?} * ({mu:?} * (1.0 - x{k} * x{k}) * v{k} - x{k} + 0.1 * (x0 + x1 + x2))\n"
        );
    }
    let ran = whole(&text, "auto", 30.0).tolerances(1e-8, 1e-10).run();
    let end = ran.rows[0].last().unwrap();
    let apart = |(have, want): (&f64, &f64)| (have / want - 1.0).abs();
    let error = end[2..8].iter().zip(&THREE).map(apart).fold(0.0, f64::max);
    assert!(error < 1e-6, "{error:e}");
    // 17 changes where a stiff method that was worth its while counted as one that had lost
    assert_eq!((ran.report.stats.steps, ran.report.choice.switches), (3132, 12));
}
