//! Network Insights across accounts: who asks learns that a packet does not arrive, and nothing of what
//! another account has put in its way.

use vpclab::cloud::profile::Profile;

use super::{ALICE, BOB, Lab};

/// A VPC with a host in it.
struct Site {
    account: &'static str,
    vpc: String,
    subnet: String,
    table: String,
    acl: String,
    group: String,
    instance: String,
}

impl Site {
    fn build(lab: &Lab, account: &'static str, block: &str) -> Site {
        let get = |action: &str, parameters: &[(&str, &str)], name: &str| {
            let said = lab.done(account, action, parameters);
            said.get(name).unwrap_or_else(|| panic!("{action}: {}", said.text)).to_owned()
        };
        let vpc = get("CreateVpc", &[("CidrBlock", block)], "vpcId");
        let part = block.replace(".0.0/16", ".1.0/24");
        let subnet = get("CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", &part)], "subnetId");
        let of_vpc = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc.as_str())];
        let table = get("DescribeRouteTables", &of_vpc, "routeTableId");
        let acl = get("DescribeNetworkAcls", &of_vpc, "networkAclId");
        let group = get("DescribeSecurityGroups", &of_vpc, "groupId");
        let run = [
            ("ImageId", "ami-12345678"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("SubnetId", subnet.as_str()),
        ];
        let instance = get("RunInstances", &run, "instanceId");
        Site { account, vpc, subnet, table, acl, group, instance }
    }

    /// Lets everything from private addresses in, or no more.
    fn opens(&self, lab: &Lab, verb: &str) {
        let of = |name: &str| format!("IpPermissions.1.{name}");
        let parameters = [
            ("GroupId".to_owned(), self.group.as_str()),
            (of("IpProtocol"), "-1"),
            (of("IpRanges.1.CidrIp"), "10.0.0.0/8"),
        ];
        let parameters = parameters.each_ref().map(|(name, value)| (name.as_str(), *value));
        lab.done(self.account, &format!("{verb}SecurityGroupIngress"), &parameters);
    }

    /// Puts an entry before all others of the network ACL, or takes it away.
    fn denies(&self, lab: &Lab, egress: &str) {
        let parameters = [
            ("NetworkAclId", self.acl.as_str()),
            ("RuleNumber", "7"),
            ("Egress", egress),
            ("Protocol", "-1"),
            ("RuleAction", "deny"),
            ("CidrBlock", "10.0.0.0/15"),
        ];
        lab.done(self.account, "CreateNetworkAclEntry", &parameters);
    }

    fn denies_no_more(&self, lab: &Lab, egress: &str) {
        let of = [("NetworkAclId", self.acl.as_str()), ("RuleNumber", "7"), ("Egress", egress)];
        lab.done(self.account, "DeleteNetworkAclEntry", &of);
    }
}

/// What an analysis tells Alice of the way to an address, without what is its own each time.
fn analysed(lab: &Lab, from: &Site, to: &str) -> (String, String) {
    let path = [
        ("Source", from.instance.as_str()),
        ("DestinationIp", to),
        ("Protocol", "tcp"),
        ("DestinationPort", "443"),
        ("ClientToken", to),
    ];
    let made = lab.done(from.account, "CreateNetworkInsightsPath", &path);
    let id = [("NetworkInsightsPathId", made.get("networkInsightsPathId").unwrap())];
    let said = lab.done(from.account, "StartNetworkInsightsAnalysis", &id);
    let id = said.get("networkInsightsAnalysisId").unwrap();
    let one = [("NetworkInsightsAnalysisId.1", id)];
    let said = lab.done(from.account, "DescribeNetworkInsightsAnalyses", &one);
    let found = said.get("networkPathFound").unwrap().to_owned();
    (found, said.text)
}

/// The explanations of an analysis.
fn explained(text: &str) -> &str {
    text.split_once("<explanationSet>")
        .and_then(|(_, rest)| rest.split_once("</explanationSet>"))
        .unwrap()
        .0
}

#[test]
fn what_another_account_has_put_in_the_way_is_its_own() {
    let lab = Lab::new(Profile::Today);
    let near = Site::build(&lab, ALICE, "10.0.0.0/16");
    let far = Site::build(&lab, BOB, "10.1.0.0/16");
    let ask = [("VpcId", near.vpc.as_str()), ("PeerVpcId", &far.vpc), ("PeerOwnerId", BOB)];
    let peering = lab.done(ALICE, "CreateVpcPeeringConnection", &ask);
    let peering = peering.get("vpcPeeringConnectionId").unwrap();
    lab.done(BOB, "AcceptVpcPeeringConnection", &[("VpcPeeringConnectionId", peering)]);
    for (site, block) in [(&near, "10.1.0.0/16"), (&far, "10.0.0.0/16")] {
        let route = [
            ("RouteTableId", site.table.as_str()),
            ("DestinationCidrBlock", block),
            ("VpcPeeringConnectionId", peering),
        ];
        lab.done(site.account, "CreateRoute", &route);
    }
    far.opens(&lab, "Authorize");
    let (found, _) = analysed(&lab, &near, "10.1.1.4");
    assert_eq!(found, "true", "without which the rest would mean nothing");

    let mut told = Vec::new();
    for way in ["group", "acl in", "acl out", "nobody"] {
        match way {
            "group" => far.opens(&lab, "Revoke"),
            "acl in" => far.denies(&lab, "false"),
            "acl out" => far.denies(&lab, "true"),
            _ => {}
        }
        let to = if way == "nobody" { "10.1.1.99" } else { "10.1.1.4" };
        let (found, text) = analysed(&lab, &near, to);
        assert_eq!(found, "false", "{way}: {text}");
        for of_bob in [&far.subnet, &far.table, &far.acl, &far.group, &far.instance] {
            assert!(!text.contains(of_bob.as_str()), "{way}: {text}");
        }
        assert!(!text.contains("10.0.0.0/15") && !text.contains("10.0.0.0/8"), "{way}: {text}");
        assert!(text.contains(BOB), "{way}: whom to ask");
        told.push(explained(&text).to_owned());
        match way {
            "group" => far.opens(&lab, "Authorize"),
            "acl in" => far.denies_no_more(&lab, "false"),
            "acl out" => far.denies_no_more(&lab, "true"),
            _ => {}
        }
    }
    told.dedup();
    assert_eq!(told.len(), 1, "which it is can be told apart: {told:#?}");
}
