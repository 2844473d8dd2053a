//! Connections that are kept, so that the next request to the same server need not shake hands again.
//!
//! An agent serves one request at a time: it is taken, used, and given back only after a good end, because
//! the way to break off a request is to shut its agent down. Those that lie unused for long are dropped
//! with their connections, and so is what they knew of the files of certificates.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::transport::DefaultConnector;
use url::Url;

use super::addresses::Addresses;
use super::{Bounds, trust};
use crate::error::{Error, Kind, Result};

/// How long an agent may lie unused: servers keep a connection about as long.
const IDLE: Duration = Duration::from_secs(30);
/// How many may lie unused.
const MOST: usize = 16;

/// What agents differ in.
#[derive(Clone, PartialEq, Eq)]
struct Sort {
    origin: String,
    trust: Vec<PathBuf>,
    proxy: Option<String>,
}

/// An agent in use.
pub(super) struct Taken {
    agent: Agent,
    sort: Sort,
}

impl Taken {
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Breaks off whatever it does.
    pub fn shut_down(self) {
        self.agent.shutdown();
    }
}

pub(super) struct Agents {
    bounds: Bounds,
    user_agent: String,
    addresses: Addresses,
    idle: Mutex<Vec<(Taken, Instant)>>,
}

impl Agents {
    pub fn new(bounds: Bounds, user_agent: &str) -> Self {
        Agents {
            bounds,
            user_agent: user_agent.to_owned(),
            addresses: Addresses::default(),
            idle: Mutex::default(),
        }
    }

    /// An agent for a request to `url`: an idle one, which may hold a connection, or a new one.
    pub fn take(&self, what: &str, url: &Url, trust: &[PathBuf], proxy: Option<&str>) -> Result<Taken> {
        let sort = Sort {
            origin: url.origin().ascii_serialization(),
            trust: trust.to_vec(),
            proxy: proxy.map(str::to_owned),
        };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        if let Some(at) = idle.iter().rposition(|(taken, _)| taken.sort == sort) {
            return Ok(idle.remove(at).0);
        }
        drop(idle);
        Ok(Taken { agent: self.make(what, url, &sort)?, sort })
    }

    /// Keeps the agent of a request that came to a good end.
    pub fn give_back(&self, taken: Option<Taken>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(taken.map(|taken| (taken, Instant::now())));
        if idle.len() > MOST {
            idle.remove(0);
        }
    }

    fn make(&self, what: &str, url: &Url, sort: &Sort) -> Result<Agent> {
        let proxy = match &sort.proxy {
            Some(proxy) => Some(ureq::Proxy::new(proxy).map_err(|_| {
                // The text may hold a password in a place where nobody looks for one.
                Error::new(Kind::Config, what, "what is configured as the proxy is not the url of one")
                    .hint("write it like http://proxy.example.org:3128")
            })?),
            None => None,
        };
        // No bound of the whole: with one, a thread is made for each search of an address.
        let mut config = Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(&self.user_agent)
            .timeout_connect(Some(self.bounds.connect))
            .timeout_send_request(Some(self.bounds.answer))
            .timeout_recv_response(Some(self.bounds.answer));
        let is_encrypted = |proxy: &ureq::Proxy| proxy.protocol() == ureq::ProxyProtocol::Https;
        if url.scheme() == "https" || proxy.as_ref().is_some_and(is_encrypted) {
            config = config.tls_config(trust::load(what, &sort.trust)?);
        }
        let config = config.proxy(proxy).build();
        Ok(Agent::with_parts(config, DefaultConnector::default(), self.addresses.clone()))
    }
}
