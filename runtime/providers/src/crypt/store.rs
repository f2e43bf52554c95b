//! Encrypted stores of timelines: the data key stands in the store, wrapped; every piece is sealed under it.

use twinml_engine::timeline::{Cipher, Store as _, StoreError};

use super::{CryptError, DataKey, KeyWrap, Wrapped};
use crate::store::{Embedded, KEY};

/// Seals the pieces of a store.
#[derive(Clone, Debug)]
pub struct Sealing(DataKey);

impl Cipher for Sealing {
    fn seal(&self, plain: &[u8], about: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.0.seal(plain, about).map_err(|e| StoreError::Outside { why: e.to_string() })
    }

    fn open(&self, sealed: &[u8], about: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.0.open(sealed, about).map_err(|e| StoreError::Corrupt { why: e.to_string() })
    }
}

/// Why an encrypted store cannot be used.
#[derive(Debug)]
pub enum StoreKeyError {
    /// The store.
    Store(StoreError),
    /// The key.
    Crypt(CryptError),
    /// A key was given, and the store has unencrypted nodes.
    Plain,
    /// A key is to be exchanged, and the store is not encrypted.
    NotEncrypted,
}

impl std::fmt::Display for StoreKeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreKeyError::Store(e) => write!(f, "{e}"),
            StoreKeyError::Crypt(e) => write!(f, "{e}"),
            StoreKeyError::Plain => {
                f.write_str("the store of timelines was begun without encryption, and has nodes")
            }
            StoreKeyError::NotEncrypted => f.write_str("the store of timelines is not encrypted"),
        }
    }
}

impl std::error::Error for StoreKeyError {}

impl From<StoreError> for StoreKeyError {
    fn from(e: StoreError) -> StoreKeyError {
        StoreKeyError::Store(e)
    }
}

impl From<CryptError> for StoreKeyError {
    fn from(e: CryptError) -> StoreKeyError {
        StoreKeyError::Crypt(e)
    }
}

impl StoreKeyError {
    /// What may help.
    pub fn help(&self) -> Option<String> {
        match self {
            StoreKeyError::Store(StoreError::Locked) => {
                Some("`--encryption-key SOURCE`, or set TWINML_ENCRYPTION_KEY".to_owned())
            }
            StoreKeyError::Crypt(e) => e.help().map(str::to_owned),
            StoreKeyError::Plain => Some("move it away to begin an encrypted one".to_owned()),
            _ => None,
        }
    }
}

/// Makes a store that was opened usable with the key at hand: an encrypted one is unlocked, an empty one begins to be
/// encrypted; without a key, one that is not encrypted stays as it is.
///
/// # Errors
///
/// [`StoreKeyError`]: an encrypted one without its key, one with unencrypted nodes and a key.
pub fn unlock(store: &mut Embedded, wrap: Option<&mut dyn KeyWrap>) -> Result<(), StoreKeyError> {
    match (store.note(KEY)?, wrap) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(StoreError::Locked.into()),
        (Some(wrapped), Some(wrap)) => {
            let key = wrap.unwrap(&Wrapped::from_bytes(&wrapped)?)?;
            Ok(store.unlock(Box::new(Sealing(key)))?)
        }
        (None, Some(wrap)) => {
            if !store.nodes()?.is_empty() {
                return Err(StoreKeyError::Plain);
            }
            let key = DataKey::generate()?;
            store.set_note(KEY, Some(&wrap.wrap(&key)?.to_bytes()))?;
            Ok(store.unlock(Box::new(Sealing(key)))?)
        }
    }
}

/// What names the key that wraps the store's data key; none where the store is not encrypted.
///
/// # Errors
///
/// [`StoreKeyError`].
pub fn wrapped_by(store: &Embedded) -> Result<Option<String>, StoreKeyError> {
    let wrapped = store.note(KEY)?.map(|bytes| Wrapped::from_bytes(&bytes)).transpose()?;
    Ok(wrapped.map(|w| w.by))
}

/// Wraps the store's data key by another key, in one transaction: before it the old key opens the store, after it the
/// new one, and at every moment one of them. No node is touched.
///
/// # Errors
///
/// [`StoreKeyError`]; the store is then as it was.
pub fn rotate(
    store: &mut Embedded,
    from: &mut dyn KeyWrap,
    to: &mut dyn KeyWrap,
) -> Result<(), StoreKeyError> {
    let wrapped = store.note(KEY)?.ok_or(StoreKeyError::NotEncrypted)?;
    let key = from.unwrap(&Wrapped::from_bytes(&wrapped)?)?;
    let anew = to.wrap(&key)?;
    // What the new key cannot open must not take the place of what the old one can.
    if to.unwrap(&anew)? != key {
        return Err(CryptError::Altered.into());
    }
    Ok(store.set_note(KEY, Some(&anew.to_bytes()))?)
}
