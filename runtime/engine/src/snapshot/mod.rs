//! Snapshots: everything that determines the rest of a run, as bytes that say what they are.
//!
//! A [`Snapshot`] is what a host keeps, hands on, signs and shows: where the model came from ([`Model`]), what was asked
//! for ([`Scenario`]), where the run stands ([`Clock`]), and the state itself in typed sections that only the engine reads
//! ([`State`]; `run/keep.rs` takes and restores it). [`format`] is the container; `docs/snapshot-format.md` has the
//! tables of bytes.
//!
//! **What it is of.** A snapshot at T holds the last accepted step from which no trial step has looked beyond T, and the
//! position of the recorders there. A run that goes on from it does what the uninterrupted run does, to the bit; and if
//! something is to be changed at T, what the scenario does that changes it by `at T`: up to T neither differs from the
//! other.
//!
//! Nothing here touches a file or a key. Signatures stand in an envelope outside of what is hashed.

pub mod format;
mod parts;

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use twinml_model::bytes::{Malformed, Persist, Reader, Writer};
use twinml_model::program::Program;

pub use format::{Container, Entry, Section, Tag};
pub use parts::{Clock, File, Model, Origin, Scenario};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The state of a run at a step: where it stands, and the sections that the engine reads.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Where the run stands.
    pub clock: Clock,
    /// Memory, integrator, behaviour, monitors, recorders: [`Tag::STATE`], in this order.
    pub sections: Vec<Section>,
}

impl State {
    /// The bytes of a section.
    pub(crate) fn section(&self, tag: Tag) -> Option<&Section> {
        self.sections.iter().find(|s| s.tag == tag)
    }
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The model that was run.
    pub model: Arc<Model>,
    /// What was asked for.
    pub scenario: Arc<Scenario>,
    /// The state.
    pub state: State,
    /// The snapshot from which the run went on that this one was taken of.
    pub parent: Option<Hash>,
    /// Signatures, in the encoding of whoever signs; empty: none.
    pub envelope: Vec<u8>,
}

/// Why bytes are no snapshot, or no snapshot of this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// The container is not what it should be.
    Container(Malformed),
    /// A section is not what it should be; places are counted from its beginning.
    Section {
        /// Which.
        tag: Tag,
        /// What is wrong.
        what: Malformed,
    },
    /// A section that a snapshot must have is not there.
    Missing {
        /// Which.
        tag: Tag,
    },
    /// A section is of a version that this program does not read.
    Version {
        /// Which.
        tag: Tag,
        /// Its version.
        found: u16,
        /// The latest that is read.
        latest: u16,
    },
    /// A section of a kind that this program does not know.
    Unknown {
        /// Which.
        tag: Tag,
    },
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::Container(what) => write!(f, "{what}"),
            SnapshotError::Section { tag, what } => write!(f, "section `{tag}`, {what}"),
            SnapshotError::Missing { tag } => write!(f, "there is no section `{tag}`"),
            SnapshotError::Version { tag, found, latest } => write!(
                f,
                "section `{tag}` is of version {found}, of which this program reads no more than version {latest}"
            ),
            SnapshotError::Unknown { tag } => {
                write!(f, "section `{tag}` is none that this program knows, and may decide what happens next")
            }
        }
    }
}

impl std::error::Error for SnapshotError {}

/// Reads a section whole, and refuses bytes that are not what it would be written as.
pub(crate) fn whole<T: Persist>(section: &Section) -> Result<T, SnapshotError> {
    let tag = section.tag;
    let wrong = |what| SnapshotError::Section { tag, what };
    let mut from = Reader::new(&section.bytes);
    let value: T = from.get().and_then(|value| from.end().map(|()| value)).map_err(wrong)?;
    let mut to = Writer::new();
    to.put(&value);
    let again = to.finish();
    if again[..] != section.bytes[..] {
        let at = again.iter().zip(section.bytes.iter()).take_while(|(a, b)| a == b).count();
        return Err(wrong(Malformed { at, why: "this is not how it is written".to_owned() }));
    }
    Ok(value)
}

fn section<T: Persist>(tag: Tag, value: &T) -> Section {
    let mut to = Writer::new();
    to.put(value);
    Section { tag, version: tag.latest(), bytes: to.finish().into() }
}

impl Snapshot {
    /// The container that holds it.
    pub fn container(&self) -> Container {
        let mut sections = vec![
            section(Tag::MODEL, &*self.model),
            section(Tag::SCENARIO, &*self.scenario),
            section(Tag::CLOCK, &self.state.clock),
        ];
        sections.extend(self.state.sections.iter().cloned());
        if let Some(parent) = &self.parent {
            sections.push(section(Tag::PARENT, parent));
        }
        Container::new(sections, self.envelope.clone())
    }

    /// The bytes of a `*.twinsnap`.
    pub fn encode(&self) -> Vec<u8> {
        self.container().encode()
    }

    /// Reads a `*.twinsnap`: every hash is checked, and what is read would be written as the same bytes. The sections of
    /// the state are read when a run goes on from it.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`], with the place.
    pub fn decode(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
        Snapshot::of(Container::decode(bytes).map_err(SnapshotError::Container)?)
    }

    /// What a container holds.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`].
    pub fn of(container: Container) -> Result<Snapshot, SnapshotError> {
        let (mut model, mut scenario, mut clock, mut parent) = (None, None, None, None);
        let mut state = Vec::with_capacity(Tag::STATE.len());
        let (sections, envelope) = container.into_parts();
        for s in sections {
            let tag = s.tag;
            match tag.known() {
                None => return Err(SnapshotError::Unknown { tag }),
                Some(latest) if s.version == 0 || s.version > latest => {
                    return Err(SnapshotError::Version { tag, found: s.version, latest });
                }
                Some(_) => {}
            }
            match tag {
                Tag::MODEL => model = Some(whole(&s)?),
                Tag::SCENARIO => scenario = Some(whole(&s)?),
                Tag::CLOCK => clock = Some(whole(&s)?),
                Tag::PARENT => parent = Some(whole(&s)?),
                _ => state.push(s),
            }
        }
        state.sort_by_key(|s: &Section| Tag::STATE.iter().position(|t| *t == s.tag));
        for tag in Tag::STATE {
            if !state.iter().any(|s| s.tag == tag) {
                return Err(SnapshotError::Missing { tag });
            }
        }
        let missing = |tag| SnapshotError::Missing { tag };
        Ok(Snapshot {
            model: Arc::new(model.ok_or(missing(Tag::MODEL))?),
            scenario: Arc::new(scenario.ok_or(missing(Tag::SCENARIO))?),
            state: State { clock: clock.ok_or(missing(Tag::CLOCK))?, sections: state },
            parent,
            envelope,
        })
    }

    /// What names the snapshot: the hash of the container's head, and so of every section.
    pub fn id(&self) -> Hash {
        self.container().id()
    }

    /// Tag, version, length and hash of every section in the order of the file: what a signature is over.
    pub fn sections(&self) -> Vec<Entry> {
        self.container().entries()
    }
}

impl Model {
    /// A model alone, as a container of its section: what stands beside signed results (`*.twinmodel`).
    pub fn encode(&self) -> Vec<u8> {
        Container::new(vec![section(Tag::MODEL, self)], Vec::new()).encode()
    }

    /// Reads what [`Model::encode`] writes.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]; a container with anything else in it is none.
    pub fn decode(bytes: &[u8]) -> Result<Model, SnapshotError> {
        let (sections, envelope) = Container::decode(bytes).map_err(SnapshotError::Container)?.into_parts();
        let mut model = None;
        for s in sections {
            let tag = s.tag;
            match s.tag.known() {
                Some(latest) if tag == Tag::MODEL && (1..=latest).contains(&s.version) => {
                    model = Some(whole(&s)?);
                }
                Some(latest) if tag == Tag::MODEL => {
                    return Err(SnapshotError::Version { tag, found: s.version, latest });
                }
                _ => return Err(SnapshotError::Unknown { tag }),
            }
        }
        if !envelope.is_empty() {
            let why = "a model alone has no envelope".to_owned();
            return Err(SnapshotError::Container(Malformed { at: 0, why }));
        }
        model.ok_or(SnapshotError::Missing { tag: Tag::MODEL })
    }
}

/// What tells whether two programs are laid out alike and compute the same: the hash of a program's text. To be taken as
/// the compiler made it, before it is prepared for a machine. Where its files lie is no part of it: lines that name them
/// (`file "plant/tank.twinml"`) are for messages.
pub fn program_hash(program: &Program) -> Hash {
    let mut hash = Sha256::new();
    let text = twinml_model::text::program_text(program);
    text.split_inclusive('\n').filter(|line| !line.starts_with("file \"")).for_each(|line| hash.update(line));
    hash.finalize().into()
}

/// A hash in hexadecimal.
pub fn hex(hash: &[u8]) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}
