//! Registers that only extend: which ones, what they hold, extending one, and a signed statement of them.

use std::fmt;

use sha2::{Digest as _, Sha256};
use tpm2_protocol::basic::TpmHandle;
use tpm2_protocol::data::{
    Tpm2bData, TpmAlgId, TpmlDigestValues, TpmlPcrSelection, TpmsPcrSelect, TpmsPcrSelection, TpmtHa,
    TpmtSigScheme, TpmuHa,
};
use tpm2_protocol::frame::{
    TpmPcrExtendCommand, TpmPcrExtendResponse, TpmPcrReadCommand, TpmPcrReadResponse, TpmQuoteCommand,
    TpmQuoteResponse,
};

use super::blob::bytes_of;
use super::command::Auth;
use super::{Error, Loaded, Quote, Tpm, Use, keys};

/// How many registers there are.
const COUNT: u8 = 24;

/// Some of the registers of the bank of SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pcrs(u32);

/// A register's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcrValue {
    /// Which.
    pub pcr: u8,
    /// What it holds.
    pub value: [u8; 32],
}

impl Pcrs {
    /// The register that applications of the machine extend, and so does signing: `23`.
    pub const APPLICATION: u8 = 23;

    /// What firmware and boot loader measured, and the application's register.
    pub const MACHINE: Pcrs = Pcrs(0xff | 1 << Pcrs::APPLICATION);

    /// Of that many registers at least one.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] where there is none, or one that no TPM has.
    pub fn new(pcrs: impl IntoIterator<Item = u8>) -> Result<Pcrs, Error> {
        let mut bits = 0;
        for pcr in pcrs {
            if pcr >= COUNT {
                return Err(Error::Request {
                    why: format!("there is no register {pcr}: they are 0 to {}", COUNT - 1),
                });
            }
            bits |= 1 << pcr;
        }
        if bits == 0 {
            return Err(Error::Request { why: "no register is named".to_owned() });
        }
        Ok(Pcrs(bits))
    }

    /// Reads `0,7,23` or `sha256:0,7,23`.
    ///
    /// # Errors
    ///
    /// [`Error::Request`].
    pub fn parse(text: &str) -> Result<Pcrs, Error> {
        let numbers = text.strip_prefix("sha256:").unwrap_or(text);
        let wrong = || Error::Request { why: format!("`{text}` names no registers: write as `0,7,23`") };
        let list: Result<Vec<u8>, _> = numbers.split(',').map(|n| n.trim().parse::<u8>()).collect();
        Pcrs::new(list.map_err(|_| wrong())?)
    }

    /// Ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..COUNT).filter(move |k| self.0 >> k & 1 == 1)
    }

    pub(super) fn selection(self) -> TpmlPcrSelection {
        let [a, b, c, _] = self.0.to_le_bytes();
        let mut list = TpmlPcrSelection::default();
        let pcr_select = TpmsPcrSelect::try_from([a, b, c].as_slice()).unwrap_or_default();
        // The list has room for eight.
        let _ = list.try_push(TpmsPcrSelection { hash: TpmAlgId::Sha256, pcr_select });
        list
    }

    /// From a selection of that bank alone.
    pub(super) fn of_selection(list: &TpmlPcrSelection) -> Result<Pcrs, Error> {
        let [one] = list.as_ref() else {
            return Err(Error::Blob { why: "it selects registers of several banks".to_owned() });
        };
        if one.hash != TpmAlgId::Sha256 {
            return Err(Error::Blob {
                why: "it selects registers of another bank than SHA-256's".to_owned(),
            });
        }
        let mut bits = 0;
        for (k, byte) in one.pcr_select.iter().take(4).enumerate() {
            bits |= u32::from(*byte) << (8 * k);
        }
        let all = Pcrs(bits);
        if bits >> COUNT != 0 || all.selection() != *list {
            return Err(Error::Blob { why: "its selection of registers is malformed".to_owned() });
        }
        Ok(all)
    }
}

impl fmt::Display for Pcrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list: Vec<String> = self.iter().map(|k| k.to_string()).collect();
        write!(f, "sha256:{}", list.join(","))
    }
}

/// The hash that quotes and policies hold: over the values, one after the other.
pub(super) fn digest(values: &[PcrValue]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for v in values {
        hash.update(v.value);
    }
    hash.finalize().into()
}

/// Refuses quotes by a key whose quotes count for nothing.
pub(super) fn quotes(key: &Loaded) -> Result<(), Error> {
    match key.of {
        Use::SignAndQuote => Ok(()),
        Use::Sign => {
            Err(Error::Request { why: "this key only signs: a quote by it could be forged".to_owned() })
        }
    }
}

impl Tpm {
    /// A TPM reads at most eight registers at once: asked again for what is left.
    pub(super) fn pcrs_now(&mut self, pcrs: Pcrs) -> Result<Vec<PcrValue>, Error> {
        let bad = |why: &str| Error::Answer { command: "TPM2_PCR_Read", why: why.to_owned() };
        let mut left = pcrs;
        let mut values = Vec::new();
        let mut counter = None;
        let mut tries = 0;
        while left.0 != 0 {
            let command = TpmPcrReadCommand { pcr_selection_in: left.selection(), handles: [] };
            let answer: TpmPcrReadResponse = self.run(&command, &Auth::None)?;
            // A register changed in between: all from the start.
            if *counter.get_or_insert(answer.pcr_update_counter.value()) != answer.pcr_update_counter.value()
            {
                tries += 1;
                if tries == 8 {
                    return Err(bad("its registers do not stand still"));
                }
                (left, counter) = (pcrs, None);
                values.clear();
                continue;
            }
            if answer.pcr_values.is_empty() {
                return Err(Error::Request {
                    why: format!(
                        "this TPM has no bank of SHA-256 with {left}: the firmware's settings choose the banks"
                    ),
                });
            }
            let read = Pcrs::of_selection(&answer.pcr_selection_out).map_err(|e| bad(&e.to_string()))?;
            if read.0 & !left.0 != 0 || read.iter().count() != answer.pcr_values.len() {
                return Err(bad("it is of other registers"));
            }
            for (pcr, value) in read.iter().zip(answer.pcr_values.iter()) {
                let value = value.as_ref().try_into().map_err(|_| bad("a register is not of 32 bytes"))?;
                values.push(PcrValue { pcr, value });
            }
            left.0 &= !read.0;
        }
        values.sort_by_key(|v| v.pcr);
        Ok(values)
    }

    pub(super) fn extend_now(&mut self, pcr: u8, digest: &[u8; 32]) -> Result<(), Error> {
        let _ = Pcrs::new([pcr])?;
        let mut digests = TpmlDigestValues::default();
        let whole = |_| Error::Request { why: "a digest does not fit".to_owned() };
        let digest = TpmuHa::Digest(digest.as_slice().try_into().map_err(whole)?);
        digests.try_push(TpmtHa { hash_alg: TpmAlgId::Sha256, digest }).map_err(whole)?;
        let command = TpmPcrExtendCommand { handles: [TpmHandle::new(u32::from(pcr))], digests };
        let _: TpmPcrExtendResponse = self.run(&command, &Auth::Password(&[]))?;
        Ok(())
    }

    pub(super) fn quote_now(&mut self, key: &Loaded, pcrs: Pcrs, nonce: &[u8]) -> Result<Quote, Error> {
        let qualifying_data = Tpm2bData::try_from(nonce)
            .ok()
            .filter(|_| nonce.len() <= 64)
            .ok_or_else(|| Error::Request { why: "what a quote carries has at most 64 bytes".to_owned() })?;
        quotes(key)?;
        let public = self.public_of(key)?;
        // Read and quoted are two commands; another program may extend a register between them.
        for _ in 0..3 {
            let values = self.pcrs_now(pcrs)?;
            let command = TpmQuoteCommand {
                handles: [TpmHandle::new(key.handle)],
                qualifying_data,
                in_scheme: TpmtSigScheme::default(),
                pcr_select: pcrs.selection(),
            };
            let answer: TpmQuoteResponse = self.run(&command, &Auth::Password(&[]))?;
            let quote = Quote::new(
                public.id().to_owned(),
                bytes_of(&*answer.quoted)?,
                keys::der(&answer.signature, "TPM2_Quote")?,
                values,
                nonce.to_vec(),
            );
            match quote.check(&public, nonce) {
                Ok(()) => return Ok(quote),
                Err(super::Flaw::Registers) => {}
                Err(_) => {
                    return Err(Error::Untrue {
                        command: "TPM2_Quote",
                        why: "the quote is not what was asked",
                    });
                }
            }
        }
        Err(Error::Untrue { command: "TPM2_Quote", why: "its registers are not those that it reads out" })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn selections_read_and_print() {
        for text in ["sha256:0", "sha256:0,7,23", "sha256:0,1,2,3,4,5,6,7,23"] {
            let pcrs = Pcrs::parse(text).unwrap();
            assert_eq!(pcrs.to_string(), text);
            assert_eq!(Pcrs::of_selection(&pcrs.selection()).unwrap(), pcrs);
        }
        assert_eq!(Pcrs::parse("23, 0,0").unwrap().to_string(), "sha256:0,23");
        assert_eq!(Pcrs::MACHINE.to_string(), "sha256:0,1,2,3,4,5,6,7,23");
        for text in ["", "24", "x", "-1", "sha1:0", "0,,1"] {
            assert!(Pcrs::parse(text).is_err(), "{text}");
        }
    }
}
