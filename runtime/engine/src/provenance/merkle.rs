//! The Merkle tree of RFC 6962 (section 2.1) over SHA-256.
//!
//! A leaf is hashed behind a 0x00, two children behind a 0x01, so that no inner node passes for a leaf; the left
//! subtree is the largest full one that is smaller than the whole. The root depends on the leaves, their order and
//! their number.

use sha2::{Digest as _, Sha256};

use super::digest::Digest;

/// The hash of a leaf.
pub fn leaf(data: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(data);
    Digest(hash.finalize().into())
}

fn node(left: Digest, right: Digest) -> Digest {
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(left.0);
    hash.update(right.0);
    Digest(hash.finalize().into())
}

/// The root over the hashes of leaves; of none, the hash of nothing.
pub fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest::of(&[]),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(left_of(many.len()));
            node(root(left), root(right))
        }
    }
}

/// The largest power of two below `n`, of `n ≥ 2`.
fn left_of(n: usize) -> usize {
    n.next_power_of_two() >> 1
}

/// What proves that leaf `k` is under the root: the siblings on its way up, the nearest first (RFC 6962, 2.1.1).
/// `None` where there is no such leaf.
pub fn proof(leaves: &[Digest], k: usize) -> Option<Vec<Digest>> {
    match leaves {
        _ if k >= leaves.len() => None,
        [_] => Some(Vec::new()),
        many => {
            let split = left_of(many.len());
            let (left, right) = many.split_at(split);
            let (mut path, sibling) =
                if k < split { (proof(left, k)?, right) } else { (proof(right, k - split)?, left) };
            path.push(root(sibling));
            Some(path)
        }
    }
}

/// The root to which leaf `k` of `n` leads along a proof; `None` where the proof has another length than it must.
pub fn climb(leaf: Digest, k: usize, n: usize, path: &[Digest]) -> Option<Digest> {
    if k >= n {
        return None;
    }
    if n == 1 {
        return path.is_empty().then_some(leaf);
    }
    let (sibling, below) = path.split_last()?;
    let split = left_of(n);
    if k < split {
        Some(node(climb(leaf, k, split, below)?, *sibling))
    } else {
        Some(node(*sibling, climb(leaf, k - split, n - split, below)?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// The inputs and roots of the tests of Certificate Transparency's reference implementation.
    const LEAVES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let leaves: Vec<Digest> = LEAVES.iter().map(|l| leaf(l)).collect();
        for (n, expected) in ROOTS.iter().enumerate() {
            assert_eq!(root(&leaves[..n]).to_string(), *expected, "{n} leaves");
        }
    }

    #[test]
    fn every_leaf_is_proved_and_nothing_else_is() {
        let leaves: Vec<Digest> = (0..20u8).map(|k| leaf(&[k])).collect();
        for n in 1..=leaves.len() {
            let leaves = &leaves[..n];
            let top = root(leaves);
            for k in 0..n {
                let path = proof(leaves, k).unwrap();
                assert_eq!(climb(leaves[k], k, n, &path), Some(top));
                assert_ne!(climb(leaf(b"other"), k, n, &path), Some(top));
                if n > 1 {
                    assert_ne!(climb(leaves[k], (k + 1) % n, n, &path), Some(top));
                    assert_eq!(climb(leaves[k], k, n, &path[1..]).filter(|r| *r == top), None);
                }
            }
            assert_eq!(proof(leaves, n), None);
        }
    }
}
