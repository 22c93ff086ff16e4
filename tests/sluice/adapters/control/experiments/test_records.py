"""Experiments on a real database: one at a time, beside no rollout, each step written once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from sluice.adapters.control.database import Database
from sluice.adapters.control.rollouts import CONTROLLER, Opening
from sluice.adapters.control.store import Control, prepare_control
from sluice.config.rollout import RouteConfig
from sluice.control.lease import Lease
from sluice.control.route import Mode, Route
from sluice.control.timeline import RESTORE, TimelineEntry
from sluice.errors import ExperimentRefused, LeaseLost, RolloutRefused, RouteMoved
from sluice.experiments.analysis import ExperimentAnalysis
from sluice.experiments.plan import plan_experiment
from sluice.experiments.record import ExperimentDecision, ExperimentPhase, ExperimentRecord
from sluice.home import Home
from support.experiments.traffic import configure
from support.rollouts.counts import LAPTOP

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
CONFIG = configure(assumed={"mean": 0.2, "units_a_day": 1000})
PLAN = plan_experiment(CONFIG, None, (0.0, 0.0))
FOUND = ExperimentAnalysis(NOW.timestamp(), "fixed", 5, 5, 9, 0, 0, 0, 0, (), reason="so")


@pytest.fixture
def control(tmp_path_factory: pytest.TempPathFactory) -> Control:
    found = prepare_control(Home(tmp_path_factory.mktemp("experiments")))
    found.routes.swap(None, Route("towns", 3))
    return found


@pytest.fixture
def lease(control: Control) -> Lease:
    return control.leases.acquire("towns", "experiment", "first", 15)


def plan(control: Control) -> ExperimentRecord:
    record = control.experiments.plan(CONFIG, PLAN, NOW, "Ada")
    return replace(record, control=3, treatment=4, salt="own")


def test_a_plan_is_kept_whole_and_the_next_one_replaces_it(control: Control) -> None:
    first = control.experiments.plan(CONFIG, PLAN, NOW)
    assert control.experiments.find("tone") == first
    again = control.experiments.plan(CONFIG, PLAN, NOW + timedelta(hours=1))
    assert (first.number, again.number) == (1, 1)
    assert [item.phase for item in control.experiments.read_log("tone", 1)] == ["planned"] * 2


def test_a_start_moves_the_route_and_its_weight_stays(control: Control, lease: Lease) -> None:
    started = control.experiments.start(lease, plan(control), 15.0, NOW, "Ada")
    route = control.routes.find("towns")
    assert route is not None
    assert (route.champion, route.candidate, route.weight, route.mode) == (3, 4, 0.5, Mode.CANARY)
    assert (route.salt, route.experiment, route.epoch) == ("own", "tone-1", started.epoch)
    control.experiments.renew(lease, started)
    renewed = control.routes.find("towns")
    assert renewed is not None
    assert (renewed.renewal, renewed.epoch) == (1, started.epoch)
    assert control.experiments.find_running("towns") == started
    assert control.experiments.list_running() == [started]


def test_an_experiment_excludes_a_rollout_and_every_move(control: Control, lease: Lease) -> None:
    control.experiments.start(lease, plan(control), 15.0, NOW)
    held = control.leases.acquire("towns", CONTROLLER, "other", 15)
    opening = Opening("towns", 3, 4, LAPTOP, RouteConfig(), "salt")
    with pytest.raises(RolloutRefused, match="found the experiment tone-1 running"):
        control.rollouts.open(held, opening, NOW)
    route = control.routes.find("towns")
    assert route is not None
    entry = TimelineEntry("towns", NOW, RESTORE, 2, "Ada", "so", previous=3)
    with pytest.raises(RolloutRefused, match="sluice experiment decide tone discard"):
        control.moves.make(entry, route)
    assert control.routes.follow_champion("towns", 9).champion == 3


def test_a_rollout_excludes_an_experiment(control: Control, lease: Lease) -> None:
    held = control.leases.acquire("towns", CONTROLLER, "other", 15)
    control.rollouts.open(held, Opening("towns", 3, 4, LAPTOP, RouteConfig(), "salt"), NOW)
    with pytest.raises(ExperimentRefused, match="found a rollout of v4 under way"):
        control.experiments.start(lease, plan(control), 15.0, NOW)
    assert control.experiments.find_running("towns") is None


def test_two_experiments_of_a_service_exclude_each_other(control: Control, lease: Lease) -> None:
    control.experiments.start(lease, plan(control), 15.0, NOW)
    other = control.experiments.plan(CONFIG.model_copy(update={"experiment": "second"}), PLAN, NOW)
    with pytest.raises(ExperimentRefused, match="found the experiment tone-1 running"):
        control.experiments.start(lease, replace(other, control=3, treatment=4), 15.0, NOW)


def test_another_champion_than_was_prepared_starts_nothing(control: Control, lease: Lease) -> None:
    prepared = plan(control)
    control.routes.follow_champion("towns", 5)
    with pytest.raises(ExperimentRefused, match=r"found v5 on the route; allowed: v3 alone"):
        control.experiments.start(lease, prepared, 15.0, NOW)


def test_without_the_lease_nothing_starts_or_is_renewed(control: Control, lease: Lease) -> None:
    started = control.experiments.start(lease, plan(control), 15.0, NOW)
    control.leases.release(lease)
    with pytest.raises(LeaseLost):
        control.experiments.renew(lease, started)


def test_the_end_gives_the_control_all_traffic_once(control: Control, lease: Lease) -> None:
    started = control.experiments.start(lease, plan(control), 15.0, NOW)
    ended = control.experiments.end(started, "", NOW + timedelta(days=8))
    assert (ended.phase, ended.end_reason) == (ExperimentPhase.ENDED, "")
    route = control.routes.find("towns")
    assert route is not None
    assert (route.champion, route.candidate, route.experiment) == (3, None, "")
    assert control.experiments.end(started, "again", NOW) == ended
    with pytest.raises(RouteMoved):
        control.experiments.renew(lease, started)


def test_analysis_and_decision_are_kept_with_who_and_why(control: Control, lease: Lease) -> None:
    started = control.experiments.start(lease, plan(control), 15.0, NOW)
    looked = control.experiments.analyse(started, FOUND, NOW)
    assert looked.phase is ExperimentPhase.RUNNING
    decision = ExperimentDecision("discard", "Ada", "no use", NOW, "a terminal")
    decided = control.experiments.decide(looked, decision, NOW)
    assert decided.phase is ExperimentPhase.DECIDED
    assert control.experiments.find("tone") == decided
    assert decided.end_reason == "decided: discard"
    route = control.routes.find("towns")
    assert route is not None
    assert route.candidate is None
    log = control.experiments.read_log("tone", 1)
    assert [item.phase.value for item in log] == [
        "planned", "running", "running", "ended", "decided"
    ]  # fmt: skip
    assert (log[-1].by, log[-1].reason) == ("Ada", "no use")
    assert control.experiments.plan(CONFIG, PLAN, NOW).number == 2


def test_what_another_process_changed_is_not_overwritten(control: Control, lease: Lease) -> None:
    started = control.experiments.start(lease, plan(control), 15.0, NOW)
    control.experiments.analyse(started, FOUND, NOW)
    with pytest.raises(ExperimentRefused, match="was changed since it was read"):
        control.experiments.analyse(started, FOUND, NOW)


def test_a_run_without_a_decision_blocks_the_next_plan(control: Control, lease: Lease) -> None:
    control.experiments.start(lease, plan(control), 15.0, NOW)
    with pytest.raises(ExperimentRefused, match=r"run 1 is running; allowed: a plan after its"):
        control.experiments.plan(CONFIG, PLAN, NOW)


def test_an_a_a_test_has_one_version_in_both_arms(control: Control, lease: Lease) -> None:
    same = replace(plan(control), treatment=3)
    control.experiments.start(lease, same, 15.0, NOW)
    route = control.routes.find("towns")
    assert route is not None
    assert route.candidate == route.champion == 3
    with pytest.raises(ValueError, match="a version other than the champion"):
        replace(route, experiment="")


@pytest.mark.parametrize("statement", ["DELETE FROM", "UPDATE"])
def test_the_log_is_only_appended(control: Control, statement: str) -> None:
    plan(control)
    database: Database = control.experiments._database
    change = (
        "DELETE FROM experiment_log"
        if "DELETE" in statement
        else ("UPDATE experiment_log SET reason = 'other'")
    )
    with pytest.raises(DatabaseError), database.engine.begin() as connection:
        connection.execute(text(change))
