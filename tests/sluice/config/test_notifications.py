"""Notifications that are wrong are refused with file, line, key and what is allowed."""

from pathlib import Path

import pytest

from sluice.config.deployments import read_deployments
from sluice.errors import ConfigInvalid

TOP = """\
deployments:
  - name: keeper
    entrypoint: flows.keeper.keeper
    work_pool: {name: sluice}
    tags: [sluice]
notifications:
"""
SLACK = """\
  - name: team
    kind: slack
    url: {env: TEAM_SLACK_URL}
    events: [gate.failed, rollout.*]
"""


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "deployments.yaml"
    file.write_text(TOP + text, encoding="utf-8")
    return file


def refuse(tmp_path: Path, text: str) -> str:
    file = write(tmp_path, text)
    with pytest.raises(ConfigInvalid) as refused:
        read_deployments(file)
    return str(refused.value).removeprefix(f"{file}:")


def test_pattern_stands_for_every_event_that_begins_with_it(tmp_path: Path) -> None:
    entry = read_deployments(write(tmp_path, SLACK)).notifications[0]
    assert {"gate.failed", "rollout.held", "rollout.promoted"} <= entry.names
    assert "gate.passed" not in entry.names


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "kind: slack",
            "kind: pigeon",
            "8: notifications.0.kind: found 'pigeon'; allowed: 'slack'",
        ),
        ("gate.failed", "gate.faild", "10: notifications.0.events.0: no event 'gate.faild'"),
        ("rollout.*", "roll.*", "10: notifications.0.events.1: no event 'roll.*'"),
        ("[gate.failed, rollout.*]", "[]", "10: notifications.0.events: "),
        ("{env: TEAM_SLACK_URL}", "{}", "9: notifications.0.url: give one of env"),
        ("{env: TEAM_SLACK_URL}", "https://x", "9: notifications.0.url: "),
        ("name: team", "name: The Team", "7: notifications.0.name: "),
        ("kind: slack", "kind: slack\n    chanel: x", "9: notifications.0.chanel: unknown key"),
    ],
)
def test_wrong_value_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert refuse(tmp_path, SLACK.replace(old, new)).startswith(message)


def test_unknown_event_is_named_with_the_likely_one(tmp_path: Path) -> None:
    message = refuse(tmp_path, SLACK.replace("gate.failed", "gate.faild"))
    assert "(did you mean `gate.failed`?); allowed: data.changed, prompt.changed" in message


def test_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    assert refuse(tmp_path, SLACK + SLACK) == "11: notifications.1.name: 'team' is there already"


def test_mail_with_a_user_needs_a_password(tmp_path: Path) -> None:
    mail = "  - {name: mail, kind: email, host: mail, user: me, sender: a@b.org, to: [d@e.org], "
    message = refuse(tmp_path, mail + "events: [gate.failed]}\n")
    assert message == "7: notifications.0: give both of user and password, or neither"
