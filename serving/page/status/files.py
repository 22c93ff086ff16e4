"""What the status page reads beside the control store: traffic log, configuration, addresses."""

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from serving.page.status.facts import (
    EVERY,
    FEEDBACK_DAYS,
    FEEDBACK_HOURS,
    TRAFFIC_MINUTES,
    FeedbackStatus,
    PageAddresses,
    Surroundings,
    TrafficStatus,
)
from sluice.adapters.addresses import find_registry_page
from sluice.adapters.server.record import read_stack
from sluice.config.loading import check_rules, list_services, load_rules, load_service
from sluice.config.monitoring.rules import RuleBook, Runbook
from sluice.control.spending import BudgetPeriod
from sluice.errors import SluiceError
from sluice.home import CONFIGS, Home, environment_name

WEB = ("http://", "https://")
Stamp = tuple[tuple[str, int, int], ...]


class FileReader:
    """Reads log, configuration and addresses; only one thread at a time may use it.

    A configuration is checked again only after one of the files changed.
    """

    def __init__(
        self,
        home: Home,
        configs: Path = CONFIGS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._home, self._configs, self._now = home, configs, now
        self._stamp: Stamp | None = None
        self._checked: Mapping[str, str] = {}
        self._runbooks: Mapping[str, Runbook] = {}
        self._budgets: Mapping[str, Mapping[BudgetPeriod, float]] = {}

    def read(self) -> Surroundings:
        """Return everything; what cannot be read says so in its own place."""
        return Surroundings(
            self._check_configurations(),
            dict(self._read_traffic()),
            self._read_feedback(),
            find_addresses(self._home),
            self._runbooks,
            self._budgets,
        )

    def _check_configurations(self) -> Mapping[str, str]:
        stamp = tuple(
            (path.name, found.st_mtime_ns, found.st_size)
            for path in sorted(self._configs.rglob("*.yaml"))
            for found in [path.stat()]
        )
        if stamp != self._stamp:
            book, problem = _read_rules(self._configs)
            names = list_services(self._configs)
            self._checked = {name: _explain(name, self._configs, book) or problem for name in names}
            self._runbooks = (
                {name: rule.runbook for name, rule in book.rules.items()} if book else {}
            )
            self._budgets = _read_budgets(self._configs)
            self._stamp = stamp
        return self._checked

    def _read_traffic(self) -> Iterator[tuple[str, TrafficStatus]]:
        from sluice.adapters.traffic.recent import count_recent

        now = self._now()
        folder = self._home.answers("x").parent
        logged = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        for name in logged:
            try:
                since = now - timedelta(minutes=TRAFFIC_MINUTES)
                found = count_recent(self._home.answers(name), since, now)
            except SluiceError as error:
                yield name, TrafficStatus(problem=str(error))
            else:
                counts = found.requests, found.failures, TRAFFIC_MINUTES
                yield name, TrafficStatus(*counts, newest=found.newest)

    def _read_feedback(self) -> Mapping[str, FeedbackStatus]:
        from sluice.adapters.traffic.recent import count_feedback

        now = self._now()
        since, oldest = now - timedelta(hours=FEEDBACK_HOURS), now - timedelta(days=FEEDBACK_DAYS)
        try:
            found = count_feedback(self._home.feedback, oldest, since, now)
        except SluiceError as error:
            return {EVERY: FeedbackStatus(problem=str(error))}
        return {
            name: FeedbackStatus(one.labels, one.others, FEEDBACK_HOURS, one.newest)
            for name, one in found.items()
            if name  # whose service is not known yet is no service's
        }


def find_addresses(home: Home) -> PageAddresses:
    """Return the addresses of the registry's and the orchestrator's pages that are known to be up.

    The orchestrator is the one that the environment names (`PREFECT_UI_URL`, `PREFECT_API_URL`),
    else the one of the local stack.
    """
    registry, stack = find_registry_page(home), read_stack(home)
    api = os.environ.get("PREFECT_API_URL", "").rstrip("/").removesuffix("/api")
    named = os.environ.get("PREFECT_UI_URL", "") or api or (stack.prefect if stack else "")
    return PageAddresses(
        keep_web(registry.address) if registry.is_served else "",
        keep_web(named.rstrip("/").removesuffix("/api")),
    )


def keep_web(address: str) -> str:
    """Return an address of the web; empty for any other text, which no link may name."""
    return address if address.startswith(WEB) else ""


def _read_rules(folder: Path) -> tuple[RuleBook | None, str]:
    """Return the rules of monitoring; None with what is wrong where they are not valid."""
    try:
        return load_rules(folder), ""
    except (SluiceError, OSError) as error:
        return None, str(error)


def _read_budgets(folder: Path) -> Mapping[str, Mapping[BudgetPeriod, float]]:
    """Return the budgets of prompts, those of all others at `EVERY`; none where not valid."""
    from sluice.config.llm.loading import load_language_serving

    try:
        config = load_language_serving(folder)
    except (SluiceError, OSError):
        return {}
    names = (EVERY, *config.services)
    return {name: dict(config.of(name).budgets.service.list_limits()) for name in names}


def _explain(service: str, folder: Path, book: RuleBook | None) -> str:
    """Return what is wrong with a service's configuration; empty for nothing."""
    try:
        config = load_service(service, environment_name(), folder)
        if book is not None:
            check_rules(config, book, folder)
    except (SluiceError, OSError) as error:
        return str(error)
    return ""
