//! Carries out what a repair says, as an operator would: command by command, under the accounts of
//! those it concerns.
//!
//! Shares nothing with the search for repairs. Refuses to judge whether it helped.

use vpclab::base::id::{InstanceId, PeeringId, VpcId};
use vpclab::base::time::Span;
use vpclab::cloud::command::Command;
use vpclab::cloud::event::Change;
use vpclab::cloud::filter::Direction;
use vpclab::cloud::gateway::GatewayId;
use vpclab::cloud::instance::SourceDestCheck;
use vpclab::cloud::peering::Status;
use vpclab::cloud::route_table::RouteTarget;
use vpclab::forward::repair::{Fix, Towards};

use super::lab::Lab;

/// Makes the change and lets it settle; `None` if it cannot be made.
pub(crate) fn carry_out(lab: &mut Lab, fix: Fix) -> Option<()> {
    match fix {
        Fix::Start(interface) => {
            let interface = lab.cloud.interface(interface)?;
            let (vpc, instance): (VpcId, InstanceId) = (interface.vpc, interface.instance()?);
            lab.ask(vpc, &Command::StartInstances { instance }).ok()?;
        }
        Fix::CheckOff(interface) => {
            let vpc = lab.cloud.interface(interface)?.vpc;
            let source_dest_check = SourceDestCheck::Off;
            let off = Command::ModifyNetworkInterfaceAttribute { interface, source_dest_check };
            lab.ask(vpc, &off).ok()?;
        }
        Fix::Accept(peering) => lab.accept(peering).ok()?,
        Fix::Peer(requester, accepter) => {
            let peering = lab.request(requester, accepter).ok()?;
            settle(lab);
            lab.accept(peering).ok()?;
        }
        Fix::AddRoute { table, destination, towards } => {
            let (vpc, target) = target(lab, lab.cloud.table(table)?.vpc, towards)?;
            lab.ask(vpc, &Command::CreateRoute { table, destination, target }).ok()?;
        }
        Fix::ReplaceRoute { table, destination, towards } => {
            let (vpc, target) = target(lab, lab.cloud.table(table)?.vpc, towards)?;
            lab.ask(vpc, &Command::ReplaceRoute { table, destination, target }).ok()?;
        }
        Fix::RemoveRoute { table, destination } => {
            let vpc = lab.cloud.table(table)?.vpc;
            lab.ask(vpc, &Command::DeleteRoute { table, destination }).ok()?;
        }
        Fix::AllowInGroup { group, direction, rule } => {
            let (vpc, rules) = (lab.cloud.group(group)?.vpc, vec![rule]);
            let allow = match direction {
                Direction::Ingress => Command::AuthorizeSecurityGroupIngress { group, rules },
                Direction::Egress => Command::AuthorizeSecurityGroupEgress { group, rules },
            };
            lab.ask(vpc, &allow).ok()?;
        }
        Fix::AllowInAcl { acl, direction, number, entry } => {
            let vpc = lab.cloud.acl(acl)?.vpc;
            let allow = Command::CreateNetworkAclEntry { acl, direction, number, entry };
            lab.ask(vpc, &allow).ok()?;
        }
        Fix::ReplaceInAcl { acl, direction, number, entry } => {
            let vpc = lab.cloud.acl(acl)?.vpc;
            let allow = Command::ReplaceNetworkAclEntry { acl, direction, number, entry };
            lab.ask(vpc, &allow).ok()?;
        }
        Fix::GivePublicAddress { interface, private } => {
            let vpc = lab.cloud.interface(interface)?.vpc;
            let owner = lab.owner(vpc);
            let idle = lab.cloud.public_addresses().find(|(_, held)| {
                held.association.is_none()
                    && (held.owner, &held.region) == (owner.account, &owner.region)
            });
            let allocation = match idle.map(|(id, _)| id) {
                Some(id) => id,
                None => match lab.ask(vpc, &Command::AllocateAddress { address: None }).ok()?[..] {
                    [Change::AddressAllocated { allocation, .. }] => allocation,
                    _ => return None,
                },
            };
            let private = Some(private);
            lab.ask(vpc, &Command::AssociateAddress { allocation, interface, private }).ok()?;
        }
        Fix::Attach(GatewayId::Internet(gateway), vpc) => {
            lab.ask(vpc, &Command::AttachInternetGateway { gateway, vpc }).ok()?;
        }
        Fix::Attach(GatewayId::Vpn(gateway), vpc) => {
            lab.ask(vpc, &Command::AttachVpnGateway { gateway, vpc }).ok()?;
        }
        Fix::Attach(GatewayId::Endpoint(_) | GatewayId::EgressOnly(_), _) => return None,
        Fix::AddToEndpoint { endpoint, table } => {
            let (vpc, add, remove) = (lab.cloud.table(table)?.vpc, vec![table], Vec::new());
            lab.ask(vpc, &Command::ModifyVpcEndpoint { endpoint, add, remove }).ok()?;
        }
    }
    settle(lab);
    Some(())
}

fn settle(lab: &mut Lab) {
    lab.now = lab.now + lab.cloud.settle() + Span::TICK;
}

fn target(lab: &Lab, vpc: VpcId, towards: Towards) -> Option<(VpcId, RouteTarget)> {
    let towards = match towards {
        Towards::Vpc(other) => other,
        Towards::Gateway(gateway) => return Some((vpc, RouteTarget::Gateway(gateway))),
        Towards::Nat(nat) => return Some((vpc, RouteTarget::Nat(nat))),
        Towards::NatInstance(interface) => return Some((vpc, RouteTarget::Interface(interface))),
    };
    let active = lab.cloud.peerings().filter(|p| p.status(lab.now) == Status::Active);
    let mut ids = active.filter(|p| p.other_end(vpc) == Some(towards)).map(|p| p.id());
    let id: PeeringId = ids.next()?;
    Some((vpc, RouteTarget::Peering(id)))
}
