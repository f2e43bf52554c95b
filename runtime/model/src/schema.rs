//! What the slots of a program mean to people: paths, shapes, units, ranges.

use crate::ids::{EnumId, OriginId};
use crate::ir::Space;

/// All variables of a program, in declaration order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Schema {
    /// The variables; arrays of instances are one variable.
    pub vars: Vec<Variable>,
    /// Enumerations.
    pub enums: Vec<EnumType>,
}

/// An enumeration: values are stored as 0, 1, 2, ….
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnumType {
    /// Its name.
    pub name: String,
    /// Names of the values in order.
    pub values: Vec<String>,
}

/// The section that declares a variable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// `parameters`
    Parameter,
    /// `inputs`
    Input,
    /// `outputs`
    Output,
    /// `states` with a derivative.
    State,
    /// `states` without.
    Discrete,
    /// `variables`, connector members, and what the compiler added.
    Variable,
}

/// Whole numbers are exact below this in size; what becomes as large is no `Int` any more.
pub const WHOLE: f64 = 9_007_199_254_740_992.0;

/// How a slot's number is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A quantity.
    Real,
    /// An integer.
    Int,
    /// 0 or 1.
    Bool,
    /// Position in an enumeration.
    Enum(EnumId),
}

/// One step of a path: a name with the axes that follow it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Member name.
    pub name: String,
    /// Lengths of the axes written behind it (`tanks[3]`, `q[2, 2]`); empty for a scalar.
    pub axes: Vec<u32>,
}

/// The unit that a person sees: `shown = (si − offset) / scale`.
#[derive(Clone, PartialEq, Debug)]
pub struct DisplayUnit {
    /// As printed, e.g. `kW`, `degC`, empty for plain numbers.
    pub symbol: String,
    /// SI value of one unit.
    pub scale: f64,
    /// SI value of zero (273.15 for `degC`).
    pub offset: f64,
}

impl Default for DisplayUnit {
    fn default() -> Self {
        Self { symbol: String::new(), scale: 1.0, offset: 0.0 }
    }
}

/// A variable: a scalar or an array of slots, element `k` (row-major over all axes of the path) at
/// `base + k`.
#[derive(Clone, PartialEq, Debug)]
pub struct Variable {
    /// The path.
    pub path: Vec<Segment>,
    /// Which section declares it.
    pub role: Role,
    /// How to read it.
    pub kind: Kind,
    /// Where the values are.
    pub space: Space,
    /// First slot.
    pub base: u32,
    /// Number of slots: the product of all axes.
    pub len: u32,
    /// What people see.
    pub unit: DisplayUnit,
    /// The coherent SI unit, for `--si` and messages (`m/s^2`).
    pub si_unit: String,
    /// Named quantity (`Temperature`), where declared so.
    pub quantity: Option<String>,
    /// The doc comment.
    pub description: Option<String>,
    /// Typical magnitude in SI, for scaling; 1 where unknown.
    pub nominal: f64,
    /// The declaration.
    pub origin: OriginId,
    /// Allowed range in SI, for reports (`where`).
    pub range: Option<(f64, f64)>,
}

impl Variable {
    /// `tanks[*].h`: the path with a star for each axis.
    #[must_use]
    pub fn template(&self) -> String {
        self.render(|_, out| out.push('*'))
    }

    /// The path of element `k`: `tanks[2].h[0,1]`.
    #[must_use]
    pub fn element_path(&self, k: u32) -> String {
        let mut rest = k;
        let axes: Vec<u32> = self.path.iter().flat_map(|s| s.axes.iter().copied()).collect();
        let mut at = vec![0; axes.len()];
        for (a, &len) in axes.iter().enumerate().rev() {
            at[a] = rest % len.max(1);
            rest /= len.max(1);
        }
        self.render(|n, out| out.push_str(&at[n].to_string()))
    }

    fn render(&self, mut axis: impl FnMut(usize, &mut String)) -> String {
        let mut out = String::new();
        let mut n = 0;
        for (k, segment) in self.path.iter().enumerate() {
            if k > 0 {
                out.push('.');
            }
            out.push_str(&segment.name);
            for a in 0..segment.axes.len() {
                out.push_str(if a == 0 { "[" } else { "," });
                axis(n, &mut out);
                n += 1;
            }
            if !segment.axes.is_empty() {
                out.push(']');
            }
        }
        out
    }
}
