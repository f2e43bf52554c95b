//! The store of timelines in one file, by default `.twinml/timeline.redb` in the project's folder.
//!
//! The file is a database of redb: copy-on-write B-trees whose commits are atomic and survive the process. In it:
//!
//! | table | key | value |
//! |---|---|---|
//! | `about` | text | `version` (u32), notes (`note.NAME`) |
//! | `segments` | u64 | bytes, cut so that they fill pages: what a transaction writes is one stream over one or several |
//! | `pieces` | SHA-256 of a piece | where it lies in the stream: segment, offset, bytes |
//! | `blocks` | u64, in order | where a block of records lies, in the same way |
//!
//! A record is a node with how its parts are kept: whole, or as a [`patch`](twinml_engine::timeline::patch) of the same
//! part of its parent; the bytes of either stand in the record where they are few, else as
//! [`pieces`](twinml_engine::timeline::chunk) that nodes share. A node's name is its SHA-256 and is computed again when
//! records are read; a piece is held against its own. Everything that is written goes through one function
//! ([`Codec`](codec::Codec)), which compresses and, given a cipher, seals.
//!
//! What is not there whole is not there: nothing is reachable before its transaction is committed and flushed. Bytes that
//! no node needs any more lie there until [`Store::sweep`], which writes the rest together anew.

mod codec;
mod guard;
mod record;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use twinml_engine::timeline::{
    Cipher, Draft, Id, Node, Store, StoreError, Swept, Usage, chunk, digest, kept, patch,
};

use codec::Codec;
use guard::{Held, failed, guarded};
use record::{Body, Content, Record};
use stream::{Place, Stream};

const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
const SEGMENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("segments");
const PIECES: TableDefinition<'_, [u8; 32], (u64, u32, u32)> = TableDefinition::new("pieces");
const BLOCKS: TableDefinition<'_, u64, (u64, u32, u32)> = TableDefinition::new("blocks");

/// The version that is written.
pub const VERSION: u32 = 1;
/// Where the store of a project is, from its folder.
pub const FILE: &str = ".twinml/timeline.redb";

/// Bytes that stand in the record itself.
const INLINE: usize = 2048;
/// Pieces that are listed in the record itself.
const LISTED: usize = 4;
/// Patches on patches, after which a part is kept whole again.
const DEEPEST: u8 = 16;
/// Records of a block.
const BLOCK: usize = 64;
/// How long another process is waited for.
const PATIENCE: (u32, Duration) = (500, Duration::from_millis(20));
/// Memory that the database may keep pages in, in bytes.
const CACHE: usize = 64 << 20;

/// The store in one file.
pub struct Embedded {
    db: Held,
    path: PathBuf,
    codec: Codec,
    /// The records, once they are read, with the block that each is in.
    records: Option<Records>,
    /// The last part that was read: branches share one trunk.
    last: Mutex<Option<LastPart>>,
}

/// The node, the name and the bytes of a part.
type LastPart = (Id, String, Arc<Vec<u8>>);

/// The records of a store.
#[derive(Default)]
struct Records {
    /// In order, each with its block.
    list: Vec<(u64, Record)>,
    by_id: BTreeMap<Id, usize>,
    next_block: u64,
}

impl Records {
    fn find(&self, id: &Id) -> Option<&Record> {
        self.by_id.get(id).map(|&k| &self.list[k].1)
    }

    fn push(&mut self, block: u64, record: Record) {
        self.by_id.insert(record.node.id, self.list.len());
        self.list.push((block, record));
        self.next_block = self.next_block.max(block + 1);
    }
}

impl Embedded {
    /// Opens the store in a file, or makes one there with the folders that it needs. An encrypted one reads nothing
    /// before [`Embedded::unlock`]; its notes are there at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] where another process keeps it open for ten seconds, [`StoreError::Corrupt`] and
    /// [`StoreError::Version`] of a file that is no store of this version; what the system says.
    pub fn open(path: &Path) -> Result<Embedded, StoreError> {
        if !path.exists() {
            make(path)?;
        }
        Embedded::existing(path)
    }

    /// As [`Embedded::open`], of a store that is there.
    ///
    /// # Errors
    ///
    /// As [`Embedded::open`]; [`StoreError::Outside`] where there is none.
    pub fn existing(path: &Path) -> Result<Embedded, StoreError> {
        let mut waited = 0;
        let db = loop {
            match guarded(|| Database::builder().set_cache_size(CACHE).open(path).map_err(failed)) {
                Err(StoreError::Busy) if waited < PATIENCE.0 => {
                    waited += 1;
                    std::thread::sleep(PATIENCE.1);
                }
                Err(StoreError::Outside { why }) => {
                    return Err(StoreError::Outside { why: format!("`{}`: {why}", path.display()) });
                }
                other => break other?,
            }
        };
        let db = Held::of(db);
        let found = guarded(|| {
            let reading = db.get()?.begin_read().map_err(failed)?;
            let about = reading.open_table(ABOUT).map_err(failed)?;
            let bytes = about.get("version").map_err(failed)?;
            let bytes = bytes.map(|b| b.value().to_vec()).and_then(|b| <[u8; 4]>::try_from(b).ok());
            bytes.map(u32::from_le_bytes).ok_or_else(|| corrupt("it does not say its version"))
        })?;
        if found != VERSION {
            return Err(StoreError::Version { found, known: VERSION });
        }
        let (codec, last) = (Codec::default(), Mutex::new(None));
        let mut store = Embedded { db, path: path.to_owned(), codec, records: None, last };
        if store.note(KEY)?.is_none() {
            store.load()?;
        }
        Ok(store)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Goes on with a cipher: that of the key which the note [`KEY`] has, wrapped. An empty store begins to be encrypted
    /// by a note and this.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] where the cipher does not open what is there.
    pub fn unlock(&mut self, cipher: Box<dyn Cipher>) -> Result<(), StoreError> {
        self.codec = Codec::sealing(cipher);
        let loaded = self.load();
        if loaded.is_err() {
            self.records = None;
        }
        loaded
    }

    /// Reads every part of every node; how many there are.
    ///
    /// # Errors
    ///
    /// The first that is not what was written.
    pub fn check(&self) -> Result<u64, StoreError> {
        let mut parts = 0;
        for (_, record) in &self.records()?.list {
            for info in &record.node.parts {
                self.part(&record.node.id, &info.name)?;
                parts += 1;
            }
        }
        Ok(parts)
    }

    fn records(&self) -> Result<&Records, StoreError> {
        self.records.as_ref().ok_or(StoreError::Locked)
    }

    fn load(&mut self) -> Result<(), StoreError> {
        let mut records = Records::default();
        let codec = &self.codec;
        guarded(|| {
            let reading = self.db.get()?.begin_read().map_err(failed)?;
            let segments = reading.open_table(SEGMENTS).map_err(failed)?;
            let blocks = reading.open_table(BLOCKS).map_err(failed)?;
            for entry in blocks.iter().map_err(failed)? {
                let (key, place) = entry.map_err(failed)?;
                let key = key.value();
                let stored = stream::read(&segments, place.value())?;
                let plain = codec.decode(&stored, &block_name(key))?;
                for record in record::read_block(&plain)? {
                    let parent = record.node.parent;
                    if parent.is_some_and(|p| !records.by_id.contains_key(&p)) {
                        return Err(corrupt("a node stands before what it grew from"));
                    }
                    records.push(key, record);
                }
                records.next_block = records.next_block.max(key + 1);
            }
            Ok(())
        })?;
        self.records = Some(records);
        self.forget();
        Ok(())
    }

    fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The bytes of a part, out of `fresh` where its pieces are being written.
    fn whole(&self, records: &Records, id: &Id, name: &str) -> Result<Arc<Vec<u8>>, StoreError> {
        if let Some((i, n, bytes)) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner)
            && i == id
            && n == name
        {
            return Ok(bytes.clone());
        }
        let bytes = guarded(|| {
            let reading = self.db.get()?.begin_read().map_err(failed)?;
            self.assemble(&Reading::of(&reading)?, records, id, name)
        })?;
        let bytes = Arc::new(bytes);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((*id, name.to_owned(), bytes.clone()));
        Ok(bytes)
    }

    fn assemble(
        &self,
        reading: &Reading,
        records: &Records,
        id: &Id,
        name: &str,
    ) -> Result<Vec<u8>, StoreError> {
        // From the part itself back to one that is whole; then the patches on it.
        let mut patches = Vec::new();
        let mut at = *id;
        let (info, mut bytes) = loop {
            let record = records.find(&at).ok_or(StoreError::Unknown { id: at })?;
            let place = record.node.parts.iter().position(|p| p.name == name);
            let place = place.ok_or_else(|| StoreError::NoPart { id: at, name: name.to_owned() })?;
            let content = &record.contents[place];
            let body = self.body(reading, &content.body)?;
            if content.depth == 0 {
                break (&record.node.parts[place], body);
            }
            patches.push((&record.node.parts[place], body));
            at = record.node.parent.ok_or_else(|| corrupt("a patch has nothing under it"))?;
            if patches.len() > usize::from(DEEPEST) {
                return Err(corrupt("patches do not end"));
            }
        };
        let mut wanted = info;
        for (info, changes) in patches.iter().rev() {
            wanted = info;
            patch::apply(&mut bytes, changes).map_err(|e| corrupt(format!("a patch does not fit: {e}")))?;
        }
        if digest(&bytes) != wanted.digest {
            return Err(corrupt(format!("the part `{name}` of {id} is not what was kept")));
        }
        Ok(bytes)
    }

    fn body(&self, reading: &Reading, body: &Body) -> Result<Vec<u8>, StoreError> {
        let list;
        let pieces = match body {
            Body::Inline(bytes) => return Ok(bytes.clone()),
            Body::Pieces(pieces) => pieces,
            Body::List(of) => {
                list = record::read_list(&self.piece(reading, of)?)?;
                &list
            }
        };
        let mut out = Vec::new();
        for id in pieces {
            out.extend_from_slice(&self.piece(reading, id)?);
        }
        Ok(out)
    }

    fn piece(&self, reading: &Reading, id: &Id) -> Result<Vec<u8>, StoreError> {
        let place = reading.pieces.get(id.0).map_err(failed)?;
        let place = place.ok_or_else(|| corrupt(format!("the piece {id} is missing")))?.value();
        let plain = self.codec.decode(&stream::read(&reading.segments, place)?, &id.0)?;
        if digest(&plain) != *id {
            return Err(corrupt(format!("the piece {id} is not what was kept")));
        }
        Ok(plain)
    }

    /// The nodes of drafts, those among them that are not there yet as records, and the stream with their pieces.
    fn prepare(
        &self,
        records: &Records,
        drafts: &[Draft],
        mut out: Writing<'_>,
    ) -> Result<(Vec<Id>, Records, Stream), StoreError> {
        let mut fresh = Records::default();
        let mut earlier: BTreeMap<Id, &Draft> = BTreeMap::new();
        let mut ids = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let node = draft.node();
            kept(&node)?;
            let id = node.id;
            ids.push(id);
            if records.find(&id).is_some() || fresh.find(&id).is_some() {
                continue;
            }
            let of = match node.parent {
                Some(parent) if earlier.contains_key(&parent) => &fresh,
                Some(parent) if records.find(&parent).is_none() => {
                    return Err(StoreError::Unknown { id: parent });
                }
                _ => records,
            };
            let contents = (0..draft.parts.len())
                .map(|k| self.content(of, draft, k, &earlier, &mut out))
                .collect::<Result<_, _>>()?;
            fresh.push(0, Record { node, contents });
            earlier.insert(id, draft);
        }
        Ok((ids, fresh, out.stream))
    }

    /// How a part is kept: pieces that are not there yet go to `out`.
    fn content(
        &self,
        records: &Records,
        draft: &Draft,
        place: usize,
        earlier: &BTreeMap<Id, &Draft>,
        out: &mut Writing<'_>,
    ) -> Result<Content, StoreError> {
        let part = &draft.parts[place];
        if let Some(parent) = &draft.parent
            && let Some(below) = records.find(parent)
            && let Some(k) = below.node.parts.iter().position(|p| p.name == part.name)
            && below.node.parts[k].len == part.bytes.len() as u64
            && below.contents[k].depth < DEEPEST
        {
            let depth = below.contents[k].depth + 1;
            // Where most is new, pieces are as good and need nothing under them.
            let most = (part.bytes.len() / 4 * 3).max(8);
            let changes = match earlier.get(parent) {
                Some(draft) => patch::between(&draft.parts[k].bytes, &part.bytes, most),
                None => patch::between(&self.whole(records, parent, &part.name)?, &part.bytes, most),
            };
            if let Some(changes) = changes {
                return Ok(Content { depth, body: self.keep(&changes, out)? });
            }
        }
        Ok(Content { depth: 0, body: self.keep(&part.bytes, out)? })
    }

    fn keep(&self, bytes: &[u8], out: &mut Writing<'_>) -> Result<Body, StoreError> {
        if bytes.len() <= INLINE {
            return Ok(Body::Inline(bytes.to_vec()));
        }
        let mut pieces = Vec::new();
        for piece in chunk::pieces(bytes) {
            pieces.push(self.keep_piece(piece, out)?);
        }
        if pieces.len() <= LISTED {
            return Ok(Body::Pieces(pieces));
        }
        Ok(Body::List(self.keep_piece(&record::list(&pieces), out)?))
    }

    fn keep_piece(&self, piece: &[u8], out: &mut Writing<'_>) -> Result<Id, StoreError> {
        let id = digest(piece);
        if out.pieces.get(id.0).map_err(failed)?.is_none() {
            let place = out.stream.push(&self.codec.encode(piece, &id.0)?)?;
            out.pieces.insert(id.0, place).map_err(failed)?;
        }
        Ok(id)
    }

    /// Writes records as blocks from `first` on; each record's block.
    fn write_blocks(
        &self,
        records: &[&Record],
        first: u64,
        writing: &WriteTransaction,
        stream: &mut Stream,
    ) -> Result<Vec<u64>, StoreError> {
        let mut blocks = writing.open_table(BLOCKS).map_err(failed)?;
        let mut of = Vec::with_capacity(records.len());
        for (k, block) in records.chunks(BLOCK).enumerate() {
            let key = first + k as u64;
            let place = stream.push(&self.codec.encode(&record::block(block), &block_name(key))?)?;
            blocks.insert(key, place).map_err(failed)?;
            of.extend(std::iter::repeat_n(key, block.len()));
        }
        Ok(of)
    }

    fn disk(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |m| m.len())
    }
}

/// The note that an encrypted store has: its key, wrapped.
pub const KEY: &str = "key";

fn corrupt(why: impl Into<String>) -> StoreError {
    StoreError::Corrupt { why: why.into() }
}

fn outside(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Outside { why: format!("`{}`: {error}", path.display()) }
}

/// What a block is sealed about: blocks cannot be exchanged.
fn block_name(key: u64) -> Vec<u8> {
    format!("block {key}").into_bytes()
}

/// Makes an empty store beside its place and moves it there: no half-made one is ever found.
fn make(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| outside(folder, &e))?;
    let fresh = tempfile::Builder::new().prefix(".timeline-").tempfile_in(folder);
    let fresh = fresh.map_err(|e| outside(folder, &e))?.into_temp_path();
    guarded(|| {
        let db = Database::create(&fresh).map_err(failed)?;
        let writing = db.begin_write().map_err(failed)?;
        let mut about = writing.open_table(ABOUT).map_err(failed)?;
        about.insert("version", VERSION.to_le_bytes().as_slice()).map_err(failed)?;
        drop(about);
        writing.open_table(SEGMENTS).map_err(failed)?;
        writing.open_table(PIECES).map_err(failed)?;
        writing.open_table(BLOCKS).map_err(failed)?;
        writing.commit().map_err(failed)
    })?;
    match fresh.persist_noclobber(path) {
        Ok(()) => Ok(()),
        // Somebody was faster: theirs is as good.
        Err(_) if path.exists() => Ok(()),
        Err(e) => Err(outside(path, &e.error)),
    }
}

/// What reading needs.
struct Reading {
    segments: redb::ReadOnlyTable<u64, &'static [u8]>,
    pieces: redb::ReadOnlyTable<[u8; 32], (u64, u32, u32)>,
}

impl Reading {
    fn of(reading: &ReadTransaction) -> Result<Reading, StoreError> {
        let segments = reading.open_table(SEGMENTS).map_err(failed)?;
        Ok(Reading { segments, pieces: reading.open_table(PIECES).map_err(failed)? })
    }
}

/// What writing needs.
struct Writing<'a> {
    pieces: redb::Table<'a, [u8; 32], Place>,
    stream: Stream,
}

impl Store for Embedded {
    fn put(&mut self, drafts: &[Draft]) -> Result<Vec<Id>, StoreError> {
        let records = self.records()?;
        let this = &*self;
        let (ids, fresh) = guarded(|| {
            let writing = this.db.get()?.begin_write().map_err(failed)?;
            let stream = Stream::after(&writing.open_table(SEGMENTS).map_err(failed)?)?;
            let pieces = writing.open_table(PIECES).map_err(failed)?;
            let (ids, mut fresh, mut stream) = this.prepare(records, drafts, Writing { pieces, stream })?;
            if fresh.list.is_empty() {
                return Ok((ids, fresh));
            }
            let list: Vec<&Record> = fresh.list.iter().map(|(_, r)| r).collect();
            let of = this.write_blocks(&list, records.next_block, &writing, &mut stream)?;
            stream.finish(&mut writing.open_table(SEGMENTS).map_err(failed)?)?;
            writing.commit().map_err(failed)?;
            fresh.list.iter_mut().zip(of).for_each(|(entry, block)| entry.0 = block);
            Ok((ids, fresh))
        })?;
        if let Some(records) = &mut self.records {
            fresh.list.into_iter().for_each(|(block, record)| records.push(block, record));
        }
        Ok(ids)
    }

    fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        Ok(self.records()?.list.iter().map(|(_, r)| r.node.clone()).collect())
    }

    fn part(&self, id: &Id, name: &str) -> Result<Vec<u8>, StoreError> {
        self.whole(self.records()?, id, name).map(|bytes| (*bytes).clone())
    }

    fn remove(&mut self, ids: &[Id]) -> Result<(), StoreError> {
        let records = self.records()?;
        let ids: BTreeSet<Id> = ids.iter().copied().collect();
        if let Some(id) = ids.iter().find(|id| records.find(id).is_none()) {
            return Err(StoreError::Unknown { id: *id });
        }
        let stays = |r: &Record| !ids.contains(&r.node.id);
        for (_, record) in records.list.iter().filter(|(_, r)| stays(r)) {
            if let Some(id) = record.node.parent.filter(|p| ids.contains(p)) {
                return Err(StoreError::HasBranches { id, branch: record.node.id });
            }
        }
        let touched: BTreeSet<u64> =
            records.list.iter().filter(|(_, r)| !stays(r)).map(|(b, _)| *b).collect();
        let this = &*self;
        guarded(|| {
            let writing = this.db.get()?.begin_write().map_err(failed)?;
            let mut stream = Stream::after(&writing.open_table(SEGMENTS).map_err(failed)?)?;
            for key in &touched {
                let rest = records.list.iter().filter(|(b, r)| b == key && stays(r));
                let rest: Vec<&Record> = rest.map(|(_, r)| r).collect();
                if rest.is_empty() {
                    writing.open_table(BLOCKS).map_err(failed)?.remove(key).map_err(failed)?;
                } else {
                    this.write_blocks(&rest, *key, &writing, &mut stream)?;
                }
            }
            stream.finish(&mut writing.open_table(SEGMENTS).map_err(failed)?)?;
            writing.commit().map_err(failed)
        })?;
        self.load()
    }

    fn sweep(&mut self) -> Result<Swept, StoreError> {
        let before = self.disk();
        let records = self.records()?;
        let this = &*self;
        let pieces = guarded(|| {
            let reading = this.db.get()?.begin_read().map_err(failed)?;
            let old = Reading::of(&reading)?;
            let mut needed: BTreeSet<Id> = BTreeSet::new();
            for content in records.list.iter().flat_map(|(_, r)| &r.contents) {
                match &content.body {
                    Body::Inline(_) => {}
                    Body::Pieces(pieces) => needed.extend(pieces),
                    Body::List(of) => {
                        needed.insert(*of);
                        needed.extend(record::read_list(&this.piece(&old, of)?)?);
                    }
                }
            }
            let writing = this.db.get()?.begin_write().map_err(failed)?;
            let mut segments = writing.open_table(SEGMENTS).map_err(failed)?;
            let mut stream = Stream::after(&segments)?;
            let first = stream.first();
            let mut pieces = writing.open_table(PIECES).map_err(failed)?;
            let mut gone = 0;
            pieces
                .retain(|id, _| {
                    let stays = needed.contains(&Id(id));
                    gone += u64::from(!stays);
                    stays
                })
                .map_err(failed)?;
            // In the order in which they lie: what is read together stays together.
            let mut places: Vec<(Place, Id)> = Vec::with_capacity(needed.len());
            for id in needed {
                let place = old.pieces.get(id.0).map_err(failed)?;
                let place = place.ok_or_else(|| corrupt(format!("the piece {id} is missing")))?;
                places.push((place.value(), id));
            }
            places.sort_unstable();
            for (place, id) in places {
                let place = stream.push(&stream::read(&old.segments, place)?)?;
                pieces.insert(id.0, place).map_err(failed)?;
                // What is full can be written: memory holds no store.
                stream.flush(&mut segments)?;
            }
            drop(pieces);
            writing.open_table(BLOCKS).map_err(failed)?.retain(|_, _| false).map_err(failed)?;
            let list: Vec<&Record> = records.list.iter().map(|(_, r)| r).collect();
            this.write_blocks(&list, records.next_block, &writing, &mut stream)?;
            stream.finish(&mut segments)?;
            segments.retain(|key, _| key >= first).map_err(failed)?;
            drop(segments);
            writing.commit().map_err(failed)?;
            Ok(gone)
        })?;
        let db = &mut self.db;
        guarded(|| db.get_mut()?.compact().map(|_| ()).map_err(failed))?;
        self.load()?;
        Ok(Swept { pieces, before, after: self.disk() })
    }

    fn usage(&self) -> Result<Usage, StoreError> {
        let records = self.records()?;
        let kept = guarded(|| {
            let writing = self.db.get()?.begin_write().map_err(failed)?;
            let stats = writing.stats().map_err(failed)?;
            writing.abort().map_err(failed)?;
            Ok(stats.allocated_pages() * stats.page_size() as u64)
        })?;
        let whole = records.list.iter().flat_map(|(_, r)| &r.node.parts).map(|p| p.len).sum();
        Ok(Usage { nodes: records.list.len() as u64, whole, kept, disk: self.disk() })
    }

    fn note(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        guarded(|| {
            let reading = self.db.get()?.begin_read().map_err(failed)?;
            let about = reading.open_table(ABOUT).map_err(failed)?;
            let note = about.get(format!("note.{name}").as_str()).map_err(failed)?;
            Ok(note.map(|bytes| bytes.value().to_vec()))
        })
    }

    fn set_note(&mut self, name: &str, bytes: Option<&[u8]>) -> Result<(), StoreError> {
        guarded(|| {
            let writing = self.db.get()?.begin_write().map_err(failed)?;
            let mut about = writing.open_table(ABOUT).map_err(failed)?;
            let name = format!("note.{name}");
            match bytes {
                Some(bytes) => about.insert(name.as_str(), bytes).map(drop).map_err(failed)?,
                None => about.remove(name.as_str()).map(drop).map_err(failed)?,
            }
            drop(about);
            writing.commit().map_err(failed)
        })
    }
}
