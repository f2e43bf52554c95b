//! `twinc mc`, end to end: the same bits for any number of threads and shards and after a kill, verdicts and exit codes,
//! merging, replay.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "mc/job.rs"]
mod job;
mod place;

use job::requirement;
use place::{Place, ran};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Decay with a drawn rate, a machine that draws, a requirement that holds in four of five runs.
const DECAY: &str = "
twin Decay {
  parameters {
    k: Real[1/s] = 0.5 ~ lognormal(0.5, 0.1)
    a: Real = 2 ~ normal(sd: 10 %)
    b: Real = 1 ~ uniform(0, 1)
    correlate(a, b: 0.6)
  }
  states { x: Real = 1 ~ uniform(0.9, 1.1); hits: Int = 0 }
  outputs { y: Real = a * x }
  equations { der(x) = -k * x }
  behavior { every 1 s { if draw(bernoulli(0.3)) { hits = hits + 1 } } }
  constraints {
    small:  always(b < 0.8) with probability >= 0.7
    sure:   always(x > 0)
    never:  always(b < 0.1) with probability >= 0.5
    open:   always(b < 0.8) with probability >= 0.8
    kpi area: integral(x over run)
  }
}
scenario short for Decay { duration: 2 s; samples: 400; expect small, sure }
scenario all for Decay { duration: 2 s; samples: 400 }
";

#[test]
fn threads_and_shards_change_no_bit() {
    let place = Place::model(DECAY);
    for sampler in ["random", "lhs", "sobol"] {
        let flags = ["--scenario", "short", "--sampler", sampler];
        let one = format!("{sampler}-1");
        place.mc(&[&flags[..], &["--jobs", "1", "--out", &one]].concat()).expect(1);
        let want = place.bits(&one);
        for jobs in ["2", "7"] {
            let out = format!("{sampler}-{jobs}");
            place.mc(&[&flags[..], &["--jobs", jobs, "--out", &out]].concat()).expect(1);
            assert!(place.bits(&out) == want, "{sampler}: {jobs} threads");
        }
        for shards in [3, 16] {
            let out = format!("{sampler}-s{shards}");
            for k in 1..=shards {
                let shard = format!("{k}/{shards}");
                place.mc(&[&flags[..], &["--shard", &shard, "--out", &out]].concat()).expect(0);
            }
            place.run(&["mc", "merge", &out]).expect(1);
            assert!(place.bits(&out) == want, "{sampler}: {shards} shards");
        }
    }
    // Samplers and seeds draw differently.
    assert!(place.bits("random-1") != place.bits("lhs-1"));
    place.mc(&["--scenario", "short", "--seed", "1", "--out", "seed"]).expect(1);
    assert!(place.bits("random-1") != place.bits("seed"));
}

/// The levels that this processor has, as `doctor` says.
fn levels(place: &Place) -> Vec<&'static str> {
    let doctor = place.run(&["doctor", "--format", "json"]).expect(0);
    ["block", "v128", "avx2", "avx512"].into_iter().filter(|isa| doctor.out.contains(isa)).collect()
}

/// The job is killed at each level of instructions, goes on at the next one, and ends with the bits of one that nobody
/// touched.
#[test]
fn a_killed_job_goes_on_where_it_was() {
    // Runs of some milliseconds each, so that a kill falls in their midst.
    let model = DECAY.replace("every 1 s", "every 2 ms").replace("duration: 2 s", "duration: 0.4 s");
    let place = Place::model(&model);
    let levels = levels(&place);
    let n = ((levels.len() as u32 + 1) * 1100).to_string();
    let flags = ["--scenario", "short", "-n", &n, "--jobs", "2"];
    place.mc(&[&flags[..], &["--out", "whole"]].concat()).expect(1);
    let want = place.bits("whole");
    let parts = place.path("killed/parts");
    let count = |folder: &Path| fs::read_dir(folder).map_or(0, |d| d.flatten().filter(is_part).count());
    for (attempt, isa) in levels.iter().enumerate() {
        let resume: &[&str] = if attempt == 0 { &[] } else { &["--resume"] };
        let args = [&["mc", "m.twinml"][..], &flags, &["--out", "killed"], resume].concat();
        let before = count(&parts);
        let mut command = place.command(&args);
        command.env("TWINC_ISA", isa).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let begun = Instant::now();
        while count(&parts) <= before && begun.elapsed() < Duration::from_secs(120) {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        // SIGKILL: nothing can be tidied up.
        let _ = child.kill();
        child.wait().unwrap();
        assert!(!place.path("killed/runs.parquet").exists(), "the job was killed too late to test anything");
        assert!(count(&parts) > before, "{isa}: nothing was kept");
    }
    // What a kill in the midst of a write leaves behind.
    fs::write(parts.join(".0000002000.part.1-1.part"), b"torn").unwrap();
    let done = place.mc(&[&flags[..], &["--out", "killed", "--resume"]].concat()).expect(1);
    assert!(done.err.contains("Resumed"), "{}", done.err);
    assert!(place.bits("killed") == want);
    assert!(!parts.exists(), "parts of a finished job are gone");
}

fn is_part(e: &fs::DirEntry) -> bool {
    let name = e.file_name();
    let name = name.to_string_lossy();
    name.ends_with(".part") && !name.starts_with('.')
}

#[test]
fn shards_that_are_missing_doubled_or_foreign_are_named() {
    let place = Place::model(DECAY);
    for i in 1..=4 {
        let shard = format!("{i}/4");
        place.mc(&["-n", "40", "--shard", &shard, "--out", "o"]).expect(0);
    }
    let third = place.path("o/shard-00003-of-00004");
    let part = fs::read_dir(third.join("parts")).unwrap().next().unwrap().unwrap().path();
    let part = Path::new("parts").join(part.file_name().unwrap());
    let copy = place.path("o/copy");
    fs::create_dir_all(copy.join("parts")).unwrap();
    for name in [Path::new("job.json"), &part] {
        fs::copy(third.join(name), copy.join(name)).unwrap();
    }
    let ran = place.run(&["mc", "merge", "o"]);
    assert!(ran.code == 2 && ran.err.contains("has runs that another shard has too, from 20"), "{}", ran.err);
    fs::remove_dir_all(&copy).unwrap();
    fs::remove_dir_all(&third).unwrap();
    let ran = place.run(&["mc", "merge", "o"]);
    assert!(ran.code == 2 && ran.err.contains("runs 20 to 29 are in no shard"), "{}", ran.err);
    place.mc(&["-n", "40", "--shard", "3/4", "--seed", "9", "--out", "o"]).expect(0);
    let ran = place.run(&["mc", "merge", "o"]);
    assert!(ran.code == 2 && ran.err.contains("of another job"), "{}", ran.err);
    assert!(!place.path("o/summary.json").exists());
}

#[test]
fn every_run_of_a_job_has_its_own_noise() {
    let place = Place::model(
        "twin Walk {
  states { x: Real = 0 }
  equations { der(x) = 1 [s^-0.5]*white_noise() }
}
scenario s for Walk { duration: 1 s; solver: euler(step: 0.1 s) }
",
    );
    let said = place.mc(&["-n", "40", "--out", "o", "--jobs", "1"]).expect(0).said();
    assert!(!said.contains("nothing is drawn"), "{said}");
    for i in 1..=3 {
        place.mc(&["-n", "40", "--out", "s", "--shard", &format!("{i}/3")]).expect(0);
    }
    place.run(&["mc", "merge", "s"]).expect(0);
    assert!(place.bits("o") == place.bits("s"));
    let summary: Value = serde_json::from_slice(&place.bits("o").1).unwrap();
    let x = summary["values"].as_array().unwrap().iter().find(|v| v["name"] == "x").unwrap();
    // Brownian motion at 1 s: 40 numbers of deviation 1.
    let sd = x["sd"].as_f64().unwrap();
    assert!((0.6..1.5).contains(&sd), "{sd}");
}

#[test]
fn the_time_under_a_fan_chart_is_in_the_units_people_say_it_in() {
    let place = Place::model(
        "twin T { parameters { k: Real[1/s] = 1 ~ uniform(1, 2) } states { x: Real = 1 } equations { der(x) = -k*x } }
scenario s for T { duration: 2 h; solver: tsit5() }
",
    );
    place.mc(&["-n", "20", "--record", "x", "--out", "o"]).expect(0);
    let html = place.text("o/report.html");
    assert!(html.contains(">2 h</text>") && !html.contains("7200 s"));
}

#[test]
fn a_file_where_the_results_should_go_is_named() {
    let place = Place::model(DECAY);
    place.write("taken", "");
    let ran = place.mc(&["-n", "4", "--out", "taken"]);
    assert!(ran.code == 5 && ran.err.contains("`taken"), "{}", ran.err);
}

#[test]
fn another_job_is_not_gone_on_with() {
    let place = Place::model(DECAY);
    place.mc(&["--scenario", "short", "--shard", "1/2", "--out", "o"]).expect(0);
    let flags = ["--scenario", "short", "--shard", "1/2", "--out", "o", "--resume", "--seed", "9"];
    let r = place.mc(&flags).expect(2);
    assert!(r.err.contains("job.json` is of another job: there the seed is 0, not 9"), "{}", r.err);
    // A shard that is missing is named; one of another job too.
    let r = place.run(&["mc", "merge", "o"]).expect(2);
    assert!(r.err.contains("runs 200 to 399"), "{}", r.err);
    place.mc(&["--scenario", "short", "--shard", "2/2", "--out", "o", "--seed", "9"]).expect(0);
    let r = place.run(&["mc", "merge", "o"]).expect(2);
    assert!(
        r.err.contains("is of another job than `") && r.err.contains(": the seed is 9, not 0"),
        "{}",
        r.err
    );
    // Of which version of the program they are is part of it.
    let file = "o/shard-00001-of-00002/job.json";
    let text = fs::read_to_string(place.path(file)).unwrap();
    fs::write(place.path(file), text.replace("\"twinc ", "\"twinc 0.0.")).unwrap();
    let r = place.mc(&["--scenario", "short", "--shard", "1/2", "--out", "o", "--resume"]).expect(2);
    assert!(r.err.contains("of another job: there the compiler is twinc 0.0."), "{}", r.err);
    let r = place.run(&["mc", "merge", "nowhere"]).expect(5);
    assert!(r.err.contains("nowhere"), "{}", r.err);
}

#[test]
fn schedulers_of_clusters_say_which_shard_this_is() {
    let place = Place::model(DECAY);
    place.mc(&["--scenario", "short", "--out", "whole"]).expect(1);
    for k in 0..2 {
        let mut c = place.command(&["mc", "m.twinml", "--scenario", "short", "--out", "slurm"]);
        c.env("SLURM_ARRAY_TASK_ID", format!("{}", 5 + k)).env("SLURM_ARRAY_TASK_COUNT", "2");
        ran(c.env("SLURM_ARRAY_TASK_MIN", "5")).expect(0);
        let mut c = place.command(&["mc", "m.twinml", "--scenario", "short", "--out", "k8s"]);
        ran(c.env("JOB_COMPLETION_INDEX", format!("{k}")).env("JOB_COMPLETIONS", "2")).expect(0);
    }
    for out in ["slurm", "k8s"] {
        place.run(&["mc", "merge", out]).expect(1);
        assert!(place.bits(out) == place.bits("whole"), "{out}");
    }
    let mut c = place.command(&["mc", "m.twinml"]);
    assert!(ran(c.env("JOB_COMPLETION_INDEX", "3")).expect(2).err.contains("JOB_COMPLETIONS"));
    assert!(place.mc(&["--shard", "4/3"]).expect(2).err.contains("4/3"));
}

#[test]
fn verdicts_have_confidence_and_decide_the_exit_code() {
    let place = Place::model(DECAY);
    let r = place.mc(&["--scenario", "all", "--out", "o", "--junit", "o.xml"]).expect(1);
    assert!(r.out.contains("never") && r.out.contains("violated"), "{}", r.out);
    let s = place.summary("o");
    assert_eq!(
        (&s["runs"], &s["complete"], &s["status"]["complete"]),
        (&400.into(), &true.into(), &400.into())
    );
    let verdict = |name: &str| requirement(&s, name)["verdict"].as_str().unwrap().to_owned();
    assert_eq!(
        ["small", "sure", "never", "open"].map(verdict),
        ["holds", "holds", "violated", "inconclusive"]
    );
    let small = requirement(&s, "small");
    let (lo, hi) =
        (small["probability"]["lo"].as_f64().unwrap(), small["probability"]["hi"].as_f64().unwrap());
    assert!(lo < 0.8 && 0.8 < hi && small["interval"] == "clopper_pearson", "{small}");
    // What is said of a drawn number: b is uniform, its robustness against 0.8 too.
    let r = &small["robustness"];
    assert!((r["mean"]["value"].as_f64().unwrap() - 0.3).abs() < 0.06, "{r}");
    let junit = place.text("o.xml");
    assert!(junit.contains("name=\"never\"><failure type=\"violated\""), "{junit}");
    let html = place.text("o/report.html");
    assert!(html.contains("<h2>Requirements</h2>") && !html.contains("http"), "self-contained");
    // The scenario that expects only what holds ends well, whatever else is declared.
    let r = place.mc(&["--scenario", "short", "--out", "o2"]);
    assert_eq!(r.code, 1, "requirements that nobody expects count as in `run`: {}", r.out);
}

#[test]
fn a_job_ends_when_its_intervals_are_narrow() {
    let place = Place::model(DECAY);
    place.mc(&["--scenario", "all", "--until-ci", "0.12", "--out", "a", "--jobs", "2"]).expect(1);
    let s = place.summary("a");
    let n = s["runs"].as_u64().unwrap();
    assert!(n >= 1000 && n.is_multiple_of(1000) && n < 10_000, "{n}");
    for r in s["requirements"].as_array().unwrap().iter().filter(|r| !r["claim"].is_null()) {
        let p = &r["probability"];
        assert!(p["hi"].as_f64().unwrap() - p["lo"].as_f64().unwrap() <= 0.12, "{r}");
        assert_eq!(r["interval"], "always_valid");
    }
    place.mc(&["--scenario", "all", "--until-ci", "0.12", "--out", "b", "--jobs", "7"]).expect(1);
    assert!(place.bits("a") == place.bits("b"));
    let r = place.mc(&["--until-ci", "0.1", "--shard", "1/2"]).expect(2);
    assert!(r.err.contains("--shard"), "{}", r.err);
    place.mc(&["--until-ci", "0.1", "--sampler", "sobol"]).expect(2);
}

#[test]
fn a_sequential_test_ends_where_it_has_decided() {
    let place = Place::model(DECAY);
    let flags = ["--scenario", "all", "--sprt", "0.02"];
    // P(b < 0.8) is 0.8: `open` may be called either, the others are far from what they claim.
    place.mc(&[&flags[..], &["--out", "a", "--jobs", "2"]].concat()).expect(1);
    let s = place.summary("a");
    let n = s["runs"].as_u64().unwrap();
    assert!(n >= 1000 && n.is_multiple_of(1000) && s["complete"] == true && s["sprt"] == 0.02, "{n}");
    for (name, verdict) in [("small", "holds"), ("never", "violated")] {
        let r = requirement(&s, name);
        assert_eq!((&r["verdict"], &r["sprt"]["decided_after"]), (&verdict.into(), &1000.into()), "{r}");
        assert_eq!(r["interval"], "always_valid");
    }
    assert_eq!(requirement(&s, "open")["sprt"]["decided_after"], n);
    place.mc(&[&flags[..], &["--out", "b", "--jobs", "7"]].concat()).expect(1);
    assert!(place.bits("a") == place.bits("b"));
    // What the runs do not decide stays open.
    place.mc(&["--scenario", "all", "--sprt", "0.001", "-n", "1000", "--out", "c"]).expect(1);
    let s = place.summary("c");
    assert_eq!(requirement(&s, "open")["verdict"], "inconclusive");
    for (wrong, why) in [
        (&["--sprt", "0.02", "--shard", "1/2"][..], "--shard"),
        (&["--sprt", "0.02", "--sampler", "lhs"], "--sampler random"),
        (&["--sprt", "0.02", "-n", "999"], "1000"),
        (&["--sprt", "0.3"], "no room"),
        (&["--sprt", "0"], "distance"),
        (&["--sprt", "0.02", "--until-ci", "0.1"], "--until-ci"),
    ] {
        let r = place.mc(&[&["--scenario", "all"], wrong].concat()).expect(2);
        assert!(r.err.contains(why), "{wrong:?}: {}", r.err);
    }
}

#[test]
fn the_report_shows_the_worst_run_with_its_limit() {
    let model = "
twin Tank {
  parameters { q: VolumeFlow = 0.02 m^3/s ~ uniform(0.01, 0.03); h_max: Length = 3 m }
  states { h: Length in cm = 1 m }
  equations { der(h) = (q - 0.01 [m^2.5/s] * sqrt(h)) / 2 m^2 }
  constraints { full: always(h <= h_max); end: h at end > 0 m }
}
scenario s for Tank { duration: 10 min; samples: 60 }
";
    let place = Place::model(model);
    place.mc(&["--out", "o"]).expect(1);
    let s = place.summary("o");
    let worst = requirement(&s, "full")["worst"]["run"].as_u64().unwrap();
    let page = |folder: &str| place.text(&format!("{folder}/report.html"));
    let html = page("o");
    let (_, section) = html.split_once("<h2>Worst runs</h2>").unwrap();
    let figure = section.split("</figure>").next().unwrap();
    assert!(
        figure.contains(&format!("<b>full</b>: <code>h</code> [cm], run {worst}, decided at")),
        "{figure}"
    );
    // The curve begins at 1 m and ends above the limit of 3 m, which is a level line.
    let points = |n: usize| -> Vec<(f64, f64)> {
        let text = figure.split("<polyline points=\"").nth(n).unwrap().split('"').next().unwrap();
        let pair =
            |p: &str| p.split_once(',').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).unwrap();
        text.split(' ').map(pair).collect()
    };
    let (limit, curve) = (points(1), points(2));
    assert_eq!(limit.len(), 401);
    assert!(limit.iter().all(|p| p.1 == limit[0].1), "{limit:?}");
    assert!(curve[0].1 > limit[0].1 && curve[400].1 < limit[0].1, "pixels count from the top");
    // The same page from shards.
    for k in ["1/3", "2/3", "3/3"] {
        place.mc(&["--shard", k, "--out", "m"]).expect(0);
    }
    place.run(&["mc", "merge", "m"]).expect(1);
    assert!(page("m") == html);
    // And it is that run.
    let r = place.run(&["replay", &format!("o#{worst}")]);
    assert!(r.out.contains("full  violated"), "{}", r.out);
}

/// One in ten divides by zero.
const FRAGILE: &str = "
twin Fragile {
  parameters { p: Real = 1 ~ discrete([0, 1], weights: [0.1, 0.9]) }
  states { x: Real = 0 }
  equations { der(x) = (if time > 0.5 s and p < 0.5 then 1/(p*x) else 1) / 1 s }
  constraints {
    low:  always(x < 5)
    most: always(x < 5) with probability >= 0.8
    rare: eventually[0, 1 s](x > 5) with probability <= 0.05
    done: eventually[0, 1 s](x > 0.9)
  }
}
scenario go for Fragile { duration: 1 s; samples: 200; expect most }
";

#[test]
fn failed_samples_are_put_aside_and_count_against() {
    let place = Place::model(FRAGILE);
    let r = place.mc(&["--out", "o"]).expect(1);
    assert!(r.out.contains("twinc replay o#"), "{}", r.out);
    let s = place.summary("o");
    let failed = s["status"]["failed"].as_u64().unwrap();
    assert!((8..35).contains(&failed), "{failed}");
    assert_eq!(s["failed"].as_array().unwrap().len() as u64, failed);
    let most = requirement(&s, "most");
    assert_eq!((most["failed"].as_u64(), &most["verdict"]), (Some(failed), &"holds".into()));
    assert_eq!(requirement(&s, "low")["verdict"], "violated");
    // Against a claim that limits, too: a failed run may have been one of the rare ones.
    let rare = requirement(&s, "rare");
    assert!((rare["probability"]["value"].as_f64().unwrap() - failed as f64 / 200.0).abs() < 1e-12, "{rare}");
    let run = s["failed"][0]["run"].as_u64().unwrap();
    let r = place.run(&["replay", &format!("o#{run}")]).expect(3);
    assert!(r.out.contains("p = 0") && r.err.contains("[E0801]"), "{}{}", r.out, r.err);
    assert!(place.path(&format!("o/replay-{run}/trace.parquet")).exists());
}

/// What nothing integrates is no number where `p` is small.
const BLIND: &str = "
twin Blind {
  parameters { p: Real = 2 ~ uniform(0.5, LIMIT) }
  states { x: Real = 1 }
  outputs { y: Real = sqrt(p - x) }
  equations { der(x) = 0.1/1 s }
  constraints {
    low:  always(x < 5)
    most: always(x < 5) with probability >= 0.1
  }
}
scenario go for Blind { duration: 10 s; samples: 200 }
";

#[test]
fn samples_with_values_that_are_no_numbers_are_the_same_ones_everywhere() {
    let place = Place::model(&BLIND.replace("LIMIT", "3"));
    let r = place.mc(&["--out", "o", "--jobs", "1"]).expect(1);
    let s = place.summary("o");
    let failed = s["status"]["failed"].as_u64().unwrap();
    assert!((60..160).contains(&failed), "{failed}");
    assert!(r.out.contains(&format!("holds in {} of 200 runs, {failed} failed", 200 - failed)), "{}", r.out);
    assert!(s["failed"][0]["message"].as_str().unwrap().contains("`y` is not a number"), "{s}");
    place.mc(&["--out", "p", "--jobs", "4"]).expect(1);
    place.mc(&["--out", "q", "--engine", "interpreter"]).expect(1);
    for other in ["p", "q"] {
        let same = |f: &str| fs::read(place.path(f)).unwrap();
        assert!(same("o/runs.parquet") == same(&format!("{other}/runs.parquet")), "{other}");
    }
}

#[test]
fn where_all_samples_fail_there_is_nothing_to_judge() {
    let place = Place::model(&BLIND.replace("LIMIT", "0.9"));
    let r = place.mc(&["--out", "o"]).expect(3);
    for name in ["low ", "most"] {
        let line = format!("{name}  inconclusive  nothing to judge: 200 runs failed");
        assert!(r.out.contains(&line), "{}", r.out);
    }
}

#[test]
fn a_replayed_sample_is_the_one_of_the_job() {
    let place = Place::model(DECAY);
    place.mc(&["--scenario", "short", "--out", "o"]);
    let csv = |folder: &str, name: &str| {
        let path = place.path(folder).join(name);
        let frame = twinml_engine::data::Frame::from_bytes("t.parquet", fs::read(path).unwrap()).unwrap();
        move |column: &str| {
            let mut all = Vec::new();
            frame.scan(column, |_, _, x| all.push(x)).unwrap();
            all
        }
    };
    let runs = csv("o", "runs.parquet");
    for k in [0usize, 7, 399] {
        place.run(&["replay", &format!("o#{k}"), "--out", "r"]);
        let trace = csv("r", "trace.parquet");
        for column in ["x", "y", "hits"] {
            assert_eq!(trace(column).last().unwrap().to_bits(), runs(column)[k].to_bits(), "{column} of {k}");
        }
        assert_eq!(trace("x")[0].to_bits(), runs("x.start")[k].to_bits());
    }
    assert!(runs("hits").iter().any(|h| *h != runs("hits")[0]), "behaviour draws apart in each run");
    place.run(&["replay", "o#400"]).expect(2);
    place.run(&["replay", "o"]).expect(2);
    place.edit("m.twinml", "0.5 ~ lognormal(0.5", "0.4 ~ lognormal(0.4");
    let r = place.run(&["replay", "o#7"]).expect(6);
    assert!(r.err.contains("is not the one"), "{}", r.err);
}

#[test]
fn a_draw_that_is_added_changes_no_other() {
    let place = Place::model(DECAY);
    place.mc(&["--scenario", "short", "--out", "a"]);
    let more = DECAY.replace("    k: Real", "    new: Real = 1 ~ normal(1, 1)\n    k: Real");
    place.write("m.twinml", &more);
    place.mc(&["--scenario", "short", "--out", "b"]);
    let column = |folder: &str, name: &str| {
        let bytes = fs::read(place.path(folder).join("runs.parquet")).unwrap();
        let frame = twinml_engine::data::Frame::from_bytes("t.parquet", bytes).unwrap();
        let mut all = Vec::new();
        frame.scan(name, |_, _, x| all.push(x.to_bits())).unwrap();
        all
    };
    for name in ["k", "a", "b", "x.start", "x", "hits"] {
        assert!(column("a", name) == column("b", name), "{name}");
    }
    assert_eq!(column("b", "new").len(), 400);
}

#[test]
fn ranges_and_formulas_hold_for_what_is_drawn() {
    let model = "
twin T {
  parameters {
    n: Real = 2 ~ normal(2, 1) where self > 1
    m: Real = 3 * n ~ uniform(n, 3 * n)
    c: Real = m + 1
    i: Int = 2 ~ normal(2, 2)
  }
  states { x: Real = c }
  equations { der(x) = 0 / 1 s }
}
scenario s for T { duration: 1 s; samples: 300 }";
    let place = Place::model(model);
    place.mc(&["--out", "o"]).expect(0);
    let bytes = fs::read(place.path("o/runs.parquet")).unwrap();
    let frame = twinml_engine::data::Frame::from_bytes("t.parquet", bytes).unwrap();
    let column = |name: &str| {
        let mut all = Vec::new();
        frame.scan(name, |_, _, x| all.push(x)).unwrap();
        all
    };
    let (n, m, x, i) = (column("n"), column("m"), column("x"), column("i"));
    for k in 0..300 {
        assert!(n[k] > 1.0 && m[k] >= n[k] && m[k] <= 3.0 * n[k] && x[k] == m[k] + 1.0, "{k}");
        assert_eq!(i[k], i[k].round());
    }
    // About 16 % of a normal number lie a deviation below the mean, and are drawn again.
    let repeated: f64 = column("repeated").iter().sum();
    assert!((30.0..90.0).contains(&repeated), "{repeated}");
}

/// A tank that a machine fills, with timers, draws in handlers and requirements over time.
const TANK: &str = "
twin Tank {
  parameters {
    k: Real[1/s] = 0.31 ~ lognormal(0.31, 0.1)
    top: Real = 0.83
    low: Real = 0.22 ~ uniform(0.2, 0.25)
  }
  inputs { feed: Real[1/s] = 0.21 [1/s] }
  states { h: Real = 0.4 ~ uniform(0.35, 0.45); starts: Int = 0 }
  outputs { wet: Bool = h > 0.5 }
  equations { der(h) = feed + (if mode.on then 0.4 [1/s] else 0 [1/s]) - k*h }
  behavior {
    machine mode {
      initial off
      state off { when h < low -> on { starts = starts + 1 } }
      state on { on rising(h > top) -> off }
    }
    every 700 ms { if draw(bernoulli(0.4)) { h = h + 0.03 } }
    after 3 s { feed = 0.02 [1/s] }
  }
  constraints {
    dry: always(h > 0.18) with probability >= 0.5
    again: always[0 s, 6 s](h < 0.25 implies eventually[0 s, 3 s](h > 0.4))
    kpi mean: mean(h over run)
    kpi cycles: starts
  }
}
scenario main for Tank { duration: 12 s; samples: 150; solver: tsit5 }
";

/// How many runs are computed at a time, and by which instructions, changes no bit; neither do threads and shards.
#[test]
fn instruction_sets_change_no_bit() {
    let place = Place::model(TANK);
    everywhere_the_same(&place, "h");
    // A method that goes by itself says so.
    let ran = place.mc(&["--solver", "bdf", "--samples", "5", "--format", "json", "--out", "alone"]);
    assert!(ran.out.contains("\"level\":null,\"why\":\"its solver goes alone\""), "{}", ran.out);
}

/// A job says which part of the steps its samples took by themselves.
#[test]
fn steps_that_went_alone_are_told_of() {
    let place = Place::model(
        "twin Vdp {
  units: off
  parameters { m: Real = 100 ~ uniform(90, 110) }
  states { x: Real = 2; v: Real = 0 }
  equations { der(x) = v; der(v) = m*(1 - x^2)*v - x }
}
scenario main for Vdp { duration: 300 s; samples: 20 }",
    );
    let ran = place.mc(&["--out", "auto"]).expect(0);
    let of = "% of the steps by themselves: their solver turned to a method that goes alone";
    assert!(ran.err.contains(of), "{}", ran.said());
    let ran = place.mc(&["--solver", "rosenbrock", "--format", "json", "--out", "stiff"]).expect(0);
    assert!(ran.out.contains("\"alone\":0,\"apart\":null"), "{}", ran.out);
}

/// Noise whose intensity depends on states, beside a path of its own, a table of time and an event.
const WALK: &str = r#"
twin Walk {
  parameters {
    m: Real[1/s] = 0.5 [1/s] ~ uniform(0.4, 0.6)
    load: Table = table("load.csv", x: "t" in s, y: "p", method: linear, outside: repeat)
  }
  states { x: Real = 1; y: Real[1][2] = 0.5; n: Int = 0 }
  equations {
    der(x) = m*(load(time) - x) + 0.5 [1/s^0.5]*x*white_noise()
    for i in 0..2 { der(y[i]) = (x - y[i])*1 [1/s] + 0.3 [1/s^0.5]*sqrt(1 + y[i]^2)*white_noise() }
  }
  behavior { on rising(x > 1.6) { n = n + 1; x = 1.2 } }
  constraints { low: always(y[0] < 2) with probability >= 0.5; kpi most: max(x over run); kpi n: n }
}
scenario main for Walk { duration: 1.5 s; samples: 100; solver: milstein(step: 10 ms); record x every 100 ms }
"#;

/// The same with `milstein`, where paths belong to seed and run; and after a job that was killed, where another level goes on.
#[test]
fn paths_of_noise_are_the_same_everywhere() {
    let place = Place::model(WALK);
    fs::write(place.path("load.csv"), "t,p\n0,1\n0.4,1.3\n1,0.8\n1.1,1\n").unwrap();
    everywhere_the_same(&place, "x");
    let levels = levels(&place);
    let whole = ["--samples", "6000", "--jobs", "2"];
    place.mc(&[&whole[..], &["--out", "whole"]].concat());
    let parts = place.path("killed/parts");
    let kept = || fs::read_dir(&parts).map_or(0, |d| d.flatten().filter(is_part).count());
    let args = [&["mc", "m.twinml"][..], &whole, &["--out", "killed"]].concat();
    let mut command = place.command(&args);
    command.env("TWINC_ISA", levels[levels.len() - 1]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while kept() == 0 && begun.elapsed() < Duration::from_secs(120) && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    child.wait().unwrap();
    assert!(kept() > 0 && !place.path("killed/runs.parquet").exists(), "killed too early or too late");
    let mut command = place.command(&[&args[..], &["--resume"]].concat());
    let done = ran(command.env("TWINC_ISA", "v128"));
    assert!(done.err.contains("Resumed"), "{}", done.said());
    assert!(place.bits("killed") == place.bits("whole"));
    // Where the order of two noises matters, no sample runs.
    let noises =
        WALK.replace("0.3 [1/s^0.5]*sqrt(1 + y[i]^2)*white_noise()", "0.3 [1/s^0.5]*x*white_noise()");
    let refused = Place::model(&noises);
    fs::copy(place.path("load.csv"), refused.path("load.csv")).unwrap();
    let said = refused.mc(&["--samples", "3", "--out", "no"]);
    assert!(said.err.contains("E0811") || said.out.contains("E0811"), "{}", said.said());
}

/// Tanks that run dry, and weirs that no longer do, at an instant of each run's own: the branch that has no value there is left
/// by every run by itself.
const DRAIN: &str = "
twin Drain {
  parameters { k: Real[m^2.5/s] = 0.3 [m^2.5/s] ~ uniform(0.2, 0.4); area: Area = 1 m^2; crest: Length = 0.5 m }
  states { h: Length = 1 m ~ uniform(0.7, 1.2); low: Length = 0.2 m }
  variables { q: VolumeFlow; over: VolumeFlow }
  equations {
    q = if h > 0 m then k*sqrt(h) else 0 m^3/s
    over = if low > crest then 2 [m^1.5/s]*(low - crest)^1.5 else 0 m^3/s
    area*der(h) = -q
    area*der(low) = q - over - 0.04 [m^3/s]
  }
  constraints { dry: eventually(h < 1 mm) with probability >= 0.5; kpi most: max(low over run) }
}
scenario main for Drain { duration: 12 s; samples: 60; solver: SOLVER; record low every 1 s }
";

#[test]
fn guards_are_left_by_each_run_at_its_own_instant() {
    for solver in ["tsit5", "rosenbrock", "rk4(step: 10 ms)"] {
        let place = Place::model(&DRAIN.replace("SOLVER", solver));
        place.mc(&["--engine", "interpreter", "--out", "alone"]);
        for isa in levels(&place) {
            let mut c = place.command(&["mc", "m.twinml", "--format", "json", "--out", isa]);
            let ran = ran(c.env("TWINC_ISA", isa));
            assert!(ran.out.contains(&format!("\"level\":\"{isa}\",\"why\":null")), "{solver}: {}", ran.out);
            assert!(place.bits(isa) == place.bits("alone"), "{solver}, {isa}");
            assert_eq!(place.summary(isa)["status"]["failed"], 0, "{solver}, {isa}");
        }
    }
}

/// Runs `m.twinml` at each level, with some numbers of threads and shards: on lanes, and the same bits.
fn everywhere_the_same(place: &Place, watched: &str) {
    let mut want = None;
    for isa in levels(place) {
        let mc = |out: &str, args: &[&str]| {
            let mut c = place.command(
                &[&["mc", "m.twinml", "--record", watched, "--format", "json", "--out", out], args].concat(),
            );
            let ran = ran(c.env("TWINC_ISA", isa));
            assert!(matches!(ran.code, 0 | 1 | 4), "{}", ran.said());
            ran
        };
        for jobs in ["1", "2", "7"] {
            let out = format!("{isa}-{jobs}");
            let ran = mc(&out, &["--jobs", jobs]);
            assert!(ran.out.contains(&format!("\"level\":\"{isa}\",\"why\":null")), "{}", ran.out);
            let bits = place.bits(&out);
            let traces = fs::read(place.path(&out).join("traces/traces-00000.parquet")).unwrap();
            let all = (bits, traces);
            assert!(want.get_or_insert_with(|| all.clone()) == &all, "{isa}, {jobs} threads");
        }
        for shards in [3, 16] {
            let out = format!("{isa}-of-{shards}");
            for k in 1..=shards {
                mc(&out, &["--shard", &format!("{k}/{shards}"), "--jobs", "2"]);
            }
            place.run(&["mc", "merge", &out]);
            assert!(want.as_ref().is_some_and(|w| w.0 == place.bits(&out)), "{isa}, {shards} shards");
        }
    }
}
