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

/// Values that are to be looked at and copied.
#[derive(Debug)]
pub struct Piece<'a> {
    /// What was seen of those before.
    pub seen: &'a mut Seen,
    /// They.
    pub values: &'a [f64],
    /// Where their bytes go, one for each eight.
    pub out: &'a mut [[u8; 8]],
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

/// Looks at all of these values and copies them, where the processor can past its caches: for much that is not read again soon.
/// What a cache would hold would have to be fetched from memory first, which takes longer than all the rest.
pub fn copy_all<'a>(pieces: impl Iterator<Item = Piece<'a>>) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx") {
        let fenced = Fenced;
        // What is put together here and read again at once, in other widths, would wait for all stores before it.
        pieces.for_each(|Piece { seen, values, out }| {
            #[expect(unsafe_code, reason = "enters code for a processor that has AVX")]
            // SAFETY: it has, as was asked just now. What the stores past the caches write is borrowed until this function
            // returns, and the fence comes before that.
            unsafe {
                past_the_caches(seen, values, out);
            }
        });
        drop(fenced);
        return;
    }
    pieces.for_each(|Piece { seen, values, out }| copy(seen, values, out));
}

fn copy(seen: &mut Seen, values: &[f64], out: &mut [[u8; 8]]) {
    seen.see(values);
    out.iter_mut().zip(values).for_each(|(to, v)| *to = v.to_le_bytes());
}

/// Where it ends, stores past the caches come before all later ones, as others do.
#[cfg(target_arch = "x86_64")]
pub(crate) struct Fenced;

#[cfg(target_arch = "x86_64")]
impl Drop for Fenced {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "a fence for stores")]
        // SAFETY: every processor of this kind has it.
        unsafe {
            std::arch::x86_64::_mm_sfence();
        }
    }
}

/// What a line of the cache has in values.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 8;

/// # Safety
///
/// [`Fenced`] is to end before anybody else may look at `out`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
#[expect(unsafe_code, reason = "stores past the caches, and vectors from where no border is")]
unsafe fn past_the_caches(seen: &mut Seen, values: &[f64], out: &mut [[u8; 8]]) {
    use std::arch::x86_64::*;
    let n = values.len().min(out.len());
    let (values, out) = (&values[..n], &mut out[..n]);
    let head = out.as_ptr().align_offset(8 * LINE);
    if n < head.saturating_add(2 * LINE) {
        return copy(seen, values, out);
    }
    let Seen { least, most, sum } = seen;
    // SAFETY: there are four values in each of these arrays, and in each piece of eight two vectors.
    let load = |from: &[f64]| unsafe { _mm256_loadu_pd(from[..LANES].as_ptr()) };
    let (mut lo, mut hi) = ([load(least); 2], [load(most); 2]);
    let mut sums = [load(sum), _mm256_setzero_pd()];
    let mut see = |v: [__m256d; 2]| {
        for k in 0..2 {
            lo[k] = _mm256_min_pd(v[k], lo[k]);
            hi[k] = _mm256_max_pd(v[k], hi[k]);
            sums[k] = _mm256_add_pd(sums[k], v[k]);
        }
    };
    let lines = (n - head) / LINE;
    let (from, to) = (&values[head..], &mut out[head..]);
    for (from, to) in from.as_chunks::<LINE>().0.iter().zip(to.as_chunks_mut::<LINE>().0) {
        let v = [load(from), load(&from[LANES..])];
        see(v);
        let to = to.as_mut_ptr().cast::<f64>();
        // SAFETY: there is a line from a line's border on; the fence is our caller's.
        unsafe {
            _mm256_stream_pd(to, v[0]);
            _mm256_stream_pd(to.add(LANES), v[1]);
        }
    }
    // What is before the first border and behind the last is copied as ever. It is looked at with some of its neighbours:
    // seen twice they are no other extremes.
    for ends in [&values[..LINE], &values[n - LINE..]] {
        see([load(ends), load(&ends[LANES..])]);
    }
    let tail = head + lines * LINE;
    out[..head].iter_mut().zip(&values[..head]).for_each(|(to, v)| *to = v.to_le_bytes());
    out[tail..].iter_mut().zip(&values[tail..]).for_each(|(to, v)| *to = v.to_le_bytes());
    // SAFETY: each has room for four.
    unsafe {
        _mm256_storeu_pd(least.as_mut_ptr(), _mm256_min_pd(lo[0], lo[1]));
        _mm256_storeu_pd(most.as_mut_ptr(), _mm256_max_pd(hi[0], hi[1]));
        _mm256_storeu_pd(sum.as_mut_ptr(), _mm256_add_pd(sums[0], sums[1]));
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
    use super::{Piece, Seen, copy_all};

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

    /// To and from any place, and nothing beside it.
    #[test]
    fn copies_are_the_values_and_are_seen() {
        for n in 0..70_usize {
            for at in 0..9 {
                let mut values: Vec<f64> = (0..n + at).map(|k| (k * 37 % 71) as f64 - 30.0).collect();
                let values = &mut values[at..];
                for odd in [None, Some(0), Some(n / 2), Some(n.wrapping_sub(1))] {
                    if let Some(v) = odd.and_then(|odd| values.get_mut(odd)) {
                        *v = f64::NAN;
                    }
                    let (mut seen, mut known, mut out) = (Seen::NONE, Seen::NONE, vec![[7; 8]; n + 17]);
                    known.see(values);
                    let (seen_, out_) = (&mut seen, &mut out[at..][..n]);
                    copy_all(std::iter::once(Piece { seen: seen_, values, out: out_ }));
                    let (before, rest) = out.split_at(at);
                    let (copied, behind) = rest.split_at(n);
                    assert!(values.iter().map(|v| v.to_le_bytes()).eq(copied.iter().copied()), "{n} {at}");
                    assert!(before.iter().chain(behind).all(|&b| b == [7; 8]));
                    assert_eq!(seen.extremes(), known.extremes(), "{n} {at}");
                }
            }
        }
    }
}
