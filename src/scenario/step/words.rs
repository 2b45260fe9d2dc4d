//! A step in words, as reports name it.

use std::fmt::Display;

use crate::base::diag::Spanned;
use crate::cloud::dns::Switch;
use crate::cloud::instance::SourceDestCheck;
use crate::scenario::ast::{self, Action, GatewayAction, Label, TableRef};

/// What the action does, for a reader: `ping b -> c`.
pub(in crate::scenario) fn words(action: &Action) -> String {
    let pair = |a: &dyn Display, b: &dyn Display| format!("{a} -> {b}");
    match action {
        Action::RequestPeering(r) => format!(
            "request-peering {}: {}",
            r.name.value,
            pair(&r.requester.value, &r.accepter.value)
        ),
        Action::AcceptPeering(p) => format!("accept-peering {}", p.value),
        Action::RejectPeering(p) => format!("reject-peering {}", p.value),
        Action::DeletePeering(p) => format!("delete-peering {}", p.value),
        Action::ModifyPeeringOptions(m) => {
            let side = m.side.map_or_else(String::new, |side| format!(", {}", side.name()));
            format!(
                "modify-peering-options {}{side}: {}",
                m.peering.value,
                dns("from peer", m.dns_from_peer)
            )
        }
        Action::DescribePeering(p) => format!("describe-peering {}", p.value),
        Action::CreateVpc(v) => format!("create-vpc {}: {}", v.name.value, v.cidr.value),
        Action::DeleteVpc(v) => format!("delete-vpc {}", v.value),
        Action::AssociateVpcCidrBlock(b) => {
            format!("associate-vpc-cidr-block {}: {}", b.vpc.value, b.cidr.value)
        }
        Action::DisassociateVpcCidrBlock(b) => {
            format!("disassociate-vpc-cidr-block {}: {}", b.vpc.value, b.cidr.value)
        }
        Action::ModifyVpcAttribute(m) => {
            let support = m.dns_support.map(|switch| dns("support", switch));
            let hostnames = m.dns_hostnames.map(|switch| dns("hostnames", switch));
            let both: Vec<String> = [support, hostnames].into_iter().flatten().collect();
            format!("modify-vpc-attribute {}: {}", m.vpc.value, both.join(", "))
        }
        Action::CreateSubnet(s) => {
            format!("create-subnet {}/{}: {}", s.vpc.value, s.name.value, s.cidr.value)
        }
        Action::DeleteSubnet(s) => format!("delete-subnet {}", s.value),
        Action::CreateRouteTable(t) => {
            format!("create-route-table {}/{}", t.vpc.value, t.name.value)
        }
        Action::DeleteRouteTable(t) => format!("delete-route-table {}", t.value),
        Action::AssociateRouteTable(a) => {
            format!("associate-route-table {} with {}", a.table.value, a.subnet.value)
        }
        Action::DisassociateRouteTable(s) => format!("disassociate-route-table of {}", s.value),
        Action::ReplaceMainRouteTable(t) => format!("replace-main-route-table by {}", t.value),
        Action::CreateRoute(s) => route_words("create-route", &s.route, Some(&s.target.value)),
        Action::ReplaceRoute(s) => route_words("replace-route", &s.route, Some(&s.target.value)),
        Action::DeleteRoute(k) => route_words("delete-route", k, None),
        Action::DescribeRoute(k) => route_words("describe-route", k, None),
        Action::RunInstance(i) => format!("run-instance {}", i.label.value),
        Action::StopInstance(l) => format!("stop-instance {}", l.value),
        Action::StartInstance(l) => format!("start-instance {}", l.value),
        Action::TerminateInstance(l) => format!("terminate-instance {}", l.value),
        Action::ModifySourceDestCheck(m) => format!(
            "modify-source-dest-check {}: {}",
            m.instance.value,
            match m.value {
                SourceDestCheck::On => "on",
                SourceDestCheck::Off => "off",
            }
        ),
        Action::Resolve(r) => format!("resolve {}", pair(&r.from.value, &r.name.value)),
        Action::Filter(filter) => super::filter::words(filter),
        Action::Gateway(action) => gateway_words(action),
        Action::FlowLog(action) => super::flow_log::words(action),
        Action::Ping(p) => {
            let named: Vec<String> =
                p.to.iter().take(NAMED).map(|to| to.value.to_string()).collect();
            let to = match &named[..] {
                [only] => only.clone(),
                _ => format!("[{}{}]", named.join(", "), more(p.to.len())),
            };
            format!("ping {}{}", pair(&p.from.value, &to), times(p.count.get()))
        }
        Action::Udp(u) => {
            format!("udp {}{}", pair(&u.from.value, &u.to.value), times(u.count.get()))
        }
        Action::Tcp(t) => {
            let bytes = if t.bytes == 0 { String::new() } else { format!(", {} bytes", t.bytes) };
            format!("tcp {} port {}{bytes}", pair(&t.from.value, &t.to.value), t.port)
        }
        Action::Send(s) => {
            let bytes = s.bytes.value.len();
            let noun = if bytes == 1 { "byte" } else { "bytes" };
            format!("send from {}, {bytes} {noun}", s.from.value)
        }
        Action::Replay(r) => format!("replay {} from {}", r.capture.value.as_str(), r.from.value),
        Action::Flows(f) => {
            let pairs = f.pairs.iter().take(NAMED);
            let pairs: Vec<String> = pairs.map(|p| pair(&p.from.value, &p.to.value)).collect();
            let more = more(f.pairs.len());
            format!("flows {}{more}, {} packets each at {}", pairs.join(", "), f.packets, f.rate)
        }
        Action::Wait(span) => format!("wait {}", span.value),
    }
}

fn dns(what: &str, switch: Switch) -> String {
    format!("DNS {what} {}", if switch.is_on() { "on" } else { "off" })
}

/// How many members of a list are named.
const NAMED: usize = 8;

/// How many members of a list of `n` are not named.
fn more(n: usize) -> String {
    if n > NAMED { format!(" and {} more", n - NAMED) } else { String::new() }
}

fn times(n: u32) -> String {
    if n == 1 { String::new() } else { format!(", {n} times") }
}

fn route_words(verb: &str, key: &ast::RouteKey, target: Option<&ast::TargetRef>) -> String {
    let target = target.map_or_else(String::new, |t| format!(" -> {t}"));
    format!("{verb} {}: {}{target}", key.table.value, key.destination.value)
}

fn gateway_words(action: &GatewayAction) -> String {
    use GatewayAction as G;
    let with_vpc = |verb: &str, a: &ast::Attachment, preposition: &str| {
        format!("{verb} {} {preposition} {}", a.gateway.value, a.vpc.value)
    };
    let named = |verb: &str, label: &Spanned<Label>| format!("{verb} {}", label.value);
    match action {
        G::CreateInternetGateway(new) => named("create-internet-gateway", &new.name),
        G::AttachInternetGateway(a) => with_vpc("attach-internet-gateway", a, "to"),
        G::DetachInternetGateway(a) => with_vpc("detach-internet-gateway", a, "from"),
        G::DeleteInternetGateway(label) => named("delete-internet-gateway", label),
        G::CreateEgressOnlyGateway(new) => {
            let (name, vpc) = (&new.name.value, &new.vpc.value);
            format!("create-egress-only-internet-gateway {name}: {vpc}")
        }
        G::DeleteEgressOnlyGateway(label) => named("delete-egress-only-internet-gateway", label),
        G::CreateVpnGateway(new) => named("create-vpn-gateway", &new.new.name),
        G::AttachVpnGateway(a) => with_vpc("attach-vpn-gateway", a, "to"),
        G::DetachVpnGateway(a) => with_vpc("detach-vpn-gateway", a, "from"),
        G::DeleteVpnGateway(label) => named("delete-vpn-gateway", label),
        G::EnablePropagation(p) => {
            format!("enable-vgw-route-propagation {} to {}", p.gateway.value, p.table.value)
        }
        G::DisablePropagation(p) => {
            format!("disable-vgw-route-propagation {} to {}", p.gateway.value, p.table.value)
        }
        G::CreateVpcEndpoint(new) => {
            let (name, vpc) = (&new.name.value, &new.vpc.value);
            format!("create-vpc-endpoint {name}: {vpc} -> {}", new.service.name.value)
        }
        G::ModifyVpcEndpoint(modify) => {
            let (add, remove) = (list(&modify.add), list(&modify.remove));
            format!("modify-vpc-endpoint {}: add [{add}], remove [{remove}]", modify.endpoint.value)
        }
        G::DeleteVpcEndpoint(label) => named("delete-vpc-endpoint", label),
        G::CreateNatGateway(new) => {
            format!("create-nat-gateway {}: {}", new.name.value, new.subnet.value)
        }
        G::DeleteNatGateway(label) => named("delete-nat-gateway", label),
        G::AllocateAddress(new) => named("allocate-address", &new.new.name),
        G::AssociateAddress(pair) => {
            format!("associate-address {} with {}", pair.address.value, pair.instance.value)
        }
        G::DisassociateAddress(label) => named("disassociate-address", label),
        G::ReleaseAddress(label) => named("release-address", label),
        G::PlaceOutsideHost(host) => {
            format!("place-outside-host {} beyond {}", host.label.value, host.beyond.value)
        }
        G::RemoveOutsideHost(label) => named("remove-outside-host", label),
    }
}

fn list(tables: &[Spanned<TableRef>]) -> String {
    let named: Vec<String> =
        tables.iter().take(NAMED).map(|table| table.value.to_string()).collect();
    format!("{}{}", named.join(", "), more(tables.len()))
}
