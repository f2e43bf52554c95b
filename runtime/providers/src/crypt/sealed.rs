//! Wrapping keys that a TPM keeps: 256 bits, sealed under a policy of registers. The TPM gives the key out while the registers
//! hold what they held when it was sealed; what is wrapped by it is wrapped as by any [`HexKey`], so that a copy of the key,
//! kept elsewhere, opens the same.

use zeroize::Zeroizing;

use super::{DataKey, HexKey};
use crate::tpm::{Blob, Chip, Content, Error, Pcrs};

impl HexKey {
    /// Seals the key in a TPM: it is given out only while the registers hold what they hold now.
    ///
    /// # Errors
    ///
    /// [`Error`] where the TPM refuses.
    pub fn seal(&self, chip: &mut dyn Chip, pcrs: &Pcrs) -> Result<Blob, Error> {
        chip.seal(self.bytes(), pcrs)
    }

    /// The key that was sealed; `name` is what it was called then.
    ///
    /// # Errors
    ///
    /// [`Error::Changed`] where the registers hold other values, [`Error::Refused`] where it is another TPM's, [`Error::Blob`]
    /// where it is no such key.
    pub fn unseal(chip: &mut dyn Chip, sealed: &Blob, name: &str) -> Result<HexKey, Error> {
        if !matches!(sealed.content(), Content::Sealed { .. }) {
            return Err(Error::Blob { why: "it is a key that signs, no sealed one".to_owned() });
        }
        let secret = Zeroizing::new(chip.unseal(sealed)?);
        let key = DataKey::from_bytes(&secret)
            .ok_or_else(|| Error::Blob { why: "what is sealed is no key of 256 bits".to_owned() })?;
        let key = HexKey::of(key);
        match super::KeyWrap::name(&key) == name {
            true => Ok(key),
            false => Err(Error::Blob { why: "another key is sealed than the file names".to_owned() }),
        }
    }
}
