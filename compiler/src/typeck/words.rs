//! The modeller's words: how a type, a dimension or an operand is called in a message.

use twinml_model::dimension::Dimension;

use crate::units::{Nature, QUANTITIES, Units};

/// `AngularVelocity` as `angular velocity`; names of the model's own stay as they are.
pub(super) fn quantity_word(name: &str) -> String {
    if !QUANTITIES.iter().any(|q| q.name == name) {
        return format!("`{name}`");
    }
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// `an` before a vowel.
pub(super) fn article(word: &str) -> &'static str {
    let bare = word.trim_start_matches('`');
    if bare.starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']) { "an" } else { "a" }
}

/// What a dimension is usually called, where one name stands out: `force`, `pressure`.
pub(super) fn dimension_word(d: &Dimension, nature: Nature) -> Option<String> {
    const COMMON: [&str; 46] = [
        "Length",
        "Mass",
        "Time",
        "Current",
        "Temperature",
        "Amount",
        "LuminousIntensity",
        "Area",
        "Volume",
        "Velocity",
        "Acceleration",
        "Force",
        "Pressure",
        "Power",
        "Density",
        "MassFlow",
        "VolumeFlow",
        "MolarFlow",
        "Viscosity",
        "HeatFlux",
        "HeatCapacity",
        "ThermalConductance",
        "ThermalResistance",
        "ThermalConductivity",
        "Voltage",
        "Charge",
        "Resistance",
        "Conductance",
        "Capacitance",
        "Inductance",
        "MagneticFlux",
        "MagneticFluxDensity",
        "SpecificHeatCapacity",
        "HeatTransferCoefficient",
        "Concentration",
        "MolarMass",
        "Momentum",
        "MomentOfInertia",
        "MolarEnergy",
        "MolarHeatCapacity",
        "ElectricField",
        "CurrentDensity",
        "Stiffness",
        "Damping",
        "AngularMomentum",
        "ReactionRate",
    ];
    if d.is_one() {
        return Some(if nature == Nature::Angular { "angle".into() } else { "plain number".into() });
    }
    if let (Some((name, twinml_model::dimension::Ratio::ONE)), true) =
        (d.user_bases().next(), d.si().iter().all(|r| r.is_zero()))
        && d.user_bases().count() == 1
    {
        return Some(format!("`{name}`"));
    }
    if *d == Dimension::FREQUENCY {
        return match nature {
            Nature::Angular => Some("angular velocity".into()),
            Nature::Cyclic => Some("frequency".into()),
            _ => None,
        };
    }
    if *d == Dimension::of(2, 1, -2, 0, 0, 0, 0) {
        return Some(if nature == Nature::Torque { "torque".into() } else { "energy".into() });
    }
    COMMON
        .iter()
        .find(|n| crate::units::quantity(n).is_some_and(|q| q.dimension() == *d))
        .map(|n| quantity_word(n))
}

/// `force [N]`, `torque [N*m]`, `quantity in [kg/s^2]`, `plain number`.
pub(super) fn describe(
    units: &Units,
    d: &Dimension,
    nature: Nature,
    quantity: Option<&str>,
    unit: Option<&str>,
) -> String {
    let word = quantity.map(quantity_word).or_else(|| dimension_word(d, nature));
    let unit = match unit {
        Some(u) if !u.is_empty() => u.to_owned(),
        _ if quantity.and_then(crate::units::quantity).is_some_and(|q| q.unit != "1") => {
            quantity.and_then(crate::units::quantity).map_or_else(String::new, |q| q.unit.to_owned())
        }
        _ if nature == Nature::Torque && *d == Dimension::of(2, 1, -2, 0, 0, 0, 0) => "N*m".to_owned(),
        _ => units.show(d),
    };
    match word {
        Some(w) if d.is_one() && unit == "1" => w,
        Some(w) => format!("{w} [{unit}]"),
        None => format!("quantity in [{unit}]"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let u = Units::new();
        let d = |t: &str| Dimension::parse(t).unwrap();
        let say = |t: &str| describe(&u, &d(t), Nature::Plain, None, None);
        assert_eq!(say("N"), "force [N]");
        assert_eq!(say("1"), "plain number");
        assert_eq!(say("kg/s^4"), "quantity in [kg/s^4]");
        assert_eq!(describe(&u, &d("J"), Nature::Torque, Some("Torque"), None), "torque [N*m]");
        assert_eq!(
            describe(&u, &d("1/s"), Nature::Angular, Some("AngularVelocity"), Some("rpm")),
            "angular velocity [rpm]"
        );
        assert_eq!(article("angle"), "an");
    }
}
