//! Mistakes: one message each, on the right line, in one pass, and no other mistake hidden.

use super::check_messages;
use expect_test::expect;

/// One mistake a line all over a file.
#[test]
fn many_mistakes_in_one_file() {
    check_messages(
        r#"asset twin Tank {
  paramters {
    area: Area = 2.0 m^2
    k Real = 3
  }
  states { h: Length = 1.0 m wher h >= 0 m }
  equations {
    der(h) = (q_in - ) / area
    q_out = k * sqrt(h
    x == 3
    y = if a > 3 then 2
    z = a
      - b
    2 * x
    in = 3
  }
  behavior {
    on rising(h > ) { emit overflow(level: h) }
    on rising h > 3 { a = 1; b = 2 }
    every 100 ms {
      let x = 3
      if x = 3 { y = 2 }
      elif y { }
      x + 3
      for i in 0..3 { a[i] = }
    }
    machine m {
      stat idle { }
    }
  }
  constraints {
    a: always(h < 3 m
    b: always[0, 3 s](x > 3) with probability > = 0.9
  }
}
twn B { }
scenario s of Tank {
  duration 3 s
  recrod h
}
connector P { potental v: Voltage }
x = 3
"#,
        expect![[r#"
            2:3 E0205 a twin has no section `paramters` | did you mean `parameters`?
            4:6 E0213 behind `k` a `:` is missing | write `k: Real`
            6:30 E0201 `wher` does not fit here | did you mean `where`?
            8:22 E0213 behind `-` a value is missing [found `)`]
            9:21 E0202 this `(` is never closed [needs its `)`]
            10:7 E0201 `==` compares; it states no equation | write `left = right`
            11:24 E0207 this `if` expression has no `else` | both values are needed: `if c then a else b`
            13:7 E0210 a line that begins with `-` starts a new equation, and this one has no `=` | to go on with the line above, put the operator at the end of that line
            15:5 E0208 `in` is a word of the language and cannot be a name | choose another name, or write it in backquotes: `` `in` ``
            18:19 E0213 behind `>` a value is missing [found `)`]
            19:15 E0201 `h` does not fit here [expected `{`, `(` or `->`] | write `on event(x: Real) { … }` or `on rising(h > 2 m) { … }`
            21:7 E0201 `let` is no word of the language | a local has no word before it: write `x = 3 m`
            22:12 E0201 `=` states equality, it does not compare | to compare write `==`
            23:7 E0201 `elif` is no word of the language | write `else if`
            24:7 E0219 this statement does nothing | assign it to a name, or remove it
            25:29 E0213 behind `=` a value is missing
            28:7 E0201 a machine has no entry that begins with `stat` | did you mean `state`?
            32:14 E0202 this `(` is never closed [needs its `)`]
            33:49 E0201 a space stands inside a comparison | write `>=` or `<=`
            36:1 E0206 `twn` begins no declaration | did you mean `twin`?
            37:12 E0201 the word `of` does not fit here [expected `for`] | write `scenario name for Twin { … }`
            38:11 E0213 behind `duration` a `:` is missing | write `duration: …`
            39:3 E0201 a scenario has no entry that begins with `recrod` | did you mean `record`?
            41:15 E0201 a connector has no entry that begins with `potental` | did you mean `potential`?
            42:1 E0206 `x` begins no declaration | at the top of a file stand twin, scenario, connector, type, record, enum, func, dimension, unit and use
        "#]],
    );
}

/// Missing and extra braces do not spread beyond their declaration.
#[test]
fn unbalanced_braces() {
    check_messages(
        r#"twin A {
  states { x: Real = 0
  equations { der(x) = 1 }
}
twin B {
  parameters { k: Real = 2 } }
  equations {
    y = a <-1
  }
}
twin C {
  behavior {
    on start {
      if a > 3 {
        b = 1
      c = 2
    }
    on stop { }
  }
  equations { a + b = 3; x = 2 y; z = 3   m }
}
twin D extends A {
  parameters { v: Velocity = 3 m/s, w: Real[3] = 2; if: Real = 3; 3x: Real }
  outputs { y = (a, b) }
  equations { y = a ? b : c; q = "abc }
}
"#,
        expect![[r#"
            2:10 E0202 this `{` is never closed [needs its `}`]
            6:30 E0203 this `}` closes nothing [there is no `{` for it]
            8:11 E0201 `<-` is one sign, an arrow | for a comparison with a negative value write `a < -1`, with a space
            14:16 E0202 this `{` is never closed [needs its `}`]
            20:43 E0201 between the number 3 and `m` something is missing | a unit stands at most one space behind its number, on the same line
            22:8 E0201 `extends` stands inside the twin | write `twin NAME { extends PARENT … }`
            23:44 E0217 the first bracket behind `Real` is a unit | for an array of plain numbers write `Real[1][3]`
            24:17 E0201 there are no tuples | an array stands in `[…]`, a record has a name: `Job(id: 1)`
            25:34 E0102 this string is never closed | end it with `"`; a string over several lines stands between `"""`
        "#]],
    );
}

/// Slips in every kind of entry.
#[test]
fn slips_of_every_kind() {
    check_messages(
        r#"twin A {
  parameters { a: Real = 3 }

  // comment
  states {
    x: Real = 0;
    y: Real = -3 m^2 where y > = 3
    z: Real[m/] = 3
    z: Real[m] in 3 = 3
    w: Foo<3 = 3
    v: 3
  }
  inputs { u: Real = }
  equations {
    for i in 0.. { x = 3 }
    for i = 0..3 { x = 3 }
    der(x = 3
    if x > 3 { y = 3 } else y = 3
    x = 3 + + 4
    x = 3 * / 4
    x = [1, 2
    y = f(3,, 4)
    y = a.b.
    y = 3..
    a = b = c
    x = "a ${b + } c"
    x = 3 && 4
    x += 3
    y = x % 3
    y = x | 3
    y = 0x
    y = 1.e3
    y = .5
    y = 1e400
    y = 3 == 3 == 3
    y := 3
  }
  twins {
    t Tank
    t: Tank { a: 3, b = 2 }
    t: Tank[3 { a = 2 }
    t = Tank
  }
  connections {
    a -> b -> c
    a - b
    a.b() -> c
    connect(a, b)
  }
  behavior {
    on rising(x > 3)
    machine m {
      initial
      state a { on x -> }
      on x
    }
    on start { 
      match x {
        1 => a()
        "b" -> { }
        Foo { a b } -> c()
        3
      }
      send inform(x) 
      wait
      return 3 4
      emit
      create { }
      x: Real
      der(x) = 3
      log x y
      stop
      while { }
    }
    func f(x Real) { }
    func g(x: Real) Real { return 3 }
    function h() { }
  }
  constraints {
    always(x > 3)
    a: always(x > 3) with probabilty > 0.9
    kpi: 3
    kpi x in: 3
  }
}
"#,
        expect![[r#"
            7:32 E0201 a space stands inside a comparison | write `>=` or `<=`
            8:12 E0106 `m/` is no unit | a unit is a product of powers, such as `m/s^2`, `kJ/(kg*K)` or `1/h`
            9:19 E0201 the number 3 does not fit here [expected a unit] | an entry is `name: Type in unit = value ~ distribution where condition guess value`
            10:14 E0201 `=` does not fit here | an entry is `name: Type in unit = value ~ distribution where condition guess value`
            11:8 E0213 behind `:` a type is missing [found the number 3]
            13:21 E0213 behind `=` a value is missing
            15:18 E0213 behind `..` a value is missing [found `{`]
            16:11 E0201 `=` does not fit here [expected `in`] | write `for i in 0..n { … }`
            17:8 E0202 this `(` is never closed [needs its `)`]
            18:29 E0201 `y` does not fit here [expected `{`] | write `if c { … } else { … }`, in an expression `if c then a else b`
            20:13 E0213 behind `*` a value is missing [found `/`]
            21:9 E0202 this `[` is never closed [needs its `]`]
            22:13 E0213 behind `,` a value is missing [found `,`]
            24:7 E0201 `=` does not fit here [expected `}`]
            26:18 E0213 behind `+` a value is missing [found the `}` of the interpolation]
            27:11 E0209 `&&` is written `and` here | write `and`
            28:7 E0209 there is no operator `+=` | write `x = x + …`
            29:11 E0209 `%` is a unit here, and stands right behind a number | for a remainder write `mod(a, b)`
            30:11 E0101 `|` means nothing here | write `or`
            33:9 E0213 behind `=` a value is missing [found `.`]
            34:9 E0105 `1e400` is out of range: wanted is a number within ±1.8e308
            36:7 E0209 `:=` is written `=` here | write `=`
            39:6 E0213 behind `t` a `:` is missing | write `t: Tank`
            41:12 E0202 this `[` is never closed [needs its `]`]
            42:7 E0201 `=` does not fit here [expected `:`] | an entry is `name: Twin { member = value }`
            46:7 E0201 `-` does not fit here [expected `(` or `->`] | an entry is `a.out -> b.in` or `a.port -- b.port`
            47:5 E0211 this cannot be connected | an output, an input, a port or an event by path, such as `tanks[0].inlet`
            48:18 E0213 this ends too early: `(` or `->` is missing | an entry is `a.out -> b.in` or `a.port -- b.port`
            51:21 E0213 this handler does nothing | what is to be done stands in `{ … }` behind it
            53:7 E0213 this is no equation: `=` is missing | an equation is `left = right`
            54:24 E0213 behind `->` a name is missing
            55:11 E0213 this goes nowhere and does nothing | write `-> state` or `{ … }` behind it
            59:11 E0209 `=>` is written `->` here | write `->`
            61:17 E0201 between `a` and `b` something is missing | an operator, a comma, or `;` between two entries on one line
            62:10 E0213 this ends too early: `->` is missing | an arm is `pattern -> statement`
            64:21 E0213 this message has no receiver | write `send inform(level: h) to plant.ctl`, or `broadcast` for all
            65:7 E0213 `wait` alone does nothing | write `wait 5 s`, `wait until(c)` or `wait for event`
            66:16 E0201 the number 4 does not fit here
            67:7 E0213 `emit` alone does nothing | write `emit event(x: 1)`
            68:14 E0201 `{` does not fit here [expected `=`]
            69:14 E0213 this ends too early: `=` is missing
            70:7 E0211 this cannot be assigned | on the left of `=` in a handler stands a name or a path
            71:13 E0201 between `x` and `y` something is missing | an operator, a comma, or `;` between two entries on one line
            73:13 E0213 behind the word `while` a value is missing [found `{`]
            75:13 E0213 behind `x` a `:` is missing | write `x: Real`
            76:21 E0213 before the type of the result a `:` is missing | write `): Real`
            77:5 E0201 `behavior` has no entry that begins with `function` | did you mean `func`?
            80:5 E0213 this requirement has no name | write `name: always(…)`
            81:27 E0201 `probabilty` does not fit here | did you mean `probability`?
            83:10 E0213 behind `x` a `:` is missing | write `x: in`
        "#]],
    );
}

/// The five of the issue.
#[test]
fn five_independent_mistakes() {
    check_messages(
        r#"twin Tank {
  parameters { area: Area = }
  states { h Length = 1 m }
  equations { der(h) = (q / area }
  behavior { on rising(h > 2 m) { emt overflow(level: h) } }
}
scenario s fr Tank { duration: 1 h }
"#,
        expect![[r#"
            2:28 E0213 behind `=` a value is missing
            3:13 E0213 behind `h` a `:` is missing | write `h: Length`
            4:24 E0202 this `(` is never closed [needs its `)`]
            5:35 E0201 a handler has no entry that begins with `emt` | did you mean `emit`?
            7:12 E0201 `fr` does not fit here [expected `for`] | write `scenario name for Twin { … }`
        "#]],
    );
}

/// The error says where the operator belongs.
#[test]
fn a_line_that_begins_with_an_operator() {
    check_messages(
        r#"twin A {
  equations {
    y = a
      - b
    z = c
      + d
      * e
    w = f
      (g)
  }
}
"#,
        expect![[r#"
            4:7 E0210 a line that begins with `-` starts a new equation, and this one has no `=` | to go on with the line above, put the operator at the end of that line
            9:7 E0210 a line that begins with `(` starts a new equation, and this one has no `=` | to go on with the line above, put the operator at the end of that line
        "#]],
    );
}

/// What people write who come from Modelica, Python, C or Rust.
#[test]
fn words_from_elsewhere() {
    check_messages(
        r#"model Tank
  parameter Real k = 3;
end Tank;
class A { }
import std.thermal
twin B {
  fn f(x: Real) -> Real { let y = x; return y }
  components { t: Tank }
  behavior {
    def g(x) { return x }
    on start {
      if (a) { print(x) } elif (b) { x++ }
      x = a and not b || c
      x = 'text'
      x = 2 ** 3
      # comment
      y = a if b else c
    }
  }
}
"#,
        expect![[r#"
            1:1 E0206 `model` begins no declaration | did you mean `twin`?
            2:3 E0206 `parameter` begins no declaration | at the top of a file stand twin, scenario, connector, type, record, enum, func, dimension, unit and use
            3:1 E0206 `end` begins no declaration | at the top of a file stand twin, scenario, connector, type, record, enum, func, dimension, unit and use
            4:1 E0206 `class` begins no declaration | did you mean `twin`?
            5:1 E0206 `import` begins no declaration | did you mean `use`?
            7:3 E0201 `fn` is no word of the language | functions stand in `behavior { … }` or outside: `func name(x: Real): Real { … }`
            8:3 E0205 a twin has no section `components` | did you mean `twins`?
            10:5 E0201 `behavior` has no entry that begins with `def` | did you mean `func`?
            12:39 E0209 there is no operator `++` | write `x = x + 1`
            13:23 E0209 `||` is written `or` here | write `or`
            14:11 E0209 strings stand between double quotes | write `"text"`
            15:13 E0209 `**` is written `^` here | write `^`
            16:7 E0209 `#` does not begin a comment here | write `//`
            17:13 E0201 between `a` and the word `if` something is missing | an `if` inside an expression stands in parentheses
        "#]],
    );
}

/// Slips inside numbers, units and strings.
#[test]
fn units_and_strings() {
    check_messages(
        r#"twin A {
  parameters {
    a: Length = 3   m
    b: Length = 3 [m/]
    c: Real[3] = 1
    d: Real[m, s] = 1
    e: String = "a \q b"
    f: String = "a ${ b"
    g: String = "a
    h: Timestamp = 2026-02-30T00:00Z
    i: Real = 0x1ffffffffffffff
    `` : Real = 3
    j: Real = 3 °
    k: Temperature = 20 °C
  }
}
"#,
        expect![[r#"
            3:21 E0201 between the number 3 and `m` something is missing | a unit stands at most one space behind its number, on the same line
            4:19 E0106 `m/` is no unit | a unit is a product of powers, such as `[MJ/(m^3*K)]`
            5:12 E0217 the first bracket behind `Real` is a unit | for an array of plain numbers write `Real[1][3]`
            6:12 E0217 the first bracket behind `Real` is a unit | for an array of plain numbers write `Real[1][m, s]`
            7:20 E0104 `\q` is no escape | known are \n \t \r \" \\ \$ and \u{1F600}
            8:20 E0111 this `${` is never closed | end the expression with `}`; a dollar sign itself is written `\$`
            9:17 E0102 this string is never closed | end it with `"`; a string over several lines stands between `"""`
            10:20 E0110 there is no instant `2026-02-30T00:00Z` | write year-month-dayThour:minute with an offset, such as 2026-01-05T00:00+01:00
            11:15 E0105 `0x1ffffffffffffff` is out of range: wanted is a hexadecimal number up to 2^53
            12:5 E0109 a name in backquotes is empty
        "#]],
    );
}
