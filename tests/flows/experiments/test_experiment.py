"""An experiment from its plan to a rollout: real server, gateway, log-writer, store, registry."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice.adapters.control.rollouts import CONTROLLER, Opening
from sluice.adapters.registry.client import open_registry
from sluice.config.experiments.experiment import ExperimentConfig
from sluice.config.experiments.loading import list_experiments
from sluice.config.rollout import RouteConfig
from sluice.control.route import Mode
from sluice.errors import ExperimentRefused, RolloutRefused
from sluice.experiments.record import ExperimentPhase
from support.experiments.traffic import configure
from support.gateway.callers import RECORD
from support.gateway.models import write_towns
from support.gateway.site import Running, Site, read_answers, run_gateway, wait_until
from support.rollouts.counts import LAPTOP
from support.rollouts.live import register_versions
from support.servers.images import add_registry_database
from support.servers.stack import ask

pytestmark = pytest.mark.slow

SERVICE = "towns"
USERS = 240
QUICK = {"window": "1 s", "period": "1 s", "block": "1 s", "check": "1 s", "history": "60 s"}
FAILURES = {"name": "failures", "source": "failed", "shape": "ratio", "better": "lower"}


@pytest.fixture(scope="module")
def site(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        site = Site(tmp_path_factory.mktemp("experiment"))
        patch.setenv("SLUICE_HOME", str(site.home.root))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        site.serve(SERVICE, write_towns(tmp_path_factory.mktemp("towns")).folder)
        registry = open_registry(add_registry_database(site.home))
        registry.prepare()
        register_versions(registry, SERVICE, 2)
        yield site


@pytest.fixture(scope="module")
def gateway(site: Site) -> Iterator[Running]:
    with run_gateway(site, "--no-fetcher") as running:
        running.await_champion(SERVICE)
        yield running


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[ExperimentConfig], None]:
    """Let an experiment's file say this."""
    return lambda config: monkeypatch.setattr(
        "tasks.experiments.actions.load_experiment", lambda _: config
    )


def ask_as(gateway: Running, users: int, pleased: dict[int, float]) -> None:
    """Let users ask once and say whether they are pleased, by the version that answered."""
    for number in range(users):
        reply = gateway.predict(RECORD, SERVICE, unit=f"user-{number}").json
        share = pleased[reply["version"]]
        rating = 1.0 if (number * 0.618034) % 1 < share else -1.0
        body = {"request_id": reply["request_id"], "rating": rating, "service": SERVICE}
        assert gateway.ask("/v1/feedback", body).status < 300


def run(**parameters: Any) -> Any:
    """Run the flow with a form's parameters, as a worker does; return its state."""
    from prefect.flow_engine import run_flow

    from flows.experiments.experiment import experiment

    return run_flow(experiment, parameters=parameters, return_type="state")


def test_an_experiment_is_planned_run_analysed_decided_and_handed_over(
    site: Site, gateway: Running, use: Callable[[ExperimentConfig], None], api: str
) -> None:
    config = configure(
        minimum_detectable_effect=0.7,
        assumed={"mean": 0.3, "units_a_day": 6 * 86400},
        guardrails=[{**FAILURES, "margin": 0.5}],
        **QUICK,
    )
    use(config)
    control = site.control
    early = run(name="tone", step="start", version=2)
    assert early.message.startswith("ExperimentRefused: tone: step 3, sample size")
    planned = run(name="tone", step="plan")
    assert planned.is_completed(), planned.message
    ended: list[Any] = []
    controller = threading.Thread(
        target=lambda: ended.append(run(name="tone", step="start", version=2))
    )
    controller.start()
    wait_until(lambda: control.experiments.find_running(SERVICE))
    gateway.await_candidate(SERVICE)
    record = control.experiments.find("tone")
    assert record is not None
    early = run(name="tone", step="analyse")
    assert early.message.startswith("ExperimentRefused: tone: step 5, the calculated duration")
    lease = control.leases.acquire(SERVICE, CONTROLLER, "a rollout", 15)
    opening = Opening(SERVICE, 1, 2, LAPTOP, RouteConfig(), "salt")
    with pytest.raises(RolloutRefused, match="found the experiment tone-1 running"):
        control.rollouts.open(lease, opening, datetime.now(UTC))
    control.leases.release(lease)
    ask_as(gateway, USERS, {1: 0.3, 2: 0.8})
    controller.join(180)
    assert ended, "the controller did not end"
    assert ended[0].is_completed(), ended[0].message
    after = control.experiments.find("tone")
    assert after is not None
    assert (after.phase, after.end_reason) == (ExperimentPhase.ENDED, "")
    route = control.routes.find(SERVICE)
    assert route is not None
    assert (route.champion, route.candidate, route.experiment) == (1, None, "")

    skipped = run(name="tone", step="decide", decision="promote", by="Ada", reason="better")
    assert "step 6, analysis" in skipped.message
    arms = {
        item.experiment_arm
        for item in read_answers(gateway.folder, SERVICE)
        if item.experiment == "tone-1"
    }
    assert arms <= {"control", "treatment", None}
    analysed = run(name="tone", step="analyse")
    assert analysed.is_completed(), analysed.message
    found = control.experiments.find("tone")
    assert found is not None
    assert found.analysis is not None
    assert found.analysis.recommended == "promote", found.analysis.reason
    assert found.analysis.mixed == 0
    assert min(found.analysis.units_a, found.analysis.units_b) > 30
    assert (site.home.experiments / "tone-1.html").exists()

    from flows.rollout import rollout

    with deployed_for_now(rollout, "rollout") as deployed:
        decided = run(name="tone", step="decide", decision="promote", by="Ada", reason="better")
        assert decided.is_completed(), decided.message
        assert "a rollout of v2 was started" in decided.result().message
        assert list_parameters(deployed) == [{"service": SERVICE, "version": 2}]


@contextmanager
def deployed_for_now(flow: Any, name: str) -> Iterator[Any]:
    """Deploy a flow as the project does, without a worker; give the deployment's id.

    The form offers the services of the project, and this one is the test's own. The server is
    shared with other files, so the deployment is removed at the end.
    """
    deployed = flow.to_deployment(name=name, enforce_parameter_schema=False).apply()
    try:
        yield deployed
    finally:
        ask(lambda client: client.delete_deployment(deployed))


def list_parameters(deployment: Any) -> list[dict[str, Any]]:
    """Return the parameters of the runs that were requested of a deployment."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterId,
    )

    with get_client(sync_client=True) as client:
        only = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
        return [dict(item.parameters) for item in client.read_flow_runs(deployment_filter=only)]


def test_a_guardrail_ends_an_experiment_early_and_the_control_serves_alone(
    site: Site, gateway: Running, use: Callable[[ExperimentConfig], None]
) -> None:
    complaints = {"name": "complaints", "source": "negative", "shape": "ratio", "better": "lower"}
    config = configure(
        experiment="harm",
        minimum_detectable_effect=0.05,
        assumed={"mean": 0.3, "units_a_day": 500 * 86400},
        guardrails=[complaints],
        **{**QUICK, "period": "120 s", "history": "1 s"},
    )
    use(config)
    assert run(name="harm", step="plan").is_completed()
    ended: list[Any] = []
    controller = threading.Thread(
        target=lambda: ended.append(run(name="harm", step="start", version=2))
    )
    controller.start()
    wait_until(lambda: site.control.experiments.find_running(SERVICE))
    gateway.await_candidate(SERVICE)
    ask_as(gateway, 320, {1: 1.0, 2: 0.0})
    controller.join(180)
    assert ended[0].message.startswith("GuardrailBroken: complaints")
    found = site.control.experiments.find("harm")
    assert found is not None
    assert found.end_reason.startswith("a guardrail is broken: complaints")
    route = site.control.routes.find(SERVICE)
    assert route is not None
    assert route.candidate is None


def test_the_form_offers_experiments_steps_and_decisions_and_explains_them() -> None:
    from flows.experiments.experiment import experiment

    fields = experiment.parameters.model_dump()["properties"]
    assert fields["name"]["enum"] == list_experiments()
    assert fields["step"]["enum"] == ["plan", "start", "analyse", "decide", "resume"]
    assert fields["decision"]["enum"] == ["promote", "iterate", "discard"]
    assert all(field["description"] for field in fields.values())


def test_the_keeper_resumes_an_experiment_without_a_controller(
    site: Site, use: Callable[[ExperimentConfig], None]
) -> None:
    from flows.experiments.experiment import experiment
    from tasks.rollout.keeper import Keeper

    config = configure(experiment="alone", assumed={"mean": 0.3, "units_a_day": 1000})
    use(config)
    assert run(name="alone", step="plan").is_completed()
    experiments, leases = site.control.experiments, site.control.leases
    planned = experiments.find("alone")
    assert planned is not None
    lease = leases.acquire(SERVICE, "experiment", "one that dies", 15)
    ready = replace(planned, control=1, treatment=2, salt="s")
    started = experiments.start(lease, ready, 15.0, datetime.now(UTC))
    leases.release(lease)
    with deployed_for_now(experiment, "experiment") as deployed:
        keeper = Keeper()
        keeper.keep_experiments()
        experiments.end(started, "the test is over", datetime.now(UTC))
        assert keeper.problems == []
        assert list_parameters(deployed) == [{"name": "alone", "step": "resume"}]


def test_an_a_a_test_sends_both_arms_to_one_version(site: Site, gateway: Running) -> None:
    facts: dict[str, Any] = {"candidate": 1, "mode": Mode.CANARY, "salt": "same", "weight": 0.5}
    site.route(SERVICE, experiment="same-1", ttl=30.0, **facts)
    with site.renewing(SERVICE):
        gateway.await_all(
            SERVICE, lambda state: state.get("candidate") == 1 and not state["candidate_reason"]
        )
        replies = [gateway.predict(RECORD, SERVICE, unit=f"u{n}").json for n in range(40)]
    site.route(SERVICE, candidate=None, mode=Mode.CHAMPION, salt="", weight=0.0, experiment="")
    assert {item["arm"] for item in replies} == {"candidate", "champion"}
    assert {item["version"] for item in replies} == {1}
    assert len({str(item["outputs"]) for item in replies}) == 1


def test_an_unknown_step_and_a_version_that_serves_are_refused(
    site: Site, gateway: Running, use: Callable[[ExperimentConfig], None]
) -> None:
    use(configure(experiment="other", assumed={"mean": 0.3, "units_a_day": 1000}))
    assert "found 'jump'; allowed: plan, start" in run(name="other", step="jump").message
    assert run(name="other", step="plan").is_completed()
    refused = run(name="other", step="start", version=1)
    assert "found v1, which serves already" in refused.message
    missing = run(name="other", step="start", version=77)
    assert missing.message.startswith(ExperimentRefused.__name__)


@pytest.fixture(autouse=True)
def _no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.experiments.publishing.draw_picture", lambda _: "")
