//! Classifiers beside a search of all rules by the cloud's own words.
//!
//! Holds the search, packets at the boundaries of rules, and random filters. The search shares
//! nothing with the classifiers but the types of the rules.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bytes::Bytes;
use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::cloud::filter::{IcmpMatch, PortRange, Traffic};
use crate::cloud::network_acl::AclAction;
use crate::wire::{Packet, Protocol};

/// What a packet shows of the layer above IP.
#[derive(Clone, Copy, Debug)]
enum Shows {
    /// A header of its protocol with these two fields: ports, or type and code.
    Header(u16, u16),
    /// Nothing: it is a later fragment.
    Nothing,
}

fn ones_complement(parts: &[&[u8]]) -> u16 {
    let bytes: Vec<u8> = parts.concat();
    let words =
        bytes.chunks(2).map(|c| u32::from(c[0]) << 8 | c.get(1).map_or(0, |b| u32::from(*b)));
    let sum: u32 = words.sum();
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    !u16::try_from(sum).unwrap()
}

/// A packet of any protocol, by hand: `wire::build` makes only sensible ones.
fn packet(source: IpAddr, destination: IpAddr, protocol: Protocol, shows: Shows) -> Packet {
    let v6 = source.is_ipv6();
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let ends = [octets(source), octets(destination)].concat();
    let mut above = match (protocol, shows) {
        (_, Shows::Nothing) => vec![0; 8],
        (Protocol::TCP, Shows::Header(a, b)) => {
            let mut tcp = [a.to_be_bytes(), b.to_be_bytes()].concat();
            tcp.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 1, 0, 0, 0, 0, 0]);
            tcp
        }
        (Protocol::UDP, Shows::Header(a, b)) => {
            [a.to_be_bytes(), b.to_be_bytes(), [0, 8], [0, 0]].concat()
        }
        (_, Shows::Header(a, b)) => vec![a.to_be_bytes()[1], b.to_be_bytes()[1], 0, 0, 0, 1, 0, 1],
    };
    let sum_at = match protocol {
        Protocol::TCP => Some(16),
        Protocol::UDP => Some(6),
        Protocol::ICMP | Protocol::ICMPV6 => Some(2),
        _ => None,
    };
    let length = u16::try_from(above.len()).unwrap();
    if let (Some(at), Shows::Header(..)) = (sum_at, shows) {
        let pseudo = match protocol {
            Protocol::ICMP => vec![],
            _ => [&ends[..], &length.to_be_bytes(), &[0, protocol.0]].concat(),
        };
        let sum = match ones_complement(&[&pseudo, &above]) {
            0 if protocol == Protocol::UDP => u16::MAX,
            sum => sum,
        };
        above[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    let bytes = if v6 {
        let fragment = match shows {
            Shows::Nothing => vec![protocol.0, 0, 0, 8, 0, 0, 0, 9],
            Shows::Header(..) => vec![],
        };
        let next = if fragment.is_empty() { protocol.0 } else { 44 };
        let length = length + u16::try_from(fragment.len()).unwrap();
        let [high, low] = length.to_be_bytes();
        [&[0x60, 0, 0, 0, high, low, next, 64][..], &ends, &fragment, &above].concat()
    } else {
        let [high, low] = (20 + length).to_be_bytes();
        let offset = u8::from(matches!(shows, Shows::Nothing));
        let mut header = vec![0x45, 0, high, low, 0, 9, 0, offset, 64, protocol.0, 0, 0];
        header.extend(&ends);
        let sum = ones_complement(&[&header]);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        [header, above].concat()
    };
    Packet::parse(Bytes::from(bytes)).unwrap()
}

/// A rule that owns what it is about. Groups are `0` and `1`.
#[derive(Clone, Debug)]
enum Peer {
    Block(IpNet),
    Blocks(Vec<IpNet>),
    Group(usize),
}

type OwnRule = (Traffic, Peer);

fn far_end(packet: &Packet, direction: Direction) -> IpAddr {
    match direction {
        Direction::Ingress => packet.source(),
        Direction::Egress => packet.destination(),
    }
}

/// What 3.7 says, word for word.
fn groups_by_search(
    rules: &[Vec<OwnRule>; 2],
    members: &[BTreeSet<IpAddr>; 2],
    direction: Direction,
    packet: &Packet,
    origin: Origin,
) -> Word {
    let far = far_end(packet, direction);
    let (here, answers) = (&rules[side(direction)], &rules[side(direction.opposite())]);
    let is_peer = |peer: &Peer| match peer {
        Peer::Block(block) => block.contains(&far),
        Peer::Blocks(blocks) => blocks.iter().any(|block| block.contains(&far)),
        Peer::Group(group) => origin == Origin::Own && members[*group].contains(&far),
    };
    let everybody = |peer: &Peer| match peer {
        Peer::Block(block) => block.prefix_len() == 0 && block.contains(&far),
        Peer::Blocks(_) | Peer::Group(_) => false,
    };
    let allowing: Vec<&OwnRule> =
        here.iter().filter(|(t, peer)| t.matches(packet) && is_peer(peer)).collect();
    if allowing.is_empty() {
        return Word::Refused;
    }
    let protocol = packet.protocol();
    let all_ports = |rules: &[OwnRule]| {
        rules.iter().any(|(traffic, peer)| everybody(peer) && traffic.is_all_ports_of(protocol))
    };
    let opens = allowing.iter().any(|(_, peer)| everybody(peer)) && all_ports(answers);
    let answers = all_ports(here)
        && answers.iter().any(|(t, peer)| everybody(peer) && t.matches_answer_to(packet));
    if protocol.has_ports() && (opens || answers) { Word::Untracked } else { Word::Tracked }
}

fn acl_by_search(entries: &[Vec<AclEntry>; 2], direction: Direction, packet: &Packet) -> bool {
    let far = far_end(packet, direction);
    let decides = |e: &&AclEntry| e.block.contains(&far) && e.traffic.matches(packet);
    let entry = entries[side(direction)].iter().find(decides);
    entry.is_some_and(|entry| entry.action == AclAction::Allow)
}

fn ports() -> impl Strategy<Value = u16> {
    select(vec![0, 1, 2, 79, 80, 81, 443, 1_023, 1_024, 32_767, 32_768, 40_000, 65_534, 65_535])
}

fn port_ranges() -> impl Strategy<Value = PortRange> {
    prop_oneof![
        Just(PortRange::ALL),
        ports().prop_map(PortRange::one),
        (ports(), ports()).prop_map(|(a, b)| PortRange::new(a.min(b), a.max(b)).unwrap()),
    ]
}

fn icmp_matches() -> impl Strategy<Value = IcmpMatch> {
    let number = || select(vec![0_u8, 1, 3, 8, 128, 255]);
    prop_oneof![
        Just(IcmpMatch::Any),
        number().prop_map(IcmpMatch::Type),
        (number(), number()).prop_map(|(kind, code)| IcmpMatch::TypeAndCode(kind, code)),
    ]
}

fn protocols() -> impl Strategy<Value = Protocol> {
    select(vec![6, 6, 6, 17, 17, 1, 58, 47, 255]).prop_map(Protocol)
}

fn traffic() -> impl Strategy<Value = Traffic> {
    prop_oneof![
        1 => Just(Traffic::All),
        4 => port_ranges().prop_map(Traffic::Tcp),
        2 => port_ranges().prop_map(Traffic::Udp),
        1 => icmp_matches().prop_map(Traffic::Icmp),
        1 => icmp_matches().prop_map(Traffic::Icmpv6),
        1 => protocols().prop_map(Traffic::Other),
    ]
}

/// Addresses near one another and at the ends of the address space.
fn addresses(v6: bool) -> impl Strategy<Value = IpAddr> {
    let near = prop_oneof![
        6 => (0_u32..4, 0_u32..4, select(vec![0_u32, 1, 2, 254, 255]))
            .prop_map(|(a, b, c)| 0x0a00_0000 | a << 16 | b << 8 | c),
        1 => select(vec![0, u32::MAX, 1 << 31, (1 << 31) - 1]),
    ];
    (near, select(vec![0_u64, 1, u64::MAX])).prop_map(move |(high, low)| {
        if v6 {
            IpAddr::V6((u128::from(high) << 96 | u128::from(high) << 60 | u128::from(low)).into())
        } else {
            IpAddr::V4(high.into())
        }
    })
}

fn blocks() -> impl Strategy<Value = IpNet> {
    let lengths = vec![0_u8, 0, 1, 8, 14, 15, 16, 22, 24, 30, 31, 32];
    let v6_lengths = vec![0_u8, 0, 1, 16, 32, 48, 56, 63, 64, 65, 127, 128];
    prop_oneof![
        2 => (addresses(false), select(lengths)),
        1 => (addresses(true), select(v6_lengths)),
    ]
    .prop_map(|(address, length)| IpNet::new(address, length).unwrap().trunc())
}

fn rules(most: usize) -> impl Strategy<Value = Vec<OwnRule>> {
    let peer = prop_oneof![
        6 => blocks().prop_map(Peer::Block),
        1 => prop::collection::vec(blocks(), 0..4).prop_map(Peer::Blocks),
        2 => (0..2_usize).prop_map(Peer::Group),
    ];
    prop::collection::vec((traffic(), peer), 0..most)
}

fn entries(most: usize) -> impl Strategy<Value = Vec<AclEntry>> {
    let action = select(vec![AclAction::Allow, AclAction::Deny]);
    let entry = (traffic(), blocks(), action).prop_map(|(traffic, block, action)| AclEntry {
        traffic,
        block,
        action,
    });
    prop::collection::vec(entry, 0..most)
}

fn packets() -> impl Strategy<Value = Vec<Packet>> {
    let shows = prop_oneof![
        5 => (ports(), ports()).prop_map(|(a, b)| Shows::Header(a, b)),
        1 => Just(Shows::Nothing),
    ];
    let ends = prop_oneof![
        2 => (addresses(false), addresses(false)),
        1 => (addresses(true), addresses(true)),
    ];
    let one = (ends, protocols(), shows).prop_map(|((a, b), protocol, shows)| {
        // ICMPv6 below IPv4 and the other way round show no header that anybody reads.
        packet(a, b, protocol, shows)
    });
    prop::collection::vec(one, 48)
}

fn borrowed<'r>(rules: &'r [OwnRule], rows: &[GroupRow; 2]) -> Vec<Rule<'r>> {
    let far = |peer: &'r Peer| match peer {
        Peer::Block(block) => Far::Block(*block),
        Peer::Blocks(blocks) => Far::Blocks(blocks),
        Peer::Group(group) => Far::Members(rows[*group]),
    };
    rules.iter().map(|(traffic, peer)| Rule { traffic: *traffic, far: far(peer) }).collect()
}

fn members() -> impl Strategy<Value = BTreeSet<IpAddr>> {
    let address = prop_oneof![3 => addresses(false), 1 => addresses(true)];
    prop::collection::btree_set(address, 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// Two filters in one arena, so that they share what they have in common.
    #[test]
    fn groups_say_what_a_search_says(
        filters in prop::collection::vec([rules(9), rules(9)], 2),
        members in [members(), members()],
        packets in packets(),
    ) {
        let mut all = Classifiers::default();
        let rows = [all.add_group(), all.add_group()];
        for (row, members) in rows.iter().zip(&members) {
            members.iter().for_each(|member| all.join(*row, *member));
        }
        let added: Vec<FilterIdx> = filters.iter().map(|[ingress, egress]| {
            all.add_groups(&borrowed(ingress, &rows), &borrowed(egress, &rows))
        }).collect();
        for (filter, rules) in added.into_iter().zip(&filters) {
            for packet in &packets {
                let probe = AnyProbe::of(packet);
                for direction in Direction::ALL {
                    for origin in [Origin::Own, Origin::Relayed] {
                        let want = groups_by_search(rules, &members, direction, packet, origin);
                        let got = all.groups(filter, direction, &probe, origin);
                        prop_assert_eq!(got, want, "{:?} {} {:?}", packet, direction, origin);
                    }
                }
            }
        }
    }

    #[test]
    fn acls_say_what_a_search_says(
        acls in prop::collection::vec([entries(12), entries(12)], 2),
        packets in packets(),
    ) {
        let mut all = Classifiers::default();
        let added: Vec<AclFilterIdx> =
            acls.iter().map(|[ingress, egress]| all.add_acl(ingress, egress)).collect();
        for (acl, entries) in added.into_iter().zip(&acls) {
            for packet in &packets {
                let probe = AnyProbe::of(packet);
                for direction in Direction::ALL {
                    let want = acl_by_search(entries, direction, packet);
                    prop_assert_eq!(all.acl(acl, direction, &probe), want, "{:?} {}", packet, direction);
                }
            }
        }
    }

    /// A filter is found again, whatever the order of its rules.
    #[test]
    fn equal_rules_are_one_filter(
        one in [rules(9), rules(9)],
        other in [rules(9), rules(9)],
        packets in packets(),
    ) {
        let mut all = Classifiers::default();
        let rows = [all.add_group(), all.add_group()];
        let mut add = |[ingress, egress]: &[Vec<OwnRule>; 2]| {
            all.add_groups(&borrowed(ingress, &rows), &borrowed(egress, &rows))
        };
        let first = add(&one);
        let second = add(&other);
        let mut turned = one.clone();
        turned.iter_mut().for_each(|rules| rules.reverse());
        let bytes = |all: &Classifiers| (all.filters.len(), all.arena.len());
        let before = bytes(&all);
        let mut add = |[ingress, egress]: &[Vec<OwnRule>; 2]| {
            all.add_groups(&borrowed(ingress, &rows), &borrowed(egress, &rows))
        };
        prop_assert_eq!(add(&turned), first);
        prop_assert_eq!(add(&other), second);
        prop_assert_eq!(bytes(&all), before);
        if first == second {
            for packet in &packets {
                for direction in Direction::ALL {
                    let [a, b] = [&one, &other].map(|rules| {
                        groups_by_search(rules, &[const { BTreeSet::new() }; 2], direction, packet, Origin::Own)
                    });
                    prop_assert_eq!(a, b);
                }
            }
        }
    }
}

/// Filters and probes, over IPv4 and over IPv6.
type Questions<T> = (Vec<(T, Probe<u32>)>, Vec<(T, Probe<u128>)>);

/// Questions of one family, in the order of the packets.
fn questions<T: Copy>(filters: &[T], packets: &[Packet]) -> Questions<T> {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for (packet, filter) in packets.iter().zip(filters.iter().cycle()) {
        match AnyProbe::of(packet) {
            AnyProbe::V4(probe) => v4.push((*filter, probe)),
            AnyProbe::V6(probe) => v6.push((*filter, probe)),
        }
    }
    (v4, v6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A batch says what its packets are told one by one, whatever its length and mixture.
    #[test]
    fn batches_say_the_same(
        filters in prop::collection::vec([rules(12), rules(4)], 3),
        acls in prop::collection::vec([entries(24), entries(4)], 2),
        members in [members(), members()],
        packets in prop::collection::vec(packets(), 1..5),
    ) {
        let packets = packets.concat();
        let mut all = Classifiers::default();
        let rows = [all.add_group(), all.add_group()];
        for (row, members) in rows.iter().zip(&members) {
            members.iter().for_each(|member| all.join(*row, *member));
        }
        let mut with_groups: Vec<FilterIdx> = filters.iter().map(|[ingress, egress]| {
            all.add_groups(&borrowed(ingress, &rows), &borrowed(egress, &rows))
        }).collect();
        with_groups.extend([FilterIdx::NONE, FilterIdx(u32::MAX)]);
        let mut with_acls: Vec<AclFilterIdx> =
            acls.iter().map(|[ingress, egress]| all.add_acl(ingress, egress)).collect();
        with_acls.push(AclFilterIdx::NONE);
        for direction in Direction::ALL {
            let (v4, v6) = questions(&with_groups, &packets);
            let own = Origin::Own;
            let v4: Vec<_> = v4.into_iter().map(|(filter, probe)| (filter, probe, own)).collect();
            let v6: Vec<_> = v6.into_iter().map(|(filter, probe)| (filter, probe, own)).collect();
            let mut words = vec![Word::Refused; v4.len()];
            all.groups_all_v4(direction, &v4, &mut words);
            for ((filter, probe, origin), word) in v4.iter().zip(words) {
                prop_assert_eq!(word, all.groups_v4(*filter, direction, probe, *origin));
            }
            let mut words = vec![Word::Refused; v6.len()];
            all.groups_all_v6(direction, &v6, &mut words);
            for ((filter, probe, origin), word) in v6.iter().zip(words) {
                prop_assert_eq!(word, all.groups_v6(*filter, direction, probe, *origin));
            }
            let (v4, v6) = questions(&with_acls, &packets);
            let mut passes = vec![false; v4.len()];
            all.acl_all_v4(direction, &v4, &mut passes);
            for ((acl, probe), passes) in v4.iter().zip(passes) {
                prop_assert_eq!(passes, all.acl_v4(*acl, direction, probe));
            }
            let mut passes = vec![false; v6.len()];
            all.acl_all_v6(direction, &v6, &mut passes);
            for ((acl, probe), passes) in v6.iter().zip(passes) {
                prop_assert_eq!(passes, all.acl_v6(*acl, direction, probe));
            }
        }
    }
}

/// Far larger than a cloud allows, so that trees have levels, keys have pages, and what would take
/// too much is searched.
#[test]
fn large_filters_say_what_a_search_says() {
    let range = |first: usize, last: usize| {
        let [first, last] = [first, last].map(|port| u16::try_from(port).unwrap());
        PortRange::new(first, last).unwrap()
    };
    let block = |text: String| text.parse::<IpNet>().unwrap();
    let host = |n: usize| block(format!("10.0.{}.{}/32", n / 200, n % 200 + 1));
    let entry = |port: usize, block: IpNet| AclEntry {
        traffic: Traffic::Tcp(range(port, port + port % 3)),
        block,
        action: if port.is_multiple_of(5) { AclAction::Deny } else { AclAction::Allow },
    };
    let everywhere = || block("0.0.0.0/0".to_owned());
    let many_blocks: Vec<AclEntry> = (0..900).map(|n| entry(n * 7, host(n))).collect();
    let many_ports: Vec<AclEntry> = (0..40).map(|n| entry(n * 1_601, everywhere())).collect();
    let mixed = |blocks, ports| {
        let blocks = many_blocks.iter().copied().take(blocks);
        let wide = (0..ports).map(|n| entry(n * 90, everywhere()));
        blocks.chain(wide).collect::<Vec<AclEntry>>()
    };
    for (entries, want) in [
        (many_blocks.clone(), Kind::Tree4),
        (many_ports, Kind::Paged),
        (mixed(7, 3), Kind::Small),
        (mixed(300, 60), Kind::Tree4),
        (mixed(500, 600), Kind::Scan),
    ] {
        let mut all = Classifiers::default();
        let both = [entries, Vec::new()];
        let acl = all.add_acl(&both[0], &both[1]);
        let [far, near]: [IpAddr; 2] = ["10.0.0.1", "10.9.9.9"].map(|a| a.parse().unwrap());
        let probe = AnyProbe::of(&packet(far, near, Protocol::TCP, Shows::Header(1, 2)));
        let AnyProbe::V4(tcp) = probe else { panic!("over IPv4") };
        assert_eq!(
            all.cell(acl.0, Direction::Ingress, &tcp).kind(),
            want,
            "{} entries",
            both[0].len()
        );
        for n in 0..1_000_usize {
            let far = if n % 4 == 3 { near } else { host(n * 37 % 1_000).addr() };
            for port in [n * 7, n * 37 % 1_000 * 7, n * 90 % 65_536, n % 40 * 1_601 + 1] {
                let shows = Shows::Header(9, u16::try_from(port).unwrap());
                let packet = packet(far, near, Protocol::TCP, shows);
                let want = acl_by_search(&both, Direction::Ingress, &packet);
                let got = all.acl(acl, Direction::Ingress, &AnyProbe::of(&packet));
                assert_eq!(got, want, "{packet:?}");
            }
        }
    }
}
