"""A failed run says the fact first, and leaves no exception object behind."""

import pytest
from prefect import flow

from sluice.errors import BiasFound, DataInvalid, Fault, RegistryUnavailable, SluiceError
from support.releases.runs import logs_of
from tasks.run.decorators import gate
from tasks.run.state import read_failure, state_failure

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]


@flow(persist_result=False, result_serializer="json")
@state_failure
def halted() -> str:
    raise BiasFound("sex female: selection ratio 0.42; next: look")


def test_failure_keeps_default_name_and_starts_with_the_finding() -> None:
    state = halted(return_state=True)
    assert state.name == "Failed"
    assert state.message == "BiasFound: sex female: selection ratio 0.42; next: look"
    assert state.data.result is None


def test_failure_is_read_back() -> None:
    state = halted(return_state=True)
    assert read_failure(state) == ("BiasFound", "sex female: selection ratio 0.42; next: look")


def run_failing(error: Exception) -> list[str]:
    """Run a flow whose task raises the error; return the server's log of the run."""

    @gate
    def judge() -> None:
        raise error

    @flow(persist_result=False, result_serializer="json")
    @state_failure
    def once() -> None:
        judge()

    return logs_of(once(return_state=True))


@pytest.mark.parametrize("error", [BiasFound("women -.250"), DataInvalid("no such column")])
def test_expected_failure_has_its_reason_in_the_log_and_no_traceback(error: SluiceError) -> None:
    lines = run_failing(error)
    assert f"{type(error).__name__}: {error}" in lines
    assert [line for line in lines if "Traceback" in line] == []


@pytest.mark.parametrize(
    "error", [RegistryUnavailable("no answer"), Fault("busy"), ZeroDivisionError("a bug")]
)
def test_infrastructure_errors_and_bugs_keep_their_traceback(error: Exception) -> None:
    run_failing(BiasFound("before it, in the same process"))
    assert [line for line in run_failing(error) if "Traceback" in line and str(error) in line]
