//! TCP between two instances, measured in virtual time: does goodput answer to latency, loss and
//! rate as it should?
//!
//! One transfer goes over a link with a rate, a latency, a queue and random loss. Its goodput stands
//! beside the least of what theory allows: the link's rate, the window over the round trip, and the
//! formula of Mathis, Semke, Mahdavi and Ott (1997) for what loss leaves. Several seeds, median with
//! spread. Refuses to judge, and to measure the host: only the last figure is in its time.
//!
//! ```text
//! cargo bench --bench tcp -- [--seeds 7] [--seconds 60]
//! ```
#![allow(clippy::print_stdout, reason = "the figures are the output")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run says so and stops")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant as HostInstant;

use vpclab::base::rng::{Seed, Stream};
use vpclab::base::time::{Instant, Span};
use vpclab::base::units::{BitRate, Probability};
use vpclab::sim::tcp::{Patience, Serve, TcpStack, Transfer};
use vpclab::wire::Packet;

/// What both directions of the link are like; only what goes to the server is lost.
#[derive(Clone, Copy)]
struct Path {
    rtt: Span,
    loss: &'static str,
    rate: &'static str,
    queue: usize,
    mtu: u16,
}

struct Link {
    rate: BitRate,
    latency: Span,
    loss: Probability,
    queue: usize,
    chance: Stream,
    free_at: Instant,
    waiting: VecDeque<Instant>,
    lost: u64,
    overflowed: u64,
}

impl Link {
    fn carry(&mut self, now: Instant, packet: &Packet) -> Option<Instant> {
        if self.loss.happens(&mut self.chance) {
            self.lost += 1;
            return None;
        }
        while self.waiting.front().is_some_and(|begins| *begins <= now) {
            self.waiting.pop_front();
        }
        let begins = self.free_at.max(now);
        if begins > now {
            if self.waiting.len() >= self.queue {
                self.overflowed += 1;
                return None;
            }
            self.waiting.push_back(begins);
        }
        self.free_at = begins + self.rate.time_for(packet.len());
        Some(self.free_at + self.latency)
    }
}

struct Outcome {
    goodput: f64,
    retransmitted: u64,
    segments: u64,
    lost: u64,
    overflowed: u64,
    packets: u64,
}

fn transfer(path: Path, seconds: u64, seed: u64) -> Outcome {
    let seed = Seed(seed);
    let link = |loss: &str, name| Link {
        rate: path.rate.parse().unwrap(),
        latency: Span::from_nanos(path.rtt.as_nanos() / 2),
        loss: loss.parse().unwrap(),
        queue: path.queue,
        chance: seed.stream(name),
        free_at: Instant::START,
        waiting: VecDeque::new(),
        lost: 0,
        overflowed: 0,
    };
    let mut links = [link(path.loss, "there"), link("0", "back")];
    let addresses: [IpAddr; 2] = ["10.0.0.10".parse().unwrap(), "10.1.0.10".parse().unwrap()];
    let mut stacks =
        addresses.map(|a| TcpStack::new(vec![a], path.mtu, seed.stream(&a.to_string())));
    stacks[1].listen(80, Serve::Sink).unwrap();
    let ends = [SocketAddr::new(addresses[0], 40_000), SocketAddr::new(addresses[1], 80)];
    let plan = Transfer { bytes: u64::MAX, patience: Patience::default() };
    let id = stacks[0].connect(ends[0], ends[1], plan, Instant::START).unwrap();

    let end = Instant::START + Span::from_secs(seconds);
    let mut queue = BinaryHeap::new();
    let mut packets: Vec<Option<Packet>> = Vec::new();
    let mut now = Instant::START;
    let mut count = 0;
    let trace = std::env::var_os("TRACE").is_some();
    while now < end {
        for at in [0, 1] {
            if stacks[at].next_wake().is_some_and(|wake| wake <= now) {
                for packet in stacks[at].poll(now) {
                    count += 1;
                    let there = links[at].carry(now, &packet);
                    if trace {
                        println!(
                            "{:.6} {at} {packet:?} {:?} {}",
                            now.as_nanos() as f64 / 1e9,
                            packet.tcp(),
                            there.is_none()
                        );
                    }
                    if let Some(there) = there {
                        queue.push(Reverse((there, packets.len(), 1 - at)));
                        packets.push(Some(packet));
                    }
                }
            }
        }
        let wakes = stacks.iter().filter_map(TcpStack::next_wake).min();
        let arrival = queue.peek().map(|Reverse((at, ..))| *at);
        let Some(next) = wakes.into_iter().chain(arrival).min() else { break };
        assert!(next >= now, "time goes on");
        now = next;
        while let Some(Reverse((at, n, to))) = queue.peek().copied()
            && at <= now
        {
            queue.pop();
            stacks[to].receive(&packets[n].take().unwrap(), now);
        }
    }
    let report = stacks[0].report(id).unwrap();
    let goodput = report.acknowledged as f64 * 8.0 / report.transfer_time().unwrap().as_secs_f64();
    Outcome {
        goodput,
        retransmitted: report.retransmitted,
        segments: report.segments,
        lost: links[0].lost,
        overflowed: links[0].overflowed,
        packets: count,
    }
}

/// What loss with probability `p` leaves to Reno, in bits a second.
fn mathis(path: Path, p: f64) -> f64 {
    let mss = f64::from(path.mtu - 40);
    mss * 8.0 / path.rtt.as_secs_f64() * (1.5_f64).sqrt() / p.sqrt()
}

fn main() {
    let argument = |name: &str| {
        let mut args = std::env::args().skip_while(|arg| arg != name);
        args.nth(1).map(|value| value.parse::<u64>().unwrap())
    };
    let seeds = argument("--seeds").unwrap_or(7);
    let seconds = argument("--seconds").unwrap_or(60);
    println!("one transfer of {seconds} s, {seeds} seeds; median (min..max)");
    for loss in ["0%", "0.01%", "0.1%", "1%"] {
        for rtt in [20, 50, 100] {
            let queue = argument("--queue").unwrap_or(1000) as usize;
            let path =
                Path { rtt: Span::from_millis(rtt), loss, rate: "100Mbit/s", queue, mtu: 1_500 };
            let p = loss.trim_end_matches('%').parse::<f64>().unwrap() / 100.0;
            let bound = mathis(path, p).min(100e6 * 1460.0 / 1500.0);
            let started = HostInstant::now();
            let mut runs: Vec<_> = (0..seeds).map(|seed| transfer(path, seconds, seed)).collect();
            let took = started.elapsed().as_secs_f64();
            runs.sort_by(|a, b| a.goodput.total_cmp(&b.goodput));
            let ratio = |run: &Outcome| run.goodput / bound;
            let middle = &runs[runs.len() / 2];
            let packets: u64 = runs.iter().map(|r| r.packets).sum();
            println!(
                "loss {loss:>6} rtt {rtt:>3} ms  {:>6.2} Mbit/s of {:>6.2}  ratio {:.2} ({:.2}..{:.2})  rtx {}/{} lost {} overflow {}   {:.2} Mpkt/s",
                middle.goodput / 1e6,
                bound / 1e6,
                ratio(middle),
                ratio(&runs[0]),
                ratio(&runs[runs.len() - 1]),
                middle.retransmitted,
                middle.segments,
                middle.lost,
                middle.overflowed,
                packets as f64 / took / 1e6,
            );
        }
    }
}
