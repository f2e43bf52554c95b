//! Orderings that keep the factors of a sparse matrix sparse.

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

    fn n(&self) -> usize {
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
    let degree = minimum_degree(&graph);
    let none = Fill { entries: usize::MAX, multiplications: f64::INFINITY };
    let fill = graph.fill(&degree, usize::MAX).unwrap_or(none);
    match graph.fill(&natural, fill.entries) {
        Some(f) => (natural, f),
        None => (degree, fill),
    }
}

/// Minimum degree on the quotient graph, with element absorption and approximate degrees (Amestoy, Davis
/// & Duff 1996), ties broken by the smallest number: the same order everywhere.
fn minimum_degree(graph: &Graph) -> Vec<u32> {
    let n = graph.n();
    // neighbours not yet eliminated, and elements (cliques of eliminated ones)
    let mut vars: Vec<Vec<u32>> = (0..n).map(|i| graph.list(i).to_vec()).collect();
    let mut elements: Vec<Vec<u32>> = vec![Vec::new(); n];
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); n];
    let mut degree: Vec<usize> = vars.iter().map(Vec::len).collect();
    let mut gone = vec![false; n];
    let mut alive_element = vec![false; n];
    let mut mark = vec![u32::MAX; n];
    // |element \ clique of the pivot|, valid where stamp says so
    let mut outside = vec![0usize; n];
    let mut stamp = vec![u32::MAX; n];
    let mut queue = Buckets::new(n);
    for (i, &d) in degree.iter().enumerate() {
        queue.insert(i as u32, d);
    }
    let mut order = Vec::with_capacity(n);
    while let Some(p) = queue.pop() {
        let tag = order.len() as u32;
        order.push(p);
        let p = p as usize;
        gone[p] = true;
        // the new element: all neighbours, direct or by elements
        let mut clique = Vec::new();
        mark[p] = tag;
        for &v in &vars[p] {
            if !gone[v as usize] && mark[v as usize] != tag {
                mark[v as usize] = tag;
                clique.push(v);
            }
        }
        for &e in &elements[p] {
            if !alive_element[e as usize] {
                continue;
            }
            for &v in &members[e as usize] {
                if !gone[v as usize] && mark[v as usize] != tag {
                    mark[v as usize] = tag;
                    clique.push(v);
                }
            }
            alive_element[e as usize] = false;
            members[e as usize] = Vec::new();
        }
        vars[p] = Vec::new();
        elements[p] = Vec::new();
        clique.sort_unstable();
        // how much of each other element lies outside the clique
        for &v in &clique {
            for &e in &elements[v as usize] {
                let e = e as usize;
                if !alive_element[e] {
                    continue;
                }
                if stamp[e] != tag {
                    stamp[e] = tag;
                    members[e].retain(|&m| !gone[m as usize]);
                    outside[e] = members[e].len();
                }
                outside[e] -= 1;
            }
        }
        let rest = n - order.len();
        for &v in &clique {
            let i = v as usize;
            vars[i].retain(|&w| !gone[w as usize] && mark[w as usize] != tag);
            elements[i].retain(|&e| alive_element[e as usize] && outside[e as usize] > 0);
            let mut d = vars[i].len() + clique.len() - 1;
            for &e in &elements[i] {
                d += outside[e as usize];
            }
            elements[i].push(p as u32);
            let d = d.min(degree[i] + clique.len() - 1).min(rest.saturating_sub(1));
            queue.remove(v, degree[i]);
            degree[i] = d;
            queue.insert(v, d);
        }
        for &v in &clique {
            for &e in &elements[v as usize] {
                if e as usize != p && stamp[e as usize] == tag && outside[e as usize] == 0 {
                    alive_element[e as usize] = false;
                }
            }
        }
        alive_element[p] = true;
        members[p] = clique;
    }
    order
}

/// Variables by degree, doubly linked.
struct Buckets {
    head: Vec<u32>,
    next: Vec<u32>,
    prev: Vec<u32>,
    low: usize,
}

impl Buckets {
    fn new(n: usize) -> Self {
        Buckets { head: vec![u32::MAX; n + 1], next: vec![u32::MAX; n], prev: vec![u32::MAX; n], low: 0 }
    }

    fn insert(&mut self, v: u32, degree: usize) {
        let old = self.head[degree];
        self.next[v as usize] = old;
        self.prev[v as usize] = u32::MAX;
        if old != u32::MAX {
            self.prev[old as usize] = v;
        }
        self.head[degree] = v;
        self.low = self.low.min(degree);
    }

    fn remove(&mut self, v: u32, degree: usize) {
        let (p, q) = (self.prev[v as usize], self.next[v as usize]);
        if p == u32::MAX {
            self.head[degree] = q;
        } else {
            self.next[p as usize] = q;
        }
        if q != u32::MAX {
            self.prev[q as usize] = p;
        }
    }

    fn pop(&mut self) -> Option<u32> {
        while self.low < self.head.len() {
            let v = self.head[self.low];
            if v != u32::MAX {
                self.remove(v, self.low);
                return Some(v);
            }
            self.low += 1;
        }
        None
    }
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
        let md = minimum_degree(&g);
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
}
