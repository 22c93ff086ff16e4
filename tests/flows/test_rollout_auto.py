"""A change of data that ends in a rollout: each step starts the next by its event."""

from collections.abc import Iterator

import pytest

from live_support import POLICY, route_config
from replica_support import TrafficReplica
from sluice.adapters.control.store import open_control
from sluice.adapters.registry.client import open_registry
from sluice.home import Home
from sluice.rollout.log import derive
from stack_support import await_answer, deploy, find_deployments, find_runs, remove_all, run_worker
from support import ingest_year, write_rollout

pytestmark = pytest.mark.slow

SERVICE = "employment"
SECONDS = 400.0


@pytest.fixture(scope="module")
def replica(stocked: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrafficReplica]:
    """A replica beside the shipped deployments, and a worker to which the service starts itself."""
    root = tmp_path_factory.mktemp("auto")
    policy = root / "quick.yaml"
    policy.write_text(POLICY.lstrip(), encoding="utf-8")
    terms = {"policy": str(policy), "start": "auto", "route": route_config().model_dump()}
    write_rollout(root / "configs", SERVICE, **terms)
    with TrafficReplica(open_control(stocked), SERVICE) as replica:
        variables = {
            "SLUICE_HOME": str(stocked.root),
            "SLUICE_CONFIGS": str(root / "configs"),
            "SLUICE_GATEWAY_URLS": replica.address,
        }
        try:
            deploy()
            with run_worker(root / "worker.log", **variables):
                yield replica
        finally:
            remove_all()


def test_new_data_is_released_and_its_candidate_rolled_out_by_events_alone(
    stocked: Home, replica: TrafficReplica
) -> None:
    control = open_control(stocked)
    assert ingest_year(2017).is_completed()
    done = await_answer(
        lambda: [item for item in control.rollouts.list_rollouts(SERVICE) if item.settled], SECONDS
    )
    [course] = done
    assert (course.champion, course.candidate, course.state.phase.value) == (1, 2, "done")
    champion = open_registry(stocked).find_alias(SERVICE, "champion")
    assert champion is not None
    assert champion.version == 2
    records = [record for _, record in control.rollouts.read_log(SERVICE, course.number)]
    assert len(list(derive(records, course.policy))) == len(records) - 1
    runs = find_runs(find_deployments()["rollout/rollout"])
    assert {run.parameters["version"] for run in runs} == {2}
    assert set(replica.weights) <= {0.0, 0.25, 0.5}
