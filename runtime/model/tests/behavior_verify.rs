//! What `verify` says of behaviour that contradicts itself: one change to a program that holds together, one refusal.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use twinml_model::text::{program_text, read_program};
use twinml_model::verify::verify;

fn base() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/filetests/ir/behavior.ir");
    let text = std::fs::read_to_string(file).unwrap();
    text.split("\n----\n").next().unwrap().to_owned()
}

#[test]
fn each_broken_invariant_is_named() {
    let base = base();
    verify(&read_program(&base).unwrap()).unwrap();
    for (from, to, said) in [
        ("base: 0, len: 2, start", "base: 2, len: 2, start", "disc"),
        ("kind: Enum(0)", "kind: Enum(1)", "enum"),
        ("count: 2, order", "count: 3, order", "an owner with another number of instances"),
        ("order: [0, 1]", "order: [0]", "an owner with another number of instances"),
        (
            "axes: [2] }], count: 2, order: [0, 1]",
            "axes: [1] }], count: 1, order: [0]",
            "no discrete value for each instance",
        ),
        ("event { owner: 0", "event { owner: 1", "an owner that is not there"),
        (
            "machine { owner: 0, name: \"m\", var: 0",
            "machine { owner: 0, name: \"m\", var: 1",
            "a family that is not there",
        ),
        ("], initial: 0, origin", "], initial: 2, origin", "a state that is not there"),
        ("first_leaf: 1, end_leaf: 2", "first_leaf: 0, end_leaf: 2", "leaves that are not numbered in order"),
        (
            "first_leaf: 1, end_leaf: 2",
            "first_leaf: 1, end_leaf: 3",
            "a state with leaves and no initial one",
        ),
        ("name: \"on\", parent: none", "name: \"on\", parent: 1", "states that do not stand in preorder"),
        (
            "name: \"on\", parent: none",
            "name: \"on\", parent: 0",
            "a state whose leaves are not its parent's",
        ),
        (
            "name: \"on\", parent: none, initial: none",
            "name: \"on\", parent: none, initial: 1",
            "an initial state that is not its own",
        ),
        ("entry: 0", "entry: 1", "a code that is not there"),
        ("event: 0, per: 1", "event: 1, per: 1", "an event that is not there"),
        ("event: 0, per: 1", "event: 0, per: 0", "an event that reaches an instance that is not there"),
        ("only: none }), scope", "only: 1 }), scope", "an event that reaches an instance that is not there"),
        ("scope: (0, 0)", "scope: (1, 0)", "a machine that is not there"),
        ("scope: (0, 0)", "scope: (0, 2)", "a state that is not there"),
        ("target: 1", "target: 2", "a transition to a state that is not there"),
        ("scope: (0, 0)", "scope: none", "a transition to a state that is not there"),
        ("queued: false, origin: 0 }\n  code", "queued: false, origin: 9 }\n  code", "origin9"),
        ("registers 2 {", "registers 1 {", "a register outside of its frame"),
        ("params 0 registers", "params 3 registers", "more arguments than registers"),
        ("code \"entry of on\" owner 0", "code \"entry of on\" owner 1", "a code of another family"),
        ("JumpUnless(0, 5)", "JumpUnless(0, 6)", "a jump out of its code"),
        ("Return(none) @0", "Jump(0) @0", "a code without an end"),
        ("base: 0, stride: 1", "base: 1, stride: 1", "an address outside of its family"),
        ("base: 0, stride: 1", "base: 0, stride: 4294967295", "an address outside of its family"),
        ("at: [] }, Value", "at: [(0, 3, 1)] }, Value", "an address outside of its family"),
        ("}, Value, false", "}, Der, false", "a derivative or a start value that is not there"),
        ("Emit(0, [])", "Emit(3, [])", "an event that is not there"),
        ("Emit(0, [])", "Call(0, 7, [])", "a code that is not there"),
        ("Emit(0, [])", "Record(0, 0, [])", "a record with other fields"),
        ("Emit(0, [])", "Table(0, 0, 1)", "a table that is not there"),
        ("Emit(0, [])", "Math(0, sin, [0, 1])", "a function with another number of arguments"),
        ("Emit(0, [])", "WaitUntil(0)", "a watch that is not there"),
        ("Emit(0, [])", "LoadCell(0, 0, 0, 0, none)", "a cell that is not there"),
        (
            "Emit(0, [])",
            "Draw(0, Mixture([Named(\"normal\", [0, 5])], none))",
            "a register outside of its frame",
        ),
    ] {
        let text = base.replacen(from, to, 1);
        assert_ne!(text, base, "{from}");
        let program = read_program(&text).unwrap_or_else(|e| panic!("{to}: {e}"));
        let error = verify(&program).err().unwrap_or_else(|| panic!("{to} passes")).to_string();
        assert!(error.contains(said), "{to}: {error}");
    }
}

#[test]
fn hostile_text_is_refused() {
    let base = base();
    let deep =
        format!("Draw(0, {}Named(\"normal\", []){})", "Truncated(".repeat(5000), ", 0, 0)".repeat(5000));
    let list = format!("List(0, {}{})", "[".repeat(5000), "]".repeat(5000));
    for (from, to) in [
        ("Emit(0, [])", deep.as_str()),
        ("Emit(0, [])", list.as_str()),
        ("Emit(0, [])", "Emit(0, [], [])"),
        ("Emit(0, [])", "Nothing"),
        ("Emit(0, [])", "Load(70000, 1)"),
        ("Exact(0)", "Exact(999999999999999999999999999999999999999999)"),
        ("params: []", "params: [1]"),
        ("queued: false", "queued: maybe"),
        ("owner 0 params", "owner -1 params"),
        ("}\n}", "}"),
    ] {
        let text = base.replacen(from, to, 1);
        assert_ne!(text, base, "{from}");
        assert!(read_program(&text).is_err(), "{to}");
    }
}

#[test]
fn what_is_printed_reads_back() {
    let program = read_program(&base()).unwrap();
    let printed = program_text(&program);
    let again = read_program(&printed).unwrap();
    assert_eq!(again, program);
    assert_eq!(program_text(&again), printed);
}
