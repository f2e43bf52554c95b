//! What a transaction writes: one stream of bytes, cut into segments that fill pages.
//!
//! The database gives a large value pages of 4 KiB, a power of two of them. Segments are cut to fill them: as large as the
//! rest allows, 64 KiB at most; what is left shares a page with others. Things may lie over several segments, whose keys
//! follow each other.

use redb::{ReadableTable, Table};
use twinml_engine::timeline::StoreError;

use super::corrupt;
use super::guard::failed;

/// Where something begins: segment, offset in it; and its bytes.
pub type Place = (u64, u32, u32);

/// Bytes of a page that a single value does not get.
const OVERHEAD: usize = 64;
/// Sizes of segments.
const SIZES: [usize; 5] = [
    (64 << 10) - OVERHEAD,
    (32 << 10) - OVERHEAD,
    (16 << 10) - OVERHEAD,
    (8 << 10) - OVERHEAD,
    (4 << 10) - OVERHEAD,
];

/// A stream that is being written. Where its bytes will lie is known only when it is cut: the largest segments first, so
/// a place is found from how far into the stream it is.
pub struct Stream {
    first: u64,
    /// Full segments that are written.
    written: u64,
    bytes: Vec<u8>,
}

impl Stream {
    /// Begins after all segments there are.
    pub fn after(segments: &impl ReadableTable<u64, &'static [u8]>) -> Result<Stream, StoreError> {
        let last = segments.last().map_err(failed)?.map(|(key, _)| key.value());
        Ok(Stream { first: last.map_or(0, |k| k.saturating_add(1)), written: 0, bytes: Vec::new() })
    }

    /// Its first segment.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Appends bytes. The place counts in segments of the largest size; smaller ones at the end follow on (see [`read`]).
    pub fn push(&mut self, bytes: &[u8]) -> Result<Place, StoreError> {
        let len = u32::try_from(bytes.len())
            .map_err(|_| StoreError::Bad { why: "more than 4 GiB in one piece".into() })?;
        let (full, offset) = (self.bytes.len() / SIZES[0], self.bytes.len() % SIZES[0]);
        self.bytes.extend_from_slice(bytes);
        // `offset < 64 KiB`.
        Ok((self.first + self.written + full as u64, offset as u32, len))
    }

    /// Writes the segments that are full.
    pub fn flush(&mut self, to: &mut Table<'_, u64, &'static [u8]>) -> Result<(), StoreError> {
        let full = self.bytes.len() / SIZES[0];
        for segment in self.bytes.chunks_exact(SIZES[0]) {
            to.insert(self.first + self.written, segment).map_err(failed)?;
            self.written += 1;
        }
        self.bytes.drain(..full * SIZES[0]);
        Ok(())
    }

    /// Writes all segments.
    pub fn finish(mut self, to: &mut Table<'_, u64, &'static [u8]>) -> Result<(), StoreError> {
        self.flush(to)?;
        let mut rest = &self.bytes[..];
        let mut key = self.first + self.written;
        while !rest.is_empty() {
            let size = SIZES.into_iter().find(|s| *s <= rest.len()).unwrap_or(rest.len());
            let (segment, tail) = rest.split_at(size);
            to.insert(key, segment).map_err(failed)?;
            (key, rest) = (key + 1, tail);
        }
        Ok(())
    }
}

/// The bytes at a place: from the segment on, over as many as it takes.
pub fn read(segments: &impl ReadableTable<u64, &'static [u8]>, place: Place) -> Result<Vec<u8>, StoreError> {
    let (first, offset, len) = place;
    let (mut skip, len) = (offset as usize, len as usize);
    let mut out = Vec::new();
    let mut key = first;
    while out.len() < len {
        let segment = segments.get(key).map_err(failed)?;
        let segment = segment.ok_or_else(|| corrupt(format!("the segment {key} is missing")))?;
        let bytes = segment.value();
        let here = skip.min(bytes.len());
        skip -= here;
        let take = (bytes.len() - here).min(len - out.len());
        if bytes.is_empty() {
            return Err(corrupt(format!("the segment {key} is empty")));
        }
        out.extend_from_slice(&bytes[here..here + take]);
        key = key.checked_add(1).ok_or_else(|| corrupt("segments do not end"))?;
    }
    Ok(out)
}
