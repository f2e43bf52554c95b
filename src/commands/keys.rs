//! `twinc keys create|list|export`

use std::path::PathBuf;

use serde::Serialize;
use twinml_engine::provenance::{Algorithm, PublicKey, Signer};
use twinml_engine::record;
use twinml_providers::crypt::{HexKey, KeyWrap as _, create_key_file};
use twinml_providers::keyfile::{Folder, Kept, KeyFile, Listed, Source};

use super::{seal, sign, tpm};

use super::sign::{failed, folder, passphrase};
use crate::args::keys::{AlgorithmName, Create, Export, Keys, KeysCommand, List};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::{VERSION, Written};
use crate::world;

/// A key.
#[derive(Serialize, Debug)]
pub struct Key {
    /// `key`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// The SHA-256 of its public half, of one that encrypts a name; `null` where that is not readable.
    pub id: Option<String>,
    /// `ecdsa-p256-sha256`, `ed25519` or `aes-256-gcm`.
    pub algorithm: Option<&'static str>,
    /// Where the private half is: `file`, `tpm` or `elsewhere`.
    pub backing: &'static str,
    /// Whether a passphrase locks it.
    pub locked: bool,
    /// The file of the private half, or that tells of it.
    pub path: Option<String>,
    /// The public half, as PEM; only by `export`.
    pub public: Option<String>,
}

impl Key {
    fn of(listed: &Listed) -> Key {
        let (backing, path) = match &listed.kept {
            Kept::File(path) => ("file", Some(path)),
            Kept::Tpm(path) => ("tpm", Some(path)),
            Kept::Encrypts(path) => ("file", Some(path)),
            Kept::Sealed(path) => ("tpm", Some(path)),
            Kept::Elsewhere => ("elsewhere", None),
        };
        if let Kept::Encrypts(path) = &listed.kept {
            let read = HexKey::read(&Source::File(path.clone()), &|_| None);
            return Key {
                id: read.ok().map(|k| k.name().to_owned()),
                algorithm: Some("aes-256-gcm"),
                ..Key::plain(listed, backing, Some(path))
            };
        }
        if let Kept::Sealed(path) = &listed.kept {
            let plain = Key::plain(listed, backing, Some(path));
            return Key { id: tpm::seals(path), algorithm: Some("aes-256-gcm"), ..plain };
        }
        Key::plain(listed, backing, path)
    }

    fn plain(listed: &Listed, backing: &'static str, path: Option<&PathBuf>) -> Key {
        Key {
            kind: "key",
            version: VERSION,
            name: listed.name.clone(),
            id: listed.public.as_ref().map(|k| k.id().to_owned()),
            algorithm: listed.public.as_ref().map(|k| k.algorithm().name()),
            backing,
            locked: listed.locked,
            path: path.map(|p| world::shown(p)),
            public: None,
        }
    }

    /// `ecdsa-p256-sha256  file, locked`
    fn about(&self) -> String {
        let locked = if self.locked { ", locked" } else { "" };
        format!("{}  {}{locked}", self.algorithm.unwrap_or("damaged"), self.backing)
    }
}

/// Does what is asked.
pub fn run(args: &Keys, ui: &Ui) -> Exit {
    let done = match &args.command {
        KeysCommand::Create(args) => create(args, ui),
        KeysCommand::List(args) => list(args, ui),
        KeysCommand::Export(args) => export(args, ui),
        KeysCommand::Attest(args) => tpm::attest(args, ui),
        KeysCommand::Rotate(args) => seal::rotate(args, ui),
    };
    done.err().unwrap_or(Exit::Ok)
}

fn create(args: &Create, ui: &Ui) -> Result<(), Exit> {
    let folder = folder(&args.place, ui)?;
    // Before anybody types a passphrase.
    folder.prepare(&args.name).map_err(|e| failed(&e, ui))?;
    let algorithm = match args.algorithm {
        AlgorithmName::P256 => Algorithm::EcdsaP256Sha256,
        AlgorithmName::Ed25519 => Algorithm::Ed25519,
        AlgorithmName::Aes256 => return create_aes(args, &folder, ui),
    };
    if args.tpm.registers.is_some() || args.tpm.seals.is_some() {
        let help = "a sealed key is one that encrypts: `--algorithm aes-256`";
        ui.error("`--registers` and `--seals` are of a key that encrypts", Some(help));
        return Err(Exit::Usage);
    }
    if let Some(address) = &args.tpm.tpm {
        return create_in_tpm(address, args, &folder, ui);
    }
    let secret = passphrase(args.passphrase.as_deref(), true, ui)?;
    let made = KeyFile::generate(algorithm).and_then(|key| {
        folder.create(&args.name, &key, secret.as_deref().map(String::as_str))?;
        Ok((folder.find(&args.name)?, key))
    });
    let (listed, mut signer) = made.map_err(|e| failed(&e, ui))?;
    let key = Key::of(&listed);
    noted(&key, Some(&mut signer), ui)?;
    ui.result("Created", &format!("{}  {}", key.name, key.about()), None);
    ui.result("Id", key.id.as_deref().unwrap_or_default(), None);
    let (private, public) = (folder.key(&args.name), folder.public(&args.name));
    ui.result("Written", &format!("{}, {}", world::shown(&private), world::shown(&public)), None);
    ui.object(&key);
    Ok(())
}

/// Notes a key that was made where the project has a log; a key that signs vouches for its own record.
fn noted(key: &Key, signer: Option<&mut dyn Signer>, ui: &Ui) -> Result<(), Exit> {
    if !sign::keeps_log() {
        return Ok(());
    }
    let details = [
        ("algorithm", key.algorithm.unwrap_or_default().to_owned()),
        ("backing", key.backing.to_owned()),
        ("id", key.id.clone().unwrap_or_default()),
        ("name", key.name.clone()),
    ];
    sign::logged("keys create", &details, signer, ui)
}

fn create_in_tpm(address: &str, args: &Create, folder: &Folder, ui: &Ui) -> Result<(), Exit> {
    if args.algorithm != AlgorithmName::P256 {
        ui.error("in a TPM a key signs by P-256", Some("leave out `--algorithm`"));
        return Err(Exit::Usage);
    }
    let path = folder.tpm(&args.name);
    let made = tpm::create(address, &args.tpm, &path, ui)?;
    let done = folder.publish(&args.name, &made.public).and_then(|()| folder.find(&args.name));
    let key = Key::of(&done.map_err(|e| failed(&e, ui))?);
    if sign::keeps_log() {
        noted(&key, Some(&mut tpm::signer(&path, ui)?), ui)?;
    }
    ui.result("Created", &format!("{}  {}", key.name, key.about()), None);
    ui.result("Id", key.id.as_deref().unwrap_or_default(), None);
    let public = folder.public(&args.name);
    ui.result("Written", &format!("{}, {}", world::shown(&path), world::shown(&public)), None);
    made.say(ui);
    ui.object(&key);
    made.object(ui);
    Ok(())
}

fn create_aes(args: &Create, folder: &Folder, ui: &Ui) -> Result<(), Exit> {
    if args.passphrase.is_some() {
        ui.error("a key that encrypts at rest is not locked by a passphrase", None);
        return Err(Exit::Usage);
    }
    if let Some(address) = &args.tpm.tpm {
        return create_sealed(address, args, folder, ui);
    }
    let path = folder.aes(&args.name);
    let made = create_key_file(&path).and_then(|_| folder.find(&args.name));
    let key = Key::of(&made.map_err(|e| failed(&e, ui))?);
    noted(&key, None, ui)?;
    ui.result("Created", &format!("{}  {}", key.name, key.about()), None);
    ui.result("Id", key.id.as_deref().unwrap_or_default(), None);
    ui.result("Written", &world::shown(&path), None);
    ui.object(&key);
    Ok(())
}

/// A key that encrypts, kept by a TPM: a new one, or a copy of one that is there.
fn create_sealed(address: &str, args: &Create, folder: &Folder, ui: &Ui) -> Result<(), Exit> {
    let t = &args.tpm;
    if t.signs_only || t.no_counter || t.extend.is_some() {
        let help = "`--signs-only`, `--no-counter` and `--extend` are of keys that sign";
        ui.error("a key that encrypts neither signs nor counts", Some(help));
        return Err(Exit::Usage);
    }
    let made = match &t.seals {
        Some(from) => seal::key(from, &args.place, ui)?,
        None => HexKey::generate().map_err(|e| {
            ui.error(&e.to_string(), e.help());
            Exit::Outside
        })?,
    };
    let path = folder.sealed(&args.name);
    let sealed = tpm::seal(address, t, &made, &path, ui)?;
    let listed = folder.find(&args.name).map_err(|e| failed(&e, ui))?;
    let key = Key::of(&listed);
    noted(&key, None, ui)?;
    ui.result("Created", &format!("{}  {}", key.name, key.about()), None);
    ui.result("Id", &sealed.name, None);
    ui.result("Written", &world::shown(&path), None);
    sealed.say(ui);
    ui.object(&key);
    sealed.object(ui);
    Ok(())
}

fn list(args: &List, ui: &Ui) -> Result<(), Exit> {
    let folder = folder(&args.place, ui)?;
    let keys: Vec<Key> = folder.list().map_err(|e| failed(&e, ui))?.iter().map(Key::of).collect();
    if keys.is_empty() {
        let path = world::shown(folder.path());
        ui.warn(&format!("there are no keys in {path}; `twinc keys create NAME` makes one"));
    }
    let wide = keys.iter().map(|k| k.name.len()).max().unwrap_or(0);
    let about = keys.iter().map(|k| k.about().len()).max().unwrap_or(0);
    for key in &keys {
        let id = key.id.as_deref().unwrap_or("it cannot be read");
        ui.text(&format!("{:wide$}  {:about$}  {id}\n", key.name, key.about()));
        ui.object(key);
    }
    Ok(())
}

fn export(args: &Export, ui: &Ui) -> Result<(), Exit> {
    let folder = folder(&args.place, ui)?;
    let listed = folder.find(&args.name).map_err(|e| failed(&e, ui))?;
    if matches!(listed.kept, Kept::Encrypts(_) | Kept::Sealed(_)) {
        ui.error(&format!("the key `{}` encrypts: it has no public half", args.name), None);
        return Err(Exit::Usage);
    }
    let Some(pem) = listed.public.as_ref().map(PublicKey::pem) else {
        let path = world::shown(&folder.public(&args.name));
        ui.error(&format!("{path} is no public key, or cannot be read"), None);
        return Err(Exit::Outside);
    };
    match &args.out {
        None => ui.text(&pem),
        Some(path) => {
            record::file::write_atomic(path, pem.as_bytes()).map_err(|e| {
                ui.error(&e.to_string(), None);
                Exit::Outside
            })?;
            ui.result("Written", &world::shown(path), None);
            ui.object(&Written::file(path, "key"));
        }
    }
    ui.object(&Key { public: Some(pem), ..Key::of(&listed) });
    Ok(())
}
