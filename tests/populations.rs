//! Populations: twins that come and go within a capacity. What begins with a twin begins anew with the next one in its
//! place, what waited in it is gone; reductions and loops go over those that are there; what does not run is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::process::Command;

/// Success, what was said, and the result as rows of texts under a head.
fn run(text: &str) -> (bool, String, Vec<Vec<String>>) {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("model.twinml"), dir.path().join("out.csv"));
    fs::write(&file, text).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_twinc"))
        .args(["run", "--no-plot", "--color", "never", "--out"])
        .args([&out, &file])
        .output()
        .unwrap();
    let table = fs::read_to_string(out).unwrap_or_default();
    let rows = table.lines().map(|l| l.split(',').map(str::to_owned).collect()).collect();
    let said = String::from_utf8_lossy(&ran.stderr) + String::from_utf8_lossy(&ran.stdout);
    (ran.status.success(), said.into_owned(), rows)
}

/// The value of a column after all events of an instant.
fn at(rows: &[Vec<String>], time: f64, column: &str) -> f64 {
    let k = rows[0].iter().position(|n| n == column).unwrap_or_else(|| panic!("no column `{column}`"));
    let row = rows[1..].iter().rev().find(|r| r[0].parse::<f64>().unwrap() <= time).unwrap();
    row[k].parse().unwrap_or_else(|_| f64::from(u8::from(row[k] == "true")))
}

const YARD: &str = "
twin Truck {
  states { load: Int = 1; trips: Int = 0 }
  memory { notes: List<Int> }
  behavior {
    on start {
      notes.push(0)
      while true {
        wait 2 s
        trips = trips + 1
        if trips >= load { emit gone(n: load); retire self }
      }
    }
    every 1 s { notes.push(1) }
    machine m { initial a; state a { after 1 s -> b } state b { } }
  }
  outputs { len: Int = notes.len() }
}
twin Yard {
  twins { trucks: Truck[1..4] }
  states { made: Int = 0; gone: Int = 0; seen: Int = 0 }
  outputs {
    n: Int = count(trucks)
    loads: Int = sum(trucks.load)
    mean_load: Real = mean(trucks.load)
    most: Int = max(t.trips for t in trucks)
    moved: Int = count(t.m.b for t in trucks)
    heavy: Bool = any(trucks.load > 4)
  }
  behavior {
    on trucks.gone(n: Int) { gone = gone + n }
    every 3 s offset 1 s {
      made = made + 1
      create Truck { load = made } in trucks
      seen = 0
      for t in trucks { seen = seen + t.load }
    }
    at 20 s { for t in trucks if t.load == 5 { retire t } }
  }
}
scenario go for Yard { duration: 21 s; record all every 1 s }
";

#[test]
fn twins_come_and_go() {
    let (ok, stderr, rows) = run(YARD);
    assert!(ok, "{stderr}");
    let check = |time: f64, wanted: &[(&str, f64)]| {
        for (column, value) in wanted {
            assert_eq!(at(&rows, time, column), *value, "{column} at {time} s");
        }
    };
    // One at the start, of load 1, gone at 2 s. The one made at 1 s has load 1 too, at 4 s load 2, at 7 s load 3 …,
    // and each makes as many trips of 2 s as its load.
    check(0.0, &[("n", 1.0), ("loads", 1.0), ("trucks[0].present", 1.0), ("trucks[1].present", 0.0)]);
    check(1.0, &[("n", 2.0), ("seen", 2.0), ("trucks[1].present", 1.0), ("trucks[1].len", 1.0)]);
    check(2.0, &[("n", 1.0), ("gone", 1.0), ("trucks[0].present", 0.0)]);
    check(3.0, &[("n", 0.0), ("gone", 2.0), ("mean_load", 0.0), ("heavy", 0.0)]);
    // The place of the first one is taken again: its memory, its machine and its count of trips begin anew.
    check(
        4.0,
        &[("n", 1.0), ("loads", 2.0), ("trucks[0].len", 1.0), ("trucks[0].trips", 0.0), ("moved", 0.0)],
    );
    check(5.0, &[("moved", 1.0), ("trucks[0].len", 2.0)]);
    check(6.0, &[("most", 1.0)]);
    check(7.0, &[("n", 2.0), ("loads", 5.0), ("mean_load", 2.5), ("seen", 5.0)]);
    // Made 10 s (4) and 13 s (5); of those before, 3 went at 13 s, 4 stays up to 18 s.
    check(13.0, &[("n", 2.0), ("loads", 9.0), ("heavy", 1.0), ("gone", 7.0)]);
    check(19.0, &[("n", 3.0), ("loads", 18.0), ("seen", 18.0)]);
    // The one of load 5 was sent away, and emits nothing.
    check(21.0, &[("n", 2.0), ("loads", 13.0), ("gone", 11.0)]);
    // What nobody has the most of is infinite, and no whole number.
    let most = rows[0].iter().position(|n| n == "most").unwrap();
    let field = |time: &str| rows.iter().rev().find(|r| r[0] == time).unwrap()[most].clone();
    assert_eq!((field("3"), field("6")), (String::new(), "1".to_owned()));
}

#[test]
fn nothing_of_a_twin_outlives_it() {
    let (ok, stderr, rows) = run("
        twin Lamp {
          inputs { key: Bool = false }
          states { rang: Int = 0; late: Int = 0; served: Int = 0; rose: Int = 0; bright: Bool = true }
          outputs { on_now: Bool = bright }
          behavior {
            on start { after 5 s { late = late + 1 } }
            on call queued { wait 4 s; served = served + 1 }
            machine m { initial idle; state idle { after 3 s -> done { rang = rang + 1 } } state done { } }
            on rising(on_now) { rose = rose + 1 }
          }
        }
        twin Room {
          twins { lamps: Lamp[0..2] }
          behavior {
            at 1 s { create Lamp { } in lamps; emit ring }
            at 3 s { retire lamps[0] }
            at 4 s { create Lamp { served = 7 } in lamps }
          }
          connections { ring -> lamps.call }
        }
        scenario go for Room { duration: 20 s; record all every 1 s }
    ");
    assert!(ok, "{stderr}");
    // Gone at 3 s: the call of 1 s is never served, the timer of the first life (due at 6 s) does not ring in the second.
    assert_eq!(at(&rows, 8.9, "lamps[0].late"), 0.0);
    assert_eq!(at(&rows, 20.0, "lamps[0].late"), 1.0);
    assert_eq!(at(&rows, 20.0, "lamps[0].served"), 7.0);
    assert_eq!(at(&rows, 6.9, "lamps[0].rang"), 0.0);
    assert_eq!(at(&rows, 20.0, "lamps[0].rang"), 1.0);
    // What is true at the start of a twin never rises.
    assert_eq!(at(&rows, 20.0, "lamps[0].rose"), 0.0);
    assert_eq!(at(&rows, 20.0, "lamps[1].present"), 0.0);
}

#[test]
fn populations_of_several_twins_with_parts_of_their_own() {
    let (ok, stderr, rows) = run("
        twin Engine { states { hours: Int = 0 } behavior { every 1 s { hours = hours + 1 } } }
        twin Truck {
          inputs { go: Bool = false }
          states { load: Int = 1; at_home: Real[1][2] = [1, 2] }
          twins { e: Engine }
          outputs { total: Int = load + e.hours }
          behavior { on start { wait 5 s; emit gone; retire self } }
        }
        twin Yard {
          parameters { id: Int = 0 }
          twins { trucks: Truck[0..3] }
          states { gone: Int = 0; places: Int = 0 }
          outputs { n: Int = count(trucks); heard: Int = count(trucks.gone); hours: Int = sum(t.e.hours for t in trucks) }
          constraints { few: always(count(trucks) <= 3); kpi average: mean(count(trucks) over run) }
          behavior {
            on trucks.gone { gone = gone + 1 }
            every 2 s { more(id + 1) }
            private func more(k: Int) {
              if count(trucks) < 3 { create Truck { load = 10*k; at_home = [3, k]; e.hours = 100 } in trucks }
            }
            every 3 s { places = 0; for i, t in trucks if t.load > 0 { places = places + i + 1; t.go = true } }
          }
        }
        twin All { twins { y: Yard[2] { id = i for i } } }
        scenario go for All { duration: 12 s; record all every 1 s; expect y.few }
    ");
    assert!(ok, "{stderr}");
    // Made at 0, 2, 4 …, gone 5 s later: 1, 1, 2, 2, 3, 2, 3, 2, …
    for (time, n) in [(1.0, 1.0), (2.0, 2.0), (4.0, 3.0), (5.0, 2.0), (6.0, 3.0), (7.0, 2.0), (12.0, 3.0)] {
        assert_eq!(at(&rows, time, "y[0].n"), n, "{time} s");
        assert_eq!(at(&rows, time, "y[1].n"), n, "{time} s");
    }
    for y in ["y[0]", "y[1]"] {
        assert_eq!(at(&rows, 12.0, &format!("{y}.gone")), 4.0);
        assert_eq!(at(&rows, 12.0, &format!("{y}.heard")), 4.0);
        // Made at 8, 10 and 12 s, whose engines ran since: the tick at which a truck comes is before it.
        assert_eq!(at(&rows, 12.0, &format!("{y}.hours")), 104.0 + 102.0 + 100.0);
    }
    assert_eq!(at(&rows, 12.0, "y[0].trucks[1].total"), 10.0 + 104.0);
    assert_eq!(at(&rows, 12.0, "y[1].trucks[1].total"), 20.0 + 104.0);
    assert_eq!(at(&rows, 12.0, "y[1].trucks[2].at_home[1]"), 2.0);
    // At 9 s those in the places 0 and 1 are there: 1 + 2.
    assert_eq!(at(&rows, 9.0, "y[0].places"), 3.0);
    // 1 and 2 for two seconds each, then 3 and 2 in turn for eight.
    assert!(stderr.contains("2.16666"), "{stderr}");
}

/// A twin that retires itself on the way from one state to another does not arrive.
#[test]
fn a_retired_twin_does_nothing_more() {
    let (ok, stderr, rows) = run("
        twin Fly {
          states { a: Int = 0 }
          behavior {
            on poke { a = a + 1; retire self; a = a + 10; emit ghost }
            on poke { emit ghost }
            machine m {
              initial up
              state up { on swat -> down { retire self } }
              state down { entry { emit ghost } after 1 s -> up }
            }
          }
        }
        twin Room {
          twins { flies: Fly[2..4] }
          states { ghosts: Int = 0 }
          behavior {
            on flies.ghost { ghosts = ghosts + 1 }
            at 1 s { emit swat_one }
            at 2 s { emit poke_one }
            at 3 s { create Fly { } in flies }
          }
          connections { swat_one -> flies[0].swat; poke_one -> flies[1].poke }
          outputs { n: Int = count(flies) }
        }
        scenario go for Room { duration: 6 s; record all every 1 s }
    ");
    assert!(ok, "{stderr}");
    for (time, n) in [(0.0, 2.0), (1.0, 1.0), (2.0, 0.0), (3.0, 1.0), (6.0, 1.0)] {
        assert_eq!(at(&rows, time, "n"), n, "{time} s");
    }
    // Up to its first wait a handler runs on; what it emitted is heard.
    assert_eq!(at(&rows, 2.0, "flies[1].a"), 11.0);
    assert_eq!(at(&rows, 6.0, "ghosts"), 1.0);
}

/// Trucks that drive 20 m at 10 m/s, then at 5 m/s, to a goal at 54.9 m: 8.98 s each, one every 3 s into five places.
const ROAD: &str = "
twin Engine {
  states { heat: Real = 0; wear: Real[1][2] = 1 }
  equations {
    der(heat) = 1 Hz - heat*0.1 Hz
    for i in 0..2 { der(wear[i]) = -wear[i]*0.2 Hz }
  }
}
twin Truck {
  parameters { v: Velocity = 10 m/s }
  states { x: Length = 0 m; goal: Length = 100 m; slow: Real = 1 }
  twins { engine: Engine }
  equations { der(x) = v*slow }
  behavior {
    on rising(x > 20 m) { slow = 0.5 }
    on rising(x > goal) { emit arrived; retire self }
  }
}
twin Road {
  twins { trucks: Truck[0..5] }
  states { arrived: Int = 0; last: Duration = 0 s }
  outputs {
    n: Int = count(trucks)
    total: Length = sum(trucks.x)
    hot: Real = max(t.engine.heat for t in trucks)
    worn: Real = sum(t.engine.wear[1] for t in trucks)
  }
  behavior {
    every 3 s { create Truck { goal = 54.9 m } in trucks }
    on trucks.arrived { arrived = arrived + 1; last = time }
  }
}
";

/// Continuous states begin with a twin, stand still in free places, and are where the equations bring them, whatever the
/// solver; what is reduced over the population sees those that are there.
#[test]
fn twins_with_continuous_states_come_and_go() {
    for solver in ["tsit5", "dopri5", "adams", "rosenbrock", "bdf", "auto"] {
        let scenario = format!(
            "scenario day for Road {{ duration: 20 s; solver: {solver}(rtol: 1e-10, atol: 1e-12); record all every 0.5 s }}"
        );
        let (ok, stderr, rows) = run(&format!("{ROAD}{scenario}"));
        assert!(ok, "{solver}: {stderr}");
        for tick in 1..=39 {
            let t = 0.5 * f64::from(tick);
            let mut want = [0.0; 5];
            let mut hot = f64::NEG_INFINITY;
            for born in (0..=6).map(|k| 3.0 * f64::from(k)).filter(|b| *b <= t && t < b + 8.98) {
                let age = t - born;
                want[0] += 1.0;
                want[1] += if age < 2.0 { 10.0 * age } else { 20.0 + 5.0 * (age - 2.0) };
                want[2] += (-0.2 * age).exp();
                hot = hot.max(10.0 * (1.0 - (-0.1 * age).exp()));
            }
            want[3] = hot;
            want[4] = ((t - 8.98) / 3.0).floor().max(-1.0) + 1.0;
            for (name, want) in ["n", "total", "worn", "hot", "arrived"].iter().zip(want) {
                let have = at(&rows, t, name);
                assert!((have - want).abs() < 1e-7, "{solver}: {name} at {t}: {have}, not {want}");
            }
        }
        assert!((at(&rows, 19.9, "last") - 17.98).abs() < 1e-8, "{solver}");
        // Three places are enough: who comes takes the first that is free.
        for (t, place, x) in [(8.5, 0, 52.5), (9.5, 0, 5.0), (11.5, 1, 52.5), (12.5, 1, 5.0), (18.5, 3, 0.0)]
        {
            let have = at(&rows, t, &format!("trucks[{place}].x"));
            assert!((have - x).abs() < 1e-7, "{solver}: truck {place} at {t}: {have}");
        }
    }
}

/// A state of a twin that left stands still even where its equations have no value any more.
#[test]
fn who_left_asks_nothing_of_the_equations() {
    let (ok, stderr, rows) = run("
        twin Drop {
          states { m: Real = 1 }
          equations { der(m) = -1 Hz/sqrt(m - 0.5) }
          behavior { on rising(m < 0.52) { m = 0.25; retire self } }
        }
        twin Cloud {
          twins { drops: Drop[0..2] }
          outputs { n: Int = count(drops) }
          behavior { every 1 s { create Drop { } in drops } }
        }
        scenario rain for Cloud { duration: 3.5 s; solver: dopri5(rtol: 1e-8); record all every 0.5 s }
    ");
    assert!(ok, "{stderr}");
    assert_eq!(at(&rows, 0.9, "n"), 0.0);
    assert_eq!(at(&rows, 0.9, "drops[0].m"), 0.25);
    assert_eq!(at(&rows, 3.1, "n"), 1.0);
}

/// What loops over a population do, loops over an array of twins do too.
#[test]
fn loops_over_an_array_of_twins() {
    let (ok, stderr, rows) = run("
        twin Pump {
          inputs { on: Bool = false }
          states { n: Int = 1 }
          outputs { flow: Real = if on then 2*n else 0 }
        }
        twin Plant {
          twins { pumps: Pump[3] }
          states { total: Real = 0; best: Int = 0 }
          outputs { sum_on: Real = sum(p.flow for p in pumps if p.on) }
          behavior {
            every 1 s {
              total = 0
              for i, p in pumps { p.on = i > 0; total = total + p.flow; if p.flow > 1 { best = i } }
            }
          }
        }
        scenario go for Plant { duration: 3 s; record all every 1 s }
    ");
    assert!(ok, "{stderr}");
    assert_eq!(at(&rows, 3.0, "sum_on"), 4.0);
    assert_eq!(at(&rows, 3.0, "total"), 4.0);
    assert_eq!(at(&rows, 3.0, "best"), 2.0);
}

#[test]
fn a_full_population_is_an_error_that_names_it() {
    let (ok, stderr, _) = run("
        twin Bee { states { x: Int = 0 } }
        twin Hive { twins { bees: Bee[0..3] } behavior { every 1 s { create Bee { } in bees } } }
        scenario go for Hive { duration: 10 s }
    ");
    assert!(!ok);
    assert!(stderr.contains("full: it may have 3") && stderr.contains("create Bee"), "{stderr}");
}

#[test]
fn forms_that_do_not_run_are_refused_with_their_place() {
    let hive = |bee: &str, hive: &str| {
        format!("twin Bee {{ {bee} }}\ntwin Hive {{ {hive} }}\nscenario go for Hive {{ duration: 3 s }}\n")
    };
    let plain = "states { x: Int = 0 }";
    let create =
        |what: &str| format!("twins {{ bees: Bee[0..3]; one: Bee }} behavior {{ every 1 s {{ {what} }} }}");
    for (text, code, says) in [
        (
            hive("parameters { k: Int = 1 } states { x: Int = k }", &create("create Bee { k = 2 } in bees")),
            "E0754",
            "sets a parameter",
        ),
        (hive(plain, &create("create Bee { } in one")), "E0313", "no population"),
        (hive(plain, &create("create Hive { } in bees")), "E0313", "of `Bee`, not of `Hive`"),
        (hive(plain, &create("create Bee { }")), "", "which population"),
        (hive(plain, &create("retire one")), "E0313", "no twin of a population"),
        (hive(plain, &create("retire self")), "E0754", "cannot retire"),
        (hive("states { present: Bool = true }", &create("create Bee { } in bees")), "E0754", "`present`"),
        (
            hive(
                "states { x: Int = 0 } constraints { ok: always(x < 3) }",
                &create("create Bee { } in bees"),
            ),
            "E0754",
            "requirement",
        ),
        (
            format!(
                "twin Leg {{ states {{ x: Int = 0 }} }}\n{}",
                hive("twins { legs: Leg[0..6] }", &create("create Bee { } in bees"))
            ),
            "E0754",
            "within a population",
        ),
    ] {
        let (ok, stderr, _) = run(&text);
        assert!(!ok, "{text}");
        assert!(stderr.contains(says) && stderr.contains(code), "{text}\n{stderr}");
        assert!(stderr.contains("elp"), "{stderr}");
    }
}
