//! Verbs that only look or record: call, show, say the exit code.

use backstop_model::{ExitCode, Fault};
use backstop_ops::{
    agenda, audit, cat, config_check, config_show, configure, diff, doctor, find, hold, list, replication, reports,
    runs, search, show as shown, status,
};

use super::screen::Screen;
use super::tree::{self, GlobalOptions};
use super::{Call, Wiring, show};

/// What became of a verb.
pub enum Asked {
    /// It was one of these.
    Answered(ExitCode),
    /// It is one that acts.
    Not(Box<tree::Command>),
}

const fn limit(limit: u32) -> Option<u32> {
    if limit == 0 { None } else { Some(limit) }
}

/// Answers a verb that only looks or records.
pub fn query(call: &Call<'_>, command: tree::Command, screen: &mut Screen) -> Result<Asked, Fault> {
    use tree::{Command, Dr};
    let ctx = call.ctx;
    let now = ctx.outside.clock.now();
    let look = screen.look(now);
    let code = match command {
        Command::Backup(verb) => return backup(call, verb, screen),
        Command::Dr(Dr::TestHistory(days)) => {
            let request = reports::Request { workload: days.workload().cloned(), days: days.days };
            let history = reports::dr_history(ctx, &request)?;
            screen.answer("dr-test-history", &history, || show::reports::history(&look, &request, &history));
            ExitCode::Ok
        }
        Command::Dr(Dr::SuccessRate(arguments)) => {
            let days = &arguments.days;
            let request = reports::Request { workload: days.workload().cloned(), days: days.days };
            let success = reports::success_rate(ctx, &request, arguments.target)?;
            screen.answer("dr-success-rate", &success, || show::reports::success(&look, &request, &success));
            ExitCode::Ok
        }
        Command::Agenda(tree::Agenda { run: false }) => {
            let agenda = agenda::show(ctx)?;
            screen.answer("agenda", &agenda, || show::agenda::agenda(&look, &agenda));
            ExitCode::Ok
        }
        Command::Run(tree::Run::List(arguments)) => {
            let request = runs::Request {
                workload: arguments.workload,
                verb: None,
                since: arguments.since.map(|since| since.instant(now)),
                open: arguments.open,
                limit: limit(arguments.limit),
            };
            let listed = runs::list(ctx, &request)?;
            screen.answer("run-list", &listed, || show::runs::list(&look, &listed));
            ExitCode::Ok
        }
        Command::Run(tree::Run::Show(arguments)) => {
            let run = runs::show(ctx, &arguments.run)?;
            screen.answer("run-show", &run, || show::runs::show(&look, &run));
            ExitCode::Ok
        }
        Command::Config(tree::Config::Show) => {
            let whole = config_show::whole(ctx);
            screen.answer("config-show", &whole, || whole.toml.clone());
            ExitCode::Ok
        }
        Command::Status(arguments) => {
            let status = status::status(ctx, arguments.workload.as_ref())?;
            screen.answer("status", &status, || show::status::status(&look, &status));
            ExitCode::Ok
        }
        Command::Audit(tree::Audit::Show(arguments)) => {
            let request = audit::Request {
                since: arguments.since.map(|since| since.instant(now)),
                verb: arguments.verb,
                subject: arguments.subject,
                limit: limit(arguments.limit),
            };
            let entries = audit::show(ctx, &request)?;
            screen.answer("audit-show", &entries, || show::audit::entries(&look, &entries));
            ExitCode::Ok
        }
        Command::Policy(verb) => super::policy::policy(call, &verb, screen)?,
        Command::Approval(verb) => super::policy::approval(call, &verb, screen)?,
        Command::Alert(verb) => super::policy::alert(call, &verb, screen)?,
        Command::Audit(tree::Audit::Verify) => {
            let verified = audit::verify(ctx)?;
            screen.answer("audit-verify", &verified, || show::audit::verified(&look, &verified));
            if verified.whole { ExitCode::Ok } else { ExitCode::Findings }
        }
        other => return Ok(Asked::Not(Box::new(other))),
    };
    Ok(Asked::Answered(code))
}

fn backup(call: &Call<'_>, verb: tree::Backup, screen: &mut Screen) -> Result<Asked, Fault> {
    use tree::Backup;
    let ctx = call.ctx;
    let now = ctx.outside.clock.now();
    let look = screen.look(now);
    let code = match verb {
        Backup::Configure(arguments) => {
            let request = settings(call, arguments)?;
            let configured = configure::configure(ctx, &request)?;
            let text = || show::config::configured(&look, &configured, request.dry_run);
            screen.answer("backup-configure", &configured, text);
            ExitCode::Ok
        }
        Backup::Disable(arguments) => {
            let configured = configure::disable(ctx, &arguments.name, arguments.dry_run)?;
            let text = || show::config::configured(&look, &configured, arguments.dry_run);
            screen.answer("backup-disable", &configured, text);
            ExitCode::Ok
        }
        Backup::ConfigShow(arguments) => {
            let workload = config_show::workload(ctx, &arguments.name)?;
            screen.answer("backup-config-show", &workload, || show::config::workload(&look, &workload));
            ExitCode::Ok
        }
        Backup::List(arguments) => {
            let request = list::Request {
                workload: arguments.workload,
                tier: arguments.tier,
                since: arguments.since.map(|since| since.instant(now)),
                unverified: arguments.unverified,
                expiring: arguments.expiring,
                trash: arguments.trash,
                limit: limit(arguments.limit),
            };
            let listed = list::list(ctx, &request)?;
            screen.answer("backup-list", &listed, || show::list::list(&look, &request, &listed));
            ExitCode::Ok
        }
        Backup::Show(arguments) => {
            let request = shown::Request { backup: arguments.backup, contents: arguments.contents };
            let backup = shown::show(ctx, &request)?;
            screen.answer("backup-show", &backup, || show::backup::backup(&look, &backup));
            ExitCode::Ok
        }
        Backup::ReplicationStatus(arguments) => {
            let status = replication::status(ctx, arguments.workload.as_ref())?;
            screen.answer("replication-status", &status, || show::replication::status(&look, &status));
            ExitCode::Ok
        }
        Backup::ReplicationJobs(arguments) => {
            let jobs = replication::jobs(ctx, arguments.workload.as_ref(), arguments.status, arguments.limit)?;
            screen.answer("replication-jobs", &jobs, || show::replication::jobs(&look, &jobs));
            ExitCode::Ok
        }
        Backup::VerificationReport(days) => {
            let request = reports::Request { workload: days.workload().cloned(), days: days.days };
            let report = reports::verification(ctx, &request)?;
            screen.answer("verification-report", &report, || show::reports::verification(&look, &request, &report));
            ExitCode::Ok
        }
        Backup::Hold(arguments) => {
            let request = hold::Request { backups: arguments.backups, reason: arguments.reason };
            let held = hold::hold(ctx, &request)?;
            screen.answer("backup-hold", &held, || show::backup::held(&held));
            ExitCode::Ok
        }
        Backup::ReleaseHold(arguments) => {
            let request = hold::Request { backups: arguments.backups, reason: arguments.reason };
            let held = hold::release_hold(ctx, &request)?;
            screen.answer("backup-release-hold", &held, || show::backup::held(&held));
            ExitCode::Ok
        }
        Backup::Search(arguments) => {
            let request = search::Request { text: arguments.text, limit: arguments.limit };
            let found = search::search(ctx, &request)?;
            screen.answer("backup-search", &found, || show::list::search(&look, &found));
            ExitCode::Ok
        }
        Backup::Find(arguments) => {
            let request = find::Request {
                pattern: arguments.pattern,
                workload: arguments.workload,
                since: arguments.since.map(|since| since.instant(now)),
                limit: arguments.limit,
            };
            let found = find::find(ctx, &request)?;
            screen.answer("backup-find", &found, || show::contents::found(&look, &found));
            if found.paths.is_empty() { ExitCode::NotFound } else { ExitCode::Ok }
        }
        Backup::Diff(arguments) => {
            let request = diff::Request { a: arguments.a, b: arguments.b, limit: arguments.limit };
            let differences = diff::diff(ctx, &request)?;
            screen.answer("backup-diff", &differences, || show::contents::diff(&look, &differences));
            ExitCode::Ok
        }
        Backup::Cat(arguments) => {
            let request = cat::Request { backup: arguments.backup, path: arguments.path, from: arguments.from };
            let written = cat::cat(ctx, &request, &mut screen.out());
            // A reader that went away has what it wanted.
            if !screen.is_closed() {
                written?;
            }
            ExitCode::Ok
        }
        other => return Ok(Asked::Not(Box::new(tree::Command::Backup(other)))),
    };
    Ok(Asked::Answered(code))
}

/// What is to change about a workload.
fn settings(call: &Call<'_>, arguments: tree::Configure) -> Result<configure::Request, Fault> {
    let config = &call.ctx.config;
    let known = config.workloads.get(&arguments.name);
    if known.is_none() && arguments.path.is_empty() {
        let message = format!("`{}` is new: say what to protect", arguments.name);
        return Err(Fault::usage(message, "name directories with `--path DIR`"));
    }
    let some = |list: Vec<String>| if list.is_empty() { None } else { Some(list) };
    let home = arguments.home.as_ref().or(known.map(|workload| &workload.schedule.home));
    let mut copies = arguments.copy_to.clone();
    let named = known.map(|workload| &workload.schedule.copies[..]);
    if let Some(region) = &arguments.target_region {
        // A workload that is new gets its home from the schedule it will follow.
        let schedule = arguments.schedule.as_deref().unwrap_or("standard");
        let standard = config.schedules.iter().find(|(name, _)| name.as_str() == schedule);
        let standard = standard.map(|(_, schedule)| schedule);
        let named = named.or(standard.map(|schedule| &schedule.copies[..])).unwrap_or_default();
        let place = configure::place_in(config, region, home.or(standard.map(|schedule| &schedule.home)), named)?;
        if !copies.contains(&place) {
            copies.push(place);
        }
    }
    let copies = (arguments.no_copies || !copies.is_empty()).then_some(copies);
    let health = match (arguments.health, arguments.no_health) {
        (_, true) => Some(None),
        (None, false) => None,
        (Some(words), false) => {
            let argv: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            if argv.is_empty() {
                return Err(Fault::usage("the health command is empty", "`--no-health` removes it"));
            }
            Some(Some(backstop_model::config::HealthCommand { argv, timeout: arguments.health_timeout }))
        }
    };
    let settings = configure::Settings {
        paths: (!arguments.path.is_empty()).then_some(arguments.path),
        exclude: some(arguments.exclude),
        images: some(arguments.image),
        one_file_system: arguments.one_file_system.then_some(true),
        exclude_caches: arguments.exclude_caches.then_some(true),
        schedule: arguments.schedule,
        enabled: arguments.enable.then_some(true),
        daily: arguments.daily_retention,
        weekly: arguments.weekly_retention,
        monthly: arguments.monthly_retention,
        home: arguments.home,
        copies,
        rpo: arguments.rpo,
        rto: arguments.rto,
        health,
    };
    Ok(configure::Request { workload: arguments.name, settings, dry_run: arguments.dry_run })
}

/// `config check`: needs neither a valid configuration nor a catalog.
pub fn config_check(options: &GlobalOptions, wire: &dyn Wiring, screen: &mut Screen) -> Result<ExitCode, Fault> {
    let outside = wire.outside(options)?;
    let look = screen.look(outside.clock.now());
    let checked = config_check::check(&outside)?;
    screen.answer("config-check", &checked, || show::config::checked(&look, &checked));
    Ok(checked.code())
}

/// Lets the screen show where the configuration is wrong, if that is why there is no context.
pub fn point_out(fault: &Fault, options: &GlobalOptions, wire: &dyn Wiring, screen: &mut Screen) {
    if fault.code != ExitCode::BadConfiguration {
        return;
    }
    let checked = wire.outside(options).and_then(|outside| config_check::check(&outside));
    let problems = checked.map(|checked| checked.problems).unwrap_or_default();
    screen.point_out(match problems.as_slice() {
        // The error itself names the place and the mistake of a single one, and its hint.
        [only] => {
            let shown = only.to_string();
            let lines = shown.lines().skip(1).filter(|line| !line.trim_start().starts_with("= hint:"));
            lines.map(str::to_owned).collect()
        }
        several => several.iter().map(|problem| format!("{problem}\n")).collect(),
    });
}

/// `doctor`: what keeps the context from coming to be is a finding.
pub fn doctor(options: &GlobalOptions, wire: &dyn Wiring, screen: &mut Screen) -> Result<ExitCode, Fault> {
    let outside = wire.outside(options)?;
    let look = screen.look(outside.clock.now());
    let ctx = wire.context(options);
    let diagnosis = doctor::doctor(&outside, ctx.as_ref().map_err(Clone::clone))?;
    screen.answer("doctor", &diagnosis, || show::status::diagnosis(&look, &diagnosis));
    Ok(if diagnosis.worst == doctor::Gravity::Error { ExitCode::Findings } else { ExitCode::Ok })
}
