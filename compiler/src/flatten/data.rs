//! Columns of data files: who reads them, and how they become tables.

use super::Flattener;
use super::scope::{R, Scope, Stop};
use super::walk::{Found, Sub};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir;
use crate::source::{FileId, Span};
use crate::units::Units;
use std::fmt;
use std::rc::Rc;
use twinml_model::dimension::Dimension;
use twinml_model::ids::TableId;
use twinml_model::program::{Outside, Table, TableMethod};
use twinml_model::schema::DisplayUnit;

/// Which column is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataRequest<'a> {
    /// The source file that names the data file; its folder is where to look.
    pub from: FileId,
    /// The file as named.
    pub file: &'a str,
    /// The column as named.
    pub column: &'a str,
}

/// A column's numbers, as written in the file.
pub type Column = Vec<f64>;

/// Why there is no column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DataError {
    /// There is no such file.
    NotFound,
    /// It cannot be read; what the system says.
    Unreadable(String),
    /// The file has other columns.
    NoColumn {
        /// These.
        available: Vec<String>,
    },
    /// A cell is no number.
    NotANumber {
        /// Its row, from 1.
        row: u64,
        /// What stands there.
        text: String,
    },
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataError::NotFound => f.write_str("there is no such file beside the model"),
            DataError::Unreadable(why) => f.write_str(why),
            DataError::NoColumn { available } => write!(f, "its columns are {}", available.join(", ")),
            DataError::NotANumber { row, text } => write!(f, "row {row} holds {text:?}, which is no number"),
        }
    }
}

impl std::error::Error for DataError {}

/// Reads columns of data files (CSV, Parquet) for the compiler.
pub trait DataLoader {
    /// The numbers of a column, row by row.
    ///
    /// # Errors
    ///
    /// Says what is missing.
    fn column(&mut self, request: DataRequest<'_>) -> Result<Column, DataError>;

    /// The unit that the file states for a column, as it stands there, if it does.
    fn unit(&mut self, request: DataRequest<'_>) -> Option<String> {
        let _ = request;
        None
    }
}

/// No data files at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoData;

impl DataLoader for NoData {
    fn column(&mut self, _: DataRequest<'_>) -> Result<Column, DataError> {
        Err(DataError::NotFound)
    }
}

/// What makes two tables one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct TableKey {
    from: FileId,
    file: Rc<str>,
    x: Rc<str>,
    y: Rc<str>,
    units: [u64; 4],
    method: TableMethod,
    outside: Outside,
    of_time: bool,
}

/// Who reads a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reader {
    /// `drive`.
    Drive,
    /// `table`.
    Table,
    /// `~ empirical` of a declaration.
    Declaration,
    /// `draw(empirical(…))`.
    Call,
}

impl Reader {
    fn name(self) -> &'static str {
        match self {
            Reader::Drive => "the drive",
            Reader::Table => "the table",
            Reader::Declaration | Reader::Call => "`empirical`",
        }
    }
}

/// A column whose unit is asked for.
pub(super) struct Reading<'r> {
    /// Who reads it, and where.
    pub by: Reader,
    pub span: Span,
    pub file: &'r str,
    pub column: &'r str,
    /// Of what its numbers become; `None` where units are off, or what has none.
    pub dimension: Option<&'r Dimension>,
    /// The unit that the model says of it.
    pub said: Option<&'r DisplayUnit>,
    /// The one where neither the model nor the file says any.
    pub usual: &'r DisplayUnit,
}

/// A table to be read.
pub(super) struct TableOrder<'s> {
    pub file: &'s Rc<str>,
    pub x: (&'s Rc<str>, &'s DisplayUnit),
    pub y: (&'s Rc<str>, &'s DisplayUnit),
    pub method: TableMethod,
    pub outside: Outside,
    pub of_time: bool,
    pub span: Span,
}

impl<'a> Flattener<'a> {
    /// The table that a member holds, here and now.
    pub(super) fn table_member(&mut self, r: &'a hir::Ref, scope: &Scope<'a>, of_time: bool) -> R<TableId> {
        let Found::Var(slot, subs) = self.walk(r, scope, &[])? else {
            return Err(self.internal(r.span, "a table that is no member"));
        };
        let mut at = Vec::new();
        for s in subs {
            match s {
                Sub::Fixed(a) => at.push(a),
                Sub::Dynamic(..) => {
                    return Err(self.refuse(codes::LATER_DYNAMIC, r.span, "a table chosen during the run"));
                }
            }
        }
        let Some((e, inner, _)) = self.binding_at(&slot, &at, r.span)? else {
            let name = r.steps.last().map_or("table", |s| &*s.name);
            return Err(self.no_value(&slot, name));
        };
        match &e.kind {
            hir::ExprKind::TableFile(t) => {
                let dimensions = if let hir::Type::Table(of) = &e.ty { (**of).clone() } else { (None, None) };
                let usual = DisplayUnit::default();
                let mut unit = |(column, said): &(Rc<str>, Option<DisplayUnit>),
                                dimension: &Option<Dimension>| {
                    self.unit_of_column(&Reading {
                        by: Reader::Table,
                        span: t.span,
                        file: &t.file,
                        column,
                        dimension: dimension.as_ref(),
                        said: said.as_ref(),
                        usual: &usual,
                    })
                };
                let (x, y) = (unit(&t.x, &dimensions.0)?, unit(&t.y, &dimensions.1)?);
                self.table(&TableOrder {
                    file: &t.file,
                    x: (&t.x.0, &x),
                    y: (&t.y.0, &y),
                    method: t.method,
                    outside: t.outside,
                    of_time,
                    span: t.span,
                })
            }
            hir::ExprKind::Member(other) => self.table_member(other, &inner, of_time),
            _ => Err(self.refuse(codes::LATER_DYNAMIC, e.span, "a table of this form")),
        }
    }

    /// Reads a table, once.
    pub(super) fn table(&mut self, o: &TableOrder<'_>) -> R<TableId> {
        let key = TableKey {
            from: o.span.file,
            file: o.file.clone(),
            x: o.x.0.clone(),
            y: o.y.0.clone(),
            units: [o.x.1.scale, o.x.1.offset, o.y.1.scale, o.y.1.offset].map(f64::to_bits),
            method: o.method,
            outside: o.outside,
            of_time: o.of_time,
        };
        if let Some(id) = self.tables.get(&key) {
            return Ok(*id);
        }
        let x = self.column(o.span, o.file, o.x.0, o.x.1)?;
        let y = self.column(o.span, o.file, o.y.0, o.y.1)?;
        if x.len() != y.len() || x.is_empty() {
            let d = Diagnostic::new(
                codes::BAD_DATA,
                o.span,
                format!("`{}` has {} arguments and {} values", o.file, x.len(), y.len()),
            );
            return Err(self.fail(d));
        }
        if let Some(k) = x.windows(2).position(|w| w[0] >= w[1]) {
            let d = Diagnostic::new(
                codes::BAD_DATA,
                o.span,
                format!("the column `{}` of `{}` does not increase", o.x.0, o.file),
            )
            .note(format!(
                "row {} holds {} and row {} holds {} (in SI)",
                k + 1,
                x[k],
                k + 2,
                x[k + 1]
            ));
            return Err(self.fail(d));
        }
        let name = format!("{}: {}", o.file, o.y.0);
        let id = TableId::new(self.system.tables.len());
        self.system.tables.push(Table {
            name,
            x,
            y,
            method: o.method,
            outside: o.outside,
            of_time: o.of_time,
        });
        self.tables.insert(key, id);
        Ok(id)
    }

    /// The unit of a column: what the file states, where it does; what the model says has to be the same, and stands for what is no
    /// unit. The usual one where neither says any.
    pub(super) fn unit_of_column(&mut self, r: &Reading<'_>) -> R<DisplayUnit> {
        let otherwise = r.said.unwrap_or(r.usual).clone();
        let request = DataRequest { from: r.span.file, file: r.file, column: r.column };
        let (Some(text), Some(dimension)) = (self.data.unit(request), r.dimension) else {
            return Ok(otherwise);
        };
        let units = Units::new();
        // What the model shows is what results of its runs say.
        if text == otherwise.symbol {
            return Ok(otherwise);
        }
        let Some(stated) = units.stated(&text) else {
            if r.said.is_some() {
                return Ok(otherwise);
            }
            let message =
                format!("the column `{}` of `{}` is in `{text}`, which is no unit", r.column, r.file);
            let fits = |unit: &&String| units.stated(unit).is_some_and(|u| u.dimension == *dimension);
            let help = match units.suggestions(&text).iter().find(fits) {
                Some(unit) => format!(
                    "did you mean `{unit}`? mend the file, or write the unit behind the column: `in {unit}`"
                ),
                None => "write the unit behind the column in the model: `in …`".to_owned(),
            };
            return Err(self.fail(Diagnostic::new(codes::BAD_DATA, r.span, message).help(help)));
        };
        let unit =
            DisplayUnit { symbol: text.clone(), scale: stated.scale.factor(), offset: stated.scale.offset() };
        let same = (unit.scale, unit.offset) == (otherwise.scale, otherwise.offset);
        let differs = stated.dimension != *dimension;
        let (what, help) = match (r.by, r.said) {
            (Reader::Drive, _) if differs => (
                format!("and what it drives in `{}`", units.show(dimension)),
                String::from("drive what this column measures, or name another column"),
            ),
            // Without a declaration the unit in the model is the only one that says what the numbers are.
            (Reader::Table | Reader::Call, None) if differs => (
                format!("and {} takes a plain number", r.by.name()),
                format!("write the unit behind the column, `\"{}\" in {text}`", r.column),
            ),
            (Reader::Declaration, _) if differs => (
                format!("and what is drawn in `{}`", units.show(dimension)),
                String::from("draw what this column measures, or name another column"),
            ),
            (by, Some(said)) if differs || !same => (
                format!("and {} says `{}`", by.name(), said.symbol),
                match by {
                    Reader::Drive | Reader::Declaration => {
                        String::from("leave `in` out, and the file's own unit counts")
                    }
                    _ if differs => String::from("name another column, or give the unit that this one has"),
                    _ => format!("write `in {text}`, as the file does"),
                },
            ),
            _ => return Ok(unit),
        };
        let message = format!("the column `{}` of `{}` is in `{text}`, {what}", r.column, r.file);
        Err(self.fail(Diagnostic::new(codes::BAD_DATA, r.span, message).help(help)))
    }

    /// The measured values that are drawn from, in SI and in order.
    pub(super) fn samples(&mut self, s: &hir::Samples, span: Span) -> R<Vec<f64>> {
        let dimension = if let hir::Type::Real(d) = &s.ty { d.as_ref() } else { None };
        let unit = self.unit_of_column(&Reading {
            by: if s.declared { Reader::Declaration } else { Reader::Call },
            span,
            file: &s.file,
            column: &s.column,
            dimension,
            said: s.unit.as_ref(),
            usual: &s.usual,
        })?;
        let mut samples = self.column(span, &s.file, &s.column, &unit)?;
        if samples.is_empty() {
            let message = format!("the column `{}` of `{}` holds no number to draw", s.column, s.file);
            return Err(self.fail(Diagnostic::new(codes::BAD_DATA, span, message)));
        }
        samples.sort_by(f64::total_cmp);
        Ok(samples)
    }

    /// A column in SI.
    pub(super) fn column(&mut self, span: Span, file: &str, column: &str, unit: &DisplayUnit) -> R<Vec<f64>> {
        let mut numbers = match self.data.column(DataRequest { from: span.file, file, column }) {
            Ok(c) => c,
            Err(e) => return Err(self.data_error(span, file, column, &e)),
        };
        for (k, x) in numbers.iter_mut().enumerate() {
            *x = *x * unit.scale + unit.offset;
            if !x.is_finite() {
                let d = Diagnostic::new(
                    codes::BAD_DATA,
                    span,
                    format!("row {} of the column `{column}` of `{file}` is no finite number", k + 1),
                );
                return Err(self.fail(d));
            }
        }
        Ok(numbers)
    }

    fn data_error(&mut self, span: Span, file: &str, column: &str, e: &DataError) -> Stop {
        let what = match e {
            DataError::NotFound | DataError::Unreadable(_) => format!("`{file}` cannot be read"),
            DataError::NoColumn { .. } => format!("`{file}` has no column `{column}`"),
            DataError::NotANumber { .. } => format!("the column `{column}` of `{file}` cannot be read"),
        };
        // One bad file is one error, however many read it.
        let why = e.to_string();
        let same = |d: &Diagnostic| d.code == codes::BAD_DATA && d.message == what && d.notes.contains(&why);
        if self.diags.iter().any(same) {
            self.diags.change(0, |d| {
                if same(d) && d.primary.span != span && d.labels.iter().all(|l| l.span != span) {
                    *d = d.clone().label(span, "read here, too");
                }
            });
            return Stop::Fail;
        }
        let mut d = Diagnostic::new(codes::BAD_DATA, span, what.clone()).note(why.clone());
        if let DataError::NoColumn { available } = e {
            let of_time =
                "instants stand in a column `time`, in seconds or in the unit behind its name: `time [min]`";
            match did_you_mean(column, available.iter().map(String::as_str)) {
                Some(help) => d = d.help(help),
                None if column == "time" => d = d.help(of_time),
                None => {}
            }
        }
        self.fail(d)
    }
}
