"""Gateways, endpoints and elastic addresses."""

import json

import pytest

A, B = "111111111111", "222222222222"
AMI = "ami-0123456789abcdef0"
DIGITS = "0123456789abcdef0"


@pytest.fixture
def client(ec2):
    return ec2(A)


class Net:
    """A VPC with a subnet and an internet gateway."""

    def __init__(self, client, block="10.0.0.0/16"):
        self.client = client
        self.vpc = client.create_vpc(CidrBlock=block)["Vpc"]["VpcId"]
        cidr = block.replace("/16", "/24")
        self.subnet = client.create_subnet(VpcId=self.vpc, CidrBlock=cidr)["Subnet"]["SubnetId"]
        self.igw = client.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        client.attach_internet_gateway(InternetGatewayId=self.igw, VpcId=self.vpc)

    def interface(self, **more):
        answer = self.client.create_network_interface(SubnetId=self.subnet, **more)
        return answer["NetworkInterface"]["NetworkInterfaceId"]

    def instance(self):
        launch = self.client.run_instances(ImageId=AMI, MinCount=1, MaxCount=1, SubnetId=self.subnet)
        return launch["Instances"][0]["InstanceId"]


@pytest.fixture
def net(client):
    return Net(client)


def rows(**filters):
    return [{"Name": k.replace("__", ".").replace("_", "-"), "Values": v} for k, v in filters.items()]


def tagged(kind, key="Name", value="x"):
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value}]}]


def test_internet_gateways(ec2, client, net, refused):
    made = client.create_internet_gateway(TagSpecifications=tagged("internet-gateway"))["InternetGateway"]
    assert made["Attachments"] == [] and made["OwnerId"] == A
    assert made["Tags"] == [{"Key": "Name", "Value": "x"}]
    igw = made["InternetGatewayId"]

    def found(**filters):
        answer = client.describe_internet_gateways(Filters=rows(**filters))["InternetGateways"]
        return [g["InternetGatewayId"] for g in answer]

    assert found(attachment__vpc_id=[net.vpc]) == [net.igw]
    assert found(**{"tag:Name": ["x"]}) == [igw]
    assert found(attachment__vpc_id=["vpc-" + DIGITS]) == []
    (row,) = client.describe_internet_gateways(InternetGatewayIds=[net.igw])["InternetGateways"]
    assert row["Attachments"] == [{"State": "available", "VpcId": net.vpc}]
    with refused("Resource.AlreadyAssociated"):
        client.attach_internet_gateway(InternetGatewayId=net.igw, VpcId=net.vpc)
    with refused("InvalidParameterValue"):
        client.attach_internet_gateway(InternetGatewayId=igw, VpcId=net.vpc)
    with refused("Gateway.NotAttached"):
        client.detach_internet_gateway(InternetGatewayId=igw, VpcId=net.vpc)
    with refused("DependencyViolation"):
        client.delete_internet_gateway(InternetGatewayId=net.igw)
    ghost = "igw-" + DIGITS
    with refused("InvalidInternetGatewayID.NotFound", f"The internetGateway ID '{ghost}' does not exist"):
        client.describe_internet_gateways(InternetGatewayIds=[ghost])
    with refused("InvalidInternetGatewayID.NotFound"):
        ec2(B).delete_internet_gateway(InternetGatewayId=igw)
    client.get_waiter("internet_gateway_exists").wait(InternetGatewayIds=[igw])
    client.detach_internet_gateway(InternetGatewayId=net.igw, VpcId=net.vpc)
    for each in (igw, net.igw):
        client.delete_internet_gateway(InternetGatewayId=each)
    assert found(attachment__vpc_id=[net.vpc]) == []


@pytest.mark.server(profile="today")
def test_egress_only_gateways(ec2, client, net, refused):
    made = client.create_egress_only_internet_gateway(
        VpcId=net.vpc, TagSpecifications=tagged("egress-only-internet-gateway")
    )["EgressOnlyInternetGateway"]
    assert made["Attachments"] == [{"State": "attached", "VpcId": net.vpc}]
    assert made["Tags"] == [{"Key": "Name", "Value": "x"}]
    eigw = made["EgressOnlyInternetGatewayId"]
    assert eigw.startswith("eigw-")

    def found(**more):
        answer = client.describe_egress_only_internet_gateways(**more)["EgressOnlyInternetGateways"]
        return [g["EgressOnlyInternetGatewayId"] for g in answer]

    assert found() == found(EgressOnlyInternetGatewayIds=[eigw]) == [eigw]
    assert found(Filters=rows(**{"tag:Name": ["x"]})) == [eigw]
    assert found(Filters=rows(**{"tag:Name": ["y"]})) == []
    with refused("InvalidParameterValue"):
        client.create_egress_only_internet_gateway(VpcId=net.vpc)
    with refused("InvalidEgressOnlyInternetGatewayId.NotFound"):
        ec2(B).delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=eigw)
    with refused("InvalidEgressOnlyInternetGatewayId.Malformed"):
        client.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId="igw-" + DIGITS)
    with refused("DependencyViolation"):
        client.delete_vpc(VpcId=net.vpc)

    (table,) = client.describe_route_tables(Filters=rows(vpc_id=[net.vpc]))["RouteTables"]
    way = {"RouteTableId": table["RouteTableId"], "EgressOnlyInternetGatewayId": eigw}
    with refused("InvalidParameterValue"):
        client.create_route(DestinationCidrBlock="0.0.0.0/0", **way)
    client.create_route(DestinationIpv6CidrBlock="::/0", **way)
    named = rows(**{"route__egress-only-internet-gateway-id": [eigw]})

    def route():
        (table,) = client.describe_route_tables(Filters=named)["RouteTables"]
        (route,) = [r for r in table["Routes"] if r.get("DestinationIpv6CidrBlock") == "::/0"]
        return route

    assert (route()["EgressOnlyInternetGatewayId"], route()["State"]) == (eigw, "active")
    assert "GatewayId" not in route()
    answer = client.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=eigw)
    assert answer["ReturnCode"] is True
    assert route()["State"] == "blackhole"
    assert found() == []
    with refused("InvalidEgressOnlyInternetGatewayId.NotFound"):
        found(EgressOnlyInternetGatewayIds=[eigw])
    again = client.create_egress_only_internet_gateway(VpcId=net.vpc)["EgressOnlyInternetGateway"]
    way["EgressOnlyInternetGatewayId"] = again["EgressOnlyInternetGatewayId"]
    client.replace_route(DestinationIpv6CidrBlock="::/0", **way)
    others = [client.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"] for _ in range(5)]
    for vpc in others[:4]:
        client.create_egress_only_internet_gateway(VpcId=vpc)
    with refused("EgressOnlyInternetGatewayLimitExceeded"):
        client.create_egress_only_internet_gateway(VpcId=others[4])


def test_vpn_gateways(client, net, refused):
    made = client.create_vpn_gateway(
        Type="ipsec.1", AmazonSideAsn=65001, TagSpecifications=tagged("vpn-gateway")
    )["VpnGateway"]
    vgw = made["VpnGatewayId"]
    assert (made["State"], made["Type"], made["AmazonSideAsn"]) == ("available", "ipsec.1", 65001)
    attached = client.attach_vpn_gateway(VpnGatewayId=vgw, VpcId=net.vpc)["VpcAttachment"]
    assert attached == {"VpcId": net.vpc, "State": "attaching"}
    (row,) = client.describe_vpn_gateways(Filters=rows(attachment__vpc_id=[net.vpc]))["VpnGateways"]
    assert row["VpnGatewayId"] == vgw
    assert row["VpcAttachments"] == [{"VpcId": net.vpc, "State": "attached"}]
    (table,) = client.describe_route_tables(Filters=rows(vpc_id=[net.vpc]))["RouteTables"]
    client.enable_vgw_route_propagation(GatewayId=vgw, RouteTableId=table["RouteTableId"])
    (table,) = client.describe_route_tables(Filters=rows(vpc_id=[net.vpc]))["RouteTables"]
    assert table["PropagatingVgws"] == [{"GatewayId": vgw}]
    with refused("IncorrectState"):
        client.delete_vpn_gateway(VpnGatewayId=vgw)
    with refused("InvalidParameterValue"):
        client.create_vpn_gateway(Type="ipsec.1", AmazonSideAsn=7)
    client.detach_vpn_gateway(VpnGatewayId=vgw, VpcId=net.vpc)
    with refused("InvalidVpnGatewayAttachment.NotFound"):
        client.detach_vpn_gateway(VpnGatewayId=vgw, VpcId=net.vpc)
    client.delete_vpn_gateway(VpnGatewayId=vgw)
    with refused("InvalidVpnGatewayID.NotFound"):
        client.describe_vpn_gateways(VpnGatewayIds=[vgw])


def test_addresses(ec2, client, net, refused):
    held = client.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip"))
    id_, public = held["AllocationId"], held["PublicIp"]
    assert held["Domain"] == "vpc"
    (row,) = client.describe_addresses(AllocationIds=[id_])["Addresses"]
    assert row["PublicIp"] == public and "AssociationId" not in row
    assert row["Tags"] == [{"Key": "Name", "Value": "x"}]
    a, b = net.interface(), net.interface(PrivateIpAddress="10.0.0.50", SecondaryPrivateIpAddressCount=1)
    first = client.associate_address(AllocationId=id_, NetworkInterfaceId=a)["AssociationId"]
    again = client.associate_address(AllocationId=id_, NetworkInterfaceId=a)["AssociationId"]
    assert first == again
    with refused("Resource.AlreadyAssociated"):
        client.associate_address(AllocationId=id_, NetworkInterfaceId=b, AllowReassociation=False)
    moved = client.associate_address(AllocationId=id_, NetworkInterfaceId=b)["AssociationId"]
    assert moved != first
    (row,) = client.describe_addresses(Filters=rows(network_interface_id=[b]))["Addresses"]
    assert (row["AssociationId"], row["PrivateIpAddress"], row["NetworkInterfaceOwnerId"]) == (moved, "10.0.0.50", A)
    (interface,) = client.describe_network_interfaces(NetworkInterfaceIds=[b])["NetworkInterfaces"]
    assert interface["Association"]["PublicIp"] == public
    assert interface["Association"]["AllocationId"] == id_
    assert interface["Association"]["IpOwnerId"] == A
    # Another address takes the place, and leaves the first one free.
    other = client.allocate_address()["AllocationId"]
    client.associate_address(AllocationId=other, NetworkInterfaceId=b)
    assert "AssociationId" not in client.describe_addresses(PublicIps=[public])["Addresses"][0]
    client.associate_address(PublicIp=public, NetworkInterfaceId=b, PrivateIpAddress="10.0.0.5")
    assert len(client.describe_addresses(Filters=rows(network_interface_id=[b]))["Addresses"]) == 2
    with refused("InvalidIPAddress.InUse"):
        client.release_address(AllocationId=other)
    with refused("DependencyViolation"):
        client.detach_internet_gateway(InternetGatewayId=net.igw, VpcId=net.vpc)
    for each in client.describe_addresses()["Addresses"]:
        client.disassociate_address(AssociationId=each["AssociationId"])
        client.release_address(AllocationId=each["AllocationId"])
    assert client.describe_addresses()["Addresses"] == []
    with refused("InvalidAllocationID.NotFound", f"The allocation ID '{id_}' does not exist"):
        client.describe_addresses(AllocationIds=[id_])
    with refused("InvalidAddress.NotFound", f"Address '{public}' not found."):
        client.describe_addresses(PublicIps=[public])
    with refused("InvalidAssociationID.NotFound"):
        client.disassociate_address(AssociationId=moved)


def test_addresses_of_instances(client, net, refused):
    id_ = client.allocate_address()["AllocationId"]
    instance = net.instance()
    client.associate_address(AllocationId=id_, InstanceId=instance)
    (row,) = client.describe_addresses(Filters=rows(instance_id=[instance]))["Addresses"]
    assert row["AllocationId"] == id_ and row["InstanceId"] == instance
    shown = client.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert shown["PublicIpAddress"] == row["PublicIp"]
    second = net.interface()
    client.attach_network_interface(NetworkInterfaceId=second, InstanceId=instance, DeviceIndex=1)
    with refused("InvalidInstanceID"):
        client.associate_address(AllocationId=id_, InstanceId=instance)
    client.terminate_instances(InstanceIds=[instance])
    assert "AssociationId" not in client.describe_addresses()["Addresses"][0]
    attributes = client.describe_addresses_attribute(AllocationIds=[id_], Attribute="domain-name")
    assert [a["AllocationId"] for a in attributes["Addresses"]] == [id_]
    elsewhere = client.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
    bare = client.create_subnet(VpcId=elsewhere, CidrBlock="10.5.0.0/24")["Subnet"]["SubnetId"]
    lone = client.create_network_interface(SubnetId=bare)["NetworkInterface"]["NetworkInterfaceId"]
    with refused("Gateway.NotAttached"):
        client.associate_address(AllocationId=id_, NetworkInterfaceId=lone)
    with refused("MissingParameter"):
        client.associate_address(AllocationId=id_)
    with refused("InvalidAllocationID.NotFound"):
        client.associate_address(AllocationId="eipalloc-" + DIGITS, NetworkInterfaceId=lone)


def test_nat_gateways(client, net, advance, refused):
    id_ = client.allocate_address()["AllocationId"]
    made = client.create_nat_gateway(
        SubnetId=net.subnet, AllocationId=id_, TagSpecifications=tagged("natgateway")
    )["NatGateway"]
    nat = made["NatGatewayId"]
    assert made["State"] == "pending" and made["ConnectivityType"] == "public"
    client.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat])
    (row,) = client.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"]
    (address,) = row["NatGatewayAddresses"]
    assert address["AllocationId"] == id_ and address["PrivateIp"] == "10.0.0.4"
    (held,) = client.describe_addresses()["Addresses"]
    assert held["PublicIp"] == address["PublicIp"] and held["NetworkInterfaceId"] == address["NetworkInterfaceId"]
    (interface,) = client.describe_network_interfaces(Filters=rows(interface_type=["nat_gateway"]))["NetworkInterfaces"]
    assert interface["RequesterManaged"] and interface["Description"] == f"Interface for NAT Gateway {nat}"
    with refused("OperationNotPermitted"):
        client.disassociate_address(AssociationId=held["AssociationId"])
    with refused("Resource.AlreadyAssociated"):
        client.create_nat_gateway(SubnetId=net.subnet, AllocationId=id_)
    with refused("UnsupportedOperation"):
        client.create_nat_gateway(SubnetId=net.subnet, ConnectivityType="private")
    with refused("DependencyViolation"):
        client.delete_subnet(SubnetId=net.subnet)

    def found(**filters):
        answer = client.describe_nat_gateways(Filters=rows(**filters))["NatGateways"]
        return [(g["NatGatewayId"], g["State"]) for g in answer]

    assert found(vpc_id=[net.vpc]) == found(subnet_id=[net.subnet]) == [(nat, "available")]
    assert found(vpc_id=["vpc-" + DIGITS]) == found(state=["deleted"]) == []
    assert client.delete_nat_gateway(NatGatewayId=nat)["NatGatewayId"] == nat
    client.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[nat])
    assert found(vpc_id=[net.vpc]) == found(state=["deleted"]) == [(nat, "deleted")]
    (row,) = client.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"]
    assert row["DeleteTime"] >= row["CreateTime"]
    assert row["NatGatewayAddresses"] == [address]
    assert row["Tags"] == [{"Key": "Name", "Value": "x"}]
    client.release_address(AllocationId=id_)
    client.delete_subnet(SubnetId=net.subnet)
    advance("1h")
    assert found() == []
    with refused("NatGatewayNotFound"):
        client.describe_nat_gateways(NatGatewayIds=[nat])
    with refused("NatGatewayNotFound"):
        client.delete_nat_gateway(NatGatewayId=nat)


def test_endpoints(client, net, refused):
    (table,) = client.describe_route_tables(Filters=rows(vpc_id=[net.vpc]))["RouteTables"]
    table = table["RouteTableId"]
    s3 = "com.amazonaws.us-east-1.s3"
    made = client.create_vpc_endpoint(
        VpcId=net.vpc, ServiceName=s3, RouteTableIds=[table], TagSpecifications=tagged("vpc-endpoint")
    )["VpcEndpoint"]
    id_ = made["VpcEndpointId"]
    assert (made["VpcEndpointType"], made["State"].lower(), made["RouteTableIds"]) == ("Gateway", "available", [table])
    assert json.loads(made["PolicyDocument"])["Statement"][0]["Effect"] == "Allow"
    (list_,) = client.describe_prefix_lists(Filters=rows(prefix_list_name=[s3]))["PrefixLists"]

    def routes():
        (row,) = client.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        return [r for r in row["Routes"] if r.get("GatewayId") == id_]

    (route,) = routes()
    assert route["DestinationPrefixListId"] == list_["PrefixListId"]
    assert "DestinationCidrBlock" not in route and route["State"] == "active"
    other = client.create_route_table(VpcId=net.vpc)["RouteTable"]["RouteTableId"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    client.modify_vpc_endpoint(
        VpcEndpointId=id_, AddRouteTableIds=[other], RemoveRouteTableIds=[table], PolicyDocument=policy
    )
    (row,) = client.describe_vpc_endpoints(Filters=rows(vpc_id=[net.vpc], service_name=[s3]))["VpcEndpoints"]
    assert row["RouteTableIds"] == [other] and row["PolicyDocument"] == policy
    assert routes() == []
    client.modify_vpc_endpoint(VpcEndpointId=id_, ResetPolicy=True)
    assert client.describe_vpc_endpoints()["VpcEndpoints"][0]["PolicyDocument"] != policy
    services = client.describe_vpc_endpoint_services()
    assert s3 in services["ServiceNames"]
    assert {s["ServiceType"][0]["ServiceType"] for s in services["ServiceDetails"]} == {"Gateway"}
    with refused("UnsupportedOperation"):
        client.create_vpc_endpoint(VpcEndpointType="Interface", VpcId=net.vpc, ServiceName="com.amazonaws.us-east-1.ec2")
    with refused("InvalidServiceName"):
        client.create_vpc_endpoint(VpcId=net.vpc, ServiceName="com.amazonaws.us-east-1.none")
    with refused("InvalidPolicyDocument"):
        client.create_vpc_endpoint(VpcId=net.vpc, ServiceName=s3, PolicyDocument="{")
    ghost = "vpce-" + DIGITS
    (failed,) = client.delete_vpc_endpoints(VpcEndpointIds=[ghost, id_])["Unsuccessful"]
    assert (failed["ResourceId"], failed["Error"]["Code"]) == (ghost, "InvalidVpcEndpointId.NotFound")
    with refused("InvalidVpcEndpointId.NotFound"):
        client.describe_vpc_endpoints(VpcEndpointIds=[id_])


def test_a_default_vpc_and_subnet_attributes(client, net, refused):
    with refused("DefaultVpcAlreadyExists"):
        client.create_default_vpc()
    client.modify_subnet_attribute(SubnetId=net.subnet, MapPublicIpOnLaunch={"Value": True})
    (row,) = client.describe_subnets(Filters=rows(map_public_ip_on_launch=["true"], vpc_id=[net.vpc]))["Subnets"]
    assert row["MapPublicIpOnLaunch"] is True
    instance = net.instance()
    shown = client.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert shown["PublicIpAddress"]
    client.modify_subnet_attribute(SubnetId=net.subnet, EnableDns64={"Value": False})
    with refused("UnsupportedOperation"):
        client.modify_subnet_attribute(SubnetId=net.subnet, EnableDns64={"Value": True})
    with refused("InvalidParameterCombination"):
        client.modify_subnet_attribute(
            SubnetId=net.subnet, MapPublicIpOnLaunch={"Value": True}, EnableDns64={"Value": False}
        )
    with refused("UnsupportedOperation"):
        client.describe_vpc_classic_link()
    (default,) = client.describe_vpcs(Filters=rows(is_default=["true"]))["Vpcs"]
    for subnet in client.describe_subnets(Filters=rows(vpc_id=[default["VpcId"]]))["Subnets"]:
        client.delete_subnet(SubnetId=subnet["SubnetId"])
    (igw,) = client.describe_internet_gateways(Filters=rows(attachment__vpc_id=[default["VpcId"]]))["InternetGateways"]
    client.detach_internet_gateway(InternetGatewayId=igw["InternetGatewayId"], VpcId=default["VpcId"])
    client.delete_vpc(VpcId=default["VpcId"])
    with refused("VPCIdNotSpecified"):
        client.run_instances(ImageId=AMI, MinCount=1, MaxCount=1)
    assert client.create_default_vpc()["Vpc"]["IsDefault"] is True
    client.run_instances(ImageId=AMI, MinCount=1, MaxCount=1)
