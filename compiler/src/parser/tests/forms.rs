//! Forms of the language: a text in, its tree as text out.

use super::{messages, printed};
use expect_test::{Expect, expect};

/// The tree of an entry of `equations`.
fn equations(text: &str, want: Expect) {
    let program = format!("twin T {{\n equations {{\n{text}\n}}\n}}");
    body(&program, want);
}

/// The tree of statements.
fn statements(text: &str, want: Expect) {
    let program = format!("twin T {{ behavior {{ on start {{\n{text}\n}} }} }}");
    let m = messages(&program);
    let out = printed(&program);
    let lines: Vec<&str> = out.lines().filter_map(|l| l.strip_prefix("      ")).collect();
    want.assert_eq(&format!("{m}{}\n", lines.join("\n")));
}

fn body(program: &str, want: Expect) {
    let m = messages(program);
    let out = printed(program);
    let lines: Vec<&str> = out.lines().filter_map(|l| l.strip_prefix("    ")).collect();
    want.assert_eq(&format!("{m}{}\n", lines.join("\n")));
}

/// The tree of a whole text.
fn whole(text: &str, want: Expect) {
    want.assert_eq(&format!("{}{}", messages(text), printed(text)));
}

#[test]
fn precedence() {
    equations(
        r#"a = -x^2 + 2*y^-1^z
b = a - b - c*d/e
c = not a < b and c or d xor e implies f implies g
d = p until[0 s, 2 s] q and r since s
e = if a then b else if c then d else e + 1
f = 0 <= x <= 1
g = sum(x[i]*y[i] for i in 0..n if i != k)
h = [i*2 for i in 0..3 for j in 1..4]
i = a[1..4] + b[i, ..] + c[..3] + d[2..] + tanks[0].h.start
j = -20 degC + (- 20 degC) - -3 K
k = 2^-1 * -a
l = f(x, n: 2, t: "a" in kg/s)
m = always[0, 1 h](x > 3) and once(y > 2)
n = xor(a, b)"#,
        expect![[r#"
            a = ((- (x ^ 2)) + (2 * (y ^ (- (1 ^ z)))))
            b = ((a - b) - ((c * d) / e))
            c = ((((not (a < b)) and c) or (d xor e)) implies (f implies g))
            d = ((p until[0 [s], 2 [s]] q) and (r since s))
            e = (if a then b else if c then d else (e + 1))
            f = (0 <= x <= 1)
            g = sum((x[i] * y[i]) for i in (0..n) if (i != k))
            h = [(i * 2) for i in (0..3) for j in (1..4)]
            i = ((((a[(1..4)] + b[i, ..]) + c[..3]) + d[2..]) + tanks[0].h.`start`)
            j = (((-20 [degC]) + (- 20 [degC])) - (-3 [K]))
            k = ((2 ^ (- 1)) * (- a))
            l = f(x, n: 2, t: "a" in [kg*s^-1])
            m = (always[0, 1 [h]]((x > 3)) and once((y > 2)))
            n = `xor`(a, b)
        "#]],
    );
}

#[test]
fn quantities() {
    equations(
        r#"a = 9.81 m/s^2 + 3000ms + 7 days + 85 % + 1.5 kW*h + 4.2 kJ/(kg*K)
b = 4.18 [MJ/(m^3*K)] * x
c = 2*m + 2 m*s + 2 m / s
d = 1/373.15 K
e = 0.5*m*(v^2) + n*90 W
f = 10 m/(a+b) + 3 m*sin(x) + 3 m*a[0] + 3 m*p.v
g = 1_000 + 6.02e23 + 0xff
h = if a then 5 else 6
i = 2 inch + 3 min
j = day^-0.5 * 2 day^-0.5 * 3 m^2.5/s"#,
        expect![[r#"
            a = (((((9.81 [m*s^-2] + 3000 [ms]) + 7 [days]) + 85 [%]) + 1.5 [kW*h]) + 4.2 [kJ*kg^-1*K^-1])
            b = (4.18 [MJ*m^-3*K^-1] * x)
            c = (((2 * m) + 2 [m*s]) + (2 [m] / s))
            d = (1 / 373.15 [K])
            e = (((0.5 * m) * (v ^ 2)) + (n * 90 [W]))
            f = ((((10 [m] / (a + b)) + (3 [m] * sin(x))) + (3 [m] * a[0])) + (3 [m] * p.v))
            g = ((1000 + 6.02e23) + 0xff)
            h = (if a then 5 else 6)
            i = (2 [inch] + 3 [min])
            j = (((day ^ (- 0.5)) * 2 [day^(-1/2)]) * 3 [m^(5/2)*s^-1])
        "#]],
    );
}

#[test]
fn line_ends() {
    equations(
        r#"a = b +
  c
d = e
  + f
g = h; i = j
law: F = m
  *a
k = if x
  then y
  else z
l = f(
  a,
  b
)
m = n > 
p
q = r
  .s
for i in 0..3 {
  x[i] = i
}
if a { b = c } else if d { e = f }
else { g = h }
u = v where_ = 3"#,
        expect![[r#"
            17:8 E0213 behind `>` a value is missing
            18:1 E0213 this is no equation: `=` is missing | an equation is `left = right`
            26:7 E0201 between `v` and `where_` something is missing | an operator, a comma, or `;` between two entries on one line
            a = (b + c)
            d = (e + f)
            g = h
            i = j
            law: F = (m * a)
            k = (if x then y else z)
            l = f(a, b)
            <error>
            <error>
            q = r.s
            for i in (0..3) {
              x[i] = i
            }
            if a {
              b = c
            } else if d {
              e = f
            } else {
              g = h
            }
            <error>
        "#]],
    );
}

#[test]
fn every_statement() {
    statements(
        r#"x = 3 m
y: Length = 3 m
der_x = plan(a) as Advice else Advice(action: "x")
if a { b() } else if c { d() } else { e() }
match r { 1..5 -> a(); -1 -> b(); "x" -> { c() }; Rule.free -> d = 1; Job { id, action: "x", .. } when id > 3 -> e(); _ -> return }
for i in 0..n { x[i] = 0 }
while true { wait 5 s; wait until(c > 3); wait for repaired; wait draw(exponential(50 s)) }
emit overflow(level: h); emit failure
send inform(level: h) to plant.ctl after 20 ms priority high
broadcast inform(x: 1)
reply refuse("no"), conversation: c
publish "topic", x
publish "topic" inform(level: h)
subscribe "topic"
log "a ${x + 1} b ${"n ${y}"} c"
log("t")
after 5 min { isolated = true }
create Truck<n: 2> { position = [0 m, 0 m]; k = 2 } in trucks
retire t
fail "reason"
stop "reason"
stop
force pump.speed = 0 rpm
release pump.speed
best = bids.min_by(b -> b.cost)
z = xs.fold(0, (a, b) -> a + b)
return x"#,
        expect![[r#"
            x = 3 [m]
            y: Length = 3 [m]
            der_x = ((plan(a) as Advice) else Advice(action: "x"))
            if a {
              b()
            } else if c {
              d()
            } else {
              e()
            }
            match r {
              1..5 -> {
                a()
              }
              -1 -> {
                b()
              }
              "x" -> {
                c()
              }
              Rule.free -> {
                d = 1
              }
              Job { id, action: "x", .. } when (id > 3) -> {
                e()
              }
              _ -> {
                return
              }
            }
            for i in (0..n) {
              x[i] = 0
            }
            while true {
              wait 5 [s]
              wait until (c > 3)
              wait for repaired
              wait draw(exponential(50 [s]))
            }
            emit overflow(level: h)
            emit failure
            send inform(level: h) to plant.ctl after 20 [ms] priority high
            broadcast inform(x: 1)
            reply refuse("no"), conversation: c
            publish "topic", x
            publish "topic", inform(level: h)
            subscribe "topic"
            log "a ${(x + 1)} b ${"n ${y}"} c"
            log "t"
            after 5 [min] {
              isolated = true
            }
            create Truck<n: 2> {
              position = [0 [m], 0 [m]]
              k = 2
            } in trucks
            retire t
            fail "reason"
            stop "reason"
            stop
            force pump.speed = 0 [rpm]
            release pump.speed
            best = bids.min_by(b -> b.cost)
            z = xs.fold(0, (a, b) -> (a + b))
            return x
        "#]],
    );
}

#[test]
fn declarations() {
    whole(
        r#"/// The file.

use std.thermal { HeatCapacitor, ThermalResistor as R }
use "parts/pump.twinml"
use std.agents as ag
type StateOfCharge = Real where 0 <= self <= 1
/// A point
/// on a scale.
type Temperature = Real[K] in degC where self >= 0 K
type Position3D = Vector[3] of Length where finite(self)
enum Valve { open, closed, stuck }
record Job { id: Int, from: Position3D = [0 m, 0 m, 0 m], due: Duration? }
record Two {
  a: List<Map<Int, String>>
  b: Real[m/s][3]
}
connector Port { potential p: Pressure; flow m: MassFlow; stream T: Temperature }
dimension Money
dimension Wage = Money/Time
unit EUR: Money
unit cent = 0.01 EUR
func f(x: Real, y: Real = 2): Real = x^2 + y
func g() { return 3 }
"#,
        expect![[r#"
            /// The file.

            use std.thermal { HeatCapacitor, ThermalResistor as R }
            use "parts/pump.twinml"
            use std.agents as ag
            type StateOfCharge = Real where (0 <= self <= 1)
            /// A point
            /// on a scale.
            type Temperature = Real[K] in [degC] where (self >= 0 [K])
            type Position3D = Vector[3] of Length where finite(self)
            enum Valve { open, closed, stuck }
            record Job {
              id: Int
              `from`: Position3D = [0 [m], 0 [m], 0 [m]]
              due: Duration?
            }
            record Two {
              a: List<Map<Int, String>>
              b: Real[m*s^-1][3]
            }
            connector Port {
              potential p: Pressure
              flow m: MassFlow
              stream T: Temperature
            }
            dimension Money
            dimension Wage = (Money / Time)
            unit EUR: Money
            unit cent = 0.01 [EUR]
            func f(x: Real, y: Real = 2): Real = ((x ^ 2) + y)
            func g() {
              return 3
            }
        "#]],
    );
}

#[test]
fn twins() {
    whole(
        r#"partial agent twin A<C: Cell, n: Int = 100, m: Int = 2*n - 1> {
  extends B<n: n + 1, C: List<Int>> { k = 2; x.y ~ uniform(1, 2), z = i for i; c = 3 ~ normal(3, 1); h guess 2 m; layout: "x" }
  version: "1.0"
  authors: "a", "b"
  parameters {
    final K: Real[m^2] = 3 ~ normal(sd: 2 %) where self > 0 else clamp guess 2
    outer g: Acceleration
    a: Real = 1; b: Real = 2
    correlate(a, b: 0.7)
    T: Temperature in degC = 20 degC
    tab: Table = table("f.csv", x: "flow" in kg/s, y: "rise" in bar, method: linear, outside: hold)
  }
  twins { cells: C[n] { R = 1 mohm + i*0.1 mohm for i; q = 1 for (i, j) }; spare: Pump { k = 1 } if n > 1; t: Truck[0..200] }
  connections {
    a.b -> c.d; p -- q -- r
    for i in 0..n-1 { x[i].a -- x[i+1].b }
    if n > 1 { a -> b } else { c -> d }
    a -> b with delay: 20 ms
  }
  initial equations { der(T) = 0 K/s }
  fidelity fast { equations { x = 1 } }
  ports { p: Pin[3]; q: Pin if n > 1 }
}
"#,
        expect![[r#"
            partial agent twin A<C: Cell, n: Int = 100, m: Int = (((2 * n) - 1))> {
              extends B<n: ((n + 1)), C: List<Int>> {
                k = 2
                x.y ~ uniform(1, 2)
                z = i for i
                c = 3 ~ normal(3, 1)
                h guess 2 [m]
                layout: "x"
              }
              version: "1.0"
              authors: "a", "b"
              parameters {
                final K: Real[m^2] = 3 ~ normal(sd: 2 [%]) where (self > 0) else clamp guess 2
                outer g: Acceleration
                a: Real = 1
                b: Real = 2
                correlate(a, b: 0.7)
                T: Temperature in [degC] = 20 [degC]
                tab: Table = table("f.csv", x: "flow" in [kg*s^-1], y: "rise" in [bar], method: linear, `outside`: hold)
              }
              twins {
                cells: C[n] {
                  R = (1 [mohm] + (i * 0.1 [mohm])) for i
                  q = 1 for (i, j)
                }
                spare: Pump {
                  k = 1
                } if (n > 1)
                t: Truck[(0..200)]
              }
              connections {
                a.b -> c.d
                p -- q
                q -- r
                for i in (0..(n - 1)) {
                  x[i].a -- x[(i + 1)].b
                }
                if (n > 1) {
                  a -> b
                } else {
                  c -> d
                }
                a -> b with delay: 20 [ms]
              }
              initial equations {
                der(T) = 0 [K*s^-1]
              }
              fidelity fast {
                equations {
                  x = 1
                }
              }
              ports {
                p: Pin[3]
                q: Pin if (n > 1)
              }
            }
        "#]],
    );
}

#[test]
fn behavior() {
    whole(
        r#"twin A {
  behavior {
    on start { x = 1 } on stop { x = 2 }
    on rising(h > 2 m) { } on falling(p < 1 bar) { } on change(mode) { }
    every 100 ms offset 5 ms { }
    every Ts { }
    at 30 min { }
    after 5 s in filling { }
    on message_received(input: String) { }
    on request(job: Job) from sender { }
    on sequence(overheat, shutdown within 5 s) { }
    on count(alarm, 3 within 1 min) { }
    on absence(heartbeat within 10 s) { }
    on causal(a -> b within 5 s) { }
    on near(truck, depot, 50 m) { }
    on pump.e(x) queued { }
    on st[0].out(part: Part) { }
    on violated.no_overflow { }
    machine mode {
      initial idle
      state idle { on start_cmd -> filling }
      /// Fills.
      state filling {
        entry { valve = Valve.open } exit { valve = Valve.closed }
        u = 1
        der(v) = a
        state fast { after 10 s -> slow }
        state slow { }
        on rising(h > 2 m) -> idle when pump.ok { log("full at ${time}") }
        when not next_full -> idle { n = n + 1 }
      }
      on rising(T > T_trip) -> tripped
    }
    private func classify(x: Real): String { return "a" }
  }
  memory { a: Queue<Job>; b: session_scoped; c: persistent(7 days); d: external("m"); e: List<Int> = [] }
  capabilities {
    plan: llm_model("planner"), timeout: 2 s, circuit_breaker(failures: 5, reset: 60 s), rate: 10/s
    stock: sql_connector("warehouse", retries: 3)
  }
  constraints {
    no_overflow: always(h <= h_max)
    drains: eventually[0, 1 h](h < 0.1 m) with probability >= 0.95 confidence 0.9
    scaled: always(h < 3 m and T < 350 K), scale: 2 m
    response_time: max(3 s)
    compliance: gdpr_compliant, ccpa_compliant
    /// The bill.
    kpi bill in EUR: cost at end minimize
    kpi m: mean(e over [1 h, 2 h])
    mean_ok: mean(x over run) < 3
  }
  sync {
    mqtt("plant") {
      h <- "plant/level" in cm noise 2 cm stale 5 s
      valve -> "plant/valve" on change
      x <- "y" every 500 ms conflict: newest
    }
    conflict: blend(0.3)
    mode: shadow
  }
}
"#,
        expect![[r#"
            twin A {
              behavior {
                on start {
                  x = 1
                }
                on stop {
                  x = 2
                }
                on rising((h > 2 [m])) {
                }
                on falling((p < 1 [bar])) {
                }
                on change(mode) {
                }
                every 100 [ms] offset 5 [ms] {
                }
                every Ts {
                }
                at 30 [min] {
                }
                after 5 [s] in filling {
                }
                on message_received(input: String) {
                }
                on request(job: Job) from sender {
                }
                on sequence(overheat, shutdown within 5 [s]) {
                }
                on count(alarm, 3 within 1 [min]) {
                }
                on absence(heartbeat within 10 [s]) {
                }
                on causal(a -> b within 5 [s]) {
                }
                on near(truck, depot, 50 [m]) {
                }
                on pump.e(x) queued {
                }
                on st[0].out(part: Part) {
                }
                on violated.no_overflow {
                }
                machine mode {
                  initial idle
                  state idle {
                    on start_cmd -> filling
                  }
                  /// Fills.
                  state filling {
                    entry {
                      valve = Valve.open
                    }
                    exit {
                      valve = Valve.closed
                    }
                    u = 1
                    der(v) = a
                    state fast {
                      after 10 [s] -> slow
                    }
                    state slow {
                    }
                    on rising((h > 2 [m])) -> idle when pump.ok {
                      log "full at ${time}"
                    }
                    when (not next_full) -> idle {
                      n = (n + 1)
                    }
                  }
                  on rising((T > T_trip)) -> tripped
                }
                private func classify(x: Real): String {
                  return "a"
                }
              }
              memory {
                a: Queue<Job>
                b: session_scoped
                c: persistent(7 [days])
                d: external("m")
                e: List<Int> = []
              }
              capabilities {
                plan: llm_model("planner"), timeout: 2 [s], circuit_breaker: circuit_breaker(failures: 5, reset: 60 [s]), rate: 10 [s^-1]
                stock: sql_connector("warehouse", retries: 3)
              }
              constraints {
                no_overflow: always((h <= h_max))
                drains: eventually[0, 1 [h]]((h < 0.1 [m])) with probability >= 0.95 confidence 0.9
                scaled: always(((h < 3 [m]) and (T < 350 [K]))), scale: 2 [m]
                response_time: max(3 [s])
                compliance: gdpr_compliant, ccpa_compliant
                /// The bill.
                kpi bill in [EUR]: (cost at end) minimize
                kpi m: mean(e over [1 [h], 2 [h]])
                mean_ok: (mean(x over run) < 3)
              }
              sync {
                mqtt("plant") {
                  h <- "plant/level" in [cm] noise 2 [cm] stale 5 [s]
                  valve -> "plant/valve" on change
                  x <- "y" every 500 [ms] conflict newest
                }
                `conflict`: blend(0.3)
                mode: shadow
              }
            }
        "#]],
    );
}

#[test]
fn scenarios() {
    whole(
        r#"scenario b for Pack<n: 12> extends a {
  duration: 2 h
  solver: bdf(rtol: 1e-6, atol: 1e-9)
  calendar: 2026-01-05T00:00+01:00
  parameters { cells[17].Q = 44 A*h }
  start { x = 0 m; y = -1 m }
  drive ctl.setpoint from "s.csv" column "sp" in bar linear outside hold
  at 30 min { pump.speed = 0 rpm; force a.b = 3; release a.b }
  every 1 h { x = x + 1 }
  branch no_repair at 45 min { pump.failed = true; expect safe; at 50 min { a = 1 } }
  record tanks.h, pump.power every 1 s
  record all every 1 s
  fidelity tanks = fast
  samples: 10_000
  expect no_overflow, not safe, stage.v at end = 5 V within 50 mV
}
"#,
        expect![[r#"
            scenario b for Pack<n: 12> extends a {
              duration: 2 [h]
              solver: bdf(rtol: 1e-6, atol: 1e-9)
              calendar: 2026-01-05T00:00+01:00
              parameters {
                cells[17].Q = 44 [A*h]
              }
              start {
                x = 0 [m]
                y = (-1 [m])
              }
              drive ctl.setpoint from "s.csv" column "sp" in [bar] linear outside hold
              at 30 [min] {
                pump.speed = 0 [rpm]
                force a.b = 3
                release a.b
              }
              every 1 [h] {
                x = (x + 1)
              }
              branch no_repair at 45 [min] {
                pump.failed = true
                expect safe
                at 50 [min] {
                  a = 1
                }
              }
              record tanks.h, pump.power every 1 [s]
              record all every 1 [s]
              fidelity tanks = fast
              samples: 10000
              expect no_overflow, not safe, (stage.v at end) = 5 [V] within 50 [mV]
            }
        "#]],
    );
}

#[test]
fn names_that_are_words() {
    whole(
        r#"twin A {
  parameters { state: Real = 1; `in`: Real = 2; on: Real = 3; from: Real = 4; at: Real = 5; every: Real = 6 }
  states { record: Real = 1; unit: Real = 2; type: Real = 3 }
  equations {
    state = record + unit*type
    der(on) = from - at
    every = x.in + x.state.record
    `a b` = `in` + flow
    twin = entry
  }
  behavior { on start { send = 1; log = 2; stop = 3; emit emit; at = every } }
}
"#,
        expect![[r#"
            twin A {
              parameters {
                `state`: Real = 1
                `in`: Real = 2
                `on`: Real = 3
                `from`: Real = 4
                `at`: Real = 5
                `every`: Real = 6
              }
              states {
                `record`: Real = 1
                `unit`: Real = 2
                `type`: Real = 3
              }
              equations {
                `state` = (`record` + (`unit` * `type`))
                der(`on`) = (`from` - `at`)
                `every` = (x.`in` + x.`state`.`record`)
                `a b` = (`in` + `flow`)
                `twin` = `entry`
              }
              behavior {
                on start {
                  `send` = 1
                  `log` = 2
                  `stop` = 3
                  emit `emit`
                  `at` = `every`
                }
              }
            }
        "#]],
    );
}
