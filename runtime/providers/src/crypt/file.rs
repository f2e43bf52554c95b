//! Encrypted files: a head with the wrapped data key, and pieces of 64 KiB under it.
//!
//! | bytes | |
//! |---|---|
//! | 8 | `89 54 57 49 4E 53 4C 0A` (`\x89TWINSL\n`) |
//! | 4 | version, 1 |
//! | 1, 8 + n, 8 + m | how the data key is wrapped, the wrapping key's name, the wrapped key |
//! | … | pieces: 65,536 bytes of the file each, the last one of what is left (of none, where the file's length is a multiple), each with its tag of 16 bytes |
//!
//! Numbers are little endian. Piece k is sealed by AES-256-GCM under the nonce k (8 bytes, big endian), 0, 0, 0, and 1
//! for the last piece or 0 for any other; authenticated with it are the first 12 bytes of the file. So pieces can
//! neither be altered, exchanged, left out nor appended. A data key seals one file, once: nonces never meet.

use twinml_model::bytes::{Malformed, Reader, Writer};

use super::{CryptError, DataKey, KeyWrap, Wrapped};

/// What an encrypted file begins with.
pub const HEAD: [u8; 8] = *b"\x89TWINSL\n";

const VERSION: u32 = 1;

/// Bytes of the file in a piece.
const PIECE: usize = 64 << 10;

/// Bytes of a tag.
const TAG: usize = 16;

/// Whether the bytes begin as an encrypted file.
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(&HEAD)
}

fn about() -> [u8; 12] {
    let mut about = [0; 12];
    about[..8].copy_from_slice(&HEAD);
    about[8..].copy_from_slice(&VERSION.to_le_bytes());
    about
}

fn nonce(k: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&k.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce
}

/// Encrypts a file under a new data key.
///
/// # Errors
///
/// [`CryptError`].
pub fn seal(plain: &[u8], wrap: &mut dyn KeyWrap) -> Result<Vec<u8>, CryptError> {
    let key = DataKey::generate()?;
    let mut out = head(&wrap.wrap(&key)?);
    out.reserve(plain.len() + TAG * (plain.len() / PIECE + 1));
    let whole = plain.len() / PIECE;
    for k in 0..=whole {
        let piece = &plain[k * PIECE..plain.len().min((k + 1) * PIECE)];
        out.extend(key.seal_at(&nonce(k as u64, k == whole), piece, &about())?);
    }
    Ok(out)
}

fn head(wrapped: &Wrapped) -> Vec<u8> {
    let mut to = Writer::new();
    to.raw(&about()).put(wrapped);
    to.finish()
}

/// The wrapped data key of an encrypted file, and where its pieces begin.
///
/// # Errors
///
/// [`CryptError::Form`].
pub fn wrapped(sealed: &[u8]) -> Result<(Wrapped, usize), CryptError> {
    let mut from = Reader::new(sealed);
    let mut read = || {
        if from.raw(8)? != HEAD {
            return Err(Malformed { at: 0, why: "it does not begin as one".into() });
        }
        match from.get::<u32>()? {
            VERSION => {}
            n => {
                let why = format!("it is of version {n}, and {VERSION} is what this twinc reads");
                return Err(Malformed { at: 8, why });
            }
        }
        Ok((from.get::<Wrapped>()?, from.at()))
    };
    read().map_err(CryptError::Form)
}

/// Decrypts a file.
///
/// # Errors
///
/// [`CryptError`]: of a file that was altered in any byte, nothing is given out.
pub fn open(sealed: &[u8], wrap: &mut dyn KeyWrap) -> Result<Vec<u8>, CryptError> {
    let (wrapped, at) = wrapped(sealed)?;
    let key = wrap.unwrap(&wrapped)?;
    let pieces = &sealed[at..];
    let whole = pieces.len() / (PIECE + TAG);
    let mut out = Vec::with_capacity(pieces.len());
    for k in 0..=whole {
        let piece = &pieces[k * (PIECE + TAG)..pieces.len().min((k + 1) * (PIECE + TAG))];
        out.extend(key.open_at(&nonce(k as u64, k == whole), piece, &about())?);
    }
    Ok(out)
}

/// The same encrypted file with its data key wrapped by another key. What is encrypted is neither decrypted nor moved.
///
/// # Errors
///
/// [`CryptError`].
pub fn rewrap(sealed: &[u8], from: &mut dyn KeyWrap, to: &mut dyn KeyWrap) -> Result<Vec<u8>, CryptError> {
    let (wrapped, at) = wrapped(sealed)?;
    let key = from.unwrap(&wrapped)?;
    let mut out = head(&to.wrap(&key)?);
    out.extend_from_slice(&sealed[at..]);
    Ok(out)
}
