//! Runs and their journal.

use backstop_model::{Event, EventBody, Fault, Outcome, Run, RunId, Timestamp, Verb, WorkloadName};
use backstop_seams::{Clock, Journal};
use rusqlite::{OptionalExtension, Row, Transaction, named_params, params};

use crate::audit::{self, NewAudit};
use crate::code::{Reading, json, limit, micros, truncated};
use crate::error::CatalogError;
use crate::leases::{self, Lease};
use crate::store::Catalog;

/// Which runs. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Begun not before this.
    pub since: Option<Timestamp>,
    /// On this workload.
    pub workload: Option<WorkloadName>,
    /// Of this verb.
    pub verb: Option<Verb>,
    /// Not ended yet: running, or interrupted and waiting to be resumed.
    pub open: bool,
    /// Ended so.
    pub outcome: Option<Outcome>,
    /// The newest so many.
    pub limit: Option<u32>,
}

const RUN: &str = "SELECT id, verb, workload, plan, started, finished, outcome, by FROM runs";

impl Catalog {
    /// Records that a run begins. Recording the same open run again changes nothing.
    ///
    /// # Errors
    /// [`CatalogError::Exists`] when the id belongs to another run.
    pub fn begin_run(&self, run: &Run) -> Result<(), CatalogError> {
        let plan = json(&run.plan)?;
        self.write(|tx| {
            if let Some(known) = by_id(tx, &run.id)? {
                let same = known.finished.is_none() && known.plan == run.plan && known.by == run.by;
                return if same { Ok(()) } else { Err(taken(&run.id)) };
            }
            tx.execute(
                "INSERT INTO runs (id, verb, workload, plan, started, finished, outcome, by) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    run.id.as_str(),
                    run.verb.to_string(),
                    run.workload.as_ref().map(WorkloadName::as_str),
                    plan,
                    micros(run.started),
                    run.finished.map(micros),
                    run.outcome.map(|outcome| outcome.to_string()),
                    run.by,
                ],
            )?;
            Ok(())
        })
    }

    /// Records how a run ended. A stuck run may end again, otherwise; any other end is final, and repeating it
    /// changes nothing.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], or [`CatalogError::Exists`] when the run ended in another way before.
    pub fn finish_run(&self, run: &RunId, outcome: Outcome, at: Timestamp) -> Result<(), CatalogError> {
        self.write(|tx| finish(tx, run, outcome, at).map(|_| ()))
    }

    /// Records how a run ended together with its line in the audit log: there is never one without the other. Repeating
    /// the same end adds no second line, except for a stuck run, of which each attempt is told.
    ///
    /// # Errors
    /// As [`Catalog::finish_run`].
    pub fn conclude_run(&self, run: &RunId, outcome: Outcome, line: &NewAudit<'_>) -> Result<(), CatalogError> {
        self.write(|tx| {
            if finish(tx, run, outcome, line.at)? || outcome == Outcome::Stuck {
                audit::append(tx, line)?;
            }
            Ok(())
        })
    }

    /// The run of that exact id.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when its row makes no sense.
    pub fn run(&self, run: &RunId) -> Result<Option<Run>, CatalogError> {
        self.read(|tx| by_id(tx, run))
    }

    /// The runs that fit, newest first.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, CatalogError> {
        self.read(|tx| {
            let open = if filter.open { "finished IS NULL" } else { "1" };
            // Spelt so that the verb's index is used.
            let verb = if filter.verb.is_some() { "verb = :verb" } else { ":verb IS NULL" };
            tx.prepare(&format!(
                "{RUN} WHERE {open} AND started >= :since AND (:workload IS NULL OR workload = :workload) \
                 AND {verb} AND (:outcome IS NULL OR outcome = :outcome) \
                 ORDER BY started DESC, id DESC LIMIT :limit"
            ))?
            .query_and_then(
                named_params! {
                    ":since": filter.since.map_or(i64::MIN, micros),
                    ":workload": filter.workload.as_ref().map(WorkloadName::as_str),
                    ":verb": filter.verb.map(|verb| verb.to_string()),
                    ":outcome": filter.outcome.map(|outcome| outcome.to_string()),
                    ":limit": limit(filter.limit),
                },
                run_row,
            )?
            .collect()
        })
    }

    /// The journal of the run, in order.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense or one is missing.
    pub fn events(&self, run: &RunId) -> Result<Vec<Event>, CatalogError> {
        let events: Vec<Event> = self.read(|tx| {
            tx.prepare("SELECT seq, at, body FROM events WHERE run = ?1 ORDER BY seq")?
                .query_and_then([run.as_str()], |row| {
                    let reading = Reading::new("events", row);
                    Ok::<_, CatalogError>(Event {
                        run: run.clone(),
                        seq: reading.count(0)?,
                        at: reading.time(1)?,
                        body: reading.json(2)?,
                    })
                })?
                .collect()
        })?;
        match events.iter().zip(0..).find(|(event, expected)| event.seq != *expected) {
            None => Ok(events),
            Some((_, gap)) => Err(CatalogError::damaged("events", format!("entry {gap} of run {run} is missing"))),
        }
    }

    /// The journal for the executor of runs. Every append checks, in its own transaction, that all these leases are
    /// still ours.
    #[must_use]
    pub fn journal<'a>(&'a self, leases: &[Lease], clock: &'a dyn Clock) -> RunJournal<'a> {
        RunJournal { catalog: self, leases: leases.to_vec(), clock }
    }

    /// Forgets runs that ended before `before`, with their journals, except stuck ones. Returns how many.
    ///
    /// # Errors
    /// Those of any write.
    pub fn forget_runs(&self, before: Timestamp) -> Result<u64, CatalogError> {
        let sql = "DELETE FROM runs WHERE finished < ?1 AND outcome <> 'stuck'";
        self.write(|tx| Ok(tx.execute(sql, [micros(before)])? as u64))
    }
}

/// The durable journal, guarded by leases. See [`Catalog::journal`].
pub struct RunJournal<'a> {
    catalog: &'a Catalog,
    leases: Vec<Lease>,
    clock: &'a dyn Clock,
}

impl Journal for RunJournal<'_> {
    fn append(&self, run: &RunId, body: EventBody) -> Result<Event, Fault> {
        let at = truncated(self.clock.now());
        let text = json(&body)?;
        let seq = self.catalog.write(|tx| {
            self.leases.iter().try_for_each(|lease| leases::still_ours(tx, lease))?;
            if tx.query_row("SELECT 1 FROM runs WHERE id = ?1", [run.as_str()], |_| Ok(())).optional()?.is_none() {
                return Err(missing(run));
            }
            let seq: i64 = tx.query_row(
                "INSERT INTO events (run, seq, at, body) \
                 VALUES (?1, (SELECT coalesce(max(seq) + 1, 0) FROM events WHERE run = ?1), ?2, ?3) RETURNING seq",
                params![run.as_str(), micros(at), text],
                |row| row.get(0),
            )?;
            u64::try_from(seq).map_err(|_| CatalogError::damaged("events", "a negative number"))
        })?;
        Ok(Event { run: run.clone(), seq, at, body })
    }

    fn events(&self, run: &RunId) -> Result<Vec<Event>, Fault> {
        Ok(self.catalog.events(run)?)
    }
}

/// Whether anything changed.
fn finish(tx: &Transaction<'_>, run: &RunId, outcome: Outcome, at: Timestamp) -> Result<bool, CatalogError> {
    let known = by_id(tx, run)?.ok_or_else(|| missing(run))?;
    match known.outcome {
        Some(before) if before == outcome => return Ok(false),
        Some(Outcome::Done | Outcome::Partial | Outcome::Undone | Outcome::Failed) => return Err(taken(run)),
        Some(Outcome::Stuck) | None => {}
    }
    let sql = "UPDATE runs SET outcome = ?2, finished = ?3 WHERE id = ?1";
    tx.execute(sql, params![run.as_str(), outcome.to_string(), micros(at)])?;
    Ok(true)
}

fn missing(run: &RunId) -> CatalogError {
    CatalogError::NotFound { what: "run", name: run.to_string() }
}

fn taken(run: &RunId) -> CatalogError {
    CatalogError::Exists { what: "run", name: run.to_string() }
}

fn by_id(tx: &Transaction<'_>, run: &RunId) -> Result<Option<Run>, CatalogError> {
    tx.prepare(&format!("{RUN} WHERE id = ?1"))?.query_and_then([run.as_str()], run_row)?.next().transpose()
}

fn run_row(row: &Row<'_>) -> Result<Run, CatalogError> {
    let reading = Reading::new("runs", row);
    Ok(Run {
        id: reading.name(0)?,
        verb: reading.worded(1)?,
        workload: reading.name_or_none(2)?,
        plan: reading.json(3)?,
        started: reading.time(4)?,
        finished: reading.time_or_none(5)?,
        outcome: if reading.is_null(6)? { None } else { Some(reading.worded(6)?) },
        by: reading.get(7)?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use backstop_model::{Plan, Span, StepId};

    use super::*;
    use crate::fixture::at;

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::from_nanosecond(1_000_000_000_123_456_789).expect("in range")
        }
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
        fn sleep(&self, _: Duration) {}
    }

    fn run(id: &str, verb: Verb, second: i64) -> Run {
        Run {
            id: id.parse().expect("valid"),
            verb,
            workload: Some("docs".parse().expect("valid")),
            plan: Plan::nothing(verb, at(second), "a test"),
            started: at(second),
            finished: None,
            outcome: None,
            by: "root@here".into(),
        }
    }

    fn begun(step: u32) -> EventBody {
        EventBody::StepBegun { step: StepId(step) }
    }

    #[test]
    fn the_journal_numbers_entries_and_reads_back_what_it_returned() {
        let catalog = Catalog::in_memory().expect("memory");
        let run = run("run-1", Verb::Backup, 1);
        catalog.begin_run(&run).expect("begun");
        let journal = catalog.journal(&[], &Stopped);
        let appended: Vec<Event> = (0..3).map(|n| journal.append(&run.id, begun(n)).expect("appended")).collect();
        assert_eq!(appended.iter().map(|event| event.seq).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(journal.events(&run.id).expect("read"), appended);
        let fault = journal.append(&"run-2".parse().expect("valid"), begun(0)).expect_err("no such run");
        assert_eq!(fault.message, "no run named `run-2`");
    }

    #[test]
    fn a_process_whose_lease_passed_on_cannot_write_the_journal() {
        let catalog = Catalog::in_memory().expect("memory");
        let run = run("run-1", Verb::Backup, 1);
        catalog.begin_run(&run).expect("begun");
        let ttl = Span::from_secs(60);
        let old = catalog.acquire("workload:docs", "first", ttl, at(0)).expect("free");
        let journal = catalog.journal(std::slice::from_ref(&old), &Stopped);
        journal.append(&run.id, begun(0)).expect("ours");
        let new = catalog.acquire("workload:docs", "second", ttl, at(100)).expect("the first ran out");
        let fault = journal.append(&run.id, begun(1)).expect_err("fenced off");
        assert_eq!(fault.code, backstop_model::ExitCode::Busy, "{fault}");
        let next = catalog.journal(&[new], &Stopped).append(&run.id, begun(1)).expect("the new owner's");
        assert_eq!(next.seq, 1);
    }

    #[test]
    fn only_a_stuck_run_ends_twice() {
        let catalog = Catalog::in_memory().expect("memory");
        let run = run("run-1", Verb::Restore, 1);
        catalog.begin_run(&run).expect("begun");
        catalog.begin_run(&run).expect("repeated");
        catalog.finish_run(&run.id, Outcome::Stuck, at(2)).expect("stuck");
        catalog.finish_run(&run.id, Outcome::Undone, at(3)).expect("a person saw to it");
        catalog.finish_run(&run.id, Outcome::Undone, at(4)).expect("repeated");
        catalog.finish_run(&run.id, Outcome::Done, at(5)).expect_err("final");
        let ended = catalog.run(&run.id).expect("read").expect("there");
        assert_eq!((ended.outcome, ended.finished), (Some(Outcome::Undone), Some(at(3))));
        assert!(matches!(catalog.begin_run(&run), Err(CatalogError::Exists { .. })));
    }

    #[test]
    fn a_run_has_ended_exactly_when_the_audit_log_says_so() {
        let catalog = Catalog::in_memory().expect("memory");
        let run = run("run-1", Verb::Backup, 1);
        catalog.begin_run(&run).expect("begun");
        let line = NewAudit {
            at: at(2),
            by: "ann@ops",
            verb: "backup",
            subject: "docs",
            reason: "",
            details: serde_json::json!({ "run": run.id }),
        };
        let lines = || catalog.audit(&crate::AuditFilter::default()).expect("read").len();
        // The line cannot be written, as when the process dies before it is.
        catalog.raw(|db| db.execute("ALTER TABLE audit_head RENAME TO gone", [])).expect("in the way");
        catalog.conclude_run(&run.id, Outcome::Done, &line).expect_err("no line");
        assert_eq!(catalog.run(&run.id).expect("read").expect("there").outcome, None, "so it has not ended either");
        catalog.raw(|db| db.execute("ALTER TABLE gone RENAME TO audit_head", [])).expect("back");
        assert_eq!(lines(), 0);
        for _ in 0..2 {
            catalog.conclude_run(&run.id, Outcome::Done, &line).expect("ended");
        }
        assert_eq!((lines(), catalog.run(&run.id).expect("read").expect("there").outcome), (1, Some(Outcome::Done)));
    }

    #[test]
    fn runs_are_filtered_newest_first() {
        let catalog = Catalog::in_memory().expect("memory");
        for (n, verb) in [Verb::Backup, Verb::Verify, Verb::Backup].into_iter().enumerate() {
            catalog.begin_run(&run(&format!("run-{n}"), verb, n as i64)).expect("begun");
        }
        catalog.finish_run(&"run-0".parse().expect("valid"), Outcome::Done, at(9)).expect("ended");
        let ids = |filter: RunFilter| -> Vec<String> {
            catalog.runs(&filter).expect("read").into_iter().map(|run| run.id.to_string()).collect()
        };
        assert_eq!(ids(RunFilter::default()), ["run-2", "run-1", "run-0"]);
        assert_eq!(ids(RunFilter { open: true, ..RunFilter::default() }), ["run-2", "run-1"]);
        assert_eq!(ids(RunFilter { verb: Some(Verb::Backup), limit: Some(1), ..RunFilter::default() }), ["run-2"]);
        assert_eq!(ids(RunFilter { outcome: Some(Outcome::Done), ..RunFilter::default() }), ["run-0"]);
        assert_eq!(ids(RunFilter { since: Some(at(2)), ..RunFilter::default() }), ["run-2"]);
        assert_eq!(catalog.find_run("run-1").expect("unique").as_str(), "run-1");
        assert!(matches!(catalog.find_run("run-"), Err(CatalogError::Ambiguous { .. })));
        assert_eq!(catalog.forget_runs(at(10)).expect("forgotten"), 1);
        assert_eq!(ids(RunFilter::default()), ["run-2", "run-1"], "open runs stay");
    }

    #[test]
    fn a_journal_with_a_hole_or_nonsense_is_damaged() {
        let catalog = Catalog::in_memory().expect("memory");
        let run = run("run-1", Verb::Backup, 1);
        catalog.begin_run(&run).expect("begun");
        let journal = catalog.journal(&[], &Stopped);
        for step in 0..3 {
            journal.append(&run.id, begun(step)).expect("appended");
        }
        catalog.raw(|db| db.execute("DELETE FROM events WHERE seq = 1", [])).expect("tampered");
        let error = catalog.events(&run.id).expect_err("a hole");
        assert_eq!(error.to_string(), "the catalog is damaged: events: entry 1 of run run-1 is missing");
        catalog.raw(|db| db.execute("UPDATE runs SET verb = 'dance'", [])).expect("tampered");
        let error = catalog.run(&run.id).expect_err("no verb");
        assert_eq!(error.to_string(), "the catalog is damaged: runs: column `verb`: `dance` is no verb");
    }
}
