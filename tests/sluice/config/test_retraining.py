"""What starts a retraining, as a service's file says it: short, in full, or refused."""

from pathlib import Path
from typing import Any

import pytest

from sluice.config.loading import dump_service, load_service
from sluice.config.monitoring.retraining import RetrainConfig
from sluice.config.service import ServiceConfig
from sluice.documents import parse_yaml
from sluice.errors import ConfigInvalid
from support.releases.runs import write_service

PLACE = "\nserving: auto "


def load(folder: Path, text: str) -> ServiceConfig:
    write_service(folder, "work", (PLACE, f"\nretrain: {text}\n{PLACE}"))
    return load_service("work", "development", folder)


def test_new_data_and_a_loss_of_performance_count_by_default() -> None:
    found = load_service("employment", "development").retrain
    assert found.when == ("data", "performance")
    assert (found.minimum_labels, found.cool_down) == (500, 86_400.0)


def test_a_list_says_when(tmp_path: Path) -> None:
    assert load(tmp_path, "[data, drift]").retrain == RetrainConfig(when=("data", "drift"))
    assert load(tmp_path, "[]").retrain.when == ()


def test_keys_say_when_and_what_holds_back(tmp_path: Path) -> None:
    text = "{when: [alert], alerts: [performance-drop], minimum_labels: 0, cool_down: 90 min}"
    found = load(tmp_path, text).retrain
    assert found.model_dump() == {
        "when": ("alert",),
        "alerts": ("performance-drop",),
        "minimum_labels": 0,
        "cool_down": "90 min",
    }
    assert found.cool_down == 5400


def test_what_is_recorded_reads_back(tmp_path: Path) -> None:
    config = load(tmp_path, "{when: [drift, schedule], cool_down: 20 s}")
    (tmp_path / "work.yaml").write_text(dump_service(config), encoding="utf-8")
    assert load_service("work", "development", tmp_path) == config
    assert ServiceConfig.model_validate(parse_yaml(dump_service(config))) == config


WRONG: dict[str, tuple[str, str]] = {
    "unknown word": (
        "[data, dritf]",
        "retrain.1: found 'dritf'; allowed: data, performance, drift, alert, schedule",
    ),
    "a word": ("data", "retrain: found 'data'; allowed: a list such as [data, performance], or"),
    "twice": ("[data, data]", "retrain.when.1: 'data' is there already"),
    "unknown word under its key": (
        "{when: [drfit]}",
        "retrain.when.0: Input should be 'data', 'performance', 'drift', 'alert' or 'schedule'; "
        "found 'drfit'",
    ),
    "rules without alert": (
        "{when: [data], alerts: [accuracy]}",
        "retrain.alerts: names rules, but `when` has no `alert`; next: add it to `when`",
    ),
    "a rule that does not exist": (
        "{when: [alert], alerts: [performance-drop, accuracy]}",
        "retrain.alerts.1: found 'accuracy', which does not exist; allowed: performance-drop, ",
    ),
    "a rule of prompts": (
        "{when: [alert], alerts: [spend]}",
        "retrain.alerts.0: found 'spend', which is not judged for it; allowed: performance-drop, ",
    ),
    "a rule that is switched off": (
        "{when: [alert], alerts: [latency]}\n"
        "monitoring: {rules: {latency: {enabled: false, reason: nobody waits}}}",
        "retrain.alerts.0: found 'latency', which is not judged for it; allowed: performance-drop",
    ),
    "a rule without its limit": (
        "{when: [alert], alerts: [latency]}",
        "retrain.alerts.0: found 'latency', which cannot fire: `monitoring.sla_ms` is not in its "
        "file; allowed: performance-drop, failed-predictions",
    ),
    "a rule without a name": (
        "{when: [alert], alerts: ['']}",
        "retrain.alerts.0: found ''; allowed: the name of a rule",
    ),
    "no unit": (
        "{cool_down: 24}",
        "retrain.cool_down: found 24; allowed: a number and s, min, h or d, such as 90 min",
    ),
    "less than none": ("{minimum_labels: -1}", "retrain.minimum_labels: "),
    "more than there are": ("{minimum_labels: 10000000000}", "retrain.minimum_labels: "),
    "longer than a year": ("{cool_down: 999999999999 d}", "retrain.cool_down: "),
    "unknown key": (
        "{cooldown: 1 h}",
        "retrain.cooldown: unknown key (did you mean `cool_down`?); allowed: alerts, cool_down, "
        "minimum_labels, when",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case: str, tmp_path: Path) -> None:
    text, expected = WRONG[case]
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path, text)
    message: Any = str(caught.value)
    assert message.startswith(str(tmp_path / "work.yaml"))
    assert expected in message
