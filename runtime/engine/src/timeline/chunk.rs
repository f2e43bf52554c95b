//! Cuts bytes where their content says, so that what two states have in common is cut alike even where something before it
//! grew.
//!
//! The rolling hash is the gear hash of Xia et al. (FastCDC, USENIX ATC 2016): `h ← 2h + table[byte]`; a piece ends where
//! the hash's top twelve bits are zero, after at least [`LEAST`] and at most [`MOST`] bytes. The table is splitmix64 from
//! seed 1. Where pieces end decides only what is shared, never what is read back.

/// Fewest bytes of a piece, but for the last.
pub const LEAST: usize = 2 << 10;
/// Most bytes of a piece.
pub const MOST: usize = 16 << 10;
const MASK: u64 = 0xfff << 52;

const GEAR: [u64; 256] = {
    let mut table = [0; 256];
    let (mut k, mut state) = (0, 1u64);
    while k < 256 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[k] = z ^ (z >> 31);
        k += 1;
    }
    table
};

/// The pieces of bytes, in order: none of no bytes.
pub fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, tail) = rest.split_at(end(rest));
        rest = tail;
        Some(piece)
    })
}

fn end(bytes: &[u8]) -> usize {
    let most = bytes.len().min(MOST);
    // The hash forgets what is 64 bytes back: it is warm where the first cut may be.
    let from = LEAST.min(most).saturating_sub(64);
    let mut hash = 0u64;
    for (k, byte) in bytes[from..most].iter().enumerate() {
        hash = (hash << 1).wrapping_add(GEAR[*byte as usize]);
        let len = from + k + 1;
        if len >= LEAST && hash & MASK == 0 {
            return len;
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        };
        (0..len).map(next).collect()
    }

    #[test]
    fn pieces_are_the_whole_and_of_bounded_size() {
        for bytes in [Vec::new(), vec![0; 100_000], noise(300_000, 1), noise(1, 2), noise(LEAST, 3)] {
            let all: Vec<&[u8]> = pieces(&bytes).collect();
            assert_eq!(all.concat(), bytes);
            let (last, most) = all.split_last().map_or((&[][..], &[][..]), |(l, m)| (*l, m));
            assert!(most.iter().all(|p| (LEAST..=MOST).contains(&p.len())) && last.len() <= MOST);
        }
    }

    #[test]
    fn an_insertion_changes_the_pieces_around_it_only() {
        let base = noise(400_000, 7);
        let mut longer = base.clone();
        longer.splice(1000..1000, *b"something new");
        let known: BTreeSet<&[u8]> = pieces(&base).collect();
        let new: usize = pieces(&longer).filter(|p| !known.contains(p)).map(<[u8]>::len).sum();
        assert!(known.len() > 40 && new < 3 * MOST, "{} {new}", known.len());
    }
}
