//! The flight recorder: every question asked of a policy, with what came of it.
//!
//! The list of a workload's backups is by far the largest part of a question, and the same for several policies and
//! for as long as nothing changes. So the largest member of a question is kept by its digest, once.

use std::collections::HashMap;

use backstop_model::policy::{Decision, Mode, World};
use backstop_model::{PolicyName, Span, Timestamp, WorkloadName};
use rusqlite::{OptionalExtension, Row, Statement, Transaction, named_params, params};
use serde_json::Value;

use crate::code::{Reading, count, json, limit, micros};
use crate::error::CatalogError;
use crate::store::Catalog;

/// A member of a question smaller than this, in bytes of JSON, is not worth a row of its own.
const PART_MIN: usize = 1024;

/// Which decisions. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct DecisionFilter {
    /// Of this policy.
    pub policy: Option<PolicyName>,
    /// About this workload.
    pub workload: Option<WorkloadName>,
    /// Of this world.
    pub world: Option<World>,
    /// By this function: `tiers`, `release`, `check`, `deliver`.
    pub function: Option<String>,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Older than this.
    pub until: Option<Timestamp>,
    /// That would have changed what was done.
    pub diverged: bool,
    /// That found no answer.
    pub faults: bool,
    /// Recorded before this one, for reading page by page.
    pub before: Option<i64>,
    /// The newest so many.
    pub limit: Option<u32>,
}

/// How much of the past stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionsKept {
    /// Decisions older than this go.
    pub age: Span,
    /// Of the others, the newest so many stay.
    pub rows: u64,
    /// Bytes of what stays; the oldest go until it fits.
    pub bytes: u64,
}

impl Default for DecisionsKept {
    fn default() -> Self {
        Self { age: Span::from_days(90), rows: 500_000, bytes: 256 << 20 }
    }
}

const DECISION: &str = "SELECT d.id, d.at, d.generation, d.policy, d.world, d.function, d.mode, d.canary, d.component, \
                        d.workload, d.question, d.member, p.body, d.answer, d.fault, d.effect, d.diverged, d.log, \
                        d.took, d.fuel FROM decisions d LEFT JOIN question_parts p ON p.id = d.part";

impl Catalog {
    /// Records decisions in one transaction, whatever their ids say; returns the ids they got, in order.
    ///
    /// # Errors
    /// Those of any write; none is recorded then.
    pub fn record_decisions(&self, decisions: &[Decision]) -> Result<Vec<i64>, CatalogError> {
        if decisions.is_empty() {
            return Ok(Vec::new());
        }
        self.write(|tx| {
            let mut recorder = Recorder::prepare(tx)?;
            decisions.iter().map(|decision| recorder.record(tx, decision)).collect()
        })
    }

    /// The decisions that fit, newest first. A question about thousands of backups is large: give a limit.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn decisions(&self, filter: &DecisionFilter) -> Result<Vec<Decision>, CatalogError> {
        // The conditions with an index are spelt so that it is used.
        let policy = if filter.policy.is_some() { "d.policy = :policy" } else { ":policy IS NULL" };
        let workload = if filter.workload.is_some() { "d.workload = :workload" } else { ":workload IS NULL" };
        let sql = format!(
            "{DECISION} WHERE {policy} AND {workload} AND (:world IS NULL OR d.world = :world) \
             AND (:function IS NULL OR d.function = :function) AND d.at >= :since AND (:until IS NULL OR d.at < :until) \
             AND (NOT :diverged OR d.diverged = 1) AND (NOT :faults OR d.fault IS NOT NULL) \
             AND d.id < :before ORDER BY d.id DESC LIMIT :limit"
        );
        self.read(|tx| {
            tx.prepare(&sql)?
                .query_and_then(
                    named_params! {
                        ":policy": filter.policy.as_ref().map(PolicyName::as_str),
                        ":workload": filter.workload.as_ref().map(WorkloadName::as_str),
                        ":world": filter.world.map(World::word),
                        ":function": filter.function,
                        ":since": filter.since.map_or(i64::MIN, micros),
                        ":until": filter.until.map(micros),
                        ":diverged": filter.diverged,
                        ":faults": filter.faults,
                        ":before": filter.before.unwrap_or(i64::MAX),
                        ":limit": limit(filter.limit),
                    },
                    decision,
                )?
                .collect()
        })
    }

    /// The decision of that number.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] without such a decision.
    pub fn decision(&self, id: i64) -> Result<Decision, CatalogError> {
        self.read(|tx| {
            let mut statement = tx.prepare(&format!("{DECISION} WHERE d.id = ?1"))?;
            let found = statement.query_and_then([id], decision)?.next().transpose()?;
            found.ok_or_else(|| CatalogError::NotFound { what: "decision", name: id.to_string() })
        })
    }

    /// Forgets decisions beyond what is kept; returns how many.
    ///
    /// # Errors
    /// Those of any write.
    pub fn prune_decisions(&self, kept: &DecisionsKept, now: Timestamp) -> Result<u64, CatalogError> {
        self.write(|tx| {
            let mut gone = tx.execute("DELETE FROM decisions WHERE at < ?1", [micros(kept.age.before(now))])?;
            gone += tx.execute(
                "DELETE FROM decisions WHERE id <= (SELECT id FROM decisions ORDER BY id DESC LIMIT 1 OFFSET ?1)",
                [count(kept.rows)],
            )?;
            forget_parts(tx)?;
            while let Some(rows) = beyond(tx, kept.bytes)? {
                let sql = "DELETE FROM decisions WHERE id IN (SELECT id FROM decisions ORDER BY id LIMIT ?1)";
                gone += tx.execute(sql, [rows])?;
                forget_parts(tx)?;
            }
            Ok(gone as u64)
        })
    }
}

/// Parts that no question holds any more.
fn forget_parts(tx: &Transaction<'_>) -> Result<(), CatalogError> {
    let sql = "DELETE FROM question_parts WHERE NOT EXISTS (SELECT 1 FROM decisions WHERE part = question_parts.id)";
    tx.execute(sql, [])?;
    Ok(())
}

/// How many of the oldest decisions to forget next, if all together are too large: a tenth.
fn beyond(tx: &Transaction<'_>, most: u64) -> Result<Option<i64>, CatalogError> {
    let sql = "SELECT (SELECT coalesce(sum(size), 0) FROM decisions) + (SELECT coalesce(sum(size), 0) FROM question_parts), \
               (SELECT count(*) FROM decisions)";
    let (bytes, rows): (i64, i64) = tx.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((bytes > count(most) && rows > 0).then_some((rows / 10).max(1)))
}

/// Writes decisions one after another, with each statement prepared once.
struct Recorder<'t> {
    insert: Statement<'t>,
    find_part: Statement<'t>,
    insert_part: Statement<'t>,
    parts: HashMap<blake3::Hash, i64>,
}

impl<'t> Recorder<'t> {
    fn prepare(tx: &'t Transaction<'_>) -> Result<Self, CatalogError> {
        Ok(Self {
            insert: tx.prepare(
                "INSERT INTO decisions (at, size, policy, world, function, mode, canary, workload, generation, component, \
                 effect, diverged, took, fuel, part, member, question, answer, fault, log) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
            )?,
            find_part: tx.prepare("SELECT id FROM question_parts WHERE digest = ?1")?,
            insert_part: tx.prepare("INSERT INTO question_parts (digest, size, body) VALUES (?1, ?2, ?3)")?,
            parts: HashMap::new(),
        })
    }

    fn record(&mut self, tx: &Transaction<'_>, decision: &Decision) -> Result<i64, CatalogError> {
        let question = Question::of(&decision.question)?;
        let (member, part) = match &question.part {
            Some((member, body)) => (Some(*member), Some(self.part(tx, body)?)),
            None => (None, None),
        };
        let (answer, fault) = match &decision.answer {
            Ok(answer) => (Some(json(answer)?), None),
            Err(fault) => (None, Some(json(fault)?)),
        };
        let log = json(&decision.log)?;
        let (mode, canary) = mode_columns(decision.mode);
        let texts = [Some(&question.rest), answer.as_ref(), fault.as_ref(), Some(&log)];
        let size: usize = texts.into_iter().flatten().map(String::len).sum();
        self.insert.execute(params![
            micros(decision.at),
            count(size as u64),
            decision.policy.as_str(),
            decision.world.word(),
            decision.function,
            mode,
            canary,
            decision.workload.as_ref().map(WorkloadName::as_str),
            decision.generation,
            decision.component,
            decision.effect,
            decision.diverged,
            count(decision.took.as_millis()),
            count(decision.fuel),
            part,
            member,
            question.rest,
            answer,
            fault,
            log,
        ])?;
        Ok(tx.last_insert_rowid())
    }

    /// The number of the part, which is stored if it is new.
    fn part(&mut self, tx: &Transaction<'_>, body: &str) -> Result<i64, CatalogError> {
        let digest = blake3::hash(body.as_bytes());
        if let Some(id) = self.parts.get(&digest) {
            return Ok(*id);
        }
        let shown = digest.to_hex();
        let known = self.find_part.query_row([shown.as_str()], |row| row.get(0)).optional()?;
        let id = match known {
            Some(id) => id,
            None => {
                self.insert_part.execute(params![shown.as_str(), count(body.len() as u64), body])?;
                tx.last_insert_rowid()
            }
        };
        self.parts.insert(digest, id);
        Ok(id)
    }
}

/// A question as stored: its largest member apart, when that is worth it.
struct Question<'q> {
    rest: String,
    part: Option<(&'q str, String)>,
}

impl<'q> Question<'q> {
    fn of(question: &'q Value) -> Result<Self, CatalogError> {
        let Value::Object(members) = question else { return Ok(Self { rest: json(question)?, part: None }) };
        let mut texts = Vec::with_capacity(members.len());
        for (member, value) in members {
            texts.push((member.as_str(), json(value)?));
        }
        // A name that needs no quoting is one that SQL can name, too.
        let plain = |member: &str| member.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        let largest = (0..texts.len()).max_by_key(|index| texts[*index].1.len());
        let large = largest.filter(|index| texts[*index].1.len() >= PART_MIN && plain(texts[*index].0));
        let part = large.map(|index| texts.swap_remove(index));
        let mut rest = String::from("{");
        for (index, (member, text)) in texts.iter().enumerate() {
            if index > 0 {
                rest.push(',');
            }
            rest.push_str(&json(member)?);
            rest.push(':');
            rest.push_str(text);
        }
        rest.push('}');
        Ok(Self { rest, part })
    }
}

fn mode_columns(mode: Mode) -> (&'static str, Option<u8>) {
    match mode {
        Mode::Shadow => ("shadow", None),
        Mode::Canary { percent } => ("canary", Some(percent)),
        Mode::Active => ("active", None),
    }
}

fn decision(row: &Row<'_>) -> Result<Decision, CatalogError> {
    let reading = Reading::new("decisions", row);
    let mode: String = reading.get(6)?;
    let mut question: Value = reading.json(10)?;
    if let Some(member) = reading.get::<Option<String>>(11)? {
        let members = question.as_object_mut().ok_or_else(|| reading.damaged(10, "no object"))?;
        members.insert(member, Reading::new("question_parts", row).json(12)?);
    }
    Ok(Decision {
        id: reading.get(0)?,
        at: reading.time(1)?,
        generation: reading.get(2)?,
        policy: reading.name(3)?,
        world: reading.name(4)?,
        function: reading.get(5)?,
        mode: match (mode.as_str(), reading.get::<Option<u8>>(7)?) {
            ("shadow", None) => Mode::Shadow,
            ("canary", Some(percent)) => Mode::Canary { percent },
            ("active", None) => Mode::Active,
            _ => return Err(reading.damaged(6, "this is no mode")),
        },
        component: reading.get(8)?,
        workload: reading.name_or_none(9)?,
        question,
        answer: match reading.is_null(13)? {
            false => Ok(reading.json(13)?),
            true => Err(reading.json(14)?),
        },
        effect: reading.get(15)?,
        diverged: reading.get(16)?,
        log: reading.json(17)?,
        took: reading.span(18)?,
        fuel: reading.count(19)?,
    })
}

#[cfg(test)]
mod tests;
