"""The README's section on the EC2 API is true: its commands are run as they stand, and print what it says."""

import os
import pathlib
import re
import signal
import socket
import subprocess

README = pathlib.Path(__file__).resolve().parents[3] / "README.md"


def stories():
    """The commands of the section, each block with what the README says that it prints."""
    (section,) = re.findall(r"^## The EC2 API$(.*?)^## ", README.read_text(), re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    told = []
    for language, text in blocks:
        if language == "sh":
            told.append([text, ""])
        elif language == "text":
            told[-1][1] = text
    return told


def alike(text):
    """The text with what differs from run to run left out: ids, and blank lines around."""
    return re.sub(r"\b([a-z]+(?:-[a-z]+)*)-[0-9a-f]{17}\b", r"\1-...", text).strip()


def test_the_readme(binary, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = stories()
    assert len(told) == 4
    script = ["set -u"]
    for commands, _ in told:
        # The port is the only thing that is not as it stands there: it may be taken here.
        commands = commands.replace("vpclab serve ", f"vpclab serve --listen 127.0.0.1:{port} ")
        script += [commands.replace("4566", str(port)), "echo '<end of block>'"]
        if len(script) == 3:
            # People do not type as fast.
            ready = f"http://127.0.0.1:{port}/_vpclab/health"
            script.append(f"until curl --silent --output /dev/null {ready}; do sleep 0.05; done")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/vpclab").symlink_to(binary)
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
        os.killpg(ran.pid, signal.SIGTERM)
    said = output.split("<end of block>\n")
    for (commands, expected), actual in zip(told, said):
        assert alike(actual) == alike(expected), commands
    assert len(said) == len(told) + 1
