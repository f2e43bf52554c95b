//! Keys at work: finding the one that is to sign, and signing what a command has written.

use std::path::{Path, PathBuf};

use std::collections::BTreeMap;

use twinml_engine::provenance::{self, Backing, Digest, Kind, Part, SignError, Signer, Subject, Trust};
use twinml_engine::record;
use twinml_engine::timeline::Id;
use twinml_providers::keyfile::{Folder, Kept, KeyError, KeyFile, Source};
use twinml_providers::operations;
use zeroize::Zeroizing;

use super::job::Ready;
use super::{doctor, summary, tpm};
use crate::args::keys::{Place, Signing, Vouching};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::world;

/// The name of the envelope beside a run's results.
pub const BUNDLE: &str = "bundle.sig";

/// The folder of the keys.
///
/// # Errors
///
/// Where nothing says where it is, that was said.
pub fn folder(place: &Place, ui: &Ui) -> Result<Folder, Exit> {
    let named = place.keys.clone().or_else(world::keys);
    named.map(|path| Folder::at(&path)).ok_or_else(|| {
        ui.error("nothing says where keys are kept", Some("give `--keys DIR`, or set TWINML_KEYS"));
        Exit::Usage
    })
}

/// The public keys in one's own folder of keys: those that count where no others are named.
///
/// # Errors
///
/// [`KeyError`] where the folder cannot be read.
pub fn own(place: &Place) -> Result<Trust, KeyError> {
    let mut trust = Trust::new();
    let own = place.keys.clone().or_else(world::keys);
    let own = own.map(|path| Folder::at(&path).list()).transpose()?;
    own.unwrap_or_default().into_iter().filter_map(|l| l.public).for_each(|key| trust.add(key));
    Ok(trust)
}

/// The passphrase that was asked for on the command line.
///
/// # Errors
///
/// What is wrong with it was said.
pub fn passphrase(source: Option<&str>, again: bool, ui: &Ui) -> Result<Option<Zeroizing<String>>, Exit> {
    let Some(source) = source else { return Ok(None) };
    // What was given is not repeated: it may be the passphrase itself.
    let Some(source) = Source::read(source) else {
        ui.error(
            "`--passphrase` says where a passphrase is, never what it is",
            Some("`env:NAME`, `file:PATH` or `prompt`"),
        );
        return Err(Exit::Usage);
    };
    source.passphrase(&world::variable, again).map(Some).map_err(|e| failed(&e, ui))
}

/// Says what is wrong with a key.
pub fn failed(e: &KeyError, ui: &Ui) -> Exit {
    ui.error(&e.to_string(), e.help().as_deref());
    match e {
        KeyError::Unknown { .. } | KeyError::Name(_) | KeyError::Exists(_) => Exit::Usage,
        _ => Exit::Outside,
    }
}

/// Says that signing failed.
pub fn unsigned(e: &SignError, ui: &Ui) -> Exit {
    ui.error(&e.to_string(), e.help.as_deref());
    Exit::Outside
}

/// The key that is to sign, where one is to.
///
/// # Errors
///
/// Why there is none was said.
pub fn signer(args: &Signing, ui: &Ui) -> Result<Option<Box<dyn Signer>>, Exit> {
    let Some(key) = &args.sign else { return Ok(None) };
    let path = Path::new(key);
    let named = if key.is_empty() {
        only(&folder(&args.place, ui)?, ui)?
    } else if path.components().count() > 1 || path.extension().is_some_and(|e| e == "key") {
        Kept::File(PathBuf::from(key))
    } else {
        folder(&args.place, ui)?.find(key).map_err(|e| failed(&e, ui))?.kept
    };
    let secret = passphrase(args.passphrase.as_deref(), false, ui)?;
    match named {
        Kept::File(path) => {
            let mut ask = || Ok(secret.clone());
            let key = KeyFile::read(&path, &mut ask).map_err(|e| failed(&e, ui))?;
            Ok(Some(Box::new(key)))
        }
        Kept::Tpm(path) => Ok(Some(Box::new(tpm::signer(&path, ui)?))),
        Kept::Encrypts(_) | Kept::Sealed(_) => {
            ui.error(&format!("the key `{key}` encrypts, it does not sign"), None);
            Err(Exit::Usage)
        }
        Kept::Elsewhere => {
            ui.error(
                &format!("of the key `{key}` only the public half is here"),
                Some("it can verify, not sign"),
            );
            Err(Exit::Usage)
        }
    }
}

/// The key that is meant where none is named: `default`, or the only one.
fn only(folder: &Folder, ui: &Ui) -> Result<Kept, Exit> {
    let mut all = folder.list().map_err(|e| failed(&e, ui))?;
    all.retain(|l| matches!(l.kept, Kept::File(_) | Kept::Tpm(_)));
    let names: Vec<String> = all.iter().map(|l| l.name.clone()).collect();
    let at = names.iter().position(|n| n == "default");
    match at.or_else(|| (all.len() == 1).then_some(0)) {
        Some(k) => Ok(all.swap_remove(k).kept),
        None if all.is_empty() => Err(failed(
            &KeyError::Unknown { name: "default".to_owned(), folder: folder.path().to_owned(), names },
            ui,
        )),
        None => {
            ui.error(
                "`--sign` does not say with which key",
                Some(&format!("there are: {}", names.join(", "))),
            );
            Err(Exit::Usage)
        }
    }
}

/// Where a key lives, for people, with what it cannot promise.
pub fn backing(backing: &Backing) -> String {
    match backing {
        Backing::File => "a file".to_owned(),
        Backing::Tpm { maker, software: false } => format!("a TPM by {maker}"),
        Backing::Tpm { maker, software: true } => {
            format!("a software TPM ({maker}), which whoever runs it can copy and set back")
        }
    }
}

/// What computes here, as far as bits may depend on it.
///
/// # Errors
///
/// `TWINC_ISA` names nothing: that was said.
pub fn machine(ui: &Ui) -> Result<BTreeMap<String, String>, Exit> {
    let facts = [
        ("architecture", std::env::consts::ARCH),
        ("isa", doctor::isa(ui)?.name()),
        ("os", std::env::consts::OS),
    ];
    Ok(facts.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
}

/// Signs the files that a run has written, and notes it: the envelope `path`, `bundle.sig` beside them.
///
/// # Errors
///
/// What failed was said.
pub fn bundle(
    ready: &Ready,
    time: f64,
    path: &Path,
    files: &[(PathBuf, &'static str)],
    signer: &mut dyn Signer,
    ui: &Ui,
) -> Result<(), Exit> {
    let root = envelope(ready, time, path, files, signer, ui)?;
    let details = [("file", world::shown(path)), ("root", root.to_string())];
    logged("run", &details, Some(signer), ui)
}

/// Takes away the envelope `path` of results that were written over by others that nobody signed, and says so: it would
/// vouch for what is not there any more.
pub fn outdated(path: &Path, ui: &Ui) {
    if std::fs::remove_file(path).is_ok() {
        ui.warn(&format!(
            "the results that were here were signed and these are not: {} was taken away (`--sign`)",
            world::shown(path)
        ));
    }
}

/// Signs files and gives the root of what was signed.
///
/// # Errors
///
/// What failed was said.
pub fn envelope(
    ready: &Ready,
    time: f64,
    path: &Path,
    files: &[(PathBuf, &'static str)],
    signer: &mut dyn Signer,
    ui: &Ui,
) -> Result<Id, Exit> {
    let subject = subject(ready, time, files, ui)?;
    let root = subject.root();
    let text = provenance::seal(subject, None, signer).map_err(|e| unsigned(&e, ui))?;
    record::file::write_atomic(path, text.as_bytes()).map_err(|e| {
        ui.error(&e.to_string(), None);
        Exit::Outside
    })?;
    Ok(Id(root.0))
}

/// What a manifest of a run's files would be over.
///
/// # Errors
///
/// What failed was said.
pub fn subject(
    ready: &Ready,
    time: f64,
    files: &[(PathBuf, &'static str)],
    ui: &Ui,
) -> Result<Subject, Exit> {
    let mut parts = Vec::with_capacity(files.len());
    for (path, role) in files {
        let (length, digest) = world::digest(path).map_err(|e| {
            ui.error(&format!("could not read {}: {e}", world::shown(path)), None);
            Exit::Outside
        })?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        parts.push(Part { name, role: (*role).to_owned(), length, sha256: Digest(digest) });
    }
    Ok(Subject {
        kind: Kind::Bundle,
        compiler: summary::compiler(),
        model: ready.program.name.clone(),
        // The hash was made from 32 bytes.
        model_hash: Digest::from_hex(&ready.hash).unwrap_or(Digest([0; 32])),
        scenario: ready.experiment.name.clone(),
        seed: ready.experiment.seed,
        time,
        machine: machine(ui)?,
        inputs: ready.inputs.clone(),
        parts,
        parent: None,
    })
}

/// The key that is to sign the record of an operation, where one is.
///
/// # Errors
///
/// Why there is none was said.
pub fn voucher(args: &Vouching, place: &Place, ui: &Ui) -> Result<Option<Box<dyn Signer>>, Exit> {
    let (sign, passphrase) = (args.sign.clone(), args.passphrase.clone());
    if sign.is_none() && passphrase.is_some() {
        ui.error("`--passphrase` unlocks the key that `--sign` names", Some("give both"));
        return Err(Exit::Usage);
    }
    signer(&Signing { sign, passphrase, place: place.clone() }, ui)
}

/// Whether the project has a log of operations.
pub fn keeps_log() -> bool {
    Path::new(operations::FILE).exists()
}

/// Notes an operation in the project's log; begins one where there is none.
///
/// # Errors
///
/// What failed was said.
pub fn logged(
    operation: &str,
    details: &[(&str, String)],
    signer: Option<&mut dyn Signer>,
    ui: &Ui,
) -> Result<(), Exit> {
    let details = details.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    let path = Path::new(operations::FILE);
    match operations::append(path, world::seconds(), operation, details, signer) {
        Ok(_) => Ok(()),
        Err(e) => {
            let help = matches!(e, operations::LogError::Altered { .. }).then(|| {
                format!("`twinc verify {}` says where; move it away to begin a new one", world::shown(path))
            });
            ui.error(&e.to_string(), help.as_deref());
            Err(Exit::Outside)
        }
    }
}
