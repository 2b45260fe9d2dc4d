//! Names for resources: the `Name` tag where there is one, else the id.
//!
//! Holds the one rule by which every report calls things. A scenario's labels become `Name` tags, so
//! a report reads like the file. A main route table is called like its VPC, another `A/x`.

use crate::base::id::*;
use crate::cloud::Cloud;
use crate::cloud::event::ResourceId;
use crate::cloud::filter::Direction;
use crate::cloud::gateway::GatewayId;
use crate::cloud::instance::{DeviceIndex, Host};
use crate::cloud::route_table::{Hop, RouteTarget};
use crate::cloud::security_group::{GroupRule, RulePeer};
use crate::forward::Location;

/// Calls resources by name.
#[derive(Clone, Copy, Debug)]
pub struct Names<'c>(pub &'c Cloud);

impl Names<'_> {
    fn named(self, resource: ResourceId) -> String {
        self.0.name(resource).map_or_else(|| resource.to_string(), str::to_owned)
    }

    /// A VPC.
    pub fn vpc(self, id: VpcId) -> String {
        self.named(ResourceId::Vpc(id))
    }

    /// A peering.
    pub fn peering(self, id: PeeringId) -> String {
        self.named(ResourceId::Peering(id))
    }

    /// A route table.
    pub fn table(self, id: RouteTableId) -> String {
        let vpc = self.0.table(id).map(|table| table.vpc);
        match (vpc, self.0.name(ResourceId::RouteTable(id))) {
            (Some(vpc), Some(name)) => format!("{}/{name}", self.vpc(vpc)),
            (Some(vpc), None) if self.0.vpc(vpc).is_some_and(|v| v.main_table() == id) => {
                self.vpc(vpc)
            }
            _ => id.to_string(),
        }
    }

    /// A subnet.
    pub fn subnet(self, id: SubnetId) -> String {
        match (self.0.subnet(id), self.0.name(ResourceId::Subnet(id))) {
            (Some(subnet), Some(name)) => format!("{}/{name}", self.vpc(subnet.vpc)),
            _ => id.to_string(),
        }
    }

    /// An interface, by the name of what it belongs to; a further one of an instance, one of nobody
    /// and that of a host outside the cloud by their own.
    pub fn interface(self, id: InterfaceId) -> String {
        let found = self.0.interface(id);
        let place = found.and_then(|interface| interface.attachment).map(|a| a.device);
        let host = match found.map(|interface| interface.host) {
            Some(Host::Instance(instance)) if place == Some(DeviceIndex::PRIMARY) => {
                ResourceId::Instance(instance)
            }
            Some(Host::NatGateway(nat)) => ResourceId::NatGateway(nat),
            Some(Host::Instance(_) | Host::Nobody) | None => ResourceId::Interface(id),
        };
        self.0.name(host).map_or_else(|| id.to_string(), str::to_owned)
    }

    /// A gateway.
    pub fn gateway(self, id: GatewayId) -> String {
        self.named(ResourceId::Gateway(id))
    }

    /// A NAT gateway.
    pub fn nat(self, id: NatGatewayId) -> String {
        self.named(ResourceId::NatGateway(id))
    }

    /// A rule: `tcp 443 from 10.0.0.0/16`.
    pub fn rule(self, direction: Direction, rule: &GroupRule) -> String {
        let far = match rule.peer {
            RulePeer::Block(block) => block.to_string(),
            RulePeer::PrefixList(list) => self.named(ResourceId::PrefixList(list)),
            RulePeer::Group(group) => self.group(group),
        };
        match direction {
            Direction::Ingress => format!("{} from {far}", rule.traffic),
            Direction::Egress => format!("{} to {far}", rule.traffic),
        }
    }

    /// A network ACL: by its name, or as the one that its VPC was born with.
    pub fn acl(self, id: NetworkAclId) -> String {
        let vpc = self.0.acl(id).map(|acl| acl.vpc);
        match (vpc, self.0.name(ResourceId::NetworkAcl(id))) {
            (Some(vpc), Some(name)) => format!("{}/{name}", self.vpc(vpc)),
            (Some(vpc), None) if self.0.vpc(vpc).is_some_and(|v| v.default_acl() == id) => {
                format!("{}/default", self.vpc(vpc))
            }
            _ => id.to_string(),
        }
    }

    /// A security group: by its name tag, else as the group of this name of its VPC.
    pub fn group(self, id: SecurityGroupId) -> String {
        match (self.0.name(ResourceId::SecurityGroup(id)), self.0.group(id)) {
            (Some(name), _) => name.to_owned(),
            (None, Some(group)) => format!("{}/{}", self.vpc(group.vpc), group.name),
            (None, None) => id.to_string(),
        }
    }

    /// Where a route leads.
    pub fn hop(self, hop: Hop) -> String {
        match hop {
            Hop::Local => "local".to_owned(),
            Hop::To(RouteTarget::Peering(id)) => self.peering(id),
            Hop::To(RouteTarget::Interface(id)) => self.interface(id),
            Hop::To(RouteTarget::Gateway(id)) => self.gateway(id),
            Hop::To(RouteTarget::Nat(id)) => self.named(ResourceId::NatGateway(id)),
        }
    }

    /// A text of the cloud's in which ids of resources that have names give way to these.
    pub fn told(self, text: &str) -> String {
        let part_of_id = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(part_of_id) {
            let (before, from) = rest.split_at(start);
            let (word, after) = from.split_at(from.find(|c| !part_of_id(c)).unwrap_or(from.len()));
            let quoted = before.ends_with('\'') && after.starts_with('\'');
            out += before;
            match self.name_of(word) {
                Some(name) if quoted => out += &name,
                Some(name) => out += &format!("`{name}`"),
                None => out += word,
            }
            rest = after;
        }
        out + rest
    }

    /// The name of whatever has the id that a word is; `None` if it has none.
    fn name_of(self, word: &str) -> Option<String> {
        let name = if let Ok(id) = word.parse() {
            self.vpc(id)
        } else if let Ok(id) = word.parse() {
            self.table(id)
        } else if let Ok(id) = word.parse() {
            self.subnet(id)
        } else if let Ok(id) = word.parse() {
            self.peering(id)
        } else if let Ok(id) = word.parse() {
            self.acl(id)
        } else if let Ok(id) = word.parse() {
            self.group(id)
        } else if let Ok(id) = word.parse() {
            self.named(ResourceId::Instance(id))
        } else if let Ok(id) = word.parse() {
            self.interface(id)
        } else if let Ok(id) = word.parse() {
            self.gateway(GatewayId::Internet(id))
        } else if let Ok(id) = word.parse() {
            self.gateway(GatewayId::Vpn(id))
        } else if let Ok(id) = word.parse() {
            self.gateway(GatewayId::Endpoint(id))
        } else if let Ok(id) = word.parse() {
            self.gateway(GatewayId::EgressOnly(id))
        } else if let Ok(id) = word.parse() {
            self.nat(id)
        } else {
            return None;
        };
        (name != word).then_some(name)
    }

    /// Where a packet was dropped.
    pub fn location(self, location: Location) -> String {
        match location {
            Location::Interface(id) => self.interface(id),
            Location::Table(id) => self.table(id),
            Location::Peering(id) => self.peering(id),
            Location::Vpc(id) => self.vpc(id),
            Location::Acl(id) => self.acl(id),
            Location::Gateway(id) => self.gateway(id),
        }
    }
}
