"""VPCs, subnets and route tables: their lives and their shapes."""

import re

import pytest

A = "111111111111"


def vpc(client, block, **more):
    return client.create_vpc(CidrBlock=block, **more)["Vpc"]["VpcId"]


def tables(client, vpc_id):
    own = [{"Name": "vpc-id", "Values": [vpc_id]}]
    return client.describe_route_tables(Filters=own)["RouteTables"]


def hexadecimal(prefix):
    return re.compile(rf"{prefix}-[0-9a-f]{{17}}")


def test_a_vpc_is_born_with_a_table_an_acl_and_a_group(ec2):
    client = ec2()
    made = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
    own = made["VpcId"]
    assert hexadecimal("vpc").fullmatch(own)
    (association,) = made["CidrBlockAssociationSet"]
    assert hexadecimal("vpc-cidr-assoc").fullmatch(association["AssociationId"])
    expected = {
        "VpcId": own,
        "OwnerId": A,
        "CidrBlock": "10.0.0.0/16",
        "CidrBlockAssociationSet": [
            {
                "AssociationId": association["AssociationId"],
                "CidrBlock": "10.0.0.0/16",
                "CidrBlockState": {"State": "associated"},
            }
        ],
        "DhcpOptionsId": made["DhcpOptionsId"],
        "InstanceTenancy": "default",
        "IsDefault": False,
        "Tags": [],
    }
    assert made == expected | {"State": "pending"}
    assert client.describe_vpcs(VpcIds=[own])["Vpcs"] == [expected | {"State": "available"}]

    (table,) = tables(client, own)
    (main,) = table["Associations"]
    assert table == {
        "RouteTableId": table["RouteTableId"],
        "VpcId": own,
        "OwnerId": A,
        "Associations": [
            {
                "Main": True,
                "RouteTableAssociationId": main["RouteTableAssociationId"],
                "RouteTableId": table["RouteTableId"],
                "AssociationState": {"State": "associated"},
            }
        ],
        "PropagatingVgws": [],
        "Routes": [
            {
                "DestinationCidrBlock": "10.0.0.0/16",
                "GatewayId": "local",
                "Origin": "CreateRouteTable",
                "State": "active",
            }
        ],
        "Tags": [],
    }
    filters = [{"Name": "vpc-id", "Values": [own]}]
    (acl,) = client.describe_network_acls(Filters=filters)["NetworkAcls"]
    assert acl["IsDefault"] is True
    (group,) = client.describe_security_groups(Filters=filters)["SecurityGroups"]
    assert group["GroupName"] == "default"

    client.delete_vpc(VpcId=own)
    assert tables(client, own) == []
    assert client.describe_network_acls(Filters=filters)["NetworkAcls"] == []
    assert client.describe_security_groups(Filters=filters)["SecurityGroups"] == []


def test_a_default_vpc_in_every_region(ec2):
    for region in ("us-east-1", "eu-west-1"):
        client = ec2(A, region)
        (default,) = client.describe_vpcs(
            Filters=[{"Name": "is-default", "Values": ["true"]}]
        )["Vpcs"]
        assert default["CidrBlock"] == "172.31.0.0/16"
        assert default["IsDefault"] is True
        zones = [
            z["ZoneName"] for z in client.describe_availability_zones()["AvailabilityZones"]
        ]
        subnets = client.describe_subnets(
            Filters=[{"Name": "vpc-id", "Values": [default["VpcId"]]}]
        )["Subnets"]
        assert sorted(s["AvailabilityZone"] for s in subnets) == sorted(zones)
        for subnet in subnets:
            assert subnet["CidrBlock"].startswith("172.31.")
            assert subnet["CidrBlock"].endswith("/20")
            assert subnet["DefaultForAz"] is True
            assert subnet["MapPublicIpOnLaunch"] is True
            assert subnet["AvailableIpAddressCount"] == 4091
        (table,) = tables(client, default["VpcId"])
        ways = {r["DestinationCidrBlock"]: r["GatewayId"] for r in table["Routes"]}
        assert ways.pop("172.31.0.0/16") == "local"
        (gateway,) = client.describe_internet_gateways()["InternetGateways"]
        assert gateway["Attachments"] == [{"State": "available", "VpcId": default["VpcId"]}]
        assert ways == {"0.0.0.0/0": gateway["InternetGatewayId"]}


def test_two_default_vpcs_cannot_be_peered(ec2):
    near, far = ec2(A), ec2("222222222222")
    (a,) = near.describe_vpcs()["Vpcs"]
    (b,) = far.describe_vpcs()["Vpcs"]
    asked = near.create_vpc_peering_connection(
        VpcId=a["VpcId"], PeerVpcId=b["VpcId"], PeerOwnerId="222222222222"
    )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    (shown,) = near.describe_vpc_peering_connections(VpcPeeringConnectionIds=[asked])[
        "VpcPeeringConnections"
    ]
    assert shown["Status"]["Code"] == "failed"


@pytest.mark.parametrize(
    "given, kept",
    [
        ("100.68.0.18/18", "100.68.0.0/18"),
        ("10.0.255.255/16", "10.0.0.0/16"),
        ("192.168.1.130/25", "192.168.1.128/25"),
        ("203.0.113.0/28", "203.0.113.0/28"),
    ],
)
def test_host_bits_are_cleared(ec2, given, kept):
    client = ec2()
    made = client.create_vpc(CidrBlock=given)["Vpc"]
    assert made["CidrBlock"] == kept
    subnet = client.create_subnet(VpcId=made["VpcId"], CidrBlock=given)["Subnet"]
    assert subnet["CidrBlock"] == kept


def test_attributes(ec2):
    client = ec2()
    own = vpc(client, "10.0.0.0/16")

    def attribute(name):
        answer = client.describe_vpc_attribute(VpcId=own, Attribute=name)
        assert answer["VpcId"] == own
        return answer[name[0].upper() + name[1:]]["Value"]

    names = ["enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics"]
    assert [attribute(name) for name in names] == [True, False, False]
    client.modify_vpc_attribute(VpcId=own, EnableDnsHostnames={"Value": True})
    assert [attribute(name) for name in names] == [True, True, False]
    client.modify_vpc_attribute(VpcId=own, EnableDnsHostnames={"Value": False})
    client.modify_vpc_attribute(VpcId=own, EnableDnsSupport={"Value": False})
    assert [attribute(name) for name in names] == [False, False, False]


def test_a_subnet(ec2):
    client = ec2()
    own = vpc(client, "10.0.0.0/16")
    made = client.create_subnet(
        VpcId=own, CidrBlock="10.0.1.0/28", AvailabilityZone="us-east-1b"
    )["Subnet"]
    (shown,) = client.describe_subnets(SubnetIds=[made["SubnetId"]])["Subnets"]
    for subnet in (made, shown):
        assert subnet["VpcId"] == own
        assert subnet["CidrBlock"] == "10.0.1.0/28"
        assert subnet["AvailabilityZone"] == "us-east-1b"
        assert subnet["AvailabilityZoneId"] == "use1-az2"
        assert subnet["AvailableIpAddressCount"] == 11
        assert subnet["OwnerId"] == A
        assert subnet["DefaultForAz"] is False
        assert subnet["MapPublicIpOnLaunch"] is False
        assert subnet["SubnetArn"] == f"arn:aws:ec2:us-east-1:{A}:subnet/{made['SubnetId']}"
    client.modify_subnet_attribute(
        SubnetId=made["SubnetId"], MapPublicIpOnLaunch={"Value": True}
    )
    (shown,) = client.describe_subnets(SubnetIds=[made["SubnetId"]])["Subnets"]
    assert shown["MapPublicIpOnLaunch"] is True
    client.delete_subnet(SubnetId=made["SubnetId"])
    assert client.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [own]}])["Subnets"] == []


def test_associations_of_tables(ec2):
    client = ec2()
    own = vpc(client, "10.0.0.0/16")
    subnet = client.create_subnet(VpcId=own, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    (main,) = tables(client, own)
    table = client.create_route_table(VpcId=own)["RouteTable"]["RouteTableId"]

    def by_subnet():
        filters = [{"Name": "association.subnet-id", "Values": [subnet]}]
        return [t["RouteTableId"] for t in client.describe_route_tables(Filters=filters)["RouteTables"]]

    assert by_subnet() == [], "the implicit one does not show"
    first = client.associate_route_table(RouteTableId=table, SubnetId=subnet)
    assert first["AssociationState"]["State"] in ("associating", "associated")
    assert by_subnet() == [table]
    second = client.replace_route_table_association(
        AssociationId=first["AssociationId"], RouteTableId=main["RouteTableId"]
    )
    assert second["NewAssociationId"] != first["AssociationId"]
    assert by_subnet() == [main["RouteTableId"]]
    client.disassociate_route_table(AssociationId=second["NewAssociationId"])
    assert by_subnet() == []

    # Another main table.
    association = main["Associations"][0]["RouteTableAssociationId"]
    client.replace_route_table_association(AssociationId=association, RouteTableId=table)
    (now,) = client.describe_route_tables(
        Filters=[
            {"Name": "vpc-id", "Values": [own]},
            {"Name": "association.main", "Values": ["true"]},
        ]
    )["RouteTables"]
    assert now["RouteTableId"] == table
    client.delete_route_table(RouteTableId=main["RouteTableId"])


# ---- today -----------------------------------------------------------------------------------------


@pytest.mark.server(profile="today")
def test_further_blocks(ec2, refused):
    client = ec2()
    own = vpc(client, "10.2.0.0/16")
    answer = client.associate_vpc_cidr_block(VpcId=own, CidrBlock="10.3.0.0/16")
    made = answer["CidrBlockAssociation"]
    assert answer["VpcId"] == own
    assert made["CidrBlock"] == "10.3.0.0/16"
    assert made["CidrBlockState"]["State"] == "associating"
    (shown,) = client.describe_vpcs(VpcIds=[own])["Vpcs"]
    assert [
        (a["CidrBlock"], a["CidrBlockState"]["State"]) for a in shown["CidrBlockAssociationSet"]
    ] == [("10.2.0.0/16", "associated"), ("10.3.0.0/16", "associated")]
    assert shown["CidrBlock"] == "10.2.0.0/16"
    (table,) = tables(client, own)
    assert [(r["DestinationCidrBlock"], r["GatewayId"]) for r in table["Routes"]] == [
        ("10.2.0.0/16", "local"),
        ("10.3.0.0/16", "local"),
    ]
    for block in ("172.16.0.0/16", "192.168.0.0/16", "198.19.0.0/16"):
        with refused(
            "InvalidVpc.Range",
            f"The CIDR '{block}' is restricted. Use a CIDR from the same private address range as "
            "the current VPC CIDR, or use a publicly-routable CIDR.",
        ):
            client.associate_vpc_cidr_block(VpcId=own, CidrBlock=block)
    for n in (4, 5, 6):
        client.associate_vpc_cidr_block(VpcId=own, CidrBlock=f"10.{n}.0.0/16")
    with refused("CidrLimitExceeded"):
        client.associate_vpc_cidr_block(VpcId=own, CidrBlock="10.7.0.0/16")

    subnet = client.create_subnet(VpcId=own, CidrBlock="10.3.1.0/24")["Subnet"]["SubnetId"]
    with refused("OperationNotPermitted"):
        client.disassociate_vpc_cidr_block(AssociationId=made["AssociationId"])
    client.delete_subnet(SubnetId=subnet)
    gone = client.disassociate_vpc_cidr_block(AssociationId=made["AssociationId"])
    assert gone["CidrBlockAssociation"]["CidrBlockState"]["State"] == "disassociating"
    primary = shown["CidrBlockAssociationSet"][0]["AssociationId"]
    with refused("OperationNotPermitted"):
        client.disassociate_vpc_cidr_block(AssociationId=primary)


@pytest.mark.server(profile="today")
def test_ipv6(ec2):
    client = ec2()
    own = vpc(client, "10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)
    (shown,) = client.describe_vpcs(VpcIds=[own])["Vpcs"]
    (association,) = shown["Ipv6CidrBlockAssociationSet"]
    block = association["Ipv6CidrBlock"]
    assert block.endswith("::/56")
    assert association["Ipv6CidrBlockState"] == {"State": "associated"}
    (table,) = tables(client, own)
    assert {"DestinationIpv6CidrBlock": block, "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"} in table["Routes"]
    subnet = client.create_subnet(
        VpcId=own, CidrBlock="10.0.0.0/24", Ipv6CidrBlock=block.replace("/56", "/64")
    )["Subnet"]
    (association,) = subnet["Ipv6CidrBlockAssociationSet"]
    assert association["Ipv6CidrBlock"] == block.replace("/56", "/64")
    other = vpc(client, "10.1.0.0/16", AmazonProvidedIpv6CidrBlock=True)
    (shown,) = client.describe_vpcs(VpcIds=[other])["Vpcs"]
    assert shown["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"] != block


@pytest.mark.server(profile="today")
def test_ipv6_of_a_subnet_later(ec2, refused):
    client = ec2()
    own = vpc(client, "10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)
    (shown,) = client.describe_vpcs(VpcIds=[own])["Vpcs"]
    block = shown["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"].replace("/56", "/64")
    subnet = client.create_subnet(VpcId=own, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    made = client.associate_subnet_cidr_block(SubnetId=subnet, Ipv6CidrBlock=block)
    association = made["Ipv6CidrBlockAssociation"]
    assert association["Ipv6CidrBlock"] == block
    (shown,) = client.describe_subnets(SubnetIds=[subnet])["Subnets"]
    assert [a["Ipv6CidrBlock"] for a in shown["Ipv6CidrBlockAssociationSet"]] == [block]
    client.disassociate_subnet_cidr_block(AssociationId=association["AssociationId"])
    (shown,) = client.describe_subnets(SubnetIds=[subnet])["Subnets"]
    assert shown["Ipv6CidrBlockAssociationSet"] == []


def test_the_seed_profile_knows_no_further_blocks(ec2, refused):
    client = ec2()
    own = vpc(client, "10.0.0.0/16")
    with refused("UnknownParameter"):
        client.associate_vpc_cidr_block(VpcId=own, AmazonProvidedIpv6CidrBlock=True)
    with pytest.raises(Exception):
        client.associate_vpc_cidr_block(VpcId=own, CidrBlock="10.1.0.0/16")


# ---- regions and zones -------------------------------------------------------------------------------


def test_regions_and_zones(ec2):
    client = ec2()
    regions = client.describe_regions()["Regions"]
    by_name = {r["RegionName"]: r for r in regions}
    assert by_name["us-east-1"] == {
        "RegionName": "us-east-1",
        "Endpoint": "ec2.us-east-1.amazonaws.com",
        "OptInStatus": "opt-in-not-required",
    }
    for region in ("us-east-1", "eu-west-1"):
        zones = ec2(A, region).describe_availability_zones()["AvailabilityZones"]
        assert len(zones) >= 3
        for zone in zones:
            assert zone["RegionName"] == region
            assert zone["ZoneName"].startswith(region)
            assert zone["State"] == "available"
            assert zone["ZoneType"] == "availability-zone"
