//! Middleboxes: what routers and NAT devices send on, with which port, for how long, and what not.

use std::net::SocketAddr;

use super::*;
use crate::base::id::AccountId;
use crate::base::units::Mtu;
use crate::cloud::account::{Caller, Region};
use crate::cloud::command::Command;
use crate::cloud::event::Change as Happened;
use crate::cloud::instance::{NewInterface, SourceDestCheck};
use crate::cloud::profile::Profile;
use crate::wire::{EchoKind, TcpFlags, build, clear_dont_fragment, fragment};

const DEVICE: &str = "10.0.1.4";
const INSIDE: &str = "10.0.0.4:5000";
const OTHER: &str = "10.0.0.5:5000";
const OUTSIDE: &str = "198.51.100.9:53";

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn udp(from: &str, to: &str) -> Packet {
    build::udp(socket(from), socket(to), b"?").unwrap()
}

fn tcp(from: &str, to: &str) -> Packet {
    build::tcp(socket(from), socket(to), TcpFlags::SYN, 1, 0, b"").unwrap()
}

fn echo(kind: EchoKind, from: &str, to: &str, ident: u16) -> Packet {
    build::echo(kind, from.parse().unwrap(), to.parse().unwrap(), ident, 1, b"?").unwrap()
}

/// `from > to` with ports, or with the identifier of an echo message.
fn shown(packet: Option<Packet>) -> Option<String> {
    let packet = packet?;
    // Checksums are right: it is a packet also to a stranger.
    assert_eq!(Packet::parse(packet.bytes().clone()), Ok(packet.clone()));
    let ident = packet.icmp_echo().map(|echo| format!(" {}", echo.ident));
    Some(format!("{}{}", packet.flow(), ident.unwrap_or_default()))
}

/// One of 65,536 hosts inside, each with the same port.
fn inside(nth: u32) -> SocketAddr {
    let [_, _, high, low] = nth.to_be_bytes();
    SocketAddr::from(([10, 2, high, low], 5_000))
}

/// A NAT device without a network around it.
#[derive(Default)]
struct Device {
    table: Translations,
    now: Instant,
}

impl Device {
    fn out(&mut self, packet: &Packet) -> Option<String> {
        shown(self.table.outwards(packet, DEVICE.parse().unwrap(), self.now))
    }

    fn back(&mut self, packet: &Packet) -> Option<String> {
        shown(self.table.inwards(packet, self.now))
    }

    fn at(&mut self, seconds: u64) {
        self.now = Instant::START + Span::from_secs(seconds);
    }
}

#[test]
fn flows_go_out_from_the_device_and_answers_come_back() {
    let mut nat = Device::default();
    let rows = [
        (udp(INSIDE, OUTSIDE), "10.0.1.4:5000 > 198.51.100.9:53 udp"),
        (tcp(INSIDE, OUTSIDE), "10.0.1.4:5000 > 198.51.100.9:53 tcp"),
        (udp(INSIDE, "198.51.100.9:54"), "10.0.1.4:5000 > 198.51.100.9:54 udp"),
        (udp(OTHER, OUTSIDE), "10.0.1.4:1024 > 198.51.100.9:53 udp"),
        (udp("10.0.0.6:5000", OUTSIDE), "10.0.1.4:1025 > 198.51.100.9:53 udp"),
        (udp("10.0.0.6:53", OUTSIDE), "10.0.1.4:1026 > 198.51.100.9:53 udp"),
        (udp(OTHER, OUTSIDE), "10.0.1.4:1024 > 198.51.100.9:53 udp"),
        (
            echo(EchoKind::Request, "10.0.0.4", "198.51.100.9", 2_000),
            "10.0.1.4 > 198.51.100.9 icmp 2000",
        ),
        (
            echo(EchoKind::Request, "10.0.0.5", "198.51.100.9", 2_000),
            "10.0.1.4 > 198.51.100.9 icmp 1027",
        ),
    ];
    for (packet, want) in &rows {
        assert_eq!(nat.out(packet).as_deref(), Some(*want), "{packet:?}");
    }
    let rows = [
        (udp(OUTSIDE, "10.0.1.4:5000"), Some("198.51.100.9:53 > 10.0.0.4:5000 udp")),
        (tcp(OUTSIDE, "10.0.1.4:5000"), Some("198.51.100.9:53 > 10.0.0.4:5000 tcp")),
        (udp(OUTSIDE, "10.0.1.4:1024"), Some("198.51.100.9:53 > 10.0.0.5:5000 udp")),
        (udp(OUTSIDE, "10.0.1.4:1026"), Some("198.51.100.9:53 > 10.0.0.6:53 udp")),
        (
            echo(EchoKind::Reply, "198.51.100.9", DEVICE, 1_027),
            Some("198.51.100.9 > 10.0.0.5 icmp 2000"),
        ),
        // Answers to nothing: another port, another host, another protocol, another identifier.
        (udp("198.51.100.9:55", "10.0.1.4:5000"), None),
        (udp("198.51.100.8:53", "10.0.1.4:5000"), None),
        (tcp(OUTSIDE, "10.0.1.4:1024"), None),
        (udp(OUTSIDE, "10.0.1.4:9"), None),
        (echo(EchoKind::Reply, "198.51.100.9", DEVICE, 1_028), None),
    ];
    for (packet, want) in &rows {
        assert_eq!(nat.back(packet).as_deref(), *want, "{packet:?}");
    }
}

/// 350 s after the last packet of either side, and not at that instant any more.
#[test]
fn translations_expire() {
    let answer = udp(OUTSIDE, "10.0.1.4:5000");
    let request = udp(INSIDE, OUTSIDE);
    let error = build::port_unreachable(&udp("10.0.1.4:5000", OUTSIDE), socket(OUTSIDE).ip());
    let error = error.unwrap();
    for (last, name) in [(None, "request"), (Some(&request), "again"), (Some(&answer), "answer")] {
        for (after, alive) in [(349, true), (350, false), (351, false)] {
            let mut nat = Device::default();
            nat.out(&request);
            nat.at(100);
            match last {
                None => nat.at(0),
                Some(packet) if packet == &request => drop(nat.out(packet)),
                Some(packet) => drop(nat.back(packet)),
            }
            let from = if last.is_some() { 100 } else { 0 };
            nat.at(from + after);
            assert_eq!(nat.back(&error).is_some(), alive, "error, {name}, {after} s after");
            assert_eq!(nat.back(&answer).is_some(), alive, "{name}, {after} s after");
        }
    }
}

/// What has expired has no port: the next flow may have it.
#[test]
fn a_flow_that_comes_back_late_gets_a_port_again() {
    let mut nat = Device::default();
    nat.out(&udp(INSIDE, OUTSIDE));
    nat.at(350);
    let other = nat.out(&udp(OTHER, OUTSIDE)).unwrap();
    assert_eq!(other, "10.0.1.4:5000 > 198.51.100.9:53 udp");
    let again = nat.out(&udp(INSIDE, OUTSIDE)).unwrap();
    assert_eq!(again, "10.0.1.4:1024 > 198.51.100.9:53 udp");
    assert_eq!(nat.table.by_inside.len(), nat.table.by_outside.len());
}

/// Towards one port of one host there are as many translations as ports, 1024 to 65535 each once;
/// one more has to wait until one of them has expired.
#[test]
fn every_port_is_used_once() {
    let mut nat = Device::default();
    let ports = u32::from(u16::MAX - LOWEST_PORT) + 1;
    let mut used = std::collections::BTreeSet::new();
    let request = |n: u32| build::udp(inside(n), socket(OUTSIDE), b"?").unwrap();
    for n in 0..ports {
        let sent = nat.table.outwards(&request(n), DEVICE.parse().unwrap(), nat.now).unwrap();
        assert!(sent.flow().source_port >= LOWEST_PORT);
        assert!(used.insert(sent.flow().source_port), "{} twice", sent.flow());
    }
    assert_eq!(nat.out(&request(ports)), None);
    // Towards others there is room.
    assert!(nat.out(&udp(INSIDE, "198.51.100.9:54")).is_some());
    nat.at(349);
    assert_eq!(nat.out(&request(ports)), None);
    nat.at(350);
    assert!(nat.out(&request(ports)).is_some());
    assert_eq!((nat.table.by_inside.len(), nat.table.by_outside.len()), (1, 1));
    assert_eq!(nat.table.taken.into_values().collect::<Vec<_>>(), [1]);
}

/// The table has a bound over all destinations.
#[test]
fn translations_are_bounded() {
    let mut nat = Device::default();
    for n in 0..u32::try_from(NAT_TRANSLATIONS_MAX).unwrap() {
        let host = [198, 51, 100, if n % 2 == 0 { 8 } else { 9 }];
        let packet = build::udp(inside(n), SocketAddr::from((host, 53)), b"?").unwrap();
        assert!(nat.out(&packet).is_some(), "{n}");
    }
    assert_eq!(nat.out(&tcp(INSIDE, OUTSIDE)), None);
    nat.at(350);
    assert!(nat.out(&tcp(INSIDE, OUTSIDE)).is_some());
}

/// RFC 5508, 4.2: an error about a packet that the device sent goes to whoever sent it inside, and
/// quotes it as it was there.
#[test]
fn errors_find_whom_they_are_about() {
    let mut nat = Device::default();
    nat.out(&udp(INSIDE, OUTSIDE));
    let flow = "10.0.1.4:1024 > 198.51.100.9:53 udp";
    assert_eq!(nat.out(&udp(OTHER, OUTSIDE)).as_deref(), Some(flow));
    nat.out(&echo(EchoKind::Request, "10.0.0.5", "198.51.100.9", 700));
    let router = "192.0.2.1".parse().unwrap();
    let sent_ping = echo(EchoKind::Request, DEVICE, "198.51.100.9", 1_024);
    let rows = [
        (udp("10.0.1.4:1024", OUTSIDE), Some(udp(OTHER, OUTSIDE))),
        (udp("10.0.1.4:5000", OUTSIDE), Some(udp(INSIDE, OUTSIDE))),
        (sent_ping, Some(echo(EchoKind::Request, "10.0.0.5", "198.51.100.9", 700))),
        (udp("10.0.1.4:1025", OUTSIDE), None),
        (tcp("10.0.1.4:1024", OUTSIDE), None),
    ];
    for (about, want) in &rows {
        let error = build::time_exceeded(about, router).unwrap();
        let inwards = nat.table.inwards(&error, nat.now);
        let found = inwards.as_ref().map(|packet| {
            let quote = quoted(packet).unwrap();
            assert_eq!(packet.source(), router);
            assert_eq!(packet.destination(), quote.flow.source);
            with_echo(quote.flow, quote.echo)
        });
        let want = want.as_ref().map(|packet| with_echo(packet.flow(), packet.icmp_echo()));
        assert_eq!(found, want, "{about:?}");
        assert_eq!(shown(inwards).is_some(), want.is_some());
    }
}

/// The same the other way: what a host inside has to say about an answer that it was sent.
#[test]
fn errors_from_inside_look_as_if_the_device_had_them() {
    let mut nat = Device::default();
    nat.out(&udp(INSIDE, OUTSIDE));
    nat.out(&udp(OTHER, OUTSIDE));
    let device = DEVICE.parse().unwrap();
    for (answered, outside) in [(INSIDE, "10.0.1.4:5000"), (OTHER, "10.0.1.4:1024")] {
        let error = build::port_unreachable(&udp(OUTSIDE, answered), socket(answered).ip());
        let sent = nat.table.outwards(&error.unwrap(), device, nat.now).unwrap();
        assert_eq!(Packet::parse(sent.bytes().clone()), Ok(sent.clone()));
        assert_eq!((sent.source(), sent.destination()), (device, socket(OUTSIDE).ip()));
        assert_eq!(quoted(&sent).unwrap().flow, udp(OUTSIDE, outside).flow());
    }
}

/// A device has an address for each family; what expires of one must not be looked for under the
/// other.
#[test]
fn families_share_a_device() {
    let mut nat = Device::default();
    let v6 = udp("[2001:db8::4]:6000", "[2001:db8:1::9]:53");
    for round in 0..4 {
        nat.at(400 * round);
        let flow = nat.out(&udp(INSIDE, OUTSIDE));
        assert_eq!(flow.as_deref(), Some("10.0.1.4:5000 > 198.51.100.9:53 udp"), "{round}");
        nat.at(400 * round + 360);
        let own = "2001:db8::1".parse().unwrap();
        assert!(nat.table.outwards(&v6, own, nat.now).is_some());
        assert_eq!((nat.table.by_inside.len(), nat.table.by_outside.len()), (1, 1));
        assert_eq!(nat.table.taken.values().sum::<u16>(), 1);
    }
}

/// Later fragments have no ports: they follow their first one, in both directions, until it is
/// forgotten.
#[test]
fn fragments_follow_their_first() {
    let cut = |from, to, ident| {
        let whole = build::udp(socket(from), socket(to), &[7; 3_000]).unwrap();
        let parts = fragment(&clear_dont_fragment(&whole), Mtu::ETHERNET, ident).unwrap();
        assert_eq!(parts.len(), 3);
        parts
    };
    let mut nat = Device::default();
    let out = cut(INSIDE, OUTSIDE, 1);
    assert_eq!(nat.out(&out[1]), None, "nothing says where it belongs");
    for (part, want) in
        out.iter().zip(["10.0.1.4:5000 > 198.51.100.9:53", "10.0.1.4 >", "10.0.1.4 >"])
    {
        let sent = nat.out(part).unwrap();
        assert!(sent.starts_with(want), "{sent}");
    }
    let back = cut(OUTSIDE, "10.0.1.4:5000", 1);
    for part in &back {
        let sent = nat.back(part).unwrap();
        assert!(sent.contains("> 10.0.0.4"), "{sent}");
    }
    let other = cut(OUTSIDE, "10.0.1.4:5000", 2);
    assert_eq!(nat.back(&other[2]), None, "of another packet");
    nat.at(30);
    assert_eq!(nat.out(&out[2]), None, "too late");
}

#[test]
fn what_cannot_be_told_apart_is_not_translated() {
    let mut nat = Device::default();
    let reply_of_inside =
        build::port_unreachable(&udp(OUTSIDE, INSIDE), socket(INSIDE).ip()).unwrap();
    let v6 = udp("[2001:db8::4]:5000", "[2001:db8:1::9]:53");
    for packet in [reply_of_inside, v6] {
        assert_eq!(nat.out(&packet), None, "{packet:?}");
    }
    assert_eq!(nat.table, Translations::default(), "and leaves nothing behind");
}

// ---- in a cloud: by role ----------------------------------------------------------------------

/// A cloud with one instance, whose check is off, and its interface and address.
fn one_host() -> (Cloud, InterfaceId, IpAddr) {
    let mut cloud = Cloud::new(Profile::Seed, Span::ZERO);
    let caller = Caller { account: AccountId::DEFAULT, region: Region::default() };
    let mut ask = |command| cloud.apply(&caller, &command, Instant::START).unwrap();
    let cidr = "10.0.0.0/16".parse().unwrap();
    let made = ask(Command::CreateVpc { cidr });
    let Happened::VpcCreated { vpc, .. } = made[0].change else { panic!("{made:?}") };
    let made = ask(Command::CreateSubnet { vpc, cidr, ipv6: None, zone: None });
    let Happened::SubnetCreated { subnet, .. } = made[0].change else { panic!("{made:?}") };
    let source_dest_check = SourceDestCheck::Off;
    let groups = Vec::new();
    let run = Command::run_instance(NewInterface {
        source_dest_check,
        groups,
        ..NewInterface::in_subnet(subnet)
    });
    let made = ask(run);
    let Happened::InstanceRun { interface, .. } = made[0].change else { panic!("{made:?}") };
    let address = cloud.interface(interface).unwrap().addresses[0];
    (cloud, interface, address)
}

/// What becomes of a packet with this many hops left.
fn next(role: Option<Role>, from: &str, to: SocketAddr, hops: u8) -> (Next, SocketAddr) {
    let (cloud, at, address) = one_host();
    let mut boxes = Middleboxes::default();
    boxes.set_role(at, role);
    let mut packet = build::udp(socket(from), to, b"?").unwrap();
    while packet.hop_limit() > hops {
        packet = lower_hop_limit(&packet).unwrap();
    }
    (boxes.next(&cloud, at, &packet, Instant::START), SocketAddr::new(address, 5_000))
}

#[test]
fn roles_decide_what_becomes_of_a_packet() {
    let (_, _, own) = one_host();
    let own = SocketAddr::new(own, 53);
    let foreign = socket(OUTSIDE);
    let exceeded = Next::Dropped(DropReason::HopLimit);
    let rows = [
        ("no role", None, foreign, 64, Some(Next::Received)),
        ("no role, last hop", None, foreign, 1, Some(Next::Received)),
        ("router, for itself", Some(Role::Router), own, 1, Some(Next::Received)),
        ("router, last hop", Some(Role::Router), foreign, 1, Some(exceeded.clone())),
        ("router, last hop but one", Some(Role::Router), foreign, 2, None),
        ("router", Some(Role::Router), foreign, 64, None),
        ("NAT, for itself", Some(Role::Nat), own, 64, Some(Next::Received)),
        ("NAT, last hop", Some(Role::Nat), foreign, 1, Some(exceeded)),
        ("NAT", Some(Role::Nat), foreign, 2, None),
    ];
    for (name, role, to, hops, want) in rows {
        let (next, device) = next(role, INSIDE, to, hops);
        match want {
            Some(want) => assert_eq!(next, want, "{name}"),
            None => {
                let Next::SentOn(packet) = next else { panic!("{name}: {next:?}") };
                let translated = role == Some(Role::Nat);
                let from = if translated { device } else { socket(INSIDE) };
                assert_eq!(packet.hop_limit(), hops - 1, "{name}");
                assert_eq!(packet.flow().source_socket(), from, "{name}");
                assert_eq!(packet.flow().destination_socket(), to, "{name}");
            }
        }
    }
}

#[test]
fn a_role_can_be_taken_away_and_strangers_have_none() {
    let (cloud, at, _) = one_host();
    let mut boxes = Middleboxes::default();
    let packet = udp(INSIDE, OUTSIDE);
    boxes.set_role(at, Some(Role::Router));
    assert!(matches!(boxes.next(&cloud, at, &packet, Instant::START), Next::SentOn(_)));
    boxes.set_role(at, None);
    assert_eq!(boxes.role(at), None);
    assert_eq!(boxes.next(&cloud, at, &packet, Instant::START), Next::Received);
    assert_eq!(boxes, Middleboxes::default());
    let gone = Cloud::new(Profile::Seed, Span::ZERO);
    boxes.set_role(at, Some(Role::Router));
    assert_eq!(boxes.next(&gone, at, &packet, Instant::START), Next::Received);
}
