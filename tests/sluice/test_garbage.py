"""Processes that import large libraries look for garbage rarely, and not while they import."""

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from sluice.garbage import NEW_OBJECTS, collect_rarely, import_at_once

SHOW = "import sys, gc, importlib; importlib.import_module(sys.argv[1]); print(*gc.get_threshold())"


@pytest.fixture
def _settings() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("_settings")
def test_a_process_looks_for_garbage_rarely() -> None:
    gc.set_threshold(700, 10, 10)
    collect_rarely()
    assert gc.get_threshold() == (NEW_OBJECTS, 10, 10)


@pytest.mark.usefixtures("_settings")
def test_a_process_that_does_so_more_rarely_goes_on() -> None:
    gc.set_threshold(2 * NEW_OBJECTS, 10, 10)
    collect_rarely()
    assert gc.get_threshold() == (2 * NEW_OBJECTS, 10, 10)


@pytest.mark.parametrize("room", ["cli", "flows"])
def test_commands_and_flow_runs_do_so_from_their_first_import(room: str) -> None:
    done = subprocess.run([sys.executable, "-c", SHOW, room], capture_output=True, check=True)
    assert int(done.stdout.split()[0]) == NEW_OBJECTS


def test_no_garbage_is_looked_for_while_the_block_imports() -> None:
    count = gc.get_freeze_count()
    with import_at_once():
        assert not gc.isenabled()
        kept = [[] for _ in range(100)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= count + len(kept)


def test_it_goes_on_where_an_import_fails() -> None:
    with pytest.raises(ImportError), import_at_once():
        raise ImportError
    assert gc.isenabled()


def test_who_had_switched_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with import_at_once(), import_at_once():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
