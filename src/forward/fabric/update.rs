//! From one version of the network to the next: only what an event touched is compiled anew.
//!
//! Holds which rows each event touches. What is common while traffic flows (routes, peerings,
//! instances that stop and start) touches a row or a route; what changes who is where, or what
//! filters say, is compiled as a whole. Refuses to judge packets.

use super::rows::{Flags, PeeringRow};
use super::{Fabric, Version};
use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::event::Change;
use crate::cloud::instance::SourceDestCheck;
use crate::cloud::profile::Feature;
use crate::forward::Rows;

/// What an event touches.
enum Touched {
    Nothing,
    Route(RouteTableId, ipnet::IpNet),
    Table(RouteTableId),
    Peering(PeeringId),
    Instance(InstanceId),
    Check(InterfaceId, SourceDestCheck),
    Everything,
}

impl Touched {
    fn by(change: &Change) -> Touched {
        match change {
            Change::RouteSet { table, destination, .. }
            | Change::RouteDeleted { table, destination } => Touched::Route(*table, *destination),
            Change::RouteTableCreated { table, .. } | Change::RouteTableDeleted { table } => {
                Touched::Table(*table)
            }
            Change::PeeringRequested { peering, .. } | Change::PeeringMoved { peering, .. } => {
                Touched::Peering(*peering)
            }
            Change::InstanceStopped { instance } | Change::InstanceStarted { instance } => {
                Touched::Instance(*instance)
            }
            Change::SourceDestCheckSet { interface, source_dest_check } => {
                Touched::Check(*interface, *source_dest_check)
            }
            Change::AccountOpened { .. }
            | Change::VpcAttributeSet { .. }
            | Change::PeeringFound { .. }
            | Change::PeeringOptionSet { .. }
            | Change::FlowLogCreated { .. }
            | Change::FlowLogDeleted { .. }
            | Change::TagSet { .. }
            | Change::TagRemoved { .. } => Touched::Nothing,
            _ => Touched::Everything,
        }
    }
}

impl Fabric {
    /// Brings it up to date: with these changes, in their order, the last version has become what
    /// `cloud` is at `now`. Afterwards it is equal to one that is compiled anew, which is what is
    /// done if an event touches more than a few rows. `rows` must know everything in the cloud.
    ///
    /// A route costs what it costs in its table, whatever that has; a peering or a deadline, a pass
    /// over the peerings.
    pub fn update(&mut self, cloud: &Cloud, rows: &Rows, changes: &[Change], now: Instant) {
        let touched: Vec<Touched> = changes.iter().map(Touched::by).collect();
        let states = |t: &Touched| matches!(t, Touched::Peering(_) | Touched::Instance(_));
        let (any_state, expired) = (touched.iter().any(states), now >= self.until);
        // Where the state of a target decides which route is taken, or whose group a rule names, it
        // is not only in its own row.
        let spreads =
            self.tables.falls_through() || cloud.profile().has(Feature::PeerGroupReference);
        let all = touched.iter().any(|t| matches!(t, Touched::Everything));
        if all || (spreads && (any_state || expired)) {
            *self = Fabric::compile(cloud, rows, now);
            return;
        }
        self.version = Version::next();
        let hosts = &mut self.hosts;
        hosts.peerings.resize(rows.peering_count(), PeeringRow::default());
        if expired {
            for row in 0..rows.peering_count() {
                let at = PeeringIdx::from_row(row);
                hosts.peerings[row] = hosts.peering_row(cloud, rows, at, now);
            }
        }
        for touched in &touched {
            match touched {
                Touched::Route(table, destination) => {
                    if let Some(at) = rows.table(*table) {
                        self.tables.refresh_route(cloud, rows, (at, *destination), now);
                    }
                }
                Touched::Table(table) => {
                    if let Some(at) = rows.table(*table) {
                        self.tables.refresh(cloud, rows, at, now);
                    }
                }
                Touched::Peering(peering) => {
                    if let Some(at) = rows.peering(*peering) {
                        hosts.peerings[at.row()] = hosts.peering_row(cloud, rows, at, now);
                    }
                }
                Touched::Instance(instance) => {
                    let interface = cloud.instance(*instance).map(|i| i.interface);
                    hosts.set(rows, interface, Flags::RUNS, |id| cloud.runs(id));
                }
                Touched::Check(interface, check) => {
                    let on = *check == SourceDestCheck::On;
                    hosts.set(rows, Some(*interface), Flags::CHECKED, |_| on);
                }
                Touched::Nothing | Touched::Everything => {}
            }
        }
        if any_state || expired {
            self.until = cloud.next_deadline(now);
        }
    }
}

impl super::Hosts {
    fn set(
        &mut self,
        rows: &Rows,
        interface: Option<InterfaceId>,
        flag: Flags,
        holds: impl Fn(InterfaceId) -> bool,
    ) {
        let Some((id, at)) = interface.and_then(|id| Some((id, rows.interface(id)?))) else {
            return;
        };
        if let Some(row) = self.interfaces.get_mut(at.row()) {
            row.flags = row.flags.without(flag).with_if(holds(id), flag);
        }
    }
}
