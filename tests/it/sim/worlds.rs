//! Random worlds in motion: traffic, links of every kind, and changes while packets are on their way.
//!
//! Holds the properties; the worlds are those of `support/plan.rs` and `monitor` checks every
//! happening. All chance of a case comes from its plan, so that a plan is all it takes to repeat it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use vpclab::base::id::{InterfaceId, PeeringId};
use vpclab::base::rng::{Seed, Stream};
use vpclab::base::time::{Instant, Span};
use vpclab::cloud::account::Caller;
use vpclab::cloud::command::Command;
use vpclab::cloud::instance::SourceDestCheck;
use vpclab::forward::DropReason;
use vpclab::sim::{Datagrams, LinkOf, LinkSpec, Load, ProbeId, Sim, Source, Twin};
use vpclab::wire::{EchoKind, Packet, build};

use super::monitor::Monitor;
use crate::support::plan::{Plan, Sent, Tweak, World, over_plans};

/// A world, what is sent in it, how links behave, and what happens when.
struct Scene {
    world: World,
    begins: Instant,
    probes: Vec<(Datagrams, Vec<Source>)>,
    links: BTreeMap<LinkOf, LinkSpec>,
    changes: Vec<(Instant, Tweak)>,
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

impl Scene {
    fn of(plan: &Plan, jitter: Jitter) -> Scene {
        let mut chance = Seed(digest(plan)).stream("scene");
        let world = World::build(plan);
        let begins = world.lab.now + BEFORE;
        let links = links(&world, jitter, &mut chance);
        let sent: Vec<Sent> = plan.packets.iter().filter_map(|p| world.packet(p)).collect();
        let mut number = 0;
        let mut source = |sent: &Sent, chance: &mut Stream| {
            let mut at: Vec<Span> = (0..chance.below(12)).map(|_| moment(chance)).collect();
            at.sort_unstable();
            let mut packet = |at: Span| {
                number += 1;
                (at, bytes(*sent, number, chance))
            };
            let script: Arc<[(Span, Bytes)]> = at.into_iter().map(&mut packet).collect();
            Source { from: sent.from, meant: sent.meant, load: Load::Script(script) }
        };
        let probes = sent
            .chunks(5)
            .map(|sent| {
                let datagrams =
                    [Datagrams::Sunk, Datagrams::Returned][usize::from(chance.below(2) == 1)];
                (datagrams, sent.iter().map(|sent| source(sent, &mut chance)).collect())
            })
            .collect();
        let mut changes: Vec<(Instant, Tweak)> =
            plan.meanwhile.iter().map(|tweak| (begins + moment(&mut chance), *tweak)).collect();
        changes.sort_by_key(|(at, _)| *at);
        Scene { world, begins, probes, links, changes }
    }

    /// Plays it with this seed and twin, and checks the books between any two changes.
    fn play(&self, seed: u64, twin: Twin) -> Monitor {
        let mut sim = Sim::new(self.world.lab.cloud.clone(), Seed(seed), twin);
        sim.move_to(self.begins);
        let mut monitor = Monitor::new(self.links.clone());
        for (of, spec) in &self.links {
            sim.set_link(*of, *spec);
        }
        let start = |(datagrams, sources): &(Datagrams, Vec<Source>)| {
            sim.start(*datagrams, sources.iter().cloned()).unwrap()
        };
        let probes: Vec<ProbeId> = self.probes.iter().map(start).collect();
        let audit = |sim: &Sim, monitor: &Monitor| {
            probes.iter().for_each(|probe| monitor.agrees(*probe, &sim.tally(*probe)));
        };
        let mut hosts: Vec<InterfaceId> = self.world.hosts.clone();
        for (at, tweak) in &self.changes {
            sim.run_until(Instant::from_nanos(at.as_nanos() - 1), &mut monitor).unwrap();
            audit(&sim, &monitor);
            sim.move_to(*at);
            make(&mut sim, &mut hosts, *tweak);
        }
        for probe in &probes {
            sim.run_probe(*probe, &mut monitor).unwrap();
        }
        audit(&sim, &monitor);
        assert!(probes.iter().all(|probe| sim.tally(*probe).is_done()));
        assert_eq!((monitor.flying(), sim.next_event()), (0, None), "nothing is on its way");
        monitor
    }
}

fn digest(plan: &Plan) -> u64 {
    let text = format!("{plan:?}");
    text.bytes().fold(0, |hash, byte| vpclab::base::rng::mix(hash ^ u64::from(byte)))
}

fn moment(chance: &mut Stream) -> Span {
    // Whole tenths of a millisecond, so that much of it happens at the same instants.
    Span::from_micros(100).times(1 + chance.below(SHOW.as_nanos() / 100_000))
}

/// A packet that no other equals: echo request, datagram, or, now and then, nonsense.
fn bytes(sent: Sent, number: u32, chance: &mut Stream) -> Bytes {
    let Sent { source, destination, .. } = sent;
    let data = number.to_be_bytes();
    let long = [data.to_vec(), vec![0; usize::try_from(chance.below(900)).unwrap()]].concat();
    let ends = [(source, 40_000), (destination, 9)].map(SocketAddr::from);
    let packet: Packet = match chance.below(10) {
        0 => return Bytes::copy_from_slice(&data),
        1..4 => build::echo(EchoKind::Request, source, destination, 1, 1, &data).unwrap(),
        _ => build::udp(ends[0], ends[1], &long).unwrap(),
    };
    packet.bytes().clone()
}

/// Some links with loss, a rate and a short queue, and other latencies.
fn links(world: &World, jitter: Jitter, chance: &mut Stream) -> BTreeMap<LinkOf, LinkSpec> {
    let cloud = &world.lab.cloud;
    let of = cloud
        .interfaces()
        .map(|(id, _)| LinkOf::Interface(id))
        .chain(cloud.vpcs().map(|(id, _)| LinkOf::Vpc(id)))
        .chain(cloud.peerings().map(|p| LinkOf::Peering(p.id())));
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
                Command::RunInstances {
                    subnet,
                    ipv4: None,
                    ipv6: None,
                    source_dest_check,
                    groups: Vec::new(),
                },
            )
        }
        Tweak::Assign(nth) => {
            let (interface, caller, _, subnet) = host(nth)?;
            let addresses = vec![cloud.subnet(subnet)?.next_ipv4()?];
            (caller, Command::AssignPrivateIpAddresses { interface, addresses })
        }
        Tweak::DeletePeering(nth) => {
            let (caller, peering) = peering(nth)?;
            (caller, Command::DeleteVpcPeeringConnection { peering })
        }
        Tweak::AcceptPeering(nth) => {
            let (caller, peering) = peering(nth)?;
            (caller, Command::AcceptVpcPeeringConnection { peering })
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
    over_plans(150, 60..80, |plan| {
        for jitter in [Jitter::None, Jitter::Some] {
            let scene = Scene::of(&plan, jitter);
            let story = scene.play(1, Twin::Compiled);
            prop_assert_eq!(story.digest(), scene.play(1, Twin::Compiled).digest());
            prop_assert_eq!(story.digest(), scene.play(1, Twin::Reference).digest());
            *told_apart.borrow_mut() +=
                u32::from(story.digest() != scene.play(2, Twin::Compiled).digest());
            for (reason, count) in story.drops() {
                *seen.borrow_mut().entry(reason).or_default() += count;
            }
        }
        Ok(())
    });
    let seen = seen.into_inner();
    let missing = DropReason::ALL.iter().filter(|reason| !seen.contains_key(reason));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&DropReason>::new(), "{seen:?}");
    assert!(told_apart.into_inner() > 150, "the seed matters where there is chance");
}
