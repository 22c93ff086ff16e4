"""Ten days of the simulated feed; `make bench-feed` plays ninety."""

import os

import pytest

from sluice.home import PROJECT
from support.servers.forks import run_command

pytestmark = pytest.mark.slow


def test_ten_days_of_a_feed_need_a_person_for_the_bad_day_and_the_new_column_only() -> None:
    words = ["--days", "10", "--no-report"]
    ended = run_command("benchmarks.feed", words, os.environ, 400.0, PROJECT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "a person acted on: bad day, new column" in ended.stdout
    for fact in (
        "days taken without a person: 9",
        "good rows not in the table: 0",
        "bad rows in the table: 0",
        "bad rows without a way back: 0",
        "checks that halt a release of all of it: 0",
    ):
        assert fact in ended.stdout
