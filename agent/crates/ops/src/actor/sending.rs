//! A copy on its way to another vault, watched by the row of its replication.

use backstop_catalog::NewReplication;
use backstop_model::run::{SnapshotMade, StepOutput};
use backstop_model::{BackupName, Bytes, Place, ReplicationState};
use backstop_seams::{Progress, Tick};

use super::{Done, Worker, made_of, vault_fault};
use crate::context::Context;

impl Worker<'_> {
    pub(super) fn send_copy(&self, backup: &BackupName, from: &Place, to: &Place) -> Done {
        let record = self.record(backup)?;
        let (source, target) = (self.ctx.vault_at(from)?, self.ctx.vault_at(to)?);
        let region = |place: &Place| match place.vault().map(|name| self.ctx.vault_config(name)) {
            Some(Ok(config)) => config.region.to_string(),
            _ => String::new(),
        };
        let at = self.ctx.outside.clock.now();
        let job = self.ctx.catalog.begin_replication(&NewReplication {
            run: self.run.id.clone(),
            backup: backup.clone(),
            workload: record.workload.clone(),
            from: from.clone(),
            to: to.clone(),
            source_region: region(from),
            target_region: region(to),
            state: ReplicationState::InProgress,
            at,
            total: None,
        })?;
        self.progress.stage(&format!("copying {backup} to {to}"));
        let noting = NotedProgress::new(self.ctx, job, self.progress);
        let id = self.snapshot_id(backup, from)?;
        let copied = source.copy_to(&id, &target, &noting).map_err(|error| vault_fault(&error));
        let at = self.ctx.outside.clock.now();
        match copied {
            Ok(copied) => {
                // A repeated step finds its row ended already.
                let _ = self.ctx.catalog.update_replication(job, Bytes(copied.read), Some(Bytes(copied.read)), at);
                self.ctx.catalog.finish_replication(job, Ok(copied.snapshot.id), at)?;
                Ok(StepOutput::Snapshot(SnapshotMade { read: copied.read, ..made_of(&copied.snapshot, copied.stored) }))
            }
            Err(fault) => {
                // An interrupted copy goes on with the next attempt; its row ends with that one.
                self.ctx.catalog.finish_replication(job, Err(&fault.message), at)?;
                Err(fault)
            }
        }
    }
}

/// Ticks that also go to the replication's row, once a second, so that another terminal can watch.
struct NotedProgress<'a> {
    ctx: &'a Context,
    job: i64,
    inner: &'a dyn Progress,
    last: std::sync::atomic::AtomicU64,
}

impl<'a> NotedProgress<'a> {
    fn new(ctx: &'a Context, job: i64, inner: &'a dyn Progress) -> Self {
        Self { ctx, job, inner, last: std::sync::atomic::AtomicU64::new(0) }
    }
}

impl Progress for NotedProgress<'_> {
    fn tick(&self, tick: Tick) {
        use std::sync::atomic::Ordering;
        self.inner.tick(tick);
        let now = self.ctx.outside.clock.monotonic().as_secs();
        if self.last.swap(now, Ordering::Relaxed) != now {
            let at = self.ctx.outside.clock.now();
            // A row that cannot be written now is written by the next tick, or by the end.
            let _ = self.ctx.catalog.update_replication(self.job, Bytes(tick.bytes), tick.bytes_total.map(Bytes), at);
        }
    }
    fn cancelled(&self) -> bool {
        self.inner.cancelled()
    }
}
