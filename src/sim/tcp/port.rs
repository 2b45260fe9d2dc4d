//! What one connection of smoltcp sees as its network device, and its clock.
//!
//! Holds the conversions between our packets and time and smoltcp's. Refuses to queue: a packet that
//! comes in is taken at once, one that goes out lies in the caller's vector.

use bytes::Bytes;
use smoltcp::phy::{self, Checksum, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::time::{Duration as TheirSpan, Instant as TheirInstant};

use crate::base::time::{Instant, Span};
use crate::base::units::Mtu;
use crate::wire::Packet;

/// A device for one call into smoltcp.
pub(super) struct Port<'a> {
    /// Longest packet that may be sent.
    pub(super) mtu: Mtu,
    /// What arrives: a packet that was parsed, so its checksums are known to be good.
    pub(super) inbound: Option<&'a [u8]>,
    /// What is sent.
    pub(super) outbound: &'a mut Vec<Packet>,
}

/// What arrives, for smoltcp to read.
pub(super) struct Inbound<'a>(&'a [u8]);

/// Room for one packet that is sent.
pub(super) struct Outbound<'a>(&'a mut Vec<Packet>);

impl phy::Device for Port<'_> {
    type RxToken<'t>
        = Inbound<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Outbound<'t>
    where
        Self: 't;

    fn receive(&mut self, _now: TheirInstant) -> Option<(Inbound<'_>, Outbound<'_>)> {
        let bytes = self.inbound.take()?;
        Some((Inbound(bytes), Outbound(self.outbound)))
    }

    fn transmit(&mut self, _now: TheirInstant) -> Option<Outbound<'_>> {
        Some(Outbound(self.outbound))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        // What comes in has been through `Packet::parse`; only what goes out needs checksums.
        let mut checksum = ChecksumCapabilities::ignored();
        checksum.ipv4 = Checksum::Tx;
        checksum.tcp = Checksum::Tx;
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = usize::from(self.mtu.bytes());
        capabilities.checksum = checksum;
        capabilities
    }
}

impl phy::RxToken for Inbound<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

impl phy::TxToken for Outbound<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut bytes = vec![0; length];
        let result = write(&mut bytes);
        #[allow(
            clippy::expect_used,
            reason = "smoltcp writes whole packets with checksums, at most as long as the MTU says; \
                      the property `whatever_comes_in_the_stack_stands` watches it"
        )]
        self.0.push(Packet::parse(Bytes::from(bytes)).expect("smoltcp sends packets"));
        result
    }
}

/// The time of one connection in smoltcp: whole microseconds, ahead of the run by what it was
/// wound forward.
///
/// Rounding is towards the past on the way in and exact on the way out, so that no timer fires
/// early and each fires at the instant that was given for it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    ahead: TheirSpan,
}

impl Clock {
    /// What smoltcp takes for `now`.
    pub(super) fn at(self, now: Instant) -> TheirInstant {
        // The longest run is 2^52 us.
        let micros = i64::try_from(now.as_nanos() / 1_000).unwrap_or(i64::MAX);
        TheirInstant::from_micros(micros) + self.ahead
    }

    /// When smoltcp's `then` is reached.
    pub(super) fn reaches(self, then: TheirInstant) -> Instant {
        let micros = (then - self.ahead).total_micros();
        let micros = u64::try_from(micros).unwrap_or(0);
        Instant::START + Span::from_micros(micros)
    }

    /// Lets smoltcp believe at `now` that it is `then`, if that is later. It never goes back.
    pub(super) fn wind_forward(&mut self, now: Instant, then: TheirInstant) {
        let believed = self.at(now);
        if then > believed {
            self.ahead += then - believed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A timer fires at the instant that was given for it and at none before, wound forward or not.
    #[test]
    fn timers_fire_at_their_instant_and_not_before() {
        let mut wound = Clock::default();
        wound.wind_forward(Instant::from_nanos(7_300), TheirInstant::from_micros(1_000_000));
        assert_eq!(wound.at(Instant::from_nanos(7_300)), TheirInstant::from_micros(1_000_000));
        for clock in [Clock::default(), wound] {
            for then in [1_000_000_i64, 1_000_001, 123_456_789, 3_200_000_000_000_000] {
                let then = TheirInstant::from_micros(then);
                let fires = clock.reaches(then);
                assert_eq!(clock.at(fires), then);
                assert!(clock.at(Instant::from_nanos(fires.as_nanos() - 1)) < then);
            }
        }
    }

    #[test]
    fn a_clock_is_never_wound_back() {
        let mut clock = Clock::default();
        let now = Instant::from_nanos(5_000_000);
        clock.wind_forward(now, TheirInstant::from_micros(4_000));
        assert_eq!(clock.at(now), TheirInstant::from_micros(5_000));
        // What is due at once is due in the past, and that of our time is its beginning.
        assert_eq!(clock.reaches(TheirInstant::from_micros(0)), Instant::START);
        clock.wind_forward(now, TheirInstant::from_micros(9_000));
        assert_eq!(clock.reaches(TheirInstant::from_micros(0)), Instant::START);
    }
}
