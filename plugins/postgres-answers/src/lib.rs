//! A restored PostgreSQL server accepts connections.
//!
//! It is sent the startup packet of protocol 3.0, as any client does. A server that is up asks for authentication (`R`),
//! or refuses the user or the connection without TLS with an SQLSTATE of class 28: either way it has read its
//! configuration and its control file and recovery is over. One that is still recovering says 57P03. Nobody signs in, so
//! no password is needed, and whether a table is there has to be asked otherwise.

use backstop_policy_sdk::health_check::{Answer, HealthCheck, Looked, Question};
use backstop_policy_sdk::{Settings, probes};

/// The type of a message, its length, and the kind of authentication: what every answer has at least.
const HEAD: u32 = 9;

/// Errors at startup are a few hundred bytes.
const ERROR_MAX: u32 = 4_096;

struct PostgresAnswers;

impl HealthCheck for PostgresAnswers {
    fn check(question: &Question) -> Result<Answer, String> {
        let settings = &question.settings;
        settings.only(&["port", "user", "database", "timeout"])?;
        let whole = settings.whole_or("port", 5432)?;
        let port = u16::try_from(whole).ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| format!("setting `port` is {whole}; write a whole number from 1 to 65535"))?;
        let user = settings.text_or("user", "postgres")?;
        let database = settings.text_or("database", user)?;
        let timeout_ms = match settings.whole_or("timeout", 10)? {
            seconds @ 1..=60 => seconds as u32 * 1_000,
            seconds => return Err(format!("setting `timeout` is {seconds}; write seconds from 1 to 60")),
        };
        let mut looked = Looked::default();
        look(port, &startup(user, database), timeout_ms, &mut looked);
        Ok(looked.answer())
    }
}

fn look(port: u16, packet: &[u8], timeout_ms: u32, looked: &mut Looked) {
    let name = format!("PostgreSQL at tcp:{port}");
    // An error is followed by the end of the connection, so all of it may be waited for; a request for authentication by
    // silence.
    let answer = probes::tcp(port, packet, HEAD, timeout_ms).and_then(|head| match head.first() {
        Some(b'E') => probes::tcp(port, packet, ERROR_MAX, timeout_ms),
        _ => Ok(head),
    });
    match answer.as_deref().map(Reply::read) {
        Ok(Reply::Authentication) => looked.pass(name, "asks for authentication"),
        Ok(Reply::Error { code, message }) if code.starts_with("28") => {
            looked.pass(name, format!("answers and refuses this user: {code} {message}"));
        }
        Ok(Reply::Error { code, message }) => looked.fail(name, format!("{code} {message}")),
        Ok(Reply::Other) => looked.fail(name, "what answers is no PostgreSQL server"),
        Ok(Reply::Nothing) => looked.fail(name, "accepts connections and says nothing"),
        Err(failure) => looked.failed(name, failure),
    }
}

/// The startup packet: its length, 3.0, and pairs of texts that end in zero.
fn startup(user: &str, database: &str) -> Vec<u8> {
    let mut body = 0x0003_0000_u32.to_be_bytes().to_vec();
    for text in ["user", user, "database", database, "application_name", "backstop", ""] {
        body.extend(text.bytes().filter(|byte| *byte != 0));
        body.push(0);
    }
    let mut packet = (body.len() as u32 + 4).to_be_bytes().to_vec();
    packet.extend(body);
    packet
}

/// What the server says first.
#[derive(Debug, PartialEq)]
enum Reply {
    Authentication,
    Error { code: String, message: String },
    Other,
    Nothing,
}

impl Reply {
    fn read(bytes: &[u8]) -> Self {
        let Some((kind, rest)) = bytes.split_first() else { return Reply::Nothing };
        let Some((length, body)) = rest.split_first_chunk::<4>() else { return Reply::Other };
        // Nothing that a server says here is longer, and no text of another protocol reads as a length so small.
        if !(8..=0xffff).contains(&u32::from_be_bytes(*length)) {
            return Reply::Other;
        }
        match kind {
            b'R' => Reply::Authentication,
            b'E' => Self::error(body),
            _ => Reply::Other,
        }
    }

    /// Fields of a letter and a text each: `C` is the SQLSTATE, `M` the message.
    fn error(body: &[u8]) -> Self {
        let field = |letter: u8| {
            let mut fields = body.split(|byte| *byte == 0);
            let found = fields.find_map(|field| field.split_first().filter(|(kind, _)| **kind == letter));
            found.map(|(_, text)| String::from_utf8_lossy(text).chars().take(300).collect::<String>())
        };
        match field(b'C') {
            Some(code) => Reply::Error { code, message: field(b'M').unwrap_or_default() },
            None => Reply::Other,
        }
    }
}

backstop_policy_sdk::health_check!(PostgresAnswers);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_startup_packet_is_that_of_the_protocol() {
        let packet = startup("ada", "db");
        assert_eq!(packet.len() as u32, u32::from_be_bytes(packet[..4].try_into().expect("four bytes")));
        assert_eq!(packet[4..8], [0, 3, 0, 0]);
        assert_eq!(packet[8..], *b"user\0ada\0database\0db\0application_name\0backstop\0\0");
    }

    #[test]
    fn nothing_that_a_stranger_sends_is_taken_for_a_server() {
        for bytes in [
            &b"RFB 003.008\n"[..],
            b"EHLO",
            b"E",
            b"R",
            b"R\0\0\0",
            b"N",
            b"HTTP/1.1 400",
            &[0xff; 64],
            b"E\0\0\0\x0c\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(Reply::read(bytes), Reply::Other, "{bytes:?}");
        }
        assert_eq!(Reply::read(b""), Reply::Nothing);
    }
}
