//! Where passphrases come from: never from an argument, which every process on the machine can read.

use std::io::{self, Write as _};
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::{KeyError, read_private};

/// Asks for a passphrase; `None` where none was offered.
pub type Passphrase<'a> = dyn FnMut() -> Result<Option<Zeroizing<String>>, KeyError> + 'a;

/// Where a secret is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A variable of the environment.
    Env(String),
    /// A file that is its owner's alone; of a passphrase, its first line.
    File(PathBuf),
    /// The terminal, without showing it.
    Prompt,
}

impl Source {
    /// `env:NAME`, `file:PATH` or `prompt`; `None` for anything else, above all for a secret itself.
    pub fn read(text: &str) -> Option<Source> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Some(Source::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Some(Source::File(PathBuf::from(path))),
            None if text == "prompt" => Some(Source::Prompt),
            _ => None,
        }
    }

    /// The passphrase. `variable` looks into the environment; `again` asks twice on a terminal, for a new one.
    ///
    /// # Errors
    ///
    /// [`KeyError`], which never holds the secret.
    pub fn passphrase(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
        again: bool,
    ) -> Result<Zeroizing<String>, KeyError> {
        let none = |source: &str, why: &str| KeyError::NoPassphrase {
            source: source.to_owned(),
            why: why.to_owned(),
        };
        let secret = match self {
            Source::Env(name) => {
                let secret = variable(name).map(Zeroizing::new);
                secret.ok_or_else(|| none(&format!("`{name}`"), "the variable is not set, or is no text"))?
            }
            Source::File(path) => {
                let bytes = read_private(path)?;
                let line = bytes.split(|b| *b == b'\n').next().unwrap_or(&[]);
                let text = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line));
                let text = text.map_err(|_| none(&path.display().to_string(), "it is no text"))?;
                Zeroizing::new(text.to_owned())
            }
            Source::Prompt => {
                let ask = |words: &str| {
                    // rpassword asks on the terminal itself, so that pipes of output stay clean.
                    let _ = io::stderr().flush();
                    rpassword::prompt_password(words)
                        .map(Zeroizing::new)
                        .map_err(|e| none("the terminal", &e.to_string()))
                };
                let secret = ask("Passphrase: ")?;
                if again && *ask("Once more: ")? != *secret {
                    return Err(none("the terminal", "the two differ"));
                }
                secret
            }
        };
        if secret.is_empty() {
            return Err(none(&self.shown(), "it is empty"));
        }
        Ok(secret)
    }

    /// For messages: never the secret.
    pub fn shown(&self) -> String {
        match self {
            Source::Env(name) => format!("`{name}`"),
            Source::File(path) => path.display().to_string(),
            Source::Prompt => "the terminal".to_owned(),
        }
    }
}
