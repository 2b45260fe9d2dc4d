//! Fragments put together again, by the host that they are for.
//!
//! Holds one host's buffer, bounded in packets, fragments, bytes and time. Refuses to answer for
//! what it gives up, which is the host's business, and to read a clock: now is an argument.
//!
//! Fragments that overlap end the packet they belong to (RFC 5722, RFC 8200, 4.5; here for IPv4
//! too, which unlike RFC 791, 3.2 spares the choice of whose bytes win). etherparse's pool is not
//! used: it has no bounds and lets the later bytes win. It judges the order of things in the tests.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use thiserror::Error;

use super::draft::Draft;
use super::extension::{Chain, Extension, FIXED};
use super::{Family, Fragment, FragmentPlace, Malformed, Packet, Protocol};
use crate::base::limit::{
    PACKET_BYTES_MAX, REASSEMBLY_BYTES_MAX, REASSEMBLY_FRAGMENTS_MAX, REASSEMBLY_IPV4_SPAN,
    REASSEMBLY_IPV6_SPAN, REASSEMBLY_PACKETS_MAX,
};
use crate::base::time::Instant;

/// What one host has received of packets whose rest is on its way.
///
/// A packet's fragments are those of one source, destination, identification and, over IPv4,
/// protocol (RFC 791, 3.2; RFC 8200, 4.5). Each waits [`REASSEMBLY_IPV4_SPAN`] or
/// [`REASSEMBLY_IPV6_SPAN`] from its first fragment to come, whichever that is.
#[derive(Default, Debug)]
pub struct Reassembly {
    packets: BTreeMap<Key, Entry>,
    /// The sum over all that `packets` keep.
    bytes: usize,
}

/// What becomes of a fragment that is offered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Offered {
    /// It was the last one missing: the packet, which has been through [`Packet::parse`]. Also a
    /// packet that was whole all along.
    Whole(Packet),
    /// It waits for the rest, or is an exact copy of one that waits.
    Kept,
    /// It is of no use, and perhaps with it what was kept of its packet.
    Refused(ReassemblyError),
}

/// Why a fragment is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ReassemblyError {
    /// It brings no data, so it cannot be a part.
    #[error("the fragment is empty")]
    Empty,
    /// It contradicts another: brings bytes once more, unless as an exact copy, or bytes behind the
    /// end. The packet is given up, and later fragments of it are refused as well.
    #[error("the fragment overlaps another, or one of them lies behind the packet's end")]
    Overlap,
    /// It would be one fragment too many. The packet is given up likewise.
    #[error("the packet has more than {REASSEMBLY_FRAGMENTS_MAX} fragments")]
    TooManyFragments,
    /// Its packet was given up, and this one came before the time was over.
    #[error("an earlier fragment had its packet given up")]
    GivenUp,
    /// The host waits for the rest of too many packets.
    #[error("parts of {REASSEMBLY_PACKETS_MAX} other packets are waiting")]
    TooManyPackets,
    /// The host keeps too many bytes.
    #[error("the fragments that are waiting have {REASSEMBLY_BYTES_MAX} bytes")]
    TooManyBytes,
    /// It was the last one missing, but all together are no packet that is accepted.
    #[error("the packet put together would be refused: {0}")]
    Malformed(#[from] Malformed),
}

/// A packet of which some fragments did not come in time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expired {
    /// Those that came, in the order of their offsets; at least one.
    pub fragments: Vec<Packet>,
}

impl Expired {
    /// The first fragment, if it came: the one that
    /// [`reassembly_time_exceeded`](super::build::reassembly_time_exceeded) is about.
    pub fn first(&self) -> Option<&Packet> {
        self.fragments.first().filter(|packet| extent(packet).start == 0)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    /// Over IPv6, where each fragment header may name another, always the same.
    protocol: Protocol,
    identification: u32,
}

impl Key {
    fn of(packet: &Packet, part: Fragment) -> Key {
        Key {
            source: packet.source(),
            destination: packet.destination(),
            protocol: match packet.family() {
                Family::V4 => packet.protocol(),
                Family::V6 => Protocol::NO_NEXT_HEADER,
            },
            identification: part.identification,
        }
    }
}

#[derive(Debug)]
struct Entry {
    /// The first moment at which nothing can be added any more.
    deadline: Instant,
    /// `None` when the packet was given up: fragments still to come must not start it anew.
    parts: Option<Parts>,
}

/// Fragments of one packet: no two overlap, none lies behind the end.
#[derive(Debug)]
struct Parts {
    /// In the order of their offsets.
    fragments: Vec<Packet>,
    /// Where the data end, once the last fragment is there.
    end: Option<usize>,
    /// How many bytes of data are there.
    received: usize,
    /// What the fragments occupy.
    bytes: usize,
}

/// Where a fragment belongs.
enum Slot {
    /// In front of the one with this index.
    At(usize),
    /// Nowhere: it is there.
    Taken,
}

impl Reassembly {
    /// Takes in `fragment`, which came at `now`. What has waited too long by then is forgotten,
    /// unless [`Reassembly::expire`] has been asked for it before.
    ///
    /// Costs a step for each packet that waits, and one copy of the packet when it is complete.
    pub fn offer(&mut self, fragment: &Packet, now: Instant) -> Offered {
        let Some(part) = fragment.fragment() else { return Offered::Whole(fragment.clone()) };
        drop(self.expire(now));
        match self.take(fragment, part, now) {
            Ok(Some(whole)) => Offered::Whole(whole),
            Ok(None) => Offered::Kept,
            Err(why) => Offered::Refused(why),
        }
    }

    /// Gives up what has waited long enough by `now`: the longest first.
    pub fn expire(&mut self, now: Instant) -> Vec<Expired> {
        let mut expired = Vec::new();
        self.packets.retain(|_, entry| {
            let waits = now < entry.deadline;
            if !waits && let Some(parts) = entry.parts.take() {
                self.bytes -= parts.bytes;
                expired.push((entry.deadline, Expired { fragments: parts.fragments }));
            }
            waits
        });
        expired.sort_by_key(|(deadline, _)| *deadline);
        expired.into_iter().map(|(_, expired)| expired).collect()
    }

    /// When [`Reassembly::expire`] will have something to give up; `None` while nothing waits.
    pub fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.packets.values().filter(|entry| entry.parts.is_some());
        waiting.map(|entry| entry.deadline).min()
    }

    /// The bytes of all fragments that wait.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn take(
        &mut self,
        fragment: &Packet,
        part: Fragment,
        now: Instant,
    ) -> Result<Option<Packet>, ReassemblyError> {
        if data(fragment).is_empty() {
            return Err(ReassemblyError::Empty);
        }
        let bytes = fragment.bytes().len();
        let has_room = self.bytes + bytes <= REASSEMBLY_BYTES_MAX;
        let key = Key::of(fragment, part);
        let Some(entry) = self.packets.get_mut(&key) else {
            if self.packets.len() >= REASSEMBLY_PACKETS_MAX {
                return Err(ReassemblyError::TooManyPackets);
            }
            if !has_room {
                return Err(ReassemblyError::TooManyBytes);
            }
            let span = match fragment.family() {
                Family::V4 => REASSEMBLY_IPV4_SPAN,
                Family::V6 => REASSEMBLY_IPV6_SPAN,
            };
            let parts = Some(Parts::new(fragment, part.place));
            self.packets.insert(key, Entry { deadline: now + span, parts });
            self.bytes += bytes;
            return Ok(None);
        };
        let Some(parts) = &mut entry.parts else { return Err(ReassemblyError::GivenUp) };
        let index = match parts.slot(fragment, part.place) {
            Ok(Slot::At(index)) => index,
            Ok(Slot::Taken) => return Ok(None),
            Err(why) => {
                self.bytes -= parts.bytes;
                entry.parts = None;
                return Err(why);
            }
        };
        if !has_room {
            return Err(ReassemblyError::TooManyBytes);
        }
        parts.insert(index, fragment, part.place);
        self.bytes += bytes;
        if !parts.are_complete() {
            return Ok(None);
        }
        self.bytes -= parts.bytes;
        let whole = put_together(&parts.fragments);
        self.packets.remove(&key);
        Ok(Some(whole?))
    }
}

impl Parts {
    fn new(fragment: &Packet, place: FragmentPlace) -> Parts {
        let mut parts = Parts { fragments: Vec::new(), end: None, received: 0, bytes: 0 };
        parts.insert(0, fragment, place);
        parts
    }

    /// Where `fragment` belongs among the others.
    fn slot(&self, fragment: &Packet, place: FragmentPlace) -> Result<Slot, ReassemblyError> {
        let new = extent(fragment);
        let index = self.fragments.partition_point(|other| extent(other).start < new.start);
        let (before, behind) = (self.fragments.get(..index), self.fragments.get(index));
        if let Some(other) = behind
            && extent(other) == new
            && other.fragment().map(|part| part.place) == Some(place)
            && data(other) == data(fragment)
        {
            return Ok(Slot::Taken);
        }
        let overlaps =
            before.and_then(<[Packet]>::last).is_some_and(|before| extent(before).end > new.start)
                || behind.is_some_and(|behind| extent(behind).start < new.end);
        let is_last = place == FragmentPlace::Last;
        let contradicts_end = match self.end {
            Some(end) => is_last || new.end > end,
            None => is_last && behind.is_some(),
        };
        if overlaps || contradicts_end {
            Err(ReassemblyError::Overlap)
        } else if self.fragments.len() >= REASSEMBLY_FRAGMENTS_MAX {
            Err(ReassemblyError::TooManyFragments)
        } else {
            Ok(Slot::At(index))
        }
    }

    fn insert(&mut self, index: usize, fragment: &Packet, place: FragmentPlace) {
        let Range { start, end } = extent(fragment);
        if place == FragmentPlace::Last {
            self.end = Some(end);
        }
        self.received += end - start;
        self.bytes += fragment.bytes().len();
        self.fragments.insert(index, fragment.clone());
    }

    /// As no two overlap and none lies behind the end, counting is enough.
    fn are_complete(&self) -> bool {
        self.end == Some(self.received)
    }
}

/// The part of the original packet that `fragment` carries.
fn data(fragment: &Packet) -> &[u8] {
    let layout = fragment.layout();
    let from = match fragment.family() {
        Family::V4 => usize::from(layout.transport),
        Family::V6 => usize::from(layout.fragment_header) + 8,
    };
    fragment.bytes().get(from..fragment.len()).unwrap_or_default()
}

/// Which bytes of the original packet those are.
fn extent(fragment: &Packet) -> Range<usize> {
    let start = fragment.fragment().map_or(0, |part| usize::from(part.offset));
    start..start + data(fragment).len()
}

/// The packet whose fragments these are, all of them and in order. Its headers are those of the
/// first.
///
/// Unlike RFC 3168, 5.3, congestion marks of the others are not carried over: nothing here sets
/// one.
fn put_together(fragments: &[Packet]) -> Result<Packet, Malformed> {
    let Some(first) = fragments.first() else { return Err(Malformed::Empty) };
    let layout = first.layout();
    let header_len = usize::from(match first.family() {
        Family::V4 => layout.transport,
        Family::V6 => layout.fragment_header,
    });
    let data_len = fragments.iter().map(|part| data(part).len()).sum::<usize>();
    // Each of them ends before that, but the first may have the longest headers.
    let total = header_len + data_len;
    if total > PACKET_BYTES_MAX {
        return Err(Malformed::TooLong { had: total });
    }
    let mut draft = Draft::with_capacity(total);
    draft.append(first.bytes().get(..header_len).unwrap_or_default());
    fragments.iter().for_each(|part| draft.append(data(part)));
    match first.family() {
        Family::V4 => {
            let [flags] = draft.read(6).unwrap_or_default();
            draft.put_length(2, total);
            draft.put(6, &[flags & 0xc0, 0]);
            draft.seal_ipv4(0, header_len);
        }
        Family::V6 => {
            draft.put_length(4, total.saturating_sub(FIXED));
            // What named the fragment header now names what came behind it.
            let mut chain = Chain::new(first.bytes());
            if let Some(link) = chain.find(|link| link.kind == Extension::Fragment) {
                let behind = first.bytes().get(link.at..=link.at).unwrap_or_default();
                draft.put(link.named_at, behind);
            }
        }
    }
    Packet::parse(draft.finish())
}
