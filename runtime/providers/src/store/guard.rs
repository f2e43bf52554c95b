//! Errors of the database, and its panics on files that were tampered with, as errors of the store.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use redb::{Database, Error};
use twinml_engine::timeline::StoreError;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}
static HOOK: Once = Once::new();

/// Does something with the database. It checks a page when it needs it and may panic on one that is not what it wrote;
/// that is an error like any other here, and says nothing on its way.
pub fn guarded<T>(act: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let done = catch_unwind(AssertUnwindSafe(act));
    QUIET.set(before);
    done.unwrap_or_else(|_| {
        Err(StoreError::Corrupt { why: "the database's pages do not hold together".to_owned() })
    })
}

/// An error of the database.
pub fn failed(error: impl Into<Error>) -> StoreError {
    match error.into() {
        Error::DatabaseAlreadyOpen => StoreError::Busy,
        Error::Io(e)
            if matches!(e.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof) =>
        {
            StoreError::Corrupt { why: e.to_string() }
        }
        Error::Io(e) => StoreError::Outside { why: e.to_string() },
        other => StoreError::Corrupt { why: other.to_string() },
    }
}

/// A database that is closed under guard too: closing writes.
pub struct Held(Option<Database>);

impl Held {
    /// Holds it.
    pub fn of(db: Database) -> Held {
        Held(Some(db))
    }

    /// The database.
    pub fn get(&self) -> Result<&Database, StoreError> {
        self.0.as_ref().ok_or(StoreError::Busy)
    }

    /// The database, to be put in order.
    pub fn get_mut(&mut self) -> Result<&mut Database, StoreError> {
        self.0.as_mut().ok_or(StoreError::Busy)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let db = self.0.take();
        // Whatever it says: what was committed is flushed already.
        let _ = guarded(|| {
            drop(db);
            Ok(())
        });
    }
}
