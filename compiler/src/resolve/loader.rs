//! Where the texts of used files come from. The compiler itself reads nothing.

use std::collections::BTreeMap;
use std::fmt;

/// A file that a `use` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The file's one name however it was reached; two loads with one name are one file. It is what
    /// messages show, and what relative names in the file start from.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Why a file could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// There is none of this name.
    NotFound,
    /// It lies outside of where models may be read.
    Outside,
    /// Reading failed; the system's words.
    Unreadable(String),
    /// It is no UTF-8; the first bad byte's offset.
    NotText(usize),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NotFound => f.write_str("there is no such file"),
            LoadError::Outside => f.write_str("the file lies outside of the project"),
            LoadError::Unreadable(why) => write!(f, "the file cannot be read: {why}"),
            LoadError::NotText(at) => write!(f, "the file is no UTF-8 text (byte {at})"),
        }
    }
}

/// Files for the compiler: the seam to the world.
pub trait Loader {
    /// The file that `path` means in a `use` of the file named `from`.
    fn load(&self, from: &str, path: &str) -> Result<Loaded, LoadError>;
}

/// Files held in memory, by name; paths are relative to the folder of the file that uses them.
#[derive(Clone, Debug, Default)]
pub struct MemoryLoader {
    files: BTreeMap<String, String>,
}

impl MemoryLoader {
    /// No files.
    pub fn new() -> MemoryLoader {
        MemoryLoader::default()
    }

    /// Adds a file.
    #[must_use]
    pub fn with(mut self, name: &str, text: &str) -> MemoryLoader {
        self.files.insert(name.to_owned(), text.to_owned());
        self
    }
}

/// `path` seen from the folder of `from`, with `.` and `..` resolved; `None` where `..` leads out.
pub fn join(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = match from.rsplit_once('/') {
        Some((dir, _)) => dir.split('/').collect(),
        None => Vec::new(),
    };
    for p in path.split('/') {
        match p {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            p => parts.push(p),
        }
    }
    Some(parts.join("/"))
}

impl Loader for MemoryLoader {
    fn load(&self, from: &str, path: &str) -> Result<Loaded, LoadError> {
        let name = join(from, path).ok_or(LoadError::Outside)?;
        let text = self.files.get(&name).ok_or(LoadError::NotFound)?.clone();
        Ok(Loaded { name, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_join() {
        assert_eq!(join("a.twinml", "parts/p.twinml").as_deref(), Some("parts/p.twinml"));
        assert_eq!(join("x/a.twinml", "./p.twinml").as_deref(), Some("x/p.twinml"));
        assert_eq!(join("x/y/a.twinml", "../p.twinml").as_deref(), Some("x/p.twinml"));
        assert_eq!(join("a.twinml", "../p.twinml"), None);
        let files = MemoryLoader::new().with("x/p.twinml", "twin P { }");
        assert!(files.load("x/a.twinml", "p.twinml").is_ok());
        assert_eq!(files.load("a.twinml", "p.twinml"), Err(LoadError::NotFound));
    }
}
