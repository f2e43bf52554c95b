//! Where a TPM is: `device:PATH`, `unix:PATH`, `tcp:HOST:PORT`, and `tss:TCTI` where the system's library is built in.

use std::fmt;
use std::path::PathBuf;

use super::Error;

/// Where a TPM answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A character device. `/dev/tpmrm0` has the kernel's resource manager before it and is shared by programs;
    /// `/dev/tpm0` has not.
    Device(PathBuf),
    /// A Unix socket that speaks the TPM's own bytes, as `swtpm --server type=unixio` does.
    Unix(PathBuf),
    /// A TCP socket that speaks the TPM's own bytes, as `swtpm --server type=tcp` does.
    Tcp {
        /// A name or an IP address; a v6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A configuration of the TSS's own, as `swtpm:host=127.0.0.1,port=2321`; needs the feature `tss-esapi`.
    Tss(String),
}

impl Address {
    /// The device of a machine with a TPM.
    pub fn standard() -> Address {
        Address::Device(PathBuf::from("/dev/tpmrm0"))
    }

    /// Reads an address.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] where the text is none.
    pub fn parse(text: &str) -> Result<Address, Error> {
        let wrong = |why| Error::Address { text: text.to_owned(), why };
        let (kind, rest) = text.split_once(':').ok_or_else(|| wrong("it names no kind"))?;
        if rest.is_empty() {
            return Err(wrong("nothing follows the kind"));
        }
        match kind {
            "device" => Ok(Address::Device(PathBuf::from(rest))),
            "unix" => Ok(Address::Unix(PathBuf::from(rest))),
            "tss" => Ok(Address::Tss(rest.to_owned())),
            "tcp" => {
                let (host, port) = rest.rsplit_once(':').ok_or_else(|| wrong("it has no port"))?;
                let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
                if host.is_empty() {
                    return Err(wrong("it has no host"));
                }
                match port.parse() {
                    Ok(port) if port != 0 => Ok(Address::Tcp { host: host.to_owned(), port }),
                    _ => Err(wrong("its port is no number from 1 to 65535")),
                }
            }
            _ => Err(wrong("its kind is unknown")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Device(path) => write!(f, "device:{}", path.display()),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
            Address::Tss(tcti) => write!(f, "tss:{tcti}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn addresses_read_and_print() {
        for text in [
            "device:/dev/tpmrm0",
            "unix:/run/swtpm.sock",
            "tcp:127.0.0.1:2321",
            "tcp:localhost:1",
            "tcp:[::1]:2321",
            "tss:swtpm:host=127.0.0.1,port=2321",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "/dev/tpm0",
            "device:",
            "tcp:",
            "tcp:host",
            "tcp::1",
            "tcp:host:0",
            "tcp:host:65536",
            "usb:1",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
