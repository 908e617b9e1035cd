//! `backup verification-report`, `dr test-history`, `dr success-rate`.

use backstop_ops::reports::{
    Compliance, DrHistory, DrTestLine, Rate, Request, RtoSummary, Success, SuccessRate, Totals, VerificationReport,
};

use crate::cli::table::Table;
use crate::cli::words::{Look, Tone, counted, instant, millis, place, span};

/// Unproved backups that are named without `-v`.
const NAMED: usize = 5;

fn title(look: &Look, what: &str, request: &Request) -> String {
    let of = request.workload.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
    let days = if request.days == 1 { "day".to_owned() } else { format!("{} days", request.days) };
    format!("{} (last {days})\n", look.paint(Tone::Strong, &format!("{what}{of}")))
}

/// A rate with what it supports.
fn rate(rate: &Rate) -> String {
    match (rate.percent, rate.at_least_percent) {
        (Some(percent), Some(bound)) => {
            let bound = (bound * 10.0).floor() / 10.0;
            format!("{} of {} passed ({percent:.1} %), which supports at least {bound:.1} %", rate.passed, rate.total)
        }
        _ => "none".to_owned(),
    }
}

/// The verification report.
pub fn verification(look: &Look, request: &Request, report: &VerificationReport) -> String {
    let mut out = title(look, "Verification", request);
    for line in &report.workloads {
        out.push_str(&format!(
            "\n{}, promised {} {}\n",
            look.paint(Tone::Strong, line.workload.as_str()),
            line.promised,
            line.promised.word()
        ));
        out.push_str(&totals(look, &line.totals));
        let most = if look.verbose > 0 { usize::MAX } else { NAMED };
        for name in line.unproved.iter().take(most) {
            out.push_str(&format!("  {} {name}\n", look.paint(Tone::Warning, "not proved:")));
        }
        if line.unproved.len() > most {
            out.push_str(&format!("  and {} more; `-v` names them\n", line.unproved.len() - most));
        }
    }
    if report.workloads.len() > 1 {
        out.push_str(&format!("\n{}\n{}", look.paint(Tone::Strong, "all together"), totals(look, &report.overall)));
    }
    if !report.failures.is_empty() {
        out.push_str(&format!("\n{} ({})\n", look.paint(Tone::Strong, "failed checks"), report.failures.len()));
        for check in &report.failures {
            out.push_str(&format!(
                "  {} {} at {}: {} not reached: {}\n    to do: {}\n",
                instant(check.at),
                check.backup,
                check.place,
                check.level,
                check.detail,
                check.action
            ));
        }
    }
    if report.overall.proved_copies < report.overall.copies {
        let name = request.workload.as_ref().map_or_else(String::new, |name| format!(" {name}"));
        out.push_str(&format!("\nnext: prove the rest: `backstop backup verify-all{name}`\n"));
    }
    out
}

fn totals(look: &Look, totals: &Totals) -> String {
    let mut table = Table::new(2);
    table.row(["backups".to_owned(), format!("{} of {} proved", totals.proved_backups, totals.backups)]);
    table.row(["copies".to_owned(), format!("{} of {} proved", totals.proved_copies, totals.copies)]);
    table.row(["checks".to_owned(), rate(&totals.checks)]);
    let last = totals.last_check.map_or_else(|| "never".to_owned(), |at| look.dated(at));
    table.row(["last check".to_owned(), last]);
    table.text()
}

/// The history of DR tests.
pub fn history(look: &Look, request: &Request, history: &DrHistory) -> String {
    let mut out = title(look, "DR tests", request);
    let mut table = Table::new(2).right(&[3]);
    for test in &history.tests {
        let result = match (test.completed, test.passed) {
            (None, _) => "under way".to_owned(),
            (Some(_), true) => look.paint(Tone::Good, "passed"),
            (Some(_), false) => look.paint(Tone::Bad, "failed"),
        };
        table.row([
            instant(test.started),
            test.workload.to_string(),
            result,
            test.rto_millis.map(millis).unwrap_or_default(),
            place(&test.place),
            phases(look, test),
        ]);
    }
    if table.is_empty() {
        out.push_str("  none\n");
    }
    out.push_str(&table.text());
    out.push_str(&format!("\n  rate   {}\n  RTO    {}\n", rate(&history.rate), rto(look, &history.rto)));
    if history.tests.is_empty() {
        let name = request.workload.as_ref().map_or_else(|| "-all".to_owned(), |name| format!(" {name}"));
        out.push_str(&format!("\nnext: rehearse: `backstop dr test{name}`\n"));
    }
    out
}

/// What went wrong, or that the objective was missed.
fn phases(look: &Look, test: &DrTestLine) -> String {
    let phases = [
        (test.restore_ok, "restore"),
        (test.compare_ok, "compare"),
        (test.health_ok, "health"),
        (test.cleanup_ok, "cleanup"),
    ];
    let failed: Vec<&str> = phases.iter().filter(|(ok, _)| *ok == Some(false)).map(|(_, name)| *name).collect();
    if !failed.is_empty() {
        let why = test.error.as_deref().unwrap_or("unknown");
        return look.paint(Tone::Bad, &format!("{}: {why}", failed.join(", ")));
    }
    match test.rto_met {
        Some(false) => look.paint(Tone::Warning, &format!("objective {} missed", span(test.rto_target_millis))),
        _ => String::new(),
    }
}

fn rto(look: &Look, rto: &RtoSummary) -> String {
    let (Some(mean), Some(max)) = (rto.mean_millis, rto.max_millis) else {
        return "never measured".to_owned();
    };
    let target = span(rto.target_millis);
    let against = match rto.over {
        0 => look.paint(Tone::Good, &format!("all within {target}")),
        over => look.paint(Tone::Warning, &format!("{} over {target}", counted(over, "time"))),
    };
    format!("mean {}, longest {}; {against}", millis(mean), millis(max))
}

/// Success rates.
pub fn success(look: &Look, request: &Request, success: &Success) -> String {
    let mut out = title(look, "DR success", request);
    // Of a single workload the sum says nothing more.
    let shown = if success.rates.len() == 2 { 1 } else { success.rates.len() };
    for line in &success.rates[..shown] {
        let name = line.workload.as_ref().map_or_else(|| "all together".to_owned(), ToString::to_string);
        out.push_str(&format!("\n{}\n", look.paint(Tone::Strong, &name)));
        let mut table = Table::new(2);
        table.row(["tests".to_owned(), rate(&line.rate)]);
        table.row(["RTO".to_owned(), rto(look, &line.rto)]);
        table.row(["target".to_owned(), format!("{} %: {}", line.target_percent, compliance(look, line))]);
        out.push_str(&table.text());
    }
    out
}

fn compliance(look: &Look, line: &SuccessRate) -> String {
    match line.compliance {
        Compliance::Supported => look.paint(Tone::Good, "supported"),
        Compliance::TooFewTests => {
            let needed = line.passes_needed.map_or_else(
                || "no number of tests can".to_owned(),
                |needed| format!("{} passes in a row would", crate::cli::words::grouped(needed)),
            );
            look.paint(Tone::Warning, &format!("not supported by so few tests; {needed}"))
        }
        Compliance::Missed => look.paint(Tone::Bad, "missed"),
        Compliance::NoTests => look.paint(Tone::Warning, "nothing was tested, so nothing is known"),
    }
}
