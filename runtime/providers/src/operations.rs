//! The log of operations as a file: appended to under a lock, on disk before a record counts as written.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use twinml_engine::provenance::{Chain, SignError, Signer};

/// Where a project's log is, in its folder.
pub const FILE: &str = ".twinml/operations.log";

/// A record's longest line, in bytes.
const LONGEST: u64 = 1 << 20;

/// Why nothing was logged.
#[derive(Debug)]
pub enum LogError {
    /// The system refuses.
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// The log's last line is no record: somebody has altered it, and nothing is hung to it.
    Altered {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The record could not be signed.
    Sign(SignError),
}

impl std::fmt::Display for LogError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LogError::Io { path, source } => write!(f, "cannot write {}: {source}", path.display()),
            LogError::Altered { path, why } => {
                write!(f, "the last record of {} is none: {why}", path.display())
            }
            LogError::Sign(e) => write!(f, "{e}"),
        }
    }
}

impl std::error::Error for LogError {}

/// Appends a record and returns its number. What a crash left of a record behind the last whole one goes: it was never
/// acknowledged.
///
/// # Errors
///
/// [`LogError`]; the log is then as it was, or ends in part of a record that the next one replaces.
pub fn append(
    path: &Path,
    at: u64,
    operation: &str,
    details: BTreeMap<String, String>,
    signer: Option<&mut dyn Signer>,
) -> Result<u64, LogError> {
    let io = |source| LogError::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io)?;
    }
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
    // Held until the file is closed; processes take turns.
    file.lock().map_err(io)?;
    let end = last_line(&mut file).map_err(io)?;
    let mut chain = match &end.line {
        None => Chain::default(),
        Some(line) => Chain::behind(line)
            .map_err(|e| LogError::Altered { path: path.to_owned(), why: e.to_string() })?,
    };
    let number = chain.sequence();
    let line = chain.append(at, operation, details, signer).map_err(LogError::Sign)?;
    file.set_len(end.whole).map_err(io)?;
    file.seek(SeekFrom::Start(end.whole)).map_err(io)?;
    file.write_all(line.as_bytes()).map_err(io)?;
    file.sync_all().map_err(io)?;
    if number == 0
        && let Some(folder) = path.parent().and_then(|p| File::open(p).ok())
    {
        let _ = folder.sync_all();
    }
    Ok(number)
}

/// The end of a log.
struct End {
    /// The last whole line without its line feed.
    line: Option<Vec<u8>>,
    /// How many bytes whole lines take.
    whole: u64,
}

/// Looks back from the end of the file for its last whole line.
fn last_line(file: &mut File) -> io::Result<End> {
    let length = file.metadata()?.len();
    // A torn record and a whole one, each with its line feed.
    let from = length.saturating_sub(2 * LONGEST + 2);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(length - from).read_to_end(&mut tail)?;
    let Some(feed) = tail.iter().rposition(|b| *b == b'\n') else {
        return if from == 0 {
            Ok(End { line: None, whole: 0 })
        } else {
            Err(io::Error::other("its last line is longer than any record"))
        };
    };
    let line = tail[..feed].rsplit(|b| *b == b'\n').next().unwrap_or_default();
    Ok(End { line: Some(line.to_owned()), whole: from + feed as u64 + 1 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use twinml_engine::provenance::conformance::Fake;
    use twinml_engine::provenance::{Algorithm, Checked, PublicKey, Trust, Verdict};

    #[test]
    fn records_are_appended_behind_whatever_a_crash_left() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/operations.log");
        let mut fake = Fake::new(Algorithm::EcdsaP256Sha256, 1);
        let mut trust = Trust::new();
        trust.add(PublicKey::from_der(fake.public_key()).unwrap());
        for k in 0..3 {
            let details = BTreeMap::from([("file".to_owned(), k.to_string())]);
            assert_eq!(append(&path, k, "snapshot take", details, Some(&mut fake)).unwrap(), k);
        }
        let whole = fs::read(&path).unwrap();
        let third = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
        // Cut off anywhere in the last record: what is before is readable, and the log goes on.
        for cut in (third..whole.len()).step_by(37) {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(Checked::of(&fs::read(&path).unwrap(), &trust).entries.len(), 2);
            assert_eq!(append(&path, 9, "run", BTreeMap::new(), Some(&mut fake)).unwrap(), 2);
            let checked = Checked::of(&fs::read(&path).unwrap(), &trust);
            assert_eq!((checked.entries.len(), checked.verdict()), (3, Verdict::Good));
        }
        // Nothing is hung to what somebody has altered.
        let mut altered = whole.clone();
        altered[third + 10] ^= 1;
        fs::write(&path, &altered).unwrap();
        let e = append(&path, 9, "run", BTreeMap::new(), None).unwrap_err();
        assert!(matches!(e, LogError::Altered { .. }), "{e}");
        assert_eq!(fs::read(&path).unwrap(), altered);
    }

    #[test]
    fn many_at_once_take_turns() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("operations.log");
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for _ in 0..10 {
                        append(&path, 0, "run", BTreeMap::new(), None).unwrap();
                    }
                });
            }
        });
        let checked = Checked::of(&fs::read(&path).unwrap(), &Trust::new());
        assert_eq!((checked.entries.len(), checked.broken), (40, None));
    }
}
