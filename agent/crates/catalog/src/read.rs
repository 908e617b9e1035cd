//! Reading backups, copies and proofs.

use std::collections::{BTreeMap, BTreeSet};

use backstop_model::{
    Backup, BackupName, BackupState, Completeness, Copy, Hold, Level, Proof, ProofKind, ProofRecord, RunId, Tier,
    Timestamp, WorkloadName,
};
use rusqlite::{Row, Statement, Transaction, named_params};

use crate::code::{Coded, Reading, count, limit, micros};
use crate::error::CatalogError;
use crate::store::Catalog;

/// Which backups. The default is all of them, whatever their state.
#[derive(Debug, Clone, Default)]
pub struct BackupFilter {
    /// Of this workload.
    pub workload: Option<WorkloadName>,
    /// Holding this tier.
    pub tier: Option<Tier>,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Older than this.
    pub until: Option<Timestamp>,
    /// In one of these states; none named means any.
    pub states: Vec<StateKind>,
    /// No present copy stands at this level or above.
    pub unverified_below: Option<Level>,
    /// Whose name contains this text.
    pub text: Option<String>,
    /// That are held.
    pub held: bool,
    /// The newest so many.
    pub limit: Option<u32>,
}

/// A backup's state without its dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKind {
    /// Kept.
    Present,
    /// Released, and can be brought back.
    Trashed,
    /// Gone.
    Purged,
}

impl Coded for StateKind {
    const WHAT: &'static str = "backup state";
    const ORDER: &'static [Self] = &[StateKind::Present, StateKind::Trashed, StateKind::Purged];
}

/// Which proofs. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct ProofFilter {
    /// About this workload.
    pub workload: Option<WorkloadName>,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Produced by this.
    pub kind: Option<ProofKind>,
    /// The newest so many.
    pub limit: Option<u32>,
}

const BACKUP: &str = "SELECT id, name, workload, created, tiers, mode, based_on, size, entries, troubles, state, \
                      state_at, purge_after, hold_reason, hold_by, hold_since, run FROM backups";
const COPY: &str = "SELECT id, backup, place, snapshot, state, stored, created FROM copies";
const PROOF: &str = "SELECT copy, at, level, passed, kind, took, sample_ppm, run, detail FROM proofs";

impl Catalog {
    /// The backup of that exact name.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when its rows make no sense.
    pub fn backup(&self, name: &BackupName) -> Result<Option<Backup>, CatalogError> {
        self.read(|tx| Ok(by_name(tx, name)?.map(|(_, backup)| backup)))
    }

    /// The backups that fit, newest first.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn backups(&self, filter: &BackupFilter) -> Result<Vec<Backup>, CatalogError> {
        self.read(|tx| select(tx, filter))
    }

    /// Every backup by workload, oldest first, whatever its state. Costs memory in proportion, about 1 kB each;
    /// for thousands of workloads look at [`Catalog::standings`] first.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn all_backups(&self) -> Result<BTreeMap<WorkloadName, Vec<Backup>>, CatalogError> {
        let backups = self.read(everything)?;
        let mut all: BTreeMap<WorkloadName, Vec<Backup>> = BTreeMap::new();
        for backup in backups {
            match all.get_mut(&backup.workload) {
                Some(list) => list.push(backup),
                None => {
                    all.insert(backup.workload.clone(), vec![backup]);
                }
            }
        }
        for list in all.values_mut() {
            list.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.name.cmp(&b.name)));
        }
        Ok(all)
    }

    /// Workloads that have, or had, a backup.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn workloads(&self) -> Result<BTreeSet<WorkloadName>, CatalogError> {
        self.read(|tx| {
            tx.prepare("SELECT workload FROM standings")?
                .query_and_then([], |row| Reading::new("standings", row).name(0))?
                .collect()
        })
    }

    /// Names that begin so and are taken, by backups in any state.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn taken_names(&self, prefix: &str) -> Result<BTreeSet<BackupName>, CatalogError> {
        self.read(|tx| {
            // Names are ASCII below DEL, so this range is exactly the prefix, and the index serves it.
            tx.prepare("SELECT name FROM backups WHERE name >= ?1 AND name < ?1 || char(127)")?
                .query_and_then([prefix], |row| Reading::new("backups", row).name(0))?
                .collect()
        })
    }

    /// The full name for one that may be shortened as long as it stays unique.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] and [`CatalogError::Ambiguous`].
    pub fn find_backup(&self, shortened: &str) -> Result<BackupName, CatalogError> {
        self.find("backup", "SELECT name FROM backups WHERE name >= ?1 AND name < ?1 || char(127) LIMIT 6", shortened)
    }

    /// The full id for a run's that may be shortened as long as it stays unique.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] and [`CatalogError::Ambiguous`].
    pub fn find_run(&self, shortened: &str) -> Result<RunId, CatalogError> {
        self.find("run", "SELECT id FROM runs WHERE id >= ?1 AND id < ?1 || char(127) LIMIT 6", shortened)
    }

    fn find<T>(&self, what: &'static str, sql: &str, shortened: &str) -> Result<T, CatalogError>
    where
        T: std::str::FromStr<Err = backstop_model::name::BadName> + AsRef<str>,
    {
        let mut fitting: Vec<T> = self.read(|tx| {
            tx.prepare(sql)?.query_and_then([shortened], |row| Reading::new(what, row).name(0))?.collect()
        })?;
        // The range is in byte order, so an exact match stands first.
        let exact = fitting.first().is_some_and(|first| first.as_ref() == shortened);
        match fitting.len() {
            0 => Err(CatalogError::NotFound { what, name: shortened.escape_debug().take(80).collect() }),
            n if n == 1 || exact => Ok(fitting.swap_remove(0)),
            _ if shortened.is_empty() => Err(CatalogError::NotFound { what, name: String::new() }),
            _ => Err(CatalogError::Ambiguous {
                what,
                prefix: shortened.to_owned(),
                candidates: fitting.iter().take(5).map(|name| name.as_ref().to_owned()).collect(),
            }),
        }
    }

    /// Proofs that fit, newest first, those about copies that are gone included.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn proofs(&self, filter: &ProofFilter) -> Result<Vec<ProofRecord>, CatalogError> {
        self.read(|tx| {
            tx.prepare(
                "SELECT p.copy, p.at, p.level, p.passed, p.kind, p.took, p.sample_ppm, p.run, p.detail, b.workload, \
                 b.name, c.place FROM proofs p JOIN copies c ON c.id = p.copy JOIN backups b ON b.id = c.backup \
                 WHERE (:since IS NULL OR p.at >= :since) AND (:kind IS NULL OR p.kind = :kind) \
                 AND (:workload IS NULL OR b.workload = :workload) ORDER BY p.at DESC, p.id DESC LIMIT :limit",
            )?
            .query_and_then(
                named_params! {
                    ":since": filter.since.map(micros),
                    ":kind": filter.kind.map(Coded::code),
                    ":workload": filter.workload.as_ref().map(WorkloadName::as_str),
                    ":limit": limit(filter.limit),
                },
                |row| {
                    let reading = Reading::new("proofs", row);
                    Ok(ProofRecord {
                        workload: reading.name(9)?,
                        backup: reading.name(10)?,
                        place: reading.name(11)?,
                        proof: proof(row)?.1,
                    })
                },
            )?
            .collect()
        })
    }
}

pub(crate) fn by_name(tx: &Transaction<'_>, name: &BackupName) -> Result<Option<(i64, Backup)>, CatalogError> {
    let mut found = tx
        .prepare(&format!("{BACKUP} WHERE name = ?1"))?
        .query_and_then([name.as_str()], backup)?
        .collect::<Result<Vec<_>, _>>()?;
    let Some((id, mut backup)) = found.pop() else { return Ok(None) };
    Copies::prepare(tx)?.fill(id, &mut backup)?;
    Ok(Some((id, backup)))
}

/// Reads one workload after another, with each statement prepared once.
pub(crate) struct Workloads<'t> {
    backups: Statement<'t>,
    copies: Copies<'t>,
}

impl<'t> Workloads<'t> {
    pub(crate) fn prepare(tx: &'t Transaction<'_>) -> Result<Self, CatalogError> {
        let backups = tx.prepare(&format!("{BACKUP} WHERE workload = ?1 ORDER BY created, name"))?;
        Ok(Self { backups, copies: Copies::prepare(tx)? })
    }

    /// All its backups, in any state, oldest first.
    pub(crate) fn of(&mut self, workload: &WorkloadName) -> Result<Vec<Backup>, CatalogError> {
        let rows = self.backups.query_and_then([workload.as_str()], backup)?;
        filled(rows, &mut self.copies)
    }
}

fn select(tx: &Transaction<'_>, filter: &BackupFilter) -> Result<Vec<Backup>, CatalogError> {
    let state = |kind| filter.states.is_empty() || filter.states.contains(&kind);
    // The workload's condition is spelt so that its index is used; the others narrow what that one leaves.
    let workload = if filter.workload.is_some() { "workload = :workload" } else { ":workload IS NULL" };
    let sql = format!(
        "{BACKUP} WHERE {workload} AND created >= :since AND (:until IS NULL OR created < :until) \
         AND (:tier IS NULL OR instr(',' || tiers || ',', ',' || :tier || ',') > 0) \
         AND ((state = 0 AND :present) OR (state = 1 AND :trashed) OR (state = 2 AND :purged) OR state > 2) \
         AND (:text IS NULL OR instr(name, :text) > 0) AND (NOT :held OR hold_since IS NOT NULL) \
         AND (:level IS NULL OR NOT EXISTS (SELECT 1 FROM copies c WHERE c.backup = backups.id AND c.current = 1 \
              AND c.state = 0 AND c.level >= :level)) \
         ORDER BY created DESC, name DESC LIMIT :limit"
    );
    let mut statement = tx.prepare(&sql)?;
    let rows = statement.query_and_then(
        named_params! {
            ":workload": filter.workload.as_ref().map(WorkloadName::as_str),
            ":since": filter.since.map_or(i64::MIN, micros),
            ":until": filter.until.map(micros),
            ":tier": filter.tier.as_ref().map(ToString::to_string),
            ":present": state(StateKind::Present),
            ":trashed": state(StateKind::Trashed),
            ":purged": state(StateKind::Purged),
            ":text": filter.text,
            ":held": filter.held,
            ":level": filter.unverified_below.map(Coded::code),
            ":limit": limit(filter.limit),
        },
        backup,
    )?;
    filled(rows, &mut Copies::prepare(tx)?)
}

fn filled(
    rows: impl Iterator<Item = Result<(i64, Backup), CatalogError>>,
    copies: &mut Copies<'_>,
) -> Result<Vec<Backup>, CatalogError> {
    rows.map(|row| {
        let (id, mut backup) = row?;
        copies.fill(id, &mut backup)?;
        Ok(backup)
    })
    .collect()
}

/// Everything in three sweeps side by side, in the order of backup ids.
fn everything(tx: &Transaction<'_>) -> Result<Vec<Backup>, CatalogError> {
    let mut proofs: BTreeMap<i64, Vec<Proof>> = BTreeMap::new();
    for row in tx.prepare(&format!("{PROOF} ORDER BY id"))?.query_and_then([], proof)? {
        let (copy, proof) = row?;
        proofs.entry(copy).or_default().push(proof);
    }
    let mut copies: BTreeMap<i64, Vec<Copy>> = BTreeMap::new();
    for row in tx.prepare(&format!("{COPY} WHERE current = 1 ORDER BY id"))?.query_and_then([], copy)? {
        let (id, backup, mut copy) = row?;
        copy.proofs = proofs.remove(&id).unwrap_or_default();
        copies.entry(backup).or_default().push(copy);
    }
    tx.prepare(&format!("{BACKUP} ORDER BY id"))?
        .query_and_then([], backup)?
        .map(|row| {
            let (id, mut backup) = row?;
            backup.copies = copies.remove(&id).unwrap_or_default();
            Ok(backup)
        })
        .collect()
}

/// Reads copies and proofs of one backup after another.
struct Copies<'t> {
    copies: Statement<'t>,
    proofs: Statement<'t>,
}

impl<'t> Copies<'t> {
    fn prepare(tx: &'t Transaction<'_>) -> Result<Self, CatalogError> {
        Ok(Self {
            copies: tx.prepare(&format!("{COPY} WHERE backup = ?1 AND current = 1 ORDER BY id"))?,
            proofs: tx.prepare(&format!("{PROOF} WHERE copy = ?1 ORDER BY id"))?,
        })
    }

    fn fill(&mut self, id: i64, backup: &mut Backup) -> Result<(), CatalogError> {
        for row in self.copies.query_and_then([id], copy)? {
            let (id, _, mut copy) = row?;
            for row in self.proofs.query_and_then([id], proof)? {
                copy.proofs.push(row?.1);
            }
            backup.copies.push(copy);
        }
        Ok(())
    }
}

fn backup(row: &Row<'_>) -> Result<(i64, Backup), CatalogError> {
    let reading = Reading::new("backups", row);
    let tiers: String = reading.get(4)?;
    let backup = Backup {
        name: reading.name(1)?,
        workload: reading.name(2)?,
        created: reading.time(3)?,
        tiers: tiers
            .split(',')
            .filter(|word| !word.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|bad| reading.damaged(4, bad))?,
        mode: reading.coded(5)?,
        based_on: reading.name_or_none(6)?,
        size: reading.bytes(7)?,
        entries: reading.count(8)?,
        completeness: match reading.is_null(9)? {
            true => Completeness::Complete,
            false => Completeness::Partial { troubles: reading.count(9)? },
        },
        state: match reading.coded::<StateKind>(10)? {
            StateKind::Present => BackupState::Present,
            StateKind::Trashed => BackupState::Trashed { since: reading.time(11)?, purge_after: reading.time(12)? },
            StateKind::Purged => BackupState::Purged { at: reading.time(11)? },
        },
        hold: match reading.time_or_none(15)? {
            Some(since) => Some(Hold { reason: reading.get(13)?, by: reading.get(14)?, since }),
            None => None,
        },
        copies: Vec::new(),
        run: reading.name(16)?,
    };
    Ok((reading.get(0)?, backup))
}

fn copy(row: &Row<'_>) -> Result<(i64, i64, Copy), CatalogError> {
    let reading = Reading::new("copies", row);
    let copy = Copy {
        place: reading.name(2)?,
        snapshot: reading.snapshot(3)?,
        state: reading.coded(4)?,
        stored: reading.bytes(5)?,
        created: reading.time(6)?,
        proofs: Vec::new(),
    };
    Ok((reading.get(0)?, reading.get(1)?, copy))
}

fn proof(row: &Row<'_>) -> Result<(i64, Proof), CatalogError> {
    let reading = Reading::new("proofs", row);
    let proof = Proof {
        at: reading.time(1)?,
        level: reading.coded(2)?,
        passed: reading.get(3)?,
        kind: reading.coded(4)?,
        took: reading.span(5)?,
        sample_ppm: reading.get(6)?,
        run: reading.name(7)?,
        detail: reading.get(8)?,
    };
    Ok((reading.get(0)?, proof))
}

/// Proofs of one row of `copies`, in order.
pub(crate) fn proofs_of(tx: &Transaction<'_>, copy: i64) -> Result<Vec<Proof>, CatalogError> {
    tx.prepare(&format!("{PROOF} WHERE copy = ?1 ORDER BY id"))?
        .query_and_then([copy], |row| Ok(proof(row)?.1))?
        .collect()
}

/// Tiers as their column.
pub(crate) fn tier_words(backup: &Backup) -> String {
    backup.tiers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The three columns of a state.
pub(crate) fn state_columns(state: BackupState) -> (i64, Option<i64>, Option<i64>) {
    match state {
        BackupState::Present => (StateKind::Present.code(), None, None),
        BackupState::Trashed { since, purge_after } => {
            (StateKind::Trashed.code(), Some(micros(since)), Some(micros(purge_after)))
        }
        BackupState::Purged { at } => (StateKind::Purged.code(), Some(micros(at)), None),
    }
}

/// The column of completeness.
pub(crate) fn troubles_column(completeness: Completeness) -> Option<i64> {
    match completeness {
        Completeness::Complete => None,
        Completeness::Partial { troubles } => Some(count(troubles)),
    }
}
