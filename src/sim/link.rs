//! Links: what lies between leaving and arriving.
//!
//! Holds latency, jitter, loss, rate and queue of one direction of a link. Refuses to share state:
//! every peering has its own link for each direction, and no packet of one waits for a packet of
//! another. An instance's link carries what it sends; a VPC's what stays inside it.

use std::collections::VecDeque;

use crate::base::id::{InterfaceId, PeeringId, VpcId};
use crate::base::limit::LINK_QUEUE_PACKETS_DEFAULT;
use crate::base::rng::{Seed, Stream};
use crate::base::time::{Instant, Span};
use crate::base::units::{BitRate, Probability};
use crate::cloud::gateway::GatewayId;
use crate::forward::DropReason;

/// The link that a specification is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LinkOf {
    /// What this interface sends.
    Interface(InterfaceId),
    /// What stays inside this VPC.
    Vpc(VpcId),
    /// What crosses this peering; each direction is a link of its own.
    Peering(PeeringId),
    /// What crosses this gateway; each direction is a link of its own.
    Gateway(GatewayId),
}

/// How a link behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkSpec {
    /// What every packet takes; at most [`crate::base::limit::LINK_DELAY_MAX`].
    pub latency: Span,
    /// A uniform part of this comes on top, drawn for each packet: packets may overtake.
    pub jitter: Span,
    /// The chance that a packet is lost.
    pub loss: Probability,
    /// Serialisation rate; `None` is unlimited.
    pub rate: Option<BitRate>,
    /// Packets that may wait for the rate; the one being sent does not wait. Without effect if
    /// there is no rate.
    pub queue: u32,
}

impl LinkSpec {
    /// Nothing but this latency.
    pub const fn plain(latency: Span) -> LinkSpec {
        LinkSpec {
            latency,
            jitter: Span::ZERO,
            loss: Probability::ZERO,
            rate: None,
            queue: LINK_QUEUE_PACKETS_DEFAULT,
        }
    }

    /// Of an instance: no delay of its own.
    pub const INTERFACE: LinkSpec = LinkSpec::plain(Span::ZERO);
    /// Inside a VPC: 50 us, the order of what is seen inside one availability zone (ours).
    pub const VPC: LinkSpec = LinkSpec::plain(Span::from_micros(50));
    /// Across a peering: 250 us, the order of what is seen between two zones of a region (ours).
    pub const PEERING: LinkSpec = LinkSpec::plain(Span::from_micros(250));
    /// Over an edge: 10 ms, the order of what is seen to a nearby site (ours).
    pub const GATEWAY: LinkSpec = LinkSpec::plain(Span::from_millis(10));

    /// Does it nothing but delay?
    fn is_plain(&self) -> bool {
        self.jitter == Span::ZERO && self.loss == Probability::ZERO && self.rate.is_none()
    }
}

/// How links behave of which nothing is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkDefaults {
    /// What an interface sends.
    pub interface: LinkSpec,
    /// What stays inside a VPC.
    pub vpc: LinkSpec,
    /// What crosses a peering.
    pub peering: LinkSpec,
    /// What crosses a gateway.
    pub gateway: LinkSpec,
}

impl LinkDefaults {
    /// What is usual in a cloud.
    pub const USUAL: LinkDefaults = LinkDefaults {
        interface: LinkSpec::INTERFACE,
        vpc: LinkSpec::VPC,
        peering: LinkSpec::PEERING,
        gateway: LinkSpec::GATEWAY,
    };
    /// No delay: where packets take real time anyway.
    pub const NONE: LinkDefaults = {
        let none = LinkSpec::plain(Span::ZERO);
        LinkDefaults { interface: none, vpc: none, peering: none, gateway: none }
    };
}

/// One direction of a link, with what it remembers.
#[derive(Debug)]
pub(super) struct Link {
    latency: Span,
    /// Absent on a link that only delays: nothing to draw, nothing to remember.
    shaped: Option<Box<Shaped>>,
}

#[derive(Debug)]
struct Shaped {
    spec: LinkSpec,
    chance: Stream,
    /// When the sender of the link is free again.
    free_at: Instant,
    /// When each waiting packet begins to be sent.
    waiting: VecDeque<Instant>,
}

impl Link {
    /// The link called `name`, which decides its stream of chance.
    pub(super) fn new(spec: LinkSpec, seed: Seed, name: &str) -> Link {
        let shaped = (!spec.is_plain()).then(|| {
            Box::new(Shaped {
                spec,
                chance: seed.stream(name),
                free_at: Instant::START,
                waiting: VecDeque::new(),
            })
        });
        Link { latency: spec.latency, shaped }
    }

    /// Does nothing that happens to one packet depend on another, or on chance?
    pub(super) fn only_delays(&self) -> bool {
        self.shaped.is_none()
    }

    /// A packet of `bytes` bytes is handed over at `now`: when does it come out?
    ///
    /// # Errors
    /// `link-loss` or `queue-full`.
    pub(super) fn carry(&mut self, now: Instant, bytes: usize) -> Result<Instant, DropReason> {
        match &mut self.shaped {
            None => Ok(now + self.latency),
            Some(shaped) => shaped.carry(now, bytes),
        }
    }
}

impl Shaped {
    fn carry(&mut self, now: Instant, bytes: usize) -> Result<Instant, DropReason> {
        if self.spec.loss.happens(&mut self.chance) {
            return Err(DropReason::LinkLoss);
        }
        let sent_at = match self.spec.rate {
            None => now,
            Some(rate) => self.serialise(now, rate.time_for(bytes))?,
        };
        let jitter = Span::from_nanos(match self.spec.jitter.as_nanos() {
            0 => 0,
            most => self.chance.below(most.saturating_add(1)),
        });
        Ok(sent_at + self.spec.latency + jitter)
    }

    /// Waits for the packets before it, then takes `time`.
    fn serialise(&mut self, now: Instant, time: Span) -> Result<Instant, DropReason> {
        while self.waiting.front().is_some_and(|begins| *begins <= now) {
            self.waiting.pop_front();
        }
        let begins = self.free_at.max(now);
        if begins > now {
            if self.waiting.len() >= self.spec.queue as usize {
                return Err(DropReason::QueueFull);
            }
            self.waiting.push_back(begins);
        }
        self.free_at = begins + time;
        Ok(self.free_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::START + Span::from_micros(micros)
    }

    #[test]
    fn a_plain_link_only_delays() {
        let mut link = Link::new(LinkSpec::PEERING, Seed(0), "x");
        assert_eq!(link.carry(at(10), 1_500), Ok(at(260)));
        assert_eq!(link.carry(at(10), 1_500), Ok(at(260)));
    }

    /// 8 Mbit/s is a microsecond a byte: 100-byte packets take 100 us each.
    #[test]
    fn a_rate_makes_packets_wait_and_a_full_queue_drops_them() {
        let rate = Some("8Mbit/s".parse().unwrap());
        let spec = LinkSpec { rate, queue: 2, ..LinkSpec::plain(Span::from_micros(1)) };
        let mut link = Link::new(spec, Seed(0), "x");
        let offered: Vec<_> = [0, 0, 0, 0, 150, 150, 1_000].map(|t| link.carry(at(t), 100)).into();
        assert_eq!(
            offered,
            [
                Ok(at(101)),
                Ok(at(201)),
                Ok(at(301)),
                Err(DropReason::QueueFull),
                Ok(at(401)),
                Err(DropReason::QueueFull),
                Ok(at(1_101)),
            ]
        );
    }

    #[test]
    fn loss_and_jitter_follow_the_named_stream() {
        let spec = LinkSpec {
            loss: "30%".parse().unwrap(),
            jitter: Span::from_micros(100),
            ..LinkSpec::plain(Span::from_micros(50))
        };
        let run = |seed, name| {
            let mut link = Link::new(spec, Seed(seed), name);
            (0..1_000).map(|_| link.carry(at(0), 64)).collect::<Vec<_>>()
        };
        let first = run(1, "x");
        assert_eq!(first, run(1, "x"));
        assert_ne!(first, run(2, "x"));
        assert_ne!(first, run(1, "y"));
        let lost = first.iter().filter(|r| r.is_err()).count();
        assert!((240..360).contains(&lost), "{lost}");
        let arrivals = first.iter().flatten();
        assert!(arrivals.clone().all(|t| (at(50)..=at(150)).contains(t)));
        assert!(arrivals.min() < Some(&at(55)));
    }
}
