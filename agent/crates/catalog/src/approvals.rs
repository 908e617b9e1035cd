//! Requests that wait for another person. Each change is one transaction, so that an approved request passes once even
//! when two processes make it at the same moment.

use backstop_model::policy::validation::Request;
use backstop_model::policy::{Approval, ApprovalState};
use backstop_model::{PolicyName, Timestamp};
use rusqlite::{Row, Transaction, named_params, params};

use crate::code::{Reading, json, limit, micros};
use crate::error::CatalogError;
use crate::store::Catalog;

/// What is to be approved.
#[derive(Debug, Clone)]
pub struct NewApproval<'a> {
    /// What makes the request the same when it is made again.
    pub fingerprint: &'a str,
    /// The request.
    pub request: &'a Request,
    /// The policy that asks for it.
    pub policy: &'a PolicyName,
    /// Why, in the policy's words.
    pub message: &'a str,
    /// Who made the request, as `user@host`.
    pub by: &'a str,
    /// Now.
    pub at: Timestamp,
    /// From then on it counts for nothing.
    pub expires: Timestamp,
}

/// What a person decided.
#[derive(Debug, Clone, Copy)]
pub struct ApprovalRuling<'a> {
    /// The request may pass once, or not at all.
    pub approve: bool,
    /// Who, as `user@host`. Whoever made a request can deny it but not approve it; the caller checks that first.
    pub by: &'a str,
    /// Why; may be empty.
    pub reason: &'a str,
    /// Now.
    pub at: Timestamp,
}

/// Which approvals. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct ApprovalFilter {
    /// In one of these states; none named means any.
    pub states: Vec<ApprovalState>,
    /// For this request.
    pub fingerprint: Option<String>,
    /// The newest so many.
    pub limit: Option<u32>,
}

const APPROVAL: &str = "SELECT id, fingerprint, request, policy, message, asked_by, asked_at, expires, state, decided_by, \
                        decided_at, reason, used_at FROM approvals";

impl Catalog {
    /// Asks for an approval, and returns it. When one for the same request is open already — nobody has decided, or it
    /// is approved and not used — that one is returned, unchanged.
    ///
    /// # Errors
    /// Those of any write.
    pub fn approval_ask(&self, new: &NewApproval<'_>) -> Result<Approval, CatalogError> {
        self.write(|tx| {
            expire(tx, new.at)?;
            let sql = format!("{APPROVAL} WHERE fingerprint = ?1 AND state IN ('pending', 'approved')");
            let open = tx.prepare(&sql)?.query_and_then([new.fingerprint], approval)?.next().transpose()?;
            if let Some(open) = open {
                return Ok(open);
            }
            tx.execute(
                "INSERT INTO approvals (fingerprint, request, policy, message, asked_by, asked_at, expires, state) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending')",
                params![
                    new.fingerprint,
                    json(new.request)?,
                    new.policy.as_str(),
                    new.message,
                    new.by,
                    micros(new.at),
                    micros(new.expires)
                ],
            )?;
            by_id(tx, tx.last_insert_rowid())
        })
    }

    /// The approval of that number, as it stands now.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] without such an approval.
    pub fn approval(&self, id: i64, now: Timestamp) -> Result<Approval, CatalogError> {
        self.read(|tx| Ok(as_of(by_id(tx, id)?, now)))
    }

    /// The approvals that fit, newest first, as they stand now.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn approvals(&self, filter: &ApprovalFilter, now: Timestamp) -> Result<Vec<Approval>, CatalogError> {
        let found: Vec<Approval> = self.read(|tx| {
            tx.prepare(&format!(
                "{APPROVAL} WHERE :fingerprint IS NULL OR fingerprint = :fingerprint ORDER BY id DESC"
            ))?
            .query_and_then(named_params! { ":fingerprint": filter.fingerprint }, approval)?
            .collect()
        })?;
        // Whether one has expired since it was written is known here only; there are never many.
        let most = usize::try_from(limit(filter.limit)).unwrap_or(usize::MAX);
        let found = found.into_iter().map(|approval| as_of(approval, now));
        let fits = |approval: &Approval| filter.states.is_empty() || filter.states.contains(&approval.state);
        Ok(found.filter(fits).take(most).collect())
    }

    /// Records what a person decided, and returns the approval as it stands then.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] without such an approval, [`CatalogError::Settled`] when it is not pending any more.
    pub fn approval_decide(&self, id: i64, ruling: &ApprovalRuling<'_>) -> Result<Approval, CatalogError> {
        let decided = self.write(|tx| {
            expire(tx, ruling.at)?;
            let state = if ruling.approve { ApprovalState::Approved } else { ApprovalState::Denied };
            let changed = tx.execute(
                "UPDATE approvals SET state = ?2, decided_by = ?3, decided_at = ?4, reason = ?5 \
                 WHERE id = ?1 AND state = 'pending'",
                params![id, state.to_string(), ruling.by, micros(ruling.at), ruling.reason],
            )?;
            Ok((by_id(tx, id)?, changed == 1))
        })?;
        match decided {
            (approval, true) => Ok(approval),
            (approval, false) => {
                Err(CatalogError::Settled { what: "approval", name: id.to_string(), state: approval.state.to_string() })
            }
        }
    }

    /// Lets the request pass if it is approved, once: of several that ask, one gets the approval, the others nothing.
    ///
    /// # Errors
    /// Those of any write; the request must not pass then.
    pub fn approval_use(&self, fingerprint: &str, now: Timestamp) -> Result<Option<Approval>, CatalogError> {
        self.write(|tx| {
            expire(tx, now)?;
            let sql = "UPDATE approvals SET state = 'used', used_at = ?2 WHERE fingerprint = ?1 AND state = 'approved' \
                       RETURNING id";
            let used: Vec<i64> = tx
                .prepare(sql)?
                .query_map(params![fingerprint, micros(now)], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            used.first().map(|id| by_id(tx, *id)).transpose()
        })
    }

    /// Forgets approvals that came to an end before `cutoff`; returns how many.
    ///
    /// # Errors
    /// Those of any write.
    pub fn prune_approvals(&self, cutoff: Timestamp) -> Result<u64, CatalogError> {
        self.write(|tx| {
            expire(tx, cutoff)?;
            let sql = "DELETE FROM approvals WHERE state IN ('denied', 'used', 'expired') \
                       AND coalesce(used_at, CASE state WHEN 'denied' THEN decided_at END, expires) < ?1";
            Ok(tx.execute(sql, [micros(cutoff)])? as u64)
        })
    }
}

/// Writes down what has expired, so that it no longer counts as open.
fn expire(tx: &Transaction<'_>, now: Timestamp) -> Result<(), CatalogError> {
    let sql = "UPDATE approvals SET state = 'expired' WHERE state IN ('pending', 'approved') AND expires <= ?1";
    tx.execute(sql, [micros(now)])?;
    Ok(())
}

fn as_of(approval: Approval, now: Timestamp) -> Approval {
    let open = matches!(approval.state, ApprovalState::Pending | ApprovalState::Approved);
    match open && approval.expires <= now {
        true => Approval { state: ApprovalState::Expired, ..approval },
        false => approval,
    }
}

fn by_id(tx: &Transaction<'_>, id: i64) -> Result<Approval, CatalogError> {
    let mut statement = tx.prepare(&format!("{APPROVAL} WHERE id = ?1"))?;
    let found = statement.query_and_then([id], approval)?.next().transpose()?;
    found.ok_or_else(|| CatalogError::NotFound { what: "approval", name: id.to_string() })
}

fn approval(row: &Row<'_>) -> Result<Approval, CatalogError> {
    let reading = Reading::new("approvals", row);
    Ok(Approval {
        id: reading.get(0)?,
        fingerprint: reading.get(1)?,
        request: reading.json(2)?,
        policy: reading.name(3)?,
        message: reading.get(4)?,
        asked_by: reading.get(5)?,
        asked_at: reading.time(6)?,
        expires: reading.time(7)?,
        state: reading.worded(8)?,
        decided_by: reading.get(9)?,
        decided_at: reading.time_or_none(10)?,
        reason: reading.get(11)?,
        used_at: reading.time_or_none(12)?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::fixture::at;

    fn request() -> Request {
        Request {
            verb: "restore".into(),
            workload: Some("docs".parse().expect("valid")),
            backup: None,
            by: "ann@here".into(),
            reason: "drill".into(),
            scheduled: false,
            fields: Vec::new(),
        }
    }

    fn ask(catalog: &Catalog, fingerprint: &str, second: i64) -> Approval {
        let new = NewApproval {
            fingerprint,
            request: &request(),
            policy: &"two-people".parse().expect("valid"),
            message: "in place",
            by: "ann@here",
            at: at(second),
            expires: at(second + 100),
        };
        catalog.approval_ask(&new).expect("asked")
    }

    fn ruling(approve: bool, second: i64) -> ApprovalRuling<'static> {
        ApprovalRuling { approve, by: "bob@here", reason: "agreed", at: at(second) }
    }

    #[test]
    fn an_approved_request_passes_once_and_only_that_request() {
        let catalog = Catalog::in_memory().expect("memory");
        let asked = ask(&catalog, "a", 1);
        assert_eq!((asked.state, &asked.request), (ApprovalState::Pending, &request()));
        assert_eq!(ask(&catalog, "a", 2), asked);
        assert_eq!(catalog.approval_use("a", at(3)).expect("used"), None);
        let approved = catalog.approval_decide(asked.id, &ruling(true, 4)).expect("decided");
        assert_eq!((approved.state, approved.decided_by.as_deref()), (ApprovalState::Approved, Some("bob@here")));
        assert_eq!(ask(&catalog, "a", 5), approved);
        assert_eq!(catalog.approval_use("b", at(6)).expect("used"), None);
        let used = catalog.approval_use("a", at(6)).expect("used").expect("approved");
        assert_eq!((used.state, used.used_at, used.id), (ApprovalState::Used, Some(at(6)), asked.id));
        assert_eq!(catalog.approval_use("a", at(7)).expect("used"), None);
        assert_ne!(ask(&catalog, "a", 8).id, asked.id);
    }

    #[test]
    fn what_was_decided_or_has_expired_cannot_be_decided() {
        let catalog = Catalog::in_memory().expect("memory");
        let asked = ask(&catalog, "a", 1);
        catalog.approval_decide(asked.id, &ruling(false, 2)).expect("denied");
        let error = catalog.approval_decide(asked.id, &ruling(true, 3)).expect_err("denied already");
        assert_eq!(error.to_string(), format!("approval `{}` is denied already", asked.id));
        assert_eq!(catalog.approval_use("a", at(4)).expect("used"), None);
        let late = ask(&catalog, "b", 5);
        catalog.approval_decide(late.id, &ruling(true, 6)).expect("approved");
        assert_eq!(catalog.approval(late.id, at(104)).expect("there").state, ApprovalState::Approved);
        assert_eq!(catalog.approval(late.id, at(105)).expect("there").state, ApprovalState::Expired);
        assert_eq!(catalog.approval_use("b", at(105)).expect("used"), None);
        assert!(matches!(catalog.approval_decide(99, &ruling(true, 6)), Err(CatalogError::NotFound { .. })));
        let filter = ApprovalFilter { states: vec![ApprovalState::Denied], ..ApprovalFilter::default() };
        let denied = catalog.approvals(&filter, at(200)).expect("read");
        assert_eq!(denied.iter().map(|approval| approval.id).collect::<Vec<_>>(), [asked.id]);
    }

    #[test]
    fn the_file_itself_refuses_an_approval_by_whoever_asked() {
        let catalog = Catalog::in_memory().expect("memory");
        let asked = ask(&catalog, "a", 1);
        let own = ApprovalRuling { by: "ann@here", ..ruling(true, 2) };
        catalog.approval_decide(asked.id, &own).expect_err("one's own request");
        assert_eq!(catalog.approval(asked.id, at(3)).expect("there").state, ApprovalState::Pending);
        catalog.approval_decide(asked.id, &ApprovalRuling { approve: false, ..own }).expect("withdrawn");
    }

    #[test]
    fn of_many_processes_that_make_the_approved_request_one_gets_through() {
        let dir = tempfile::tempdir().expect("temporary");
        let path = dir.path().join("catalog.db");
        let catalog = Catalog::open(&path, at(1)).expect("new");
        let asked = ask(&catalog, "a", 1);
        catalog.approval_decide(asked.id, &ruling(true, 2)).expect("approved");
        let start = Barrier::new(6);
        let through: usize = std::thread::scope(|scope| {
            let others: Vec<_> = (0..6)
                .map(|_| {
                    scope.spawn(|| {
                        let other = Catalog::open(&path, at(2)).expect("beside the first");
                        start.wait();
                        usize::from(other.approval_use("a", at(3)).expect("asked").is_some())
                    })
                })
                .collect();
            others.into_iter().map(|other| other.join().expect("no panic")).sum()
        });
        assert_eq!(through, 1);
    }

    #[test]
    fn old_approvals_are_forgotten_open_ones_never() {
        let catalog = Catalog::in_memory().expect("memory");
        let denied = ask(&catalog, "a", 1);
        catalog.approval_decide(denied.id, &ruling(false, 2)).expect("denied");
        let open = ask(&catalog, "b", 1);
        assert_eq!(catalog.prune_approvals(at(50)).expect("pruned"), 1);
        let left = catalog.approvals(&ApprovalFilter::default(), at(50)).expect("read");
        assert_eq!(left, [open]);
        assert!(ask(&catalog, "a", 60).id > 2, "a number given out is never given again");
    }
}
