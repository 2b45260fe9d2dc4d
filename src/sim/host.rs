//! What hosts do with the packets they get.
//!
//! Holds one [`Host`] for each interface that needs one: the buffer in which fragments are put
//! together, and the TCP stack. And the one rule of what a host answers by itself
//! ([`answer`]). Refuses to send: the simulator does, so that every answer meets every check.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::observe::Subject;
use super::tcp::{ConnectionId, Serve, TcpError, TcpStack};
use super::traffic::{Datagrams, Leg, ProbeId};
use crate::base::id::InterfaceIdx;
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
    /// By flow as this host sends it. Grows with the connections that live, see [`Tcp::poll`].
    subjects: FxHashMap<FlowKey, Subject>,
    /// The probes whose connection this host has opened, until it comes to its end.
    probes: FxHashMap<ConnectionId, ProbeId>,
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
        let tcp = self.tcp.get_or_insert_with(|| {
            Box::new(Tcp {
                stack: TcpStack::new(addresses.to_vec(), mtu, chance),
                subjects: FxHashMap::default(),
                probes: FxHashMap::default(),
                wake: None,
            })
        });
        // The interface may have been given more since the stack was started.
        addresses.iter().for_each(|address| tcp.stack.know(*address));
        tcp
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

    /// This host has opened a connection: what it sends in `flow` belongs to `subject`.
    pub(super) fn opens(&mut self, connection: ConnectionId, flow: FlowKey, subject: Subject) {
        self.subjects.insert(flow, subject);
        self.probes.insert(connection, subject.probe);
    }

    /// A segment of `subject` has come to the host at `at`: what is said to it belongs to the same
    /// probe. What this host has opened itself stays its own.
    pub(super) fn hears(&mut self, segment: &Packet, subject: Subject, at: InterfaceIdx) {
        let flow = segment.flow().reversed();
        let answering = |leg| Subject { leg, sender: at, meant: Some(subject.sender), ..subject };
        match subject.leg {
            Leg::Request => {
                self.subjects.insert(flow, answering(Leg::Answer));
            }
            Leg::Answer | Leg::Notice => {
                self.subjects.entry(flow).or_insert_with(|| answering(Leg::Request));
            }
        }
    }

    /// Lets the stack do what is due, and gives what it has made, each with whom it belongs to.
    ///
    /// Afterwards flows without a connection are forgotten, if there are more of them than others:
    /// nothing is said in one before it is heard of again. So each call costs its segments on
    /// average.
    pub(super) fn poll(&mut self, now: Instant) -> Vec<(Packet, Subject)> {
        let Tcp { stack, subjects, .. } = self;
        // Every connection was opened by a probe, or by a segment of one.
        let of = |segment: Packet| {
            let subject = *subjects.get(&segment.flow())?;
            Some((segment, subject))
        };
        let out = stack.poll(now).filter_map(of).collect();
        if subjects.len() > FLOWS_KEPT_MIN + 2 * stack.connection_count() {
            subjects.retain(|flow, _| stack.has_connection(flow));
        }
        out
    }

    /// Whatever this host has said or heard in this probe is forgotten, its connections with it.
    pub(super) fn forget(&mut self, probe: ProbeId) {
        let Tcp { stack, subjects, probes, .. } = self;
        subjects.retain(|flow, subject| {
            let is_of = subject.probe == probe;
            if is_of {
                stack.forget_flow(flow);
            }
            !is_of
        });
        probes.retain(|id, of| {
            if *of == probe {
                stack.forget(*id);
            }
            *of != probe
        });
    }

    /// The probes whose connection has come to its end since this was asked last.
    pub(super) fn ended(&mut self) -> Vec<ProbeId> {
        let Tcp { stack, probes, .. } = self;
        stack.take_ended().filter_map(|id| probes.remove(&id)).collect()
    }
}

/// So many flows are kept without looking whether they have a connection.
const FLOWS_KEPT_MIN: usize = 64;

/// May a host without a program for it answer packets of this protocol? If not, [`answer`] answers
/// none of them.
pub(super) fn answers(protocol: Protocol, datagrams: Datagrams) -> bool {
    protocol != Protocol::UDP || datagrams == Datagrams::Returned
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Seed;
    use crate::wire::TcpFlags;

    /// Segments of ever new flows to a port that nobody serves: each is answered for its probe, and
    /// what is remembered of them does not grow.
    #[test]
    fn flows_without_a_connection_are_forgotten() {
        let [ours, theirs] = ["10.0.0.10", "10.1.0.10"].map(|a| a.parse::<IpAddr>().unwrap());
        let mut host = Host::default();
        let tcp = host.tcp(&[ours], Mtu::ETHERNET, Seed(1).stream("tcp"));
        let [at, sender] = [0, 1].map(InterfaceIdx::from_row);
        let subject =
            Subject { probe: ProbeId::numbered(7), leg: Leg::Request, sender, meant: Some(at) };
        for port in 1..=10_000 {
            let (from, to) = ((theirs, port).into(), (ours, 80).into());
            let segment = build::tcp(from, to, TcpFlags::SYN, 1, 0, &[]).unwrap();
            tcp.hears(&segment, subject, at);
            tcp.stack.receive(&segment, Instant::START);
            let [(reset, whose)] = <[_; 1]>::try_from(tcp.poll(Instant::START)).unwrap();
            assert_eq!(reset.flow(), segment.flow().reversed());
            let want = Subject { leg: Leg::Answer, sender: at, meant: Some(sender), ..subject };
            assert_eq!(whose, want);
            assert!(tcp.subjects.len() <= FLOWS_KEPT_MIN);
        }
    }

    #[test]
    fn a_stack_hears_of_addresses_that_the_interface_got_later() {
        let [first, second, far] =
            ["10.0.0.10", "10.0.0.11", "10.1.0.10"].map(|a| a.parse::<IpAddr>().unwrap());
        let mut host = Host::default();
        let segment =
            build::tcp((far, 1).into(), (second, 80).into(), TcpFlags::SYN, 1, 0, &[]).unwrap();
        for (addresses, answers) in [(vec![first], 0), (vec![first, second], 1)] {
            let tcp = host.tcp(&addresses, Mtu::ETHERNET, Seed(1).stream("tcp"));
            tcp.stack.receive(&segment, Instant::START);
            assert_eq!(tcp.stack.poll(Instant::START).count(), answers);
        }
    }
}
