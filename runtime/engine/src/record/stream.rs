//! The recorder that streams to disk through a writer thread.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use super::block::check_row;
use super::{Cells, Columns, RecordError, Recorded, Recorder, in_rows};

/// Rows on their way to the writer: what is filled in the thread of the run and handed over when it is full.
pub trait Portion: Send + 'static {
    /// How many circulate.
    const MANY: usize;

    /// An empty one.
    fn new(columns: &Columns) -> Self;

    /// Appends so many rows, which there is [`Portion::room`] for: those that `fill` appends to what it is given, if they
    /// have the right length and, where columns are given, fit these.
    ///
    /// # Errors
    ///
    /// [`RecordError::RowLength`], [`RecordError::Word`]; the portion is then as it was.
    fn push_by(
        &mut self,
        rows: usize,
        fill: &mut dyn FnMut(&mut Vec<f64>),
        checked: Option<&Columns>,
    ) -> Result<(), RecordError>;

    /// How many rows may be appended at once; 0 where it is full.
    fn room(&self) -> usize;

    /// Appends some of the rows of [`Recorder::rows_of`], which have so many cells: no more than [`Portion::room_in_all`].
    ///
    /// # Errors
    ///
    /// As [`Portion::push_by`].
    fn push_of<'c>(
        &mut self,
        some: Range<usize>,
        cells: usize,
        of: &dyn Fn(usize) -> Cells<'c>,
    ) -> Result<(), RecordError> {
        self.push_by(some.len(), &mut |out| in_rows(&some, (cells, 0..cells), of, out), None)
    }

    /// How many rows may be appended at once where they lie cell by cell.
    fn room_in_all(&self) -> usize {
        self.room()
    }

    /// The one before is full, and this one is to take the rows that come next.
    fn follow(&mut self, _full: &Self) {}

    /// The number of rows.
    fn rows(&self) -> usize;

    /// Forgets the rows and keeps the memory.
    fn clear(&mut self);
}

/// Turns portions of rows into a file format.
pub trait Encode<P>: Send {
    /// Writes the rows of a portion.
    ///
    /// # Errors
    ///
    /// Whatever the format or the file met; nothing is written after it.
    fn portion(&mut self, columns: &Columns, portion: &mut P) -> Result<(), RecordError>;

    /// Completes the file and gives it its name; returns its size in bytes.
    ///
    /// # Errors
    ///
    /// Whatever the format or the file met.
    fn finish(self: Box<Self>) -> Result<u64, RecordError>;
}

/// A recorder whose rows are encoded and written by a thread of its own.
pub struct StreamRecorder<P> {
    columns: Columns,
    portion: P,
    rows: u64,
    /// None asks for the end.
    full: Option<SyncSender<Option<P>>>,
    empty: Receiver<P>,
    writer: Option<JoinHandle<Result<u64, RecordError>>>,
    checked: bool,
}

impl<P: Portion> StreamRecorder<P> {
    /// Starts the writer thread of `encoder`.
    ///
    /// # Errors
    ///
    /// [`RecordError::Writer`] when the system gives no thread.
    pub fn new(columns: Columns, mut encoder: Box<dyn Encode<P>>) -> Result<StreamRecorder<P>, RecordError> {
        let (full, work) = sync_channel::<Option<P>>(P::MANY);
        let (give, empty) = sync_channel::<P>(P::MANY);
        for _ in 1..P::MANY {
            // The channel has room for every portion that circulates.
            if let Err(TrySendError::Full(_)) = give.try_send(P::new(&columns)) {
                return Err(RecordError::Writer);
            }
        }
        let specs = columns.clone();
        let writer = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || {
                // A closed channel is the sign to complete the file; see `finish` and `drop`.
                while let Ok(portion) = work.recv() {
                    let Some(mut portion) = portion else { return encoder.finish() };
                    encoder.portion(&specs, &mut portion)?;
                    portion.clear();
                    // The other side may be gone already; its portions are then not needed.
                    let _ = give.try_send(portion);
                }
                // Dropped unfinished: the encoder's file removes itself.
                Err(RecordError::Writer)
            })
            .map_err(|_| RecordError::Writer)?;
        let checked = columns.specs().iter().any(|c| matches!(c.element, super::Element::Text(_)));
        let portion = P::new(&columns);
        Ok(StreamRecorder {
            columns,
            portion,
            rows: 0,
            full: Some(full),
            empty,
            writer: Some(writer),
            checked,
        })
    }

    /// Waits for the writer's own word on what went wrong.
    fn cause(&mut self) -> RecordError {
        self.full = None;
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(Err(e))) => e,
            _ => RecordError::Writer,
        }
    }

    /// Hands the filled portion over and takes an empty one.
    fn turn(&mut self) -> Result<(), RecordError> {
        let Ok(mut next) = self.empty.recv() else { return Err(self.cause()) };
        next.follow(&self.portion);
        let portion = std::mem::replace(&mut self.portion, next);
        self.send(Some(portion))
    }

    fn send(&mut self, portion: Option<P>) -> Result<(), RecordError> {
        let sent = match &self.full {
            Some(full) => full.send(portion).is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { Err(self.cause()) }
    }
}

impl<P: Portion> Recorder for StreamRecorder<P> {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn row(&mut self, cells: &[f64]) -> Result<(), RecordError> {
        if cells.len() != self.columns.cells() {
            check_row(&self.columns, cells)?;
        }
        self.row_by(&mut |row| row.extend_from_slice(cells))
    }

    fn row_by(&mut self, fill: &mut dyn FnMut(&mut Vec<f64>)) -> Result<(), RecordError> {
        if self.portion.room() == 0 {
            self.turn()?;
        }
        self.portion.push_by(1, fill, self.checked.then_some(&self.columns))?;
        self.rows += 1;
        Ok(())
    }

    fn rows_by(
        &mut self,
        rows: usize,
        fill: &mut dyn FnMut(Range<usize>, &mut Vec<f64>),
    ) -> Result<(), RecordError> {
        let mut k = 0;
        while k < rows {
            if self.portion.room() == 0 {
                self.turn()?;
            }
            let n = self.portion.room().min(rows - k);
            let checked = self.checked.then_some(&self.columns);
            self.portion.push_by(n, &mut |row| fill(k..k + n, row), checked)?;
            self.rows += n as u64;
            k += n;
        }
        Ok(())
    }

    fn rows_of<'c>(&mut self, rows: usize, of: &dyn Fn(usize) -> Cells<'c>) -> Result<(), RecordError> {
        let (cells, mut k) = (self.columns.cells(), 0);
        if self.checked {
            return self.rows_by(rows, &mut |some, out| in_rows(&some, (cells, 0..cells), of, out));
        }
        while k < rows {
            if self.portion.room() == 0 {
                self.turn()?;
            }
            let n = self.portion.room_in_all().min(rows - k);
            self.portion.push_of(k..k + n, cells, of)?;
            self.rows += n as u64;
            k += n;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Recorded, RecordError> {
        if self.portion.rows() > 0 {
            self.turn()?;
        }
        self.send(None)?;
        let Some(writer) = self.writer.take() else { return Err(RecordError::Writer) };
        let bytes = writer.join().map_err(|_| RecordError::Writer)??;
        Ok(Recorded { rows: self.rows, bytes })
    }
}

impl<P> Drop for StreamRecorder<P> {
    fn drop(&mut self) {
        // Closing the channel without asking for the end tells the writer to throw its file away.
        self.full = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}
