"""The servers that the tests talk to, and the clients that talk to them.

A test takes `ec2(account, region)` and gets an ordinary boto3 client; the server behind it is empty,
whatever the test before has built. `@pytest.mark.server(profile="today", clock="virtual",
data=True)` asks for another server than the default one; a test that takes `advance` gets virtual
time by itself.

A server is started once for each set of options and emptied before each test. One with a data
directory belongs to a single test, which may kill and restart it.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import boto3
import botocore.config
import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("VPCLAB_BIN", REPOSITORY / "target/release/vpclab")).resolve()

# One session for all clients: it reads the model of EC2 once.
SESSION = boto3.Session()


class Server:
    """One `vpclab serve`, with its log."""

    def __init__(self, *, profile="seed", clock="wall", data=None, extra=()):
        self.options = ["--profile", profile, "--clock", clock, *extra]
        if data is not None:
            self.options += ["--data", str(data)]
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

    def client(self, service, account, region, **more):
        """A boto3 client; an access key of twelve digits is the account."""
        key = (self.url, service, account, region, *more.items())
        if key not in self.clients:
            # A refusal is an answer here, never a reason to try again.
            config = botocore.config.Config(retries={"total_max_attempts": 1}, **more)
            self.clients[key] = SESSION.client(
                service,
                endpoint_url=self.url,
                region_name=region,
                aws_access_key_id=account,
                aws_secret_access_key="secret",
                config=config,
            )
        return self.clients[key]


def pytest_collection_modifyitems(items):
    """What takes long begins first."""
    long = ["terraform", "ansible", "cli"]
    items.sort(key=lambda item: next((n for n, d in enumerate(long) if d in item.path.parts), 9))


@pytest.fixture(scope="session")
def binary():
    """The program."""
    return BINARY


@pytest.fixture(scope="session")
def running():
    """The servers that are shared, by their options."""
    servers = {}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture
def server(request, running, tmp_path):
    """The server of this test, empty."""
    marker = request.node.get_closest_marker("server")
    options = dict(marker.kwargs) if marker else {}
    if "advance" in request.fixturenames:
        options.setdefault("clock", "virtual")
    if options.pop("data", False):
        own = Server(**options, data=tmp_path / "data")
        request.node.vpclab_log = (own, 0)
        yield own
        if own.process.poll() is None:
            own.stop()
        return
    key = tuple(sorted(options.items()))
    if key not in running or running[key].process.poll() is not None:
        running[key] = Server(**options)
    shared = running[key]
    shared.own("reset", post="")
    request.node.vpclab_log = (shared, shared.log_end())
    yield shared
    assert shared.process.poll() is None, "the server has died"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows what the server said while the test that failed was running."""
    report = yield
    if report.failed and hasattr(item, "vpclab_log"):
        server, start = item.vpclab_log
        report.sections.append(("the server's log", server.log_from(start)))
    return report


@pytest.fixture
def ec2(server):
    """Makes EC2 clients."""
    return lambda account="111111111111", region="us-east-1": server.client("ec2", account, region)


@pytest.fixture
def sts(server):
    """Makes STS clients."""
    return lambda account="111111111111", region="us-east-1": server.client("sts", account, region)


@pytest.fixture
def advance(server):
    """Lets virtual time pass: `advance("7d")`."""
    return lambda span: server.own("clock/advance", post=f"by={span}")


@pytest.fixture
def refused():
    """`with refused(code, message):` what is in there is refused with exactly that."""

    @contextlib.contextmanager
    def expect(code, message=None):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            yield caught
        error = caught.value.response["Error"]
        assert error["Code"] == code, error
        if message is not None:
            assert error["Message"] == message

    return expect


@pytest.fixture(autouse=True)
def nobody_sleeps(request, monkeypatch):
    """A client that sleeps is waiting for something that should have settled."""
    if "boto3" in request.path.parts:

        def sleep(seconds):
            pytest.fail(f"a client sleeps for {seconds} s")

        monkeypatch.setattr(time, "sleep", sleep)
