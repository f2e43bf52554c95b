//! Does an envelope vouch for what stands beside it: `good`, `unknown key` or `bad`, and nothing else.

use super::digest::Digest;
use super::envelope::Envelope;
use super::manifest::{self, Kind, Manifest, Part};
use super::public::PublicKey;

/// The keys whose signatures count.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Vec<PublicKey>,
}

impl Trust {
    /// No key.
    pub fn new() -> Trust {
        Trust::default()
    }

    /// One more.
    pub fn add(&mut self, key: PublicKey) {
        if self.get(key.id()).is_none() {
            self.keys.push(key);
        }
    }

    /// The key of that name.
    pub fn get(&self, id: &str) -> Option<&PublicKey> {
        self.keys.iter().find(|k| k.id() == id)
    }

    /// All of them, in the order in which they came.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }
}

/// What is said about a signed thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A trusted key signed the manifest, and every part is what the manifest says.
    Good,
    /// Every part is what the manifest says, but no trusted key vouches for the manifest.
    UnknownKey,
    /// Something differs.
    Bad {
        /// What: `envelope`, `manifest`, `signature`, or the name of a part.
        part: String,
        /// How.
        why: String,
    },
}

impl Verdict {
    /// `good`, `unknown key`, `bad`.
    pub const fn word(&self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::UnknownKey => "unknown key",
            Verdict::Bad { .. } => "bad",
        }
    }

    /// Something differs.
    pub fn bad(part: impl Into<String>, why: impl Into<String>) -> Verdict {
        Verdict::Bad { part: part.into(), why: why.into() }
    }
}

/// What was found out about a signed thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// What it says of itself; `None` where that cannot be read. To be believed only where the verdict is good.
    pub manifest: Option<Manifest>,
    /// The hash of the signed payload.
    pub payload: Option<Digest>,
    /// Whether to believe it.
    pub verdict: Verdict,
}

/// The part of that name as it is, for comparison.
///
/// Given is the part as the manifest has it; the answer is the length and the hash of what is there, or why it cannot
/// be told: `it is missing`.
pub type Look<'a> = dyn FnMut(&Part) -> Result<(u64, Digest), String> + 'a;

/// Judges the bytes of an envelope. `look` is asked for each part of the manifest, in order.
pub fn verify(bytes: &[u8], kind: Kind, trust: &Trust, look: &mut Look<'_>) -> Findings {
    let envelope = match Envelope::read(bytes) {
        Ok(envelope) => envelope,
        Err(e) => {
            return Findings {
                manifest: None,
                payload: None,
                verdict: Verdict::bad("envelope", e.to_string()),
            };
        }
    };
    let payload = Some(envelope.payload_digest());
    if envelope.payload_type != manifest::TYPE {
        let verdict = Verdict::bad("envelope", format!("its payload is no manifest ({})", manifest::TYPE));
        return Findings { manifest: None, payload, verdict };
    }
    match Manifest::read(&envelope.payload) {
        Ok(manifest) => {
            let verdict = judge(&envelope, &manifest, kind, trust, look);
            Findings { manifest: Some(manifest), payload, verdict }
        }
        Err(e) => Findings { manifest: None, payload, verdict: Verdict::bad("manifest", e.to_string()) },
    }
}

fn judge(
    envelope: &Envelope,
    manifest: &Manifest,
    kind: Kind,
    trust: &Trust,
    look: &mut Look<'_>,
) -> Verdict {
    if manifest.subject.kind != kind {
        let (is, wanted) = (manifest.subject.kind.name(), kind.name());
        return Verdict::bad("manifest", format!("it is of a {is}, and this is a {wanted}"));
    }
    if manifest.key.id != envelope.key_id {
        return Verdict::bad("envelope", "`keyid` is not the key that the manifest names");
    }
    let key = trust.get(&manifest.key.id);
    if let Some(key) = key {
        if key.algorithm() != manifest.key.algorithm {
            return Verdict::bad("manifest", "the key that it names signs by another algorithm");
        }
        if !envelope.is_signed_by(key) {
            return Verdict::bad("signature", "it is not the key's signature of this manifest");
        }
    }
    for part in &manifest.subject.parts {
        match look(part) {
            Err(why) => return Verdict::bad(&part.name, why),
            Ok((length, _)) if length != part.length => {
                return Verdict::bad(
                    &part.name,
                    format!("it has {length} bytes, the manifest says {}", part.length),
                );
            }
            Ok((_, sha256)) if sha256 != part.sha256 => {
                return Verdict::bad(&part.name, "its bytes are not those that the manifest was made of");
            }
            Ok(_) => {}
        }
    }
    if key.is_some() { Verdict::Good } else { Verdict::UnknownKey }
}

/// Signs a manifest of the subject: the envelope's text. Where no counter is given, the signer's own counts, if it has one.
///
/// # Errors
///
/// [`super::SignError`] where the signer fails, or where the subject cannot be written down.
pub fn seal(
    subject: manifest::Subject,
    counter: Option<manifest::Counter>,
    signer: &mut (impl super::Signer + ?Sized),
) -> Result<String, super::SignError> {
    let counter = match counter {
        Some(counter) => Some(counter),
        None => signer.count()?,
    };
    let manifest = Manifest { subject, key: manifest::KeyFacts::of(signer), counter };
    let text = manifest
        .text()
        .map_err(|e| super::SignError { why: format!("this cannot be signed: {e}"), help: None })?;
    let envelope = Envelope::sign(manifest::TYPE, text.into_bytes(), signer)?;
    signer.note(&envelope.payload_digest())?;
    Ok(envelope.text())
}
