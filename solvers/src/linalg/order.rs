//! Orderings that keep the factors of a sparse matrix sparse.

use super::amd::{Ties, approximate_minimum_degree};
use crate::system::Pattern;

/// The graph of `A + Aᵀ` without its diagonal, by rows.
pub(super) struct Graph {
    ptr: Vec<u32>,
    adj: Vec<u32>,
}

impl Graph {
    pub(super) fn new(p: &Pattern) -> Self {
        let n = p.n();
        let mut count = vec![0u32; n + 1];
        let entries =
            || (0..n).flat_map(|j| p.column(j).iter().map(move |&i| (i, j))).filter(|&(i, j)| i != j);
        for (i, j) in entries() {
            count[i + 1] += 1;
            count[j + 1] += 1;
        }
        for i in 0..n {
            count[i + 1] += count[i];
        }
        let mut next = count.clone();
        let mut adj = vec![0u32; count[n] as usize];
        for (i, j) in entries() {
            adj[next[i] as usize] = j as u32;
            next[i] += 1;
            adj[next[j] as usize] = i as u32;
            next[j] += 1;
        }
        // sort each list and drop what is there twice
        let mut ptr = vec![0u32; n + 1];
        let mut w = 0;
        for i in 0..n {
            let (from, to) = (count[i] as usize, count[i + 1] as usize);
            adj[from..to].sort_unstable();
            let mut last = u32::MAX;
            for k in from..to {
                if adj[k] != last {
                    last = adj[k];
                    adj[w] = last;
                    w += 1;
                }
            }
            ptr[i + 1] = w as u32;
        }
        adj.truncate(w);
        Graph { ptr, adj }
    }

    pub(super) fn n(&self) -> usize {
        self.ptr.len() - 1
    }

    pub(super) fn list(&self, i: usize) -> &[u32] {
        &self.adj[self.ptr[i] as usize..self.ptr[i + 1] as usize]
    }

    /// What the factor `L` costs in the given order (Cholesky's, an upper bound for LU with diagonal
    /// pivots), or none if it has more than `limit` entries. Takes as long as it counts.
    pub(super) fn fill(&self, order: &[u32], limit: usize) -> Option<Fill> {
        let n = self.n();
        let mut rank = vec![0u32; n];
        for (k, &i) in order.iter().enumerate() {
            rank[i as usize] = k as u32;
        }
        let mut parent = vec![u32::MAX; n];
        let mut mark = vec![u32::MAX; n];
        let mut columns = vec![0u32; n];
        let mut count = 0;
        for k in 0..n {
            mark[k] = k as u32;
            for &i in self.list(order[k] as usize) {
                let mut j = rank[i as usize] as usize;
                if j >= k {
                    continue;
                }
                while mark[j] != k as u32 {
                    mark[j] = k as u32;
                    count += 1;
                    columns[j] += 1;
                    if parent[j] == u32::MAX {
                        parent[j] = k as u32;
                    }
                    j = parent[j] as usize;
                }
                if count > limit {
                    return None;
                }
            }
        }
        let squares = columns.iter().map(|&c| c as f64 * c as f64).sum();
        Some(Fill { entries: count, multiplications: squares })
    }
}

/// What a factor costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    /// Entries below the diagonal.
    pub(super) entries: usize,
    /// Multiplications of the factorisation.
    pub(super) multiplications: f64,
}

/// A column order for `A`: the natural one where it costs little, otherwise minimum degree.
pub(super) fn order(p: &Pattern) -> (Vec<u32>, Fill) {
    let n = p.n();
    let graph = Graph::new(p);
    let natural: Vec<u32> = (0..n as u32).collect();
    let half = graph.adj.len() / 2;
    if let Some(fill) = graph.fill(&natural, half + half / 4 + n) {
        return (natural, fill);
    }
    let none = Fill { entries: usize::MAX, multiplications: f64::INFINITY };
    let mut best = (approximate_minimum_degree(&graph, Ties::Oldest), none);
    best.1 = graph.fill(&best.0, usize::MAX).unwrap_or(none);
    for other in [approximate_minimum_degree(&graph, Ties::Newest), natural] {
        match graph.fill(&other, best.1.entries) {
            Some(fill) if fill.entries < best.1.entries => best = (other, fill),
            _ => {}
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(m: usize) -> Pattern {
        let at = |i: usize, j: usize| i * m + j;
        let mut e = Vec::new();
        for i in 0..m {
            for j in 0..m {
                e.push((at(i, j), at(i, j)));
                if i + 1 < m {
                    e.extend([(at(i, j), at(i + 1, j)), (at(i + 1, j), at(i, j))]);
                }
                if j + 1 < m {
                    e.extend([(at(i, j), at(i, j + 1)), (at(i, j + 1), at(i, j))]);
                }
            }
        }
        Pattern::from_entries(m * m, e).expect("in range")
    }

    #[test]
    fn minimum_degree_is_a_permutation_with_less_fill() {
        let p = grid(20);
        let g = Graph::new(&p);
        let md = approximate_minimum_degree(&g, Ties::Oldest);
        let mut sorted = md.clone();
        sorted.sort_unstable();
        let natural: Vec<u32> = (0..400).collect();
        assert_eq!(sorted, natural);
        let entries = |order: &[u32]| g.fill(order, usize::MAX).expect("no limit").entries;
        let (a, b) = (entries(&md), entries(&natural));
        assert!(2 * a < b, "{a} {b}");
        assert_eq!(order(&p).0, md);
    }

    #[test]
    fn a_star_with_its_hub_first_has_no_fill() {
        let n = 1000;
        let e = (0..n).flat_map(|i| [(i, i), (0, i), (i, 0)]);
        let p = Pattern::from_entries(n, e).expect("in range");
        assert_eq!(order(&p).1.entries, n - 1);
    }

    /// `n` rows of `per_row` entries beside the diagonal, from a small generator.
    fn random(n: usize, per_row: usize) -> Pattern {
        let mut state = 1u64;
        let mut below = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % n as u64) as usize
        };
        let mut e: Vec<_> = (0..n).map(|i| (i, i)).collect();
        for i in 0..n {
            e.extend((0..per_row).map(|_| (i, below())));
        }
        Pattern::from_entries(n, e).expect("in range")
    }

    /// Dense blocks of `m` states in a chain, the first state of each coupled to that of the next.
    fn blocks(count: usize, m: usize) -> Pattern {
        let mut e = Vec::new();
        for b in 0..count {
            // numbered through the blocks, so that the natural order fills
            let at = |i: usize| i * count + b;
            e.extend((0..m * m).map(|k| (at(k / m), at(k % m))));
            if b + 1 < count {
                e.extend([(b, b + 1), (b + 1, b)]);
            }
        }
        Pattern::from_entries(count * m, e).expect("in range")
    }

    /// The entries of `L` below the diagonal in the better order of minimum degree; both must be permutations.
    fn least_fill(p: &Pattern) -> usize {
        let g = Graph::new(p);
        let fills = [Ties::Oldest, Ties::Newest].map(|ties| {
            let q = approximate_minimum_degree(&g, ties);
            let mut sorted = q.clone();
            sorted.sort_unstable();
            assert!(sorted.iter().copied().eq(0..p.n() as u32));
            g.fill(&q, usize::MAX).expect("no limit").entries
        });
        let least = fills[0].min(fills[1]);
        assert!(order(p).1.entries <= least.max(2 * p.nnz()));
        least
    }

    #[test]
    fn fill_is_what_it_was() {
        // SuperLU's COLAMD and MMD_AT_PLUS_A give (with diagonal pivots): 4624 and 3272; 312875 and
        // 175673; 125231 and 93170; 12367195 and 9022425
        assert_eq!(least_fill(&grid(20)), 3237);
        assert_eq!(least_fill(&grid(100)), 181_092);
        assert_eq!(least_fill(&random(1000, 4)), 119_732);
        assert_eq!(least_fill(&random(10_000, 4)), 11_217_403);
        // no fill at all: every block is eliminated from within, 10·9/2 entries each, and 99 couplings
        assert_eq!(least_fill(&blocks(100, 10)), 100 * 45 + 99);
    }

    #[test]
    fn dense_rows_come_last() {
        // an arrow with two shafts, dense rows first in the numbering
        let n = 3000;
        let e = (0..n).flat_map(|i| [(i, i), (0, i), (i, 0), (1, i), (i, 1)]);
        let p = Pattern::from_entries(n, e).expect("in range");
        assert_eq!(least_fill(&p), 2 * (n - 2) + 1);
        let q = approximate_minimum_degree(&Graph::new(&p), Ties::Oldest);
        assert_eq!(q[n - 2..], [0, 1]);
        // every row dense
        let dense = Pattern::dense(40);
        assert_eq!(least_fill(&dense), 40 * 39 / 2);
        assert_eq!(least_fill(&Pattern::from_entries(3, []).expect("in range")), 0);
    }
}
