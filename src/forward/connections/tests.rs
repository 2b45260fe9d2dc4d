//! What interfaces remember: each idle time at, before and after its instant, what opens nothing,
//! and random stories against a list that is scanned in full.

use std::net::SocketAddr;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::base::units::Mtu;
use crate::cloud::filter::Direction::{Egress, Ingress};
use crate::wire::{EchoKind, build, clear_dont_fragment, fragment};

const SYN_ACK: TcpFlags = TcpFlags(0x12);
const FIN_ACK: TcpFlags = TcpFlags(0x11);

fn here() -> InterfaceIdx {
    InterfaceIdx::from_row(0)
}

/// What a test packet carries. Ports and identifiers are those of conversation `nth`, from the
/// interface's own side to the far one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Udp,
    Tcp(TcpFlags),
    EchoRequest,
    EchoReply,
    /// ICMP that is neither an echo nor an error.
    Timestamp,
    /// GRE, which has no ports.
    Gre,
    /// "Port unreachable" about the datagram of the conversation that went the other way.
    Unreachable,
    /// The first fragment of a datagram with this identification.
    First(u16),
    /// A later one.
    Later(u16),
}

fn ends(nth: u16, direction: Direction) -> (SocketAddr, SocketAddr) {
    let near = SocketAddr::from(([10, 0, 0, 4], 40_000 + nth));
    let far = SocketAddr::from(([10, 1, 0, 4], 53));
    match direction {
        Egress => (near, far),
        Ingress => (far, near),
    }
}

fn packet(kind: Kind, nth: u16, direction: Direction) -> Packet {
    let (from, to) = ends(nth, direction);
    let echo = |kind| build::echo(kind, from.ip(), to.ip(), 7 + nth, 1, b"?").unwrap();
    let pieces = |ident| {
        let whole = build::udp(from, to, &[0; 2_000]).unwrap();
        fragment(&clear_dont_fragment(&whole), Mtu::ETHERNET, ident).unwrap()
    };
    match kind {
        Kind::Udp => build::udp(from, to, b"?").unwrap(),
        Kind::Tcp(flags) => build::tcp(from, to, flags, 1, 1, b"").unwrap(),
        Kind::EchoRequest => echo(EchoKind::Request),
        Kind::EchoReply => echo(EchoKind::Reply),
        Kind::Timestamp => raw(Protocol::ICMP, from, to, &[13, 0, 0xf2, 0xff, 0, 0, 0, 0]),
        Kind::Gre => raw(Protocol(47), from, to, &[0; 8]),
        Kind::Unreachable => {
            build::port_unreachable(&build::udp(to, from, b"?").unwrap(), from.ip()).unwrap()
        }
        Kind::First(ident) => pieces(ident).remove(0),
        Kind::Later(ident) => pieces(ident).remove(1),
    }
}

/// An IPv4 packet of any protocol.
fn raw(protocol: Protocol, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Packet {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (from.ip(), to.ip()) else { unreachable!() };
    let length = u8::try_from(20 + payload.len()).unwrap();
    let mut bytes = vec![0x45, 0, 0, length, 0, 0, 0x40, 0, 64, protocol.0, 0, 0];
    bytes.extend(from.octets());
    bytes.extend(to.octets());
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap();
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    bytes.extend(payload);
    Packet::parse(Bytes::from(bytes)).unwrap()
}

fn says(
    memory: &mut Connections,
    kind: Kind,
    nth: u16,
    direction: Direction,
    word: Word,
) -> Judgement {
    memory.judge(here(), direction, &packet(kind, nth, direction), || word)
}

/// Lets each packet pass by a rule if nothing else lets it.
fn after(packets: &[(Direction, Kind)]) -> Connections {
    let mut memory = Connections::default();
    for (direction, kind) in packets {
        says(&mut memory, *kind, 0, *direction, Word::Tracked);
    }
    memory
}

/// What was heard, what is asked afterwards, and after how many seconds in vain.
type Life<'a> = (&'a str, &'a [(Direction, Kind)], Kind, u64);

/// 3.7: each kind of connection lives until its idle time is over, and not at that instant any more.
#[test]
fn connections_live_as_long_as_they_are_said_to() {
    use Kind::*;
    const SYN: Kind = Tcp(TcpFlags::SYN);
    const ACK: Kind = Tcp(TcpFlags::ACK);
    const ANSWER: Kind = Tcp(SYN_ACK);
    const END: Kind = Tcp(FIN_ACK);
    let open = [(Egress, SYN), (Ingress, ANSWER), (Egress, ACK)];
    let closed = [(Egress, SYN), (Ingress, ANSWER), (Egress, END), (Ingress, END)];
    let exchange = [(Egress, Udp), (Ingress, Udp)];
    let rows: &[Life<'_>] = &[
        ("a datagram", &[(Egress, Udp)], Udp, 30),
        ("a datagram from outside", &[(Ingress, Udp)], Udp, 30),
        ("many one way", &[(Egress, Udp); 5], Udp, 30),
        ("one exchange", &exchange, Udp, 30),
        ("two requests, one answer", &[exchange[0], exchange[0], exchange[1]], Udp, 30),
        ("two exchanges", &[exchange, exchange].concat(), Udp, 180),
        ("SYN", &[(Egress, SYN)], ACK, 120),
        ("SYN and a stray FIN", &[(Egress, SYN), (Egress, END)], ACK, 120),
        ("a FIN alone", &[(Ingress, END)], ACK, 120),
        ("SYN, SYN", &[(Egress, SYN), (Ingress, SYN)], ACK, 432_000),
        ("handshake", &open, ACK, 432_000),
        ("half closed", &closed[..3], ACK, 432_000),
        ("closed", &closed, ACK, 120),
        (
            "closed by the other side first",
            &[&open[..], &[closed[3], closed[2]]].concat(),
            ACK,
            120,
        ),
        ("FIN twice from one side", &[&open[..], &[closed[2], closed[2]]].concat(), ACK, 432_000),
        ("echo", &[(Egress, EchoRequest)], EchoReply, 600),
        ("echo, answered", &[(Egress, EchoRequest), (Ingress, EchoReply)], EchoReply, 600),
        ("other ICMP", &[(Egress, Timestamp)], Timestamp, 600),
        ("GRE", &[(Egress, Gre), (Ingress, Gre)], Gre, 600),
    ];
    for (name, packets, probe, seconds) in rows {
        let memory = after(packets);
        let idle = Instant::START + Span::from_secs(*seconds);
        let before = Instant::from_nanos(idle.as_nanos() - 1);
        let alive = Judgement::ByConnection(packets[0].0);
        for (when, want) in
            [(before, alive), (idle, Judgement::Refused), (idle + Span::TICK, Judgement::Refused)]
        {
            for direction in Direction::ALL {
                let mut memory = memory.clone();
                memory.set_now(when);
                let says = says(&mut memory, *probe, 0, direction, Word::Refused);
                assert_eq!(says, want, "{name}, {direction} at {when}");
            }
        }
    }
}

#[test]
fn every_packet_of_a_connection_starts_its_idle_time_anew() {
    let mut memory = after(&[(Egress, Kind::Udp)]);
    for n in 1..10 {
        memory.set_now(Instant::START + Span::from_secs(29).times(n));
        let says = says(&mut memory, Kind::Udp, 0, Egress, Word::Refused);
        assert_eq!(says, Judgement::ByConnection(Egress), "{n}");
    }
}

#[test]
fn what_is_not_tracked_is_not_remembered() {
    let mut memory = Connections::default();
    for kind in [Kind::Udp, Kind::Tcp(TcpFlags::SYN)] {
        assert_eq!(says(&mut memory, kind, 0, Egress, Word::Untracked), Judgement::ByRule);
        assert_eq!(says(&mut memory, kind, 0, Ingress, Word::Refused), Judgement::Refused);
    }
    assert!(memory.is_blank(here()));
    assert_eq!(memory, Connections::default());
}

/// What is refused leaves no trace either, so that nobody can fill the table with it.
#[test]
fn what_is_refused_is_not_remembered() {
    let mut memory = Connections::default();
    says(&mut memory, Kind::Udp, 0, Ingress, Word::Refused);
    says(&mut memory, Kind::First(1), 0, Ingress, Word::Refused);
    assert_eq!(memory, Connections::default());
}

/// Whatever nobody answers takes no room.
#[test]
fn resets_errors_and_later_fragments_open_no_connection() {
    for kind in [Kind::Tcp(TcpFlags::RST), Kind::Unreachable, Kind::Later(1)] {
        let mut memory = Connections::default();
        memory.set_limit(0);
        assert_eq!(says(&mut memory, kind, 0, Egress, Word::Tracked), Judgement::ByRule);
        assert_eq!(memory.count(here()), 0, "{kind:?}");
    }
}

#[test]
fn a_reset_ends_a_connection() {
    let reset = Kind::Tcp(TcpFlags::RST);
    for direction in Direction::ALL {
        let mut memory = after(&[(Egress, Kind::Tcp(TcpFlags::SYN))]);
        let ended = says(&mut memory, reset, 0, direction, Word::Refused);
        assert_eq!(ended, Judgement::ByConnection(Egress), "the reset itself passes");
        let next = says(&mut memory, Kind::Tcp(TcpFlags::ACK), 0, direction, Word::Refused);
        assert_eq!((next, memory.count(here())), (Judgement::Refused, 0));
    }
}

/// An error passes if it is about a packet that went the other way; it keeps nothing alive.
#[test]
fn errors_about_a_connection_belong_to_it() {
    let error = Kind::Unreachable;
    let mut memory = after(&[(Egress, Kind::Udp)]);
    let rows = [
        (0, Ingress, Judgement::Related),
        (0, Egress, Judgement::Related),
        (1, Ingress, Judgement::Refused),
        (1, Egress, Judgement::Refused),
    ];
    for (nth, direction, want) in rows {
        let says = says(&mut memory, error, nth, direction, Word::Refused);
        assert_eq!(says, want, "{nth}, {direction}");
    }
    memory.set_now(Instant::START + Span::from_secs(30));
    assert_eq!(says(&mut memory, error, 0, Ingress, Word::Refused), Judgement::Refused);
}

/// 3.4, our choice: a later fragment passes if the first did, in the same direction, for a while.
#[test]
fn later_fragments_follow_the_first() {
    let mut memory = Connections::default();
    let mut says = |seconds, kind, direction, word| {
        memory.set_now(Instant::START + Span::from_secs(seconds));
        says(&mut memory, kind, 0, direction, word)
    };
    use Kind::{First, Later};
    use Word::{Refused, Tracked, Untracked};
    let rows = [
        ("before the first", 0, Later(1), Ingress, Refused, Judgement::Refused),
        ("a first that is refused", 0, First(1), Ingress, Refused, Judgement::Refused),
        ("behind it", 0, Later(1), Ingress, Refused, Judgement::Refused),
        ("a first that passes", 0, First(1), Ingress, Tracked, Judgement::ByRule),
        ("behind it", 0, Later(1), Ingress, Refused, Judgement::FragmentOfPassed),
        ("another packet's", 0, Later(2), Ingress, Refused, Judgement::Refused),
        ("the other way", 0, Later(1), Egress, Refused, Judgement::Refused),
        ("at the last moment", 29, Later(1), Ingress, Refused, Judgement::FragmentOfPassed),
        ("kept alive by that", 58, Later(1), Ingress, Refused, Judgement::FragmentOfPassed),
        ("too late", 88, Later(1), Ingress, Refused, Judgement::Refused),
        ("a first that is not tracked", 88, First(3), Egress, Untracked, Judgement::ByRule),
        ("behind it", 88, Later(3), Egress, Refused, Judgement::FragmentOfPassed),
        ("by a rule of its own", 88, Later(4), Egress, Tracked, Judgement::ByRule),
        ("and the next", 88, Later(4), Egress, Refused, Judgement::FragmentOfPassed),
    ];
    for (name, seconds, kind, direction, word, want) in rows {
        assert_eq!(says(seconds, kind, direction, word), want, "{name} at {seconds} s");
    }
}

/// A router's interface sees a packet come and go: that its first fragment was let in does not let
/// the others out.
#[test]
fn fragments_are_judged_in_each_direction() {
    let mut memory = Connections::default();
    let mut judge = |kind, direction, word| {
        let passing = packet(kind, 0, Ingress);
        memory.judge(here(), direction, &passing, || word)
    };
    assert_eq!(judge(Kind::First(1), Ingress, Word::Tracked), Judgement::ByRule);
    assert_eq!(judge(Kind::First(1), Egress, Word::Refused), Judgement::Refused);
    assert_eq!(judge(Kind::Later(1), Ingress, Word::Refused), Judgement::FragmentOfPassed);
    assert_eq!(judge(Kind::Later(1), Egress, Word::Refused), Judgement::Refused);
}

/// As many fragmented packets as are remembered, and one more, whose rest is judged by the rules.
#[test]
fn fragments_are_bounded() {
    let mut memory = Connections::default();
    let most = u16::try_from(FRAGMENTS_TRACKED_MAX).unwrap();
    for ident in 1..=most + 1 {
        assert_eq!(
            says(&mut memory, Kind::First(ident), 0, Egress, Word::Untracked),
            Judgement::ByRule
        );
    }
    let mut later = |ident| says(&mut memory, Kind::Later(ident), 0, Egress, Word::Refused);
    assert_eq!(later(most), Judgement::FragmentOfPassed);
    assert_eq!(later(most + 1), Judgement::Refused);
}

#[test]
fn a_full_table_takes_nothing_new_until_something_expires() {
    let mut memory = Connections::default();
    memory.set_limit(2);
    for (nth, want) in [(0, Judgement::ByRule), (1, Judgement::ByRule), (2, Judgement::Full)] {
        assert_eq!(says(&mut memory, Kind::Udp, nth, Egress, Word::Tracked), want, "{nth}");
    }
    // What is remembered, and what need not be, passes all the same.
    let known = says(&mut memory, Kind::Udp, 1, Ingress, Word::Refused);
    assert_eq!(known, Judgement::ByConnection(Egress));
    assert_eq!(says(&mut memory, Kind::Udp, 2, Egress, Word::Untracked), Judgement::ByRule);
    memory.set_now(Instant::START + Span::from_secs(30));
    assert_eq!(says(&mut memory, Kind::Udp, 2, Egress, Word::Tracked), Judgement::ByRule);
    assert_eq!(memory.count(here()), 1, "what had expired is gone");
}

/// A connection that closes expires earlier than it was to: a full table must notice.
#[test]
fn a_full_table_notices_what_expires_earlier_than_it_was_to() {
    let mut memory = Connections::default();
    memory.set_limit(1);
    let syn = Kind::Tcp(TcpFlags::SYN);
    let open = [(Egress, syn), (Ingress, Kind::Tcp(SYN_ACK))];
    for (direction, kind) in open {
        says(&mut memory, kind, 0, direction, Word::Tracked);
    }
    memory.set_now(Instant::START + Span::from_secs(1_000));
    assert_eq!(says(&mut memory, syn, 1, Egress, Word::Tracked), Judgement::Full);
    for direction in Direction::ALL {
        says(&mut memory, Kind::Tcp(FIN_ACK), 0, direction, Word::Refused);
    }
    memory.set_now(Instant::START + Span::from_secs(1_119));
    assert_eq!(says(&mut memory, syn, 1, Egress, Word::Tracked), Judgement::Full);
    memory.set_now(Instant::START + Span::from_secs(1_120));
    assert_eq!(says(&mut memory, syn, 1, Egress, Word::Tracked), Judgement::ByRule);
}

#[test]
fn interfaces_remember_for_themselves_and_time_does_not_go_back() {
    let mut memory = after(&[(Egress, Kind::Udp)]);
    let answer = packet(Kind::Udp, 0, Ingress);
    let other = InterfaceIdx::from_row(7);
    assert_eq!(memory.judge(other, Ingress, &answer, || Word::Refused), Judgement::Refused);
    memory.set_now(Instant::START + Span::from_secs(30));
    memory.set_now(Instant::START);
    assert_eq!(memory.judge(here(), Ingress, &answer, || Word::Refused), Judgement::Refused);
}

// ---- a model: a list of connections, searched in full -----------------------------------------

/// A connection as the model sees it: everything that was heard of it.
#[derive(Clone, Debug)]
struct Heard {
    /// Protocol, and the ports or the identifier; 0 where there are none.
    about: (Protocol, u16),
    packets: Vec<(Direction, Option<TcpFlags>)>,
    last: Instant,
}

impl Heard {
    fn count(&self, direction: Direction) -> usize {
        self.packets.iter().filter(|(d, _)| *d == direction).count()
    }

    fn finished(&self, direction: Direction) -> bool {
        let fin = |f: &Option<TcpFlags>| f.is_some_and(|f| f.contains(TcpFlags::FIN));
        self.packets.iter().any(|(d, flags)| *d == direction && fin(flags))
    }

    /// 3.7, in the model's words.
    fn idle(&self) -> u64 {
        let both = |at_least| Direction::ALL.iter().all(|d| self.count(*d) >= at_least);
        match self.about.0 {
            Protocol::UDP if both(2) => 180,
            Protocol::UDP => 30,
            Protocol::TCP if Direction::ALL.iter().all(|d| self.finished(*d)) => 120,
            Protocol::TCP if both(1) => 432_000,
            Protocol::TCP => 120,
            _ => 600,
        }
    }
}

#[derive(Clone, Default, Debug)]
struct Model {
    connections: Vec<Heard>,
    fragments: Vec<(Direction, u16, u16, Instant)>,
    most: usize,
}

impl Model {
    fn judge(&mut self, now: Instant, step: &Step) -> Judgement {
        let Step { direction, kind, nth, word, .. } = *step;
        self.connections.retain(|c| now < c.last + Span::from_secs(c.idle()));
        self.fragments.retain(|(.., last)| now < *last + Span::from_secs(30));
        let ident = match kind {
            Kind::First(ident) | Kind::Later(ident) => Some(ident),
            _ => None,
        };
        let judgement = self.decide(now, direction, kind, nth, word);
        if let Some(ident) = ident
            && ![Judgement::Refused, Judgement::Full].contains(&judgement)
        {
            self.fragments.retain(|(d, i, _, _)| (*d, *i) != (direction, ident));
            self.fragments.push((direction, ident, nth, now));
        }
        judgement
    }

    fn decide(
        &mut self,
        now: Instant,
        direction: Direction,
        kind: Kind,
        nth: u16,
        word: Word,
    ) -> Judgement {
        let about = match kind {
            Kind::Udp | Kind::First(_) => (Protocol::UDP, 40_000 + nth),
            Kind::Later(_) => (Protocol::UDP, 0),
            Kind::Tcp(_) => (Protocol::TCP, 40_000 + nth),
            Kind::EchoRequest | Kind::EchoReply => (Protocol::ICMP, 7 + nth),
            Kind::Timestamp | Kind::Unreachable => (Protocol::ICMP, 0),
            Kind::Gre => (Protocol(47), 0),
        };
        let flags = if let Kind::Tcp(flags) = kind { Some(flags) } else { None };
        let known = |list: &Vec<Heard>, about| list.iter().position(|c| c.about == about);
        match kind {
            Kind::Later(ident) => {
                if self.fragments.iter().any(|(d, i, ..)| (*d, *i) == (direction, ident)) {
                    return Judgement::FragmentOfPassed;
                }
            }
            Kind::Unreachable => {
                if known(&self.connections, (Protocol::UDP, 40_000 + nth)).is_some() {
                    return Judgement::Related;
                }
            }
            _ => {
                if let Some(at) = known(&self.connections, about) {
                    let connection = &mut self.connections[at];
                    connection.packets.push((direction, flags));
                    connection.last = now;
                    let opened = connection.packets[0].0;
                    if flags.is_some_and(|f| f.contains(TcpFlags::RST)) {
                        self.connections.remove(at);
                    }
                    return Judgement::ByConnection(opened);
                }
            }
        }
        match word {
            Word::Refused => Judgement::Refused,
            Word::Untracked => Judgement::ByRule,
            Word::Tracked if flags.is_some_and(|f| f.contains(TcpFlags::RST)) => Judgement::ByRule,
            Word::Tracked if matches!(kind, Kind::Later(_) | Kind::Unreachable) => {
                Judgement::ByRule
            }
            Word::Tracked if self.connections.len() >= self.most => Judgement::Full,
            Word::Tracked => {
                let new = Heard { about, packets: vec![(direction, flags)], last: now };
                self.connections.push(new);
                Judgement::ByRule
            }
        }
    }
}

/// A packet that is judged after some time has passed.
#[derive(Clone, Copy, Debug)]
struct Step {
    wait: Span,
    direction: Direction,
    kind: Kind,
    nth: u16,
    word: Word,
}

fn step() -> impl Strategy<Value = Step> {
    let flags = [TcpFlags::SYN, SYN_ACK, TcpFlags::ACK, FIN_ACK, TcpFlags::RST].map(Kind::Tcp);
    let others = [Kind::EchoRequest, Kind::EchoReply, Kind::Timestamp, Kind::Gre];
    let kind = prop_oneof![
        3 => Just(Kind::Udp),
        4 => proptest::sample::select(flags.to_vec()),
        2 => proptest::sample::select(others.to_vec()),
        1 => Just(Kind::Unreachable),
        1 => (0..3_u16).prop_map(|ident| Kind::First(ident + 1)),
        1 => (0..3_u16).prop_map(|ident| Kind::Later(ident + 1)),
    ];
    let seconds = proptest::sample::select(vec![0_u64, 0, 0, 1, 29, 30, 119, 120, 180, 432_000]);
    let wait = (seconds, any::<bool>()).prop_map(|(seconds, tick)| {
        Span::from_secs(seconds) + if tick { Span::TICK } else { Span::ZERO }
    });
    let word = proptest::sample::select(vec![Word::Refused, Word::Untracked, Word::Tracked]);
    let direction = proptest::sample::select(Direction::ALL.to_vec());
    (wait, direction, kind, 0..3_u16, word).prop_map(|(wait, direction, kind, nth, word)| Step {
        wait,
        direction,
        kind,
        nth,
        word,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// The table and the list judge every packet of every story alike, and so does a peek after
    /// the fact, but for what a packet has changed itself.
    #[test]
    fn the_table_judges_as_a_list_would(most in 0..5_usize, steps in vec(step(), 1..60)) {
        let mut memory = Connections::default();
        memory.set_limit(most);
        let mut model = Model { most, ..Model::default() };
        let mut now = Instant::START;
        for (nth, step) in steps.iter().enumerate() {
            now = now + step.wait;
            memory.set_now(now);
            let packet = packet(step.kind, step.nth, step.direction);
            let peeked = memory.peek().judge(here(), step.direction, &packet, || step.word);
            let judged = memory.judge(here(), step.direction, &packet, || step.word);
            prop_assert_eq!(judged, model.judge(now, step), "{}: {:?}", nth, step);
            let passes = |j| ![Judgement::Refused, Judgement::Full].contains(&j);
            prop_assert_eq!(passes(peeked), passes(judged), "{}: peek at {:?}", nth, step);
            prop_assert!(memory.count(here()) <= most, "never more than the limit");
        }
    }
}
