//! Hosts that are played outside: what they send is carried like everything else, and what arrives for
//! them is handed out; and what a view shows of it.
//!
//! Refuses to need a device: packets are bytes here. With devices: `tests/live`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure names the line")]

use std::net::IpAddr;
use std::path::Path;

use bytes::Bytes;
use vpclab::base::id::InterfaceId;
use vpclab::base::time::Span;
use vpclab::cloud::Cloud;
use vpclab::cloud::event::ResourceId;
use vpclab::live::view::{View, screen, stream};
use vpclab::scenario::{load, run};
use vpclab::sim::{LinkDefaults, Player, Sim, Twin};
use vpclab::wire::{EchoKind, Offload, Packet, TcpFlags, build};

use crate::pages::current;

/// A world of a file with some of its hosts outside.
struct Theatre {
    sim: Sim,
    view: View,
}

impl Theatre {
    fn of(file: &str, outside: &[&str]) -> Theatre {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(file);
        let loaded = load::load(&path).unwrap();
        let mut sim = run::build(&loaded, None, Twin::Compiled).unwrap().into_sim();
        sim.set_link_defaults(LinkDefaults::NONE);
        let mut theatre = Theatre { sim, view: View::default() };
        for name in outside {
            let (interface, _) = theatre.host(name);
            theatre.sim.set_player(interface, Player::Outside).unwrap();
        }
        theatre
    }

    fn host(&self, name: &str) -> (InterfaceId, IpAddr) {
        let cloud: &Cloud = self.sim.cloud();
        let is_meant = |id| cloud.name(ResourceId::Instance(id)) == Some(name);
        let (_, instance) = cloud.instances().find(|(id, _)| is_meant(*id)).unwrap();
        let interface = instance.interface().unwrap();
        (interface, cloud.interface(interface).unwrap().addresses[0])
    }

    /// Sends, and gives what arrives for hosts outside.
    fn send(
        &mut self,
        from: &str,
        packet: &Packet,
        offload: Offload,
    ) -> Vec<(InterfaceId, Packet)> {
        let (interface, _) = self.host(from);
        let bytes = packet.bytes().clone();
        self.send_bytes(interface, bytes, offload)
    }

    fn send_bytes(
        &mut self,
        from: InterfaceId,
        bytes: Bytes,
        offload: Offload,
    ) -> Vec<(InterfaceId, Packet)> {
        self.sim.send_from_outside(from, bytes, offload, &mut self.view);
        let mut arrived = Vec::new();
        while let Some(at) = self.sim.next_event() {
            self.sim.run_until(at, &mut self.view).unwrap();
        }
        self.sim.fetch_arrivals(|at, packet| arrived.push((at, packet)));
        arrived
    }

    fn echo(&self, from: &str, to: &str) -> Packet {
        let (from, to) = (self.host(from).1, self.host(to).1);
        build::echo(EchoKind::Request, from, to, 1, 1, &[0; 56]).unwrap()
    }

    fn segment(&self, from: &str, to: &str, bytes: usize) -> Packet {
        let (from, to) = (self.host(from).1, self.host(to).1);
        let data = vec![7; bytes];
        build::tcp((from, 999).into(), (to, 80).into(), TcpFlags::ACK, 1, 1, &data).unwrap()
    }
}

const FIRST: &str = "first/not-transitive.yaml";

#[test]
fn what_arrives_for_a_host_outside_is_handed_out() {
    let mut theatre = Theatre::of(FIRST, &["a", "b"]);
    let (a, _) = theatre.host("a");
    let request = theatre.echo("b", "a");
    // Nobody answers but the process behind it.
    assert_eq!(theatre.send("b", &request, Offload::NONE), [(a, request)]);
    let beyond = theatre.echo("b", "c");
    assert_eq!(theatre.send("b", &beyond, Offload::NONE), []);
    assert_eq!(theatre.send_bytes(a, Bytes::from_static(b"\x45"), Offload::NONE), []);
}

#[test]
fn hosts_inside_answer_those_outside() {
    let mut theatre = Theatre::of(FIRST, &["b"]);
    let (b, address) = theatre.host("b");
    let request = theatre.echo("b", "a");
    let arrived = theatre.send("b", &request, Offload::NONE);
    let [(at, answer)] = &arrived[..] else { panic!("{arrived:?}") };
    assert_eq!((*at, answer.destination()), (b, address));
    assert_eq!(answer.icmp_echo().unwrap().kind, EchoKind::Reply);
}

#[test]
fn a_host_that_comes_home_is_played_by_the_simulator_again() {
    let mut theatre = Theatre::of(FIRST, &["a", "b"]);
    let (a, _) = theatre.host("a");
    theatre.sim.set_player(a, Player::Simulator).unwrap();
    let request = theatre.echo("b", "a");
    assert_eq!(theatre.send("b", &request, Offload::NONE).len(), 1, "the answer");
}

#[test]
fn a_question_of_the_lab_is_answered_by_the_lab() {
    use vpclab::sim::{Datagrams, Load, Pace, Source};
    let mut theatre = Theatre::of(FIRST, &["a"]);
    let packet = theatre.echo("b", "a");
    let load = Load::Ping { first: packet, count: 1, pace: Pace::Every(Span::TICK) };
    let source = Source { from: theatre.host("b").0, meant: Some(theatre.host("a").0), load };
    let probe = theatre.sim.start(Datagrams::Returned, [source]).unwrap();
    theatre.sim.run_probe(probe, &mut ()).unwrap();
    assert_eq!(theatre.sim.tally(probe).answers.delivered, 1);
    let mut arrived = 0;
    theatre.sim.fetch_arrivals(|_, _| arrived += 1);
    assert_eq!(arrived, 0, "no process hears of it");
}

#[test]
fn segments_that_are_yet_to_be_cut_cross_a_peering_whole() {
    let mut theatre = Theatre::of(FIRST, &["a", "b"]);
    let whole = theatre.segment("b", "a", 60_000);
    // A peering of 2014 takes 1,500 bytes, 40 of them headers.
    let offload = Offload::segments(1_460).unwrap();
    let arrived = theatre.send("b", &whole, offload);
    let [(_, packet)] = &arrived[..] else { panic!("{arrived:?}") };
    assert_eq!((packet.offload(), packet.len()), (offload, whole.len()));
    // Each segment counts.
    let summary = theatre.view.summary(theatre.sim.cloud(), theatre.sim.now(), Span::from_secs(1));
    let delivered = summary.delivered.1;
    assert_eq!(delivered.packets, 42);
    assert_eq!(delivered.bytes, 60_000 + 42 * 40);
    // Longer segments than the way takes do not pass: the sender hears how long they may be.
    let offload = Offload::segments(1_461).unwrap();
    let arrived = theatre.send("b", &whole, offload);
    let [(at, notice)] = &arrived[..] else { panic!("{arrived:?}") };
    assert_eq!(*at, theatre.host("b").0);
    let told = notice.icmp().unwrap();
    assert!(notice.len() < 600 && told.kind == 3 && told.code == 4, "{notice:?}");
}

#[test]
fn a_host_inside_gets_segments_as_they_are_on_a_wire() {
    let mut theatre = Theatre::of(FIRST, &["b"]);
    let whole = theatre.segment("b", "a", 5_000);
    // Nobody listens there: each segment is reset.
    let arrived = theatre.send("b", &whole, Offload::segments(1_000).unwrap());
    assert_eq!(arrived.len(), 5, "{arrived:?}");
}

#[test]
fn a_view_shows_who_talks_and_what_is_dropped() {
    let mut theatre = Theatre::of(FIRST, &["a", "b", "c"]);
    for _ in 0..3 {
        let (near, far) = (theatre.echo("b", "a"), theatre.echo("b", "c"));
        theatre.send("b", &near, Offload::NONE);
        theatre.send("b", &far, Offload::NONE);
    }
    let whole = theatre.segment("a", "b", 60_000);
    theatre.send("a", &whole, Offload::segments(1_460).unwrap());
    let now = theatre.sim.now() + Span::from_secs(2);
    let summary = theatre.view.summary(theatre.sim.cloud(), now, Span::from_secs(1));
    let size = screen::Size { rows: 30, columns: 96 };
    let mut text = screen::screen("lab first  3 live instances", &summary, size);
    text += "----\n";
    let small = screen::Size { rows: 8, columns: 40 };
    text += &screen::screen("lab first  3 live instances", &summary, small);
    text += "----\n";
    stream::lines(&summary).iter().for_each(|line| text += &format!("{line}\n"));
    text += "----\n";
    // What was seen is no news any more, and stays in the totals.
    let later = theatre.view.summary(theatre.sim.cloud(), now, Span::from_secs(1));
    text += &screen::screen("lab first  3 live instances", &later, size);
    assert_eq!(stream::lines(&later), Vec::<serde_json::Value>::new());
    current("tests/data/live-view.txt", &text);
}

#[test]
fn a_view_of_nothing_says_so() {
    let theatre = Theatre::of(FIRST, &[]);
    let summary = theatre.view.summary(theatre.sim.cloud(), theatre.sim.now(), Span::ZERO);
    let text = screen::screen("lab", &summary, screen::Size { rows: 20, columns: 80 });
    assert!(
        text.contains("nobody has talked yet") && text.contains("nothing was dropped"),
        "{text}"
    );
}

#[test]
fn a_link_of_long_latency_is_not_filled_without_end() {
    use vpclab::base::limit::OUTSIDE_PENDING_MAX;
    use vpclab::sim::{LinkOf, LinkSpec};
    let mut theatre = Theatre::of(FIRST, &["a", "b"]);
    let (b, _) = theatre.host("b");
    let far = LinkSpec { latency: Span::from_secs(20), ..LinkSpec::VPC };
    theatre.sim.set_link(LinkOf::Interface(b), far);
    let request = theatre.echo("b", "a");
    for _ in 0..OUTSIDE_PENDING_MAX + 10 {
        let (bytes, view) = (request.bytes().clone(), &mut theatre.view);
        theatre.sim.send_from_outside(b, bytes, Offload::NONE, view);
    }
    let summary = theatre.view.summary(theatre.sim.cloud(), theatre.sim.now(), Span::from_secs(1));
    let [full] = &summary.reasons[..] else { panic!("{:?}", summary.reasons) };
    assert_eq!((full.reason.label(), full.total.packets), ("queue-full", 10));
}

#[test]
fn a_view_goes_on_after_a_thousand_kinds_of_drops() {
    let mut theatre = Theatre::of(FIRST, &["b", "c"]);
    let (b, from) = theatre.host("b");
    for n in 0..1_500_u32 {
        let to = std::net::Ipv4Addr::from_bits(0xc0a8_0000 + n);
        let packet = build::udp((from, 1).into(), (to, 1).into(), b"?").unwrap();
        theatre.send_bytes(b, packet.bytes().clone(), Offload::NONE);
    }
    let beyond = theatre.echo("c", "b");
    theatre.send("c", &beyond, Offload::NONE);
    let summary = theatre.view.summary(theatre.sim.cloud(), theatre.sim.now(), Span::from_secs(1));
    let last = summary.last.unwrap().1;
    assert!(last.to_string().contains("transit"), "{last}");
    assert!(summary.ended.iter().any(|ended| ended.reason.label() == "transit"));
    assert!(summary.ended.len() <= 1_000);
}
