//! Encryption at rest: AES-256-GCM under data keys that are themselves wrapped.
//!
//! What is kept is encrypted by a [`DataKey`], drawn for it alone. The data key stands beside it, wrapped by a key that
//! somebody keeps elsewhere ([`KeyWrap`]: a file, the environment, a TPM). To take another wrapping key is then to wrap
//! one key anew: what is kept stays as it is.
//!
//! Secrets are wiped when they are dropped, compared in constant time, and printed by nothing.

mod file;
mod hexkey;
mod sealed;
pub mod store;

use std::fmt;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use subtle::ConstantTimeEq as _;
use twinml_model::bytes::{Malformed, Persist, Reader, Writer};
use zeroize::Zeroizing;

pub use file::{HEAD, is_sealed, open, rewrap, seal, wrapped};
pub use hexkey::{HexKey, create_key_file};

/// Why something cannot be encrypted or decrypted. It never says what was to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CryptError {
    /// The bytes are not what was sealed, or by another key, or about something else.
    Altered,
    /// The data key was wrapped by another key than the one at hand.
    OtherKey {
        /// What names the key that wrapped it.
        wanted: String,
        /// What names the key at hand.
        given: String,
    },
    /// The bytes are no sealed file, or not of this version.
    Form(Malformed),
    /// The wrapping key cannot be had.
    NoKey {
        /// Why, without the key.
        why: String,
        /// What may help.
        help: Option<String>,
    },
    /// The system gives no random numbers.
    Random,
}

impl fmt::Display for CryptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CryptError::Altered => f.write_str("it is not what was encrypted, or by another key"),
            CryptError::OtherKey { wanted, given } => {
                write!(f, "it is encrypted under the key {wanted}, and this is the key {given}")
            }
            CryptError::Form(e) => write!(f, "it is no encrypted file: {e}"),
            CryptError::NoKey { why, .. } => f.write_str(why),
            CryptError::Random => f.write_str("the system gives no random numbers"),
        }
    }
}

impl std::error::Error for CryptError {}

impl CryptError {
    /// What may help.
    pub fn help(&self) -> Option<&str> {
        match self {
            CryptError::NoKey { help, .. } => help.as_deref(),
            _ => None,
        }
    }
}

/// A key of AES-256 that encrypts what is kept.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A new one.
    ///
    /// # Errors
    ///
    /// [`CryptError::Random`].
    pub fn generate() -> Result<DataKey, CryptError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).map_err(|_| CryptError::Random)?;
        Ok(DataKey(key))
    }

    /// Of 32 bytes; `None` of any other number.
    pub fn from_bytes(bytes: &[u8]) -> Option<DataKey> {
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(DataKey(key))
    }

    /// The bytes, for whoever wraps it.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&*self.0).into())
    }

    /// Seals a piece under a random nonce, which stands before it: 28 bytes more than the piece. `about` is
    /// authenticated with it, so that pieces cannot be exchanged. One key seals at most 2³² pieces.
    ///
    /// # Errors
    ///
    /// [`CryptError::Random`].
    pub fn seal(&self, plain: &[u8], about: &[u8]) -> Result<Vec<u8>, CryptError> {
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce).map_err(|_| CryptError::Random)?;
        let mut out = nonce.to_vec();
        out.extend(self.seal_at(&nonce, plain, about)?);
        Ok(out)
    }

    /// Opens a piece.
    ///
    /// # Errors
    ///
    /// [`CryptError::Altered`].
    pub fn open(&self, sealed: &[u8], about: &[u8]) -> Result<Vec<u8>, CryptError> {
        let (nonce, rest) = sealed.split_first_chunk::<12>().ok_or(CryptError::Altered)?;
        self.open_at(nonce, rest, about)
    }

    fn seal_at(&self, nonce: &[u8; 12], plain: &[u8], about: &[u8]) -> Result<Vec<u8>, CryptError> {
        // It fails for pieces above 64 GiB only.
        let payload = Payload { msg: plain, aad: about };
        self.cipher().encrypt(&Nonce::from(*nonce), payload).map_err(|_| CryptError::Altered)
    }

    fn open_at(&self, nonce: &[u8; 12], sealed: &[u8], about: &[u8]) -> Result<Vec<u8>, CryptError> {
        let payload = Payload { msg: sealed, aad: about };
        self.cipher().decrypt(&Nonce::from(*nonce), payload).map_err(|_| CryptError::Altered)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

/// In constant time.
impl PartialEq for DataKey {
    fn eq(&self, other: &DataKey) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for DataKey {}

/// How a data key is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Method {
    /// AES-256-GCM under a key of 256 bits.
    Aes256Gcm = 1,
    /// Sealed by a TPM.
    Tpm = 2,
}

/// A data key, wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// How.
    pub method: Method,
    /// What names the key that wrapped it; printable, and no secret.
    pub by: String,
    /// What only that key opens.
    pub bytes: Vec<u8>,
}

impl Persist for Wrapped {
    const LEAST: usize = 1 + 8 + 8;

    fn save(&self, to: &mut Writer) {
        to.put(&(self.method as u8)).text(&self.by).slice(&self.bytes);
    }

    fn load(from: &mut Reader<'_>) -> Result<Wrapped, Malformed> {
        let at = from.at();
        let method = match from.get::<u8>()? {
            1 => Method::Aes256Gcm,
            2 => Method::Tpm,
            n => return Err(Malformed { at, why: format!("{n} is no way to wrap a key") }),
        };
        let at = from.at();
        let by = from.text()?.to_owned();
        if by.chars().any(char::is_control) {
            return Err(Malformed { at, why: "a key's name has control characters".into() });
        }
        let len = from.length(1)?;
        Ok(Wrapped { method, by, bytes: from.raw(len)?.to_vec() })
    }
}

impl Wrapped {
    /// As bytes, for a place that keeps bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::new();
        to.put(self);
        to.finish()
    }

    /// Reads what [`Wrapped::to_bytes`] made.
    ///
    /// # Errors
    ///
    /// [`CryptError::Form`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Wrapped, CryptError> {
        let mut from = Reader::new(bytes);
        let wrapped = from.get().map_err(CryptError::Form)?;
        match from.left() {
            0 => Ok(wrapped),
            _ => Err(CryptError::Form(from.malformed("something follows the wrapped key"))),
        }
    }
}

/// A key that wraps data keys: the seam to files, the environment and a TPM.
pub trait KeyWrap {
    /// What names it: printable, no secret, another for another key.
    fn name(&self) -> &str;

    /// Wraps a data key.
    ///
    /// # Errors
    ///
    /// [`CryptError::NoKey`] where the key cannot be used, [`CryptError::Random`].
    fn wrap(&mut self, key: &DataKey) -> Result<Wrapped, CryptError>;

    /// Opens what it has wrapped.
    ///
    /// # Errors
    ///
    /// [`CryptError::OtherKey`], [`CryptError::Altered`], [`CryptError::NoKey`].
    fn unwrap(&mut self, wrapped: &Wrapped) -> Result<DataKey, CryptError>;
}

/// Holds a wrapping key to what the seam promises; `other` is another one.
///
/// # Errors
///
/// What it does not hold, in a sentence.
pub fn holds(wrap: &mut dyn KeyWrap, other: &mut dyn KeyWrap) -> Result<(), String> {
    if wrap.name() == other.name() || wrap.name().is_empty() {
        return Err("two wrapping keys have one name".into());
    }
    let key = DataKey::generate().map_err(|e| e.to_string())?;
    let wrapped = wrap.wrap(&key).map_err(|e| e.to_string())?;
    if wrapped.by != wrap.name() {
        return Err("what it wraps does not bear its name".into());
    }
    if Wrapped::from_bytes(&wrapped.to_bytes()).as_ref() != Ok(&wrapped) {
        return Err("a wrapped key does not read back".into());
    }
    if wrapped.bytes.windows(32).any(|w| w == key.bytes()) {
        return Err("the data key stands in the clear".into());
    }
    if wrap.unwrap(&wrapped).as_ref() != Ok(&key) {
        return Err("a round trip gives another key".into());
    }
    if other.unwrap(&wrapped).is_ok() {
        return Err("another key opens it".into());
    }
    for at in 0..wrapped.bytes.len() {
        let mut damaged = wrapped.clone();
        damaged.bytes[at] ^= 1;
        // A device may keep spare bits; it must not give another key.
        if wrap.unwrap(&damaged).is_ok_and(|k| k != key) {
            return Err(format!("with byte {at} altered it gives another key"));
        }
    }
    Ok(())
}
