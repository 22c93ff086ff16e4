"""The processes of the live part: a gateway, the status page, and callers."""

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
from sluice.adapters.control.store import open_control
from sluice.adapters.server import parts
from sluice.adapters.server.background import BackgroundProcess, last_line, start_background
from sluice.adapters.server.process_tree import mark_part
from sluice.adapters.server.stack import claim_stack
from sluice.documents import parse_json, read_json
from sluice.errors import ServerUnavailable
from sluice.home import PROJECT, Home

GATEWAY_URLS = "SLUICE_GATEWAY_URLS"
"""Environment variable with the addresses of the gateway's replicas, for a rollout."""
START_SECONDS, END_SECONDS, POLL_SECONDS = 180.0, 30.0, 0.3


@dataclass(frozen=True)
class CallerOptions:
    """The callers' service, rate per second, feedback share and longest duration."""

    service: str
    rps: float
    feedback: float
    seconds: float = 1800.0
    rows: str = ""
    """File of the rows that they send; empty: the service's held-out rows."""


@dataclass(frozen=True)
class Addresses:
    """The addresses of the gateway and of the status page."""

    gateway: str
    page: str


@contextmanager
def run_gateway(home: Home) -> Iterator[Addresses]:
    """Run the state folder's gateway and status page, or use those of its local stack.

    Raises:
        ServerUnavailable: no port is free, or the state folder cannot be written.
    """
    with claim_stack(home, say) as other:
        if other and other.gateway:
            with _name_gateway(other.gateway):
                yield Addresses(other.gateway, other.rollouts)
            return
        port = parts.choose_port(parts.GATEWAY_PORT, say, "the gateway is")
        page_port = parts.choose_port(parts.STATUS_PAGE_PORT, say, "the status page is")
        process = parts.start_gateway(home, port, mark_part(home, parts.GATEWAY))
        page = parts.start_status_page(home, page_port, mark_part(home, parts.STATUS_PAGE))
        try:
            with _name_gateway(address := parts.format_address(port)):
                yield Addresses(address, parts.format_address(page_port))
        finally:
            page.stop(signal.SIGTERM, parts.STATUS_PAGE_STOP_SECONDS)
            process.stop(signal.SIGTERM, parts.GATEWAY_STOP_SECONDS)


@contextmanager
def _name_gateway(address: str) -> Iterator[None]:
    before = os.environ.get(GATEWAY_URLS)
    os.environ[GATEWAY_URLS] = address
    try:
        yield
    finally:
        os.environ.pop(GATEWAY_URLS)
        if before is not None:
            os.environ[GATEWAY_URLS] = before


def wait_for_champion(home: Home, address: str, service: str, version: int) -> None:
    """Wait until the state folder's gateway serves a version of the service as champion.

    Raises:
        ServerUnavailable: it does not within three minutes.
        ControlUnavailable: the control store does not answer.
    """
    deadline, identity = time.monotonic() + START_SECONDS, open_control(home).find_identity()
    while read_services(address, identity).get(service, {}).get("champion") != version:
        if time.monotonic() > deadline:
            line = last_line(home.logs / "gateway.log")
            raise ServerUnavailable(f"the gateway at {address} has no {service} v{version}; {line}")
        time.sleep(POLL_SECONDS)


def read_services(address: str, identity: str) -> dict[str, Any]:
    """Return the services of `/readyz` by name; empty while no gateway of this store answers."""
    with suppress(OSError, ValueError):
        # Without proxies: the address is always on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{address}/readyz", timeout=5) as answer:
            found: dict[str, Any] = parse_json(answer.read())
            if found.get("identity") == identity:
                return dict(found.get("services", {}))
    return {}


class Callers:
    """The process of the callers."""

    def __init__(self, process: BackgroundProcess, file: Path) -> None:
        self._process, self._file = process, file

    def end(self) -> dict[str, Any]:
        """End the callers and return their counts.

        Raises:
            ServerUnavailable: they ended by themselves and left no counts.
        """
        self._process.stop(signal.SIGTERM, END_SECONDS)
        try:
            found: dict[str, Any] = read_json(self._file)
        except (OSError, ValueError) as error:
            raise ServerUnavailable(self._process.describe_end()) from error
        return found


@contextmanager
def run_callers(home: Home, address: str, options: CallerOptions) -> Iterator[Callers]:
    """Run callers of the gateway while the block runs."""
    file = home.logs / "callers.json"
    file.unlink(missing_ok=True)
    values: dict[str, object] = {
        "--url": address,
        "--rps": options.rps,
        "--feedback": options.feedback,
        "--seconds": options.seconds,
        "--json": file,
    }
    if options.rows:
        values["--rows"] = options.rows
    words = [str(word) for pair in values.items() for word in pair]
    arguments = ["-m", "demo.replay", options.service, *words]
    log = home.logs / "callers.log"
    log.unlink(missing_ok=True)
    process = start_background("the callers", arguments, os.environ, log, PROJECT)
    try:
        yield Callers(process, file)
    finally:
        process.stop(signal.SIGTERM, END_SECONDS)
