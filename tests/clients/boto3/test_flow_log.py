"""Flow logs, as boto3 sees them."""

ROLE = "arn:aws:iam::111111111111:role/logs"
TO_S3 = {"LogDestinationType": "s3", "LogDestination": "arn:aws:s3:::bucket"}
DEFAULT = (
    "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} "
    "${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"
)


def new_vpc(client):
    return client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]


def create(client, *ids, kind="VPC", traffic="ALL", **more):
    more = more or TO_S3
    return client.create_flow_logs(ResourceIds=ids, ResourceType=kind, TrafficType=traffic, **more)


def test_a_flow_log_is_made_shown_and_deleted(ec2, refused):
    client = ec2()
    vpc = new_vpc(client)
    tags = [{"Key": "Name", "Value": "all"}]
    answer = create(
        client,
        vpc,
        LogGroupName="group",
        DeliverLogsPermissionArn=ROLE,
        TagSpecifications=[{"ResourceType": "vpc-flow-log", "Tags": tags}],
    )
    assert answer["Unsuccessful"] == []
    [log] = answer["FlowLogIds"]
    [shown] = client.describe_flow_logs(FlowLogIds=[log])["FlowLogs"]
    assert shown.pop("CreationTime").year >= 1970
    assert shown == {
        "FlowLogId": log,
        "ResourceId": vpc,
        "TrafficType": "ALL",
        "FlowLogStatus": "ACTIVE",
        "DeliverLogsStatus": "SUCCESS",
        "DeliverLogsPermissionArn": ROLE,
        "LogDestinationType": "cloud-watch-logs",
        "LogDestination": "arn:aws:logs:us-east-1:111111111111:log-group:group",
        "LogGroupName": "group",
        "LogFormat": DEFAULT,
        "MaxAggregationInterval": 600,
        "Tags": tags,
    }
    for name, value in [
        ("resource-id", vpc),
        ("log-group-name", "group"),
        ("traffic-type", "ALL"),
        ("log-destination-type", "cloud-watch-logs"),
        ("flow-log-id", log),
        ("tag:Name", "all"),
    ]:
        found = client.describe_flow_logs(Filter=[{"Name": name, "Values": [value]}])["FlowLogs"]
        assert [each["FlowLogId"] for each in found] == [log], name
    with refused("InvalidFlowLogId.NotFound"):
        ec2("222222222222").delete_flow_logs(FlowLogIds=[log])
    assert client.delete_flow_logs(FlowLogIds=[log])["Unsuccessful"] == []
    assert client.describe_flow_logs()["FlowLogs"] == []
    message = f"These flow log ids in the input list are not found: [TotalCount: 1] {log}"
    with refused("InvalidFlowLogId.NotFound", message):
        client.delete_flow_logs(FlowLogIds=[log])


def test_each_resource_fails_by_itself(ec2):
    client = ec2()
    vpc, unknown = new_vpc(client), "vpc-00000000000000000"
    answer = create(client, vpc, unknown)
    assert len(answer["FlowLogIds"]) == 1
    [failed] = answer["Unsuccessful"]
    assert failed["ResourceId"] == unknown
    assert failed["Error"]["Code"] == "InvalidVpcID.NotFound"
    [failed] = create(client, vpc)["Unsuccessful"]
    assert failed["Error"]["Code"] == "FlowLogAlreadyExists"
    assert create(client, vpc, traffic="REJECT")["Unsuccessful"] == []
    [failed] = create(client, vpc, traffic="ACCEPT")["Unsuccessful"]
    assert failed["Error"]["Code"] == "FlowLogsLimitExceeded"


def test_formats_intervals_and_destinations(ec2, refused):
    client = ec2()
    vpc = new_vpc(client)
    subnet = client.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    chosen = {"LogFormat": "${srcaddr} ${flow-direction}", "MaxAggregationInterval": 60}
    [log] = create(client, subnet, kind="Subnet", **TO_S3, **chosen)["FlowLogIds"]
    [shown] = client.describe_flow_logs(FlowLogIds=[log])["FlowLogs"]
    assert {key: shown[key] for key in chosen} == chosen
    assert shown["LogDestination"] == "arn:aws:s3:::bucket" and "LogGroupName" not in shown
    for wrong in [
        {**TO_S3, "LogFormat": "${nothing}"},
        {**TO_S3, "MaxAggregationInterval": 61},
        {**TO_S3, "LogGroupName": "group"},
        {"LogDestinationType": "s3"},
        {"LogGroupName": "group"},
        {"DeliverLogsPermissionArn": ROLE},
    ]:
        with refused("InvalidParameter"):
            create(client, vpc, **wrong)
    with refused("InvalidVpcID.Malformed"):
        create(client, subnet)
    with refused("InvalidParameterValue"):
        create(client, vpc, traffic="SOME")
    client.delete_subnet(SubnetId=subnet)
    assert client.describe_flow_logs()["FlowLogs"] == []


def test_logs_go_with_what_they_watch(ec2):
    client = ec2()
    vpc = new_vpc(client)
    create(client, vpc)
    [kept] = create(client, vpc, traffic="REJECT")["FlowLogIds"]
    client.delete_flow_logs(FlowLogIds=[kept])
    client.delete_vpc(VpcId=vpc)
    assert client.describe_flow_logs()["FlowLogs"] == []
