"""Signs a few requests with botocore and prints them as JSON. See README.md."""

import datetime
import json
import sys
from unittest import mock
from urllib.parse import urlsplit

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials

NOW = datetime.datetime(2026, 3, 14, 15, 9, 26, tzinfo=datetime.timezone.utc)
KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ENDPOINT = "http://127.0.0.1:4566"

vectors = []


def add(name, method, url, headers, body, token=None):
    parts = urlsplit(url)
    # Not signed, and different in every run and on every machine.
    unsigned = ("user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "content-length")
    headers = [
        [k, v.decode() if isinstance(v, bytes) else v]
        for k, v in headers.items()
        if k.lower() not in unsigned
    ]
    if not any(k.lower() == "host" for k, _ in headers):
        headers.append(["Host", parts.netloc])
    body = body or b""
    vectors.append(
        {
            "name": name,
            "method": method,
            "path": parts.path or "/",
            "query": parts.query,
            "headers": headers,
            "body": body.decode() if isinstance(body, bytes) else body,
            "secret": SECRET,
            "token": token,
            "now": int(NOW.timestamp()),
        }
    )


def client(service, token=None, region="eu-west-1"):
    session = botocore.session.Session()
    session.set_credentials(KEY, SECRET, token)
    return session.create_client(
        service, region_name=region, endpoint_url=ENDPOINT, config=Config(retries={"max_attempts": 0})
    )


def call(name, service, operation, token=None, **params):
    made = client(service, token)

    def keep(request, **_):
        add(name, request.method, request.url, request.headers, request.body, token)
        return AWSResponse(request.url, 200, {}, mock.Mock(stream=lambda: [b"<x/>"]))

    made.meta.events.register("before-send", keep)
    try:
        getattr(made, operation)(**params)
    except Exception as error:  # The answer is none; only the request counts.
        print(f"{name}: {type(error).__name__}", file=sys.stderr)


def presign(name, service, operation, token=None, **params):
    url = client(service, token).generate_presigned_url(
        operation, Params=params, ExpiresIn=900, HttpMethod="GET"
    )
    add(name, "GET", url, {}, b"", token)


def plain(name, method, url, headers, body=b"", token=None):
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    SigV4Auth(Credentials(KEY, SECRET, token), "ec2", "us-east-1").add_auth(request)
    made = request.prepare()
    add(name, made.method, made.url, made.headers, made.body, token)


def main():
    mock.patch("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None)).start()
    call("ec2 create-vpc", "ec2", "create_vpc", CidrBlock="10.0.0.0/16")
    call(
        "ec2 create-tags, not ASCII",
        "ec2",
        "create_tags",
        Resources=["vpc-0a1b2c3d"],
        Tags=[{"Key": "Name", "Value": "Übung & <b>~ +%20</b> 日本"}],
    )
    call("ec2 describe-vpcs with a token", "ec2", "describe_vpcs", token="FwoGZXIvYXdzE//////////wEaD+=")
    call("sts get-caller-identity", "sts", "get_caller_identity")
    presign("presigned ec2 describe-vpcs", "ec2", "describe_vpcs", VpcIds=["vpc-0a1b2c3d"])
    presign("presigned sts with a token", "sts", "get_caller_identity", token="FwoGZXIvYXdzE//////////wEaD+=")
    plain(
        "get with an odd query",
        "GET",
        ENDPOINT + "/?Filter.1.Value=a%20b%2Bc&Action=DescribeVpcs&Filter.1.Name=tag%3AN&A=~-._&a=&A=%2F",
        {"X-Odd": "  two   words ", "X-Amz-Meta": "a"},
    )
    plain("a path of the emulator's own", "POST", ENDPOINT + "/_vpclab/a%20b/../c", {}, b"{}")
    json.dump(vectors, sys.stdout, indent=1, ensure_ascii=False, sort_keys=True)
    print()


main()
