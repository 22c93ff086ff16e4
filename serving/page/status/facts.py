"""The facts of a service's status, the same as HTML and as JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from serving.page.view import ServiceRow, ServiceView
from sluice.config.monitoring.rules import Runbook
from sluice.control.drift import DriftState
from sluice.control.health import Health
from sluice.control.release import FAILED, HALTED, ReleaseRecord
from sluice.control.spending import BudgetPeriod, Spent
from sluice.control.timeline import TimelineEntry

TRAFFIC_MINUTES = 5
"""Length of the window over which traffic is counted."""
FEEDBACK_HOURS = 24
"""Length of the window in which labels are counted."""
FEEDBACK_DAYS = 7
"""How far back the newest label is looked for."""
NEVER_JUDGED = Health()
UPSTREAM = "upstream"
EVERY = ""
"""Stands for each service that has no entry of its own."""


@dataclass(frozen=True)
class TrafficStatus:
    """Answers of the last minutes in the traffic log; `problem` says why it was not read."""

    requests: int = 0
    failures: int = 0
    minutes: int = TRAFFIC_MINUTES
    newest: datetime | None = None
    """The newest answer in the log; None where there is none."""
    problem: str = ""

    @property
    def per_minute(self) -> float:
        """Requests a minute."""
        return self.requests / self.minutes


@dataclass(frozen=True)
class FeedbackStatus:
    """Feedback of the last hours in the traffic log; `problem` says why it was not read."""

    labels: int = 0
    others: int = 0
    """Feedback without a label: ratings and values."""
    hours: int = FEEDBACK_HOURS
    newest: datetime | None = None
    """The newest label of the last days; None where there is none."""
    problem: str = ""


@dataclass(frozen=True)
class PageAddresses:
    """Addresses of other pages, http or https; empty where none is known to be up."""

    registry: str = ""
    orchestrator: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What is read beside the control store: log, configuration, addresses."""

    configurations: Mapping[str, str] = field(default_factory=dict)
    """Every configured service, with what is wrong with its configuration; empty for nothing."""
    traffic: Mapping[str, TrafficStatus] = field(default_factory=dict)
    feedback: Mapping[str, FeedbackStatus] = field(default_factory=dict)
    addresses: PageAddresses = PageAddresses()
    runbooks: Mapping[str, Runbook] = field(default_factory=dict)
    """What to do about each rule's alert, by the rule's name."""
    budgets: Mapping[str, Mapping[BudgetPeriod, float]] = field(default_factory=dict)
    """US dollars that all callers of a prompt may spend together, by prompt and period."""


NOT_READ = "being read, in a moment"
BEING_READ = Surroundings(
    traffic={EVERY: TrafficStatus(problem=NOT_READ)},
    feedback={EVERY: FeedbackStatus(problem=NOT_READ)},
)
"""What is shown to a visitor who comes before the first read is done: the store alone is known."""


@dataclass(frozen=True)
class ServiceStanding:
    """One service: what serves, what is on trial, and how it is doing."""

    row: ServiceRow
    since: TimelineEntry | None = None
    """How the version that serves came to serve; None where that is not on record."""
    release: ReleaseRecord | None = None
    """The newest release; None where none is on record."""
    waiting: tuple[int, ...] = ()
    """Versions that wait for a person's approval."""
    health: Health = NEVER_JUDGED
    is_prompt: bool = False
    spent: Mapping[BudgetPeriod, Spent] = field(default_factory=dict)
    """What a prompt's calls cost in the day, week and month, by UTC, as far as it is counted."""

    @property
    def open_drift(self) -> tuple[DriftState, ...]:
        """The kinds of drift whose alarm is open, and about what serves.

        An upstream break is about the inputs, whichever version serves.
        """
        named = (self.row.champion, self.row.candidate)
        return tuple(
            item
            for item in self.health.drift or ()
            if item.is_open and (item.kind == UPSTREAM or named[0] is None or item.version in named)
        )

    @property
    def firing(self) -> int:
        """How many alerts fire that nobody has silenced."""
        alerts = self.health.alerts or ()
        return sum(1 for item in alerts if item.is_firing and item.silenced_until is None)

    @property
    def has_dropped(self) -> bool:
        """Whether live performance of the version that serves is below the release's figure."""
        found = self.health.performance
        return found is not None and found.dropped and self.row.champion in (None, found.version)


@dataclass(frozen=True)
class ServiceHistory:
    """What happened to one service, newest first."""

    releases: tuple[ReleaseRecord, ...] = ()
    drift: tuple[DriftState, ...] = ()
    """Windows that opened or closed an alarm."""
    timeline: tuple[TimelineEntry, ...] = ()


@dataclass(frozen=True)
class Standings:
    """Every service that has a route, a rollout, a release, or was judged by a monitor."""

    services: tuple[ServiceStanding, ...] = ()


@dataclass(frozen=True)
class ServiceCard:
    """One service with all that is known of it, from the control store and beside it."""

    standing: ServiceStanding
    is_configured: bool
    configuration: str
    """What is wrong with its configuration; empty for nothing."""
    traffic: TrafficStatus
    feedback: FeedbackStatus
    attention: tuple[str, ...] = ()
    """What a person should look at, the gravest first; empty where nothing."""
    budgets: Mapping[BudgetPeriod, float] = field(default_factory=dict)
    """US dollars that all callers of a prompt may spend together, by period; none: no limit."""


@dataclass(frozen=True)
class ServiceStatusPage:
    """One service's page: its card, its rollouts, and what happened to it."""

    card: ServiceCard
    view: ServiceView
    history: ServiceHistory


def combine(standings: Standings, around: Surroundings) -> tuple[ServiceCard, ...]:
    """Return a card of each service; those that need attention come first, then by name.

    A service that is only configured has a card, too.
    """
    known = {item.row.service: item for item in standings.services}
    for name in around.configurations:
        known.setdefault(name, ServiceStanding(make_empty_row(name)))
    cards = [make_card(standing, around) for standing in known.values()]
    return tuple(sorted(cards, key=lambda card: (not card.attention, card.standing.row.service)))


def make_card(standing: ServiceStanding, around: Surroundings) -> ServiceCard:
    """Return the card of one service."""
    name = standing.row.service
    problem = around.configurations.get(name, "")
    return ServiceCard(
        standing,
        name in around.configurations or around is BEING_READ or standing.is_prompt,
        problem,
        around.traffic.get(name, around.traffic.get(EVERY, TrafficStatus())),
        around.feedback.get(name, around.feedback.get(EVERY, FeedbackStatus())),
        tuple(_list_attention(standing, problem)),
        around.budgets.get(name, around.budgets.get(EVERY, {})) if standing.is_prompt else {},
    )


def _list_attention(standing: ServiceStanding, problem: str) -> Iterator[str]:
    """Return what a person should look at, the gravest first."""
    row, release = standing.row, standing.release
    if problem:
        yield "configuration is broken"
    if row.warning:
        yield "warning"
    if standing.firing:
        yield f"{standing.firing} alert{'s' if standing.firing != 1 else ''}"
    if standing.has_dropped:
        yield "performance dropped"
    if standing.open_drift:
        yield "drift"
    if row.next_step:
        yield "rollout waits for a person"
    if standing.waiting:
        yield "approval waits"
    if release is not None and release.outcome in (HALTED, FAILED):
        yield f"last release {release.outcome}"


def make_empty_row(service: str) -> ServiceRow:
    """Return the row of a service that the control store does not know."""
    return ServiceRow(service, None, None, 0.0, "", "", "", "", None, 0, "")
