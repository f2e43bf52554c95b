//! The log of operations: one record a line, each with the hash of the line before it.
//!
//! A line is `{"record":{…}}` or, signed, `{"record":{…},"signature":{"keyid":…,"sig":…}}` in [`canonical`] JSON with a
//! line feed behind it. `previous` is the SHA-256 of the line before without its line feed (of the first: of nothing),
//! `sequence` counts from 0. A signature is DSSE's over the record's own text, whose `key` names the key; through the
//! chain it vouches for all lines before it too, signed or not. A line that was changed, left out, put in or moved
//! breaks a link. What a log cannot show by itself is that lines are missing at its end.

use std::collections::BTreeMap;
use std::fmt;

use base64ct::{Base64, Encoding as _};

use super::canonical::{self, Value};
use super::digest::Digest;
use super::envelope::Envelope;
use super::manifest::{Fields, KeyFacts, Wrong};
use super::signer::{SignError, Signer};
use super::verify::{Trust, Verdict};

/// The type of what is signed.
pub const TYPE: &str = "application/vnd.twinml.operation+json";

/// The version of this form.
const VERSION: u64 = 1;

/// An operation, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which record it is, from 0.
    pub sequence: u64,
    /// The hash of the line before.
    pub previous: Digest,
    /// When it was written, in seconds since 1970 (UTC): the host's clock, which nothing vouches for.
    pub at: u64,
    /// What was done: `keys create`, `run`, `snapshot take`, …
    pub operation: String,
    /// With what, by name: `file`, `root`, `key`, …
    pub details: BTreeMap<String, String>,
    /// The key that signed the record, where one did.
    pub key: Option<KeyFacts>,
    signature: Option<(String, Vec<u8>)>,
}

/// The end of a log, to which the next record is hung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    sequence: u64,
    previous: Digest,
}

impl Default for Chain {
    fn default() -> Chain {
        Chain { sequence: 0, previous: Digest::of(&[]) }
    }
}

impl Chain {
    /// Behind the last line of a log, given without its line feed.
    ///
    /// # Errors
    ///
    /// [`Wrong`] where the line is no record: nothing may be hung to it.
    pub fn behind(line: &[u8]) -> Result<Chain, Wrong> {
        let entry = Entry::read(line)?;
        Ok(Chain { sequence: entry.sequence + 1, previous: Digest::of(line) })
    }

    /// The number of the next record.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The line of a further record, with its line feed.
    ///
    /// # Errors
    ///
    /// [`SignError`]; the chain then stands where it stood.
    pub fn append(
        &mut self,
        at: u64,
        operation: &str,
        details: BTreeMap<String, String>,
        signer: Option<&mut dyn Signer>,
    ) -> Result<String, SignError> {
        let mut entry = Entry {
            sequence: self.sequence,
            previous: self.previous,
            at,
            operation: operation.to_owned(),
            details,
            key: signer.as_deref().map(KeyFacts::of),
            signature: None,
        };
        if let Some(signer) = signer {
            let text = canonical::write(&entry.record());
            let envelope = Envelope::sign(TYPE, text.into_bytes(), signer)?;
            entry.signature = Some((envelope.key_id, envelope.signature));
        }
        let mut line = entry.line();
        let unreadable = |e: Wrong| SignError { why: format!("this cannot be logged: {e}"), help: None };
        *self = Chain::behind(line.as_bytes()).map_err(unreadable)?;
        line.push('\n');
        Ok(line)
    }
}

impl Entry {
    fn record(&self) -> Value {
        let details = self.details.iter().map(|(k, v)| (k.clone(), Value::text(v))).collect();
        let mut fields = vec![
            ("at", Value::Int(self.at)),
            ("details", Value::Map(details)),
            ("operation", Value::text(&self.operation)),
            ("previous", Value::text(self.previous.to_string())),
            ("sequence", Value::Int(self.sequence)),
            ("version", Value::Int(VERSION)),
        ];
        if let Some(key) = &self.key {
            fields.push(("key", key.value()));
        }
        Value::map(fields)
    }

    fn line(&self) -> String {
        let mut fields = vec![("record", self.record())];
        if let Some((key_id, signature)) = &self.signature {
            let signature = Value::map([
                ("keyid", Value::text(key_id)),
                ("sig", Value::Text(Base64::encode_string(signature))),
            ]);
            fields.push(("signature", signature));
        }
        canonical::write(&Value::map(fields))
    }

    /// Reads a line without its line feed.
    ///
    /// # Errors
    ///
    /// [`Wrong`].
    pub fn read(line: &[u8]) -> Result<Entry, Wrong> {
        let value = canonical::read(line).map_err(|e| Wrong::new("record", e.to_string()))?;
        let mut fields = Fields::of("line", value)?;
        let mut record = Fields::of("record", fields.take("record")?)?;
        let signature = match fields.optional("signature") {
            None => None,
            Some(value) => {
                let mut signature = Fields::of("signature", value)?;
                let key_id = signature.digest("keyid")?.to_string();
                let sig = Base64::decode_vec(&signature.text("sig")?)
                    .map_err(|_| Wrong::new("sig", "it is no base64 (RFC 4648, with padding)"))?;
                signature.end()?;
                Some((key_id, sig))
            }
        };
        fields.end()?;
        let int = |record: &mut Fields, name: &str| match record.take(name)? {
            Value::Int(n) => Ok(n),
            _ => Err(Wrong::new(name, "it is no number")),
        };
        if int(&mut record, "version")? != VERSION {
            return Err(Wrong::new("version", "a later twinc made it"));
        }
        let Value::Map(facts) = record.take("details")? else {
            return Err(Wrong::new("details", "it is no object"));
        };
        let mut details = BTreeMap::new();
        for (name, fact) in facts {
            let Value::Text(fact) = fact else { return Err(Wrong::new("details", "one is no text")) };
            details.insert(name, fact);
        }
        let key = record.optional("key").map(KeyFacts::read).transpose()?;
        match (&key, &signature) {
            (None, None) => {}
            (Some(key), Some((id, _))) if key.id == *id => {}
            _ => return Err(Wrong::new("signature", "it is not of the key that the record names")),
        }
        let entry = Entry {
            sequence: int(&mut record, "sequence")?,
            previous: record.digest("previous")?,
            at: int(&mut record, "at")?,
            operation: record.text("operation")?,
            details,
            key,
            signature,
        };
        record.end()?;
        if entry.line().as_bytes() != line {
            return Err(Wrong::new("record", "it is not written in the canonical form"));
        }
        Ok(entry)
    }

    /// Whether a trusted key signed it; `None` where no trusted key has that name, or nobody signed.
    fn vouched(&self, trust: &Trust) -> Option<bool> {
        let (key, (key_id, signature)) = (self.key.as_ref()?, self.signature.as_ref()?);
        let public = trust.get(&key.id)?;
        let envelope = Envelope {
            payload_type: TYPE.to_owned(),
            payload: canonical::write(&self.record()).into_bytes(),
            key_id: key_id.clone(),
            signature: signature.clone(),
        };
        Some(public.algorithm() == key.algorithm && envelope.is_signed_by(public))
    }
}

/// Where a log is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The record, from 0.
    pub record: u64,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}: {}", self.record, self.why)
    }
}

/// What was found out about a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The records before the first broken link.
    pub entries: Vec<Entry>,
    /// How many of them, from the first, a trusted signature vouches for.
    pub vouched: u64,
    /// The first broken link.
    pub broken: Option<Broken>,
}

impl Checked {
    /// Reads a log and looks at every link and every signature, up to the first that is broken.
    pub fn of(bytes: &[u8], trust: &Trust) -> Checked {
        let mut out = Checked { entries: Vec::new(), vouched: 0, broken: None };
        let mut chain = Chain::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let broken = |why: String| Some(Broken { record: chain.sequence, why });
            let Some(end) = rest.iter().position(|b| *b == b'\n') else {
                out.broken = broken("it has no end: whoever wrote it was cut off".to_owned());
                return out;
            };
            let line = &rest[..end];
            rest = &rest[end + 1..];
            let entry = match Entry::read(line) {
                Ok(entry) => entry,
                Err(e) => {
                    out.broken = broken(e.to_string());
                    return out;
                }
            };
            if entry.sequence != chain.sequence {
                out.broken = broken(format!("record {} stands in its place", entry.sequence));
                return out;
            }
            if entry.previous != chain.previous {
                out.broken = broken("the record before it is not the one that it was hung to".to_owned());
                return out;
            }
            let vouched = entry.vouched(trust);
            if vouched == Some(false) {
                out.broken = broken("its signature is not the key's".to_owned());
                return out;
            }
            out.entries.push(entry);
            chain = Chain { sequence: chain.sequence + 1, previous: Digest::of(line) };
            if vouched.is_some() {
                out.vouched = chain.sequence;
            }
        }
        out
    }

    /// Good: no link is broken, and a trusted key vouches for every record.
    pub fn verdict(&self) -> Verdict {
        match &self.broken {
            Some(b) => Verdict::bad(format!("record {}", b.record), b.why.clone()),
            None if self.vouched == self.entries.len() as u64 && self.vouched > 0 => Verdict::Good,
            None => Verdict::UnknownKey,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::conformance::Fake;
    use super::super::public::PublicKey;
    use super::super::signer::Algorithm;
    use super::*;

    fn log(signed: &[bool]) -> (Vec<u8>, Trust) {
        let mut fake = Fake::new(Algorithm::Ed25519, 1);
        let mut trust = Trust::new();
        trust.add(PublicKey::from_der(fake.public_key()).unwrap());
        let mut chain = Chain::default();
        let mut out = Vec::new();
        for (k, signed) in signed.iter().enumerate() {
            let details = BTreeMap::from([("file".to_owned(), format!("a \"{k}\".twinsnap"))]);
            let signer: Option<&mut dyn Signer> = if *signed { Some(&mut fake) } else { None };
            let line = chain.append(1_800_000_000 + k as u64, "snapshot take", details, signer).unwrap();
            out.extend_from_slice(line.as_bytes());
        }
        (out, trust)
    }

    #[test]
    fn a_chain_is_good_as_far_as_a_signature_reaches() {
        let (bytes, trust) = log(&[false, true, false, true]);
        let checked = Checked::of(&bytes, &trust);
        assert_eq!((checked.entries.len(), checked.vouched, checked.verdict()), (4, 4, Verdict::Good));
        assert_eq!(checked.entries[2].details["file"], "a \"2\".twinsnap");
        let (bytes, trust) = log(&[true, false, false]);
        let checked = Checked::of(&bytes, &trust);
        assert_eq!((checked.vouched, checked.verdict()), (1, Verdict::UnknownKey));
        assert_eq!(Checked::of(&bytes, &Trust::new()).verdict(), Verdict::UnknownKey);
        assert_eq!(Checked::of(&[], &trust).verdict(), Verdict::UnknownKey);
    }

    #[test]
    fn every_flipped_byte_is_noticed_and_its_record_named() {
        let (bytes, trust) = log(&[true, false, true]);
        let starts: Vec<usize> = std::iter::once(0)
            .chain(bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(k, _)| k + 1))
            .collect();
        for k in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[k] ^= 1 << (k % 8);
            let checked = Checked::of(&damaged, &trust);
            assert_ne!(checked.verdict(), Verdict::Good, "byte {k}");
            // The record that was hit, or the one that is hung to it; an unsigned one is noticed by its successor.
            let hit = starts.iter().rposition(|s| *s <= k).unwrap() as u64;
            if let Some(broken) = checked.broken {
                assert!(broken.record == hit || broken.record == hit + 1, "byte {k}: {broken}");
            }
        }
    }

    #[test]
    fn a_cut_or_reordered_log_names_its_first_broken_link() {
        let (bytes, trust) = log(&[true, true, true, true]);
        let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
        for cut in 0..bytes.len() {
            let checked = Checked::of(&bytes[..cut], &trust);
            // A prefix is readable up to where it was cut.
            let whole = bytes[..cut].iter().filter(|b| **b == b'\n').count();
            assert_eq!(checked.entries.len(), whole, "cut at {cut}");
            assert_eq!(checked.broken.is_some(), bytes[..cut].last().is_some_and(|b| *b != b'\n'));
        }
        let left_out = [lines[0], lines[2], lines[3]].concat();
        assert_eq!(Checked::of(&left_out, &trust).broken.unwrap().record, 1);
        let swapped = [lines[0], lines[2], lines[1], lines[3]].concat();
        assert_eq!(Checked::of(&swapped, &trust).broken.unwrap().record, 1);
    }

    #[test]
    fn a_log_goes_on_behind_its_last_line() {
        let (bytes, trust) = log(&[true, true]);
        let last = bytes.strip_suffix(b"\n").unwrap().rsplit(|b| *b == b'\n').next().unwrap();
        let mut chain = Chain::behind(last).unwrap();
        assert_eq!(chain.sequence(), 2);
        let mut fake = Fake::new(Algorithm::Ed25519, 1);
        let line = chain.append(0, "keys rotate", BTreeMap::new(), Some(&mut fake)).unwrap();
        let all = [bytes.as_slice(), line.as_bytes()].concat();
        assert_eq!(Checked::of(&all, &trust).verdict(), Verdict::Good);
        assert!(Chain::behind(b"{}").is_err());
    }
}
