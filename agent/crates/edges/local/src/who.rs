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
