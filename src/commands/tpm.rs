//! TPMs at work: keys made in one, quotes asked and judged, counters asked, and what was found.

use std::path::Path;

use serde::Serialize;
use twinml_engine::provenance::{Digest, Manifest, PublicKey, Trust};
use twinml_engine::record;
use twinml_providers::crypt::{HexKey, KeyWrap as _};
use twinml_providers::keyfile::{Folder, Kept, Source};
use twinml_providers::tpm::{
    self, Address, Chip, Content, Error, Hierarchy, Passwords, Patience, Pcrs, Properties, Quote, TpmSigner,
    Use,
};

use super::sign::{self, failed, folder};
use crate::args::keys::{Attest, InTpm, Place};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::VERSION;
use crate::world;

/// How long the operations of one kind took, in microseconds.
#[derive(Serialize, Debug)]
struct Operation {
    name: &'static str,
    count: u64,
    median_us: u64,
    p99_us: u64,
    max_us: u64,
    /// Upper edge in microseconds, and how many.
    buckets: Vec<(u64, u64)>,
}

/// A TPM that was used.
#[derive(Serialize, Debug)]
pub struct Used {
    /// `tpm`
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    address: String,
    maker: String,
    model: String,
    firmware: String,
    revision: String,
    software: bool,
    operations: Vec<Operation>,
}

impl Used {
    fn of(address: &Address, chip: &dyn Chip) -> Used {
        let p = chip.properties().clone();
        let operations = chip.timings().iter().map(|(name, h)| Operation {
            name,
            count: h.count(),
            median_us: h.percentile(50),
            p99_us: h.percentile(99),
            max_us: h.max(),
            buckets: h.buckets().collect(),
        });
        Used {
            kind: "tpm",
            version: VERSION,
            address: address.to_string(),
            maker: p.maker,
            model: p.model,
            firmware: p.firmware,
            revision: p.revision,
            software: p.software,
            operations: operations.collect(),
        }
    }

    fn say(&self, ui: &Ui) {
        ui.result("TPM", &format!("{} {}, firmware {}", self.maker, self.model, self.firmware), None);
        if self.software {
            ui.result("Note", Properties::SOFTWARE, None);
        }
    }
}

/// A key that was made in a TPM.
pub struct Made {
    /// Its public half.
    pub public: PublicKey,
    used: Used,
}

impl Made {
    /// Says for people in which TPM.
    pub fn say(&self, ui: &Ui) {
        self.used.say(ui);
    }

    /// Says it for programs.
    pub fn object(&self, ui: &Ui) {
        ui.object(&self.used);
    }
}

/// Says what went wrong with a TPM.
fn wrong(e: &Error, ui: &Ui) -> Exit {
    ui.error(&e.to_string(), e.help().as_deref());
    match e {
        Error::Address { .. } | Error::Request { .. } => Exit::Usage,
        _ => Exit::Outside,
    }
}

/// Where the TPM is: as named, else as the environment says, else the machine's own.
fn address(named: &str, ui: &Ui) -> Result<Address, Exit> {
    let text = if named.is_empty() { world::tpm() } else { Some(named.to_owned()) };
    text.map_or_else(|| Ok(Address::standard()), |text| Address::parse(&text)).map_err(|e| wrong(&e, ui))
}

fn password(source: Option<&str>, ui: &Ui) -> Result<Vec<u8>, Exit> {
    let Some(text) = source else { return Ok(Vec::new()) };
    let Some(source) = Source::read(text) else {
        ui.error(
            "a TPM's password is named by where it is, never by what it is",
            Some("`env:NAME` or `file:PATH`"),
        );
        return Err(Exit::Usage);
    };
    let read = source.passphrase(&world::variable, false).map_err(|e| failed(&e, ui))?;
    Ok(read.as_bytes().to_vec())
}

fn connect(
    at: &Address,
    owner: Option<&str>,
    endorsement: Option<&str>,
    ui: &Ui,
) -> Result<Box<dyn Chip>, Exit> {
    let passwords = Passwords { owner: password(owner, ui)?, endorsement: password(endorsement, ui)? };
    tpm::connect(at, Patience::default(), passwords).map_err(|e| wrong(&e, ui))
}

/// Makes a key in a TPM, with its counter, and writes the file that tells of it.
///
/// # Errors
///
/// What failed was said.
pub fn create(named: &str, args: &InTpm, path: &Path, ui: &Ui) -> Result<Made, Exit> {
    let Some(hierarchy) = Hierarchy::from_name(&args.hierarchy) else {
        ui.error(&format!("`{}` is no hierarchy of keys", args.hierarchy), Some("`owner` or `endorsement`"));
        return Err(Exit::Usage);
    };
    if let Some(register) = args.extend {
        Pcrs::new([register]).map_err(|e| wrong(&e, ui))?;
    }
    let at = address(named, ui)?;
    let mut chip = connect(&at, args.owner_password.as_deref(), args.endorsement_password.as_deref(), ui)?;
    let of = if args.signs_only { Use::Sign } else { Use::SignAndQuote };
    let made = (|| {
        let key = chip.create_key(hierarchy, of)?;
        let place = tpm::Place {
            address: at.clone(),
            counts: !args.no_counter,
            register: args.extend,
            owner: args.owner_password.clone(),
            endorsement: args.endorsement_password.clone(),
            seals: None,
            key,
        };
        if let Some(index) = place.counter()? {
            chip.create_counter(index)?;
        }
        Ok((place.key.public_key()?, place))
    })();
    let (public, place) = made.map_err(|e| wrong(&e, ui))?;
    record::file::write_atomic(path, place.text().as_bytes()).map_err(|e| {
        ui.error(&e.to_string(), None);
        Exit::Outside
    })?;
    Ok(Made { public, used: Used::of(&at, &*chip) })
}

/// A key that encrypts, sealed in a TPM.
pub struct SealedNow {
    /// Its name.
    pub name: String,
    /// The registers that must hold what they hold now.
    pub registers: String,
    used: Used,
}

impl SealedNow {
    /// Says for people in which TPM, and under what.
    pub fn say(&self, ui: &Ui) {
        ui.result("Policy", &format!("while the registers {} hold what they hold now", self.registers), None);
        self.used.say(ui);
    }

    /// Says it for programs.
    pub fn object(&self, ui: &Ui) {
        ui.object(&self.used);
    }
}

/// Seals a key that encrypts in a TPM, and writes the file that tells of it.
///
/// # Errors
///
/// What failed was said.
pub fn seal(named: &str, args: &InTpm, key: &HexKey, path: &Path, ui: &Ui) -> Result<SealedNow, Exit> {
    let pcrs = args.registers.as_deref().unwrap_or(SEALED_TO);
    let pcrs = Pcrs::parse(pcrs).map_err(|e| wrong(&e, ui))?;
    let at = address(named, ui)?;
    let mut chip = connect(&at, args.owner_password.as_deref(), None, ui)?;
    let blob = key.seal(&mut *chip, &pcrs).map_err(|e| wrong(&e, ui))?;
    let place = tpm::Place {
        address: at.clone(),
        counts: false,
        register: None,
        owner: args.owner_password.clone(),
        endorsement: None,
        seals: Some(key.name().to_owned()),
        key: blob,
    };
    // What cannot be had back is found out now.
    HexKey::unseal(&mut *chip, &place.key, key.name()).map_err(|e| wrong(&e, ui))?;
    record::file::write_atomic(path, place.text().as_bytes()).map_err(|e| {
        ui.error(&e.to_string(), None);
        Exit::Outside
    })?;
    let name = key.name().to_owned();
    Ok(SealedNow { name, registers: pcrs.to_string(), used: Used::of(&at, &*chip) })
}

/// The key that encrypts, as its TPM gives it out.
///
/// # Errors
///
/// What failed was said: above all that a register holds something else.
pub fn unseal(path: &Path, ui: &Ui) -> Result<HexKey, Exit> {
    let place = place(path, ui)?;
    let mut chip = connect(&place.address, place.owner.as_deref(), None, ui)?;
    let name = place.seals.as_deref().unwrap_or_default();
    HexKey::unseal(&mut *chip, &place.key, name).map_err(|e| wrong(&e, ui))
}

/// The name of a sealed key, as its file has it; none where that cannot be read.
pub fn seals(path: &Path) -> Option<String> {
    let read = world::read_up_to(path, 64 << 10).ok()?;
    tpm::Place::read(std::str::from_utf8(&read).ok()?).ok()?.seals
}

/// Where nobody says which registers: that of Secure Boot, whose keys and state the firmware measures there.
const SEALED_TO: &str = "7";

/// What the file of a key in a TPM says.
fn place(path: &Path, ui: &Ui) -> Result<tpm::Place, Exit> {
    let read = world::read_up_to(path, 64 << 10).map_err(|e| {
        ui.error(&format!("could not read {}: {e}", world::shown(path)), None);
        Exit::Outside
    })?;
    let text = String::from_utf8_lossy(&read);
    tpm::Place::read(&text).map_err(|e| {
        ui.error(&format!("{}: {e}", world::shown(path)), e.help().as_deref());
        Exit::Outside
    })
}

/// The key that the file tells of, loaded into its TPM.
///
/// # Errors
///
/// What failed was said.
pub fn signer(path: &Path, ui: &Ui) -> Result<TpmSigner, Exit> {
    let place = place(path, ui)?;
    let chip = connect(&place.address, place.owner.as_deref(), place.endorsement.as_deref(), ui)?;
    let made = place.counter().and_then(|counter| Ok((TpmSigner::new(chip, &place.key)?, counter)));
    let (mut signer, counter) = made.map_err(|e| wrong(&e, ui))?;
    if let Some(index) = counter {
        signer = signer.counting(index);
    }
    if let Some(register) = place.register {
        signer = signer.extending(register);
    }
    Ok(signer)
}

/// A quote.
#[derive(Serialize, Debug)]
struct Quoted<'a> {
    /// `quote`
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    path: String,
    /// `good`, `unknown key` or `bad`; `null` of one that was just made.
    verdict: Option<&'static str>,
    /// What differs: `key`, `signature`, `statement`, `nonce` or `registers`.
    part: Option<&'a str>,
    why: Option<String>,
    key: &'a str,
    /// Values of the registers, in hexadecimal.
    registers: Vec<(u8, String)>,
    resets: Option<u32>,
    restarts: Option<u32>,
}

impl<'a> Quoted<'a> {
    fn of(path: &Path, quote: &'a Quote) -> Quoted<'a> {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect();
        Quoted {
            kind: "quote",
            version: VERSION,
            path: world::shown(path),
            verdict: None,
            part: None,
            why: None,
            key: &quote.key_id,
            registers: quote.values.iter().map(|v| (v.pcr, hex(&v.value))).collect(),
            resets: quote.clock().map(|c| c.resets),
            restarts: quote.clock().map(|c| c.restarts),
        }
    }

    fn say(&self, ui: &Ui) {
        for (k, (pcr, value)) in self.registers.iter().enumerate() {
            ui.result(if k == 0 { "Registers" } else { "" }, &format!("{pcr:2}  {value}"), None);
        }
        ui.result("Key", self.key, None);
    }
}

fn nonce(text: &str, ui: &Ui) -> Result<Vec<u8>, Exit> {
    tpm::unhex(text).filter(|n| (1..=64).contains(&n.len())).ok_or_else(|| {
        ui.error(
            "`--nonce` is no nonce",
            Some("1 to 64 bytes in hexadecimal, from whoever asks, new each time"),
        );
        Exit::Usage
    })
}

/// Has the TPM state what this machine's registers hold.
///
/// # Errors
///
/// What failed was said.
pub fn attest(args: &Attest, ui: &Ui) -> Result<(), Exit> {
    let nonce = nonce(&args.nonce, ui)?;
    let pcrs = args.registers.as_deref().map_or(Ok(Pcrs::MACHINE), Pcrs::parse).map_err(|e| wrong(&e, ui))?;
    let listed = folder(&args.place, ui)?.find(&args.name).map_err(|e| failed(&e, ui))?;
    let Kept::Tpm(path) = &listed.kept else {
        let help = "`twinc keys create NAME --tpm` makes one";
        ui.error(&format!("the key `{}` is in no TPM", args.name), Some(help));
        return Err(Exit::Usage);
    };
    let place = place(path, ui)?;
    if matches!(place.key.content(), Content::Key { of: Use::Sign, .. }) {
        let help = "make one without `--signs-only`";
        ui.error(&format!("the key `{}` only signs: a quote by it could be forged", args.name), Some(help));
        return Err(Exit::Usage);
    }
    let mut signer = signer(path, ui)?;
    let quote = signer.quote(&pcrs, &nonce).map_err(|e| wrong(&e, ui))?;
    record::file::write_atomic(&args.out, quote.text().as_bytes()).map_err(|e| {
        ui.error(&e.to_string(), None);
        Exit::Outside
    })?;
    let details = [
        ("file", world::shown(&args.out)),
        ("nonce", args.nonce.to_ascii_lowercase()),
        ("sha256", Digest::of(quote.text().as_bytes()).to_string()),
    ];
    sign::logged("keys attest", &details, Some(&mut signer), ui)?;
    let said = Quoted::of(&args.out, &quote);
    said.say(ui);
    ui.result("Written", &world::shown(&args.out), None);
    let used = Used::of(&place.address, signer.chip());
    used.say(ui);
    ui.object(&said);
    ui.object(&used);
    Ok(())
}

/// Judges a quote, without a TPM.
///
/// # Errors
///
/// It cannot be judged without a nonce: that was said.
pub fn judge(path: &Path, bytes: &[u8], trust: &Trust, asked: Option<&str>, ui: &Ui) -> Result<Exit, Exit> {
    let Some(asked) = asked else {
        ui.error("a quote is judged by the nonce that it was asked with", Some("give it with `--nonce HEX`"));
        return Err(Exit::Usage);
    };
    let asked = nonce(asked, ui)?;
    let shown = world::shown(path);
    let quote = match Quote::read(bytes) {
        Ok(quote) => quote,
        Err(e) => {
            ui.result("Verdict", &format!("bad  {shown}: {e}"), None);
            ui.object(&Quoted {
                kind: "quote",
                version: VERSION,
                path: shown,
                verdict: Some("bad"),
                part: Some("statement"),
                why: Some(e.to_string()),
                key: "",
                registers: Vec::new(),
                resets: None,
                restarts: None,
            });
            return Ok(Exit::Mismatch);
        }
    };
    let mut said = Quoted::of(path, &quote);
    let (verdict, exit) = match trust.get(&quote.key_id).map(|key| quote.check(key, &asked)) {
        None => ("unknown key", Exit::Inconclusive),
        Some(Ok(())) => ("good", Exit::Ok),
        Some(Err(flaw)) => {
            (said.part, said.why) = (Some(flaw.part()), Some(flaw.to_string()));
            ("bad", Exit::Mismatch)
        }
    };
    said.verdict = Some(verdict);
    let why = said.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
    ui.result("Verdict", &format!("{verdict}  {shown}{why}"), None);
    said.say(ui);
    if verdict == "good" {
        ui.result("Note", "that the key is in a TPM is known from where its public half came from", None);
    }
    ui.object(&said);
    Ok(exit)
}

/// Whether a manifest, which was found good, is the newest that its key counted.
///
/// # Errors
///
/// It cannot be asked: that was said.
pub fn freshness(
    manifest: &Manifest,
    named: Option<&str>,
    own: &Place,
    ui: &Ui,
) -> Result<&'static str, Exit> {
    let Some(counter) = &manifest.counter else {
        ui.error("the manifest names no counter, so nobody can tell whether it is the newest", None);
        return Err(Exit::Outside);
    };
    if tpm::index_of(&manifest.key.id).ok() != Some(counter.index) {
        return Ok("another counter");
    }
    let at = match named {
        Some(text) => address(text, ui)?,
        None => match own_place(&manifest.key.id, own, ui)? {
            Some(place) => place.address,
            None => address("", ui)?,
        },
    };
    let mut chip = connect(&at, None, None, ui)?;
    let now = chip.counter(counter.index).map_err(|e| wrong(&e, ui))?;
    let used = Used::of(&at, &*chip);
    if used.software {
        ui.result("Note", &format!("the counter is in {}", Properties::SOFTWARE), None);
    }
    ui.object(&used);
    Ok(match counter.value.cmp(&now) {
        std::cmp::Ordering::Equal => "newest",
        std::cmp::Ordering::Less => {
            ui.result("Counter", &format!("stands at {now}: {} signed since", now - counter.value), None);
            "older"
        }
        std::cmp::Ordering::Greater => {
            ui.result("Counter", &format!("stands at {now}: it is another TPM's, or was put back"), None);
            "ahead"
        }
    })
}

/// What one's own folder says of the key.
fn own_place(id: &str, own: &Place, ui: &Ui) -> Result<Option<tpm::Place>, Exit> {
    let Some(path) = own.keys.clone().or_else(world::keys) else { return Ok(None) };
    let all = Folder::at(&path).list().map_err(|e| failed(&e, ui))?;
    let it = all.into_iter().find(|l| l.public.as_ref().is_some_and(|k| k.id() == id));
    match it.map(|l| l.kept) {
        Some(Kept::Tpm(path)) => place(&path, ui).map(Some),
        _ => Ok(None),
    }
}

/// The TPM of this machine, for `doctor`: a line, and what it is.
pub fn found() -> (String, Option<Used>) {
    let named = world::tpm();
    let address = named.as_deref().map_or_else(|| Ok(Address::standard()), Address::parse);
    let opened = address.and_then(|at| {
        let chip = tpm::connect(&at, Patience::default(), Passwords::default())?;
        Ok((at, chip))
    });
    match opened {
        Ok((at, chip)) => (format!("{} at {at}", chip.properties().line()), Some(Used::of(&at, &*chip))),
        Err(Error::Unreachable { denied: false, .. }) if named.is_none() => {
            ("none (no /dev/tpmrm0; TWINML_TPM can name another)".to_owned(), None)
        }
        Err(e) => (e.to_string(), None),
    }
}
