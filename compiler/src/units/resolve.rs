//! From a unit as written to its meaning.

use std::fmt::Write as _;
use std::sync::Arc;

use twinml_model::dimension::{Dimension, Ratio};

use super::{Nature, Scale, Unit, Units};
use crate::ast;
use crate::diag::{Diagnostic, Diagnostics, codes};

impl Units {
    /// The meaning of a unit expression; `None` after a diagnostic.
    ///
    /// A unit with a zero point of its own (`degC`) must stand alone: in a product only the size of
    /// a degree would matter, and that is `K`.
    pub fn resolve(&self, unit: &ast::UnitExpr, diags: &mut Diagnostics) -> Option<Unit> {
        let mut dimension = Dimension::ONE;
        let mut scale = Scale::ONE;
        let mut natures = Vec::new();
        let mut ok = true;
        let alone = matches!(unit.factors.as_slice(), [f] if f.exp == ast::Ratio::ONE);
        for f in &unit.factors {
            let Some((d, s)) = self.lookup(f.name.as_str()) else {
                diags.push(self.unknown(&f.name));
                ok = false;
                continue;
            };
            if s.is_affine() && !alone {
                diags.push(
                    Diagnostic::new(
                        codes::DIFFERENCE_IN_SCALE,
                        f.name.span,
                        format!("`{}` cannot be part of a compound unit", f.name.as_str()),
                    )
                    .here("this is a point on a scale")
                    .help(format!(
                        "for a difference write `K`{}",
                        if s.factor() == 1.0 { "" } else { " (or `degR`)" }
                    )),
                );
                ok = false;
                continue;
            }
            natures.push((self.nature(f.name.as_str()), f.exp, d.clone()));
            let exp = Ratio::new(i64::from(f.exp.num), i64::from(f.exp.den));
            let power = exp.and_then(|e| Some((d.pow(e)?, s.powr(f.exp.num, f.exp.den))));
            let product = power.and_then(|(d, s)| Some((dimension.checked_mul(&d)?, s)));
            match product {
                Some((d, s)) if s.is_sane() => {
                    dimension = d;
                    scale = if alone && f.exp == ast::Ratio::ONE {
                        self.lookup(f.name.as_str())?.1
                    } else {
                        scale.times(s)
                    };
                }
                _ => {
                    diags.push(Diagnostic::new(
                        codes::BAD_UNIT_DEFINITION,
                        f.name.span,
                        "the exponents of this unit are too large",
                    ));
                    ok = false;
                }
            }
        }
        if !scale.is_sane() && ok {
            let message = "the factor of this unit is too large or too small for a number";
            diags.push(Diagnostic::new(codes::BAD_UNIT_DEFINITION, unit.span, message));
            ok = false;
        }
        ok.then(|| Unit {
            nature: nature_of(&natures, &dimension),
            dimension,
            scale,
            text: Arc::from(unit_text(unit)),
        })
    }

    fn unknown(&self, name: &ast::Name) -> Diagnostic {
        let d = Diagnostic::new(codes::UNKNOWN_UNIT, name.span, format!("unknown unit `{}`", name.as_str()));
        let d = d.here("no unit has this name");
        match self.suggestions(name.as_str()).as_slice() {
            [] => d.help("a name after a number is a unit; to multiply by a variable write `*` between them"),
            [one] => d.help(format!("did you mean `{one}`?")),
            many => d.help(format!("did you mean `{}`?", many.join("`, `"))),
        }
    }
}

/// What a product of units says beyond its dimension.
fn nature_of(factors: &[(Nature, ast::Ratio, Dimension)], whole: &Dimension) -> Nature {
    let energy = Dimension::of(2, 1, -2, 0, 0, 0, 0);
    let force = Dimension::of(1, 1, -2, 0, 0, 0, 0);
    if *whole == energy {
        let has = |d: &Dimension| factors.iter().any(|(_, e, f)| f == d && *e == ast::Ratio::ONE);
        return match factors {
            [(n, ..)] => *n,
            _ if has(&force) && has(&Dimension::LENGTH) => Nature::Torque,
            _ if has(&Dimension::of(2, 1, -3, 0, 0, 0, 0)) => Nature::Energy,
            _ => Nature::Plain,
        };
    }
    if *whole == Dimension::FREQUENCY || whole.is_one() {
        return factors
            .iter()
            .find(|(n, e, _)| *n != Nature::Plain && *e == ast::Ratio::ONE)
            .map_or(Nature::Plain, |(n, ..)| *n);
    }
    Nature::Plain
}

/// The unit as text: `kJ/(kg*K)`.
pub fn unit_text(unit: &ast::UnitExpr) -> String {
    let part = |sign: i32| -> Vec<String> {
        let of = unit.factors.iter().filter(|f| f.exp.num.signum() == sign);
        of.map(|f| {
            let mut text = f.name.as_str().to_owned();
            let exp = Ratio::new(i64::from(f.exp.num.abs()), i64::from(f.exp.den));
            if let Some(e) = exp.filter(|e| *e != Ratio::ONE) {
                // Writing into a String cannot fail.
                let _ = write!(text, "^{e}");
            }
            text
        })
        .collect()
    };
    let (top, bottom) = (part(1), part(-1));
    let top = if top.is_empty() { "1".to_owned() } else { top.join("*") };
    match bottom.as_slice() {
        [] => top,
        [one] => format!("{top}/{one}"),
        many => format!("{top}/({})", many.join("*")),
    }
}
