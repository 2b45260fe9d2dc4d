"""The network that tests of traffic and of Network Insights ask about."""

import json
import subprocess

import pytest

from conftest import BINARY

A, B = "111111111111", "222222222222"


class Lab:
    """Two VPCs of two accounts, peered, and a third beyond the second; a host in each."""

    def __init__(self, server, ec2):
        self.server, self.ec2 = server, ec2
        self.hosts, self.vpcs, self.tables, self.groups, self.subnets = [], [], [], [], []
        for n, account in enumerate((A, B, A)):
            client = ec2(account)
            vpc = client.create_vpc(CidrBlock=f"10.{n}.0.0/16")["Vpc"]["VpcId"]
            subnet = client.create_subnet(VpcId=vpc, CidrBlock=f"10.{n}.1.0/24")["Subnet"]
            group = client.create_security_group(
                GroupName=f"g{n}", Description="of the lab", VpcId=vpc
            )["GroupId"]
            client.authorize_security_group_ingress(
                GroupId=group,
                IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
            )
            run = client.run_instances(
                ImageId="ami-12345678",
                InstanceType="t3.micro",
                MinCount=1,
                MaxCount=1,
                SubnetId=subnet["SubnetId"],
                SecurityGroupIds=[group],
            )
            tables = client.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
            self.hosts.append(run["Instances"][0]["InstanceId"])
            self.vpcs.append(vpc)
            self.subnets.append(subnet["SubnetId"])
            self.groups.append(group)
            self.tables.append(tables["RouteTables"][0]["RouteTableId"])
        self.ab = self.peer(0, 1)
        self.bc = self.peer(1, 2)
        for table, far, peering in [(0, 1, self.ab), (1, 0, self.ab), (1, 2, self.bc), (2, 1, self.bc)]:
            self.route(table, far, peering)
        # The way from A to C over B: legal to write, and leads nowhere.
        self.route(0, 2, self.ab)

    def account(self, n):
        return (A, B, A)[n]

    def client(self, n):
        return self.ec2(self.account(n))

    def peer(self, a, b):
        peering = self.client(a).create_vpc_peering_connection(
            VpcId=self.vpcs[a], PeerVpcId=self.vpcs[b], PeerOwnerId=self.account(b)
        )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        self.client(b).accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
        return peering

    def route(self, table, far, peering):
        self.client(table).create_route(
            RouteTableId=self.tables[table],
            DestinationCidrBlock=f"10.{far}.0.0/16",
            VpcPeeringConnectionId=peering,
        )

    def ask(self, page, **body):
        return self.server.own(page, post=json.dumps(body))

    def run(self, *words):
        return subprocess.run(
            [str(BINARY), *words, "--endpoint", self.server.url], capture_output=True, text=True
        )


@pytest.fixture
def lab(server, ec2):
    return Lab(server, ec2)
