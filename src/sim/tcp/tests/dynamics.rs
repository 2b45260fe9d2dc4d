//! How a transfer answers to latency, loss and rate, on links where theory says what to expect.

use super::world::{World, millis};
use super::*;

/// A transfer that loses these segments with data, by number, over a link of 100 Mbit/s and 20 ms.
fn losing(segments: &[u64], bytes: u64) -> (World, Report) {
    let mut world = World::new(1);
    world.stacks[1].listen(80, Serve::Sink).unwrap();
    world.pipes[0].rate = Some("100Mbit/s".parse().unwrap());
    world.pipes[0].losing = segments.to_vec();
    let id = world.connect(Family::V4, 40_000, bytes);
    world.run();
    let report = world.report(id);
    assert_eq!((report.outcome, report.acknowledged), (Outcome::Done, bytes), "{segments:?}");
    assert!(world.stream(0) == pattern(usize::try_from(bytes).unwrap()));
    (world, report)
}

/// How many segments were on their way at most after `from`.
fn most_in_flight(world: &World, from: Instant) -> u32 {
    let mut acknowledged = None;
    let mut most = 0;
    for sent in &world.log {
        let header = sent.packet.tcp().unwrap();
        if sent.by == 1 {
            acknowledged = Some(header.acknowledgement);
        } else if let Some(acknowledged) = acknowledged
            && sent.at >= from
            && !sent.packet.payload().is_empty()
        {
            let length = u32::try_from(sent.packet.payload().len()).unwrap();
            most = most.max(header.sequence.wrapping_add(length).wrapping_sub(acknowledged));
        }
    }
    most / 1_460
}

/// The window doubles with each round trip, from one segment.
#[test]
fn slow_start_doubles() {
    let (world, _) = losing(&[], 300_000);
    let counts: Vec<usize> = (1..=7)
        .map(|round| {
            let round = millis(20 * round)..millis(20 * (round + 1));
            world.data(0).filter(|sent| round.contains(&sent.at)).count()
        })
        .collect();
    assert_eq!(counts, [1, 2, 4, 8, 16, 32, 64]);
}

/// Whether one segment of a window is lost or several: each is sent once more, nobody waits for a
/// timer, and the window is halved once. Segment 128 begins a window of 128.
#[test]
fn one_window_with_losses_is_one_halving() {
    let (_, without) = losing(&[], 3_000_000);
    let times = [&[128][..], &[128, 130, 140, 150, 160, 170, 180, 190]].map(|lost| {
        let (world, report) = losing(lost, 3_000_000);
        assert_eq!(report.retransmitted, lost.len() as u64);
        let resent = world.data(0).nth(1_000).unwrap().at;
        let window = most_in_flight(&world, resent);
        assert!((64..128).contains(&window), "{lost:?}: {window}");
        report.transfer_time().unwrap()
    });
    assert!(times[0] > without.transfer_time().unwrap());
    // The round trips in which the other holes are filled carry new data as well.
    let (one, eight) = (times[0].as_secs_f64(), times[1].as_secs_f64());
    assert!(eight < one * 1.6, "{one} and {eight}");
}

/// A window that is lost whole: the timer, a second at least, and slow start.
#[test]
fn a_lost_window_waits_for_the_timer() {
    let all: Vec<u64> = (64..128).collect();
    let (world, report) = losing(&all, 1_000_000);
    assert_eq!(report.retransmitted, 64);
    let mut gaps = world.data(0).zip(world.data(0).skip(1)).map(|(a, b)| b.at.since(a.at));
    assert!(gaps.any(|gap| gap >= Span::from_millis(900)));
    assert!(report.transfer_time().unwrap() < Span::from_millis(1_600));
}

/// A segment that is lost again and again: the timer doubles.
#[test]
fn the_timer_backs_off() {
    let (world, _) = losing(&[1, 2, 3, 4], 1_000);
    let sent: Vec<u64> = world.data(0).map(|sent| sent.at.as_nanos() / 1_000_000 - 20).collect();
    assert_eq!(sent, [0, 1_000, 3_000, 7_000, 15_000]);
}

/// Many losses, in both directions: everything arrives, once and in order. The work is bounded: a
/// stack is called for packets and for timers, and timers are few.
#[test]
fn everything_arrives_whatever_is_lost() {
    for seed in 0..8 {
        for (loss, bytes) in [("1%", 300_000), ("10%", 100_000), ("20%", 20_000)] {
            let mut world = World::new(seed);
            world.stacks[1].listen(80, Serve::Echo).unwrap();
            for pipe in &mut world.pipes {
                pipe.loss = loss.parse().unwrap();
                pipe.rate = Some("10Mbit/s".parse().unwrap());
                pipe.queue = 20;
            }
            let id = world.connect(Family::V6, 40_000, bytes);
            world.run();
            let report = world.report(id);
            let case = format!("seed {seed}, {loss}");
            assert_eq!((report.outcome, report.received), (Outcome::Done, bytes), "{case}");
            let sent = pattern(usize::try_from(bytes).unwrap());
            assert!(world.stream(0) == sent && world.stream(1) == sent, "{case}");
            assert!(world.polls < 4 * world.log.len() as u64 + 100, "{case}: {}", world.polls);
        }
    }
}

/// Goodput in Mbit/s of ten seconds.
fn goodput(rtt: u64, loss: &str, rate: &str, seed: u64) -> f64 {
    let mut world = World::new(seed);
    world.stacks[1].listen(80, Serve::Sink).unwrap();
    for pipe in &mut world.pipes {
        pipe.latency = Span::from_millis(rtt / 2);
        pipe.rate = Some(rate.parse().unwrap());
    }
    world.pipes[0].loss = loss.parse().unwrap();
    let id = world.connect(Family::V4, 40_000, u64::MAX);
    world.run_until(millis(10_000));
    world.report(id).acknowledged as f64 * 8.0 / 10.0 / 1e6
}

/// The formula of Mathis et al. (1997) says what loss leaves, and the link says the rest. Within
/// bounds that hold for every seed tried; benches/tcp.rs has the figures of long transfers.
#[test]
fn goodput_answers_to_latency_loss_and_rate() {
    let mathis = |rtt: f64, p: f64| 1_460.0 * 8.0 / rtt * (1.5_f64 / p).sqrt() / 1e6;
    for (rtt, loss, rate, bound) in [
        (20, "0%", "10Mbit/s", 10.0),
        (100, "0%", "10Mbit/s", 10.0),
        (20, "0%", "50Mbit/s", 50.0),
        (20, "1%", "100Mbit/s", mathis(0.02, 0.01)),
        (20, "0.1%", "100Mbit/s", mathis(0.02, 0.001)),
        (50, "1%", "100Mbit/s", mathis(0.05, 0.01)),
        (100, "1%", "100Mbit/s", mathis(0.1, 0.01)),
    ] {
        let mut ratios: Vec<f64> =
            (0..5).map(|seed| goodput(rtt, loss, rate, seed) / bound).collect();
        ratios.sort_by(f64::total_cmp);
        let median = ratios[2];
        assert!((0.7..1.3).contains(&median), "{rtt} ms, {loss}, {rate}: {ratios:?}");
    }
}
