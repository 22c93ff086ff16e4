"""Commands find the home's server before Prefect is imported, which reads its settings once."""

import subprocess
import sys
from pathlib import Path

import pytest

from sluice.home import PROJECT

LOOK = """
import sys
from contextlib import contextmanager
import sluice.adapters.server.session as session

@contextmanager
def look(home, report):
    print("too late" if "prefect" in sys.modules else "in time")
    raise SystemExit(0)
    yield

session.open_session = look
from cli.__main__ import main
main()
"""
WHY = ("--by", "Ada", "--why", "a look")


@pytest.mark.parametrize(
    "line",
    [
        ("release", "employment"),
        ("ingest", "employment", "rows.csv"),
        ("promote", "employment"),
        ("approve", "employment", *WHY),
        ("refuse", "employment", *WHY),
        ("rollout", "employment"),
        ("rollout-control", "employment", "pause", *WHY),
        ("rollback", "employment", *WHY),
        ("restore", "employment", "1", *WHY),
    ],
    ids=lambda line: line[0],
)
def test_settings_are_there_before_prefect_is(line: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *line],
        cwd=PROJECT,
        env={"PATH": "", "HOME": str(tmp_path), "SLUICE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split("\n")[0] == "in time", done.stderr[-2000:]
