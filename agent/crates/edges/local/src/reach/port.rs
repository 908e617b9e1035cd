//! A few bytes to a port, a few bytes back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use backstop_seams::ReachFailure;

use super::{timed_out, unreachable};

/// Sends, and reads until `expect` bytes came, the other side closed, or the time is over.
pub(super) fn exchange(
    socket: SocketAddr,
    send: &[u8],
    expect: usize,
    timeout: Duration,
) -> Result<Vec<u8>, ReachFailure> {
    let began = Instant::now();
    // Never nothing: the system takes a timeout of zero for none at all.
    let left = || timeout.checked_sub(began.elapsed()).filter(|left| *left >= Duration::from_micros(1));
    let failed = |what: &str, error: io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => timed_out(&format!("{what} {socket}"), timeout),
        _ => unreachable(format!("{what} {socket} failed: {error}")),
    };
    let over = || io::Error::from(ErrorKind::TimedOut);

    let connected = left().ok_or_else(over).and_then(|left| TcpStream::connect_timeout(&socket, left));
    let mut stream = connected.map_err(|error| failed("connecting to", error))?;
    let mut rest = send;
    while !rest.is_empty() {
        let count = left().ok_or_else(over).and_then(|left| {
            stream.set_write_timeout(Some(left))?;
            stream.write(rest)
        });
        match count {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            count => rest = &rest[count.map_err(|error| failed("sending to", error))?..],
        }
    }

    let mut came = vec![0; expect];
    let mut filled = 0;
    while filled < expect {
        let count = left().ok_or_else(over).and_then(|left| {
            stream.set_read_timeout(Some(left))?;
            stream.read(&mut came[filled..])
        });
        match count {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) if filled > 0 => break,
            Err(error) => return Err(failed("an answer from", error)),
        }
    }
    came.truncate(filled);
    Ok(came)
}
