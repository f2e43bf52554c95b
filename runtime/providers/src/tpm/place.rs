//! A key of a TPM as a file: where the TPM is, what the key does there, and the key itself, which only that TPM can open.
//!
//! Lines of `Name: value`, an empty line, and the key as [`Blob`] in PEM. Programs that read `TSS2 PRIVATE KEY` pass over the
//! lines. Nothing in it is secret; passwords are named by where they are, never written down.

use std::fmt::Write as _;

use super::{Address, Blob, Content, Error, counter};

/// What such a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where the TPM is.
    pub address: Address,
    /// Whether each manifest is counted, in the key's own counter.
    pub counts: bool,
    /// The register that each manifest's hash extends.
    pub register: Option<u8>,
    /// Where the password of the owner's hierarchy is: `env:NAME` or `file:PATH`.
    pub owner: Option<String>,
    /// Where the password of the endorsement hierarchy is.
    pub endorsement: Option<String>,
    /// Of a sealed key that encrypts its name.
    pub seals: Option<String>,
    /// The key.
    pub key: Blob,
}

const FIRST: &str = "TwinML: a key in a TPM 2.0";
/// Above any of ours by far; what is longer is not looked at.
const LONGEST: usize = 32 * 1024;

impl Place {
    /// The index of the key's counter, where it counts.
    ///
    /// # Errors
    ///
    /// [`Error::Blob`] where it is no key.
    pub fn counter(&self) -> Result<Option<u32>, Error> {
        Ok(if self.counts { Some(counter::index_of(self.key.public_key()?.id())?) } else { None })
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut out = format!("{FIRST}\nAddress: {}\n", self.address);
        let _ = writeln!(out, "Counter: {}", if self.counts { "yes" } else { "no" });
        if let Some(register) = self.register {
            let _ = writeln!(out, "Register: {register}");
        }
        if let Some(name) = &self.seals {
            let _ = writeln!(out, "Seals: {name}");
        }
        for (name, source) in [("Owner-Password", &self.owner), ("Endorsement-Password", &self.endorsement)] {
            if let Some(source) = source {
                let _ = writeln!(out, "{name}: {source}");
            }
        }
        out + "\n" + &self.key.to_pem()
    }

    /// Reads what [`Place::text`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Blob`], with what is wrong; [`Error::Address`].
    pub fn read(text: &str) -> Result<Place, Error> {
        let bad = |why: String| Error::Blob { why };
        if text.len() > LONGEST {
            return Err(bad("it is too long".to_owned()));
        }
        let (head, pem) =
            text.split_once("\n\n").ok_or_else(|| bad("it has no empty line before the key".to_owned()))?;
        let mut lines = head.lines();
        if lines.next() != Some(FIRST) {
            return Err(bad(format!("its first line is not `{FIRST}`")));
        }
        let (mut address, mut counts, mut register, mut owner, mut endorsement) =
            (None, None, None, None, None);
        let mut seals = None;
        for line in lines {
            let (name, value) = line
                .split_once(": ")
                .ok_or_else(|| bad(format!("`{line}` is no line of a name and a value")))?;
            let again = match name {
                "Address" => address.replace(Address::parse(value)?).is_some(),
                "Counter" => counts
                    .replace(match value {
                        "yes" => true,
                        "no" => false,
                        _ => return Err(bad(format!("`{line}` says neither yes nor no"))),
                    })
                    .is_some(),
                "Register" => {
                    let number = value.parse::<u8>().ok().filter(|n| *n < 24);
                    register
                        .replace(number.ok_or_else(|| bad(format!("`{line}` names no register")))?)
                        .is_some()
                }
                "Seals" => seals.replace(value.to_owned()).is_some(),
                "Owner-Password" => owner.replace(value.to_owned()).is_some(),
                "Endorsement-Password" => endorsement.replace(value.to_owned()).is_some(),
                _ => return Err(bad(format!("this version has no line `{name}`"))),
            };
            if again {
                return Err(bad(format!("`{name}` stands there twice")));
            }
        }
        let key = Blob::from_pem(pem)?;
        if seals.is_some() != matches!(key.content(), Content::Sealed { .. }) {
            return Err(bad("`Seals` stands with a sealed key, and only there".to_owned()));
        }
        Ok(Place {
            address: address.ok_or_else(|| bad("`Address` is missing".to_owned()))?,
            counts: counts.ok_or_else(|| bad("`Counter` is missing".to_owned()))?,
            register,
            owner,
            endorsement,
            seals,
            key,
        })
    }
}
