//! Records: nodes and how their parts are kept.

use twinml_engine::timeline::{Id, Node, PartInfo, StoreError};
use twinml_model::bytes::{Malformed, Persist, Reader, Writer};

use super::{DEEPEST, corrupt};

/// A node and how its parts are kept, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The node.
    pub node: Node,
    /// One for each part.
    pub contents: Vec<Content>,
}

/// How a part is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// 0: whole. Else a patch of the same part of the parent, which is kept at one less.
    pub depth: u8,
    /// The part's bytes, or the patch's.
    pub body: Body,
}

/// Bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Few.
    Inline(Vec<u8>),
    /// Pieces one after the other.
    Pieces(Vec<Id>),
    /// As before, listed in a piece.
    List(Id),
}

/// The list of pieces as bytes.
pub fn list(pieces: &[Id]) -> Vec<u8> {
    pieces.iter().flat_map(|id| id.0).collect()
}

/// The list back.
pub fn read_list(bytes: &[u8]) -> Result<Vec<Id>, StoreError> {
    let (ids, []) = bytes.as_chunks::<32>() else { return Err(corrupt("a list of pieces ends within one")) };
    Ok(ids.iter().map(|id| Id(*id)).collect())
}

/// A block of records.
pub fn block(records: &[&Record]) -> Vec<u8> {
    let mut to = Writer::new();
    to.put(&(records.len() as u64));
    for Record { node, contents } in records {
        to.put(&node.parent.map(|id| id.0)).put(&node.name).put(&node.time).put(&node.facts);
        to.put(&(node.parts.len() as u64));
        for (part, content) in node.parts.iter().zip(contents) {
            to.put(&part.name).put(&part.len).put(&part.digest.0).put(&content.depth);
            match &content.body {
                Body::Inline(bytes) => to.put(&0u8).put(&(bytes.len() as u64)).raw(bytes),
                Body::Pieces(ids) => {
                    to.put(&1u8).put(&(ids.len() as u64));
                    ids.iter().fold(&mut to, |to, id| to.raw(&id.0))
                }
                Body::List(id) => to.put(&2u8).raw(&id.0),
            };
        }
    }
    to.finish()
}

/// The records of a block.
pub fn read_block(bytes: &[u8]) -> Result<Vec<Record>, StoreError> {
    records(bytes).map_err(|e| corrupt(format!("a block of records: {e}")))
}

fn records(bytes: &[u8]) -> Result<Vec<Record>, Malformed> {
    let mut from = Reader::new(bytes);
    let count = from.length(1 + String::LEAST + f64::LEAST + 2 * u64::LEAST)?;
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        out.push(one(&mut from)?);
    }
    from.end()?;
    Ok(out)
}

fn one(from: &mut Reader<'_>) -> Result<Record, Malformed> {
    let parent: Option<[u8; 32]> = from.get()?;
    let mut node = Node {
        id: Id([0; 32]),
        parent: parent.map(Id),
        name: from.get()?,
        time: from.get()?,
        facts: from.get()?,
        parts: Vec::new(),
    };
    let count = from.length(String::LEAST + u64::LEAST + 32 + 2)?;
    let mut contents = Vec::with_capacity(count);
    for _ in 0..count {
        node.parts.push(PartInfo { name: from.get()?, len: from.get()?, digest: Id(from.get()?) });
        let depth: u8 = from.get()?;
        if depth > DEEPEST {
            return Err(from.malformed(format!("{depth} patches stand on each other")));
        }
        let body = match from.get::<u8>()? {
            0 => {
                let len = from.length(1)?;
                Body::Inline(from.raw(len)?.to_vec())
            }
            1 => {
                let ids: Vec<[u8; 32]> = from.get()?;
                Body::Pieces(ids.into_iter().map(Id).collect())
            }
            2 => Body::List(Id(from.get()?)),
            other => return Err(from.malformed(format!("bytes are kept in the unknown way {other}"))),
        };
        contents.push(Content { depth, body });
    }
    node.id = node.identity();
    Ok(Record { node, contents })
}
