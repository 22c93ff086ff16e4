"""A person's approval of a version, and the hand-over of a version to its rollout."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run

from sluice.adapters.control.approvals import Approvals
from sluice.adapters.registry.aliases import CANDIDATE
from sluice.adapters.registry.answers import find_version, follow_answer, list_waiting
from sluice.adapters.registry.client import Registry, open_registry
from sluice.adapters.registry.history import find_experiment
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
from tasks.release.recording import read_verdicts
from tasks.release.registration import Registered
from tasks.release.release import link_run
from tasks.run.decorators import effect
from tasks.run.events import publish_event
from tasks.run.leases import prepare_control, route_to_champion
from tasks.run.links import link_file, link_form, link_version

WAITING = -1
"""The version that waits, or the one that was asked about last."""
FORM = "approve/approve"


@dataclass(frozen=True)
class ApprovalResult:
    """How a request for approval ended, and the alias that its version carries now."""

    service: str
    version: int
    answer: str
    alias: str


@effect
def request_approval(config: ServiceConfig, registered: Registered) -> Registered:
    """Ask for a person's decision on a version that needs one; close requests for older versions.

    Nothing waits: the release ends, and `approve` goes on from there.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    service, log = config.service, get_run_logger()
    registry = open_registry(find_home())
    settle_approvals(service, datetime.now(UTC))
    version = find_version(registry, service, registered.version)
    asked = read_request(service, registered.version, version.tags) if version else None
    if version is None or asked is None:
        return registered
    store = prepare_control().approvals
    approval = store.request(service, version.version, asked.verdict_digest, asked.deadline)
    form = link_form(FORM, {"service": service, "version": version.version})
    page = write_request(approval, read_verdicts(version.run_id), list_links(version), form)
    publish_page(service, page, f"{service} v{version.version} waits for a person's approval")
    deadline = write_moment(approval.deadline)
    publish_event(service, "approval.requested", {"version": version.version, "deadline": deadline})
    log.warning(
        "%s v%d waits for a person's approval until %s; next: "
        "`sluice approve %s --by NAME --why WORDS`, or `sluice refuse`, or the form of `approve`",
        *(service, version.version, deadline, service),
    )
    return registered


@effect
def decide_approval(service: str, version: int, answer: str, by: str, why: str) -> ApprovalResult:
    """Record a person's decision, exactly once, and let the version go on or leave.

    `answer` is `approved` or `refused`. The same words again finish what a kill cut off.

    Raises:
        DecisionRefused: late, a second one, by nobody, for no reason, for another version, or for
            verdicts other than those that were shown.
        Fault: the control store or the registry cannot be reached.
    """
    now, by, why = datetime.now(UTC), by.strip(), why.strip()
    registry, store = open_registry(find_home()), prepare_control().approvals
    settle_approvals(service, now)
    found = find_asked(registry, store, service, version)
    digest = digest_verdicts(read_verdicts(found.run_id))
    approval = store.find(service, found.version, digest)
    if approval is None:
        raise DecisionRefused(
            f"the verdicts of {service} v{found.version} are not those that were shown for "
            "approval; next: release again"
        )
    decided = store.decide(approval, ApprovalAnswer(answer), by, why, now)
    ended = close_request(registry, store, found, decided)
    return ApprovalResult(service, found.version, decided.answer.value, name_alias(ended))


@effect
def expire_approvals(service: str, now: datetime) -> list[ApprovalResult]:
    """Close the service's requests that nobody answered in time, and finish what was cut off.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    return settle_approvals(service, now)


def expire_late(service: str) -> None:
    """Close the service's requests whose time is over; the registry is asked only where one is.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    now = datetime.now(UTC)
    asked = prepare_control().approvals.list_requests(service)
    if any(item.answer_at(now) is not item.answer for item in asked):
        expire_approvals(service, now)


@effect
def confirm_approval(service: str) -> None:
    """Make sure that no person's approval is missing on the version that would be promoted.

    The control store decides, whatever the registry's tags say.

    Raises:
        PromotionRefused: it waits, was refused, timed out or was superseded.
        Fault: the control store or the registry cannot be reached.
    """
    settle_approvals(service, datetime.now(UTC))
    candidate = open_registry(find_home()).find_alias(service, "candidate")
    asked = prepare_control().approvals.list_requests(service)
    if candidate is None:
        if asked and asked[-1].answer not in (ApprovalAnswer.APPROVED, ApprovalAnswer.SUPERSEDED):
            told = say_not_approved(service, asked[-1].version, asked[-1].answer)
            raise PromotionRefused(f"{service} has no candidate: {told}")
        return
    mine = [item for item in asked if item.version == candidate.version]
    if not mine and ANSWER not in candidate.tags:
        return
    answer = mine[-1].answer if mine else ApprovalAnswer.PENDING
    if answer is not ApprovalAnswer.APPROVED:
        raise PromotionRefused(say_not_approved(service, candidate.version, answer))


def settle_approvals(service: str, now: datetime) -> list[ApprovalResult]:
    """Close what is late or superseded, and let the registry follow what the store says.

    Gives the requests whose versions were brought to their end just now.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    registry, store = open_registry(find_home()), prepare_control().approvals
    waiting = list_waiting(registry, service)
    if not waiting:
        return []
    known = {item.version for item in store.list_requests(service)}
    for version in waiting:  # a release that was killed had registered, and not asked yet
        asked = read_request(service, version.version, version.tags)
        if asked and version.version not in known:
            store.request(service, version.version, asked.verdict_digest, asked.deadline)
    found = [registry.find_alias(service, name) for name in ("champion", "candidate")]
    store.supersede(service, max((item.version for item in found if item), default=0), now)
    store.expire(service, now)
    ended = []
    for version in waiting:
        mine = [item for item in store.list_requests(service) if item.version == version.version]
        if mine and mine[-1].answer is not ApprovalAnswer.PENDING:
            closed = close_request(registry, store, version, mine[-1])
            answer = mine[-1].answer.value
            ended.append(ApprovalResult(service, version.version, answer, name_alias(closed)))
    return ended


def find_asked(registry: Registry, store: Approvals, service: str, version: int) -> ModelVersionRef:
    """Give the version that a decision is about.

    Raises:
        DecisionRefused: nobody asked for a decision on it.
        Fault: the control store or the registry cannot be reached.
    """
    asked = store.list_requests(service)
    open_ones = [item.version for item in asked if item.answer is ApprovalAnswer.PENDING]
    numbers = [item.version for item in asked]
    if version == WAITING and not numbers:
        raise DecisionRefused(f"no version of {service} waits for approval")
    wanted = (open_ones or numbers)[-1] if version == WAITING else version
    found = find_version(registry, service, wanted) if wanted in numbers else None
    if found is None:
        waits = ", ".join(f"v{number}" for number in open_ones) or "none"
        raise DecisionRefused(
            f"nobody asked for a decision on {service} v{wanted}; waiting for one: {waits}"
        )
    return found


def close_request(
    registry: Registry, store: Approvals, version: ModelVersionRef, approval: Approval
) -> ModelVersionRef:
    """Bring the registry to an answer that the store holds: aliases, tags, page, event, log.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    service, number, answer = version.service, version.version, approval.answer
    decision = find_decision(store.list_decisions(service), approval)
    tags = tag_decision(decision)
    registry.log_json(version.run_id, "approval/decision.json", decision.to_dict())
    registry.log_facts(version.run_id, tags=tags)
    ended = follow_answer(registry, version, answer, tags)
    route_to_champion(ended)
    follows = describe_answer(answer, service, number, name_alias(ended))
    verdicts = read_verdicts(version.run_id)
    page = write_decision(decision, verdicts, list_links(version), follows)
    publish_page(service, page, f"{service} v{number} is {answer.value}: {decision.why}")
    payload = {"version": number, "by": decision.by, "why": decision.why}
    publish_event(service, f"approval.{answer.value}", {**payload, "alias": name_alias(ended)})
    words = (service, number, answer.value, decision.by, decision.why, follows)
    get_run_logger().warning("%s v%d is %s by %s: %s; %s", *words)
    return ended


def find_decision(log: Sequence[ApprovalDecision], approval: Approval) -> ApprovalDecision:
    """Give the line of the log that answered a request.

    The store writes both in one transaction, so there is one.
    """
    key = (approval.version, approval.verdict_digest, approval.answer)
    lines = [line for line in log if (line.version, line.verdict_digest, line.answer) == key]
    return lines[-1]


def publish_page(service: str, page: str, title: str) -> None:
    """Publish the page of approvals, whose key keeps its history."""
    create_markdown_artifact(key=f"{service}-approval", markdown=page, description=title)


def list_links(version: ModelVersionRef) -> dict[str, str]:
    """Give the addresses of what stands behind a version, by their words.

    Raises:
        Fault: the registry cannot be reached.
    """
    run, release = version.run_id, version.tags.get("prefect.flow_run_url", "")
    mine = str(flow_run.ui_url or "")
    experiment = find_experiment(open_registry(find_home()), run)
    return {
        "MLflow run": link_run(run),
        "model version": link_version(version.service, version.version),
        "model card": link_file(experiment, run, "model_card.md"),
        "data docs": link_file(experiment, run, "data_docs/validation.html"),
        "release": release,
        "decision": "" if mine == release else mine,
    }


def name_alias(version: ModelVersionRef) -> str:
    """Give the alias that a version carries, empty where it has none."""
    return next((name for name in ("champion", "candidate") if name in version.aliases), "")


WANTED = "rollout.wanted"
"""The event that a deployment of `rollout` listens for; the keeper finds what it did not start."""


def request_rollout(config: ServiceConfig, registered: Registered) -> Registered:
    """Ask for the rollout of a new candidate, where the service's file says `start: auto`.

    A version that waits for a person is asked for once it is approved.
    """
    if not registered.awaits:
        _ask(config, registered.version, registered.alias)
    return registered


def request_approved_rollout(config: ServiceConfig, decided: ApprovalResult) -> None:
    """Ask for the rollout of a candidate that a person approved."""
    if decided.answer == "approved":
        _ask(config, decided.version, decided.alias)


def _ask(config: ServiceConfig, version: int, alias: str) -> None:
    if config.rollout.start == "auto" and alias == CANDIDATE:
        publish_event(config.service, WANTED, {"version": version})
