"""Registration of a model that passed every gate, and the move of its alias."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_link_artifact
from prefect.runtime import flow_run

from sluice.adapters.control.store import prepare_control
from sluice.adapters.moves import settle_aliases
from sluice.adapters.registry.aliases import CANDIDATE, CHAMPION
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.versions import FLOW_RUN, REGISTERED, ModelVersionRef
from sluice.config.service import ServiceConfig
from sluice.control.admission import VERDICT
from sluice.control.approval import ANSWER, DEADLINE, tag_request
from sluice.control.lease import Lease
from sluice.control.timeline import PROMOTE, TimelineEntry
from sluice.gates.parity import choose_backend
from sluice.home import find_home
from sluice.models.export.onnx_export import SAMPLE_FILE, choose_rows, make_sample
from sluice.models.prediction import predict
from sluice.models.training import find_threshold
from sluice.report.card import write_card
from sluice.report.history import VERSION
from sluice.security.bill import FILE as BILL
from sluice.verdict import Verdict
from tasks.release.export import ExportedFiles
from tasks.release.release import Release, remove_workspace
from tasks.release.rows import SPLIT, RowSplit, read_compared, read_part
from tasks.release.training import TrainedModel
from tasks.run.artifacts import publish
from tasks.run.champions import find_serving, route_to_champion
from tasks.run.decorators import effect
from tasks.run.events import publish_event
from tasks.run.lineage import name_model, name_production, note_output
from tasks.run.names import name_origin
from tasks.security.bill import write_materials

EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Registered:
    """A registered model version and its alias."""

    service: str
    version: int
    alias: str
    release: str
    run_id: str
    approval_deadline: str = ""
    """The time until which a person can decide; empty where no approval is needed."""


@effect
def register_candidate(  # noqa: PLR0913, PLR0917
    config: ServiceConfig,
    lease: Lease,
    release: Release,
    split: RowSplit,
    model: TrainedModel,
    export: ExportedFiles,
    verdicts: tuple[Verdict, ...],
) -> Registered:
    """Register the model with its identity, card and verdicts as `candidate`.

    It becomes `champion` where the service has none and no approval is needed. The lease is
    renewed before anything is stored, and again before the alias is set.

    Raises:
        LeaseLost: another run took the lease; no alias was set.
        Fault: the table or the registry cannot be reached; a retry never registers twice.
    """
    registry, leases = open_registry(find_home()), prepare_control().leases
    features = list(config.data.features)
    example = read_part(config, release, split, "training", features)[features].head(EXAMPLE_ROWS)
    pipeline = model.open()
    card = write_card(
        config,
        release.identity,
        verdicts,
        split.training,
        split.compared,
        threshold=find_threshold(pipeline),
    )
    leases.renew(lease)
    _record_documents(config, release, verdicts, card)
    backend = choose_backend(next(item for item in verdicts if item.gate == "parity"))
    tags = tag_version(config, release, verdicts, backend)
    predictions = predict(pipeline, example, config.data, config.problem)
    version = registry.register_model(
        release.run_id,
        config.service,
        pipeline,
        example,
        predictions.labels,
        tags,
        card,
        serving=export.folder if backend == "onnx" else None,
        texts={SAMPLE_FILE: build_parity_sample(config, release, split, pipeline)},
        confirm=lambda: leases.renew(lease),
        serves=find_serving(config.service),
    )
    route_to_champion(version)
    alias = version.tags[REGISTERED]
    approval_tags = {key: value for key, value in version.tags.items() if key.startswith(ANSWER)}
    registry.log_facts(release.run_id, tags={VERSION: str(version.version), **approval_tags})
    _link_run(release, version)
    _publish_registered(version)
    get_run_logger().info("registered %s v%d as %s", config.service, version.version, alias)
    return Registered(
        config.service,
        version.version,
        alias,
        release.identity.id,
        release.run_id,
        approval_deadline=version.tags.get(DEADLINE, ""),
    )


def _record_documents(
    config: ServiceConfig, release: Release, verdicts: tuple[Verdict, ...], card: str
) -> None:
    """Log the model card and the bill of materials to the registry run."""
    registry = open_registry(find_home())
    registry.log_text(release.run_id, "model_card.md", card)
    text = write_materials(config, release.identity, release.folder, verdicts)
    registry.log_text(release.run_id, BILL, text)


def build_parity_sample(
    config: ServiceConfig, release: Release, split: RowSplit, pipeline: Any
) -> str:
    """Return the parity sample: a few held-out rows and the native model's predictions.

    Raises:
        Fault: the table cannot be reached.
    """
    rows = choose_rows(read_compared(config, release, split))
    return make_sample(
        rows, predict(pipeline, rows, config.data, config.problem), config.data
    ).to_json()


def tag_version(
    config: ServiceConfig, release: Release, verdicts: tuple[Verdict, ...], backend: str
) -> dict[str, str]:
    """Return the tags of a new version: identity, verdicts, and the request for approval."""
    deadline = datetime.now(UTC) + timedelta(hours=config.approval_hours)
    return {
        **release.identity.tags(),
        **{f"{VERDICT}{item.gate}": item.outcome.value for item in verdicts},
        SPLIT: config.split.model_dump_json(),
        "sluice.serving.form": backend,
        FLOW_RUN: str(flow_run.id),
        "prefect.flow_run_url": str(flow_run.ui_url),
        **tag_request(config.approve, verdicts, deadline),
    }


def complete_registration(version: ModelVersionRef) -> ModelVersionRef:
    """Complete the registration of a run that died after it: alias, run, folder and event.

    Raises:
        Fault: the registry cannot be reached.
    """
    registry = open_registry(find_home())
    finished = registry.finish_registration(version, find_serving(version.service))
    route_to_champion(finished)
    remove_workspace(version.run_id)
    run_id = registry.find_run(version.service, {FLOW_RUN: version.tags[FLOW_RUN]}, "RUNNING")
    if run_id:
        registry.end_run(run_id)
    _publish_registered(finished)
    return finished


def _publish_registered(version: ModelVersionRef) -> None:
    """Emit the event of a registered version and its alias, and note it as the run's output."""
    note_output(name_model(version.service, version.version))
    if version.tags[REGISTERED] == CHAMPION:
        note_output(name_production(version.service, version.version))
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
def promote_candidate(service: str, by: str = "", reason: str = "") -> Registered:
    """Make the candidate the champion, and the champion the previous one; record by whom and why.

    Raises:
        PromotionRefused: there is no candidate, or it must not be promoted.
        Fault: the registry cannot be reached.
    """
    registry, log = open_registry(find_home()), get_run_logger()
    control = prepare_control()
    settle_aliases(control, registry, service)
    route_to_champion(registry.find_alias(service, CHAMPION))  # of an interrupted promotion
    candidate = registry.find_alias(service, CANDIDATE)
    if candidate is not None:
        control.admissions.confirm(service, candidate.version, candidate.tags)
    old, new = registry.promote(service, find_serving(service))
    route = route_to_champion(new)
    if route and route.champion != new.version:
        log.warning("a rollout of %s is in progress: its route does not change", service)
    log.warning(
        "%s v%d is champion%s; it was not tested on live traffic",
        service,
        new.version,
        f", v{old.version} is previous" if old else "",
    )
    entry = TimelineEntry(
        service,
        datetime.now(UTC),
        PROMOTE,
        new.version,
        by.strip(),
        reason.strip(),
        name_origin(),
        f"v{new.version} is champion{f' instead of v{old.version}' if old else ''}",
    )
    control.timeline.append(entry, once=True)
    return Registered(service, new.version, "champion", new.tags["sluice.release"], new.run_id)


def _link_run(release: Release, version: ModelVersionRef) -> None:
    """Publish the link to the version's run in the registry."""
    publish(
        create_link_artifact,
        key=f"{version.service}-mlflow-run",
        link=release.page,
        link_text=f"{version.service} v{version.version} in MLflow",
        description="Model, model card, verdicts, plots and configuration of this release",
    )
