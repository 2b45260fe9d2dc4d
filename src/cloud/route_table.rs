//! Route tables: routes, targets, associations, and the commands about them.
//!
//! Holds what a table *says*. Refuses to hold what is looked up in it: longest-prefix match is the
//! forwarder's. Local routes are not stored but follow from the VPC's blocks, so a table can neither
//! lack one nor keep a stale one; those of endpoints and propagated ones follow likewise from their
//! gateways. Whether a route is a blackhole follows from its target's state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::account::Caller;
use super::event::Change;
use super::gateway::{Gateway, GatewayId};
use super::peering::Status;
use super::profile::Feature;
use super::quota::Quota;
use super::refusal::Refusal;
use super::{Cloud, cidr};
use crate::base::id::*;
use crate::base::time::Instant;

/// Where a route leads, as a command names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum RouteTarget {
    /// Over a peering of the table's VPC.
    Peering(PeeringId),
    /// To an interface of the table's VPC: a middlebox.
    Interface(InterfaceId),
    /// Over an edge of the table's VPC.
    Gateway(GatewayId),
    /// To a NAT gateway of the table's VPC.
    Nat(NatGatewayId),
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteTarget::Peering(id) => id.fmt(f),
            RouteTarget::Interface(id) => id.fmt(f),
            RouteTarget::Gateway(id) => id.fmt(f),
            RouteTarget::Nat(id) => id.fmt(f),
        }
    }
}

/// Where a route of a table in force leads: what a command can name, or the VPC itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Hop {
    /// The destination is in this VPC.
    Local,
    /// A target that somebody set.
    To(RouteTarget),
}

/// Where a route comes from, in the words of `DescribeRouteTables` (vpc-semantics 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Origin {
    /// It was born with the table: a local route.
    CreateRouteTable,
    /// Somebody set it, or put the table on an endpoint.
    CreateRoute,
    /// A virtual private gateway announces it.
    Propagated,
}

impl Origin {
    /// All three.
    pub const ALL: [Origin; 3] =
        [Origin::CreateRouteTable, Origin::CreateRoute, Origin::Propagated];

    /// The code on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            Origin::CreateRouteTable => "CreateRouteTable",
            Origin::CreateRoute => "CreateRoute",
            Origin::Propagated => "EnableVgwRoutePropagation",
        }
    }

    /// The origin with this code.
    pub fn from_code(code: &str) -> Option<Origin> {
        Origin::ALL.into_iter().find(|origin| origin.code() == code)
    }
}

/// A route as `DescribeRouteTables` shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// The addresses it is about.
    pub destination: IpNet,
    /// Where it leads.
    pub hop: Hop,
    /// Where it comes from.
    pub origin: Origin,
}

/// Whether a route's target can be used (vpc-semantics 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RouteState {
    /// It can.
    Active,
    /// It cannot: the peering is not active, the interface is gone or its instance stopped, the
    /// gateway is detached or gone.
    Blackhole,
}

impl RouteState {
    /// Both.
    pub const ALL: [RouteState; 2] = [RouteState::Active, RouteState::Blackhole];

    /// The code on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            RouteState::Active => "active",
            RouteState::Blackhole => "blackhole",
        }
    }

    /// The state with this code.
    pub fn from_code(code: &str) -> Option<RouteState> {
        RouteState::ALL.into_iter().find(|state| state.code() == code)
    }
}

/// What becomes of a packet whose longest match cannot be used. AWS does not say (vpc-semantics 3.2,
/// 8), so it is a setting of the emulator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Blackhole {
    /// It is dropped: the route still covers the destination.
    #[default]
    Drops,
    /// It takes the longest route that can be used, and is dropped only if there is none.
    FallsThrough,
}

impl Blackhole {
    /// Both, the default first.
    pub const ALL: [Blackhole; 2] = [Blackhole::Drops, Blackhole::FallsThrough];

    /// The name used in files.
    pub const fn name(self) -> &'static str {
        match self {
            Blackhole::Drops => "drops",
            Blackhole::FallsThrough => "falls-through",
        }
    }

    /// The setting with this name.
    pub fn from_name(name: &str) -> Option<Blackhole> {
        Blackhole::ALL.into_iter().find(|setting| setting.name() == name)
    }
}

/// A route table of one VPC.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RouteTable {
    /// Its VPC.
    pub vpc: VpcId,
    pub(super) routes: BTreeMap<IpNet, RouteTarget>,
    /// The gateways whose prefixes become routes of this table: endpoints that it is on, and virtual
    /// private gateways that propagate to it.
    pub(super) learns_from: BTreeSet<GatewayId>,
}

impl RouteTable {
    pub(super) fn new(vpc: VpcId) -> RouteTable {
        RouteTable { vpc, routes: BTreeMap::new(), learns_from: BTreeSet::new() }
    }

    /// The routes that somebody set, ordered by destination; local ones are not among them.
    pub fn routes(&self) -> impl Iterator<Item = (IpNet, RouteTarget)> + '_ {
        self.routes.iter().map(|(destination, target)| (*destination, *target))
    }

    /// Is the table on this endpoint, or does this virtual private gateway propagate to it? (One that
    /// is detached adds no route for the time being.)
    pub fn learns_from(&self, gateway: GatewayId) -> bool {
        self.learns_from.contains(&gateway)
    }
}

impl Cloud {
    /// Every route in force in a table: one local route per block of the VPC, then those that
    /// somebody set, by destination, then those of endpoints, then propagated ones. A destination
    /// occurs once: the earlier in this order wins (vpc-semantics 3.2).
    pub fn routes(&self, table: RouteTableId) -> impl Iterator<Item = Route> + '_ {
        self.stated_routes(table).chain(self.learned_routes(table))
    }

    /// The route in force in a table for exactly this destination. Does not grow with the routes that
    /// somebody set.
    pub fn route_to(&self, table: RouteTableId, destination: IpNet) -> Option<Route> {
        let of = self.tables.get(&table)?;
        let local = self.vpcs.get(&of.vpc)?.blocks().contains(&destination).then_some(Route {
            destination,
            hop: Hop::Local,
            origin: Origin::CreateRouteTable,
        });
        let set = || {
            let hop = Hop::To(*of.routes.get(&destination)?);
            Some(Route { destination, hop, origin: Origin::CreateRoute })
        };
        let mut learned = self.learned_routes(table);
        local.or_else(set).or_else(|| learned.find(|route| route.destination == destination))
    }

    /// The local routes and those that somebody set.
    fn stated_routes(&self, table: RouteTableId) -> impl Iterator<Item = Route> + '_ {
        let table = self.tables.get(&table);
        let vpc = table.and_then(|t| self.vpcs.get(&t.vpc));
        let local = vpc.into_iter().flat_map(|v| v.blocks()).map(|block| Route {
            destination: *block,
            hop: Hop::Local,
            origin: Origin::CreateRouteTable,
        });
        let set = table.into_iter().flat_map(|t| t.routes()).map(|(destination, target)| Route {
            destination,
            hop: Hop::To(target),
            origin: Origin::CreateRoute,
        });
        local.chain(set)
    }

    /// The routes that follow from the gateways that a table learns from. One that is equal to or
    /// inside a block of the VPC is not in force: nothing propagated pulls traffic out of the VPC.
    fn learned_routes(&self, table: RouteTableId) -> impl Iterator<Item = Route> + '_ {
        let table = self.tables.get(&table);
        table.into_iter().flat_map(move |table| {
            // Backwards, because endpoints order behind virtual private gateways and go first.
            let sources = table.learns_from.iter().rev();
            sources.flat_map(move |gateway| self.learned_from(*gateway, table))
        })
    }

    fn learned_from<'c>(
        &'c self,
        id: GatewayId,
        table: &'c RouteTable,
    ) -> impl Iterator<Item = Route> + 'c {
        let attached = |gateway: &&Gateway| gateway.vpc == Some(table.vpc);
        let prefixes = self.gateways.get(&id).filter(attached).into_iter().flat_map(|g| &g.beyond);
        let blocks = self.vpcs.get(&table.vpc).map_or(&[][..], |vpc| vpc.blocks());
        let is_endpoint = matches!(id, GatewayId::Endpoint(_));
        let origin = if is_endpoint { Origin::CreateRoute } else { Origin::Propagated };
        let in_force = move |prefix: &&IpNet| {
            !table.routes.contains_key(*prefix)
                && !blocks.iter().any(|block| block.contains(*prefix))
                && (is_endpoint || !self.of_endpoint(table, prefix))
        };
        prefixes.filter(in_force).map(move |destination| Route {
            destination: *destination,
            hop: Hop::To(RouteTarget::Gateway(id)),
            origin,
        })
    }

    /// Does the table have the prefix from an endpoint?
    fn of_endpoint(&self, table: &RouteTable, prefix: &IpNet) -> bool {
        let endpoints = table.learns_from.iter().filter(|id| matches!(id, GatewayId::Endpoint(_)));
        endpoints.filter_map(|id| self.gateways.get(id)).any(|e| e.beyond.contains(prefix))
    }

    /// Whether a route's target can be used at `now`.
    pub fn route_state(&self, hop: Hop, now: Instant) -> RouteState {
        let usable = match hop {
            Hop::Local => true,
            Hop::To(RouteTarget::Peering(id)) => {
                self.peerings.get(&id).is_some_and(|p| p.active(now).is_some())
            }
            Hop::To(RouteTarget::Interface(id)) => self.runs(id),
            Hop::To(RouteTarget::Gateway(id)) => {
                self.gateways.get(&id).is_some_and(|gateway| gateway.vpc.is_some())
            }
            Hop::To(RouteTarget::Nat(id)) => self.nat_gateways.contains_key(&id),
        };
        if usable { RouteState::Active } else { RouteState::Blackhole }
    }

    /// The table that a subnet uses: its own association, else its VPC's main table (1.3).
    pub fn table_of(&self, subnet: SubnetId) -> Option<RouteTableId> {
        let subnet = self.subnets.get(&subnet)?;
        match subnet.association {
            Some((_, table)) => Some(table),
            None => self.vpcs.get(&subnet.vpc).map(|vpc| vpc.main_table()),
        }
    }

    /// The table that an association is with.
    pub fn table_by_association(&self, id: AssociationId) -> Option<RouteTableId> {
        if let Some(subnet) = self.associations.get(&id) {
            return Some(self.subnets.get(subnet)?.association?.1);
        }
        let vpc = self.main_associations.get(&id)?;
        self.vpcs.get(vpc).map(|vpc| vpc.main_table())
    }

    pub(super) fn own_table(
        &self,
        caller: &Caller,
        id: RouteTableId,
    ) -> Result<&RouteTable, Refusal> {
        self.tables
            .get(&id)
            .filter(|table| self.own_vpc(caller, table.vpc).is_ok())
            .ok_or(Refusal::RouteTableNotFound(id))
    }

    pub(super) fn create_table(
        &self,
        caller: &Caller,
        vpc_id: VpcId,
    ) -> Result<Vec<Change>, Refusal> {
        let vpc = self.own_vpc(caller, vpc_id)?;
        self.within(vpc.owner, Quota::RouteTablesPerVpc, || vpc.tables().len())?;
        let table = RouteTableId::new(self.mint().next());
        Ok(vec![Change::RouteTableCreated { table, vpc: vpc_id }])
    }

    pub(super) fn delete_table(
        &self,
        caller: &Caller,
        id: RouteTableId,
    ) -> Result<Vec<Change>, Refusal> {
        let table = self.own_table(caller, id)?;
        let vpc = self.own_vpc(caller, table.vpc)?;
        let associated = vpc
            .subnets()
            .iter()
            .filter_map(|s| self.subnets.get(s))
            .any(|subnet| subnet.association.is_some_and(|(_, table)| table == id));
        if vpc.main_table() == id || associated {
            return Err(Refusal::RouteTableInUse(id));
        }
        Ok(vec![Change::RouteTableDeleted { table: id }])
    }

    pub(super) fn associate_table(
        &self,
        caller: &Caller,
        table_id: RouteTableId,
        subnet_id: SubnetId,
    ) -> Result<Vec<Change>, Refusal> {
        let table = self.own_table(caller, table_id)?;
        let subnet = self.own_subnet(caller, subnet_id)?;
        if table.vpc != subnet.vpc {
            return Err(Refusal::AssociationOfOtherVpc { table: table_id, subnet: subnet_id });
        }
        if subnet.association.is_some() {
            return Err(Refusal::AlreadyAssociated { table: table_id, subnet: subnet_id });
        }
        let association = AssociationId::new(self.mint().next());
        Ok(vec![Change::RouteTableAssociated { association, table: table_id, subnet: subnet_id }])
    }

    /// The subnet behind an explicit association of the caller's.
    fn own_association(&self, caller: &Caller, id: AssociationId) -> Option<SubnetId> {
        self.associations.get(&id).copied().filter(|s| self.own_subnet(caller, *s).is_ok())
    }

    /// The VPC of which this is the main association, if it is the caller's.
    fn own_main_association(&self, caller: &Caller, id: AssociationId) -> Option<VpcId> {
        let vpc = *self.main_associations.get(&id)?;
        self.own_vpc(caller, vpc).is_ok().then_some(vpc)
    }

    pub(super) fn disassociate_table(
        &self,
        caller: &Caller,
        association: AssociationId,
    ) -> Result<Vec<Change>, Refusal> {
        if let Some(subnet) = self.own_association(caller, association) {
            return Ok(vec![Change::RouteTableDisassociated { association, subnet }]);
        }
        match self.own_main_association(caller, association) {
            Some(_) => Err(Refusal::MainAssociationStays(association)),
            None => Err(Refusal::AssociationNotFound(association)),
        }
    }

    pub(super) fn replace_association(
        &self,
        caller: &Caller,
        association: AssociationId,
        table_id: RouteTableId,
    ) -> Result<Vec<Change>, Refusal> {
        let table = self.own_table(caller, table_id)?;
        let new = AssociationId::new(self.mint().next());
        if let Some(subnet_id) = self.own_association(caller, association) {
            let subnet = self.own_subnet(caller, subnet_id)?;
            if table.vpc != subnet.vpc {
                return Err(Refusal::AssociationOfOtherVpc { table: table_id, subnet: subnet_id });
            }
            return Ok(vec![Change::RouteTableAssociated {
                association: new,
                table: table_id,
                subnet: subnet_id,
            }]);
        }
        match self.own_main_association(caller, association) {
            Some(vpc) if vpc == table.vpc => {
                Ok(vec![Change::MainRouteTableReplaced { vpc, association: new, table: table_id }])
            }
            Some(_) => Err(Refusal::RouteTableNotFound(table_id)),
            None => Err(Refusal::AssociationNotFound(association)),
        }
    }

    /// The rules that creating and replacing a route share: may this table say this?
    fn check_route(
        &self,
        caller: &Caller,
        table_id: RouteTableId,
        destination: IpNet,
        target: RouteTarget,
        now: Instant,
    ) -> Result<&RouteTable, Refusal> {
        let table = self.own_table(caller, table_id)?;
        let vpc = self.own_vpc(caller, table.vpc)?;
        if matches!(destination, IpNet::V6(_)) && !self.profile.has(Feature::Ipv6) {
            return Err(Refusal::UnknownParameter("DestinationIpv6CidrBlock"));
        }
        if cidr::is_reserved_destination(destination) {
            return Err(Refusal::RouteReserved(destination));
        }
        let of_other_vpc =
            || Refusal::RouteTargetOfOtherVpc { table: table_id, target: target.to_string() };
        match target {
            RouteTarget::Peering(id) => {
                let peering = self.visible_peering(caller, id, now)?;
                if peering.other_end(table.vpc).is_none() {
                    return Err(of_other_vpc());
                }
                // An ended peering is no target any more (2.2, last column); the code is a choice.
                use Status::{Deleted, Deleting, Expired, Failed, Rejected};
                if [Failed, Rejected, Expired, Deleting, Deleted].contains(&peering.status(now)) {
                    return Err(Refusal::PeeringNotFound(id));
                }
            }
            RouteTarget::Interface(id) => {
                if self.own_interface(caller, id)?.vpc != table.vpc {
                    return Err(of_other_vpc());
                }
            }
            RouteTarget::Gateway(id) => {
                let gateway =
                    self.own_gateway(caller, id).map_err(|_| Refusal::RouteGatewayNotFound(id))?;
                match (id, destination) {
                    (GatewayId::Endpoint(_), _) => return Err(Refusal::RouteToEndpoint(id)),
                    (GatewayId::EgressOnly(_), IpNet::V4(_)) => {
                        return Err(Refusal::RouteToEgressOnlyNotIpv6(destination));
                    }
                    _ => {}
                }
                if gateway.vpc != Some(table.vpc) {
                    return Err(of_other_vpc());
                }
            }
            RouteTarget::Nat(id) => {
                let of = self.nat_gateways.get(&id).map(|nat| nat.vpc);
                let of = of.filter(|vpc| self.own_vpc(caller, *vpc).is_ok());
                if of.ok_or(Refusal::RouteNatGatewayNotFound(id))? != table.vpc {
                    return Err(of_other_vpc());
                }
            }
        }
        let inside_local = vpc.blocks().iter().any(|block| block.contains(&destination));
        if inside_local {
            let to_interface = matches!(target, RouteTarget::Interface(_) | RouteTarget::Nat(_));
            if !to_interface || !self.profile.has(Feature::RouteInsideLocal) {
                return Err(Refusal::RouteInsideLocal(destination));
            }
            let mut subnets = vpc.subnets().iter().filter_map(|s| self.subnets.get(s));
            if !subnets.any(|s| s.blocks().any(|b| b == destination)) {
                return Err(Refusal::RouteInsideLocalNotSubnet(destination));
            }
        }
        Ok(table)
    }

    pub(super) fn create_route(
        &self,
        caller: &Caller,
        table_id: RouteTableId,
        destination: IpNet,
        target: RouteTarget,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        let destination = destination.trunc();
        let table = self.check_route(caller, table_id, destination, target, now)?;
        // A learned route is in nobody's way: what is set wins.
        if self.stated_routes(table_id).any(|route| route.destination == destination) {
            return Err(Refusal::RouteExists(destination));
        }
        let same_family =
            |d: &&IpNet| matches!(d, IpNet::V4(_)) == matches!(destination, IpNet::V4(_));
        self.within(caller.account, Quota::RoutesPerTable, || {
            table.routes.keys().filter(same_family).count()
        })?;
        Ok(vec![Change::RouteSet { table: table_id, destination, target }])
    }

    pub(super) fn replace_route(
        &self,
        caller: &Caller,
        table_id: RouteTableId,
        destination: IpNet,
        target: RouteTarget,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        let destination = destination.trunc();
        let table = self.check_route(caller, table_id, destination, target, now)?;
        if !table.routes.contains_key(&destination) {
            return Err(Refusal::RouteToReplaceNotFound { table: table_id, destination });
        }
        Ok(vec![Change::RouteSet { table: table_id, destination, target }])
    }

    pub(super) fn delete_route(
        &self,
        caller: &Caller,
        table_id: RouteTableId,
        destination: IpNet,
    ) -> Result<Vec<Change>, Refusal> {
        let destination = destination.trunc();
        let table = self.own_table(caller, table_id)?;
        if self.own_vpc(caller, table.vpc)?.blocks().contains(&destination) {
            return Err(Refusal::LocalRouteStays { table: table_id, destination });
        }
        if !table.routes.contains_key(&destination) {
            return Err(Refusal::RouteNotFound { table: table_id, destination });
        }
        Ok(vec![Change::RouteDeleted { table: table_id, destination }])
    }
}
