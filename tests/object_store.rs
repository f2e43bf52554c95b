//! `twinc mc` with results in an S3-compatible store: a real server on this machine (moto's, of PyPI; `TWINML_MOTO` names
//! `moto_server`, else it is looked for on the path). Where there is none, the tests say so and are left out; with
//! `TWINML_MOTO` set that is an error.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const MODEL: &str = "
twin Decay {
  parameters { k: Real[1/s] = 0.5 ~ lognormal(0.5, 0.1); b: Real = 1 ~ uniform(0, 1) }
  states { x: Real = 1 }
  equations { der(x) = -k * x }
  constraints { small: always(b < 0.8) with probability >= 0.7; low: always(x > 0) }
}
scenario s for Decay { duration: 2 s; samples: 3000 }
";

const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";

/// The server, stopped when the test ends, however it does.
struct Server {
    child: Child,
    endpoint: String,
    place: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Server {
    fn start(flags: &[&str]) -> Option<Server> {
        let wanted = std::env::var_os("TWINML_MOTO");
        let program = wanted.clone().unwrap_or_else(|| "moto_server".into());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("m.twinml"), MODEL).unwrap();
        let child = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .args(flags)
            .current_dir(place.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(e) => {
                assert!(wanted.is_none(), "{}: {e}", program.display());
                eprintln!("left out: there is no moto_server (pip install 'moto[server]')");
                return None;
            }
        };
        let scheme = if flags.is_empty() { "http" } else { "https" };
        let mut server = Server { child, endpoint: format!("{scheme}://127.0.0.1:{port}"), place };
        for _ in 0..300 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            assert!(server.child.try_wait().unwrap().is_none(), "moto_server has ended");
            sleep(Duration::from_millis(100));
        }
        panic!("moto_server does not listen");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_twinc"));
        c.args(args).current_dir(self.place.path());
        for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("AWS_") || n.starts_with("SLURM_")) {
            c.env_remove(name);
        }
        c.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET);
        c.env("AWS_ENDPOINT_URL", &self.endpoint);
        c
    }

    fn twinc(&self, args: &[&str]) -> Ran {
        ran(self.command(args))
    }

    fn client(&self) -> twinml_objects::Store {
        self.store("s3://results")
    }

    fn store(&self, address: &str) -> twinml_objects::Store {
        let endpoint = self.endpoint.clone();
        let get = move |name: &str| match name {
            "AWS_ACCESS_KEY_ID" => Some(KEY.to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some(SECRET.to_owned()),
            "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
            _ => None,
        };
        twinml_objects::Store::open(address, &get).unwrap()
    }

    /// Makes the bucket `results`: a plain request, which moto takes without a signature.
    fn bucket(&self) {
        use std::io::{Read as _, Write as _};
        let host = self.endpoint.trim_start_matches("http://");
        let mut s = TcpStream::connect(host).unwrap();
        s.write_all(make_bucket(host).as_bytes()).unwrap();
        let mut answer = String::new();
        s.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// The same over TLS, by OpenSSL.
    fn bucket_over_tls(&self) {
        use std::io::Write as _;
        let host = self.endpoint.trim_start_matches("https://");
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", host])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = client.stdin.take().unwrap();
        input.write_all(make_bucket(host).as_bytes()).unwrap();
        let answer = client.wait_with_output().unwrap().stdout;
        drop(input);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

fn make_bucket(host: &str) -> String {
    format!("PUT /results HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// An authority of one's own, `ca.pem`, and a certificate of this address that it has signed, `server.pem` with `server.key`.
fn certificates(place: &Path) {
    let openssl = |args: &str| {
        let done = Command::new("openssl").args(args.split(' ')).current_dir(place).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority"));
    openssl(&format!(
        "req -x509 -CA ca.pem -CAkey ca.key {key} -keyout server.key -out server.pem -subj /CN=store \
         -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:false"
    ));
}

fn ran(mut c: Command) -> Ran {
    let o = c.output().unwrap();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let ran = Ran { code: o.status.code(), out: text(&o.stdout), err: text(&o.stderr) };
    for said in [&ran.out, &ran.err] {
        assert!(!said.contains(SECRET) && !said.contains(KEY) && !said.contains("X-Amz-"), "{said}");
    }
    ran
}

impl Ran {
    #[track_caller]
    fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }
}

const RESULTS: [&str; 3] = ["runs.parquet", "summary.json", "report.html"];

#[test]
fn jobs_and_shards_in_a_store_have_the_bytes_of_those_on_disk() {
    let Some(server) = Server::start(&[]) else { return };
    server.bucket();
    let store = server.client();
    server.twinc(&["mc", "m.twinml", "--out", "disk"]).expect(0);
    let disk = |name: &str| fs::read(server.path("disk").join(name)).unwrap();
    // The job in one piece.
    let r = server.twinc(&["mc", "m.twinml", "--out", "s3://results/a/whole"]).expect(0);
    assert!(r.out.contains("s3://results/a/whole"), "{}", r.out);
    for name in RESULTS {
        assert!(store.below("a/whole").read(name).unwrap() == disk(name), "{name}");
    }
    assert_eq!(
        store.below("a/whole").list().unwrap(),
        ["job.json", "report.html", "runs.parquet", "summary.json"]
    );
    // Its samples can be run again.
    let r = server.twinc(&["replay", "s3://results/a/whole#7", "--out", "again"]).expect(0);
    assert!(r.out.contains("sample 7 of s"), "{}", r.out);
    assert!(server.path("again/trace.parquet").exists());
    // Shards, one of them killed half way and gone on with; then merged.
    for k in ["1/3", "3/3"] {
        server.twinc(&["mc", "m.twinml", "--shard", k, "--out", "s3://results/b"]).expect(0);
    }
    let r = server.twinc(&["mc", "merge", "s3://results/b"]).expect(2);
    assert!(r.err.contains("runs 1000 to 1999 are in no shard"), "{}", r.err);
    server.twinc(&["mc", "m.twinml", "--shard", "2/3", "--out", "s3://results/b"]).expect(0);
    let parts: Vec<String> =
        store.below("b/shard-00002-of-00003/parts").list().unwrap().into_iter().collect();
    assert_eq!(parts, ["0000001000.part"]);
    // A part that is lost is seen, and made again by `--resume`.
    store.remove("b/shard-00002-of-00003/parts/0000001000.part").unwrap();
    let r = server.twinc(&["mc", "merge", "s3://results/b"]).expect(2);
    assert!(r.err.contains("run 1000 is missing"), "{}", r.err);
    server.twinc(&["mc", "m.twinml", "--shard", "2/3", "--resume", "--out", "s3://results/b"]).expect(0);
    let r =
        server.twinc(&["mc", "m.twinml", "--shard", "2/3", "--resume", "--out", "s3://results/b"]).expect(0);
    assert!(
        r.err.contains("1 000 runs are done") || r.out.contains("1 000 runs are done"),
        "{}{}",
        r.out,
        r.err
    );
    server.twinc(&["mc", "merge", "s3://results/b"]).expect(0);
    for name in RESULTS {
        assert!(store.below("b").read(name).unwrap() == disk(name), "{name} of shards");
    }
    // Another job does not go on where this one was.
    let r = server
        .twinc(&["mc", "m.twinml", "--seed", "9", "--resume", "--out", "s3://results/a/whole"])
        .expect(2);
    assert!(r.err.contains("is of another job"), "{}", r.err);
}

#[test]
fn large_objects_go_in_parts_and_lists_in_pages() {
    let Some(server) = Server::start(&[]) else { return };
    server.bucket();
    let store = server.client().below("large");
    // Three parts of 16 MiB, the last a short one.
    let bytes: Vec<u8> = (0..(40u32 << 20)).map(|k| (k.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let file = server.path("large.bin");
    fs::write(&file, &bytes).unwrap();
    store.upload("file.bin", &file).unwrap();
    assert!(store.read("file.bin").unwrap() == bytes);
    for k in 0..1003 {
        store.write(&format!("many/{k:04}"), b"x").unwrap();
    }
    let names = store.below("many").list().unwrap();
    assert_eq!((names.len(), names[0].as_str(), names[1002].as_str()), (1003, "0000", "1002"));
    assert_eq!(store.folders().unwrap(), ["many"]);
    store.below("many").remove("0000").unwrap();
    store.below("many").remove("0000").unwrap();
    assert_eq!(store.below("many").list().unwrap().len(), 1002);
}

#[test]
fn what_is_wrong_with_a_store_is_said() {
    let Some(server) = Server::start(&[]) else { return };
    let r = server.twinc(&["mc", "m.twinml", "-n", "10", "--out", "s3://results/x"]).expect(5);
    assert!(r.err.contains("NoSuchBucket") && r.err.contains("s3://results/x"), "{}", r.err);
    server.bucket();
    let r = server.twinc(&["mc", "merge", "s3://results/nothing"]).expect(2);
    assert!(r.err.contains("there are no shards in `s3://results/nothing`"), "{}", r.err);
    let r = server.twinc(&["replay", "s3://results/nothing#1"]).expect(5);
    assert!(r.err.contains("there is no `s3://results/nothing/job.json`"), "{}", r.err);
    let r = server.twinc(&["mc", "m.twinml", "--out", "s3://Results/x"]).expect(2);
    assert!(r.err.contains("is no place in an object store"), "{}", r.err);
    let mut c = server.command(&["mc", "m.twinml", "--out", "s3://results/x"]);
    c.env_remove("AWS_SECRET_ACCESS_KEY");
    assert!(ran(c).expect(2).err.contains("belong together"));
    let mut c = server.command(&["mc", "m.twinml", "--out", "s3://results/x"]);
    c.env("AWS_ENDPOINT_URL", server.endpoint.trim_start_matches("http://"));
    assert!(ran(c).expect(2).err.contains("neither with https:// nor with http://"));
}

#[test]
fn a_server_that_nobody_vouches_for_is_not_spoken_to() {
    // A certificate that signs itself.
    let Some(server) = Server::start(&["-s"]) else { return };
    let error = server.client().read("x").unwrap_err().to_string();
    assert!(error.contains("no secure connection"), "{error}");
}

#[test]
fn an_authority_of_ones_own_vouches_for_a_server() {
    if Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_err() {
        eprintln!("left out: there is no openssl to make certificates");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    certificates(place.path());
    let file = |name: &str| place.path().join(name).display().to_string();
    let flags = ["-c", &file("server.pem"), "-k", &file("server.key")];
    let Some(server) = Server::start(&flags) else { return };
    server.bucket_over_tls();
    let job = ["mc", "m.twinml", "-n", "100", "--out", "s3://results/x"];
    let with = |bundle: &str| {
        let mut c = server.command(&job);
        c.env("AWS_CA_BUNDLE", file(bundle));
        ran(c)
    };
    with("ca.pem").expect(0);
    let mut c = server.command(&["replay", "s3://results/x#7", "--out", "again"]);
    c.env("AWS_CA_BUNDLE", file("ca.pem"));
    ran(c).expect(0);
    // Nobody else vouches for it, and what vouches is no key.
    let alone = server.twinc(&job).expect(5);
    assert!(alone.err.contains("no secure connection"), "{}", alone.err);
    let certificates = tempfile::tempdir().unwrap();
    self::certificates(certificates.path());
    let mut c = server.command(&job);
    c.env("AWS_CA_BUNDLE", certificates.path().join("ca.pem"));
    assert!(ran(c).expect(5).err.contains("no secure connection"));
    let no = with("ca.key").expect(2);
    assert!(no.err.contains("AWS_CA_BUNDLE"), "{}", no.err);
}
