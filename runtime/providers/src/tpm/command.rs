//! One command and its response, typed: authorisation, retries while a TPM is busy, and the reading of what it answers.
//!
//! What comes back is not trusted: lengths and codes are checked by `tpm2-protocol` and here, and nothing panics.

use std::thread::sleep;
use std::time::{Duration, Instant};

use tpm2_protocol::basic::TpmHandle;
use tpm2_protocol::constant::TPM_MAX_COMMAND_SIZE;
use tpm2_protocol::data::{Tpm2bAuth, TpmCc, TpmRc, TpmRcBase, TpmRh, TpmSt, TpmaSession, TpmsAuthCommand};
use tpm2_protocol::frame::{
    TpmFlushContextCommand, TpmFlushContextResponse, TpmFrame, TpmResponse, TpmUnmarshalBody,
    tpm_marshal_command,
};
use tpm2_protocol::{TpmError, TpmWriter};

use super::transport::Line;
use super::{Address, Error, Passwords, Patience, Properties, Timings, Tpm};

/// How a command is authorised.
pub(super) enum Auth<'a> {
    /// It needs nothing.
    None,
    /// The password of its first handle, the only one that needs one in every command here.
    Password(&'a [u8]),
    /// A policy session.
    Policy(TpmHandle),
}

fn password(value: &[u8]) -> Result<TpmsAuthCommand, Error> {
    let hmac = Tpm2bAuth::try_from(value)
        .map_err(|_| Error::Request { why: "a password of a TPM has at most 64 bytes".to_owned() })?;
    Ok(TpmsAuthCommand {
        session_handle: TpmHandle::new(TpmRh::Pw as u32),
        session_attributes: TpmaSession::CONTINUE_SESSION,
        hmac,
        ..TpmsAuthCommand::default()
    })
}

impl Auth<'_> {
    fn sessions(&self) -> Result<Vec<TpmsAuthCommand>, Error> {
        Ok(match self {
            Auth::None => Vec::new(),
            Auth::Password(p) => vec![password(p)?],
            Auth::Policy(session) => vec![TpmsAuthCommand {
                session_handle: *session,
                session_attributes: TpmaSession::CONTINUE_SESSION,
                ..TpmsAuthCommand::default()
            }],
        })
    }
}

/// The command's name in the TCG's specification.
pub(super) fn name_of(cc: TpmCc) -> &'static str {
    match cc {
        TpmCc::CreatePrimary => "TPM2_CreatePrimary",
        TpmCc::Create => "TPM2_Create",
        TpmCc::Load => "TPM2_Load",
        TpmCc::FlushContext => "TPM2_FlushContext",
        TpmCc::ReadPublic => "TPM2_ReadPublic",
        TpmCc::Hash => "TPM2_Hash",
        TpmCc::HashSequenceStart => "TPM2_HashSequenceStart",
        TpmCc::SequenceUpdate => "TPM2_SequenceUpdate",
        TpmCc::SequenceComplete => "TPM2_SequenceComplete",
        TpmCc::Sign => "TPM2_Sign",
        TpmCc::Quote => "TPM2_Quote",
        TpmCc::PcrRead => "TPM2_PCR_Read",
        TpmCc::PcrExtend => "TPM2_PCR_Extend",
        TpmCc::NvDefineSpace => "TPM2_NV_DefineSpace",
        TpmCc::NvUndefineSpace => "TPM2_NV_UndefineSpace",
        TpmCc::NvIncrement => "TPM2_NV_Increment",
        TpmCc::NvRead => "TPM2_NV_Read",
        TpmCc::NvReadPublic => "TPM2_NV_ReadPublic",
        TpmCc::StartAuthSession => "TPM2_StartAuthSession",
        TpmCc::PolicyPcr => "TPM2_PolicyPCR",
        TpmCc::PolicyGetDigest => "TPM2_PolicyGetDigest",
        TpmCc::Unseal => "TPM2_Unseal",
        TpmCc::GetRandom => "TPM2_GetRandom",
        TpmCc::GetCapability => "TPM2_GetCapability",
        _ => "a command",
    }
}

fn wire(command: &'static str, e: &TpmError) -> Error {
    Error::Answer { command, why: e.to_string() }
}

/// Reads a response: its code first, then its body.
pub(super) fn read<R: TpmUnmarshalBody>(bytes: &[u8]) -> Result<R, Error> {
    let command = name_of(R::CC);
    let bad = |why: &str| Error::Answer { command, why: why.to_owned() };
    let head: &[u8; 10] = bytes.first_chunk().ok_or_else(|| bad("it is shorter than a response's head"))?;
    if u32::from_be_bytes([head[2], head[3], head[4], head[5]]) as usize != bytes.len() {
        return Err(bad("its length is wrong"));
    }
    let tag = u16::from_be_bytes([head[0], head[1]]);
    let code = u32::from_be_bytes([head[6], head[7], head[8], head[9]]);
    if code != 0 {
        let known =
            [TpmSt::NoSessions as u16, TpmSt::RspCommand as u16].contains(&tag) && bytes.len() == head.len();
        return Err(if known { Error::Refused { command, code } } else { bad("its head is wrong") });
    }
    let response = TpmResponse::cast(bytes).map_err(|e| wire(command, &e))?;
    response.unmarshal::<R>().map_err(|e| wire(command, &e))
}

impl Tpm {
    /// Connects to a TPM. The passwords are those of its hierarchies, empty on most machines.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] where nothing answers; [`Error::Answer`] where what answers is no TPM 2.0.
    pub fn open(address: &Address, patience: Patience, passwords: Passwords) -> Result<Tpm, Error> {
        let line = Line::open(address, patience)?;
        let mut tpm =
            Tpm { line, passwords, timings: Timings::default(), properties: Properties::from_raw(&[]) };
        tpm.properties = tpm.look()?;
        Ok(tpm)
    }

    /// Runs a command; while the TPM says that it is busy, again, as long as the patience for one command lasts.
    pub(super) fn run<C: TpmFrame, R: TpmUnmarshalBody>(
        &mut self,
        command: &C,
        auth: &Auth<'_>,
    ) -> Result<R, Error> {
        let name = name_of(command.cc());
        let sessions = auth.sessions()?;
        let tag = if sessions.is_empty() { TpmSt::NoSessions } else { TpmSt::Sessions };
        let mut buffer = vec![0; TPM_MAX_COMMAND_SIZE];
        let mut writer = TpmWriter::new(&mut buffer);
        tpm_marshal_command(command, tag, &sessions, &mut writer)
            .map_err(|e| Error::Request { why: format!("{name} cannot be written: {e}") })?;
        let bytes = writer.as_bytes().to_vec();
        let until = Instant::now() + self.line.patience().command;
        let mut pause = Duration::from_millis(5);
        loop {
            let answer = read::<R>(&self.line.exchange(name, bytes.clone())?);
            let busy = matches!(&answer, Err(Error::Refused { code, .. }) if is_busy(*code));
            if !busy || Instant::now() + pause >= until {
                return answer;
            }
            sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// Frees an object's or a session's slot.
    pub(super) fn flush(&mut self, handle: TpmHandle) -> Result<(), Error> {
        let _: TpmFlushContextResponse =
            self.run(&TpmFlushContextCommand { flush_handle: handle, handles: [] }, &Auth::None)?;
        Ok(())
    }

    /// What `f` does with an object or session, whose slot is freed afterwards, also where `f` fails.
    pub(super) fn with<T>(
        &mut self,
        handle: TpmHandle,
        f: impl FnOnce(&mut Tpm, TpmHandle) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let done = f(self, handle);
        let freed = self.flush(handle);
        let done = done?;
        freed?;
        Ok(done)
    }

    /// What `f` does, its duration counted under that operation's name where it succeeds.
    pub(super) fn timed<T>(
        &mut self,
        operation: &'static str,
        f: impl FnOnce(&mut Tpm) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let begun = Instant::now();
        let done = f(self)?;
        self.timings.add(operation, begun);
        Ok(done)
    }
}

fn is_busy(code: u32) -> bool {
    use TpmRcBase::{NvRate, Retry, Testing, Yielded};
    TpmRc::try_from(code).is_ok_and(|rc| matches!(rc.base(), Retry | Yielded | Testing | NvRate))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;
    use tpm2_protocol::frame::{
        TpmCreatePrimaryResponse, TpmCreateResponse, TpmGetCapabilityResponse, TpmGetRandomResponse,
        TpmHashResponse, TpmLoadResponse, TpmNvReadPublicResponse, TpmNvReadResponse, TpmPcrReadResponse,
        TpmQuoteResponse, TpmReadPublicResponse, TpmSignResponse, TpmStartAuthSessionResponse,
        TpmUnsealResponse,
    };

    use super::*;

    /// Every response that is read here.
    fn read_all(bytes: &[u8]) {
        let _ = read::<TpmCreatePrimaryResponse>(bytes);
        let _ = read::<TpmCreateResponse>(bytes);
        let _ = read::<TpmGetCapabilityResponse>(bytes);
        let _ = read::<TpmGetRandomResponse>(bytes);
        let _ = read::<TpmHashResponse>(bytes);
        let _ = read::<TpmLoadResponse>(bytes);
        let _ = read::<TpmNvReadPublicResponse>(bytes);
        let _ = read::<TpmNvReadResponse>(bytes);
        let _ = read::<TpmPcrReadResponse>(bytes);
        let _ = read::<TpmQuoteResponse>(bytes);
        let _ = read::<TpmReadPublicResponse>(bytes);
        let _ = read::<TpmSignResponse>(bytes);
        let _ = read::<TpmStartAuthSessionResponse>(bytes);
        let _ = read::<TpmUnsealResponse>(bytes);
        let _ = read::<TpmFlushContextResponse>(bytes);
    }

    /// A body behind a head that is right.
    fn framed(tag: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = tag.to_be_bytes().to_vec();
        bytes.extend((10 + body.len() as u32).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read_all(&bytes);
            read_all(&framed(0x8001, &bytes));
            read_all(&framed(0x8002, &bytes));
        }

        #[test]
        fn plausible_bodies_are_read_without_a_panic(
            words in prop::collection::vec(prop_oneof![
                Just(0_u16), Just(1), Just(2), Just(0x18), Just(0x0b), Just(0x23), Just(0x08), Just(0x10), Just(0x20),
                Just(0x8018), Just(0x8024), Just(0xff54), Just(0x4347), any::<u16>()], 0..80),
        ) {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
            read_all(&framed(0x8001, &bytes));
            read_all(&framed(0x8002, &bytes));
        }
    }

    #[test]
    fn a_refusal_is_told_from_nonsense() {
        let refusal = [0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0x1];
        let answer = read::<TpmSignResponse>(&refusal);
        assert_eq!(answer.unwrap_err(), Error::Refused { command: "TPM2_Sign", code: 0x101 });
        for wrong in
            [&refusal[..9], &[0x80, 2, 0, 0, 0, 10, 0, 0, 1, 1], &[0x80, 1, 0, 0, 0, 11, 0, 0, 1, 1, 0]]
        {
            assert!(matches!(read::<TpmSignResponse>(wrong), Err(Error::Answer { .. })), "{wrong:?}");
        }
    }
}
