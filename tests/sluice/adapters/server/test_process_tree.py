"""Processes of a local stack are found by their mark, whatever their parent is."""

import os
from pathlib import Path

import pytest

from sluice.adapters.server.process_tree import (
    FLOW_RUN,
    can_find,
    find_flow_runs,
    find_related,
    mark_part,
)
from sluice.home import Home
from support.servers.up import run_marked

pytestmark = pytest.mark.skipif(not can_find(), reason="this system has no /proc")


def test_a_part_is_found_with_its_parent(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with run_marked(**mark_part(home, "worker")) as process:
        (found,) = find_related(home)
        assert (found.pid, found.parent, found.part) == (process.pid, os.getpid(), "worker")
        assert find_related(Home(tmp_path / "other")) == []


def test_a_flow_run_that_inherits_the_mark_is_distinguished(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with run_marked(**mark_part(home, "worker"), **{FLOW_RUN: "some-run"}):
        (found,) = find_related(home)
        assert (found.part, found.flow_run) == ("flow run", "some-run")
        assert "some-run" in find_flow_runs()


def test_a_dead_process_that_was_not_reaped_is_not_found(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with run_marked(**mark_part(home, "pages")) as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert find_related(home) == []
