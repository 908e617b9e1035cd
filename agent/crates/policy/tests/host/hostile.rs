//! Each test: what a hostile plugin does, what the operator is told, and that the engine stays well.

use std::time::Instant;

use backstop_model::policy::{FaultKind, LogSeverity, World};
use backstop_policy::Engine;

use super::kit::{
    assert_well, candidate, engine, fault_of, hostile, load, only, refusal, release_question, tiers_question,
    validation_question,
};

/// Loads a hostile retention policy, asks it what may be released, and looks at the fault.
#[track_caller]
fn release_fault(name: &str, kind: FaultKind, message: &str) {
    let engine = engine();
    let set = load(&engine, candidate(World::Retention, hostile(World::Retention, name)));
    assert_eq!(only(&set).fault(), None);
    let asked = only(&set).ask_release(&release_question(10));
    let fault = fault_of(&asked);
    assert_eq!((fault.kind, fault.message.as_str()), (kind, message));
    assert_well(&engine);
}

#[track_caller]
fn start_refusal(name: &str, message: &str) {
    let engine = engine();
    let fault = refusal(&engine, candidate(World::Retention, hostile(World::Retention, name)));
    assert_eq!(fault, message);
    assert_well(&engine);
}

#[test]
fn a_loop_without_end_is_stopped_at_its_limit_of_time() {
    let begun = Instant::now();
    release_fault("infinite-loop.wat", FaultKind::TimedOut, "it did not answer within 300ms (`limits.time`)");
    assert!(begun.elapsed().as_millis() >= 300, "it had its time");
}

#[test]
fn a_loop_in_the_start_function_is_stopped_when_the_policy_is_loaded() {
    start_refusal("loop-in-start.wat", "it cannot be started: it did not answer within 300ms (`limits.time`)");
}

#[test]
fn a_memory_bomb_is_stopped_at_its_limit_and_not_taken_for_a_panic() {
    let message = "it wanted 17 MiB of memory, its limit is 16 MiB (`limits.memory`)";
    release_fault("memory-bomb.wat", FaultKind::OutOfMemory, message);
}

#[test]
fn memory_beyond_the_limit_is_not_given_at_birth_either() {
    let message = "it cannot be started: it wanted 257 MiB of memory, its limit is 16 MiB (`limits.memory`)";
    start_refusal("memory-at-birth.wat", message);
}

#[test]
fn a_table_bomb_is_stopped() {
    let message = "it wanted tables of 262145 elements, at most 200000 are given";
    release_fault("table-bomb.wat", FaultKind::OutOfMemory, message);
}

#[test]
fn recursion_without_end_uses_up_its_own_stack_only() {
    let message = "it called itself too deep: its stack of 512 KiB is used up";
    release_fault("deep-recursion.wat", FaultKind::Trapped, message);
}

#[test]
fn an_answer_of_a_gigabyte_is_not_copied() {
    let message = "its answer cannot be read: list pointer/length out of bounds of memory";
    release_fault("answer-of-a-gigabyte.wat", FaultKind::BadAnswer, message);
}

#[test]
fn an_answer_that_is_small_inside_and_huge_outside_is_not_copied() {
    let begun = Instant::now();
    let message = "its answer cannot be read: too much data is being copied between the host and the guest: fuel allocated \
                   for hostcalls has been exhausted";
    release_fault("answer-that-multiplies.wat", FaultKind::BadAnswer, message);
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[test]
fn an_answer_outside_memory_is_a_bad_answer() {
    let message = "its answer cannot be read: pointer out of bounds of memory";
    release_fault("answer-outside-memory.wat", FaultKind::BadAnswer, message);
}

#[test]
fn an_answer_that_is_no_text_is_a_bad_answer() {
    let message = "its answer cannot be read: invalid utf-8 sequence of 1 bytes from index 0";
    release_fault("answer-not-text.wat", FaultKind::BadAnswer, message);
}

/// The bits of a NaN are the same on every machine, whatever the guest does to get others, and an instant before 1970 is
/// what it is.
#[test]
fn a_nan_has_the_same_bits_everywhere_and_negative_times_arrive() {
    let engine = engine();
    let set = load(&engine, candidate(World::Retention, hostile(World::Retention, "nan-and-negative-times.wat")));
    for now in [i64::MIN, -1, 0, i64::MAX] {
        let mut question = release_question(1);
        question.now = now;
        question.backups[0].created = now;
        let verdicts = only(&set).ask_release(&question).answer.expect("an answer");
        assert_eq!((verdicts[0].release, verdicts[0].reason.as_str()), (now < 0, "7ff8000000000000"));
    }
}

/// The host says what the plugin said, for the record; what counts is decided by the built-in rules and the firewall.
#[test]
fn a_wish_to_delete_everything_is_reported_as_it_is() {
    let engine = engine();
    let set = load(&engine, candidate(World::Retention, hostile(World::Retention, "release-everything.wat")));
    let verdicts = only(&set).ask_release(&release_question(10)).answer.expect("an answer");
    assert_eq!(verdicts.len(), 10);
    assert!(verdicts.iter().all(|verdict| verdict.release));
}

#[test]
fn a_verdict_on_a_backup_that_does_not_exist_spoils_the_answer() {
    release_fault("unknown-backup.wat", FaultKind::BadAnswer, "it judged backup 10 of 10, counted from 0");
}

#[test]
fn two_verdicts_on_one_backup_spoil_the_answer() {
    release_fault("judged-twice.wat", FaultKind::BadAnswer, "it judged backup 0 twice");
}

/// 64 lines of 500 bytes are kept, the others are counted, and the answer still counts.
#[test]
fn a_flood_of_log_lines_is_counted_and_dropped() {
    let engine = engine();
    let set = load(&engine, candidate(World::Retention, hostile(World::Retention, "log-flood.wat")));
    let asked = only(&set).ask_release(&release_question(1));
    assert_eq!(asked.answer, Ok(Vec::new()));
    assert_eq!((asked.log.len(), asked.log_dropped), (64, 10_000 - 64));
    assert!(asked.log.iter().all(|line| line.line.len() <= 500 && line.severity == LogSeverity::Warning));
    assert!(asked.log[0].line.starts_with(r"\u{1b}\u{1b}"), "{}", asked.log[0].line);
    assert_well(&engine);
}

#[test]
fn a_log_line_longer_than_memory_is_a_trap() {
    let engine = engine();
    let set = load(&engine, candidate(World::Retention, hostile(World::Retention, "log-of-a-gigabyte.wat")));
    let asked = only(&set).ask_release(&release_question(1));
    let fault = fault_of(&asked);
    assert_eq!(fault.message, "it misused the host: string pointer/length out of bounds of memory");
    assert_eq!(asked.log.len(), 1, "the line before");
    assert_well(&engine);
}

/// Every call gets an instance of its own, so nothing is remembered from one to the next.
#[test]
fn a_plugin_that_waits_for_its_third_call_waits_for_ever() {
    let engine = engine();
    let set = load(&engine, candidate(World::Retention, hostile(World::Retention, "traps-on-third-call.wat")));
    for call in 1..=5 {
        assert_eq!(only(&set).ask_release(&release_question(1)).answer, Ok(Vec::new()), "call {call}");
    }
}

/// The operator sees where it happened, in names as they were written.
#[test]
fn a_panic_is_told_with_the_functions_it_happened_in() {
    let engine = engine();
    let set = load(&engine, candidate(World::Retention, hostile(World::Retention, "panics.wat")));
    let asked = only(&set).ask_release(&release_question(1));
    let fault = fault_of(&asked);
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Trapped, "it panicked or aborted"));
    assert_eq!(fault.backtrace[..2], ["policy::rules::decide", "choose"]);
    assert_well(&engine);
}

#[test]
fn what_a_plugin_says_when_it_gives_up_cannot_act_on_a_terminal() {
    let message = r#"it found no answer: "\u{1b}[2J\nok: everything is fine\u{202e}.""#;
    release_fault("treacherous-words.wat", FaultKind::GaveUp, message);
}

#[test]
fn a_tier_whose_name_is_no_name_spoils_the_answer() {
    let engine = engine();
    let set = load(&engine, candidate(World::Retention, hostile(World::Retention, "bad-tiers.wat")));
    let asked = only(&set).ask_tiers(&tiers_question(1));
    let message =
        "it named a tier \"../../etc/passwd\": 1 to 32 lower-case letters, digits or `-`, beginning with a letter";
    assert_eq!(fault_of(&asked).message, message);
}

#[test]
fn findings_that_make_no_sense_spoil_the_answer() {
    let engine = engine();
    for (name, message) in [
        ("too-many-findings.wat", "it found 33 things, at most 32 are taken"),
        ("empty-finding.wat", "a finding of it has no message"),
        ("impossible-outcome.wat", "its answer cannot be read: unexpected discriminant: 9"),
    ] {
        let set = load(&engine, candidate(World::Validation, hostile(World::Validation, name)));
        let asked = only(&set).ask_validation(&validation_question("", Vec::new()));
        let fault = fault_of(&asked);
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::BadAnswer, message), "{name}");
    }
    assert_well(&engine);
}

/// Limits hold for each call by itself, also when several threads ask the same policy.
#[test]
fn many_threads_may_ask_at_once_while_one_plugin_loops() {
    let engine: Engine = engine();
    let looping = load(&engine, candidate(World::Retention, hostile(World::Retention, "infinite-loop.wat")));
    std::thread::scope(|scope| {
        let stuck = scope.spawn(|| only(&looping).ask_release(&release_question(1)));
        for _ in 0..4 {
            scope.spawn(|| assert_well(&engine));
        }
        assert_eq!(fault_of(&stuck.join().expect("no panic")).kind, FaultKind::TimedOut);
    });
}
