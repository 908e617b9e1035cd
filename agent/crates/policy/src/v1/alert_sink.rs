//! Alert sinks: the question in the WIT's words, the answer checked.

use std::sync::Arc;

use backstop_model::name::{RunId, WorkloadName};
use backstop_model::policy::alert::{Delivery, DeliveryQuestion, Severity};
use backstop_model::policy::{Asked, CivilTime};
use backstop_model::time::Span;
use backstop_model::{BackupName, policy};

use super::exports::alert_delivery as wit;
use super::words::{Texts, civil};
use crate::call::Guest;
use crate::state::{Reach, State};
use crate::text::{LINE_MAX, untrusted};
use crate::witness::Witness;

/// Bytes of what a receiver calls an alert.
const RECEIPT_MAX: usize = 200;

pub(crate) fn deliver(
    guest: &Guest,
    entry: &wit::GuestIndices,
    question: &DeliveryQuestion,
    reach: Reach,
    witness: &Arc<Witness>,
) -> Asked<Delivery> {
    let policy::alert::Alert { facts, workload, backup, run, .. } = &question.alert;
    let (setting_texts, fact_texts) = (Texts::of(&question.settings), Texts::of(facts));
    let (settings, facts) = (setting_texts.fields(&question.settings), fact_texts.fields(facts));
    let alert = wit::Alert {
        id: &question.alert.id,
        group: &question.alert.group,
        at: question.alert.at.as_second(),
        local: civil(&CivilTime::utc(question.alert.at)),
        severity: match question.alert.severity {
            Severity::Info => wit::Severity::Info,
            Severity::Warning => wit::Severity::Warning,
            Severity::Critical => wit::Severity::Critical,
        },
        kind: &question.alert.kind,
        title: &question.alert.title,
        text: &question.alert.text,
        workload: workload.as_ref().map(WorkloadName::as_str),
        backup: backup.as_ref().map(BackupName::as_str),
        run: run.as_ref().map(RunId::as_str),
        host: &question.alert.host,
        recovered: question.alert.recovered,
        attempt: question.attempt,
        facts: &facts,
    };
    let asked = wit::Question { now: question.now, settings: &settings, alert };
    let ask = |store: &mut _, instance: &_| entry.load(&mut *store, instance)?.call_deliver(store, asked);
    guest.ask(reach, witness, ask, |answer, state| Ok(delivery(answer, state)))
}

fn delivery(answer: Result<wit::Receipt, wit::Failure>, state: &State) -> Delivery {
    let told = |text: &str, most| match &state.reach {
        Reach::Web(web) => untrusted(&web.without_secrets(text), most),
        Reach::Nothing | Reach::System { .. } => untrusted(text, most),
    };
    match answer {
        Ok(receipt) => Delivery::Delivered { id: told(&receipt.id, RECEIPT_MAX), note: told(&receipt.note, LINE_MAX) },
        Err(wit::Failure::Again(setback)) => Delivery::Again {
            after: setback.after.map(|secs| Span::from_secs(secs.into())),
            why: told(&setback.why, LINE_MAX),
        },
        Err(wit::Failure::Never(why)) => Delivery::Never { why: told(&why, LINE_MAX) },
    }
}
