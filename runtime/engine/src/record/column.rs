//! The columns of a result and how a row's cells belong to them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::RecordError;

/// What one element of a column is.
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    /// A real in SI; the file holds `(cell - offset) / scale`, the value in the column's unit.
    Real {
        /// SI value of one step of the unit.
        scale: f64,
        /// SI value of the unit's zero: 273.15 for degC, else 0.
        offset: f64,
    },
    /// A truth value, 0 or 1.
    Bool,
    /// An integer, held as an integral real.
    Int,
    /// One of a few words (an enum, a machine's state), held as its index.
    Text(Arc<[String]>),
}

impl Element {
    /// A real that the file holds in SI.
    pub const SI: Element = Element::Real { scale: 1.0, offset: 0.0 };
}

/// One column of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSpec {
    /// The path of the quantity: `tanks[0].h`.
    pub name: String,
    /// What its elements are.
    pub element: Element,
    /// The number of elements of a list column; `None` for a scalar.
    pub list: Option<usize>,
    /// Whether a value may be absent.
    pub nullable: bool,
    /// Whether what is said to be whole may be infinite, or no number: such a value is absent, too.
    pub gaps: bool,
    /// The unit that the values are in: `cm`. `None` for what has no unit.
    pub unit: Option<String>,
    /// The quantity: `Length`.
    pub quantity: Option<String>,
    /// The declaration's doc comment.
    pub description: Option<String>,
}

/// Whether a whole number of a column can be written as one.
pub(super) fn is_whole(cell: f64) -> bool {
    cell.abs() < i64::MAX as f64
}

impl ColumnSpec {
    /// A scalar real in SI without further facts.
    pub fn real(name: impl Into<String>) -> ColumnSpec {
        ColumnSpec::of(name, Element::SI)
    }

    /// A scalar column without further facts.
    pub fn of(name: impl Into<String>, element: Element) -> ColumnSpec {
        ColumnSpec {
            name: name.into(),
            element,
            list: None,
            nullable: false,
            gaps: false,
            unit: None,
            quantity: None,
            description: None,
        }
    }

    /// The same column in a unit.
    #[must_use]
    pub fn in_unit(mut self, unit: impl Into<String>) -> ColumnSpec {
        self.unit = Some(unit.into());
        self
    }

    /// The number of cells of a row that belong to this column.
    pub fn cells(&self) -> usize {
        self.list.unwrap_or(1) + usize::from(self.nullable)
    }
}

/// The columns of one result, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    specs: Vec<ColumnSpec>,
    cells: usize,
}

impl Columns {
    /// Takes the columns in the order of the file.
    ///
    /// # Errors
    ///
    /// [`RecordError::DuplicateColumn`].
    pub fn new(specs: Vec<ColumnSpec>) -> Result<Columns, RecordError> {
        let mut names = BTreeSet::new();
        for spec in &specs {
            if !names.insert(spec.name.as_str()) {
                return Err(RecordError::DuplicateColumn { column: spec.name.clone() });
            }
        }
        let cells = specs.iter().map(ColumnSpec::cells).sum();
        Ok(Columns { specs, cells })
    }

    /// The columns, in order.
    pub fn specs(&self) -> &[ColumnSpec] {
        &self.specs
    }

    /// The number of cells of one row.
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// Each column with the index of its first cell.
    pub fn with_cells(&self) -> impl Iterator<Item = (&ColumnSpec, usize)> {
        let mut at = 0;
        self.specs.iter().map(move |spec| {
            let first = at;
            at += spec.cells();
            (spec, first)
        })
    }
}
