//! From one version of the network to the next: only what an event touched is compiled anew.
//!
//! Holds which things each event touches ([`touched`]), and what is done with each: it is looked up in
//! the cloud as it is now, whatever has happened to it on the way there. So events that concern the
//! same thing may come together, and in an update of a copy that has missed some. Refuses to judge
//! packets.
//!
//! | event | costs |
//! |---|---|
//! | a route | what it costs in its table, whatever that has |
//! | a peering, a deadline | its row |
//! | an instance stops, starts | the rows of its interfaces |
//! | an interface comes, goes, is attached, detached, gets or loses addresses, gets groups | its row and addresses |
//! | rules of a group, entries of a prefix list | the filters of those lists of groups, and the rows of their interfaces if they have another filter or are open now |
//! | entries of a network ACL | the same, for subnets |
//! | a subnet's block | the rows and addresses of the interfaces there |
//! | a subnet's table or ACL, a main table | the rows of the interfaces there |
//! | blocks of a VPC | the rows of its peerings, its tables |
//! | gateways | their rows, the tables of their VPC |
//! | public addresses, hosts outside | their entries |
//!
//! Where groups of a peer may be named, a peering that opens or closes also costs the rules of either
//! VPC's groups; and where a route that cannot be used lets packets fall through to others, the tables
//! of either VPC, as an instance, which may be a target, costs those of its VPC.
//!
//! Nothing that happens in a cloud needs a compilation of the whole. Three things are built anew as a
//! whole from time to time, which costs a constant for each change in the long run: the directory when
//! it is full, what filters lead to once half of it is superseded, and the arena of the tables.

use std::collections::BTreeSet;

use super::rows::{Flags, InterfaceRow, PeeringRow, VpcRow};
use super::{Fabric, Hosts, Version};
use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::event::Change;
use crate::cloud::gateway::GatewayId;
use crate::cloud::instance::SourceDestCheck;
use crate::cloud::profile::Feature;
use crate::forward::Rows;
use crate::forward::fabric::classify::network::Moved;

/// What an event touches.
enum Touched {
    Route(RouteTableId, ipnet::IpNet),
    Table(RouteTableId),
    /// Its blocks.
    Vpc(VpcId),
    /// Its main table is another.
    MainTable(VpcId),
    Subnet(SubnetId),
    /// Its blocks.
    Residents(SubnetId),
    Peering(PeeringId),
    /// It runs, or runs no more.
    Instance(InstanceId),
    Check(InterfaceId, SourceDestCheck),
    Interface(InterfaceId),
    Group(SecurityGroupId),
    PrefixList(PrefixListId),
    Acl(NetworkAclId),
    Gateway(GatewayId),
    PublicAddress(AllocationId),
    OutsideHost(InterfaceId),
}

/// What an event touches, one after the other.
fn touched(change: &Change) -> impl Iterator<Item = Touched> {
    use Touched::*;
    let (first, more) = match *change {
        Change::RouteSet { table, destination, .. }
        | Change::RouteDeleted { table, destination } => (Some(Route(table, destination)), None),
        Change::RouteTableCreated { table, .. }
        | Change::RouteTableDeleted { table }
        | Change::TableLearns { table, .. }
        | Change::TableForgets { table, .. } => (Some(Table(table)), None),
        Change::VpcCreated { vpc, main_table, default_acl, .. }
        | Change::VpcDeleted { vpc, main_table, default_acl } => {
            (Some(Vpc(vpc)), Some([Table(main_table), Acl(default_acl)]))
        }
        Change::VpcBlockAssociated { vpc, .. } | Change::VpcBlockDisassociated { vpc, .. } => {
            (Some(Vpc(vpc)), None)
        }
        Change::MainRouteTableReplaced { vpc, .. } => (Some(MainTable(vpc)), None),
        Change::RouteTableAssociated { subnet, .. }
        | Change::RouteTableDisassociated { subnet, .. }
        | Change::AclAssociationReplaced { subnet, .. } => (Some(Subnet(subnet)), None),
        Change::SubnetBlockAssociated { subnet, .. }
        | Change::SubnetBlockDisassociated { subnet } => (Some(Residents(subnet)), None),
        Change::PeeringRequested { peering, .. }
        | Change::PeeringMoved { peering, .. }
        | Change::PeeringForgotten { peering } => (Some(Peering(peering)), None),
        Change::InstanceStopped { instance } | Change::InstanceStarted { instance } => {
            (Some(Instance(instance)), None)
        }
        Change::SourceDestCheckSet { interface, source_dest_check } => {
            (Some(Check(interface, source_dest_check)), None)
        }
        Change::InstanceRun { interface, .. }
        | Change::InstanceTerminated { interface, .. }
        | Change::InterfaceCreated { interface, .. }
        | Change::InterfaceDeleted { interface }
        | Change::InterfaceAttached { interface, .. }
        | Change::InterfaceDetached { interface }
        | Change::AddressesAssigned { interface, .. }
        | Change::AddressesUnassigned { interface, .. }
        | Change::InterfaceGroupsSet { interface, .. }
        | Change::NatGatewayCreated { interface, .. }
        | Change::NatGatewayDeleted { interface, .. } => (Some(Interface(interface)), None),
        Change::GroupRuleAuthorized { group, .. } | Change::GroupRuleRevoked { group, .. } => {
            (Some(Group(group)), None)
        }
        Change::PrefixListModified { list, .. } => (Some(PrefixList(list)), None),
        Change::NetworkAclCreated { acl, .. }
        | Change::NetworkAclDeleted { acl }
        | Change::AclEntrySet { acl, .. }
        | Change::AclEntryDeleted { acl, .. } => (Some(Acl(acl)), None),
        Change::GatewayCreated { id: gateway, .. }
        | Change::GatewayAttached { gateway, .. }
        | Change::GatewayDetached { gateway }
        | Change::GatewayDeleted { gateway } => (Some(Gateway(gateway)), None),
        Change::AddressAssociated { allocation, .. }
        | Change::AddressDisassociated { allocation } => (Some(PublicAddress(allocation)), None),
        Change::OutsideHostPlaced { host, .. } | Change::OutsideHostRemoved { host } => {
            (Some(OutsideHost(host)), None)
        }
        // No interface is in it yet, or any more.
        Change::SubnetCreated { .. }
        | Change::SubnetDeleted { .. }
        // Nobody has it or names it yet; once it is gone, rules that name it allow nobody, and it
        // has no member.
        | Change::SecurityGroupCreated { .. }
        | Change::SecurityGroupDeleted { .. }
        | Change::PrefixListCreated { .. }
        | Change::PrefixListDeleted { .. }
        // It stands for nobody.
        | Change::AddressAllocated { .. }
        | Change::AddressReleased { .. }
        // Of no interest to packets.
        | Change::SubnetAttributeSet { .. }
        | Change::InstanceForgotten { .. }
        | Change::OnTerminationSet { .. }
        | Change::AccountOpened { .. }
        | Change::VpcAttributeSet { .. }
        | Change::PeeringFound { .. }
        | Change::PeeringOptionSet { .. }
        | Change::FlowLogCreated { .. }
        | Change::FlowLogDeleted { .. }
        | Change::TagSet { .. }
        | Change::TagRemoved { .. } => (None, None),
    };
    first.into_iter().chain(more.into_iter().flatten())
}

/// What is looked at again once everything that was touched has been.
#[derive(Default)]
struct Rest {
    /// Peerings that may have opened or closed, with the VPCs at their ends.
    peerings: BTreeSet<PeeringIdx>,
    tables: BTreeSet<RouteTableId>,
    groups: BTreeSet<SecurityGroupId>,
    lists: BTreeSet<PrefixListId>,
    acls: BTreeSet<AclIdx>,
    moved: Moved,
    subnets: BTreeSet<SubnetId>,
}

/// The network as it is.
#[derive(Clone, Copy)]
struct Now<'c> {
    cloud: &'c Cloud,
    rows: &'c Rows,
    now: Instant,
}

impl Fabric {
    /// Brings it up to date: with these changes, in their order, the last version has become what
    /// `cloud` is at `now`. Afterwards it answers as one that is compiled anew. `rows` must know
    /// everything in the cloud. What it costs is in the head of `update.rs`.
    pub fn update(&mut self, cloud: &Cloud, rows: &Rows, changes: &[Change], now: Instant) {
        self.version = Version::next();
        let at = Now { cloud, rows, now };
        let hosts = &mut self.hosts;
        hosts.interfaces.resize(rows.interface_count(), InterfaceRow::ABSENT);
        hosts.acls.resize(rows.interface_count(), AclIdx::NOWHERE);
        hosts.peerings.resize(rows.peering_count(), PeeringRow::default());
        hosts.vpcs.resize_with(rows.vpc_count(), VpcRow::absent);
        let mut rest = Rest::default();
        while let Some((deadline, peering)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.deadlines.remove(&(deadline, peering));
            rest.peerings.insert(peering);
        }
        for touched in changes.iter().flat_map(touched) {
            self.follow(at, &touched, &mut rest);
        }
        for peering in std::mem::take(&mut rest.peerings) {
            self.refresh_peering(at, peering, &mut rest);
        }
        self.hosts.refresh_filters(at, &mut rest);
        self.hosts.refresh_rows(at, &rest);
        for table in rest.tables {
            if let Some(table) = rows.table(table) {
                self.tables.refresh(cloud, rows, table, now);
            }
        }
    }

    fn follow(&mut self, at: Now<'_>, touched: &Touched, rest: &mut Rest) {
        let Now { cloud, rows, now } = at;
        let hosts = &mut self.hosts;
        match *touched {
            Touched::Route(table, destination) => {
                if let Some(table) = rows.table(table) {
                    self.tables.refresh_route(cloud, rows, (table, destination), now);
                }
            }
            Touched::Table(table) => drop(rest.tables.insert(table)),
            Touched::Vpc(vpc) => {
                if let Some(row) = rows.vpc(vpc) {
                    hosts.vpcs[row.row()] = super::compile::vpc_row(cloud, rows, row);
                    hosts.edges.refresh_vpc(cloud, rows, vpc);
                }
                if let Some(this) = cloud.vpc(vpc) {
                    rest.tables.extend(this.tables());
                    rest.peerings.extend(this.peerings().filter_map(|id| rows.peering(id)));
                }
            }
            Touched::MainTable(vpc) => {
                rest.subnets.extend(cloud.vpc(vpc).into_iter().flat_map(|vpc| vpc.subnets()));
            }
            Touched::Subnet(subnet) => drop(rest.subnets.insert(subnet)),
            Touched::Residents(subnet) => {
                for (interface, _) in cloud.interfaces_in(subnet) {
                    hosts.refresh_interface(at, interface);
                }
            }
            Touched::Peering(peering) => rest.peerings.extend(rows.peering(peering)),
            Touched::Instance(instance) => {
                let Some(instance) = cloud.instance(instance) else { return };
                for (_, interface) in instance.interfaces() {
                    hosts.set(rows, Some(interface), Flags::RUNS, |id| cloud.runs(id));
                }
                self.fall_through(cloud, instance.interface(), rest);
            }
            Touched::Check(interface, check) => {
                let on = check == SourceDestCheck::On;
                hosts.set(rows, Some(interface), Flags::CHECKED, |_| on);
            }
            Touched::Interface(interface) => {
                let home = rows.interface(interface).map(|row| hosts.interfaces[row.row()].vpc);
                hosts.refresh_interface(at, interface);
                if let Some(home) = home.filter(|home| *home != VpcIdx::NOWHERE) {
                    self.fall_through_in(cloud, rows.vpc_id(home), rest);
                }
                self.fall_through(cloud, Some(interface), rest);
            }
            Touched::Group(group) => drop(rest.groups.insert(group)),
            Touched::PrefixList(list) => drop(rest.lists.insert(list)),
            Touched::Acl(acl) => rest.acls.extend(rows.acl(acl)),
            Touched::Gateway(gateway) => {
                let old = hosts.edges.refresh_gateway(cloud, rows, gateway);
                let new = cloud.gateway(gateway).and_then(|gateway| gateway.vpc);
                for vpc in old.map(|vpc| rows.vpc_id(vpc)).into_iter().chain(new) {
                    rest.tables.extend(cloud.vpc(vpc).into_iter().flat_map(|vpc| vpc.tables()));
                }
            }
            Touched::PublicAddress(allocation) => {
                hosts.edges.refresh_public(cloud, rows, allocation);
            }
            Touched::OutsideHost(host) => {
                hosts.edges.refresh_host(cloud, rows, host);
                if let Some(row) = rows.interface(host) {
                    let there = cloud.outside_host(host).is_some();
                    let flags = Flags::NONE.with_if(there, Flags::OUTSIDE);
                    hosts.interfaces[row.row()] = InterfaceRow { flags, ..InterfaceRow::ABSENT };
                }
            }
        }
    }

    /// A peering's row, and what else depends on whether it is open.
    fn refresh_peering(&mut self, at: Now<'_>, peering: PeeringIdx, rest: &mut Rest) {
        let Now { cloud, rows, now } = at;
        let new = self.hosts.peering_row(cloud, rows, peering, now);
        let old = std::mem::replace(&mut self.hosts.peerings[peering.row()], new);
        let Some(peering_now) = cloud.peering(rows.peering_id(peering)) else { return };
        if let Some(deadline) = peering_now.state(now).deadline().filter(|at| *at > now) {
            self.deadlines.insert((deadline, peering));
        }
        if old.ends.is_some() == new.ends.is_some() {
            return;
        }
        for vpc in [peering_now.requester().vpc, peering_now.accepter().vpc] {
            if cloud.profile().has(Feature::PeerGroupReference) {
                rest.moved.add(self.hosts.filters.peerings_changed(cloud, vpc, now));
            }
            self.fall_through_in(cloud, vpc, rest);
        }
    }

    /// An interface, which routes may name, can be used, or can be used no more.
    fn fall_through(&self, cloud: &Cloud, interface: Option<InterfaceId>, rest: &mut Rest) {
        if let Some(interface) = interface.and_then(|id| cloud.interface(id)) {
            self.fall_through_in(cloud, interface.vpc, rest);
        }
    }

    /// A target of routes in a VPC can be used, or can be used no more: which of its routes are, is
    /// part of its tables only where packets fall through the others.
    fn fall_through_in(&self, cloud: &Cloud, vpc: VpcId, rest: &mut Rest) {
        if self.tables.falls_through() {
            rest.tables.extend(cloud.vpc(vpc).into_iter().flat_map(|vpc| vpc.tables()));
        }
    }
}

impl Hosts {
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
        let row = self.interfaces.get_mut(at.row());
        if let Some(row) = row.filter(|row| row.flags.has(Flags::THERE)) {
            row.flags = row.flags.without(flag).with_if(holds(id), flag);
        }
    }

    /// Gives an interface a row as it is now, if it is there, and takes away what it had.
    fn refresh_interface(&mut self, Now { cloud, rows, now }: Now<'_>, id: InterfaceId) {
        let Some(at) = rows.interface(id) else { return };
        if self.interfaces[at.row()].flags.has(Flags::THERE) {
            let vpc = rows.vpc_id(self.interfaces[at.row()].vpc);
            let addresses = self.vacate(at);
            self.filters.left(cloud, vpc, &addresses);
        }
        match cloud.interface(id) {
            Some(interface) => {
                self.filters.joined(interface);
                self.place(cloud, rows, (at, id, interface), now);
            }
            None => self.filters.shed(at),
        }
    }

    /// Filters whose rules are others now: each once, however many events there were.
    fn refresh_filters(&mut self, Now { cloud, rows, now }: Now<'_>, rest: &mut Rest) {
        for group in &rest.groups {
            rest.moved.add(self.filters.group_changed(cloud, *group, now));
        }
        for list in &rest.lists {
            rest.moved.add(self.filters.prefix_list_changed(cloud, *list, now));
        }
        for acl in &rest.acls {
            rest.moved.add(self.filters.acl_changed(cloud, rows, *acl, now));
        }
    }

    /// Rows of interfaces whose filters, tables or network ACLs are others now.
    fn refresh_rows(&mut self, at: Now<'_>, rest: &Rest) {
        let Now { cloud, rows, now } = at;
        for interface in &rest.moved.interfaces {
            self.refresh_filter(*interface);
        }
        let of_moved = rest.moved.acls.iter().filter_map(|acl| {
            let id = rows.acl_id(*acl);
            Some((id, cloud.vpc(cloud.acl(id)?.vpc)?))
        });
        let has = |id| move |subnet: &&SubnetId| cloud.acl_of(**subnet) == Some(id);
        let behind = of_moved.flat_map(|(id, vpc)| vpc.subnets().iter().filter(has(id)));
        let subnets: BTreeSet<SubnetId> = behind.chain(&rest.subnets).copied().collect();
        for (id, interface) in subnets.iter().flat_map(|subnet| cloud.interfaces_in(*subnet)) {
            if let Some(row) = rows.interface(id) {
                self.refresh_row(cloud, rows, (row, id, interface), now);
            }
        }
    }
}
