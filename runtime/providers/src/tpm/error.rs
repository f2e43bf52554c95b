//! What goes wrong with a TPM, in words: the cause and what may help.

use std::fmt;
use std::time::Duration;

use tpm2_protocol::data::{TpmRc, TpmRcBase, TpmRcIndex};

/// Why an operation of a TPM was not done. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The text is no address of a TPM.
    Address {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No TPM was reached there.
    Unreachable {
        /// The address.
        at: String,
        /// What the system says.
        why: String,
        /// The system refused it to this user.
        denied: bool,
    },
    /// The connection broke.
    Broken {
        /// The address.
        at: String,
        /// The command that waited for its answer.
        command: &'static str,
        /// What the system says.
        why: String,
    },
    /// No whole answer came in time; nothing more is sent on this connection.
    Late {
        /// The address.
        at: String,
        /// The command that waited.
        command: &'static str,
        /// How long it waited.
        after: Duration,
    },
    /// An answer that no TPM gives.
    Answer {
        /// The command.
        command: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The TPM refused a command.
    Refused {
        /// The command.
        command: &'static str,
        /// Its response code.
        code: u32,
    },
    /// The TPM's answer contradicts itself: a signature that does not verify, a counter that went down.
    Untrue {
        /// The command.
        command: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A text or bytes that should hold a TPM's key, sealed secret or quote.
    Blob {
        /// What is wrong with it.
        why: String,
    },
    /// Sealed under other values of registers than the TPM has now.
    Changed {
        /// The registers, as `sha256:7,23`.
        pcrs: String,
    },
    /// A request outside what TPMs do, or what this does.
    Request {
        /// What is wrong with it.
        why: String,
    },
    /// The system's TSS library reports something else.
    #[cfg(feature = "tss-esapi")]
    Tss {
        /// The command.
        command: &'static str,
        /// What it says.
        why: String,
    },
}

impl Error {
    /// What may help, in a sentence.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Error::Address { .. } => "write `device:/dev/tpmrm0`, `unix:PATH` or `tcp:HOST:PORT`".to_owned(),
            Error::Unreachable { at, denied: true, .. } if at.starts_with("device:") => {
                "add this user to the group that owns the device, `tss` on most systems, and log in again".to_owned()
            }
            Error::Unreachable { at, .. } if at.starts_with("device:") => {
                "`ls /dev/tpm*` lists this machine's TPMs; without one, `swtpm` is a TPM in software".to_owned()
            }
            Error::Unreachable { .. } | Error::Broken { .. } => {
                "is it running? A socket serves one connection at a time: what else uses it?".to_owned()
            }
            Error::Late { .. } => "look whether something else answers there, or another program holds the TPM".to_owned(),
            Error::Refused { code, .. } => return help_for(*code).map(str::to_owned),
            Error::Changed { .. } => {
                "the machine started differently, or a register was extended, since the secret was sealed: put the machine \
                 back into that state, or use the copy of the key that was kept elsewhere and seal it anew"
                    .to_owned()
            }
            _ => return None,
        };
        Some(help)
    }

    /// Whether the TPM refused with that code, wherever in the command the fault lies.
    pub fn is(&self, base: TpmRcBase) -> bool {
        matches!(self, Error::Refused { code, .. } if TpmRc::try_from(*code).is_ok_and(|rc| rc.base() == base))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Address { text, why } => write!(f, "`{text}` is no address of a TPM: {why}"),
            Error::Unreachable { at, why, .. } => write!(f, "no TPM reached at {at}: {why}"),
            Error::Broken { at, command, why } => {
                write!(f, "the connection to the TPM at {at} broke in {command}: {why}")
            }
            Error::Late { at, command, after } => {
                write!(f, "the TPM at {at} did not answer {command} within {} s", after.as_secs_f64())
            }
            Error::Answer { command, why } => write!(f, "what answered {command} is no TPM 2.0: {why}"),
            Error::Refused { command, code } => {
                write!(f, "the TPM refused {command}: {} ({})", words(*code), name(*code))
            }
            Error::Untrue { command, why } => write!(f, "the TPM's answer to {command} is untrue: {why}"),
            Error::Blob { why } => write!(f, "this holds no key of a TPM: {why}"),
            Error::Changed { pcrs } => {
                write!(
                    f,
                    "the secret is sealed to values of the registers {pcrs} that the TPM does not have now"
                )
            }
            Error::Request { why } => f.write_str(why),
            #[cfg(feature = "tss-esapi")]
            Error::Tss { command, why } => write!(f, "the TSS library could not do {command}: {why}"),
        }
    }
}

impl std::error::Error for Error {}

/// The code's name in the TCG's specification, with the handle, parameter or session that it complains about.
fn name(code: u32) -> String {
    match TpmRc::try_from(code) {
        Ok(TpmRc::Fmt1(it)) => match it.index {
            Some(TpmRcIndex::Handle(n)) => format!("{}, handle {n}", it.base),
            Some(TpmRcIndex::Parameter(n)) => format!("{}, parameter {n}", it.base),
            Some(TpmRcIndex::Session(n)) => format!("{}, session {n}", it.base),
            None => it.base.to_string(),
        },
        Ok(rc) => rc.base().to_string(),
        Err(_) => format!("code 0x{code:08x}"),
    }
}

fn words(code: u32) -> &'static str {
    let Ok(rc) = TpmRc::try_from(code) else {
        return "for a reason of its maker's";
    };
    match rc.base() {
        TpmRcBase::Initialize => "it was not started",
        TpmRcBase::Failure => "it is in failure mode",
        TpmRcBase::AuthFail | TpmRcBase::BadAuth | TpmRcBase::AuthMissing => {
            "the password is wrong or missing"
        }
        TpmRcBase::AuthUnavailable | TpmRcBase::AuthType => "a password does not open this",
        TpmRcBase::Lockout => "it is locked after wrong passwords",
        TpmRcBase::Hierarchy => "the hierarchy is disabled or wrong",
        TpmRcBase::Disabled => "the command is disabled",
        TpmRcBase::CommandCode => "it does not know the command",
        TpmRcBase::Handle => "nothing is loaded or defined at that handle",
        TpmRcBase::Integrity => "the blob was made by another TPM, under another parent, or was altered",
        TpmRcBase::Key | TpmRcBase::Type => "the key is of another kind",
        TpmRcBase::Attributes => "the object does not allow it",
        TpmRcBase::Ticket => "the ticket is not its own",
        TpmRcBase::PolicyFail | TpmRcBase::Policy => "the policy is not met",
        TpmRcBase::PcrChanged => "a register changed meanwhile",
        TpmRcBase::Value => "a value is out of range",
        TpmRcBase::NvDefined => "the index is taken already",
        TpmRcBase::NvUninitialized => "the index was never written",
        TpmRcBase::NvAuthorization | TpmRcBase::NvLocked => "the index may not be used this way",
        TpmRcBase::NvSpace => "it has no room left for indices",
        TpmRcBase::NvRange | TpmRcBase::NvSize => "the index is of another size",
        TpmRcBase::NvRate => "it protects its memory against too many writes",
        TpmRcBase::NvUnavailable => "its memory cannot be written now",
        TpmRcBase::ObjectMemory | TpmRcBase::ObjectHandles => "no slot for objects is free",
        TpmRcBase::SessionMemory | TpmRcBase::SessionHandles => "no slot for sessions is free",
        TpmRcBase::Memory => "its memory is full",
        TpmRcBase::Retry | TpmRcBase::Yielded | TpmRcBase::Testing => "it is busy",
        TpmRcBase::Curve | TpmRcBase::Scheme | TpmRcBase::Hash => "it has no P-256, ECDSA or SHA-256",
        TpmRcBase::Reboot => "it wants the machine restarted",
        _ => "as its code says",
    }
}

fn help_for(code: u32) -> Option<&'static str> {
    Some(match TpmRc::try_from(code).ok()?.base() {
        TpmRcBase::Initialize => {
            "start `swtpm` with `--flags not-need-init,startup-clear`; a chip is started by the firmware"
        }
        TpmRcBase::Failure | TpmRcBase::Reboot => {
            "restart the machine; if it persists, its maker has a diagnosis"
        }
        TpmRcBase::AuthFail | TpmRcBase::BadAuth | TpmRcBase::AuthMissing => {
            "the hierarchy has a password, which whoever took ownership of this TPM knows: say where it is with \
             `--owner-password` or `--endorsement-password`, as env:NAME or file:PATH"
        }
        TpmRcBase::Lockout => "wait, or let the owner run `tpm2_dictionarylockout --clear-lockout`",
        TpmRcBase::Hierarchy | TpmRcBase::Disabled => {
            "enable the hierarchy in the firmware's settings, or choose the other one"
        }
        TpmRcBase::Integrity => "use the TPM that made the key; a cleared TPM has lost the keys of its owner",
        TpmRcBase::Handle => "was the TPM cleared, or the index removed, since the key was made?",
        TpmRcBase::ObjectMemory | TpmRcBase::ObjectHandles => {
            "a program left objects behind: `tpm2_flushcontext --transient-object`, or use `device:/dev/tpmrm0`, which manages \
             the slots"
        }
        TpmRcBase::SessionMemory | TpmRcBase::SessionHandles => {
            "a program left sessions behind: `tpm2_flushcontext --loaded-session`, or use `device:/dev/tpmrm0`"
        }
        TpmRcBase::NvSpace => "remove an index that is not needed: `tpm2_getcap handles-nv-index` lists them",
        TpmRcBase::Retry | TpmRcBase::Yielded | TpmRcBase::Testing | TpmRcBase::NvRate => "try again later",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_words() {
        for code in (0..0x1000).chain([u32::MAX, 0x8000_0000]) {
            let e = Error::Refused { command: "TPM2_Sign", code };
            assert!(e.to_string().starts_with("the TPM refused TPM2_Sign: "), "{e}");
            let _ = e.help();
        }
        let e = Error::Refused { command: "TPM2_Load", code: 0x1df };
        assert_eq!(
            e.to_string(),
            "the TPM refused TPM2_Load: the blob was made by another TPM, under another parent, or was altered \
             (TPM_RC_INTEGRITY, parameter 1)"
        );
        assert!(e.is(TpmRcBase::Integrity));
    }
}
