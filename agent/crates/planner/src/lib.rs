//! Floor 2, pure: what should be done, decided from configuration, facts and the present instant.
//!
//! Nothing here reads a file, a clock or the environment; the same arguments always give the same plan, which is
//! why a dry run cannot differ from the run. The planner proposes; policies narrow, the delete firewall refuses.
//!
//! Reading order: [`calendar`] (when periods begin and backups are due), [`tiers`] and [`naming`] (what a backup
//! taken now is), [`retention`] (what may be released, and why not), [`policies`] (how rules of the site narrow that), [`agenda`] (what is due now and next), then one
//! file per verb that builds its `Plan`: [`backup`], [`replicate`], [`verify`], [`drtest`], [`restore`],
//! [`release`], [`prune`]. [`choice`] picks backups and copies for them; [`lint`] checks any plan's shape.

pub mod agenda;
pub mod backup;
pub mod calendar;
pub mod calendars;
pub mod choice;
pub mod drtest;
pub mod lint;
pub mod naming;
pub mod policies;
pub mod prune;
pub mod release;
pub mod replicate;
pub mod restore;
pub mod retention;
pub mod tiers;
pub mod verify;

#[cfg(test)]
mod fixture;

pub use agenda::{Agenda, Due, Facts, Past, Urgency};
pub use calendar::Calendar;
pub use retention::Verdict;
