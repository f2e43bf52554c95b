//! A store without a disk.

use std::collections::{BTreeMap, BTreeSet};

use super::store::{Draft, Id, Node, Store, StoreError, Swept, Usage, kept};

/// Nodes in memory, whole: what other stores are held against.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    nodes: Vec<Node>,
    bytes: BTreeMap<Id, Vec<u8>>,
    notes: BTreeMap<String, Vec<u8>>,
}

impl Memory {
    /// Nothing yet.
    pub fn new() -> Memory {
        Memory::default()
    }

    fn find(&self, id: &Id) -> Result<&Node, StoreError> {
        self.nodes.iter().find(|n| n.id == *id).ok_or(StoreError::Unknown { id: *id })
    }
}

impl Store for Memory {
    fn put(&mut self, drafts: &[Draft]) -> Result<Vec<Id>, StoreError> {
        let mut next = self.clone();
        let mut ids = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let node = draft.node();
            kept(&node)?;
            if let Some(parent) = &node.parent {
                next.find(parent)?;
            }
            ids.push(node.id);
            if next.find(&node.id).is_ok() {
                continue;
            }
            for (info, part) in node.parts.iter().zip(&draft.parts) {
                next.bytes.insert(info.digest, part.bytes.clone());
            }
            next.nodes.push(node);
        }
        *self = next;
        Ok(ids)
    }

    fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        Ok(self.nodes.clone())
    }

    fn part(&self, id: &Id, name: &str) -> Result<Vec<u8>, StoreError> {
        let node = self.find(id)?;
        let part = node.parts.iter().find(|p| p.name == name);
        let part = part.ok_or_else(|| StoreError::NoPart { id: *id, name: name.to_owned() })?;
        let bytes = self.bytes.get(&part.digest);
        bytes.cloned().ok_or_else(|| StoreError::Corrupt { why: format!("{} is missing", part.digest) })
    }

    fn remove(&mut self, ids: &[Id]) -> Result<(), StoreError> {
        ids.iter().try_for_each(|id| self.find(id).map(|_| ()))?;
        let stays = |n: &&Node| !ids.contains(&n.id);
        if let Some((branch, id)) =
            self.nodes.iter().filter(stays).find_map(|n| Some((n.id, n.parent.filter(|p| ids.contains(p))?)))
        {
            return Err(StoreError::HasBranches { id, branch });
        }
        self.nodes.retain(|n| !ids.contains(&n.id));
        Ok(())
    }

    fn sweep(&mut self) -> Result<Swept, StoreError> {
        let before = self.usage()?.disk;
        let needed: BTreeSet<Id> = self.nodes.iter().flat_map(|n| &n.parts).map(|p| p.digest).collect();
        let pieces = self.bytes.len();
        self.bytes.retain(|id, _| needed.contains(id));
        Ok(Swept { pieces: (pieces - self.bytes.len()) as u64, before, after: self.usage()?.disk })
    }

    fn usage(&self) -> Result<Usage, StoreError> {
        let disk = self.bytes.values().map(|b| b.len() as u64).sum();
        let whole = self.nodes.iter().flat_map(|n| &n.parts).map(|p| p.len).sum();
        Ok(Usage { nodes: self.nodes.len() as u64, whole, kept: disk, disk })
    }

    fn note(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.notes.get(name).cloned())
    }

    fn set_note(&mut self, name: &str, bytes: Option<&[u8]>) -> Result<(), StoreError> {
        match bytes {
            Some(bytes) => self.notes.insert(name.to_owned(), bytes.to_owned()),
            None => self.notes.remove(name),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_store() {
        super::super::conformance::check(&mut || Box::new(Memory::new()));
    }
}
