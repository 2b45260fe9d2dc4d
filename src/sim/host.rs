//! What hosts do with the packets they get.
//!
//! Holds one [`Host`] for each interface that needs one: the buffer in which fragments are put
//! together, and the TCP stack. And the one rule of what a host answers by itself
//! ([`Host::answer`]). Refuses to send: the simulator does, so that every answer meets every check.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::observe::Subject;
use super::tcp::{Serve, TcpError, TcpStack};
use super::traffic::Datagrams;
use crate::base::rng::Stream;
use crate::base::time::Instant;
use crate::base::units::Mtu;
use crate::wire::{EchoKind, FlowKey, Offered, Packet, Protocol, Reassembly, build};

/// A host at work. Most instances never need one.
#[derive(Default)]
pub(super) struct Host {
    reassembly: Reassembly,
    pub(super) tcp: Option<Box<Tcp>>,
}

/// A host's TCP, and whose probe each of its connections belongs to.
pub(super) struct Tcp {
    pub(super) stack: TcpStack,
    /// By flow as this host sends it.
    subjects: FxHashMap<FlowKey, Subject>,
    /// When the stack is to be woken, if an event is pending for it.
    pub(super) wake: Option<Instant>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("tcp", &self.tcp.is_some()).finish_non_exhaustive()
    }
}

impl Host {
    /// The whole packet that arrived, or was completed by this fragment.
    pub(super) fn whole(&mut self, packet: &Packet, now: Instant) -> Option<Packet> {
        match self.reassembly.offer(packet, now) {
            Offered::Whole(whole) => Some(whole),
            Offered::Kept | Offered::Refused(_) => None,
        }
    }

    /// The host's TCP, started when it is needed for the first time.
    pub(super) fn tcp(&mut self, addresses: &[IpAddr], mtu: Mtu, chance: Stream) -> &mut Tcp {
        self.tcp.get_or_insert_with(|| {
            Box::new(Tcp {
                stack: TcpStack::new(addresses.to_vec(), mtu, chance),
                subjects: FxHashMap::default(),
                wake: None,
            })
        })
    }
}

impl Tcp {
    /// Serves a port. Asking again for the same changes nothing.
    pub(super) fn listen(&mut self, port: u16, serve: Serve) -> Result<(), TcpError> {
        match self.stack.listen(port, serve) {
            Err(TcpError::InUse(_)) => Ok(()),
            other => other,
        }
    }

    /// From now on what this host sends in `flow` belongs to `subject`.
    pub(super) fn belongs(&mut self, flow: FlowKey, subject: Subject) {
        self.subjects.insert(flow, subject);
    }

    /// To whom a segment that this host sends belongs.
    pub(super) fn subject_of(&self, segment: &Packet) -> Option<Subject> {
        self.subjects.get(&segment.flow()).copied()
    }
}

/// What a host without a program for it answers to a whole packet for an own address: echo requests
/// are answered, datagrams if the probe has an echo server there, segments with a reset.
pub(super) fn answer(packet: &Packet, datagrams: Datagrams) -> Option<Packet> {
    let is_request = packet.icmp_echo().is_some_and(|echo| echo.kind == EchoKind::Request);
    match packet.protocol() {
        _ if is_request => build::echo_reply(packet),
        Protocol::UDP if datagrams == Datagrams::Returned => build::udp_answer(packet),
        Protocol::TCP => build::tcp_reset(packet),
        _ => None,
    }
}
