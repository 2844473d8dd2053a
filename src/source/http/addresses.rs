//! The addresses of servers, remembered for a while.
//!
//! ureq asks for them before each request, also where it holds a connection already; and where a name server is
//! slow or loses questions (the system's resolver then waits for 5 s) a hundred packages are a hundred waits.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long an answer is good. Whoever moves a server keeps the old address for longer.
const GOOD: Duration = Duration::from_secs(30);
/// How many servers are remembered; registries are few.
const MOST: usize = 64;

/// Of each server its addresses, and since when they are known.
type Known = HashMap<String, (Vec<SocketAddr>, Instant)>;

/// Asks the system, once for a while. Clones share what they remember.
#[derive(Clone, Default)]
pub(super) struct Addresses {
    known: Arc<Mutex<Known>>,
}

impl std::fmt::Debug for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Addresses")
    }
}

impl Addresses {
    fn recall(&self, server: &str) -> Option<Vec<SocketAddr>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, since)| since.elapsed() < GOOD);
        known.get(server).map(|(addresses, _)| addresses.clone())
    }

    fn remember(&self, server: String, addresses: &[SocketAddr]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(server, (addresses.to_vec(), Instant::now()));
    }
}

impl Resolver for Addresses {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let server = match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) => DefaultResolver::host_and_port(scheme, authority),
            _ => None,
        };
        let asked = || DefaultResolver::default().resolve(uri, config, timeout);
        let Some(server) = server else { return asked() };
        if let Some(known) = self.recall(&server) {
            let mut addresses = self.empty();
            known.into_iter().for_each(|address| addresses.push(address));
            return Ok(addresses);
        }
        let addresses = asked()?;
        self.remember(server, &addresses);
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_recalled_by_all_clones_and_the_number_is_bounded() {
        let addresses = Addresses::default();
        let one: SocketAddr = "192.0.2.1:443".parse().unwrap();
        addresses.clone().remember("a.test:443".to_owned(), &[one]);
        assert_eq!(addresses.recall("a.test:443"), Some(vec![one]));
        assert_eq!(addresses.recall("a.test:80"), None);
        for number in 0..2 * MOST {
            addresses.remember(format!("{number}.test:443"), &[one]);
        }
        assert!(addresses.known.lock().unwrap().len() <= MOST);
    }
}
