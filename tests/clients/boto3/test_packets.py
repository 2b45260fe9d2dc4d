"""Packets through the network that clients have built: the server's own pages, and the commands."""

import json
import subprocess
import urllib.error
import urllib.request

import pytest

from conftest import BINARY

A, B = "111111111111", "222222222222"


def status_of(server, method, page, body=b"{}"):
    request = urllib.request.Request(f"{server.url}/_vpclab/{page}", body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["code"]


@pytest.mark.parametrize(
    "page, more", [("ping", {"count": 3}), ("udp", {"port": 53, "count": 3}), ("tcp", {"port": 5432})]
)
def test_packets_cross_a_peering_and_no_further(lab, page, more):
    there = lab.ask(page, **{"from": lab.hosts[0], "to": lab.hosts[1]}, **more)
    assert there["arrived"], there
    assert there["walks"] is None and there["text"] == ""
    beyond = lab.ask(page, **{"from": lab.hosts[0], "to": lab.hosts[2]}, **more)
    assert not beyond["arrived"]
    ending = beyond["walks"][0]["ending"]
    assert (ending["reason"], ending["at"]) == ("transit", lab.ab)
    assert ending["aws_code"] == "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR"
    assert "would pass: peer" in beyond["text"]


def test_a_ping_says_how_long_it_took(lab):
    ping = lab.ask("ping", **{"from": lab.hosts[0], "to": "10.1.1.4", "count": 2})
    assert ping["traffic"]["answered"] == 2
    assert ping["round_trips_ns"] == {"least": 500_000, "mean": 500_000, "most": 500_000}


def test_a_connection_carries_bytes_and_brings_them_back(lab):
    tcp = lab.ask("tcp", **{"from": lab.hosts[0], "to": lab.hosts[1], "port": 80, "bytes": 50_000})
    connection = tcp["connection"]
    assert connection["outcome"] == "done"
    assert (connection["bytes_acknowledged"], connection["bytes_received"]) == (50_000, 50_000)


def test_what_is_changed_is_what_packets_meet(lab):
    ends = {"from": lab.hosts[0], "to": lab.hosts[1]}
    lab.client(1).revoke_security_group_ingress(
        GroupId=lab.groups[1],
        IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
    )
    trace = lab.ask("trace", **ends)
    assert not trace["passed"]
    assert trace["walks"][0]["ending"]["reason"] == "group-ingress"
    lab.client(1).authorize_security_group_ingress(
        GroupId=lab.groups[1],
        IpPermissions=[{"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
    )
    assert lab.ask("trace", **ends)["passed"]
    assert not lab.ask("trace", **ends, protocol="tcp", port=22)["passed"]
    lab.client(0).delete_vpc_peering_connection(VpcPeeringConnectionId=lab.ab)
    trace = lab.ask("trace", **ends)
    assert trace["walks"][0]["ending"]["reason"] == "blackhole"
    lab.client(1).stop_instances(InstanceIds=[lab.hosts[1]])
    lab.client(0).start_instances(InstanceIds=[lab.hosts[0]])


@pytest.mark.parametrize(
    "page, body, code",
    [
        ("ping", "{", "MalformedRequest"),
        ("ping", '{"from": "i-1"}', "MalformedRequest"),
        ("ping", '{"from": "i-00000000", "to": "10.0.0.1"}', "InvalidInstanceID.NotFound"),
        ("ping", '{"from": "x", "to": "10.0.0.1"}', "InvalidInstanceID.Malformed"),
        ("ping", '{"from": "A", "to": "10.1.1.4", "count": 1001}', "InvalidParameterValue"),
        ("ping", '{"from": "A", "to": "10.1.1.4", "count": 0}', "InvalidParameterValue"),
        ("ping", '{"from": "A", "to": "10.1.1.4", "size": 70000}', "InvalidParameterValue"),
        ("ping", '{"from": "A", "to": "10.1.1.4", "port": 1}', "InvalidParameterCombination"),
        ("ping", '{"from": "A", "to": "10.1.1.4", "colour": 1}', "MalformedRequest"),
        ("udp", '{"from": "A", "to": "10.1.1.4", "port": 0}', "InvalidParameterValue"),
        ("tcp", '{"from": "A", "to": "10.1.1.4", "bytes": 16777217}', "InvalidParameterValue"),
        ("trace", '{"from": "A", "to": "::1"}', "InvalidParameterValue"),
    ],
)
def test_what_cannot_be_asked_is_refused(lab, page, body, code):
    body = body.replace('"A"', f'"{lab.hosts[0]}"').encode()
    assert status_of(lab.server, "POST", page, body) == (400, code)


def test_flow_logs_are_read_while_the_server_runs(lab):
    made = lab.client(0).create_flow_logs(
        ResourceIds=[lab.vpcs[0]],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination="arn:aws:s3:::bucket",
    )
    log = made["FlowLogIds"][0]
    lab.ask("ping", **{"from": lab.hosts[0], "to": lab.hosts[1], "count": 3})
    [row] = lab.server.own("flow-logs")["flow_logs"]
    assert (row["id"], row["records"], row["full"]) == (log, 2, False)
    lines = lab.server.own(f"flow-logs/{log}").splitlines()
    assert lines[0].startswith("version account-id interface-id")
    fields = [line.split() for line in lines[1:]]
    assert [(f[1], f[3], f[4], f[8], f[12]) for f in fields] == [
        (A, "10.0.1.4", "10.1.1.4", "3", "ACCEPT"),
        (A, "10.1.1.4", "10.0.1.4", "3", "ACCEPT"),
    ]
    assert status_of(lab.server, "GET", "flow-logs/fl-00000000", None)[0] == 404


def test_captures_hold_the_latest_packets(lab):
    started = lab.ask("captures")
    lab.ask("ping", **{"from": lab.hosts[0], "to": lab.hosts[1]})
    [row] = lab.server.own("captures")["captures"]
    assert (row["id"], row["packets"], row["gone"]) == (started["id"], 4, 0)
    code, file = status_of(lab.server, "GET", f"captures/{started['id']}", None)
    assert code == 200 and file[:4] == b"\x0a\x0d\x0d\x0a"
    assert status_of(lab.server, "DELETE", f"captures/{started['id']}", None)[0] == 200
    assert status_of(lab.server, "GET", f"captures/{started['id']}", None) == (404, "NotFound")


def test_packets_are_counted(lab):
    lab.ask("ping", **{"from": lab.hosts[0], "to": lab.hosts[1], "count": 2})
    lab.ask("ping", **{"from": lab.hosts[0], "to": lab.hosts[2], "count": 5})
    text = lab.server.own("metrics")
    assert 'vpclab_drops_total{reason="transit"}' in text
    assert 'vpclab_packets_total{outcome="delivered"}' in text


def test_the_commands_say_what_came_of_it(lab):
    a, b, c = lab.hosts
    ping = lab.run("ping", a, b)
    assert ping.returncode == 0, ping.stderr
    assert ping.stdout == "ping 10.0.1.4 > 10.1.1.4: 4 sent, 4 delivered, 4 answered, round trip 500us\n"
    far = lab.run("ping", a, c, "--count", "1")
    assert far.returncode == 1
    assert "1 sent, 0 delivered, 0 answered, 1 dropped: transit" in far.stdout
    assert f"DROP transit at {lab.ab}" in far.stdout and "would pass: peer" in far.stdout
    assert lab.run("tcp", a, b, "--port", "443", "--bytes", "10").returncode == 0
    assert lab.run("udp", a, b, "--port", "53").returncode == 0
    trace = lab.run("trace", "--from", a, "--to", b)
    assert trace.returncode == 0 and "delivered to" in trace.stdout
    as_json = lab.run("trace", "--from", a, "--to", c, "--proto", "tcp", "--json")
    assert as_json.returncode == 1 and json.loads(as_json.stdout)["format"] == "vpclab-trace/1"
    nobody = lab.run("ping", "i-00000000", b)
    assert (nobody.returncode, nobody.stdout) == (2, "")
    assert "InvalidInstanceID.NotFound" in nobody.stderr


def test_a_server_that_is_not_there_is_said_to_be(lab):
    gone = subprocess.run(
        [str(BINARY), "ping", "i-1", "i-2", "--endpoint", "http://127.0.0.1:1"],
        capture_output=True,
        text=True,
    )
    assert gone.returncode == 2 and "cannot reach 127.0.0.1:1" in gone.stderr


def test_what_is_exported_gives_the_same_verdicts(lab, tmp_path):
    names = ["a", "b", "c"]
    for n, name in enumerate(names):
        lab.client(n).create_tags(Resources=[lab.hosts[n]], Tags=[{"Key": "Name", "Value": name}])
    exported = lab.run("export")
    assert exported.returncode == 0, exported.stderr
    network = tmp_path / "net.yaml"
    network.write_text(exported.stdout)
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        "vpclab: 1\nname: The same network\nnetwork: net.yaml\nsteps:\n"
        "  - ping: a -> b\n    expect: replied\n"
        "  - ping: a -> c\n    expect: {dropped: transit}\n"
        "  - ping: b -> c\n    expect: replied\n"
    )
    ran = subprocess.run([str(BINARY), "run", str(scenario)], capture_output=True, text=True)
    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}\n{exported.stdout}"
