//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::RecordError;

/// Tells apart the temporary files of one process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A file that is written beside its final place and moved there when it is complete.
///
/// Readers, and a process killed at any moment, see the old file or the new one. A file that is dropped before
/// [`AtomicFile::commit`] is removed.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    temporary: PathBuf,
    writer: Option<BufWriter<File>>,
    written: u64,
}

impl AtomicFile {
    /// Starts a file that is to appear at `path`; missing folders are made.
    ///
    /// # Errors
    ///
    /// [`RecordError::Io`].
    pub fn create(path: &Path) -> Result<AtomicFile, RecordError> {
        let fail = |action, path: &Path, source| RecordError::Io { action, path: path.to_owned(), source };
        let folder = folder_of(path);
        fs::create_dir_all(folder).map_err(|e| fail("create the folder", folder, e))?;
        let Some(name) = path.file_name() else {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it names no file");
            return Err(fail("create", path, source));
        };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{}.part", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let temporary = folder.join(hidden);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)
            .map_err(|e| fail("create", &temporary, e))?;
        let writer = Some(BufWriter::with_capacity(256 << 10, file));
        Ok(AtomicFile { path: path.to_owned(), temporary, writer, written: 0 })
    }

    /// Where the file will appear.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts everything on disk and moves the file to its place. Returns its size in bytes.
    ///
    /// # Errors
    ///
    /// [`RecordError::Io`]; the file is then removed and what was there before stays.
    pub fn commit(mut self) -> Result<u64, RecordError> {
        let Some(writer) = self.writer.take() else { return Err(RecordError::Writer) };
        let fail = |action, source| RecordError::Io { action, path: self.path.clone(), source };
        let file = writer.into_inner().map_err(|e| fail("write", e.into_error()))?;
        file.sync_all().map_err(|e| fail("put on disk", e))?;
        drop(file);
        fs::rename(&self.temporary, &self.path).map_err(|e| fail("rename", e))?;
        // The name is on disk once its folder is. Where a folder cannot be opened the rename alone must do.
        if let Ok(folder) = File::open(folder_of(&self.path)) {
            let _ = folder.sync_all();
        }
        Ok(self.written)
    }
}

/// The folder that `path` is in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes `bytes` to `path`, whole or not at all.
///
/// # Errors
///
/// [`RecordError::Io`].
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let mut file = AtomicFile::create(path)?;
    let outcome = file.write_all(bytes);
    outcome.map_err(|source| RecordError::Io { action: "write", path: path.to_owned(), source })?;
    file.commit()?;
    Ok(())
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(writer) = &mut self.writer else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let n = writer.write(bytes)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.writer {
            Some(writer) => writer.flush(),
            None => Ok(()),
        }
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // After a commit the temporary name no longer exists, and this does nothing.
        let _ = fs::remove_file(&self.temporary);
    }
}
