//! Secrets that a TPM gives out only while its registers hold what they held.

use sha2::{Digest as _, Sha256};
use tpm2_protocol::basic::TpmHandle;
use tpm2_protocol::data::{
    Tpm2bDigest, Tpm2bNonce, Tpm2bSensitiveCreate, Tpm2bSensitiveData, TpmAlgId, TpmCc, TpmRcBase, TpmRh,
    TpmSe, TpmaObject, TpmsKeyedhashParms, TpmsSensitiveCreate, TpmtKeyedhashScheme, TpmtPublic, TpmtSymDef,
    TpmuKeyedhashScheme, TpmuPublicId, TpmuPublicParms, TpmuSymKeyBits, TpmuSymMode,
};
use tpm2_protocol::frame::{
    TpmPolicyPcrCommand, TpmPolicyPcrResponse, TpmStartAuthSessionCommand, TpmStartAuthSessionResponse,
    TpmUnsealCommand, TpmUnsealResponse,
};

use super::blob::bytes_of;
use super::command::Auth;
use super::pcr::digest;
use super::{Blob, Content, Error, Hierarchy, Pcrs, Tpm};

/// What a TPM seals at most.
const LONGEST: usize = 128;

/// The digest of the policy "these registers hold values of that hash": SHA-256 over 32 zeros, the command's code, the
/// selection and the hash (TPM 2.0 Library, part 3, `TPM2_PolicyPCR`).
pub(super) fn policy(pcrs: Pcrs, values: &[u8; 32]) -> Result<[u8; 32], Error> {
    let mut hash = Sha256::new();
    hash.update([0; 32]);
    hash.update((TpmCc::PolicyPcr as u32).to_be_bytes());
    hash.update(bytes_of(&pcrs.selection())?);
    hash.update(values);
    Ok(hash.finalize().into())
}

pub(super) fn check_length(secret: &[u8]) -> Result<(), Error> {
    if secret.is_empty() || secret.len() > LONGEST {
        return Err(Error::Request {
            why: format!("a TPM seals 1 to {LONGEST} bytes, not {}", secret.len()),
        });
    }
    Ok(())
}

/// Of a secret that the policy alone opens.
pub(super) fn template(policy: &[u8; 32]) -> Result<TpmtPublic, Error> {
    let long = |_| Error::Request { why: "a digest does not fit".to_owned() };
    Ok(TpmtPublic {
        object_type: TpmAlgId::KeyedHash,
        name_alg: TpmAlgId::Sha256,
        // No password opens it: the policy alone.
        object_attributes: TpmaObject::FIXED_TPM | TpmaObject::FIXED_PARENT | TpmaObject::NO_DA,
        auth_policy: Tpm2bDigest::try_from(policy.as_slice()).map_err(long)?,
        parameters: TpmuPublicParms::KeyedHash(TpmsKeyedhashParms {
            scheme: TpmtKeyedhashScheme { scheme: TpmAlgId::Null, details: TpmuKeyedhashScheme::Null },
        }),
        unique: TpmuPublicId::KeyedHash(Tpm2bDigest::default()),
    })
}

impl Tpm {
    pub(super) fn seal_now(&mut self, secret: &[u8], pcrs: Pcrs) -> Result<Blob, Error> {
        check_length(secret)?;
        let long = |_| Error::Request { why: "the secret does not fit".to_owned() };
        let values = digest(&self.pcrs_now(pcrs)?);
        let public = template(&policy(pcrs, &values)?)?;
        let sensitive = TpmsSensitiveCreate {
            user_auth: Default::default(),
            data: Tpm2bSensitiveData::try_from(secret).map_err(long)?,
        };
        let made = self.under(Hierarchy::Owner, |tpm, parent| {
            tpm.create(parent, public, Tpm2bSensitiveCreate::from(sensitive))
        })?;
        Blob::of_parts(
            Content::Sealed { pcrs, digest: values },
            bytes_of(&made.out_public)?,
            bytes_of(&made.out_private)?,
        )
    }

    pub(super) fn unseal_now(&mut self, sealed: &Blob) -> Result<Vec<u8>, Error> {
        let Content::Sealed { pcrs, .. } = *sealed.content() else {
            return Err(Error::Blob { why: "it is a key, no sealed secret".to_owned() });
        };
        let loaded = self.load_now(Hierarchy::Owner, sealed)?;
        self.with(TpmHandle::new(loaded), |tpm, object| {
            let session = tpm.policy_session()?;
            tpm.with(session, |tpm, session| {
                // The policy's digest is computed from the registers as they are; whether it is the sealed one, the TPM
                // decides when it unseals.
                let command = TpmPolicyPcrCommand {
                    handles: [session],
                    pcr_digest: Tpm2bDigest::default(),
                    pcrs: pcrs.selection(),
                };
                let _: TpmPolicyPcrResponse = tpm.run(&command, &Auth::None)?;
                let answer: Result<TpmUnsealResponse, Error> =
                    tpm.run(&TpmUnsealCommand { handles: [object] }, &Auth::Policy(session));
                match answer {
                    Ok(answer) => Ok(answer.out_data.as_ref().to_vec()),
                    Err(e) if e.is(TpmRcBase::PolicyFail) || e.is(TpmRcBase::PcrChanged) => {
                        Err(Error::Changed { pcrs: pcrs.to_string() })
                    }
                    Err(e) => Err(e),
                }
            })
        })
    }

    fn policy_session(&mut self) -> Result<TpmHandle, Error> {
        // The nonce only keeps sessions apart; this one has no key to protect.
        let nonce = self.random_now(16)?;
        let long = |_| Error::Request { why: "a nonce does not fit".to_owned() };
        let command = TpmStartAuthSessionCommand {
            handles: [TpmHandle::new(TpmRh::Null as u32), TpmHandle::new(TpmRh::Null as u32)],
            nonce_caller: Tpm2bNonce::try_from(nonce.as_slice()).map_err(long)?,
            encrypted_salt: Default::default(),
            session_type: TpmSe::Policy,
            symmetric: TpmtSymDef {
                algorithm: TpmAlgId::Null,
                key_bits: TpmuSymKeyBits::Null,
                mode: TpmuSymMode::Null,
            },
            auth_hash: TpmAlgId::Sha256,
        };
        let answer: TpmStartAuthSessionResponse = self.run(&command, &Auth::None)?;
        let [session] = answer.handles;
        Ok(session)
    }
}
