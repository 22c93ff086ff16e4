"""The status page on loopback, in a thread, over a real control store."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import uvicorn

from serving.http.hosts import AllowedHosts
from serving.http.keys import Keyring, parse_keys
from serving.http.transport.server import configure_server
from serving.page.app import StatusPage
from serving.page.status.files import FileReader
from sluice.adapters.control.store import Control
from sluice.config.serving import LimitsConfig

START_SECONDS = 60.0


@contextmanager
def run_page(
    control: Control, keys: Sequence[str] = (), files: FileReader | None = None
) -> Iterator[httpx.Client]:
    """Serve the page; yield a client for it. Without `files` it reads the store alone."""
    keyring = Keyring(parse_keys(keys, "keys"))
    app = StatusPage(control, keyring, LimitsConfig(), AllowedHosts(), files)
    settings = configure_server(app, LimitsConfig(), 2, port=0)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            assert time.monotonic() < deadline, "the page does not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
        app.close()
