//! What a policy may reach, as an operator writes it: `hooks.example.com`, `private:http://chat.internal:8080`,
//! `tcp:5432`. Each prints in the form that reads back to the same grant.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Leave to send requests to a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HttpGrant {
    /// `http` only where the operator wrote it.
    pub tls: bool,
    /// The host's name or address, in lower case; an IPv6 address without brackets, in its shortest form.
    pub host: String,
    /// Only this port; the scheme's own when absent.
    pub port: Option<u16>,
    /// Addresses that are not public are allowed: the operator wrote `private:` before it, or an address.
    pub private: bool,
}

/// Leave to look at the restored system in one way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeGrant {
    /// `tcp:PORT`
    Tcp(u16),
    /// `http:PORT`
    Http(u16),
    /// `ssh:PROGRAM`
    Ssh(String),
    /// `file`
    File,
    /// `serial`
    Serial,
}

/// Why a text grants nothing. The text itself is not repeated: a pasted address may carry a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct BadGrant {
    /// What is wrong.
    pub why: &'static str,
    /// What to write; may be empty.
    pub hint: &'static str,
}

const fn bad(why: &'static str, hint: &'static str) -> BadGrant {
    BadGrant { why, hint }
}

const HOST_HINT: &str = "write a host, as in `hooks.example.com`, `http://10.0.0.5:8080` or `private:chat.internal`";

impl HttpGrant {
    /// The port that is meant.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.tls { 443 } else { 80 })
    }

    /// The address, when it was granted by address and not by name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for HttpGrant {
    type Err = BadGrant;
    fn from_str(raw: &str) -> Result<Self, BadGrant> {
        let (asked_private, rest) = raw.strip_prefix("private:").map_or((false, raw), |rest| (true, rest));
        let (tls, rest) = match rest.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some(_) => return Err(bad("only `https` and `http` can be granted", HOST_HINT)),
            None => (true, rest),
        };
        if rest.contains(['/', '?', '#', '@', '\\']) {
            return Err(bad("a grant names a whole host, without path, user or password", HOST_HINT));
        }
        if rest.contains('*') {
            return Err(bad("a grant names one host; `*` is not one", "list each host"));
        }
        let (host, port) = host_and_port(rest)?;
        let address = host.parse::<IpAddr>().ok();
        let host = match address {
            Some(address) => address.to_string(),
            None => host_name(host)?,
        };
        let port = port.filter(|port| *port != if tls { 443 } else { 80 });
        Ok(Self { tls, host, port, private: asked_private || address.is_some() })
    }
}

fn host_and_port(rest: &str) -> Result<(&str, Option<u16>), BadGrant> {
    let no_port = bad("the port is not a number from 1 to 65535", "");
    let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or(bad("the bracket is not closed", HOST_HINT))?;
        host.parse::<Ipv6Addr>().map_err(|_| bad("what stands in brackets is no IPv6 address", HOST_HINT))?;
        match after {
            "" => (host, None),
            after => (host, Some(after.strip_prefix(':').ok_or(no_port)?)),
        }
    } else if rest.parse::<Ipv6Addr>().is_ok() {
        (rest, None)
    } else {
        rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)))
    };
    Ok((host, port.map(|port| port_number(port).ok_or(no_port)).transpose()?))
}

fn port_number(raw: &str) -> Option<u16> {
    let digits = raw.bytes().all(|b| b.is_ascii_digit());
    raw.parse().ok().filter(|port| digits && *port > 0)
}

/// A name by the rules of host names. One that ends in a number would be read as an address by some programs.
fn host_name(raw: &str) -> Result<String, BadGrant> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if !raw.is_ascii() {
        return Err(bad("the name of a host is written in ASCII", "write the form that begins with `xn--`"));
    }
    if raw.len() > 253 || !raw.split('.').all(label) {
        return Err(bad("this is not the name of a host", HOST_HINT));
    }
    let last = raw.rsplit('.').next().unwrap_or_default();
    if last.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(bad("this is neither the name of a host nor an address", HOST_HINT));
    }
    Ok(raw.to_ascii_lowercase())
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let private = if self.private && self.address().is_none() { "private:" } else { "" };
        let scheme = if self.tls { "" } else { "http://" };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        match self.address() {
            Some(IpAddr::V6(_)) => f.pad(&format!("{scheme}[{}]{port}", self.host)),
            _ => f.pad(&format!("{private}{scheme}{}{port}", self.host)),
        }
    }
}

const PROBE_HINT: &str = "write `tcp:PORT`, `http:PORT`, `ssh:PROGRAM`, `file` or `serial`";

impl FromStr for ProbeGrant {
    type Err = BadGrant;
    fn from_str(raw: &str) -> Result<Self, BadGrant> {
        let no_port = bad("the port is not a number from 1 to 65535", "as in `tcp:5432`");
        let port = |raw| port_number(raw).ok_or(no_port);
        match raw.split_once(':') {
            Some(("tcp", rest)) => Ok(ProbeGrant::Tcp(port(rest)?)),
            Some(("http", rest)) => Ok(ProbeGrant::Http(port(rest)?)),
            Some(("ssh", rest)) => {
                let valid = (1..=200).contains(&rest.len())
                    && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+/".contains(&b))
                    && !rest.starts_with('-')
                    && !rest.ends_with('/');
                let why = bad("this is not the name of one program", "as in `ssh:systemctl`, without its arguments");
                valid.then(|| ProbeGrant::Ssh(rest.to_owned())).ok_or(why)
            }
            None if raw == "file" => Ok(ProbeGrant::File),
            None if raw == "serial" => Ok(ProbeGrant::Serial),
            _ => Err(bad("this is not a probe", PROBE_HINT)),
        }
    }
}

impl fmt::Display for ProbeGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProbeGrant::Tcp(port) => f.pad(&format!("tcp:{port}")),
            ProbeGrant::Http(port) => f.pad(&format!("http:{port}")),
            ProbeGrant::Ssh(program) => f.pad(&format!("ssh:{program}")),
            ProbeGrant::File => f.pad("file"),
            ProbeGrant::Serial => f.pad("serial"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(raw: &str) -> HttpGrant {
        raw.parse().unwrap_or_else(|bad| panic!("{raw}: {bad}"))
    }

    #[test]
    fn a_host_is_reached_by_tls_at_public_addresses_unless_the_operator_wrote_otherwise() {
        let plain = http("Hooks.Example.com");
        assert_eq!(
            (plain.tls, plain.host.as_str(), plain.port(), plain.private),
            (true, "hooks.example.com", 443, false)
        );
        let address = http("http://10.0.0.5:8080");
        assert_eq!((address.tls, address.port(), address.private), (false, 8080, true));
        assert!(http("private:chat.internal").private);
        assert!(!http("http://chat.example.com").private);
        assert_eq!(http("https://[FD00::0:1]:443").host, "fd00::1");
    }

    #[test]
    fn grants_read_back_what_they_print() {
        for raw in [
            "hooks.example.com",
            "hooks.example.com:8443",
            "private:chat.internal",
            "private:http://chat.internal:8080",
            "http://10.0.0.5:8080",
            "[fd00::1]:8443",
            "[::1]",
        ] {
            assert_eq!(http(raw).to_string(), raw);
        }
        assert_eq!(http("https://hooks.example.com:443"), http("hooks.example.com"));
        for raw in ["tcp:5432", "http:8080", "ssh:systemctl", "ssh:/usr/bin/pg_isready", "file", "serial"] {
            assert_eq!(raw.parse::<ProbeGrant>().map(|probe| probe.to_string()), Ok(raw.to_owned()));
        }
    }

    #[test]
    fn what_is_not_one_host_or_one_probe_grants_nothing() {
        for raw in [
            "",
            "*",
            "*.example.com",
            "https://hooks.example.com/services/T0/B0",
            "user:pass@example.com",
            "ftp://example.com",
            "example.com:0",
            "example.com:65536",
            "example.com:+80",
            "example.com.",
            "-a.example.com",
            "a b.com",
            "127.1",
            "10.0.0.256",
            "0x7f.0.0.1",
            "2130706433",
            "[::1",
            "[10.0.0.1]",
            "private:",
            "bücher.example",
        ] {
            assert!(raw.parse::<HttpGrant>().is_err(), "{raw}");
        }
        for raw in ["", "tcp", "tcp:", "tcp:0", "tcp:70000", "udp:53", "ssh:", "ssh:rm -rf", "ssh:-x", "file:/etc"] {
            assert!(raw.parse::<ProbeGrant>().is_err(), "{raw}");
        }
    }
}
