//! What `twinc mc` says is so: closed forms of exponential decay with a lognormal rate, published reliability problems,
//! and how often stated intervals hold the truth.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::thread;

use serde_json::Value;

mod place;
use place::Place;

impl Place {
    fn summary(&self, args: &[&str]) -> Value {
        self.summary_in("o", args)
    }

    fn summary_in(&self, folder: &str, args: &[&str]) -> Value {
        let ran = self.run(&[&["mc", "m.twinml", "--jobs", "1", "--out", folder], args].concat());
        assert!(matches!(ran.code, 0 | 1 | 4), "{}", ran.err);
        self.json(&format!("{folder}/summary.json"))
    }
}

fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    list.as_array().unwrap().iter().find(|v| v["name"] == name).unwrap()
}

/// Whether an interval holds the truth; an end that is not known lies beyond everything.
fn holds(v: &Value, truth: f64) -> bool {
    v["lo"].as_f64().is_none_or(|lo| lo <= truth) && v["hi"].as_f64().is_none_or(|hi| truth <= hi)
}

/// x(1) = exp(-k) with log k normal: quantiles of x are those of k, turned around.
const DECAY: &str = "
twin Decay {
  parameters { k: Real[1/s] = 1 ~ lognormal(1, 0.3) }
  states { x: Real = 1 }
  equations { der(x) = -k * x }
  constraints {
    half: always(x > 0.25) with probability >= 0.5
  }
}
scenario s for Decay { duration: 1 s; solver: rk4(step: 0.1 s) }
";

/// Standard normal quantiles of 0.05, 0.25, 0.5, 0.75, 0.95 (Abramowitz & Stegun, table 26.5).
const Z: [(f64, f64); 5] = [
    (0.05, -1.644_853_626_951_472_7),
    (0.25, -0.674_489_750_196_081_7),
    (0.5, 0.0),
    (0.75, 0.674_489_750_196_081_7),
    (0.95, 1.644_853_626_951_472_7),
];

#[test]
fn quantiles_of_decay_lie_in_their_intervals() {
    let place = Place::in_memory(&[("m.twinml", DECAY)]);
    let s2 = (1.0f64 + 0.09).ln();
    let (mu, s) = (-0.5 * s2, s2.sqrt());
    // The quantile q of x is exp(-k) at the quantile 1 - q of k.
    let truth: Vec<(f64, f64)> = Z.iter().map(|(q, z)| (*q, (-(mu - s * z).exp()).exp())).collect();
    // P(x > 1/4) = P(k < log 4).
    let z = ((4.0f64.ln()).ln() - mu) / s;
    // Φ(1.2596…) by Abramowitz & Stegun 26.2.17, whose error is below 7.5e-8.
    let phi = |x: f64| {
        let t = 1.0 / (1.0 + 0.231_641_9 * x);
        let poly = t
            * (0.319_381_53
                + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
        1.0 - (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt() * poly
    };
    let p = phi(z);
    for (sampler, n) in [("random", "300"), ("lhs", "300"), ("sobol", "512")] {
        let (mut quantiles, mut claims) = ([0; 5], 0);
        let job = |seed: u32| {
            let (folder, seed) = (format!("o{seed}"), seed.to_string());
            place.summary_in(&folder, &["-n", n, "--sampler", sampler, "--seed", &seed, "-q"])
        };
        // The seeds are jobs of their own, four side by side.
        let summaries: Vec<Value> = thread::scope(|scope| {
            let quarter = |k: u32| scope.spawn(move || (k * 25..(k + 1) * 25).map(job).collect::<Vec<_>>());
            let all: Vec<_> = (0..4).map(quarter).collect();
            all.into_iter().flat_map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(summaries.len(), 100);
        for summary in summaries {
            let x = &named(&summary["values"], "x")["quantiles"];
            for (k, (q, value)) in truth.iter().enumerate() {
                let found = x.as_array().unwrap().iter().find(|v| v["q"] == *q).unwrap();
                quantiles[k] += u32::from(holds(found, *value));
            }
            claims += u32::from(holds(&named(&summary["requirements"], "half")["probability"], p));
        }
        assert!(claims >= 95, "{sampler}: {claims} of 100");
        assert!(quantiles.iter().all(|n| *n >= 95), "{sampler}: {quantiles:?}");
    }
}

/// Three problems with exact failure probabilities. Strength and load: R. E. Melchers and A. T. Beck, "Structural
/// Reliability Analysis and Prediction" (2018), ch. 1 (normal) and 8 (lognormal). A sum of exponential numbers: S. Engelund
/// and R. Rackwitz, "A benchmark study on importance sampling techniques in structural reliability", Structural Safety 12
/// (1993).
const RELIABILITY: &str = "
twin Normal {
  parameters { R: Real = 10 ~ normal(10, 1.25); S: Real = 5 ~ normal(5, 1) }
  states { x: Real = 0 }
  equations { der(x) = 0 / 1 s }
  constraints { safe: always(R - S > 0) with probability >= 0.5 }
}
twin Product {
  parameters { R: Real = 10 ~ lognormal(10, 1); S: Real = 5 ~ lognormal(5, 1) }
  states { x: Real = 0 }
  equations { der(x) = 0 / 1 s }
  constraints { safe: always(R > S) with probability >= 0.5 }
}
twin Sum {
  parameters { u: Real[1][5] = 1 ~ exponential(1) }
  states { x: Real = 0 }
  equations { der(x) = 0 / 1 s }
  constraints { safe: always(sum(u) < 15) with probability >= 0.5 }
}
scenario normal for Normal { duration: 1 s; solver: euler(step: 1 s) }
scenario product for Product { duration: 1 s; solver: euler(step: 1 s) }
scenario exponential for Sum { duration: 1 s; solver: euler(step: 1 s) }
";

#[test]
fn rare_failures_have_their_probabilities() {
    let place = Place::in_memory(&[("m.twinml", RELIABILITY)]);
    // beta = 5 / sqrt(1.25^2 + 1): Φ(-3.123475237772121) = 8.935e-4.
    let normal = 8.936_6e-4;
    // Standard deviations of the logarithms: sqrt(log 1.01), sqrt(log 1.04).
    let (a, b) = (1.01f64.ln(), 1.04f64.ln());
    let beta = ((10.0f64 / 5.0).ln() - 0.5 * a + 0.5 * b) / (a + b).sqrt();
    // A gamma number of shape 5 above 15: e^-15 Σ 15^k / k!, k < 5.
    let exponential = (-15.0f64).exp() * (1.0 + 15.0 + 112.5 + 562.5 + 2109.375);
    let product = tail(beta);
    assert!(
        (tail(5.0 / (1.25f64 * 1.25 + 1.0).sqrt()) / normal - 1.0).abs() < 1e-3,
        "{}",
        tail(3.123_475_237_772)
    );
    for (scenario, truth) in [("normal", normal), ("product", product), ("exponential", exponential)] {
        assert!((1e-4..2e-3).contains(&truth), "{scenario}: {truth}");
        for (sampler, n) in [("random", "20000"), ("lhs", "16000"), ("sobol", "16384")] {
            let s =
                place.summary(&["--scenario", scenario, "-n", n, "--sampler", sampler, "--seed", "4", "-q"]);
            let p = &named(&s["requirements"], "safe")["probability"];
            assert!(holds(p, 1.0 - truth), "{scenario} by {sampler}: {p}, truth {}", 1.0 - truth);
            let width = p["hi"].as_f64().unwrap() - p["lo"].as_f64().unwrap();
            assert!(width < 2.5e-3, "{scenario} by {sampler}: {p}");
        }
    }
}

/// Φ(-x) by the continued fraction of Abramowitz & Stegun 26.2.14.
fn tail(x: f64) -> f64 {
    let mut f = 0.0;
    for k in (1..200).rev() {
        f = f64::from(k) / (x + f);
    }
    (-0.5 * x * x).exp() / ((2.0 * std::f64::consts::PI).sqrt() * (x + f))
}

#[test]
fn correlations_are_those_that_are_asked_for() {
    let place = Place::in_memory(&[(
        "m.twinml",
        "twin T {
  parameters {
    a: Real = 0 ~ normal(0, 1)
    b: Real = 0 ~ normal(0, 2)
    c: Real = 1 ~ exponential(1)
    correlate(a, b: 0.7, c: -0.5)
  }
  states { x: Real = 0 }
  outputs { y: Real = a }
  equations { der(x) = 0 / 1 s }
}
scenario s for T { duration: 1 s; samples: 4_000; solver: euler(step: 1 s) }
",
    )]);
    let s = place.summary(&["-q"]);
    let bars = &s["tornado"].as_array().unwrap().iter().find(|t| t["target"] == "y").unwrap()["draws"];
    let of = |name: &str| {
        bars.as_array().unwrap().iter().find(|b| b["draw"] == name).unwrap()["correlation"].as_f64().unwrap()
    };
    assert!((of("a") - 1.0).abs() < 1e-12);
    assert!((of("b") - 0.7).abs() < 0.03, "{}", of("b"));
    // Of the normal numbers it is -0.5; of an exponential and a normal one, that times sqrt(3)/2·… = 0.903 (A. Der
    // Kiureghian and P.-L. Liu, "Structural reliability under incomplete probability information", 1986, table 4: 1/1.107).
    assert!((of("c") + 0.5 / 1.107).abs() < 0.04, "{}", of("c"));
}
