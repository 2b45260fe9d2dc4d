//! TCP between two instances, in virtual time: does goodput answer to latency, loss and rate as it
//! should?
//!
//! One transfer goes over a link with a rate, a latency, a queue and random loss. Its goodput stands
//! beside the least of what theory allows: the link's rate less the headers, the window over the
//! round trip, and the formula of Mathis, Semke, Mahdavi and Ott (1997) for what loss leaves. Several
//! seeds, median with spread. Refuses to judge, and to model a network: there is nothing but the link.
//! Only the last figure of a row is in the time of the host.
//!
//! ```text
//! cargo bench --bench tcp -- [--seeds 7] [--seconds 120]
//! ```
#![allow(clippy::print_stdout, reason = "the figures are the output")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run says so and stops")]

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant as HostInstant;

use vpclab::base::limit::TCP_BUFFER_BYTES;
use vpclab::base::rng::{Seed, Stream};
use vpclab::base::time::{Instant, Span};
use vpclab::base::units::{BitRate, Mtu, Probability};
use vpclab::sim::tcp::{Patience, Report, Serve, TcpStack, Transfer};
use vpclab::wire::Packet;

/// Bytes of IP and TCP headers in each segment with data.
const HEADERS: u32 = 40;

/// What the link is like. Only what goes to the server is lost at random.
#[derive(Clone, Copy)]
struct Path {
    rtt_ms: u64,
    rate_mbit: u32,
    /// Packets that may wait for the rate.
    queue: usize,
    loss: &'static str,
}

fn main() {
    let settings = Settings::from_args();
    let Settings { seeds, seconds } = settings;
    println!("one transfer of {seconds} s, MTU {}, {seeds} seeds\n", Mtu::ETHERNET);
    println!("random loss, 100 Mbit/s, a queue of 1,000 packets");
    for loss in ["0.01%", "0.1%", "1%"] {
        for rtt_ms in [20, 50, 100] {
            settings.measure(Path { rtt_ms, rate_mbit: 100, queue: 1_000, loss });
        }
    }
    println!("\nno random loss");
    for (rate_mbit, queue) in [(10, 1_000), (100, 1_000), (100, 300), (100, 100), (10, 50)] {
        for rtt_ms in [20, 50, 100] {
            settings.measure(Path { rtt_ms, rate_mbit, queue, loss: "0%" });
        }
    }
}

struct Settings {
    seeds: u64,
    seconds: u64,
}

impl Settings {
    fn from_args() -> Settings {
        let argument = |name: &str, default| {
            let mut args = std::env::args().skip_while(|arg| arg != name).skip(1);
            args.next().map_or(default, |value| value.parse::<u64>().unwrap())
        };
        let seeds = argument("--seeds", 7);
        assert!(seeds > 0, "a median needs a run");
        Settings { seeds, seconds: argument("--seconds", 120) }
    }

    fn measure(&self, path: Path) {
        let started = HostInstant::now();
        let runs: Vec<Run> =
            (0..self.seeds).map(|seed| path.transfer(seed, self.seconds)).collect();
        let took = started.elapsed().as_secs_f64();
        let packets: u64 = runs.iter().map(|run| run.packets).sum();
        let mut goodputs: Vec<f64> = runs.iter().map(Run::goodput).collect();
        goodputs.sort_by(f64::total_cmp);
        let median = goodputs[goodputs.len() / 2];
        let bound = path.bound();
        let (low, high) = (goodputs[0] / bound, goodputs[goodputs.len() - 1] / bound);
        let Path { rtt_ms, rate_mbit, queue, loss } = path;
        let resent: u64 = runs.iter().map(|run| run.report.retransmitted).sum();
        let lost: u64 = runs.iter().map(|run| run.lost).sum();
        println!(
            "    {rate_mbit:>4} Mbit/s {rtt_ms:>4} ms {queue:>5} packets {loss:>6}  \
             {:>6.2} of {:>6.2} Mbit/s  {:.2} ({low:.2}..{high:.2})  \
             {lost} lost, {resent} resent  {:.2} million packets/s",
            median / 1e6,
            bound / 1e6,
            median / bound,
            packets as f64 / took / 1e6,
        );
    }
}

/// What came of a transfer.
struct Run {
    report: Report,
    packets: u64,
    /// At random, or because the queue was full.
    lost: u64,
}

impl Run {
    fn goodput(&self) -> f64 {
        self.report.acknowledged as f64 * 8.0 / self.report.transfer_time().unwrap().as_secs_f64()
    }
}

impl Path {
    /// The least of what rate, window and loss allow, in bits a second.
    fn bound(self) -> f64 {
        let mtu = u32::from(Mtu::ETHERNET.bytes());
        let segment = f64::from(mtu - HEADERS);
        let rtt = self.rtt_ms as f64 / 1e3;
        let rate = f64::from(self.rate_mbit) * 1e6 * segment / f64::from(mtu);
        let window = TCP_BUFFER_BYTES as f64 * 8.0 / rtt;
        let p = self.loss.trim_end_matches('%').parse::<f64>().unwrap() / 100.0;
        let mathis = segment * 8.0 / rtt * (1.5 / p).sqrt();
        rate.min(window).min(mathis)
    }

    fn transfer(self, seed: u64, seconds: u64) -> Run {
        let seed = Seed(seed);
        let mut links =
            [(self.loss, "there"), ("0%", "back")].map(|(loss, name)| self.link(loss, seed, name));
        let addresses = ["10.0.0.10", "10.1.0.10"].map(|text| text.parse::<IpAddr>().unwrap());
        let mut stacks = addresses
            .map(|own| TcpStack::new(vec![own], Mtu::ETHERNET, seed.stream(&own.to_string())));
        stacks[1].listen(80, Serve::Sink).unwrap();
        let local = SocketAddr::new(addresses[0], 40_000);
        let remote = SocketAddr::new(addresses[1], 80);
        let endless = Transfer { bytes: u64::MAX, patience: Patience::default() };
        let id = stacks[0].connect(local, remote, endless, Instant::START).unwrap();

        let end = Instant::START + Span::from_secs(seconds);
        let mut under_way: BTreeMap<(Instant, u64), (usize, Packet)> = BTreeMap::new();
        let mut packets = 0;
        let mut now = Instant::START;
        while now < end {
            for from in [0, 1] {
                for packet in stacks[from].poll(now) {
                    packets += 1;
                    if let Some(at) = links[from].carry(now, &packet) {
                        under_way.insert((at, packets), (1 - from, packet));
                    }
                }
            }
            let wakes = stacks.iter().filter_map(TcpStack::next_wake);
            let arrival = under_way.keys().next().map(|(at, _)| *at);
            now = wakes.chain(arrival).min().unwrap();
            while let Some(entry) = under_way.first_entry()
                && entry.key().0 <= now
            {
                let (to, packet) = entry.remove();
                stacks[to].receive(&packet, now);
            }
        }
        Run { report: stacks[0].report(id).unwrap(), packets, lost: links[0].lost }
    }

    fn link(self, loss: &str, seed: Seed, name: &str) -> Link {
        Link {
            rate: format!("{}Mbit/s", self.rate_mbit).parse().unwrap(),
            latency: Span::from_micros(self.rtt_ms * 500),
            queue: self.queue,
            loss: loss.parse().unwrap(),
            chance: seed.stream(name),
            free_at: Instant::START,
            waiting: VecDeque::new(),
            lost: 0,
        }
    }
}

/// One direction of the link.
struct Link {
    rate: BitRate,
    latency: Span,
    queue: usize,
    loss: Probability,
    chance: Stream,
    /// When the last packet that was taken has been sent.
    free_at: Instant,
    /// When each packet that waits begins to be sent.
    waiting: VecDeque<Instant>,
    lost: u64,
}

impl Link {
    /// When the packet arrives; `None` if it is lost.
    fn carry(&mut self, now: Instant, packet: &Packet) -> Option<Instant> {
        while self.waiting.front().is_some_and(|begins| *begins <= now) {
            self.waiting.pop_front();
        }
        let begins = self.free_at.max(now);
        let full = begins > now && self.waiting.len() >= self.queue;
        if full || self.loss.happens(&mut self.chance) {
            self.lost += 1;
            return None;
        }
        if begins > now {
            self.waiting.push_back(begins);
        }
        self.free_at = begins + self.rate.time_for(packet.len());
        Some(self.free_at + self.latency)
    }
}
