//! Answers as text, one file per noun. Pure: an answer in, text out, so that what people read is golden.

pub mod agenda;
pub mod approval;
pub mod audit;
pub mod backup;
pub mod config;
pub mod contents;
pub mod list;
pub mod policy;
mod policy_future;
pub mod replication;
pub mod report;
pub mod reports;
pub mod runs;
pub mod status;
pub mod vaults;

#[cfg(test)]
mod golden;
