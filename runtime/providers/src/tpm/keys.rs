//! Keys: the primary key of a hierarchy, a signing key beneath it, and signing.

use sha2::{Digest as _, Sha256};
use tpm2_protocol::basic::{TpmHandle, TpmUint16};
use tpm2_protocol::constant::MAX_BUFFER_SIZE;
use tpm2_protocol::data::{
    Tpm2bDigest, Tpm2bMaxBuffer, Tpm2bPublic, Tpm2bSensitiveCreate, TpmAlgId, TpmEccCurve, TpmRh, TpmSt,
    TpmaObject, TpmsEccParms, TpmsEccPoint, TpmsSchemeHash, TpmtEccScheme, TpmtKdfScheme, TpmtPublic,
    TpmtSigScheme, TpmtSignature, TpmtSymDef, TpmtTkHashcheck, TpmuAsymScheme, TpmuKdfScheme, TpmuPublicId,
    TpmuPublicParms, TpmuSignature, TpmuSymKeyBits, TpmuSymMode,
};
use tpm2_protocol::frame::{
    TpmCreateCommand, TpmCreatePrimaryCommand, TpmCreatePrimaryResponse, TpmCreateResponse, TpmHashCommand,
    TpmHashResponse, TpmHashSequenceStartCommand, TpmHashSequenceStartResponse, TpmLoadCommand,
    TpmLoadResponse, TpmReadPublicCommand, TpmReadPublicResponse, TpmSequenceCompleteCommand,
    TpmSequenceCompleteResponse, TpmSequenceUpdateCommand, TpmSequenceUpdateResponse, TpmSignCommand,
    TpmSignResponse,
};

use twinml_engine::provenance::PublicKey;

use super::blob::{bytes_of, public_key};
use super::command::Auth;
use super::{Blob, Content, Error, Hierarchy, Loaded, Tpm, Use};

/// A key of P-256 that a TPM makes for itself and that stays there.
fn template(uses: TpmaObject, symmetric: TpmtSymDef, scheme: TpmtEccScheme) -> TpmtPublic {
    TpmtPublic {
        object_type: TpmAlgId::Ecc,
        name_alg: TpmAlgId::Sha256,
        object_attributes: uses
            | TpmaObject::FIXED_TPM
            | TpmaObject::FIXED_PARENT
            | TpmaObject::SENSITIVE_DATA_ORIGIN
            | TpmaObject::USER_WITH_AUTH
            // Its password is empty: wrong ones must not lock the TPM.
            | TpmaObject::NO_DA,
        auth_policy: Tpm2bDigest::default(),
        parameters: TpmuPublicParms::Ecc(TpmsEccParms {
            symmetric,
            scheme,
            curve_id: TpmEccCurve::NistP256,
            kdf: TpmtKdfScheme { scheme: TpmAlgId::Null, details: TpmuKdfScheme::Null },
        }),
        unique: TpmuPublicId::Ecc(TpmsEccPoint::default()),
    }
}

/// The storage key from which every program that reads `TSS2 PRIVATE KEY` derives the parent: it is not stored, the TPM
/// makes the same one from its seed each time.
pub(super) fn storage() -> TpmtPublic {
    template(
        TpmaObject::RESTRICTED | TpmaObject::DECRYPT,
        TpmtSymDef {
            algorithm: TpmAlgId::Aes,
            key_bits: TpmuSymKeyBits::Aes(TpmUint16::new(128)),
            mode: TpmuSymMode::Aes(TpmAlgId::Cfb),
        },
        TpmtEccScheme { scheme: TpmAlgId::Null, details: TpmuAsymScheme::Null },
    )
}

/// A key that signs. One that also quotes signs only what the TPM hashed itself.
pub(super) fn signing(of: Use) -> TpmtPublic {
    template(
        match of {
            Use::SignAndQuote => TpmaObject::RESTRICTED | TpmaObject::SIGN_ENCRYPT,
            Use::Sign => TpmaObject::SIGN_ENCRYPT,
        },
        TpmtSymDef { algorithm: TpmAlgId::Null, key_bits: TpmuSymKeyBits::Null, mode: TpmuSymMode::Null },
        TpmtEccScheme {
            scheme: TpmAlgId::Ecdsa,
            details: TpmuAsymScheme::Hash(TpmsSchemeHash { hash_alg: TpmAlgId::Sha256 }),
        },
    )
}

/// The signature of P-256 and SHA-256 as DER; of its two forms the one with the smaller `s`.
pub(super) fn der(signature: &TpmtSignature, command: &'static str) -> Result<Vec<u8>, Error> {
    let bad = |why: &str| Error::Answer { command, why: why.to_owned() };
    let TpmuSignature::Ecdsa(s) = &signature.signature else {
        return Err(bad("its signature is not ECDSA's"));
    };
    if s.hash != TpmAlgId::Sha256 {
        return Err(bad("its signature is of another hash"));
    }
    der_of(s.signature_r.as_ref(), s.signature_s.as_ref())
        .ok_or_else(|| bad("its signature is none of P-256"))
}

/// From the two numbers, big-endian.
pub(super) fn der_of(r: &[u8], s: &[u8]) -> Option<Vec<u8>> {
    let whole = |number: &[u8]| -> Option<[u8; 32]> {
        let mut out = [0; 32];
        out.get_mut(32_usize.checked_sub(number.len())?..)?.copy_from_slice(number);
        Some(out)
    };
    let signature = p256::ecdsa::Signature::from_scalars(whole(r)?, whole(s)?).ok()?;
    Some(signature.normalize_s().to_der().as_bytes().to_vec())
}

impl Tpm {
    /// What `f` does with the hierarchy's storage key.
    pub(super) fn under<T>(
        &mut self,
        hierarchy: Hierarchy,
        f: impl FnOnce(&mut Tpm, TpmHandle) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let password = self.passwords.of(hierarchy).to_vec();
        let command = TpmCreatePrimaryCommand {
            handles: [TpmHandle::new(hierarchy.handle() as u32)],
            in_public: Tpm2bPublic::from(storage()),
            ..TpmCreatePrimaryCommand::default()
        };
        let answer: TpmCreatePrimaryResponse = self.run(&command, &Auth::Password(&password))?;
        let [parent] = answer.handles;
        self.with(parent, f)
    }

    /// Creates something beneath the storage key.
    pub(super) fn create(
        &mut self,
        parent: TpmHandle,
        public: TpmtPublic,
        sensitive: Tpm2bSensitiveCreate,
    ) -> Result<TpmCreateResponse, Error> {
        let command = TpmCreateCommand {
            handles: [parent],
            in_sensitive: sensitive,
            in_public: public.into(),
            outside_info: Default::default(),
            creation_pcr: Default::default(),
        };
        self.run(&command, &Auth::Password(&[]))
    }

    pub(super) fn create_key_now(&mut self, under: Hierarchy, of: Use) -> Result<Blob, Error> {
        let made = self
            .under(under, |tpm, parent| tpm.create(parent, signing(of), Tpm2bSensitiveCreate::default()))?;
        Blob::of_parts(Content::Key { under, of }, bytes_of(&made.out_public)?, bytes_of(&made.out_private)?)
    }

    /// Loads beneath the storage key, whose own slot is free again afterwards.
    pub(super) fn load_now(&mut self, under: Hierarchy, blob: &Blob) -> Result<u32, Error> {
        let (in_private, in_public) = (blob.private()?, blob.public()?);
        self.under(under, |tpm, parent| {
            let command = TpmLoadCommand { handles: [parent], in_private, in_public };
            let answer: TpmLoadResponse = tpm.run(&command, &Auth::Password(&[]))?;
            let [loaded] = answer.handles;
            Ok(loaded.value())
        })
    }

    /// The public half of a loaded key.
    pub(super) fn public_of(&mut self, key: &Loaded) -> Result<PublicKey, Error> {
        let command = TpmReadPublicCommand { handles: [TpmHandle::new(key.handle)] };
        let answer: TpmReadPublicResponse = self.run(&command, &Auth::None)?;
        public_key(&answer.out_public.unique)
    }

    /// Has the TPM hash a message. Its ticket says that it did, and that the message is no statement of its own.
    fn hash(&mut self, message: &[u8]) -> Result<(Tpm2bDigest, TpmtTkHashcheck), Error> {
        let whole = |bytes: &[u8]| {
            Tpm2bMaxBuffer::try_from(bytes)
                .map_err(|_| Error::Request { why: "a piece of a message is too long".to_owned() })
        };
        if message.len() <= MAX_BUFFER_SIZE {
            let command = TpmHashCommand {
                handles: [],
                data: whole(message)?,
                hash_alg: TpmAlgId::Sha256,
                hierarchy: TpmRh::Owner,
            };
            let answer: TpmHashResponse = self.run(&command, &Auth::None)?;
            return Ok((answer.out_hash, answer.validation));
        }
        let start =
            TpmHashSequenceStartCommand { handles: [], auth: Default::default(), hash_alg: TpmAlgId::Sha256 };
        let started: TpmHashSequenceStartResponse = self.run(&start, &Auth::None)?;
        let [sequence] = started.handles;
        let mut done = || {
            let (last, pieces) = {
                let pieces: Vec<&[u8]> = message.chunks(MAX_BUFFER_SIZE).collect();
                let (last, pieces) =
                    pieces.split_last().map_or((message, Vec::new()), |(l, p)| (*l, p.to_vec()));
                (last, pieces)
            };
            for piece in pieces {
                let update = TpmSequenceUpdateCommand { handles: [sequence], buffer: whole(piece)? };
                let _: TpmSequenceUpdateResponse = self.run(&update, &Auth::Password(&[]))?;
            }
            let complete = TpmSequenceCompleteCommand {
                handles: [sequence],
                buffer: whole(last)?,
                hierarchy: TpmRh::Owner,
            };
            let answer: TpmSequenceCompleteResponse = self.run(&complete, &Auth::Password(&[]))?;
            Ok((answer.result, answer.validation))
        };
        let done = done();
        if done.is_err() {
            // Completing frees the slot; an error does not.
            let _ = self.flush(sequence);
        }
        done
    }

    pub(super) fn sign_now(&mut self, key: &Loaded, message: &[u8]) -> Result<Vec<u8>, Error> {
        let (digest, validation) = match key.of {
            Use::SignAndQuote => self.hash(message)?,
            Use::Sign => {
                let digest = Sha256::digest(message);
                let whole = |_| Error::Request { why: "a digest does not fit".to_owned() };
                let none = TpmtTkHashcheck {
                    tag: TpmSt::HashCheck,
                    hierarchy: TpmRh::Null,
                    digest: Default::default(),
                };
                (Tpm2bDigest::try_from(digest.as_slice()).map_err(whole)?, none)
            }
        };
        let command = TpmSignCommand {
            handles: [TpmHandle::new(key.handle)],
            digest,
            in_scheme: TpmtSigScheme::default(),
            validation,
        };
        let answer: TpmSignResponse = self.run(&command, &Auth::Password(&[]))?;
        der(&answer.signature, "TPM2_Sign")
    }
}
