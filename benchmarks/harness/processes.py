"""A server under measurement: its process tree, its cost, and its shutdown."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS, END_SECONDS = 180.0, 60.0
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Server:
    """A server with all processes that it started."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def list_pids(self) -> list[int]:
        """Return the ids of the process and its descendants."""
        children: dict[int, list[int]] = {}
        for place in Path("/proc").glob("[0-9]*"):
            if fields := read_stat(int(place.name)):
                children.setdefault(int(fields[1]), []).append(int(place.name))
        found, new = [], [self.process.pid]
        while new:
            found += new
            new = [child for pid in new for child in children.get(pid, [])]
        return found

    def cpu_seconds(self, words: str = "") -> float:
        """Return the processor time of the tree, or of its processes with these words.

        Children that have ended are included.
        """
        pids = self.find(words) if words else self.list_pids()
        stats = [fields for pid in pids if (fields := read_stat(pid))]
        return sum(int(item) for fields in stats for item in fields[11:15]) / TICKS

    def count_memory(self) -> float:
        """Return the resident memory of the tree in MB; shared pages count in each process."""
        pages = 0
        for pid in self.list_pids():
            try:
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            except OSError:
                continue
        return pages * PAGE / 1e6

    def count_handles(self) -> int:
        """Count the tree's open file handles."""
        count = 0
        for pid in self.list_pids():
            try:
                count += len(list(Path(f"/proc/{pid}/fd").iterdir()))
            except OSError:
                continue
        return count

    def find(self, words: str) -> list[int]:
        """Return the processes of the tree whose command line has these words."""
        found = []
        for pid in self.list_pids():
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if words in line:
                found.append(pid)
        return found

    def ask(self, path: str, body: str = "") -> tuple[int, bytes]:
        """Get a page, or post a body; the status is 0 where no whole answer comes."""
        address = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(
            address, body.encode() or None, {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return int(answer.status), answer.read()
        except urllib.error.HTTPError as error:
            return int(error.code), error.read()
        except (OSError, http.client.HTTPException):
            return 0, b""

    def await_page(self, path: str, body: str = "", words: bytes = b"") -> None:
        """Wait until a page is 200 and has these words."""
        limit = time.monotonic() + START_SECONDS
        while True:
            status, content = self.ask(path, body)
            if status == 200 and words in content:
                return
            if self.process.poll() is not None or time.monotonic() > limit:
                log = self.log.read_text()[-3000:]
                raise RuntimeError(f"{path} did not come up: {status} {content!r} {log}")
            time.sleep(0.2)


def read_stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat behind the name; none where the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


@contextmanager
def run_server(
    command: list[str], port: int, log: Path, ready: str = "", **variables: str
) -> Iterator[Server]:
    """Run a server in its own process session; at the end all its processes are stopped."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process, port, log)
    try:
        if ready:
            server.await_page(ready)
        yield server
    finally:
        rest, last = server.list_pids(), server.process  # it may have been started again
        last.send_signal(signal.SIGTERM)
        try:
            last.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in rest:
                os.kill(pid, signal.SIGKILL)
            last.wait()


def find_port() -> int:
    """Return a free port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_load(port: int, requests: Path, **options: Any) -> dict[str, Any]:
    """Run the load generator in a process of its own; see `benchmarks.harness.load`."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    words = [word.removesuffix("=True") for word in words]
    command = [sys.executable, "-m", "benchmarks.harness.load", str(port), str(requests), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found
