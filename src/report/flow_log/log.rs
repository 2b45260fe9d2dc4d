//! One flow log: the interfaces it watches, the flows of their present windows, and its file.
//!
//! Holds windows and their limits. Refuses to know packets beyond what is counted of them, and the
//! cloud beyond what a record says of an interface.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use super::record::{self, Content};
use super::sight::{Action, Sighting, TrafficPath};
use super::{FlowLogError, Limits, Room, Tally, Written};
use crate::base::id::*;
use crate::base::time::{Instant, Span};
use crate::cloud::Cloud;
use crate::cloud::account::Region;
use crate::cloud::filter::Direction;
use crate::cloud::flow_log::{FlowLog, Interval, TrafficType};
use crate::cloud::gateway::GatewayId;
use crate::cloud::instance::{Host, Interface};
use crate::report::pcapng::CalendarStart;
use crate::sim::World;
use crate::wire::{Family, FlowKey, TcpFlags};

/// What records say of an interface. Kept, because the interface may be gone when its window ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Station {
    pub(super) interface: InterfaceId,
    pub(super) account: AccountId,
    pub(super) vpc: VpcId,
    pub(super) subnet: SubnetId,
    pub(super) host: Host,
    pub(super) region: Region,
    /// The id of the availability zone, as `use1-az1`.
    pub(super) zone: String,
    /// The first address of each family.
    primaries: Vec<IpAddr>,
}

impl Station {
    /// `None` if its VPC or subnet is gone.
    pub(super) fn of(cloud: &Cloud, id: InterfaceId, interface: &Interface) -> Option<Station> {
        let vpc = cloud.vpc(interface.vpc)?;
        let zone = &cloud.subnet(interface.subnet)?.zone;
        let primary = |family| {
            interface.addresses.iter().copied().find(|address| Family::of(*address) == family)
        };
        Some(Station {
            interface: id,
            account: vpc.owner,
            vpc: interface.vpc,
            subnet: interface.subnet,
            host: interface.host,
            region: vpc.region.clone(),
            zone: zone.id(),
            primaries: Family::ALL.into_iter().filter_map(primary).collect(),
        })
    }

    /// What a record shows in place of the interface's own address in a packet: its primary one
    /// (vpc-semantics 4.1).
    pub(super) fn shown(&self, address: IpAddr) -> IpAddr {
        let of_family = |own: &&IpAddr| Family::of(**own) == Family::of(address);
        self.primaries.iter().find(of_family).copied().unwrap_or(address)
    }

    /// How long its windows are: at most what the log says. A Nitro instance, which every instance
    /// here is, never takes more than a minute (4.3).
    fn window(&self, interval: Interval) -> Span {
        match self.host {
            Host::Instance(_) => Interval::Minute.span(),
            Host::NatGateway(_) | Host::Nobody => interval.span(),
        }
    }
}

/// What makes one record of a window: a flow, in one direction, with one action.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct FlowOf {
    pub(super) direction: Direction,
    pub(super) flow: FlowKey,
    pub(super) action: Action,
}

/// What a window knows of a flow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sums {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) first: Instant,
    pub(super) last: Instant,
    /// As in a record.
    pub(super) tcp_flags: u8,
    /// The first way that it took.
    pub(super) path: Option<TrafficPath>,
    /// The services that have its source and destination.
    pub(super) services: [Option<String>; 2],
}

impl Sums {
    fn new(world: World<'_>, vpc: VpcId, flow: FlowKey) -> Sums {
        let service = |address| service_of(world.cloud, vpc, address);
        Sums {
            packets: 0,
            bytes: 0,
            first: world.now,
            last: world.now,
            tcp_flags: 0,
            path: None,
            services: [service(flow.source), service(flow.destination)],
        }
    }

    fn count(&mut self, now: Instant, sighting: &Sighting<'_>) {
        self.packets += sighting.packet.count();
        self.bytes += sighting.packet.wire_bytes();
        self.last = now;
        self.tcp_flags |= sighting.packet.tcp_flags().map_or(0, shown_flags);
        self.path = self.path.or(sighting.path);
    }
}

/// What `tcp-flags` says of one segment (4.2): SYN, FIN and RST; an ACK only beside a SYN.
fn shown_flags(flags: TcpFlags) -> u8 {
    let shown = [TcpFlags::FIN, TcpFlags::SYN, TcpFlags::RST, TcpFlags::SYN | TcpFlags::ACK];
    shown.into_iter().filter(|shown| flags.contains(*shown)).fold(0, |all, shown| all | shown.0)
}

/// The service of an endpoint of the VPC that has the address, as AWS writes it: `S3` of `s3` or
/// `com.amazonaws.us-east-1.s3`.
fn service_of(cloud: &Cloud, vpc: VpcId, address: IpAddr) -> Option<String> {
    let mut gateways = cloud.vpc(vpc)?.gateways().filter_map(|id| match id {
        GatewayId::Endpoint(_) => cloud.gateway(id),
        GatewayId::Internet(_) | GatewayId::EgressOnly(_) | GatewayId::Vpn(_) => None,
    });
    let found = gateways.find(|g| g.beyond.iter().any(|block| block.contains(&address)))?;
    let service = found.service.as_deref()?;
    let last = service.rsplit('.').next().unwrap_or(service);
    Some(last.to_ascii_uppercase())
}

/// An interface from its first traffic on.
#[derive(Debug)]
struct Track {
    station: Station,
    window: Span,
    ends: Instant,
    flows: BTreeMap<FlowOf, Sums>,
    /// Packets in the window, of any kind.
    seen: u64,
    /// Packets in the window that no record counts.
    skipped: u64,
}

/// What became of a sighting.
pub(super) struct Added {
    /// New flows that are held.
    pub(super) flows: usize,
    /// The end of the window.
    pub(super) due: Instant,
}

/// One flow log and its file.
pub(super) struct Log<W> {
    id: FlowLogId,
    pub(super) log: FlowLog,
    name: String,
    limits: Limits,
    sink: W,
    /// What the sink has yet to get.
    buffer: Vec<u8>,
    tracks: BTreeMap<InterfaceId, Track>,
    tally: Tally,
    line: String,
    bytes: u64,
    failed: Option<io::Error>,
}

impl<W: io::Write> Log<W> {
    /// Begins the file with its line of names.
    pub(super) fn new(
        id: FlowLogId,
        log: FlowLog,
        name: String,
        sink: W,
        limits: Limits,
    ) -> Log<W> {
        let line = log.recording.format.header();
        let mut new = Log {
            id,
            log,
            name,
            limits,
            sink,
            buffer: Vec::new(),
            tracks: BTreeMap::new(),
            tally: Tally::default(),
            line,
            bytes: 0,
            failed: None,
        };
        new.put_line();
        new
    }

    /// The end of the first window to end, if there is one.
    pub(super) fn due(&self) -> Option<Instant> {
        self.tracks.values().map(|track| track.ends).min()
    }

    /// Counts a packet. `held` is how many flows are held in all logs.
    pub(super) fn add(
        &mut self,
        world: World<'_>,
        sighting: &Sighting<'_>,
        id: InterfaceId,
        held: usize,
        station: impl FnOnce() -> Option<Station>,
    ) -> Added {
        let nothing = Added { flows: 0, due: Instant::NEVER };
        if self.tally.room == Room::Full {
            return nothing;
        }
        let track = match self.tracks.entry(id) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                let Some(station) = station() else { return nothing };
                let window = station.window(self.log.recording.interval);
                // Windows follow one another from the creation of the log on.
                let age = world.now.since(self.log.created).as_nanos();
                let ends = self.log.created + window.times(age / window.as_nanos() + 1);
                let flows = BTreeMap::new();
                new.insert(Track { station, window, ends, flows, seen: 0, skipped: 0 })
            }
        };
        track.seen += 1;
        let due = track.ends;
        let is_wanted = match self.log.recording.traffic {
            TrafficType::All => true,
            TrafficType::Accept => sighting.action == Action::Accept,
            TrafficType::Reject => sighting.action == Action::Reject,
        };
        if !is_wanted {
            return Added { flows: 0, due };
        }
        let flow = sighting.packet.flow();
        let key = FlowOf { direction: sighting.direction, flow, action: sighting.action };
        if let Some(known) = track.flows.get_mut(&key) {
            known.count(world.now, sighting);
            return Added { flows: 0, due };
        }
        let Limits { flows, flows_per_interface, .. } = self.limits;
        if held >= flows || track.flows.len() >= flows_per_interface {
            track.skipped += 1;
            self.tally.skipped += 1;
            return Added { flows: 0, due };
        }
        let mut sums = Sums::new(world, track.station.vpc, flow);
        sums.count(world.now, sighting);
        track.flows.insert(key, sums);
        Added { flows: 1, due }
    }

    /// Writes the windows that end at `due` and begins the next ones. Gives the number of flows that
    /// are held no more.
    pub(super) fn close(&mut self, due: Instant, start: CalendarStart) -> usize {
        let mut tracks = std::mem::take(&mut self.tracks);
        let mut gone = 0;
        for track in tracks.values_mut().filter(|track| track.ends <= due) {
            gone += self.write(track, track.ends, start);
            if track.seen == 0 {
                let window = (before(track), track.ends);
                self.put(&track.station, Content::NoData, window, start);
            }
            track.seen = 0;
            track.ends = track.ends + track.window;
        }
        self.tracks = tracks;
        if self.tally.room == Room::Full {
            gone += self.tracks.values().map(|track| track.flows.len()).sum::<usize>();
            self.tracks.clear();
        }
        gone
    }

    /// Writes what the present windows hold of some interfaces and forgets them. Gives the number of
    /// flows that are held no more.
    pub(super) fn forget(
        &mut self,
        which: impl Fn(InterfaceId) -> bool,
        start: CalendarStart,
    ) -> usize {
        let mut tracks = std::mem::take(&mut self.tracks);
        let mut gone = 0;
        tracks.retain(|id, track| {
            if which(*id) {
                gone += self.write(track, track.ends, start);
            }
            !which(*id)
        });
        self.tracks = tracks;
        gone
    }

    /// Writes what the present windows hold so far; the windows go on. Gives the number of flows that
    /// are held no more.
    pub(super) fn write_early(&mut self, start: CalendarStart) -> usize {
        let mut tracks = std::mem::take(&mut self.tracks);
        let gone = tracks.values_mut().map(|track| self.write(track, track.ends, start)).sum();
        self.tracks = tracks;
        gone
    }

    /// The file so far: the sink, and what it has yet to get.
    pub(super) fn so_far(&self) -> (&W, &[u8]) {
        (&self.sink, &self.buffer)
    }

    /// The name of its file.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What the file holds.
    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// Which flow log it is.
    pub(super) fn id(&self) -> FlowLogId {
        self.id
    }

    /// Writes the flows of a window in the order of their first packets.
    fn write(&mut self, track: &mut Track, ends: Instant, start: CalendarStart) -> usize {
        let flows = std::mem::take(&mut track.flows);
        let mut in_order: Vec<(&FlowOf, &Sums)> = flows.iter().collect();
        in_order.sort_by_key(|(key, sums)| (sums.first, **key));
        for (key, sums) in in_order {
            let window = (sums.first, sums.last);
            if self.put(&track.station, Content::Flow(key, sums), window, start) {
                self.tally.packets += sums.packets;
            }
        }
        if track.skipped > 0 {
            self.put(&track.station, Content::SkipData, (before(track), ends), start);
            track.skipped = 0;
        }
        flows.len()
    }

    /// Writes one record; `false` if there was no room.
    fn put(
        &mut self,
        station: &Station,
        content: Content<'_>,
        (from, to): (Instant, Instant),
        start: CalendarStart,
    ) -> bool {
        let seconds = |at| start.unix_nanos_at(at) / 1_000_000_000;
        self.line.clear();
        let format = &self.log.recording.format;
        record::write(&mut self.line, format, station, content, [seconds(from), seconds(to)]);
        let written = self.put_line();
        self.tally.records += u64::from(written);
        written
    }

    fn put_line(&mut self) -> bool {
        self.line.push('\n');
        let bytes = self.bytes + self.line.len() as u64;
        if self.failed.is_some() || self.tally.room == Room::Full {
            return false;
        }
        if bytes > self.limits.bytes {
            self.tally.room = Room::Full;
            return false;
        }
        self.bytes = bytes;
        self.buffer.extend_from_slice(self.line.as_bytes());
        if self.buffer.len() < BUFFER_BYTES {
            return true;
        }
        self.failed = self.sink.write_all(&self.buffer).err();
        self.buffer.clear();
        self.failed.is_none()
    }

    /// The error that its sink has met, once.
    pub(super) fn take_error(&mut self) -> Option<FlowLogError> {
        let source = self.failed.take()?;
        Some(FlowLogError { name: self.name.clone(), source })
    }

    /// Hands the rest to the sink and gives it back.
    pub(super) fn finish(self) -> Result<Written<W>, FlowLogError> {
        let Log { id, name, mut sink, buffer, tally, .. } = self;
        match sink.write_all(&buffer).and_then(|()| sink.flush()) {
            Ok(()) => Ok(Written { name, log: id, sink, tally }),
            Err(source) => Err(FlowLogError { name, source }),
        }
    }
}

/// The beginning of the present window.
fn before(track: &Track) -> Instant {
    Instant::from_nanos(track.ends.as_nanos().saturating_sub(track.window.as_nanos()))
}

/// What is collected before a sink gets it.
const BUFFER_BYTES: usize = 64 << 10;
