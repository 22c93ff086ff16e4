"""One process runs a state folder's local stack; any other gets its addresses."""

import os
import threading
from pathlib import Path

import pytest

from sluice.adapters.server.record import StackRecord, read_stack, write_stack
from sluice.adapters.server.stack import claim_stack
from sluice.errors import ServerUnavailable
from sluice.home import Home

RECORD = StackRecord(os.getpid(), "http://p", "http://m", "one", "log", 4)


def ignore(_line: str) -> None:
    pass


def test_the_second_is_given_the_first_ones_addresses(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with claim_stack(home, ignore) as first:
        assert first is None
        write_stack(home, RECORD)
        with claim_stack(home, ignore) as second:
            assert second == RECORD
        assert read_stack(home) == RECORD
    assert read_stack(home) is None


def test_one_that_starts_is_waited_for(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with claim_stack(home, ignore):
        later = threading.Timer(0.5, write_stack, (home, RECORD))
        later.start()
        with claim_stack(home, ignore) as second:
            assert second == RECORD
        later.join()


def test_the_record_of_a_killed_process_is_no_stack(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_stack(home, StackRecord(2**22 + 1, "http://p", "http://m", "one", "log", 4))
    assert read_stack(home) is None
    with claim_stack(home, ignore) as other:
        assert other is None
        assert not (tmp_path / "stack.json").exists()


def test_a_state_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(ServerUnavailable, match="file"),
        claim_stack(Home(tmp_path / "file" / "home"), ignore),
    ):
        pass
