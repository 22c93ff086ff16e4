"""`sluice reproduce` prints how the run ended, and exits with the code of what was found."""

from contextlib import nullcontext
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from cli.records import reproduce as command
from tasks.reproduction.steps import ReproductionResult

RESULT = ReproductionResult("employment", 1, "identical", "identical: 9 held-out rows")
DIFFERS = "ReproductionDiffers: employment v1: the first that differs is seed; next: look at it"
DIRTY = "TreeWasDirty: employment v1: uncommitted changes; next: commit them, then: sluice release"
AWAY = "DataUnavailable: the table is not there; next: mount it"


@pytest.mark.parametrize(
    ("state", "code", "shown"),
    [
        (Completed(data=RESULT), 0, "employment v1: identical: 9 held-out rows\n"),
        (Failed(message=DIFFERS), 1, "next: look at it\n"),
        (Failed(message=DIRTY), 2, "TreeWasDirty: employment v1: uncommitted changes\n"),
        (Failed(message=AWAY), 3, "next: mount it\n"),
    ],
    ids=["identical", "differs", "dirty tree", "table away"],
)
def test_the_end_of_the_run_is_printed_and_is_the_exit_code(
    state: State[Any],
    code: int,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[tuple[Any, ...]] = []

    def flow(*given: Any, return_state: bool) -> State[Any]:
        asked.append((*given, return_state))
        return state

    monkeypatch.setattr(command, "open_terminal", nullcontext)
    monkeypatch.setattr("flows.reproduction.reproduce.reproduce", flow)
    with pytest.raises(SystemExit) as ended:
        command.reproduce("employment", 1, 5)
    assert ended.value.code == code
    assert asked == [("employment", 1, 5, True)]
    assert shown in capsys.readouterr().out
