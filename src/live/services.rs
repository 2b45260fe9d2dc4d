//! What an instance finds at its link-local addresses: the resolver and the metadata of itself.
//!
//! Holds the addresses, the sockets that listen there, and the loop that answers on them. Neither
//! service is on the network: a host reaches them inside its own namespace, so nothing that is said to
//! them passes the fabric, a group or an ACL, or shows in a flow log (vpc-semantics 3.5, 4.5). Refuses
//! to make namespaces, and to remember anything of the cloud: each answer looks anew.

mod dns;
mod files;
mod metadata;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::task::JoinSet;

pub use files::{hosts_file, resolver_file};

use super::ground::Ground;
use crate::base::id::InterfaceId;
use crate::base::time::Instant;
use crate::cloud::Cloud;

/// The resolver of every VPC (vpc-semantics 3.5).
const RESOLVER: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 253)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253)),
];
/// Instance metadata (vpc-semantics 3.5).
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// The port of DNS.
const DNS_PORT: u16 = 53;
/// The port of HTTP.
const HTTP_PORT: u16 = 80;
/// Before a socket that failed is asked again.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks at the cloud as it is now, and brings home what was seen; `None` if the world is broken.
fn seen<T>(ground: &dyn Ground, mut work: impl FnMut(&Cloud, Instant) -> T) -> Option<T> {
    let mut out = None;
    ground.act(&mut |sim, _| out = Some(work(sim.cloud(), sim.now()))).ok()?;
    out
}

/// Where a host finds its services: what its loopback device has to own. The resolver's comes with its
/// VPC's own, two above the base of the first block. Empty if there is no such interface.
pub fn addresses(cloud: &Cloud, host: InterfaceId) -> Vec<IpAddr> {
    let Some(interface) = cloud.interface(host) else { return Vec::new() };
    let mut out: Vec<IpAddr> = RESOLVER.into_iter().chain(METADATA).collect();
    out.extend(base_resolver(cloud, interface.vpc).map(IpAddr::V4));
    out
}

/// The resolver's address inside a VPC.
fn base_resolver(cloud: &Cloud, vpc: crate::base::id::VpcId) -> Option<Ipv4Addr> {
    cloud.vpc(vpc)?.blocks().iter().find_map(|block| match block {
        // A block has at least 16 addresses, so there is one two above its base.
        IpNet::V4(block) => block.network().to_bits().checked_add(2).map(Ipv4Addr::from_bits),
        IpNet::V6(_) => None,
    })
}

/// The sockets of one host's services.
#[derive(Debug, Default)]
pub struct Sockets {
    datagrams: Vec<UdpSocket>,
    streams: Vec<TcpListener>,
    metadata: Vec<TcpListener>,
}

impl Sockets {
    /// Opens them. For a thread that is in the host's namespace, where a device owns the `addresses`
    /// (see [`addresses`]). Those of IPv6 are left out where the kernel has none.
    ///
    /// # Errors
    /// What the kernel says if an address or a port cannot be had.
    pub fn open(addresses: &[IpAddr]) -> io::Result<Sockets> {
        let mut out = Sockets::default();
        for address in addresses {
            match out.open_at(*address) {
                Err(_) if address.is_ipv6() => {}
                result => result?,
            }
        }
        Ok(out)
    }

    fn open_at(&mut self, address: IpAddr) -> io::Result<()> {
        if METADATA.contains(&address) {
            self.metadata.push(quiet(TcpListener::bind((address, HTTP_PORT))?)?);
            return Ok(());
        }
        let datagrams = UdpSocket::bind((address, DNS_PORT))?;
        datagrams.set_nonblocking(true)?;
        self.streams.push(quiet(TcpListener::bind((address, DNS_PORT))?)?);
        self.datagrams.push(datagrams);
        Ok(())
    }
}

/// The listener as tokio wants it.
fn quiet(listener: TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Answers on the sockets for as long as it is polled; whoever drops it closes them. Needs a tokio
/// runtime with time and I/O. What a client does wrong ends that client's exchange and nothing else.
///
/// # Errors
/// What the kernel says if the runtime cannot watch a socket.
pub async fn serve(sockets: Sockets, host: InterfaceId, ground: Arc<dyn Ground>) -> io::Result<()> {
    let mut tasks = JoinSet::new();
    for socket in sockets.datagrams {
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        tasks.spawn(dns::datagrams(socket, host, Arc::clone(&ground)));
    }
    for listener in sockets.streams {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tasks.spawn(dns::streams(listener, host, Arc::clone(&ground)));
    }
    let tokens = Arc::new(metadata::Tokens::new());
    for listener in sockets.metadata {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (tokens, ground) = (Arc::clone(&tokens), Arc::clone(&ground));
        tasks.spawn(metadata::serve(listener, host, tokens, ground));
    }
    // None of them ends.
    while tasks.join_next().await.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests;
