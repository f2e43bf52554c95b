use super::refuse;
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
