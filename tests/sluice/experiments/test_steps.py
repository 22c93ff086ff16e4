"""A step that is skipped is refused by its name; decisions need what carries them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sluice.errors import ExperimentRefused
from sluice.experiments.analysis import Choice, ExperimentAnalysis
from sluice.experiments.plan import plan_experiment
from sluice.experiments.record import ExperimentDecision, ExperimentPhase, ExperimentRecord
from sluice.experiments.steps import (
    require_choice,
    require_duration,
    require_plan,
    require_started,
)
from support.experiments.traffic import configure

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
CONFIG = configure(assumed={"mean": 0.2, "units_a_day": 1000})
PLAN = plan_experiment(CONFIG, None, (0.0, 0.0))
PLANNED = ExperimentRecord("tone", 1, "towns", ExperimentPhase.PLANNED, CONFIG, PLAN, planned=NOW)
RUNNING = replace(PLANNED, phase=ExperimentPhase.RUNNING, control=1, treatment=2, started=NOW)


def found(recommended: Choice) -> ExperimentAnalysis:
    return ExperimentAnalysis(
        1.0, "fixed", 5, 5, 9, 0, 0, 0, 0, (), recommended=recommended, reason="because"
    )


def test_a_start_without_a_plan_names_the_sample_size() -> None:
    with pytest.raises(
        ExperimentRefused, match=r"step 3, sample size.*sluice experiment plan tone"
    ):
        require_plan(None, CONFIG)


def test_a_plan_of_another_file_does_not_count() -> None:
    assert require_plan(PLANNED, CONFIG) == PLANNED
    changed = configure(assumed={"mean": 0.2, "units_a_day": 1000}, split=0.3)
    with pytest.raises(ExperimentRefused, match="its file was changed since it was planned"):
        require_plan(PLANNED, changed)


def test_a_run_starts_once() -> None:
    with pytest.raises(ExperimentRefused, match="run 1 is running already"):
        require_plan(RUNNING, CONFIG)


def test_an_analysis_before_the_start_names_the_traffic() -> None:
    with pytest.raises(ExperimentRefused, match="step 4, randomised traffic"):
        require_started(PLANNED, "tone")
    with pytest.raises(ExperimentRefused, match="step 3, sample size"):
        require_started(None, "tone")


def test_an_analysis_before_its_time_names_the_duration() -> None:
    with pytest.raises(ExperimentRefused, match="step 5, the calculated duration"):
        require_duration(RUNNING, NOW + timedelta(days=7))
    require_duration(RUNNING, NOW + timedelta(days=8, seconds=1))
    sequential = replace(RUNNING, config=configure(looks="sequential"))
    require_duration(sequential, NOW + timedelta(days=1))


def test_promote_needs_an_analysis_that_recommends_it() -> None:
    with pytest.raises(ExperimentRefused, match="step 6, analysis"):
        require_choice(RUNNING, "promote")
    with pytest.raises(ExperimentRefused, match="its analysis allows iterate: because"):
        require_choice(replace(RUNNING, analysis=found("iterate")), "promote")
    require_choice(replace(RUNNING, analysis=found("promote")), "promote")


def test_what_ended_before_its_time_is_not_promoted() -> None:
    stopped = replace(RUNNING, end_reason="a guardrail is broken", analysis=found("promote"))
    with pytest.raises(ExperimentRefused, match="its traffic ended before its time: a guardrail"):
        require_choice(stopped, "promote")
    require_choice(replace(stopped, config=configure(looks="sequential")), "promote")


@pytest.mark.parametrize("choice", ["iterate", "discard"])
def test_the_other_choices_end_it_at_any_time_and_once(choice: Choice) -> None:
    require_choice(RUNNING, choice)
    decided = replace(RUNNING, decision=ExperimentDecision("discard", "Ada", "so", NOW))
    with pytest.raises(ExperimentRefused, match="was decided already: discard by Ada"):
        require_choice(decided, choice)


def test_an_a_a_test_is_never_promoted() -> None:
    same = replace(RUNNING, config=configure(mode="aa"), analysis=found("promote"))
    with pytest.raises(ExperimentRefused, match="whose arms are one version"):
        require_choice(same, "promote")


def test_what_ended_early_counts_until_then_and_what_did_not_until_its_duration() -> None:
    late = NOW + timedelta(days=30)
    assert RUNNING.as_of(NOW + timedelta(days=1)) == (NOW + timedelta(days=1)).timestamp()
    assert RUNNING.as_of(late) == (NOW + timedelta(days=8)).timestamp()
    stopped = replace(RUNNING, ended=NOW + timedelta(days=2), end_reason="a guardrail")
    assert stopped.as_of(late) == (NOW + timedelta(days=2)).timestamp()
