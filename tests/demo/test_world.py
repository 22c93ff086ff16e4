"""A demonstration meets nothing of others, and says whether its fault was caught."""

import os
from pathlib import Path

import pytest

from cli.runs import RunResult
from demo.__main__ import CATCHERS, GATED, LIVE, conclude
from demo.faults import FAULTS
from demo.live import FAULTS as LIVE_FAULTS
from demo.world import STORES, enter_world
from sluice import errors
from sluice.errors import ServiceBusy
from sluice.home import Home, find_home

NAMED = (
    *STORES,
    "PREFECT_API_URL",
    "PREFECT_API_KEY",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_API_DATABASE_CONNECTION_URL",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
)


@pytest.mark.parametrize("name", NAMED)
def test_what_the_environment_names_is_not_met(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://production:4200/api")
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    with enter_world(find_home(), "bias") as home:
        assert name not in os.environ
        assert find_home() == home == Home(tmp_path / "demo" / "bias")
        assert home.control_url.startswith(f"sqlite:///{home.root}")
        assert home.tracking_uri.startswith(f"sqlite:///{home.root}")
    assert os.environ[name] == "http://production:4200/api"
    assert find_home() == Home(tmp_path)


def test_a_fault_begins_anew_and_the_clean_run_goes_on(tmp_path: Path) -> None:
    for fault, kept in (("bias", False), ("", True)):
        with enter_world(Home(tmp_path), fault) as home:
            (home.root / "file").touch()
        with enter_world(Home(tmp_path), fault) as home:
            assert (home.root / "file").exists() == kept


def test_a_second_demonstration_of_one_fault_is_refused(tmp_path: Path) -> None:
    with enter_world(Home(tmp_path), "bias"), pytest.raises(ServiceBusy, match="the demo bias in"):  # noqa: SIM117
        with enter_world(Home(tmp_path), "bias"):
            pass


def test_every_fault_has_the_finding_that_has_to_stop_it() -> None:
    assert set(CATCHERS) == {*GATED, *LIVE} == {*FAULTS, *LIVE_FAULTS}
    assert all(issubclass(getattr(errors, name), errors.GateFailed) for name in CATCHERS.values())


@pytest.mark.parametrize("fault", sorted(CATCHERS))
def test_a_caught_fault_is_success_with_its_figures(
    fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = "difference -.250 [-.298, -.201], limit -.100, n 1,393"
    assert conclude(fault, RunResult(1, CATCHERS[fault], finding)) == 0
    said = capsys.readouterr().out
    assert f"caught, as intended: {CATCHERS[fault]}: {finding}" in said
    assert "ended with code 1" in said


@pytest.mark.parametrize(
    ("result", "code", "said"),
    [
        (RunResult(0), 1, "NOT caught: the fault `bias` had to end as BiasFound; nothing"),
        (RunResult(1), 1, "NOT caught"),
        (RunResult(1, "CandidateWorse", "auc"), 1, "BiasFound; CandidateWorse: auc"),
        (RunResult(3, "RegistryUnavailable", "away"), 3, ""),
    ],
)
def test_a_fault_that_was_let_through_is_failure(
    result: RunResult, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert conclude("bias", result) == code
    assert said in capsys.readouterr().out


def test_the_clean_demonstration_ends_as_its_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert [conclude("", RunResult(code)) for code in (0, 1, 3)] == [0, 1, 3]
    assert capsys.readouterr().out == ""
