//! `policy …`, `approval …`, `alert …`: call, show, say the exit code. What only needs files works without a valid
//! configuration.

use std::path::{Path, PathBuf};

use backstop_model::{ExitCode, Fault};
use backstop_ops::{
    alerts, approvals, policy_bench, policy_explain, policy_list, policy_new, policy_replay, policy_sign,
    policy_simulate, policy_test,
};

use super::screen::Screen;
use super::tree::{Alert, Approval, GlobalOptions, Policy};
use super::{Call, Wiring, show};

/// Whether a verb needs nothing but the outside.
pub fn is_loose(verb: &Policy) -> bool {
    match verb {
        Policy::Keygen(_) | Policy::Sign(_) | Policy::New(_) | Policy::Test(_) | Policy::Bench(_) => true,
        Policy::Inspect(arguments) => is_file(&arguments.what),
        Policy::List | Policy::Verify(_) | Policy::Explain(_) | Policy::Replay(_) | Policy::Simulate(_) => false,
    }
}

/// Whether a word means a file: the names of policies hold neither dots nor slashes.
fn is_file(what: &str) -> bool {
    what.contains(['.', '/'])
}

/// Verbs for authors: they work with any configuration, and with none.
pub fn loose(
    verb: &Policy,
    options: &GlobalOptions,
    wire: &dyn Wiring,
    screen: &mut Screen,
) -> Result<ExitCode, Fault> {
    let outside = wire.outside(options)?;
    // Compiled code is kept where there is an agent to keep it; looking at a policy makes none.
    let runs = matches!(verb, Policy::Test(_) | Policy::Bench(_)) && policy_test::is_configured(&outside);
    let state = if runs { wire.context(options).ok().map(|ctx| ctx.config.state_dir) } else { None };
    let state = state.as_deref();
    match verb {
        Policy::Inspect(arguments) => {
            let file = policy_list::file(&outside, Path::new(&arguments.what))?;
            screen.answer("policy-file", &file, || show::policy::file(&file));
            Ok(ExitCode::Ok)
        }
        Policy::Keygen(arguments) => {
            let keys = policy_sign::keygen(&outside, &arguments.file)?;
            screen.answer("policy-keys", &keys, || show::policy::keys(&keys));
            Ok(ExitCode::Ok)
        }
        Policy::Sign(arguments) => {
            let signed = policy_sign::sign(&outside, &arguments.component, &arguments.key)?;
            screen.answer("policy-signed", &signed, || show::policy::signed(&signed));
            Ok(ExitCode::Ok)
        }
        Policy::Test(arguments) => {
            let tested = policy_test::test(&outside, state, &arguments.path, arguments.component.as_deref())?;
            let look = screen.look(outside.clock.now());
            screen.answer("policy-test", &tested, || show::policy::tested(&look, &tested));
            Ok(if tested.failed == 0 { ExitCode::Ok } else { ExitCode::Findings })
        }
        Policy::Bench(arguments) => {
            let benched = policy_bench::bench(&outside, state, &arguments.component)?;
            screen.answer("policy-bench", &benched, || show::policy::benched(&benched));
            Ok(ExitCode::Ok)
        }
        Policy::New(arguments) => {
            let made = policy_new::make(&outside, &arguments.lang, arguments.world, &arguments.dir)?;
            screen.answer("policy-new", &made, || show::policy::made(&made));
            Ok(ExitCode::Ok)
        }
        Policy::List | Policy::Verify(_) | Policy::Explain(_) | Policy::Replay(_) | Policy::Simulate(_) => {
            unreachable!("needs the configuration")
        }
    }
}

/// Verbs about the policies of the configuration.
pub fn policy(call: &Call<'_>, verb: &Policy, screen: &mut Screen) -> Result<ExitCode, Fault> {
    let ctx = call.ctx;
    let now = ctx.outside.clock.now();
    let look = screen.look(now);
    match verb {
        Policy::List => {
            let listed = policy_list::list(ctx)?;
            screen.answer("policy-list", &listed, || show::policy::list(&look, &listed));
            let bad = |policy: &policy_list::Shown| {
                matches!(policy.standing, policy_list::Standing::NotLoaded | policy_list::Standing::SteppedBack)
            };
            Ok(if listed.policies.iter().any(bad) { ExitCode::Findings } else { ExitCode::Ok })
        }
        Policy::Inspect(arguments) => {
            let name = arguments.what.parse().map_err(|_| {
                let message = format!("`{}` is neither a policy nor a file", arguments.what.escape_debug());
                Fault::usage(message, "see `backstop policy list`")
            })?;
            let shown = policy_list::named(ctx, &name)?;
            screen.answer("policy-inspect", &shown, || show::policy::one(&look, &shown));
            Ok(ExitCode::Ok)
        }
        Policy::Verify(arguments) => {
            let trust = match (&arguments.signer, &arguments.key) {
                (Some(signer), _) => policy_sign::Trust::Signer(signer.clone()),
                (None, key) => policy_sign::Trust::Key(key.clone().unwrap_or_default()),
            };
            let verified = policy_sign::verify(ctx, &arguments.component, &trust)?;
            screen.answer("policy-verified", &verified, || show::policy::verified(&verified));
            Ok(ExitCode::Ok)
        }
        Policy::Explain(arguments) => {
            let explained = policy_explain::explain(ctx, &arguments.what, arguments.workload.as_ref())?;
            let document = Explanations { explanations: explained };
            screen.answer("policy-explain", &document, || show::policy::explained(&look, &document.explanations));
            Ok(ExitCode::Ok)
        }
        Policy::Replay(arguments) => {
            let since = arguments.since.instant(now);
            let replayed = policy_replay::replay(ctx, &arguments.policy, since, arguments.candidate.as_deref())?;
            screen.answer("policy-replay", &replayed, || show::policy::replayed(&look, &replayed));
            Ok(if replayed.difference_count == 0 { ExitCode::Ok } else { ExitCode::Findings })
        }
        Policy::Simulate(arguments) => {
            let request = policy_simulate::Request {
                workload: arguments.workload.clone(),
                years: arguments.years,
                binding: arguments.policy.as_deref().map(absolute),
            };
            if let Some([old, new]) = arguments.diff.as_deref() {
                let compared = policy_simulate::compare(ctx, &request, &absolute(old), &absolute(new))?;
                screen.answer("policy-simulate-diff", &compared, || show::policy::compared(&look, &compared));
                return Ok(compared.new.code());
            }
            let simulated = policy_simulate::simulate(ctx, &request)?;
            screen.answer("policy-simulate", &simulated, || show::policy::simulated(&look, &simulated));
            Ok(simulated.code())
        }
        other => loose(other, call.options, call.wire, screen),
    }
}

/// What stands in a file is relative to where the file stands, wherever the operator stands.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Explanations as a document.
#[derive(serde::Serialize)]
struct Explanations {
    explanations: Vec<policy_explain::Explained>,
}

/// `approval …`
pub fn approval(call: &Call<'_>, verb: &Approval, screen: &mut Screen) -> Result<ExitCode, Fault> {
    let ctx = call.ctx;
    let look = screen.look(ctx.outside.clock.now());
    let (arguments, approve) = match verb {
        Approval::List(arguments) => {
            let limit = Some(arguments.limit).filter(|limit| *limit > 0);
            let listed = approvals::list(ctx, arguments.all, limit)?;
            screen.answer("approval-list", &listed, || show::approval::approvals(&look, &listed));
            return Ok(ExitCode::Ok);
        }
        Approval::Approve(arguments) => (arguments, true),
        Approval::Deny(arguments) => (arguments, false),
    };
    let decided = approvals::decide(ctx, arguments.id, approve, &arguments.reason)?;
    screen.answer("approval", &decided, || show::approval::decided(&decided));
    Ok(ExitCode::Ok)
}

/// `alert …`
pub fn alert(call: &Call<'_>, verb: &Alert, screen: &mut Screen) -> Result<ExitCode, Fault> {
    let ctx = call.ctx;
    let look = screen.look(ctx.outside.clock.now());
    match verb {
        Alert::List(arguments) => {
            let limit = Some(arguments.limit).filter(|limit| *limit > 0);
            let listed = alerts::list(ctx, arguments.all, limit)?;
            screen.answer("alert-list", &listed, || show::approval::alerts(&look, &listed));
            Ok(ExitCode::Ok)
        }
        Alert::Test => {
            let delivered = alerts::test(ctx)?;
            screen.answer("alert-test", &delivered, || show::approval::delivered(&delivered));
            let arrived = delivered.delivered > 0 && delivered.fallback.is_empty() && delivered.waiting == 0;
            Ok(if arrived { ExitCode::Ok } else { ExitCode::Findings })
        }
    }
}

/// Delivers what the verb raised; what no sink took over is told here, so that somebody hears of it.
pub fn flush(call: &Call<'_>, screen: &mut Screen) {
    match alerts::flush(call.ctx) {
        Ok(delivered) => delivered.fallback.iter().for_each(|line| screen.tell(&format!("alert: {line}"))),
        Err(fault) => screen.tell(&format!("alerts could not be delivered: {}", fault.message)),
    }
}
