use super::refuse;
use super::{Files, run};
use expect_test::expect;

#[test]
fn behaviour() {
    refuse(
        r#"
twin P { states { on: Bool = false } behavior { on go(fast: Bool) from sender { on = true; publish "on" } } }
"#,
        expect![[r#"
            E0750 test.twinml:2:92: `publish` cannot be run by this version
              note: it is checked like the rest of the model
        "#]],
    );
}

#[test]
fn violations_that_are_known_later_only() {
    refuse(
        r#"
twin D { states { x: Real = 0; n: Int = 0 } equations { der(x) = 1 [1/s] }
  behavior { on violated.lim { n = n + 1 } } constraints { lim: always(x > 1 implies eventually[0, 1 s](x < 1)) } }
"#,
        expect![[r#"
            E0750 test.twinml:3:17: the event `violated.lim` cannot be run by this version
              test.twinml:3:65: this is judged when more of the run is known
              help: a requirement is heard of during a run where it is `always(c)` or `always[a, b](c)` with a condition on the present
        "#]],
    );
}

/// The first level is what runs, chosen or not; another one is refused where it is chosen.
#[test]
fn levels_of_detail_other_than_the_first() {
    let tank = "twin Tank {
  fidelity fast { states { h: Length = 1 m } equations { der(h) = -h/10 s } }
  fidelity full { states { h: Length = 1 m } equations { der(h) = -h/20 s } }
}
";
    refuse(
        &format!(
            "{tank}twin Plant {{ twins {{ a: Tank {{ fidelity = full }}; b: Tank {{ fidelity = fast }} }} }}"
        ),
        expect![[r#"
            E0755 test.twinml:5:32: a level of detail that is not the first cannot be run by this version
              note: it is checked like the rest of the model
        "#]],
    );
    for (setting, refused) in [
        ("parameters { a.fidelity = full }", true),
        ("fidelity a = full", true),
        ("parameters { a.fidelity = fast }", false),
        ("fidelity a = fast", false),
    ] {
        let text =
            format!("{tank}twin Plant {{ twins {{ a: Tank }} }}\nscenario s for Plant {{ {setting} }}");
        let said = run(&text, Some("s"), Files::default()).said();
        assert_eq!(
            said.contains("[E0755] Error: the level of detail `full` of `a`"),
            refused,
            "{setting}: {said}"
        );
        assert_eq!(said.is_empty(), !refused, "{setting}: {said}");
    }
}

#[test]
fn what_streams_bring() {
    refuse(
        r#"
connector Port { potential p: Pressure; flow m: MassFlow; stream T: Temperature }
twin Sensor { ports { a: Port } outputs { T: Temperature = inflow(a.T) } equations { a.m = 0 kg/s; a.T = 300 K } }
"#,
        expect![[r#"
            E0752 test.twinml:3:60: `inflow` cannot be run by this version
              note: it is checked like the rest of the model
        "#]],
    );
}

#[test]
fn white_noise_outside_of_equations() {
    refuse(
        r#"
twin W {
  parameters { k: Real[s^-0.5] = white_noise() }
  states { x: Real = 0 }
  equations { der(x) = k*1 [s^-0.5] }
}
"#,
        expect![[r#"
            E0753 test.twinml:3:34: white noise cannot stand here (no equation of a twin)
              note: it has no value at an instant: it only drives derivatives
              help: write it in an equation, or name it there: `w = white_noise()`
        "#]],
    );
}
