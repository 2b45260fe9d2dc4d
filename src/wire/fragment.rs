//! A packet cut into fragments that fit a link.
//!
//! Holds the two ways: IPv4's, which routers may use, and IPv6's, which is left to hosts. Refuses
//! to decide whether a packet has to be cut, and to choose identifications: they are arguments, so
//! that a run stays a function of its input.

use std::borrow::Cow;
use std::ops::Range;

use thiserror::Error;

use super::draft::Draft;
use super::extension::{Chain, Extension, FIXED};
use super::{Family, Malformed, Packet};
use crate::base::units::Mtu;

/// Why a packet is not cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum CannotFragment {
    /// The packet is of the other family.
    #[error("{} packets are not cut in this way", .family.title())]
    Family {
        /// Of which.
        family: Family,
    },
    /// Its sender has forbidden it (RFC 791, 2.3): the answer is
    /// [`too_big`](super::build::too_big).
    #[error("the packet says that it must not be fragmented")]
    Forbidden,
    /// It has a fragment header already, which IPv6 packets have once.
    #[error("the packet has a fragment header already")]
    Again,
    /// The headers that each fragment repeats leave no room for data.
    #[error("headers of {headers} bytes leave no room in an MTU of {mtu}")]
    NoRoom {
        /// How long they are.
        headers: usize,
        /// What they have to fit with at least 8 bytes of data.
        mtu: Mtu,
    },
    /// A fragment would not be accepted: the first would cut the transport header in two, which
    /// only happens below an MTU of 128, or IPv6's headers would become too many with one more.
    #[error("a fragment would be refused: {0}")]
    Refused(#[from] Malformed),
}

/// Cuts an IPv4 packet as routers and hosts do, into fragments of at most `mtu` bytes (RFC 791,
/// 3.2), in the order of their offsets. A packet that fits is returned as it is; a fragment is cut
/// like a packet.
///
/// `identification` becomes that of the packet if its own is 0: senders of packets that must not
/// be fragmented need not choose one (RFC 6864, 4.1), and
/// [`clear_dont_fragment`](super::clear_dont_fragment) does not choose for them. It should differ
/// from the last ones given for the same ends.
///
/// All fragments share one allocation. Costs one copy of the packet.
///
/// # Errors
/// [`CannotFragment`].
pub fn fragment(
    packet: &Packet,
    mtu: Mtu,
    identification: u16,
) -> Result<Vec<Packet>, CannotFragment> {
    if packet.family() != Family::V4 {
        return Err(CannotFragment::Family { family: packet.family() });
    }
    if mtu.holds(packet.len()) {
        return Ok(vec![packet.clone()]);
    }
    if !packet.may_be_fragmented() {
        return Err(CannotFragment::Forbidden);
    }
    let (header, data) = split(packet, usize::from(packet.layout().transport));
    let Some((fixed, options)) = header.split_first_chunk::<20>() else { return Ok(Vec::new()) };
    let later = with_copied(fixed, options);
    let own = u16::from_be_bytes([fixed[4], fixed[5]]);
    let identification = if own == 0 && !packet.is_fragment() { identification } else { own };
    let flags_and_offset = u16::from_be_bytes([fixed[6], fixed[7]]);

    cut(header, &later, data, mtu, |draft, at, header_len, piece| {
        let more = if piece.end < data.len() { MORE_V4 } else { 0 };
        // The offset counts units of 8 bytes in the lower 13 bits, where nothing carries: the
        // parser has seen that the packet ends below 65,535.
        let place = (flags_and_offset | more) + units(piece.start);
        draft.put_length(at + 2, header_len + piece.len());
        draft.put(at + 4, &identification.to_be_bytes());
        draft.put(at + 6, &place.to_be_bytes());
        draft.seal_ipv4(at, header_len);
    })
}

/// Cuts an IPv6 packet as its sender does, into fragments of at most `mtu` bytes (RFC 8200, 4.5),
/// in the order of their offsets. A packet that fits is returned as it is.
///
/// `identification` should differ from the last ones given for the same ends. All fragments share
/// one allocation. Costs one copy of the packet.
///
/// # Errors
/// [`CannotFragment`].
pub fn fragment_v6(
    packet: &Packet,
    mtu: Mtu,
    identification: u32,
) -> Result<Vec<Packet>, CannotFragment> {
    if packet.family() != Family::V6 {
        return Err(CannotFragment::Family { family: packet.family() });
    }
    if mtu.holds(packet.len()) {
        return Ok(vec![packet.clone()]);
    }
    // Every router on the way reads what comes up to the last of these, so every fragment has it.
    let (mut named_at, mut at) = (6, FIXED);
    for link in Chain::new(packet.bytes()) {
        match link.kind {
            Extension::Fragment => return Err(CannotFragment::Again),
            Extension::HopByHop | Extension::Routing => {
                (named_at, at) = (link.at, link.at + link.length);
            }
            Extension::Authentication | Extension::Other => {}
        }
    }
    let (repeated, data) = split(packet, at);
    let mut header = Draft::with_capacity(at + 8);
    header.append(repeated);
    header.append(&[repeated.get(named_at).copied().unwrap_or_default(), 0, 0, 0]);
    header.append(&identification.to_be_bytes());
    header.put(named_at, &[44]);
    let header = header.finish();

    cut(&header, &header, data, mtu, |draft, at, header_len, piece| {
        let more = u16::from(piece.end < data.len());
        draft.put_length(at + 4, header_len - FIXED + piece.len());
        draft.put(at + header_len - 6, &((units(piece.start) * 8) | more).to_be_bytes());
    })
}

/// IPv4's "more fragments" beside the offset.
const MORE_V4: u16 = 0x2000;

/// The headers up to `at` and what is behind them, trailing bytes left out.
fn split(packet: &Packet, at: usize) -> (&[u8], &[u8]) {
    let ip = packet.bytes().get(..packet.len()).unwrap_or_default();
    ip.split_at_checked(at).unwrap_or((ip, &[]))
}

/// Writes `data` behind headers, piece by piece: the first behind `first`, each other behind
/// `later`. `fill` completes the headers at an offset of the draft, given their length and the
/// piece.
fn cut(
    first: &[u8],
    later: &[u8],
    data: &[u8],
    mtu: Mtu,
    fill: impl Fn(&mut Draft, usize, usize, &Range<usize>),
) -> Result<Vec<Packet>, CannotFragment> {
    let room = |header: &[u8]| match usize::from(mtu.bytes()).checked_sub(header.len()) {
        Some(room) if room >= 8 => Ok(room),
        _ => Err(CannotFragment::NoRoom { headers: header.len(), mtu }),
    };
    let (room_first, room_later) = (room(first)?, room(later)?);
    let count = 1 + data.len().saturating_sub(room_first & !7).div_ceil(room_later & !7);
    let mut draft = Draft::with_capacity(data.len() + first.len() + count * later.len());
    let mut ends = Vec::with_capacity(count);
    let mut from = 0;
    while from < data.len() {
        let (header, room) = if from == 0 { (first, room_first) } else { (later, room_later) };
        let left = data.len() - from;
        let piece = from..from + if left <= room { left } else { room & !7 };
        let at = draft.len();
        draft.append(header);
        draft.append(data.get(piece.clone()).unwrap_or_default());
        fill(&mut draft, at, header.len(), &piece);
        ends.push(draft.len());
        from = piece.end;
    }
    let bytes = draft.finish();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| Ok(Packet::parse(bytes.slice(start..*end))?)).collect()
}

/// The header of later fragments: `fixed` with those of `options` that are to be copied (RFC 791,
/// 3.1: the first bit of an option's type), filled up to whole words. What follows an option that
/// cannot be read is left out.
fn with_copied<'a>(fixed: &'a [u8; 20], mut options: &[u8]) -> Cow<'a, [u8]> {
    let mut header = Cow::Borrowed(&fixed[..]);
    while let Some((option, behind)) = first_option(options) {
        if option.first().is_some_and(|kind| kind & 0x80 != 0) {
            header.to_mut().extend_from_slice(option);
        }
        options = behind;
    }
    // At most as many as the packet's own header has, which fit the lower half of the byte.
    let words = header.len().div_ceil(4);
    let version_and_length = 0x40 | u8::try_from(words).unwrap_or(15);
    if (fixed[0], fixed.len()) != (version_and_length, header.len()) {
        let header = header.to_mut();
        header.resize(words * 4, 0);
        header.splice(..1, [version_and_length]);
    }
    header
}

/// The first of IPv4's options and the rest.
fn first_option(options: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = match (options.first()?, options.get(1)) {
        // Nothing, to align what follows.
        (1, _) => 1,
        // Type and length are part of the length.
        (2.., Some(length @ 2..)) => usize::from(*length),
        // The end of the list, or what cannot be read.
        _ => return None,
    };
    options.split_at_checked(length)
}

/// An offset inside a packet in units of 8 bytes.
fn units(bytes: usize) -> u16 {
    u16::try_from(bytes / 8).unwrap_or(u16::MAX)
}
