//! What becomes of handlers, machines and events.

use super::{Files, reads_back, run};
use expect_test::{Expect, expect};
use std::fmt::Write as _;

/// Owners, watches, machines, handlers, routes and code, with the equations.
fn lowered(text: &str) -> String {
    let o = run(text, None, Files::default());
    let Some(s) = &o.flat.system else { panic!("{}", o.said()) };
    reads_back(s);
    let b = &s.behavior.model;
    let mut out = String::new();
    for e in &s.equations {
        let _ = writeln!(
            out,
            "{} = {}",
            crate::flat::print_expr(s, &e.left),
            crate::flat::print_expr(s, &e.right)
        );
    }
    for e in &s.nexts {
        let _ = writeln!(
            out,
            "next({}) = {}",
            crate::flat::print_expr(s, &e.left),
            crate::flat::print_expr(s, &e.right)
        );
    }
    for o in &b.owners {
        let path: Vec<&str> = o.path.iter().map(|s| s.name.as_str()).collect();
        let _ = writeln!(out, "owner {}: {} in order {:?}", path.join("."), o.count, o.order);
    }
    for c in &b.cells {
        let _ = writeln!(out, "cell {} {:?}", c.name, c.empty);
    }
    for m in &b.machines {
        let states: Vec<String> =
            m.states.iter().map(|s| format!("{} {}..{}", s.name, s.first_leaf, s.end_leaf)).collect();
        let _ = writeln!(out, "machine {}: {}", m.name, states.join(", "));
    }
    for r in &b.routes {
        let name = |e: u32| &b.events[e as usize].name;
        let _ = writeln!(out, "{}@{} -> {}@{}", name(r.from), r.from_instance, name(r.to), r.to_instance);
    }
    for h in &b.handlers {
        let _ = writeln!(
            out,
            "{}: {:?} in {:?} guard {:?} body {:?} to {:?}",
            h.owner, h.trigger, h.scope, h.guard, h.body, h.target
        );
    }
    for (k, c) in b.codes.iter().enumerate() {
        let _ = writeln!(out, "code {k} {} ({} of {})", c.name, c.params, c.registers);
        for (at, i) in c.instrs.iter().enumerate() {
            let _ = writeln!(out, "  {at} {i:?}");
        }
    }
    out
}

fn check(text: &str, want: Expect) {
    want.assert_eq(&lowered(text));
}

#[test]
fn a_ball_bounces() {
    check(
        "
twin Ball {
  parameters { e: Real = 0.8 }
  states { h: Length = 1 m; v: Velocity = 0 m/s; n: Int = 0 }
  equations { der(h) = v; der(v) = -9.81 m/s^2 }
  behavior { on falling(h > 0 m) { v = -e*v; n = n + 1 } }
}
",
        expect![[r#"
            der(h) = v
            der(v) = -9.81
            next(`$watch1`) = h > 0.0
            owner : 1 in order [0]
            0: Falling(0) in None guard None body Some(0) to None
            code 0 on falling (0 of 4)
              0 Load(0, SlotRef { var: var0, base: 0, stride: 0, at: [] }, Value, false)
              1 Un(1, Neg, 0)
              2 Load(2, SlotRef { var: var2, base: 0, stride: 0, at: [] }, Value, false)
              3 Bin(3, Mul, 1, 2)
              4 Store(SlotRef { var: var2, base: 0, stride: 0, at: [] }, 3)
              5 Load(0, SlotRef { var: var3, base: 0, stride: 0, at: [] }, Value, false)
              6 Const(1, Num(1.0))
              7 Bin(2, Add, 0, 1)
              8 Store(SlotRef { var: var3, base: 0, stride: 0, at: [] }, 2)
              9 Return(None)
        "#]],
    );
}

#[test]
fn states_of_a_machine_choose_equations() {
    check(
        "
twin Block {
  states { x: Length = 0 m; v: Velocity = 0.1 m/s }
  variables { F: Force; a: Acceleration }
  outputs { sticking: Bool = contact.stick }
  equations { der(x) = v; der(v) = a; a * 1 [kg] = F - 100 [N/m]*x }
  behavior {
    machine contact {
      initial stick
      state stick { entry { v = 0.1 m/s } a = 0 m/s^2; on rising(F > 6 N) -> slip }
      state slip {
        F = 4 N
        state fast { on rising(v < 0.5 m/s) -> slow when x > 0 m }
        state slow { after 2 s -> stick }
      }
    }
  }
}
",
        expect![[r#"
            sticking = contact == 0.0
            der(x) = v
            der(v) = a
            a = F - 100.0 * x
            0.0 = if contact == 0.0 then a - 0.0 else F - 4.0
            next(`$watch1`) = F > 6.0
            next(`$watch2`) = v < 0.5
            owner : 1 in order [0]
            machine contact: stick 0..1, slip 1..3, fast 1..2, slow 2..3
            0: Rising(0) in Some((0, Some(0))) guard None body None to Some(1)
            0: Rising(1) in Some((0, Some(2))) guard Some(1) body None to Some(3)
            0: After(2) in Some((0, Some(3))) guard None body None to Some(0)
            code 0 entry of stick (0 of 1)
              0 Const(0, Num(0.1))
              1 Store(SlotRef { var: var1, base: 0, stride: 0, at: [] }, 0)
              2 Return(None)
            code 1 guard of on rising (0 of 3)
              0 Load(0, SlotRef { var: var0, base: 0, stride: 0, at: [] }, Value, false)
              1 Const(1, Num(0.0))
              2 Bin(2, Cmp(Gt), 0, 1)
              3 Return(Some(2))
              4 Return(None)
            code 2 delay of after (0 of 1)
              0 Const(0, Num(2.0))
              1 Return(Some(0))
              2 Return(None)
        "#]],
    );
}

#[test]
fn queues_events_and_families() {
    check(
        "
record Part { id: Int, born: Time }
twin Source {
  parameters { gap: Duration = 50 s }
  states { n: Int = 0 }
  behavior { on start { while true { wait draw(exponential(gap)); n = n + 1; emit out(part: Part(id: n, born: time)) } } }
}
twin Station {
  inputs { next_full: Bool = false }
  outputs { full: Bool = buffer.len() >= 5; level: Int = buffer.len() }
  states { n: Int = 0 }
  memory { buffer: Queue<Part> }
  behavior {
    on arrive(part: Part) { buffer.push(part) }
    machine work {
      initial idle
      state idle { when buffer.len() > 0 and not next_full -> idle { part = buffer.pop(); n = n + 1; emit out(part: part) } }
    }
  }
}
twin Line {
  twins { src: Source; st: Station[3] }
  states { done: Int = 0; last: Time = 0 s }
  connections {
    src.out -> st[0].arrive
    for i in 0..2 { st[i].out -> st[i+1].arrive; st[i+1].full -> st[i].next_full }
  }
  outputs { wip: Int = sum(st.level) }
  behavior { on st[2].out(part: Part) { done = done + 1; last = time - part.born } }
}
",
        expect![[r#"
            wip = st.level[0] + st.level[1] + st.level[2]
            st.full[i0] = `$mirror1`[i0] >= 5.0
            st.level[i0] = `$mirror2`[i0]
            st.next_full[i0] = st.full[i0 + 1]
            st.next_full[2] = false
            next(`$watch3`[i0]) = `$mirror4`[i0] > 0.0 and not st.next_full[i0]
            owner : 1 in order [4]
            owner src: 1 in order [0]
            owner st: 3 in order [1, 2, 3]
            cell buffer List
            machine work: idle 0..1
            out@0 -> arrive@0
            out@0 -> arrive@1
            out@1 -> arrive@2
            0: Event(Heard { event: 2, per: 3, only: Some(2) }) in None guard None body Some(0) to None
            1: Start in None guard None body Some(1) to None
            2: Event(Heard { event: 1, per: 1, only: None }) in None guard None body Some(2) to None
            2: When(0) in Some((0, Some(0))) guard None body Some(3) to Some(0)
            code 0 on out (1 of 4)
              0 Load(1, SlotRef { var: var0, base: 0, stride: 0, at: [] }, Value, false)
              1 Const(2, Num(1.0))
              2 Bin(3, Add, 1, 2)
              3 Store(SlotRef { var: var0, base: 0, stride: 0, at: [] }, 3)
              4 Time(1)
              5 Field(2, 0, 1)
              6 Bin(3, Sub, 1, 2)
              7 Store(SlotRef { var: var1, base: 0, stride: 0, at: [] }, 3)
              8 Return(None)
            code 1 on start (0 of 6)
              0 Const(0, Bool(true))
              1 JumpUnless(0, 14)
              2 Load(1, SlotRef { var: var3, base: 0, stride: 0, at: [] }, Value, false)
              3 Draw(2, Named("exponential", [1]))
              4 Wait(2)
              5 Load(3, SlotRef { var: var4, base: 0, stride: 0, at: [] }, Value, false)
              6 Const(4, Num(1.0))
              7 Bin(5, Add, 3, 4)
              8 Store(SlotRef { var: var4, base: 0, stride: 0, at: [] }, 5)
              9 Load(3, SlotRef { var: var4, base: 0, stride: 0, at: [] }, Value, false)
              10 Time(4)
              11 Record(5, 0, [3, 4])
              12 Emit(0, [("part", 5)])
              13 Jump(0)
              14 Return(None)
            code 2 on arrive (1 of 4)
              0 TakeCell(2, 0, 0, 1, None)
              1 Method(3, Push, 2, [0])
              2 StoreCell(0, 0, 1, None, 2)
              3 Return(None)
            code 3 when (0 of 4)
              0 TakeCell(2, 0, 0, 1, None)
              1 Method(3, Pop, 2, [])
              2 StoreCell(0, 0, 1, None, 2)
              3 Move(0, 3)
              4 Load(1, SlotRef { var: var8, base: 0, stride: 1, at: [] }, Value, false)
              5 Const(2, Num(1.0))
              6 Bin(3, Add, 1, 2)
              7 Store(SlotRef { var: var8, base: 0, stride: 1, at: [] }, 3)
              8 Emit(2, [("part", 0)])
              9 Return(None)
            code 4 a value for formulas (0 of 2)
              0 LoadCell(0, 0, 0, 1, None)
              1 Method(1, Len, 0, [])
              2 Return(Some(1))
              3 Return(None)
            code 5 a value for formulas (0 of 2)
              0 LoadCell(0, 0, 0, 1, None)
              1 Method(1, Len, 0, [])
              2 Return(Some(1))
              3 Return(None)
            code 6 a value for formulas (0 of 2)
              0 LoadCell(0, 0, 0, 1, None)
              1 Method(1, Len, 0, [])
              2 Return(Some(1))
              3 Return(None)
        "#]],
    );
}

#[test]
fn the_rate_of_a_driven_input_is_that_of_its_formula() {
    let all = lowered(
        "
twin Watch {
  inputs { T: Real }
  states { n: Int = 0 }
  behavior { on rising(der(T) > 1 [1/s]) { n = n + 1 } }
}
twin P {
  states { x: Real = 1 }
  outputs { y: Real = 2*x }
  equations { der(x) = -x/1 s }
  twins { w: Watch[2] }
  connections { for i in 0..2 { y -> w[i].T } }
}
",
    );
    let next = all.lines().find(|l| l.starts_with("next(")).unwrap();
    assert_eq!(next, "next(`$watch1`[i0]) = 2.0 * der(x) > 1.0");
}

#[test]
fn a_state_without_its_equation_is_named() {
    let o = run(
        "
twin Valve {
  variables { u: Real }
  behavior { machine mode { initial shut; state shut { after 1 s -> open } state open { u = 1 } } }
}
",
        None,
        Files::default(),
    );
    let said = o.said();
    assert!(said.contains("E0734") && said.contains("`shut`") && said.contains("`u`"), "{said}");
}
