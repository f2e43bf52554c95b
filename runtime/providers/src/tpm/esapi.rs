//! The same operations through the system's TSS library: the other side of the seam [`Chip`].
//!
//! Templates, checks and texts are those of the pure side, so that what one made the other takes. The library of this
//! version has no hash sequences: a key that also quotes signs messages of at most a kibibyte through it, one that only
//! signs ([`Use::Sign`]) any. Deadlines are the library's own.

use std::str::FromStr as _;
use std::time::Instant;

use tpm2_protocol::TpmMarshal;
use tpm2_protocol::constant::MAX_BUFFER_SIZE;
use tpm2_protocol::data::{Tpm2bPrivate, Tpm2bPublic, TpmPt, TpmRcBase, TpmaNv};
use tss_esapi::attributes::NvIndexAttributes;
use tss_esapi::constants::response_code::Tss2ResponseCode;
use tss_esapi::constants::tss::{TPM2_RH_NULL, TPM2_ST_HASHCHECK};
use tss_esapi::constants::{PropertyTag, SessionType};
use tss_esapi::handles::{KeyHandle, NvIndexHandle, NvIndexTpmHandle, ObjectHandle, PcrHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::resource_handles::{Hierarchy as Under, NvAuth, Provision};
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{
    Auth, Data, Digest, DigestValues, HashcheckTicket, MaxBuffer, NvPublic, PcrSelectionList, PcrSlot,
    Private, Public, SensitiveData, Signature, SignatureScheme, SymmetricDefinition,
};
use tss_esapi::traits::{Marshall as _, UnMarshall as _};
use tss_esapi::tss2_esys::TPMT_TK_HASHCHECK;
use tss_esapi::{Context, tcti_ldr::TctiNameConf};
use twinml_engine::provenance::PublicKey;

use super::blob::{bytes_of, value_of};
use super::pcr::{digest, quotes};
use super::{
    Address, Blob, Chip, Content, Error, Flaw, Hierarchy, Loaded, Passwords, PcrValue, Pcrs, Properties,
    Quote, Timings, Use, counter, keys, random, seal,
};

/// A connection to a TPM through the system's TSS library.
pub struct Esapi {
    context: Context,
    timings: Timings,
    properties: Properties,
}

/// An error of the library, with the command that it was doing.
fn failed(command: &'static str) -> impl Fn(tss_esapi::Error) -> Error {
    move |e| {
        let code = match e {
            // The raw number is only in the text.
            tss_esapi::Error::Tss2Error(Tss2ResponseCode::FormatZero(c)) => c.to_string(),
            tss_esapi::Error::Tss2Error(Tss2ResponseCode::FormatOne(c)) => c.to_string(),
            _ => String::new(),
        };
        let code = code.rsplit_once("0x").and_then(|(_, hex)| u32::from_str_radix(hex, 16).ok());
        match code {
            // The upper half names the layer; nought is the TPM.
            Some(code) if code >> 16 == 0 => Error::Refused { command, code },
            _ => Error::Tss { command, why: e.to_string() },
        }
    }
}

const fn under(hierarchy: Hierarchy) -> Under {
    match hierarchy {
        Hierarchy::Owner => Under::Owner,
        Hierarchy::Endorsement => Under::Endorsement,
    }
}

/// A structure's bytes, as the library takes them.
fn public(of: &impl TpmMarshal) -> Result<Public, Error> {
    Public::unmarshall(&bytes_of(of)?).map_err(failed("reading a public area"))
}

fn selection(pcrs: Pcrs) -> Result<PcrSelectionList, Error> {
    let slots: Result<Vec<PcrSlot>, _> = pcrs.iter().map(|k| PcrSlot::try_from(1 << u32::from(k))).collect();
    let what = "naming registers";
    let slots = slots.map_err(failed(what))?;
    PcrSelectionList::builder().with_selection(HashingAlgorithm::Sha256, &slots).build().map_err(failed(what))
}

fn der(signature: &Signature, command: &'static str) -> Result<Vec<u8>, Error> {
    let bad = || Error::Answer { command, why: "its signature is none of P-256".to_owned() };
    let Signature::EcDsa(s) = signature else { return Err(bad()) };
    keys::der_of(s.signature_r().value(), s.signature_s().value()).ok_or_else(bad)
}

/// The name of what the library loads does not say its address again: as a configuration of the library's.
fn configuration(address: &Address) -> Option<String> {
    match address {
        Address::Tss(tcti) => Some(tcti.clone()),
        _ => None,
    }
}

impl Esapi {
    /// Connects to the TPM at a `tss:` address.
    ///
    /// # Errors
    ///
    /// [`Error::Address`], [`Error::Unreachable`], [`Error::Answer`] where what answers is no TPM 2.0.
    pub fn open(address: &Address, passwords: &Passwords) -> Result<Esapi, Error> {
        let wrong = |why| Error::Address { text: address.to_string(), why };
        let tcti = configuration(address)
            .ok_or_else(|| wrong("the TSS library takes addresses that begin with `tss:`"))?;
        let tcti = TctiNameConf::from_str(&tcti).map_err(|_| {
            wrong("after `tss:` stands `device:PATH`, `swtpm:host=…,port=…`, `mssim:host=…,port=…` or `tabrmd:…`")
        })?;
        let gone = |e: tss_esapi::Error| Error::Unreachable {
            at: address.to_string(),
            why: e.to_string(),
            denied: false,
        };
        let mut context = Context::new(tcti).map_err(gone)?;
        let mut values = Vec::new();
        for (tag, of) in [
            (TpmPt::FamilyIndicator, PropertyTag::FamilyIndicator),
            (TpmPt::Revision, PropertyTag::Revision),
            (TpmPt::Manufacturer, PropertyTag::Manufacturer),
            (TpmPt::VendorString1, PropertyTag::VendorString1),
            (TpmPt::VendorString2, PropertyTag::VendorString2),
            (TpmPt::VendorString3, PropertyTag::VendorString3),
            (TpmPt::VendorString4, PropertyTag::VendorString4),
            (TpmPt::FirmwareVersion1, PropertyTag::FirmwareVersion1),
            (TpmPt::FirmwareVersion2, PropertyTag::FirmwareVersion2),
        ] {
            if let Some(value) = context.get_tpm_property(of).map_err(failed("TPM2_GetCapability"))? {
                values.push((tag as u32, value));
            }
        }
        if values.first() != Some(&(TpmPt::FamilyIndicator as u32, u32::from_be_bytes(*b"2.0\0"))) {
            return Err(Error::Answer {
                command: "TPM2_GetCapability",
                why: "it is of another family".to_owned(),
            });
        }
        let set = |context: &mut Context, handle, password: &[u8]| {
            let auth = Auth::try_from(password).map_err(failed("taking a password"))?;
            context.tr_set_auth(handle, auth).map_err(failed("taking a password"))
        };
        set(&mut context, ObjectHandle::Owner, &passwords.owner)?;
        set(&mut context, ObjectHandle::Endorsement, &passwords.endorsement)?;
        Ok(Esapi { context, timings: Timings::default(), properties: Properties::from_raw(&values) })
    }

    /// One command, with the password that the library keeps for its handle.
    fn with_password<T>(
        &mut self,
        command: &'static str,
        f: impl FnOnce(&mut Context) -> tss_esapi::Result<T>,
    ) -> Result<T, Error> {
        self.context.execute_with_session(Some(AuthSession::Password), f).map_err(failed(command))
    }

    fn plain<T>(
        &mut self,
        command: &'static str,
        f: impl FnOnce(&mut Context) -> tss_esapi::Result<T>,
    ) -> Result<T, Error> {
        self.context.execute_without_session(f).map_err(failed(command))
    }

    /// What `f` does with an object, whose slot is freed afterwards.
    fn with<T>(
        &mut self,
        object: ObjectHandle,
        f: impl FnOnce(&mut Esapi) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let done = f(self);
        let freed = self.plain("TPM2_FlushContext", |c| c.flush_context(object));
        let done = done?;
        freed?;
        Ok(done)
    }

    fn parent<T>(
        &mut self,
        hierarchy: Hierarchy,
        f: impl FnOnce(&mut Esapi, KeyHandle) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let storage = public(&keys::storage())?;
        let made = self.with_password("TPM2_CreatePrimary", |c| {
            c.create_primary(under(hierarchy), storage, None, None, None, None)
        })?;
        self.with(made.key_handle.into(), |it| f(it, made.key_handle))
    }

    /// Creates something beneath a storage key: `TPM2B_PUBLIC` and `TPM2B_PRIVATE`.
    fn create(
        &mut self,
        hierarchy: Hierarchy,
        template: Public,
        secret: Option<SensitiveData>,
    ) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let made = self.parent(hierarchy, |it, parent| {
            it.with_password("TPM2_Create", |c| c.create(parent, template, None, secret, None, None))
        })?;
        let area = made.out_public.marshall().map_err(failed("TPM2_Create"))?;
        let long = |_| Error::Answer { command: "TPM2_Create", why: "a part is too long".to_owned() };
        let private = Tpm2bPrivate::try_from(made.out_private.value()).map_err(long)?;
        Ok((
            bytes_of(&Tpm2bPublic::from(value_of::<tpm2_protocol::data::TpmtPublic>(&area)?))?,
            bytes_of(&private)?,
        ))
    }

    fn load_blob(&mut self, hierarchy: Hierarchy, blob: &Blob) -> Result<KeyHandle, Error> {
        let area = public(&*blob.public()?)?;
        let private = Private::try_from(blob.private()?.as_ref()).map_err(failed("TPM2_Load"))?;
        self.parent(hierarchy, |it, parent| it.with_password("TPM2_Load", |c| c.load(parent, private, area)))
    }

    fn public_of(&mut self, key: &Loaded) -> Result<PublicKey, Error> {
        let (area, _, _) = self.plain("TPM2_ReadPublic", |c| c.read_public(KeyHandle::from(key.handle)))?;
        let bytes = area.marshall().map_err(failed("TPM2_ReadPublic"))?;
        super::blob::public_key(&value_of::<tpm2_protocol::data::TpmtPublic>(&bytes)?.unique)
    }

    fn sign_now(&mut self, key: &Loaded, message: &[u8]) -> Result<Vec<u8>, Error> {
        let command = "TPM2_Sign";
        let (hash, ticket) = match key.of {
            Use::SignAndQuote if message.len() > MAX_BUFFER_SIZE => {
                let why = format!(
                    "through the TSS library a key that also quotes signs at most {MAX_BUFFER_SIZE} bytes, not {}",
                    message.len()
                );
                return Err(Error::Request { why });
            }
            Use::SignAndQuote => {
                let data = MaxBuffer::try_from(message).map_err(failed("TPM2_Hash"))?;
                self.plain("TPM2_Hash", |c| c.hash(data, HashingAlgorithm::Sha256, Under::Owner))?
            }
            Use::Sign => {
                use sha2::Digest as _;
                let hash =
                    Digest::try_from(sha2::Sha256::digest(message).as_slice()).map_err(failed(command))?;
                let none = TPMT_TK_HASHCHECK {
                    tag: TPM2_ST_HASHCHECK,
                    hierarchy: TPM2_RH_NULL,
                    digest: Default::default(),
                };
                (hash, HashcheckTicket::try_from(none).map_err(failed(command))?)
            }
        };
        let handle = KeyHandle::from(key.handle);
        let signature =
            self.with_password(command, |c| c.sign(handle, hash, SignatureScheme::Null, ticket))?;
        der(&signature, command)
    }

    fn pcrs_now(&mut self, pcrs: Pcrs) -> Result<Vec<PcrValue>, Error> {
        let command = "TPM2_PCR_Read";
        let bad = |why: &str| Error::Answer { command, why: why.to_owned() };
        let mut values = Vec::new();
        // One by one: a TPM reads eight at most, and the library gives no order.
        let mut counter = None;
        let mut tries = 0;
        let all: Vec<u8> = pcrs.iter().collect();
        let mut at = 0;
        while let Some(pcr) = all.get(at) {
            let list = selection(Pcrs::new([*pcr])?)?;
            let (count, _, read) = self.plain(command, |c| c.pcr_read(list))?;
            if *counter.get_or_insert(count) != count {
                tries += 1;
                if tries == 8 {
                    return Err(bad("its registers do not stand still"));
                }
                (at, counter) = (0, None);
                values.clear();
                continue;
            }
            let Some(value) = read.value().first() else {
                let why = format!(
                    "this TPM has no bank of SHA-256 with {pcr}: the firmware's settings choose the banks"
                );
                return Err(Error::Request { why });
            };
            let value = value.value().try_into().map_err(|_| bad("a register is not of 32 bytes"))?;
            values.push(PcrValue { pcr: *pcr, value });
            at += 1;
        }
        Ok(values)
    }

    fn quote_now(&mut self, key: &Loaded, pcrs: Pcrs, nonce: &[u8]) -> Result<Quote, Error> {
        quotes(key)?;
        let command = "TPM2_Quote";
        let data = (nonce.len() <= 64).then(|| Data::try_from(nonce));
        let data = data
            .ok_or_else(|| Error::Request { why: "what a quote carries has at most 64 bytes".to_owned() })?;
        let data = data.map_err(failed(command))?;
        let public = self.public_of(key)?;
        for _ in 0..3 {
            let values = self.pcrs_now(pcrs)?;
            let (data, list, handle) = (data.clone(), selection(pcrs)?, KeyHandle::from(key.handle));
            let (attest, signature) =
                self.with_password(command, |c| c.quote(handle, data, SignatureScheme::Null, list))?;
            let statement = attest.marshall().map_err(failed(command))?;
            let quote = Quote::new(
                public.id().to_owned(),
                statement,
                der(&signature, command)?,
                values,
                nonce.to_vec(),
            );
            match quote.check(&public, nonce) {
                Ok(()) => return Ok(quote),
                Err(Flaw::Registers) => {}
                Err(_) => return Err(Error::Untrue { command, why: "the quote is not what was asked" }),
            }
        }
        Err(Error::Untrue { command, why: "its registers are not those that it reads out" })
    }

    fn extend_now(&mut self, pcr: u8, with: &[u8; 32]) -> Result<(), Error> {
        let _ = Pcrs::new([pcr])?;
        let command = "TPM2_PCR_Extend";
        let mut digests = DigestValues::new();
        digests.set(HashingAlgorithm::Sha256, Digest::try_from(with.as_slice()).map_err(failed(command))?);
        // The library's handles of registers are their numbers.
        let handle = PcrHandle::try_from(u32::from(pcr)).map_err(failed(command))?;
        self.with_password(command, |c| c.pcr_extend(handle, digests))
    }

    fn nv(&mut self, index: u32) -> Result<(NvIndexHandle, NvPublic), Error> {
        let command = "TPM2_NV_ReadPublic";
        let at = TpmHandle::NvIndex(NvIndexTpmHandle::new(index).map_err(failed(command))?);
        let object = self.plain(command, |c| c.tr_from_tpm_public(at))?;
        let handle = NvIndexHandle::from(object);
        let (area, _) = self.plain(command, |c| c.nv_read_public(handle))?;
        Ok((handle, area))
    }

    /// Forgets the library's own notes of an index.
    fn close(&mut self, handle: NvIndexHandle) -> Result<(), Error> {
        let mut object = ObjectHandle::from(handle);
        self.plain("closing an index", |c| c.tr_close(&mut object))
    }

    fn counter_handle(&mut self, index: u32) -> Result<NvIndexHandle, Error> {
        let (handle, area) = self.nv(index)?;
        let bits = u32::try_from(area.attributes()).map_err(failed("TPM2_NV_ReadPublic"))?;
        if bits >> 4 & 0xf != 1 || area.data_size() != 8 {
            self.close(handle)?;
            return Err(Error::Request {
                why: format!("what is at the TPM's index 0x{index:08x} is no counter"),
            });
        }
        Ok(handle)
    }

    fn counter_now(&mut self, index: u32) -> Result<u64, Error> {
        let handle = self.counter_handle(index)?;
        let read = self.with_password("TPM2_NV_Read", |c| c.nv_read(NvAuth::NvIndex(handle), handle, 8, 0));
        self.close(handle)?;
        let value = read?.value().try_into().map(u64::from_be_bytes);
        value.map_err(|_| Error::Answer {
            command: "TPM2_NV_Read",
            why: "a counter is not of 8 bytes".to_owned(),
        })
    }

    fn increment_now(&mut self, index: u32) -> Result<u64, Error> {
        let handle = self.counter_handle(index)?;
        let done =
            self.with_password("TPM2_NV_Increment", |c| c.nv_increment(NvAuth::NvIndex(handle), handle));
        self.close(handle)?;
        done?;
        self.counter_now(index)
    }

    fn create_counter_now(&mut self, index: u32) -> Result<(), Error> {
        let command = "TPM2_NV_DefineSpace";
        counter::check_index(index)?;
        let attributes =
            NvIndexAttributes::try_from(counter::attributes().bits()).map_err(failed(command))?;
        let area = NvPublic::builder()
            .with_nv_index(NvIndexTpmHandle::new(index).map_err(failed(command))?)
            .with_index_name_algorithm(HashingAlgorithm::Sha256)
            .with_index_attributes(attributes)
            .with_data_area_size(8)
            .build()
            .map_err(failed(command))?;
        match self.with_password(command, |c| c.nv_define_space(Provision::Owner, None, area)) {
            Ok(handle) => self.close(handle)?,
            Err(e) if e.is(TpmRcBase::NvDefined) => {}
            Err(e) => return Err(e),
        }
        let (handle, there) = self.nv(index)?;
        self.close(handle)?;
        let bits = u32::try_from(there.attributes()).map_err(failed(command))?;
        if counter::check_there(index, TpmaNv::from_bits_truncate(bits))? {
            return Ok(());
        }
        self.increment_now(index).map(drop)
    }

    fn seal_now(&mut self, secret: &[u8], pcrs: Pcrs) -> Result<Blob, Error> {
        seal::check_length(secret)?;
        let values = digest(&self.pcrs_now(pcrs)?);
        let template = public(&seal::template(&seal::policy(pcrs, &values)?)?)?;
        let secret = SensitiveData::try_from(secret).map_err(failed("TPM2_Create"))?;
        let (area, private) = self.create(Hierarchy::Owner, template, Some(secret))?;
        Blob::of_parts(Content::Sealed { pcrs, digest: values }, area, private)
    }

    fn unseal_now(&mut self, sealed: &Blob) -> Result<Vec<u8>, Error> {
        let Content::Sealed { pcrs, .. } = *sealed.content() else {
            return Err(Error::Blob { why: "it is a key, no sealed secret".to_owned() });
        };
        let object: ObjectHandle = self.load_blob(Hierarchy::Owner, sealed)?.into();
        self.with(object, |it| {
            let command = "TPM2_StartAuthSession";
            let session = it.plain(command, |c| {
                let none = SymmetricDefinition::Null;
                c.start_auth_session(None, None, None, SessionType::Policy, none, HashingAlgorithm::Sha256)
            })?;
            let session =
                session.ok_or_else(|| Error::Tss { command, why: "it gave no session".to_owned() })?;
            let policy = PolicySession::try_from(session).map_err(failed(command))?;
            let list = selection(pcrs)?;
            let flushed = tss_esapi::handles::SessionHandle::from(session);
            it.with(flushed.into(), |it| {
                it.plain("TPM2_PolicyPCR", |c| c.policy_pcr(policy, Digest::default(), list))?;
                let unsealed = it.context.execute_with_session(Some(session), |c| c.unseal(object));
                match unsealed.map_err(failed("TPM2_Unseal")) {
                    Ok(secret) => Ok(secret.value().to_vec()),
                    Err(e) if e.is(TpmRcBase::PolicyFail) || e.is(TpmRcBase::PcrChanged) => {
                        Err(Error::Changed { pcrs: pcrs.to_string() })
                    }
                    Err(e) => Err(e),
                }
            })
        })
    }

    fn random_now(&mut self, bytes: usize) -> Result<Vec<u8>, Error> {
        random::check(bytes)?;
        let mut out = Vec::with_capacity(bytes);
        while out.len() < bytes {
            let want = (bytes - out.len()).min(32);
            let got = self.plain("TPM2_GetRandom", |c| c.get_random(want))?;
            random::take(&mut out, got.value(), want)?;
        }
        Ok(out)
    }

    fn timed<T>(
        &mut self,
        operation: &'static str,
        f: impl FnOnce(&mut Esapi) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let begun = Instant::now();
        let done = f(self)?;
        self.timings.add(operation, begun);
        Ok(done)
    }
}

impl Chip for Esapi {
    fn properties(&self) -> &Properties {
        &self.properties
    }

    fn random(&mut self, bytes: usize) -> Result<Vec<u8>, Error> {
        self.timed("random", |it| it.random_now(bytes))
    }

    fn create_key(&mut self, under: Hierarchy, of: Use) -> Result<Blob, Error> {
        self.timed("create key", |it| {
            let (area, private) = it.create(under, public(&keys::signing(of))?, None)?;
            Blob::of_parts(Content::Key { under, of }, area, private)
        })
    }

    fn load(&mut self, key: &Blob) -> Result<Loaded, Error> {
        let (under, of) = key.key()?;
        self.timed("load key", |it| Ok(Loaded { handle: it.load_blob(under, key)?.into(), of }))
    }

    fn unload(&mut self, key: Loaded) -> Result<(), Error> {
        self.plain("TPM2_FlushContext", |c| c.flush_context(ObjectHandle::from(key.handle)))
    }

    fn sign(&mut self, key: &Loaded, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.timed("sign", |it| it.sign_now(key, message))
    }

    fn quote(&mut self, key: &Loaded, pcrs: &Pcrs, nonce: &[u8]) -> Result<Quote, Error> {
        self.timed("quote", |it| it.quote_now(key, *pcrs, nonce))
    }

    fn read_pcrs(&mut self, pcrs: &Pcrs) -> Result<Vec<PcrValue>, Error> {
        self.timed("read registers", |it| it.pcrs_now(*pcrs))
    }

    fn extend_pcr(&mut self, pcr: u8, digest: &[u8; 32]) -> Result<(), Error> {
        self.timed("extend register", |it| it.extend_now(pcr, digest))
    }

    fn create_counter(&mut self, index: u32) -> Result<(), Error> {
        self.timed("create counter", |it| it.create_counter_now(index))
    }

    fn remove_counter(&mut self, index: u32) -> Result<(), Error> {
        self.timed("remove counter", |it| {
            let handle = it.counter_handle(index)?;
            it.with_password("TPM2_NV_UndefineSpace", |c| c.nv_undefine_space(Provision::Owner, handle))
        })
    }

    fn increment(&mut self, index: u32) -> Result<u64, Error> {
        self.timed("increment counter", |it| it.increment_now(index))
    }

    fn counter(&mut self, index: u32) -> Result<u64, Error> {
        self.timed("read counter", |it| it.counter_now(index))
    }

    fn seal(&mut self, secret: &[u8], pcrs: &Pcrs) -> Result<Blob, Error> {
        self.timed("seal", |it| it.seal_now(secret, *pcrs))
    }

    fn unseal(&mut self, sealed: &Blob) -> Result<Vec<u8>, Error> {
        self.timed("unseal", |it| it.unseal_now(sealed))
    }

    fn timings(&self) -> &Timings {
        &self.timings
    }
}
