"""What every operation has in common: dry runs, client tokens, pages, filters, waiters, the clock."""

import datetime
import re

import pytest

A, B = "111111111111", "222222222222"


def vpc(client, block, **more):
    return client.create_vpc(CidrBlock=block, **more)["Vpc"]["VpcId"]


# ---- DryRun --------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing(ec2, refused):
    client = ec2()
    own = vpc(client, "10.9.0.0/16")
    before = client.describe_vpcs()["Vpcs"]
    for call, parameters in [
        (client.create_vpc, {"CidrBlock": "10.0.0.0/16"}),
        (client.delete_vpc, {"VpcId": own}),
        (client.describe_vpcs, {}),
        (client.describe_vpc_peering_connections, {}),
    ]:
        with refused(
            "DryRunOperation", "Request would have succeeded, but DryRun flag is set."
        ) as caught:
            call(DryRun=True, **parameters)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert client.describe_vpcs()["Vpcs"] == before
    client.create_vpc(CidrBlock="10.0.0.0/16", DryRun=False)
    assert len(client.describe_vpcs()["Vpcs"]) == len(before) + 1


def test_a_dry_run_is_refused_as_the_request_would_be(ec2, refused):
    client = ec2()
    own = vpc(client, "10.9.0.0/16")
    client.create_subnet(VpcId=own, CidrBlock="10.9.1.0/24")
    with refused("DependencyViolation"):
        client.delete_vpc(VpcId=own, DryRun=True)


# ---- client tokens -------------------------------------------------------------------------------


def test_a_client_token_makes_once(ec2, refused):
    client = ec2()
    own = vpc(client, "10.0.0.0/16")
    first = client.create_route_table(VpcId=own, ClientToken="one")["RouteTable"]
    again = client.create_route_table(VpcId=own, ClientToken="one")["RouteTable"]
    assert first == again
    other = client.create_route_table(VpcId=own, ClientToken="two")["RouteTable"]
    assert other["RouteTableId"] != first["RouteTableId"]
    with refused("IdempotentParameterMismatch"):
        client.create_route_table(VpcId=vpc(client, "10.1.0.0/16"), ClientToken="one")
    # Tokens are an account's own.
    theirs = ec2(B)
    theirs.create_route_table(VpcId=vpc(theirs, "10.0.0.0/16"), ClientToken="one")
    tables = client.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [own]}])
    assert len(tables["RouteTables"]) == 3, "the main one, and two"


# ---- pages ---------------------------------------------------------------------------------------


def make_vpcs(client, own):
    for n in range(12):
        vpc(client, f"10.{n}.0.0/16")


def make_subnets(client, own):
    for n in range(12):
        client.create_subnet(VpcId=own, CidrBlock=f"10.99.{n}.0/24")


def make_tables(client, own):
    for _ in range(12):
        client.create_route_table(VpcId=own)


def make_peerings(client, own):
    for n in range(12):
        client.create_vpc_peering_connection(VpcId=own, PeerVpcId=vpc(client, f"10.{n}.0.0/16"))


def make_tags(client, own):
    client.create_tags(Resources=[own], Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(12)])


def make_groups(client, own):
    for n in range(12):
        client.create_security_group(GroupName=f"g{n}", Description="d", VpcId=own)


def make_group_rules(client, own):
    group = client.create_security_group(GroupName="g", Description="d", VpcId=own)["GroupId"]
    ports = [
        {
            "IpProtocol": "tcp",
            "FromPort": n,
            "ToPort": n,
            "IpRanges": [{"CidrIp": "10.0.0.0/8"}],
        }
        for n in range(12)
    ]
    client.authorize_security_group_ingress(GroupId=group, IpPermissions=ports)


def make_acls(client, own):
    for _ in range(12):
        client.create_network_acl(VpcId=own)


def make_interfaces(client, own):
    subnet = client.create_subnet(VpcId=own, CidrBlock="10.99.0.0/24")["Subnet"]["SubnetId"]
    for _ in range(12):
        client.create_network_interface(SubnetId=subnet)


def make_instances(client, own):
    subnet = client.create_subnet(VpcId=own, CidrBlock="10.99.0.0/24")["Subnet"]["SubnetId"]
    for _ in range(12):
        client.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=subnet)


def make_internet_gateways(client, own):
    for _ in range(12):
        client.create_internet_gateway()


PAGED = [
    # (operation, its key, id, what makes twelve of them, the shortest page)
    ("describe_vpcs", "Vpcs", "VpcId", make_vpcs, 5),
    ("describe_subnets", "Subnets", "SubnetId", make_subnets, 5),
    ("describe_route_tables", "RouteTables", "RouteTableId", make_tables, 5),
    (
        "describe_vpc_peering_connections",
        "VpcPeeringConnections",
        "VpcPeeringConnectionId",
        make_peerings,
        5,
    ),
    ("describe_tags", "Tags", "Key", make_tags, 5),
    ("describe_security_groups", "SecurityGroups", "GroupId", make_groups, 5),
    (
        "describe_security_group_rules",
        "SecurityGroupRules",
        "SecurityGroupRuleId",
        make_group_rules,
        5,
    ),
    ("describe_network_acls", "NetworkAcls", "NetworkAclId", make_acls, 5),
    (
        "describe_network_interfaces",
        "NetworkInterfaces",
        "NetworkInterfaceId",
        make_interfaces,
        5,
    ),
    ("describe_instances", "Reservations", "ReservationId", make_instances, 5),
    (
        "describe_internet_gateways",
        "InternetGateways",
        "InternetGatewayId",
        make_internet_gateways,
        5,
    ),
]


@pytest.mark.parametrize("operation, key, id, make, least", PAGED, ids=[row[0] for row in PAGED])
def test_pages_are_all_there_is(ec2, refused, operation, key, id, make, least):
    client = ec2()
    own = vpc(client, "10.99.0.0/16")
    make(client, own)
    call = getattr(client, operation)
    whole = call()
    assert "NextToken" not in whole
    ids = [row[id] for row in whole[key]]
    assert len(ids) >= 12
    assert len(set(ids)) == len(ids)
    paginator = client.get_paginator(operation)
    for size in (least, least + 1, len(ids) - 1, len(ids), 100):
        pages = [[row[id] for row in page[key]] for page in paginator.paginate(
            PaginationConfig={"PageSize": size}
        )]
        assert [i for page in pages for i in page] == ids, "in the same order, each once"
        assert all(len(page) == size for page in pages[:-1])
        assert len(pages) == -(-len(ids) // size)


def test_a_token_is_of_its_operation(ec2, refused):
    client = ec2()
    make_vpcs(client, None)
    token = client.describe_vpcs(MaxResults=5)["NextToken"]
    with refused("InvalidNextToken"):
        client.describe_subnets(MaxResults=5, NextToken=token)


def test_a_page_goes_on_when_its_last_row_is_gone(ec2):
    client = ec2()
    make_vpcs(client, None)
    every = [v["VpcId"] for v in client.describe_vpcs()["Vpcs"]]
    page = client.describe_vpcs(MaxResults=5)
    client.delete_vpc(VpcId=page["Vpcs"][-1]["VpcId"])
    rest = client.describe_vpcs(NextToken=page["NextToken"])
    assert [v["VpcId"] for v in rest["Vpcs"]] == every[5:]


# ---- filters -------------------------------------------------------------------------------------


def found(client, filters):
    """The names of the VPCs that match."""
    filters = [{"Name": name, "Values": values} for name, values in filters.items()]
    shown = client.describe_vpcs(Filters=filters)["Vpcs"]
    names = [tag["Value"] for v in shown for tag in v.get("Tags", []) if tag["Key"] == "Name"]
    return sorted(names)


@pytest.fixture
def three(ec2):
    client = ec2()
    for name, block in [("web", "10.0.0.0/16"), ("Web", "10.1.0.0/16"), ("w*b?", "172.16.0.0/20")]:
        tags = [{"Key": "Name", "Value": name}, {"Key": f"of-{block[:2]}", "Value": ""}]
        vpc(client, block, TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}])
    return client


@pytest.mark.parametrize(
    "filters, names",
    [
        ({"tag:Name": ["web"]}, ["web"]),
        ({"tag:Name": ["WEB"]}, []),
        ({"tag:Name": ["web", "Web"]}, ["Web", "web"]),
        ({"tag:Name": ["?eb"]}, ["Web", "web"]),
        ({"tag:Name": ["w*"]}, ["w*b?", "web"]),
        ({"tag:Name": ["*b*"]}, ["Web", "w*b?", "web"]),
        ({"tag:Name": ["w\\*b\\?"]}, ["w*b?"]),
        ({"tag:Name": ["w\\*b"]}, []),
        ({"tag:Name": [""]}, []),
        ({"tag-key": ["of-10"]}, ["Web", "web"]),
        ({"tag-key": ["of-*"]}, ["Web", "w*b?", "web"]),
        ({"tag-key": ["name"]}, []),
        ({"cidr": ["10.1.0.0/16"]}, ["Web"]),
        ({"cidr": ["10.*"]}, ["Web", "web"]),
        ({"cidr": ["10.*"], "tag:Name": ["w*"]}, ["web"]),
        ({"cidr": ["10.0.0.0/16"], "tag:Name": ["Web"]}, []),
        ({"vpc-id": ["vpc-0123456789abcdef0"]}, []),
        ({"vpc-id": ["nonsense"]}, []),
        ({"owner-id": [A]}, ["Web", "w*b?", "web"]),
        ({"owner-id": [B]}, []),
        ({"state": ["available"]}, ["Web", "w*b?", "web"]),
        ({"state": ["pending"]}, []),
        ({"is-default": ["false"]}, ["Web", "w*b?", "web"]),
    ],
    ids=str,
)
def test_filters(three, filters, names):
    assert found(three, filters) == names


def test_filters_have_bounds(three, refused):
    many = [{"Name": "vpc-id", "Values": [f"vpc-{n:08x}" for n in range(201)]}]
    with refused("FilterLimitExceeded"):
        three.describe_vpcs(Filters=many)
    with refused("FilterLimitExceeded"):
        three.describe_vpcs(Filters=[{"Name": f"tag:k{n}", "Values": ["v"]} for n in range(51)])
    assert three.describe_vpcs(Filters=[{"Name": "vpc-id", "Values": many[0]["Values"][:200]}])[
        "Vpcs"
    ] == []


def test_ids_and_filters_together(three):
    shown = {v["CidrBlock"]: v["VpcId"] for v in three.describe_vpcs()["Vpcs"]}
    both = [shown["10.0.0.0/16"], shown["10.1.0.0/16"]]
    (one,) = three.describe_vpcs(
        VpcIds=both, Filters=[{"Name": "cidr", "Values": ["10.1.0.0/16"]}]
    )["Vpcs"]
    assert one["VpcId"] == both[1]


# ---- tags ----------------------------------------------------------------------------------------

HOSTILE = [
    "plain",
    "",
    " ",
    "  two  blanks  ",
    "<script>alert('x')</script>",
    "]]></value><value>",
    "&amp;&lt;&#0;",
    "'\"`$(reboot)`;--",
    "%00%0a%0d",
    "a+b=c&d",
    "line\nbreak\r\nand\ttab",
    "naïve ☃ 日本語 עברית 🧪",
    "e\u0301 is not \u00e9",
    "\u202ereversed",
    "../../etc/passwd",
    "${jndi:ldap://x}",
    "x" * 256,
    "☃" * 256,
]


def test_hostile_text_comes_back_as_it_went(ec2):
    client = ec2()
    own = vpc(client, "10.0.0.0/16")
    tags = [{"Key": f"k{n:02}", "Value": text} for n, text in enumerate(HOSTILE)]
    client.create_tags(Resources=[own], Tags=tags)
    (shown,) = client.describe_vpcs(VpcIds=[own])["Vpcs"]
    assert sorted(shown["Tags"], key=lambda tag: tag["Key"]) == tags
    flat = client.describe_tags(Filters=[{"Name": "resource-id", "Values": [own]}])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in flat} == {t["Key"]: t["Value"] for t in tags}
    assert {(tag["ResourceId"], tag["ResourceType"]) for tag in flat} == {(own, "vpc")}
    for tag in tags:
        escaped = re.sub(r"([*?\\])", r"\\\1", tag["Value"])
        filters = [{"Name": f"tag:{tag['Key']}", "Values": [escaped]}]
        assert [v["VpcId"] for v in client.describe_vpcs(Filters=filters)["Vpcs"]] == [own], tag


def test_hostile_keys_come_back_as_they_went(ec2):
    client = ec2()
    own = vpc(client, "10.0.0.0/16")
    keys = sorted({text[:128] for text in HOSTILE if text.strip()})
    client.create_tags(Resources=[own], Tags=[{"Key": key, "Value": "v"} for key in keys])
    (shown,) = client.describe_vpcs(VpcIds=[own])["Vpcs"]
    assert sorted(tag["Key"] for tag in shown["Tags"]) == keys
    for key in keys:
        filters = [{"Name": f"tag:{key}", "Values": ["v"]}]
        assert len(client.describe_vpcs(Filters=filters)["Vpcs"]) == 1, key


def test_the_life_of_tags(ec2):
    client = ec2()
    own = vpc(
        client,
        "10.0.0.0/16",
        TagSpecifications=[
            {"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]}
        ],
    )

    def tags():
        (shown,) = client.describe_vpcs(VpcIds=[own])["Vpcs"]
        return {tag["Key"]: tag["Value"] for tag in shown["Tags"]}

    assert tags() == {"a": "1", "b": "2"}
    client.create_tags(Resources=[own], Tags=[{"Key": "a", "Value": "9"}])
    assert tags() == {"a": "9", "b": "2"}
    client.delete_tags(Resources=[own], Tags=[{"Key": "a", "Value": "1"}])
    assert tags() == {"a": "9", "b": "2"}, "another value: kept"
    client.delete_tags(Resources=[own], Tags=[{"Key": "a", "Value": "9"}, {"Key": "zz"}])
    assert tags() == {"b": "2"}
    client.delete_tags(Resources=[own], Tags=[{"Key": "b"}])
    assert tags() == {}
    client.create_tags(Resources=[own], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    client.delete_tags(Resources=[own])
    assert tags() == {}


def test_tags_are_all_or_nothing(ec2, refused):
    client = ec2()
    own = vpc(client, "10.0.0.0/16")
    with refused("InvalidID"):
        client.create_tags(
            Resources=[own, "vpc-0123456789abcdef0"], Tags=[{"Key": "a", "Value": "1"}]
        )
    assert client.describe_vpcs(VpcIds=[own])["Vpcs"][0]["Tags"] == []


def test_tags_of_a_peering_are_each_partys_own(ec2):
    r, a = ec2(A), ec2(B)
    near, far = vpc(r, "10.0.0.0/16"), vpc(a, "10.1.0.0/16")
    pcx = r.create_vpc_peering_connection(
        VpcId=near,
        PeerVpcId=far,
        PeerOwnerId=B,
        TagSpecifications=[
            {
                "ResourceType": "vpc-peering-connection",
                "Tags": [{"Key": "Name", "Value": "to-them"}],
            }
        ],
    )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    a.create_tags(Resources=[pcx], Tags=[{"Key": "Name", "Value": "from-them"}])

    def tags(client):
        (shown,) = client.describe_vpc_peering_connections()["VpcPeeringConnections"]
        return shown["Tags"]

    a.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    for _ in range(2):
        assert tags(r) == [{"Key": "Name", "Value": "to-them"}]
        assert tags(a) == [{"Key": "Name", "Value": "from-them"}]
        if r.describe_vpc_peering_connections()["VpcPeeringConnections"][0]["Status"]["Code"] == "active":
            r.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)


# ---- waiters: nobody sleeps ------------------------------------------------------------------------


def test_waiters_of_vpcs_subnets_and_peerings(ec2):
    r, a = ec2(A), ec2(B)
    answer = r.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
    assert answer["State"] == "pending"
    near, far = answer["VpcId"], vpc(a, "10.1.0.0/16")
    r.get_waiter("vpc_exists").wait(VpcIds=[near])
    r.get_waiter("vpc_available").wait(VpcIds=[near])
    subnet = r.create_subnet(VpcId=near, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    r.get_waiter("subnet_available").wait(SubnetIds=[subnet])
    pcx = r.create_vpc_peering_connection(VpcId=near, PeerVpcId=far, PeerOwnerId=B)[
        "VpcPeeringConnection"
    ]["VpcPeeringConnectionId"]
    for client in (r, a):
        client.get_waiter("vpc_peering_connection_exists").wait(VpcPeeringConnectionIds=[pcx])
    a.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    a.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    for client in (r, a):
        client.get_waiter("vpc_peering_connection_deleted").wait(VpcPeeringConnectionIds=[pcx])


def test_waiters_of_instances_and_interfaces(ec2):
    client = ec2()
    own = vpc(client, "10.0.0.0/16")
    subnet = client.create_subnet(VpcId=own, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    interface = client.create_network_interface(SubnetId=subnet)["NetworkInterface"]
    client.get_waiter("network_interface_available").wait(
        NetworkInterfaceIds=[interface["NetworkInterfaceId"]]
    )
    group = client.create_security_group(GroupName="g", Description="d", VpcId=own)["GroupId"]
    client.get_waiter("security_group_exists").wait(GroupIds=[group])
    (instance,) = client.run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=subnet
    )["Instances"]
    assert instance["State"] == {"Code": 0, "Name": "pending"}
    ids = [instance["InstanceId"]]
    client.get_waiter("instance_exists").wait(InstanceIds=ids)
    client.get_waiter("instance_running").wait(InstanceIds=ids)
    client.get_waiter("instance_status_ok").wait(InstanceIds=ids)
    client.get_waiter("system_status_ok").wait(InstanceIds=ids)
    client.terminate_instances(InstanceIds=ids)
    client.get_waiter("instance_terminated").wait(InstanceIds=ids)


# ---- the server's own pages -------------------------------------------------------------------------


def test_reset_empties_the_world(ec2, server):
    client = ec2()
    before = client.describe_vpcs()["Vpcs"]
    vpc(client, "10.0.0.0/16")
    assert server.own("reset", post="") == {"reset": True}
    assert len(client.describe_vpcs()["Vpcs"]) == len(before)


def test_virtual_time_moves_when_it_is_told_to(server, advance):
    begin = datetime.datetime.fromisoformat(server.own("clock")["now"])
    moved = datetime.datetime.fromisoformat(advance("36h")["now"])
    assert moved - begin == datetime.timedelta(hours=36)


@pytest.mark.server(clock="wall")
def test_nobody_moves_the_hosts_clock(server):
    import urllib.error

    with pytest.raises(urllib.error.HTTPError) as caught:
        server.own("clock/advance", post="by=1h")
    assert caught.value.code == 400


@pytest.mark.server(profile="seed")
def test_health_and_figures(server):
    health = server.own("health")
    assert (health["status"], health["profile"]) == ("ready", "seed")
    assert "vpclab_" in server.own("metrics")


@pytest.mark.server(profile="today")
def test_the_profile_is_told(server):
    assert server.own("health")["profile"] == "today"
