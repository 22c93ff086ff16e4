"""A failed run says the fact first, and leaves no exception object behind."""

import pytest
from prefect import flow

from sluice.errors import BiasFound
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
