"""Instances: launches, states, attributes, and what is still seen of one that has ended."""

import base64

import pytest

A, B = "111111111111", "222222222222"
AMI = "ami-0123456789abcdef0"
DIGITS = "0123456789abcdef0"


@pytest.fixture
def client(ec2):
    return ec2(A)


@pytest.fixture
def net(client):
    return Net(client)


class Net:
    """A VPC with two subnets in two zones."""

    def __init__(self, client, block="10.0.0.0/16"):
        self.client = client
        self.vpc = client.create_vpc(CidrBlock=block)["Vpc"]["VpcId"]
        stem = block.split(".0.0/")[0]
        self.subnets = [
            client.create_subnet(VpcId=self.vpc, CidrBlock=f"{stem}.{n}.0/24", AvailabilityZone=zone)[
                "Subnet"
            ]["SubnetId"]
            for n, zone in enumerate(["us-east-1a", "us-east-1b"])
        ]

    def run(self, n=1, **more):
        more.setdefault("SubnetId", self.subnets[0])
        return self.client.run_instances(ImageId=AMI, MinCount=n, MaxCount=n, **more)


def described(client, *ids, **more):
    pages = client.describe_instances(InstanceIds=list(ids), **more)["Reservations"]
    return [i for r in pages for i in r["Instances"]]


def by(client, **filters):
    """The ids of the instances that match."""
    rows = [{"Name": k.replace("__", ".").replace("_", "-"), "Values": v} for k, v in filters.items()]
    answer = client.describe_instances(Filters=rows)["Reservations"]
    return sorted(i["InstanceId"] for r in answer for i in r["Instances"])


def test_a_launch_is_pending_and_then_runs(client, net):
    launch = net.run(
        2,
        InstanceType="t3.micro",
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]},
            {"ResourceType": "network-interface", "Tags": [{"Key": "of", "Value": "web"}]},
        ],
    )
    assert launch["OwnerId"] == A
    first, second = launch["Instances"]
    assert first["State"] == {"Code": 0, "Name": "pending"}
    assert first["NetworkInterfaces"][0]["Attachment"]["Status"] == "attaching"
    assert (first["AmiLaunchIndex"], second["AmiLaunchIndex"]) == (0, 1)

    (reservation,) = client.describe_instances()["Reservations"]
    assert reservation["ReservationId"] == launch["ReservationId"]
    assert len(reservation["Instances"]) == 2
    shown = described(client, first["InstanceId"])[0]
    assert shown["State"] == {"Code": 16, "Name": "running"}
    assert shown["ImageId"] == AMI and shown["InstanceType"] == "t3.micro"
    assert shown["PrivateIpAddress"] == "10.0.0.4"
    assert shown["PrivateDnsName"] == "ip-10-0-0-4.ec2.internal"
    assert shown["Placement"]["AvailabilityZone"] == "us-east-1a"
    assert shown["VpcId"] == net.vpc and shown["SubnetId"] == net.subnets[0]
    assert shown["Tags"] == [{"Key": "Name", "Value": "web"}]
    assert shown["BlockDeviceMappings"] == []
    assert [g["GroupName"] for g in shown["SecurityGroups"]] == ["default"]
    assert "PublicIpAddress" not in shown
    (interface,) = shown["NetworkInterfaces"]
    assert interface["MacAddress"].startswith("02:")
    assert interface["Attachment"]["Status"] == "attached"
    assert interface["Attachment"]["DeleteOnTermination"] is True
    (row,) = client.describe_network_interfaces(
        NetworkInterfaceIds=[interface["NetworkInterfaceId"]]
    )["NetworkInterfaces"]
    assert row["TagSet"] == [{"Key": "of", "Value": "web"}]


def test_waiters_find_every_state_settled(client, net):
    id_ = net.run()["Instances"][0]["InstanceId"]
    client.get_waiter("instance_running").wait(InstanceIds=[id_])
    client.get_waiter("instance_status_ok").wait(InstanceIds=[id_])
    client.stop_instances(InstanceIds=[id_])
    client.get_waiter("instance_stopped").wait(InstanceIds=[id_])
    client.start_instances(InstanceIds=[id_])
    client.get_waiter("instance_running").wait(InstanceIds=[id_])
    client.terminate_instances(InstanceIds=[id_])
    client.get_waiter("instance_terminated").wait(InstanceIds=[id_])


def test_states_change_as_they_are_asked_to(client, net):
    id_ = net.run()["Instances"][0]["InstanceId"]

    def changes(answer):
        (row,) = answer
        assert row["InstanceId"] == id_
        return row["PreviousState"]["Name"], row["CurrentState"]["Name"]

    def asked(call, part):
        return changes(call(InstanceIds=[id_])[part])

    assert asked(client.start_instances, "StartingInstances") == ("running", "running")
    assert asked(client.stop_instances, "StoppingInstances") == ("running", "stopping")
    stopped = described(client, id_)[0]
    assert stopped["State"] == {"Code": 80, "Name": "stopped"}
    assert stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert asked(client.stop_instances, "StoppingInstances") == ("stopped", "stopped")
    assert asked(client.start_instances, "StartingInstances") == ("stopped", "pending")
    assert "StateReason" not in described(client, id_)[0]
    client.reboot_instances(InstanceIds=[id_])
    end = client.terminate_instances
    assert asked(end, "TerminatingInstances") == ("running", "shutting-down")
    assert asked(end, "TerminatingInstances") == ("terminated", "terminated")


def test_an_ended_instance_is_seen_for_an_hour(client, net, advance, refused):
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "k", "Value": "v"}]}]
    id_ = net.run(TagSpecifications=tags)["Instances"][0]["InstanceId"]
    client.terminate_instances(InstanceIds=[id_])
    (gone,) = described(client, id_)
    assert gone["State"] == {"Code": 48, "Name": "terminated"}
    assert gone["NetworkInterfaces"] == [] and "VpcId" not in gone
    assert gone["Placement"]["AvailabilityZone"] == "us-east-1a"
    assert gone["Tags"] == [{"Key": "k", "Value": "v"}]
    assert by(client, instance_state_name=["terminated"]) == [id_]
    assert by(client, instance_state_name=["running", "stopped"]) == []
    with refused("IncorrectInstanceState"):
        client.start_instances(InstanceIds=[id_])
    advance("3599s")
    assert described(client, id_)
    advance("2s")
    with refused("InvalidInstanceID.NotFound", f"The instance ID '{id_}' does not exist"):
        client.describe_instances(InstanceIds=[id_])
    assert by(client) == []
    client.delete_subnet(SubnetId=net.subnets[0])


def test_without_a_subnet_the_default_vpc_is_meant(client, refused):
    (default,) = client.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    (here,) = client.run_instances(
        ImageId=AMI, MinCount=1, MaxCount=1, Placement={"AvailabilityZone": "us-east-1b"}
    )["Instances"]
    assert here["VpcId"] == default["VpcId"]
    assert here["Placement"]["AvailabilityZone"] == "us-east-1b"
    shown = described(client, here["InstanceId"])[0]
    public = shown["PublicIpAddress"]
    assert shown["PublicDnsName"] == f"ec2-{public.replace('.', '-')}.compute-1.amazonaws.com"
    assert shown["NetworkInterfaces"][0]["Association"]["IpOwnerId"] == "amazon"
    # What is lent is nobody's allocation.
    assert client.describe_addresses()["Addresses"] == []
    named = client.run_instances(ImageId=AMI, MinCount=1, MaxCount=1, SecurityGroups=["default"])
    assert named["Instances"][0]["SecurityGroups"][0]["GroupName"] == "default"
    with refused("InvalidGroup.NotFound"):
        client.run_instances(ImageId=AMI, MinCount=1, MaxCount=1, SecurityGroups=["other"])


def test_as_many_as_possible_start(client, refused):
    vpc = client.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    small = client.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/28")["Subnet"]["SubnetId"]
    launch = client.run_instances(ImageId=AMI, MinCount=3, MaxCount=20, SubnetId=small)
    assert len(launch["Instances"]) == 16 - 5
    assert len({i["PrivateIpAddress"] for i in launch["Instances"]}) == 11
    with refused("InsufficientFreeAddressesInSubnet"):
        client.run_instances(ImageId=AMI, MinCount=1, MaxCount=1, SubnetId=small)
    assert len(by(client, subnet_id=[small])) == 11


def test_interfaces_of_a_launch(client, net, refused):
    existing = client.create_network_interface(SubnetId=net.subnets[0], PrivateIpAddress="10.0.0.77")
    existing = existing["NetworkInterface"]["NetworkInterfaceId"]
    (one,) = client.run_instances(
        ImageId=AMI,
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[
            {"DeviceIndex": 0, "NetworkInterfaceId": existing},
            {
                "DeviceIndex": 1,
                "SubnetId": net.subnets[0],
                "Description": "second",
                "DeleteOnTermination": True,
                "PrivateIpAddresses": [
                    {"PrivateIpAddress": "10.0.0.90", "Primary": True},
                    {"PrivateIpAddress": "10.0.0.91", "Primary": False},
                ],
            },
        ],
    )["Instances"]
    shown = described(client, one["InstanceId"])[0]
    zero, first = sorted(shown["NetworkInterfaces"], key=lambda i: i["Attachment"]["DeviceIndex"])
    assert zero["NetworkInterfaceId"] == existing
    assert zero["Attachment"]["DeleteOnTermination"] is False
    assert first["Description"] == "second"
    assert [a["PrivateIpAddress"] for a in first["PrivateIpAddresses"]] == ["10.0.0.90", "10.0.0.91"]
    with refused("InvalidNetworkInterface.InUse"):
        net.client.run_instances(
            ImageId=AMI, MinCount=1, MaxCount=1, NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": existing}]
        )
    client.terminate_instances(InstanceIds=[one["InstanceId"]])
    (left,) = client.describe_network_interfaces(Filters=[{"Name": "vpc-id", "Values": [net.vpc]}])["NetworkInterfaces"]
    assert (left["NetworkInterfaceId"], left["Status"]) == (existing, "available")


def test_filters(client, net):
    (a,) = net.run(InstanceType="t3.micro")["Instances"]
    (b,) = net.run(SubnetId=net.subnets[1], PrivateIpAddress="10.0.1.99")["Instances"]
    a, b, interface = a["InstanceId"], b["InstanceId"], a["NetworkInterfaces"][0]["NetworkInterfaceId"]
    client.create_tags(Resources=[b], Tags=[{"Key": "role", "Value": "db"}])
    for filters, want in [
        ({"instance_id": [a]}, [a]),
        ({"vpc_id": [net.vpc]}, sorted([a, b])),
        ({"vpc_id": ["vpc-" + DIGITS]}, []),
        ({"subnet_id": [net.subnets[1]]}, [b]),
        ({"private_ip_address": ["10.0.1.99"]}, [b]),
        ({"private_ip_address": ["10.0.*"]}, sorted([a, b])),
        ({"network_interface__network_interface_id": [interface]}, [a]),
        ({"network_interface__subnet_id": [net.subnets[0]]}, [a]),
        ({"availability_zone": ["us-east-1b"]}, [b]),
        ({"instance_type": ["t3.*"]}, [a]),
        ({"tag:role": ["db"]}, [b]),
        ({"tag_key": ["role"]}, [b]),
        ({"instance_state_code": ["16"]}, sorted([a, b])),
        ({"instance_state_name": ["pending"]}, []),
        ({"owner_id": [A]}, sorted([a, b])),
        ({"image_id": [AMI], "tag:role": ["db"]}, [b]),
    ]:
        assert by(client, **filters) == want, filters


def test_pages(client, net):
    net.run(13)
    pages = client.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5})
    ids = [i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]]
    assert len(ids) == len(set(ids)) == 13


def test_status(client, net):
    a, b = (i["InstanceId"] for i in net.run(2)["Instances"])
    client.stop_instances(InstanceIds=[b])
    (row,) = client.describe_instance_status()["InstanceStatuses"]
    assert row["InstanceId"] == a
    assert row["InstanceStatus"]["Status"] == row["SystemStatus"]["Status"] == "ok"
    every = client.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"]
    assert sorted(r["InstanceId"] for r in every) == sorted([a, b])


def test_attributes(client, net, refused):
    data = base64.b64encode(b"#!/bin/sh").decode()
    id_ = net.run(UserData="#!/bin/sh", DisableApiTermination=True)["Instances"][0]["InstanceId"]

    def attribute(name, part):
        return client.describe_instance_attribute(InstanceId=id_, Attribute=name)[part]

    assert attribute("userData", "UserData") == {"Value": data}
    assert attribute("disableApiTermination", "DisableApiTermination") == {"Value": True}
    assert attribute("instanceInitiatedShutdownBehavior", "InstanceInitiatedShutdownBehavior") == {"Value": "stop"}
    assert attribute("instanceType", "InstanceType") == {"Value": "m1.small"}
    assert attribute("sourceDestCheck", "SourceDestCheck") == {"Value": True}
    assert attribute("groupSet", "Groups")[0]["GroupName"] == "default"
    with refused(
        "OperationNotPermitted",
        f"The instance '{id_}' may not be terminated. Modify its 'disableApiTermination' instance "
        "attribute and try again.",
    ):
        client.terminate_instances(InstanceIds=[id_])
    client.modify_instance_attribute(InstanceId=id_, DisableApiTermination={"Value": False})
    client.modify_instance_attribute(InstanceId=id_, SourceDestCheck={"Value": False})
    assert attribute("sourceDestCheck", "SourceDestCheck") == {"Value": False}
    assert described(client, id_)[0]["SourceDestCheck"] is False
    group = client.create_security_group(GroupName="g", Description="g", VpcId=net.vpc)["GroupId"]
    client.modify_instance_attribute(InstanceId=id_, Groups=[group])
    assert [g["GroupId"] for g in described(client, id_)[0]["SecurityGroups"]] == [group]
    with refused("IncorrectInstanceState", f"The instance '{id_}' is not in the 'stopped' state."):
        client.modify_instance_attribute(InstanceId=id_, InstanceType={"Value": "t3.small"})
    client.stop_instances(InstanceIds=[id_])
    client.modify_instance_attribute(InstanceId=id_, InstanceType={"Value": "t3.small"})
    client.modify_instance_attribute(InstanceId=id_, Attribute="userData", Value=data)
    assert attribute("instanceType", "InstanceType") == {"Value": "t3.small"}
    answer = client.modify_instance_metadata_options(InstanceId=id_, HttpTokens="required")
    assert answer["InstanceMetadataOptions"]["HttpTokens"] == "required"
    assert described(client, id_)[0]["MetadataOptions"]["HttpTokens"] == "required"
    client.monitor_instances(InstanceIds=[id_])
    assert described(client, id_)[0]["Monitoring"]["State"] == "enabled"


def test_refusals(client, net, refused):
    def run(code, **more):
        parameters = {"ImageId": AMI, "MinCount": 1, "MaxCount": 1, "SubnetId": net.subnets[0]}
        with refused(code):
            client.run_instances(**parameters | more)

    run("InvalidAMIID.Malformed", ImageId="ami-xyz")
    run("InvalidParameterValue", InstanceType="x99.huge")
    run("InvalidKeyPair.NotFound", KeyName="nobody")
    run("InvalidSubnetID.NotFound", SubnetId="subnet-" + DIGITS)
    run("InvalidGroup.NotFound", SecurityGroupIds=["sg-" + DIGITS])
    run("InvalidParameterValue", PrivateIpAddress="10.1.0.4")
    run("InvalidParameterValue", MinCount=2)
    run("InvalidParameterValue", MaxCount=0, MinCount=0)
    run("InvalidParameterCombination", MinCount=2, MaxCount=2, PrivateIpAddress="10.0.0.9")
    run("InvalidParameterCombination", NetworkInterfaces=[{"DeviceIndex": 0}])
    run("InvalidParameterCombination", SecurityGroups=["default"])
    net.run(PrivateIpAddress="10.0.0.9")
    run("InvalidIPAddress.InUse", PrivateIpAddress="10.0.0.9")
    assert len(by(client)) == 1
    ghost = "i-" + DIGITS
    for call in ["start", "stop", "reboot", "terminate"]:
        with refused("InvalidInstanceID.NotFound", f"The instance ID '{ghost}' does not exist"):
            getattr(client, call + "_instances")(InstanceIds=[ghost])
    with refused("InvalidInstanceID.NotFound", f"The instance IDs '{ghost}, i-01234567' do not exist"):
        client.describe_instances(InstanceIds=[ghost, "i-01234567"])
    with refused("InvalidInstanceID.Malformed"):
        client.describe_instances(InstanceIds=["i-x"])
    with refused("InvalidParameterCombination"):
        client.describe_instances(InstanceIds=by(client), MaxResults=5)


def test_all_or_none(client, net, refused):
    a, b = (i["InstanceId"] for i in net.run(2)["Instances"])
    client.terminate_instances(InstanceIds=[b])
    with refused("IncorrectInstanceState"):
        client.stop_instances(InstanceIds=[a, b])
    assert described(client, a)[0]["State"]["Name"] == "running"


def test_others_have_no_part_in_it(ec2, net, refused):
    id_ = net.run()["Instances"][0]["InstanceId"]
    other = ec2(B)
    assert by(other) == [] == by(ec2(A, "eu-west-1"))
    assert by(other, vpc_id=[net.vpc]) == [] == by(other, subnet_id=[net.subnets[0]])
    with refused("InvalidInstanceID.NotFound"):
        other.terminate_instances(InstanceIds=[id_])


def test_catalogues(client, refused):
    images = client.describe_images(
        Owners=["amazon"], Filters=[{"Name": "name", "Values": ["amzn2-ami-hvm-*-x86_64-gp2"]}]
    )["Images"]
    assert images and all(i["State"] == "available" for i in images)
    images = client.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": ["al2023-ami-2023*"]}])
    assert {i["Architecture"] for i in images["Images"]} == {"x86_64", "arm64"}
    assert client.describe_images(Owners=["self"])["Images"] == []
    types = client.describe_instance_types(InstanceTypes=["t3.micro"])["InstanceTypes"]
    assert types[0]["VCpuInfo"]["DefaultVCpus"] == 2 and types[0]["MemoryInfo"]["SizeInMiB"] == 1024
    pages = client.get_paginator("describe_instance_types").paginate(PaginationConfig={"PageSize": 7})
    assert len({t["InstanceType"] for page in pages for t in page["InstanceTypes"]}) > 50
    with refused("InvalidInstanceType"):
        client.describe_instance_types(InstanceTypes=["x9.none"])
    offered = client.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["t3.micro"]}]
    )["InstanceTypeOfferings"]
    assert [o["Location"] for o in offered] == ["us-east-1a", "us-east-1b", "us-east-1c"]
    assert client.describe_volumes()["Volumes"] == []
    assert client.describe_launch_templates()["LaunchTemplates"] == []
    assert client.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"] == []
    attributes = client.describe_account_attributes(AttributeNames=["supported-platforms"])
    assert attributes["AccountAttributes"][0]["AttributeValues"] == [{"AttributeValue": "VPC"}]


def test_key_pairs(client, net, refused):
    made = client.create_key_pair(KeyName="k", TagSpecifications=[{"ResourceType": "key-pair", "Tags": [{"Key": "a", "Value": "b"}]}])
    assert made["KeyMaterial"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtQUDZWhs8k/cZcykMkaoX7ZE7DXld8TP79HyddMVTS me"
    client.import_key_pair(KeyName="i", PublicKeyMaterial=key.encode())
    (row,) = client.describe_key_pairs(KeyNames=["i"], IncludePublicKey=True)["KeyPairs"]
    assert row["PublicKey"] == key and row["KeyType"] == "ed25519"
    assert [k["KeyName"] for k in client.describe_key_pairs(Filters=[{"Name": "tag:a", "Values": ["b"]}])["KeyPairs"]] == ["k"]
    with refused("InvalidKeyPair.Duplicate", "The keypair 'k' already exists."):
        client.create_key_pair(KeyName="k")
    with refused("InvalidKey.Format"):
        client.import_key_pair(KeyName="x", PublicKeyMaterial=b"no key")
    id_ = net.run(KeyName="k")["Instances"][0]["InstanceId"]
    assert described(client, id_)[0]["KeyName"] == "k"
    client.delete_key_pair(KeyName="k")
    client.delete_key_pair(KeyName="k")
    with refused("InvalidKeyPair.NotFound", "The key pair 'k' does not exist"):
        client.describe_key_pairs(KeyNames=["k"])
