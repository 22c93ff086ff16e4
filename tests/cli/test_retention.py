"""`sluice retention`: what will be deleted is shown, and a person can keep it."""

import json
from pathlib import Path

from sluice.adapters.tables.retention import open_retention, read_retention, retention_path
from sluice.data.retention import Retention
from sluice.home import Home
from support.releases.runs import run_sluice

WAITING = {"answers/employment": {"2026-10-01T05": 0.0, "2026-10-01T06": 72000.0}}


def test_waiting_hours_are_shown_kept_and_given_free_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with open_retention(home) as file:
        file.write(Retention("2026-11-01T05", "2027-01-01T00", WAITING))
    shown = run_sluice("retention", home=tmp_path)
    assert shown.returncode == 0
    assert "answers/employment" in shown.stdout
    assert "in 4.0 h of the log-writer's running" in shown.stdout
    assert "come 60.8 days after those of 2026-11-01T05" in shown.stdout

    undone = run_sluice("retention", "--undo", "--by=Ada", "--reason=needed", home=tmp_path)
    assert undone.returncode == 0
    assert "needed (Ada); next: `sluice retention --resume" in undone.stdout
    assert read_retention(retention_path(home)).count_waiting() == 0

    resumed = run_sluice("retention", "--resume", "--by=Ada", "--reason=done", home=tmp_path)
    assert "no hour waits to be deleted" in resumed.stdout
    acts = json.loads(retention_path(home).read_text())["acts"]
    assert [act.partition(" ")[2] for act in acts] == ["undo by Ada: needed", "resume by Ada: done"]


def test_keeping_needs_a_name_and_a_reason(tmp_path: Path) -> None:
    refused = run_sluice("retention", "--undo", "--by=Ada", home=tmp_path)
    assert refused.returncode == 2
    assert "retention --undo: needs --by and --reason, both not empty" in refused.stdout
    both = run_sluice("retention", "--undo", "--accept", "--by=A", "--reason=b", home=tmp_path)
    assert "found --undo, --accept; allowed: one of them at a time" in both.stdout
