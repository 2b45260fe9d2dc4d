//! What filters on tags find, of every kind of resource that the cloud has, and whether an index or a
//! search answers or none can: the answers are the same.

use super::{ALICE, BOB, Lab};
use vpclab::cloud::profile::Profile;

/// Two of a kind: how they are described, and the element that has their ids.
struct Two {
    action: &'static str,
    element: &'static str,
    ids: [String; 2],
}

/// Filters: the names, each with its values.
type Filters<'a> = &'a [(&'a str, &'a [&'a str])];

/// All values of an element, each once, in order.
fn values(text: &str, element: &str) -> Vec<String> {
    let begin = format!("<{element}>");
    let parts = text.split(&begin).skip(1);
    let mut values: Vec<String> =
        parts.filter_map(|part| Some(part.split_once('<')?.0.to_owned())).collect();
    values.sort_unstable();
    values.dedup();
    values
}

fn world(lab: &Lab) -> (Vec<Two>, [String; 3]) {
    let make = |action: &str, element: &str, parameters: &[(&str, &str)]| {
        lab.done(ALICE, action, parameters).get(element).unwrap().to_owned()
    };
    let vpcs = ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"]
        .map(|block| make("CreateVpc", "vpcId", &[("CidrBlock", block)]));
    let [a, b, c] = &vpcs;
    let subnets = [(a, "10.1.0.0/24"), (b, "10.2.0.0/24")].map(|(vpc, block)| {
        make("CreateSubnet", "subnetId", &[("VpcId", vpc), ("CidrBlock", block)])
    });
    let in_vpcs = |action: &str, element: &str, further: &[(&str, &str)]| {
        [a, b].map(|vpc| make(action, element, &[&[("VpcId", vpc.as_str())], further].concat()))
    };
    let tables = in_vpcs("CreateRouteTable", "routeTableId", &[]);
    let acls = in_vpcs("CreateNetworkAcl", "networkAclId", &[]);
    let group = [("GroupName", "g"), ("GroupDescription", "d")];
    let groups = in_vpcs("CreateSecurityGroup", "groupId", &group);
    let peerings = [b, c].map(|peer| {
        let parameters = [("VpcId", a.as_str()), ("PeerVpcId", peer)];
        make("CreateVpcPeeringConnection", "vpcPeeringConnectionId", &parameters)
    });
    let run = [("ImageId", "ami-12345678"), ("MinCount", "1"), ("MaxCount", "1")];
    let in_subnets = |action: &str, element: &str, further: &[(&str, &str)]| {
        let of =
            |id: &String| make(action, element, &[&[("SubnetId", id.as_str())], further].concat());
        [of(&subnets[0]), of(&subnets[1])]
    };
    let instances = in_subnets("RunInstances", "instanceId", &run);
    let interfaces = in_subnets("CreateNetworkInterface", "networkInterfaceId", &[]);
    let gateways = [(); 2].map(|()| make("CreateInternetGateway", "internetGatewayId", &[]));
    let addresses = [(); 2].map(|()| make("AllocateAddress", "allocationId", &[]));
    let list = [("PrefixListName", "l"), ("AddressFamily", "IPv4"), ("MaxEntries", "3")];
    let lists = [(); 2].map(|()| make("CreateManagedPrefixList", "prefixListId", &list));
    let row = |action, element, ids| Two { action, element, ids };
    let twos = vec![
        row("DescribeVpcs", "vpcId", [a.clone(), b.clone()]),
        row("DescribeSubnets", "subnetId", subnets),
        row("DescribeRouteTables", "routeTableId", tables),
        row("DescribeNetworkAcls", "networkAclId", acls),
        row("DescribeSecurityGroups", "groupId", groups),
        row("DescribeVpcPeeringConnections", "vpcPeeringConnectionId", peerings),
        row("DescribeInstances", "instanceId", instances),
        row("DescribeNetworkInterfaces", "networkInterfaceId", interfaces),
        row("DescribeInternetGateways", "internetGatewayId", gateways),
        row("DescribeAddresses", "allocationId", addresses),
        row("DescribeManagedPrefixLists", "prefixListId", lists),
    ];
    for two in &twos {
        for (id, value) in two.ids.iter().zip(["x", "y"]) {
            let tag = [("ResourceId.1", id.as_str()), ("Tag.1.Key", "env"), ("Tag.1.Value", value)];
            lab.done(ALICE, "CreateTags", &tag);
        }
    }
    (twos, vpcs)
}

#[test]
fn filters_on_tags_find_the_same_with_and_without_an_index() {
    let lab = Lab::new(Profile::Today);
    let (twos, _) = world(&lab);
    for Two { action, element, ids } in &twos {
        let find = |who: &str, filters: Filters<'_>| {
            let mut parameters = Vec::new();
            for (n, (name, values)) in (1..).zip(filters) {
                parameters.push((format!("Filter.{n}.Name"), *name));
                let values = (1..).zip(*values);
                parameters.extend(values.map(|(k, v)| (format!("Filter.{n}.Value.{k}"), *v)));
            }
            let parameters: Vec<_> =
                parameters.iter().map(|(name, v)| (name.as_str(), *v)).collect();
            values(&lab.done(who, action, &parameters).text, element)
        };
        let [first, second] = ids;
        let mut both = ids.to_vec();
        both.sort_unstable();
        let one = |id: &String| vec![id.clone()];
        let rows: [(Filters<'_>, Vec<String>); 9] = [
            (&[("tag:env", &["x"])], one(first)),
            (&[("tag:env", &["y"])], one(second)),
            (&[("tag:env", &["x", "y", "x"])], both.clone()),
            (&[("tag:env", &["X"])], vec![]),
            (&[("tag:env", &["?"])], both.clone()),
            (&[("tag:env", &["*"]), ("tag:env", &["y"])], one(second)),
            (&[("tag:env", &["x"]), ("tag:none", &["x"])], vec![]),
            (&[("tag-key", &["env"])], both.clone()),
            (&[("tag-key", &["env", "none"])], both.clone()),
        ];
        for (filters, want) in rows {
            assert_eq!(find(ALICE, filters), want, "{action} {filters:?}");
            assert!(find(BOB, filters).is_empty(), "{action} {filters:?} of another account");
        }
    }
}

#[test]
fn a_requester_names_its_peerings_even_when_it_is_gone() {
    let lab = Lab::new(Profile::Today);
    let (twos, [a, b, _]) = world(&lab);
    let peerings = twos.into_iter().find(|two| two.element == "vpcPeeringConnectionId").unwrap();
    let mut both = peerings.ids.to_vec();
    both.sort_unstable();
    let find = |end: &str, vpc: &str| {
        let name = format!("{end}-vpc-info.vpc-id");
        let filter = [("Filter.1.Name", name.as_str()), ("Filter.1.Value.1", vpc)];
        let said = lab.done(ALICE, peerings.action, &filter);
        values(&said.text, peerings.element)
    };
    assert_eq!(find("requester", &a), both);
    assert!(find("requester", &b).is_empty());
    assert_eq!(find("accepter", &b), [peerings.ids[0].clone()]);
    // What is left of a peering is seen longer than its VPC.
    let vpc = lab.done(ALICE, "CreateVpc", &[("CidrBlock", "10.9.0.0/16")]);
    let vpc = vpc.get("vpcId").unwrap();
    let made = [("VpcId", vpc), ("PeerVpcId", b.as_str())];
    let made = lab.done(ALICE, "CreateVpcPeeringConnection", &made);
    let made = made.get("vpcPeeringConnectionId").unwrap();
    lab.done(ALICE, "DeleteVpcPeeringConnection", &[("VpcPeeringConnectionId", made)]);
    lab.done(ALICE, "DeleteVpc", &[("VpcId", vpc)]);
    assert_eq!(find("requester", vpc), [made.to_owned()]);
}
