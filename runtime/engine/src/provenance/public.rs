//! The public half of a key: what it is called, and what it says about a signature.

use std::fmt;

use ed25519_dalek::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::spki::der::pem::LineEnding;

use super::digest::Digest;
use super::signer::Algorithm;

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: String,
    der: Vec<u8>,
    key: Key,
}

#[derive(Clone, PartialEq, Eq)]
enum Key {
    P256(p256::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

/// Bytes or text that are no public key of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoKey;

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is no public key (P-256 or Ed25519, `SubjectPublicKeyInfo`)")
    }
}

impl std::error::Error for NoKey {}

impl PublicKey {
    /// From `SubjectPublicKeyInfo`, DER (RFC 5280; points uncompressed). Only the one encoding of a key is taken, since
    /// the key's name is its hash.
    ///
    /// # Errors
    ///
    /// [`NoKey`].
    pub fn from_der(der: &[u8]) -> Result<PublicKey, NoKey> {
        let key = if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_der(der) {
            Key::P256(key)
        } else {
            let key = ed25519_dalek::VerifyingKey::from_public_key_der(der).map_err(|_| NoKey)?;
            // A key of small order accepts signatures of anything.
            if key.is_weak() {
                return Err(NoKey);
            }
            Key::Ed25519(key)
        };
        let again = match &key {
            Key::P256(key) => key.to_public_key_der(),
            Key::Ed25519(key) => key.to_public_key_der(),
        };
        if again.map_err(|_| NoKey)?.as_bytes() != der {
            return Err(NoKey);
        }
        Ok(PublicKey { id: Digest::of(der).to_string(), der: der.to_owned(), key })
    }

    /// From PEM (`PUBLIC KEY`, RFC 7468), as [`PublicKey::pem`] and `openssl` write it.
    ///
    /// # Errors
    ///
    /// [`NoKey`].
    pub fn from_pem(text: &str) -> Result<PublicKey, NoKey> {
        let (label, document) = p256::pkcs8::Document::from_pem(text).map_err(|_| NoKey)?;
        if label != "PUBLIC KEY" {
            return Err(NoKey);
        }
        PublicKey::from_der(document.as_bytes())
    }

    /// PEM, with a line feed at the end of each line.
    pub fn pem(&self) -> String {
        let pem = match &self.key {
            Key::P256(key) => key.to_public_key_pem(LineEnding::LF),
            Key::Ed25519(key) => key.to_public_key_pem(LineEnding::LF),
        };
        // The key was made from such an encoding and encodes to it again.
        pem.unwrap_or_default()
    }

    /// What names the key: the SHA-256 of [`PublicKey::der`], in lower-case hexadecimal.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `SubjectPublicKeyInfo`, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        match self.key {
            Key::P256(_) => Algorithm::EcdsaP256Sha256,
            Key::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// Whether the signature, in its one encoding ([`canonical`]), is the key's of the message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        if canonical(self.algorithm(), signature).as_deref() != Some(signature) {
            return false;
        }
        match &self.key {
            Key::P256(key) => {
                p256::ecdsa::Signature::from_der(signature).is_ok_and(|s| key.verify(message, &s).is_ok())
            }
            Key::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|s| key.verify_strict(message, &s).is_ok()),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("algorithm", &self.algorithm()).field("id", &self.id).finish()
    }
}

/// The one encoding of a signature: where (r, s) of ECDSA is valid, (r, n − s) is too, and the smaller `s` is taken.
/// `None` for bytes that are no signature.
pub fn canonical(algorithm: Algorithm, signature: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::EcdsaP256Sha256 => {
            let signature = p256::ecdsa::Signature::from_der(signature).ok()?;
            Some(signature.normalize_s().to_der().as_bytes().to_owned())
        }
        Algorithm::Ed25519 => (signature.len() == 64).then(|| signature.to_owned()),
    }
}
