"""Each planted fault is stopped by its own gate, in the flow that users run."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from demo.faults import FAULTS
from sluice.home import Home
from support.releases.runs import artifacts_of, gate_runs_of, latest_run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]

ENDINGS = {
    "data": ("DataRejected", "data", "relationship"),
    "leakage": ("DataRejected", "data", "leakage of ancestry"),
    "bias": ("BiasFound", "bias", "sex"),
    "worse": ("CandidateWorse", "evaluation", "auc"),
}


def test_every_fault_has_its_ending() -> None:
    assert set(ENDINGS) == set(FAULTS)


@pytest.fixture(scope="module", params=sorted(ENDINGS))
def story(
    request: pytest.FixtureRequest, api: str, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """Play one fault; give its name, how it ended and the halted run's state."""
    from demo.scenario import play
    from sluice.config.overrides import Overrides

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_HOME", str(tmp_path_factory.mktemp("story")))
        ending = play(request.param, Overrides())
        home = Home(Path(os.environ["SLUICE_HOME"]))
        yield request.param, ending, latest_run("release"), home


def test_gate_halts_the_release(story: Any) -> None:
    fault, ending, run, _ = story
    error, _, finding = ENDINGS[fault]
    assert (ending.code, ending.error) == (1, error)
    assert run.state.name == "Failed"
    assert run.state.message.startswith(f"{error}: ")
    assert finding in run.state.message
    assert "; next: " in run.state.message


def test_gate_ran_once_and_was_the_last(story: Any) -> None:
    fault, _, run, _ = story
    gates = gate_runs_of(run.state)
    assert gates[ENDINGS[fault][1]].run_count == 1
    assert gates[ENDINGS[fault][1]].state.is_failed()
    assert [name for name, gate in gates.items() if gate.state.is_failed()] == [ENDINGS[fault][1]]


def test_verdict_was_published_before_it_was_raised(story: Any) -> None:
    fault, _, run, _ = story
    table = json.loads(artifacts_of(run.state)[f"employment-verdict-{ENDINGS[fault][1]}"].data)
    assert table[0]["outcome"] == "fail"
    assert table[0]["limit"]
    assert table[0]["n"]


def test_nothing_was_registered_as_candidate(story: Any) -> None:
    from sluice.adapters.registry.client import open_registry

    assert open_registry(story[3]).find_alias("employment", "candidate") is None
