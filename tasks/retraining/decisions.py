"""Retraining: causes become at most one release, and each decision says why."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect import get_client, get_run_logger
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.history import find_start, list_releases
from sluice.adapters.registry.versions import FLOW_RUN
from sluice.adapters.tables.delta import count_rows, latest_version
from sluice.adapters.traffic.labelled import LabelSource, count_labelled
from sluice.config.service import ServiceConfig
from sluice.control.cause import DATA_CHANGED
from sluice.control.lease import Lease
from sluice.control.release import INTERRUPTED
from sluice.control.retraining import (
    ANSWERS,
    RUNNING,
    LabelCount,
    NewestRelease,
    Retraining,
    RetrainingCause,
    RetrainingFacts,
    RetrainingStep,
    WaitingFor,
    decide_retraining,
    describe_causes,
    list_events,
    settle_cause,
)
from sluice.control.retraining_event import read_cause, unpack_payload
from sluice.errors import DataMissing, ServerUnavailable
from sluice.home import find_home
from sluice.report.history import PastRelease
from tasks.run.champions import Champion, find_champion
from tasks.run.decorators import effect
from tasks.run.events import publish_event
from tasks.run.leases import RELEASE, await_lease, is_renewed, keep_lease

PURPOSE = "retraining"
"""The purpose of the lease under which causes are decided, so that two runs start one release."""
PATIENCE_SECONDS = 60.0
DEPLOYMENT = "release/release"
DATA_VERSION, DATA_ROWS = "sluice.data.version", "sluice.data.rows"


def refuse_trigger(config: ServiceConfig, cause: str) -> str:
    """Return why a release of this cause does not start by itself; empty where it may."""
    if cause != DATA_CHANGED or "data" in config.retrain.when:
        return ""
    listed = ", ".join(config.retrain.when) or "an empty list"
    return (
        f"`retrain` of {config.service} has no `data`, only {listed}: a new data version starts no "
        "release"
    )


@effect
def record_event(service: str, event: str, payload: dict[str, Any], at: datetime) -> str:
    """Store the cause that an event tells; return what became of it if nothing is to be decided.

    A time that is far ahead of this machine's clock counts as now.

    Raises:
        CauseInvalid: the event does not say what it is about.
        Fault: the control store cannot be reached.
    """
    cause = read_cause(service, event, unpack_payload(payload), at)
    control = prepare_control()
    if control.retrainings.record(cause, datetime.now(UTC)):
        return ""
    known = {item.subject: item for item in control.retrainings.list_causes(service)}
    return known[cause.subject].decision


def decide_causes(config: ServiceConfig) -> str:
    """Decide all open causes of a service, start a release if it is time; return what is new.

    Empty where nothing has changed since the last decision.

    Raises:
        ServerUnavailable: the release could not be started; the next decision tries it again.
        Fault: the control store, the registry or a table cannot be reached.
    """
    control, service = prepare_control(), config.service
    if not find_undecided(control, service):
        return ""
    with _hold_decision(control, service) as lease:
        resumed = _start_left(control, service)
        control.retrainings.bound_times(service, datetime.now(UTC))
        causes = control.retrainings.list_open(service)
        return "; ".join(filter(None, (resumed, _decide(control, config, lease, causes))))


def find_undecided(control: Control, service: str) -> str:
    """Return what is open: causes, or a release that could not be started; empty: nothing.

    Raises:
        Fault: the control store cannot be reached.
    """
    newest = control.retrainings.find_newest(service)
    if newest and not newest.run:
        return f"a release for {newest.cause} is not started yet"
    causes = control.retrainings.list_open(service)
    return describe_causes(causes) if causes else ""


def find_change(config: ServiceConfig) -> str:
    """Return what another decision on a service's causes would change; empty: nothing.

    Raises:
        Fault: the control store, the registry, a table or the server cannot be reached.
    """
    control, service = prepare_control(), config.service
    newest = control.retrainings.find_newest(service)
    if newest and not newest.run:
        return f"the release for {newest.cause} is to be started"
    settled, facts = _settle(control, config, control.retrainings.list_open(service))
    closed = next((item for item in settled if item.is_closed), None)
    if closed or not settled or facts is None:
        return f"{_name(closed)} is to be closed" if closed else ""
    decision = decide_retraining(config.retrain, facts)
    if decision.step is RetrainingStep.START:
        return f"{describe_causes(settled)} starts a release"
    changed = any(item.waits is not decision.waits for item in settled)
    return f"{describe_causes(settled)} waits" if changed else ""


@contextmanager
def _hold_decision(control: Control, service: str) -> Iterator[Lease]:
    holder = f"{flow_run.name} (flow run {flow_run.id})"
    lease = await_lease(service, PURPOSE, holder, PATIENCE_SECONDS)
    with keep_lease(control, lease, get_run_logger()):
        yield lease


def _decide(
    control: Control, config: ServiceConfig, lease: Lease, causes: Sequence[RetrainingCause]
) -> str:
    settled, facts = _settle(control, config, causes)
    control.retrainings.note_decision([item for item in settled if item.is_closed])
    said = [f"{_name(item)} is closed: {item.decision}" for item in settled if item.is_closed]
    counted = [item for item in settled if not item.is_closed]
    if counted and facts:
        said.append(_decide_counted(control, config, lease, counted, facts))
    return "; ".join(filter(None, said))


def _settle(
    control: Control, config: ServiceConfig, causes: Sequence[RetrainingCause]
) -> tuple[list[RetrainingCause], RetrainingFacts | None]:
    """Close the causes that do not count; the facts are read only where one may count."""
    settled = [settle_cause(config.retrain, item) for item in causes]
    if all(item.is_closed for item in settled):
        return settled, None
    facts = read_facts(control, config)
    return [settle_cause(config.retrain, item, facts) for item in settled], facts


def _decide_counted(
    control: Control,
    config: ServiceConfig,
    lease: Lease,
    causes: Sequence[RetrainingCause],
    facts: RetrainingFacts,
) -> str:
    """Start one release for all causes, or note for what they wait."""
    decision, cause = decide_retraining(config.retrain, facts), describe_causes(causes)
    waits = decision.waits if decision.step is RetrainingStep.WAIT else WaitingFor.RELEASE
    starts = decision.step is RetrainingStep.START
    reason = f"a release is started: {decision.reason}" if starts else decision.reason
    noted = [replace(item, waits=waits, decision=reason) for item in causes]
    if starts:
        started = Retraining(
            service=config.service,
            at=facts.now,
            cause=cause,
            version=facts.champion,
            since=min((item.since for item in causes if item.since), default=None),
        )
        started = control.retrainings.start(lease, started, noted)
        return f"{_start_run(control, started)}: {decision.reason}"
    control.retrainings.note_decision(noted)
    changed = [item for item in causes if item.waits is not waits]
    if changed and waits is WaitingFor.LABELS and decision.labels:
        payload = {
            "found": decision.labels.found,
            "needed": config.retrain.minimum_labels,
            "cause": cause,
        }
        publish_event(config.service, "retraining.waiting", payload)
    return f"{cause} waits: {decision.reason}" if changed else ""


def _start_left(control: Control, service: str) -> str:
    """Start the release of a run that died before Prefect had it; empty where there is none."""
    newest = control.retrainings.find_newest(service)
    return _start_run(control, newest) if newest and not newest.run else ""


def _start_run(control: Control, retraining: Retraining) -> str:
    """Create the release's flow run, once for a retraining, however often this is called.

    Raises:
        ServerUnavailable: Prefect's server did not take it.
    """
    service = retraining.service
    version = latest_version(find_home().table(service), service)
    parameters = {"service": service, "data_version": version, "cause": retraining.cause}
    try:
        run: Any = run_deployment(
            DEPLOYMENT,
            parameters=parameters,
            flow_run_name=f"{service} data v{version} {retraining.cause}",
            tags=name_tags(retraining.cause),
            timeout=0,
            as_subflow=False,
            idempotency_key=retraining.key,
        )
    except Exception as error:  # not deployed, or the server is away
        raise ServerUnavailable(
            f"the release for {retraining.cause} could not be started: {error}; next: "
            "`sluice deploy`; `watch` tries it again"
        ) from error
    control.retrainings.note_run(retraining, str(run.id))
    return f"{retraining.cause} starts a release of data v{version}, flow run {run.id}"


def name_tags(cause: str) -> list[str]:
    """Return the tags of a release by the events of its cause."""
    return [f"cause:{event}" for event in list_events(cause)]


def read_facts(control: Control, config: ServiceConfig) -> RetrainingFacts:
    """Read what a decision is made from; labels are counted only where they decide.

    Raises:
        Fault: the control store, the registry or a table cannot be reached.
    """
    service, registry = config.service, open_registry(find_home())
    champion = find_champion(service)
    releases = list_releases(registry, service, champion.version)
    newest, pending = _find_newest(control, service, releases)
    trained = find_start(registry, champion.record.run_id) if champion.record else None
    rollout = control.rollouts.find_open(service)
    version = _find_data(service)
    return RetrainingFacts(
        now=datetime.now(UTC),
        champion=champion.version,
        trained=trained,
        count_labels=lambda: count_labels(champion, trained, version),
        newest=newest,
        pending=pending,
        rollout=f"the rollout of v{rollout.candidate}" if rollout else "",
        data_version=version,
        released_data=_find_released(releases),
    )


def count_labels(
    champion: Champion, trained: datetime | None, data_version: int | None
) -> LabelCount:
    """Count the labels that are new since the champion's training.

    Raises:
        Fault: a table cannot be reached.
    """
    home, service = find_home(), champion.service
    source = LabelSource(service, home.answers(service), home.feedback)
    rows = 0
    known = champion.record.tags.get(DATA_ROWS, "") if champion.record else ""
    if known.isdecimal() and data_version is not None:
        rows = max(0, count_rows(home.table(service), data_version) - int(known))
    return LabelCount(count_labelled(source, trained), rows)


def _find_data(service: str) -> int | None:
    try:
        return latest_version(find_home().table(service), service)
    except DataMissing:
        return None


def _find_released(releases: Sequence[PastRelease]) -> int | None:
    """Return the newest data version that a release registered or a gate halted."""
    versions = [
        int(item.tags[DATA_VERSION])
        for item in releases
        if item.outcome in ANSWERS and item.tags.get(DATA_VERSION, "").isdecimal()
    ]
    return max(versions, default=None)


def _find_newest(
    control: Control, service: str, releases: Sequence[PastRelease]
) -> tuple[NewestRelease | None, str]:
    """Return the release that began last, and the description of one that has not begun yet."""
    found = [_describe_release(control, service, item) for item in releases[:1]]
    started = control.retrainings.find_newest(service)
    begun = {item.tags.get(FLOW_RUN) for item in releases}
    if started and started.run and started.run not in begun:
        outcome = _read_outcome(started.run)
        if outcome == RUNNING:
            return next(iter(found), None), f"the release for {started.cause}"
        found.append(NewestRelease(started.at, outcome, started.cause))
    return max(found, key=lambda item: item.started, default=None), ""


def _describe_release(control: Control, service: str, item: PastRelease) -> NewestRelease:
    outcome = item.outcome
    if outcome == RUNNING and not is_renewed(control, service, RELEASE):
        outcome = INTERRUPTED
    return NewestRelease(item.started, outcome, item.tags.get("sluice.cause", ""))


def _read_outcome(run: str) -> str:
    """Return how a flow run ended that left no registry run; running while it has not ended.

    Raises:
        ServerUnavailable: Prefect's server does not answer.
    """
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(run)).state
    except ObjectNotFound:
        return "gone"
    except Exception as error:  # the client raises many kinds
        raise ServerUnavailable(f"reading flow run {run}: {error}") from error
    if state is None or not state.is_final():
        return RUNNING
    return str(state.name).lower()


def _name(cause: RetrainingCause) -> str:
    return f"{cause.event} ({cause.reason})" if cause.reason else cause.event
