//! A key in a TPM behind the engine's seam [`Signer`].

use twinml_engine::provenance::{Algorithm, Backing, Counter, Digest, PublicKey, SignError, Signer};

use super::{Blob, Chip, Error, Loaded, Pcrs, Quote};

/// A key in a TPM. Its slot is freed when this is dropped.
pub struct TpmSigner {
    chip: Box<dyn Chip>,
    key: Option<Loaded>,
    public: PublicKey,
    counter: Option<u32>,
    register: Option<u8>,
}

impl TpmSigner {
    /// Loads the key.
    ///
    /// # Errors
    ///
    /// [`Error`] where it is no key, or not this TPM's.
    pub fn new(mut chip: Box<dyn Chip>, key: &Blob) -> Result<TpmSigner, Error> {
        let public = key.public_key()?;
        let key = chip.load(key)?;
        Ok(TpmSigner { chip, key: Some(key), public, counter: None, register: None })
    }

    /// Counts each manifest in this counter, which is there.
    #[must_use]
    pub fn counting(mut self, index: u32) -> TpmSigner {
        self.counter = Some(index);
        self
    }

    /// Extends this register by the hash of each manifest.
    #[must_use]
    pub fn extending(mut self, register: u8) -> TpmSigner {
        self.register = Some(register);
        self
    }

    /// The TPM.
    pub fn chip(&mut self) -> &mut dyn Chip {
        &mut *self.chip
    }

    /// A quote signed by this key.
    ///
    /// # Errors
    ///
    /// As [`Chip::quote`].
    pub fn quote(&mut self, pcrs: &Pcrs, nonce: &[u8]) -> Result<Quote, Error> {
        let key = self.key.as_ref().ok_or_else(gone)?;
        self.chip.quote(key, pcrs, nonce)
    }
}

fn gone() -> Error {
    Error::Request { why: "the key is not loaded".to_owned() }
}

impl From<Error> for SignError {
    fn from(e: Error) -> SignError {
        SignError { why: e.to_string(), help: e.help() }
    }
}

impl Drop for TpmSigner {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            // Nobody is left to be told.
            let _ = self.chip.unload(key);
        }
    }
}

impl Signer for TpmSigner {
    fn key_id(&self) -> &str {
        self.public.id()
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::EcdsaP256Sha256
    }

    fn public_key(&self) -> &[u8] {
        self.public.der()
    }

    fn backing(&self) -> Backing {
        let of = self.chip.properties();
        Backing::Tpm { maker: of.maker.clone(), software: of.software }
    }

    fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let key = self.key.as_ref().ok_or_else(gone)?;
        let signature = self.chip.sign(key, message)?;
        // A signature that does not verify would be found only when it is needed.
        if !self.public.verifies(message, &signature) {
            return Err(Error::Untrue { command: "TPM2_Sign", why: "the signature is not the key's" }.into());
        }
        Ok(signature)
    }

    fn count(&mut self) -> Result<Option<Counter>, SignError> {
        let Some(index) = self.counter else { return Ok(None) };
        let value = self.chip.increment(index)?;
        Ok(Some(Counter { index, value }))
    }

    fn note(&mut self, manifest: &Digest) -> Result<(), SignError> {
        match self.register {
            Some(register) => Ok(self.chip.extend_pcr(register, &manifest.0)?),
            None => Ok(()),
        }
    }
}
