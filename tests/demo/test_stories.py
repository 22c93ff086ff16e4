"""Each planted fault is stopped by its own gate, in the flow that users run."""

from typing import Any

import pytest

from demo.faults import FAULTS
from sluice.home import Home
from support.releases.runs import artifacts_of, gate_runs_of, latest_run
from support.servers.images import add_registry_database

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.usefixtures("api")]

EXPECTED = {
    "data": ("DataRejected", "data", "relationship"),
    "leakage": ("DataRejected", "data", "leakage of ancestry"),
    "bias": ("BiasFound", "bias", "sex"),
    "worse": ("CandidateWorse", "evaluation", "auc"),
}


def test_every_fault_has_an_expected_result() -> None:
    assert set(EXPECTED) == set(FAULTS)


@pytest.fixture(scope="module", params=sorted(EXPECTED))
def story(
    request: pytest.FixtureRequest, api: str, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """Run the demonstration with one fault; return its name, result, run and state folder."""
    from demo.scenario import play_releases
    from sluice.config.overrides import Overrides

    with pytest.MonkeyPatch.context() as patch:
        home = add_registry_database(Home(tmp_path_factory.mktemp("story")))
        patch.setenv("SLUICE_HOME", str(home.root))
        result = play_releases(request.param, Overrides())
        yield request.param, result, latest_run("release"), home


def test_gate_halts_the_release(story: Any) -> None:
    fault, result, run, _ = story
    error, _, finding = EXPECTED[fault]
    assert (result.code, result.error) == (1, error)
    assert run.state.name == "Failed"
    assert run.state.message.startswith(f"{error}: ")
    assert finding in run.state.message
    assert "; next: " in run.state.message


def test_gate_ran_once_and_was_the_last(story: Any) -> None:
    fault, _, run, _ = story
    gates = gate_runs_of(run.state)
    assert gates[EXPECTED[fault][1]].run_count == 1
    assert gates[EXPECTED[fault][1]].state.is_failed()
    assert [name for name, gate in gates.items() if gate.state.is_failed()] == [EXPECTED[fault][1]]


def test_verdict_was_published_before_it_was_raised(story: Any) -> None:
    fault, _, run, _ = story
    _, gate, check = EXPECTED[fault]
    page = artifacts_of(run.state)[f"employment-verdict-{gate}"].data
    assert page.startswith(f"# {gate} gate: fail")
    table = page.partition("**fail**")[2].strip().partition("\n\n")[0]
    rows = [row.strip("| ").split(" | ") for row in table.splitlines()[2:]]
    assert any(check in row[0].replace("<br>", " ") for row in rows)
    for row in rows:
        assert "<br>n " in row[1]
        assert row[2].strip()  # the limit


def test_nothing_was_registered_as_candidate(story: Any) -> None:
    from sluice.adapters.registry.client import open_registry

    assert open_registry(story[3]).find_alias("employment", "candidate") is None
