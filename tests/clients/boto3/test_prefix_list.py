"""Prefix lists, as boto3 sees them."""


def entries(client, prefix_list, **more):
    found = client.get_managed_prefix_list_entries(PrefixListId=prefix_list, **more)["Entries"]
    return {entry["Cidr"]: entry.get("Description") for entry in found}


def create(client, *cidrs, most=5, name="offices", **more):
    return client.create_managed_prefix_list(
        PrefixListName=name,
        MaxEntries=most,
        AddressFamily="IPv4",
        Entries=[{"Cidr": cidr, "Description": f"at {cidr}"} for cidr in cidrs],
        **more,
    )["PrefixList"]


def shown(client, prefix_list):
    return client.describe_managed_prefix_lists(PrefixListIds=[prefix_list])["PrefixLists"][0]


def test_a_list_and_its_versions(ec2, refused):
    client = ec2()
    tags = [{"Key": "a", "Value": "b"}]
    made = create(
        client,
        "10.0.0.0/8",
        "192.0.2.0/24",
        TagSpecifications=[{"ResourceType": "prefix-list", "Tags": tags}],
    )
    pl = made["PrefixListId"]
    assert made.pop("State") == "create-in-progress"
    assert made == {
        "PrefixListId": pl,
        "AddressFamily": "IPv4",
        "PrefixListArn": f"arn:aws:ec2:us-east-1:111111111111:prefix-list/{pl}",
        "PrefixListName": "offices",
        "MaxEntries": 5,
        "Version": 1,
        "Tags": tags,
        "OwnerId": "111111111111",
    }
    assert shown(client, pl)["State"] == "create-complete"
    first = {"10.0.0.0/8": "at 10.0.0.0/8", "192.0.2.0/24": "at 192.0.2.0/24"}
    assert entries(client, pl) == first

    changed = client.modify_managed_prefix_list(
        PrefixListId=pl,
        CurrentVersion=1,
        AddEntries=[{"Cidr": "198.51.100.0/24"}],
        RemoveEntries=[{"Cidr": "10.0.0.0/8"}],
    )["PrefixList"]
    assert (changed["Version"], changed["State"]) == (2, "modify-in-progress")
    assert shown(client, pl)["State"] == "modify-complete"
    assert entries(client, pl) == {"192.0.2.0/24": "at 192.0.2.0/24", "198.51.100.0/24": None}
    assert entries(client, pl, TargetVersion=1) == first
    with refused("PrefixListVersionMismatch"):
        client.modify_managed_prefix_list(
            PrefixListId=pl, CurrentVersion=1, AddEntries=[{"Cidr": "10.0.0.0/8"}]
        )
    with refused("InvalidParameterValue"):
        client.modify_managed_prefix_list(
            PrefixListId=pl, CurrentVersion=2, RemoveEntries=[{"Cidr": "10.0.0.0/8"}]
        )
    client.modify_managed_prefix_list(PrefixListId=pl, PrefixListName="renamed", MaxEntries=2)
    renamed = shown(client, pl)
    assert (renamed["PrefixListName"], renamed["MaxEntries"], renamed["Version"]) == ("renamed", 2, 2)
    with refused("PrefixListMaxEntriesExceeded"):
        client.modify_managed_prefix_list(
            PrefixListId=pl, CurrentVersion=2, AddEntries=[{"Cidr": "10.0.0.0/8"}]
        )
    restored = client.restore_managed_prefix_list_version(
        PrefixListId=pl, PreviousVersion=1, CurrentVersion=2
    )["PrefixList"]
    assert restored["Version"] == 3 and entries(client, pl) == first

    deleted = client.delete_managed_prefix_list(PrefixListId=pl)["PrefixList"]
    assert deleted["State"] == "delete-in-progress"
    with refused("InvalidPrefixListID.NotFound"):
        client.describe_managed_prefix_lists(PrefixListIds=[pl])


def test_what_is_no_list_is_refused(ec2, refused):
    client = ec2()
    with refused("InvalidParameterValue"):
        create(client, "10.0.0.0")
    with refused("InvalidParameterValue"):
        create(client, "10.0.0.0/8", "10.1.0.0/8")
    with refused("InvalidParameterValue"):
        create(client, name="com.amazonaws.mine")
    with refused("InvalidParameterValue"):
        create(client, most=0)
    with refused("InvalidParameterValue"):
        create(client, "2001:db8::/32")
    with refused("PrefixListMaxEntriesExceeded"):
        create(client, "10.0.0.0/8", "192.0.2.0/24", most=1)
    pl = create(client, "10.0.0.0/8")["PrefixListId"]
    with refused("InvalidPrefixListID.NotFound"):
        entries(ec2("222222222222"), pl)
    with refused("InvalidPrefixListID.NotFound"):
        entries(ec2(region="eu-west-1"), pl)


def test_a_rule_names_a_list(ec2, refused):
    client = ec2()
    vpc = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = client.create_security_group(GroupName="g", Description="g", VpcId=vpc)["GroupId"]
    pl = create(client, "10.0.0.0/8")["PrefixListId"]
    permission = {
        "IpProtocol": "tcp",
        "FromPort": 1,
        "ToPort": 2,
        "PrefixListIds": [{"PrefixListId": pl, "Description": "offices"}],
    }
    made = client.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    assert made["SecurityGroupRules"][0]["PrefixListId"] == pl
    [found] = client.describe_security_groups(
        Filters=[{"Name": "ip-permission.prefix-list-id", "Values": [pl]}]
    )["SecurityGroups"]
    assert found["IpPermissions"][0]["PrefixListIds"] == permission["PrefixListIds"]
    with refused("DependencyViolation"):
        client.delete_managed_prefix_list(PrefixListId=pl)


def test_amazons_lists_are_there_too(ec2):
    client = ec2()
    name = "com.amazonaws.us-east-1.s3"
    filters = [{"Name": "prefix-list-name", "Values": [name]}]
    [of_s3] = client.describe_prefix_lists(Filters=filters)["PrefixLists"]
    [managed] = client.describe_managed_prefix_lists(Filters=filters)["PrefixLists"]
    assert managed["PrefixListId"] == of_s3["PrefixListId"] and managed["OwnerId"] == "AWS"
    assert sorted(entries(client, of_s3["PrefixListId"])) == sorted(of_s3["Cidrs"])
    pl = create(client)["PrefixListId"]
    mine = [{"Name": "owner-id", "Values": ["111111111111"]}]
    found = client.describe_managed_prefix_lists(Filters=mine)["PrefixLists"]
    assert [each["PrefixListId"] for each in found] == [pl]
    pages = client.get_paginator("describe_managed_prefix_lists")
    pages = pages.paginate(PaginationConfig={"PageSize": 2})
    assert [len(page["PrefixLists"]) for page in pages] == [2, 1]
