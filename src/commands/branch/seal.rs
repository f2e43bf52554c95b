//! The results of branches, signed: each folder stands by itself, with the snapshot that the branch grew from.

use std::path::{Path, PathBuf};

use twinml_engine::provenance::Signer;
use twinml_engine::record;
use twinml_engine::snapshot::Snapshot;
use twinml_engine::timeline::Id;

use crate::commands::job::Ready;
use crate::commands::run::Ran;
use crate::commands::vault::Vault;
use crate::commands::{sign, snapshot, timeline};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::Written;
use crate::world;

/// Signs one result after the other, where there is a key.
pub struct Seal<'v> {
    vault: &'v Vault,
    from: &'v Snapshot,
    /// The snapshot beside the first results; those beside others are the same file where the system can do that.
    first: Option<PathBuf>,
    /// The roots of what was signed.
    roots: Vec<Id>,
}

impl<'v> Seal<'v> {
    /// With the keys of the command.
    pub fn new(vault: &'v Vault, from: &'v Snapshot) -> Seal<'v> {
        Seal { vault, from, first: None, roots: Vec::new() }
    }

    /// Signs the results of one branch; without a key, takes away a signature of what was written over.
    ///
    /// # Errors
    ///
    /// What failed was said.
    pub fn put(&mut self, ready: &Ready, ran: &Ran<'_>, place: &Path, ui: &Ui) -> Result<(), Exit> {
        let mut signer = self.vault.signer.borrow_mut();
        let path = place.join(sign::BUNDLE);
        let Some(signer) = &mut *signer else {
            sign::outdated(&path, ui);
            return Ok(());
        };
        let mut files: Vec<(PathBuf, &'static str)> =
            ran.files.iter().map(|p| (p.clone(), "result")).collect();
        files.extend(ran.events.iter().map(|p| (p.clone(), "events")));
        files.push((place.join("summary.json"), "summary"));
        let own = place.join(format!("from@{}.twinsnap", snapshot::instant(self.from.state.clock.asked)));
        let _ = std::fs::remove_file(&own);
        let linked = self.first.as_ref().is_some_and(|first| std::fs::hard_link(first, &own).is_ok());
        if !linked {
            let sealed = self.vault.sealed(self.from.encode()).map_err(|e| {
                ui.error(&e.to_string(), e.help());
                Exit::Outside
            })?;
            record::file::write_atomic(&own, &sealed).map_err(|e| {
                ui.error(&e.to_string(), None);
                Exit::Outside
            })?;
            self.first = Some(own.clone());
        }
        files.push((own, "snapshot"));
        self.roots.push(sign::envelope(ready, ran.report.time, &path, &files, &mut **signer, ui)?);
        ui.object(&Written::file(&path, "signature"));
        Ok(())
    }

    /// Notes all that was signed, as one operation.
    ///
    /// # Errors
    ///
    /// What failed was said.
    pub fn log(&self, folder: &Path, ui: &Ui) -> Result<(), Exit> {
        if self.roots.is_empty() {
            return Ok(());
        }
        let details = [("folder", world::shown(folder)), ("roots", timeline::list(&self.roots))];
        let mut signer = self.vault.signer.borrow_mut();
        sign::logged("branch results", &details, signer.as_mut().map(|s| &mut **s as &mut dyn Signer), ui)
    }
}
