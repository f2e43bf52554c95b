//! A counter that only goes up, in the TPM's non-volatile memory.
//!
//! The TPM itself sees to it: a counter's index cannot be written, only incremented; one that is removed and made anew
//! begins above every one that was removed.

use tpm2_protocol::basic::{TpmHandle, TpmUint16};
use tpm2_protocol::data::{Tpm2bDigest, TpmAlgId, TpmRcBase, TpmRh, TpmaNv, TpmsNvPublic};
use tpm2_protocol::frame::{
    TpmNvDefineSpaceCommand, TpmNvDefineSpaceResponse, TpmNvIncrementCommand, TpmNvIncrementResponse,
    TpmNvReadCommand, TpmNvReadPublicCommand, TpmNvReadPublicResponse, TpmNvReadResponse,
    TpmNvUndefineSpaceCommand, TpmNvUndefineSpaceResponse,
};

use super::command::Auth;
use super::{Error, Tpm};

/// The indices that belong to owners, by the TCG's registry.
const OWNERS: std::ops::RangeInclusive<u32> = 0x0180_0000..=0x01bf_ffff;

/// The index of the counter of a key: from the first bits of its name, in the range that belongs to owners.
///
/// # Errors
///
/// [`Error::Request`] where the name is none of a key's.
pub fn index_of(key_id: &str) -> Result<u32, Error> {
    let first = key_id.get(..8).and_then(|h| u32::from_str_radix(h, 16).ok());
    let first = first.ok_or_else(|| Error::Request { why: format!("`{key_id}` is no name of a key") })?;
    Ok(OWNERS.start() | (first >> 10))
}

/// Anyone who may use the TPM increments and reads; only the owner removes. Its empty password locks nothing.
pub(super) fn attributes() -> TpmaNv {
    // The kind of the index is a field of four bits; a counter's is 1.
    TpmaNv::COUNTER
        | TpmaNv::OWNERWRITE
        | TpmaNv::AUTHWRITE
        | TpmaNv::OWNERREAD
        | TpmaNv::AUTHREAD
        | TpmaNv::NO_DA
}

pub(super) fn check_index(index: u32) -> Result<(), Error> {
    if OWNERS.contains(&index) {
        return Ok(());
    }
    let why = format!("0x{index:08x} is no index for an owner's counter: they are 0x01800000 to 0x01bfffff");
    Err(Error::Request { why })
}

/// Whether the counter that is there was ever incremented.
pub(super) fn check_there(index: u32, there: TpmaNv) -> Result<bool, Error> {
    if TpmaNv::from_bits_truncate(there.bits() & !TpmaNv::WRITTEN.bits()) != attributes() {
        return Err(Error::Request { why: format!("something else is at the TPM's index 0x{index:08x}") });
    }
    Ok(there.contains(TpmaNv::WRITTEN))
}

impl Tpm {
    /// What is defined at the index.
    fn index(&mut self, index: u32) -> Result<TpmsNvPublic, Error> {
        let command = TpmNvReadPublicCommand { handles: [TpmHandle::new(index)] };
        let answer: TpmNvReadPublicResponse = self.run(&command, &Auth::None)?;
        Ok(*answer.nv_public)
    }

    pub(super) fn create_counter_now(&mut self, index: u32) -> Result<(), Error> {
        check_index(index)?;
        let password = self.passwords.owner.clone();
        let public = TpmsNvPublic {
            nv_index: TpmHandle::new(index),
            name_alg: TpmAlgId::Sha256,
            attributes: attributes(),
            auth_policy: Tpm2bDigest::default(),
            data_size: TpmUint16::new(8),
        };
        let command = TpmNvDefineSpaceCommand {
            handles: [TpmHandle::new(TpmRh::Owner as u32)],
            auth: Default::default(),
            public_info: public.into(),
        };
        let done: Result<TpmNvDefineSpaceResponse, Error> = self.run(&command, &Auth::Password(&password));
        match done {
            Ok(_) => {}
            Err(e) if e.is(TpmRcBase::NvDefined) => {}
            Err(e) => return Err(e),
        }
        // Before its first increment a counter has no value to read.
        if !check_there(index, self.index(index)?.attributes)? {
            self.increment_now(index)?;
        }
        Ok(())
    }

    pub(super) fn remove_counter_now(&mut self, index: u32) -> Result<(), Error> {
        // Nothing but a counter is removed.
        self.counter_now(index)?;
        let password = self.passwords.owner.clone();
        let handles = [TpmHandle::new(TpmRh::Owner as u32), TpmHandle::new(index)];
        let _: TpmNvUndefineSpaceResponse =
            self.run(&TpmNvUndefineSpaceCommand { handles }, &Auth::Password(&password))?;
        Ok(())
    }

    pub(super) fn increment_now(&mut self, index: u32) -> Result<u64, Error> {
        let handle = TpmHandle::new(index);
        let _: TpmNvIncrementResponse =
            self.run(&TpmNvIncrementCommand { handles: [handle, handle] }, &Auth::Password(&[]))?;
        self.counter_now(index)
    }

    pub(super) fn counter_now(&mut self, index: u32) -> Result<u64, Error> {
        let there = self.index(index)?;
        // The kind is what the attributes' bits 4 to 7 say.
        if there.attributes.bits() >> 4 & 0xf != 1 || there.data_size.value() != 8 {
            return Err(Error::Request {
                why: format!("what is at the TPM's index 0x{index:08x} is no counter"),
            });
        }
        let handle = TpmHandle::new(index);
        let command = TpmNvReadCommand {
            handles: [handle, handle],
            size: TpmUint16::new(8),
            offset: TpmUint16::new(0),
        };
        let answer: TpmNvReadResponse = self.run(&command, &Auth::Password(&[]))?;
        let bytes: &[u8] = answer.data.as_ref();
        let value = bytes.try_into().map(u64::from_be_bytes);
        value.map_err(|_| Error::Answer {
            command: "TPM2_NV_Read",
            why: "a counter is not of 8 bytes".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn indices_are_the_owners() {
        assert_eq!(index_of("00000000ff").unwrap(), 0x0180_0000);
        assert_eq!(index_of("ffffffffff").unwrap(), 0x01bf_ffff);
        assert!(index_of("xyz").is_err() && index_of("").is_err() && index_of("ää").is_err());
    }
}
