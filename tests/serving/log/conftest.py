"""A state folder and a worker that writes its spool, for tests of what reads spools."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.home import Home
from support.gateway.records import Worker, begin_worker


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def worker(home: Home) -> Iterator[Worker]:
    worker = begin_worker(home.serving / "a", segment_bytes=1 << 14)
    yield worker
    worker.die()
