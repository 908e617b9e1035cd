//! Opening a copy of a backup to look into it.

use std::sync::Arc;

use backstop_model::{Advice, Backup, ExitCode, Fault, Place};
use backstop_planner::choice;
use backstop_vault::{Snapshot, Vault};

use crate::Context;

/// A copy opened for reading.
pub(crate) struct Peek {
    /// Where it is.
    pub place: Place,
    /// The vault there.
    pub vault: Arc<Vault>,
    /// The snapshot.
    pub snapshot: Snapshot,
}

/// Opens the copy at `from`, else that at home, else the best proved one.
pub(crate) fn peek(ctx: &Context, backup: &Backup, from: Option<&Place>) -> Result<Peek, Fault> {
    let home = ctx.config.workloads.get(&backup.workload).map(|workload| &workload.schedule.home);
    let copy = match from {
        Some(place) => backup.copy_at(place),
        None => choice::source(backup, home),
    };
    let copy = copy.ok_or_else(|| {
        let at = from.map_or_else(String::new, |place| format!(" at {place}"));
        Fault::new(
            ExitCode::NotFound,
            Advice::CallAPerson,
            format!("backup `{}` has no copy{at} that can be read", backup.name),
            format!("`backstop backup show {}` lists its copies", backup.name),
        )
    })?;
    let vault = ctx.vault_at(&copy.place)?;
    let snapshot = vault.snapshot(&copy.snapshot).map_err(|error| error.fault())?;
    Ok(Peek { place: copy.place.clone(), vault, snapshot })
}
