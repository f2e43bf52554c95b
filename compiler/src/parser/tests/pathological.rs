//! Texts that are meant to hurt: a clear error or a result, soon, and never a panic.

use super::messages;
use cpu_time::ThreadTime;
use std::time::Duration;

/// A second, and slack for a busy machine without optimisation.
const LIMIT: Duration = Duration::from_secs(4);

/// The first message, and how many there are.
fn quick(text: &str) -> (String, usize) {
    let start = ThreadTime::now();
    let m = messages(text);
    assert!(start.elapsed() < LIMIT, "took {:?}", start.elapsed());
    (m.lines().next().unwrap_or("").to_string(), m.lines().count())
}

fn equation(right: &str) -> String {
    format!("twin A {{\n  equations {{\n    x = {right}\n    y = 1\n  }}\n}}\n")
}

#[test]
fn nested_parentheses() {
    let deep = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    let (first, n) = quick(&equation(&deep));
    assert_eq!(
        (first.as_str(), n),
        (
            "3:263 E0204 brackets are nested more than 256 deep | give a name to a part: a variable, a function or a twin",
            1
        )
    );
    let (first, n) = quick(&equation(&"(".repeat(10_000)));
    assert!(first.contains("E0202") && n <= 2, "{n}: {first}");
    let (first, n) = quick(&equation(&")".repeat(10_000)));
    assert!(first.contains("E0203") && n <= 2, "{n}: {first}");
    for open in ["[", "f(", "a[", "{", "-(", "\"${", "if a then (", "not (", "always("] {
        let (_, n) = quick(&equation(&open.repeat(10_000)));
        assert!((1..=110).contains(&n), "{open}: {n}");
    }
    let (_, n) = quick(&"twin A {".repeat(10_000));
    assert!((1..=110).contains(&n));
    let (_, n) = quick(&"}".repeat(100_000));
    assert!((1..=110).contains(&n));
}

#[test]
fn chains_without_brackets() {
    for (part, last) in [
        ("a + ", "b"),
        ("a * ", "b"),
        ("- ", "b"),
        ("not ", "b"),
        ("a ^ ", "b"),
        ("a implies ", "b"),
        ("a < ", "b"),
        ("if a then b else ", "c"),
        ("a.", "b"),
        ("a and ", "b"),
        ("a until ", "b"),
    ] {
        let (first, n) = quick(&equation(&format!("{}{last}", part.repeat(30_000))));
        assert!(n <= 1, "{part}: {n} {first}");
        assert!(n == 0 || first.contains("E0204"), "{part}: {first}");
    }
    let types = format!(
        "type T = Int{}\ntype U = {}Int{}",
        "?".repeat(50_000),
        "List<".repeat(50_000),
        ">".repeat(50_000)
    );
    let (first, n) = quick(&types);
    assert!(n == 2 && first.contains("E0204"), "{n} {first}");
    let ifs = format!(
        "twin A {{ behavior {{ on start {{ {} }} }} }}",
        "if a { b() } else ".repeat(20_000) + "{ c() }"
    );
    assert_eq!(quick(&ifs).1, 0);
}

#[test]
fn long_lines_and_large_texts() {
    let (first, n) = quick(&equation(&"a+".repeat(5_000_000)));
    assert_eq!(
        (first.as_str(), n),
        ("3:1 E0108 this line has 9765 KiB; at most 1024 are read | break the line", 1)
    );
    let (first, n) = quick(&equation(&("a+".repeat(500_000) + "b")));
    assert!(n == 1 && first.contains("E0204"), "{n} {first}");
    let (first, _) = quick(&"\n".repeat((64 << 20) + 1));
    assert!(first.contains("E0108"), "{first}");
    let many = "x = a b\n".repeat(20_000);
    let (_, n) = quick(&format!("twin A {{\nequations {{\n{many}}}\n}}\n"));
    assert!((1..=102).contains(&n), "{n}");
    assert!(quick(&"$".repeat(500_000)).1 <= 2);
    assert!(quick(&"$ ".repeat(500_000)).1 <= 60);
    assert!(quick(&"\"\n".repeat(100_000)).1 <= 60);
    assert!(quick(&"/*".repeat(400_000)).1 <= 2);
    assert!(quick(&"x\n".repeat(300_000)).1 <= 110);
}

#[test]
fn strange_bytes() {
    assert_eq!(quick("twin A {\r\n  equations {\r\n    x = 1\r\n      + 2\r\n  }\r\n}\r\n").1, 0);
    assert_eq!(quick("\u{FEFF}twin A { }").1, 0);
    assert_eq!(quick("twin A { }\rtwin B { }").1, 0);
    let (first, n) = quick("twin A {\n  \0\0\0\n}");
    assert_eq!((first.as_str(), n), ("2:3 E0107 a NUL byte in the text", 1));
    let (first, n) = quick("twin A {\n  equations { x = \u{FEFF}1 }\n}");
    assert_eq!((first.as_str(), n), ("2:19 E0107 a byte order mark in the middle of the text", 1));
    assert_eq!(quick("").1, 0);
    assert_eq!(quick("\u{FEFF}").1, 0);
    assert_eq!(quick("// only a comment").1, 0);
    assert_eq!(quick("/// only a doc").1, 0);
    assert_eq!(quick("twin Ω { equations { größe = 3 µm + 2 Ω } }").1, 0);
    assert!(quick("\u{1F600}").0.contains("E0101"));
}

#[test]
fn time_is_linear() {
    let text = |n: usize| {
        let mut s = String::from("twin A {\n equations {\n");
        for i in 0..n {
            s.push_str(&format!("  der(x{i}) = -k{i}*x{i} + sin(x{}*2 m) - (a + b)/c[{i}]\n", i + 1));
        }
        s + " }\n}\n"
    };
    let time = |n: usize| {
        let t = text(n);
        let best = (0..3)
            .map(|_| {
                let start = ThreadTime::now();
                messages(&t);
                start.elapsed()
            })
            .min();
        best.unwrap().as_secs_f64()
    };
    let (small, large) = (time(2_000), time(20_000));
    assert!(large < 30.0 * small, "{small} s for 2,000 equations, {large} s for 20,000");
}
