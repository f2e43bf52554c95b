//! Bytes to a TPM and back: one command at a time, each with a deadline.
//!
//! A thread of the connection's own does the reading and writing, because a character device and a Unix socket's `connect`
//! have no time-outs. Whoever waits gives up at the deadline; the connection is then dead, and its thread ends when the
//! system lets it go.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tpm2_protocol::constant::TPM_MAX_COMMAND_SIZE;

use super::{Address, Error};

/// The bytes of a response's head: tag, length, code.
const HEAD: usize = 10;

/// How long is waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the answer to one command. A chip's first key can take seconds, and its self-test before it too.
    pub command: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { connect: Duration::from_secs(5), command: Duration::from_secs(60) }
    }
}

enum Stream {
    Device(File),
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn open(address: &Address, patience: Patience) -> io::Result<Stream> {
        Ok(match address {
            Address::Device(path) => Stream::Device(OpenOptions::new().read(true).write(true).open(path)?),
            Address::Unix(path) => {
                let s = UnixStream::connect(path)?;
                s.set_read_timeout(Some(patience.command))?;
                s.set_write_timeout(Some(patience.command))?;
                Stream::Unix(s)
            }
            Address::Tcp { host, port } => {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
                for to in (host.as_str(), *port).to_socket_addrs()? {
                    match TcpStream::connect_timeout(&to, patience.connect) {
                        Ok(s) => {
                            s.set_nodelay(true)?;
                            s.set_read_timeout(Some(patience.command))?;
                            s.set_write_timeout(Some(patience.command))?;
                            return Ok(Stream::Tcp(s));
                        }
                        Err(e) => last = e,
                    }
                }
                return Err(last);
            }
            Address::Tss(_) => {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "this build has no TSS library"));
            }
        })
    }

    fn both(&mut self) -> &mut dyn ReadWrite {
        match self {
            Stream::Device(s) => s,
            Stream::Unix(s) => s,
            Stream::Tcp(s) => s,
        }
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// Reads one response: never more than a TPM sends, whatever its head says.
fn receive(from: &mut dyn ReadWrite, until: Instant) -> io::Result<Vec<u8>> {
    let bad = |why: &'static str| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut buffer = vec![0; TPM_MAX_COMMAND_SIZE];
    let mut have = 0;
    loop {
        if have >= HEAD {
            let size = u32::from_be_bytes([buffer[2], buffer[3], buffer[4], buffer[5]]) as usize;
            if !(HEAD..=TPM_MAX_COMMAND_SIZE).contains(&size) {
                return Err(bad("its length is none of a response"));
            }
            if have > size {
                return Err(bad("bytes follow the response"));
            }
            if have == size {
                buffer.truncate(size);
                return Ok(buffer);
            }
        }
        if Instant::now() >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match from.read(&mut buffer[have..]) {
            Ok(0) if have == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => return Err(bad("it ends in the middle")),
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // Not to be taken for a connection that was closed before the command.
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset && have > 0 => {
                return Err(bad("it ends in the middle"));
            }
            Err(e) => return Err(e),
        }
    }
}

/// What the thread does: answers each command, connecting when it has no connection.
///
/// A server may close after each answer (`swtpm` with `disconnect` does). The first time, this shows as an end of file
/// before any byte of an answer, on a connection that has served: the command is then sent once more on a fresh one, and
/// from there on each command has its own.
fn serve(
    address: &Address,
    patience: Patience,
    commands: &Receiver<Vec<u8>>,
    answers: &Sender<io::Result<Vec<u8>>>,
) {
    let mut stream = match Stream::open(address, patience) {
        Ok(s) => {
            if answers.send(Ok(Vec::new())).is_err() {
                return;
            }
            Some(s)
        }
        Err(e) => {
            let _ = answers.send(Err(e));
            return;
        }
    };
    let (mut served, mut closes) = (false, false);
    while let Ok(command) = commands.recv() {
        let until = Instant::now() + patience.command;
        let exchange = |s: &mut Stream| {
            let s = s.both();
            s.write_all(&command)?;
            s.flush()?;
            receive(s, until)
        };
        let mut answer = match &mut stream {
            Some(s) => exchange(s),
            None => Stream::open(address, patience).and_then(|s| exchange(stream.insert(s))),
        };
        let ended = |e: &io::Error| {
            matches!(
                e.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
            )
        };
        if served && !closes && answer.as_ref().is_err_and(ended) {
            closes = true;
            answer = Stream::open(address, patience).and_then(|s| exchange(stream.insert(s)));
        }
        let failed = answer.is_err();
        served |= !failed;
        if closes || failed {
            stream = None;
        }
        if answers.send(answer).is_err() || failed {
            return;
        }
    }
}

/// A connection to a TPM.
pub(super) struct Line {
    at: String,
    patience: Patience,
    commands: Sender<Vec<u8>>,
    answers: Receiver<io::Result<Vec<u8>>>,
    /// Set when an answer failed to come: what comes later would belong to another command.
    dead: bool,
}

impl Line {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`], at the latest when the patience for connecting ends.
    pub(super) fn open(address: &Address, patience: Patience) -> Result<Line, Error> {
        let (commands, to_serve) = channel();
        let (from_serve, answers) = channel();
        let at = address.to_string();
        let refuse = |why: String, denied| Error::Unreachable { at: at.clone(), why, denied };
        let owned = address.clone();
        thread::Builder::new()
            .name("tpm".to_owned())
            .spawn(move || serve(&owned, patience, &to_serve, &from_serve))
            .map_err(|e| refuse(e.to_string(), false))?;
        // Several addresses of one host are tried one after the other.
        match answers.recv_timeout(patience.connect.saturating_mul(2)) {
            Ok(Ok(_)) => Ok(Line { at, patience, commands, answers, dead: false }),
            Ok(Err(e)) => Err(refuse(e.to_string(), e.kind() == io::ErrorKind::PermissionDenied)),
            Err(_) => Err(refuse(format!("nothing within {} s", patience.connect.as_secs_f64()), false)),
        }
    }

    /// Sends a command's bytes and waits for its response's.
    ///
    /// # Errors
    ///
    /// [`Error::Late`], [`Error::Broken`], [`Error::Answer`] where the length is none of a response. After the first error
    /// every further command fails.
    pub(super) fn exchange(&mut self, command: &'static str, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
        let broken = |at: &str, why: String| Error::Broken { at: at.to_owned(), command, why };
        if self.dead {
            return Err(broken(&self.at, "it was given up after an earlier error".to_owned()));
        }
        self.dead = true;
        if self.commands.send(bytes).is_err() {
            return Err(broken(&self.at, "it is closed".to_owned()));
        }
        match self.answers.recv_timeout(self.patience.command) {
            Ok(Ok(bytes)) => {
                self.dead = false;
                Ok(bytes)
            }
            Ok(Err(e)) if matches!(e.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                Err(self.late(command))
            }
            Ok(Err(e)) if e.kind() == io::ErrorKind::InvalidData => {
                Err(Error::Answer { command, why: e.to_string() })
            }
            Ok(Err(e)) => Err(broken(&self.at, e.to_string())),
            Err(RecvTimeoutError::Timeout) => Err(self.late(command)),
            Err(RecvTimeoutError::Disconnected) => Err(broken(&self.at, "it is closed".to_owned())),
        }
    }

    /// How long is waited.
    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    fn late(&self, command: &'static str) -> Error {
        Error::Late { at: self.at.clone(), command, after: self.patience.command }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::net::TcpListener;

    use super::*;

    const OK: [u8; 10] = [0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0];

    fn line(script: impl FnOnce(TcpListener) + Send + 'static) -> Result<Line, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || script(listener));
        let patience = Patience { connect: Duration::from_millis(500), command: Duration::from_millis(300) };
        Line::open(&Address::Tcp { host: "127.0.0.1".to_owned(), port }, patience)
    }

    #[test]
    fn a_server_that_says_nothing_is_given_up() {
        let mut l = line(|l| {
            let _held = l.accept().unwrap();
            thread::sleep(Duration::from_secs(2));
        })
        .unwrap();
        let begun = Instant::now();
        assert!(matches!(l.exchange("TPM2_Sign", OK.to_vec()), Err(Error::Late { .. })));
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert!(matches!(l.exchange("TPM2_Sign", OK.to_vec()), Err(Error::Broken { .. })));
    }

    #[test]
    fn a_server_that_drips_is_given_up() {
        let mut l = line(|l| {
            let (mut s, _) = l.accept().unwrap();
            for b in OK {
                thread::sleep(Duration::from_millis(100));
                if s.write_all(&[b]).is_err() {
                    return;
                }
            }
        })
        .unwrap();
        assert!(matches!(l.exchange("TPM2_Sign", OK.to_vec()), Err(Error::Late { .. })));
    }

    #[test]
    fn lengths_are_checked_before_anything_is_kept() {
        for (size, more) in [(0xffff_ffff_u32, 0), (9, 0), (4097, 0), (10, 1), (12, 0)] {
            let mut l = line(move |l| {
                let (mut s, _) = l.accept().unwrap();
                s.read_exact(&mut [0; 10]).unwrap();
                let mut head = OK.to_vec();
                head[2..6].copy_from_slice(&size.to_be_bytes());
                head.extend(vec![7; more]);
                let _ = s.write_all(&head);
            })
            .unwrap();
            assert!(matches!(l.exchange("TPM2_Sign", OK.to_vec()), Err(Error::Answer { .. })), "{size}");
        }
    }

    #[test]
    fn a_server_that_closes_after_each_answer_serves() {
        let mut l = line(|l| {
            for s in l.incoming() {
                let mut s = s.unwrap();
                let mut command = [0; 10];
                if s.read_exact(&mut command).is_ok() {
                    s.write_all(&OK).unwrap();
                }
            }
        })
        .unwrap();
        for _ in 0..20 {
            assert_eq!(l.exchange("TPM2_Sign", OK.to_vec()).unwrap(), OK);
        }
    }

    #[test]
    fn nothing_there_is_said() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for address in [
            Address::Tcp { host: "127.0.0.1".to_owned(), port: gone },
            Address::Device("/nowhere/tpm".into()),
            Address::Unix("/nowhere/tpm".into()),
        ] {
            assert!(
                matches!(Line::open(&address, Patience::default()), Err(Error::Unreachable { .. })),
                "{address}"
            );
        }
    }
}
