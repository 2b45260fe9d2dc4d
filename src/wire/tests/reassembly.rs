//! Fragments put together: in any order, within bounds, and never when they contradict each other.

use super::fragments::{datagram, datagram_v6, mtu};
use super::rewriting::ends;
use super::*;
use crate::base::limit::{REASSEMBLY_BYTES_MAX, REASSEMBLY_FRAGMENTS_MAX, REASSEMBLY_PACKETS_MAX};
use crate::base::time::{Instant, Span};

const NOW: Instant = Instant::START;

/// A fragment of `length` bytes from `start` on of packet 7 over IPv4, filled with `fill`; `+` says
/// that more follow.
fn part(start: u16, length: usize, more: &str, fill: u8) -> Packet {
    let flags = if more == "+" { 0x2000 } else { 0 };
    parse_repaired(ipv4(&[], flags | (start / 8), 200, &vec![fill; length])).unwrap()
}

/// Likewise over IPv6.
fn part_v6(start: u16, length: usize, more: &str, fill: u8) -> Packet {
    let chain = [Link::fragment(start, u16::from(more == "+"))];
    parse_repaired(ipv6(&chain, 200, &vec![fill; length])).unwrap()
}

/// What becomes of it, in a word; a whole packet shows its data without repetitions.
fn word(offered: Offered) -> String {
    match offered {
        Offered::Kept => "kept".to_owned(),
        Offered::Whole(packet) => {
            let mut data = packet.payload().to_vec();
            data.dedup();
            format!("{} bytes {data:?}", packet.payload().len())
        }
        Offered::Refused(why) => match why {
            ReassemblyError::Malformed(why) => why.to_string(),
            other => format!("{other:?}"),
        },
    }
}

#[test]
fn what_becomes_of_each_fragment() {
    for (rows, want) in [
        (&[(0, 16, "+", 1), (16, 8, "+", 2), (24, 3, "", 3)][..], "kept, kept, 27 bytes [1, 2, 3]"),
        (&[(24, 3, "", 3), (0, 16, "+", 1), (16, 8, "+", 2)], "kept, kept, 27 bytes [1, 2, 3]"),
        // An exact copy changes nothing.
        (&[(0, 8, "+", 1), (0, 8, "+", 1), (8, 8, "", 2)], "kept, kept, 16 bytes [1, 2]"),
        (&[(8, 8, "", 2), (8, 8, "", 2), (0, 8, "+", 1)], "kept, kept, 16 bytes [1, 2]"),
        // The same bytes once more, but not the same: the packet is given up.
        (&[(0, 8, "+", 1), (0, 8, "+", 9), (8, 8, "", 2)], "kept, Overlap, GivenUp"),
        (&[(8, 8, "+", 1), (8, 8, "", 1), (0, 8, "+", 2)], "kept, Overlap, GivenUp"),
        (&[(0, 16, "+", 1), (8, 16, "+", 1), (24, 8, "", 1)], "kept, Overlap, GivenUp"),
        (&[(8, 16, "+", 1), (0, 16, "+", 1), (24, 8, "", 1)], "kept, Overlap, GivenUp"),
        (&[(0, 24, "+", 1), (8, 8, "+", 1), (24, 8, "", 1)], "kept, Overlap, GivenUp"),
        (&[(8, 8, "+", 1), (0, 24, "+", 1), (24, 8, "", 1)], "kept, Overlap, GivenUp"),
        // Two ends, and data behind the end.
        (&[(8, 8, "", 1), (16, 8, "", 1), (0, 8, "+", 1)], "kept, Overlap, GivenUp"),
        (&[(16, 8, "", 1), (8, 8, "", 1), (0, 8, "+", 1)], "kept, Overlap, GivenUp"),
        (&[(8, 8, "", 1), (16, 8, "+", 1), (0, 8, "+", 1)], "kept, Overlap, GivenUp"),
        (&[(16, 8, "+", 1), (8, 8, "", 1), (0, 8, "+", 1)], "kept, Overlap, GivenUp"),
        // Nothing is no part, and no harm.
        (&[(0, 8, "+", 1), (8, 0, "", 0), (8, 8, "", 2)], "kept, Empty, 16 bytes [1, 2]"),
        // What comes after the packet is complete begins anew.
        (&[(0, 8, "+", 1), (8, 8, "", 2), (0, 8, "+", 3)], "kept, 16 bytes [1, 2], kept"),
    ] {
        for make in [part, part_v6] {
            let mut host = Reassembly::default();
            let offered = rows.iter().map(|(start, length, more, fill)| {
                word(host.offer(&make(*start, *length, more, *fill), NOW))
            });
            assert_eq!(offered.collect::<Vec<_>>().join(", "), want, "{rows:?}");
        }
    }
}

#[test]
fn parts_of_different_packets_do_not_meet() {
    let (head, tail) = (part(0, 8, "+", 1), part(8, 8, "", 2));
    let other_number = |packet: &Packet| {
        let mut bytes = packet.bytes().to_vec();
        bytes[4] ^= 1;
        parse_repaired(bytes).unwrap()
    };
    let other_protocol = parse_repaired(ipv4(&[], 1, 201, &[2; 8])).unwrap();
    let other_ends = readdress(&tail, ends("10.1.0.11:0", "10.2.0.10:0")).unwrap();
    for tail in [other_number(&tail), other_protocol, other_ends] {
        let mut host = Reassembly::default();
        assert_eq!(host.offer(&head, NOW), Offered::Kept);
        assert_eq!(host.offer(&tail, NOW), Offered::Kept, "{tail:?}");
    }
    // Over IPv6 the first fragment says what the packet carries.
    let mut host = Reassembly::default();
    let odd = parse_repaired(ipv6(&[Link::fragment(8, 0)], 201, &[2; 8])).unwrap();
    assert_eq!(host.offer(&odd, NOW), Offered::Kept);
    let Offered::Whole(whole) = host.offer(&part_v6(0, 8, "+", 1), NOW) else { panic!() };
    assert_eq!(whole.protocol(), Protocol(200));
}

#[test]
fn a_packet_that_is_whole_comes_back() {
    let mut host = Reassembly::default();
    for packet in [datagram(&[], 100), datagram_v6(&[Link::fragment(0, 0)], 100)] {
        assert_eq!(host.offer(&packet, NOW), Offered::Whole(packet));
    }
}

#[test]
fn what_comes_too_late_begins_anew() {
    for (make, span) in [
        (part as fn(u16, usize, &str, u8) -> Packet, Span::from_secs(30)),
        (part_v6, Span::from_secs(60)),
    ] {
        let deadline = NOW + span;
        let just_before = Instant::from_nanos(deadline.as_nanos() - 1);
        for (then, want) in [(just_before, "16 bytes [1, 2]"), (deadline, "kept")] {
            let mut host = Reassembly::default();
            assert_eq!(host.offer(&make(8, 8, "", 2), NOW), Offered::Kept);
            assert_eq!(host.next_deadline(), Some(deadline));
            assert_eq!(word(host.offer(&make(0, 8, "+", 1), then)), want);
        }
        // What is given up is given up until then, and does not count as waiting.
        let mut host = Reassembly::default();
        host.offer(&make(0, 8, "+", 1), NOW);
        assert_eq!(word(host.offer(&make(0, 8, "+", 2), NOW)), "Overlap");
        assert_eq!((host.next_deadline(), host.bytes()), (None, 0));
        assert_eq!(word(host.offer(&make(0, 8, "+", 1), just_before)), "GivenUp");
        assert_eq!(word(host.offer(&make(0, 8, "+", 1), deadline)), "kept");
    }
}

#[test]
fn what_expires_is_handed_back() {
    let mut host = Reassembly::default();
    let at = |secs| NOW + Span::from_secs(secs);
    let v6 = part_v6(8, 8, "+", 1);
    let v4 = [part(0, 8, "+", 1), part(16, 8, "+", 2)];
    host.offer(&v6, at(0));
    host.offer(&v4[1], at(35));
    host.offer(&v4[0], at(40));
    assert_eq!(host.bytes(), v6.len() + v4[0].len() + v4[1].len());
    assert_eq!(host.expire(at(59)), []);
    assert_eq!(host.next_deadline(), Some(at(60)));
    let expired = host.expire(at(65));
    let fragments: Vec<_> = expired.iter().map(|expired| expired.fragments.clone()).collect();
    assert_eq!(fragments, [vec![v6], v4.to_vec()], "the longest first");
    assert_eq!((expired[0].first(), expired[1].first()), (None, Some(&v4[0])));
    assert_eq!((host.bytes(), host.next_deadline()), (0, None));

    let destination = v4[0].destination();
    let report = build::reassembly_time_exceeded(expired[1].first().unwrap(), destination).unwrap();
    assert_eq!(report.summary().to_string(), "icmp type 11 code 1, 56 bytes");
}

#[test]
fn every_bound_holds() {
    // Fragments of one packet.
    let mut host = Reassembly::default();
    let start = |i: usize| u16::try_from(i * 16).unwrap();
    for i in 0..REASSEMBLY_FRAGMENTS_MAX {
        assert_eq!(host.offer(&part(start(i), 8, "+", 1), NOW), Offered::Kept);
    }
    let one_more = part(start(REASSEMBLY_FRAGMENTS_MAX), 8, "+", 1);
    assert_eq!(word(host.offer(&one_more, NOW)), "TooManyFragments");
    assert_eq!((host.bytes(), word(host.offer(&one_more, NOW))), (0, "GivenUp".to_owned()));

    // Packets of one host.
    let mut host = Reassembly::default();
    let of_packet = |number: usize, length| {
        let mut bytes = part(8, length, "+", 1).bytes().to_vec();
        bytes[4..6].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
        parse_repaired(bytes).unwrap()
    };
    for number in 0..REASSEMBLY_PACKETS_MAX {
        assert_eq!(host.offer(&of_packet(number, 8), NOW), Offered::Kept);
    }
    let one_more = of_packet(REASSEMBLY_PACKETS_MAX, 8);
    assert_eq!(word(host.offer(&one_more, NOW)), "TooManyPackets");
    assert_eq!(
        host.offer(&part(0, 8, "+", 1), NOW),
        Offered::Refused(ReassemblyError::TooManyPackets)
    );
    // One that waits already may still grow, and room comes back with time.
    let grows = readdress(&of_packet(0, 8), Change::default()).unwrap();
    assert_eq!(host.offer(&grows, NOW), Offered::Kept);
    assert_eq!(host.offer(&one_more, NOW + Span::from_secs(30)), Offered::Kept);

    // Bytes of one host.
    let mut host = Reassembly::default();
    let length = 65_000;
    let fits = REASSEMBLY_BYTES_MAX / (20 + length);
    for number in 0..fits {
        assert_eq!(host.offer(&of_packet(number, length), NOW), Offered::Kept);
    }
    assert_eq!(word(host.offer(&of_packet(fits, length), NOW)), "TooManyBytes");
    assert_eq!(word(host.offer(&of_packet(fits, 8), NOW)), "kept");
    let full = host.bytes();
    assert!(full <= REASSEMBLY_BYTES_MAX);
    assert_eq!(host.expire(NOW + Span::from_secs(30)).len(), fits + 1);
    assert_eq!(host.bytes(), 0);
}

#[test]
fn what_is_no_packet_is_refused_when_it_is_complete() {
    // The second half is another's: the checksum, which only the whole can be held against, is
    // wrong.
    let whole = datagram(&[], 200);
    let parts = fragment(&whole, mtu(120), 7).unwrap();
    let mut bytes = parts[1].bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let mut host = Reassembly::default();
    host.offer(&parts[0], NOW);
    let refused = word(host.offer(&parse(bytes).unwrap(), NOW));
    assert!(refused.starts_with("udp checksum at byte 26 is"), "{refused}");
    assert_eq!((host.bytes(), host.next_deadline()), (0, None));

    // Behind the short header of the last fragment there is room that is not behind the first's.
    let mut host = Reassembly::default();
    let first = parse_repaired(ipv4(&[1; 40], 0x2000, 200, &[1; 65_472])).unwrap();
    host.offer(&first, NOW);
    let last = word(host.offer(&part(65_472, 40, "", 1), NOW));
    assert_eq!(last, "packet of 65572 bytes, at most 65535 are accepted");
}

proptest! {
    #[test]
    fn the_original_comes_back_whatever_the_order(
        v6 in any::<bool>(),
        options in prop::sample::select(vec!["", "01*4", "8307040a010001 00", "01*40"]),
        link in prop::option::of((prop::sample::select(vec![0_u8, 43, 60]), 0..9_u8)),
        length in 200..3_000_usize,
        limits in [150..600_u16, 68..600_u16],
        order in vec(any::<prop::sample::Index>(), 200),
    ) {
        let (whole, parts) = if v6 {
            let chain: Vec<Link> =
                link.iter().map(|(kind, units)| Link::sized(*kind, *units, 0)).collect();
            let whole = datagram_v6(&chain, length);
            let parts = fragment_v6(&whole, mtu(limits[0]), 7).unwrap();
            (whole, parts)
        } else {
            let whole = datagram(&hex(options), length);
            let parts = fragment(&whole, mtu(limits[0]), 7).unwrap();
            let again = |part: &Packet| fragment(part, mtu(limits[1]), 8).unwrap();
            (whole, parts.iter().flat_map(again).collect())
        };
        let mut waiting = parts;
        let mut host = Reassembly::default();
        let mut order = order.iter().cycle();
        while waiting.len() > 1 {
            let part = waiting.swap_remove(order.next().unwrap().index(waiting.len()));
            prop_assert_eq!(host.offer(&part, NOW), Offered::Kept);
            // The network delivers some of them twice.
            if part.len().is_multiple_of(3) {
                prop_assert_eq!(host.offer(&part, NOW), Offered::Kept);
            }
        }
        let Offered::Whole(back) = host.offer(&waiting[0], NOW) else {
            return Err(TestCaseError::fail("the last one missing makes it whole"));
        };
        prop_assert_eq!(back, whole);
        prop_assert_eq!(host.bytes(), 0);
    }

    #[test]
    fn a_translated_packet_can_be_cut_before_or_after(
        length in 200..2_000_usize,
        limit in 68..600_u16,
    ) {
        let change = ends("10.1.0.11:1", "10.2.0.11:2");
        let whole = datagram(&[], length);
        let mut host = Reassembly::default();
        let parts = fragment(&whole, mtu(limit), 7).unwrap();
        let offered = parts.iter().map(|part| host.offer(&readdress(part, change).unwrap(), NOW));
        let last = offered.last();
        prop_assert_eq!(last, Some(Offered::Whole(readdress(&whole, change).unwrap())));
    }

    #[test]
    fn no_fragments_make_it_panic_or_keep_too_much(
        all in vec((almost_packets(), 0..20_u64), 0..40),
    ) {
        let mut host = Reassembly::default();
        let mut now = NOW;
        for (bytes, secs) in all {
            now = now + Span::from_secs(secs);
            let Ok(packet) = parse_repaired(bytes) else { continue };
            match host.offer(&packet, now) {
                Offered::Whole(whole) => prop_assert!(!whole.is_fragment()),
                Offered::Kept => prop_assert!(packet.is_fragment() && host.bytes() > 0),
                Offered::Refused(_) => prop_assert!(packet.is_fragment()),
            }
        }
        let waiting = host.expire(Instant::NEVER);
        prop_assert!(waiting.iter().all(|expired| !expired.fragments.is_empty()));
        prop_assert_eq!((host.bytes(), host.next_deadline()), (0, None));
    }
}
