"""Accounts and regions are apart: what another has reads exactly like what nobody has."""

import re

import pytest

A, B = "111111111111", "222222222222"

# What a stranger tries with one id, as hand-made requests, so that answers can be compared as bytes.
ATTEMPTS = {
    "vpc": [
        "Action=DescribeVpcs&VpcId.1={id}",
        "Action=DescribeVpcAttribute&VpcId={id}&Attribute=enableDnsSupport",
        "Action=ModifyVpcAttribute&VpcId={id}&EnableDnsHostnames.Value=true",
        "Action=DeleteVpc&VpcId={id}",
        "Action=CreateSubnet&VpcId={id}&CidrBlock=10.0.9.0/24",
        "Action=CreateRouteTable&VpcId={id}",
        "Action=AssociateVpcCidrBlock&VpcId={id}&CidrBlock=10.9.0.0/16",
        "Action=CreateVpcPeeringConnection&VpcId={id}&PeerVpcId={own}",
        "Action=CreateTags&ResourceId.1={id}&Tag.1.Key=a&Tag.1.Value=b",
        "Action=DeleteTags&ResourceId.1={id}&Tag.1.Key=a",
        "Action=CreateSecurityGroup&VpcId={id}&GroupName=g&GroupDescription=d",
        "Action=CreateNetworkAcl&VpcId={id}",
        "Action=DescribeStaleSecurityGroups&VpcId={id}",
        "Action=DescribeVpcs&Filter.1.Name=vpc-id&Filter.1.Value.1={id}",
        "Action=DescribeSubnets&Filter.1.Name=vpc-id&Filter.1.Value.1={id}",
        "Action=DescribeRouteTables&Filter.1.Name=vpc-id&Filter.1.Value.1={id}",
        "Action=DescribeTags&Filter.1.Name=resource-id&Filter.1.Value.1={id}",
    ],
    "subnet": [
        "Action=DescribeSubnets&SubnetId.1={id}",
        "Action=DeleteSubnet&SubnetId={id}",
        "Action=AssociateRouteTable&SubnetId={id}&RouteTableId={own_table}",
        "Action=CreateTags&ResourceId.1={id}&Tag.1.Key=a&Tag.1.Value=b",
        "Action=CreateNetworkInterface&SubnetId={id}",
        "Action=RunInstances&ImageId=ami-12345678&MinCount=1&MaxCount=1&SubnetId={id}",
        "Action=DescribeSubnets&Filter.1.Name=subnet-id&Filter.1.Value.1={id}",
    ],
    "rtb": [
        "Action=DescribeRouteTables&RouteTableId.1={id}",
        "Action=DeleteRouteTable&RouteTableId={id}",
        "Action=CreateRoute&RouteTableId={id}&DestinationCidrBlock=10.9.0.0/16"
        "&VpcPeeringConnectionId=pcx-0123456789abcdef0",
        "Action=DeleteRoute&RouteTableId={id}&DestinationCidrBlock=10.0.0.0/16",
        "Action=AssociateRouteTable&SubnetId={own_subnet}&RouteTableId={id}",
        "Action=CreateTags&ResourceId.1={id}&Tag.1.Key=a&Tag.1.Value=b",
    ],
    "rtbassoc": [
        "Action=DisassociateRouteTable&AssociationId={id}",
        "Action=ReplaceRouteTableAssociation&AssociationId={id}&RouteTableId={own_table}",
    ],
    "pcx": [
        "Action=DescribeVpcPeeringConnections&VpcPeeringConnectionId.1={id}",
        "Action=AcceptVpcPeeringConnection&VpcPeeringConnectionId={id}",
        "Action=RejectVpcPeeringConnection&VpcPeeringConnectionId={id}",
        "Action=DeleteVpcPeeringConnection&VpcPeeringConnectionId={id}",
        "Action=CreateRoute&RouteTableId={own_table}&DestinationCidrBlock=10.9.0.0/16"
        "&VpcPeeringConnectionId={id}",
        "Action=CreateTags&ResourceId.1={id}&Tag.1.Key=a&Tag.1.Value=b",
        "Action=DescribeVpcPeeringConnections&Filter.1.Name=vpc-peering-connection-id"
        "&Filter.1.Value.1={id}",
    ],
    "vpc-cidr-assoc": ["Action=DisassociateVpcCidrBlock&AssociationId={id}"],
    "acl": [
        "Action=DescribeNetworkAcls&NetworkAclId.1={id}",
        "Action=DeleteNetworkAcl&NetworkAclId={id}",
        "Action=CreateNetworkAclEntry&NetworkAclId={id}&RuleNumber=1&Protocol=-1&RuleAction=allow"
        "&Egress=true&CidrBlock=0.0.0.0/0",
        "Action=DeleteNetworkAclEntry&NetworkAclId={id}&RuleNumber=100&Egress=true",
        "Action=CreateTags&ResourceId.1={id}&Tag.1.Key=a&Tag.1.Value=b",
    ],
    "aclassoc": [
        "Action=ReplaceNetworkAclAssociation&AssociationId={id}&NetworkAclId=acl-0123456789abcdef0"
    ],
    "sg": [
        "Action=DescribeSecurityGroups&GroupId.1={id}",
        "Action=DeleteSecurityGroup&GroupId={id}",
        "Action=AuthorizeSecurityGroupIngress&GroupId={id}&IpProtocol=tcp&FromPort=1&ToPort=2"
        "&CidrIp=10.0.0.0/8",
        "Action=CreateTags&ResourceId.1={id}&Tag.1.Key=a&Tag.1.Value=b",
    ],
    "i": [
        "Action=DescribeInstances&InstanceId.1={id}",
        "Action=TerminateInstances&InstanceId.1={id}",
        "Action=DescribeInstanceAttribute&InstanceId={id}&Attribute=sourceDestCheck",
        "Action=CreateTags&ResourceId.1={id}&Tag.1.Key=a&Tag.1.Value=b",
    ],
    "eni": [
        "Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={id}",
        "Action=DeleteNetworkInterface&NetworkInterfaceId={id}",
        "Action=CreateTags&ResourceId.1={id}&Tag.1.Key=a&Tag.1.Value=b",
    ],
}


def resources(client):
    """Something of each kind."""
    vpc = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
    vpc_id = vpc["VpcId"]
    subnet = client.create_subnet(VpcId=vpc_id, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    table = client.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]
    association = client.associate_route_table(RouteTableId=table, SubnetId=subnet)
    far = client.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    pcx = client.create_vpc_peering_connection(VpcId=vpc_id, PeerVpcId=far)
    own = [{"Name": "vpc-id", "Values": [vpc_id]}]
    (acl,) = client.describe_network_acls(Filters=own)["NetworkAcls"]
    (group,) = client.describe_security_groups(Filters=own)["SecurityGroups"]
    instance = client.run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=subnet
    )["Instances"][0]
    return {
        "vpc": vpc_id,
        "vpc-cidr-assoc": vpc["CidrBlockAssociationSet"][0]["AssociationId"],
        "subnet": subnet,
        "rtb": table,
        "rtbassoc": association["AssociationId"],
        "pcx": pcx["VpcPeeringConnection"]["VpcPeeringConnectionId"],
        "acl": acl["NetworkAclId"],
        "aclassoc": acl["Associations"][0]["NetworkAclAssociationId"],
        "sg": group["GroupId"],
        "i": instance["InstanceId"],
        "eni": instance["NetworkInterfaces"][0]["NetworkInterfaceId"],
    }


@pytest.mark.parametrize("stranger", [(B, "us-east-1"), (A, "eu-west-1")], ids=["account", "region"])
def test_what_is_anothers_reads_like_what_is_nobodys(server, ec2, stranger):
    theirs = resources(ec2(A))
    own = ec2(*stranger)
    own_vpc = own.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
    names = {
        "own": own_vpc,
        "own_subnet": own.create_subnet(VpcId=own_vpc, CidrBlock="10.5.0.0/24")["Subnet"][
            "SubnetId"
        ],
        "own_table": own.create_route_table(VpcId=own_vpc)["RouteTable"]["RouteTableId"],
    }
    account, region = stranger
    different = []
    for kind, attempts in ATTEMPTS.items():
        nobodys = f"{kind}-0123456789abcdef0"
        for attempt in attempts:
            answers = []
            for tried in (theirs[kind], nobodys):
                status, body = server.wire(
                    attempt.format(id=tried, **names) + "&Version=2016-11-15",
                    account=account,
                    region=region,
                )
                assert b"InvalidAction" not in body, attempt
                body = re.sub(rb"(?i)<requestid>.*?</requestid>", b"", body)
                answers.append((status, body.replace(tried.encode(), b"ID")))
            if answers[0] != answers[1]:
                different.append((attempt, *answers))
    assert not different, "\n".join(map(str, different))


def test_lists_hold_ones_own_only(ec2):
    resources(ec2(A))
    for other in (ec2(B), ec2(A, "eu-west-1")):
        assert all(v["IsDefault"] for v in other.describe_vpcs()["Vpcs"])
        assert all(s["DefaultForAz"] for s in other.describe_subnets()["Subnets"])
        assert other.describe_vpc_peering_connections()["VpcPeeringConnections"] == []
        assert other.describe_instances()["Reservations"] == []
        assert other.describe_network_interfaces()["NetworkInterfaces"] == []
        assert len(other.describe_security_groups()["SecurityGroups"]) <= 1
        assert len(other.describe_route_tables()["RouteTables"]) <= 1
        assert other.describe_tags()["Tags"] == []


def test_who_am_i(sts):
    for account in (A, B):
        answer = sts(account).get_caller_identity()
        assert answer["Account"] == account
        assert answer["UserId"] == account
        assert answer["Arn"] == f"arn:aws:iam::{account}:root"


def test_a_role_is_of_its_account(server, sts, ec2):
    import boto3

    given = sts(A).assume_role(
        RoleArn=f"arn:aws:iam::{B}:role/team/builder", RoleSessionName="story"
    )
    assert given["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{B}:assumed-role/builder/story"
    keys = given["Credentials"]
    session = boto3.Session(
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        region_name="us-east-1",
    )
    me = session.client("sts", endpoint_url=server.url).get_caller_identity()
    assert (me["Account"], me["Arn"]) == (B, f"arn:aws:sts::{B}:assumed-role/builder/story")
    vpc = session.client("ec2", endpoint_url=server.url).create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
    assert vpc["OwnerId"] == B
    assert vpc["VpcId"] in [v["VpcId"] for v in ec2(B).describe_vpcs()["Vpcs"]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"RoleArn": "arn:aws:iam::12:role/x", "RoleSessionName": "story"},
        {"RoleArn": f"arn:aws:iam::{B}:user/someone-else", "RoleSessionName": "story"},
        {"RoleArn": f"arn:aws:iam::{B}:role/x", "RoleSessionName": "has blanks"},
        {"RoleArn": f"arn:aws:iam::{B}:role/x", "RoleSessionName": "story", "DurationSeconds": 899},
    ],
)
def test_roles_that_are_none(server, refused, wrong):
    sts = server.client("sts", A, "us-east-1", parameter_validation=False)
    with refused("ValidationError"):
        sts.assume_role(**wrong)
