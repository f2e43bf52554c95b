//! Draws as text: an item for each family and each correlation.
//!
//! ```text
//! draw { var: 3, first: 0, nest: [(3, 1)], len: 3, slot: { base: 0, strides: [1] }, law: Named("normal",
//!   [Number(2.0), Number(0.05)]), level: 0, origin: 4 }
//! correlate { a: 0, b: 1, value: 0.7 }
//! ```

use super::behavior::{Item, choices, deeper, structures};
use super::read::{ReadError, Reader};
use crate::draws::{Arg, Correlation, Draws, Family, Law, Slot};

type R<T> = Result<T, ReadError>;

structures! {
    Slot { base, strides }
    Family { var, first, nest, len, slot, law, level, origin }
    Correlation { a, b, value }
}

choices! {
    Arg, "Number or Param" { ; Number(a), Param(a) }
    Law, "a distribution" { ; Named(a, b), Discrete(a, b), Samples(a), Truncated(a, b, c), Mixture(a, b) }
}

impl Item for Box<Law> {
    fn put(&self, out: &mut String) {
        (**self).put(out);
    }
    fn get(r: &mut Reader) -> R<Box<Law>> {
        deeper(r, Law::get).map(Box::new)
    }
}

/// Draws as text, without their kernel; nothing where there are none.
pub(super) fn draws_text(d: &Draws) -> String {
    let mut out = String::new();
    for f in &d.families {
        out.push_str("draw ");
        f.put(&mut out);
        out.push('\n');
    }
    for c in &d.correlations {
        out.push_str("correlate ");
        c.put(&mut out);
        out.push('\n');
    }
    out
}

impl Reader {
    /// What stands behind the word `draw`.
    pub(super) fn draw(&mut self) -> R<Family> {
        Item::get(self)
    }

    /// What stands behind the word `correlate`.
    pub(super) fn correlate(&mut self) -> R<Correlation> {
        Item::get(self)
    }
}
