//! The one way of bytes into the file and out of it: compressed, then sealed.
//!
//! Encoding before sealing: a byte that says how (0 as they are, 1 LZ4 block after the plain length as u32), then the bytes.

use twinml_engine::timeline::{Cipher, StoreError};

use super::corrupt;

/// Longest plain piece or block that is read.
const LONGEST: usize = 1 << 30;

/// Compresses and, given a cipher, seals.
#[derive(Default)]
pub struct Codec {
    cipher: Option<Box<dyn Cipher>>,
}

impl Codec {
    /// Seals with a cipher.
    pub fn sealing(cipher: Box<dyn Cipher>) -> Codec {
        Codec { cipher: Some(cipher) }
    }

    /// What is written for `plain`; `about` is what it is sealed about.
    pub fn encode(&self, plain: &[u8], about: &[u8]) -> Result<Vec<u8>, StoreError> {
        let packed = lz4_flex::block::compress(plain);
        let mut out = Vec::with_capacity(plain.len().min(packed.len()) + 5);
        match u32::try_from(plain.len()) {
            Ok(len) if packed.len() + 4 < plain.len() => {
                out.push(1);
                out.extend_from_slice(&len.to_le_bytes());
                out.extend_from_slice(&packed);
            }
            _ => {
                out.push(0);
                out.extend_from_slice(plain);
            }
        }
        match &self.cipher {
            Some(cipher) => cipher.seal(&out, about),
            None => Ok(out),
        }
    }

    /// What was written, back.
    pub fn decode(&self, stored: &[u8], about: &[u8]) -> Result<Vec<u8>, StoreError> {
        let opened = match &self.cipher {
            Some(cipher) => Some(cipher.open(stored, about)?),
            None => None,
        };
        match opened.as_deref().unwrap_or(stored) {
            [0, plain @ ..] => Ok(plain.to_vec()),
            [1, a, b, c, d, packed @ ..] => {
                let len = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
                // A block of LZ4 gives 255 bytes for one at most.
                if len > LONGEST || len / 256 > packed.len() {
                    return Err(corrupt(format!("{} bytes cannot hold {len}", packed.len())));
                }
                let plain = lz4_flex::block::decompress(packed, len).map_err(|e| corrupt(e.to_string()))?;
                if plain.len() == len { Ok(plain) } else { Err(corrupt("a piece has another length")) }
            }
            _ => Err(corrupt("a piece begins with an unknown byte")),
        }
    }
}
