"""Notifications are checked for secrets, services and templates before a server changes."""

import re
from pathlib import Path

import pytest

from sluice.config.deployments import read_deployments
from sluice.errors import ConfigInvalid
from sluice.home import PROJECT
from tasks.deploy.notifications import PlannedNotification, check_notifications

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # Apprise imports it
FILE = """\
deployments:
  - name: keeper
    entrypoint: flows.keeper.keeper
    work_pool: {name: sluice}
    tags: [sluice]
notifications:
  - name: team
    kind: slack
    url: {env: TEAM_SLACK_URL}
    events: [gate.failed, rollout.*, run.failed]
    services: [employment]
  - name: anyone
    kind: webhook
    url: {env: HOOK_URL}
    headers: {Authorization: {env: HOOK_TOKEN}}
    events: [gate.failed, run.failed, trigger.failed]
    title: "{{ service }}: {{ what }}"
    text: "{{ reason | upper }}"
"""
# pragma: allowlist nextline secret
GOOD_URL = "https://hooks.slack.com/services/T0000/B0000/abcdef"


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_SLACK_URL", GOOD_URL)
    monkeypatch.setenv("HOOK_URL", "http://127.0.0.1:9/hook")
    monkeypatch.setenv("HOOK_TOKEN", "Bearer abc")


def check(tmp_path: Path, old: str = "", new: str = "") -> list[PlannedNotification]:
    assert old in FILE
    file = tmp_path / "deployments.yaml"
    file.write_text(FILE.replace(old, new, 1), encoding="utf-8")
    return check_notifications(file, read_deployments(file))


def refuse(tmp_path: Path, old: str = "", new: str = "") -> str:
    with pytest.raises(ConfigInvalid) as refused:
        check(tmp_path, old, new)
    return str(refused.value).removeprefix(f"{tmp_path / 'deployments.yaml'}:")


def test_good_file_makes_a_block_each_with_its_secret(tmp_path: Path) -> None:
    slack, hook = (item.block for item in check(tmp_path))
    assert slack.url.get_secret_value() == GOOD_URL  # type: ignore[attr-defined]
    assert "Bearer" in hook.url.get_secret_value()  # type: ignore[attr-defined]


def test_variable_that_is_not_set_is_named_with_line_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOOK_TOKEN")
    assert refuse(tmp_path) == (
        "15: notifications.1.headers.Authorization.env: the environment variable HOOK_TOKEN is not"
        " set; next: set it where `sluice deploy` runs"
    )


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TEAM_SLACK_URL", "https://evil.example/s3cret", "9: notifications.0.url: the secret is"),
        ("HOOK_URL", "s3cret", "14: notifications.1.url: the secret is no address"),
    ],
)
def test_address_of_a_wrong_form_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    found = refuse(tmp_path)
    assert found.startswith(said)
    assert "s3cret" not in found


def test_service_that_is_not_configured_is_refused_with_those_that_are(tmp_path: Path) -> None:
    said = refuse(tmp_path, "[employment]", "[employmnt]")
    assert said.startswith("11: notifications.0.services.0: no service 'employmnt'; allowed: ")
    assert "employment" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{{ what }}", "{{ what", "17: notifications.1.title: not readable as a template: "),
        ("{{ what }}", "{{ what | loud }}", "17: notifications.1.title: not readable"),
        ("| upper", "| round", "18: notifications.1.text: not readable as a template: "),
    ],
)
def test_template_that_cannot_be_filled_in_is_refused(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert refuse(tmp_path, old, new).startswith(said)


def test_all_problems_are_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEAM_SLACK_URL")
    monkeypatch.delenv("HOOK_URL")
    assert len(refuse(tmp_path, "{{ what }}", "{{ what").splitlines()) == 3


def test_examples_in_the_shipped_file_work_once_uncommented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top, marked, examples = (
        (PROJECT / "deployments.yaml").read_text(encoding="utf-8").partition("# notifications:\n")
    )
    file = tmp_path / "deployments.yaml"
    file.write_text(top + re.sub(r"(?m)^# ", "", marked + examples), encoding="utf-8")
    for variable in re.findall(r"env: (\w+)", examples):
        # pragma: allowlist nextline secret
        monkeypatch.setenv(variable, "https://hooks.slack.com/services/T0000/B0000/abcdef")
    for variable in re.findall(r"\w+PAGERDUTY\w+", examples):
        monkeypatch.setenv(variable, "abcdef")
    found = check_notifications(file, read_deployments(file))
    assert [item.entry.kind for item in found] == ["slack", "pagerduty", "email", "webhook"]
