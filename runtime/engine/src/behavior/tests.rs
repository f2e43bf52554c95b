//! Hand-assembled code.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use super::*;
use twinml_model::behavior::{
    Behavior, Cell, Code, Const, Empty, Home, Instr, Method, Op2, Owner, SlotRef, Which,
};
use twinml_model::ids::{OriginId, TableId, VarId};
use twinml_model::ir::{CmpOp, Space, Trap};
use twinml_model::schema::Kind;

/// A memory of one space.
#[derive(Default)]
pub(super) struct Flat {
    pub time: f64,
    pub slots: Vec<f64>,
}

impl Slots for Flat {
    fn time(&self) -> f64 {
        self.time
    }
    fn load(&mut self, home: &Home, element: u32, _: Which) -> Result<f64, Trap> {
        Ok(self.slots[(home.base + element) as usize])
    }
    fn store(&mut self, home: &Home, element: u32, value: f64) {
        self.slots[(home.base + element) as usize] = value;
    }
    fn table(&mut self, table: TableId, x: f64) -> Result<f64, Trap> {
        Err(Trap::TableRange { table, x })
    }
}

/// The same as a world. Watches are copies of slots, `watch[i] = source[i]`; what becomes of messages is taken down.
pub(super) struct Small {
    pub flat: Flat,
    pub watches: Vec<(usize, usize)>,
    pub mail: Vec<(Mail, Carried)>,
}

impl Slots for Small {
    fn time(&self) -> f64 {
        self.flat.time
    }
    fn load(&mut self, home: &Home, element: u32, which: Which) -> Result<f64, Trap> {
        self.flat.load(home, element, which)
    }
    fn store(&mut self, home: &Home, element: u32, value: f64) {
        self.flat.store(home, element, value);
    }
    fn table(&mut self, table: TableId, x: f64) -> Result<f64, Trap> {
        self.flat.table(table, x)
    }
}

impl World for Small {
    fn settle(&mut self, out: &mut Vec<Changed>) -> Result<(), Trap> {
        for &(watch, source) in &self.watches {
            let (old, new) = (self.flat.slots[watch], self.flat.slots[source]);
            if old != new {
                self.flat.slots[watch] = new;
                out.push(Changed { slot: watch as u32, old, new });
            }
        }
        Ok(())
    }
    fn mail(&mut self, what: Mail, of: Carried) {
        self.mail.push((what, of));
    }
}

pub(super) fn small(slots: usize) -> Small {
    Small { flat: Flat { time: 0.0, slots: vec![0.0; slots] }, watches: Vec::new(), mail: Vec::new() }
}

pub(super) fn code(name: &str, params: u16, registers: u16, instrs: Vec<Instr>) -> Code {
    let origins = (0..instrs.len()).map(OriginId::new).collect();
    Code { name: name.to_owned(), owner: 0, params, registers, instrs, origins }
}

fn program(codes: Vec<Code>) -> Behavior {
    let home = Home { name: "x".into(), space: Space::Disc, base: 0, len: 4, start: None, kind: Kind::Real };
    Behavior {
        vars: vec![home],
        owners: vec![Owner { path: Vec::new(), count: 1, order: vec![0] }],
        cells: vec![Cell {
            owner: 0,
            name: "q".into(),
            len: 1,
            start: None,
            empty: Empty::List,
            origin: OriginId(0),
        }],
        codes,
        ..Behavior::default()
    }
}

fn run(b: &Behavior, args: Vec<Value>) -> (Result<Outcome, Box<Fault>>, Flat, Store, Effects) {
    let mut flat = Flat { time: 2.5, slots: vec![0.0; 4] };
    let mut store = Store::new(b, 1);
    let mut effects = Effects::default();
    let mut thread = Thread::new(b, &mut store, 0, 0, args, 0);
    let mut vm =
        Vm { behavior: b, slots: &mut flat, store: &mut store, effects: &mut effects, stream: (0, 0) };
    let outcome = vm.run(&mut thread);
    (outcome, flat, store, effects)
}

fn done(b: &Behavior, args: Vec<Value>) -> Value {
    match run(b, args).0.unwrap() {
        Outcome::Done(v) => v,
        other => panic!("{other:?}"),
    }
}

fn num(r: u16, x: f64) -> Instr {
    Instr::Const(r, Const::Num(x))
}

#[test]
fn a_loop_adds_up() {
    // r0 = n; r1 = sum; r2 = k
    let b = program(vec![code(
        "sum",
        1,
        5,
        vec![
            num(1, 0.0),
            num(2, 0.0),
            num(4, 1.0),
            Instr::Bin(3, Op2::Cmp(CmpOp::Lt), 2, 0),
            Instr::JumpUnless(3, 8),
            Instr::Bin(1, Op2::Add, 1, 2),
            Instr::Bin(2, Op2::Add, 2, 4),
            Instr::Jump(3),
            Instr::Return(Some(1)),
        ],
    )]);
    assert_eq!(done(&b, vec![Value::Num(100.0)]), Value::Num(4950.0));
    // Without end: stopped, and the loop's jump is named.
    let (outcome, ..) = run(&b, vec![Value::Num(f64::INFINITY)]);
    let fault = outcome.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Fuel { limit: FUEL });
    assert_eq!(fault.origin, Some(OriginId(7)));
}

#[test]
fn calls_have_a_depth() {
    // fact(n) = n <= 1 ? 1 : n*fact(n-1)
    let fact = |limit: f64| {
        program(vec![code(
            "fact",
            1,
            5,
            vec![
                num(1, limit),
                num(4, 1.0),
                Instr::Bin(2, Op2::Cmp(CmpOp::Le), 0, 1),
                Instr::JumpUnless(2, 5),
                Instr::Return(Some(4)),
                Instr::Bin(3, Op2::Sub, 0, 4),
                Instr::Call(3, 0, vec![3]),
                Instr::Bin(3, Op2::Mul, 0, 3),
                Instr::Return(Some(3)),
            ],
        )])
    };
    assert_eq!(done(&fact(1.0), vec![Value::Num(10.0)]), Value::Num(3_628_800.0));
    let fault = run(&fact(f64::NEG_INFINITY), vec![Value::Num(10.0)]).0.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Depth { limit: DEPTH });
}

#[test]
fn memory_has_a_limit() {
    let b = program(vec![code(
        "grow",
        0,
        3,
        vec![
            Instr::LoadCell(0, 0, 0, 0, None),
            num(1, 1.0),
            Instr::Method(2, Method::Push, 0, vec![1]),
            Instr::Jump(1),
            Instr::Return(None),
        ],
    )]);
    let mut fault = None;
    let mut store = Store::new(&b, 1);
    store.memory = 1 << 20;
    let mut flat = Flat::default();
    let mut effects = Effects::default();
    let mut thread = Thread::new(&b, &mut store, 0, 0, Vec::new(), 0);
    let mut vm =
        Vm { behavior: &b, slots: &mut flat, store: &mut store, effects: &mut effects, stream: (0, 0) };
    if let Err(f) = vm.run(&mut thread) {
        fault = Some(f);
    }
    assert_eq!(fault.unwrap().kind, FaultKind::Memory { limit: 1 << 20 });
    // A text that doubles.
    let b = program(vec![code(
        "double",
        0,
        1,
        vec![
            Instr::Const(0, Const::Str(Arc::from("ab"))),
            Instr::Bin(0, Op2::Add, 0, 0),
            Instr::Jump(1),
            Instr::Return(None),
        ],
    )]);
    assert_eq!(run(&b, Vec::new()).0.unwrap_err().kind, FaultKind::Memory { limit: MEMORY });
}

#[test]
fn slots_cells_events_and_closures() {
    let slot = SlotRef { var: VarId(0), base: 1, stride: 0, at: vec![(0, 3, 1)] };
    let b = program(vec![
        code(
            "main",
            1,
            6,
            vec![
                num(1, 7.0),
                Instr::Store(slot.clone(), 1),
                Instr::Load(2, slot, Which::Value, false),
                Instr::LoadCell(3, 0, 0, 0, None),
                Instr::Method(4, Method::Push, 3, vec![2]),
                Instr::Method(4, Method::Push, 3, vec![1]),
                Instr::StoreCell(0, 0, 0, None, 3),
                Instr::Emit(0, vec![(Arc::from("n"), 2)]),
                Instr::Closure(4, 1, vec![1]),
                Instr::Method(5, Method::Map, 3, vec![4]),
                Instr::Method(5, Method::Sum, 5, vec![]),
                Instr::Return(Some(5)),
            ],
        ),
        code("x + k", 2, 2, vec![Instr::Bin(0, Op2::Mul, 0, 1), Instr::Return(Some(0))]),
    ]);
    let (outcome, flat, store, effects) = run(&b, vec![Value::Num(2.0)]);
    assert!(matches!(outcome.unwrap(), Outcome::Done(Value::Num(98.0))));
    assert_eq!(flat.slots, [0.0, 0.0, 0.0, 7.0]);
    assert_eq!(store.cells[0][0], Value::list([Value::Num(7.0), Value::Num(7.0)]));
    assert_eq!(effects.emits, [(0, 0, vec![(Arc::from("n"), Value::Num(7.0))])]);
    assert_eq!(effects.cells, [(0, 0)]);
    let fault = run(&b, vec![Value::Num(3.0)]).0.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Index { index: 3.0, len: 3 });
}

#[test]
fn waiting_keeps_registers() {
    let b = program(vec![code(
        "wait",
        0,
        2,
        vec![num(0, 3.0), Instr::Wait(0), Instr::Time(1), Instr::Return(Some(0))],
    )]);
    let (mut flat, mut store, mut effects) = (Flat::default(), Store::new(&b, 1), Effects::default());
    let mut thread = Thread::new(&b, &mut store, 0, 0, Vec::new(), 0);
    let mut vm =
        Vm { behavior: &b, slots: &mut flat, store: &mut store, effects: &mut effects, stream: (0, 0) };
    assert!(matches!(vm.run(&mut thread).unwrap(), Outcome::Wait(3.0)));
    assert!(matches!(vm.run(&mut thread).unwrap(), Outcome::Done(Value::Num(3.0))));
}

#[test]
fn values_of_the_wrong_kind_are_faults() {
    let b = program(vec![code("bad", 2, 2, vec![Instr::Bin(0, Op2::Sub, 0, 1), Instr::Return(Some(0))])]);
    let fault = run(&b, vec![Value::text("a"), Value::Num(1.0)]).0.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Type { wanted: "a number", found: "a text" });
    let pair = |x: f64, y: f64| Value::list([Value::Num(x), Value::Num(y)]);
    assert_eq!(done(&b, vec![pair(5.0, 7.0), pair(1.0, 2.0)]), pair(4.0, 5.0));
    assert_eq!(done(&b, vec![pair(5.0, 7.0), Value::Num(1.0)]), pair(4.0, 6.0));
}
