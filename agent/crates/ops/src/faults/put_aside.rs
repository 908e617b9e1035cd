//! The trees that restores in place put aside: kept for their window, then gone, and never one that is needed.

use backstop_model::plan::Action;
use backstop_model::{ExitCode, Verb};

use super::*;
use crate::agenda;

/// A restore in place was made; the tree that it put aside stands beside the live one.
fn put_aside() -> (Stage, Vec<String>) {
    let stage = Stage::set();
    let before = stage.world.disk().picture(SHM, "");
    stage.sound(in_place(&stage.ctx));
    assert_eq!(kept(&stage).len(), 1);
    (stage, before)
}

/// Whatever restores and undos put aside, the tops only.
fn kept(stage: &Stage) -> Vec<String> {
    let below = stage.world.disk().below("/srv");
    let tops = below.iter().filter_map(|path| path.trim_start_matches('/').strip_prefix("srv/"));
    let kept = |top: &&str| top.starts_with(".docs.backstop-undo-") || top.starts_with(".docs.backstop-redo-");
    tops.filter(kept).filter(|top| !top.contains('/')).map(|top| format!("/srv/{top}")).collect()
}

fn due(stage: &Stage) -> Vec<String> {
    let due = agenda::look(&stage.ctx).expect("an agenda").due;
    due.into_iter().filter(|line| line.what == Verb::Prune).map(|line| line.reason).collect()
}

#[test]
fn a_tree_put_aside_goes_when_its_window_is_over_and_undo_says_so() {
    let (stage, _) = put_aside();
    let (live, backups) = (stage.world.disk().picture(SHM, ""), stage.ctx.backups_of(&docs()).expect("reads"));
    stage.world.clock().advance(Span::from_days(6));
    stage.sound(sweep(&stage.ctx));
    assert_eq!((kept(&stage).len(), due(&stage)), (1, vec![]), "a day is left");
    let next = agenda::look(&stage.ctx).expect("an agenda").next;
    assert!(next.iter().any(|line| line.what == Verb::Prune && line.workload == Some(docs())), "{next:#?}");

    stage.world.clock().advance(Span::from_days(1));
    assert_eq!(due(&stage), ["1 tree put aside by restores, kept long enough"]);
    let dry = Prune { dry_run: true, ..Prune::default() };
    let planned = prune::prune(&stage.ctx, &dry, &Silent).expect("plans");
    assert!(planned.iter().any(|report| report.workload == Some(docs())), "a dry run shows it");
    let of_one = Prune { vault: Some("main".parse().expect("valid")), ..Prune::default() };
    stage.sound(prune::prune(&stage.ctx, &of_one, &Silent));
    assert_eq!(kept(&stage).len(), 1, "neither removes it");
    stage.sound(sweep(&stage.ctx));
    assert_eq!((kept(&stage), due(&stage)), (vec![], vec![]));

    assert_eq!(stage.world.disk().picture(SHM, ""), live);
    assert_eq!(stage.ctx.backups_of(&docs()).expect("reads"), backups);
    let filter = RunFilter { verb: Some(Verb::Prune), workload: Some(docs()), ..RunFilter::default() };
    let runs = stage.ctx.catalog.runs(&filter).expect("reads");
    let removes = |run: &backstop_model::Run| matches!(run.plan.steps[0].action, Action::RemoveDirectory { .. });
    assert!(runs.len() == 1 && removes(&runs[0]), "{runs:#?}");
    let fault = put_back(&stage.ctx).expect_err("there is nothing to put back");
    assert_eq!(fault.code, ExitCode::NotFound);
    assert!(fault.message.contains("kept for 7d (`limits.undo_window`)"), "{fault}");
    stage.sound(trigger(&stage.ctx));
    stage.is_sound("a tree given up");
}

#[test]
fn what_an_undo_put_aside_goes_as_well() {
    let (stage, before) = put_aside();
    stage.world.clock().advance(Span::from_days(3));
    stage.sound(put_back(&stage.ctx));
    stage.world.clock().advance(Span::from_days(6));
    stage.sound(sweep(&stage.ctx));
    assert_eq!(kept(&stage).len(), 1, "its window began with the undo");
    stage.world.clock().advance(Span::from_days(1));
    stage.sound(sweep(&stage.ctx));
    assert_eq!(kept(&stage), Vec::<String>::new());
    assert_eq!(stage.world.disk().picture(SHM, ""), before);
}

#[test]
fn a_process_that_dies_while_it_removes_a_tree_leaves_none_that_could_be_put_back_in_part() {
    for death in [Injection::DieBefore(StepId(0)), Injection::DieAfter(StepId(0)), Injection::FailStep(StepId(0))] {
        let (stage, _) = put_aside();
        let live = stage.world.disk().picture(SHM, "");
        stage.world.clock().advance(Span::from_days(8));
        // The vaults have their own run, before this one.
        let trees = crate::prune::kept_trees(&stage.ctx).expect("reads");
        let plan = backstop_planner::prune::give_up(&docs(), &trees.iter().collect::<Vec<_>>(), trees[0].until);
        stage.inject(&[death]);
        let _ = carry::carry_out(&stage.ctx, plan, false, None, &Silent);
        stage.inject(&[]);
        assert_eq!(put_back(&stage.ctx).expect_err("refused").code, ExitCode::NotFound, "{death:?}");
        assert_eq!(stage.world.disk().picture(SHM, ""), live, "{death:?}");
        stage.sound(sweep(&stage.ctx));
        assert_eq!(kept(&stage), Vec::<String>::new(), "{death:?}");
        stage.is_sound("a removal that was cut short");
    }
}

#[test]
fn a_tree_that_an_undo_was_cut_short_with_is_never_given_up() {
    let (stage, before) = put_aside();
    stage.inject(&[Injection::DieBefore(StepId(0))]);
    let _ = put_back(&stage.ctx);
    stage.inject(&[]);
    stage.world.clock().advance(Span::from_days(30));
    assert_eq!(due(&stage), Vec::<String>::new());
    stage.sound(sweep(&stage.ctx));
    let dir = std::path::PathBuf::from(&kept(&stage)[0]);
    crate::prune::may_remove(&stage.ctx, &dir).expect_err("looked at again beside the tree");
    stage.sound(trigger(&stage.ctx));
    assert_eq!(stage.world.disk().picture(SHM, ""), before, "the undo was finished");
    stage.is_sound("an undo that was cut short");
}

#[test]
fn a_restore_in_place_that_is_resumed_trusts_nothing_that_its_first_attempt_left() {
    let stage = Stage::set();
    stage.inject(&[Injection::DieAfter(StepId(1))]);
    let _ = in_place(&stage.ctx);
    stage.inject(&[]);
    let below = stage.world.disk().below("/srv");
    let begun =
        below.iter().find(|path| path.ends_with("/srv/docs") && path.contains("backstop-restore")).expect("begun");
    stage.world.disk().write(&format!("/{begun}/torn"), b"half".to_vec());
    stage.world.disk().write(&format!("/{begun}/a"), b"half".to_vec());
    stage.sound(trigger(&stage.ctx));
    let whole = Stage::set();
    whole.sound(in_place(&whole.ctx));
    let contents = |stage: &Stage| {
        let lines = stage.world.disk().picture(SHM, "");
        lines.iter().map(|line| line.split(' ').take(4).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(contents(&stage), contents(&whole));
}
