//! Running one program to its end or to the limit, whichever is first, with everything it started.

use std::ffi::OsString;
use std::io::{self, PipeReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use zeroize::Zeroizing;

/// Longest pause between two looks at a running program.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(20);
/// How long the rest of the output may take once the program has ended. Only a program that left its process group
/// and kept the output open needs any.
const DRAIN_MAX: Duration = Duration::from_millis(500);

/// How a program ended.
pub(crate) enum Ended {
    /// By itself.
    Exited(ExitStatus, Kept),
    /// At the limit, by us.
    TimedOut,
}

/// What was kept.
#[derive(Default)]
pub(crate) struct Kept {
    /// Of standard output, or of both.
    pub(crate) output: Zeroizing<Vec<u8>>,
    /// Of standard error, where it is kept apart.
    pub(crate) errors: Zeroizing<Vec<u8>>,
}

/// What is kept of the output.
#[derive(Clone, Copy)]
pub(crate) enum Keep {
    /// The first bytes of standard output; standard error is dropped.
    HeadOfOutput(usize),
    /// The last bytes of both, in the order they came.
    TailOfBoth(usize),
    /// The first bytes of standard output, and as many of standard error.
    HeadOfEach(usize),
}

/// Starts the program in a process group of its own, with an empty standard input, and waits for it.
pub(crate) fn run(mut command: Command, keep: Keep, timeout: Duration) -> io::Result<Ended> {
    let (output, input) = io::pipe()?;
    command.stdin(Stdio::null()).process_group(0);
    let errors = match keep {
        Keep::HeadOfOutput(_) => {
            command.stderr(Stdio::null());
            None
        }
        Keep::TailOfBoth(_) => {
            command.stderr(input.try_clone()?);
            None
        }
        Keep::HeadOfEach(_) => {
            let (errors, input) = io::pipe()?;
            command.stderr(input);
            Some(errors)
        }
    };
    command.stdout(input);
    let began = Instant::now();
    let mut child = command.spawn()?;
    // The command holds our copies of the writing end; while it lives, the reader would wait for ever.
    drop(command);
    let (output, errors) = (collecting(output, keep), errors.map(|errors| collecting(errors, keep)));

    let ended = ends_within(&child, timeout, began);
    // The leader is not reaped yet, so that its group cannot be anybody else's.
    end_group(&child);
    let status = child.wait()?;
    if !ended {
        return Ok(Ended::TimedOut);
    }
    let drained = |rest: Receiver<_>| rest.recv_timeout(DRAIN_MAX).unwrap_or_default();
    Ok(Ended::Exited(status, Kept { output: drained(output), errors: errors.map(drained).unwrap_or_default() }))
}

fn ends_within(child: &Child, timeout: Duration, began: Instant) -> bool {
    let Some(pid) = Pid::from_raw(child.id().cast_signed()) else { return true };
    let mut pause = Duration::from_millis(1);
    loop {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(pid), look) {
            Ok(Some(_)) => return true,
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            // It is not ours any more; waiting for it will say what became of it.
            Err(_) => return true,
        }
        let Some(left) = timeout.checked_sub(began.elapsed()) else { return false };
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(LOOK_EVERY_MAX);
    }
}

fn end_group(child: &Child) {
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        // Nobody is left in it: that is what is wanted.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn collecting(output: PipeReader, keep: Keep) -> Receiver<Zeroizing<Vec<u8>>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(collect(output, keep)));
    receive
}

fn collect(mut output: PipeReader, keep: Keep) -> Zeroizing<Vec<u8>> {
    let mut block = Zeroizing::new([0; 4096]);
    let mut kept = Zeroizing::new(Vec::with_capacity(match keep {
        Keep::HeadOfOutput(most) | Keep::HeadOfEach(most) => most,
        Keep::TailOfBoth(most) => most + block.len(),
    }));
    while let Ok(count) = output.read(&mut block[..]) {
        let read = &block[..count];
        match (keep, read) {
            (_, []) => break,
            // Never grown beyond its capacity: a secret must not stay behind in a buffer that was given back.
            (Keep::HeadOfOutput(most) | Keep::HeadOfEach(most), _) => {
                let room = most - kept.len();
                kept.extend_from_slice(&read[..count.min(room)]);
            }
            (Keep::TailOfBoth(most), _) => {
                kept.extend_from_slice(read);
                let surplus = kept.len().saturating_sub(most);
                kept.drain(..surplus);
            }
        }
    }
    kept
}

/// All a program sees of our environment, and what it sees where we have nothing: no secret of ours passes.
const SMALL_ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C.UTF-8"), ("HOME", "/")];

/// A program that gets the small environment.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for (name, otherwise) in SMALL_ENVIRONMENT {
        command.env(name, std::env::var_os(name).unwrap_or_else(|| OsString::from(otherwise)));
    }
    command
}

/// The end of some output as text of at most `most` bytes.
pub(crate) fn tail_text(output: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(output);
    // What is not UTF-8 grows when it is replaced.
    let from = (text.len().saturating_sub(most)..=text.len()).find(|at| text.is_char_boundary(*at));
    text[from.unwrap_or(0)..].to_owned()
}

/// The exit code as shells give it: 128 and the signal's number for one that was killed.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}
