"""Commands as processes of their own that find the heavy libraries imported already.

Importing scikit-learn, MLflow and Great Expectations takes a command some six seconds, most of what
a short one costs. A fork server imports them once a pytest process and forks a process for each
command, which then does all the rest as `python -m cli` would: Prefect, whose settings depend on
the environment, and everything of ours are imported by the command itself.
"""

import atexit
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, cast

PRELOADED = (
    "great_expectations",
    "sklearn.ensemble",
    "sklearn.compose",
    "sklearn.inspection",
    "mlflow.sklearn",
    "skops.io",
    "matplotlib.figure",
    "fairlearn.metrics",
    "scipy.stats",
    "typer",
)
LENGTH_BYTES, POLL_SECONDS, READY_SECONDS = 8, 0.02, 120.0


def run_command(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    seconds: float,
    folder: Path | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m MODULE ARGUMENTS` to its end; `seconds` is the longest that it may take."""
    request = json.dumps(
        [module, list(arguments), dict(environment), str(folder or Path.cwd())]
    ).encode()
    with (
        socket.socket(socket.AF_UNIX) as channel,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        channel.settimeout(seconds)
        channel.connect(_start_server())
        head = len(request).to_bytes(LENGTH_BYTES, "big")
        socket.send_fds(channel, [head], [stdout.fileno(), stderr.fileno()])
        channel.sendall(request)
        answer = channel.recv(64)  # closing the channel ends a command that takes too long
        return subprocess.CompletedProcess(
            [module, *arguments], int(answer), _read(stdout), _read(stderr)
        )


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@cache
def _start_server() -> str:
    """Start this pytest process's fork server; return the address of its socket."""
    address = str(Path(tempfile.mkdtemp(prefix="sluice-forks-")) / "socket")
    process = subprocess.Popen(
        [sys.executable, "-m", "support.servers.forks", address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    atexit.register(process.kill)
    ready, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
    assert ready, "the fork server did not start"
    assert cast("IO[bytes]", process.stdout).readline() == b"ready\n"
    return address


def _serve(address: str) -> tuple[str, list[str]]:
    """Fork a process for each command; return, in that process, what it has to run."""
    import importlib
    import threading

    for name in PRELOADED:
        importlib.import_module(name)
    assert threading.active_count() == 1, threading.enumerate()  # what threads hold is not forked
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while os.getppid() == parent:
            if not select.select([listener], [], [], 1.0)[0]:
                continue
            channel, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                return _begin(channel)
            channel.close()
    os._exit(0)


def _begin(channel: socket.socket) -> tuple[str, list[str]]:
    """Fork the command's process and report its exit code; return in that process alone."""
    head, handles, _, _ = socket.recv_fds(channel, LENGTH_BYTES, 2)
    length, content = int.from_bytes(head, "big"), b""
    while len(content) < length:
        content += channel.recv(length - len(content))
    module, arguments, environment, folder = json.loads(content)
    command = os.fork()
    if command:
        _report(channel, command)
    channel.close()
    for handle, number in zip(handles, (1, 2), strict=True):
        os.dup2(handle, number)
        os.close(handle)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return module, arguments


def _report(channel: socket.socket, command: int) -> None:
    """Wait for the command, or end it where nobody waits for it any more."""
    while True:
        ended, status = os.waitpid(command, os.WNOHANG)
        if ended:
            channel.sendall(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        if select.select([channel], [], [], POLL_SECONDS)[0] and not channel.recv(1):
            os.kill(command, signal.SIGKILL)
            os._exit(1)


def _run(module: str, arguments: list[str]) -> None:
    import numpy as np

    np.random.seed()
    sys.argv = [module, *arguments]
    sys.path.insert(0, str(Path.cwd()))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _run(*_serve(sys.argv[1]))
