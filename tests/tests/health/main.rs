//! The ready-made health checks against real servers: the components as they are shipped, loaded by the host of
//! policies, looking through the probes of the program at parts that run on this machine. Their golden cases say what
//! they answer to bytes that somebody wrote down; here the bytes are those of PostgreSQL, OpenSSH, a web server and the
//! file system.
//!
//! One part is not real: `systemctl`. A test has no machine of its own that systemd could run, so a script says what
//! `systemctl` would; the way there, a session of a real `sshd`, is real.

#![allow(
    clippy::disallowed_methods,
    reason = "starts servers, waits for them, and dates files by the clock of the machine"
)]

mod files;
mod kit;
mod postgres;
mod sshd;
mod units;
mod web;
