//! A job under way on disk: outcomes in parts, each complete or not there.
//!
//! A part holds the outcomes of consecutive runs. It is written beside its place, put on disk and moved there, so a job
//! that is killed at any moment leaves whole parts only; what is torn or of another job is refused by its hash.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::outcome::Outcome;
use crate::record::{RecordError, file::write_atomic};

/// Runs of a part.
pub const PART: u32 = 1000;

/// The first bytes of a part.
const MAGIC: &[u8; 8] = b"TWINMC01";
/// Bytes of a hash.
const HASH: usize = 32;

/// Where parts lie: a folder, or what serves as one.
pub trait Files: std::fmt::Debug + Send + Sync {
    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] where there is none.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`RecordError::Io`].
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RecordError>;

    /// Takes all files away; that there are none is no error.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn remove(&self) -> io::Result<()>;
}

/// A folder on disk.
#[derive(Clone, Debug)]
pub struct Folder(pub PathBuf);

impl Files for Folder {
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.0.join(name))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RecordError> {
        write_atomic(&self.0.join(name), bytes)
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }
}

/// The parts of a job, or of a shard of it.
#[derive(Debug)]
pub struct Parts {
    files: Box<dyn Files>,
    /// What tells this job from others.
    job: [u8; HASH],
}

/// The name of the part that begins with a run.
fn name(first: u32) -> String {
    format!("{first:010}.part")
}

impl Parts {
    /// Parts that lie there, of the job that `identity` tells from others.
    #[must_use]
    pub fn new(files: Box<dyn Files>, identity: &str) -> Parts {
        Parts { files, job: Sha256::digest(identity.as_bytes()).into() }
    }

    /// Writes the outcomes of consecutive runs, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`RecordError::Io`].
    pub fn write(&self, outcomes: &[Outcome]) -> Result<(), RecordError> {
        let Some(first) = outcomes.first() else { return Ok(()) };
        let mut bytes = Vec::new();
        bytes.extend(MAGIC);
        bytes.extend(self.job);
        bytes.extend(first.run.to_le_bytes());
        bytes.extend((outcomes.len() as u32).to_le_bytes());
        outcomes.iter().for_each(|o| o.put(&mut bytes));
        let hash = Sha256::digest(&bytes);
        bytes.extend(hash);
        self.files.write(&name(first.run), &bytes)
    }

    /// The outcomes of the part that begins with this run; `None`: there is none, or none that is whole and of this job.
    ///
    /// # Errors
    ///
    /// Where a part that may be there cannot be read.
    pub fn read(&self, first: u32) -> io::Result<Option<Vec<Outcome>>> {
        match self.files.read(&name(first)) {
            Ok(bytes) => Ok(self.outcomes(first, &bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn outcomes(&self, first: u32, bytes: &[u8]) -> Option<Vec<Outcome>> {
        let (body, hash) = bytes.split_last_chunk::<HASH>()?;
        let own: [u8; HASH] = Sha256::digest(body).into();
        let rest = body.strip_prefix(MAGIC)?.strip_prefix(&self.job[..])?;
        if own != *hash {
            return None;
        }
        let (at, rest) = rest.split_first_chunk::<4>()?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*at) != first {
            return None;
        }
        let count = u32::from_le_bytes(*count);
        let mut out = Vec::new();
        for k in 0..count {
            let o = Outcome::get(&mut rest)?;
            if o.run != first.checked_add(k)? {
                return None;
            }
            out.push(o);
        }
        rest.is_empty().then_some(out)
    }

    /// The parts that there are of `runs`, without a gap: calls `take` for each, and says where the first run that is
    /// missing is.
    ///
    /// # Errors
    ///
    /// As [`Parts::read`].
    pub fn replay(&self, runs: Range<u32>, take: &mut dyn FnMut(Vec<Outcome>)) -> io::Result<u32> {
        let mut at = runs.start;
        while at < runs.end {
            let Some(part) = self.read(at)? else { break };
            if part.is_empty() || part.len() as u64 > u64::from(runs.end - at) {
                break;
            }
            at += part.len() as u32;
            take(part);
        }
        Ok(at)
    }

    /// Takes all parts away, and the folder with them.
    ///
    /// # Errors
    ///
    /// What the system says; a folder that is not there is no error.
    pub fn remove(&self) -> io::Result<()> {
        self.files.remove()
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Status;
    use super::*;

    fn outcome(run: u32) -> Outcome {
        Outcome {
            run,
            status: Status::Complete,
            code: String::new(),
            message: String::new(),
            time: 1.0,
            repeated: 0,
            drawn: vec![f64::from(run)],
            last: vec![],
            kpis: vec![],
            judged: vec![],
            trace: vec![],
        }
    }

    #[test]
    fn torn_and_foreign_parts_are_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().join("parts");
        let parts = Parts::new(Box::new(Folder(at.clone())), "job 1");
        parts.write(&(0..10).map(outcome).collect::<Vec<_>>()).expect("written");
        parts.write(&(10..15).map(outcome).collect::<Vec<_>>()).expect("written");
        let mut seen = 0;
        assert_eq!(parts.replay(0..100, &mut |p| seen += p.len()).expect("read"), 15);
        assert_eq!(seen, 15);
        let other = Parts::new(Box::new(Folder(at.clone())), "job 2");
        assert_eq!(other.replay(0..100, &mut |_| ()).expect("read"), 0);
        let path = at.join(name(10));
        let bytes = fs::read(&path).expect("there");
        for cut in [0, 1, 40, bytes.len() - 1] {
            fs::write(&path, &bytes[..cut]).expect("written");
            assert_eq!(parts.read(10).expect("read"), None, "{cut} bytes");
        }
        let mut wrong = bytes;
        wrong[60] ^= 1;
        fs::write(&path, wrong).expect("written");
        assert_eq!(parts.replay(0..100, &mut |_| ()).expect("read"), 10);
        parts.remove().expect("removed");
        assert_eq!(parts.replay(0..100, &mut |_| ()).expect("read"), 0);
    }
}
