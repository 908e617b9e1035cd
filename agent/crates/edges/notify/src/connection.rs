//! A connection to one of the addresses given, in TLS where the URL says so, that ends at the deadline.
//!
//! The client's own connections give each of their phases a timeout, and a peer that takes a byte now and then stretches
//! a phase. Here every single wait is for what is left until the deadline, so nothing can.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

use crate::deadline::Deadline;

/// Makes the connection of one request.
pub(crate) struct Dial {
    deadline: Deadline,
    tls: Option<Arc<ClientConfig>>,
}

impl Dial {
    pub(crate) fn new(deadline: Deadline, tls: Option<Arc<ClientConfig>>) -> Self {
        Self { deadline, tls }
    }

    /// Tries the addresses in turn, each with an equal share of the time that is left then.
    fn dial(&self, addresses: &[SocketAddr]) -> io::Result<Timed> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for (at, address) in addresses.iter().enumerate() {
            let others = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
            match TcpStream::connect_timeout(address, self.deadline.left()? / others) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Timed { stream, deadline: self.deadline });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Connector<()> for Dial {
    type Out = Line;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Line>, Error> {
        let mut stream = self.dial(&details.addrs)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        let Some(config) = &self.tls else {
            return Ok(Some(Line { stream: Box::new(stream), buffers, tls: false }));
        };
        let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|_| Error::Tls("no server can have the host's name"))?;
        let mut session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        let stream = Box::new(StreamOwned::new(session, stream));
        Ok(Some(Line { stream, buffers, tls: true }))
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").finish_non_exhaustive()
    }
}

/// A connection whose every wait ends at the deadline.
struct Timed {
    stream: TcpStream,
    deadline: Deadline,
}

/// The system says `WouldBlock` when a socket's timeout is over.
fn timeouts_named(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

/// Without the goodbye of TLS, or of TCP.
fn ended_early(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionAborted | ConnectionReset)
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.deadline.left()?))?;
        self.stream.read(buffer).map_err(timeouts_named)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.deadline.left()?))?;
        self.stream.write(bytes).map_err(timeouts_named)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

trait Stream: Read + Write + Send + Sync {}
impl<S: Read + Write + Send + Sync> Stream for S {}

/// A connection as the client uses it. Its own timeouts are not set, so those passed in say nothing.
pub(crate) struct Line {
    stream: Box<dyn Stream>,
    buffers: LazyBuffers,
    tls: bool,
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(self.stream.flush()?)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let count = loop {
            match self.stream.read(self.buffers.input_append_buf()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The client would take these for the end of an answer without a length; anybody may have cut it.
                Err(error) if ended_early(&error) => {
                    return Err(io::Error::other("the connection ended before the answer did").into());
                }
                read => break read?,
            }
        };
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        // It serves one request.
        false
    }

    fn is_tls(&self) -> bool {
        self.tls
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("tls", &self.tls).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use super::*;

    /// More than the system keeps for a peer, and a peer that takes a little whenever the writer has just blocked.
    #[test]
    fn a_peer_that_hardly_reads_does_not_stretch_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("called");
            let mut block = vec![0; 256 << 10];
            while stream.read(&mut block).is_ok_and(|count| count > 0) {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let began = Instant::now();
        let dial = Dial::new(Deadline::after(Duration::from_millis(300)), None);
        let mut stream = dial.dial(&[address]).expect("connected");
        let error = stream.write_all(&vec![0; 128 << 20]).expect_err("too much");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}
