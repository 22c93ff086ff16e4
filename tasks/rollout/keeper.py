"""The keeper's repairs: rollouts without a controller, lost events; and what is live."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.states import Completed

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.gateway import find_replicas
from sluice.adapters.moves import settle_aliases
from sluice.adapters.registry.aliases import CANDIDATE
from sluice.adapters.registry.client import Registry, open_registry
from sluice.adapters.service_versions import open_versions
from sluice.config.loading import load_gateway
from sluice.errors import RegistryUnavailable, SluiceError
from sluice.home import environment_name, find_home
from sluice.report.rollout import write_overview
from sluice.rollout.record import RolloutRecord
from tasks.data.watching import choose_services
from tasks.monitoring.monitor import watch_monitor, watch_monitor_of_prompts
from tasks.release.history import publish_new_entries
from tasks.rollout.aliases import settle_ended
from tasks.rollout.clock import announce_clock
from tasks.rollout.commands import emit_moves
from tasks.rollout.conflicts import Comparer
from tasks.rollout.lease import is_controlled
from tasks.rollout.settings import choose_routed_prompts, load_rollout
from tasks.run.artifacts import create_page, publish
from tasks.run.forms import ALL
from tasks.run.leases import is_renewed
from tasks.run.state import end_skipped

DEPLOYMENT = "rollout/rollout"
EXPERIMENT = "experiment/experiment"
EXPERIMENT_CONTROLLER = "experiment"
"""The purpose of the lease of an experiment's controller."""
KEY = "rollouts"
"""Key of the artifact that shows what is live everywhere."""
MINUTES = 4
"""Minutes that a started controller has before another start is tried."""


class Keeper:
    """One keeper's work, service by service; errors of one service do not stop it."""

    def __init__(self) -> None:
        self._control = prepare_control()
        self._registry = open_registry(find_home())
        replies = find_replicas(find_home(), load_gateway(environment_name())).read_counters()
        self._comparer = Comparer(self._control, self._registry, replies)
        self._rows: list[dict[str, str]] = []
        self.done: list[str] = []
        """What was repaired or started."""
        self.problems: list[str] = []
        """Services that could not be kept, each with its reason."""

    @contextmanager
    def collect_errors(self, service: str) -> Iterator[None]:
        """Collect an error of one service, to raise it after the last service."""
        try:
            yield
        except SluiceError as error:
            self.problems.append(f"{service}: {type(error).__name__}: {error}")

    def keep_all(self, service: str) -> None:
        """Keep a service, or all of them with prompts and experiments; errors are collected."""
        for name in choose_services(service):
            with self.collect_errors(name):
                self.keep(name)
            with self.collect_errors(name):
                watch_monitor(name)
        for name in choose_routed_prompts(service):
            with self.collect_errors(name):
                self.keep(name)
        if service == ALL:
            self.keep_experiments()
            with self.collect_errors("prompts"):
                watch_monitor_of_prompts()

    def keep(self, service: str) -> None:
        """Repair what can be repaired for a service, and note what is live.

        Raises:
            Fault: the control store or the registry cannot be reached.
        """
        with self.collect_errors(service):
            moved = settle_aliases(self._control, self._registry, service)
            if moved:
                self.done.append(f"{service}: aliases follow {moved.action} to v{moved.version}")
        emit_moves(self._control, service)
        for ended in settle_ended(self._control, service):
            self.done.append(f"{service}: aliases moved to match rollout {ended.number}")
        rollout = self._control.rollouts.find_open(service)
        controlled = rollout is not None and is_controlled(self._control, service)
        if rollout and not controlled:
            self._start(service, rollout.candidate, f"{rollout.number}", resume=True)
        compared = self._comparer.compare(service, rollout)
        self.done += compared.repaired
        experiment = self._control.experiments.find_running(service)
        if rollout is None and experiment is None:
            self._start_missed(service)
        publish_new_entries(service)
        if announce_clock(self._control, find_home(), service):
            self.done.append(f"{service}: a clock is ahead, see `sluice retention`")
        self._rows += describe_service(self._control, service, rollout, controlled, compared.text)

    def keep_experiments(self) -> None:
        """Start a controller for each experiment that lost its own; those of prompts too.

        Raises:
            Fault: the control store cannot be reached.
        """
        for record in self._control.experiments.list_running():
            with self.collect_errors(record.service):
                if not is_renewed(self._control, record.service, EXPERIMENT_CONTROLLER):
                    parameters = {"name": record.name, "step": "resume"}
                    self._run(record.service, EXPERIMENT, parameters, record.key)

    def end(self) -> State[Any]:
        """Publish what is live, and return the flow run's final state.

        Raises:
            RegistryUnavailable: a service could not be kept; all others were.
        """
        publish_overview(self.page)
        if self.problems:
            raise RegistryUnavailable("; ".join(self.problems))
        if not self.done:
            return end_skipped("nothing to repair")
        get_run_logger().info("; ".join(self.done))
        return Completed(message="; ".join(self.done))

    @property
    def page(self) -> str:
        """The overview of the services that were kept."""
        return write_overview(self._rows)

    def _start_missed(self, service: str) -> None:
        """Start the rollout of a candidate whose event was lost."""
        if load_rollout(service).rollout.start != "auto":
            return
        found = find_untried(self._control, self._registry, service)
        if found is not None:
            self._start(service, found, f"v{found}", resume=False)

    def _start(self, service: str, version: int, key: str, resume: bool) -> None:
        parameters = {"service": service, "version": version, "resume": resume}
        self._run(service, DEPLOYMENT, parameters, f"{service}-{key}", f" for v{version}")

    def _run(
        self, service: str, name: str, parameters: dict[str, Any], key: str, subject: str = ""
    ) -> None:
        """Start a controller, at most one in `MINUTES`; if it fails, the next keeper retries."""
        now = datetime.now(UTC)
        period = f"{now:%Y%m%d%H}-{now.minute // MINUTES}"
        try:
            run_deployment(
                name,
                parameters=parameters,
                timeout=0,
                as_subflow=False,
                idempotency_key=f"{key}-{period}",
            )
        except Exception as error:  # not deployed, or the server is away
            self.problems.append(f"{service}: no controller could be started: {error}")
            return
        self.done.append(f"{service}: a controller{subject} was started")


def publish_overview(page: str) -> None:
    """Publish the page that shows what is live everywhere."""
    publish(create_page, KEY, markdown=page, description="What is live everywhere")


def find_untried(control: Control, registry: Registry, service: str) -> int | None:
    """Return the candidate that passed its gates and never had a rollout, if there is one.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    versions = open_versions(control, registry, service)
    found, route = versions.find_alias(CANDIDATE), control.routes.find(service)
    if found is None or route is None or route.champion == found.version:
        return None
    if versions.judge(found).objection:
        return None
    tried = {item.candidate for item in control.rollouts.list_rollouts(service)}
    return None if found.version in tried else found.version


def describe_service(
    control: Control, service: str, rollout: RolloutRecord | None, controlled: bool, note: str
) -> list[dict[str, str]]:
    """Return the overview's row of a service; empty if it never had a champion, without a note.

    Raises:
        Fault: the control store cannot be reached.
    """
    route = control.routes.find(service)
    if route is None:
        return [{"service": service, "serves": "nothing", "note": note}] if note else []
    since = control.timeline.find_since(route)
    row = {
        "service": service,
        "serves": f"v{route.champion}",
        "since": f"{since:%Y-%m-%d %H:%M}" if since else "",
        "note": note,
    }
    if rollout is None:
        return [row]
    state, policy = rollout.state, rollout.policy
    return [
        {
            **row,
            "on trial": f"v{rollout.candidate}",
            "phase": state.phase.value,
            "stage": policy.stages[state.stage].name,
            "weight": f"{state.weight(policy):.0%}",
            "controller": "at work" if controlled else "gone: the champion serves alone",
            "note": "; ".join(filter(None, (note, state.reason))),
        }
    ]
