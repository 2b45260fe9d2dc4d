"""Network Insights: analyses that say what packets meet."""

A, B = "111111111111", "222222222222"


def analyse(client, source, destination=None, **more):
    if destination:
        more["Destination"] = destination
    more.setdefault("Protocol", "tcp")
    path = client.create_network_insights_path(Source=source, **more)["NetworkInsightsPath"]
    started = client.start_network_insights_analysis(
        NetworkInsightsPathId=path["NetworkInsightsPathId"]
    )["NetworkInsightsAnalysis"]
    assert started["Status"] == "running"
    ids = [started["NetworkInsightsAnalysisId"]]
    [analysis] = client.describe_network_insights_analyses(NetworkInsightsAnalysisIds=ids)[
        "NetworkInsightsAnalyses"
    ]
    assert analysis["Status"] == "succeeded"
    return analysis


def components(parts):
    assert [part["SequenceNumber"] for part in parts] == list(range(1, len(parts) + 1))
    return [part["Component"]["Id"].split("-")[0] for part in parts]


def own_peer(lab, ec2):
    """A VPC of A's own, peered with C, which is A's too."""
    client = ec2(A)
    peering = client.create_vpc_peering_connection(VpcId=lab.vpcs[0], PeerVpcId=lab.vpcs[2])
    peering = peering["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    client.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    client.replace_route(
        RouteTableId=lab.tables[0],
        DestinationCidrBlock="10.2.0.0/16",
        VpcPeeringConnectionId=peering,
    )
    client.create_route(
        RouteTableId=lab.tables[2],
        DestinationCidrBlock="10.0.0.0/16",
        VpcPeeringConnectionId=peering,
    )
    return peering


def test_a_peering_is_not_passed_through(lab, ec2):
    analysis = analyse(ec2(A), lab.hosts[0], lab.hosts[2], DestinationPort=443)
    assert analysis["NetworkPathFound"] is False
    explanation = analysis["Explanations"][0]
    assert explanation["ExplanationCode"] == "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR"
    assert explanation["VpcPeeringConnection"]["Id"] == lab.ab
    assert explanation["Component"]["Id"] == lab.ab
    assert explanation["Address"] == "10.2.1.4"
    assert explanation["Cidrs"] == ["10.1.0.0/16"]
    assert (explanation["SourceVpc"]["Id"], explanation["DestinationVpc"]["Id"]) == tuple(lab.vpcs[:2])


def test_a_way_is_told_component_by_component(lab, ec2):
    peering = own_peer(lab, ec2)
    analysis = analyse(ec2(A), lab.hosts[0], lab.hosts[2], DestinationPort=443)
    assert analysis["NetworkPathFound"] is True, analysis
    way = ["eni", "sg", "acl", "rtb", "pcx", "acl", "sg", "eni"]
    assert components(analysis["ForwardPathComponents"]) == way
    assert components(analysis["ReturnPathComponents"]) == way
    first, *_, last = analysis["ForwardPathComponents"]
    header = first["OutboundHeader"]
    assert header["SourceAddresses"] == ["10.0.1.4/32"]
    assert header["DestinationAddresses"] == ["10.2.1.4/32"]
    assert header["DestinationPortRanges"] == [{"From": 443, "To": 443}]
    assert first["AttachedTo"]["Id"] == lab.hosts[0] and last["AttachedTo"]["Id"] == lab.hosts[2]
    [table] = [c for c in analysis["ForwardPathComponents"] if "RouteTableRoute" in c]
    assert table["RouteTableRoute"] == {
        "DestinationCidr": "10.2.0.0/16",
        "VpcPeeringConnectionId": peering,
        "Origin": "CreateRoute",
        "State": "active",
    }
    acls = [c["AclRule"] for c in analysis["ForwardPathComponents"] if "AclRule" in c]
    assert [(acl["Egress"], acl["RuleNumber"], acl["RuleAction"]) for acl in acls] == [
        (True, 100, "allow"),
        (False, 100, "allow"),
    ]
    assert "Explanations" not in analysis or analysis["Explanations"] == []


def test_every_blocker_is_explained(lab, ec2):
    own_peer(lab, ec2)
    client = ec2(A)
    client.revoke_security_group_ingress(
        GroupId=lab.groups[2],
        IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
    )
    client.delete_route(RouteTableId=lab.tables[2], DestinationCidrBlock="10.0.0.0/16")
    analysis = analyse(client, lab.hosts[0], lab.hosts[2], DestinationPort=443)
    assert analysis["NetworkPathFound"] is False
    codes = [explanation["ExplanationCode"] for explanation in analysis["Explanations"]]
    assert codes == ["ENI_SG_RULES_MISMATCH", "NO_ROUTE_TO_DESTINATION"]
    groups, table = analysis["Explanations"]
    assert groups["Direction"] == "ingress"
    assert [group["Id"] for group in groups["SecurityGroups"]] == [lab.groups[2]]
    assert table["RouteTable"]["Id"] == lab.tables[2]


def test_nothing_is_told_of_another_account(lab, ec2):
    client = ec2(A)
    # A may know that it does not arrive; not whether it is a group, a table or nobody at all.
    seen = set()
    for block in [None, "group", "route", "nobody"]:
        if block == "group":
            ec2(B).revoke_security_group_ingress(
                GroupId=lab.groups[1],
                IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
            )
        elif block == "route":
            ec2(B).authorize_security_group_ingress(
                GroupId=lab.groups[1],
                IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
            )
            ec2(B).delete_route(RouteTableId=lab.tables[1], DestinationCidrBlock="10.0.0.0/16")
        address = "10.1.1.99" if block == "nobody" else "10.1.1.4"
        analysis = analyse(client, lab.hosts[0], DestinationIp=address, DestinationPort=443)
        told = repr(analysis)
        for foreign in (lab.groups[1], lab.tables[1], lab.hosts[1], lab.subnets[1]):
            assert foreign not in told
        if block is None:
            assert analysis["NetworkPathFound"] is True
            assert components(analysis["ForwardPathComponents"]) == ["eni", "sg", "acl", "rtb", "pcx"]
        else:
            assert analysis["NetworkPathFound"] is False
            assert analysis["SuggestedAccounts"] == [B]
            seen.add(repr(analysis["Explanations"]))
    assert len(seen) == 1 and "NO_POSSIBLE_DESTINATION" in seen.pop()


def test_a_port_that_is_not_named_is_any_that_is_open(lab, ec2):
    own_peer(lab, ec2)
    client = ec2(A)
    client.revoke_security_group_ingress(
        GroupId=lab.groups[2],
        IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
    )
    client.authorize_security_group_ingress(
        GroupId=lab.groups[2],
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5433, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
        ],
    )
    assert analyse(client, lab.hosts[0], lab.hosts[2])["NetworkPathFound"] is True
    assert analyse(client, lab.hosts[0], lab.hosts[2], DestinationPort=443)["NetworkPathFound"] is False
    assert analyse(client, lab.hosts[0], lab.hosts[2], Protocol="udp")["NetworkPathFound"] is False


def test_an_analysis_does_not_change_afterwards(lab, ec2):
    client = ec2(A)
    before = analyse(client, lab.hosts[0], lab.hosts[2])
    own_peer(lab, ec2)
    ids = [before["NetworkInsightsAnalysisId"]]
    [after] = client.describe_network_insights_analyses(NetworkInsightsAnalysisIds=ids)[
        "NetworkInsightsAnalyses"
    ]
    assert after == before
    path = before["NetworkInsightsPathId"]
    again = client.start_network_insights_analysis(NetworkInsightsPathId=path)
    ids = [again["NetworkInsightsAnalysis"]["NetworkInsightsAnalysisId"]]
    found = client.describe_network_insights_analyses(NetworkInsightsAnalysisIds=ids)
    assert found["NetworkInsightsAnalyses"][0]["NetworkPathFound"] is True


def test_paths_are_kept_filtered_and_deleted(lab, ec2, refused):
    client = ec2(A)
    path = client.create_network_insights_path(
        Source=lab.hosts[0],
        Destination=lab.hosts[2],
        Protocol="tcp",
        DestinationPort=22,
        FilterAtSource={"SourcePortRange": {"FromPort": 1000, "ToPort": 2000}},
        TagSpecifications=[
            {"ResourceType": "network-insights-path", "Tags": [{"Key": "Name", "Value": "p"}]}
        ],
    )["NetworkInsightsPath"]
    other = client.create_network_insights_path(
        Source=lab.hosts[0], DestinationIp="10.1.1.4", Protocol="udp"
    )["NetworkInsightsPath"]
    assert path["DestinationPort"] == 22 and path["Tags"] == [{"Key": "Name", "Value": "p"}]
    assert path["SourceArn"] == f"arn:aws:ec2:us-east-1:{A}:instance/{lab.hosts[0]}"
    assert path["FilterAtSource"]["SourcePortRange"] == {"FromPort": 1000, "ToPort": 2000}

    def listed(**more):
        found = client.describe_network_insights_paths(**more)["NetworkInsightsPaths"]
        return {p["NetworkInsightsPathId"] for p in found}

    both = {path["NetworkInsightsPathId"], other["NetworkInsightsPathId"]}
    assert listed() == both
    for name, value, want in [
        ("protocol", "udp", other),
        ("destination", lab.hosts[2], path),
        ("filter-at-source.source-port-range", "1000-2000", path),
        ("tag:Name", "p", path),
    ]:
        filters = [{"Name": name, "Values": [value]}]
        assert listed(Filters=filters) == {want["NetworkInsightsPathId"]}, name
    first = client.describe_network_insights_paths(MaxResults=1)
    rest = client.describe_network_insights_paths(MaxResults=1, NextToken=first["NextToken"])
    assert "NextToken" not in rest and len(rest["NetworkInsightsPaths"]) == 1
    with refused("InvalidParameterValue"):
        client.describe_network_insights_paths(MaxResults=101)
    started = client.start_network_insights_analysis(
        NetworkInsightsPathId=path["NetworkInsightsPathId"]
    )["NetworkInsightsAnalysis"]
    for found, want in [("false", 1), ("true", 0)]:
        filters = [{"Name": "path-found", "Values": [found]}]
        rows = client.describe_network_insights_analyses(Filters=filters)["NetworkInsightsAnalyses"]
        assert len(rows) == want
    with refused("AnalysisExistsForNetworkInsightsPath"):
        client.delete_network_insights_path(NetworkInsightsPathId=path["NetworkInsightsPathId"])
    client.delete_network_insights_analysis(
        NetworkInsightsAnalysisId=started["NetworkInsightsAnalysisId"]
    )
    client.delete_network_insights_path(NetworkInsightsPathId=path["NetworkInsightsPathId"])
    assert listed() == {other["NetworkInsightsPathId"]}
    # Another account sees none of it.
    assert ec2(B).describe_network_insights_paths()["NetworkInsightsPaths"] == []
    with refused("InvalidNetworkInsightsPathId.NotFound"):
        ec2(B).start_network_insights_analysis(NetworkInsightsPathId=other["NetworkInsightsPathId"])


def test_paths_that_cannot_be(lab, ec2, refused):
    client = ec2(A)
    for code, parameters in [
        ("InvalidInstanceID.NotFound", {"Source": lab.hosts[1], "Destination": lab.hosts[0]}),
        ("InvalidInstanceID.NotFound", {"Source": lab.hosts[0], "Destination": lab.hosts[1]}),
        ("InvalidInstanceID.NotFound", {"Source": "i-00000000", "Destination": lab.hosts[0]}),
        ("InvalidParameterValue", {"Source": lab.vpcs[0], "Destination": lab.hosts[0]}),
        ("MissingParameter", {"Source": lab.hosts[0]}),
        ("InvalidParameterValue", {"Source": lab.hosts[0], "DestinationIp": "x"}),
    ]:
        with refused(code):
            client.create_network_insights_path(Protocol="tcp", **parameters)
    with refused("InvalidParameterValue"):
        client.create_network_insights_path(
            Source=lab.hosts[0], Destination=lab.hosts[2], Protocol="icmp"
        )


def test_out_to_the_internet(lab, ec2):
    client = ec2(A)
    gateway = client.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    client.attach_internet_gateway(InternetGatewayId=gateway, VpcId=lab.vpcs[0])
    analysis = analyse(client, lab.hosts[0], gateway)
    assert analysis["NetworkPathFound"] is False
    assert analysis["Explanations"][0]["ExplanationCode"] == "NO_ROUTE_TO_DESTINATION"
    client.create_route(
        RouteTableId=lab.tables[0], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway
    )
    analysis = analyse(client, lab.hosts[0], gateway)
    codes = [explanation["ExplanationCode"] for explanation in analysis["Explanations"]]
    assert codes == ["IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"]
    address = client.allocate_address(Domain="vpc")["AllocationId"]
    client.associate_address(AllocationId=address, InstanceId=lab.hosts[0])
    analysis = analyse(client, lab.hosts[0], gateway)
    assert analysis["NetworkPathFound"] is True, analysis
    assert components(analysis["ForwardPathComponents"])[-1] == "igw"
