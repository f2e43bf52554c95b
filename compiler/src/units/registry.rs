//! The units that every model knows, and those that a model adds.

use std::f64::consts::PI;
use std::sync::Arc;

use crate::map::IndexMap;
use twinml_model::dimension::Dimension;

use super::Scale;

/// A unit: what it measures and how it relates to coherent SI.
#[derive(Clone, PartialEq, Debug)]
pub struct Unit {
    /// What is measured.
    pub dimension: Dimension,
    /// The map to coherent SI.
    pub scale: Scale,
    /// What kind of `1/s` or `N*m` this is, where the spelling tells.
    pub nature: Nature,
    /// As written by the modeller: `km/h`. Shown in results and messages.
    pub text: Arc<str>,
}

/// What a dimension alone does not tell: `rpm` is angular, `Hz` counts cycles.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Nature {
    /// Nothing beyond the dimension.
    #[default]
    Plain,
    /// An angle or an angular velocity (`rad/s`, `rpm`, `deg`).
    Angular,
    /// Cycles per second (`Hz`).
    Cyclic,
    /// A torque, written `N*m`.
    Torque,
    /// An energy (`J`, `kWh`).
    Energy,
}

struct Def {
    names: &'static [&'static str],
    dim: Dimension,
    scale: Scale,
    /// 0: takes no prefix; 1: takes metric prefixes.
    prefixed: bool,
}

const fn si(names: &'static [&'static str], dim: Dimension) -> Def {
    Def { names, dim, scale: Scale::ONE, prefixed: true }
}

const fn of(names: &'static [&'static str], dim: Dimension, num: f64, den: f64) -> Def {
    Def { names, dim, scale: Scale::ratio(num, den), prefixed: false }
}

const fn pre(names: &'static [&'static str], dim: Dimension, num: f64, den: f64) -> Def {
    Def { names, dim, scale: Scale::ratio(num, den), prefixed: true }
}

const LENGTH: Dimension = Dimension::LENGTH;
const AREA: Dimension = Dimension::of(2, 0, 0, 0, 0, 0, 0);
const VOLUME: Dimension = Dimension::of(3, 0, 0, 0, 0, 0, 0);
const SPEED: Dimension = Dimension::of(1, 0, -1, 0, 0, 0, 0);
const MASS: Dimension = Dimension::MASS;
const TIME: Dimension = Dimension::TIME;
const FORCE: Dimension = Dimension::of(1, 1, -2, 0, 0, 0, 0);
const PRESSURE: Dimension = Dimension::of(-1, 1, -2, 0, 0, 0, 0);
const ENERGY: Dimension = Dimension::of(2, 1, -2, 0, 0, 0, 0);
const POWER: Dimension = Dimension::of(2, 1, -3, 0, 0, 0, 0);
const CHARGE: Dimension = Dimension::of(0, 0, 1, 1, 0, 0, 0);
const ONE: Dimension = Dimension::ONE;

/// Definitions: the SI Brochure (9th edition, 2019, with the 2022 prefixes), tables 1, 4, 7 and 8;
/// NIST SP 811 (2008), appendix B, for the others. Exact values throughout, as whole numbers over
/// whole numbers, except `au`-like measured ones (Da).
const UNITS: &[Def] = &[
    // base and named derived units of the SI
    si(&["m"], LENGTH),
    pre(&["g"], MASS, 1.0, 1000.0),
    si(&["s"], TIME),
    si(&["A"], Dimension::CURRENT),
    si(&["K"], Dimension::TEMPERATURE),
    si(&["mol"], Dimension::AMOUNT),
    si(&["cd"], Dimension::LUMINOUS_INTENSITY),
    si(&["rad"], ONE),
    si(&["sr"], ONE),
    si(&["Hz"], Dimension::FREQUENCY),
    si(&["N"], FORCE),
    si(&["Pa"], PRESSURE),
    si(&["J"], ENERGY),
    si(&["W"], POWER),
    si(&["VA", "var"], POWER),
    si(&["C"], CHARGE),
    si(&["V"], Dimension::of(2, 1, -3, -1, 0, 0, 0)),
    si(&["F"], Dimension::of(-2, -1, 4, 2, 0, 0, 0)),
    si(&["ohm", "Ohm", "Ω", "\u{2126}"], Dimension::of(2, 1, -3, -2, 0, 0, 0)),
    si(&["S"], Dimension::of(-2, -1, 3, 2, 0, 0, 0)),
    si(&["Wb"], Dimension::of(2, 1, -2, -1, 0, 0, 0)),
    si(&["T"], Dimension::of(0, 1, -2, -1, 0, 0, 0)),
    si(&["H"], Dimension::of(2, 1, -2, -2, 0, 0, 0)),
    si(&["lm"], Dimension::LUMINOUS_INTENSITY),
    si(&["lx"], Dimension::of(-2, 0, 0, 0, 0, 0, 1)),
    si(&["Bq"], Dimension::FREQUENCY),
    si(&["Gy", "Sv"], Dimension::of(2, 0, -2, 0, 0, 0, 0)),
    si(&["kat"], Dimension::of(0, 0, -1, 0, 0, 1, 0)),
    // accepted for use with the SI
    of(&["min", "minute", "minutes"], TIME, 60.0, 1.0),
    of(&["h", "hr", "hour", "hours"], TIME, 3600.0, 1.0),
    of(&["d", "day", "days"], TIME, 86_400.0, 1.0),
    of(&["week", "weeks"], TIME, 604_800.0, 1.0),
    // The Julian year, as astronomy and hydrology use it.
    of(&["yr", "year", "years"], TIME, 31_557_600.0, 1.0),
    of(&["second", "seconds"], TIME, 1.0, 1.0),
    pre(&["L", "l"], VOLUME, 1.0, 1000.0),
    pre(&["t"], MASS, 1000.0, 1.0),
    pre(&["bar"], PRESSURE, 1e5, 1.0),
    pre(&["eV"], ENERGY, 1.602_176_634e-19, 1.0),
    pre(&["Wh"], ENERGY, 3600.0, 1.0),
    pre(&["Ah"], CHARGE, 3600.0, 1.0),
    of(&["ha"], AREA, 1e4, 1.0),
    of(&["au"], LENGTH, 149_597_870_700.0, 1.0),
    of(&["Da"], MASS, 1.660_539_068_92e-27, 1.0),
    of(&["%", "percent"], ONE, 1.0, 100.0),
    of(&["permille", "‰"], ONE, 1.0, 1000.0),
    of(&["ppm"], ONE, 1.0, 1e6),
    of(&["ppb"], ONE, 1.0, 1e9),
    Def { names: &["deg", "°"], dim: ONE, scale: Scale::irrational(1.0, 180.0, PI), prefixed: false },
    Def { names: &["arcmin"], dim: ONE, scale: Scale::irrational(1.0, 10_800.0, PI), prefixed: false },
    Def { names: &["arcsec"], dim: ONE, scale: Scale::irrational(1.0, 648_000.0, PI), prefixed: false },
    Def { names: &["rev", "turn"], dim: ONE, scale: Scale::irrational(2.0, 1.0, PI), prefixed: false },
    Def {
        names: &["rpm"],
        dim: Dimension::FREQUENCY,
        scale: Scale::irrational(1.0, 30.0, PI),
        prefixed: false,
    },
    Def {
        names: &["degC", "°C"],
        dim: Dimension::TEMPERATURE,
        scale: Scale::affine(100.0, 27_315.0, 100.0),
        prefixed: false,
    },
    Def {
        names: &["degF", "°F"],
        dim: Dimension::TEMPERATURE,
        scale: Scale::affine(500.0, 229_835.0, 900.0),
        prefixed: false,
    },
    of(&["degR"], Dimension::TEMPERATURE, 5.0, 9.0),
    // other metric
    of(&["angstrom", "Å"], LENGTH, 1.0, 1e10),
    of(&["micron"], LENGTH, 1.0, 1e6),
    of(&["atm"], PRESSURE, 101_325.0, 1.0),
    of(&["torr", "Torr"], PRESSURE, 101_325.0, 760.0),
    of(&["mmHg"], PRESSURE, 133_322_387_415.0, 1e9),
    of(&["mH2O"], PRESSURE, 980_665.0, 100.0),
    of(&["kgf", "kp"], FORCE, 980_665.0, 1e5),
    of(&["dyn"], FORCE, 1.0, 1e5),
    of(&["erg"], ENERGY, 1.0, 1e7),
    pre(&["cal"], ENERGY, 4184.0, 1000.0),
    pre(&["P"], Dimension::of(-1, 1, -1, 0, 0, 0, 0), 1.0, 10.0),
    pre(&["St"], Dimension::of(2, 0, -1, 0, 0, 0, 0), 1.0, 1e4),
    of(&["gauss"], Dimension::of(0, 1, -2, -1, 0, 0, 0), 1.0, 1e4),
    of(&["carat", "ct"], MASS, 2.0, 1e4),
    pre(&["M"], Dimension::of(-3, 0, 0, 0, 0, 1, 0), 1000.0, 1.0),
    // imperial and US customary
    of(&["inch", "inches"], LENGTH, 254.0, 1e4),
    of(&["mil", "thou"], LENGTH, 254.0, 1e7),
    of(&["ft", "foot", "feet"], LENGTH, 3048.0, 1e4),
    of(&["yd", "yard"], LENGTH, 9144.0, 1e4),
    of(&["mi", "mile", "miles"], LENGTH, 1_609_344.0, 1000.0),
    of(&["nmi"], LENGTH, 1852.0, 1.0),
    of(&["mph"], SPEED, 44_704.0, 1e5),
    of(&["kn", "knot"], SPEED, 1852.0, 3600.0),
    of(&["acre"], AREA, 40_468_564_224.0, 1e7),
    of(&["gal", "gallon"], VOLUME, 3_785_411_784.0, 1e12),
    of(&["qt"], VOLUME, 946_352_946.0, 1e12),
    of(&["floz"], VOLUME, 295_735_295_625.0, 1e16),
    of(&["bbl"], VOLUME, 158_987_294_928.0, 1e12),
    of(&["gpm"], Dimension::of(3, 0, -1, 0, 0, 0, 0), 3_785_411_784.0, 6e13),
    of(&["cfm"], Dimension::of(3, 0, -1, 0, 0, 0, 0), 28_316_846_592.0, 6e13),
    of(&["lb", "lbs", "lbm"], MASS, 45_359_237.0, 1e8),
    of(&["oz"], MASS, 45_359_237.0, 1.6e9),
    of(&["slug"], MASS, 4_448_221_615_260.5, 304_800_000_000.0),
    of(&["lbf"], FORCE, 44_482_216_152_605.0, 1e13),
    of(&["psi"], PRESSURE, 44_482_216_152_605.0, 6_451_600_000.0),
    of(&["ksi"], PRESSURE, 44_482_216_152_605.0, 6_451_600.0),
    of(&["inHg"], PRESSURE, 3_386_389.0, 1000.0),
    of(&["BTU", "Btu"], ENERGY, 105_505_585_262.0, 1e8),
    of(&["therm"], ENERGY, 105_505_585_262.0, 1000.0),
    of(&["hp"], POWER, 74_569_987_158_227_022.0, 1e14),
];

/// Metric prefixes and their powers of ten.
const PREFIXES: &[(&str, i32)] = &[
    ("da", 1),
    ("Q", 30),
    ("R", 27),
    ("Y", 24),
    ("Z", 21),
    ("E", 18),
    ("P", 15),
    ("T", 12),
    ("G", 9),
    ("M", 6),
    ("k", 3),
    ("h", 2),
    ("d", -1),
    ("c", -2),
    ("m", -3),
    ("u", -6),
    ("µ", -6),
    ("μ", -6),
    ("n", -9),
    ("p", -12),
    ("f", -15),
    ("a", -18),
    ("z", -21),
    ("y", -24),
    ("r", -27),
    ("q", -30),
];

/// The units of one compilation: the built-in ones and those declared with `unit`.
#[derive(Clone, Debug, Default)]
pub struct Units {
    own: IndexMap<Arc<str>, (Dimension, Scale)>,
    bases: IndexMap<Arc<str>, Arc<str>>,
}

impl Units {
    /// The built-in units only.
    pub fn new() -> Units {
        Units::default()
    }

    /// Adds `unit name` with its meaning. `false` when the name already means a unit.
    pub fn declare(&mut self, name: &str, dimension: Dimension, scale: Scale) -> bool {
        if self.lookup(name).is_some() {
            return false;
        }
        self.own.insert(Arc::from(name), (dimension, scale));
        true
    }

    /// Says that `unit` is the coherent unit of the user's base dimension `dimension`, so that
    /// messages print `EUR` and not `Money`. The first one stays.
    pub fn name_base(&mut self, dimension: &str, unit: &str) {
        self.bases.entry(Arc::from(dimension)).or_insert_with(|| Arc::from(unit));
    }

    /// Whether a base dimension already has its coherent unit.
    pub fn base_unit(&self, dimension: &str) -> Option<&str> {
        self.bases.get(dimension).map(|s| &**s)
    }

    /// The unit that `symbol` is, with any metric prefix. Exact names win over prefixed ones, so
    /// `cd` is the candela and `min` the minute.
    pub fn lookup(&self, symbol: &str) -> Option<(Dimension, Scale)> {
        if let Some((d, s)) = self.own.get(symbol) {
            return Some((d.clone(), *s));
        }
        if let Some(def) = UNITS.iter().find(|u| u.names.contains(&symbol)) {
            return Some((def.dim.clone(), def.scale));
        }
        PREFIXES.iter().find_map(|(p, e)| {
            let rest = symbol.strip_prefix(p)?;
            let def = UNITS.iter().find(|u| u.prefixed && u.names.contains(&rest))?;
            Some((def.dim.clone(), Scale::power_of_ten(*e).times(def.scale)))
        })
    }

    /// What `symbol` alone tells beyond its dimension.
    pub fn nature(&self, symbol: &str) -> Nature {
        match symbol {
            "rad" | "deg" | "°" | "rpm" | "rev" | "turn" | "arcmin" | "arcsec" | "mrad" => Nature::Angular,
            "BTU" | "Btu" | "therm" | "erg" => Nature::Energy,
            _ if symbol.ends_with("Hz") || symbol.ends_with("Bq") => Nature::Cyclic,
            _ => {
                let energy = |s: &str| matches!(s, "J" | "Wh" | "eV" | "cal");
                let bare = PREFIXES.iter().find_map(|(p, _)| symbol.strip_prefix(p).filter(|r| energy(r)));
                if energy(symbol) || bare.is_some() { Nature::Energy } else { Nature::Plain }
            }
        }
    }

    /// Known symbols that look like `name`, best first, at most three.
    pub fn suggestions(&self, name: &str) -> Vec<String> {
        const BY_WORD: &[(&str, &str)] = &[
            ("meter", "m"),
            ("meters", "m"),
            ("metre", "m"),
            ("metres", "m"),
            ("sec", "s"),
            ("secs", "s"),
            ("msec", "ms"),
            ("usec", "us"),
            ("mins", "min"),
            ("hrs", "h"),
            ("celsius", "degC"),
            ("Celsius", "degC"),
            ("kelvin", "K"),
            ("Kelvin", "K"),
            ("fahrenheit", "degF"),
            ("Fahrenheit", "degF"),
            ("degK", "K"),
            ("liter", "L"),
            ("litre", "L"),
            ("liters", "L"),
            ("gram", "g"),
            ("kilogram", "kg"),
            ("Kg", "kg"),
            ("KG", "kg"),
            ("newton", "N"),
            ("Newton", "N"),
            ("pascal", "Pa"),
            ("Pascal", "Pa"),
            ("joule", "J"),
            ("Joule", "J"),
            ("watt", "W"),
            ("Watt", "W"),
            ("volt", "V"),
            ("Volt", "V"),
            ("amp", "A"),
            ("amps", "A"),
            ("ampere", "A"),
            ("hertz", "Hz"),
            ("hz", "Hz"),
            ("HZ", "Hz"),
            ("degrees", "deg"),
            ("degree", "deg"),
            ("radian", "rad"),
            ("radians", "rad"),
            ("RPM", "rpm"),
            ("KW", "kW"),
            ("Kw", "kW"),
            ("kwh", "kWh"),
            ("KWh", "kWh"),
            ("BAR", "bar"),
            ("Bar", "bar"),
            ("tonne", "t"),
            ("ton", "t"),
            ("in", "inch"),
            ("PSI", "psi"),
            ("pct", "%"),
        ];
        if let Some((_, unit)) = BY_WORD.iter().find(|(w, _)| *w == name) {
            return vec![(*unit).to_owned()];
        }
        // `m2`: a power without its sign.
        let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
        if base.len() < name.len() && self.lookup(base).is_some() {
            return vec![format!("{base}^{}", &name[base.len()..])];
        }
        let mut found: Vec<(usize, String)> = Vec::new();
        let mut offer = |symbol: String| {
            let d = crate::diag::edit_distance(name, &symbol);
            let limit = if name.chars().count() <= 2 { 1 } else { name.chars().count() / 3 + 1 };
            let case = name.eq_ignore_ascii_case(&symbol);
            if case {
                found.push((0, symbol));
            } else if d <= limit && symbol.chars().count() > 1 {
                found.push((d, symbol));
            }
        };
        for n in self.own.keys() {
            offer(n.to_string());
        }
        for def in UNITS {
            for n in def.names {
                offer((*n).to_owned());
                if def.prefixed {
                    for (p, _) in PREFIXES {
                        if matches!(*p, "k" | "M" | "G" | "m" | "u" | "n" | "c" | "h") {
                            offer(format!("{p}{n}"));
                        }
                    }
                }
            }
        }
        found.sort_by_key(|(d, _)| *d);
        found.dedup_by(|a, b| a.1 == b.1);
        found.into_iter().take(3).map(|(_, s)| s).collect()
    }

    /// A dimension as a person writes its coherent unit, with the model's own units by their names.
    pub fn show(&self, d: &Dimension) -> String {
        let mut text = d.customary();
        for (base, unit) in &self.bases {
            if d.user_bases().any(|(n, _)| n == &**base) {
                text = replace_word(&text, base, unit);
            }
        }
        text
    }
}

fn replace_word(text: &str, word: &str, by: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::new();
    let mut rest = text;
    while let Some(i) = rest.find(word) {
        let before = rest[..i].chars().next_back().is_some_and(is_word);
        let after = rest[i + word.len()..].chars().next().is_some_and(is_word);
        out.push_str(&rest[..i]);
        out.push_str(if before || after { word } else { by });
        rest = &rest[i + word.len()..];
    }
    out.push_str(rest);
    out
}

/// A named quantity of the prelude.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Quantity {
    /// The type's name.
    pub name: &'static str,
    /// Its coherent unit, as shown.
    pub unit: &'static str,
    /// What the dimension does not tell.
    pub nature: Nature,
}

impl Quantity {
    /// Its dimension.
    pub fn dimension(&self) -> Dimension {
        // Every entry of the table is parsed by a test.
        parse_coherent(self.unit).unwrap_or(Dimension::ONE)
    }
}

/// The dimension of a product of coherent units (`N*m/rad`).
fn parse_coherent(text: &str) -> Option<Dimension> {
    Dimension::parse(&text.replace("rad", "1").replace("Hz", "s^-1"))
}

macro_rules! quantities {
    ($($name:literal $unit:literal $($nature:ident)?;)*) => {
        &[$(Quantity { name: $name, unit: $unit, nature: quantities!(@ $($nature)?) }),*]
    };
    (@) => { Nature::Plain };
    (@ $n:ident) => { Nature::$n };
}

/// The named quantities of the prelude with their coherent units (ISO 80000 names).
pub const QUANTITIES: &[Quantity] = quantities! {
    "Length" "m"; "Distance" "m"; "Mass" "kg"; "Time" "s"; "Duration" "s"; "Current" "A";
    "Temperature" "K"; "TemperatureDifference" "K"; "Amount" "mol"; "LuminousIntensity" "cd";
    "Area" "m^2"; "Volume" "m^3"; "Velocity" "m/s"; "Speed" "m/s"; "Acceleration" "m/s^2"; "Jerk" "m/s^3";
    "Angle" "rad" Angular; "SolidAngle" "1"; "AngularVelocity" "rad/s" Angular;
    "AngularAcceleration" "rad/s^2" Angular; "Frequency" "1/s" Cyclic; "Rate" "1/s";
    "Force" "N"; "Torque" "N*m" Torque; "Pressure" "Pa"; "Stress" "Pa"; "Energy" "J" Energy;
    "Work" "J" Energy; "Heat" "J" Energy; "Power" "W"; "HeatFlow" "W";
    "Density" "kg/m^3"; "SpecificVolume" "m^3/kg"; "MassFlow" "kg/s"; "VolumeFlow" "m^3/s"; "MolarFlow" "mol/s";
    "Momentum" "kg*m/s"; "AngularMomentum" "kg*m^2/s"; "MomentOfInertia" "kg*m^2"; "Inertia" "kg*m^2";
    "Stiffness" "N/m"; "Damping" "N*s/m"; "TorsionalStiffness" "N*m/rad"; "TorsionalDamping" "N*m*s/rad";
    "Viscosity" "Pa*s"; "DynamicViscosity" "Pa*s"; "KinematicViscosity" "m^2/s"; "SurfaceTension" "N/m";
    "HeatFlux" "W/m^2"; "Irradiance" "W/m^2"; "HeatCapacity" "J/K"; "Entropy" "J/K";
    "SpecificHeatCapacity" "J/(kg*K)"; "SpecificEntropy" "J/(kg*K)"; "SpecificEnergy" "J/kg";
    "SpecificEnthalpy" "J/kg"; "Enthalpy" "J"; "ThermalConductance" "W/K"; "ThermalResistance" "K/W";
    "ThermalConductivity" "W/(m*K)"; "HeatTransferCoefficient" "W/(m^2*K)"; "ThermalDiffusivity" "m^2/s";
    "Diffusivity" "m^2/s"; "MolarMass" "kg/mol"; "Concentration" "mol/m^3"; "MolarEnergy" "J/mol";
    "MolarHeatCapacity" "J/(mol*K)"; "ReactionRate" "mol/(m^3*s)"; "CatalyticActivity" "kat";
    "Voltage" "V"; "ElectricPotential" "V"; "Charge" "C"; "Resistance" "ohm"; "Conductance" "S";
    "Capacitance" "F"; "Inductance" "H"; "MagneticFlux" "Wb"; "MagneticFluxDensity" "T";
    "ElectricField" "V/m"; "MagneticField" "A/m"; "CurrentDensity" "A/m^2"; "Resistivity" "ohm*m";
    "Conductivity" "S/m"; "Permittivity" "F/m"; "Permeability" "H/m";
    "LuminousFlux" "cd"; "Illuminance" "lx"; "AbsorbedDose" "m^2/s^2"; "Radioactivity" "1/s" Cyclic;
    "Wavenumber" "1/m"; "Permeance" "kg/(Pa*s)"; "Ratio" "1"; "Efficiency" "1"; "Dimensionless" "1";
};

/// The quantity type called `name`.
pub fn quantity(name: &str) -> Option<&'static Quantity> {
    QUANTITIES.iter().find(|q| q.name == name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_quantity_has_a_dimension() {
        for q in QUANTITIES {
            assert!(parse_coherent(q.unit).is_some(), "{}", q.name);
        }
    }

    #[test]
    fn symbols_mean_one_thing() {
        let mut seen = std::collections::BTreeSet::new();
        for u in UNITS {
            for n in u.names {
                assert!(seen.insert(*n), "{n} twice");
                assert!(u.scale.is_sane(), "{n}");
            }
        }
    }

    #[test]
    fn prefixes_and_exact_names() {
        let u = Units::new();
        let f = |s: &str| u.lookup(s).map(|(d, s)| (d.to_string(), s.factor()));
        let is = |s: &str, d: &str, v: f64| assert_eq!(f(s), Some((d.to_owned(), v)), "{s}");
        is("mm", "m", 1e-3);
        is("kg", "kg", 1.0);
        is("mg", "kg", 1e-6);
        is("cd", "cd", 1.0);
        is("min", "s", 60.0);
        is("mbar", "kg/(m*s^2)", 100.0);
        is("kWh", "kg*m^2/s^2", 3.6e6);
        is("MJ", "kg*m^2/s^2", 1e6);
        is("ft", "m", 0.3048);
        is("psi", "kg/(m*s^2)", 6_894.757_293_168_362);
        is("mmol", "mol", 1e-3);
        is("%", "1", 0.01);
        is("um", "m", 1e-6);
        is("hp", "kg*m^2/s^3", 745.699_871_582_270_2);
        assert_eq!(f("bogus"), None);
        assert_eq!(f("kmin"), None);
        assert_eq!(f("kft"), None);
    }

    #[test]
    fn unknown_units_get_an_offer() {
        let u = Units::new();
        assert_eq!(u.suggestions("metres"), ["m"]);
        assert_eq!(u.suggestions("celsius"), ["degC"]);
        assert_eq!(u.suggestions("degc")[0], "degC");
        assert_eq!(u.suggestions("kpa")[0], "kPa");
    }

    #[test]
    fn own_units() {
        let mut u = Units::new();
        assert!(u.declare("EUR", Dimension::user("Money"), Scale::ONE));
        u.name_base("Money", "EUR");
        assert!(!u.declare("m", Dimension::user("Money"), Scale::ONE));
        let d = Dimension::user("Money").checked_div(&Dimension::parse("J").unwrap()).unwrap();
        assert_eq!(u.show(&d), "EUR/J");
    }
}
