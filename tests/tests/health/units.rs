//! `units-active` through a session of a real `sshd`. systemd itself cannot run inside a test: a script stands in for
//! `systemctl`, first in the session's `PATH`, and says what the real one says in each situation.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::kit::said;
use super::sshd::Sshd;

/// Reads the states of units from files beside it, as systemd would know them; a unit without one is not loaded.
const RUNNING: &str = r#"#!/bin/sh
here=$(dirname "$0")
verb=$1; shift
case $verb in
is-system-running) cat "$here/system"; grep -qx running "$here/system" ;;
is-active)
  code=3
  for unit in "$@"; do
    if [ -f "$here/unit/$unit" ]; then state=$(cat "$here/unit/$unit"); else state=inactive; fi
    echo "$state"
    [ "$state" = active ] && code=0
  done
  exit $code ;;
*) echo "Unknown command verb $verb." >&2; exit 1 ;;
esac
"#;

/// Where systemd is installed and not running.
const NOT_BOOTED: &str = "#!/bin/sh
echo \"System has not been booted with systemd as init system (PID 1). Can't operate.\" >&2
echo 'Failed to connect to bus: Host is down' >&2
exit 1
";

fn install(dir: &Path, script: &str) {
    let program = dir.join("systemctl");
    fs::write(&program, script).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
}

fn state(dir: &Path, unit: &str, state: &str) {
    fs::create_dir_all(dir.join("unit")).expect("made");
    fs::write(dir.join("unit").join(unit), state).expect("written");
}

/// One server for all of it: starting one takes longer than asking it.
#[test]
fn units_are_asked_for_in_the_restored_machine() {
    let dir = tempfile::tempdir().expect("made");
    let server = Sshd::start(Some(dir.path()));
    let asked = |settings: &str| said("units-active", &server.machine("user"), &["ssh:systemctl".to_owned()], settings);
    let two = r#"units = ["ssh.service", "nginx.service"]"#;

    install(dir.path(), RUNNING);
    state(dir.path(), "ssh.service", "active");
    state(dir.path(), "nginx.service", "active");
    assert_eq!(asked(two), "healthy\n+ ssh.service: active\n+ nginx.service: active");

    // `systemctl` exits with 0 as long as one of them is active.
    state(dir.path(), "nginx.service", "failed");
    assert_eq!(asked(two), "unhealthy\n+ ssh.service: active\n- nginx.service: failed");
    state(dir.path(), "nginx.service", "activating");
    assert_eq!(asked(two), "unhealthy\n+ ssh.service: active\n- nginx.service: activating");
    assert_eq!(asked(r#"units = ["gone.service"]"#), "unhealthy\n- gone.service: inactive");

    // A unit's name reaches `systemctl` as it is, whatever a shell would read in it.
    state(dir.path(), "getty@tty1.service", "active");
    assert_eq!(asked(r#"units = ["getty@tty1.service"]"#), "healthy\n+ getty@tty1.service: active");

    fs::write(dir.path().join("system"), "running\n").expect("written");
    assert_eq!(asked("whole_system = true"), "healthy\n+ system: running");
    fs::write(dir.path().join("system"), "degraded\n").expect("written");
    assert_eq!(asked("whole_system = true"), "unhealthy\n- system: degraded");

    install(dir.path(), NOT_BOOTED);
    assert_eq!(
        asked(two),
        "unknown\n- systemctl is-active: exit code 1: System has not been booted with systemd as init system (PID 1). \
         Can't operate.\\nFailed to connect to bus: Host is down"
    );

    let stranger = said("units-active", &server.machine("stranger"), &["ssh:systemctl".to_owned()], two);
    assert!(stranger.starts_with("unhealthy\n- systemctl is-active: no way in by `ssh`: "), "{stranger}");
    assert!(stranger.contains("ermission denied"), "{stranger}");
    let ungranted = said("units-active", &server.machine("user"), &["ssh:uptime".to_owned()], two);
    assert!(
        ungranted.starts_with("unknown\n- systemctl is-active: ") && ungranted.contains("not granted"),
        "{ungranted}"
    );
}
