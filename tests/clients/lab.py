"""One `vpclab serve` as a test sees it: its process, its log, its own pages, and clients of it."""

import json
import os
import pathlib
import subprocess
import tempfile
import urllib.error
import urllib.request

import boto3
import botocore.config

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("VPCLAB_BIN", REPOSITORY / "target/release/vpclab")).resolve()

# One session for all clients: it reads the model of EC2 once.
SESSION = boto3.Session()


class Server:
    """One `vpclab serve`, with its log."""

    def __init__(self, *, profile="seed", clock="wall", data=None, keys=None):
        self.options = ["--profile", profile, "--clock", clock]
        if data is not None:
            self.options += ["--data", str(data)]
        if keys is not None:
            self.options += ["--verify-signatures", "--keys", str(keys)]
        self.profile, self.clock = profile, clock
        self.clients = {}
        self.log = tempfile.TemporaryFile("w+", prefix="vpclab-log-")
        self.process = None
        self.start()

    def start(self):
        """Starts it, and waits for the line that tells its address."""
        self.process = subprocess.Popen(
            [str(BINARY), "serve", "--listen", "127.0.0.1:0", *self.options],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        line = self.process.stdout.readline()
        begin, profile = "EC2 on http://", f", profile {self.profile}\n"
        assert line.startswith(begin) and line.endswith(profile), f"{line!r}\n{self.log_from(0)}"
        self.url = line.removeprefix("EC2 on ").removesuffix(profile)

    def stop(self):
        """Ends it as a user does, and wants it to end well."""
        self.process.terminate()
        assert self.process.wait(10) == 0, self.log_from(0)
        self.process.stdout.close()

    def kill(self):
        """Ends it without a word."""
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()

    def log_end(self):
        """How long the log is by now."""
        return self.log.seek(0, os.SEEK_END)

    def log_from(self, start):
        """The log behind a place in it."""
        self.log.seek(start)
        return self.log.read()

    def own(self, page, *, post=None):
        """One of the server's own pages under `/_vpclab/`: its JSON, or its text."""
        data = None if post is None else post.encode()
        with urllib.request.urlopen(f"{self.url}/_vpclab/{page}", data, timeout=10) as answer:
            body = answer.read().decode()
            is_json = answer.headers.get_content_type() == "application/json"
            return json.loads(body) if is_json else body

    def wire(self, form, *, account="111111111111", region="us-east-1", service="ec2"):
        """A request as bytes, without a client library: status, body."""
        credential = f"{account}/20260101/{region}/{service}/aws4_request"
        request = urllib.request.Request(self.url, form.encode())
        request.add_header(
            "Authorization",
            f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0",
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def client(self, service, account, region, secret="secret", token=None, **more):
        """A boto3 client; an access key of twelve digits is the account."""
        key = (self.url, service, account, region, secret, token, *more.items())
        if key not in self.clients:
            # A refusal is an answer here, never a reason to try again.
            config = botocore.config.Config(retries={"total_max_attempts": 1}, **more)
            self.clients[key] = SESSION.client(
                service,
                endpoint_url=self.url,
                region_name=region,
                aws_access_key_id=account,
                aws_secret_access_key=secret,
                aws_session_token=token,
                config=config,
            )
        return self.clients[key]
