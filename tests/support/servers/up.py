"""`sluice up` in tests: its process, its output, and the processes that it leaves."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sluice.adapters.server.api import ask_server
from sluice.adapters.server.login import read_login
from sluice.adapters.server.process_tree import RelatedProcess, find_related
from sluice.home import Home
from support.servers.stack import await_answer

START_SECONDS, END_SECONDS, RUN_SECONDS = 420.0, 180.0, 300.0
READY = "Ctrl-C ends all of it"
# Signals that a shell's background job ignores are reset, as at a terminal.
LAUNCH = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", "cli", "up", *sys.argv[1:]])
"""
OURS = ("PREFECT", "SLUICE", "MLFLOW")


class Up:
    """One `sluice up`, whose lines go to a file."""

    def __init__(self, home: Home, *arguments: str, **variables: str) -> None:
        self.home = home
        self.log = home.root.parent / f"up-{time.monotonic_ns()}.log"
        clean = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LAUNCH, *arguments],
                env={**clean, "SLUICE_HOME": str(home.root), **variables},
                cwd=home.root.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def await_words(self, words: str, seconds: float = START_SECONDS) -> None:
        await_answer(lambda: words in self.said or self.process.poll() is not None, seconds)
        assert words in self.said, self.said

    def address(self, of: str) -> str:
        lines = [line.split() for line in self.said.splitlines()]
        return next(line[1] for line in reversed(lines) if line[:1] == [of])

    @property
    def api(self) -> str:
        return f"{self.address('Prefect')}/api"

    def ask(
        self, path: str, body: Any = None, method: str = "", seconds: float = 15.0
    ) -> tuple[int, Any]:
        """Ask the API with the login of its state folder, or of the server that was named."""
        return ask_server(
            f"{self.api}/{path}", body, method, seconds=seconds, login=read_login(self.home)
        )

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def await_end(self, seconds: float = END_SECONDS) -> int:
        return self.process.wait(seconds)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def ask_run(up: Up, deployment: str, **parameters: Any) -> str:
    """Create a run of a deployment through the API; return its id."""
    _, found = up.ask(f"deployments/name/{deployment}")
    path = f"deployments/{found['id']}/create_flow_run"
    status, run = up.ask(path, {"parameters": parameters}, seconds=120)
    assert status == 201, (status, run)
    return str(run["id"])


def state_of(up: Up, run: str) -> tuple[str, str]:
    """Return the type of a run's state, and its message."""
    _, found = up.ask(f"flow_runs/{run}")
    state = (found or {}).get("state") or {}
    return str(state.get("type", "")), str(state.get("message", ""))


def await_state(up: Up, run: str, *kinds: str) -> None:
    await_answer(lambda: state_of(up, run)[0] in kinds, RUN_SECONDS)
    assert state_of(up, run)[0] in kinds, (state_of(up, run), up.said)


def stored_state(home: Home, run: str) -> tuple[str, str]:
    """Return the same from the database of a server that has ended."""
    with sqlite3.connect(home.prefect / "prefect.db") as database:
        rows = database.execute(
            "select s.type, s.message from flow_run f join flow_run_state s on s.id = f.state_id"
            " where replace(f.id, '-', '') = ?",
            (run.replace("-", ""),),
        ).fetchall()
    return rows[0]


def find_part(home: Home, part: str) -> list[RelatedProcess]:
    return [item for item in find_related(home) if item.part == part]


def find_all(home: Home) -> list[str]:
    """Every process whose environment names the state folder, by its command line."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            values = (place / "environ").read_bytes().split(b"\0")
            if f"SLUICE_HOME={home.root}".encode() in values:
                found.append((place / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [line for line in found if line]


def end_by_force(up: Up) -> None:
    """After a failed test: end the remaining processes of this state folder, no others."""
    if up.process.poll() is None:
        up.process.send_signal(signal.SIGINT)
        try:
            up.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            up.kill()


@contextmanager
def run_marked(**variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that waits and has reported that it runs its own program."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", "print(flush=True); input()"],
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()
