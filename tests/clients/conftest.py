"""The servers that the tests talk to, and the clients that talk to them.

A test takes `ec2(account, region)` and gets an ordinary boto3 client; the server behind it is empty,
whatever the test before has built. `@pytest.mark.server(profile="today", clock="virtual",
data=True)` asks for another server than the default one; a test that takes `advance` gets virtual
time by itself.

A server is started once for each set of options and emptied before each test. One with a data
directory belongs to a single test, which may kill and restart it.
"""

import contextlib
import time

import botocore.exceptions
import pytest

from lab import BINARY, Server


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


class NoSleep:
    """Time as clients see it: one that sleeps is waiting for something that should have settled."""

    def __getattr__(self, name):
        return getattr(time, name)

    def sleep(self, seconds):
        pytest.fail(f"a client sleeps for {seconds} s")


@pytest.fixture(autouse=True)
def nobody_sleeps(monkeypatch):
    """No waiter waits, and no request is tried again."""
    for module in ("botocore.waiter", "botocore.endpoint"):
        monkeypatch.setattr(f"{module}.time", NoSleep())
