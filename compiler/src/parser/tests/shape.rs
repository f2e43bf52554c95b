//! Files of another kind, and sections without their twin: one message.

use super::check_messages;
use expect_test::expect;

#[test]
fn files_of_another_kind() {
    check_messages(
        "time,T,p\n0,1,2\n1,2,3\n",
        expect![[r#"
        1:1 E0206 this is no TwinML: nothing here begins a declaration | it looks like a table of data: a model reads one with `drive x from "data.csv"` in a scenario, or as a parameter with `table("data.csv", …)`
    "#]],
    );
    check_messages(
        "\u{FEFF}t;T [°C]\n0;20,5\n",
        expect![[r#"
        1:2 E0206 this is no TwinML: nothing here begins a declaration | it looks like a table of data: a model reads one with `drive x from "data.csv"` in a scenario, or as a parameter with `table("data.csv", …)`
    "#]],
    );
    check_messages(
        "{\n  \"a\": [1, 2],\n  \"b\": {}\n}\n",
        expect![[r#"
        1:1 E0206 this is no TwinML: nothing here begins a declaration | it looks like JSON
    "#]],
    );
    check_messages(
        "<?xml version=\"1.0\"?>\n<sbml>\n</sbml>\n",
        expect![[r#"
        1:1 E0206 this is no TwinML: nothing here begins a declaration | it looks like XML
    "#]],
    );
    check_messages(
        "flat Tank\nvar h : state\n  value @[0] = 2.0\neq : der(h) = 1\n",
        expect![[r#"
        1:1 E0206 this is no TwinML: nothing here begins a declaration | it looks like what `--emit` prints: a model is the file that this was made from
    "#]],
    );
    check_messages(
        "model A\n  Real x(start = 1);\nequation\n  der(x) = -x;\nend A;\n",
        expect![[r#"
        1:1 E0206 this is no TwinML: nothing here begins a declaration | it looks like Modelica: a class is written `twin NAME { … }` here
    "#]],
    );
    check_messages(
        "#include <math.h>\nint main(void) {\n  return 0;\n}\ndouble x = 3;\n",
        expect![[r#"
        1:1 E0209 `#` does not begin a comment here | write `//`
        2:1 E0206 `int` begins no declaration | at the top of a file stand twin, scenario, connector, type, record, enum, func, dimension, unit and use
        5:1 E0206 `double` begins no declaration | at the top of a file stand twin, scenario, connector, type, record, enum, func, dimension, unit and use
    "#]],
    );
}

/// What is near to TwinML is read as such.
#[test]
fn slips_make_no_file_of_another_kind() {
    check_messages(
        "twn A {\n}\nscenaro s for A { }\nenm B { a, b }\n",
        expect![[r#"
        1:1 E0206 `twn` begins no declaration | did you mean `twin`?
        3:1 E0206 `scenaro` begins no declaration | did you mean `scenario`?
        4:1 E0206 `enm` begins no declaration | did you mean `enum`?
    "#]],
    );
    check_messages(
        "x = 3\n",
        expect![[r#"
        1:1 E0206 `x` begins no declaration | at the top of a file stand twin, scenario, connector, type, record, enum, func, dimension, unit and use
    "#]],
    );
}

#[test]
fn sections_without_their_twin() {
    check_messages(
        "
  units: off
  parameters { k: Real = 1 }
  states { x: Real = 1 }
  equations { der(x) = -k* }
}
scenario s for A { duration: 10 s }
twin B { }
}
",
        expect![[r#"
            2:3 E0206 `units` stands inside a twin | write `twin NAME {` before it, and its `}` behind the last section
            5:27 E0213 behind `*` a value is missing
            9:1 E0203 this `}` closes nothing [there is no `{` for it]
        "#]],
    );
    check_messages(
        "twin A { }\nstates { x: Real = 1 }\ntwin B { }\nequations { der(x) = 1 }\n",
        expect![[r#"
        2:1 E0206 `states` stands inside a twin | write `twin NAME {` before it, and its `}` behind the last section
        4:1 E0206 `equations` stands inside a twin | write `twin NAME {` before it, and its `}` behind the last section
    "#]],
    );
}
