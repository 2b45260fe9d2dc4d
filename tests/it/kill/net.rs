//! What of two accounts' networks can be seen from outside, and what each request makes of it.

use std::collections::{BTreeMap, BTreeSet};

use vpclab::base::rng::Stream;

use super::filters::{BORN_DENIED, BORN_OPEN, Filter, entries, entry, rule, rules};

/// VPCs of one account: one below the quota, for a region may have a default one.
const VPCS: usize = 3;

/// The networks of two accounts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Net {
    /// Account and block.
    vpcs: BTreeMap<String, (String, String)>,
    /// VPC and block.
    subnets: BTreeMap<String, (String, String)>,
    /// Requester, accepter, status.
    peerings: BTreeMap<String, (String, String, String)>,
    /// By VPC its main table, with destinations and targets.
    tables: BTreeMap<String, (String, BTreeMap<String, String>)>,
    /// Without those that VPCs are born with, whose ids no answer tells.
    groups: BTreeMap<String, Filter>,
    /// The same.
    acls: BTreeMap<String, Filter>,
    /// Account, resource, key, value.
    tags: BTreeSet<[String; 4]>,
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub(super) enum Op {
    CreateVpc {
        account: String,
        block: String,
        name: String,
    },
    DeleteVpc {
        account: String,
        vpc: String,
    },
    CreateSubnet {
        account: String,
        vpc: String,
        block: String,
        name: String,
    },
    DeleteSubnet {
        account: String,
        subnet: String,
    },
    Request {
        account: String,
        vpc: String,
        peer: String,
        owner: String,
        name: String,
    },
    Accept {
        account: String,
        peering: String,
    },
    DeletePeering {
        account: String,
        peering: String,
    },
    CreateRoute {
        account: String,
        vpc: String,
        table: String,
        to: String,
        peering: String,
    },
    DeleteRoute {
        account: String,
        vpc: String,
        table: String,
        to: String,
    },
    CreateGroup {
        account: String,
        vpc: String,
        name: String,
    },
    DeleteGroup {
        account: String,
        group: String,
    },
    /// Two rules, each with a description.
    Allow {
        account: String,
        group: String,
        port: u64,
        about: String,
    },
    /// The same two.
    Revoke {
        account: String,
        group: String,
        port: u64,
    },
    CreateAcl {
        account: String,
        vpc: String,
        name: String,
    },
    DeleteAcl {
        account: String,
        acl: String,
    },
    /// A new entry, or another in the place of one.
    Enter {
        account: String,
        acl: String,
        number: u64,
        action: &'static str,
        replaces: bool,
    },
    DeleteEntry {
        account: String,
        acl: String,
        number: u64,
    },
    /// Both keys on both resources.
    Tag {
        account: String,
        resources: [String; 2],
        value: String,
    },
    Untag {
        account: String,
        resources: [String; 2],
    },
}

/// The keys of [`Op::Tag`].
const KEYS: [&str; 2] = ["one", "other"];
/// The blocks of [`Op::Allow`].
const BLOCKS: [&str; 2] = ["10.0.0.0/8", "192.168.0.0/16"];
/// Ports and numbers that rules and entries have: few, so that they meet.
const NUMBERS: u64 = 4;

impl Net {
    /// Takes in what a Describe request of `account` has answered.
    pub(super) fn learn(&mut self, account: &str, noun: &str, answer: &Element) {
        let rows = answer.children.iter().flat_map(|set| &set.children);
        for row in rows {
            let get = |name: &str| row.text(name).to_owned();
            match noun {
                "Vpcs" => {
                    self.vpcs.insert(get("vpcId"), (account.to_owned(), get("cidrBlock")));
                }
                "Subnets" => {
                    self.subnets.insert(get("subnetId"), (get("vpcId"), get("cidrBlock")));
                }
                "VpcPeeringConnections" => {
                    let vpc = |end| row.child(end).map_or("", |end| end.text("vpcId")).to_owned();
                    let status = row.child("status").map_or("", |status| status.text("code"));
                    let ends = (vpc("requesterVpcInfo"), vpc("accepterVpcInfo"), status.to_owned());
                    self.peerings.insert(get("vpcPeeringConnectionId"), ends);
                }
                "SecurityGroups" if get("groupName") != "default" => {
                    self.groups.insert(get("groupId"), (get("vpcId"), rules(row)));
                }
                "NetworkAcls" if get("default") == "false" => {
                    self.acls.insert(get("networkAclId"), (get("vpcId"), entries(row)));
                }
                "SecurityGroups" | "NetworkAcls" => {}
                "RouteTables" => {
                    let routes = row.child("routeSet").map_or(&[][..], |set| &set.children);
                    let target = |route: &Element| {
                        let peering = route.text("vpcPeeringConnectionId");
                        if peering.is_empty() { route.text("gatewayId") } else { peering }
                            .to_owned()
                    };
                    let routes = routes.iter().map(|route| {
                        (route.text("destinationCidrBlock").to_owned(), target(route))
                    });
                    let table = (get("routeTableId"), routes.collect());
                    let before = self.tables.insert(get("vpcId"), table);
                    assert_eq!(before, None, "a VPC has one table");
                }
                _ => {
                    let tag = [account.to_owned(), get("resourceId"), get("key"), get("value")];
                    self.tags.insert(tag);
                }
            }
        }
        self.forget_tags_of_the_dead();
    }

    /// Takes over the ids of main tables, which no answer tells but that of a Describe request.
    pub(super) fn learn_tables(&mut self, found: &Net) {
        for (vpc, (table, _)) in &mut self.tables {
            if let Some((id, _)) = found.tables.get(vpc).filter(|_| table.is_empty()) {
                table.clone_from(id);
            }
        }
    }

    /// Whether something that is gone but still shown has its tags is not asked here.
    fn forget_tags_of_the_dead(&mut self) {
        let Net { vpcs, subnets, peerings, groups, acls, tags, .. } = self;
        tags.retain(|[_, of, ..]| {
            let lives = peerings.get(of).is_some_and(|(_, _, status)| status != "deleted");
            let filters = groups.contains_key(of) || acls.contains_key(of);
            lives || vpcs.contains_key(of) || subnets.contains_key(of) || filters
        });
    }

    fn tag(&mut self, account: &str, of: &str, key: &str, value: &str) {
        self.tags.retain(|tag| tag[..3] != [account, of, key]);
        self.tags.insert([account, of, key, value].map(str::to_owned));
    }

    fn untag(&mut self, of: &str, key: &str) {
        self.tags.retain(|tag| tag[1..3] != [of, key]);
    }
}

/// One of them.
fn pick<T>(rng: &mut Stream, from: impl Iterator<Item = T>) -> Option<T> {
    let mut all: Vec<T> = from.collect();
    let at = rng.below(all.len().max(1) as u64);
    let at = usize::try_from(at).ok()?;
    (at < all.len()).then(|| all.swap_remove(at))
}

impl Op {
    /// Something to ask for in this network; most of it is granted.
    pub(super) fn any(net: &Net, accounts: &[String; 2], rng: &mut Stream) -> Op {
        loop {
            let kind = rng.below(19);
            if let Some(op) = Self::of_kind(kind, net, accounts, rng) {
                return op;
            }
        }
    }

    fn of_kind(kind: u64, net: &Net, accounts: &[String; 2], rng: &mut Stream) -> Option<Op> {
        let account = pick(rng, accounts.iter())?.clone();
        let name = format!("name {}", rng.below(1_000));
        let own = |vpc: &&String| net.vpcs.get(*vpc).is_some_and(|(owner, _)| *owner == account);
        let vpcs = || net.vpcs.keys().filter(own);
        let block = |vpc: &str| net.vpcs.get(vpc).map(|(_, block)| block.clone());
        Some(match kind {
            0 if vpcs().count() < VPCS => {
                Op::CreateVpc { account, block: format!("10.{}.0.0/16", rng.below(250)), name }
            }
            1 if rng.below(2) == 0 => {
                let vpc = pick(rng, vpcs())?.clone();
                let filters = net.groups.values().chain(net.acls.values());
                let idle = !net.subnets.values().any(|(of, _)| *of == vpc)
                    && !filters.map(|(of, _)| of).any(|of| *of == vpc)
                    && !net.peerings.values().any(|(one, other, status)| {
                        (*one == vpc || *other == vpc) && status != "deleted"
                    });
                // Otherwise it may be refused, or take peerings with it.
                idle.then_some(Op::DeleteVpc { account, vpc })?
            }
            2 | 3 => {
                let vpc = pick(rng, vpcs())?.clone();
                let block = block(&vpc)?.replace(".0.0/16", &format!(".{}.0/24", rng.below(40)));
                Op::CreateSubnet { account, vpc, block, name }
            }
            4 => {
                let of_own = net.subnets.iter().filter(|(_, (vpc, _))| own(&vpc));
                Op::DeleteSubnet { subnet: pick(rng, of_own)?.0.clone(), account }
            }
            5 => {
                let vpc = pick(rng, vpcs())?.clone();
                // Overlapping blocks, or a second peering of a pair, end in other ways.
                let others = net.vpcs.iter().filter(|(id, (_, other))| {
                    let pairs = [[&vpc, *id], [*id, &vpc]];
                    let taken = net.peerings.values().any(|(one, other, status)| {
                        pairs.contains(&[one, other]) && status != "deleted"
                    });
                    **id != vpc && block(&vpc).as_ref() != Some(other) && !taken
                });
                let (peer, (owner, _)) = pick(rng, others)?;
                let (peer, owner) = (peer.clone(), owner.clone());
                Op::Request { account, vpc, peer, owner, name }
            }
            6 => {
                let to_own = net
                    .peerings
                    .iter()
                    .filter(|(_, (_, vpc, status))| own(&vpc) && status == "pending-acceptance");
                Op::Accept { peering: pick(rng, to_own)?.0.clone(), account }
            }
            7 => {
                let live = net.peerings.iter().filter(|(_, (vpc, other, status))| {
                    (own(&vpc) || own(&other)) && status != "deleted"
                });
                Op::DeletePeering { peering: pick(rng, live)?.0.clone(), account }
            }
            8 => {
                let active = net.peerings.iter().filter(|(_, (.., status))| status == "active");
                let (peering, (one, other, _)) = pick(rng, active)?;
                let (vpc, peer) = if own(&one) { (one, other) } else { (other, one) };
                let table = net.tables.get(vpc).filter(|_| own(&vpc))?.0.clone();
                let (vpc, peering, to) = (vpc.clone(), peering.clone(), block(peer)?);
                Op::CreateRoute { account, vpc, table, to, peering }
            }
            9 => {
                let vpc = pick(rng, vpcs())?.clone();
                let (table, routes) = net.tables.get(&vpc)?;
                let (table, mut to) = (table.clone(), routes.iter());
                let to = to.find(|(_, target)| *target != "local")?.0.clone();
                Op::DeleteRoute { account, vpc, table, to }
            }
            10 => Op::CreateGroup { vpc: pick(rng, vpcs())?.clone(), account, name },
            11 => Op::CreateAcl { vpc: pick(rng, vpcs())?.clone(), account, name },
            12..16 => {
                let of_own = net.groups.iter().filter(|(_, (vpc, _))| own(&vpc));
                let (group, (_, lines)) = pick(rng, of_own)?;
                let (group, port) = (group.clone(), 80 + rng.below(NUMBERS));
                let has = lines.iter().any(|line| line.contains(&format!(" {port}-")));
                match (has, rng.below(6)) {
                    (_, 0) => Op::DeleteGroup { account, group },
                    (true, _) => Op::Revoke { account, group, port },
                    (false, _) => Op::Allow { account, group, port, about: name },
                }
            }
            16..18 => {
                let of_own = net.acls.iter().filter(|(_, (vpc, _))| own(&vpc));
                let (acl, (_, lines)) = pick(rng, of_own)?;
                let (acl, number) = (acl.clone(), 100 + rng.below(NUMBERS));
                let replaces =
                    lines.iter().any(|line| line.starts_with(&format!("true {number} ")));
                let action = ["allow", "deny"][usize::from(rng.below(2) == 0)];
                match (replaces, rng.below(6)) {
                    (_, 0) => Op::DeleteAcl { account, acl },
                    (true, 1 | 2) => Op::DeleteEntry { account, acl, number },
                    _ => Op::Enter { account, acl, number, action, replaces },
                }
            }
            _ => {
                let of_own = net.subnets.iter().filter(|(_, (vpc, _))| own(&vpc));
                let subnet = pick(rng, of_own)?.0.clone();
                let resources = [pick(rng, vpcs())?.clone(), subnet];
                match rng.below(3) {
                    0 => Op::Untag { account, resources },
                    _ => Op::Tag { account, resources, value: name },
                }
            }
        })
    }

    /// Who asks, and the form.
    pub(super) fn request(&self) -> (&str, String) {
        let tagged = |form: String, kind: &str, name: &str| {
            let tag = "TagSpecification.1.Tag.1";
            format!(
                "{form}&TagSpecification.1.ResourceType={kind}&{tag}.Key=Name&{tag}.Value={name}"
            )
        };
        let (account, form) = match self {
            Op::CreateVpc { account, block, name } => {
                (account, tagged(format!("CreateVpc&CidrBlock={block}"), "vpc", name))
            }
            Op::DeleteVpc { account, vpc } => (account, format!("DeleteVpc&VpcId={vpc}")),
            Op::CreateSubnet { account, vpc, block, name } => {
                let form = format!("CreateSubnet&VpcId={vpc}&CidrBlock={block}");
                (account, tagged(form, "subnet", name))
            }
            Op::DeleteSubnet { account, subnet } => {
                (account, format!("DeleteSubnet&SubnetId={subnet}"))
            }
            Op::Request { account, vpc, peer, owner, name } => {
                let form = format!(
                    "CreateVpcPeeringConnection&VpcId={vpc}&PeerVpcId={peer}&PeerOwnerId={owner}"
                );
                (account, tagged(form, "vpc-peering-connection", name))
            }
            Op::Accept { account, peering } => {
                (account, format!("AcceptVpcPeeringConnection&VpcPeeringConnectionId={peering}"))
            }
            Op::DeletePeering { account, peering } => {
                (account, format!("DeleteVpcPeeringConnection&VpcPeeringConnectionId={peering}"))
            }
            Op::CreateRoute { account, table, to, peering, .. } => {
                let form = format!("CreateRoute&RouteTableId={table}&DestinationCidrBlock={to}");
                (account, format!("{form}&VpcPeeringConnectionId={peering}"))
            }
            Op::DeleteRoute { account, table, to, .. } => {
                (account, format!("DeleteRoute&RouteTableId={table}&DestinationCidrBlock={to}"))
            }
            Op::CreateGroup { account, vpc, name } => {
                let form = format!(
                    "CreateSecurityGroup&VpcId={vpc}&GroupName={name}&GroupDescription=of {name}"
                );
                (account, tagged(form, "security-group", name))
            }
            Op::DeleteGroup { account, group } => {
                (account, format!("DeleteSecurityGroup&GroupId={group}"))
            }
            Op::Allow { account, group, port, about } => {
                let about = Some(about.as_str());
                (
                    account,
                    format!("AuthorizeSecurityGroupIngress&{}", two_rules(group, *port, about)),
                )
            }
            Op::Revoke { account, group, port } => {
                (account, format!("RevokeSecurityGroupIngress&{}", two_rules(group, *port, None)))
            }
            Op::CreateAcl { account, vpc, name } => {
                (account, tagged(format!("CreateNetworkAcl&VpcId={vpc}"), "network-acl", name))
            }
            Op::DeleteAcl { account, acl } => {
                (account, format!("DeleteNetworkAcl&NetworkAclId={acl}"))
            }
            Op::Enter { account, acl, number, action, replaces } => {
                let verb = if *replaces { "Replace" } else { "Create" };
                let form = format!(
                    "{verb}NetworkAclEntry&NetworkAclId={acl}&RuleNumber={number}&Egress=true\
                     &Protocol=-1&RuleAction={action}&CidrBlock={}",
                    BLOCKS[0]
                );
                (account, form)
            }
            Op::DeleteEntry { account, acl, number } => {
                let form = format!("DeleteNetworkAclEntry&NetworkAclId={acl}&RuleNumber={number}");
                (account, format!("{form}&Egress=true"))
            }
            Op::Tag { account, resources: [one, other], value } => {
                let form = format!("CreateTags&ResourceId.1={one}&ResourceId.2={other}");
                let tags = "Tag.1.Key=one&Tag.1.Value=1&Tag.2.Key=other&Tag.2.Value=";
                (account, format!("{form}&{tags}{value}"))
            }
            Op::Untag { account, resources: [one, other] } => {
                let form = format!("DeleteTags&ResourceId.1={one}&ResourceId.2={other}");
                (account, format!("{form}&Tag.1.Key=one&Tag.2.Key=other"))
            }
        };
        let form = form.replace('/', "%2F").replace(' ', "+");
        (account, format!("Version=2016-11-15&Action={form}"))
    }

    /// The ids that the answer gives to what was made: of a VPC and its table, or one alone.
    pub(super) fn made(&self, answer: &Element) -> Vec<String> {
        let name = match self {
            Op::CreateVpc { .. } => "vpcId",
            Op::CreateSubnet { .. } => "subnetId",
            Op::Request { .. } => "vpcPeeringConnectionId",
            Op::CreateAcl { .. } => "networkAclId",
            // At the top of its answer.
            Op::CreateGroup { .. } => return vec![answer.text("groupId").to_owned()],
            _ => return Vec::new(),
        };
        let made = answer.children.iter().map(|child| child.text(name).to_owned());
        made.filter(|id| !id.is_empty()).collect()
    }

    /// The same, from what is there now and was not before.
    pub(super) fn made_in(&self, before: &Net, found: &Net) -> Vec<String> {
        fn new<T>(before: &BTreeMap<String, T>, found: &BTreeMap<String, T>) -> Vec<String> {
            found.keys().filter(|id| !before.contains_key(*id)).cloned().collect()
        }
        match self {
            Op::CreateVpc { .. } => new(&before.vpcs, &found.vpcs),
            Op::CreateSubnet { .. } => new(&before.subnets, &found.subnets),
            Op::Request { .. } => new(&before.peerings, &found.peerings),
            Op::CreateGroup { .. } => new(&before.groups, &found.groups),
            Op::CreateAcl { .. } => new(&before.acls, &found.acls),
            _ => Vec::new(),
        }
    }

    /// What the network is after it, once all has settled. `made` are the ids of what it made.
    pub(super) fn carry_out(&self, net: &mut Net, made: &[String]) {
        let id = made.first().cloned().unwrap_or_default();
        match self {
            Op::CreateVpc { account, block, name } => {
                net.vpcs.insert(id.clone(), (account.clone(), block.clone()));
                net.tag(account, &id, "Name", name);
                let local = BTreeMap::from([(block.clone(), "local".to_owned())]);
                // The answer does not tell its id.
                net.tables.insert(id, (String::new(), local));
            }
            Op::DeleteVpc { vpc, .. } => {
                net.vpcs.remove(vpc);
                net.tables.remove(vpc);
            }
            Op::CreateSubnet { account, vpc, block, name } => {
                net.subnets.insert(id.clone(), (vpc.clone(), block.clone()));
                net.tag(account, &id, "Name", name);
            }
            Op::DeleteSubnet { subnet, .. } => drop(net.subnets.remove(subnet)),
            Op::Request { account, vpc, peer, name, .. } => {
                let status = "pending-acceptance".to_owned();
                net.peerings.insert(id.clone(), (vpc.clone(), peer.clone(), status));
                net.tag(account, &id, "Name", name);
            }
            Op::Accept { peering, .. } => net.settle(peering, "active"),
            Op::DeletePeering { peering, .. } => net.settle(peering, "deleted"),
            Op::CreateRoute { vpc, to, peering, .. } => {
                if let Some((_, routes)) = net.tables.get_mut(vpc) {
                    routes.insert(to.clone(), peering.clone());
                }
            }
            Op::DeleteRoute { vpc, to, .. } => {
                if let Some((_, routes)) = net.tables.get_mut(vpc) {
                    routes.remove(to);
                }
            }
            Op::CreateGroup { account, vpc, name } => {
                let lines = BTreeSet::from([BORN_OPEN.to_owned()]);
                net.groups.insert(id.clone(), (vpc.clone(), lines));
                net.tag(account, &id, "Name", name);
            }
            Op::DeleteGroup { group, .. } => drop(net.groups.remove(group)),
            Op::Allow { group, port, about, .. } => {
                let lines = BLOCKS.map(|block| rule(*port, block, about));
                net.groups.entry(group.clone()).or_default().1.extend(lines);
            }
            Op::Revoke { group, port, .. } => {
                let of_port = format!(" {port}-");
                let lines = &mut net.groups.entry(group.clone()).or_default().1;
                lines.retain(|line| !line.contains(&of_port));
            }
            Op::CreateAcl { account, vpc, name } => {
                let lines = BORN_DENIED.map(str::to_owned).into();
                net.acls.insert(id.clone(), (vpc.clone(), lines));
                net.tag(account, &id, "Name", name);
            }
            Op::DeleteAcl { acl, .. } => drop(net.acls.remove(acl)),
            Op::Enter { acl, number, action, .. } => {
                let lines = &mut net.acls.entry(acl.clone()).or_default().1;
                lines.retain(|line| !line.starts_with(&format!("true {number} ")));
                lines.insert(entry(true, *number, action, BLOCKS[0]));
            }
            Op::DeleteEntry { acl, number, .. } => {
                let lines = &mut net.acls.entry(acl.clone()).or_default().1;
                lines.retain(|line| !line.starts_with(&format!("true {number} ")));
            }
            Op::Tag { account, resources, value } => {
                for of in resources {
                    net.tag(account, of, KEYS[0], "1");
                    net.tag(account, of, KEYS[1], value);
                }
            }
            Op::Untag { resources, .. } => {
                for (of, key) in resources.iter().flat_map(|of| KEYS.map(|key| (of, key))) {
                    net.untag(of, key);
                }
            }
        }
        net.forget_tags_of_the_dead();
    }
}

impl Net {
    fn settle(&mut self, peering: &str, to: &str) {
        if let Some((.., status)) = self.peerings.get_mut(peering) {
            to.clone_into(status);
        }
    }
}

/// The parameters of two rules that differ in their blocks.
fn two_rules(group: &str, port: u64, about: Option<&str>) -> String {
    let mut form = format!("GroupId={group}");
    for (nth, block) in (1..).zip(BLOCKS) {
        let permission = format!("&IpPermissions.{nth}");
        form += &format!("{permission}.IpProtocol=tcp{permission}.FromPort={port}");
        form += &format!("{permission}.ToPort={port}{permission}.IpRanges.1.CidrIp={block}");
        if let Some(about) = about {
            form += &format!("{permission}.IpRanges.1.Description={about}");
        }
    }
    form
}

/// An element of an answer. Enough of XML for what the server writes: no comments, no prefixes.
#[derive(Debug, Default)]
pub(super) struct Element {
    name: String,
    text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The outermost element.
    pub(super) fn parse(text: &str) -> Element {
        let mut open = vec![Element::default()];
        for part in text.split('<').skip(1) {
            let (tag, text) = part.split_once('>').expect("a tag ends");
            let name = tag.split(' ').next().unwrap_or_default();
            let close = |open: &mut Vec<Element>| {
                let done = open.pop().expect("opened before");
                open.last_mut().expect("opened before").children.push(done);
            };
            if tag.starts_with('?') {
            } else if tag.starts_with('/') {
                close(&mut open);
            } else {
                let name = name.trim_end_matches('/').to_owned();
                open.push(Element { name, text: text.to_owned(), children: Vec::new() });
                if tag.ends_with('/') {
                    close(&mut open);
                }
            }
        }
        open.pop().and_then(|mut root| root.children.pop()).expect("an element")
    }

    fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The children of a child: the items of a set.
    pub(super) fn items(&self, name: &str) -> &[Element] {
        self.child(name).map_or(&[], |child| &child.children)
    }

    /// What a child says; nothing if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| &child.text)
    }
}
