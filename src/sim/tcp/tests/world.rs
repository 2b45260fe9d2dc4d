//! Two stacks and what lies between them: latency, rate, queue, loss, an MTU.
//!
//! Holds the pipe and a log of all that went into it. After each call of a stack it checks what holds
//! always: a stack that has done what was due asks to be woken later, and what it sends is a packet
//! that no router may cut.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use super::super::*;
use crate::base::rng::{Seed, Stream};
use crate::base::units::{BitRate, Probability};

/// One direction between the two.
pub(super) struct Pipe {
    pub(super) latency: Span,
    pub(super) rate: Option<BitRate>,
    /// Packets that may wait for the rate.
    pub(super) queue: usize,
    pub(super) loss: Probability,
    /// What is longer is dropped.
    pub(super) mtu: Mtu,
    /// Who says so to the sender; nobody in a black hole.
    pub(super) router: Option<IpAddr>,
    /// Segments with data that are lost, by their number among those of this direction, from 1.
    pub(super) losing: Vec<u64>,
    /// From then on nothing gets through.
    pub(super) cut_at: Instant,
    chance: Stream,
    data: u64,
    free_at: Instant,
    waiting: VecDeque<Instant>,
}

/// A packet that was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sent {
    pub(super) at: Instant,
    /// The number of the stack.
    pub(super) by: usize,
    pub(super) packet: Packet,
    pub(super) arrived: bool,
}

pub(super) struct World {
    pub(super) stacks: [TcpStack; 2],
    /// What the first sends goes through the first.
    pub(super) pipes: [Pipe; 2],
    pub(super) now: Instant,
    pub(super) log: Vec<Sent>,
    under_way: BTreeMap<(Instant, u64), (usize, Packet)>,
    next: u64,
    pub(super) polls: u64,
}

/// The addresses of the two, by family.
pub(super) fn addresses(family: Family) -> [IpAddr; 2] {
    match family {
        Family::V4 => ["10.0.0.10", "10.1.0.10"],
        Family::V6 => ["fd00::a", "fd00:1::a"],
    }
    .map(|text| text.parse().unwrap())
}

pub(super) fn millis(n: u64) -> Instant {
    Instant::START + Span::from_millis(n)
}

impl World {
    /// Two stacks with both families, 10 ms apart, over a link that loses nothing.
    pub(super) fn new(seed: u64) -> World {
        World::with_mtu(seed, Mtu::ETHERNET)
    }

    pub(super) fn with_mtu(seed: u64, mtu: Mtu) -> World {
        let seed = Seed(seed);
        let stack = |n: usize| {
            let addresses = Family::ALL.map(|family| addresses(family)[n]);
            TcpStack::new(addresses.into(), mtu, seed.stream(&format!("tcp:{n}")))
        };
        let pipe = |n: usize| Pipe {
            latency: Span::from_millis(10),
            rate: None,
            queue: 1_000,
            loss: Probability::ZERO,
            mtu: Mtu::JUMBO,
            router: None,
            losing: Vec::new(),
            cut_at: Instant::NEVER,
            chance: seed.stream(&format!("pipe:{n}")),
            data: 0,
            free_at: Instant::START,
            waiting: VecDeque::new(),
        };
        World {
            stacks: [stack(0), stack(1)],
            pipes: [pipe(0), pipe(1)],
            now: Instant::START,
            log: Vec::new(),
            under_way: BTreeMap::new(),
            next: 0,
            polls: 0,
        }
    }

    /// The first connects to port 80 of the second.
    pub(super) fn connect(&mut self, family: Family, port: u16, bytes: u64) -> ConnectionId {
        let [local, remote] = addresses(family);
        let (local, remote) = (SocketAddr::new(local, port), SocketAddr::new(remote, 80));
        let transfer = Transfer { bytes, patience: Patience::default() };
        self.stacks[0].connect(local, remote, transfer, self.now).unwrap()
    }

    /// What the first knows of one of its connections.
    pub(super) fn report(&self, id: ConnectionId) -> Report {
        self.stacks[0].report(id).unwrap()
    }

    /// Until nothing happens by itself any more, or it is `end`.
    pub(super) fn run_until(&mut self, end: Instant) {
        while self.now < end {
            for n in [0, 1] {
                self.poll(n);
            }
            let wakes = self.stacks.iter().filter_map(TcpStack::next_wake);
            let arrival = self.under_way.keys().next().map(|(at, _)| *at);
            let Some(next) = wakes.chain(arrival).min() else { return };
            assert!(next > self.now, "time moves on");
            self.now = next;
            while let Some(entry) = self.under_way.first_entry()
                && entry.key().0 <= self.now
            {
                let (to, packet) = entry.remove();
                self.stacks[to].receive(&packet, self.now);
            }
        }
    }

    pub(super) fn run(&mut self) {
        self.run_until(Instant::NEVER);
    }

    fn poll(&mut self, n: usize) {
        self.polls += 1;
        let packets: Vec<Packet> = self.stacks[n].poll(self.now).collect();
        for packet in packets {
            assert!(!packet.may_be_fragmented(), "{packet:?}");
            let arrives = self.pipes[n].carry(self.now, &packet);
            let arrived = arrives.is_some();
            let sent = Sent { at: self.now, by: n, packet: packet.clone(), arrived };
            self.log.push(sent);
            match arrives {
                Some(at) => self.deliver(at, 1 - n, packet),
                None if !self.pipes[n].mtu.holds(packet.len()) => {
                    let (router, mtu) = (self.pipes[n].router, self.pipes[n].mtu);
                    let told = router.and_then(|router| build::too_big(&packet, router, mtu));
                    let at = self.now + self.pipes[n].latency;
                    told.into_iter().for_each(|told| self.deliver(at, n, told));
                }
                None => {}
            }
        }
        let wake = self.stacks[n].next_wake();
        assert!(wake.is_none_or(|wake| wake > self.now), "{wake:?} at {:?}", self.now);
    }

    /// Lets `packet` arrive at stack `to`.
    pub(super) fn deliver(&mut self, at: Instant, to: usize, packet: Packet) {
        self.under_way.insert((at, self.next), (to, packet));
        self.next += 1;
    }

    /// The segments with data that stack `by` has sent.
    pub(super) fn data(&self, by: usize) -> impl Iterator<Item = &Sent> {
        self.log.iter().filter(move |sent| sent.by == by && !sent.packet.payload().is_empty())
    }

    /// What arrived of what stack `by` sent in its only connection, put together.
    pub(super) fn stream(&self, by: usize) -> Vec<u8> {
        let mut parts: Vec<(u32, &[u8])> = Vec::new();
        let syn = |sent: &&Sent| sent.packet.tcp_flags().unwrap().contains(TcpFlags::SYN);
        let first = self.log.iter().filter(|sent| sent.by == by).find(syn).unwrap();
        let first = first.packet.tcp().unwrap().sequence.wrapping_add(1);
        for sent in self.data(by).filter(|sent| sent.arrived) {
            let place = sent.packet.tcp().unwrap().sequence.wrapping_sub(first);
            parts.push((place, sent.packet.payload()));
        }
        parts.sort();
        let mut stream: Vec<u8> = Vec::new();
        for (place, part) in parts {
            let place = usize::try_from(place).unwrap();
            let known = stream.len().checked_sub(place).expect("a hole");
            let (again, new) = part.split_at(known.min(part.len()));
            assert_eq!(&stream[place..place + again.len()], again, "the same byte every time");
            stream.extend_from_slice(new);
        }
        stream
    }
}

impl Pipe {
    fn carry(&mut self, now: Instant, packet: &Packet) -> Option<Instant> {
        self.data += u64::from(!packet.payload().is_empty());
        let chosen = !packet.payload().is_empty() && self.losing.contains(&self.data);
        let lost = chosen || now >= self.cut_at || self.loss.happens(&mut self.chance);
        if lost || !self.mtu.holds(packet.len()) {
            return None;
        }
        while self.waiting.front().is_some_and(|begins| *begins <= now) {
            self.waiting.pop_front();
        }
        let begins = self.free_at.max(now);
        if begins > now {
            if self.waiting.len() >= self.queue {
                return None;
            }
            self.waiting.push_back(begins);
        }
        self.free_at = begins + self.rate.map_or(Span::ZERO, |rate| rate.time_for(packet.len()));
        Some(self.free_at + self.latency)
    }
}
