"""What the live part needs beside the Prefect server: a gateway, its page, and callers."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.output import say
from sluice.adapters.server import parts
from sluice.adapters.server.background import BackgroundProcess, last_line, start_background
from sluice.adapters.server.process_tree import mark_part
from sluice.adapters.server.stack import claim_stack
from sluice.errors import ServerUnavailable
from sluice.home import PROJECT, Home

URLS = "SLUICE_GATEWAY_URLS"
"""Environment variable by which a rollout finds the gateway's replicas."""
START_SECONDS, END_SECONDS, POLL_SECONDS = 180.0, 30.0, 0.3


@dataclass(frozen=True)
class Asking:
    """How callers ask: requests a second, on which share of answers they tell what was right.

    After `seconds` they end by themselves.
    """

    service: str
    rps: float
    feedback: float
    seconds: float = 1800.0


@dataclass(frozen=True)
class Places:
    """Where the gateway answers, and the rollout page."""

    gateway: str
    page: str


@contextmanager
def run_gateway(home: Home) -> Iterator[Places]:
    """Run the home's gateway and rollout page, or join those of its stack; give where they are.

    Raises:
        ServerUnavailable: no port is free, or the home cannot be written.
    """
    with claim_stack(home, say) as other:
        if other and other.gateway:
            with _name_gateway(other.gateway):
                yield Places(other.gateway, other.rollouts)
            return
        port = parts.choose_port(parts.GATEWAY_PORT, say, "the gateway comes")
        page_port = parts.choose_port(parts.ROLLOUT_PAGE_PORT, say, "the rollout page comes")
        process = parts.start_gateway(home, port, mark_part(home, parts.GATEWAY))
        page = parts.start_rollout_page(home, page_port, mark_part(home, parts.ROLLOUT_PAGE))
        try:
            with _name_gateway(address := parts.give_address(port)):
                yield Places(address, parts.give_address(page_port))
        finally:
            page.stop(signal.SIGTERM, parts.ROLLOUT_PAGE_STOP_SECONDS)
            process.stop(signal.SIGTERM, parts.GATEWAY_STOP_SECONDS)


@contextmanager
def _name_gateway(address: str) -> Iterator[None]:
    before = os.environ.get(URLS)
    os.environ[URLS] = address
    try:
        yield
    finally:
        os.environ.pop(URLS)
        if before is not None:
            os.environ[URLS] = before


def await_champion(home: Home, address: str, service: str, version: int) -> None:
    """Wait until the gateway serves a version of the service.

    Raises:
        ServerUnavailable: it does not within three minutes.
    """
    deadline = time.monotonic() + START_SECONDS
    while read_services(address).get(service, {}).get("champion") != version:
        if time.monotonic() > deadline:
            told = last_line(home.logs / "gateway.log")
            raise ServerUnavailable(f"the gateway at {address} has no {service} v{version}; {told}")
        time.sleep(POLL_SECONDS)


def read_services(address: str) -> dict[str, Any]:
    """Give what the gateway serves, by service; nothing while it does not answer."""
    with suppress(OSError, ValueError):
        # Without proxies: the address is always one of this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{address}/readyz", timeout=5) as answer:
            found: dict[str, Any] = json.loads(answer.read()).get("services", {})
            return found
    return {}


class Callers:
    """Callers in a process of their own, from when they are started until they are ended."""

    def __init__(self, process: BackgroundProcess, file: Path) -> None:
        self._process, self._file = process, file

    def end(self) -> dict[str, Any]:
        """End them, and give what they counted.

        Raises:
            ServerUnavailable: they ended by themselves, and left no count.
        """
        self._process.stop(signal.SIGTERM, END_SECONDS)
        try:
            found: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ServerUnavailable(self._process.tell_end()) from error
        return found


@contextmanager
def run_callers(home: Home, address: str, asking: Asking) -> Iterator[Callers]:
    """Have callers ask the gateway while the block runs."""
    file = home.logs / "callers.json"
    file.unlink(missing_ok=True)
    options = {
        "--url": address,
        "--rps": asking.rps,
        "--feedback": asking.feedback,
        "--seconds": asking.seconds,
        "--json": file,
    }
    words = [str(word) for pair in options.items() for word in pair]
    arguments = ["-m", "demo.replay", asking.service, *words]
    log = home.logs / "callers.log"
    log.unlink(missing_ok=True)
    process = start_background("the callers", arguments, os.environ, log, PROJECT)
    try:
        yield Callers(process, file)
    finally:
        process.stop(signal.SIGTERM, END_SECONDS)
