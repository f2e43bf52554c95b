//! Classic problems. References: the test set for IVP solvers (Bari/CWI, release 2.4) where it gives
//! the end point, otherwise computed with tolerances of 1e-12 and below.

use super::pollution::{BALANCES, REACTIONS, start};
use super::scalar::Scalar;
use super::{Fixture, Ode, Problem};
use twinml_solvers::system::Pattern;

/// Robertson's chemical kinetics, 3 states.
pub struct Robertson;
impl Ode for Robertson {
    fn dim(&self) -> usize {
        3
    }
    fn f<S: Scalar>(&self, _t: S, y: &[S], d: &mut [S]) {
        let (a, b, c) = (y[0] * 0.04, y[1] * y[2] * 1e4, y[1] * y[1] * 3e7);
        d[0] = b - a;
        d[1] = a - b - c;
        d[2] = c;
    }
    fn jacobian(&self, _t: f64, y: &[f64], v: &mut [f64]) -> bool {
        v.copy_from_slice(&[
            -0.04,
            0.04,
            0.0,
            1e4 * y[2],
            -1e4 * y[2] - 6e7 * y[1],
            6e7 * y[1],
            1e4 * y[1],
            -1e4 * y[1],
            0.0,
        ]);
        true
    }
}

pub fn robertson() -> Problem {
    Problem {
        name: "robertson",
        sys: Box::new(Fixture::new(Robertson)),
        t0: 0.0,
        t1: 4e10,
        x0: vec![1.0, 0.0, 0.0],
        reference: vec![5.208_345_176_797_79e-8, 2.083_338_177_924_901_7e-13, 0.999_999_947_916_339_7],
        atol: 1e-16,
    }
}

/// Robertson to 1e11, as the CVODE bench has it.
pub fn robertson_long() -> Problem {
    Problem {
        t1: 1e11,
        reference: vec![2.083_340_681_085_644_7e-8, 8.333_362_895_872_29e-14, 0.999_999_979_166_510_5],
        ..robertson()
    }
}

/// High irradiance response of a plant, 8 states.
pub struct Hires;
impl Ode for Hires {
    fn dim(&self) -> usize {
        8
    }
    fn f<S: Scalar>(&self, _t: S, y: &[S], d: &mut [S]) {
        d[0] = y[0] * -1.71 + y[1] * 0.43 + y[2] * 8.32 + 0.0007;
        d[1] = y[0] * 1.71 - y[1] * 8.75;
        d[2] = y[2] * -10.03 + y[3] * 0.43 + y[4] * 0.035;
        d[3] = y[1] * 8.32 + y[2] * 1.71 - y[3] * 1.12;
        d[4] = y[4] * -1.745 + y[5] * 0.43 + y[6] * 0.43;
        let q = y[5] * y[7] * 280.0;
        d[5] = y[3] * 0.69 + y[4] * 1.71 - y[5] * 0.43 + y[6] * 0.69 - q;
        d[6] = q - y[6] * 1.81;
        d[7] = -d[6];
    }
    fn pattern(&self) -> Pattern {
        Pattern::from_entries(
            8,
            [
                (0, 0),
                (1, 0),
                (0, 1),
                (1, 1),
                (3, 1),
                (0, 2),
                (2, 2),
                (3, 2),
                (2, 3),
                (3, 3),
                (5, 3),
                (2, 4),
                (4, 4),
                (5, 4),
                (4, 5),
                (5, 5),
                (6, 5),
                (7, 5),
                (4, 6),
                (5, 6),
                (6, 6),
                (7, 6),
                (5, 7),
                (6, 7),
                (7, 7),
            ],
        )
        .expect("sorted")
    }
    fn jacobian(&self, _t: f64, y: &[f64], v: &mut [f64]) -> bool {
        let (a, b) = (280.0 * y[7], 280.0 * y[5]);
        v.copy_from_slice(&[
            -1.71,
            1.71,
            0.43,
            -8.75,
            8.32,
            8.32,
            -10.03,
            1.71,
            0.43,
            -1.12,
            0.69,
            0.035,
            -1.745,
            1.71,
            0.43,
            -0.43 - a,
            a,
            -a,
            0.43,
            0.69,
            -1.81,
            1.81,
            -b,
            b,
            -b,
        ]);
        true
    }
}

pub fn hires() -> Problem {
    let mut x0 = vec![0.0; 8];
    x0[0] = 1.0;
    x0[7] = 0.0057;
    Problem {
        name: "hires",
        sys: Box::new(Fixture::new(Hires)),
        t0: 0.0,
        t1: 321.8122,
        x0,
        reference: vec![
            0.737_131_257_332_566_8e-3,
            0.144_248_572_631_617_4e-3,
            0.588_872_974_096_757_6e-4,
            0.117_565_134_328_314_9e-2,
            0.238_635_619_883_133_8e-2,
            0.623_896_825_274_247_2e-2,
            0.284_999_839_518_551_7e-2,
            0.285_000_160_481_448_3e-2,
        ],
        atol: 1e-12,
    }
}

/// The terms of all balances: state, reaction, coefficient.
const POLLU_TERMS: [(usize, usize, f64); 75] = {
    let mut all = [(0, 0, 0.0); 75];
    let (mut state, mut n) = (0, 0);
    while state < 20 {
        let mut k = 0;
        while k < BALANCES[state].len() {
            let (reaction, coefficient) = BALANCES[state][k];
            all[n] = (state, reaction - 1, coefficient);
            (k, n) = (k + 1, n + 1);
        }
        state += 1;
    }
    all
};

/// Air pollution, 20 states, 25 reactions.
pub struct Pollution {
    pattern: Pattern,
    /// For each (state, reaction) pair the place of the entries by the first and second reactant.
    places: Vec<(usize, usize, usize, usize, f64)>,
}
impl Pollution {
    fn new() -> Self {
        let all = || POLLU_TERMS.iter();
        let mut entries = Vec::new();
        for &(i, r, _) in all() {
            let (_, a, b) = REACTIONS[r];
            entries.push((i, a - 1));
            if b > 0 {
                entries.push((i, b - 1));
            }
        }
        let pattern = Pattern::from_entries(20, entries).expect("in range");
        let at = |i, j: usize| if j > 0 { pattern.position(i, j - 1).expect("stored") } else { usize::MAX };
        let places =
            all().map(|&(i, r, s)| (i, r, at(i, REACTIONS[r].1), at(i, REACTIONS[r].2), s)).collect();
        Pollution { pattern, places }
    }
}
impl Ode for Pollution {
    fn dim(&self) -> usize {
        20
    }
    fn f<S: Scalar>(&self, _t: S, y: &[S], d: &mut [S]) {
        let y: &[S; 20] = y.try_into().expect("20 states");
        let d: &mut [S; 20] = d.try_into().expect("20 states");
        let mut r = [S::c(0.0); 25];
        for i in 0..25 {
            let (k, a, b) = REACTIONS[i];
            r[i] = y[a - 1] * k;
            if b > 0 {
                r[i] = r[i] * y[b - 1];
            }
        }
        *d = [S::c(0.0); 20];
        for &(i, k, s) in POLLU_TERMS.iter() {
            d[i] = d[i] + r[k] * s;
        }
    }
    fn pattern(&self) -> Pattern {
        self.pattern.clone()
    }
    fn jacobian(&self, _t: f64, y: &[f64], v: &mut [f64]) -> bool {
        v.fill(0.0);
        for &(_, r, a, b, s) in &self.places {
            let (k, first, second) = REACTIONS[r];
            let k = s * k;
            if b == usize::MAX {
                v[a] += k;
            } else {
                v[a] += k * y[second - 1];
                v[b] += k * y[first - 1];
            }
        }
        true
    }
}

pub fn pollution() -> Problem {
    let x0 = (1..=20).map(start).collect();
    Problem {
        name: "pollution",
        sys: Box::new(Fixture::new(Pollution::new())),
        t0: 0.0,
        t1: 60.0,
        x0,
        reference: vec![
            0.564_625_548_002_276_9e-1,
            0.134_248_413_042_233_9,
            0.413_973_433_109_942_7e-8,
            0.552_314_020_748_435_9e-2,
            0.201_897_726_230_219_6e-6,
            0.146_454_186_349_396_6e-6,
            0.778_424_911_899_799_5e-1,
            0.324_507_535_339_601_8,
            0.749_401_338_388_040_6e-2,
            0.162_229_315_734_356_1e-7,
            0.113_586_383_325_707_5e-7,
            0.223_050_597_572_133_5e-2,
            0.208_716_288_279_863e-3,
            0.139_692_101_684_014_4e-4,
            0.896_488_485_689_898_2e-2,
            0.435_284_636_933_010_3e-17,
            0.689_921_969_626_340_4e-2,
            0.100_780_303_736_594_6e-3,
            0.177_214_651_396_998_3e-5,
            0.568_294_329_231_639_2e-4,
        ],
        atol: 1e-14,
    }
}

/// Van der Pol's oscillator.
pub struct VanDerPol {
    pub mu: f64,
}
impl Ode for VanDerPol {
    fn dim(&self) -> usize {
        2
    }
    fn f<S: Scalar>(&self, _t: S, y: &[S], d: &mut [S]) {
        d[0] = y[1];
        d[1] = (-(y[0] * y[0]) + 1.0) * y[1] * self.mu - y[0];
    }
    fn jacobian(&self, _t: f64, y: &[f64], v: &mut [f64]) -> bool {
        v.copy_from_slice(&[0.0, -2.0 * self.mu * y[0] * y[1] - 1.0, 1.0, self.mu * (1.0 - y[0] * y[0])]);
        true
    }
}

pub fn van_der_pol() -> Problem {
    Problem {
        name: "van_der_pol",
        sys: Box::new(Fixture::new(VanDerPol { mu: 1000.0 })),
        t0: 0.0,
        t1: 2000.0,
        x0: vec![2.0, 0.0],
        reference: vec![0.170_616_773_217_048_3e1, -0.892_809_701_024_794_9e-3],
        atol: 1e-12,
    }
}

/// The Belousov–Zhabotinskii reaction.
pub struct Oregonator;
impl Ode for Oregonator {
    fn dim(&self) -> usize {
        3
    }
    fn f<S: Scalar>(&self, _t: S, y: &[S], d: &mut [S]) {
        d[0] = (y[1] + y[0] * (-(y[0] * 8.375e-6) + 1.0 - y[1])) * 77.27;
        d[1] = (y[2] - (y[0] + 1.0) * y[1]) / 77.27;
        d[2] = (y[0] - y[2]) * 0.161;
    }
    fn jacobian(&self, _t: f64, y: &[f64], v: &mut [f64]) -> bool {
        v.copy_from_slice(&[
            77.27 * (1.0 - 2.0 * 8.375e-6 * y[0] - y[1]),
            -y[1] / 77.27,
            0.161,
            77.27 * (1.0 - y[0]),
            -(1.0 + y[0]) / 77.27,
            0.0,
            0.0,
            1.0 / 77.27,
            -0.161,
        ]);
        true
    }
}

pub fn oregonator() -> Problem {
    Problem {
        name: "oregonator",
        sys: Box::new(Fixture::new(Oregonator)),
        t0: 0.0,
        t1: 360.0,
        x0: vec![1.0, 2.0, 3.0],
        reference: vec![0.100_081_487_031_852_3e1, 0.122_817_852_154_991_7e4, 0.132_055_494_284_650_7e3],
        atol: 1e-10,
    }
}

/// A chemical pyrolysis: 1e-22 matters.
pub struct E5;
impl Ode for E5 {
    fn dim(&self) -> usize {
        4
    }
    fn f<S: Scalar>(&self, _t: S, y: &[S], d: &mut [S]) {
        let p1 = y[0] * 7.89e-10;
        let p2 = y[0] * y[2] * 1.1e7;
        let p3 = y[1] * y[2] * 1.13e9;
        let p4 = y[3] * 1.13e3;
        d[0] = -p1 - p2;
        d[1] = p1 - p3;
        d[3] = p2 - p4;
        d[2] = d[1] - d[3];
    }
}

pub fn e5() -> Problem {
    Problem {
        name: "e5",
        sys: Box::new(Fixture::new(E5)),
        t0: 0.0,
        t1: 1e13,
        x0: vec![1.76e-3, 0.0, 0.0, 0.0],
        reference: vec![f64::NAN, 0.886_765_551_764_212e-22, 0.885_481_462_626_883_8e-22, f64::NAN],
        atol: 1e-28,
    }
}

/// Seven stars in a plane.
pub struct Pleiades;
impl Ode for Pleiades {
    fn dim(&self) -> usize {
        28
    }
    fn f<S: Scalar>(&self, _t: S, y: &[S], d: &mut [S]) {
        for i in 0..7 {
            d[i] = y[14 + i];
            d[7 + i] = y[21 + i];
            let (mut fx, mut fy) = (S::c(0.0), S::c(0.0));
            for j in 0..7 {
                if j != i {
                    let (dx, dy) = (y[j] - y[i], y[7 + j] - y[7 + i]);
                    let r2 = dx * dx + dy * dy;
                    let q = S::c((j + 1) as f64) / (r2 * r2.sqrt());
                    fx = fx + q * dx;
                    fy = fy + q * dy;
                }
            }
            d[14 + i] = fx;
            d[21 + i] = fy;
        }
    }
}

pub fn pleiades() -> Problem {
    Problem {
        name: "pleiades",
        sys: Box::new(Fixture::new(Pleiades)),
        t0: 0.0,
        t1: 3.0,
        x0: vec![
            3.0, 3.0, -1.0, -3.0, 2.0, -2.0, 2.0, 3.0, -3.0, 2.0, 0.0, 0.0, -4.0, 4.0, 0.0, 0.0, 0.0, 0.0,
            0.0, 1.75, -1.5, 0.0, 0.0, 0.0, -1.25, 1.0, 0.0, 0.0,
        ],
        reference: vec![
            0.370_613_914_397_05,
            0.323_728_409_205_747_6e1,
            -0.322_255_903_241_828_4e1,
            0.659_709_145_577_531,
            0.342_558_170_715_662_8,
            0.156_217_210_140_021_5e1,
            -0.700_309_292_222_549_5,
            -0.394_343_758_551_776_7e1,
            -0.327_138_097_397_250_2e1,
            0.522_508_184_340_698_2e1,
            -0.259_061_243_497_746_8e1,
            0.119_821_369_339_284_8e1,
            -0.242_968_234_471_222_9,
            0.109_144_924_046_022_9e1,
            0.341_700_380_631_405_5e1,
            0.135_458_450_150_166_4e1,
            -0.259_006_559_781_077_5e1,
            0.202_505_373_472_426_2e1,
            -0.115_581_510_013_044_5e1,
            -0.807_298_817_030_123_3,
            0.595_239_635_420_856_8,
            -0.374_124_496_124_575_4e1,
            0.377_345_968_503_029_7,
            0.938_685_886_955_130_7,
            0.366_792_222_722_070_4,
            -0.347_404_635_366_329_4,
            2.344_915_448_180_739_5,
            -1.947_020_434_262_963_8,
        ],
        atol: 1e-10,
    }
}

/// The restricted three-body problem on Arenstorf's periodic orbit.
pub struct Arenstorf;
impl Ode for Arenstorf {
    fn dim(&self) -> usize {
        4
    }
    fn f<S: Scalar>(&self, _t: S, y: &[S], d: &mut [S]) {
        let mu = 0.012_277_471;
        let mu1 = 1.0 - mu;
        let (a, b) = (y[0] + mu, y[0] - mu1);
        let r1 = a * a + y[1] * y[1];
        let r2 = b * b + y[1] * y[1];
        let d1 = r1 * r1.sqrt();
        let d2 = r2 * r2.sqrt();
        d[0] = y[2];
        d[1] = y[3];
        d[2] = y[0] + y[3] * 2.0 - a * mu1 / d1 - b * mu / d2;
        d[3] = y[1] - y[2] * 2.0 - y[1] * mu1 / d1 - y[1] * mu / d2;
    }
}

pub fn arenstorf() -> Problem {
    let x0 = vec![0.994, 0.0, 0.0, -2.001_585_106_379_082_5];
    Problem {
        name: "arenstorf",
        sys: Box::new(Fixture::new(Arenstorf)),
        t0: 0.0,
        t1: 17.065_216_560_157_964,
        reference: x0.clone(),
        x0,
        atol: 1e-10,
    }
}

/// All of them.
pub fn all() -> Vec<Problem> {
    vec![robertson(), hires(), pollution(), van_der_pol(), oregonator(), e5(), pleiades(), arenstorf()]
}
