"""Putting a model that passed every gate on record, and moving the alias that serves."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_link_artifact
from prefect.runtime import flow_run

from sluice.adapters.registry.aliases import CHAMPION
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.versions import FLOW_RUN, REGISTERED, ModelVersionRef
from sluice.config.service import ServiceConfig
from sluice.control.approval import ANSWER, DEADLINE, tag_request
from sluice.control.lease import Lease
from sluice.gates.parity import choose_form
from sluice.home import find_home
from sluice.models.export.form import SAMPLE_FILE, choose_rows, make_sample
from sluice.models.prediction import predict
from sluice.models.training import find_threshold
from sluice.report.card import write_card
from sluice.report.history import VERDICT, VERSION
from sluice.verdict import Verdict
from tasks.release.export import ExportedFiles
from tasks.release.release import Release, link_run, remove_workspace
from tasks.release.rows import RowSplit, read_part
from tasks.release.training import TrainedModel
from tasks.run.artifacts import publish
from tasks.run.decorators import effect
from tasks.run.events import publish_event
from tasks.run.leases import prepare_control, route_to_champion

EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Registered:
    """A registered model version and the alias that it carries."""

    service: str
    version: int
    alias: str
    release: str
    run_id: str
    awaits: str = ""
    """Until when a person may decide on it; empty where nobody is asked."""


@effect
def register_candidate(  # noqa: PLR0913, PLR0917
    config: ServiceConfig,
    lease: Lease,
    release: Release,
    parts: RowSplit,
    model: TrainedModel,
    served: ExportedFiles,
    verdicts: tuple[Verdict, ...],
) -> Registered:
    """Register the model with its identity, card and verdicts as `candidate`.

    It becomes `champion` where the service has none and no person is to be asked. The lease is
    confirmed before anything is kept, and again before the alias moves.

    Raises:
        LeaseLost: another run took the lease meanwhile; no alias was moved.
        Fault: the table or the registry cannot be reached; trying again never registers twice.
    """
    registry, leases = open_registry(find_home()), prepare_control().leases
    frame = read_part(config, release, parts, "training")
    example = frame[list(config.data.features)].head(EXAMPLE_ROWS)
    pipeline = model.open()
    card = write_card(
        config,
        release.identity,
        verdicts,
        parts.training,
        parts.compared,
        threshold=find_threshold(pipeline),
    )
    leases.renew(lease)
    registry.log_text(release.run_id, "model_card.md", card)
    form = choose_form(verdicts[-1])
    tags = tag_version(config, release, verdicts, form)
    answers = predict(pipeline, example, config.data, config.problem)
    version = registry.register_model(
        release.run_id,
        config.service,
        pipeline,
        example,
        answers.labels,
        tags,
        card,
        serving=served.folder if form == "onnx" else None,
        texts={SAMPLE_FILE: ask_sample(config, release, parts, pipeline)},
        confirm=lambda: leases.renew(lease),
    )
    route_to_champion(version)
    alias = version.tags[REGISTERED]
    asked = {key: value for key, value in version.tags.items() if key.startswith(ANSWER)}
    registry.log_facts(release.run_id, tags={VERSION: str(version.version), **asked})
    publish(
        create_link_artifact,
        key=f"{config.service}-mlflow-run",
        link=link_run(release.run_id),
        link_text=f"{config.service} v{version.version} in MLflow",
        description="Model, model card, verdicts, plots and configuration of this release",
    )
    _tell_registered(version)
    get_run_logger().info("registered %s v%d as %s", config.service, version.version, alias)
    return Registered(
        config.service,
        version.version,
        alias,
        release.identity.id,
        release.run_id,
        awaits=version.tags.get(DEADLINE, ""),
    )


def ask_sample(config: ServiceConfig, release: Release, parts: RowSplit, pipeline: Any) -> str:
    """Give the parity sample: a few held-out rows, and what the trained form says to them.

    Raises:
        Fault: the table cannot be reached.
    """
    rows = choose_rows(read_part(config, release, parts, "compared"))
    return make_sample(
        rows, predict(pipeline, rows, config.data, config.problem), config.data
    ).to_json()


def tag_version(
    config: ServiceConfig, release: Release, verdicts: tuple[Verdict, ...], form: str
) -> dict[str, str]:
    """Give the tags of a new version: identity, verdicts, and whether a person is to be asked."""
    deadline = datetime.now(UTC) + timedelta(hours=config.approval_hours)
    return {
        **release.identity.tags(),
        **{f"{VERDICT}{item.gate}": item.outcome.value for item in verdicts},
        "sluice.split": config.split.model_dump_json(),
        "sluice.serving.form": form,
        FLOW_RUN: str(flow_run.id),
        "prefect.flow_run_url": str(flow_run.ui_url),
        **tag_request(config.approve, verdicts, deadline),
    }


def adopt_version(version: ModelVersionRef) -> ModelVersionRef:
    """Finish what a run left that died after it registered a version: alias, run, folder, event.

    Raises:
        Fault: the registry cannot be reached.
    """
    registry = open_registry(find_home())
    finished = registry.finish_registration(version)
    route_to_champion(finished)
    remove_workspace(version.run_id)
    run_id = registry.find_run(version.service, {FLOW_RUN: version.tags[FLOW_RUN]}, "RUNNING")
    if run_id:
        registry.end_run(run_id)
    _tell_registered(finished)
    return finished


def _tell_registered(version: ModelVersionRef) -> None:
    """Tell the world of a version and of the alias that it was registered as."""
    publish_event(
        version.service,
        "candidate.registered",
        {
            "version": version.version,
            "alias": version.tags[REGISTERED],
            "release": version.tags["sluice.release"],
        },
    )


@effect
def promote_candidate(service: str) -> Registered:
    """Make the candidate the champion, and the champion the previous one.

    Raises:
        PromotionRefused: there is no candidate, or it may not be promoted.
        Fault: the registry cannot be reached.
    """
    registry, log = open_registry(find_home()), get_run_logger()
    route_to_champion(registry.find_alias(service, CHAMPION))  # of a promotion that was killed
    old, new = registry.promote(service)
    route = route_to_champion(new)
    if route and route.champion != new.version:
        log.warning("a rollout of %s is under way: its route stays as it is", service)
    log.warning(
        "%s v%d is champion%s; no live traffic was asked",
        service,
        new.version,
        f", v{old.version} is previous" if old else "",
    )
    return Registered(service, new.version, "champion", new.tags["sluice.release"], new.run_id)
