//! Connections over a pipe: how they open, carry, and end; that the same seed gives the same bytes.

mod dynamics;
mod hostile;
mod paths;
mod world;

use super::*;
use crate::base::rng::Seed;
use world::{World, addresses, millis};

/// What the first sends: the byte at place `n` is `n` modulo 256.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..=255).cycle().take(bytes).collect()
}

#[test]
fn a_transfer_carries_everything_and_both_sides_close() {
    for family in Family::ALL {
        for serve in [Serve::Sink, Serve::Echo] {
            for bytes in [0, 1, 1_460, 3_000_000] {
                let case = format!("{family}, {serve:?}, {bytes} bytes");
                let mut world = World::new(1);
                world.stacks[1].listen(80, serve).unwrap();
                let id = world.connect(family, 40_000, bytes);
                assert_eq!(world.report(id).outcome, Outcome::Connecting);
                world.run();
                let report = world.report(id);
                assert_eq!(report.outcome, Outcome::Done, "{case}");
                assert_eq!(report.acknowledged, bytes, "{case}");
                assert_eq!(report.connected_at, Some(millis(20)), "{case}");
                assert_eq!(report.first_byte_at, (bytes > 0).then_some(millis(20)), "{case}");
                assert_eq!(report.last_ack_at.is_some(), bytes > 0, "{case}");
                assert_eq!(report.retransmitted, 0, "{case}");
                let served = world.stacks[1].totals();
                assert_eq!((served.accepted, served.received), (1, bytes), "{case}");
                let sent = pattern(usize::try_from(bytes).unwrap());
                assert!(world.stream(0) == sent, "{case}");
                let back = if serve == Serve::Echo { bytes } else { 0 };
                assert_eq!(report.received, back, "{case}");
                assert!(world.stream(1) == sent[..usize::try_from(back).unwrap()], "{case}");
                for stack in &world.stacks {
                    assert_eq!((stack.connections().count(), stack.next_wake()), (0, None));
                }
            }
        }
    }
}

#[test]
fn a_port_where_nothing_listens_refuses() {
    for family in Family::ALL {
        let mut world = World::new(1);
        let id = world.connect(family, 40_000, 1_000);
        world.run();
        assert_eq!(world.report(id).outcome, Outcome::Refused);
        assert_eq!(world.report(id).ended_at, Some(millis(20)));
        let flags: Vec<_> = world.log.iter().map(|sent| sent.packet.tcp_flags().unwrap()).collect();
        assert_eq!(flags, [TcpFlags::SYN, TcpFlags::RST | TcpFlags::ACK]);
    }
}

/// When SYNs go out over a link that is cut, in seconds, and when the caller gives up.
#[test]
fn a_connection_that_nobody_answers_times_out() {
    for (connect, syns, end) in [
        (Patience::default().connect, &[0, 1, 3, 7, 15, 31, 63, 123][..], 127),
        (Span::from_secs(5), &[0, 1, 3], 5),
    ] {
        let mut world = World::new(1);
        world.stacks[1].listen(80, Serve::Sink).unwrap();
        world.pipes[0].cut_at = Instant::START;
        let patience = Patience { connect, ..Patience::default() };
        let [local, remote] = addresses(Family::V4);
        let (local, remote) = (SocketAddr::new(local, 40_000), SocketAddr::new(remote, 80));
        let transfer = Transfer { bytes: 1, patience };
        let id = world.stacks[0].connect(local, remote, transfer, Instant::START).unwrap();
        world.run();
        assert_eq!(world.report(id).outcome, Outcome::TimedOut);
        assert_eq!(world.report(id).ended_at, Some(millis(end * 1_000)));
        let sent: Vec<_> = world.log.iter().map(|sent| sent.at).collect();
        assert_eq!(sent, syns.iter().map(|s| millis(s * 1_000)).collect::<Vec<_>>());
        assert_eq!(world.report(id).retransmitted, syns.len() as u64 - 1);
    }
}

/// The link is cut in one direction, while data are under way or between the two FINs.
#[test]
fn a_peer_that_falls_silent_is_given_up() {
    for (direction, cut, bytes) in [(0, 200, 10_000_000), (1, 200, 10_000_000), (1, 25, 0)] {
        let mut world = World::new(1);
        world.stacks[1].listen(80, Serve::Sink).unwrap();
        world.pipes[direction].cut_at = millis(cut);
        let id = world.connect(Family::V4, 40_000, bytes);
        world.run();
        let report = world.report(id);
        assert_eq!(report.outcome, Outcome::TimedOut);
        assert!(report.acknowledged < 10_000_000);
        // The last sign of life is at most a round trip after the cut.
        let silence = report.ended_at.unwrap().since(millis(cut));
        let about = Span::from_millis(300_000 - 20)..=Span::from_millis(300_000 + 20);
        assert!(about.contains(&silence), "{silence}");
    }
}

#[test]
fn a_peer_that_has_forgotten_resets() {
    let mut world = World::new(1);
    world.stacks[1].listen(80, Serve::Sink).unwrap();
    let id = world.connect(Family::V4, 40_000, 10_000_000);
    world.run_until(millis(100));
    let [_, forgetful] = addresses(Family::V4);
    world.stacks[1] = TcpStack::new(vec![forgetful], Mtu::ETHERNET, Seed(2).stream("tcp:1"));
    world.run();
    let report = world.report(id);
    assert_eq!(report.outcome, Outcome::Reset);
    assert!(report.acknowledged > 0 && report.acknowledged < 10_000_000);
    assert!(world.now < millis(200), "it takes a round trip");
}

#[test]
fn ten_transfers_at_once_share_a_link() {
    let mut world = World::new(1);
    world.stacks[1].listen(80, Serve::Sink).unwrap();
    world.pipes[0].rate = Some("10Mbit/s".parse().unwrap());
    let ids: Vec<_> = (0..10).map(|n| world.connect(Family::V4, 40_000 + n, 250_000)).collect();
    world.run_until(millis(1_000));
    let carried: u64 = ids.iter().map(|id| world.report(*id).acknowledged).sum();
    // 10 Mbit/s for a second less the handshake, of which a thirtieth is headers.
    assert!((1_100_000..1_220_000).contains(&carried), "{carried}");
    for id in &ids {
        assert!(world.report(*id).acknowledged > 30_000, "everybody gets a share");
    }
    world.run();
    for id in ids {
        let report = world.report(id);
        assert_eq!((report.outcome, report.acknowledged), (Outcome::Done, 250_000));
    }
}

#[test]
fn the_same_seed_gives_the_same_packets() {
    let run = |seed| {
        let mut world = World::new(seed);
        world.stacks[1].listen(80, Serve::Echo).unwrap();
        world.pipes[0].loss = "2%".parse().unwrap();
        for n in 0..3 {
            world.connect(Family::ALL[usize::from(n % 2)], 40_000 + n, 200_000);
        }
        world.run();
        world.log
    };
    assert!(run(1) == run(1));
    let first = |seed| run(seed)[0].packet.tcp().unwrap().sequence;
    assert_ne!(first(1), first(2));
}

/// A connection without anything to say needs no waking, however long it lasts.
#[test]
fn an_idle_connection_sleeps() {
    let mut world = World::new(1);
    world.stacks[1].listen(80, Serve::Sink).unwrap();
    world.pipes[0].cut_at = millis(200);
    world.connect(Family::V4, 40_000, 10_000_000);
    world.run();
    let live: Vec<_> = world.stacks[1].connections().map(|(_, report)| report.outcome).collect();
    assert_eq!((live, world.stacks[1].next_wake()), (vec![Outcome::Open], None));
}

#[test]
fn what_a_stack_will_not_do() {
    let [v4, v6] = Family::ALL.map(|family| addresses(family)[0]);
    let mut stack = TcpStack::new(vec![v4, v6], Mtu::ETHERNET, Seed(1).stream("tcp"));
    let transfer = Transfer { bytes: 1, patience: Patience::default() };
    let mut connect = |local: &str, remote: &str| {
        let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
        stack.connect(local, remote, transfer, Instant::START).err().map(|e| e.to_string())
    };
    for (local, remote, want) in [
        ("10.0.0.10:1", "10.1.0.10:80", None),
        ("10.0.0.10:1", "10.1.0.10:80", Some("port 1 is in use")),
        ("10.0.0.10:1", "10.1.0.10:81", None),
        ("[fd00::a]:1", "[fd00:1::a]:80", None),
        ("10.0.0.11:1", "10.1.0.10:80", Some("10.0.0.11 is not an address of this instance")),
        ("10.0.0.10:0", "10.1.0.10:80", Some("port 0 cannot be used")),
        ("10.0.0.10:1", "10.1.0.10:0", Some("nobody can be reached at 10.1.0.10:0")),
        ("10.0.0.10:1", "0.0.0.0:80", Some("nobody can be reached at 0.0.0.0:80")),
        ("10.0.0.10:1", "224.0.0.1:80", Some("nobody can be reached at 224.0.0.1:80")),
        ("10.0.0.10:1", "255.255.255.255:80", Some("nobody can be reached at 255.255.255.255:80")),
        (
            "10.0.0.10:1",
            "[fd00:1::a]:80",
            Some("no connection from 10.0.0.10 to fd00:1::a: the address families differ"),
        ),
    ] {
        assert_eq!(connect(local, remote).as_deref(), want, "{local} to {remote}");
    }
    assert_eq!(stack.listen(80, Serve::Sink), Ok(()));
    assert_eq!(stack.listen(80, Serve::Echo), Err(TcpError::InUse(80)));
    assert_eq!(stack.listen(0, Serve::Echo), Err(TcpError::PortZero));
}

#[test]
fn connections_are_bounded() {
    let mut world = World::new(1);
    world.stacks[1].listen(80, Serve::Sink).unwrap();
    let [local, remote] = addresses(Family::V4);
    let most = u16::try_from(TCP_CONNECTIONS_PER_STACK_MAX).unwrap();
    for port in 1..=most {
        world.connect(Family::V4, port, 0);
    }
    let one_more = world.stacks[0].connect(
        SocketAddr::new(local, most + 1),
        SocketAddr::new(remote, 80),
        Transfer { bytes: 0, patience: Patience::default() },
        Instant::START,
    );
    assert_eq!(one_more, Err(TcpError::TooMany));
    let syn = |port| {
        let ends = (SocketAddr::new(local, port), SocketAddr::new(remote, 80));
        build::tcp(ends.0, ends.1, TcpFlags::SYN, 7, 0, &[]).unwrap()
    };
    world.deliver(millis(15), 1, syn(most + 1));
    world.run_until(millis(15));
    let totals = world.stacks[1].totals();
    assert_eq!((totals.accepted, totals.turned_away), (u64::from(most), 1));
}
