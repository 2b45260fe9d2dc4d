"""Packets inside the server, and what Network Insights says of them through EC2's API."""

import json

import pytest

A, B = "111111111111", "222222222222"


class Hosts:
    """A third VPC behind the second: near <-> far <-> beyond, and nothing between near and beyond."""

    def __init__(self, ec2):
        self.r, self.a = ec2(A), ec2(B)
        self.near, self.near_subnet = self.vpc(self.r, "10.1.0.0")
        self.far, self.far_subnet = self.vpc(self.a, "10.2.0.0")
        self.beyond, self.beyond_subnet = self.vpc(self.a, "10.3.0.0")
        self.pcx = self.r.create_vpc_peering_connection(
            VpcId=self.near, PeerVpcId=self.far, PeerOwnerId=B
        )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        self.pcx2 = self.a.create_vpc_peering_connection(VpcId=self.beyond, PeerVpcId=self.far)[
            "VpcPeeringConnection"
        ]["VpcPeeringConnectionId"]
        for pcx in (self.pcx, self.pcx2):
            self.a.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
        self.route(self.r, self.near, "10.2.0.0/16", self.pcx)
        self.route(self.a, self.far, "10.1.0.0/16", self.pcx)
        # The hopeful one: over the far VPC to the near one.
        self.route(self.a, self.beyond, "10.0.0.0/8", self.pcx2)
        self.i_near = self.run(self.r, self.near_subnet)
        self.i_far = self.run(self.a, self.far_subnet)
        self.i_beyond = self.run(self.a, self.beyond_subnet)

    def vpc(self, client, network):
        vpc = client.create_vpc(CidrBlock=f"{network}/16")["Vpc"]["VpcId"]
        subnet = client.create_subnet(VpcId=vpc, CidrBlock=f"{network}/24")["Subnet"]["SubnetId"]
        self.open(client, vpc)
        return vpc, subnet

    def group(self, client, vpc):
        own = [{"Name": "vpc-id", "Values": [vpc]}]
        (group,) = client.describe_security_groups(Filters=own)["SecurityGroups"]
        return group["GroupId"]

    RULE = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]

    def open(self, client, vpc):
        client.authorize_security_group_ingress(
            GroupId=self.group(client, vpc), IpPermissions=self.RULE
        )

    def close(self, client, vpc):
        client.revoke_security_group_ingress(
            GroupId=self.group(client, vpc), IpPermissions=self.RULE
        )

    def table(self, client, vpc):
        own = [{"Name": "vpc-id", "Values": [vpc]}]
        (table,) = client.describe_route_tables(Filters=own)["RouteTables"]
        return table["RouteTableId"]

    def route(self, client, vpc, block, pcx):
        client.create_route(
            RouteTableId=self.table(client, vpc),
            DestinationCidrBlock=block,
            VpcPeeringConnectionId=pcx,
        )

    def run(self, client, subnet):
        (made,) = client.run_instances(
            ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=subnet
        )["Instances"]
        return made["InstanceId"]


@pytest.fixture
def hosts(ec2):
    return Hosts(ec2)


@pytest.fixture
def send(server):
    def send(what, sender, receiver, **more):
        return server.own(what, post=json.dumps({"from": sender, "to": receiver, **more}))

    return send


def only_reason(answer):
    (reason,) = answer["traffic"]["dropped"]
    return reason


def test_across_the_peering_and_back(hosts, send):
    for what, more in (("ping", {}), ("udp", {"port": 53}), ("tcp", {"port": 443, "bytes": 10000})):
        answer = send(what, hosts.i_near, hosts.i_far, **more)
        assert answer["arrived"], answer["text"]
    assert send("trace", hosts.i_near, hosts.i_far)["passed"] is True


def test_no_further(hosts, send):
    answer = send("ping", hosts.i_beyond, hosts.i_near)
    assert not answer["arrived"]
    assert only_reason(answer) == "transit"
    (walk,) = [w for w in answer["walks"] if w["leg"] == "request"]
    assert walk["ending"]["aws_code"] == "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR"
    # And with a peering of its own it arrives.
    pcx = hosts.a.create_vpc_peering_connection(
        VpcId=hosts.beyond, PeerVpcId=hosts.near, PeerOwnerId=A
    )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    hosts.r.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    hosts.route(hosts.a, hosts.beyond, "10.1.0.0/16", pcx)
    hosts.route(hosts.r, hosts.near, "10.3.0.0/16", pcx)
    assert send("ping", hosts.i_beyond, hosts.i_near)["arrived"]


def test_what_is_between(hosts, send):
    far_table = hosts.table(hosts.a, hosts.far)
    # No way back.
    hosts.a.delete_route(RouteTableId=far_table, DestinationCidrBlock="10.1.0.0/16")
    answer = send("ping", hosts.i_near, hosts.i_far)
    assert (answer["traffic"]["delivered"], answer["traffic"]["answered"]) == (1, 0)
    assert answer["traffic"]["answers_dropped"] == {"no-route": 1}
    hosts.route(hosts.a, hosts.far, "10.1.0.0/16", hosts.pcx)
    assert send("ping", hosts.i_near, hosts.i_far)["arrived"]
    # A group that lets nothing in.
    hosts.close(hosts.a, hosts.far)
    assert only_reason(send("ping", hosts.i_near, hosts.i_far)) == "group-ingress"
    hosts.open(hosts.a, hosts.far)
    # An ACL that does not.
    own = [{"Name": "vpc-id", "Values": [hosts.far]}]
    (acl,) = hosts.a.describe_network_acls(Filters=own)["NetworkAcls"]
    entry = {"NetworkAclId": acl["NetworkAclId"], "RuleNumber": 50, "Egress": False}
    hosts.a.create_network_acl_entry(
        Protocol="1",
        RuleAction="deny",
        CidrBlock="10.1.0.0/16",
        IcmpTypeCode={"Type": 8, "Code": -1},
        **entry,
    )
    assert only_reason(send("ping", hosts.i_near, hosts.i_far)) == "acl-ingress"
    assert send("udp", hosts.i_near, hosts.i_far, port=53)["arrived"]
    hosts.a.delete_network_acl_entry(**entry)
    assert send("ping", hosts.i_near, hosts.i_far)["arrived"]
    # A host that is gone, and a peering that is gone.
    hosts.a.delete_vpc_peering_connection(VpcPeeringConnectionId=hosts.pcx)
    assert only_reason(send("ping", hosts.i_near, hosts.i_far)) == "blackhole"


# ---- Network Insights --------------------------------------------------------------------------------


def analyse(client, **path):
    """One analysis: what Describe shows of it."""
    path.setdefault("Protocol", "tcp")
    made = client.create_network_insights_path(**path)["NetworkInsightsPath"]
    started = client.start_network_insights_analysis(
        NetworkInsightsPathId=made["NetworkInsightsPathId"]
    )["NetworkInsightsAnalysis"]
    assert started["Status"] == "running"
    (shown,) = client.describe_network_insights_analyses(
        NetworkInsightsAnalysisIds=[started["NetworkInsightsAnalysisId"]]
    )["NetworkInsightsAnalyses"]
    assert shown["Status"] == "succeeded"
    assert shown["NetworkInsightsPathId"] == made["NetworkInsightsPathId"]
    return shown


def codes(analysis):
    return [e["ExplanationCode"] for e in analysis["Explanations"]]


def test_insights_of_a_way_that_is_open(hosts):
    shown = analyse(hosts.a, Source=hosts.i_far, DestinationIp="10.1.0.4", DestinationPort=443)
    assert shown["NetworkPathFound"] is True
    assert shown.get("Explanations", []) == []
    ids = [c.get("Component", {}).get("Id") for c in shown["ForwardPathComponents"]]
    assert ids[0].startswith("eni-")
    assert hosts.pcx in ids
    assert [c["SequenceNumber"] for c in shown["ForwardPathComponents"]] == list(
        range(1, len(ids) + 1)
    )
    assert shown["ReturnPathComponents"]


def test_insights_of_transit(hosts):
    shown = analyse(hosts.a, Source=hosts.i_beyond, DestinationIp="10.1.0.4", DestinationPort=443)
    assert shown["NetworkPathFound"] is False
    assert codes(shown)[0] == "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR"
    (why,) = [
        e for e in shown["Explanations"] if e["ExplanationCode"] == "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR"
    ]
    assert why["VpcPeeringConnection"]["Id"] == hosts.pcx2


@pytest.mark.parametrize(
    "spoil, code",
    [
        ("route", "NO_ROUTE_TO_DESTINATION"),
        ("peering", "BAD_STATE_ROUTE"),
    ],
)
def test_insights_of_what_is_in_the_way(hosts, spoil, code):
    match spoil:
        case "route":
            hosts.a.delete_route(
                RouteTableId=hosts.table(hosts.a, hosts.far), DestinationCidrBlock="10.1.0.0/16"
            )
        case "peering":
            hosts.a.delete_vpc_peering_connection(VpcPeeringConnectionId=hosts.pcx)
    shown = analyse(hosts.a, Source=hosts.i_far, DestinationIp="10.1.0.4", DestinationPort=443)
    assert shown["NetworkPathFound"] is False
    assert code in codes(shown)


def test_insights_of_a_group(hosts):
    hosts.close(hosts.a, hosts.far)
    shown = analyse(hosts.a, Source=hosts.i_beyond, DestinationIp="10.2.0.4", DestinationPort=443)
    assert shown["NetworkPathFound"] is False
    assert "ENI_SG_RULES_MISMATCH" in codes(shown)


def test_insights_tell_nothing_of_another_account(hosts):
    hosts.close(hosts.r, hosts.near)
    shown = analyse(hosts.a, Source=hosts.i_far, DestinationIp="10.1.0.4", DestinationPort=443)
    assert shown["NetworkPathFound"] is False
    told = str(shown)
    for theirs in (hosts.i_near, hosts.group(hosts.r, hosts.near), hosts.near_subnet):
        assert theirs not in told


def test_insights_change_nothing(hosts, server):
    before = hosts.a.describe_route_tables()["RouteTables"]
    for _ in range(3):
        analyse(hosts.a, Source=hosts.i_beyond, DestinationIp="10.1.0.4", DestinationPort=443)
    assert hosts.a.describe_route_tables()["RouteTables"] == before
    paths = hosts.a.describe_network_insights_paths()["NetworkInsightsPaths"]
    assert len(paths) == 3
    for analysis in hosts.a.describe_network_insights_analyses()["NetworkInsightsAnalyses"]:
        hosts.a.delete_network_insights_analysis(
            NetworkInsightsAnalysisId=analysis["NetworkInsightsAnalysisId"]
        )
    for path in paths:
        hosts.a.delete_network_insights_path(NetworkInsightsPathId=path["NetworkInsightsPathId"])
    assert hosts.a.describe_network_insights_paths()["NetworkInsightsPaths"] == []
