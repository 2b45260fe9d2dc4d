//! The two files by which a process finds names: `/etc/hosts` and `/etc/resolv.conf`.
//!
//! Holds their text. Refuses to put them anywhere.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::{RESOLVER, base_resolver};
use crate::base::id::InterfaceId;
use crate::cloud::Cloud;
use crate::cloud::hostname::{Hostname, Kind};

/// Of every Linux host.
const LOCAL: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";

/// The text of `/etc/hosts` in which each label stands for its instance's addresses, in this order. A
/// label that is no hostname is left out: the file could not say it.
pub fn hosts_file<'a>(hosts: impl IntoIterator<Item = (&'a str, &'a [IpAddr])>) -> String {
    let mut text = LOCAL.to_owned();
    let sayable = |label: &str| {
        let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !label.is_empty() && label.chars().all(in_name)
    };
    for (label, addresses) in hosts.into_iter().filter(|(label, _)| sayable(label)) {
        for address in addresses {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{address} {label}");
        }
    }
    text
}

/// The text of `/etc/resolv.conf` of a host: what AWS's DHCP options say by default, the resolver of
/// its VPC and the domain of its region (UG23 vpc-dns). No resolver where `enableDnsSupport` is off.
pub fn resolver_file(cloud: &Cloud, host: InterfaceId) -> String {
    let vpc = cloud.interface(host).and_then(|interface| {
        let id = interface.vpc;
        Some((id, cloud.vpc(id).filter(|vpc| vpc.dns().support.is_on())?))
    });
    let Some((id, vpc)) = vpc else { return "# enableDnsSupport is off\n".to_owned() };
    let server = base_resolver(cloud, id).map_or(RESOLVER[0], IpAddr::V4);
    let any = Hostname::new(Kind::Private, [0; 4].into(), vpc.region.clone()).to_string();
    let domain = any.split_once('.').map_or("", |(_, domain)| domain);
    format!("search {domain}\nnameserver {server}\noptions timeout:2 attempts:2\n")
}
