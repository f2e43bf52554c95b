//! The table of places that kernels refer to.

use crate::source::{SourceMap, Span};
use rustc_hash::FxHashMap;
use twinml_model::ids::{OriginId, VarId};
use twinml_model::program::Origin;

/// Places in the source, each once.
pub struct Origins {
    sources: Vec<Lines>,
    table: Vec<Origin>,
    known: FxHashMap<(Span, String), OriginId>,
    /// First slot of `Hist` of each family that `delay` looks back at.
    pub history: FxHashMap<VarId, u32>,
}

struct Lines {
    text: std::sync::Arc<str>,
    starts: Vec<u32>,
}

/// Longest text of an origin, in characters.
const SHORT: usize = 120;

impl Origins {
    /// An empty table over these sources.
    pub fn new(sources: &SourceMap) -> Origins {
        let sources = sources
            .files()
            .map(|(_, f)| {
                let starts = std::iter::once(0)
                    .chain(f.text.bytes().zip(1u32..).filter(|(b, _)| *b == b'\n').map(|(_, k)| k))
                    .collect();
                Lines { text: f.text.clone(), starts }
            })
            .collect();
        Origins { sources, table: Vec::new(), known: FxHashMap::default(), history: FxHashMap::default() }
    }

    /// The origin of a place, with the path of the instance it is meant in.
    pub fn add(&mut self, span: Span, owner: &str) -> OriginId {
        if let Some(id) = self.known.get(&(span, owner.to_owned())) {
            return *id;
        }
        let source = self.sources.get(span.file.0 as usize);
        let line = source.map_or(0, |s| s.starts.partition_point(|&x| x <= span.lo) as u32);
        let written = source.and_then(|s| s.text.get(span.range())).unwrap_or_default();
        let mut text = String::new();
        if !owner.is_empty() {
            text.push_str(owner);
            text.push_str(": ");
        }
        for (k, word) in written.split_whitespace().enumerate() {
            if k > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
        if text.chars().count() > SHORT {
            text = text.chars().take(SHORT - 1).chain(['…']).collect();
        }
        let file = if source.is_some() { span.file.0 } else { u32::MAX };
        let id = OriginId::new(self.table.len());
        self.table.push(Origin { file, lo: span.lo, hi: span.hi, line, text });
        self.known.insert((span, owner.to_owned()), id);
        id
    }

    /// The table.
    pub fn finish(self) -> Vec<Origin> {
        self.table
    }
}
