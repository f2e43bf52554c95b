//! Messages: in which order they come, who takes them, what is answered where nobody does.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use super::post;
use super::schedule::{Mail, Scheduler};
use super::tests::{Small, code, small};
use super::*;
use twinml_model::behavior::{
    Argument, Behavior, Code, Const, Dispatch, Event, FAILURE, Handler, Heard, Hearer, Holds, Home, Instr,
    MESSAGE, Message, MessageId, NOT_UNDERSTOOD, Op2, Owner, Period, Population, Reg, SlotRef, Trigger,
    TwinRef, Which,
};
use twinml_model::bytes::{Reader, Writer};
use twinml_model::ids::{OriginId, VarId};
use twinml_model::ir::Space;
use twinml_model::schema::{Kind, Segment};

/// `inform` in the list of names, behind those that the run answers with.
const INFORM: MessageId = 2;
const AGREE: MessageId = 3;
/// The families: one who sends, those who receive.
const SENDER: u32 = 0;
const RECEIVER: u32 = 1;

fn owner(name: &str, count: u32) -> Owner {
    let axes = if count > 1 { vec![count] } else { Vec::new() };
    Owner { path: vec![Segment { name: name.into(), axes }], count, order: (0..count).collect() }
}

fn handler(owner: u32, event: u32, params: &[&str], body: u32) -> Handler {
    Handler {
        owner,
        trigger: Trigger::Event(Heard { event, per: 1, only: None }),
        scope: None,
        guard: None,
        body: Some(body),
        target: None,
        params: params.iter().map(|p| (*p).to_owned()).collect(),
        queued: false,
        origin: OriginId(0),
    }
}

fn of(owner: u32, code: Code) -> Code {
    Code { owner, ..code }
}

fn slot(var: u32) -> SlotRef {
    SlotRef { var: VarId(var), base: 0, stride: 0, at: Vec::new() }
}

/// `x = 10·x + register 0`
fn append() -> Vec<Instr> {
    vec![
        Instr::Load(4, slot(0), Which::Value, false),
        Instr::Const(5, Const::Num(10.0)),
        Instr::Bin(4, Op2::Mul, 4, 5),
        Instr::Bin(4, Op2::Add, 4, 0),
        Instr::Store(slot(0), 4),
    ]
}

fn to(owner: u32, instance: u32, out: Reg) -> Instr {
    Instr::Twin(out, Box::new(TwinRef { owner, base: instance, stride: 0, at: Vec::new() }), Vec::new())
}

/// Sends `inform(n: digit)` to receiver `k`.
fn inform(
    out: &mut Vec<Instr>,
    k: u32,
    digit: f64,
    after: Option<f64>,
    priority: Option<f64>,
    ttl: Option<f64>,
) {
    out.push(to(RECEIVER, k, 0));
    out.push(Instr::Const(1, Const::Num(digit)));
    for (r, x) in [(2, after), (3, priority), (4, ttl)] {
        out.extend(x.map(|x| Instr::Const(r, Const::Num(x))));
    }
    out.push(Instr::Send(Box::new(Dispatch {
        message: INFORM,
        to: Some(0),
        answers: None,
        args: vec![(Arc::from("n"), 1)],
        after: after.map(|_| 2),
        priority: priority.map(|_| 3),
        ttl: ttl.map(|_| 4),
    })));
}

const NUMBER: Argument = Argument { holds: Holds::Number, optional: false };

/// `on start` of the sender is `start`; a receiver's `on inform(n)` is `take`, with the message in register 1.
fn behavior(start: Vec<Instr>, take: Vec<Instr>) -> Behavior {
    let ended = |mut list: Vec<Instr>| {
        list.push(Instr::Return(None));
        list
    };
    let home =
        |base| Home { name: "x".into(), space: Space::Disc, base, len: 4, start: None, kind: Kind::Real };
    Behavior {
        vars: vec![home(0), home(4)],
        owners: vec![owner("sender", 1), owner("receivers", 2)],
        events: ["agree", "inform", "not_understood", "failure"]
            .into_iter()
            .zip([SENDER, RECEIVER, SENDER, SENDER])
            .map(|(name, owner)| Event { owner, name: name.into(), counter: None })
            .collect(),
        handlers: vec![
            Handler { trigger: Trigger::Start, ..handler(SENDER, 0, &[], 0) },
            handler(RECEIVER, 1, &["n", MESSAGE], 1),
            handler(SENDER, 0, &["n"], 2),
        ],
        codes: vec![
            code("on start", 0, 6, ended(start)),
            of(RECEIVER, code("on inform", 2, 6, ended(take))),
            code("on agree", 1, 6, ended(append())),
        ],
        messages: ["not_understood", "failure", "inform", "agree"]
            .map(|name| Message { name: name.into() })
            .into(),
        hearers: vec![
            Hearer { handler: 1, args: Some(vec![NUMBER]) },
            Hearer { handler: 2, args: Some(vec![NUMBER]) },
        ],
        ..Behavior::default()
    }
}

fn run<'a>(b: &'a Behavior, end: i128) -> (Scheduler<'a>, Small) {
    let (mut s, mut w) = (Scheduler::new(b, 1), small(8));
    s.start(&mut w).unwrap();
    go(&mut s, &mut w, end);
    (s, w)
}

fn go(s: &mut Scheduler<'_>, w: &mut Small, end: i128) {
    while let Some(ns) = s.next().filter(|ns| *ns <= end * 1_000_000_000) {
        w.flat.time = ns as f64 / 1e9;
        s.instant(w, ns, &[]).unwrap();
    }
}

#[test]
fn time_then_priority_then_the_order_of_sending() {
    let mut start = Vec::new();
    for (digit, after, priority) in [
        (1.0, Some(2.0), None),
        (2.0, None, None),
        (3.0, None, Some(-1.0)),
        (4.0, None, Some(2.0)),
        (5.0, None, None),
        (6.0, Some(1.0), None),
        (7.0, Some(2.0), Some(1.0)),
        (8.0, None, Some(2.0)),
        (9.0, Some(0.0), Some(0.5)),
    ] {
        inform(&mut start, 0, digit, after, priority, None);
    }
    let b = behavior(start, append());
    let (mut s, mut w) = (Scheduler::new(&b, 1), small(8));
    s.start(&mut w).unwrap();
    assert_eq!(w.flat.slots[0], 489_253.0);
    assert_eq!(s.next(), Some(1_000_000_000));
    go(&mut s, &mut w, 1);
    assert_eq!(w.flat.slots[0], 4_892_536.0);
    go(&mut s, &mut w, 9);
    assert_eq!(w.flat.slots[0], 489_253_671.0);
    assert_eq!(s.next(), None);
    assert_eq!(s.store.waiting, 0, "what was on its way is given back");
}

/// `reply agree(n: 10·n)`
fn agree() -> Vec<Instr> {
    vec![
        Instr::Const(2, Const::Num(1.0)),
        Instr::Bin(0, Op2::Add, 0, 2),
        Instr::Send(Box::new(Dispatch {
            message: AGREE,
            to: None,
            answers: Some(1),
            args: vec![(Arc::from("n"), 0)],
            after: None,
            priority: None,
            ttl: None,
        })),
    ]
}

#[test]
fn answers_go_back_to_whoever_sent_also_after_a_wait() {
    let mut start = Vec::new();
    inform(&mut start, 1, 3.0, None, None, None);
    inform(&mut start, 0, 5.0, Some(1.0), None, None);
    let mut take = vec![Instr::Const(3, Const::Num(2.0)), Instr::Wait(3)];
    take.extend(agree());
    let b = behavior(start, take);
    let (mut s, mut w) = (Scheduler::new(&b, 1), small(8));
    s.start(&mut w).unwrap();
    assert_eq!(w.flat.slots[0], 0.0);
    // As bytes in between: one handler waits with its message, the other message is on its way.
    let mut bytes = Writer::new();
    s.save(&mut bytes);
    let bytes = bytes.finish();
    let mut again = Scheduler::new(&b, 1);
    let mut from = Reader::new(&bytes);
    again.load(&mut from).unwrap();
    from.end().unwrap();
    for mut s in [s, again] {
        let mut w = small(8);
        go(&mut s, &mut w, 9);
        assert_eq!(w.flat.slots[0], 46.0);
        // Conversations are those of the first messages.
        let agreed: Vec<_> = w
            .mail
            .iter()
            .filter(|m| m.0 == Mail::Received && m.1.message == AGREE)
            .map(|m| (m.1.from, m.1.conversation))
            .collect();
        assert_eq!(agreed, [(Some((RECEIVER, 1)), 1), (Some((RECEIVER, 0)), 2)]);
    }
}

#[test]
fn what_nobody_takes_is_answered_once() {
    // Arguments of another name, of another kind, one too many; and an answer for which there is no handler either.
    let send = |args: Vec<(&str, Reg)>| {
        Instr::Send(Box::new(Dispatch {
            message: INFORM,
            to: Some(0),
            answers: None,
            args: args.into_iter().map(|(n, r)| (Arc::from(n), r)).collect(),
            after: None,
            priority: None,
            ttl: None,
        }))
    };
    let start = vec![
        to(RECEIVER, 0, 0),
        Instr::Const(1, Const::Num(7.0)),
        Instr::Const(2, Const::Bool(true)),
        send(vec![("m", 1)]),
        send(vec![("n", 2)]),
        send(vec![("n", 1), ("m", 1)]),
        send(vec![]),
        send(vec![("", 1)]),
        send(vec![("n", 1)]),
    ];
    let mut b = behavior(start, append());
    let (_, w) = run(&b, 1);
    assert_eq!(w.flat.slots[0], 77.0, "by place, and by name");
    let count = |what, message| w.mail.iter().filter(|m| (m.0, m.1.message) == (what, message)).count();
    assert_eq!(count(Mail::Sent, NOT_UNDERSTOOD), 4);
    assert_eq!(count(Mail::Received, NOT_UNDERSTOOD), 4);
    assert_eq!(count(Mail::Lost, NOT_UNDERSTOOD), 4, "nobody takes these, and they are not answered");
    // Without parentheses a handler takes what no other takes.
    b.handlers.push(handler(RECEIVER, 1, &[], 3));
    b.hearers.push(Hearer { handler: 3, args: None });
    let mut any = vec![Instr::Const(0, Const::Num(1.0))];
    any.extend(append());
    any.push(Instr::Return(None));
    b.codes.push(of(RECEIVER, code("on inform, any", 0, 6, any)));
    let (_, w) = run(&b, 1);
    assert_eq!(w.flat.slots[0], 111_177.0);
    assert!(w.mail.iter().all(|m| m.1.message != NOT_UNDERSTOOD));
}

#[test]
fn what_may_be_left_out_may() {
    let h = |holds, optional| Hearer { handler: 1, args: Some(vec![Argument { holds, optional }]) };
    let b = behavior(Vec::new(), append());
    let with = |v: Value| vec![(Arc::from("n"), v)];
    assert!(post::fits(&b, &h(Holds::Number, true), &Vec::new()));
    assert!(!post::fits(&b, &h(Holds::Number, false), &Vec::new()));
    assert!(post::fits(&b, &h(Holds::Number, true), &with(Value::None)));
    assert!(!post::fits(&b, &h(Holds::Number, false), &with(Value::None)));
    assert!(post::fits(&b, &h(Holds::Any, false), &with(Value::None)));
    assert!(post::fits(&b, &h(Holds::Text, false), &with(Value::text("a"))));
    assert!(!post::fits(&b, &h(Holds::Record(0), false), &with(Value::text("a"))));
    let twice = vec![(Arc::from("n"), Value::Num(1.0)), (Arc::from("n"), Value::Num(1.0))];
    assert!(!post::fits(&b, &h(Holds::Number, false), &twice));
}

#[test]
fn what_comes_too_late_is_lost() {
    let mut start = Vec::new();
    inform(&mut start, 0, 1.0, Some(2.0), None, Some(1.0));
    inform(&mut start, 0, 2.0, Some(2.0), None, Some(2.0));
    let b = behavior(start, append());
    let (s, w) = run(&b, 9);
    assert_eq!(w.flat.slots[0], 2.0);
    assert_eq!(w.mail.iter().filter(|m| m.0 == Mail::Lost).count(), 1);
    assert_eq!(s.store.waiting, 0);
    // In the queue of a handler time goes on, too: three at once, 2 s each.
    let mut start = Vec::new();
    for digit in [1.0, 2.0, 3.0] {
        inform(&mut start, 0, digit, None, None, (digit == 2.0).then_some(1.0));
    }
    let mut take = append();
    take.extend([Instr::Const(3, Const::Num(2.0)), Instr::Wait(3)]);
    let mut b = behavior(start, take);
    b.handlers[1].queued = true;
    let (s, w) = run(&b, 9);
    assert_eq!(w.flat.slots[0], 13.0);
    assert_eq!(s.store.waiting, 0);
}

#[test]
fn whoever_is_gone_is_said_to_be() {
    // The receivers are a population of which only the second is there; it retires when it is asked to.
    let mut start = Vec::new();
    inform(&mut start, 0, 1.0, None, None, None);
    inform(&mut start, 1, 2.0, None, None, None);
    inform(&mut start, 1, 3.0, Some(1.0), None, None);
    let mut take = append();
    take.push(Instr::RetireSelf(0, 1));
    let mut b = behavior(start, take);
    b.populations = vec![Population {
        name: "receivers".into(),
        present: VarId(1),
        len: 2,
        owners: vec![(RECEIVER, 1)],
        anew: Vec::new(),
    }];
    let (mut s, mut w) = (Scheduler::new(&b, 1), small(8));
    w.flat.slots[5] = 1.0;
    s.start(&mut w).unwrap();
    assert_eq!(w.flat.slots[0], 2.0);
    // Someone else takes the place before the third message comes: it is not for them.
    w.flat.slots[5] = 1.0;
    go(&mut s, &mut w, 9);
    assert_eq!(w.flat.slots[0], 2.0);
    let lost: Vec<_> =
        w.mail.iter().filter(|m| m.0 == Mail::Lost && m.1.message == INFORM).map(|m| m.1.to).collect();
    assert_eq!(lost, [(RECEIVER, 0), (RECEIVER, 1)]);
    let failures = w.mail.iter().filter(|m| m.0 == Mail::Sent && m.1.message == FAILURE).count();
    assert_eq!(failures, 2);
    assert_eq!(s.store.waiting, 0);
}

#[test]
fn two_that_answer_each_other_for_ever_are_named() {
    // `on inform { reply agree }`, `on agree { reply inform }`, without time going on.
    let mut start = Vec::new();
    inform(&mut start, 0, 1.0, None, None, None);
    let mut b = behavior(start, agree());
    b.handlers[2] = handler(SENDER, 0, &["n", MESSAGE], 2);
    let answer = Instr::Send(Box::new(Dispatch {
        message: INFORM,
        to: None,
        answers: Some(1),
        args: vec![(Arc::from("n"), 0)],
        after: None,
        priority: None,
        ttl: None,
    }));
    b.codes[2] = code("on agree", 2, 6, vec![answer, Instr::Return(None)]);
    let (mut s, mut w) = (Scheduler::new(&b, 1), small(8));
    let fault = s.start(&mut w).unwrap_err();
    let FaultKind::Zeno { steps: MICRO, handlers } = &fault.kind else { panic!("{fault:?}") };
    assert_eq!(handlers[..], ["`on inform` of `receivers[0]`", "`on agree` of `sender`"]);
}

#[test]
fn a_flood_ends_with_the_memory() {
    // Each message is answered by two that take a day.
    let mut start = Vec::new();
    inform(&mut start, 0, 1.0, None, None, None);
    let mut take = Vec::new();
    for k in [0, 1] {
        inform(&mut take, k, 1.0, Some(1e-9), None, None);
    }
    let b = behavior(start, take);
    let (mut s, mut w) = (Scheduler::new(&b, 1), small(8));
    s.store.memory = 1 << 16;
    s.start(&mut w).unwrap();
    let mut fault = None;
    for ns in 1..100 {
        match s.instant(&mut w, ns, &[]) {
            Ok(_) => {}
            Err(f) => {
                fault = Some(f);
                break;
            }
        }
    }
    assert_eq!(fault.unwrap().kind, FaultKind::Memory { limit: 1 << 16 });
}

#[test]
fn the_scenario_sends_and_is_not_answered() {
    let mut send = Vec::new();
    inform(&mut send, 0, 4.0, None, None, None);
    send.push(Instr::Return(None));
    let mut b = behavior(Vec::new(), agree());
    b.codes.push(code("the scenario", 0, 6, send));
    let (mut s, mut w) = (Scheduler::new(&b, 1), small(8));
    s.ask(3);
    s.start(&mut w).unwrap();
    s.ask(3);
    s.instant(&mut w, 5, &[]).unwrap();
    let told: Vec<_> = w.mail.iter().map(|m| (m.0, m.1.message, m.1.from)).collect();
    assert_eq!(told, [(Mail::Sent, INFORM, None), (Mail::Received, INFORM, None)].repeat(2));
    assert_eq!(w.flat.slots[0], 0.0, "the answer goes to nobody");
}

#[test]
fn a_timer_and_an_event_come_before_a_message() {
    // `at 1 s` appends 3 and emits an event that appends 2 to itself; the message of 1 s appends 1.
    let mut start = Vec::new();
    inform(&mut start, 0, 1.0, Some(1.0), None, None);
    let mut b = behavior(start, append());
    let digit = |x: f64, emit: bool| {
        let mut list = vec![Instr::Const(0, Const::Num(x))];
        list.extend(append());
        list.extend(emit.then(|| Instr::Emit(4, Vec::new())));
        list.push(Instr::Return(None));
        code("digit", 0, 6, list)
    };
    b.events.push(Event { owner: SENDER, name: "e".into(), counter: None });
    b.codes.extend([digit(3.0, true), digit(2.0, false)]);
    let second = Period::Exact(1_000_000_000_000_000_000);
    b.handlers.push(Handler { trigger: Trigger::At(second), ..handler(SENDER, 0, &[], 3) });
    b.handlers.push(handler(SENDER, 4, &[], 4));
    let (_, w) = run(&b, 1);
    assert_eq!(w.flat.slots[0], 321.0);
}
