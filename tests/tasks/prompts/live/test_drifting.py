"""The report of a prompt's inputs: what moved is named, and little traffic decides nothing."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from sluice.adapters.control.store import prepare_control
from sluice.control.route import Route
from sluice.drift.live.report import DriftReport, summarise
from sluice.drift.live.schedule import Window
from sluice.home import Home
from sluice.report.drift.page import write_page
from sluice.report.drift.rows import advise, list_facts
from support.monitoring import NOON
from support.traffic import TrafficWriter
from tasks.prompts.live.drifting import examine_inputs, find_last_day

DAY = find_last_day(NOON)
ENGLISH = "Please tell me when the parcel of order {} is here and how you send it"
GERMAN = "Bitte sagen Sie mir wann das Paket der Bestellung {} da ist und wie es kommt"
Log = Callable[[Window, Sequence[str]], None]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    """Logs texts that were asked of the prompt `greet`, evenly over a window."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.delenv("SLUICE_CONTROL_URL", raising=False)
    home = Home(tmp_path)
    prepare_control(home).routes.swap(None, Route("greet", 2, kind="prompt"))
    traffic = TrafficWriter(home)

    def write(window: Window, texts: Sequence[str]) -> None:
        step = (window.end - window.start).total_seconds() / len(texts)
        facts = {"service": "greet", "version": 2, "outputs": b'{"text": "Hi"}'}
        traffic.write(
            [
                traffic.make(
                    window.start,
                    number * step,
                    inputs=json.dumps({"variables": {"text": text}}).encode(),
                    **facts,
                )
                for number, text in enumerate(texts)
            ]
        )

    return write


def fill(text: str, count: int) -> list[str]:
    return [text.format(number % 97) for number in range(count)]


WEEK = Window(DAY.start - timedelta(days=7), DAY.start)


def read_columns(report: DriftReport) -> dict[str, str]:
    return {one.found.column: one.found.severity for one in report.columns["data"]}


def test_the_same_kind_of_inputs_is_no_drift(log: Log) -> None:
    log(WEEK, fill(ENGLISH, 1200))
    log(DAY, fill(ENGLISH, 600))
    found = examine_inputs("greet", DAY)
    assert (found.outcome, found.rows, found.version) == ("clean", 600, 2)
    assert set(read_columns(found)) >= {"text.length", "text.unknown_words", "language"}
    assert summarise(found).startswith("no drift: 600 requests of ")
    assert summarise(found).endswith(" against the 7 days before")
    assert dict(list_facts(found))["version"] == "v2 serves; requests to all count"


def test_inputs_in_another_language_are_drift_with_a_page(log: Log) -> None:
    log(WEEK, fill(ENGLISH, 1200))
    log(DAY, [*fill(ENGLISH, 300), *fill(GERMAN, 300)])
    found = examine_inputs("greet", DAY)
    assert found.outcome == "alarm"
    assert read_columns(found)["language"] == "significant"
    page = write_page(found)
    for words in ("Drift found", "<h3>1. ", "language", "sluice prompt evaluate greet", "new: de"):
        assert words in page
    assert "Performance" not in page
    assert "training" not in summarise(found)
    assert len(advise(found)) == 1
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["data_version"] is None


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        (0, 0, "there are no requests before the window"),
        (0, 600, "there are no requests before the window"),
        (600, 0, "there are no requests in the window"),
        (600, 60, "not enough data"),
    ],
)
def test_without_requests_enough_nothing_is_decided(
    log: Log, before: int, now: int, reason: str
) -> None:
    for window, count in ((WEEK, before), (DAY, now)):
        if count:
            log(window, fill(ENGLISH, count))
    found = examine_inputs("greet", DAY)
    assert found.outcome == "not judged"
    assert reason in summarise(found)
    assert "name a longer window" in write_page(found)
