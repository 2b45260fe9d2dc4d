//! The labels of gateways, public addresses and hosts outside the cloud.

use super::scope::Kind;
use super::{Introduction, Names};
use crate::base::diag::Spanned;
use crate::scenario::ast::{
    AccountRef, Attachment, GatewayAction, GatewayKind, Label, Network, OutsideHost, Propagation,
    TableRef,
};

/// Whatever has an edge that a route can name.
pub(super) const GATEWAYS: [Kind; 5] = [
    Kind::InternetGateway,
    Kind::EgressOnlyGateway,
    Kind::VpnGateway,
    Kind::Endpoint,
    Kind::NatGateway,
];

/// Whatever a host outside can be beyond.
const EDGES: [Kind; 4] =
    [Kind::InternetGateway, Kind::EgressOnlyGateway, Kind::VpnGateway, Kind::Endpoint];

const fn kind_of(gateway: &GatewayKind) -> Kind {
    match gateway {
        GatewayKind::Internet { .. } => Kind::InternetGateway,
        GatewayKind::EgressOnly { .. } => Kind::EgressOnlyGateway,
        GatewayKind::Vpn { .. } => Kind::VpnGateway,
        GatewayKind::Nat { .. } => Kind::NatGateway,
        GatewayKind::Endpoint { .. } => Kind::Endpoint,
    }
}

/// The label that an action introduces.
pub(super) fn introduction(action: &GatewayAction) -> Option<Introduction<'_>> {
    use GatewayAction as G;
    let (kind, label) = match action {
        G::CreateInternetGateway(new) => (Kind::InternetGateway, &new.name),
        G::CreateEgressOnlyGateway(new) => (Kind::EgressOnlyGateway, &new.name),
        G::CreateVpnGateway(new) => (Kind::VpnGateway, &new.new.name),
        G::CreateVpcEndpoint(new) => (Kind::Endpoint, &new.name),
        G::CreateNatGateway(new) => (Kind::NatGateway, &new.name),
        G::AllocateAddress(new) => (Kind::Address, &new.new.name),
        G::PlaceOutsideHost(new) => (Kind::OutsideHost, &new.label),
        _ => return None,
    };
    Some(Introduction { kind, name: label.value.to_string(), label })
}

/// The owner that an action names for what it creates; `None` if it creates nothing that an account
/// owns by itself.
pub(in crate::scenario) fn new_owned(
    action: &GatewayAction,
) -> Option<(&Spanned<Label>, Option<&Spanned<AccountRef>>)> {
    let new = match action {
        GatewayAction::CreateInternetGateway(new) => new,
        GatewayAction::CreateVpnGateway(new) => &new.new,
        GatewayAction::AllocateAddress(new) => &new.new,
        _ => return None,
    };
    Some((&new.name, new.account.as_ref()))
}

impl Names<'_> {
    pub(super) fn declare_gateways(&mut self, network: &Network) {
        for gateway in &network.gateways {
            let (name, place) = (gateway.label.value.as_str(), gateway.label.place);
            self.scope.introduces(kind_of(&gateway.kind), name, place);
            if matches!(gateway.kind, GatewayKind::Nat { .. }) {
                self.scope.introduces(Kind::Address, name, place);
            }
        }
        for host in &network.outside {
            let label = &host.label;
            self.scope.introduces(Kind::OutsideHost, label.value.as_str(), label.place);
        }
    }

    pub(super) fn gateways(&mut self, network: &Network) {
        for gateway in &network.gateways {
            match &gateway.kind {
                GatewayKind::Internet { vpc } | GatewayKind::EgressOnly { vpc } => {
                    self.vpc_ref(&vpc.value, vpc.place)
                }
                GatewayKind::Vpn { vpc, propagate_to, .. } => {
                    self.vpc_ref(&vpc.value, vpc.place);
                    self.tables(propagate_to);
                }
                GatewayKind::Nat { subnet, .. } => self.subnet(subnet),
                GatewayKind::Endpoint { vpc, route_tables, .. } => {
                    self.vpc_ref(&vpc.value, vpc.place);
                    self.tables(route_tables);
                }
            }
        }
        network.outside.iter().for_each(|host| self.beyond(host));
    }

    fn beyond(&mut self, host: &OutsideHost) {
        self.scope.uses_any(&EDGES, host.beyond.value.as_str(), host.beyond.place);
    }

    fn tables(&mut self, tables: &[Spanned<TableRef>]) {
        tables.iter().for_each(|table| self.table(table));
    }

    fn of_kind(&mut self, kind: Kind, label: &Spanned<Label>) {
        self.scope.uses(kind, label.value.as_str(), label.place);
    }

    fn attachment(&mut self, kind: Kind, attachment: &Attachment) {
        self.of_kind(kind, &attachment.gateway);
        self.vpc_ref(&attachment.vpc.value, attachment.vpc.place);
    }

    fn propagation(&mut self, propagation: &Propagation) {
        self.of_kind(Kind::VpnGateway, &propagation.gateway);
        self.table(&propagation.table);
    }

    /// A host that sends or receives: an instance, or one outside the cloud.
    pub(super) fn host_label(&mut self, label: &Spanned<Label>) {
        let kinds = [Kind::Instance, Kind::OutsideHost];
        self.scope.uses_any(&kinds, label.value.as_str(), label.place);
    }

    pub(super) fn gateway_action(&mut self, action: &GatewayAction, has_asker: bool) {
        use GatewayAction as G;
        if let Some((name, account)) = new_owned(action)
            && (account.is_some() || !has_asker)
        {
            let noun = introduction(action).map_or("resource", |new| new.kind.noun());
            self.owner(account, name, noun);
        }
        match action {
            G::CreateInternetGateway(_) | G::CreateVpnGateway(_) | G::AllocateAddress(_) => {}
            G::AttachInternetGateway(a) | G::DetachInternetGateway(a) => {
                self.attachment(Kind::InternetGateway, a);
            }
            G::DeleteInternetGateway(label) => self.of_kind(Kind::InternetGateway, label),
            G::CreateEgressOnlyGateway(new) => self.vpc_ref(&new.vpc.value, new.vpc.place),
            G::DeleteEgressOnlyGateway(label) => self.of_kind(Kind::EgressOnlyGateway, label),
            G::AttachVpnGateway(a) | G::DetachVpnGateway(a) => self.attachment(Kind::VpnGateway, a),
            G::DeleteVpnGateway(label) => self.of_kind(Kind::VpnGateway, label),
            G::EnablePropagation(p) | G::DisablePropagation(p) => self.propagation(p),
            G::CreateVpcEndpoint(new) => {
                self.vpc_ref(&new.vpc.value, new.vpc.place);
                self.tables(&new.route_tables);
            }
            G::ModifyVpcEndpoint(modify) => {
                self.of_kind(Kind::Endpoint, &modify.endpoint);
                self.tables(&modify.add);
                self.tables(&modify.remove);
            }
            G::DeleteVpcEndpoint(label) => self.of_kind(Kind::Endpoint, label),
            G::CreateNatGateway(new) => {
                self.subnet(&new.subnet);
                self.of_kind(Kind::Address, &new.address);
            }
            G::DeleteNatGateway(label) => self.of_kind(Kind::NatGateway, label),
            G::AssociateAddress(pair) => {
                self.of_kind(Kind::Address, &pair.address);
                self.instance_label(&pair.instance);
            }
            G::DisassociateAddress(label) | G::ReleaseAddress(label) => {
                self.of_kind(Kind::Address, label);
            }
            G::PlaceOutsideHost(host) => self.beyond(host),
            G::RemoveOutsideHost(label) => self.of_kind(Kind::OutsideHost, label),
        }
    }
}
