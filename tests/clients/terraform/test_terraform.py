"""Terraform, with the real AWS provider, builds a network of two accounts and finds nothing to add."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent


class Terraform:
    """A working directory with a configuration, against a server."""

    def __init__(self, directory, server, *files):
        self.directory = directory
        for file in files:
            shutil.copy(HERE / file, directory)
        mirror = json.dumps(os.environ["TF_PLUGIN_MIRROR"])
        # No provider from anywhere else: nothing is downloaded.
        (directory / "terraform.rc").write_text(
            f"provider_installation {{\n  filesystem_mirror {{\n    path = {mirror}\n  }}\n}}\n"
        )
        self.environment = dict(
            os.environ,
            TF_CLI_CONFIG_FILE=str(directory / "terraform.rc"),
            TF_IN_AUTOMATION="1",
            TF_CLI_ARGS_plan="-no-color",
            TF_CLI_ARGS_apply="-no-color",
            TF_CLI_ARGS_destroy="-no-color",
            CHECKPOINT_DISABLE="1",
            TF_VAR_endpoint=server.url,
        )
        self.run("init", "-input=false")

    def run(self, *arguments, wanted=0):
        """A command; its output."""
        done = subprocess.run(
            ["terraform", *arguments],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert done.returncode == wanted, f"{arguments}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def apply(self):
        self.run("apply", "-auto-approve", "-input=false", "-parallelism=20")

    def plan_is_empty(self):
        # 0: nothing to do, 2: something.
        self.run("plan", "-detailed-exitcode", "-input=false", wanted=0)

    def destroy(self):
        self.run("destroy", "-auto-approve", "-input=false", "-parallelism=20")


def left(client):
    """What an account has beyond what it was born with."""
    return {
        "vpcs": [v["VpcId"] for v in client.describe_vpcs()["Vpcs"] if not v["IsDefault"]],
        "subnets": [
            s["SubnetId"] for s in client.describe_subnets()["Subnets"] if not s["DefaultForAz"]
        ],
        "interfaces": client.describe_network_interfaces()["NetworkInterfaces"],
        "peerings": [
            p
            for p in client.describe_vpc_peering_connections()["VpcPeeringConnections"]
            if p["Status"]["Code"] != "deleted"
        ],
        "addresses": client.describe_addresses()["Addresses"],
        "running": [
            i["InstanceId"]
            for r in client.describe_instances()["Reservations"]
            for i in r["Instances"]
            if i["State"]["Name"] != "terminated"
        ],
    }


NOTHING = dict.fromkeys(
    ["vpcs", "subnets", "interfaces", "peerings", "addresses", "running"], []
)


@pytest.mark.server(profile="today")
def test_a_network_of_two_accounts(server, ec2, tmp_path):
    terraform = Terraform(tmp_path, server, "main.tf")
    terraform.apply()
    (peering,) = ec2("222222222222").describe_vpc_peering_connections()["VpcPeeringConnections"]
    assert peering["Status"]["Code"] == "active"
    output = {
        name: told["value"] for name, told in json.loads(terraform.run("output", "-json")).items()
    }

    # One resource is forgotten, and taken over as it is; then there is nothing to change.
    terraform.run("state", "rm", "aws_subnet.far")
    terraform.run("import", "-input=false", "aws_subnet.far", output["far_subnet"])
    terraform.plan_is_empty()

    # Packets cross what Terraform has built.
    near, far = output["hosts"]
    answer = server.own("ping", post=json.dumps({"from": far, "to": near}))
    assert answer["arrived"], answer["text"]

    terraform.destroy()
    for account in ("111111111111", "222222222222"):
        assert left(ec2(account)) == NOTHING


def test_a_provider_that_checks_everything(server, ec2, tmp_path):
    """Without the skips of a local endpoint: the provider asks STS who it is."""
    terraform = Terraform(tmp_path, server, "checked.tf")
    terraform.apply()
    terraform.plan_is_empty()
    assert json.loads(terraform.run("output", "-json", "account")) == "111111111111"
    assert len(left(ec2("111111111111"))["vpcs"]) == 1
