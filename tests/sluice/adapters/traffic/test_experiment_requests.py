"""Requests of an experiment from a traffic log that the real log-writer wrote."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from serving.log.records import AssignedArm, Feedback
from sluice.adapters.traffic.experiments import TrafficPlace, read_requests
from sluice.experiments.requests import CONTROL, NONE, TREATMENT
from sluice.home import Home
from sluice.rollout.assignment import hash_unit
from support.experiments.traffic import configure
from support.traffic import TrafficWriter

START = datetime(2026, 11, 2, 6, tzinfo=UTC)
AT = START.timestamp()
CONFIG = configure(
    primary={"name": "praise", "source": "positive", "shape": "rate", "better": "higher"},
    secondary=[
        {"name": "slow", "source": "latency_ms", "shape": "ratio", "better": "lower"},
        {"name": "value", "source": "value", "shape": "mean", "better": "higher"},
        {"name": "label", "source": "label", "shape": "ratio", "better": "higher"},
        {"name": "cost", "source": "cost", "shape": "ratio", "better": "lower"},
    ],
    service="employment",
    segments=["education"],
)
ARMS = (AssignedArm.CHAMPION, AssignedArm.CANDIDATE, AssignedArm.NONE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> TrafficPlace:
    home = Home(Path(tmp_path_factory.mktemp("traffic")))
    home.root.mkdir(exist_ok=True)
    writer = TrafficWriter(home)
    answers = [
        writer.make(START, second, epoch=7, arm=ARMS[second % 3], unit=hash_unit(f"u{second // 2}"),
                    failed=second == 3, latency_ms=0.0 if second == 3 else 12.0,
                    service="employment")
        for second in range(6)
    ]  # fmt: skip
    other = writer.make(START, 7, epoch=8, unit=hash_unit("u9"), service="employment")
    lone = writer.make(START, 8, epoch=7, service="employment")
    alone = type(lone)(
        **{
            **{name: getattr(lone, name) for name in lone.__struct_fields__},
            "unit": hash_unit(lone.request_id),
        }
    )
    said = [
        Feedback(answers[0].request_id, AT + 20, rating=1.0, value=3.5, service="employment"),
        Feedback(answers[1].request_id, AT + 21, rating=-1.0, label="1", service="employment"),
        Feedback(answers[2].request_id, AT + 22, rating=1.0, service="another"),
    ]
    writer.write([*answers, other, alone, *said])
    return TrafficPlace("employment", home.answers("employment"), home.feedback)


def test_requests_of_one_epoch_come_with_arm_feedback_and_traits(place: TrafficPlace) -> None:
    found = read_requests(place, CONFIG, (AT, AT + 3600), epoch=7)
    assert len(found.at) == 7
    assert found.arm.tolist()[:6] == [CONTROL, TREATMENT, NONE] * 2
    assert len(found.names) == 4
    assert found.figures["positive"].tolist()[:2] == [1.0, 0.0]
    assert np.isnan(found.figures["positive"][2])  # that one is about another service
    assert found.figures["value"][0] == 3.5
    assert found.figures["label"][1] == 1.0
    assert np.isnan(found.figures["latency_ms"][3])  # it failed
    assert np.isnan(found.figures["cost"]).all()
    assert found.feedback_at[0] == pytest.approx(AT + 20)
    assert found.without_unit == 1
    assert set(found.traits["education"]) == {"bachelor"}
    assert set(found.traits["day"]) == {"2026-11-02"}


def test_past_traffic_is_all_of_the_control(place: TrafficPlace) -> None:
    found = read_requests(place, CONFIG, (AT, AT + 3600))
    assert len(found.at) == 8
    assert set(found.arm.tolist()) == {CONTROL}
    assert found.traits == {}


def test_a_span_is_half_open_and_no_log_is_no_request(place: TrafficPlace, tmp_path: Path) -> None:
    assert len(read_requests(place, CONFIG, (AT, AT + 2), epoch=7).at) == 2
    nowhere = TrafficPlace("employment", tmp_path / "none", tmp_path / "none")
    found = read_requests(nowhere, CONFIG, (AT, AT + 2), epoch=7)
    assert len(found.names) == 0
    assert set(found.figures) >= {"positive", "value"}
