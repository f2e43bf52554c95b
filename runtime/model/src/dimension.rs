//! Physical dimensions: seven SI exponents and whatever base dimensions a model adds.
//!
//! A [`Dimension`] is a product of powers. The seven SI bases come first, in the order metre,
//! kilogram, second, ampere, kelvin, mole, candela; a base that the model adds (`dimension Money`)
//! is carried by its name. Exponents are small reduced rationals, because `sqrt(h)` and
//! `Real[m^2.5/s]` occur in engineering. Angles are dimensionless (`rad` is 1).
//!
//! A dimension says nothing about scale: every quantity of the compiled program is held in
//! coherent SI, so [`Dimension`]'s printed form (`kg*m/s^2`) is also the coherent unit.

use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::LazyLock;

/// A reduced rational exponent. The denominator is positive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ratio {
    num: i16,
    /// Never 0: so an optional dimension needs no more room than one.
    den: NonZeroU16,
}

/// Exponents outside this magnitude (numerator or denominator) have no use and are refused by
/// [`Ratio::new`] and [`Dimension::pow`].
const LIMIT: i64 = 10_000;

impl Ratio {
    /// The exponent 0.
    pub const ZERO: Ratio = Ratio { num: 0, den: NonZeroU16::MIN };
    /// The exponent 1.
    pub const ONE: Ratio = Ratio { num: 1, den: NonZeroU16::MIN };

    /// `num/den`, reduced. `None` when `den` is 0 or either part is beyond ±10 000 after reduction.
    pub fn new(num: i64, den: i64) -> Option<Ratio> {
        if den == 0 || num == i64::MIN || den == i64::MIN {
            return None;
        }
        let g = gcd(num.unsigned_abs(), den.unsigned_abs()).max(1) as i64;
        let (mut n, mut d) = (num / g, den / g);
        if d < 0 {
            (n, d) = (-n, -d);
        }
        if n.abs() > LIMIT || d > LIMIT {
            return None;
        }
        Some(Ratio { num: i16::try_from(n).ok()?, den: NonZeroU16::new(u16::try_from(d).ok()?)? })
    }

    /// The whole number `n`; `None` beyond ±10 000.
    pub fn int(n: i64) -> Option<Ratio> {
        Ratio::new(n, 1)
    }

    /// The rational that the decimal or quotient `x` stands for: an exact small fraction within
    /// one part in 1e12 (so that `2.5` is 5/2 and `0.333333333333` is not 1/3 but `1.0/3.0` is).
    /// `None` when there is none with a denominator of at most 1000.
    pub fn from_f64(x: f64) -> Option<Ratio> {
        if !x.is_finite() || x.abs() > LIMIT as f64 {
            return None;
        }
        (1..=1000i64).find_map(|den| {
            let scaled = x * den as f64;
            let near = scaled.round();
            ((scaled - near).abs() <= 1e-14 * den as f64 * x.abs().max(1.0))
                .then(|| Ratio::new(near as i64, den))
                .flatten()
        })
    }

    /// Numerator of the reduced form.
    pub fn numerator(self) -> i32 {
        i32::from(self.num)
    }

    /// Denominator of the reduced form, at least 1.
    pub fn denominator(self) -> i32 {
        i32::from(self.den.get())
    }

    /// Whether the exponent is 0.
    pub fn is_zero(self) -> bool {
        self.num == 0
    }

    /// The exponent as a number, correctly rounded.
    pub fn to_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den.get())
    }

    /// `self + other`; `None` when the result leaves the limits.
    pub fn checked_add(self, other: Ratio) -> Option<Ratio> {
        let (a, c) = (i64::from(self.num), i64::from(other.num));
        if self.den == NonZeroU16::MIN && other.den == NonZeroU16::MIN {
            let sum = a + c;
            return (sum.abs() <= LIMIT).then_some(Ratio { num: sum as i16, den: NonZeroU16::MIN });
        }
        let (b, d) = (i64::from(self.den.get()), i64::from(other.den.get()));
        Ratio::new(a * d + c * b, b * d)
    }

    /// `self * other`; `None` when the result leaves the limits.
    pub fn checked_mul(self, other: Ratio) -> Option<Ratio> {
        let (b, d) = (i64::from(self.den.get()), i64::from(other.den.get()));
        Ratio::new(i64::from(self.num) * i64::from(other.num), b * d)
    }

    /// `-self`.
    pub fn negated(self) -> Ratio {
        Ratio { num: -self.num, den: self.den }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let den = self.den.get();
        if den == 1 {
            return write!(f, "{}", self.num);
        }
        // A finite decimal reads better in a unit (`m^2.5`) than a fraction in parentheses.
        let mut d = den;
        for p in [2, 5] {
            while d.is_multiple_of(p) {
                d /= p;
            }
        }
        if d == 1 && den <= 1000 {
            write!(f, "{}", self.to_f64())
        } else {
            write!(f, "({}/{})", self.num, den)
        }
    }
}

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The symbols of the SI base units, in the order of [`Dimension::si`].
pub const SI_SYMBOLS: [&str; 7] = ["m", "kg", "s", "A", "K", "mol", "cd"];

/// A product of powers of base dimensions.
///
/// Equality is exact: two dimensions are equal when every exponent is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dimension {
    si: [Ratio; 7],
    /// Bases that the model added, sorted by name, no zero exponents.
    user: User,
}

/// Powers of bases that a model added. Few models add any: nothing is kept for none.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct User(Option<Box<Powers>>);

/// Sorted by name, no zero exponents, and not empty.
type Powers = Vec<(Arc<str>, Ratio)>;

impl User {
    const NONE: User = User(None);

    fn list(&self) -> &[(Arc<str>, Ratio)] {
        self.0.as_ref().map_or(&[], |v| v.as_slice())
    }

    fn list_mut(&mut self) -> &mut [(Arc<str>, Ratio)] {
        self.0.as_mut().map_or(&mut [], |v| v.as_mut_slice())
    }

    /// Multiplies by a power of a base.
    fn multiply(&mut self, name: &Arc<str>, r: Ratio) -> Option<()> {
        let list = self.0.get_or_insert_default();
        match list.binary_search_by(|(n, _)| n.cmp(name)) {
            Ok(i) => {
                let sum = list[i].1.checked_add(r)?;
                if sum.is_zero() {
                    list.remove(i);
                } else {
                    list[i].1 = sum;
                }
            }
            Err(i) => list.insert(i, (name.clone(), r)),
        }
        if list.is_empty() {
            self.0 = None;
        }
        Some(())
    }
}

impl Default for Dimension {
    fn default() -> Self {
        Dimension::ONE
    }
}

impl Dimension {
    /// Dimensionless.
    pub const ONE: Dimension = Dimension { si: [Ratio::ZERO; 7], user: User::NONE };

    /// From whole exponents of metre, kilogram, second, ampere, kelvin, mole, candela.
    pub const fn of(m: i8, kg: i8, s: i8, a: i8, k: i8, mol: i8, cd: i8) -> Dimension {
        const fn r(n: i8) -> Ratio {
            Ratio { num: n as i16, den: NonZeroU16::MIN }
        }
        Dimension { si: [r(m), r(kg), r(s), r(a), r(k), r(mol), r(cd)], user: User::NONE }
    }

    /// The dimension of length (m).
    pub const LENGTH: Dimension = Dimension::of(1, 0, 0, 0, 0, 0, 0);
    /// The dimension of mass (kg).
    pub const MASS: Dimension = Dimension::of(0, 1, 0, 0, 0, 0, 0);
    /// The dimension of time (s).
    pub const TIME: Dimension = Dimension::of(0, 0, 1, 0, 0, 0, 0);
    /// The dimension of electric current (A).
    pub const CURRENT: Dimension = Dimension::of(0, 0, 0, 1, 0, 0, 0);
    /// The dimension of thermodynamic temperature (K).
    pub const TEMPERATURE: Dimension = Dimension::of(0, 0, 0, 0, 1, 0, 0);
    /// The dimension of amount of substance (mol).
    pub const AMOUNT: Dimension = Dimension::of(0, 0, 0, 0, 0, 1, 0);
    /// The dimension of luminous intensity (cd).
    pub const LUMINOUS_INTENSITY: Dimension = Dimension::of(0, 0, 0, 0, 0, 0, 1);
    /// The dimension of frequency and of angular velocity (1/s).
    pub const FREQUENCY: Dimension = Dimension::of(0, 0, -1, 0, 0, 0, 0);

    /// A base dimension that the model adds (`dimension Money`), to the power one.
    pub fn user(name: &str) -> Dimension {
        Dimension { si: [Ratio::ZERO; 7], user: User(Some(Box::new(vec![(Arc::from(name), Ratio::ONE)]))) }
    }

    /// Exponents of the seven SI bases, in the order of [`SI_SYMBOLS`].
    pub fn si(&self) -> &[Ratio; 7] {
        &self.si
    }

    /// Exponents of the bases that the model added, sorted by name; none is zero.
    pub fn user_bases(&self) -> impl Iterator<Item = (&str, Ratio)> {
        self.user.list().iter().map(|(n, r)| (&**n, *r))
    }

    /// Whether this is the dimension of pure numbers (angles included).
    pub fn is_one(&self) -> bool {
        self.user.list().is_empty() && self.si.iter().all(|r| r.is_zero())
    }

    /// The product; `None` when an exponent leaves ±10 000.
    pub fn checked_mul(&self, other: &Dimension) -> Option<Dimension> {
        let mut out = self.clone();
        for (a, b) in out.si.iter_mut().zip(other.si) {
            *a = a.checked_add(b)?;
        }
        for (name, r) in other.user.list() {
            out.user.multiply(name, *r)?;
        }
        Some(out)
    }

    /// The quotient; `None` when an exponent leaves ±10 000.
    pub fn checked_div(&self, other: &Dimension) -> Option<Dimension> {
        self.checked_mul(&other.recip())
    }

    /// The dimension to a rational power; `None` when an exponent leaves ±10 000.
    pub fn pow(&self, exponent: Ratio) -> Option<Dimension> {
        if exponent.is_zero() {
            return Some(Dimension::ONE);
        }
        let mut out = self.clone();
        for a in &mut out.si {
            *a = a.checked_mul(exponent)?;
        }
        for (_, r) in out.user.list_mut() {
            *r = r.checked_mul(exponent)?;
        }
        Some(out)
    }

    /// The n-th root (`n` not 0): `root(2)` is the dimension of a square root.
    pub fn root(&self, n: i64) -> Option<Dimension> {
        self.pow(Ratio::new(1, n)?)
    }

    /// One over this dimension.
    pub fn recip(&self) -> Dimension {
        let mut out = self.clone();
        for a in &mut out.si {
            *a = a.negated();
        }
        for (_, r) in out.user.list_mut() {
            *r = r.negated();
        }
        out
    }

    /// Reads the form that [`fmt::Display`] writes: `1`, `kg*m/s^2`, `m^2.5/s`, `m^(1/3)`,
    /// `A/(K*m)`; a name that is no SI base symbol is a base that the model added.
    pub fn parse(text: &str) -> Option<Dimension> {
        let mut p = Parser { rest: text.trim(), depth: 0 };
        let d = p.product()?;
        p.rest.trim().is_empty().then_some(d)
    }

    /// The shortest customary unit: `N*m`, `W/(K*m)`, `J/(K*kg)`, falling back on the SI bases.
    /// Always coherent, so a number in SI may be printed beside it unchanged.
    pub fn customary(&self) -> String {
        customary(self)
    }
}

/// Writes `numerator/denominator` with the factors in the order given.
fn write_factors(f: &mut dyn fmt::Write, factors: &[(&str, Ratio)]) -> fmt::Result {
    let part = |f: &mut dyn fmt::Write, list: &[(&str, Ratio)]| -> fmt::Result {
        for (i, (name, r)) in list.iter().enumerate() {
            if i > 0 {
                f.write_char('*')?;
            }
            f.write_str(name)?;
            if *r != Ratio::ONE {
                write!(f, "^{r}")?;
            }
        }
        Ok(())
    };
    let top: Vec<_> = factors.iter().copied().filter(|(_, r)| r.num > 0).collect();
    let bottom: Vec<_> = factors.iter().filter(|(_, r)| r.num < 0).map(|(n, r)| (*n, r.negated())).collect();
    if top.is_empty() {
        f.write_char('1')?;
    } else {
        part(f, &top)?;
    }
    match bottom.len() {
        0 => Ok(()),
        1 => {
            f.write_char('/')?;
            part(f, &bottom)
        }
        _ => {
            f.write_str("/(")?;
            part(f, &bottom)?;
            f.write_char(')')
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Mass before length before time reads like a textbook: kg*m/s^2.
        const ORDER: [usize; 7] = [1, 0, 2, 3, 4, 5, 6];
        let mut factors: Vec<(&str, Ratio)> = self.user.list().iter().map(|(n, r)| (&**n, *r)).collect();
        factors
            .extend(ORDER.iter().filter(|i| !self.si[**i].is_zero()).map(|i| (SI_SYMBOLS[*i], self.si[*i])));
        write_factors(f, &factors)
    }
}

impl fmt::Debug for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Coherent derived units, in the order in which they are tried.
const DERIVED: [(&str, Dimension); 14] = [
    ("N", Dimension::of(1, 1, -2, 0, 0, 0, 0)),
    ("Pa", Dimension::of(-1, 1, -2, 0, 0, 0, 0)),
    ("J", Dimension::of(2, 1, -2, 0, 0, 0, 0)),
    ("W", Dimension::of(2, 1, -3, 0, 0, 0, 0)),
    ("C", Dimension::of(0, 0, 1, 1, 0, 0, 0)),
    ("V", Dimension::of(2, 1, -3, -1, 0, 0, 0)),
    ("ohm", Dimension::of(2, 1, -3, -2, 0, 0, 0)),
    ("S", Dimension::of(-2, -1, 3, 2, 0, 0, 0)),
    ("F", Dimension::of(-2, -1, 4, 2, 0, 0, 0)),
    ("Wb", Dimension::of(2, 1, -2, -1, 0, 0, 0)),
    ("T", Dimension::of(0, 1, -2, -1, 0, 0, 0)),
    ("H", Dimension::of(2, 1, -2, -2, 0, 0, 0)),
    ("kat", Dimension::of(0, 0, -1, 0, 0, 1, 0)),
    ("lx", Dimension::of(-2, 0, 0, 0, 0, 0, 1)),
];

/// How many unit symbols a spelling needs; powers beyond the first count half.
fn cost(d: &Dimension) -> i64 {
    let one = |r: &Ratio| match (r.num.unsigned_abs(), r.den.get()) {
        (0, _) => 0,
        (1, 1) => 4,
        (n, 1) => 4 + i64::from(n.min(4)),
        (n, _) => 8 + i64::from(n.min(4)),
    };
    d.si.iter().map(one).sum::<i64>() + d.user.list().iter().map(|(_, r)| one(r)).sum::<i64>()
}

/// Spellings that engineers expect where the shortest one is another.
const CUSTOMARY: [&str; 8] =
    ["W/(m*K)", "W/(m^2*K)", "J/(kg*K)", "J/(m^3*K)", "W/m^2", "V/m", "J/mol", "J/(mol*K)"];

fn customary(d: &Dimension) -> String {
    static KNOWN: LazyLock<[Option<Dimension>; CUSTOMARY.len()]> =
        LazyLock::new(|| CUSTOMARY.map(Dimension::parse));
    if let Some(k) = KNOWN.iter().position(|known| known.as_ref() == Some(d)) {
        return CUSTOMARY[k].to_owned();
    }
    let plain = d.to_string();
    let mass = d.si[1];
    let mut best = (cost(d), plain);
    // Without mass or current in sight a derived unit only obscures (m^2/s^2 is not J/kg here).
    if mass.is_zero() && d.si[3].is_zero() {
        return best.1;
    }
    for (symbol, unit) in &DERIVED {
        for sign in [Ratio::ONE, Ratio::ONE.negated()] {
            let Some(rest) = unit.pow(sign).and_then(|u| d.checked_div(&u)) else { continue };
            let c = cost(&rest) + 5;
            if c < best.0 {
                const ORDER: [usize; 7] = [1, 0, 2, 3, 4, 5, 6];
                let mut factors: Vec<(&str, Ratio)> = vec![(symbol, sign)];
                factors.extend(
                    ORDER.iter().filter(|i| !rest.si[**i].is_zero()).map(|i| (SI_SYMBOLS[*i], rest.si[*i])),
                );
                factors.extend(rest.user.list().iter().map(|(n, r)| (&**n, *r)));
                let mut text = String::new();
                // Writing into a String cannot fail.
                let _ = write_factors(&mut text, &factors);
                best = (c, text);
            }
        }
    }
    best.1
}

struct Parser<'a> {
    rest: &'a str,
    depth: u32,
}

impl<'a> Parser<'a> {
    fn eat(&mut self, c: char) -> bool {
        let t = self.rest.trim_start();
        match t.strip_prefix(c) {
            Some(r) => {
                self.rest = r;
                true
            }
            None => false,
        }
    }

    fn product(&mut self) -> Option<Dimension> {
        let mut d = self.power()?;
        loop {
            if self.eat('*') {
                d = d.checked_mul(&self.power()?)?;
            } else if self.eat('/') {
                d = d.checked_div(&self.power()?)?;
            } else {
                return Some(d);
            }
        }
    }

    fn power(&mut self) -> Option<Dimension> {
        let base = if self.eat('(') {
            self.depth += 1;
            if self.depth > 64 {
                return None;
            }
            let d = self.product()?;
            self.depth -= 1;
            self.eat(')').then_some(d)?
        } else {
            self.name()?
        };
        if self.eat('^') { base.pow(self.exponent()?) } else { Some(base) }
    }

    fn name(&mut self) -> Option<Dimension> {
        let t = self.rest.trim_start();
        if let Some(r) = t.strip_prefix('1') {
            self.rest = r;
            return Some(Dimension::ONE);
        }
        let end = t.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(t.len());
        let (name, rest) = t.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        self.rest = rest;
        if let Some(i) = SI_SYMBOLS.iter().position(|s| *s == name) {
            let mut d = Dimension::ONE;
            d.si[i] = Ratio::ONE;
            return Some(d);
        }
        if let Some((_, d)) = DERIVED.iter().find(|(s, _)| *s == name) {
            return Some(d.clone());
        }
        Some(Dimension::user(name))
    }

    fn exponent(&mut self) -> Option<Ratio> {
        if self.eat('(') {
            let n: i64 = self.number()?.parse().ok()?;
            let d: i64 = if self.eat('/') { self.number()?.parse().ok()? } else { 1 };
            return self.eat(')').then(|| Ratio::new(n, d)).flatten();
        }
        Ratio::from_f64(self.number()?.parse().ok()?)
    }

    fn number(&mut self) -> Option<&'a str> {
        let t = self.rest.trim_start();
        let start = usize::from(t.starts_with('-'));
        let end = t[start..].find(|c: char| !(c.is_ascii_digit() || c == '.')).map_or(t.len(), |i| i + start);
        let (n, rest) = t.split_at(end);
        self.rest = rest;
        (end > start).then_some(n)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn d(text: &str) -> Dimension {
        Dimension::parse(text).unwrap()
    }

    #[test]
    fn prints_as_a_unit_and_reads_back() {
        for text in [
            "1",
            "m/s^2",
            "kg*m/s^2",
            "1/s",
            "m^2.5/s",
            "m^(1/3)",
            "K/(A*mol)",
            "Money/s",
            "s^0.5",
            "1/s^0.5",
        ] {
            assert_eq!(d(text).to_string(), text);
        }
    }

    #[test]
    fn customary_units_are_short() {
        for (base, short) in [
            ("kg*m/s^2", "N"),
            ("kg*m^2/s^2", "J"),
            ("kg*m^2/s^3", "W"),
            ("kg/(m*s^2)", "Pa"),
            ("kg/(m*s)", "Pa*s"),
            ("kg*m^2/(s^3*K)", "W/K"),
            ("kg*m/(s^3*K)", "W/(m*K)"),
            ("kg*m^2/(s^3*A)", "V"),
            ("kg*m^2/(s^3*A^2)", "ohm"),
            ("A*s", "C"),
            ("m^2/s^2", "m^2/s^2"),
            ("kg/m^3", "kg/m^3"),
            ("kg/s", "kg/s"),
            ("kg*m^2", "kg*m^2"),
            ("kg/s^2", "N/m"),
            ("Money*s^2/(kg*m^2)", "Money/J"),
        ] {
            assert_eq!(d(base).customary(), short, "{base}");
            assert_eq!(d(short), d(base), "{short}");
        }
    }

    #[test]
    fn powers_and_roots_are_exact() {
        let v = d("m/s");
        assert_eq!(v.pow(Ratio::int(2).unwrap()).unwrap(), d("m^2/s^2"));
        assert_eq!(d("m^2/s^2").root(2).unwrap(), v);
        assert_eq!(d("m").root(3).unwrap().pow(Ratio::int(3).unwrap()).unwrap(), d("m"));
        assert!(d("m").pow(Ratio::int(10_000).unwrap()).unwrap().pow(Ratio::int(2).unwrap()).is_none());
        assert!(Ratio::new(1, 0).is_none());
    }

    #[test]
    fn user_bases_cancel() {
        let money = Dimension::user("Money");
        assert!(money.checked_div(&money).unwrap().is_one());
        assert_ne!(money, Dimension::ONE);
    }

    #[test]
    fn decimals_become_small_fractions() {
        assert_eq!(Ratio::from_f64(2.5), Ratio::new(5, 2));
        assert_eq!(Ratio::from_f64(1.0 / 3.0), Ratio::new(1, 3));
        assert_eq!(Ratio::from_f64(-0.5), Ratio::new(-1, 2));
        assert_eq!(Ratio::from_f64(f64::NAN), None);
        assert_eq!(Ratio::from_f64(std::f64::consts::PI), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "m/", "m^", "(m", "m)", "2m", "m^(1/0)", "m s"] {
            assert_eq!(Dimension::parse(text), None, "{text}");
        }
    }
}
