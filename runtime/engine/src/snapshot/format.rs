//! The container of a snapshot: typed sections behind a table of their hashes.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `TWINSNAP` |
//! | 2 | version of the container: 1 |
//! | 2 | zero |
//! | 4 | number of sections *n* |
//! | 48·*n* | the table, by tag: tag (4), version (2), zero (2), length (8), SHA-256 (32) |
//! | 32 | the snapshot's id: SHA-256 of all before |
//! | … | the sections' bytes, in the order of the table |
//! | 8 | length of the envelope |
//! | … | the envelope |
//! | 32 | SHA-256 of the id and the envelope |
//!
//! All numbers are little endian. Tags ascend, so a set of sections has one encoding; and every byte stands under a hash
//! or is checked itself, so one that is flipped is found. The envelope can change without the id: it is where signatures
//! go, which sign the id's sections and cannot be among them.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use twinml_model::bytes::{Malformed, Persist, Reader, Writer};

use super::Hash;

/// How a snapshot begins.
pub const MAGIC: [u8; 8] = *b"TWINSNAP";
/// The container's version.
pub const VERSION: u16 = 1;
/// Most sections.
const MOST: usize = 64;

/// The kind of a section.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub [u8; 4]);

impl Tag {
    /// The source bundle of the model.
    pub const MODEL: Tag = Tag(*b"MODL");
    /// Scenario, parameters, seed, solver.
    pub const SCENARIO: Tag = Tag(*b"SCEN");
    /// Where the run stands.
    pub const CLOCK: Tag = Tag(*b"CLCK");
    /// The values of all spaces, and what kernels ask their host for.
    pub const MEMORY: Tag = Tag(*b"MEMO");
    /// The integrator and the root finder.
    pub const INTEGRATOR: Tag = Tag(*b"INTG");
    /// Handlers, machines, timers, queues of events, populations, random streams.
    pub const BEHAVIOR: Tag = Tag(*b"BEHV");
    /// Requirements, aggregates, ranges, limits, firings.
    pub const MONITOR: Tag = Tag(*b"MONI");
    /// How far the recorders are.
    pub const RECORDER: Tag = Tag(*b"RECD");
    /// The snapshot from which the run went on.
    pub const PARENT: Tag = Tag(*b"PRNT");
    /// Reserved: queues of messages between agents.
    pub const MESSAGES: Tag = Tag(*b"AMSG");
    /// Reserved: agents' memories.
    pub const MEMORIES: Tag = Tag(*b"AMEM");

    /// The sections of the state, in the order in which a run restores them.
    pub const STATE: [Tag; 5] = [Tag::MEMORY, Tag::BEHAVIOR, Tag::INTEGRATOR, Tag::MONITOR, Tag::RECORDER];

    /// The latest version of a section that this program reads; none where it does not know it.
    pub fn known(self) -> Option<u16> {
        let known = [
            Tag::MODEL,
            Tag::SCENARIO,
            Tag::CLOCK,
            Tag::MEMORY,
            Tag::INTEGRATOR,
            Tag::BEHAVIOR,
            Tag::MONITOR,
            Tag::RECORDER,
            Tag::PARENT,
        ];
        known.contains(&self).then_some(1)
    }

    /// The version in which it is written.
    pub(super) fn latest(self) -> u16 {
        self.known().unwrap_or(1)
    }

    /// What it holds, for people.
    pub fn what(self) -> &'static str {
        match self {
            Tag::MODEL => "model",
            Tag::SCENARIO => "scenario",
            Tag::CLOCK => "clock",
            Tag::MEMORY => "memory",
            Tag::INTEGRATOR => "integrator",
            Tag::BEHAVIOR => "behaviour",
            Tag::MONITOR => "monitors",
            Tag::RECORDER => "recorders",
            Tag::PARENT => "parent",
            Tag::MESSAGES => "agents' messages",
            Tag::MEMORIES => "agents' memories",
            _ => "unknown",
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its kind.
    pub tag: Tag,
    /// The version of its encoding.
    pub version: u16,
    /// What it holds.
    pub bytes: Arc<[u8]>,
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Kind of the section.
    pub tag: Tag,
    /// Version of its encoding.
    pub version: u16,
    /// Its bytes.
    pub length: u64,
    /// Their hash.
    pub sha256: Hash,
}

/// Sections and an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    sections: Vec<Section>,
    envelope: Vec<u8>,
}

/// Bytes before the table.
const HEAD: usize = 16;

/// Bytes of a line of the table.
const LINE: usize = 48;

impl Container {
    /// Of these sections, each kind once.
    pub fn new(mut sections: Vec<Section>, envelope: Vec<u8>) -> Container {
        sections.sort_by_key(|s| s.tag);
        sections.dedup_by_key(|s| s.tag);
        Container { sections, envelope }
    }

    /// The sections, by tag, and the envelope.
    pub fn into_parts(self) -> (Vec<Section>, Vec<u8>) {
        (self.sections, self.envelope)
    }

    /// The sections, by tag.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The table.
    pub fn entries(&self) -> Vec<Entry> {
        let entry = |s: &Section| Entry {
            tag: s.tag,
            version: s.version,
            length: s.bytes.len() as u64,
            sha256: Sha256::digest(&s.bytes).into(),
        };
        self.sections.iter().map(entry).collect()
    }

    fn head(&self) -> Vec<u8> {
        let mut to = Writer::new();
        to.raw(&MAGIC).put(&VERSION).put(&0_u16).put(&(self.sections.len() as u32));
        for e in self.entries() {
            to.raw(&e.tag.0).put(&e.version).put(&0_u16).put(&e.length).raw(&e.sha256);
        }
        to.finish()
    }

    /// Bytes before the id.
    pub fn head_length(&self) -> u64 {
        (HEAD + LINE * self.sections.len()) as u64
    }

    /// Of bytes that [`Container::decode`] refuses though their table is whole: the first section that is not what the
    /// table says.
    pub fn differing(bytes: &[u8]) -> Option<Tag> {
        let count = bytes.get(12..HEAD)?.try_into().map(u32::from_le_bytes).ok()? as usize;
        let head = HEAD.checked_add(count.checked_mul(LINE)?)?;
        let mut rest = bytes.get(head.checked_add(32)?..)?;
        if Sha256::digest(&bytes[..head])[..] != bytes[head..head + 32] {
            return None;
        }
        for line in bytes[HEAD..head].chunks_exact(LINE) {
            let tag = Tag(line[..4].try_into().ok()?);
            let length = usize::try_from(u64::from_le_bytes(line[8..16].try_into().ok()?)).ok()?;
            match rest.split_at_checked(length) {
                Some((own, others)) if Sha256::digest(own)[..] == line[16..] => rest = others,
                _ => return Some(tag),
            }
        }
        None
    }

    /// The snapshot's id.
    pub fn id(&self) -> Hash {
        Sha256::digest(self.head()).into()
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let head = self.head();
        let id: Hash = Sha256::digest(&head).into();
        let mut to = Writer::new();
        to.raw(&head).raw(&id);
        self.sections.iter().for_each(|s| {
            to.raw(&s.bytes);
        });
        to.put(&(self.envelope.len() as u64)).raw(&self.envelope).raw(&seal(&id, &self.envelope));
        to.finish()
    }

    /// Reads the bytes and checks every hash. Nothing is allocated that the bytes themselves do not fill.
    ///
    /// # Errors
    ///
    /// [`Malformed`], with the place.
    pub fn decode(bytes: &[u8]) -> Result<Container, Malformed> {
        let mut from = Reader::new(bytes);
        if bytes.len() < MAGIC.len() || from.raw(MAGIC.len())? != MAGIC {
            return Err(Malformed {
                at: 0,
                why: "this is no snapshot: it does not begin with TWINSNAP".into(),
            });
        }
        let version: u16 = from.get()?;
        if version != VERSION {
            return Err(Malformed {
                at: MAGIC.len(),
                why: format!("the container is of version {version}; this program reads version {VERSION}"),
            });
        }
        zero(&mut from)?;
        let count: u32 = from.get()?;
        let count = count as usize;
        if count > MOST || count * LINE > from.left() {
            return Err(Malformed { at: from.at() - 4, why: format!("{count} sections cannot follow") });
        }
        let mut table: Vec<Entry> = Vec::with_capacity(count);
        for _ in 0..count {
            let at = from.at();
            let tag: Tag = Tag(from.get::<[u8; 4]>()?);
            if table.last().is_some_and(|e| e.tag >= tag) {
                return Err(Malformed {
                    at,
                    why: format!("the section `{tag}` is not in the order of tags"),
                });
            }
            let version = from.get()?;
            zero(&mut from)?;
            table.push(Entry { tag, version, length: from.get()?, sha256: from.get()? });
        }
        let head = Sha256::digest(&bytes[..from.at()]);
        let at = from.at();
        let id: Hash = from.get()?;
        if head[..] != id {
            return Err(Malformed { at, why: "the hash of the table is another".into() });
        }
        let mut sections = Vec::with_capacity(count);
        for e in table {
            let at = from.at();
            let len = usize::try_from(e.length).ok().filter(|len| *len <= from.left()).ok_or_else(|| {
                from.malformed(format!(
                    "section `{}` is of {} bytes, {} are left",
                    e.tag,
                    e.length,
                    from.left()
                ))
            })?;
            let own = from.raw(len)?;
            if Sha256::digest(own)[..] != e.sha256 {
                return Err(Malformed { at, why: format!("the hash of section `{}` is another", e.tag) });
            }
            sections.push(Section { tag: e.tag, version: e.version, bytes: own.into() });
        }
        let len = from.length(1)?;
        let envelope = from.raw(len)?.to_vec();
        let at = from.at();
        if from.get::<Hash>()? != seal(&id, &envelope) {
            return Err(Malformed { at, why: "the hash of the envelope is another".into() });
        }
        from.end()?;
        Ok(Container { sections, envelope })
    }
}

/// What finds a flipped byte in the envelope.
fn seal(id: &Hash, envelope: &[u8]) -> Hash {
    Sha256::new().chain_update(id).chain_update(envelope).finalize().into()
}

fn zero(from: &mut Reader<'_>) -> Result<(), Malformed> {
    let at = from.at();
    match from.get::<u16>()? {
        0 => Ok(()),
        other => Err(Malformed { at, why: format!("{other} stands where zero is reserved") }),
    }
}

impl Persist for Tag {
    const LEAST: usize = 4;
    fn save(&self, to: &mut Writer) {
        to.raw(&self.0);
    }
    fn load(from: &mut Reader<'_>) -> Result<Tag, Malformed> {
        from.get().map(Tag)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn small() -> Container {
        let section = |tag, bytes: &[u8]| Section { tag, version: 1, bytes: bytes.into() };
        let sections =
            vec![section(Tag::MEMORY, b"values"), section(Tag::CLOCK, b""), section(Tag::MODEL, b"x")];
        Container::new(sections, b"signed".to_vec())
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let c = small();
        let bytes = c.encode();
        let back = Container::decode(&bytes).unwrap();
        assert_eq!((back.encode(), back.id()), (bytes, c.id()));
        assert_eq!(
            back.sections().iter().map(|s| s.tag).collect::<Vec<_>>(),
            [Tag::CLOCK, Tag::MEMORY, Tag::MODEL]
        );
    }

    #[test]
    fn the_envelope_is_outside_of_the_id() {
        let c = small();
        let other = Container { envelope: Vec::new(), ..c.clone() };
        assert_eq!(c.id(), other.id());
        assert_ne!(c.encode(), other.encode());
    }

    #[test]
    fn every_flipped_bit_and_every_end_is_found() {
        let bytes = small().encode();
        for at in 0..bytes.len() {
            assert!(Container::decode(&bytes[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[at] ^= 1 << bit;
                assert!(Container::decode(&other).is_err(), "byte {at}");
            }
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(Container::decode(&longer).is_err());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let say = |bytes: &[u8]| Container::decode(bytes).unwrap_err().to_string();
        assert_eq!(say(b"PAR1"), "at byte 0: this is no snapshot: it does not begin with TWINSNAP");
        let mut bytes = small().encode();
        bytes[8] = 9;
        assert_eq!(say(&bytes), "at byte 8: the container is of version 9; this program reads version 1");
        let mut bytes = small().encode();
        bytes[12] = 200;
        assert_eq!(say(&bytes), "at byte 12: 200 sections cannot follow");
    }
}
