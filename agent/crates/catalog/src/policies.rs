//! How each policy fares: faults in a row, and whether it has stepped back.

use backstop_model::PolicyName;
use backstop_model::policy::{PolicyStanding, SteppedBack};
use rusqlite::{Row, Transaction, params};

use crate::code::{Reading, json, micros};
use crate::error::CatalogError;
use crate::store::Catalog;

const STANDING: &str =
    "SELECT policy, component, faults, last_fault, last_fault_at, stepped_back, why FROM policy_standing";

impl Catalog {
    /// How every policy fares that was ever asked, by name.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn policy_standings(&self) -> Result<Vec<PolicyStanding>, CatalogError> {
        self.read(|tx| tx.prepare(&format!("{STANDING} ORDER BY policy"))?.query_and_then([], standing)?.collect())
    }

    /// How one policy fares; a new one when it was never asked.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when its row makes no sense.
    pub fn policy_standing(&self, policy: &PolicyName) -> Result<PolicyStanding, CatalogError> {
        self.read(|tx| of(tx, policy))
    }

    /// Changes how a policy fares, and returns it. Nothing of another process comes in between.
    ///
    /// # Errors
    /// Those of any write.
    pub fn update_policy_standing(
        &self,
        policy: &PolicyName,
        change: impl FnOnce(&mut PolicyStanding),
    ) -> Result<PolicyStanding, CatalogError> {
        self.write(|tx| {
            let before = of(tx, policy)?;
            let mut after = before.clone();
            change(&mut after);
            if after != before {
                put(tx, policy, &after)?;
            }
            of(tx, policy)
        })
    }
}

fn of(tx: &Transaction<'_>, policy: &PolicyName) -> Result<PolicyStanding, CatalogError> {
    let mut statement = tx.prepare(&format!("{STANDING} WHERE policy = ?1"))?;
    let found = statement.query_and_then([policy.as_str()], standing)?.next().transpose()?;
    Ok(found.unwrap_or_else(|| PolicyStanding::new(policy.clone())))
}

fn put(tx: &Transaction<'_>, policy: &PolicyName, standing: &PolicyStanding) -> Result<(), CatalogError> {
    let fault = standing.last_fault.as_ref();
    let back = standing.stepped_back.as_ref();
    tx.execute(
        "INSERT OR REPLACE INTO policy_standing (policy, component, faults, last_fault, last_fault_at, stepped_back, why) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            policy.as_str(),
            standing.component,
            standing.faults,
            fault.map(|(_, fault)| json(fault)).transpose()?,
            fault.map(|(at, _)| micros(*at)),
            back.map(|back| micros(back.since)),
            back.map(|back| &back.why),
        ],
    )?;
    Ok(())
}

fn standing(row: &Row<'_>) -> Result<PolicyStanding, CatalogError> {
    let reading = Reading::new("policy_standing", row);
    Ok(PolicyStanding {
        policy: reading.name(0)?,
        component: reading.get(1)?,
        faults: reading.get(2)?,
        last_fault: match reading.time_or_none(4)? {
            Some(at) => Some((at, reading.json(3)?)),
            None => None,
        },
        stepped_back: match reading.time_or_none(5)? {
            Some(since) => Some(SteppedBack { since, why: reading.get(6)? }),
            None => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use backstop_model::policy::{Fault, FaultKind};

    use super::*;
    use crate::fixture::at;

    #[test]
    fn faults_in_a_row_are_counted_across_processes_and_stepping_back_stays() {
        let dir = tempfile::tempdir().expect("temporary");
        let path = dir.path().join("catalog.db");
        let fault = Fault { kind: FaultKind::TimedOut, message: "100ms".into(), backtrace: vec!["f".into()] };
        let policy: PolicyName = "legal-hold".parse().expect("valid");
        for second in 1..=3 {
            let catalog = Catalog::open(&path, at(second)).expect("opened");
            catalog
                .update_policy_standing(&policy, |standing| {
                    standing.note("abc", Some(&fault), at(second));
                    if standing.faults >= 3 {
                        standing.stepped_back =
                            Some(SteppedBack { since: at(second), why: "3 faults in a row".into() });
                    }
                })
                .expect("noted");
        }
        let catalog = Catalog::open(&path, at(4)).expect("opened");
        let known = catalog.policy_standing(&policy).expect("read");
        assert_eq!((known.faults, known.last_fault.clone()), (3, Some((at(3), fault))));
        assert_eq!(known.stepped_back.as_ref().map(|back| back.since), Some(at(3)));
        let answered = catalog.update_policy_standing(&policy, |standing| standing.note("abc", None, at(5)));
        assert_eq!(answered.expect("noted").stepped_back, known.stepped_back);
        assert_eq!(catalog.policy_standings().expect("read").len(), 1);
    }

    #[test]
    fn a_policy_that_was_never_asked_has_no_faults() {
        let catalog = Catalog::in_memory().expect("memory");
        let policy: PolicyName = "new".parse().expect("valid");
        assert_eq!(catalog.policy_standing(&policy).expect("read"), PolicyStanding::new(policy.clone()));
        catalog.update_policy_standing(&policy, |_| {}).expect("nothing");
        assert_eq!(catalog.policy_standings().expect("read"), []);
    }
}
