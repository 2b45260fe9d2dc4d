"""Every refusal that a client can match on: its code, and where it is a template, its message."""

import botocore.exceptions
import pytest

A, B = "111111111111", "222222222222"
DIGITS = "0123456789abcdef0"


class World:
    """One VPC with a subnet and a table of its own, as the rows below name their parts."""

    def __init__(self, client):
        self.client = client
        self.vpc = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnet = client.create_subnet(VpcId=self.vpc, CidrBlock="10.0.0.0/24")["Subnet"][
            "SubnetId"
        ]
        self.table = client.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        own = [{"Name": "vpc-id", "Values": [self.vpc]}]
        main = [*own, {"Name": "association.main", "Values": ["true"]}]
        (found,) = client.describe_route_tables(Filters=main)["RouteTables"]
        self.main = found["RouteTableId"]
        self.main_association = found["Associations"][0]["RouteTableAssociationId"]
        # A second VPC of the same account, with a table and a subnet.
        self.vpc2 = client.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        self.subnet2 = client.create_subnet(VpcId=self.vpc2, CidrBlock="10.1.0.0/24")["Subnet"][
            "SubnetId"
        ]
        # A peering of that one, so that there is a target of another network.
        self.vpc3 = client.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
        self.pcx2 = self.peer(self.vpc2, self.vpc3)
        self.pcx = self.peer(self.vpc, self.vpc3)

    def peer(self, near, far):
        answer = self.client.create_vpc_peering_connection(VpcId=near, PeerVpcId=far)
        pcx = answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        self.client.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
        return pcx

    def names(self):
        return vars(self) | {
            "no_vpc": f"vpc-{DIGITS}",
            "no_subnet": f"subnet-{DIGITS}",
            "no_table": f"rtb-{DIGITS}",
            "no_association": f"rtbassoc-{DIGITS}",
            "no_pcx": f"pcx-{DIGITS}",
        }


@pytest.fixture
def world(server):
    # The client library would refuse some of it by itself.
    return World(server.client("ec2", A, "us-east-1", parameter_validation=False))


# (call, parameters, code, message); `{name}` is a part of the world above. A message of None is one
# that AWS has never been seen to keep to.
REFUSALS = [
    # VPCs
    ("create_vpc", {}, "MissingParameter", None),
    ("create_vpc", {"CidrBlock": "10.0.0.0"}, "InvalidParameterValue", None),
    ("create_vpc", {"CidrBlock": "10.0.0.0/33"}, "InvalidParameterValue", None),
    ("create_vpc", {"CidrBlock": "ten"}, "InvalidParameterValue", None),
    ("create_vpc", {"CidrBlock": "10.0.0.0/15"}, "InvalidVpc.Range", "The CIDR '10.0.0.0/15' is invalid."),
    ("create_vpc", {"CidrBlock": "10.0.0.0/29"}, "InvalidVpc.Range", "The CIDR '10.0.0.0/29' is invalid."),
    ("create_vpc", {"CidrBlock": "169.254.0.0/16"}, "InvalidVpc.Range", "The CIDR '169.254.0.0/16' is invalid."),
    ("create_vpc", {"CidrBlock": "10.0.0.0/16", "InstanceTenancy": "x"}, "InvalidParameterValue", None),
    ("create_vpc", {"CidrBlock": "10.9.0.0/16", "AmazonProvidedIpv6CidrBlock": True}, "UnknownParameter", None),
    ("associate_vpc_cidr_block", {"VpcId": "{no_vpc}", "CidrBlock": "10.9.0.0/16"}, "InvalidVpcID.NotFound", "The vpc ID '{no_vpc}' does not exist"),
    ("disassociate_vpc_cidr_block", {"AssociationId": "vpc-cidr-assoc-" + DIGITS}, "InvalidVpcCidrBlockAssociationID.NotFound", None),
    ("delete_vpc", {"VpcId": "{no_vpc}"}, "InvalidVpcID.NotFound", "The vpc ID '{no_vpc}' does not exist"),
    ("delete_vpc", {"VpcId": "vpc-nothex"}, "InvalidVpcID.Malformed", None),
    ("delete_vpc", {"VpcId": "{subnet}"}, "InvalidVpcID.Malformed", None),
    ("delete_vpc", {"VpcId": "{vpc}"}, "DependencyViolation", "The vpc '{vpc}' has dependencies and cannot be deleted."),
    ("describe_vpcs", {"VpcIds": ["{no_vpc}"]}, "InvalidVpcID.NotFound", "The vpc ID '{no_vpc}' does not exist"),
    ("describe_vpcs", {"VpcIds": ["{vpc}", "{no_vpc}"]}, "InvalidVpcID.NotFound", "The vpc ID '{no_vpc}' does not exist"),
    ("describe_vpc_attribute", {"VpcId": "{no_vpc}", "Attribute": "enableDnsSupport"}, "InvalidVpcID.NotFound", "The vpc ID '{no_vpc}' does not exist"),
    ("describe_vpc_attribute", {"VpcId": "{vpc}", "Attribute": "colour"}, "InvalidParameterValue", None),
    ("modify_vpc_attribute", {"VpcId": "{no_vpc}", "EnableDnsSupport": {"Value": True}}, "InvalidVpcID.NotFound", "The vpc ID '{no_vpc}' does not exist"),
    ("modify_vpc_attribute", {"VpcId": "{vpc}", "EnableDnsSupport": {"Value": True}, "EnableDnsHostnames": {"Value": True}}, "InvalidParameterCombination", None),
    # Subnets
    ("create_subnet", {"VpcId": "{no_vpc}", "CidrBlock": "10.0.1.0/24"}, "InvalidVpcID.NotFound", "The vpc ID '{no_vpc}' does not exist"),
    ("create_subnet", {"VpcId": "{vpc}"}, "MissingParameter", None),
    ("create_subnet", {"VpcId": "{vpc}", "CidrBlock": "x"}, "InvalidParameterValue", None),
    ("create_subnet", {"VpcId": "{vpc}", "CidrBlock": "10.1.0.0/24"}, "InvalidSubnet.Range", "The CIDR '10.1.0.0/24' is invalid."),
    ("create_subnet", {"VpcId": "{vpc}", "CidrBlock": "10.0.1.0/29"}, "InvalidSubnet.Range", "The CIDR '10.0.1.0/29' is invalid."),
    ("create_subnet", {"VpcId": "{vpc}", "CidrBlock": "10.0.0.0/15"}, "InvalidSubnet.Range", "The CIDR '10.0.0.0/15' is invalid."),
    ("create_subnet", {"VpcId": "{vpc}", "CidrBlock": "10.0.0.128/25"}, "InvalidSubnet.Conflict", "The CIDR '10.0.0.128/25' conflicts with another subnet"),
    ("create_subnet", {"VpcId": "{vpc}", "CidrBlock": "10.0.1.0/24", "AvailabilityZone": "us-east-1z"}, "InvalidParameterValue", None),
    ("delete_subnet", {"SubnetId": "{no_subnet}"}, "InvalidSubnetID.NotFound", "The subnet ID '{no_subnet}' does not exist"),
    ("delete_subnet", {"SubnetId": "subnet-?"}, "InvalidSubnetID.Malformed", None),
    ("describe_subnets", {"SubnetIds": ["{no_subnet}"]}, "InvalidSubnetID.NotFound", "The subnet ID '{no_subnet}' does not exist"),
    # Route tables
    ("create_route_table", {"VpcId": "{no_vpc}"}, "InvalidVpcID.NotFound", "The vpc ID '{no_vpc}' does not exist"),
    ("describe_route_tables", {"RouteTableIds": ["{no_table}"]}, "InvalidRouteTableID.NotFound", "The routeTable ID '{no_table}' does not exist"),
    ("describe_route_tables", {"RouteTableIds": ["rtb-xyz"]}, "InvalidRouteTableId.Malformed", None),
    ("delete_route_table", {"RouteTableId": "{no_table}"}, "InvalidRouteTableID.NotFound", "The routeTable ID '{no_table}' does not exist"),
    ("delete_route_table", {"RouteTableId": "{main}"}, "DependencyViolation", "The routeTable '{main}' has dependencies and cannot be deleted."),
    ("associate_route_table", {"RouteTableId": "{no_table}", "SubnetId": "{subnet}"}, "InvalidRouteTableID.NotFound", "The routeTable ID '{no_table}' does not exist"),
    ("associate_route_table", {"RouteTableId": "{table}", "SubnetId": "{no_subnet}"}, "InvalidSubnetID.NotFound", "The subnet ID '{no_subnet}' does not exist"),
    ("associate_route_table", {"RouteTableId": "{table}", "SubnetId": "{subnet2}"}, "InvalidParameterValue", None),
    ("disassociate_route_table", {"AssociationId": "{no_association}"}, "InvalidAssociationID.NotFound", "The association ID '{no_association}' does not exist"),
    ("disassociate_route_table", {"AssociationId": "{main_association}"}, "InvalidParameterValue", None),
    ("replace_route_table_association", {"AssociationId": "{no_association}", "RouteTableId": "{table}"}, "InvalidAssociationID.NotFound", "The association ID '{no_association}' does not exist"),
    # Routes
    ("create_route", {"RouteTableId": "{no_table}", "DestinationCidrBlock": "10.2.0.0/16", "VpcPeeringConnectionId": "{pcx}"}, "InvalidRouteTableID.NotFound", "The routeTable ID '{no_table}' does not exist"),
    ("create_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "10.2.0.0/16"}, "MissingParameter", None),
    ("create_route", {"RouteTableId": "{table}", "VpcPeeringConnectionId": "{pcx}"}, "MissingParameter", None),
    ("create_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "10.2.0.0/16", "VpcPeeringConnectionId": "{pcx}", "GatewayId": "igw-" + DIGITS}, "InvalidParameterCombination", None),
    ("create_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "wide", "VpcPeeringConnectionId": "{pcx}"}, "InvalidParameterValue", None),
    ("create_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "10.2.0.0/16", "VpcPeeringConnectionId": "{no_pcx}"}, "InvalidVpcPeeringConnectionID.NotFound", "The vpcPeeringConnection ID '{no_pcx}' does not exist"),
    ("create_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "10.2.0.0/16", "VpcPeeringConnectionId": "pcx-?"}, "InvalidVpcPeeringConnectionId.Malformed", None),
    ("create_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "10.2.0.0/16", "VpcPeeringConnectionId": "{pcx2}"}, "InvalidParameterValue", "route table {table} and network gateway {pcx2} belong to different networks"),
    ("create_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "10.0.0.0/16", "VpcPeeringConnectionId": "{pcx}"}, "InvalidParameterValue", None),
    ("create_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "10.0.3.0/24", "VpcPeeringConnectionId": "{pcx}"}, "InvalidParameterValue", None),
    ("create_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "169.254.169.0/24", "VpcPeeringConnectionId": "{pcx}"}, "InvalidParameterValue", None),
    ("create_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-" + DIGITS}, "InvalidGatewayID.NotFound", None),
    ("create_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-" + DIGITS}, "InvalidNatGatewayID.NotFound", None),
    ("create_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "0.0.0.0/0", "NetworkInterfaceId": "eni-" + DIGITS}, "InvalidNetworkInterfaceID.NotFound", None),
    ("create_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "0.0.0.0/0", "InstanceId": "i-" + DIGITS}, "InvalidInstanceID.NotFound", f"The instance ID 'i-{DIGITS}' does not exist"),
    ("replace_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "10.2.0.0/16", "VpcPeeringConnectionId": "{pcx}"}, "InvalidParameterValue", "There is no route defined for '10.2.0.0/16' in the route table {table}. Use CreateRoute instead."),
    ("delete_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "10.2.0.0/16"}, "InvalidRoute.NotFound", "no route with destination-cidr-block 10.2.0.0/16 in route table {table}"),
    ("delete_route", {"RouteTableId": "{table}", "DestinationCidrBlock": "10.0.0.0/16"}, "InvalidParameterValue", "cannot remove local route 10.0.0.0/16 in route table {table}"),
    # Tags
    ("create_tags", {"Resources": ["{no_vpc}"], "Tags": [{"Key": "a", "Value": "b"}]}, "InvalidID", "The ID '{no_vpc}' is not valid"),
    ("create_tags", {"Resources": ["thing"], "Tags": [{"Key": "a", "Value": "b"}]}, "InvalidID", None),
    ("create_tags", {"Resources": ["{vpc}"], "Tags": [{"Key": "aws:a", "Value": "b"}]}, "InvalidParameterValue", None),
    ("create_tags", {"Resources": ["{vpc}"], "Tags": [{"Key": "k" * 128, "Value": "v" * 257}]}, "InvalidParameterValue", None),
    ("create_tags", {"Resources": ["{vpc}"], "Tags": [{"Key": "k" * 129, "Value": ""}]}, "InvalidParameterValue", None),
    ("create_tags", {"Resources": ["{vpc}"], "Tags": [{"Key": f"k{n}", "Value": ""} for n in range(51)]}, "TagLimitExceeded", None),
    # Filters and pages
    ("describe_vpcs", {"Filters": [{"Name": "colour", "Values": ["red"]}]}, "InvalidParameterValue", "The filter 'colour' is invalid"),
    ("describe_vpcs", {"MaxResults": 4}, "InvalidParameterValue", None),
    ("describe_vpcs", {"MaxResults": 1001}, "InvalidParameterValue", None),
    ("describe_route_tables", {"MaxResults": 101}, "InvalidParameterValue", None),
    ("describe_vpcs", {"NextToken": "no token of ours"}, "InvalidNextToken", None),
    ("describe_regions", {"RegionNames": ["eu-nowhere-1"]}, "InvalidParameterValue", "Invalid region name 'eu-nowhere-1'"),
]


def fill(value, names):
    match value:
        case str():
            for name, text in names.items():
                if isinstance(text, str):
                    value = value.replace("{" + name + "}", text)
            return value
        case list():
            return [fill(item, names) for item in value]
        case dict():
            return {key: fill(item, names) for key, item in value.items()}
        case _:
            return value


def everything(client):
    """All that the account has, as it is shown."""
    answers = [
        client.describe_vpcs(),
        client.describe_subnets(),
        client.describe_route_tables(),
        client.describe_vpc_peering_connections(),
        client.describe_tags(),
    ]
    for answer in answers:
        del answer["ResponseMetadata"]
    return answers


def test_refusals(world):
    """All rows against one world: a refusal changes nothing, so that none can spoil the next."""
    before = everything(world.client)
    names = world.names()
    wrong = []
    for call, parameters, code, message in REFUSALS:
        parameters = fill(parameters, names)
        try:
            getattr(world.client, call)(**parameters)
            wrong.append(f"{call} {parameters}: not refused, wanted {code}")
            continue
        except botocore.exceptions.ClientError as error:
            got = error.response["Error"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if (got["Code"], status) != (code, 400):
            wrong.append(f"{call} {parameters}: {status} {got}, wanted {code}")
        elif message is not None and got["Message"] != fill(message, names):
            wrong.append(f"{call} {parameters}: {got['Message']!r}, wanted {fill(message, names)!r}")
    assert not wrong, "\n".join(wrong)
    assert everything(world.client) == before


def test_a_route_that_exists(world, refused):
    more = {"RouteTableId": world.table, "VpcPeeringConnectionId": world.pcx}
    world.client.create_route(DestinationCidrBlock="10.2.0.0/16", **more)
    with refused("RouteAlreadyExists", "The route identified by 10.2.0.0/16 already exists."):
        world.client.create_route(DestinationCidrBlock="10.2.0.0/16", **more)


def test_an_association_that_exists(world, refused):
    world.client.associate_route_table(RouteTableId=world.table, SubnetId=world.subnet)
    with refused("Resource.AlreadyAssociated"):
        world.client.associate_route_table(RouteTableId=world.main, SubnetId=world.subnet)
    with refused(
        "DependencyViolation",
        f"The routeTable '{world.table}' has dependencies and cannot be deleted.",
    ):
        world.client.delete_route_table(RouteTableId=world.table)


def test_requests_that_are_none(server):
    """What only a hand-made request can send."""
    for form, code in [
        ("", "MissingAction"),
        ("Version=2016-11-15", "MissingAction"),
        ("Action=&Version=2016-11-15", "MissingAction"),
        ("Action=LaunchRocket&Version=2016-11-15", "InvalidAction"),
        ("Action=describevpcs&Version=2016-11-15", "InvalidAction"),
        ("Action=DescribeVpcs&DryRun=perhaps", "InvalidParameterValue"),
        ("Action=DescribeVpcs&MaxResults=x", "InvalidParameterValue"),
        ("Action=DescribeVpcs&MaxResults=-5", "InvalidParameterValue"),
        ("Action=DescribeVpcs&Filter.1.Name=vpc-id", "InvalidParameterValue"),
        ("Action=DescribeVpcs&Filter.1.Value.1=x", "MissingParameter"),
    ]:
        status, body = server.wire(form)
        assert status == 400, form
        assert f"<Code>{code}</Code>".encode() in body, (form, body)
        assert b"<RequestID>" in body


def test_what_a_client_of_2014_sends(server):
    """Any version is answered in its own namespace; a list of one needs no number."""
    server.wire("Action=CreateVpc&CidrBlock=10.7.0.0/16&Version=2014-02-01")
    status, body = server.wire(
        "Action=DescribeVpcs&Version=2014-02-01&Filter.1.Name=cidr&Filter.1.Value=10.7.0.0/16"
    )
    assert status == 200
    assert body.count(b"<vpcId>") == 1
    assert b'xmlns="http://ec2.amazonaws.com/doc/2014-02-01/"' in body


def test_an_unknown_action_says_where_to_look(server):
    _, body = server.wire("Action=CreateTransitGateway&Version=2016-11-15")
    assert b"ec2-coverage" in body
