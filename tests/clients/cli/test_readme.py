"""The README's sections on the EC2 API and on live mode are true: their commands are run as they stand, and print what it says."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

README = pathlib.Path(__file__).resolve().parents[3] / "README.md"


def stories(title):
    """The commands of the section, each block with what the README says that it prints."""
    (section,) = re.findall(rf"^## {title}$(.*?)^## ", README.read_text(), re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    told = []
    for language, text in blocks:
        if language == "sh":
            told.append([text, ""])
        elif language == "text":
            told[-1][1] = text
    return told


def alike(text):
    """The text with what differs from run to run left out: ids, a ping's times and place, and blank lines around."""
    text = re.sub(r"\b([a-z]+(?:-[a-z]+)*)-[0-9a-f]{17}\b", r"\1-...", text)
    return re.sub(r"\b(time[= ]|icmp_seq=)[0-9.]+", r"\1...", text).strip()


@pytest.mark.parametrize("title, blocks", [("The EC2 API", 4), ("Live mode", 2)])
def test_the_readme(binary, tmp_path, title, blocks):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = stories(title)
    assert len(told) == blocks
    script = ["set -u"]
    for commands, _ in told:
        # The port is the only thing that is not as it stands there: it may be taken here.
        commands = commands.replace("vpclab serve ", f"vpclab serve --listen 127.0.0.1:{port} ")
        commands = commands.replace(" --api ", f" --api 127.0.0.1:{port} ")
        script += [commands.replace("4566", str(port)), "echo '<end of block>'"]
        if len(script) == 3:
            # People do not type as fast.
            ready = f"http://127.0.0.1:{port}/_vpclab/health"
            script.append(f"until curl --silent --output /dev/null {ready}; do sleep 0.05; done")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/vpclab").symlink_to(binary)
    (tmp_path / "scenarios").symlink_to(README.parent / "scenarios")
    ran = subprocess.Popen(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        env=dict(os.environ, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # The server of the README outlives its shell: all of them end together.
        start_new_session=True,
    )
    try:
        output, _ = ran.communicate(timeout=600)
    finally:
        # Nothing is left of a lab that was ended.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(ran.pid, signal.SIGTERM)
    said = output.replace(str(port), "4566").split("<end of block>\n")
    for (commands, expected), actual in zip(told, said):
        assert alike(actual) == alike(expected), commands
    assert len(said) == len(told) + 1
