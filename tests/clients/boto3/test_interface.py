"""Network interfaces: their addresses, attachments and attributes."""

import pytest

A, B = "111111111111", "222222222222"
AMI = "ami-0123456789abcdef0"
DIGITS = "0123456789abcdef0"


@pytest.fixture
def client(ec2):
    return ec2(A)


@pytest.fixture
def subnet(client):
    vpc = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return client.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]


def make(client, subnet, **more):
    answer = client.create_network_interface(SubnetId=subnet, **more)
    return answer["NetworkInterface"]


def one(client, id_):
    (row,) = client.describe_network_interfaces(NetworkInterfaceIds=[id_])["NetworkInterfaces"]
    return row


def found(client, **filters):
    rows = [{"Name": k.replace("__", ".").replace("_", "-"), "Values": v} for k, v in filters.items()]
    answer = client.describe_network_interfaces(Filters=rows)["NetworkInterfaces"]
    return sorted(row["NetworkInterfaceId"] for row in answer)


def test_one_is_made_and_deleted(client, subnet, refused):
    made = make(
        client,
        subnet,
        Description="d",
        PrivateIpAddresses=[
            {"PrivateIpAddress": "10.0.0.20", "Primary": True},
            {"PrivateIpAddress": "10.0.0.21", "Primary": False},
        ],
        TagSpecifications=[{"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "b"}]}],
    )
    assert made["Status"] == "pending"
    id_ = made["NetworkInterfaceId"]
    client.get_waiter("network_interface_available").wait(NetworkInterfaceIds=[id_])
    row = one(client, id_)
    assert row["Status"] == "available" and "Attachment" not in row
    assert row["Description"] == "d" and row["InterfaceType"] == "interface"
    assert row["PrivateIpAddress"] == "10.0.0.20" and "PrivateDnsName" not in row
    addresses = [(a["PrivateIpAddress"], a["Primary"]) for a in row["PrivateIpAddresses"]]
    assert addresses == [("10.0.0.20", True), ("10.0.0.21", False)]
    assert row["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert (row["RequesterManaged"], row["SourceDestCheck"], row["Ipv6Addresses"]) == (False, True, [])
    with refused("DependencyViolation"):
        client.delete_subnet(SubnetId=subnet)
    client.delete_network_interface(NetworkInterfaceId=id_)
    with refused("InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{id_}' does not exist"):
        client.describe_network_interfaces(NetworkInterfaceIds=[id_])
    client.delete_subnet(SubnetId=subnet)


def test_attaching(client, subnet, refused):
    (instance,) = client.run_instances(ImageId=AMI, MinCount=1, MaxCount=1, SubnetId=subnet)["Instances"]
    instance = instance["InstanceId"]
    id_ = make(client, subnet)["NetworkInterfaceId"]
    attachment = client.attach_network_interface(NetworkInterfaceId=id_, InstanceId=instance, DeviceIndex=1)["AttachmentId"]
    row = one(client, id_)
    assert row["Status"] == "in-use"
    assert row["Attachment"]["AttachmentId"] == attachment
    assert row["Attachment"]["DeleteOnTermination"] is False
    assert row["Attachment"]["Status"] == "attached" and row["Attachment"]["DeviceIndex"] == 1
    assert found(client, attachment__attachment_id=[attachment]) == [id_]
    assert len(found(client, attachment__instance_id=[instance])) == 2
    with refused("InvalidNetworkInterface.InUse", f"Network interface '{id_}' is currently in use."):
        client.delete_network_interface(NetworkInterfaceId=id_)
    with refused("InvalidNetworkInterface.InUse"):
        client.attach_network_interface(NetworkInterfaceId=id_, InstanceId=instance, DeviceIndex=2)
    other = make(client, subnet)["NetworkInterfaceId"]
    with refused("InvalidParameterValue", f"Instance '{instance}' already has an interface attached at device index '1'."):
        client.attach_network_interface(NetworkInterfaceId=other, InstanceId=instance, DeviceIndex=1)
    client.modify_network_interface_attribute(
        NetworkInterfaceId=id_, Attachment={"AttachmentId": attachment, "DeleteOnTermination": True}
    )
    assert one(client, id_)["Attachment"]["DeleteOnTermination"] is True

    client.detach_network_interface(AttachmentId=attachment, Force=True)
    assert one(client, id_)["Status"] == "available" and "Attachment" not in one(client, id_)
    # Who asks for the attachment finds it ended.
    (ended,) = client.describe_network_interfaces(
        Filters=[{"Name": "attachment.attachment-id", "Values": [attachment]}]
    )["NetworkInterfaces"]
    assert ended["Attachment"]["Status"] == "detached"
    with refused("InvalidAttachmentID.NotFound"):
        client.detach_network_interface(AttachmentId=attachment)
    (primary,) = found(client, attachment__instance_id=[instance])
    with refused("OperationNotPermitted"):
        client.detach_network_interface(AttachmentId=one(client, primary)["Attachment"]["AttachmentId"])
    client.delete_network_interface(NetworkInterfaceId=id_)
    assert found(client, attachment__attachment_id=[attachment]) == []


def test_addresses(client, subnet, refused):
    id_ = make(client, subnet, PrivateIpAddress="10.0.0.30", SecondaryPrivateIpAddressCount=1)["NetworkInterfaceId"]

    def ipv4(id_):
        return [a["PrivateIpAddress"] for a in one(client, id_)["PrivateIpAddresses"]]

    assert ipv4(id_) == ["10.0.0.30", "10.0.0.4"]
    answer = client.assign_private_ip_addresses(NetworkInterfaceId=id_, PrivateIpAddresses=["10.0.0.40", "10.0.0.41"])
    assert [a["PrivateIpAddress"] for a in answer["AssignedPrivateIpAddresses"]] == ["10.0.0.40", "10.0.0.41"]
    answer = client.assign_private_ip_addresses(NetworkInterfaceId=id_, SecondaryPrivateIpAddressCount=2)
    assert [a["PrivateIpAddress"] for a in answer["AssignedPrivateIpAddresses"]] == ["10.0.0.5", "10.0.0.6"]
    client.unassign_private_ip_addresses(NetworkInterfaceId=id_, PrivateIpAddresses=["10.0.0.4", "10.0.0.6"])
    assert ipv4(id_) == ["10.0.0.30", "10.0.0.40", "10.0.0.41", "10.0.0.5"]
    with refused("InvalidParameterValue"):
        client.unassign_private_ip_addresses(NetworkInterfaceId=id_, PrivateIpAddresses=["10.0.0.30"])
    with refused("InvalidParameterValue"):
        client.unassign_private_ip_addresses(NetworkInterfaceId=id_, PrivateIpAddresses=["10.0.0.99"])
    other = make(client, subnet)["NetworkInterfaceId"]
    with refused("InvalidIPAddress.InUse", "Address 10.0.0.40 is in use."):
        client.assign_private_ip_addresses(NetworkInterfaceId=other, PrivateIpAddresses=["10.0.0.50", "10.0.0.40"])
    assert ipv4(other) == ["10.0.0.4"]
    client.assign_private_ip_addresses(
        NetworkInterfaceId=other, PrivateIpAddresses=["10.0.0.50", "10.0.0.40"], AllowReassignment=True
    )
    assert ipv4(other) == ["10.0.0.4", "10.0.0.50", "10.0.0.40"]
    assert ipv4(id_) == ["10.0.0.30", "10.0.0.41", "10.0.0.5"]
    # A primary address moves nowhere.
    with refused("InvalidParameterValue"):
        client.assign_private_ip_addresses(NetworkInterfaceId=other, PrivateIpAddresses=["10.0.0.30"], AllowReassignment=True)


@pytest.mark.server(profile="today")
def test_ipv6(client, refused):
    vpc = client.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
    block = client.describe_vpcs(VpcIds=[vpc["VpcId"]])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    stem = block.removesuffix("::/56").removesuffix("00")
    subnet = client.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    with refused("InvalidParameterValue"):
        client.modify_subnet_attribute(SubnetId=subnet, AssignIpv6AddressOnCreation={"Value": True})
    wanted = block.replace("/56", "/64")
    made = client.associate_subnet_cidr_block(SubnetId=subnet, Ipv6CidrBlock=wanted)["Ipv6CidrBlockAssociation"]
    assert made["Ipv6CidrBlockState"]["State"] == "associating"
    (row,) = client.describe_subnets(SubnetIds=[subnet])["Subnets"]
    (association,) = row["Ipv6CidrBlockAssociationSet"]
    assert association["Ipv6CidrBlock"] == wanted and association["Ipv6CidrBlockState"]["State"] == "associated"
    plain = make(client, subnet)
    assert plain["Ipv6Addresses"] == []
    client.modify_subnet_attribute(SubnetId=subnet, AssignIpv6AddressOnCreation={"Value": True})
    auto = make(client, subnet)
    assert len(auto["Ipv6Addresses"]) == 1
    id_ = plain["NetworkInterfaceId"]
    got = client.assign_ipv6_addresses(NetworkInterfaceId=id_, Ipv6AddressCount=2)["AssignedIpv6Addresses"]
    assert len(got) == 2 and all(a.startswith(stem[:9]) for a in got)
    assert [a["Ipv6Address"] for a in one(client, id_)["Ipv6Addresses"]] == got
    gone = client.unassign_ipv6_addresses(NetworkInterfaceId=id_, Ipv6Addresses=got[:1])
    assert gone["UnassignedIpv6Addresses"] == got[:1]
    assert [a["Ipv6Address"] for a in one(client, id_)["Ipv6Addresses"]] == got[1:]
    with refused("DependencyViolation"):
        client.disassociate_subnet_cidr_block(AssociationId=association["AssociationId"])
    for each in (id_, auto["NetworkInterfaceId"]):
        client.delete_network_interface(NetworkInterfaceId=each)
    answer = client.disassociate_subnet_cidr_block(AssociationId=association["AssociationId"])
    assert answer["Ipv6CidrBlockAssociation"]["Ipv6CidrBlock"] == wanted
    with refused("InvalidSubnetCidrBlockAssociationID.NotFound"):
        client.disassociate_subnet_cidr_block(AssociationId=association["AssociationId"])
    assert client.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["Ipv6CidrBlockAssociationSet"] == []


def test_attributes(client, subnet, refused):
    id_ = make(client, subnet, Description="old")["NetworkInterfaceId"]
    modify, describe = client.modify_network_interface_attribute, client.describe_network_interface_attribute
    modify(NetworkInterfaceId=id_, Description={"Value": "new"})
    assert describe(NetworkInterfaceId=id_, Attribute="description")["Description"] == {"Value": "new"}
    modify(NetworkInterfaceId=id_, Description={"Value": ""})
    assert one(client, id_)["Description"] == ""
    modify(NetworkInterfaceId=id_, SourceDestCheck={"Value": False})
    assert describe(NetworkInterfaceId=id_, Attribute="sourceDestCheck")["SourceDestCheck"] == {"Value": False}
    client.reset_network_interface_attribute(NetworkInterfaceId=id_, SourceDestCheck="")
    assert one(client, id_)["SourceDestCheck"] is True
    vpc = one(client, id_)["VpcId"]
    group = client.create_security_group(GroupName="g", Description="g", VpcId=vpc)["GroupId"]
    modify(NetworkInterfaceId=id_, Groups=[group])
    assert [g["GroupId"] for g in describe(NetworkInterfaceId=id_, Attribute="groupSet")["Groups"]] == [group]
    assert found(client, group_id=[group]) == [id_]
    with refused("InvalidParameterCombination", "Fields for multiple attribute types specified"):
        modify(NetworkInterfaceId=id_, Groups=[group], SourceDestCheck={"Value": False})
    with refused("MissingParameter"):
        modify(NetworkInterfaceId=id_)
    with refused("InvalidAttachmentID.NotFound"):
        modify(NetworkInterfaceId=id_, Attachment={"AttachmentId": "eni-attach-" + DIGITS, "DeleteOnTermination": True})
    with refused("InvalidGroup.NotFound"):
        modify(NetworkInterfaceId=id_, Groups=["sg-" + DIGITS])
    with refused("InvalidNetworkInterfaceID.NotFound"):
        modify(NetworkInterfaceId="eni-" + DIGITS, Description={"Value": "x"})


def test_filters_and_pages(ec2, client, subnet, refused):
    ids = sorted(make(client, subnet)["NetworkInterfaceId"] for _ in range(7))
    (instance,) = client.run_instances(ImageId=AMI, MinCount=1, MaxCount=1, SubnetId=subnet)["Instances"]
    mine = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    vpc = instance["VpcId"]
    for filters, want in [
        ({"network_interface_id": ids[:2]}, ids[:2]),
        ({"subnet_id": [subnet]}, sorted([*ids, mine])),
        ({"vpc_id": [vpc], "status": ["available"]}, ids),
        ({"status": ["in-use"]}, [mine]),
        ({"private_ip_address": [instance["PrivateIpAddress"]]}, [mine]),
        ({"attachment__instance_id": [instance["InstanceId"]]}, [mine]),
        ({"attachment__device_index": ["0"]}, [mine]),
        ({"addresses__private_ip_address": ["10.0.0.4"]}, found(client, private_ip_address=["10.0.0.4"])),
        ({"mac_address": [one(client, mine)["MacAddress"]]}, [mine]),
        ({"interface_type": ["nat_gateway"]}, []),
        ({"vpc_id": ["vpc-" + DIGITS]}, []),
        ({"availability_zone": ["us-east-1a"], "attachment__status": ["attached"]}, [mine]),
    ]:
        assert found(client, **filters) == want, filters
    pages = client.get_paginator("describe_network_interfaces").paginate(PaginationConfig={"PageSize": 5})
    got = [row["NetworkInterfaceId"] for page in pages for row in page["NetworkInterfaces"]]
    assert got == sorted([*ids, mine])
    with refused("InvalidParameterCombination"):
        client.describe_network_interfaces(NetworkInterfaceIds=ids, MaxResults=5)
    other = ec2(B)
    assert found(other) == [] == found(other, subnet_id=[subnet]) == found(other, network_interface_id=ids)
    with refused("InvalidNetworkInterfaceID.NotFound"):
        other.delete_network_interface(NetworkInterfaceId=ids[0])


def test_refusals(client, subnet, refused):
    def create(code, **more):
        with refused(code):
            client.create_network_interface(**{"SubnetId": subnet} | more)

    create("InvalidSubnetID.NotFound", SubnetId="subnet-" + DIGITS)
    create("InvalidSubnetID.Malformed", SubnetId="net-1")
    create("InvalidParameterValue", PrivateIpAddress="10.0.1.4")
    create("InvalidParameterValue", PrivateIpAddress="10.0.0.1")
    create("InvalidParameterValue", Ipv6AddressCount=1)
    create("InvalidGroup.NotFound", Groups=["sg-" + DIGITS])
    create(
        "InvalidParameterCombination",
        PrivateIpAddresses=[{"PrivateIpAddress": "10.0.0.9", "Primary": True}, {"PrivateIpAddress": "10.0.0.8", "Primary": True}],
    )
    make(client, subnet, PrivateIpAddress="10.0.0.9")
    create("InvalidIPAddress.InUse", PrivateIpAddress="10.0.0.9")
    with refused("InvalidNetworkInterfaceId.Malformed"):
        client.delete_network_interface(NetworkInterfaceId="eni-x")
    with refused("InvalidInstanceID.NotFound"):
        id_ = make(client, subnet)["NetworkInterfaceId"]
        client.attach_network_interface(NetworkInterfaceId=id_, InstanceId="i-" + DIGITS, DeviceIndex=1)
