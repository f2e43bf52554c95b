//! A TPM in software for tests: `swtpm` with a folder of its own and sockets in it, stopped when the test ends.
//!
//! Where `swtpm` is not installed, tests say so and are left out; with `TWINML_SWTPM=1` (as CI sets it where it could
//! install the package) that is an error.
#![allow(dead_code, reason = "each test uses its part")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Held while a port is looked for and taken: what another test has just begun may not yet listen on its own, and would
/// answer there in our stead.
static PORTS: Mutex<()> = Mutex::new(());

/// A running `swtpm`.
pub struct Swtpm {
    process: Option<Child>,
    /// Its state and its sockets.
    pub dir: PathBuf,
    /// Where it answers: `unix:…` or `tcp:…`.
    pub address: String,
    _own: Option<tempfile::TempDir>,
}

impl Swtpm {
    /// Starts one on a Unix socket, in a new folder. `None`, with a notice, where there is no `swtpm`.
    pub fn start() -> Option<Swtpm> {
        let own = tempfile::tempdir().unwrap();
        let mut it = Swtpm::start_in(own.path())?;
        it._own = Some(own);
        Some(it)
    }

    /// Starts one on a Unix socket with the state that a folder has.
    pub fn start_in(dir: &Path) -> Option<Swtpm> {
        let socket = dir.join("tpm.sock");
        let _ = fs::remove_file(&socket);
        let server = format!("type=unixio,path={}", socket.display());
        let process = Swtpm::spawn(dir, &server, "startup-clear")?;
        let begun = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "swtpm does not answer: {}", Swtpm::log(dir));
            sleep(Duration::from_millis(5));
        }
        Some(Swtpm {
            process: Some(process),
            dir: dir.to_owned(),
            address: format!("unix:{}", socket.display()),
            _own: None,
        })
    }

    /// Starts one on a TCP port that is free, with more of `swtpm`'s server options, such as `,disconnect`.
    pub fn start_tcp(options: &str) -> Option<Swtpm> {
        let own = tempfile::tempdir().unwrap();
        let _alone = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let server = format!("type=tcp,port={port},bindaddr=127.0.0.1{options}");
            let mut process = Swtpm::spawn(own.path(), &server, "startup-clear")?;
            let begun = Instant::now();
            // Somebody else may have taken the port: then it ends.
            while process.try_wait().unwrap().is_none() {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    let address = format!("tcp:127.0.0.1:{port}");
                    return Some(Swtpm {
                        process: Some(process),
                        dir: own.path().to_owned(),
                        address,
                        _own: Some(own),
                    });
                }
                assert!(
                    begun.elapsed() < Duration::from_secs(20),
                    "swtpm does not answer: {}",
                    Swtpm::log(own.path())
                );
                sleep(Duration::from_millis(5));
            }
        }
        panic!("swtpm found no free port: {}", Swtpm::log(own.path()));
    }

    /// Starts one as the TSS library wants it: its control channel on the port behind. The address is `tcp:…`.
    pub fn start_tss() -> Option<Swtpm> {
        let own = tempfile::tempdir().unwrap();
        let _alone = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..50 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if port == u16::MAX || TcpListener::bind(("127.0.0.1", port + 1)).is_err() {
                continue;
            }
            let server = format!("type=tcp,port={port},bindaddr=127.0.0.1");
            let control = format!("type=tcp,port={},bindaddr=127.0.0.1", port + 1);
            let mut process = Swtpm::spawn_with(own.path(), &server, &control, "startup-clear")?;
            let begun = Instant::now();
            while process.try_wait().unwrap().is_none() {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    let address = format!("tcp:127.0.0.1:{port}");
                    return Some(Swtpm {
                        process: Some(process),
                        dir: own.path().to_owned(),
                        address,
                        _own: Some(own),
                    });
                }
                assert!(begun.elapsed() < Duration::from_secs(20), "{}", Swtpm::log(own.path()));
                sleep(Duration::from_millis(5));
            }
        }
        panic!("swtpm found no free ports: {}", Swtpm::log(own.path()));
    }

    /// One that was not started up, as a machine's firmware would.
    pub fn start_unstarted() -> Option<Swtpm> {
        let own = tempfile::tempdir().unwrap();
        let socket = own.path().join("tpm.sock");
        let process = Swtpm::spawn(own.path(), &format!("type=unixio,path={}", socket.display()), "")?;
        while UnixStream::connect(&socket).is_err() {
            sleep(Duration::from_millis(5));
        }
        let address = format!("unix:{}", socket.display());
        Some(Swtpm { process: Some(process), dir: own.path().to_owned(), address, _own: Some(own) })
    }

    fn spawn(dir: &Path, server: &str, flags: &str) -> Option<Child> {
        let control = dir.join("control.sock");
        let _ = fs::remove_file(&control);
        Swtpm::spawn_with(dir, server, &format!("type=unixio,path={}", control.display()), flags)
    }

    fn spawn_with(dir: &Path, server: &str, control: &str, flags: &str) -> Option<Child> {
        let log = fs::File::create(dir.join("swtpm.log")).unwrap();
        let flags = ["not-need-init", flags].join(",");
        let started = Command::new("swtpm")
            .args(["socket", "--tpm2", "--tpmstate", &format!("dir={}", dir.display())])
            .args(["--server", server, "--flags", flags.trim_end_matches(',')])
            .args(["--ctrl", control])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        match started {
            Ok(process) => Some(process),
            Err(e) => {
                assert!(std::env::var_os("TWINML_SWTPM").is_none(), "swtpm: {e}");
                eprintln!("left out: there is no `swtpm` here ({e}); Debian's package is `swtpm`");
                None
            }
        }
    }

    fn log(dir: &Path) -> String {
        fs::read_to_string(dir.join("swtpm.log")).unwrap_or_default()
    }

    /// Stops it; its state stays in the folder.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// The file that holds its state.
    pub fn state(&self) -> PathBuf {
        self.dir.join("tpm2-00.permall")
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        self.stop();
    }
}
