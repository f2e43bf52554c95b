//! The seam behind which a key signs.

use std::fmt;

use super::digest::Digest;
use super::manifest::Counter;

/// How a message is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA over P-256 of the message's SHA-256; a signature is DER (`SEQUENCE { r, s }`, FIPS 186-5 and RFC 3279).
    EcdsaP256Sha256,
    /// Ed25519 of the message itself (RFC 8032); a signature is 64 bytes.
    Ed25519,
}

impl Algorithm {
    /// The name in manifests and listings.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Algorithm::Ed25519 => "ed25519",
        }
    }

    /// The algorithm of that name.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        [Algorithm::EcdsaP256Sha256, Algorithm::Ed25519].into_iter().find(|a| a.name() == name)
    }
}

/// Where a key lives, and thus what its signature can promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing {
    /// A file: whoever reads it has the key.
    File,
    /// A TPM 2.0, which keeps the key to itself.
    Tpm {
        /// Its maker, as the TPM says it.
        maker: String,
        /// A program, not a chip: whoever runs it has the key, and an old state of it can be put back.
        software: bool,
    },
}

/// Why nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignError {
    /// What is wrong, in a sentence without secrets.
    pub why: String,
    /// What may help.
    pub help: Option<String>,
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for SignError {}

/// A private key that signs.
pub trait Signer {
    /// What names the key: the SHA-256 of [`Signer::public_key`], in lower-case hexadecimal.
    fn key_id(&self) -> &str;

    /// How it signs.
    fn algorithm(&self) -> Algorithm;

    /// The public half as `SubjectPublicKeyInfo` (RFC 5280), DER.
    fn public_key(&self) -> &[u8];

    /// Where the private half lives.
    fn backing(&self) -> Backing;

    /// The signature of a message, in the encoding of [`Signer::algorithm`].
    ///
    /// # Errors
    ///
    /// [`SignError`] where the key cannot be used: locked, gone, refused by its device.
    fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, SignError>;

    /// Counts one more manifest, where the key has a counter that only goes up: where it stands then. Asked before each
    /// manifest is written, which names it.
    ///
    /// # Errors
    ///
    /// [`SignError`] where there is one and it cannot be used.
    fn count(&mut self) -> Result<Option<Counter>, SignError> {
        Ok(None)
    }

    /// Takes note of a manifest that it has signed, by the hash of its text.
    ///
    /// # Errors
    ///
    /// [`SignError`] where it should and cannot.
    fn note(&mut self, manifest: &Digest) -> Result<(), SignError> {
        let _ = manifest;
        Ok(())
    }
}
