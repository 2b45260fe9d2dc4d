"""With `--verify-signatures` only who knows a secret gets in."""

import json
import urllib.error
import urllib.request

import pytest

from lab import Server

A, B = "111111111111", "222222222222"
KEYS = {
    "keys": [
        {"access_key": A, "secret": "first secret/+=", "account": A},
        {"access_key": "TEAM_B", "secret": "second", "account": B},
        {"access_key": "333333333333", "account": "333333333333"},
    ]
}


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    keys.write_text(json.dumps(KEYS))
    server = Server(keys=keys)
    yield server
    server.stop()


def test_who_knows_the_secret_gets_in(strict):
    for key, secret, account in ((A, "first secret/+=", A), ("TEAM_B", "second", B)):
        client = strict.client("ec2", key, "us-east-1", secret)
        made = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
        assert made["OwnerId"] == account
        me = strict.client("sts", key, "us-east-1", secret).get_caller_identity()
        assert me["Account"] == account


@pytest.mark.parametrize(
    "key, secret, code, status",
    [
        (A, "another", "SignatureDoesNotMatch", 403),
        (A, "second", "SignatureDoesNotMatch", 403),
        (B, "second", "AuthFailure", 401),
        ("NOBODY", "second", "AuthFailure", 401),
        # A key without a secret proves nothing.
        ("333333333333", "secret", "AuthFailure", 401),
    ],
)
def test_who_does_not_stays_out(strict, refused, key, secret, code, status):
    with refused(code) as caught:
        strict.client("ec2", key, "us-east-1", secret).describe_vpcs()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_no_signature_at_all(strict):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{strict.url}/?Action=DescribeVpcs", timeout=10)
    assert b"MissingAuthenticationToken" in caught.value.read()


def test_a_presigned_request_is_good_as_it_is_and_no_other(strict):
    client = strict.client("ec2", A, "us-east-1", "first secret/+=")
    url = client.generate_presigned_url("describe_vpcs", ExpiresIn=60, HttpMethod="GET")
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert b"DescribeVpcsResponse" in answer.read()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.replace("DescribeVpcs", "DescribeTags"), timeout=10)
    assert b"SignatureDoesNotMatch" in caught.value.read()


def test_a_role_proves_itself_with_its_token(strict, refused):
    sts = strict.client("sts", A, "us-east-1", "first secret/+=")
    given = sts.assume_role(RoleArn=f"arn:aws:iam::{B}:role/x", RoleSessionName="story")
    keys = given["Credentials"]
    key, secret, token = keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]
    made = strict.client("ec2", key, "us-east-1", secret, token).create_vpc(
        CidrBlock="10.9.0.0/16"
    )["Vpc"]
    assert made["OwnerId"] == B
    with refused("AuthFailure"):
        strict.client("ec2", key, "us-east-1", secret).describe_vpcs()
    with refused("SignatureDoesNotMatch"):
        strict.client("ec2", key, "us-east-1", "guessed", token).describe_vpcs()
