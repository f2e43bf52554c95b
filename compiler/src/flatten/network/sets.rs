//! Which ports are joined: union and find over their elements (R. E. Tarjan, "Efficiency of a good but not linear
//! set union algorithm", J. ACM 22 (1975)).

/// Disjoint sets of the numbers below a limit.
#[derive(Debug)]
pub(super) struct Sets {
    parent: Vec<u32>,
    size: Vec<u32>,
}

impl Sets {
    /// Each number alone.
    pub fn new(len: u32) -> Sets {
        Sets { parent: (0..len).collect(), size: vec![1; len as usize] }
    }

    /// The number that stands for the set of `x`.
    pub fn find(&mut self, mut x: u32) -> u32 {
        while self.parent[x as usize] != x {
            let up = self.parent[self.parent[x as usize] as usize];
            self.parent[x as usize] = up;
            x = up;
        }
        x
    }

    /// Makes one set of two; false where they are one already.
    pub fn join(&mut self, a: u32, b: u32) -> bool {
        let (mut a, mut b) = (self.find(a), self.find(b));
        if a == b {
            return false;
        }
        if self.size[a as usize] < self.size[b as usize] {
            std::mem::swap(&mut a, &mut b);
        }
        self.parent[b as usize] = a;
        self.size[a as usize] += self.size[b as usize];
        true
    }

    /// How many are in the set of `x`.
    pub fn len_of(&mut self, x: u32) -> u32 {
        let root = self.find(x);
        self.size[root as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_twice_joins_once() {
        let mut s = Sets::new(6);
        assert!(s.join(0, 1) && s.join(2, 3) && s.join(1, 3));
        assert!(!s.join(0, 2) && !s.join(4, 4));
        assert_eq!((s.len_of(3), s.len_of(4), s.len_of(5)), (4, 1, 1));
        assert_eq!(s.find(0), s.find(2));
        assert_ne!(s.find(0), s.find(4));
    }
}
