//! The route tables, compiled: from a destination to a target of 4 bytes.
//!
//! Holds targets as numbers and the tables that lead to them. Refuses to say whether a target can be
//! used: that is looked up in the target's own row, so that no table is touched when a peering opens
//! or closes.

use ipnet::IpNet;

use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::route_table::{Blackhole, Hop, RouteState, RouteTarget};
use crate::forward::Rows;
use crate::forward::lpm::{self, Ranges};

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

/// A table of one kind of routes.
#[derive(Clone, PartialEq, Eq, Debug)]
struct ByAddress {
    v4: Ranges<u32, Code>,
    v6: Ranges<u128, Code>,
}

impl ByAddress {
    fn build(routes: impl Iterator<Item = (IpNet, Code)>) -> ByAddress {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (net, value) in routes {
            match net {
                IpNet::V4(net) => v4.push(lpm::Block {
                    first: u32::from(net.network()),
                    last: u32::from(net.broadcast()),
                    value,
                }),
                IpNet::V6(net) => v6.push(lpm::Block {
                    first: u128::from(net.network()),
                    last: u128::from(net.broadcast()),
                    value,
                }),
            }
        }
        ByAddress { v4: Ranges::build(v4), v6: Ranges::build(v6) }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Table {
    routes: ByAddress,
    /// The routes that cannot be used, if those let packets fall through to the others: they come
    /// into it where no other route covers the destination.
    unusable: Option<Box<ByAddress>>,
}

/// Every route table of one version of the network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tables {
    rows: Vec<Option<Table>>,
}

impl Tables {
    pub(super) fn compile(cloud: &Cloud, rows: &Rows, now: Instant) -> Tables {
        let table = |row| table(cloud, rows, TableIdx::from_row(row), now);
        Tables { rows: (0..rows.table_count()).map(table).collect() }
    }

    /// Compiles one table anew.
    pub(super) fn refresh(&mut self, cloud: &Cloud, rows: &Rows, at: TableIdx, now: Instant) {
        if self.rows.len() <= at.row() {
            self.rows.resize(at.row() + 1, None);
        }
        self.rows[at.row()] = table(cloud, rows, at, now);
    }

    /// Is there such a table?
    pub(super) fn has(&self, table: TableIdx) -> bool {
        self.rows.get(table.row()).is_some_and(Option::is_some)
    }

    /// The target of the longest route of a table that covers the address, if one does.
    pub(super) fn get(&self, table: TableIdx, address: u32) -> Option<Code> {
        let table = self.rows.get(table.row())?.as_ref()?;
        let last = || table.unusable.as_ref()?.v4.get(address);
        table.routes.v4.get(address).or_else(last)
    }

    /// The same for an IPv6 address.
    pub(super) fn get_v6(&self, table: TableIdx, address: u128) -> Option<Code> {
        let table = self.rows.get(table.row())?.as_ref()?;
        let last = || table.unusable.as_ref()?.v6.get(address);
        table.routes.v6.get(address).or_else(last)
    }

    /// Asks for what a look-up will read first.
    pub(super) fn prefetch(&self, table: TableIdx, _address: u32) {
        super::prefetch::element(&self.rows, table.row());
    }
}

fn table(cloud: &Cloud, rows: &Rows, at: TableIdx, now: Instant) -> Option<Table> {
    let id = rows.table_id(at);
    cloud.table(id)?;
    let target = |hop| match hop {
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
    };
    let all = cloud.routes(id).map(|route| (route.destination, target(route.hop), route.hop));
    let build = |routes: Vec<(IpNet, Target, Hop)>| {
        ByAddress::build(routes.into_iter().map(|(net, target, _)| (net, Code::of(target))))
    };
    if cloud.blackhole() == Blackhole::Drops {
        return Some(Table { routes: build(all.collect()), unusable: None });
    }
    let (usable, unusable) =
        all.partition(|(_, _, hop)| cloud.route_state(*hop, now) == RouteState::Active);
    Some(Table { routes: build(usable), unusable: Some(Box::new(build(unusable))) })
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
