//! The envelope: DSSE (Dead Simple Signing Envelope) version 1 with one signature, in one encoding.
//!
//! `{"payload":…,"payloadType":…,"signatures":[{"keyid":…,"sig":…}]}` as [`canonical`] JSON, payload and signature in
//! the standard base64 of RFC 4648 with its padding. A reader refuses bytes that differ from re-encoding what it read.
//! What the key signs is the pre-authentication encoding [`pae`] of type and payload.

use base64ct::{Base64, Encoding as _};

use super::canonical::{self, Value};
use super::digest::Digest;
use super::manifest::{Fields, Wrong};
use super::public::PublicKey;
use super::public::canonical as canonical_signature;
use super::signer::{SignError, Signer};

/// An envelope's longest text, in bytes: a manifest with 100,000 parts fits.
pub const LONGEST: usize = 64 << 20;

/// A signed payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// What is signed.
    pub payload: Vec<u8>,
    /// Which key signed, as a hint: what counts stands in the payload.
    pub key_id: String,
    /// The signature of [`pae`].
    pub signature: Vec<u8>,
}

/// What is signed: type and payload with their lengths, so that no pair passes for another (DSSE, pre-authentication
/// encoding).
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

impl Envelope {
    /// Signs. The signature is brought to its one encoding and verified before it is let out: a device that failed
    /// while signing is found here, not by the reader.
    ///
    /// # Errors
    ///
    /// [`SignError`].
    pub fn sign(
        payload_type: &str,
        payload: Vec<u8>,
        signer: &mut (impl Signer + ?Sized),
    ) -> Result<Envelope, SignError> {
        let fail = |why: &str| SignError { why: why.to_owned(), help: None };
        let key = PublicKey::from_der(signer.public_key())
            .map_err(|e| fail(&format!("the signer's public key cannot be read: {e}")))?;
        if key.id() != signer.key_id() || key.algorithm() != signer.algorithm() {
            return Err(fail("the signer calls itself by another name than its public key has"));
        }
        let message = pae(payload_type, &payload);
        let signature = signer.sign(&message)?;
        let signature = canonical_signature(key.algorithm(), &signature)
            .ok_or_else(|| fail("what the signer gave is no signature"))?;
        if !key.verifies(&message, &signature) {
            return Err(fail("the signer gave a signature that its own public key refuses"));
        }
        Ok(Envelope {
            payload_type: payload_type.to_owned(),
            payload,
            key_id: key.id().to_owned(),
            signature,
        })
    }

    /// The envelope's text.
    pub fn text(&self) -> String {
        let signature = Value::map([
            ("keyid", Value::text(&self.key_id)),
            ("sig", Value::Text(Base64::encode_string(&self.signature))),
        ]);
        canonical::write(&Value::map([
            ("payload", Value::Text(Base64::encode_string(&self.payload))),
            ("payloadType", Value::text(&self.payload_type)),
            ("signatures", Value::List(vec![signature])),
        ]))
    }

    /// Reads what [`Envelope::text`] wrote, and nothing else.
    ///
    /// # Errors
    ///
    /// [`Wrong`], with the field.
    pub fn read(bytes: &[u8]) -> Result<Envelope, Wrong> {
        if bytes.len() > LONGEST {
            return Err(Wrong::new("envelope", format!("it is longer than {LONGEST} bytes")));
        }
        let value = canonical::read(bytes).map_err(|e| Wrong::new("envelope", e.to_string()))?;
        let mut fields = Fields::of("envelope", value)?;
        let payload = base64("payload", &fields.text("payload")?)?;
        let payload_type = fields.text("payloadType")?;
        let one = match fields.take("signatures")? {
            Value::List(mut all) if all.len() == 1 => all.pop(),
            _ => None,
        };
        let one = one.ok_or_else(|| Wrong::new("signatures", "one signature is wanted"))?;
        let mut signature = Fields::of("signatures", one)?;
        let key_id = signature.digest("keyid")?.to_string();
        let sig = base64("sig", &signature.text("sig")?)?;
        signature.end()?;
        fields.end()?;
        let envelope = Envelope { payload_type, payload, key_id, signature: sig };
        if envelope.text().as_bytes() != bytes {
            return Err(Wrong::new("envelope", "it is not written in the canonical form"));
        }
        Ok(envelope)
    }

    /// Whether the key's signature is on it.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.id() == self.key_id && key.verifies(&pae(&self.payload_type, &self.payload), &self.signature)
    }

    /// The hash of the payload: what a quote or a counter is bound to.
    pub fn payload_digest(&self) -> Digest {
        Digest::of(&self.payload)
    }
}

fn base64(field: &str, text: &str) -> Result<Vec<u8>, Wrong> {
    Base64::decode_vec(text).map_err(|_| Wrong::new(field, "it is no base64 (RFC 4648, with padding)"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// The example of the DSSE protocol's page.
    #[test]
    fn what_is_signed_is_what_dsse_says() {
        let message = pae("http://example.com/HelloWorld", b"hello world");
        assert_eq!(message, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}
