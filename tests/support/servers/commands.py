"""The commands of a documentation page, run as written, except for places."""

import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from sluice.home import PROJECT

STAYS = ("server start", "server services start", "mlflow server", "worker start")
"""Words in a command that does not end by itself."""
WORD = "test-word-of-its-own"
USER = ("sluice", WORD)
"""The name and password for each `CHANGE-ME`."""
RUN_SECONDS, READY_SECONDS, STOP_SECONDS = 300.0, 300.0, 20.0
FORGOTTEN = ("PREFECT_", "MLFLOW_", "SLUICE_")
"""Settings of the session, which a page's own env files replace."""
# A background job ignores SIGINT, and so would the processes: it is set back before they start.
LAUNCH = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp("bash", ["bash", "-ec", sys.argv[1]])
"""


def read_commands(page: str, part: str) -> list[list[str]]:
    """Return the console blocks of one part of a page, each a list of commands."""
    text = page.split(f"\n## {part}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [[line.removeprefix("$ ") for line in block.splitlines()] for block in blocks]


@dataclass
class Stage:
    """Where a page's commands run: a folder for logs, and values for the page's places."""

    folder: Path
    places: Mapping[str, str]
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def translate(self, text: str) -> str:
        """Replace the page's places by this machine's, the longest first."""
        for place in sorted(self.places, key=len, reverse=True):
            text = text.replace(place, self.places[place])
        return text

    def play(self, block: list[str]) -> None:
        """Run a block's commands in order; leave those running that do not end."""
        setup = [command for command in block if command.startswith(("set -a", "cd "))]
        for command in block:
            if any(words in command for words in STAYS):
                self.start(command, [*setup, f"exec {command}"])
            elif command not in setup:
                self.run(command, [*setup, command])

    def run(self, name: str, lines: list[str]) -> str:
        """Run commands to their end in one shell and return what they printed."""
        done = subprocess.run(
            ["bash", "-ec", self.translate("\n".join(lines))],
            cwd=PROJECT,
            env=environment_of_page(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{name}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, name: str, lines: list[str]) -> None:
        """Start a command that does not end, in its own process group."""
        count = sum(1 for other in self.running if other.startswith(name))
        name = f"{name} #{count + 1}"
        log = self.folder / f"{len(self.running):02}.log"
        with log.open("wb") as output:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-c", LAUNCH, self.translate("\n".join(lines))],
                cwd=PROJECT,
                env=environment_of_page(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def await_answer(self, url: str) -> None:
        """Wait until an address answers with 200, while every process runs."""
        deadline = time.monotonic() + READY_SECONDS
        while self.ask_status(url) != 200:
            ended = [name for name, process in self.running.items() if process.poll() is not None]
            assert not ended, f"{ended} ended\n{self.read_logs()}"
            assert time.monotonic() < deadline, f"{url} does not answer\n{self.read_logs()}"
            time.sleep(0.3)

    def ask_status(self, url: str, **options: Any) -> int:
        """Return the status with which an address answers; 0 without an answer."""
        try:
            return self.ask("GET", url, **options).status_code
        except httpx.TransportError:
            return 0

    def ask(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Request an address as the page's user, who trusts the page's own authority."""
        known = {"auth": USER, **options}
        context = ssl.create_default_context(cafile=str(self.folder / "etc" / "ca.pem"))
        with httpx.Client(verify=context, trust_env=False, timeout=60) as client:
            return client.request(method, url, **known)

    def kill(self, words: str) -> None:
        """End one process and all its children with -9."""
        name = next(name for name in self.running if words in name)
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, words: str = "") -> None:
        """End the processes that have the words in their command, the last first."""
        stopping = [self.running.pop(name) for name in list(self.running)[::-1] if words in name]
        for process in stopping:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def read_logs(self) -> str:
        """Return what every process printed."""
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(f"== {file.name}\n{file.read_text(errors='replace')}" for file in files)


@contextmanager
def open_stage(folder: Path, places: Mapping[str, str]) -> Iterator[Stage]:
    """Return a stage whose processes are gone when the block has ended."""
    folder.mkdir(parents=True, exist_ok=True)
    stage = Stage(folder, places)
    try:
        yield stage
    finally:
        stage.stop()


def environment_of_page() -> dict[str, str]:
    """This process's environment without the session's own settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(FORGOTTEN)}
    return {**kept, "NO_COLOR": "1"}
