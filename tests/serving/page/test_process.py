"""The page as its own process: where it listens, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from support.servers.ports import find_free_port

pytestmark = pytest.mark.slow
WAIT_SECONDS = 120.0


def start(home: Path, port: int) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-m", "serving.page", "--port", str(port)]
    environment = {**os.environ, "SLUICE_HOME": str(home)}
    return subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True)


def test_it_serves_an_empty_state_folder_and_ends_on_a_signal(tmp_path: Path) -> None:
    port = find_free_port()
    process = start(tmp_path, port)
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        assert answer.status_code == 503
        assert "The control store cannot be read" in answer.text
        process.send_signal(signal.SIGTERM)
        process.wait(WAIT_SECONDS)
    finally:
        process.kill()
        process.communicate()


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(tmp_path, port)
        _, output = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 2
    assert f"GatewayBusy: cannot listen on 127.0.0.1:{port}; next: free it" in output
