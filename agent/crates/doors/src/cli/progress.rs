//! Where long work is: a bar on a terminal, a line per stage with `-v`, a line of JSON per second with `--json`.

use std::sync::Mutex;
use std::time::Duration;

use backstop_ops::{Context, Progress, Tick};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::Wiring;
use super::screen::Screen;

/// Shortest time between two lines of JSON.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Shows progress until it is dropped.
pub struct Watch<'a> {
    wire: &'a dyn Wiring,
    ctx: &'a Context,
    way: Way<'a>,
}

enum Way<'a> {
    Bar(ProgressBar),
    Lines(Mutex<&'a mut Screen>),
    Json(Mutex<Told<'a>>),
    Silent,
}

struct Told<'a> {
    screen: &'a mut Screen,
    stage: String,
    began: Duration,
    last: Duration,
}

/// A line of JSON.
#[derive(Serialize)]
struct Status<'a> {
    stage: &'a str,
    entries: u64,
    entries_total: Option<u64>,
    bytes: u64,
    bytes_total: Option<u64>,
    written: u64,
    elapsed_millis: u64,
    eta_millis: Option<u64>,
}

impl<'a> Watch<'a> {
    /// Begins to watch.
    pub fn new(wire: &'a dyn Wiring, ctx: &'a Context, screen: &'a mut Screen) -> Self {
        let way = if screen.json {
            let now = ctx.outside.clock.monotonic();
            Way::Json(Mutex::new(Told { screen, stage: String::new(), began: now, last: now }))
        } else if screen.draws_progress() {
            Way::Bar(bar())
        } else if screen.verbose > 0 {
            Way::Lines(Mutex::new(screen))
        } else {
            Way::Silent
        };
        Self { wire, ctx, way }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Way::Bar(bar) = &self.way {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Watch<'_> {
    fn stage(&self, what: &str) {
        match &self.way {
            Way::Bar(bar) => {
                bar.set_style(style(false));
                bar.unset_length();
                bar.reset();
                bar.set_message(what.to_owned());
                bar.enable_steady_tick(Duration::from_millis(120));
            }
            Way::Lines(screen) => screen.lock().expect("no thread panics holding it").tell(what),
            Way::Json(told) => {
                let mut told = told.lock().expect("no thread panics holding it");
                told.began = self.ctx.outside.clock.monotonic();
                told.stage = what.to_owned();
                told.say(Tick::default(), Duration::ZERO);
            }
            Way::Silent => {}
        }
    }

    fn tick(&self, tick: Tick) {
        match &self.way {
            Way::Bar(bar) => {
                let total = tick.bytes_total.filter(|total| *total > 0 && bar.length() != Some(*total));
                if let Some(total) = total {
                    bar.set_style(style(true));
                    bar.set_length(total);
                }
                bar.set_position(tick.bytes);
            }
            Way::Json(told) => {
                let now = self.ctx.outside.clock.monotonic();
                let mut told = told.lock().expect("no thread panics holding it");
                if now.saturating_sub(told.last) >= STATUS_EVERY {
                    told.last = now;
                    let elapsed = now.saturating_sub(told.began);
                    told.say(tick, elapsed);
                }
            }
            Way::Lines(_) | Way::Silent => {}
        }
    }

    fn cancelled(&self) -> bool {
        self.wire.stop().is_some()
    }
}

impl Told<'_> {
    fn say(&mut self, tick: Tick, elapsed: Duration) {
        let elapsed_millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let left = tick.bytes_total.map(|total| u128::from(total.saturating_sub(tick.bytes)));
        let eta =
            left.filter(|_| tick.bytes > 0).map(|left| left * u128::from(elapsed_millis) / u128::from(tick.bytes));
        let status = Status {
            stage: &self.stage.clone(),
            entries: tick.entries,
            entries_total: tick.entries_total,
            bytes: tick.bytes,
            bytes_total: tick.bytes_total,
            written: tick.written,
            elapsed_millis,
            eta_millis: eta.map(|eta| u64::try_from(eta).unwrap_or(u64::MAX)),
        };
        self.screen.event("status", "progress", &status);
        self.screen.flush();
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
    bar.set_style(style(false));
    bar
}

/// The stage takes what the figures leave of a line.
fn style(known: bool) -> ProgressStyle {
    let template = if known {
        "{spinner} {wide_msg} {bar:12} {percent}% {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} ETA {eta}"
    } else {
        "{spinner} {wide_msg} {decimal_bytes} {decimal_bytes_per_sec} {elapsed}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
