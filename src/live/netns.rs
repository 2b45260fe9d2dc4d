//! One host's network namespace, with a TUN device that carries the host's addresses.
//!
//! Namespaces are of threads: calls work on threads of their own, and the caller stays where it is.
//! Refuses to read or write packets.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkFlags, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};

use super::{LiveError, ethtool};
use crate::base::units::Mtu;

/// The device's name, as instances have it.
const DEVICE: &str = "eth0";

/// The index of `lo` in a fresh namespace.
const LOOPBACK: u32 = 1;

/// Threads that make namespaces at the same time. More of them wait for the kernel's one lock on
/// network devices.
const MAKERS_MAX: usize = 4;

/// What a cloud instance is set to, below `/proc/sys/net`, in the words to try until one is taken. A
/// fresh namespace has these of the machine's own, which may be a router, and lets nobody ping
/// without privileges.
const SETTINGS: &[(&str, &[&str])] = &[
    ("ipv4/ip_forward", &["0"]),
    ("ipv4/conf/all/rp_filter", &["2"]),
    ("ipv4/conf/default/rp_filter", &["2"]),
    // All groups, or in a namespace of users the one that there is.
    ("ipv4/ping_group_range", &["0 2147483647", "0 0"]),
];

/// What a host's namespace looks like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostSpec {
    /// Its addresses, the primary one of each family first.
    pub addresses: Vec<IpAddr>,
    /// Where services of the cloud answer it without leaving: resolver, metadata. They are on `lo`.
    pub services: Vec<IpAddr>,
    /// The MTU of its device. Below 1,280 the kernel has no IPv6 on it.
    pub mtu: Mtu,
}

/// A namespace and the other end of its device. Both end when these files are closed, and no process
/// is left in the namespace.
#[derive(Debug)]
pub struct HostNet {
    /// Reads what the host sends and writes what it receives: one packet a call, behind a virtio-net
    /// header of 10 bytes; not blocking. Checksums and TCP segmentation are left to the reader.
    pub tun: OwnedFd,
    /// The namespace.
    pub netns: OwnedFd,
}

/// Makes a namespace with `lo` and `eth0` up and default routes through `eth0`.
///
/// # Errors
/// As [`make_all`].
pub fn make(spec: &HostSpec) -> Result<HostNet, LiveError> {
    check_device()?;
    on_a_thread(|| build(spec))?
}

/// [`make`] for many hosts, in their order. Costs about 1 ms a host and core, almost all of it the
/// kernel's.
///
/// # Errors
/// The kernel has no TUN, or refuses a step; nothing is left then.
pub fn make_all(specs: &[HostSpec]) -> Result<Vec<HostNet>, LiveError> {
    check_device()?;
    let makers = thread::available_parallelism().map_or(1, usize::from).min(MAKERS_MAX);
    let next = AtomicUsize::new(0);
    let make_some = || {
        let mut made = Vec::new();
        while let Some((row, spec)) = take_row(&next, specs) {
            let host = build(spec).inspect_err(|_| next.store(specs.len(), Ordering::Relaxed))?;
            made.push((row, host));
        }
        Ok::<_, LiveError>(made)
    };
    let mut made = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..makers.min(specs.len())).map(|_| scope.spawn(make_some)).collect();
        let mut made = Vec::with_capacity(specs.len());
        for worker in workers {
            made.extend(worker.join().map_err(|_| panicked())??);
        }
        Ok::<_, LiveError>(made)
    })?;
    made.sort_by_key(|(row, _)| *row);
    Ok(made.into_iter().map(|(_, host)| host).collect())
}

fn take_row<'s>(next: &AtomicUsize, specs: &'s [HostSpec]) -> Option<(usize, &'s HostSpec)> {
    let row = next.fetch_add(1, Ordering::Relaxed);
    specs.get(row).map(|spec| (row, spec))
}

fn check_device() -> Result<(), LiveError> {
    if Path::new("/dev/net/tun").exists() {
        return Ok(());
    }
    Err(LiveError::Missing {
        what: "/dev/net/tun",
        why: "each instance gets a TUN device (`modprobe tun`; in a container `--device \
              /dev/net/tun`)",
    })
}

/// Moves the calling thread into a new namespace, and furnishes it.
fn build(spec: &HostSpec) -> Result<HostNet, LiveError> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| match error {
        Errno::ENOSPC => LiveError::Missing {
            what: "room for another network namespace",
            why: "each instance has one (`sysctl user.max_net_namespaces` says how many may be)",
        },
        error => LiveError::system("cannot make a network namespace", error),
    })?;
    let netns = current()?;
    for (setting, words) in SETTINGS {
        // Read-only in some containers, where the defaults have to do.
        let _ =
            words.iter().find(|word| fs::write(format!("/proc/sys/net/{setting}"), word).is_ok());
    }
    let doing = |error| LiveError::system(format!("cannot make the TUN device {DEVICE}"), error);
    let device = tun_rs::DeviceBuilder::new()
        .name(DEVICE)
        .offload(true)
        .inherit_enable_state()
        .build_sync()
        .map_err(doing)?;
    device.set_nonblocking(true).map_err(doing)?;
    // Else the kernel takes it down when its file is closed, at 15 ms each and one after the other.
    // Like this it goes with its namespace, and those go many at a time.
    device.persist().map_err(doing)?;
    // The device was offered to do this too, and its reader does not. Kernels that refuse do not know
    // the offer either.
    let _ = ethtool::cut_datagrams(DEVICE);
    let index = device.if_index().map_err(doing)?;
    configure(index, spec)?;
    let tun = device.as_fd().try_clone_to_owned().map_err(doing)?;
    Ok(HostNet { tun, netns })
}

/// Does `work` on a thread inside the namespace, for what stays there: sockets.
///
/// # Errors
/// The namespace cannot be entered, or `work` panicked.
pub fn within<T: Send>(
    netns: BorrowedFd<'_>,
    work: impl FnOnce() -> T + Send,
) -> Result<T, LiveError> {
    on_a_thread(|| {
        setns(netns, CloneFlags::CLONE_NEWNET)
            .map_err(|error| LiveError::system("cannot enter a network namespace", error))?;
        Ok(work())
    })?
}

/// The namespace of the calling thread.
///
/// # Errors
/// `/proc` is not there.
pub(super) fn current() -> Result<OwnedFd, LiveError> {
    let file = fs::File::open("/proc/thread-self/ns/net");
    file.map(OwnedFd::from)
        .map_err(|error| LiveError::system("cannot open a network namespace", error))
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, LiveError> {
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .spawn_scoped(scope, work)
            .map_err(|error| LiveError::system("cannot start a thread", error))?;
        worker.join().map_err(|_| panicked())
    })
}

fn panicked() -> LiveError {
    LiveError::system("work in a namespace", io::Error::other("its thread panicked"))
}

/// Addresses, MTU, up, default routes.
fn configure(index: u32, spec: &HostSpec) -> Result<(), LiveError> {
    let mut netlink = Netlink::open()?;
    netlink.bring_up("lo", LOOPBACK)?;
    for address in &spec.services {
        netlink.add_address("lo", LOOPBACK, *address)?;
    }
    // Before it comes up: IPv6 wants 1,280 bytes then, and gives itself a link-local address.
    netlink.set_mtu(index, spec.mtu)?;
    netlink.keep_quiet(index);
    netlink.bring_up(DEVICE, index)?;
    for address in &spec.addresses {
        netlink.add_address(DEVICE, index, *address)?;
    }
    for of_family in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
        if let Some(source) = spec.addresses.iter().find(|address| of_family(address)) {
            netlink.add_default_route(index, *source)?;
        }
    }
    Ok(())
}

/// A socket to the kernel's tables.
struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    fn open() -> Result<Netlink, LiveError> {
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            Ok(Netlink { socket, sequence: 0 })
        };
        open().map_err(|error: io::Error| LiveError::system("cannot open a netlink socket", error))
    }

    fn bring_up(&mut self, name: &str, index: u32) -> Result<(), LiveError> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        self.ask(RouteNetlinkMessage::SetLink(link), 0, || format!("cannot bring {name} up"))
    }

    fn set_mtu(&mut self, index: u32, mtu: Mtu) -> Result<(), LiveError> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.attributes.push(LinkAttribute::Mtu(mtu.bytes().into()));
        self.ask(RouteNetlinkMessage::SetLink(link), 0, || {
            format!("cannot give {DEVICE} an MTU of {} bytes", mtu.bytes())
        })
    }

    /// No link-local address, hence nothing said to neighbours and routers that do not exist.
    fn keep_quiet(&mut self, index: u32) {
        let mut link = LinkMessage::default();
        link.header.index = index;
        let none = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
        let inet6 = AfSpecUnspec::Inet6(vec![none]);
        link.attributes.push(LinkAttribute::AfSpecUnspec(vec![inet6]));
        // Refused without IPv6, where nothing would be said anyway.
        let _ = self.ask(RouteNetlinkMessage::SetLink(link), 0, String::new);
    }

    fn add_address(&mut self, name: &str, index: u32, address: IpAddr) -> Result<(), LiveError> {
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.header.family = family(address);
        message.header.prefix_len = if address.is_ipv4() { 32 } else { 128 };
        // Addresses on `lo` are for this host alone, and never a source.
        let of_host = index == LOOPBACK && address.is_ipv4();
        message.header.scope = if of_host { AddressScope::Host } else { AddressScope::Universe };
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes =
            vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        self.ask(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL, || {
            format!("cannot give {name} the address {address}")
        })
    }

    fn add_default_route(&mut self, index: u32, source: IpAddr) -> Result<(), LiveError> {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: family(source),
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Static,
            scope: if source.is_ipv4() { RouteScope::Link } else { RouteScope::Universe },
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        message.attributes =
            vec![RouteAttribute::Oif(index), RouteAttribute::PrefSource(source.into())];
        self.ask(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL, || {
            format!("cannot route through {DEVICE} from {source}")
        })
    }

    /// Sends one request and waits until the kernel has done it.
    fn ask(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        doing: impl Fn() -> String,
    ) -> Result<(), LiveError> {
        self.sequence += 1;
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        request.header.sequence_number = self.sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.exchange(&bytes).map_err(|error| LiveError::system(doing(), error))
    }

    fn exchange(&self, request: &[u8]) -> io::Result<()> {
        self.socket.send(request, 0)?;
        loop {
            let (bytes, _) = self.socket.recv_from_full()?;
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes)
                .map_err(io::Error::other)?;
            if let NetlinkPayload::Error(error) = answer.payload
                && answer.header.sequence_number == self.sequence
            {
                return match error.code {
                    None => Ok(()),
                    Some(_) => Err(error.to_io()),
                };
            }
        }
    }
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}
