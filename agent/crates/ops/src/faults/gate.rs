//! The gate under faults: what it refuses leaves nothing but its decision, what dies after it was asked is settled
//! without asking again, and an approval that was used up is never used twice.

use backstop_catalog::{ApprovalFilter, ApprovalRuling, DecisionFilter};
use backstop_model::ExitCode;
use backstop_model::policy::approval::ApprovalState;

use super::*;

const TWO_PERSON: &[u8] = include_bytes!("../../../../../policies/two-person.wasm");

/// A stage on which a restore in place needs another person.
fn guarded() -> Stage {
    let mut stage = Stage::set();
    let path = "/etc/backstop/two-person.wasm";
    stage.world.disk().write(path, TWO_PERSON.to_vec());
    let sha256 = backstop_policy::sign::sha256_hex(TWO_PERSON);
    let more = format!(
        "[policy.two-person]\ncomponent = \"two-person.wasm\"\nsha256 = \"{sha256}\"\nworld = \"validation\"\n\
         mode = \"active\"\nsettings = {{ guarded = [\"restore-in-place\"] }}\n"
    );
    let bytes = format!("{CONFIG}{more}").into_bytes();
    let file = SourceFile { path: "/etc/backstop/backstop.toml".into(), bytes };
    stage.ctx.config = load(&[file], &Overrides::default()).expect("valid");
    stage
}

fn decisions(stage: &Stage) -> usize {
    stage.ctx.catalog.decisions(&DecisionFilter::default()).expect("reads").len()
}

fn runs(stage: &Stage) -> usize {
    stage.ctx.catalog.runs(&RunFilter::default()).expect("reads").len()
}

fn approve(stage: &Stage) {
    let now = stage.ctx.outside.clock.now();
    let waiting = ApprovalFilter { states: vec![ApprovalState::Pending], ..ApprovalFilter::default() };
    let waiting = stage.ctx.catalog.approvals(&waiting, now).expect("reads");
    let [approval] = waiting.as_slice() else { panic!("waiting: {}", waiting.len()) };
    let ruling = ApprovalRuling { approve: true, by: "bob@world", reason: "", at: now };
    stage.ctx.catalog.approval_decide(approval.id, &ruling).expect("decided");
}

#[test]
fn what_is_refused_leaves_nothing_but_the_decision_and_the_question_to_somebody_else() {
    let stage = guarded();
    let (facts, begun) = (stage.facts(), runs(&stage));
    let audit = stage.ctx.catalog.audit(&Default::default()).expect("reads").len();
    let fault = in_place(&stage.ctx).expect_err("held");
    assert_eq!(fault.code, ExitCode::Refused, "{fault}");
    assert!(fault.message.contains("policy `two-person`") && fault.hint.contains("approval approve"), "{fault:?}");
    assert_eq!((stage.facts(), runs(&stage), decisions(&stage)), (facts, begun, 1));
    assert_eq!(stage.ctx.catalog.audit(&Default::default()).expect("reads").len(), audit);
    stage.is_sound("a refused restore");
    // Asked again, it is the same question to somebody else, not another one.
    in_place(&stage.ctx).expect_err("still held");
    approve(&stage);
    stage.sound(in_place(&stage.ctx));
    in_place(&stage.ctx).expect_err("an approval passes once");
}

#[test]
fn what_dies_at_any_step_after_it_was_accepted_is_settled_without_asking_again() {
    for step in (0..4).map(StepId) {
        for death in [Injection::DieBefore(step), Injection::DieAfter(step)] {
            let stage = guarded();
            in_place(&stage.ctx).expect_err("held");
            approve(&stage);
            stage.inject(&[death]);
            let _ = in_place(&stage.ctx);
            stage.inject(&[]);
            let asked = decisions(&stage);
            settle::before(&stage.ctx, &docs(), &Silent).unwrap_or_else(|fault| panic!("{death:?}: {fault}"));
            assert_eq!(decisions(&stage), asked, "{death:?}: what is in the journal was asked about before");
            stage.is_sound(&format!("{death:?}"));
        }
    }
}

#[test]
fn a_process_that_dies_between_the_decision_and_its_run_costs_the_approval_and_nothing_else() {
    let stage = guarded();
    in_place(&stage.ctx).expect_err("held");
    approve(&stage);
    let (facts, begun) = (stage.facts(), runs(&stage));
    // Somebody alive holds the workload: the approval is used up, and nothing has begun.
    let now = stage.ctx.outside.clock.now();
    let lease = stage.ctx.catalog.acquire("workload:docs", "somebody", Span::from_days(1), now).expect("free");
    let fault = in_place(&stage.ctx).expect_err("busy");
    assert_eq!(fault.code, ExitCode::Busy, "{fault}");
    stage.ctx.catalog.release(&lease).expect("released");
    assert_eq!((stage.facts(), runs(&stage)), (facts, begun));
    in_place(&stage.ctx).expect_err("the approval was used up");
    approve(&stage);
    stage.sound(in_place(&stage.ctx));
    stage.is_sound("after all");
}
