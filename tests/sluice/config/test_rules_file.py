"""The rules of monitoring and a service's changes: what is wrong is named with file and line."""

from pathlib import Path

import pytest

from sluice.config.loading import find_rules, list_services, load_rules, load_service
from sluice.config.monitoring.rules import read_time_span
from sluice.errors import ConfigInvalid
from sluice.home import CONFIGS

RULES = (CONFIGS / "monitoring" / "rules.yaml").read_text(encoding="utf-8")
BAD = {
    "an unknown key": (
        "    keep_firing_for: 1 h",
        "    keep_firing: 1 h",
        "rules.refused-rows.keep_firing: unknown key (did you mean `keep_firing_for`?); allowed: ",
    ),
    "an unknown signal": (
        "signal: failure-share",
        "signal: failures",
        "rules.failed-predictions.signal: found 'failures'; allowed: requests, throughput-share",
    ),
    "two limits": (
        "    above: 0.01",
        "    above: 0.01\n    below: 0.5",
        "rules.failed-predictions: found both of above and below; allowed: one of them",
    ),
    "no limit": (
        "    above: 0.01\n",
        "",
        "rules.failed-predictions: found neither of above and below; allowed: one of them",
    ),
    "no duration": (
        "    for: 2 min",
        "    for: soon",
        "rules.failed-predictions.for: found 'soon'; allowed: a number and s, min, h or d",
    ),
    "half a minute": (
        "    window: 24 h",
        "    window: 90 s",
        "rules.no-feedback.window: found 90 s; allowed: whole minutes",
    ),
    "not a number": (
        "above: 0.25",
        "above: .nan",
        "rules.feature-drift.above",
    ),
    "a limit that no share reaches": (
        "above: 0.01",
        "above: 1.5",
        "rules.failed-predictions.above: found 1.5, it would never fire; allowed for "
        "`failure-share`: from 0 and less than 1",
    ),
    "a limit that every figure is beyond": (
        "above: 0.25",
        "above: -1",
        "rules.feature-drift.above: found -1, it would fire always; allowed for `feature-psi`: "
        "from 0",
    ),
    "less than nothing": (
        "signal: feedbacks\n    below: 1",
        "signal: feedbacks\n    below: 0",
        "rules.no-feedback.below: found 0, it would never fire; allowed for `feedbacks`: more than "
        "0",
    ),
    "fewer requests than the rule needs": (
        "below: 1\n    window: 15 min",
        "below: 1\n    minimum: 100\n    window: 15 min",
        "rules.no-traffic.minimum: found 100; allowed: less than the limit below, 1",
    ),
    "milliseconds for a share": (
        "above: 0.01",
        "above: sla_ms",
        "rules.failed-predictions.above: found 'sla_ms', which is in ms; allowed: a number",
    ),
    "a window of its own": (
        "above: 0.25",
        "above: 0.25\n    window: 5 min",
        "rules.feature-drift.window: found 300 s; allowed: none, `feature-psi` has its own",
    ),
    "rows of an age": (
        "above: 900",
        "above: 900\n    minimum: 1",
        "rules.monitor-silent.minimum: found 1; allowed: none, `monitor-age` counts no rows",
    ),
    "an interval of a count": (
        "above: 0.01",
        "above: 0.01\n    by: bound",
        "rules.failed-predictions.by: found bound; allowed: value, `failure-share` has neither",
    ),
    "more rows than there are": ("minimum: 200", f"minimum: 1{30 * '0'}", ".minimum: "),
    "no runbook": (
        "      means: Callers cannot",
        "      meaning: Callers cannot",
        "rules.no-traffic.runbook.means: Field required",
    ),
    "an unknown severity": (
        "severity: critical\n    runbook:\n      means: No rule is judged",
        "severity: fatal\n    runbook:\n      means: No rule is judged",
        "rules.monitor-silent.severity: Input should be 'critical', 'warning' or 'info'",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "monitoring").mkdir()
    (tmp_path / "monitoring" / "rules.yaml").write_text(RULES, encoding="utf-8")
    text = (CONFIGS / "employment.yaml").read_text(encoding="utf-8")
    (tmp_path / "employment.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def write_own(folder: Path, text: str) -> None:
    with (folder / "employment.yaml").open("a", encoding="utf-8") as file:
        file.write(f"\nmonitoring:\n{text}\n")


@pytest.mark.parametrize(("old", "new", "words"), BAD.values(), ids=BAD)
def test_a_wrong_rule_is_refused(folder: Path, old: str, new: str, words: str) -> None:
    path = folder / "monitoring" / "rules.yaml"
    assert old in RULES
    path.write_text(RULES.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigInvalid) as caught:
        load_rules(folder)
    assert f"{path}:" in str(caught.value)
    assert words in str(caught.value)


def test_rules_are_no_service(folder: Path) -> None:
    assert list_services(folder) == ["employment"]


def test_a_service_changes_limit_and_figures(folder: Path) -> None:
    write_own(
        folder,
        "  sla_ms: 200\n  capacity: 50\n  rules:\n    no-feedback: {enabled: false, reason: labels "
        "come monthly}\n    failed-predictions: {above: 0.02, for: 5 min, reason: a noisy source}",
    )
    rules = find_rules(load_service("employment", "development", folder), folder)
    assert "no-feedback" not in rules
    assert (rules["latency"].limit, rules["throughput"].capacity) == (200, 50)
    assert rules["failed-predictions"].rule.for_ == 300


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("  sla_ms: 0", "monitoring.sla_ms: Input should be greater than 0; found 0"),
        ("  sla: 20", "monitoring.sla: unknown key (did you mean `sla_ms`?)"),
        (
            "  rules: {no-trafic: {enabled: false, reason: it rests}}",
            "monitoring.rules.no-trafic: no rule 'no-trafic' in ",
        ),
        (
            "  rules: {no-traffic: {above: 5, reason: it rests}}",
            "monitoring.rules.no-traffic.above: found a limit above; allowed: below",
        ),
        (
            "  rules: {failed-predictions: {above: 2, reason: no alarms}}",
            "monitoring.rules.failed-predictions.above: found 2, it would never fire; allowed",
        ),
        (
            "  rules: {feature-drift: {window: 1 h, reason: shorter}}",
            "monitoring.rules.feature-drift.window: found 3600 s; allowed: none, `feature-psi` has",
        ),
        (
            "  rules: {no-traffic: {enabled: false}}",
            "monitoring.rules.no-traffic.reason: Field required",
        ),
    ],
)
def test_a_wrong_change_is_refused(folder: Path, own: str, words: str) -> None:
    write_own(folder, own)
    with pytest.raises(ConfigInvalid) as caught:
        load_service("employment", "development", folder)
    assert words in str(caught.value)
    assert "employment.yaml:" in str(caught.value)


def test_a_folder_without_rules_has_those_of_the_project(tmp_path: Path) -> None:
    assert load_rules(tmp_path) == load_rules()


@pytest.mark.parametrize(("text", "seconds"), [("90 s", 90), ("5 min", 300), ("2 d", 172_800)])
def test_durations_have_a_unit(text: str, seconds: float) -> None:
    assert read_time_span(text) == seconds


@pytest.mark.parametrize("text", ["5", "-1 h", "32 d", "1 week", None, True, 5])
def test_a_duration_without_unit_or_too_long_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="allowed: "):
        read_time_span(text)


def test_the_commands_of_a_runbook_name_the_service() -> None:
    for active in find_rules(load_service("employment", "development")).values():
        assert "SERVICE" not in str(active.rule.runbook)
    book = find_rules(load_service("employment", "development"))["performance-drop"].rule.runbook
    assert "`sluice rollback employment --by NAME --reason WORDS`" in book.do
