//! Segments that no peer of ours sends: whatever comes in, the stack stands.

use proptest::collection::vec;
use proptest::prelude::*;

use super::world::{World, addresses, millis};
use super::*;

/// A segment near to what the connection expects, or not.
#[derive(Clone, Debug)]
struct Strange {
    to: usize,
    ours: bool,
    flags: u8,
    /// Behind what the other end sent last, and what it acknowledged last.
    sequence: i32,
    acknowledgement: i32,
    payload: usize,
    /// What stands in the place of options: kinds and lengths that mean something, mostly.
    options: Vec<u8>,
    /// Before it, so much time passes.
    after: u64,
}

fn offset() -> impl Strategy<Value = i32> {
    prop_oneof![-3..3, -3_000..3_000, any::<i32>()]
}

fn strange() -> impl Strategy<Value = Strange> {
    let place = (0..2_usize, prop::bool::weighted(0.9), any::<u8>(), offset(), offset());
    let options = vec(prop_oneof![0..11_u8, any::<u8>()], 0..40);
    let rest = (prop_oneof![Just(0), 0..3_000_usize], options, prop_oneof![Just(0), 0..3_000_u64]);
    (place, rest).prop_map(
        |((to, ours, flags, sequence, acknowledgement), (payload, options, after))| Strange {
            to,
            ours,
            flags,
            sequence,
            acknowledgement,
            payload,
            options,
            after,
        },
    )
}

/// `segment`, an IPv4 one without options, with the first `words` words of its data as its options.
fn with_options(segment: &Packet, words: u8) -> Packet {
    let mut bytes = segment.bytes().to_vec();
    bytes[32] += words << 4;
    // The checksum is the complement of a sum, of which this word is now so much more.
    let sum = u32::from(!u16::from_be_bytes([bytes[36], bytes[37]])) + (u32::from(words) << 12);
    let [.., high, low] = (!((sum & 0xffff) + (sum >> 16))).to_be_bytes();
    bytes[36] = high;
    bytes[37] = low;
    Packet::parse(bytes.into()).unwrap()
}

proptest! {
    /// Two stacks with a transfer, into which segments are thrown: no panic, time moves on (the
    /// world sees to that), and everything ends.
    #[test]
    fn whatever_comes_in_the_stack_stands(
        segments in vec(strange(), 0..30),
        serve in prop_oneof![Just(Serve::Sink), Just(Serve::Echo)],
        bytes in prop_oneof![Just(0), Just(10), Just(100_000_u64)],
    ) {
        let mut world = World::new(1);
        world.stacks[1].listen(80, serve).unwrap();
        world.pipes[0].loss = "5%".parse().unwrap();
        let id = world.connect(Family::V4, 40_000, bytes);
        let mut at = 0;
        for strange in segments {
            at += strange.after;
            world.run_until(millis(at));
            let last = |by: usize| {
                let sent = world.log.iter().rev().find(|sent| sent.by == by);
                sent.and_then(|sent| sent.packet.tcp()).map_or((0, 0), |header| {
                    (header.sequence, header.acknowledgement)
                })
            };
            let (sequence, acknowledgement) = last(1 - strange.to);
            let moved = |number: u32, by: i32| number.wrapping_add_signed(by);
            let hosts = addresses(Family::V4);
            let ports = if strange.ours { [40_000, 80] } else { [40_001, 80] };
            let ends = [0, 1].map(|n| SocketAddr::new(hosts[n], ports[n]));
            let words = u8::try_from(strange.options.len() / 4).unwrap();
            let mut payload = strange.options;
            payload.resize(usize::from(words) * 4 + strange.payload, 0xee);
            let segment = build::tcp(
                ends[1 - strange.to],
                ends[strange.to],
                TcpFlags(strange.flags),
                moved(sequence, strange.sequence),
                moved(acknowledgement, strange.acknowledgement),
                &payload,
            );
            let segment = with_options(&segment.unwrap(), words);
            let now = world.now.max(millis(at));
            world.deliver(now + Span::TICK, strange.to, segment);
        }
        world.run();
        let outcome = world.report(id).outcome;
        prop_assert!(!matches!(outcome, Outcome::Connecting | Outcome::Open), "{:?}", outcome);
    }
}

/// Nothing else than segments and "packet too big" does anything.
#[test]
fn other_packets_are_ignored() {
    let [ours, other] = addresses(Family::V4);
    let mut stack = TcpStack::new(vec![ours], Mtu::ETHERNET, Seed(1).stream("tcp"));
    stack.listen(80, Serve::Sink).unwrap();
    let ends = |port| (SocketAddr::new(other, 9), SocketAddr::new(ours, port));
    let (from, to) = ends(80);
    let elsewhere = SocketAddr::new(other, 80);
    for (packet, answers) in [
        (build::udp(from, to, b"x").unwrap(), 0),
        (build::tcp(from, elsewhere, TcpFlags::SYN, 1, 0, &[]).unwrap(), 0),
        (build::tcp(from, to, TcpFlags::RST, 1, 0, &[]).unwrap(), 0),
        (build::tcp(from, to, TcpFlags::ACK, 1, 0, &[]).unwrap(), 1),
        (build::tcp(from, to, TcpFlags::SYN | TcpFlags::ACK, 1, 0, &[]).unwrap(), 1),
        (build::tcp(from, to, TcpFlags::SYN, 1, 0, &[]).unwrap(), 1),
        (build::tcp(from, ends(81).1, TcpFlags::SYN, 1, 0, &[]).unwrap(), 1),
    ] {
        stack.receive(&packet, Instant::START);
        assert_eq!(stack.poll(Instant::START).count(), answers, "{packet:?}");
    }
}
