//! From a host to the addresses that may be spoken to.
//!
//! A name is resolved once per request; what was looked at is what is connected to, so that a name server that answers
//! differently a second time has nobody to answer to. One address inside is enough to refuse the host: a name with a
//! public and a private address is an attempt.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use backstop_model::policy::binding::is_public;
use backstop_seams::{Origin, WebFailure, WebFailureKind};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::deadline::Deadline;
use crate::failure::{failure, timed_out, unreachable};

/// Most addresses of a host that are tried.
const ADDRESSES_MAX: usize = 8;
/// Most look-ups under way: one that hangs cannot be ended, only left behind.
const LOOK_UPS_MAX: usize = 16;

/// Resolves names.
pub trait Names: Send + Sync + 'static {
    /// Every address of a host, in the order in which to try them. May take as long as it likes.
    ///
    /// # Errors
    /// When the name is not known, or nobody could be asked.
    fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// As the system resolves them: `/etc/hosts`, name servers, and whatever else it is set up for.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

impl Names for SystemNames {
    fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }
}

/// Finds addresses, a few names at a time.
pub(crate) struct Finder {
    names: Arc<dyn Names>,
    under_way: Arc<AtomicUsize>,
}

impl Finder {
    pub(crate) fn new(names: Arc<dyn Names>) -> Self {
        Self { names, under_way: Arc::default() }
    }

    /// The addresses of an origin, each of them public or allowed not to be.
    pub(crate) fn addresses(
        &self,
        origin: &Origin,
        allow_private: bool,
        deadline: Deadline,
    ) -> Result<Vec<SocketAddr>, WebFailure> {
        let found = match origin.address() {
            Some(address) => vec![address],
            None => self.look_up(origin, deadline)?,
        };
        checked(&found, origin, allow_private)
    }

    fn look_up(&self, origin: &Origin, deadline: Deadline) -> Result<Vec<IpAddr>, WebFailure> {
        let under_way = UnderWay::begin(&self.under_way).ok_or_else(|| {
            unreachable(&format!("{origin}: {LOOK_UPS_MAX} look-ups of names hang; this one was not begun"))
        })?;
        let (send, receive) = mpsc::sync_channel(1);
        let (names, host) = (Arc::clone(&self.names), origin.host.clone());
        let asking = move || {
            let answer = names.addresses(&host);
            drop(under_way);
            // Nobody waits any more: that is what a deadline is for.
            let _ = send.send(answer);
        };
        let begun = thread::Builder::new().name("look-up".into()).spawn(asking);
        begun.map_err(|error| unreachable(&format!("{origin}: no thread to resolve its name: {error}")))?;
        let late = || timed_out(&format!("{origin}: its name was not resolved in time"));
        let left = deadline.left().map_err(|_| late())?;
        match receive.recv_timeout(left) {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(unreachable(&format!("{origin}: its name cannot be resolved: {error}"))),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(late()),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(unreachable(&format!("{origin}: resolving its name failed")))
            }
        }
    }
}

fn checked(found: &[IpAddr], origin: &Origin, allow_private: bool) -> Result<Vec<SocketAddr>, WebFailure> {
    if let Some(inside) = found.iter().find(|address| !allow_private && !is_public(**address)) {
        let message = format!("{origin}: the address {inside} is not public and nothing allows it");
        return Err(failure(WebFailureKind::NotPublic, message));
    }
    if found.is_empty() {
        return Err(unreachable(&format!("{origin}: the name has no address")));
    }
    Ok(found.iter().take(ADDRESSES_MAX).map(|address| SocketAddr::new(*address, origin.port)).collect())
}

/// Counts a look-up for as long as it is under way.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn begin(count: &Arc<AtomicUsize>) -> Option<Self> {
        let one_more = |count| (count < LOOK_UPS_MAX).then_some(count + 1);
        count.try_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok().map(|_| Self(Arc::clone(count)))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The addresses that were looked at, for the client: it finds no others.
#[derive(Debug)]
pub(crate) struct Checked(pub(crate) Vec<SocketAddr>);

impl Resolver for Checked {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        self.0.iter().take(ADDRESSES_MAX).for_each(|address| addresses.push(*address));
        Ok(addresses)
    }
}
