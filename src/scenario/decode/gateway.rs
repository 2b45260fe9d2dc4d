//! Gateways, public addresses and hosts outside the cloud: declared, and in steps.

use ipnet::IpNet;

use super::network::whole_numbers;
use super::{Decoder, Fields, word};
use crate::base::diag::{Diagnostic, Spanned};
use crate::cloud::gateway::Line;
use crate::scenario::ast::{
    AllocateAddress, AssociateAddress, Attachment, CreateEgressOnlyGateway, CreateNatGateway,
    CreateVpcEndpoint, CreateVpnGateway, Gateway, GatewayAction, GatewayKind, Label,
    ModifyVpcEndpoint, NewOwned, OutsideHost, Propagation, Service, TableRef,
};
use crate::scenario::code;
use crate::scenario::format::{
    ALLOCATE_ADDRESS, ASSOCIATE_ADDRESS, ATTACHMENT, CREATE_EGRESS_ONLY_GATEWAY,
    CREATE_INTERNET_GATEWAY, CREATE_NAT_GATEWAY, CREATE_VPC_ENDPOINT, CREATE_VPN_GATEWAY, GATEWAY,
    MODIFY_VPC_ENDPOINT, OUTSIDE_HOST, PLACE_OUTSIDE_HOST, PROPAGATION,
};
use crate::scenario::yaml::{Entry, Node};

/// The types of gateways that a file can declare.
#[derive(Clone, Copy)]
enum Type {
    Internet,
    EgressOnly,
    Line(Line),
    Nat,
    Endpoint,
}

impl Type {
    fn from_word(word: &str) -> Option<Type> {
        match word {
            "internet" => Some(Type::Internet),
            "egress-only" => Some(Type::EgressOnly),
            "nat" => Some(Type::Nat),
            "endpoint" => Some(Type::Endpoint),
            line => Line::from_name(line).map(Type::Line),
        }
    }

    /// The keys that must be given beside `type`, and those that may be.
    const fn keys(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Type::Internet | Type::EgressOnly => (&["vpc"], &["link"]),
            Type::Line(_) => (&["vpc"], &["on_premises", "propagate_to", "link"]),
            Type::Nat => (&["subnet"], &["public_ip"]),
            Type::Endpoint => (&["vpc", "service", "cidrs"], &["route_tables", "link"]),
        }
    }
}

impl Decoder<'_> {
    pub(super) fn gateway(&mut self, label: Spanned<Label>, node: &Node) -> Option<Gateway> {
        let fields = Fields::of(node, &GATEWAY);
        let of_type = fields.get("type").and_then(|n| word(n, Type::from_word))?;
        self.keys_of_type(&label, &fields, of_type);
        let vpc = fields.get("vpc").and_then(|n| self.read(n));
        let kind = match of_type.value {
            Type::Internet => GatewayKind::Internet { vpc: vpc? },
            Type::EgressOnly => GatewayKind::EgressOnly { vpc: vpc? },
            Type::Line(line) => {
                let on_premises = self.blocks(&fields, "on_premises");
                let propagate_to = self.tables(&fields, "propagate_to");
                GatewayKind::Vpn { line, vpc: vpc?, on_premises, propagate_to }
            }
            Type::Nat => {
                let subnet = fields.get("subnet").and_then(|n| self.read(n));
                let public_ip = self.plain(fields.get("public_ip")).unwrap_or_default();
                GatewayKind::Nat { subnet: subnet?, public_ip }
            }
            Type::Endpoint => {
                let service = self.service(&fields);
                let route_tables = self.tables(&fields, "route_tables");
                GatewayKind::Endpoint { vpc: vpc?, service: service?, route_tables }
            }
        };
        let link = self.link(fields.get("link"));
        Some(Gateway { label, kind, link })
    }

    /// Complains about keys that a gateway of this type lacks or does not have.
    fn keys_of_type(
        &mut self,
        label: &Spanned<Label>,
        fields: &Fields<'_>,
        of_type: Spanned<Type>,
    ) {
        let (required, optional) = of_type.value.keys();
        for field in GATEWAY.fields.iter().filter(|field| field.key != "type") {
            match fields.entry(field.key) {
                None if required.contains(&field.key) => self.diagnostics.push(
                    Diagnostic::at(
                        label.place,
                        code::MISSING_KEY,
                        format!("the gateway `{}` needs the key `{}`", label.value, field.key),
                    )
                    .also(of_type.place, "because of its type"),
                ),
                Some(entry) if !required.contains(&field.key) && !optional.contains(&field.key) => {
                    self.diagnostics.push(
                        Diagnostic::at(
                            entry.key_place,
                            code::COMBINATION,
                            format!("a gateway of this type has no `{}`", field.key),
                        )
                        .also(of_type.place, "this type"),
                    );
                }
                _ => {}
            }
        }
    }

    pub(super) fn outside_host(
        &mut self,
        label: Spanned<Label>,
        fields: &Fields<'_>,
    ) -> Option<OutsideHost> {
        let addresses = fields.get("ip").map(|n| self.read_all(n)).unwrap_or_default();
        let beyond = fields.get("beyond").and_then(|n| self.read(n))?;
        let listen = fields.get("listen").map(whole_numbers).unwrap_or_default();
        (!addresses.is_empty()).then_some(OutsideHost { label, addresses, beyond, listen })
    }

    pub(super) fn declared_outside_host(
        &mut self,
        label: Spanned<Label>,
        node: &Node,
    ) -> Option<OutsideHost> {
        self.outside_host(label, &Fields::of(node, &OUTSIDE_HOST))
    }

    fn blocks(&mut self, fields: &Fields<'_>, key: &'static str) -> Vec<Spanned<IpNet>> {
        fields.get(key).map(|n| self.read_all(n)).unwrap_or_default()
    }

    fn tables(&mut self, fields: &Fields<'_>, key: &'static str) -> Vec<Spanned<TableRef>> {
        fields.get(key).map(|n| self.read_all(n)).unwrap_or_default()
    }

    fn service(&mut self, fields: &Fields<'_>) -> Option<Service> {
        let name = fields.get("service").and_then(|n| self.read(n));
        let cidrs = self.blocks(fields, "cidrs");
        let name = name?;
        (!cidrs.is_empty()).then_some(Service { name, cidrs })
    }

    fn new_owned(&mut self, fields: &Fields<'_>) -> Option<NewOwned> {
        let name = fields.get("name").and_then(|n| self.read(n));
        let account = fields.get("account").and_then(|n| self.read(n));
        let region = fields.get("region").and_then(|n| self.read(n));
        Some(NewOwned { name: name?, account, region })
    }

    fn attachment(&mut self, node: &Node) -> Option<Attachment> {
        let fields = Fields::of(node, &ATTACHMENT);
        let gateway = fields.get("gateway").and_then(|n| self.read(n));
        let vpc = fields.get("vpc").and_then(|n| self.read(n));
        Some(Attachment { gateway: gateway?, vpc: vpc? })
    }

    fn propagation(&mut self, node: &Node) -> Option<Propagation> {
        let fields = Fields::of(node, &PROPAGATION);
        let gateway = fields.get("gateway").and_then(|n| self.read(n));
        let table = fields.get("table").and_then(|n| self.read(n));
        Some(Propagation { gateway: gateway?, table: table? })
    }

    /// An action of [`GatewayAction`]; `None` if the key is another's or its value does not read.
    pub(super) fn gateway_action(&mut self, key: &str, entry: &Entry) -> Option<GatewayAction> {
        use GatewayAction as G;
        let node = &entry.value;
        Some(match key {
            "create-internet-gateway" => {
                let fields = Fields::of(node, &CREATE_INTERNET_GATEWAY);
                G::CreateInternetGateway(self.new_owned(&fields)?)
            }
            "attach-internet-gateway" => G::AttachInternetGateway(self.attachment(node)?),
            "detach-internet-gateway" => G::DetachInternetGateway(self.attachment(node)?),
            "delete-internet-gateway" => G::DeleteInternetGateway(self.read(node)?),
            "create-egress-only-internet-gateway" => {
                let fields = Fields::of(node, &CREATE_EGRESS_ONLY_GATEWAY);
                let name = fields.get("name").and_then(|n| self.read(n));
                let vpc = fields.get("vpc").and_then(|n| self.read(n));
                let (name, vpc) = (name?, vpc?);
                G::CreateEgressOnlyGateway(CreateEgressOnlyGateway { name, vpc })
            }
            "delete-egress-only-internet-gateway" => G::DeleteEgressOnlyGateway(self.read(node)?),
            "create-vpn-gateway" => {
                let fields = Fields::of(node, &CREATE_VPN_GATEWAY);
                let new = self.new_owned(&fields);
                let line = fields.get("line").and_then(|n| word(n, Line::from_name));
                let line = line.map(|line| line.value).unwrap_or_default();
                let on_premises = self.blocks(&fields, "on_premises");
                G::CreateVpnGateway(CreateVpnGateway { new: new?, line, on_premises })
            }
            "attach-vpn-gateway" => G::AttachVpnGateway(self.attachment(node)?),
            "detach-vpn-gateway" => G::DetachVpnGateway(self.attachment(node)?),
            "delete-vpn-gateway" => G::DeleteVpnGateway(self.read(node)?),
            "enable-vgw-route-propagation" => G::EnablePropagation(self.propagation(node)?),
            "disable-vgw-route-propagation" => G::DisablePropagation(self.propagation(node)?),
            "create-vpc-endpoint" => {
                let fields = Fields::of(node, &CREATE_VPC_ENDPOINT);
                let name = fields.get("name").and_then(|n| self.read(n));
                let vpc = fields.get("vpc").and_then(|n| self.read(n));
                let service = self.service(&fields);
                let route_tables = self.tables(&fields, "route_tables");
                let (name, vpc, service) = (name?, vpc?, service?);
                G::CreateVpcEndpoint(CreateVpcEndpoint { name, vpc, service, route_tables })
            }
            "modify-vpc-endpoint" => {
                let fields = Fields::of(node, &MODIFY_VPC_ENDPOINT);
                let endpoint = fields.get("endpoint").and_then(|n| self.read(n));
                let add = self.tables(&fields, "add");
                let remove = self.tables(&fields, "remove");
                G::ModifyVpcEndpoint(ModifyVpcEndpoint { endpoint: endpoint?, add, remove })
            }
            "delete-vpc-endpoint" => G::DeleteVpcEndpoint(self.read(node)?),
            "create-nat-gateway" => {
                let fields = Fields::of(node, &CREATE_NAT_GATEWAY);
                let name = fields.get("name").and_then(|n| self.read(n));
                let subnet = fields.get("subnet").and_then(|n| self.read(n));
                let address = fields.get("address").and_then(|n| self.read(n));
                let (name, subnet, address) = (name?, subnet?, address?);
                G::CreateNatGateway(CreateNatGateway { name, subnet, address })
            }
            "delete-nat-gateway" => G::DeleteNatGateway(self.read(node)?),
            "allocate-address" => {
                let fields = Fields::of(node, &ALLOCATE_ADDRESS);
                let new = self.new_owned(&fields);
                let ip = self.plain(fields.get("ip")).unwrap_or_default();
                G::AllocateAddress(AllocateAddress { new: new?, ip })
            }
            "associate-address" => {
                let fields = Fields::of(node, &ASSOCIATE_ADDRESS);
                let address = fields.get("address").and_then(|n| self.read(n));
                let instance = fields.get("instance").and_then(|n| self.read(n));
                let private_ip = fields.get("private_ip").and_then(|n| self.read(n));
                let (address, instance) = (address?, instance?);
                G::AssociateAddress(AssociateAddress { address, instance, private_ip })
            }
            "disassociate-address" => G::DisassociateAddress(self.read(node)?),
            "release-address" => G::ReleaseAddress(self.read(node)?),
            "place-outside-host" => {
                let fields = Fields::of(node, &PLACE_OUTSIDE_HOST);
                let name = fields.get("name").and_then(|n| self.read(n));
                G::PlaceOutsideHost(self.outside_host(name?, &fields)?)
            }
            "remove-outside-host" => G::RemoveOutsideHost(self.read(node)?),
            _ => return None,
        })
    }
}
