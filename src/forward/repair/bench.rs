//! A copy of the network to try repairs on.
//!
//! Holds the copy, the walks over it, and the carrying out of changes: only by requests to the
//! cloud, under the accounts of those whom they concern, so that nothing is offered that the cloud
//! would refuse. Refuses to choose changes.

use std::net::Ipv4Addr;

use super::{Fault, Fix, Ground, Intent, NoOffer, Towards, Way, Ways};
use crate::base::id::*;
use crate::base::time::{Instant, Span};
use crate::cloud::Cloud;
use crate::cloud::account::Caller;
use crate::cloud::command::Command;
use crate::cloud::event::Change;
use crate::cloud::filter::Direction;
use crate::cloud::gateway::{GatewayId, PublicAddress};
use crate::cloud::instance::SourceDestCheck;
use crate::cloud::route_table::RouteTarget;
use crate::forward::connections::with_echo;
use crate::forward::walk::{End, Step, Walk};
use crate::forward::{Location, Memory, Reference, Rows};
use crate::wire::{Packet, build};

/// The copy.
pub(super) struct Bench<'m> {
    pub(super) cloud: Cloud,
    pub(super) now: Instant,
    rows: Rows,
    pub(super) memory: &'m Memory,
}

/// A walk that did not end where it should.
pub(super) struct Blocked {
    pub(super) way: Way,
    pub(super) fault: Fault,
    /// As far as the fault.
    pub(super) walk: Walk,
    /// Who should get it, where that is known.
    pub(super) meant: Option<InterfaceId>,
}

impl<'m> Bench<'m> {
    pub(super) fn new(ground: Ground<'m>) -> Bench<'m> {
        let Ground { cloud, rows, memory, now } = ground;
        Bench { cloud: cloud.clone(), rows: rows.clone(), memory, now }
    }

    /// The first walk of the intent that goes wrong; `None` if all is well.
    ///
    /// # Errors
    /// If the question makes no sense any more: the sender is gone.
    pub(super) fn blocked(&self, intent: Intent<'_>) -> Result<Option<Blocked>, NoOffer> {
        let mut memory = self.memory.clone();
        let there = self.walk(intent.from, intent.packet, &mut memory)?;
        let way = if intent.ways == Ways::Back { Way::Back } else { Way::There };
        let arrived = match ended(&there, intent.meant) {
            Ok(at) => at,
            Err(fault) => {
                let meant = intent.meant;
                return Ok(Some(Blocked { way, fault, walk: there, meant }));
            }
        };
        if intent.ways != Ways::ThereAndBack {
            return Ok(None);
        }
        // What gets no answer is through when it has arrived.
        let Some(answer) = build::answer(&there.packet) else { return Ok(None) };
        let back = self.walk(arrived, &answer, &mut memory)?;
        let (way, meant) = (Way::Back, Some(intent.from));
        if let Err(fault) = ended(&back, meant) {
            return Ok(Some(Blocked { way, fault, walk: back, meant }));
        }
        if answers(&back.packet, intent.packet) {
            return Ok(None);
        }
        let (at, walk) = until_another_source(back, arrived, &answer);
        Ok(Some(Blocked { way, fault: Fault::OtherSource(at), walk, meant }))
    }

    fn walk(
        &self,
        from: InterfaceId,
        packet: &Packet,
        memory: &mut Memory,
    ) -> Result<Walk, NoOffer> {
        let from = self.rows.interface(from).ok_or(NoOffer::Gone)?;
        Ok(Reference::new(&self.cloud, &self.rows, self.now).walk(from, packet, memory))
    }

    /// Makes a change and lets transient states settle.
    ///
    /// # Errors
    /// What the cloud says against it.
    pub(super) fn carry_out(&mut self, fix: Fix) -> Result<(), NoOffer> {
        match fix {
            Fix::Start(interface) => {
                let interface = self.cloud.interface(interface).ok_or(NoOffer::Gone)?;
                let vpc = interface.vpc;
                let instance = interface.instance().ok_or(NoOffer::Gone)?;
                self.ask(vpc, &Command::StartInstances { instance })?;
            }
            Fix::CheckOff(interface) => {
                let vpc = self.cloud.interface(interface).ok_or(NoOffer::Gone)?.vpc;
                let source_dest_check = SourceDestCheck::Off;
                self.ask(
                    vpc,
                    &Command::ModifyNetworkInterfaceAttribute { interface, source_dest_check },
                )?;
            }
            Fix::Accept(peering) => {
                let accepter = self.cloud.peering(peering).ok_or(NoOffer::Gone)?.accepter().vpc;
                self.ask(accepter, &Command::AcceptVpcPeeringConnection { peering })?;
            }
            Fix::Peer(requester, accepter) => self.peer(requester, accepter)?,
            Fix::AddRoute { table, destination, towards } => {
                let (vpc, target) = self.target(table, towards)?;
                self.ask(vpc, &Command::CreateRoute { table, destination, target })?;
            }
            Fix::ReplaceRoute { table, destination, towards } => {
                let (vpc, target) = self.target(table, towards)?;
                self.ask(vpc, &Command::ReplaceRoute { table, destination, target })?;
            }
            Fix::RemoveRoute { table, destination } => {
                let vpc = self.cloud.table(table).ok_or(NoOffer::Gone)?.vpc;
                self.ask(vpc, &Command::DeleteRoute { table, destination })?;
            }
            Fix::AllowInGroup { group, direction, rule } => {
                let vpc = self.cloud.group(group).ok_or(NoOffer::Gone)?.vpc;
                let rules = vec![rule];
                let command = match direction {
                    Direction::Ingress => Command::AuthorizeSecurityGroupIngress { group, rules },
                    Direction::Egress => Command::AuthorizeSecurityGroupEgress { group, rules },
                };
                self.ask(vpc, &command)?;
            }
            Fix::AllowInAcl { acl, direction, number, entry } => {
                let vpc = self.cloud.acl(acl).ok_or(NoOffer::Gone)?.vpc;
                let create = Command::CreateNetworkAclEntry { acl, direction, number, entry };
                self.ask(vpc, &create)?;
            }
            Fix::ReplaceInAcl { acl, direction, number, entry } => {
                let vpc = self.cloud.acl(acl).ok_or(NoOffer::Gone)?.vpc;
                let replace = Command::ReplaceNetworkAclEntry { acl, direction, number, entry };
                self.ask(vpc, &replace)?;
            }
            Fix::GivePublicAddress { interface, private } => {
                self.give_public_address(interface, private)?;
            }
            Fix::Attach(gateway, vpc) => {
                let attach = match gateway {
                    GatewayId::Internet(gateway) => Command::AttachInternetGateway { gateway, vpc },
                    GatewayId::Vpn(gateway) => Command::AttachVpnGateway { gateway, vpc },
                    // These are never detached.
                    GatewayId::Endpoint(_) | GatewayId::EgressOnly(_) => return Err(NoOffer::Gone),
                };
                self.ask(vpc, &attach)?;
            }
            Fix::AddToEndpoint { endpoint, table } => {
                let vpc = self.cloud.table(table).ok_or(NoOffer::Gone)?.vpc;
                let (add, remove) = (vec![table], Vec::new());
                self.ask(vpc, &Command::ModifyVpcEndpoint { endpoint, add, remove })?;
            }
        }
        self.rows.update(&self.cloud);
        Ok(())
    }

    fn peer(&mut self, requester: VpcId, accepter: VpcId) -> Result<(), NoOffer> {
        let peer = self.owner_of(accepter)?;
        let request = Command::CreateVpcPeeringConnection {
            requester,
            accepter,
            peer_owner: Some(peer.account),
            peer_region: Some(peer.region),
        };
        let changes = self.ask(requester, &request)?;
        let requested = changes.into_iter().find_map(|change| match change {
            Change::PeeringRequested { peering, .. } => Some(peering),
            _ => None,
        });
        let peering = requested.ok_or(NoOffer::NoProgress)?;
        self.ask(accepter, &Command::AcceptVpcPeeringConnection { peering })?;
        Ok(())
    }

    /// An address that the account holds and does not use, else a new one.
    fn give_public_address(
        &mut self,
        interface: InterfaceId,
        private: Ipv4Addr,
    ) -> Result<(), NoOffer> {
        let vpc = self.cloud.interface(interface).ok_or(NoOffer::Gone)?.vpc;
        let owner = self.owner_of(vpc)?;
        let is_idle = |held: &PublicAddress| {
            held.owner == owner.account && held.region == owner.region && held.association.is_none()
        };
        let idle = self.cloud.public_addresses().find(|(_, held)| is_idle(held));
        let allocation = match idle.map(|(id, _)| id) {
            Some(allocation) => allocation,
            None => {
                let changes = self.ask(vpc, &Command::AllocateAddress { address: None })?;
                let allocated = changes.into_iter().find_map(|change| match change {
                    Change::AddressAllocated { allocation, .. } => Some(allocation),
                    _ => None,
                });
                allocated.ok_or(NoOffer::NoProgress)?
            }
        };
        let private = Some(private);
        self.ask(vpc, &Command::AssociateAddress { allocation, interface, private })?;
        Ok(())
    }

    /// The VPC of a table, and what a route of it must name to lead there.
    fn target(
        &self,
        table: RouteTableId,
        towards: Towards,
    ) -> Result<(VpcId, RouteTarget), NoOffer> {
        let vpc = self.cloud.table(table).ok_or(NoOffer::Gone)?.vpc;
        let target = match towards {
            Towards::Vpc(other) => {
                let active = self.cloud.peerings().filter(|p| p.active(self.now).is_some());
                let mut joining = active.filter(|p| p.other_end(vpc) == Some(other));
                RouteTarget::Peering(joining.next().ok_or(NoOffer::Gone)?.id())
            }
            Towards::Gateway(gateway) => RouteTarget::Gateway(gateway),
            Towards::Nat(nat) => RouteTarget::Nat(nat),
            Towards::NatInstance(interface) => RouteTarget::Interface(interface),
        };
        Ok((vpc, target))
    }

    fn owner_of(&self, vpc: VpcId) -> Result<Caller, NoOffer> {
        let vpc = self.cloud.vpc(vpc).ok_or(NoOffer::Gone)?;
        Ok(Caller { account: vpc.owner, region: vpc.region.clone() })
    }

    /// Asks as the owner of this VPC, and lets transient states settle.
    pub(super) fn ask(&mut self, vpc: VpcId, command: &Command) -> Result<Vec<Change>, NoOffer> {
        let caller = self.owner_of(vpc)?;
        let events = self.cloud.apply(&caller, command, self.now);
        let events = events.map_err(|refusal| NoOffer::Refused(Box::new(refusal)))?;
        self.now = self.now + self.cloud.settle() + Span::TICK;
        Ok(events.into_iter().map(|event| event.change).collect())
    }
}

/// Where the packet arrived, if it should have.
fn ended(walk: &Walk, meant: Option<InterfaceId>) -> Result<InterfaceId, Fault> {
    match walk.end {
        End::Dropped(reason, at) => Err(Fault::Dropped(reason, at)),
        End::Delivered(at) if meant.is_some_and(|meant| meant != at) => Err(Fault::OtherHost(at)),
        End::Delivered(at) => Ok(at),
    }
}

/// Does the sender of the question take this, which has come to it, for the answer? Its addresses and
/// its ports, or the identifier of an echo, must be those of the question.
pub fn answers(answer: &Packet, question: &Packet) -> bool {
    let ends = |packet: &Packet| with_echo(packet.flow(), packet.icmp_echo());
    ends(answer) == with_echo(question.flow().reversed(), question.icmp_echo())
}

/// The walk of an answer up to where it got another source, and where that was.
fn until_another_source(
    mut walk: Walk,
    answering: InterfaceId,
    answer: &Packet,
) -> (Location, Walk) {
    let mut sender = answering;
    let mut changed = None;
    for (row, step) in walk.steps.iter().enumerate() {
        match step {
            Step::Relayed { interface, translated } => {
                if translated.is_some_and(|flow| flow.source != answer.source()) {
                    changed = Some((row, Location::Interface(*interface)));
                    break;
                }
                sender = *interface;
            }
            Step::PublicAddress { gateway, found: Some(_), .. } => {
                changed = Some((row, Location::Gateway(*gateway)));
                break;
            }
            _ => {}
        }
    }
    // What nobody on the way has changed was sent so: by the host that answers.
    let (row, at) = changed.unwrap_or((walk.steps.len(), Location::Interface(answering)));
    walk.steps.truncate(row);
    walk.sender = sender;
    if walk.packet.destination() == answer.destination() {
        walk.packet = answer.clone();
    }
    (at, walk)
}
