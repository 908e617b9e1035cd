//! Restored ports accept connections and, where a banner is wanted, say it.

use backstop_policy_sdk::health_check::{Answer, HealthCheck, Looked, Question};
use backstop_policy_sdk::{Settings, probes};

/// Bytes of a banner that are waited for at most.
const BANNER_MAX: u32 = 1_024;

struct TcpAnswers;

impl HealthCheck for TcpAnswers {
    fn check(question: &Question) -> Result<Answer, String> {
        let settings = &question.settings;
        settings.only(&["ports", "banner", "send", "timeout"])?;
        let ports = settings.wholes("ports")?;
        if ports.is_empty() {
            return Err("setting `ports` is missing: write `ports = [22]`".into());
        }
        let banner = settings.find_text("banner")?;
        let send = settings.text_or("send", "")?;
        let timeout_ms = match settings.whole_or("timeout", 10)? {
            seconds @ 1..=60 => seconds as u32 * 1_000,
            seconds => return Err(format!("setting `timeout` is {seconds}; write seconds from 1 to 60")),
        };
        let mut looked = Looked::default();
        for port in ports {
            let port = u16::try_from(port).ok().filter(|port| *port > 0);
            let port = port.ok_or("setting `ports` wants whole numbers from 1 to 65535")?;
            look(port, banner, send, timeout_ms, &mut looked);
        }
        Ok(looked.answer())
    }
}

fn look(port: u16, banner: Option<&str>, send: &str, timeout_ms: u32, looked: &mut Looked) {
    let name = format!("tcp:{port}");
    // Without a banner nothing is read. With one, just as many bytes as it has come first: the other side may stay silent
    // after them. Only when it is not at the beginning is more waited for.
    let expect = banner.map_or(0, |banner| (banner.len() as u32).min(BANNER_MAX));
    let said = match probes::tcp(port, send.as_bytes(), expect, timeout_ms) {
        Ok(bytes) => bytes,
        Err(failure) => return looked.failed(name, &failure),
    };
    let Some(banner) = banner else { return looked.pass(name, "accepts connections") };
    if contains(&said, banner) {
        return looked.pass(name, format!("says `{banner}`"));
    }
    match probes::tcp(port, send.as_bytes(), BANNER_MAX, timeout_ms) {
        Ok(said) if contains(&said, banner) => looked.pass(name, format!("says `{banner}`")),
        Ok(said) => looked.fail(name, format!("says `{}` and not `{banner}`", excerpt(&said))),
        Err(failure) => looked.failed(name, &failure),
    }
}

fn contains(said: &[u8], banner: &str) -> bool {
    banner.is_empty() || said.windows(banner.len()).any(|window| window == banner.as_bytes())
}

fn excerpt(said: &[u8]) -> String {
    String::from_utf8_lossy(said).trim_end().escape_debug().take(200).collect()
}

backstop_policy_sdk::health_check!(TcpAnswers);
