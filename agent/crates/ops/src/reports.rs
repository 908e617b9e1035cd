//! Reports over a time: verification, the history of DR tests, their success rate.

use std::collections::BTreeMap;

use backstop_catalog::DrTestFilter;
use backstop_model::{DrTest, Fault, Span, Timestamp, WorkloadName};
use backstop_observe::{drtests, verification};
use serde::Serialize;

use crate::Context;
use crate::list::{known, promised};

pub use backstop_observe::drtests::{Compliance, DrHistory, DrTestLine, SuccessRate};
pub use backstop_observe::verification::{FailedCheck, Totals, VerificationReport, WorkloadVerification};
pub use backstop_observe::{Period, Rate, RtoSummary};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Of this workload; `None` is all.
    pub workload: Option<WorkloadName>,
    /// The last so many days.
    pub days: u32,
}

/// Success rates.
#[derive(Debug, Clone, Serialize)]
pub struct Success {
    /// Tests begun in this time.
    pub period: Period,
    /// Per workload, then all together.
    pub rates: Vec<SuccessRate>,
}

/// The verification report.
///
/// # Errors
/// An unknown workload, or a catalog that cannot be read.
pub fn verification(ctx: &Context, request: &Request) -> Result<VerificationReport, Fault> {
    let mut backups = BTreeMap::new();
    match &request.workload {
        Some(name) => {
            known(ctx, name)?;
            backups.insert(name.clone(), ctx.backups_of(name)?);
        }
        None => {
            backups = ctx.catalog.all_backups()?;
            for name in ctx.config.workloads.keys() {
                backups.entry(name.clone()).or_default();
            }
        }
    }
    Ok(verification::report(&backups, |name| promised(ctx, name), period(ctx, request)))
}

/// The history of DR tests.
///
/// # Errors
/// As [`verification`].
pub fn dr_history(ctx: &Context, request: &Request) -> Result<DrHistory, Fault> {
    let tests = tests(ctx, request)?;
    Ok(drtests::history(&tests, period(ctx, request), objective(ctx, request)))
}

/// Success rates against a target in percent.
///
/// # Errors
/// As [`verification`].
pub fn success_rate(ctx: &Context, request: &Request, target_percent: f64) -> Result<Success, Fault> {
    let tests = tests(ctx, request)?;
    let period = period(ctx, request);
    let mut rates = drtests::success_rates(&tests, period, target_percent, objective(ctx, request));
    // Of one workload the sum says nothing more; of one without tests it is all there is to say.
    if let (Some(name), true) = (&request.workload, rates.len() <= 2) {
        rates.truncate(1);
        rates.iter_mut().for_each(|rate| rate.workload = Some(name.clone()));
    }
    Ok(Success { period, rates })
}

fn tests(ctx: &Context, request: &Request) -> Result<Vec<DrTest>, Fault> {
    if let Some(name) = &request.workload {
        known(ctx, name)?;
    }
    let since = Some(period(ctx, request).from);
    Ok(ctx.catalog.dr_tests(&DrTestFilter { since, workload: request.workload.clone(), limit: None })?)
}

/// The recovery time objective a summary is held against: the workload's, or the strictest of all.
fn objective(ctx: &Context, request: &Request) -> Span {
    let mut workloads = ctx.config.workloads.values();
    let strictest = || workloads.by_ref().map(|workload| workload.schedule.rto).min();
    let own = request.workload.as_ref().and_then(|name| ctx.config.workloads.get(name));
    own.map(|workload| workload.schedule.rto).or_else(strictest).unwrap_or(Span::from_secs(900))
}

fn period(ctx: &Context, request: &Request) -> Period {
    let to: Timestamp = ctx.outside.clock.now();
    Period { from: Span::from_days(u64::from(request.days)).before(to), to }
}
