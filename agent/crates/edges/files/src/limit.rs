//! How many descriptors may be open. Walking by descriptor needs one per level plus those still being read.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one and returns what applies now.
///
/// Called by each constructor of this crate; repeating it changes nothing.
pub(crate) fn raise_open_files() -> usize {
    // Beyond this nothing here gains, and a limit of "infinity" must not become a budget.
    const ENOUGH: u64 = 1 << 20;
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    let now = limit.current.unwrap_or(ENOUGH).min(ENOUGH);
    let raised =
        most > now && setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }).is_ok();
    usize::try_from(if raised { most } else { now }).expect("at most 2^20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_at_the_hard_one_afterwards() {
        let first = raise_open_files();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current.unwrap_or(1 << 20).min(1 << 20), first as u64);
        assert_eq!(first, raise_open_files());
    }
}
