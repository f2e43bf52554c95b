//! The seam behind which nodes of timelines are kept.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use twinml_model::bytes::Writer;

/// Names a node, or bytes: a SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 32]);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = ();

    fn from_str(text: &str) -> Result<Id, ()> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(());
        }
        let digit = |b: u8| match b {
            b'0'..=b'9' => Ok(b - b'0'),
            b'a'..=b'f' => Ok(b - b'a' + 10),
            _ => Err(()),
        };
        let mut id = [0; 32];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Id(id))
    }
}

/// The SHA-256 of bytes.
pub fn digest(bytes: &[u8]) -> Id {
    Id(Sha256::digest(bytes).into())
}

/// Bytes of a node under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The name: `snapshot`.
    pub name: String,
    /// What it is.
    pub bytes: Vec<u8>,
}

/// What is known of a part without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartInfo {
    /// The name.
    pub name: String,
    /// Bytes.
    pub len: u64,
    /// Their SHA-256.
    pub digest: Id,
}

/// A node that is to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The node that it grew from.
    pub parent: Option<Id>,
    /// What people call it; the same name may be given twice.
    pub name: String,
    /// Its instant in seconds of the run.
    pub time: f64,
    /// What is known of it, by name, in a fixed order.
    pub facts: Vec<(String, String)>,
    /// Its bytes; each name once.
    pub parts: Vec<Part>,
}

impl Draft {
    /// The node that keeping it makes, but for its place in the order.
    pub fn node(&self) -> Node {
        let parts = self.parts.iter().map(|p| PartInfo {
            name: p.name.clone(),
            len: p.bytes.len() as u64,
            digest: digest(&p.bytes),
        });
        let mut node = Node {
            id: Id([0; 32]),
            parent: self.parent,
            name: self.name.clone(),
            time: self.time,
            facts: self.facts.clone(),
            parts: parts.collect(),
        };
        node.id = node.identity();
        node
    }
}

/// A node that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What names it: the SHA-256 of everything else here, so a node cannot be altered under its name.
    pub id: Id,
    /// The node that it grew from.
    pub parent: Option<Id>,
    /// What people call it.
    pub name: String,
    /// Its instant in seconds of the run.
    pub time: f64,
    /// What is known of it.
    pub facts: Vec<(String, String)>,
    /// Its bytes.
    pub parts: Vec<PartInfo>,
}

impl Node {
    /// The SHA-256 of all fields but `id`: `"twinml node 1\n"`, then the fields in the codec of
    /// [`twinml_model::bytes`], in the order of the struct.
    pub fn identity(&self) -> Id {
        let mut to = Writer::new();
        to.raw(b"twinml node 1\n").put(&self.parent.map(|id| id.0)).put(&self.name).put(&self.time);
        to.put(&self.facts).put(&(self.parts.len() as u64));
        for part in &self.parts {
            to.put(&part.name).put(&part.len).put(&part.digest.0);
        }
        digest(&to.finish())
    }

    /// What is known under a name.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// What a store takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Nodes.
    pub nodes: u64,
    /// Bytes of all parts of all nodes, each counted whole.
    pub whole: u64,
    /// Bytes that are kept for it, after sharing and compression, with all bookkeeping.
    pub kept: u64,
    /// Bytes on disk, with room that is free for what comes next.
    pub disk: u64,
}

/// What sweeping did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Pieces that no node needed any more.
    pub pieces: u64,
    /// Bytes on disk before.
    pub before: u64,
    /// Bytes on disk afterwards.
    pub after: u64,
}

/// Why a store did not do what was asked. Nothing is changed then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The place cannot be read or written.
    Outside {
        /// What the system says.
        why: String,
    },
    /// Somebody else is writing.
    Busy,
    /// What is there is not what was written.
    Corrupt {
        /// What is wrong, as a sentence's second half.
        why: String,
    },
    /// A store of another version.
    Version {
        /// The version that it says.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// It is encrypted, and no key was given.
    Locked,
    /// There is no such node.
    Unknown {
        /// The node.
        id: Id,
    },
    /// A node has no such part.
    NoPart {
        /// The node.
        id: Id,
        /// The part.
        name: String,
    },
    /// Other nodes grew from a node that is to be removed.
    HasBranches {
        /// The node.
        id: Id,
        /// One that stays.
        branch: Id,
    },
    /// A node that cannot be.
    Bad {
        /// Why not.
        why: String,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Outside { why } => f.write_str(why),
            StoreError::Busy => f.write_str("another process is using the store of timelines"),
            StoreError::Corrupt { why } => write!(f, "the store of timelines is damaged: {why}"),
            StoreError::Version { found, known } => {
                write!(f, "the store of timelines is of version {found}; this program knows up to {known}")
            }
            StoreError::Locked => f.write_str("the store of timelines is encrypted, and no key is given"),
            StoreError::Unknown { id } => write!(f, "there is no node {id}"),
            StoreError::NoPart { id, name } => write!(f, "the node {id} has no part `{name}`"),
            StoreError::HasBranches { id, branch } => {
                write!(f, "the node {id} cannot go: {branch} grew from it")
            }
            StoreError::Bad { why } => f.write_str(why),
        }
    }
}

impl std::error::Error for StoreError {}

/// Encrypts what a store keeps, piece by piece.
///
/// A store asks for one place only: what it is about to write, and what it has just read. `about` names the piece and
/// is to be authenticated with it, so that pieces cannot be exchanged.
pub trait Cipher: Send + Sync {
    /// The piece, sealed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Outside`] where no nonce can be had.
    fn seal(&self, plain: &[u8], about: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// The piece, opened.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] where it is not what was sealed about this, or by another key.
    fn open(&self, sealed: &[u8], about: &[u8]) -> Result<Vec<u8>, StoreError>;
}

/// Keeps the nodes of timelines.
///
/// What [`Store::put`] has returned from is kept whatever happens to the process; what it has not, is there whole or not
/// at all. Every store passes [`super::conformance`].
pub trait Store {
    /// Keeps nodes, all or none; a parent is there already or stands before its children in `drafts`. A node that is
    /// there already stays as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`] of a parent, [`StoreError::Bad`] of a node that cannot be; what the place says.
    fn put(&mut self, drafts: &[Draft]) -> Result<Vec<Id>, StoreError>;

    /// All nodes in the order in which they came.
    ///
    /// # Errors
    ///
    /// What the place says.
    fn nodes(&self) -> Result<Vec<Node>, StoreError>;

    /// A part of a node. What is returned has the digest that the node says.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`], [`StoreError::NoPart`], [`StoreError::Corrupt`]; what the place says.
    fn part(&self, id: &Id, name: &str) -> Result<Vec<u8>, StoreError>;

    /// Removes nodes, all or none, with everything that grew from them in the list too. Their bytes go with
    /// [`Store::sweep`].
    ///
    /// # Errors
    ///
    /// [`StoreError::HasBranches`], [`StoreError::Unknown`]; what the place says.
    fn remove(&mut self, ids: &[Id]) -> Result<(), StoreError>;

    /// Gives back the room of what no node needs.
    ///
    /// # Errors
    ///
    /// What the place says; nothing that a node needs is lost then.
    fn sweep(&mut self) -> Result<Swept, StoreError>;

    /// What it takes.
    ///
    /// # Errors
    ///
    /// What the place says.
    fn usage(&self) -> Result<Usage, StoreError>;

    /// A small record beside the nodes, never encrypted: the wrapped key stands here.
    ///
    /// # Errors
    ///
    /// What the place says.
    fn note(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes such a record, or takes it away.
    ///
    /// # Errors
    ///
    /// What the place says.
    fn set_note(&mut self, name: &str, bytes: Option<&[u8]>) -> Result<(), StoreError>;
}

/// Longest name of a node or a part, and longest facts of one node, in bytes.
const LONGEST_NAME: usize = 1 << 10;
const LONGEST_FACTS: usize = 1 << 24;
/// Parts of one node.
const MOST_PARTS: usize = 256;

/// Whether a node can be kept: what every store asks before anything else.
///
/// # Errors
///
/// [`StoreError::Bad`].
pub fn kept(node: &Node) -> Result<(), StoreError> {
    let bad = |why: String| Err(StoreError::Bad { why });
    if node.time.is_nan() {
        return bad("a node of a timeline needs an instant".to_owned());
    }
    let names = std::iter::once(&node.name).chain(node.parts.iter().map(|p| &p.name));
    if let Some(name) = names.into_iter().find(|n| n.is_empty() || n.len() > LONGEST_NAME) {
        return bad(format!("a name of a node or part has 1 to {LONGEST_NAME} bytes, not {}", name.len()));
    }
    if node.parts.len() > MOST_PARTS {
        return bad(format!("a node has at most {MOST_PARTS} parts, not {}", node.parts.len()));
    }
    let facts: usize = node.facts.iter().map(|(n, v)| n.len() + v.len()).sum();
    if facts > LONGEST_FACTS {
        return bad(format!("what is known of a node takes {facts} bytes; {LONGEST_FACTS} is the most"));
    }
    for (k, part) in node.parts.iter().enumerate() {
        if node.parts[..k].iter().any(|p| p.name == part.name) {
            return bad(format!("a node has the part `{}` twice", part.name));
        }
    }
    Ok(())
}
