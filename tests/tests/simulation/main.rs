//! Weeks of life in a simulated world, with everything going wrong that can: outages, lost answers, processes that end
//! in the middle of anything, clocks that are set, objects that rot or are stolen. After every step the invariants of
//! the design are looked at ([`watch`]); a world is one seed, and a failure says how to see it again.
//!
//! `BACKSTOP_SEED` lives through one seed, `BACKSTOP_SEEDS` through so many, `BACKSTOP_WEEKS` for so long;
//! `BACKSTOP_TRACE=1` tells what happens.

#![allow(
    clippy::disallowed_methods,
    reason = "reads how long to live from the environment and keeps catalogs in files"
)]
#![allow(clippy::print_stdout, reason = "tells what happens, and how to see it again")]

mod deeds;
mod story;
mod watch;

use backstop_sim::Climate;
use story::Story;

/// Seeds that once found something. They stay.
const FOUND_SOMETHING: [u64; 3] = [6, 5, 3];

/// Worlds by default, beside those.
const SEEDS: u64 = 2;
const WEEKS: u64 = 6;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|raw| raw.parse().unwrap_or_else(|_| panic!("`{name}={raw}` is no number")))
}

/// Says how to see it again while the panic passes by.
struct Replay(u64, u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(seed, weeks) = self;
            println!(
                "seed {seed} broke an invariant; see it again with\n  \
                 BACKSTOP_SEED={seed} BACKSTOP_WEEKS={weeks} BACKSTOP_TRACE=1 cargo test -p backstop-tests --test simulation -- --nocapture weeks_of"
            );
        }
    }
}

fn live(seed: u64, weeks: u64) -> Vec<String> {
    let _replay = Replay(seed, weeks);
    lived(Story::new(seed, Climate::ROUGH, true), weeks)
}

fn lived(mut story: Story, weeks: u64) -> Vec<String> {
    story.live(weeks);
    story.end()
}

#[test]
fn weeks_of_life_keep_every_invariant() {
    let weeks = number("BACKSTOP_WEEKS").unwrap_or(WEEKS);
    if let Some(seed) = number("BACKSTOP_SEED") {
        live(seed, weeks);
        return;
    }
    let fresh = 1..=number("BACKSTOP_SEEDS").unwrap_or(SEEDS);
    let seeds: Vec<u64> = FOUND_SOMETHING.into_iter().chain(fresh).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let told = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let lines = live(*seed, weeks);
                    told.lock().expect("no panics").extend(lines);
                }
            });
        }
    });
    let told = told.into_inner().expect("no panics");
    for deed in ["in place: done", "back: done", "is another"] {
        assert!(told.iter().any(|line| line.ends_with(deed)), "it never came to `… {deed}`");
    }
}

#[test]
fn a_seed_replays() {
    // How many calls the threads of the vault make beside one that fails, or at which a process ends, is theirs: without
    // those, everything is the same to the minute. With them, a seed meets the same accidents a few calls apart.
    let climate = Climate { error_calls: 0, throttle_calls: 0, ..Climate::ROUGH };
    let life = || lived(Story::new(77, climate, false), 2);
    let (first, again) = (life(), life());
    let at = first.iter().zip(&again).position(|(a, b)| a != b);
    assert_eq!(at.map(|at| (&first[at], &again[at])), None, "the first difference, of {} lines", first.len());
    assert_eq!(first.len(), again.len());
}
