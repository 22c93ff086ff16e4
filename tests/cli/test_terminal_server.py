"""Commands find the server before they import Prefect, which reads its settings once."""

from pathlib import Path

import pytest

from sluice.home import PROJECT
from support.servers.forks import run_code

PROBE = """
import sys
from contextlib import contextmanager
import sluice.adapters.server.session as session

@contextmanager
def probe(home, report, libraries):
    print("too late" if "prefect" in sys.modules else "in time")
    raise SystemExit(0)
    yield

session.open_session = probe
from cli.__main__ import main
main()
"""
DECISION = ("--by", "Ada", "--reason", "a test")


@pytest.mark.parametrize(
    "line",
    [
        ("release", "employment", "--ingest", "data/acs_employment_2015.parquet"),
        ("ingest", "employment", "data/acs_employment_2015.parquet"),
        ("promote", "employment"),
        ("approve", "employment", *DECISION),
        ("refuse", "employment", *DECISION),
        ("rollout", "employment"),
    ],
    ids=lambda line: line[0],
)
def test_settings_are_there_before_prefect_is(line: tuple[str, ...], tmp_path: Path) -> None:
    environment = {"PATH": "", "HOME": str(tmp_path), "SLUICE_HOME": str(tmp_path / "home")}
    done = run_code(PROBE, line, environment, folder=PROJECT)
    assert done.stdout.split("\n")[0] == "in time", done.stderr[-2000:]
