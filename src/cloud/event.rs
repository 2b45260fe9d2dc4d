//! What happened: the changes that a command makes, as values.
//!
//! Holds the events. Refuses to hold any rule: an event is the effect of a decision already taken
//! (ids, instants, results), so replaying events asks neither a clock nor a generator and cannot be
//! refused. They are carried out in `evolve.rs`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::account::{Region, Zone};
use super::dns::{Switch, VpcAttribute};
use super::filter::Direction;
use super::flow_log::{Recording, Watched};
use super::gateway::{AddressKind, Gateway, GatewayId};
use super::instance::{DeviceIndex, OnTermination, SourceDestCheck};
use super::network_acl::{AclEntry, RuleNumber};
use super::peering::{End, Party, State};
use super::quota::Quotas;
use super::route_table::RouteTarget;
use super::security_group::GroupRule;
use super::subnet::{SubnetAttribute, SubnetKind};
use super::vpc::VpcKind;
use crate::base::id::*;
use crate::base::time::Instant;

/// Anything that can carry tags.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each variant is the id of what it names")]
pub enum ResourceId {
    Vpc(VpcId),
    Subnet(SubnetId),
    RouteTable(RouteTableId),
    Peering(PeeringId),
    Instance(InstanceId),
    Interface(InterfaceId),
    SecurityGroup(SecurityGroupId),
    PrefixList(PrefixListId),
    NetworkAcl(NetworkAclId),
    Gateway(GatewayId),
    NatGateway(NatGatewayId),
    FlowLog(FlowLogId),
    Allocation(AllocationId),
}

impl ResourceId {
    /// No resource comes before this one.
    pub const LOWEST: ResourceId = ResourceId::Vpc(VpcId::new(Digits::LOWEST));
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResourceId::Vpc(id) => id.fmt(f),
            ResourceId::Subnet(id) => id.fmt(f),
            ResourceId::RouteTable(id) => id.fmt(f),
            ResourceId::Peering(id) => id.fmt(f),
            ResourceId::Instance(id) => id.fmt(f),
            ResourceId::Interface(id) => id.fmt(f),
            ResourceId::SecurityGroup(id) => id.fmt(f),
            ResourceId::PrefixList(id) => id.fmt(f),
            ResourceId::NetworkAcl(id) => id.fmt(f),
            ResourceId::Gateway(id) => id.fmt(f),
            ResourceId::NatGateway(id) => id.fmt(f),
            ResourceId::FlowLog(id) => id.fmt(f),
            ResourceId::Allocation(id) => id.fmt(f),
        }
    }
}

/// One change and its moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// When it happened.
    pub at: Instant,
    /// What happened.
    pub change: Change,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields carry the names of the command's parameters and new ids")]
pub enum Change {
    AccountOpened {
        account: AccountId,
        quotas: Quotas,
    },

    VpcCreated {
        vpc: VpcId,
        owner: AccountId,
        region: Region,
        block: Ipv4Net,
        main_table: RouteTableId,
        main_association: AssociationId,
        default_acl: NetworkAclId,
        default_group: SecurityGroupId,
        kind: VpcKind,
    },
    /// What it was born with is gone too.
    VpcDeleted {
        vpc: VpcId,
        main_table: RouteTableId,
        default_acl: NetworkAclId,
    },
    VpcBlockAssociated {
        vpc: VpcId,
        association: CidrAssociationId,
        block: IpNet,
    },
    VpcBlockDisassociated {
        vpc: VpcId,
        block: IpNet,
    },
    VpcAttributeSet {
        vpc: VpcId,
        attribute: VpcAttribute,
    },

    SubnetCreated {
        subnet: SubnetId,
        vpc: VpcId,
        cidr: Ipv4Net,
        ipv6: Option<Ipv6Net>,
        zone: Zone,
        acl_association: AclAssociationId,
        kind: SubnetKind,
    },
    SubnetDeleted {
        subnet: SubnetId,
    },
    SubnetAttributeSet {
        subnet: SubnetId,
        attribute: SubnetAttribute,
    },
    SubnetBlockAssociated {
        subnet: SubnetId,
        association: SubnetCidrAssociationId,
        block: Ipv6Net,
    },
    SubnetBlockDisassociated {
        subnet: SubnetId,
    },

    RouteTableCreated {
        table: RouteTableId,
        vpc: VpcId,
    },
    RouteTableDeleted {
        table: RouteTableId,
    },
    RouteTableAssociated {
        association: AssociationId,
        table: RouteTableId,
        subnet: SubnetId,
    },
    RouteTableDisassociated {
        association: AssociationId,
        subnet: SubnetId,
    },
    MainRouteTableReplaced {
        vpc: VpcId,
        association: AssociationId,
        table: RouteTableId,
    },
    /// A route was created, or its target replaced.
    RouteSet {
        table: RouteTableId,
        destination: IpNet,
        target: RouteTarget,
    },
    RouteDeleted {
        table: RouteTableId,
        destination: IpNet,
    },

    PeeringRequested {
        peering: PeeringId,
        requester: Party,
        accepter: Party,
        state: State,
    },
    /// The request repeats one that is pending or active: that one is the answer, nothing changed.
    PeeringFound {
        peering: PeeringId,
    },
    PeeringMoved {
        peering: PeeringId,
        to: State,
    },
    PeeringOptionSet {
        peering: PeeringId,
        end: End,
        dns_from_peer: Switch,
    },

    /// Nobody can see it any more.
    PeeringForgotten {
        peering: PeeringId,
    },

    /// An instance runs. Its primary interface is new, unless one with this id stands free: that one
    /// has what it has.
    InstanceRun {
        instance: InstanceId,
        interface: InterfaceId,
        attachment: AttachmentId,
        on_termination: OnTermination,
        subnet: SubnetId,
        addresses: Vec<IpAddr>,
        source_dest_check: SourceDestCheck,
        groups: Vec<SecurityGroupId>,
    },
    InstanceStopped {
        instance: InstanceId,
    },
    InstanceStarted {
        instance: InstanceId,
    },
    /// Its primary interface goes with it, or stands free from now on: as its attachment says.
    InstanceTerminated {
        instance: InstanceId,
        interface: InterfaceId,
    },
    /// Nobody can see it any more.
    InstanceForgotten {
        instance: InstanceId,
    },
    /// An interface that nobody is behind.
    InterfaceCreated {
        interface: InterfaceId,
        subnet: SubnetId,
        addresses: Vec<IpAddr>,
        source_dest_check: SourceDestCheck,
        groups: Vec<SecurityGroupId>,
    },
    InterfaceDeleted {
        interface: InterfaceId,
    },
    InterfaceAttached {
        interface: InterfaceId,
        instance: InstanceId,
        device: DeviceIndex,
        attachment: AttachmentId,
        on_termination: OnTermination,
    },
    InterfaceDetached {
        interface: InterfaceId,
    },
    OnTerminationSet {
        interface: InterfaceId,
        on_termination: OnTermination,
    },
    AddressesAssigned {
        interface: InterfaceId,
        addresses: Vec<IpAddr>,
    },
    AddressesUnassigned {
        interface: InterfaceId,
        addresses: Vec<IpAddr>,
    },
    SourceDestCheckSet {
        interface: InterfaceId,
        source_dest_check: SourceDestCheck,
    },
    InterfaceGroupsSet {
        interface: InterfaceId,
        groups: Vec<SecurityGroupId>,
    },

    SecurityGroupCreated {
        group: SecurityGroupId,
        vpc: VpcId,
        name: String,
    },
    SecurityGroupDeleted {
        group: SecurityGroupId,
    },
    GroupRuleAuthorized {
        group: SecurityGroupId,
        direction: Direction,
        rule: GroupRule,
    },
    GroupRuleRevoked {
        group: SecurityGroupId,
        direction: Direction,
        rule: GroupRule,
    },

    PrefixListCreated {
        list: PrefixListId,
        owner: AccountId,
        region: Region,
        entries: Vec<IpNet>,
    },
    /// The list has these entries from now on.
    PrefixListModified {
        list: PrefixListId,
        entries: Vec<IpNet>,
    },
    PrefixListDeleted {
        list: PrefixListId,
    },

    NetworkAclCreated {
        acl: NetworkAclId,
        vpc: VpcId,
    },
    NetworkAclDeleted {
        acl: NetworkAclId,
    },
    /// An entry was created, or replaced.
    AclEntrySet {
        acl: NetworkAclId,
        direction: Direction,
        number: RuleNumber,
        entry: AclEntry,
    },
    AclEntryDeleted {
        acl: NetworkAclId,
        direction: Direction,
        number: RuleNumber,
    },
    /// The subnet is behind this list from now on; its association has a new id.
    AclAssociationReplaced {
        association: AclAssociationId,
        subnet: SubnetId,
        acl: NetworkAclId,
    },

    GatewayCreated {
        id: GatewayId,
        gateway: Gateway,
    },
    GatewayAttached {
        gateway: GatewayId,
        vpc: VpcId,
    },
    GatewayDetached {
        gateway: GatewayId,
    },
    GatewayDeleted {
        gateway: GatewayId,
    },
    /// From now on routes of the table follow from what the gateway leads to.
    TableLearns {
        table: RouteTableId,
        gateway: GatewayId,
    },
    TableForgets {
        table: RouteTableId,
        gateway: GatewayId,
    },
    NatGatewayCreated {
        gateway: NatGatewayId,
        interface: InterfaceId,
        subnet: SubnetId,
        address: Ipv4Addr,
    },
    NatGatewayDeleted {
        gateway: NatGatewayId,
        interface: InterfaceId,
    },
    AddressAllocated {
        allocation: AllocationId,
        owner: AccountId,
        region: Region,
        address: Ipv4Addr,
        kind: AddressKind,
    },
    AddressAssociated {
        association: AddressAssociationId,
        allocation: AllocationId,
        interface: InterfaceId,
        private: Ipv4Addr,
    },
    AddressDisassociated {
        allocation: AllocationId,
    },
    AddressReleased {
        allocation: AllocationId,
    },
    OutsideHostPlaced {
        host: InterfaceId,
        beyond: GatewayId,
        addresses: Vec<IpAddr>,
    },
    OutsideHostRemoved {
        host: InterfaceId,
    },

    FlowLogCreated {
        log: FlowLogId,
        of: Watched,
        owner: AccountId,
        region: Region,
        recording: Recording,
        created: Instant,
    },
    FlowLogDeleted {
        log: FlowLogId,
    },

    TagSet {
        resource: ResourceId,
        account: AccountId,
        key: String,
        value: String,
    },
    TagRemoved {
        resource: ResourceId,
        account: AccountId,
        key: String,
    },
}
