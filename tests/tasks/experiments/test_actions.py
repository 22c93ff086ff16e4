"""Steps on a real store and a real log: which versions may be compared, and what is analysed."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from serving.log.records import AssignedArm, Feedback
from sluice.adapters.control.store import Control, prepare_control
from sluice.control.command import Author
from sluice.control.route import Route
from sluice.errors import CommandRefused, DataMissing, ExperimentRefused, SplitBroken
from sluice.experiments.record import ExperimentPhase
from sluice.home import Home
from sluice.rollout.assignment import hash_unit, place_of
from support.experiments.traffic import configure
from support.traffic import TrafficWriter
from tasks.experiments.actions import (
    analyse_run,
    decide_run,
    describe_record,
    plan_run,
    prepare_start,
    raise_broken,
)

NOW = datetime(2026, 11, 2, 6, tzinfo=UTC)
ASSUMED = {"mean": 0.3, "units_a_day": 86_400}
QUICK = {"period": "1 h", "window": "60 s", "block": "60 s", "minimum_detectable_effect": 0.9}
AUTHOR = Author("Ada", "a test", "here")


@pytest.fixture
def control(home: Home, monkeypatch: pytest.MonkeyPatch) -> Control:
    home.root.mkdir(parents=True)
    use(monkeypatch)
    found = prepare_control(home)
    found.routes.swap(None, Route("towns", 1, kind="prompt"))
    folder = home.published_prompts("towns")
    folder.mkdir(parents=True)
    (folder / "v2-abc.yaml").write_text("")
    return found


def use(monkeypatch: pytest.MonkeyPatch, **more: object) -> None:
    config = configure(assumed=ASSUMED, **{**QUICK, **more})
    monkeypatch.setattr("tasks.experiments.actions.load_experiment", lambda _: config)


def begin(control: Control) -> str:
    """Start the experiment; return its salt."""
    plan_run(control, "tone", NOW)
    ready = prepare_start(control, "tone", 2)
    lease = control.leases.acquire("towns", "experiment", "a test", 15)
    control.experiments.start(lease, ready, 15.0, NOW)
    return ready.salt


def log(home: Home, epoch: int, salt: str, lost: float = 0.0) -> None:
    """Log users of both arms for ten minutes; those of the treatment are mostly pleased."""
    writer, rng = TrafficWriter(home), np.random.default_rng(1)
    records: list[object] = []
    for number in range(400):
        unit = hash_unit(f"user-{number}")
        arm = AssignedArm.CANDIDATE if place_of(salt, unit) < 0.5 else AssignedArm.CHAMPION
        if arm is AssignedArm.CANDIDATE and rng.random() < lost:
            continue
        facts = {"service": "towns", "epoch": epoch, "unit": unit, "arm": arm}
        answer = writer.make(NOW, 1 + 1.5 * number, **facts)
        share = 0.8 if arm is AssignedArm.CANDIDATE else 0.3
        rating = 1.0 if rng.random() < share else -1.0
        records += [answer, Feedback(answer.request_id, answer.at + 1, rating=rating)]
    writer.write(records)  # type: ignore[arg-type]


def test_a_prompt_is_compared_with_a_published_version_alone(control: Control) -> None:
    plan_run(control, "tone", NOW)
    ready = prepare_start(control, "tone", 2)
    assert (ready.control, ready.treatment, ready.kind) == (1, 2, "prompt")
    assert len(ready.salt) == 16
    for version, said in ((3, "v3 was not published"), (-1, "allowed: `--version N`")):
        with pytest.raises(ExperimentRefused, match=said):
            prepare_start(control, "tone", version)


def test_an_a_a_test_needs_no_other_version(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, mode="aa")
    plan_run(control, "tone", NOW)
    ready = prepare_start(control, "tone", -1)
    assert (ready.control, ready.treatment) == (1, 1)


def test_a_service_without_a_route_has_no_control(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, service="nobody")
    plan_run(control, "tone", NOW)
    with pytest.raises(ExperimentRefused, match="found no version that serves as nobody"):
        prepare_start(control, "tone", 2)


def test_a_run_is_analysed_decided_and_not_decided_otherwise(home: Home, control: Control) -> None:
    salt = begin(control)
    route = control.routes.find("towns")
    assert route is not None
    over = NOW + timedelta(hours=2)
    with pytest.raises(ExperimentRefused, match="step 5"):
        analyse_run(control, "tone", NOW + timedelta(minutes=20))
    with pytest.raises(DataMissing, match="found no request of run 1"):
        analyse_run(control, "tone", over)
    log(home, route.epoch, salt)
    record = analyse_run(control, "tone", over, "Ada")
    assert record.phase is ExperimentPhase.ANALYSED
    assert record.analysis is not None
    assert record.analysis.recommended == "promote"
    assert record.analysis.units_a + record.analysis.units_b == 400
    assert "promote is recommended" in describe_record(record, over)
    with pytest.raises(CommandRefused, match="allowed: promote, iterate, discard"):
        decide_run(control, "tone", "keep", AUTHOR, over)
    decided = decide_run(control, "tone", "promote", AUTHOR, over)
    assert decide_run(control, "tone", "promote", AUTHOR, over) == decided
    with pytest.raises(ExperimentRefused, match="was decided already"):
        decide_run(control, "tone", "discard", AUTHOR, over)
    with pytest.raises(ExperimentRefused, match="was decided; next"):
        analyse_run(control, "tone", over)


def test_lost_units_stop_the_analysis_on_record(home: Home, control: Control) -> None:
    salt = begin(control)
    route = control.routes.find("towns")
    assert route is not None
    log(home, route.epoch, salt, lost=0.8)
    record = analyse_run(control, "tone", NOW + timedelta(hours=2))
    assert record.analysis is not None
    assert record.analysis.metrics == ()
    with pytest.raises(SplitBroken, match="the sample ratio is not the planned one: all units"):
        raise_broken(record)
    with pytest.raises(ExperimentRefused, match="its analysis allows iterate"):
        decide_run(control, "tone", "promote", AUTHOR, NOW)


def test_a_sequential_run_may_be_looked_at_while_it_runs(
    home: Home, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, looks="sequential")
    salt = begin(control)
    route = control.routes.find("towns")
    assert route is not None
    log(home, route.epoch, salt)
    record = analyse_run(control, "tone", NOW + timedelta(minutes=14))
    assert record.phase is ExperimentPhase.RUNNING
    assert record.analysis is not None
    assert record.analysis.recommended == "promote", record.analysis.reason
    decided = decide_run(control, "tone", "promote", AUTHOR, NOW)
    assert decided.phase is ExperimentPhase.DECIDED
    after = control.routes.find("towns")
    assert after is not None
    assert after.candidate is None
