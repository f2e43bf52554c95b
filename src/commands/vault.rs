//! What signs and encrypts snapshots as they are written.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use twinml_engine::provenance::{Digest, Signer, sign_snapshot};
use twinml_engine::record::{self, RecordError};
use twinml_engine::snapshot::Snapshot;
use twinml_providers::crypt::{self, CryptError, KeyWrap};
use twinml_providers::operations;

use super::{seal, sign};
use crate::args::keys::{Encryption, Signing};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::world;

/// The keys that a command was given.
#[derive(Default)]
pub struct Vault {
    /// What signs.
    pub signer: RefCell<Option<Box<dyn Signer>>>,
    wrap: RefCell<Option<Box<dyn KeyWrap>>>,
    machine: BTreeMap<String, String>,
    /// Whether what is written is no operation that is noted.
    silent: bool,
}

impl Vault {
    /// Without keys, for what is written only to be compared.
    pub fn silent() -> Vault {
        Vault { silent: true, ..Vault::default() }
    }

    /// Opens the keys that are named.
    ///
    /// # Errors
    ///
    /// What is wrong with one was said.
    pub fn open(signing: &Signing, encryption: &Encryption, ui: &Ui) -> Result<Vault, Exit> {
        // First what may have to be unsealed: a signer may hold the only connection that its TPM takes.
        let wrap = seal::named(encryption, &signing.place, ui)?;
        Ok(Vault {
            signer: RefCell::new(sign::signer(signing, ui)?),
            wrap: RefCell::new(wrap),
            machine: sign::machine(ui)?,
            silent: false,
        })
    }

    /// The same keys, for states that were computed nobody knows where.
    pub fn unknown_machine(mut self) -> Vault {
        self.machine.clear();
        self
    }

    /// Whether what is written is signed.
    pub fn signs(&self) -> bool {
        self.signer.borrow().is_some()
    }

    /// Bytes as they are to be written: encrypted, where a key says so.
    ///
    /// # Errors
    ///
    /// What is wrong with the key.
    pub fn sealed(&self, bytes: Vec<u8>) -> Result<Vec<u8>, CryptError> {
        match &mut *self.wrap.borrow_mut() {
            Some(wrap) => crypt::seal(&bytes, &mut **wrap),
            None => Ok(bytes),
        }
    }

    /// Writes a snapshot, whole or not at all: signed and encrypted as the keys ask. What is signed is
    /// noted in the log of operations.
    ///
    /// # Errors
    ///
    /// [`RecordError::Io`].
    pub fn put(&self, path: &Path, operation: &str, mut snapshot: Snapshot) -> Result<(), RecordError> {
        let fail = |action, why: String| RecordError::Io {
            action,
            path: path.to_owned(),
            source: io::Error::other(why),
        };
        let mut signer = self.signer.borrow_mut();
        if let Some(signer) = &mut *signer {
            sign_snapshot(&mut snapshot, self.machine.clone(), None, &mut **signer)
                .map_err(|e| fail("sign", e.to_string()))?;
        }
        let bytes = self.sealed(snapshot.encode()).map_err(|e| fail("encrypt", e.to_string()))?;
        record::file::write_atomic(path, &bytes)?;
        // Without a key there is nobody to vouch for a log, and none is begun.
        if !self.silent && (signer.is_some() || sign::keeps_log()) {
            let details = BTreeMap::from([
                ("file".to_owned(), world::shown(path)),
                ("snapshot".to_owned(), Digest(snapshot.id()).to_string()),
            ]);
            let log = Path::new(operations::FILE);
            operations::append(
                log,
                world::seconds(),
                operation,
                details,
                signer.as_mut().map(|s| &mut **s as &mut dyn Signer),
            )
            .map_err(|e| fail("log", e.to_string()))?;
        }
        Ok(())
    }
}
