//! The host of policies against plugins, good and hostile. The sources of the hostile ones stand in `tests/hostile`.

#![allow(clippy::disallowed_methods, reason = "tests read their guests and measure time")]

mod compiled;
mod hostile;
mod kit;
mod loading;
mod outward;
mod probing;
mod questions;
mod versions;
