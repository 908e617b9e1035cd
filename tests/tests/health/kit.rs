//! Asking a ready-made health check about something real.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use backstop_config::{Overrides, SourceFile};
use backstop_local::{SystemClock, SystemReaches};
use backstop_model::policy::PolicyConfig;
use backstop_model::policy::health::{Health, HealthQuestion, Restored};
use backstop_notify::HttpWeb;
use backstop_ops::ToRestored;
use backstop_policy::{Candidate, Engine, EngineOutside, PolicySet};
use backstop_seams::Reaches;

/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(60);

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
}

/// One engine for every test of a process: making it is most of what a question costs.
fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let began = Instant::now();
        let monotonic = Arc::new(move || began.elapsed());
        Engine::new(EngineOutside { monotonic, cache: None, cache_key: [0; 32] }).expect("an engine")
    })
}

/// What binds a ready-made check: its own file with other grants and settings.
fn binding(name: &str, probes: &[String], settings: &str) -> PolicyConfig {
    let path = policies().join(format!("{name}.toml"));
    let shipped = std::fs::read_to_string(&path).expect("it is shipped with a binding");
    let kept =
        shipped.lines().filter(|line| !["applies_to", "grants", "settings"].iter().any(|key| line.starts_with(key)));
    let kept: Vec<&str> = kept.collect();
    let text = format!("{}\ngrants = {{ probes = {probes:?} }}\nsettings = {{ {settings} }}\n", kept.join("\n"));
    let file = SourceFile { path, bytes: text.clone().into_bytes() };
    let config = backstop_config::load(&[file], &Overrides::default()).unwrap_or_else(|bad| panic!("{bad:?}\n{text}"));
    config.policies.into_values().next().expect("one policy")
}

/// What a check says about a system, as people read it: its verdict, then a line for everything it looked at.
pub fn said(name: &str, restored: &Restored, probes: &[String], settings: &str) -> String {
    let config = binding(name, probes, settings);
    let component = std::fs::read(&config.component).map_err(|error| error.to_string());
    let candidate = Candidate { config: config.clone(), component, manifest: None, signature: None, signer: None };
    let set = PolicySet::load(engine(), vec![candidate]);
    let policy = set.get(&config.name).expect("it was loaded");

    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let now = i64::try_from(now).expect("not that far off");
    let question = HealthQuestion {
        now,
        settings: config.settings,
        workload: "app".parse().expect("a name"),
        kind: "files".to_owned(),
        backup: "app-backup-daily-20261120-0200".parse().expect("a name"),
        created: now,
        paths: vec!["/srv/app".to_owned()],
    };
    let reaches = SystemReaches::new(Arc::new(HttpWeb::new(Arc::new(SystemClock::new()))));
    let asked = policy.check_health(&question, Arc::new(ToRestored(reaches.reach(restored))));
    let answer = match asked.answer {
        Ok(answer) => answer,
        Err(fault) => return format!("fault: {}", fault.message),
    };
    let verdict = match answer.health {
        Health::Healthy => "healthy",
        Health::Unhealthy => "unhealthy",
        Health::Unknown => "unknown",
    };
    let sign = |passed| if passed { "+" } else { "-" };
    let lines = answer.findings.iter().map(|found| format!("{} {}: {}", sign(found.passed), found.name, found.detail));
    [verdict.to_owned()].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

/// A restored machine at our own address.
pub fn machine() -> Restored {
    Restored { address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), ..Restored::default() }
}

/// A port at which nobody listens, for a moment at least.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port()
}

/// A program that is ended when dropped.
pub struct Running(pub Child);

impl Running {
    /// The first line that it prints.
    pub fn first_line(&mut self) -> String {
        let mut line = String::new();
        let output = self.0.stdout.as_mut().expect("its output is piped");
        BufReader::new(output).read_line(&mut line).expect("it prints text");
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
