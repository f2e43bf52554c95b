//! Makes a failing kernel small: statements go as long as what is left is valid and still fails.

use twinml_model::ir::{Kernel, Region, Stmt};

/// The smallest kernel found; `fails` must hold for `kernel`, and say false for invalid ones.
pub fn reduce(kernel: &Kernel, fails: &dyn Fn(&Kernel) -> bool) -> Kernel {
    let mut best = kernel.clone();
    loop {
        let mut shrunk = false;
        let mut n = count(&best.body);
        let mut size = n.max(1);
        while size > 0 {
            let mut at = n;
            while at > 0 {
                let from = at.saturating_sub(size);
                let mut smaller = best.clone();
                let mut k = 0;
                remove(&mut smaller.body, &mut k, from, at);
                if fails(&smaller) {
                    best = smaller;
                    shrunk = true;
                }
                at = from;
            }
            n = count(&best.body);
            size /= 2;
        }
        if !shrunk {
            return best;
        }
    }
}

/// Statements, nested ones too, in the order of `remove`.
fn count(region: &Region) -> usize {
    region
        .iter()
        .map(|stmt| {
            1 + match stmt {
                Stmt::For(l) => count(&l.body),
                Stmt::If(i) => count(&i.then) + count(&i.otherwise),
                _ => 0,
            }
        })
        .sum()
}

/// Removes statements number `from..to`.
fn remove(region: &mut Region, k: &mut usize, from: usize, to: usize) {
    region.retain_mut(|stmt| {
        let own = *k;
        *k += 1;
        match stmt {
            Stmt::For(l) => remove(&mut l.body, k, from, to),
            Stmt::If(i) => {
                remove(&mut i.then, k, from, to);
                remove(&mut i.otherwise, k, from, to);
            }
            _ => {}
        }
        !(from..to).contains(&own)
    });
}
