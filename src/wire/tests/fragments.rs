//! Packets cut up: by rows, and judged by etherparse's own reassembly.

use etherparse::SlicedPacket;
use etherparse::defrag::IpDefragPool;

use super::*;
use crate::base::units::Mtu;

pub(super) fn mtu(bytes: u16) -> Mtu {
    Mtu::new(bytes).unwrap()
}

/// UDP over IPv4 that may be cut, of `length` bytes in all; its identification is 0xabcd.
pub(super) fn datagram(options: &[u8], length: usize) -> Packet {
    let payload: Vec<u8> = (0..=255).cycle().take(length - 28 - options.len()).collect();
    parse_repaired(ipv4(options, 0, 17, &udp(&payload))).unwrap()
}

/// UDP over IPv6, of `length` bytes in all.
pub(super) fn datagram_v6(chain: &[Link], length: usize) -> Packet {
    let headers: usize = chain.iter().map(|link| 1 + link.rest.len()).sum();
    let payload: Vec<u8> = (0..=255).cycle().take(length - 48 - headers).collect();
    parse_repaired(ipv6(chain, 17, &udp(&payload))).unwrap()
}

/// What etherparse makes of the fragments: the packet behind the headers that each repeats.
fn put_together(fragments: &[Packet]) -> Option<Vec<u8>> {
    let mut pool = IpDefragPool::<(), ()>::new();
    fragments.iter().find_map(|fragment| {
        let sliced = SlicedPacket::from_ip(fragment.bytes()).unwrap();
        pool.process_sliced_packet(&sliced, (), ()).unwrap().map(|whole| whole.payload)
    })
}

/// `offset+length` of each, and `+` if more follow.
fn shown(fragments: &[Packet]) -> String {
    let show = |packet: &Packet| match packet.fragment() {
        None => format!("whole {}", packet.len()),
        Some(Fragment { offset, place: FragmentPlace::Last, .. }) => {
            format!("{offset}: {}", packet.len())
        }
        Some(Fragment { offset, .. }) => format!("{offset}: {} +", packet.len()),
    };
    fragments.iter().map(show).collect::<Vec<_>>().join(", ")
}

#[test]
fn fragments_are_as_long_as_they_may_be() {
    for (length, limit, want) in [
        (1_500, 1_500, "whole 1500"),
        (1_501, 1_500, "0: 1500 +, 1480: 21"),
        (1_499, 1_498, "0: 1492 +, 1472: 27"),
        // The last need not end where offsets are counted.
        (2_977, 1_499, "0: 1492 +, 1472: 1492 +, 2944: 33"),
        (2_971, 1_499, "0: 1492 +, 1472: 1499"),
        (4_500, 1_500, "0: 1500 +, 1480: 1500 +, 2960: 1500 +, 4440: 60"),
        (120, 68, "0: 68 +, 48: 68 +, 96: 24"),
    ] {
        let fragments = fragment(&datagram(&[], length), mtu(limit), 7).unwrap();
        assert_eq!(shown(&fragments), want, "{length} over {limit}");
    }
    for (chain, length, limit, want) in [
        (&[][..], 1_500, 1_500, "whole 1500"),
        (&[], 1_501, 1_500, "0: 1496 +, 1448: 61"),
        (&[Link::sized(0, 0, 0)], 1_501, 1_500, "0: 1496 +, 1440: 69"),
        // Options for the destination behind the last header that routers read are data.
        (&[Link::sized(60, 0, 0)], 1_501, 1_500, "0: 1496 +, 1448: 61"),
        (&[Link::sized(60, 0, 0), Link::sized(43, 2, 0)], 1_501, 1_500, "0: 1496 +, 1416: 93"),
    ] {
        let fragments = fragment_v6(&datagram_v6(chain, length), mtu(limit), 7).unwrap();
        assert_eq!(shown(&fragments), want, "{length} over {limit}");
    }
}

/// RFC 791, 3.1: options with the copied bit are in every fragment, the others in the first.
#[test]
fn options_are_copied_as_they_say() {
    let (route, stamp) = (hex("83 07 04 0a010001"), hex("44 05 05 00 00"));
    for (options, later) in [
        (hex("01010101"), ""),
        ([&stamp[..], &[1, 0, 0]].concat(), ""),
        ([&route[..], &[0]].concat(), "8307040a01000100"),
        ([&stamp[..], &route].concat(), "8307040a01000100"),
        ([&route[..], &stamp].concat(), "8307040a01000100"),
        ([&[1][..], &route].concat(), "8307040a01000100"),
        // Behind the end of the list, and behind what cannot be read, nothing counts.
        ([&[0][..], &route].concat(), ""),
        ([&hex("02 01")[..], &route, &[1, 1, 1]].concat(), ""),
        ([&route[..], &[0x99]].concat(), "8307040a01000100"),
        ([&route[..], &hex("99 06 00 00 00")].concat(), "8307040a01000100"),
    ] {
        let whole = datagram(&options, 300);
        let fragments = fragment(&whole, mtu(120), 7).unwrap();
        assert_eq!(put_together(&fragments).unwrap(), whole.bytes()[20 + options.len()..]);
        let of =
            |packet: &Packet| packet.bytes()[20..packet.len() - packet.payload().len()].to_vec();
        assert_eq!(fragments[0].bytes()[20..20 + options.len()], options);
        for fragment in &fragments[1..] {
            assert_eq!(of(fragment), hex(later), "{options:02x?}");
        }
    }
}

#[test]
fn an_identification_is_given_to_what_has_none() {
    let own = |fragments: &[Packet]| {
        let all = fragments.iter().map(|packet| packet.fragment().unwrap().identification);
        all.collect::<Vec<_>>()
    };
    let with = datagram(&[], 200);
    assert_eq!(own(&fragment(&with, mtu(120), 7).unwrap()), [0xabcd; 2]);
    let ends = [[10, 1, 0, 10], [10, 2, 0, 10]].map(|ip| (ip, 9).into());
    let without = clear_dont_fragment(&build::udp(ends[0], ends[1], &[0; 172]).unwrap());
    assert_eq!(own(&fragment(&without, mtu(120), 7).unwrap()), [7; 2]);
    // Part of a packet whose identification is 0: the other parts have it, too.
    let zero = fragment(&without, mtu(120), 0).unwrap();
    assert_eq!(own(&fragment(&zero[0], mtu(68), 7).unwrap()), [0; 2]);
    let v6 = datagram_v6(&[], 1_400);
    assert_eq!(own(&fragment_v6(&v6, Mtu::IPV6_MIN, 0x0102_0304).unwrap()), [0x0102_0304; 2]);
}

#[test]
fn what_must_stay_whole_stays_whole() {
    let v4 = datagram(&[], 1_400);
    let forbidden = parse_repaired(ipv4(&[], 0x4000, 17, &udp(&[0; 1_400]))).unwrap();
    let segment = [&hex("03e8 07d0 00*8 f002 ffff 00*4")[..], &[1; 40]].concat();
    let tcp = parse_repaired(ipv4(&[], 0, 6, &segment)).unwrap();
    let v6 = datagram_v6(&[], 1_400);
    let again = fragment_v6(&v6, Mtu::IPV6_MIN, 7).unwrap();
    let only = datagram_v6(&[Link::fragment(0, 0)], 1_400);
    let long = datagram_v6(&[Link::sized(43, 160, 0)], 1_400);
    let many: Vec<Link> = (0..8).map(|_| Link::sized(60, 0, 0)).collect();
    let many = datagram_v6(&many, 1_400);
    for (result, want) in [
        (fragment(&v6, Mtu::IPV6_MIN, 7), "IPv6 packets are not cut in this way"),
        (fragment_v6(&v4, Mtu::IPV6_MIN, 7), "IPv4 packets are not cut in this way"),
        (fragment(&forbidden, Mtu::IPV6_MIN, 7), "the packet says that it must not be fragmented"),
        (fragment_v6(&again[0], mtu(1_000), 7), "the packet has a fragment header already"),
        (fragment_v6(&only, Mtu::IPV6_MIN, 7), "the packet has a fragment header already"),
        (
            fragment_v6(&long, Mtu::IPV6_MIN, 7),
            "headers of 1336 bytes leave no room in an MTU of 1280",
        ),
        (
            fragment_v6(&many, Mtu::IPV6_MIN, 7),
            "a fragment would be refused: ipv6 extension header at byte 104: \
             at most 8 may come before it",
        ),
        (
            fragment(&tcp, mtu(68), 7),
            "a fragment would be refused: tcp header at byte 20: needed 60 bytes, had 48",
        ),
    ] {
        assert_eq!(result.unwrap_err().to_string(), want);
    }
    for packet in [&v4, &forbidden] {
        assert_eq!(fragment(packet, Mtu::ETHERNET, 7), Ok(vec![packet.clone()]));
    }
}

proptest! {
    #[test]
    fn etherparse_puts_the_fragments_together(
        options in prop::sample::select(vec!["", "01*4", "8307040a010001 00", "94040000", "01*40"]),
        length in 100..3_000_usize,
        limits in [68..600_u16, 68..600_u16],
    ) {
        let options = hex(options);
        let whole = datagram(&options, length);
        let data = &whole.bytes()[20 + options.len()..];
        let fragments = fragment(&whole, mtu(limits[0]), 7).unwrap();
        let again: Vec<Packet> = fragments
            .iter()
            .flat_map(|packet| fragment(packet, mtu(limits[1]), 8).unwrap())
            .collect();
        for (fragments, limit) in [(&fragments, limits[0]), (&again, limits[1])] {
            if fragments.len() > 1 {
                prop_assert_eq!(&put_together(fragments).unwrap()[..], data);
            }
            for packet in fragments {
                prop_assert!(packet.len() <= usize::from(limit));
                let repeated = (packet.source(), packet.destination(), packet.hop_limit());
                prop_assert_eq!(
                    repeated,
                    (whole.source(), whole.destination(), whole.hop_limit())
                );
            }
        }
    }

    #[test]
    fn etherparse_puts_ipv6_fragments_together(
        link in prop::option::of((prop::sample::select(vec![0_u8, 43, 60]), 0..9_u8)),
        length in 200..3_000_usize,
        limit in 150..1_500_u16,
    ) {
        let chain: Vec<Link> =
            link.iter().map(|(kind, units)| Link::sized(*kind, *units, 0)).collect();
        let whole = datagram_v6(&chain, length);
        let repeated = match &chain[..] {
            [link] if link.kind != 60 => 41 + link.rest.len(),
            _ => 40,
        };
        let fragments = fragment_v6(&whole, mtu(limit), 7).unwrap();
        prop_assert!(fragments.iter().all(|packet| packet.len() <= usize::from(limit)));
        if fragments.len() > 1 {
            // etherparse counts the options in front of the data as headers, so it is not asked.
            if link.is_none_or(|(kind, _)| kind != 60) {
                let data = &whole.bytes()[repeated..];
                prop_assert_eq!(&put_together(&fragments).unwrap()[..], data);
            }
        } else {
            prop_assert_eq!(&fragments[0], &whole);
        }
    }
}
