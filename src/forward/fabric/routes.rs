//! The route tables, compiled: from a destination to a target of 4 bytes.
//!
//! Holds targets as numbers and the tables that lead to them. Refuses to say whether a target can be
//! used: that is looked up in the target's own row, so that no table is touched when a peering opens
//! or closes.

use ipnet::IpNet;

use super::lpm;
use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::route_table::{Blackhole, Hop, RouteState, RouteTarget};
use crate::forward::Rows;

/// A route's target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    Local,
    Interface(InterfaceIdx),
    Peering(PeeringIdx),
    Gateway(GatewayIdx),
    /// Names something that has no row; nothing can pass.
    Unknown,
}

/// A [`Target`] in 4 bytes: what kind in the upper 3 bits, the row in the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Code(u32);

const KIND_SHIFT: u32 = 29;
const ROW: u32 = (1 << KIND_SHIFT) - 1;

impl Code {
    pub(super) const LOCAL: Code = Code(0);

    /// Rows that 29 bits do not hold are unknown; no limit of [`crate::base::limit`] allows them.
    pub(super) fn of(target: Target) -> Code {
        let code = |kind: u32, row: usize| match u32::try_from(row) {
            Ok(row) if row <= ROW => Code(kind << KIND_SHIFT | row),
            _ => Code(4 << KIND_SHIFT),
        };
        match target {
            Target::Local => Code::LOCAL,
            Target::Interface(row) => code(1, row.row()),
            Target::Peering(row) => code(2, row.row()),
            Target::Gateway(row) => code(3, row.row()),
            Target::Unknown => Code(4 << KIND_SHIFT),
        }
    }

    /// The peering, if it is one.
    #[inline]
    pub(super) fn peering(self) -> Option<PeeringIdx> {
        let row = (self.0 & ROW) as usize;
        (self.0 >> KIND_SHIFT == 2).then(|| PeeringIdx::from_row(row))
    }

    pub(super) fn target(self) -> Target {
        let row = (self.0 & ROW) as usize;
        match self.0 >> KIND_SHIFT {
            0 => Target::Local,
            1 => Target::Interface(InterfaceIdx::from_row(row)),
            2 => Target::Peering(PeeringIdx::from_row(row)),
            3 => Target::Gateway(GatewayIdx::from_row(row)),
            _ => Target::Unknown,
        }
    }
}

/// Every route table of one version of the network.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    routes: lpm::Tables,
    /// The routes that cannot be used, if those let packets fall through to the others: they come
    /// into it where no other route covers the destination.
    unusable: Option<lpm::Tables>,
    /// Whether there is a table in a row.
    there: Vec<bool>,
}

impl Tables {
    pub(super) fn compile(cloud: &Cloud, rows: &Rows, now: Instant) -> Tables {
        let falls_through = cloud.blackhole() == Blackhole::FallsThrough;
        let mut tables = Tables {
            routes: lpm::Tables::default(),
            unusable: falls_through.then(lpm::Tables::default),
            there: vec![false; rows.table_count()],
        };
        for row in 0..rows.table_count() {
            tables.refresh(cloud, rows, TableIdx::from_row(row), now);
        }
        tables
    }

    /// Compiles one table anew.
    pub(super) fn refresh(&mut self, cloud: &Cloud, rows: &Rows, at: TableIdx, now: Instant) {
        let id = rows.table_id(at);
        if self.there.len() <= at.row() {
            self.there.resize(at.row() + 1, false);
        }
        self.there[at.row()] = cloud.table(id).is_some();
        let all = cloud.routes(id).filter_map(|route| {
            let code = Code::of(target(cloud, rows, route.hop));
            Some((route.destination, lpm::Code::new(code.0)?, route.hop))
        });
        let routes = |of: Vec<(IpNet, lpm::Code, Hop)>| {
            of.into_iter().map(|(destination, code, _)| (destination, code))
        };
        // No quota lets a table or a cloud come near the limits of `lpm`.
        let set = |tables: &mut lpm::Tables, of| {
            let done = tables.set(at, routes(of));
            debug_assert_eq!(done, Ok(()), "{id}");
        };
        match &mut self.unusable {
            None => set(&mut self.routes, all.collect()),
            Some(last) => {
                let is_active = |hop| cloud.route_state(hop, now) == RouteState::Active;
                let (usable, unusable) = all.partition(|(_, _, hop)| is_active(*hop));
                set(&mut self.routes, usable);
                set(last, unusable);
            }
        }
    }

    /// Brings the route of one table for one destination up to date. Does not grow with the table,
    /// unless routes that cannot be used let packets fall through to others.
    pub(super) fn refresh_route(
        &mut self,
        cloud: &Cloud,
        rows: &Rows,
        (at, destination): (TableIdx, IpNet),
        now: Instant,
    ) {
        if self.unusable.is_some() {
            return self.refresh(cloud, rows, at, now);
        }
        let route = cloud.route_to(rows.table_id(at), destination);
        let code =
            route.and_then(|route| lpm::Code::new(Code::of(target(cloud, rows, route.hop)).0));
        match code {
            Some(code) => {
                let done = self.routes.insert(at, destination, code);
                debug_assert!(done.is_ok(), "no quota lets it come near the limits of `lpm`");
            }
            None => drop(self.routes.remove(at, destination)),
        }
    }

    /// Do routes that cannot be used let packets fall through to others?
    pub(super) const fn falls_through(&self) -> bool {
        self.unusable.is_some()
    }

    /// Is there such a table?
    pub(super) fn has(&self, table: TableIdx) -> bool {
        self.there.get(table.row()).copied().unwrap_or_default()
    }

    /// The target of the longest route of a table that covers the address, if one does.
    #[inline(always)]
    pub(super) fn get(&self, table: TableIdx, address: u32) -> Option<Code> {
        let last = || self.unusable.as_ref()?.get(table, address);
        self.routes.get(table, address).or_else(last).map(|code| Code(code.number()))
    }

    /// The same for an IPv6 address.
    pub(super) fn get_v6(&self, table: TableIdx, address: u128) -> Option<Code> {
        let last = || self.unusable.as_ref()?.get_v6(table, address);
        self.routes.get_v6(table, address).or_else(last).map(|code| Code(code.number()))
    }

    /// Asks for the table's own line.
    #[inline(always)]
    pub(super) fn prefetch_table(&self, table: TableIdx) {
        self.routes.prefetch_table(table);
    }

    /// The same for IPv6.
    #[inline(always)]
    pub(super) fn prefetch_table_v6(&self, table: TableIdx) {
        self.routes.prefetch_table_v6(table);
    }

    /// Asks for what a look-up reads next.
    #[inline(always)]
    pub(super) fn prefetch(&self, table: TableIdx, address: u32) {
        self.routes.prefetch(table, address);
    }

    /// The same for an IPv6 address.
    #[inline(always)]
    pub(super) fn prefetch_v6(&self, table: TableIdx, address: u128) {
        self.routes.prefetch_v6(table, address);
    }

    /// What they take.
    pub(super) fn bytes(&self) -> usize {
        self.routes.bytes()
            + self.unusable.as_ref().map_or(0, lpm::Tables::bytes)
            + self.there.len()
    }
}

fn target(cloud: &Cloud, rows: &Rows, hop: Hop) -> Target {
    match hop {
        Hop::Local => Target::Local,
        Hop::To(RouteTarget::Gateway(id)) => {
            rows.gateway(id).map_or(Target::Unknown, Target::Gateway)
        }
        Hop::To(RouteTarget::Nat(id)) => {
            let interface = cloud.nat_gateway(id).and_then(|nat| rows.interface(nat.interface));
            interface.map_or(Target::Unknown, Target::Interface)
        }
        Hop::To(RouteTarget::Interface(id)) => {
            rows.interface(id).map_or(Target::Unknown, Target::Interface)
        }
        Hop::To(RouteTarget::Peering(id)) => {
            rows.peering(id).map_or(Target::Unknown, Target::Peering)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_survives_its_code() {
        for row in [0, 1, ROW as usize] {
            for target in [
                Target::Local,
                Target::Interface(InterfaceIdx::from_row(row)),
                Target::Peering(PeeringIdx::from_row(row)),
                Target::Gateway(GatewayIdx::from_row(row)),
                Target::Unknown,
            ] {
                assert_eq!(Code::of(target).target(), target);
            }
        }
        let beyond = Target::Peering(PeeringIdx::from_row(ROW as usize + 1));
        assert_eq!(Code::of(beyond).target(), Target::Unknown);
    }
}
