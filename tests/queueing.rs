//! The process library against closed forms of queueing theory. Each measure is estimated from thirty batches of one
//! long run with a fixed seed, the first left out; the closed form must lie in the interval that such batches cover with
//! a confidence of 99.9 % (Student's t). That the tests can fail is tested too: with an arrival or a service rate that is
//! 3 % off, at least one measure leaves its interval.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

/// Batches that count.
const BATCHES: usize = 30;
/// Student's t for 29 degrees of freedom, both sides together 0.1 %.
const T: f64 = 3.659;

/// What was recorded: names, and rows of time and values.
struct Table {
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl Table {
    fn column(&self, name: &str) -> usize {
        self.names.iter().position(|n| n == name).unwrap_or_else(|| panic!("no column `{name}`"))
    }

    /// A column at the ends of the batches, the values after all events of the instant.
    fn at_ends(&self, name: &str) -> Vec<f64> {
        let k = self.column(name);
        let end = self.rows.last().unwrap()[0];
        let step = end / (BATCHES + 1) as f64;
        let mut out = Vec::new();
        let mut next = 1;
        for (i, row) in self.rows.iter().enumerate() {
            let last = self.rows.get(i + 1).is_none_or(|n| n[0] > row[0]);
            if last && row[0] == (step * next as f64).round() {
                out.push(row[k]);
                next += 1;
            }
        }
        assert_eq!(out.len(), BATCHES + 1, "one row at the end of each batch");
        out
    }
}

/// Runs a model that records `columns`; `batch` seconds each.
fn run(model: &str, columns: &str, batch: u32, seed: u32) -> Table {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("model.twinml"), dir.path().join("out.csv"));
    let text = format!(
        "use std.process {{ Source, Queue, Buffer, Server, Breakdowns, Sink, Law }}\n{model}\n\
         scenario go for System {{ duration: {} s; seed: {seed}; record {columns} every {batch} s }}\n",
        batch as usize * (BATCHES + 1)
    );
    fs::write(&file, text).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_twinc"))
        .args(["run", "--scenario", "go", "--no-plot", "--si", "--out"])
        .args([&out, &file])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = fs::read_to_string(out).unwrap();
    let mut lines = text.lines();
    let names = lines.next().unwrap().split(',').map(str::to_owned).collect();
    let number = |x: &str| match x {
        "true" => 1.0,
        "false" => 0.0,
        x => x.parse().unwrap(),
    };
    let rows = lines.map(|l| l.split(',').map(number).collect()).collect();
    Table { names, rows }
}

/// A measure with its interval.
struct Measure {
    name: &'static str,
    mean: f64,
    half: f64,
    exact: f64,
}

impl Measure {
    /// Means of batches of `above/below`, both of which only grow.
    fn new(name: &'static str, above: &[f64], below: &[f64], exact: f64) -> Measure {
        let batch = |w: (&[f64], &[f64])| (w.0[1] - w.0[0]) / (w.1[1] - w.1[0]);
        let means: Vec<f64> = above.windows(2).zip(below.windows(2)).map(batch).collect();
        let n = means.len() as f64;
        let mean = means.iter().sum::<f64>() / n;
        let variance = means.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        Measure { name, mean, half: T * (variance / n).sqrt(), exact }
    }

    fn holds(&self) -> bool {
        (self.mean - self.exact).abs() <= self.half
    }
}

fn report(all: &[Measure]) -> String {
    let mut out = String::new();
    for m in all {
        let mark = if m.holds() { "" } else { "  <- outside" };
        let _ = writeln!(out, "{}: {:.5} ± {:.5}, exact {:.5}{mark}", m.name, m.mean, m.half, m.exact);
    }
    out
}

fn product(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(x, y)| x * y).collect()
}

/// Closed forms of a station with one queue: arrival rate, places, utilisation, mean wait.
struct Station {
    rate: f64,
    places: f64,
    used: f64,
    wait: f64,
}

/// `what`: the server's parameters; `gap`: mean time between arrivals.
fn station(what: &str, gap: f64, exact: &Station, batch: u32, seed: u32) -> Vec<Measure> {
    let model = format!(
        "process twin System {{\n\
           twins {{ source: Source {{ gap = {gap} s }}; queue: Queue; server: Server {{ {what} }}; sink: Sink }}\n\
           connections {{\n\
             source.out -> queue.arrive; queue.out -> server.arrive; server.full -> queue.next_full\n\
             server.out -> sink.arrive\n\
           }}\n}}"
    );
    let columns = "source.made, queue.left, queue.waited, queue.mean_level, server.utilisation, \
                   server.busy_places, sink.parts, sink.under_way";
    let t = run(&model, columns, batch, seed);
    let time = t.at_ends("time");
    let [made, left, waited, level, used, busy, parts, under_way] = [
        "source.made",
        "queue.left",
        "queue.waited",
        "queue.mean_level",
        "server.utilisation",
        "server.busy_places",
        "sink.parts",
        "sink.under_way",
    ]
    .map(|c| t.at_ends(c));
    let service = exact.used * exact.places / exact.rate;
    let inside: Vec<f64> =
        product(&level, &time).iter().zip(product(&busy, &time)).map(|(a, b)| a + b).collect();
    vec![
        Measure::new("arrival rate", &made, &time, exact.rate),
        Measure::new("utilisation", &product(&used, &time), &time, exact.used),
        Measure::new("Lq", &product(&level, &time), &time, exact.rate * exact.wait),
        Measure::new("L", &inside, &time, exact.rate * (exact.wait + service)),
        Measure::new("Wq", &waited, &left, exact.wait),
        Measure::new("W", &under_way, &parts, exact.wait + service),
    ]
}

/// The closed forms hold for the right rates.
fn check(what: &str, gap: f64, exact: &Station, batch: u32, seed: u32) {
    let right = station(what, gap, exact, batch, seed);
    assert!(right.iter().all(Measure::holds), "{}", report(&right));
}

/// They do not for those that are 3 % off.
fn check_off(what: impl Fn(f64) -> String, gap: f64, exact: &Station, batch: u32, seed: u32) {
    for (arrivals, services) in [(1.03, 1.0), (0.97, 1.0), (1.0, 1.03), (1.0, 0.97)] {
        let off = station(&what(1.0 / services), gap / arrivals, exact, batch, seed);
        let rates = format!("arrivals times {arrivals}, services times {services}");
        assert!(off.iter().any(|m| !m.holds()), "{rates} goes unseen:\n{}", report(&off));
    }
}

/// Probability that all `c` servers are busy (Erlang's C) for `a` erlangs.
fn erlang_c(c: u32, a: f64) -> f64 {
    let mut b = 1.0;
    for k in 1..=c {
        b = a * b / (f64::from(k) + a * b);
    }
    let rho = a / f64::from(c);
    b / (1.0 - rho + rho * b)
}

#[test]
fn one_server_with_exponential_times() {
    let (rate, mean) = (1.0, 0.5);
    let rho: f64 = rate * mean;
    let exact = Station { rate, places: 1.0, used: rho, wait: rho * mean / (1.0 - rho) };
    let what = |f: f64| format!("mean = {} s", mean * f);
    check(&what(1.0), 1.0 / rate, &exact, 4000, 1);
    check_off(what, 1.0 / rate, &exact, 4000, 1);
}

#[test]
fn several_servers_wait_as_erlang_says() {
    let (rate, mean, c) = (1.0, 2.0, 3);
    let a: f64 = rate * mean;
    let wait = erlang_c(c, a) * mean / (f64::from(c) - a);
    let exact = Station { rate, places: f64::from(c), used: a / f64::from(c), wait };
    let what = |f: f64| format!("mean = {} s; servers = {c}", mean * f);
    check(&what(1.0), 1.0 / rate, &exact, 4000, 2);
    check_off(what, 1.0 / rate, &exact, 4000, 2);
}

/// Pollaczek and Khinchine: only mean and variance of the service count.
#[test]
fn one_server_with_other_laws() {
    for (law, cv, seed) in
        [("gamma", 0.5, 3), ("uniform", 0.4, 4), ("lognormal", 0.8, 5), ("constant", 0.0, 6)]
    {
        let (rate, mean) = (1.0, 0.6);
        let rho: f64 = rate * mean;
        let wait = rho * mean * (1.0 + cv * cv) / (2.0 * (1.0 - rho));
        let exact = Station { rate, places: 1.0, used: rho, wait };
        let what = |f: f64| format!("mean = {} s; law = Law.{law}; cv = {cv}", mean * f);
        check(&what(1.0), 1.0 / rate, &exact, 2500, seed);
        if law == "gamma" {
            check_off(what, 1.0 / rate, &exact, 2500, seed);
        }
    }
}

fn availability(mtbf: f64, mttr: f64, seed: u32) -> Vec<Measure> {
    let model = format!(
        "process twin System {{ twins {{ machine: Breakdowns {{ mtbf = {mtbf} s; mttr = {mttr} s }} }} }}"
    );
    let t = run(&model, "machine.availability, machine.failures", 20_000, seed);
    let time = t.at_ends("time");
    let up = product(&t.at_ends("machine.availability"), &time);
    let down: Vec<f64> = time.iter().zip(&up).map(|(t, u)| t - u).collect();
    let failures = t.at_ends("machine.failures");
    vec![
        Measure::new("availability", &up, &time, 10.0 / 12.0),
        Measure::new("failure rate", &failures, &time, 1.0 / 12.0),
        Measure::new("time up", &up, &failures, 10.0),
        Measure::new("time down", &down, &failures, 2.0),
    ]
}

#[test]
fn a_failing_machine_is_available_as_often_as_its_means_say() {
    let right = availability(10.0, 2.0, 7);
    assert!(right.iter().all(Measure::holds), "{}", report(&right));
    for (up, down) in [(1.03, 1.0), (0.97, 1.0), (1.0, 1.03), (1.0, 0.97)] {
        let off = availability(10.0 * up, 2.0 * down, 7);
        assert!(off.iter().any(|m| !m.holds()), "{up}, {down} goes unseen:\n{}", report(&off));
    }
}

/// A server that fails under a flood of parts makes as many as its availability lets it: work rests and goes on.
#[test]
fn failures_take_their_share_of_throughput() {
    let model = "process twin System {\n\
         twins { source: Source { gap = 1 us; law = Law.constant }; server: Server { mean = 1 s }\n\
                 fails: Breakdowns { mtbf = 30 s; mttr = 10 s; by_use = true }; sink: Sink }\n\
         connections { source.out -> server.arrive; server.full -> source.next_full; server.out -> sink.arrive\n\
                       fails.down -> server.down; server.running -> fails.used }\n}";
    let t = run(model, "server.utilisation, fails.availability, sink.parts", 4000, 8);
    let time = t.at_ends("time");
    let all = [
        Measure::new("throughput", &t.at_ends("sink.parts"), &time, 0.75),
        Measure::new("utilisation", &product(&t.at_ends("server.utilisation"), &time), &time, 0.75),
    ];
    assert!(all.iter().all(Measure::holds), "{}", report(&all));
    // While it is up it works: the two accounts are one, but for the source's microseconds.
    let (used, up) = (t.at_ends("server.utilisation"), t.at_ends("fails.availability"));
    assert!(used.iter().zip(&up).all(|(a, b)| (a - b).abs() < 1e-5), "{used:?} {up:?}");
}

/// Two stations with `room` places between them under a flood of parts. What the first has finished and the second has
/// not is a birth-death process on 0 ..= room + 2; in its last state the first station is blocked.
fn two_stations(first: f64, second: f64, room: u32, exact: (f64, f64), seed: u32) -> Vec<Measure> {
    let between: f64 = exact.0 / exact.1;
    let states = room + 3;
    let total: f64 = (0..states).map(|n| between.powi(n as i32)).sum();
    let (idle, blocked) = (1.0 / total, between.powi(states as i32 - 1) / total);
    let model = format!(
        "process twin System {{\n\
           twins {{ source: Source {{ gap = 1 us; law = Law.constant }}; a: Server {{ mean = {} s }}\n\
                   buffer: Buffer {{ capacity = {room} }}; b: Server {{ mean = {} s }}; sink: Sink }}\n\
           connections {{ source.out -> a.arrive; a.full -> source.next_full; a.out -> buffer.arrive\n\
                          buffer.full -> a.next_full; buffer.out -> b.arrive; b.full -> buffer.next_full\n\
                          b.out -> sink.arrive }}\n}}",
        1.0 / first,
        1.0 / second
    );
    let t = run(&model, "a.blocking, b.utilisation, sink.parts, buffer.mean_level", 4000, seed);
    let time = t.at_ends("time");
    // In the buffer: all but the one in service and the one that blocks.
    let inside: f64 =
        (0..states).map(|n| between.powi(n as i32) * f64::from(n.saturating_sub(1).min(room))).sum::<f64>()
            / total;
    vec![
        Measure::new("throughput", &t.at_ends("sink.parts"), &time, exact.1 * (1.0 - idle)),
        Measure::new("use of the second", &product(&t.at_ends("b.utilisation"), &time), &time, 1.0 - idle),
        Measure::new("blocking of the first", &product(&t.at_ends("a.blocking"), &time), &time, blocked),
        Measure::new("buffer", &product(&t.at_ends("buffer.mean_level"), &time), &time, inside),
    ]
}

#[test]
fn a_line_of_two_stations_blocks_as_a_birth_death_process() {
    for (first, second, room, seed) in [(1.0, 1.0, 2, 9), (1.2, 1.0, 4, 10), (0.8, 1.0, 1, 11)] {
        let right = two_stations(first, second, room, (first, second), seed);
        assert!(right.iter().all(Measure::holds), "{}", report(&right));
        let wrong: &[(f64, f64)] =
            if room == 2 { &[(1.03, 1.0), (0.97, 1.0), (1.0, 1.03), (1.0, 0.97)] } else { &[] };
        for &(a, b) in wrong {
            let off = two_stations(first * a, second * b, room, (first, second), seed);
            assert!(off.iter().any(|m| !m.holds()), "{a}, {b} goes unseen:\n{}", report(&off));
        }
    }
}

/// Little's law without any chance: the time that all parts together spent inside, counted by instants, by parts, and
/// by the library's own accounts, is one number.
#[test]
fn littles_law_holds_by_accounting() {
    let model = "process twin System {\n\
         twins { source: Source { gap = 1 s }; queue: Queue; server: Server { mean = 0.7 s }; sink: Sink }\n\
         connections { source.out -> queue.arrive; queue.out -> server.arrive; server.full -> queue.next_full\n\
                       server.out -> sink.arrive }\n}";
    let t = run(
        model,
        "source.made, queue.level, server.level, sink.parts, sink.under_way, queue.mean_level, server.busy_places",
        100,
        12,
    );
    let [made, queue, server, parts, under_way, level, busy] = [
        "source.made",
        "queue.level",
        "server.level",
        "sink.parts",
        "sink.under_way",
        "queue.mean_level",
        "server.busy_places",
    ]
    .map(|c| t.column(c));
    let mut by_instants = 0.0;
    let (mut came, mut went) = (Vec::new(), Vec::new());
    for w in t.rows.windows(2) {
        let (now, next) = (&w[0], &w[1]);
        assert_eq!(now[made] - now[parts], now[queue] + now[server], "no part is lost or made twice");
        by_instants += (now[made] - now[parts]) * (next[0] - now[0]);
        came.extend(std::iter::repeat_n(next[0], (next[made] - now[made]) as usize));
        went.extend(std::iter::repeat_n(next[0], (next[parts] - now[parts]) as usize));
    }
    let last = t.rows.last().unwrap();
    let end = last[0];
    let served: f64 = came.iter().zip(&went).map(|(a, b)| b - a).sum();
    let rest: f64 = came[went.len()..].iter().map(|a| end - a).sum();
    assert!(went.len() > 2500, "{} parts", went.len());
    let close = |a: f64, b: f64, what: &str| assert!((a - b).abs() <= 1e-9 * a.abs(), "{what}: {a} and {b}");
    close(served, last[under_way], "the sink's account");
    close(served + rest, by_instants, "by parts and by instants");
    close(by_instants, (last[level] + last[busy]) * end, "queue and server together");
    // L = λ W with W of all that came, the rest up to now.
    close(by_instants / end, came.len() as f64 / end * ((served + rest) / came.len() as f64), "L and λ W");
}

/// A queue with room for few loses as Erlang's loss formula says for a server without any: M/M/1/K.
#[test]
fn a_queue_with_room_for_few_loses_parts() {
    let (rate, mean, room) = (1.0, 0.8, 3);
    let model = format!(
        "process twin System {{\n\
           twins {{ source: Source {{ gap = {} s }}; queue: Queue {{ capacity = {room} }}\n\
                   server: Server {{ mean = {mean} s }}; sink: Sink }}\n\
           connections {{ source.out -> queue.arrive; queue.out -> server.arrive; server.full -> queue.next_full\n\
                          server.out -> sink.arrive }}\n}}",
        1.0 / rate
    );
    let t = run(&model, "queue.came, queue.lost, server.utilisation", 4000, 13);
    let rho: f64 = rate * mean;
    let total: f64 = (0..=room + 1).map(|n| rho.powi(n)).sum();
    let (lost, idle) = (rho.powi(room + 1) / total, 1.0 / total);
    let time = t.at_ends("time");
    let all = [
        Measure::new("lost", &t.at_ends("queue.lost"), &t.at_ends("queue.came"), lost),
        Measure::new("busy", &product(&t.at_ends("server.utilisation"), &time), &time, 1.0 - idle),
    ];
    assert!(all.iter().all(Measure::holds), "{}", report(&all));
}

/// Calls as twins of a population: they come, stay for a while and go. With room for all, their number is M/M/∞; with room
/// for few, those that find none are lost as Erlang's B says.
#[test]
fn a_population_of_calls_has_as_many_as_erlang_says() {
    for (room, seed) in [(60, 14), (5, 15)] {
        let right = calls(4.0, room, seed);
        assert!(right.iter().all(Measure::holds), "{}", report(&right));
        for stay in [4.12, 3.88] {
            let off = calls(stay, room, seed);
            assert!(off.iter().any(|m| !m.holds()), "{stay} goes unseen:\n{}", report(&off));
        }
    }
}

/// Calls that come every second and stay for `stay`; the closed forms are those of a stay of 4 s.
fn calls(stay: f64, room: u32, seed: u32) -> Vec<Measure> {
    let model = format!(
        "twin Call {{ behavior {{ on start {{ wait draw(exponential({stay} s)); emit over; retire self }} }} }}\n\
         twin System {{\n\
           twins {{ calls: Call[0..{room}] }}\n\
           states {{ came: Int = 0; lost: Int = 0; area: Time = 0 s; began: Time = 0 s; n: Int = 0 }}\n\
           outputs {{ there: Int = count(calls); mean: Real = (area + n*(time - began))/max(time, 1 ns) }}\n\
           behavior {{\n\
             on start {{ while true {{\n\
               wait draw(exponential(1 s)); came = came + 1\n\
               if n < {room} {{ tally(1); create Call {{ }} in calls }} else {{ lost = lost + 1 }}\n\
             }} }}\n\
             on calls.over {{ tally(-1) }}\n\
             private func tally(change: Int) {{ area = area + n*(time - began); began = time; n = n + change }}\n\
           }}\n}}"
    );
    let t = run(&model, "came, lost, mean, n, there", 5000, seed);
    let (n, there) = (t.at_ends("n"), t.at_ends("there"));
    assert_eq!(n, there, "those that are counted are those that are there");
    let (time, load) = (t.at_ends("time"), 4.0);
    let mut b = 1.0;
    for k in 1..=room {
        b = load * b / (f64::from(k) + load * b);
    }
    let came = t.at_ends("came");
    let area = product(&t.at_ends("mean"), &time);
    let taken: Vec<f64> = came.iter().zip(t.at_ends("lost")).map(|(a, b)| a - b).collect();
    let mut all = vec![
        Measure::new("calls", &area, &time, load * (1.0 - b)),
        Measure::new("stay", &area, &taken, load),
    ];
    if b > 1e-6 {
        all.push(Measure::new("lost", &t.at_ends("lost"), &came, b));
    }
    all
}
