//! Health commands, run for a restored tree.

use std::path::Path;

use backstop_model::Span;
use backstop_seams::{Probe, ProbeAnswer};

use crate::process::{self, Ended, Keep};

/// Bytes of output that are kept.
const TAIL_MAX: usize = 4096;

/// Runs programs on this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemProbe;

impl Probe for SystemProbe {
    fn run(&self, argv: &[String], dir: &Path, timeout: Span) -> ProbeAnswer {
        let Some((program, arguments)) = argv.split_first() else {
            return ProbeAnswer::NotStarted { why: "no program is named".to_owned() };
        };
        let mut command = process::command(program);
        command.args(arguments).current_dir(dir);
        match process::run(command, Keep::TailOfBoth(TAIL_MAX), timeout.as_std()) {
            Ok(Ended::Exited(status, kept)) => {
                let tail = process::tail_text(&kept.output, TAIL_MAX);
                ProbeAnswer::Ended { code: process::code(status), tail }
            }
            Ok(Ended::TimedOut) => ProbeAnswer::TimedOut,
            Err(error) => ProbeAnswer::NotStarted { why: format!("`{}`: {error}", program.escape_debug()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn run(script: &str, timeout: Span) -> ProbeAnswer {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        SystemProbe.run(&argv, Path::new("/"), timeout)
    }

    const LONG: Span = Span::from_secs(20);

    fn ended(code: i32, tail: &str) -> ProbeAnswer {
        ProbeAnswer::Ended { code, tail: tail.to_owned() }
    }

    #[test]
    fn the_exit_code_and_both_outputs_are_told() {
        assert_eq!(run("echo out; echo err >&2; exit 3", LONG), ended(3, "out\nerr\n"));
        assert_eq!(run("kill -TERM $$", LONG), ended(143, ""));
        assert_eq!(run("cat; pwd", LONG), ended(0, "/\n"), "the input is empty and the directory is the one given");
    }

    #[test]
    fn only_the_end_of_long_output_is_kept() {
        let ProbeAnswer::Ended { code: 0, tail } = run("yes line | head -n 100000; echo last", LONG) else {
            panic!("it ends by itself");
        };
        assert!(tail.len() == TAIL_MAX && tail.ends_with("line\nlast\n"), "{}", tail.len());
        let ProbeAnswer::Ended { tail, .. } = run("head -c 5000 /dev/zero | tr '\\0' '\\377'", LONG) else {
            panic!("it ends by itself");
        };
        assert!(tail.len() <= TAIL_MAX && tail.starts_with('\u{fffd}'));
    }

    #[test]
    fn at_the_limit_everything_it_started_is_ended() {
        let dir = tempfile::tempdir().expect("made");
        let late = dir.path().join("late");
        let began = Instant::now();
        let script = format!("(sleep 2; touch {}) & sleep 30", late.display());
        assert_eq!(run(&script, Span::from_millis(200)), ProbeAnswer::TimedOut);
        assert!(began.elapsed().as_secs() < 5);
        std::thread::sleep(std::time::Duration::from_millis(2200));
        assert!(!late.exists(), "a process it started lived on");
    }

    #[test]
    fn what_it_leaves_running_does_not_hold_us_up() {
        let began = Instant::now();
        assert_eq!(run("sleep 30 & echo done", LONG), ended(0, "done\n"));
        assert!(began.elapsed().as_secs() < 5);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let answer = SystemProbe.run(&["/no/such/program".to_owned()], Path::new("/"), LONG);
        assert!(matches!(&answer, ProbeAnswer::NotStarted { why } if why.contains("/no/such/program")), "{answer:?}");
        assert!(matches!(SystemProbe.run(&[], Path::new("/"), LONG), ProbeAnswer::NotStarted { .. }));
    }

    #[test]
    fn nothing_of_our_environment_passes_but_three_names() {
        let ProbeAnswer::Ended { tail, .. } = run("env", LONG) else { panic!("it ends by itself") };
        let mut names: Vec<&str> = tail.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        names.retain(|name| !["PWD", "_", "SHLVL", "OLDPWD"].contains(name));
        names.sort_unstable();
        assert_eq!(names, ["HOME", "LANG", "PATH"]);
    }
}
