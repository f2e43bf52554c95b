//! A quote: what a TPM states about its registers, signed, and its checking without a TPM.

use std::fmt;

use tpm2_protocol::data::{TpmsAttest, TpmuAttest};
use twinml_engine::provenance::PublicKey;
use twinml_engine::provenance::canonical::{self, Value};

use super::blob::value_of;
use super::pcr::digest;
use super::{Error, PcrValue, Pcrs};

/// What a TPM states about its registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The name of the key that signed it.
    pub key_id: String,
    /// The statement: `TPMS_ATTEST`, as the TPM wrote it.
    pub statement: Vec<u8>,
    /// ECDSA over the statement's SHA-256, DER.
    pub signature: Vec<u8>,
    /// What the registers hold; the statement has the hash over them.
    pub values: Vec<PcrValue>,
    /// The caller's bytes, which the statement holds too.
    pub nonce: Vec<u8>,
}

/// What is wrong with a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The signature is not the key's over this statement.
    Signature,
    /// The statement is no quote of a TPM.
    Statement,
    /// The statement holds other bytes than the caller gave: it was made for somebody else, or earlier.
    Nonce,
    /// The statement is about other registers or values than are listed.
    Registers,
}

impl Flaw {
    /// The part that differs.
    pub const fn part(self) -> &'static str {
        match self {
            Flaw::Signature => "signature",
            Flaw::Statement => "statement",
            Flaw::Nonce => "nonce",
            Flaw::Registers => "registers",
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::Signature => "the signature is not the key's over this statement",
            Flaw::Statement => "the statement is no quote of a TPM",
            Flaw::Nonce => "the statement carries another nonce: it was made for another question",
            Flaw::Registers => "the statement is about other registers or values than those listed",
        })
    }
}

impl std::error::Error for Flaw {}

/// What a statement says besides the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Milliseconds that the TPM was powered.
    pub clock: u64,
    /// How often the machine was reset since the TPM was cleared; hidden behind a number of the TPM's own for keys of the
    /// owner.
    pub resets: u32,
    /// How often it was suspended or restarted since the reset; hidden in the same way.
    pub restarts: u32,
    /// Whether the clock never went back.
    pub safe: bool,
}

impl Quote {
    pub(super) fn new(
        key_id: String,
        statement: Vec<u8>,
        signature: Vec<u8>,
        values: Vec<PcrValue>,
        nonce: Vec<u8>,
    ) -> Quote {
        Quote { key_id, statement, signature, values, nonce }
    }

    /// Whether that key's TPM stated these values for that nonce. Needs no TPM.
    ///
    /// That the key is in a TPM is not in the statement: it is known from where the public key came from.
    ///
    /// # Errors
    ///
    /// The first [`Flaw`].
    pub fn check(&self, key: &PublicKey, nonce: &[u8]) -> Result<(), Flaw> {
        if self.key_id != key.id() || !key.verifies(&self.statement, &self.signature) {
            return Err(Flaw::Signature);
        }
        let attest: TpmsAttest = value_of(&self.statement).map_err(|_| Flaw::Statement)?;
        let TpmuAttest::Quote(info) = &attest.attested else { return Err(Flaw::Statement) };
        if attest.extra_data.as_ref() != nonce || self.nonce != nonce {
            return Err(Flaw::Nonce);
        }
        let pcrs = Pcrs::of_selection(&info.pcr_select).map_err(|_| Flaw::Registers)?;
        let listed = self.values.iter().map(|v| v.pcr);
        if !pcrs.iter().eq(listed) || info.pcr_digest.as_ref() != digest(&self.values) {
            return Err(Flaw::Registers);
        }
        Ok(())
    }

    /// The TPM's clock as the statement has it; `None` where it is no statement. To be believed only after
    /// [`Quote::check`].
    pub fn clock(&self) -> Option<Clock> {
        let attest: TpmsAttest = value_of(&self.statement).ok()?;
        let info = attest.clock_info;
        Some(Clock {
            clock: info.clock.value(),
            resets: info.reset_count.value(),
            restarts: info.restart_count.value(),
            safe: bool::from(info.safe),
        })
    }
}

/// The version of a quote's text.
const VERSION: u64 = 1;
/// Above any of ours by far; what is longer is not looked at.
const LONGEST: usize = 64 * 1024;

fn hex(bytes: &[u8]) -> Value {
    Value::text(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>())
}

/// Bytes from hexadecimal digits, both cases.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits.filter(|d| d.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

impl Quote {
    /// As canonical JSON: `bank`, `key`, `nonce`, `registers` (a value for each, by number), `signature`, `statement`,
    /// `type` (`quote`), `version`; bytes in hexadecimal.
    pub fn text(&self) -> String {
        let registers = self.values.iter().map(|v| (v.pcr.to_string(), hex(&v.value))).collect();
        canonical::write(&Value::map([
            ("bank", Value::text("sha256")),
            ("key", Value::text(&self.key_id)),
            ("nonce", hex(&self.nonce)),
            ("registers", Value::Map(registers)),
            ("signature", hex(&self.signature)),
            ("statement", hex(&self.statement)),
            ("type", Value::text("quote")),
            ("version", Value::Int(VERSION)),
        ]))
    }

    /// Reads what [`Quote::text`] wrote, and nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::Blob`], with what is wrong.
    pub fn read(bytes: &[u8]) -> Result<Quote, Error> {
        let bad = |why: String| Error::Blob { why };
        if bytes.len() > LONGEST {
            return Err(bad("it is too long".to_owned()));
        }
        let Value::Map(mut fields) = canonical::read(bytes).map_err(|e| bad(e.to_string()))? else {
            return Err(bad("it is no object".to_owned()));
        };
        let mut take = |name: &str| match fields.remove(name) {
            Some(value) => Ok(value),
            None => Err(bad(format!("`{name}` is missing"))),
        };
        let text = |name: &str, value| match value {
            Value::Text(text) => Ok(text),
            _ => Err(bad(format!("`{name}` is no text"))),
        };
        let bytes_of = |name: &str, value| {
            unhex(&text(name, value)?).ok_or_else(|| bad(format!("`{name}` is not in hexadecimal")))
        };
        if take("version")? != Value::Int(VERSION) || take("type")? != Value::text("quote") {
            return Err(bad("it is no quote of this version".to_owned()));
        }
        if take("bank")? != Value::text("sha256") {
            return Err(bad("it is of another bank than SHA-256's".to_owned()));
        }
        let Value::Map(registers) = take("registers")? else {
            return Err(bad("`registers` is no object".to_owned()));
        };
        let mut values = Vec::new();
        for (name, value) in registers {
            let pcr = name.parse::<u8>().map_err(|_| bad(format!("`{name}` is no register")))?;
            let value = bytes_of(&name, value)?.try_into();
            values.push(PcrValue {
                pcr,
                value: value.map_err(|_| bad(format!("register {pcr} is not of 32 bytes")))?,
            });
        }
        values.sort_by_key(|v| v.pcr);
        let quote = Quote {
            key_id: text("key", take("key")?)?,
            nonce: bytes_of("nonce", take("nonce")?)?,
            signature: bytes_of("signature", take("signature")?)?,
            statement: bytes_of("statement", take("statement")?)?,
            values,
        };
        if quote.text().as_bytes() != bytes {
            return Err(bad("it is not written the one way".to_owned()));
        }
        Ok(quote)
    }
}
