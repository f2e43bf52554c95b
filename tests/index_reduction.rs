//! Systems of higher index, end to end: constraints among states are differentiated, the start is made consistent, and
//! the states stay on their manifold. Answers are closed forms or integrations in minimal coordinates.
#![allow(clippy::unwrap_used, reason = "tests")]

mod place;
use place::Place;

impl Place {
    /// Runs into a table.
    #[track_caller]
    fn table(&self, args: &[&str]) -> Table {
        self.expect(0, &[&["run", "m.twinml", "--out", "r.csv", "--si"], args].concat());
        Table::read(&self.text("r.csv"))
    }
}

struct Table {
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl Table {
    fn read(text: &str) -> Table {
        let mut lines = text.lines();
        let names = lines.next().unwrap().split(',').map(str::to_owned).collect();
        let rows = lines.map(|l| l.split(',').map(|x| x.parse().unwrap_or(f64::NAN)).collect()).collect();
        Table { names, rows }
    }

    fn column(&self, name: &str) -> Vec<f64> {
        let k =
            self.names.iter().position(|n| n == name).unwrap_or_else(|| panic!("{name}: {:?}", self.names));
        self.rows.iter().map(|r| r[k]).collect()
    }

    fn last(&self, name: &str) -> f64 {
        *self.column(name).last().unwrap()
    }
}

const PENDULUM: &str = "
twin Pendulum {
  parameters { L: Length = 1 m; m: Mass = 0.5 kg; g: Acceleration = 9.81 m/s^2; theta0: Angle = 30 deg }
  states { x: Length = L*sin(theta0); y: Length guess -L*cos(theta0); vx: Velocity = 0 m/s; vy: Velocity = 0 m/s }
  variables { T: Real[N/m] }
  outputs { theta: Angle = atan2(x, -y); off: Length = sqrt(x^2 + y^2) - L; rod: Force = T*L }
  equations {
    der(x) = vx
    der(y) = vy
    m*der(vx) = -T*x
    m*der(vy) = -T*y - m*g
    x^2 + y^2 = L^2
  }
}
scenario swing for Pendulum { duration: 20 s; record theta, off, rod every 10 ms }
scenario looping for Pendulum {
  duration: 5 s
  start { x = 0 m; y = -1 m; vx = 8 m/s; vy = 0 m/s }
  record x, y, off, rod every 10 ms
}
";

/// `theta'' = -g/L sin(theta)` by the classical Runge-Kutta method with 200,000 steps a unit of time.
fn angle(theta: f64, rate: f64, end: f64) -> f64 {
    let f = |s: [f64; 2]| [s[1], -9.81 * s[0].sin()];
    let n = (end * 2e4) as u32;
    let h = end / f64::from(n);
    let at = |s: [f64; 2], k: [f64; 2], h: f64| [s[0] + h * k[0], s[1] + h * k[1]];
    let mut s = [theta, rate];
    for _ in 0..n {
        let a = f(s);
        let b = f(at(s, a, h / 2.0));
        let c = f(at(s, b, h / 2.0));
        let d = f(at(s, c, h));
        for i in 0..2 {
            s[i] += h / 6.0 * (a[i] + 2.0 * b[i] + 2.0 * c[i] + d[i]);
        }
    }
    s[0]
}

#[test]
fn the_pendulum_swings_as_in_its_angle_with_every_solver() {
    let place = Place::model(PENDULUM);
    let exact = angle(30f64.to_radians(), 0.0, 20.0);
    for (solver, near) in [
        ("auto", 1e-7),
        ("tsit5", 1e-7),
        ("dopri5", 1e-7),
        ("adams", 1e-7),
        ("rosenbrock", 1e-6),
        ("bdf", 3e-6),
        ("esdirk", 1e-5),
    ] {
        let t = place.table(&["--solver", solver, "--rtol", "1e-8", "--atol", "1e-10"]);
        assert!((t.last("theta") - exact).abs() < near, "{solver}: {} {exact}", t.last("theta"));
        // The rod does not grow, however long the run: between steps it is as long as the tolerance says.
        let off = t.column("off").iter().fold(0.0, |a: f64, x| a.max(x.abs()));
        assert!(off < 3e-8, "{solver}: {off}");
    }
    let t = place.table(&["--solver", "rk4"]);
    assert!((t.last("theta") - exact).abs() < 1e-5, "rk4: {}", t.last("theta"));
}

#[test]
fn it_goes_over_the_top_where_either_coordinate_alone_would_be_the_wrong_state() {
    let place = Place::model(PENDULUM);
    for solver in ["auto", "bdf", "rosenbrock", "adams"] {
        let t =
            place.table(&["--scenario", "looping", "--solver", solver, "--rtol", "1e-8", "--atol", "1e-10"]);
        let theta = angle(0.0, 8.0, 5.0);
        assert!((t.last("x") - theta.sin()).abs() < 2e-5, "{solver}: {} {}", t.last("x"), theta.sin());
        assert!(t.column("y").iter().any(|y| *y > 0.999), "{solver}: over the top");
        // m (v^2 + g y)/L with v^2 = 64 - 2 g (y + 1): 7.27 N at the top.
        let least = t.column("rod").into_iter().fold(f64::INFINITY, f64::min);
        assert!((least - 0.5 * (64.0 - 4.0 * 9.81 - 9.81)).abs() < 1e-2, "{solver}: {least}");
    }
}

#[test]
fn circuits_shafts_and_prescribed_motions_match_closed_forms() {
    let place = Place::model(
        "
twin Caps {
  parameters { C1: Capacitance = 1 mF; C2: Capacitance = 2 mF; R: Resistance = 100 ohm; U: Voltage = 10 V }
  states { v1: Voltage = 0 V; v2: Voltage guess 1 V }
  variables { i1: Current; i2: Current; i: Current }
  equations { i1 = C1*der(v1); i2 = C2*der(v2); i = i1 + i2; U - v1 = R*i; v1 = v2 }
}
scenario caps for Caps { duration: 1 s; record v1, v2, i every 0.1 s }
twin Shafts {
  parameters { J1: Real[kg*m^2] = 1; J2: Real[kg*m^2] = 2; r: Real = 3; load: Torque = 5 N*m }
  states { p1: Angle = 0 rad; w1: AngularVelocity = 1 rad/s; p2: Angle guess 0 rad; w2: AngularVelocity guess 0 rad/s }
  variables { t1: Torque; t2: Torque }
  equations {
    der(p1) = w1; der(p2) = w2
    J1*der(w1) = load + t1
    J2*der(w2) = t2
    p1 = r*p2
    r*t1 + t2 = 0 N*m
  }
}
scenario shafts for Shafts { duration: 2 s; record p1, w1, p2, w2 every 0.5 s }
twin Inverse {
  parameters { m: Mass = 2 kg; w: AngularVelocity = 3 rad/s; A: Length = 0.5 m }
  states { x: Length guess 0 m; v: Velocity guess 0 m/s }
  variables { F: Force }
  equations { der(x) = v; m*der(v) = F; x = A*sin(w*time) }
}
scenario inverse for Inverse { duration: 2 s; record x, v, F every 0.25 s }
",
    );
    let t = place.table(&["--scenario", "caps", "--rtol", "1e-9", "--atol", "1e-9"]);
    for (k, (v1, v2)) in t.column("v1").iter().zip(t.column("v2")).enumerate() {
        let exact = 10.0 * (1.0 - (-(k as f64) * 0.1 / 0.3).exp());
        assert!((v1 - exact).abs() < 1e-7 && (v1 - v2).abs() < 1e-12, "{k}: {v1} {v2} {exact}");
    }
    let t = place.table(&["--scenario", "shafts"]);
    let rate = 1.0 + 2.0 * 5.0 / (1.0 + 2.0 / 9.0);
    assert!((t.last("w1") - rate).abs() < 1e-9 && (t.last("w2") - rate / 3.0).abs() < 1e-9);
    assert!((t.column("w2")[0] - 1.0 / 3.0).abs() < 1e-12, "the start of what is not given follows");
    let t = place.table(&["--scenario", "inverse"]);
    assert!((t.column("v")[0] - 1.5).abs() < 1e-12);
    assert!((t.last("F") + 2.0 * 0.5 * 9.0 * 6f64.sin()).abs() < 1e-9, "{}", t.last("F"));
}

#[test]
fn a_crank_passes_its_dead_centres_and_keeps_its_energy() {
    let place = Place::model(
        "
twin Crank {
  parameters { r: Length = 0.1 m; len: Length = 0.3 m; J: Real[kg*m^2] = 0.01; mass: Mass = 1 kg; load: Torque = 1 N*m }
  states { phi: Angle = 0.3 rad; w: AngularVelocity = 2 rad/s; pos: Length guess 0.4 m; vel: Velocity guess 0 m/s; psi: Angle guess 0 rad }
  variables { Fx: Force; Fy: Force; wp: AngularVelocity }
  outputs { e: Energy = 0.5*J*w^2 + 0.5*mass*vel^2 - load*phi }
  equations {
    der(phi) = w
    der(pos) = vel
    der(psi) = wp
    r*cos(phi) + len*cos(psi) = pos
    r*sin(phi) = len*sin(psi)
    J*der(w) = load + Fx*r*sin(phi) - Fy*r*cos(phi)
    mass*der(vel) = Fx
    Fx*sin(psi) + Fy*cos(psi) = 0 N
  }
}
scenario turns for Crank { duration: 3 s; record phi, pos, psi, e every 0.1 s }
",
    );
    for solver in ["dopri5", "auto", "adams"] {
        let t = place.table(&["--solver", solver, "--rtol", "1e-9", "--atol", "1e-9"]);
        assert!(t.last("phi") > 300.0, "{solver}: many turns");
        let e = t.column("e");
        let drift = e.iter().fold(0.0, |a: f64, x| a.max((x - e[0]).abs()));
        assert!(drift < 5e-5, "{solver}: {drift} J of {} J", t.last("phi"));
        for ((phi, pos), psi) in t.column("phi").iter().zip(t.column("pos")).zip(t.column("psi")) {
            assert!((0.1 * phi.cos() + 0.3 * psi.cos() - pos).abs() < 1e-7, "{solver}");
            assert!((0.1 * phi.sin() - 0.3 * psi.sin()).abs() < 1e-7, "{solver}");
        }
    }
}

#[test]
fn an_array_of_pendulums_is_as_many_pendulums() {
    let place = Place::model(&format!(
        "{PENDULUM}\nsystem twin Row {{ twins {{ p: Pendulum[3] {{ theta0 = (0.4 + 0.3*i)*1 rad for i }} }} }}\n\
         scenario row for Row {{ duration: 3 s; record p.theta every 1 s }}\n"
    ));
    let t = place.table(&["--scenario", "row", "--rtol", "1e-9", "--atol", "1e-11"]);
    for k in 0..3 {
        let exact = angle(0.4 + 0.3 * f64::from(k), 0.0, 3.0);
        let theta = t.last(&format!("p[{k}].theta"));
        assert!((theta - exact).abs() < 1e-7, "{k}: {theta} {exact}");
    }
}

#[test]
fn what_follows_from_what_is_told() {
    let place = Place::model(PENDULUM);
    let said = place.run(&["check", "m.twinml", "--explain"]).said();
    assert!(
        said.contains(
            "2 of 4 states follow from the others (2 free); their constraints are kept by projection"
        ),
        "{said}"
    );
    assert!(said.contains("differentiated 2 times   m.twinml:12:5: x^2 + y^2 = L^2"), "{said}");
}

#[test]
fn contradictions_and_what_cannot_be_differentiated_are_errors_at_their_lines() {
    let place = Place::model(&PENDULUM.replace("y: Length guess -L*cos(theta0)", "y: Length = -0.7 m"));
    let said = place.run(&["run", "m.twinml", "--out", "r.csv"]).expect(3).said();
    assert!(said.contains("[E0809]") && said.contains("m.twinml:12:5"), "{said}");
    // Nothing could hold these states together.
    let place = Place::model(
        &PENDULUM
            .replace("T: Real[N/m]", "")
            .replace("-T*x", "0 N")
            .replace("-T*y", "0 N")
            .replace("; rod: Force = T*L", "")
            .replace(", rod", ""),
    );
    let said = place.run(&["check", "m.twinml"]).expect(2).said();
    assert!(said.contains("[E0603]"), "{said}");
    // A second one is the same mistake, and so is one whose states are determined twice for another reason.
    let place = Place::model(&PENDULUM.replace("x^2 + y^2 = L^2", "x^2 + y^2 = L^2; x^2 + y^2 = 2*L^2"));
    let said = place.run(&["check", "m.twinml"]).expect(2).said();
    assert!(said.matches("Error:").count() == 1 && said.contains("[E0603]"), "{said}");
    let place = Place::model(&PENDULUM.replace("x^2 + y^2 = L^2", "der(x) = 2*vx; x^2 + y^2 = L^2"));
    let said = place.run(&["check", "m.twinml"]).expect(2).said();
    assert!(said.matches("Error:").count() == 1 && said.contains("[E0601]"), "{said}");
    let place = Place::model(
        "twin Cam { parameters { lift: Table = table(\"lift.csv\", x: \"t\" in s, y: \"h\" in m) }\n\
         states { h: Length guess 0 m; v: Velocity guess 0 m/s } variables { F: Force }\n\
         equations { der(h) = v; 2 kg*der(v) = F\n h = lift(time) } }\n",
    );
    place.write("lift.csv", "t,h\n0,0\n1,1\n2,0\n");
    let said = place.run(&["check", "m.twinml"]).expect(2).said();
    assert!(said.contains("[E0603]") && said.contains("m.twinml:4:2"), "{said}");
    assert!(said.contains("a table in it has no derivative"), "{said}");
}

/// `der` of an input that a connection drives, of a variable and of an output: z' = u' - z with u = k exp(-t) gives
/// z = -k t exp(-t).
#[test]
fn derivatives_of_what_equations_give() {
    let place = Place::model(
        "
twin Plant {
  inputs { u: Real }
  states { z: Real = 0 }
  outputs { y: Real[1/s] = der(u) }
  equations { der(z) = der(u) - z/1 s }
}
twin Src {
  parameters { k: Real = 1 }
  states { x: Real = 1 }
  outputs { o: Real = k*x }
  equations { der(x) = -x/1 s }
}
twin Sys {
  twins { a: Src[3] { k = i + 1 for i }; b: Plant[3] }
  connections { for i in 0..3 { a[2-i].o -> b[i].u } }
  states { s: Real = 0 }
  variables { v: Real; w: Real }
  equations { v = sin(time/1 s); w = v^2; der(s) = der(w) }
}
scenario run for Sys { duration: 2 s; solver: tsit5(rtol: 1e-10, atol: 1e-12); record all every 1 s }
",
    );
    let table = place.table(&[]);
    let t: f64 = 2.0;
    for k in 0..3 {
        let gain = f64::from(3 - k);
        let (z, y) = (table.last(&format!("b[{k}].z")), table.last(&format!("b[{k}].y")));
        assert!((z + gain * t * (-t).exp()).abs() < 1e-8, "{z}");
        assert!((y + gain * (-t).exp()).abs() < 1e-8, "{y}");
    }
    assert!((table.last("s") - t.sin().powi(2)).abs() < 1e-8);
    assert!(!table.names.iter().any(|n| n.contains('$')), "{:?}", table.names);
}

#[test]
fn derivatives_are_solved_for_through_a_matrix_with_zeros() {
    const FORMS: [&str; 4] = [
        "M*der(w) = f - w",
        "for i in 0..4 { sum(M[i, j]*der(w[j]) for j in 0..4) = f[i] - w[i] }",
        "M*a = f - w; der(w) = a",
        "a = solve(M, f - w); der(w) = a",
    ];
    let mut ends: Vec<Vec<f64>> = Vec::new();
    for form in FORMS {
        let variables = if form.contains("a =") { "variables { a: Real[1][4] }" } else { "" };
        let model = format!(
            "twin M {{\n  units: off\n  parameters {{ M: Real[1][4, 4] = [[2, 1, 0, 0], [1, 3, -1, 0], [0, -1, 4, 1], [0, 0, 1, 0.5]]; \
             f: Real[1][4] = [1, 2, 3, -1] }}\n  states {{ w: Real[1][4] = 0 }}\n  {variables}\n  equations {{ {form} }}\n}}\n\
             scenario s for M {{ duration: 2 s; solver: tsit5(rtol: 1e-9, atol: 1e-12) }}\n"
        );
        let table = Place::model(&model).table(&[]);
        ends.push((0..4).map(|k| table.last(&format!("w[{k}]"))).collect());
    }
    let want = ends.pop().unwrap();
    assert!(want.iter().all(|w| w.abs() > 0.01), "{want:?}");
    // Of a matrix that is given by a formula.
    let band = "if i == j then 4 else if abs(i - j) == 1 then 1 else 0";
    let model = |form: &str, variables: &str| {
        format!(
            "twin M {{\n  units: off\n  parameters {{ M: Real[1][9, 9] = [[{band} for j in 0..9] for i in 0..9] }}\n  \
             states {{ w: Real[1][9] = 1 }}\n  {variables}\n  equations {{ {form} }}\n}}\n\
             scenario s for M {{ duration: 1 s; solver: tsit5(rtol: 1e-9, atol: 1e-12) }}\n"
        )
    };
    let by_matrix = Place::model(&model("M*der(w) = -w", "")).table(&[]);
    let solve = model("a = solve(M, -w); der(w) = a", "variables { a: Real[1][9] }");
    let by_solve = Place::model(&solve).table(&[]);
    for k in 0..9 {
        let (one, other) = (by_matrix.last(&format!("w[{k}]")), by_solve.last(&format!("w[{k}]")));
        assert!((one - other).abs() < 1e-8 && (0.7..0.9).contains(&one), "{one}, {other}");
    }
    for (form, end) in FORMS.iter().zip(&ends) {
        for (w, want) in end.iter().zip(&want) {
            assert!((w - want).abs() < 1e-7, "{form}: {end:?}, {want:?}");
        }
    }
}

#[test]
fn what_a_formula_makes_0_is_no_divisor() {
    // Elements, their rows, and what solves them for (1, 2, 3).
    let cases = [
        ("[[cos(b), a + 1, a - 1], [b - a, a + b, a*b], [b - a, sin(b), sqrt(4*a)]]", [-1.0, 1.0, 1.0]),
        ("[[a - 1, 1 - 2*a, a*b], [cos(b), a - 1, a*b], [cos(b), sqrt(4*a), 1 - 2*a]]", [2.0, -1.0, -3.0]),
        ("[[2*cos(b), b - a, a*b], [sin(b), sin(b), sqrt(4*a)], [a, 2*cos(b), a + b]]", [0.8, 0.6, 1.0]),
        ("[[cos(pi/2), -1, 0], [1, cos(pi/2), 0], [a, 1, if b > 0 then 0 else 1]]", [2.0, -1.0, 2.0]),
        ("[[if i == j then a - 1 else 1 for j in 0..3] for i in 0..3]", [2.0, 1.0, 0.0]),
    ];
    for (elements, want) in cases {
        let model = format!(
            "twin M {{\n  units: off\n  parameters {{ a: Real = 1; b: Real = 0; M: Real[1][3, 3] = {elements} }}\n  \
             states {{ w: Real[1][3] = 0 }}\n  equations {{ M*der(w) = [1, 2, 3] }}\n}}\n\
             scenario s for M {{ duration: 1 s; record w every 1 s }}\n"
        );
        let table = Place::model(&model).table(&[]);
        for (k, want) in want.iter().enumerate() {
            let w = table.last(&format!("w[{k}]"));
            assert!((w - want).abs() < 1e-9, "{elements}: w[{k}] = {w}, not {want}");
        }
    }
}

/// Three nodes that capacitors join to one another and one resistor to ground: in each pair of currents the derivatives cancel, whatever the
/// capacitances are. A charge goes on along the chain or the triangle, and what leaves is what the resistor takes.
#[test]
fn derivatives_that_cancel_between_equations_determine_nothing() {
    // The equations of the nodes by their currents; all voltages hang together, so that i = u/R decides.
    let model = |nodes: &str| {
        format!(
            "twin N {{\n  units: off\n  parameters {{ a: Real = 1e-3; b: Real = 2e-3; c: Real = 0.5e-3; g: Real = 0.25; R: Real = 10 }}\n  \
             states {{ u: Real = 1; v: Real = 0; w: Real = 0 }}\n  equations {{\n{nodes}\n  }}\n}}\n\
             scenario s for N {{ duration: 20 ms; solver: tsit5(rtol: 1e-10, atol: 1e-12); record all every 1 ms }}\n"
        )
    };
    // u is held by a source through R, v and w lean on a conductance each: two sums of currents are without derivatives.
    let chain = "    (sin(100*time) - u)/R = a*(der(u) - der(v))\n    a*(der(u) - der(v)) - g*v = b*(der(v) - der(w))\n    b*(der(v) - der(w)) = g*w";
    let triangle = "    (sin(100*time) - u)/R = a*(der(u) - der(v)) + c*(der(u) - der(w))\n    \
                    0 = a*(der(v) - der(u)) + b*(der(v) - der(w)) + g*v\n    \
                    0 = c*(der(w) - der(u)) + b*(der(w) - der(v)) + g*w";
    for nodes in [chain, triangle] {
        let text = model(nodes).replace("u: Real = 1;", "u: Real = 0;");
        let place = Place::model(&text);
        let said = place.run(&["check", "m.twinml", "--explain"]).expect(0).said();
        assert!(said.contains("1 of 3 states follow from the others (2 free)"), "{said}");
        let t = place.table(&[]);
        let (u, v, w) = (t.column("u"), t.column("v"), t.column("w"));
        for (k, time) in t.column("time").into_iter().enumerate() {
            let off = ((100.0 * time).sin() - u[k]) / 10.0 - 0.25 * (v[k] + w[k]);
            assert!(off.abs() < 1e-9, "{nodes}: {off} at {time}");
        }
        // The same by the voltages of two capacitors, u - v = p and v - w = q, as ordinary differential equations.
        let (a, b, c) = (1e-3, 2e-3, if nodes == chain { 0.0 } else { 0.5e-3 });
        let f = |time: f64, s: [f64; 2]| {
            let [p, q] = s;
            // (e - u)/R = g (v + w), with u = p + v and w = v - q.
            let v = (((100.0 * time).sin() - p) / 10.0 + 0.25 * q) / (0.1 + 0.5);
            let (u, w) = (p + v, v - q);
            // Into u: a p' + c (p' + q') = (e - u)/R; out of w: c (p' + q') + b q' = g w.
            let (right, out) = (((100.0 * time).sin() - u) / 10.0, 0.25 * w);
            let det = (a + c) * (b + c) - c * c;
            [(right * (b + c) - out * c) / det, (out * (a + c) - right * c) / det]
        };
        let (mut s, n) = ([0.0, 0.0], 20_000);
        let h = 0.02 / f64::from(n);
        for k in 0..n {
            let time = f64::from(k) * h;
            let at = |s: [f64; 2], d: [f64; 2], h: f64| [s[0] + h * d[0], s[1] + h * d[1]];
            let one = f(time, s);
            let two = f(time + h / 2.0, at(s, one, h / 2.0));
            let three = f(time + h / 2.0, at(s, two, h / 2.0));
            let four = f(time + h, at(s, three, h));
            for i in 0..2 {
                s[i] += h / 6.0 * (one[i] + 2.0 * two[i] + 2.0 * three[i] + four[i]);
            }
        }
        let (p, q) = (t.last("u") - t.last("v"), t.last("v") - t.last("w"));
        assert!((p - s[0]).abs() < 1e-8 && (q - s[1]).abs() < 1e-8, "{nodes}: {p} {q}, not {s:?}");
        assert!(s.iter().all(|x| x.abs() > 1e-3), "{s:?}");
    }
}

#[test]
fn what_is_left_of_nothing_is_told_of_all_that_cancel() {
    let place = Place::model(
        "twin C { units: off
  parameters { a: Real = 1; b: Real = 2 }
  variables { u: Real; v: Real }
  states { z: Real = 1 }
  equations {
    a*u + b*v = z
    2*a*u + 2*b*v = 3
    der(z) = -z
  }
}
",
    );
    let said = place.run(&["check", "m.twinml"]).expect(2).said();
    assert!(said.contains("[E0603]") && said.contains("m.twinml:7:5"), "{said}");
    assert!(said.contains("nothing is left of their unknowns") && said.contains("with this one"), "{said}");
}

/// w0 + w1 = 3 follows from a singular matrix of numbers; 2 w0' = 1 - w0 is left.
#[test]
fn a_matrix_that_is_singular_for_good() {
    for (parameters, matrix) in [
        ("", "[[1, -1, 0], [-1, 1, 0], [0, 0, 1]]"),
        ("final M: Real[1][3, 3] = [[1, -1, 0], [-1, 1, 0], [0, 0, 1]]; ", "M"),
    ] {
        let table = Place::model(&format!(
            "twin S {{ units: off
  parameters {{ {parameters}f: Real[1][3] = [1, 2, 3] }}
  states {{ w: Real[1][3] = [1.5, 1.5, 0] }}
  equations {{ {matrix}*der(w) = f - w }}
}}
scenario s for S {{ duration: 1 s; solver: tsit5(rtol: 1e-9, atol: 1e-11) }}
"
        ))
        .table(&[]);
        let want = [1.0 + 0.5 * (-0.5f64).exp(), 2.0 - 0.5 * (-0.5f64).exp(), 3.0 - 3.0 * (-1.0f64).exp()];
        for (k, want) in want.into_iter().enumerate() {
            let w = table.last(&format!("w[{k}]"));
            assert!((w - want).abs() < 1e-8, "{matrix}: w[{k}] = {w}, not {want}");
        }
    }
}
