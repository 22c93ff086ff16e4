"""Commands as processes of their own that find the heavy libraries imported already.

Importing scikit-learn, MLflow and Great Expectations takes a command some six seconds, most of what
a short one costs. A fork server imports them once a session and forks a process for each
command, which then does all the rest as `python -m cli` would: Prefect, whose settings depend on
the environment, and everything of ours are imported by the command itself. What was imported is
left out of its garbage collections. `run_code` does the same for `python -c`.

The test processes of pytest-xdist are such forks too: `python -m support.servers.forks -c CODE`
stands for `python -c CODE` (Makefile).
"""

import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

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
    # What Prefect imports.
    "asgi_lifespan",
    "coolname",
    "fsspec",
    "griffe",
    "h2.connection",
    "httpx",
    "humanize",
    "pathspec",
    "pendulum",
    "prometheus_client",
    "pydantic_extra_types.pendulum_dt",
    "pydantic_settings",
    "rich.console",
    "slugify",
    "toml",
    "websockets.client",
)
SOCKET = "socket"
SESSION = "SLUICE_TEST_SESSION"
"""Names the session's first process, by its number; tests/conftest.py sets it."""
CODE = "-c"
"""Stands in the place of a module where code is run."""
LENGTH_BYTES, POLL_SECONDS, READY_SECONDS = 8, 0.02, 300.0


def run_command(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    seconds: float,
    folder: Path | None = None,
    stdin: int | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m MODULE ARGUMENTS` to its end; `seconds` is the longest that it may take.

    It runs in `folder`, by default where the caller does, and reads the open file `stdin`, by
    default nothing.
    """
    request = [module, list(arguments), dict(environment), str(folder or Path.cwd())]
    with (
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
        Path(os.devnull).open("rb") as nothing,
    ):
        handles = [nothing.fileno() if stdin is None else stdin, stdout.fileno(), stderr.fileno()]
        code = _ask(request, handles, seconds)
        return subprocess.CompletedProcess([module, *arguments], code, _read(stdout), _read(stderr))


def run_code(
    code: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    seconds: float = 120.0,
    folder: Path | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run `python -c CODE ARGUMENTS` to its end, as `run_command` runs a module."""
    return run_command(CODE, [code, *arguments], environment, seconds, folder)


def run_attached(code: str) -> int:
    """Run `python -c CODE` with the files and the environment of this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # pytest itself ends its processes in order
    return _ask([CODE, [code], dict(os.environ), str(Path.cwd())], [0, 1, 2], None)


def _ask(request: list[object], handles: list[int], seconds: float | None) -> int:
    """Have a command run on open files, and return its exit code."""
    content = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(seconds)
        channel.connect(_find_server())
        socket.send_fds(channel, [len(content).to_bytes(LENGTH_BYTES, "big")], handles)
        channel.sendall(content)
        return int(channel.recv(64))  # closing the channel ends a command that takes too long


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@cache
def _find_server() -> str:
    """Return the socket of the session's fork server; the first process that asks starts it."""
    from support.servers.images import make_once  # not in the server: it imports what is ours

    def start(folder: Path) -> None:
        folder.mkdir()
        command = [sys.executable, "-m", "support.servers.forks", str(folder / SOCKET)]
        nothing = subprocess.DEVNULL
        subprocess.run(command, stdin=nothing, stdout=nothing, check=True, timeout=READY_SECONDS)

    return str(make_once("forks", start) / SOCKET)


def _serve(address: str) -> tuple[str, list[str]]:
    """Fork a process for each command; return, in that process, what it has to run.

    The process that was started ends when commands can come; its child serves as long as the
    session's first process lives.
    """
    import importlib
    import threading

    for name in PRELOADED:
        importlib.import_module(name)
    assert threading.active_count() == 1, threading.enumerate()  # what threads hold is not forked
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        if os.fork():
            os._exit(0)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        # Who asked first may ignore it, as does `run_attached`; commands must not.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        while _is_alive(int(os.environ[SESSION])):
            if not select.select([listener], [], [], 1.0)[0]:
                continue
            channel, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                return _begin(channel)
            channel.close()
    os._exit(0)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _begin(channel: socket.socket) -> tuple[str, list[str]]:
    """Fork the command's process and report its exit code; return in that process alone."""
    head, handles, _, _ = socket.recv_fds(channel, LENGTH_BYTES, 3)
    length, content = int.from_bytes(head, "big"), b""
    while len(content) < length:
        content += channel.recv(length - len(content))
    module, arguments, environment, folder = json.loads(content)
    command = os.fork()
    if command:
        _report(channel, command)
    channel.close()
    for handle, number in zip(handles, (0, 1, 2), strict=True):
        os.dup2(handle, number)
        os.close(handle)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return module, arguments


def _report(channel: socket.socket, command: int) -> None:
    """Wait for the command, or end it where nobody waits for it any more."""
    began = time.monotonic()
    while True:
        ended, status = os.waitpid(command, os.WNOHANG)
        if ended:
            channel.sendall(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        pause = max(POLL_SECONDS, min(1.0, (time.monotonic() - began) / 50))
        if select.select([channel], [], [], pause)[0] and not channel.recv(1):
            os.kill(command, signal.SIGKILL)
            os._exit(1)


def _run(module: str, arguments: list[str]) -> None:
    import numpy as np

    np.random.seed()
    sys.path.insert(0, str(Path.cwd()))
    if module == CODE:
        sys.argv = [CODE, *arguments[1:]]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(arguments[0], "<string>", "exec"), vars(main))  # noqa: S102
        return
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    if CODE in sys.argv:
        sys.exit(run_attached(sys.argv[-1]))
    _run(*_serve(sys.argv[1]))
