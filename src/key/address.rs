//! Which addresses are those of this machine or of a private network.
//!
//! Only what is written is looked at. What a public name resolves to is the matter of whoever runs its
//! zone, and `SEMANTICS.md` says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Whether the host of `url` is written as an address, or as a name, of this machine or a private
/// network. A url without a host has none.
pub(crate) fn is_private(url: &Url) -> bool {
    match url.host() {
        None => false,
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            if let Ok(address) = name.parse::<IpAddr>() {
                return is_private_address(address);
            }
            name == "localhost"
                || !name.contains('.')
                || [".localhost", ".local", ".internal", ".lan", ".home.arpa"]
                    .iter()
                    .any(|suffix| name.ends_with(suffix))
        }
        Some(Host::Ipv4(address)) => is_private_address(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_private_address(IpAddr::V6(address)),
    }
}

/// The address of version 4 to which a gateway would send on (RFC 6052), or that it was written for once.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let is_of = |prefix: [u16; 6]| segments[..6] == prefix;
    let [.., a, b] = segments;
    let is_one = is_of([0x64, 0xff9b, 0, 0, 0, 0]) || (is_of([0; 6]) && a != 0);
    is_one.then(|| Ipv4Addr::from_bits(u32::from(a) << 16 | u32::from(b)))
}

fn is_private_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || a == 0
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped().or_else(|| embedded(v6)) {
            Some(v4) => is_private_address(IpAddr::V4(v4)),
            None => {
                v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || (v6.segments()[0] & 0xfe00) == 0xfc00
                    || (v6.segments()[0] & 0xffc0) == 0xfe80
            }
        },
    }
}
