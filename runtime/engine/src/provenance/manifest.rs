//! What is signed: a manifest that names a state, or the results of a run, by the hashes of all their parts.
//!
//! It holds no wall-clock time, so that equal runs signed by one key are equal files. Its text is [`canonical`] JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::canonical::{self, Value};
use super::digest::Digest;
use super::merkle;
use super::signer::{Algorithm, Backing, Signer};

/// The type of the payload in the envelope.
pub const TYPE: &str = "application/vnd.twinml.manifest+json";

/// The version of this form.
pub const VERSION: u64 = 1;

/// What a manifest is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The files of a run.
    Bundle,
    /// The state of a run at an instant.
    Snapshot,
}

impl Kind {
    /// The name in the manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Bundle => "bundle",
            Kind::Snapshot => "snapshot",
        }
    }

    fn from_name(name: &str) -> Option<Kind> {
        [Kind::Bundle, Kind::Snapshot].into_iter().find(|k| k.name() == name)
    }
}

/// Named bytes, by their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// A file's name in the folder of the bundle, a section's in the snapshot; of an input as the model names it.
    pub name: String,
    /// What it is: `result`, `events`, `summary`, `plot`, `section`, `source`, `data`, …
    pub role: String,
    /// Bytes; at most 2⁵³ − 1.
    pub length: u64,
    /// Of the bytes.
    pub sha256: Digest,
}

impl Part {
    /// Of bytes at hand.
    pub fn of(name: impl Into<String>, role: impl Into<String>, bytes: &[u8]) -> Part {
        Part { name: name.into(), role: role.into(), length: bytes.len() as u64, sha256: Digest::of(bytes) }
    }

    fn value(&self) -> Value {
        Value::map([
            ("length", Value::Int(self.length)),
            ("name", Value::text(&self.name)),
            ("role", Value::text(&self.role)),
            ("sha256", Value::text(self.sha256.to_string())),
        ])
    }

    /// The part's leaf of the Merkle tree: over its canonical text.
    pub fn leaf(&self) -> Digest {
        merkle::leaf(canonical::write(&self.value()).as_bytes())
    }
}

/// Everything that a manifest says but who vouches for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// What it is about.
    pub kind: Kind,
    /// The compiler with its version: `twinc 0.1.0`.
    pub compiler: String,
    /// The twin's name.
    pub model: String,
    /// The model's hash: over its sources and data files.
    pub model_hash: Digest,
    /// The scenario, or the twin's name where there is none.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The instant of the state, the end of the run: in seconds, finite.
    pub time: f64,
    /// What computed it, as far as bits may depend on it: `architecture`, `isa`, …; keys are of letters, digits and `_`.
    pub machine: BTreeMap<String, String>,
    /// What the model was made of: source texts and data files, by hash.
    pub inputs: Vec<Part>,
    /// What is vouched for.
    pub parts: Vec<Part>,
    /// The root of the manifest that this state descends from.
    pub parent: Option<Digest>,
}

/// A counter that only goes up, as it stood when the manifest was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Which one: the index in the TPM's non-volatile memory.
    pub index: u32,
    /// Where it stood.
    pub value: u64,
}

/// The key that signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// The SHA-256 of its public half, in hexadecimal.
    pub id: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// Where its private half lives, as the signer said.
    pub backing: Backing,
}

impl KeyFacts {
    /// Of a signer.
    pub fn of(signer: &(impl Signer + ?Sized)) -> KeyFacts {
        KeyFacts { id: signer.key_id().to_owned(), algorithm: signer.algorithm(), backing: signer.backing() }
    }

    pub(super) fn value(&self) -> Value {
        let mut key = vec![("algorithm", Value::text(self.algorithm.name())), ("id", Value::text(&self.id))];
        match &self.backing {
            Backing::File => key.push(("backing", Value::text("file"))),
            Backing::Tpm { maker, software } => key.extend([
                ("backing", Value::text("tpm")),
                ("maker", Value::text(maker)),
                ("software", Value::Bool(*software)),
            ]),
        }
        Value::map(key)
    }

    pub(super) fn read(value: Value) -> Result<KeyFacts, Wrong> {
        let mut fields = Fields::of("key", value)?;
        let algorithm = fields.text("algorithm")?;
        let backing = match fields.text("backing")?.as_str() {
            "file" => Backing::File,
            "tpm" => Backing::Tpm { maker: fields.text("maker")?, software: fields.bool("software")? },
            _ => return Err(Wrong::new("key", "`backing` is neither `file` nor `tpm`")),
        };
        let id = fields.digest("id")?.to_string();
        let Some(algorithm) = Algorithm::from_name(&algorithm) else {
            return Err(Wrong::new("key", "`algorithm` names none that this version knows"));
        };
        fields.end()?;
        Ok(KeyFacts { id, algorithm, backing })
    }
}

/// What is signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// What it is about.
    pub subject: Subject,
    /// Whose signature it bears.
    pub key: KeyFacts,
    /// How new it is, where there is a counter.
    pub counter: Option<Counter>,
}

/// Why bytes are no manifest, or what they say cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The field.
    pub field: String,
    /// What is wrong.
    pub why: String,
}

impl Wrong {
    pub(super) fn new(field: impl Into<String>, why: impl Into<String>) -> Wrong {
        Wrong { field: field.into(), why: why.into() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.field, self.why)
    }
}

impl std::error::Error for Wrong {}

impl Subject {
    /// The root of the Merkle tree over the parts and, behind them, the inputs.
    pub fn root(&self) -> Digest {
        let leaves: Vec<Digest> = self.parts.iter().chain(&self.inputs).map(Part::leaf).collect();
        merkle::root(&leaves)
    }
}

impl Manifest {
    /// The text that is signed.
    ///
    /// # Errors
    ///
    /// [`Wrong`] where it would not read back: two parts of one name, a length above 2⁵³ − 1, a time that is no number.
    pub fn text(&self) -> Result<String, Wrong> {
        let s = &self.subject;
        let list = |parts: &[Part]| Value::List(parts.iter().map(Part::value).collect());
        let machine = s.machine.iter().map(|(k, v)| (k.clone(), Value::text(v))).collect();
        let mut fields = vec![
            ("compiler", Value::text(&s.compiler)),
            ("inputs", list(&s.inputs)),
            ("key", self.key.value()),
            ("kind", Value::text(s.kind.name())),
            ("machine", Value::Map(machine)),
            (
                "model",
                Value::map([
                    ("hash", Value::text(s.model_hash.to_string())),
                    ("name", Value::text(&s.model)),
                ]),
            ),
            ("parts", list(&s.parts)),
            ("root", Value::text(s.root().to_string())),
            ("scenario", Value::text(&s.scenario)),
            ("seed", Value::text(s.seed.to_string())),
            ("time", Value::text(s.time.to_string())),
            ("version", Value::Int(VERSION)),
        ];
        if let Some(c) = &self.counter {
            let index = Value::Int(u64::from(c.index));
            fields.push((
                "counter",
                Value::map([("index", index), ("value", Value::text(c.value.to_string()))]),
            ));
        }
        if let Some(parent) = &s.parent {
            fields.push(("parent", Value::text(parent.to_string())));
        }
        let text = canonical::write(&Value::map(fields));
        // What cannot be read must not be signed.
        Manifest::read(text.as_bytes()).map(|_| text)
    }

    /// Reads what [`Manifest::text`] wrote, and nothing else.
    ///
    /// # Errors
    ///
    /// [`Wrong`], with the field.
    pub fn read(bytes: &[u8]) -> Result<Manifest, Wrong> {
        let value = canonical::read(bytes).map_err(|e| Wrong::new("manifest", e.to_string()))?;
        let mut fields = Fields::of("manifest", value)?;
        match fields.take("version")? {
            Value::Int(VERSION) => {}
            Value::Int(n) => {
                let why = format!("this is version {n}, a later twinc made it; this one reads {VERSION}");
                return Err(Wrong::new("version", why));
            }
            _ => return Err(Wrong::new("version", "it is no number")),
        }
        let kind = Kind::from_name(&fields.text("kind")?);
        let kind = kind.ok_or_else(|| Wrong::new("kind", "it is neither `bundle` nor `snapshot`"))?;
        let mut model = Fields::of("model", fields.take("model")?)?;
        let (name, hash) = (model.text("name")?, model.digest("hash")?);
        model.end()?;
        let mut machine = BTreeMap::new();
        let Value::Map(facts) = fields.take("machine")? else {
            return Err(Wrong::new("machine", "it is no object"));
        };
        for (key, fact) in facts {
            let Value::Text(fact) = fact else { return Err(Wrong::new("machine", "a fact is no text")) };
            machine.insert(key, fact);
        }
        let time = fields.text("time")?;
        let seconds: f64 = time.parse().map_err(|_| Wrong::new("time", "it is no number"))?;
        if !seconds.is_finite() || seconds.to_string() != time {
            return Err(Wrong::new("time", "it is not written as the number is"));
        }
        let counter = match fields.optional("counter") {
            None => None,
            Some(value) => {
                let mut counter = Fields::of("counter", value)?;
                let index = match counter.take("index")? {
                    Value::Int(n) => u32::try_from(n).ok(),
                    _ => None,
                };
                let index = index.ok_or_else(|| Wrong::new("counter", "`index` is no 32-bit number"))?;
                let value = counter.number("value")?;
                counter.end()?;
                Some(Counter { index, value })
            }
        };
        let parent = match fields.optional("parent") {
            None => None,
            Some(value) => Some(digest("parent", value)?),
        };
        let subject = Subject {
            kind,
            compiler: fields.text("compiler")?,
            model: name,
            model_hash: hash,
            scenario: fields.text("scenario")?,
            seed: fields.number("seed")?,
            time: seconds,
            machine,
            inputs: parts("inputs", fields.take("inputs")?)?,
            parts: parts("parts", fields.take("parts")?)?,
            parent,
        };
        if fields.digest("root")? != subject.root() {
            return Err(Wrong::new("root", "it is not the root over the parts and inputs that are listed"));
        }
        let key = KeyFacts::read(fields.take("key")?)?;
        fields.end()?;
        Ok(Manifest { subject, key, counter })
    }
}

fn parts(field: &str, value: Value) -> Result<Vec<Part>, Wrong> {
    let Value::List(items) = value else { return Err(Wrong::new(field, "it is no list")) };
    let mut names = BTreeSet::new();
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let mut part = Fields::of(field, item)?;
        let (name, role) = (part.text("name")?, part.text("role")?);
        if !names.insert((role.clone(), name.clone())) {
            return Err(Wrong::new(field, format!("`{name}` is listed twice")));
        }
        let Value::Int(length) = part.take("length")? else {
            return Err(Wrong::new(field, "a length is no number"));
        };
        out.push(Part { name, role, length, sha256: part.digest("sha256")? });
        part.end()?;
    }
    Ok(out)
}

fn digest(field: &str, value: Value) -> Result<Digest, Wrong> {
    match value {
        Value::Text(text) => Digest::from_hex(&text),
        _ => None,
    }
    .ok_or_else(|| Wrong::new(field, "it is no SHA-256 in lower-case hexadecimal"))
}

/// The fields of an object, taken one by one; none may be left.
pub(super) struct Fields {
    of: String,
    fields: BTreeMap<String, Value>,
}

impl Fields {
    pub(super) fn of(of: &str, value: Value) -> Result<Fields, Wrong> {
        match value {
            Value::Map(fields) => Ok(Fields { of: of.to_owned(), fields }),
            _ => Err(Wrong::new(of, "it is no object")),
        }
    }

    pub(super) fn optional(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name)
    }

    pub(super) fn take(&mut self, name: &str) -> Result<Value, Wrong> {
        self.optional(name).ok_or_else(|| Wrong::new(&self.of, format!("`{name}` is missing")))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<String, Wrong> {
        match self.take(name)? {
            Value::Text(text) => Ok(text),
            _ => Err(Wrong::new(name, "it is no text")),
        }
    }

    pub(super) fn bool(&mut self, name: &str) -> Result<bool, Wrong> {
        match self.take(name)? {
            Value::Bool(b) => Ok(b),
            _ => Err(Wrong::new(name, "it is neither true nor false")),
        }
    }

    /// A 64-bit number, which stands as text since JSON's are exact to 2⁵³ only.
    pub(super) fn number(&mut self, name: &str) -> Result<u64, Wrong> {
        let text = self.text(name)?;
        let number = text.parse::<u64>().ok().filter(|n| n.to_string() == text);
        number.ok_or_else(|| Wrong::new(name, "it is no 64-bit number in digits"))
    }

    pub(super) fn digest(&mut self, name: &str) -> Result<Digest, Wrong> {
        let value = self.take(name)?;
        digest(name, value)
    }

    pub(super) fn end(self) -> Result<(), Wrong> {
        match self.fields.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(Wrong::new(self.of, format!("there is no field `{name}` in this version"))),
        }
    }
}
