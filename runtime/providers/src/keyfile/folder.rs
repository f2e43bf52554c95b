//! A folder of keys: `NAME.key` is a private key, `NAME.pub.pem` its public half; keys that live elsewhere (a TPM)
//! have a file `NAME.tpm` that says where; `NAME.aes` is a key that encrypts, `NAME.sealed` one that a TPM keeps.

use std::fs;
use std::path::{Path, PathBuf};

use twinml_engine::provenance::{PublicKey, Trust};

use super::{KeyError, KeyFile};

/// A folder of keys.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// Where the private half of a key of the folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In this file ([`KeyFile::read`]).
    File(PathBuf),
    /// In a TPM, of which this file tells.
    Tpm(PathBuf),
    /// It is a key that encrypts, in this file ([`crate::crypt::HexKey`]).
    Encrypts(PathBuf),
    /// It is a key that encrypts, sealed in a TPM, of which this file tells.
    Sealed(PathBuf),
    /// Not here: only the public half is.
    Elsewhere,
}

/// A key of the folder.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its public half; `None` where the file is damaged.
    pub public: Option<PublicKey>,
    /// Its private half.
    pub kept: Kept,
    /// Whether the private half needs a passphrase.
    pub locked: bool,
}

const PUBLIC: &str = ".pub.pem";

/// A public key's longest file, in bytes.
const LONGEST: u64 = 16 << 10;

impl Folder {
    /// At this place; it need not be there yet.
    pub fn at(path: &Path) -> Folder {
        Folder { path: path.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of a private key.
    pub fn key(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.key"))
    }

    /// The file that tells of a key in a TPM.
    pub fn tpm(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.tpm"))
    }

    /// The file of a key that encrypts.
    pub fn aes(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.aes"))
    }

    /// The file that tells of a key that encrypts and is sealed in a TPM.
    pub fn sealed(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.sealed"))
    }

    /// The file of a public key.
    pub fn public(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}{PUBLIC}"))
    }

    /// Makes a key and keeps it here under a new name.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn create(&self, name: &str, key: &KeyFile, passphrase: Option<&str>) -> Result<(), KeyError> {
        self.prepare(name)?;
        key.create(&self.key(name), passphrase)?;
        self.publish(name, key.public())
    }

    /// Makes the folder, for its owner alone, and sees that the name is a name and free.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn prepare(&self, name: &str) -> Result<(), KeyError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 100 || !name.bytes().all(plain) || name.starts_with(['.', '-']) {
            return Err(KeyError::Name(name.to_owned()));
        }
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt as _;
            builder.mode(0o700);
        }
        builder.create(&self.path).map_err(KeyError::io("create", &self.path))?;
        match [self.key(name), self.tpm(name), self.aes(name), self.sealed(name), self.public(name)]
            .into_iter()
            .find(|p| p.exists())
        {
            Some(path) => Err(KeyError::Exists(path)),
            None => Ok(()),
        }
    }

    /// Puts a public half beside its key.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn publish(&self, name: &str, public: &PublicKey) -> Result<(), KeyError> {
        let path = self.public(name);
        let file = fs::OpenOptions::new().write(true).create_new(true).open(&path);
        let written = file.and_then(|mut f| {
            std::io::Write::write_all(&mut f, public.pem().as_bytes())?;
            f.sync_all()
        });
        written.map_err(KeyError::io("create", &path))
    }

    /// The keys, by name. A folder that is not there has none.
    ///
    /// # Errors
    ///
    /// [`KeyError::Io`].
    pub fn list(&self) -> Result<Vec<Listed>, KeyError> {
        let entries = match fs::read_dir(&self.path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(KeyError::io("read", &self.path))?,
        };
        let mut names = std::collections::BTreeSet::new();
        for entry in entries {
            let name = entry.map_err(KeyError::io("read", &self.path))?.file_name();
            let Some(name) = name.to_str() else { continue };
            let stem =
                [".key", ".tpm", ".aes", ".sealed", PUBLIC].iter().find_map(|end| name.strip_suffix(end));
            names.extend(stem.filter(|s| !s.is_empty() && !s.starts_with('.')).map(str::to_owned));
        }
        Ok(names.into_iter().map(|name| self.one(name)).collect())
    }

    fn one(&self, name: String) -> Listed {
        let (key, tpm, aes) = (self.key(&name), self.tpm(&name), self.aes(&name));
        let sealed = self.sealed(&name);
        let public = read_public(&self.public(&name)).ok();
        let locked = key.exists()
            && super::read_private(&key)
                .is_ok_and(|text| text.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        let kept = match () {
            () if key.exists() => Kept::File(key),
            () if tpm.exists() => Kept::Tpm(tpm),
            () if aes.exists() => Kept::Encrypts(aes),
            () if sealed.exists() => Kept::Sealed(sealed),
            () => Kept::Elsewhere,
        };
        Listed { name, public, kept, locked }
    }

    /// The key of that name.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unknown`], with the names that there are.
    pub fn find(&self, name: &str) -> Result<Listed, KeyError> {
        let all = self.list()?;
        let names = all.iter().map(|l| l.name.clone()).collect();
        let found = all.into_iter().find(|l| l.name == name);
        found.ok_or_else(|| KeyError::Unknown { name: name.to_owned(), folder: self.path.clone(), names })
    }
}

/// A public key from a PEM file.
///
/// # Errors
///
/// [`KeyError`].
pub fn read_public(path: &Path) -> Result<PublicKey, KeyError> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = fs::File::open(path).map_err(KeyError::io("read", path))?;
    let wrong = |why| KeyError::NoKey { path: path.to_owned(), why };
    file.take(LONGEST).read_to_string(&mut text).map_err(KeyError::io("read", path))?;
    PublicKey::from_pem(&text).map_err(|_| wrong("it is no public key of P-256 or Ed25519 in PEM"))
}

/// The public keys (`*.pem`) of a folder, to be trusted; in the order of their names.
///
/// # Errors
///
/// [`KeyError`]: a file that ends in `.pem` and is no public key is not passed over.
pub fn read_trust(folder: &Path, trust: &mut Trust) -> Result<(), KeyError> {
    let entries = fs::read_dir(folder).map_err(KeyError::io("read", folder))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(KeyError::io("read", folder))?.path();
        if path.extension().is_some_and(|e| e == "pem") {
            paths.push(path);
        }
    }
    paths.sort();
    for path in paths {
        trust.add(read_public(&path)?);
    }
    Ok(())
}
