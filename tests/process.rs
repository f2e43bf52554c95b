//! Each component of the process library does what its comment says: small lines with constant times, whose every
//! instant can be counted by hand.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// The last row of a run by column, in SI.
fn last(parts: &str, until: &str) -> BTreeMap<String, f64> {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("model.twinml"), dir.path().join("out.csv"));
    let text = format!(
        "use std.process {{ Source, Queue, Buffer, Server, Batch, Unbatch, Conveyor, Breakdowns, Crew, Shifts, \
         Resource, Sink, Law, Order, Part }}\n{parts}\n\
         scenario go for Line {{ duration: {until}; record all every {until} }}\n"
    );
    fs::write(&file, text).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_twinc"))
        .args(["run", "--scenario", "go", "--no-plot", "--si", "--out"])
        .args([&out, &file])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{stderr}");
    let text = fs::read_to_string(out).unwrap();
    let names = text.lines().next().unwrap().split(',').map(str::to_owned);
    let number = |x: &str| match x {
        "true" => 1.0,
        "false" => 0.0,
        x => x.parse().unwrap_or(f64::NAN),
    };
    names.zip(text.lines().last().unwrap().split(',').map(number)).collect()
}

fn check(found: &BTreeMap<String, f64>, wanted: &[(&str, f64)]) {
    let mut wrong = Vec::new();
    for (name, value) in wanted {
        let got = found.get(*name).unwrap_or_else(|| panic!("no column `{name}`"));
        let off = (got - value).abs();
        if off.is_nan() || off > 1e-6 * value.abs().max(1e-3) {
            wrong.push(format!("{name} is {got}, not {value}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_source_makes_parts_waits_for_room_and_stops_at_its_limit() {
    // Parts at 12, 22, 32 s; each takes 15 s: the second waits from 22 to 27 and the next gap begins at 27.
    let found = last(
        "twin Line {\n  twins { source: Source { law = Law.constant; gap = 10 s; first = 2 s; count = 4; limit = 3 }\n\
           server: Server { law = Law.constant; mean = 15 s }; sink: Sink }\n  connections {\n\
           source.out -> server.arrive; server.full -> source.next_full; server.out -> sink.arrive\n  }\n}",
        "100 s",
    );
    check(
        &found,
        &[
            ("source.made", 3.0),
            ("source.blocked", (5.0 + 5.0) / 100.0),
            ("source.rate", 3.0 / 100.0),
            ("server.utilisation", 45.0 / 100.0),
            ("server.left", 3.0),
            ("sink.parts", 3.0),
            ("sink.pieces", 12.0),
            // Gone at 27, 42, 57; made at 12, 27, 42.
            ("sink.lead_time", 15.0),
            ("sink.throughput", 12.0 / 100.0),
        ],
    );
}

#[test]
fn a_queue_orders_loses_and_measures() {
    // Arrivals at 1 … 6 s, service of 10 s: room for 2, so parts 4, 5, 6 are lost.
    let line = |order: &str| {
        format!(
            "twin Line {{\n  twins {{ source: Source {{ law = Law.constant; gap = 1 s; limit = 6 }}\n\
               queue: Queue {{ capacity = 2; order = Order.{order} }}\n\
               server: Server {{ law = Law.constant; mean = 10 s }}; sink: Sink }}\n  states {{ seen: Int = 0 }}\n\
               connections {{\n    source.out -> queue.arrive; queue.out -> server.arrive\n\
                 server.full -> queue.next_full; server.out -> sink.arrive\n  }}\n\
               behavior {{ on server.out(part: Part) {{ seen = 10*seen + part.id }} }}\n}}"
        )
    };
    for (order, seen, waited) in [("fifo", 123.0, 9.0 + 18.0), ("lifo", 132.0, 19.0 + 8.0)] {
        let found = last(&line(order), "50 s");
        check(
            &found,
            &[
                ("seen", seen),
                ("queue.came", 6.0),
                ("queue.left", 3.0),
                ("queue.lost", 3.0),
                ("queue.most", 2.0),
                ("queue.level", 0.0),
                ("queue.waiting", waited / 3.0),
                ("queue.mean_level", waited / 50.0),
            ],
        );
    }
}

#[test]
fn a_buffer_blocks_the_station_before_it() {
    // Work of 1 s before a station of 10 s, one place between them.
    let found = last(
        "twin Line {\n  twins { source: Source { law = Law.constant; gap = 1 us }\n\
           a: Server { law = Law.constant; mean = 1 s }; buffer: Buffer { capacity = 1 }\n\
           b: Server { law = Law.constant; mean = 10 s }; sink: Sink }\n  connections {\n\
           source.out -> a.arrive; a.full -> source.next_full; a.out -> buffer.arrive; buffer.full -> a.next_full\n\
           buffer.out -> b.arrive; b.full -> buffer.next_full; b.out -> sink.arrive\n  }\n}",
        "100.5 s",
    );
    // b begins at 1, 11, 21 …; a is done at 1, 2, 3 and then blocked up to each begin of b.
    check(
        &found,
        &[
            ("sink.parts", 9.0),
            ("buffer.level", 1.0),
            ("a.blocked", 1.0),
            ("a.left", 11.0),
            ("buffer.lost", 0.0),
        ],
    );
    let blocked = (11.0 - 3.0) + 8.0 * 9.0 + (100.5 - 92.0);
    assert!(
        (found["a.blocking"] - blocked / 100.5).abs() < 1e-4,
        "{} {}",
        found["a.blocking"],
        blocked / 100.5
    );
}

#[test]
fn places_of_a_server_work_beside_one_another_and_rest_together() {
    // Two places, parts at 1, 2 s of 10 s each; out of work from 5 to 8 s.
    let found = last(
        "twin Line {\n  inputs { fault: Bool = false }\n\
           twins { source: Source { law = Law.constant; gap = 1 s; limit = 2 }\n\
           server: Server { law = Law.constant; mean = 10 s; servers = 2 }; sink: Sink }\n\
           states { first: Time = 0 s; second: Time = 0 s }\n  connections {\n\
           source.out -> server.arrive; server.full -> source.next_full; server.out -> sink.arrive\n  }\n\
           equations { server.down = fault }\n\
           behavior { at 5 s { fault = true } at 8 s { fault = false }\n\
             on server.out(part: Part) { if part.id == 1 { first = time } else { second = time } } }\n}",
        "20 s",
    );
    check(
        &found,
        &[
            ("first", 14.0),
            ("second", 15.0),
            ("server.utilisation", 20.0 / 40.0),
            ("server.busy_places", 26.0 / 20.0),
        ],
    );
}

#[test]
fn batches_are_collected_and_taken_apart() {
    // Parts at 1, 2, … 7 s; a batch of 3 at 3 and 6; the seventh goes alone after 5 s of patience.
    let found = last(
        "twin Line {\n  twins { source: Source { law = Law.constant; gap = 1 s; limit = 7 }\n\
           batch: Batch { size = 3; patience = 5 s }; apart: Unbatch; sink: Sink; whole: Sink }\n  connections {\n\
           source.out -> batch.arrive; batch.out -> apart.arrive; batch.out -> whole.arrive; apart.full -> batch.next_full\n\
           apart.out -> sink.arrive\n  }\n}",
        "20 s",
    );
    check(
        &found,
        &[
            ("batch.came", 7.0),
            ("batch.left", 3.0),
            ("whole.parts", 3.0),
            ("whole.pieces", 7.0),
            ("whole.lead_time", (2.0 + 2.0 + 5.0) / 3.0),
            ("apart.came", 3.0),
            ("apart.left", 7.0),
            ("sink.parts", 7.0),
            ("sink.pieces", 7.0),
            ("batch.mean_level", (1.0 + 2.0 + 1.0 + 2.0 + 5.0) / 20.0),
        ],
    );
}

#[test]
fn a_conveyor_takes_its_time_and_holds_so_many() {
    // Travel of 5 s, room for 2, a server of 4 s behind it: parts enter at 1, 2, then when one has left.
    let found = last(
        "twin Line {\n  twins { source: Source { law = Law.constant; gap = 1 s; limit = 4 }\n\
           belt: Conveyor { travel = 5 s; capacity = 2 }; server: Server { law = Law.constant; mean = 4 s }; sink: Sink }\n\
           states { when: Time = 0 s }\n  connections {\n\
           source.out -> belt.arrive; belt.full -> source.next_full; belt.out -> server.arrive\n\
           server.full -> belt.next_full; server.out -> sink.arrive\n  }\n\
           behavior { on server.out(part: Part) { if part.id == 4 { when = time } } }\n}",
        "40 s",
    );
    // On the belt 1-6, 2-10 (ready at 7, the server is busy up to 10), 6-14 (ready at 11), 10-18 (ready at 15).
    check(
        &found,
        &[
            ("belt.came", 4.0),
            ("belt.left", 4.0),
            ("belt.mean_level", (5.0 + 8.0 + 8.0 + 8.0) / 40.0),
            ("when", 22.0),
            ("sink.parts", 4.0),
        ],
    );
}

#[test]
fn breakdowns_by_the_clock_and_by_use() {
    let line = |by_use: bool| {
        format!(
            "twin Line {{\n  inputs {{ use: Bool = true }}\n\
               twins {{ fails: Breakdowns {{ up_law = Law.constant; mtbf = 10 s; down_law = Law.constant; mttr = 2 s\n\
                 by_use = {by_use} }} }}\n  equations {{ fails.used = use }}\n\
               behavior {{ at 4 s {{ use = false }} at 7 s {{ use = true }} }}\n}}"
        )
    };
    // Down 10-12, 22-24, 34-36; three seconds later each where it ages only in use.
    check(&last(&line(false), "33 s"), &[("fails.failures", 2.0), ("fails.availability", 29.0 / 33.0)]);
    check(&last(&line(false), "37 s"), &[("fails.failures", 3.0), ("fails.availability", 31.0 / 37.0)]);
    check(&last(&line(true), "36.5 s"), &[("fails.failures", 2.0), ("fails.availability", 32.5 / 36.5)]);
    check(&last(&line(true), "38 s"), &[("fails.failures", 3.0), ("fails.availability", 33.0 / 38.0)]);
}

#[test]
fn a_crew_repairs_in_turn_and_in_its_shift() {
    // Two machines fail at 10 and 11 s; one person, 4 s a repair, on duty from 12 to 17 and from 22 s on.
    let found = last(
        "twin Line {\n  twins { m: Breakdowns[2] { index = i for i; up_law = Law.constant; mtbf = [10 s, 11 s]; by_crew = true }\n\
           crew: Crew { law = Law.constant; mean = 4 s }; day: Shifts { first = 12 s; length = 5 s; period = 10 s } }\n\
           connections { for i in 0..2 { m[i].call -> crew.call; crew.repaired -> m[i].repaired }\n\
           day.on -> crew.on_shift }\n}",
        "30 s",
    );
    // The first repair 12-16, the second 16-17 and 22-25; then the first machine fails again at 26.
    check(
        &found,
        &[
            ("m[0].availability", 1.0 - (6.0 + 4.0) / 30.0),
            ("m[1].availability", 1.0 - 14.0 / 30.0),
            ("m[0].failures", 2.0),
            ("m[1].failures", 1.0),
            ("crew.calls", 3.0),
            ("crew.repairs", 2.0),
            // The third begins at 26: waits of 2, 5 and 0 s.
            ("crew.waiting", 7.0 / 2.0),
            ("crew.utilisation", (4.0 + 1.0 + 3.0 + 1.0) / 30.0),
            ("day.worked", 10.0),
        ],
    );
}

#[test]
fn shifts_have_days_off() {
    // 8 h a day from 6 o'clock, five days of seven, for two weeks and the Monday after them.
    let found = last("twin Line { twins { day: Shifts { days = 5 } } }", "15 days");
    check(&found, &[("day.worked", 11.0 * 8.0 * 3600.0), ("day.on", 0.0), ("day.day", 15.0)]);
}

#[test]
fn a_resource_is_granted_in_turn() {
    // Three users ask at 1, 2, 3 s and keep one of two units for 10 s.
    let found = last(
        "twin User {\n  parameters { id: Int = 0 }\n  states { got: Time = 0 s }\n  behavior {\n\
           on start { wait (id + 1)*1 s; emit ask(id: id) }\n\
           on given(id: Int) { wait 10 s; emit back(id: id) }\n  }\n}\n\
         twin Line {\n  twins { user: User[3] { id = i for i }; tools: Resource { units = 2 } }\n\
           states { last_given: Time = 0 s }\n  connections { for i in 0..3 {\n\
             user[i].ask -> tools.want; user[i].back -> tools.done }\n    tools.granted -> user[0].given }\n\
           behavior { on tools.granted(id: Int) { last_given = time } }\n}",
        "20 s",
    );
    // Granted at 1, 2 and, when the first is back, at 11 s.
    check(
        &found,
        &[
            ("tools.grants", 3.0),
            ("last_given", 11.0),
            ("tools.waiting", 8.0 / 3.0),
            ("tools.utilisation", (10.0 + 10.0 + 9.0) / 40.0),
        ],
    );
}

#[test]
fn measures_leave_the_warm_up_out() {
    let found = last(
        "twin Line {\n  twins { source: Source { law = Law.constant; gap = 10 s; warmup = 36 s }\n\
           queue: Queue { warmup = 36 s }; server: Server { law = Law.constant; mean = 5 s; warmup = 36 s }\n\
           sink: Sink { warmup = 36 s } }\n  connections {\n\
           source.out -> queue.arrive; queue.out -> server.arrive; server.full -> queue.next_full\n\
           server.out -> sink.arrive\n  }\n}",
        "75 s",
    );
    // Parts at 10, 20, …; the fourth and later are gone at 45, 55, 65, 75: four in 39 s.
    check(
        &found,
        &[
            ("source.made", 7.0),
            ("source.rate", 4.0 / 39.0),
            ("server.utilisation", 20.0 / 39.0),
            ("sink.parts", 4.0),
            ("sink.throughput", 4.0 / 39.0),
            ("sink.lead_time", 5.0),
            ("queue.left", 4.0),
        ],
    );
}

/// Two senders see the same free place and both send, or nobody asked: nothing is kept where there is no room.
#[test]
fn a_part_without_room_ends_the_run() {
    for (full, gap) in [("s.full -> a.next_full; s.full -> b.next_full; ", 10), ("", 3)] {
        let text = format!(
            "use std.process {{ Source, Server, Sink, Law }}
twin Line {{
  twins {{ a: Source {{ law = Law.constant; gap = 10 s }}; b: Source {{ law = Law.constant; gap = {gap} s }}
           s: Server {{ law = Law.constant; mean = 4 s }}; out: Sink }}
  connections {{ a.out -> s.arrive; b.out -> s.arrive; {full}s.out -> out.arrive }}
}}
scenario go for Line {{ duration: 100 s }}"
        );
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("model.twinml");
        fs::write(&file, text).unwrap();
        let ran = Command::new(env!("CARGO_BIN_EXE_twinc"))
            .args(["run", "--no-plot", "--out"])
            .args([&dir.path().join("out.csv"), &file])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(3), "{said}");
        assert!(said.contains("no room for this part") && said.contains("of `s`"), "{said}");
    }
}
