//! `policy replay`: what a candidate would have decided on the recorded past, exactly.

use std::collections::BTreeMap;
use std::path::Path;

use backstop_catalog::DecisionFilter;
use backstop_model::policy::{Decision, Fault as PolicyFault};
use backstop_model::{Fault, PolicyName, Timestamp, WorkloadName};
use serde::Serialize;
use serde_json::Value;

use crate::context::Context;
use crate::gate::load;
use crate::policy_ask::{Answer, again, loose, only, same};
use crate::policy_list;

/// Decisions read at a time: a question about thousands of backups is large.
const PAGE: u32 = 200;
/// Differences that are told in full.
const SHOWN_MAX: usize = 200;

/// What came of asking again.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Replayed {
    /// Decisions that were asked again.
    pub decisions: u64,
    /// Those with the same answer.
    pub same: u64,
    /// Those to which the candidate found no answer.
    pub faults: u64,
    /// Those with another answer, newest first; at most 200.
    pub differences: Vec<Difference>,
    /// How many there are in all.
    pub difference_count: u64,
}

/// One question with two answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The number of the decision.
    pub decision: i64,
    /// When it was asked.
    pub at: Timestamp,
    /// About which workload.
    pub workload: Option<WorkloadName>,
    /// For what.
    pub function: String,
    /// What is different, a line each.
    pub lines: Vec<String>,
}

/// Asks a candidate, or the component as it is now, what was asked of a policy since then.
///
/// # Errors
/// A policy of a world that depends on what is outside; a candidate that cannot be loaded.
pub fn replay(ctx: &Context, name: &PolicyName, since: Timestamp, candidate: Option<&Path>) -> Result<Replayed, Fault> {
    let config = policy_list::configured(ctx, name)?;
    if !config.world.is_pure() {
        return Err(Fault::usage(
            format!("what {} policies said depends on the world outside: it cannot be asked again", config.world),
            "retention and validation can; `backstop policy test` asks the others against scripted worlds",
        ));
    }
    let set = match candidate {
        Some(path) => loose(&ctx.outside, load::engine(ctx)?, path, Some(config))?,
        None => loose(&ctx.outside, load::engine(ctx)?, &config.component, Some(config))?,
    };
    let policy = only(&set)?;
    let mut out = Replayed::default();
    let mut before = None;
    loop {
        let filter = DecisionFilter {
            policy: Some(name.clone()),
            since: Some(since),
            before,
            limit: Some(PAGE),
            ..DecisionFilter::default()
        };
        let page = ctx.catalog.decisions(&filter)?;
        let Some(last) = page.last() else { return Ok(out) };
        before = Some(last.id);
        for decision in page.iter().filter(|decision| decision.world == config.world) {
            let answer = again(policy, decision.world, &decision.function, &decision.question);
            out.decisions += 1;
            out.faults += u64::from(answer.answer.is_err());
            if same(decision, &answer) {
                out.same += 1;
                continue;
            }
            out.difference_count += 1;
            if out.differences.len() < SHOWN_MAX {
                out.differences.push(Difference {
                    decision: decision.id,
                    at: decision.at,
                    workload: decision.workload.clone(),
                    function: decision.function.clone(),
                    lines: lines(decision, &answer),
                });
            }
        }
    }
}

/// What is different about two answers, in words.
fn lines(before: &Decision, now: &Answer) -> Vec<String> {
    if let (Ok(a), Ok(b), "release") = (&before.answer, &now.answer, before.function.as_str()) {
        return releases(&before.question, a, b);
    }
    let shown = |answer: &Result<Value, PolicyFault>| match answer {
        Ok(value) => value.to_string(),
        Err(fault) => format!("no answer: {}", fault.message),
    };
    vec![format!("was {}", shown(&before.answer)), format!("is  {}", shown(&now.answer))]
}

/// Backup by backup, as far as built-in retention leaves it to policies.
fn releases(question: &Value, before: &Value, now: &Value) -> Vec<String> {
    let read = |answer: &Value| -> BTreeMap<u64, (bool, String)> {
        let verdicts = answer.as_array().into_iter().flatten();
        let one = |verdict: &Value| {
            let reason = verdict["reason"].as_str().unwrap_or_default().to_owned();
            Some((verdict["backup"].as_u64()?, (verdict["release"].as_bool()?, reason)))
        };
        verdicts.filter_map(one).collect()
    };
    let word = |verdict: Option<&(bool, String)>| match verdict {
        None => "nothing, so it stays".to_owned(),
        Some((release, reason)) => {
            let word = if *release { "may go" } else { "stays" };
            if reason.is_empty() { word.to_owned() } else { format!("{word} ({reason})") }
        }
    };
    let (before, now) = (read(before), read(now));
    let backups = question["backups"].as_array().map_or(&[][..], Vec::as_slice);
    let one = |(index, backup): (usize, &Value)| {
        let at = index as u64;
        let (a, b) = (before.get(&at), now.get(&at));
        let matters = if backup["releasable"].as_bool() == Some(true) { "" } else { " [kept anyway]" };
        let name = backup["name"].as_str().unwrap_or("?");
        (a != b).then(|| format!("{name}{matters}: was {}, is {}", word(a), word(b)))
    };
    backups.iter().enumerate().filter_map(one).collect()
}
