"""The parts of a task run where `SLUICE_SCALE` says."""

import os
from typing import Any

import pytest
from prefect import flow

from sluice.errors import ConfigInvalid, DataInvalid
from tasks.run.decorators import effect
from tasks.run.mapping import map_parts, read_scale


@effect
def square(number: int) -> tuple[int, int]:
    """Return the square of a number, and the process that computed it."""
    if number < 0:
        raise DataInvalid(f"found {number}, allowed: 0 and more")
    return number**2, os.getpid()


@flow(persist_result=False, result_serializer="json")
def square_all(numbers: list[int]) -> list[Any]:
    """Square each number."""
    return map_parts(square, numbers)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "this process"), ("1", "this process"), (" 4 ", "4 processes"),
     ("tcp://dask:8786", "the Dask cluster at tcp://dask:8786")],
)  # fmt: skip
def test_scale_is_a_number_of_processes_or_an_address(
    monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    monkeypatch.setenv("SLUICE_SCALE", text)
    assert read_scale().describe() == words


@pytest.mark.parametrize("text", ["0", "-2", "many", "1.5", "100000"])
def test_another_scale_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SLUICE_SCALE", text)
    with pytest.raises(ConfigInvalid, match=f"SLUICE_SCALE: found '{text}'; allowed: nothing"):
        read_scale()


@pytest.mark.slow
def test_parts_run_here_in_order(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLUICE_SCALE", raising=False)
    assert square_all([3, 1, 2]) == [(9, os.getpid()), (1, os.getpid()), (4, os.getpid())]
    with pytest.raises(DataInvalid, match="found -1"):
        square_all([1, -1])


@pytest.mark.slow
def test_parts_run_in_several_processes_with_the_same_result(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_SCALE", "2")
    found = square_all([5, 3, 1, 2, 4, 6])
    assert [number for number, _ in found] == [25, 9, 1, 4, 16, 36]
    processes = {process for _, process in found}
    assert len(processes) == 2
    assert os.getpid() not in processes
