//! Files in an S3-compatible object store: read, written whole or not at all, listed, removed.
//!
//! In: an address `s3://bucket/prefix` and settings, which come from the environment alone. Out: bytes. Requests are
//! signed by `rusty-s3` and sent, one after the other, by `ureq` over rustls; servers are verified, and plain http is spoken
//! only where the endpoint says `http://`. What goes wrong on the way is tried again a few times. An object appears when it
//! is complete: small ones by one request, large ones by a multipart upload, whose completion is one step.
//!
//! Keys, tokens and signatures stand in no error and in no `Debug`: a signed address is itself a secret for a while, so
//! errors name the object, the status and the store's own word for what is wrong.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rusty_s3::actions::{CompleteMultipartUploadResponse, CreateMultipartUpload, ListObjectsV2};
use rusty_s3::{Credentials, S3Action, UrlStyle};
use ureq::http::Response;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

/// How long a signed request may take to arrive.
const VALID: Duration = Duration::from_secs(900);
/// Attempts of a request.
const ATTEMPTS: u32 = 5;
/// The wait before the second attempt; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes of a part of a large object, and of the largest object that goes in one request.
const PART: u64 = 16 << 20;
/// Parts that an object may have.
const PARTS: u64 = 10_000;

/// What cannot be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectError {
    /// The address or a setting makes no sense: what is wrong with it.
    Setting(String),
    /// There is no such object.
    Missing(String),
    /// The store refuses: the object, the status, the store's word for it (empty: none).
    Refused(String, u16, String),
    /// The store was not reached, or did not end its answer: the object, and why.
    Unreached(String, String),
    /// A local file could not be read or written.
    Local(String),
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectError::Setting(what) | ObjectError::Local(what) => f.write_str(what),
            ObjectError::Missing(object) => write!(f, "there is no `{object}`"),
            ObjectError::Refused(object, status, code) if code.is_empty() => {
                write!(f, "the store refuses `{object}` with status {status}")
            }
            ObjectError::Refused(object, status, code) => {
                write!(f, "the store refuses `{object}`: {code} (status {status})")
            }
            ObjectError::Unreached(object, why) => write!(f, "could not reach `{object}`: {why}"),
        }
    }
}

impl std::error::Error for ObjectError {}

impl From<ObjectError> for io::Error {
    fn from(e: ObjectError) -> io::Error {
        let kind = match &e {
            ObjectError::Missing(_) => io::ErrorKind::NotFound,
            ObjectError::Refused(..) => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, e)
    }
}

/// Objects of a bucket whose names begin alike.
#[derive(Clone)]
pub struct Store {
    bucket: rusty_s3::Bucket,
    credentials: Option<Credentials>,
    agent: Agent,
    /// Without a slash at its ends; empty: the whole bucket.
    prefix: String,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.address())
    }
}

/// Whether a place is an address of an object store.
#[must_use]
pub fn is_address(text: &str) -> bool {
    text.starts_with("s3://")
}

/// Bucket and prefix of `s3://bucket/prefix`.
fn parts(address: &str) -> Result<(String, String), ObjectError> {
    let wrong =
        |why: &str| ObjectError::Setting(format!("`{address}` is no place in an object store: {why}"));
    let rest = address.strip_prefix("s3://").ok_or_else(|| wrong("it does not begin with s3://"))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(fits) {
        return Err(wrong(
            "a bucket has 3 to 63 small letters, digits, dots and hyphens, as in s3://results/farm",
        ));
    }
    let prefix = prefix.trim_matches('/');
    if prefix.split('/').any(|p| p == "." || p == "..") || prefix.chars().any(char::is_control) {
        return Err(wrong("a part of it is `.` or `..`, or not text"));
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

impl Store {
    /// The store at an address, with what the environment says by these names: `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` (without the first two, requests are not signed); `AWS_REGION` or
    /// `AWS_DEFAULT_REGION`, else `us-east-1`; `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, else that of the region;
    /// `AWS_CA_BUNDLE`, a file with the certificates that are trusted instead of those of the web.
    ///
    /// # Errors
    ///
    /// [`ObjectError::Setting`], [`ObjectError::Local`].
    pub fn open(address: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Store, ObjectError> {
        let (name, prefix) = parts(address)?;
        let set = |names: &[&str]| names.iter().find_map(|n| variable(n)).filter(|v| !v.trim().is_empty());
        let region = set(&["AWS_REGION", "AWS_DEFAULT_REGION"]).unwrap_or_else(|| "us-east-1".to_owned());
        let own = set(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
        let style = if own.is_some() { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let endpoint = own.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let plain = endpoint.starts_with("http://");
        if !plain && !endpoint.starts_with("https://") {
            return Err(ObjectError::Setting(
                "the endpoint of the object store (AWS_ENDPOINT_URL) begins neither with https:// nor with http://"
                    .to_owned(),
            ));
        }
        let wrong = || {
            ObjectError::Setting(
                "the endpoint of the object store (AWS_ENDPOINT_URL) is no address".to_owned(),
            )
        };
        let endpoint = endpoint.parse().map_err(|_| wrong())?;
        let bucket = rusty_s3::Bucket::new(endpoint, style, name, region).map_err(|_| wrong())?;
        let credentials = match (set(&["AWS_ACCESS_KEY_ID"]), set(&["AWS_SECRET_ACCESS_KEY"])) {
            (Some(key), Some(secret)) => Some(match set(&["AWS_SESSION_TOKEN"]) {
                Some(token) => Credentials::new_with_token(key, secret, token),
                None => Credentials::new(key, secret),
            }),
            (None, None) => None,
            _ => {
                let what =
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together, and one of them is not set";
                return Err(ObjectError::Setting(what.to_owned()));
            }
        };
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(!plain)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(120)));
        if let Some(file) = set(&["AWS_CA_BUNDLE"]) {
            config = config.tls_config(TlsConfig::builder().root_certs(trusted(&file)?).build());
        }
        Ok(Store { bucket, credentials, agent: config.build().new_agent(), prefix })
    }

    /// What lies below a name of this one.
    #[must_use]
    pub fn below(&self, name: &str) -> Store {
        Store { prefix: self.key(name), ..self.clone() }
    }

    /// `s3://bucket/prefix`
    #[must_use]
    pub fn address(&self) -> String {
        self.of("")
    }

    /// The address of an object.
    #[must_use]
    pub fn of(&self, name: &str) -> String {
        format!("s3://{}/{}", self.bucket.name(), self.key(name))
    }

    fn key(&self, name: &str) -> String {
        match (self.prefix.is_empty(), name.is_empty()) {
            (true, _) => name.to_owned(),
            (_, true) => self.prefix.clone(),
            _ => format!("{}/{name}", self.prefix),
        }
    }

    /// Sends a request until it is answered; `what`: what it is about. Gives the answer where it is a success.
    fn send<'a, A: S3Action<'a>>(
        &self,
        what: &str,
        action: &A,
        body: Option<&[u8]>,
    ) -> Result<Response<Body>, ObjectError> {
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            // Signed anew each time: a signature lives for minutes.
            let url = action.sign(VALID);
            let url = url.as_str();
            let answer = match (A::METHOD, body) {
                (rusty_s3::Method::Get, _) => self.agent.get(url).call(),
                (rusty_s3::Method::Head, _) => self.agent.head(url).call(),
                (rusty_s3::Method::Delete, _) => self.agent.delete(url).call(),
                (rusty_s3::Method::Put, b) => self.agent.put(url).send(b.unwrap_or_default()),
                (rusty_s3::Method::Post, b) => self.agent.post(url).send(b.unwrap_or_default()),
            };
            let failed = match answer {
                Ok(a) if a.status().is_success() => return Ok(a),
                Ok(a) => {
                    let status = a.status().as_u16();
                    let said = Said::of(a);
                    // What is written need not be there; and an upload that is not there is no missing object.
                    let reads = !matches!(A::METHOD, rusty_s3::Method::Put | rusty_s3::Method::Post);
                    if status == 404 && reads && matches!(&*said.code, "" | "NoSuchKey" | "NotFound") {
                        return Err(ObjectError::Missing(what.to_owned()));
                    }
                    let again = status >= 500 || status == 429;
                    (ObjectError::Refused(what.to_owned(), status, self.fit_to_tell(said)), again)
                }
                Err(e) => {
                    let again = match &e {
                        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => false,
                        ureq::Error::Io(e) => e.kind() != io::ErrorKind::InvalidData,
                        _ => true,
                    };
                    (ObjectError::Unreached(what.to_owned(), reason(&e)), again)
                }
            };
            if !failed.1 || attempt == ATTEMPTS {
                return Err(failed.0);
            }
            sleep(pause);
            pause *= 2;
            attempt += 1;
        }
    }

    /// The bytes of an object.
    ///
    /// # Errors
    ///
    /// [`ObjectError::Missing`], [`ObjectError::Refused`], [`ObjectError::Unreached`].
    pub fn read(&self, name: &str) -> Result<Vec<u8>, ObjectError> {
        let (key, what) = (self.key(name), self.of(name));
        let action = self.bucket.get_object(self.credentials.as_ref(), &key);
        let mut tries = 1;
        loop {
            let mut answer = self.send(&what, &action, None)?;
            match answer.body_mut().with_config().limit(u64::MAX).read_to_vec() {
                Ok(bytes) => return Ok(bytes),
                Err(e) if tries == ATTEMPTS => return Err(ObjectError::Unreached(what, reason(&e))),
                Err(_) => tries += 1,
            }
        }
    }

    /// Writes an object, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`ObjectError::Refused`], [`ObjectError::Unreached`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ObjectError> {
        let key = self.key(name);
        let action = self.bucket.put_object(self.credentials.as_ref(), &key);
        self.send(&self.of(name), &action, Some(bytes)).map(|_| ())
    }

    /// Writes the contents of a file, whole or not at all, in parts where it is large.
    ///
    /// # Errors
    ///
    /// As [`Store::write`]; [`ObjectError::Local`] where the file cannot be read.
    pub fn upload(&self, name: &str, file: &Path) -> Result<(), ObjectError> {
        self.upload_in_parts(name, file, PART)
    }

    fn upload_in_parts(&self, name: &str, file: &Path, part: u64) -> Result<(), ObjectError> {
        let local = |e: io::Error| ObjectError::Local(format!("could not read `{}`: {e}", file.display()));
        let mut from = File::open(file).map_err(local)?;
        let size = from.metadata().map_err(local)?.len();
        if size <= part {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).map_err(local)?;
            return self.write(name, &bytes);
        }
        let part = part.max(size.div_ceil(PARTS));
        let (key, what) = (self.key(name), self.of(name));
        let own = self.credentials.as_ref();
        let odd = |why: &str| ObjectError::Unreached(what.clone(), why.to_owned());
        let begun = text(&what, self.send(&what, &self.bucket.create_multipart_upload(own, &key), None)?)?;
        let begun = CreateMultipartUpload::parse_response(&begun)
            .map_err(|_| odd("what it answers to the beginning of an upload is not understood"))?;
        let id = begun.upload_id();
        let sent = (|| {
            let mut marks = Vec::new();
            loop {
                let mut bytes = Vec::new();
                from.by_ref().take(part).read_to_end(&mut bytes).map_err(local)?;
                if bytes.is_empty() {
                    break;
                }
                let number = marks.len() as u16 + 1;
                let action = self.bucket.upload_part(own, &key, number, id);
                let answer = self.send(&what, &action, Some(&bytes))?;
                let mark = answer.headers().get("etag").and_then(|v| v.to_str().ok()).map(str::to_owned);
                marks.push(mark.ok_or_else(|| odd("it does not say what it calls a part"))?);
            }
            let action =
                self.bucket.complete_multipart_upload(own, &key, id, marks.iter().map(String::as_str));
            let body = action.clone().body();
            // A store may say yes before it knows, and no in the answer's text.
            let answer = text(&what, self.send(&what, &action, Some(body.as_bytes()))?)?;
            CompleteMultipartUploadResponse::parse(&answer).map(|_| ()).map_err(|_| {
                let said = self.fit_to_tell(Said::in_text(&answer));
                if !said.is_empty() {
                    return ObjectError::Refused(what.clone(), 200, said);
                }
                let words = Said { code: String::new(), message: plain(&answer) };
                let why = "it could not put the parts together, or says so in other words than those of the protocol";
                match self.fit_to_tell(words) {
                    words if words.is_empty() => odd(&format!("{why}: its answer is empty")),
                    words => odd(&format!("{why}: `{words}`")),
                }
            })
        })();
        if sent.is_err() {
            // What is left of it would be paid for; that this fails too changes nothing.
            let _ = self.send(&what, &self.bucket.abort_multipart_upload(own, &key, id), None);
        }
        sent
    }

    /// The store's words, as far as they hold nothing of what signs requests.
    fn fit_to_tell(&self, said: Said) -> String {
        let own =
            self.credentials.iter().flat_map(|c| [Some(c.key()), Some(c.secret()), c.token()]).flatten();
        let hushed = own.into_iter().any(|own| !own.is_empty() && said.message.contains(own))
            || ["X-Amz-", "Signature="].iter().any(|mark| said.message.contains(mark));
        match (said.code.as_str(), said.message.as_str()) {
            (code, message) if message.is_empty() || hushed => code.to_owned(),
            ("", message) => message.to_owned(),
            (code, message) => format!("{code}: {message}"),
        }
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    ///
    /// [`ObjectError::Refused`], [`ObjectError::Unreached`].
    pub fn remove(&self, name: &str) -> Result<(), ObjectError> {
        let key = self.key(name);
        match self.send(&self.of(name), &self.bucket.delete_object(self.credentials.as_ref(), &key), None) {
            Ok(_) | Err(ObjectError::Missing(_)) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// The names of all objects below, sorted.
    ///
    /// # Errors
    ///
    /// [`ObjectError::Refused`], [`ObjectError::Unreached`].
    pub fn list(&self) -> Result<Vec<String>, ObjectError> {
        Ok(self.names(false)?.0)
    }

    /// The names that stand before a slash in the names below: what a folder calls folders. Sorted.
    ///
    /// # Errors
    ///
    /// [`ObjectError::Refused`], [`ObjectError::Unreached`].
    pub fn folders(&self) -> Result<Vec<String>, ObjectError> {
        Ok(self.names(true)?.1)
    }

    /// Objects, and folders where it is not looked into them.
    fn names(&self, level: bool) -> Result<(Vec<String>, Vec<String>), ObjectError> {
        let what = self.address();
        let prefix = if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) };
        let (mut names, mut folders) = (Vec::new(), Vec::new());
        let mut next: Option<String> = None;
        loop {
            let mut action = self.bucket.list_objects_v2(self.credentials.as_ref());
            action.with_prefix(prefix.as_str());
            if level {
                action.with_delimiter("/");
            }
            if let Some(token) = &next {
                action.with_continuation_token(token.as_str());
            }
            let answer = text(&what, self.send(&what, &action, None)?)?;
            let odd =
                |_| ObjectError::Unreached(what.clone(), "its list of objects is not understood".to_owned());
            let page = ListObjectsV2::parse_response(&answer).map_err(odd)?;
            let own = |key: &str| key.strip_prefix(&prefix).filter(|n| !n.is_empty()).map(str::to_owned);
            names.extend(page.contents.iter().filter_map(|c| own(&c.key)));
            folders.extend(page.common_prefixes.iter().filter_map(|c| own(c.prefix.trim_end_matches('/'))));
            match page.next_continuation_token {
                Some(token) if next.as_ref() != Some(&token) => next = Some(token),
                _ => break,
            }
        }
        names.sort();
        folders.sort();
        Ok((names, folders))
    }
}

/// The certificates of a file.
fn trusted(file: &str) -> Result<RootCerts, ObjectError> {
    let wrong = |why: String| ObjectError::Setting(format!("`{file}` (AWS_CA_BUNDLE): {why}"));
    let bytes = std::fs::read(file).map_err(|e| wrong(e.to_string()))?;
    let certificate = |item| match item {
        Ok(PemItem::Certificate(c)) => Some(c),
        _ => None,
    };
    let list: Vec<Certificate<'static>> = parse_pem(&bytes).filter_map(certificate).collect();
    if list.is_empty() {
        return Err(wrong("there is no certificate in it".to_owned()));
    }
    Ok(RootCerts::new_with_certs(&list))
}

/// The text of an answer.
fn text(what: &str, mut answer: Response<Body>) -> Result<String, ObjectError> {
    answer.body_mut().read_to_string().map_err(|e| ObjectError::Unreached(what.to_owned(), reason(&e)))
}

/// The store's own word for what is wrong, `NoSuchKey`, and its sentence. Both may be empty.
#[derive(Debug, Default, PartialEq)]
struct Said {
    code: String,
    message: String,
}

/// Most characters of a store's sentence that are told.
const MOST_SAID: usize = 300;

impl Said {
    fn of(mut answer: Response<Body>) -> Said {
        let text = answer.body_mut().with_config().limit(64 << 10).read_to_string();
        Said::in_text(&text.unwrap_or_default())
    }

    fn in_text(text: &str) -> Said {
        let inner = |tag: &str| {
            let (_, rest) = text.split_once(&format!("<{tag}>"))?;
            rest.split_once(&format!("</{tag}>")).map(|(inner, _)| inner.trim())
        };
        let word = inner("Code").filter(|w| w.chars().all(|c| c.is_ascii_alphanumeric())).unwrap_or_default();
        let mut message = inner("Message").unwrap_or_default().to_owned();
        for (name, sign) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
        {
            message = message.replace(name, sign);
        }
        Said { code: word.to_owned(), message: plain(&message) }
    }
}

/// The beginning of a text, on one line.
fn plain(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(MOST_SAID).collect()
}

/// Why a request was not answered. Errors that could hold an address are put into words of ours: addresses are signed.
fn reason(e: &ureq::Error) -> String {
    match e {
        // What is wrong with a certificate arrives as an error of reading.
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::InvalidData => format!("no secure connection: {e}"),
        ureq::Error::Io(e) => e.to_string(),
        ureq::Error::Timeout(_) => "it takes too long to answer".to_owned(),
        ureq::Error::HostNotFound => "there is no such host".to_owned(),
        ureq::Error::ConnectionFailed => "the connection failed".to_owned(),
        ureq::Error::Tls(why) => format!("no secure connection: {why}"),
        ureq::Error::Rustls(e) => format!("no secure connection: {e}"),
        ureq::Error::Protocol(_) => "what it answers is not HTTP".to_owned(),
        _ => "the request could not be sent".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(address: &str, set: &[(&str, &str)]) -> Result<Store, ObjectError> {
        let own: Vec<(String, String)> =
            set.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Store::open(address, &move |name| own.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()))
    }

    const KEYS: [(&str, &str); 2] =
        [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "hush-hush")];

    #[test]
    fn addresses_have_a_bucket_and_a_prefix() {
        let store = open("s3://results/farm/day/", &KEYS).expect("an address");
        assert_eq!(store.address(), "s3://results/farm/day");
        assert_eq!(store.below("shard-1").of("job.json"), "s3://results/farm/day/shard-1/job.json");
        assert_eq!(open("s3://results", &KEYS).expect("an address").of("a/b"), "s3://results/a/b");
        for wrong in
            ["s3://", "s3:///x", "s3://ab/x", "s3://Upper/x", "s3://with space/x", "s3://results/../x"]
        {
            assert!(matches!(open(wrong, &KEYS), Err(ObjectError::Setting(_))), "{wrong}");
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for endpoint in ["127.0.0.1:9000", "ftp://host", "https://"] {
            let found = open("s3://results", &[KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", endpoint)]);
            assert!(matches!(found, Err(ObjectError::Setting(_))), "{endpoint}");
        }
        assert!(matches!(open("s3://results", &KEYS[..1]), Err(ObjectError::Setting(_))));
        let found = open("s3://results", &[("AWS_CA_BUNDLE", "/nowhere/ca.pem")]);
        assert!(matches!(found, Err(ObjectError::Setting(_))));
    }

    #[test]
    fn a_store_is_heard() {
        let store = open("s3://results/x", &KEYS).expect("an address");
        let tell = |text: &str| store.fit_to_tell(Said::in_text(text));
        let odd = "<?xml version=\"1.0\"?><Error><Code>NoSuchUpload</Code>\n<Message>The upload ID\n &lt;7&gt; is not \
            valid.</Message></Error>";
        assert_eq!(tell(odd), "NoSuchUpload: The upload ID <7> is not valid.");
        assert_eq!(tell("<Code>SlowDown</Code>"), "SlowDown");
        assert_eq!(tell("<html>It works</html>"), "");
        // What signs a request is not said again.
        assert_eq!(tell("<Code>Denied</Code><Message>no key AKIDEXAMPLE here</Message>"), "Denied");
    }

    #[test]
    fn secrets_stand_nowhere() {
        // Nothing listens there.
        let set =
            [KEYS[0], KEYS[1], ("AWS_SESSION_TOKEN", "tok-tok"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:9")];
        let store = open("s3://results/x", &set).expect("an address");
        let error = store.read("job.json").expect_err("nothing listens");
        for said in [format!("{store:?}"), format!("{error:?}"), error.to_string()] {
            for secret in ["AKIDEXAMPLE", "hush-hush", "tok-tok", "Signature"] {
                assert!(!said.contains(secret), "{said}");
            }
        }
        assert!(error.to_string().contains("s3://results/x/job.json"), "{error}");
    }
}
