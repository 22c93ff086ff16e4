"""`sluice profile`: what it needs, in words."""

from pathlib import Path

import pytest

from sluice.home import Home
from support.releases.runs import run_sluice
from support.servers.images import add_registry_database


def test_an_unknown_service_is_refused(tmp_path: Path) -> None:
    done = run_sluice("profile", "nothing", home=tmp_path)
    assert done.returncode == 2
    assert "nothing" in done.stdout


@pytest.mark.slow
def test_a_version_that_is_not_there_is_refused(tmp_path: Path) -> None:
    add_registry_database(Home(tmp_path))
    for options, words in (
        ((), "employment has no champion yet; next: `sluice release employment`"),
        (("--version", "7"), "employment has no version 7; next: `sluice history employment`"),
    ):
        done = run_sluice("profile", "employment", *options, home=tmp_path)
        assert done.returncode == 2
        assert words in done.stdout
