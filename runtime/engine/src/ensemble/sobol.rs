//! Sobol's sequence with nested uniform scrambling.
//!
//! Direction numbers are those of S. Joe and F. Y. Kuo (`joe-kuo.txt`); the scrambling is that of A. B. Owen ("Randomly
//! permuted (t,m,s)-nets and (t,s)-sequences", 1995): the digit of a coordinate is flipped or not by a random bit that
//! belongs to all digits before it. A scrambled point is uniformly distributed, and every 2^m points of a randomisation
//! stay a net. The sequence of `2^32` points begins with the origin, which scrambling moves away.

use std::sync::OnceLock;

/// Coordinates that there are direction numbers for.
pub const DIMENSIONS: usize = 1111;
/// Binary digits of a coordinate.
const DIGITS: u32 = 52;
/// Binary digits of a point's number.
const BITS: usize = 32;

type Directions = [u64; BITS];

/// Direction numbers of every dimension, the first digit at bit 51.
fn directions() -> &'static [Directions] {
    static TABLE: OnceLock<Vec<Directions>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut out = vec![std::array::from_fn(|k| 1u64 << (DIGITS as usize - 1 - k))];
        let numbers = |line: &str| -> Vec<u64> { line.split(' ').filter_map(|w| w.parse().ok()).collect() };
        let lines =
            include_str!("joe-kuo.txt").lines().filter(|l| l.starts_with(|c: char| c.is_ascii_digit()));
        for line in lines {
            if let [_, s, a, m @ ..] = &numbers(line)[..] {
                out.push(dimension(*s as usize, *a, m));
            }
        }
        out
    })
}

/// The recurrence of a primitive polynomial of degree `s` with inner coefficients `a`.
fn dimension(s: usize, a: u64, m: &[u64]) -> Directions {
    let mut v = [0u64; BITS];
    for k in 0..BITS {
        v[k] = if k < s {
            m.get(k).copied().unwrap_or(1) << (DIGITS as usize - 1 - k)
        } else {
            let mut x = v[k - s] ^ (v[k - s] >> s);
            for i in 1..s {
                if a >> (s - 1 - i) & 1 == 1 {
                    x ^= v[k - i];
                }
            }
            x
        };
    }
    v
}

/// The finaliser of SplitMix64 (G. L. Steele et al., 2014): a bijection whose every output bit depends on all input bits.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Coordinate `dimension` of point `point`, scrambled by `key`, strictly between 0 and 1; `None` beyond
/// [`DIMENSIONS`].
#[must_use]
pub fn coordinate(dimension: usize, point: u32, key: u64) -> Option<f64> {
    let v = directions().get(dimension)?;
    let mut x = 0u64;
    for (k, d) in v.iter().enumerate() {
        if point >> k & 1 == 1 {
            x ^= d;
        }
    }
    let mut out = 0u64;
    for digit in 0..DIGITS {
        let at = DIGITS - 1 - digit;
        // The digits before this one, with a leading 1 that tells how many they are.
        let before = (x >> (at + 1)) | 1u64 << digit;
        let flip = mix(key ^ mix(before)) & 1;
        out |= ((x >> at & 1) ^ flip) << at;
    }
    Some((out as f64 + 0.5) / (1u64 << DIGITS) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(dimension: usize, point: u32) -> f64 {
        let v = directions()[dimension];
        let x = v.iter().enumerate().filter(|(k, _)| point >> k & 1 == 1).fold(0, |x, (_, d)| x ^ d);
        x as f64 / (1u64 << DIGITS) as f64
    }

    #[test]
    fn the_first_points_are_those_of_the_sequence() {
        assert_eq!(directions().len(), DIMENSIONS);
        // In the plain order of numbers (not that of Gray's code): 1/2; 1/4, 3/4; …
        let second: Vec<f64> = (0..8).map(|k| plain(1, k)).collect();
        assert_eq!(second, [0.0, 0.5, 0.75, 0.25, 0.625, 0.125, 0.375, 0.875]);
        let third: Vec<f64> = (0..4).map(|k| plain(2, k)).collect();
        assert_eq!(third, [0.0, 0.5, 0.75, 0.25]);
    }

    #[test]
    fn scrambled_points_stay_a_net() {
        // Each of 256 equal parts of each axis holds one of 256 points, and each box of area 1/256 of the first two
        // coordinates too: a (0, 8, 2)-net in base 2.
        for key in [1, 77] {
            for d in [0, 1, 2, 500, DIMENSIONS - 1] {
                let mut seen = [0; 256];
                for k in 0..256 {
                    seen[(coordinate(d, k, mix(key + d as u64)).expect("in the table") * 256.0) as usize] +=
                        1;
                }
                assert!(seen.iter().all(|n| *n == 1), "dimension {d}");
            }
            for bits in 0..=8u32 {
                let (w, h) = (f64::from(1 << bits), f64::from(1 << (8 - bits)));
                let mut seen = std::collections::BTreeMap::new();
                for k in 0..256 {
                    let x = coordinate(0, k, mix(key)).expect("in the table");
                    let y = coordinate(1, k, mix(key + 9)).expect("in the table");
                    *seen.entry(((x * w) as u32, (y * h) as u32)).or_insert(0) += 1;
                }
                assert!(seen.len() == 256 && seen.values().all(|n| *n == 1));
            }
        }
        assert_eq!(coordinate(DIMENSIONS, 0, 1), None);
    }

    #[test]
    fn a_coordinate_is_uniform_over_keys() {
        let n = 20_000u32;
        let mean: f64 = (0..n).map(|k| coordinate(3, 5, mix(u64::from(k) + 1)).expect("known")).sum::<f64>()
            / f64::from(n);
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }
}
