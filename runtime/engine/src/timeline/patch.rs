//! What differs between two byte strings of one length: how a branch in which little is different costs little.
//!
//! Encoding: the number of runs; for each the bytes that stay before it and its length; then the new bytes of all runs.
//! Numbers are LEB128 (seven bits a byte, least first).

use twinml_model::bytes::{Malformed, Reader};

/// Runs that are no further apart than this are one: each costs about that much.
const APART: usize = 2;

/// The patch that makes `next` of `base`, where they have one length and it takes at most `most` bytes.
pub fn between(base: &[u8], next: &[u8], most: usize) -> Option<Vec<u8>> {
    if base.len() != next.len() {
        return None;
    }
    let mut runs: Vec<(usize, usize)> = Vec::new();
    let mut fresh = 0;
    const WIDE: usize = 64;
    let blocks = base.chunks(WIDE).zip(next.chunks(WIDE)).enumerate();
    for (block, _) in blocks.filter(|(_, (a, b))| a != b) {
        let from = block * WIDE;
        for k in from..(from + WIDE).min(base.len()) {
            if base[k] == next[k] {
                continue;
            }
            match runs.last_mut() {
                Some((_, to)) if k - *to <= APART => {
                    fresh += k + 1 - *to;
                    *to = k + 1;
                }
                _ => {
                    fresh += 1;
                    runs.push((k, k + 1));
                }
            }
        }
        // Each run takes two bytes at least beside what is new.
        if fresh + 2 * runs.len() > most {
            return None;
        }
    }
    let mut out = Vec::with_capacity(fresh + 4 * runs.len() + 8);
    number(&mut out, runs.len());
    let mut at = 0;
    for &(from, to) in &runs {
        number(&mut out, from - at);
        number(&mut out, to - from);
        at = to;
    }
    runs.iter().for_each(|&(from, to)| out.extend_from_slice(&next[from..to]));
    (out.len() <= most).then_some(out)
}

/// Makes `next` of `base` in place.
///
/// # Errors
///
/// [`Malformed`] where the patch is none for bytes of this length; `base` may then be partly changed.
pub fn apply(base: &mut [u8], patch: &[u8]) -> Result<(), Malformed> {
    let mut from = Reader::new(patch);
    let count = read(&mut from)?;
    if count > from.left() / 2 {
        return Err(from.malformed(format!("{count} runs cannot follow")));
    }
    let mut runs = Vec::with_capacity(count);
    let mut at = 0usize;
    for _ in 0..count {
        let (gap, len) = (read(&mut from)?, read(&mut from)?);
        let begin = at.checked_add(gap);
        let end = begin.and_then(|b| b.checked_add(len)).filter(|e| *e <= base.len() && len > 0);
        let (Some(begin), Some(end)) = (begin, end) else {
            return Err(from.malformed(format!("a run of {len} bytes leaves the {} there are", base.len())));
        };
        runs.push(begin..end);
        at = end;
    }
    for run in runs {
        let fresh = from.raw(run.len())?;
        base[run].copy_from_slice(fresh);
    }
    from.end()
}

pub(super) fn number(to: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn read(from: &mut Reader<'_>) -> Result<usize, Malformed> {
    let mut value = 0u64;
    for shift in (0..63).step_by(7) {
        let byte: u8 = from.get()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(value).map_err(|_| from.malformed("a number is too large"));
        }
    }
    Err(from.malformed("a number does not end"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_patch_makes_the_one_of_the_other() {
        let base: Vec<u8> = (0..5000u32).map(|k| ((k * k) >> 3) as u8).collect();
        for at in [vec![], vec![0], vec![4999], vec![10, 11, 13, 20, 500, 501], (0..5000).collect::<Vec<_>>()]
        {
            let mut next = base.clone();
            at.iter().for_each(|k: &usize| next[*k] ^= 0x55);
            let patch = between(&base, &next, usize::MAX).unwrap();
            assert!(patch.len() <= at.len() + 5 * at.len().min(10) + 5, "{} {}", patch.len(), at.len());
            let mut made = base.clone();
            apply(&mut made, &patch).unwrap();
            assert_eq!(made, next);
            assert_eq!(between(&base, &next, patch.len()).as_ref(), Some(&patch));
            assert_eq!(between(&base, &next, patch.len() - 1), None);
        }
        assert_eq!(between(&base, &base[1..], usize::MAX), None);
    }

    #[test]
    fn no_patch_does_harm() {
        let base = [7u8; 100];
        let mut next = base;
        next[40..60].fill(1);
        let patch = between(&base, &next, 100).unwrap();
        for k in 0..patch.len() {
            assert!(apply(&mut base.clone(), &patch[..k]).is_err());
            for bit in 0..8 {
                let mut other = patch.clone();
                other[k] ^= 1 << bit;
                let _ = apply(&mut base.clone(), &other);
            }
        }
        assert!(apply(&mut base.clone(), &[0xff; 40]).is_err());
    }
}
