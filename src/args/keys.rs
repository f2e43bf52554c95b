//! The arguments of keys and signatures.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `twinc keys`
#[derive(Args, Debug)]
pub struct Keys {
    /// What to do with them.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What can be done with keys.
#[derive(Subcommand, Debug)]
pub enum KeysCommand {
    /// Make a key: NAME.key for its owner alone, NAME.pub.pem for everybody
    Create(Create),
    /// List the keys
    List(List),
    /// Print the public half of a key, as PEM
    Export(Export),
    /// Have a TPM state what this machine's registers hold: a quote, with a nonce of whoever asks
    Attest(Attest),
    /// Put what is encrypted under another key, without decrypting it: a store of timelines, encrypted snapshots
    Rotate(Rotate),
}

/// Where keys are kept.
#[derive(Args, Debug, Clone, Default)]
pub struct Place {
    /// Folder of the keys; also read from TWINML_KEYS [default: twinml/keys in XDG_CONFIG_HOME or ~/.config]
    #[arg(long = "keys", visible_alias = "dir", value_name = "DIR", global = true)]
    pub keys: Option<PathBuf>,
}

/// `twinc keys create`
#[derive(Args, Debug)]
pub struct Create {
    /// Name of the key
    #[arg(default_value = "default")]
    pub name: String,
    /// How it signs
    #[arg(long, value_enum, default_value_t = AlgorithmName::P256, value_name = "HOW")]
    pub algorithm: AlgorithmName,
    /// Lock the key by a passphrase: env:NAME, file:PATH or prompt
    #[arg(long, value_name = "SOURCE", conflicts_with = "tpm")]
    pub passphrase: Option<String>,
    /// In a TPM.
    #[command(flatten)]
    pub tpm: InTpm,
    /// Where keys are kept.
    #[command(flatten)]
    pub place: Place,
}

/// A key in a TPM.
#[derive(Args, Debug, Clone, Default)]
pub struct InTpm {
    /// Make it in a TPM, which never lets it out: device:PATH, unix:PATH or tcp:HOST:PORT; also read from TWINML_TPM
    /// [default: device:/dev/tpmrm0]
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "")]
    pub tpm: Option<String>,
    /// Under which hierarchy of the TPM: owner or endorsement
    #[arg(long, value_name = "WHICH", default_value = "endorsement", requires = "tpm")]
    pub hierarchy: String,
    /// The key only signs, at once and messages of any length; it cannot attest
    #[arg(long, requires = "tpm")]
    pub signs_only: bool,
    /// Count no signatures: without the counter, an old state can pass as the newest
    #[arg(long, requires = "tpm")]
    pub no_counter: bool,
    /// Extend this register of the TPM by the hash of each manifest that the key signs, such as 23
    #[arg(long, value_name = "REGISTER", requires = "tpm")]
    pub extend: Option<u8>,
    /// Of a key that encrypts: the registers that must hold what they hold now for the TPM to give it out, such as 0,2,7
    /// [default: 7, of Secure Boot]
    #[arg(long, value_name = "LIST", requires = "tpm")]
    pub registers: Option<String>,
    /// Of a key that encrypts: seal this one, which is there already, instead of a new one: its name, file:PATH or env:NAME
    #[arg(long, value_name = "KEY", requires = "tpm")]
    pub seals: Option<String>,
    /// Password of the TPM's owner, where it has one: env:NAME or file:PATH
    #[arg(long, value_name = "SOURCE", requires = "tpm")]
    pub owner_password: Option<String>,
    /// Password of the endorsement hierarchy, where it has one: env:NAME or file:PATH
    #[arg(long, value_name = "SOURCE", requires = "tpm")]
    pub endorsement_password: Option<String>,
}

/// `twinc keys attest`
#[derive(Args, Debug)]
pub struct Attest {
    /// Name of the key, which is in a TPM
    #[arg(default_value = "default")]
    pub name: String,
    /// What whoever asks wants to see in the answer: 1 to 64 bytes in hexadecimal
    #[arg(long, value_name = "HEX")]
    pub nonce: String,
    /// Which registers [default: 0 to 7, which the firmware extends, and 23]
    #[arg(long, value_name = "LIST")]
    pub registers: Option<String>,
    /// File of the quote
    #[arg(short, long, value_name = "FILE", default_value = "machine.quote")]
    pub out: PathBuf,
    /// Where keys are kept.
    #[command(flatten)]
    pub place: Place,
}

/// How a key signs.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlgorithmName {
    /// ECDSA over P-256 with SHA-256.
    P256,
    /// Ed25519.
    Ed25519,
    /// No signing key: one of AES-256, which encrypts at rest.
    #[value(name = "aes-256")]
    Aes256,
}

/// `twinc keys list`
#[derive(Args, Debug)]
pub struct List {
    /// Where keys are kept.
    #[command(flatten)]
    pub place: Place,
}

/// `twinc keys export`
#[derive(Args, Debug)]
pub struct Export {
    /// Name of the key
    #[arg(default_value = "default")]
    pub name: String,
    /// File to write instead of printing
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Where keys are kept.
    #[command(flatten)]
    pub place: Place,
}

/// `twinc keys rotate`
#[derive(Args, Debug)]
pub struct Rotate {
    /// A store of timelines, an encrypted snapshot, or a folder with encrypted snapshots (repeatable)
    #[arg(value_name = "WHAT", default_value = ".twinml/timeline.redb")]
    pub what: Vec<PathBuf>,
    /// The key that it is under: its name, file:PATH or env:NAME
    #[arg(long, value_name = "KEY")]
    pub from: String,
    /// The key that it is to be under
    #[arg(long, value_name = "KEY")]
    pub to: String,
    /// Who vouches for it.
    #[command(flatten)]
    pub vouching: Vouching,
    /// Where keys are kept.
    #[command(flatten)]
    pub place: Place,
}

/// Under which key something is encrypted.
#[derive(Args, Debug, Clone, Default)]
pub struct Encryption {
    /// Encrypt what is written, and decrypt what is read, under a key: its name (`twinc keys create NAME --algorithm
    /// aes-256`), file:PATH or env:NAME; also read from TWINML_ENCRYPTION_KEY
    #[arg(long, value_name = "KEY", global = true)]
    pub encryption_key: Option<String>,
}

/// With which key something is signed.
#[derive(Args, Debug, Clone, Default)]
pub struct Signing {
    /// Sign what is written, with a key of that name or file; without one, with `default` or the only one there is
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "")]
    pub sign: Option<String>,
    /// What unlocks the key: env:NAME, file:PATH or prompt
    #[arg(long, value_name = "SOURCE", requires = "sign")]
    pub passphrase: Option<String>,
    /// Where keys are kept.
    #[command(flatten)]
    pub place: Place,
}

/// With which key the record of an operation is signed.
#[derive(Args, Debug, Clone, Default)]
pub struct Vouching {
    /// Sign the record of this in the log of operations, with a key of that name or file; without one, with `default` or
    /// the only one there is
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "", global = true)]
    pub sign: Option<String>,
    /// What unlocks the key: env:NAME, file:PATH or prompt
    #[arg(long, value_name = "SOURCE", global = true)]
    pub passphrase: Option<String>,
}

/// `twinc verify`
#[derive(Args, Debug)]
pub struct Verify {
    /// A snapshot, a bundle.sig or the folder that it is in, a log of operations, or a quote
    #[arg(value_name = "X")]
    pub target: PathBuf,
    /// Trust this public key (repeatable); with it or --trust, no other keys are trusted
    #[arg(long = "key", value_name = "PUB.pem")]
    pub key: Vec<PathBuf>,
    /// Trust the public keys (*.pem) in this folder (repeatable)
    #[arg(long, value_name = "DIR")]
    pub trust: Vec<PathBuf>,
    /// Ask the counter whether this is the newest
    #[arg(long)]
    pub counter: bool,
    /// The TPM with the counter, where no key here says it: device:PATH, unix:PATH or tcp:HOST:PORT
    #[arg(long, value_name = "ADDRESS", requires = "counter")]
    pub tpm: Option<String>,
    /// Of a quote: the nonce that it was asked with
    #[arg(long, value_name = "HEX")]
    pub nonce: Option<String>,
    /// Where one's own keys are kept, which are trusted unless others are named.
    #[command(flatten)]
    pub place: Place,
    /// What opens an encrypted snapshot.
    #[command(flatten)]
    pub encryption: Encryption,
}
