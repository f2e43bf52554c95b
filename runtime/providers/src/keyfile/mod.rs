//! Keys in files: PKCS#8 in PEM, for P-256 and Ed25519, as `openssl` reads and writes them.
//!
//! A file is made for its owner alone (mode 0600) and refused where others may read it. With a passphrase it is
//! encrypted by PBES2: scrypt (N = 2¹⁴, r = 8, p = 1) and AES-256-CBC, the strongest that `openssl` takes without being
//! asked twice. What was read of a secret is wiped when it is dropped.

mod folder;
mod secret;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::EncodePublicKey as _;
use pkcs8::der::pem::{LineEnding, PemLabel as _};
use pkcs8::{
    DecodePrivateKey as _, EncodePrivateKey as _, EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef,
    SecretDocument,
};
use twinml_engine::provenance::{Algorithm, Backing, PublicKey, SignError, Signer};
use zeroize::Zeroizing;

pub use folder::{Folder, Kept, Listed, read_public, read_trust};
pub use secret::{Passphrase, Source};

/// A key file's longest text, in bytes.
const LONGEST: u64 = 64 << 10;

/// The most memory that unlocking a key may take, in bytes: what a file asks for beyond is refused.
const MOST_MEMORY: u64 = 512 << 20;

/// The most rounds of PBKDF2 that unlocking a key may take.
const MOST_ROUNDS: u32 = 20_000_000;

/// Why a key cannot be had.
#[derive(Debug)]
pub enum KeyError {
    /// The system refuses.
    Io {
        /// What was tried: `read`, `create`.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// There is one of this name already.
    Exists(PathBuf),
    /// Others than the owner may read the file.
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file is no private key of ours.
    NoKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file is locked by a passphrase, and none was given.
    Locked(PathBuf),
    /// The passphrase is not the one.
    Passphrase(PathBuf),
    /// A passphrase that was asked for cannot be had.
    NoPassphrase {
        /// From where.
        source: String,
        /// Why not.
        why: String,
    },
    /// No key of this name is there.
    Unknown {
        /// The name.
        name: String,
        /// The folder.
        folder: PathBuf,
        /// What is there.
        names: Vec<String>,
    },
    /// This cannot be a key's name.
    Name(String),
    /// The system gives no random numbers.
    Random,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
            KeyError::Exists(path) => write!(f, "{} is there already", path.display()),
            KeyError::Open { path, mode } => {
                write!(f, "others may read the key {} (its mode is {:04o})", path.display(), mode & 0o7777)
            }
            KeyError::NoKey { path, why } => write!(f, "{} is no signing key: {why}", path.display()),
            KeyError::Locked(path) => write!(f, "the key {} is locked by a passphrase", path.display()),
            KeyError::Passphrase(path) => {
                write!(f, "the passphrase does not unlock the key {}", path.display())
            }
            KeyError::NoPassphrase { source, why } => write!(f, "no passphrase from {source}: {why}"),
            KeyError::Unknown { name, folder, .. } => {
                write!(f, "there is no key `{name}` in {}", folder.display())
            }
            KeyError::Name(name) => write!(f, "`{name}` cannot be a key's name"),
            KeyError::Random => f.write_str("the system gives no random numbers"),
        }
    }
}

impl std::error::Error for KeyError {}

impl KeyError {
    /// What may help.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            KeyError::Open { path, .. } => format!("`chmod 600 {}`, if nobody has read it", path.display()),
            KeyError::Exists(_) => "take another name; a key is never overwritten".to_owned(),
            KeyError::NoKey { .. } => {
                "it must be PKCS#8 in PEM, of P-256 or Ed25519; `twinc keys create` makes one".to_owned()
            }
            KeyError::Locked(_) | KeyError::Passphrase(_) => {
                "`--passphrase env:NAME`, `--passphrase file:PATH` or `--passphrase prompt`".to_owned()
            }
            KeyError::Unknown { names, .. } if names.is_empty() => {
                "`twinc keys create NAME` makes one".to_owned()
            }
            KeyError::Unknown { names, .. } => format!("there are: {}", names.join(", ")),
            KeyError::Name(_) => "letters, digits, `-`, `_` and `.`, not at the beginning".to_owned(),
            KeyError::Io { .. } | KeyError::NoPassphrase { .. } | KeyError::Random => return None,
        })
    }

    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
        let path = path.to_owned();
        move |source| KeyError::Io { action, path, source }
    }
}

impl From<KeyError> for SignError {
    fn from(e: KeyError) -> SignError {
        SignError { why: e.to_string(), help: e.help() }
    }
}

/// A private key from a file.
pub struct KeyFile {
    key: Key,
    public: PublicKey,
}

// Both wipe their secrets when they are dropped.
enum Key {
    P256(p256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile").field("public", &self.public).finish_non_exhaustive()
    }
}

impl KeyFile {
    /// A new key, from the system's random numbers.
    ///
    /// # Errors
    ///
    /// [`KeyError::Random`].
    pub fn generate(algorithm: Algorithm) -> Result<KeyFile, KeyError> {
        let mut secret = Zeroizing::new([0; 32]);
        loop {
            getrandom::fill(&mut *secret).map_err(|_| KeyError::Random)?;
            let key = match algorithm {
                // Zero and what is not below the group's order are no keys: one draw in 2³².
                Algorithm::EcdsaP256Sha256 => match p256::ecdsa::SigningKey::from_slice(&*secret) {
                    Ok(key) => Key::P256(key),
                    Err(_) => continue,
                },
                Algorithm::Ed25519 => Key::Ed25519(ed25519_dalek::SigningKey::from_bytes(&secret)),
            };
            if let Some(made) = KeyFile::of(key) {
                return Ok(made);
            }
        }
    }

    fn of(key: Key) -> Option<KeyFile> {
        let der = match &key {
            Key::P256(key) => key.verifying_key().to_public_key_der(),
            Key::Ed25519(key) => key.verifying_key().to_public_key_der(),
        };
        let public = PublicKey::from_der(der.ok()?.as_bytes()).ok()?;
        Some(KeyFile { key, public })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Reads a key. `passphrase` is asked only where the file is locked.
    ///
    /// # Errors
    ///
    /// [`KeyError`]; a file that others may read is refused.
    pub fn read(path: &Path, passphrase: &mut Passphrase<'_>) -> Result<KeyFile, KeyError> {
        let text = read_private(path)?;
        let wrong = |why| KeyError::NoKey { path: path.to_owned(), why };
        let text = std::str::from_utf8(&text).map_err(|_| wrong("it is no text"))?;
        let (label, document) = SecretDocument::from_pem(text).map_err(|_| wrong("it is no PEM"))?;
        let document = match label {
            PrivateKeyInfoRef::PEM_LABEL => document,
            EncryptedPrivateKeyInfoRef::PEM_LABEL => {
                let locked = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
                    .map_err(|_| wrong("its encryption is none that this version knows"))?;
                affordable(&locked).map_err(wrong)?;
                let Some(secret) = passphrase()? else { return Err(KeyError::Locked(path.to_owned())) };
                locked.decrypt(secret.as_bytes()).map_err(|_| KeyError::Passphrase(path.to_owned()))?
            }
            _ => return Err(wrong("it is not labelled `PRIVATE KEY`")),
        };
        let der = document.as_bytes();
        let key = if let Ok(key) = p256::ecdsa::SigningKey::from_pkcs8_der(der) {
            Key::P256(key)
        } else if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_der(der) {
            Key::Ed25519(key)
        } else {
            return Err(wrong("it is a key of another kind"));
        };
        KeyFile::of(key).ok_or_else(|| wrong("its public half has no encoding"))
    }

    /// Writes the key to a new file for its owner alone, locked where a passphrase is given.
    ///
    /// # Errors
    ///
    /// [`KeyError`]; a file that is there stays as it is.
    pub fn create(&self, path: &Path, passphrase: Option<&str>) -> Result<(), KeyError> {
        let unlocked = |e: pkcs8::Result<SecretDocument>| e.map_err(|_| KeyError::Random);
        let der = match &self.key {
            Key::P256(key) => unlocked(key.to_pkcs8_der())?,
            // Without the public half beside it (RFC 5958's version 2), which `openssl` does not read.
            Key::Ed25519(key) => {
                let secret_key = *Zeroizing::new(key.to_bytes());
                let alone = ed25519_dalek::pkcs8::KeypairBytes { secret_key, public_key: None };
                unlocked(alone.to_pkcs8_der())?
            }
        };
        let text = match passphrase {
            None => der.to_pem(PrivateKeyInfoRef::PEM_LABEL, LineEnding::LF),
            Some(secret) => {
                let info = PrivateKeyInfoRef::try_from(der.as_bytes()).map_err(|_| KeyError::Random)?;
                let locked = info.encrypt(secret.as_bytes()).map_err(|_| KeyError::Random)?;
                locked.to_pem(EncryptedPrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)
            }
        };
        let text = text.map_err(|_| KeyError::Random)?;
        create_private(path, text.as_bytes())
    }
}

/// Whether a locked file can be unlocked at a cost that is no attack.
fn affordable(locked: &EncryptedPrivateKeyInfoRef<'_>) -> Result<(), &'static str> {
    let Some(scheme) = locked.encryption_algorithm.pbes2() else {
        return Err("its encryption is not PBES2");
    };
    if let Some(scrypt) = scheme.kdf.scrypt() {
        let blocks = u64::from(scrypt.block_size).saturating_mul(u64::from(scrypt.parallelization));
        let memory = scrypt.cost_parameter.saturating_mul(blocks).saturating_mul(128);
        if memory > MOST_MEMORY {
            return Err("to unlock it would take more than 512 MiB");
        }
    }
    if scheme.kdf.pbkdf2().is_some_and(|p| p.iteration_count > MOST_ROUNDS) {
        return Err("to unlock it would take more than 20 million rounds");
    }
    Ok(())
}

impl Signer for KeyFile {
    fn key_id(&self) -> &str {
        self.public.id()
    }

    fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    fn public_key(&self) -> &[u8] {
        self.public.der()
    }

    fn backing(&self) -> Backing {
        Backing::File
    }

    /// ECDSA by RFC 6979: one message has one signature, and no random number can betray the key.
    fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let fail = |_| SignError { why: "the key does not sign".to_owned(), help: None };
        Ok(match &self.key {
            Key::P256(key) => {
                let signature: p256::ecdsa::Signature = key.try_sign(message).map_err(fail)?;
                signature.normalize_s().to_der().as_bytes().to_owned()
            }
            Key::Ed25519(key) => key.try_sign(message).map_err(fail)?.to_bytes().to_vec(),
        })
    }
}

/// The bytes of a secret file, which must be its owner's alone; wiped when dropped.
///
/// # Errors
///
/// [`KeyError::Io`], [`KeyError::Open`]; [`KeyError::NoKey`] where it is too long or no regular file.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let wrong = |why| KeyError::NoKey { path: path.to_owned(), why };
    // Of a pipe, opening alone would wait for a writer.
    let facts = std::fs::metadata(path).map_err(KeyError::io("read", path))?;
    if !facts.is_file() {
        return Err(wrong("it is no regular file"));
    }
    let mut file = File::open(path).map_err(KeyError::io("read", path))?;
    // What is looked at is what is read, whatever the name stands for by now.
    let facts = file.metadata().map_err(KeyError::io("read", path))?;
    if !facts.is_file() || facts.len() > LONGEST {
        return Err(wrong("it is longer than 64 KiB"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = facts.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(KeyError::Open { path: path.to_owned(), mode });
        }
    }
    // All room at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
    (&mut file).take(LONGEST).read_to_end(&mut bytes).map_err(KeyError::io("read", path))?;
    Ok(bytes)
}

/// Writes a new file that only its owner may read, and sees that it is on disk.
///
/// # Errors
///
/// [`KeyError::Exists`], [`KeyError::Io`].
pub fn create_private(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists(path.to_owned()),
        _ => KeyError::io("create", path)(e),
    })?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(e) = written {
        // Half a key is no key.
        let _ = std::fs::remove_file(path);
        return Err(KeyError::io("write", path)(e));
    }
    if let Some(folder) = path.parent().and_then(|p| File::open(p).ok()) {
        let _ = folder.sync_all();
    }
    Ok(())
}
