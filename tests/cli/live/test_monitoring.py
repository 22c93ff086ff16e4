"""`sluice monitoring`: what fires, silences with who and why, and the exported files."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from cli.live.monitoring import RULES_FILE, read_until
from sluice.adapters.control.store import prepare_control
from sluice.errors import CommandRefused
from sluice.home import Home
from sluice.monitoring.alerts import follow_steps
from sluice.monitoring.rules import Judgement, RuleOutcome
from support.monitoring import NOON, SERVICE, make_rule
from support.releases.runs import run_sluice

BY = ("--by=Ada", "--reason=planned work")
RULE = "failed-predictions"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A state folder in which an alert fires."""
    home = Home(tmp_path / "home")
    control = prepare_control(home)
    before = control.alerts.find(SERVICE, RULE)
    judgement = Judgement(RuleOutcome.BROKEN, NOON, "2 %, above 1 %, n 400", 0.02, 0.01, 400)
    after, changes = follow_steps(before, make_rule(RULE), [judgement])
    assert control.alerts.advance(before, after, changes)
    return home


def test_status_says_what_fires_and_what_to_do(home: Home) -> None:
    shown = run_sluice("monitoring", "status", SERVICE, home=home.root)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "failed-predictions" in shown.stdout
    assert "2 %, above 1 %" in shown.stdout
    assert "do: Roll back if the failing version is new" in shown.stdout
    assert "judged last: 2026-11-30 12:00" in shown.stdout


def test_a_prompt_has_rules_of_its_own(home: Home) -> None:
    shown = run_sluice("monitoring", "status", "summarize", "--json", home=home.root)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    rules = {row["rule"] for row in json.loads(shown.stdout)["summarize"]}
    assert {"spend-near", "thumbs-up", "no-traffic"} <= rules
    assert "latency" not in rules


def test_a_rule_is_silenced_and_no_longer_silenced(home: Home) -> None:
    silenced = run_sluice(
        "monitoring", "silence", RULE, SERVICE, "--until", "4 h", *BY, home=home.root
    )
    assert silenced.returncode == 0, silenced.stdout
    assert f"{SERVICE}: {RULE} is silenced until " in silenced.stdout
    rows = json.loads(run_sluice("monitoring", "status", SERVICE, "--json", home=home.root).stdout)[
        SERVICE
    ]
    (row,) = [item for item in rows if item["rule"] == RULE]
    assert (row["state"], row["silenced"][-20:]) == ("firing", " by Ada: planned work"[-20:])
    ended = run_sluice("monitoring", "unsilence", RULE, SERVICE, *BY, home=home.root)
    assert f"{RULE} is no longer silenced" in ended.stdout
    again = run_sluice("monitoring", "unsilence", RULE, SERVICE, *BY, home=home.root)
    assert again.returncode == 2
    assert f"{RULE} of {SERVICE} is not silenced" in again.stdout


def test_an_unknown_rule_is_refused_with_those_that_exist(home: Home) -> None:
    refused = run_sluice(
        "monitoring", "silence", "latenzy", SERVICE, "--until", "4 h", *BY, home=home.root
    )
    assert refused.returncode == 2
    assert "rule: found 'latenzy', which employment does not have; allowed: " in refused.stdout


def test_export_writes_rules_and_a_dashboard_for_each_service(tmp_path: Path) -> None:
    done = run_sluice("monitoring", "export", "--to", str(tmp_path / "out"), home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rules = yaml.safe_load((tmp_path / "out" / RULES_FILE).read_text())
    assert "sluice-employment" in [group["name"] for group in rules["groups"]]
    dashboard = json.loads((tmp_path / "out" / "sluice-employment.json").read_text())
    assert dashboard["title"] == "Sluice: employment"
    assert "employment: latency is left out: `monitoring.sla_ms` is not in its file" in done.stdout


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("4 h", NOON + timedelta(hours=4)),
        ("2026-12-01T06:00", datetime(2026, 12, 1, 6, tzinfo=UTC)),
        ("2026-12-01T06:00+02:00", datetime(2026, 12, 1, 4, tzinfo=UTC)),
    ],
)
def test_the_end_of_a_silence_is_a_duration_or_a_time(text: str, until: datetime) -> None:
    found = read_until(text, NOON)
    assert (found, found.utcoffset()) == (until, timedelta(0))


@pytest.mark.parametrize("text", ["9999-12-31T23:59", "9999-12-31T23:59-05:00", "2027-01-01T12:00"])
def test_a_silence_ends_within_a_month(text: str) -> None:
    with pytest.raises(CommandRefused, match=f"--until: found '{text}'; allowed: at most 31 d"):
        read_until(text, NOON)


def test_another_end_of_a_silence_is_refused() -> None:
    with pytest.raises(CommandRefused, match="--until: found 'soon'; allowed: a time such as"):
        read_until("soon", NOON)
