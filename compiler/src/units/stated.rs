//! Units as data files state them: in the metadata of a column, or behind its name, `h [cm]`.

use super::{Unit, Units};
use crate::ast::{Item, ScenarioItem};
use crate::diag::Diagnostics;
use crate::parser;
use crate::source::FileId;

/// A column's heading: its name, and the unit behind it in brackets, if there is one.
#[must_use]
pub fn heading(text: &str) -> (&str, Option<&str>) {
    match text.trim_end().strip_suffix(']').and_then(|t| t.rsplit_once(" [")) {
        Some((name, unit)) if !unit.is_empty() => (name.trim_end(), Some(unit)),
        _ => (text, None),
    }
}

impl Units {
    /// The meaning of a unit that stands in a file: `cm`, `kJ/(kg*K)`. `None` for what is no unit.
    #[must_use]
    pub fn stated(&self, text: &str) -> Option<Unit> {
        if text.contains(|c: char| c.is_control() || matches!(c, '{' | '}' | '"' | ';' | '#')) {
            return None;
        }
        let mut diags = Diagnostics::new();
        let source = format!("scenario s for T {{ drive x from \"f\" in {text} }}");
        let module = parser::parse(FileId(0), &source, &mut diags);
        let [Item::Scenario(scenario)] = &module.items[..] else { return None };
        let [ScenarioItem::Drive(drive)] = &scenario.items[..] else { return None };
        let written = drive.unit.as_ref()?;
        let whole = (written.span.hi - written.span.lo) as usize == text.len();
        let unit = self.resolve(written, &mut diags).filter(|_| whole)?;
        diags.is_empty().then_some(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_is_a_unit_or_nothing() {
        let units = Units::new();
        let of = |text: &str| units.stated(text).map(|u| (u.scale.factor(), u.scale.offset()));
        assert_eq!(of("cm"), Some((0.01, 0.0)));
        assert_eq!(of("degC"), Some((1.0, 273.15)));
        assert_eq!(of("kJ/(kg*K)"), Some((1000.0, 0.0)));
        for text in ["raw", "", "a b", "m }", "m linear", "m at 3 s", "3"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(heading("h [cm]"), ("h", Some("cm")));
        assert_eq!(heading("cells[3].soc [%]"), ("cells[3].soc", Some("%")));
        assert_eq!(heading("T[3,4]"), ("T[3,4]", None));
        assert_eq!(heading("h"), ("h", None));
    }
}
