//! The recorder that streams to disk through a writer thread.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use super::block::{Block, check_row};
use super::{Columns, RecordError, Recorded, Recorder};

/// Turns blocks of rows into a file format.
pub trait Encode: Send {
    /// Writes the rows of a block.
    ///
    /// # Errors
    ///
    /// Whatever the format or the file met; nothing is written after it.
    fn block(&mut self, columns: &Columns, block: &Block) -> Result<(), RecordError>;

    /// Completes the file and gives it its name; returns its size in bytes.
    ///
    /// # Errors
    ///
    /// Whatever the format or the file met.
    fn finish(self: Box<Self>) -> Result<u64, RecordError>;
}

/// How many blocks circulate: one being filled, one being written, one between.
const BLOCKS: usize = 3;

/// A recorder whose rows are encoded and written by a thread of its own.
pub struct StreamRecorder {
    columns: Columns,
    block: Block,
    rows: u64,
    full: Option<SyncSender<Block>>,
    empty: Receiver<Block>,
    writer: Option<JoinHandle<Result<u64, RecordError>>>,
    checked: bool,
}

impl StreamRecorder {
    /// Starts the writer thread of `encoder`.
    ///
    /// # Errors
    ///
    /// [`RecordError::Writer`] when the system gives no thread.
    pub fn new(columns: Columns, mut encoder: Box<dyn Encode>) -> Result<StreamRecorder, RecordError> {
        let (full, work) = sync_channel::<Block>(BLOCKS);
        let (give, empty) = sync_channel::<Block>(BLOCKS);
        for _ in 1..BLOCKS {
            // The channel has room for every block that circulates.
            if let Err(TrySendError::Full(_)) = give.try_send(Block::new(columns.cells())) {
                return Err(RecordError::Writer);
            }
        }
        let specs = columns.clone();
        let writer = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || {
                // A closed channel is the sign to complete the file; see `finish` and `drop`.
                while let Ok(mut block) = work.recv() {
                    if block.rows() == 0 {
                        return encoder.finish();
                    }
                    encoder.block(&specs, &block)?;
                    block.clear();
                    // The other side may be gone already; its blocks are then not needed.
                    let _ = give.try_send(block);
                }
                // Dropped unfinished: the encoder's file removes itself.
                Err(RecordError::Writer)
            })
            .map_err(|_| RecordError::Writer)?;
        let checked = columns.specs().iter().any(|c| matches!(c.element, super::Element::Text(_)));
        let block = Block::new(columns.cells());
        Ok(StreamRecorder { columns, block, rows: 0, full: Some(full), empty, writer: Some(writer), checked })
    }

    /// Waits for the writer's own word on what went wrong.
    fn cause(&mut self) -> RecordError {
        self.full = None;
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(Err(e))) => e,
            _ => RecordError::Writer,
        }
    }

    /// Hands the filled block over and takes an empty one.
    fn turn(&mut self) -> Result<(), RecordError> {
        let Ok(next) = self.empty.recv() else { return Err(self.cause()) };
        let block = std::mem::replace(&mut self.block, next);
        self.send(block)
    }

    fn send(&mut self, block: Block) -> Result<(), RecordError> {
        let sent = match &self.full {
            Some(full) => full.send(block).is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { Err(self.cause()) }
    }
}

impl Recorder for StreamRecorder {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn row(&mut self, cells: &[f64]) -> Result<(), RecordError> {
        if self.checked || cells.len() != self.columns.cells() {
            check_row(&self.columns, cells)?;
        }
        if self.block.is_full() {
            self.turn()?;
        }
        self.block.push(cells);
        self.rows += 1;
        Ok(())
    }

    fn row_by(&mut self, fill: &mut dyn FnMut(&mut Vec<f64>)) -> Result<(), RecordError> {
        if self.block.is_full() {
            self.turn()?;
        }
        let checked = self.checked.then_some(&self.columns);
        self.block.push_by(fill, checked)?;
        self.rows += 1;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Recorded, RecordError> {
        let last = std::mem::replace(&mut self.block, Block::empty());
        if last.rows() > 0 {
            self.send(last)?;
        }
        // An empty block asks for the end.
        self.send(Block::empty())?;
        let Some(writer) = self.writer.take() else { return Err(RecordError::Writer) };
        let bytes = writer.join().map_err(|_| RecordError::Writer)??;
        Ok(Recorded { rows: self.rows, bytes })
    }
}

impl Drop for StreamRecorder {
    fn drop(&mut self) {
        // Closing the channel without the asking block tells the writer to throw its file away.
        self.full = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}
