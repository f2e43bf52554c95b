//! `twinc test`, end to end: outcomes, exit codes, the JUnit report, JSON, filters, jobs.
#![allow(clippy::unwrap_used, reason = "tests")]

mod place;
use place::{Place, Ran, of};

/// x = sin t, y = cos t, and what may go wrong.
const MODEL: &str = "
twin M {
  parameters { limit: Length in cm = 1.5 m; n: Int = 1 }
  inputs { fall: Velocity = 0 m/s }
  states { x: Length = 0 m; y: Length = 1 m where y < 5 m else stop }
  outputs { odd: Real = 1/(1 + noevent(if fall > 99 m/s then -1 else 0)) }
  equations { der(x) = y/1 s; der(y) = -x/1 s + (if fall > 99 m/s then 1 m/s/0 else fall) }
  constraints {
    below: always(x <= limit)
    soon:  eventually[0, 20 s](x > 2 m)
    low:   always(x < 0.5 m)
    often: always(x < 0.5 m) with probability >= 0.9
  }
}
";

impl Place {
    fn test(&self, args: &[&str]) -> Ran {
        self.run(&[&["test"], args].concat())
    }
}

fn model(scenarios: &str) -> String {
    format!("{MODEL}{scenarios}")
}

/// Cases in every outcome; the exit code that each has alone.
const CASES: &[(&str, i32, &str)] = &[
    ("scenario holds for M { duration: 10 s; expect below }", 0, "Passed"),
    ("scenario refuted for M { duration: 10 s; expect not low }", 0, "Passed"),
    ("scenario claim for M { duration: 10 s; expect often }", 0, "Passed"),
    ("scenario free for M { duration: 10 s; parameters { limit = 50 cm }; expect not below }", 0, "Passed"),
    ("scenario violated for M { duration: 10 s; expect low }", 1, "Violated"),
    ("scenario unrefuted for M { duration: 10 s; expect not below }", 1, "Violated"),
    ("scenario everything for M { duration: 10 s }", 1, "Violated"),
    ("scenario uncompiled for M { duration: 10 s; parameters { limit = 3 s }; expect below }", 2, "Error"),
    ("scenario failing for M { duration: 10 s; at 2 s { fall = 100 m/s }; expect below }", 3, "Failed"),
    ("scenario open for M { duration: 10 s; expect soon }", 4, "Undecided"),
    ("scenario ranged for M { duration: 10 s; at 1 s { fall = 10 m/s }; expect below }", 1, "Violated"),
    (
        "scenario stopped for M { duration: 10 s; start { y = 4.99 m }; parameters { limit = 9 m }
  at 0.1 s { fall = 20 m/s }; expect below }",
        4,
        "Undecided",
    ),
];

#[test]
fn the_exit_code_is_that_of_the_outcome() {
    for (scenario, code, verb) in CASES {
        let place = Place::model(&model(scenario));
        let ran = place.test(&[]);
        assert_eq!(ran.code, *code, "{scenario}\n{}{}", ran.out, ran.err);
        // A file whose text does not check has no scenarios.
        let name = scenario.split_whitespace().nth(1).unwrap();
        let line = if *code == 2 {
            "      Error m.twinml: E".to_owned()
        } else {
            format!("{verb:>11} m.twinml: {name}")
        };
        assert!(ran.out.starts_with(&line), "{line}\n{}{}", ran.out, ran.err);
    }
}

#[test]
fn a_scenario_that_cannot_be_built_fails_alone() {
    // The first refers to a file that is not there, which shows only when it is built.
    let text = model(
        "scenario driven for M { duration: 10 s; drive fall from \"none.csv\" column \"v\"; expect below }
scenario holds for M { duration: 10 s; expect below }",
    );
    let ran = Place::model(&text).test(&[]).expect(2);
    assert!(ran.out.contains("Error m.twinml: driven: it does not compile"), "{}", ran.out);
    assert!(ran.out.contains("Passed m.twinml: holds"), "{}", ran.out);
    assert!(ran.err.contains("none.csv"), "{}", ran.err);
}

#[test]
fn the_heaviest_outcome_decides_and_every_case_is_told() {
    let all: Vec<&str> = CASES.iter().filter(|c| c.1 != 2).map(|c| c.0).collect();
    let place = Place::model(&model(&all.join("\n")));
    let ran = place.test(&[]).expect(3);
    let last = ran.out.lines().last().unwrap();
    assert_eq!(last, "     Tested 11 cases: 4 passed, 4 violated, 2 inconclusive, 1 failed", "{}", ran.out);
    // Without the failure, the violation decides.
    assert_eq!(place.test(&["--scenario", "open", "--scenario", "violated"]).code, 1);
    assert_eq!(place.test(&["--scenario", "open", "--scenario", "holds"]).code, 4);
}

#[test]
fn verdicts_are_printed_in_the_modellers_units() {
    let place = Place::model(&model(CASES[0].0));
    let ran = place.test(&[]);
    let expected = "     Passed m.twinml: holds
              below  holds          robustness 50 cm  (closest at 1.5708 s)
              soon   inconclusive   robustness -1 m  (closest at 1.5708 s)  (its window ends at 20 s, after the run)  not asked
              low    violated       robustness -0.5 m  (closest at 1.5708 s)  not asked
              often  violated       robustness -0.5 m  (closest at 1.5708 s)  nominal  not asked
     Tested 1 case: 1 passed
";
    assert_eq!(ran.out, expected);
}

#[test]
fn branches_are_judged_too() {
    let place = Place::with(&[(
        "m.twinml",
        &model(
            "scenario day for M {
  duration: 10 s
  branch calm at 5 s { fall = 0.1 m/s; expect not low }
  branch pushed at 1 s { fall = 3 m/s }
  expect below
}",
        ),
    )]);
    let objects = place.test(&["--format", "json"]).expect(1).objects();
    let cases = of(&objects, "case");
    let told: Vec<_> = cases.iter().map(|c| (c["branch"].as_str(), c["outcome"].as_str().unwrap())).collect();
    assert_eq!(told, [(None, "passed"), (Some("calm"), "passed"), (Some("pushed"), "violated")]);
    let calm = &cases[1]["requirements"][2];
    assert_eq!((&calm["name"], &calm["refuted"]), (&"calm/low".into(), &true.into()), "{calm}");
}

#[test]
fn the_junit_report_is_xml_that_counts_right() {
    let all: Vec<&str> = CASES.iter().filter(|c| c.1 != 2).map(|c| c.0).collect();
    let odd = "a <b> & \"c\" 'd' é.twinml";
    let place =
        Place::with(&[(odd, &model(&all.join("\n"))), ("sub/bad.twinml", "twin X { states { y: Foo<&> } }")]);
    place.test(&["--junit", "report.xml", "--jobs", "3"]).expect(3);
    let text = place.text("report.xml");
    let document = roxmltree::Document::parse(&text).unwrap();
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "testsuites");
    let number =
        |n: roxmltree::Node<'_, '_>, name: &str| n.attribute(name).unwrap().parse::<usize>().unwrap();
    let mut sums = [0; 4];
    let names = ["tests", "failures", "errors", "skipped"];
    for suite in root.children().filter(|n| n.has_tag_name("testsuite")) {
        let cases: Vec<_> = suite.children().filter(|n| n.has_tag_name("testcase")).collect();
        let with = |tag: &str| cases.iter().filter(|c| c.children().any(|n| n.has_tag_name(tag))).count();
        let counts = [cases.len(), with("failure"), with("error"), with("skipped")];
        for (k, name) in names.into_iter().enumerate() {
            assert_eq!(number(suite, name), counts[k], "{name} of {:?}", suite.attribute("name"));
            sums[k] += counts[k];
        }
    }
    for (k, name) in names.into_iter().enumerate() {
        assert_eq!(number(root, name), sums[k], "{name}");
    }
    let suite = |end: &str| {
        let mut all = root.children().filter(|n| n.has_tag_name("testsuite"));
        all.rfind(|n| n.attribute("name").unwrap().ends_with(end)).unwrap()
    };
    assert_eq!(suite(": violated").attribute("name").unwrap(), format!("{odd}: violated"));
    let failure = suite(": violated").descendants().find(|n| n.has_tag_name("failure")).unwrap();
    assert_eq!(failure.attribute("type"), Some("violated"));
    assert_eq!(failure.attribute("message"), Some("violated, robustness -0.5 m  (closest at 1.5708 s)"));
    let open = suite(": open").descendants().find(|n| n.has_tag_name("failure")).unwrap();
    assert_eq!(open.attribute("type"), Some("inconclusive"));
    let error = suite(": failing").descendants().find(|n| n.has_tag_name("error")).unwrap();
    assert_eq!(error.attribute("type"), Some("failed"));
    assert!(suite(": claim").descendants().any(|n| n.has_tag_name("skipped")));
    let bad = suite("bad.twinml").descendants().find(|n| n.has_tag_name("error")).unwrap();
    assert!(bad.attribute("message").unwrap().starts_with('E'), "{text}");
    assert!(bad.attribute("message").unwrap().contains("`&`"), "{text}");
}

#[test]
fn jobs_change_nothing_that_is_printed() {
    let all: Vec<&str> = CASES.iter().filter(|c| c.1 != 2).map(|c| c.0).collect();
    let place = Place::with(&[
        ("a/m.twinml", &model(&all.join("\n"))),
        ("b.twinml", &model(&all[..3].join("\n"))),
        ("lib.twinml", "twin Part { states { x: Real = 1 } equations { der(x) = -x/1 s } }"),
        ("out/old.twinml", "this is left out"),
        (".hidden/old.twinml", "this is left out"),
        ("notes.txt", "no model"),
    ]);
    for format in ["human", "json"] {
        let one = place.test(&["--jobs", "1", "--format", format, "--junit", "one.xml"]).expect(3);
        for jobs in ["2", "7"] {
            let many = place.test(&["--jobs", jobs, "--format", format, "--junit", "many.xml"]);
            let plain = |s: &str| s.replace("many.xml", "one.xml");
            assert_eq!((one.code, &one.out, &one.err), (many.code, &plain(&many.out), &many.err));
            assert_eq!(place.text("one.xml"), place.text("many.xml"));
        }
    }
}

#[test]
fn files_folders_and_filters_choose() {
    let place = Place::with(&[
        ("a/m.twinml", &model(CASES[0].0)),
        ("b.twinml", &model(&[CASES[4].0, CASES[1].0].join("\n"))),
        ("lib.twinml", "twin Part { states { x: Real = 1 } equations { der(x) = -x/1 s } }"),
    ]);
    let list = |args: &[&str]| place.test(&[args, &["--list"]].concat());
    assert_eq!(list(&[]).out, "a/m.twinml: holds\nb.twinml: violated\nb.twinml: refuted\n");
    assert_eq!(
        list(&["b.twinml", "a", "b.twinml"]).out,
        "b.twinml: violated\nb.twinml: refuted\na/m.twinml: holds\n"
    );
    assert_eq!(list(&["--scenario", "*ed"]).out, "b.twinml: violated\nb.twinml: refuted\n");
    assert_eq!(place.test(&["a"]).code, 0);
    assert_eq!(place.test(&["b.twinml", "--scenario", "refuted"]).code, 0);
    for (args, what) in [
        (&["--scenario", "nothing"][..], "there is no scenario to run"),
        (&["lib.twinml"], "there is no scenario to run"),
        (&["a", "--jobs", "0"], "--jobs"),
        (&["a", "--solver", "magic"], "magic"),
    ] {
        let ran = place.test(args);
        assert_eq!(ran.code, 2, "{args:?} {}{}", ran.out, ran.err);
        assert!(ran.err.contains(what), "{args:?} {}", ran.err);
    }
    let ran = place.test(&["none.twinml"]).expect(5);
    assert!(ran.err.contains("there is no file or folder `none.twinml`"), "{}", ran.err);
    place.test(&["a", "--junit", "b.twinml/r.xml"]).expect(5);
}

#[test]
fn flags_reach_every_scenario() {
    let place = Place::model(&model(CASES[0].0));
    let ran = place.test(&["--set", "limit=50 cm"]).expect(1);
    assert!(ran.out.contains("below  violated       robustness -50 cm"), "{}", ran.out);
    assert_eq!(place.test(&["--set", "limit=50 cm", "--until", "100ms"]).code, 0);
    place.test(&["--max-steps", "3"]).expect(3);
}

#[test]
fn what_a_range_ended_is_judged_up_to_there() {
    let place = Place::model(&model(CASES[10].0));
    let objects = place.test(&["--format", "json"]).objects();
    let case = of(&objects, "case")[0];
    // y'' = -y, y(1) = cos 1, y'(1) = 10 - sin 1, x = 20 - y' until y = 5.
    let (y, v) = (1.0f64.cos(), 10.0 - 1.0f64.sin());
    let (size, phase) = (y.hypot(v), y.atan2(v));
    let end = (5.0 / size).asin() - phase;
    let x = 10.0 - size * (end + phase).cos();
    assert!((case["time"].as_f64().unwrap() - 1.0 - end).abs() < 1e-5, "{case}");
    let low = case["requirements"].as_array().unwrap().iter().find(|r| r["name"] == "low").unwrap();
    assert!((low["robustness"].as_f64().unwrap() - (0.5 - x)).abs() < 1e-5, "{case} {x}");
}
