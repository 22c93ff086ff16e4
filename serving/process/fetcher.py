"""The process that has the named versions fetched from the registry into the cache.

    python -m serving.process.fetcher

Each second it reads the routes and starts a process of its own for each version that they name and
the cache lacks, with limits of time and memory: what a version's files do harms that version alone.
That process fetches only what may serve. While the registry or the store cannot be reached, the
models in the cache go on serving.
"""

import argparse
import faulthandler
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from serving.models.cache import CacheEntry, ModelCache, ModelKey, list_named
from serving.process.children import DUMP_SECONDS, describe_end, launch
from serving.routing.served import list_served
from sluice.adapters.control.store import open_control
from sluice.adapters.heartbeat import ProcessHeartbeat
from sluice.adapters.telemetry.log_output import CLOCK, start_log
from sluice.config.loading import load_gateway
from sluice.config.serving import FetchingConfig
from sluice.control.route import Route
from sluice.errors import SluiceError
from sluice.home import environment_name, find_home

POLL_SECONDS = 1.0
RETRY_SECONDS, LONGEST_RETRY = 30.0, 1800.0
"""Pause after a version could not be fetched; it doubles while a version is refused."""
MOST = 3
"""Versions that are fetched at once; of those that failed before, one."""
SPARE_MODELS = 5
"""Newest models of a service that stay in the cache, named or not, for a rollback."""
PROVING = b"proving\n"
"""What a version's process reports when it has all files: what follows is the version's fault."""
PUBLISHED, REFUSED, UNAVAILABLE = 0, 2, 3
"""Its exit codes: published; refused, with the reason in the cache; not to be had now."""
LOG = logging.getLogger("sluice.fetching")


@dataclass(frozen=True)
class FetchOutcome:
    """How the fetch of a version ended: published, refused with a reason, or not to be had now."""

    published: bool = False
    refused: bool = False
    reason: str = ""


class Fetch(Protocol):
    """A fetch in progress."""

    def poll(self, now: float) -> FetchOutcome | None:
        """Return how it ended; None while it runs."""

    def end(self) -> None:
        """End it now."""


class FetchProcess:
    """One version's process; its limits are held from here."""

    def __init__(self, key: ModelKey, limits: FetchingConfig, now: float) -> None:
        """Start the process; `now` is in monotonic seconds.

        Raises:
            OSError: no process can be started.
        """
        self._limits = limits
        self._since, self._proves, self._why = now, False, ""
        self._source, sink = os.pipe()
        os.set_blocking(self._source, False)
        arguments = ["-m", "serving.process.version_fetch", key[0], str(key[1])]
        arguments += ["--report", str(sink), "--memory-bytes", str(limits.memory_bytes)]
        try:
            self._process = launch(arguments, (sink,))
        except OSError:
            os.close(self._source)
            raise
        finally:
            os.close(sink)

    def poll(self, now: float) -> FetchOutcome | None:
        """Return how it ended; None while it runs. One that takes too long is ended."""
        code = self._process.poll()
        words = self._read(now)
        if code is None:
            limit = self._limits.proof_seconds if self._proves else self._limits.seconds
            if now - self._since <= limit:
                return None
            part = "loading and answering its sample" if self._proves else "the registry"
            reason = f"{part} took longer than {limit:g} s"
            self.end()
            return FetchOutcome(refused=self._proves, reason=reason)
        os.close(self._source)
        if code == PUBLISHED:
            return FetchOutcome(published=True)
        if code == REFUSED:
            return FetchOutcome(refused=True, reason=words)
        died = f"its process {describe_end(code)}"
        if self._proves and code < 0:
            died += f"; memory limit {self._limits.memory_bytes:,} bytes"
        return FetchOutcome(refused=self._proves and not words, reason=words or died)

    def end(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait(DUMP_SECONDS * 10)
        os.close(self._source)

    def _read(self, now: float) -> str:
        try:
            while part := os.read(self._source, 4096):
                self._why += part.decode(errors="replace")
        except BlockingIOError:
            pass
        stage = PROVING.decode()
        if not self._proves and self._why.startswith(stage):
            self._proves, self._since = True, now
        return self._why.removeprefix(stage).strip()


class Fetcher:
    """Has the versions fetched that routes name."""

    def __init__(
        self,
        list_routes: Callable[[], list[Route]],
        start: Callable[[ModelKey, float], Fetch],
        cache: ModelCache,
        list_kept: Callable[[], set[ModelKey]] = set,
    ) -> None:
        """Begin; `start` starts a fetch, `list_kept` returns what must stay though unnamed."""
        self._list_routes, self._start, self._cache = list_routes, start, cache
        self._list_kept = list_kept
        self._running: dict[ModelKey, Fetch] = {}
        self._later: dict[ModelKey, tuple[float, float]] = {}
        self._pruned: set[ModelKey] = set()

    def fetch_named(self, now: float) -> list[CacheEntry]:
        """Start the fetches that are due, and return the entries that were published since.

        `now` is in monotonic seconds. A failure is logged and retried after a pause.

        Raises:
            Fault: the control store cannot be reached; fetches in progress go on.
        """
        published = self._collect(now)
        named = list_named(self._list_routes())
        for key in named:
            since, _ = self._later.get(key, (now, 0.0))
            if key not in self._running and now >= since and self._lacks(key):
                self._begin(key, now)
        if named and not self._running:
            self._prune(set(named))
        return published

    def close(self) -> None:
        """End all fetches; their drafts are removed by the next ones."""
        for fetch in self._running.values():
            fetch.end()
        self._running.clear()

    def _lacks(self, key: ModelKey) -> bool:
        entry = self._cache.find(*key)
        return entry is None or bool(entry.refused)

    def _begin(self, key: ModelKey, now: float) -> None:
        failed = [item for item in self._running if item in self._later]
        if len(self._running) >= MOST or (key in self._later and failed):
            return
        try:
            self._running[key] = self._start(key, now)
        except OSError as error:
            self._fail(key, FetchOutcome(reason=f"no process can be started: {error}"), now)

    def _collect(self, now: float) -> list[CacheEntry]:
        published = []
        for key, fetch in list(self._running.items()):
            outcome = fetch.poll(now)
            if outcome is None:
                continue
            del self._running[key]
            entry = self._cache.find(*key)
            if outcome.published and entry is not None:
                self._later.pop(key, None)
                published.append(entry)
            else:
                self._fail(key, outcome, now)
        return published

    def _fail(self, key: ModelKey, outcome: FetchOutcome, now: float) -> None:
        """Log a failure, let the workers know the reason, and plan the next try."""
        _, last = self._later.get(key, (0.0, 0.0))
        pause = min(max(2 * last, RETRY_SECONDS), LONGEST_RETRY)
        pause = pause if outcome.refused else RETRY_SECONDS
        self._later[key] = (now + pause, pause)
        name, level = f"{key[0]} v{key[1]}", logging.ERROR if outcome.refused else logging.WARNING
        how = "is refused" if outcome.refused else "was not fetched"
        known = {"service": key[0], "version": key[1]}
        LOG.log(level, "%s %s, retry in %.0f s: %s", name, how, pause, outcome.reason, extra=known)
        if not outcome.refused:
            self._cache.note_problem(*key, outcome.reason)
        elif self._lacks(key):
            try:
                self._cache.publish(CacheEntry(*key, refused=outcome.reason))
            except SluiceError as error:
                LOG.warning("%s: its refusal was not written: %s", name, error)

    def _prune(self, named: set[ModelKey]) -> None:
        kept = named | self._list_kept()
        if kept != self._pruned and not any(map(self._lacks, named)):
            self._cache.prune(kept, SPARE_MODELS)
            self._pruned = kept


def run_fetcher(stopping: threading.Event, heartbeat: ProcessHeartbeat) -> None:
    """Fetch each second until `stopping` is set; an error is logged once while it lasts.

    Raises:
        ConfigInvalid: the gateway's settings are wrong.
        ControlUnusable: the control store's address is wrong.
    """
    home, limits = find_home(), load_gateway(environment_name()).fetching
    control = open_control(home)
    fetcher = Fetcher(
        control.routes.list_routes,
        lambda key, now: FetchProcess(key, limits, now),
        ModelCache(home.models, None),  # it opens none: each version's own process does
        lambda: list_served(home.serving),
    )
    is_ready, problem = False, ""
    while not stopping.is_set():
        heartbeat.beat()
        try:
            if not is_ready:
                control.prepare()
                is_ready = True
            fetcher.fetch_named(time.monotonic())
            problem = ""
        except (SluiceError, OSError) as error:
            if str(error) != problem:
                LOG.warning("routes could not be read: %s", error)
            problem = str(error)
        stopping.wait(POLL_SECONDS)
    fetcher.close()


def main() -> None:
    """Run the fetcher until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="serving.process.fetcher")
    parser.add_argument("--heartbeat", type=int, help="descriptor of the supervisor's socket")
    arguments = parser.parse_args()
    faulthandler.enable()
    start_log("fetcher", CLOCK)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    run_fetcher(stopping, ProcessHeartbeat(arguments.heartbeat))


if __name__ == "__main__":
    main()
