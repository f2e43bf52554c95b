//! What every [`Signer`] must hold, whatever stands behind it; and one that needs nothing, for tests.

use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::EncodePublicKey as _;

use super::digest::Digest;
use super::envelope::Envelope;
use super::manifest::{Kind, Part, Subject};
use super::public::{PublicKey, canonical};
use super::signer::{Algorithm, Backing, SignError, Signer};
use super::verify::{Trust, Verdict, seal, verify};

/// A key in memory, made from a number: anybody has it.
#[derive(Debug)]
pub struct Fake {
    key: FakeKey,
    public: PublicKey,
}

#[derive(Debug)]
enum FakeKey {
    P256(p256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl Fake {
    /// The key of that number.
    pub fn new(algorithm: Algorithm, number: u8) -> Fake {
        // The top byte is far below that of P-256's order and not all is zero: each number is a key.
        let mut secret = [7; 32];
        secret[31] = number;
        let (key, der) = match algorithm {
            Algorithm::EcdsaP256Sha256 => {
                let key = p256::ecdsa::SigningKey::from_slice(&secret).expect("0x0707… is a scalar of P-256");
                let der = key.verifying_key().to_public_key_der();
                (FakeKey::P256(key), der)
            }
            Algorithm::Ed25519 => {
                let key = ed25519_dalek::SigningKey::from_bytes(&secret);
                let der = key.verifying_key().to_public_key_der();
                (FakeKey::Ed25519(key), der)
            }
        };
        let der = der.expect("a key's public half has an encoding");
        let public = PublicKey::from_der(der.as_bytes()).expect("which reads back");
        Fake { key, public }
    }
}

impl Signer for Fake {
    fn key_id(&self) -> &str {
        self.public.id()
    }

    fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    fn public_key(&self) -> &[u8] {
        self.public.der()
    }

    fn backing(&self) -> Backing {
        Backing::File
    }

    fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(match &self.key {
            FakeKey::P256(key) => {
                let signature: p256::ecdsa::DerSignature = key.sign(message);
                signature.as_bytes().to_owned()
            }
            FakeKey::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
        })
    }
}

/// Holds a signer to what the seam promises; `other` is a signer with another key.
///
/// # Errors
///
/// What it does not hold, in a sentence.
pub fn holds(signer: &mut dyn Signer, other: &mut dyn Signer) -> Result<(), String> {
    let public = PublicKey::from_der(signer.public_key()).map_err(|e| format!("its public key: {e}"))?;
    if Digest::of(signer.public_key()).to_string() != signer.key_id() {
        return Err("its key id is not the hash of its public key".into());
    }
    if public.algorithm() != signer.algorithm() {
        return Err("its public key is of another algorithm than it says".into());
    }
    if other.key_id() == signer.key_id() {
        return Err("two keys have one id".into());
    }
    // Messages of no byte, of some, of more than a device takes at once.
    for length in [0, 1, 31, 32, 33, 64, 1000, 1 << 20] {
        let message: Vec<u8> = (0..length).map(|k| (k * 7 + length) as u8).collect();
        let signature = signer.sign(&message).map_err(|e| format!("{length} bytes: {e}"))?;
        let one = canonical(public.algorithm(), &signature).ok_or("what it gives is no signature")?;
        if !public.verifies(&message, &one) {
            return Err(format!("its signature of {length} bytes does not verify"));
        }
        let mut altered = message.clone();
        match altered.last_mut() {
            Some(last) => *last ^= 1,
            None => altered.push(0),
        }
        if public.verifies(&altered, &one) {
            return Err(format!("its signature of {length} bytes verifies for other bytes"));
        }
    }
    // A round trip is good, an altered part bad, another key unknown, a borrowed name bad.
    let subject = Subject {
        kind: Kind::Snapshot,
        compiler: "twinc 0".into(),
        model: "Conformance".into(),
        model_hash: Digest::of(b"model"),
        scenario: "conformance".into(),
        seed: 7,
        time: 0.5,
        machine: [("architecture".to_owned(), "x86_64".to_owned())].into(),
        inputs: Vec::new(),
        parts: vec![Part::of("state", "section", b"state")],
        parent: None,
    };
    let text = seal(subject, None, signer).map_err(|e| e.to_string())?;
    let mut mine = Trust::new();
    mine.add(public);
    let mut theirs = Trust::new();
    theirs.add(PublicKey::from_der(other.public_key()).map_err(|e| format!("the other public key: {e}"))?);
    let look = |state: &'static [u8]| move |_: &Part| Ok((state.len() as u64, Digest::of(state)));
    let said = |state, trust| verify(text.as_bytes(), Kind::Snapshot, trust, &mut look(state)).verdict;
    if said(b"state", &mine) != Verdict::Good {
        return Err(format!("a round trip is not good: {:?}", said(b"state", &mine)));
    }
    match said(b"stale", &mine) {
        Verdict::Bad { part, .. } if part == "state" => {}
        verdict => return Err(format!("an altered part is {verdict:?}")),
    }
    if said(b"state", &theirs) != Verdict::UnknownKey {
        return Err(format!("another key is {:?}", said(b"state", &theirs)));
    }
    let envelope = Envelope::read(text.as_bytes()).map_err(|e| e.to_string())?;
    let forged =
        Envelope::sign(&envelope.payload_type, envelope.payload, other).map_err(|e| e.to_string())?;
    match verify(forged.text().as_bytes(), Kind::Snapshot, &mine, &mut look(b"state")).verdict {
        Verdict::Bad { .. } => Ok(()),
        verdict => Err(format!("a manifest of one key, signed by another, is {verdict:?}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_fake_holds_what_signers_must() {
        for algorithm in [Algorithm::EcdsaP256Sha256, Algorithm::Ed25519] {
            for other in [Algorithm::EcdsaP256Sha256, Algorithm::Ed25519] {
                holds(&mut Fake::new(algorithm, 1), &mut Fake::new(other, 2)).unwrap();
            }
        }
    }

    /// A signer that does not hold the seam is found out.
    struct Liar(Fake, fn(Vec<u8>) -> Vec<u8>);

    impl Signer for Liar {
        fn key_id(&self) -> &str {
            self.0.key_id()
        }
        fn algorithm(&self) -> Algorithm {
            self.0.algorithm()
        }
        fn public_key(&self) -> &[u8] {
            self.0.public_key()
        }
        fn backing(&self) -> Backing {
            self.0.backing()
        }
        fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, SignError> {
            self.0.sign(message).map(self.1)
        }
    }

    #[test]
    fn what_a_faulty_device_signs_is_not_let_out() {
        let damage: fn(Vec<u8>) -> Vec<u8> = |mut s| {
            s[20] ^= 4;
            s
        };
        for algorithm in [Algorithm::EcdsaP256Sha256, Algorithm::Ed25519] {
            let mut liar = Liar(Fake::new(algorithm, 1), damage);
            assert!(holds(&mut liar, &mut Fake::new(algorithm, 2)).is_err());
            let e = Envelope::sign("x", b"y".to_vec(), &mut liar).unwrap_err();
            assert!(e.why.contains("refuses"), "{e}");
        }
    }
}
