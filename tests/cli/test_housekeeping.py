"""The timetable of `sluice housekeeping`: each moment once, a changed file at once."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.housekeeping import Timetable

AT = datetime(2026, 3, 28, 12, 3, 30, tzinfo=UTC)
FILE = """
deployments:
  - name: keeper
    entrypoint: flows.keeper.keeper
    work_pool: {name: sluice}
    tags: [sluice]
    schedules:
      - {slug: one, cron: "*/2 * * * *"}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "deployments.yaml"
    file.write_text(FILE, encoding="utf-8")
    return file


def take(timetable: Timetable, seconds: float) -> int:
    return len(timetable.take_due(AT + timedelta(seconds=seconds)))


def change(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    os.utime(file, (1.0, 1.0))


def test_each_moment_is_due_once(file: Path) -> None:
    timetable = Timetable(file)
    assert [take(timetable, seconds) for seconds in (0, 29, 30, 31, 149, 150)] == [0, 0, 1, 0, 0, 1]


def test_moments_that_passed_meanwhile_are_one(file: Path) -> None:
    timetable = Timetable(file)
    assert [take(timetable, seconds) for seconds in (0, 3600, 3601)] == [0, 1, 0]


def test_a_changed_file_counts_and_a_wrong_or_missing_one_does_not(file: Path) -> None:
    timetable = Timetable(file)
    assert take(timetable, 0) == 0
    change(file, FILE.replace("*/2", "*/1"))
    assert [take(timetable, seconds) for seconds in (1, 30, 90)] == [0, 1, 1]
    file.write_text("deployments: nothing", encoding="utf-8")
    assert take(timetable, 150) == 1
    file.unlink()
    assert take(timetable, 210) == 1
