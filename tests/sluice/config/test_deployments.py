"""A deployments file that is wrong is refused with file, line, key and what is allowed."""

from pathlib import Path

import pytest

from sluice.config.deployments import read_deployments
from sluice.errors import ConfigInvalid
from sluice.home import PROJECT

SHIPPED = PROJECT / "deployments.yaml"


def refuse(tmp_path: Path, old: str, new: str) -> str:
    """Return the error of the shipped file after one text is replaced."""
    text = SHIPPED.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "deployments.yaml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigInvalid) as refused:
        read_deployments(file)
    return str(refused.value).removeprefix(str(file))


def line_of(text: str) -> int:
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_shipped_file_is_read() -> None:
    content = read_deployments(SHIPPED)
    assert {"release", "ingest", "promote", "notice"} <= {item.name for item in content.deployments}
    assert all(item.description for item in content.deployments)


def test_unknown_key_is_named_with_its_line_and_the_likely_one(tmp_path: Path) -> None:
    message = refuse(tmp_path, "    schedules:", "    shedules:")
    assert message.startswith(f":{line_of('    schedules:')}: deployments.0.shedules: unknown key")
    assert "did you mean `schedules`?" in message


def test_unknown_key_of_a_trigger_is_named_with_a_triggers_keys(tmp_path: Path) -> None:
    message = refuse(tmp_path, "within: 60", "withing: 60")
    assert message.startswith(
        f":{line_of('within: 60')}: deployments.0.triggers.0.withing: unknown"
    )
    assert "did you mean `within`?" in message


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("limit: 4", "limit: 0", "deployments.0.concurrency_limit.limit"),
        ("limit: 4", "limit: many", "deployments.0.concurrency_limit.limit"),
        ("ENQUEUE}", "WAIT}", "concurrency_limit.collision_strategy"),
        ("within: 60", "within: -1", "deployments.0.triggers.0.within"),
        ('cron: "0 3 * * 1"', "active: maybe", "deployments.0.schedules.0.active"),
    ],
)
def test_value_that_is_not_allowed_is_named(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert key in refuse(tmp_path, old, new)


def test_schedule_has_exactly_one_rhythm(tmp_path: Path) -> None:
    message = refuse(tmp_path, "timezone: UTC", "interval: 60")
    assert "deployments.0.schedules.0: give exactly one of cron, interval and rrule" in message


def test_deployment_without_our_tag_is_refused(tmp_path: Path) -> None:
    message = refuse(tmp_path, "[sluice, release]", "[release]")
    assert "deployments.0: tags lack 'sluice'" in message


def test_file_that_is_not_there_or_no_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        read_deployments(tmp_path / "none.yaml")
    assert "not readable as YAML" in refuse(tmp_path, "pull: []", "pull: [")
