//! Which requests a browser may not be tricked into.
//!
//! A server on loopback is in reach of every web page that its user's browser shows. Such a page can
//! post a form to it (the answer stays hidden, the VPC is deleted all the same), or call itself
//! `attacker.example`, let that name point to 127.0.0.1, and read the answers too (DNS rebinding). AWS's
//! clients do neither, so both are refused:
//!
//! - the `Host` of a request is an address, `localhost`, a name below `.localhost`, a name without a dot
//!   (a container's), or one that the operator allows; and
//! - a request that says which page it comes from (`Origin`, `Sec-Fetch-Site`) comes from such a host.
//!
//! Holds these two rules. Refuses to be an authentication: whoever can open a socket can leave the
//! headers away.

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use super::message::Headers;
use super::refusal::Refusal;

/// Is this an address that only this machine reaches?
pub fn is_loopback(address: &SocketAddr) -> bool {
    // An IPv4 address in IPv6 clothes is what it is beneath them.
    address.ip().to_canonical().is_loopback()
}

/// Names of hosts, beyond those that are always accepted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hosts(Vec<String>);

/// A text that is no name of a host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not the name of a host (want for example `lab.example.com` or `.example.com`)")]
pub struct MalformedHost(
    /// What was given.
    pub String,
);

impl Hosts {
    /// These names too. One that begins with a dot stands for all names that end so.
    pub fn allowing<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Hosts, MalformedHost> {
        let mut out = Vec::new();
        for name in names {
            let labels = name.strip_prefix('.').unwrap_or(name);
            let fine = |c: u8| c.is_ascii_alphanumeric() || b"-_".contains(&c);
            if !labels.split('.').all(|label| !label.is_empty() && label.bytes().all(fine)) {
                return Err(MalformedHost(name.to_owned()));
            }
            out.push(name.to_ascii_lowercase());
        }
        Ok(Hosts(out))
    }

    /// Whether a request with these headers may go on.
    pub(super) fn admit(&self, headers: &Headers) -> Result<(), Refusal> {
        // HTTP/1.0 has no Host, and no browser speaks it.
        if headers.has("host") && !headers.get("host").is_some_and(|host| self.knows(host)) {
            return Err(Refusal::ForeignHost);
        }
        if headers.has("origin") && !headers.get("origin").is_some_and(|page| self.knows_page(page))
        {
            return Err(Refusal::ForeignPage);
        }
        // Where there is an `Origin`, it has been seen to. Images and links have none.
        if !headers.has("origin") && headers.get("sec-fetch-site") == Some("cross-site") {
            return Err(Refusal::ForeignPage);
        }
        Ok(())
    }

    /// Is this `host[:port]` of ours?
    fn knows(&self, authority: &str) -> bool {
        if authority.parse::<SocketAddr>().is_ok() {
            return true;
        }
        if let Some(six) = authority.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return six.parse::<std::net::Ipv6Addr>().is_ok();
        }
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => host,
            Some(_) => return false,
            None => authority,
        };
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let fine = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
        if host.is_empty() || !host.bytes().all(fine) {
            return false;
        }
        let allowed = |name: &String| match name.strip_prefix('.') {
            Some(_) => host.ends_with(name.as_str()),
            None => host == *name,
        };
        host.parse::<IpAddr>().is_ok()
            || !host.contains('.')
            || host.ends_with(".localhost")
            || self.0.iter().any(allowed)
    }

    /// Is this an origin, `scheme://host[:port]`, of ours? `null` is nobody's.
    fn knows_page(&self, origin: &str) -> bool {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| self.knows(authority))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_ours_are_known() {
        let hosts = Hosts::allowing(["lab.example.com", ".corp.example"]).unwrap();
        for (host, want) in [
            ("localhost:4566", true),
            ("LOCALHOST", true),
            ("localhost.", true),
            ("ec2.localhost:4566", true),
            ("127.0.0.1:4566", true),
            ("127.0.0.1", true),
            ("192.0.2.1:80", true),
            ("[::1]:4566", true),
            ("[::1]", true),
            ("vpclab:4566", true),
            ("lab.example.com:4566", true),
            ("Lab.Example.Com", true),
            ("a.corp.example", true),
            ("corp.example", false),
            ("evilcorp.example", false),
            ("attacker.example:4566", false),
            ("localhost.attacker.example", false),
            ("127.0.0.1.attacker.example", false),
            ("attacker.example:4566:80", false),
            ("user@attacker.example", false),
            ("user@localhost", false),
            ("::1", false),
            ("[attacker.example]", false),
            ("", false),
            (":4566", false),
            (".", false),
        ] {
            assert_eq!(hosts.knows(host), want, "{host}");
        }
    }

    #[test]
    fn pages_of_others_are_refused() {
        let hosts = Hosts::default();
        const HOST: (&str, &str) = ("Host", "localhost:4566");
        for (headers, want) in [
            (vec![HOST], Ok(())),
            (vec![], Ok(())),
            (vec![HOST, ("Origin", "http://localhost:3000")], Ok(())),
            (
                vec![HOST, ("Origin", "http://localhost:3000"), ("Sec-Fetch-Site", "cross-site")],
                Ok(()),
            ),
            (vec![HOST, ("Sec-Fetch-Site", "none")], Ok(())),
            (vec![HOST, ("Sec-Fetch-Site", "cross-site")], Err(Refusal::ForeignPage)),
            (vec![HOST, ("Origin", "https://attacker.example")], Err(Refusal::ForeignPage)),
            (vec![HOST, ("Origin", "null")], Err(Refusal::ForeignPage)),
            (vec![HOST, ("Origin", "file://localhost")], Err(Refusal::ForeignPage)),
            (vec![HOST, HOST], Err(Refusal::ForeignHost)),
            (vec![("Host", "attacker.example")], Err(Refusal::ForeignHost)),
        ] {
            let map = Headers::of(headers.iter().copied()).unwrap();
            assert_eq!(hosts.admit(&map), want, "{headers:?}");
        }
    }

    #[test]
    fn names_that_cannot_be_allowed() {
        for name in ["", ".", "a..b", "a b", "http://a", "a:80", "*.example"] {
            assert_eq!(Hosts::allowing([name]), Err(MalformedHost(name.to_owned())));
        }
    }

    #[test]
    fn loopback_in_all_its_forms() {
        for (address, want) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("[::ffff:10.0.0.1]:1", false),
        ] {
            assert_eq!(is_loopback(&address.parse().unwrap()), want, "{address}");
        }
    }
}
