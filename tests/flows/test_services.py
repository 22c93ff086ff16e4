"""The committed services on real rows: released twice, and halted by what went wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from service_support import write_examples
from sluice.adapters.registry.client import open_registry
from sluice.adapters.tables.delta import list_versions
from sluice.config.loading import load_service
from sluice.home import Home
from support import gate_runs_of, run_sluice

pytestmark = pytest.mark.slow

SERVICES = ("arrivals", "earnings")
INIT = {
    "arrivals": ("--target", "arrival", "--sensitive", "none", "--reason", "Flights."),
    "earnings": ("--target", "earned_1978", "--sensitive", "ethnicity"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Each service's first file and the later one."""
    folder = tmp_path_factory.mktemp("files")
    return {service: write_examples(service, folder) for service in SERVICES}


@pytest.fixture(scope="module")
def home(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A state folder that the tests of this file share."""
    with pytest.MonkeyPatch.context() as patch:
        root: Path = tmp_path_factory.mktemp("services")
        patch.setenv("SLUICE_HOME", str(root))
        yield Home(root)


def bring(service: str, file: Path) -> Any:
    from flows.ingest import ingest

    return ingest(service, str(file), return_state=True)


def release(service: str) -> Any:
    from flows.release import release as run

    return run(service, return_state=True)


@pytest.mark.parametrize("service", SERVICES)
def test_init_guesses_what_the_committed_file_kept(
    files: dict[str, tuple[Path, Path]], tmp_path: Path, service: str
) -> None:
    for name in ("configs", "gx"):
        (tmp_path / name).mkdir()
    ended = run_sluice(
        *("init", str(files[service][0]), *INIT[service]),
        home=tmp_path,
        SLUICE_CONFIGS=str(tmp_path / "configs"),
        SLUICE_SUITES=str(tmp_path / "gx"),
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    guessed = load_service(service, "development", tmp_path / "configs")
    kept = load_service(service, "development")
    assert guessed.problem == kept.problem
    assert guessed.data.columns == kept.data.columns
    assert guessed.data.features == kept.data.features
    assert (guessed.data.id, guessed.data.time) == (kept.data.id, kept.data.time)
    assert guessed.split.by == kept.split.by
    assert guessed.bias.sensitive == kept.bias.sensitive


@pytest.mark.parametrize("service", SERVICES)
def test_a_second_release_meets_its_own_champion(
    home: Home, files: dict[str, tuple[Path, Path]], service: str
) -> None:
    for file, alias in zip(files[service], ("champion", "candidate"), strict=True):
        taken = bring(service, file)
        assert taken.is_completed(), taken.message
        state = release(service)
        assert state.is_completed(), state.message
        found = open_registry(home).find_alias(service, alias)
        assert found is not None
        assert found.tags["sluice.serving.form"] == "onnx"
        assert {found.tags[f"sluice.verdict.{gate}"] for gate in gate_runs_of(state)} == {"pass"}
    assert [item.version for item in list_versions(home.table(service), service)] == [0, 1]


def record_in_thousands(rows: pd.DataFrame) -> pd.DataFrame:
    """A later extract gives the target in thousands of dollars; each value is in its range."""
    return rows.assign(earned_1978=(rows["earned_1978"] / 1000).round(2))


def lose_early_class(rows: pd.DataFrame) -> pd.DataFrame:
    """A later feed knows late and not late only."""
    return rows.assign(arrival=rows["arrival"].replace("early", "on time"))


@pytest.mark.parametrize(
    ("service", "spoil", "column"),
    [("earnings", record_in_thousands, "earned_1978"), ("arrivals", lose_early_class, "arrival")],
)
def test_a_target_that_changed_its_meaning_never_gets_in(
    home: Home,
    files: dict[str, tuple[Path, Path]],
    tmp_path: Path,
    service: str,
    spoil: Callable[[pd.DataFrame], pd.DataFrame],
    column: str,
) -> None:
    first, later = files[service]
    bring(service, first)
    rows = spoil(pd.read_csv(later))
    key = load_service(service, "development").data.id
    rows[key] = rows[key] + "-again"
    rows.to_csv(tmp_path / "later.csv", index=False)
    before = list_versions(home.table(service), service)
    state = bring(service, tmp_path / "later.csv")
    assert state.message.startswith("DataRejected: ")
    assert f"distribution of {column}" in state.message
    assert list_versions(home.table(service), service) == before


def forget_earlier_years(rows: pd.DataFrame) -> pd.DataFrame:
    """What Hispanic workers earned before was never recorded."""
    gone = rows["ethnicity"] == "hispanic"
    return rows.assign(**{name: rows[name].mask(gone, 0.0) for name in FORMER})


FORMER = ("earned_1974", "earned_1975")


def misread_early_class(rows: pd.DataFrame) -> pd.DataFrame:
    """Until the end of February nobody told early from on time."""
    old = (rows["day"] < "2013-02-28") & (rows["arrival"] == "early")
    return rows.assign(arrival=rows["arrival"].mask(old, "on time"))


@pytest.mark.parametrize(
    ("service", "spoil", "gate", "finding"),
    [
        ("earnings", forget_earlier_years, "bias", "BiasFound: error ratio of ethnicity=hispanic"),
        ("arrivals", misread_early_class, "evaluation", "CandidateWorse: "),
    ],
)
def test_a_fault_in_the_first_file_is_found_by_the_right_gate(
    api: str,
    files: dict[str, tuple[Path, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    spoil: Callable[[pd.DataFrame], pd.DataFrame],
    gate: str,
    finding: str,
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    spoil(pd.read_csv(files[service][0])).to_csv(tmp_path / f"{service}.csv", index=False)
    assert bring(service, tmp_path / f"{service}.csv").is_completed()
    state = release(service)
    assert state.message.startswith(finding)
    assert list(gate_runs_of(state))[-1] == gate
    assert open_registry(Home(tmp_path / "home")).find_alias(service, "champion") is None
