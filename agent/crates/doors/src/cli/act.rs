//! Verbs that work for a while: ask where it matters, watch, report.

use backstop_model::plan::Selection;
use backstop_model::{ExitCode, Fault, Place};
use backstop_ops::report::{RunReport, worst};
use backstop_ops::request::{
    DrTestRequest, Pick, Prune, Release, Replicate, Restore, Settle, Trigger, Undo, Verify, Whereabouts,
};
use backstop_ops::{
    agenda_run, backup, catalog_rebuild, drtest, prune, release, replicate, restore, settle, vaults, verify,
};
use serde::Serialize;

use super::progress::Watch;
use super::screen::Screen;
use super::{Call, ask, show, tree, values};

/// Carries out a verb that acts.
pub fn act(call: &Call<'_>, command: tree::Command, screen: &mut Screen) -> Result<ExitCode, Fault> {
    use tree::{Agenda, Audit, Backup, Catalog, Command, Config, Dr, Run, Undo as RestoreUndo, Vault};
    match command {
        Command::Backup(Backup::Trigger(arguments)) => trigger(call, arguments, screen),
        Command::Backup(Backup::Restore(arguments)) => bring_back(call, arguments, screen),
        Command::Backup(Backup::Replicate(arguments)) => {
            let workload = call.ctx.backup(&arguments.backup)?.workload;
            let to = whereabouts(arguments.to, arguments.target_region);
            let (backup, dry_run) = (Some(arguments.backup), arguments.dry_run);
            let request = Replicate { workload: Some(workload), backup, to, max_parallel: 1, dry_run };
            many(call, screen, |watch| replicate::replicate(call.ctx, &request, watch))
        }
        Command::Backup(Backup::ReplicateAll(arguments)) => {
            let to = whereabouts(arguments.to, arguments.target_region);
            let (max_parallel, dry_run) = (arguments.max_parallel, arguments.dry_run);
            let request = Replicate { workload: arguments.workload, backup: None, to, max_parallel, dry_run };
            many(call, screen, |watch| replicate::replicate(call.ctx, &request, watch))
        }
        Command::Backup(Backup::Verify(arguments)) => {
            let request = Verify {
                workload: None,
                backup: Some(arguments.backup),
                place: arguments.place,
                level: arguments.level,
                again: true,
                sample_ppm: arguments.sample,
                max_parallel: 1,
                dry_run: arguments.dry_run,
            };
            many(call, screen, |watch| verify::verify(call.ctx, &request, watch))
        }
        Command::Backup(Backup::VerifyAll(arguments)) => {
            let request = Verify {
                workload: arguments.workload,
                backup: None,
                place: arguments.place,
                level: arguments.level,
                again: arguments.again,
                sample_ppm: arguments.sample,
                max_parallel: arguments.max_parallel,
                dry_run: arguments.dry_run,
            };
            many(call, screen, |watch| verify::verify(call.ctx, &request, watch))
        }
        Command::Backup(Backup::Delete(arguments)) => delete(call, arguments, screen),
        Command::Backup(Backup::Undelete(arguments)) => {
            one(call, screen, |watch| release::undelete(call.ctx, &arguments.backup, &arguments.reason, watch))
        }
        Command::Restore(RestoreUndo::Undo(arguments)) => {
            let workload = arguments.workload;
            let what = format!("this puts the tree back that the last restore of `{workload}` replaced");
            ask::confirm(call, screen, &what, workload.as_str())?;
            let request = Undo { run: arguments.run, workload, reason: arguments.reason };
            one(call, screen, |watch| restore::undo(call.ctx, &request, watch))
        }
        Command::Dr(Dr::Test(arguments)) => {
            let from = whereabouts(arguments.from, arguments.test_region);
            let (backup, dry_run) = (arguments.backup, arguments.dry_run);
            let request = DrTestRequest { workload: Some(arguments.workload), backup, from, dry_run };
            many(call, screen, |watch| drtest::test(call.ctx, &request, watch))
        }
        Command::Dr(Dr::TestAll(arguments)) => {
            let request = DrTestRequest { workload: None, backup: None, from: None, dry_run: arguments.dry_run };
            many(call, screen, |watch| drtest::test(call.ctx, &request, watch))
        }
        Command::Agenda(Agenda { .. }) => many(call, screen, |watch| agenda_run::run(call.ctx, watch)),
        Command::Run(Run::Resume(arguments)) => {
            let request = Settle { run: arguments.run, skip: arguments.skip, reason: arguments.reason };
            one(call, screen, |watch| settle::resume(call.ctx, &request, watch))
        }
        Command::Run(Run::Cancel(arguments)) => {
            let request = Settle { run: arguments.run, skip: arguments.skip, reason: arguments.reason };
            one(call, screen, |watch| settle::cancel(call.ctx, &request, watch))
        }
        Command::Vault(verb @ Vault::Prune(_)) => prune(call, verb, screen),
        Command::Vault(verb) => vault(call, verb, screen),
        Command::Catalog(Catalog::Rebuild) => {
            let rebuilt = watched(call, screen, |watch| catalog_rebuild::rebuild(call.ctx, watch))?;
            screen.outcome("catalog-rebuild", &rebuilt, || show::vaults::catalog(&rebuilt));
            Ok(if rebuilt.unreadable.is_empty() { ExitCode::Ok } else { ExitCode::Partial })
        }
        Command::Backup(_)
        | Command::Dr(Dr::TestHistory(_) | Dr::SuccessRate(_))
        | Command::Run(Run::List(_) | Run::Show(_))
        | Command::Config(Config::Check | Config::Show)
        | Command::Audit(Audit::Show(_) | Audit::Verify)
        | Command::Status(_)
        | Command::Policy(_)
        | Command::Approval(_)
        | Command::Alert(_)
        | Command::Doctor
        | Command::Completions(_)
        | Command::Man(_) => unreachable!("answered before"),
    }
}

fn trigger(call: &Call<'_>, arguments: tree::Trigger, screen: &mut Screen) -> Result<ExitCode, Fault> {
    let request = Trigger {
        workload: arguments.workload,
        tier: arguments.tier,
        mode: arguments.mode,
        dry_run: arguments.dry_run,
    };
    one(call, screen, |watch| backup::trigger(call.ctx, &request, watch))
}

fn bring_back(call: &Call<'_>, arguments: tree::Restore, screen: &mut Screen) -> Result<ExitCode, Fault> {
    let ctx = call.ctx;
    ctx.workload(&arguments.workload)?;
    let pick = match (arguments.backup, arguments.at, arguments.interactive) {
        (Some(name), ..) => Pick::Named(name),
        (None, Some(at), _) => Pick::At(at.instant(ctx.outside.clock.now())),
        (None, None, true) => Pick::Named(ask::choose(call, screen, &arguments.workload)?),
        (None, None, false) => Pick::Newest,
    };
    let in_place = arguments.to.is_none();
    let request = Restore {
        workload: arguments.workload,
        pick,
        from: arguments.from,
        to: arguments.to,
        selection: Selection { include: arguments.include, exclude: arguments.exclude },
        overwrite: arguments.overwrite,
        reason: arguments.reason,
        dry_run: arguments.dry_run,
    };
    if in_place && !request.dry_run {
        if screen.is_interactive() && !call.options.yes {
            // Whoever is asked sees first what they agree to.
            let plan = Restore { dry_run: true, ..request.clone() };
            let plan = watched(call, screen, |watch| restore::restore(ctx, &plan, watch))?;
            let look = screen.look(ctx.outside.clock.now());
            screen.tell(show::report::report(&look, ctx, &plan).trim_end());
        }
        let what = format!("this replaces what `{}` holds now; the old tree is kept beside it", request.workload);
        ask::confirm(call, screen, &what, request.workload.as_str())?;
    }
    one(call, screen, |watch| restore::restore(ctx, &request, watch))
}

fn delete(call: &Call<'_>, arguments: tree::Delete, screen: &mut Screen) -> Result<ExitCode, Fault> {
    let (reason, dry_run) = (arguments.reason.unwrap_or_default(), arguments.dry_run);
    let mut names = Vec::new();
    for shortened in &arguments.backups {
        names.push(call.ctx.backup(shortened)?);
    }
    if !dry_run {
        let (what, word) = match names.as_slice() {
            [] => ("this releases every backup past retention into the trash".to_owned(), "expired".to_owned()),
            [only] => (format!("this releases `{}` into the trash", only.name), only.workload.to_string()),
            several => {
                let word = several[0].workload.to_string();
                (format!("this releases {} backups into the trash", several.len()), word)
            }
        };
        ask::confirm(call, screen, &what, &word)?;
    }
    let request = Release { workload: arguments.workload, backups: arguments.backups, reason, dry_run };
    many(call, screen, |watch| release::release(call.ctx, &request, watch))
}

fn prune(call: &Call<'_>, verb: tree::Vault, screen: &mut Screen) -> Result<ExitCode, Fault> {
    let tree::Vault::Prune(arguments) = verb else { unreachable!("called for this verb") };
    if arguments.at_once && !arguments.dry_run {
        let what = "this removes packs without their grace period: nobody else may be writing to the vault";
        ask::confirm(call, screen, what, "at once")?;
    }
    let request = Prune {
        vault: arguments.vault,
        at_once: arguments.at_once,
        waste_ppm: u32::from(arguments.max_unused) * 10_000,
        dry_run: arguments.dry_run,
    };
    many(call, screen, |watch| prune::prune(call.ctx, &request, watch))
}

fn vault(call: &Call<'_>, verb: tree::Vault, screen: &mut Screen) -> Result<ExitCode, Fault> {
    use tree::{Key, Vault};
    let ctx = call.ctx;
    match verb {
        Vault::Init(arguments) => {
            let made = vaults::init(ctx, &arguments.vault, arguments.generate_key, arguments.like.as_ref())?;
            screen.answer("vault-init", &made, || show::vaults::made(&made));
        }
        Vault::Status(arguments) => {
            let vaults = Vaults { vaults: vaults::status(ctx, arguments.vault.as_ref())? };
            screen.answer("vault-status", &vaults, || show::vaults::status(&vaults.vaults));
            let faults: Vec<&Fault> = vaults.vaults.iter().filter_map(|vault| vault.fault.as_ref()).collect();
            faults.iter().for_each(|fault| screen.fault(fault));
            if !faults.is_empty() {
                return Ok(worst(faults.iter().map(|fault| fault.code)));
            }
            let unread = |vault: &vaults::VaultStatus| vault.status.as_ref().is_some_and(|s| !s.unreadable.is_empty());
            return Ok(if vaults.vaults.iter().any(unread) { ExitCode::Findings } else { ExitCode::Ok });
        }
        Vault::Key(Key::List(arguments)) => {
            let slots = Slots { vault: arguments.vault.to_string(), slots: vaults::key_list(ctx, &arguments.vault)? };
            screen.answer("vault-key-list", &slots, || show::vaults::slots(&slots.slots));
        }
        Vault::Key(Key::Add(arguments)) => {
            let slot = vaults::key_add(ctx, &arguments.vault, arguments.key.reference()?, &arguments.label)?;
            let text = || format!("vault {} opens with the key in slot `{}` as well", arguments.vault, slot.label);
            screen.answer("vault-key-add", &slot, text);
        }
        Vault::Key(Key::Remove(arguments)) => {
            let what = format!("this removes a key of vault `{}`: it opens the vault no more", arguments.vault);
            ask::confirm(call, screen, &what, arguments.vault.as_str())?;
            let slot = vaults::key_remove(ctx, &arguments.vault, &arguments.slot, &arguments.reason)?;
            let text = || format!("the key in slot `{}` opens vault {} no more", slot.label, arguments.vault);
            screen.answer("vault-key-remove", &slot, text);
        }
        Vault::Key(Key::Rotate(arguments)) => {
            let key = arguments.key.as_ref().map(values::KeyArg::reference).transpose()?;
            let replacement = key.map(|key| (key, arguments.label.as_str()));
            let rotated = Rotated {
                vault: arguments.vault.to_string(),
                epoch: vaults::key_rotate(ctx, &arguments.vault, replacement)?,
            };
            let more = if key.is_some() { "\nchange `key` of the vault in the configuration now" } else { "" };
            let text =
                || format!("vault {} seals with secret number {} from now on{more}", rotated.vault, rotated.epoch);
            screen.answer("vault-key-rotate", &rotated, text);
        }
        Vault::RebuildIndex(arguments) => {
            let rebuilt = watched(call, screen, |watch| vaults::rebuild_index(ctx, &arguments.vault, watch))?;
            screen.outcome("vault-rebuild-index", &rebuilt, || show::vaults::index(&arguments.vault, &rebuilt));
            return Ok(if rebuilt.unreadable.is_empty() { ExitCode::Ok } else { ExitCode::Findings });
        }
        Vault::Copy(arguments) => {
            let copied = watched(call, screen, |watch| vaults::copy(ctx, &arguments.from, &arguments.to, watch))?;
            let text = || show::vaults::copied(&arguments.from, &arguments.to, &copied);
            screen.outcome("vault-copy", &copied, text);
            return Ok(if copied.failed.is_empty() { ExitCode::Ok } else { ExitCode::Partial });
        }
        Vault::Prune(_) => unreachable!("has a function of its own"),
    }
    Ok(ExitCode::Ok)
}

/// Vaults as a document.
#[derive(Serialize)]
struct Vaults {
    vaults: Vec<vaults::VaultStatus>,
}

/// Key slots as a document.
#[derive(Serialize)]
struct Slots {
    vault: String,
    slots: Vec<vaults::KeySlot>,
}

/// A rotation as a document.
#[derive(Serialize)]
struct Rotated {
    vault: String,
    epoch: u32,
}

/// The place meant by a place or by a region.
fn whereabouts(place: Option<Place>, region: Option<String>) -> Option<Whereabouts> {
    place.map(Whereabouts::Place).or(region.map(Whereabouts::Region))
}

/// Does work while its progress is shown.
fn watched<T>(
    call: &Call<'_>,
    screen: &mut Screen,
    work: impl FnOnce(&Watch<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let watch = Watch::new(call.wire, call.ctx, screen);
    work(&watch)
}

fn one(
    call: &Call<'_>,
    screen: &mut Screen,
    work: impl FnOnce(&Watch<'_>) -> Result<RunReport, Fault>,
) -> Result<ExitCode, Fault> {
    many(call, screen, |watch| work(watch).map(|report| vec![report]))
}

/// Works, and shows what came of it.
fn many(
    call: &Call<'_>,
    screen: &mut Screen,
    work: impl FnOnce(&Watch<'_>) -> Result<Vec<RunReport>, Fault>,
) -> Result<ExitCode, Fault> {
    let reports = watched(call, screen, work)?;
    let look = screen.look(call.ctx.outside.clock.now());
    if screen.json {
        for report in &reports {
            let summary = show::report::Summary::of(call.ctx, report);
            screen.event(if report.fault.is_some() { "error" } else { "summary" }, "run-report", &summary);
        }
    } else {
        screen.text(&show::report::reports(&look, call.ctx, &reports));
    }
    let mut code = worst(reports.iter().map(|report| report.code));
    if code == ExitCode::Interrupted {
        code = call.wire.stop().unwrap_or(code);
    }
    for fault in reports.iter().filter_map(|report| report.fault.as_ref()) {
        screen.fault(fault);
    }
    Ok(code)
}
