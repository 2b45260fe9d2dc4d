"""Network ACLs, as boto3 sees them."""

import pytest

ALL = {"Protocol": "-1", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"}


def build(client):
    vpc = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = client.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    return vpc, subnet


def default_acl(client, vpc):
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "default", "Values": ["true"]}]
    return client.describe_network_acls(Filters=filters)["NetworkAcls"][0]


def entries(client, acl, egress=False):
    found = client.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"][0]["Entries"]
    return [entry for entry in found if entry["Egress"] == egress]


def test_the_default_acl_lets_everything_pass(ec2):
    client = ec2()
    vpc, subnet = build(client)
    acl = default_acl(client, vpc)
    assert acl["IsDefault"] and acl["OwnerId"] == "111111111111"
    assert [a["SubnetId"] for a in acl["Associations"]] == [subnet]
    expected = []
    for egress in (True, False):
        expected += [
            {**ALL, "Egress": egress, "RuleNumber": 100},
            {**ALL, "Egress": egress, "RuleNumber": 32767, "RuleAction": "deny"},
        ]
    assert acl["Entries"] == expected


def test_entries(ec2, refused):
    client = ec2()
    vpc, _ = build(client)
    tags = [{"Key": "Name", "Value": "mine"}]
    acl = client.create_network_acl(
        VpcId=vpc, TagSpecifications=[{"ResourceType": "network-acl", "Tags": tags}]
    )["NetworkAcl"]
    assert acl["Tags"] == tags and not acl["IsDefault"] and acl["Associations"] == []
    acl = acl["NetworkAclId"]
    assert [entry["RuleNumber"] for entry in entries(client, acl)] == [32767]

    def create(number, protocol, egress=False, **more):
        more = {"CidrBlock": "192.0.2.0/24", "RuleAction": "allow", **more}
        client.create_network_acl_entry(
            NetworkAclId=acl, RuleNumber=number, Protocol=protocol, Egress=egress, **more
        )

    ports = {"From": 22, "To": 23}
    create(10, "6", PortRange=ports)
    create(20, "1", IcmpTypeCode={"Type": 8, "Code": -1})
    create(30, "1", IcmpTypeCode={"Type": -1, "Code": -1}, RuleAction="deny")
    create(40, "47")
    create(10, "17", egress=True, PortRange={"From": 0, "To": 65535})
    base = {"CidrBlock": "192.0.2.0/24", "Egress": False, "RuleAction": "allow"}
    assert entries(client, acl)[:-1] == [
        {**base, "RuleNumber": 10, "Protocol": "6", "PortRange": ports},
        {**base, "RuleNumber": 20, "Protocol": "1", "IcmpTypeCode": {"Type": 8, "Code": -1}},
        {
            **base,
            "RuleNumber": 30,
            "Protocol": "1",
            "RuleAction": "deny",
            "IcmpTypeCode": {"Type": -1, "Code": -1},
        },
        {**base, "RuleNumber": 40, "Protocol": "47"},
    ]
    with refused("NetworkAclEntryAlreadyExists"):
        create(10, "6", PortRange=ports)
    for wrong in [
        {"number": 0, "protocol": "-1"},
        {"number": 32767, "protocol": "-1"},
        {"number": 50, "protocol": "tcp"},
        {"number": 50, "protocol": "256"},
        {"number": 50, "protocol": "6", "PortRange": {"From": 2, "To": 1}},
        {"number": 50, "protocol": "-1", "CidrBlock": "10.0.0.0"},
        {"number": 50, "protocol": "1", "IcmpTypeCode": {"Type": -1, "Code": 3}},
    ]:
        with refused("InvalidParameterValue"):
            create(**wrong)
    for wrong in ["6", "1"]:
        with refused("MissingParameter"):
            create(50, wrong)

    client.replace_network_acl_entry(
        NetworkAclId=acl, RuleNumber=10, Egress=False, **{**ALL, "RuleAction": "deny"}
    )
    assert entries(client, acl)[0] == {**ALL, "RuleNumber": 10, "Egress": False, "RuleAction": "deny"}
    with refused("InvalidNetworkAclEntry.NotFound"):
        client.replace_network_acl_entry(NetworkAclId=acl, RuleNumber=11, Egress=False, **ALL)
    client.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=10, Egress=True)
    with refused("InvalidNetworkAclEntry.NotFound"):
        client.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=10, Egress=True)
    with refused("InvalidNetworkAclID.NotFound"):
        ec2("222222222222").delete_network_acl_entry(NetworkAclId=acl, RuleNumber=10, Egress=False)

    found = client.describe_network_acls(
        Filters=[
            {"Name": "entry.protocol", "Values": ["47"]},
            {"Name": "entry.icmp.type", "Values": ["8"]},
            {"Name": "tag:Name", "Values": ["mi*"]},
        ]
    )
    assert [a["NetworkAclId"] for a in found["NetworkAcls"]] == [acl]


def test_associations(ec2, refused):
    client = ec2()
    vpc, subnet = build(client)
    default = default_acl(client, vpc)
    acl = client.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    association = default["Associations"][0]["NetworkAclAssociationId"]
    new = client.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)
    new = new["NewAssociationId"]
    assert new != association
    for name, value in [
        ("association.subnet-id", subnet),
        ("association.association-id", new),
        ("association.network-acl-id", acl),
    ]:
        found = client.describe_network_acls(Filters=[{"Name": name, "Values": [value]}])
        [found] = found["NetworkAcls"]
        assert found["NetworkAclId"] == acl
        assert found["Associations"] == [
            {"NetworkAclAssociationId": new, "NetworkAclId": acl, "SubnetId": subnet}
        ]
    with refused("InvalidAssociationID.NotFound"):
        client.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)
    with refused("DependencyViolation"):
        client.delete_network_acl(NetworkAclId=acl)
    with refused("InvalidParameterValue"):
        client.delete_network_acl(NetworkAclId=default["NetworkAclId"])
    client.replace_network_acl_association(
        AssociationId=new, NetworkAclId=default["NetworkAclId"]
    )
    client.delete_network_acl(NetworkAclId=acl)
    with refused("InvalidNetworkAclID.NotFound"):
        client.describe_network_acls(NetworkAclIds=[acl])


def test_number_101_of_a_default_acl_is_free(ec2):
    client = ec2()
    vpc, _ = build(client)
    acl = default_acl(client, vpc)["NetworkAclId"]
    client.create_network_acl_entry(NetworkAclId=acl, RuleNumber=101, Egress=False, **ALL)
    assert [entry["RuleNumber"] for entry in entries(client, acl)] == [100, 101, 32767]
    assert [entry["RuleNumber"] for entry in entries(client, acl, True)] == [100, 32767]


@pytest.mark.server(profile="today")
def test_ipv6(ec2, refused):
    client = ec2()
    (vpc, _), (other, _) = build(client), build(client)
    touched = default_acl(client, other)["NetworkAclId"]
    with refused("InvalidNetworkAclEntry.NotFound"):
        client.delete_network_acl_entry(NetworkAclId=touched, RuleNumber=101, Egress=True)
    client.delete_network_acl_entry(NetworkAclId=touched, RuleNumber=100, Egress=True)
    for each in (vpc, other):
        client.associate_vpc_cidr_block(VpcId=each, AmazonProvidedIpv6CidrBlock=True)
    numbers = [entry["RuleNumber"] for entry in default_acl(client, vpc)["Entries"]]
    assert numbers == [100, 101, 32767, 32768] * 2
    numbers = [entry["RuleNumber"] for entry in default_acl(client, other)["Entries"]]
    assert numbers == [32767, 32768, 100, 32767, 32768]
    acl = default_acl(client, vpc)["NetworkAclId"]
    entry = {"Protocol": "58", "Ipv6CidrBlock": "::/0", "RuleAction": "allow"}
    client.create_network_acl_entry(
        NetworkAclId=acl, RuleNumber=7, Egress=False, IcmpTypeCode={"Type": 128, "Code": 0}, **entry
    )
    assert entries(client, acl)[0] == {
        **entry, "RuleNumber": 7, "Egress": False, "IcmpTypeCode": {"Type": 128, "Code": 0},
    }  # fmt: skip
