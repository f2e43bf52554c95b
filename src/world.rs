//! The only place with files, the environment, the wall clock and signals.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Whether the environment asks for no colours (`NO_COLOR`, whatever its value, unless empty).
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
}

/// How runs side by side are to be computed (`TWINC_ISA`), where the environment says; empty is as good as nothing.
pub fn isa() -> Option<String> {
    std::env::var_os("TWINC_ISA").filter(|v| !v.is_empty()).map(|v| v.to_string_lossy().into_owned())
}

/// Processors that this program may use.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A variable of the environment.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where the user's keys are kept: `TWINML_KEYS`, else `twinml/keys` in `XDG_CONFIG_HOME` or `~/.config`.
pub fn keys() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    folder("TWINML_KEYS").or_else(|| {
        let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
        Some(config.join("twinml").join("keys"))
    })
}

/// Where the TPM is, where the environment says (`TWINML_TPM`).
pub fn tpm() -> Option<String> {
    variable("TWINML_TPM").filter(|v| !v.is_empty())
}

/// The key under which files are encrypted, where the environment names one (`TWINML_ENCRYPTION_KEY`).
pub fn encryption_key() -> Option<String> {
    variable("TWINML_ENCRYPTION_KEY").filter(|v| !v.is_empty())
}

/// A path that means the same from any folder; unchanged where the system does not say.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The folders in a folder, in the order of their names.
///
/// # Errors
///
/// What the system says.
pub fn folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            out.push(entry.path());
        }
    }
    out.sort();
    Ok(out)
}

/// Seconds since 1970 (UTC): for logs of operations, never for results.
pub fn seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// The files in a folder whose names end so, in the order of their names.
///
/// # Errors
///
/// What the system says.
pub fn files(path: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == extension) && path.is_file() {
            out.push(path);
        }
    }
    out.sort();
    Ok(out)
}

/// Measures how long something takes.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Set when the user asks the program to stop (Ctrl-C, SIGTERM).
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on. A second request ends the program at once; unfinished files then leave no trace under
    /// their names.
    pub fn listen() -> Interrupt {
        let flag = Interrupt::default();
        let set = flag.clone();
        // Without a handler (one is set already, or the system has none) Ctrl-C ends the program at once.
        let _ = ctrlc::set_handler(move || {
            if set.0.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(crate::exit::Exit::Interrupted.code()));
            }
        });
        flag
    }

    /// Whether the user has asked.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bytes read from what is no regular file and may never end: a pipe, a device.
const STREAM: u64 = 256 << 20;

/// The bytes of a file.
///
/// # Errors
///
/// What the system says; a pipe or a device gives more than 256 MiB.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.is_file() {
        return fs::read(path);
    }
    let bytes = read_up_to(path, STREAM)?;
    if bytes.len() as u64 > STREAM {
        return Err(io::Error::other("it is no regular file and gives more than 256 MiB"));
    }
    Ok(bytes)
}

/// The first bytes of a file: all of them, or `most` and one more.
///
/// # Errors
///
/// What the system says.
pub fn read_up_to(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The first bytes of standard input, as [`read_up_to`].
///
/// # Errors
///
/// What the system says.
pub fn stdin_up_to(most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The length of a file and the SHA-256 of its bytes, which are not kept.
///
/// # Errors
///
/// What the system says; it is no regular file.
pub fn digest(path: &Path) -> io::Result<(u64, [u8; 32])> {
    use sha2::{Digest as _, Sha256};
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let (mut file, mut hash, mut length) = (fs::File::open(path)?, Sha256::new(), 0);
    let mut block = vec![0; 256 << 10];
    loop {
        match file.read(&mut block)? {
            0 => return Ok((length, hash.finalize().into())),
            n => {
                hash.update(&block[..n]);
                length += n as u64;
            }
        }
    }
}

/// An open file.
///
/// # Errors
///
/// What the system says.
pub fn open(path: &Path) -> io::Result<fs::File> {
    fs::File::open(path)
}

/// Makes a file that is not there yet, with its folders.
///
/// # Errors
///
/// What the system says; the file exists already.
pub fn create_new(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

/// Whether a folder is absent or has nothing in it, as far as the system tells: what cannot be made is found out when it
/// is made.
pub fn is_free(folder: &Path) -> bool {
    match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !folder.exists(),
    }
}

/// A model's file, or the models (`*.twinml`) below a folder in the order of their paths; what begins with a dot,
/// `out` and `target` are left out, and links to folders are not followed.
///
/// # Errors
///
/// What the system says.
pub fn models(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let (mut found, mut folders) = (Vec::new(), vec![path.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || name == "out" || name == "target" {
                continue;
            }
            let at = if folder == Path::new(".") { PathBuf::from(entry.file_name()) } else { entry.path() };
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(at);
            } else if at.extension().is_some_and(|e| e == "twinml") {
                found.push(at);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// `path` as messages show it.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Where the results of a model go without `--out`: `out/` and the name of the model's file, `stdin` of standard input.
pub fn default_out(model: &Path) -> PathBuf {
    let stem = model.file_stem().unwrap_or(model.as_os_str());
    Path::new("out").join(if stem == crate::model::STDIN { "stdin".as_ref() } else { stem })
}
