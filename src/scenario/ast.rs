//! What a scenario file says, in types: nothing is looked up yet, but every value is of its kind.
//!
//! Holds the file, the network it declares and its timeline. Refuses to hold words of its own for
//! what the cloud and the forwarder have words for, and defaults that depend on anything but the key
//! itself (the lowering knows those): such a value is `None` if left out. Whatever the cloud may still refuse keeps the place where it is written.

mod action;
mod expect;
mod filter;
mod flow_log;
mod gateway;
mod network;

use crate::base::diag::{Place, Spanned};
use crate::base::rng::Seed;
use crate::base::time::{Instant, Span};
use crate::cloud::profile::Profile;
use crate::cloud::route_table::Blackhole;

pub use super::label::{
    AccountRef, AclName, AclRef, Destination, GroupRef, Label, Location, NameRef, NamedTableRef,
    PeerRef, PeeringRef, PrefixListRef, SubnetRef, TableRef, TargetRef, VpcRef,
};
pub use action::{
    Action, AssociateRouteTable, CidrOfVpc, CreateRouteTable, CreateSubnet, CreateVpc, FilePath,
    Flow, Flows, ModifyPeeringOptions, ModifySourceDestCheck, ModifyVpcAttribute, Ping, Replay,
    RequestPeering, Resolve, RouteKey, SendBytes, SetRoute, Tcp, Toggle, Udp,
};
pub use expect::{Because, Bounds, Connection, Expect, Loss};
pub use filter::{
    AclEntry, AclOfSubnet, CreateNetworkAcl, CreateSecurityGroup, EntryKey, EntryOfAcl, Filter,
    ModifyPrefixList, ModifySecurityGroups, NetworkAcl, PrefixList, Rule, RuleOfGroup,
    SecurityGroup,
};
pub use flow_log::{FlowLog, FlowLogAction, WatchedRef};
pub use gateway::{
    AllocateAddress, AssociateAddress, Attachment, CreateEgressOnlyGateway, CreateNatGateway,
    CreateVpcEndpoint, CreateVpnGateway, Gateway, GatewayAction, GatewayKind, ModifyVpcEndpoint,
    NewOwned, NotAPublicIp, OutsideHost, Propagation, PublicIp, Service,
};
pub use network::{Account, Instance, Link, Network, Peering, Placement, Route, Subnet, Vpc};

/// A scenario file, together with the network file that it names, if any.
#[derive(Clone, PartialEq, Debug)]
pub struct File {
    /// What the file shows, in a line.
    pub name: Spanned<String>,
    /// Why it is so.
    pub about: Option<String>,
    /// Which year's rules hold.
    pub profile: Spanned<Profile>,
    /// The calendar time of virtual zero, in seconds since 1970-01-01T00:00:00Z.
    pub start: Spanned<i64>,
    /// Where all chance of the run comes from.
    pub seed: Seed,
    /// How long a peering stays in a transient state.
    pub settle: Span,
    /// What routes that cannot be used do to packets.
    pub blackhole: Blackhole,
    /// How many connections each interface tracks.
    pub tracked_connections: u32,
    /// The network file, below the directory of this one.
    pub network_file: Option<Spanned<FilePath>>,
    /// The declared network; what the network file declares comes first.
    pub network: Network,
    /// The timeline, in file order.
    pub steps: Vec<Step>,
}

/// One line of the timeline.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// When it begins; `None` is when the step before has ended.
    pub at: Option<Spanned<Instant>>,
    /// Who asks; `None` is the owner of the resource.
    pub as_account: Option<Spanned<AccountRef>>,
    /// What must come of it; `None` is success of a command and nothing in particular of traffic.
    pub expect: Option<Spanned<Expect>>,
    /// A line for the reader and the report.
    pub note: Option<String>,
    /// What is done.
    pub action: Action,
    /// The key of the action, which stands for the step in messages.
    pub place: Place,
}
