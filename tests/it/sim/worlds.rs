//! Random worlds in motion: traffic of all kinds, links of every kind, TCP, middleboxes, and changes
//! while packets are on their way.
//!
//! Holds the properties; the worlds are those of `support/whole.rs` and `monitor` checks every
//! happening. All chance of a case comes from its plan, so that a plan is all it takes to repeat it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use vpclab::base::id::{InterfaceId, PeeringId};
use vpclab::base::rng::{Seed, Stream};
use vpclab::base::time::{Instant, Span};
use vpclab::base::units::Mtu;
use vpclab::cloud::account::Caller;
use vpclab::cloud::command::Command;
use vpclab::cloud::instance::{NewInterface, SourceDestCheck};
use vpclab::forward::DropReason;
use vpclab::sim::tcp::{Patience, Serve, Transfer};
use vpclab::sim::{Datagrams, LinkOf, LinkSpec, Load, ProbeId, Sim, Source, Twin};
use vpclab::wire::{EchoKind, Packet, TcpFlags, build, clear_dont_fragment, fragment, fragment_v6};

use super::monitor::Monitor;
use crate::support::plan::{Tweak, moving, over};
use crate::support::traffic::{Ends, ends, hops, with_protocol};
use crate::support::whole::{Act, Whole, WholePlan, whole_plans};

/// A world, what is sent in it, how links behave, and what happens when.
struct Scene {
    whole: Whole,
    tracked: usize,
    begins: Instant,
    probes: Vec<(Datagrams, Vec<Source>)>,
    connections: Vec<Dial>,
    links: BTreeMap<LinkOf, LinkSpec>,
    changes: Vec<(Instant, Tweak)>,
}

/// A TCP connection that somebody opens, and the host that serves it.
struct Dial {
    from: InterfaceId,
    to: Option<InterfaceId>,
    ends: (SocketAddr, SocketAddr),
    bytes: u64,
}

/// Whether links of a scene have jitter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Jitter {
    Some,
    None,
}

/// The time in which packets are sent and changes happen.
const SHOW: Span = Span::from_millis(20);
/// How long after the world is built it begins: what was accepted last becomes active, a second
/// later, in the middle of it.
const BEFORE: Span = Span::from_millis(990);
/// The port on which TCP is served.
const SERVED: u16 = 80;

impl Scene {
    fn of(plan: &WholePlan, jitter: Jitter) -> Scene {
        let mut chance = Seed(digest(plan)).stream("scene");
        let whole = Whole::build(plan);
        let begins = whole.world.lab.now + BEFORE;
        let links = links(&whole, jitter, &mut chance);
        let sends = plan.acts.iter().filter_map(|act| match act {
            Act::Send(send) => ends(&whole, send),
            _ => None,
        });
        let sent: Vec<Ends> = sends.collect();
        let mut number = 0;
        let mut source = |sent: &Ends, chance: &mut Stream| {
            let mut at: Vec<Span> = (0..chance.below(12)).map(|_| moment(chance)).collect();
            at.sort_unstable();
            let mut packet = |at: Span| {
                number += 1;
                (at, bytes(sent, number, chance))
            };
            let script: Arc<[(Span, Bytes)]> = at.into_iter().map(&mut packet).collect();
            let meant = having(&whole, sent.destination);
            Source { from: sent.from, meant, load: Load::Script(script) }
        };
        let probes = sent
            .chunks(5)
            .map(|sent| {
                let datagrams =
                    [Datagrams::Sunk, Datagrams::Returned][usize::from(chance.below(2) == 1)];
                (datagrams, sent.iter().map(|sent| source(sent, &mut chance)).collect())
            })
            .collect();
        let dial = |(n, sent): (u16, &Ends)| Dial {
            from: sent.from,
            to: having(&whole, sent.destination),
            ends: ((sent.source, 50_000 + n).into(), (sent.destination, SERVED).into()),
            bytes: u64::from(n) * 3_000,
        };
        let connections = (0..).zip(sent.iter().step_by(5).take(4)).map(dial).collect();
        let mut changes: Vec<(Instant, Tweak)> = plan
            .base
            .meanwhile
            .iter()
            .map(|tweak| (begins + moment(&mut chance), *tweak))
            .collect();
        changes.sort_by_key(|(at, _)| *at);
        let tracked = plan.tracked;
        Scene { whole, tracked, begins, probes, connections, links, changes }
    }

    /// Plays it with this seed and twin, and checks the books between any two changes.
    fn play(&self, seed: u64, twin: Twin) -> Monitor {
        let mut sim = Sim::new(self.whole.world.lab.cloud.clone(), Seed(seed), twin);
        sim.move_to(self.begins);
        sim.set_tracked_connections(self.tracked);
        let mut monitor = Monitor::new(self.links.clone());
        for (of, spec) in &self.links {
            sim.set_link(*of, *spec);
        }
        for (interface, role) in &self.whole.roles {
            sim.set_role(*interface, Some(*role));
        }
        let start = |(datagrams, sources): &(Datagrams, Vec<Source>)| {
            sim.start(*datagrams, sources.iter().cloned()).unwrap()
        };
        let mut probes: Vec<ProbeId> = self.probes.iter().map(start).collect();
        let patience = Patience { connect: Span::from_secs(4), silence: Span::from_secs(4) };
        for (nth, Dial { from, to, ends, bytes }) in self.connections.iter().enumerate() {
            if let Some(to) = to {
                sim.listen(*to, SERVED, [Serve::Sink, Serve::Echo][nth % 2]).unwrap();
            }
            let transfer = Transfer { bytes: *bytes, patience };
            // Who sends in another's name has no connection of that name.
            probes.extend(sim.connect(*from, *to, *ends, transfer).ok());
        }
        let audit = |sim: &Sim, monitor: &Monitor| {
            probes.iter().for_each(|probe| monitor.agrees(*probe, &sim.tally(*probe)));
        };
        let mut hosts: Vec<InterfaceId> = self.whole.world.hosts.clone();
        for (at, tweak) in &self.changes {
            sim.run_until(Instant::from_nanos(at.as_nanos() - 1), &mut monitor).unwrap();
            audit(&sim, &monitor);
            sim.move_to(*at);
            make(&mut sim, &mut hosts, *tweak);
        }
        // TCP takes its time to let go: its timers are the last events.
        while let Some(next) = sim.next_event() {
            sim.run_until(next, &mut monitor).unwrap();
        }
        audit(&sim, &monitor);
        assert!(probes.iter().all(|probe| sim.tally(*probe).is_done()));
        assert_eq!(monitor.flying(), 0, "nothing is on its way");
        monitor
    }
}

/// The host that has the address, if there is one.
fn having(whole: &Whole, address: IpAddr) -> Option<InterfaceId> {
    let cloud = &whole.world.lab.cloud;
    let inside = cloud.interfaces().filter(|(_, i)| i.instance().is_some() && i.owns(address));
    let outside = cloud.outside_hosts().filter(|(_, host)| host.owns(address));
    inside.map(|(id, _)| id).chain(outside.map(|(id, _)| id)).next()
}

fn digest(plan: &WholePlan) -> u64 {
    let text = format!("{plan:?}");
    text.bytes().fold(0, |hash, byte| vpclab::base::rng::mix(hash ^ u64::from(byte)))
}

fn moment(chance: &mut Stream) -> Span {
    // Whole tenths of a millisecond, so that much of it happens at the same instants.
    Span::from_micros(100).times(1 + chance.below(SHOW.as_nanos() / 100_000))
}

/// A packet that no other equals, of any kind; now and then, nonsense.
fn bytes(sent: &Ends, number: u16, chance: &mut Stream) -> Bytes {
    let Ends { source, destination, .. } = *sent;
    let data = number.to_be_bytes();
    let with = |length: usize| [data.to_vec(), vec![0; length]].concat();
    let ends = [(source, 40_000), (destination, 9)].map(SocketAddr::from);
    let udp = |length| build::udp(ends[0], ends[1], &with(length)).unwrap();
    let flags = [TcpFlags::SYN, TcpFlags::ACK, TcpFlags::FIN | TcpFlags::ACK];
    let mut below = |bound| usize::try_from(chance.below(bound)).unwrap();
    let packet: Packet = match below(16) {
        0 => return Bytes::copy_from_slice(&data),
        1..4 => build::echo(EchoKind::Request, source, destination, 1, 1, &data).unwrap(),
        4 | 5 => {
            let (ends, flags) = ([ends[0], ends[1]], flags[below(3)]);
            let number = u32::from(number);
            build::tcp(ends[0], ends[1], flags, number, number, b"").unwrap()
        }
        6 => udp([1_600, 8_600, 9_100][below(3)]),
        7 | 8 => clear_dont_fragment(&udp([1_600, 8_600, 9_100][below(3)])),
        9 => {
            let (whole, mtu) = (clear_dont_fragment(&udp(2_000)), Mtu::ETHERNET);
            let pieces = match source {
                IpAddr::V4(_) => fragment(&whole, mtu, number),
                IpAddr::V6(_) => fragment_v6(&whole, mtu, number.into()),
            };
            pieces.unwrap().remove(below(2))
        }
        10 => with_protocol(&udp(0), 47),
        11 | 12 => hops(&udp(0), 1),
        _ => udp(below(900)),
    };
    packet.bytes().clone()
}

/// Some links with loss, a rate and a short queue, and other latencies.
fn links(whole: &Whole, jitter: Jitter, chance: &mut Stream) -> BTreeMap<LinkOf, LinkSpec> {
    let cloud = &whole.world.lab.cloud;
    let of = cloud
        .interfaces()
        .map(|(id, _)| LinkOf::Interface(id))
        .chain(cloud.vpcs().map(|(id, _)| LinkOf::Vpc(id)))
        .chain(cloud.peerings().map(|p| LinkOf::Peering(p.id())))
        .chain(cloud.gateways().map(|(id, _)| LinkOf::Gateway(id)))
        .chain(cloud.outside_hosts().map(|(id, _)| LinkOf::Interface(id)));
    let mut links = BTreeMap::new();
    for of in of {
        if chance.below(2) == 0 {
            continue;
        }
        let mut spec = LinkSpec::plain(Span::from_micros(chance.below(2_000)));
        if chance.below(2) == 0 {
            spec.loss = "10%".parse().unwrap();
        }
        if chance.below(2) == 0 {
            spec.rate = Some("2Mbit/s".parse().unwrap());
            spec.queue = u32::try_from(chance.below(3)).unwrap();
        }
        if jitter == Jitter::Some && chance.below(2) == 0 {
            spec.jitter = Span::from_micros(chance.below(1_000));
        }
        links.insert(of, spec);
    }
    links
}

/// Makes one change to the running world, if the cloud lets it.
fn make(sim: &mut Sim, hosts: &mut Vec<InterfaceId>, tweak: Tweak) -> Option<()> {
    fn pick<T: Copy>(from: &[T], number: u16) -> Option<T> {
        from.get(usize::from(number) % from.len().max(1)).copied()
    }
    let cloud = sim.cloud();
    let owner = |vpc| {
        let vpc = cloud.vpc(vpc)?;
        Some(Caller { account: vpc.owner, region: vpc.region.clone() })
    };
    let host = |nth| {
        let id = pick(hosts, nth)?;
        let interface = cloud.interface(id)?;
        Some((id, owner(interface.vpc)?, interface.instance()?, interface.subnet))
    };
    let peerings: Vec<PeeringId> = cloud.peerings().map(|p| p.id()).collect();
    let peering = |nth| {
        let peering = cloud.peering(pick(&peerings, nth)?)?;
        Some((owner(peering.accepter().vpc)?, peering.id()))
    };
    let (caller, command) = match tweak {
        Tweak::CheckOff(nth) | Tweak::CheckOn(nth) => {
            let (interface, caller, ..) = host(nth)?;
            let source_dest_check = match tweak {
                Tweak::CheckOff(_) => SourceDestCheck::Off,
                _ => SourceDestCheck::On,
            };
            (caller, Command::ModifyNetworkInterfaceAttribute { interface, source_dest_check })
        }
        Tweak::Stop(nth) => {
            let (_, caller, instance, _) = host(nth)?;
            (caller, Command::StopInstances { instance })
        }
        Tweak::Start(nth) => {
            let (_, caller, instance, _) = host(nth)?;
            (caller, Command::StartInstances { instance })
        }
        Tweak::Terminate(nth) => {
            let (_, caller, instance, _) = host(nth)?;
            (caller, Command::TerminateInstances { instance })
        }
        Tweak::Host(nth) => {
            let (_, caller, _, subnet) = host(nth)?;
            let source_dest_check = SourceDestCheck::On;
            (
                caller,
                Command::run_instance(NewInterface {
                    source_dest_check,
                    ..NewInterface::in_subnet(subnet)
                }),
            )
        }
        Tweak::Assign(nth) => {
            let (interface, caller, _, subnet) = host(nth)?;
            let addresses = vec![cloud.subnet(subnet)?.next_ipv4()?];
            (caller, Command::AssignPrivateIpAddresses { interface, addresses: addresses.into() })
        }
        Tweak::DeletePeering(nth) => {
            let (caller, peering) = peering(nth)?;
            (caller, Command::DeleteVpcPeeringConnection { peering })
        }
        Tweak::AcceptPeering(nth) => {
            let (caller, peering) = peering(nth)?;
            (caller, Command::AcceptVpcPeeringConnection { peering })
        }
        Tweak::MoveGateway(nth, to) => {
            let [(from, detach), (to, attach)] = moving(cloud, nth, to)?;
            let (caller, next) = (owner(from)?, owner(to)?);
            sim.apply(&caller, &detach).ok()?;
            (next, attach)
        }
        // Its time passes anyway; a shorter settling brings deadlines into the show.
        Tweak::Wait(tenths) => {
            sim.set_settle(Span::from_micros(100).times(tenths.into()));
            return Some(());
        }
    };
    sim.apply(&caller, &command).ok()?;
    let sim_hosts: Vec<InterfaceId> = sim.cloud().interfaces().map(|(id, _)| id).collect();
    hosts.extend(sim_hosts.into_iter().filter(|id| !hosts.contains(id)).collect::<Vec<_>>());
    Some(())
}

/// S12, S13, S15, S16, S18 and S21: both twins tell the same story, twice, and every line of it is
/// possible. Between them the cases show every reason that motion can add.
#[test]
fn every_story_adds_up_and_is_told_the_same_again() {
    let seen: RefCell<BTreeMap<DropReason, u64>> = RefCell::default();
    let told_apart = RefCell::new(0);
    let unusual = RefCell::new([0; 3]);
    over(200, &whole_plans(60), |plan| {
        for jitter in [Jitter::None, Jitter::Some] {
            let scene = Scene::of(&plan, jitter);
            let story = scene.play(1, Twin::Compiled);
            prop_assert_eq!(story.digest(), scene.play(1, Twin::Compiled).digest());
            prop_assert_eq!(story.digest(), scene.play(1, Twin::Reference).digest());
            *told_apart.borrow_mut() +=
                u32::from(story.digest() != scene.play(2, Twin::Compiled).digest());
            for (sum, count) in unusual.borrow_mut().iter_mut().zip(story.unusual()) {
                *sum += count;
            }
            for (reason, count) in story.drops() {
                *seen.borrow_mut().entry(reason).or_default() += count;
            }
        }
        Ok(())
    });
    let seen = seen.into_inner();
    let missing = DropReason::ALL.iter().filter(|reason| !seen.contains_key(reason));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&DropReason>::new(), "{seen:?}");
    assert!(unusual.into_inner().iter().all(|count| *count > 100), "cut, sent on, told");
    assert!(told_apart.into_inner() > 150, "the seed matters where there is chance");
}
