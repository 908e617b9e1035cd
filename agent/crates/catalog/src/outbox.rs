//! Alerts on their way: put here in the transaction of the verb that raises them, delivered later by whoever comes by.

use backstop_model::policy::alert::{Alert, Severity};
use backstop_model::policy::{Outgoing, OutgoingState};
use backstop_model::{PolicyName, Timestamp};
use rusqlite::{Row, Transaction, named_params, params};

use crate::code::{Reading, json, limit, micros};
use crate::error::CatalogError;
use crate::store::Catalog;

/// An alert to be delivered by one sink.
#[derive(Debug, Clone)]
pub struct NewOutgoing<'a> {
    /// What is to be delivered.
    pub alert: &'a Alert,
    /// The policy that delivers it; `None` where only the fallback is left.
    pub sink: Option<&'a PolicyName>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The sink took it over.
    Delivered {
        /// What the receiver calls it, or a line of its own; may be empty.
        receipt: String,
    },
    /// It is tried again.
    Again {
        /// Not before.
        at: Timestamp,
        /// Why it failed.
        error: String,
    },
    /// The sink would not take it; the fallback did.
    Fallback {
        /// Why the sink did not.
        error: String,
    },
    /// Nobody took it.
    Failed {
        /// Why not.
        error: String,
    },
}

/// Which alerts. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct OutboxFilter {
    /// In one of these states; none named means any.
    pub states: Vec<OutgoingState>,
    /// By this sink.
    pub sink: Option<PolicyName>,
    /// Of this group.
    pub group: Option<String>,
    /// Put there not before this.
    pub since: Option<Timestamp>,
    /// The newest so many.
    pub limit: Option<u32>,
}

const OUTGOING: &str =
    "SELECT id, alert, sink, state, attempts, next_attempt, last_error, receipt, raised, settled FROM outbox";

impl Catalog {
    /// Puts alerts into the outbox in one transaction, due at once; returns their numbers, in order. An alert that the
    /// sink has already, by its id, is not put there twice and keeps its number.
    ///
    /// # Errors
    /// Those of any write; none is there then.
    pub fn outbox_put(&self, new: &[NewOutgoing<'_>], now: Timestamp) -> Result<Vec<i64>, CatalogError> {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        self.write(|tx| {
            let mut insert = tx.prepare(
                "INSERT INTO outbox (alert_id, grouped, severity, alert, sink, raised, state, next_attempt) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?6) ON CONFLICT (alert_id, sink) DO NOTHING",
            )?;
            let mut find = tx.prepare("SELECT id FROM outbox WHERE alert_id = ?1 AND sink = ?2")?;
            let mut put = |new: &NewOutgoing<'_>| {
                let Alert { id, group, severity, .. } = new.alert;
                let sink = new.sink.map_or("", PolicyName::as_str);
                insert.execute(params![id, group, severity_word(*severity), json(new.alert)?, sink, micros(now)])?;
                Ok(find.query_row(params![id, sink], |row| row.get(0))?)
            };
            new.iter().map(&mut put).collect()
        })
    }

    /// How many alerts are due.
    ///
    /// # Errors
    /// Those of any reading.
    pub fn outbox_due(&self, now: Timestamp) -> Result<u64, CatalogError> {
        self.read(|tx| {
            let sql = "SELECT count(*) FROM outbox WHERE state = 'pending' AND next_attempt <= ?1";
            tx.prepare(sql)?
                .query_and_then([micros(now)], |row| Reading::new("outbox", row).count(0))?
                .next()
                .unwrap_or(Ok(0))
        })
    }

    /// Takes alerts that are due, the longest waiting first, and counts an attempt for each. Nobody else gets them
    /// before `until`: then whoever took them has failed to settle them.
    ///
    /// # Errors
    /// Those of any write; nothing is taken then.
    pub fn outbox_take(&self, now: Timestamp, until: Timestamp, most: u32) -> Result<Vec<Outgoing>, CatalogError> {
        self.write(|tx| {
            let sql = "SELECT id FROM outbox WHERE state = 'pending' AND next_attempt <= ?1 \
                       ORDER BY next_attempt, id LIMIT ?2";
            let due: Vec<i64> =
                tx.prepare(sql)?.query_map(params![micros(now), most], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let mut take = tx.prepare("UPDATE outbox SET attempts = attempts + 1, next_attempt = ?2 WHERE id = ?1")?;
            due.into_iter()
                .map(|id| {
                    take.execute(params![id, micros(until)])?;
                    by_id(tx, id)
                })
                .collect()
        })
    }

    /// Records what came of an attempt. What is settled stays so: a late word about it changes nothing.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] without such an alert.
    pub fn outbox_settle(&self, id: i64, settlement: &Settlement, now: Timestamp) -> Result<Outgoing, CatalogError> {
        let (state, next, error, receipt) = match settlement {
            Settlement::Delivered { receipt } => (OutgoingState::Delivered, None, None, Some(receipt)),
            Settlement::Again { at, error } => (OutgoingState::Pending, Some(micros(*at)), Some(error), None),
            Settlement::Fallback { error } => (OutgoingState::Fallback, None, Some(error), None),
            Settlement::Failed { error } => (OutgoingState::Failed, None, Some(error), None),
        };
        let settled = (state != OutgoingState::Pending).then(|| micros(now));
        self.write(|tx| {
            tx.execute(
                "UPDATE outbox SET state = ?2, next_attempt = coalesce(?3, next_attempt), \
                 last_error = coalesce(?4, last_error), receipt = ?5, settled = ?6 WHERE id = ?1 AND state = 'pending'",
                params![id, state.to_string(), next, error, receipt, settled],
            )?;
            by_id(tx, id)
        })
    }

    /// The alerts that fit, newest first.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn outbox(&self, filter: &OutboxFilter) -> Result<Vec<Outgoing>, CatalogError> {
        let states: Vec<String> = filter.states.iter().map(|state| format!("'{state}'")).collect();
        let state = if states.is_empty() { "1".to_owned() } else { format!("state IN ({})", states.join(", ")) };
        let sql = format!(
            "{OUTGOING} WHERE {state} AND (:sink IS NULL OR sink = :sink) AND (:grouped IS NULL OR grouped = :grouped) \
             AND raised >= :since ORDER BY id DESC LIMIT :limit"
        );
        self.read(|tx| {
            tx.prepare(&sql)?
                .query_and_then(
                    named_params! {
                        ":sink": filter.sink.as_ref().map(PolicyName::as_str),
                        ":grouped": filter.group,
                        ":since": filter.since.map_or(i64::MIN, micros),
                        ":limit": limit(filter.limit),
                    },
                    outgoing,
                )?
                .collect()
        })
    }

    /// Forgets alerts that were settled before `cutoff`; returns how many.
    ///
    /// # Errors
    /// Those of any write.
    pub fn prune_outbox(&self, cutoff: Timestamp) -> Result<u64, CatalogError> {
        self.write(|tx| Ok(tx.execute("DELETE FROM outbox WHERE settled < ?1", [micros(cutoff)])? as u64))
    }
}

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn by_id(tx: &Transaction<'_>, id: i64) -> Result<Outgoing, CatalogError> {
    let mut statement = tx.prepare(&format!("{OUTGOING} WHERE id = ?1"))?;
    let found = statement.query_and_then([id], outgoing)?.next().transpose()?;
    found.ok_or_else(|| CatalogError::NotFound { what: "alert", name: id.to_string() })
}

fn outgoing(row: &Row<'_>) -> Result<Outgoing, CatalogError> {
    let reading = Reading::new("outbox", row);
    let sink: String = reading.get(2)?;
    Ok(Outgoing {
        id: reading.get(0)?,
        alert: reading.json(1)?,
        sink: if sink.is_empty() { None } else { Some(reading.name(2)?) },
        state: reading.worded(3)?,
        attempts: reading.get(4)?,
        next_attempt: reading.time(5)?,
        last_error: reading.get(6)?,
        receipt: reading.get(7)?,
        raised: reading.time(8)?,
        settled: reading.time_or_none(9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::at;

    fn alert(id: &str) -> Alert {
        Alert {
            id: id.into(),
            group: "backup-failed-docs".into(),
            at: at(1),
            severity: Severity::Critical,
            kind: "backup-failed".into(),
            title: "no backup of docs".into(),
            text: "the disk is full".into(),
            workload: Some("docs".parse().expect("valid")),
            backup: None,
            run: None,
            host: "here".into(),
            recovered: false,
            facts: Vec::new(),
        }
    }

    fn put(catalog: &Catalog, id: &str, second: i64) -> i64 {
        let chat = "chat".parse().expect("valid");
        let alert = alert(id);
        let new = NewOutgoing { alert: &alert, sink: Some(&chat) };
        catalog.outbox_put(&[new], at(second)).expect("put")[0]
    }

    #[test]
    fn an_alert_goes_to_each_sink_once_and_reads_back() {
        let catalog = Catalog::in_memory().expect("memory");
        let (chat, alert) = ("chat".parse().expect("valid"), alert("a1"));
        let both = [NewOutgoing { alert: &alert, sink: Some(&chat) }, NewOutgoing { alert: &alert, sink: None }];
        let ids = catalog.outbox_put(&both, at(1)).expect("put");
        assert_eq!(catalog.outbox_put(&both, at(2)).expect("again"), ids);
        let kept = catalog.outbox(&OutboxFilter::default()).expect("read");
        assert_eq!(kept.iter().map(|kept| kept.sink.clone()).collect::<Vec<_>>(), [None, Some(chat)]);
        assert_eq!((&kept[1].alert, kept[1].raised, kept[1].state), (&alert, at(1), OutgoingState::Pending));
        let shown: (String, String, String) = catalog.raw(|db| {
            let sql = "SELECT title, workload, state FROM alerts WHERE sink = 'chat' AND raised_at < next_attempt_at \
                       OR sink = 'chat' AND settled_at IS NULL";
            db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("one row")
        });
        assert_eq!(shown, ("no backup of docs".into(), "docs".into(), "pending".into()));
    }

    #[test]
    fn what_one_process_has_taken_no_other_delivers_until_it_has_plainly_failed() {
        let dir = tempfile::tempdir().expect("temporary");
        let path = dir.path().join("catalog.db");
        let first = Catalog::open(&path, at(1)).expect("new");
        let second = Catalog::open(&path, at(1)).expect("beside the first");
        let id = put(&first, "a1", 1);
        assert_eq!((first.outbox_due(at(0)).expect("read"), first.outbox_due(at(1)).expect("read")), (0, 1));
        let taken = first.outbox_take(at(1), at(60), 10).expect("taken");
        assert_eq!((taken.len(), taken[0].attempts), (1, 1));
        assert_eq!(second.outbox_take(at(2), at(60), 10).expect("asked"), []);
        let after_a_crash = second.outbox_take(at(60), at(120), 10).expect("taken");
        assert_eq!((after_a_crash[0].id, after_a_crash[0].attempts), (id, 2));
    }

    #[test]
    fn a_settled_alert_is_never_due_again() {
        let catalog = Catalog::in_memory().expect("memory");
        let ids = [put(&catalog, "a1", 1), put(&catalog, "a2", 1), put(&catalog, "a3", 1)];
        catalog.outbox_take(at(1), at(60), 10).expect("taken");
        let again = Settlement::Again { at: at(30), error: "429".into() };
        let waiting = catalog.outbox_settle(ids[0], &again, at(2)).expect("settled");
        assert_eq!((waiting.state, waiting.next_attempt, waiting.settled), (OutgoingState::Pending, at(30), None));
        catalog.outbox_settle(ids[1], &Settlement::Delivered { receipt: "m-7".into() }, at(2)).expect("settled");
        let given_up = Settlement::Fallback { error: "404".into() };
        catalog.outbox_settle(ids[2], &given_up, at(2)).expect("settled");
        assert_eq!(catalog.outbox_due(at(1_000)).expect("read"), 1);
        let delivered = Settlement::Delivered { receipt: "m-8".into() };
        let kept = catalog.outbox_settle(ids[2], &delivered, at(3)).expect("late word");
        assert_eq!((kept.state, kept.last_error.as_deref()), (OutgoingState::Fallback, Some("404")));
        assert!(matches!(catalog.outbox_settle(99, &delivered, at(3)), Err(CatalogError::NotFound { .. })));
        assert_eq!(catalog.prune_outbox(at(3)).expect("pruned"), 2);
        let filter = OutboxFilter { states: vec![OutgoingState::Pending], ..OutboxFilter::default() };
        assert_eq!(catalog.outbox(&filter).expect("read").len(), 1);
        assert_eq!(catalog.outbox(&OutboxFilter::default()).expect("read").len(), 1);
    }
}
