//! The operator, for the audit log and for leases.

use std::path::Path;

/// `user@host`: the real user by the system's list of users, else by `$USER`, else by number.
#[must_use]
pub fn user_at_host() -> String {
    let uid = rustix::process::getuid().as_raw();
    let listed = std::fs::read_to_string(Path::new("/etc/passwd")).ok().and_then(|list| name_of(uid, &list));
    let user = listed.or_else(|| std::env::var("USER").ok()).filter(|name| !name.is_empty());
    let user = user.unwrap_or_else(|| format!("uid-{uid}"));
    format!("{}@{}", plain(&user), host())
}

/// The name of this machine; `localhost` if it has none.
#[must_use]
pub fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { plain(&name) }
}

/// This process in one word: `user@host/PID.START.BOOT`. A process number alone would be taken again one day.
#[must_use]
pub fn process() -> String {
    let pid = std::process::id();
    format!("{}/{pid}.{}.{}", user_at_host(), started(pid).unwrap_or(0), boot())
}

/// Whether the process that called itself so may still be alive: false only when it certainly is not — it belonged to
/// this machine and there is no such process any more, or the machine has been started anew since.
#[must_use]
pub fn may_live(owner: &str) -> bool {
    let Some((user_at, rest)) = owner.rsplit_once('/') else { return true };
    let mut parts = rest.split('.');
    let (Some(pid), Some(start), Some(then)) = (parts.next(), parts.next(), parts.next()) else { return true };
    let (Ok(pid), Ok(start)) = (pid.parse::<u32>(), start.parse::<u64>()) else { return true };
    if user_at.rsplit_once('@').is_none_or(|(_, on)| on != host()) {
        return true;
    }
    then == boot() && started(pid) == Some(start)
}

/// When a process was started, in clock ticks since the machine was; `None` when there is none of that number.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything; counting begins after it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.chars().filter(char::is_ascii_hexdigit).take(8).collect()
}

fn name_of(uid: u32, list: &str) -> Option<String> {
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// Fit for a line of the log: no control characters or spaces, not endless.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c.is_whitespace() { '_' } else { c }).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_certainly_ended_is_called_dead() {
        let us = process();
        assert!(may_live(&us));
        let (who, _) = us.rsplit_once('/').expect("has a process");
        assert!(!may_live(&format!("{who}/{}.1.{}", std::process::id(), boot())), "the number was taken again");
        assert!(!may_live(&format!("{who}/4194305.1.{}", boot())), "no such process");
        assert!(may_live("root@elsewhere/1.1.00000000") && may_live("somebody"));
    }

    #[test]
    fn a_user_is_found_by_number_and_named_in_one_word() {
        let list = "root:x:0:0::/root:/bin/sh\nbroken\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        assert_eq!(name_of(1000, list).as_deref(), Some("alice"));
        assert_eq!(name_of(0, list).as_deref(), Some("root"));
        assert_eq!(name_of(7, list), None);
        assert_eq!(plain("a b\nc"), "a_b_c");
        let (user, host_name) =
            user_at_host().split_once('@').map(|(u, h)| (u.to_owned(), h.to_owned())).expect("has both");
        assert!(!user.is_empty() && host_name == host());
    }
}
