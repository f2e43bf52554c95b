//! What a TPM made and only it can open, as text: a signing key, a sealed secret.
//!
//! The form is the one that other programs of TPMs read (`TSS2 PRIVATE KEY`: "ASN.1 Specification for TPM 2.0 Key Files",
//! Bottomley and others; also written by tpm2-openssl and tpm2-tss-engine): PEM of DER. The private part is encrypted by
//! the TPM; whoever has the file, but not the TPM, has nothing.

use p256::pkcs8::der::asn1::{ContextSpecific, OctetStringRef};
use p256::pkcs8::der::pem::LineEnding;
use p256::pkcs8::der::{
    self, Decode, DecodeValue, Document, Encode, EncodeValue, Header, Length, Reader, Sequence, TagMode,
    TagNumber, Writer,
};
use p256::pkcs8::{EncodePublicKey as _, ObjectIdentifier};
use tpm2_protocol::data::{
    Tpm2bDigest, Tpm2bPrivate, Tpm2bPublic, TpmAlgId, TpmCc, TpmRh, TpmaObject, TpmlPcrSelection,
    TpmuPublicId,
};
use tpm2_protocol::{TpmMarshal, TpmUnmarshal, TpmWriter};
use twinml_engine::provenance::PublicKey;

use super::{Error, Hierarchy, Pcrs, Use};

const LABEL: &str = "TSS2 PRIVATE KEY";
const LOADABLE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.10.1.3");
const SEALED: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.10.1.5");
/// Above any of ours by far; what is longer is not looked at.
const LONGEST: usize = 16 * 1024;

/// What a [`Blob`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A key.
    Key {
        /// The hierarchy of its parent.
        under: Hierarchy,
        /// What it is for.
        of: Use,
    },
    /// A secret, given out while the registers' values have that hash (over the values in order, SHA-256).
    Sealed {
        /// The registers.
        pcrs: Pcrs,
        /// The hash of their values.
        digest: [u8; 32],
    },
}

/// What a TPM made and only it can open.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob {
    content: Content,
    /// `TPM2B_PUBLIC`, checked.
    public: Vec<u8>,
    /// `TPM2B_PRIVATE`, checked.
    private: Vec<u8>,
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blob").field("content", &self.content).finish_non_exhaustive()
    }
}

fn bad(why: impl Into<String>) -> Error {
    Error::Blob { why: why.into() }
}

pub(super) fn bytes_of(value: &impl TpmMarshal) -> Result<Vec<u8>, Error> {
    let mut buffer = vec![0; tpm2_protocol::constant::TPM_MAX_COMMAND_SIZE];
    let mut writer = TpmWriter::new(&mut buffer);
    value.marshal(&mut writer).map_err(|e| bad(e.to_string()))?;
    Ok(writer.as_bytes().to_vec())
}

pub(super) fn value_of<T: TpmUnmarshal>(bytes: &[u8]) -> Result<T, Error> {
    match T::unmarshal(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(bad("bytes follow a structure of the TPM's")),
        Err(e) => Err(bad(format!("a structure of the TPM's is malformed: {e}"))),
    }
}

impl Blob {
    /// A key, from `TPM2B_PUBLIC` and `TPM2B_PRIVATE`; what it is for stands in its attributes.
    pub(super) fn of_key(under: Hierarchy, public: Vec<u8>, private: Vec<u8>) -> Result<Blob, Error> {
        let attributes = value_of::<Tpm2bPublic>(&public)?.object_attributes;
        let of = if attributes.contains(TpmaObject::RESTRICTED) { Use::SignAndQuote } else { Use::Sign };
        Blob::of_parts(Content::Key { under, of }, public, private)
    }

    /// From `TPM2B_PUBLIC` and `TPM2B_PRIVATE`: checked to be what `content` says.
    pub(super) fn of_parts(content: Content, public: Vec<u8>, private: Vec<u8>) -> Result<Blob, Error> {
        let _: Tpm2bPrivate = value_of(&private)?;
        let blob = Blob { content, public, private };
        let area = blob.public()?;
        let attributes = area.object_attributes;
        let stays = TpmaObject::FIXED_TPM | TpmaObject::FIXED_PARENT;
        if !attributes.contains(stays) {
            return Err(bad("it may leave its TPM"));
        }
        match &blob.content {
            Content::Key { .. } => {
                let made = TpmaObject::SENSITIVE_DATA_ORIGIN | TpmaObject::SIGN_ENCRYPT;
                if !attributes.contains(made) || attributes.contains(TpmaObject::DECRYPT) {
                    return Err(bad("it is no signing key"));
                }
                public_key(&area.unique)?;
            }
            Content::Sealed { .. } => {
                if area.object_type != TpmAlgId::KeyedHash || attributes.contains(TpmaObject::USER_WITH_AUTH)
                {
                    return Err(bad("it is no secret sealed under a policy"));
                }
            }
        }
        Ok(blob)
    }

    /// What it holds.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The hierarchy of a key's parent, and what it is for.
    pub(super) fn key(&self) -> Result<(Hierarchy, Use), Error> {
        match self.content {
            Content::Key { under, of } => Ok((under, of)),
            Content::Sealed { .. } => Err(bad("it is a sealed secret, no key")),
        }
    }

    pub(super) fn public(&self) -> Result<Tpm2bPublic, Error> {
        value_of(&self.public)
    }

    pub(super) fn private(&self) -> Result<Tpm2bPrivate, Error> {
        value_of(&self.private)
    }

    /// `TPM2B_PUBLIC` and `TPM2B_PRIVATE`, with their lengths.
    pub fn parts(&self) -> (&[u8], &[u8]) {
        (&self.public, &self.private)
    }

    /// The key's public half.
    ///
    /// # Errors
    ///
    /// [`Error::Blob`] where it is no key.
    pub fn public_key(&self) -> Result<PublicKey, Error> {
        public_key(&self.public()?.unique)
    }

    /// PEM, with a line feed at the end of each line.
    pub fn to_pem(&self) -> String {
        // The lengths are those of structures that fit into a command; nothing here can fail.
        self.document().and_then(|d| d.to_pem(LABEL, LineEnding::LF)).unwrap_or_default()
    }

    fn document(&self) -> der::Result<Document> {
        let (kind, parent, policy) = match &self.content {
            Content::Key { under, .. } => (LOADABLE, under.handle(), None),
            Content::Sealed { pcrs, digest } => {
                let mut policy = bytes_of(&Tpm2bDigest::try_from(digest.as_slice()).unwrap_or_default())
                    .unwrap_or_default();
                policy.extend(bytes_of(&pcrs.selection()).unwrap_or_default());
                (SEALED, TpmRh::Owner, Some(policy))
            }
        };
        Document::encode_msg(&File {
            kind,
            empty_auth: true,
            policy: policy.as_deref(),
            parent: parent as u32,
            public: &self.public,
            private: &self.private,
        })
    }

    /// Reads what [`Blob::to_pem`] writes. Text before and after the PEM is not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Blob`], also for keys of other programs that are not like ours: exportable, of other curves,
    /// with passwords or policies.
    pub fn from_pem(text: &str) -> Result<Blob, Error> {
        if text.len() > LONGEST {
            return Err(bad("it is too long"));
        }
        // Lines of others may stand around it.
        let (begin, end) = (format!("-----BEGIN {LABEL}-----"), format!("-----END {LABEL}-----"));
        let from = text.find(&begin).ok_or_else(|| bad(format!("it has no `{begin}`")))?;
        let rest = &text[from..];
        let to = rest.find(&end).ok_or_else(|| bad("its end is missing"))? + end.len();
        let pem = rest[..to].replace("\r\n", "\n");
        let (_, document) = Document::from_pem(&pem).map_err(|e| bad(e.to_string()))?;
        let file = File::from_der(document.as_bytes()).map_err(|e| bad(e.to_string()))?;
        if !file.empty_auth {
            return Err(bad("it has a password of its own"));
        }
        let under =
            [Hierarchy::Owner, Hierarchy::Endorsement].into_iter().find(|h| h.handle() as u32 == file.parent);
        let under = under.ok_or_else(|| bad("its parent is no hierarchy's primary key"))?;
        let (public, private) = (file.public.to_vec(), file.private.to_vec());
        let blob = match (file.kind, file.policy) {
            (LOADABLE, None) => Blob::of_key(under, public, private)?,
            (SEALED, Some(policy)) if under == Hierarchy::Owner => {
                let short = || bad("its policy is malformed");
                let (digest, rest) = Tpm2bDigest::unmarshal(policy).map_err(|_| short())?;
                let selection: TpmlPcrSelection = value_of(rest)?;
                let digest: [u8; 32] = digest.as_ref().try_into().map_err(|_| short())?;
                let content = Content::Sealed { pcrs: Pcrs::of_selection(&selection)?, digest };
                Blob::of_parts(content, public, private)?
            }
            (LOADABLE | SEALED, _) => return Err(bad("its policy is none of ours")),
            _ => return Err(bad("it is of another type")),
        };
        if blob.to_pem().trim_end() != pem {
            return Err(bad("it is not written the one way"));
        }
        Ok(blob)
    }
}

/// The public half of a P-256 key, from its point.
pub(super) fn public_key(unique: &TpmuPublicId) -> Result<PublicKey, Error> {
    let TpmuPublicId::Ecc(p) = unique else { return Err(bad("it is no key of an elliptic curve")) };
    let (x, y) = (p.x.as_ref(), p.y.as_ref());
    if x.len() > 32 || y.len() > 32 {
        return Err(bad("its point is none of P-256"));
    }
    // Uncompressed (SEC 1): a four and both coordinates.
    let mut point = [0; 65];
    point[0] = 4;
    point[33 - x.len()..33].copy_from_slice(x);
    point[65 - y.len()..].copy_from_slice(y);
    let key =
        p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).map_err(|_| bad("its point is none of P-256"))?;
    let der = key.to_public_key_der().map_err(|e| bad(e.to_string()))?;
    PublicKey::from_der(der.as_bytes()).map_err(|e| bad(e.to_string()))
}

/// `TPMKey`: type, `[0]` whether the password is empty, `[1]` the policy, parent, public and private part.
struct File<'a> {
    kind: ObjectIdentifier,
    empty_auth: bool,
    /// Of the one command `TPM2_PolicyPCR`, its parameters.
    policy: Option<&'a [u8]>,
    parent: u32,
    public: &'a [u8],
    private: &'a [u8],
}

/// `TPMPolicy`: `[0]` the command's code, `[1]` its parameters.
struct Step<'a> {
    code: u32,
    parameters: &'a [u8],
}

fn explicit<T>(number: u32, value: T) -> ContextSpecific<T> {
    ContextSpecific { tag_number: TagNumber(number), tag_mode: TagMode::Explicit, value }
}

impl<'a> Sequence<'a> for Step<'a> {}

impl<'a> DecodeValue<'a> for Step<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        reader.read_nested(header.length(), |r| {
            let missing = |r: &mut R| r.error(der::ErrorKind::Failed);
            let code = ContextSpecific::<u32>::decode_explicit(r, TagNumber(0))?;
            let Some(code) = code else { return Err(missing(r)) };
            let parameters = ContextSpecific::<&OctetStringRef>::decode_explicit(r, TagNumber(1))?;
            let Some(parameters) = parameters else { return Err(missing(r)) };
            Ok(Step { code: code.value, parameters: parameters.value.as_bytes() })
        })
    }
}

impl EncodeValue for Step<'_> {
    fn value_len(&self) -> der::Result<Length> {
        explicit(0, self.code).encoded_len()?
            + explicit(1, OctetStringRef::new(self.parameters)?).encoded_len()?
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        explicit(0, self.code).encode(writer)?;
        explicit(1, OctetStringRef::new(self.parameters)?).encode(writer)
    }
}

impl<'a> Sequence<'a> for File<'a> {}

impl<'a> DecodeValue<'a> for File<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        reader.read_nested(header.length(), |r| {
            let kind = ObjectIdentifier::decode(r)?;
            let empty_auth =
                ContextSpecific::<bool>::decode_explicit(r, TagNumber(0))?.is_some_and(|v| v.value);
            let policy = ContextSpecific::<Vec<Step<'a>>>::decode_explicit(r, TagNumber(1))?;
            let policy = match policy {
                None => None,
                Some(steps) => match steps.value.as_slice() {
                    [step] if step.code == TpmCc::PolicyPcr as u32 => Some(step.parameters),
                    _ => return Err(r.error(der::ErrorKind::Failed)),
                },
            };
            Ok(File {
                kind,
                empty_auth,
                policy,
                parent: u32::decode(r)?,
                public: <&OctetStringRef>::decode(r)?.as_bytes(),
                private: <&OctetStringRef>::decode(r)?.as_bytes(),
            })
        })
    }
}

impl File<'_> {
    fn each(&self, f: &mut dyn FnMut(&dyn Piece) -> der::Result<()>) -> der::Result<()> {
        f(&self.kind)?;
        f(&explicit(0, self.empty_auth))?;
        if let Some(parameters) = self.policy {
            f(&explicit(1, vec![Step { code: TpmCc::PolicyPcr as u32, parameters }]))?;
        }
        f(&self.parent)?;
        f(&OctetStringRef::new(self.public)?)?;
        f(&OctetStringRef::new(self.private)?)
    }
}

/// One field, encoded.
trait Piece {
    fn der(&self) -> der::Result<Vec<u8>>;
}

impl<T: Encode> Piece for T {
    fn der(&self) -> der::Result<Vec<u8>> {
        self.to_der()
    }
}

impl EncodeValue for File<'_> {
    fn value_len(&self) -> der::Result<Length> {
        let mut length = Length::ZERO;
        self.each(&mut |piece| {
            length = (length + Length::try_from(piece.der()?.len())?)?;
            Ok(())
        })?;
        Ok(length)
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        self.each(&mut |piece| writer.write(&piece.der()?))
    }
}
