"""A part whose port is taken while it starts moves on; another's answer is never taken for its."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from sluice.adapters.server.background import BackgroundProcess, start_background
from sluice.adapters.server.parts import ListeningPart, PartKind
from sluice.adapters.server.ports import is_used_by
from sluice.adapters.server.process import is_free
from sluice.errors import ServerUnavailable
from sluice.home import Home
from support.servers.ports import find_free_port

# It listens half a second after its start, as a program with imports does.
PROGRAM = """
import sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
time.sleep(0.5)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args): pass
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def start_slowly(home: Home, port: int, mark: Mapping[str, str]) -> BackgroundProcess:
    arguments = ["-c", PROGRAM, str(port)]
    environment = {**os.environ, **mark}
    return start_background("the part", arguments, environment, home.logs / "part.log", home.root)


def start_badly(home: Home, port: int, mark: Mapping[str, str]) -> BackgroundProcess:
    arguments = ["-c", "raise SystemExit('no such model')"]
    return start_background("the part", arguments, os.environ, home.logs / "part.log", home.root)


@contextmanager
def serve_elsewhere(port: int) -> Iterator[None]:
    """Another program on the port, which answers everything with 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_port_that_is_taken_meanwhile_is_left_to_the_other(home: Home) -> None:
    port, said = find_free_port(), list[str]()
    part = ListeningPart(
        PartKind("part", "the part is", "/", 5.0, start_slowly), home, port, said.append
    )
    part.start()
    try:
        with serve_elsewhere(port):
            part.await_answer()
            assert part.port != port
            assert part.process is not None
            assert part.process.is_alive
            assert is_used_by(part.port, part.process.pid)
            assert not is_used_by(port, part.process.pid)
    finally:
        part.stop()
    assert said[0].startswith(f"port {port} is taken by ")
    assert said[0].endswith(f"; the part is at {part.port}")
    assert is_free(part.port)


def test_part_that_ends_by_itself_is_reported_with_its_last_line(home: Home) -> None:
    part = ListeningPart(
        PartKind("part", "the part is", "/", 5.0, start_badly), home, find_free_port(), print
    )
    part.start()
    with pytest.raises(ServerUnavailable, match=r"exit code 1; its last line: no such model"):
        part.await_answer()
    part.stop()


def test_part_that_was_never_started_ends_in_peace(home: Home) -> None:
    part = ListeningPart(PartKind("part", "the part is", "/", 5.0, start_slowly), home, 1, print)
    part.stop()
    assert not part.has_ended
