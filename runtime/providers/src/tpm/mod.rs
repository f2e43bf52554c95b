//! TPM 2.0: a key that no one can copy signs, a counter only goes up, registers tell how the machine started.
//!
//! In: the address of a TPM (a device, a Unix or a TCP socket) and passwords given by the host. Out: keys as text
//! ([`Blob`]), signatures, quotes, the values of counters and registers, secrets sealed and unsealed. Everything that a
//! TPM answers is checked before it is used: lengths and codes, and also what can be known to be true (a signature is
//! verified with the key's public half, a quote is read back).
//!
//! [`Tpm`] speaks to it in pure Rust: `tpm2-protocol` lays out the bytes, [`transport`] carries them with deadlines. With the
//! feature `tss-esapi` the same operations go through the system's TSS library. Both stand behind the seam [`Chip`]; blobs,
//! signatures and quotes of one are good in the other.
//!
//! One key both signs messages and quotes ([`Use::SignAndQuote`]). It is *restricted*: the TPM signs only what it has hashed
//! itself and what does not look like a statement of the TPM's own, so nobody can have it sign a forged quote. A key that
//! only signs ([`Use::Sign`]) takes a digest as it comes, in one command; quotes by it are refused.
//!
//! Never here: the environment, printing, a secret in an error. A TPM has room for about three objects at a time; whatever
//! is loaded is flushed, by [`Chip::unload`] or at once.

mod address;
mod blob;
mod command;
mod counter;
mod error;
#[cfg(feature = "tss-esapi")]
mod esapi;
mod keys;
mod pcr;
mod place;
mod properties;
mod quote;
mod random;
mod seal;
mod signer;
mod timing;
mod transport;

use std::fmt;

use tpm2_protocol::basic::TpmHandle;
use tpm2_protocol::data::TpmRh;

pub use address::Address;
pub use blob::{Blob, Content};
pub use counter::index_of;
pub use error::Error;
#[cfg(feature = "tss-esapi")]
pub use esapi::Esapi;
pub use pcr::{PcrValue, Pcrs};
pub use place::Place;
pub use properties::Properties;
pub use quote::{Clock, Flaw, Quote};
pub use signer::TpmSigner;
pub use timing::{Histogram, Timings};
pub use transport::Patience;

/// Under which hierarchy a key is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Of the machine's owner. Its quotes hide how often the machine was reset.
    Owner,
    /// Of the privacy administrator; quotes tell the TPM's clock and firmware as they are.
    Endorsement,
}

impl Hierarchy {
    /// The name in flags and listings.
    pub const fn name(self) -> &'static str {
        match self {
            Hierarchy::Owner => "owner",
            Hierarchy::Endorsement => "endorsement",
        }
    }

    /// The hierarchy of that name.
    pub fn from_name(name: &str) -> Option<Hierarchy> {
        [Hierarchy::Owner, Hierarchy::Endorsement].into_iter().find(|h| h.name() == name)
    }

    const fn handle(self) -> TpmRh {
        match self {
            Hierarchy::Owner => TpmRh::Owner,
            Hierarchy::Endorsement => TpmRh::Endorsement,
        }
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Messages and quotes. The TPM hashes each message itself, a kibibyte at a time.
    SignAndQuote,
    /// Messages alone; what it signs could be a forged quote, so its quotes count for nothing.
    Sign,
}

/// The passwords of a TPM's hierarchies; most machines have none.
#[derive(Clone, Default)]
pub struct Passwords {
    /// The owner's.
    pub owner: Vec<u8>,
    /// The endorsement hierarchy's.
    pub endorsement: Vec<u8>,
}

impl Passwords {
    fn of(&self, hierarchy: Hierarchy) -> &[u8] {
        match hierarchy {
            Hierarchy::Owner => &self.owner,
            Hierarchy::Endorsement => &self.endorsement,
        }
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords(kept to itself)")
    }
}

/// A key that stands in one of a TPM's slots.
#[derive(Debug, PartialEq, Eq)]
pub struct Loaded {
    handle: u32,
    of: Use,
}

/// What is asked of a TPM: the seam with two sides, [`Tpm`] in pure Rust and the system's TSS library.
///
/// Every operation that succeeds counts its duration in [`Chip::timings`].
pub trait Chip {
    /// Who made it and what it is.
    fn properties(&self) -> &Properties;

    /// That many random bytes.
    ///
    /// # Errors
    ///
    /// [`Error`] where the TPM does not give them.
    fn random(&mut self, bytes: usize) -> Result<Vec<u8>, Error>;

    /// Creates a P-256 key that never leaves this TPM.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], above all where the hierarchy has a password.
    fn create_key(&mut self, under: Hierarchy, of: Use) -> Result<Blob, Error>;

    /// Puts a key into a slot.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `TPM_RC_INTEGRITY` where it is another TPM's; [`Error::Blob`] where it is no key.
    fn load(&mut self, key: &Blob) -> Result<Loaded, Error>;

    /// Frees the key's slot.
    ///
    /// # Errors
    ///
    /// [`Error`] where it is not there.
    fn unload(&mut self, key: Loaded) -> Result<(), Error>;

    /// Signs the SHA-256 of a message: ECDSA, DER.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the message begins with the four bytes of a TPM's own statements, and the key also quotes.
    fn sign(&mut self, key: &Loaded, message: &[u8]) -> Result<Vec<u8>, Error>;

    /// What the registers hold now, stated by the TPM and signed, with the caller's bytes (at most 64) in the statement.
    ///
    /// # Errors
    ///
    /// [`Error`] where the TPM refuses, where the key only signs, and where a register changed between reading and quoting,
    /// three times.
    fn quote(&mut self, key: &Loaded, pcrs: &Pcrs, nonce: &[u8]) -> Result<Quote, Error>;

    /// What registers hold, in the selection's order.
    ///
    /// # Errors
    ///
    /// [`Error`], above all where the TPM has no bank of SHA-256.
    fn read_pcrs(&mut self, pcrs: &Pcrs) -> Result<Vec<PcrValue>, Error>;

    /// Extends a register: its value becomes the hash of the old one and the digest.
    ///
    /// # Errors
    ///
    /// [`Error`] where the register may not be extended.
    fn extend_pcr(&mut self, pcr: u8, digest: &[u8; 32]) -> Result<(), Error>;

    /// Creates a counter, or finds it there. It begins above every counter that was removed from this TPM.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] where something else is at the index.
    fn create_counter(&mut self, index: u32) -> Result<(), Error>;

    /// Removes a counter, which frees its room.
    ///
    /// # Errors
    ///
    /// [`Error`] where there is none, or where something else is at the index.
    fn remove_counter(&mut self, index: u32) -> Result<(), Error>;

    /// Increments a counter and returns its new value.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `TPM_RC_HANDLE` where there is none.
    fn increment(&mut self, index: u32) -> Result<u64, Error>;

    /// A counter's value.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `TPM_RC_HANDLE` where there is none.
    fn counter(&mut self, index: u32) -> Result<u64, Error>;

    /// Seals a secret of at most 128 bytes: this TPM gives it out only while the registers hold what they hold now.
    ///
    /// # Errors
    ///
    /// [`Error`] where the TPM refuses.
    fn seal(&mut self, secret: &[u8], pcrs: &Pcrs) -> Result<Blob, Error>;

    /// The secret that was sealed.
    ///
    /// # Errors
    ///
    /// [`Error::Changed`] where the registers hold other values; [`Error::Refused`] where it is another TPM's.
    fn unseal(&mut self, sealed: &Blob) -> Result<Vec<u8>, Error>;

    /// How long the operations took.
    fn timings(&self) -> &Timings;
}

/// A connection to a TPM, in pure Rust.
pub struct Tpm {
    line: transport::Line,
    passwords: Passwords,
    timings: Timings,
    properties: Properties,
}

impl Chip for Tpm {
    fn properties(&self) -> &Properties {
        &self.properties
    }

    fn random(&mut self, bytes: usize) -> Result<Vec<u8>, Error> {
        self.timed("random", |tpm| tpm.random_now(bytes))
    }

    fn create_key(&mut self, under: Hierarchy, of: Use) -> Result<Blob, Error> {
        self.timed("create key", |tpm| tpm.create_key_now(under, of))
    }

    fn load(&mut self, key: &Blob) -> Result<Loaded, Error> {
        let (under, of) = key.key()?;
        self.timed("load key", |tpm| Ok(Loaded { handle: tpm.load_now(under, key)?, of }))
    }

    fn unload(&mut self, key: Loaded) -> Result<(), Error> {
        self.flush(TpmHandle::new(key.handle))
    }

    fn sign(&mut self, key: &Loaded, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.timed("sign", |tpm| tpm.sign_now(key, message))
    }

    fn quote(&mut self, key: &Loaded, pcrs: &Pcrs, nonce: &[u8]) -> Result<Quote, Error> {
        self.timed("quote", |tpm| tpm.quote_now(key, *pcrs, nonce))
    }

    fn read_pcrs(&mut self, pcrs: &Pcrs) -> Result<Vec<PcrValue>, Error> {
        self.timed("read registers", |tpm| tpm.pcrs_now(*pcrs))
    }

    fn extend_pcr(&mut self, pcr: u8, digest: &[u8; 32]) -> Result<(), Error> {
        self.timed("extend register", |tpm| tpm.extend_now(pcr, digest))
    }

    fn create_counter(&mut self, index: u32) -> Result<(), Error> {
        self.timed("create counter", |tpm| tpm.create_counter_now(index))
    }

    fn remove_counter(&mut self, index: u32) -> Result<(), Error> {
        self.timed("remove counter", |tpm| tpm.remove_counter_now(index))
    }

    fn increment(&mut self, index: u32) -> Result<u64, Error> {
        self.timed("increment counter", |tpm| tpm.increment_now(index))
    }

    fn counter(&mut self, index: u32) -> Result<u64, Error> {
        self.timed("read counter", |tpm| tpm.counter_now(index))
    }

    fn seal(&mut self, secret: &[u8], pcrs: &Pcrs) -> Result<Blob, Error> {
        self.timed("seal", |tpm| tpm.seal_now(secret, *pcrs))
    }

    fn unseal(&mut self, sealed: &Blob) -> Result<Vec<u8>, Error> {
        self.timed("unseal", |tpm| tpm.unseal_now(sealed))
    }

    fn timings(&self) -> &Timings {
        &self.timings
    }
}

/// Bytes from hexadecimal digits: a nonce as people write it.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    quote::unhex(text)
}

/// Connects to the TPM at an address.
///
/// # Errors
///
/// [`Error::Unreachable`] and what [`Tpm::open`] says; [`Error::Address`] for `tss:` where the feature is not built in.
pub fn connect(address: &Address, patience: Patience, passwords: Passwords) -> Result<Box<dyn Chip>, Error> {
    match address {
        #[cfg(not(feature = "tss-esapi"))]
        Address::Tss(_) => Err(Error::Address {
            text: address.to_string(),
            why: "this build speaks to TPMs itself; the TSS library is behind the feature `tss-esapi`",
        }),
        #[cfg(feature = "tss-esapi")]
        Address::Tss(_) => Ok(Box::new(Esapi::open(address, &passwords)?)),
        _ => Ok(Box::new(Tpm::open(address, patience, passwords)?)),
    }
}
