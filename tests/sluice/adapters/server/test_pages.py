"""The registry's pages come up on a free port and leave nothing behind."""

import socket
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from sluice.adapters.registry.client import open_registry
from sluice.adapters.server.parts import PAGES_PORT, run_registry_pages
from sluice.home import Home

pytestmark = pytest.mark.slow


def read_command_lines() -> list[bytes]:
    """Return what `ps` shows of every process."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            found.append(place.read_bytes())
    return found


def test_pages_answer_and_end(home: Home) -> None:
    open_registry(home).prepare()
    with (
        run_registry_pages(home, lambda _: None) as address,
        urllib.request.urlopen(f"{address}/health", timeout=10) as answer,  # noqa: S310
    ):
        assert answer.status == 200
        shown = [line for line in read_command_lines() if home.tracking_uri.encode() in line]
        assert shown == [], "a store's address may hold a password"
    port = int(address.rsplit(":", 1)[1])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_taken_port_is_named_and_the_next_one_used(home: Home, tmp_path: Path) -> None:
    open_registry(home).prepare()
    said: list[str] = []
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", PAGES_PORT))
            taken.listen()
        except OSError:
            pytest.skip(f"port {PAGES_PORT} is in use on this machine")
        with run_registry_pages(home, said.append) as address:
            assert not address.endswith(str(PAGES_PORT))
    (words,) = said
    assert words.startswith(f"port {PAGES_PORT} is taken by ")
    assert words.endswith(f"; the MLflow pages are at {address.rsplit(':', 1)[1]}")
