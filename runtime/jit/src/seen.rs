//! The least, the greatest and the sum of many values, by the widest instructions that this processor has.
//!
//! Other code is made for every processor of its kind, and what a compiler makes of this one there takes three operations for
//! two values. Which of the forms runs changes nothing: extremes are what they are, and of the sum only whether it is finite counts.

const LANES: usize = 4;

/// What was seen of values that came in one piece after the other. The extremes are good for nothing where the sum is not
/// finite: there may be something that is not a number.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    least: [f64; LANES],
    most: [f64; LANES],
    sum: [f64; LANES],
}

impl Seen {
    /// Of no values.
    pub const NONE: Seen =
        Seen { least: [f64::INFINITY; LANES], most: [f64::NEG_INFINITY; LANES], sum: [0.0; LANES] };

    /// Looks at values.
    pub fn see(&mut self, values: &[f64]) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx") {
            #[expect(unsafe_code, reason = "enters code for a processor that has AVX")]
            // SAFETY: it has, as was asked just now.
            unsafe {
                return self.see_by_avx(values);
            }
        }
        self.see_anywhere(values);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx")]
    fn see_by_avx(&mut self, values: &[f64]) {
        self.see_in::<4>(values);
    }

    // By itself, for beside other code the compiler makes choices by masks of what are two instructions.
    #[inline(never)]
    fn see_anywhere(&mut self, values: &[f64]) {
        self.see_in::<2>(values);
    }

    /// In so many chains, that wait for none of their own operations, as many as there are registers for.
    #[inline(always)]
    fn see_in<const CHAINS: usize>(&mut self, values: &[f64]) {
        let (mut least, mut most) = ([self.least; CHAINS], [self.most; CHAINS]);
        let mut sum = [[0.0; LANES]; CHAINS];
        sum[0] = self.sum;
        let (lanes, few) = values.as_chunks::<LANES>();
        let (many, rest) = lanes.as_chunks::<CHAINS>();
        for v in many {
            for (k, v) in v.iter().enumerate() {
                least[k] = by_lanes(least[k], *v, lesser);
                most[k] = by_lanes(most[k], *v, greater);
                sum[k] = by_lanes(sum[k], *v, |a, b| a + b);
            }
        }
        for v in rest {
            least[0] = by_lanes(least[0], *v, lesser);
            most[0] = by_lanes(most[0], *v, greater);
            sum[0] = by_lanes(sum[0], *v, |a, b| a + b);
        }
        self.least = all_of(least, lesser);
        self.most = all_of(most, greater);
        self.sum = all_of(sum, |a, b| a + b);
        for &v in few {
            self.least[0] = lesser(self.least[0], v);
            self.most[0] = greater(self.most[0], v);
            self.sum[0] += v;
        }
    }

    /// The least and the greatest; `None` where something is not a number, or their sum is none.
    #[must_use]
    pub fn extremes(&self) -> Option<(f64, f64)> {
        let [least, most] = [self.least.into_iter().reduce(lesser), self.most.into_iter().reduce(greater)];
        self.sum.iter().sum::<f64>().is_finite().then_some(least.zip(most)?)
    }
}

// Of these two the processor has instructions, which leave the first operand behind.

#[inline(always)]
fn lesser(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

#[inline(always)]
fn greater(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

#[inline(always)]
fn by_lanes(a: [f64; LANES], b: [f64; LANES], f: impl Fn(f64, f64) -> f64) -> [f64; LANES] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

#[inline(always)]
fn all_of<const CHAINS: usize>(x: [[f64; LANES]; CHAINS], f: impl Fn(f64, f64) -> f64) -> [f64; LANES] {
    x[1..].iter().fold(x[0], |all, x| by_lanes(all, *x, &f))
}

#[cfg(test)]
mod tests {
    use super::Seen;

    /// In pieces of any length, with what is not a number anywhere: as one value after the other.
    #[test]
    fn extremes_are_those_of_the_values() {
        for n in 0..70 {
            let values: Vec<f64> = (0..n).map(|k| f64::from(k * 37 % 71) - 30.0).collect();
            let ends =
                values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)));
            for cut in [0, n as usize / 3, n as usize] {
                let (mut one, mut two) = (Seen::NONE, Seen::NONE);
                for part in [&values[..cut], &values[cut..]] {
                    one.see(part);
                    two.see_anywhere(part);
                }
                assert_eq!((one.extremes(), two.extremes()), (Some(ends), Some(ends)), "{n} {cut}");
            }
            for at in 0..n as usize {
                for odd in [f64::NAN, f64::INFINITY] {
                    let (mut seen, mut values) = (Seen::NONE, values.clone());
                    values[at] = odd;
                    seen.see(&values);
                    assert_eq!(seen.extremes(), None, "{n} {at}");
                }
            }
        }
    }
}
