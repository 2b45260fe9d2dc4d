//! `DryRun`: what a request would be answered, and nothing else.
//!
//! Holds requests that would be refused and requests that would not; after each, everything that can be
//! seen is as it was.

use vpclab::cloud::profile::Profile;

use super::{ALICE, BOB, Lab};

/// All that Alice can see, without the ids of requests.
fn seen(lab: &Lab) -> Vec<String> {
    let nouns = [
        "Vpcs",
        "Subnets",
        "RouteTables",
        "Instances",
        "NetworkInterfaces",
        "SecurityGroupRules",
        "NetworkAcls",
        "VpcPeeringConnections",
        "KeyPairs",
        "FlowLogs",
        "NetworkInsightsPaths",
        "Tags",
    ];
    let shown = nouns.map(|noun| lab.done(ALICE, &format!("Describe{noun}"), &[]).text);
    let shown = shown.iter().map(|text| text.split_once("</requestId>").unwrap().1.to_owned());
    shown.collect()
}

/// The value of an element, of an answer that must have it.
fn get(said: &super::Said, name: &str) -> String {
    said.get(name).unwrap().to_owned()
}

/// An operation, its parameters, and the code that its dry run is answered.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

#[test]
fn a_dry_run_is_refused_as_the_request_would_be_and_changes_nothing() {
    let lab = Lab::new(Profile::Today);
    let vpc = get(&lab.done(ALICE, "CreateVpc", &[("CidrBlock", "10.0.0.0/16")]), "vpcId");
    let in_vpc = [("VpcId", vpc.as_str()), ("CidrBlock", "10.0.1.0/24")];
    let subnet = get(&lab.done(ALICE, "CreateSubnet", &in_vpc), "subnetId");
    let run = [
        ("ImageId", "ami-12345678"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("SubnetId", subnet.as_str()),
    ];
    let instance = get(&lab.done(ALICE, "RunInstances", &run), "instanceId");
    let group = [("GroupName", "web"), ("GroupDescription", "w"), ("VpcId", vpc.as_str())];
    let group = get(&lab.done(ALICE, "CreateSecurityGroup", &group), "groupId");
    let foreign = get(&lab.done(BOB, "CreateVpc", &[("CidrBlock", "10.1.0.0/16")]), "vpcId");
    let tables = lab.done(
        ALICE,
        "DescribeRouteTables",
        &[("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", &vpc)],
    );
    let table = get(&tables, "routeTableId");
    let before = seen(&lab);

    let (vpc, subnet, instance) = (vpc.as_str(), subnet.as_str(), instance.as_str());
    let fine = "DryRunOperation";
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        ("CreateVpc", &[("CidrBlock", "10.2.0.0/16")], fine),
        ("CreateVpc", &[("CidrBlock", "10.2.0.0/8")], "InvalidVpc.Range"),
        ("CreateVpc", &[], "MissingParameter"),
        ("DeleteVpc", &[("VpcId", vpc)], "DependencyViolation"),
        ("DeleteVpc", &[("VpcId", &foreign)], "InvalidVpcID.NotFound"),
        ("CreateSubnet", &[("VpcId", vpc), ("CidrBlock", "10.0.1.128/25")], "InvalidSubnet.Conflict"),
        ("CreateSubnet", &[("VpcId", vpc), ("CidrBlock", "10.0.2.0/24")], fine),
        ("DeleteSubnet", &[("SubnetId", subnet)], "DependencyViolation"),
        ("CreateRoute", &[("RouteTableId", &table), ("DestinationCidrBlock", "10.9.0.0/16"), ("InstanceId", instance)], fine),
        ("CreateRoute", &[("RouteTableId", &table), ("DestinationCidrBlock", "10.0.0.0/16"), ("InstanceId", instance)], "InvalidParameterValue"),
        ("RunInstances", &run, fine),
        ("TerminateInstances", &[("InstanceId.1", instance)], fine),
        ("TerminateInstances", &[("InstanceId.1", "i-00000000000000000")], "InvalidInstanceID.NotFound"),
        ("CreateSecurityGroup", &[("GroupName", "web"), ("GroupDescription", "w"), ("VpcId", vpc)], "InvalidGroup.Duplicate"),
        ("AuthorizeSecurityGroupIngress", &[("GroupId", &group), ("IpPermissions.1.IpProtocol", "tcp"), ("IpPermissions.1.FromPort", "80"), ("IpPermissions.1.ToPort", "80"), ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0")], fine),
        ("CreateKeyPair", &[("KeyName", "one")], fine),
        ("CreateTags", &[("ResourceId.1", vpc), ("Tag.1.Key", "a"), ("Tag.1.Value", "b")], fine),
        ("CreateTags", &[("ResourceId.1", vpc), ("Tag.1.Key", "aws:a"), ("Tag.1.Value", "b")], "InvalidParameterValue"),
        ("CreateFlowLogs", &[("ResourceType", "VPC"), ("ResourceId.1", vpc), ("TrafficType", "ALL"), ("LogDestinationType", "s3"), ("LogDestination", "arn:aws:s3:::x")], fine),
        ("CreateNetworkInsightsPath", &[("Source", instance), ("Destination", instance), ("Protocol", "tcp"), ("ClientToken", "t")], fine),
        ("CreateVpcPeeringConnection", &[("VpcId", vpc), ("PeerVpcId", &foreign), ("PeerOwnerId", BOB)], fine),
        ("AcceptVpcPeeringConnection", &[("VpcPeeringConnectionId", "pcx-00000000000000000")], "InvalidVpcPeeringConnectionID.NotFound"),
        ("DescribeVpcs", &[], fine),
        ("DescribeVpcs", &[("VpcId.1", &foreign)], "InvalidVpcID.NotFound"),
        ("DescribeVpcs", &[("Filter.1.Name", "no-such"), ("Filter.1.Value.1", "x")], "InvalidParameterValue"),
        ("DescribeVpcs", &[("MaxResults", "1")], "InvalidParameterValue"),
    ];
    for (action, parameters, code) in rows {
        let mut parameters = parameters.to_vec();
        parameters.push(("DryRun", "true"));
        let said = lab.ask(ALICE, action, &parameters);
        assert_eq!(said.refusal(), Some(*code), "{action} {parameters:?}: {}", said.text);
        assert_eq!(said.status == 412, *code == fine, "{action} {parameters:?}");
        assert_eq!(seen(&lab), before, "{action} {parameters:?}");
    }
}

/// A token that a dry run has named is still to be used.
#[test]
fn a_dry_run_uses_up_no_client_token() {
    let lab = Lab::new(Profile::Today);
    let zone = ("AvailabilityZone", "us-east-1a");
    let path = |lab: &Lab, more: &[(&str, &str)]| {
        let vpcs = lab.done(ALICE, "DescribeVpcs", &[]);
        let id = get(&vpcs, "vpcId");
        let mut parameters = vec![("VpcId", id.as_str()), ("CidrBlock", "172.31.240.0/24"), zone];
        parameters.extend([("ClientToken", "once")]);
        parameters.extend(more);
        lab.ask(ALICE, "CreateSubnet", &parameters)
    };
    assert_eq!(path(&lab, &[("DryRun", "true")]).refusal(), Some("DryRunOperation"));
    assert_eq!(path(&lab, &[]).status, 200);
    // The same answer again, though the block is taken by now.
    assert_eq!(path(&lab, &[]).status, 200);
}
