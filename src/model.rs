//! From a model's file to a program that can be run: the compiler with the world behind it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use twinml_compiler::driver::Session;
use twinml_compiler::flatten::{DataError, DataLoader, DataRequest};
use twinml_compiler::parser::MAX_TEXT;
use twinml_compiler::resolve::{LoadError, Loaded, Loader};
use twinml_compiler::units::{Units, heading};
use twinml_engine::csvw;
use twinml_engine::data::{self, ColumnInfo, Frame};
use twinml_engine::provenance::{Digest, Part};
use twinml_engine::snapshot::{self, Origin};
use twinml_model::dimension::Dimension;

use crate::world;

/// Why a model's own file gave no text.
#[derive(Debug)]
pub enum Unread {
    /// The system refused.
    Io(io::Error),
    /// The byte at this offset is not UTF-8.
    NotText(usize),
}

/// The file name that stands for standard input.
pub const STDIN: &str = "-";

/// The text of a model's file, or what standard input gives for `-`. Of a text that is too long, no more than shows the parser that it is.
///
/// # Errors
///
/// [`Unread`].
pub fn text(place: &Place, path: &Path) -> Result<String, Unread> {
    let bytes = match place {
        Place::Disk if path == Path::new(STDIN) => world::stdin_up_to(MAX_TEXT as u64),
        _ => place.read_up_to(path, MAX_TEXT as u64),
    };
    let mut bytes = bytes.map_err(Unread::Io)?;
    if bytes.len() > MAX_TEXT {
        // The cut may have split a character: the parser refuses the text for its length, which blanks keep.
        while bytes.last().is_some_and(|b| !b.is_ascii()) {
            bytes.pop();
        }
        bytes.resize(MAX_TEXT + 1, b' ');
    }
    String::from_utf8(bytes).map_err(|e| Unread::NotText(e.utf8_error().valid_up_to()))
}

/// Where the files of a model are.
#[derive(Clone, Debug, Default)]
pub enum Place {
    /// On disk.
    #[default]
    Disk,
    /// In a snapshot.
    Snapshot(Arc<snapshot::Model>),
}

impl Place {
    fn held(&self, path: &Path) -> Option<io::Result<&[u8]>> {
        let Place::Snapshot(model) = self else { return None };
        let name = slashed(path);
        let file = model.files.iter().find(|f| f.path == name && f.origin != Origin::Library);
        Some(
            file.map(|f| &f.bytes[..])
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the snapshot holds no such file")),
        )
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.held(path).map_or_else(|| world::read(path), |bytes| bytes.map(<[u8]>::to_vec))
    }

    fn read_up_to(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let first = |bytes: &[u8]| bytes.iter().copied().take(most as usize + 1).collect();
        self.held(path).map_or_else(|| world::read_up_to(path, most), |bytes| bytes.map(first))
    }
}

/// A path with `/` between folders.
fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|p| p.to_string_lossy()).collect();
    parts.join("/").replacen("//", "/", 1)
}

/// A path as seen from a folder, as far as one leads to the other.
fn seen_from(folder: &Path, path: &Path) -> String {
    if path.is_absolute() != folder.is_absolute() {
        return slashed(path);
    }
    let (mut a, mut b) = (folder.components().peekable(), path.components().peekable());
    while a.peek().is_some() && a.peek() == b.peek() {
        a.next();
        b.next();
    }
    let up = a.map(|_| Path::new("..").to_owned());
    slashed(&up.chain(b.map(|c| PathBuf::from(c.as_os_str()))).collect::<PathBuf>())
}

/// Parses and checks the model in a file.
///
/// # Errors
///
/// [`Unread`] where the file itself has no text; everything else is in the session's diagnostics.
pub fn open(place: &Place, path: &Path) -> Result<Session, Unread> {
    let text = text(place, path)?;
    Ok(Session::check(&world::shown(path), &text, &Files(place)))
}

/// Model files; what a `use` names is found beside the file that names it.
struct Files<'p>(&'p Place);

impl Loader for Files<'_> {
    fn load(&self, from: &str, path: &str) -> Result<Loaded, LoadError> {
        let path = beside(from, path);
        let text = text(self.0, &path).map_err(|e| match e {
            Unread::Io(e) if e.kind() == io::ErrorKind::NotFound => LoadError::NotFound,
            Unread::Io(e) => LoadError::Unreadable(e.to_string()),
            Unread::NotText(at) => LoadError::NotText(at),
        })?;
        Ok(Loaded { name: world::shown(&path), text })
    }
}

/// `path` seen from the folder of the file `from`, without `.` and needless `..`, so that one file has one name.
fn beside(from: &str, path: &str) -> PathBuf {
    let mut out = Path::new(from).parent().map(Path::to_owned).unwrap_or_default();
    for part in Path::new(path).components() {
        use std::path::Component as C;
        match part {
            C::CurDir => {}
            C::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            C::RootDir | C::Prefix(_) => out = PathBuf::from(part.as_os_str()),
            part => out.push(part),
        }
    }
    out
}

/// Data files on disk, each read once.
pub struct Data {
    /// The source files' names by number: data files are found beside them.
    names: Vec<String>,
    frames: RefCell<BTreeMap<PathBuf, Result<Rc<Frame>, DataError>>>,
    hashes: RefCell<BTreeMap<String, (u64, [u8; 32])>>,
    place: Place,
    /// The bytes of each file, where they are to be kept.
    kept: Option<RefCell<BTreeMap<PathBuf, Vec<u8>>>>,
}

impl Data {
    /// For the files of a session.
    pub fn of(session: &Session) -> Data {
        let names = session.sources.files().map(|(_, f)| f.name.to_string()).collect();
        let (frames, hashes) = Default::default();
        Data { names, frames, hashes, place: Place::Disk, kept: None }
    }

    /// The same from another place; `keep`: the bytes are wanted, too.
    pub fn at(session: &Session, place: &Place, keep: bool) -> Data {
        Data { place: place.clone(), kept: keep.then(RefCell::default), ..Data::of(session) }
    }

    /// Notes what a file is made of.
    fn note(&self, path: &Path, named: &str, bytes: &[u8]) {
        let digest = Sha256::digest(bytes).into();
        self.hashes.borrow_mut().insert(named.to_owned(), (bytes.len() as u64, digest));
        if let Some(kept) = &self.kept {
            kept.borrow_mut().insert(path.to_owned(), bytes.to_vec());
        }
    }

    fn frame(&self, path: &Path, named: &str) -> Result<Rc<Frame>, DataError> {
        if let Some(known) = self.frames.borrow().get(path) {
            return known.clone();
        }
        let read = || {
            let bytes = self.place.read(path).map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => DataError::NotFound,
                _ => DataError::Unreadable(e.to_string()),
            })?;
            self.note(path, named, &bytes);
            let unreadable = |e: data::DataError| DataError::Unreadable(e.to_string());
            let frame = Frame::from_bytes(&world::shown(path), bytes).map_err(unreadable)?;
            // what a file beside it says of its columns, such as their units
            let Some(beside) = csvw::beside(path) else { return Ok(Rc::new(frame)) };
            let name = world::shown(&beside);
            match self.place.read_up_to(&beside, csvw::LONGEST) {
                Ok(bytes) => {
                    self.note(&beside, &format!("{named}-metadata.json"), &bytes);
                    frame.described(&name, &bytes).map(Rc::new).map_err(unreadable)
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Rc::new(frame)),
                Err(e) => Err(DataError::Unreadable(format!("{name}: {e}"))),
            }
        };
        let frame = read();
        self.frames.borrow_mut().insert(path.to_owned(), frame.clone());
        frame
    }
}

impl DataLoader for Data {
    fn column(&mut self, request: DataRequest<'_>) -> Result<Vec<f64>, DataError> {
        let from = self.names.get(request.from.0 as usize).map_or("", String::as_str);
        let frame = self.frame(&beside(from, request.file), request.file)?;
        let column = find_column(&frame, request.column).map_or(request.column, |c| &*c.name);
        frame.numbers(column).map(|n| n.values).map_err(|e| match e {
            data::DataError::NoColumn { columns, .. } => DataError::NoColumn { available: columns },
            e => DataError::Unreadable(e.to_string()),
        })
    }

    fn unit(&mut self, request: DataRequest<'_>) -> Option<String> {
        let from = self.names.get(request.from.0 as usize).map_or("", String::as_str);
        let frame = self.frame(&beside(from, request.file), request.file).ok()?;
        let column = find_column(&frame, request.column)?;
        column.unit.clone().or_else(|| heading(&column.name).1.map(str::to_owned))
    }
}

/// The column of that name, else the one whose heading is that name and a unit: `h [cm]`.
fn find_column<'a>(frame: &'a Frame, name: &str) -> Option<&'a ColumnInfo> {
    let all = frame.columns();
    all.iter().find(|c| c.name == name).or_else(|| all.iter().find(|c| heading(&c.name).0 == name))
}

/// The hash of a model: of the texts of all its source files in the order of their use, and of every data file that
/// it names, by name. Where the files lie does not matter.
pub fn hash(session: &Session, data: &Data) -> String {
    snapshot::hex(&digest(session, data))
}

/// All that a snapshot holds of a model: the texts, the data that was read (where it was kept), and the hashes.
pub fn bundle(session: &Session, data: &Data, program: [u8; 32], compiler: String) -> snapshot::Model {
    let mut files = Vec::new();
    let root = session.sources.get(session.root).map_or("", |f| &*f.name);
    let folder = Path::new(root).parent().map(Path::to_owned).unwrap_or_default();
    for (_, file) in session.sources.files().take(data.names.len()) {
        let library = twinml_stdlib::module(&file.name).is_some();
        let path = if library { file.name.to_string() } else { seen_from(&folder, Path::new(&*file.name)) };
        let origin = if library { Origin::Library } else { Origin::Source };
        files.push(snapshot::File { path, origin, bytes: file.text.as_bytes().to_vec() });
    }
    for (path, bytes) in data.kept.iter().flat_map(|k| k.borrow().clone()) {
        files.push(snapshot::File { path: seen_from(&folder, &path), origin: Origin::Data, bytes });
    }
    snapshot::Model { compiler, hash: digest(session, data), program, files }
}

fn digest(session: &Session, data: &Data) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"twinml model 1\n");
    for (_, file) in session.sources.files().take(data.names.len()) {
        hash.update((file.text.len() as u64).to_le_bytes());
        hash.update(file.text.as_bytes());
    }
    for (name, (_, digest)) in data.hashes.borrow().iter() {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        hash.update(digest);
    }
    hash.finalize().into()
}

/// What a model was made of, by hash: the texts of all its source files in the order of their use, by name, and the data
/// files that it names.
pub fn inputs(session: &Session, data: &Data) -> Vec<Part> {
    let sources = session.sources.files().take(data.names.len());
    // Where the files lie does not matter.
    let root = data.names.first().and_then(|name| Path::new(name).parent()).unwrap_or(Path::new(""));
    let sources = sources.map(|(_, f)| {
        let name = Path::new(&*f.name).strip_prefix(root).map_or_else(|_| f.name.to_string(), world::shown);
        Part::of(name, "source", f.text.as_bytes())
    });
    let hashes = data.hashes.borrow();
    let data = hashes.iter().map(|(name, (length, digest))| Part {
        name: name.clone(),
        role: "data".to_owned(),
        length: *length,
        sha256: Digest(*digest),
    });
    sources.chain(data).collect()
}

/// A duration as the command line takes it: `2h`, `90 min`, `1.5 days`, `20ms`; a bare number is in seconds.
///
/// # Errors
///
/// What is wrong, for a message.
pub fn duration(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let number =
        text.bytes().take_while(|b| b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'+' | b'-')).count();
    // An exponent belongs to the number where digits follow it: `1e3 s`, but not the `e` of a unit.
    let mut end = number;
    let rest = &text.as_bytes()[number..];
    if rest.first().is_some_and(|b| matches!(b, b'e' | b'E')) {
        let sign = usize::from(rest.get(1).is_some_and(|b| matches!(b, b'+' | b'-')));
        let digits = rest[1 + sign..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits > 0 {
            end = number + 1 + sign + digits;
        }
    }
    let (value, unit) = (text[..end].replace('_', ""), text[end..].trim());
    let Ok(value) = value.parse::<f64>() else {
        return Err(format!("`{text}` is no duration, such as `2h`"));
    };
    if unit.contains(|c: char| c.is_ascii_digit()) {
        return Err(format!("`{text}` is no duration: give one number and one unit, as in `1.5h`"));
    }
    let seconds = if unit.is_empty() {
        value
    } else {
        match Units::new().lookup(unit) {
            Some((dimension, scale)) if dimension == Dimension::TIME => scale.to_si(value),
            Some(_) => return Err(format!("`{unit}` is no unit of time")),
            None => return Err(format!("there is no unit `{unit}`")),
        }
    };
    if seconds > 0.0 && seconds.is_finite() {
        Ok(seconds)
    } else {
        Err(format!("`{text}` is not a positive duration"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("2h", 7200.0),
            ("90 min", 5400.0),
            ("1.5 days", 129_600.0),
            ("20ms", 0.02),
            ("10", 10.0),
            ("1e3", 1000.0),
            ("1e3 s", 1000.0),
            ("4e10", 4e10),
            ("1_000 s", 1000.0),
        ] {
            assert_eq!(duration(text), Ok(seconds), "{text}");
        }
        for text in ["", "h", "2 m", "2 parsecs", "-1 s", "0", "nan", "2 h 3 min"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn files_of_a_snapshot_are_seen_from_the_models_folder() {
        let from = |folder: &str, path: &str| seen_from(Path::new(folder), Path::new(path));
        assert_eq!(from("", "tank.twinml"), "tank.twinml");
        assert_eq!(from("x/y", "x/y/data/d.csv"), "data/d.csv");
        assert_eq!(from("x/y", "x/lib/pump.twinml"), "../lib/pump.twinml");
        assert_eq!(from("/a/b", "/a/b/d.csv"), "d.csv");
        assert_eq!(from("x", "/d.csv"), "/d.csv");
    }

    #[test]
    fn files_are_found_beside_the_file_that_names_them() {
        assert_eq!(beside("a.twinml", "d.csv"), Path::new("d.csv"));
        assert_eq!(beside("x/a.twinml", "./d.csv"), Path::new("x/d.csv"));
        assert_eq!(beside("x/y/a.twinml", "../d.csv"), Path::new("x/d.csv"));
        assert_eq!(beside("a.twinml", "../d.csv"), Path::new("../d.csv"));
        assert_eq!(beside("x/a.twinml", "/d.csv"), Path::new("/d.csv"));
    }
}
