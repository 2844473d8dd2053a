//! The proxies that the environment names, as curl and the clients of registries read them.
//!
//! The lower-case name of a variable comes first. A host of `NO_PROXY` stands for itself and for what is
//! below it, with or without a leading dot or `*.`; it may carry a port, be a network (`10.0.0.0/8`), or be
//! `*` for all. This machine itself is never asked for through a proxy.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;

use url::Url;

/// Through which proxies the network is reached.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<String>,
    https: Option<String>,
    all: Option<String>,
    none: Vec<String>,
}

impl Proxies {
    /// What the environment would say if it were `lookup`.
    pub fn from(lookup: impl Fn(&str) -> Option<OsString>) -> Proxies {
        let get = |lower: &str| {
            let value = lookup(lower).or_else(|| lookup(&lower.to_ascii_uppercase()))?;
            value.into_string().ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let none = get("no_proxy").unwrap_or_default();
        let none = none.split([',', ' ']).map(|host| host.trim().to_ascii_lowercase());
        Proxies {
            http: get("http_proxy"),
            https: get("https_proxy"),
            all: get("all_proxy"),
            none: none.filter(|host| !host.is_empty()).collect(),
        }
    }

    /// Whether `url` is reached directly, whatever proxy there is.
    pub fn spares(&self, url: &Url) -> bool {
        is_this_machine(url) || self.none.iter().any(|entry| names(entry, url))
    }

    /// The proxy through which `url` is reached; none if directly.
    pub fn of(&self, url: &Url) -> Option<&str> {
        if self.spares(url) {
            return None;
        }
        let own = if url.scheme() == "https" { &self.https } else { &self.http };
        own.as_deref().or(self.all.as_deref())
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Their urls may hold passwords.
        f.debug_struct("Proxies").field("none", &self.none).finish_non_exhaustive()
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether an entry of `NO_PROXY` names the host of `url`.
fn names(entry: &str, url: &Url) -> bool {
    if entry == "*" {
        return true;
    }
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_matches(['[', ']']).trim_end_matches('.');
    if let Ok(address) = host.parse::<IpAddr>()
        && let Some((network, bits)) = entry.split_once('/')
        && let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>())
    {
        return holds(network, bits, address);
    }
    // A colon is followed by a port, unless the whole is an address of version 6.
    let (entry, port) = match entry.rsplit_once(':') {
        Some((name, port)) if entry.trim_matches(['[', ']']).parse::<IpAddr>().is_err() => (name, Some(port)),
        _ => (entry, None),
    };
    if port.is_some_and(|port| port.parse().ok() != url.port_or_known_default()) {
        return false;
    }
    let name = entry.trim_matches(['[', ']']).trim_start_matches('*').trim_matches('.');
    host.strip_suffix(name).is_some_and(|rest| !name.is_empty() && (rest.is_empty() || rest.ends_with('.')))
}

fn holds(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let differ = u32::from(network) ^ u32::from(address);
            bits <= 32 && differ.checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let differ = u128::from(network) ^ u128::from(address);
            bits <= 128 && differ.checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        })
    }

    fn of(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.of(&Url::parse(url).unwrap()).map(str::to_owned)
    }

    #[test]
    fn each_scheme_has_its_own_and_lower_case_comes_first() {
        let set = proxies(&[
            ("HTTPS_PROXY", "http://upper"),
            ("https_proxy", "http://secure"),
            ("HTTP_PROXY", "http://plain"),
            ("ALL_PROXY", "http://any"),
        ]);
        assert_eq!(of(&set, "https://example.org/").as_deref(), Some("http://secure"));
        assert_eq!(of(&set, "http://example.org/").as_deref(), Some("http://plain"));
        let any = proxies(&[("all_proxy", "socks5h://any")]);
        assert_eq!(of(&any, "https://example.org/").as_deref(), Some("socks5h://any"));
        assert_eq!(of(&any, "http://127.0.0.1:8080/"), None);
        assert_eq!(of(&any, "http://localhost/"), None);
        assert_eq!(of(&Proxies::default(), "https://example.org/"), None);
        assert!(!format!("{:?}", proxies(&[("all_proxy", "http://u:hunter2@p")])).contains("hunter2"));
    }

    #[test]
    fn what_no_proxy_names_is_reached_directly() {
        for (entry, url, direct) in [
            ("example.org", "https://example.org/", true),
            (".example.org", "https://a.example.org/", true),
            ("*.example.org", "https://a.example.org/", true),
            ("x, EXAMPLE.org", "https://a.example.org/", true),
            ("example.org", "https://notexample.org/", false),
            ("example.org:8443", "https://example.org:8443/", true),
            ("example.org:8443", "https://example.org/", false),
            ("*", "https://example.org/", true),
            ("192.0.2.0/24", "https://192.0.2.9/", true),
            ("192.0.2.0/24", "https://192.0.3.9/", false),
            ("0.0.0.0/0", "https://192.0.3.9/", true),
            ("2001:db8::1", "https://[2001:db8::1]/", true),
            ("2001:db8::/32", "https://[2001:db8:1::1]/", true),
            (".", "https://example.org/", false),
        ] {
            let set = proxies(&[("all_proxy", "http://any"), ("NO_PROXY", entry)]);
            assert_eq!(of(&set, url).is_none(), direct, "{entry} {url}");
        }
    }
}
