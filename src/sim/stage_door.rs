//! The stage door: hosts that somebody outside plays, a process behind a TUN device say.
//!
//! Holds which interfaces those are, what has arrived for them and waits to be fetched, and how they
//! send. Refuses to be a way round: what they send leaves, crosses and enters like everything else, and
//! is told to the observers.

use bytes::Bytes;

use super::Sim;
use super::link::LinkDefaults;
use super::observe::{Happening, Observer, Subject};
use super::traffic::{Datagrams, Leg, ProbeId, ProbeTally};
use crate::base::id::{InterfaceId, InterfaceIdx};
use crate::base::limit::OUTSIDE_PENDING_MAX;
use crate::forward::{Drop, DropReason, Place};
use crate::wire::{Offload, Packet};

/// Hosts that are played outside.
#[derive(Debug, Default)]
pub(super) struct StageDoor {
    /// By interface.
    outside: Vec<bool>,
    /// The probe of everything that they say, and of what is said to them in answer.
    probe: Option<ProbeId>,
    /// In the order of arrival. Whoever plays the hosts fetches it after each run.
    arrived: Vec<(InterfaceIdx, Packet)>,
}

impl StageDoor {
    /// Is the host behind this interface played outside?
    #[inline]
    pub(super) fn leads_from(&self, at: InterfaceIdx) -> bool {
        self.outside.get(at.row()).is_some_and(|outside| *outside)
    }

    /// Is it the probe of the hosts outside?
    #[inline]
    pub(super) fn is_of(&self, probe: ProbeId) -> bool {
        self.probe == Some(probe)
    }

    /// A packet has come for a host outside.
    pub(super) fn hand_out(&mut self, at: InterfaceIdx, packet: &Packet) {
        self.arrived.push((at, packet.clone()));
    }
}

/// Who plays a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Player {
    /// The simulator: echo, TCP.
    Simulator,
    /// Somebody outside, who fetches what arrives with [`Sim::fetch_arrivals`]. Probes of
    /// [`Sim::start`] and [`Sim::connect`] are answered by the simulator all the same: whoever asks
    /// them asks about the network, not about a process, and waits in virtual time.
    Outside,
}

impl Sim {
    /// Says who plays the host behind an interface from now on. `None` if there is no such interface;
    /// else its row, by which it sends and is sent to.
    pub fn set_player(&mut self, interface: InterfaceId, player: Player) -> Option<InterfaceIdx> {
        self.refresh();
        let row = self.rows.interface(interface)?;
        let outside = &mut self.stage_door.outside;
        if outside.len() <= row.row() {
            outside.resize(row.row() + 1, false);
        }
        outside[row.row()] = player == Player::Outside;
        Some(row)
    }

    /// A host that is played outside sends these bytes now, a packet with `offload` left to do. Its
    /// fate, unless decided at once, follows in [`Sim::run_until`]. Such packets count for no limit of
    /// a run. Of an interface that is not there nothing is heard.
    pub fn send_from_outside(
        &mut self,
        from: InterfaceId,
        bytes: Bytes,
        offload: Offload,
        observer: &mut (impl Observer + ?Sized),
    ) {
        self.refresh();
        let Some(row) = self.rows.interface(from) else { return };
        self.memory.connections.set_now(self.now);
        let probe = self.outside_probe();
        let subject = Subject { probe, leg: Leg::Request, sender: row, meant: None };
        if self.queue.len() >= OUTSIDE_PENDING_MAX
            && let Ok(packet) = Packet::parse_offloaded(bytes.clone(), offload)
        {
            return self.turn_away(&packet, subject, observer);
        }
        self.send_bytes(bytes, offload, subject, observer);
    }

    /// So much is on its way that this packet finds no room at its own interface.
    fn turn_away(
        &mut self,
        packet: &Packet,
        subject: Subject,
        observer: &mut (impl Observer + ?Sized),
    ) {
        let drop = Drop::new(DropReason::QueueFull, Place::Interface(subject.sender));
        let what = Happening::NotSent { packet, from: subject.sender, drop };
        self.refuse(subject, drop, what, observer);
    }

    /// Hands over what has arrived for hosts that are played outside, in order.
    pub fn fetch_arrivals(&mut self, mut take: impl FnMut(InterfaceId, Packet)) {
        for (at, packet) in self.stage_door.arrived.drain(..) {
            take(self.rows.interface_id(at), packet);
        }
    }

    /// From now on, links of which nothing is said behave like this. For before the first packet: what
    /// is on a link is not moved.
    pub fn set_link_defaults(&mut self, defaults: LinkDefaults) {
        self.link_defaults = defaults;
        self.refresh();
        self.stations.clear();
        self.vpc_links.clear();
        self.peering_links.clear();
        self.gateway_links.clear();
        self.add_links();
    }

    /// How links behave of which nothing is said.
    pub fn link_defaults(&self) -> LinkDefaults {
        self.link_defaults
    }

    /// One probe stands for all that hosts outside say: nobody waits for its end.
    fn outside_probe(&mut self) -> ProbeId {
        if let Some(probe) = self.stage_door.probe {
            return probe;
        }
        let probe = self.probes.next();
        // Datagrams to the simulator's hosts are sent back: there is an echo service.
        let tally = ProbeTally { unsent: 1, ..ProbeTally::default() };
        self.probes.push(Datagrams::Returned, tally, Vec::new());
        self.stage_door.probe = Some(probe);
        probe
    }
}
