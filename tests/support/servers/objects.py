"""An object store on loopback: S3's interface, as moto serves it, with objects in memory."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from support.servers.ports import find_free_port

BUCKET = "lake"
START_SECONDS = 60.0


@contextmanager
def run_object_store() -> Iterator[str]:
    """Yield the URL of a bucket; while the block runs, the environment names the store.

    It is a process of its own: some calls of deltalake wait for it with the interpreter's lock.
    """
    port = find_free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        try:
            patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            patch.setenv("AWS_ALLOW_HTTP", "true")
            patch.setenv("AWS_REGION", "us-east-1")
            patch.setenv("AWS_ACCESS_KEY_ID", "anybody")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
            _create_bucket(f"http://127.0.0.1:{port}/{BUCKET}")
            yield f"s3://{BUCKET}"
        finally:
            server.terminate()


def _create_bucket(url: str) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            requests.put(url, timeout=10).raise_for_status()
            return
        except requests.ConnectionError:
            assert time.monotonic() < until, "the object store did not start"
            time.sleep(0.1)
