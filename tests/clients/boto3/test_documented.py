"""The peering configurations of the AWS guide, built through the API, behave as the scenarios say.

Each scenario file under `scenarios/documented` is read and carried out: its network with boto3, its
steps with boto3 and with packets inside the server. The scenario runner takes another way to the same
verdicts, so a difference is a fault of the API.
"""

import ipaddress
import json
import pathlib
import re

import botocore.exceptions
import pytest
import yaml

SCENARIOS = pathlib.Path(__file__).resolve().parents[3] / "scenarios" / "documented"

# What EC2's API has no call for.
NOT_BY_API = {
    "u6-vpn": "a host on premises",
    "u7-direct-connect": "a host on premises",
    "u8-internet-gateway": "a host on the internet",
    "u8-v6": "a host on the internet",
    "u9-nat-gateway": "a host on the internet",
    "u9-nat-instance": "a host on the internet, an instance that translates",
    "u10-gateway-endpoint": "a host of a service",
}


def scenario(path):
    text = path.read_text()
    # `{::/0: x}` is a mapping in YAML 1.2, and a mistake in this reader's YAML 1.1.
    return yaml.safe_load(re.sub(r"([{ ])(::/0):", r'\1"\2":', text))


def files():
    """The scenarios that can be built, each with the server that it wants."""
    rows = []
    for path in sorted(SCENARIOS.glob("*.yaml")):
        if path.stem not in NOT_BY_API:
            mark = pytest.mark.server(profile=scenario(path).get("profile", "seed"))
            rows.append(pytest.param(path, id=path.stem, marks=mark))
    return rows


class Lab:
    """A scenario's network on a server: its labels, and what they stand for there."""

    def __init__(self, ec2, server, file):
        self.ec2, self.server, self.file = ec2, server, file
        self.accounts = {
            label: account["id"] for label, account in file.get("accounts", {}).items()
        }
        self.vpcs, self.tables, self.subnets, self.peerings = {}, {}, {}, {}
        self.instances, self.interfaces, self.groups = {}, {}, {}
        for label, vpc in file["vpcs"].items():
            self.make_vpc(label, vpc)
        for label, peering in file.get("peerings", {}).items():
            self.request(label, peering["requester"], peering["accepter"])
            if peering.get("accepted", True):
                self.of(peering["accepter"]).accept_vpc_peering_connection(
                    VpcPeeringConnectionId=self.peerings[label]
                )
        for table, routes in file.get("routes", {}).items():
            for destination, target in routes.items():
                self.route("create_route", table, destination, target)
        for label, instance in file.get("instances", {}).items():
            self.make_instance(label, instance)

    # ---- who ---------------------------------------------------------------------------------

    def account(self, label):
        """The account of a label, or of a VPC's."""
        if label is None:
            (only,) = self.accounts.values() or ["111111111111"]
            return only
        return self.accounts.get(label, label)

    def of(self, vpc):
        """The client of a VPC's owner."""
        spec = self.file["vpcs"][vpc]
        return self.ec2(self.account(spec.get("account")), spec.get("region", "us-east-1"))

    def as_(self, step, otherwise):
        """The client of whoever takes a step."""
        who = step.get("as")
        return self.ec2(self.account(who), "us-east-1") if who else otherwise

    # ---- building ----------------------------------------------------------------------------

    def make_vpc(self, label, spec):
        client = self.of(label)
        blocks = spec["cidr"] if isinstance(spec["cidr"], list) else [spec["cidr"]]
        vpc = client.create_vpc(CidrBlock=blocks[0])["Vpc"]["VpcId"]
        self.vpcs[label] = vpc
        for block in blocks[1:]:
            client.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=block)
        v6 = spec.get("ipv6", [])
        for block in [v6] if isinstance(v6, str) else v6:
            client.associate_vpc_cidr_block(VpcId=vpc, Ipv6CidrBlock=block)
        filters = [
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "association.main", "Values": ["true"]},
        ]
        (main,) = client.describe_route_tables(Filters=filters)["RouteTables"]
        self.tables[label] = main["RouteTableId"]
        for table in spec.get("route_tables", []):
            made = client.create_route_table(VpcId=vpc)["RouteTable"]
            self.tables[f"{label}/{table}"] = made["RouteTableId"]
        # A file that names no subnet has one in each block.
        subnets = spec.get("subnets") or {
            f"default-{n}": {"cidr": block, **self.default_v6(v6, n)}
            for n, block in enumerate(blocks, 1)
        }
        for name, subnet in subnets.items():
            self.make_subnet(label, name, subnet)
        self.groups[label] = client.create_security_group(
            VpcId=vpc, GroupName="open", Description="everything"
        )["GroupId"]
        # A group is born with these rules for what goes out; IPv6 may have come after it.
        everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        if self.file.get("profile") == "today":
            everything["Ipv6Ranges"] = [{"CidrIpv6": "::/0"}]
            (born,) = client.describe_security_groups(GroupIds=[self.groups[label]])[
                "SecurityGroups"
            ]
            if not any(rule["Ipv6Ranges"] for rule in born["IpPermissionsEgress"]):
                client.authorize_security_group_egress(
                    GroupId=self.groups[label],
                    IpPermissions=[{"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}],
                )
        client.authorize_security_group_ingress(
            GroupId=self.groups[label], IpPermissions=[everything]
        )

    @staticmethod
    def default_v6(v6, n):
        v6 = [v6] if isinstance(v6, str) else v6
        return {"ipv6": v6[0].replace("/56", "/64")} if v6 and n == 1 else {}

    def make_subnet(self, vpc, name, spec):
        more = {"Ipv6CidrBlock": spec["ipv6"]} if "ipv6" in spec else {}
        if "az" in spec:
            more["AvailabilityZone"] = spec["az"]
        client = self.of(vpc)
        subnet = client.create_subnet(VpcId=self.vpcs[vpc], CidrBlock=spec["cidr"], **more)
        subnet = subnet["Subnet"]["SubnetId"]
        self.subnets.setdefault(vpc, {})[name] = (subnet, spec["cidr"])
        if "route_table" in spec:
            table = self.tables[f"{vpc}/{spec['route_table']}"]
            client.associate_route_table(RouteTableId=table, SubnetId=subnet)

    def make_instance(self, label, spec):
        vpc, _, subnet = spec.get("subnet", spec.get("vpc", "")).partition("/")
        if subnet:
            subnet_id, _ = self.subnets[vpc][subnet]
        else:
            address = ipaddress.ip_address(spec["ip"])
            (subnet_id,) = [
                id
                for id, block in self.subnets[vpc].values()
                if address in ipaddress.ip_network(block)
            ]
        interface = {
            "DeviceIndex": 0,
            "SubnetId": subnet_id,
            "PrivateIpAddress": spec["ip"],
            "Groups": [self.groups[vpc]],
        }
        if "ipv6" in spec:
            interface["Ipv6Addresses"] = [{"Ipv6Address": spec["ipv6"]}]
        assert set(spec) <= {"vpc", "subnet", "ip", "ipv6"}, spec
        (made,) = self.of(vpc).run_instances(
            ImageId="ami-0123456789abcdef0",
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[interface],
        )["Instances"]
        self.instances[label] = made["InstanceId"]
        self.interfaces[label] = made["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def request(self, label, requester, accepter, *, client=None, **more):
        spec = self.file["vpcs"][accepter]
        more.setdefault("PeerOwnerId", self.account(spec.get("account")))
        answer = (client or self.of(requester)).create_vpc_peering_connection(
            VpcId=self.vpcs[requester], PeerVpcId=self.vpcs[accepter], **more
        )
        self.peerings[label] = answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]

    def route(self, call, table, destination, target=None, *, client=None):
        family = "DestinationIpv6CidrBlock" if ":" in destination else "DestinationCidrBlock"
        more = {"VpcPeeringConnectionId": self.peerings[target]} if target else {}
        client = client or self.of(table.partition("/")[0])
        getattr(client, call)(RouteTableId=self.tables[table], **{family: destination}, **more)

    # ---- steps -------------------------------------------------------------------------------

    def ends(self, label):
        """The owners of the two ends of a peering."""
        for verb in self.file.get("peerings", {}).items():
            if verb[0] == label:
                return verb[1]["requester"], verb[1]["accepter"]
        for step in self.file["steps"]:
            asked = step.get("request-peering")
            if asked and asked["name"] == label:
                return asked["requester"], asked["accepter"]
        raise KeyError(label)

    def state(self, label):
        client = self.of(self.ends(label)[0])
        (shown,) = client.describe_vpc_peering_connections(
            VpcPeeringConnectionIds=[self.peerings[label]]
        )["VpcPeeringConnections"]
        return shown["Status"]["Code"]

    def route_state(self, table, destination, client):
        (shown,) = client.describe_route_tables(RouteTableIds=[self.tables[table]])["RouteTables"]
        (route,) = [
            r
            for r in shown["Routes"]
            if destination in (r.get("DestinationCidrBlock"), r.get("DestinationIpv6CidrBlock"))
        ]
        return route["State"]

    def command(self, verb, spec, step):
        """Takes a step that is no traffic; returns the state that it is expected to lead to."""
        match verb:
            case "request-peering":
                more = {}
                if "peer-owner" in spec:
                    more["PeerOwnerId"] = self.account(spec["peer-owner"])
                if "peer-region" in spec:
                    more["PeerRegion"] = spec["peer-region"]
                client = self.as_(step, self.of(spec["requester"]))
                self.request(
                    spec["name"], spec["requester"], spec["accepter"], client=client, **more
                )
                return self.state(spec["name"])
            case "accept-peering" | "delete-peering" | "describe-peering":
                client = self.as_(step, self.of(self.ends(spec)[verb == "accept-peering"]))
                pcx = self.peerings[spec]
                match verb:
                    case "accept-peering":
                        client.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
                    case "delete-peering":
                        client.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
                    case _:
                        client.describe_vpc_peering_connections(VpcPeeringConnectionIds=[pcx])
                return self.state(spec)
            case "create-route" | "replace-route" | "delete-route":
                client = self.as_(step, self.of(spec["table"].partition("/")[0]))
                call = verb.replace("-", "_")
                self.route(
                    call, spec["table"], spec["destination"], spec.get("target"), client=client
                )
                return None
            case "describe-route":
                client = self.as_(step, self.of(spec["table"].partition("/")[0]))
                return self.route_state(spec["table"], spec["destination"], client)
            case "associate-vpc-cidr-block":
                family = "Ipv6CidrBlock" if ":" in spec["cidr"] else "CidrBlock"
                self.of(spec["vpc"]).associate_vpc_cidr_block(
                    VpcId=self.vpcs[spec["vpc"]], **{family: spec["cidr"]}
                )
                return None
            case "create-subnet":
                self.make_subnet(spec["vpc"], spec["name"], spec)
                return None
            case "run-instance":
                self.make_instance(spec.pop("name"), spec)
                return None
        raise NotImplementedError(verb)

    def send(self, what, sender, receiver, family):
        """One packet through the server; what came of it, in the words of scenarios."""
        to = self.instances.get(receiver, receiver)
        body = {"from": self.instances[sender], "to": to}
        if family == "ipv6":
            body["ipv6"] = True
        if what == "udp":
            body["port"] = 9
        return self.server.own(what, post=json.dumps(body))

    def place(self, name):
        """What a walk calls a place: the label of what has this id."""
        kinds = (self.vpcs, self.tables, self.peerings, self.instances, self.interfaces)
        labels = {id: label for kind in kinds for label, id in kind.items()}
        return labels.get(name, name)


def ended(lab, answer, leg):
    """How a leg of a walk ended: kind or reason, and where."""
    (walk,) = [w for w in answer["walks"] if w["leg"] == leg]
    ending = walk["ending"]
    return ending["reason"] or ending["kind"], lab.place(ending["at"])


def judge(lab, what, spec, expect):
    """Sends what a step says, and compares."""
    if isinstance(spec, str):
        sender, receiver = spec.split(" -> ")
        spec = {"from": sender, "to": receiver}
    family = spec.get("family", "ipv4")
    if isinstance(expect, dict) and "reaches" in expect:
        to = spec["to"]
        for receiver in to:
            answer = lab.send(what, spec["from"], receiver, family)
            if receiver in expect["reaches"]:
                assert answer["arrived"], (receiver, answer["text"])
            else:
                assert receiver in expect["never-reaches"]
                assert answer["traffic"]["delivered"] == 0, receiver
                assert list(answer["traffic"]["dropped"]) == [expect["because"]], receiver
        assert sorted(to) == sorted(expect["reaches"] + expect.get("never-reaches", []))
        return
    answer = lab.send(what, spec["from"], spec["to"], family)
    traffic = answer["traffic"]
    match expect:
        case "replied":
            assert answer["arrived"] and traffic["answered"] == 1, answer["text"]
        case "delivered":
            assert traffic["delivered"] == 1 and traffic["misdelivered"] == 0, answer["text"]
        case {"delivered-to": label}:
            assert traffic["delivered"] == 1
            trace = lab.send("trace", spec["from"], spec["to"], family)
            assert ended(lab, trace, "request") == ("delivered", label)
        case {"dropped": reason, "at": place}:
            assert (traffic["delivered"], traffic["dropped"]) == (0, {reason: 1})
            assert ended(lab, answer, "request") == (reason, place)
        case {"reply-lost": reason, "at": place}:
            assert (traffic["delivered"], traffic["answered"]) == (1, 0)
            assert ended(lab, answer, "answer") == (reason, place)
        case _:
            raise NotImplementedError(expect)


def test_what_is_left_out_has_hosts_beyond_the_cloud():
    assert len(files()) >= 50
    for stem in NOT_BY_API:
        assert "outside" in scenario(SCENARIOS / f"{stem}.yaml"), stem


@pytest.mark.parametrize("path", files())
def test_documented_configuration(ec2, server, path):
    file = scenario(path)
    lab = Lab(ec2, server, file)
    for number, step in enumerate(file["steps"], 1):
        ((verb, spec),) = [
            (k, v) for k, v in step.items() if k not in ("expect", "as", "note", "at", "after")
        ]
        expect = step.get("expect")
        told = f"step {number}: {verb} {spec} expects {expect}"
        print(told)
        if verb in ("ping", "udp"):
            judge(lab, verb, spec, expect)
            continue
        try:
            state = lab.command(verb, spec, step)
        except botocore.exceptions.ClientError as error:
            assert expect == {"refused": error.response["Error"]["Code"]}, told
            continue
        if expect:
            assert expect == {"state": state}, told
