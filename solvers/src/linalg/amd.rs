//! Approximate minimum degree on the quotient graph (Amestoy, Davis and Duff, "An approximate minimum degree
//! ordering algorithm", SIAM J. Matrix Anal. Appl. 17 (1996) 886–905).
//!
//! An eliminated variable becomes an *element*, the clique of its neighbours; elements that a new one covers
//! are absorbed. Variables with the same neighbourhood are one *supervariable*; variables that have no
//! neighbour outside the new element are eliminated with it; rows that are dense from the start come last.
//! Ties are decided by when the degrees were computed and then by numbers: the same order everywhere.

use super::order::Graph;

const NONE: u32 = u32::MAX;

/// A variable with more neighbours than this many times the root of their number is deferred to the end.
const DENSE: f64 = 10.0;

/// Which of the variables of least degree is eliminated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ties {
    /// The one whose degree was computed first: goes over a grid in layers, and fills it a tenth less.
    Oldest,
    /// The one whose degree was computed last: stays where it is, a little better without any structure.
    Newest,
}

/// An order of elimination: `result[k]` is the row and column that comes `k`-th.
pub(super) fn approximate_minimum_degree(graph: &Graph, ties: Ties) -> Vec<u32> {
    let n = graph.n();
    let mut q = Quotient::new(graph, ties);
    let mut order = Vec::with_capacity(n);
    while let Some(p) = q.queue.pop() {
        q.eliminate(p as usize, &mut order);
    }
    order.extend_from_slice(&q.dense);
    order
}

/// The graph of what is left to eliminate.
struct Quotient {
    /// Neighbours that are variables, by variable; may hold ones that are gone.
    vars: Vec<Vec<u32>>,
    /// Elements the variable belongs to; may hold absorbed ones.
    elements: Vec<Vec<u32>>,
    /// Variables of an element, by the pivot that made it.
    members: Vec<Vec<u32>>,
    /// How many variables the supervariable stands for; 0 if it is gone.
    size: Vec<u32>,
    /// The number of variables of an element; it does not change while the element lives.
    weight: Vec<u32>,
    alive: Vec<bool>,
    /// An upper bound for the neighbours outside of the supervariable.
    degree: Vec<u32>,
    /// The variables merged into one: `next` from variable to variable, `last` of those that represent.
    next: Vec<u32>,
    last: Vec<u32>,
    /// `mark[i] == tag`: in the clique, or in the set compared with.
    mark: Vec<u32>,
    tag: u32,
    /// Variables of an element outside the clique, where `stamp[e]` is the pivot.
    outside: Vec<u32>,
    stamp: Vec<u32>,
    queue: Buckets,
    dense: Vec<u32>,
    /// Variables neither eliminated nor deferred.
    left: u32,
    hash: Vec<(u64, u32)>,
}

impl Quotient {
    fn new(graph: &Graph, ties: Ties) -> Self {
        let n = graph.n();
        let limit = (DENSE * (n as f64).sqrt()).max(16.0) as usize;
        let dense: Vec<u32> = (0..n as u32).filter(|&i| graph.list(i as usize).len() > limit).collect();
        let mut size = vec![1; n];
        for &i in &dense {
            size[i as usize] = 0;
        }
        let mut queue = Buckets::new(n, ties);
        let mut vars = vec![Vec::new(); n];
        let mut degree = vec![0; n];
        for i in 0..n {
            if size[i] > 0 {
                let kept = graph.list(i).iter().copied().filter(|&j| size[j as usize] > 0);
                vars[i] = kept.collect::<Vec<u32>>();
                degree[i] = vars[i].len() as u32;
                queue.insert(i as u32, degree[i]);
            }
        }
        Quotient {
            vars,
            elements: vec![Vec::new(); n],
            members: vec![Vec::new(); n],
            size,
            weight: vec![0; n],
            alive: vec![false; n],
            degree,
            next: vec![NONE; n],
            last: (0..n as u32).collect(),
            mark: vec![0; n],
            tag: 0,
            outside: vec![0; n],
            stamp: vec![NONE; n],
            queue,
            left: (n - dense.len()) as u32,
            dense,
            hash: Vec::new(),
        }
    }

    /// Appends all variables that `i` stands for.
    fn list(&self, i: usize, order: &mut Vec<u32>) {
        let mut j = i as u32;
        while j != NONE {
            order.push(j);
            j = self.next[j as usize];
        }
    }

    fn new_tag(&mut self) -> u32 {
        if self.tag == u32::MAX {
            self.mark.fill(0);
            self.tag = 0;
        }
        self.tag += 1;
        self.tag
    }

    /// Eliminates the supervariable `p` and all that cost nothing after it.
    fn eliminate(&mut self, p: usize, order: &mut Vec<u32>) {
        self.left -= self.size[p];
        self.list(p, order);
        self.size[p] = 0;
        let tag = self.new_tag();
        let clique = self.clique(p, tag);
        let mut total: u32 = clique.iter().map(|&v| self.size[v as usize]).sum();
        // how much of each other element lies outside the clique
        for &v in &clique {
            let size = self.size[v as usize];
            for &e in &self.elements[v as usize] {
                let e = e as usize;
                if self.alive[e] {
                    if self.stamp[e] != p as u32 {
                        self.stamp[e] = p as u32;
                        self.outside[e] = self.weight[e];
                    }
                    self.outside[e] -= size;
                }
            }
        }
        let mut kept = Vec::with_capacity(clique.len());
        self.hash.clear();
        for &v in &clique {
            let i = v as usize;
            self.queue.remove(v, self.degree[i]);
            let external = self.prune(i, tag);
            if external == 0 {
                // no neighbour outside the clique: eliminated here, it adds nothing
                total -= self.size[i];
                self.left -= self.size[i];
                self.list(i, order);
                self.size[i] = 0;
                self.vars[i] = Vec::new();
                self.elements[i] = Vec::new();
                continue;
            }
            self.degree[i] = self.degree[i].min(external);
            let sum = |list: &[u32]| list.iter().fold(0u64, |s, &j| s.wrapping_add(scatter(j)));
            self.hash.push((sum(&self.vars[i]).wrapping_add(sum(&self.elements[i]).rotate_left(32)), v));
            kept.push(v);
        }
        self.merge_alike();
        kept.retain(|&v| self.size[v as usize] > 0);
        for &v in &kept {
            let i = v as usize;
            self.elements[i].push(p as u32);
            let others = total - self.size[i];
            let d = (self.degree[i] + others).min(self.left - self.size[i]);
            self.degree[i] = d;
            self.queue.insert(v, d);
        }
        self.alive[p] = !kept.is_empty();
        self.weight[p] = total;
        self.members[p] = kept;
    }

    /// The neighbours of `p`, ascending and marked; absorbs its elements.
    fn clique(&mut self, p: usize, tag: u32) -> Vec<u32> {
        let mut clique = Vec::new();
        let (size, mark) = (&self.size, &mut self.mark);
        let mut take = |list: Vec<u32>| {
            for v in list {
                if size[v as usize] > 0 && mark[v as usize] != tag {
                    mark[v as usize] = tag;
                    clique.push(v);
                }
            }
        };
        take(std::mem::take(&mut self.vars[p]));
        for e in std::mem::take(&mut self.elements[p]) {
            if std::mem::take(&mut self.alive[e as usize]) {
                take(std::mem::take(&mut self.members[e as usize]));
            }
        }
        clique.sort_unstable();
        clique
    }

    /// Drops from the lists of `i` what is gone and what the clique covers; gives the (approximate) number of
    /// neighbours outside the clique. Elements inside the clique are absorbed.
    fn prune(&mut self, i: usize, tag: u32) -> u32 {
        let (alive, outside, members) = (&mut self.alive, &self.outside, &mut self.members);
        let mut external = 0;
        self.elements[i].retain(|&e| {
            let e = e as usize;
            if alive[e] && outside[e] == 0 {
                alive[e] = false;
                members[e] = Vec::new();
            }
            external += if alive[e] { outside[e] } else { 0 };
            alive[e]
        });
        let (size, mark) = (&self.size, &self.mark);
        self.vars[i].retain(|&w| {
            let stays = size[w as usize] > 0 && mark[w as usize] != tag;
            external += if stays { size[w as usize] } else { 0 };
            stays
        });
        external
    }

    /// Merges variables of the clique that have the same neighbourhood.
    fn merge_alike(&mut self) {
        let mut hash = std::mem::take(&mut self.hash);
        hash.sort_unstable();
        for group in hash.chunk_by(|a, b| a.0 == b.0) {
            for (at, &(_, v)) in group.iter().enumerate() {
                let i = v as usize;
                if self.size[i] == 0 || at + 1 == group.len() {
                    continue;
                }
                // variables and elements have numbers of their own: a variable that lives is no element
                let tag = self.new_tag();
                for &w in self.vars[i].iter().chain(&self.elements[i]) {
                    self.mark[w as usize] = tag;
                }
                for &(_, u) in &group[at + 1..] {
                    let j = u as usize;
                    let same = self.size[j] > 0
                        && self.vars[i].len() == self.vars[j].len()
                        && self.elements[i].len() == self.elements[j].len()
                        && self.vars[j]
                            .iter()
                            .chain(&self.elements[j])
                            .all(|&w| self.mark[w as usize] == tag);
                    if same {
                        self.absorb(i, j);
                    }
                }
            }
        }
        self.hash = hash;
    }

    /// `j` becomes part of `i`.
    fn absorb(&mut self, i: usize, j: usize) {
        self.size[i] += self.size[j];
        self.degree[i] = self.degree[i].min(self.degree[j]);
        self.size[j] = 0;
        self.next[self.last[i] as usize] = j as u32;
        self.last[i] = self.last[j];
        self.vars[j] = Vec::new();
        self.elements[j] = Vec::new();
    }
}

/// Spreads a number over 64 bits, so that sums tell sets apart.
fn scatter(j: u32) -> u64 {
    let x = (u64::from(j) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^ (x >> 29)
}

/// Variables by degree, doubly linked.
struct Buckets {
    head: Vec<u32>,
    tail: Vec<u32>,
    next: Vec<u32>,
    prev: Vec<u32>,
    low: usize,
    ties: Ties,
}

impl Buckets {
    fn new(n: usize, ties: Ties) -> Self {
        Buckets {
            head: vec![NONE; n + 1],
            tail: vec![NONE; n + 1],
            next: vec![NONE; n],
            prev: vec![NONE; n],
            low: 0,
            ties,
        }
    }

    fn insert(&mut self, v: u32, degree: u32) {
        let degree = degree as usize;
        let (before, after) = match self.ties {
            Ties::Oldest => (self.tail[degree], NONE),
            Ties::Newest => (NONE, self.head[degree]),
        };
        self.prev[v as usize] = before;
        self.next[v as usize] = after;
        if before == NONE {
            self.head[degree] = v;
        } else {
            self.next[before as usize] = v;
        }
        if after == NONE {
            self.tail[degree] = v;
        } else {
            self.prev[after as usize] = v;
        }
        self.low = self.low.min(degree);
    }

    fn remove(&mut self, v: u32, degree: u32) {
        let (p, q) = (self.prev[v as usize], self.next[v as usize]);
        if p == NONE {
            self.head[degree as usize] = q;
        } else {
            self.next[p as usize] = q;
        }
        if q == NONE {
            self.tail[degree as usize] = p;
        } else {
            self.prev[q as usize] = p;
        }
    }

    fn pop(&mut self) -> Option<u32> {
        while self.low < self.head.len() {
            let v = self.head[self.low];
            if v != NONE {
                self.remove(v, self.low as u32);
                return Some(v);
            }
            self.low += 1;
        }
        None
    }
}
