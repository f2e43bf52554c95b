//! Powers with an exponent that is known when a model is compiled. Equations, handlers and constants agree on what
//! they mean, so that they agree in every bit.

/// Largest magnitude of a whole exponent that becomes products.
const PRODUCTS: f64 = 32.0;

/// What `x^n` is computed by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Power {
    /// Products, [`by_squaring`]: `x^n`.
    Whole(u32),
    /// One divided by such products: `x^-n`.
    Inverse(u32),
    /// `sqrt(x)`
    Root,
    /// The function `pow`.
    Function,
}

/// How to raise something to the power of `n`.
#[must_use]
pub fn power(n: f64) -> Power {
    if n.fract() == 0.0 && n.abs() <= PRODUCTS {
        let whole = n.abs() as u32;
        if n < 0.0 { Power::Inverse(whole) } else { Power::Whole(whole) }
    } else if n == 0.5 {
        Power::Root
    } else {
        Power::Function
    }
}

/// `x^n`: the squares of the binary digits of `n` are multiplied from the lowest on. `None` where `n` is 0: the
/// result is 1.
pub fn by_squaring<T: Clone>(n: u32, x: T, mut product: impl FnMut(T, T) -> T) -> Option<T> {
    let (mut rest, mut square, mut result) = (n, x, None);
    while rest > 0 {
        if rest & 1 == 1 {
            result = Some(match result {
                Some(r) => product(r, square.clone()),
                None => square.clone(),
            });
        }
        rest >>= 1;
        if rest > 0 {
            square = product(square.clone(), square);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::{Power, by_squaring, power};

    #[test]
    fn few_products_give_the_power() {
        for n in 1..=32 {
            let mut products = 0;
            let found = by_squaring(n, 3_u128, |a, b| {
                products += 1;
                a * b
            });
            assert_eq!(found, Some(3_u128.pow(n)));
            assert_eq!(products, n.ilog2() + n.count_ones() - 1);
        }
        assert_eq!(by_squaring(0, 3.0, |a: f64, b| a * b), None);
    }

    #[test]
    fn what_is_no_small_whole_number_is_a_function() {
        assert_eq!(power(-3.0), Power::Inverse(3));
        assert_eq!(power(-0.0), Power::Whole(0));
        assert_eq!(power(0.5), Power::Root);
        for n in [33.0, -33.0, 1.5, f64::NAN, f64::INFINITY] {
            assert_eq!(power(n), Power::Function);
        }
    }
}
