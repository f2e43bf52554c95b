//! A quote: what a TPM states about its registers, signed, and its checking without a TPM.

use std::fmt;

use tpm2_protocol::data::{TpmsAttest, TpmuAttest};
use twinml_engine::provenance::PublicKey;

use super::blob::value_of;
use super::pcr::digest;
use super::{PcrValue, Pcrs};

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
