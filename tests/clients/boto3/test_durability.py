"""What has been answered is there after the server was killed."""

import pytest

A, B = "111111111111", "222222222222"


def everything(ec2):
    shown = []
    for account in (A, B):
        client = ec2(account)
        for call in (
            client.describe_vpcs,
            client.describe_subnets,
            client.describe_route_tables,
            client.describe_vpc_peering_connections,
            client.describe_security_groups,
            client.describe_network_acls,
            client.describe_network_interfaces,
            client.describe_instances,
            client.describe_internet_gateways,
            client.describe_tags,
            client.describe_dhcp_options,
        ):
            answer = call()
            del answer["ResponseMetadata"]
            shown.append((account, call.__name__, answer))
    return shown


def build(ec2):
    r, a = ec2(A), ec2(B)
    near = r.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    far = a.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    r.create_tags(Resources=[near], Tags=[{"Key": "Name", "Value": "<near>\n☃"}])
    subnet = r.create_subnet(VpcId=near, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    pcx = r.create_vpc_peering_connection(VpcId=near, PeerVpcId=far, PeerOwnerId=B)[
        "VpcPeeringConnection"
    ]["VpcPeeringConnectionId"]
    a.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    table = r.create_route_table(VpcId=near, ClientToken="once")["RouteTable"]["RouteTableId"]
    r.create_route(
        RouteTableId=table, DestinationCidrBlock="10.1.0.0/16", VpcPeeringConnectionId=pcx
    )
    group = r.create_security_group(GroupName="g", Description="said", VpcId=near)["GroupId"]
    r.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 1,
                "ToPort": 2,
                "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "why"}],
            }
        ],
    )
    r.create_network_acl(VpcId=near)
    r.run_instances(
        ImageId="ami-12345678",
        InstanceType="t3.micro",
        MinCount=2,
        MaxCount=2,
        SubnetId=subnet,
        SecurityGroupIds=[group],
    )
    return near, table


@pytest.mark.server(data=True)
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_everything_is_there_again(server, ec2, end):
    near, table = build(ec2)
    before = everything(ec2)
    getattr(server, end)()
    server.start()
    assert everything(ec2) == before
    # A token that was used before is remembered, too.
    again = ec2(A).create_route_table(VpcId=near, ClientToken="once")["RouteTable"]
    assert again["RouteTableId"] == table
    made = ec2(A).create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    assert made not in str(before), "an id is never given twice"


@pytest.mark.server(data=True)
def test_a_reset_is_kept(server, ec2):
    build(ec2)
    server.own("reset", post="")
    before = everything(ec2)
    server.kill()
    server.start()
    assert everything(ec2) == before


@pytest.mark.server(data=True, profile="today")
def test_the_rule_book_is_kept(server, ec2):
    ec2(A).create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)
    before = everything(ec2)
    server.kill()
    server.start()
    assert everything(ec2) == before
    assert server.own("health")["profile"] == "today"


@pytest.mark.server(data=True, clock="virtual")
def test_virtual_time_goes_on_where_it_was(server, ec2):
    r, a = ec2(A), ec2(B)
    near = r.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    far = a.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    server.own("clock/advance", post="by=30d")
    r.create_vpc_peering_connection(VpcId=near, PeerVpcId=far, PeerOwnerId=B)
    (before,) = a.describe_vpc_peering_connections()["VpcPeeringConnections"]
    server.kill()
    server.start()
    (after,) = ec2(B).describe_vpc_peering_connections()["VpcPeeringConnections"]
    assert after == before
    server.own("clock/advance", post="by=7d")
    (ended,) = ec2(B).describe_vpc_peering_connections()["VpcPeeringConnections"]
    assert ended["Status"]["Code"] == "expired"
