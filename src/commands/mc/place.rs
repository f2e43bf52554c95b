//! Where the files of a job lie: in a folder, or in an object store.
//!
//! What goes to a store is first made in a folder for the time being, and then sent: a reader sees whole files only.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use twinml_engine::ensemble::store::{Files, Folder};
use twinml_engine::record::{RecordError, file::write_atomic};
use twinml_objects::{ObjectError, Store, is_address};

use crate::world;

/// A folder, or what serves as one.
#[derive(Clone, Debug)]
pub enum Place {
    /// On disk.
    Folder(PathBuf),
    /// In an object store, with a folder for files that are being made.
    Objects(Box<Store>, Arc<tempfile::TempDir>, PathBuf),
}

impl Place {
    /// The place that a path or an address names.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn of(path: &Path) -> Result<Place, String> {
        let text = path.to_string_lossy();
        if !is_address(&text) {
            return Ok(Place::Folder(path.to_owned()));
        }
        let store = Store::open(&text, &world::variable).map_err(|e| e.to_string())?;
        let scratch = tempfile::Builder::new().prefix("twinc-").tempdir();
        let scratch = scratch.map_err(|e| format!("there is no room for temporary files: {e}"))?;
        let local = scratch.path().to_owned();
        Ok(Place::Objects(Box::new(store), Arc::new(scratch), local))
    }

    /// A place below.
    pub fn join(&self, name: &str) -> Place {
        match self {
            Place::Folder(path) => Place::Folder(path.join(name)),
            Place::Objects(store, scratch, local) => {
                Place::Objects(Box::new(store.below(name)), scratch.clone(), local.join(name))
            }
        }
    }

    /// As messages show it.
    pub fn shown(&self) -> String {
        match self {
            Place::Folder(path) => world::shown(path),
            Place::Objects(store, ..) => store.address(),
        }
    }

    /// The path or the address of a file, for messages.
    pub fn path(&self, name: &str) -> PathBuf {
        match self {
            Place::Folder(path) => path.join(name),
            Place::Objects(store, ..) => PathBuf::from(store.of(name)),
        }
    }

    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// What the system or the store says.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        match self {
            Place::Folder(path) => world::read(&path.join(name)),
            Place::Objects(store, ..) => Ok(store.read(name)?),
        }
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    ///
    /// What the system or the store says.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RecordError> {
        match self {
            Place::Folder(path) => write_atomic(&path.join(name), bytes),
            Place::Objects(store, ..) => store.write(name, bytes).map_err(|e| failed(store, name, e)),
        }
    }

    /// The names of what lies below and holds something itself, sorted.
    ///
    /// # Errors
    ///
    /// What the system or the store says.
    pub fn folders(&self) -> io::Result<Vec<String>> {
        match self {
            Place::Folder(path) => {
                let names = world::folders(path)?.into_iter();
                Ok(names.filter_map(|p| Some(p.file_name()?.to_string_lossy().into_owned())).collect())
            }
            Place::Objects(store, ..) => Ok(store.folders()?),
        }
    }

    /// What lies below a name, as parts of a job see it.
    pub fn files(&self, name: &str) -> Box<dyn Files> {
        match self {
            Place::Folder(path) => Box::new(Folder(path.join(name))),
            Place::Objects(store, ..) => Box::new(Objects(store.below(name))),
        }
    }

    /// The folder in which files are made.
    pub fn local(&self) -> &Path {
        match self {
            Place::Folder(path) | Place::Objects(.., path) => path,
        }
    }

    /// Puts a file that was made in [`Place::local`] where it belongs.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn publish(&self, name: &str) -> Result<(), RecordError> {
        match self {
            Place::Folder(_) => Ok(()),
            Place::Objects(store, _, local) => {
                store.upload(name, &local.join(name)).map_err(|e| failed(store, name, e))
            }
        }
    }
}

fn failed(store: &Store, name: &str, e: ObjectError) -> RecordError {
    RecordError::Io { action: "write", path: PathBuf::from(store.of(name)), source: e.into() }
}

/// Files of an object store.
#[derive(Debug)]
struct Objects(Store);

impl Files for Objects {
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(self.0.read(name)?)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RecordError> {
        self.0.write(name, bytes).map_err(|e| failed(&self.0, name, e))
    }

    fn remove(&self) -> io::Result<()> {
        for name in self.0.list()? {
            self.0.remove(&name)?;
        }
        Ok(())
    }
}
