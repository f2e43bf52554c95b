//! Machines, timers and events over a memory of one space.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::tests::{Small, code, small};
use super::*;
use twinml_model::behavior::{
    Behavior, Code, Const, Event, Handler, Heard, Home, Instr, Machine, Op2, Owner, Period, Reg, Route,
    SlotRef, State, Trigger, Watch, Which,
};
use twinml_model::ids::{OriginId, VarId};
use twinml_model::ir::Space;
use twinml_model::schema::Kind;

fn home(base: u32, len: u32) -> Home {
    Home { name: "x".into(), space: Space::Disc, base, len, start: None, kind: Kind::Real }
}

fn owner(count: u32) -> Owner {
    Owner { path: Vec::new(), count, order: (0..count).collect() }
}

fn handler(trigger: Trigger, body: Option<u32>) -> Handler {
    Handler {
        owner: 0,
        trigger,
        scope: None,
        guard: None,
        body,
        target: None,
        params: Vec::new(),
        queued: false,
        origin: OriginId(0),
    }
}

fn slot(var: u32) -> SlotRef {
    SlotRef { var: VarId(var), base: 0, stride: 1, at: Vec::new() }
}

/// `x = 10·x + digit`: the order in which things ran is the number.
fn digit(var: u32, digit: f64) -> Code {
    append(var, digit, 10.0, Vec::new())
}

fn append(var: u32, digit: f64, by: f64, mut after: Vec<Instr>) -> Code {
    let mut instrs = vec![
        Instr::Load(0, slot(var), Which::Value, false),
        Instr::Const(1, Const::Num(by)),
        Instr::Const(2, Const::Num(digit)),
        Instr::Bin(0, Op2::Mul, 0, 1),
        Instr::Bin(0, Op2::Add, 0, 2),
        Instr::Store(slot(var), 0),
    ];
    instrs.append(&mut after);
    instrs.push(Instr::Return(None));
    code(&format!("digit {digit}"), 0, 3, instrs)
}

fn seconds(s: i128) -> Period {
    Period::Exact(s * 1_000_000_000_000_000_000)
}

fn constant(x: f64) -> Code {
    code("constant", 0, 1, vec![Instr::Const(0, Const::Num(x)), Instr::Return(Some(0))])
}

/// Runs timers up to `end` seconds.
fn until(s: &mut Scheduler<'_>, world: &mut Small, end: i128) -> u64 {
    let mut instants = 0;
    while let Some(ns) = s.next().filter(|ns| *ns <= end * 1_000_000_000) {
        world.flat.time = ns as f64 / 1e9;
        s.instant(world, ns, &[]).unwrap();
        instants += 1;
    }
    instants
}

#[test]
fn timers_of_an_instant_run_in_order_of_declaration() {
    let every = |p, o| Trigger::Every { period: seconds(p), offset: seconds(o) };
    let b = Behavior {
        vars: vec![home(0, 1)],
        owners: vec![owner(1)],
        handlers: vec![
            handler(every(2, 0), Some(0)),
            handler(Trigger::At(seconds(2)), Some(1)),
            handler(Trigger::Start, Some(2)),
        ],
        codes: vec![digit(0, 1.0), digit(0, 2.0), digit(0, 3.0)],
        ..Behavior::default()
    };
    let (mut s, mut w) = (Scheduler::new(&b, 1), small(1));
    s.start(&mut w).unwrap();
    assert_eq!(w.flat.slots[0], 31.0);
    assert_eq!(until(&mut s, &mut w, 4), 2);
    assert_eq!(w.flat.slots[0], 31_121.0);
}

#[test]
fn a_million_timer_events() {
    let b = Behavior {
        vars: vec![home(0, 1)],
        owners: vec![owner(1)],
        handlers: vec![handler(
            Trigger::Every { period: Period::Exact(1_000_000_000_000), offset: Period::Exact(0) },
            Some(0),
        )],
        codes: vec![append(0, 1.0, 1.0, Vec::new())],
        ..Behavior::default()
    };
    let (mut s, mut w) = (Scheduler::new(&b, 1), small(1));
    s.start(&mut w).unwrap();
    until(&mut s, &mut w, 1);
    assert_eq!(w.flat.slots[0], 1_000_001.0);
}

/// idle (0) and filling { fast (1), slow (2) }: entry and exit leave digits behind.
fn filling(count: u32) -> Behavior {
    let state = |name: &str, parent, initial, first_leaf, end_leaf, entry, exit| State {
        name: name.into(),
        parent,
        initial,
        first_leaf,
        end_leaf,
        entry,
        exit,
    };
    let hears = |event| Trigger::Event(Heard { event, per: 1, only: None });
    let within = |s: Option<u32>, trigger, target, guard| Handler {
        scope: Some((0, s)),
        target,
        guard,
        params: vec!["n".into()],
        ..handler(trigger, None)
    };
    let event = |name: &str| Event { owner: 0, name: name.into(), counter: None };
    let positive = code(
        "n > 0",
        1,
        2,
        vec![
            Instr::Const(1, Const::Num(0.0)),
            Instr::Bin(0, Op2::Cmp(twinml_model::ir::CmpOp::Gt), 0, 1),
            Instr::Return(Some(0)),
        ],
    );
    Behavior {
        vars: vec![home(0, count), home(count, count), home(2 * count, count)],
        owners: vec![owner(count)],
        events: vec![event("go"), event("back"), event("out")],
        watches: vec![Watch { var: VarId(2), owner: 0, origin: OriginId(0) }],
        machines: vec![Machine {
            owner: 0,
            name: "mode".into(),
            var: VarId(0),
            states: vec![
                state("idle", None, None, 0, 1, Some(0), Some(1)),
                state("filling", None, Some(2), 1, 3, Some(2), Some(3)),
                state("fast", Some(1), None, 1, 2, Some(4), Some(5)),
                state("slow", Some(1), None, 2, 3, Some(6), None),
            ],
            initial: 0,
            origin: OriginId(0),
        }],
        handlers: vec![
            within(Some(0), hears(0), Some(1), Some(7)),
            within(Some(2), Trigger::After(8), Some(3), None),
            within(Some(1), hears(1), Some(0), None),
            within(None, hears(2), Some(3), None),
            within(Some(3), Trigger::When(0), Some(0), None),
        ],
        codes: vec![
            digit(1, 1.0),
            digit(1, 2.0),
            digit(1, 3.0),
            digit(1, 4.0),
            digit(1, 5.0),
            digit(1, 6.0),
            digit(1, 7.0),
            positive,
            constant(10.0),
        ],
        ..Behavior::default()
    }
}

fn send(s: &mut Scheduler<'_>, w: &mut Small, event: u32, i: u32, n: f64) {
    s.send(event, i, vec![("n".into(), Value::Num(n))]);
    let now = (w.flat.time * 1e9) as i128;
    s.instant(w, now, &[]).unwrap();
}

#[test]
fn machines_enter_leave_and_bubble() {
    let b = filling(1);
    let (mut s, mut w) = (Scheduler::new(&b, 1), small(3));
    s.start(&mut w).unwrap();
    assert_eq!(w.flat.slots, [0.0, 1.0, 0.0]);
    send(&mut s, &mut w, 0, 0, 0.0);
    assert_eq!(w.flat.slots[0], 0.0, "the guard is false");
    send(&mut s, &mut w, 0, 0, 1.0);
    assert_eq!(w.flat.slots, [1.0, 1235.0, 0.0], "outer before inner");
    // `back` is not handled in `fast`: it bubbles up; the timer armed at entry is cancelled.
    send(&mut s, &mut w, 1, 0, 0.0);
    assert_eq!(w.flat.slots, [0.0, 1_235_641.0, 0.0], "inner before outer");
    assert_eq!(until(&mut s, &mut w, 20), 1);
    assert_eq!(w.flat.slots[0], 0.0);
    // `after 10 s` counts from the entry.
    w.flat.slots[1] = 0.0;
    w.flat.time = 30.0;
    send(&mut s, &mut w, 0, 0, 1.0);
    assert_eq!(s.next(), Some(40_000_000_000));
    until(&mut s, &mut w, 40);
    assert_eq!(w.flat.slots[..2], [2.0, 23_567.0]);
    // `when` needs no crossing: it holds on entry.
    w.flat.slots[1] = 0.0;
    w.flat.slots[2] = 1.0;
    send(&mut s, &mut w, 2, 0, 0.0);
    assert_eq!(w.flat.slots[..2], [0.0, 43_741.0], "slow is left, entered anew and left at once");
}

#[test]
fn instances_are_apart() {
    let n = 10_000;
    let b = filling(n);
    let (mut s, mut w) = (Scheduler::new(&b, 1), small(3 * n as usize));
    s.start(&mut w).unwrap();
    for i in (0..n).step_by(2) {
        send(&mut s, &mut w, 0, i, 1.0);
    }
    for i in 0..n as usize {
        assert_eq!(w.flat.slots[i], f64::from(u8::from(i % 2 == 0)));
    }
    until(&mut s, &mut w, 10);
    assert_eq!(w.flat.slots[..4], [2.0, 0.0, 2.0, 0.0]);
}

#[test]
fn events_travel_and_threads_wait() {
    // Event 0 of instance 0 becomes event 1 of instance 1; a handler waits for it, then 2 s.
    let wait = |r: Reg| {
        vec![
            Instr::Const(r, Const::Num(2.0)),
            Instr::WaitFor(Heard { event: 1, per: 1, only: None }),
            Instr::Wait(r),
            Instr::Const(r, Const::Num(7.0)),
            Instr::Store(slot(0), r),
            Instr::Return(None),
        ]
    };
    let event = |name: &str| Event { owner: 0, name: name.into(), counter: Some(VarId(1)) };
    let b = Behavior {
        vars: vec![home(0, 2), home(2, 2)],
        owners: vec![owner(2)],
        events: vec![event("a"), event("b")],
        handlers: vec![
            handler(Trigger::Start, Some(0)),
            handler(Trigger::Event(Heard { event: 0, per: 1, only: None }), Some(1)),
        ],
        routes: vec![Route { from: 0, from_instance: 0, to: 1, to_instance: 1 }],
        codes: vec![code("wait", 0, 1, wait(0)), digit(0, 5.0)],
        ..Behavior::default()
    };
    let (mut s, mut w) = (Scheduler::new(&b, 1), small(4));
    s.start(&mut w).unwrap();
    s.send(0, 0, Args::new());
    s.instant(&mut w, 1_000_000_000, &[]).unwrap();
    assert_eq!(w.flat.slots, [5.0, 0.0, 1.0, 1.0]);
    assert_eq!(s.next(), Some(3_000_000_000));
    until(&mut s, &mut w, 3);
    assert_eq!(w.flat.slots, [5.0, 7.0, 1.0, 1.0]);
}

#[test]
fn conditions_rise_and_endless_instants_are_named() {
    // `on rising(x) { x = 0; emit e }`, `on e { x = 1 }`: never quiet.
    let put = |x: f64, emit: bool| {
        let mut instrs = vec![Instr::Const(0, Const::Num(x)), Instr::Store(slot(0), 0)];
        if emit {
            instrs.push(Instr::Emit(0, Vec::new()));
        }
        instrs.push(Instr::Return(None));
        code(if emit { "on rising(x)" } else { "on e" }, 0, 1, instrs)
    };
    let mut b = Behavior {
        vars: vec![home(0, 1), home(1, 1)],
        owners: vec![owner(1)],
        events: vec![Event { owner: 0, name: "e".into(), counter: None }],
        watches: vec![Watch { var: VarId(1), owner: 0, origin: OriginId(0) }],
        handlers: vec![
            handler(Trigger::Rising(0), Some(0)),
            handler(Trigger::Event(Heard { event: 0, per: 1, only: None }), Some(1)),
        ],
        codes: vec![put(0.0, true), put(1.0, false)],
        ..Behavior::default()
    };
    let world = || {
        let mut w = small(2);
        w.watches = vec![(1, 0)];
        w
    };
    let mut w = world();
    let mut s = Scheduler::new(&b, 1);
    s.start(&mut w).unwrap();
    s.send(0, 0, Args::new());
    let fault = s.instant(&mut w, 0, &[]).unwrap_err();
    let FaultKind::Zeno { steps: MICRO, handlers } = &fault.kind else { panic!("{fault:?}") };
    assert_eq!(handlers[..], ["`on rising(x)`", "`on e`"]);
    // Without the emit it is quiet after one round.
    b.codes[0] = put(0.0, false);
    let mut w = world();
    let mut s = Scheduler::new(&b, 1);
    s.start(&mut w).unwrap();
    s.send(0, 0, Args::new());
    assert!(s.instant(&mut w, 0, &[]).unwrap().ran);
    assert_eq!(w.flat.slots, [0.0, 0.0]);
}
