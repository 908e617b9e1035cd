//! What tests ask of the machine: being root, mounting, programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether the tests run as root.
#[must_use]
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").expect("a process").uid() == 0
}

/// Runs a program that must succeed.
#[track_caller]
pub fn call(program: &str, arguments: &[&dyn AsRef<std::ffi::OsStr>]) {
    let mut command = Command::new(program);
    for argument in arguments {
        command.arg(argument.as_ref());
    }
    let output = command.output().unwrap_or_else(|why| panic!("`{program}` does not start: {why}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Says, where the runner counts it, that a test could show nothing on this machine.
#[allow(clippy::print_stderr, reason = "whoever reads the test's output must see what was not shown")]
pub fn skipped(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
}

/// Something mounted, unmounted when dropped.
pub struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// A file system in memory of so many bytes. `None`, with a word about it, where mounting is not allowed.
    #[must_use]
    pub fn memory(at: &Path, bytes: u64) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a mount point");
        Self::mount(at, &["-t", "tmpfs", "-o", &format!("size={bytes},mode=0700"), "tmpfs"])
    }

    /// A directory over itself, read-only.
    #[must_use]
    pub fn read_only(at: &Path) -> Option<Self> {
        let text = at.to_str().expect("UTF-8").to_owned();
        let mounted = Self::mount(at, &["--bind", &text])?;
        call("mount", &[&"-o", &"remount,ro,bind", &at]);
        Some(mounted)
    }

    fn mount(at: &Path, words: &[&str]) -> Option<Self> {
        if !is_root() {
            skipped("a test that mounts", "only root may mount");
            return None;
        }
        let status = Command::new("mount").args(words).arg(at).stderr(Stdio::null()).status().expect("mount starts");
        if !status.success() {
            skipped("a test that mounts", "this machine does not let its root mount");
            return None;
        }
        Some(Self { at: at.to_owned() })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a program that is being stopped may still have a file open there.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
