"""kill -9 of any process of a replica at random, and how long a caller then waits for an answer."""

import os
import random
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness.processes import Server

PROBE_SECONDS, KEEP_SECONDS, LONGEST_WAIT = 0.05, 0.1, 60.0
PARTS = (b"serving.process.", b"serving.log.log_writer")


@dataclass
class RandomKiller:
    """Kills one process each `every` seconds; a killed supervisor is started again at once.

    Beside it one caller asks without pause, each time over a new connection.
    """

    server: Server
    home: Path
    path: str
    every: float
    kills: dict[str, int] = field(default_factory=dict)
    waits: list[tuple[float, str]] = field(default_factory=list)
    """Seconds from each kill to the caller's next answer, and what was killed."""
    ended: threading.Event = field(default_factory=threading.Event)
    """Set by whoever wants the kills to end early."""

    def run(self, seconds: float, body: str, ids: list[bytes]) -> None:
        """Kill for so long; the ids of the caller's answers are added to `ids`."""
        draw = random.Random(11)  # noqa: S311 - no secret hangs on it
        answered = [time.monotonic()]
        threads = [
            threading.Thread(target=self._keep),
            threading.Thread(target=self._probe, args=(body, ids, answered)),
        ]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.ended.wait(self.every):
            self._kill(draw, answered)
        self.ended.set()
        for thread in threads:
            thread.join()

    def find(self) -> dict[int, str]:
        """Return the replica's processes by id, whoever started them, with their part."""
        mark = f"SLUICE_HOME={self.home}".encode() + b"\0"
        found = {self.server.process.pid: "supervisor"}
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if mark not in (place / "environ").read_bytes():
                    continue
                words = (place / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            part = next((word for word in words if word.startswith(PARTS)), b"")
            if part:
                found[int(place.name)] = part.decode().rpartition(".")[2]
        return found

    def _kill(self, draw: random.Random, answered: list[float]) -> None:
        pid, part = draw.choice(sorted(self.find().items()))
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        self.kills[part] = self.kills.get(part, 0) + 1
        while answered[-1] <= killed and time.monotonic() < killed + LONGEST_WAIT:
            time.sleep(0.005)
        self.waits.append((answered[-1] - killed if answered[-1] > killed else LONGEST_WAIT, part))

    def _keep(self) -> None:
        while not self.ended.wait(KEEP_SECONDS):
            if self.server.process.poll() is not None:
                with self.server.log.open("ab") as output:
                    self.server.process = subprocess.Popen(
                        self.server.process.args,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )

    def _probe(self, body: str, ids: list[bytes], answered: list[float]) -> None:
        number = 0
        while not self.ended.is_set():
            number += 1
            name = f"probe-{number}"
            status, _ = self.server.ask(self.path, body.replace("PROBE", name))
            if status == 200:
                ids.append(name.encode())
                answered[:] = [time.monotonic()]
            time.sleep(PROBE_SECONDS)
