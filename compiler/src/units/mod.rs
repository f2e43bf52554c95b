//! Units of measurement: what every symbol means, and how a unit relates to coherent SI.
//!
//! In: the unit expressions of the tree. Out: a [`Unit`], that is a dimension and a [`Scale`]; or a
//! diagnostic that offers the unit that was likely meant. Values are converted here and nowhere
//! else: from the flat system on every number is in coherent SI.

mod registry;
mod resolve;
mod scale;
mod stated;

pub use registry::{Nature, QUANTITIES, Quantity, Unit, Units, quantity};
pub use resolve::unit_text;
pub use scale::Scale;
pub use stated::heading;
