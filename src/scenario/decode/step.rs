//! The timeline: steps and their actions.

use std::net::IpAddr;
use std::num::NonZeroU32;

use super::network::check;
use super::read::Read;
use super::{Decoder, Fields, single, switch, truth, whole_number, word};
use crate::base::diag::{Diagnostic, Place, Spanned, quote};
use crate::base::limit::{PACKET_BYTES_MAX, PACKETS_PER_RUN_MAX, RUN_SPAN_MAX};
use crate::base::time::{Instant, Span};
use crate::base::units::PacketRate;
use crate::cloud::peering::End;
use crate::scenario::ast::{
    Action, AssociateRouteTable, CidrOfVpc, CreateRouteTable, CreateSubnet, CreateVpc, Destination,
    Flow, Flows, Label, ModifyPeeringOptions, ModifySourceDestCheck, ModifyVpcAttribute, Ping,
    Replay, RequestPeering, Resolve, RouteKey, SendBytes, SetRoute, Step, Tcp, Toggle, Udp,
};
use crate::scenario::code;
use crate::scenario::format::{
    ASSOCIATE_ROUTE_TABLE, CIDR_OF_VPC, CREATE_ROUTE_TABLE, CREATE_SUBNET, CREATE_VPC, FLOWS,
    MODIFY_PEERING_OPTIONS, MODIFY_SOURCE_DEST_CHECK, MODIFY_VPC_ATTRIBUTE, PING, REPLAY,
    REQUEST_PEERING, RESOLVE, ROUTE_KEY, RUN_INSTANCE, SEND, SET_ROUTE, STEP, TCP, UDP,
};
use crate::scenario::names::new_owned;
use crate::scenario::yaml::{Entry, Node, Scalar, Value};
use crate::sim::tcp::Patience;
use crate::wire::Family;

impl Decoder<'_> {
    pub(super) fn steps(&mut self, node: &Node) -> Vec<Step> {
        let Value::List(items) = &node.value else { return Vec::new() };
        let steps: Vec<Step> = items.iter().filter_map(|item| self.step(item)).collect();
        self.times(&steps);
        self.packets(&steps);
        steps
    }

    /// Complains about steps that begin before those above them can have ended: what waits take is
    /// known, what the rest takes is not, and counts as nothing.
    fn times(&mut self, steps: &[Step]) {
        let mut earliest = Instant::START;
        let mut because: Option<Place> = None;
        for step in steps {
            if let Some(at) = step.at {
                if let Some(place) = because.filter(|_| at.value < earliest) {
                    let since_start = |instant: Instant| instant.since(Instant::START);
                    let message = format!("{} is in the past", since_start(at.value));
                    let label =
                        format!("at the earliest it is {} after this", since_start(earliest));
                    let diagnostic = Diagnostic::at(at.place, code::COMBINATION, message);
                    self.diagnostics.push(
                        diagnostic
                            .also(place, label)
                            .help("steps stand in the order in which they begin"),
                    );
                    continue;
                }
                (earliest, because) = (at.value, Some(at.place));
            }
            if let Action::Wait(span) = &step.action {
                (earliest, because) = (earliest + span.value, Some(span.place));
            }
        }
    }

    /// Complains at the step with which the run would inject more packets than a run may.
    fn packets(&mut self, steps: &[Step]) {
        let mut total = 0_u64;
        for step in steps {
            let (senders, each) = match &step.action {
                Action::Ping(ping) => (ping.to.len(), ping.count),
                Action::Udp(udp) => (1, udp.count),
                Action::Flows(flows) => (flows.pairs.len(), flows.packets),
                _ => continue,
            };
            total = total.saturating_add(u64::from(each.get()).saturating_mul(senders as u64));
            if total > PACKETS_PER_RUN_MAX {
                let message = format!("the steps up to here send {total} packets");
                let help = format!("a run may send {PACKETS_PER_RUN_MAX}, answers not counted");
                self.diagnostics.push(Diagnostic::at(step.place, code::RANGE, message).help(help));
                return;
            }
        }
    }

    fn step(&mut self, node: &Node) -> Option<Step> {
        let fields = Fields::of(node, &STEP);
        let at = fields.get("at").and_then(|n| self.span(n, RUN_SPAN_MAX));
        let asker = fields.entry("as");
        let as_account = asker.and_then(|e| self.read(&e.value));
        let note = fields.get("note").and_then(|n| self.line(n)).map(|s| s.value);
        let expect = fields.get("expect");

        let chosen = fields.one_of();
        let action = chosen.and_then(|(field, entry)| self.action(field.key, entry));
        let Some((action, (_, entry))) = action.zip(chosen) else {
            if let Some((_, entry)) = chosen {
                self.remember_names(&entry.value);
            }
            return None;
        };
        if let Some(asker) = asker
            && !is_command(&action)
        {
            let message = format!("`{}` is not asked of the cloud, so nobody asks it", entry.key);
            self.diagnostics.push(
                Diagnostic::at(asker.key_place, code::COMBINATION, message).help("leave out `as`"),
            );
        }
        let account = match &action {
            Action::CreateVpc(new) => new.account.as_ref(),
            Action::Gateway(action) => new_owned(action).and_then(|(_, account)| account),
            _ => None,
        };
        if let (Some(asker), Some(account)) = (asker, account) {
            self.diagnostics.push(
                Diagnostic::at(
                    account.place,
                    code::COMBINATION,
                    "it belongs to whoever asks for it: give `as` or `account`, not both",
                )
                .also(asker.key_place, "who asks"),
            );
        }
        Some(Step {
            at: at.map(|s| s.map(|span| Instant::START + span)),
            as_account,
            expect: expect.and_then(|n| self.expect(n, &entry.key, &action)),
            note,
            action,
            place: entry.key_place,
        })
    }

    /// Remembers what an action that could not be read would have introduced.
    fn remember_names(&mut self, action: &Node) {
        let Value::Mapping(entries) = &action.value else { return };
        let name = entries.iter().find(|entry| entry.key == "name");
        if let Some(scalar) = name.and_then(|entry| single(&entry.value)) {
            self.unread.insert(scalar.text.clone());
        }
    }

    fn action(&mut self, key: &'static str, entry: &Entry) -> Option<Action> {
        #[cfg(test)]
        super::fields::asked::note(STEP.name, key);
        let node = &entry.value;
        Some(match key {
            "request-peering" => Action::RequestPeering(self.request_peering(node)?),
            "accept-peering" => Action::AcceptPeering(self.read(node)?),
            "reject-peering" => Action::RejectPeering(self.read(node)?),
            "delete-peering" => Action::DeletePeering(self.read(node)?),
            "modify-peering-options" => {
                Action::ModifyPeeringOptions(self.modify_peering_options(node)?)
            }
            "describe-peering" => Action::DescribePeering(self.read(node)?),
            "create-vpc" => Action::CreateVpc(self.create_vpc(node)?),
            "delete-vpc" => Action::DeleteVpc(self.read(node)?),
            "associate-vpc-cidr-block" => Action::AssociateVpcCidrBlock(self.cidr_of_vpc(node)?),
            "disassociate-vpc-cidr-block" => {
                Action::DisassociateVpcCidrBlock(self.cidr_of_vpc(node)?)
            }
            "modify-vpc-attribute" => {
                Action::ModifyVpcAttribute(self.modify_vpc_attribute(node, entry.key_place)?)
            }
            "create-subnet" => Action::CreateSubnet(self.create_subnet(node)?),
            "delete-subnet" => Action::DeleteSubnet(self.read(node)?),
            "create-route-table" => Action::CreateRouteTable(self.create_route_table(node)?),
            "delete-route-table" => Action::DeleteRouteTable(self.read(node)?),
            "associate-route-table" => Action::AssociateRouteTable(self.associate(node)?),
            "disassociate-route-table" => Action::DisassociateRouteTable(self.read(node)?),
            "replace-main-route-table" => Action::ReplaceMainRouteTable(self.read(node)?),
            "create-route" => Action::CreateRoute(self.set_route(node)?),
            "replace-route" => Action::ReplaceRoute(self.set_route(node)?),
            "delete-route" => Action::DeleteRoute(self.route_key(&Fields::of(node, &ROUTE_KEY))?),
            "describe-route" => {
                Action::DescribeRoute(self.route_key(&Fields::of(node, &ROUTE_KEY))?)
            }
            "run-instance" => {
                let fields = Fields::of(node, &RUN_INSTANCE);
                let label = fields.get("name").and_then(|n| self.read(n));
                Action::RunInstance(self.instance(label?, &fields, entry.key_place)?)
            }
            "stop-instance" => Action::StopInstance(self.read(node)?),
            "start-instance" => Action::StartInstance(self.read(node)?),
            "terminate-instance" => Action::TerminateInstance(self.read(node)?),
            "modify-source-dest-check" => {
                let fields = Fields::of(node, &MODIFY_SOURCE_DEST_CHECK);
                let instance = fields.get("instance").and_then(|n| self.read(n));
                let value = fields.get("value").and_then(truth);
                let (instance, value) = (instance?, check(value?.value));
                Action::ModifySourceDestCheck(ModifySourceDestCheck { instance, value })
            }
            "resolve" => Action::Resolve(self.resolve(node)?),
            "ping" => Action::Ping(self.ping(node)?),
            "udp" => Action::Udp(self.udp(node)?),
            "tcp" => Action::Tcp(self.tcp(node)?),
            "send" => Action::Send(self.send(node)?),
            "replay" => {
                let fields = Fields::of(node, &REPLAY);
                let from = fields.get("from").and_then(|n| self.read(n));
                let capture = fields.get("capture").and_then(|n| self.read(n));
                Action::Replay(Replay { from: from?, capture: capture? })
            }
            "flows" => Action::Flows(self.flows(node)?),
            "wait" => Action::Wait(self.span(node, RUN_SPAN_MAX)?),
            _ => match self.gateway_action(key, entry) {
                Some(action) => Action::Gateway(action),
                None => Action::Filter(self.filter(key, entry)?),
            },
        })
    }

    fn request_peering(&mut self, node: &Node) -> Option<RequestPeering> {
        let fields = Fields::of(node, &REQUEST_PEERING);
        let name = fields.get("name").and_then(|n| self.read(n));
        let requester = fields.get("requester").and_then(|n| self.read(n));
        let accepter = fields.get("accepter").and_then(|n| self.read(n));
        let peer_owner = fields.get("peer-owner").and_then(|n| self.read(n));
        let peer_region = fields.get("peer-region").and_then(|n| self.read(n));
        Some(RequestPeering {
            name: name?,
            requester: requester?,
            accepter: accepter?,
            peer_owner,
            peer_region,
        })
    }

    fn modify_peering_options(&mut self, node: &Node) -> Option<ModifyPeeringOptions> {
        let fields = Fields::of(node, &MODIFY_PEERING_OPTIONS);
        let peering = fields.get("peering").and_then(|n| self.read(n));
        let dns_from_peer = fields.get("dns_from_peer").and_then(switch);
        let side = fields.get("side").and_then(|n| word(n, End::from_name));
        Some(ModifyPeeringOptions {
            peering: peering?,
            dns_from_peer: dns_from_peer?.value,
            side: side.map(|s| s.value),
        })
    }

    fn create_vpc(&mut self, node: &Node) -> Option<CreateVpc> {
        let fields = Fields::of(node, &CREATE_VPC);
        let name = fields.get("name").and_then(|n| self.read(n));
        let cidr = fields.get("cidr").and_then(|n| self.read(n));
        let account = fields.get("account").and_then(|n| self.read(n));
        let region = fields.get("region").and_then(|n| self.read(n));
        Some(CreateVpc { name: name?, cidr: cidr?, account, region })
    }

    fn cidr_of_vpc(&mut self, node: &Node) -> Option<CidrOfVpc> {
        let fields = Fields::of(node, &CIDR_OF_VPC);
        let vpc = fields.get("vpc").and_then(|n| self.read(n));
        let cidr = fields.get("cidr").and_then(|n| self.read(n));
        Some(CidrOfVpc { vpc: vpc?, cidr: cidr? })
    }

    fn modify_vpc_attribute(&mut self, node: &Node, owner: Place) -> Option<ModifyVpcAttribute> {
        let fields = Fields::of(node, &MODIFY_VPC_ATTRIBUTE);
        let vpc = fields.get("vpc").and_then(|n| self.read(n));
        let (support, hostnames) = (fields.get("dns_support"), fields.get("dns_hostnames"));
        if vpc.is_some() && support.is_none() && hostnames.is_none() {
            let message = "`modify-vpc-attribute` needs `dns_support` or `dns_hostnames`";
            self.diagnostics.push(
                Diagnostic::at(owner, code::MISSING_KEY, message)
                    .help("say what is to be switched, for example `dns_hostnames: true`"),
            );
        }
        let value = |node: Option<&Node>| node.and_then(switch).map(|s| s.value);
        Some(ModifyVpcAttribute {
            vpc: vpc?,
            dns_support: value(support),
            dns_hostnames: value(hostnames),
        })
    }

    fn create_subnet(&mut self, node: &Node) -> Option<CreateSubnet> {
        let fields = Fields::of(node, &CREATE_SUBNET);
        let vpc = fields.get("vpc").and_then(|n| self.read(n));
        let name = fields.get("name").and_then(|n| self.read(n));
        let cidr = fields.get("cidr").and_then(|n| self.read(n));
        let ipv6 = fields.get("ipv6").and_then(|n| self.read(n));
        let az = fields.get("az").and_then(|n| self.read(n));
        Some(CreateSubnet { vpc: vpc?, name: name?, cidr: cidr?, ipv6, az })
    }

    fn create_route_table(&mut self, node: &Node) -> Option<CreateRouteTable> {
        let fields = Fields::of(node, &CREATE_ROUTE_TABLE);
        let vpc = fields.get("vpc").and_then(|n| self.read(n));
        let name = fields.get("name").and_then(|n| self.read(n));
        Some(CreateRouteTable { vpc: vpc?, name: name? })
    }

    fn associate(&mut self, node: &Node) -> Option<AssociateRouteTable> {
        let fields = Fields::of(node, &ASSOCIATE_ROUTE_TABLE);
        let table = fields.get("table").and_then(|n| self.read(n));
        let subnet = fields.get("subnet").and_then(|n| self.read(n));
        Some(AssociateRouteTable { table: table?, subnet: subnet? })
    }

    fn route_key(&mut self, fields: &Fields<'_>) -> Option<RouteKey> {
        let table = fields.get("table").and_then(|n| self.read(n));
        let destination = fields.get("destination").and_then(|n| self.read(n));
        Some(RouteKey { table: table?, destination: destination? })
    }

    fn set_route(&mut self, node: &Node) -> Option<SetRoute> {
        let fields = Fields::of(node, &SET_ROUTE);
        let route = self.route_key(&fields);
        let target = fields.get("target").and_then(|n| self.read(n));
        Some(SetRoute { route: route?, target: target? })
    }

    fn resolve(&mut self, node: &Node) -> Option<Resolve> {
        let fields = Fields::of(node, &RESOLVE);
        let from = fields.get("from").and_then(|n| self.read(n));
        let name = fields.get("name").and_then(|n| self.read(n));
        let (from, name) = match self.ends(node) {
            Some(ends) => ends,
            None => (from?, name?),
        };
        Some(Resolve { from, name })
    }

    fn ping(&mut self, node: &Node) -> Option<Ping> {
        let fields = Fields::of(node, &PING);
        let from = fields.get("from").and_then(|n| self.read(n));
        let to = fields.get("to").map(|n| self.read_all(n)).unwrap_or_default();
        let source = fields.get("source").and_then(|n| self.read(n));
        let count = count(&fields, "count");
        let interval = fields.get("interval").and_then(|n| self.span(n, RUN_SPAN_MAX));
        let size = fields.get("size").and_then(whole_number).map_or(56, |n| n.value);
        let family = fields.get("family").and_then(|n| word(n, Family::from_name));
        let (from, to) = match self.pair(node) {
            Some(flow) => (flow.from, vec![flow.to]),
            None => (from?, to),
        };
        self.same_family(&to, source, family);
        (!to.is_empty()).then(|| Ping {
            from,
            to,
            source,
            count: count.unwrap_or(NonZeroU32::MIN),
            interval: interval.map_or(Span::from_secs(1), |s| s.value),
            size,
            fragment: toggle(&fields, "fragment"),
            family,
        })
    }

    fn udp(&mut self, node: &Node) -> Option<Udp> {
        let fields = Fields::of(node, &UDP);
        let number =
            |key, default| fields.get(key).and_then(whole_number).map_or(default, |n| n.value);
        let from = fields.get("from").and_then(|n| self.read(n));
        let to = fields.get("to").and_then(|n| self.read(n));
        let source = fields.get("source").and_then(|n| self.read(n));
        let interval = fields.get("interval").and_then(|n| self.span(n, RUN_SPAN_MAX));
        let family = fields.get("family").and_then(|n| word(n, Family::from_name));
        let (from, to) = match self.pair(node) {
            Some(flow) => (flow.from, flow.to),
            None => (from?, to?),
        };
        self.same_family(std::slice::from_ref(&to), source, family);
        Some(Udp {
            from,
            to,
            source,
            port: number("port", 9),
            source_port: number("source-port", 40_000),
            size: number("size", 18),
            fragment: toggle(&fields, "fragment"),
            count: count(&fields, "count").unwrap_or(NonZeroU32::MIN),
            interval: interval.map_or(Span::from_millis(1), |s| s.value),
            answer: toggle(&fields, "answer"),
            family,
        })
    }

    fn tcp(&mut self, node: &Node) -> Option<Tcp> {
        let fields = Fields::of(node, &TCP);
        let from = fields.get("from").and_then(|n| self.read(n));
        let to = fields.get("to").and_then(|n| self.read(n));
        let port = fields.get("port").and_then(whole_number).map_or(80, |n| n.value);
        let source_port = fields.get("source-port").and_then(whole_number).map(|n| n.value);
        let bytes = fields.get("bytes").and_then(whole_number).map_or(0, |n| n.value);
        let timeout = fields.get("timeout").and_then(|n| self.span(n, RUN_SPAN_MAX));
        let family = fields.get("family").and_then(|n| word(n, Family::from_name));
        let background = toggle(&fields, "background");
        let (from, to) = match self.pair(node) {
            Some(flow) => (flow.from, flow.to),
            None => (from?, to?),
        };
        self.same_family(std::slice::from_ref(&to), None, family);
        let timeout = timeout.map_or(Patience::default().connect, |s| s.value);
        Some(Tcp { from, to, port, source_port, bytes, timeout, family, background })
    }

    fn flows(&mut self, node: &Node) -> Option<Flows> {
        const PACKETS: NonZeroU32 = NonZeroU32::new(1_000).unwrap();
        let fields = Fields::of(node, &FLOWS);
        let number =
            |key, default| fields.get(key).and_then(whole_number).map_or(default, |n| n.value);
        let pairs: Vec<Flow> = match fields.get("pairs").map(|n| &n.value) {
            Some(Value::List(items)) => items.iter().filter_map(|n| self.pair(n)).collect(),
            _ => Vec::new(),
        };
        // Read like any other, because a rate is made from a text only.
        let rate = self.plain(fields.get("rate")).or_else(|| PacketRate::read("1000/s").ok());
        let flows = Flows {
            pairs,
            packets: count(&fields, "packets").unwrap_or(PACKETS),
            rate: rate?,
            size: number("size", 18),
            port: number("port", 9),
            background: toggle(&fields, "background"),
        };
        (!flows.pairs.is_empty()).then_some(flows)
    }

    /// Reads `b -> c`; `None` if it is no single value or does not read.
    fn pair(&mut self, node: &Node) -> Option<Flow> {
        let (from, to) = self.ends(node)?;
        Some(Flow { from, to })
    }

    /// Reads both ends of an arrow.
    fn ends<T: Read>(&mut self, node: &Node) -> Option<(Spanned<Label>, Spanned<T>)> {
        let scalar = single(node)?;
        let Some((from, to)) = scalar.text.split_once("->") else {
            let message = format!("{} is not a pair", quote(&scalar.text));
            let help = "want two ends with an arrow between them, for example `b -> c`";
            self.diagnostics.push(Diagnostic::at(node.place, code::VALUE, message).help(help));
            return None;
        };
        let from_place = part(node, scalar, 0, from);
        let to_place = part(node, scalar, from.len() + "->".len(), to);
        let from = self.read_text::<Label>(from.trim(), from_place);
        let to = self.read_text::<T>(to.trim(), to_place);
        Some((from?, to?))
    }

    /// Complains about addresses of different families in one packet.
    fn same_family(
        &mut self,
        to: &[Spanned<Destination>],
        source: Option<Spanned<IpAddr>>,
        family: Option<Spanned<Family>>,
    ) {
        let targets = to.iter().filter_map(|to| match &to.value {
            Destination::Address(address) | Destination::AddressIn { address, .. } => {
                Some((Family::of(*address), to.place))
            }
            Destination::Host(_) => None,
            // An internet gateway translates IPv4 only.
            Destination::Public(_) => Some((Family::V4, to.place)),
        });
        let source = source.map(|s| (Family::of(s.value), s.place));
        let family = family.map(|f| (f.value, f.place));
        // Targets of a list may differ from one another, unless something names one family.
        let Some((wanted, wanted_place)) = family.or(source) else { return };
        for (other, place) in targets.chain(source) {
            if other != wanted {
                self.diagnostics.push(
                    Diagnostic::at(
                        place,
                        code::COMBINATION,
                        format!("an {} address in an {} packet", other.title(), wanted.title()),
                    )
                    .also(wanted_place, format!("this asks for {}", wanted.title())),
                );
            }
        }
    }

    fn send(&mut self, node: &Node) -> Option<SendBytes> {
        let fields = Fields::of(node, &SEND);
        let from = fields.get("from").and_then(|n| self.read(n));
        let bytes = fields.get("hex").and_then(|n| self.hex(n));
        Some(SendBytes { from: from?, bytes: bytes? })
    }

    /// Reads hexadecimal digits with white space anywhere between them.
    fn hex(&mut self, node: &Node) -> Option<Spanned<Vec<u8>>> {
        let scalar = single(node)?;
        let digits = scalar.text.chars().filter(|c| !c.is_whitespace()).count();
        let fault = if let Some((at, c)) =
            scalar.text.char_indices().find(|(_, c)| !c.is_whitespace() && !c.is_ascii_hexdigit())
        {
            let place = part(node, scalar, at, &scalar.text[at..at + c.len_utf8()]);
            let message =
                format!("{} is not a hexadecimal digit", quote(c.encode_utf8(&mut [0; 4])));
            Diagnostic::at(place, code::VALUE, message)
        } else if digits == 0 || digits / 2 > PACKET_BYTES_MAX {
            let message = format!("a packet of {} bytes", digits / 2);
            Diagnostic::at(node.place, code::RANGE, message)
                .help(format!("want 1 to {PACKET_BYTES_MAX} bytes"))
        } else if digits % 2 == 1 {
            Diagnostic::at(node.place, code::VALUE, "an odd number of hexadecimal digits")
                .help(format!("{digits} digits do not make whole bytes; write two for each byte"))
        } else {
            let mut nibbles = scalar.text.chars().filter_map(|c| c.to_digit(16));
            let mut bytes = Vec::with_capacity(digits / 2);
            while let (Some(high), Some(low)) = (nibbles.next(), nibbles.next()) {
                bytes.extend(u8::try_from(high << 4 | low));
            }
            return Some(Spanned::new(bytes, node.place));
        };
        self.diagnostics.push(fault);
        None
    }
}

/// The place of `text`, which stands `at` bytes into a scalar, without the white space around it;
/// of the whole scalar if its text is not in the source as it is.
fn part(node: &Node, scalar: &Scalar, at: usize, text: &str) -> Place {
    let Some(base) = scalar.verbatim_at else { return node.place };
    let start = base + at + (text.len() - text.trim_start().len());
    Place::new(node.place.source(), start..start + text.trim().len())
}

fn count(fields: &Fields<'_>, key: &'static str) -> Option<NonZeroU32> {
    let number: Spanned<u32> = fields.get(key).and_then(whole_number)?;
    NonZeroU32::new(number.value)
}

fn toggle(fields: &Fields<'_>, key: &'static str) -> Toggle {
    match fields.get(key).and_then(truth) {
        Some(Spanned { value: true, .. }) => Toggle::Yes,
        _ => Toggle::No,
    }
}

/// Is it asked of the cloud's control plane, and not a query, traffic or the passing of time?
pub(super) fn is_command(action: &Action) -> bool {
    !matches!(
        action,
        Action::Resolve(_)
            | Action::Ping(_)
            | Action::Udp(_)
            | Action::Tcp(_)
            | Action::Send(_)
            | Action::Replay(_)
            | Action::Flows(_)
            | Action::Wait(_)
    )
}
