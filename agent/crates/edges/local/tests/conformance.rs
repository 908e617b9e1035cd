//! The edge passes the suites of its seams.

use backstop_local::{Access, SystemClock, SystemEntropy, store};
use backstop_seams::conformance::{stores, time};

#[test]
fn local_vaults_are_stores_as_the_vault_needs_them() {
    let dir = tempfile::tempdir().expect("temporary");
    let url = format!("file://{}", dir.path().display());
    stores::store(&*store::open(&url, Access::Write).expect("opens"));
}

#[test]
fn the_store_in_memory_is_one_as_the_vault_needs_it() {
    stores::store(&*store::open("memory:", Access::Create).expect("opens"));
}

#[test]
fn the_system_clock_and_its_randomness_keep_their_contracts() {
    time::clock(&SystemClock::new());
    time::entropy(&SystemEntropy::new());
}
