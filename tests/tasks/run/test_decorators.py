"""Infrastructure errors are retried, verdicts and refusals never."""

import pytest
from prefect import flow
from prefect.client.schemas.objects import State

from sluice.errors import BiasFound, DataInvalid, Fault, RegistryUnavailable
from tasks.run.decorators import RETRIES, effect, gate

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]


def run_failing(kind: object, errors: list[Exception]) -> tuple[State[object], int]:
    """Run a task that raises the given errors in turn; return the flow's end and the calls made."""
    calls = 0

    def step() -> str:
        nonlocal calls
        calls += 1
        if errors:
            raise errors.pop(0)
        return "done"

    decorated = kind(step)  # type: ignore[operator]

    @flow(persist_result=False, result_serializer="json")
    def once() -> str:
        return str(decorated())

    return once(return_state=True), calls


def test_effect_survives_faults(caplog: pytest.LogCaptureFixture) -> None:
    state, calls = run_failing(effect, [RegistryUnavailable("locked"), Fault("busy")])
    assert state.is_completed()
    assert calls == 3
    assert "step: attempt 3 of 7 succeeded; the retry saved this run" in caplog.text


@pytest.mark.parametrize("error", [DataInvalid("wrong"), BiasFound("found"), ValueError("bug")])
def test_effect_does_not_retry_what_would_end_the_same(error: Exception) -> None:
    state, calls = run_failing(effect, [error])
    assert state.is_failed()
    assert calls == 1


@pytest.mark.parametrize("error", [BiasFound("found"), Fault("busy")])
def test_gate_runs_once_whatever_happens(error: Exception) -> None:
    state, calls = run_failing(gate, [error])
    assert state.is_failed()
    assert calls == 1


def test_waits_add_up_to_about_a_minute() -> None:
    task = effect(lambda: None)
    delays = task.retry_delay_seconds
    assert isinstance(delays, list)
    assert len(delays) == RETRIES
    assert 55 <= sum(delays) <= 75
