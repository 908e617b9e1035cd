//! Restored systemd units are active, as `systemctl is-active` says in the restored machine.

use backstop_policy_sdk::health_check::{Answer, HealthCheck, Looked, Question};
use backstop_policy_sdk::{Settings, probes};

const UNITS_MAX: usize = 32;

struct UnitsActive;

impl HealthCheck for UnitsActive {
    fn check(question: &Question) -> Result<Answer, String> {
        let settings = &question.settings;
        settings.only(&["units", "whole_system", "timeout"])?;
        let units = settings.texts("units")?;
        let whole_system = settings.truth_or("whole_system", false)?;
        let timeout_ms = match settings.whole_or("timeout", 15)? {
            seconds @ 1..=60 => seconds as u32 * 1_000,
            seconds => return Err(format!("setting `timeout` is {seconds}; write seconds from 1 to 60")),
        };
        if units.is_empty() && !whole_system {
            return Err("nothing to look at: write `units = [\"ssh.service\"]` or `whole_system = true`".into());
        }
        if units.len() > UNITS_MAX {
            return Err(format!("setting `units` names {}; at most {UNITS_MAX}", units.len()));
        }
        if let Some(strange) = units.iter().find(|unit| !is_unit(unit)) {
            return Err(format!("setting `units` names `{strange}`, which is no unit: write one as `ssh.service`"));
        }
        let mut looked = Looked::default();
        if whole_system {
            look_at_system(timeout_ms, &mut looked);
        }
        if !units.is_empty() {
            look_at_units(&units, timeout_ms, &mut looked);
        }
        Ok(looked.answer())
    }
}

/// As systemd has it; nothing that a shell on the other side would read otherwise.
fn is_unit(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.@".contains(&byte);
    name.contains('.') && !name.starts_with('-') && name.len() <= 255 && name.bytes().all(allowed)
}

/// `systemctl is-active` prints a state for each unit in their order. Its exit code says less.
fn look_at_units(units: &[&str], timeout_ms: u32, looked: &mut Looked) {
    let argv: Vec<&str> = ["systemctl", "is-active"].into_iter().chain(units.iter().copied()).collect();
    let said = match probes::run(&argv, timeout_ms) {
        Ok(said) => said,
        Err(failure) => return looked.failed("systemctl is-active", &failure),
    };
    let stdout = String::from_utf8_lossy(&said.stdout);
    let states: Vec<&str> = stdout.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if states.len() != units.len() {
        let stderr: String = String::from_utf8_lossy(&said.stderr).trim().chars().take(300).collect();
        return looked.unclear("systemctl is-active", format!("exit code {}: {stderr}", said.code));
    }
    for (unit, state) in units.iter().zip(states) {
        looked.check(state == "active", *unit, state);
    }
}

/// `running`: everything is up and nothing has failed. `degraded`: something has.
fn look_at_system(timeout_ms: u32, looked: &mut Looked) {
    match probes::run(&["systemctl", "is-system-running"], timeout_ms) {
        Ok(said) => {
            let stdout = String::from_utf8_lossy(&said.stdout);
            match stdout.trim() {
                "" => looked.unclear("system", format!("`systemctl` said nothing; exit code {}", said.code)),
                state => looked.check(state == "running", "system", state),
            }
        }
        Err(failure) => looked.failed("system", &failure),
    }
}

backstop_policy_sdk::health_check!(UnitsActive);
