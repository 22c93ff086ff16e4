"""One provider for all tests of a file."""

from collections.abc import Iterator

import pytest

from support.llm.answers import FakeAnswer
from support.llm.asking import KEY_VARIABLE
from support.llm.provider import KEY, FakeProvider, run_provider


@pytest.fixture(scope="module")
def running() -> Iterator[FakeProvider]:
    with run_provider() as found:
        yield found


@pytest.fixture
def provider(running: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> FakeProvider:
    """A provider that has not been asked anything yet, and whose key is set."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    return running.reset(FakeAnswer())
