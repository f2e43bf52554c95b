//! `draw` gives what it says: every distribution of the language, cut and mixed ones too, against distribution
//! functions that are integrated here from densities (Kolmogorov-Smirnov), with a fixed seed. The tests show that they
//! can fail: a mean that is 3 % off is caught. Streams belong to seed, twin and place, not to what else the model holds.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// Twins, and draws of each.
const TWINS: usize = 25;
const DRAWS: usize = 2000;

/// A distribution in TwinML, its density up to a factor, and where that lives.
struct Law {
    text: &'static str,
    density: fn(f64) -> f64,
    from: f64,
    to: f64,
}

fn bell(x: f64, mean: f64, sd: f64) -> f64 {
    (-0.5 * ((x - mean) / sd).powi(2)).exp() / sd / (2.0 * std::f64::consts::PI).sqrt()
}

fn lognormal(x: f64, mean: f64, sd: f64) -> f64 {
    let s2 = (1.0 + (sd / mean).powi(2)).ln();
    bell(x.ln(), mean.ln() - 0.5 * s2, s2.sqrt()) / x
}

fn inside(x: f64, lo: f64, hi: f64) -> f64 {
    f64::from(u8::from(lo <= x && x <= hi))
}

const LAWS: &[Law] = &[
    Law { text: "normal(3, 2)", density: |x| bell(x, 3.0, 2.0), from: -15.0, to: 21.0 },
    Law { text: "uniform(2, 5)", density: |_| 1.0, from: 2.0, to: 5.0 },
    Law { text: "exponential(50)", density: |x| (-x / 50.0).exp(), from: 0.0, to: 1500.0 },
    Law { text: "lognormal(10, 4)", density: |x| lognormal(x, 10.0, 4.0), from: 1e-6, to: 200.0 },
    Law { text: "triangular(1, 2, 5)", density: |x| (x - 1.0).min((5.0 - x) / 3.0), from: 1.0, to: 5.0 },
    Law { text: "beta(2, 5)", density: |x| x * (1.0 - x).powi(4), from: 0.0, to: 1.0 },
    Law {
        text: "beta(2, 5, lo: 10, hi: 20)",
        density: |x| (x - 10.0) * (20.0 - x).powi(4),
        from: 10.0,
        to: 20.0,
    },
    Law { text: "gamma(7.5, 0.3)", density: |x| x.powf(6.5) * (-x / 0.3).exp(), from: 0.0, to: 20.0 },
    Law {
        text: "weibull(1.7, 3)",
        density: |x| x.powf(0.7) * (-(x / 3.0).powf(1.7)).exp(),
        from: 0.0,
        to: 40.0,
    },
    Law { text: "truncated(normal(0, 1), -0.5, 2)", density: |x| bell(x, 0.0, 1.0), from: -0.5, to: 2.0 },
    // Far out in a tail: what is below 1 is all that the distribution function itself would say there.
    Law {
        text: "truncated(normal(0, 1), lo: 9)",
        density: |x| (40.5 - 0.5 * x * x).exp(),
        from: 9.0,
        to: 12.0,
    },
    Law { text: "truncated(exponential(10), hi: 5)", density: |x| (-x / 10.0).exp(), from: 0.0, to: 5.0 },
    Law {
        text: "mixture([normal(0, 1), uniform(2, 8)], weights: [3, 1])",
        density: |x| 0.75 * bell(x, 0.0, 1.0) + 0.25 * inside(x, 2.0, 8.0) / 6.0,
        from: -8.0,
        to: 8.0,
    },
    Law {
        text: "truncated(mixture([normal(0, 1), exponential(4)]), 0.5, 3)",
        density: |x| 0.5 * bell(x, 0.0, 1.0) + 0.5 * (-x / 4.0).exp() / 4.0,
        from: 0.5,
        to: 3.0,
    },
    Law {
        text: "mixture([truncated(normal(5, 1), 5, 7), beta(2, 2)], weights: [0.5, 0.5])",
        density: |x| {
            let cut = inside(x, 5.0, 7.0) * bell(x, 5.0, 1.0) / 0.477_249_868_051_820_8;
            0.5 * cut + 0.5 * inside(x, 0.0, 1.0) * 6.0 * x * (1.0 - x)
        },
        from: 0.0,
        to: 7.0,
    },
];

impl Law {
    /// Largest distance between the sample's distribution and the law's, times √n.
    fn distance(&self, sample: &[f64]) -> f64 {
        // The distribution function on a fine grid, by the midpoint rule between its points.
        let cells = 400_000;
        let width = (self.to - self.from) / f64::from(cells);
        let mut cdf = vec![0.0];
        let mut total = 0.0;
        for k in 0..cells {
            total += (self.density)(self.from + (f64::from(k) + 0.5) * width);
            cdf.push(total);
        }
        let at = |x: f64| {
            let k = ((x - self.from) / width).clamp(0.0, f64::from(cells) - 1e-6);
            let (low, part) = (k.floor() as usize, k.fract());
            (cdf[low] + part * (cdf[low + 1] - cdf[low])) / total
        };
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len() as f64;
        let gap = |(k, x): (usize, &f64)| {
            let p = at(*x);
            (p - k as f64 / n).abs().max(((k + 1) as f64 / n - p).abs())
        };
        sorted.iter().enumerate().map(gap).fold(0.0, f64::max) * n.sqrt()
    }
}

/// Exceeded by one correct sample in 10,000.
const LIMIT: f64 = 2.225;

fn run(dir: &Path, name: &str, text: &str, more: &[&str]) -> (bool, String, String) {
    let (model, out) = (dir.join(format!("{name}.twinml")), dir.join(format!("{name}.csv")));
    fs::write(&model, text).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_twinc"))
        .arg("run")
        .arg(&model)
        .args(["--no-plot", "--out"])
        .arg(&out)
        .args(more)
        .output()
        .unwrap();
    let table = fs::read_to_string(&out).unwrap_or_default();
    (ran.status.success(), String::from_utf8_lossy(&ran.stderr).into_owned(), table)
}

/// The columns whose names end so; of each instant the row after its events.
fn columns(table: &str, ends: &str) -> Vec<Vec<f64>> {
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let wanted: Vec<usize> = (0..names.len()).filter(|k| names[*k].ends_with(ends)).collect();
    let mut out = vec![Vec::new(); wanted.len()];
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
    for (k, row) in rows.iter().enumerate() {
        if rows.get(k + 1).is_some_and(|next| next[0] == row[0]) {
            continue;
        }
        for (column, at) in out.iter_mut().zip(&wanted) {
            column.push(row[*at].parse().unwrap());
        }
    }
    out
}

fn sampler(laws: &[&str]) -> String {
    let states: Vec<String> = (0..laws.len()).map(|k| format!("x{k}: Real = 0")).collect();
    let draws: Vec<String> =
        laws.iter().enumerate().map(|(k, l)| format!("      x{k} = draw({l})")).collect();
    format!(
        "twin Sampler {{\n  states {{ {} }}\n  behavior {{\n    every 1 s {{\n{}\n    }}\n  }}\n}}\n\
         twin All {{ twins {{ s: Sampler[{TWINS}] }} }}\n\
         scenario go for All {{ duration: {} s; seed: 11; record all every 1 s }}\n",
        states.join("; "),
        draws.join("\n"),
        DRAWS - 1
    )
}

#[test]
fn draws_follow_their_distributions() {
    let dir = tempfile::tempdir().unwrap();
    let laws: Vec<&str> = LAWS.iter().map(|l| l.text).collect();
    let (ok, stderr, table) = run(dir.path(), "laws", &sampler(&laws), &["--scenario", "go"]);
    assert!(ok, "{stderr}");
    let mut wrong = Vec::new();
    for (k, law) in LAWS.iter().enumerate() {
        let twins = columns(&table, &format!(".x{k}"));
        assert_eq!(twins.len(), TWINS);
        let sample: Vec<f64> = twins.concat();
        assert_eq!(sample.len(), TWINS * DRAWS);
        assert!(sample.iter().all(|x| (law.from..=law.to).contains(x)), "{}: outside", law.text);
        let d = law.distance(&sample);
        if d > LIMIT {
            wrong.push(format!("{}: {d}", law.text));
        }
        // Twins draw apart: no two samples agree in a single draw.
        assert!(twins.windows(2).all(|w| w[0].iter().zip(&w[1]).all(|(a, b)| a != b)), "{}", law.text);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_mean_three_percent_off_is_caught() {
    let dir = tempfile::tempdir().unwrap();
    let off = [
        "exponential(51.5)",
        "uniform(2.09, 5.15)",
        "normal(3.09, 2)",
        "truncated(exponential(10.3), hi: 5.15)",
    ];
    let (ok, stderr, table) = run(dir.path(), "off", &sampler(&off), &["--scenario", "go"]);
    assert!(ok, "{stderr}");
    for (k, text) in ["exponential(50)", "uniform(2, 5)", "normal(3, 2)", "truncated(exponential(10), hi: 5)"]
        .into_iter()
        .enumerate()
    {
        let law = LAWS.iter().find(|l| l.text == text).unwrap();
        let d = law.distance(&columns(&table, &format!(".x{k}")).concat());
        assert!(d > LIMIT, "{text} against {}: {d}", off[k]);
    }
}

#[test]
fn discrete_ones_have_their_shares() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "enum Colour {{ red, green, blue }}\n\
         twin Sampler {{\n  states {{ n: Int = 0; b: Bool = false; c: Colour = Colour.red; e: Real = 0; t: Real = 0; d: Duration = 0 s }}\n\
           behavior {{ every 1 s {{\n\
             n = draw(discrete([1, 2, 5], weights: [0.2, 0.3, 0.5]))\n\
             b = draw(bernoulli(0.3))\n\
             c = draw(discrete([Colour.red, Colour.green, Colour.blue], weights: [1, 0, 3]))\n\
             e = draw(empirical(\"seen.csv\", column: \"gap\"))\n\
             t = draw(truncated(discrete([1, 2, 3, 4]), 2, 3.5))\n\
             d = draw(truncated(normal(5 s, 0 s), 5 s, 6 s))\n\
           }} }}\n}}\n\
         twin All {{ twins {{ s: Sampler[{TWINS}] }} }}\n\
         scenario go for All {{ duration: {} s; seed: 3; record all every 1 s }}\n",
        DRAWS - 1
    );
    fs::write(dir.path().join("seen.csv"), "gap,other\n4,1\n1,1\n9,1\n4,1\n").unwrap();
    let (ok, stderr, table) = run(dir.path(), "shares", &text, &["--scenario", "go"]);
    assert!(ok, "{stderr}");
    let numbers = table
        .replace("true", "1")
        .replace("false", "0")
        .replace("red", "0")
        .replace("green", "1")
        .replace("blue", "2");
    // Pearson's statistic against the share of each value, with its limit at 1e-4 for so many degrees of freedom.
    let limit = [0.0, 15.14, 18.42];
    for (name, shares) in [
        (".n", &[(1.0, 0.2), (2.0, 0.3), (5.0, 0.5)][..]),
        (".b", &[(0.0, 0.7), (1.0, 0.3)]),
        (".c", &[(0.0, 0.25), (2.0, 0.75)]),
        (".e", &[(1.0, 0.25), (4.0, 0.5), (9.0, 0.25)]),
        (".t", &[(2.0, 0.5), (3.0, 0.5)]),
        (".d", &[(5.0, 1.0)]),
    ] {
        let sample = columns(&numbers, name).concat();
        let n = sample.len() as f64;
        let count = |v: f64| sample.iter().filter(|x| **x == v).count() as f64;
        assert_eq!(shares.iter().map(|(v, _)| count(*v)).sum::<f64>(), n, "{name}: other values");
        let chi: f64 = shares.iter().map(|(v, p)| (count(*v) - n * p).powi(2) / (n * p)).sum();
        assert!(chi <= limit[shares.len() - 1], "{name}: {chi}");
    }
}

#[test]
fn streams_belong_to_twin_and_place() {
    let dir = tempfile::tempdir().unwrap();
    let twin = |extra: &str| {
        format!(
            "twin A {{\n  states {{ x: Real = 0; y: Real = 0; z: Real = 0; w: Real = 0 }}\n  behavior {{\n\
               every 1 s {{ x = draw(uniform(0, 1)); after 0.5 s {{ w = draw(uniform(0, 1)) }} }}\n\
               machine m {{\n    initial a\n\
                 state a {{ entry {{ y = draw(uniform(0, 1)) }} after 1 s -> b }}\n\
                 state b {{ entry {{ z = draw(uniform(0, 1)) }} after 1 s -> a }}\n  }}\n  }}\n}}\n\
             twin All {{ twins {{ {extra} p: A; q: A }} }}\n\
             scenario go for All {{ duration: 40 s; record all every 2.75 s }}\n"
        )
    };
    let few = run(dir.path(), "few", &twin(""), &["--scenario", "go"]);
    let many = run(dir.path(), "many", &twin("first: A; more: A[7];"), &["--scenario", "go"]);
    let seeded = run(dir.path(), "seeded", &twin(""), &["--scenario", "go", "--seed", "5"]);
    for r in [&few, &many, &seeded] {
        assert!(r.0, "{}", r.1);
    }
    let mut all: Vec<Vec<f64>> = Vec::new();
    for name in ["p.x", "p.y", "p.z", "p.w", "q.x", "q.y", "q.z", "q.w"] {
        let one = columns(&few.2, name).remove(0);
        assert_eq!(one, columns(&many.2, name).remove(0), "{name}: further twins change no draw");
        assert_ne!(one, columns(&seeded.2, name).remove(0), "{name}: the seed does");
        all.push(one);
    }
    for (k, a) in all.iter().enumerate() {
        for b in &all[..k] {
            let same = a.iter().zip(b).filter(|(x, y)| x == y && **x != 0.0).count();
            assert_eq!(same, 0, "two streams share draws");
        }
    }
}

#[test]
fn what_is_no_distribution_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let model = |draw: &str| {
        format!(
            "twin A {{ states {{ x: Real = 0; t: Duration = 0 s }} behavior {{ every 1 s {{ {draw} }} }} }}\n\
             scenario go for A {{ duration: 3 s }}\n"
        )
    };
    for (k, (draw, says)) in [
        ("x = draw(mixture([normal(0, 1), bernoulli(0.5)]))", "`bernoulli` gives truth values"),
        ("x = draw(mixture([normal(0, 1), uniform(0, 1)], weights: [1]))", "2 entries and 1 weights"),
        ("x = draw(mixture([]))", "a mixture of nothing"),
        ("x = draw(truncated(normal(0, 1)))", "`truncated` needs `lo` and `hi`"),
        ("x = draw(normal(mean: 2))", "`normal` needs `sd`"),
        ("x = draw(normal(mean: 2, mean: 3))", "`mean` twice"),
        ("x = draw(beta(2, 5, hi: 3))", "`beta` needs `lo`"),
        ("t = draw(truncated(exponential(2 s), 1 m, 5 m))", "the arguments of `truncated`"),
        ("t = draw(mixture([exponential(2 s), normal(1, 2)]))", "the arguments of `mixture`"),
        ("x = draw(truncated(normal(0, 1), 3, 2))", "the upper end lies below the lower one"),
        ("x = draw(exponential(-1))", "the mean of an `exponential` is 0 or more"),
        // What only the run knows.
        ("x = draw(truncated(normal(0, 1), x + 3, 2))", "`truncated(normal(0, 1), 3, 2)` is no distribution"),
        ("x = draw(truncated(uniform(0, 1), 3, 4))", "is no distribution to draw from"),
        ("x = draw(discrete([1, 2], weights: [x, 0]))", "is no distribution to draw from"),
        ("x = draw(exponential(x - 1))", "`exponential(-1)` is no distribution"),
    ]
    .into_iter()
    .enumerate()
    {
        let (ok, stderr, _) = run(dir.path(), &format!("bad{k}"), &model(draw), &["--scenario", "go"]);
        assert!(!ok, "{draw} ran");
        assert!(stderr.contains(says), "{draw}: {stderr}");
    }
}
