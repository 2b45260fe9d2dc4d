"""Security groups and their rules, as boto3 sees them."""

import pytest

TCP22 = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}


def tcp(first, last=None, **peers):
    return {"IpProtocol": "tcp", "FromPort": first, "ToPort": first if last is None else last, **peers}


def block(cidr, description=None):
    return {"CidrIp": cidr} if description is None else {"CidrIp": cidr, "Description": description}


def new_vpc(client, cidr="10.0.0.0/16", **more):
    return client.create_vpc(CidrBlock=cidr, **more)["Vpc"]["VpcId"]


def new_group(client, vpc, name="web"):
    return client.create_security_group(GroupName=name, Description=f"the {name}", VpcId=vpc)["GroupId"]


def shown(client, group):
    return client.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]


def rules(client, group):
    values = [{"Name": "group-id", "Values": [group]}]
    return client.describe_security_group_rules(Filters=values)["SecurityGroupRules"]


def test_a_new_group_lets_nothing_in_and_all_out(ec2):
    client = ec2()
    vpc = new_vpc(client)
    tags = [{"Key": "Name", "Value": "web"}]
    made = client.create_security_group(
        GroupName="web",
        Description="the web",
        VpcId=vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
    )
    group = made["GroupId"]
    arn = f"arn:aws:ec2:us-east-1:111111111111:security-group/{group}"
    assert made["Tags"] == tags and made["SecurityGroupArn"] == arn
    everywhere = {
        "IpProtocol": "-1",
        "UserIdGroupPairs": [],
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
        "Ipv6Ranges": [],
        "PrefixListIds": [],
    }
    assert shown(client, group) == {
        "GroupId": group,
        "GroupName": "web",
        "Description": "the web",
        "OwnerId": "111111111111",
        "VpcId": vpc,
        "SecurityGroupArn": arn,
        "IpPermissions": [],
        "IpPermissionsEgress": [everywhere],
        "Tags": tags,
    }
    [rule] = rules(client, group)
    assert rule["SecurityGroupRuleId"].startswith("sgr-") and rule["IsEgress"]
    assert (rule["FromPort"], rule["ToPort"], rule["CidrIpv4"]) == (-1, -1, "0.0.0.0/0")


def test_the_default_group(ec2, refused):
    client = ec2()
    vpc = new_vpc(client)
    of_vpc = {"Name": "vpc-id", "Values": [vpc]}
    by_name = {"Name": "group-name", "Values": ["default"]}
    [group] = client.describe_security_groups(Filters=[of_vpc, by_name])["SecurityGroups"]
    assert group["Description"] == "default VPC security group"
    [permission] = group["IpPermissions"]
    pair = {"UserId": "111111111111", "GroupId": group["GroupId"]}
    assert permission["UserIdGroupPairs"] == [pair]
    assert len({rule["SecurityGroupRuleId"] for rule in rules(client, group["GroupId"])}) == 2
    with refused("CannotDelete"):
        client.delete_security_group(GroupId=group["GroupId"])
    with refused("InvalidGroup.Reserved"):
        new_group(client, vpc, "default")


def test_names(ec2, refused):
    client = ec2()
    vpc, other = new_vpc(client), new_vpc(client)
    new_group(client, vpc)
    new_group(client, other)
    with refused("InvalidGroup.Duplicate"):
        new_group(client, vpc)
    with refused("InvalidParameterValue"):
        new_group(client, vpc, "sg-1")
    with refused("InvalidVpcID.NotFound"):
        new_group(client, "vpc-00000000000000000")
    with refused("InvalidParameterValue"):
        client.create_security_group(GroupName="x", Description="ü", VpcId=vpc)
    with refused("InvalidGroup.NotFound"):
        client.describe_security_groups(GroupNames=["web"])
    with refused("InvalidGroup.NotFound", "The security group 'sg-00000000000000000' does not exist"):
        client.describe_security_groups(GroupIds=["sg-00000000000000000"])
    with refused("InvalidSecurityGroupId.Malformed"):
        client.describe_security_groups(GroupIds=["sg-x"])


def test_rules_come_and_go(ec2, refused):
    client = ec2()
    vpc = new_vpc(client)
    group, other = new_group(client, vpc), new_group(client, vpc, "other")
    permissions = [
        tcp(22, IpRanges=[block("10.0.0.7/8", "office"), block("192.0.2.0/24")]),
        tcp(22, UserIdGroupPairs=[{"GroupId": other, "Description": "friends"}]),
        {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": [block("0.0.0.0/0")]},
        {"IpProtocol": "50", "IpRanges": [block("0.0.0.0/0")]},
    ]
    answer = client.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=permissions,
        TagSpecifications=[
            {"ResourceType": "security-group-rule", "Tags": [{"Key": "k", "Value": "v"}]}
        ],
    )
    assert answer["Return"] is True
    made = answer["SecurityGroupRules"]
    assert [rule.get("CidrIpv4") for rule in made] == [
        "10.0.0.0/8", "192.0.2.0/24", None, "0.0.0.0/0", "0.0.0.0/0",
    ]  # fmt: skip
    office = made[0]
    sgr = office["SecurityGroupRuleId"]
    assert office == {
        "SecurityGroupRuleId": sgr,
        "GroupId": group,
        "GroupOwnerId": "111111111111",
        "IsEgress": False,
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "CidrIpv4": "10.0.0.0/8",
        "Description": "office",
        "Tags": [{"Key": "k", "Value": "v"}],
        "SecurityGroupRuleArn": f"arn:aws:ec2:us-east-1:111111111111:security-group-rule/{sgr}",
    }
    assert made[2]["ReferencedGroupInfo"] == {"GroupId": other, "UserId": "111111111111"}
    # Equal traffic stands together.
    ssh = [p for p in shown(client, group)["IpPermissions"] if p["IpProtocol"] == "tcp"]
    assert ssh == [
        {
            **TCP22,
            "UserIdGroupPairs": [
                {"Description": "friends", "UserId": "111111111111", "GroupId": other}
            ],
            "IpRanges": [block("10.0.0.0/8", "office"), block("192.0.2.0/24")],
            "Ipv6Ranges": [],
            "PrefixListIds": [],
        }
    ]
    with refused("InvalidPermission.Duplicate"):
        client.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions[:1])
    with refused("DependencyViolation"):
        client.delete_security_group(GroupId=other)

    answer = client.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[sgr])
    assert answer["RevokedSecurityGroupRules"] == [
        {
            "SecurityGroupRuleId": sgr,
            "GroupId": group,
            "IsEgress": False,
            "IpProtocol": "tcp",
            "FromPort": 22,
            "ToPort": 22,
            "CidrIpv4": "10.0.0.0/8",
            "Description": "office",
        }
    ]
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        client.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[sgr])
    with refused("InvalidPermission.NotFound"):
        client.revoke_security_group_ingress(GroupId=group, IpPermissions=permissions[:1])
    client.revoke_security_group_ingress(GroupId=group, IpPermissions=permissions[1:])
    assert [rule["CidrIpv4"] for rule in rules(client, group) if not rule["IsEgress"]] == [
        "192.0.2.0/24"
    ]
    client.delete_security_group(GroupId=other)


def test_what_is_no_rule_is_refused(ec2, refused):
    client = ec2()
    vpc = new_vpc(client)
    group, foreign = new_group(client, vpc), new_group(client, new_vpc(client), "foreign")

    def allow(*permissions, **more):
        client.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions, **more)

    ranges = {"IpRanges": [block("10.0.0.0/8")]}
    for permission in [
        {"IpProtocol": "tcp", **ranges},
        tcp(2, 1, **ranges),
        tcp(0, 65536, **ranges),
        {"IpProtocol": "foo", **ranges},
        tcp(22, IpRanges=[block("10.0.0.0/33")]),
        tcp(22, IpRanges=[block("10.0.0.0/8", "ü")]),
        tcp(22, IpRanges=[block("10.0.0.0/8"), block("10.1.0.0/8")]),
    ]:
        with refused("InvalidParameterValue"):
            allow(permission)
    with refused("InvalidPermission.Malformed"):
        allow(TCP22)
    with refused("InvalidGroup.NotFound"):
        allow(tcp(22, UserIdGroupPairs=[{"GroupId": "sg-00000000000000000"}]))
    with refused("InvalidGroup.NotFound"):
        allow(tcp(22, UserIdGroupPairs=[{"GroupId": foreign}]))
    with refused("InvalidGroup.NotFound"):
        allow(tcp(22, UserIdGroupPairs=[{"GroupId": group, "UserId": "222222222222"}]))
    with refused("InvalidPrefixListID.NotFound"):
        allow(tcp(22, PrefixListIds=[{"PrefixListId": "pl-00000000000000000"}]))
    with refused("RulesPerSecurityGroupLimitExceeded"):
        allow(tcp(22, IpRanges=[block(f"10.{n}.0.0/16") for n in range(61)]))
    with refused("InvalidSecurityGroupRuleId.Malformed"):
        client.describe_security_group_rules(SecurityGroupRuleIds=["sgr-x"])
    with refused("DryRunOperation"):
        allow(tcp(22, **ranges), DryRun=True)
    with refused("InvalidGroup.NotFound"):
        ec2("222222222222").authorize_security_group_ingress(
            GroupId=group, IpPermissions=[tcp(22, **ranges)]
        )
    assert shown(client, group)["IpPermissions"] == []


def test_flat_parameters(ec2):
    client = ec2()
    group = new_group(client, new_vpc(client))
    flat = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "192.0.2.0/24"}
    client.authorize_security_group_ingress(GroupId=group, **flat)
    [permission] = shown(client, group)["IpPermissions"]
    assert permission["IpRanges"] == [block("192.0.2.0/24")]
    client.revoke_security_group_ingress(GroupId=group, **flat)
    assert shown(client, group)["IpPermissions"] == []


def test_a_vpc_without_ipv6_shows_no_rule_for_it(ec2, refused):
    client = ec2()
    group = new_group(client, new_vpc(client))
    v6 = {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
    with refused("InvalidPermission.NotFound"):
        client.revoke_security_group_egress(GroupId=group, IpPermissions=[v6])
    assert len(rules(client, group)) == 1


@pytest.mark.server(profile="today")
def test_ipv6(ec2, refused):
    client = ec2()
    v6 = {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
    v4 = {"IpProtocol": "-1", "IpRanges": [block("0.0.0.0/0")]}

    def egress(group):
        permissions = shown(client, group)["IpPermissionsEgress"]
        return [(p["IpRanges"], p["Ipv6Ranges"]) for p in permissions]

    vpc = new_vpc(client)
    touched, untouched = new_group(client, vpc), new_group(client, vpc, "untouched")
    asked = new_group(client, vpc, "asked")
    with refused("InvalidPermission.NotFound"):
        client.revoke_security_group_egress(GroupId=touched, IpPermissions=[v6])
    client.revoke_security_group_egress(GroupId=touched, IpPermissions=[v4])
    client.authorize_security_group_egress(GroupId=asked, IpPermissions=[v6])
    assert egress(touched) == []
    assert egress(untouched) == [([block("0.0.0.0/0")], [])]
    assert egress(asked) == [([block("0.0.0.0/0")], [{"CidrIpv6": "::/0"}])]
    client.associate_vpc_cidr_block(VpcId=vpc, AmazonProvidedIpv6CidrBlock=True)
    assert egress(touched) == []
    assert egress(untouched) == [([block("0.0.0.0/0")], [{"CidrIpv6": "::/0"}])]
    with refused("InvalidPermission.Duplicate"):
        client.authorize_security_group_egress(GroupId=untouched, IpPermissions=[v6])
    client.revoke_security_group_egress(GroupId=untouched, IpPermissions=[v6])
    assert egress(untouched) == [([block("0.0.0.0/0")], [])]


def test_rules_are_described_tagged_and_modified(ec2, refused):
    client = ec2()
    vpc = new_vpc(client)
    group = new_group(client, vpc)
    # A rule that nobody has authorised is like the others.
    [born] = rules(client, group)
    sgr = born["SecurityGroupRuleId"]
    client.create_tags(Resources=[sgr], Tags=[{"Key": "a", "Value": "b"}])
    client.update_security_group_rule_descriptions_egress(
        GroupId=group,
        SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": sgr, "Description": "all"}],
    )
    [born] = client.describe_security_group_rules(SecurityGroupRuleIds=[sgr])["SecurityGroupRules"]
    assert born["Description"] == "all" and born["Tags"] == [{"Key": "a", "Value": "b"}]
    [tag] = client.describe_tags(Filters=[{"Name": "resource-type", "Values": ["security-group-rule"]}])["Tags"]
    assert tag["ResourceId"] == sgr
    found = client.describe_security_group_rules(Filters=[{"Name": "tag:a", "Values": ["b"]}])
    assert [rule["SecurityGroupRuleId"] for rule in found["SecurityGroupRules"]] == [sgr]

    made = client.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[tcp(22, IpRanges=[block("10.0.0.0/8", "old")]), tcp(80, IpRanges=[block("10.0.0.0/8")])],
    )["SecurityGroupRules"]
    ssh, web = [rule["SecurityGroupRuleId"] for rule in made]

    def request(port, cidr, **more):
        return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIpv4": cidr, **more}

    # They change places, and the rule out changes with them.
    client.modify_security_group_rules(
        GroupId=group,
        SecurityGroupRules=[
            {"SecurityGroupRuleId": ssh, "SecurityGroupRule": request(80, "10.0.0.0/8")},
            {"SecurityGroupRuleId": web, "SecurityGroupRule": request(22, "10.0.0.0/8", Description="new")},
            {"SecurityGroupRuleId": sgr, "SecurityGroupRule": request(443, "192.0.2.1/32")},
        ],
    )
    after = {rule["SecurityGroupRuleId"]: rule for rule in rules(client, group)}
    assert sorted(after) == sorted([ssh, web, sgr])
    assert (after[ssh]["FromPort"], after[ssh].get("Description")) == (80, None)
    assert (after[web]["FromPort"], after[web].get("Description")) == (22, "new")
    assert after[sgr]["CidrIpv4"] == "192.0.2.1/32" and after[sgr]["IsEgress"]
    assert after[sgr]["Tags"] == [{"Key": "a", "Value": "b"}]
    with refused("InvalidPermission.Duplicate"):
        client.modify_security_group_rules(
            GroupId=group,
            SecurityGroupRules=[{"SecurityGroupRuleId": ssh, "SecurityGroupRule": request(22, "10.0.0.0/8")}],
        )
    client.update_security_group_rule_descriptions_ingress(
        GroupId=group, IpPermissions=[tcp(22, IpRanges=[block("10.0.0.0/8", "by permission")])]
    )
    [rule] = client.describe_security_group_rules(SecurityGroupRuleIds=[web])["SecurityGroupRules"]
    assert rule["Description"] == "by permission"
    with refused("InvalidPermission.NotFound"):
        client.update_security_group_rule_descriptions_ingress(
            GroupId=group, IpPermissions=[tcp(23, IpRanges=[block("10.0.0.0/8")])]
        )
    # Nothing is left of a group that is gone.
    client.delete_security_group(GroupId=group)
    assert client.describe_tags(Filters=[{"Name": "resource-id", "Values": [sgr]}])["Tags"] == []
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        client.describe_security_group_rules(SecurityGroupRuleIds=[web])


def test_filters_and_pages(ec2):
    client = ec2()
    vpc, other = new_vpc(client), new_vpc(client)
    groups = [new_group(client, vpc, f"g{n}") for n in range(6)]
    client.authorize_security_group_ingress(
        GroupId=groups[3], IpPermissions=[tcp(8443, IpRanges=[block("198.51.100.0/24")])]
    )

    def ids(**filters):
        filters = [{"Name": n.replace("_", "-").replace("--", "."), "Values": v} for n, v in filters.items()]
        found = client.describe_security_groups(Filters=filters)["SecurityGroups"]
        return sorted(group["GroupId"] for group in found)

    assert ids(ip_permission__from_port=["8443"]) == [groups[3]]
    assert ids(ip_permission__cidr=["198.51.100.0/24"], vpc_id=[vpc]) == [groups[3]]
    assert ids(ip_permission__cidr=["198.51.100.0/24"], vpc_id=[other]) == []
    assert ids(group_name=["g?"]) == sorted(groups)
    assert ids(group_id=[groups[0], "sg-00000000000000000"]) == [groups[0]]
    assert ids(description=["the g1"], egress__ip_permission__protocol=["-1"]) == [groups[1]]
    pages = client.get_paginator("describe_security_groups").paginate(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}], PaginationConfig={"PageSize": 5}
    )
    assert [len(page["SecurityGroups"]) for page in pages] == [5, 2]


def test_the_default_vpcs_groups_have_names(ec2):
    client = ec2("333333333333")
    default = client.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not default:
        pytest.skip("there is no default VPC")
    group = client.create_security_group(GroupName="old", Description="old")["GroupId"]
    assert shown(client, group)["VpcId"] == default[0]["VpcId"]
    [found] = client.describe_security_groups(GroupNames=["old"])["SecurityGroups"]
    assert found["GroupId"] == group
    client.authorize_security_group_ingress(GroupName="old", SourceSecurityGroupName="default")
    # What is not there is no error here.
    permission = tcp(1, IpRanges=[block("10.0.0.0/8")])
    answer = client.revoke_security_group_ingress(GroupName="old", IpPermissions=[permission])
    assert answer["UnknownIpPermissions"][0]["IpRanges"] == [block("10.0.0.0/8")]
    client.delete_security_group(GroupName="old")


@pytest.mark.server(profile="today")
def test_groups_of_a_peer(ec2, refused):
    ours, theirs = ec2(), ec2("222222222222")
    here, there = new_vpc(ours), new_vpc(theirs, "10.1.0.0/16")
    pcx = ours.create_vpc_peering_connection(VpcId=here, PeerVpcId=there, PeerOwnerId="222222222222")
    pcx = pcx["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    group, named = new_group(ours, here), new_group(theirs, there)
    pair = {"GroupId": named, "UserId": "222222222222"}
    permission = tcp(443, UserIdGroupPairs=[pair])
    with refused("InvalidGroup.NotFound"):
        ours.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    theirs.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    made = ours.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    expected = {
        "GroupId": named,
        "UserId": "222222222222",
        "VpcId": there,
        "VpcPeeringConnectionId": pcx,
        "PeeringStatus": "active",
    }
    assert made["SecurityGroupRules"][0]["ReferencedGroupInfo"] == expected
    assert shown(ours, group)["IpPermissions"][0]["UserIdGroupPairs"] == [expected]
    references = theirs.describe_security_group_references(GroupId=[named])
    assert references["SecurityGroupReferenceSet"] == [
        {"GroupId": named, "ReferencingVpcId": here, "VpcPeeringConnectionId": pcx}
    ]
    assert ours.describe_stale_security_groups(VpcId=here)["StaleSecurityGroupSet"] == []

    # The group goes: nobody knows whose it was.
    theirs.delete_security_group(GroupId=named)
    [stale] = ours.describe_stale_security_groups(VpcId=here)["StaleSecurityGroupSet"]
    without_owner = {key: value for key, value in expected.items() if key != "UserId"}
    assert stale == {
        "GroupId": group,
        "GroupName": "web",
        "Description": "the web",
        "VpcId": here,
        "StaleIpPermissions": [
            {
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "IpRanges": [],
                "PrefixListIds": [],
                "UserIdGroupPairs": [without_owner],
            }
        ],
        "StaleIpPermissionsEgress": [],
    }
    # The peering goes too.
    ours.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    [pair] = shown(ours, group)["IpPermissions"][0]["UserIdGroupPairs"]
    assert pair["PeeringStatus"] in ("deleting", "deleted")
    ours.revoke_security_group_ingress(GroupId=group, IpPermissions=[tcp(443, UserIdGroupPairs=[{"GroupId": named}])])
    assert ours.describe_stale_security_groups(VpcId=here)["StaleSecurityGroupSet"] == []
