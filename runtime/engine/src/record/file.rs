//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use twinml_jit::Room;

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
    writer: Option<Stretches>,
    written: u64,
}

/// What a stretch of a file has in bytes, and where it begins in memory and in the file: what the way past the page
/// cache asks for.
const STRETCH: usize = 1 << 20;
pub(super) const BORDER: usize = 4096;
/// A file that is known to become so large goes past the page cache: a copy of every byte less, which is most of what writing
/// costs, and no memory that nobody has touched before. Smaller ones stay there for whoever reads them next.
const LARGE: u64 = 3 << 20;

/// Memory from a border on.
#[derive(Debug)]
pub(super) enum Bordered {
    /// In a vector, where it begins.
    Few(Vec<u8>, usize),
    Many(Room),
}

/// From so many bytes on it comes in large pages, if the system has some.
pub(super) const MANY: usize = 1 << 20;

impl Default for Bordered {
    fn default() -> Bordered {
        Bordered::Few(Vec::new(), 0)
    }
}

impl Bordered {
    /// So many bytes.
    pub(super) fn new(bytes: usize) -> Bordered {
        if bytes > MANY
            && let Some(room) = Room::new(bytes)
        {
            return Bordered::Many(room);
        }
        let room = vec![0; bytes + BORDER];
        let first = room.as_ptr().align_offset(BORDER).min(BORDER);
        Bordered::Few(room, first)
    }

    /// All of them.
    #[inline]
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        match self {
            Bordered::Few(room, first) => &mut room[*first..],
            Bordered::Many(room) => room,
        }
    }
}

/// Writes a file in whole stretches.
#[derive(Debug)]
struct Stretches {
    way: Way,
    /// A stretch.
    room: Bordered,
    filled: usize,
}

/// The way into the file.
#[derive(Debug)]
struct Way {
    file: File,
    /// The same file past the page cache, once it is large; where the system has no such way, never.
    direct: Option<File>,
    /// Bytes in the file.
    at: u64,
    tried: bool,
}

impl Stretches {
    fn new(file: File) -> Stretches {
        let way = Way { file, direct: None, at: 0, tried: false };
        Stretches { way, room: Bordered::new(STRETCH), filled: 0 }
    }

    /// Takes as many bytes as there is room for.
    fn take(&mut self, bytes: &[u8], path: &Path) -> io::Result<usize> {
        if self.filled == STRETCH {
            self.put(path)?;
        }
        let n = bytes.len().min(STRETCH - self.filled);
        self.room.bytes()[self.filled..][..n].copy_from_slice(&bytes[..n]);
        self.filled += n;
        Ok(n)
    }

    /// Puts into the file what has been taken.
    fn put(&mut self, path: &Path) -> io::Result<()> {
        self.way.put(&self.room.bytes()[..self.filled], path)?;
        self.filled = 0;
        Ok(())
    }
}

impl Way {
    fn put(&mut self, bytes: &[u8], path: &Path) -> io::Result<()> {
        let mut rest = bytes;
        if self.at + bytes.len() as u64 >= LARGE && !self.tried {
            self.tried = true;
            self.direct = past_the_cache(path).ok();
        }
        // anything but whole borders goes the usual way, and what this way refuses
        let whole = |at: u64, bytes: &[u8]| {
            at.is_multiple_of(BORDER as u64)
                && bytes.len().is_multiple_of(BORDER)
                && bytes.as_ptr().align_offset(BORDER) == 0
        };
        while !rest.is_empty()
            && whole(self.at, rest)
            && let Some(direct) = &mut self.direct
        {
            direct.seek(SeekFrom::Start(self.at))?;
            match direct.write(rest) {
                Ok(n) if n > 0 && n % BORDER == 0 => {
                    (rest, self.at) = (&rest[n..], self.at + n as u64);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() != io::ErrorKind::InvalidInput => return Err(e),
                _ => self.direct = None,
            }
        }
        if !rest.is_empty() {
            self.file.seek(SeekFrom::Start(self.at))?;
            self.file.write_all(rest)?;
            self.at += rest.len() as u64;
        }
        Ok(())
    }
}

/// The file at `path`, to be written past the page cache.
#[cfg(target_os = "linux")]
fn past_the_cache(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(path)
}

#[cfg(not(target_os = "linux"))]
fn past_the_cache(_: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
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
        let writer = Some(Stretches::new(file));
        Ok(AtomicFile { path: path.to_owned(), temporary, writer, written: 0 })
    }

    /// Where the file will appear.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As `write_all`. Bytes that begin at a border, in memory and in the file, go from where they are, up to the last border.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(writer) = &mut self.writer else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let whole = if writer.filled > 0 { 0 } else { bytes.len() - bytes.len() % BORDER };
        let (whole, rest) = bytes.split_at(whole);
        if !whole.is_empty() {
            writer.way.put(whole, &self.temporary)?;
            self.written += whole.len() as u64;
        }
        self.write_all(rest)
    }

    /// Bytes written so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Puts everything on disk and moves the file to its place. Returns its size in bytes.
    ///
    /// # Errors
    ///
    /// [`RecordError::Io`]; the file is then removed and what was there before stays.
    pub fn commit(mut self) -> Result<u64, RecordError> {
        let Some(mut writer) = self.writer.take() else { return Err(RecordError::Writer) };
        let fail = |action, source| RecordError::Io { action, path: self.path.clone(), source };
        writer.put(&self.temporary).map_err(|e| fail("write", e))?;
        let file = writer.way.file;
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
        let n = writer.take(bytes, &self.temporary)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        // nobody sees the file before it is complete: stretches stay whole
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // After a commit the temporary name no longer exists, and this does nothing.
        let _ = fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn large_files_have_the_bytes_that_were_written() {
        let folder = tempfile::tempdir().unwrap();
        for length in [0, 1, BORDER, STRETCH, LARGE as usize, LARGE as usize + 3 * STRETCH + 4321] {
            let bytes: Vec<u8> = (0..length).map(|k| (k ^ k >> 8 ^ k >> 16) as u8).collect();
            let path = folder.path().join(format!("{length}.bin"));
            let mut file = AtomicFile::create(&path).unwrap();
            // first some as they stand, as far as they have borders
            let mut room = Bordered::new(length);
            room.bytes()[..length].copy_from_slice(&bytes);
            let whole = length / 3 / BORDER * BORDER;
            file.put(&room.bytes()[..whole]).unwrap();
            assert_eq!(file.written(), whole as u64);
            for (k, part) in bytes[whole..].chunks(77_777).enumerate() {
                file.write_all(part).unwrap();
                if k % 7 == 0 {
                    file.flush().unwrap();
                }
            }
            assert!(!path.exists());
            assert_eq!(file.commit().unwrap(), length as u64);
            assert!(fs::read(&path).unwrap() == bytes, "{length} bytes");
        }
        // one that is given up leaves nothing
        let mut file = AtomicFile::create(&folder.path().join("never.bin")).unwrap();
        file.write_all(&vec![1; LARGE as usize + 2 * STRETCH]).unwrap();
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 6);
    }
}
