"""Ansible's modules build a network, find nothing to change in it, and take it away again."""

import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def play(server, book):
    """Plays a book; returns the tasks that have changed something."""
    environment = dict(
        os.environ,
        ANSIBLE_NOCOLOR="true",
        ANSIBLE_LOCALHOST_WARNING="false",
        ANSIBLE_PYTHON_INTERPRETER=sys.executable,
        ANSIBLE_HOME=os.path.dirname(sys.executable),
    )
    variables = json.dumps({"endpoint": server.url})
    done = subprocess.run(
        ["ansible-playbook", "--inventory", "localhost,", "--extra-vars", variables, HERE / book],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tasks = re.findall(r"^TASK \[(.*?)\] \**\n(\w+): \[localhost\]", done.stdout, re.MULTILINE)
    assert tasks, done.stdout
    return [name for name, became in tasks if became == "changed"]


def test_the_second_run_changes_nothing(server, ec2):
    first = play(server, "network.yml")
    assert len(first) == 14, first
    shown = {}
    for account in ("111111111111", "222222222222"):
        client = ec2(account)
        (peering,) = client.describe_vpc_peering_connections()["VpcPeeringConnections"]
        shown[account] = peering
    assert peering["Status"]["Code"] == "active"
    assert play(server, "network.yml") == []
    for account, before in shown.items():
        (after,) = ec2(account).describe_vpc_peering_connections()["VpcPeeringConnections"]
        assert after == before

    assert play(server, "away.yml")
    for account in ("111111111111", "222222222222"):
        client = ec2(account)
        assert all(v["IsDefault"] for v in client.describe_vpcs()["Vpcs"])
        assert client.describe_network_interfaces()["NetworkInterfaces"] == []
