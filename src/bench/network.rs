//! The same measurement on a network that was not made for it.
//!
//! Holds the choice of packets: each of up to 4,096 interfaces sends to eight others, wherever they
//! are, so that the figure is of the mix of fates that the network has for them. What becomes of the
//! packets is compared with the reference before anything is timed.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::engine::{Engine, Fate, Parcel, Worker, by_reference};
use super::report::{Row, Topic, Unit};
use super::spread::Spread;
use super::timing::{Case, Entry, Settings, nanos};
use super::topics::thousands;
use super::{BenchError, floor};
use crate::base::rng::mix;
use crate::cloud::Cloud;
use crate::forward::Rows;
use crate::wire::build;

/// Interfaces that send.
const SENDERS_MAX: usize = 4_096;
/// Packets of each.
const PACKETS_EACH: usize = 8;
/// Data of a packet: 64 bytes with its headers over IPv4.
const DATA: [u8; 36] = [0; 36];

/// The figures of a network.
pub(super) fn topic(cloud: &Cloud, settings: Settings) -> Result<Topic, BenchError> {
    let rows = Rows::of(cloud);
    let parcels = parcels(cloud, &rows)?;
    let engine = Engine::compile(cloud, &rows);
    let mut worker = Worker::new();
    worker.forward(&engine, &parcels);
    let mut fates: BTreeMap<Fate, u64> = BTreeMap::new();
    for fate in by_reference(cloud, &rows, &parcels) {
        *fates.entry(fate).or_default() += 1;
    }
    let sent = parcels.len() as u64;
    if worker.fates() != fates.iter().map(|(fate, n)| (*fate, *n)).collect::<Vec<_>>() {
        let (what, want) = ("the network".to_owned(), "judged as by the reference".to_owned());
        return Err(BenchError::WrongFate { what, want, sent, met: 0 });
    }
    let (name, entry) = ("all packets", Entry::Admitted);
    let floor = floor::Kind::Word;
    let case = Case { name, engine: &engine, parcels: &parcels, entry, floor, want: None };
    let forwarding = case.row(settings)?;
    let compiling = (0..settings.rounds)
        .map(|_| nanos(|| drop(std::hint::black_box(Engine::compile(cloud, &rows)))) / 1e6);
    let compiling = Row {
        case: "compiling the network".to_owned(),
        at: None,
        value: Spread::of(compiling).ok_or(BenchError::Shape)?,
        unit: Unit::Millis,
        floor: None,
        of_floor: None,
    };
    let mix: Vec<String> = fates.iter().map(|(fate, n)| share(*fate, *n, sent)).collect();
    let note = format!(
        "{} packets of 64 B (IPv6: 84 B): {}. {} VPCs, {} interfaces, {} peerings.",
        thousands(parcels.len()),
        mix.join(", "),
        thousands(rows.vpc_count()),
        thousands(rows.interface_count()),
        thousands(rows.peering_count()),
    );
    let rows = vec![forwarding, compiling];
    Ok(Topic { key: "network", title: "the network of the file", note, axis: None, rows })
}

fn share(fate: Fate, count: u64, of: u64) -> String {
    let percent = count as f64 * 100.0 / of as f64;
    match fate {
        Fate::Delivered => format!("{percent:.1} % delivered"),
        Fate::Dropped(reason) => format!("{percent:.1} % {}", reason.label()),
    }
}

fn parcels(cloud: &Cloud, rows: &Rows) -> Result<Vec<Parcel>, BenchError> {
    let ends: Vec<(_, IpAddr)> = cloud
        .interfaces()
        .filter_map(|(id, interface)| Some((rows.interface(id)?, interface)))
        .flat_map(|(row, interface)| interface.addresses.iter().map(move |a| (row, *a)))
        .collect();
    let mut parcels = Vec::new();
    for (n, (from, source)) in ends.iter().take(SENDERS_MAX).enumerate() {
        let family = |(_, address): &&(_, IpAddr)| address.is_ipv4() == source.is_ipv4();
        for k in 0..PACKETS_EACH {
            let drawn = mix((n * PACKETS_EACH + k) as u64) % ends.len() as u64;
            #[allow(
                clippy::cast_possible_truncation,
                reason = "it is below the length of a vector"
            )]
            let start = drawn as usize;
            let others = ends.iter().cycle().skip(start).take(ends.len());
            let Some((_, to)) = others.filter(family).find(|(other, _)| other != from) else {
                continue;
            };
            let ends = (SocketAddr::new(*source, 40_000), SocketAddr::new(*to, 443));
            let packet = build::udp(ends.0, ends.1, &DATA).map_err(|_| BenchError::Shape)?;
            parcels.push(Parcel { from: *from, packet });
        }
    }
    if parcels.is_empty() { Err(BenchError::NobodyToSendTo) } else { Ok(parcels) }
}
