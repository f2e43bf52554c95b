//! Pictures of results: SVG that stands alone, the same as PNG, and HTML that can also be zoomed.
//!
//! In: a result file. Out: text. Quantities of one kind share a panel, all panels share the time axis. However many
//! samples there are, each series keeps the first, lowest, highest and last of every slice of time, so no peak is
//! lost and the picture stays small. Nothing is fetched from anywhere: styles and script are in the file.

pub(crate) mod axis;
mod data;
pub(crate) mod grid;
mod html;
mod panel;
mod png;
mod svg;

use std::path::Path;

use twinml_engine::data::{DataError, Frame};
use twinml_engine::record::Thinned;

pub use data::Series;

/// What a picture shows beside the curves.
#[derive(Debug, Clone, Default)]
pub struct Caption {
    /// The heading.
    pub title: String,
    /// A line below it.
    pub subtitle: String,
}

/// The kinds of picture.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A vector picture.
    Svg,
    /// Pixels.
    Png,
    /// A page.
    Html,
}

impl Kind {
    /// The kind that a file's extension asks for.
    ///
    /// # Errors
    ///
    /// What would help.
    pub fn of(out: &Path) -> Result<Kind, &'static str> {
        match out.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("svg") => Ok(Kind::Svg),
            Some("html" | "htm") => Ok(Kind::Html),
            Some("png") => Ok(Kind::Png),
            _ => Err("use .svg, .png or .html"),
        }
    }
}

/// A picture that can be written as SVG or HTML.
#[derive(Debug)]
pub struct Plot {
    caption: Caption,
    panels: Vec<panel::Panel>,
    time: axis::TimeAxis,
    /// Parameters that keep their values: said in a line instead of drawn.
    constants: Vec<String>,
    /// Columns that are not shown, and why.
    pub left_out: Vec<String>,
}

impl Plot {
    /// Draws the columns of a result that `wanted` accepts.
    ///
    /// # Errors
    ///
    /// What the file says about its columns; no `time` column, no row, no column left.
    pub fn of(frame: &Frame, caption: Caption, wanted: impl Fn(&str) -> bool) -> Result<Plot, DataError> {
        Plot::with(frame, None, caption, wanted)
    }

    /// The same with columns that are known in few points; others are read.
    ///
    /// # Errors
    ///
    /// As [`Plot::of`].
    pub fn with(
        frame: &Frame,
        known: Option<Thinned>,
        caption: Caption,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Plot, DataError> {
        let mut data = data::load(frame, known, wanted)?;
        let time = axis::TimeAxis::of(data.from, data.to);
        let constants = data::constants(&mut data.series, &frame.metadata()?);
        Ok(Plot { caption, panels: panel::arrange(data.series), time, constants, left_out: data.left_out })
    }

    /// Draws panels that are given, each with its label, over one axis of time.
    pub fn of_panels(caption: Caption, panels: Vec<(String, Vec<Series>)>, from: f64, to: f64) -> Plot {
        let time = axis::TimeAxis::of(from, to);
        let panels = panels.into_iter().map(|(label, series)| panel::labelled(label, series)).collect();
        Plot { caption, panels, time, constants: Vec::new(), left_out: Vec::new() }
    }

    /// The picture in a kind.
    ///
    /// # Errors
    ///
    /// As [`Plot::png`].
    pub fn bytes(&self, kind: Kind) -> Result<Vec<u8>, String> {
        match kind {
            Kind::Svg => Ok(self.svg().into_bytes()),
            Kind::Html => Ok(self.html().into_bytes()),
            Kind::Png => self.png(),
        }
    }

    /// The picture as SVG.
    pub fn svg(&self) -> String {
        svg::document(self)
    }

    /// The picture as PNG, two pixels for each unit of the SVG.
    ///
    /// # Errors
    ///
    /// What the rasteriser says, in words; none is known for a picture of ours.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        png::document(&self.svg())
    }

    /// The picture as HTML with zoom, values under the pointer, and curves that can be switched off.
    pub fn html(&self) -> String {
        html::document(self)
    }
}
