//! Messages between twins, through the command line: who gets what and when, what the log tells, what snapshots keep, what
//! scenarios send, and that results have the same bits however they are made.
#![allow(clippy::unwrap_used, reason = "tests")]

mod place;

use place::{Place, of};
use std::fs;

use serde_json::Value;

/// Two customers, a desk that waits and answers, workers that take one thing after another, and nobody for `cancel`.
const OFFICE: &str = r#"
record Job { id: Int, weight: Mass }
agent twin Customer {
  states { asked: Int = 0; agreed: Int = 0; refused: Int = 0; puzzled: Int = 0 }
  behavior {
    every 10 s {
      asked = asked + 1
      send request(job: Job(id: asked, weight: 2 kg * asked)) to desk
    }
    on agree(eta: Duration) from who { agreed = agreed + 1; log "${who} agreed: ${eta}" }
    on refuse(reason: String) { refused = refused + 1; log reason }
    on not_understood(message: String) from who { puzzled = puzzled + 1; log "${who} does not know ${message}" }
    on confirm { log "confirmed" }
  }
}
agent twin Worker {
  states { jobs: Int = 0 }
  behavior {
    on inform(job: Job) from boss queued { wait 5 s; jobs = jobs + 1; reply inform(done: true, job: job) }
  }
}
agent twin Desk {
  memory { owners: Map<Int, Customer> }
  states { n: Int = 0; done: Int = 0 }
  twins { workers: Worker[2] }
  behavior {
    on request(job: Job) from sender {
      owners[job.id] = sender
      n = n + 1
      if job.weight > 5 kg { reply refuse(reason: "too heavy"); return }
      wait 3 s
      send inform(job: job) to workers after 2 s
      reply agree(eta: 4 min)
      after 1 s { reply confirm }
    }
    on inform(done: Bool, job: Job) from worker {
      done_at = time
      log "${worker} did ${job.id} for ${owners[job.id]} at ${done_at}"
    }
  }
}
twin Office { twins { customers: Customer[2]; desk: Desk } }
scenario day for Office {
  duration: 35 s
  at 12 s { send subscribe("news") to desk; send refuse(reason: "closing") to customers }
  record customers.asked, customers.refused, desk.n every 5 s
}
"#;

fn logged(place: &Place, args: &[&str]) -> Vec<String> {
    let objects = place.objects(args, 0);
    let lines = of(&objects, "log").into_iter();
    lines
        .map(|l| format!("{} {}: {}", l["time"], l["twin"].as_str().unwrap(), l["text"].as_str().unwrap()))
        .collect()
}

#[test]
fn an_office() {
    let place = Place::model(OFFICE);
    let said = logged(&place, &["run", "m.twinml", "--out", "r", "--no-plot"]);
    // Asked at 0, 10, 20 s by both; the third is too heavy. Two workers, one thing after another, 2 s after it was handed on.
    let wanted = [
        "3.0 customers[0]: desk agreed: 240 s",
        "3.0 customers[1]: desk agreed: 240 s",
        "4.0 customers[0]: confirmed",
        "4.0 customers[1]: confirmed",
        "10.0 desk: desk.workers[0] did 1 for customers[1] at 10 s",
        "10.0 desk: desk.workers[1] did 1 for customers[1] at 10 s",
        "12.0 customers[0]: closing",
        "12.0 customers[1]: closing",
        "13.0 customers[0]: desk agreed: 240 s",
        "13.0 customers[1]: desk agreed: 240 s",
        "14.0 customers[0]: confirmed",
        "14.0 customers[1]: confirmed",
        "15.0 desk: desk.workers[0] did 1 for customers[1] at 15 s",
        "15.0 desk: desk.workers[1] did 1 for customers[1] at 15 s",
        "20.0 desk: desk.workers[0] did 2 for customers[1] at 20 s",
        "20.0 desk: desk.workers[1] did 2 for customers[1] at 20 s",
        "20.0 customers[0]: too heavy",
        "20.0 customers[1]: too heavy",
    ];
    assert_eq!(said[..wanted.len()], wanted, "{said:#?}");
    assert_eq!(said[wanted.len()..].len(), 4, "{said:#?}");
}

/// Who sent what to whom, as a walk through the log tells it.
#[test]
fn the_log_tells_who_sent_what_to_whom() {
    let place = Place::model(OFFICE);
    let steps = "next; why; ".repeat(12);
    let all = place.objects(&["debug", "m.twinml", "--command", &steps], 0);
    let mut told = Vec::new();
    for p in of(&all, "debug_position") {
        for d in p["done"].as_array().unwrap() {
            if let Some(peer) = d.get("peer") {
                let text = |v: &Value| v.as_str().unwrap().to_owned();
                let [kind, path, event, peer] = [&d["kind"], &d["path"], &d["event"], peer].map(text);
                told.push(format!("{} {kind} {path} {event} {peer}", p["time"]));
            }
        }
    }
    for line in [
        "3.0 sent desk agree customers[0]",
        "3.0 sent desk inform desk.workers[1]",
        "5.0 message desk.workers[1] inform desk",
        "12.0 sent  subscribe desk",
        "12.0 message desk subscribe ",
        "12.0 lost desk subscribe ",
        "12.0 message customers[1] refuse ",
    ] {
        assert!(told.iter().any(|t| t == line), "{line}: {told:#?}");
    }
    let text = place.expect(0, &["debug", "m.twinml", "--command", &steps]).0;
    for line in ["desk sends agree to customers[0]\n", "  customers[0]: agree from desk\n"] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

const FLEET: &str = r#"
agent twin Truck {
  states { at: Real = 0; calls: Int = 0 }
  behavior {
    on start { at = draw(uniform(0, 100)) }
    on cfp(to: Real) from base { wait abs(at - to)*1 s; reply propose(cost: abs(at - to)) }
    on accept_proposal(to: Real) from base { at = to; calls = calls + 1; if calls > 2 { retire self } }
  }
}
agent twin Base {
  twins { trucks: Truck[4..6] }
  memory { best: Map<Int, Truck>; costs: Map<Int, Real> }
  states { round: Int = 0; jobs: Int = 0; gone: Int = 0 }
  outputs { there: Int = count(trucks) }
  behavior {
    every 5 min {
      round = round + 1
      send cfp(to: draw(uniform(0, 100))) to trucks
    }
    on propose(cost: Real) from truck {
      if not costs.contains(round) or cost < costs[round] { costs[round] = cost; best[round] = truck }
    }
    every 5 min offset 2 min {
      jobs = jobs + 1
      send accept_proposal(to: 50) to best[round]
      if there < 4 { create Truck { } in trucks }
    }
    every 5 min offset 3 min { for k, t in best { send cancel to t } }
    on failure from who { gone = gone + 1 }
  }
}
scenario week for Base { duration: 4 h; seed: 7; record jobs, gone, there every 10 min; samples: 40 }
"#;

#[test]
fn a_fleet_in_which_trucks_come_and_go() {
    let place = Place::model(FLEET);
    place.expect(0, &["run", "m.twinml", "--out", "r.csv", "--no-plot"]);
    let text = place.text("r.csv");
    let last: Vec<f64> = text.lines().last().unwrap().split(',').map(|c| c.parse().unwrap()).collect();
    // Jobs at 2, 7, … min; whoever took three retires, and the message that they are kept for comes to nobody.
    let head: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let of = |name: &str| last[head.iter().position(|h| *h == name).unwrap()];
    assert_eq!(of("jobs"), 48.0);
    assert!(of("gone") > 20.0, "{text}");
    assert!((3.0..=6.0).contains(&of("there")), "{text}");
}

#[test]
fn samples_have_the_same_bits_on_any_number_of_threads() {
    let place = Place::model(FLEET);
    let runs = |jobs: &str| {
        place.expect(0, &["mc", "m.twinml", "--jobs", jobs, "--out", &format!("j{jobs}")]);
        fs::read(place.path(&format!("j{jobs}/runs.parquet"))).unwrap()
    };
    let one = runs("1");
    assert!(one == runs("2") && one == runs("7"));
}

#[test]
fn what_is_on_its_way_is_kept() {
    for model in [OFFICE, FLEET] {
        let place = Place::model(model);
        place.expect(0, &["run", "m.twinml", "--out", "whole.csv", "--no-plot"]);
        // At 4 s two messages are on their way and handlers wait with theirs; at 301 s trucks are asked.
        for at in ["4s", "14s", "29s"] {
            place.expect(0, &["snapshot", "take", "m.twinml", "--at", at, "--out", "s.twinsnap"]);
            place.expect(0, &["run", "--from", "s.twinsnap", "--out", "rest.csv", "--no-plot"]);
            let (whole, rest) = (place.text("whole.csv"), place.text("rest.csv"));
            let (whole, rest): (Vec<&str>, Vec<&str>) = (whole.lines().collect(), rest.lines().collect());
            let skipped = whole.len() - rest.len();
            assert!(whole[skipped + 1..] == rest[1..], "{at}");
        }
    }
    let place = Place::model(OFFICE);
    place.expect(0, &["run", "m.twinml", "--snapshot-every", "4s", "--out", "r"]);
    place.expect(0, &["replay", "r"]);
    let objects = place.objects(&["diff", "r/day@4s.twinsnap", "r/day@8s.twinsnap"], 0);
    let told: Vec<(&str, &str, &str)> = of(&objects, "diff_state")
        .into_iter()
        .map(|o| {
            let text = |name: &str| o[name].as_str().unwrap_or("").to_owned().leak() as &str;
            (text("what"), text("name"), text("a"))
        })
        .collect();
    let message = told.iter().find(|(what, name, _)| (*what, *name) == ("message", "desk.workers[0].inform"));
    assert!(message.is_some_and(|(.., a)| a.contains("from desk at 5 s")), "{told:?}");
}

/// A desk that asks four trucks every minute; the fourth answers when it is too late.
const NET: &str = r#"
use std.agents { contract_net }
record Job { id: Int, at: Length }
agent twin Truck {
  parameters { home: Length = 0 m; slow: Duration = 0 s }
  states { busy: Bool = false; done: Int = 0; rejected: Int = 0 }
  behavior {
    on cfp(task: Job) from initiator {
      wait slow
      if busy { reply refuse("busy") } else { reply propose(cost: abs(task.at - home), eta: 4 min) }
    }
    on accept_proposal(task: Job) from initiator {
      busy = true
      wait 90 s
      busy = false
      done = done + 1
      reply inform(done: true, job: task)
    }
    on reject_proposal from initiator { rejected = rejected + 1 }
  }
}
agent twin Desk {
  states { assigned: Int = 0; alone: Int = 0; finished: Int = 0; late: Int = 0; sum: Length = 0 m; ids: Int = 0 }
  twins { trucks: Truck[4] { home = 10 m * i for i; slow = 3 s * i for i } }
  behavior {
    every 1 min {
      bids = contract_net(to: trucks, task: Job(id: assigned, at: 21 m), deadline: 7 s)
      if bids.is_empty() { alone = alone + 1; return }
      best = bids.min_by(b -> b.cost)
      accept(best)
      for b in bids { if b.cost > best.cost { reject(b) } }
      assigned = assigned + 1
      sum = sum + best.cost
    }
    every 1 min offset 30 s {
      none_free = contract_net(to: trucks[0..0], task: Job(id: 0, at: 0 m), deadline: 1 h)
      if none_free.len() > 0 { alone = 100 }
    }
    on inform(done: Bool, job: Job) from truck { finished = finished + 1; ids = ids + job.id }
    on propose(cost: Length, eta: Duration) from truck { late = late + 1 }
  }
}
scenario hour for Desk { duration: 10 min; record all every 10 s }
"#;

#[test]
fn a_contract_net() {
    let place = Place::model(NET);
    place.expect(0, &["run", "m.twinml", "--out", "r.csv", "--no-plot"]);
    let text = place.text("r.csv");
    let head: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let last: Vec<f64> =
        text.lines().last().unwrap().split(',').map(|c| c.parse().unwrap_or(f64::NAN)).collect();
    let of = |name: &str| last[head.iter().position(|h| *h == name).unwrap()];
    // Of the three that answer within 7 s the third is nearest, then the second while that drives, and so on in turn.
    assert_eq!((of("assigned"), of("alone")), (10.0, 0.0), "{text}");
    assert_eq!(of("sum"), 5.0 * 1.0 + 5.0 * 11.0);
    assert_eq!((of("trucks[2].done"), of("trucks[1].done"), of("trucks[3].done")), (5.0, 4.0, 0.0));
    assert_eq!((of("finished"), of("ids")), (9.0, f64::from((0..9).sum::<i32>())));
    assert_eq!(of("late"), 10.0);
    // Rejected is who proposed and was not taken; who drives refuses.
    assert_eq!((of("trucks[0].rejected"), of("trucks[1].rejected")), (10.0, 1.0));
    // Kept while it waits for proposals, of which one has come.
    for at in ["2s", "64s", "183s"] {
        place.expect(0, &["snapshot", "take", "m.twinml", "--at", at, "--out", "s.twinsnap"]);
        place.expect(0, &["run", "--from", "s.twinsnap", "--out", "rest.csv", "--no-plot"]);
        let rest = place.text("rest.csv");
        let (whole, rest): (Vec<&str>, Vec<&str>) = (text.lines().collect(), rest.lines().collect());
        assert!(whole[whole.len() - rest.len() + 1..] == rest[1..], "{at}");
    }
}

#[test]
fn branches_send_what_they_send() {
    let text = OFFICE.replace(
        "  record customers.asked",
        "  branch busy at 15 s { send refuse(reason: \"busy\") to customers[1] }
  branch later at 8 s { at 20 s { send refuse(reason: \"later\") to desk, ttl: 1 s } }
  record customers.asked",
    );
    let place = Place::model(&text);
    place.expect(0, &["run", "m.twinml", "--out", "r.csv", "--no-plot"]);
    let refused = |file: &str| -> Vec<f64> {
        let text = place.text(file);
        let head: Vec<&str> = text.lines().next().unwrap().split(',').collect();
        let last: Vec<&str> = text.lines().last().unwrap().split(',').collect();
        let of = |name: &str| last[head.iter().position(|h| *h == name).unwrap()].parse().unwrap();
        vec![of("customers[0].refused"), of("customers[1].refused")]
    };
    // 12 s: closing; 20 s, 30 s: too heavy. What the trunk sends is sent in branches, too.
    assert_eq!(refused("r.csv"), [3.0, 3.0]);
    assert_eq!(refused("r.busy.csv"), [3.0, 4.0]);
    assert_eq!(refused("r.later.csv"), [3.0, 3.0]);
}

#[test]
fn two_who_answer_each_other_for_ever_end_with_an_error() {
    let place = Place::model(
        r#"
agent twin Echo {
  states { n: Int = 0 }
  behavior { on inform(n: Int) from other { reply inform(n: n + 1) } }
}
twin Two {
  twins { a: Echo; b: Echo }
  behavior { at 1 s { send inform(n: 0) to a } }
}
twin Pair { twins { two: Two; c: Echo } behavior { at 2 s { send inform(n: 0) to c } on inform(n: Int) from x { reply inform(n: n) } } }
scenario s for Pair { duration: 10 s }
"#,
    );
    let ran = place.run(&["run", "m.twinml", "--no-plot"]);
    assert_ne!(ran.code, 0);
    assert!(ran.said().contains("E0807") && ran.said().contains("on inform(n: Int)"), "{}", ran.said());
    assert!(ran.said().contains("`c`"), "{}", ran.said());
}

#[test]
fn what_a_receiver_must_be() {
    let place = Place::model(
        r#"
agent twin A {
  memory { friends: Map<Int, A> }
  behavior { at 1 s { send cancel to friends[3] } on cancel { log "cancelled" } }
}
scenario s for A { duration: 2 s }
"#,
    );
    let ran = place.run(&["run", "m.twinml", "--no-plot"]);
    assert_ne!(ran.code, 0);
    assert!(ran.said().contains("a twin is needed here, not none"), "{}", ran.said());
    assert!(ran.said().contains("send cancel to friends[3]"), "{}", ran.said());
}

/// What is not run is refused with its own line.
#[test]
fn what_is_refused() {
    for (body, said) in [
        ("broadcast inform(n: 1)", "`broadcast` cannot be run by this version"),
        ("publish \"topic\"", "`publish` cannot be run by this version"),
        ("subscribe \"topic\"", "`subscribe` cannot be run by this version"),
        (
            "send cancel to b, conversation: 3",
            "what a message carries beside its arguments and `ttl` cannot be run by this version",
        ),
        ("x = b; n = x.n", "cannot be run by this version"),
    ] {
        let text = format!(
            "twin B {{ states {{ n: Int = 0 }} behavior {{ on cancel {{ n = 1 }} }} }}
twin A {{ twins {{ b: B }} states {{ n: Int = 0 }} behavior {{ at 1 s {{ {body} }} }} }}"
        );
        let place = Place::model(&text);
        place.expect(0, &["check", "m.twinml"]);
        let (_, err) = place.expect(2, &["run", "m.twinml", "--until", "2s"]);
        assert!(err.contains("E0750") && err.contains(said), "{body}: {err}");
    }
}
