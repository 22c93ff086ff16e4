"""A person's approval of a version, and the request for a version's rollout."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run

from sluice.adapters.control.approvals import Approvals
from sluice.adapters.control.store import prepare_control
from sluice.adapters.registry.aliases import CANDIDATE
from sluice.adapters.registry.answers import apply_answer, find_version, list_waiting
from sluice.adapters.registry.client import Registry, open_registry
from sluice.adapters.registry.history import find_experiment, read_config, read_evidence
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.config.service import ServiceConfig
from sluice.control.approval import (
    ANSWER,
    Approval,
    ApprovalAnswer,
    ApprovalDecision,
    digest_verdicts,
    read_request,
    say_not_approved,
    tag_decision,
    write_moment,
)
from sluice.errors import DecisionRefused, PromotionRefused
from sluice.home import find_home
from sluice.report.approval import describe_answer, write_decision, write_request
from sluice.report.comparison import ComparedVersion, write_comparison
from tasks.release.recording import read_verdicts
from tasks.release.registration import Registered
from tasks.run.champions import find_serving, route_to_champion
from tasks.run.decorators import effect
from tasks.run.events import REQUESTED, publish_event
from tasks.run.links import link_file, link_form, link_run, link_version
from tasks.run.names import name_origin

WAITING = -1
"""Stands for the version that waits, or for the version of the last request."""
FORM = "approve/approve"


@dataclass(frozen=True)
class ApprovalResult:
    """The answer to a request for approval, and its version's alias after that."""

    service: str
    version: int
    answer: str
    alias: str


@effect
def request_approval(config: ServiceConfig, registered: Registered) -> Registered:
    """Request a person's decision on a version that needs one; close older requests.

    The release does not wait: it ends, and the flow `approve` continues.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    service, log = config.service, get_run_logger()
    registry = open_registry(find_home())
    settle_approvals(service, datetime.now(UTC))
    version = find_version(registry, service, registered.version)
    request = read_request(service, registered.version, version.tags) if version else None
    if version is None or request is None:
        return registered
    store = prepare_control().approvals
    approval = store.request(service, version.version, request.verdict_digest, request.deadline)
    form = link_form(FORM, {"service": service, "version": version.version})
    verdicts, links = read_verdicts(version.run_id), list_links(version)
    page = write_request(approval, verdicts, links, form, compare_with_champion(version))
    publish_page(service, page, f"{service} v{version.version} waits for a person's approval")
    deadline = write_moment(approval.deadline)
    publish_event(service, "approval.requested", {"version": version.version, "deadline": deadline})
    log.warning(
        "%s v%d waits for a person's approval until %s; next: `sluice approve %s --by NAME "
        "--reason WORDS`, or `sluice refuse`, or the form of `approve`",
        *(service, version.version, deadline, service),
    )
    return registered


@effect
def decide_approval(
    service: str, version: int, answer: str, by: str, reason: str
) -> ApprovalResult:
    """Record a person's decision, exactly once, and apply it to the version.

    `answer` is `approved` or `refused`. The same decision again completes an interrupted one.

    Raises:
        DecisionRefused: it is late, a second one, without a name or reason, about a version without
            a request, or about other verdicts than were shown.
        Fault: the control store or the registry cannot be reached.
    """
    now, by, reason = datetime.now(UTC), by.strip(), reason.strip()
    registry, store = open_registry(find_home()), prepare_control().approvals
    settle_approvals(service, now)
    found = find_requested(registry, store, service, version)
    digest = digest_verdicts(read_verdicts(found.run_id))
    approval = store.find(service, found.version, digest)
    if approval is None:
        raise DecisionRefused(
            f"the verdicts of {service} v{found.version} are not those that were shown for "
            "approval; next: release again"
        )
    decided = store.decide(approval, ApprovalAnswer(answer), by, reason, now, name_origin())
    updated = close_request(registry, store, found, decided)
    return ApprovalResult(service, found.version, decided.answer.value, name_alias(updated))


@effect
def expire_approvals(service: str, now: datetime) -> list[ApprovalResult]:
    """Close the service's requests without a decision in time, and complete interrupted ones.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    return settle_approvals(service, now)


def expire_late(service: str) -> None:
    """Close the service's late requests; the registry is read only where there is one.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    if has_late(service):
        expire_approvals(service, datetime.now(UTC))


def has_late(service: str) -> bool:
    """Whether a request of the service got no decision in time and is not closed yet.

    Raises:
        Fault: the control store cannot be reached.
    """
    now, requests = datetime.now(UTC), prepare_control().approvals.list_requests(service)
    return any(item.answer_at(now) is not item.answer for item in requests)


@effect
def confirm_approval(service: str) -> None:
    """Check that the version to promote does not lack a person's approval.

    The control store decides, not the registry's tags.

    Raises:
        PromotionRefused: it waits, was refused, timed out or was superseded.
        Fault: the control store or the registry cannot be reached.
    """
    settle_approvals(service, datetime.now(UTC))
    candidate = open_registry(find_home()).find_alias(service, CANDIDATE)
    requests = prepare_control().approvals.list_requests(service)
    if candidate is None:
        if requests and requests[-1].answer not in (
            ApprovalAnswer.APPROVED,
            ApprovalAnswer.SUPERSEDED,
        ):
            reason = say_not_approved(service, requests[-1].version, requests[-1].answer)
            raise PromotionRefused(f"{service} has no candidate: {reason}")
        return
    own = [item for item in requests if item.version == candidate.version]
    if not own and ANSWER not in candidate.tags:
        return
    answer = own[-1].answer if own else ApprovalAnswer.PENDING
    if answer is not ApprovalAnswer.APPROVED:
        raise PromotionRefused(say_not_approved(service, candidate.version, answer))


def settle_approvals(service: str, now: datetime) -> list[ApprovalResult]:
    """Close late and superseded requests, and apply the store's answers to the registry.

    Returns the results of the requests that were closed by this call.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    registry, store = open_registry(find_home()), prepare_control().approvals
    waiting = list_waiting(registry, service)
    if not waiting:
        return []
    known = {item.version for item in store.list_requests(service)}
    for version in waiting:  # a killed release had registered, but not requested approval yet
        request = read_request(service, version.version, version.tags)
        if request and version.version not in known:
            store.request(service, version.version, request.verdict_digest, request.deadline)
    candidate = registry.find_alias(service, CANDIDATE)
    newest = max(find_serving(service) or 0, candidate.version if candidate else 0)
    store.supersede(service, newest, now)
    store.expire(service, now)
    updated = []
    for version in waiting:
        own = [item for item in store.list_requests(service) if item.version == version.version]
        if own and own[-1].answer is not ApprovalAnswer.PENDING:
            closed = close_request(registry, store, version, own[-1])
            answer = own[-1].answer.value
            updated.append(ApprovalResult(service, version.version, answer, name_alias(closed)))
    return updated


def find_requested(
    registry: Registry, store: Approvals, service: str, version: int
) -> ModelVersionRef:
    """Return the version that a decision is about.

    Raises:
        DecisionRefused: no decision was requested on it.
        Fault: the control store or the registry cannot be reached.
    """
    requests = store.list_requests(service)
    open_ones = [item.version for item in requests if item.answer is ApprovalAnswer.PENDING]
    numbers = [item.version for item in requests]
    if version == WAITING and not numbers:
        raise DecisionRefused(f"no version of {service} waits for approval")
    number = (open_ones or numbers)[-1] if version == WAITING else version
    found = find_version(registry, service, number) if number in numbers else None
    if found is None:
        waits = ", ".join(f"v{item}" for item in open_ones) or "none"
        raise DecisionRefused(
            f"no decision was requested on {service} v{number}; waiting for one: {waits}"
        )
    return found


def close_request(
    registry: Registry, store: Approvals, version: ModelVersionRef, approval: Approval
) -> ModelVersionRef:
    """Apply an answer of the store: aliases and tags in the registry, page, event and log.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    service, number, answer = version.service, version.version, approval.answer
    decision = find_decision(store.list_decisions(service), approval)
    tags = tag_decision(decision)
    registry.log_json(version.run_id, "approval/decision.json", decision.to_dict())
    registry.log_facts(version.run_id, tags=tags)
    updated = apply_answer(registry, version, answer, tags, find_serving(service))
    route_to_champion(updated)
    consequence = describe_answer(answer, service, number, name_alias(updated))
    verdicts = read_verdicts(version.run_id)
    compared = compare_with_champion(version)
    page = write_decision(decision, verdicts, list_links(version), consequence, compared)
    publish_page(service, page, f"{service} v{number} is {answer.value}: {decision.reason}")
    payload = {"version": number, "by": decision.by, "reason": decision.reason}
    publish_event(service, f"approval.{answer.value}", {**payload, "alias": name_alias(updated)})
    words = (service, number, answer.value, decision.by, decision.reason, consequence)
    get_run_logger().warning("%s v%d is %s by %s: %s; %s", *words)
    return updated


def find_decision(log: Sequence[ApprovalDecision], approval: Approval) -> ApprovalDecision:
    """Return the log's decision on a request; the store writes both in one transaction."""
    key = (approval.version, approval.verdict_digest, approval.answer)
    lines = [line for line in log if (line.version, line.verdict_digest, line.answer) == key]
    return lines[-1]


def publish_page(service: str, page: str, title: str) -> None:
    """Publish the page of approvals, an artifact that keeps its versions."""
    create_markdown_artifact(key=f"{service}-approval", markdown=page, description=title)


def list_links(version: ModelVersionRef) -> dict[str, str]:
    """Return the addresses of the pages about a version, by their labels.

    Raises:
        Fault: the registry cannot be reached.
    """
    run, release = version.run_id, version.tags.get("prefect.flow_run_url", "")
    own = str(flow_run.ui_url or "")
    experiment = find_experiment(open_registry(find_home()), run)
    return {
        "MLflow run": link_run(experiment, run),
        "model version": link_version(version.service, version.version),
        "model card": link_file(experiment, run, "model_card.md"),
        "data docs": link_file(experiment, run, "data_docs/validation.html"),
        "release": release,
        "decision": "" if own == release else own,
    }


def compare_with_champion(version: ModelVersionRef) -> str:
    """Return a table of a version beside the champion that it was evaluated against.

    Raises:
        Fault: the registry cannot be reached.
    """
    registry = open_registry(find_home())
    found = read_evidence(registry, version.run_id)
    number = found.get("lineage", {}).get("champion")
    champion = find_version(registry, version.service, number) if number else None
    sides = [
        ComparedVersion(one.version, one.tags, read_config(registry, one.run_id))
        for one in filter(None, (version, champion))
    ]
    return write_comparison(
        sides[0], sides[1] if champion else None, found.get("metrics", ()), found.get("older")
    )


def name_alias(version: ModelVersionRef) -> str:
    """Return the alias of a version; empty where it has none."""
    return next((name for name in ("champion", "candidate") if name in version.aliases), "")


def request_rollout(config: ServiceConfig, registered: Registered) -> Registered:
    """Request the rollout of a new candidate, where the service's file has `start: auto`.

    The rollout of a version that waits for approval is requested once it is approved.
    """
    if not registered.approval_deadline:
        _publish_request(config, registered.version, registered.alias)
    return registered


def request_approved_rollout(config: ServiceConfig, decided: ApprovalResult) -> None:
    """Request the rollout of a candidate that a person approved."""
    if decided.answer == "approved":
        _publish_request(config, decided.version, decided.alias)


def _publish_request(config: ServiceConfig, version: int, alias: str) -> None:
    if config.rollout.start == "auto" and alias == CANDIDATE:
        publish_event(config.service, REQUESTED, {"version": version})
