//! Random stories told to both twins: every verdict and every count must be equal. Then growth, with
//! a hash and without one, and what memory it takes.

use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::base::units::Mtu;
use crate::cloud::filter::Direction::{Egress, Ingress};
use crate::forward::Connections;
use crate::wire::{EchoKind, Protocol, build, clear_dont_fragment, fragment};

const SYN_ACK: TcpFlags = TcpFlags(0x12);
const FIN_ACK: TcpFlags = TcpFlags(0x11);
const ROWS: [usize; 3] = [0, 1, 7];

fn at(row: usize) -> InterfaceIdx {
    InterfaceIdx::from_row(row)
}

/// What a packet carries; the rest says its conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Udp,
    Tcp(TcpFlags),
    Echo(EchoKind),
    /// "Port unreachable" about the datagram of the conversation that went the other way.
    Unreachable,
    /// The first fragment of a datagram with this identification, and a later one.
    First(u16),
    Later(u16),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum V {
    Four,
    Six,
}

fn packet(kind: Kind, v: V, nth: u16, direction: Direction) -> Packet {
    let (near, far) = match v {
        V::Four => (SocketAddr::from(([10, 0, 0, 4], 0)), SocketAddr::from(([10, 1, 0, 4], 53))),
        V::Six => {
            let [near, far] = ["[fd00::4]:0", "[fd01::4]:53"].map(|text| text.parse().unwrap());
            (near, far)
        }
    };
    let near = SocketAddr::new(near.ip(), 40_000 + nth);
    let (from, to) = if direction == Egress { (near, far) } else { (far, near) };
    let pieces = |ident| {
        let whole = build::udp(from, to, &[0; 2_000]).unwrap();
        fragment(&clear_dont_fragment(&whole), Mtu::ETHERNET, ident).unwrap()
    };
    match (kind, v) {
        (Kind::Tcp(flags), _) => build::tcp(from, to, flags, 1, 1, b"").unwrap(),
        (Kind::Echo(kind), _) => build::echo(kind, from.ip(), to.ip(), 7 + nth, 1, b"?").unwrap(),
        (Kind::Unreachable, _) => {
            build::port_unreachable(&build::udp(to, from, b"?").unwrap(), from.ip()).unwrap()
        }
        // Hosts alone cut packets of IPv6.
        (Kind::First(ident), V::Four) => pieces(ident).remove(0),
        (Kind::Later(ident), V::Four) => pieces(ident).remove(1),
        _ => build::udp(from, to, b"?").unwrap(),
    }
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Limit(usize),
    Packet { wait: Span, row: usize, direction: Direction, kind: Kind, v: V, nth: u16, word: Word },
}

fn step() -> impl Strategy<Value = Step> {
    let select = |kinds: &[Kind]| proptest::sample::select(kinds.to_vec());
    let flags = [TcpFlags::SYN, SYN_ACK, TcpFlags::ACK, FIN_ACK, TcpFlags::RST].map(Kind::Tcp);
    let kind = prop_oneof![
        4 => Just(Kind::Udp),
        5 => select(&flags),
        1 => select(&[EchoKind::Request, EchoKind::Reply].map(Kind::Echo)),
        1 => Just(Kind::Unreachable),
        1 => (1..3_u16).prop_map(Kind::First),
        1 => (1..3_u16).prop_map(Kind::Later),
    ];
    let nanos: Vec<u64> = [0, 0, 0, 0, 1_000, 50, 29_900, 30_000, 119_000, 180_000, 432_000_000]
        .map(|millis| millis * 1_000_000)
        .into();
    let wait = (proptest::sample::select(nanos), 0..2_u64);
    let word =
        prop_oneof![1 => Just(Word::Refused), 1 => Just(Word::Untracked), 4 => Just(Word::Tracked)];
    let direction = proptest::sample::select(Direction::ALL.to_vec());
    let v = prop_oneof![3 => Just(V::Four), 1 => Just(V::Six)];
    let row = proptest::sample::select(ROWS.to_vec());
    let packet = (wait, row, direction, kind, v, 0..5_u16, word);
    prop_oneof![
        1 => (0..7_usize).prop_map(Step::Limit),
        30 => packet.prop_map(|((wait, tick), row, direction, kind, v, nth, word)| Step::Packet {
            wait: Span::from_nanos(wait + tick), row, direction, kind, v, nth, word,
        }),
    ]
}

/// How many connections of an interface the twin knows to live: the highest limit at which it says
/// that the interface is full.
fn live(twin: &Connections, row: usize, most: usize) -> usize {
    let stranger = build::udp(
        SocketAddr::from(([192, 0, 2, 1], 1)),
        SocketAddr::from(([192, 0, 2, 2], 2)),
        b"",
    );
    let stranger = stranger.unwrap();
    let full = |limit| {
        let mut twin = twin.clone();
        twin.set_limit(limit);
        twin.peek().judge(at(row), Egress, &stranger, || Word::Tracked) == Judgement::Full
    };
    (1..=most).rev().find(|limit| full(*limit)).unwrap_or_default()
}

/// Each count is of what is in the tables, and each entry that may have expired would be noticed.
fn assert_sound(flows: &Flows) {
    let mut counted = 0;
    for ledger in flows.ledgers.iter().flatten() {
        counted += ledger.entries;
    }
    assert_eq!(counted, flows.entries());
    for (row, ledger) in flows.ledgers.iter().enumerate() {
        let Some(ledger) = ledger else { continue };
        let now = flows.now.as_nanos();
        let live = flows.live(at(row));
        assert!(live <= ledger.entries, "{row}");
        assert!(!ledger.is_quiet(now) || live == ledger.entries, "quiet with the dead: {row}");
    }
}

fn tell(flows: &mut Flows, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut twin = Connections::default();
    let mut now = Instant::START;
    for (nth_step, step) in steps.iter().enumerate() {
        match *step {
            Step::Limit(most) => {
                twin.set_limit(most);
                flows.set_limit(most);
            }
            Step::Packet { wait, row, direction, kind, v, nth, word } => {
                now = now + wait;
                twin.set_now(now);
                flows.set_now(now);
                let packet = packet(kind, v, nth, direction);
                let want = twin.peek().judge(at(row), direction, &packet, || word);
                let got = flows.peek().judge(at(row), direction, &packet, || word);
                prop_assert_eq!(got, want, "peek {}: {:?}", nth_step, step);
                let want = twin.judge(at(row), direction, &packet, || word);
                let got = flows.judge(at(row), direction, &packet, || word);
                prop_assert_eq!(got, want, "{}: {:?}", nth_step, step);
            }
        }
        assert_sound(flows);
        for row in ROWS {
            prop_assert_eq!(flows.live(at(row)), live(&twin, row, 40), "{}", nth_step);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(384) })]

    #[test]
    fn twins_judge_alike(seed in any::<u64>(), steps in vec(step(), 1..120)) {
        tell(&mut Flows::new(Seed(seed)), &steps)?;
    }

    /// Also if every connection of the world has one hash: then all is in one home, its reach and
    /// the stash, and filings are told apart by nothing but their tick.
    #[test]
    fn twins_judge_alike_whatever_the_hash(steps in vec(step(), 1..120)) {
        tell(&mut without_a_hash(), &steps)?;
    }
}

fn without_a_hash() -> Flows {
    let flows = Flows::new(Seed(0));
    Flows { v4: flows.v4.without_a_hash(), v6: flows.v6.without_a_hash(), ..flows }
}

/// A long story with many connections at few interfaces, which come and go: the table grows, lets go
/// of what has expired, and an interface is full now and then.
fn many(mut flows: Flows, conversations: u64, steps: u32, most: usize) {
    let mut chance = Seed(9).stream("story");
    let mut twin = Connections::default();
    twin.set_limit(most);
    flows.set_limit(most);
    let mut now = Instant::START;
    let mut verdicts = [0; 3];
    for nth in 0..steps {
        if nth % 64 == 0 {
            // Now and then everything expires, but mostly little.
            let millis = if chance.below(400) == 0 { 200_000 } else { chance.below(400) };
            now = now + Span::from_millis(millis);
            twin.set_now(now);
            flows.set_now(now);
        }
        let number = u32::try_from(chance.below(conversations)).unwrap();
        let (row, port) = (number as usize % 3, u16::try_from(number % 60_000).unwrap());
        let near = SocketAddr::from(([10, 0, 0, 4], 0));
        let near = SocketAddr::new(near.ip(), port);
        let far = SocketAddr::from(([10, 1, u8::try_from(number / 60_000).unwrap(), 4], 53));
        let direction = if chance.below(2) == 0 { Egress } else { Ingress };
        let (from, to) = if direction == Egress { (near, far) } else { (far, near) };
        let flags = [TcpFlags::SYN, SYN_ACK, TcpFlags::ACK, FIN_ACK, TcpFlags::RST];
        let packet = match chance.below(20) {
            0..10 => build::udp(from, to, b"").unwrap(),
            kind => {
                let flags = flags[usize::try_from(kind).unwrap() % flags.len()];
                build::tcp(from, to, flags, 1, 1, b"").unwrap()
            }
        };
        let word = if chance.below(10) == 0 { Word::Refused } else { Word::Tracked };
        let want = twin.judge(at(row), direction, &packet, || word);
        let got = flows.judge(at(row), direction, &packet, || word);
        assert_eq!(got, want, "step {nth}: {packet:?}");
        verdicts[match want {
            Judgement::ByConnection(_) => 0,
            Judgement::Full => 1,
            _ => 2,
        }] += 1;
        if nth % 4_096 == 0 {
            assert_sound(&flows);
        }
    }
    assert!(verdicts.iter().all(|n| *n > steps / 50), "it tells something: {verdicts:?}");
}

#[test]
fn twins_judge_many_connections_alike() {
    many(Flows::new(Seed(1)), 30_000, 200_000, 4_000);
}

#[test]
fn twins_judge_many_connections_alike_without_a_hash() {
    many(without_a_hash(), 600, 20_000, 120);
}

fn nth_flow(nth: u32) -> Flow<Ipv4Addr> {
    let [a, b, c, d] = nth.to_be_bytes();
    Flow {
        source: Ipv4Addr::new(10, 0, 0, 4),
        destination: Ipv4Addr::new(10, a, b, c),
        protocol: Protocol::UDP,
        source_port: 1,
        destination_port: u16::from(d),
    }
}

fn fill(flows: &mut Flows, from: u32, until: u32, interfaces: u32) {
    for nth in from..until {
        let probe = flows.prefetch(at((nth % interfaces) as usize), Egress, &nth_flow(nth));
        let judged = flows.judge_probe(&probe, None, || Word::Tracked);
        assert_eq!(judged, Judgement::ByRule, "{nth}");
    }
}

fn assert_all_known(flows: &mut Flows, until: u32, interfaces: u32) {
    for nth in 0..until {
        let Flow { source, destination, protocol, source_port, destination_port } = nth_flow(nth);
        let answer = Flow {
            source: destination,
            destination: source,
            protocol,
            source_port: destination_port,
            destination_port: source_port,
        };
        let probe = flows.prefetch(at((nth % interfaces) as usize), Ingress, &answer);
        let judged = flows.judge_probe(&probe, None, || Word::Refused);
        assert_eq!(judged, Judgement::ByConnection(Egress), "{nth}");
    }
}

/// Nothing is lost while the table grows, at any moment of it, and a clone is as good.
#[test]
fn what_is_remembered_stays_while_the_table_grows() {
    let mut flows = Flows::new(Seed(5));
    for nth in 0..3_000 {
        fill(&mut flows, nth, nth + 1, 3);
        if nth % 97 == 0 {
            assert_all_known(&mut flows.clone(), nth + 1, 3);
        }
    }
    let mut copy = flows.clone();
    for flows in [&mut flows, &mut copy] {
        for thousands in 3..150 {
            fill(flows, thousands * 1_000, (thousands + 1) * 1_000, 3);
            let bytes = flows.bytes() / flows.entries();
            assert!(bytes <= 64 || thousands < 10, "{bytes} bytes a flow, {thousands},000 flows");
        }
        assert_all_known(flows, 150_000, 3);
        assert_eq!(flows.entries(), 150_000);
    }
}

/// Flows that come and go need no more room than those that live at the same time.
#[test]
fn what_has_expired_makes_room() {
    let mut flows = Flows::new(Seed(5));
    let mut sizes = Vec::new();
    for round in 0..8 {
        flows.set_now(Instant::START + Span::from_secs(40).times(round));
        let from = u32::try_from(round).unwrap() * 20_000;
        fill(&mut flows, from, from + 20_000, 4);
        sizes.push(flows.bytes());
    }
    let (first, last) = (sizes[0], sizes[7]);
    assert!(last <= first * 2, "{sizes:?}");
}

/// Ten million flows; `cargo test --release -- --ignored`.
#[test]
#[ignore = "takes 600 MB and half a minute"]
fn ten_million_flows_are_all_known() {
    const MANY: u32 = 10_000_000;
    let mut flows = Flows::new(Seed(5));
    fill(&mut flows, 0, MANY, 1_000);
    assert_all_known(&mut flows, MANY, 1_000);
    let bytes = flows.bytes() / MANY as usize;
    assert!(bytes <= 64, "{bytes} bytes a flow");
}
