//! Wrapping keys of 256 bits, written as 64 hexadecimal digits in a file or a variable of the environment.

use std::fmt;
use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use super::{CryptError, DataKey, KeyWrap, Method, Wrapped};
use crate::keyfile::{KeyError, Source, create_private, read_private};

/// What is authenticated with a wrapped key.
const ABOUT: &[u8] = b"twinml wrapped key 1\n";

/// A wrapping key.
pub struct HexKey {
    key: DataKey,
    name: String,
}

impl fmt::Debug for HexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HexKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl HexKey {
    /// From its digits.
    ///
    /// # Errors
    ///
    /// [`CryptError::NoKey`], without the digits.
    pub fn from_text(text: &str, source: &str) -> Result<HexKey, CryptError> {
        let wrong = || CryptError::NoKey {
            why: format!("{source} holds no key: 64 hexadecimal digits are wanted"),
            help: Some("`twinc keys create NAME --algorithm aes-256` makes one".to_owned()),
        };
        let text = text.trim().as_bytes();
        if text.len() != 64 {
            return Err(wrong());
        }
        let mut bytes = Zeroizing::new([0u8; 32]);
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16);
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return Err(wrong()) };
            *byte = (high << 4 | low) as u8;
        }
        Ok(HexKey::of(DataKey(bytes)))
    }

    /// From where it is kept.
    ///
    /// # Errors
    ///
    /// [`CryptError::NoKey`].
    pub fn read(source: &Source, variable: &dyn Fn(&str) -> Option<String>) -> Result<HexKey, CryptError> {
        let failed = |e: KeyError| CryptError::NoKey { why: e.to_string(), help: e.help() };
        match source {
            Source::File(path) => {
                let bytes = read_private(path).map_err(failed)?;
                let text = std::str::from_utf8(&bytes).unwrap_or("");
                HexKey::from_text(text, &source.shown())
            }
            source => {
                let text = source.passphrase(variable, false).map_err(failed)?;
                HexKey::from_text(&text, &source.shown())
            }
        }
    }

    /// A new one.
    ///
    /// # Errors
    ///
    /// [`CryptError::Random`].
    pub fn generate() -> Result<HexKey, CryptError> {
        DataKey::generate().map(HexKey::of)
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        self.key.bytes()
    }

    /// The name is a hash of the key: of 256 random bits it tells nothing.
    pub(super) fn of(key: DataKey) -> HexKey {
        let digest = Sha256::new().chain_update(b"twinml wrapping key 1\n").chain_update(key.bytes());
        let name = digest.finalize().iter().take(16).fold("aes256-".to_owned(), |mut name, b| {
            let _ = write!(name, "{b:02x}");
            name
        });
        HexKey { key, name }
    }
}

impl KeyWrap for HexKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn wrap(&mut self, key: &DataKey) -> Result<Wrapped, CryptError> {
        let about = [ABOUT, self.name.as_bytes()].concat();
        let bytes = self.key.seal(key.bytes(), &about)?;
        Ok(Wrapped { method: Method::Aes256Gcm, by: self.name.clone(), bytes })
    }

    fn unwrap(&mut self, wrapped: &Wrapped) -> Result<DataKey, CryptError> {
        if wrapped.by != self.name || wrapped.method != Method::Aes256Gcm {
            return Err(CryptError::OtherKey { wanted: wrapped.by.clone(), given: self.name.clone() });
        }
        let about = [ABOUT, self.name.as_bytes()].concat();
        let bytes = Zeroizing::new(self.key.open(&wrapped.bytes, &about)?);
        DataKey::from_bytes(&bytes).ok_or(CryptError::Altered)
    }
}

/// Makes a new wrapping key in a new file for its owner alone; gives its name.
///
/// # Errors
///
/// [`KeyError`]; a file that is there stays as it is.
pub fn create_key_file(path: &Path) -> Result<String, KeyError> {
    let key = DataKey::generate().map_err(|_| KeyError::Random)?;
    let mut text = Zeroizing::new(String::with_capacity(65));
    for b in key.bytes() {
        let _ = write!(text, "{b:02x}");
    }
    text.push('\n');
    let made = create_private(path, text.as_bytes());
    text.zeroize();
    made.map(|()| HexKey::of(key).name)
}
