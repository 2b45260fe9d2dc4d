//! Path MTU discovery: who is believed, how low it goes, how long it is remembered.

use super::world::{World, addresses, millis};
use super::*;

/// A transfer between hosts with jumbo frames over a link that takes less. Gives the world, the
/// connection, and how long it took from the handshake to the last acknowledgement.
fn transfer(family: Family, mtu: u16, router: bool) -> (World, ConnectionId) {
    let mut world = World::with_mtu(1, Mtu::JUMBO);
    world.stacks[1].listen(80, Serve::Sink).unwrap();
    for pipe in &mut world.pipes {
        pipe.mtu = Mtu::new(mtu).unwrap();
        pipe.router = router.then(|| match family {
            Family::V4 => "10.0.0.1".parse().unwrap(),
            Family::V6 => "fd00::1".parse().unwrap(),
        });
    }
    let id = world.connect(family, 40_000, 1_000_000);
    (world, id)
}

#[test]
fn a_narrow_path_is_found_out_and_nothing_waits_for_it() {
    for (family, mtu) in
        [(Family::V4, 1_500), (Family::V4, 576), (Family::V6, 1_500), (Family::V6, 1_280)]
    {
        let (mut world, id) = transfer(family, mtu, true);
        world.run();
        let report = world.report(id);
        let case = format!("{family} {mtu}");
        assert_eq!((report.outcome, report.acknowledged), (Outcome::Done, 1_000_000), "{case}");
        assert_eq!(report.mtu.bytes(), mtu, "{case}");
        assert!(world.stream(0) == pattern(1_000_000), "{case}");
        // Without a wait for smoltcp's retransmission timer, which is a second at least.
        let took = report.transfer_time().unwrap();
        assert!(took < Span::from_millis(500), "{case}: {took}");
        let too_long = world.log.iter().filter(|sent| sent.packet.len() > mtu.into()).count();
        assert_eq!(too_long, 1, "{case}: one is lost, the others are shorter");
    }
}

#[test]
fn a_black_hole_stays_one() {
    let (mut world, id) = transfer(Family::V4, 1_500, false);
    world.run();
    let report = world.report(id);
    assert_eq!((report.outcome, report.acknowledged), (Outcome::TimedOut, 0));
    assert!(report.connected_at.is_some(), "the handshake is short enough");
}

#[test]
fn the_next_connection_knows_and_later_it_is_tried_again() {
    let (mut world, _) = transfer(Family::V4, 1_500, true);
    world.run();
    for (at, too_long) in [(60_000, 0), (700_000, 1)] {
        world.log.clear();
        world.now = millis(at);
        let port = 40_001 + u16::try_from(at / 1_000).unwrap();
        let id = world.connect(Family::V4, port, 1_000_000);
        world.run();
        assert_eq!(world.report(id).outcome, Outcome::Done);
        let longer = world.log.iter().filter(|sent| sent.packet.len() > 1_500).count();
        assert_eq!(longer, too_long, "at {at} ms");
        // What its SYN announces is about its own link.
        let options = &world.log[0].packet.bytes()[40..44];
        assert_eq!(options, [2, 4, 0x23, 0x29 - 40], "9,001 less the headers");
    }
}

/// Which messages about a long segment on its way are believed.
#[test]
fn only_what_is_on_its_way_can_be_too_big() {
    let [local, remote] = addresses(Family::V4);
    let router = "10.0.0.1".parse().unwrap();
    // How far the quoted sequence number is from the first byte that was not acknowledged, the
    // quoted port, the MTU told, and the one heeded.
    for (offset, port, told, heeded) in [
        (0, 40_000, 1_500, 1_500),
        (2_047, 40_000, 1_500, 1_500),
        (0, 40_000, 68, 576),
        (0, 40_000, 9_001, 9_001),
        (2_048, 40_000, 1_500, 9_001),
        (-1, 40_000, 1_500, 9_001),
        (1 << 31, 40_000, 1_500, 9_001),
        (0, 40_001, 1_500, 9_001),
    ] {
        let mut world = World::with_mtu(1, Mtu::JUMBO);
        world.stacks[1].listen(80, Serve::Sink).unwrap();
        let id = world.connect(Family::V4, 40_000, 1_000_000);
        // The first data have just been sent.
        world.run_until(millis(21));
        let first = world.data(0).next().unwrap().packet.tcp().unwrap().sequence;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "modulo 2^32")]
        let sequence = first.wrapping_add(offset as u32);
        let ends = (SocketAddr::new(local, port), SocketAddr::new(remote, 80));
        let quoted = build::tcp(ends.0, ends.1, TcpFlags::ACK, sequence, 0, &[0; 8_000]).unwrap();
        let message = build::too_big(&quoted, router, Mtu::new(told).unwrap()).unwrap();
        let now = world.now;
        world.stacks[0].receive(&message, now);
        assert_eq!(world.report(id).mtu.bytes(), heeded, "{offset} {port} {told}");
        world.run();
        assert_eq!(world.report(id).outcome, Outcome::Done, "{offset} {port} {told}");
    }
}
