//! Floor 3: the verbs.
//!
//! Every verb that changes something has five beats: *look* (read facts once), *plan* (pure, in `planner`), *gate*
//! (policies and the firewall may only narrow), *run* (the saga), *conclude* (the journal becomes records). The
//! table of contents of each is its function here; [`carry`] holds what they share. [`firewall`] is the only code that
//! lets anything be deleted.
//!
//! Doors call these functions with a [`Context`] and a request and show what comes back; they decide nothing.

mod actor;
pub mod agenda;
pub mod agenda_run;
pub mod alerts;
mod apart;
pub mod approvals;
pub mod audit;
pub mod backup;
mod carry;
pub mod cat;
pub mod catalog_rebuild;
mod conclude;
pub mod config_check;
pub mod config_show;
pub mod configure;
pub mod context;
pub mod diff;
pub mod doctor;
pub mod drtest;
#[cfg(test)]
mod faults;
pub mod find;
pub mod firewall;
mod gate;
pub mod hold;
pub mod keeping;
mod ledger;
pub mod list;
mod many;
mod peek;
pub mod policy_ask;
pub mod policy_bench;
pub mod policy_cases;
pub mod policy_explain;
pub mod policy_list;
pub mod policy_new;
pub mod policy_replay;
pub mod policy_sign;
pub mod policy_simulate;
pub mod policy_test;
pub mod prune;
pub mod release;
pub mod replicate;
pub mod replication;
pub mod report;
pub mod reports;
pub mod request;
pub mod restore;
pub mod row;
pub mod runs;
pub mod search;
mod select;
pub mod settle;
pub mod show;
pub mod status;
pub mod vaults;
pub mod verify;

#[cfg(test)]
mod fixture;

pub use backstop_seams::{Progress, Tick};
pub use context::{Context, Outside};
pub use gate::outward::ToRestored;
pub use report::{RunReport, StepReport, StepState};
