//! The report of `twinc test` in the form that CI systems read: JUnit's XML.
//!
//! A scenario or branch is a suite; its simulation is a case, and so is each requirement on which its outcome hangs.
//! There are no wall-clock times in it: equal tests have equal reports.

use crate::ui::xml::escape;
use std::fmt::Write as _;

use super::mc::{Fold, Identity, Means};
use super::test::{Case, Outcome};
use super::verdict::Verdict;
use crate::exit::Exit;

/// What a case of the report says.
enum Said {
    Passed,
    Failure(&'static str),
    Error(&'static str),
    Skipped,
}

/// The report.
pub fn document(cases: &[Case]) -> String {
    let mut suites = String::new();
    let mut sum = [0; 4];
    for case in cases {
        let mut rows = vec![simulation(case)];
        rows.extend(case.verdicts.iter().filter(|v| v.asked).map(requirement));
        let count = |want: fn(&Said) -> bool| rows.iter().filter(|r| want(&r.1)).count();
        let counts = [
            rows.len(),
            count(|s| matches!(s, Said::Failure(_))),
            count(|s| matches!(s, Said::Error(_))),
            count(|s| matches!(s, Said::Skipped)),
        ];
        sum.iter_mut().zip(counts).for_each(|(all, n)| *all += n);
        let _ = writeln!(suites, "  <testsuite name=\"{}\"{}>", escape(&case.name()), numbers(counts));
        if !case.facts.is_empty() {
            suites.push_str("    <properties>\n");
            for (name, value) in &case.facts {
                let _ = writeln!(suites, "      <property name=\"{name}\" value=\"{}\"/>", escape(value));
            }
            suites.push_str("    </properties>\n");
        }
        let class = escape(&case.name());
        for (name, said, message) in rows {
            let _ = write!(suites, "    <testcase classname=\"{class}\" name=\"{}\"", escape(&name));
            let message = escape(&message);
            let _ = match said {
                Said::Passed if message.is_empty() => writeln!(suites, "/>"),
                Said::Passed => {
                    writeln!(suites, ">\n      <system-out>{message}</system-out>\n    </testcase>")
                }
                Said::Failure(kind) => writeln!(
                    suites,
                    ">\n      <failure type=\"{kind}\" message=\"{message}\"/>\n    </testcase>"
                ),
                Said::Error(kind) => writeln!(
                    suites,
                    ">\n      <error type=\"{kind}\" message=\"{message}\"/>\n    </testcase>"
                ),
                Said::Skipped => {
                    writeln!(suites, ">\n      <skipped message=\"{message}\"/>\n    </testcase>")
                }
            };
        }
        suites.push_str("  </testsuite>\n");
    }
    let numbers = numbers(sum);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"twinc test\"{numbers}>\n{suites}</testsuites>\n"
    )
}

fn numbers([tests, failures, errors, skipped]: [usize; 4]) -> String {
    format!(" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
}

/// The run itself.
fn simulation(case: &Case) -> (String, Said, String) {
    let message = case.message.clone().unwrap_or_default();
    let said = match case.outcome {
        Outcome::Failed => Said::Error("failed"),
        Outcome::Error => Said::Error("error"),
        Outcome::Interrupted => Said::Skipped,
        Outcome::Passed | Outcome::Violated | Outcome::Inconclusive => Said::Passed,
    };
    ("simulation".to_owned(), said, message)
}

fn requirement(v: &Verdict) -> (String, Said, String) {
    let mut message = v.verdict.to_owned();
    let margin = v.margin();
    if !margin.is_empty() {
        message.push_str(&format!(", {margin}"));
    }
    if v.refuted {
        message.push_str(", expected not to hold");
    }
    let said = match v.exit() {
        Some(Exit::Ok) => Said::Passed,
        Some(Exit::Violated) => Said::Failure("violated"),
        None if v.nominal => {
            message.push_str(", nominal: a claim about many runs, judged on one");
            Said::Skipped
        }
        _ => Said::Failure("inconclusive"),
    };
    (v.name.clone(), said, message)
}

/// The report of a Monte Carlo job: a case for each requirement, and one for the samples that failed.
pub fn of_job(identity: &Identity, fold: &Fold, means: Means) -> String {
    let class = escape(&identity.scenario);
    let mut rows = String::new();
    let mut sum = [0; 4];
    for v in &fold.verdicts {
        sum[0] += 1;
        let word = v.verdict(means).map_or("not evaluated", |w| w.as_str());
        let i = v.interval(means);
        let mut message = format!("{word}, probability {} ({} to {})", v.share(), i.lo, i.hi);
        if v.demand.refuted {
            message.push_str(", expected not to hold");
        }
        let message = escape(&message);
        let _ = write!(rows, "    <testcase classname=\"{class}\" name=\"{}\">", escape(&v.demand.name));
        let _ = match (v.verdict(means), v.exit(means)) {
            (None, _) => {
                sum[3] += 1;
                write!(rows, "<skipped message=\"{message}\"/>")
            }
            (_, Exit::Ok) => write!(rows, "<system-out>{message}</system-out>"),
            (_, exit) => {
                sum[1] += 1;
                let kind = if exit == Exit::Inconclusive { "inconclusive" } else { "violated" };
                write!(rows, "<failure type=\"{kind}\" message=\"{message}\"/>")
            }
        };
        rows.push_str("</testcase>\n");
    }
    let failed: u64 = fold.codes.values().sum();
    sum[0] += 1;
    let codes: Vec<String> = fold.codes.iter().map(|(code, n)| format!("{n} {code}")).collect();
    let message = escape(&format!("{failed} of {} samples failed {}", fold.runs, codes.join(", ")));
    let all = failed == fold.runs && failed > 0;
    sum[2] += usize::from(all);
    let said = if all {
        format!("<error type=\"failed\" message=\"{message}\"/>")
    } else {
        format!("<system-out>{message}</system-out>")
    };
    let _ = writeln!(rows, "    <testcase classname=\"{class}\" name=\"simulation\">{said}</testcase>");
    let numbers = numbers(sum);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"twinc mc\"{numbers}>\n  <testsuite \
         name=\"{class}\"{numbers}>\n{rows}  </testsuite>\n</testsuites>\n"
    )
}
