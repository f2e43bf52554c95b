//! Encryption at rest: the key that a command is given, files that are encrypted, and `twinc keys rotate`.

use std::path::Path;

use serde::Serialize;
use twinml_engine::provenance::Signer;
use twinml_engine::record;
use twinml_providers::crypt::store::{StoreKeyError, rotate as rotate_store, wrapped_by};
use twinml_providers::crypt::{self, CryptError, HexKey, KeyWrap};
use twinml_providers::keyfile::{Kept, Source};
use twinml_providers::store::Embedded;

use super::sign::{failed, folder, logged, voucher};
use super::tpm;
use crate::args::keys::{Encryption, Place, Rotate};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::VERSION;
use crate::world;

/// The key that a text names: the name of a key, `file:PATH` or `env:NAME`.
///
/// # Errors
///
/// Why there is none was said.
pub fn key(text: &str, place: &Place, ui: &Ui) -> Result<HexKey, Exit> {
    let source = match Source::read(text) {
        Some(source) => source,
        None => {
            let found = folder(place, ui)?.find(text).map_err(|e| failed(&e, ui))?;
            match found.kept {
                Kept::Encrypts(path) => Source::File(path),
                Kept::Sealed(path) => return tpm::unseal(&path, ui),
                _ => {
                    ui.error(
                        &format!("the key `{text}` signs, it does not encrypt"),
                        Some("`twinc keys create NAME --algorithm aes-256` makes one that does"),
                    );
                    return Err(Exit::Usage);
                }
            }
        }
    };
    HexKey::read(&source, &world::variable).map_err(|e| refused(&e, ui))
}

/// The key that the command line or the environment names, where one does.
///
/// # Errors
///
/// What is wrong with it was said.
pub fn named(args: &Encryption, place: &Place, ui: &Ui) -> Result<Option<Box<dyn KeyWrap>>, Exit> {
    let text = args.encryption_key.clone().or_else(world::encryption_key);
    let found = text.map(|text| key(&text, place, ui)).transpose()?;
    Ok(found.map(|key| Box::new(key) as Box<dyn KeyWrap>))
}

fn refused(e: &CryptError, ui: &Ui) -> Exit {
    ui.error(&e.to_string(), e.help());
    match e {
        CryptError::Altered | CryptError::Form(_) => Exit::Mismatch,
        _ => Exit::Outside,
    }
}

/// The bytes of a file, decrypted where they are encrypted.
///
/// # Errors
///
/// What is wrong with them, or with the key, was said.
pub fn opened(
    bytes: Vec<u8>,
    path: &Path,
    args: &Encryption,
    place: &Place,
    ui: &Ui,
) -> Result<Vec<u8>, Exit> {
    if !crypt::is_sealed(&bytes) {
        return Ok(bytes);
    }
    let Some(mut key) = named(args, place, ui)? else {
        ui.error(
            &format!("{} is encrypted", world::shown(path)),
            Some("`--encryption-key KEY`, or set TWINML_ENCRYPTION_KEY"),
        );
        return Err(Exit::Outside);
    };
    crypt::open(&bytes, &mut *key).map_err(|e| {
        ui.error(&format!("{}: {e}", world::shown(path)), e.help());
        match e {
            CryptError::Altered | CryptError::Form(_) => Exit::Mismatch,
            _ => Exit::Outside,
        }
    })
}

/// Says why a store cannot be used with the key at hand.
pub fn store_failed(e: &StoreKeyError, ui: &Ui) -> Exit {
    ui.error(&e.to_string(), e.help().as_deref());
    match e {
        StoreKeyError::Crypt(CryptError::Altered | CryptError::Form(_)) => Exit::Mismatch,
        StoreKeyError::NotEncrypted => Exit::Usage,
        _ => Exit::Outside,
    }
}

/// What is under another key now.
#[derive(Serialize, Debug)]
struct Rotated {
    /// `rotated`
    #[serde(rename = "type")]
    kind: &'static str,
    /// Schema version.
    version: u32,
    /// The file.
    path: String,
    /// `store` or `snapshot`.
    what: &'static str,
    /// The key that it was under.
    from: String,
    /// The key that it is under.
    to: String,
}

/// `twinc keys rotate`: each file by itself, whole or not at all. What is under the new key already stays, so that an
/// interrupted rotation is finished by the same command.
pub fn rotate(args: &Rotate, ui: &Ui) -> Result<(), Exit> {
    let (mut from, mut to) = (key(&args.from, &args.place, ui)?, key(&args.to, &args.place, ui)?);
    let mut voucher = voucher(&args.vouching, &args.place, ui)?;
    if from.name() == to.name() {
        ui.error("`--from` and `--to` are the same key", None);
        return Err(Exit::Usage);
    }
    let mut files = Vec::new();
    for what in &args.what {
        if what.is_dir() {
            let found = world::files(what, "twinsnap").map_err(|e| {
                ui.error(&format!("could not read {}: {e}", world::shown(what)), None);
                Exit::Outside
            })?;
            files.extend(found);
        } else {
            files.push(what.clone());
        }
    }
    if files.is_empty() {
        ui.error(
            "there is nothing to put under another key",
            Some("a store, a snapshot, or a folder of snapshots"),
        );
        return Err(Exit::Usage);
    }
    for path in files {
        let (what, before) = one(&path, &mut from, &mut to, ui)?;
        let shown = world::shown(&path);
        let Some(before) = before else {
            ui.warn(&format!("{shown} is not encrypted: it stays as it is"));
            continue;
        };
        if before == to.name() {
            ui.result("Kept", &format!("{shown}, under {} already", to.name()), None);
        } else {
            let details = [("file", shown.clone()), ("from", before.clone()), ("to", to.name().to_owned())];
            let voucher = voucher.as_mut().map(|v| &mut **v as &mut dyn Signer);
            logged("keys rotate", &details, voucher, ui)?;
            ui.result("Rotated", &format!("{shown}, under {} now", to.name()), None);
        }
        ui.object(&Rotated {
            kind: "rotated",
            version: VERSION,
            path: shown,
            what,
            from: before,
            to: to.name().to_owned(),
        });
    }
    Ok(())
}

/// Puts a file under another key. Gives what it is and the key that it was under, if it is encrypted.
fn one(
    path: &Path,
    from: &mut dyn KeyWrap,
    to: &mut dyn KeyWrap,
    ui: &Ui,
) -> Result<(&'static str, Option<String>), Exit> {
    if path.extension().is_some_and(|e| e == "redb") {
        let mut store = Embedded::existing(path).map_err(|e| store_failed(&e.into(), ui))?;
        let before = wrapped_by(&store).map_err(|e| store_failed(&e, ui))?;
        if before.as_deref().is_some_and(|by| by != to.name()) {
            rotate_store(&mut store, from, to).map_err(|e| store_failed(&e, ui))?;
        }
        return Ok(("store", before));
    }
    let bytes = world::read(path).map_err(|e| {
        ui.error(&format!("could not read {}: {e}", world::shown(path)), None);
        Exit::Outside
    })?;
    if !crypt::is_sealed(&bytes) {
        return Ok(("snapshot", None));
    }
    let failed = |e: CryptError| {
        ui.error(&format!("{}: {e}", world::shown(path)), e.help());
        match e {
            CryptError::Altered | CryptError::Form(_) => Exit::Mismatch,
            _ => Exit::Outside,
        }
    };
    let before = crypt::wrapped(&bytes).map_err(failed)?.0.by;
    if before != to.name() {
        let anew = crypt::rewrap(&bytes, from, to).map_err(failed)?;
        record::file::write_atomic(path, &anew).map_err(|e| {
            ui.error(&e.to_string(), None);
            Exit::Outside
        })?;
    }
    Ok(("snapshot", Some(before)))
}
