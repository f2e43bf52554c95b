//! Random numbers of a TPM's.

use tpm2_protocol::basic::TpmUint16;
use tpm2_protocol::frame::{TpmGetRandomCommand, TpmGetRandomResponse};

use super::command::Auth;
use super::{Error, Tpm};

/// More at once is no use of a TPM.
const MOST: usize = 1 << 16;

pub(super) fn check(bytes: usize) -> Result<(), Error> {
    if bytes > MOST {
        return Err(Error::Request {
            why: format!("{bytes} random bytes are more than are asked of a TPM ({MOST})"),
        });
    }
    Ok(())
}

/// Takes what a TPM gave where `want` were asked.
pub(super) fn take(out: &mut Vec<u8>, got: &[u8], want: usize) -> Result<(), Error> {
    if got.is_empty() || got.len() > want {
        let why = format!("{} random bytes where {want} were asked", got.len());
        return Err(Error::Answer { command: "TPM2_GetRandom", why });
    }
    out.extend_from_slice(got);
    Ok(())
}

impl Tpm {
    pub(super) fn random_now(&mut self, bytes: usize) -> Result<Vec<u8>, Error> {
        check(bytes)?;
        let mut out = Vec::with_capacity(bytes);
        while out.len() < bytes {
            // A TPM gives at most as many as its largest digest has.
            let want = (bytes - out.len()).min(32);
            let command = TpmGetRandomCommand { handles: [], bytes_requested: TpmUint16::new(want as u16) };
            let answer: TpmGetRandomResponse = self.run(&command, &Auth::None)?;
            take(&mut out, answer.random_bytes.as_ref(), want)?;
        }
        Ok(out)
    }
}
