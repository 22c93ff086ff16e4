"""Everything at a glance: what each service serves, what is on trial, and the local stack.

It is read from the control store and the state folder alone, in about a second: neither registry
nor Prefect is asked, except whether the stack's addresses answer.
"""

import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from sluice.adapters.control.store import Control
from sluice.adapters.server import parts
from sluice.adapters.server.home_server import server_environment
from sluice.adapters.server.record import read_stack
from sluice.control.approval import ApprovalAnswer
from sluice.home import Home
from sluice.rollout.record import RolloutRecord

ANSWER_SECONDS = 1.0
"""Longest wait for one address of the stack."""
LATE_BLOCKS, LATE_SECONDS = 3, 10.0
"""A rollout without a tick for so long has no controller at work."""
HEALTH = {
    "prefect": "/api/health",
    "mlflow": parts.REGISTRY_PAGES.health,
    "gateway": parts.GATEWAY_PART.health,
    "rollouts": parts.STATUS_PART.health,
}


@dataclass(frozen=True)
class RolloutStatus:
    """A rollout that is under way."""

    number: int
    version: int
    phase: str
    stage: str
    """The stage's name in its policy."""
    place: str
    """The stage with its phase where it does not move, as a log line names it."""
    weight: float
    reason: str
    seconds_since_tick: float
    has_controller: bool


@dataclass(frozen=True)
class ServiceStatus:
    """One service: `since` is when its version began to serve, empty if that is not on record."""

    service: str
    serves: int | None = None
    since: str = ""
    previous: int | None = None
    rollout: RolloutStatus | None = None
    waiting: tuple[int, ...] = ()
    """Versions that wait for a person's approval."""
    notes: tuple[str, ...] = ()
    last: Mapping[str, Any] = field(default_factory=dict)
    """The newest entry of its timeline."""


@dataclass(frozen=True)
class Status:
    """All services, and each address of the stack with whether it answers."""

    home: str
    services: tuple[ServiceStatus, ...]
    stack: Mapping[str, Mapping[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Return the status as values that JSON can hold."""
        return asdict(self)


def read_status(home: Home, control: Control, services: Sequence[str]) -> Status:
    """Return the status of services and of the local stack.

    Raises:
        Fault: the control store cannot be reached.
    """
    with ThreadPoolExecutor(len(HEALTH)) as threads:
        asked = {
            name: (url, threads.submit(answers, f"{url}{HEALTH[name]}"))
            for name, url in find_addresses(home).items()
        }
        written = {
            (item.service, item.number): item.written for item in control.rollouts.list_summaries()
        }
        found = tuple(_read_service(control, name, written) for name in services)
        stack = {
            name: {"address": url, "answers": asking.result()}
            for name, (url, asking) in asked.items()
        }
    return Status(str(home.root), found, stack)


def find_addresses(home: Home) -> dict[str, str]:
    """Return the addresses of what runs in the state folder; without a stack only Prefect's."""
    record = read_stack(home)
    if record is None:
        api = server_environment(home).get("PREFECT_API_URL", "")
        return {"prefect": api.removesuffix("/").removesuffix("/api")} if api else {}
    named = {name: str(getattr(record, name)) for name in HEALTH}
    return {name: url for name, url in named.items() if url}


def answers(url: str) -> bool:
    """Whether something answers at an address; a refusal is an answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(url, timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _read_service(
    control: Control, service: str, written: Mapping[tuple[str, int], datetime]
) -> ServiceStatus:
    route = control.routes.find(service)
    rollout = control.rollouts.find_open(service)
    newest = control.timeline.list_entries(service, 1)
    requests = control.approvals.list_requests(service)
    now = datetime.now(UTC)
    since = control.timeline.find_since(route) if route else None
    return ServiceStatus(
        service=service,
        serves=route.champion if route else None,
        since=since.astimezone(UTC).isoformat(timespec="seconds") if since else "",
        previous=control.moves.find_previous(service) or None,
        rollout=_read_rollout(rollout, written, now) if rollout else None,
        waiting=tuple(
            item.version for item in requests if item.answer_at(now) is ApprovalAnswer.PENDING
        ),
        notes=_list_notes(control, service),
        last=newest[0].to_dict() if newest else {},
    )


def _read_rollout(
    rollout: RolloutRecord, written: Mapping[tuple[str, int], datetime], now: datetime
) -> RolloutStatus:
    policy, state = rollout.policy, rollout.state
    at = written.get((rollout.service, rollout.number), now)
    age = max(0.0, (now - at).total_seconds())
    return RolloutStatus(
        number=rollout.number,
        version=rollout.candidate,
        phase=state.phase.value,
        stage=policy.stages[state.stage].name,
        place=rollout.stage_name,
        weight=1.0 if rollout.is_serving else state.weight(policy),
        reason=state.reason,
        seconds_since_tick=round(age, 1),
        has_controller=age < max(LATE_SECONDS, LATE_BLOCKS * policy.block),
    )


def _list_notes(control: Control, service: str) -> tuple[str, ...]:
    moved, conflict = (
        control.moves.find_unsettled(service),
        control.watermarks.find_conflict(service),
    )
    notes = [f"the registry's aliases do not follow the {moved.action} yet"] if moved else []
    notes += [f"conflict: {conflict}"] if conflict else []
    waiting = [item for item in control.retrainings.list_open(service) if item.decision]
    return (*notes, *(f"retraining for {item.event}: {item.decision}" for item in waiting))
