//! Sines and cosines close by others: of `x + d` from how `x` was reduced.
//!
//! A method's stages ask for the sine at points that lie near each other. With `x = n·π + r` from the first of them, the
//! others are `n·π + (r + d)`: where `|d| < ½` the same number of half turns (or quarter turns) serves, and polynomials
//! that are good half a radian further than those in [`super::trig`]. Beyond, the sum is reduced anew.
//!
//! Error: 1 ulp for |d| ≤ ¼, 4 ulp for |d| < ½, beside half a unit in the last place of `r` (where `x` had to be
//! reduced) and of `r + d`. A sum that is rounded first and reduced then is off by no less: by half a unit in its own
//! last place, which is at least that of `r + d`.

use super::poly::halves;
use super::trig::{
    HALF_PI, HALF_TURNS, ONE_OVER_PI, PI, QUARTER_TURNS, TWO_OVER_PI, cos, eighths, pair, quarter, sin,
    sin_beside, turns,
};
use super::{Arith, Ops};

/// The square of how far `d` may go.
const REACH: f64 = 0.25;

/// (sin y − y)/y³ + ⅛ in y², relative to sin: 2⁻⁵⁵ for |y| ≤ π/2 + ⅛, 2⁻⁵¹ up to π/2 + ½.
const SIN_HALF: [f64; 8] = [
    -0.04166666666666611,
    0.008333333333329038,
    -0.00019841269840126761,
    2.7557319075794175e-06,
    -2.505209770164933e-08,
    1.6058593277988042e-10,
    -7.636105198539713e-13,
    2.6648248533665062e-15,
];
/// (sin y − y)/y³ in y², relative to sin: 2⁻⁵⁸ for |y| ≤ π/4 + ⅛, 2⁻⁵⁴ up to π/4 + ½.
const SIN: [f64; 7] = [
    -0.16666666666666655,
    0.008333333333331236,
    -0.0001984126984004074,
    2.7557318883971003e-06,
    -2.5052058318995146e-08,
    1.6055014196560122e-10,
    -7.479919221312312e-13,
];
/// (cos y − 1 + y²/2)/y⁴ in y², relative to cos: 2⁻⁶³ for |y| ≤ π/4 + ⅛, 2⁻⁵⁹ up to π/4 + ½.
const COS: [f64; 7] = [
    0.04166666666666663,
    -0.0013888888888884839,
    2.4801587299889265e-05,
    -2.7557318861268963e-07,
    2.0876713629538255e-09,
    -1.1467809790280357e-11,
    4.6741852451289375e-14,
];

/// Whether `x` is far or `d` is.
fn beyond<A: Arith>(a: &mut A, near: A::B, d: A::F) -> A::B {
    let square = a.mul(d, d);
    let reach = a.f(REACH);
    let close = a.lt(square, reach);
    let ok = a.and_b(near, close);
    a.not_b(ok)
}

/// `sin(x + d)`.
pub fn sin_moved<A: Arith>(a: &mut A, x: A::F, d: A::F) -> A::F {
    let (n, r, near) = turns(a, x, ONE_OVER_PI, PI, HALF_TURNS);
    let r = a.add(r, d);
    let z = a.mul(r, r);
    let p = halves(a, z, &SIN_HALF);
    let s = eighths(a, r, z, p);
    let c63 = a.i(63);
    let odd = a.shl(n, c63);
    let usual = a.xor_sign(s, odd);
    let beyond = beyond(a, near, d);
    a.seldom(beyond, usual, |a| {
        let sum = a.add(x, d);
        sin(a, sum)
    })
}

/// `cos(x + d)`.
pub fn cos_moved<A: Arith>(a: &mut A, x: A::F, d: A::F) -> A::F {
    let (usual, beyond) = either(a, x, d, 1);
    a.seldom(beyond, usual, |a| {
        let sum = a.add(x, d);
        cos(a, sum)
    })
}

/// `sin(x + d)` by the way of [`cos_moved`], with which it shares nearly all operations.
pub fn sin_beside_moved<A: Arith>(a: &mut A, x: A::F, d: A::F) -> A::F {
    let (usual, beyond) = either(a, x, d, 0);
    a.seldom(beyond, usual, |a| {
        let sum = a.add(x, d);
        sin_beside(a, sum)
    })
}

/// The sine (`more` 0) or cosine (1), and whether it must be found otherwise.
fn either<A: Arith>(a: &mut A, x: A::F, d: A::F, more: u64) -> (A::F, A::B) {
    let (n, r, near) = turns(a, x, TWO_OVER_PI, HALF_PI, QUARTER_TURNS);
    let r = a.add(r, d);
    let (sin, cos) = pair(a, r, &SIN, &COS);
    let usual = quarter(a, n, sin, cos, more);
    (usual, beyond(a, near, d))
}
